//! Arbitrary drafts of every record type for property tests: every optional field there or not, every enum at every value, any text.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

use crate::ids::{ApprovalId, CallId, ExceptionId, RecordId, RunId};
use crate::limits::INTEGER_MAX;
use crate::record::approval::{
    Alternative, Answer, ApprovalEvent, ApprovalRecord, Assurance, BreakGlass, Escalation, Excluded, Gate, Grant,
    Question, Quorum, Resolution, Review, Stage, StandingGrant, StandingLimit, Total,
};
use crate::record::{
    AccessToken, ActionEvent, ActionRecord, Agent, Authenticated, Body, BrokenGlass, Capture, Captured, Channel,
    Client, Content, Context, Count, DecisionInput, DecisionPoint, DecisionRecord, Direction, Draft, Effect,
    EffectClass, Endpoint, EvidenceAccess, ExceptionEvent, ExceptionKind, ExceptionRecord, Facet, FacetValue,
    Initiator, LedgerEvent, LedgerState, Link, Look, Obligation, Origin, Policy, Purpose, Reading, Reported,
    RequestContext, Rule, Signed, Status, Surface, TargetOrigin, TargetRole, Tool, Unkept, VersionLog, VersionedKind,
    VersionedObject,
};
use crate::time::Timestamp;

fn text() -> impl Strategy<Value = String> {
    prop_oneof!["[a-z]{0,8}", any::<String>()]
}

fn name() -> impl Strategy<Value = String> {
    text().prop_map(|text| if text.is_empty() { "a".into() } else { text })
}

fn shared() -> impl Strategy<Value = Arc<str>> {
    text().prop_map(Into::into)
}

fn sha256() -> impl Strategy<Value = String> {
    any::<[u8; 32]>().prop_map(hex::encode)
}

fn time() -> impl Strategy<Value = Timestamp> {
    (0..253_402_207_200_000_000_i64).prop_map(Timestamp::from_micros)
}

fn integer() -> impl Strategy<Value = u64> {
    prop_oneof![0..=INTEGER_MAX, Just(0), Just(INTEGER_MAX)]
}

fn word<T: Copy + std::fmt::Debug + 'static>(all: &'static [T]) -> impl Strategy<Value = T> {
    select(all)
}

fn authenticated() -> impl Strategy<Value = Authenticated> {
    word(&[
        Authenticated::Asserted,
        Authenticated::Oidc,
        Authenticated::OsUser,
        Authenticated::RunToken,
        Authenticated::System,
    ])
}

pub(crate) fn record_id() -> impl Strategy<Value = RecordId> {
    (time(), any::<[u8; 10]>()).prop_map(|(at, entropy)| RecordId::at(at, entropy))
}

fn tool() -> impl Strategy<Value = Tool> {
    (word(Endpoint::ALL), shared(), word(Surface::ALL), shared()).prop_map(|(endpoint, name, surface, upstream)| Tool {
        endpoint,
        name,
        surface,
        upstream,
    })
}

fn request() -> impl Strategy<Value = Body> {
    let client = (text(), text()).prop_map(|(name, version)| Client { name, version });
    let channel = (option::of(client), option::of(text()), word(Surface::ALL), select(&["stdio", "http"][..]), text())
        .prop_map(|(client, protocol, surface, transport, upstream)| Channel {
            client,
            protocol,
            surface,
            transport: transport.into(),
            upstream,
        });
    let purpose = text().prop_map(|text| Purpose { said_by: "agent".into(), text });
    let token = (option::of(text()), text(), sha256(), text())
        .prop_map(|(client, issuer, sha256, subject)| AccessToken { client, issuer, sha256, subject });
    (authenticated(), channel, vec(text(), 0..3), option::of(purpose), option::of(token), option::of(sha256()))
        .prop_map(|(authenticated, channel, delegation, purpose, token, words_sha256)| {
            Body::Request(RequestContext { authenticated, channel, delegation, purpose, token, words_sha256 })
        })
}

fn rule() -> impl Strategy<Value = Rule> {
    (name(), prop_oneof![any::<u32>(), Just(0), Just(u32::MAX)]).prop_map(|(id, line)| Rule { id: id.into(), line })
}

fn approval_id() -> impl Strategy<Value = ApprovalId> {
    (time(), any::<[u8; 10]>()).prop_map(|(at, entropy)| ApprovalId::at(at, entropy))
}

fn gate() -> impl Strategy<Value = Gate> {
    let quorum = (name(), 1..=u32::MAX).prop_map(|(group, need)| Quorum { group: group.into(), need });
    let alternative = vec(quorum, 0..3).prop_map(|all_of| Alternative { all_of });
    let stage = vec(alternative, 0..3).prop_map(|any_of| Stage { any_of });
    let escalation = (integer(), name()).prop_map(|(after_s, group)| Escalation { after_s, group: group.into() });
    let glass = (integer(), name(), 1..=u32::MAX, integer());
    let glass =
        glass.prop_map(|(grant_s, group, need, review_s)| BreakGlass { grant_s, group: group.into(), need, review_s });
    let clocks = (option::of(escalation), integer(), option::of(integer()), integer());
    let clocks = (option::of(glass), clocks);
    let standing = (integer(), 1..=u32::MAX).prop_map(|(for_s, uses)| StandingLimit { for_s, uses });
    (word(Assurance::ALL), clocks, name(), vec(stage, 0..3), (option::of(standing), 1..=u32::MAX)).prop_map(
        |(assurance, (break_glass, (escalate, grant_s, remind_s, respond_s)), name, stages, (standing, uses))| Gate {
            assurance,
            break_glass,
            escalate,
            grant_s,
            name: name.into(),
            remind_s,
            respond_s,
            stages,
            standing,
            uses,
        },
    )
}

fn totals() -> impl Strategy<Value = Vec<Total>> {
    vec(
        (name(), decimal()).prop_map(|(argument, most)| Total { argument: argument.into(), most: most.to_string() }),
        0..3,
    )
}

fn facet() -> impl Strategy<Value = Facet> {
    let kinds = &[
        "text",
        "number",
        "bool",
        "path",
        "domain",
        "url",
        "email",
        "identifier",
        "command",
        "sql",
        "time",
        "length",
        "returned",
        "null",
        "list",
        "object",
        "unparsed",
    ][..];
    let value = (select(kinds), shared()).prop_map(|(kind, text)| FacetValue { kind: kind.into(), text });
    (shared(), vec(value, 0..3)).prop_map(|(argument, values)| Facet { argument, values })
}

fn approval() -> impl Strategy<Value = Body> {
    let excluded = (name(), name()).prop_map(|(person, role)| Excluded { person: person.into(), role });
    let endorses = option::of(name().prop_map(Arc::from));
    let standing =
        (endorses, name(), totals(), time(), 1..=u32::MAX).prop_map(|(endorses, name, totals, until, uses)| {
            StandingGrant { endorses, name: name.into(), totals, until, uses }
        });
    let about = (integer(), sha256(), option::of(approval_id()), text(), (sha256(), option::of(standing)));
    let question = (about, vec(excluded, 0..2), vec(gate(), 0..2), time(), vec(rule(), 0..2)).prop_map(
        |(
            (args_bytes, args_sha256, follows, sentence, (shown_sha256, standing)),
            excluded,
            gates,
            respond_by,
            rules,
        )| Question {
            args_bytes,
            args_sha256,
            excluded,
            follows,
            gates,
            respond_by,
            rules,
            sentence,
            shown_sha256,
            standing,
        },
    );
    let signed = (option::of(name()), any::<[u8; 16]>().prop_map(hex::encode), option::of(name()), time());
    let more = (option::of(name()), option::of(sha256()));
    let said = (word(Answer::ALL), word(Assurance::ALL), name(), vec(name().prop_map(Arc::from), 0..3), text());
    let review = (said, signed, option::of(name()), name(), (sha256(), more)).boxed().prop_map(
        |(said, (key, nonce, signature, signed_at), stand_in, who, (shown, (ticket, proposed_sha256)))| {
            let (answer, assurance, channel, groups, reason) = said;
            Review {
                answer,
                assurance,
                channel,
                groups,
                key,
                nonce,
                on_behalf_of: stand_in.map(Into::into),
                proposed_sha256,
                reason,
                reviewer: who.into(),
                shown_sha256: shown,
                signature,
                signed_at,
                ticket,
            }
        },
    );
    let broken = vec(name().prop_map(Arc::from), 0..3);
    let grant = (broken, time(), totals(), 1..=u32::MAX).prop_map(|(break_glass, not_after, totals, uses)| Grant {
        break_glass,
        not_after,
        totals,
        uses,
    });
    let event =
        (word(ApprovalEvent::ALL), option::of(name()), option::of(word(Resolution::ALL)), option::of(1..=u32::MAX));
    let parts = (option::of(grant), option::of(question), option::of(review));
    let covered = (option::of(sha256()), vec(facet(), 0..3));
    (approval_id(), (sha256(), covered), sha256(), event, parts, tool(), (option::of(name()), option::of(text())))
        .prop_map(
            |(
                approval,
                (call_sha256, (covers_sha256, facets)),
                gates_sha256,
                (event, gate, resolution, used),
                (grant, question, review),
                tool,
                (who, why),
            )| {
                Body::from(ApprovalRecord {
                    approval,
                    call_sha256,
                    covers_sha256,
                    event,
                    facets,
                    gate: gate.map(Into::into),
                    gates_sha256,
                    grant,
                    question,
                    resolution,
                    review,
                    tool,
                    used,
                    who,
                    why,
                })
            },
        )
}

fn decision() -> impl Strategy<Value = Body> {
    let reading = (name(), decimal(), option::of(decimal()), name()).prop_map(|(counter, used, wanted, window)| {
        Reading { counter: counter.into(), used, wanted, window: window.into() }
    });
    let target = (name(), word(Origin::ALL), word(TargetRole::ALL), option::of(shared()))
        .prop_map(|(argument, origin, role, source)| TargetOrigin { argument: argument.into(), origin, role, source });
    let labels =
        || prop::collection::btree_set(name(), 0..3).prop_map(|labels| labels.into_iter().map(Into::into).collect());
    let known = (
        option::of(word(EffectClass::ALL)),
        vec(reading, 0..3),
        vec(facet(), 0..3),
        (labels(), labels()),
        vec(target, 0..3),
        option::of(sha256()),
    );
    let input = (integer(), sha256(), sha256(), known, tool()).prop_map(
        |(
            args_bytes,
            args_sha256,
            call_sha256,
            (confirmed, counters, facets, (data_fields, met), provenance, sent_sha256),
            tool,
        )| {
            DecisionInput {
                args_bytes,
                args_sha256,
                call_sha256,
                confirmed,
                counters,
                data_fields,
                facets,
                met,
                provenance,
                sent_sha256,
                tool,
            }
        },
    );
    let obligation = (name(), text()).prop_map(|(kind, target)| Obligation { kind, target });
    let policy =
        (sha256(), option::of(sha256()), option::of(sha256())).prop_map(|(mission, organisation, slice)| Policy {
            mission_sha256: mission.into(),
            organisation_sha256: organisation.map(Into::into),
            slice_sha256: slice.map(Into::into),
        });
    let reasons = vec(name().prop_map(Arc::from), 0..3);
    let would = option::of(prop_oneof![Just(Effect::Ask), Just(Effect::Deny)]);
    let rest = (word(DecisionPoint::ALL), policy, reasons, vec(rule(), 0..3), text(), would);
    let gates = (option::of(approval_id()), vec(name().prop_map(Arc::from), 0..3));
    (word(Effect::ALL), input, vec(obligation, 0..2), rest, gates).prop_map(
        |(effect, input, obligations, (point, policy, reasons, rules, sentence, would), (approval, gates))| {
            Body::Decision(DecisionRecord {
                approval,
                effect,
                gates,
                input,
                obligations,
                point,
                policy,
                reasons,
                rules,
                sentence,
                would,
            })
        },
    )
}

/// An exact decimal in its shortest spelling.
fn decimal() -> impl Strategy<Value = Arc<str>> {
    "-?(0|[1-9][0-9]{0,18})(\\.[0-9]{0,17}[1-9])?".prop_map(Arc::from)
}

fn action() -> impl Strategy<Value = Body> {
    let outcome = (
        option::of(integer()),
        option::of(text()),
        option::of(name()),
        option::of((name(), option::of(name()))),
        option::of(integer()),
        option::of(sha256()),
        word(Status::ALL),
    );
    let attempt = prop_oneof![1..=u32::MAX, Just(1), Just(u32::MAX)];
    let happened = prop_oneof![(option::of(sha256()), option::of(sha256())).prop_map(Err), outcome.prop_map(Ok)];
    let count = (decimal(), name(), name()).prop_map(|(amount, counter, window)| Count {
        amount,
        counter: counter.into(),
        window: window.into(),
    });
    let of_call = (sha256(), attempt, vec(captured(), 0..3), vec(count, 0..3));
    (of_call, word(EffectClass::ALL), tool(), happened).prop_map(
        |((args_sha256, attempt, captured, counted), effect_class, tool, happened)| {
            let intent = ActionRecord {
                args_sha256,
                attempt,
                captured,
                counted,
                duration_us: None,
                effect_class,
                event: ActionEvent::Intent,
                external_reference: None,
                input_sha256: None,
                reason: None,
                reported: None,
                result_bytes: None,
                result_sha256: None,
                sent_sha256: None,
                status: None,
                tool,
            };
            let (duration_us, external_reference, reason, reported, result_bytes, result_sha256, status) =
                match happened {
                    Ok(outcome) => outcome,
                    Err((input_sha256, sent_sha256)) => {
                        return Body::Action(ActionRecord { input_sha256, sent_sha256, ..intent });
                    }
                };
            Body::Action(ActionRecord {
                duration_us,
                event: ActionEvent::Outcome,
                external_reference,
                reason: reason.map(Into::into),
                reported: reported.map(|(by, note)| Reported { by: by.into(), note: note.map(Into::into) }),
                result_bytes,
                result_sha256,
                status: Some(status),
                ..intent
            })
        },
    )
}

fn exception() -> impl Strategy<Value = Body> {
    let kinds = (word(ExceptionEvent::ALL), word(ExceptionKind::ALL));
    let people = (name(), option::of(name()), option::of(text()));
    let named = || vec(name().prop_map(Arc::from), 0..3);
    let glass = (approval_id(), named(), named(), name()).prop_map(|(approval, excluded, groups, mission)| {
        BrokenGlass { approval, excluded, groups, mission: mission.into() }
    });
    let signed = (named(), name(), any::<[u8; 16]>().prop_map(hex::encode), name(), time());
    let signed = signed.prop_map(|(groups, key, nonce, signature, signed_at)| Signed {
        groups,
        key,
        nonce,
        signature,
        signed_at,
    });
    let proofs = (option::of(glass), option::of(signed));
    (option::of(time()), kinds, any::<[u8; 10]>(), option::of(text()), people, (text(), text()), proofs).prop_map(
        |(due, (event, kind), entropy, mitigation, (owner, who, note), (reason, scope), (broken_glass, signed))| {
            let exception = ExceptionId::at(due.unwrap_or(Timestamp::EPOCH), entropy);
            Body::Exception(ExceptionRecord {
                broken_glass,
                signed,
                due,
                event,
                exception,
                kind,
                mitigation,
                note,
                owner,
                reason,
                scope,
                who,
            })
        },
    )
}

fn version() -> impl Strategy<Value = Body> {
    let object = (word(VersionedKind::ALL), shared()).prop_map(|(kind, name)| VersionedObject { kind, name });
    let states = (option::of(shared()), option::of(text()), shared());
    let difference = (vec(text(), 0..3), option::of(word(Direction::ALL)));
    (option::of(approval_id()), difference, object, states, text(), text()).prop_map(
        |(approval, (difference, direction), object, (from, state, to), who, why)| {
            Body::Version(VersionLog { approval, difference, direction, from, object, state, to, who, why })
        },
    )
}

fn captured() -> impl Strategy<Value = Captured> {
    let classes = prop::collection::btree_set(name(), 0..3);
    (classes, word(Content::ALL), word(Capture::ALL), option::of(word(Unkept::ALL))).prop_map(
        |(classes, content, mode, reason)| Captured {
            classes: classes.into_iter().map(Into::into).collect(),
            content,
            mode,
            reason,
        },
    )
}

fn access() -> impl Strategy<Value = Body> {
    (name(), option::of(name()), option::of(word(Look::ALL)), name(), name())
        .prop_map(|(channel, filter, look, who, why)| Body::Access(EvidenceAccess { channel, filter, look, who, why }))
}

fn ledger() -> impl Strategy<Value = Body> {
    (text(), word(LedgerEvent::ALL), name(), integer(), text()).prop_map(|(detail, event, origin, records, version)| {
        Body::Ledger(LedgerState { detail, event, origin, records, version })
    })
}

pub(crate) fn body() -> impl Strategy<Value = Body> {
    // In boxes: together they are more than a test's stack holds.
    prop_oneof![
        request().boxed(),
        decision().boxed(),
        action().boxed(),
        approval().boxed(),
        exception().boxed(),
        version().boxed(),
        access().boxed(),
        ledger().boxed()
    ]
}

fn context() -> impl Strategy<Value = Context> {
    let agent = (shared(), option::of(shared())).prop_map(|(name, version)| Agent { name, version });
    let initiator = (authenticated(), shared()).prop_map(|(authenticated, name)| Initiator { authenticated, name });
    let run = (time(), any::<[u8; 10]>()).prop_map(|(at, entropy)| RunId::at(at, entropy));
    (agent, option::of(record_id()), initiator, option::of(shared()), option::of(run))
        .prop_map(|(agent, context, initiator, mission, run)| Context { agent, context, initiator, mission, run })
}

pub(crate) fn draft() -> impl Strategy<Value = Draft> {
    let call = (time(), any::<[u8; 10]>()).prop_map(|(at, entropy)| CallId::at(at, entropy));
    let link = (integer(), name(), name(), sha256()).prop_map(|(bytes, media_type, rel, sha256)| Link {
        bytes,
        media_type,
        rel,
        sha256,
    });
    let classes = prop::collection::btree_set(name(), 0..3);
    let trace = any::<[u8; 16]>().prop_map(|trace| Arc::from(hex::encode(trace)));
    (body(), option::of(call), context(), classes, vec(link, 0..2), time(), option::of(trace)).prop_map(
        |(body, call, context, classes, links, occurred_at, trace)| Draft {
            body,
            call,
            context: Arc::new(context),
            data_classes: classes.into_iter().map(Into::into).collect(),
            links,
            occurred_at,
            trace,
        },
    )
}
