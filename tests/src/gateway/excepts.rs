//! Exceptions of lines about data, against the real gateway: what they let through until when, what is on record of it, and which are taken up.

use std::fs;
use std::process::Stdio;

use evidence::record::{
    Body, DecisionPoint, DecisionRecord, Direction, Effect, ExceptionEvent, ExceptionKind, Record, VersionLog,
    VersionedKind,
};
use evidence::time::Timestamp;
use gateway::clock::now;
use testkit::wait;

use super::bridges::{PATIENCE, binary};
use super::clients::Http;

pub(super) const SECRET: &str = r#"{"password":"hunter2-Tiger!"}"#;

/// How long the exceptions of the first test live: a start, a kill and another start of a gateway, on a slow machine.
const LIFE_US: i64 = 20_000_000;

fn world(name: &str, data: &str) -> Http {
    let child = binary("countersign-upstream").display().to_string();
    Http::with(name, &format!("command = {:?}", [child.as_str(), "--stdio"]), "", data)
}

/// One call of `echo`; what the agent reads.
fn echo(http: &Http, session: &str, text: &str, more: &str) -> String {
    let text = serde_json::to_string(text).unwrap();
    let message = format!(
        r#"{{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{{"name":"echo","arguments":{{"text":{text}{more}}}}}}}"#
    );
    let mut raw = http.connect();
    raw.send(&http.request(Some(session), message.as_bytes()));
    raw.answer()
}

/// What a command prints, and its exit code.
fn say(http: &Http, args: &[&str]) -> (String, Option<i32>) {
    let out = http.home.command(args).unwrap().stderr(Stdio::piped()).output().unwrap();
    (format!("{}{}", String::from_utf8_lossy(&out.stdout), String::from_utf8_lossy(&out.stderr)), out.status.code())
}

/// Waits until so many waivers are closed.
fn until_closed(http: &Http, wanted: usize) {
    let closed = || {
        let mut closed = 0;
        let count = |line: &str| {
            let body = evidence::record::read(line.as_bytes())?.body;
            closed += usize::from(matches!(body, Body::Exception(waiver) if waiver.event == ExceptionEvent::Closed));
            Ok(())
        };
        http.home.audit("kind:waiver", count).unwrap();
        closed
    };
    let so = wait::until("the end of waivers", PATIENCE, || match closed() {
        all if all == wanted => Ok(()),
        other => Err(format!("{other} are closed")),
    });
    so.unwrap();
}

/// The mission's versions, once there are so many; the last one.
fn version(http: &Http, wanted: usize) -> VersionLog {
    let versions = || {
        let mut versions = Vec::new();
        let read = |line: &str| {
            if let Body::Version(version) = evidence::record::read(line.as_bytes())?.body
                && version.object.kind == VersionedKind::Mission
            {
                versions.push(version);
            }
            Ok(())
        };
        http.home.audit("type:version_log", read).unwrap();
        versions
    };
    let so = wait::until("a version", PATIENCE, || match versions() {
        all if all.len() == wanted => all.last().cloned().ok_or_else(String::new),
        other => Err(format!("{other:?}")),
    });
    so.unwrap()
}

fn decisions(records: &[Record], point: DecisionPoint) -> Vec<&DecisionRecord> {
    let decisions = records.iter().filter_map(|record| match &record.body {
        Body::Decision(decision) => Some(decision),
        _ => None,
    });
    decisions.filter(|decision| decision.point == point).collect()
}

fn excepted(decision: &DecisionRecord) -> Option<&str> {
    let has_reason = decision.reasons.iter().any(|reason| **reason == *"data_excepted");
    let rule = decision.rules.iter().find(|rule| rule.id.contains(".except.")).map(|rule| &*rule.id);
    assert_eq!(has_reason, rule.is_some(), "{decision:?}");
    rule
}

#[test]
fn an_exception_lets_through_what_it_says_until_its_day_and_is_on_record() {
    let until = now().plus_micros(LIFE_US);
    let except = |rest: &str| {
        format!(
            r#"{{ tool = "mcp:upstream/echo", {rest}, until = {until}, why = "Pilot of the newsletter, ticket 4711." }}"#
        )
    };
    let (arguments, result) = (except(r#"in = "arguments", field = "text""#), except(r#"in = "result""#));
    let data = format!(
        "[data]\nsecret = {{ else = \"deny\", result = \"redact\", except = [\n  {arguments},\n  {result},\n] }}\n"
    );
    let mut http = world("excepts", &data);
    let lets = |http: &Http, session: &str| echo(http, session, SECRET, "");
    let session = http.open();
    let first = lets(&http, &session);
    assert!(first.contains("hunter2"), "{first}");
    // Not in another argument, and no further with the first.
    let elsewhere = echo(&http, &session, "a", r#","note":"password: hunter2-Tiger!""#);
    assert!(elsewhere.contains("denied (data_not_cleared)"), "{elsewhere}");
    let both = echo(&http, &session, SECRET, r#","note":"password: hunter2-Tiger!""#);
    assert!(both.contains("denied (data_not_cleared)"), "{both}");
    // A killed gateway knows what it has opened.
    http.restart();
    let session = http.open();
    assert!(lets(&http, &session).contains("hunter2") && now() < until, "the machine is too slow for this test");
    wait::until("the end of the exception", PATIENCE.saturating_mul(2), || {
        let answer = lets(&http, &session);
        if answer.contains("denied (data_not_cleared)") { Ok(()) } else { Err(answer) }
    })
    .unwrap();
    assert!(now() >= until);
    until_closed(&http, 2);
    let records = http.end();
    check_decisions(&records, until);
    check_waivers(&records, until);
    assert!(!format!("{records:?}").contains("hunter2"), "no value is on record");
}

fn check_decisions(records: &[Record], until: Timestamp) {
    let at_call = decisions(records, DecisionPoint::Call);
    for decision in &at_call {
        match decision.effect {
            Effect::Allow => {
                assert_eq!(excepted(decision), Some("data.secret.except.mcp.upstream.echo.arguments.text"));
                assert!(
                    decision.sentence.contains("by exception, `secret` may go to `mcp:upstream/echo` in `text` until")
                );
                assert_eq!(decision.input.data_fields, ["secret:text".into()]);
            }
            _ => assert_eq!(excepted(decision), None),
        }
    }
    let fields: Vec<Vec<&str>> =
        at_call.iter().map(|decision| decision.input.data_fields.iter().map(|field| &**field).collect()).collect();
    assert_eq!(fields[1..3], [vec!["secret:*"], vec!["secret:*", "secret:text"]]);
    let released = decisions(records, DecisionPoint::Release);
    let allowed = at_call.iter().filter(|decision| decision.effect == Effect::Allow).count();
    assert!(allowed >= 2 && released.len() == allowed, "{allowed} were let through, {} released", released.len());
    // One that was let through shortly before the end may have come back after it.
    let by_exception = released.iter().filter_map(|decision| excepted(decision)).collect::<Vec<_>>();
    assert!(by_exception.len() + 1 >= allowed, "{by_exception:?}");
    assert!(by_exception.iter().all(|rule| *rule == "data.secret.except.mcp.upstream.echo.result"), "{by_exception:?}");
    let times = records
        .iter()
        .filter(|record| matches!(&record.body, Body::Decision(decision) if excepted(decision).is_some()));
    assert!(times.into_iter().all(|record| record.occurred_at < until));
}

fn check_waivers(records: &[Record], until: Timestamp) {
    let waivers: Vec<_> = records
        .iter()
        .filter_map(|record| if let Body::Exception(exception) = &record.body { Some(exception) } else { None })
        .filter(|exception| exception.kind == ExceptionKind::Waiver)
        .collect();
    let events: Vec<ExceptionEvent> = waivers.iter().map(|waiver| waiver.event).collect();
    use ExceptionEvent::{Closed, Opened};
    assert_eq!(events, [Opened, Opened, Closed, Closed], "once each, also over a killed process");
    for waiver in &waivers {
        assert_eq!((waiver.due, &*waiver.owner, &waiver.who), (Some(until), "owner@corp.example", &None));
        assert!(waiver.reason.ends_with(": Pilot of the newsletter, ticket 4711."), "{}", waiver.reason);
    }
    let of = |event| waivers.iter().filter(move |waiver| waiver.event == event).map(|waiver| waiver.exception);
    assert_eq!(of(Opened).collect::<std::collections::BTreeSet<_>>(), of(Closed).collect());
    assert!(waivers[2].note.as_deref().is_some_and(|note| note.contains("its day is over")), "{waivers:?}");
}

/// A day of UTC so many days from now.
pub(super) fn day(days: i64) -> String {
    now().plus_micros(days * 86_400_000_000).to_string().chars().take(10).collect()
}

#[test]
fn an_exception_is_told_and_waits_like_anything_wider_and_neither_begins_late_nor_lasts() {
    let http = world("unfit-excepts", "[data]\nsecret = { else = \"deny\" }\n");
    let session = http.open();
    let file = http.home.mission().display().to_string();
    let source = fs::read_to_string(http.home.mission()).unwrap();
    let with = |until: &str, why: &str| {
        let except = format!(r#"{{ tool = "mcp:upstream/echo", in = "arguments", until = {until}, why = "Pilot." }}"#);
        let source = source.replace("{ else = \"deny\" }", &format!("{{ else = \"deny\", except = [{except}] }}"));
        fs::write(http.home.mission(), source.replace("First version.", why)).unwrap();
    };
    for (until, says) in [(day(-2), "over before it begins"), (day(92), "90 days ahead at most")] {
        with(&until, "An exception.");
        let (said, code) = say(&http, &["mission", "apply", &file]);
        assert!(said.contains(says) && said.contains(".toml:") && code == Some(1), "{said}");
    }
    let (said, code) = say(&http, &["mission", "check", &file]);
    assert!(said.contains("90 days ahead at most") && code == Some(1), "{said}");
    with(&day(3), "An exception.");
    let (said, code) = say(&http, &["mission", "check", &file]);
    assert!(
        said.contains("warning: the exception by which `secret` may go to `mcp:upstream/echo` until")
            && code == Some(0),
        "{said}"
    );
    assert!(said.contains("ends in less than 7 days"), "{said}");
    // The gateway takes the file up by itself.
    let taken = version(&http, 2);
    assert_eq!(taken.direction, Some(Direction::Wider));
    assert!(
        taken.difference.iter().any(|said| said.starts_with("data: by exception, `secret` may go to")),
        "{taken:?}"
    );
    assert!(!echo(&http, &session, SECRET, "").contains("denied"));
    // Prolonged is wider; without it, the waiver ends.
    with(&day(60), "It goes on.");
    assert_eq!(version(&http, 3).direction, Some(Direction::Wider));
    fs::write(http.home.mission(), source.replace("First version.", "The pilot is over.")).unwrap();
    assert_eq!(version(&http, 4).direction, Some(Direction::Narrower));
    assert!(echo(&http, &session, SECRET, "").contains("denied (data_not_cleared)"));
    until_closed(&http, 1);
    drop(http.end());
}
