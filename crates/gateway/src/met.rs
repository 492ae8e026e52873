//! Which classes of data each run has met, for missions that let these decide where the run may write.
//!
//! In memory from the first message of a run on, whatever its mission asks. What earlier processes saw is in the ledger, and is read when a mission first asks. Until
//! then, and where that fails, a run may have met anything.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use evidence::ids::{CallId, RunId};
use evidence::record::{ActionEvent, Body, Content, DecisionPoint, Effect, Endpoint, Obligation, Record, Tool};
use evidence::time::Timestamp;
use governance::classify::ANY;
use governance::decide::PolicySnapshot;
use governance::mission::Treatment;
use serde::Serialize;
use store::{ReadError, Reader};

use crate::Gateway;
use crate::blocking::blocking;

/// The reason of outcomes that nobody knows because the gateway died.
const DIED: &str = "gateway_died";

/// Kinds of data, as in `pii.email`, and classes of which the kind is not known.
type Kinds = BTreeSet<Arc<str>>;

/// What the runs have met.
#[derive(Debug, Default)]
pub(crate) struct Met {
    /// One takes up a run at a time.
    opening: tokio::sync::Mutex<()>,
    runs: Mutex<HashMap<RunId, Run>>,
}

#[derive(Debug, Default)]
struct Run {
    /// Whether what earlier processes saw is among it.
    is_whole: bool,
    kinds: Kinds,
}

impl Met {
    /// A run begins: it has met nothing.
    pub(crate) fn begin(&self, run: RunId) {
        self.lock().entry(run).or_default().is_whole = true;
    }

    /// The run meets `kinds`.
    pub(crate) fn add(&self, run: Option<RunId>, kinds: impl IntoIterator<Item = Arc<str>>) {
        let mut kinds = kinds.into_iter().peekable();
        if let (Some(run), Some(_)) = (run, kinds.peek()) {
            self.lock().entry(run).or_default().kinds.extend(kinds);
        }
    }

    /// What `run` has met of what `policy` asks about.
    pub(crate) fn of(&self, run: Option<RunId>, policy: &PolicySnapshot) -> Vec<Arc<str>> {
        if !policy.follows_classes() {
            return Vec::new();
        }
        let runs = self.lock();
        match run.and_then(|run| runs.get(&run)).filter(|run| run.is_whole) {
            Some(run) => policy.met(&run.kinds),
            None => vec![Arc::from(ANY)],
        }
    }

    /// A run is over.
    pub(crate) fn forget(&self, run: RunId) {
        self.lock().remove(&run);
    }

    /// Forgets the runs that are not open any more.
    pub(crate) fn sweep(&self, is_open: impl Fn(RunId) -> bool) {
        self.lock().retain(|run, _| is_open(*run));
    }

    fn is_whole(&self, run: RunId) -> bool {
        self.lock().get(&run).is_some_and(|run| run.is_whole)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<RunId, Run>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gateway {
    /// What `run` has met of what `policy` asks about, of earlier processes too.
    pub(crate) async fn met(&self, run: Option<RunId>, policy: &PolicySnapshot) -> Vec<Arc<str>> {
        if let Some(run) = run.filter(|run| policy.follows_classes() && !self.met.is_whole(*run))
            && let Err(error) = self.open_met(run).await
        {
            tracing::error!(%error, %run, "what a run has met is not known; it may be anything");
        }
        self.met.of(run, policy)
    }

    async fn open_met(&self, run: RunId) -> Result<(), ReadError> {
        let _one_at_a_time = self.met.opening.lock().await;
        if self.met.is_whole(run) {
            return Ok(());
        }
        let reader = self.ledger.reader()?;
        let kinds = blocking(move || recorded(&reader, run)).await?;
        let mut runs = self.met.lock();
        let known = runs.entry(run).or_default();
        known.kinds.extend(kinds.into_keys());
        known.is_whole = true;
        Ok(())
    }

    /// The classes and kinds of data that `run` has met, of earlier processes too; `*` where nobody knows.
    pub(crate) async fn all_met(&self, run: RunId) -> Vec<Arc<str>> {
        if !self.met.is_whole(run)
            && let Err(error) = self.open_met(run).await
        {
            tracing::error!(%error, %run, "what a run has met is not known; it may be anything");
            return vec![Arc::from(ANY)];
        }
        self.met.lock().get(&run).map(|known| known.kinds.iter().cloned().collect()).unwrap_or_default()
    }
}

/// What the records of `run` say that it met, and where first.
///
/// # Errors
/// [`ReadError`].
pub fn recorded(reader: &Reader, run: RunId) -> Result<BTreeMap<Arc<str>, FirstMet>, ReadError> {
    let mut records = Records::default();
    reader.visit_run(run, |record| {
        records.add(&record);
        ControlFlow::Continue(())
    })?;
    Ok(records.met())
}

/// Where a run first met a class of data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FirstMet {
    /// When.
    pub at: Timestamp,
    /// In which call.
    pub call: CallId,
    /// In which content of it.
    pub content: Content,
    /// The record that says so.
    pub seq: u64,
    /// Which tool was called, as `mcp:crm/search`.
    pub tool: String,
}

impl FirstMet {
    fn of(record: &Record, call: CallId, content: Content, tool: &Tool) -> Self {
        Self { at: record.occurred_at, call, content, seq: record.seq, tool: tool.to_string() }
    }
}

/// What was found in the messages of a run, and what was taken out of them.
#[derive(Debug, Default)]
pub(crate) struct Records {
    met: BTreeMap<Arc<str>, FirstMet>,
    /// The labels of results, by call.
    results: BTreeMap<CallId, (BTreeSet<Arc<str>>, FirstMet)>,
    /// What was done to results, by call; `None` where they were withheld.
    released: BTreeMap<CallId, Option<Vec<Obligation>>>,
}

impl Records {
    pub(crate) fn add(&mut self, record: &Record) {
        let Some(call) = record.correlation.call else { return };
        match &record.body {
            Body::Decision(decision) if decision.point == DecisionPoint::Release => {
                let done = (decision.effect != Effect::Deny).then(|| decision.obligations.clone());
                self.released.insert(call, done);
                // What was told beside the answers to calls has no other record.
                if decision.input.tool.endpoint == Endpoint::Request {
                    self.returned(record, call, &decision.input.tool);
                }
            }
            // It may have been answered, with anything.
            Body::Action(action) if action.reason.as_deref() == Some(DIED) => {
                let first = FirstMet::of(record, call, Content::Result, &action.tool);
                self.met.entry(Arc::from(ANY)).or_insert(first);
            }
            Body::Action(action) if action.event == ActionEvent::Outcome => self.returned(record, call, &action.tool),
            Body::Action(action) => self.sent(record, call, &action.tool),
            Body::Decision(decision) => self.sent(record, call, &decision.input.tool),
            Body::Access(_)
            | Body::Approval(_)
            | Body::Exception(_)
            | Body::Ledger(_)
            | Body::Request(_)
            | Body::Version(_) => {}
        }
    }

    fn returned(&mut self, record: &Record, call: CallId, tool: &Tool) {
        if !record.data_classes.is_empty() {
            let first = || (BTreeSet::new(), FirstMet::of(record, call, Content::Result, tool));
            self.results.entry(call).or_insert_with(first).0.extend(record.data_classes.iter().cloned());
        }
    }

    fn sent(&mut self, record: &Record, call: CallId, tool: &Tool) {
        for label in &record.data_classes {
            if !self.met.contains_key(label) {
                self.met.insert(label.clone(), FirstMet::of(record, call, Content::Arguments, tool));
            }
        }
    }

    /// What the run met, and where first.
    pub(crate) fn met(self) -> BTreeMap<Arc<str>, FirstMet> {
        let mut met = self.met;
        for (call, (labels, first)) in self.results {
            let stays: Vec<&Arc<str>> = match self.released.get(&call) {
                None => labels.iter().collect(),
                Some(None) => Vec::new(),
                Some(Some(done)) => {
                    let kinds: Vec<&str> = done.iter().filter_map(taken_out).collect();
                    let is_out = |label: &Arc<str>| {
                        kinds.iter().any(|kind| {
                            let class = kind.split_once('.').map(|(class, _)| class);
                            **kind == **label || (class == Some(label) && !labels.contains(*kind))
                        })
                    };
                    labels.iter().filter(|label| !is_out(label)).collect()
                }
            };
            for label in stays {
                let known = met.entry(label.clone()).or_insert_with(|| first.clone());
                if first.seq < known.seq {
                    *known = first.clone();
                }
            }
        }
        met
    }
}

/// The kind that the obligation took out of a result.
fn taken_out(done: &Obligation) -> Option<&str> {
    let stays = [Treatment::Keep, Treatment::Mask].iter().any(|treatment| treatment.name() == done.kind);
    let (kind, _count) = done.target.strip_prefix("result:")?.rsplit_once(':')?;
    (!stays).then_some(kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn labels(labels: &[&str]) -> Kinds {
        labels.iter().map(|label| Arc::from(*label)).collect()
    }

    #[test]
    fn what_was_taken_out_of_a_result_was_not_met() {
        let call = CallId::at(evidence::time::Timestamp::EPOCH, [1; 10]);
        let done = |kind: &str, target: &str| Obligation { kind: kind.to_owned(), target: target.to_owned() };
        for (found, released, met) in [
            (vec!["pii", "secret"], None, vec!["pii", "secret"]),
            (vec!["pii", "secret"], Some(None), vec![]),
            (vec!["pii", "secret"], Some(Some(vec![done("redact", "result:pii.us_ssn:1")])), vec!["secret"]),
            (vec!["pii"], Some(Some(vec![done("mask", "result:pii.us_ssn:1")])), vec!["pii"]),
            // The label of the class is about other kinds, where the kind has its own.
            (vec!["pii", "pii.us_ssn"], Some(Some(vec![done("tag", "result:pii.us_ssn:2")])), vec!["pii"]),
            (vec!["pii", "pii.us_ssn"], Some(Some(vec![done("hash", "result:pii.email:2")])), vec!["pii.us_ssn"]),
            (vec!["unclassified"], Some(Some(vec![done("hash", "other")])), vec!["unclassified"]),
        ] {
            let mut records = Records::default();
            let first = FirstMet {
                at: Timestamp::EPOCH,
                call,
                content: Content::Result,
                seq: 1,
                tool: "mcp:crm/search".to_owned(),
            };
            records.results.insert(call, (labels(&found), first));
            records.released.extend(released.clone().map(|released| (call, released)));
            assert_eq!(records.met().into_keys().collect::<Kinds>(), labels(&met), "{found:?} {released:?}");
        }
    }
}
