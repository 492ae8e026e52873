//! The strict JSON reader: accepts a text only if every reader understands it the same way.
//!
//! Beyond the grammar of RFC 8259 it refuses what RFC 8259 leaves open and parsers settle differently: duplicate keys
//! (compared decoded, at any depth), surrogate escapes without their partner, numbers that overflow a binary64, a byte
//! order mark, and nesting, members or length beyond the limits. It builds no tree: it reads once, from left to right,
//! without recursion, and reports the members of the outermost object on the way.
//!
//! Start at [`strict_scan`]; a [`StrictReader`] is the same with its working memory kept between texts.

use std::ops::Range;

use thiserror::Error;

use crate::limits::{JSON_NUMBER_BYTES_MAX, ReadLimits};

/// Reads one JSON value of any kind, with white space around it, and says whether and why not it is acceptable.
pub fn strict_scan(text: &[u8], limits: &ReadLimits) -> Result<(), StrictError> {
    StrictReader::new(*limits).scan(text)
}

/// Why a text was refused, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{fault} at byte {offset}; {}", fault.mend())]
pub struct StrictError {
    /// Bytes before the place in the text where the fault shows.
    pub offset: usize,
    /// What is wrong there.
    pub fault: StrictFault,
}

/// What can be wrong with a text.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StrictFault {
    /// The text is longer than allowed.
    #[error("text longer than {max} bytes")]
    TooLong {
        /// The limit in force.
        max: usize,
    },
    /// Arrays and objects are nested deeper than allowed.
    #[error("nesting deeper than {max}")]
    TooDeep {
        /// The limit in force.
        max: usize,
    },
    /// The objects open at one point have more members than allowed.
    #[error("more than {max} members in open objects")]
    TooManyMembers {
        /// The limit in force.
        max: usize,
    },
    /// Two keys of one object are equal once decoded.
    #[error("duplicate object key")]
    DuplicateKey,
    /// The text starts with a byte order mark.
    #[error("byte order mark")]
    ByteOrderMark,
    /// The bytes are not UTF-8.
    #[error("invalid UTF-8")]
    InvalidUtf8,
    /// A `\u` escape names half of a surrogate pair.
    #[error("lone surrogate escape")]
    LoneSurrogate,
    /// A backslash is followed by something that is not an escape.
    #[error("unknown escape")]
    BadEscape,
    /// A string contains a control character as itself.
    #[error("control character in a string")]
    RawControl,
    /// A number does not follow the grammar.
    #[error("malformed number")]
    BadNumber,
    /// A number is too large for a binary64, or its literal is too long to be read alike by everybody.
    #[error("number out of range")]
    NumberRange,
    /// Something else was expected here.
    #[error("expected {expected}")]
    Unexpected {
        /// What the grammar asks for.
        expected: &'static str,
    },
    /// The text ends in the middle of a value.
    #[error("text ends early, expected {expected}")]
    EndsEarly {
        /// What the grammar asks for.
        expected: &'static str,
    },
    /// There is more after the value.
    #[error("data after the value")]
    TrailingData,
}

impl StrictFault {
    /// One clause that tells the sender how to mend it.
    pub fn mend(&self) -> &'static str {
        match self {
            Self::TooLong { .. } => "send less in one message",
            Self::TooDeep { .. } => "flatten the value",
            Self::TooManyMembers { .. } => "use an array or send fewer members",
            Self::DuplicateKey => "name each key once in its object",
            Self::ByteOrderMark => "send UTF-8 without a byte order mark",
            Self::InvalidUtf8 => "encode the text as UTF-8",
            Self::LoneSurrogate => "write both halves of the pair or the character itself",
            Self::BadEscape => "use one of the escapes of RFC 8259 section 7",
            Self::RawControl => "escape characters below U+0020",
            Self::BadNumber => "write numbers as RFC 8259 section 6 says",
            Self::NumberRange => "send large numbers as strings",
            Self::Unexpected { .. } => "send JSON as RFC 8259 defines it",
            Self::EndsEarly { .. } => "send the whole message",
            Self::TrailingData => "send one value at a time",
        }
    }
}

/// A strict reader with its working memory, for reading many texts.
#[derive(Debug)]
pub struct StrictReader {
    limits: ReadLimits,
    open: Vec<Open>,
    keys: Vec<Key>,
    decoded: Vec<u8>,
    duplicate: Option<StrictError>,
}

/// An array or object whose end was not yet read, and how much of the shared key memory was in use when it began.
#[derive(Debug, Clone, Copy)]
struct Open {
    container: Container,
    keys_from: usize,
    decoded_from: usize,
}

/// The member of the outermost object that is being read: where its key is and where its value starts.
#[derive(Debug, Default)]
struct RootMember {
    key: Range<usize>,
    value: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Container {
    Object,
    Array,
}

/// One key of an open object. `fingerprint` separates nearly all keys without a look at their bytes; equality never
/// rests on it.
#[derive(Debug, Clone, Copy)]
struct Key {
    fingerprint: u64,
    /// Where the key's opening quote is in the text.
    offset: u32,
    /// Where the decoded bytes start: in the text, or in `StrictReader::decoded` if the key has escapes.
    start: u32,
    /// Length of the decoded bytes; the top bit says that they are in `StrictReader::decoded`.
    length_and_home: u32,
}

impl StrictReader {
    /// A reader that holds every text to `limits`.
    pub fn new(limits: ReadLimits) -> Self {
        Self { limits, open: Vec::new(), keys: Vec::new(), decoded: Vec::new(), duplicate: None }
    }

    /// Reads one JSON value of any kind, with white space around it.
    pub fn scan(&mut self, text: &[u8]) -> Result<(), StrictError> {
        self.scan_members(text, |_, _| ())
    }

    /// Like [`StrictReader::scan`]; calls `on_member` twice for each member of the outermost object, in order: with the
    /// place of its key (quotes included) once that is read, and again with the place of its value once that is. A fault
    /// may still follow.
    pub fn scan_members(
        &mut self,
        text: &[u8],
        on_member: impl FnMut(Range<usize>, Option<Range<usize>>),
    ) -> Result<(), StrictError> {
        self.open.clear();
        self.keys.clear();
        self.decoded.clear();
        self.duplicate = None;
        let bytes_max = self.limits.bytes_max.min(ReadLimits::BYTES_CEILING);
        if text.len() > bytes_max {
            return Err(fault(bytes_max, StrictFault::TooLong { max: bytes_max }));
        }
        if text.starts_with(b"\xEF\xBB\xBF") {
            return Err(fault(0, StrictFault::ByteOrderMark));
        }
        if let Err(error) = std::str::from_utf8(text) {
            return Err(fault(error.valid_up_to(), StrictFault::InvalidUtf8));
        }
        self.read_text(text, on_member)?;
        // A duplicate does not stop the reader, so that the caller has seen the whole message (and its id) by now.
        self.duplicate.take().map_or(Ok(()), Err)
    }

    /// The grammar, longer than most functions because order is its subject: a value is read, then everything that may
    /// follow the end of a value, until the outermost one has ended.
    fn read_text(
        &mut self,
        text: &[u8],
        mut on_member: impl FnMut(Range<usize>, Option<Range<usize>>),
    ) -> Result<(), StrictError> {
        let mut at = skip_space(text, 0);
        let mut root = RootMember::default();
        'value: loop {
            match text.get(at) {
                Some(b'{') => {
                    self.enter(Container::Object, at)?;
                    at = skip_space(text, at + 1);
                    if text.get(at) != Some(&b'}') {
                        at = self.read_key(text, at, &mut root, &mut on_member)?;
                        continue 'value;
                    }
                    at += 1;
                    self.leave(text);
                }
                Some(b'[') => {
                    self.enter(Container::Array, at)?;
                    at = skip_space(text, at + 1);
                    if text.get(at) != Some(&b']') {
                        continue 'value;
                    }
                    at += 1;
                    self.leave(text);
                }
                _ => at = read_scalar(text, at)?,
            }
            loop {
                let Some(open) = self.open.last() else {
                    break 'value;
                };
                let container = open.container;
                if self.open.len() == 1 && container == Container::Object {
                    on_member(root.key.clone(), Some(root.value..at));
                }
                at = skip_space(text, at);
                match (container, text.get(at)) {
                    (Container::Object, Some(b',')) => {
                        at = self.read_key(text, skip_space(text, at + 1), &mut root, &mut on_member)?;
                        continue 'value;
                    }
                    (Container::Array, Some(b',')) => {
                        at = skip_space(text, at + 1);
                        continue 'value;
                    }
                    (Container::Object, Some(b'}')) | (Container::Array, Some(b']')) => {
                        at += 1;
                        self.leave(text);
                    }
                    (Container::Object, _) => return Err(unexpected(text, at, "`,` or `}`")),
                    (Container::Array, _) => return Err(unexpected(text, at, "`,` or `]`")),
                }
            }
        }
        at = skip_space(text, at);
        if at < text.len() { Err(fault(at, StrictFault::TrailingData)) } else { Ok(()) }
    }

    fn enter(&mut self, container: Container, at: usize) -> Result<(), StrictError> {
        let max = self.limits.depth_max;
        if self.open.len() >= max {
            return Err(fault(at, StrictFault::TooDeep { max }));
        }
        self.open.push(Open { container, keys_from: self.keys.len(), decoded_from: self.decoded.len() });
        Ok(())
    }

    /// Reads a key, its colon and the space after it; returns where the value starts.
    fn read_key(
        &mut self,
        text: &[u8],
        at: usize,
        root: &mut RootMember,
        on_member: &mut impl FnMut(Range<usize>, Option<Range<usize>>),
    ) -> Result<usize, StrictError> {
        if text.get(at) != Some(&b'"') {
            return Err(unexpected(text, at, "a key in quotes"));
        }
        let max = self.limits.open_members_max;
        if self.keys.len() >= max {
            return Err(fault(at, StrictFault::TooManyMembers { max }));
        }
        let (end, escaped) = read_string(text, at)?;
        self.keep_key(text, at..end, escaped);
        let colon = skip_space(text, end);
        if text.get(colon) != Some(&b':') {
            return Err(unexpected(text, colon, "`:`"));
        }
        let value = skip_space(text, colon + 1);
        if self.open.len() == 1 {
            on_member(at..end, None);
            *root = RootMember { key: at..end, value };
        }
        Ok(value)
    }

    fn keep_key(&mut self, text: &[u8], quoted: Range<usize>, escaped: bool) {
        let inner = text.get(quoted.start + 1..quoted.end - 1).unwrap_or_default();
        let (start, length, home) = if escaped {
            let start = self.decoded.len();
            unescape(inner, &mut self.decoded);
            (start, self.decoded.len() - start, Key::IN_DECODED)
        } else {
            (quoted.start + 1, inner.len(), 0)
        };
        let bytes = if escaped { self.decoded.get(start..).unwrap_or_default() } else { inner };
        self.keys.push(Key {
            fingerprint: fingerprint(bytes),
            offset: narrow(quoted.start),
            start: narrow(start),
            length_and_home: narrow(length) | home,
        });
    }

    /// Ends the innermost container: looks for duplicates among its keys and forgets them.
    fn leave(&mut self, text: &[u8]) {
        let Some(open) = self.open.pop() else { return };
        if open.container == Container::Array {
            return;
        }
        let keys = self.keys.get_mut(open.keys_from..).unwrap_or_default();
        if let Some(offset) = first_duplicate(keys, text, &self.decoded) {
            let found = fault(offset as usize, StrictFault::DuplicateKey);
            self.duplicate.get_or_insert(found);
        }
        self.keys.truncate(open.keys_from);
        self.decoded.truncate(open.decoded_from);
    }
}

impl Key {
    const IN_DECODED: u32 = 1 << 31;

    fn bytes<'a>(&self, text: &'a [u8], decoded: &'a [u8]) -> &'a [u8] {
        let home = if self.length_and_home & Self::IN_DECODED == 0 { text } else { decoded };
        let start = self.start as usize;
        let length = (self.length_and_home & !Self::IN_DECODED) as usize;
        home.get(start..start + length).unwrap_or_default()
    }
}

/// Up to this many keys, comparing all pairs of fingerprints is cheaper than sorting: 16 x 15 / 2 = 120 comparisons.
const PAIRWISE_KEYS_MAX: usize = 16;

/// The offset of the first key that repeats an earlier one of the same object.
///
/// Many keys are sorted by fingerprint and then by their bytes, so keys chosen to share a fingerprint cost the sender
/// no less than us: n log n comparisons, each at most as long as a key.
fn first_duplicate(keys: &mut [Key], text: &[u8], decoded: &[u8]) -> Option<u32> {
    let same = |a: &Key, b: &Key| a.fingerprint == b.fingerprint && a.bytes(text, decoded) == b.bytes(text, decoded);
    if keys.len() <= PAIRWISE_KEYS_MAX {
        return keys
            .iter()
            .enumerate()
            .find(|(index, later)| keys.iter().take(*index).any(|earlier| same(earlier, later)))
            .map(|(_, later)| later.offset);
    }
    keys.sort_unstable_by(|a, b| {
        a.fingerprint
            .cmp(&b.fingerprint)
            .then_with(|| a.bytes(text, decoded).cmp(b.bytes(text, decoded)))
            .then(a.offset.cmp(&b.offset))
    });
    keys.iter().zip(keys.iter().skip(1)).filter(|(a, b)| same(a, b)).map(|(_, later)| later.offset).min()
}

/// Length, first and last eight bytes, mixed. Keys of up to sixteen bytes rarely collide; longer ones may.
fn fingerprint(bytes: &[u8]) -> u64 {
    const MIX: u64 = 0x9E37_79B9_7F4A_7C15;
    let (head, tail) = match (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        (Some(head), Some(tail)) => (u64::from_le_bytes(*head), u64::from_le_bytes(*tail)),
        _ => (bytes.iter().fold(0, |word, byte| word << 8 | u64::from(*byte)), 0),
    };
    (head ^ tail.rotate_left(29).wrapping_mul(MIX)).wrapping_mul(MIX) ^ bytes.len() as u64
}

/// A position as 32 bits; texts above [`ReadLimits::BYTES_CEILING`] were refused before any position is kept.
fn narrow(position: usize) -> u32 {
    u32::try_from(position).unwrap_or(u32::MAX)
}

/// Reads a string, number, `true`, `false` or `null`; returns where it ends.
fn read_scalar(text: &[u8], at: usize) -> Result<usize, StrictError> {
    match text.get(at) {
        Some(b'"') => read_string(text, at).map(|(end, _)| end),
        Some(b'-' | b'0'..=b'9') => read_number(text, at),
        Some(b't') => read_word(text, at, b"true"),
        Some(b'f') => read_word(text, at, b"false"),
        Some(b'n') => read_word(text, at, b"null"),
        _ => Err(unexpected(text, at, "a value")),
    }
}

fn read_word(text: &[u8], at: usize, word: &'static [u8]) -> Result<usize, StrictError> {
    let end = at + word.len();
    match text.get(at..end) {
        Some(found) if found == word => Ok(end),
        _ => Err(unexpected(text, at, "a value")),
    }
}

/// Reads a string from its opening quote; returns where it ends (after the closing quote) and whether it has escapes.
fn read_string(text: &[u8], quote: usize) -> Result<(usize, bool), StrictError> {
    let mut at = quote + 1;
    let mut escaped = false;
    loop {
        at += plain_run(text.get(at..).unwrap_or_default());
        match text.get(at) {
            Some(b'"') => return Ok((at + 1, escaped)),
            Some(b'\\') => {
                escaped = true;
                at = read_escape(text, at)?.1;
            }
            Some(_) => return Err(fault(at, StrictFault::RawControl)),
            None => {
                return Err(fault(at, StrictFault::EndsEarly { expected: "the closing quote" }));
            }
        }
    }
}

/// How many bytes from the start of `bytes` mean themselves inside a string: not a quote, backslash or control.
///
/// Eight at a time: the subtractions set the top bit of the lowest byte that is special, and only above it can they
/// set one that is not, so the lowest set bit is exact.
fn plain_run(bytes: &[u8]) -> usize {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x8080_8080_8080_8080;
    let (words, rest) = bytes.as_chunks::<8>();
    for (index, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        let quote = word ^ (ONES * b'"' as u64);
        let slash = word ^ (ONES * b'\\' as u64);
        let special = (quote.wrapping_sub(ONES) & !quote
            | slash.wrapping_sub(ONES) & !slash
            | word.wrapping_sub(ONES * 0x20) & !word)
            & TOPS;
        if special != 0 {
            return index * 8 + special.trailing_zeros() as usize / 8;
        }
    }
    let plain = rest.iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..=0x1F)).count();
    words.len() * 8 + plain
}

/// Reads an escape from its backslash; returns the character and where the escape ends.
fn read_escape(text: &[u8], at: usize) -> Result<(char, usize), StrictError> {
    let plain = match text.get(at + 1) {
        Some(b'u') => return read_unicode_escape(text, at),
        Some(b'"') => '"',
        Some(b'\\') => '\\',
        Some(b'/') => '/',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{C}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        Some(_) => return Err(fault(at, StrictFault::BadEscape)),
        None => {
            return Err(fault(at + 1, StrictFault::EndsEarly { expected: "an escape" }));
        }
    };
    Ok((plain, at + 2))
}

fn read_unicode_escape(text: &[u8], at: usize) -> Result<(char, usize), StrictError> {
    let unit = read_hex4(text, at + 2)?;
    let pair = match unit {
        0xD800..=0xDBFF => {
            if text.get(at + 6..at + 8) != Some(b"\\u") {
                return Err(fault(at, StrictFault::LoneSurrogate));
            }
            let low = read_hex4(text, at + 8)?;
            if !(0xDC00..=0xDFFF).contains(&low) {
                return Err(fault(at, StrictFault::LoneSurrogate));
            }
            Some(0x1_0000 + ((unit - 0xD800) << 10) + (low - 0xDC00))
        }
        _ => None,
    };
    match char::from_u32(pair.unwrap_or(unit)) {
        Some(character) => Ok((character, if pair.is_some() { at + 12 } else { at + 6 })),
        None => Err(fault(at, StrictFault::LoneSurrogate)),
    }
}

fn read_hex4(text: &[u8], at: usize) -> Result<u32, StrictError> {
    let Some(digits) = text.get(at..at + 4) else {
        return Err(fault(text.len(), StrictFault::EndsEarly { expected: "four hexadecimal digits" }));
    };
    digits.iter().try_fold(0, |unit, digit| match char::from(*digit).to_digit(16) {
        Some(value) => Ok(unit << 4 | value),
        None => Err(fault(at, StrictFault::BadEscape)),
    })
}

/// Appends the decoded form of a string's inside. `inner` has passed the reader; what did not would be cut short.
pub(super) fn unescape(inner: &[u8], out: &mut Vec<u8>) {
    let mut at = 0;
    while let Some(rest) = inner.get(at..) {
        let plain = memchr::memchr(b'\\', rest).unwrap_or(rest.len());
        out.extend_from_slice(rest.get(..plain).unwrap_or_default());
        at += plain;
        match read_escape(inner, at) {
            Ok((character, end)) => {
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                at = end;
            }
            Err(_) => return,
        }
    }
}

/// `-? (0 | [1-9][0-9]*) (. [0-9]+)? ([eE] [+-]? [0-9]+)?`
fn read_number(text: &[u8], start: usize) -> Result<usize, StrictError> {
    let mut at = start + usize::from(text.get(start) == Some(&b'-'));
    let whole = digits(text, at);
    if whole == 0 || (whole > 1 && text.get(at) == Some(&b'0')) {
        return Err(bad_number(text, at));
    }
    at += whole;
    let mut may_overflow = whole > 300;
    if text.get(at) == Some(&b'.') {
        let fraction = digits(text, at + 1);
        if fraction == 0 {
            return Err(bad_number(text, at + 1));
        }
        at += 1 + fraction;
    }
    if matches!(text.get(at), Some(b'e' | b'E')) {
        at += 1 + usize::from(matches!(text.get(at + 1), Some(b'+' | b'-')));
        let exponent = digits(text, at);
        if exponent == 0 {
            return Err(bad_number(text, at));
        }
        at += exponent;
        may_overflow = true;
    }
    if at - start > JSON_NUMBER_BYTES_MAX || (may_overflow && overflows(text.get(start..at).unwrap_or_default())) {
        return Err(fault(start, StrictFault::NumberRange));
    }
    Ok(at)
}

fn bad_number(text: &[u8], at: usize) -> StrictError {
    let fault_kind =
        if at < text.len() { StrictFault::BadNumber } else { StrictFault::EndsEarly { expected: "a digit" } };
    fault(at, fault_kind)
}

fn digits(text: &[u8], at: usize) -> usize {
    text.get(at..).unwrap_or_default().iter().take_while(|byte| byte.is_ascii_digit()).count()
}

fn overflows(literal: &[u8]) -> bool {
    let number = std::str::from_utf8(literal).ok().and_then(|literal| literal.parse::<f64>().ok());
    !number.is_some_and(f64::is_finite)
}

/// The position of the next byte that is not JSON white space.
pub(super) fn skip_space(text: &[u8], mut at: usize) -> usize {
    while let Some(b' ' | b'\t' | b'\n' | b'\r') = text.get(at) {
        at += 1;
    }
    at
}

fn unexpected(text: &[u8], at: usize, expected: &'static str) -> StrictError {
    if at < text.len() {
        fault(at, StrictFault::Unexpected { expected })
    } else {
        fault(text.len(), StrictFault::EndsEarly { expected })
    }
}

fn fault(offset: usize, fault: StrictFault) -> StrictError {
    StrictError { offset, fault }
}

#[cfg(test)]
mod tests;
