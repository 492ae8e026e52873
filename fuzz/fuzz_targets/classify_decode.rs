//! Any bytes may stand encoded in a text, over and over: what is found stays within the text, and what takes too much work is not called complete.
#![no_main]

use std::fmt::Write as _;
use std::sync::LazyLock;

use governance::classify::detect::Detector;
use libfuzzer_sys::fuzz_target;

static DETECTOR: LazyLock<Detector> = LazyLock::new(Detector::default);

/// A value that is found wherever it stands.
const CARD: &str = "\ncard_number: 4111 1111 1111 1111\n";

fuzz_target!(|bytes: &[u8]| {
    let Some((form, inner)) = bytes.split_first() else { return };
    let mut text = inner.to_vec();
    // Two bits for each layer.
    for layer in 0..3 {
        text = encoded(form >> (2 * layer), &text);
    }
    let before = DETECTOR.scan(&text);
    for found in before.findings() {
        assert!(found.start < found.end && found.end <= text.len());
    }
    // What stands beside an encoded text is found all the same.
    let mut beside = text.clone();
    beside.extend_from_slice(CARD.as_bytes());
    let scan = DETECTOR.scan(&beside);
    assert!(!scan.is_clean());
});

fn encoded(form: u8, text: &[u8]) -> Vec<u8> {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut out = String::new();
    match form % 4 {
        0 => return text.to_vec(),
        1 => {
            for three in text.chunks(3) {
                let bits =
                    three.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - three.len()));
                for place in 0..=three.len() {
                    let sextet = bits >> (18 - 6 * place) & 63;
                    out.push(char::from(ALPHABET[sextet as usize]));
                }
                out.extend(std::iter::repeat_n('=', 3 - three.len()));
            }
        }
        2 => text.iter().for_each(|byte| write!(out, "{byte:02x}").expect("a text takes any text")),
        _ => text.iter().for_each(|byte| write!(out, "%{byte:02X}").expect("a text takes any text")),
    }
    out.into_bytes()
}
