//! A value has one spelling as a header, and what is read from a header is the value that was written.
#![no_main]

use libfuzzer_sys::fuzz_target;
use surfaces::mcp::codec::{decode_header, encode_header};

fuzz_target!(|header: &[u8]| {
    if let Some(value) = decode_header(header) {
        // A plain sender may write blanks that HTTP would cut off; what is marked has one spelling.
        let again = encode_header(&value);
        assert_eq!(decode_header(again.as_bytes()).as_deref(), Some(&*value));
        if is_marked(header) && is_marked(again.as_bytes()) {
            assert_eq!(again.as_bytes(), header);
        }
    }
    if let Ok(value) = std::str::from_utf8(header) {
        let written = encode_header(value);
        assert!(written.bytes().all(|byte| matches!(byte, b' '..=b'~')) && written.trim() == written);
        assert_eq!(decode_header(written.as_bytes()).as_deref(), Some(value));
    }
});

fn is_marked(header: &[u8]) -> bool {
    header.strip_prefix(b"=?base64?").is_some_and(|rest| rest.ends_with(b"?="))
}
