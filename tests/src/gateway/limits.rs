//! Limits on all calls together, against the real gateway: many at once, `kill -9` between, and never one effect too many.

use std::sync::atomic::{AtomicU32, Ordering};

use evidence::record::{Body, ExceptionEvent, ExceptionKind};

use super::bridges::binary;
use super::clients::Http;

/// In front of a child that misbehaves as the flags say, with a budget of so many calls for a run.
fn limited(name: &str, flags: &[&str], calls: usize) -> Http {
    let child = binary("countersign-upstream").display().to_string();
    let command = [&[child.as_str(), "--stdio"], flags].concat();
    Http::with(name, &format!("command = {command:?}"), "", &format!("[budget]\ncalls = {{ per_run = {calls} }}"))
}

/// Calls `count` times, or until nobody answers any more; how many were refused by the limit.
fn call(http: &Http, session: &str, number: &AtomicU32, count: u32) -> usize {
    let mut refused = 0;
    for _ in 0..count {
        let id = number.fetch_add(1, Ordering::SeqCst);
        let mut raw = http.connect();
        raw.send(&http.request(Some(session), &http.call(id, "x")));
        let answer = raw.answer();
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        refused += usize::from(answer.contains("denied (limit_reached)"));
    }
    refused
}

/// Many callers at once; how often the limit refused.
fn storm(http: &Http, number: &AtomicU32, callers: usize, count: u32) -> usize {
    let session = http.open();
    std::thread::scope(|scope| {
        let callers: Vec<_> = (0..callers).map(|_| scope.spawn(|| call(http, &session, number, count))).collect();
        callers.into_iter().map(|caller| caller.join().unwrap()).sum()
    })
}

#[test]
fn a_budget_holds_for_calls_side_by_side_and_across_a_kill() {
    let mut http = limited("budget", &[], 120);
    let number = AtomicU32::new(1);
    assert_eq!(storm(&http, &number, 4, 15), 0);
    http.restart();
    assert_eq!(storm(&http, &number, 8, 20), 60 + 8 * 20 - 120, "all that is over the budget, and nothing else");
    let (mut intents, mut budgets) = (0, Vec::new());
    for record in http.end() {
        match record.body {
            Body::Action(action) if action.status.is_none() => {
                intents += 1;
                let [count] = action.counted.as_slice() else { panic!("{action:?}") };
                assert_eq!((&*count.counter, &*count.amount), ("budget.calls.per_run", "1"));
            }
            Body::Decision(decision) => {
                let [reading] = decision.input.counters.as_slice() else { panic!("{decision:?}") };
                assert_eq!(reading.wanted.as_deref(), Some("1"));
                assert!(reading.used.parse::<u32>().unwrap() <= 120);
            }
            Body::Exception(exception) => budgets.push((exception.kind, exception.event)),
            _ => {}
        }
    }
    assert_eq!(intents, 120);
    let budget = |event| (ExceptionKind::Budget, event);
    assert_eq!(budgets, [budget(ExceptionEvent::Opened), budget(ExceptionEvent::Mitigated)]);
}

#[test]
fn what_an_unknown_outcome_may_have_used_stays_used() {
    let mut http = limited("unknown-used", &["--hostile", "never-answers"], 2);
    for number in 1..3 {
        let session = http.open();
        let mut waiting = http.connect();
        waiting.send(&http.request(Some(&session), &http.call(number, "x")));
        // Ends: the intent is durable before anything is sent.
        while http.intents() < number {
            std::thread::yield_now();
        }
        http.restart();
    }
    let session = http.open();
    assert_eq!(call(&http, &session, &AtomicU32::new(3), 1), 1);
}
