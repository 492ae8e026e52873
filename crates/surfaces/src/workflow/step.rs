//! One step of an automation: let go ahead with a warrant, open until its end is reported, and closed as unknown where nobody reports it in time.
//!
//! The automation does the step outside, so execution here is to say that it may. [`Steps`] holds what is open; a [`Place`] in it is taken before a step is decided, so that
//! what is let go ahead can be followed.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use governance::call::{Reply, Warrant};
use governance::evidence::ids::{CallId, RunId};
use governance::evidence::record::Status;
use governance::execute::{Created, Execution, Outcome};
use governance::reason::Reason;
use tokio::sync::{oneshot, watch};

use super::answer::go_ahead;
use super::body::Report;
use crate::govern::Execute;
use crate::limits::{STEPS_OPEN_MAX, STEPS_OPEN_PER_RUN_MAX};

/// The steps that are being decided or open, of all runs.
#[derive(Debug)]
pub struct Steps {
    ending: watch::Sender<bool>,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    by_run: HashMap<RunId, usize>,
    places: usize,
    steps: HashMap<CallId, Followed>,
}

/// A step that was let go ahead.
#[derive(Debug)]
struct Followed {
    end: watch::Receiver<Option<End>>,
    /// Gone once something was reported.
    report: Option<oneshot::Sender<Report>>,
    run: RunId,
}

/// How a step ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It is closed, and that is durable.
    Recorded,
    /// Its end could not be recorded.
    Unrecorded,
}

/// Room for one step, until it is dropped.
#[derive(Debug)]
pub struct Place {
    run: RunId,
    steps: Arc<Steps>,
}

/// Why there is no room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// Of this run.
    #[error("{STEPS_OPEN_PER_RUN_MAX} steps of this run are open; report what became of one first")]
    Run,
    /// Of all runs together.
    #[error("more steps are open than are followed; try again later")]
    All,
}

/// Why a report is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Untaken {
    /// No step of this run and call is open.
    #[error("no step of this run is open under this id")]
    NotOpen,
    /// What became of it was reported before.
    #[error("what became of this step was reported before; the first report stands")]
    Again,
}

impl Default for Steps {
    fn default() -> Self {
        Self { ending: watch::Sender::new(false), open: Mutex::default() }
    }
}

impl Steps {
    fn open(&self) -> MutexGuard<'_, Open> {
        // Every change is one step: a panic in between leaves nothing half done.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes room for a step of `run`.
    ///
    /// # Errors
    /// [`Full`].
    pub fn place(self: &Arc<Self>, run: RunId) -> Result<Place, Full> {
        let mut open = self.open();
        if open.places >= STEPS_OPEN_MAX {
            return Err(Full::All);
        }
        let of_run = open.by_run.entry(run).or_default();
        if *of_run >= STEPS_OPEN_PER_RUN_MAX {
            return Err(Full::Run);
        }
        *of_run += 1;
        open.places += 1;
        Ok(Place { run, steps: self.clone() })
    }

    /// Takes what `run` reports of `call`; tells when that is durable.
    ///
    /// # Errors
    /// [`Untaken`].
    pub fn report(&self, run: RunId, call: CallId, report: Report) -> Result<watch::Receiver<Option<End>>, Untaken> {
        let mut open = self.open();
        let step = open.steps.get_mut(&call).filter(|step| step.run == run).ok_or(Untaken::NotOpen)?;
        let sender = step.report.take().ok_or(Untaken::Again)?;
        let end = step.end.clone();
        // Whoever followed it may have given up at this moment.
        sender.send(report).map_err(|_| Untaken::NotOpen)?;
        Ok(end)
    }

    /// Ends the following of all steps, and waits until their ends are recorded.
    pub async fn close(&self) {
        self.ending.send_replace(true);
        let mut ending = self.ending.subscribe();
        while self.open().places > 0 {
            // A place that is given back tells so.
            if ending.changed().await.is_err() {
                return;
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.steps.open();
        open.places = open.places.saturating_sub(1);
        if let Some(of_run) = open.by_run.get_mut(&self.run) {
            *of_run = of_run.saturating_sub(1);
            if *of_run == 0 {
                open.by_run.remove(&self.run);
            }
        }
        drop(open);
        self.steps.ending.send_modify(|_| ());
    }
}

/// One step on its way.
#[derive(Debug)]
pub struct Step {
    /// Who reports.
    agent: Arc<str>,
    call: CallId,
    end: watch::Receiver<Option<End>>,
    place: Arc<Place>,
    report: Option<oneshot::Receiver<Report>>,
    report_within: Duration,
    told: Option<oneshot::Sender<Reply>>,
    wait_s: u64,
}

/// The other side of a step: what the automation is to be told, and where its end is noted.
#[derive(Debug)]
pub struct Attended {
    /// The go-ahead; closed without one where there is none.
    pub go_ahead: oneshot::Receiver<Reply>,
    /// Notes the end.
    pub ending: Ending,
}

/// Notes how a step ended.
#[derive(Debug)]
pub struct Ending {
    call: CallId,
    end: watch::Sender<Option<End>>,
    place: Arc<Place>,
}

impl Step {
    /// The step `call` of `agent`, which waits for people for `wait_s` seconds at most and reports within `report_within`.
    #[must_use]
    pub fn new(place: Place, call: CallId, agent: Arc<str>, report_within: Duration, wait_s: u64) -> (Self, Attended) {
        let place = Arc::new(place);
        let (told, go_ahead) = oneshot::channel();
        let (end, ended) = watch::channel(None);
        let ending = Ending { call, end, place: place.clone() };
        let step = Self { agent, call, end: ended, place, report: None, report_within, told: Some(told), wait_s };
        (step, Attended { go_ahead, ending })
    }
}

impl Ending {
    /// The step is over: what was `reply`, if anything.
    pub fn note(self, reply: Option<&Reply>) {
        let is_unrecorded =
            matches!(reply, Some(Reply::Failed(refusal, _)) if refusal.reason == Reason::LedgerUnavailable);
        self.place.steps.open().steps.remove(&self.call);
        self.end.send_replace(Some(if is_unrecorded { End::Unrecorded } else { End::Recorded }));
    }
}

impl Execute for Step {
    /// Lets the automation go ahead: the intent is durable, and what happens from here on happens outside.
    async fn execute(&mut self, warrant: Warrant) -> Execution {
        if warrant.call() != self.call || self.told.is_none() {
            return Execution::Ended(Outcome::without_answer(Status::NotExecuted, Reason::EvaluationFailed));
        }
        let (sender, report) = oneshot::channel();
        let followed = Followed { end: self.end.clone(), report: Some(sender), run: self.place.run };
        self.place.steps.open().steps.insert(self.call, followed);
        self.report = Some(report);
        let within_us = i64::try_from(self.report_within.as_micros()).unwrap_or(i64::MAX);
        let report_by = warrant.intent().recorded_at.plus_micros(within_us);
        let payload = go_ahead(self.call, warrant.approval(), report_by);
        Execution::Task(Created { result: payload.clone(), payload })
    }

    // CRASH: the automation may have gone ahead, and its report finds nobody: recovery has closed the call as unknown and opened an exception.
    async fn follow(&mut self, reply: Reply) -> Outcome {
        let (Some(told), Some(report)) = (self.told.take(), self.report.take()) else {
            return Outcome::without_answer(Status::Unknown, Reason::EvaluationFailed);
        };
        if told.send(reply).is_err() {
            return Outcome::without_answer(Status::NotExecuted, Reason::CancelledByClient);
        }
        let mut ending = self.place.steps.ending.subscribe();
        tokio::select! {
            biased;
            Ok(report) = report => report.outcome(&self.agent),
            _stop = ending.wait_for(|ending| *ending) => Outcome::without_answer(Status::Unknown, Reason::GatewayStopping),
            () = tokio::time::sleep(self.report_within) => Outcome::without_answer(Status::Unknown, Reason::NotReported),
        }
    }

    fn patience_s(&self) -> u64 {
        self.wait_s
    }

    /// Nobody else has heard of it.
    async fn cancel(&mut self) {}
}
