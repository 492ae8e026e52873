//! Which classes of data each run has met, for missions that let these decide where the run may write.
//!
//! In memory from the first message of a run on, whatever its mission asks. What earlier processes saw is in the ledger, and is read when a mission first asks. Until
//! then, and where that fails, a run may have met anything.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use evidence::filter::{Filter, IdRange, Pattern, Term};
use evidence::ids::{CallId, RunId};
use evidence::record::{ActionEvent, Body, DecisionPoint, Effect, Endpoint, Obligation, Record};
use governance::classify::ANY;
use governance::decide::PolicySnapshot;
use governance::mission::Treatment;
use store::{Order, ReadError, Reader};

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
        known.kinds.extend(kinds);
        known.is_whole = true;
        Ok(())
    }
}

/// What the records of `run` say that it met.
fn recorded(reader: &Reader, run: RunId) -> Result<Kinds, ReadError> {
    let of_run = Filter::Term(Term::Run(vec![IdRange { low: run, high: run }]));
    let labelled = Filter::Term(Term::Class(vec![Pattern::any()]));
    let died = Filter::Term(Term::Reason(vec![Pattern::exactly(DIED)]));
    let mut records = Records::default();
    reader.visit(&Filter::And(vec![of_run, Filter::Or(vec![labelled, died])]), Order::OldestFirst, |record| {
        records.add(&record);
        ControlFlow::Continue(())
    })?;
    Ok(records.met())
}

/// What was found in the messages of a run, and what was taken out of them.
#[derive(Debug, Default)]
struct Records {
    met: Kinds,
    /// The labels of results, by call.
    results: BTreeMap<CallId, BTreeSet<Arc<str>>>,
    /// What was done to results, by call; `None` where they were withheld.
    released: BTreeMap<CallId, Option<Vec<Obligation>>>,
}

impl Records {
    fn add(&mut self, record: &Record) {
        let Some(call) = record.correlation.call else { return };
        let labels = || record.data_classes.iter().cloned();
        match &record.body {
            Body::Decision(decision) if decision.point == DecisionPoint::Release => {
                let done = (decision.effect != Effect::Deny).then(|| decision.obligations.clone());
                self.released.insert(call, done);
                // What was told beside the answers to calls has no other record.
                if decision.input.tool.endpoint == Endpoint::Request {
                    self.results.entry(call).or_default().extend(labels());
                }
            }
            // It may have been answered, with anything.
            Body::Action(action) if action.reason.as_deref() == Some(DIED) => {
                self.met.insert(Arc::from(ANY));
            }
            Body::Action(action) if action.event == ActionEvent::Outcome => {
                self.results.entry(call).or_default().extend(labels());
            }
            Body::Action(_) | Body::Decision(_) => self.met.extend(labels()),
            Body::Approval(_) | Body::Exception(_) | Body::Ledger(_) | Body::Request(_) | Body::Version(_) => {}
        }
    }

    fn met(self) -> Kinds {
        let mut met = self.met;
        for (call, labels) in self.results {
            match self.released.get(&call) {
                None => met.extend(labels),
                Some(None) => {}
                Some(Some(done)) => {
                    let kinds: Vec<&str> = done.iter().filter_map(taken_out).collect();
                    let is_out = |label: &Arc<str>| {
                        kinds.iter().any(|kind| {
                            let class = kind.split_once('.').map(|(class, _)| class);
                            **kind == **label || (class == Some(label) && !labels.contains(*kind))
                        })
                    };
                    met.extend(labels.iter().filter(|label| !is_out(label)).cloned());
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
            records.results.insert(call, labels(&found));
            records.released.extend(released.clone().map(|released| (call, released)));
            assert_eq!(records.met(), labels(&met), "{found:?} {released:?}");
        }
    }
}
