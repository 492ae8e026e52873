//! Tokens have one spelling and are found where they stand; arguments stay JSON when they turn back, and every other byte of them stays.
#![no_main]

use governance::classify::token::{TokenKey, turn_back};
use libfuzzer_sys::fuzz_target;

const MISSION: &str = "example";

fuzz_target!(|bytes: &[u8]| {
    // The key of the seeds.
    let key = TokenKey::new(std::array::from_fn(|at| at as u8));
    let mut end = 0;
    for token in key.tokens(MISSION, bytes) {
        assert!(end <= token.range.start);
        end = token.range.end;
        let spelt = &bytes[token.range.clone()];
        let written = key.token(MISSION, token.class, &token.kind, &token.value).expect("what was read is written");
        // An address may stand without what makes it one.
        assert!(
            written.as_bytes() == spelt || written.strip_suffix("@token.invalid").map(str::as_bytes) == Some(spelt)
        );
    }
    assert_eq!(turn_back(bytes, MISSION, &key, |_| false), None);
    assert_eq!(turn_back(bytes, "another", &key, |_| true), None);
    let Some(turned) = turn_back(bytes, MISSION, &key, |_| true) else { return };
    let (mut rest, mut at) = (&turned.arguments[..], 0);
    for token in &turned.tokens {
        for part in [&bytes[at..token.range.start], token.value.as_bytes()] {
            rest = rest.strip_prefix(part).expect("everything else stays");
        }
        at = token.range.end;
    }
    assert_eq!(rest, &bytes[at..]);
    if serde_json::from_slice::<serde_json::Value>(bytes).is_ok() {
        serde_json::from_slice::<serde_json::Value>(&turned.arguments).expect("JSON stays JSON");
    }
});
