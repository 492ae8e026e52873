//! Identifiers in sentences that no group of digits gives away: a bank's name, a plate, a code of three digits, behind the words for them.

use super::super::judge::{Class, Context, Judged, Kind};
use super::FINDING;

/// Literal text, in lower case, at which a line is looked at.
pub(crate) const TRIGGERS: &[&str] = &[
    "<<<<",
    "address is ",
    "address (",
    "address to ",
    "advertising id",
    "birthday ",
    "born on ",
    "date of birth ",
    "dob ",
    "geboren am ",
    "home address ",
    "live at ",
    "lives at ",
    "living at ",
    "moved to ",
    "née le ",
    "né le ",
    "reside at ",
    "resides at ",
    "residing at ",
    "bic ",
    "bic:",
    "cvc ",
    "cvc:",
    "cvv ",
    "cvv2",
    "cvv:",
    "iban",
    "idfa",
    "kennzeichen",
    "license plate",
    "licence plate",
    "number plate",
    "passeport",
    "passport",
    "reisepass",
    "security code",
    "swift",
];

/// Words, in lower case, behind which there may be one.
const LABELS: &[&str] = &[
    "advertising id",
    "bic",
    "cvc",
    "cvv",
    "cvv2",
    "iban",
    "idfa",
    "kennzeichen",
    "licence plate",
    "license plate",
    "number plate",
    "passeport",
    "passport",
    "reisepass",
    "security code",
    "swift",
];

/// What may stand between the words and the value.
const BETWEEN: &[&str] = &[
    "address", "bic", "card", "code", "est", "file", "for", "id", "is", "ist", "it", "my", "n", "no", "nr", "number",
    "on", "our", "swift", "the", "was",
];

/// How many words there may be between.
const BETWEEN_MAX: usize = 5;

/// The first identifier of the passage that words before it speak for.
pub(crate) fn passage(text: &str) -> Option<Judged> {
    if text.contains("<<<") {
        return zone(text);
    }
    let lower = text.to_ascii_lowercase();
    if let Some(found) = place_or_day(text, &lower) {
        return Some(found);
    }
    let found = LABELS.iter().filter_map(|trigger| {
        let mut places = lower.match_indices(trigger);
        places.find_map(|(start, _)| {
            let is_word = !lower.get(..start)?.ends_with(|letter: char| letter.is_alphanumeric());
            if is_word { behind(text, start + trigger.len(), trigger) } else { None }
        })
    });
    found.min_by_key(|judged| judged.start)
}

/// Words, in lower case, behind which there may be where somebody lives.
const PLACES: &[&str] = &[
    "address is ",
    "address (",
    "address to ",
    "home address ",
    "live at ",
    "lives at ",
    "living at ",
    "moved to ",
    "reside at ",
    "resides at ",
    "residing at ",
];

/// Words, in lower case, behind which there may be when somebody was born.
const DAYS: &[&str] = &["birthday ", "born on ", "date of birth ", "dob ", "geboren am ", "née le ", "né le "];

/// Where somebody lives, or when somebody was born, behind words for that.
fn place_or_day(text: &str, lower: &str) -> Option<Judged> {
    let behind = |labels: &[&str]| {
        let found = labels.iter().filter_map(|label| Some(lower.find(label)? + label.len()));
        found.min()
    };
    let judged = |start: usize, value: &str, name: &[&str]| {
        let context = Context { name, ..Context::default() };
        let judged = super::judge(value, &context).filter(|judged| judged.score >= FINDING)?;
        Some(Judged { end: start + judged.end, start: start + judged.start, ..judged })
    };
    if let Some(start) = behind(PLACES)
        && let Some(rest) = text.get(start..)
    {
        let most = rest.char_indices().map(|(place, _)| place).take(ADDRESS_CHARS_MAX).last().unwrap_or(0);
        let near = rest.get(..most).unwrap_or(rest);
        let end = near.find(['(', ')', '\n', ';', '"', '?', '!']).unwrap_or(near.len());
        let near = near.get(..end).unwrap_or(near);
        // A part of a sentence in small letters goes on with something else.
        let mut end = 0;
        for part in near.split_inclusive(", ") {
            let is_of_it = part.starts_with(|first: char| first.is_uppercase() || first.is_ascii_digit())
                || end == 0 && part.get(..3).is_some_and(|start| matches!(start, "ul." | "via" | "rue"));
            if !is_of_it {
                break;
            }
            end += part.len();
            if let Some((stop, _)) = part.match_indices(". ").find(|(at, _)| *at > 4) {
                end -= part.len() - stop;
                break;
            }
        }
        let address = near.get(..end)?.trim_end_matches([' ', ',', '.']);
        if let Some(found) = judged(start, address, &["street"])
            .filter(|found| found.kind.name == "street_address" && super::contact::is_in_road(address))
        {
            // Its numbers are no telephone's.
            return Some(Judged { score: 84, ..found });
        }
    }
    let start = behind(DAYS)?;
    let rest = text.get(start..)?;
    let skipped = ["is ", "was ", "est le ", "(", ": "].iter().find_map(|word| rest.strip_prefix(word)).unwrap_or(rest);
    let start = start + rest.len() - skipped.len();
    // A day, a month and a year are three words.
    let ends =
        skipped.char_indices().filter(|(_, one)| matches!(one, ' ' | '.' | ')' | '\n' | ';' | '"')).map(|(at, _)| at);
    let ends: Vec<usize> = ends.take(5).chain([skipped.len()]).collect();
    ends.iter().rev().find_map(|end| {
        let value = skipped.get(..*end)?.trim_end_matches([',', '.', ' ']);
        judged(start, value, &["dob"])
            .filter(|found| found.kind.name == "date_of_birth" && found.end - found.start == value.len())
    })
}

/// How much of a sentence may be an address.
const ADDRESS_CHARS_MAX: usize = 120;

/// A line of the machine-readable zone of a passport or card (ICAO 9303): the one with the name, or the one with numbers and their check digits.
fn zone(text: &str) -> Option<Judged> {
    const KIND: &Kind = &Kind { class: Class::Pii, name: "passport" };
    let is_of_zone = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'<';
    let mut from = 0;
    while let Some(place) = text.get(from..)?.bytes().position(is_of_zone).map(|found| from + found) {
        let length = text.get(place..)?.bytes().take_while(|byte| is_of_zone(*byte)).count();
        from = place + length;
        let line = text.get(place..from)?;
        let is_named = line.starts_with(['P', 'I', 'A', 'C', 'V'])
            && line.contains("<<<")
            && line.bytes().filter(u8::is_ascii_uppercase).count() > 6;
        let is_checked = |number: std::ops::Range<usize>| {
            let check = line.as_bytes().get(number.end).map(|digit| u32::from(digit.wrapping_sub(b'0')));
            line.get(number).is_some_and(|number| check == Some(weighed(number)))
        };
        let is_numbers = is_checked(0..9) && is_checked(13..19) && is_checked(21..27);
        if matches!(length, 30 | 36 | 44) && (is_named || is_numbers) {
            // The lines below are of the same document.
            while let Some(rest) = text.get(from..) {
                let next = rest.trim_start_matches(['\n', '\r', ' ']);
                let more = next.bytes().take_while(|byte| is_of_zone(*byte)).count();
                if more != length || next.len() == rest.len() {
                    break;
                }
                from += rest.len() - next.len() + more;
            }
            return Some(Judged { end: from, kind: KIND, score: if is_numbers { 97 } else { 85 }, start: place });
        }
    }
    None
}

/// The sum of letters and digits by seven, three and one.
fn weighed(text: &str) -> u32 {
    let value = |letter: char| letter.to_digit(36).unwrap_or(0);
    text.chars().zip([7, 3, 1].iter().cycle()).map(|(letter, weight)| value(letter) * weight).sum::<u32>() % 10
}

/// What stands behind `from`, where `words` end.
fn behind(text: &str, from: usize, words: &str) -> Option<Judged> {
    let mut before = [""; 4];
    for (slot, word) in before.iter_mut().zip(words.rsplit(' ')) {
        *slot = word;
    }
    let context = Context { before: &before, ..Context::default() };
    let rest = text.get(from..)?;
    if rest.starts_with(|letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '=')) {
        return None;
    }
    let mut at = 0;
    for _ in 0..=BETWEEN_MAX {
        let next = rest.get(at..)?;
        let start = at + next.find(|letter: char| letter.is_ascii_alphanumeric())?;
        // Another sentence or line says something else.
        if rest.get(at..start)?.contains(['\n', '.', '?', '!', '{', '<']) && at > 0 && !is_short(rest, at) {
            return None;
        }
        let length = run(rest.get(start..)?);
        let word = rest.get(start..start + length)?;
        if BETWEEN.iter().any(|known| word.eq_ignore_ascii_case(known)) {
            at = start + length;
            continue;
        }
        let pair = rest.get(start + length..)?.strip_prefix(' ').map(|next| length + 1 + run(next));
        return [pair, Some(length)].into_iter().flatten().find_map(|length| {
            let value = rest.get(start..start + length)?;
            let is_shaped =
                value.bytes().all(|byte| !byte.is_ascii_lowercase()) || value.len() == 36 || words == "iban";
            let judged = super::judge(value, &context).filter(|judged| is_shaped && judged.score >= FINDING)?;
            Some(Judged { end: from + start + judged.end, start: from + start + judged.start, ..judged })
        });
    }
    None
}

/// Whether the word that ends at `end` is one that a dot shortens: `no.`, `nr.`
fn is_short(text: &str, end: usize) -> bool {
    text.get(..end).is_some_and(|before| {
        ["no", "nr", "n"]
            .iter()
            .any(|short| before.len() >= short.len() && before.to_ascii_lowercase().ends_with(short))
    })
}

fn run(text: &str) -> usize {
    text.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'-').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_words_speak_for_is_found_in_a_sentence() {
        for (text, expected) in [
            ("Please pay to SWIFT code INGBNL2AXXX today.", Some("INGBNL2AXXX")),
            ("the BIC is NDEASESS", Some("NDEASESS")),
            ("my CVV is 314, thanks", Some("314")),
            ("License plate: BT21 NWH, red", Some("BT21 NWH")),
            ("passport no. JTCNL0CYG", Some("JTCNL0CYG")),
            ("a swift answer is EXPECTED", None),
            ("CVV has 3 digits", None),
            ("a passport is needed. ROOM 12A45678", None),
            ("P<GBRDOE<<JANE<ANN<<<<<<<<<<<<<<<<<<<<<<<<<<", Some("P<GBRDOE<<JANE<ANN<<<<<<<<<<<<<<<<<<<<<<<<<<")),
            ("a <<<< b", None),
            ("public 123", None),
        ] {
            let found = passage(text).and_then(|judged| text.get(judged.start..judged.end));
            assert_eq!(found, expected, "{text}");
        }
    }
}
