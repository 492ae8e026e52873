//! Who named what a call acts on, against the real gateway: fields that only their service writes, other text, what the agent sent itself, the initiator's words; in
//! other sessions, in other runs, and after `kill -9`.

use evidence::record::{Body, Origin, Record};
use testkit::scratch::Scratch;

use super::bridges::binary;
use super::clients::Http;

const DATA: &str = r#"
[data]
"mcp:upstream/record_4k:contact.email" = "trusted"
untrusted-target = "deny"
"#;

/// The key that the server appends to its file is what the call acts on.
const ALLOWS: &str = "effect = { key = { length = { min = 1, max = 60 }, target = true } }";

/// One call of a tool; what the agent reads.
fn call(http: &Http, session: &str, name: &str, arguments: &str) -> String {
    let message = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"{name}","arguments":{arguments}}}}}"#
    );
    let mut raw = http.connect();
    raw.send(&http.request(Some(session), message.as_bytes()));
    raw.answer()
}

/// Whether a call that acts on `key` is let through.
fn acts_on(http: &Http, session: &str, key: &str) -> bool {
    let answer = call(http, session, "effect", &format!(r#"{{"key":"{key}"}}"#));
    let denied = answer.contains("denied (untrusted_target)");
    assert!(denied != answer.contains(r#""isError":false"#) || !answer.contains("isError"), "{answer}");
    assert!(denied || !answer.contains("denied"), "{answer}");
    !denied
}

/// The decisions about `effect`: what was found of its argument.
fn origins(records: &[Record]) -> Vec<(Origin, Option<&str>)> {
    let decisions = records.iter().filter_map(|record| match &record.body {
        Body::Decision(decision) if *decision.input.tool.name == *"effect" => Some(decision),
        _ => None,
    });
    decisions
        .map(|decision| {
            let [traced] = decision.input.provenance.as_slice() else { panic!("{decision:?}") };
            assert_eq!(&*traced.argument, "key");
            (traced.origin, traced.source.as_deref())
        })
        .collect()
}

#[test]
fn a_call_acts_on_what_somebody_named_whom_the_mission_trusts() {
    let child = binary("countersign-upstream").display().to_string();
    let scratch = Scratch::new("provenance-effects").unwrap();
    let effects = scratch.path().join("effects").display().to_string();
    let command = [child.as_str(), "--stdio", "--effects", &effects];
    let mut http = Http::with("provenance", &format!("command = {command:?}"), ALLOWS, DATA);
    let (robin, number) = ("robin.sample@engines.example", "C-20417");
    let session = http.open();
    assert!(!acts_on(&http, &session, robin), "before it was returned");
    assert!(call(&http, &session, "record_4k", "{}").contains(robin));
    assert!(acts_on(&http, &session, robin));
    assert!(!acts_on(&http, &session, number), "of a field that others write too");
    // What comes back because the agent sent it is nobody's word.
    assert!(call(&http, &session, "echo", r#"{"text":"eve@evil.example"}"#).contains("eve@evil.example"));
    assert!(!acts_on(&http, &session, "eve@evil.example"));
    // A result that is too large to be taken in beside other calls.
    let long = format!(r#"{{"text":"{}mallory@evil.example"}}"#, "page ".repeat(20_000));
    assert!(call(&http, &session, "echo", &long).contains("mallory@evil.example"));
    assert!(!acts_on(&http, &session, "mallory@evil.example"));
    assert!(acts_on(&http, &http.open(), robin), "in another session of the run");
    let token = std::mem::replace(&mut http.token, http.home.token().unwrap());
    assert!(!acts_on(&http, &http.open(), robin), "in another run");
    http.token = http.home.token_with(&["--words", "Please file ticket T-100 for ana@corp.example."]).unwrap();
    let other = http.open();
    assert!(acts_on(&http, &other, "T-100") && acts_on(&http, &other, "ana@corp.example"));
    assert!(!acts_on(&http, &other, "T-1000") && !acts_on(&http, &other, "corp.example"));
    let words = std::mem::replace(&mut http.token, token);
    http.restart();
    let session = http.open();
    assert!(acts_on(&http, &session, robin), "after a crash");
    assert!(!acts_on(&http, &session, number) && !acts_on(&http, &session, "eve@evil.example"));
    http.token = words;
    assert!(acts_on(&http, &http.open(), "T-100"), "after a crash");
    let folder = http.home.path().join("provenance");
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 3, "a file for each run that is open");
    for file in std::fs::read_dir(&folder).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        assert!(![robin, number, "T-100"].iter().any(|value| text.contains(value)), "no value is kept");
    }
    let records = http.end();
    let (email, customer) = ("mcp:upstream/record_4k:contact.email", "mcp:upstream/record_4k:customer");
    let (trusted, untrusted) = ((Origin::Trusted, Some(email)), (Origin::Untrusted, Some(customer)));
    let (said, sent, unknown) = ((Origin::Initiator, None), (Origin::Sent, None), (Origin::Unknown, None));
    let first = [unknown, trusted, untrusted, sent, sent, trusted];
    let (other, spoken) = ([unknown], [said, said, unknown, unknown]);
    let (again, spoken_again) = ([trusted, untrusted, sent], [said]);
    let expected = [&first[..], &other, &spoken, &again, &spoken_again].concat();
    assert_eq!(origins(&records), expected);
}

#[test]
fn what_the_initiator_speaks_of_selects_what_a_call_acts_on() {
    const DATA: &str = r#"
[data]
"mcp:upstream/record_4k:customer"      = "trusted"
"mcp:upstream/record_4k:contact.name"  = "trusted"
"mcp:upstream/record_4k:contact.email" = "trusted"
untrusted-target = { else = "deny", selected = ["send"] }
"#;
    let child = binary("countersign-upstream").display().to_string();
    let scratch = Scratch::new("selection-effects").unwrap();
    let effects = scratch.path().join("effects").display().to_string();
    let command = [child.as_str(), "--stdio", "--effects", &effects];
    let mut http = Http::with("selection", &format!("command = {command:?}"), ALLOWS, DATA);
    let robin = "robin.sample@engines.example";
    let read = |http: &Http, session: &str| assert!(call(http, session, "record_4k", "{}").contains(robin));
    http.token = http.home.token_with(&["--words", "Tell Robin Sample that the order is ready."]).unwrap();
    let session = http.open();
    read(&http, &session);
    assert!(acts_on(&http, &session, robin), "of the record that the initiator spoke of");
    let spoken = http.token.clone();
    http.token = http.home.token_with(&["--words", "Tell Dana Meyer that the order is ready."]).unwrap();
    let session = http.open();
    read(&http, &session);
    assert!(!acts_on(&http, &session, robin), "trusted, and not what the initiator spoke of");
    assert!(call(&http, &session, "record_4k", r#"{"name":"Dana Meyer"}"#).contains(robin));
    assert!(acts_on(&http, &session, robin), "asked for in the initiator's words");
    http.token = spoken;
    http.restart();
    assert!(acts_on(&http, &http.open(), robin), "after a crash");
    let records = http.end();
    let email = Some("mcp:upstream/record_4k:contact.email");
    let (trusted, selected) = ((Origin::Trusted, email), (Origin::Selected, email));
    assert_eq!(origins(&records), [selected, trusted, selected, selected]);
}
