//! Runs of characters that are another text written down: base64 of both alphabets, over several lines too, hexadecimal digits, compressed text inside either.
//!
//! What decodes to anything but text is no copy of a text, and nothing looks at it.

use miniz_oxide::inflate::decompress_to_vec_with_limit;

use super::bytes::{at, part};
use super::fold::{Room, fold};
use crate::limits::{DECODED_BYTES_MAX, DETECT_DEPTH_MAX};

/// What a run says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decoded {
    pub(super) bytes: Vec<u8>,
    /// Whether places in it are in proportion to places in the run.
    pub(super) even: bool,
}

/// The shortest run that is looked at: seven characters in base64, five in hexadecimal digits.
const RUN_BYTES: usize = 10;

/// How much of what it decodes to says whether it may be text.
const BEGINNING_BYTES: usize = 9;

/// What `run` decodes to, if that is text. What a patch adds stands behind `+`, which base64 has too.
pub(super) fn decode(run: &[u8]) -> Option<Decoded> {
    decode_whole(run).or_else(|| run.strip_prefix(b"+").and_then(decode_whole))
}

fn decode_whole(run: &[u8]) -> Option<Decoded> {
    if run.len() < RUN_BYTES {
        return None;
    }
    if !may_be_text(run) {
        return None;
    }
    let bytes = hexadecimal(run).or_else(|| base64(run))?;
    if is_text(&bytes) {
        return Some(Decoded { bytes, even: true });
    }
    if let Some(bytes) = narrowed(&bytes) {
        return is_text(&bytes).then_some(Decoded { bytes, even: true });
    }
    let bytes = inflate(&bytes)?;
    is_text(&bytes).then_some(Decoded { bytes, even: false })
}

/// What `value` says, one layer after the other: what it decodes to, that without what hides its characters, what that decodes to.
pub(super) fn layers(value: &[u8]) -> Vec<Vec<u8>> {
    let mut layers: Vec<Vec<u8>> = Vec::new();
    while layers.len() < 2 * DETECT_DEPTH_MAX {
        let last = layers.last().map_or(value, Vec::as_slice);
        let next = match decode(last.trim_ascii()) {
            Some(decoded) => decoded.bytes,
            None if layers.is_empty() => match base32(last).or_else(|| spelt_whole(last)) {
                Some(bytes) => bytes,
                None => break,
            },
            None => match fold(last, Room::default()) {
                Ok(folded) => folded.bytes().to_vec(),
                Err(_) => break,
            },
        };
        layers.push(next);
    }
    layers
}

/// Whether the first bytes that `run` stands for may be a text's, or those of what is compressed. Most runs are neither, and are told by that.
#[inline]
fn may_be_text(run: &[u8]) -> bool {
    let Some([one, two]) = run.first_chunk::<2>() else { return false };
    let starts = |byte: u8| matches!(byte, 0x1f | b'\t' | b'\n' | b'\r' | 0x20..=0x7e | 0xc2..=0xf4);
    let hexadecimal = match (nibble(*one), nibble(*two)) {
        (Some(one), Some(two)) => starts(one << 4 | two),
        _ => [*one, *two] == *b"0x",
    };
    let base64 = match (sextet(*one), sextet(*two)) {
        (Some(one), Some(two)) => starts(one << 2 | two >> 4),
        _ => false,
    };
    hexadecimal || base64
}

fn hexadecimal(run: &[u8]) -> Option<Vec<u8>> {
    let run = run.strip_prefix(b"0x").unwrap_or(run);
    let byte = |pair: &[u8]| Some(nibble(at(pair, 0))? << 4 | nibble(at(pair, 1))?);
    if !run.len().is_multiple_of(2) || !begins(run.chunks_exact(2).map_while(byte)) {
        return None;
    }
    run.chunks_exact(2).map(byte).collect()
}

#[inline]
fn nibble(digit: u8) -> Option<u8> {
    DIGITS.get(usize::from(digit)).copied().filter(|value| *value < 16)
}

fn base64(run: &[u8]) -> Option<Vec<u8>> {
    let group = |letters: &[u8]| {
        let [one, two, three, four] = [0, 1, 2, 3].map(|place| sextet(at(letters, place)).unwrap_or(u8::MAX));
        (one | two | three | four < 64).then_some([one << 2 | two >> 4, two << 4 | three >> 2, three << 6 | four])
    };
    if !begins(run.chunks_exact(4).map_while(group).flatten()) {
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
            bytes.push(byte);
        }
    }
    (held < 6).then_some(bytes)
}

/// The bytes of base32 (RFC 4648), if they are text: capitals and some digits in whole groups of eight, as names of programs are not.
fn base32(value: &[u8]) -> Option<Vec<u8>> {
    let digits = value.trim_ascii();
    let padding = digits.iter().rev().take_while(|byte| **byte == b'=').count();
    if digits.len() < 16 || !digits.len().is_multiple_of(8) || padding > 6 {
        return None;
    }
    let mut bytes = Vec::with_capacity(digits.len());
    let (mut bits, mut held) = (0_u32, 0);
    for byte in part(digits, 0, digits.len() - padding) {
        let digit = match byte {
            b'A'..=b'Z' => byte - b'A',
            b'2'..=b'7' => byte - b'2' + 26,
            _ => return None,
        };
        bits = bits << 5 | u32::from(digit);
        held += 5;
        if held >= 8 {
            held -= 8;
            let [.., byte] = (bits >> held).to_be_bytes();
            bytes.push(byte);
        }
    }
    is_text(&bytes).then_some(bytes)
}

/// What all of `value` spells byte by byte.
fn spelt_whole(value: &[u8]) -> Option<Vec<u8>> {
    spelt(value, 0).filter(|(end, _)| *end == value.len()).map(|(_, bytes)| bytes)
}

/// The text of UTF-16 in which all is ASCII, the lower byte first.
fn narrowed(bytes: &[u8]) -> Option<Vec<u8>> {
    let is_wide = bytes.len() >= 8 && at(bytes, 1) == 0 && bytes.chunks_exact(2).all(|pair| at(pair, 1) == 0);
    is_wide.then(|| bytes.iter().copied().step_by(2).collect())
}

#[inline]
fn sextet(byte: u8) -> Option<u8> {
    SEXTETS.get(usize::from(byte)).copied().filter(|value| *value < 64)
}

/// The value of each byte as a hexadecimal digit, or what is more than any.
static DIGITS: [u8; 256] = values(b"0123456789abcdef", b"0123456789ABCDEF");

/// The value of each byte as a letter of base64, of both alphabets, or what is more than any.
static SEXTETS: [u8; 256] = values(
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
);

const fn values(mut one: &[u8], mut other: &[u8]) -> [u8; 256] {
    let mut values = [u8::MAX; 256];
    let mut value = 0;
    while let (Some((first, rest)), Some((second, others))) = (one.split_first(), other.split_first()) {
        let (_, slots) = values.split_at_mut(*first as usize);
        if let Some((slot, _)) = slots.split_first_mut() {
            *slot = value;
        }
        let (_, slots) = values.split_at_mut(*second as usize);
        if let Some((slot, _)) = slots.split_first_mut() {
            *slot = value;
        }
        (one, other) = (rest, others);
        value += 1;
    }
    values
}

/// Whether a text may begin like that, or what is compressed: most of what is neither ends within few bytes.
fn begins(bytes: impl Iterator<Item = u8>) -> bool {
    let mut last = 0_u8;
    let mut following = 0;
    for (place, byte) in bytes.take(BEGINNING_BYTES).enumerate() {
        // What is compressed, or has two bytes for each letter.
        if place == 1 && (last == 0x1f && byte == 0x8b || last == 0x78 || byte == 0 && last.is_ascii_graphic()) {
            return true;
        }
        if following > 0 && byte & 0xc0 == 0x80 {
            following -= 1;
        } else {
            following = match byte {
                _ if following > 0 => return false,
                0x1f if place == 0 => 0,
                b'\t' | b'\n' | b'\r' | 0x20..=0x7e => 0,
                0xc2..=0xdf => 1,
                0xe0..=0xef => 2,
                0xf0..=0xf4 => 3,
                _ => return false,
            };
        }
        last = byte;
    }
    true
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

/// The fewest bytes that are spelt one by one.
const SPELT_MIN: usize = 8;

/// The most of them.
const SPELT_MAX: usize = 1024;

/// How one byte is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Spelling {
    Binary,
    Decimal,
    Hexadecimal,
    /// Behind `0x`.
    Prefixed,
}

/// Bytes that are written one by one, with the same sign between each two: `67 68 70`, `0x67, 0x68`, `103,104,112`, `01100111 01101000`. Where they end, and what
/// they say, if that is text.
pub(super) fn spelt(text: &[u8], start: usize) -> Option<(usize, Vec<u8>)> {
    let is_of_one = |byte: &u8| byte.is_ascii_alphanumeric();
    let one = |from: usize| part(text, from, from + 9).iter().take_while(|byte| is_of_one(byte)).count();
    let length = one(start);
    let first = part(text, start, start + length);
    let spelling = match first {
        [b'0', b'x' | b'X', _, _] => Spelling::Prefixed,
        [b'0', ..] if length == 8 => Spelling::Binary,
        [_, _] => Spelling::Hexadecimal,
        [_, _, _] => Spelling::Decimal,
        _ => return None,
    };
    let sign = at(text, start + length);
    let gap = if sign == b',' && at(text, start + length + 1) == b' ' { 2 } else { 1 };
    if !matches!(sign, b' ' | b',' | b':' | b'-') {
        return None;
    }
    // Numbers of two digits with commas are decimal.
    let spelling = if sign == b',' && length == 2 { Spelling::Decimal } else { spelling };
    let mut bytes = Vec::new();
    let mut place = start;
    loop {
        let length = one(place);
        let byte = spelt_byte(part(text, place, place + length), spelling)?;
        if !matches!(byte, b'\t' | b'\n' | b'\r' | 0x20..=0x7e) {
            return None;
        }
        bytes.push(byte);
        place += length;
        let is_more = at(text, place) == sign
            && (gap == 1 || at(text, place + 1) == b' ')
            && spelt_byte(part(text, place + gap, place + gap + one(place + gap)), spelling).is_some();
        if !is_more || bytes.len() == SPELT_MAX {
            break;
        }
        place += gap;
    }
    (bytes.len() >= SPELT_MIN).then_some((place, bytes))
}

fn spelt_byte(digits: &[u8], spelling: Spelling) -> Option<u8> {
    let pair = |high: u8, low: u8| Some(nibble(high)? << 4 | nibble(low)?);
    match (spelling, digits) {
        (Spelling::Hexadecimal, [high, low]) | (Spelling::Prefixed, [b'0', b'x' | b'X', high, low]) => {
            pair(*high, *low)
        }
        (Spelling::Decimal, [_, _] | [_, _, _]) => super::bytes::text(digits).parse().ok(),
        (Spelling::Binary, digits) if digits.len() == 8 => u8::from_str_radix(super::bytes::text(digits), 2).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(run: &str, expected: Option<&str>) {
        let decoded = decode(run.as_bytes()).map(|decoded| String::from_utf8(decoded.bytes).unwrap());
        assert_eq!(decoded.as_deref(), expected, "{run}");
    }

    #[test]
    fn bytes_that_are_spelt_are_read() {
        for (text, expected) in [
            ("68 65 6c 6c 6f 20 79 6F 75", Some("hello you")),
            ("0x68, 0x65, 0x6c, 0x6c, 0x6f, 0x20, 0x79, 0x6f;", Some("hello yo")),
            ("104,101,108,108,111,32,121,111,117]", Some("hello you")),
            ("72, 101, 108, 108, 111, 32, 121, 111", Some("Hello yo")),
            ("01101000 01100101 01101100 01101100 01101111 00100000 01111001 01101111", Some("hello yo")),
            ("10:11:12", None),
            ("00 01 02 03 04 05 06 07 08 09", None),
            ("2a:9f:00:17:3c:5e", None),
            ("2024-05-06", None),
        ] {
            let found = spelt(text.as_bytes(), 0).map(|(_, bytes)| String::from_utf8(bytes).unwrap());
            assert_eq!(found.as_deref(), expected, "{text}");
        }
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
        check("+aGVsbG8gd29ybGQsIGhlbA", Some("hello world, hel"));
        check("aABlAGwAbABvACAAeQBvAHUA", Some("hello you"));
    }

    #[test]
    fn named_values_are_read_in_more_writings() {
        for (value, expected) in [
            ("NBSWY3DPEB3W64TMMQ======", Some("hello world")),
            ("68 65 6c 6c 6f 20 79 6F 75", Some("hello you")),
            ("NBSWY3DP", None),
            ("CURRENCYNOTALLOWED", None),
        ] {
            let found = layers(value.as_bytes()).into_iter().next().map(|bytes| String::from_utf8(bytes).unwrap());
            assert_eq!(found.as_deref(), expected, "{value}");
        }
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
