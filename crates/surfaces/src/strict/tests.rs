use proptest::prelude::*;

use super::*;
use crate::limits::{JSON_DEPTH_MAX, JSON_OPEN_MEMBERS_MAX};
use crate::mcp::codec::reference;
use crate::mcp::codec::samples::{any_value, written};

fn scan(text: impl AsRef<[u8]>) -> Result<(), StrictError> {
    strict_scan(text.as_ref(), &ReadLimits::REQUEST)
}

#[test]
fn one_value_of_any_kind_is_accepted() {
    let accepted = [
        "{}",
        "[]",
        "0",
        "-0",
        "-0.0e-0",
        "1E+2",
        "0.1",
        "1e-999",
        "9007199254740993",
        "18446744073709551616",
        "true",
        " false\n",
        "\t null \r\n",
        r#""""#,
        r#""\u0000\u001f\ud83d\ude00\uD83D\uDE00\/\b\f\n\r\t\"\\""#,
        "\"\u{7F}\u{2028}😀\"",
        r#"{"a":{"a":{"a":1}},"b":[{"a":1},{"a":2}]}"#,
        r#"{"a":1,"A":2,"á":3,"a\u0301":4,"":5," ":6}"#,
        r#"{"__proto__":1,"constructor":2}"#,
    ];
    for text in accepted {
        assert_eq!(scan(text), Ok(()), "{text}");
    }
}

#[test]
fn what_readers_could_take_differently_is_refused_with_its_place() {
    use StrictFault::*;
    let unexpected = |expected| Unexpected { expected };
    let ends = |expected| EndsEarly { expected };
    let refused: &[(&[u8], usize, StrictFault)] = &[
        (b"", 0, ends("a value")),
        (b"  ", 2, ends("a value")),
        (b"{", 1, ends("a key in quotes")),
        (b"{\"a\"", 4, ends("`:`")),
        (b"{\"a\":", 5, ends("a value")),
        (b"{\"a\":1", 6, ends("`,` or `}`")),
        (b"{\"a\":1,}", 7, unexpected("a key in quotes")),
        (b"{a:1}", 1, unexpected("a key in quotes")),
        (b"{'a':1}", 1, unexpected("a key in quotes")),
        (b"{\"a\" 1}", 5, unexpected("`:`")),
        (b"{\"a\":1]", 6, unexpected("`,` or `}`")),
        (b"{1:1}", 1, unexpected("a key in quotes")),
        (b"[1,]", 3, unexpected("a value")),
        (b"[,1]", 1, unexpected("a value")),
        (b"[1 2]", 3, unexpected("`,` or `]`")),
        (b"[1}", 2, unexpected("`,` or `]`")),
        (b"[1", 2, ends("`,` or `]`")),
        (b"]", 0, unexpected("a value")),
        (b"/*c*/1", 0, unexpected("a value")),
        (b"1 // c", 2, TrailingData),
        (b"{}{}", 2, TrailingData),
        (b"{}\0", 2, TrailingData),
        (b"1,", 1, TrailingData),
        (b"\x0c1", 0, unexpected("a value")),
        (b"tru", 0, unexpected("a value")),
        (b"truE", 0, unexpected("a value")),
        (b"truefalse", 4, TrailingData),
        (b"nulll", 4, TrailingData),
        (b"NaN", 0, unexpected("a value")),
        (b"Infinity", 0, unexpected("a value")),
        (b"-Infinity", 1, BadNumber),
        (b"-", 1, ends("a digit")),
        (b"+1", 0, unexpected("a value")),
        (b".5", 0, unexpected("a value")),
        (b"01", 0, BadNumber),
        (b"-01", 1, BadNumber),
        (b"00", 0, BadNumber),
        (b"1.", 2, ends("a digit")),
        (b"1.e3", 2, BadNumber),
        (b"[1e]", 3, BadNumber),
        (b"1e+", 3, ends("a digit")),
        (b"0x10", 1, TrailingData),
        (b"1_000", 1, TrailingData),
        (b"1e999", 0, NumberRange),
        (b"[-1e999]", 1, NumberRange),
        (b"\"abc", 4, ends("the closing quote")),
        (b"\"a\nb\"", 2, RawControl),
        (b"\"a\0b\"", 2, RawControl),
        (b"\"01234567\x1f\"", 9, RawControl),
        (b"\"\\", 2, ends("an escape")),
        (b"\"\\x41\"", 1, BadEscape),
        (b"\"\\'\"", 1, BadEscape),
        (b"\"\\u12", 5, ends("four hexadecimal digits")),
        (b"\"\\u12G4\"", 3, BadEscape),
        (b"\"\\u+123\"", 3, BadEscape),
        (b"\"\\ud83d\"", 1, LoneSurrogate),
        (b"\"\\ud83d\\n12345\"", 1, LoneSurrogate),
        (b"\"\\ud83d\\ud83d\"", 1, LoneSurrogate),
        (b"\"\\ud83d\\u0041\"", 1, LoneSurrogate),
        (b"\"\\ude00\"", 1, LoneSurrogate),
        (b"\"\xff\"", 1, InvalidUtf8),
        (b"\"\xed\xa0\x80\"", 1, InvalidUtf8),
        (b"\"\xc0\xaf\"", 1, InvalidUtf8),
        (b"\"\xf4\x90\x80\x80\"", 1, InvalidUtf8),
        (b"\"abc\xc3", 4, InvalidUtf8),
        (b"\xef\xbb\xbf{}", 0, ByteOrderMark),
        (b"\xfe\xff\0{\0}", 0, InvalidUtf8),
        (b"{\"a\":1,\"a\":1}", 7, DuplicateKey),
        (b"{\"a\":1,\"\\u0061\":1}", 7, DuplicateKey),
        (b"{\"\\u0061\":1,\"a\":1}", 12, DuplicateKey),
        (b"{\"\\/\":1,\"\\u002F\":1}", 8, DuplicateKey),
        (b"{\"\":1,\"\":1}", 6, DuplicateKey),
        (b"[{\"x\":{\"k\":1,\"j\":2,\"k\":3}}]", 19, DuplicateKey),
        (b"{\"\\ud83d\\ude00\":1,\"\xf0\x9f\x98\x80\":1}", 18, DuplicateKey),
        (b"{\"a\":{\"b\":1},\"b\":2,\"a\":3}", 19, DuplicateKey),
    ];
    for (text, offset, fault) in refused {
        let expected = StrictError { offset: *offset, fault: fault.clone() };
        assert_eq!(scan(text), Err(expected), "{}", text.escape_ascii());
    }
}

#[test]
fn every_refusal_says_what_where_and_how_to_mend() {
    let error = scan(br#"{"a":1,"a":2}"#).unwrap_err();
    assert_eq!(error.to_string(), "duplicate object key at byte 7; name each key once in its object");
    let error = scan("[".repeat(65)).unwrap_err();
    assert_eq!(error.to_string(), "nesting deeper than 64 at byte 64; flatten the value");
}

#[test]
fn limits_hold_at_the_limit_and_not_one_beyond() {
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert_eq!(scan(nested(JSON_DEPTH_MAX)), Ok(()));
    let too_deep = StrictFault::TooDeep { max: JSON_DEPTH_MAX };
    assert_eq!(scan(nested(JSON_DEPTH_MAX + 1)), Err(fault(JSON_DEPTH_MAX, too_deep)));
    assert!(matches!(scan("{\"a\":".repeat(100_000)).unwrap_err().fault, StrictFault::TooDeep { .. }));

    let limits = ReadLimits { bytes_max: 4, ..ReadLimits::REQUEST };
    assert_eq!(strict_scan(b"1234", &limits), Ok(()));
    assert_eq!(strict_scan(b"12345", &limits), Err(fault(4, StrictFault::TooLong { max: 4 })));

    let limits = ReadLimits { open_members_max: 3, ..ReadLimits::REQUEST };
    assert_eq!(strict_scan(br#"[{"a":{"b":0,"c":0}},{"a":0,"b":0,"c":0}]"#, &limits), Ok(()));
    let error = strict_scan(br#"{"a":{"b":0,"c":0,"d":0}}"#, &limits).unwrap_err();
    assert_eq!(error, fault(18, StrictFault::TooManyMembers { max: 3 }));

    let number = |digits| "1".repeat(digits);
    assert_eq!(scan(number(309)), Ok(()));
    assert_eq!(scan(number(310)), Err(fault(0, StrictFault::NumberRange)));
    assert_eq!(scan(format!("0.{}", number(JSON_NUMBER_BYTES_MAX - 2))), Ok(()));
    assert_eq!(scan(format!("0.{}", number(JSON_NUMBER_BYTES_MAX - 1))), Err(fault(0, StrictFault::NumberRange)));
}

#[test]
fn duplicates_among_very_many_keys_are_found() {
    let limits = ReadLimits::REQUEST;
    // The same length, head and tail: every fingerprint is equal.
    let colliding = |count: usize| (0..count).map(|n| format!("\"prefix__{n:06}__suffix\":0"));
    let plain = |count: usize| (0..count).map(|n| format!("\"{n:x}\":0"));
    let escaped = |count: usize| (0..count).map(|n| format!("\"\\u0070refix__{n:06}__suffix\":0"));
    let cases: [Vec<String>; 3] = [colliding(100_000).collect(), plain(100_000).collect(), escaped(60_000).collect()];
    for mut members in cases {
        let text = format!("{{{}}}", members.join(","));
        assert_eq!(strict_scan(text.as_bytes(), &limits), Ok(()));
        members.push(members[777].clone());
        members.push(members[5].clone());
        let text = format!("{{{}}}", members.join(","));
        let first_repeat = text.len() - 1 - members[5].len() - 1 - members[777].len();
        let expected = StrictError { offset: first_repeat, fault: StrictFault::DuplicateKey };
        assert_eq!(strict_scan(text.as_bytes(), &limits), Err(expected));
    }
}

#[test]
fn members_are_counted_while_their_objects_are_open() {
    let object =
        |count: usize| format!("{{{}}}", (0..count).map(|n| format!("\"{n:x}\":0")).collect::<Vec<_>>().join(","));
    assert_eq!(scan(object(JSON_OPEN_MEMBERS_MAX)), Ok(()));
    let error = scan(object(JSON_OPEN_MEMBERS_MAX + 1)).unwrap_err();
    assert_eq!(error.fault, StrictFault::TooManyMembers { max: JSON_OPEN_MEMBERS_MAX });
}

#[test]
fn a_reader_forgets_the_text_before() {
    let mut reader = StrictReader::new(ReadLimits::REQUEST);
    for (text, accepted) in [
        (&br#"{"a":{"b":[{"#[..], false),
        (br#"{"a":1,"a":2}"#, false),
        (br#"{"b":1,"\u0061":2}"#, true),
        (br#"{"\u0061":1,"a":2}"#, false),
        (br#"[]"#, true),
    ] {
        assert_eq!(reader.scan(text).is_ok(), accepted, "{}", text.escape_ascii());
    }
}

#[test]
fn a_special_byte_is_seen_at_every_position_of_a_word() {
    for length in 0..40 {
        for at in 0..length {
            for byte in [b'"', b'\\', 0, 0x1F, b'\n'] {
                let mut bytes = vec![0xBFu8; length];
                bytes[at] = byte;
                assert_eq!(plain_run(&bytes), at);
            }
            for byte in [0x20, 0x21, 0x23, 0x5B, 0x5D, 0x7F, 0x80, 0x9F, 0xA2, 0xDC, 0xFF] {
                let mut bytes = vec![b'a'; length];
                bytes[at] = byte;
                assert_eq!(plain_run(&bytes), length);
            }
        }
    }
}

proptest! {
    #[test]
    fn every_spelling_of_a_value_is_accepted(value in any_value(), seed: u64) {
        let text = written(&value, seed);
        prop_assert_eq!(strict_scan(&text, &ReadLimits::REQUEST), Ok(()));
        prop_assert_eq!(serde_json::from_slice::<serde_json::Value>(&text).unwrap(), value);
    }

    #[test]
    fn a_repeated_member_is_refused(
        members in prop::collection::btree_map("[a-d\"é]{0,4}", any_value(), 1..30),
        which: prop::sample::Index,
        depth in 0usize..5,
        seed: u64,
    ) {
        let (key, value) = members.iter().nth(which.index(members.len())).unwrap();
        let first = written(&serde_json::json!({ key: value }), seed.rotate_left(7));
        let rest = written(&serde_json::to_value(&members).unwrap(), seed);
        let first = String::from_utf8(first).unwrap();
        let rest = String::from_utf8(rest).unwrap();
        let object = format!("{},{}", first.trim().strip_suffix('}').unwrap(), rest.trim().strip_prefix('{').unwrap());
        let text = format!("{}{object}{}", "[".repeat(depth), "]".repeat(depth));
        let error = strict_scan(text.as_bytes(), &ReadLimits::REQUEST).unwrap_err();
        prop_assert_eq!(error.fault, StrictFault::DuplicateKey);
        prop_assert!(!reference::accepts(text.as_bytes(), JSON_DEPTH_MAX));
    }

    #[test]
    fn damaged_texts_are_accepted_exactly_where_the_slow_reference_does(
        value in any_value(),
        seed: u64,
        damage in prop::collection::vec((any::<prop::sample::Index>(), 0u8..4, prop::sample::select(&b"{}[],:\"\\u0019eE+-. \n\x00\x1f\xff\xc3\xa9dtn/a"[..])), 0..4),
    ) {
        let mut text = written(&value, seed);
        for (place, how, byte) in damage {
            let at = place.index(text.len() + 1);
            match how {
                0 => text.insert(at, byte),
                1 if at < text.len() => text[at] = byte,
                2 if at < text.len() => { text.remove(at); }
                _ => text.truncate(at),
            }
        }
        prop_assert_eq!(
            strict_scan(&text, &ReadLimits::REQUEST).is_ok(),
            reference::accepts(&text, JSON_DEPTH_MAX),
            "{}", text.escape_ascii()
        );
    }
}
