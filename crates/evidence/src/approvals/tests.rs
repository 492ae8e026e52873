use proptest::prelude::*;

use super::*;
use crate::examples::{at, sha256};
use crate::record::approval::{Alternative, Assurance, BreakGlass, Escalation, Excluded, Quorum, Stage};
use crate::record::{Endpoint, Surface};

/// Every answer has its own.
static NONCE: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);

fn quorum(group: &str, need: u32) -> Quorum {
    Quorum { group: group.into(), need }
}

fn all(quorums: &[(&str, u32)]) -> Stage {
    let all_of = quorums.iter().map(|(group, need)| quorum(group, *need)).collect();
    Stage { any_of: vec![Alternative { all_of }] }
}

fn gate(name: &str, stages: Vec<Stage>) -> Gate {
    Gate {
        assurance: Assurance::DeviceKey,
        break_glass: None,
        escalate: None,
        grant_s: 60,
        name: name.into(),
        remind_s: None,
        respond_s: 600,
        stages,
        standing: None,
        uses: 1,
    }
}

fn event(gates: &[Gate], event: ApprovalEvent) -> ApprovalRecord {
    let tool = crate::record::Tool {
        endpoint: Endpoint::Tool,
        name: "pay".into(),
        surface: Surface::Mcp,
        upstream: "bank".into(),
    };
    ApprovalRecord {
        approval: ApprovalId::from_bytes([7; 16]),
        call_sha256: sha256(1),
        covers_sha256: None,
        event,
        facets: Vec::new(),
        gate: None,
        gates_sha256: gates_sha256(gates),
        grant: None,
        question: None,
        resolution: None,
        review: None,
        tool,
        used: None,
        who: None,
        why: None,
    }
}

fn asked(gates: &[Gate]) -> Approval {
    let question = Question {
        args_bytes: 2,
        args_sha256: sha256(2),
        excluded: vec![Excluded { person: "ana".into(), role: "initiator".into() }],
        follows: None,
        gates: gates.to_vec(),
        respond_by: at(600_000),
        rules: Vec::new(),
        sentence: String::new(),
        shown_sha256: sha256(3),
        standing: None,
    };
    let record = ApprovalRecord { question: Some(question), ..event(gates, ApprovalEvent::Requested) };
    Approval::begin(&record, at(0)).unwrap()
}

fn review(answer: Answer, reviewer: &str, groups: &[&str]) -> Review {
    Review {
        answer,
        assurance: Assurance::DeviceKey,
        channel: "cli".into(),
        groups: groups.iter().map(|group| Arc::from(*group)).collect(),
        key: None,
        nonce: NONCE.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_string(),
        on_behalf_of: None,
        proposed_sha256: None,
        reason: "seen".into(),
        reviewer: reviewer.into(),
        shown_sha256: sha256(3),
        signature: None,
        signed_at: at(0),
        ticket: None,
    }
}

/// Gives an answer, and resolves where that follows.
fn answer(approval: &mut Approval, review: Review) -> Result<Option<Resolution>, Illegal> {
    answer_at(approval, review, 1)
}

fn answer_at(approval: &mut Approval, review: Review, n: u64) -> Result<Option<Resolution>, Illegal> {
    let gates = approval.question.gates.clone();
    approval.take(&ApprovalRecord { review: Some(review), ..event(&gates, ApprovalEvent::Review) }, at(n))?;
    let Some(resolution) = approval.resolution() else { return Ok(None) };
    let grant = (resolution == Resolution::Approved).then(|| approval.grant(at(n)));
    let resolved = ApprovalRecord { grant, resolution: Some(resolution), ..event(&gates, ApprovalEvent::Resolved) };
    approval.take(&resolved, at(n))?;
    Ok(Some(resolution))
}

fn consume(approval: &mut Approval, used: u32, n: u64) -> Result<(), Illegal> {
    let gates = approval.question.gates.clone();
    approval.take(&ApprovalRecord { used: Some(used), ..event(&gates, ApprovalEvent::Consumed) }, at(n))
}

fn approve(reviewer: &str, groups: &[&str]) -> Review {
    review(Answer::Approve, reviewer, groups)
}

#[test]
fn a_person_in_two_groups_counts_for_one() {
    let mut approval = asked(&[gate("g", vec![all(&[("leads", 1), ("treasury", 1)])])]);
    assert_eq!(answer(&mut approval, approve("bea", &["leads", "treasury"])), Ok(None));
    assert_eq!(answer(&mut approval, approve("bea", &["leads", "treasury"])), Err(Illegal::Again));
    assert_eq!(answer(&mut approval, approve("carl", &["leads"])), Ok(Some(Resolution::Approved)));
}

#[test]
fn one_of_two_groups_is_not_both() {
    let mut approval = asked(&[gate("g", vec![all(&[("leads", 2), ("treasury", 1)])])]);
    for lead in ["bea", "carl", "dan"] {
        assert_eq!(answer(&mut approval, approve(lead, &["leads"])), Ok(None), "{lead}");
    }
    assert_eq!(answer(&mut approval, approve("eve", &["treasury"])), Ok(Some(Resolution::Approved)));
}

#[test]
fn one_alternative_is_enough() {
    let alternatives =
        vec![Alternative { all_of: vec![quorum("leads", 2)] }, Alternative { all_of: vec![quorum("board", 1)] }];
    let gates = [gate("g", vec![Stage { any_of: alternatives }])];
    let mut approval = asked(&gates);
    assert_eq!(answer(&mut approval, approve("bea", &["leads"])), Ok(None));
    assert_eq!(answer(&mut approval, approve("fay", &["board"])), Ok(Some(Resolution::Approved)));
}

#[test]
fn stages_follow_each_other() {
    let mut approval = asked(&[gate("g", vec![all(&[("leads", 1)]), all(&[("board", 1)])])]);
    assert_eq!(answer(&mut approval, approve("fay", &["board"])), Err(Illegal::NotAsked));
    assert_eq!(answer(&mut approval, approve("gus", &["leads", "board"])), Ok(None));
    // Whoever counted for the first stage does not count for the second.
    assert_eq!(answer(&mut approval, approve("gus", &["leads", "board"])), Err(Illegal::Again));
    assert_eq!(answer(&mut approval, approve("fay", &["board"])), Ok(Some(Resolution::Approved)));
}

#[test]
fn all_gates_must_be_satisfied() {
    let gates = [gate("one", vec![all(&[("leads", 1)])]), gate("two", vec![all(&[("legal", 1)])])];
    let mut approval = asked(&gates);
    assert_eq!(answer(&mut approval, approve("bea", &["leads"])), Ok(None));
    assert_eq!(answer(&mut approval, approve("hal", &["legal"])), Ok(Some(Resolution::Approved)));
}

#[test]
fn one_no_is_the_end() {
    let mut approval = asked(&[gate("g", vec![all(&[("leads", 2)])])]);
    assert_eq!(answer(&mut approval, approve("bea", &["leads"])), Ok(None));
    assert_eq!(answer(&mut approval, review(Answer::Deny, "carl", &["leads"])), Ok(Some(Resolution::Denied)));
    assert_eq!(answer(&mut approval, approve("dan", &["leads"])), Err(Illegal::Closed("denied")));
    assert_eq!(consume(&mut approval, 1, 2), Err(Illegal::NotGranted));
}

#[test]
fn whoever_said_yes_may_say_no_and_take_it_back() {
    let mut approval = asked(&[gate("g", vec![all(&[("leads", 2)])])]);
    assert_eq!(answer(&mut approval, approve("bea", &["leads"])), Ok(None));
    assert_eq!(answer(&mut approval, review(Answer::Withdraw, "bea", &["leads"])), Ok(None));
    assert_eq!(answer(&mut approval, review(Answer::Withdraw, "bea", &["leads"])), Err(Illegal::NothingToWithdraw));
    assert_eq!(answer(&mut approval, approve("carl", &["leads"])), Ok(None), "what was taken back does not count");
    assert_eq!(answer(&mut approval, approve("bea", &["leads"])), Ok(Some(Resolution::Approved)));
}

#[test]
fn whoever_has_to_do_with_the_call_stays_out() {
    let mut approval = asked(&[gate("g", vec![all(&[("leads", 1)])])]);
    assert_eq!(answer(&mut approval, approve("ana", &["leads"])), Err(Illegal::Excluded(Role::Initiator)));
    let stand_in = Review { on_behalf_of: Some("ana".into()), ..approve("bea", &["leads"]) };
    assert_eq!(answer(&mut approval, stand_in), Err(Illegal::Excluded(Role::Initiator)));
    assert_eq!(answer(&mut approval, approve("kim", &["cleaners"])), Err(Illegal::NotAsked));
    assert_eq!(answer(&mut approval, review(Answer::Deny, "kim", &["cleaners"])), Err(Illegal::NotAsked));
    assert_eq!(answer(&mut approval, review(Answer::Recuse, "carl", &["leads"])), Ok(None));
    assert_eq!(answer(&mut approval, approve("carl", &["leads"])), Err(Illegal::Recused));
}

#[test]
fn a_stand_in_is_one_person_with_whom_they_stand_in_for() {
    let mut approval = asked(&[gate("g", vec![all(&[("leads", 2)])])]);
    let stand_in = Review { on_behalf_of: Some("carl".into()), ..approve("bea", &["leads"]) };
    assert_eq!(answer(&mut approval, stand_in.clone()), Ok(None));
    assert_eq!(answer(&mut approval, stand_in.clone()), Err(Illegal::Replayed));
    assert_eq!(answer(&mut approval, Review { nonce: "other".into(), ..stand_in }), Err(Illegal::Again));
    assert_eq!(answer(&mut approval, approve("bea", &["leads"])), Err(Illegal::Again));
    assert_eq!(answer(&mut approval, approve("carl", &["leads"])), Err(Illegal::Again));
    assert_eq!(answer(&mut approval, approve("dan", &["leads"])), Ok(Some(Resolution::Approved)));
}

#[test]
fn answers_that_are_not_sure_enough_do_not_count() {
    let mut approval = asked(&[gate("g", vec![all(&[("leads", 1)])])]);
    let unsure = |answer| Review { assurance: Assurance::OsUser, ..review(answer, "bea", &["leads"]) };
    assert_eq!(answer(&mut approval, unsure(Answer::Approve)), Err(Illegal::Unsure));
    assert_eq!(answer(&mut approval, unsure(Answer::Deny)), Err(Illegal::Unsure));
    let other = Review { shown_sha256: sha256(9), ..approve("bea", &["leads"]) };
    assert_eq!(answer(&mut approval, other), Err(Illegal::OtherView));
}

#[test]
fn both_clocks_end() {
    let gates = [gate("g", vec![all(&[("leads", 1)])])];
    let mut approval = asked(&gates);
    assert_eq!(answer_at(&mut approval, approve("bea", &["leads"]), 600_001), Err(Illegal::Late));
    let expired = event(&gates, ApprovalEvent::Expired);
    assert_eq!(approval.take(&expired, at(600_000)), Err(Illegal::Unfounded));
    assert_eq!(approval.take(&expired, at(600_001)), Ok(()));
    assert_eq!(answer(&mut approval, approve("bea", &["leads"])), Err(Illegal::Closed("expired")));

    let mut approval = asked(&gates);
    assert_eq!(answer_at(&mut approval, approve("bea", &["leads"]), 1_000), Ok(Some(Resolution::Approved)));
    assert_eq!(consume(&mut approval, 1, 61_001), Err(Illegal::Late));
    assert_eq!(consume(&mut approval, 1, 61_000), Ok(()));
    assert_eq!(consume(&mut approval, 2, 2_000), Err(Illegal::UsedUp));
    assert_eq!(approval.take(&expired, at(61_001)), Err(Illegal::Unfounded), "what is used up does not expire");
}

#[test]
fn uses_are_counted_and_what_is_revoked_is_gone() {
    let gates = [Gate { uses: 2, ..gate("g", vec![all(&[("leads", 1)])]) }];
    let mut approval = asked(&gates);
    let revoked = ApprovalRecord { who: Some("dan".to_owned()), ..event(&gates, ApprovalEvent::Revoked) };
    assert_eq!(approval.take(&revoked, at(1)), Err(Illegal::NotGranted));
    answer(&mut approval, approve("bea", &["leads"])).unwrap();
    assert_eq!(consume(&mut approval, 2, 2), Err(Illegal::Unfounded));
    assert_eq!(consume(&mut approval, 1, 2), Ok(()));
    assert_eq!(approval.take(&revoked, at(3)), Ok(()));
    assert_eq!(consume(&mut approval, 2, 4), Err(Illegal::NotGranted));
}

fn escalate(approval: &mut Approval, gate: &str, n: u64) -> Result<(), Illegal> {
    let gates = approval.question.gates.clone();
    approval.take(&ApprovalRecord { gate: Some(gate.into()), ..event(&gates, ApprovalEvent::Escalated) }, at(n))
}

fn escalating(gate: Gate) -> Gate {
    Gate { escalate: Some(Escalation { after_s: 60, group: "directors".into() }), ..gate }
}

#[test]
fn an_escalation_adds_people_and_lowers_nothing() {
    let stages = vec![all(&[("leads", 1), ("treasury", 1)]), all(&[("board", 1)])];
    let mut approval = asked(&[escalating(gate("g", stages)), gate("plain", vec![all(&[("leads", 1)])])]);
    let early = approve("dora", &["directors"]);
    assert_eq!(answer(&mut approval, early.clone()), Err(Illegal::NotAsked));
    assert_eq!(escalate(&mut approval, "g", 59_999), Err(Illegal::Early));
    assert_eq!(escalate(&mut approval, "plain", 60_000), Err(Illegal::Unfounded));
    assert_eq!(escalate(&mut approval, "other", 60_000), Err(Illegal::Unfounded));
    assert_eq!(answer(&mut approval, approve("bea", &["leads"])), Ok(None));
    assert_eq!(escalate(&mut approval, "g", 60_000), Ok(()));
    assert_eq!(escalate(&mut approval, "g", 60_001), Err(Illegal::Unfounded), "once");
    assert_eq!(approval.tallies()[0].escalated_to.as_deref(), Some("directors"));
    // She counts wherever the gate asks, once, and in no other gate.
    assert_eq!(answer_at(&mut approval, early, 60_002), Ok(None));
    assert_eq!(approval.tallies()[0].stage, 1);
    assert_eq!(answer_at(&mut approval, approve("dora", &["directors"]), 60_003), Err(Illegal::Again));
    assert_eq!(
        answer_at(&mut approval, approve("dirk", &["directors"]), 60_004),
        Ok(Some(Resolution::Approved)),
        "two gates, each with its persons"
    );
    assert_eq!(escalate(&mut approval, "g", 60_005), Err(Illegal::Closed("approved")));
}

#[test]
fn whoever_answered_before_an_escalation_counts_as_they_did() {
    let gates = [escalating(gate("g", vec![all(&[("leads", 1)])])), gate("other", vec![all(&[("directors", 2)])])];
    let mut approval = asked(&gates);
    assert_eq!(answer(&mut approval, approve("dora", &["directors"])), Ok(None));
    assert_eq!(escalate(&mut approval, "g", 60_000), Ok(()));
    assert_eq!(approval.tallies()[0].approved_by, Vec::<Arc<str>>::new());
    assert_eq!(
        answer_at(&mut approval, approve("dora", &["directors"]), 60_001),
        Ok(None),
        "she answers for this one too"
    );
    assert_eq!(answer_at(&mut approval, approve("dirk", &["directors"]), 60_002), Ok(Some(Resolution::Approved)));
}

fn glass(gate: Gate, need: u32) -> Gate {
    Gate { break_glass: Some(BreakGlass { grant_s: 10, group: "oncall".into(), need, review_s: 3_600 }), ..gate }
}

fn breaks(reviewer: &str, groups: &[&str]) -> Review {
    Review { ticket: Some("INC-1".to_owned()), ..review(Answer::BreakGlass, reviewer, groups) }
}

#[test]
fn broken_glass_gives_little_and_demands_a_review() {
    let gates = [
        glass(Gate { uses: 5, ..gate("g", vec![all(&[("leads", 1), ("treasury", 1)])]) }, 2),
        gate("plain", vec![all(&[("legal", 1)])]),
    ];
    let mut approval = asked(&gates);
    assert_eq!(answer(&mut approval, breaks("ana", &["oncall"])), Err(Illegal::Excluded(Role::Initiator)));
    assert_eq!(answer(&mut approval, breaks("bea", &["leads"])), Err(Illegal::NotAsked));
    let untold = Review { ticket: None, ..breaks("otto", &["oncall"]) };
    assert_eq!(answer(&mut approval, untold), Err(Illegal::Lacking));
    let empty = Review { ticket: Some(" ".to_owned()), ..breaks("otto", &["oncall"]) };
    assert_eq!(answer(&mut approval, empty), Err(Illegal::Lacking));
    let ticket = Review { ticket: Some("INC-1".to_owned()), ..approve("bea", &["leads"]) };
    assert_eq!(answer(&mut approval, ticket), Err(Illegal::Unfounded));
    let stand_in = Review { on_behalf_of: Some("olli".into()), ..breaks("otto", &["oncall"]) };
    assert_eq!(answer(&mut approval, stand_in), Err(Illegal::NotAsked));
    let unsure = Review { assurance: Assurance::OsUser, ..breaks("otto", &["oncall"]) };
    assert_eq!(answer(&mut approval, unsure), Err(Illegal::Unsure));
    assert_eq!(
        answer(&mut approval, approve("otto", &["oncall"])),
        Err(Illegal::NotAsked),
        "the glass is no short cut"
    );
    assert_eq!(answer(&mut approval, breaks("otto", &["oncall"])), Ok(None));
    assert_eq!(answer(&mut approval, breaks("otto", &["oncall"])), Err(Illegal::Again));
    assert_eq!(answer(&mut approval, review(Answer::Withdraw, "otto", &["oncall"])), Ok(None));
    assert_eq!(answer(&mut approval, breaks("otto", &["oncall"])), Ok(None));
    assert_eq!(answer(&mut approval, breaks("olli", &["oncall"])), Ok(None), "the other gate has no glass");
    let (demanded, due) = approval.broken_glass("pay", at(1)).unwrap();
    assert_eq!(demanded.groups, ["leads".into(), "treasury".into()]);
    assert_eq!(demanded.excluded, ["ana".into(), "olli".into(), "otto".into()]);
    assert_eq!((&*demanded.mission, due), ("pay", at(3_600_001)));
    assert_eq!(answer(&mut approval, approve("hal", &["legal"])), Ok(Some(Resolution::Approved)));
    let State::Approved(grant) = &approval.state else { panic!("{:?}", approval.state) };
    assert_eq!(*grant, Grant { break_glass: vec!["g".into()], not_after: at(10_001), totals: Vec::new(), uses: 1 });
}

#[test]
fn what_is_satisfied_is_not_broken_and_a_no_still_counts() {
    let gates = [glass(gate("g", vec![all(&[("leads", 2)])]), 1)];
    let mut approval = asked(&gates);
    assert_eq!(answer(&mut approval, approve("bea", &["leads"])), Ok(None));
    assert_eq!(answer(&mut approval, approve("carl", &["leads"])), Ok(Some(Resolution::Approved)));
    assert_eq!(approval.broken_glass("pay", at(1)), None);
    assert_eq!(
        approval.grant(at(0)),
        Grant { break_glass: Vec::new(), not_after: at(60_000), totals: Vec::new(), uses: 1 }
    );
    let mut approval = asked(&gates);
    assert_eq!(answer(&mut approval, review(Answer::Deny, "bea", &["leads"])), Ok(Some(Resolution::Denied)));
    assert_eq!(answer(&mut approval, breaks("otto", &["oncall"])), Err(Illegal::Closed("denied")));
}

#[test]
fn people_are_reminded_at_most_so_often() {
    let gates = [Gate { remind_s: Some(5), ..gate("g", vec![all(&[("leads", 1)])]) }];
    let mut approval = asked(&gates);
    let remind = |approval: &mut Approval, n| approval.take(&event(&gates, ApprovalEvent::Reminded), at(n));
    assert_eq!(remind(&mut approval, 4_999), Err(Illegal::Early));
    for often in 1..=u64::from(REMINDERS_MAX) {
        assert_eq!(remind(&mut approval, often * 5_000), Ok(()));
        assert_eq!(remind(&mut approval, often * 5_000 + 4_999), Err(Illegal::Early));
    }
    assert_eq!(remind(&mut approval, 599_000), Err(Illegal::Unfounded));
    let mut approval = asked(&gates);
    assert_eq!(remind(&mut approval, 600_001), Err(Illegal::Late));
    let mut silent = asked(&[gate("g", vec![all(&[("leads", 1)])])]);
    let record = event(&silent.question.gates.clone(), ApprovalEvent::Reminded);
    assert_eq!(silent.take(&record, at(5_000)), Err(Illegal::Unfounded));
}

#[test]
fn a_quorum_that_nobody_can_fill_any_more_is_named() {
    let everybody = [("bea", "leads"), ("carl", "leads"), ("fay", "board")];
    let unreachable = |approval: &Approval, away: &[&str]| {
        approval.unreachable(|out| {
            let left = everybody.iter().filter(|(name, _)| !away.contains(name) && !out.contains(&Arc::from(*name)));
            left.map(|(_, group)| vec![Arc::from(*group)]).collect()
        })
    };
    let mut approval = asked(&[escalating(gate("g", vec![all(&[("leads", 2)]), all(&[("board", 1)])]))]);
    assert!(unreachable(&approval, &[]).is_empty());
    assert_eq!(unreachable(&approval, &["fay"]), ["g".into()], "a later stage");
    assert_eq!(answer(&mut approval, approve("bea", &["leads"])), Ok(None));
    assert!(unreachable(&approval, &["bea"]).is_empty(), "what was answered stays");
    assert_eq!(answer(&mut approval, review(Answer::Recuse, "carl", &["leads"])), Ok(None));
    assert_eq!(unreachable(&approval, &[]), ["g".into()]);
    assert_eq!(answer(&mut approval, review(Answer::Withdraw, "bea", &["leads"])), Ok(None));
    assert_eq!(unreachable(&approval, &[]), ["g".into()]);
}

#[test]
fn whoever_asked_gives_back_what_is_not_needed() {
    let gates = [Gate { uses: 2, ..gate("g", vec![all(&[("leads", 1)])]) }];
    let by = |who: Option<&str>, what| ApprovalRecord { who: who.map(str::to_owned), ..event(&gates, what) };
    let withdrawn =
        |who| ApprovalRecord { resolution: Some(Resolution::Withdrawn), ..by(who, ApprovalEvent::Resolved) };
    let mut approval = asked(&gates);
    assert_eq!(approval.take(&by(Some("ana"), ApprovalEvent::Released), at(1)), Err(Illegal::NotGranted));
    assert_eq!(approval.take(&withdrawn(None), at(1)), Err(Illegal::Lacking));
    assert_eq!(approval.take(&withdrawn(Some("ana")), at(1)), Ok(()));
    assert_eq!(answer(&mut approval, approve("bea", &["leads"])), Err(Illegal::Closed("withdrawn")));

    let mut approval = asked(&gates);
    answer(&mut approval, approve("bea", &["leads"])).unwrap();
    assert_eq!(approval.take(&withdrawn(Some("ana")), at(1)), Err(Illegal::Closed("approved")));
    assert_eq!(consume(&mut approval, 1, 2), Ok(()));
    assert_eq!(approval.take(&by(None, ApprovalEvent::Released), at(3)), Err(Illegal::Lacking));
    let mut used_up = approval.clone();
    assert_eq!(consume(&mut used_up, 2, 3), Ok(()));
    assert_eq!(used_up.take(&by(Some("ana"), ApprovalEvent::Released), at(3)), Err(Illegal::UsedUp));
    assert_eq!(approval.take(&by(Some("ana"), ApprovalEvent::Released), at(3)), Ok(()));
    assert_eq!(consume(&mut approval, 2, 4), Err(Illegal::NotGranted));
    assert_eq!(approval.take(&event(&gates, ApprovalEvent::Expired), at(90_000)), Err(Illegal::Unfounded));
}

#[test]
fn what_does_not_follow_is_refused() {
    let gates = [gate("g", vec![all(&[("leads", 1)])])];
    let mut approval = asked(&gates);
    let resolved = |resolution, grant| ApprovalRecord {
        grant,
        resolution: Some(resolution),
        ..event(&gates, ApprovalEvent::Resolved)
    };
    let grant = Some(approval.grant(at(1)));
    assert_eq!(approval.take(&resolved(Resolution::Approved, grant.clone()), at(1)), Err(Illegal::Unfounded));
    assert_eq!(approval.take(&resolved(Resolution::Denied, None), at(1)), Err(Illegal::Unfounded));
    let other = ApprovalRecord { call_sha256: sha256(8), ..event(&gates, ApprovalEvent::Review) };
    assert_eq!(approval.take(&other, at(1)), Err(Illegal::Bound));
    let answered = ApprovalRecord { review: Some(approve("bea", &["leads"])), ..event(&gates, ApprovalEvent::Review) };
    approval.take(&answered, at(1)).unwrap();
    let longer = Grant { uses: 2, ..approval.grant(at(1)) };
    assert_eq!(approval.take(&resolved(Resolution::Approved, Some(longer)), at(1)), Err(Illegal::Unfounded));
    assert_eq!(approval.take(&resolved(Resolution::Approved, grant), at(1)), Ok(()));
    let looser = [gate("g", vec![all(&[("anybody", 1)])])];
    let question = Some(asked(&gates).question);
    let forged = ApprovalRecord { question, ..event(&looser, ApprovalEvent::Requested) };
    assert_eq!(Approval::begin(&forged, at(0)).map(drop), Err(Illegal::Unfounded));
}

#[test]
fn a_statement_holds_everything_that_is_answered() {
    let (approval, other) = (ApprovalId::from_bytes([7; 16]), ApprovalId::from_bytes([8; 16]));
    let first = approve("bea", &["leads"]);
    let of = |review: &Review| statement(approval, &sha256(1), &sha256(2), review);
    let mut statements = vec![
        of(&first),
        statement(other, &sha256(1), &sha256(2), &first),
        statement(approval, &sha256(9), &sha256(2), &first),
        statement(approval, &sha256(1), &sha256(9), &first),
        of(&Review { answer: Answer::Deny, ..first.clone() }),
        of(&Review { reason: "other".into(), ..first.clone() }),
        of(&Review { nonce: "other".into(), ..first.clone() }),
        of(&Review { reviewer: "carl".into(), ..first.clone() }),
        of(&Review { on_behalf_of: Some("carl".into()), ..first.clone() }),
        of(&Review { shown_sha256: sha256(9), ..first.clone() }),
        of(&Review { ticket: Some("INC-1".to_owned()), ..first.clone() }),
        of(&Review { signed_at: at(5), ..first }),
    ];
    let count = statements.len();
    statements.sort();
    statements.dedup();
    assert_eq!(statements.len(), count, "two statements are the same");
    assert!(statements.iter().all(|statement| statement.starts_with(b"countersign review v1\n")));
}

/// Whether some way of giving each person one quorum fills them all: the obvious way, which tries every one.
fn fills_by_trying(quorums: &[(usize, u32)], persons: &[Vec<usize>]) -> bool {
    let Some((person, rest)) = persons.split_first() else { return quorums.iter().all(|(_, need)| *need == 0) };
    let without = fills_by_trying(quorums, rest);
    without
        || quorums.iter().enumerate().any(|(at, (group, need))| {
            let mut less = quorums.to_vec();
            less[at].1 = need.saturating_sub(1);
            *need > 0 && person.contains(group) && fills_by_trying(&less, rest)
        })
}

/// Whether the persons of `yes`, in the order of their answers, satisfy a gate of one stage: every one of them who answered since the escalation and was added by it may stand
/// wherever the gate asks. By trying every way.
fn satisfied_by_trying(quorums: &[(usize, u32)], yes: &[(Vec<usize>, bool)], added: usize) -> bool {
    let everywhere: Vec<usize> = quorums.iter().map(|(group, _)| *group).collect();
    let widened = yes.iter().map(|(groups, is_since)| match *is_since && groups.contains(&added) {
        true => everywhere.clone(),
        false => groups.clone(),
    });
    fills_by_trying(quorums, &widened.collect::<Vec<_>>())
}

proptest! {
    #[test]
    fn quorums_are_filled_if_and_only_if_there_is_a_way(
        quorums in prop::collection::vec((0..4_usize, 1..4_u32), 1..4),
        persons in prop::collection::vec(prop::collection::btree_set(0..4_usize, 1..4), 0..7),
    ) {
        let group = |group: usize| ["a", "b", "c", "d"][group];
        let named: Vec<(&str, u32)> = quorums.iter().map(|(at, need)| (group(*at), *need)).collect();
        let stage = all(&named);
        let reviews: Vec<Review> = persons.iter().enumerate().map(|(at, groups)| {
            let groups: Vec<&str> = groups.iter().map(|at| group(*at)).collect();
            approve(&format!("p{at}"), &groups)
        }).collect();
        let given: Vec<Vec<Arc<str>>> = reviews.iter().map(|review| review.groups.clone()).collect();
        let persons: Vec<Vec<usize>> = persons.into_iter().map(|groups| groups.into_iter().collect()).collect();
        prop_assert_eq!(quorum::is_met(&stage, &given), fills_by_trying(&quorums, &persons));
    }

    /// A gate is satisfied with the first answer with which there is a way to place everybody, and not before; an escalation in between only adds ways.
    #[test]
    fn an_escalated_gate_is_satisfied_if_and_only_if_there_is_a_way(
        quorums in prop::collection::vec((0..3_usize, 1..3_u32), 1..3),
        persons in prop::collection::vec(prop::collection::btree_set(0..4_usize, 1..3), 1..7),
        since in 0..8_usize,
    ) {
        const NAMES: [&str; 4] = ["a", "b", "c", "directors"];
        let named: Vec<(&str, u32)> = quorums.iter().map(|(at, need)| (NAMES[*at], *need)).collect();
        let mut approval = asked(&[escalating(gate("g", vec![all(&named)]))]);
        let mut yes = Vec::new();
        for (place, groups) in persons.iter().enumerate() {
            if place == since {
                prop_assert_eq!(escalate(&mut approval, "g", 60_000), Ok(()));
            }
            let groups: Vec<usize> = groups.iter().copied().collect();
            let named: Vec<&str> = groups.iter().map(|at| NAMES[*at]).collect();
            let is_asked = groups.iter().any(|group| quorums.iter().any(|(asked, _)| asked == group));
            let is_since = place >= since;
            let given = answer_at(&mut approval, approve(&format!("p{place}"), &named), 60_000);
            if !(is_asked || is_since && groups.contains(&3)) {
                prop_assert_eq!(given, Err(Illegal::NotAsked));
                continue;
            }
            yes.push((groups, is_since));
            let expected = satisfied_by_trying(&quorums, &yes, 3);
            prop_assert_eq!(given, Ok(expected.then_some(Resolution::Approved)));
            if expected {
                break;
            }
        }
    }

    /// With glass: approved with the first answer with which each gate has its persons, or its persons for emergencies, and never before; what was broken is what was not satisfied.
    #[test]
    fn glass_is_broken_if_and_only_if_a_gate_is_not_satisfied(
        needs in prop::collection::vec((0..2_usize, 1..3_u32, 0..3_u32), 1..3),
        answers in prop::collection::vec((0..6_usize, prop::bool::ANY), 0..10),
    ) {
        const GROUPS: [&str; 2] = ["a", "b"];
        let persons: [(&str, &[&str]); 6] = [
            ("bea", &["a"]), ("carl", &["a", "b"]), ("dan", &["b", "oncall"]), ("eve", &["a", "oncall"]),
            ("otto", &["oncall"]), ("ana", &["a", "b", "oncall"]),
        ];
        let gates: Vec<Gate> = needs.iter().zip(["one", "two"]).map(|((group, need, broken), name)| {
            let plain = gate(name, vec![all(&[(GROUPS[*group], *need)])]);
            if *broken == 0 { plain } else { glass(plain, *broken) }
        }).collect();
        let mut approval = asked(&gates);
        let (mut yes, mut broken) = (std::collections::BTreeSet::new(), std::collections::BTreeSet::new());
        for (person, breaking) in answers {
            let (name, groups) = persons[person];
            let given = if breaking { breaks(name, groups) } else { approve(name, groups) };
            let taken = answer(&mut approval, given);
            if taken.is_ok() {
                prop_assert!(name != "ana");
                if breaking { broken.insert(person) } else { yes.insert(person) };
            }
            let count = |of: &std::collections::BTreeSet<usize>, group: &str| {
                u32::try_from(of.iter().filter(|at| persons[**at].1.contains(&group)).count()).unwrap()
            };
            let satisfied: Vec<bool> = needs.iter().map(|(group, need, _)| count(&yes, GROUPS[*group]) >= *need).collect();
            let passed = needs.iter().zip(&satisfied).all(|((_, _, need), satisfied)| {
                *satisfied || (*need > 0 && count(&broken, "oncall") >= *need)
            });
            let is_approved = matches!(approval.state, State::Approved(_));
            prop_assert_eq!(is_approved, passed);
            if let State::Approved(grant) = &approval.state {
                let skipped: Vec<Arc<str>> =
                    gates.iter().zip(&satisfied).filter(|(_, satisfied)| !**satisfied).map(|(gate, _)| gate.name.clone()).collect();
                prop_assert_eq!(&grant.break_glass, &skipped);
                prop_assert_eq!(approval.broken_glass("m", at(1)).is_some(), !skipped.is_empty());
                let seconds = if skipped.is_empty() { 60_000 } else { 10_000 };
                prop_assert_eq!(grant.not_after, at(1 + seconds));
                break;
            }
        }
    }

    /// Whatever is answered in whatever order: nothing is approved unless every gate has its persons, no excluded one among them, and nobody said no.
    #[test]
    fn nothing_is_approved_without_its_persons(
        answers in prop::collection::vec((0..7_usize, prop::sample::select(Answer::ALL)), 0..12),
        needs in (1..3_u32, 1..3_u32),
    ) {
        let gates = [gate("g", vec![all(&[("leads", needs.0)]), all(&[("board", needs.1)])])];
        let mut approval = asked(&gates);
        let persons = [
            ("ana", vec!["leads"]), ("bea", vec!["leads"]), ("carl", vec!["leads", "board"]), ("dan", vec!["board"]),
            ("eve", vec!["board", "leads"]), ("fay", vec!["leads"]), ("gus", vec!["board"]),
        ];
        let mut said = std::collections::BTreeMap::new();
        for (person, what) in answers {
            let (name, groups) = &persons[person];
            let before = approval.clone();
            if answer(&mut approval, review(what, name, groups)).is_err() {
                prop_assert_eq!(&approval, &before, "what is refused changes nothing");
                continue;
            }
            match what {
                Answer::Withdraw => drop(said.remove(name)),
                Answer::Approve | Answer::Deny | Answer::Edit => drop(said.insert(*name, (what, groups.clone()))),
                Answer::Ask | Answer::BreakGlass | Answer::Recuse => {}
            }
        }
        let yes = said.iter().filter(|(_, (answer, _))| *answer == Answer::Approve);
        let yes: Vec<_> = yes.map(|(name, (_, groups))| (*name, groups)).collect();
        if matches!(approval.state, State::Approved(_)) {
            let total = usize::try_from(needs.0 + needs.1).unwrap();
            prop_assert!(yes.len() >= total);
            prop_assert!(yes.iter().all(|(name, _)| *name != "ana"));
            prop_assert!(said.values().all(|(answer, _)| *answer == Answer::Approve));
            let of = |group: &str| yes.iter().filter(|(_, groups)| groups.contains(&group)).count();
            prop_assert!(of("leads") >= usize::try_from(needs.0).unwrap());
            prop_assert!(of("board") >= usize::try_from(needs.1).unwrap());
        } else {
            prop_assert!(consume(&mut approval, 1, 2).is_err());
        }
    }
}

#[test]
fn an_outcome_is_delivered_once_and_only_of_a_use_that_was_consumed() {
    let gates = [Gate { uses: 2, ..gate("g", vec![all(&[("leads", 1)])]) }];
    let mut approval = asked(&gates);
    let delivered = |used| ApprovalRecord { used, ..event(&gates, ApprovalEvent::Delivered) };
    assert_eq!(approval.take(&delivered(Some(1)), at(1)), Err(Illegal::Unused));
    assert_eq!(answer(&mut approval, approve("bea", &["leads"])), Ok(Some(Resolution::Approved)));
    assert_eq!(approval.take(&delivered(Some(1)), at(2)), Err(Illegal::Unused));
    assert_eq!(consume(&mut approval, 1, 2), Ok(()));
    for (used, want) in
        [(None, Err(Illegal::Lacking)), (Some(0), Err(Illegal::Unused)), (Some(2), Err(Illegal::Unused))]
    {
        assert_eq!(approval.take(&delivered(used), at(3)), want);
    }
    // What was taken back since has run all the same.
    let revoked = ApprovalRecord {
        who: Some("dan".into()),
        why: Some("paid by hand".into()),
        ..event(&gates, ApprovalEvent::Revoked)
    };
    assert_eq!(approval.take(&revoked, at(3)), Ok(()));
    assert_eq!(approval.take(&delivered(Some(1)), at(90_000)), Ok(()));
    assert_eq!(approval.take(&delivered(Some(1)), at(90_000)), Err(Illegal::Delivered));
}
