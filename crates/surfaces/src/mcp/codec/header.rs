//! Values of a message that HTTP headers repeat (MCP revision 2026-07-28, Streamable HTTP, Value Encoding).
//!
//! What a header can carry as it is stays readable; everything else is Base64 between `=?base64?` and `?=`. Reading is strict: one spelling for each value, so that
//! whoever routes by the header and whoever reads the body see the same.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

const PREFIX: &[u8] = b"=?base64?";
const SUFFIX: &[u8] = b"?=";

/// The header's value for `value`: visible ASCII and spaces inside.
#[must_use]
pub fn encode_header(value: &str) -> Cow<'_, str> {
    let bytes = value.as_bytes();
    let is_plain = bytes.iter().all(|byte| matches!(byte, b' '..=b'~'))
        && bytes.trim_ascii().len() == bytes.len()
        && marked(bytes).is_none();
    if is_plain { Cow::Borrowed(value) } else { Cow::Owned(format!("=?base64?{}?=", STANDARD.encode(bytes))) }
}

/// The value that a header carries; `None` where it is none that [`encode_header`] or a plain sender writes.
#[must_use]
pub fn decode_header(header: &[u8]) -> Option<Cow<'_, str>> {
    match marked(header) {
        Some(inner) => String::from_utf8(STANDARD.decode(inner).ok()?).ok().map(Cow::Owned),
        None if header.iter().all(|byte| matches!(byte, b'\t' | b' '..=b'~')) => {
            std::str::from_utf8(header).ok().map(Cow::Borrowed)
        }
        None => None,
    }
}

/// What stands between the marks.
fn marked(header: &[u8]) -> Option<&[u8]> {
    header.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn values_have_the_specifications_spelling() {
        for (value, header) in [
            ("us-west1", "us-west1"),
            ("Hello, 世界", "=?base64?SGVsbG8sIOS4lueVjA==?="),
            (" padded ", "=?base64?IHBhZGRlZCA=?="),
            ("line1\nline2", "=?base64?bGluZTEKbGluZTI=?="),
            ("=?base64?literal?=", "=?base64?PT9iYXNlNjQ/bGl0ZXJhbD89?="),
            ("", ""),
        ] {
            assert_eq!(encode_header(value), header);
            assert_eq!(decode_header(header.as_bytes()).as_deref(), Some(value));
        }
    }

    #[test]
    fn other_spellings_are_no_values() {
        // No padding, bits after the end, another alphabet, line breaks, broken UTF-8, bytes that no header has.
        for header in [
            &b"=?base64?SGk?="[..],
            b"=?base64?SGl=?=",
            b"=?base64?-_-_?=",
            b"=?base64?SG\nk=?=",
            b"=?base64?/w==?=",
            b"a\x7f",
            b"\xff",
        ] {
            assert_eq!(decode_header(header), None, "{header:?}");
        }
        assert_eq!(
            decode_header(b"=?BASE64?SGk=?=").as_deref(),
            Some("=?BASE64?SGk=?="),
            "the marks have one spelling"
        );
    }

    proptest! {
        #[test]
        fn every_value_survives_the_way_through_a_header(value in any::<String>()) {
            let header = encode_header(&value);
            prop_assert!(header.bytes().all(|byte| matches!(byte, b' '..=b'~')));
            prop_assert_eq!(header.trim(), &*header);
            let decoded = decode_header(header.as_bytes());
            prop_assert_eq!(decoded.as_deref(), Some(value.as_str()));
        }
    }
}
