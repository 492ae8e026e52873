//! What the runs under way were returned, for rules that say `from`. In memory alone: after a restart a run starts without, and what rules then deny it gets by asking
//! for the list again.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use evidence::ids::RunId;
use evidence::record::{Status, Tool};
use governance::classify::Returned;
use governance::decide::PolicySnapshot;
use governance::execute::Outcome;

use crate::limits::RECALLED_RUNS_MAX;

/// What each run was returned.
#[derive(Debug, Default)]
pub(crate) struct Recall(Mutex<Runs>);

#[derive(Debug, Default)]
struct Runs {
    /// The oldest first.
    order: VecDeque<RunId>,
    returned: HashMap<RunId, Returned>,
}

impl Recall {
    /// Does `work` with what `run` was returned.
    pub(crate) fn with<T>(&self, run: Option<RunId>, work: impl FnOnce(&Returned) -> T) -> T {
        let runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match run.and_then(|run| runs.returned.get(&run)) {
            Some(returned) => work(returned),
            None => work(&Returned::default()),
        }
    }

    /// Keeps what `tool` returned to `run` in the fields that rules of `policy` name; before the agent has it.
    pub(crate) fn add(&self, run: Option<RunId>, policy: &PolicySnapshot, tool: &Tool, outcome: &Outcome) {
        let mut sources = policy.sources(tool).peekable();
        let (Some(run), Some(result), Status::Done) = (run, &outcome.result, outcome.status) else { return };
        if sources.peek().is_none() {
            return;
        }
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !runs.returned.contains_key(&run) {
            if runs.order.len() >= RECALLED_RUNS_MAX
                && let Some(oldest) = runs.order.pop_front()
            {
                runs.returned.remove(&oldest);
            }
            runs.order.push_back(run);
        }
        runs.returned.entry(run).or_default().add(sources, result);
    }

    /// A run is over.
    pub(crate) fn forget(&self, run: RunId) {
        let mut runs = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if runs.returned.remove(&run).is_some() {
            runs.order.retain(|known| *known != run);
        }
    }
}
