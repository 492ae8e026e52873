//! The sentence around a candidate: where it begins and ends, and whether a word of it speaks for an identifier.
//!
//! Most words speak for nothing. That is told here from sets of positions, before the words are taken out for a judge.

use std::ops::Range;

use wide::u8x16;

use super::bytes::{at, part};
use super::identifier::NUMBERS;
use super::masks::BLOCK;
use super::words::lower as lower_letters;

/// How far words are looked for before a candidate.
pub(super) const BEFORE_BYTES: usize = 96;

/// How far words are looked for after a candidate.
pub(super) const AFTER_BYTES: usize = 48;

/// The bytes of a window, with zeros behind them, so that any word can be taken whole: more than a key.
const ROOM: usize = 2 * BLOCK;

/// The longest word that is compared as numbers.
const KEY_BYTES: usize = 24;

/// Some bytes of a text, and where in them which stand.
struct Window {
    bytes: [u8; ROOM],
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

impl Window {
    /// The bytes from `start` to `end`, at most [`BEFORE_BYTES`], that are not before `from`.
    fn new(text: &[u8], start: usize, end: usize, from: usize) -> Self {
        let mut bytes = [0; ROOM];
        let near = part(text, start, end.min(start + BEFORE_BYTES));
        if let Some(room) = bytes.get_mut(..near.len()) {
            room.copy_from_slice(near);
        }
        let (blocks, _) = bytes.as_chunks::<BLOCK>();
        let mut sets = [[0_u128; 8]; 2];
        for (block, sets) in blocks.iter().zip(&mut sets).take(near.len().div_ceil(BLOCK)) {
            *sets = Self::block(block).map(u128::from);
        }
        let [low, high] = sets;
        let [digit, lower, newline, quote, space, stop, upper, word] =
            std::array::from_fn(|set| at_or(&low, set) | at_or(&high, set) << BLOCK);
        let mut window =
            Self { bytes, base: start, digit, lower, newline, quote, stop: stop & space >> 1, upper, word };
        window.keep(u128::MAX.checked_shl(shift(from.saturating_sub(start))).unwrap_or(0));
        window
    }

    /// Where in a block which stand, in the order of the alphabet.
    #[inline]
    fn block(block: &[u8; BLOCK]) -> [u64; 8] {
        let mut sets = [0; 8];
        let (lanes, _) = block.as_chunks::<16>();
        for (lane, bytes) in lanes.iter().enumerate() {
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
                *set |= u64::from(bits.to_bitmask()) << (16 * lane);
            }
        }
        sets
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

    /// The words, split where their spelling changes, as places in `bytes`.
    fn words(&self) -> impl Iterator<Item = (usize, usize)> {
        let small_behind = (self.digit | self.upper) << 1 & self.lower >> 1;
        let split = self.upper & (self.lower << 1 | small_behind);
        let mut starts = self.word & !(self.word << 1) | split;
        let ends = self.word & !(self.word >> 1) | split >> 1;
        std::iter::from_fn(move || {
            let start = starts.trailing_zeros();
            let end = (ends & u128::MAX.checked_shl(start)?).trailing_zeros() + 1;
            starts &= starts - 1;
            Some((start as usize, end as usize))
        })
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
    let window = Window::new(text, place.saturating_sub(BEFORE_BYTES), place, from);
    from.max(window.base).max(start(&window, place))..place
}

/// Where the sentence starts that `window` ends in, whose last byte is the one before `place`.
fn start(window: &Window, place: usize) -> usize {
    let mut left = window.newline | window.stop;
    let mut lines = 0;
    while let Some(bit) = left.checked_ilog2() {
        left ^= 1 << bit;
        let index = bit as usize;
        let behind = window.base + index + 1;
        if window.newline >> bit & 1 == 1 {
            // A label may have its value on the next line.
            let is_label = |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b'>' | b'-' | b'*' | b'|');
            if lines > 0 || !part(&window.bytes, index + 1, place - window.base).iter().all(is_label) {
                return behind;
            }
            lines += 1;
        } else if !is_abbreviation(&window.bytes, index, window.word) {
            return behind;
        }
    }
    window.base
}

/// `no.`, `Nr.`, `St.`: a dot that ends no sentence.
fn is_abbreviation(bytes: &[u8], dot: usize, kept: u128) -> bool {
    let is_letter = |place: &usize| at(bytes, *place).is_ascii_alphabetic() && kept >> *place & 1 == 1;
    (1..=3).contains(&(dot.saturating_sub(4)..dot).rev().take_while(is_letter).count())
}

/// The sentence or line after `place`.
pub(super) fn after(text: &[u8], place: usize) -> Range<usize> {
    let window = Window::new(text, place, text.len().min(place + AFTER_BYTES), place);
    place..end(&window, text.len())
}

/// Where the sentence ends that `window` starts with.
fn end(window: &Window, text_end: usize) -> usize {
    let ends = window.newline | window.quote | window.stop;
    (window.base + AFTER_BYTES.min(ends.trailing_zeros() as usize)).min(text_end)
}

/// The words that speak for identifiers.
#[derive(Debug)]
pub(super) struct Heard {
    slots: Vec<Word>,
    /// Those that are too long for a slot, in lower case.
    long: Vec<(String, Speech)>,
    /// How long the words are that begin with two letters, a bit for each length.
    lengths: Vec<u32>,
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
        let mut heard = Self { slots: vec![Word::default(); size], long: Vec::new(), lengths: vec![0; 32 * 32] };
        for (word, speech) in words {
            let length = word.len();
            if length > KEY_BYTES {
                heard.long.push((word, speech));
                continue;
            }
            let mut bytes = [0; KEY_BYTES];
            for (to, byte) in bytes.iter_mut().zip(word.bytes()) {
                *to = byte;
            }
            let key = key(&bytes, length);
            // Behind one letter may be anything.
            let (first, second) = (at(&bytes, 0), at(&bytes, 1));
            for second in if length == 1 { 0..=31 } else { second..=second } {
                if let Some(lengths) = heard.lengths.get_mut(letters(&[first, second])) {
                    *lengths |= 1 << length;
                }
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
    pub(super) fn around(&self, text: &[u8], start: usize, end: usize, from: usize) -> u64 {
        let mut before = Window::new(text, start.saturating_sub(BEFORE_BYTES), start, from);
        let first = self::start(&before, start).saturating_sub(before.base);
        before.keep(u128::MAX.checked_shl(shift(first)).unwrap_or(0));
        let mut after = Window::new(text, end, text.len().min(end + AFTER_BYTES), end);
        after.keep((1 << (self::end(&after, text.len()) - end)) - 1);
        self.lengths(&before, at(text, start).is_ascii_alphabetic()) | self.lengths(&after, false)
    }

    /// The same of a name.
    pub(super) fn name(&self, text: &[u8], name: &Range<usize>) -> u64 {
        if name.len() > BEFORE_BYTES {
            return u64::MAX;
        }
        self.lengths(&Window::new(text, name.start, name.end, name.start), false)
    }

    #[inline]
    fn lengths(&self, window: &Window, is_open: bool) -> u64 {
        let mut lengths = 0;
        let mut last = Speech::default();
        let strange = window.word & !(window.digit | window.lower | window.upper);
        for (start, end) in window.words() {
            let speech = if strange == 0 || part(&window.bytes, start, end).is_ascii() {
                self.several(&window.bytes, start, end)
            } else {
                self.strange(part(&window.bytes, start, end))
            };
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

    /// What a word speaks for whose letters are not all ASCII.
    #[inline(never)]
    fn strange(&self, word: &[u8]) -> Speech {
        let mut bytes = [0; ROOM];
        if let Some(room) = bytes.get_mut(..word.len()) {
            room.copy_from_slice(word);
            room.make_ascii_lowercase();
            lower_letters(room);
        }
        self.several(&bytes, 0, word.len())
    }

    /// What a word speaks for, itself or as several of one, or the first of them: `ibans`, `street1`.
    #[inline]
    fn several(&self, bytes: &[u8; ROOM], start: usize, end: usize) -> Speech {
        let speech = self.speech(bytes, start, end);
        if end - start > 1 && matches!(at(bytes, end - 1), b's' | b'S' | b'0'..=b'9') {
            return speech.and(self.speech(bytes, start, end - 1));
        }
        speech
    }

    #[inline]
    fn speech(&self, bytes: &[u8; ROOM], start: usize, end: usize) -> Speech {
        let length = end - start;
        let Some(word) = bytes.get(start..).and_then(|rest| rest.first_chunk::<KEY_BYTES>()) else {
            return Speech::default();
        };
        if length > KEY_BYTES {
            let word = part(bytes, start, end);
            let known = self.long.iter().filter(|(known, _)| word.eq_ignore_ascii_case(known.as_bytes()));
            return known.fold(Speech::default(), |speech, (_, more)| speech.and(*more));
        }
        let lengths = word.first_chunk::<2>().and_then(|first| self.lengths.get(letters(first)));
        if lengths.is_none_or(|lengths| lengths >> length & 1 == 0) {
            return Speech::default();
        }
        let key = key(word, length);
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

/// The first two letters of a word, whatever their case, as one of 1,024.
fn letters(word: &[u8; 2]) -> usize {
    let [first, second] = word.map(|letter| usize::from(letter & 31));
    first << 5 | second
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
        heard.around(text.as_bytes(), start, start + candidate.len(), 0)
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
