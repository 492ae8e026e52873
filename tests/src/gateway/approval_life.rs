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
[person.otto]
[person.olga]
also = ["olga@corp.example"]
[group]
leads = ["ana", "bea", "olga"]
directors = ["dora", "carl"]
oncall = ["ana", "otto"]
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

    /// A person breaks glass.
    fn breaks(&self, approval: &str, person: &str) -> (Option<i32>, String, String) {
        let key = self.key(person);
        let why = "the account is being emptied";
        let args = ["approvals", "break-glass", approval, "--ticket", "INC-4711", "--why", why, "--key"];
        self.run(&[args.as_slice(), &[key.to_str().unwrap()]].concat())
    }

    /// What a person says of an exception.
    fn on_exception(&self, deed: &str, exception: &str, person: &str) -> (Option<i32>, String, String) {
        let key = self.key(person);
        self.run(&["exceptions", deed, exception, "--note", "looked at it", "--key", key.to_str().unwrap()])
    }

    /// The open exceptions of broken glass.
    fn glasses(&self, more: &[&str]) -> Vec<Value> {
        let args = ["exceptions", "list", "--kind", "break_glass", "--format", "json"];
        let (_, out, _) = self.run(&[args.as_slice(), more].concat());
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
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

#[test]
fn broken_glass_lets_one_call_through_and_somebody_who_was_skipped_reviews_it() {
    let world = world("glass", "break_glass = { group = \"oncall\" }");
    world.enrol(&["bea", "otto"]);
    let mut client = world.open();
    assert_eq!(said(&client.call(1, "effect", json!({ "key": "one" }))), pending());
    let id = world.asked();
    assert_eq!(world.say("approve", &id, "otto").0, Some(1), "the gate does not ask him");
    assert_eq!(world.say("break-glass", &id, "otto").0, Some(2), "without a ticket");
    let (code, _, err) = world.breaks(&id, "bea");
    assert_eq!(code, Some(1), "{err}");
    let (code, out, err) = world.breaks(&id, "otto");
    assert_eq!(code, Some(0), "{err}");
    assert!(out.contains("is approved") && out.contains("its glass is broken by `otto`"), "{out}");
    assert_eq!(said(&client.call(2, "effect", json!({ "key": "one" }))).0, "none");
    assert_eq!(said(&client.call(3, "effect", json!({ "key": "one" }))), pending(), "once");
    assert!(client.close().success());
    assert_eq!(world.effects().len(), 1);

    let found = world.glasses(&[]);
    let [exception] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!((&exception["owner"], &exception["state"]), (&json!("leads"), &json!("opened")));
    assert!(exception["reason"].as_str().unwrap().contains("INC-4711"), "{exception}");
    assert!(exception["scope"].as_str().unwrap().contains(&id), "{exception}");
    let exception = exception["exception"].as_str().unwrap();
    let (code, _, err) = world.run(&["exceptions", "review", exception, "--note", "fine"]);
    assert_eq!(code, Some(1), "nobody signed");
    assert!(err.contains("groups that were skipped"), "{err}");
    assert_eq!(world.on_exception("review", exception, "otto").0, Some(1), "he broke it");
    assert_eq!(world.on_exception("close", exception, "bea").0, Some(1), "nobody has reviewed it");
    let (code, _, err) = world.on_exception("review", exception, "bea");
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(world.on_exception("close", exception, "otto").0, Some(1));
    assert_eq!(world.on_exception("close", exception, "bea").0, Some(0));
    assert!(world.glasses(&[]).is_empty());
    let (code, _, err) = world.run(&[
        "exceptions",
        "open",
        "--kind",
        "break_glass",
        "--scope",
        "s",
        "--owner",
        "o",
        "--reason",
        "r",
        "--until",
        "2099-12-31",
    ]);
    assert_eq!(code, Some(1), "{err}");
    world.0.assert_verified();
}

#[test]
fn no_more_glass_is_broken_while_a_review_is_overdue() {
    let world = world("glasses", "break_glass = { group = \"oncall\", review_within = \"1s\" }");
    world.enrol(&["bea", "otto"]);
    let mut client = world.open();
    assert_eq!(said(&client.call(1, "effect", json!({ "key": "one" }))), pending());
    assert_eq!(world.breaks(&world.asked(), "otto").0, Some(0));
    let look = || {
        let found = world.glasses(&["--overdue"]);
        let id = found.first().and_then(|found| found["exception"].as_str().map(str::to_owned));
        id.ok_or_else(|| "none yet".to_owned())
    };
    let overdue = testkit::wait::until("an overdue review", PATIENCE, look).unwrap();
    assert_eq!(said(&client.call(2, "effect", json!({ "key": "two" }))), pending());
    let second = world.asked();
    let (code, _, err) = world.breaks(&second, "otto");
    assert_eq!(code, Some(1));
    assert!(err.contains("its review is overdue"), "{err}");
    assert_eq!(world.0.records("kind:approval").len(), 1, "the refusal is evidence");
    assert_eq!(world.on_exception("review", &overdue, "bea").0, Some(0));
    assert_eq!(world.on_exception("close", &overdue, "bea").0, Some(0));
    let (code, _, err) = world.breaks(&second, "otto");
    assert_eq!(code, Some(0), "{err}");
    assert!(client.close().success());
    world.0.assert_verified();
}
