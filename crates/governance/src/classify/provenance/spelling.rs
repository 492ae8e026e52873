//! The spellings in which values are compared: one for what is trusted, which is exact, and coarser ones for what is not.

use std::borrow::Cow;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use unicode_normalization::UnicodeNormalization as _;

use crate::limits::SEEN_IDENTIFIER_CHARS_MAX;
use crate::mission::is_hidden;

/// From how many letters and digits on a text is told from others by these alone. A shorter one is compared as a whole.
pub(super) const TELLING_CHARS: usize = 5;

/// The fewest letters and digits of an identifier that may stand in groups: phone numbers have 8 and more, account numbers more still.
const GROUPED_CHARS_MIN: usize = 8;

/// The fewest characters of a copy in another encoding: those of 9 bytes in base64, of 6 in hexadecimal.
pub(super) const ENCODED_CHARS_MIN: usize = 12;

/// The one spelling of a whole value: compatibility forms resolved (NFKC), in lower case, without invisible characters, one space between words.
pub(super) fn normal(text: &str) -> Cow<'_, str> {
    let is_normal = text.bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_uppercase());
    if is_normal {
        return Cow::Borrowed(text);
    }
    let mut normal = String::with_capacity(text.len());
    let mut is_behind_space = true;
    let mut push = |character: char| {
        let is_space = character.is_whitespace() || character.is_control();
        if is_space && !is_behind_space {
            normal.push(' ');
        } else if !is_space {
            normal.push(character);
        }
        is_behind_space = is_space;
    };
    if text.is_ascii() {
        text.bytes().for_each(|byte| push(char::from(byte.to_ascii_lowercase())));
    } else {
        text.nfkc().filter(|character| !is_hidden(*character)).flat_map(char::to_lowercase).for_each(push);
    }
    if normal.ends_with(' ') {
        normal.pop();
    }
    Cow::Owned(normal)
}

/// What a byte is in a text.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// A letter or digit.
    Alphanumeric,
    /// What may stand inside of a word.
    Inner,
    /// What ends a word.
    Separator,
    /// Part of a character beyond ASCII.
    Wide,
}

const fn kind_of(byte: u8) -> Kind {
    match byte {
        b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z' => Kind::Alphanumeric,
        0..=0x20 | 0x7f => Kind::Separator,
        b'"' | b'\'' | b'`' | b'(' | b')' | b'[' | b']' | b'{' | b'}' | b'<' | b'>' | b',' | b';' | b'|' | b'='
        | b':' => Kind::Separator,
        0x80.. => Kind::Wide,
        _ => Kind::Inner,
    }
}

/// The words of `text`, each as it stands and squeezed: its letters and digits in lower case. What has neither is no word.
pub(super) fn words(text: &str, mut each: impl FnMut(&str, &[u8])) {
    let mut squeezed = Vec::new();
    let (mut start, mut is_wide) = (0, false);
    for (at, byte) in text.bytes().enumerate() {
        match kind_of(byte) {
            Kind::Alphanumeric => squeezed.push(byte.to_ascii_lowercase()),
            Kind::Inner => {}
            Kind::Wide => is_wide = true,
            Kind::Separator => {
                word(text.get(start..at).unwrap_or_default(), &mut squeezed, is_wide, &mut each);
                (start, is_wide) = (at + 1, false);
            }
        }
    }
    word(text.get(start..).unwrap_or_default(), &mut squeezed, is_wide, &mut each);
}

fn word(raw: &str, squeezed: &mut Vec<u8>, is_wide: bool, each: &mut impl FnMut(&str, &[u8])) {
    if is_wide {
        squeezed.clear();
        wide_words(raw, squeezed, each);
    } else if !squeezed.is_empty() {
        each(raw, squeezed);
    }
    squeezed.clear();
}

/// The words of a text with characters beyond ASCII, whose compatibility forms may separate words.
fn wide_words(raw: &str, squeezed: &mut Vec<u8>, each: &mut impl FnMut(&str, &[u8])) {
    let normal = normal(raw);
    let mut start = 0;
    for (at, character) in normal.char_indices() {
        let is_separator = match u8::try_from(character) {
            Ok(byte) if byte.is_ascii() => kind_of(byte) == Kind::Separator,
            _ => !character.is_alphanumeric(),
        };
        if is_separator {
            if !squeezed.is_empty() {
                each(normal.get(start..at).unwrap_or_default(), squeezed);
            }
            squeezed.clear();
            start = at + character.len_utf8();
        } else if character.is_alphanumeric() {
            squeezed.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
    if !squeezed.is_empty() {
        each(normal.get(start..).unwrap_or_default(), squeezed);
    }
}

/// The letters and digits of all of `text`, and how many words these are.
pub(super) fn squeezed(text: &str) -> (Vec<u8>, usize) {
    let (mut all, mut count) = (Vec::new(), 0);
    words(text, |_, squeezed| {
        all.extend_from_slice(squeezed);
        count += 1;
    });
    (all, count)
}

/// How many characters there are in what was squeezed.
pub(super) fn chars(squeezed: &[u8]) -> usize {
    squeezed.iter().filter(|byte| **byte & 0xc0 != 0x80).count()
}

/// An identifier in one spelling, with or without spaces between its groups; of a number for a telephone without
/// dashes, brackets and plus. `normal` is a whole value in
/// its one spelling.
pub(super) fn compact(normal: &str) -> Option<Cow<'_, str>> {
    let mut digits = 0;
    let (mut has_letters, mut has_marks, mut has_spaces) = (false, false, false);
    if normal.len() > SEEN_IDENTIFIER_CHARS_MAX * 2 {
        return None;
    }
    for (at, byte) in normal.bytes().enumerate() {
        match byte {
            b'0'..=b'9' => digits += 1,
            b'a'..=b'z' => has_letters = true,
            b' ' => has_spaces = true,
            b'-' | b'(' | b')' => has_marks = true,
            b'+' if at == 0 => {}
            _ => return None,
        }
    }
    let is_one = !has_spaces && !has_marks && !normal.starts_with('+');
    let spelt = if is_one { Cow::Borrowed(normal) } else { normal.replace([' ', '-', '(', ')', '+'], "").into() };
    let is_identifier = (GROUPED_CHARS_MIN..=SEEN_IDENTIFIER_CHARS_MAX).contains(&spelt.len())
        && digits * 2 >= spelt.len()
        && !(has_letters && has_marks);
    is_identifier.then_some(spelt)
}

/// Identifiers that stand in groups with spaces between them, from the words of a text.
#[derive(Default)]
pub(super) struct Groups {
    /// Groups with digits, as long as they follow each other.
    run: Vec<u8>,
    run_words: usize,
    /// The same from the start of an account number: two letters and two digits.
    account: Vec<u8>,
}

/// The shortest account number with a country before it (ISO 13616).
const ACCOUNT_CHARS_MIN: usize = 15;

/// The longest.
const ACCOUNT_CHARS_MAX: usize = 34;

/// The longest group of an identifier.
const GROUP_CHARS_MAX: usize = 12;

impl Groups {
    /// Takes the next word; gives identifiers that end before it or with it.
    pub(super) fn take(&mut self, word: &[u8], mut each: impl FnMut(&[u8])) {
        let has_digit = word.iter().any(u8::is_ascii_digit);
        // The bank of some account numbers: four letters behind the country.
        let is_bank = self.account.len() == 4 && word.len() == 4;
        if word.len() > GROUP_CHARS_MAX || !(has_digit || is_bank) {
            return self.end(each);
        }
        self.run.extend_from_slice(word);
        self.run_words += 1;
        let is_start = word.len() == 4
            && word.iter().take(2).all(u8::is_ascii_alphabetic)
            && word.iter().skip(2).all(u8::is_ascii_digit);
        if is_start {
            self.account.clear();
        }
        if is_start || !self.account.is_empty() {
            self.account.extend_from_slice(word);
            if (ACCOUNT_CHARS_MIN..=ACCOUNT_CHARS_MAX).contains(&self.account.len()) {
                each(&self.account);
            }
        }
    }

    /// Ends the text; gives the identifier that ends with it.
    pub(super) fn end(&mut self, mut each: impl FnMut(&[u8])) {
        let digits = self.run.iter().filter(|byte| byte.is_ascii_digit()).count();
        let is_identifier = self.run_words > 1
            && (GROUPED_CHARS_MIN..=SEEN_IDENTIFIER_CHARS_MAX).contains(&self.run.len())
            && digits * 2 >= self.run.len();
        if is_identifier {
            each(&self.run);
        }
        self.run.clear();
        self.run_words = 0;
        self.account.clear();
    }
}

/// The text that `word` is a copy of, in percent-encoding, hexadecimal or base64: whole visible text only.
pub(super) fn decoded(word: &str) -> Option<String> {
    if word.contains('%') {
        return from_percent(word);
    }
    if word.len() < ENCODED_CHARS_MIN {
        return None;
    }
    let bytes = match hex::decode(word) {
        Ok(bytes) => bytes,
        Err(_) => {
            let is_url_safe = word.contains(['-', '_']);
            let engine = if is_url_safe { &URL_SAFE } else { &STANDARD };
            engine.decode(word).ok()?
        }
    };
    let text = String::from_utf8(bytes).ok()?;
    let is_visible = text.chars().all(|character| !character.is_control() || matches!(character, '\t' | '\n' | '\r'));
    is_visible.then_some(text)
}

const LENIENT: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_allow_trailing_bits(true)
    .with_decode_padding_mode(DecodePaddingMode::Indifferent);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, LENIENT);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, LENIENT);

fn from_percent(word: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word.as_bytes();
    let mut is_encoded = false;
    while let Some((byte, after)) = rest.split_first() {
        let digit = |at: usize| after.get(at).and_then(|byte| char::from(*byte).to_digit(16));
        let code = (*byte == b'%').then(|| digit(0).zip(digit(1))).flatten();
        match code.and_then(|(high, low)| u8::try_from(high * 16 + low).ok()) {
            Some(code) => {
                bytes.push(code);
                is_encoded = true;
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(if *byte == b'+' { b' ' } else { *byte });
                rest = after;
            }
        }
    }
    is_encoded.then(|| String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_has_one_spelling() {
        for (text, expected) in [
            ("", ""),
            ("abc-1", "abc-1"),
            ("  Ann \t\n Lee ", "ann lee"),
            ("ＡＮＮ＠corp．example", "ann@corp.example"),
            ("a\u{200b}nn\u{feff}", "ann"),
            ("STRASSE\u{a0}ß", "strasse ß"),
            ("ﬁle", "file"),
        ] {
            assert_eq!(normal(text), expected, "{text:?}");
        }
    }

    #[test]
    fn words_are_squeezed() {
        for (text, expected) in [
            ("", vec![]),
            ("Mail ann@corp.example, now!", vec!["mail", "anncorpexample", "now"]),
            ("<a href=\"https://evil.example/x\">x</a>", vec!["a", "href", "https", "evilexamplex", "x", "a"]),
            ("ｅｖｉｌ．example，b —c", vec!["evilexample", "b", "c"]),
            ("Ä“ö”", vec!["ä", "ö"]),
            ("--- ... /", vec![]),
        ] {
            let mut found = Vec::new();
            words(text, |_, squeezed| found.push(String::from_utf8(squeezed.to_vec()).unwrap()));
            assert_eq!(found, expected, "{text}");
        }
        assert_eq!(squeezed("DE02 1203-0000"), (b"de0212030000".to_vec(), 2));
        assert_eq!((chars("äb".as_bytes()), chars(b"")), (2, 0));
    }

    #[test]
    fn identifiers_are_compact() {
        for (normal, expected) in [
            ("de02 1203 0000 0000 2020 51", Some("de02120300000000202051")),
            ("de02120300000000202051", Some("de02120300000000202051")),
            ("+49 (30) 123-456 78", Some("493012345678")),
            ("evil-corp1234567890", None),
            ("evil.com", None),
            ("1234567", None),
            ("abcdefgh1", None),
            ("12 34", None),
            ("a@1234567890", None),
        ] {
            assert_eq!(compact(normal).as_deref(), expected, "{normal}");
        }
    }

    #[test]
    fn groups_of_an_identifier_are_joined() {
        for (text, expected) in [
            (
                "pay DE02 1203 0000 0000 2020 51 now",
                vec!["de02120300000000", "de021203000000002020", "de02120300000000202051", "de02120300000000202051"],
            ),
            (
                "GB29 NWBK 6016 1331 9268 19",
                vec!["gb29nwbk60161331", "gb29nwbk601613319268", "gb29nwbk60161331926819", "gb29nwbk60161331926819"],
            ),
            ("call 030 1234 5678 or so", vec!["03012345678"]),
            ("12 men and 3 boats", vec![]),
        ] {
            let (mut found, mut groups) = (Vec::new(), Groups::default());
            let mut keep = |joined: &[u8]| found.push(String::from_utf8(joined.to_vec()).unwrap());
            words(text, |_, squeezed| groups.take(squeezed, &mut keep));
            groups.end(&mut keep);
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn copies_are_decoded_once() {
        for (word, expected) in [
            ("eve%40evil.example", Some("eve@evil.example")),
            ("100%", None),
            ("ZXZlQGV2aWwuZXhhbXBsZQ==", Some("eve@evil.example")),
            ("ZXZlQGV2aWwuZXhhbXBsZQ", Some("eve@evil.example")),
            ("657665406576696c2e6578616d706c65", Some("eve@evil.example")),
            ("responsibility", None),
            ("short", None),
            ("", None),
        ] {
            assert_eq!(decoded(word).as_deref(), expected, "{word}");
        }
    }
}
