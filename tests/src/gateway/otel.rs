//! The feed of spans and logs of the real gateway: everything is told at least once, over a collector that is away and a gateway that is killed, and what is refused is an exception.

use std::collections::{BTreeMap, BTreeSet};

use evidence::record::{Body, ExceptionEvent, ExceptionKind};
use serde_json::{Value, json};
use testkit::wait;

use super::approvals::Gated;
use super::bridges::PATIENCE;
use super::notify::{Receiver, Sent};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

fn config(receiver: &Receiver) -> String {
    format!("[otel]\nurl = \"http://{}\"\ncredential = {{ file = \"otel-token\" }}\n", receiver.address)
}

/// The text or number of an attribute.
fn attribute(of: &Value, key: &str) -> String {
    let found = of["attributes"].as_array().unwrap().iter().find(|attribute| attribute["key"] == key);
    let value = &found.unwrap_or_else(|| panic!("no {key}: {of}"))["value"];
    let text = value.get("stringValue").or_else(|| value.get("intValue")).and_then(Value::as_str);
    text.unwrap_or_else(|| panic!("{key}: {value}")).to_owned()
}

/// The log records that were sent, by the number of the record; one that came again is the same.
fn logs(sent: &[Sent]) -> BTreeMap<u64, Value> {
    let mut logs = BTreeMap::new();
    for message in sent.iter().filter(|message| message.path() == "/v1/logs") {
        for log in message.json()["resourceLogs"][0]["scopeLogs"][0]["logRecords"].as_array().unwrap() {
            let seq = attribute(log, "countersign.record.seq").parse().unwrap();
            let before = logs.insert(seq, log.clone());
            assert!(before.is_none_or(|before| before == *log), "{seq}");
        }
    }
    logs
}

fn spans(sent: &[Sent]) -> Vec<Value> {
    let of = |message: &Sent| message.json()["resourceSpans"][0]["scopeSpans"][0]["spans"].as_array().unwrap().clone();
    sent.iter().filter(|message| message.path() == "/v1/traces").flat_map(of).collect()
}

#[test]
fn a_collector_is_told_everything_over_its_absence_and_a_kill() {
    let receiver = Receiver::start(&[503, 200, 503]);
    let world = Gated::new("otel");
    std::fs::write(world.0.scratch.join("otel-token"), "sesame\n").unwrap();
    let mut served = world.serve_with(&config(&receiver));
    let begin = world.0.records("").len() as u64;
    let mut client = world.open();
    let call = json!({ "name": "echo", "arguments": { "text": "hi" },
        "_meta": { "traceparent": format!("00-{TRACE}-00f067aa0ba902b7-01") } });
    assert_eq!(client.ask(1, "tools/call", call)["result"]["content"][0]["text"], "hi");
    client.call(2, "echo", json!({ "text": "without a trace" }));
    let told = |what: &str, enough: &dyn Fn(&[Sent]) -> bool| {
        wait::until(what, PATIENCE, || {
            let sent = receiver.so_far();
            if enough(&sent) { Ok(sent) } else { Err(format!("{} messages", sent.len())) }
        })
        .unwrap()
    };
    told("both calls", &|sent| spans(sent).len() >= 2);
    served.process.kill().unwrap();
    drop(client);
    let served = world.serve_with(&config(&receiver));
    let mut client = world.open();
    client.call(1, "no_such_tool", json!({}));
    assert!(client.close().success());
    let denied = |sent: &[Sent]| logs(sent).values().any(|log| log["severityText"] == "WARN");
    told("the denial", &denied);
    served.stop();

    let sent = receiver.so_far();
    assert!(sent.iter().all(|message| message.header("authorization") == "Bearer sesame"), "{sent:?}");
    let logs = logs(&sent);
    let (first, last) = (*logs.keys().next().unwrap(), *logs.keys().last().unwrap());
    assert!(first <= begin + 1, "{first} {begin}");
    assert_eq!(logs.len() as u64, last - first + 1, "none is missing");
    for record in world.0.records(&format!("seq:{first}..{last}")) {
        let log = logs.get(&record.seq).unwrap();
        assert_eq!(log["eventName"], format!("countersign.{}", record.record_type));
        assert_eq!(attribute(log, "countersign.record.id"), record.id.to_string());
        assert_eq!(log["timeUnixNano"], (record.occurred_at.micros() * 1_000).to_string());
    }
    let spans = spans(&sent);
    let of_trace: Vec<_> = spans.iter().filter(|span| span["traceId"] == TRACE).collect();
    let [span, again @ ..] = of_trace.as_slice() else { panic!("{spans:?}") };
    assert!(again.iter().all(|other| other == span));
    assert_eq!((&span["name"], &span["kind"]), (&json!("tools/call echo"), &json!(3)));
    assert_eq!(attribute(span, "gen_ai.tool.name"), "echo");
    assert_eq!(attribute(span, "countersign.status"), "done");
    let nanos = |name: &str| span[name].as_str().unwrap().parse::<u64>().unwrap();
    assert!(nanos("startTimeUnixNano") <= nanos("endTimeUnixNano"));
    let ids: BTreeSet<_> = spans.iter().map(|span| span["spanId"].as_str().unwrap()).collect();
    assert!(ids.len() == 2 && ids.iter().all(|id| id.len() == 16), "{ids:?}");
    let with_span = logs.values().filter(|log| log["spanId"] == span["spanId"]).count();
    assert!(with_span >= 3, "the decision, the intent and the outcome of the call: {with_span}");
    world.0.assert_verified();
}

#[test]
fn what_a_collector_refuses_is_an_exception_until_it_takes_more() {
    let receiver = Receiver::start(&[400]);
    let world = Gated::new("otel-refused");
    std::fs::write(world.0.scratch.join("otel-token"), "sesame\n").unwrap();
    let served = world.serve_with(&config(&receiver));
    let mut client = world.open();
    client.call(1, "echo", json!({ "text": "hi" }));
    assert!(client.close().success());
    let events = || -> Vec<ExceptionEvent> {
        let of = |body| match body {
            Body::Exception(exception) if exception.kind == ExceptionKind::Notification => {
                assert_eq!(exception.scope, "otel");
                assert!(exception.reason.contains("refused it with status 400"), "{}", exception.reason);
                Some(exception.event)
            }
            _ => None,
        };
        world.0.records("type:exception_record").into_iter().filter_map(|record| of(record.body)).collect()
    };
    let both = [ExceptionEvent::Opened, ExceptionEvent::Mitigated];
    wait::until("the end of the trouble", PATIENCE, || match events() {
        events if events == both => Ok(()),
        other => Err(format!("{other:?}")),
    })
    .unwrap();
    served.stop();
    world.0.assert_verified();
}
