//! Real processes: `countersign mcp` as a client starts it, in front of a real server.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::time::Duration;

use evidence::record::{Body, Record, Status};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use testkit::process::{Lines, Process};
use testkit::scratch::Scratch;

pub(super) const PATIENCE: Duration = Duration::from_secs(60);

const MISSION: &str = r#"
mission = "effects"
goal = "Leave effects."
owner = "ana@corp.example"
agents = ["bot"]
until = 2099-01-01
why = "First version."
[allow.mcp.up]
echo = {}
effect = {}
slow_effect = {}
progress = {}
"#;

/// A home with a mission beside it, and an upstream that writes down its effects.
pub(super) struct World {
    pub(super) scratch: Scratch,
}

/// A gateway stays as long as a question is open in it, which is longer than its test.
impl Drop for World {
    fn drop(&mut self) {
        let home = self.scratch.join("home");
        for process in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
            let line = std::fs::read(process.path().join("cmdline")).unwrap_or_default();
            let words: Vec<&[u8]> = line.split(|byte| *byte == 0).collect();
            let is_its_gateway =
                words.contains(&b"serve".as_slice()) && words.contains(&home.as_os_str().as_encoded_bytes());
            let pid = process.file_name().to_str().and_then(|name| name.parse().ok()).and_then(Pid::from_raw);
            if let (true, Some(pid)) = (is_its_gateway, pid) {
                let _gone_already = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
            }
        }
    }
}

/// One client on one bridge.
pub(super) struct Client {
    lines: Lines,
    pub(super) process: Process,
    stdin: ChildStdin,
}

pub(super) fn binary(name: &str) -> PathBuf {
    // Test executables are in `deps`, programs one folder up.
    let here = std::env::current_exe().unwrap();
    let path = here.parent().and_then(|deps| deps.parent()).unwrap().join(name);
    assert!(path.is_file(), "`{}` is missing; build it first: cargo build --workspace --bins", path.display());
    path
}

impl World {
    pub(super) fn new(name: &str) -> Self {
        let scratch = Scratch::new(name).unwrap();
        std::fs::write(scratch.join("mission.toml"), MISSION).unwrap();
        Self { scratch }
    }

    pub(super) fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(binary("countersign"));
        command.args(args).arg("--home").arg(self.scratch.join("home")).stderr(Stdio::inherit());
        command
    }

    /// Runs a command to its end; gives its exit code and output.
    pub(super) fn run(&self, args: &[&str]) -> (Option<i32>, String) {
        let output = self.command(args).output().unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    }

    /// Starts a bridge without waiting for anything.
    pub(super) fn bridge(&self, flags: &[&str]) -> Client {
        self.bridge_to(flags, &[])
    }

    /// The same, to an upstream with `behaviour`.
    pub(super) fn bridge_to(&self, flags: &[&str], behaviour: &[&str]) -> Client {
        self.bridge_to_program(&binary("countersign-upstream"), flags, behaviour)
    }

    /// The same, to an upstream at another path.
    pub(super) fn bridge_to_program(&self, program: &Path, flags: &[&str], behaviour: &[&str]) -> Client {
        let mut command = self.command(&["mcp"]);
        command.args(flags).arg("--mission").arg(self.scratch.join("mission.toml")).arg("--");
        command.arg(program).arg("--stdio").arg("--effects").arg(self.scratch.join("effects"));
        command.args(behaviour);
        let mut process = Process::spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped())).unwrap();
        let lines = process.lines().unwrap();
        let stdin = process.take_stdin().unwrap();
        Client { lines, process, stdin }
    }

    pub(super) fn records(&self, filter: &str) -> Vec<Record> {
        let (code, out) = self.run(&["audit", filter, "--format", "json", "--limit", "0"]);
        assert_eq!(code, Some(0));
        out.lines().map(|line| evidence::record::read(line.as_bytes()).unwrap()).collect()
    }

    /// The statuses of all outcomes, in order.
    pub(super) fn statuses(&self) -> Vec<Status> {
        let status = |record: Record| if let Body::Action(action) = record.body { action.status } else { None };
        self.records("type:action_record").into_iter().filter_map(status).collect()
    }

    pub(super) fn effects(&self) -> usize {
        std::fs::read_to_string(self.scratch.join("effects")).unwrap_or_default().lines().count()
    }

    pub(super) fn gateway_pid(&self) -> Pid {
        let (code, out) = self.run(&["doctor"]);
        assert_eq!(code, Some(0), "{out}");
        let pid = out.split("process ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
        Pid::from_raw(pid.parse().unwrap()).unwrap()
    }

    pub(super) fn assert_verified(&self) {
        let (code, out) = self.run(&["verify", "--ledger", "--rebuild", "--replay"]);
        assert_eq!(code, Some(0), "{out}");
    }
}

impl Client {
    pub(super) fn send(&mut self, message: &Value) {
        writeln!(self.stdin, "{message}").unwrap();
    }

    /// Sends whatever these bytes are.
    pub(super) fn send_bytes(&mut self, bytes: &[u8]) {
        self.stdin.write_all(bytes).unwrap();
    }

    /// The next line from the gateway.
    pub(super) fn line(&mut self) -> String {
        self.process.next_line(&self.lines, PATIENCE).unwrap()
    }

    /// The next message from the gateway.
    pub(super) fn message(&mut self) -> Value {
        serde_json::from_str(&self.line()).unwrap()
    }

    pub(super) fn ask(&mut self, id: u64, method: &str, params: Value) -> Value {
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        loop {
            let message = self.message();
            if message["id"] == json!(id) {
                return message;
            }
        }
    }

    pub(super) fn call(&mut self, id: u64, tool: &str, arguments: Value) -> Value {
        self.ask(id, "tools/call", json!({ "name": tool, "arguments": arguments }))
    }

    pub(super) fn open(&mut self) {
        let client = json!({ "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": { "name": "test", "version": "1" } });
        let answer = self.ask(0, "initialize", client);
        assert!(answer["result"]["serverInfo"].is_object(), "{answer}");
        self.send(&json!({ "jsonrpc": "2.0", "method": "notifications/initialized" }));
    }

    pub(super) fn close(self) -> ExitStatus {
        let Self { mut process, stdin, .. } = self;
        drop(stdin);
        process.wait(PATIENCE).unwrap()
    }
}

fn reason(answer: &Value) -> &str {
    answer["result"]["_meta"]["countersign.dev/refusal"]["reason"].as_str().unwrap_or("none")
}

#[test]
fn bridges_that_start_together_share_one_gateway_one_ledger_and_one_run() {
    let world = World::new("share");
    let mut clients: Vec<_> = (0..4).map(|_| world.bridge(&[])).collect();
    for client in &mut clients {
        client.open();
        assert_eq!(client.call(1, "echo", json!({ "text": "hi" }))["result"]["content"][0]["text"], "hi");
    }
    for client in clients {
        assert!(client.close().success());
    }
    let contexts = world.records("type:request_context");
    assert_eq!(contexts.len(), 4);
    let runs: BTreeSet<_> = contexts.iter().map(|record| record.correlation.run).collect();
    assert_eq!(runs.len(), 1);
    assert_eq!(world.statuses(), [Status::Done; 4]);
    let starts = world.records("type:ledger_state");
    assert_eq!(starts.len(), 1, "one gateway: {starts:?}");

    let mut other = world.bridge(&["--new-run"]);
    other.open();
    assert!(other.close().success());
    let runs: BTreeSet<_> = world.records("type:request_context").iter().map(|record| record.correlation.run).collect();
    assert_eq!(runs.len(), 2);
    world.assert_verified();
}

#[test]
fn a_halt_a_revocation_and_a_changed_mission_bite_at_the_next_call() {
    let world = World::new("stops");
    let mut client = world.bridge(&[]);
    client.open();
    assert_eq!(reason(&client.call(1, "echo", json!({ "text": "a" }))), "none");

    assert_eq!(world.run(&["halt", "--agent", "bot", "--why", "test"]).0, Some(0));
    assert_eq!(reason(&client.call(2, "effect", json!({ "key": "halted" }))), "halted");
    assert_eq!(world.run(&["resume", "--agent", "bot", "--why", "test"]).0, Some(0));
    assert_eq!(reason(&client.call(3, "effect", json!({ "key": "resumed" }))), "none");

    // A change whose reason did not change is refused, recorded, and leaves the version in force.
    let narrower = MISSION.replace("effect = {}\nslow", "slow");
    std::fs::write(world.scratch.join("mission.toml"), &narrower).unwrap();
    let mut second = world.bridge(&[]);
    assert_eq!(second.process.wait(PATIENCE).unwrap().code(), Some(1));
    assert_eq!(world.records("type:exception_record").len(), 1);
    assert_eq!(reason(&client.call(4, "effect", json!({ "key": "same-why" }))), "none");

    std::fs::write(world.scratch.join("mission.toml"), narrower.replace("First version.", "No effects.")).unwrap();
    let mut third = world.bridge(&[]);
    third.open();
    assert_eq!(reason(&client.call(5, "effect", json!({ "key": "narrower" }))), "tool_not_allowed");
    assert!(third.close().success());

    let run = world.records("type:request_context")[0].correlation.run.unwrap().to_string();
    assert_eq!(world.run(&["run", "revoke", &run, "--why", "test"]).0, Some(0));
    assert_eq!(reason(&client.call(6, "echo", json!({ "text": "b" }))), "run_revoked");
    assert!(client.close().success());
    assert_eq!(world.effects(), 2);
    world.assert_verified();
}

#[test]
fn a_call_taken_back_is_cancelled_and_its_late_answer_blames_nobody() {
    let world = World::new("cancel");
    let mut client = world.bridge(&[]);
    client.open();
    client.send(&json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": "slow_effect", "arguments": { "key": "k", "wait_ms": 300 } } }));
    testkit::wait::until("the effect", PATIENCE, || {
        if world.effects() == 1 { Ok(()) } else { Err("no effect yet".to_owned()) }
    })
    .unwrap();
    client.send(&json!({ "jsonrpc": "2.0", "method": "notifications/cancelled", "params": { "requestId": 1 } }));
    // A later call of the same length: the late answer, if one comes, is there before this one's.
    client.call(2, "slow_effect", json!({ "key": "l", "wait_ms": 300 }));
    assert!(client.close().success());
    assert_eq!(world.statuses(), [Status::Cancelled, Status::Done]);
    assert_eq!(world.records("type:exception_record").len(), 0);
    world.assert_verified();
}

#[test]
fn a_client_that_leaves_in_mid_call_leaves_a_recorded_outcome() {
    let world = World::new("leave");
    let mut client = world.bridge(&[]);
    client.open();
    client.send(&json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": "slow_effect", "arguments": { "key": "k", "wait_ms": 300 } } }));
    assert!(client.close().success());
    assert_eq!(world.statuses(), [Status::Done]);
    assert_eq!(world.effects(), 1);
    world.assert_verified();
}

#[test]
fn a_gateway_told_to_stop_finishes_what_is_in_flight_and_closes_its_ledger() {
    let world = World::new("stop");
    let mut client = world.bridge(&[]);
    client.open();
    let pid = world.gateway_pid();
    client.send(&json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": "slow_effect", "arguments": { "key": "k", "wait_ms": 500 } } }));
    testkit::wait::until("the effect", PATIENCE, || {
        if world.effects() == 1 { Ok(()) } else { Err("no effect yet".to_owned()) }
    })
    .unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    assert_eq!(client.message()["id"], 1);
    assert_eq!(client.process.wait(PATIENCE).unwrap().code(), Some(3));
    let last = testkit::wait::until("the end of the ledger", PATIENCE, || {
        let states = world.records("type:ledger_state");
        match states.last().map(|record| &record.body) {
            Some(Body::Ledger(state)) if state.event.as_str() == "stopped" => Ok(state.event),
            other => Err(format!("{other:?}")),
        }
    });
    assert!(last.is_ok(), "{last:?}");
    assert_eq!(world.statuses(), [Status::Done]);
    world.assert_verified();
}

#[test]
fn a_killed_gateway_ends_its_bridges_and_the_next_one_closes_the_call_as_unknown() {
    let world = World::new("kill");
    let mut client = world.bridge(&[]);
    client.open();
    let pid = world.gateway_pid();
    client.send(&json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call",
        "params": { "name": "slow_effect", "arguments": { "key": "k", "wait_ms": 60_000 } } }));
    testkit::wait::until("the effect", PATIENCE, || {
        if world.effects() == 1 { Ok(()) } else { Err("no effect yet".to_owned()) }
    })
    .unwrap();
    kill_process(pid, Signal::KILL).unwrap();
    assert_eq!(client.process.wait(PATIENCE).unwrap().code(), Some(3));

    let mut next = world.bridge(&[]);
    next.open();
    assert!(next.close().success());
    assert_eq!(world.statuses(), [Status::Unknown]);
    let exceptions = world.records("type:exception_record");
    assert!(
        matches!(&exceptions[0].body, Body::Exception(exception) if exception.kind.as_str() == "unknown_outcome"),
        "{exceptions:?}"
    );
    assert_eq!(world.effects(), 1, "never tried again");
    world.assert_verified();
}

#[test]
fn a_server_that_ends_takes_its_bridge_with_it() {
    let world = World::new("server");
    let mut command = world.command(&["mcp"]);
    command.arg("--mission").arg(world.scratch.join("mission.toml")).args(["--", "true"]);
    let mut process = Process::spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped())).unwrap();
    assert_eq!(process.wait(PATIENCE).unwrap().code(), Some(3));

    let mut command = world.command(&["mcp"]);
    command.arg("--mission").arg(world.scratch.join("mission.toml")).args(["--", "no-such-program-here"]);
    let mut process = Process::spawn(command.stdin(Stdio::piped()).stdout(Stdio::piped())).unwrap();
    assert_eq!(process.wait(PATIENCE).unwrap().code(), Some(3));
}

#[test]
fn hostile_lines_are_answered_and_change_nothing() {
    let world = World::new("hostile");
    let mut client = world.bridge(&[]);
    client.open();
    for line in [
        "not json",
        "[]",
        r#"{"jsonrpc":"2.0","id":1,"id":2,"method":"tools/call"}"#,
        r#"{"jsonrpc":"2.0","id":1.5,"method":"ping"}"#,
        r#"{"jsonrpc":"2.0","id":7,"method":"tools/call","params":{"name":"effect","arguments":{"key":"a","key":"b"}}}"#,
        r#"{"jsonrpc":"2.0","id":8,"method":"tools/call","params":{"name":"effect","arguments":["k"]}}"#,
        r#"{"jsonrpc":"2.0","id":9,"method":"tools/call","params":{"name":7}}"#,
    ] {
        writeln!(client.stdin, "{line}").unwrap();
        let answer = client.message();
        assert!(answer["error"]["code"].is_i64(), "{line}: {answer}");
    }
    assert_eq!(client.call(10, "echo", json!({ "text": "still here" }))["result"]["content"][0]["text"], "still here");
    assert!(client.close().success());
    assert_eq!(world.effects(), 0);
    world.assert_verified();
}
