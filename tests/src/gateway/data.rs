//! Classes of data against the real gateway: what calls hold and tools return is labelled, kept where it may go, and changed before the agent has it.

use evidence::record::{ActionEvent, Body, DecisionPoint, Effect, ExceptionEvent, ExceptionKind, Record};

use testkit::scratch::Scratch;

use super::bridges::binary;
use super::clients::Http;

const DATA: &str = r#"
[data]
touches = ["pii", "secret"]
pii     = { result = "mask" }
secret  = { else = "deny", result = "redact" }
"#;

/// One call of `echo`; what the agent reads.
fn echo(http: &Http, session: &str, number: u32, text: &str) -> String {
    let text = serde_json::to_string(text).unwrap();
    let message = format!(
        r#"{{"jsonrpc":"2.0","id":{number},"method":"tools/call","params":{{"name":"echo","arguments":{{"text":{text}}}}}}}"#
    );
    let mut raw = http.connect();
    raw.send(&http.request(Some(session), message.as_bytes()));
    raw.answer()
}

fn classes(record: &Record) -> Vec<&str> {
    record.data_classes.iter().map(|class| &**class).collect()
}

#[test]
fn what_is_found_is_labelled_changed_and_kept_where_it_belongs() {
    let child = binary("countersign-upstream").display().to_string();
    let http = Http::with("data", &format!("command = {:?}", [child.as_str(), "--stdio"]), "", DATA);
    let session = http.open();
    let clean = echo(&http, &session, 1, r#"{"order":4711}"#);
    assert!(clean.contains(r#"{\"order\":4711}"#), "{clean}");
    let masked = echo(&http, &session, 2, r#"{"customer":{"ssn":"536-22-8726"}}"#);
    assert!(masked.contains("***-**-8726") && !masked.contains("536-22"), "{masked}");
    let secret = echo(&http, &session, 3, r#"{"password":"hunter2-Tiger!"}"#);
    assert!(secret.contains("denied (data_not_cleared)"), "{secret}");
    let card = echo(&http, &session, 4, r#"{"card_number":"4556 7375 8689 9855"}"#);
    assert!(card.contains("denied (data_unexpected)"), "{card}");
    let records = http.end();
    let of = |number: usize| {
        let calls: Vec<_> = records.iter().filter_map(|record| Some((record, record.correlation.call?))).collect();
        let mut ids: Vec<_> = calls.iter().map(|(_, call)| *call).collect();
        ids.dedup();
        let id = ids[number - 1];
        calls.into_iter().filter(move |(_, call)| *call == id).map(|(record, _)| record).collect::<Vec<_>>()
    };
    assert!(of(1).iter().all(|record| classes(record).is_empty()));
    let masked = of(2);
    assert!(masked.iter().all(|record| classes(record) == ["pii"]), "{masked:?}");
    let released: Vec<_> = masked
        .iter()
        .filter_map(|record| match &record.body {
            Body::Decision(decision) if decision.point == DecisionPoint::Release => Some(decision),
            _ => None,
        })
        .collect();
    let [released] = released.as_slice() else { panic!("{masked:?}") };
    let done: Vec<_> = released.obligations.iter().map(|done| (&*done.kind, &*done.target)).collect();
    assert_eq!((released.effect, done), (Effect::Allow, vec![("mask", "result:pii.us_ssn:1")]));
    assert_eq!(released.rules.iter().map(|rule| &*rule.id).collect::<Vec<_>>(), ["data.pii"]);
    let written = format!("{records:?}");
    assert!(!written.contains("536-22-8726") && !written.contains("hunter2"), "no value is on record");
    for number in [3, 4] {
        let is_intent =
            |record: &&Record| matches!(&record.body, Body::Action(action) if action.event == ActionEvent::Intent);
        assert!(!of(number).iter().any(|record| is_intent(&&**record)), "nothing ran");
    }
    let unexpected: Vec<_> = records
        .iter()
        .filter_map(|record| match &record.body {
            Body::Exception(exception) => Some((exception.kind, exception.event, exception.reason.as_str())),
            _ => None,
        })
        .collect();
    let [(kind, event, reason)] = unexpected.as_slice() else { panic!("{unexpected:?}") };
    assert_eq!((*kind, *event), (ExceptionKind::Data, ExceptionEvent::Opened));
    assert!(reason.contains("`financial`"), "{reason}");
}

/// A run that has met e-mail addresses may only echo; telephone numbers do not reach the agent.
const RUN: &str = r#"
[data]
"pii.email" = { to = ["mcp:upstream/echo"], else = "keep", run = "deny" }
"pii.phone" = { else = "keep", run = "deny", result = "redact" }
"#;

#[test]
fn what_a_run_has_met_decides_where_it_may_write_also_after_a_crash() {
    let child = binary("countersign-upstream").display().to_string();
    let scratch = Scratch::new("met-effects").unwrap();
    let effects = scratch.path().join("effects").display().to_string();
    let command = [child.as_str(), "--stdio", "--effects", &effects];
    let upstream = format!("command = {command:?}");
    let mut http = Http::with("met", &upstream, "effect = {}", RUN);
    let call = |http: &Http, session: &str, name: &str, arguments: &str| {
        let message = format!(
            r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{name}","arguments":{arguments}}}}}"#
        );
        let mut raw = http.connect();
        raw.send(&http.request(Some(session), message.as_bytes()));
        raw.answer()
    };
    let writes = |http: &Http, session: &str, key: &str| {
        let answer = call(http, session, "effect", &format!(r#"{{"key":"{key}"}}"#));
        let is_denied = answer.contains("denied (data_met)");
        assert!(is_denied || !answer.contains("denied") && !answer.contains("\"isError\":true"), "{answer}");
        !is_denied
    };
    let session = http.open();
    assert!(writes(&http, &session, "before"));
    let record = call(&http, &session, "record_4k", "{}");
    assert!(record.contains("robin.sample@engines.example") && !record.contains("7946"), "{record}");
    assert!(!writes(&http, &session, "after"));
    assert!(!writes(&http, &http.open(), "in-another-session"));
    assert!(!call(&http, &session, "echo", r#"{"text":"a"}"#).contains("denied"), "where it belongs");
    let token = std::mem::replace(&mut http.token, http.home.token().unwrap());
    assert!(writes(&http, &http.open(), "in-another-run"));
    let other = std::mem::replace(&mut http.token, token);
    http.restart();
    assert!(!writes(&http, &http.open(), "after-a-crash"));
    http.token = other;
    assert!(writes(&http, &http.open(), "in-another-run-after-a-crash"));
    let records = http.end();
    let met: Vec<Vec<&str>> = records
        .iter()
        .filter_map(|record| match &record.body {
            Body::Decision(decision) if *decision.input.tool.name == *"effect" => {
                Some(decision.input.met.iter().map(|class| &**class).collect())
            }
            _ => None,
        })
        .collect();
    let email = vec!["pii.email"];
    // The record has a name too: of what an earlier process saw, a class of which the kind is not known stands for each of its kinds.
    let again = vec!["pii.email", "pii.phone"];
    assert_eq!(met, [vec![], email.clone(), email, vec![], again, vec![]]);
    let effects = std::fs::read_to_string(effects).unwrap();
    assert_eq!(effects.lines().count(), 3, "{effects}");
}

/// Reports of progress that say something of a person; all that the agent reads.
fn progress(http: &Http, session: &str) -> String {
    let message = r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"progress","arguments":{"steps":2,"names":true},"_meta":{"progressToken":"536-22-8726"}}}"#;
    let mut raw = http.connect();
    raw.send(&http.request(Some(session), message.as_bytes()));
    raw.stream()
}

#[test]
fn what_is_told_beside_answers_is_changed_recorded_and_met_also_after_a_crash() {
    let child = binary("countersign-upstream").display().to_string();
    let upstream = format!("command = {:?}", [child.as_str(), "--stdio"]);
    let allow = "progress = {}";
    let http = Http::with("told", &upstream, allow, DATA);
    let told = progress(&http, &http.open());
    assert_eq!(told.matches(r#""progressToken":"536-22-8726""#).count(), 2, "what the agent goes by stays: {told}");
    assert_eq!(told.matches("***-**-8726").count(), 2, "{told}");
    assert!(!told.contains("robin.sample@") && told.contains("2 steps"), "{told}");
    let records = http.end();
    let told: Vec<_> = records
        .iter()
        .filter_map(|record| match &record.body {
            Body::Decision(decision) if decision.point == DecisionPoint::Release => Some((record, decision)),
            _ => None,
        })
        .collect();
    assert_eq!(told.len(), 2, "{records:?}");
    for (record, decision) in told {
        assert_eq!(decision.input.tool.to_string(), "mcp:upstream/request:notifications/progress");
        assert_eq!((classes(record), decision.effect), (vec!["pii"], Effect::Allow));
        let done: Vec<_> = decision.obligations.iter().map(|done| &*done.target).collect();
        assert_eq!(done, ["result:pii.email:1", "result:pii.us_ssn:1"]);
    }

    let mut http = Http::with("told-met", &upstream, &format!("effect = {{}}\n{allow}"), RUN);
    let is_denied = |http: &Http, session: &str| {
        let message =
            r#"{"jsonrpc":"2.0","id":2,"method":"tools/call","params":{"name":"effect","arguments":{"key":"a"}}}"#;
        let mut raw = http.connect();
        raw.send(&http.request(Some(session), message.as_bytes()));
        raw.answer().contains("denied (data_met)")
    };
    let session = http.open();
    assert!(!is_denied(&http, &session));
    assert!(progress(&http, &session).contains("robin.sample@engines.example"));
    assert!(is_denied(&http, &session));
    http.restart();
    assert!(is_denied(&http, &http.open()));
    http.end();
}
