//! A log of one endorsement and of a decision that goes by it, forged in each way.

use super::*;
use crate::approvals::{Ground, gates_sha256};
use crate::examples::sha256;
use crate::ids::ApprovalId;
use crate::record::approval::{
    Alternative, Answer, ApprovalEvent, ApprovalRecord, Assurance, Gate, Grant, Question, Quorum, Resolution, Review,
    Stage, StandingGrant, StandingLimit,
};
use crate::record::{
    Authenticated, Context, DecisionRecord, Initiator, Origin, TargetOrigin, TargetRole, VersionLog, VersionedObject,
};

const UNENDORSED: &str = "no endorsement before it is in force for this argument, tool and mission";

/// A day, which is how long the gate endorses.
const DAY_MS: u64 = 86_400_000;

fn id() -> ApprovalId {
    ApprovalId::at(at(2), [0x11; 10])
}

fn pinned(n: u64, definition: &str) -> Draft {
    let version = VersionLog {
        approval: None,
        difference: vec!["the tool is pinned".into()],
        direction: None,
        from: None,
        object: VersionedObject { kind: VersionedKind::Pin, name: send_money().to_string().into() },
        state: Some(format!(r#"{{"pinned":"{definition}"}}"#)),
        to: definition.into(),
        who: "olga".into(),
        why: "first sight".into(),
    };
    Draft::new(Context::system().into(), None, at(n), version)
}

/// Bound to the definition `d1` and the rules that decisions of the examples have.
fn event(event: ApprovalEvent) -> ApprovalRecord {
    let gates = [gate()];
    let ground = Ground {
        gates_sha256: &gates_sha256(&gates),
        mission: "pay-supplier-invoices",
        pin: Some("d1"),
        slice_sha256: Some(&sha256(0xa2)),
        text_sha256: &sha256(0x31),
        tool: &send_money(),
        who: "olga",
    };
    ApprovalRecord {
        approval: id(),
        call_sha256: ground.sha256(),
        covers_sha256: None,
        event,
        facets: Vec::new(),
        gate: None,
        gates_sha256: gates_sha256(&gates),
        grant: None,
        question: None,
        resolution: None,
        review: None,
        tool: send_money(),
        used: None,
        who: None,
        why: None,
    }
}

fn gate() -> Gate {
    let all_of = vec![Quorum { group: "treasury".into(), need: 1 }];
    Gate {
        assurance: Assurance::OsUser,
        break_glass: None,
        escalate: None,
        grant_s: 1_800,
        name: "payments".into(),
        remind_s: None,
        respond_s: 14_400,
        stages: vec![Stage { any_of: vec![Alternative { all_of }] }],
        standing: Some(StandingLimit { for_s: DAY_MS / 1_000, uses: 1 }),
        uses: 1,
    }
}

fn of_people(n: u64, record: ApprovalRecord) -> Draft {
    let initiator = Initiator { authenticated: Authenticated::OsUser, name: "olga".into() };
    let context = Context { initiator, mission: context().mission.clone(), ..Context::system() };
    Draft::new(context.into(), None, at(n), record)
}

/// A day from when it was given.
fn until() -> Timestamp {
    at(DAY_MS + 3)
}

fn endorsed() -> DecisionRecord {
    let source = format!("bea until {} (approval {})", until(), id());
    let traced = TargetOrigin {
        argument: "recipient".into(),
        origin: Origin::Endorsed,
        role: TargetRole::Target,
        source: Some(source.into()),
    };
    let mut decision = decision(Effect::Allow, send_money(), 1);
    decision.input.provenance = vec![traced];
    decision
}

fn drafts() -> Vec<Draft> {
    let standing = StandingGrant {
        endorses: Some("recipient".into()),
        name: "endorsement".into(),
        totals: Vec::new(),
        until: at(31_536_000_000),
        uses: 1,
    };
    let question = Question {
        args_bytes: 200,
        args_sha256: sha256(0x31),
        excluded: Vec::new(),
        follows: None,
        gates: vec![gate()],
        respond_by: at(14_400_002),
        rules: Vec::new(),
        sentence: "`olga` asks people to endorse one value".into(),
        shown_sha256: sha256(0x51),
        standing: Some(standing),
    };
    let review = Review {
        answer: Answer::Approve,
        assurance: Assurance::OsUser,
        channel: "cli".into(),
        groups: vec!["treasury".into()],
        key: None,
        nonce: "5b1f0c8e2a7d4f6390c1d2e3f4a5b6c7".into(),
        on_behalf_of: None,
        proposed_sha256: None,
        reason: "Checked by telephone.".into(),
        reviewer: "bea".into(),
        shown_sha256: sha256(0x51),
        signature: None,
        signed_at: at(3),
        ticket: None,
    };
    let grant = Grant { break_glass: Vec::new(), not_after: until(), totals: Vec::new(), uses: 1 };
    vec![
        pinned(1, "d1"),
        of_people(2, ApprovalRecord { question: Some(question), ..event(ApprovalEvent::Requested) }),
        of_people(3, ApprovalRecord { review: Some(review), ..event(ApprovalEvent::Review) }),
        of_people(
            3,
            ApprovalRecord {
                grant: Some(grant),
                resolution: Some(Resolution::Approved),
                why: Some("gate `payments` is satisfied by `bea`".into()),
                ..event(ApprovalEvent::Resolved)
            },
        ),
        Draft::new(context(), Some(call_id(1)), at(10), endorsed()),
    ]
}

fn findings(change: impl FnOnce(&mut Vec<Draft>)) -> Vec<String> {
    let mut drafts = drafts();
    change(&mut drafts);
    let mut log = Log::default();
    log.push(None, started(0));
    // The next record is never older.
    let mut last = at(1);
    for draft in drafts {
        last = last.max(draft.occurred_at);
        let seq = log.records.len() as u64 + 1;
        let place = Place { emitter: EMITTER, id: record_id(seq), recorded_at: last, seq };
        let mut bytes = Vec::new();
        write(&draft, place, &mut bytes).unwrap();
        log.records.push(bytes);
    }
    log.publish();
    log.findings()
}

fn the_decision(drafts: &mut [Draft]) -> &mut DecisionRecord {
    match &mut drafts.last_mut().unwrap().body {
        Body::Decision(decision) => decision,
        other => panic!("{other:?}"),
    }
}

fn traced(drafts: &mut [Draft]) -> &mut TargetOrigin {
    the_decision(drafts).input.provenance.first_mut().unwrap()
}

fn before_the_decision(drafts: &mut Vec<Draft>, draft: Draft) {
    drafts.insert(drafts.len() - 1, draft);
}

fn decided_at(drafts: &mut [Draft], n: u64) {
    drafts.last_mut().unwrap().occurred_at = at(n);
}

fn revoked(n: u64) -> Draft {
    let why = Some("ACME has a new bank".into());
    of_people(n, ApprovalRecord { who: Some("bea".into()), why, ..event(ApprovalEvent::Revoked) })
}

#[test]
fn a_decision_goes_by_no_endorsement_that_there_was_not() {
    type Change = fn(&mut Vec<Draft>);
    let sound: [(&str, Change); 8] = [
        ("as it was", |_| {}),
        ("to the last moment", |drafts| decided_at(drafts, DAY_MS + 3)),
        ("revoked later", |drafts| drafts.push(revoked(20))),
        ("revoked while it was decided, and recorded first", |drafts| before_the_decision(drafts, revoked(11))),
        ("another definition later", |drafts| drafts.push(pinned(20, "d2"))),
        ("another definition while it was decided", |drafts| before_the_decision(drafts, pinned(10, "d2"))),
        ("another definition and the old one again", |drafts| {
            before_the_decision(drafts, pinned(4, "d2"));
            before_the_decision(drafts, pinned(5, "d1"));
            decided_at(drafts, 60_000);
        }),
        ("denied, whatever it says", |drafts| {
            let decision = the_decision(drafts);
            decision.effect = Effect::Deny;
            decision.input.provenance.iter_mut().for_each(|traced| traced.source = None);
        }),
    ];
    for (what, change) in sound {
        assert_eq!(findings(change), Vec::<String>::new(), "{what}");
    }
    let forged: [(&str, Change); 19] = [
        ("nobody", |drafts| traced(drafts).source = None),
        ("no approval", |drafts| traced(drafts).source = Some("bea, by telephone".into())),
        ("somebody else", |drafts| {
            let source = traced(drafts).source.as_ref().unwrap().replace("bea", "ana");
            traced(drafts).source = Some(source.into());
        }),
        ("a later end", |drafts| {
            let source = traced(drafts).source.as_ref().unwrap().replace("until 2026", "until 2036");
            traced(drafts).source = Some(source.into());
        }),
        ("another argument", |drafts| traced(drafts).argument = "account".into()),
        ("a link in content", |drafts| traced(drafts).role = TargetRole::Payload),
        ("two of which one is not", |drafts| {
            let other = TargetOrigin { argument: "account".into(), ..traced(drafts).clone() };
            the_decision(drafts).input.provenance.insert(0, other);
        }),
        ("another tool", |drafts| the_decision(drafts).input.tool.name = "close_account".into()),
        ("another mission", |drafts| {
            let draft = drafts.last_mut().unwrap();
            draft.context = Context { mission: Some("other".into()), ..(*draft.context).clone() }.into();
        }),
        ("for whom it was given by", |drafts| {
            let draft = drafts.last_mut().unwrap();
            let initiator = Initiator { authenticated: Authenticated::OsUser, name: "bea".into() };
            draft.context = Context { initiator, ..(*draft.context).clone() }.into();
        }),
        ("other rules", |drafts| the_decision(drafts).policy.slice_sha256 = Some(sha256(0xa3).into())),
        ("no rules", |drafts| the_decision(drafts).policy.slice_sha256 = None),
        ("another definition", |drafts| {
            before_the_decision(drafts, pinned(4, "d2"));
            decided_at(drafts, 60_000);
        }),
        ("no definition", |drafts| drop(drafts.remove(0))),
        ("after its end", |drafts| decided_at(drafts, DAY_MS + 4)),
        ("after it was revoked", |drafts| {
            before_the_decision(drafts, revoked(11));
            decided_at(drafts, 60_000);
        }),
        ("before it was given", |drafts| {
            let decision = drafts.pop().unwrap();
            drafts.insert(3, decision);
        }),
        ("never given", |drafts| drop(drafts.remove(3))),
        ("asked about, and yet endorsed", |drafts| {
            the_decision(drafts).effect = Effect::Ask;
            traced(drafts).argument = "account".into();
        }),
    ];
    for (what, change) in forged {
        let findings = findings(change);
        assert!(findings.iter().any(|finding| finding.contains(UNENDORSED)), "{what}: {findings:?}");
    }
}
