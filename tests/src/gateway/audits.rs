//! Audit tests over what a real gateway wrote: asked by a person, and by the gateway itself, which opens exceptions.

use evidence::record::{Body, ExceptionEvent, ExceptionRecord};
use serde_json::{Value, json};
use testkit::governed::{Home, Upstream};
use testkit::scratch::Scratch;
use testkit::wait;

use super::approvals::{Gated, PASSPHRASE};
use super::bridges::{PATIENCE, binary};
use super::clients::Http;

const MISSION: &str = r#"
mission = "effects"
goal = "Leave effects."
owner = "olga@corp.example"
agents = ["bot"]
until = 2099-01-01
why = "First version."
[allow.mcp.up]
echo = {}
effect = { key = { in = ["one", "two"] } }
[danger.effects]
when = "mcp:up/effect"
gate = "two"
[gate.two]
all_of = [{ group = "leads" }, { group = "treasury" }]
hold = "5s"
"#;

const PEOPLE: &str = r#"
why = "First version."
[person.ana]
[person.carl]
[group]
leads = ["ana"]
treasury = ["carl"]
"#;

const TESTS: &str = r#"
audit = "effects"
about = "Effects, and <b>who</b> let them be."
owner = "quality@corp.example"

[[test]]
name     = "effects-are-approved"
title    = "Each effect used an approval."
controls = ["House 1"]
all      = "event:intent tool:mcp:up/effect"
match    = "call(event:consumed)"

[[test]]
name     = "everything-is-approved"
title    = "Each call used an approval."
controls = ["House 1", "House 2"]
all      = "event:intent"
match    = "call(event:consumed)"

[[test]]
name     = "by-two"
title    = "Each effect was approved by two persons."
all      = "event:consumed"
distinct = "approver"
among    = "answer:approve"
along    = "approval"
at_least = 2

[[test]]
name     = "by-three"
title    = "Each effect was approved by three persons."
all      = "event:consumed"
distinct = "approver"
among    = "answer:approve"
along    = "approval"
at_least = 3

[[test]]
name     = "not-one"
title    = "Nothing was done to one."
none     = "argument:key=one"

[[test]]
name     = "nobody-pays"
title    = "Each payment used an approval."
all      = "event:intent effect_class:pay"
match    = "call(event:consumed)"

[[test]]
name     = "answered-in-time"
title    = "Each question was answered within a day."
all         = "event:requested"
followed_by = "event:resolved"
along       = "approval"
within      = "24h"

[[test]]
name     = "asked-first"
title    = "Each decision was preceded by a use."
all         = "decision:allow"
preceded_by = "event:consumed"
along       = "call"

[[test]]
name     = "others"
title    = "Nobody approved their own."
all      = "event:review"
differ   = ["approver", "initiator"]

[[test]]
name     = "same"
title    = "No review names its reviewer as a person."
all      = "event:review"
differ   = ["approver", "person"]

[[test]]
name     = "two-starts"
title    = "The log was opened twice."
some     = "type:ledger_state event:started"
at_least = 200
"#;

#[test]
fn audit_tests_say_what_holds_and_which_records_fail() {
    let world = Gated::with("audit-tests", MISSION, PEOPLE);
    world.enrol(&["ana", "carl"]);
    let mut client = world.open();
    client.call(1, "echo", json!({ "text": "hi" }));
    let answer = client.call(2, "effect", json!({ "key": "one" }));
    let id = world.asked();
    assert_eq!(world.say("approve", &id, "ana").0, Some(0), "{answer}");
    assert_eq!(world.say("approve", &id, "carl").0, Some(0));
    client.call(3, "effect", json!({ "key": "one" }));
    assert_eq!(world.effects().len(), 1);
    assert!(client.close().success());

    let file = world.0.scratch.join("effects.toml");
    std::fs::write(&file, TESTS).unwrap();
    let file = file.to_str().unwrap();
    let asked = |args: &[&str]| world.run(&[&["audit", "test"], args].concat());
    let (code, out, err) = asked(&[file]);
    assert_eq!(code, Some(1), "{err}");
    let report: Value = serde_json::from_str(&out).unwrap();
    let tests = report["files"][0]["tests"].as_array().unwrap();
    let found: Vec<_> = tests
        .iter()
        .map(|test| {
            let numbers = ["population", "failures", "waiting"].map(|name| test[name].as_u64().unwrap());
            (test["name"].as_str().unwrap(), test["verdict"].as_str().unwrap(), numbers)
        })
        .collect();
    let decisions = world.0.records("decision:allow").len() as u64;
    let named = world.0.records("argument:key=one").len() as u64;
    assert!(named > 0);
    assert_eq!(
        found,
        [
            ("effects-are-approved", "held", [1, 0, 0]),
            ("everything-is-approved", "failed", [2, 1, 0]),
            ("by-two", "held", [1, 0, 0]),
            ("by-three", "failed", [1, 1, 0]),
            ("not-one", "failed", [named, named, 0]),
            ("nobody-pays", "nothing", [0, 0, 0]),
            ("answered-in-time", "held", [1, 0, 0]),
            ("asked-first", "failed", [decisions, 2, 0]),
            ("others", "held", [2, 0, 0]),
            ("same", "failed", [2, 2, 0]),
            ("two-starts", "failed", [world.0.records("event:started").len() as u64, 1, 0]),
        ]
    );
    let first = |name: &str| tests.iter().find(|test| test["name"] == name).unwrap()["first"][0].clone();
    let echo = world.0.records("event:intent tool:mcp:up/echo");
    let [echo] = echo.as_slice() else { panic!("{echo:?}") };
    assert_eq!(first("everything-is-approved")["seq"], echo.seq);
    assert_eq!(first("everything-is-approved")["call"], json!(echo.correlation.call));
    assert_eq!(first("by-three")["why"], "approver: ana, carl");
    assert_eq!(first("same")["why"], "ana is approver and person");
    assert_eq!(report["controls"]["House 1"][1]["verdict"], "failed");
    let signed = report["checkpoint"]["size"].as_u64().unwrap();
    assert!(signed > 0 && signed <= report["records"].as_u64().unwrap(), "{report}");

    // Narrowed to what is not there, nothing fails but what must be there.
    let (code, out, _) = asked(&[file, "--where", "before:2020", "--format", "table"]);
    assert_eq!(code, Some(1));
    assert!(out.contains("11 tests over") && out.contains("1 failed, 9 had nothing to look at"), "{out}");
    // What comes with the program: nobody approved the first version of the mission, and nothing else is wrong.
    let (code, out, err) = asked(&["--format", "table"]);
    assert_eq!(code, Some(1), "{err}");
    let failed: Vec<_> = out
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>())
        .filter(|words| words.get(2) == Some(&"failed"))
        .map(|words| words[1])
        .collect();
    assert_eq!(failed, ["wider-missions-approved", "changes-are-recorded", "changes-are-authorised"], "{out}");

    // As a page: what came from files and records is text there.
    let page = world.0.scratch.join("report.html");
    let (code, _, err) = asked(&[file, "--format", "html", "--out", page.to_str().unwrap()]);
    assert!(code == Some(1) && err.contains("11 tests over"), "{err}");
    let html = std::fs::read_to_string(&page).unwrap();
    assert!(html.contains("&lt;b&gt;who&lt;/b&gt;") && !html.contains("<b>who"), "{html}");
    for want in
        ["House 2", "Each call used an approval.", &format!("id=\"record-{}\"", echo.seq), "approver: ana, carl"]
    {
        assert!(html.contains(want), "{want}");
    }

    for (args, code, says) in [
        (vec!["sox"], 2, "name a file (NAME.toml), or one of approvals, eu-ai-act, pci-dss-10, soc2"),
        (vec!["none.toml"], 2, "none.toml"),
        (vec!["soc2", "--where", "status:fine"], 2, "`fine` is not a status"),
    ] {
        let (got, _, err) = asked(&args);
        assert!(got == Some(code) && err.contains(says), "{args:?}: {err}");
    }
    let shown = asked(&["--show", "soc2"]).1;
    assert_eq!(shown, include_str!("../../../audits/soc2.toml"));
    assert!(asked(&["--list"]).1.contains("EU AI Act Art. 14"));
    world.0.assert_verified();
}

const WATCHED: &str = r#"
audit = "own"
about = "Ours."
owner = "quality@corp.example"
[[test]]
name  = "no-echo"
title = "Nothing is echoed."
none  = "event:intent tool:mcp:upstream/echo"
"#;

#[test]
fn a_running_gateway_opens_one_exception_for_what_fails_and_another_only_for_what_fails_since() {
    let scratch = Scratch::new("audit-watch").unwrap();
    let upstream = Upstream::start(&binary("countersign-upstream"), &[]).unwrap();
    let home = Home::new(&binary("countersign"), scratch.path()).unwrap();
    home.write_mission(&["echo"]).unwrap();
    let url = format!("url = {:?}", upstream.url());
    // What cannot be read is told before anything starts.
    home.write_config_with(&url, "[audit]\ntests = [\"own.toml\"]\nevery = \"1s\"\n").unwrap();
    assert!(home.start().is_err());
    assert!(std::fs::read_to_string(home.log()).unwrap().contains("own.toml"));
    std::fs::write(scratch.join("own.toml"), WATCHED).unwrap();
    let mut http = Http::serving(home, Some(upstream), scratch);

    // Opened exceptions of this test, once there are so many.
    let opened = |http: &Http, test: &str, count: usize| -> Vec<ExceptionRecord> {
        wait::until("exceptions of audit tests", PATIENCE, || {
            let mut found = Vec::new();
            http.home
                .audit("kind:audit", |line| {
                    if let Body::Exception(exception) = evidence::record::read(line.as_bytes())?.body {
                        found.push(exception);
                    }
                    Ok(())
                })
                .map_err(|error| error.to_string())?;
            found.retain(|exception| exception.event == ExceptionEvent::Opened && exception.scope.ends_with(test));
            if found.len() >= count { Ok(found) } else { Err(format!("{found:?}")) }
        })
        .unwrap()
    };
    // A test that fails anyhow: once its exception is there, all before it in the file were asked.
    let file = http.home.path().parent().unwrap().join("own.toml");
    let round = |http: &Http, name: &str| {
        let marker = format!("[[test]]\nname = \"{name}\"\ntitle = \"Never opened.\"\nnone = \"event:started\"\n");
        std::fs::write(&file, format!("{WATCHED}{marker}")).unwrap();
        opened(http, name, 1);
    };
    let session = http.open();
    let echo = |http: &Http, id: u32| {
        let mut raw = http.connect();
        raw.send(&http.request(Some(&session), &http.call(id, "hi")));
        assert!(raw.answer().contains("\"hi\""));
    };
    echo(&http, 1);
    let found = opened(&http, "/no-echo", 1);
    assert_eq!((&*found[0].scope, &*found[0].owner), ("audit:own/no-echo", "quality@corp.example"));
    assert!(found[0].reason.contains("\"Nothing is echoed.\": 1 of 1 records fail; the first is record "), "{found:?}");
    // As long as it is open there is no other; a restart changes nothing of that.
    echo(&http, 2);
    http.served.process.kill().unwrap();
    http.served = http.home.serve().unwrap();
    round(&http, "marker-1");
    assert_eq!(opened(&http, "/no-echo", 1).len(), 1);
    let id = found[0].exception.to_string();
    let does = |args: &[&str]| {
        let output = http.home.command(args).unwrap().env("COUNTERSIGN_PASSPHRASE", PASSPHRASE).output().unwrap();
        assert!(output.status.success(), "{args:?}: {}", std::fs::read_to_string(http.home.log()).unwrap());
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    // Seen to by whoever runs this, and looked at by somebody else.
    std::fs::write(http.home.path().join("people.toml"), "why = \"First.\"\n[person.ana]\n").unwrap();
    let code = does(&["people", "invite", "ana"]);
    let key = does(&["people", "enrol", "ana", "--code", &code, "--key", "ana.key"]);
    does(&["people", "confirm", "ana", &key, "--why", "seen in person"]);
    does(&["exceptions", "mitigate", &id, "--what", "the agent was told"]);
    does(&["exceptions", "review", &id, "--note", "it was", "--key", "ana.key"]);
    does(&["exceptions", "close", &id, "--note", "done"]);
    // What failed before is settled; what fails now is not.
    round(&http, "marker-2");
    assert_eq!(opened(&http, "/no-echo", 1).len(), 1);
    let session = http.open();
    let mut raw = http.connect();
    raw.send(&http.request(Some(&session), &http.call(3, "hi")));
    assert!(raw.answer().contains("\"hi\""));
    let found = opened(&http, "/no-echo", 2);
    assert!(found[1].reason.contains(": 1 of 3 records fail"), "{found:?}");
    // A file that is broken meanwhile is an exception of its own.
    std::fs::write(&file, "audit = 5").unwrap();
    let found = opened(&http, "own.toml", 1);
    assert!(found[0].reason.contains("invalid type"), "{found:?}");
    let _records = http.end();
}
