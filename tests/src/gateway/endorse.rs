//! Endorsements: people say once that one value is good in one argument, and calls with it are not asked about who named it, until that lapses.

use std::io::Write as _;
use std::process::{Command, Stdio};

use evidence::record::{Body, Context, DecisionRecord, Draft, Effect, Origin, TargetOrigin};
use serde_json::{Value, json};
use store::{Ledger, Options};

use super::approvals::{Gated, PASSPHRASE, denied, pending, said};
use super::bridges::{Client, PATIENCE};
use super::standing::PEOPLE;

pub(super) const MISSION: &str = r#"
mission = "effects"
goal = "Leave effects."
owner = "olga@corp.example"
agents = ["bot"]
until = 2099-01-01
why = "First version."
[allow.mcp.up.effect]
key = { free = true, target = true }
amount = { min = 0, max = 10000, optional = true }
[danger.large]
when = "mcp:up/effect"
over = { amount = 100 }
gate = "pay"
[data]
untrusted-target = { else = "ask", gate = "pay" }
[gate.pay]
group = "leads"
need = 2
hold = "1s"
standing = { for = "1h", uses = 5 }
"#;

/// An account that nobody named.
pub(super) const VALUE: &str = "AT611904300234573201";

pub(super) const ENDORSE: [&str; 9] =
    ["endorse", "--mission", "effects", "--tool", "mcp:up/effect", "--field", "key", "--until", "2099-01-01"];

/// What a command says that is given `input`: exit code, output and errors.
pub(super) fn said_by(mut command: Command, input: &str) -> (Option<i32>, String, String) {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // One that reads nothing may have ended.
    let _unread = child.stdin.take().unwrap().write_all(input.as_bytes());
    let out = child.wait_with_output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (out.status.code(), text(out.stdout), text(out.stderr))
}

impl Gated {
    /// Asks people to endorse `value`; gives exit code, the approval and errors.
    fn endorse(&self, args: &[&str], value: &str) -> (Option<i32>, String, String) {
        let args = [args, &["--why", "ACME, checked by telephone."]].concat();
        let mut command = self.0.command(&args);
        command.env("COUNTERSIGN_PASSPHRASE", PASSPHRASE);
        let (code, out, err) = said_by(command, &format!("{value}\n"));
        (code, out.split(' ').next().unwrap_or_default().to_owned(), err)
    }

    fn endorsements(&self) -> Vec<Value> {
        let (code, out, err) = self.run(&["endorsements", "--json"]);
        assert_eq!(code, Some(0), "{err}");
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn both(&self, approval: &str) {
        for person in ["ana", "bea"] {
            let (code, out, err) = self.say("approve", approval, person);
            assert_eq!(code, Some(0), "{out} {err}");
        }
    }

    /// What was decided about calls that were let go on at once.
    fn allowed(&self) -> Vec<DecisionRecord> {
        let records = self.0.records("type:decision_record tool:mcp:up/effect");
        let of = |body| if let Body::Decision(decision) = body { Some(decision) } else { None };
        let decisions = records.into_iter().filter_map(|record| of(record.body));
        decisions.filter(|decision| decision.effect == Effect::Allow).collect()
    }
}

fn ran() -> (String, String) {
    ("none".to_owned(), "none".to_owned())
}

/// With an amount, since the danger zone holds calls without one.
fn to(key: &str) -> Value {
    json!({ "key": key, "amount": 100 })
}

#[test]
fn an_endorsed_value_is_good_in_its_argument_until_it_is_withdrawn() {
    let world = Gated::with("endorse", MISSION, PEOPLE);
    world.enrol(&["ana", "bea", "olga"]);
    let mut client = world.open();
    assert_eq!(said(&client.call(1, "effect", to(VALUE))), pending());
    let asked = world.asked();
    assert_eq!(world.run(&["approvals", "release", &asked, "--why", "not now"]).0, Some(0));
    let (code, endorsement, err) = world.endorse(&ENDORSE, VALUE);
    assert_eq!(code, Some(0), "{err}");
    // Those who are asked see the value; whoever reads the ledger does not.
    let (_, shown, _) = world.run(&["approvals", "show", &endorsement, "--format", "table"]);
    assert!(shown.contains("asks people to endorse one value of `key` in calls of `mcp:up/effect`"), "{shown}");
    assert!(shown.contains(&format!("value = \"{VALUE}\"")), "{shown}");
    let [open] = &world.endorsements()[..] else { panic!("one is asked for") };
    assert_eq!((&open["endorses"], &open["state"]), (&json!("key"), &json!("open")));
    // Half of the answers endorse nothing, and neither does its own owner's.
    assert_eq!(world.say("approve", &endorsement, "ana").0, Some(0));
    assert_eq!(world.say("approve", &endorsement, "olga").0, Some(1));
    assert_eq!(said(&client.call(2, "effect", to(VALUE))), pending());
    assert_eq!(world.say("approve", &endorsement, "bea").0, Some(0));

    // The server itself takes no key with spaces.
    let (spaced, amount) = ("AT61 1904 3002 3457 3201", json!({ "key": VALUE, "amount": 50 }));
    assert_eq!(said(&client.call(3, "effect", amount)), ran());
    assert_eq!(said(&client.call(4, "effect", to(spaced))), ran(), "an identifier with other spaces");
    // Another value, and what another rule asks about.
    assert_eq!(said(&client.call(5, "effect", to("DE89370400440532013000"))), pending());
    assert_eq!(said(&client.call(6, "effect", json!({ "key": VALUE, "amount": 101 }))), pending(), "a danger zone");
    let view = world.run(&["approvals", "list", "--format", "json"]).1;
    assert!(view.contains("argument `key` is endorsed by ana and bea until "), "{view}");

    // A killed gateway knows it.
    let mut client = world.after_a_crash(client, || {});
    assert_eq!(said(&client.call(1, "effect", json!({ "key": VALUE, "amount": 7 }))), ran());
    let (code, out, err) = world.run(&["endorse", "--withdraw", &endorsement, "--why", "ACME has a new bank"]);
    assert!(code == Some(0) && out.contains("withdrawn"), "{err}");
    assert_eq!(said(&client.call(2, "effect", json!({ "key": VALUE, "amount": 8 }))), pending());
    assert!(world.endorsements().is_empty());
    assert_eq!(world.run(&["endorse", "--withdraw", &endorsement, "--why", "again"]).0, Some(1));
    assert!(client.close().success());
    assert_eq!(world.effects().len(), 2);

    let allowed = world.allowed();
    assert_eq!(allowed.len(), 3);
    for decision in &allowed {
        let [traced] = decision.input.provenance.as_slice() else { panic!("{decision:?}") };
        assert_eq!((traced.origin, &*traced.argument), (Origin::Endorsed, "key"));
        let source = traced.source.as_deref().unwrap();
        assert!(
            source.starts_with("ana and bea until ") && source.ends_with(&format!("(approval {endorsement})")),
            "{source}"
        );
        assert!(
            decision.sentence.contains("argument `key` is endorsed by ana and bea until "),
            "{}",
            decision.sentence
        );
        assert!(decision.approval.is_none() && decision.gates.is_empty(), "no question was used: {decision:?}");
    }
    let approvals = format!("{:?}", world.0.records("type:approval_record"));
    // Not four digits of it, which any digest may have.
    let is_told = [VALUE, spaced].iter().any(|value| approvals.contains(value));
    assert!(!is_told, "the value is in no record of the endorsement");
    world.0.assert_verified();
}

#[test]
fn an_endorsement_ends_with_its_givers_and_its_rules_and_not_everything_is_asked_for() {
    let world = Gated::with("endorse-ends", MISSION, PEOPLE);
    world.enrol(&["ana", "bea", "carl"]);
    let mut client = world.open();
    let with =
        |from: &str, to: &'static str| ENDORSE.map(|arg| if arg == from { to.to_owned() } else { arg.to_owned() });
    for (from, to, value, why) in [
        ("effects", "others", VALUE, "no mission `others`"),
        ("mcp:up/effect", "mcp:up/*", VALUE, "not one tool"),
        ("2099-01-01", "2001-01-01", VALUE, "`until` is over"),
        ("2099-01-01", "tomorrow", VALUE, "is no day"),
        ("key", "", VALUE, "not an argument"),
        ("key", "key", "", "gives no value"),
        ("key", "key", "ACME\u{200b}", "nothing hidden"),
    ] {
        let args = with(from, to);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let (code, out, err) = world.endorse(&args, value);
        assert!(code != Some(0) && err.contains(why), "{to} {value}: {code:?} {out} {err}");
    }
    let (code, endorsement, err) = world.endorse(&ENDORSE, VALUE);
    assert_eq!(code, Some(0), "{err}");
    world.both(&endorsement);
    assert_eq!(said(&client.call(1, "effect", to(VALUE))), ran());
    // Somebody who gave it may not any more; and may again.
    let people = world.0.scratch.join("home/people.toml");
    std::fs::write(&people, PEOPLE.replace("leads = [\"ana\", ", "leads = [").replace("First", "Second")).unwrap();
    assert_eq!(world.run(&["people", "list"]).0, Some(0));
    assert_eq!(said(&client.call(2, "effect", json!({ "key": VALUE, "amount": 1 }))), pending());
    std::fs::write(&people, PEOPLE.replace("First", "Third")).unwrap();
    assert_eq!(world.run(&["people", "list"]).0, Some(0));
    assert_eq!(said(&client.call(3, "effect", json!({ "key": VALUE, "amount": 2 }))), ran());
    // Under other rules for the tool it is asked for anew.
    let run = world.0.records("type:request_context")[0].correlation.run.unwrap().to_string();
    assert!(client.close().success());
    let wider = MISSION.replace("max = 10000", "max = 20000").replace("First", "Second");
    let file = world.0.scratch.join("mission.toml");
    std::fs::write(&file, wider).unwrap();
    assert_eq!(world.run(&["mission", "apply", file.to_str().unwrap()]).0, Some(0));
    let mut client = world.0.bridge(&["--run", &run]);
    client.open();
    assert_eq!(said(&client.call(1, "effect", json!({ "key": VALUE, "amount": 3 }))), pending());
    assert!(client.close().success());
    assert_eq!(world.effects().len(), 2);
    world.0.assert_verified();
}

#[test]
fn an_endorsement_ends_with_the_definition_that_people_were_asked_about() {
    let world = Gated::with("endorse-pins", MISSION, PEOPLE);
    world.enrol(&["ana", "bea"]);
    let definitions = world.0.scratch.join("definitions");
    let lists = |description: &str| {
        let tool = json!([{ "name": "effect", "description": description, "inputSchema": { "type": "object" } }]);
        std::fs::write(&definitions, tool.to_string()).unwrap();
    };
    lists("Pays.");
    let mut client = world.0.bridge_to(&[], &["--definitions", definitions.to_str().unwrap()]);
    client.open();
    let mut number = 0;
    let mut pays = |client: &mut Client| {
        number += 1;
        said(&client.call(number, "effect", json!({ "key": VALUE, "amount": number })))
    };
    let (code, unpinned, err) = world.endorse(&ENDORSE, VALUE);
    assert_eq!(code, Some(0), "{err}");
    world.both(&unpinned);
    assert_eq!(pays(&mut client), ran());
    // The definition was seen by nobody yet; once it is, it is another one than none.
    assert!(client.ask(100, "tools/list", json!({})).to_string().contains("Pays."));
    assert_eq!(pays(&mut client), pending());
    let (_, endorsement, _) = world.endorse(&ENDORSE, VALUE);
    world.both(&endorsement);
    assert_eq!(pays(&mut client), ran());

    lists("Pays, and tells everybody.");
    assert!(!client.ask(101, "tools/list", json!({})).to_string().contains("everybody"));
    assert_eq!(pays(&mut client), denied("definition_refused"));
    // What was accepted is listed again: the endorsement is as good as before.
    lists("Pays.");
    client.ask(102, "tools/list", json!({}));
    assert_eq!(pays(&mut client), ran());
    lists("Pays, and tells everybody.");
    client.ask(103, "tools/list", json!({}));
    assert_eq!(world.run(&["tools", "pin", "mcp:up/effect", "--why", "read it"]).0, Some(0));
    assert_eq!(pays(&mut client), pending(), "another definition was accepted");
    assert!(client.close().success());
    assert_eq!(world.effects().len(), 3);
    world.0.assert_verified();
}

#[test]
fn a_decision_that_claims_an_endorsement_which_there_was_not_is_found() {
    let world = Gated::with("endorse-forged", MISSION, PEOPLE);
    world.enrol(&["ana", "bea"]);
    let mut client = world.open();
    let (code, endorsement, err) = world.endorse(&ENDORSE, VALUE);
    assert_eq!(code, Some(0), "{err}");
    world.both(&endorsement);
    assert_eq!(said(&client.call(1, "effect", to(VALUE))), ran());
    rustix::process::kill_process(world.0.gateway_pid(), rustix::process::Signal::KILL).unwrap();
    client.process.wait(PATIENCE).unwrap();
    world.0.assert_verified();

    // Whoever has the log's key writes what is well-formed and was never said.
    let records = world.0.records("type:decision_record tool:mcp:up/effect decision:allow");
    let [genuine] = &records[..] else { panic!("one call ran: {records:?}") };
    let Body::Decision(decision) = &genuine.body else { panic!("{genuine:?}") };
    let forged = |change: &dyn Fn(&mut DecisionRecord, &mut Context)| {
        let (mut decision, correlation) = (decision.clone(), genuine.correlation.clone());
        let mut context = Context {
            agent: genuine.agent.clone(),
            context: correlation.context,
            initiator: genuine.initiator.clone(),
            mission: correlation.mission,
            run: correlation.run,
        };
        change(&mut decision, &mut context);
        Draft::new(context.into(), correlation.call, genuine.occurred_at, decision)
    };
    fn traced(decision: &mut DecisionRecord) -> &mut TargetOrigin {
        decision.input.provenance.first_mut().unwrap()
    }
    let drafts = vec![
        forged(&|_, _| {}),
        forged(&|decision, _| traced(decision).argument = "other".into()),
        forged(&|decision, _| traced(decision).source = Some("ana and bea".into())),
        forged(&|decision, _| decision.policy.slice_sha256 = Some("00".repeat(32).into())),
        forged(&|_, context| context.mission = Some("others".into())),
        forged(&|_, context| context.initiator.name = "ana".into()),
    ];
    let ledger = Ledger::open(&world.0.scratch.join("home"), Options::default()).unwrap();
    let receipts = ledger.append_blocking(drafts).unwrap();
    ledger.close_blocking().unwrap();
    let (code, out, _) = world.run(&["verify", "--ledger", "--replay"]);
    assert_eq!(code, Some(1), "{out}");
    let told = |seq: u64| {
        let lines = out.lines().filter(|line| line.contains("no endorsement before it is in force"));
        lines.into_iter().any(|line| line.contains(&format!("(record {seq})")))
    };
    let found: Vec<bool> = receipts.iter().map(|receipt| told(receipt.seq)).collect();
    assert_eq!(found, [false, true, true, true, true, true], "{out}");
}
