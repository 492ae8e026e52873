//! Standing grants: people answer once for calls that meet conditions, and then those run without being asked about, until the grant lapses, is used up or is taken back.

use evidence::record::approval::ApprovalEvent;
use evidence::record::{Body, DecisionPoint, Effect};
use serde_json::{Value, json};

use super::approvals::{Gated, denied, pending, said};

pub(super) const MISSION: &str = r#"
mission = "effects"
goal = "Leave effects."
owner = "olga@corp.example"
agents = ["bot"]
until = 2099-01-01
why = "First version."
[allow.mcp.up.effect]
key = { free = true }
amount = { min = 0, max = 10000, optional = true }
[danger.effects]
when = "mcp:up/effect"
gate = "pay"
[gate.pay]
group = "leads"
need = 2
hold = "1s"
standing = { for = "1h", uses = 5 }
"#;

pub(super) const PEOPLE: &str = r#"
why = "First version."
[person.ana]
[person.bea]
[person.carl]
[person.olga]
also = ["olga@corp.example"]
[group]
leads = ["ana", "bea", "carl", "olga"]
"#;

pub(super) const GRANT: &str = r#"
grant   = "rent"
mission = "effects"
gates   = ["pay"]
agents  = ["bot"]
uses    = 3
until   = 2099-01-01
why     = "The rent, every month."
total   = { amount = 2_000 }
[allow.mcp.up.effect]
key    = { in = ["rent"] }
amount = { min = 0, max = 1_200 }
"#;

impl Gated {
    /// Asks for a standing grant; gives exit code, the approval and errors.
    fn grant(&self, text: &str) -> (Option<i32>, String, String) {
        let file = self.0.scratch.join("grant.toml");
        std::fs::write(&file, text).unwrap();
        let (code, out, err) = self.run(&["approvals", "grant", file.to_str().unwrap()]);
        (code, out.split(' ').next().unwrap_or_default().to_owned(), err)
    }

    /// Two persons approve it.
    fn approved(&self, approval: &str) {
        for person in ["ana", "bea"] {
            let (code, out, err) = self.say("approve", approval, person);
            assert_eq!(code, Some(0), "{out} {err}");
        }
    }
}

fn pays(amount: u32) -> Value {
    json!({ "key": "rent", "amount": amount })
}

/// What is said of a call that runs.
fn ran() -> (String, String) {
    ("none".to_owned(), "none".to_owned())
}

#[test]
fn calls_that_meet_the_conditions_run_and_all_others_are_asked_about() {
    let world = Gated::with("standing", MISSION, PEOPLE);
    world.enrol(&["ana", "bea"]);
    let mut client = world.open();
    let (code, grant, err) = world.grant(GRANT);
    assert_eq!(code, Some(0), "{err}");
    let (_, shown, _) = world.run(&["approvals", "show", &grant, "--format", "json"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    let sentence = shown["shown"]["sentence"].as_str().unwrap();
    assert!(
        sentence.contains("up to 3 calls of `mcp:up/effect`") && sentence.contains("2000 of `amount`"),
        "{sentence}"
    );

    // It covers nothing before both have said yes, and no answer to it is one to the call that waits.
    assert_eq!(said(&client.call(1, "effect", pays(1_000))), pending());
    let open = world.open_approvals();
    let waiting = open.iter().find(|id| **id != grant).unwrap().clone();
    assert_eq!(world.say("deny", &waiting, "ana").0, Some(0));
    world.approved(&grant);
    assert_eq!(
        said(&client.call(2, "effect", pays(1_000))),
        denied("approval_denied"),
        "a no to this very call stands"
    );

    assert_eq!(said(&client.call(3, "effect", pays(1_200))), ran());
    assert_eq!(said(&client.call(4, "effect", pays(700))), ran());
    // Another key, a larger amount, no amount, and a sum beyond the total: each is asked about.
    for (number, arguments) in
        [(5, json!({ "key": "bonus", "amount": 1 })), (6, pays(1_201)), (7, json!({ "key": "rent" })), (8, pays(101))]
    {
        assert_eq!(said(&client.call(number, "effect", arguments.clone())), pending(), "{arguments}");
    }
    // The same amount again is a call of its own: its outcome was delivered. It is the last use, and fits.
    assert_eq!(said(&client.call(9, "effect", pays(100))), ran());
    assert_eq!(said(&client.call(10, "effect", pays(0))), pending(), "used up");
    assert!(client.close().success());
    assert_eq!(world.effects().len(), 3);

    // Every use says which grant, and what its conditions saw.
    let records = world.0.records("type:approval_record");
    let uses = records.iter().filter_map(|record| match &record.body {
        Body::Approval(approval) if approval.event == ApprovalEvent::Consumed => Some((record, approval)),
        _ => None,
    });
    let uses: Vec<_> = uses.collect();
    assert_eq!(uses.iter().map(|(_, used)| used.used.unwrap()).collect::<Vec<_>>(), [1, 2, 3]);
    for (record, used) in uses {
        assert_eq!(used.approval.to_string(), grant);
        assert_eq!(used.facets.iter().map(|facet| &*facet.argument).collect::<Vec<_>>(), ["amount", "key"]);
        let filter = format!("call:{} type:decision_record", record.correlation.call.unwrap());
        let decisions = world.0.records(&filter);
        let Body::Decision(decision) = &decisions[0].body else { panic!("{decisions:?}") };
        assert_eq!((decision.point, decision.effect), (DecisionPoint::Use, Effect::Allow));
        assert_eq!(used.covers_sha256.as_ref(), Some(&decision.input.call_sha256));
    }
    world.0.assert_verified();
}

#[test]
fn a_grant_ends_with_its_tool_its_rules_its_givers_and_when_it_is_taken_back() {
    let world = Gated::with("standing-ends", MISSION, PEOPLE);
    world.enrol(&["ana", "bea", "carl"]);
    let mut client = world.open();
    let (_, grant, err) = world.grant(GRANT);
    world.approved(&grant);
    assert_eq!(said(&client.call(1, "effect", pays(1))), ran(), "{err}");

    // Somebody who gave it may not any more; and may again.
    let people = world.0.scratch.join("home/people.toml");
    std::fs::write(&people, PEOPLE.replace("leads = [\"ana\", ", "leads = [").replace("First", "Second")).unwrap();
    assert_eq!(world.run(&["people", "list"]).0, Some(0));
    assert_eq!(said(&client.call(2, "effect", pays(2))), pending());
    std::fs::write(&people, PEOPLE.replace("First", "Third")).unwrap();
    assert_eq!(world.run(&["people", "list"]).0, Some(0));
    assert_eq!(said(&client.call(3, "effect", pays(3))), ran());

    let (code, _, err) = world.run(&["approvals", "revoke", &grant, "--why", "the lease ended"]);
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(said(&client.call(4, "effect", pays(4))), pending());

    // One that other rules were asked for covers nothing under these.
    let (_, other, err) = world.grant(GRANT);
    world.approved(&other);
    assert_eq!(said(&client.call(5, "effect", pays(5))), ran(), "{err}");
    let run = world.0.records("type:request_context")[0].correlation.run.unwrap().to_string();
    assert!(client.close().success());
    let wider = MISSION.replace("max = 10000", "max = 20000").replace("First", "Second");
    let file = world.0.scratch.join("mission.toml");
    std::fs::write(&file, wider).unwrap();
    assert_eq!(world.run(&["mission", "apply", file.to_str().unwrap()]).0, Some(0));
    let mut client = world.0.bridge(&["--run", &run]);
    client.open();
    assert_eq!(said(&client.call(6, "effect", pays(6))), pending());
    assert!(client.close().success());
    assert_eq!(world.effects().len(), 3);
    world.0.assert_verified();
}

#[test]
fn a_grant_outlives_a_crash_with_what_it_has_spent() {
    let world = Gated::with("standing-crash", MISSION, PEOPLE);
    world.enrol(&["ana", "bea"]);
    let mut client = world.open();
    let (_, grant, err) = world.grant(GRANT);
    world.approved(&grant);
    assert_eq!(said(&client.call(1, "effect", pays(1_200))), ran(), "{err}");
    let mut client = world.after_a_crash(client, || {});
    assert_eq!(said(&client.call(1, "effect", pays(801))), pending(), "beyond the total");
    assert_eq!(said(&client.call(2, "effect", pays(800))), ran());
    assert_eq!(said(&client.call(3, "effect", pays(0))), ran());
    assert_eq!(said(&client.call(4, "effect", pays(0))), pending(), "used up");
    assert!(client.close().success());
    assert_eq!(world.effects().len(), 3);
    world.0.assert_verified();
}

#[test]
fn what_no_gate_gives_is_not_asked_for() {
    let world = Gated::with("standing-not", MISSION, PEOPLE);
    world.enrol(&["ana", "bea", "olga"]);
    let mut client = world.open();
    for (from, to, why) in [
        ("uses    = 3", "uses    = 6", "5 calls at most"),
        ("gates   = [\"pay\"]", "gates   = [\"play\"]", "no gate `play`"),
        ("mission = \"effects\"", "mission = \"other\"", "no mission `other`"),
        ("agents  = [\"bot\"]", "agents  = [\"bat\"]", "no agent `bat`"),
        ("until   = 2099-01-01", "until   = 2001-01-01", "`until` is over"),
        ("uses    = 3", "", "`uses` is missing"),
        ("min = 0, max = 1_200", "max = 1_200, per_day = 5000, min = 0", "a sum by period"),
        ("[allow.mcp.up.effect]", "[allow.mcp.up.other]\na = { free = true }\n[allow.mcp.up.effect]", "about one tool"),
        ("key    = { in = [\"rent\"] }\namount = { min = 0, max = 1_200 }\n", "", "with any arguments"),
        ("min = 0, max", "min = -5, max", "below zero"),
        ("amount = 2_000", "amunt = 2_000", "did you mean `amount`?"),
    ] {
        let (code, out, err) = world.grant(&GRANT.replace(from, to));
        assert!(code != Some(0) && err.contains(why), "{to}: {code:?} {out} {err}");
    }
    assert!(world.open_approvals().is_empty());
    // Whoever asks for it, and whoever answers for the mission, do not answer; neither is it edited, nor does anybody break glass for it.
    let (_, grant, _) = world.grant(GRANT);
    let (code, _, err) = world.say("approve", &grant, "olga");
    assert!(code == Some(1) && err.contains("answers for the mission"), "{err}");
    let key = world.key("ana");
    let edit = ["approvals", "edit", &grant, "--arguments", "{}", "--why", "x", "--key", key.to_str().unwrap()];
    let (code, _, err) = world.run(&edit);
    assert!(code != Some(0) && err.contains("arguments"), "{err}");
    assert_eq!(said(&client.call(1, "effect", pays(1))), pending());
    assert!(client.close().success());
    world.0.assert_verified();
}
