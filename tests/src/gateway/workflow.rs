//! Steps of automations, against the real gateway over HTTP: let go ahead, asked about with real keys, reported, closed as unknown; and everything that must not get through.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use evidence::record::{ActionEvent, ActionRecord, Body, EffectClass, ExceptionEvent, ExceptionKind, Status};
use serde_json::{Value, json};
use testkit::governed::{Home, Served};
use testkit::scratch::Scratch;

use super::bridges::{PATIENCE, binary};

const MISSION: &str = r#"
mission = "ship"
goal = "Ship the shop."
owner = "olga@corp.example"
agents = ["pipeline"]
until = 2099-01-01
why = "First version."
pins = "strict"
[allow.workflow.shop]
report_within = "REPORT"
build = {}
[allow.workflow.shop.deploy]
version = { pattern = "[0-9]+[.][0-9]+" }
share = { min = 1, max = 100, per_run = 250 }
[effect.workflow.shop]
build = "write"
deploy = "admin"
[danger.wide]
when = "workflow:shop/deploy"
over = { share = 10 }
gate = "release"
[gate.release]
group = "managers"
respond_by = "1h"
grant = "10m"
"#;

const PEOPLE: &str = "why = \"First version.\"\n[person.ana]\n[person.bea]\n[group]\nmanagers = [\"ana\", \"bea\"]\n";

const PASSPHRASE: &str = "correct horse";

/// An automation with its run, at a gateway that knows no MCP server at all.
struct Pipeline {
    home: Home,
    scratch: Scratch,
    served: Served,
    token: String,
}

/// A response.
#[derive(Debug)]
struct Answer {
    body: Value,
    head: String,
    status: u16,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| {
            let (known, value) = line.split_once(':')?;
            known.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    fn text(&self, field: &str) -> &str {
        self.body[field].as_str().unwrap_or_else(|| panic!("no `{field}` in {self:?}"))
    }

    /// The call that may go ahead.
    fn call(&self) -> String {
        assert_eq!((self.status, self.text("state")), (200, "approved"), "{self:?}");
        self.text("call").to_owned()
    }
}

/// Sends these bytes and reads the response to its end.
fn exchange(address: SocketAddr, request: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request).unwrap();
    let mut read = Vec::new();
    stream.read_to_end(&mut read).unwrap();
    let text = String::from_utf8(read).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no response: {text}"));
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let body = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {text}"));
    Answer { body, head: head.to_owned(), status }
}

impl Pipeline {
    fn new(name: &str) -> Self {
        Self::reporting_within(name, "1h")
    }

    fn reporting_within(name: &str, within: &str) -> Self {
        let scratch = Scratch::new(name).unwrap();
        let home = Home::new(&binary("countersign"), scratch.path()).unwrap();
        std::fs::write(home.mission(), MISSION.replace("REPORT", within)).unwrap();
        std::fs::create_dir_all(home.path()).unwrap();
        std::fs::set_permissions(home.path(), std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        std::fs::write(home.path().join("people.toml"), PEOPLE).unwrap();
        std::fs::write(
            scratch.join("countersign.toml"),
            "[listen]\nconsole = \"127.0.0.1:0\"\ngateway = \"127.0.0.1:0\"\n[missions]\ndir = \"missions\"\n",
        )
        .unwrap();
        let served = home.serve().unwrap();
        let token = Self::start(&home);
        Self { home, scratch, served, token }
    }

    /// The token of a new run.
    fn start(home: &Home) -> String {
        let mut command =
            home.command(&["run", "start", "--agent", "pipeline", "--initiator", "ci@corp.example"]).unwrap();
        let out = command.args(["--format", "token", "--mission"]).arg(home.mission()).output().unwrap();
        assert!(out.status.success(), "{}", home.said());
        String::from_utf8(out.stdout).unwrap().trim().to_owned()
    }

    fn head(&self, method: &str, path: &str) -> String {
        let (host, token) = (self.served.addr, &self.token);
        format!("{method} {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\nAuthorization: Bearer {token}\r\n")
    }

    fn request(&self, path: &str, body: &str) -> String {
        let head = self.head("POST", path);
        format!("{head}Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
    }

    fn post(&self, path: &str, body: &str) -> Answer {
        exchange(self.served.addr, self.request(path, body).as_bytes())
    }

    fn get(&self, path: &str) -> Answer {
        exchange(self.served.addr, format!("{}\r\n", self.head("GET", path)).as_bytes())
    }

    fn ask(&self, action: &str, arguments: &Value, wait_s: u64) -> Answer {
        let body = json!({ "engine": "shop", "action": action, "arguments": arguments, "wait_s": wait_s });
        self.post("/v1/approvals", &body.to_string())
    }

    fn report(&self, call: &str, body: &Value) -> Answer {
        self.post(&format!("/v1/calls/{call}/outcome"), &body.to_string())
    }

    fn run(&self, args: &[&str]) -> (Option<i32>, String, String) {
        let mut command = self.home.command(args).unwrap();
        let output = command.env("COUNTERSIGN_PASSPHRASE", PASSPHRASE).stderr(Stdio::piped()).output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        (output.status.code(), text(output.stdout), text(output.stderr))
    }

    fn key(&self, person: &str) -> PathBuf {
        self.scratch.join(&format!("{person}.key"))
    }

    /// Gives a person a device key, which nobody else confirms.
    fn enrol(&self, person: &str) {
        let (code, invitation, err) = self.run(&["people", "invite", person]);
        assert_eq!(code, Some(0), "{err}");
        let key = self.key(person);
        let key = key.to_str().unwrap();
        let (code, id, err) = self.run(&["people", "enrol", person, "--code", invitation.trim(), "--key", key]);
        assert_eq!(code, Some(0), "{err}");
        let confirmed = self.run(&["people", "confirm", person, id.trim(), "--why", "seen in person"]);
        assert_eq!(confirmed.0, Some(0), "{}", confirmed.2);
    }

    fn say(&self, answer: &str, approval: &str, person: &str) {
        let key = self.key(person);
        let said = self.run(&["approvals", answer, approval, "--why", "looked at it", "--key", key.to_str().unwrap()]);
        assert_eq!(said.0, Some(0), "{}", said.2);
    }

    fn records(&self, filter: &str) -> Vec<Body> {
        let mut records = Vec::new();
        let each = |line: &str| {
            records.push(evidence::record::read(line.as_bytes())?.body);
            Ok(())
        };
        self.home.audit(filter, each).unwrap();
        records
    }

    /// The outcomes, in order.
    fn outcomes(&self) -> Vec<ActionRecord> {
        let outcome = |body| match body {
            Body::Action(action) if action.event == ActionEvent::Outcome => Some(action),
            _ => None,
        };
        self.records("type:action_record").into_iter().filter_map(outcome).collect()
    }

    /// The reasons of the exceptions about unknown outcomes.
    fn unknown(&self) -> Vec<String> {
        let opened = |body| match body {
            Body::Exception(exception)
                if exception.event == ExceptionEvent::Opened && exception.kind == ExceptionKind::UnknownOutcome =>
            {
                Some(exception.reason)
            }
            _ => None,
        };
        self.records("type:exception_record").into_iter().filter_map(opened).collect()
    }

    /// Stops the gateway in order, and holds what it left to be sound.
    fn end(mut self) {
        self.served.process.stop(PATIENCE).unwrap();
        self.home.verify().unwrap();
    }
}

fn wide() -> Value {
    json!({ "version": "2.14", "share": 100 })
}

#[test]
fn a_step_that_nobody_must_approve_goes_ahead_and_its_end_is_what_was_reported() {
    let pipeline = Pipeline::new("workflow-free");
    let done = pipeline.ask("build", &json!({ "commit": "5f0e2c1" }), 0);
    let call = done.call();
    assert_eq!(done.body["approval"], Value::Null);
    assert!(done.text("report_by").ends_with('Z'));
    assert!(pipeline.outcomes().is_empty(), "the intent alone is recorded while the automation works");
    let report = json!({ "status": "done", "reference": "build/77", "note": "all green" });
    let closed = pipeline.report(&call, &report);
    assert_eq!((closed.status, closed.body), (200, json!({ "call": call, "status": "done" })));

    // The first report stands, now and when it is long closed.
    let again = pipeline.report(&call, &json!({ "status": "failed" }));
    assert_eq!(again.status, 409, "{again:?}");
    assert!(again.text("detail").contains("closed as `done`"), "{again:?}");

    let failed = pipeline.ask("build", &json!({}), 0).call();
    assert_eq!(pipeline.report(&failed, &json!({ "status": "failed" })).status, 200);
    let not = pipeline.ask("deploy", &json!({ "version": "2.14", "share": 10 }), 0).call();
    assert_eq!(pipeline.report(&not, &json!({ "status": "not_executed" })).status, 200);

    let outcomes = pipeline.outcomes();
    let statuses: Vec<_> = outcomes.iter().map(|outcome| outcome.status.unwrap()).collect();
    assert_eq!(statuses, [Status::Done, Status::ToolError, Status::NotExecuted]);
    let first = &outcomes[0];
    let reported = first.reported.as_ref().unwrap();
    assert_eq!((&*reported.by, reported.note.as_deref()), ("pipeline", Some("all green")));
    assert_eq!(first.external_reference.as_deref(), Some("build/77"));
    assert_eq!(first.tool.to_string(), "workflow:shop/build");
    assert_eq!(first.effect_class, EffectClass::Write);
    assert!(outcomes.iter().all(|outcome| outcome.reported.is_some() && outcome.result_sha256.is_some()));
    // What an agent says was not done stays counted: 10 of 250, and so 241 more are too much.
    assert!(outcomes[2].counted.is_empty(), "{:?}", outcomes[2]);
    assert!(pipeline.unknown().is_empty());
    pipeline.end();
}

#[test]
fn a_step_waits_for_a_person_and_goes_ahead_once() {
    let pipeline = Pipeline::new("workflow-approve");
    pipeline.enrol("ana");
    let asked = pipeline.ask("deploy", &wide(), 0);
    assert_eq!((asked.status, asked.text("state")), (202, "pending"), "{asked:?}");
    assert_eq!(asked.body["gates"], json!(["release"]));
    let approval = asked.text("approval").to_owned();
    let address = format!("/v1/approvals/{approval}");
    assert_eq!((asked.header("location"), asked.header("retry-after")), (Some(address.as_str()), Some("10")));

    // An identical question joins; another argument is another question, and so is one other byte in the same arguments.
    assert_eq!(pipeline.ask("deploy", &wide(), 0).text("approval"), approval);
    let spaced = r#"{"engine":"shop","action":"deploy","arguments":{"version":"2.14", "share":100}}"#;
    assert_ne!(pipeline.post("/v1/approvals", spaced).text("approval"), approval);
    let other = pipeline.ask("deploy", &json!({ "version": "2.15", "share": 100 }), 0);
    assert_ne!(other.text("approval"), approval);

    let (code, shown, err) = pipeline.run(&["approvals", "show", &approval, "--format", "json"]);
    assert_eq!(code, Some(0), "{err}");
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["shown"]["tool"], "workflow:shop/deploy", "{shown}");
    assert_eq!(shown["shown"]["arguments"], r#"{"version":"2.14","share":100}"#);

    let seen = pipeline.get(&address);
    assert_eq!((seen.status, seen.text("state")), (200, "pending"), "{seen:?}");
    // Who asks about it waits as long as nobody has answered.
    let before = Instant::now();
    assert_eq!(pipeline.get(&format!("{address}?wait_s=1")).text("state"), "pending");
    assert!(before.elapsed() >= Duration::from_secs(1));
    let waiting = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| pipeline.get(&format!("{address}?wait_s=45")));
        pipeline.say("approve", &approval, "ana");
        waiting.join().unwrap()
    });
    assert_eq!(waiting.text("state"), "approved", "{waiting:?}");
    assert!(waiting.text("not_after").ends_with('Z'));

    let go_ahead = pipeline.ask("deploy", &wide(), 0);
    assert_eq!(go_ahead.text("approval"), approval);
    let call = go_ahead.call();
    // While it is open, the same step does not go ahead again, and asks nobody.
    let open = pipeline.ask("deploy", &wide(), 0);
    assert_eq!((open.status, open.text("state"), open.text("reason")), (409, "open", "outcome_awaited"), "{open:?}");
    assert_eq!(pipeline.get(&address).text("state"), "used");
    assert_eq!(pipeline.report(&call, &json!({ "status": "done" })).status, 200);
    // Once it is reported, the same step is another question.
    let anew = pipeline.ask("deploy", &wide(), 0);
    assert_eq!(anew.status, 202, "{anew:?}");
    assert_ne!(anew.text("approval"), approval);

    // The question that waits in the request itself is answered there.
    let approval = anew.text("approval").to_owned();
    let go_ahead = std::thread::scope(|scope| {
        let waiting = scope.spawn(|| pipeline.ask("deploy", &wide(), 45));
        pipeline.say("approve", &approval, "ana");
        waiting.join().unwrap()
    });
    assert_eq!(go_ahead.text("approval"), approval);
    assert_eq!(pipeline.report(&go_ahead.call(), &json!({ "status": "done" })).status, 200);
    assert_eq!(pipeline.outcomes().len(), 2);
    pipeline.end();
}

#[test]
fn a_step_is_denied_by_a_rule_by_a_person_and_by_a_limit() {
    let pipeline = Pipeline::new("workflow-deny");
    pipeline.enrol("ana");
    for (action, arguments, reason) in [
        ("deploy", json!({ "version": "main", "share": 5 }), "argument_out_of_bounds"),
        ("deploy", json!({ "share": 5 }), "argument_missing"),
        ("deploy", json!({ "version": "2.14", "share": 5, "force": true }), "argument_not_listed"),
        ("drop_database", json!({}), "tool_not_allowed"),
    ] {
        let denied = pipeline.ask(action, &arguments, 0);
        assert_eq!((denied.status, denied.text("state"), denied.text("reason")), (403, "denied", reason), "{denied:?}");
        assert_eq!(denied.header("content-type"), Some("application/problem+json"));
        assert!(!denied.text("detail").is_empty());
    }
    let elsewhere = pipeline.post("/v1/approvals", r#"{"engine":"cron","action":"build"}"#);
    assert_eq!((elsewhere.status, elsewhere.text("reason")), (403, "tool_not_allowed"), "{elsewhere:?}");

    let asked = pipeline.ask("deploy", &wide(), 0);
    pipeline.say("deny", asked.text("approval"), "ana");
    let denied = pipeline.ask("deploy", &wide(), 0);
    assert_eq!((denied.status, denied.text("reason")), (403, "approval_denied"), "{denied:?}");
    assert_eq!(pipeline.get(&format!("/v1/approvals/{}", asked.text("approval"))).text("state"), "denied");

    for version in 0..25 {
        let call = pipeline.ask("deploy", &json!({ "version": format!("1.{version}"), "share": 10 }), 0).call();
        assert_eq!(pipeline.report(&call, &json!({ "status": "not_executed" })).status, 200);
    }
    // An agent cannot talk itself out of a limit.
    let limited = pipeline.ask("deploy", &json!({ "version": "1.99", "share": 1 }), 0);
    assert_eq!((limited.status, limited.text("reason")), (403, "limit_reached"), "{limited:?}");
    pipeline.end();
}

#[test]
fn only_the_run_itself_sees_its_approvals_and_reports_its_steps() {
    let mut pipeline = Pipeline::new("workflow-foreign");
    let asked = pipeline.ask("deploy", &wide(), 0);
    let call = pipeline.ask("build", &json!({}), 0).call();
    let own = std::mem::replace(&mut pipeline.token, Pipeline::start(&pipeline.home));
    let address = format!("/v1/approvals/{}", asked.text("approval"));
    let unknown = pipeline.get(&address);
    assert_eq!(unknown.status, 404, "{unknown:?}");
    assert_eq!(pipeline.report(&call, &json!({ "status": "done" })).status, 404);
    // The same step of another run is another question.
    assert_ne!(pipeline.ask("deploy", &wide(), 0).text("approval"), asked.text("approval"));
    pipeline.token = own;
    assert_eq!(pipeline.get(&address).text("state"), "pending");
    // A run that has ended asks nothing more, and still says what became of its step.
    let (_, listed, _) = pipeline.run(&["run", "list", "--format", "json"]);
    for line in listed.lines() {
        let run: Value = serde_json::from_str(line).unwrap();
        assert_eq!(pipeline.run(&["run", "end", run["run"].as_str().unwrap(), "--why", "over"]).0, Some(0));
    }
    assert_eq!(pipeline.ask("build", &json!({}), 0).status, 401);
    assert_eq!(pipeline.report(&call, &json!({ "status": "done" })).status, 200);
    assert_eq!(pipeline.outcomes().len(), 1);
    pipeline.end();
}

#[test]
fn what_nobody_reports_is_unknown_with_an_exception() {
    let pipeline = Pipeline::reporting_within("workflow-silent", "1s");
    let call = pipeline.ask("build", &json!({}), 0).call();
    let end = testkit::wait::until("its end", PATIENCE, || match pipeline.outcomes().as_slice() {
        [one] => Ok((one.status, one.reason.as_deref() == Some("not_reported"))),
        other => Err(format!("{other:?}")),
    });
    assert_eq!(end.unwrap(), (Some(Status::Unknown), true));
    let late = pipeline.report(&call, &json!({ "status": "done" }));
    assert_eq!(late.status, 409, "{late:?}");
    assert!(late.text("detail").contains("closed as `unknown`"), "{late:?}");
    let unknown = pipeline.unknown();
    assert_eq!(unknown.len(), 1);
    assert!(unknown[0].contains("`workflow:shop/build` was let go ahead"), "{unknown:?}");
    assert!(pipeline.outcomes()[0].reported.is_none(), "nobody said anything");
    pipeline.end();
}

#[test]
fn a_gateway_that_dies_or_stops_leaves_no_step_open_and_forgets_no_question() {
    let mut pipeline = Pipeline::new("workflow-crash");
    pipeline.enrol("ana");
    let asked = pipeline.ask("deploy", &wide(), 0);
    let lost = pipeline.ask("build", &json!({}), 0).call();
    pipeline.served.process.kill().unwrap();
    pipeline.served = pipeline.home.serve().unwrap();
    let late = pipeline.report(&lost, &json!({ "status": "done" }));
    assert_eq!(late.status, 409, "{late:?}");
    let outcomes = pipeline.outcomes();
    assert_eq!((outcomes[0].status, outcomes[0].reason.as_deref()), (Some(Status::Unknown), Some("gateway_died")));
    assert_eq!(pipeline.unknown().len(), 1);

    // The question is where it was, and goes on.
    let approval = asked.text("approval").to_owned();
    assert_eq!(pipeline.get(&format!("/v1/approvals/{approval}")).text("state"), "pending");
    pipeline.say("approve", &approval, "ana");
    let open = pipeline.ask("deploy", &wide(), 0);
    assert_eq!(open.text("approval"), approval);
    let open = open.call();

    // Stopped in order, what is open is closed as unknown at once.
    pipeline.served.process.stop(PATIENCE).unwrap();
    pipeline.served = pipeline.home.serve().unwrap();
    let outcomes = pipeline.outcomes();
    assert_eq!((outcomes[1].status, outcomes[1].reason.as_deref()), (Some(Status::Unknown), Some("gateway_stopping")));
    assert_eq!(pipeline.unknown().len(), 2);
    assert_eq!(pipeline.report(&open, &json!({ "status": "done" })).status, 409);
    pipeline.end();
}

#[test]
fn an_automation_that_leaves_while_it_waits_uses_nothing() {
    let pipeline = Pipeline::new("workflow-leave");
    pipeline.enrol("ana");
    let approval = pipeline.ask("deploy", &wide(), 0).text("approval").to_owned();
    let body = json!({ "engine": "shop", "action": "deploy", "arguments": wide(), "wait_s": 45 }).to_string();
    let mut gone = TcpStream::connect(pipeline.served.addr).unwrap();
    gone.write_all(pipeline.request("/v1/approvals", &body).as_bytes()).unwrap();
    // It is taken up once its decision is recorded, and then it waits.
    testkit::wait::until("its decision", PATIENCE, || match pipeline.records("type:decision_record").len() {
        2 => Ok(()),
        count => Err(count.to_string()),
    })
    .unwrap();
    drop(gone);
    pipeline.say("approve", &approval, "ana");
    let seen = pipeline.get(&format!("/v1/approvals/{approval}"));
    assert_eq!(seen.text("state"), "approved", "nobody used it: {seen:?}");
    assert!(pipeline.records("type:action_record").is_empty());
    let call = pipeline.ask("deploy", &wide(), 0).call();
    assert_eq!(pipeline.report(&call, &json!({ "status": "done" })).status, 200);
    pipeline.end();
}

#[test]
fn what_is_not_of_its_form_is_refused_and_leaves_no_step() {
    let pipeline = Pipeline::new("workflow-hostile");
    let good = r#"{"engine":"shop","action":"build","arguments":{"a":1}}"#;
    for (body, says) in [
        (r#"{"engine":"shop","action":"build","action":"deploy"}"#, "duplicate object key"),
        (r#"{"engine":"shop","action":"build","arguments":{"a":1,"\u0061":2}}"#, "duplicate object key"),
        (r#"{"engine":"shop","action":"build","arguments":[1]}"#, "`arguments` is an object"),
        (r#"{"engine":"shop","action":"build","arguments":null}"#, "`arguments` is an object"),
        (r#"{"engine":"shop","action":"build","wait_s":46}"#, "`wait_s` is at most 45"),
        (r#"{"engine":"shop","action":"build","wait_s":-1}"#, "says something else"),
        (r#"{"engine":"../shop","action":"build"}"#, "`engine` is not the name"),
        (r#"{"engine":"shop","action":""}"#, "`action` has 1 to"),
        (r#"{"engine":"shop","action":"build","approval":"x"}"#, "unknown field `approval`"),
        (r#"{"engine":"shop"}"#, "missing field `action`"),
        ("", "text ends early"),
        ("[]", "says something else"),
    ] {
        let refused = pipeline.post("/v1/approvals", body);
        assert_eq!(refused.status, 400, "{body}: {refused:?}");
        assert!(refused.text("detail").contains(says), "{body}: {refused:?}");
    }
    let request = pipeline.request("/v1/approvals", good);
    let large = format!(r#"{{"engine":"shop","action":"build","arguments":{{"a":"{}"}}}}"#, "x".repeat(70_000));
    for (request, status, says) in [
        (request.replace("Host: ", "Host: evil.example\r\nX-Was: "), 403, "not called `evil.example`"),
        (request.replace("Connection", "Origin: https://evil.example\r\nConnection"), 403, "pages of this origin"),
        (request.replace(&pipeline.token, "cst_0123456789"), 401, "not known here"),
        (request.replace("Authorization: Bearer", "X-Was:"), 401, "send the run's token"),
        (request.replace("/v1/approvals", "/v1/approvals?access_token=x"), 400, "a token in the address"),
        (request.replace("application/json", "text/plain"), 415, "application/json"),
        (request.replace("POST ", "PUT "), 405, "use POST"),
        (request.replace("/v1/approvals", "/v1/elsewhere"), 404, "POST /v1/approvals"),
        (pipeline.request("/v1/approvals", &large), 413, "larger than 65536 bytes"),
        (
            pipeline.request("/v1/calls/0199b7a0-0000-7000-8000-000000000000/outcome", r#"{"status":"done"}"#),
            404,
            "no step",
        ),
        (
            pipeline.request("/v1/calls/0199b7a0-0000-7000-8000-000000000000/outcome", r#"{"status":"great"}"#),
            400,
            "`status` is",
        ),
    ] {
        let refused = exchange(pipeline.served.addr, request.as_bytes());
        assert_eq!(refused.status, status, "{request}: {refused:?}");
        assert!(refused.text("detail").contains(says), "{refused:?}");
        assert_eq!(refused.header("content-type"), Some("application/problem+json"));
    }
    assert_eq!(pipeline.get("/v1/approvals/0199b7a0-0000-7000-8000-000000000000").status, 404);
    assert_eq!(pipeline.get("/v1/approvals/0199b7a0-0000-7000-8000-000000000000?wait_s=99").status, 400);
    assert!(pipeline.records("type:decision_record").is_empty(), "nothing of that was a question");

    // More open steps than one run may have are refused until one is reported.
    let calls: Vec<String> = (0..64).map(|_| pipeline.post("/v1/approvals", good).call()).collect();
    let full = pipeline.post("/v1/approvals", good);
    assert_eq!(full.status, 429, "{full:?}");
    assert_eq!(pipeline.report(&calls[0], &json!({ "status": "done" })).status, 200);
    let next = pipeline.post("/v1/approvals", good).call();
    for call in calls[1..].iter().chain([&next]) {
        assert_eq!(pipeline.report(call, &json!({ "status": "done" })).status, 200);
    }
    pipeline.end();
}
