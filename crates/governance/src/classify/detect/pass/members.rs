//! Names before `:` and `=`: of members of objects, of settings, of arguments. Most say nothing, which is told from masks and from the last look at the same name.

use std::ops::Range;

use super::super::Evidence;
use super::super::bound;
use super::super::bytes::{at, before, part};
use super::super::field::{self, Value};
use super::super::followers::AS_FAR;
use super::super::grid;
use super::super::masks::{self, BLOCK};
use super::super::pair;
use super::super::words::Interest;
use super::{Around, Field, Near, Pass};

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
            let [_, then, ..] = *after;
            let may_be_list = matches!(after_it, b'[' | b'\n' | b'\r' | b'\t')
                || after_it == b' ' && matches!(then, b'[' | b' ' | b'\n' | b'\r' | b'\t');
            if may_be_list || self.in_container(name.start) {
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
        if interest.is_nothing() {
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
        let (name, interest) = if interest.has(Interest::GENERIC.and(Interest::SECOND)) {
            self.listed(place + 1, &name);
            self.called(&name).unwrap_or((name, interest))
        } else if at(self.text, place) == b'=' && at(self.text, place - 1) == b' ' {
            self.of_words(&name, interest).unwrap_or((name, interest))
        } else if interest.is_none() && at(self.text, place) == b':' && at(self.text, place - 1) != b'"' {
            pair::asked_above(self.text, &name)
                .and_then(|question| self.answer(place, question))
                .unwrap_or((name, interest))
        } else {
            (name, interest)
        };
        let interest =
            if interest.is_generic() && !self.in_container(name.start) { interest.heard() } else { interest };
        self.field = Field { interest, judged: 0..0, name, value: None, starts: place + 1 };
        if !interest.is_none() {
            self.named(place + 1);
        }
    }
}

/// Whether the values of a name are passed over, where they are no lists and no name around it says otherwise.
fn is_passed(interest: Interest, name: &[u8]) -> bool {
    let may_matter = || grid::may_hold(name) || field::may_be_paired(name) || pair::may_be_called(name);
    interest.is_nothing() || interest.is_generic() && !interest.has(Interest::SECOND) && !may_matter()
}

/// What stands before a sign, with it, and what behind it.
#[inline(always)]
fn split(near: &[u8; AS_FAR + 8]) -> Option<(&[u8; AS_FAR], &[u8; 8])> {
    Some((near.first_chunk()?, near.last_chunk()?))
}

impl Pass<'_> {
    /// What the value with the name at `name` is called where another value is its name, and whom that interests.
    #[inline(never)]
    fn called(&mut self, name: &Range<usize>) -> Option<(Range<usize>, Interest)> {
        let vocabulary = &self.lexicon.vocabulary;
        if let Some(pair) = field::paired(self.text, name) {
            let interest = self.recent.name(vocabulary, self.text, &pair);
            if !interest.is_none() {
                return Some((pair, interest));
            }
        }
        if part(self.text, name.start, name.end).eq_ignore_ascii_case(b"content-disposition") {
            self.form_part(name.end);
            return None;
        }
        for label in pair::labels(self.text, name) {
            let interest = self.recent.name(vocabulary, self.text, &label.range);
            let interest = if label.of_secrets { interest } else { interest.without_secrets() };
            if !interest.is_none() && !interest.is_generic() {
                return Some((label.range, interest));
            }
        }
        let question = pair::asked_before(self.text, name)?;
        self.answer(name.end + 1, question)
    }

    /// The name with the words before it and whom that interests, where those say what it does not.
    #[inline(never)]
    fn of_words(&mut self, name: &Range<usize>, interest: Interest) -> Option<(Range<usize>, Interest)> {
        if interest.has(Interest::SECRET) {
            return None;
        }
        let words = field::of_words(self.text, name)?;
        let more = self.recent.name(&self.lexicon.vocabulary, self.text, &words);
        let says_more = !interest.has(Interest::HEARD_IDENTIFIER) && more.has(Interest::HEARD_IDENTIFIER);
        (says_more && more.has(Interest::IDENTIFIER)).then_some((words, more))
    }

    /// Judges names and values that stand in a list one after the other.
    #[inline(never)]
    fn listed(&mut self, from: usize, name: &Range<usize>) {
        let listed = pair::listed(self.text, from, part(self.text, name.start, name.end));
        for (name, value) in listed.into_iter().chain(bound::bound(self.text, from, name)) {
            let interest = self.recent.name(&self.lexicon.vocabulary, self.text, &name);
            if interest.is_none() || interest.is_generic() || value.len() < 2 || !self.work.spend(64) {
                continue;
            }
            let name = self.lexicon.vocabulary.words_of(part(self.text, name.start, name.end));
            let value = Value { range: value, quoted: true };
            let found = self.judge_value(&value, interest, &Around { name, ..Around::none() }, Evidence::NAME);
            if let Some(found) = found {
                self.keep(found);
            }
        }
    }

    /// Judges the part of a form whose head is at `from`: its name, and behind an empty line its value.
    fn form_part(&mut self, from: usize) {
        let Some((name, value)) = pair::form_part(self.text, from) else { return };
        let interest = self.recent.name(&self.lexicon.vocabulary, self.text, &name);
        if interest.is_none() || interest.is_generic() || !self.work.spend(64) {
            return;
        }
        let name = self.lexicon.vocabulary.words_of(part(self.text, name.start, name.end));
        let value = Value { range: value, quoted: true };
        let found = self.judge_value(&value, interest, &Around { name, ..Around::none() }, Evidence::NAME);
        if let Some(found) = found {
            self.keep(found);
        }
    }

    /// The question and whom it interests, where what stands behind the separator at `place` may be an answer to it: something with a digit.
    fn answer(&mut self, place: usize, question: Range<usize>) -> Option<(Range<usize>, Interest)> {
        let interest = self.recent.name(&self.lexicon.vocabulary, self.text, &question);
        let value = field::value(self.text, place + 1).range;
        let answer = part(self.text, value.start, value.end);
        let is_one = answer.len() <= ANSWER_BYTES && answer.iter().any(u8::is_ascii_digit);
        (is_one && !interest.is_none() && !interest.is_generic()).then_some((question, interest))
    }
}

/// The longest answer that is a value.
const ANSWER_BYTES: usize = 96;

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
