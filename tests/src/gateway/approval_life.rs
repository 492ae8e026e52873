//! What happens to a question over time: people are reminded, more are added, too few are left; emergencies; questions that are taken back; several at once; delegates.

use evidence::record::approval::ApprovalEvent;
use serde_json::{Value, json};

use super::approvals::{Gated, denied, pending, said};
use super::bridges::PATIENCE;
use super::notify::{Receiver, SECRET};

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
fn whom_broken_glass_skipped_is_told_by_name() {
    let people = PEOPLE.replace("[person.bea]", "[person.bea]\nname = \"Bea Brandt\"\n[person.eva]");
    let people = people.replace("[\"ana\", \"bea\", \"olga\"]", "[\"ana\", \"bea\", \"eva\", \"olga\"]");
    let mission = format!("{MISSION}need = 2\nbreak_glass = {{ group = \"oncall\" }}\n");
    let (world, receiver) = (Gated::with("glass-told", &mission, &people), Receiver::start(&[]));
    world.enrol(&["eva", "otto"]);
    std::fs::write(world.0.scratch.join("secret"), SECRET).unwrap();
    let notify = "secret = { file = \"secret\" }\nevents = [\"approval.resolved\"]\ngroups = [\"leads\"]\n";
    let served = world.serve_with(&format!("[notify.own]\nurl = \"http://{}/hook\"\n{notify}", receiver.address));
    let mut client = world.open();
    assert_eq!(said(&client.call(1, "effect", json!({ "key": "one" }))), pending());
    let id = world.asked();
    assert_eq!(world.say("approve", &id, "eva").0, Some(0));
    assert_eq!(world.breaks(&id, "otto").0, Some(0));
    let told = receiver.sent(1)[0].json();
    let data = &told["data"];
    assert_eq!((&data["approval"], &data["broken_glass"]), (&json!(id), &json!(["default"])), "{told}");
    // Eva was heard, and the mission's owner may not answer.
    assert_eq!(data["skipped"], json!(["ana", "Bea Brandt"]), "{told}");
    assert!(client.close().success());
    served.stop();
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

#[test]
fn whoever_asked_takes_the_question_back_and_gives_back_what_was_granted() {
    let world = world("release", "");
    world.enrol(&["bea"]);
    let mut client = world.open();
    let mut ask = |id, key: &str| said(&client.call(id, "effect", json!({ "key": key })));
    // The question.
    assert_eq!(ask(1, "one"), pending());
    let question = world.asked();
    let (code, out, err) = world.run(&["approvals", "release", &question, "--why", "not needed"]);
    assert_eq!((code, out.contains("withdrawn")), (Some(0), true), "{out} {err}");
    assert_eq!(world.say("approve", &question, "bea").0, Some(1), "nobody is asked any more");
    // What was granted.
    assert_eq!(ask(2, "two"), pending());
    let granted = world.asked();
    assert_eq!(world.run(&["approvals", "release", &granted, "--why", ""]).0, Some(2), "without a word");
    assert_eq!(world.say("approve", &granted, "bea").0, Some(0));
    let (code, out, err) = world.run(&["approvals", "release", &granted, "--why", "not needed"]);
    assert_eq!((code, out.contains("released")), (Some(0), true), "{out} {err}");
    assert_eq!(ask(3, "two"), denied("approval_revoked"));
    assert_eq!(world.run(&["approvals", "release", &granted, "--why", "again"]).0, Some(1));
    assert!(client.close().success());
    // Somebody else's.
    let mut other = world.0.bridge(&["--initiator", "dora"]);
    other.open();
    assert_eq!(said(&other.call(1, "effect", json!({ "key": "three" }))), pending());
    let (code, _, err) = world.run(&["approvals", "release", &world.asked(), "--why", "not needed"]);
    assert_eq!(code, Some(1));
    assert!(err.contains("acts for `dora`"), "{err}");
    assert!(other.close().success());
    assert!(world.effects().is_empty());
    world.0.assert_verified();
}

#[test]
fn the_end_of_a_run_takes_its_questions_and_grants_with_it() {
    let world = world("ended", "");
    world.enrol(&["bea"]);
    let mut client = world.open();
    let mut approved = |id, key: &str| {
        assert_eq!(said(&client.call(id, "effect", json!({ "key": key }))), pending());
        let approval = world.asked();
        assert_eq!(world.say("approve", &approval, "bea").0, Some(0));
        approval
    };
    let (used, granted) = (approved(1, "used"), approved(2, "one"));
    assert_eq!(said(&client.call(3, "effect", json!({ "key": "used" }))).0, "none");
    assert_eq!(said(&client.call(4, "effect", json!({ "key": "two" }))), pending());
    let question = world.asked();
    let mut other = world.0.bridge(&["--new-run"]);
    other.open();
    assert_eq!(said(&other.call(1, "effect", json!({ "key": "two" }))), pending());
    let run = world.0.records("type:request_context")[0].correlation.run.unwrap().to_string();
    assert_eq!(world.run(&["run", "end", &run, "--why", "done for today"]).0, Some(0));
    let state = |approval: &str| {
        let (_, out, _) = world.run(&["approvals", "show", approval, "--format", "json"]);
        serde_json::from_str::<Value>(&out).unwrap()["approval"]["state"].clone()
    };
    assert_eq!((state(&granted), state(&question)), (json!("released"), json!("withdrawn")));
    assert_eq!(state(&used), json!("used"));
    assert_ne!(world.asked(), question, "the other run's is open");
    assert!(client.close().success());
    assert!(other.close().success());
    assert_eq!(world.effects().len(), 1);
    world.0.assert_verified();
}

#[test]
fn identical_questions_of_several_runs_are_one_line_and_one_command_answers_them() {
    let world = world("same", "");
    world.enrol(&["bea"]);
    let mut clients: Vec<_> = (0..3).map(|_| world.0.bridge(&["--new-run"])).collect();
    for client in &mut clients {
        client.open();
        assert_eq!(said(&client.call(1, "effect", json!({ "key": "one" }))), pending());
    }
    assert_eq!(said(&clients[0].call(2, "effect", json!({ "key": "other" }))), pending());
    let open = world.open_approvals();
    assert_eq!(open.len(), 4);
    let (_, csv, _) = world.run(&["approvals", "list", "--format", "csv"]);
    let (_, table, _) = world.run(&["approvals", "list", "--format", "table"]);
    assert!(table.contains(&open[0]) && !table.contains(&open[1]) && table.contains(&open[3]), "{table} {csv}");
    let key = world.key("bea");
    let answer = |args: &[&str]| world.run(&[args, &["--why", "one invoice", "--key", key.to_str().unwrap()]].concat());
    let (code, out, err) = answer(&["approvals", "approve", &open[0], "--same"]);
    assert_eq!((code, out.matches("is approved").count()), (Some(0), 3), "{out} {err}");
    assert_eq!(world.open_approvals(), [open[3].clone()]);
    // One that is over among several: the others are answered, and the exit code says that not all were.
    let (code, out, _) = answer(&["approvals", "deny", &open[0], &open[3]]);
    assert_eq!((code, out.matches("is denied").count()), (Some(1), 1), "{out}");
    for client in &mut clients {
        assert_eq!(said(&client.call(3, "effect", json!({ "key": "one" }))).0, "none");
    }
    for client in clients {
        assert!(client.close().success());
    }
    assert_eq!(world.effects().len(), 3);
    let reviews = world.0.records("type:approval_record");
    let nonces: std::collections::BTreeSet<String> = reviews
        .iter()
        .filter_map(|record| match &record.body {
            evidence::record::Body::Approval(approval) => approval.review.as_ref().map(|review| review.nonce.clone()),
            _ => None,
        })
        .collect();
    assert_eq!(nonces.len(), 4, "each answer has a signature of its own");
    world.0.assert_verified();
}

#[test]
fn a_delegate_answers_for_whoever_delegated_and_for_nothing_else() {
    let world = world("delegate", "need = 2");
    let people = world.0.scratch.join("home").join("people.toml");
    let more = "[[delegation]]\nfrom = \"bea\"\nto = \"carl\"\ngroups = [\"leads\"]\nnot_before = 2026-01-01\nuntil = 2026-12-31\n";
    std::fs::write(people, format!("{PEOPLE}{more}")).unwrap();
    world.enrol(&["ana", "bea", "carl", "dora"]);
    let mut client = world.open();
    assert_eq!(said(&client.call(1, "effect", json!({ "key": "one" }))), pending());
    let id = world.asked();
    let on_behalf = |person: &str, of: &str| {
        let key = world.key(person);
        let args = ["approvals", "approve", &id, "--why", "seen", "--on-behalf-of", of, "--key", key.to_str().unwrap()];
        world.run(&args)
    };
    assert_eq!(world.say("approve", &id, "carl").0, Some(1), "not in his own name");
    assert_eq!(on_behalf("dora", "bea").0, Some(1), "nothing was delegated to her");
    assert_eq!(on_behalf("carl", "ana").0, Some(1), "Ana has delegated nothing");
    let (code, out, err) = on_behalf("carl", "bea");
    assert_eq!((code, out.contains("is open")), (Some(0), true), "{out} {err}");
    assert_eq!(world.say("approve", &id, "bea").0, Some(1), "the two of them are one");
    let (code, out, err) = world.say("approve", &id, "ana");
    assert_eq!((code, out.contains("is approved")), (Some(0), true), "{out} {err}");
    assert_eq!(said(&client.call(2, "effect", json!({ "key": "one" }))).0, "none");
    assert!(client.close().success());
    assert_eq!(world.effects().len(), 1);
    world.0.assert_verified();
}
