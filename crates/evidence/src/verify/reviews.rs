//! What approvals say of themselves: that each event may follow, and that each signature is one of the person's key.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signature, VerifyingKey};
use serde::Deserialize;

use super::endorsed::Endorsements;
use crate::approvals::{Approval, Illegal, State, change_sha256, changed, statement};
use crate::exceptions::{self, Lives};
use crate::ids::{ApprovalId, CallId};
use crate::limits::{APPROVALS_MAX, USES_MAX};
use crate::record::approval::{Answer, ApprovalEvent, ApprovalRecord, Review};
use crate::record::{
    ActionEvent, Body, DecisionPoint, DecisionRecord, Effect, ExceptionRecord, Record, Surface, Tool, VersionLog,
    VersionedKind,
};
use crate::time::Timestamp;

/// What the keys of persons begin with, among all keys.
const PREFIX: &str = "person/";

/// Every approval of a log, and the keys with which persons signed.
#[derive(Debug, Default)]
pub(super) struct Reviews {
    approvals: BTreeMap<ApprovalId, Approval>,
    /// A use that was taken for a change, whose version must be the next record.
    due: Option<Due>,
    endorsements: Endorsements,
    /// The public halves of confirmed keys, by `PERSON/KEY`.
    keys: BTreeMap<String, String>,
    /// The call that the record before decided on, and what it is bound to, where it uses an approval.
    deciding: Option<(CallId, ApprovalId, String)>,
    /// The use that a call took and has not begun to execute by.
    taken: HashMap<CallId, (ApprovalId, u32)>,
    /// The use by which an attempt at a call executes.
    used_by: HashMap<(CallId, u32), (ApprovalId, u32)>,
    /// Every use, and whether its outcome is recorded.
    uses: BTreeMap<(ApprovalId, u32), bool>,
}

/// The reason of a decision that hands out an earlier outcome.
const REPLAYED: &str = "replayed";

/// The use of a change's approval.
#[derive(Debug)]
struct Due {
    approval: ApprovalId,
    call_sha256: String,
    tool: Tool,
}

/// Why an approval's record is not as it must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReviewFlaw {
    /// A use was taken for a change that is not the next record.
    #[error("the approval of a change was used right before it, and it is not that change")]
    Idle,
    /// It may not follow.
    #[error("it is no event that may follow: {0}")]
    Illegal(#[from] Illegal),
    /// It says that a call was edited before, and that is not so, or whoever did is not excluded.
    #[error("it says that its call follows an edited one, and none is, or whoever edited it may answer")]
    Follows,
    /// A decision goes by an endorsement that there was not.
    #[error(
        "it says that a value is endorsed, and no endorsement before it is in force for this argument, tool and mission"
    )]
    Unendorsed,
    /// Glass was broken and no exception says so as it must.
    #[error("glass was broken, and no exception before it says who must look at it and until when")]
    Unexcepted,
    /// Glass was broken while an earlier one waited for its review for too long.
    #[error("glass was broken while the review of an earlier one of the mission was overdue")]
    Overdue,
    /// The key is not one with which this person answered then.
    #[error("its key is no confirmed key of the reviewer")]
    Key,
    /// No outcome is recorded that could have been handed out.
    #[error("it hands out the outcome of an execution that has none")]
    NoOutcome,
    /// The signature is not of this answer.
    #[error("its signature is not of this answer")]
    Signature,
    /// A use that is not for the call which was decided right before.
    #[error("a use is taken, and right before it no decision allows, by this approval, the call that it is for")]
    Unbound,
    /// There are more approvals than are followed.
    #[error("there are more approvals than are followed")]
    TooMany,
    /// There are more pinned tools than are followed.
    #[error("there are more pinned tools than are followed")]
    TooManyPins,
    /// A version names an approval that was not used for it.
    #[error("it names an approval, and no use of it for this very change is right before it")]
    Unapproved,
    /// It says that a key signed, and holds no signature, or the other way round.
    #[error("it says by its assurance that a key signed, and holds no signature of one, or the other way round")]
    Unsigned,
}

/// What a `version_log` states of a person's key.
#[derive(Deserialize)]
struct Stated {
    public: Option<String>,
}

/// What a version says of a person's key: its name, `PERSON/KEY`, and the public half where the person signs with it from then on.
fn key_version(version: &VersionLog) -> Option<(&str, Option<String>)> {
    let name = version.object.name.strip_prefix(PREFIX).filter(|_| version.object.kind == VersionedKind::Key)?;
    let stated: Option<Stated> = version.state.as_deref().and_then(|state| serde_json::from_str(state).ok());
    let public = stated.and_then(|stated| stated.public).filter(|_| &*version.to == "confirmed");
    Some((name, public))
}

/// Verifies a person's signature, all in base64.
fn verify_signature(public: &str, signature: &str, statement: &[u8]) -> Result<(), ReviewFlaw> {
    let bytes = |text: &str| STANDARD.decode(text).ok();
    let public = bytes(public).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok()).ok_or(ReviewFlaw::Key)?;
    let public = VerifyingKey::from_bytes(&public).map_err(|_| ReviewFlaw::Key)?;
    let signature = bytes(signature).and_then(|bytes| <[u8; 64]>::try_from(bytes).ok());
    let signature = Signature::from_bytes(&signature.ok_or(ReviewFlaw::Signature)?);
    public.verify_strict(statement, &signature).map_err(|_| ReviewFlaw::Signature)
}

/// The keys of persons over time, from the records that say so: for whoever has some records of a log and not all.
#[derive(Debug, Default)]
pub struct PersonKeys {
    /// By `PERSON/KEY`: from which record on, and the public half where it signs.
    keys: BTreeMap<String, Vec<(u64, Option<String>)>>,
}

impl PersonKeys {
    /// Takes a record; those that say nothing of a key change nothing. In the order of the log.
    pub fn take(&mut self, record: &Record) {
        if let Body::Version(version) = &record.body
            && let Some((name, public)) = key_version(version)
        {
            self.keys.entry(name.to_owned()).or_default().push((record.seq, public));
        }
    }

    /// The numbers of the records that say something of the key.
    #[must_use]
    pub fn records(&self, person: &str, key: &str) -> Vec<u64> {
        let versions = self.keys.get(&format!("{person}/{key}")).map(Vec::as_slice).unwrap_or_default();
        versions.iter().map(|(seq, _)| *seq).collect()
    }

    /// Verifies that what the record `seq` says was signed with a key that the person had then.
    ///
    /// # Errors
    /// [`ReviewFlaw::Key`] or [`ReviewFlaw::Signature`].
    pub fn verify(
        &self,
        seq: u64,
        person: &str,
        key: &str,
        signature: &str,
        statement: &[u8],
    ) -> Result<(), ReviewFlaw> {
        let versions = self.keys.get(&format!("{person}/{key}")).ok_or(ReviewFlaw::Key)?;
        let then = versions.iter().rev().find(|(from, _)| *from < seq).and_then(|(_, public)| public.as_ref());
        verify_signature(then.ok_or(ReviewFlaw::Key)?, signature, statement)
    }
}

impl Reviews {
    /// Takes any record: the use of a change's approval and its version stand side by side, or neither counts.
    pub(super) fn next(&mut self, body: &Body) -> Result<(), ReviewFlaw> {
        let due = self.due.take();
        let named = if let Body::Version(version) = body { version.approval.map(|id| (id, version)) } else { None };
        match (due, named) {
            (None, None) => Ok(()),
            (None, Some(_)) => Err(ReviewFlaw::Unapproved),
            (Some(_), None) => Err(ReviewFlaw::Idle),
            (Some(Due { approval, call_sha256, tool }), Some((named, version))) => {
                let is_same = named == approval && change_sha256(version) == call_sha256 && changed(version) == tool;
                if is_same { Ok(()) } else { Err(ReviewFlaw::Unapproved) }
            }
        }
    }

    /// Whether the log ends with the use of a change's approval.
    pub(super) const fn is_due(&self) -> bool {
        self.due.is_some()
    }

    /// Takes a version: keys that were confirmed sign from then on, others no more.
    fn version(&mut self, version: &VersionLog) {
        match key_version(version) {
            Some((name, Some(public))) => drop(self.keys.insert(name.to_owned(), public)),
            Some((name, None)) => drop(self.keys.remove(name)),
            None => {}
        }
    }

    /// Takes the next record.
    pub(super) fn record(&mut self, record: &Record, lives: &Lives) -> Result<(), ReviewFlaw> {
        let deciding = self.deciding.take();
        if let Body::Decision(decision) = &record.body {
            self.decided(decision, record);
            if !self.endorsements.are_in_force(decision, record) {
                return Err(ReviewFlaw::Unendorsed);
            }
        }
        match &record.body {
            Body::Action(action) if action.event == ActionEvent::Intent => {
                if let Some(call) = record.correlation.call
                    && let Some(used) = self.taken.remove(&call)
                {
                    self.used_by.insert((call, action.attempt), used);
                }
                Ok(())
            }
            Body::Action(action) if action.event == ActionEvent::Outcome => {
                let used = record.correlation.call.and_then(|call| self.used_by.get(&(call, action.attempt)));
                if let Some(has_outcome) = used.and_then(|used| self.uses.get_mut(used)) {
                    *has_outcome = true;
                }
                Ok(())
            }
            Body::Approval(approval) => {
                let mission = record.correlation.mission.as_deref().unwrap_or_default();
                self.approval(approval, mission, lives, record.occurred_at)?;
                if let Some(known) = self.approvals.get(&approval.approval) {
                    self.endorsements.approval(known, approval, record);
                }
                self.used(approval, record.correlation.call, deciding)
            }
            Body::Decision(decision)
                if decision.point == DecisionPoint::Release
                    && decision.reasons.iter().any(|reason| **reason == *REPLAYED) =>
            {
                let of = |approval| self.uses.range((approval, 0)..=(approval, u32::MAX));
                let has_outcome = decision.approval.is_some_and(|approval| of(approval).any(|(_, has)| *has));
                if has_outcome { Ok(()) } else { Err(ReviewFlaw::NoOutcome) }
            }
            Body::Version(version) => {
                self.version(version);
                self.endorsements.version(version, record.occurred_at)
            }
            Body::Access(_)
            | Body::Action(_)
            | Body::Decision(_)
            | Body::Exception(_)
            | Body::Ledger(_)
            | Body::Request(_) => Ok(()),
        }
    }

    /// Takes note of a decision by which a call uses an approval.
    fn decided(&mut self, decision: &DecisionRecord, record: &Record) {
        if decision.point == DecisionPoint::Use && decision.effect == Effect::Allow {
            let call_sha256 = decision.input.call_sha256.clone();
            self.deciding = record.correlation.call.zip(decision.approval).map(|(call, id)| (call, id, call_sha256));
        }
    }

    /// Takes note of a use, and of what is said to have been handed out of it.
    fn used(
        &mut self,
        approval: &ApprovalRecord,
        call: Option<CallId>,
        deciding: Option<(CallId, ApprovalId, String)>,
    ) -> Result<(), ReviewFlaw> {
        if let (ApprovalEvent::Consumed, Some(call)) = (approval.event, call) {
            let bound = approval.covers_sha256.as_ref().unwrap_or(&approval.call_sha256).clone();
            if deciding != Some((call, approval.approval, bound)) {
                return Err(ReviewFlaw::Unbound);
            }
        }
        let used = (approval.approval, approval.used.unwrap_or(0));
        match approval.event {
            ApprovalEvent::Consumed if self.uses.len() >= USES_MAX => Err(ReviewFlaw::TooMany),
            ApprovalEvent::Consumed => {
                self.uses.insert(used, false);
                self.taken.extend(call.map(|call| (call, used)));
                Ok(())
            }
            ApprovalEvent::Delivered if self.uses.get(&used) != Some(&true) => Err(ReviewFlaw::NoOutcome),
            _ => Ok(()),
        }
    }

    fn approval(
        &mut self,
        record: &ApprovalRecord,
        mission: &str,
        lives: &Lives,
        at: Timestamp,
    ) -> Result<(), ReviewFlaw> {
        if let Some(review) = &record.review {
            self.signed(record, review)?;
            if review.answer == Answer::BreakGlass && lives.is_glass_overdue(mission, at) {
                return Err(ReviewFlaw::Overdue);
            }
        }
        if record.event == ApprovalEvent::Consumed && record.tool.surface == Surface::Change {
            let (call_sha256, tool) = (record.call_sha256.clone(), record.tool.clone());
            self.due = Some(Due { approval: record.approval, call_sha256, tool });
        }
        if let Some(known) = self.approvals.get_mut(&record.approval) {
            let demanded = if record.event == ApprovalEvent::Resolved { known.broken_glass(mission, at) } else { None };
            known.take(record, at)?;
            let found = lives.of_glass(record.approval).and_then(|life| Some((life.broken_glass.clone()?, life.due?)));
            let is_glass = matches!(&known.state, State::Approved(grant) if !grant.break_glass.is_empty());
            return if is_glass && demanded.is_some() && demanded != found {
                Err(ReviewFlaw::Unexcepted)
            } else {
                Ok(())
            };
        }
        let fresh = Approval::begin(record, at)?;
        if let Some(follows) = fresh.question.follows {
            let edit = self.approvals.get(&follows).filter(|edited| edited.tool == fresh.tool);
            let edit = edit.and_then(Approval::edit).ok_or(ReviewFlaw::Follows)?;
            let is_excluded =
                |person: &Arc<str>| fresh.question.excluded.iter().any(|excluded| excluded.person == *person);
            if !std::iter::once(&edit.reviewer).chain(&edit.on_behalf_of).all(is_excluded) {
                return Err(ReviewFlaw::Follows);
            }
        }
        if self.approvals.len() >= APPROVALS_MAX {
            return Err(ReviewFlaw::TooMany);
        }
        self.approvals.insert(record.approval, fresh);
        Ok(())
    }

    /// Checks the signature under what a person says of an exception.
    pub(super) fn exception(&self, record: &ExceptionRecord) -> Result<(), ReviewFlaw> {
        let Some(signed) = &record.signed else { return Ok(()) };
        let who = record.who.as_deref().unwrap_or_default();
        self.is_signed(
            who,
            &signed.key,
            &signed.signature,
            &exceptions::statement(record, &signed.nonce, signed.signed_at),
        )
    }

    fn is_signed(&self, person: &str, key: &str, signature: &str, statement: &[u8]) -> Result<(), ReviewFlaw> {
        let public = self.keys.get(&format!("{person}/{key}")).ok_or(ReviewFlaw::Key)?;
        verify_signature(public, signature, statement)
    }

    fn signed(&self, record: &ApprovalRecord, review: &Review) -> Result<(), ReviewFlaw> {
        use crate::record::approval::Assurance;
        let (key, signature) = match (review.assurance, &review.key, &review.signature) {
            (Assurance::OsUser, None, None) => return Ok(()),
            (Assurance::DeviceKey, Some(key), Some(signature)) => (key, signature),
            // This version of the program writes no other.
            _ => return Err(ReviewFlaw::Unsigned),
        };
        let statement = statement(record.approval, &record.call_sha256, &record.gates_sha256, review);
        self.is_signed(&review.reviewer, key, signature, &statement)
    }
}
