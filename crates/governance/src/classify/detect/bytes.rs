//! Looking at bytes where there may be none.

/// The byte at `place`, or 0 behind the end.
#[inline]
pub(super) fn at(text: &[u8], place: usize) -> u8 {
    text.get(place).copied().unwrap_or(0)
}

/// The byte before `place`, or 0 at the start.
#[inline]
pub(super) fn before(text: &[u8], place: usize) -> u8 {
    place.checked_sub(1).map_or(0, |place| at(text, place))
}

/// What stands from `start` to `end`, as far as it is there.
#[inline]
pub(super) fn part(text: &[u8], start: usize, end: usize) -> &[u8] {
    let end = end.min(text.len());
    text.get(start.min(end)..end).unwrap_or_default()
}

/// The longest part of `bytes` from its start that is UTF-8.
pub(super) fn text(bytes: &[u8]) -> &str {
    match str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => bytes.get(..error.valid_up_to()).and_then(|valid| str::from_utf8(valid).ok()).unwrap_or_default(),
    }
}

/// What sorts of bytes runs of token characters are made of, a bit each.
pub(super) mod class {
    /// ASCII letters and digits, `_` and `-`.
    pub(in super::super) const WORD: u8 = 1;
    /// `.` and `~`
    pub(in super::super) const POINT: u8 = 2;
    /// `+` and `/`
    pub(in super::super) const PLUS: u8 = 4;
    pub(in super::super) const DIGIT: u8 = 8;
    pub(in super::super) const UPPER: u8 = 16;
    pub(in super::super) const LOWER: u8 = 32;
    pub(in super::super) const DASH: u8 = 64;
    /// Neither a dash nor a hexadecimal digit.
    pub(in super::super) const NOT_HEX: u8 = 128;
}

static CLASSES: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut classes = [0; 256];
    let mut slots: &mut [u8] = &mut classes;
    let mut byte = 0_u8;
    while let Some((slot, rest)) = slots.split_first_mut() {
        *slot = match byte {
            b'0'..=b'9' => class::WORD | class::DIGIT,
            b'A'..=b'F' => class::WORD | class::UPPER,
            b'a'..=b'f' => class::WORD | class::LOWER,
            b'G'..=b'Z' => class::WORD | class::UPPER | class::NOT_HEX,
            b'g'..=b'z' => class::WORD | class::LOWER | class::NOT_HEX,
            b'-' => class::WORD | class::DASH,
            b'_' => class::WORD | class::NOT_HEX,
            b'.' | b'~' => class::POINT | class::NOT_HEX,
            b'+' | b'/' => class::PLUS | class::NOT_HEX,
            _ => class::NOT_HEX,
        };
        slots = rest;
        byte = byte.wrapping_add(1);
    }
    classes
}

/// The sorts that a byte is of.
#[inline]
pub(super) fn class_of(byte: u8) -> u8 {
    CLASSES.get(usize::from(byte)).copied().unwrap_or(0)
}
