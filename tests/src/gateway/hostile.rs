//! Servers that break the protocol, behind the real gateway over both transports: what the client is told, what is recorded, that the next call works, and
//! that memory stays bounded.

use std::time::Duration;

use evidence::record::{Body, Record};
use serde_json::json;
use testkit::client::{Answer, HttpSession};
use testkit::governed::{Home, SERVER, Upstream};
use testkit::scratch::Scratch;

use super::bridges::{World, binary};

/// What the gateway may hold in memory after any of these: its 60 MiB at rest, one response of 32 MiB in the buffer of its reader, which grows by doubling, and a
/// debug build's own weight.
const RESIDENT_KIB_MAX: u64 = 256 << 10;

/// What the exceptions say.
#[derive(Clone, Copy)]
enum Noted {
    Nothing,
    /// Where the gateway reads it: what follows an answer on its stream is mostly left unread.
    Perhaps(&'static str),
    This(&'static str),
}

use Noted::{Nothing, Perhaps, This};

/// A server that misbehaves at each call, and what must come of it.
struct Check {
    mode: &'static str,
    /// What the client reads in the answer to a call.
    told: &'static str,
    /// The status of that call.
    status: &'static str,
    /// What an exception says, where there must be one, over stdio and over HTTP.
    noted: [Noted; 2],
    /// Whether the next call is answered as it should be.
    goes_on: bool,
}

const CHECKS: [Check; 8] = [
    Check {
        mode: "answers-twice",
        told: "\"hi\"",
        status: "done",
        noted: [This("answered a request that nobody sent"), Perhaps("answered a request that nobody sent")],
        goes_on: true,
    },
    Check {
        mode: "unknown-id",
        told: "\"hi\"",
        status: "done",
        noted: [This("answered a request that nobody sent"); 2],
        goes_on: true,
    },
    Check {
        mode: "forges-progress",
        told: "\"hi\"",
        status: "done",
        noted: [This("reported progress on a request that is not in flight"); 2],
        goes_on: true,
    },
    Check {
        mode: "garbage-line",
        told: "\"hi\"",
        status: "done",
        noted: [This("sent what is no message: expected a value"); 2],
        goes_on: true,
    },
    Check { mode: "floods-stderr", told: "\"hi\"", status: "done", noted: [Nothing; 2], goes_on: true },
    Check { mode: "changes-tools", told: "\"hi\"", status: "done", noted: [Nothing; 2], goes_on: true },
    Check {
        mode: "oversize-result",
        told: "do not repeat it before a person has looked",
        status: "unknown",
        noted: [This("find out at the upstream whether it took effect"); 2],
        goes_on: false,
    },
    Check {
        mode: "dies-mid-call",
        told: "do not repeat it before a person has looked",
        status: "unknown",
        noted: [This("find out at the upstream whether it took effect"); 2],
        goes_on: false,
    },
];

impl Check {
    fn holds(&self, transport: usize, answers: &[String], records: &[Record], resident_kib: u64) {
        let mode = self.mode;
        assert!(answers[0].contains(self.told), "{mode}: {}", answers[0]);
        if self.goes_on {
            assert!(answers[1].contains(self.told), "{mode}: {}", answers[1]);
        }
        let statuses: Vec<_> = records
            .iter()
            .filter_map(|record| if let Body::Action(action) = &record.body { action.status } else { None })
            .map(|status| status.to_string())
            .collect();
        assert_eq!(statuses, vec![self.status; answers.len()], "{mode}: one outcome for each call");
        let noted: Vec<&str> = records
            .iter()
            .filter_map(
                |record| if let Body::Exception(exception) = &record.body { Some(&*exception.reason) } else { None },
            )
            .collect();
        match self.noted[transport] {
            This(text) => {
                assert!(!noted.is_empty() && noted.iter().all(|noted| noted.contains(text)), "{mode}: {noted:?}")
            }
            Perhaps(text) => assert!(noted.iter().all(|noted| noted.contains(text)), "{mode}: {noted:?}"),
            Nothing => assert!(noted.is_empty(), "{mode}: {noted:?}"),
        }
        assert!(resident_kib <= RESIDENT_KIB_MAX, "{mode}: {resident_kib} KiB resident");
    }
}

/// The most memory that a process has had so far.
pub(super) fn resident_peak_kib(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_ascii_whitespace().nth(1).unwrap().parse().unwrap()
}

#[test]
fn a_hostile_server_over_stdio_is_told_apart_recorded_and_survived() {
    for check in CHECKS {
        let world = World::new(check.mode);
        let mut client = world.bridge_to(&[], &["--hostile", check.mode]);
        client.open();
        let pid = world.gateway_pid().as_raw_pid().unsigned_abs();
        let calls = if check.goes_on { 1..3 } else { 1..2 };
        let answers: Vec<String> =
            calls.map(|id| client.call(id, "echo", json!({ "text": "hi" })).to_string()).collect();
        let resident_kib = resident_peak_kib(pid);
        // A server that died has ended its bridge.
        let _status = client.close();
        let mut next = world.bridge(&[]);
        next.open();
        assert_eq!(next.call(1, "echo", json!({ "text": "good" }))["result"]["content"][0]["text"], "good");
        assert!(next.close().success());
        let mut records = world.records("(type:action_record or type:exception_record)");
        let good =
            records.iter().rposition(|record| matches!(&record.body, Body::Action(action) if action.status.is_some()));
        records.remove(good.unwrap());
        check.holds(0, &answers, &records, resident_kib);
        world.assert_verified();
    }
}

#[tokio::test]
async fn a_hostile_server_over_http_is_told_apart_recorded_and_survived() {
    // The standard error of a server over HTTP is its own business.
    for check in CHECKS.into_iter().filter(|check| check.mode != "floods-stderr") {
        let scratch = Scratch::new(check.mode).unwrap();
        let upstream = Upstream::start(&binary("countersign-upstream"), &["--hostile", check.mode]).unwrap();
        let home = Home::new(&binary("countersign"), scratch.path()).unwrap();
        home.write_mission(&["echo"]).unwrap();
        home.write_config(&upstream.url()).unwrap();
        let mut served = home.serve().unwrap();
        let target = served.target(&home.token().unwrap());
        assert!(target.path.ends_with(SERVER));
        let mut session = HttpSession::open(&target).await.unwrap();
        let mut answers = Vec::new();
        for _ in 0..if check.goes_on { 2 } else { 1 } {
            answers.push(match session.call("echo", r#"{"text":"hi"}"#).await.unwrap() {
                Answer::Done(text) | Answer::ToolError(text) | Answer::Refused(text) => text.to_owned(),
            });
        }
        let resident_kib = resident_peak_kib(served.process.pid());
        drop(session);
        served.process.stop(Duration::from_secs(60)).unwrap();
        let mut records = Vec::new();
        home.audit("(type:action_record or type:exception_record)", |line| {
            records.push(evidence::record::read(line.as_bytes())?);
            Ok(())
        })
        .unwrap();
        check.holds(1, &answers, &records, resident_kib);
        home.verify().unwrap();
    }
}

#[tokio::test]
async fn a_server_that_never_answers_is_not_waited_for_without_end() {
    let scratch = Scratch::new("never-answers").unwrap();
    let upstream = Upstream::start(&binary("countersign-upstream"), &["--hostile", "never-answers"]).unwrap();
    let home = Home::new(&binary("countersign"), scratch.path()).unwrap();
    home.write_mission(&["echo"]).unwrap();
    home.write_config_with(&format!("url = {:?}", upstream.url()), "[limits]\ncall_timeout_s = 1").unwrap();
    let mut served = home.serve().unwrap();
    let mut session = HttpSession::open(&served.target(&home.token().unwrap())).await.unwrap();
    let told = match session.call("echo", r#"{"text":"hi"}"#).await.unwrap() {
        Answer::Done(text) | Answer::ToolError(text) | Answer::Refused(text) => text.to_owned(),
    };
    assert!(told.contains("the upstream did not answer in time") && told.contains("do not repeat it"), "{told}");
    drop(session);
    served.process.stop(Duration::from_secs(60)).unwrap();
    let (mut outcomes, mut exceptions) = (Vec::new(), Vec::new());
    home.audit("(type:action_record or type:exception_record)", |line| {
        match evidence::record::read(line.as_bytes())?.body {
            Body::Action(action) => outcomes.extend(action.status.map(|status| (status.to_string(), action.reason))),
            Body::Exception(exception) => exceptions.push(exception.reason),
            _ => {}
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(outcomes, [("unknown".to_owned(), Some("timeout".into()))]);
    let [exception] = exceptions.as_slice() else { panic!("{exceptions:?}") };
    assert!(exception.contains("find out at the upstream whether it took effect"), "{exception}");
    home.verify().unwrap();
}
