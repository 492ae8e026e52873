//! Runs as people see them: which classes of data each has met, and one run as a whole, while it is open, after a crash and when it is over.

use std::process::Stdio;

use evidence::record::{Body, VersionedKind};
use serde_json::{Value, json};

use super::approvals::{Gated, pending, said};
use super::bridges::binary;
use super::clients::Http;

/// What a command prints, and its exit code.
fn say(http: &Http, args: &[&str]) -> (String, Option<i32>) {
    let out = http.home.command(args).unwrap().stderr(Stdio::piped()).output().unwrap();
    (format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr)), out.status.code())
}

fn listed(http: &Http) -> Vec<Value> {
    let (out, code) = say(http, &["run", "list", "--format", "json"]);
    assert_eq!(code, Some(0), "{out}");
    out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn shown(http: &Http, run: &str) -> Value {
    let (out, code) = say(http, &["run", "show", run]);
    assert_eq!(code, Some(0), "{out}");
    serde_json::from_str(&out).unwrap()
}

/// Telephone numbers do not reach the agent; secrets go nowhere.
const DATA: &str = r#"
[data]
"pii.phone" = { result = "redact" }
secret      = { else = "deny" }
"#;

#[test]
fn a_run_carries_what_it_has_met_and_is_shown_as_a_whole() {
    let child = binary("countersign-upstream").display().to_string();
    let mut http = Http::with("runs", &format!("command = {:?}", [child.as_str(), "--stdio"]), "", DATA);
    let call = |http: &Http, session: &str, name: &str, arguments: Value| {
        let params = json!({ "name": name, "arguments": arguments });
        let message = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params }).to_string();
        let mut raw = http.connect();
        raw.send(&http.request(Some(session), message.as_bytes()));
        raw.answer()
    };
    let session = http.open();
    let [run] = listed(&http).try_into().unwrap_or_else(|other| panic!("{other:?}"));
    assert_eq!(run["classes"], json!([]));
    let run = run["run"].as_str().unwrap().to_owned();
    assert!(!call(&http, &session, "echo", json!({ "text": "plain" })).contains("denied"));
    assert!(!call(&http, &session, "echo", json!({ "text": r#"{"ssn":"536-22-8726"}"# })).contains("denied"));
    assert!(call(&http, &session, "echo", json!({ "text": r#"{"password":"hunter2-Tiger!"}"# })).contains("denied"));
    assert!(call(&http, &session, "record_4k", json!({})).contains("robin.sample@engines.example"));
    let classes = |http: &Http| {
        let [run] = listed(http).try_into().unwrap_or_else(|other| panic!("{other:?}"));
        run["classes"].as_array().unwrap().iter().map(|class| class.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let met = classes(&http);
    for class in ["pii.email", "pii.us_ssn", "secret.password"] {
        assert!(met.iter().any(|known| known == class), "{met:?}");
    }
    assert!(!met.iter().any(|known| known == "pii.phone"), "it did not reach the agent: {met:?}");

    let check = |picture: &Value, standing: &str| {
        assert_eq!((&picture["run"], &picture["standing"]), (&json!(run), &json!(standing)));
        assert_eq!(picture["calls"], json!({ "denied": 1, "done": 3 }), "{picture}");
        assert_eq!(picture["servers"], json!({ "mcp:upstream": 4 }));
        assert_eq!(picture["versions"].as_array().unwrap().len(), 1);
        assert_eq!(picture["open"], json!({ "approvals": [], "calls": [], "exceptions": [] }));
        assert_eq!(picture["left_out"], 0);
        let pii = &picture["classes"]["pii"];
        assert_eq!((&pii["content"], &pii["tool"]), (&json!("arguments"), &json!("mcp:upstream/echo")), "{picture}");
        assert_eq!(picture["classes"]["secret"]["content"], "arguments", "a call that was denied brought it");
        assert!(picture["classes"]["pii.phone"].is_null(), "{picture}");
    };
    check(&shown(&http, &run), "open");
    http.restart();
    check(&shown(&http, &run), "open");
    let after = classes(&http);
    assert!(["pii", "secret"].iter().all(|class| after.iter().any(|known| known == class)), "{after:?}");
    let (out, code) = say(&http, &["run", "end", &run, "--why", "done for today"]);
    assert_eq!(code, Some(0), "{out}");
    let over = shown(&http, &run);
    check(&over, "ended");
    assert!(over["why"].as_str().unwrap().ends_with("done for today") && !over["ended_at"].is_null(), "{over}");
    let (table, _) = say(&http, &["run", "show", &run, "--format", "table"]);
    for text in ["3 done", "1 denied", "mcp:upstream (4)", "Classes of data that it met", "secret", "done for today"] {
        assert!(table.contains(text), "{text}: {table}");
    }
    let (said, code) = say(&http, &["run", "show", "0193b5a2-6f1e-7cc3-98c4-dc0c0c07398f"]);
    assert!(said.contains("no run") && code == Some(1), "{said}");
    let mut ended = Vec::new();
    http.home
        .audit("type:version_log class:secret", |line| {
            if let Body::Version(version) = evidence::record::read(line.as_bytes())?.body {
                ended.push((version.object.kind, version.object.name.to_string(), version.to.to_string()));
            }
            Ok(())
        })
        .unwrap();
    assert_eq!(ended, [(VersionedKind::Run, run, "ended".to_owned())]);
    drop(http.end());
}

#[test]
fn what_people_were_asked_and_have_not_answered_is_in_the_picture() {
    let world = Gated::new("runs-approvals");
    world.enrol(&["ana", "carl"]);
    let mut client = world.open();
    assert_eq!(said(&client.call(1, "effect", json!({ "key": "one" }))), pending());
    let approval = world.asked();
    let run = world.0.records("type:approval_record")[0].correlation.run.unwrap().to_string();
    let shown = || {
        let (code, out, err) = world.run(&["run", "show", &run]);
        assert_eq!(code, Some(0), "{err}");
        serde_json::from_str::<Value>(&out).unwrap()
    };
    let picture = shown();
    assert_eq!(picture["open"]["approvals"], json!([approval]), "{picture}");
    assert_eq!((&picture["approvals"][0]["state"], &picture["calls"]), (&json!("requested"), &json!({ "asking": 1 })));
    for person in ["ana", "carl"] {
        assert_eq!(world.say("approve", &approval, person).0, Some(0));
    }
    assert_eq!(said(&client.call(2, "effect", json!({ "key": "one" }))).0, "none");
    let picture = shown();
    assert_eq!(picture["open"]["approvals"], json!([]), "{picture}");
    assert_eq!(picture["approvals"][0]["state"], "consumed", "{picture}");
    assert_eq!(picture["calls"]["done"], 1, "{picture}");
    assert!(client.close().success());
    world.0.assert_verified();
}
