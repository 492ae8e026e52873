//! Words: of names, and around candidates. Lower case, split where spelling changes, whole words only.

use super::bytes::{at, part};

/// The most words of one name or sentence that are looked at.
pub(super) const WORDS: usize = 10;

const BYTES: usize = 96;

/// The longest word that a vocabulary can hold.
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
        *end = u8::try_from(from + word.len()).unwrap_or(u8::MAX);
        self.count += 1;
        true
    }

    fn end(&self) -> usize {
        self.count.checked_sub(1).map_or(0, |last| self.ends.get(last).copied().map_or(0, usize::from))
    }

    /// The words, and how many of them there are.
    pub(super) fn list(&self) -> List<'_> {
        let mut list = List { words: [""; WORDS], count: 0 };
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

/// A short word as numbers: equal where the words are, so that looking one up compares no text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Key([u64; KEY / 8]);

impl Key {
    /// The key of a word of 1 to 24 bytes.
    #[inline]
    pub(super) fn of(word: &[u8]) -> Option<Self> {
        if word.is_empty() || word.len() > KEY {
            return None;
        }
        let (chunks, rest) = word.as_chunks::<8>();
        let mut key = [0; KEY / 8];
        for (to, chunk) in key.iter_mut().zip(chunks) {
            *to = u64::from_le_bytes(*chunk);
        }
        if let Some(to) = key.get_mut(chunks.len()) {
            *to = rest.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
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
pub(super) struct Interest(u8);

impl Interest {
    pub(super) const NONE: Self = Self(0);
    pub(super) const SECRET: Self = Self(1);
    pub(super) const IDENTIFIER: Self = Self(2);
    /// Says nothing itself (`number`, `value`): the names around it may.
    pub(super) const GENERIC: Self = Self(4);

    pub(super) const fn has(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    pub(super) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    pub(super) fn is_none(self) -> bool {
        self == Self::NONE
    }
}

/// The words that matter, for one look each.
#[derive(Debug)]
pub(super) struct Vocabulary {
    slots: Vec<(Key, Interest)>,
}

impl Vocabulary {
    pub(super) fn new<'w>(words: impl Iterator<Item = (&'w str, Interest)>) -> Self {
        let words: Vec<(Key, Interest)> =
            words.filter_map(|(word, interest)| Some((Key::of(word.as_bytes())?, interest))).collect();
        let size = (words.len() * 4).next_power_of_two().max(16);
        let mut slots = vec![(Key::default(), Interest::NONE); size];
        for (key, interest) in words {
            let mut place = key.hash() & (size - 1);
            while let Some(slot) = slots.get_mut(place) {
                if slot.0 == key || slot.1.is_none() {
                    *slot = (key, slot.1.and(interest));
                    break;
                }
                place = (place + 1) & (size - 1);
            }
        }
        Self { slots }
    }

    /// Whom one word in lower case interests. A number at its end does not matter: `password2`.
    pub(super) fn word(&self, word: &[u8]) -> Interest {
        let found = self.exact(word);
        if !found.is_none() || !word.last().is_some_and(u8::is_ascii_digit) {
            return found;
        }
        let letters = word.iter().rposition(|byte| !byte.is_ascii_digit()).map_or(0, |last| last + 1);
        self.exact(part(word, 0, letters))
    }

    fn exact(&self, word: &[u8]) -> Interest {
        let Some(key) = Key::of(word) else { return Interest::NONE };
        let mask = self.slots.len() - 1;
        let mut place = key.hash() & mask;
        while let Some((slot, interest)) = self.slots.get(place) {
            if interest.is_none() {
                break;
            }
            if *slot == key {
                return *interest;
            }
            place = (place + 1) & mask;
        }
        Interest::NONE
    }

    /// Whom a name interests, by its words.
    pub(super) fn name(&self, name: &[u8]) -> Interest {
        let words = Words::of(name);
        let mut interest = Interest::NONE;
        let mut from = 0;
        for end in words.ends.iter().take(words.count) {
            let end = usize::from(*end);
            interest = interest.and(self.word(part(&words.bytes, from, end)));
            from = end;
        }
        interest
    }
}

/// Names that were looked up a moment ago: objects in a list have the same ones.
pub(super) struct Recent {
    slots: [[(Key, Interest); 2]; Self::SLOTS],
}

impl Recent {
    const SLOTS: usize = 128;

    pub(super) const fn new() -> Self {
        Self { slots: [[(Key([0; KEY / 8]), Interest::NONE); 2]; Self::SLOTS] }
    }

    #[inline]
    pub(super) fn name(&mut self, vocabulary: &Vocabulary, name: &[u8]) -> Interest {
        let Some(key) = Key::of(name) else { return vocabulary.name(name) };
        let Some([newer, older]) = self.slots.get_mut(key.hash() % Self::SLOTS) else { return Interest::NONE };
        if newer.0 != key {
            if older.0 != key {
                *older = (key, vocabulary.name(name));
            }
            std::mem::swap(newer, older);
        }
        newer.1
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
            [("licence", Interest::IDENTIFIER), ("password", Interest::SECRET), ("password", Interest::IDENTIFIER)]
                .into_iter(),
        );
        assert!(vocabulary.name(b"driverLicence").has(Interest::IDENTIFIER));
        assert!(vocabulary.name(b"password2").has(Interest::SECRET));
        assert!(vocabulary.name(b"PASSWORD").has(Interest::IDENTIFIER));
        assert!(vocabulary.name(b"duplicence").is_none());
        assert!(vocabulary.name(b"").is_none());
        let mut recent = Recent::new();
        assert_eq!(recent.name(&vocabulary, b"licence"), recent.name(&vocabulary, b"licence"));
    }
}
