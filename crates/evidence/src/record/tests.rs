use super::*;
use crate::ids::Entropy;
use proptest::prelude::*;

fn entropy() -> impl Strategy<Value = Entropy> {
    any::<[u8; 10]>()
}

fn a_body() -> impl Strategy<Value = Body> {
    let tool = (any::<String>(), any::<String>()).prop_map(|(name, upstream)| Tool {
        endpoint: Endpoint::Tool,
        name: name.into(),
        surface: Surface::Mcp,
        upstream: upstream.into(),
    });
    let decision = (tool.clone(), any::<String>(), prop::collection::vec((any::<String>(), any::<String>()), 0..4))
        .prop_map(|(tool, sentence, facets)| {
            Body::Decision(DecisionRecord {
                effect: Effect::Deny,
                input: DecisionInput {
                    args_bytes: 2,
                    args_sha256: "00".repeat(32),
                    call_sha256: "11".repeat(32),
                    facets: facets
                        .into_iter()
                        .map(|(argument, text)| Facet {
                            argument: argument.into(),
                            values: vec![FacetValue { kind: "text".into(), text: text.into() }],
                        })
                        .collect(),
                    tool,
                },
                obligations: vec![Obligation { kind: "redact".into(), target: "result".into() }],
                point: DecisionPoint::Call,
                policy: Policy { mission_sha256: "22".repeat(32).into(), slice_sha256: None },
                reasons: vec!["tool_not_allowed".into()],
                rules: vec![Rule { id: "allow.mcp.bank".into(), line: 7 }],
                sentence,
            })
        });
    let action = (tool, any::<Option<String>>(), any::<u32>()).prop_map(|(tool, external_reference, attempt)| {
        Body::Action(ActionRecord {
            args_sha256: "33".repeat(32),
            attempt,
            duration_us: Some(1),
            effect_class: EffectClass::Unconfirmed,
            event: ActionEvent::Outcome,
            external_reference,
            reason: None,
            result_bytes: Some(9),
            result_sha256: None,
            status: Some(Status::Done),
            tool,
        })
    });
    let version = (any::<Vec<String>>(), any::<String>()).prop_map(|(difference, why)| {
        Body::Version(VersionLog {
            approval: None,
            difference,
            from: None,
            object: VersionedObject { kind: VersionedKind::Mission, name: "m".into() },
            state: None,
            to: "sha256:00".into(),
            who: "me".into(),
            why,
        })
    });
    prop_oneof![decision, action, version]
}

fn written(name: &str, body: Body, entropy: Entropy, micros: i64) -> Vec<u8> {
    let at = Timestamp::from_micros(micros);
    let context = Context {
        agent: Agent { name: name.into(), version: None },
        run: Some(RunId::at(at, entropy)),
        ..Context::system()
    };
    let draft = Draft::new(Arc::new(context), Some(CallId::at(at, entropy)), at, body);
    let mut out = Vec::new();
    write(&draft, Place { emitter: "cs-test", id: RecordId::at(at, entropy), recorded_at: at, seq: 1 }, &mut out)
        .unwrap();
    out
}

proptest! {
    #[test]
    fn written_bytes_are_canonical_by_an_independent_judge(name: String, body in a_body(), entropy in entropy(), micros in 0..4_000_000_000_000_000_i64) {
        let out = written(&name, body.clone(), entropy, micros);
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        prop_assert_eq!(String::from_utf8(serde_json_canonicalizer::to_vec(&value).unwrap()).unwrap(), String::from_utf8(out.clone()).unwrap());
        let record = read(&out).unwrap();
        prop_assert_eq!(record.body, body);
    }

    #[test]
    fn a_changed_byte_is_never_the_same_record(body in a_body(), entropy in entropy(), at in any::<prop::sample::Index>(), flip in 1_u8..=255) {
        let out = written("a", body, entropy, 1);
        let before = read(&out).unwrap();
        let mut changed = out.clone();
        changed[at.index(out.len())] ^= flip;
        if let Ok(after) = read(&changed) {
            prop_assert_ne!(before, after);
        }
    }
}

#[test]
fn unknown_fields_spellings_and_schemas_are_refused() {
    let out = String::from_utf8(written(
        "a",
        Body::Ledger(LedgerState {
            detail: "d".into(),
            event: LedgerEvent::Started,
            origin: "o".into(),
            records: 0,
            version: "1".into(),
        }),
        [0; 10],
        1,
    ))
    .unwrap();
    read(out.as_bytes()).unwrap();
    for (from, to, want) in [
        ("\"detail\"", "\"more\":1,\"detail\"", "unknown field"),
        ("\"links\":[]", "\"links\": []", "not canonical"),
        ("\"schema\":1", "\"schema\":2", "newer version"),
        ("\"schema\":1", "\"schema\":1.0", "invalid type"),
        ("\"seq\":1", "\"seq\":1,\"seq\":1", "duplicate field"),
        ("ledger_state", "ledger_stat", "unknown variant"),
    ] {
        assert!(out.contains(from), "{from}");
        let error = read(out.replacen(from, to, 1).as_bytes()).unwrap_err().to_string();
        assert!(error.contains(want), "{error}");
    }
}
