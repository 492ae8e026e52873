//! The API for people, against the real gateway: who comes in, what they see, and that a signed answer over HTTP lets the held call run once.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use console::sessions::statement as opening;
use evidence::approvals::statement;
use evidence::leaf::sha256_hex;
use evidence::record::approval::{Answer, Assurance, Review};
use evidence::record::{Body, ExceptionKind};
use gateway::clock::{now, random};
use gateway::device::DeviceKey;
use serde_json::{Value, json};
use testkit::process::Process;

use super::approvals::{Gated, PASSPHRASE, denied, pending, said};
use super::approved_changes::user;
use super::bridges::{PATIENCE, binary};
use super::endorse::{self, said_by};
use super::standing::{GRANT, MISSION, PEOPLE};

/// A gateway that serves, and the address of its console.
pub(super) struct Served {
    pub(super) address: String,
    pub(super) process: Process,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Came {
    pub(super) body: Value,
    head: String,
    pub(super) status: u16,
}

/// A person with a session.
pub(super) struct Person<'a> {
    key: DeviceKey,
    served: &'a Served,
    pub(super) token: String,
}

impl Gated {
    fn serve(&self) -> Served {
        self.serve_with("")
    }

    /// With more of a configuration.
    pub(super) fn serve_with(&self, more: &str) -> Served {
        let config = self.0.scratch.join("countersign.toml");
        let text = "[listen]\nconsole = \"127.0.0.1:0\"\ngateway = \"127.0.0.1:0\"\nhosts = [\"approvals.example\"]\norigins = [\"https://page.example\"]\n[missions]\ndir = \"none\"\n";
        std::fs::create_dir_all(self.0.scratch.join("none")).unwrap();
        std::fs::write(&config, format!("{text}{more}")).unwrap();
        let mut command = self.0.command(&["serve"]);
        let mut process = Process::spawn(command.arg("--config").arg(config).stdout(Stdio::piped())).unwrap();
        let lines = process.lines().unwrap();
        let line: Value = serde_json::from_str(&process.next_line(&lines, PATIENCE).unwrap()).unwrap();
        Served { address: line["listening_console"].as_str().unwrap().to_owned(), process }
    }

    /// Runs a command as a person would on a machine of their own.
    fn run_elsewhere(&self, at: &str, person: &str, args: &[&str]) -> (Option<i32>, String, String) {
        self.run_elsewhere_with(at, person, args, "")
    }

    /// The same, with something on standard input.
    fn run_elsewhere_with(&self, at: &str, person: &str, args: &[&str], input: &str) -> (Option<i32>, String, String) {
        let mut command = Command::new(binary("countersign"));
        command.args(args).arg("--home").arg(self.0.scratch.join("elsewhere"));
        command.env("COUNTERSIGN_PASSPHRASE", PASSPHRASE).env("COUNTERSIGN_KEY", self.key(person));
        command.env("COUNTERSIGN_AT", at).env("COUNTERSIGN_PERSON", person);
        said_by(command, input)
    }

    pub(super) fn device(&self, person: &str) -> DeviceKey {
        DeviceKey::open(&self.key(person), PASSPHRASE).unwrap()
    }
}

impl Served {
    pub(super) fn ask(&self, head: &str, headers: &str, body: &str) -> Came {
        let host = if headers.contains("Host:") { String::new() } else { format!("Host: {}\r\n", self.address) };
        let length = body.len();
        let text =
            format!("{head} HTTP/1.1\r\n{host}{headers}Connection: close\r\nContent-Length: {length}\r\n\r\n{body}");
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // A body that is too large is refused before it was read.
        let _sent = stream.write_all(text.as_bytes());
        let mut answer = Vec::new();
        let _read = stream.read_to_end(&mut answer);
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default();
        Came { body: serde_json::from_str(body).unwrap_or_default(), head: head.to_ascii_lowercase(), status }
    }

    fn post(&self, path: &str, headers: &str, body: &Value) -> Came {
        self.ask(&format!("POST {path}"), &format!("{headers}Content-Type: application/json\r\n"), &body.to_string())
    }

    fn challenge(&self, person: &str) -> String {
        let came = self.post("/v1/sessions/challenges", "", &json!({ "person": person }));
        assert_eq!(came.status, 201, "{came:?}");
        came.body["challenge"].as_str().unwrap().to_owned()
    }

    /// What `key` sends to open a session with this challenge.
    fn login(&self, key: &DeviceKey, challenge: &str) -> Value {
        let audience = format!("http://{}", self.address);
        let signature = key.sign(&opening(&audience, challenge, &key.id(), key.person()));
        json!({ "challenge": challenge, "key": key.id(), "person": key.person(), "signature": signature })
    }

    pub(super) fn open(&self, key: DeviceKey) -> Person<'_> {
        let challenge = self.challenge(key.person());
        let came = self.post("/v1/sessions", "", &self.login(&key, &challenge));
        assert_eq!(came.status, 201, "{came:?}");
        assert_eq!(came.body["person"], key.person());
        Person { token: came.body["token"].as_str().unwrap().to_owned(), key, served: self }
    }

    pub(super) fn stop(mut self) {
        assert!(self.process.stop(PATIENCE).unwrap().success());
    }
}

impl Person<'_> {
    fn authorization(&self) -> String {
        format!("Authorization: Bearer {}\r\n", self.token)
    }

    pub(super) fn get(&self, path: &str) -> Came {
        self.served.ask(&format!("GET {path}"), &self.authorization(), "")
    }

    pub(super) fn seen(&self, path: &str) -> Value {
        let came = self.get(path);
        assert_eq!(came.status, 200, "{path}: {came:?}");
        came.body
    }

    /// The ids on the page that `query` asks for.
    fn listed(&self, query: &str) -> Vec<String> {
        let page = self.seen(&format!("/v1/approvals?{query}"));
        let ids = page["approvals"].as_array().unwrap().iter();
        ids.map(|approval| approval["approval"].as_str().unwrap().to_owned()).collect()
    }

    /// A signed answer to what is shown.
    fn answer(&self, shown: &Value, answer: Answer) -> Value {
        let text = |pointer: &str| shown.pointer(pointer).unwrap().as_str().unwrap();
        let mut nonce = [0; 16];
        random(&mut nonce);
        let review = Review {
            answer,
            assurance: Assurance::DeviceKey,
            channel: String::new(),
            groups: Vec::new(),
            key: None,
            nonce: nonce.iter().map(|byte| format!("{byte:02x}")).collect(),
            on_behalf_of: None,
            proposed_sha256: None,
            reason: "looked at it".to_owned(),
            reviewer: self.key.person().into(),
            shown_sha256: sha256_hex(text("/shown").as_bytes()),
            signature: None,
            signed_at: now(),
            ticket: None,
        };
        let id = text("/approval/approval").parse().unwrap();
        let signed = statement(id, text("/approval/call_sha256"), text("/approval/gates_sha256"), &review);
        json!({
            "answer": review.answer, "key": self.key.id(), "nonce": review.nonce, "reason": review.reason,
            "shown_sha256": review.shown_sha256, "signature": self.key.sign(&signed), "signed_at": review.signed_at,
        })
    }

    fn review(&self, id: &str, body: &Value) -> Came {
        self.served.post(&format!("/v1/approvals/{id}/reviews"), &self.authorization(), body)
    }

    /// Listens to what changes; gives a reader of its lines that has heard that it listens.
    fn listen(&self) -> BufReader<TcpStream> {
        let mut stream = TcpStream::connect(&self.served.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let host = &self.served.address;
        let head = format!("GET /v1/events HTTP/1.1\r\nHost: {host}\r\n{}\r\n", self.authorization());
        stream.write_all(head.as_bytes()).unwrap();
        let mut reader = BufReader::new(stream);
        assert!(heard(&mut reader, "event: ").contains("listening"));
        reader
    }
}

/// The next line that begins so; empty where the stream has ended.
fn heard(reader: &mut BufReader<TcpStream>, start: &str) -> String {
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap() == 0 || line.starts_with(start) {
            return line;
        }
    }
}

#[test]
fn answers_over_http_let_the_held_call_run_once() {
    let world = Gated::new("console");
    world.enrol(&["ana", "carl"]);
    let served = world.serve();
    let (ana, carl) = (served.open(world.device("ana")), served.open(world.device("carl")));
    assert_eq!(ana.seen("/v1/me")["groups"], json!(["leads"]));
    assert!(ana.listed("state=open").is_empty());
    let mut events = carl.listen();

    let mut client = world.open();
    assert_eq!(said(&client.call(1, "effect", json!({ "key": "one" }))), pending());
    let told = heard(&mut events, "data: {\"approval");
    let [id] = ana.listed("state=open&mine=true").try_into().unwrap_or_else(|other| panic!("{other:?}"));
    assert_eq!(told.trim(), format!("data: {{\"approval\":\"{id}\",\"state\":\"open\"}}"));
    assert_eq!(carl.listed(&format!("begins={}&limit=1", id.get(..20).unwrap())), std::slice::from_ref(&id));
    assert!(ana.listed(&format!("after={id}")).is_empty() && ana.listed("state=denied").is_empty());

    let shown = ana.seen(&format!("/v1/approvals/{id}"));
    assert_eq!(shown["arguments"], r#"{"key":"one"}"#);
    assert_eq!(sha256_hex(shown["shown"].as_str().unwrap().as_bytes()), shown["approval"]["shown_sha256"]);
    assert_eq!((&shown["before"], &shown["you"]["why_not"]), (&json!([]), &Value::Null));
    assert_eq!(shown["you"]["answers"], json!(["approve", "ask", "deny", "edit", "recuse"]));
    assert_eq!(shown["approval"]["gates"][0]["stages"].as_array().unwrap().len(), 1);

    // What is not signed exactly so does not count.
    let good = ana.answer(&shown, Answer::Approve);
    let altered = |name: &str, value: Value| {
        let mut body = good.clone();
        body[name] = value;
        body
    };
    for (body, status, code) in [
        (altered("answer", json!("deny")), 403, "signature_wrong"),
        (altered("reason", json!("something else")), 403, "signature_wrong"),
        (altered("key", json!(carl.key.id())), 403, "signature_wrong"),
        (altered("shown_sha256", json!("0".repeat(64))), 403, "signature_wrong"),
        (altered("nonce", json!("again")), 400, "request_unfit"),
        (altered("reviewer", json!("carl")), 400, "request_unfit"),
        (altered("reason", json!(" ")), 400, "request_unfit"),
    ] {
        let came = ana.review(&id, &body);
        assert_eq!((came.status, &came.body["code"]), (status, &json!(code)), "{body}: {came:?}");
    }
    let came = ana.review("01a00000-0000-7000-8000-000000000000", &good);
    assert_eq!((came.status, &came.body["code"]), (404, &json!("approval_unknown")));
    assert_eq!(carl.review(&id, &good).status, 403, "another's answer");
    let came = ana.review(&id, &good);
    assert_eq!((came.status, &came.body["resolution"]), (201, &Value::Null), "{came:?}");
    assert_eq!(ana.review(&id, &good).status, 409, "once is enough");
    assert!(ana.listed("state=open&mine=true").is_empty(), "it is another's turn");
    let shown = ana.seen(&format!("/v1/approvals/{id}"));
    assert!(shown["you"]["why_not"].as_str().unwrap().contains("known already"), "{shown}");
    assert_eq!(shown["approval"]["reviews"][0]["channel"], "api");

    // The call is held; the second answer lets it run.
    client.send(&json!({ "jsonrpc": "2.0", "id": 3, "method": "tools/call",
        "params": { "name": "effect", "arguments": { "key": "one" } } }));
    let came = carl.review(&id, &carl.answer(&shown, Answer::Approve));
    assert_eq!((came.status, &came.body["resolution"]), (201, &json!("approved")), "{came:?}");
    let answer = client.message();
    assert_eq!((&answer["id"], said(&answer).0.as_str()), (&json!(3), "none"), "{answer}");
    assert_eq!(world.effects().len(), 1);
    assert!(heard(&mut events, "data: ").contains("open"), "the first answer");
    assert!(heard(&mut events, "data: ").contains("approved"));
    assert!(heard(&mut events, "data: ").contains("used"));
    let records = carl.seen(&format!("/v1/approvals/{id}/records?limit=2"));
    assert_eq!(records["records"].as_array().unwrap().len(), 2);
    let rest = carl.seen(&format!("/v1/approvals/{id}/records?after={}", records["next"]));
    let events_of = rest["records"].as_array().unwrap().iter().map(|record| &record["body"]["event"]);
    assert_eq!(events_of.take(3).collect::<Vec<_>>(), ["review", "resolved", "consumed"]);

    // A restart ends sessions and streams, and forgets nothing.
    let (token, key) = (ana.token.clone(), world.device("ana"));
    assert!(client.close().success());
    served.stop();
    assert_eq!(heard(&mut events, "data: "), "", "the stream has ended");
    let served = world.serve();
    let stale = Person { key, served: &served, token };
    assert_eq!(stale.get("/v1/me").status, 401);
    let ana = served.open(stale.key);
    assert_eq!(ana.seen(&format!("/v1/approvals/{id}"))["approval"]["state"], "used");
    served.stop();
    world.0.assert_verified();
}

#[test]
fn what_was_granted_is_taken_back_by_whom_it_concerns() {
    let world = Gated::new("console-revoke");
    world.enrol(&["ana", "carl", "olga"]);
    let served = world.serve();
    let mut client = world.open();
    assert_eq!(said(&client.call(1, "effect", json!({ "key": "one" }))), pending());
    let (ana, carl, olga) =
        (served.open(world.device("ana")), served.open(world.device("carl")), served.open(world.device("olga")));
    let [id] = ana.listed("state=open").try_into().unwrap_or_else(|other| panic!("{other:?}"));
    let shown = ana.seen(&format!("/v1/approvals/{id}"));
    let came = olga.review(&id, &olga.answer(&shown, Answer::Approve));
    assert_eq!((came.status, &came.body["code"]), (403, &json!("excluded")), "the owner does not answer");
    assert!(olga.listed("mine=true").is_empty());
    let path = format!("/v1/approvals/{id}/revocations");
    let why = json!({ "why": "paid by hand" });
    assert_eq!(served.post(&path, &ana.authorization(), &why).status, 409, "nothing is granted yet");
    for person in [&ana, &carl] {
        assert_eq!(person.review(&id, &person.answer(&shown, Answer::Approve)).status, 201);
    }
    assert_eq!(olga.seen(&format!("/v1/approvals/{id}"))["you"]["may_revoke"], true);
    assert_eq!(served.post(&path, &olga.authorization(), &why).status, 204);
    assert_eq!(said(&client.call(2, "effect", json!({ "key": "one" }))).0, "denied");
    assert!(world.effects().is_empty());
    assert!(client.close().success());
    served.stop();
    world.0.assert_verified();
}

#[test]
fn the_command_line_answers_at_a_gateway_elsewhere() {
    let world = Gated::new("console-cli");
    world.enrol(&["ana", "carl"]);
    let served = world.serve();
    let at = format!("http://{}", served.address);
    let elsewhere = world.0.scratch.join("elsewhere");
    let run = |person: &str, args: &[&str]| world.run_elsewhere(&at, person, args);
    let mut client = world.open();
    assert_eq!(said(&client.call(1, "effect", json!({ "key": "one" }))), pending());
    let (code, listed, err) = run("ana", &["approvals", "list", "--format", "json"]);
    assert_eq!(code, Some(0), "{err}");
    let listed: Value = serde_json::from_str(&listed).unwrap();
    let id = listed["approval"].as_str().unwrap();
    let (code, shown, err) = run("ana", &["approvals", "show", id.get(..30).unwrap(), "--format", "json"]);
    assert_eq!(code, Some(0), "{err}");
    let here = world.run(&["approvals", "show", id, "--format", "json"]).1;
    assert_eq!(shown, here, "the same as in the home");
    for person in ["ana", "carl"] {
        let (code, out, err) = run(person, &["approvals", "approve", id, "--why", "looked at it"]);
        assert_eq!(code, Some(0), "{out} {err}");
    }
    let (code, _, err) = run("ana", &["approvals", "deny", id, "--why", "too late"]);
    assert!(code == Some(1) && err.contains("it takes no more answers"), "{err}");
    let (code, out, err) = run("ana", &["approvals", "revoke", id, "--why", "paid by hand"]);
    assert!(code == Some(0) && out.contains("revoked"), "{err}");

    let key = world.key("ana");
    let with = ["--key", key.to_str().unwrap()];
    for (args, told) in [
        (&["approvals", "list", "--as", "carl"][..], "is the key of `ana`, not of `carl`"),
        (&["approvals", "list", "--as", "ana", "--at", "http://approvals.example"], "--plain-http"),
        (&["approvals", "list", "--as", "ana", "--at", "https://approvals.example/x"], "leave out the path"),
    ] {
        let (code, _, err) = run("ana", &[args, &with].concat());
        assert!(code == Some(2) && err.contains(told), "{code:?} {err}");
    }
    assert!(!elsewhere.exists(), "nothing of a home is needed, or made");
    assert!(client.close().success());
    let me = served.open(world.device("ana"));
    assert_eq!(me.seen(&format!("/v1/approvals/{id}"))["approval"]["state"], "revoked");
    served.stop();
    assert!(world.effects().is_empty());
    world.0.assert_verified();
}

#[test]
fn what_is_asked_is_edited_taken_back_and_granted_for_good_from_elsewhere() {
    let people = PEOPLE.replace("[group]", &format!("[person.rita]\nalso = [\"{}\"]\n[group]", user()));
    let world = Gated::with("console-more", MISSION, &people);
    world.enrol(&["ana", "bea", "carl", "rita"]);
    let served = world.serve();
    let at = format!("http://{}", served.address);
    let run = |person: &str, args: &[&str]| world.run_elsewhere(&at, person, args);
    let mut client = world.open();
    let pays = |amount: u32| json!({ "key": "rent", "amount": amount });

    // Whoever the agent acts for takes it back, and nobody else.
    assert_eq!(said(&client.call(1, "effect", pays(900))), pending());
    let id = world.asked();
    let (code, _, err) = run("ana", &["approvals", "release", &id, "--why", "not needed"]);
    assert!(code == Some(1) && err.contains("the agent acts for"), "{code:?} {err}");
    let (code, out, err) = run("rita", &["approvals", "release", &id, "--why", "not needed"]);
    assert!(code == Some(0) && out.contains("withdrawn"), "{out} {err}");

    assert_eq!(said(&client.call(2, "effect", pays(900))), pending());
    let id = world.asked();
    let arguments = ["--arguments", r#"{"key":"rent","amount":800}"#, "--why", "800 is in the lease"];
    let (code, out, err) = run("bea", &[&["approvals", "edit", &id], arguments.as_slice()].concat());
    assert!(code == Some(0) && out.contains("is edited"), "{out} {err}");
    assert_eq!(said(&client.call(3, "effect", pays(900))), denied("approval_edited"));
    let (_, shown, _) = run("ana", &["approvals", "show", &id, "--format", "json"]);
    assert_eq!(serde_json::from_str::<Value>(&shown).unwrap()["proposed"], r#"{"key":"rent","amount":800}"#);

    let file = world.0.scratch.join("grant.toml");
    let file = file.to_str().unwrap();
    std::fs::write(file, GRANT.replace("uses    = 3", "uses    = 6")).unwrap();
    let (code, _, err) = run("ana", &["approvals", "grant", file]);
    assert!(code == Some(1) && err.contains("5 calls at most"), "{code:?} {err}");
    std::fs::write(file, GRANT).unwrap();
    let (code, out, err) = run("ana", &["approvals", "grant", file]);
    assert_eq!(code, Some(0), "{err}");
    let grant = out.split(' ').next().unwrap();
    let (code, _, err) = run("ana", &["approvals", "approve", grant, "--why", "mine"]);
    assert!(code == Some(1) && err.contains("asks for the standing grant"), "{err}");
    for person in ["bea", "carl"] {
        let (code, _, err) = run(person, &["approvals", "approve", grant, "--why", "the lease"]);
        assert_eq!(code, Some(0), "{err}");
    }
    assert_eq!(said(&client.call(4, "effect", pays(700))).0, "none");
    let me = served.open(world.device("ana"));
    let seen = me.seen(&format!("/v1/approvals/{grant}"));
    assert_eq!((&seen["approval"]["standing_grant"], &seen["approval"]["used"]), (&json!("rent"), &json!(1)));
    assert!(client.close().success());
    served.stop();
    assert_eq!(world.effects().len(), 1);
    world.0.assert_verified();
}

#[test]
fn a_value_is_endorsed_and_withdrawn_from_elsewhere() {
    let world = Gated::with("console-endorse", endorse::MISSION, PEOPLE);
    world.enrol(&["ana", "bea", "carl"]);
    let served = world.serve();
    let at = format!("http://{}", served.address);
    let run = |person: &str, args: &[&str]| world.run_elsewhere(&at, person, args);
    let mut client = world.open();
    let pays = |amount: u32| json!({ "key": endorse::VALUE, "amount": amount });
    assert_eq!(said(&client.call(1, "effect", pays(1))), pending());
    let args = [&endorse::ENDORSE[..], &["--why", "ACME, checked by telephone."]].concat();
    let (code, out, err) = world.run_elsewhere_with(&at, "ana", &args, &format!("{}\n", endorse::VALUE));
    assert_eq!(code, Some(0), "{err}");
    let endorsement = out.split(' ').next().unwrap();
    let (code, _, err) = run("ana", &["approvals", "approve", endorsement, "--why", "mine"]);
    assert!(code == Some(1) && err.contains("asks for the standing grant"), "{err}");
    for person in ["bea", "carl"] {
        let (code, _, err) = run(person, &["approvals", "approve", endorsement, "--why", "I have called them"]);
        assert_eq!(code, Some(0), "{err}");
    }
    assert_eq!(said(&client.call(2, "effect", pays(2))).0, "none");
    let (_, listed, err) = run("ana", &["endorsements", "--json"]);
    let listed: Value = serde_json::from_str(&listed).unwrap_or_else(|error| panic!("{error}: {listed} {err}"));
    assert_eq!((&listed["approval"], &listed["endorses"]), (&json!(endorsement), &json!("key")));
    let (code, _, err) = run("bea", &["endorse", "--withdraw", endorsement, "--why", "ACME has a new bank"]);
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(said(&client.call(3, "effect", pays(3))), pending());
    assert!(client.close().success());
    served.stop();
    assert_eq!(world.effects().len(), 1);
    world.0.assert_verified();
}

#[test]
fn nobody_comes_in_without_a_session_that_stands() {
    let world = Gated::new("console-door");
    world.enrol(&["ana", "carl"]);
    let served = world.serve();
    let (ana, carl) = (world.device("ana"), world.device("carl"));

    // Another's key, another gateway, a challenge that was used, or was given to somebody else.
    let challenge = served.challenge("ana");
    let good = served.login(&ana, &challenge);
    let mut forged = good.clone();
    forged["signature"] = served.login(&carl, &challenge)["signature"].clone();
    let elsewhere = opening("https://evil.example", &challenge, &ana.id(), "ana");
    let mut relayed = good.clone();
    relayed["signature"] = json!(ana.sign(&elsewhere));
    let others = served.login(&carl, &challenge);
    for login in [&forged, &relayed, &others] {
        let came = served.post("/v1/sessions", "", login);
        assert_eq!((came.status, &came.body["code"]), (403, &json!("login_refused")), "{came:?}");
    }
    let came = served.post("/v1/sessions", "", &good);
    assert_eq!(came.status, 201, "{came:?}");
    let session = Person { token: came.body["token"].as_str().unwrap().to_owned(), key: ana, served: &served };
    assert_eq!(served.post("/v1/sessions", "", &good).status, 403, "a challenge serves once");

    // Behind a proxy, the audience is the name that the proxy passes on.
    let challenge = served.challenge("carl");
    let signature = carl.sign(&opening("https://approvals.example", &challenge, &carl.id(), "carl"));
    let login = json!({ "challenge": challenge, "key": carl.id(), "person": "carl", "signature": signature });
    let proxied = served.post("/v1/sessions", "Host: approvals.example\r\n", &login);
    assert_eq!(proxied.status, 201, "{proxied:?}");

    let (code, token, err) = world.run(&[
        "run",
        "start",
        "--mission",
        world.0.scratch.join("mission.toml").to_str().unwrap(),
        "--agent",
        "bot",
        "--initiator",
        "tester",
        "--format",
        "token",
    ]);
    assert_eq!(code, Some(0), "{err}");
    let bearer = |token: &str| format!("Authorization: Bearer {}\r\n", token.trim());
    let mine = session.authorization();
    let (agent, unknown) = (bearer(&token), bearer("csc_0123456789"));
    for (head, headers, status, code) in [
        ("GET /v1/me", "", 401, "session_required"),
        ("GET /v1/openapi.json", "", 401, "session_required"),
        ("GET /v1/events", "", 401, "session_required"),
        ("GET /v1/approvals", agent.as_str(), 401, "session_required"),
        ("GET /v1/approvals", &unknown, 401, "session_required"),
        ("GET /v1/approvals?limit=0", &mine, 400, "request_unfit"),
        ("GET /v1/approvals?limit=201", &mine, 400, "request_unfit"),
        ("GET /v1/approvals?colour=red", &mine, 400, "request_unfit"),
        ("GET /v1/approvals?mine=true&mine=false", &mine, 400, "request_unfit"),
        ("GET /v1/approvals/1", &mine, 400, "request_unfit"),
        ("GET /v1/nothing", &mine, 404, "not_found"),
        ("PUT /v1/me", &mine, 405, "method_not_allowed"),
        ("GET /v1/me", &format!("Host: evil.example\r\n{mine}"), 403, "foreign"),
        ("GET /v1/me", &format!("Origin: https://evil.example\r\n{mine}"), 403, "foreign"),
        ("POST /v1/sessions", "Content-Type: text/plain\r\n", 415, "unsupported_media_type"),
    ] {
        let came = served.ask(head, headers, "");
        assert_eq!((came.status, &came.body["code"]), (status, &json!(code)), "{head} {headers}: {came:?}");
        assert!(came.head.contains("content-type: application/problem+json"), "{}", came.head);
        assert!(came.head.contains("content-security-policy: default-src 'none'"), "{}", came.head);
        assert!(!came.body["mend"].as_str().unwrap().is_empty());
    }
    let large = served.post("/v1/sessions", "", &json!({ "person": "x".repeat(console::limits::BODY_BYTES_MAX) }));
    assert_eq!((large.status, &large.body["code"]), (413, &json!("body_too_large")));
    assert_eq!(served.ask("GET /v1/me", &format!("Origin: https://page.example\r\n{mine}"), "").status, 200);
    assert_eq!(served.ask("GET /health", "Host: whatever\r\n", "").status, 200);

    // Streams are counted, and end with the session.
    let mut streams: Vec<_> = (0..4).map(|_| session.listen()).collect();
    assert_eq!(session.get("/v1/events").status, 429);
    let key = session.key.id();
    let (code, _, err) = world.run(&["people", "revoke", "ana", &key, "--why", "the laptop is lost"]);
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(session.get("/v1/me").status, 401, "a revoked key ends its sessions");
    for stream in &mut streams {
        assert_eq!(heard(stream, "data: {\"a"), "", "and their streams");
    }
    let carl = Person { token: proxied.body["token"].as_str().unwrap().to_owned(), key: carl, served: &served };
    assert_eq!(carl.get("/v1/me").status, 200);
    assert_eq!(served.ask("DELETE /v1/sessions/current", &carl.authorization(), "").status, 204);
    assert_eq!(carl.get("/v1/me").status, 401);
    served.stop();

    let exceptions = world.0.records("type:exception_record kind:access");
    let reasons: Vec<_> = exceptions
        .iter()
        .filter_map(|record| match &record.body {
            Body::Exception(exception) if exception.kind == ExceptionKind::Access => Some(exception),
            _ => None,
        })
        .map(|exception| (exception.scope.as_str(), exception.reason.as_str()))
        .collect();
    for (scope, reason) in [
        ("person:ana", "a session was not opened: the signature is not of this challenge"),
        ("person:ana", "a session was not opened: the challenge has opened a session before"),
        ("person:carl", "a session was not opened: the challenge is not one"),
        ("console", "the token is an agent's"),
        ("console", "by a name that is not the console's"),
    ] {
        assert!(reasons.iter().any(|(at, why)| *at == scope && why.contains(reason)), "{reason}: {reasons:#?}");
    }
    world.0.assert_verified();
}

#[test]
fn content_is_opened_over_http_by_those_whom_the_organisation_names() {
    let world = Gated::new("console-content");
    let organisation =
        "organisation = \"corp\"\nwhy = \"Keep.\"\n[capture]\ndefault = \"sealed\"\nreaders = \"leads\"\n";
    std::fs::write(world.0.scratch.join("home/organisation.toml"), organisation).unwrap();
    world.enrol(&["ana", "carl"]);
    let served = world.serve();
    let (ana, carl) = (served.open(world.device("ana")), served.open(world.device("carl")));
    let mut client = world.open();
    assert_eq!(said(&client.call(1, "effect", json!({ "key": "one" }))), pending());
    let kept = || {
        let folders = std::fs::read_dir(world.0.scratch.join("home/content")).into_iter().flatten();
        folders.flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap()).count()
    };
    let left = testkit::wait::until("nothing is left of a call that waits", PATIENCE, || match kept() {
        0 => Ok(()),
        some => Err(some.to_string()),
    });
    left.unwrap();
    let [id] = ana.listed("state=open").try_into().unwrap_or_else(|other| panic!("{other:?}"));
    let shown = ana.seen(&format!("/v1/approvals/{id}"));
    for person in [&ana, &carl] {
        assert_eq!(person.review(&id, &person.answer(&shown, Answer::Approve)).status, 201);
    }
    assert_eq!(said(&client.call(2, "effect", json!({ "key": "one" }))).0, "none");
    assert_eq!((kept(), world.effects().len()), (2, 1));
    let call = world.0.records("type:action_record")[0].correlation.call.unwrap();
    let path = format!("/v1/calls/{call}/openings");
    let open = |person: &Person<'_>, path: &str, body: Value| served.post(path, &person.authorization(), &body);
    let came = open(&carl, &path, json!({ "why": "curious" }));
    assert_eq!((came.status, &came.body["code"]), (403, &json!("not_reader")), "{came:?}");
    for (path, body, status, code) in [
        (&*path, json!({ "why": " " }), 400, "request_unfit"),
        (&path, json!({ "why": "x", "content": "delivered" }), 404, "content_unkept"),
        ("/v1/calls/0193b5a2-6f1e-7cc3-98c4-dc0c0c07398f/openings", json!({ "why": "x" }), 404, "content_unkept"),
    ] {
        let came = open(&ana, path, body);
        assert_eq!((came.status, &came.body["code"]), (status, &json!(code)), "{came:?}");
    }
    let came = open(&ana, &path, json!({ "why": "a complaint", "content": "arguments" }));
    assert_eq!(came.status, 201, "{came:?}");
    let [opened] = came.body["contents"].as_array().unwrap().as_slice() else { panic!("{came:?}") };
    assert_eq!((&opened["text"], &opened["is_redacted"]), (&json!(r#"{"key":"one"}"#), &json!(false)));
    let accesses = world.0.records("type:evidence_access");
    let [access] = accesses.as_slice() else { panic!("{accesses:?}") };
    let Body::Access(told) = &access.body else { panic!("{access:?}") };
    assert_eq!((&*told.channel, &*told.who, &*told.why), ("api", "ana", "a complaint"));
    assert_eq!((access.correlation.call, access.links.len()), (Some(call), 1));
    assert!(client.close().success());
    served.stop();
    world.0.assert_verified();
}
