//! Looks for own classes in a text from which forms and escapes were taken away.
//!
//! What is found depends on the text near it alone, so that it does not matter how the text is divided.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasherDefault;
use std::ops::Range;

use siphasher::sip::SipHasher13;

use super::index::{ALONE_LETTERS_MIN, Cell};
use super::words::{GAP_BYTES_MAX, Word, Words, letters};
use super::{ByValues, Own, OwnClasses, Searched};
use crate::classify::detect::{Evidence, Kind};
use crate::limits::{OWN_NEAR_BYTES, OWN_VALUE_BYTES_MAX};

/// How far around what is looked at words are seen: those of the longest value and what stands between them, and those that must stand near.
const REACH_BYTES: usize = OWN_NEAR_BYTES + OWN_VALUE_BYTES_MAX * (1 + GAP_BYTES_MAX);

/// What the look at one candidate costs, in units of work; the hash of one value; a KiB of a pattern's search.
const LOOK_WORK: usize = 8;
const HASH_WORK: usize = 256;
const SEARCH_WORK: usize = 512;

/// Something of an own class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in super::super) struct Match {
    pub(in super::super) end: usize,
    pub(in super::super) evidence: Evidence,
    pub(in super::super) kind: &'static Kind,
    pub(in super::super) score: u8,
    pub(in super::super) start: usize,
}

/// Keywords and words that must stand near, in the one spelling.
#[derive(Debug)]
pub(super) struct Phrases {
    /// How two bytes may begin one: most words of a text are told by that.
    beginnings: Vec<u64>,
    lengths: u128,
    /// The operator's own texts, so that nobody else can make their hashes meet.
    of: HashMap<Box<[u8]>, Phrase, BuildHasherDefault<SipHasher13>>,
}

#[derive(Debug, Default)]
struct Phrase {
    keyword_of: Vec<usize>,
    near_of: Vec<usize>,
}

impl Default for Phrases {
    fn default() -> Self {
        Self { beginnings: vec![0; 1 << 10], lengths: 0, of: HashMap::default() }
    }
}

impl Phrases {
    pub(super) fn keyword(&mut self, plain: &[u8], class: usize) {
        self.phrase(plain).keyword_of.push(class);
    }

    pub(super) fn near(&mut self, plain: &[u8], class: usize) {
        self.phrase(plain).near_of.push(class);
    }

    fn phrase(&mut self, plain: &[u8]) -> &mut Phrase {
        self.lengths |= 1_u128.checked_shl(u32::try_from(plain.len()).unwrap_or(u32::MAX)).unwrap_or_default();
        let (word, bit) = beginning(plain);
        if let Some(word) = self.beginnings.get_mut(word) {
            *word |= bit;
        }
        self.of.entry(plain.into()).or_default()
    }

    fn may_begin(&self, plain: &[u8]) -> bool {
        let (word, bit) = beginning(plain);
        self.beginnings.get(word).is_some_and(|word| word & bit != 0)
    }

    fn has_length(&self, bytes: usize) -> bool {
        bytes <= OWN_VALUE_BYTES_MAX && self.lengths >> bytes & 1 == 1
    }
}

/// The longest of the lengths that have a bit each.
fn longest(lengths: u128) -> usize {
    lengths.checked_ilog2().map_or(0, |length| length as usize)
}

/// Where the bit of the first two bytes stands.
fn beginning(plain: &[u8]) -> (usize, u64) {
    let [first, second] = plain.first_chunk().copied().unwrap_or_default();
    (usize::from(first) << 2 | usize::from(second) >> 6, 1 << (second & 63))
}

/// What was found before it is held to what must stand near.
#[derive(Default)]
struct Seen {
    /// Where words of `near` are, by class.
    near: BTreeMap<usize, Vec<Range<usize>>>,
    keywords: Vec<(usize, Range<usize>)>,
    /// By index.
    values: Vec<Vec<(Range<usize>, Cell, bool)>>,
}

impl OwnClasses {
    /// What starts in `own` of `text`. `spend` takes units of work, and says whether there is more of it: where there is not, the look ends.
    pub(in super::super) fn look(
        &self,
        text: &[u8],
        own: Range<usize>,
        spend: &mut dyn FnMut(usize) -> bool,
    ) -> Vec<Match> {
        let seen = self.seen(text, &own, spend);
        let mut found = Vec::new();
        let mut keep = |number: usize, range: Range<usize>, score: u8, evidence: Evidence| {
            let Some(class) = self.classes.get(number).filter(|_| own.contains(&range.start)) else { return };
            let (score, evidence) = match class.has_near {
                true if !seen.has_near(number, &range) => return,
                true => (score.max(90), evidence.and(Evidence::WORDS)),
                false => (score, evidence),
            };
            found.push(Match { end: range.end, evidence, kind: class.kind, score, start: range.start });
        };
        for (number, range) in &seen.keywords {
            keep(*number, range.clone(), 90, Evidence::KEYWORD);
        }
        for (searched, values) in self.indexes.iter().zip(&seen.values) {
            for by in &searched.classes {
                for range in rows(by, values, spend) {
                    keep(by.class, range, 95, Evidence::INDEXED);
                }
            }
        }
        for (number, class) in self.classes.iter().enumerate() {
            for range in class.patterns(text, &own, spend) {
                keep(number, range, if class.check.is_some() { 90 } else { 75 }, Evidence::SHAPE);
            }
        }
        found
    }

    /// Keywords and values in `own` and around it.
    fn seen(&self, text: &[u8], own: &Range<usize>, spend: &mut dyn FnMut(usize) -> bool) -> Seen {
        let mut seen = Seen { values: self.indexes.iter().map(|_| Vec::new()).collect(), ..Seen::default() };
        if self.indexes.is_empty() && self.phrases.of.is_empty() {
            return seen;
        }
        let range = own.start.saturating_sub(REACH_BYTES)..text.len().min(own.end + REACH_BYTES);
        if !spend(range.len() / 4) {
            return seen;
        }
        let words = Words::of(text, range);
        let mut rest = words.list();
        while let Some((first, behind)) = rest.split_first() {
            if !self.begins(text, &words, first, behind, &mut seen, spend) {
                break;
            }
            rest = behind;
        }
        seen
    }

    /// What begins with the word `first`; says whether there is work left.
    fn begins(
        &self,
        text: &[u8],
        words: &Words,
        first: &Word,
        behind: &[Word],
        seen: &mut Seen,
        spend: &mut dyn FnMut(usize) -> bool,
    ) -> bool {
        let (mut last, mut gap) = (first, Gap::Inside);
        let mut next = behind.iter();
        let mut work = LOOK_WORK / 2;
        // How long what begins here may be at the most.
        let phrase_max = if self.phrases.may_begin(words.behind(first)) { longest(self.phrases.lengths) } else { 0 };
        let values = self.indexes.iter().filter(|_| first.is_first);
        let value_max = values.map(|searched| longest(searched.index.lengths())).max().unwrap_or_default();
        loop {
            let plain = words.plain(first, last);
            if plain.len() > phrase_max.max(value_max) {
                break;
            }
            if plain.len() <= phrase_max && self.phrases.has_length(plain.len()) {
                work += LOOK_WORK;
                if let Some(phrase) = self.phrases.of.get(plain) {
                    let range = first.start..last.end;
                    seen.keywords.extend(phrase.keyword_of.iter().map(|class| (*class, range.clone())));
                    for class in &phrase.near_of {
                        seen.near.entry(*class).or_default().push(range.clone());
                    }
                }
            }
            if plain.len() <= value_max && last.is_last && gap == Gap::Inside {
                for (Searched { index, .. }, values) in self.indexes.iter().zip(&mut seen.values) {
                    if !index.has_length(plain.len()) {
                        continue;
                    }
                    work += LOOK_WORK;
                    if index.may_have(plain) {
                        work += HASH_WORK;
                        let is_long = letters(plain) >= ALONE_LETTERS_MIN;
                        values.extend(index.cells(plain).map(|cell| (first.start..last.end, cell, is_long)));
                    }
                }
            }
            let Some(following) = next.next() else { break };
            gap = gap.max(Gap::of(text, last.end, following.start));
            if gap == Gap::Between {
                break;
            }
            last = following;
        }
        spend(work)
    }
}

/// What stands between two words.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Gap {
    /// What may stand in a value: spaces, dashes, dots.
    Inside,
    /// What may stand between the words of a keyword: the end of a line, a comma, a sign.
    Apart,
    /// More than that.
    Between,
}

impl Gap {
    /// What stands from `start` to `end` of `text`, between two words.
    fn of(text: &[u8], start: usize, end: usize) -> Self {
        let gap = text.get(start..end).unwrap_or_default();
        let is_inside = |byte: &u8| {
            matches!(byte, b' ' | b'-' | b'.' | b'/' | b'_' | b'@' | b'\'' | b'+' | b'(' | b')' | b'&' | b'#' | 0x80..)
        };
        let is_digit = |place: Option<usize>| {
            place.and_then(|place| text.get(place)).is_some_and(|byte| byte.is_ascii_digit() || *byte == b'-')
        };
        match gap {
            gap if gap.len() > GAP_BYTES_MAX => Self::Between,
            gap if gap.iter().all(is_inside) => Self::Inside,
            // Two values of JSON or of a table are two values.
            gap if memchr::memchr2(b'"', b'\t', gap).is_some() => Self::Between,
            [b',', behind, ..] => match (behind, is_digit(start.checked_sub(1)) && is_digit(Some(end))) {
                (_, true) => Self::Between,
                (b' ', false) if gap.len() == 2 => Self::Inside,
                (b' ' | b'\r' | b'\n', false) => Self::Apart,
                _ => Self::Between,
            },
            [b','] => Self::Between,
            _ => Self::Apart,
        }
    }
}

impl Seen {
    /// Whether a word that must stand near what is at `range` does, and is no part of that.
    fn has_near(&self, class: usize, range: &Range<usize>) -> bool {
        self.near.get(&class).is_some_and(|words| {
            words.iter().any(|word| {
                let is_before = word.end <= range.start && range.start - word.end <= OWN_NEAR_BYTES;
                is_before || word.start >= range.end && word.start - range.end <= OWN_NEAR_BYTES
            })
        })
    }
}

impl Own {
    /// What matches the pattern and its check, and begins in `own`.
    fn patterns(&self, text: &[u8], own: &Range<usize>, spend: &mut dyn FnMut(usize) -> bool) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        let Some(pattern) = &self.pattern else { return found };
        let text = text.get(..text.len().min(own.end + crate::limits::OWN_MATCH_BYTES_MAX + 1)).unwrap_or_default();
        if !spend(own.len() / 1024 * SEARCH_WORK + LOOK_WORK) {
            return found;
        }
        let mut from = own.start;
        while let Some((start, end)) = pattern.find(text, from).filter(|(start, _)| *start < own.end) {
            from = end.max(start + 1);
            if !spend(LOOK_WORK + (end - start)) {
                break;
            }
            if self.check.is_none_or(|check| passes(check, text.get(start..end).unwrap_or_default())) {
                found.push(whole(text, start)..whole_end(text, end));
            }
        }
        found
    }
}

/// Whether `value` passes the check: its letters and digits, or its digits alone, in upper case.
fn passes(check: fn(&str) -> bool, value: &[u8]) -> bool {
    let of = |is: fn(&u8) -> bool| -> String {
        value.iter().filter(|byte| is(byte)).map(|byte| char::from(byte.to_ascii_uppercase())).collect()
    };
    let digits = of(u8::is_ascii_digit);
    digits.len() >= 2 && (check(&of(u8::is_ascii_alphanumeric)) || check(&digits))
}

/// Where the character starts that `place` is in.
fn whole(text: &[u8], mut place: usize) -> usize {
    while place > 0 && text.get(place).is_some_and(|byte| byte & 0xc0 == 0x80) {
        place -= 1;
    }
    place
}

/// Where the character ends that `place` is in.
fn whole_end(text: &[u8], mut place: usize) -> usize {
    while text.get(place).is_some_and(|byte| byte & 0xc0 == 0x80) {
        place += 1;
    }
    place
}

/// Where values are that count: alone, or so many of one row near each other.
fn rows(
    by: &ByValues,
    values: &[(Range<usize>, Cell, bool)],
    spend: &mut dyn FnMut(usize) -> bool,
) -> Vec<Range<usize>> {
    let counts = |cell: &Cell| by.columns >> cell.column & 1 == 1;
    let mut found = Vec::new();
    if by.needs < 2 {
        found.extend(values.iter().filter(|(_, cell, is_long)| counts(cell) && *is_long).map(|(at, ..)| at.clone()));
    } else {
        let mut of_row = BTreeMap::<u32, Vec<(&Range<usize>, u8)>>::new();
        for (range, cell, _) in values.iter().filter(|(_, cell, _)| counts(cell)) {
            of_row.entry(cell.row).or_default().push((range, cell.column));
        }
        for cells in of_row.into_values().filter(|cells| cells.len() >= by.needs) {
            for (place, (first, _)) in cells.iter().enumerate() {
                let near = |(range, _): &&(&Range<usize>, u8)| range.end.saturating_sub(first.start) <= OWN_NEAR_BYTES;
                let together: Vec<_> = cells.iter().skip(place).take_while(near).collect();
                if !spend(LOOK_WORK * (1 + together.len())) {
                    return Vec::new();
                }
                if different(&together) >= by.needs {
                    found.extend(together.iter().map(|(range, _)| (*range).clone()));
                }
            }
        }
    }
    found.sort_unstable_by_key(|range| (range.start, std::cmp::Reverse(range.end)));
    found.dedup();
    found
}

/// How many columns have a value here that is in no other's.
fn different(together: &[&(&Range<usize>, u8)]) -> usize {
    let (mut columns, mut end) = (0_u32, 0);
    for (range, column) in together {
        if range.start >= end && columns >> column & 1 == 0 {
            columns |= 1 << column;
            end = range.end;
        }
    }
    columns.count_ones() as usize
}
