//! Values that must come from an earlier result of the run, against the real gateway: asked first, in another run, and after `kill -9`.

use evidence::record::Body;
use testkit::scratch::Scratch;

use super::bridges::binary;
use super::clients::Http;

/// One call of a tool; what the agent reads.
fn call(http: &Http, session: &str, number: u32, name: &str, argument: &str) -> String {
    let message = format!(
        r#"{{"jsonrpc":"2.0","id":{number},"method":"tools/call","params":{{"name":"{name}","arguments":{argument}}}}}"#
    );
    let mut raw = http.connect();
    raw.send(&http.request(Some(session), message.as_bytes()));
    raw.answer()
}

#[test]
fn a_value_is_allowed_once_the_run_was_returned_it() {
    let child = binary("countersign-upstream").display().to_string();
    let allows = "effect = { key = { from = \"upstream.echo:vendors.iban\" } }";
    let scratch = Scratch::new("recall-effects").unwrap();
    let effects = scratch.path().join("effects").display().to_string();
    let command = [child.as_str(), "--stdio", "--effects", &effects];
    let mut http = Http::before("recall", &format!("command = {command:?}"), allows);
    let listed = r#"{"text":"{\"vendors\":[{\"iban\":\"DE89\"}],\"iban\":\"XX99\"}"}"#;
    let (known, unknown) = (r#"{"key":"DE89"}"#, r#"{"key":"XX99"}"#);
    let denied = "denied (argument_out_of_bounds)";
    let session = http.open();
    assert!(call(&http, &session, 1, "effect", known).contains(denied), "before it was returned");
    assert!(call(&http, &session, 2, "echo", listed).contains("DE89"));
    let answer = call(&http, &session, 3, "effect", known);
    assert!(!answer.contains("denied"), "{answer}");
    assert!(call(&http, &session, 4, "effect", unknown).contains(denied), "of another field");
    // Another session of the run knows it too; another run does not, and neither does the run after a crash.
    let second = http.open();
    assert!(!call(&http, &second, 5, "effect", known).contains("denied"));
    let token = std::mem::replace(&mut http.token, http.home.token().unwrap());
    let other = http.open();
    assert!(call(&http, &other, 6, "effect", known).contains(denied), "in another run");
    http.token = token;
    http.restart();
    let session = http.open();
    assert!(call(&http, &session, 7, "effect", known).contains(denied), "after a crash");
    assert!(call(&http, &session, 8, "echo", listed).contains("DE89"));
    assert!(!call(&http, &session, 9, "effect", known).contains("denied"));
    let mut facets = Vec::new();
    for record in http.end() {
        if let Body::Decision(decision) = record.body
            && *decision.input.tool.name == *"effect"
        {
            let values: Vec<_> = decision.input.facets.iter().flat_map(|facet| facet.values.iter()).collect();
            let [value] = values.as_slice() else { panic!("{decision:?}") };
            assert_eq!(&*value.kind, "returned", "what was sent is not in the record");
            facets.push(value.text.to_string());
        }
    }
    let returned = "upstream.echo:vendors.iban";
    assert_eq!(facets, ["", returned, "", returned, "", "", returned]);
}
