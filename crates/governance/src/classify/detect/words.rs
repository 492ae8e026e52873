//! Words: of names, and around candidates. Lower case, split where spelling changes, whole words only.

use std::ops::Range;

use super::bytes::{at, part};
use super::events::Events;
use super::fold::{Folded, Room};
use super::followers::Followers;
use super::masks::Masks;
use super::sentence::Listened;
use super::split::{Beginnings, COMPANIONS, Piece, Pieces};
use crate::limits::DETECT_DEPTH_MAX;

/// The most words of one name or sentence that are looked at.
pub(super) const WORDS: usize = 10;

const BYTES: usize = 96;

/// How many bytes of a word are compared: all of most words, and the first and the last of longer ones.
const KEY: usize = 24;

/// Some words, in lower case, without an allocation.
#[derive(Clone, Debug)]
pub(super) struct Words {
    bytes: [u8; BYTES],
    ends: [u8; WORDS],
    count: usize,
}

impl Words {
    pub(super) const fn none() -> Self {
        Self { bytes: [0; BYTES], ends: [0; WORDS], count: 0 }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// The words of `text` in their order.
    pub(super) fn of(text: &[u8]) -> Self {
        let mut words = Self::none();
        let mut from = 0;
        while let Some((start, end)) = next_word(text, from) {
            if !words.push(part(text, start, end)) {
                break;
            }
            from = end;
        }
        words
    }

    /// The last words of `text`, the last first.
    pub(super) fn before(text: &[u8]) -> Self {
        let mut words = Self::none();
        let mut to = text.len();
        while let Some((start, end)) = last_word(text, to) {
            if !words.push(part(text, start, end)) {
                break;
            }
            to = start;
        }
        words
    }

    /// Adds `word` where there is room. What is no text is no word.
    fn push(&mut self, word: &[u8]) -> bool {
        if !word.is_ascii() && str::from_utf8(word).is_err() {
            return true;
        }
        let from = self.end();
        let Some(room) = self.bytes.get_mut(from..from + word.len()) else { return false };
        let Some(end) = self.ends.get_mut(self.count) else { return false };
        for (to, byte) in room.iter_mut().zip(word) {
            *to = byte.to_ascii_lowercase();
        }
        if !word.is_ascii() {
            lower(room);
        }
        *end = u8::try_from(from + word.len()).unwrap_or(u8::MAX);
        self.count += 1;
        true
    }

    fn end(&self) -> usize {
        self.count.checked_sub(1).map_or(0, |last| self.ends.get(last).copied().map_or(0, usize::from))
    }

    /// Each of them.
    fn each(&self) -> impl Iterator<Item = &[u8]> {
        let mut from = 0;
        self.ends.iter().take(self.count).map(move |end| {
            let end = usize::from(*end);
            let word = part(&self.bytes, from, end);
            from = end;
            word
        })
    }

    /// The words, and how many of them there are.
    pub(super) fn list(&self) -> List<'_> {
        let mut list = List { words: [""; WORDS], count: 0 };
        if self.count == 0 {
            return list;
        }
        let text = super::bytes::text(part(&self.bytes, 0, self.end()));
        let mut from = 0;
        for end in self.ends.iter().take(self.count) {
            let end = usize::from(*end);
            if let (Some(word), Some(to)) = (text.get(from..end), list.words.get_mut(list.count)) {
                *to = word;
                list.count += 1;
            }
            from = end;
        }
        list
    }
}

/// Words as judges take them.
pub(super) struct List<'w> {
    words: [&'w str; WORDS],
    count: usize,
}

impl<'w> List<'w> {
    pub(super) fn as_slice(&self) -> &[&'w str] {
        self.words.get(..self.count).unwrap_or_default()
    }
}

/// Writes the letters of `word` small that take as many bytes so.
pub(super) fn lower(word: &mut [u8]) {
    let letters: Vec<char> = super::bytes::text(word).chars().collect();
    let mut place = 0;
    for letter in letters {
        let small = letter.to_lowercase().next().unwrap_or(letter);
        if small.len_utf8() == letter.len_utf8()
            && let Some(room) = word.get_mut(place..place + letter.len_utf8())
        {
            small.encode_utf8(room);
        }
        place += letter.len_utf8();
    }
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80
}

/// The first word of `text` at or behind `from`.
fn next_word(text: &[u8], from: usize) -> Option<(usize, usize)> {
    let start = from + part(text, from, text.len()).iter().position(|byte| is_word(*byte))?;
    let mut end = start + 1;
    while end < text.len() && is_word(at(text, end)) && !splits(text, end) {
        end += 1;
    }
    Some((start, end))
}

/// The last word of `text` that ends at or before `to`.
fn last_word(text: &[u8], to: usize) -> Option<(usize, usize)> {
    let end = 1 + part(text, 0, to).iter().rposition(|byte| is_word(*byte))?;
    let mut start = end - 1;
    while start > 0 && is_word(at(text, start - 1)) && !splits(text, start) {
        start -= 1;
    }
    Some((start, end))
}

/// Whether a new word starts at `place` of a run of letters and digits: `taxId`, `TaxID`, `IDNumber`, `oauth2Token`.
fn splits(text: &[u8], place: usize) -> bool {
    let here = at(text, place);
    if !here.is_ascii_uppercase() {
        return false;
    }
    let before = at(text, place.wrapping_sub(1));
    before.is_ascii_lowercase()
        || before.is_ascii_digit() && at(text, place + 1).is_ascii_lowercase()
        || before.is_ascii_uppercase() && at(text, place + 1).is_ascii_lowercase()
}

/// The first bytes of `text`, up to eight, as a number.
#[inline]
fn eight(text: &[u8], length: usize) -> u64 {
    if let Some(bytes) = text.first_chunk::<8>() {
        return u64::from_le_bytes(*bytes);
    }
    // Two halves that overlap, or three bytes that may be the same.
    let four = |place: usize| {
        text.get(place..)
            .and_then(|rest| rest.first_chunk::<4>())
            .map_or(0, |bytes| u64::from(u32::from_le_bytes(*bytes)))
    };
    if length >= 4 {
        return four(0) | four(length - 4) << (8 * (length - 4));
    }
    let byte = |place: usize| u64::from(at(text, place)) << (8 * place);
    byte(0) | byte(1) | byte(2)
}

/// A short word as numbers: equal where the words are, so that looking one up compares no text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Key([u64; KEY / 8]);

impl Key {
    /// The key of a word. Of one that is longer than 24 bytes, its first 16 and its last 8.
    #[inline]
    pub(super) fn of(word: &[u8]) -> Option<Self> {
        if word.is_empty() {
            return None;
        }
        let mut key = [0; KEY / 8];
        if let (true, Some([first, rest @ ..]), Some(last)) =
            (word.len() > KEY, word.first_chunk::<16>().map(|start| start.as_chunks::<8>().0), word.last_chunk::<8>())
        {
            let [second, ..] = rest else { return None };
            return Some(Self([first, second, last].map(|bytes| u64::from_le_bytes(*bytes))));
        }
        for (to, chunk) in key.iter_mut().zip(word.chunks(8)) {
            *to = eight(chunk, chunk.len());
        }
        Some(Self(key))
    }

    #[inline]
    pub(super) fn hash(self) -> usize {
        let [first, second, third] = self.0;
        let mixed = (first ^ second.rotate_left(23) ^ third.rotate_left(41)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        usize::try_from(mixed >> 40).unwrap_or(0)
    }
}

/// Which judges a word matters to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Interest(u16);

impl Interest {
    pub(super) const NONE: Self = Self(0);
    pub(super) const SECRET: Self = Self(1);
    pub(super) const IDENTIFIER: Self = Self(2);
    /// Says nothing itself (`number`, `value`): the names around it may.
    pub(super) const GENERIC: Self = Self(4);
    /// It speaks for an identifier. A value under it is not looked at for that alone.
    pub(super) const HEARD_IDENTIFIER: Self = Self(8);
    /// It may be part of what speaks for a secret.
    pub(super) const HEARD_SECRET: Self = Self(16);
    /// The first of several words that speak for an identifier together.
    pub(super) const BEGINS: Self = Self(32);
    /// One of those that follow it.
    pub(super) const GOES_ON: Self = Self(64);

    /// It may have its name in another member of its object.
    pub(super) const SECOND: Self = Self(128);
    /// It says nothing, but may be written as one with what does: `number` of `siretnumber`.
    pub(super) const COMPANION: Self = Self(256);

    /// Those for which a value is looked at.
    const LOOKED_AT: u16 = Self::SECRET.0 | Self::IDENTIFIER.0 | Self::GENERIC.0;

    /// Those for which a name is looked at.
    const HAS_NAME: u16 = Self::LOOKED_AT | Self::SECOND.0;

    pub(super) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Whether a value under it is not looked at for its name.
    pub(super) const fn is_none(self) -> bool {
        self.0 & Self::LOOKED_AT == 0
    }

    /// Whether nothing has to be asked about it.
    pub(super) const fn is_nothing(self) -> bool {
        self.0 & Self::HAS_NAME == 0
    }

    /// The same, but for secrets.
    pub(super) const fn without_secrets(self) -> Self {
        Self(self.0 & !(Self::SECRET.0 | Self::HEARD_SECRET.0))
    }

    /// Of a name that was not looked up: any judge may hear it.
    pub(super) const fn unknown(self) -> Self {
        Self(self.0 | Self::HEARD_IDENTIFIER.0 | Self::HEARD_SECRET.0)
    }

    /// What judges may hear, without whether it is looked at.
    pub(super) const fn heard(self) -> Self {
        Self(self.0 & !Self::LOOKED_AT)
    }

    /// Whether only the names around can tell.
    pub(super) const fn is_generic(self) -> bool {
        self.0 & Self::LOOKED_AT == Self::GENERIC.0
    }
}

/// The words that matter, for one look each.
#[derive(Debug)]
pub(super) struct Vocabulary {
    /// Of the words that may be written as one with others.
    beginnings: Beginnings,
    slots: Vec<(Key, Interest)>,
    /// What words end in that are heard, whatever stands before it.
    tails: &'static [&'static str],
    /// Which ASCII letters those end in, a bit each.
    tail_ends: u128,
}

impl Vocabulary {
    pub(super) fn new(
        words: impl Iterator<Item = (impl AsRef<str>, Interest)>,
        tails: &'static [&'static str],
    ) -> Self {
        let mut beginnings = Beginnings::new();
        COMPANIONS.iter().for_each(|word| beginnings.add(word.as_bytes()));
        let words: Vec<(Key, Interest)> = words
            .filter_map(|(word, interest)| {
                beginnings.add(word.as_ref().as_bytes());
                Some((Key::of(word.as_ref().as_bytes())?, interest))
            })
            .collect();
        let companions = COMPANIONS.iter().filter_map(|word| Some((Key::of(word.as_bytes())?, Interest::COMPANION)));
        let size = ((words.len() + COMPANIONS.len()) * 4).next_power_of_two().max(16);
        let mut slots = vec![(Key::default(), Interest::NONE); size];
        for (key, interest) in words.into_iter().chain(companions) {
            let mut place = key.hash() & (size - 1);
            while let Some(slot) = slots.get_mut(place) {
                if slot.0 == key || slot.1 == Interest::NONE {
                    *slot = (key, slot.1.and(interest));
                    break;
                }
                place = (place + 1) & (size - 1);
            }
        }
        let ends = tails.iter().filter_map(|tail| tail.as_bytes().last());
        let tail_ends = ends.fold(0, |ends, letter| ends | 1 << (letter & 0x7f));
        Self { beginnings, slots, tails, tail_ends }
    }

    /// Whom one word in lower case interests. A number at its end does not matter: `password2`.
    pub(super) fn word(&self, word: &[u8]) -> Interest {
        let found = self.exact(word);
        if found != Interest::NONE {
            return found;
        }
        let last = word.last().copied().unwrap_or(0);
        // `ibans` and `routingNumbers` are lists of what one of them is.
        if last == b's' && word.len() > 3 {
            let one = self.exact(part(word, 0, word.len() - 1));
            if one != Interest::NONE {
                return one;
            }
        }
        if !last.is_ascii_digit() {
            let is_tail = self.tail_ends >> (last & 0x7f) & 1 == 1
                && self.tails.iter().any(|tail| word.ends_with(tail.as_bytes()));
            return if is_tail { Interest::HEARD_SECRET } else { found };
        }
        let letters = word.iter().rposition(|byte| !byte.is_ascii_digit()).map_or(0, |last| last + 1);
        self.exact(part(word, 0, letters))
    }

    fn exact(&self, word: &[u8]) -> Interest {
        let Some(key) = Key::of(word) else { return Interest::NONE };
        let mask = self.slots.len() - 1;
        let mut place = key.hash() & mask;
        while let Some((slot, interest)) = self.slots.get(place) {
            if *interest == Interest::NONE {
                break;
            }
            if *slot == key {
                return *interest;
            }
            place = (place + 1) & mask;
        }
        Interest::NONE
    }

    /// How a word that is nothing itself is made of others.
    #[inline(never)]
    fn pieces(&self, word: &[u8]) -> Option<Pieces> {
        Pieces::of(word, &self.beginnings, &|piece| match self.exact(piece) {
            found if found.has(Interest::SECRET.and(Interest::IDENTIFIER)) => Piece::Speaks,
            found if found.has(Interest::COMPANION) => Piece::Companion,
            _ => Piece::Unknown,
        })
    }

    /// Whom a word of a name interests: it may be several that are written as one.
    fn word_of_name(&self, word: &[u8]) -> Interest {
        let found = self.word(word);
        if !found.is_none() || found.has(Interest::COMPANION) {
            return found;
        }
        self.pieces(word)
            .map_or(found, |pieces| found.and(Self::all(pieces.words(word).map(|piece| self.exact(piece)))))
    }

    /// The words of `name`, those apart that are written as one.
    pub(super) fn words_of(&self, name: &[u8]) -> Words {
        let written = Words::of(name);
        let mut words = Words::none();
        for word in written.each() {
            let found = self.word(word);
            let pieces = if found.is_none() && !found.has(Interest::COMPANION) { self.pieces(word) } else { None };
            let is_room = match pieces {
                Some(pieces) => pieces.words(word).all(|piece| words.push(piece)),
                None => words.push(word),
            };
            if !is_room {
                break;
            }
        }
        words
    }

    /// Whom a name interests, by its words.
    pub(super) fn name(&self, name: &[u8]) -> Interest {
        if !name.is_ascii() {
            // Letters that are joined otherwise in judges' eyes.
            let words = Words::of(name);
            let interest = Self::all(words.each().map(|word| self.word_of_name(word)));
            return interest.and(Interest::HEARD_IDENTIFIER).and(Interest::HEARD_SECRET);
        }
        if name.iter().any(u8::is_ascii_uppercase) || name.len() > BYTES {
            return Self::all(Words::of(name).each().map(|word| self.word_of_name(word)));
        }
        let words = name.split(|byte| !is_word(*byte)).filter(|word| !word.is_empty());
        Self::all(words.take(WORDS).map(|word| self.word_of_name(word)))
    }

    /// Whom any of the words interests.
    pub(super) fn words(&self, words: &Words) -> Interest {
        Self::all(words.each().map(|word| self.word(word)))
    }

    fn all(words: impl Iterator<Item = Interest>) -> Interest {
        let mut interest = Interest::NONE;
        let mut last = Interest::NONE;
        for found in words {
            // In either order: sentences are read from their end.
            if last.has(Interest::BEGINS) && found.has(Interest::GOES_ON)
                || found.has(Interest::BEGINS) && last.has(Interest::GOES_ON)
            {
                interest = interest.and(Interest::HEARD_IDENTIFIER);
                // Words that say nothing alone: `id number`.
                if last.is_generic() && found.is_generic() {
                    interest = interest.and(Interest::IDENTIFIER);
                }
            }
            interest = interest.and(found);
            last = found;
        }
        interest
    }
}

/// The longest name that is kept.
const NAME_BYTES: usize = 48;

/// A name as numbers, and whom it interests.
#[derive(Clone, Copy, Debug)]
struct Known {
    start: u128,
    end: u128,
    middle: u128,
    length: usize,
    interest: Interest,
}

/// The first bytes of sixteen, by how many.
static STARTS: [u128; 17] = starts();

const fn starts() -> [u128; 17] {
    let mut starts = [0; 17];
    let (_, mut slots) = starts.split_at_mut(1);
    let mut mask = 0xff_u128;
    while let Some((slot, rest)) = slots.split_first_mut() {
        *slot = mask;
        mask = mask << 8 | 0xff;
        slots = rest;
    }
    starts
}

/// Sixteen bytes of `text` from `place` on, with zeros behind its end.
#[inline]
fn sixteen(text: &[u8], place: usize) -> u128 {
    if let Some(bytes) = text.get(place..).and_then(|rest| rest.first_chunk::<16>()) {
        return u128::from_le_bytes(*bytes);
    }
    let mut bytes = [0; 16];
    for (to, byte) in bytes.iter_mut().zip(part(text, place, text.len())) {
        *to = *byte;
    }
    u128::from_le_bytes(bytes)
}

/// A number for a name of `length` that is `mixed` as numbers.
#[inline]
const fn slot(mixed: u128, length: usize) -> usize {
    let mixed = (mixed as u64 ^ ((mixed >> 64) as u64).rotate_left(23)).wrapping_add(length as u64);
    (mixed.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 57) as usize
}

/// Names that were looked up a moment ago: objects in a list have the same ones. And room that texts and masks took, for others.
#[derive(Debug)]
pub(super) struct Recent {
    /// A power of two of them.
    slots: Vec<[Known; 2]>,
    followers: Followers,
    rooms: Vec<Room>,
    /// What the last text took that hid something, and where that started.
    last: Option<(Room, usize)>,
    base: usize,
    masks: Vec<Masks>,
    events: Vec<Events>,
    listened: Listened,
}

impl Recent {
    /// The most pairs of names that are kept.
    const SLOTS_MAX: usize = 128;

    /// How many bytes of a text there are for each name, or more.
    const NAME_EVERY_BYTES: usize = 64;

    /// For a text, or a part of one, that is so long.
    pub(super) fn new(bytes: usize) -> Self {
        const NOTHING: Known = Known { start: 0, end: 0, middle: 0, length: 0, interest: Interest::NONE };
        let slots = (bytes / Self::NAME_EVERY_BYTES).next_power_of_two().min(Self::SLOTS_MAX);
        Self {
            slots: vec![[NOTHING; 2]; slots],
            followers: Followers::new(bytes),
            rooms: Vec::new(),
            last: None,
            base: 0,
            masks: Vec::new(),
            events: Vec::new(),
            listened: Listened::default(),
        }
    }

    /// Which names followed which.
    #[inline(always)]
    pub(super) fn followers(&mut self) -> &mut Followers {
        &mut self.followers
    }

    /// What was heard around candidates.
    pub(super) fn listened(&mut self) -> &mut Listened {
        &mut self.listened
    }

    /// Room for masks.
    pub(super) fn masks(&mut self) -> Vec<Masks> {
        std::mem::take(&mut self.masks)
    }

    /// Room for what they say.
    pub(super) fn events(&mut self) -> Vec<Events> {
        std::mem::take(&mut self.events)
    }

    /// Keeps room for the next ones.
    pub(super) fn keep_masks(&mut self, masks: Vec<Masks>, events: Vec<Events>) {
        self.masks = masks;
        self.events = events;
    }

    /// Says that the next text that is looked at starts at `base`.
    pub(super) fn at(&mut self, base: usize) {
        self.base = base;
    }

    /// Room for a text without what hides its characters. At no depth, the one that the text before it took, and how far behind the start of that it starts.
    pub(super) fn room(&mut self, depth: usize) -> (Room, usize) {
        match self.last.take_if(|_| depth == 0) {
            Some((room, base)) => (room, self.base.checked_sub(base).unwrap_or(usize::MAX)),
            None => (self.rooms.pop().unwrap_or_default(), usize::MAX),
        }
    }

    /// Keeps what a text took, for the one that goes on with it or for any.
    pub(super) fn keep_folded(&mut self, folded: Folded, depth: usize) {
        let room = folded.into_room();
        if depth == 0 {
            self.last = Some((room, self.base));
        } else {
            self.keep_room(room);
        }
    }

    /// Keeps room for any text: as much as there are layers.
    pub(super) fn keep_room(&mut self, room: Room) {
        if self.rooms.len() < DETECT_DEPTH_MAX {
            self.rooms.push(room);
        }
    }

    /// Whom the name that stands at `range` of `text` interests.
    #[inline]
    pub(super) fn name(&mut self, vocabulary: &Vocabulary, text: &[u8], range: &Range<usize>) -> Interest {
        match self.newest(text, range.start, range.end.saturating_sub(range.start)) {
            Some(interest) => interest,
            None => self.other_name(vocabulary, text, range),
        }
    }

    /// The same of a short name, if it is the one that was here last; as most are.
    #[inline(always)]
    pub(super) fn newest(&self, text: &[u8], start: usize, length: usize) -> Option<Interest> {
        let bytes = text.get(start..).and_then(|rest| rest.first_chunk::<16>())?;
        let name = u128::from_le_bytes(*bytes) & STARTS.get(length)?;
        let [newer, _] = self.slots.get(slot(name, length) & (self.slots.len().wrapping_sub(1)))?;
        (newer.start == name && newer.length == length).then_some(newer.interest)
    }

    #[inline(never)]
    fn other_name(&mut self, vocabulary: &Vocabulary, text: &[u8], range: &Range<usize>) -> Interest {
        let length = range.end.saturating_sub(range.start);
        if length == 0 || length > NAME_BYTES {
            return vocabulary.name(part(text, range.start, range.end));
        }
        // Its first and its last bytes, and what is between those.
        let mut start = sixteen(text, range.start);
        let (mut end, mut middle) = (0, 0);
        if length <= 16 {
            start &= STARTS.get(length).copied().unwrap_or(0);
        } else {
            end = sixteen(text, range.end - 16);
            middle = if length > 32 { sixteen(text, range.start + 16) } else { 0 };
        }
        let slot = slot(start ^ end.rotate_left(64) ^ middle, length) & (self.slots.len() - 1);
        let Some([newer, older]) = self.slots.get_mut(slot) else { return Interest::NONE };
        let is = |known: &Known| {
            known.start == start
                && known.length == length
                && (length <= 16 || known.end == end && known.middle == middle)
        };
        if !is(newer) {
            if !is(older) {
                let interest = vocabulary.name(part(text, range.start, range.end));
                *older = Known { start, end, middle, length, interest };
            }
            std::mem::swap(newer, older);
        }
        newer.interest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let words = Words::of(text.as_bytes());
        assert_eq!(words.list().as_slice(), expected, "{text}");
        let mut reversed = expected.to_vec();
        reversed.reverse();
        let words = Words::before(text.as_bytes());
        assert_eq!(words.list().as_slice(), reversed, "{text}");
    }

    #[test]
    fn names_are_split_where_their_spelling_changes() {
        check("customerTaxID", &["customer", "tax", "id"]);
        check("customer-tax-id", &["customer", "tax", "id"]);
        check("Customer Tax ID", &["customer", "tax", "id"]);
        check("IDNumber", &["id", "number"]);
        check("APIKey", &["api", "key"]);
        check("oauth2Token", &["oauth2", "token"]);
        check("zipcodeapiSECRET", &["zipcodeapi", "secret"]);
        check("X-Api-Key", &["x", "api", "key"]);
        check("número", &["número"]);
        check("", &[]);
    }

    #[test]
    fn words_beyond_the_room_are_left() {
        let long = "word ".repeat(40);
        assert_eq!(Words::of(long.as_bytes()).list().as_slice().len(), WORDS);
        let huge = "x".repeat(1000);
        assert!(Words::of(huge.as_bytes()).list().as_slice().is_empty());
    }

    #[test]
    fn a_vocabulary_knows_whole_words_only() {
        let vocabulary = Vocabulary::new(
            [
                ("licence", Interest::IDENTIFIER),
                ("password", Interest::SECRET),
                ("password", Interest::IDENTIFIER),
                ("steueridentifikationsnummer", Interest::IDENTIFIER),
            ]
            .into_iter(),
            &["token"],
        );
        assert!(vocabulary.name(b"driverLicence").has(Interest::IDENTIFIER));
        assert!(vocabulary.name(b"password2").has(Interest::SECRET));
        assert!(vocabulary.name(b"PASSWORD").has(Interest::IDENTIFIER));
        assert!(vocabulary.name(b"duplicence").is_none());
        assert!(vocabulary.name(b"").is_none());
        assert!(vocabulary.name(b"stripetoken").has(Interest::HEARD_SECRET));
        assert!(vocabulary.name(b"stripetokens") == Interest::NONE);
        assert!(vocabulary.name(b"steueridentifikationsnummer").has(Interest::IDENTIFIER));
        assert!(vocabulary.name(b"steueridentifikationsnummern").is_none());
        assert!(vocabulary.name(b"licences").has(Interest::IDENTIFIER));
        assert!(vocabulary.name("\u{411}steueridentifikation".as_bytes()).is_none());
    }

    #[test]
    fn words_are_numbers_byte_by_byte() {
        let text = b"abcdefgh";
        for length in 0..=8 {
            let expected = text[..length].iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
            assert_eq!(eight(&text[..length], length), expected, "{length}");
        }
    }

    #[test]
    fn names_that_are_kept_are_told_apart() {
        let vocabulary = Vocabulary::new([("licence", Interest::IDENTIFIER)].into_iter(), &[]);
        let mut recent = Recent::new(1_000);
        let long = "a_name_that_is_longer_than_sixteen_";
        let names = ["licence", "licences", "licenc", "driver_licence_of_a_person", "driver_licences_of_a_person"]
            .map(str::to_owned)
            .into_iter()
            .chain(["licence", "license", "licence_of_all"].map(|end| format!("{long}{end}")));
        let names: Vec<String> = names.collect();
        for _ in 0..3 {
            for name in &names {
                let text = format!("{{\"{name}\":1}}");
                for text in [text.as_str(), &format!("{text} and more behind it, and more still")] {
                    let found = recent.name(&vocabulary, text.as_bytes(), &(2..2 + name.len()));
                    assert_eq!(found, vocabulary.name(name.as_bytes()), "{name}");
                }
            }
        }
    }
}
