//! Candidates that a sign of their own gives away: addresses, elements, flags, armour, and the literal words of markings and sentences.

use std::ops::Range;

use super::super::bytes::{at, before, part};
use super::super::field::{self, Value};
use super::super::words::Interest;
use super::super::{Evidence, MARKS, identifier, secret};
use super::{Field, PASSAGES, Pass, REACH, RUN_BYTES, is_word, raw, trimmed, utf8_within};

/// The most columns of a table whose names are kept.
const HEADS: usize = 64;

/// The names of the columns of the table of HTML that was passed last, and the next cell.
#[derive(Debug, Default)]
pub(super) struct Heads {
    cell: usize,
    is_new_row: bool,
    names: Vec<(Range<usize>, Interest)>,
}

/// The longest name of a row or column.
const LABEL_BYTES: usize = 64;

impl Pass<'_> {
    /// An address around the `@` at `place`: of mail, or of a place with who comes there.
    #[inline(never)]
    pub(super) fn address(&mut self, place: usize) {
        let url_from = self.while_behind(place, REACH / 2, |byte| {
            !byte.is_ascii_whitespace() && !matches!(byte, b'"' | b'<' | b'>' | b'`')
        });
        let url = part(self.text, url_from, place);
        if let Some(scheme) = memchr::memmem::rfind(url, b"://") {
            let start = self.while_behind(url_from + scheme, 24, |byte| {
                byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'.' | b'-')
            });
            let end = self.while_ahead(place, REACH, |byte| {
                !byte.is_ascii_whitespace() && !matches!(byte, b'"' | b'<' | b'>' | b'`' | b'\'')
            });
            let around = self.around(start, end);
            if let Some(found) = self.ask(secret::judge, start, end, &around, Evidence::SHAPE) {
                self.keep(found);
                return;
            }
            // Who comes there is no address of mail.
            if memchr::memchr(b'/', part(url, scheme + 3, url.len())).is_none() {
                return;
            }
        }
        if memchr::memmem::find(url, b":thin:").is_some() {
            let end =
                self.while_ahead(place, REACH, |byte| !byte.is_ascii_whitespace() && !matches!(byte, b'"' | b'<'));
            let around = self.around(url_from, end);
            if let Some(found) = self.ask(secret::judge, url_from, end, &around, Evidence::SHAPE) {
                self.keep(found);
                return;
            }
        }
        let start = self.while_behind(place, 64, |byte| {
            byte.is_ascii_alphanumeric()
                || matches!(
                    byte,
                    b'.' | b'_'
                        | b'%'
                        | b'+'
                        | b'-'
                        | b'\''
                        | b'!'
                        | b'#'
                        | b'$'
                        | b'&'
                        | b'*'
                        | b'/'
                        | b'='
                        | b'?'
                        | b'^'
                        | b'{'
                        | b'|'
                        | b'}'
                        | b'~'
                )
                || byte >= 0x80
        });
        let start = start
            + part(self.text, start, place)
                .iter()
                .take_while(|byte| !byte.is_ascii_alphanumeric() && **byte < 0x80 && **byte != b'_')
                .count();
        let end = self.while_ahead(place + 1, 253, |byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-') || byte >= 0x80
        });
        let Range { end, .. } = trimmed(self.text, place, end);
        if start == place || end < place + 4 {
            return;
        }
        let around = self.around(start, end);
        if let Some(found) = self.ask(identifier::judge, start, end, &around, Evidence::SHAPE) {
            self.keep(found);
        }
    }

    /// The value of an element of XML or HTML, whose opening ends with the `>` at `place`.
    #[inline(never)]
    pub(super) fn element(&mut self, place: usize) {
        let from = place.saturating_sub(96);
        let tag = part(self.text, from, place);
        let Some(open) = tag.iter().rposition(|byte| *byte == b'<') else { return };
        let tag = part(tag, open + 1, tag.len());
        let length =
            tag.iter().take_while(|byte| is_word(**byte) || **byte >= 0x80 || matches!(byte, b':' | b'.')).count();
        if length == 0 || tag.last() == Some(&b'/') {
            return;
        }
        let mut name = from + open + 1..from + open + 1 + length;
        let mut interest = self.recent.name(&self.lexicon.vocabulary, self.text, &name);
        if length == 2
            && interest.is_none()
            && let Some(named) = self.cell(part(tag, 0, length), from + open, place + 1)
        {
            (name, interest) = named;
        }
        if holds_value(part(tag, 0, length))
            && let Some(named) = self.attribute(from + open, place).or_else(|| self.key_of(from + open))
        {
            (name, interest) = named;
        }
        // What a sentence shows as code is no value of what is around.
        if interest.is_none() || interest.is_generic() && part(tag, 0, length) == b"code" {
            return;
        }
        let rest = part(self.text, place + 1, place + 1 + field::VALUE_BYTES);
        // What is no markup, whatever it has.
        let (place, rest) = match rest.strip_prefix(b"<![CDATA[") {
            Some(inner) => (place + b"<![CDATA[".len(), inner),
            None => (place, rest),
        };
        let Some(end) = memchr::memchr2(b'<', b']', rest) else { return };
        let start = place + 1 + rest.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let end = self.while_behind(place + 1 + end, 64, |byte| byte.is_ascii_whitespace());
        if start < end {
            let value = Value { range: start..end, quoted: true };
            self.field = Field { interest, judged: 0..0, name, value: Some(value.clone()), starts: start };
            self.value(&value);
        }
    }

    /// The name that stands in the element before the one at `open`: `<key>Password</key><string>`, `<name>pin</name><value>`.
    fn key_of(&mut self, open: usize) -> Option<(Range<usize>, Interest)> {
        let from = open.saturating_sub(LABEL_BYTES);
        let before = part(self.text, from, open).trim_ascii_end().strip_suffix(b">")?;
        let close = memchr::memmem::rfind(before, b"</")?;
        let is_key = NAMES.iter().any(|name| part(before, close + 2, before.len()).eq_ignore_ascii_case(name));
        let start = memchr::memrchr(b'>', part(before, 0, close))? + 1;
        let name = from + start..from + close;
        let interest = self.recent.name(&self.lexicon.vocabulary, self.text, &name);
        (is_key && !interest.is_none()).then_some((name, interest))
    }

    /// The name that the tag from `open` to `end` has in an attribute: `<field name="pin">`.
    fn attribute(&mut self, open: usize, end: usize) -> Option<(Range<usize>, Interest)> {
        let tag = part(self.text, open, end);
        let start = [&b" name=\""[..], b" key=\"", b" label=\"", b" id=\""]
            .iter()
            .find_map(|attribute| Some(memchr::memmem::find(tag, attribute)? + attribute.len()))?;
        let length = memchr::memchr(b'"', part(tag, start, tag.len()))?;
        let name = open + start..open + start + length;
        let interest = self.recent.name(&self.lexicon.vocabulary, self.text, &name);
        (!interest.is_none()).then_some((name, interest))
    }

    /// The name of the cell whose opening stands at `open`, of its row or its column; takes note of the heads of columns.
    fn cell(&mut self, tag: &[u8], open: usize, inside: usize) -> Option<(Range<usize>, Interest)> {
        match tag {
            b"tr" => {
                self.heads.cell = 0;
                self.heads.is_new_row = true;
            }
            b"th" => {
                if std::mem::take(&mut self.heads.is_new_row) {
                    self.heads.names.clear();
                }
                let end = inside + memchr::memchr(b'<', part(self.text, inside, inside + LABEL_BYTES))?;
                let interest = self.recent.name(&self.lexicon.vocabulary, self.text, &(inside..end));
                if self.heads.names.len() < HEADS {
                    self.heads.names.push((inside..end, interest));
                }
            }
            b"td" | b"dd" => {
                let column = self.heads.names.get(self.heads.cell).filter(|(_, interest)| !interest.is_none()).cloned();
                self.heads.cell += usize::from(tag == b"td");
                return column.or_else(|| {
                    let label = self.label(open)?;
                    let interest = self.recent.name(&self.lexicon.vocabulary, self.text, &label);
                    (!interest.is_none()).then_some((label, interest))
                });
            }
            _ => {}
        }
        None
    }

    /// What stands in the cell before the one that opens at `open`: the name of a row, or a term.
    fn label(&self, open: usize) -> Option<Range<usize>> {
        let from = open.saturating_sub(96);
        let before = part(self.text, from, open).trim_ascii_end();
        let inner = [&b"</th>"[..], b"</td>", b"</dt>"].iter().find_map(|end| before.strip_suffix(*end))?;
        self.plain(from, inner)
    }

    /// The text behind the last `>` of `before`, which starts at `from`.
    fn plain(&self, from: usize, before: &[u8]) -> Option<Range<usize>> {
        let start = before.iter().rposition(|byte| *byte == b'>')? + 1;
        let text = part(before, start, before.len());
        let trimmed = text.trim_ascii();
        let start = from + start + (text.len() - text.trim_ascii_start().len());
        (!trimmed.is_empty() && trimmed.len() <= LABEL_BYTES).then_some(start..start + trimmed.len())
    }

    /// Two or more dashes at `place`: a flag with its value, or the armour of a key.
    #[inline(never)]
    pub(super) fn dashes(&mut self, place: usize) {
        let behind = self.while_ahead(place, 8, |byte| byte == b'-');
        if behind - place == 2 && at(self.text, behind).is_ascii_alphabetic() {
            let end = self.while_ahead(behind, 64, |byte| is_word(byte) || byte >= 0x80);
            if !matches!(at(self.text, end), b' ' | b'"' | b',')
                || at(self.text, end) == b'"' && at(self.text, end + 1) != b','
            {
                return;
            }
            let interest = self.recent.name(&self.lexicon.vocabulary, self.text, &(behind..end));
            let start = self.while_ahead(end, 4, |byte| matches!(byte, b' ' | b'"' | b',' | b'\''));
            let quote = before(self.text, start);
            let value_end = self.while_ahead(start, 256, |byte| match quote {
                b'"' | b'\'' => byte != quote && byte != b'\n',
                _ => !byte.is_ascii_whitespace() && !matches!(byte, b'"' | b'\''),
            });
            if !interest.is_none() && at(self.text, start) != b'-' {
                self.field = Field { interest, judged: 0..0, name: behind..end, value: None, starts: start };
                self.value(&Value { range: start..value_end, quoted: true });
            }
            return;
        }
        if behind - place < 5 || !part(self.text, behind, self.text.len()).starts_with(b"BEGIN") {
            return;
        }
        let rest = part(self.text, place, place + 2 * RUN_BYTES);
        let last = memchr::memmem::find(rest, b"-----END");
        let end = last.map_or(rest.len(), |end| {
            let label = end
                + 8
                + part(rest, end + 8, rest.len())
                    .iter()
                    .take_while(|byte| !matches!(byte, b'-' | b'\n' | b'"'))
                    .count();
            label + part(rest, label, rest.len()).iter().take_while(|byte| **byte == b'-').count()
        });
        let around = self.around(place, place + end);
        if let Some(found) = self.ask(secret::judge, place, place + end, &around, Evidence::SHAPE) {
            self.keep_of(found, place + end, last.is_none() && end >= 2 * RUN_BYTES);
            self.run_end = self.run_end.max(found.end);
            self.cluster_end = self.cluster_end.max(found.end);
        }
    }

    /// Words that documents are marked with, and sentences and commands that hold secrets.
    pub(super) fn triggers(&mut self, from: usize, to: usize) {
        let text = part(self.text, from, to);
        let places = self.lexicon.literals.places(text);
        let mut marked = 0;
        for mark in places.iter().filter(|place| place.list == MARKS) {
            let (start, end) = self.block_around(from + mark.range.start);
            if from + mark.range.end <= marked || !self.work.spend(256 + end - start) {
                continue;
            }
            let (start, block) = utf8_within(self.text, start, end);
            if let Some(raw) =
                identifier::marking(block).and_then(|judged| raw(&judged, start, block.len(), Evidence::MARK))
            {
                marked = raw.end;
                self.keep(raw);
            }
        }
        let mut read = 0;
        for trigger in places.iter().filter(|place| place.list != MARKS) {
            let place = from + trigger.range.start;
            if place < read {
                continue;
            }
            let word = part(text, trigger.range.start, trigger.range.end);
            let is_kind = word.first_chunk::<4>().is_some_and(|start| start.eq_ignore_ascii_case(b"kind"));
            let (mut start, mut end) = if is_kind { self.block_around(place) } else { self.line_around(place) };
            // A label at the end of its line has its value in the next.
            if end < from + trigger.range.end + 4 && at(self.text, end) == b'\n' {
                end = self.while_ahead(end + 1, REACH / 8, |byte| byte != b'\n');
            }
            read = end;
            for _ in 0..PASSAGES {
                if !self.work.spend(256 + end - start) {
                    return;
                }
                let (from, passage) = utf8_within(self.text, start, end);
                let said = secret::passage(passage).filter(|judged| judged.score >= self.lexicon.threshold);
                let Some(raw) = said
                    .or_else(|| identifier::passage(passage))
                    .and_then(|judged| raw(&judged, from, passage.len(), Evidence::WORDS))
                else {
                    break;
                };
                start = raw.end;
                self.keep(raw);
            }
        }
    }

    /// The lines around `place`, up to 1 KiB.
    fn block_around(&self, place: usize) -> (usize, usize) {
        let start = place.saturating_sub(REACH / 2);
        let line = part(self.text, start, place)
            .iter()
            .position(|byte| *byte == b'\n')
            .map_or(start, |found| start + found + 1);
        (if start == 0 { 0 } else { line }, (place + REACH / 2).min(self.text.len()))
    }

    fn line_around(&self, place: usize) -> (usize, usize) {
        (
            self.while_behind(place, REACH / 2, |byte| byte != b'\n'),
            self.while_ahead(place, REACH / 2, |byte| byte != b'\n'),
        )
    }
}

/// Elements that hold names of what the next one holds.
const NAMES: &[&[u8]] =
    &[b"attribute", b"b", b"dt", b"field", b"key", b"label", b"name", b"property", b"strong", b"th", b"title", b"type"];

/// Whether an element of this name may hold a value whose name stands elsewhere.
fn holds_value(tag: &[u8]) -> bool {
    const VALUES: &[&[u8]] = &[
        b"attribute",
        b"entry",
        b"field",
        b"item",
        b"option",
        b"output",
        b"param",
        b"property",
        b"setting",
        b"span",
        b"string",
        b"text",
        b"val",
        b"value",
        b"var",
        b"variable",
    ];
    VALUES.iter().any(|value| tag.eq_ignore_ascii_case(value))
}
