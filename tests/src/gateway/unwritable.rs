//! When evidence cannot be written, nothing executes, the agent is told so, and the gateway is not ready.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use evidence::record::{Authenticated, Body, Endpoint, ExceptionKind, Status, Surface, Tool};
use gateway::home::Home;
use gateway::runs::{Wanted, Which};
use gateway::session::{AgentSession, Proof};
use gateway::{Gateway, Readiness};
use governance::call::{Reply, Warrant};
use governance::execute::{Execution, Outcome};
use governance::intercept::Intercepted;
use governance::reason::Reason;
use store::embedded::index::IndexPlace;
use store::{Integration, Ledger, Options};
use surfaces::govern::{Execute, Session};
use testkit::disk::{Fault, FaultyDisk};
use testkit::scratch::Scratch;
use tokio::sync::oneshot;

use super::clients::Http;

const MISSION: &str = r#"
mission = "effects"
goal = "Leave effects."
owner = "ana@corp.example"
agents = ["bot"]
until = 2099-01-01
why = "First version."
[allow.mcp.up]
effect = {}
"#;

/// Counts executions.
struct Counting(Arc<AtomicUsize>);

impl Execute for Counting {
    async fn execute(&mut self, _warrant: Warrant) -> Execution {
        self.0.fetch_add(1, Ordering::SeqCst);
        let result = bytes::Bytes::from_static(b"{}");
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

    async fn cancel(&mut self) {}
}

/// A session over a disk that fails on demand.
pub(super) struct World {
    pub(super) disk: FaultyDisk,
    executed: Arc<AtomicUsize>,
    gateway: Arc<Gateway>,
    session: AgentSession,
    scratch: Scratch,
}

impl World {
    pub(super) async fn new() -> Self {
        let scratch = Scratch::new("unwritable").unwrap();
        let home = Home::find(Some(scratch.join("home"))).unwrap();
        home.prepare().unwrap();
        std::fs::write(scratch.join("mission.toml"), MISSION).unwrap();
        let disk = FaultyDisk::new();
        let options = Options { integration: Integration::AfterEachGroup, ..Options::default() };
        let ledger = Ledger::open_on(Arc::new(disk.clone()), IndexPlace::Memory, options).unwrap();
        let gateway = Gateway::over(home, ledger, Duration::from_secs(5)).unwrap();
        let (_, policy) = gateway.load_mission(&scratch.join("mission.toml"), "ana").await.unwrap();
        let wanted = Wanted {
            agent: "bot".into(),
            initiator: "ana".into(),
            lasts_us: 1_000_000_000,
            mission: "effects".into(),
            words: None,
        };
        let run = gateway.join_run(&wanted, Authenticated::OsUser, Which::New, "ana").await.unwrap();
        let session = AgentSession::new(gateway.clone(), run, policy, "up".into(), Proof::Local(Authenticated::OsUser));
        Self { disk, executed: Arc::default(), gateway, session, scratch }
    }

    async fn call(&self) -> Reply {
        self.call_with(Counting(self.executed.clone())).await
    }

    /// One call that `execute` performs.
    pub(super) async fn call_with(&self, execute: impl Execute) -> Reply {
        let tool =
            Tool { endpoint: Endpoint::Tool, name: "effect".into(), surface: Surface::Mcp, upstream: "up".into() };
        let arguments = bytes::Bytes::from_static(b"{\"key\":\"k\"}");
        let intercepted = Intercepted::new(self.session.call_id(), self.session.context(), tool, arguments, None);
        let (_never, mut cancelled) = oneshot::channel();
        self.session.govern(intercepted, execute, &mut cancelled).await.unwrap().reply
    }
}

#[tokio::test]
async fn nothing_executes_while_evidence_cannot_be_written() {
    for fault in [Fault::Lost, Fault::PersistedAnyway, Fault::Short, Fault::Full, Fault::ReadOnly, Fault::SyncFails] {
        let world = World::new().await;
        assert!(matches!(world.call().await, Reply::Passed(_)));
        assert_eq!(world.executed.load(Ordering::SeqCst), 1);
        assert_eq!(world.gateway.readiness(), Readiness::Ready);

        // With all work on the writer's thread, the next two operations are the write of the group and its sync.
        let next = world.disk.operations().len();
        world.disk.fail(if fault == Fault::SyncFails { next + 1 } else { next }, fault);
        for _ in 0..3 {
            match world.call().await {
                Reply::Failed(refusal, Status::NotExecuted) => assert_eq!(refusal.reason, Reason::LedgerUnavailable),
                reply => panic!("{fault:?}: {reply:?}"),
            }
        }
        assert_eq!(world.executed.load(Ordering::SeqCst), 1, "{fault:?}");
        assert!(matches!(world.gateway.readiness(), Readiness::Degraded(_)), "{fault:?}");
        // What the ledger cannot hold stands beside it, for the next start.
        let ledger = world.scratch.join("home/ledger");
        std::fs::create_dir_all(&ledger).unwrap();
        world.gateway.note_trouble();
        assert!(std::fs::read_to_string(ledger.join("trouble")).unwrap().starts_with("20"), "{fault:?}");
    }
}

#[test]
fn that_evidence_could_not_be_written_is_an_exception_at_the_next_start() {
    let mut http = Http::new("trouble");
    let trouble = http.home.path().join("ledger/trouble");
    http.served.process.kill().unwrap();
    std::fs::write(&trouble, "2026-11-25T12:00:00.000000Z no space left on device").unwrap();
    http.restart();
    assert!(!trouble.exists(), "told once");
    http.restart();
    let told: Vec<String> = http
        .end()
        .into_iter()
        .filter_map(|record| match record.body {
            Body::Exception(exception) if exception.kind == ExceptionKind::Ledger => Some(exception.reason),
            _ => None,
        })
        .collect();
    let [told] = told.as_slice() else { panic!("{told:?}") };
    assert!(
        told.contains("could not be written from 2026-11-25T12:00:00.000000Z no space left on device on"),
        "{told}"
    );
}
