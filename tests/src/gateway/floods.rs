//! Servers that send faster than anybody reads: deadlines hold, others are served meanwhile, and memory stays bounded.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use serde_json::Value;
use testkit::client::{Answer, HttpSession};
use testkit::governed::{Home, READY_PATH, Served};
use testkit::scratch::Scratch;
use testkit::wait;

use super::bridges::{PATIENCE, binary};
use super::hostile::resident_peak_kib;

/// What the gateway may hold in memory after any of these: its 60 MiB at rest, the few buffers of a stream, and a debug build's own weight.
const RESIDENT_KIB_MAX: u64 = 160 << 10;

/// A call may take one second here; on a busy machine its end is told in a few more.
const TOLD_WITHIN: Duration = Duration::from_secs(10);

/// A gateway without bounds ends here, and not with the machine that it runs on.
const ADDRESS_SPACE: [&str; 4] = ["sh", "-c", "ulimit -v 4194304; exec \"$@\"", "sh"];

/// A gateway in front of `upstream`, a line of configuration, that gives a call one second.
fn serve(home: &Home, upstream: &str, scratch: &Scratch) -> Served {
    home.write_mission(&["echo"]).unwrap();
    home.write_config("http://127.0.0.1:1/mcp").unwrap();
    let file = scratch.join("countersign.toml");
    let config = std::fs::read_to_string(&file).unwrap().replace("url = \"http://127.0.0.1:1/mcp\"", upstream);
    std::fs::write(file, format!("{config}\n[limits]\ncall_timeout_s = 1\n")).unwrap();
    let served = home.start_under(&ADDRESS_SPACE).unwrap();
    wait::http_ready(served.addr, READY_PATH, PATIENCE).unwrap();
    served
}

/// Calls once; gives what was told, and how long that took.
async fn call(served: &Served, token: &str) -> (String, Duration) {
    let mut session = HttpSession::open(&served.target(token)).await.unwrap();
    let began = Instant::now();
    let told = match session.call("echo", r#"{"text":"hi"}"#).await.unwrap() {
        Answer::Done(text) | Answer::ToolError(text) | Answer::Refused(text) => text.to_owned(),
    };
    (told, began.elapsed())
}

/// The call was given up in time, its record says so, and the gateway is well.
fn assert_given_up(home: &Home, mut served: Served, (told, took): (String, Duration)) {
    assert!(told.contains("the upstream did not answer in time"), "{told}");
    assert!(took < TOLD_WITHIN, "told after {took:?}");
    let resident_kib = resident_peak_kib(served.process.pid());
    assert!(resident_kib <= RESIDENT_KIB_MAX, "{resident_kib} KiB resident");
    served.process.stop(PATIENCE).unwrap();
    let mut unknown = 0;
    home.audit("type:action_record status:unknown", |_| {
        unknown += 1;
        Ok(())
    })
    .unwrap();
    assert_eq!(unknown, 1);
    home.verify().unwrap();
}

#[tokio::test]
async fn a_child_that_asks_without_reading_is_given_up_and_bounded() {
    let scratch = Scratch::new("floods-requests").unwrap();
    let home = Home::new(&binary("countersign"), scratch.path()).unwrap();
    let child = binary("countersign-upstream");
    let command =
        format!("command = [{:?}, \"--stdio\", \"--hostile\", \"floods-requests\"]", child.display().to_string());
    let served = serve(&home, &command, &scratch);
    let ended = call(&served, &home.token().unwrap()).await;
    assert_given_up(&home, served, ended);
}

/// A server that opens sessions and answers each call with `piece`, again and again.
fn pour(piece: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            std::thread::spawn(move || answer(stream, piece));
        }
    });
    url
}

/// Answers on one connection until the other side has enough.
fn answer(mut stream: TcpStream, piece: &[u8]) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let (mut length, mut line) = (0, String::new());
        while reader.read_line(&mut line)? > 2 {
            let lower = line.to_ascii_lowercase();
            length = lower.strip_prefix("content-length:").map_or(length, |value| value.trim().parse().unwrap());
            line.clear();
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let message: Value = serde_json::from_slice(&body).unwrap_or_default();
        match message["method"].as_str() {
            Some("initialize") => {
                let id = &message["id"];
                let body = format!(
                    r#"{{"jsonrpc":"2.0","id":{id},"result":{{"protocolVersion":"2025-11-25","capabilities":{{"tools":{{}}}},"serverInfo":{{"name":"s","version":"1"}}}}}}"#
                );
                write!(
                    stream,
                    "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                )?;
            }
            Some("tools/call") => {
                let pieces = piece.repeat((64 << 10) / piece.len());
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n")?;
                loop {
                    stream.write_all(&pieces)?;
                }
            }
            Some(_) => stream.write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")?,
            None => stream.write_all(b"HTTP/1.1 405 Method Not Allowed\r\nContent-Length: 0\r\n\r\n")?,
        }
    }
}

#[tokio::test]
async fn a_stream_of_nothing_is_given_up_in_time() {
    for (name, piece) in [("comments", b": x\n\n".as_slice()), ("empty-events", b"id: 7\nretry: 1\ndata:\n\n")] {
        let scratch = Scratch::new(name).unwrap();
        let home = Home::new(&binary("countersign"), scratch.path()).unwrap();
        let served = serve(&home, &format!("url = \"{}\"", pour(piece)), &scratch);
        let ended = call(&served, &home.token().unwrap()).await;
        assert_given_up(&home, served, ended);
    }
}
