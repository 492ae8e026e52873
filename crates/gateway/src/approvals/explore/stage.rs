//! The scene that worlds begin with: a home with mission, persons and runs, in a ledger that was written by hand.

use std::future::Future;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use evidence::filter::Filter;
use evidence::ids::RunId;
use evidence::record::approval::Answer;
use evidence::record::{Authenticated, Record};
use evidence::time::Timestamp;
use governance::decide::PolicySnapshot;
use store::embedded::index::IndexPlace;
use store::ledger::Writer;
use store::{Ledger, Options, Order, Reader};
use tempfile::TempDir;
use tokio::runtime::Runtime;

use super::disk::{Fault, Ram};
use super::oracle::Law;
use super::words::word;
use crate::Gateway;
use crate::clock::by_hand::{self, Held};
use crate::home::Home;
use crate::runs::{Wanted, Which};

/// When every world begins.
pub(super) const START: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

/// Whose the runs are, in turn.
const AGENTS: [&str; 3] = ["bot", "bot", "cat"];

pub(super) const INITIATOR: &str = "ines";
const AUTHOR: &str = "ada";

/// What somebody does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Part {
    /// An agent sends a call in a run, which its client holds open for so many seconds; with `delivers` its answer reaches the client.
    Call { delivers: bool, holds_s: u64, key: &'static str, run: usize },
    /// Whoever waits for the end of the part with this number, which is no call, is cut off.
    CutOff(usize),
    /// The client of the part with this number takes its call back.
    Leave(usize),
    /// A person answers what is asked about the call with this key; where they are `apart`, by way of a task of its own.
    Answer { answer: Answer, apart: bool, key: &'static str, person: &'static str },
    /// A person takes back what was granted.
    Revoke { key: &'static str },
    /// Whoever asked takes the question or the grant back.
    Release { key: &'static str },
    /// The run ends.
    EndRun(usize),
    /// Clocks are looked at.
    Tend,
    /// Another version of the mission is in force.
    Mission,
    /// Another version of the file of persons is in force.
    People,
}

/// What may happen, and what it happens to.
#[derive(Clone, Debug)]
pub(super) struct Scenario {
    /// How often the process may die.
    pub(super) crashes: u32,
    /// How a write may go wrong, once.
    pub(super) faults: Vec<Fault>,
    pub(super) law: Law,
    /// The version of the mission that is in force later.
    pub(super) later: Option<String>,
    pub(super) mission: String,
    /// The moments at which time stands still, in seconds after the start.
    pub(super) moments_s: Vec<i64>,
    pub(super) name: &'static str,
    pub(super) parts: Vec<Part>,
    pub(super) people: String,
    pub(super) people_later: Option<String>,
    /// How many appends may wait before others stand in line.
    pub(super) queue: usize,
    pub(super) runs: usize,
}

/// What all worlds of a scenario begin with.
pub(super) struct Stage {
    pub(super) disk: Ram,
    pub(super) home: TempDir,
    pub(super) later: Option<Arc<PolicySnapshot>>,
    pub(super) policy: Arc<PolicySnapshot>,
    pub(super) runs: Vec<RunId>,
    pub(super) scenario: Scenario,
}

impl Stage {
    /// Sets the scene: a home with mission, persons and runs.
    pub(super) fn set(scenario: Scenario) -> Self {
        let runtime = runtime();
        let _entered = runtime.enter();
        let memory = std::path::Path::new("/dev/shm");
        let home = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap();
        let held = Held::at(START);
        let disk = Ram::default();
        let at = Home::find(Some(home.path().join("home"))).unwrap();
        at.prepare().unwrap();
        let mission = home.path().join("mission.toml");
        std::fs::write(&mission, &scenario.mission).unwrap();
        std::fs::write(at.path().join(crate::persons::FILE), &scenario.people).unwrap();
        let (ledger, mut writer) =
            Ledger::by_hand(Arc::new(disk.clone()), IndexPlace::Memory, options(&held, 64)).unwrap();
        let gateway = Gateway::over(at, ledger, Duration::from_secs(3_600)).unwrap();
        let (_, policy) = finished(&mut writer, gateway.load_mission(&mission, AUTHOR)).unwrap();
        let runs = (0..scenario.runs).map(|run| {
            let wanted = Wanted {
                agent: AGENTS[run % AGENTS.len()].into(),
                initiator: INITIATOR.into(),
                lasts_us: 86_400_000_000,
                mission: "effects".into(),
                words: None,
            };
            let run = gateway.join_run(&wanted, Authenticated::OsUser, Which::New, INITIATOR);
            finished(&mut writer, run).unwrap().id
        });
        let runs = runs.collect();
        let later = scenario.later.as_deref().map(|text| {
            Arc::new(governance::decide::compile(Arc::new(governance::mission::parse(text).unwrap())).unwrap())
        });
        Self { disk, home, later, policy: policy.load_full(), runs, scenario }
    }

    pub(super) fn people(&self, text: &str) {
        std::fs::write(self.home.path().join("home").join(crate::persons::FILE), text).unwrap();
    }
}

/// Whether somebody was woken.
pub(super) struct Flag(pub(super) AtomicBool);

impl Wake for Flag {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

pub(super) fn options(held: &Held, queue: usize) -> Options {
    struct Drawn;
    impl store::ports::Entropy for Drawn {
        fn fill(&mut self, out: &mut [u8]) -> std::io::Result<()> {
            by_hand::random(out).then_some(()).ok_or_else(|| std::io::ErrorKind::Other.into())
        }
    }
    Options {
        queue_appends: queue,
        segment_bytes: store::limits::SEGMENT_BYTES_MIN,
        ..Options::new(Arc::new(held.clock()), Box::new(Drawn))
    }
}

/// Does something to its end, with a writer that writes at once.
fn finished<T>(writer: &mut Writer, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    let waker = Waker::from(Arc::new(Flag(AtomicBool::new(false))));
    loop {
        if let Poll::Ready(done) = work.as_mut().poll(&mut Context::from_waker(&waker)) {
            return done;
        }
        let waiting = waiting(writer).len();
        assert!(waiting > 0, "the stage waits for something that does not come");
        writer.write(waiting);
    }
}

/// What waits for the writer, in words: those of one append together.
pub(super) fn waiting(writer: &Writer) -> Vec<String> {
    let mut waiting = Vec::new();
    writer.look(|drafts| waiting.push(drafts.iter().map(|draft| word(draft) + "\n").collect()));
    waiting
}

pub(super) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap()
}

/// Every record of a log.
pub(super) fn records(disk: &Ram) -> Vec<Record> {
    let reader = Reader::open_on(Arc::new(disk.clone()), &IndexPlace::Memory).unwrap();
    let mut records = Vec::new();
    let all = Filter::And(Vec::new());
    reader
        .visit(&all, Order::OldestFirst, |record| {
            records.push(record);
            ControlFlow::Continue(())
        })
        .unwrap();
    records
}
