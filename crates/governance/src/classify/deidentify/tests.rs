use proptest::prelude::*;

use super::super::token::turn_back;
use super::*;
use crate::limits::TOKEN_VALUE_BYTES_MAX;

fn keys(hash: u8) -> Keys {
    Keys { hash: HashKey::new([hash; 32]), token: TokenKey::new([8; 64]) }
}

/// The mark on the `n`th place where `value` stands in `text`.
fn mark<'m>(text: &str, value: &str, kind: &'m str, treatment: Treatment) -> Mark<'m> {
    let start = text.find(value).unwrap();
    let class = if kind == "password" { "secret" } else { "pii" };
    Mark { class, range: start..start + value.len(), kind, treatment }
}

fn changed(text: &str, marks: &[Mark<'_>]) -> String {
    let changed = deidentify(text.as_bytes(), marks, "example", &keys(7)).unwrap();
    String::from_utf8(changed.text).unwrap()
}

#[test]
fn what_is_found_is_treated() {
    use Treatment::{Drop, Keep, Mask, Redact, Tag};
    for (text, value, kind, treatment, after) in [
        (r#"{"a":"id 123-45-6789."}"#, "123-45-6789", "us_ssn", Keep, r#"{"a":"id 123-45-6789."}"#),
        (r#"{"a":"id 123-45-6789."}"#, "123-45-6789", "us_ssn", Redact, r#"{"a":"id [redacted]."}"#),
        (r#"{"a":"id 123-45-6789."}"#, "123-45-6789", "us_ssn", Tag, r#"{"a":"id [pii.us_ssn]."}"#),
        (r#"{"a":"id 123-45-6789."}"#, "123-45-6789", "us_ssn", Mask, r#"{"a":"id ***-**-6789."}"#),
        (r#"{"a":"4 12"}"#, "4 12", "pin", Mask, r#"{"a":"* **"}"#),
        (r#"{"a":"ann@corp.example"}"#, "ann@corp.example", "email", Mask, r#"{"a":"a***@corp.example"}"#),
        (r#"{"a":"ann@corp.example"}"#, "ann@corp.example", "email", Redact, r#"{"a":"redacted@redacted.invalid"}"#),
        (r#"{"a":"ann@corp.example"}"#, "ann@corp.example", "email", Tag, r#"{"a":"pii.email@tag.invalid"}"#),
        (r#"{"a":"hunter2hunter2"}"#, "hunter2hunter2", "password", Mask, r#"{"a":"********"}"#),
        // What cannot be done as asked is done more strictly.
        (r#"{"a":"id 123-45-6789."}"#, "123-45-6789", "us_ssn", Drop, r#"{"a":"id [redacted]."}"#),
        (r#"["123-45-6789",1]"#, "123-45-6789", "us_ssn", Drop, r#"["[redacted]",1]"#),
        (r#"{"a":"p\u0061ss\"word"}"#, r#"p\u0061ss\"word"#, "password", Mask, r#"{"a":"[redacted]"}"#),
        (r#"{"a":123456789}"#, "123456789", "us_ssn", Mask, r#"{"a":0}"#),
        (r#"{"a":[true]}"#, "true", "flag", Tag, r#"{"a":[false]}"#),
        // Members go with one comma.
        (r#"{"a":"x","b":1}"#, "x", "us_ssn", Drop, r#"{"b":1}"#),
        (r#"{"b":1, "a" : "x" }"#, "x", "us_ssn", Drop, r#"{"b":1 }"#),
        (r#"{"b":{"a":"x"}}"#, "x", "us_ssn", Drop, r#"{"b":{}}"#),
        (r#"{"a":42,"b":[{}]}"#, "42", "us_ssn", Drop, r#"{"b":[{}]}"#),
        // JSON inside of JSON stays that.
        (r#"{"t":"{\"ssn\":\"123-45-6789\"}"}"#, "123-45-6789", "us_ssn", Tag, r#"{"t":"{\"ssn\":\"[pii.us_ssn]\"}"}"#),
    ] {
        assert_eq!(changed(text, &[mark(text, value, kind, treatment)]), after, "{value} of {text}: {treatment}");
    }
}

#[test]
fn what_is_of_several_classes_is_redacted_unless_they_ask_for_the_same() {
    use Treatment::{Drop, Keep, Mask, Redact, Tag};
    let text = r#"{"a":"id 123-45-6789 of Ann.","b":1}"#;
    for (first, second, third, after) in [
        (Mask, Keep, Keep, "id ***-**-6789 of Ann."),
        (Mask, Mask, Keep, "id ***-**-6789 of Ann."),
        (Mask, Redact, Keep, "id [redacted] of Ann."),
        (Tag, Mask, Keep, "id [redacted] of Ann."),
        (Drop, Mask, Keep, "id [redacted] of Ann."),
        (Mask, Keep, Redact, "id [redacted]."),
        (Keep, Mask, Mask, "id ***-**-6789."),
    ] {
        let marks = [
            mark(text, "123-45-6789", "us_ssn", first),
            mark(text, "123-45-6789", "customer", second),
            mark(text, "6789 of Ann", "person", third),
        ];
        assert_eq!(changed(text, &marks), format!(r#"{{"a":"{after}","b":1}}"#), "{first} {second} {third}");
    }
}

#[test]
fn members_at_the_end_go_with_the_comma_before_them() {
    let text = r#"{"a":"1","b":"2","c":"3","d":"4"}"#;
    let drop = |values: &[&str]| {
        let marks: Vec<_> = values.iter().map(|value| mark(text, value, "x", Treatment::Drop)).collect();
        changed(text, &marks)
    };
    for (gone, after) in [
        (vec!["1", "2", "3", "4"], r#"{}"#),
        (vec!["2", "3", "4"], r#"{"a":"1"}"#),
        (vec!["3", "4"], r#"{"a":"1","b":"2"}"#),
        (vec!["1", "2"], r#"{"c":"3","d":"4"}"#),
        (vec!["1", "4"], r#"{"b":"2","c":"3"}"#),
        (vec!["2", "4"], r#"{"a":"1","c":"3"}"#),
    ] {
        // As text in quotes, so that `1` is not found elsewhere.
        let gone: Vec<&str> = gone;
        assert_eq!(drop(&gone), after, "{gone:?}");
    }
}

#[test]
fn names_are_hashed_whatever_is_asked() {
    let text = r#"{"ann@corp.example":1,"bob@corp.example":2}"#;
    let marks = [
        mark(text, "ann@corp.example", "email", Treatment::Redact),
        mark(text, "bob@corp.example", "email", Treatment::Drop),
    ];
    let after: serde_json::Value = serde_json::from_str(&changed(text, &marks)).unwrap();
    assert_eq!(after.as_object().unwrap().len(), 2);
    assert!(after.as_object().unwrap().keys().all(|name| name.ends_with("@hash.invalid")));
}

#[test]
fn equal_values_have_equal_hashes_under_one_key() {
    let text = r#"{"a":"123-45-6789","b":"x 123-45-6789"}"#;
    let second = text.rfind("123").unwrap();
    let one = mark(text, "123-45-6789", "us_ssn", Treatment::Hash);
    let other = Mark { range: second..second + 11, ..one.clone() };
    let after: serde_json::Value = serde_json::from_str(&changed(text, &[one.clone(), other.clone()])).unwrap();
    assert_eq!(format!("x {}", after["a"].as_str().unwrap()), after["b"].as_str().unwrap());
    let elsewhere = deidentify(text.as_bytes(), &[one, other], "example", &keys(1)).unwrap();
    assert_ne!(String::from_utf8(elsewhere.text).unwrap(), after.to_string());
}

#[test]
fn tokens_stand_for_values_that_they_can_stand_for() {
    let long = "9".repeat(TOKEN_VALUE_BYTES_MAX + 1);
    let longest = "9".repeat(TOKEN_VALUE_BYTES_MAX);
    for (text, value, kind, is_token) in [
        (r#"{"a":"id 123-45-6789."}"#.to_owned(), "123-45-6789", "us_ssn", true),
        (r#"{"t":"{\"ssn\":\"123-45-6789\"}"}"#.to_owned(), "123-45-6789", "us_ssn", true),
        (r#"{"a":"so\n123-45-6789\nand"}"#.to_owned(), "123-45-6789", "us_ssn", true),
        (format!(r#"{{"a":"{longest}"}}"#), &longest, "us_ssn", true),
        (r#"{"a":"grüße"}"#.to_owned(), "grüße", "password", true),
        (r#"{"a":"ann@corp.example"}"#.to_owned(), "ann@corp.example", "email", true),
        (format!(r#"{{"a":"{long}"}}"#), &long, "us_ssn", false),
        (r#"{"a":"p\u0061ss\"word"}"#.to_owned(), r#"p\u0061ss\"word"#, "password", false),
        (r#"{"a":"123-45-67890"}"#.to_owned(), "123-45-6789", "us_ssn", false),
        (r#"{"a":"123-45-6789X"}"#.to_owned(), "123-45-6789", "us_ssn", false),
        (r#"{"a":123456789}"#.to_owned(), "123456789", "us_ssn", false),
        (r#"{"123-45-6789":1}"#.to_owned(), "123-45-6789", "us_ssn", false),
        (r#"{"a":"123-45-6789"}"#.to_owned(), "123-45-6789", "No Kind", false),
    ] {
        let marks = [mark(&text, value, kind, Treatment::Token)];
        let after = deidentify(text.as_bytes(), &marks, "example", &keys(7)).unwrap();
        let applied: Vec<_> = after.applied.keys().map(|(_, _, treatment)| *treatment).collect();
        let after = String::from_utf8(after.text).unwrap();
        assert!(!after.contains(value) && serde_json::from_str::<serde_json::Value>(&after).is_ok(), "{after}");
        assert_eq!(after.contains("tok_"), is_token, "{after}");
        assert_eq!(applied == [Treatment::Token], is_token, "{after}");
        let back = turn_back(after.as_bytes(), "example", &keys(7).token, |_| true);
        assert_eq!(back.map(|back| String::from_utf8(back.arguments).unwrap()), is_token.then_some(text));
    }
}

#[test]
fn what_is_not_json_does_not_go_on() {
    for (text, range) in [
        ("", 0..1),
        ("{", 0..1),
        (r#"{"a""#, 2..3),
        (r#"{"a":"b"]"#, 6..7),
        (r#"{"a":"b"}"#, 5..7),
        (r#"{"a":"b"}"#, 6..9),
        (r#"{"a":"b"}"#, 4..5),
        (r#"{"a":"b"}"#, 90..95),
        (r#"{"a":12}"#, 4..6),
    ] {
        let mark = Mark { class: "pii", range: range.clone(), kind: "x", treatment: Treatment::Redact };
        assert_eq!(deidentify(text.as_bytes(), &[mark], "example", &keys(7)), Err(NotJson), "{range:?} of {text}");
    }
}

fn json() -> impl Strategy<Value = serde_json::Value> {
    let text = prop_oneof!["[a-z0-9@ .-]{0,12}", "\\PC{0,8}", Just("a\"b\\c\n\u{1f600}".to_owned())];
    let leaf = prop_oneof![
        text.clone().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        any::<bool>().prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(serde_json::Value::from),
            proptest::collection::btree_map(text.clone(), inner, 0..5)
                .prop_map(|members| serde_json::Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    /// Whatever is marked, JSON stays JSON, and nothing that was marked whole is left.
    #[test]
    fn json_stays_json(value in json(), cuts in proptest::collection::vec((any::<prop::sample::Index>(), 1..6usize, 0..7usize), 1..6)) {
        let text = serde_json::to_string(&value).unwrap();
        let marks: Vec<Mark<'_>> = cuts.iter().map(|(at, length, treatment)| {
            let start = at.index(text.len());
            let treatment = Treatment::ALL[*treatment];
            Mark { class: "pii", range: start..(start + length).min(text.len()), kind: "x", treatment }
        }).collect();
        if let Ok(changed) = deidentify(text.as_bytes(), &marks, "example", &keys(7)) {
            let after = String::from_utf8(changed.text).unwrap();
            prop_assert!(serde_json::from_str::<serde_json::Value>(&after).is_ok(), "{after} of {text}");
        }
    }
}
