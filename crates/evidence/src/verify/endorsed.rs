//! That a value which a decision takes for endorsed was: there is an endorsement before it, of this argument, tool and mission, under the definition and rules that hold, and in force.
//!
//! The value itself is in no record of an endorsement, so it is not compared: the digest of the text that people answered binds them to it.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Deserialize;

use super::ReviewFlaw;
use crate::approvals::{Approval, Ground, endorsing};
use crate::ids::ApprovalId;
use crate::limits::{ENDORSED_LATE_US, PINS_MAX};
use crate::record::approval::{ApprovalEvent, ApprovalRecord};
use crate::record::{
    DecisionPoint, DecisionRecord, Effect, Origin, Record, TargetOrigin, TargetRole, VersionLog, VersionedKind,
};
use crate::time::Timestamp;

/// The endorsements of a log, and the definitions of tools that they are bound to.
#[derive(Debug, Default)]
pub(super) struct Endorsements {
    by_id: BTreeMap<ApprovalId, Endorsement>,
    pins: BTreeMap<Arc<str>, Pinned>,
}

#[derive(Debug)]
struct Endorsement {
    argument: Arc<str>,
    call_sha256: String,
    /// When a person ended it.
    ended: Option<Timestamp>,
    gates_sha256: String,
    granted: Option<Granted>,
    mission: Arc<str>,
    text_sha256: String,
    /// Who asked for it.
    who: Arc<str>,
}

#[derive(Debug)]
struct Granted {
    /// Who gave it, also for somebody else.
    by: Vec<Arc<str>>,
    not_after: Timestamp,
    /// What decisions say of it.
    source: Arc<str>,
}

/// The accepted definition of a tool, and the one before it.
#[derive(Debug)]
struct Pinned {
    before: Option<String>,
    now: Option<String>,
    since: Timestamp,
}

/// What a `version_log` states of a tool's definition.
#[derive(Deserialize)]
struct Stated {
    pinned: Option<String>,
}

/// Whether what ended at `end` was still in force for a decision at `at`: of two that happen at once, the record of the later one may stand first.
fn is_before(at: Timestamp, end: Timestamp) -> bool {
    at <= end.plus_micros(ENDORSED_LATE_US)
}

impl Endorsements {
    /// Takes a version: of the definition of a tool.
    ///
    /// # Errors
    /// [`ReviewFlaw::TooManyPins`].
    pub(super) fn version(&mut self, version: &VersionLog, at: Timestamp) -> Result<(), ReviewFlaw> {
        if version.object.kind != VersionedKind::Pin {
            return Ok(());
        }
        let stated: Option<Stated> = version.state.as_deref().and_then(|state| serde_json::from_str(state).ok());
        let now = stated.and_then(|stated| stated.pinned);
        let known = self.pins.get(&version.object.name);
        // What is confirmed or refused of a tool leaves its definition.
        if known.is_some_and(|known| known.now == now) {
            return Ok(());
        }
        if known.is_none() && self.pins.len() >= PINS_MAX {
            return Err(ReviewFlaw::TooManyPins);
        }
        let before = known.and_then(|known| known.now.clone());
        self.pins.insert(version.object.name.clone(), Pinned { before, now, since: at });
        Ok(())
    }

    /// Takes an event of `approval`, after which it is as it is.
    pub(super) fn approval(&mut self, approval: &Approval, event: &ApprovalRecord, record: &Record) {
        let asked = approval.question.standing.as_ref();
        let Some(argument) = asked.and_then(|standing| standing.endorses.as_ref()) else { return };
        if event.event == ApprovalEvent::Requested {
            let asked = Endorsement {
                argument: argument.clone(),
                call_sha256: approval.call_sha256.clone(),
                ended: None,
                gates_sha256: approval.gates_sha256.clone(),
                granted: None,
                mission: record.correlation.mission.clone().unwrap_or_default(),
                text_sha256: approval.question.args_sha256.clone(),
                who: record.initiator.name.clone(),
            };
            self.by_id.insert(approval.approval, asked);
            return;
        }
        let Some(known) = self.by_id.get_mut(&approval.approval) else { return };
        match event.event {
            ApprovalEvent::Resolved => {
                known.granted = approval.endorsed_by(record.occurred_at).map(|source| Granted {
                    by: approval
                        .approved_by()
                        .flat_map(|review| std::iter::once(&review.reviewer).chain(&review.on_behalf_of))
                        .cloned()
                        .collect(),
                    not_after: event.grant.as_ref().map_or(record.occurred_at, |grant| grant.not_after),
                    source,
                });
            }
            ApprovalEvent::Released | ApprovalEvent::Revoked => known.ended = Some(record.occurred_at),
            ApprovalEvent::Consumed
            | ApprovalEvent::Delivered
            | ApprovalEvent::Escalated
            | ApprovalEvent::Expired
            | ApprovalEvent::Reminded
            | ApprovalEvent::Requested
            | ApprovalEvent::Review => {}
        }
    }

    /// Whether all that `decision` takes for endorsed is. What it denies goes by nothing, and a release repeats what was decided before the call.
    pub(super) fn are_in_force(&self, decision: &DecisionRecord, record: &Record) -> bool {
        let is_use = decision.point != DecisionPoint::Release && decision.effect != Effect::Deny;
        let mut endorsed = decision.input.provenance.iter().filter(|traced| traced.origin == Origin::Endorsed);
        !is_use || endorsed.all(|traced| self.is_in_force(traced, decision, record).unwrap_or(false))
    }

    fn is_in_force(&self, traced: &TargetOrigin, decision: &DecisionRecord, record: &Record) -> Option<bool> {
        let source = traced.source.as_ref()?;
        let known = self.by_id.get(&endorsing(source)?)?;
        let granted = known.granted.as_ref()?;
        let (at, tool) = (record.occurred_at, &decision.input.tool);
        let is_same =
            traced.role == TargetRole::Target && traced.argument == known.argument && *source == granted.source;
        let holds = at <= granted.not_after && known.ended.is_none_or(|ended| is_before(at, ended));
        let bound = |pin: Option<&str>| {
            let ground = Ground {
                gates_sha256: &known.gates_sha256,
                mission: record.correlation.mission.as_deref().unwrap_or_default(),
                pin,
                slice_sha256: decision.policy.slice_sha256.as_deref(),
                text_sha256: &known.text_sha256,
                tool,
                who: &known.who,
            };
            record.correlation.mission.as_ref() == Some(&known.mission) && ground.sha256() == known.call_sha256
        };
        let is_bound = match self.pins.get(tool.to_string().as_str()) {
            None => bound(None),
            Some(Pinned { before, now, since }) => {
                bound(now.as_deref()) || (is_before(at, *since) && bound(before.as_deref()))
            }
        };
        let is_apart = !granted.by.contains(&record.initiator.name);
        Some(is_same && holds && is_bound && is_apart)
    }
}
