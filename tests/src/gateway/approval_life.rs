//! What happens to a question over time: people are reminded, more are added, and too few are left.

use evidence::record::approval::ApprovalEvent;
use serde_json::{Value, json};

use super::approvals::{Gated, pending, said};
use super::bridges::PATIENCE;

const MISSION: &str = r#"
mission = "effects"
goal = "Leave effects."
owner = "olga@corp.example"
agents = ["bot"]
until = 2099-01-01
why = "First version."
[allow.mcp.up]
effect = {}
[danger.effects]
when = "mcp:up/effect"
[gate.default]
group = "leads"
hold = "1s"
"#;

/// Whoever runs the tests is the initiator and the author: another person than those who answer.
const PEOPLE: &str = r#"
why = "First version."
[person.ana]
[person.bea]
[person.carl]
[person.dora]
[person.olga]
also = ["olga@corp.example"]
[group]
leads = ["ana", "bea", "olga"]
directors = ["dora", "carl"]
"#;

/// A home whose gate has these keys as well.
fn world(name: &str, gate: &str) -> Gated {
    Gated::with(name, &format!("{MISSION}{gate}\n"), PEOPLE)
}

impl Gated {
    /// How the gates of the one open approval stand, in sentences.
    fn standing(&self) -> String {
        let (_, out, err) = self.run(&["approvals", "list", "--format", "json"]);
        let [line] = out.lines().collect::<Vec<_>>()[..] else { panic!("{out} {err}") };
        serde_json::from_str::<Value>(line).unwrap()["standing"].to_string()
    }

    /// Waits until the standing says so.
    fn stands(&self, wanted: &str) {
        let look = || {
            let standing = self.standing();
            if standing.contains(wanted) { Ok(()) } else { Err(standing) }
        };
        testkit::wait::until(wanted, PATIENCE, look).unwrap();
    }
}

#[test]
fn people_are_reminded_and_more_are_added_where_nobody_answers() {
    let world = world("escalate", "remind = \"1s\"\nescalate = { after = \"3s\", group = \"directors\" }");
    world.enrol(&["dora"]);
    let mut client = world.open();
    assert_eq!(said(&client.call(1, "effect", json!({ "key": "one" }))), pending());
    let id = world.asked();
    world.stands("escalated: those of `directors` may answer too");
    let (code, out, err) = world.say("approve", &id, "dora");
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("is approved"), "{out}");
    assert_eq!(said(&client.call(2, "effect", json!({ "key": "one" }))).0, "none");
    assert!(client.close().success());
    assert_eq!(world.effects().len(), 1);
    let events = world.events();
    let often = |wanted| events.iter().filter(|event| **event == wanted).count();
    assert!(often(ApprovalEvent::Reminded) >= 2, "{events:?}");
    assert_eq!(often(ApprovalEvent::Escalated), 1, "{events:?}");
    world.0.assert_verified();
}

#[test]
fn a_quorum_out_of_reach_is_said_and_excepted_once() {
    let world = world("reach", "need = 2\nescalate = { after = \"3h\", group = \"directors\" }");
    world.enrol(&["ana"]);
    let mut client = world.open();
    assert_eq!(said(&client.call(1, "effect", json!({ "key": "one" }))), pending());
    let id = world.asked();
    assert!(!world.standing().contains("cannot be satisfied"));
    // Of the three leads one owns the mission; another one steps back.
    let (code, out, err) = world.say("recuse", &id, "ana");
    assert_eq!(code, Some(0), "{err}");
    assert!(
        out.contains("gate `default` cannot be satisfied") && out.contains("those of `directors` may answer"),
        "{out}"
    );
    let run = world.0.records("type:request_context")[0].correlation.run.unwrap().to_string();
    rustix::process::kill_process(world.0.gateway_pid(), rustix::process::Signal::KILL).unwrap();
    client.process.wait(PATIENCE).unwrap();

    let mut next = world.0.bridge(&["--run", &run]);
    next.open();
    world.stands("cannot be satisfied");
    // Another lead comes: it is in reach again.
    let people = world.0.scratch.join("home").join("people.toml");
    let more = PEOPLE.replace("\"bea\", \"olga\"", "\"bea\", \"carl\", \"olga\"");
    std::fs::write(people, more.replace("First version.", "Carl leads as well.")).unwrap();
    world.run(&["people", "list"]);
    testkit::wait::until("a way", PATIENCE, || {
        let standing = world.standing();
        if standing.contains("cannot be satisfied") { Err(standing) } else { Ok(()) }
    })
    .unwrap();
    assert!(next.close().success());
    let found = world.0.records("kind:approval");
    let [exception] = found.as_slice() else { panic!("{found:#?}") };
    assert_eq!(exception.correlation.run.map(|run| run.to_string()), Some(run));
    world.0.assert_verified();
}
