use bytes::Bytes;
use evidence::ids::{CallId, RecordId};
use evidence::record::{Agent, Authenticated, Context, Effect as Verdict, Endpoint, Initiator, Receipt, Surface};
use proptest::prelude::*;

use super::*;
use crate::call::{Call, Effect, Input};
use crate::classify::{Classified, Returned, Standing, classify};
use crate::decide::{PolicySnapshot, compile};
use crate::execute::Outcome;
use crate::intercept::Intercepted;
use crate::reason::Reason;

const MISSION: &str = r#"
mission = "pay"
goal    = "Pay."
owner   = "finance@corp.example"
agents  = ["bot"]
until   = 2099-12-31
why     = "First."

[allow.mcp.bank]
look      = {}
resources = ["statement:*"]

[allow.mcp.bank.pay]
amount = { min = -50, max = 50, per_run = 60, per_hour = 80, per_day = 100, optional = true }

[danger.much]
when = "mcp:bank/p*"
over = { amount = 50, per_day = 90 }

[budget]
calls = { per_run = 8 }
bytes = { per_day = 1000 }
"#;

fn policy() -> Arc<PolicySnapshot> {
    Arc::new(compile(Arc::new(crate::mission::parse(MISSION).unwrap())).unwrap())
}

fn tool(text: &str) -> Tool {
    let (endpoint, name) = match text.strip_prefix("resource:") {
        Some(uri) => (Endpoint::Resource, uri),
        None => (Endpoint::Tool, text),
    };
    Tool { endpoint, name: name.into(), surface: Surface::Mcp, upstream: "bank".into() }
}

/// One call: what it does, how it ends, and when.
#[derive(Clone, Debug)]
struct Step {
    arguments: String,
    at: Timestamp,
    attempt: u32,
    ends: Option<Status>,
    run: u8,
    tool: &'static str,
}

impl Step {
    fn new(tool: &'static str, arguments: &str) -> Self {
        let at = "2026-11-25T10:30:00.000000Z".parse().unwrap();
        Self { arguments: arguments.to_owned(), at, attempt: 1, ends: Some(Status::Done), run: 1, tool }
    }

    /// Takes the call through its states as the driver does; gives its reasons, none where it was allowed.
    fn take(&self, policy: &Arc<PolicySnapshot>, book: &mut Book) -> Vec<String> {
        let actor = Context {
            agent: Agent { name: "bot".into(), version: None },
            context: None,
            initiator: Initiator { authenticated: Authenticated::OsUser, name: "ann".into() },
            mission: Some("pay".into()),
            run: Some(RunId::from_bytes([self.run; 16])),
        };
        let (id, arguments) = (CallId::from_bytes([7; 16]), Bytes::copy_from_slice(self.arguments.as_bytes()));
        let intercepted =
            Intercepted::new(id, Arc::new(actor), tool(self.tool), arguments, None).again(id, self.attempt);
        let (call, _) = Call::begin(intercepted.clone());
        let tool = intercepted.tool().clone();
        let mut classified = classify(intercepted, policy.plan(&tool), Standing::Good, &Returned::default());
        classified.tallies = book.tally(policy.counters(&tool), &classified.intercepted, &classified.facets, self.at);
        let (call, effects) = call.handle(Input::Classified(Box::new(classified), policy.clone()), self.at);
        let drafts = appended(&effects);
        book.add(drafts, self.at);
        let Body::Decision(decision) = &drafts[0].body else { panic!("{drafts:?}") };
        if decision.effect == Verdict::Allow
            && let Some(status) = self.ends
        {
            let receipt = Receipt { id: RecordId::from_bytes([1; 16]), recorded_at: self.at, seq: 1 };
            let (call, _) = call.handle(Input::Recorded(vec![receipt; drafts.len()]), self.at);
            let outcome = Outcome::without_answer(status, Reason::CancelledByClient);
            let (_, effects) = call.handle(Input::Ended(Box::new(outcome)), self.at);
            book.add(appended(&effects), self.at);
        }
        decision.reasons.iter().map(ToString::to_string).collect()
    }
}

fn appended(effects: &[Effect]) -> &[Draft] {
    effects.iter().find_map(|effect| if let Effect::Append(drafts) = effect { Some(&**drafts) } else { None }).unwrap()
}

#[test]
fn what_is_over_a_limit_is_denied_with_the_rule_that_says_so() {
    let policy = policy();
    let (pay, look) = (|amount: &str| Step::new("pay", &format!(r#"{{"amount":{amount}}}"#)), Step::new("look", "{}"));
    let later = |step: Step, at: &str| Step { at: at.parse().unwrap(), ..step };
    let (allowed, over, gate): ([&str; 0], _, _) = ([], ["limit_reached"], ["approval_unavailable"]);
    let mut book = Book::default();
    for (step, reasons) in [
        (pay("50"), &allowed[..]),
        (pay("10.01"), &over),
        (pay("10"), &allowed),
        (pay("0.000000000000000001"), &over),
        // Another run has its own sum; the hour is that of all.
        (Step { run: 2, ..pay("20.5") }, &over),
        (Step { run: 2, ..pay("-20") }, &allowed),
        // Another hour; the day is that of all.
        (later(Step { run: 2, ..pay("10.5") }, "2026-11-25T11:00:00.000000Z"), &gate),
        (later(Step { run: 2, ..pay("[4,-6]") }, "2026-11-25T11:00:00.000000Z"), &allowed),
        (later(Step { run: 3, ..pay("50") }, "2026-11-26T00:00:00.000000Z"), &allowed),
        // What cannot be read has a rule of its own.
        (Step { run: 4, ..pay("\"5\"") }, &["argument_unparsable", "approval_unavailable"]),
        (Step { run: 4, ..pay("60") }, &["argument_out_of_bounds", "approval_unavailable", "limit_reached"]),
        (Step { run: 4, ..look.clone() }, &allowed),
        (Step { run: 4, ..Step::new("resource:statement:7", "") }, &allowed),
    ] {
        let mut found = step.take(&policy, &mut book);
        found.sort();
        let mut reasons = reasons.to_vec();
        reasons.sort_unstable();
        assert_eq!(found, reasons, "{step:?}");
    }
}

#[test]
fn what_did_not_run_is_given_back_and_what_nobody_knows_is_not() {
    let policy = policy();
    for (ends, next) in [
        (Some(Status::NotExecuted), true),
        (Some(Status::Done), false),
        (Some(Status::ToolError), false),
        (Some(Status::Unknown), false),
        (Some(Status::Cancelled), false),
        // It is still running.
        (None, false),
    ] {
        let mut book = Book::default();
        let step = Step { ends, ..Step::new("pay", r#"{"amount":50}"#) };
        assert!(step.take(&policy, &mut book).is_empty());
        assert_eq!(step.take(&policy, &mut book).is_empty(), next, "{ends:?}");
    }
}

#[test]
fn a_budget_holds_for_every_kind_of_call_and_counts_an_attempt_once() {
    let policy = policy();
    let mut book = Book::default();
    for (attempt, tool) in [(1, "look"), (2, "look"), (3, "look"), (1, "resource:statement:1"), (1, "look")] {
        assert!(Step { attempt, ..Step::new(tool, "{}") }.take(&policy, &mut book).is_empty());
    }
    let look = Step::new("look", "{}");
    let allowed = (0..9).take_while(|_| look.take(&policy, &mut book).is_empty()).count();
    assert_eq!(allowed, 8 - 3);
    let mut book = Book::default();
    let long = Step::new("look", &format!(r#"{{"x":"{}"}}"#, "x".repeat(390)));
    let bytes = long.arguments.len();
    let allowed = (0..9).take_while(|_| long.take(&policy, &mut book).is_empty()).count();
    assert_eq!(allowed, 1000 / bytes);
}

#[test]
fn the_bytes_of_a_result_are_counted_when_it_is_there() {
    let policy = policy();
    let tool = tool("look");
    let counter = policy.counters(&tool).find(|counter| counter.of == Measure::Bytes).unwrap();
    let tally =
        Tally { counter: counter.clone(), used: Number::ZERO, wanted: Some(Number::from(2)), window: "w".into() };
    let amounts = |status, bytes| {
        of_outcome(std::slice::from_ref(&tally), status, bytes)
            .iter()
            .map(|count| count.amount.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(amounts(Status::Done, Some(500)), ["500"]);
    assert_eq!(amounts(Status::Unknown, None), Vec::<String>::new());
    assert_eq!(amounts(Status::NotExecuted, None), ["-2"]);
}

#[test]
fn without_its_tallies_a_call_is_denied() {
    let policy = policy();
    let tool = tool("look");
    let actor = Context {
        agent: Agent { name: "bot".into(), version: None },
        mission: Some("pay".into()),
        ..Context::system()
    };
    let call = Intercepted::new(CallId::from_bytes([7; 16]), Arc::new(actor), tool.clone(), Bytes::new(), None);
    let at = "2026-11-25T10:30:00.000000Z".parse().unwrap();
    let mut classified = classify(call, policy.plan(&tool), Standing::Good, &Returned::default());
    let reasons = |classified: &Classified| crate::decide::decide(classified, &policy, at).reasons;
    assert_eq!(reasons(&classified), [Reason::EvaluationFailed]);
    // A call of no run has no sum of its run.
    classified.tallies = Book::default().tally(policy.counters(&tool), &classified.intercepted, &classified.facets, at);
    assert_eq!(reasons(&classified), [Reason::EvaluationFailed]);
}

#[test]
fn days_and_hours_are_those_of_the_zone() {
    for (zone, at, day, hour) in [
        ("UTC", "2026-11-25T23:30:00.000000Z", "2026-11-25", "2026-11-25T23"),
        ("Europe/Berlin", "2026-11-25T23:30:00.000000Z", "2026-11-26", "2026-11-26T00"),
        ("America/New_York", "2026-11-25T03:30:00.000000Z", "2026-11-24", "2026-11-24T22"),
        ("Pacific/Kiritimati", "2026-12-31T10:00:00.000000Z", "2027-01-01", "2027-01-01T00"),
        // The hour that is there twice is one: what was used in it stays used.
        ("Europe/Berlin", "2026-10-25T00:30:00.000000Z", "2026-10-25", "2026-10-25T02"),
        ("Europe/Berlin", "2026-10-25T01:30:00.000000Z", "2026-10-25", "2026-10-25T02"),
    ] {
        let at = at.parse().unwrap();
        let counter = |period| Counter {
            covers: None,
            id: "c".into(),
            most: Number::ZERO,
            of: Measure::Calls,
            period,
            zone: Zone::named(zone).unwrap(),
        };
        assert_eq!(window(&counter(Period::Day), None, at).as_deref(), Some(day), "{zone}");
        assert_eq!(window(&counter(Period::Hour), None, at).as_deref(), Some(hour), "{zone}");
    }
}

#[test]
fn what_is_still_today_somewhere_is_kept() {
    let mut book = Book::default();
    for window in ["2026-11-24", "2026-11-24T23"] {
        book.count(&Count { amount: "1".into(), counter: "c".into(), window: window.into() });
    }
    // In New York it is half past eight in the evening of the day before.
    book.forget("2026-11-25T01:30:00.000000Z".parse().unwrap());
    assert_eq!(book.used.len(), 2);
}

#[test]
fn windows_that_are_over_are_forgotten() {
    let mut book = Book::default();
    let windows =
        ["2026-11-23", "2026-11-24", "2026-11-24T09", "2026-11-24T10", "01a21265-b64a-799f-96f2-86df777a8c1d"];
    for window in windows {
        book.count(&Count { amount: "1".into(), counter: "c".into(), window: window.into() });
    }
    book.forget("2026-11-25T10:30:00.000000Z".parse().unwrap());
    let mut kept: Vec<_> = book.used.keys().map(|place| place.window.to_string()).collect();
    kept.sort();
    assert_eq!(kept, [windows[4], windows[1], windows[3]]);
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let amount = prop_oneof![
        3 => (-60_i64..60).prop_map(|amount| amount.to_string()),
        1 => Just("[7,-8]".to_owned()),
        1 => Just("2.5".to_owned()),
    ];
    let ends = prop_oneof![
        4 => Just(Some(Status::Done)),
        1 => Just(Some(Status::NotExecuted)),
        1 => Just(Some(Status::Unknown)),
        1 => Just(None),
    ];
    let hours = prop_oneof![8 => Just(10_u32), 1 => Just(11), 1 => Just(23)];
    let step = (amount, ends, 1_u8..4, hours, 25_u32..27).prop_map(|(amount, ends, run, hour, day)| Step {
        at: format!("2026-11-{day}T{hour}:00:00.000000Z").parse().unwrap(),
        ends,
        run,
        ..Step::new("pay", &format!(r#"{{"amount":{amount}}}"#))
    });
    prop::collection::vec(step, 0..40)
}

/// The sizes in an argument, in tenths: read anew, without exact decimals.
fn tenths(arguments: &str) -> i64 {
    let text = arguments.trim_start_matches(r#"{"amount":"#).trim_matches(['[', ']', '}']);
    let tenth = |part: &str| match part.trim_start_matches('-').split_once('.') {
        Some((whole, fraction)) => whole.parse::<i64>().unwrap() * 10 + fraction.parse::<i64>().unwrap(),
        None => part.trim_start_matches('-').parse::<i64>().unwrap() * 10,
    };
    text.split(',').map(tenth).sum()
}

proptest! {
    #[test]
    fn no_order_of_calls_takes_more_than_a_limit(steps in steps()) {
        let policy = policy();
        let mut book = Book::default();
        let mut used: HashMap<String, i64> = HashMap::new();
        for step in steps {
            let allowed = step.take(&policy, &mut book).is_empty();
            let at = step.at.to_string();
            let tenths = tenths(&step.arguments);
            let limits = [
                (format!("run {}", step.run), tenths, 600),
                (at.chars().take(13).collect(), tenths, 800),
                (at.chars().take(10).collect(), tenths, 900),
                (format!("calls of {}", step.run), 1, 8),
            ];
            let fits = limits.iter().all(|(window, more, most)| used.get(window).unwrap_or(&0) + more <= *most);
            // What one call may have is 50 for each of its numbers.
            let is_bad = step.arguments.trim_start_matches(r#"{"amount":"#).trim_matches(['-', '}']).parse::<i64>().is_ok_and(|amount| amount > 50);
            prop_assert_eq!(allowed, fits && !is_bad, "{:?}", step);
            if allowed && step.ends != Some(Status::NotExecuted) {
                for (window, more, _) in limits {
                    *used.entry(window).or_default() += more;
                }
            }
        }
    }

    #[test]
    fn a_book_that_is_made_anew_of_the_records_is_the_same(amounts in prop::collection::vec((-9_i64..9, 0_u8..3), 0..20)) {
        let count = |(amount, window): &(i64, u8)| Count {
            amount: amount.to_string().into(),
            counter: "c".into(),
            window: window.to_string().into(),
        };
        let (mut one, mut other) = (Book::default(), Book::default());
        amounts.iter().for_each(|amount| one.count(&count(amount)));
        amounts.iter().rev().for_each(|amount| other.count(&count(amount)));
        prop_assert_eq!(&one.used, &other.used);
        let sum: i64 = amounts.iter().filter(|(_, window)| *window == 1).map(|(amount, _)| amount).sum();
        let place = Place { counter: "c".into(), window: "1".into() };
        prop_assert_eq!(one.used.get(&place).copied().unwrap_or(Number::ZERO), Number::from(sum));
    }
}
