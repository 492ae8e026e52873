use super::*;
use crate::arbitrary;
use crate::ids::Entropy;
use proptest::prelude::*;

fn entropy() -> impl Strategy<Value = Entropy> {
    any::<[u8; 10]>()
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
    fn written_bytes_are_canonical_by_an_independent_judge(name: String, body in arbitrary::body(), entropy in entropy(), micros in 0..4_000_000_000_000_000_i64) {
        let out = written(&name, body.clone(), entropy, micros);
        let value: serde_json::Value = serde_json::from_slice(&out).unwrap();
        prop_assert_eq!(String::from_utf8(serde_json_canonicalizer::to_vec(&value).unwrap()).unwrap(), String::from_utf8(out.clone()).unwrap());
        let record = read(&out).unwrap();
        prop_assert_eq!(record.body, body);
    }

    #[test]
    fn a_changed_byte_is_never_the_same_record(body in arbitrary::body(), entropy in entropy(), at in any::<prop::sample::Index>(), flip in 1_u8..=255) {
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
        ("\"seq\":1", "\"seq\":9007199254740992", "above the limit of 2^53 - 1"),
        ("\"records\":0", "\"records\":9007199254740992", "above the limit of 2^53 - 1"),
    ] {
        assert!(out.contains(from), "{from}");
        let error = read(out.replacen(from, to, 1).as_bytes()).unwrap_err().to_string();
        assert!(error.contains(want), "{error}");
    }
}
