//! The life of an approval over its records: asked, answered by persons, resolved, used.
//!
//! A fold over the records of one approval, with the thresholds that its request froze: who may still answer, what the answers add up to, whether a use is left. Whoever
//! writes an event asks first, and whoever verifies a log asks again. Start at [`Approval::take`].

mod break_glass;
mod endorsed;
mod illegal;
mod quorum;
mod spend;
mod standing;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::decimal::Number;
use crate::ids::ApprovalId;
use crate::limits::{REMINDERS_MAX, TICKET_BYTES_MAX};
use crate::record::approval::{
    Answer, ApprovalEvent, ApprovalRecord, Gate, Grant, Question, Resolution, Review, Stage, StandingGrant,
};
use crate::record::{Endpoint, Surface, Tool, VersionLog};
use crate::time::Timestamp;
pub use endorsed::{Ground, endorsing};
pub use illegal::{Illegal, Role};
pub use standing::Tally;

/// One approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// Which.
    pub approval: ApprovalId,
    /// What it is bound to.
    pub call_sha256: String,
    /// The uses whose outcomes the agent was handed.
    pub delivered: BTreeSet<u32>,
    /// The gates that were escalated, with the number of answers before that.
    pub escalated: Vec<(Arc<str>, usize)>,
    /// SHA-256 of its gates.
    pub gates_sha256: String,
    /// When people were asked.
    pub opened_at: Timestamp,
    /// What they were asked.
    pub question: Question,
    /// How often those who have not answered were reminded, and when last.
    pub reminded: (u32, Timestamp),
    /// Every answer, in order.
    pub reviews: Vec<Review>,
    /// Where in its life it is.
    pub state: State,
    /// What its uses came to, by the argument that is summed up; of a standing grant.
    pub spent: BTreeMap<Arc<str>, Number>,
    /// The uses that are consumed, by their numbers.
    pub taken: BTreeSet<u32>,
    /// The tool.
    pub tool: Tool,
}

/// Where in its life an approval is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It may be used.
    Approved(Grant),
    /// Somebody said no, with these words.
    Denied(String),
    /// Somebody proposed other arguments, with these words.
    Edited(String),
    /// A clock ended.
    Expired,
    /// Answers are awaited.
    Open,
    /// What was granted was given back.
    Released,
    /// What was granted was taken back.
    Revoked,
    /// The question was taken back.
    Withdrawn,
}

/// SHA-256 of gates with their thresholds.
#[must_use]
pub fn gates_sha256(gates: &[Gate]) -> String {
    // Writing plain fields cannot fail; an empty digest matches nothing.
    serde_json::to_vec(gates).map(|bytes| hex::encode(Sha256::digest(&bytes))).unwrap_or_default()
}

/// What the approval of a change is about: the object, as a tool of the surface `change`.
#[must_use]
pub fn changed(version: &VersionLog) -> Tool {
    let (name, upstream) = (version.object.name.clone(), version.object.kind.as_str().into());
    Tool { endpoint: Endpoint::Tool, name, surface: Surface::Change, upstream }
}

/// What the approval of a change is bound to: what the object was and is to be, who proposes it and why.
#[must_use]
pub fn change_sha256(version: &VersionLog) -> String {
    /// Fields in the order of RFC 8785.
    #[derive(Serialize)]
    struct Bound<'a> {
        from: Option<&'a str>,
        kind: &'a str,
        name: &'a str,
        state: Option<&'a str>,
        to: &'a str,
        v: u32,
        who: &'a str,
        why: &'a str,
    }
    let bound = Bound {
        from: version.from.as_deref(),
        kind: version.object.kind.as_str(),
        name: &version.object.name,
        state: version.state.as_deref(),
        to: &version.to,
        v: 1,
        who: &version.who,
        why: &version.why,
    };
    // Writing plain fields cannot fail; an empty digest matches nothing.
    serde_json::to_vec(&bound).map(|bytes| hex::encode(Sha256::digest(&bytes))).unwrap_or_default()
}

/// Whether persons of these groups, one entry for each of them, could satisfy every stage of `gate`, with those whom an escalation would add, or break its glass. Each stage by itself: that nobody
/// counts for two stages is not looked at.
#[must_use]
pub fn could_satisfy(gate: &Gate, persons: &[Vec<Arc<str>>]) -> bool {
    let is_broken = gate.break_glass.as_ref().is_some_and(|glass| {
        let count = persons.iter().filter(|groups| groups.contains(&glass.group)).count();
        count >= usize::try_from(glass.need).unwrap_or(usize::MAX)
    });
    let is_added = |groups: &[Arc<str>]| gate.escalate.as_ref().is_some_and(|added| groups.contains(&added.group));
    let could_fill = |stage: &Stage| {
        let counting = persons.iter().map(|groups| match is_added(groups) {
            true => quorum::groups(stage).cloned().collect(),
            false => groups.clone(),
        });
        quorum::is_met(stage, &counting.collect::<Vec<_>>())
    };
    is_broken || gate.stages.iter().all(could_fill)
}

/// So many seconds after `at`.
fn after(at: Timestamp, seconds: u64) -> Timestamp {
    at.plus_micros(i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000))
}

/// What a person's key signs: everything that the answer is about, under a name that no other signature has.
#[must_use]
pub fn statement(approval: ApprovalId, call_sha256: &str, gates_sha256: &str, review: &Review) -> Vec<u8> {
    /// Fields in the order of RFC 8785.
    #[derive(Serialize)]
    struct Statement<'a> {
        answer: Answer,
        approval: ApprovalId,
        call_sha256: &'a str,
        gates_sha256: &'a str,
        nonce: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        on_behalf_of: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        proposed_sha256: Option<&'a str>,
        reason_sha256: String,
        reviewer: &'a str,
        shown_sha256: &'a str,
        signed_at: Timestamp,
        #[serde(skip_serializing_if = "Option::is_none")]
        ticket: Option<&'a str>,
        v: u32,
    }
    let statement = Statement {
        answer: review.answer,
        approval,
        call_sha256,
        gates_sha256,
        nonce: &review.nonce,
        on_behalf_of: review.on_behalf_of.as_deref(),
        proposed_sha256: review.proposed_sha256.as_deref(),
        reason_sha256: hex::encode(Sha256::digest(review.reason.as_bytes())),
        reviewer: &review.reviewer,
        shown_sha256: &review.shown_sha256,
        signed_at: review.signed_at,
        ticket: review.ticket.as_deref(),
        v: 1,
    };
    let mut bytes = b"countersign review v1\n".to_vec();
    // Writing plain fields to memory cannot fail.
    let _ = serde_json::to_writer(&mut bytes, &statement);
    bytes
}

impl Approval {
    /// The approval that `record` asks for, at `at`.
    ///
    /// # Errors
    /// [`Illegal`].
    pub fn begin(record: &ApprovalRecord, at: Timestamp) -> Result<Self, Illegal> {
        if record.event != ApprovalEvent::Requested {
            return Err(Illegal::NotRequested);
        }
        let question = record.question.clone().ok_or(Illegal::Lacking)?;
        if question.gates.is_empty() || gates_sha256(&question.gates) != record.gates_sha256 {
            return Err(Illegal::Unfounded);
        }
        if let Some(standing) = &question.standing {
            let may_stand = |gate: &Gate| gate.standing.as_ref().is_some_and(|limit| standing.uses <= limit.uses);
            if !question.gates.iter().all(may_stand) || standing.uses == 0 {
                return Err(Illegal::Unfounded);
            }
        }
        Ok(Self {
            approval: record.approval,
            call_sha256: record.call_sha256.clone(),
            delivered: BTreeSet::new(),
            escalated: Vec::new(),
            gates_sha256: record.gates_sha256.clone(),
            opened_at: at,
            question,
            reminded: (0, at),
            reviews: Vec::new(),
            spent: BTreeMap::new(),
            state: State::Open,
            taken: BTreeSet::new(),
            tool: record.tool.clone(),
        })
    }

    /// Takes the next event, at `at`.
    ///
    /// # Errors
    /// [`Illegal`]; the approval is as it was.
    pub fn take(&mut self, record: &ApprovalRecord, at: Timestamp) -> Result<(), Illegal> {
        let is_other = record.tool != self.tool;
        if is_other || record.call_sha256 != self.call_sha256 || record.gates_sha256 != self.gates_sha256 {
            return Err(Illegal::Bound);
        }
        match record.event {
            ApprovalEvent::Requested => Err(Illegal::Known),
            ApprovalEvent::Review => {
                let review = record.review.as_ref().ok_or(Illegal::Lacking)?;
                self.may_review(review, at)?;
                self.reviews.push(review.clone());
                Ok(())
            }
            ApprovalEvent::Resolved => self.resolve(record, at),
            ApprovalEvent::Consumed => self.consume(record, at),
            // Whatever became of the approval since: what ran is told.
            ApprovalEvent::Delivered => {
                let used = record.used.ok_or(Illegal::Lacking)?;
                if !self.taken.contains(&used) {
                    return Err(Illegal::Unused);
                }
                if self.delivered.insert(used) { Ok(()) } else { Err(Illegal::Delivered) }
            }
            ApprovalEvent::Expired => {
                if !self.is_over(at) {
                    return Err(Illegal::Unfounded);
                }
                self.state = State::Expired;
                Ok(())
            }
            ApprovalEvent::Escalated => {
                let gate = record.gate.as_ref().ok_or(Illegal::Lacking)?;
                self.may_escalate(gate, at)?;
                self.escalated.push((gate.clone(), self.reviews.len()));
                Ok(())
            }
            ApprovalEvent::Reminded => {
                self.may_remind(at)?;
                self.reminded = (self.reminded.0.saturating_add(1), at);
                Ok(())
            }
            ApprovalEvent::Released | ApprovalEvent::Revoked => {
                if !matches!(self.state, State::Approved(_)) {
                    return Err(Illegal::NotGranted);
                }
                if record.who.is_none() {
                    return Err(Illegal::Lacking);
                }
                let is_released = record.event == ApprovalEvent::Released;
                if is_released && matches!(&self.state, State::Approved(grant) if self.used() >= grant.uses) {
                    return Err(Illegal::UsedUp);
                }
                self.state = if is_released { State::Released } else { State::Revoked };
                Ok(())
            }
        }
    }

    /// Whether more people may answer what `gate` asks, from `at` on.
    ///
    /// # Errors
    /// [`Illegal`] says why not.
    pub fn may_escalate(&self, gate: &str, at: Timestamp) -> Result<(), Illegal> {
        self.is_awaited(at)?;
        let named = self.question.gates.iter().find(|known| *known.name == *gate);
        let escalation = named.and_then(|gate| gate.escalate.as_ref()).ok_or(Illegal::Unfounded)?;
        let is_known = self.escalated.iter().any(|(known, _)| **known == *gate);
        let is_satisfied = self.tallies().iter().any(|tally| *tally.gate == *gate && tally.is_satisfied());
        match at < after(self.opened_at, escalation.after_s) {
            true => Err(Illegal::Early),
            false if is_known || is_satisfied => Err(Illegal::Unfounded),
            false => Ok(()),
        }
    }

    /// Whether those who have not answered may be reminded at `at`.
    ///
    /// # Errors
    /// [`Illegal`] says why not.
    pub fn may_remind(&self, at: Timestamp) -> Result<(), Illegal> {
        self.is_awaited(at)?;
        let every = self.question.gates.iter().filter_map(|gate| gate.remind_s).min().ok_or(Illegal::Unfounded)?;
        let (often, last) = self.reminded;
        match at < after(last, every) {
            true => Err(Illegal::Early),
            false if often >= REMINDERS_MAX => Err(Illegal::Unfounded),
            false => Ok(()),
        }
    }

    /// Whether answers are awaited at `at`.
    fn is_awaited(&self, at: Timestamp) -> Result<(), Illegal> {
        self.stays_open()?;
        if at > self.question.respond_by { Err(Illegal::Late) } else { Ok(()) }
    }

    fn resolve(&mut self, record: &ApprovalRecord, at: Timestamp) -> Result<(), Illegal> {
        self.stays_open()?;
        let resolution = record.resolution.ok_or(Illegal::Lacking)?;
        self.state = match resolution {
            Resolution::Withdrawn if record.who.is_none() => return Err(Illegal::Lacking),
            Resolution::Withdrawn => State::Withdrawn,
            _ if self.resolution() != Some(resolution) => return Err(Illegal::Unfounded),
            Resolution::Denied => State::Denied(record.why.clone().unwrap_or_default()),
            Resolution::Edited => State::Edited(record.why.clone().unwrap_or_default()),
            Resolution::Approved => {
                let grant = record.grant.clone().ok_or(Illegal::Lacking)?;
                if grant != self.grant(at) {
                    return Err(Illegal::Unfounded);
                }
                State::Approved(grant)
            }
        };
        Ok(())
    }

    /// What the answers add up to; `None` while that is open.
    #[must_use]
    pub fn resolution(&self) -> Option<Resolution> {
        let is_said = |answer| self.in_force().any(|review| review.answer == answer);
        match (is_said(Answer::Deny), is_said(Answer::Edit)) {
            (true, _) => Some(Resolution::Denied),
            (false, true) => Some(Resolution::Edited),
            (false, false) => self.tallies().iter().all(Tally::is_passed).then_some(Resolution::Approved),
        }
    }

    /// The right that a resolution at `at` gives: of all gates the shortest time and the fewest uses; once, where glass was broken. Of a standing grant what was asked for, no
    /// longer than any gate gives one.
    #[must_use]
    pub fn grant(&self, at: Timestamp) -> Grant {
        if let Some(StandingGrant { endorses: _, name: _, totals, until, uses }) = &self.question.standing {
            let limits = self.question.gates.iter().filter_map(|gate| gate.standing.as_ref());
            let not_after = after(at, limits.map(|limit| limit.for_s).min().unwrap_or(0)).min(*until);
            return Grant { break_glass: Vec::new(), not_after, totals: totals.clone(), uses: *uses };
        }
        let break_glass = self.broken();
        let glasses = self.question.gates.iter().filter(|gate| break_glass.contains(&gate.name));
        let of_glass = glasses.filter_map(|gate| gate.break_glass.as_ref()).map(|glass| glass.grant_s);
        let seconds = self.question.gates.iter().map(|gate| gate.grant_s).chain(of_glass).min().unwrap_or(0);
        let uses = self.question.gates.iter().map(|gate| gate.uses).min().unwrap_or(0);
        let uses = if break_glass.is_empty() { uses } else { uses.min(1) };
        Grant { break_glass, not_after: after(at, seconds), totals: Vec::new(), uses }
    }

    /// Which use comes next.
    ///
    /// # Errors
    /// [`Illegal`] where none is left at `at`.
    pub fn next_use(&self, at: Timestamp) -> Result<u32, Illegal> {
        match &self.state {
            State::Approved(grant) if at > grant.not_after => Err(Illegal::Late),
            State::Approved(grant) => {
                (1..=grant.uses).find(|number| !self.taken.contains(number)).ok_or(Illegal::UsedUp)
            }
            _ => Err(Illegal::NotGranted),
        }
    }

    /// Whether a clock has ended at `at` that nothing has been made of yet.
    #[must_use]
    pub fn is_over(&self, at: Timestamp) -> bool {
        match &self.state {
            State::Open => at > self.question.respond_by,
            State::Approved(grant) => at > grant.not_after && self.used() < grant.uses,
            State::Denied(_)
            | State::Edited(_)
            | State::Expired
            | State::Released
            | State::Revoked
            | State::Withdrawn => false,
        }
    }

    /// The answer that proposes other arguments, where one did.
    #[must_use]
    pub fn edit(&self) -> Option<&Review> {
        let is_edited = matches!(self.state, State::Edited(_));
        self.in_force().find(|review| is_edited && review.answer == Answer::Edit)
    }

    /// Whether `review` may be given at `at`.
    ///
    /// # Errors
    /// [`Illegal`] says why not.
    pub fn may_review(&self, review: &Review, at: Timestamp) -> Result<(), Illegal> {
        self.is_awaited(at)?;
        if review.shown_sha256 != self.question.shown_sha256 {
            return Err(Illegal::OtherView);
        }
        if self.reviews.iter().any(|known| known.nonce == review.nonce) {
            return Err(Illegal::Replayed);
        }
        let persons = [Some(&review.reviewer), review.on_behalf_of.as_ref()];
        if review.on_behalf_of.as_ref() == Some(&review.reviewer) {
            return Err(Illegal::NotAsked);
        }
        let excluded = self.question.excluded.iter().find(|excluded| persons.contains(&Some(&excluded.person)));
        if let Some(excluded) = excluded {
            let is_change = self.tool.surface == Surface::Change;
            return Err(Illegal::Excluded(match excluded.role.as_str() {
                "author" if is_change => Role::Proposer,
                "author" => Role::Author,
                "editor" => Role::Editor,
                "proposer" => Role::Grantee,
                "initiator" => Role::Initiator,
                "owner" => Role::Owner,
                _ => Role::Other,
            }));
        }
        let has_recused = |known: &Review| known.answer == Answer::Recuse && persons.contains(&Some(&known.reviewer));
        if self.reviews.iter().any(has_recused) {
            return Err(Illegal::Recused);
        }
        let is_call = self.tool.surface != Surface::Change && self.question.standing.is_none();
        match (review.answer, &review.proposed_sha256) {
            (Answer::Edit, Some(_)) if !is_call => return Err(Illegal::NoArguments),
            (Answer::Edit, Some(proposed)) if *proposed == self.question.args_sha256 => return Err(Illegal::Unedited),
            (Answer::Edit, None) => return Err(Illegal::Lacking),
            (Answer::Edit, Some(_)) | (_, None) => {}
            (_, Some(_)) => return Err(Illegal::Unfounded),
        }
        match (review.answer, &review.ticket) {
            (Answer::BreakGlass, Some(ticket)) if !ticket.trim().is_empty() && ticket.len() <= TICKET_BYTES_MAX => {
                return self.may_break(review);
            }
            (Answer::BreakGlass, _) => return Err(Illegal::Lacking),
            (_, Some(_)) => return Err(Illegal::Unfounded),
            (_, None) => {}
        }
        let place = self.reviews.len();
        let has_broken =
            self.in_force().any(|known| known.answer == Answer::BreakGlass && known.reviewer == review.reviewer);
        if review.answer == Answer::Withdraw && has_broken {
            return Ok(());
        }
        let is_asked = |gate: &Gate| gate.stages.iter().any(|stage| self.asks(gate, stage, &review.groups, place));
        if !self.question.gates.iter().any(is_asked) {
            return Err(Illegal::NotAsked);
        }
        match review.answer {
            Answer::Ask | Answer::BreakGlass | Answer::Recuse => Ok(()),
            Answer::Withdraw => {
                let has_answered = self.in_force().any(|known| known.reviewer == review.reviewer);
                if has_answered { Ok(()) } else { Err(Illegal::NothingToWithdraw) }
            }
            Answer::Approve | Answer::Deny | Answer::Edit => self.may_vote(review),
        }
    }

    /// The answers that were not taken back.
    pub fn in_force(&self) -> impl Iterator<Item = &Review> {
        self.placed().map(|(_, review)| review)
    }

    /// The same, each with its place among all answers.
    fn placed(&self) -> impl Iterator<Item = (usize, &Review)> {
        let is_withdrawn = |place: usize, reviewer: &Arc<str>| {
            let later = self.reviews.iter().skip(place + 1);
            later.into_iter().any(|review| review.answer == Answer::Withdraw && review.reviewer == *reviewer)
        };
        self.reviews.iter().enumerate().filter(move |(place, review)| {
            matches!(review.answer, Answer::Approve | Answer::BreakGlass | Answer::Deny | Answer::Edit)
                && !is_withdrawn(*place, &review.reviewer)
        })
    }

    /// Whether answers are awaited.
    #[must_use]
    pub const fn is_open(&self) -> bool {
        matches!(self.state, State::Open)
    }

    fn stays_open(&self) -> Result<(), Illegal> {
        match &self.state {
            State::Open => Ok(()),
            State::Approved(_) => Err(Illegal::Closed("approved")),
            State::Denied(_) => Err(Illegal::Closed("denied")),
            State::Edited(_) => Err(Illegal::Closed("edited")),
            State::Expired => Err(Illegal::Closed("expired")),
            State::Released => Err(Illegal::Closed("released")),
            State::Revoked => Err(Illegal::Closed("revoked")),
            State::Withdrawn => Err(Illegal::Closed("withdrawn")),
        }
    }
}
