//! Records over the API: pages of what a filter picks, and streams that a reader follows over kills of the gateway and of itself without missing or repeating a record.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpStream;

use evidence::record::{Body, EvidenceAccess, Look};
use serde_json::{Value, json};

use super::approvals::Gated;
use super::bridges::PATIENCE;
use super::console::Served;

/// What the reader may follow.
const FILTER: &str = "type:decision_record,action_record,evidence_access";

const TOKEN: &str = "reader-0123456789abcdef0123456789abcdef0123456789";

/// A stream that is read.
struct Stream {
    head: String,
    reader: BufReader<TcpStream>,
}

impl Stream {
    fn open(served: &Served, token: &str, query: &str, headers: &str) -> Self {
        let mut stream = TcpStream::connect(&served.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let host = &served.address;
        let head = format!(
            "GET /v1/records/stream?{query} HTTP/1.1\r\nHost: {host}\r\nAuthorization: Bearer {token}\r\n{headers}\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(reader.read_line(&mut head).unwrap() > 0, "{head}");
        }
        Self { head: head.to_ascii_lowercase(), reader }
    }

    /// The next line that begins so; `None` where the stream has ended, or was cut within a line.
    fn line(&mut self, start: &str) -> Option<String> {
        loop {
            let mut line = Vec::new();
            let read = self.reader.read_until(b'\n', &mut line).unwrap_or(0);
            if read == 0 || line.last() != Some(&b'\n') || line == b"0\r\n" {
                return None;
            }
            let line = String::from_utf8(line).unwrap();
            // Lines of the framing of HTTP are passed over: they begin with a number.
            if line.starts_with(start) {
                return Some(line.trim_end().to_owned());
            }
        }
    }

    fn object(&mut self) -> Option<Value> {
        self.line("{").map(|line| serde_json::from_str(&line).unwrap())
    }

    /// The next thing that the stream says of itself.
    fn notice(&mut self) -> Value {
        loop {
            let object = self.object().expect("the stream ended without a word");
            if object.get("stream").is_some() {
                return object;
            }
        }
    }

    /// The next record that is a decision; all records until then go to `seqs`.
    fn decision(&mut self, seqs: &mut Vec<u64>) {
        loop {
            let object = self.object().expect("the stream ended before the decision");
            if object.get("stream").is_none() {
                seqs.push(object["seq"].as_u64().unwrap());
                if object["type"] == "decision_record" {
                    return;
                }
            }
        }
    }
}

impl Gated {
    fn serve_reader(&self) -> Served {
        std::fs::write(self.0.scratch.join("siem-token"), format!("{TOKEN}\n")).unwrap();
        self.serve_with(&format!(
            "[stream.siem]\nfilter = \"{FILTER}\"\ntoken = {{ file = \"siem-token\" }}\nwhy = \"The SIEM watches agents.\"\n"
        ))
    }

    fn accesses(&self) -> Vec<EvidenceAccess> {
        let of = |body| if let Body::Access(access) = body { Some(access) } else { None };
        self.0.records("type:evidence_access").into_iter().filter_map(|record| of(record.body)).collect()
    }
}

#[test]
fn a_reader_follows_the_ledger_over_kills_without_a_gap() {
    let world = Gated::new("records-follow");
    let mut served = world.serve_reader();
    let mut seqs = Vec::new();
    let mut call = 0;
    for round in 0..4_u64 {
        let after = seqs.last().copied().unwrap_or_default();
        let mut stream = Stream::open(&served, TOKEN, &format!("after={after}"), "");
        assert!(stream.head.starts_with("http/1.1 200") && stream.head.contains("application/x-ndjson"));
        let opened = stream.notice();
        assert_eq!((&opened["stream"], &opened["seq"]), (&json!("open"), &json!(after)), "{opened}");
        let mut client = world.open();
        // What was missed while nobody followed, and what happens now.
        let missed = if round == 0 { 0 } else { 2 };
        for _ in 0..missed {
            stream.decision(&mut seqs);
        }
        for _ in 0..3 {
            call += 1;
            let answer = client.call(call, "echo", json!({ "text": "hi" }));
            assert_eq!(answer["result"]["content"][0]["text"], "hi", "{answer}");
            stream.decision(&mut seqs);
        }
        // The reader dies; calls go on.
        drop(stream);
        for _ in 0..2 {
            call += 1;
            client.call(call, "echo", json!({ "text": "hi" }));
        }
        if round % 2 == 0 {
            served.process.kill().unwrap();
            drop(client);
            served = world.serve_reader();
        } else {
            assert!(client.close().success());
        }
    }
    let mut stream = Stream::open(&served, TOKEN, &format!("after={}", seqs.last().unwrap()), "");
    for _ in 0..2 {
        stream.decision(&mut seqs);
    }
    drop(stream);
    served.stop();
    let last = *seqs.last().unwrap();
    let there: Vec<u64> = world.0.records(&format!("{FILTER} seq:1..{last}")).iter().map(|record| record.seq).collect();
    assert_eq!(seqs, there, "each once, and none is missing");
    let accesses = world.accesses();
    assert_eq!(accesses.len(), 5, "{accesses:?}");
    for access in accesses {
        assert_eq!((access.channel.as_str(), access.who.as_str(), access.look), ("api", "stream:siem", None));
        let filter = access.filter.unwrap();
        assert!(filter.starts_with("type:") && filter.contains(" seq:"), "{filter}");
    }
    world.0.assert_verified();
}

#[test]
fn a_stream_is_for_whom_it_is_and_says_how_it_ends() {
    let world = Gated::new("records-doors");
    world.enrol(&["ana"]);
    let served = world.serve_reader();
    let ana = served.open(world.device("ana"));
    let asked = |token: &str, path: &str| {
        let came = served.ask(&format!("GET {path}"), &format!("Authorization: Bearer {token}\r\n"), "");
        (came.status, came.body["code"].as_str().unwrap_or_default().to_owned(), came.body["at"].clone())
    };
    for (token, path, status, code, at) in [
        ("", "/v1/records/stream", 401, "session_required", Value::Null),
        (&TOKEN.replace("reader", "loader"), "/v1/records/stream", 401, "session_required", Value::Null),
        (TOKEN, "/v1/records", 401, "session_required", Value::Null),
        (TOKEN, "/v1/approvals", 401, "session_required", Value::Null),
        (TOKEN, "/v1/records/stream?filter=agent:bot%20typ:x", 409, "filter_unfit", json!(10)),
        (TOKEN, "/v1/records/stream?filter=call(status:done)", 409, "filter_unfit", Value::Null),
        (TOKEN, "/v1/records/stream?after=99999999", 409, "place_unknown", Value::Null),
        (TOKEN, "/v1/records/stream?after=-1", 400, "request_unfit", Value::Null),
        (TOKEN, "/v1/records/stream?from=1", 400, "request_unfit", Value::Null),
        (&ana.token, "/v1/records/stream?after=0", 409, "why_required", Value::Null),
        (&ana.token, "/v1/records/stream?after=0&why=%20", 400, "request_unfit", Value::Null),
        (&ana.token, "/v1/records?before=0", 400, "request_unfit", Value::Null),
        (&ana.token, "/v1/records?limit=0", 400, "request_unfit", Value::Null),
        (&ana.token, "/v1/records?filter=typ:x", 409, "filter_unfit", json!(0)),
    ] {
        assert_eq!(asked(token, path), (status, code.to_owned(), at), "{path}");
    }
    assert!(world.accesses().is_empty(), "nothing was opened");

    // Events for browsers, which come back with the last id.
    let events = "Accept: text/event-stream\r\nLast-Event-ID: 2\r\n";
    let mut stream = Stream::open(&served, &ana.token, "after=0&filter=seq:1..4&why=FIN-2304", events);
    assert!(stream.head.contains("content-type: text/event-stream"), "{}", stream.head);
    assert_eq!(stream.line("id: ").as_deref(), Some("id: 2"));
    assert!(stream.line("data: ").unwrap().contains(r#""stream":"open""#));
    for seq in [3, 4] {
        assert_eq!(stream.line("id: "), Some(format!("id: {seq}")));
        assert_eq!(stream.line("event: ").as_deref(), Some("event: record"));
        let record: Value = serde_json::from_str(stream.line("data: ").unwrap().trim_start_matches("data: ")).unwrap();
        assert_eq!(record["seq"], seq);
    }
    // A session takes its streams with it.
    let closed = served.ask("DELETE /v1/sessions/current", &format!("Authorization: Bearer {}\r\n", ana.token), "");
    assert_eq!(closed.status, 204);
    assert!(stream.line("data: ").unwrap().contains(r#""reason":"session""#));
    assert_eq!(stream.line("data: "), None);

    // Four streams for one reader, within what it may see; a stopping gateway says so.
    let mut streams: Vec<_> =
        (0..4).map(|_| Stream::open(&served, TOKEN, "after=0&filter=not%20type:evidence_access", "")).collect();
    assert_eq!(asked(TOKEN, "/v1/records/stream").1, "too_many");
    let mut client = world.open();
    client.call(1, "echo", json!({ "text": "hi" }));
    assert!(client.close().success());
    for stream in &mut streams {
        stream.decision(&mut Vec::new());
    }
    served.stop();
    for stream in &mut streams {
        let ended = std::iter::from_fn(|| stream.object()).find(|object| object["stream"] == "ended").unwrap();
        assert_eq!(ended["reason"], "stopping");
        assert_eq!(stream.object(), None);
    }
    let accesses = world.accesses();
    let [first, rest @ ..] = accesses.as_slice() else { panic!("{accesses:?}") };
    assert_eq!((first.who.as_str(), first.why.as_str()), ("ana", "FIN-2304"));
    assert_eq!(first.filter.as_deref(), Some("seq:1..4 seq:3.."));
    assert_eq!(rest.len(), 4);
    world.0.assert_verified();
}

#[test]
fn records_are_found_a_page_at_a_time_newest_first() {
    let world = Gated::new("records-pages");
    world.enrol(&["ana"]);
    let served = world.serve_reader();
    let ana = served.open(world.device("ana"));
    let mut client = world.open();
    for call in 1..=5 {
        client.call(call, "echo", json!({ "text": "hi" }));
    }
    assert!(client.close().success());
    let mut found = Vec::new();
    let mut before = String::new();
    loop {
        let page = ana.seen(&format!("/v1/records?filter=event:intent%20call(decision:allow)&limit=2{before}"));
        let records = page["records"].as_array().unwrap();
        found.extend(records.iter().map(|record| record["seq"].as_u64().unwrap()));
        match page["next"].as_u64() {
            Some(next) => before = format!("&before={next}"),
            None => break,
        }
    }
    let mut there: Vec<u64> = world.0.records("event:intent").iter().map(|record| record.seq).collect();
    there.reverse();
    assert_eq!(found, there);
    assert_eq!(there.len(), 5);
    assert!(world.accesses().is_empty());

    // Where looks are evidence, the API records them too.
    let file = world.0.scratch.join("home/organisation.toml");
    std::fs::write(&file, "organisation = \"corp.example\"\nwhy = \"First.\"\nreads = \"recorded\"\n").unwrap();
    let came = ana.get("/v1/records?filter=type:decision_record");
    assert_eq!((came.status, &came.body["code"]), (409, &json!("why_required")), "{came:?}");
    let page = ana.seen("/v1/records?filter=type:decision_record&why=FIN-2304");
    assert_eq!(page["records"].as_array().unwrap().len(), 5);
    served.stop();
    std::fs::remove_file(&file).unwrap();
    let accesses = world.accesses();
    let [look] = accesses.as_slice() else { panic!("{accesses:?}") };
    assert_eq!((look.who.as_str(), look.channel.as_str(), look.look), ("ana", "api", Some(Look::Records)));
    assert_eq!(look.filter.as_deref(), Some("type:decision_record"));
}
