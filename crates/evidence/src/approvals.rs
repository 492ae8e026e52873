//! The life of an approval over its records: asked, answered by persons, resolved, used.
//!
//! A fold over the records of one approval, with the thresholds that its request froze: who may still answer, what the answers add up to, whether a use is left. Whoever
//! writes an event asks first, and whoever verifies a log asks again. Start at [`Approval::take`].

mod quorum;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use crate::ids::ApprovalId;
use crate::record::Tool;
use crate::record::approval::{Answer, ApprovalEvent, ApprovalRecord, Gate, Grant, Question, Resolution, Review};
use crate::time::Timestamp;
use quorum::is_met;

/// One approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approval {
    /// Which.
    pub approval: ApprovalId,
    /// What it is bound to.
    pub call_sha256: String,
    /// SHA-256 of its gates.
    pub gates_sha256: String,
    /// When people were asked.
    pub opened_at: Timestamp,
    /// What they were asked.
    pub question: Question,
    /// Every answer, in order.
    pub reviews: Vec<Review>,
    /// Where in its life it is.
    pub state: State,
    /// The tool.
    pub tool: Tool,
    /// How many of its uses are consumed.
    pub used: u32,
}

/// Where in its life an approval is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It may be used.
    Approved(Grant),
    /// Somebody said no, with these words.
    Denied(String),
    /// A clock ended.
    Expired,
    /// Answers are awaited.
    Open,
    /// What was granted was taken back.
    Revoked,
    /// The question was taken back.
    Withdrawn,
}

/// How one gate stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Who counts, in order.
    pub approved_by: Vec<Arc<str>>,
    /// The gate.
    pub gate: Arc<str>,
    /// The stage that is open, from 0; the number of stages where all are satisfied.
    pub stage: usize,
    /// How many stages it has.
    pub stages: usize,
}

impl Tally {
    /// Whether nothing is missing.
    #[must_use]
    pub const fn is_satisfied(&self) -> bool {
        self.stage >= self.stages
    }
}

/// Why an event may not follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Illegal {
    /// The person has answered already, or stands in for somebody who has.
    #[error("this person's answer is known already; `withdraw` takes it back")]
    Again,
    /// It is about other arguments, another call or other gates.
    #[error("it is about another call than the approval is bound to")]
    Bound,
    /// It is not open any more.
    #[error("the approval is {0}; it takes no more answers")]
    Closed(&'static str),
    /// The person has to do with the call.
    #[error("whoever has to do with a call does not review it: {0}")]
    Excluded(Role),
    /// Its clock has ended.
    #[error("the time to answer, or to use what was granted, is over")]
    Late,
    /// A record lacks what its event needs.
    #[error("the record lacks what its event needs")]
    Lacking,
    /// Another request of the same approval.
    #[error("the approval was asked for already")]
    Known,
    /// Nothing is granted that could be used or taken back.
    #[error("nothing is granted that could be used or taken back")]
    NotGranted,
    /// It was never asked for.
    #[error("no approval with this id was asked for")]
    NotRequested,
    /// The person is in no group whose turn it is.
    #[error("the gate does not ask this person, or not yet")]
    NotAsked,
    /// The person has no answer that could be taken back.
    #[error("this person has given no answer that could be taken back")]
    NothingToWithdraw,
    /// The person saw something else.
    #[error("the person was shown something else than what is asked")]
    OtherView,
    /// The very same answer was given before.
    #[error("this very answer was given before; an answer is signed once")]
    Replayed,
    /// The person stepped back before.
    #[error("this person has left the answer to others")]
    Recused,
    /// It does not follow from the answers.
    #[error("it does not follow from the answers that were given")]
    Unfounded,
    /// The answer is not sure enough for the gate.
    #[error("the gate needs a stronger proof of who answers")]
    Unsure,
    /// Every use was consumed.
    #[error("the approval is used up")]
    UsedUp,
}

/// What an excluded person has to do with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The version of the mission is theirs.
    Author,
    /// The agent acts for them.
    Initiator,
    /// They answer for the mission.
    Owner,
    /// Something else.
    Other,
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Author => "this person is the author of the mission's version",
            Self::Initiator => "the agent acts for this person",
            Self::Owner => "this person answers for the mission",
            Self::Other => "this person is excluded",
        })
    }
}

/// SHA-256 of gates with their thresholds.
#[must_use]
pub fn gates_sha256(gates: &[Gate]) -> String {
    // Writing plain fields cannot fail; an empty digest matches nothing.
    serde_json::to_vec(gates).map(|bytes| hex::encode(Sha256::digest(&bytes))).unwrap_or_default()
}

/// Whether persons of these groups, one entry for each of them, could satisfy every stage of `gate`. Each stage by itself: that nobody counts for two stages is not looked at.
#[must_use]
pub fn could_satisfy(gate: &Gate, persons: &[Vec<Arc<str>>]) -> bool {
    gate.stages.iter().all(|stage| quorum::could_be_met(stage, persons))
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
        reason_sha256: String,
        reviewer: &'a str,
        shown_sha256: &'a str,
        signed_at: Timestamp,
        v: u32,
    }
    let statement = Statement {
        answer: review.answer,
        approval,
        call_sha256,
        gates_sha256,
        nonce: &review.nonce,
        on_behalf_of: review.on_behalf_of.as_deref(),
        reason_sha256: hex::encode(Sha256::digest(review.reason.as_bytes())),
        reviewer: &review.reviewer,
        shown_sha256: &review.shown_sha256,
        signed_at: review.signed_at,
        v: 1,
    };
    let mut bytes = b"countersign review v1\n".to_vec();
    // Writing plain fields to memory cannot fail.
    let _ = serde_json::to_writer(&mut bytes, &statement);
    bytes
}

/// How a gate stands: the answers that count, and the stage that is open.
#[derive(Default)]
struct Standing<'a> {
    counted: Vec<&'a Review>,
    stage: usize,
}

impl Standing<'_> {
    /// Whether the person of `review`, or whom they stand in for, counts already.
    fn involves(&self, review: &Review) -> bool {
        let persons = |review: &Review| [Some(review.reviewer.clone()), review.on_behalf_of.clone()];
        let of_review = persons(review);
        self.counted.iter().flat_map(|known| persons(known)).flatten().any(|person| of_review.contains(&Some(person)))
    }
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
        Ok(Self {
            approval: record.approval,
            call_sha256: record.call_sha256.clone(),
            gates_sha256: record.gates_sha256.clone(),
            opened_at: at,
            question,
            reviews: Vec::new(),
            state: State::Open,
            tool: record.tool.clone(),
            used: 0,
        })
    }

    /// Takes the next event, at `at`.
    ///
    /// # Errors
    /// [`Illegal`]; the approval is as it was.
    pub fn take(&mut self, record: &ApprovalRecord, at: Timestamp) -> Result<(), Illegal> {
        if record.call_sha256 != self.call_sha256 || record.gates_sha256 != self.gates_sha256 {
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
            ApprovalEvent::Consumed => {
                let next = self.next_use(at)?;
                if record.used != Some(next) {
                    return Err(Illegal::Unfounded);
                }
                self.used = next;
                Ok(())
            }
            ApprovalEvent::Expired => {
                if !self.is_over(at) {
                    return Err(Illegal::Unfounded);
                }
                self.state = State::Expired;
                Ok(())
            }
            ApprovalEvent::Revoked => {
                if !matches!(self.state, State::Approved(_)) {
                    return Err(Illegal::NotGranted);
                }
                self.state = State::Revoked;
                Ok(())
            }
        }
    }

    fn resolve(&mut self, record: &ApprovalRecord, at: Timestamp) -> Result<(), Illegal> {
        self.is_open()?;
        let resolution = record.resolution.ok_or(Illegal::Lacking)?;
        self.state = match resolution {
            Resolution::Withdrawn => State::Withdrawn,
            _ if self.resolution() != Some(resolution) => return Err(Illegal::Unfounded),
            Resolution::Denied => State::Denied(record.why.clone().unwrap_or_default()),
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
        let denied = self.in_force().any(|review| review.answer == Answer::Deny);
        match denied {
            true => Some(Resolution::Denied),
            false => self.tallies().iter().all(Tally::is_satisfied).then_some(Resolution::Approved),
        }
    }

    /// The right that a resolution at `at` gives: of all gates the shortest time and the fewest uses.
    #[must_use]
    pub fn grant(&self, at: Timestamp) -> Grant {
        let seconds = self.question.gates.iter().map(|gate| gate.grant_s).min().unwrap_or(0);
        let micros = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000);
        let uses = self.question.gates.iter().map(|gate| gate.uses).min().unwrap_or(0);
        Grant { not_after: at.plus_micros(micros), uses }
    }

    /// Which use comes next.
    ///
    /// # Errors
    /// [`Illegal`] where none is left at `at`.
    pub fn next_use(&self, at: Timestamp) -> Result<u32, Illegal> {
        match &self.state {
            State::Approved(grant) if at > grant.not_after => Err(Illegal::Late),
            State::Approved(grant) if self.used >= grant.uses => Err(Illegal::UsedUp),
            State::Approved(_) => Ok(self.used.saturating_add(1)),
            _ => Err(Illegal::NotGranted),
        }
    }

    /// Whether a clock has ended at `at` that nothing has been made of yet.
    #[must_use]
    pub fn is_over(&self, at: Timestamp) -> bool {
        match &self.state {
            State::Open => at > self.question.respond_by,
            State::Approved(grant) => at > grant.not_after && self.used < grant.uses,
            State::Denied(_) | State::Expired | State::Revoked | State::Withdrawn => false,
        }
    }

    /// Whether `review` may be given at `at`.
    ///
    /// # Errors
    /// [`Illegal`] says why not.
    pub fn may_review(&self, review: &Review, at: Timestamp) -> Result<(), Illegal> {
        self.is_open()?;
        if at > self.question.respond_by {
            return Err(Illegal::Late);
        }
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
            return Err(Illegal::Excluded(match excluded.role.as_str() {
                "author" => Role::Author,
                "initiator" => Role::Initiator,
                "owner" => Role::Owner,
                _ => Role::Other,
            }));
        }
        let has_recused = |known: &Review| known.answer == Answer::Recuse && persons.contains(&Some(&known.reviewer));
        if self.reviews.iter().any(has_recused) {
            return Err(Illegal::Recused);
        }
        let is_asked = |gate: &Gate| gate.stages.iter().any(|stage| quorum::names(stage, &review.groups));
        if !self.question.gates.iter().any(is_asked) {
            return Err(Illegal::NotAsked);
        }
        match review.answer {
            Answer::Ask | Answer::Recuse => Ok(()),
            Answer::Withdraw => {
                let has_answered = self.in_force().any(|known| known.reviewer == review.reviewer);
                if has_answered { Ok(()) } else { Err(Illegal::NothingToWithdraw) }
            }
            Answer::Approve | Answer::Deny => self.may_vote(review),
        }
    }

    /// Whether a yes or no counts somewhere.
    fn may_vote(&self, review: &Review) -> Result<(), Illegal> {
        let standing: Vec<(&Gate, Standing<'_>)> =
            self.question.gates.iter().map(|gate| (gate, self.standing(gate))).collect();
        let is_sure = |gate: &Gate| review.assurance >= gate.assurance;
        if review.answer == Answer::Deny {
            // Whoever said yes may still say no; nobody says it for somebody who has answered.
            let has_answered = |person: &Arc<str>| self.in_force().any(|known| known.reviewer == *person);
            return match review.on_behalf_of.as_ref().is_some_and(has_answered) {
                true => Err(Illegal::Again),
                false if standing.iter().any(|(gate, _)| is_sure(gate)) => Ok(()),
                false => Err(Illegal::Unsure),
            };
        }
        let is_their_turn = |(gate, standing): &&(&Gate, Standing<'_>)| {
            gate.stages.get(standing.stage).is_some_and(|stage| quorum::names(stage, &review.groups))
        };
        let turns: Vec<_> = standing.iter().filter(is_their_turn).collect();
        let sure: Vec<_> = turns.iter().filter(|(gate, _)| is_sure(gate)).collect();
        match (turns.is_empty(), sure.is_empty()) {
            (true, _) => Err(Illegal::NotAsked),
            (false, true) => Err(Illegal::Unsure),
            (false, false) if sure.iter().all(|(_, standing)| standing.involves(review)) => Err(Illegal::Again),
            (false, false) => Ok(()),
        }
    }

    /// How each gate stands.
    #[must_use]
    pub fn tallies(&self) -> Vec<Tally> {
        let tallies = self.question.gates.iter().map(|gate| {
            let Standing { counted, stage } = self.standing(gate);
            let approved_by = counted.into_iter().map(|review| review.reviewer.clone()).collect();
            Tally { approved_by, gate: gate.name.clone(), stage, stages: gate.stages.len() }
        });
        tallies.collect()
    }

    fn standing(&self, gate: &Gate) -> Standing<'_> {
        let (mut standing, mut of_stage) = (Standing::default(), Vec::new());
        for review in self.in_force().filter(|review| review.answer == Answer::Approve) {
            let Some(stage) = gate.stages.get(standing.stage) else { break };
            if review.assurance < gate.assurance || !quorum::names(stage, &review.groups) || standing.involves(review) {
                continue;
            }
            standing.counted.push(review);
            of_stage.push(review);
            if is_met(stage, &of_stage) {
                standing.stage += 1;
                of_stage.clear();
            }
        }
        standing
    }

    /// The answers that were not taken back.
    pub fn in_force(&self) -> impl Iterator<Item = &Review> {
        let is_withdrawn = |place: usize, reviewer: &Arc<str>| {
            let later = self.reviews.iter().skip(place + 1);
            later.into_iter().any(|review| review.answer == Answer::Withdraw && review.reviewer == *reviewer)
        };
        self.reviews
            .iter()
            .enumerate()
            .filter(move |(place, review)| {
                matches!(review.answer, Answer::Approve | Answer::Deny) && !is_withdrawn(*place, &review.reviewer)
            })
            .map(|(_, review)| review)
    }

    fn is_open(&self) -> Result<(), Illegal> {
        match &self.state {
            State::Open => Ok(()),
            State::Approved(_) => Err(Illegal::Closed("approved")),
            State::Denied(_) => Err(Illegal::Closed("denied")),
            State::Expired => Err(Illegal::Closed("expired")),
            State::Revoked => Err(Illegal::Closed("revoked")),
            State::Withdrawn => Err(Illegal::Closed("withdrawn")),
        }
    }
}
