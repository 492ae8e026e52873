use proptest::prelude::*;

use super::*;

fn key() -> TokenKey {
    TokenKey::new(std::array::from_fn(|at| u8::try_from(at).unwrap()))
}

/// `arguments` with tokens of `mission` turned back for a tool that may have `class`.
fn back(arguments: &str, mission: &str, class: &str) -> Option<String> {
    let turned = turn_back(arguments.as_bytes(), mission, &key(), |token| token.class == class)?;
    Some(String::from_utf8(turned.arguments).unwrap())
}

fn ssn() -> String {
    key().token("example", "pii", "us_ssn", "536-22-8726").unwrap()
}

/// Tokens that are out turn back tomorrow.
#[test]
fn a_token_has_its_form_for_good() {
    assert_eq!(ssn(), "tok_pii_us_ssn_uueljuvvnigbwen4qp3uiodkaamy7ixzum7kem2yb34a");
    let email = key().token("example", "pii", "email", "ann@corp.example").unwrap();
    assert!(email.starts_with("tok_pii_email_") && email.ends_with("@token.invalid"), "{email}");
    assert!(ssn().bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_'));
}

#[test]
fn tokens_turn_back_where_they_stand() {
    let ssn = ssn();
    let email = key().token("example", "pii", "email", "ann@corp.example").unwrap();
    let bare = email.strip_suffix("@token.invalid").unwrap();
    for (arguments, after) in [
        (format!(r#"{{"a":"{ssn}"}}"#), Some(r#"{"a":"536-22-8726"}"#)),
        (
            format!(r#"{{"a": "pay to {ssn}, please" ,"b":[1.0, "{ssn}"]}}"#),
            Some(r#"{"a": "pay to 536-22-8726, please" ,"b":[1.0, "536-22-8726"]}"#),
        ),
        (format!(r#"{{"a":"{{\"b\":\"{ssn}\"}}"}}"#), Some(r#"{"a":"{\"b\":\"536-22-8726\"}"}"#)),
        (format!(r#"{{"a":"x\n{ssn}\ny"}}"#), Some(r#"{"a":"x\n536-22-8726\ny"}"#)),
        (
            format!(r#"{{"a":"https://x.example/?q={ssn}&b={ssn}#x"}}"#),
            Some(r#"{"a":"https://x.example/?q=536-22-8726&b=536-22-8726#x"}"#),
        ),
        (format!(r#"{{"a":"{email} {bare}."}}"#), Some(r#"{"a":"ann@corp.example ann@corp.example."}"#)),
        (format!(r#"{{"a":"tok_pii_{ssn}"}}"#), Some(r#"{"a":"tok_pii_536-22-8726"}"#)),
        (format!(r#"{{"a":"x\t{ssn}"}}"#), Some(r#"{"a":"x\t536-22-8726"}"#)),
        (format!(r#"["{ssn}"]"#), Some(r#"["536-22-8726"]"#)),
        // Stays as it is.
        (format!(r#"{{"a":"x\{ssn}"}}"#), None),
        (format!(r#"{{"a":"{{\"b\":\"x\\{ssn}\"}}"}}"#), None),
        (format!(r#"{{"a":"C:\\{ssn}"}}"#), None),
        (format!(r#"{{"{ssn}":"a"}}"#), None),
        (format!(r#"{{"a":"{ssn}x"}}"#), None),
        (format!(r#"{{"a":"{ssn}_x"}}"#), None),
        (format!(r#"{{"a":"{ssn}X"}}"#), None),
        (format!(r#"{{"a":"{}"}}"#, ssn.to_ascii_uppercase()), None),
        (format!(r#"{{"a":"{}"}}"#, ssn.replace("tok_", r"\u0074ok_")), None),
        (format!(r#"{{"a":"{}"}}"#, ssn.replace("_pii_", "_secret_")), None),
        (format!(r#"{{"a":"{}"}}"#, ssn.replace("us_ssn", "us_itin")), None),
        (r#"{"a":"tok_pii_us_ssn_ tok_ tok_pii tok_pii_x tok_pii__a tok_nothing_x_a"}"#.to_owned(), None),
        (r#"{"a":"nothing"}"#.to_owned(), None),
        (String::new(), None),
        (format!(r#"{{"a":"{ssn}""#), None),
    ] {
        assert_eq!(back(&arguments, "example", "pii").as_deref(), after, "{arguments}");
        assert_eq!(back(&arguments, "example", "secret"), None, "another class: {arguments}");
        assert_eq!(back(&arguments, "example2", "pii"), None, "another mission: {arguments}");
        let other = turn_back(arguments.as_bytes(), "example", &TokenKey::new([1; 64]), |_| true);
        assert_eq!(other, None, "another home: {arguments}");
    }
}

#[test]
fn only_what_may_be_had_turns_back() {
    let secret = key().token("example", "secret", "password", "hunter2-Tiger!").unwrap();
    let both = format!(r#"{{"a":"{} {secret}"}}"#, ssn());
    assert_eq!(back(&both, "example", "pii").unwrap(), format!(r#"{{"a":"536-22-8726 {secret}"}}"#));
    let turned = turn_back(both.as_bytes(), "example", &key(), |_| true).unwrap();
    let what: Vec<_> = turned.tokens.iter().map(|token| (token.class, &*token.kind, token.value.as_str())).collect();
    assert_eq!(what, [("pii", "us_ssn", "536-22-8726"), ("secret", "password", "hunter2-Tiger!")]);
    assert!(!format!("{turned:?}").contains("hunter2"), "no value in what is logged");
}

#[test]
fn names_of_missions_and_kinds_do_not_run_together() {
    let one = key().token("ab", "pii", "c", "value").unwrap();
    let other = key().token("a", "pii", "bc", "value").unwrap();
    assert_ne!(one.rsplit('_').next(), other.rsplit('_').next());
}

/// A text that is full of what looks like tokens takes no longer than a text of its length.
#[test]
fn what_only_looks_like_tokens_costs_little() {
    for part in ["tok_", "tok_pii_", "tok_pii_a_", "tok_pii_us_ssn_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa "] {
        let text = part.repeat(1024 * 1024 / part.len());
        assert_eq!(key().tokens("example", text.as_bytes()), []);
    }
}

proptest! {
    #[test]
    fn what_became_a_token_turns_back_exactly(
        value in "[^\"\\\\\\p{Cc}]{1,60}",
        kind in "[a-z0-9_]{1,48}",
        class in proptest::sample::select(&CLASSES[..]),
        mission in "[a-z-]{1,20}",
    ) {
        let token = key().token(&mission, class, &kind, &value).unwrap();
        prop_assert_eq!(&key().token(&mission, class, &kind, &value).unwrap(), &token);
        let arguments = format!(r#"{{"a":"so {token}. ","b":1}}"#);
        let after = back(&arguments, &mission, class).unwrap();
        prop_assert_eq!(&after, &format!(r#"{{"a":"so {value}. ","b":1}}"#));
        prop_assert!(serde_json::from_str::<serde_json::Value>(&after).is_ok());
    }

    /// Whatever one letter of a token becomes, it is no token any more, and stays as it is.
    #[test]
    fn a_changed_token_does_not_turn_back(at in any::<proptest::sample::Index>(), with in "[a-z0-9_]") {
        let token = ssn();
        let at = at.index(token.len());
        let mut changed = token.clone();
        changed.replace_range(at..=at, &with);
        prop_assume!(changed != token);
        let arguments = format!(r#"{{"a":"{changed}"}}"#);
        prop_assert_eq!(back(&arguments, "example", "pii"), None);
    }

    #[test]
    fn no_text_breaks_anything(text in prop_oneof!["(tok_|pii_|email_|@token.invalid|[a-z2-7\"\\\\{}:,]){0,40}", "\\PC{0,60}"]) {
        prop_assert_eq!(key().tokens("example", text.as_bytes()), Vec::new());
        prop_assert_eq!(back(&text, "example", "pii"), None);
    }
}
