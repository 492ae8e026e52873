//! Names before `:` and `=`: of members of objects, of settings, of arguments. Most say nothing, which is told from masks and from the last look at the same name.

use std::ops::Range;

use super::super::bytes::{at, before, part};
use super::super::field;
use super::super::followers::AS_FAR;
use super::super::grid;
use super::super::masks::{self, BLOCK};
use super::super::words::Interest;
use super::{Field, Near, Pass};

impl Pass<'_> {
    /// A sign at `place` behind a `"`, at `bit` of its block: says whether it is the `:` of a member with a name of one word.
    #[inline(always)]
    pub(super) fn member(&mut self, place: usize, bit: u32, near: &Near) -> bool {
        let around = place.checked_sub(AS_FAR - 1).and_then(|from| self.text.get(from..));
        let around = around.and_then(|around| around.first_chunk::<{ AS_FAR + 8 }>()).and_then(split);
        let Some((before, after)) = around else { return self.unexpected(place, bit, near) };
        let Some((length, mut interest)) = self.recent.followers().next(*before) else {
            return self.unexpected(place, bit, near);
        };
        let name = place.wrapping_sub(1 + length)..place.wrapping_sub(1);
        let [after_it, ..] = *after;
        if after_it != b'"' {
            if matches!(after_it, b':' | b'=' | b'/') {
                return false;
            }
            if is_literal(after) {
                interest = Interest::NONE.unknown();
            }
        }
        if !interest.is_none() {
            if self.in_container(name.start) {
                self.value_of(place, name);
                return true;
            }
            interest = interest.heard();
        }
        self.field = Field { interest, judged: 0..0, name, value: None, starts: place.wrapping_add(1) };
        true
    }

    /// The same where the name is not the one that followed the last one before.
    #[inline(never)]
    fn unexpected(&mut self, place: usize, bit: u32, near: &Near) -> bool {
        // Which of the bytes before the `"` are of words and `"`; the last is the one before it.
        let [previous, current, _] = near;
        let words = masks::ahead(previous.word, current.word, bit) << 1;
        let quotes = masks::ahead(previous.quote, current.quote, bit) << 1;
        let Some([b':', value @ ..]) = self.text.get(place..).and_then(|rest| rest.first_chunk::<9>()) else {
            return false;
        };
        let [after_it, ..] = *value;
        let length = words.leading_ones();
        let is_one = length > 0 && quotes << (length & 63) >> (BLOCK - 1) == 1;
        if !is_one || matches!(after_it, b':' | b'=' | b'/') {
            return false;
        }
        let length = length as usize;
        let name = place.saturating_sub(1 + length)..place - 1;
        let is_literal = after_it != b'"' && is_literal(value);
        let mut interest = Interest::NONE.unknown();
        if !is_literal || self.recent.followers().are_kept() {
            let known = self.recent.name(&self.lexicon.vocabulary, self.text, &name);
            if is_passed(known, part(self.text, name.start, name.end))
                && let Some(before) =
                    place.checked_sub(AS_FAR - 1).and_then(|from| self.text.get(from..)?.first_chunk())
            {
                self.recent.followers().follow(*before, length, known);
            }
            interest = if is_literal { interest } else { known };
        }
        // Most names say nothing.
        if interest.is_none() {
            self.field = Field { interest, judged: 0..0, name, value: None, starts: place + 1 };
        } else {
            self.value_of(place, name);
        }
        true
    }

    /// Whether the value behind the `:` at `place` is a short number that nobody looks at, which is passed over then. `digits` has the digits from `place` on.
    #[inline(always)]
    pub(super) fn is_number(&mut self, place: usize, digits: u64) -> bool {
        // A space may be before it.
        let skipped = if digits & 2 == 0 { 2 } else { 1 };
        let length = (digits >> skipped).trailing_ones() as usize;
        let end = place + skipped + length;
        let is_one = (1..8).contains(&length)
            && matches!(at(self.text, end), b',' | b'}' | b']' | b'\n' | b'\r')
            && self.field.interest.is_none()
            && (skipped == 1 || at(self.text, place + 1) == b' ');
        if is_one {
            self.cluster_end = end;
        }
        is_one
    }

    /// `:` or `=` at `place`: a name before it, perhaps, and its value behind it. `words` holds which of the 64 bytes before it are of words.
    #[inline(never)]
    pub(super) fn separator(&mut self, place: usize, words: u64) {
        let [before_it, sign, after_it, then] = match place
            .checked_sub(1)
            .and_then(|from| self.text.get(from..place + 3))
        {
            Some([before_it, sign, after_it, then]) => [*before_it, *sign, *after_it, *then],
            _ => [before(self.text, place), at(self.text, place), at(self.text, place + 1), at(self.text, place + 2)],
        };
        let colon = sign == b':';
        match (before_it, after_it) {
            (b'0'..=b'9', b'0'..=b'9') | (_, b':') => return,
            (b':', _) | (_, b'=') if colon => return,
            (b'=' | b'!' | b'<' | b'>' | b'~', _) | (_, b'=') => return,
            (_, b'/') if then == b'/' => return,
            // The end of a line of base64.
            (_, b'\n' | b'\r') if !colon => {
                self.field = Field::default();
                return;
            }
            _ => {}
        }
        // The usual name is one word in quotes: its start is found by counting bits.
        let quoted = matches!(before_it, b'"' | b'\'');
        let (end, words) = if quoted { (place - 1, words << 1) } else { (place, words) };
        let length = words.leading_ones() as usize;
        let start = end - length.min(end);
        let first = before(self.text, start);
        let name = if quoted && length > 0 && first == before_it {
            Some(start..end)
        } else if length > 0 && !quoted && matches!(first, b'\n' | b'&' | b',' | b'{' | b'?' | b';' | 0) {
            part(self.text, start, end).iter().any(u8::is_ascii_alphabetic).then_some(start..end)
        } else {
            field::name(self.text, place)
        };
        let Some(name) = name else { return };
        // Who comes to a place is no name: `https://user:…@host`.
        if part(self.text, name.start.saturating_sub(3), name.start) == b"://" {
            return;
        }
        let mut value = [0; 8];
        let near = part(self.text, place + 1, place + 1 + value.len());
        value.iter_mut().zip(near).for_each(|(to, byte)| *to = *byte);
        if quoted && is_literal(&value) {
            let interest = Interest::NONE.unknown();
            self.field = Field { interest, judged: 0..0, name, value: None, starts: place + 1 };
            return;
        }
        self.value_of(place, name);
    }

    /// The value behind the separator at `place`, of the name at `name`.
    #[inline(never)]
    fn value_of(&mut self, place: usize, name: Range<usize>) {
        let interest = self.recent.name(&self.lexicon.vocabulary, self.text, &name);
        if interest.is_generic() && grid::may_hold(part(self.text, name.start, name.end)) {
            self.grid(place + 1);
        }
        let (name, interest) = match interest.has(Interest::GENERIC).then(|| field::paired(self.text, &name)).flatten()
        {
            Some(pair) => {
                let paired = self.recent.name(&self.lexicon.vocabulary, self.text, &pair);
                if paired.is_none() { (name, interest) } else { (pair, paired) }
            }
            None => (name, interest),
        };
        let interest =
            if interest.is_generic() && !self.in_container(name.start) { interest.heard() } else { interest };
        self.field = Field { interest, judged: 0..0, name, value: None, starts: place + 1 };
        if !interest.is_none() {
            self.named(place + 1);
        }
    }
}

/// Whether the values of a name are passed over, where no name around it says otherwise.
fn is_passed(interest: Interest, name: &[u8]) -> bool {
    interest.is_none() || interest.is_generic() && !grid::may_hold(name) && !field::may_be_paired(name)
}

/// What stands before a sign, with it, and what behind it.
#[inline(always)]
fn split(near: &[u8; AS_FAR + 8]) -> Option<(&[u8; AS_FAR], &[u8; 8])> {
    Some((near.first_chunk()?, near.last_chunk()?))
}

/// Whether a value is `null`, `true`, `false` or a digit, whatever its name.
#[inline(always)]
fn is_literal(value: &[u8; 8]) -> bool {
    const NULL: u32 = u32::from_le_bytes(*b"null");
    const TRUE: u32 = u32::from_le_bytes(*b"true");
    const FALSE: u32 = u32::from_le_bytes(*b"fals");
    let mut value = u64::from_le_bytes(*value);
    if value as u8 == b' ' {
        value >>= 8;
    }
    let end = match value as u32 {
        NULL | TRUE => value >> 32,
        FALSE if (value >> 32) as u8 == b'e' => value >> 40,
        _ if (value as u8).is_ascii_digit() => value >> 8,
        _ => return false,
    };
    matches!(end as u8, b',' | b'}' | b']')
}
