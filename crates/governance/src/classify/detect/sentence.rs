//! The sentence around a candidate: where it begins and ends, and whether a word of it speaks for an identifier.
//!
//! Most words speak for nothing. That is told here from sets of positions, before the words are taken out for a judge.

use std::ops::Range;

use multiversion::multiversion;
use wide::u8x16;

use super::bytes::{at, part};
use super::identifier::NUMBERS;
use super::masks::{BLOCK, LANE};
use super::words::lower as lower_letters;

/// How far words are looked for before a candidate.
pub(super) const BEFORE_BYTES: usize = 96;

/// How far words are looked for after a candidate.
pub(super) const AFTER_BYTES: usize = 48;

/// The longest word that is compared as numbers.
const KEY_BYTES: usize = 24;

/// Some bytes of a text, and where in them which stand.
struct Window<'t> {
    text: &'t [u8],
    /// Where in the text the first stands.
    base: usize,
    digit: u128,
    lower: u128,
    newline: u128,
    quote: u128,
    /// `.`, `!` and `?` with a space behind.
    stop: u128,
    upper: u128,
    /// Letters, digits, and what is not ASCII.
    word: u128,
}

impl<'t> Window<'t> {
    /// The bytes from `start` to `end`, at most [`BEFORE_BYTES`].
    #[inline(always)]
    fn new(text: &'t [u8], start: usize, end: usize) -> Self {
        let end = end.min(text.len());
        let start = start.min(end);
        let length = (end - start).min(BEFORE_BYTES);
        let low = Self::block(text, start, length);
        let high = if length > BLOCK { Self::block(text, start + BLOCK, length - BLOCK) } else { [0; 8] };
        let [digit, lower, newline, quote, space, stop, upper, word] =
            std::array::from_fn(|set| at_or(&low, set) | at_or(&high, set) << BLOCK);
        let mut window = Self { text, base: start, digit, lower, newline, quote, stop: stop & space >> 1, upper, word };
        window.stop &= (1 << (length.saturating_sub(1))) - 1;
        window.keep((1 << length) - 1);
        window
    }

    /// Where in the next `length` bytes from `from` on, or in 64, which stand, in the order of the alphabet; and in some bytes behind those.
    #[inline(always)]
    fn block(text: &[u8], from: usize, length: usize) -> [u128; 8] {
        let mut sets = [0_u64; 8];
        for lane in 0..BLOCK / LANE {
            if lane * LANE >= length {
                continue;
            }
            let mut rest = [0; LANE];
            let bytes = match text.get(from + lane * LANE..) {
                Some(text) => text.first_chunk::<LANE>().unwrap_or_else(|| {
                    rest.iter_mut().zip(text).for_each(|(to, byte)| *to = *byte);
                    &rest
                }),
                None => &rest,
            };
            let bytes = u8x16::new(*bytes);
            let is = |byte: u8| bytes.simd_eq(u8x16::splat(byte));
            let within = |first: u8, last: u8| {
                let moved = bytes - u8x16::splat(first);
                moved.min(u8x16::splat(last - first)).simd_eq(moved)
            };
            let (digit, lower, upper) = (within(b'0', b'9'), within(b'a', b'z'), within(b'A', b'Z'));
            let stop = is(b'.') | is(b'!') | is(b'?');
            // What is not ASCII has the highest bit, which is all that is taken of each byte.
            let word = digit | lower | upper | bytes;
            let of_lane = [digit, lower, is(b'\n'), is(b'"'), is(b' '), stop, upper, word];
            for (set, bits) in sets.iter_mut().zip(of_lane) {
                *set |= u64::from(bits.to_bitmask()) << (LANE * lane);
            }
        }
        sets.map(u128::from)
    }

    /// Leaves nothing that is not in `kept`.
    const fn keep(&mut self, kept: u128) {
        self.digit &= kept;
        self.lower &= kept;
        self.newline &= kept;
        self.quote &= kept;
        self.stop &= kept;
        self.upper &= kept;
        self.word &= kept;
    }

    /// The words, split where their spelling changes, as places in the text.
    fn words(&self) -> impl Iterator<Item = (usize, usize)> {
        let small_behind = (self.digit | self.upper) << 1 & self.lower >> 1;
        let split = self.upper & (self.lower << 1 | small_behind);
        // Every start has its end, in the same order.
        let mut starts = Places::of(self.word & !(self.word << 1) | split, self.base);
        let mut ends = Places::of(self.word & !(self.word >> 1) | split >> 1, self.base + 1);
        std::iter::from_fn(move || Some((starts.next()?, ends.next()?)))
    }
}

/// The places of a set, one after the other.
struct Places {
    now: u64,
    then: u64,
    base: usize,
}

impl Places {
    fn of(set: u128, base: usize) -> Self {
        Self { now: set as u64, then: (set >> BLOCK) as u64, base }
    }
}

impl Iterator for Places {
    type Item = usize;

    #[inline(always)]
    fn next(&mut self) -> Option<usize> {
        if self.now == 0 {
            (self.now, self.then) = (self.then, 0);
            self.base += BLOCK;
        }
        let place = self.base + self.now.trailing_zeros() as usize;
        let has = self.now != 0;
        self.now &= self.now.wrapping_sub(1);
        has.then_some(place)
    }
}

fn at_or(sets: &[u128; 8], set: usize) -> u128 {
    sets.get(set).copied().unwrap_or(0)
}

fn shift(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

/// The sentence or line before `place`, not before `from`.
pub(super) fn before(text: &[u8], place: usize, from: usize) -> Range<usize> {
    let window = Window::new(text, place.saturating_sub(BEFORE_BYTES).max(from), place);
    from.max(start(&window, place))..place
}

/// Where the sentence starts that `window` ends in, whose last byte is the one before `place`.
fn start(window: &Window, place: usize) -> usize {
    let mut left = window.newline | window.stop;
    let mut lines = 0;
    while let Some(bit) = left.checked_ilog2() {
        left ^= 1 << bit;
        let there = window.base + bit as usize;
        let behind = there + 1;
        if window.newline >> bit & 1 == 1 {
            // A label may have its value on the next line.
            let is_label = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'>' | b'-' | b'*' | b'|');
            if lines > 0 || !part(window.text, behind, place).iter().all(is_label) {
                return behind;
            }
            lines += 1;
            // The last name of a line of them.
            let line = part(window.text, window.base, there);
            if let Some(comma) = line
                .iter()
                .rposition(|byte| matches!(byte, b',' | b';' | b'\n'))
                .filter(|comma| line.get(*comma) != Some(&b'\n'))
                && at(line, comma + 1) != b' '
            {
                return window.base + comma + 1;
            }
        } else if there > window.base && at(window.text, there - 1) == b'.' {
            // Dots that lead from a label to its value.
        } else if !is_abbreviation(part(window.text, window.base, there)) {
            return behind;
        }
    }
    window.base
}

/// `no.`, `Nr.`, `St.`: a dot behind `before` that ends no sentence.
fn is_abbreviation(before: &[u8]) -> bool {
    (1..=3).contains(&before.iter().rev().take(4).take_while(|byte| byte.is_ascii_alphabetic()).count())
}

/// The sentence or line after `place`.
pub(super) fn after(text: &[u8], place: usize) -> Range<usize> {
    let window = Window::new(text, place, place + AFTER_BYTES);
    place..end(&window, text.len())
}

/// Where the sentence ends that `window` starts with.
fn end(window: &Window, text_end: usize) -> usize {
    let ends = window.newline | window.quote | window.stop;
    (window.base + AFTER_BYTES.min(ends.trailing_zeros() as usize)).min(text_end)
}

/// How many letters of a word tell most of those that speak for nothing.
const BEGINNING: usize = 4;

/// How many bits their hash has.
const BEGINNING_BITS: u32 = 12;

/// The words that speak for identifiers.
#[derive(Debug)]
pub(super) struct Heard {
    slots: Vec<Word>,
    /// Those that are too long for a slot, in lower case.
    long: Vec<(String, Speech)>,
    /// How long those are, a bit for each length.
    long_lengths: u64,
    /// How long the words are that begin with some letters, by the hash of those, a bit for each length.
    lengths: Box<[u32; 1 << BEGINNING_BITS]>,
}

/// What one word speaks for.
#[derive(Clone, Copy, Debug, Default)]
struct Speech {
    alone: bool,
    /// With words behind it.
    begins: bool,
    /// With a word before it.
    goes_on: bool,
    /// How many letters and digits what it speaks for may have, a bit for each number.
    lengths: u64,
}

#[derive(Clone, Copy, Debug, Default)]
struct Word {
    key: [u64; KEY_BYTES / 8],
    speech: Speech,
}

impl Heard {
    /// For phrases, each with the numbers of letters and digits that what it speaks for may have.
    pub(super) fn new(phrases: impl Iterator<Item = (&'static str, u64)>) -> Self {
        let mut words: Vec<(String, Speech)> = Vec::new();
        for (phrase, lengths) in phrases {
            let is_one = !phrase.contains(' ');
            for (at, word) in phrase.split(' ').enumerate() {
                let speech = Speech { alone: is_one, begins: !is_one && at == 0, goes_on: at > 0, lengths };
                words.push((word.to_owned(), speech));
                // A number is written in many ways.
                let others = if speech.goes_on && word == "number" { NUMBERS } else { &[] };
                words.extend(others.iter().map(|other| ((*other).to_owned(), speech)));
            }
            if !is_one {
                words.push((phrase.replace(' ', ""), Speech { alone: true, lengths, ..Speech::default() }));
            }
        }
        let size = (words.len() * 4).next_power_of_two();
        let mut heard = Self {
            slots: vec![Word::default(); size],
            long: Vec::new(),
            long_lengths: 0,
            lengths: Box::new([0; 1 << BEGINNING_BITS]),
        };
        for (word, speech) in words {
            let length = word.len();
            if length > KEY_BYTES {
                heard.long.push((word, speech));
                heard.long_lengths |= 1 << length.min(63);
                continue;
            }
            let mut bytes = [0; KEY_BYTES];
            for (to, byte) in bytes.iter_mut().zip(word.bytes()) {
                *to = byte;
            }
            let key = key(&bytes, length);
            if let Some(lengths) = bytes.first_chunk().and_then(|first| heard.lengths.get_mut(beginning(first, length)))
            {
                *lengths |= 1 << length;
            }
            let mut place = hash(key) & (size - 1);
            while let Some(slot) = heard.slots.get_mut(place) {
                if slot.key == key || slot.key == [0; KEY_BYTES / 8] {
                    *slot = Word { key, speech: slot.speech.and(speech) };
                    break;
                }
                place = (place + 1) & (size - 1);
            }
        }
        heard
    }

    /// How many letters and digits it may have what words of the sentences before `start` and after `end` speak for, a bit for each number. A candidate that goes on
    /// with what the last word before it begins is of any length.
    pub(super) fn around(&self, text: &[u8], start: usize, end: usize, from: usize, listened: &mut Listened) -> u64 {
        let before = part(text, start.saturating_sub(BEFORE_BYTES).max(from).min(start), start);
        let after = part(text, end, end + AFTER_BYTES);
        // No sentence goes on behind them.
        let after = part(after, 0, memchr::memchr2(b'"', b'\n', after).unwrap_or(after.len()));
        let is_open = at(text, start).is_ascii_alphabetic();
        listened.around(before, after, is_open, || listen(self, before, after, is_open))
    }

    /// The same of a name.
    pub(super) fn name(&self, text: &[u8], name: &Range<usize>) -> u64 {
        if name.len() > BEFORE_BYTES {
            return u64::MAX;
        }
        self.lengths(&Window::new(text, name.start, name.end), false)
    }

    #[inline(always)]
    fn lengths(&self, window: &Window<'_>, is_open: bool) -> u64 {
        let mut lengths = 0;
        let mut last = Speech::default();
        let strange = window.word & !(window.digit | window.lower | window.upper);
        for (start, end) in window.words() {
            // Most words are told by their first letters and their length.
            if strange == 0 && !self.may_be(window.text, start, end) {
                last = Speech::default();
                continue;
            }
            let speech = self.word(window.text, start, end);
            if speech.alone {
                lengths |= speech.lengths;
            }
            if last.begins && speech.goes_on || speech.begins && last.goes_on {
                lengths |= last.lengths | speech.lengths;
            }
            if speech.begins && is_open {
                lengths = u64::MAX;
            }
            last = speech;
        }
        lengths
    }

    /// Whether the word in ASCII from `start` to `end` of `text` may be one of these, or several of one.
    #[inline(always)]
    fn may_be(&self, text: &[u8], start: usize, end: usize) -> bool {
        let length = end - start;
        let Some(first) = text.get(start..).and_then(|rest| rest.first_chunk::<BEGINNING>()) else { return true };
        let has =
            |length: usize| self.lengths.get(beginning(first, length)).is_some_and(|known| known >> length & 1 == 1);
        if length > KEY_BYTES {
            // One of several is shorter by a byte, and may be a short one.
            let is_long = (self.long_lengths | self.long_lengths << 1) >> length.min(63) & 1 == 1;
            return is_long || length == KEY_BYTES + 1 && has(KEY_BYTES);
        }
        has(length) || length > 1 && matches!(at(text, end - 1), b's' | b'S' | b'0'..=b'9') && has(length - 1)
    }

    /// What a word speaks for, itself or as several of one, or the first of them: `ibans`, `street1`.
    #[inline(never)]
    fn word(&self, text: &[u8], start: usize, end: usize) -> Speech {
        let word = part(text, start, end);
        if word.is_ascii()
            && let Some(bytes) = text.get(start..).and_then(|rest| rest.first_chunk())
        {
            return self.several(bytes, word);
        }
        let mut bytes = [0; BEFORE_BYTES + KEY_BYTES];
        let Some(room) = bytes.get_mut(..word.len()) else { return Speech::default() };
        room.copy_from_slice(word);
        if !word.is_ascii() {
            room.make_ascii_lowercase();
            lower_letters(room);
        }
        bytes.first_chunk().map_or_else(Speech::default, |key| self.several(key, part(&bytes, 0, word.len())))
    }

    /// The same of a word that stands at the start of `bytes`, as far as there is room.
    #[inline]
    fn several(&self, bytes: &[u8; KEY_BYTES], word: &[u8]) -> Speech {
        let speech = self.speech(bytes, word);
        match word {
            [one @ .., b's' | b'S' | b'0'..=b'9'] if !one.is_empty() => speech.and(self.speech(bytes, one)),
            _ => speech,
        }
    }

    #[inline]
    fn speech(&self, bytes: &[u8; KEY_BYTES], word: &[u8]) -> Speech {
        if word.len() > KEY_BYTES {
            let known = self.long.iter().filter(|(known, _)| word.eq_ignore_ascii_case(known.as_bytes()));
            return known.fold(Speech::default(), |speech, (_, more)| speech.and(*more));
        }
        let key = key(bytes, word.len());
        let mask = self.slots.len() - 1;
        let mut place = hash(key) & mask;
        while let Some(slot) = self.slots.get(place) {
            if slot.key == key {
                return slot.speech;
            }
            if slot.key == [0; KEY_BYTES / 8] {
                break;
            }
            place = (place + 1) & mask;
        }
        Speech::default()
    }
}

/// How many letters and digits it may have what words before and after a candidate speak for.
#[multiversion(targets("x86_64+avx2+bmi1+bmi2+lzcnt+popcnt"))]
fn listen(heard: &Heard, before: &[u8], after: &[u8], is_open: bool) -> u64 {
    let mut lengths = 0;
    if !before.is_empty() {
        let mut window = Window::new(before, 0, before.len());
        window.keep(u128::MAX.checked_shl(shift(start(&window, before.len()))).unwrap_or(0));
        lengths |= heard.lengths(&window, is_open);
    }
    if !after.is_empty() {
        let mut window = Window::new(after, 0, after.len());
        window.keep((1 << end(&window, after.len())) - 1);
        lengths |= heard.lengths(&window, false);
    }
    lengths
}

/// What was heard around candidates a moment ago: templates say the same around each of their values.
#[derive(Debug, Default)]
pub(super) struct Listened {
    /// A power of two of them, or none yet.
    slots: Vec<Sentence>,
}

/// What stands around a candidate, and what is heard there.
#[derive(Clone, Copy, Debug)]
struct Sentence {
    bytes: [u8; BEFORE_BYTES + AFTER_BYTES],
    before: usize,
    after: usize,
    is_open: bool,
    lengths: u64,
}

impl Listened {
    /// How many there are at the most.
    const SLOTS: usize = 32;

    /// What is heard in `before` and `after`, as `listen` says where that is not known.
    fn around(&mut self, before: &[u8], after: &[u8], is_open: bool, listen: impl FnOnce() -> u64) -> u64 {
        const NOTHING: Sentence =
            Sentence { bytes: [0; BEFORE_BYTES + AFTER_BYTES], before: 0, after: 0, is_open: false, lengths: 0 };
        if before.is_empty() && after.is_empty() {
            return 0;
        }
        if self.slots.is_empty() {
            self.slots = vec![NOTHING; Self::SLOTS];
        }
        let slot = nearest(before, after) & (self.slots.len() - 1);
        let Some(known) = self.slots.get_mut(slot) else { return listen() };
        let is_known = known.is_open == is_open
            && part(&known.bytes, 0, known.before) == before
            && part(&known.bytes, known.before, known.before + known.after) == after;
        if !is_known {
            let length = before.len() + after.len();
            let Some((to, behind)) =
                known.bytes.get_mut(..length).and_then(|bytes| bytes.split_at_mut_checked(before.len()))
            else {
                return listen();
            };
            to.copy_from_slice(before);
            behind.copy_from_slice(after);
            (known.before, known.after, known.is_open) = (before.len(), after.len(), is_open);
            known.lengths = listen();
        }
        known.lengths
    }
}

/// A number for what stands nearest to a candidate.
fn nearest(before: &[u8], after: &[u8]) -> usize {
    let mix = |seed: u64, eight: u64| (seed ^ eight).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    let seed = (before.len() << 8 | after.len()) as u64;
    let seed = before.last_chunk::<16>().map_or(seed, |last| {
        let (eights, _) = last.as_chunks::<8>();
        eights.iter().fold(seed, |seed, eight| mix(seed, u64::from_le_bytes(*eight)))
    });
    (mix(seed, after.first_chunk::<8>().map_or(0, |first| u64::from_le_bytes(*first))) >> 32) as usize
}

impl Speech {
    const fn and(self, other: Self) -> Self {
        Self {
            alone: self.alone || other.alone,
            begins: self.begins || other.begins,
            goes_on: self.goes_on || other.goes_on,
            lengths: self.lengths | other.lengths,
        }
    }
}

/// A number for the first letters of a word of `length`, whatever their case.
#[inline]
fn beginning(first: &[u8; BEGINNING], length: usize) -> usize {
    let letters = (u32::from_le_bytes(*first) | 0x2020_2020) & (u32::MAX >> (8 * BEGINNING.saturating_sub(length)));
    (letters.wrapping_mul(0x85eb_ca6b) >> (u32::BITS - BEGINNING_BITS)) as usize
}

/// The first `length` of `bytes` in lower case, as numbers.
fn key(bytes: &[u8; KEY_BYTES], length: usize) -> [u64; KEY_BYTES / 8] {
    let (chunks, _) = bytes.as_chunks::<8>();
    let mut key = [0; KEY_BYTES / 8];
    let mut left = length;
    for (to, chunk) in key.iter_mut().zip(chunks) {
        if left == 0 {
            break;
        }
        let taken = left.min(8);
        *to = lower(u64::from_le_bytes(*chunk) & u64::MAX >> (64 - 8 * taken));
        left -= taken;
    }
    key
}

/// Eight bytes with small ASCII letters for capital ones.
const fn lower(bytes: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    let low = bytes & (0x7f * EACH);
    // The highest bit of each byte says whether it is at least `A`, and whether it is behind `Z`.
    let from = low.wrapping_add((0x80 - b'A' as u64) * EACH);
    let behind = low.wrapping_add((0x7f - b'Z' as u64) * EACH);
    let capital = (from ^ behind) & !bytes & (0x80 * EACH);
    bytes | capital >> 2
}

fn hash(key: [u64; KEY_BYTES / 8]) -> usize {
    let [first, second, third] = key;
    let mixed = (first ^ second.rotate_left(23) ^ third.rotate_left(41)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    usize::try_from(mixed >> 40).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `§` marks the candidate.
    fn check(marked: &str, expected_before: &str, expected_after: &str) {
        let place = marked.find('§').unwrap();
        let text = marked.replace('§', "");
        let show = |range: Range<usize>| text.get(range).unwrap().to_owned();
        assert_eq!(show(before(text.as_bytes(), place, 0)), expected_before, "{marked}");
        assert_eq!(show(after(text.as_bytes(), place)), expected_after, "{marked}");
    }

    #[test]
    fn a_sentence_ends_where_the_next_begins() {
        check("Done. Two three §four five. Six", " Two three ", "four five");
        check("No. §12", "No. ", "12");
        check("a line\nanother §one\nmore", "another ", "one");
        check("Phone:\n  §12", "Phone:\n  ", "12");
        check("a b\nPhone:\n\n§12", "\n", "12");
        check(r#"{"a":"b §c","d":1}"#, r#"{"a":"b "#, "c");
        let long = "word ".repeat(60);
        let end = long.len();
        check(&format!("{long}§{long}"), long.get(end - BEFORE_BYTES..).unwrap(), long.get(..AFTER_BYTES).unwrap());
    }

    fn heard(text: &str, candidate: &str) -> u64 {
        let heard = Heard::new(
            [("run", 1 << 9), ("tax id", 1 << 11), ("steueridentifikationsnummern", 2), ("adóazonosító", 4)]
                .into_iter(),
        );
        let start = text.find(candidate).unwrap();
        let mut listened = Listened::default();
        let first = heard.around(text.as_bytes(), start, start + candidate.len(), 0, &mut listened);
        assert_eq!(first, heard.around(text.as_bytes(), start, start + candidate.len(), 0, &mut listened));
        first
    }

    #[test]
    fn whole_words_and_phrases_are_heard_with_their_lengths() {
        for (text, expected) in [
            ("the log of RUN 123 and", 1 << 9),
            ("the runs 123", 1 << 9),
            ("RUN2 123", 1 << 9),
            ("taxIds 123", 1 << 11),
            ("TAXID 123", 1 << 11),
            ("the runes 123", 0),
            ("lastRun: 123", 1 << 9),
            ("tax 123 id", 0),
            ("tax id 123", 1 << 11),
            ("123 is the taxId", 1 << 11),
            ("run away. Then 123", 0),
            ("Steueridentifikationsnummern 123", 2),
            ("ADÓAZONOSÍTÓ 123", 4),
        ] {
            assert_eq!(heard(text, "123"), expected, "{text}");
        }
        assert_eq!(heard("tax id 9", "id 9"), u64::MAX);
    }
}
