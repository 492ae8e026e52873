//! That no act lacks its record: every intent has an allowing decision about the same call before it, and every outcome an intent.
//!
//! A call is held from its allowing decision to its outcome. The outcome closes it: a further attempt must be decided again, as the right to execute is for once.

use std::collections::HashMap;

use super::Flaw;
use crate::ids::{CallId, RecordId};
use crate::limits::OPEN_CALLS_MAX;
use crate::record::{ActionEvent, ActionRecord, Body, DecisionPoint, DecisionRecord, Effect, Record, Tool};
use crate::time::Timestamp;

/// An intent that has no outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenIntent {
    /// The intent's number in the log.
    pub seq: u64,
    /// The call.
    pub call: CallId,
    /// The attempt.
    pub attempt: u32,
    /// The tool.
    pub tool: Tool,
    /// When the ledger took the intent.
    pub recorded_at: Timestamp,
}

/// The calls that are open.
#[derive(Debug, Default)]
pub(super) struct Calls {
    open: HashMap<CallId, Open>,
    overflowed: bool,
}

#[derive(Debug)]
struct Open {
    decision: RecordId,
    args_sha256: String,
    /// What the tool gets, where that is something else.
    sent_sha256: Option<String>,
    tool: Tool,
    /// Arguments may differ from those decided on, because the decision obliged to change them.
    rewritten: bool,
    intents: Vec<Intended>,
}

/// An open intent and what it must come out as.
#[derive(Debug)]
struct Intended {
    intent: OpenIntent,
    args_sha256: String,
}

impl Calls {
    /// Takes the next record.
    pub(super) fn record(&mut self, seq: u64, record: &Record) -> Result<(), Flaw> {
        let call = record.correlation.call;
        match &record.body {
            Body::Decision(decision) => call.map_or(Ok(()), |call| self.decision(record.id, call, decision)),
            Body::Action(action) => {
                let call = call.ok_or(Flaw::NoCall)?;
                let is_outcome = action.event == ActionEvent::Outcome;
                let has_result = action.result_bytes.is_some() || action.result_sha256.is_some();
                let has_input = action.input_sha256.is_some() || action.sent_sha256.is_some();
                if action.status.is_some() != is_outcome || (has_result && !is_outcome) || (has_input && is_outcome) {
                    return Err(Flaw::ActionFields);
                }
                if self.overflowed && !self.open.contains_key(&call) {
                    return Ok(());
                }
                match action.event {
                    ActionEvent::Intent => self.intent(seq, record, call, action),
                    ActionEvent::Outcome => self.outcome(call, action),
                }
            }
            Body::Access(_)
            | Body::Approval(_)
            | Body::Exception(_)
            | Body::Ledger(_)
            | Body::Request(_)
            | Body::Version(_) => Ok(()),
        }
    }

    /// All intents without an outcome, oldest first.
    pub(super) fn open_intents(self) -> Vec<OpenIntent> {
        let mut intents: Vec<_> =
            self.open.into_values().flat_map(|open| open.intents).map(|held| held.intent).collect();
        intents.sort_by_key(|intent| intent.seq);
        intents
    }

    fn decision(&mut self, id: RecordId, call: CallId, decision: &DecisionRecord) -> Result<(), Flaw> {
        if decision.point == DecisionPoint::Release {
            return Ok(());
        }
        if decision.effect != Effect::Allow {
            // An earlier allow no longer stands, unless it has been used already.
            if self.open.get(&call).is_some_and(|open| open.intents.is_empty()) {
                self.open.remove(&call);
            }
            return Ok(());
        }
        let intents = match self.open.remove(&call) {
            Some(open) => open.intents,
            None if self.open.len() < OPEN_CALLS_MAX => Vec::new(),
            None if self.overflowed => return Ok(()),
            None => {
                self.overflowed = true;
                return Err(Flaw::TooManyOpenCalls);
            }
        };
        let open = Open {
            decision: id,
            args_sha256: decision.input.args_sha256.clone(),
            sent_sha256: decision.input.sent_sha256.clone(),
            tool: decision.input.tool.clone(),
            rewritten: !decision.obligations.is_empty(),
            intents,
        };
        self.open.insert(call, open);
        Ok(())
    }

    fn intent(&mut self, seq: u64, record: &Record, call: CallId, action: &ActionRecord) -> Result<(), Flaw> {
        let open = self.open.get_mut(&call).ok_or(Flaw::NotAllowed { call })?;
        let attempt = action.attempt;
        if open.intents.iter().any(|held| held.intent.attempt == attempt) {
            return Err(Flaw::SecondIntent { call, attempt });
        }
        let intent = OpenIntent { seq, call, attempt, tool: action.tool.clone(), recorded_at: record.recorded_at };
        open.intents.push(Intended { intent, args_sha256: action.args_sha256.clone() });
        let same_args =
            open.rewritten || (open.args_sha256 == action.args_sha256 && open.sent_sha256 == action.sent_sha256);
        if same_args && open.tool == action.tool {
            Ok(())
        } else {
            Err(Flaw::NotAsDecided { call, decision: open.decision })
        }
    }

    fn outcome(&mut self, call: CallId, action: &ActionRecord) -> Result<(), Flaw> {
        let attempt = action.attempt;
        let open = self.open.get_mut(&call).ok_or(Flaw::NoIntent { call, attempt })?;
        let at = open.intents.iter().position(|held| held.intent.attempt == attempt);
        let held = open.intents.swap_remove(at.ok_or(Flaw::NoIntent { call, attempt })?);
        if open.intents.is_empty() {
            self.open.remove(&call);
        }
        if held.intent.tool == action.tool && held.args_sha256 == action.args_sha256 {
            Ok(())
        } else {
            Err(Flaw::NotAsIntended { call, intent: held.intent.seq })
        }
    }
}
