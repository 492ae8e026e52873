//! What is refused at the door of the real gateway: told, recorded at once, counted after, and no evidence that agents can flood.

use evidence::record::{Body, ExceptionEvent, ExceptionKind, ExceptionRecord};

use super::clients::Http;

/// The exceptions about the door, in order.
fn at_the_door(http: Http) -> Vec<ExceptionRecord> {
    let of_the_door = |body| match body {
        Body::Exception(exception) if exception.kind == ExceptionKind::Access => Some(exception),
        _ => None,
    };
    http.end().into_iter().filter_map(|record| of_the_door(record.body)).collect()
}

fn refused(http: &Http, request: &str, status: &str) {
    let mut raw = http.connect();
    raw.send(request.as_bytes());
    let answer = raw.answer();
    assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request}: {answer}");
}

#[test]
fn whoever_is_not_let_in_is_recorded_once_and_counted() {
    let http = Http::new("door");
    let session = http.open();
    let good = String::from_utf8(http.request(Some(&session), &http.call(7, "good"))).unwrap();
    let without = good.lines().filter(|line| !line.starts_with("Authorization")).collect::<Vec<_>>().join("\r\n");
    let unknown = good.replace(&http.token, "cst_0123456789");
    let cases = [
        ("401", without.as_str(), "send the run's token", "upstream:upstream"),
        ("401", &unknown, "the run token is not known here", "upstream:upstream"),
        ("404", &good.replace("/mcp/upstream", "/mcp/secret-name"), "no such upstream is configured", "run:"),
        ("403", &good.replace("Host: ", "Host: evil.example\r\nX: "), "not the gateway's", "gateway"),
        ("400", &good.replace("/mcp/upstream", "/mcp/upstream?access_token=x"), "not where one belongs", "gateway"),
        ("415", &good.replace("application/json\r\n", "text/plain\r\n"), "application/json", "run:"),
    ];
    for (status, request, ..) in &cases {
        refused(&http, request, status);
    }
    for _ in 0..99 {
        refused(&http, &unknown, "401");
    }
    http.assert_serves(&session, "all that was refused");
    let exceptions = at_the_door(http);
    let opened = &exceptions[..exceptions.len() - 1];
    assert_eq!(opened.len(), cases.len(), "{exceptions:#?}");
    for (exception, (_, _, reason, scope)) in opened.iter().zip(cases) {
        assert_eq!(exception.event, ExceptionEvent::Opened);
        assert!(exception.reason.contains(reason), "{exception:#?}");
        assert!(exception.scope.starts_with(scope), "{exception:#?}");
        assert!(!exception.reason.contains("secret-name") && !exception.reason.contains("evil"), "{exception:#?}");
    }
    let counted = &exceptions[opened.len()];
    assert_eq!((counted.event, counted.exception), (ExceptionEvent::Mitigated, opened[1].exception));
    assert!(counted.mitigation.as_ref().unwrap().contains("99 more of the same sort"), "{counted:#?}");
}

#[test]
fn the_token_of_a_run_that_was_revoked_is_recorded_with_its_run() {
    let http = Http::new("door-revoked");
    let session = http.open();
    let listed = http.home.command(&["run", "list", "--format", "json"]).unwrap().output().unwrap();
    let run: serde_json::Value =
        serde_json::from_slice(listed.stdout.split(|byte| *byte == b'\n').next().unwrap()).unwrap();
    let id = run["run"].as_str().unwrap();
    let revoked = http.home.command(&["run", "revoke", id, "--why", "it was lost"]).unwrap().status().unwrap();
    assert!(revoked.success());
    let request = String::from_utf8(http.request(Some(&session), &http.call(7, "late"))).unwrap();
    refused(&http, &request, "401");
    let exceptions = at_the_door(http);
    let [exception] = exceptions.as_slice() else { panic!("{exceptions:#?}") };
    assert_eq!(exception.scope, format!("run:{id}"));
    assert!(exception.reason.contains("the run is revoked; start another"), "{exception:#?}");
}

#[test]
fn a_message_outside_of_a_session_that_cannot_be_read_is_recorded_with_its_run() {
    let http = Http::new("door-unreadable");
    for body in [&b"{"[..], br#"{"jsonrpc":"2.0","id":1,"id":2,"method":"initialize"}"#, b"[]", b"\xff"] {
        refused(&http, &String::from_utf8_lossy(&http.request(None, body)), "400");
    }
    let exceptions = at_the_door(http);
    let [opened, counted] = exceptions.as_slice() else { panic!("{exceptions:#?}") };
    assert!(opened.scope.starts_with("run:") && opened.reason.contains("text ends early"), "{opened:#?}");
    assert!(counted.mitigation.as_ref().unwrap().contains("3 more of the same sort"), "{counted:#?}");
}
