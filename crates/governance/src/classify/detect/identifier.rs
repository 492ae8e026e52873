//! Judges everything that is no secret: numbers of persons, cards and companies, contacts and devices, and what marks a document.
//!
//! Check digits prove little in texts that are full of numbers, so most sorts need a name or a word that speaks for them. Start at [`judge`] and [`marking`].

mod americas;
mod check;
mod contact;
mod crypto;
mod elsewhere;
mod europe;
mod health;
mod markings;
mod money;
mod passage;
mod sort;
#[cfg(test)]
mod tests;
mod words;

use super::judge::{Context, Judged, Kind};
pub(crate) use contact::{NAMED_WORDS, is_family};
pub(crate) use markings::{TRIGGERS, marking};
pub(crate) use passage::{TRIGGERS as PASSAGE_TRIGGERS, passage};
pub(crate) use sort::NUMBERS;
use sort::{Firsts, Sort, Speaks, speaks};
pub(crate) use words::WORDS;

/// Every table.
const TABLES: [&[Sort]; 8] = [
    money::SORTS,
    money::BUSINESS,
    health::SORTS,
    americas::SORTS,
    europe::SORTS,
    elsewhere::SORTS,
    contact::SORTS,
    &[],
];

/// The names of [`named_check`].
pub(crate) const NAMED_CHECKS: [&str; 5] = ["iban", "luhn", "mod_11_10", "mod_97", "verhoeff"];

/// The arithmetic of this name, for classes of an organisation's own: of letters and digits alone, in upper case.
pub(crate) fn named_check(name: &str) -> Option<fn(&str) -> bool> {
    match name {
        "iban" => Some(check::iban),
        "luhn" => Some(check::luhn),
        "mod_11_10" => Some(check::mod_11_10),
        "mod_97" => Some(|text| check::mod_97(text) == Some(1)),
        "verhoeff" => Some(check::verhoeff),
        _ => None,
    }
}
/// The words, one or several with spaces between them, that speak for any sort.
pub(crate) fn phrases() -> impl Iterator<Item = &'static str> {
    let sorts = TABLES.iter().copied().flatten().map(|sort| sort.words);
    sorts.chain(contact::PHRASES).chain([crypto::WORDS]).flatten().copied()
}

/// The same, each with how many letters and digits what it speaks for may have: a bit for each number.
pub(crate) fn phrases_by_length() -> impl Iterator<Item = (&'static str, u64)> {
    let of_sort = |sort: &'static Sort| {
        let (least, most) = sort.length;
        let lengths = (least..=most.min(63)).fold(0, |lengths, length| lengths | 1 << length);
        sort.words.iter().map(move |phrase| (*phrase, lengths))
    };
    let others = contact::PHRASES.into_iter().chain([crypto::WORDS]).flatten();
    TABLES.iter().copied().flatten().flat_map(of_sort).chain(others.map(|phrase| (*phrase, u64::MAX)))
}

/// Words that speak against a number being somebody's.
const AGAINST: &[&str] = &[
    "order",
    "po",
    "purchase",
    "invoice",
    "tracking",
    "sku",
    "hash",
    "timestamp",
    "version",
    "isbn",
    "ean",
    "isin",
    "build",
    "commit",
    "uuid",
    "guid",
    "checksum",
    "sha",
    "md5",
    "epoch",
    "offset",
    "port",
    "size",
    "count",
    "total",
    "amount",
    "price",
    "duration",
    "line",
    "page",
    "issue",
    "ticket",
    "serial",
    "request",
    "trace",
    "span",
    "session",
    "revision",
    "currency",
    "color",
];

/// The longest number, with what stands between its groups.
const NUMBER_BYTES_MAX: usize = 48;

/// The longest value that is looked at.
const VALUE_BYTES_MAX: usize = 256;

/// What `value` is, as far as it and what stands around it tell.
pub(crate) fn judge(value: &str, context: &Context<'_>) -> Option<Judged> {
    let start = value.len() - value.trim_start_matches([' ', '\t', '"', '\'', '#']).len();
    let text = value.get(start..)?.trim_end_matches([' ', '\t', '"', '\'', '.', ',', ';']);
    // The bracket that closes what holds the name too.
    let text = text.strip_suffix(')').filter(|inner| !inner.contains('(')).unwrap_or(text);
    if text.len() < 3 || text.len() > VALUE_BYTES_MAX {
        return None;
    }
    // What a name says about another value, it does not say of its own.
    let unnamed = Context { name: &["about"], names_around: &[], ..*context };
    let is_about = context.name.len() > 1 && context.name.last().is_some_and(|last| ABOUT.contains(last));
    let context = if is_about { &unnamed } else { context };
    let makeup = Makeup::of(text);
    let placed = |judged: Judged| Judged { end: judged.end + start, start: judged.start + start, ..judged };
    let touching = contact::judge(text, &makeup, context).into_iter().chain(crypto::judge(text, context));
    let best = numbers(text, &makeup, context).into_iter().chain(touching).max_by_key(|judged| judged.score);
    let best = match best {
        Some(judged) if judged.score >= FINDING => Some(judged),
        unsure => after_word(text, &makeup, context)
            .or_else(|| before_pairs(text, context))
            .or_else(|| before_word(text, context))
            .or(unsure),
    };
    best.filter(|judged| judged.score > 0).map(placed)
}

/// Last words of names whose values are about what the words before them name.
const ABOUT: &[&str] = &[
    "allowed",
    "angle",
    "app",
    "attempts",
    "brand",
    "bytes",
    "cm",
    "color",
    "column",
    "consent",
    "count",
    "country",
    "counts",
    "currency",
    "delay",
    "directory",
    "enabled",
    "exists",
    "format",
    "height",
    "hours",
    "icon",
    "image",
    "index",
    "interval",
    "label",
    "lang",
    "language",
    "layout",
    "len",
    "length",
    "level",
    "limit",
    "locale",
    "mask",
    "max",
    "min",
    "mm",
    "ms",
    "offset",
    "optional",
    "pattern",
    "percent",
    "position",
    "prefix",
    "present",
    "provided",
    "px",
    "quality",
    "quota",
    "rank",
    "rate",
    "ratio",
    "regex",
    "required",
    "result",
    "retries",
    "rotation",
    "score",
    "seconds",
    "set",
    "size",
    "speed",
    "state",
    "status",
    "strength",
    "suffix",
    "supported",
    "template",
    "thickness",
    "threshold",
    "timeout",
    "tolerance",
    "total",
    "ttl",
    "type",
    "unit",
    "units",
    "url",
    "valid",
    "verified",
    "version",
    "weight",
    "width",
    "year",
    "years",
    "zone",
    "zoom",
];

/// The score of a finding at the usual threshold.
const FINDING: u8 = 50;

/// What follows a word or two, with those before it: `BSN 111222333` is written like one number of two groups.
fn after_word(text: &str, makeup: &Makeup, context: &Context<'_>) -> Option<Judged> {
    if makeup.digits < 4 || makeup.spaces == 0 {
        return None;
    }
    let lower = text.to_ascii_lowercase();
    let mut before = [""; WORDS_BEFORE_MAX];
    let mut start = 0;
    for count in 1..=WORDS_WRITTEN_MAX {
        let (word, rest) = text.get(start..)?.split_once(' ')?;
        let skipped = word.len() - word.trim_start_matches('(').len();
        let word = lower.get(start + skipped..start + word.len())?;
        if !(2..=24).contains(&word.len()) || !word.bytes().all(|byte| byte.is_ascii_alphabetic()) {
            return None;
        }
        // The nearest first.
        before.rotate_right(1);
        if let Some(nearest) = before.first_mut() {
            *nearest = word;
        }
        start = text.len() - rest.len();
        let mut words = before;
        for (slot, word) in words.iter_mut().skip(count).zip(context.before) {
            *slot = word;
        }
        let context = Context { before: &words, ..*context };
        let skipped = rest.len() - rest.trim_start_matches('(').len();
        let rest = rest.get(skipped..).map_or(rest, |inner| inner.strip_suffix(')').unwrap_or(inner));
        let start = start + skipped;
        let makeup = Makeup::of(rest);
        if let Some(judged) = numbers(rest, &makeup, &context).or_else(|| contact::judge(rest, &makeup, &context)) {
            return Some(Judged { end: judged.end + start, start: judged.start + start, ..judged });
        }
    }
    None
}

/// The most words that are written like a group of a number.
const WORDS_WRITTEN_MAX: usize = 3;

/// How many words before such a number are looked at, with those.
const WORDS_BEFORE_MAX: usize = 10;

/// What stands before other names and their values on the line: `DE89370400440532013000 retries=3`.
fn before_pairs(text: &str, context: &Context<'_>) -> Option<Judged> {
    if context.name.is_empty() {
        return None;
    }
    let (first, _) = text.split_once('=')?;
    let (value, _) = first.rsplit_once(' ')?;
    let makeup = Makeup::of(value);
    numbers(value, &makeup, context).or_else(|| contact::judge(value, &makeup, context))
}

/// What stands before a word in capitals, which is written like a group of a number: `0487 23 46 71 I'd`.
fn before_word(text: &str, context: &Context<'_>) -> Option<Judged> {
    let (number, word) = text.rsplit_once(' ')?;
    if word.is_empty() || word.len() > 4 || !word.bytes().all(|byte| byte.is_ascii_alphabetic()) {
        return None;
    }
    let makeup = Makeup::of(number);
    if makeup.digits < 6 {
        return None;
    }
    numbers(number, &makeup, context)
        .into_iter()
        .chain(contact::judge(number, &makeup, context))
        .max_by_key(|judged| judged.score)
}

/// How many bytes of each sort a value has: what few sorts of it may be is told by that.
#[derive(Clone, Copy, Debug, Default)]
struct Makeup {
    at_signs: usize,
    colons: usize,
    digits: usize,
    dots: usize,
    letters: usize,
    spaces: usize,
    /// Bytes that are in no number: no letters or digits, and none of what stands between groups of them.
    strange: usize,
}

impl Makeup {
    fn of(text: &str) -> Self {
        let mut made = Self::default();
        for byte in text.bytes() {
            match byte {
                b'0'..=b'9' => made.digits += 1,
                b'a'..=b'z' | b'A'..=b'Z' => made.letters += 1,
                b' ' => made.spaces += 1,
                b'.' => made.dots += 1,
                b'-' | b'/' | b'_' | b'+' => {}
                other => {
                    made.strange += 1;
                    made.at_signs += usize::from(other == b'@');
                    made.colons += usize::from(other == b':');
                }
            }
        }
        made
    }
}

/// The longest number of a sort.
const LENGTH_MAX: usize = 33;

/// The most sorts whose numbers have the same length.
const SORTS_OF_LENGTH_MAX: usize = 64;

/// Sorts by how many letters and digits they have, so that few are asked.
type ByLength = [[Option<&'static Sort>; SORTS_OF_LENGTH_MAX]; LENGTH_MAX + 1];

static BY_LENGTH: ByLength = by_length(0);

/// Those that are known without a word that speaks for them.
static ALONE_BY_LENGTH: ByLength = by_length(1);

const fn by_length(alone_min: u8) -> ByLength {
    let mut found = [[None; SORTS_OF_LENGTH_MAX]; LENGTH_MAX + 1];
    let mut rows: &mut [[Option<&'static Sort>; SORTS_OF_LENGTH_MAX]] = &mut found;
    let mut length = 0;
    while let Some((row, others)) = rows.split_first_mut() {
        let mut slots: &mut [Option<&'static Sort>] = row;
        let mut tables: &'static [&'static [Sort]] = &TABLES;
        while let Some((table, more)) = tables.split_first() {
            let mut sorts = *table;
            while let Some((sort, rest)) = sorts.split_first() {
                if sort.length.0 <= length && length <= sort.length.1 && sort.scores.1 >= alone_min {
                    let Some((slot, left)) = slots.split_first_mut() else { return found };
                    *slot = Some(sort);
                    slots = left;
                }
                sorts = rest;
            }
            tables = more;
        }
        rows = others;
        length += 1;
    }
    found
}

/// Whether letters, digits and signs between them may be of a sort without a word that speaks for it. Most numbers may not, which is soon told.
pub(crate) fn may_stand_alone(text: &[u8]) -> bool {
    let counts = text
        .iter()
        .fold(0_u64, |counts, byte| counts.wrapping_add(COUNTS.get(usize::from(*byte)).copied().unwrap_or(0)));
    let [digits, letters, dots, dashes, others, ..] = counts.to_le_bytes().map(usize::from);
    let length = digits + letters;
    if others > 0 || length > ALONE_BYTES || text.len() > usize::from(u8::MAX) {
        return true;
    }
    if letters == 0 {
        // With one dot they are a fraction, and two dashes make a date.
        return if dots + dashes == 0 {
            length >= CARD_DIGITS_MIN
        } else {
            dots > 1 || dots + dashes > 1 && length > 8 || dashes == 1
        };
    }
    if dots + dashes > 1 {
        return true;
    }
    let mut bare = [0; ALONE_BYTES];
    let letters = text.iter().filter(|byte| byte.is_ascii_alphanumeric());
    bare.iter_mut().zip(letters).for_each(|(to, byte)| *to = byte.to_ascii_uppercase());
    let bare = bare.get(..length).and_then(|bare| str::from_utf8(bare).ok()).unwrap_or_default();
    ALONE_BY_LENGTH
        .get(length)
        .is_none_or(|sorts| sorts.iter().map_while(|sort| *sort).any(|sort| sort.fits(bare) && (sort.check)(bare)))
}

/// A count of one for each byte: of digits, letters, dots, dashes and others, in bytes of their own.
static COUNTS: [u64; 256] = counts();

const fn counts() -> [u64; 256] {
    let mut counts = [0; 256];
    let mut slots: &mut [u64] = &mut counts;
    let mut byte = 0_u8;
    while let Some((slot, rest)) = slots.split_first_mut() {
        *slot = match byte {
            b'0'..=b'9' => 1,
            b'a'..=b'z' | b'A'..=b'Z' => 1 << 8,
            b'.' => 1 << 16,
            b'-' => 1 << 24,
            _ => 1 << 32,
        };
        slots = rest;
        byte = byte.wrapping_add(1);
    }
    counts
}

/// Digits alone may be a card, or one of the long numbers.
const CARD_DIGITS_MIN: usize = 15;

/// Longer ones may be wallets, or machines' addresses.
const ALONE_BYTES: usize = 24;

/// What a number is, by the tables.
fn numbers(text: &str, makeup: &Makeup, context: &Context<'_>) -> Option<Judged> {
    let digits = makeup.digits;
    // Without digits there are only the names of banks.
    let is_shaped = if digits == 0 { matches!(text.len(), 8 | 11) } else { digits >= 3 || text.len() <= 12 };
    let is_bracketed = makeup.strange > 0 && makeup.strange <= 2 && has_bracketed_end(text);
    // How foreigners are numbered in the United States: `A#123456789`.
    let is_hashed = makeup.strange == 1 && text.starts_with("A#");
    if text.len() > NUMBER_BYTES_MAX || !is_shaped || makeup.strange > 0 && !is_bracketed && !is_hashed {
        return None;
    }
    // Words are no groups of a number.
    let is_word = |group: &str| group.len() > 2 && group.bytes().all(|byte| byte.is_ascii_lowercase());
    if makeup.spaces > 0 && text.split(' ').any(is_word) {
        return None;
    }
    // Fractions are no numbers of anything.
    if makeup.dots == 1 && makeup.letters == 0 && text.trim_start_matches(['-', '+']).len() == digits + 1 {
        return None;
    }
    let sorts = BY_LENGTH.get(digits + makeup.letters)?;
    let (mut letters, mut length) = ([0; NUMBER_BYTES_MAX], 0);
    for byte in text.bytes().filter(u8::is_ascii_alphanumeric) {
        if let Some(letter) = letters.get_mut(length) {
            *letter = byte.to_ascii_uppercase();
        }
        length += 1;
    }
    let bare = letters.get(..length).and_then(|letters| std::str::from_utf8(letters).ok())?;
    let is_alone = context.is_empty();
    let layout = Layout::of(text, bare);
    let said = Firsts::of(context);
    let mut best: Option<(u8, &'static Sort)> = None;
    for sort in sorts.iter().map_while(|sort| *sort) {
        // Where nothing speaks, few have a chance.
        if is_alone && sort.scores.1 == 0 && !layout.may_be(sort) {
            continue;
        }
        let Some((score, speaks)) = sort.score(bare, context, &said) else { continue };
        if speaks != Speaks::Nothing && text.trim_start_matches('+').len() == digits && is_word_of_day(sort, context) {
            continue;
        }
        let score = weighed(score, speaks, sort, &layout, text.len() > bare.len(), context);
        let score = if speaks != Speaks::Nothing && layout.has(sort) { (score + WRITTEN).min(99) } else { score };
        // Small letters and digits are what programs name things with.
        let is_small =
            speaks == Speaks::Nothing && !is_alone && score < 90 && text.bytes().any(|byte| byte.is_ascii_lowercase());
        // A year between dashes numbers papers, and nobody: `C-2026-38306`.
        let is_of_year = speaks == Speaks::Nothing && text.len() > bare.len() && has_year(text);
        let score = if is_small || is_of_year { 0 } else { score };
        if score > best.map_or(0, |(score, _)| score) {
            best = Some((score, sort));
        }
    }
    let (score, sort) = best?;
    Some(Judged { end: text.len(), kind: &sort.kind, score, start: 0 })
}

/// Whether a letter or more, a year and a number are written with dashes between them.
fn has_year(text: &str) -> bool {
    let mut groups = text.split('-');
    let is_letters = groups.next().is_some_and(|first| first.bytes().all(|byte| byte.is_ascii_alphabetic()));
    let year = groups.next().filter(|group| group.len() == 4).and_then(|group| group.parse::<u32>().ok());
    is_letters && year.is_some_and(|year| (1990..2060).contains(&year)) && groups.next().is_some()
}

/// Whether what speaks for the sort is a word of every day, which says nothing of a number that is not written as the sort is: `run_id`.
fn is_word_of_day(sort: &Sort, context: &Context<'_>) -> bool {
    const OTHERS: &[&str] = &["chile", "chileno", "numero run", "rol unico", "run number", "run numero", "rut"];
    match sort.words {
        // Two letters that random text has too.
        ["rg", ..] => speaks(&Context { before: &[], after: &[], ..*context }, sort.words) == Speaks::Nothing,
        _ => sort.kind.name == "cl_rut" && speaks(context, OTHERS) == Speaks::Nothing,
    }
}

/// Whether the check digit at the end stands in brackets, as in Hong Kong; the second of them may be cut off.
fn has_bracketed_end(text: &str) -> bool {
    let text = text.strip_suffix(')').unwrap_or(text);
    text.len() > 7
        && text.rsplit_once('(').is_some_and(|(body, check)| {
            check.len() == 1 && [body, check].iter().all(|part| part.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        })
}

/// The score after what speaks against it, and after how it is written.
fn weighed(score: u8, speaks_for: Speaks, sort: &Sort, layout: &Layout, is_grouped: bool, context: &Context<'_>) -> u8 {
    // What has no chance is not asked about.
    if score == 0 && !layout.may_be(sort) || matches!(speaks_for, Speaks::Name | Speaks::Around) {
        return score;
    }
    let is_against = speaks(&Context { after: &[], ..*context }, AGAINST) != Speaks::Nothing;
    match speaks_for {
        // Groups of four after an issuer's digits are a card to whoever reads them.
        Speaks::Nothing if sort.is_card() && layout.card == Some(Card::Grouped) => 85,
        // Numbers of 16 digits are the values of many names; of sentences they are a card's.
        Speaks::Nothing if sort.is_card() && score == 0 && !is_against && layout.card == Some(Card::Plain) => {
            if !sort.is_issued() {
                0
            } else if context.name.iter().all(|word| TEXTS.contains(word)) {
                CARD_ALONE
            } else {
                40
            }
        }
        Speaks::Nothing if !is_against && layout.has(sort) => 64,
        // An account that is proved is one wherever it stands.
        Speaks::Nothing if is_against && score < ALONE_PROVED => 0,
        // What its digits prove, words beside it cannot take away.
        Speaks::Words if is_against && !is_grouped && sort.scores.0 < PROVED => score.saturating_sub(40),
        _ => score,
    }
}

/// The score of a card that only its digits and its issuer's tell.
const CARD_ALONE: u8 = 55;

/// Whether `judged` is a card by its digits alone: in a cell of a table with a name that says nothing, one number of ten passes.
pub(crate) fn is_card_alone(kind: &Kind, score: u8) -> bool {
    kind.name == "credit_card" && score == CARD_ALONE
}

/// The score without a word of sorts that nothing else is written like.
const ALONE_PROVED: u8 = 85;

/// The score of sorts whose check digits prove much.
const PROVED: u8 = 93;

/// Names of what holds a text, and says nothing of it.
const TEXTS: &[&str] = &[
    "body",
    "comment",
    "content",
    "data",
    "description",
    "input",
    "line",
    "message",
    "note",
    "notes",
    "output",
    "prompt",
    "query",
    "raw",
    "summary",
    "text",
    "value",
];

/// What is added where a number is written as its sort is.
const WRITTEN: u8 = 12;

/// How a number is written.
struct Layout {
    card: Option<Card>,
    /// Its characters, with `9` for each digit; empty where that is no layout of any sort.
    form: &'static str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Card {
    /// In groups of four, or as American Express writes them.
    Grouped,
    /// Digits alone, enough of them.
    Plain,
}

impl Layout {
    fn of(text: &str, bare: &str) -> Self {
        if text.len() == bare.len() {
            return Self { card: matches!(bare.len(), 15 | 16).then_some(Card::Plain), form: "" };
        }
        let (mut form, mut spaced) = ([0; NUMBER_BYTES_MAX], [0; NUMBER_BYTES_MAX]);
        for ((byte, to), plain) in text.bytes().zip(&mut form).zip(&mut spaced) {
            *to = if byte.is_ascii_digit() { b'9' } else { byte };
            *plain = if *to == b'-' { b' ' } else { *to };
        }
        let form = form.get(..text.len()).unwrap_or_default();
        let is_card = spaced.get(..text.len()).is_some_and(|spaced| {
            matches!(spaced, b"9999 9999 9999 9999" | b"9999 999999 99999" | b"9999 999999 9999")
        });
        let known = LAYOUTS.iter().map(|(_, layout)| *layout).find(|layout| layout.as_bytes() == form);
        Self { card: is_card.then_some(Card::Grouped), form: known.unwrap_or_default() }
    }

    /// Whether the sort is written like that.
    fn has(&self, sort: &Sort) -> bool {
        !self.form.is_empty() && LAYOUTS.contains(&(sort.kind.name, self.form))
    }

    /// Whether it is written so that it may be of the sort, whatever speaks for it.
    fn may_be(&self, sort: &Sort) -> bool {
        self.card.is_some() && sort.is_card() || self.has(sort)
    }
}

/// How some are written, and little else is.
const LAYOUTS: &[(&str, &str)] = &[
    ("us_ssn", "999-99-9999"),
    ("us_ssn", "999 99 9999"),
    ("us_itin", "999-99-9999"),
    ("br_cpf", "999.999.999-99"),
    ("br_cnpj", "99.999.999/9999-99"),
    ("cl_rut", "99.999.999-9"),
    ("cl_rut", "99.999.999-K"),
    ("cl_rut", "9.999.999-9"),
    ("ar_cuit", "99-99999999-9"),
    ("kr_rrn", "999999-9999999"),
    ("kr_frn", "999999-9999999"),
    ("se_personnummer", "999999-9999"),
    ("se_personnummer", "99999999-9999"),
    ("in_aadhaar", "9999 9999 9999"),
    ("au_abn", "99 999 999 999"),
    ("ch_ahv", "999.9999.9999.99"),
    ("us_ein", "99-9999999"),
    ("ca_sin", "999-999-999"),
    ("au_medicare", "9999 99999 9"),
    ("uk_nhs", "999 999 9999"),
    ("kr_brn", "999-99-99999"),
    ("in_aadhaar", "9999-9999-9999"),
    ("cz_rodne_cislo", "999999/9999"),
    ("th_tnin", "9-9999-99999-99-9"),
    ("ru_snils", "999-999-999 99"),
    ("be_nrn", "99.99.99-999.99"),
    ("pk_cnic", "99999-9999999-9"),
    ("de_steuernummer", "99/999/99999"),
    ("de_steuernummer", "999/999/99999"),
];
