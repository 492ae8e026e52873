//! A token is three parts that are read strictly; no text verifies with a key that did not sign it, and key sets are bounded.
#![no_main]

use std::sync::LazyLock;

use gateway::auth::keys;
use gateway::auth::token::{Key, Unverified};
use gateway::limits::KEYS_MAX;
use libfuzzer_sys::fuzz_target;

/// A key whose other half nobody here has.
static KEYS: LazyLock<Vec<Key>> = LazyLock::new(|| {
    let set = br#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
    keys::read(set).expect("a set with one key")
});

fuzz_target!(|bytes: &[u8]| {
    if let Ok(read) = keys::read(bytes) {
        assert!((1..=KEYS_MAX).contains(&read.len()));
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(token) = Unverified::read(text) {
        assert_eq!(text.split('.').count(), 3);
        for key in &*KEYS {
            assert!(token.verify(key).is_err());
        }
    }
});
