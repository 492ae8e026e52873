//! One gateway with everything real but threads, disk and clock, and those who do something to it: agents, reviewers, clocks, crashes. Each step is one choice of what
//! happens next.

use std::cell::Cell;
use std::collections::hash_map::DefaultHasher;
use std::fmt::Write as _;
use std::future::{Future, poll_fn};
use std::hash::{Hash as _, Hasher as _};
use std::pin::Pin;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use arc_swap::ArcSwap;
use bytes::Bytes;
use evidence::approvals::State;
use evidence::ids::{ApprovalId, RunId};
use evidence::leaf::sha256_hex;
use evidence::record::approval::Answer;
use evidence::record::{Authenticated, Body, Endpoint, Record, Status, Surface, Tool};
use governance::call::Warrant;
use governance::execute::{Execution, Outcome};
use governance::intercept::Intercepted;
use store::Ledger;
use store::embedded::index::IndexPlace;
use store::ledger::Writer;
use surfaces::govern::{Execute, Session as _};
use tokio::runtime::Runtime;
use tokio::sync::oneshot;

use super::disk::{Fault, Ram};
use super::oracle::{self, Ran, Told};
use super::stage::{Flag, INITIATOR, Part, START, Stage, options, records, runtime, waiting};
use super::words::{entry_word, numbered, state_word, told};
use crate::Gateway;
use crate::approvals::{ApprovalState, Channel, Reviewed};
use crate::clock::by_hand::Held;
use crate::home::Home;
use crate::missions::Policy;
use crate::runs::Standing;
use crate::session::{AgentSession, Proof};

/// What happens next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Somebody who waited goes on.
    Go(usize),
    /// Somebody begins.
    Begin(usize),
    /// The writer writes the first so many of what waits, as one group.
    Write(usize),
    /// It writes all, and that goes wrong.
    Fail(Fault),
    /// Time passes until the next moment.
    Pass,
    /// The process dies and another one takes over.
    Crash,
}

enum Being {
    Before,
    Going { cancel: Option<oneshot::Sender<()>>, flag: Arc<Flag>, future: Pin<Box<dyn Future<Output = String>>> },
    Over(String),
}

struct Actor {
    being: Being,
    part: Part,
    /// How often it went on: between two steps that leave nothing behind it is not where it was.
    polls: u32,
    /// What it has done, in words.
    trace: String,
}

/// What was seen from outside.
#[derive(Default)]
pub(super) struct Seen {
    pub(super) ran: Vec<Ran>,
    pub(super) told: Vec<Told>,
}

/// One run of a scenario.
pub(super) struct World<'s> {
    actors: Vec<Actor>,
    /// How many seconds after the start it is.
    pub(super) at_s: i64,
    crashes: u32,
    disk: Ram,
    faults: Vec<Fault>,
    gateway: Option<Arc<Gateway>>,
    held: Held,
    is_degraded: bool,
    /// What is durable, in words.
    logged: String,
    moment: usize,
    pub(super) nonces: u64,
    policy: Policy,
    runtime: Rc<Runtime>,
    pub(super) sabotage: Option<fn(&mut Tampered<'_>)>,
    pub(super) seen: Arc<Mutex<Seen>>,
    sessions: Vec<Arc<AgentSession>>,
    stage: &'s Stage,
    writer: Option<Writer>,
}

/// What a broken gateway would have made of its book.
pub(super) struct Tampered<'w> {
    pub(super) gateway: &'w Gateway,
    pub(super) is_restart: bool,
    pub(super) kept: &'w mut Vec<tokio::sync::watch::Sender<u64>>,
}

thread_local! {
    static KEPT: Cell<Vec<tokio::sync::watch::Sender<u64>>> = const { Cell::new(Vec::new()) };
}

/// A tool that says when it is reached.
struct Witness {
    holds_s: u64,
    ledger: Ledger,
    seen: Arc<Mutex<Seen>>,
}

impl Execute for Witness {
    async fn execute(&mut self, warrant: Warrant) -> Execution {
        let (approval, call, intent) = (warrant.approval(), warrant.call(), warrant.intent().seq);
        let durable = self.ledger.lag().durable;
        self.seen.lock().unwrap().ran.push(Ran { approval, call, durable, intent });
        drop(warrant);
        breathe().await;
        let result = Bytes::from_static(b"{}");
        Execution::Ended(Outcome {
            examined: None,
            external_reference: None,
            payload: Some(result.clone()),
            reason: None,
            reported: None,
            result: Some(result),
            status: Status::Done,
        })
    }

    fn patience_s(&self) -> u64 {
        self.holds_s
    }

    async fn cancel(&mut self) {}
}

/// Lets others go first, once.
async fn breathe() {
    let mut has_waited = false;
    poll_fn(|context| {
        if std::mem::replace(&mut has_waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// The arguments of the call with this key.
fn arguments(key: &str) -> String {
    format!("{{\"key\":\"{key}\"}}")
}

impl<'s> World<'s> {
    /// A world in which nothing has happened.
    pub(super) fn new(stage: &'s Stage) -> Self {
        let scenario = &stage.scenario;
        if scenario.people_later.is_some() {
            stage.people(&scenario.people);
        }
        let actor = |part: &Part| Actor { being: Being::Before, part: part.clone(), polls: 0, trace: String::new() };
        let mut world = Self {
            actors: scenario.parts.iter().map(actor).collect(),
            at_s: 1,
            crashes: scenario.crashes,
            disk: stage.disk.copy(),
            faults: scenario.faults.clone(),
            gateway: None,
            held: Held::at(START.plus_micros(1_000_000)),
            is_degraded: false,
            logged: String::new(),
            moment: 0,
            nonces: 0,
            policy: Arc::new(ArcSwap::new(stage.policy.clone())),
            runtime: Rc::new(runtime()),
            sabotage: None,
            seen: Arc::default(),
            sessions: Vec::new(),
            stage,
            writer: None,
        };
        KEPT.take();
        world.open();
        world
    }

    /// A process takes over what the disk has.
    fn open(&mut self) {
        let runtime = self.runtime.clone();
        let _entered = runtime.enter();
        let options = options(&self.held, self.stage.scenario.queue);
        let (ledger, writer) = Ledger::by_hand(Arc::new(self.disk.clone()), IndexPlace::Memory, options).unwrap();
        let home = Home::find(Some(self.stage.home.path().join("home"))).unwrap();
        let gateway = Gateway::over(home, ledger, Duration::from_secs(3_600)).unwrap();
        let _people = gateway.people_in_force();
        let session = |run: &RunId| {
            let run = gateway.runs.find(*run)?;
            let proof = Proof::Local(Authenticated::OsUser);
            Some(Arc::new(AgentSession::new(gateway.clone(), run, self.policy.clone(), "up".into(), proof)))
        };
        // A run that has ended is not taken up; nobody sends calls in it.
        self.sessions = self.stage.runs.iter().filter_map(session).collect();
        (self.gateway, self.writer) = (Some(gateway), Some(writer));
    }

    pub(super) fn gateway(&self) -> &Arc<Gateway> {
        self.gateway.as_ref().expect("a world has a gateway between two crashes")
    }

    fn writer(&mut self) -> &mut Writer {
        self.writer.as_mut().expect("a world has a writer between two crashes")
    }

    fn waiting(&self) -> Vec<String> {
        self.writer.as_ref().map(waiting).unwrap_or_default()
    }

    /// Everything that may happen next.
    pub(super) fn steps(&self) -> Vec<Step> {
        let mut steps = Vec::new();
        for (at, actor) in self.actors.iter().enumerate() {
            if matches!(&actor.being, Being::Going { flag, .. } if flag.0.load(Ordering::Relaxed)) {
                steps.push(Step::Go(at));
            }
        }
        let waiting = self.waiting().len();
        steps.extend((1..=waiting).rev().map(Step::Write));
        for (at, actor) in self.actors.iter().enumerate() {
            if matches!(actor.being, Being::Before) && self.may_begin(&actor.part) {
                steps.push(Step::Begin(at));
            }
        }
        if waiting > 0 && !self.is_degraded {
            steps.extend(self.faults.iter().copied().map(Step::Fail));
        }
        if self.moment < self.stage.scenario.moments_s.len() {
            steps.push(Step::Pass);
        }
        if self.crashes > 0 {
            steps.push(Step::Crash);
        }
        steps
    }

    fn may_begin(&self, part: &Part) -> bool {
        let state = |key| self.known(key).map(|(_, state)| state);
        match part {
            Part::Call { run, .. } => *run < self.sessions.len(),
            Part::Leave(other) => {
                matches!(self.actors.get(*other), Some(Actor { being: Being::Going { cancel: Some(_), .. }, .. }))
            }
            Part::CutOff(other) => matches!(self.actors[*other].being, Being::Going { .. }),
            Part::Answer { key, .. } => state(key) == Some(State::Open),
            Part::Revoke { key } => matches!(state(key), Some(State::Approved(_))),
            Part::Release { key } => matches!(state(key), Some(State::Approved(_) | State::Open)),
            Part::EndRun(run) => *run < self.sessions.len(),
            Part::Tend | Part::Mission | Part::People => true,
        }
    }

    /// The newest approval of calls with this key, as the book has it.
    fn known(&self, key: &str) -> Option<(ApprovalId, State)> {
        let args_sha256 = sha256_hex(arguments(key).as_bytes());
        let book = self.gateway().approvals.book();
        let mut entries = book.entries.values().rev();
        let entry = entries.find(|entry| entry.approval.question.args_sha256 == args_sha256)?;
        Some((entry.approval.approval, entry.approval.state.clone()))
    }

    /// Makes one step; says what is wrong then.
    pub(super) fn step(&mut self, step: Step) -> Result<(), String> {
        let runtime = self.runtime.clone();
        let entered = runtime.enter();
        self.act(step);
        drop(entered);
        // What was left to a task of its own.
        if runtime.metrics().num_alive_tasks() > 0 {
            runtime.block_on(tokio::task::yield_now());
        }
        if let Some(sabotage) = self.sabotage {
            let mut kept = KEPT.take();
            let is_restart = step == Step::Crash;
            sabotage(&mut Tampered { gateway: self.gateway(), is_restart, kept: &mut kept });
            KEPT.set(kept);
        }
        if step == Step::Crash { self.survived() } else { Ok(()) }
    }

    fn act(&mut self, step: Step) {
        match step {
            Step::Begin(at) => self.begin(at),
            Step::Go(at) => self.go(at),
            Step::Write(count) => self.write(count),
            Step::Fail(fault) => {
                self.disk.fail(fault);
                self.faults.clear();
                let waiting = self.waiting().len();
                // What is kept is durable, and nobody is told.
                self.is_degraded = fault != Fault::Kept;
                self.write(waiting);
                self.is_degraded = true;
            }
            Step::Pass => {
                let at = self.stage.scenario.moments_s[self.moment];
                self.moment += 1;
                self.pass_to(at);
            }
            Step::Crash => {
                self.crashes -= 1;
                self.crash();
            }
        }
    }

    fn write(&mut self, count: usize) {
        if !self.is_degraded {
            let words = self.waiting();
            self.logged.extend(words.into_iter().take(count));
        }
        self.writer().write(count);
    }

    fn crash(&mut self) {
        for actor in &mut self.actors {
            if matches!(actor.being, Being::Going { .. }) {
                actor.being = Being::Over("died".to_owned());
            }
        }
        self.sessions.clear();
        (self.gateway, self.writer) = (None, None);
        self.is_degraded = false;
        self.disk.mend();
        self.logged.push_str("crash\n");
        self.open();
    }

    fn begin(&mut self, at: usize) {
        let part = self.actors[at].part.clone();
        let gateway = self.gateway().clone();
        let mut cancel = None;
        let over = |said: &str| Some(Being::Over(said.to_owned()));
        let (future, at_once): (Pin<Box<dyn Future<Output = String>>>, Option<Being>) = match part {
            Part::Call { delivers, holds_s, key, run } => {
                let (sender, mut cancelled) = oneshot::channel();
                cancel = Some(sender);
                let session = self.sessions[run].clone();
                let (seen, ledger) = (self.seen.clone(), gateway.ledger.clone());
                let tool = Tool {
                    endpoint: Endpoint::Tool,
                    name: "effect".into(),
                    surface: Surface::Mcp,
                    upstream: "up".into(),
                };
                let call = session.call_id();
                let intercepted = Intercepted::new(call, session.context(), tool, arguments(key).into(), None);
                let witness = Witness { holds_s, ledger: ledger.clone(), seen: seen.clone() };
                let work = async move {
                    let Some(answered) = session.govern(intercepted, witness, &mut cancelled).await else {
                        return "left".to_owned();
                    };
                    let what = told(&answered.reply).to_owned();
                    let durable = ledger.lag().durable;
                    seen.lock().unwrap().told.push(Told { call, durable, what: what.clone() });
                    if delivers {
                        breathe().await;
                        answered.receipt.iter().for_each(surfaces::govern::Receipt::acknowledge);
                    }
                    what
                };
                (Box::pin(work), None)
            }
            Part::Leave(other) => {
                if let Being::Going { cancel, .. } = &mut self.actors[other].being
                    && let Some(cancel) = cancel.take()
                {
                    let _gone = cancel.send(());
                }
                (Box::pin(async { String::new() }), over("left"))
            }
            Part::CutOff(other) => {
                self.actors[other].being = Being::Over("cut off".to_owned());
                (Box::pin(async { String::new() }), over("cut off"))
            }
            Part::Answer { answer, apart, key, person } => {
                self.nonces += 1;
                let reviewed = self.reviewed(answer, key, person);
                let work = async move {
                    let counted = match apart {
                        true => gateway.review(reviewed, person, Channel::Api).await,
                        false => gateway.count_review(reviewed, person, Channel::Cli).await,
                    };
                    match counted {
                        Ok(counted) => format!("counted {:?}", counted.resolution),
                        Err(_) => "refused".to_owned(),
                    }
                };
                (Box::pin(work), None)
            }
            Part::Revoke { key } => {
                let Some((id, _)) = self.known(key) else { return };
                let work = async move {
                    gateway.take_back(id, "bea", "not any more").await.map_or("refused", |()| "revoked").to_owned()
                };
                (Box::pin(work), None)
            }
            Part::Release { key } => {
                let Some((id, _)) = self.known(key) else { return };
                let work = async move {
                    let released = gateway.release_approval(id, INITIATOR, "not needed", Channel::Cli).await;
                    released.map_or("refused", ApprovalState::as_str).to_owned()
                };
                (Box::pin(work), None)
            }
            Part::EndRun(run) => {
                let run = self.stage.runs[run];
                let work = async move {
                    let ended = gateway.close_run(run, Standing::Ended, INITIATOR, "done").await;
                    ended.map_or("refused", |()| "ended").to_owned()
                };
                (Box::pin(work), None)
            }
            Part::Tend => (
                Box::pin(async move {
                    gateway.tend_approvals().await;
                    "tended".to_owned()
                }),
                None,
            ),
            Part::Mission => {
                let later = self.stage.later.clone().expect("a scenario with another version of its mission");
                self.policy.store(later);
                (Box::pin(async { String::new() }), over("changed"))
            }
            Part::People => {
                self.stage.people(self.stage.scenario.people_later.as_deref().expect("other persons"));
                let work = async move {
                    gateway.load_people("file").await;
                    "changed".to_owned()
                };
                (Box::pin(work), None)
            }
        };
        let flag = Arc::new(Flag(AtomicBool::new(true)));
        self.actors[at].being = at_once.unwrap_or(Being::Going { cancel, flag, future });
        self.go(at);
    }

    fn reviewed(&self, answer: Answer, key: &str, person: &str) -> Reviewed {
        let args_sha256 = sha256_hex(arguments(key).as_bytes());
        let book = self.gateway().approvals.book();
        let mut entries = book.entries.values().rev();
        let entry = entries.find(|entry| entry.approval.question.args_sha256 == args_sha256).expect("what is asked");
        Reviewed {
            answer,
            approval: entry.approval.approval,
            key: None,
            nonce: format!("{:032x}", self.nonces),
            on_behalf_of: None,
            proposed: (answer == Answer::Edit).then(|| arguments("d")),
            reason: "looked at it".to_owned(),
            reviewer: Some(person.to_owned()),
            shown_sha256: entry.approval.question.shown_sha256.clone(),
            signature: None,
            signed_at: crate::clock::now(),
            ticket: None,
        }
    }

    fn go(&mut self, at: usize) {
        let before = self.waiting().len();
        let ran = self.seen.lock().unwrap().ran.len();
        let Being::Going { flag, future, .. } = &mut self.actors[at].being else { return };
        flag.0.store(false, Ordering::Relaxed);
        let waker = Waker::from(flag.clone());
        let done = future.as_mut().poll(&mut Context::from_waker(&waker));
        let appended = self.waiting();
        let has_run = self.seen.lock().unwrap().ran.len() > ran;
        let actor = &mut self.actors[at];
        actor.polls += 1;
        actor.trace.extend(appended.into_iter().skip(before));
        if has_run {
            actor.trace.push_str("runs\n");
        }
        if let Poll::Ready(said) = done {
            actor.being = Being::Over(said);
        }
    }

    /// Where the world stands. Two worlds with the same number go on in the same way: what is durable, what waits, the book, the time, and what everybody did are the same.
    pub(super) fn standing(&self) -> u64 {
        let mut text = format!("{} {} {}\n", self.moment, self.crashes, self.faults.len());
        text.push_str(&self.logged);
        let _ = writeln!(text, "{} waiting {}", self.is_degraded, self.waiting().concat());
        text.extend(self.gateway().approvals.book().entries.values().map(|entry| entry_word(entry) + "\n"));
        for actor in &self.actors {
            let being = match &actor.being {
                Being::Before => "before".to_owned(),
                Being::Going { cancel, flag, .. } => {
                    format!("going {} {}", cancel.is_some(), flag.0.load(Ordering::Relaxed))
                }
                Being::Over(said) => said.clone(),
            };
            let _ = writeln!(text, "{being} {} {}", actor.polls, actor.trace);
        }
        let mut hasher = DefaultHasher::new();
        numbered(&text).hash(&mut hasher);
        hasher.finish()
    }

    /// After a crash: what was open is open, with the same clocks and answers, and so is all else.
    fn survived(&mut self) -> Result<(), String> {
        let records = records(&self.disk);
        self.agrees(&records).map_err(|what| format!("after a restart, {what}"))
    }

    /// The book says of every approval what the log says.
    fn agrees(&self, records: &[Record]) -> Result<(), String> {
        let lives = oracle::lives(records)?;
        let book = self.gateway().approvals.book();
        if book.entries.len() != lives.len() {
            return Err(format!("the book has {} approvals, the log {}", book.entries.len(), lives.len()));
        }
        for (id, life) in &lives {
            let entry = book.entries.get(id).ok_or_else(|| format!("the book lacks {id}"))?;
            let asked = life.requested.1.question.as_ref();
            let numbers = (life.uses.len(), life.reviews.len(), Some(&entry.approval.question), life.opened_at);
            let found = (entry.approval.used() as usize, entry.approval.reviews.len(), asked, entry.approval.opened_at);
            if state_word(&entry.approval.state) != life.word() || numbers != found {
                return Err(format!(
                    "the book says of {id} `{}`, the log {} {numbers:?}",
                    entry_word(entry),
                    life.word()
                ));
            }
            if book.open.contains(id) != life.is_open() {
                return Err(format!("{id} is in the inbox and not open, or the other way round"));
            }
        }
        Ok(())
    }

    /// Nothing more happens by itself: nobody waits for what has come, the book is what the log says, everybody comes to an end once time passes, and the log is what it must be.
    pub(super) fn end(mut self) -> Result<(), String> {
        self.check()?;
        if !self.is_degraded {
            let records = records(&self.disk);
            self.agrees(&records)?;
            self.awaits_something(&records)?;
        }
        for seconds in [100, 100, 4_000] {
            self.pass_to(self.at_s + seconds);
            self.rest()?;
        }
        if let Some(at) = self.actors.iter().position(|actor| matches!(actor.being, Being::Going { .. })) {
            return Err(format!("{:?} never ends", self.actors[at].part));
        }
        self.crashes = 1;
        self.step(Step::Crash)?;
        self.check_log()
    }

    /// Everything that goes on by itself does.
    fn rest(&mut self) -> Result<(), String> {
        for _ in 0..10_000 {
            let next = self.steps().into_iter().find(|step| matches!(step, Step::Go(_) | Step::Write(_)));
            match next {
                Some(step) => self.step(step)?,
                None => return Ok(()),
            }
        }
        Err("it goes on for ever".to_owned())
    }

    /// Whoever waits, waits for something that is still to come.
    fn awaits_something(&self, records: &[Record]) -> Result<(), String> {
        let lives = oracle::lives(records)?;
        for actor in self.actors.iter().filter(|actor| matches!(actor.being, Being::Going { .. })) {
            let Part::Call { key, run, .. } = &actor.part else {
                return Err(format!("{:?} waits for nothing", actor.part));
            };
            let args_sha256 = sha256_hex(arguments(key).as_bytes());
            let is_mine = |life: &&oracle::Life<'_>| {
                let asked = life.requested.1.question.as_ref();
                asked.is_some_and(|asked| asked.args_sha256 == args_sha256)
                    && life.requested.0.correlation.run == self.stage.runs.get(*run).copied()
            };
            let is_running = |life: &oracle::Life<'_>| {
                life.uses.iter().any(|(place, _, call, _)| {
                    let later = records.iter().skip(*place);
                    !later.into_iter().any(|record| {
                        record.correlation.call == Some(*call)
                            && matches!(&record.body, Body::Action(action) if action.status.is_some())
                    })
                })
            };
            let is_awaited = lives.values().filter(is_mine).any(|life| life.is_open() || is_running(life));
            if !is_awaited {
                return Err(format!("a call with key `{key}` waits, and what it waits for has come"));
            }
        }
        Ok(())
    }

    /// The log against what was seen.
    pub(super) fn check(&self) -> Result<(), String> {
        let records = records(&self.disk);
        let seen = self.seen.lock().unwrap();
        oracle::check(&records, &seen.ran, &seen.told, &self.stage.scenario.law)
    }

    /// The log against what was seen, and `verify` on its bytes.
    fn check_log(&self) -> Result<(), String> {
        self.check()?;
        let report = store::ledger::fsck_on(&self.disk).map_err(|error| error.to_string())?;
        if report.is_sound() { Ok(()) } else { Err(format!("verify objects: {report}")) }
    }

    /// Lets more happen: what was done is forgotten, and these are still to come. Gives how many there are then.
    pub(super) fn continue_with(&mut self, parts: Vec<Part>) -> usize {
        let still = |actor: &Actor| matches!(actor.being, Being::Going { .. });
        let going = self.actors.drain(..).filter(still).collect::<Vec<_>>();
        let fresh = parts.into_iter().map(|part| Actor { being: Being::Before, part, polls: 0, trace: String::new() });
        self.actors = going.into_iter().chain(fresh).collect();
        self.actors.len()
    }

    /// Has somebody do something, and all that follows from it by itself; says how it ended.
    pub(super) fn play(&mut self, part: Part) -> String {
        let at = self.actors.len();
        self.actors.push(Actor { being: Being::Before, part, polls: 0, trace: String::new() });
        self.step(Step::Begin(at)).unwrap();
        self.rest().unwrap();
        match &self.actors[at].being {
            Being::Over(said) => said.clone(),
            Being::Before | Being::Going { .. } => "waits".to_owned(),
        }
    }

    /// The last decision in the log: its effect and reasons.
    pub(super) fn decided(&self) -> String {
        let records = records(&self.disk);
        let last = records.iter().rev().find_map(|record| {
            let Body::Decision(decision) = &record.body else { return None };
            Some(format!("{} {}", decision.effect, decision.reasons.join(" ")))
        });
        last.unwrap_or_default()
    }

    /// It is so many seconds after the start.
    pub(super) fn pass_to(&mut self, seconds: i64) {
        self.at_s = seconds;
        self.held.set(START.plus_micros(seconds * 1_000_000));
    }

    /// The process may die once more, and a write go wrong.
    pub(super) fn allow(&mut self, fault: Option<Fault>) {
        self.crashes += 1;
        self.faults.extend(fault);
    }
}
