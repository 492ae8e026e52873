//! Tokens that turn back, against the real gateway and a real server: the agent never has the value, the tool that may have it does, rules and people judge the value, and the
//! evidence has both digests.

use std::os::unix::fs::PermissionsExt as _;

use evidence::leaf::sha256_hex;
use evidence::record::{ActionEvent, Body, DecisionPoint, Record};
use serde_json::{Value, json};

use super::approvals::{Gated, denied, pending, said};
use super::edits::proposed;

const VALUE: &str = "ann@corp.example";

const PEOPLE: &str = r#"
why = "First version."
[person.ana]
[person.bea]
[group]
leads = ["ana", "bea"]
"#;

/// The agent may leave effects for addresses of the house only, and what it echoes may be anything.
const MISSION: &str = r#"
mission = "effects"
goal = "Leave effects."
owner = "olga@corp.example"
agents = ["bot"]
until = 2099-01-01
why = "First version."
[allow.mcp.up]
slow_effect = {}
echo = {}
[allow.mcp.up.effect]
key = { email = ["*@corp.example"] }
note = { length = 20, optional = true }
[data]
pii = { to = ["mcp:up/effect", "mcp:up/slow_effect"], else = "deny", result = "token" }
LINES
"#;

const GATE: &str = r#"
[danger.effects]
when = "mcp:up/effect"
gate = "one"
[gate.one]
group = "leads"
respond_by = "1h"
grant = "10m"
hold = "1s"
"#;

fn world(name: &str, lines: &str) -> Gated {
    Gated::with(name, &MISSION.replace("LINES", lines), PEOPLE)
}

fn key(key: &str) -> Value {
    json!({ "key": key })
}

/// What the agent reads.
fn text(answer: &Value) -> &str {
    answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("{answer}"))
}

/// What the tool got, without when and by whom.
fn got(world: &Gated) -> Vec<String> {
    world.effects().iter().map(|line| line.split('\t').next().unwrap().to_owned()).collect()
}

/// The digests of the intents: of what the agent sent, and of what the tool got.
fn digests(records: &[Record]) -> Vec<(String, Option<String>)> {
    let intent = |record: &Record| match &record.body {
        Body::Action(action) if action.event == ActionEvent::Intent => {
            Some((action.args_sha256.clone(), action.sent_sha256.clone()))
        }
        _ => None,
    };
    records.iter().filter_map(intent).collect()
}

fn digest(key: &str) -> String {
    sha256_hex(self::key(key).to_string().as_bytes())
}

#[test]
fn the_tool_gets_the_value_and_the_agent_its_token() {
    let world = world("tokens", "");
    let mut client = world.open();
    let told = client.call(1, "effect", key(VALUE));
    let token = text(&told).to_owned();
    assert!(token.starts_with("tok_pii_email_") && token.ends_with("@token.invalid"), "{told}");
    assert!(!told.to_string().contains(VALUE), "{told}");
    // The rule is for addresses of the house: the token is judged as what it stands for.
    assert_eq!(text(&client.call(2, "effect", key(&token))), token);
    let inner = format!(r#"{{"to":"{token}","again":["{token}"]}}"#);
    assert_eq!(text(&client.call(3, "slow_effect", key(&inner))), inner);
    // What was sent with letters around it comes back so, and tells nothing.
    let bare = token.strip_suffix("@token.invalid").unwrap();
    let glued = client.call(4, "slow_effect", key(&format!("_{bare}/")));
    assert!(!glued.to_string().contains(VALUE), "{glued}");
    // Elsewhere it is a text, and no data of persons, which may not go there.
    assert_eq!(text(&client.call(5, "echo", json!({ "text": token }))), token);
    assert_eq!(said(&client.call(6, "echo", json!({ "text": VALUE }))), denied("data_not_cleared"));
    // What is none is a text.
    let mut forged = bare.to_owned();
    let last = forged.pop();
    forged.push(if last == Some('a') { 'b' } else { 'a' });
    assert_eq!(text(&client.call(7, "slow_effect", key(&forged))), forged);
    let refused = client.call(8, "effect", key(&forged));
    assert_eq!(said(&refused), denied("argument_unparsable"));
    assert_eq!(
        text(&refused),
        text(&client.call(9, "effect", key("no-address"))),
        "a forged token is told nothing else"
    );
    // A value that breaks the rule breaks it by its token too, and is not told.
    let eve = text(&client.call(10, "slow_effect", key("eve@attacker.example"))).to_owned();
    let refused = client.call(11, "effect", key(&eve));
    assert_eq!(said(&refused), denied("argument_out_of_bounds"));
    assert!(!refused.to_string().contains("attacker"), "{refused}");
    // A value keeps its class where nothing beside it says what it is.
    let dob = r#"{"dob":"1970-08-07"}"#;
    let named = client.call(12, "slow_effect", key(dob));
    let born: Value = serde_json::from_str(text(&named)).unwrap();
    let born = born["dob"].as_str().unwrap();
    assert_eq!(text(&client.call(13, "slow_effect", key(born))), born);
    assert!(client.close().success());

    let values = format!(r#"{{"to":"{VALUE}","again":["{VALUE}"]}}"#);
    assert_eq!(
        got(&world),
        [VALUE, VALUE, &values, &format!("_{VALUE}/"), &forged, "eve@attacker.example", dob, "1970-08-07"]
    );
    let records = world.0.records("(type:action_record or type:decision_record or type:exception_record)");
    assert_eq!(
        digests(&records),
        [
            (digest(VALUE), None),
            (digest(&token), Some(digest(VALUE))),
            (digest(&inner), Some(digest(&values))),
            (digest(&format!("_{bare}/")), Some(digest(&format!("_{VALUE}/")))),
            (sha256_hex(json!({ "text": token }).to_string().as_bytes()), None),
            (digest(&forged), None),
            (digest("eve@attacker.example"), None),
            (digest(dob), None),
            (digest(born), Some(digest("1970-08-07"))),
        ]
    );
    let obligations: Vec<_> = records
        .iter()
        .filter_map(|record| match &record.body {
            Body::Decision(decision) if decision.point == DecisionPoint::Release => Some(
                decision.obligations.iter().map(|done| format!("{} {}", done.kind, done.target)).collect::<Vec<_>>(),
            ),
            _ => None,
        })
        .collect();
    assert_eq!(obligations[0], ["token result:pii.email:1"], "{obligations:?}");
    let classes = |id: usize| {
        let outcomes: Vec<_> = records
            .iter()
            .filter(|record| matches!(&record.body, Body::Action(action) if action.status.is_some()))
            .collect();
        outcomes[id].data_classes.iter().map(|class| (**class).to_owned()).collect::<Vec<_>>()
    };
    // What only looks like a token is judged as what it is: as random as a password.
    assert_eq!((classes(1), classes(4), classes(5)), (vec!["pii".to_owned()], vec![], vec!["secret".to_owned()]));
    let intent = |record: &&Record| matches!(&record.body, Body::Action(action) if action.status.is_none());
    let last = records.iter().rfind(intent).unwrap();
    assert_eq!(last.data_classes.iter().map(|class| &**class).collect::<Vec<_>>(), ["pii"]);
    let path = world.0.scratch.join("home").join("keys/data.siv");
    let file = std::fs::metadata(path).unwrap();
    assert_eq!((file.len(), file.permissions().mode() & 0o777), (64, 0o600));
    world.0.assert_verified();
}

#[test]
fn people_approve_the_value_and_identical_calls_are_by_token() {
    let world = world("tokens-gated", GATE);
    world.enrol(&["ana"]);
    let mut client = world.open();
    let told = client.call(1, "slow_effect", key(VALUE));
    let token = text(&told).to_owned();
    assert!(token.starts_with("tok_pii_email_"), "{told}");
    assert_eq!(said(&client.call(2, "effect", key(&token))), pending());
    let id = world.asked();
    let (code, shown, err) = world.run(&["approvals", "show", &id, "--format", "json"]);
    assert_eq!(code, Some(0), "{err}");
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["shown"]["arguments"], key(&token).to_string());
    assert_eq!(shown["shown"]["sent"], key(VALUE).to_string());
    let (_, table, _) = world.run(&["approvals", "show", &id, "--format", "table"]);
    assert!(table.contains("tokens become values") && table.contains(&format!("key = \"{VALUE}\"")), "{table}");
    let files = |folder: &str| -> Vec<u8> {
        let files = std::fs::read_dir(world.0.scratch.join("home").join(folder)).into_iter().flatten();
        files.flat_map(|file| std::fs::read(file.unwrap().path()).unwrap_or_default()).collect()
    };
    for folder in ["approvals", "outcomes", "views"] {
        assert!(!String::from_utf8_lossy(&files(folder)).contains(VALUE), "`{folder}` is sealed");
    }
    assert_eq!(world.say("approve", &id, "ana").0, Some(0));
    // The value itself is another call than its token.
    assert_eq!(said(&client.call(3, "effect", key(VALUE))), pending());
    assert_eq!(got(&world), [VALUE], "nothing ran yet");
    assert_eq!(text(&client.call(4, "effect", key(&token))), token);
    assert_eq!(got(&world), [VALUE, VALUE]);
    assert!(client.close().success());
    let records = world.0.records("(type:action_record or type:decision_record)");
    assert_eq!(digests(&records)[1], (digest(&token), Some(digest(VALUE))));
    world.0.assert_verified();
}

#[test]
fn a_person_proposes_by_token_or_by_value_and_has_no_say_about_either() {
    let world = world("tokens-edited", GATE);
    world.enrol(&["ana", "bea"]);
    let mut client = world.open();
    let [token, other] = [(1, VALUE), (2, "bob@corp.example")].map(|(id, value)| {
        let told = client.call(id, "slow_effect", key(value));
        text(&told).to_owned()
    });
    let noted = |key: &str, note: &str| json!({ "key": key, "note": note });
    assert_eq!(said(&client.call(3, "effect", noted(&token, "900"))), pending());
    let first = world.asked();
    let (code, out, err) = world.edit(&first, "ana", &noted(&token, "500").to_string());
    assert_eq!((code, out.contains("is edited")), (Some(0), true), "{out} {err}");
    // The agent is told what was written, and so nothing of the value.
    let told = client.call(4, "effect", noted(&token, "900"));
    assert_eq!((said(&told), proposed(&told)), (denied("approval_edited"), &*noted(&token, "500").to_string()));
    assert!(!told.to_string().contains(VALUE), "{told}");
    assert_eq!(said(&client.call(5, "effect", noted(&token, "500"))), pending());
    let second = world.asked();
    let (code, _, err) = world.say("approve", &second, "ana");
    assert!(code == Some(1) && err.contains("proposed its arguments"), "{err}");
    let (_, shown, _) = world.run(&["approvals", "show", &second, "--format", "json"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["shown"]["sent"], noted(VALUE, "500").to_string());
    assert_eq!(world.say("approve", &second, "bea").0, Some(0));
    assert_eq!(text(&client.call(6, "effect", noted(&token, "500"))), token);
    assert_eq!(got(&world), [VALUE, "bob@corp.example", VALUE]);

    // By value: it is hers as well where the agent has a token for it.
    assert_eq!(said(&client.call(7, "effect", noted(&token, "1"))), pending());
    let (code, _, err) = world.edit(&world.asked(), "ana", &noted("bob@corp.example", "1").to_string());
    assert_eq!(code, Some(0), "{err}");
    assert_eq!(said(&client.call(8, "effect", noted(&other, "2"))), pending());
    let by_token = world.asked();
    let (code, _, err) = world.say("approve", &by_token, "ana");
    assert!(code == Some(1) && err.contains("proposed its arguments"), "{err}");
    assert_eq!(world.say("approve", &by_token, "bea").0, Some(0));
    assert_eq!(text(&client.call(9, "effect", noted(&other, "2"))), other);
    assert!(client.close().success());
    assert_eq!(got(&world).last().map(String::as_str), Some("bob@corp.example"));
    world.0.assert_verified();
}
