//! Edited calls: a person proposes other arguments, the call does not run, its agent is told, and what is proposed is a call of its own that its editor does not answer.

use serde_json::{Value, json};

use super::approvals::{Gated, denied, pending, said};
use super::bridges::{Client, PATIENCE};

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

const PEOPLE: &str = r#"
why = "First version."
[person.ana]
[person.bea]
[person.olga]
also = ["olga@corp.example"]
[group]
leads = ["ana", "bea", "olga"]
"#;

impl Gated {
    /// A person proposes other arguments.
    pub(super) fn edit(&self, approval: &str, person: &str, arguments: &str) -> (Option<i32>, String, String) {
        let key = self.key(person);
        let why = "500 is the most without a contract";
        self.run(&[
            "approvals",
            "edit",
            approval,
            "--arguments",
            arguments,
            "--why",
            why,
            "--key",
            key.to_str().unwrap(),
        ])
    }
}

impl Gated {
    /// The gateway is killed, something happens, and the run goes on.
    pub(super) fn after_a_crash(&self, mut client: Client, meanwhile: impl FnOnce()) -> Client {
        let run = self.0.records("type:request_context")[0].correlation.run.unwrap().to_string();
        rustix::process::kill_process(self.0.gateway_pid(), rustix::process::Signal::KILL).unwrap();
        client.process.wait(PATIENCE).unwrap();
        meanwhile();
        let mut next = self.0.bridge(&["--run", &run]);
        next.open();
        next
    }
}

pub(super) fn proposed(answer: &Value) -> &str {
    answer["result"]["_meta"]["countersign.dev/refusal"]["proposed"].as_str().unwrap_or_default()
}

#[test]
fn what_is_proposed_is_told_and_is_a_call_of_its_own_that_its_editor_does_not_answer() {
    let world = Gated::with("edit", MISSION, PEOPLE);
    world.enrol(&["ana", "bea"]);
    let mut client = world.open();
    assert_eq!(said(&client.call(1, "effect", json!({ "key": "pay-900", "note": "rent" }))), pending());
    let first = world.asked();
    for (arguments, mend) in
        [("[1]", "one JSON object"), (r#"{ "note": "rent", "key": "pay-900" }"#, "the arguments that the call has")]
    {
        let (code, _, err) = world.edit(&first, "ana", arguments);
        assert!(code != Some(0) && err.contains(mend), "{arguments}: {code:?} {err}");
    }
    let (code, out, err) = world.edit(&first, "ana", r#"{"key":"pay-500","note":"rent"}"#);
    assert_eq!((code, out.contains("is edited")), (Some(0), true), "{out} {err}");

    // The agent is told, again and again, and nothing runs.
    for number in 2..4 {
        let answer = client.call(number, "effect", json!({ "key": "pay-900", "note": "rent" }));
        assert_eq!(said(&answer), denied("approval_edited"), "{answer}");
        assert_eq!(proposed(&answer), r#"{"key":"pay-500","note":"rent"}"#, "{answer}");
        let text = answer["result"]["content"][0]["text"].as_str().unwrap();
        assert!(text.contains("500 is the most") && text.ends_with(r#"{"key":"pay-500","note":"rent"}"#), "{text}");
    }
    let (code, _, err) = world.say("approve", &first, "bea");
    assert!(code == Some(1) && err.contains("the approval is edited"), "{err}");

    // What it makes of it is asked about anew, and whoever proposed it has no say, also where something is added to it.
    let answer = client.call(4, "effect", json!({ "key": "pay-500", "note": "rent for May" }));
    assert_eq!(said(&answer), pending(), "{answer}");
    let second = world.asked();
    assert_ne!(first, second);
    let (code, _, err) = world.say("approve", &second, "ana");
    assert!(code == Some(1) && err.contains("proposed its arguments"), "{err}");
    let (_, shown, _) = world.run(&["approvals", "show", &second, "--format", "json"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["shown"]["follows"]["editors"], json!(["ana"]));
    assert_eq!(shown["shown"]["follows"]["approval"], json!(first));
    let (_, shown, _) = world.run(&["approvals", "show", &first, "--format", "json"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["proposed"], json!(r#"{"key":"pay-500","note":"rent"}"#));
    assert_eq!(world.say("approve", &second, "bea").0, Some(0));
    let ran = client.call(5, "effect", json!({ "key": "pay-500", "note": "rent for May" }));
    assert!(ran["result"]["isError"] != json!(true), "{ran}");

    // Another call has nothing of it: who edited may answer.
    assert_eq!(said(&client.call(6, "effect", json!({ "key": "book" }))), pending());
    let third = world.asked();
    assert_eq!(world.say("approve", &third, "ana").0, Some(0));
    client.call(7, "effect", json!({ "key": "book" }));
    assert!(client.close().success());
    let effects = world.effects();
    let keys: Vec<_> = effects.iter().map(|line| line.split('\t').next().unwrap()).collect();
    assert_eq!(keys, ["pay-500", "book"]);
    world.0.assert_verified();
}

#[test]
fn a_proposal_is_known_after_a_crash_and_one_that_is_lost_leaves_its_editor_out_of_all() {
    let world = Gated::with("edit-crash", MISSION, PEOPLE);
    world.enrol(&["ana", "bea"]);
    let mut client = world.open();
    assert_eq!(said(&client.call(1, "effect", json!({ "key": "a" }))), pending());
    let first = world.asked();
    assert_eq!(world.edit(&first, "bea", r#"{"key":"b"}"#).0, Some(0));
    let mut client = world.after_a_crash(client, || {});
    let answer = client.call(1, "effect", json!({ "key": "a" }));
    assert_eq!((said(&answer), proposed(&answer)), (denied("approval_edited"), r#"{"key":"b"}"#), "{answer}");
    assert_eq!(said(&client.call(2, "effect", json!({ "key": "b" }))), pending());
    let second = world.asked();
    let (code, _, err) = world.say("approve", &second, "bea");
    assert!(code == Some(1) && err.contains("proposed its arguments"), "{err}");
    // What was proposed is not here any more.
    let mut client = world.after_a_crash(client, || {
        std::fs::remove_dir_all(world.0.scratch.join("home/attachments")).unwrap();
    });
    let answer = client.call(1, "effect", json!({ "key": "a" }));
    assert_eq!((said(&answer), proposed(&answer)), (denied("approval_edited"), ""), "{answer}");
    assert_eq!(said(&client.call(2, "effect", json!({ "key": "c" }))), pending());
    let asked = world.open_approvals();
    let [_, third] = asked.as_slice() else { panic!("{asked:?}") };
    let (code, _, err) = world.say("approve", third, "bea");
    assert!(code == Some(1) && err.contains("proposed its arguments"), "{err}");
    assert!(client.close().success());
    assert!(world.effects().is_empty());
    world.0.assert_verified();
}
