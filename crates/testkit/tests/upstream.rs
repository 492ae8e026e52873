//! The test upstream itself, reached over both transports: what other tests rely on it for.

#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "what the tests share fails them like the tests themselves"
)]

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
    let slow = session.send("slow_effect", r#"{"key":"slow","wait_ms":200}"#).await.unwrap();
    let quick = session.send("effect", r#"{"key":"quick"}"#).await.unwrap();
    assert_eq!(session.receive().await.unwrap().0, quick);
    assert_eq!(session.receive().await.unwrap().0, slow);
    assert_eq!(effects(&scratch.join("effects")), ["slow", "quick"], "the effect comes before the wait");
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
