//! One run as a picture of the whole: who, when, with which versions, at which servers, what became of its calls, what it met, and what is still open.
//!
//! A fold over the records of the run alone, which the index has by run. Start at [`picture`].

use std::collections::{BTreeMap, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;

use evidence::ids::{ApprovalId, CallId, ExceptionId, RunId};
use evidence::record::approval::{ApprovalEvent, ApprovalRecord};
use evidence::record::{
    ActionEvent, ActionRecord, Agent, Body, DecisionPoint, DecisionRecord, Effect, ExceptionEvent, ExceptionKind,
    ExceptionRecord, Initiator, Record, Tool, VersionLog, VersionedKind,
};
use evidence::time::Timestamp;
use serde::Serialize;
use store::{ReadError, Reader};

use super::{Standing, Terms};
use crate::clock::now;
use crate::exceptions::lives;
use crate::limits::PICTURED_MAX;
use crate::met::{FirstMet, Records};

/// One run as a picture of the whole. Of lists, the first entries; how many there are beyond is in `left_out`.
#[derive(Clone, Debug, Serialize)]
pub struct Picture {
    /// Who acts.
    pub agent: Agent,
    /// What people were asked.
    pub approvals: Vec<Asked>,
    /// How many calls came to what: `done`, `denied`, `asking` and so on; `open` are under way.
    pub calls: BTreeMap<&'static str, u64>,
    /// Which classes of data it met, and where first.
    pub classes: BTreeMap<Arc<str>, FirstMet>,
    /// How often what is kept of its calls was opened.
    pub contents_opened: u64,
    /// When it was ended or revoked.
    pub ended_at: Option<Timestamp>,
    /// What was outside the plan.
    pub exceptions: Vec<Excepted>,
    /// From when on nothing runs.
    pub expires_at: Timestamp,
    /// On whose behalf.
    pub initiator: Initiator,
    /// How many entries of lists are left out.
    pub left_out: u64,
    /// The mission.
    pub mission: Arc<str>,
    /// What waits for somebody.
    pub open: Open,
    /// When it began.
    pub opened_at: Timestamp,
    /// Which.
    pub run: RunId,
    /// How many calls each server had.
    pub servers: BTreeMap<String, u64>,
    /// How it stands.
    pub standing: Standing,
    /// Who began it.
    pub started_by: String,
    /// The versions of the mission that decided, by digest.
    pub versions: Vec<Version>,
    /// Who ended or revoked it, and why; `None` while nobody did.
    pub why: Option<String>,
}

/// What people were asked.
#[derive(Clone, Debug, Serialize)]
pub struct Asked {
    /// Which.
    pub approval: ApprovalId,
    /// When.
    pub asked_at: Timestamp,
    /// Where in its life it is: its last event or how it was resolved.
    pub state: &'static str,
    /// About which tool.
    pub tool: String,
}

/// Something outside the plan.
#[derive(Clone, Debug, Serialize)]
pub struct Excepted {
    /// Which.
    pub exception: ExceptionId,
    /// Whether it is closed.
    pub is_closed: bool,
    /// What kind.
    pub kind: ExceptionKind,
    /// What happened.
    pub reason: String,
}

/// What waits for somebody.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Open {
    /// Approvals that nobody has resolved.
    pub approvals: Vec<ApprovalId>,
    /// Calls that are under way.
    pub calls: Vec<CallId>,
    /// Exceptions that are not closed.
    pub exceptions: Vec<ExceptionId>,
}

/// A version of the mission.
#[derive(Clone, Debug, Serialize)]
pub struct Version {
    /// How many decisions it made.
    pub decisions: u64,
    /// When it first decided.
    pub first_at: Timestamp,
    /// Its digest.
    pub sha256: Arc<str>,
}

/// What the ledger says of `run`; `None` where it knows no such run.
///
/// # Errors
/// [`ReadError`].
pub fn picture(reader: &Reader, run: RunId) -> Result<Option<Picture>, ReadError> {
    let mut sketch = Sketch::default();
    reader.visit_run(run, |record| {
        sketch.add(&record);
        ControlFlow::Continue(())
    })?;
    if !sketch.exceptions.is_empty() {
        // What persons do about exceptions is not of the run.
        let lives = lives(reader)?;
        for known in sketch.exceptions.values_mut() {
            known.is_closed = lives.get(known.exception).is_some_and(|life| life.state == ExceptionEvent::Closed);
        }
    }
    Ok(sketch.finish(run))
}

#[derive(Default)]
struct Sketch {
    approvals: BTreeMap<ApprovalId, Asked>,
    /// By call, in the order in which they came.
    calls: HashMap<CallId, (u64, &'static str)>,
    contents_opened: u64,
    ends: Option<(Timestamp, Standing, String)>,
    exceptions: BTreeMap<ExceptionId, Excepted>,
    met: Records,
    servers: BTreeMap<String, u64>,
    start: Option<(Terms, String)>,
    versions: Vec<Version>,
}

impl Sketch {
    fn add(&mut self, record: &Record) {
        self.met.add(record);
        match &record.body {
            Body::Access(_) => self.contents_opened += 1,
            Body::Action(action) => self.action(record, action),
            Body::Approval(approval) => self.approval(record, approval),
            Body::Decision(decision) => self.decision(record, decision),
            Body::Exception(exception) => self.exception(exception),
            Body::Request(request) => {
                self.servers.entry(format!("{}:{}", request.channel.surface, request.channel.upstream)).or_default();
            }
            Body::Version(version) if version.object.kind == VersionedKind::Run => self.version(record, version),
            Body::Ledger(_) | Body::Version(_) => {}
        }
    }

    /// The call is that by now.
    fn became(&mut self, record: &Record, tool: &Tool, what: &'static str) {
        let Some(call) = record.correlation.call else { return };
        let servers = &mut self.servers;
        let known = self.calls.entry(call).or_insert_with(|| {
            *servers.entry(format!("{}:{}", tool.surface, tool.upstream)).or_default() += 1;
            (record.seq, what)
        });
        known.1 = what;
    }

    fn action(&mut self, record: &Record, action: &ActionRecord) {
        let what = match (action.event, action.status) {
            (ActionEvent::Intent, _) | (ActionEvent::Outcome, None) => "open",
            (ActionEvent::Outcome, Some(status)) => status.as_str(),
        };
        self.became(record, &action.tool, what);
    }

    fn decision(&mut self, record: &Record, decision: &DecisionRecord) {
        let is_replay = decision.reasons.iter().any(|reason| &**reason == "replayed");
        match (decision.point, decision.effect) {
            (DecisionPoint::Release, _) if is_replay => self.became(record, &decision.input.tool, "replayed"),
            (DecisionPoint::Release, _) => return,
            (_, Effect::Allow) => self.became(record, &decision.input.tool, "open"),
            (_, Effect::Ask) => self.became(record, &decision.input.tool, "asking"),
            (_, Effect::Deny) => self.became(record, &decision.input.tool, "denied"),
        }
        let sha256 = &decision.policy.mission_sha256;
        match self.versions.iter_mut().find(|known| known.sha256 == *sha256) {
            Some(known) => known.decisions += 1,
            None => {
                let first_at = record.occurred_at;
                self.versions.push(Version { decisions: 1, first_at, sha256: sha256.clone() });
            }
        }
    }

    fn approval(&mut self, record: &Record, approval: &ApprovalRecord) {
        let resolution = approval.resolution.map(evidence::record::approval::Resolution::as_str);
        let state = resolution.unwrap_or(approval.event.as_str());
        match self.approvals.get_mut(&approval.approval) {
            // That somebody was reminded, or has answered, ends nothing.
            Some(_) if is_between(approval.event) => {}
            Some(known) => known.state = state,
            None => {
                let (asked_at, tool) = (record.occurred_at, approval.tool.to_string());
                let asked = Asked { approval: approval.approval, asked_at, state, tool };
                self.approvals.insert(approval.approval, asked);
            }
        }
    }

    fn exception(&mut self, exception: &ExceptionRecord) {
        self.exceptions.entry(exception.exception).or_insert_with(|| Excepted {
            exception: exception.exception,
            is_closed: false,
            kind: exception.kind,
            reason: exception.reason.clone(),
        });
    }

    fn version(&mut self, record: &Record, version: &VersionLog) {
        let terms = version.state.as_deref().and_then(|state| serde_json::from_str(state).ok());
        match (&*version.to, terms) {
            ("open", Some(terms)) => self.start = Some((terms, version.who.clone())),
            (to, _) => {
                let standing = if to == Standing::Revoked.as_str() { Standing::Revoked } else { Standing::Ended };
                let why = format!("{} by {}: {}", standing.as_str(), version.who, version.why);
                self.ends = Some((record.occurred_at, standing, why));
            }
        }
    }

    fn finish(self, run: RunId) -> Option<Picture> {
        let (terms, started_by) = self.start?;
        let mut calls = BTreeMap::new();
        let mut flying = Vec::new();
        for (call, (seq, what)) in &self.calls {
            *calls.entry(*what).or_insert(0) += 1;
            if *what == "open" {
                flying.push((*seq, *call));
            }
        }
        flying.sort_unstable();
        let is_open = |asked: &&Asked| asked.state == ApprovalEvent::Requested.as_str();
        let mut left_out = 0;
        let open = Open {
            approvals: some(self.approvals.values().filter(is_open).map(|asked| asked.approval), &mut left_out),
            calls: some(flying.into_iter().map(|(_, call)| call), &mut left_out),
            exceptions: some(
                self.exceptions.values().filter(|known| !known.is_closed).map(|known| known.exception),
                &mut left_out,
            ),
        };
        let standing = match &self.ends {
            Some((_, standing, _)) => *standing,
            None if now() >= terms.expires_at => Standing::Expired,
            None => Standing::Open,
        };
        let (ended_at, why) = self.ends.map(|(at, _, why)| (at, why)).unzip();
        Some(Picture {
            agent: terms.agent,
            approvals: some(self.approvals.into_values(), &mut left_out),
            calls,
            classes: self.met.met(),
            contents_opened: self.contents_opened,
            ended_at,
            exceptions: some(self.exceptions.into_values(), &mut left_out),
            expires_at: terms.expires_at,
            initiator: terms.initiator,
            mission: terms.mission,
            open,
            opened_at: terms.opened_at,
            run,
            servers: self.servers,
            standing,
            started_by,
            versions: some(self.versions.into_iter(), &mut left_out),
            why,
            left_out,
        })
    }
}

/// The first of them, and how many are left out.
fn some<T>(all: impl Iterator<Item = T>, left_out: &mut u64) -> Vec<T> {
    let mut some = Vec::new();
    for one in all {
        if some.len() < PICTURED_MAX {
            some.push(one);
        } else {
            *left_out += 1;
        }
    }
    some
}

/// Whether an event leaves an approval where it is.
const fn is_between(event: ApprovalEvent) -> bool {
    matches!(
        event,
        ApprovalEvent::Delivered | ApprovalEvent::Escalated | ApprovalEvent::Reminded | ApprovalEvent::Review
    )
}
