//! Clients that break the protocol, send without end, stall or never read, against the real gateway over both transports: what they are told, what is recorded,
//! that others are served meanwhile, and that memory stays bounded.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::Duration;

use evidence::record::{Body, Record, Status};
use serde_json::{Value, json};
use testkit::governed::{Home, READY_PATH, Served, Upstream};
use testkit::scratch::Scratch;
use testkit::wait;

use super::bridges::{PATIENCE, World, binary};
use super::hostile::resident_peak_kib;

/// What the gateway may hold in memory after any of these: its 60 MiB at rest, the 4 MiB of a request in each of a few buffers, and a debug build's own weight.
const RESIDENT_KIB_MAX: u64 = 160 << 10;

/// More than any message may have: 4 MiB.
const TOO_LONG_BYTES: usize = (4 << 20) + (1 << 16);

/// A message that is none.
struct Message {
    name: &'static str,
    bytes: Vec<u8>,
    /// What the client reads, over either transport.
    told: &'static str,
}

fn messages() -> Vec<Message> {
    let call = |id: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"echo","arguments":{{"text":"x"}}}}}}"#
        )
    };
    let message = |name, text: String, told| Message { name, bytes: text.into_bytes(), told };
    let nested = format!(
        r#"{{"jsonrpc":"2.0","id":7,"method":"tools/list","params":{{"a":{}1{}}}}}"#,
        "[".repeat(5000),
        "]".repeat(5000)
    );
    let twice = "duplicate object key at byte";
    let no_id = "is not an id; use a string of at most 512 bytes or a 64-bit integer";
    let bytes_of = |text: &[&[u8]]| text.concat();
    vec![
        message("the same key twice", call("7").replace(r#""method""#, r#""method":"ping","method""#), twice),
        message("an escaped key twice", call("7").replace(r#""method""#, r#""m\u0065thod":"ping","method""#), twice),
        message("deep nesting", nested, "nesting deeper than 64"),
        message("a number without end", call("7").replace(r#""x""#, &"9".repeat(4000)), "number out of range"),
        message("no JSON", "GET / HTTP/1.1".to_owned(), "-32700"),
        message("half a message", r#"{"jsonrpc":"2.0","id":7,"method":"#.to_owned(), "text ends early"),
        message("an id that is null", call("null"), no_id),
        message("an id that is a fraction", call("1.5"), no_id),
        message("an id that is true", call("true"), no_id),
        message("an id that is an object", call(r#"{"a":1}"#), no_id),
        message("an id that is a list", call("[7]"), no_id),
        message("an id of a thousand characters", call(&format!("\"{}\"", "i".repeat(1000))), no_id),
        message("no version", call("7").replace(r#""jsonrpc":"2.0","#, ""), "`jsonrpc` is missing"),
        message(
            "a method that is a number",
            call("7").replace(r#""tools/call""#, "7"),
            "`method` at byte 33 is not a name",
        ),
        message("a control character", call("7").replace('x', "\u{1}"), "control character in a string"),
        message("an array", format!("[{}]", call("7")), "send each message by itself"),
        message("a text alone", r#""tools/call""#.to_owned(), "the message is not an object"),
        Message {
            name: "bytes that are no UTF-8",
            bytes: bytes_of(&[call("7").replace(r#"x"}}}"#, "").as_bytes(), b"\xff\"}}}"]),
            told: "invalid UTF-8",
        },
    ]
}

/// What the exceptions of a ledger say, in order.
pub(super) fn noted(records: &[Record]) -> Vec<&str> {
    records
        .iter()
        .filter_map(
            |record| if let Body::Exception(exception) = &record.body { Some(&*exception.reason) } else { None },
        )
        .collect()
}

/// The statuses of all outcomes, in order.
pub(super) fn statuses(records: &[Record]) -> Vec<Status> {
    let status = |record: &Record| if let Body::Action(action) = &record.body { action.status } else { None };
    records.iter().filter_map(status).collect()
}

#[test]
fn a_client_over_stdio_that_breaks_the_protocol_is_told_recorded_and_served_on() {
    let world = World::new("stdio-clients");
    for Message { name, mut bytes, told } in messages() {
        let mut client = world.bridge(&[]);
        client.open();
        bytes.retain(|byte| *byte != b'\n');
        client.send_bytes(&[bytes.as_slice(), b"\n"].concat());
        let answer = client.message().to_string();
        assert!(answer.contains(told), "{name}: {answer}");
        assert_eq!(client.call(8, "echo", json!({ "text": "good" }))["result"]["content"][0]["text"], "good", "{name}");
        assert!(client.close().success(), "{name}");
    }
    let records = world.records("(type:action_record or type:exception_record)");
    assert_eq!(statuses(&records), vec![Status::Done; messages().len()]);
    let noted = noted(&records);
    assert_eq!(noted.len(), messages().len(), "{noted:?}");
    assert!(noted.iter().all(|noted| noted.contains("sent a message that cannot be read")), "{noted:?}");
    world.assert_verified();
}

#[test]
fn a_line_without_end_is_refused_once_and_forgotten() {
    let world = World::new("endless-line");
    let mut client = world.bridge(&[]);
    client.open();
    let pid = world.gateway_pid().as_raw_pid().unsigned_abs();
    let chunk = vec![b'x'; 1 << 20];
    for _ in 0..64 {
        client.send_bytes(&chunk);
    }
    client.send_bytes(b"\n");
    let answer = client.message().to_string();
    assert!(answer.contains("-32700") && answer.contains("4194304"), "{answer}");
    assert_eq!(client.call(8, "echo", json!({ "text": "good" }))["result"]["content"][0]["text"], "good");
    let resident_kib = resident_peak_kib(pid);
    assert!(resident_kib <= RESIDENT_KIB_MAX, "{resident_kib} KiB resident");
    assert!(client.close().success());
    let records = world.records("type:exception_record");
    assert_eq!(noted(&records).len(), 1, "{:?}", noted(&records));
    world.assert_verified();
}

/// A gateway over HTTP in front of a good server.
pub(super) struct Http {
    pub(super) home: Home,
    pub(super) served: Served,
    pub(super) token: String,
    pub(super) _upstream: Option<Upstream>,
    pub(super) scratch: Scratch,
}

impl Http {
    pub(super) fn new(name: &str) -> Self {
        let upstream = Upstream::start(&binary("countersign-upstream"), &[]).unwrap();
        let url = format!("url = {:?}", upstream.url());
        Self { _upstream: Some(upstream), ..Self::before(name, &url, "") }
    }

    /// In front of an upstream, a line of configuration; with further lines of what the mission allows of it.
    pub(super) fn before(name: &str, upstream: &str, allows: &str) -> Self {
        Self::with(name, upstream, allows, "")
    }

    /// As [`Self::before`], with `sections` of the mission of its own.
    pub(super) fn with(name: &str, upstream: &str, allows: &str, sections: &str) -> Self {
        let scratch = Scratch::new(name).unwrap();
        let home = Home::new(&binary("countersign"), scratch.path()).unwrap();
        home.write_mission(&["echo", "record_4k"]).unwrap();
        let mission = std::fs::read_to_string(home.mission()).unwrap();
        std::fs::write(
            home.mission(),
            format!("{}\n{sections}", mission.replace("\n[effect", &format!("\n{allows}\n\n[effect"))),
        )
        .unwrap();
        home.write_config_with(upstream, "").unwrap();
        Self::serving(home, None, scratch)
    }

    /// Over a home whose files are written.
    pub(super) fn serving(home: Home, upstream: Option<Upstream>, scratch: Scratch) -> Self {
        let served = home.start().unwrap();
        wait::http_ready(served.addr, READY_PATH, PATIENCE).unwrap();
        let token = home.token().unwrap();
        Self { home, served, token, _upstream: upstream, scratch }
    }

    /// In front of a server that writes down its effects, with a mission that has each of its calls wait for whoever runs this.
    pub(super) fn gated(name: &str, hold: &str) -> Self {
        let scratch = Scratch::new(name).unwrap();
        let (upstream, effects) = (binary("countersign-upstream"), scratch.join("effects"));
        let command = [upstream.to_str().unwrap(), "--stdio", "--effects", effects.to_str().unwrap()];
        Self::gated_before(scratch, &format!("command = {command:?}"), hold)
    }

    /// The same, in front of the upstream that this line of configuration says.
    pub(super) fn gated_before(scratch: Scratch, upstream: &str, hold: &str) -> Self {
        let home = Home::new(&binary("countersign"), scratch.path()).unwrap();
        home.write_gated_mission(&["effect", "slow_effect"]).unwrap();
        let mission = std::fs::read_to_string(home.mission()).unwrap();
        std::fs::write(home.mission(), mission.replace("hold = \"1s\"", &format!("hold = \"{hold}\""))).unwrap();
        home.write_config_with(upstream, "").unwrap();
        let served = home.serve().unwrap();
        let token = home.token().unwrap();
        Self { home, served, token, _upstream: None, scratch }
    }

    /// How many effects its server has had.
    pub(super) fn effects(&self) -> usize {
        std::fs::read_to_string(self.scratch.join("effects")).unwrap_or_default().lines().count()
    }

    /// How many calls were about to run.
    pub(super) fn intents(&self) -> u32 {
        let mut intents = 0;
        self.home
            .audit("type:action_record", |line| {
                let body = evidence::record::read(line.as_bytes())?.body;
                intents += u32::from(matches!(body, Body::Action(action) if action.status.is_none()));
                Ok(())
            })
            .unwrap();
        intents
    }

    /// `kill -9`, and another gateway on the same home.
    pub(super) fn restart(&mut self) {
        self.served.process.kill().unwrap();
        self.served = self.home.serve().unwrap();
    }

    pub(super) fn connect(&self) -> Raw {
        Raw::connect(self.served.addr)
    }

    /// A request's head up to what says how long its body is.
    pub(super) fn head(&self, session: Option<&str>) -> String {
        let session = session.map(|id| format!("Mcp-Session-Id: {id}\r\nMCP-Protocol-Version: 2025-11-25\r\n"));
        format!(
            "POST /mcp/upstream HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {}\r\nContent-Type: application/json\r\n\
             Accept: application/json, text/event-stream\r\n{}",
            self.served.addr,
            self.token,
            session.unwrap_or_default()
        )
    }

    pub(super) fn request(&self, session: Option<&str>, body: &[u8]) -> Vec<u8> {
        let head = format!("{}Content-Length: {}\r\n\r\n", self.head(session), body.len());
        [head.as_bytes(), body].concat()
    }

    /// Opens a session; gives its id.
    pub(super) fn open(&self) -> String {
        let mut raw = self.connect();
        raw.send(&self.request(
            None,
            br#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"t","version":"1"}}}"#,
        ));
        let answer = raw.answer();
        let line = answer.lines().find(|line| line.to_ascii_lowercase().starts_with("mcp-session-id:")).unwrap();
        let id = line.split_once(':').unwrap().1.trim().to_owned();
        raw.send(&self.request(Some(&id), br#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#));
        assert!(raw.answer().starts_with("HTTP/1.1 202"));
        id
    }

    pub(super) fn call(&self, id: u32, text: &str) -> Vec<u8> {
        json!({ "jsonrpc": "2.0", "id": id, "method": "tools/call", "params": { "name": "echo", "arguments": { "text": text } } })
            .to_string()
            .into_bytes()
    }

    pub(super) fn assert_serves(&self, session: &str, after: &str) {
        let mut raw = self.connect();
        raw.send(&self.request(Some(session), &self.call(900, "good")));
        let answer = raw.answer();
        assert!(answer.starts_with("HTTP/1.1 200") && answer.contains(r#""text":"good""#), "after {after}: {answer}");
    }

    /// Stops the gateway; gives its decisions, outcomes and exceptions.
    pub(super) fn end(mut self) -> Vec<Record> {
        let resident_kib = resident_peak_kib(self.served.process.pid());
        assert!(resident_kib <= RESIDENT_KIB_MAX, "{resident_kib} KiB resident");
        self.served.process.stop(PATIENCE).unwrap();
        let mut records = Vec::new();
        self.home
            .audit("(type:action_record or type:decision_record or type:exception_record)", |line| {
                records.push(evidence::record::read(line.as_bytes())?);
                Ok(())
            })
            .unwrap();
        self.home.verify().unwrap();
        records
    }
}

/// A connection without a client's manners.
pub(super) struct Raw(TcpStream);

impl Raw {
    fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }

    pub(super) fn into_stream(self) -> TcpStream {
        self.0
    }

    pub(super) fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).unwrap();
    }

    /// Sends for as long as the other side takes it; whether all of it went.
    fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.0.write_all(bytes).is_ok()
    }

    /// One response, its body by its length; all that came where the connection ends before.
    pub(super) fn answer(&mut self) -> String {
        let mut read = Vec::new();
        let mut chunk = [0; 16 << 10];
        loop {
            let text = String::from_utf8_lossy(&read);
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length = head.lines().find_map(|line| {
                    let (name, value) = line.split_once(':')?;
                    name.eq_ignore_ascii_case("content-length").then(|| value.trim().parse::<usize>().unwrap())
                });
                if length.is_none_or(|length| body.len() >= length) {
                    return text.into_owned();
                }
            }
            match self.0.read(&mut chunk) {
                Ok(0) => return text.into_owned(),
                Ok(more) => read.extend_from_slice(&chunk[..more]),
                // The other side threw away what we still wrote.
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return text.into_owned(),
                Err(error) => panic!("{error} after {text}"),
            }
        }
    }

    /// One response whose body is a stream, to its end.
    pub(super) fn stream(&mut self) -> String {
        let mut read = Vec::new();
        let mut chunk = [0; 16 << 10];
        while !read.ends_with(b"0\r\n\r\n") {
            match self.0.read(&mut chunk).unwrap() {
                0 => break,
                more => read.extend_from_slice(&chunk[..more]),
            }
        }
        String::from_utf8_lossy(&read).into_owned()
    }

    /// Waits until the other side ends the connection; gives all that came.
    pub(super) fn rest(&mut self) -> String {
        let mut read = Vec::new();
        match self.0.read_to_end(&mut read) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => panic!("the connection did not end: {error}"),
        }
        String::from_utf8_lossy(&read).into_owned()
    }
}

#[test]
fn a_client_over_http_that_breaks_the_protocol_is_told_recorded_and_served_on() {
    let http = Http::new("http-clients");
    for Message { name, bytes, told } in messages() {
        let session = http.open();
        let mut raw = http.connect();
        raw.send(&http.request(Some(&session), &bytes));
        let answer = raw.answer();
        assert!(answer.starts_with("HTTP/1.1 400") && answer.contains(told), "{name}: {answer}");
        http.assert_serves(&session, name);
    }
    let records = http.end();
    assert_eq!(statuses(&records), vec![Status::Done; messages().len()]);
    let noted = noted(&records);
    assert_eq!(noted.len(), messages().len(), "{noted:?}");
    assert!(noted.iter().all(|noted| noted.contains("sent a message that cannot be read")), "{noted:?}");
}

#[test]
fn a_body_that_is_too_long_or_never_ends_is_refused_and_recorded() {
    let http = Http::new("long-bodies");
    let sessions = [http.open(), http.open(), http.open()];
    let [declared, sent, chunked] = &sessions;

    // A length that is too much is refused before anything of it came.
    let mut raw = http.connect();
    raw.send(format!("{}Content-Length: {TOO_LONG_BYTES}\r\n\r\n", http.head(Some(declared))).as_bytes());
    let answer = raw.answer();
    assert!(answer.starts_with("HTTP/1.1 413") && answer.contains("4194304"), "{answer}");
    http.assert_serves(declared, "a length that is too much");

    let mut raw = http.connect();
    raw.try_send(&http.request(Some(sent), &vec![b' '; TOO_LONG_BYTES]));
    let answer = raw.answer();
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 413"), "{answer}");
    http.assert_serves(sent, "a body that is too long");

    let mut raw = http.connect();
    raw.send(format!("{}Transfer-Encoding: chunked\r\n\r\n", http.head(Some(chunked))).as_bytes());
    let piece = [b"10000\r\n".as_slice(), &[b' '; 0x10000], b"\r\n"].concat();
    // Ends: the gateway stops reading, and what lies between the two holds less than this.
    let taken = (0..1024).take_while(|_| raw.try_send(&piece)).count();
    assert!(taken < 1024, "64 MiB of one body were taken");
    http.assert_serves(chunked, "a body without end");

    let records = http.end();
    let noted = noted(&records);
    assert_eq!(noted.len(), 3, "{noted:?}");
    assert!(noted.iter().all(|noted| noted.contains("the body is larger than 4194304 bytes")), "{noted:?}");
}

#[test]
fn a_request_that_two_readers_would_take_differently_runs_nothing() {
    let http = Http::new("smuggling");
    let session = http.open();
    let call = http.call(7, "smuggled");
    let inner = String::from_utf8(http.request(Some(&session), &call)).unwrap();
    let head = http.head(Some(&session));
    let length = call.len();
    let call = String::from_utf8(call).unwrap();
    for (name, request) in [
        ("two lengths", format!("{head}Content-Length: {length}\r\nContent-Length: {}\r\n\r\n{call}", length + 1)),
        ("a length with a sign", format!("{head}Content-Length: +{length}\r\n\r\n{call}")),
        ("two lengths in one", format!("{head}Content-Length: {length}, {}\r\n\r\n{call}", length + 1)),
        ("an unknown coding", format!("{head}Transfer-Encoding: gzip\r\n\r\n{call}")),
        ("chunked before another coding", format!("{head}Transfer-Encoding: chunked, identity\r\n\r\n{call}")),
        ("a chunk without a length", format!("{head}Transfer-Encoding: chunked\r\n\r\nxyz\r\n{call}\r\n0\r\n\r\n")),
        ("a header's name with a blank", format!("{head}Content-Length : {length}\r\n\r\n{call}")),
        ("two sessions", format!("{head}Mcp-Session-Id: other\r\nContent-Length: {length}\r\n\r\n{call}")),
        ("two hosts", format!("{head}Host: evil.example\r\nContent-Length: {length}\r\n\r\n{call}")),
        (
            "another host",
            head.replacen("Host: ", "Host: evil.example", 1) + &format!("Content-Length: {length}\r\n\r\n{call}"),
        ),
        ("two tokens", format!("{head}Authorization: Bearer other\r\nContent-Length: {length}\r\n\r\n{call}")),
        ("a foreign page", format!("{head}Origin: https://evil.example\r\nContent-Length: {length}\r\n\r\n{call}")),
        (
            "another revision than the session's",
            head.replace("2025-11-25", "2025-06-18") + &format!("Content-Length: {length}\r\n\r\n{call}"),
        ),
        (
            "an unknown revision",
            head.replace("2025-11-25", "1999-01-01") + &format!("Content-Length: {length}\r\n\r\n{call}"),
        ),
        (
            "a session of nobody",
            head.replace(session.as_str(), &"0".repeat(64)) + &format!("Content-Length: {length}\r\n\r\n{call}"),
        ),
        ("headers without end", format!("{head}X: {}\r\nContent-Length: {length}\r\n\r\n{call}", "x".repeat(1 << 20))),
        ("headers without number", format!("{head}{}Content-Length: {length}\r\n\r\n{call}", "X: y\r\n".repeat(1000))),
    ] {
        let mut raw = http.connect();
        let _taken = raw.try_send(request.as_bytes());
        let answer = raw.answer();
        let refused = answer.is_empty() || answer.starts_with("HTTP/1.1 4");
        assert!(refused && !answer.contains("smuggled"), "{name}: {answer}");
        http.assert_serves(&session, name);
    }

    // Where both are there, the coding counts (RFC 9112, 6.3); what a reader of the length would take for a second request is not one.
    let mut raw = http.connect();
    let _taken = raw
        .try_send(format!("{head}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{inner}").as_bytes());
    raw.0.shutdown(Shutdown::Write).unwrap();
    let answer = raw.rest();
    assert!(!answer.contains("smuggled"), "{answer}");
    http.assert_serves(&session, "a length and a coding");

    let records = http.end();
    assert_eq!(statuses(&records), vec![Status::Done; 18], "the good calls, and no other");
}

#[test]
fn clients_that_stall_leave_half_or_never_read_are_survived() {
    let http = Http::new("slow-clients");
    let session = http.open();

    // Stalled in the head, and in the body: neither is waited for without end. Both wait while the rest goes on.
    let mut head = http.connect();
    head.send(b"POST /mcp/upstream HTTP/1.1\r\nHost: ");
    let mut body = http.connect();
    body.send(format!("{}Content-Length: 100\r\n\r\n{{\"jsonrpc\"", http.head(Some(&session))).as_bytes());

    // One byte at a time is slow and no crime.
    let mut drop_by_drop = http.connect();
    for byte in http.request(Some(&session), &http.call(1, "slow")) {
        drop_by_drop.send(&[byte]);
    }
    assert!(drop_by_drop.answer().contains(r#""text":"slow""#));

    // A client that has said all it will say may still read.
    let mut half = http.connect();
    half.send(&http.request(Some(&session), &http.call(2, "half")));
    half.0.shutdown(Shutdown::Write).unwrap();
    let answer = half.rest();
    assert!(answer.is_empty() || answer.contains(r#""text":"half""#), "{answer}");

    // One that sends calls and reads nothing is written to until the connection is full, and no further; it holds up nobody.
    let mut deaf = http.connect();
    deaf.0.set_write_timeout(Some(Duration::from_millis(500))).unwrap();
    let call = json!({ "jsonrpc": "2.0", "id": 3, "method": "tools/call", "params": { "name": "record_4k", "arguments": { "customer": "C-20417" } } });
    let request = http.request(Some(&session), call.to_string().as_bytes());
    let taken = (0..20_000).take_while(|_| deaf.try_send(&request)).count();
    assert!(taken < 20_000, "80 MB of answers went into a connection that nobody reads");
    http.assert_serves(&session, "a client that never reads");

    // Many connections that say nothing.
    let idle: Vec<Raw> = (0..200).map(|_| http.connect()).collect();
    http.assert_serves(&session, "silent connections");
    drop(idle);

    let ended = body.rest();
    assert!(ended.starts_with("HTTP/1.1 408"), "{ended}");
    let ended = head.rest();
    assert!(ended.is_empty() || ended.starts_with("HTTP/1.1 408"), "{ended}");
    http.assert_serves(&session, "clients that stalled");
    drop(deaf);

    let records = http.end();
    assert!(statuses(&records).iter().all(|status| *status == Status::Done), "{:?}", statuses(&records));
    let intents =
        records.iter().filter(|record| matches!(&record.body, Body::Action(action) if action.status.is_none()));
    assert_eq!(intents.count(), statuses(&records).len(), "each call that began has ended");
    let noted = noted(&records);
    assert!(noted.iter().any(|noted| noted.contains("the body did not arrive in time")), "{noted:?}");
}

/// Ids that are taken: what JSON-RPC lets an id be comes back as it was.
#[test]
fn odd_ids_that_are_ids_come_back_as_they_were() {
    let world = World::new("odd-ids");
    let mut client = world.bridge(&[]);
    client.open();
    for id in ["-1", "9007199254740993", "\"\"", "\"a\\u0000b\"", "\"7\""] {
        client.send_bytes(
            format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"tools/call\",\"params\":{{\"name\":\"echo\",\"arguments\":{{\"text\":\"x\"}}}}}}\n")
                .as_bytes(),
        );
        let answer = client.line();
        assert!(answer.contains(&format!("\"id\":{id}")), "{id}: {answer}");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        assert_eq!(answer["result"]["content"][0]["text"], "x", "{id}");
    }
    assert!(client.close().success());
    assert_eq!(world.statuses(), vec![Status::Done; 5]);
}
