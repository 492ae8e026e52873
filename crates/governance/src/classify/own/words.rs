//! The words of a text in one spelling: letters and digits alone, in lower case, without accents and forms. What is compared is made of one or more of them without
//! what stands between, so that `DE89 3704 0044`, `de89-3704-0044` and `DE8937040044` are one.

use std::ops::Range;

use unicode_normalization::UnicodeNormalization as _;
use unicode_normalization::char::is_combining_mark;

/// A word, or a part of one that begins where spelling changes: `Number` in `employeeNumber`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Word {
    /// Where it ends in the text.
    pub(super) end: usize,
    /// Whether a word begins with it.
    pub(super) is_first: bool,
    /// Whether a word ends with it.
    pub(super) is_last: bool,
    /// Where it ends in the one spelling.
    pub(super) plain_end: usize,
    /// Where it starts in the one spelling.
    pub(super) plain_start: usize,
    /// Where it starts in the text.
    pub(super) start: usize,
}

/// The words of a text.
#[derive(Debug, Default)]
pub(super) struct Words {
    plain: Vec<u8>,
    words: Vec<Word>,
}

/// The longest word that is divided where its spelling changes: names of members and columns are shorter, tokens are not divided.
const PARTED_BYTES_MAX: usize = 64;

/// The most bytes between two words of what is compared.
pub(super) const GAP_BYTES_MAX: usize = 4;

impl Words {
    /// The words of `text` from `range` on that begin in it, those that reach over its start not among them.
    pub(super) fn of(text: &[u8], range: Range<usize>) -> Self {
        let mut words = Self::default();
        let mut place = range.start;
        if in_word(text, place) {
            place = end_of_word(text, place);
        }
        while place < range.end {
            match text.get(place) {
                None => break,
                Some(byte) if byte.is_ascii() => {
                    if byte.is_ascii_alphanumeric() {
                        place = words.word(text, place);
                    } else {
                        place += 1;
                    }
                }
                Some(_) => match character(text, place) {
                    Some(letter) if is_alone(letter) => place = words.alone(letter, place),
                    Some(letter) if letter.is_alphanumeric() => place = words.word(text, place),
                    letter => place += letter.map_or(1, char::len_utf8),
                },
            }
        }
        words
    }

    /// The words.
    pub(super) fn list(&self) -> &[Word] {
        &self.words
    }

    /// The one spelling of what begins with `first` and ends with `last`.
    pub(super) fn plain(&self, first: &Word, last: &Word) -> &[u8] {
        self.plain.get(first.plain_start..last.plain_end).unwrap_or_default()
    }

    /// The one spelling of what begins with `first`, whatever it ends with.
    pub(super) fn behind(&self, first: &Word) -> &[u8] {
        self.plain.get(first.plain_start..).unwrap_or_default()
    }

    fn word(&mut self, text: &[u8], start: usize) -> usize {
        let end = end_of_word(text, start);
        let is_parted = end - start <= PARTED_BYTES_MAX;
        let mut word = Word {
            end: start,
            is_first: true,
            is_last: false,
            plain_start: self.plain.len(),
            plain_end: self.plain.len(),
            start,
        };
        let mut was_lower = false;
        let mut place = start;
        while place < end {
            let byte = text.get(place).copied().unwrap_or_default();
            if byte.is_ascii() {
                if is_parted && was_lower && byte.is_ascii_uppercase() {
                    self.push(Word { end: place, plain_end: self.plain.len(), ..word });
                    word = Word { is_first: false, plain_start: self.plain.len(), start: place, ..word };
                }
                was_lower = byte.is_ascii_lowercase();
                self.plain.push(byte.to_ascii_lowercase());
                place += 1;
            } else {
                let Some(letter) = character(text, place) else { break };
                was_lower = letter.is_lowercase();
                self.letter(letter);
                place += letter.len_utf8();
            }
        }
        self.push(Word { end, is_last: true, plain_end: self.plain.len(), ..word });
        end
    }

    /// A character that is a word by itself.
    fn alone(&mut self, letter: char, start: usize) -> usize {
        let plain_start = self.plain.len();
        self.letter(letter);
        let end = start + letter.len_utf8();
        self.push(Word { end, is_first: true, is_last: true, plain_end: self.plain.len(), plain_start, start });
        end
    }

    fn letter(&mut self, letter: char) {
        for plain in spelled(letter) {
            self.plain.extend_from_slice(plain.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }

    fn push(&mut self, word: Word) {
        if word.plain_start < word.plain_end {
            self.words.push(word);
        }
    }
}

/// The letters and digits of all of `text` in the one spelling.
pub(super) fn plain(text: &str) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    if text.is_ascii() {
        plain.extend(text.bytes().filter(u8::is_ascii_alphanumeric).map(|byte| byte.to_ascii_lowercase()));
    } else {
        for letter in text.chars().filter(|letter| letter.is_alphanumeric()).flat_map(spelled) {
            plain.extend_from_slice(letter.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    plain
}

/// How many letters and digits there are in what is in the one spelling.
pub(super) fn letters(plain: &[u8]) -> usize {
    plain.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
}

/// A letter or digit in the one spelling: without its form and accents (NFKD), in lower case.
fn spelled(letter: char) -> impl Iterator<Item = char> {
    let parts = std::iter::once(letter).nfkd().filter(|part| part.is_alphanumeric());
    parts.flat_map(char::to_lowercase).nfkd().filter(|part| part.is_alphanumeric()).flat_map(|part| match part {
        'ß' => ['s', 's'].into_iter().take(2),
        part => [part, ' '].into_iter().take(1),
    })
}

/// Whether the words of a script stand without spaces, so that each of its characters is taken for one.
fn is_alone(letter: char) -> bool {
    matches!(u32::from(letter), 0x3040..=0x30ff | 0x3400..=0x4dbf | 0x4e00..=0x9fff | 0xf900..=0xfaff | 0x2_0000..=0x3_ffff)
}

fn is_part(letter: char) -> bool {
    !is_alone(letter) && (letter.is_alphanumeric() || is_combining_mark(letter))
}

/// The character at `place`, where one starts there.
fn character(text: &[u8], place: usize) -> Option<char> {
    let length = match text.get(place)? {
        0..=0x7f => 1,
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => return None,
    };
    str::from_utf8(text.get(place..place + length)?).ok()?.chars().next()
}

fn end_of_word(text: &[u8], start: usize) -> usize {
    let mut place = start;
    while let Some(byte) = text.get(place) {
        if byte.is_ascii() {
            if !byte.is_ascii_alphanumeric() {
                break;
            }
            place += 1;
        } else {
            match character(text, place) {
                Some(letter) if is_part(letter) => place += letter.len_utf8(),
                _ => break,
            }
        }
    }
    place
}

/// Whether a word goes on over `place`: what stands before it and behind it is of one.
fn in_word(text: &[u8], place: usize) -> bool {
    let is_of_word = |letter: Option<char>| letter.is_some_and(is_part);
    if text.get(place).is_some_and(|byte| byte & 0xc0 == 0x80) {
        return true;
    }
    let before = (1..=4)
        .filter_map(|back| place.checked_sub(back))
        .find(|start| text.get(*start).is_some_and(|byte| byte & 0xc0 != 0x80));
    is_of_word(character(text, place)) && is_of_word(before.and_then(|start| character(text, start)))
}
