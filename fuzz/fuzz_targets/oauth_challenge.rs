//! Any header says something or nothing, and what it says is read again from its plainest spelling.
#![no_main]

use gateway::oauth::challenge::Challenge;
use http::HeaderValue;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|header: &[u8]| {
    let Ok(header) = HeaderValue::from_bytes(header) else { return };
    let read = Challenge::read(Some(&header));
    let fields = [("error", &read.error), ("resource_metadata", &read.resource_metadata), ("scope", &read.scope)];
    let mut plain = "Bearer realm=\"x\"".to_owned();
    for (name, value) in fields {
        if let Some(value) = value {
            let quoted = value.replace('\\', "\\\\").replace('"', "\\\"");
            plain.push_str(&format!(", {name}=\"{quoted}\""));
        }
    }
    let plain = HeaderValue::from_str(&plain).expect("parts of a header are one");
    assert_eq!(Challenge::read(Some(&plain)), read);
});
