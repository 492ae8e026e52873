//! Servers over HTTP whose responses are odd, slow, cut or never end: each call gets one outcome, a person is told where one must look, and the next call works.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use evidence::record::Body;
use serde_json::Value;
use testkit::client::{Answer, HttpSession};
use testkit::governed::{Home, READY_PATH};
use testkit::scratch::Scratch;
use testkit::wait;

use super::bridges::{PATIENCE, binary};
use super::hostile::resident_peak_kib;

/// What the gateway may hold in memory after any of these: its 60 MiB at rest, one response of 32 MiB in the buffer of its reader, which grows by doubling, and a
/// debug build's own weight.
const RESIDENT_KIB_MAX: u64 = 256 << 10;

/// What a server does about a call, with the answer that it should have given.
pub(super) type Answerer = fn(&mut TcpStream, &str) -> std::io::Result<()>;

/// An HTTP server that speaks MCP, with an answer of one's own to each call.
pub(super) fn start(answerer: Answerer) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            // Ends with an error when the other side has enough.
            std::thread::spawn(move || serve(stream, answerer));
        }
    });
    url
}

fn serve(mut stream: TcpStream, answerer: Answerer) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let (mut length, mut line, mut param) = (0, String::new(), None);
        while reader.read_line(&mut line)? > 2 {
            let lower = line.to_ascii_lowercase();
            param = lower.strip_prefix("mcp-param-text:").map(|value| value.trim().to_owned()).or(param);
            length = lower.strip_prefix("content-length:").map_or(length, |value| value.trim().parse().unwrap());
            line.clear();
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let message: Value = serde_json::from_slice(&body).unwrap_or_default();
        let id = &message["id"];
        match message["method"].as_str() {
            Some("initialize") => {
                let opened = format!(
                    r#"{{"jsonrpc":"2.0","id":{id},"result":{{"protocolVersion":"2025-11-25","capabilities":{{"tools":{{}}}},"serverInfo":{{"name":"s","version":"1"}}}}}}"#
                );
                json(&mut stream, "", &opened)?;
            }
            Some("server/discover") => {
                let found = format!(
                    r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"complete","supportedVersions":["2026-07-28"],"capabilities":{{"tools":{{}}}},"ttlMs":0,"cacheScope":"private"}}}}"#
                );
                json(&mut stream, "", &found)?;
            }
            Some("tools/call") => {
                let text = &message["params"]["arguments"]["text"];
                let right = format!(
                    r#"{{"jsonrpc":"2.0","id":{id},"result":{{"content":[{{"type":"text","text":{text}}}]}}}}"#
                );
                match text.as_str() {
                    Some(text) if param.as_deref().is_some_and(|param| param != text) => {
                        let refused = format!(
                            r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":-32020,"message":"`mcp-param-text` is not what the body says"}}}}"#
                        );
                        json(&mut stream, "", &refused)?;
                    }
                    Some("good") => json(&mut stream, "", &right)?,
                    Some("ask") => {
                        let state = &message["params"]["requestState"];
                        json(&mut stream, "", &round(id, state.as_str()))?;
                    }
                    _ => answerer(&mut stream, &right)?,
                }
            }
            Some(_) => stream.write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")?,
            None => stream.write_all(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")?,
        }
    }
}

/// Asks for input at first, and then says which state came back.
fn round(id: &Value, state: Option<&str>) -> String {
    match state {
        None => format!(
            r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"input_required","inputRequests":{{"q":{{"method":"elicitation/create","params":{{}}}}}},"requestState":"{STATE}"}}}}"#
        ),
        Some(state) => format!(
            r#"{{"jsonrpc":"2.0","id":{id},"result":{{"resultType":"complete","content":[{{"type":"text","text":"back came {state}"}}]}}}}"#
        ),
    }
}

/// The state of a server that asks.
pub(super) const STATE: &str = "the-servers-own";

/// A response of JSON, with further lines of the head.
pub(super) fn json(stream: &mut TcpStream, head: &str, body: &str) -> std::io::Result<()> {
    let length = body.len();
    write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{head}Content-Length: {length}\r\n\r\n{body}")
}

/// The head of a stream that ends with its connection.
pub(super) const STREAM: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n";

/// The head of a response of JSON that ends with its connection.
const ENDLESS: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n";

/// Sends `piece` until the other side has enough.
pub(super) fn pour(stream: &mut TcpStream, head: &[u8], piece: &[u8]) -> std::io::Result<()> {
    stream.write_all(head)?;
    let pieces = piece.repeat((64 << 10) / piece.len().min(64 << 10));
    loop {
        stream.write_all(&pieces)?;
    }
}

/// Sends a byte every tenth of a second.
fn drip(stream: &mut TcpStream, bytes: &[u8]) -> std::io::Result<()> {
    stream.set_read_timeout(Some(Duration::from_millis(100)))?;
    for byte in bytes {
        stream.write_all(&[*byte])?;
        // Time passes, unless the other side leaves.
        if matches!(stream.read(&mut [0]), Ok(0)) {
            break;
        }
    }
    Ok(())
}

const LOST: &str = "the connection to the upstream ended";
const MALFORMED: &str = "the upstream's answer breaks the protocol";
const LATE: &str = "the upstream did not answer in time";
const LOOK: &str = "find out at the upstream whether it took effect";

/// How often a server that redirects was asked at the other address.
static REDIRECTED: AtomicU32 = AtomicU32::new(0);

/// What a server does, what the client is told, and what exceptions there are.
const CHECKS: [(&str, Answerer, &str, &[&str]); 17] = [
    (
        "a byte at a time",
        |stream, right| {
            let response = format!(
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{right}",
                right.len()
            );
            stream.set_nodelay(true)?;
            response.bytes().try_for_each(|byte| stream.write_all(&[byte]))
        },
        "\"hi\"",
        &[],
    ),
    (
        "a body that takes too long",
        |stream, right| {
            stream.write_all(ENDLESS)?;
            drip(stream, right.as_bytes())
        },
        LATE,
        &[LOOK],
    ),
    ("a head that takes too long", |stream, _| drip(stream, ENDLESS), LATE, &[LOOK]),
    ("a body without end", |stream, _| pour(stream, ENDLESS, b" "), MALFORMED, &[LOOK]),
    (
        "a head without end",
        |stream, _| pour(stream, b"HTTP/1.1 200 OK\r\n", b"X: yyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n"),
        LOST,
        &[LOOK],
    ),
    (
        "a header of a megabyte",
        |stream, right| json(stream, &format!("X: {}\r\n", "y".repeat(1 << 20)), right),
        LOST,
        &[LOOK],
    ),
    ("five hundred headers", |stream, right| json(stream, &"X: y\r\n".repeat(500), right), LOST, &[LOOK]),
    ("an event without end", |stream, _| pour(stream, &[STREAM, b"data: "].concat(), b"x"), MALFORMED, &[LOOK]),
    (
        "events without end",
        |stream, _| {
            pour(stream, STREAM, b"data: {\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{\"progressToken\":\"mine\",\"progress\":1}}\n\n")
        },
        LATE,
        &[LOOK, "reported progress on a request that is not in flight"],
    ),
    ("two lengths", |stream, right| json(stream, "Content-Length: 3\r\n", right), LOST, &[LOOK]),
    (
        "half a body",
        |stream, right| {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n{right}")?;
            stream.shutdown(Shutdown::Write)
        },
        LOST,
        &[LOOK],
    ),
    (
        "another media type",
        |stream, _| {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 13\r\n\r\n<html></html>")
        },
        MALFORMED,
        &[LOOK],
    ),
    (
        "a redirect",
        |stream, _| {
            let elsewhere = TcpListener::bind("127.0.0.1:0")?;
            let to = elsewhere.local_addr()?;
            std::thread::spawn(move || elsewhere.accept().map(|_| REDIRECTED.fetch_add(1, Ordering::SeqCst)));
            write!(stream, "HTTP/1.1 307 Temporary Redirect\r\nLocation: http://{to}/mcp\r\nContent-Length: 0\r\n\r\n")
        },
        MALFORMED,
        &[LOOK],
    ),
    (
        "bytes that are no UTF-8",
        |stream, right| {
            let body = right.replace("hi", "??").into_bytes();
            let body: Vec<u8> = body.into_iter().map(|byte| if byte == b'?' { 0xff } else { byte }).collect();
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                body.len()
            )?;
            stream.write_all(&body)
        },
        MALFORMED,
        &[LOOK],
    ),
    (
        "the same key twice",
        |stream, right| json(stream, "", &right.replace("\"result\"", "\"id\":1,\"result\"")),
        MALFORMED,
        &[LOOK],
    ),
    (
        "a stream that answers somebody else",
        |stream, _| {
            stream.write_all(&[STREAM, b"data: {\"jsonrpc\":\"2.0\",\"id\":4242,\"result\":{}}\n\n"].concat())?;
            stream.shutdown(Shutdown::Both)
        },
        LOST,
        &[LOOK, "answered a request that nobody sent"],
    ),
    (
        "progress after the end",
        |stream, right| {
            write!(
                stream,
                "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {right}\n\ndata: {{\"jsonrpc\":\"2.0\",\"method\":\"notifications/progress\",\"params\":{{\"progressToken\":0,\"progress\":1}}}}\n\n"
            )?;
            stream.shutdown(Shutdown::Both)
        },
        "\"hi\"",
        &["reported progress on a request that is not in flight"],
    ),
];

async fn call(session: &mut HttpSession, text: &str) -> String {
    match session.call("echo", &format!(r#"{{"text":"{text}"}}"#)).await.unwrap() {
        Answer::Done(text) | Answer::ToolError(text) | Answer::Refused(text) => text.to_owned(),
    }
}

#[tokio::test]
async fn a_server_with_odd_responses_is_told_apart_recorded_and_survived() {
    for (name, answerer, told, noted) in CHECKS {
        let scratch = Scratch::new("oddities").unwrap();
        let home = Home::new(&binary("countersign"), scratch.path()).unwrap();
        home.write_mission(&["echo"]).unwrap();
        home.write_config_with(&format!("url = {:?}", start(answerer)), "[limits]\ncall_timeout_s = 1").unwrap();
        let mut served = home.start().unwrap();
        wait::http_ready(served.addr, READY_PATH, PATIENCE).unwrap();
        let mut session = HttpSession::open(&served.target(&home.token().unwrap())).await.unwrap();
        let answer = call(&mut session, "hi").await;
        assert!(answer.contains(told), "{name}: {answer}");
        let next = call(&mut session, "good").await;
        assert!(next.contains("\"good\""), "after {name}: {next}");
        let resident_kib = resident_peak_kib(served.process.pid());
        assert!(resident_kib <= RESIDENT_KIB_MAX, "{name}: {resident_kib} KiB resident");
        drop(session);
        served.process.stop(PATIENCE).unwrap();
        let (mut statuses, mut reasons) = (Vec::new(), Vec::new());
        home.audit("(type:action_record or type:exception_record)", |line| {
            match evidence::record::read(line.as_bytes())?.body {
                Body::Action(action) => statuses.extend(action.status.map(|status| status.to_string())),
                Body::Exception(exception) => reasons.push(exception.reason),
                _ => {}
            }
            Ok(())
        })
        .unwrap();
        let first = if told == "\"hi\"" { "done" } else { "unknown" };
        assert_eq!(statuses, [first, "done"], "{name}: one outcome for each call");
        let expected = |reason: &String| noted.iter().any(|noted| reason.contains(noted));
        assert!(reasons.iter().all(expected), "{name}: {reasons:?}");
        // What follows an answer on its stream is mostly left unread.
        let is_missing = |noted: &&str| *noted == LOOK && !reasons.iter().any(|reason| reason.contains(noted));
        assert!(!noted.iter().any(is_missing), "{name}: {reasons:?}");
        home.verify().unwrap();
    }
    assert_eq!(REDIRECTED.load(Ordering::SeqCst), 0, "a redirect was followed");
}
