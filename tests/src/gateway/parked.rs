//! Calls that wait for people as tasks (extension `io.modelcontextprotocol/tasks`), against the real gateway over HTTP and stdio: approved, denied, expired, taken back,
//! over killed gateways, and asked about by others.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};

use evidence::leaf::sha256_hex;
use evidence::record::approval::ApprovalEvent::{Consumed, Delivered, Requested, Resolved, Review};
use evidence::record::{Body, Effect, Record, Status};
use serde_json::{Value, json};
use testkit::scratch::Scratch;
use testkit::wait::until;

use super::approvals::{Gated, said};
use super::bridges::{Client, PATIENCE};
use super::clients::{Http, Raw, statuses};

/// What a request says of its client; `extensions` as it declares them.
fn meta(extensions: Value) -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientInfo": { "name": "t", "version": "1" },
        "io.modelcontextprotocol/clientCapabilities": { "elicitation": {}, "extensions": extensions },
    })
}

fn tasks() -> Value {
    json!({ "io.modelcontextprotocol/tasks": {} })
}

impl Http {
    /// Sends a request of its own on a connection of its own.
    fn begin_alone(&self, method: &str, mut params: Value, extensions: Value) -> Raw {
        let name = params.get("taskId").or_else(|| params.get("name")).and_then(Value::as_str);
        let name = name.map(|name| format!("Mcp-Name: {name}\r\n")).unwrap_or_default();
        params["_meta"] = meta(extensions);
        let body = json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params }).to_string();
        let head = format!(
            "{}MCP-Protocol-Version: 2026-07-28\r\nMcp-Method: {method}\r\n{name}Connection: close\r\nContent-Length: {}\r\n\r\n",
            self.head(None),
            body.len()
        );
        let mut raw = self.connect();
        raw.send(&[head.as_bytes(), body.as_bytes()].concat());
        raw
    }

    fn alone(&self, method: &str, params: Value) -> Value {
        let told = self.begin_alone(method, params, tasks()).rest();
        let messages = told.lines().map(|line| line.strip_prefix("data: ").unwrap_or(line));
        let mut answers = messages.filter_map(|line| serde_json::from_str::<Value>(line).ok());
        answers.rfind(|message| message["id"] == 7).unwrap_or_else(|| panic!("{told}"))
    }

    /// Calls a tool whose calls wait; gives the task.
    fn task(&self, key: &str, wait_ms: u64) -> String {
        let answer = self.alone("tools/call", slow(key, wait_ms));
        let task = &answer["result"];
        assert_eq!((&task["resultType"], &task["status"]), (&json!("task"), &json!("working")), "{answer}");
        assert!(task["statusMessage"].as_str().unwrap().contains("a person must approve"), "{answer}");
        assert!(task["ttlMs"].as_i64().unwrap() > 0 && task["pollIntervalMs"] == 5000, "{answer}");
        task["taskId"].as_str().unwrap().to_owned()
    }

    fn get(&self, task: &str) -> Value {
        let answer = self.alone("tasks/get", json!({ "taskId": task }));
        assert_eq!(
            (&answer["result"]["taskId"], &answer["result"]["resultType"]),
            (&json!(task), &json!("complete")),
            "{answer}"
        );
        answer["result"].clone()
    }

    /// Asks until the task has this status.
    fn until(&self, task: &str, status: &str) -> Value {
        until("a task", PATIENCE, || {
            let told = self.get(task);
            if told["status"] == status { Ok(told) } else { Err(told.to_string()) }
        })
        .unwrap()
    }

    fn say(&self, answer: &str, task: &str) {
        let approval = task.split_once('.').unwrap().0;
        let output = self.home.command(&["approvals", answer, approval, "--why", "looked at it"]).unwrap().output();
        assert!(output.unwrap().status.success(), "{}", self.home.said());
    }

    fn records(&self, filter: &str) -> Vec<Record> {
        let mut records = Vec::new();
        self.home
            .audit(filter, |line| {
                records.push(evidence::record::read(line.as_bytes())?);
                Ok(())
            })
            .unwrap();
        records
    }

    fn events(&self) -> Vec<evidence::record::approval::ApprovalEvent> {
        let of = |record: Record| if let Body::Approval(approval) = record.body { Some(approval.event) } else { None };
        self.records("type:approval_record").into_iter().filter_map(of).collect()
    }

    fn until_effects_are(&self, count: usize) {
        until("effects", PATIENCE, || if self.effects() == count { Ok(()) } else { Err(self.effects().to_string()) })
            .unwrap();
    }
}

fn slow(key: &str, wait_ms: u64) -> Value {
    json!({ "name": "slow_effect", "arguments": { "key": key, "wait_ms": wait_ms } })
}

/// The reason codes of all decisions that denied.
fn denied(records: &[Record]) -> Vec<String> {
    let reasons = records.iter().filter_map(|record| match &record.body {
        Body::Decision(decision) if decision.effect == Effect::Deny => Some(decision.reasons.iter()),
        _ => None,
    });
    reasons.flatten().map(ToString::to_string).collect()
}

#[test]
fn an_approved_call_runs_without_being_sent_again_and_its_task_has_the_result() {
    let http = Http::gated("task", "1s");
    let discovered = http.alone("server/discover", json!({}));
    assert_eq!(discovered["result"]["capabilities"]["extensions"], tasks(), "{discovered}");
    let task = http.task("one", 1_500);
    assert_eq!(http.task("one", 1_500), task, "an identical call is the same task");
    assert_ne!(http.task("two", 1_500), task);
    assert_eq!(http.get(&task)["status"], "working");
    http.say("approve", &task);
    // Nobody asks, and it runs.
    http.until_effects_are(1);
    assert!(http.get(&task)["statusMessage"].as_str().unwrap().contains("executed"));
    let told = http.until(&task, "completed");
    assert_eq!(told["result"]["content"][0]["text"], "one", "{told}");
    assert_eq!(told["pollIntervalMs"], Value::Null);
    assert_eq!(http.get(&task), told, "it ends once");
    assert_eq!(http.events(), [Requested, Requested, Review, Resolved, Consumed, Delivered]);
    // It was told: an identical call is a new one.
    assert_ne!(http.task("one", 1_500), task);
    assert_eq!(http.effects(), 1);
    let records = http.end();
    assert_eq!(statuses(&records), [Status::Done]);
    assert_eq!(denied(&records), Vec::<String>::new());
}

#[test]
fn a_task_keeps_tokens_and_runs_with_what_they_stand_for() {
    let data = "1s\"\n[data]\npii = { to = [\"mcp:upstream\"], result = \"token\" } # ";
    let mut http = Http::gated("task-token", data);
    let text = |told: &Value| told["result"]["content"][0]["text"].as_str().unwrap().to_owned();
    let task = http.task("ann@corp.example", 10);
    http.say("approve", &task);
    let token = text(&http.until(&task, "completed"));
    assert!(token.starts_with("tok_pii_email_"), "{token}");
    let task = http.task(&token, 10);
    http.restart();
    http.say("approve", &task);
    assert_eq!(text(&http.until(&task, "completed")), token);
    assert_eq!(http.effects(), 2);
    let digest = |key: &str| sha256_hex(json!({ "key": key, "wait_ms": 10 }).to_string().as_bytes());
    let intents = http.end().into_iter().filter_map(|record| match record.body {
        Body::Action(action) if action.status.is_none() => Some((action.args_sha256, action.sent_sha256)),
        _ => None,
    });
    let value = digest("ann@corp.example");
    assert_eq!(intents.collect::<Vec<_>>(), [(value.clone(), None), (digest(&token), Some(value))]);
}

#[test]
fn a_call_of_a_client_without_the_extension_is_held_and_joins_a_task() {
    let http = Http::gated("task-undeclared", "1s");
    let answer = http.begin_alone("tools/call", slow("one", 10), json!({})).rest();
    assert!(answer.contains(r#""outcome":"pending""#), "{answer}");
    let task = http.task("one", 10);
    http.say("approve", &task);
    assert_eq!(http.until(&task, "completed")["result"]["content"][0]["text"], "one");
    assert_eq!(http.effects(), 1);
    for method in ["tasks/get", "tasks/cancel", "tasks/update"] {
        let refused = http.begin_alone(method, json!({ "taskId": task }), json!({})).rest();
        assert!(refused.contains("-32021") && refused.contains("requiredCapabilities"), "{refused}");
    }
    http.end();
}

#[test]
fn a_no_and_silence_end_a_task_with_the_error_of_its_tool() {
    let http = Http::gated("task-no", "1s\"\nrespond_by = \"10s");
    let (refused, silent) = (http.task("one", 10), http.task("two", 10));
    http.say("deny", &refused);
    let told = http.until(&refused, "completed");
    let error = &told["result"];
    assert_eq!((&error["isError"], &error["resultType"]), (&json!(true), &json!("complete")), "{told}");
    assert_eq!(error["_meta"]["countersign.dev/refusal"]["reason"], "approval_denied", "{told}");
    assert!(error["content"][0]["text"].as_str().unwrap().contains("people said no: looked at it"), "{told}");
    let told = http.until(&silent, "completed");
    assert_eq!(told["result"]["_meta"]["countersign.dev/refusal"]["reason"], "approval_expired", "{told}");
    assert_eq!(http.effects(), 0);
    let records = http.end();
    assert_eq!(denied(&records), ["approval_denied", "approval_expired"]);
}

#[test]
fn a_task_that_is_taken_back_runs_nothing_and_leaves_the_approval() {
    let mut http = Http::gated("task-back", "1s");
    let task = http.task("one", 10);
    assert_eq!(http.alone("tasks/cancel", json!({ "taskId": task }))["result"], json!({ "resultType": "complete" }));
    http.until(&task, "cancelled");
    // Nor after a restart, and not when people say yes.
    http.restart();
    assert_eq!(http.get(&task)["status"], "cancelled");
    http.say("approve", &task);
    assert_eq!(http.get(&task)["status"], "cancelled");
    assert_eq!(http.effects(), 0);
    // An identical call joins the approval, which it uses.
    let answer = http.alone("tools/call", slow("one", 10));
    assert_eq!(answer["result"]["content"][0]["text"], "one", "{answer}");
    assert_eq!(http.get(&task)["status"], "cancelled");
    assert_eq!(http.effects(), 1);
    // What is being executed goes on.
    let task = http.task("two", 2_000);
    http.say("approve", &task);
    http.until_effects_are(2);
    http.alone("tasks/cancel", json!({ "taskId": task }));
    assert_eq!(http.until(&task, "completed")["result"]["content"][0]["text"], "two");
    http.end();
}

#[test]
fn a_killed_gateway_goes_on_with_a_task_when_its_client_asks() {
    let mut http = Http::gated("task-killed", "1s");
    let (waits, approved) = (http.task("one", 10), http.task("two", 10));
    http.restart();
    assert_eq!(http.get(&waits)["status"], "working");
    http.say("approve", &waits);
    http.until_effects_are(1);
    http.restart();
    // It ran before, or nobody knows whether it did; it does not run again.
    let told = http.until(&waits, "completed");
    assert!(
        told["result"]["content"][0]["text"].as_str().unwrap().contains("one") || told["result"]["isError"] == true,
        "{told}"
    );
    // Approved while nobody worked on it.
    http.say("approve", &approved);
    assert_eq!(http.effects(), 1);
    assert_eq!(http.until(&approved, "completed")["result"]["content"][0]["text"], "two");
    assert_eq!(http.effects(), 2);
    http.end();
}

#[test]
fn how_a_task_ended_survives_a_killed_gateway_until_it_is_told() {
    let mut http = Http::gated("task-ended", "1s");
    let (done, refused, lost) = (http.task("one", 10), http.task("two", 10), http.task("three", 20_000));
    http.say("approve", &done);
    http.say("deny", &refused);
    http.say("approve", &lost);
    http.until_effects_are(2);
    until("an outcome", PATIENCE, || match http.records("status:done").len() {
        1 => Ok(()),
        other => Err(other.to_string()),
    })
    .unwrap();
    http.restart();
    assert_eq!(http.get(&done)["result"]["content"][0]["text"], "one");
    assert_eq!(http.get(&done)["status"], "completed", "it is told again for a while");
    let told = http.get(&refused);
    assert_eq!(told["result"]["_meta"]["countersign.dev/refusal"]["reason"], "approval_denied", "{told}");
    let told = http.get(&lost);
    assert_eq!((&told["status"], &told["result"]["isError"]), (&json!("completed"), &json!(true)), "{told}");
    assert!(told["result"]["content"][0]["text"].as_str().unwrap().contains("do not repeat it"), "{told}");
    assert_eq!(http.events().iter().filter(|event| **event == Delivered).count(), 2);
    assert_eq!(http.effects(), 2);
    assert_eq!(statuses(&http.end()), [Status::Done, Status::Unknown]);
}

#[test]
fn a_task_is_its_own_runs_business_and_takes_no_input() {
    let mut http = Http::gated("task-other", "1s");
    let task = http.task("one", 10);
    let own = std::mem::replace(&mut http.token, http.home.token().unwrap());
    let absent = task.replace('0', "1");
    for (method, task) in
        [("tasks/get", &task), ("tasks/cancel", &task), ("tasks/update", &task), ("tasks/get", &absent)]
    {
        let answer = http.alone(method, json!({ "taskId": task, "inputResponses": {} }));
        assert_eq!(
            (&answer["error"]["code"], &answer["error"]["data"]["reason"]),
            (&json!(-32602), &json!("task_not_allowed")),
            "{answer}"
        );
    }
    http.token = own;
    let input = json!({ "taskId": task, "inputResponses": { "approve": { "action": "accept", "content": {} } } });
    let answer = http.alone("tasks/update", input);
    assert_eq!(answer["error"]["data"]["reason"], "input_not_allowed", "{answer}");
    assert_eq!(http.get(&task)["status"], "working");
    http.say("approve", &task);
    assert_eq!(http.until(&task, "completed")["result"]["content"][0]["text"], "one");
    let records = http.end();
    assert_eq!(
        denied(&records),
        ["task_not_allowed", "task_not_allowed", "task_not_allowed", "task_not_allowed", "input_not_allowed"]
    );
}

/// Messages of a stream, as they come.
struct Stream(BufReader<TcpStream>);

impl Stream {
    fn next(&mut self) -> Value {
        let mut line = String::new();
        loop {
            line.clear();
            assert_ne!(self.0.read_line(&mut line).unwrap(), 0, "the stream has ended");
            if let Some(message) = line.strip_prefix("data: ").and_then(|line| serde_json::from_str(line).ok()) {
                return message;
            }
        }
    }
}

#[test]
fn a_subscription_tells_of_a_task_until_it_has_ended() {
    let http = Http::gated("task-listen", "1s");
    let (task, other) =
        (http.task("one", 500), "01a20631-6c59-700a-95ae-5186f3d92341.01a20631-6c59-700a-95ae-5186f3d92342");
    let undeclared =
        http.begin_alone("subscriptions/listen", json!({ "notifications": { "taskIds": [task] } }), json!({})).rest();
    assert!(undeclared.contains("-32021"), "{undeclared}");
    let filter = json!({ "notifications": { "taskIds": [other, task] } });
    let mut stream = Stream(BufReader::new(http.begin_alone("subscriptions/listen", filter, tasks()).into_stream()));
    let begun = stream.next();
    assert_eq!(begun["method"], "notifications/subscriptions/acknowledged");
    assert_eq!(begun["params"]["notifications"], json!({ "taskIds": [task] }), "{begun}");
    let told = stream.next();
    assert_eq!(
        (&told["method"], &told["params"]["status"]),
        (&json!("notifications/tasks"), &json!("working")),
        "{told}"
    );
    assert_eq!(told["params"]["_meta"]["io.modelcontextprotocol/subscriptionId"], 7);
    http.say("approve", &task);
    let last = loop {
        let told = stream.next();
        assert_eq!(told["params"]["taskId"], json!(task), "{told}");
        if told["params"]["status"] != "working" {
            break told;
        }
    };
    assert_eq!(
        (&last["params"]["status"], &last["params"]["result"]["content"][0]["text"]),
        (&json!("completed"), &json!("one"))
    );
    until("a delivery", PATIENCE, || if http.events().contains(&Delivered) { Ok(()) } else { Err("none".to_owned()) })
        .unwrap();
    drop(stream);
    http.end();
}

/// A server that makes a task of each call, which is done when it was asked about twice.
fn start_tasks() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/mcp", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let asked = std::sync::Arc::new(std::sync::atomic::AtomicU32::new(0));
        for stream in listener.incoming() {
            let (stream, asked) = (stream.unwrap(), asked.clone());
            // Ends with an error when the other side has enough.
            std::thread::spawn(move || serve_tasks(stream, &asked));
        }
    });
    url
}

fn serve_tasks(mut stream: TcpStream, asked: &std::sync::atomic::AtomicU32) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        let (mut length, mut name, mut line) = (0, String::new(), String::new());
        while reader.read_line(&mut line)? > 2 {
            let lower = line.to_ascii_lowercase();
            length = lower.strip_prefix("content-length:").map_or(length, |value| value.trim().parse().unwrap());
            name = lower.strip_prefix("mcp-name:").map_or(name, |value| value.trim().to_owned());
            line.clear();
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let message: Value = serde_json::from_slice(&body).unwrap();
        let capabilities = &message["params"]["_meta"]["io.modelcontextprotocol/clientCapabilities"];
        assert_eq!(capabilities["elicitation"], Value::Null, "nobody can be asked");
        let task = |status: &str| json!({ "taskId": "t-1", "status": status, "createdAt": "2026-01-01T00:00:00Z", "lastUpdatedAt": "2026-01-01T00:00:00Z", "ttlMs": null, "pollIntervalMs": 250 });
        if message["method"] == "subscriptions/listen" {
            let notifications = &message["params"]["notifications"];
            assert_eq!(
                *notifications,
                json!({ "taskIds": [], "toolsListChanged": true }),
                "it hears of no task of ours"
            );
            let meta = json!({ "io.modelcontextprotocol/subscriptionId": message["id"] });
            let begun = json!({
                "jsonrpc": "2.0", "method": "notifications/subscriptions/acknowledged",
                "params": { "_meta": meta, "notifications": { "toolsListChanged": true } },
            });
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\ndata: {begun}\n\n")?;
            // Open until the other side leaves.
            let _left = stream.read(&mut [0])?;
            return Ok(());
        }
        let mut result = match message["method"].as_str().unwrap() {
            "tools/call" => {
                assert_eq!(name, message["params"]["name"], "its headers repeat it, also after a restart");
                task("working")
            }
            "tasks/get" if asked.fetch_add(1, std::sync::atomic::Ordering::Relaxed) == 0 => task("working"),
            "tasks/get" => {
                assert_eq!(name, "t-1");
                let mut task = task("completed");
                task["result"] = json!({ "content": [{ "type": "text", "text": "at length" }] });
                task
            }
            _ => json!({}),
        };
        result["resultType"] = if message["method"] == "tools/call" { json!("task") } else { json!("complete") };
        let answer = json!({ "jsonrpc": "2.0", "id": message["id"], "result": result }).to_string();
        write!(
            stream,
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{answer}",
            answer.len()
        )?;
    }
}

#[test]
fn a_subscription_that_asks_its_server_too_tells_of_both() {
    let upstream = format!("url = {:?}", start_tasks());
    let http = Http::gated_before(Scratch::new("task-listen-both").unwrap(), &upstream, "1s");
    let task = http.task("one", 10);
    let filter = json!({ "notifications": { "taskIds": [task], "toolsListChanged": true } });
    let mut stream = Stream(BufReader::new(http.begin_alone("subscriptions/listen", filter, tasks()).into_stream()));
    let begun = stream.next();
    assert_eq!(begun["params"]["notifications"], json!({ "toolsListChanged": true, "taskIds": [task] }), "{begun}");
    assert_eq!(stream.next()["params"]["status"], "working");
    http.say("approve", &task);
    let last = loop {
        let told = stream.next();
        if told["params"]["status"] != "working" {
            break told;
        }
    };
    assert_eq!(last["params"]["result"]["content"][0]["text"], "at length", "{last}");
    drop(stream);
    http.end();
}

#[test]
fn a_task_of_a_run_that_has_ended_runs_nothing() {
    let http = Http::gated("task-run-over", "1s");
    http.task("one", 10);
    let run = http.records("type:request_context")[0].correlation.run.unwrap().to_string();
    assert!(http.home.command(&["run", "end", &run, "--why", "done"]).unwrap().output().unwrap().status.success());
    let reason = until("a denial", PATIENCE, || match denied(&http.records("type:decision_record")).as_slice() {
        [reason] => Ok(reason.clone()),
        other => Err(format!("{other:?}")),
    });
    assert_eq!(reason.unwrap(), "run_ended");
    assert_eq!(http.effects(), 0);
    http.end();
}

#[test]
fn a_task_that_the_server_makes_of_an_approved_call_ends_inside_ours() {
    for is_killed in [false, true] {
        let upstream = format!("url = {:?}", start_tasks());
        let name = if is_killed { "task-in-task-killed" } else { "task-in-task" };
        let mut http = Http::gated_before(Scratch::new(name).unwrap(), &upstream, "1s");
        let task = http.task("one", 10);
        if is_killed {
            http.restart();
        }
        http.say("approve", &task);
        let told = http.until(&task, "completed");
        assert_eq!(told["result"], json!({ "content": [{ "type": "text", "text": "at length" }] }), "{told}");
        let outcomes = http.records("status:done");
        let [outcome] = outcomes.as_slice() else { panic!("{outcomes:#?}") };
        let Body::Action(action) = &outcome.body else { panic!("{outcome:#?}") };
        assert_eq!(action.external_reference.as_deref(), Some("t-1"));
        assert_eq!(http.events(), [Requested, Review, Resolved, Consumed, Delivered]);
        http.end();
    }
}

#[test]
fn over_stdio_a_task_outlives_its_bridge() {
    let world = Gated::new("task-stdio");
    world.enrol(&["ana", "carl"]);
    let ask = |client: &mut Client, id: u64, method: &str, mut params: Value| {
        params["_meta"] = meta(tasks());
        client.ask(id, method, params)["result"].clone()
    };
    let mut client = world.0.bridge(&[]);
    let call = json!({ "name": "effect", "arguments": { "key": "one" } });
    let task = ask(&mut client, 1, "tools/call", call.clone());
    assert_eq!(task["resultType"], "task", "{task}");
    let id = json!({ "taskId": task["taskId"] });
    assert_eq!(ask(&mut client, 2, "tasks/get", id.clone())["status"], "working");
    assert!(client.close().success());
    let run = world.0.records("type:request_context")[0].correlation.run.unwrap().to_string();
    let mut next = world.0.bridge(&["--run", &run]);
    assert_eq!(ask(&mut next, 1, "tasks/get", id.clone())["status"], "working");
    let approval = world.asked();
    for person in ["ana", "carl"] {
        assert_eq!(world.say("approve", &approval, person).0, Some(0));
    }
    let told = until("a task", PATIENCE, || {
        let told = ask(&mut next, 2, "tasks/get", id.clone());
        if told["status"] == "completed" { Ok(told) } else { Err(told.to_string()) }
    });
    assert_eq!(told.unwrap()["result"]["content"][0]["text"], "one");
    assert_eq!(said(&json!({ "result": ask(&mut next, 3, "tools/call", json!({ "name": "effect", "arguments": { "key": "two" } })) })).0, "none");
    assert!(next.close().success());
    assert_eq!(world.effects().len(), 1);
    world.0.assert_verified();
}
