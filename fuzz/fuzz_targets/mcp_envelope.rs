//! A message is taken exactly where a slow reference takes it, and everything we say about it is in its bytes.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use surfaces::limits::{JSON_DEPTH_MAX, JSON_NUMBER_BYTES_MAX, ReadLimits};
use surfaces::mcp::codec::{Envelope, EnvelopeFault, EnvelopeKind, Meant, Raw, RawId, strict_scan};

#[path = "../../crates/surfaces/src/mcp/codec/reference.rs"]
mod reference;

fuzz_target!(|text: &[u8]| {
    let scanned = strict_scan(text, &ReadLimits::REQUEST);
    // The reference knows no limit on the length of a number.
    let has_long_number =
        text.split(|byte| !byte.is_ascii_digit()).any(|digits| digits.len() > JSON_NUMBER_BYTES_MAX / 4);
    if !has_long_number {
        assert_eq!(scanned.is_ok(), reference::accepts(text, JSON_DEPTH_MAX), "{scanned:?}");
    }
    if let Err(error) = &scanned {
        assert!(error.offset <= text.len());
    }
    match Envelope::parse(Bytes::copy_from_slice(text), &ReadLimits::REQUEST) {
        Ok(message) => {
            scanned.expect("an envelope is a value");
            check_message(&message);
        }
        Err(refusal) => {
            if let Err(error) = scanned {
                let same = refusal.fault == EnvelopeFault::Unreadable(error) || refusal.fault == EnvelopeFault::Batch;
                assert!(same);
            }
            let reply = Envelope::parse(refusal.reply(), &ReadLimits::RESPONSE).expect("our replies are messages");
            let expected = match refusal.meant {
                Meant::Request(id) => Some(id),
                Meant::Response(_) | Meant::Unclear => None,
            };
            assert_eq!(*reply.kind(), EnvelopeKind::ErrorResponse { id: expected });
        }
    }
});

fn check_message(message: &Envelope) {
    let value = serde_json::from_slice::<serde_json::Value>(message.bytes()).expect("valid JSON");
    assert_eq!(message.method(), value.get("method").and_then(serde_json::Value::as_str));
    for (part, member) in [(message.params(), "params"), (message.result(), "result"), (message.error(), "error")] {
        let part = part.map(|part| serde_json::from_slice(part.bytes()).expect("a part is a value"));
        assert_eq!(part.as_ref(), value.get(member));
    }
    if let Some(id) = message.id() {
        let other = message.with_id(&RawId::integer(-1));
        let other = Envelope::parse(other, &ReadLimits::RESPONSE).expect("still a message");
        assert_eq!(other.id(), Some(&RawId::integer(-1)));
        assert_eq!(&other.with_id(id), message.bytes());
        let written = id.json();
        let raw = Raw::parse(written.as_bytes(), &ReadLimits::REQUEST).expect("an id is a value");
        assert_eq!(RawId::read(raw).as_ref(), Some(id));
    }
}
