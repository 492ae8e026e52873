use std::time::Duration;

use governance::evidence::ids::{CallId, RunId};
use governance::evidence::record::Status;

use super::body::{Ask, Report};
use super::step::{Full, Step, Steps, Untaken};
use crate::limits::{STEPS_OPEN_MAX, STEPS_OPEN_PER_RUN_MAX};

#[test]
fn arguments_keep_their_exact_bytes() {
    let body = br#" { "arguments" : {"b" : 1.50, "a":"\u00e9"} ,"engine":"shop","action":"deploy","wait_s":45}"#;
    let ask = Ask::read(body).unwrap();
    assert_eq!(ask.arguments, br#"{"b" : 1.50, "a":"\u00e9"}"#.as_slice());
    assert_eq!((ask.tool.to_string().as_str(), ask.wait_s), ("workflow:shop/deploy", 45));
    let bare = Ask::read(br#"{"engine":"a.b-c_1","action":"resource:x"}"#).unwrap();
    assert!(bare.arguments.is_empty());
    assert_eq!(bare.tool.to_string(), "workflow:a.b-c_1/resource:x");
}

#[test]
fn a_report_says_what_it_may_and_no_more() {
    let body = br#"{"status":"failed","reference":"build/7","note":"two lines\nof it"}"#;
    let outcome = Report::read(body).unwrap().outcome("bot");
    assert_eq!((outcome.status, outcome.external_reference.as_deref()), (Status::ToolError, Some("build/7")));
    assert_eq!(outcome.result.as_deref(), Some(body.as_slice()));
    assert_eq!(&*outcome.reported.unwrap().by, "bot");
    let long = format!(r#"{{"status":"done","note":"{}"}}"#, "x".repeat(501));
    for (body, says) in [
        (r#"{"status":"unknown"}"#, "`status` is `done`"),
        (r#"{"status":"done","note":""}"#, "`note` is empty"),
        (r#"{"status":"done","reference":"a\u202eb"}"#, "people do not see"),
        (r#"{"status":"done","status":"failed"}"#, "duplicate object key"),
        (long.as_str(), "more than 500 characters"),
    ] {
        let error = Report::read(body.as_bytes()).unwrap_err().to_string();
        assert!(error.contains(says), "{body}: {error}");
    }
}

#[test]
fn places_are_bounded_and_come_back() {
    let steps = std::sync::Arc::<Steps>::default();
    let run = |n: u64| RunId::from_bytes(u128::from(n).to_be_bytes());
    let mut places = Vec::new();
    for n in 0.. {
        match steps.place(run(n / STEPS_OPEN_PER_RUN_MAX as u64)) {
            Ok(place) => places.push(place),
            Err(full) => {
                assert_eq!(full, Full::All);
                break;
            }
        }
        if n == STEPS_OPEN_PER_RUN_MAX as u64 - 1 {
            assert_eq!(steps.place(run(0)).unwrap_err(), Full::Run);
        }
    }
    assert_eq!(places.len(), STEPS_OPEN_MAX);
    drop(places.pop());
    let place = steps.place(run(u64::MAX)).unwrap();
    // Nothing was let go ahead, so nothing can be reported.
    let call = CallId::from_bytes([7; 16]);
    let (_step, _attended) = Step::new(place, call, "bot".into(), Duration::from_secs(1), 0);
    let report = Report::read(br#"{"status":"done"}"#).unwrap();
    assert_eq!(steps.report(run(u64::MAX), call, report).unwrap_err(), Untaken::NotOpen);
}
