//! Runs of characters that are another text written down: base64 of both alphabets, over several lines too, hexadecimal digits, compressed text inside either.
//!
//! What decodes to anything but text is no copy of a text, and nothing looks at it.

use miniz_oxide::inflate::decompress_to_vec_with_limit;

use super::bytes::{at, part};
use crate::limits::DECODED_BYTES_MAX;

/// What a run says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decoded {
    pub(super) bytes: Vec<u8>,
    /// Whether places in it are in proportion to places in the run.
    pub(super) even: bool,
}

/// The shortest run that is looked at: twelve characters in base64, eight in hexadecimal digits.
const RUN_BYTES: usize = 16;

/// What `run` decodes to, if that is text.
pub(super) fn decode(run: &[u8]) -> Option<Decoded> {
    if run.len() < RUN_BYTES {
        return None;
    }
    let bytes = hexadecimal(run).or_else(|| base64(run))?;
    if is_text(&bytes) {
        return Some(Decoded { bytes, even: true });
    }
    let bytes = inflate(&bytes)?;
    is_text(&bytes).then_some(Decoded { bytes, even: false })
}

fn hexadecimal(run: &[u8]) -> Option<Vec<u8>> {
    let run = run.strip_prefix(b"0x").unwrap_or(run);
    if !run.len().is_multiple_of(2) {
        return None;
    }
    let byte = |pair: &[u8]| Some(nibble(at(pair, 0))? << 4 | nibble(at(pair, 1))?);
    // The first bytes say whether it is text, before there is anything to keep.
    for (place, pair) in run.chunks_exact(2).take(4).enumerate() {
        if !may_begin(byte(pair)?, place) {
            return None;
        }
    }
    run.chunks_exact(2).map(byte).collect()
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

fn base64(run: &[u8]) -> Option<Vec<u8>> {
    let [first, second, third] = [sextet(at(run, 0))?, sextet(at(run, 1))?, sextet(at(run, 2))?];
    if !may_begin(first << 2 | second >> 4, 0) || !may_begin(second << 4 | third >> 2, 1) {
        return None;
    }
    let mut bytes = Vec::with_capacity(run.len());
    let mut bits = 0_u32;
    let mut held = 0;
    let mut ended = false;
    for byte in run {
        let value = match byte {
            b'\r' | b'\n' => continue,
            b'=' => {
                ended = true;
                continue;
            }
            _ if ended => return None,
            _ => sextet(*byte)?,
        };
        bits = bits << 6 | u32::from(value);
        held += 6;
        if held >= 8 {
            held -= 8;
            let [.., byte] = (bits >> held).to_be_bytes();
            if bytes.len() < 4 && !may_begin(byte, bytes.len()) {
                return None;
            }
            bytes.push(byte);
        }
    }
    (held < 6).then_some(bytes)
}

const fn sextet(byte: u8) -> Option<u8> {
    Some(match byte {
        b'A'..=b'Z' => byte - b'A',
        b'a'..=b'z' => byte - b'a' + 26,
        b'0'..=b'9' => byte - b'0' + 52,
        b'+' | b'-' => 62,
        b'/' | b'_' => 63,
        _ => return None,
    })
}

/// Whether `byte` may stand at `place` of the first four bytes of a text, or of what is compressed.
const fn may_begin(byte: u8, place: usize) -> bool {
    match place {
        0 | 1 if matches!(byte, 0x1f | 0x8b | 0x78 | 0x9c | 0xda | 0x01) => true,
        2 | 3 if matches!(byte, 0x08 | 0x00) => true,
        _ => byte >= 0x20 && byte != 0x7f || matches!(byte, b'\t' | b'\n' | b'\r'),
    }
}

fn is_text(bytes: &[u8]) -> bool {
    let valid = match str::from_utf8(bytes) {
        Ok(_) => bytes,
        // Its last character may be cut.
        Err(error) if error.error_len().is_none() && error.valid_up_to() > 0 => part(bytes, 0, error.valid_up_to()),
        Err(_) => return false,
    };
    valid.len() >= 4 && valid.iter().all(|byte| *byte >= 0x20 && *byte != 0x7f || matches!(byte, b'\t' | b'\n' | b'\r'))
}

/// The text inside of gzip (RFC 1952) or zlib (RFC 1950), up to a limit.
fn inflate(bytes: &[u8]) -> Option<Vec<u8>> {
    let stream = match bytes {
        [0x1f, 0x8b, 8, flags, _, _, _, _, _, _, rest @ ..] => gzip_stream(*flags, rest)?,
        [0x78, 0x01 | 0x5e | 0x9c | 0xda, rest @ ..] => rest,
        _ => return None,
    };
    match decompress_to_vec_with_limit(stream, DECODED_BYTES_MAX) {
        Ok(text) => Some(text),
        Err(error) if !error.output.is_empty() => Some(error.output),
        Err(_) => None,
    }
}

fn gzip_stream(flags: u8, mut rest: &[u8]) -> Option<&[u8]> {
    if flags & 4 != 0 {
        let (length, behind) = rest.split_first_chunk::<2>()?;
        rest = behind.get(usize::from(u16::from_le_bytes(*length))..)?;
    }
    for named in [8, 16] {
        if flags & named != 0 {
            rest = rest.get(memchr::memchr(0, rest)? + 1..)?;
        }
    }
    if flags & 2 != 0 {
        rest = rest.get(2..)?;
    }
    Some(rest)
}

/// Characters with the same sign between each two of them: where they end, and what they say without it.
pub(super) fn spaced(text: &[u8], start: usize) -> Option<(usize, Vec<u8>)> {
    let sign = at(text, start + 1);
    if !matches!(sign, b' ' | b'.' | b'-' | b'_' | b',' | b'|' | b'*' | b'/') {
        return None;
    }
    let mut bytes = Vec::new();
    let mut place = start;
    while bytes.len() < 512 && at(text, place).is_ascii_graphic() {
        bytes.push(at(text, place));
        if at(text, place + 1) != sign || !at(text, place + 2).is_ascii_graphic() || at(text, place + 2) == sign {
            break;
        }
        place += 2;
    }
    (bytes.len() >= 8).then_some((place + 1, bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(run: &str, expected: Option<&str>) {
        let decoded = decode(run.as_bytes()).map(|decoded| String::from_utf8(decoded.bytes).unwrap());
        assert_eq!(decoded.as_deref(), expected, "{run}");
    }

    #[test]
    fn text_in_other_writing_is_read() {
        check("aGVsbG8gd29ybGQsIGhlbGxv", Some("hello world, hello"));
        check("aGVsbG8gd29y\r\nbGQsIGhlbA==", Some("hello world, hel"));
        check("aGVsbG8gd29ybGQsIGhlbA", Some("hello world, hel"));
        check("Pz8_Pz8-Pj4-Pz8_", Some("?????>>>>???"));
        check("68656c6c6f20776f726c64", Some("hello world"));
        check("H4sIAAAAAAAC/8tIzcnJVyjPL8pJAQCFEUoNCwAAAA==", Some("hello world"));
        check("eJzLSM3JyVcozy/KSQEAGgsEXQ==", Some("hello world"));
    }

    #[test]
    fn what_is_no_text_is_left() {
        check("iVBORw0KGgoAAAANSUhEUgAAAAEAAAAB", None);
        check("e83c5163316f89bfbde7d9ab23ca2e25604af290", None);
        check("SomeIdentifierOfSourceCode", None);
        check("short", None);
        check("aGVsbG8=d29ybGQsIGhlbA==", None);
    }

    #[test]
    fn spread_characters_are_drawn_together() {
        assert_eq!(spaced(b"4 1 1 1 1 1 1 1 1 x", 0).unwrap(), (19, b"411111111x".to_vec()));
        assert_eq!(spaced(b"4-1-1-1-1-1-1-1 x", 0).unwrap(), (15, b"41111111".to_vec()));
        assert_eq!(spaced(b"a b c", 0), None);
    }
}
