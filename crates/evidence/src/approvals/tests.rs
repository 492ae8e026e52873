use proptest::prelude::*;

use super::*;
use crate::examples::{at, sha256};
use crate::record::approval::{Alternative, Assurance, Excluded, Quorum, Stage};
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
    Gate { assurance: Assurance::DeviceKey, grant_s: 60, name: name.into(), respond_s: 600, stages, uses: 1 }
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
        event,
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
        gates: gates.to_vec(),
        respond_by: at(600_000),
        rules: Vec::new(),
        sentence: String::new(),
        shown_sha256: sha256(3),
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
        reason: "seen".into(),
        reviewer: reviewer.into(),
        shown_sha256: sha256(3),
        signature: None,
        signed_at: at(0),
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
    let revoked = event(&gates, ApprovalEvent::Revoked);
    assert_eq!(approval.take(&revoked, at(1)), Err(Illegal::NotGranted));
    answer(&mut approval, approve("bea", &["leads"])).unwrap();
    assert_eq!(consume(&mut approval, 2, 2), Err(Illegal::Unfounded));
    assert_eq!(consume(&mut approval, 1, 2), Ok(()));
    assert_eq!(approval.take(&revoked, at(3)), Ok(()));
    assert_eq!(consume(&mut approval, 2, 4), Err(Illegal::NotGranted));
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
        let given: Vec<&Review> = reviews.iter().collect();
        let persons: Vec<Vec<usize>> = persons.into_iter().map(|groups| groups.into_iter().collect()).collect();
        prop_assert_eq!(is_met(&stage, &given), fills_by_trying(&quorums, &persons));
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
                Answer::Approve | Answer::Deny => drop(said.insert(*name, (what, groups.clone()))),
                Answer::Ask | Answer::Recuse => {}
            }
        }
        let yes = said.iter().filter(|(_, (answer, _))| *answer == Answer::Approve);
        let yes: Vec<_> = yes.map(|(name, (_, groups))| (*name, groups)).collect();
        if matches!(approval.state, State::Approved(_)) {
            let total = usize::try_from(needs.0 + needs.1).unwrap();
            prop_assert!(yes.len() >= total);
            prop_assert!(yes.iter().all(|(name, _)| *name != "ana"));
            prop_assert!(said.values().all(|(answer, _)| *answer != Answer::Deny));
            let of = |group: &str| yes.iter().filter(|(_, groups)| groups.contains(&group)).count();
            prop_assert!(of("leads") >= usize::try_from(needs.0).unwrap());
            prop_assert!(of("board") >= usize::try_from(needs.1).unwrap());
        } else {
            prop_assert!(consume(&mut approval, 1, 2).is_err());
        }
    }
}
