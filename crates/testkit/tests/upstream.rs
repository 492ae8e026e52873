//! The test upstream itself, reached over both transports: what other tests rely on it for.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what the tests share fails them like the tests themselves"
)]

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Command, Stdio};

use testkit::client::{Answer, HttpSession, StdioSession, Target};
use testkit::limits::PATIENCE;
use testkit::process::{Process, stderr_to};
use testkit::scratch::Scratch;

const UPSTREAM: &str = env!("CARGO_BIN_EXE_countersign-upstream");

fn effects(path: &Path) -> Vec<String> {
    let lines = std::fs::read_to_string(path).unwrap();
    lines.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
}

fn over_http(scratch: &Scratch, flags: &[&str]) -> (Process, Target) {
    let mut process = Process::spawn(
        Command::new(UPSTREAM)
            .args(["--http", "127.0.0.1:0", "--effects"])
            .arg(scratch.join("effects"))
            .args(flags)
            .stdout(Stdio::piped())
            .stderr(stderr_to(&scratch.join("stderr")).unwrap()),
    )
    .unwrap();
    let lines = process.lines().unwrap();
    let line: serde_json::Value = serde_json::from_str(&process.next_line(&lines, PATIENCE).unwrap()).unwrap();
    let addr = line["addr"].as_str().unwrap().parse().unwrap();
    (process, Target { addr, path: "/mcp".to_owned(), token: None })
}

fn over_stdio(scratch: &Scratch, flags: &[&str]) -> Process {
    Process::spawn(
        Command::new(UPSTREAM)
            .args(["--stdio", "--effects"])
            .arg(scratch.join("effects"))
            .args(flags)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(stderr_to(&scratch.join("stderr")).unwrap()),
    )
    .unwrap()
}

async fn open_stdio(process: &mut Process) -> StdioSession {
    StdioSession::open(process.take_stdin().unwrap(), process.take_stdout().unwrap()).await.unwrap()
}

/// Calls and what their answers must hold.
const CALLS: [(&str, &str, &str); 8] = [
    ("echo", r#"{"text":"grüß\n dich"}"#, r#"{"content":[{"type":"text","text":"grüß\n dich"}]}"#),
    ("echo", r#"{"text":7}"#, r#""isError":true"#),
    ("record_4k", "{}", "Example Engines"),
    ("effect", r#"{"key":"a"}"#, r#""text":"a""#),
    ("slow_effect", r#"{"key":"b","wait_ms":1}"#, r#""text":"b""#),
    ("effect", r#"{"key":"two words"}"#, r#""isError":true"#),
    ("progress", r#"{"steps":3}"#, "3 steps"),
    ("nothing", "{}", "no tool `nothing`"),
];

#[tokio::test]
async fn tools_answer_over_http() {
    let scratch = Scratch::new("up").unwrap();
    let (_process, target) = over_http(&scratch, &[]);
    let mut session = HttpSession::open(&target).await.unwrap();
    for (tool, arguments, want) in CALLS {
        let answer = session.call(tool, arguments).await.unwrap();
        assert!(answer.text().contains(want), "{tool} {arguments}: {}", answer.text());
    }
    assert_eq!(effects(&scratch.join("effects")), ["a", "b"]);
    session.close().await.unwrap();
}

#[tokio::test]
async fn tools_answer_over_stdio() {
    let scratch = Scratch::new("up").unwrap();
    let mut process = over_stdio(&scratch, &[]);
    let mut session = open_stdio(&mut process).await;
    for (tool, arguments, want) in CALLS {
        let id = session.send(tool, arguments).await.unwrap();
        let (answered, answer) = session.receive().await.unwrap();
        assert_eq!(answered, id);
        assert!(answer.text().contains(want), "{tool} {arguments}: {}", answer.text());
    }
    assert_eq!(effects(&scratch.join("effects")), ["a", "b"]);
    drop(session);
    assert!(process.wait(PATIENCE).unwrap().success(), "it ends when its input ends");
}

#[tokio::test]
async fn a_slow_call_does_not_hold_up_the_next() {
    let scratch = Scratch::new("up").unwrap();
    let mut process = over_stdio(&scratch, &[]);
    let mut session = open_stdio(&mut process).await;
    session.send("slow_effect", r#"{"key":"slow","wait_ms":60000}"#).await.unwrap();
    let quick = session.send("effect", r#"{"key":"quick"}"#).await.unwrap();
    assert_eq!(session.receive().await.unwrap().0, quick);
    assert_eq!(effects(&scratch.join("effects")), ["slow", "quick"], "the effect comes before the wait");
}

#[tokio::test]
async fn a_cancelled_call_is_not_answered() {
    let scratch = Scratch::new("up").unwrap();
    let mut process = over_stdio(&scratch, &[]);
    let mut session = open_stdio(&mut process).await;
    let long = session.send("progress", r#"{"steps":1000,"wait_ms":60000}"#).await.unwrap();
    session.cancel(long).await.unwrap();
    let next = session.send("progress", r#"{"steps":1}"#).await.unwrap();
    assert_eq!(session.receive().await.unwrap().0, next);
}

/// One request on a connection of its own, and everything that comes back.
fn exchange(target: &Target, method: &str, headers: &[String], body: &str) -> String {
    let mut stream = TcpStream::connect(target.addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let headers: String = headers.iter().map(|header| format!("{header}\r\n")).collect();
    let request = format!(
        "{method} /mcp HTTP/1.1\r\nHost: {}\r\nConnection: close\r\nAccept: application/json, text/event-stream\r\n\
         Content-Type: application/json\r\n{headers}Content-Length: {}\r\n\r\n{body}",
        target.addr,
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn a_stream_that_was_cut_is_resumed_after_its_last_event() {
    let scratch = Scratch::new("up").unwrap();
    let (_process, target) = over_http(&scratch, &[]);
    let initialize = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25"}}"#;
    let opened = exchange(&target, "POST", &[], initialize);
    let session = opened.lines().find(|line| line.starts_with("mcp-session-id: ")).unwrap();
    let with = |header: &str| [session.to_owned(), header.to_owned()];

    let call = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"progress","arguments":{"steps":3,"cut_after":1},"_meta":{"progressToken":9}}}"#;
    let first = exchange(&target, "POST", &[session.to_owned()], call);
    assert!(first.contains("id: 1-1\ndata: ") && first.contains("retry: 10") && !first.contains("3 steps"), "{first}");

    let rest = exchange(&target, "GET", &with("Last-Event-ID: 1-1"), "");
    let steps: Vec<bool> = (1..=3).map(|step| rest.contains(&format!(r#""progress":{step},"#))).collect();
    assert_eq!(steps, [false, true, true], "{rest}");
    assert!(rest.contains("3 steps"), "{rest}");

    for (method, header, want) in [
        ("GET", "Last-Event-ID: 7-1", "404"),
        ("GET", "Origin: https://evil.example", "403"),
        ("GET", "MCP-Protocol-Version: 1999-01-01", "400"),
        ("PUT", "X-Any: thing", "405"),
        ("DELETE", "X-Any: thing", "204"),
        ("DELETE", "X-Any: thing", "404"),
    ] {
        let answer = exchange(&target, method, &with(header), "");
        assert_eq!(answer.split(' ').nth(1), Some(want), "{method} {header}: {answer}");
    }
}

#[tokio::test]
async fn the_transcript_holds_the_exact_bytes() {
    let scratch = Scratch::new("up").unwrap();
    let transcript = scratch.join("transcript");
    let (_process, target) = over_http(&scratch, &["--transcript", transcript.to_str().unwrap()]);
    let mut session = HttpSession::open(&target).await.unwrap();
    session.call("echo", r#"{ "text" : "\u0041" }"#).await.unwrap();
    let sent = std::fs::read_to_string(transcript).unwrap();
    assert!(sent.lines().any(|line| line.ends_with(r#""arguments":{ "text" : "\u0041" }}}"#)), "{sent}");
}

#[tokio::test]
async fn hostile_modes_misbehave_over_http() {
    for (mode, want) in [
        ("answers-twice", Ok("hi")),
        ("unknown-id", Err("malformed answer: an id of nobody")),
        ("dies-mid-call", Err("closed")),
        ("floods-stderr", Ok("hi")),
        ("garbage-line", Err("malformed answer: not a JSON-RPC message")),
        ("oversize-result", Err("malformed answer: the answer is too large")),
        ("changes-tools", Ok("hi")),
    ] {
        let scratch = Scratch::new("up").unwrap();
        let (_process, target) = over_http(&scratch, &["--hostile", mode]);
        let mut session = HttpSession::open(&target).await.unwrap();
        match (session.call("echo", r#"{"text":"hi"}"#).await, want) {
            (Ok(Answer::Done(result)), Ok(want)) => assert!(result.contains(want), "{mode}: {result}"),
            (Err(error), Err(want)) => assert!(error.to_string().contains(want), "{mode}: {error}"),
            (got, _) => panic!("{mode}: {got:?}"),
        }
    }
}

#[tokio::test]
async fn hostile_modes_misbehave_over_stdio() {
    for (mode, want) in [
        ("answers-twice", Ok("hi")),
        ("unknown-id", Err("malformed answer: an id of nobody")),
        ("dies-mid-call", Err("the peer closed the connection")),
        ("floods-stderr", Ok("hi")),
        ("garbage-line", Err("malformed answer: not a JSON-RPC message")),
        ("oversize-result", Err("malformed answer: the line is too large")),
        ("changes-tools", Ok("hi")),
    ] {
        let scratch = Scratch::new("up").unwrap();
        let mut process = over_stdio(&scratch, &["--hostile", mode]);
        let mut session = open_stdio(&mut process).await;
        let id = session.send("echo", r#"{"text":"hi"}"#).await.unwrap();
        match (session.receive().await, want) {
            (Ok((answered, Answer::Done(result))), Ok(want)) => {
                assert_eq!(answered, id, "{mode}");
                assert!(result.contains(want), "{mode}: {result}");
            }
            (Err(error), Err(want)) => assert!(error.to_string().contains(want), "{mode}: {error}"),
            (got, _) => panic!("{mode}: {got:?}"),
        }
    }
}
