//! Finds data that is somebody's business: secrets, numbers of persons and companies, health and payment data, marked documents.
//!
//! A [`Detector`] passes once over the bytes, and hands what may be something to the judges with the names and words around it. It decides nothing and changes
//! nothing. Start at [`Detector::scan`]; [`Stream`] finds the same in a text that comes in pieces. How it works, and how well: `docs/design/classification.md`.

mod bound;
mod bytes;
mod decode;
mod events;
mod field;
mod fold;
mod followers;
mod grid;
mod identifier;
mod judge;
mod literals;
mod masks;
mod pair;
mod pass;
mod secret;
mod sentence;
mod split;
mod table;
mod words;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

pub(super) use self::identifier::{NAMED_CHECKS, named_check};
pub use self::judge::{Class, Kind};
use self::literals::Literals;
use self::pass::{Raw, Work};
use self::sentence::Heard;
use self::table::Table;
use self::words::{Interest, Recent, Vocabulary};
use super::own::OwnClasses;
use crate::limits::{DETECT_AHEAD_BYTES, DETECT_BEHIND_BYTES, DETECT_STRETCH_BYTES};

/// The confidence from which on a candidate is a finding, unless told otherwise.
pub const THRESHOLD: u8 = 50;

/// Something that was found in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How sure it is that it is this, from 1 to 100.
    pub confidence: u8,
    /// Where it ends, in bytes of the text.
    pub end: usize,
    /// What counted for it.
    pub evidence: Evidence,
    /// What it is.
    pub kind: &'static Kind,
    /// Where it starts, in bytes of the text.
    pub start: usize,
}

/// What counted for a finding: its shape and check digits always do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence(u8);

impl Evidence {
    pub(crate) const SHAPE: Self = Self(0);
    pub(crate) const NAME: Self = Self(1);
    pub(crate) const NAMES_AROUND: Self = Self(2);
    pub(crate) const COLUMN: Self = Self(4);
    pub(crate) const WORDS: Self = Self(8);
    pub(crate) const MARK: Self = Self(16);
    pub(crate) const ENCODED: Self = Self(32);
    pub(crate) const KEYWORD: Self = Self(64);
    pub(crate) const INDEXED: Self = Self(128);

    pub(crate) const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Each of them in a few words.
    pub fn reasons(self) -> impl Iterator<Item = &'static str> {
        const REASONS: &[(Evidence, &str)] = &[
            (Evidence::NAME, "the name it is the value of"),
            (Evidence::NAMES_AROUND, "the names around that"),
            (Evidence::COLUMN, "the name of its column"),
            (Evidence::WORDS, "the words before it"),
            (Evidence::MARK, "what the document is marked with"),
            (Evidence::KEYWORD, "a keyword of the organisation's"),
            (Evidence::INDEXED, "a value of the organisation's tables"),
            (Evidence::ENCODED, "an encoded copy"),
        ];
        let shape = (self.0 & !Self::ENCODED.0 == 0).then_some("its shape");
        shape
            .into_iter()
            .chain(REASONS.iter().filter(move |(evidence, _)| self.0 & evidence.0 != 0).map(|(_, reason)| *reason))
    }
}

/// What was found in a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scan {
    findings: Vec<Finding>,
    complete: bool,
}

impl Scan {
    /// The findings, in the order of the text; none overlaps another, except that something may be of own classes too.
    #[must_use]
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }

    /// Whether all of the text was looked at. Where a text took more work than it may, this is `false`, and what was not found may be there all the same; so it is where
    /// something was found that is longer than what is looked at, of which the rest is in no finding.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.complete
    }

    /// Whether all was looked at and nothing was found.
    #[must_use]
    pub const fn is_clean(&self) -> bool {
        self.complete && self.findings.is_empty()
    }
}

/// Finds the kinds of data that every organisation has. Built once and shared.
#[derive(Debug)]
pub struct Detector {
    lexicon: Lexicon,
}

impl Default for Detector {
    fn default() -> Self {
        Self::with_threshold(THRESHOLD)
    }
}

impl Detector {
    /// A detector for what is this sure at least, from 1 to 100.
    #[must_use]
    pub fn with_threshold(threshold: u8) -> Self {
        Self { lexicon: Lexicon::new(threshold.max(1)) }
    }

    /// This detector, which finds these own classes too.
    #[must_use]
    pub fn with_own(mut self, own: Arc<OwnClasses>) -> Self {
        self.lexicon.own = Some(own);
        self
    }

    /// Finds what is in `text`, whatever its bytes are.
    #[must_use]
    pub fn scan(&self, text: &[u8]) -> Scan {
        let mut carry = Carry::default();
        let mut findings = Vec::new();
        let mut recent = Recent::new(text.len());
        let mut from = 0;
        while from < text.len() {
            let own = from..text.len().min(from + DETECT_STRETCH_BYTES);
            from = own.end;
            let behind = own.start.saturating_sub(DETECT_BEHIND_BYTES);
            let window = bytes::part(text, behind, own.end + DETECT_AHEAD_BYTES);
            self.stretch(window, own.start - behind..own.end - behind, behind, &mut recent, &mut carry, &mut findings);
        }
        Scan { findings, complete: !carry.exhausted }
    }

    /// Finds what starts in `own` of `window`, whose first byte is the text's `base`. What it depends on is in the window and in `carry`, so that it does not matter
    /// how the text came.
    fn stretch(
        &self,
        window: &[u8],
        own: Range<usize>,
        base: usize,
        recent: &mut Recent,
        carry: &mut Carry,
        findings: &mut Vec<Finding>,
    ) {
        let mut work = Work::new();
        recent.at(base);
        let mut raws = pass::look(window, own.clone(), &self.lexicon, recent, &mut work, &mut carry.table, 0);
        carry.exhausted |= work.exhausted || work.cut;
        raws.retain(|raw| own.contains(&raw.start) && raw.start < raw.end && raw.end <= window.len());
        let view_end = own.end + DETECT_AHEAD_BYTES;
        for raw in best(raws) {
            // The text goes on behind the view, and so may what was found.
            carry.exhausted |= raw.end >= view_end;
            if raw.kind.class == Class::Org {
                let (start, end) = (base + raw.start, base + raw.end);
                findings.push(Finding { confidence: raw.score, end, evidence: raw.evidence, kind: raw.kind, start });
                continue;
            }
            let (start, end) = ((base + raw.start).max(carry.end), base + raw.end);
            if start < end {
                carry.end = end;
                findings.push(Finding { confidence: raw.score, end, evidence: raw.evidence, kind: raw.kind, start });
            }
        }
    }
}

/// What one stretch leaves to the next.
#[derive(Debug, Default)]
struct Carry {
    /// Where the last finding ended.
    end: usize,
    exhausted: bool,
    table: Option<Table>,
}

/// The surest of those that overlap, the longest of equals, in the order of the text. What is of an own class is that beside whatever else it is.
fn best(raws: Vec<Raw>) -> Vec<Raw> {
    if raws.iter().any(|raw| raw.kind.class == Class::Org) {
        let mut of_kind = std::collections::BTreeMap::<&str, Vec<Raw>>::new();
        for raw in raws {
            of_kind.entry(if raw.kind.class == Class::Org { raw.kind.name } else { "" }).or_default().push(raw);
        }
        let mut all: Vec<Raw> = of_kind.into_values().flat_map(surest).collect();
        all.sort_by_key(|raw| raw.start);
        return all;
    }
    surest(raws)
}

fn surest(mut raws: Vec<Raw>) -> Vec<Raw> {
    raws.sort_by_key(|raw| {
        (std::cmp::Reverse(raw.score), std::cmp::Reverse(raw.end - raw.start), raw.start, raw.kind.name)
    });
    let mut taken = std::collections::BTreeMap::<usize, Raw>::new();
    for raw in raws {
        let overlaps = taken.range(..raw.end).next_back().is_some_and(|(_, other)| other.end > raw.start);
        if !overlaps {
            taken.insert(raw.start, raw);
        }
    }
    taken.into_values().collect()
}

/// Finds in a text that comes in pieces what [`Detector::scan`] finds in the whole, in constant memory.
#[derive(Debug)]
pub struct Stream<'d> {
    detector: &'d Detector,
    /// The bytes that are needed yet; the first is the text's `base`.
    held: Vec<u8>,
    base: usize,
    settled: usize,
    carry: Carry,
    recent: Recent,
}

impl<'d> Stream<'d> {
    /// A stream of which nothing has come yet.
    #[must_use]
    pub fn new(detector: &'d Detector) -> Self {
        let recent = Recent::new(DETECT_STRETCH_BYTES);
        Self { detector, held: Vec::new(), base: 0, settled: 0, carry: Carry::default(), recent }
    }

    /// Takes the next bytes; adds to `findings` what is found in what is settled by them.
    pub fn push(&mut self, bytes: &[u8], findings: &mut Vec<Finding>) {
        // A piece of any size, a stretch at a time, so that no more than that is held.
        for piece in bytes.chunks(DETECT_STRETCH_BYTES) {
            self.held.extend_from_slice(piece);
            while self.base + self.held.len() >= self.settled + DETECT_STRETCH_BYTES + DETECT_AHEAD_BYTES {
                self.settle(self.settled + DETECT_STRETCH_BYTES, findings);
            }
        }
    }

    /// Up to where the text is decided: nothing before this place is in a finding that is not known yet.
    #[must_use]
    pub const fn settled(&self) -> usize {
        self.settled
    }

    /// Ends the text; adds to `findings` what is found in the rest. Says whether all of it was looked at, as [`Scan::is_complete`] does.
    #[must_use]
    pub fn finish(mut self, findings: &mut Vec<Finding>) -> bool {
        let end = self.base + self.held.len();
        while self.settled < end {
            self.settle(end.min(self.settled + DETECT_STRETCH_BYTES), findings);
        }
        !self.carry.exhausted
    }

    fn settle(&mut self, to: usize, findings: &mut Vec<Finding>) {
        let behind = self.settled.saturating_sub(DETECT_BEHIND_BYTES);
        self.held.drain(..behind - self.base);
        self.base = behind;
        let window = bytes::part(&self.held, 0, to - behind + DETECT_AHEAD_BYTES);
        self.detector.stretch(
            window,
            self.settled - behind..to - behind,
            behind,
            &mut self.recent,
            &mut self.carry,
            findings,
        );
        self.settled = to;
    }
}

/// The words and marks that are looked for, and from when on a candidate counts.
#[derive(Debug)]
struct Lexicon {
    /// The words that speak for identifiers.
    heard: Heard,
    /// Of markings, whose list is [`MARKS`], and of passages.
    literals: Literals,
    own: Option<Arc<OwnClasses>>,
    threshold: u8,
    vocabulary: Vocabulary,
}

/// The number of the list of literals at which a document may be marked.
const MARKS: usize = 0;

/// Names that say nothing themselves; the names around them may.
const GENERIC: &[&str] = &[
    "actual",
    "answer",
    "code",
    "current",
    "data",
    "datarows",
    "eq",
    "equals",
    "expected",
    "formatted",
    "id",
    "identifier",
    "input",
    "literal",
    "new",
    "no",
    "nr",
    "num",
    "number",
    "numero",
    "nummer",
    "old",
    "plain",
    "plaintext",
    "query",
    "raw",
    "records",
    "results",
    "rows",
    "s",
    "string",
    "to",
    "v",
    "val",
    "value",
    "values",
];

/// Names of what is said, which may answer a question.
const ANSWERS: &[&str] = &["body", "message", "msg"];

impl Lexicon {
    fn new(threshold: u8) -> Self {
        let interest = |words: &'static [&'static str], interest| words.iter().map(move |word| (*word, interest));
        let words = interest(secret::WORDS, Interest::SECRET.and(Interest::HEARD_SECRET))
            .chain(interest(secret::SPEAKING, Interest::HEARD_SECRET))
            .chain(interest(identifier::WORDS, Interest::IDENTIFIER))
            .chain(interest(identifier::NAMED_WORDS, Interest::IDENTIFIER))
            .chain(identifier::phrases().flat_map(heard))
            .chain(interest(GENERIC, Interest::GENERIC))
            .chain(interest(pair::WORDS, Interest::SECOND))
            .chain(interest(ANSWERS, Interest::SECOND))
            .map(|(word, interest)| (Cow::Borrowed(word), interest));
        // A name of several words may be written as one.
        let joined = identifier::phrases()
            .filter(|phrase| phrase.len() > 6 && phrase.contains(' '))
            .map(|phrase| (Cow::Owned(phrase.replace(' ', "")), Interest::IDENTIFIER.and(Interest::HEARD_IDENTIFIER)));
        // The pass comes upon addresses and armour by itself.
        let passages = secret::TRIGGERS.iter().filter(|literal| !matches!(**literal, "://" | "-----begin"));
        Self {
            heard: Heard::new(identifier::phrases_by_length()),
            literals: Literals::new([
                identifier::TRIGGERS.to_vec(),
                passages.chain(identifier::PASSAGE_TRIGGERS).copied().collect(),
            ]),
            own: None,
            threshold,
            vocabulary: Vocabulary::new(words.chain(joined), secret::TAILS),
        }
    }
}

/// The words of `phrase`, and how they are heard.
fn heard(phrase: &'static str) -> impl Iterator<Item = (&'static str, Interest)> {
    let first = if phrase.contains(' ') { Interest::BEGINS } else { Interest::HEARD_IDENTIFIER };
    phrase.split(' ').enumerate().map(move |(at, word)| (word, if at == 0 { first } else { Interest::GOES_ON }))
}

#[cfg(test)]
mod corpus;
#[cfg(test)]
mod tests;
