//! The initiator's words: which values they name. Exact, as what follows from it is trust: whole words in their order, and identifiers with or without spaces
//! between their groups.

use super::notes::parts;
use super::spelling::{Groups, compact, normal};
use super::store::{Fingerprint, Form, Mark, Spoken, Store};
use crate::limits::SEEN_INITIATOR_WORDS_MAX;

/// The fewest letters and digits of a word that names something, where it is neither a number nor stands in quotes.
const NAMING_CHARS: usize = 3;

/// What may stand before a word and not belong to it.
const OPENING: [char; 17] = ['"', '\'', '`', '(', '[', '{', '<', '*', '#', '@', '“', '‘', '«', '„', '「', '$', '€'];

/// What may stand behind a word and not belong to it.
const CLOSING: [char; 18] =
    ['"', '\'', '`', ')', ']', '}', '>', '*', '.', ',', ';', ':', '!', '?', '”', '’', '»', '」'];

/// What stands between words without a space.
fn is_joint(character: char) -> bool {
    matches!(
        character,
        ',' | ';'
            | '|'
            | '='
            | '('
            | ')'
            | '['
            | ']'
            | '{'
            | '}'
            | '<'
            | '>'
            | '"'
            | '\''
            | '`'
            | '“'
            | '”'
            | '‘'
            | '’'
            | '«'
            | '»'
    ) || matches!(character, '\u{2e80}'..='\u{a4cf}' | '\u{ac00}'..='\u{d7ff}' | '\u{f900}'..='\u{faff}')
}

impl Store {
    /// Takes the words that the run was started with. What is beyond the bound names nothing.
    pub(super) fn hear(&mut self, text: &str) {
        let text = normal(text);
        let mut groups = Groups::default();
        for word in text.split(' ').filter(|word| !word.is_empty()) {
            if self.spoken.len() >= SEEN_INITIATOR_WORDS_MAX {
                break;
            }
            let first = word.trim_start_matches(OPENING);
            let last = closed(word);
            let bare = closed(first);
            let fingerprint = |text: &str| self.fingerprint(Form::Word, text.as_bytes());
            let spoken = Spoken { raw: fingerprint(word), first: fingerprint(first), last: fingerprint(last) };
            self.speak(spoken);
            let is_quoted = bare.len() < first.len() && first.len() < word.len();
            for one in [word, first, last, bare] {
                self.hear_one(one, is_quoted);
            }
            if word.contains(is_joint) {
                for one in word.split(is_joint).map(closed) {
                    self.hear_one(one, false);
                    self.hear_one(one.trim_start_matches(OPENING), false);
                }
            }
            // Groups of an identifier have nothing but one space between them.
            let group = group_of(bare);
            if group.is_none() || first.len() < word.len() {
                groups.end(|joined| self.hear_group(joined));
            }
            if let Some(group) = &group {
                groups.take(group, |joined| self.hear_group(joined));
            }
            if bare.len() < first.len() {
                groups.end(|joined| self.hear_group(joined));
            }
        }
        groups.end(|joined| self.hear_group(joined));
    }

    fn hear_one(&mut self, word: &str, is_quoted: bool) {
        let word = plain(word);
        let telling = word.chars().filter(|character| character.is_alphanumeric()).count();
        let is_number = telling > 0 && word.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-'));
        if telling >= NAMING_CHARS || is_number || (is_quoted && telling > 0) {
            self.put(Form::Word, word, Mark::Initiator, 0);
            parts(word).for_each(|part| self.put(Form::Part, part, Mark::Initiator, 0));
            if let Some(compact) = compact(word) {
                self.put(Form::Group, &compact, Mark::Initiator, 0);
            }
        }
    }

    fn hear_group(&mut self, joined: &[u8]) {
        self.put_bytes(Form::Group, joined, Mark::Initiator, 0);
    }

    /// Whether the initiator's words contain a whole value, which is in its one spelling.
    pub(super) fn names(&self, normal: &str) -> bool {
        let is_named = |form, text: &str| self.find(form, text).is_some();
        if is_named(Form::Word, plain(normal)) || compact(normal).is_some_and(|text| is_named(Form::Group, &text)) {
            return true;
        }
        let telling = normal.chars().filter(|character| character.is_alphanumeric()).take(NAMING_CHARS).count();
        let words = normal.split(' ').take(self.spoken.len() + 1);
        let words: Vec<Fingerprint> = words.map(|word| self.fingerprint(Form::Word, word.as_bytes())).collect();
        words.len() > 1
            && telling == NAMING_CHARS
            && self.spoken.windows(words.len()).any(|spoken| are_spoken(&words, spoken))
    }
}

/// The letters and digits of a word that may be a group of an identifier: nothing but these, or digits with dashes and brackets.
fn group_of(word: &str) -> Option<Vec<u8>> {
    let group: Vec<u8> = word.bytes().filter(u8::is_ascii_alphanumeric).collect();
    let is_plain = group.len() == word.len();
    let is_number = group.iter().all(u8::is_ascii_digit)
        && word.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'-' | b'(' | b')' | b'+'));
    (!group.is_empty() && (is_plain || is_number)).then_some(group)
}

/// Whether the words stand so in the initiator's: only before the first and behind the last one there may be more.
fn are_spoken(words: &[Fingerprint], spoken: &[Spoken]) -> bool {
    let end = words.len() - 1;
    words.iter().zip(spoken).enumerate().all(|(at, (word, spoken))| {
        *word == spoken.raw || (at == 0 && *word == spoken.first) || (at == end && *word == spoken.last)
    })
}

/// A word without what stands behind it, the `'s` of an owner too.
fn closed(word: &str) -> &str {
    let word = word.trim_end_matches(CLOSING);
    let owner = word.strip_suffix("'s").or_else(|| word.strip_suffix("’s"));
    owner.map_or(word, |owner| owner.trim_end_matches(CLOSING))
}

/// An address of the web without its scheme and the slash at its end, which people leave out; anything else as it is.
fn plain(word: &str) -> &str {
    let word = word.strip_prefix("https://").or_else(|| word.strip_prefix("http://")).unwrap_or(word);
    word.strip_suffix('/').filter(|rest| !rest.is_empty()).unwrap_or(word)
}
