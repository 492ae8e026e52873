//! What a log must say, counted anew from its records: nothing here is shared with the fold of approvals, the book or `verify`.
//!
//! An execution counts only with an intent before it, and with a use of an approval before that whose answers, tried in every way in which persons can be given to the
//! places of the gates, fill them.

use std::collections::{BTreeMap, BTreeSet};

use evidence::ids::{ApprovalId, CallId};
use evidence::record::approval::{Answer, ApprovalEvent, ApprovalRecord, Gate, Resolution, Stage};
use evidence::record::{ActionEvent, Body, DecisionPoint, DecisionRecord, Effect, Record};
use evidence::time::Timestamp;

/// An execution that somebody saw.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ran {
    pub(super) approval: Option<ApprovalId>,
    pub(super) call: CallId,
    /// How many records were durable when it began.
    pub(super) durable: u64,
    /// The number of its intent.
    pub(super) intent: u64,
}

/// An answer that an agent got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) call: CallId,
    pub(super) durable: u64,
    pub(super) what: String,
}

/// What holds beside the records: who is who.
#[derive(Clone, Debug)]
pub(super) struct Law {
    /// Who must never answer.
    pub(super) excluded: Vec<&'static str>,
    /// By group.
    pub(super) members: Vec<(&'static str, Vec<&'static str>)>,
}

/// One approval as its records tell it.
#[derive(Debug)]
pub(super) struct Life<'r> {
    /// What ended it, with the record's place.
    pub(super) ended: Option<(usize, ApprovalEvent)>,
    pub(super) opened_at: Timestamp,
    pub(super) requested: (&'r Record, &'r ApprovalRecord),
    pub(super) resolved: Option<(usize, &'r ApprovalRecord, Timestamp)>,
    pub(super) reviews: Vec<(usize, &'r ApprovalRecord, Timestamp)>,
    /// Each use: the record's place, its number, the call, and when.
    pub(super) uses: Vec<(usize, u32, CallId, Timestamp)>,
}

impl Life<'_> {
    pub(super) fn is_open(&self) -> bool {
        self.resolved.is_none() && self.ended.is_none()
    }

    /// In one word, as the book says it too.
    pub(super) fn word(&self) -> &'static str {
        match (self.ended, self.resolved.and_then(|(_, resolved, _)| resolved.resolution)) {
            (Some((_, ApprovalEvent::Expired)), _) => "expired",
            (Some((_, ApprovalEvent::Released)), _) => "released",
            (Some(_), _) => "revoked",
            (None, Some(Resolution::Approved)) => "approved",
            (None, Some(Resolution::Denied)) => "denied",
            (None, Some(Resolution::Edited)) => "edited",
            (None, Some(Resolution::Withdrawn)) => "withdrawn",
            (None, None) => "open",
        }
    }
}

/// Every approval of a log.
pub(super) fn lives(records: &[Record]) -> Result<BTreeMap<ApprovalId, Life<'_>>, String> {
    let mut lives: BTreeMap<ApprovalId, Life<'_>> = BTreeMap::new();
    for (place, record) in records.iter().enumerate() {
        let Body::Approval(approval) = &record.body else { continue };
        let (id, at) = (approval.approval, record.occurred_at);
        if approval.event == ApprovalEvent::Requested {
            let life = Life {
                ended: None,
                opened_at: at,
                requested: (record, approval),
                resolved: None,
                reviews: Vec::new(),
                uses: Vec::new(),
            };
            if lives.insert(id, life).is_some() {
                return Err(format!("{id} is asked twice"));
            }
            continue;
        }
        let life = lives.get_mut(&id).ok_or_else(|| format!("{id} was never asked"))?;
        let is_over = life.ended.is_some();
        match approval.event {
            ApprovalEvent::Review if life.is_open() => life.reviews.push((place, approval, at)),
            ApprovalEvent::Resolved if life.is_open() => life.resolved = Some((place, approval, at)),
            ApprovalEvent::Consumed if !is_over => {
                let call = record.correlation.call.ok_or("a use of no call")?;
                life.uses.push((place, approval.used.unwrap_or(0), call, at));
            }
            ApprovalEvent::Expired | ApprovalEvent::Released | ApprovalEvent::Revoked if !is_over => {
                life.ended = Some((place, approval.event));
            }
            ApprovalEvent::Delivered | ApprovalEvent::Escalated | ApprovalEvent::Reminded => {}
            event => return Err(format!("{id} is {} and then {event}", life.word())),
        }
    }
    Ok(lives)
}

/// Checks all that was seen against what the log says.
pub(super) fn check(records: &[Record], ran: &[Ran], told: &[Told], law: &Law) -> Result<(), String> {
    let lives = lives(records)?;
    let mut spent = BTreeSet::new();
    for one in ran {
        let use_of = executed(records, &lives, one, law)?;
        if !spent.insert(use_of) {
            return Err(format!("use {} of {} was executed twice", use_of.1, use_of.0));
        }
    }
    let calls: BTreeSet<CallId> = ran.iter().map(|one| one.call).collect();
    if calls.len() != ran.len() {
        return Err("a call was executed twice".to_owned());
    }
    told.iter().try_for_each(|told| {
        let before = records.iter().take(usize::try_from(told.durable).unwrap_or(0));
        let is_decided = before
            .into_iter()
            .any(|record| record.correlation.call == Some(told.call) && matches!(&record.body, Body::Decision(_)));
        match (is_decided, &*told.what) {
            (_, "passed") if !calls.contains(&told.call) => Err(format!("{} passed and was not executed", told.call)),
            (true, _) | (false, "failed") => Ok(()),
            (false, _) => Err(format!("{} was told `{}` before its decision was durable", told.call, told.what)),
        }
    })
}

/// That one execution was allowed; gives the use that it spent.
fn executed(
    records: &[Record],
    lives: &BTreeMap<ApprovalId, Life<'_>>,
    ran: &Ran,
    law: &Law,
) -> Result<(ApprovalId, u32), String> {
    let call = ran.call;
    let wrong = |what: &str| format!("call {call} was executed and {what}");
    if ran.intent > ran.durable {
        return Err(wrong("its intent was not durable"));
    }
    let of_call = |record: &&Record| record.correlation.call == Some(call) && record.seq <= ran.intent;
    let mine: Vec<&Record> = records.iter().filter(of_call).collect();
    let is_intent = |record: &&&Record| {
        record.seq == ran.intent && matches!(&record.body, Body::Action(action) if action.event == ActionEvent::Intent)
    };
    let intent = mine.iter().find(is_intent).ok_or_else(|| wrong("the log has no intent of it"))?;
    let Body::Action(action) = &intent.body else { return Err(wrong("its intent is none")) };
    let last = mine.iter().rev().find_map(|record| decision(record)).ok_or_else(|| wrong("nothing was decided"))?;
    let approval = ran.approval.ok_or_else(|| wrong("its warrant names no approval"))?;
    if last.effect != Effect::Allow || last.point != DecisionPoint::Use || last.approval != Some(approval) {
        return Err(wrong("the last decision is not one that uses its approval"));
    }
    let life = lives.get(&approval).ok_or_else(|| wrong("nobody was asked"))?;
    let used = life.uses.iter().find(|(_, _, user, _)| *user == call).ok_or_else(|| wrong("no use was taken"))?;
    let (place, number, _, at) = *used;
    if records[place].seq >= ran.intent {
        return Err(wrong("its use was taken after its intent"));
    }
    if life.ended.is_some_and(|(ended, _)| ended < place) {
        return Err(wrong("its approval was over"));
    }
    let Some((resolved, resolution, resolved_at)) = life.resolved else { return Err(wrong("nobody had approved it")) };
    if resolution.resolution != Some(Resolution::Approved) || resolved >= place {
        return Err(wrong("it was not approved before"));
    }
    bound(life, action.args_sha256.as_str(), &intent.correlation, last, records).map_err(|what| wrong(&what))?;
    let gates =
        life.requested.1.question.as_ref().map(|question| &question.gates).ok_or_else(|| wrong("no question"))?;
    let respond_by = after(life.opened_at, gates.iter().map(|gate| gate.respond_s).min());
    let not_after = after(resolved_at, gates.iter().map(|gate| gate.grant_s).min());
    let uses = gates.iter().map(|gate| gate.uses).min().unwrap_or(0);
    if at > not_after || resolved_at > respond_by {
        return Err(wrong("its time was over"));
    }
    let numbers: Vec<u32> = life.uses.iter().map(|(_, number, ..)| *number).collect();
    if number == 0 || number > uses || numbers.iter().filter(|other| **other == number).count() != 1 {
        return Err(wrong(&format!("use {number} of {uses} was taken, of {numbers:?}")));
    }
    let answers: Vec<_> = life.reviews.iter().filter(|(place, ..)| *place < resolved).collect();
    if answers.iter().any(|(_, _, at)| *at > respond_by) {
        return Err(wrong("an answer came too late"));
    }
    for gate in gates {
        if !is_satisfied(gate, &answers.iter().map(|(_, review, _)| *review).collect::<Vec<_>>(), law)? {
            return Err(wrong(&format!("gate `{}` is not satisfied", gate.name)));
        }
    }
    Ok((approval, number))
}

fn decision<'r>(record: &&'r Record) -> Option<&'r DecisionRecord> {
    if let Body::Decision(decision) = &record.body { Some(decision) } else { None }
}

/// That a use is of the very call that people were asked about.
fn bound(
    life: &Life<'_>,
    args_sha256: &str,
    correlation: &evidence::record::Correlation,
    used: &DecisionRecord,
    records: &[Record],
) -> Result<(), String> {
    let (request, asked) = life.requested;
    if asked.question.as_ref().map(|question| &*question.args_sha256) != Some(args_sha256) {
        return Err("people were asked about other arguments".to_owned());
    }
    if request.correlation.run != correlation.run {
        return Err("people were asked about another run".to_owned());
    }
    let asked_by = records
        .iter()
        .filter_map(|record| decision(&record))
        .find(|decision| decision.approval == Some(asked.approval) && decision.point == DecisionPoint::Call);
    match asked_by {
        Some(asked_by) if asked_by.policy.slice_sha256 != used.policy.slice_sha256 => {
            Err("people were asked under other rules".to_owned())
        }
        Some(_) => Ok(()),
        None => Err("no decision asked for it".to_owned()),
    }
}

fn after(at: Timestamp, seconds: Option<u64>) -> Timestamp {
    at.plus_micros(i64::try_from(seconds.unwrap_or(0)).unwrap_or(i64::MAX / 1_000_000) * 1_000_000)
}

/// One yes: where it stands among the answers, whom it takes up, and whose groups count.
struct Yes {
    counts_as: String,
    persons: Vec<String>,
    place: usize,
}

/// Whether the answers satisfy a gate, by trying everything.
fn is_satisfied(gate: &Gate, answers: &[&ApprovalRecord], law: &Law) -> Result<bool, String> {
    let (mut yes, mut no): (Vec<Yes>, Vec<String>) = (Vec::new(), Vec::new());
    for (place, record) in answers.iter().enumerate() {
        let review = record.review.as_ref().ok_or("an answer without one")?;
        let persons: Vec<String> = [Some(&review.reviewer), review.on_behalf_of.as_ref()]
            .into_iter()
            .flatten()
            .map(ToString::to_string)
            .collect();
        if review.answer == Answer::Approve && persons.iter().any(|person| law.excluded.contains(&&**person)) {
            return Ok(false);
        }
        match review.answer {
            Answer::Approve => {
                let counts_as = persons.last().cloned().unwrap_or_default();
                yes.push(Yes { counts_as, persons, place });
            }
            Answer::Deny | Answer::Edit => no.push(review.reviewer.to_string()),
            Answer::Withdraw => {
                yes.retain(|yes| *yes.persons[0] != *review.reviewer);
                no.retain(|who| **who != *review.reviewer);
            }
            Answer::Ask | Answer::BreakGlass | Answer::Recuse => {}
        }
    }
    Ok(no.is_empty() && fill(&gate.stages, &yes, 0, &mut Vec::new(), law))
}

/// Whether all stages can be filled one after the other, with answers from `from` on and nobody twice.
fn fill(stages: &[Stage], yes: &[Yes], from: usize, taken: &mut Vec<usize>, law: &Law) -> bool {
    let Some((stage, later)) = stages.split_first() else { return true };
    stage.any_of.iter().any(|alternative| {
        let places: Vec<&str> = alternative
            .all_of
            .iter()
            .flat_map(|quorum| std::iter::repeat_n(&*quorum.group, quorum.need as usize))
            .collect();
        seat(&places, yes, from, from, taken, later, law)
    })
}

/// Gives somebody to each place, in every way.
fn seat(
    places: &[&str],
    yes: &[Yes],
    from: usize,
    next_from: usize,
    taken: &mut Vec<usize>,
    later: &[Stage],
    law: &Law,
) -> bool {
    let Some((group, rest)) = places.split_first() else { return fill(later, yes, next_from, taken, law) };
    let is_member = |person: &str| law.members.iter().any(|(name, of)| name == group && of.contains(&person));
    (0..yes.len()).any(|at| {
        let one = &yes[at];
        let is_new = taken.iter().all(|other| yes[*other].persons.iter().all(|person| !one.persons.contains(person)));
        if one.place < from || !is_new || !is_member(&one.counts_as) {
            return false;
        }
        taken.push(at);
        let is_filled = seat(rest, yes, from, next_from.max(one.place + 1), taken, later, law);
        taken.pop();
        is_filled
    })
}
