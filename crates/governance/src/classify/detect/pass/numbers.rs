//! Digits: identifiers, with the groups around them; and the numbers that are none, told as early as may be.

use super::super::bytes::{at, before, part};
use super::super::words::Interest;
use super::super::{identifier, masks};
use super::{Near, Pass, SURE, is_uuid};

impl Pass<'_> {
    /// Digits from `bit` of the block on: an identifier's, unless a look at the group that they are in says otherwise.
    #[inline(always)]
    pub(super) fn digits(&mut self, block: usize, bit: u32, near: &Near) {
        let [previous, current, next] = near;
        let place = block + bit as usize;
        let behind = masks::ahead(previous.alnum, current.alnum, bit).leading_ones() as usize;
        let ahead = masks::ahead(current.alnum, next.alnum, bit).trailing_ones() as usize;
        let (start, end) = (place - behind.min(place), place + ahead);
        self.cluster_end = end;
        if end - start > 63 {
            return;
        }
        let (left, right) = (before(self.text, start), at(self.text, end));
        if matches!(end - start, 2 | 3 | 4 | 8) && matches!(right, b' ' | b',' | b':' | b'-') && self.spelt(start) {
            return;
        }
        let digits = masks::ahead(current.digit, next.digit, bit).trailing_ones() as usize;
        let plain = start == place && digits == end - start;
        let unnamed = self.field.interest.is_none();
        let alone = matches!(left, b':' | b'"' | b'=' | b',' | b'[' | b' ')
            && matches!(right, b',' | b'}' | b'"' | b']' | b'&' | b'\r' | b'\n');
        if alone && end - start < 8 && unnamed && (left != b' ' || matches!(before(self.text, start - 1), b':' | b','))
            || right == b'_'
            || left == b'_'
        {
            return;
        }
        if left == b'-' && unnamed && is_uuid(part(self.text, start.saturating_sub(9), start + 27)) {
            self.cluster_end = start + 27;
            return;
        }
        if unnamed && (plain || left == b'"' && right == b'"') && self.is_value(start, end, left) {
            return;
        }
        if plain {
            // Fractions of numbers.
            if left == b'.'
                && before(self.text, start - 1).is_ascii_digit()
                && !matches!(before(self.text, start.saturating_sub(2)), b'.' | b'0'..=b'9')
                && !matches!(right, b'.' | b'-' | b' ' | b'/')
                && unnamed
            {
                return;
            }
            // Dates and times that stand alone say nothing.
            if end - start == 4 && right == b'-' && unnamed && is_timestamp(part(self.text, start, start + 14)) {
                self.cluster_end = start + 19;
                return;
            }
            if left == b'/' && right != b' ' && end - start < 9 && unnamed {
                return;
            }
        } else if end - start < 26 {
            // Small letters behind the digits; those before them are few where a number follows a word.
            let behind = part(self.text, place, end);
            if behind.iter().filter(|byte| byte.is_ascii_lowercase()).count() >= 4 {
                return;
            }
        }
        self.cluster(start, end);
    }

    /// Whether the digits from `start` to `end` are the value of a name that nobody hears, or the whole part of that, and no card: most numbers of objects.
    #[inline(always)]
    fn is_value(&mut self, start: usize, mut end: usize, left: u8) -> bool {
        let gap = start - self.field.starts.min(start);
        let is_value = match left {
            b':' => gap == 0,
            b' ' => gap == 1,
            b'"' => gap == 1 || gap == 2 && at(self.text, self.field.starts) == b' ',
            _ => false,
        };
        if !is_value || self.field.starts == 0 || self.field.interest.has(Interest::HEARD_IDENTIFIER) {
            return false;
        }
        if left == b'"' {
            end = self.while_ahead(end, 24, |byte| matches!(byte, b'0'..=b'9' | b'.' | b'-'));
        } else if at(self.text, end) == b'.' {
            end = self.while_ahead(end + 1, 24, |byte| byte.is_ascii_digit());
        }
        // No word may follow it.
        let behind = self.while_ahead(end, 8, |byte| matches!(byte, b',' | b'}' | b']' | b'\r' | b' '));
        let is_end = match at(self.text, end) {
            b'"' => left == b'"',
            b',' | b'}' | b']' => left != b'"' && matches!(at(self.text, behind), b'"' | b'\n' | b'{'),
            b'\n' | b'\r' => left != b'"',
            _ => false,
        };
        // A name without quotes may be a group of an identifier itself.
        let is_quoted = matches!(before(self.text, self.field.starts - 1), b'"');
        if !is_end || !is_quoted || identifier::may_stand_alone(part(self.text, start, end)) {
            return false;
        }
        self.cluster_end = end;
        true
    }

    /// The group of letters and digits from `start` to `end`, with those around it.
    #[inline(never)]
    fn cluster(&mut self, mut start: usize, mut end: usize) {
        if self.is_no_identifier(start, part(self.text, start, end)) {
            return;
        }
        let mut groups = [(start, end); 16];
        let mut count = 1;
        while let Some((group_start, group_end)) = self.group_ahead(end)
            && let Some(slot) = groups.get_mut(count)
            && group_end - start <= 96
        {
            *slot = (group_start, group_end);
            count += 1;
            end = group_end;
        }
        self.cluster_end = end;
        while let Some(group_start) = self.group_behind(start)
            && end - group_start <= 96
        {
            start = group_start;
        }
        // What stands in brackets as a whole is no telephone's number that begins with one.
        if before(self.text, start) == b'+'
            || before(self.text, start) == b'(' && memchr::memchr(b')', part(self.text, start, end)).is_some()
        {
            start -= 1;
            if before(self.text, start) == b'+' {
                start -= 1;
            }
        }
        let judged = self.field.judged.clone();
        if judged.start <= start && end <= judged.end && end - start + 2 >= judged.len() {
            return;
        }
        if self.is_whole_value(start, end) && !identifier::may_stand_alone(part(self.text, start, end)) {
            return;
        }
        let whole = self.identifier(start, end);
        if let Some(whole) = whole {
            self.keep(whole);
        }
        if count > 1 && whole.is_none_or(|whole| whole.score < SURE) {
            self.parts(groups.get(..count).unwrap_or_default());
        }
    }

    /// Whether `start..end` is all that stands in quotes as the value of a name that nobody hears: no word speaks for it.
    fn is_whole_value(&self, start: usize, end: usize) -> bool {
        let field = &self.field;
        let gap = start - field.starts.min(start);
        at(self.text, end) == b'"'
            && before(self.text, start) == b'"'
            && (gap == 1 || gap == 2 && at(self.text, field.starts) == b' ')
            && field.starts > 0
            && field.interest.is_none()
            && !field.interest.has(Interest::HEARD_IDENTIFIER)
            && before(self.text, field.starts - 1) == b'"'
    }

    /// Digests, ids of machines and random text: groups that no identifier has.
    fn is_no_identifier(&self, start: usize, group: &[u8]) -> bool {
        if group.len() == 8 && at(self.text, start + 8) == b'-' && is_uuid(part(self.text, start, start + 36)) {
            return true;
        }
        let small = group.iter().filter(|byte| byte.is_ascii_lowercase()).count();
        small >= 4 && group.len() < 26
            || matches!(group.len(), 32 | 40 | 64 | 128) && group.iter().all(u8::is_ascii_hexdigit)
    }

    /// Judges what spaces separate by itself.
    fn parts(&mut self, groups: &[(usize, usize)]) {
        let mut index = 0;
        while let Some((start, mut end)) = groups.get(index).copied() {
            index += 1;
            while let Some((next, next_end)) = groups.get(index).copied() {
                if at(self.text, end) == b' ' {
                    break;
                }
                end = next_end.max(next);
                index += 1;
            }
            if end - start >= 6
                && let Some(found) = self.identifier(start, end)
            {
                self.keep(found);
            }
        }
    }

    /// The group behind a single separator at `end`.
    fn group_ahead(&self, end: usize) -> Option<(usize, usize)> {
        let mut start = end;
        let first = at(self.text, start);
        if !matches!(first, b' ' | b'-' | b'.' | b'/' | b':' | b'(' | b')') {
            return None;
        }
        start += 1;
        if first == b':' && at(self.text, start) == b':' {
            start += 1;
        }
        if matches!(at(self.text, start), b' ' | b'(' | b'-') && first != b' '
            || first == b' ' && at(self.text, start) == b'('
        {
            start += 1;
        }
        let end = self.while_ahead(start, 64, |byte| byte.is_ascii_alphanumeric());
        let group = part(self.text, start, end);
        (is_group(group) || matches!(first, b':' | b'-') && is_pair(group) || first == b':' && is_quad(group))
            .then_some((start, end))
    }

    fn group_behind(&self, start: usize) -> Option<usize> {
        let last = before(self.text, start);
        if !matches!(last, b' ' | b'-' | b'.' | b'/' | b')' | b'(' | b':') {
            return None;
        }
        let mut end = start - 1;
        if last == b' ' && before(self.text, end) == b')' || last == b'(' && before(self.text, end) == b' ' {
            end -= 1;
        }
        if last == b':' && before(self.text, end) == b':' {
            end -= 1;
        }
        let start = self.while_behind(end, 64, |byte| byte.is_ascii_alphanumeric());
        let group = part(self.text, start, end);
        let is_one = is_group(group) || matches!(last, b':' | b'-') && is_pair(group) || last == b':' && is_quad(group);
        let left = before(self.text, start);
        (is_one && left < 0x80 && !matches!(left, b'_' | b'.')).then_some(start)
    }
}

/// Two hexadecimal digits, of which addresses of machines are made.
fn is_pair(group: &[u8]) -> bool {
    group.len() == 2 && group.iter().all(u8::is_ascii_hexdigit)
}

/// One to four hexadecimal digits, of which addresses of the Internet are made.
fn is_quad(group: &[u8]) -> bool {
    (1..=4).contains(&group.len()) && group.iter().all(u8::is_ascii_hexdigit)
}

/// Letters and digits of which an identifier may be made: some digits, or a few capitals.
fn is_group(group: &[u8]) -> bool {
    !group.is_empty()
        && group.len() <= 40
        && (group.iter().any(u8::is_ascii_digit)
            || group.len() <= 4 && group.iter().all(u8::is_ascii_uppercase)
            || group.len() == 1 && group != b"a")
}

/// Whether a text starts with `YYYY-MM-DDT` or `YYYY-MM-DD hh:`.
fn is_timestamp(text: &[u8]) -> bool {
    let digit = |place: usize| at(text, place).is_ascii_digit();
    let dash = |place: usize| at(text, place) == b'-';
    let date = digit(0)
        && digit(1)
        && digit(2)
        && digit(3)
        && dash(4)
        && digit(5)
        && digit(6)
        && dash(7)
        && digit(8)
        && digit(9);
    date && (at(text, 10) == b'T' || at(text, 10) == b' ' && digit(11) && digit(12) && at(text, 13) == b':')
}
