//! That a record says enough to decide again, and that what is otherwise is told.

use evidence::ids::{ApprovalId, RecordId};
use evidence::record::{Body, DecisionInput, Origin, Place, TargetOrigin, TargetRole, read, write};

use super::*;
use crate::classify::{Classified, Standing};
use crate::decide::decide;
use crate::decide::evaluate::tests::{classified, parse_tool, snapshot};
use crate::record;

const MISSION: &str = "mission = 'm'\ngoal = 'g'\nowner = 'o'\nagents = ['bot']\nuntil = 2026-12-31\nwhy = 'w'\n\
     [allow.mcp.s]\nlook = {}\n[allow.mcp.s.pay]\namount = { min = 0, max = 100 }\nto = { free = true }\n[effect.mcp.s]\nlook = 'read'\npay = 'pay'\n\
     [danger.pays]\nwhen = 'mcp:s/pay'\nover = { amount = 10 }\ngate = 'two'\n[gate.two]\ngroup = 'leads'\n";

const NOON: &str = "2026-11-23T12:00:00Z";

/// The decision on `call`, as the ledger would have it.
fn on_record(call: &Classified, decision: &Decision, point: DecisionPoint) -> (Record, DecisionRecord) {
    let approval = (point == DecisionPoint::Use).then(|| ApprovalId::from_bytes([9; 16]));
    let at = NOON.parse().unwrap();
    let draft = record::decision(call, decision, point, approval, at);
    let place = Place { emitter: "cs-0123456789abcdef", id: RecordId::from_bytes([3; 16]), recorded_at: at, seq: 7 };
    let mut bytes = Vec::new();
    write(&draft, place, &mut bytes).unwrap();
    let record = read(&bytes).unwrap();
    let Body::Decision(decision) = record.body.clone() else { panic!("{record:?}") };
    (record, decision)
}

fn again(policy: &PolicySnapshot, call: &Classified, point: DecisionPoint) -> Rederived {
    let decision = decide(call, policy, NOON.parse().unwrap());
    let (record, decision) = on_record(call, &decision, point);
    rederive(&record, &decision, policy)
}

#[test]
fn what_is_on_record_is_decided_again_as_it_was() {
    let policy = snapshot(MISSION);
    let standings = [
        Standing::Good,
        Standing::Halted,
        Standing::MissionRevoked,
        Standing::RunEnded,
        Standing::RunRevoked,
        Standing::Stopping,
    ];
    for standing in standings {
        for (tool, arguments) in [
            ("mcp:s/look", "{}"),
            ("mcp:s/pay", r#"{"amount":5,"to":"a"}"#),
            ("mcp:s/pay", r#"{"amount":50,"to":"a"}"#),
            ("mcp:s/pay", r#"{"amount":500,"to":"a"}"#),
            ("mcp:s/pay", r#"{"amount":"x","to":"a","more":1}"#),
            ("mcp:s/other", "{}"),
            ("mcp:s/request:sampling/createMessage", "{}"),
        ] {
            for agent in ["bot", "fox"] {
                let call = classified(&policy, agent, parse_tool(tool), arguments, standing);
                assert_eq!(
                    again(&policy, &call, DecisionPoint::Call),
                    Rederived::Same,
                    "{agent} {tool} {arguments} {standing:?}"
                );
            }
        }
    }
    // What its protocol objects to, and what is only noted.
    let call = classified(&policy, "bot", parse_tool("mcp:s/look"), "{}", Standing::Good);
    for reason in [Reason::DefinitionRefused, Reason::StateRefused, Reason::RequestNotAllowed, Reason::InputNotAllowed]
    {
        let objected = Classified { intercepted: call.intercepted.clone().objected(reason), ..call.clone() };
        assert_eq!(again(&policy, &objected, DecisionPoint::Call), Rederived::Same, "{reason}");
    }
    let noted = Classified { intercepted: call.intercepted.clone().noted(Reason::InputUnasked), ..call };
    assert_eq!(again(&policy, &noted, DecisionPoint::Call), Rederived::Same);
}

#[test]
fn what_people_answered_stands_in_other_records() {
    let policy = snapshot(MISSION);
    let at = NOON.parse().unwrap();
    let call = classified(&policy, "bot", parse_tool("mcp:s/pay"), r#"{"amount":50,"to":"a"}"#, Standing::Good);
    let asked = decide(&call, &policy, at);
    assert_eq!(asked.effect, Effect::Ask);
    let checked = |decision: &Decision, call: &Classified, point| {
        let (record, decision) = on_record(call, decision, point);
        rederive(&record, &decision, &policy)
    };
    // Used: with the gates that were satisfied.
    let approved = Classified { gates: asked.gates.clone(), ..call.clone() };
    let used = decide(&approved, &policy, at);
    assert_eq!(used.effect, Effect::Allow);
    assert_eq!(checked(&used, &approved, DecisionPoint::Use), Rederived::Same);
    // The same without anybody's answer.
    assert!(matches!(checked(&used, &approved, DecisionPoint::Call), Rederived::Different(_)));
    for reason in [Reason::ApprovalDenied, Reason::ApprovalExpired, Reason::ApprovalRevoked, Reason::ApprovalEdited] {
        let (sentence, reasons) = (Arc::from("eve said no"), vec![reason]);
        let refused = Decision { effect: Effect::Deny, reasons, sentence, ..asked.clone() };
        assert_eq!(checked(&refused, &call, DecisionPoint::Use), Rederived::Same, "{reason}");
        assert_eq!(checked(&refused, &call, DecisionPoint::Call), Rederived::Same, "{reason}");
    }
    let joined = Decision { reasons: vec![Reason::OutcomeAwaited], sentence: "waits".into(), ..asked.clone() };
    assert_eq!(checked(&joined, &call, DecisionPoint::Call), Rederived::Same);
    assert_eq!(checked(&Decision { effect: Effect::Deny, ..asked }, &call, DecisionPoint::Call), Rederived::Same);
    let handed = Decision { reasons: vec![Reason::Replayed], ..used.clone() };
    let outcome = Rederived::NotDerivable(NotDerivable::Outcome);
    assert_eq!(checked(&handed, &call, DecisionPoint::Release), outcome);
    assert_eq!(checked(&used, &call, DecisionPoint::Release), Rederived::NotDerivable(NotDerivable::Content));
    // People cannot have refused what nobody asked them.
    let small = classified(&policy, "bot", parse_tool("mcp:s/pay"), r#"{"amount":5,"to":"a"}"#, Standing::Good);
    let allowed = decide(&small, &policy, at);
    let refused = Decision { effect: Effect::Deny, reasons: vec![Reason::ApprovalDenied], ..allowed };
    assert!(matches!(checked(&refused, &small, DecisionPoint::Call), Rederived::Different(_)));
}

#[test]
fn every_member_that_is_otherwise_is_told() {
    let policy = snapshot(MISSION);
    let call = classified(&policy, "bot", parse_tool("mcp:s/pay"), r#"{"amount":5,"to":"a"}"#, Standing::Good);
    let (record, right) = on_record(&call, &decide(&call, &policy, NOON.parse().unwrap()), DecisionPoint::Call);
    assert_eq!(rederive(&record, &right, &policy), Rederived::Same);
    let told = |decision: &DecisionRecord| match rederive(&record, decision, &policy) {
        Rederived::Different(differences) => differences.iter().map(|difference| difference.what).collect(),
        Rederived::Same | Rederived::NotDerivable(_) => Vec::new(),
    };
    let other: Arc<str> = Arc::from("0".repeat(64));
    let with = |change: &dyn Fn(&mut DecisionRecord)| {
        let mut decision = right.clone();
        change(&mut decision);
        told(&decision)
    };
    assert_eq!(with(&|it| it.effect = Effect::Deny), ["effect"]);
    assert_eq!(with(&|it| it.would = Some(Effect::Deny)), ["would"]);
    assert_eq!(with(&|it| it.sentence = "because".to_owned()), ["sentence"]);
    assert_eq!(with(&|it| it.reasons = vec![Arc::from(Reason::LimitReached.code())]), ["reasons"]);
    assert_eq!(with(&|it| it.rules.clear()), ["rules"]);
    assert_eq!(with(&|it| it.gates = vec![Arc::from("two")]), ["gates"]);
    assert_eq!(with(&|it| it.policy.mission_sha256 = other.clone()), ["policy.mission_sha256"]);
    assert_eq!(with(&|it| it.policy.slice_sha256 = None), ["policy.slice_sha256"]);
    assert_eq!(with(&|it| it.policy.organisation_sha256 = Some(other.clone())), ["policy.organisation_sha256"]);
    // The same of what it looked at.
    let input = |change: &dyn Fn(&mut DecisionInput)| with(&|it| change(&mut it.input)).contains(&"effect");
    assert!(input(&|input| input.facets.clear()));
    assert!(input(&|input| input.tool = parse_tool("mcp:s/other")));
    let from_text =
        TargetOrigin { argument: "to".into(), origin: Origin::Untrusted, role: TargetRole::Target, source: None };
    // The mission does not ask who named what.
    assert!(!input(&|input| input.provenance = vec![from_text.clone()]));
}
