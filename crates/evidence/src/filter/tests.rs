use super::*;
use crate::examples::{at, call_id, drafts, run_id, written};
use crate::limits::{FILTER_BYTES_MAX, FILTER_DEPTH_MAX, FILTER_JOINS_MAX};
use crate::record::{Draft, read};
use crate::record::{ExceptionKind, RecordType};
use proptest::prelude::*;

fn parse(text: &str) -> Filter {
    text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
}

/// The examples that most filters here are about.
fn before_approvals() -> impl Iterator<Item = (&'static str, Draft)> {
    drafts().into_iter().take(11)
}

/// The names of the example records that match.
fn matching(text: &str) -> Vec<&'static str> {
    let filter = parse(text);
    let records = before_approvals().zip(1..).map(|((name, draft), seq)| (name, read(&written(&draft, seq)).unwrap()));
    records.filter(|(_, record)| filter.matches(record)).map(|(name, _)| name).collect()
}

#[test]
fn filters_pick_records() {
    let all: Vec<_> = before_approvals().map(|(name, _)| name).collect();
    let but = |without: &[&str]| all.iter().copied().filter(|name| !without.contains(name)).collect::<Vec<_>>();
    let (allow, deny, observed) = ("decision_record-allow", "decision_record-deny", "decision_record-observed");
    let (intent, outcome, unknown) = ("action_record-intent", "action_record-outcome", "action_record-unknown");
    let (call7, call8) = (call_id(7).to_string(), call_id(8).to_string());

    for (text, want) in [
        ("", all.clone()),
        ("   ", all.clone()),
        ("type:ledger_state", vec!["ledger_state"]),
        ("type:action_*", vec![intent, outcome, unknown]),
        ("type:version_log,ledger_state", vec!["ledger_state", "version_log"]),
        ("mission:pay-supplier-invoices", but(&["ledger_state", "version_log"])),
        ("mission:pay", vec![]),
        ("mission:pay*", but(&["ledger_state", "version_log"])),
        ("mission:*", but(&["ledger_state", "version_log"])),
        ("not mission:*", vec!["ledger_state", "version_log"]),
        ("agent:countersign", vec!["ledger_state", "version_log"]),
        ("agent:AP-BOT", vec![]),
        ("initiator:*@corp.example", but(&["ledger_state", "version_log"])),
        ("tool:mcp:bank/send_money type:action_record", vec![intent, outcome, unknown]),
        ("tool:mcp:bank/*", vec![allow, deny, intent, outcome, unknown, observed]),
        ("tool:mcp:erp/*", vec![]),
        ("tool:*/send_*", vec![allow, deny, intent, outcome, unknown, observed]),
        ("decision:deny", vec![deny]),
        ("decision:allow,deny", vec![allow, deny, observed]),
        ("not decision:allow", but(&[allow, observed])),
        ("would:deny", vec![observed]),
        ("would:ask", vec![]),
        ("origin:untrusted,unknown", vec![observed]),
        ("origin:mission", vec![]),
        ("kind:unknown_outcome", vec!["exception_record"]),
        ("kind:access,issuer", vec![]),
        ("status:unknown", vec![unknown]),
        ("status:done,unknown", vec![outcome, unknown]),
        ("status:*", vec![outcome, unknown]),
        ("reason:argument_out_of_bounds", vec![deny, observed]),
        ("reason:upstream_*,argument_*", vec![deny, unknown, observed]),
        (&format!("call:{call7}"), vec![allow, intent, outcome]),
        (&format!("call:{call7},{call8}"), vec![allow, intent, outcome, unknown, "exception_record"]),
        ("call:*", vec![allow, deny, intent, outcome, unknown, "exception_record", observed]),
        (&format!("run:{}*", run_id().to_string().get(..14).unwrap()), but(&["ledger_state", "version_log"])),
        ("run:0193*", vec![]),
        ("seq:1", vec!["ledger_state"]),
        ("seq:1,9", vec!["ledger_state", "version_log"]),
        ("seq:5..7", vec![intent, outcome, unknown]),
        ("seq:8..", vec!["exception_record", "version_log", "request_context-oidc", observed]),
        ("seq:..2", vec!["ledger_state", "request_context"]),
        ("after:2026-11-23", all.clone()),
        ("before:2026-11-23", vec![]),
        ("after:2026-11-24", vec![]),
        ("after:2026-11-23T09:30:00.009Z", vec!["version_log", "request_context-oidc", observed]),
        ("before:2026-11-23T10:30:00.002+01:00", vec!["ledger_state"]),
        ("status:done or decision:deny", vec![deny, outcome]),
        ("status:done or decision:deny type:action_record", vec![outcome]),
        ("(status:done or decision:deny) and not type:action_record", vec![deny]),
        ("(status:done or decision:deny)type:action_record", vec![outcome]),
        ("not (status:done or decision:deny) seq:4..6", vec![intent]),
        ("not not status:done", vec![outcome]),
        ("status:done and status:unknown", vec![]),
        ("agent:\"ap-bot\" status:\"d*e\"", vec![outcome]),
        ("event:intent,outcome", vec![intent, outcome, unknown]),
        ("event:started", vec!["ledger_state"]),
        ("event:mitigated", vec!["exception_record"]),
        ("effect_class:pay", vec![intent, outcome, unknown]),
        ("on:2026-11-23", all.clone()),
        ("on:2026-11", all.clone()),
        ("on:2026-11-22,2025", vec![]),
        ("on:2026-11-23T09:30:00.009Z..", vec!["version_log", "request_context-oidc", observed]),
        ("on:..2026-11-23T09:30:00.001Z", vec!["ledger_state"]),
        ("object:*", vec!["version_log"]),
        ("object:mission:pay-*", vec!["version_log"]),
        ("object:pin:*", vec![]),
        ("person:countersign", vec!["ledger_state", "version_log"]),
        ("nowhere", vec![]),
        ("call(status:unknown)", vec![unknown]),
        ("run(type:ledger_state)", vec![]),
    ] {
        assert_eq!(matching(text), want, "{text}");
        let filter = parse(text);
        assert_eq!(parse(&filter.to_string()), filter, "{filter}");
    }
}

#[test]
fn approvals_are_found_by_type_and_tool() {
    let records: Vec<_> = drafts()
        .into_iter()
        .zip(1..)
        .map(|((name, draft), seq)| (name, read(&written(&draft, seq)).unwrap()))
        .collect();
    let matching = |text: &str| {
        let filter = text.parse::<Filter>().unwrap();
        records.iter().filter(|(_, record)| filter.matches(record)).map(|(name, _)| *name).collect::<Vec<_>>()
    };
    let approvals = [
        "approval_record-requested",
        "approval_record-reminded",
        "approval_record-escalated",
        "approval_record-review",
        "approval_record-resolved",
        "approval_record-consumed",
        "approval_record-delivered",
        "approval_record-revoked",
        "approval_record-requested-glass",
        "approval_record-review-glass",
        "approval_record-resolved-glass",
        "approval_record-released",
        "approval_record-requested-edit",
        "approval_record-review-edit",
        "approval_record-resolved-edit",
        "approval_record-requested-follows",
        "approval_record-requested-standing",
        "approval_record-review-standing",
        "approval_record-resolved-standing",
        "approval_record-consumed-standing",
    ];
    assert_eq!(matching("type:approval_record"), approvals);
    assert_eq!(matching("type:approval_record tool:mcp:bank/send_money"), approvals);
    assert_eq!(matching("decision:ask"), ["decision_record-ask"]);
    assert!(matching("type:approval_record status:done").is_empty());
}

#[test]
fn people_gates_and_sentences_find_approvals() {
    let records: Vec<_> = drafts()
        .into_iter()
        .zip(1..)
        .map(|((name, draft), seq)| (name, read(&written(&draft, seq)).unwrap()))
        .collect();
    let matching = |text: &str| {
        let filter = parse(text);
        records.iter().filter(|(_, record)| filter.matches(record)).map(|(name, _)| *name).collect::<Vec<_>>()
    };
    let reviews = matching("type:approval_record event:review");
    assert_eq!(matching("approver:*"), reviews);
    assert_eq!(matching("answer:*"), reviews);
    for (_, record) in &records {
        let Body::Approval(approval) = &record.body else { continue };
        let found = |text: &str| parse(text).matches(record);
        assert!(found(&format!("approval:{}", approval.approval)) && !found("approval:0193*"));
        if let Some(review) = &approval.review {
            assert!(found(&format!("approver:{0} person:{0}", review.reviewer)));
            assert!(found(&format!("\"{}\"", review.reason.to_uppercase())));
        }
        for gate in approval.question.iter().flat_map(|question| &question.gates) {
            assert!(found(&format!("gate:{}", gate.name)));
        }
    }
    let decided: Vec<_> = matching("type:decision_record version:*");
    assert_eq!(decided, matching("type:decision_record"));
}

#[test]
fn times_are_read_from_now() {
    let now = "2026-11-26T10:00:00Z".parse().unwrap();
    for (text, want) in [
        ("after:7d", "after:2026-11-19T10:00:00.000000Z"),
        ("after:90s", "after:2026-11-26T09:58:30.000000Z"),
        ("after:30m", "after:2026-11-26T09:30:00.000000Z"),
        ("before:12h", "before:2026-11-25T22:00:00.000000Z"),
        ("before:now", "before:2026-11-26T10:00:00.000000Z"),
        ("after:today", "after:2026-11-26T00:00:00.000000Z"),
        ("on:yesterday", "on:2026-11-25T00:00:00.000000Z..2026-11-25T23:59:59.999999Z"),
        ("on:2w..1w", "on:2026-11-12T10:00:00.000000Z..2026-11-19T10:00:00.000000Z"),
        ("after:9999w", "after:1970-01-01T00:00:00.000000Z"),
    ] {
        assert_eq!(Filter::parse_at(text, now).map(|filter| filter.to_string()).as_deref(), Ok(want), "{text}");
    }
    for text in ["after:7", "after:d", "after:-7d", "after:7D", "after:12345d", "after:7d..", "on:tomorrow"] {
        assert!(Filter::parse_at(text, now).is_err(), "{text}");
    }
}

#[test]
fn joins_look_at_the_other_records_of_a_call_or_run() {
    let records: Vec<Record> =
        drafts().into_iter().zip(1..).map(|((_, draft), seq)| read(&written(&draft, seq)).unwrap()).collect();
    let matching = |text: &str| -> Vec<u64> {
        let filter = parse(text);
        records.iter().filter(|record| filter.matches_among(record, &records)).map(|record| record.seq).collect()
    };
    let call = call_id(7);
    assert_eq!(matching("call(decision:allow event:intent)"), Vec::<u64>::new());
    assert_eq!(matching(&format!("call(call:{call})")), matching(&format!("call:{call}")));
    assert_eq!(matching("call(status:done) decision:allow"), matching(&format!("call:{call} decision:allow")));
    assert_eq!(matching("run(type:ledger_state)"), Vec::<u64>::new());
    assert_eq!(matching("run(call(status:done))"), matching("run(status:done)"));
    assert_eq!(matching("not call(type:*)"), matching("not call:*"));
    assert_eq!(matching("approval(type:*)"), matching("approval:*"));
    assert_eq!(matching("decision:ask approval(answer:approve)").len(), 1);
    assert_eq!(parse("call(a) or not run(call(b))").joins().len(), 2);
}

#[test]
fn every_field_has_an_example_that_is_a_term_of_it() {
    let now = "2026-11-26T10:00:00Z".parse().unwrap();
    for field in Field::ALL {
        let filter = Filter::parse_at(field.example(), now).unwrap();
        assert!(filter.to_string().starts_with(&format!("{}:", field.name())), "{filter}");
        assert_eq!(Field::named(field.name()), Some(*field));
    }
    assert_eq!(Filter::field_of("deny").as_deref(), Some("decision:deny"));
    assert_eq!(Filter::field_of("nowhere"), None);
}

#[test]
fn filters_are_written_in_one_form() {
    for (text, want) in [
        ("  a  ", Some("text:a")),
        ("\"Not this\",That", Some("text:\"not this\",that")),
        ("*a*b* c", Some("text:a*b text:c")),
        ("\"or\" \"a*b\"", Some("text:or text:a*b")),
        ("text:OR", Some("text:or")),
        ("version:3fa9", Some("version:3fa9*")),
        (
            "call( status:done  decision:deny )type:action_record",
            Some("call(status:done decision:deny) type:action_record"),
        ),
        ("not run(a or not call(b))", Some("not run(text:a or not call(text:b))")),
        ("on:2026-02-28", Some("on:2026-02-28T00:00:00.000000Z..2026-02-28T23:59:59.999999Z")),
        ("on:2024-02", Some("on:2024-02-01T00:00:00.000000Z..2024-02-29T23:59:59.999999Z")),
        ("on:2026", Some("on:2026-01-01T00:00:00.000000Z..2026-12-31T23:59:59.999999Z")),
        ("on:2025-12..2026-01-02", Some("on:2025-12-01T00:00:00.000000Z..2026-01-02T23:59:59.999999Z")),
        ("after:2026-11", Some("after:2026-11-01T00:00:00.000000Z")),
        ("status:done  and   type:action_record", Some("status:done type:action_record")),
        ("( status:done )", Some("status:done")),
        ("status:unknown,done", Some("status:done,unknown")),
        ("type:*_record", Some("type:action_record,approval_record,decision_record,exception_record")),
        ("status:done (type:action_record seq:1)", Some("status:done type:action_record seq:1")),
        ("status:done or (type:action_record or seq:1)", Some("status:done or type:action_record or seq:1")),
        ("not (status:done or seq:1)", Some("not (status:done or seq:1)")),
        ("mission:\"a b\",c**d", Some("mission:\"a b\",c*d")),
        (r#"mission:"a\*b""#, Some(r#"mission:"a\*b""#)),
        (r"mission:C:\x", Some(r#"mission:"C:\\x""#)),
        ("mission:\"\"", Some("mission:\"\"")),
        ("after:2026-11-01", Some("after:2026-11-01T00:00:00.000000Z")),
        ("seq:..9,7..7", Some("seq:0..9,7")),
        ("mission:and", Some("mission:and")),
    ] {
        assert_eq!(text.parse::<Filter>().ok().map(|filter| filter.to_string()).as_deref(), want, "{text}");
    }
}

#[test]
fn a_refusal_says_where_what_and_what_was_meant() {
    let deep = "(".repeat(FILTER_DEPTH_MAX + 1);
    let long = "a".repeat(FILTER_BYTES_MAX + 1);
    for (text, at, what, suggestion) in [
        ("sttatus:done", 0, "there is no field `sttatus`; the fields are type, mission,", Some("status")),
        ("seq:1 colour:red", 6, "there is no field `colour`", None),
        ("status:don", 7, "`don` is not a status; known are cancelled, done,", Some("done")),
        ("status:done,x*", 12, "`x*` is not a status", None),
        ("status:DONE", 7, "`DONE` is not a status", Some("done")),
        ("decision:denied", 9, "`denied` is not a decision; known are allow, ask, deny", Some("deny")),
        ("type:action", 5, "`action` is not a type", Some("action_record")),
        ("tool:send_money", 5, "`send_money` is not a tool; tools are written like", Some("*/send_money")),
        ("tool:bank/send_money", 5, "is not a tool", Some("*:bank/send_money")),
        ("tool:\"\0/s(\"", 5, "`\\0/s(` is not a tool", None),
        ("status=done", 0, "`status=done` is not a term; a term is field:value", Some("status:done")),
        ("seq>7", 0, "is not a term", Some("seq:7")),
        ("seq:1 approvers:eva", 6, "to look for the text, put it in quotes", Some("approver")),
        ("**", 0, "a text to look for has at least one letter", None),
        (
            "calls(status:done)",
            0,
            "there is no `calls(`; `call(`, `run(`, `approval(`, `exception(` ask",
            Some("call("),
        ),
        ("call()", 5, "`)` cannot start a term", None),
        ("call(status:done", 0, "`(` without a `)`", None),
        ("event:approved", 6, "`approved` is not an event; known are intent,", None),
        ("object:payments", 7, "`payments` is not kind:name; kinds are attachment,", Some("*:payments")),
        ("object:mission", 7, "is not kind:name", Some("mission:*")),
        ("after:7d", 6, "`7d` counts from now, which a filter that is kept does not have", None),
        ("on:today", 3, "counts from now", None),
        ("on:2026-11-05..2026-11-04", 3, "is no span for `on:`; want from..until", None),
        ("on:..", 3, "is no span", None),
        ("approval:7", 9, "`7` is not an approval; want a UUID", None),
        ("status:", 7, "`status:` has no value here", None),
        ("status: done", 7, "`status:` has no value here", None),
        ("status:done,", 12, "`status:` has no value here", None),
        ("status:,done", 7, "`status:` has no value here", None),
        ("status:done or", 14, "a term is missing at the end", None),
        ("status:done and", 15, "a term is missing at the end", None),
        ("not", 3, "a term is missing at the end", None),
        ("or status:done", 0, "a term is missing before `or`", None),
        ("status:done and or seq:1", 16, "a term is missing before `or`", None),
        ("status:done AND seq:1", 12, "`AND` is not a term", Some("and")),
        ("(status:done", 0, "`(` without a `)`", None),
        ("status:done)", 11, "`)` without a `(`", None),
        ("()", 1, "`)` cannot start a term", None),
        ("agent:\"ana", 6, "a quote without its end", None),
        ("agent:\"a\"b", 9, "`b` cannot stand here", None),
        ("agent:a\"b", 7, "cannot stand here", None),
        ("agent:\"\\n\"", 8, "after `\\` comes", None),
        ("call:7", 5, "`7` is not a call; want a UUID", None),
        ("call:0193B5A2-*", 5, "is not a call", None),
        ("run:*7", 4, "is not a run", None),
        ("after:once", 6, "`once` is not a time; want 2026-11-01", None),
        ("after:yesterday", 6, "`yesterday` counts from now", None),
        ("after:2026-13-01", 6, "is not a time", None),
        ("after:2026-11-*", 6, "is not a time", None),
        ("after:2026-11-01,2026-11-02", 17, "`after:` takes one time", None),
        ("seq:-1", 4, "is not a record number; want 7, 7..9", None),
        ("seq:+1", 4, "is not a record number", None),
        ("seq:9..7", 4, "is not a record number", None),
        ("seq:..", 4, "is not a record number", None),
        ("seq:1*", 4, "`1*` is not a record number", None),
        ("agent:a\u{7}", 7, "`\\u{7}` cannot stand here", None),
        (deep.as_str(), FILTER_DEPTH_MAX, "more than 64 `not` and `(` within each other", None),
        (long.as_str(), 0, "a filter has at most 4096 bytes", None),
    ] {
        let error = text.parse::<Filter>().unwrap_err();
        assert!(error.what.contains(what), "{text}: {error}");
        assert_eq!((error.at, error.suggestion.as_deref()), (at, suggestion), "{text}: {error}");
    }
    let error = "stat:done".parse::<Filter>().unwrap_err().to_string();
    assert!(
        error.starts_with("filter, byte 0: there is no field `stat`;") && error.ends_with("did you mean `status`?")
    );
}

#[test]
fn wildcards_stand_for_any_text() {
    for (pattern, text, want) in [
        ("a", "a", true),
        ("a", "ab", false),
        ("a*", "a", true),
        ("a*", "ba", false),
        ("*a", "ba", true),
        ("a*a", "a", false),
        ("a*a", "aa", true),
        ("*ab*", "aab", true),
        ("*ab*ab*", "ab", false),
        ("*ab*ab*", "xabyabz", true),
        ("a*bc*c", "abcc", true),
        ("a*bc*c", "abc", false),
        ("*", "", true),
        ("é*", "éa", true),
    ] {
        let Filter::Term(Term::Value(Field::Mission, patterns)) = parse(&format!("mission:{pattern}")) else {
            panic!("{pattern}")
        };
        assert_eq!(patterns[0].matches(text), want, "{pattern} {text}");
    }
}

fn a_pattern() -> impl Strategy<Value = Pattern> {
    let segment = prop_oneof!["[a-c*\"\\\\ (),:é.]{1,4}", "[a-z]{1,3}"];
    let ends = (prop_oneof![Just(String::new()), segment.clone()], prop_oneof![Just(String::new()), segment.clone()]);
    let several = (ends, prop::collection::vec(segment.clone(), 0..3))
        .prop_map(|((first, last), middle)| [vec![first], middle, vec![last]].concat());
    prop_oneof![segment.prop_map(|one| vec![one]), Just(vec![String::new()]), several]
        .prop_map(|segments| Pattern { segments })
}

fn a_term() -> impl Strategy<Value = Term> {
    let patterns = || prop::collection::vec(a_pattern(), 1..3);
    let seq = (any::<u64>(), any::<u64>()).prop_map(|(a, b)| SeqRange { low: a.min(b), high: a.max(b) });
    let open = prop::sample::select(vec![
        Field::Mission,
        Field::Agent,
        Field::Initiator,
        Field::Person,
        Field::Approver,
        Field::Reason,
        Field::Gate,
        Field::Class,
    ]);
    let closed = prop::sample::select(Field::ALL.to_vec())
        .prop_filter_map("has words", |field| field.words().map(|words| (field, words)))
        .prop_filter("has a type of its own", |(field, _)| !matches!(field, Field::Type | Field::Kind))
        .prop_flat_map(|(field, words)| (Just(field), prop::sample::subsequence(words, 1..=2)))
        .prop_map(|(field, words)| Term::Value(field, words.into_iter().map(Pattern::exactly).collect()));
    let ids = prop::sample::select(vec!["*", "0193*", "0193b5a2-6f1e-*", "0193b5a2-6f1e-7cc3-98c4-dc0c0c07398f"]);
    prop_oneof![
        prop::sample::subsequence(RecordType::ALL.to_vec(), 1..4).prop_map(Term::Type),
        closed,
        prop::sample::subsequence(ExceptionKind::ALL.to_vec(), 1..4).prop_map(Term::Kind),
        (open, patterns()).prop_map(|(field, patterns)| Term::Value(field, patterns)),
        prop::collection::vec("[a-z]{1,3}( [a-z]{1,3})?", 1..3)
            .prop_map(|texts| Term::Text(texts.iter().map(|text| Pattern::exactly(text).anywhere()).collect())),
        (0..4_000_000_000_000_000_i64, 0..4_000_000_000_000_000_i64).prop_map(|(a, b)| {
            let [from, until] = [a.min(b), a.max(b)].map(Timestamp::from_micros);
            Term::On(vec![Span { from, until }])
        }),
        prop::collection::vec(a_pattern().prop_filter("has a wildcard", |pattern| pattern.exact().is_none()), 1..3)
            .prop_map(|patterns| Term::Value(Field::Tool, patterns)),
        prop::collection::vec(an_argument(), 1..3).prop_map(Term::Argument),
        prop::collection::vec(seq, 1..3).prop_map(Term::Seq),
        (0..4_000_000_000_000_000_i64).prop_map(|micros| Term::After(Timestamp::from_micros(micros))),
        (0..4_000_000_000_000_000_i64).prop_map(|micros| Term::Before(Timestamp::from_micros(micros))),
        ids.prop_map(|id| match parse(&format!("call:{id}")) {
            Filter::Term(term) => term,
            other => panic!("{other}"),
        }),
    ]
}

fn an_argument() -> impl Strategy<Value = Argument> {
    let name = prop::sample::select(vec!["amount", "am*", "*", "a b", "to"])
        .prop_map(|text| Pattern { segments: text.split('*').map(str::to_owned).collect() });
    let number = prop::sample::select(vec!["0", "1000", "-3.5", "4200.00"]).prop_map(str::to_owned);
    let test = prop_oneof![
        Just(None),
        a_pattern().prop_map(|pattern| Some(Test::Is(pattern))),
        (prop::sample::select(Comparison::ALL.to_vec()), number)
            .prop_map(|(comparison, number)| Some(Test::Compares(comparison, number))),
    ];
    (name, test).prop_map(|(name, test)| Argument { name, test })
}

pub(super) fn a_filter() -> impl Strategy<Value = Filter> {
    a_term().prop_map(Filter::Term).prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4).prop_map(|all| Filter::And(flat(all, |filter| match filter {
                Filter::And(more) => Ok(more),
                other => Err(other),
            }))),
            prop::collection::vec(inner.clone(), 2..4).prop_map(|any| Filter::Or(flat(any, |filter| match filter {
                Filter::Or(more) => Ok(more),
                other => Err(other),
            }))),
            inner.clone().prop_map(|one| Filter::Not(Box::new(one))),
            (prop::sample::select(Along::ALL.to_vec()), inner)
                .prop_map(|(along, inner)| Filter::Join(Join { along, inner: Box::new(inner) })),
        ]
    })
}

/// Takes lists of the same kind apart, as the parser does.
fn flat(filters: Vec<Filter>, inner: fn(Filter) -> Result<Vec<Filter>, Filter>) -> Vec<Filter> {
    filters.into_iter().flat_map(|filter| inner(filter).unwrap_or_else(|other| vec![other])).collect()
}

proptest! {
    #[test]
    fn a_filter_reads_back_as_it_was_written(filter in a_filter()) {
        let text = filter.to_string();
        if text.len() <= FILTER_BYTES_MAX && text.matches("call(").count() + text.matches("run(").count() + text.matches("approval(").count() + text.matches("exception(").count() <= FILTER_JOINS_MAX {
            prop_assert_eq!(text.parse::<Filter>(), Ok(filter));
        }
    }

    #[test]
    fn matching_is_boolean_algebra(a in a_filter(), b in a_filter(), n in 0_usize..9) {
        let (_, draft) = drafts().swap_remove(n);
        let record = read(&written(&draft, n as u64 + 1)).unwrap();
        let (in_a, in_b) = (a.matches(&record), b.matches(&record));
        prop_assert_eq!(Filter::And(vec![a.clone(), b.clone()]).matches(&record), in_a && in_b);
        prop_assert_eq!(Filter::Or(vec![a.clone(), b]).matches(&record), in_a || in_b);
        prop_assert_eq!(Filter::Not(Box::new(a)).matches(&record), !in_a);
    }

    #[test]
    fn a_pattern_matches_what_it_was_made_of(pattern in a_pattern(), fill in "[a-z*]{0,4}") {
        prop_assert!(pattern.matches(&pattern.segments().join(&fill)));
    }

    #[test]
    fn hostile_filters_do_not_panic_and_errors_point_into_the_text(text in prop_oneof![any::<String>(), "[a-z:(),* \"\\\\.0-9]{0,40}", "((not |and |or |\\(|\\)|status:|seq:|after:|tool:|call:|done|1|\\.\\.|\\*|,|\"| ){0,12})"]) {
        if let Err(error) = text.parse::<Filter>() {
            prop_assert!(text.get(error.at..).is_some(), "{error}");
            prop_assert!(!error.to_string().contains(char::is_control));
        }
    }
}

#[test]
fn times_are_ledger_time() {
    let (_, mut draft) = drafts().swap_remove(0);
    draft.occurred_at = at(5);
    let record = read(&written(&draft, 1)).unwrap();
    assert!(parse("after:2026-11-23T09:30:00.005Z before:2026-11-23T09:30:00.006Z").matches(&record));
    assert!(!parse("before:2026-11-23T09:30:00.005Z").matches(&record));
}
