//! Cells of tables: in lines of text, and in the lists of JSON.

use std::ops::Range;

use super::super::bytes::{at, part};
use super::super::field::Value;
use super::super::masks::{self, BLOCK};
use super::super::table::{Line, Table};
use super::super::{Evidence, grid};
use super::{Around, Pass, REACH};

impl Pass<'_> {
    /// Rows of tables: the columns' names are the names of what stands in them.
    pub(super) fn rows(&mut self, own: &Range<usize>, table: &mut Option<Table>) {
        let from = own.start.saturating_sub(REACH);
        let line = memchr::memrchr(b'\n', part(self.text, from, own.start));
        let mut start = line.map_or(from, |end| from + end + 1);
        while start < own.end && !self.work.exhausted {
            if table.is_none() && start >= own.start {
                match self.table_from(start, own.end) {
                    Some(place) => start = place,
                    None => break,
                }
            }
            let line = Line::at(self.text, start);
            let next = line.next;
            if let Some(known) = table.as_ref().filter(|known| known.fits(&line)) {
                let cells =
                    known.cells(&line, |name| self.recent.name(&self.lexicon.vocabulary, name, &(0..name.len())));
                for (name, interest, range) in cells {
                    let around = Around { name: self.lexicon.vocabulary.words_of(name), ..Around::none() };
                    let value = Value { range, quoted: true };
                    if value.range.len() >= 2
                        && let Some(found) = self.judge_value(&value, interest, &around, Evidence::COLUMN)
                    {
                        self.keep(found);
                    }
                }
            } else if start >= own.start {
                self.labelled(&line);
                *table = Table::begin(&line, |name| self.recent.name(&self.lexicon.vocabulary, name, &(0..name.len())));
                // A statement has its first rows on the line of the names: each line is looked at once more at the most.
                if table.as_ref().is_some_and(|table| table.is_statement() && table.fits(&line)) {
                    continue;
                }
            }
            start = next;
        }
    }

    /// Judges what stands behind a label in a line without a colon: `Street - …`, `Plate -> …`, `Zip ..... …`.
    fn labelled(&mut self, line: &Line<'_>) {
        let Some((name, value)) = line.labelled() else { return };
        let interest = self.recent.name(&self.lexicon.vocabulary, self.text, &name);
        if interest.is_none() || interest.is_generic() || value.len() < 2 || !self.work.spend(64) {
            return;
        }
        // What people call a secret in a line, a word may follow.
        let bytes = part(self.text, value.start, value.end);
        let is_drawn = bytes.iter().any(u8::is_ascii_digit) && !bytes.contains(&b' ');
        let interest = if is_drawn { interest } else { interest.without_secrets() };
        let name = self.lexicon.vocabulary.words_of(part(self.text, name.start, name.end));
        let value = Value { range: value, quoted: true };
        let found = self.judge_value(&value, interest, &Around { name, ..Around::none() }, Evidence::NAME);
        if let Some(found) = found {
            self.keep(found);
        }
    }

    /// The first line from `start` on, and before `end`, that may start a table. Most of source code and of objects spread over lines may not.
    fn table_from(&self, start: usize, end: usize) -> Option<usize> {
        let may_begin = |line: usize| {
            !Table::is_other(at(self.text, line)) || Table::may_be_indented(part(self.text, line, self.text.len()))
        };
        if may_begin(start) {
            return Some(start);
        }
        let mut from = start;
        while from < end {
            let mut ends = masks::newlines(self.text, from);
            if ends == 0 {
                let behind = part(self.text, from + BLOCK, end);
                from += BLOCK + memchr::memchr(b'\n', behind)?;
                continue;
            }
            while ends != 0 {
                let line = from + ends.trailing_zeros() as usize + 1;
                ends &= ends.wrapping_sub(1);
                if line >= end {
                    return None;
                }
                if may_begin(line) {
                    return Some(line);
                }
            }
            from += BLOCK;
        }
        None
    }

    /// Judges the cells of the rows behind `from` by the names of their columns.
    #[inline(never)]
    pub(super) fn grid(&mut self, from: usize) {
        for cell in grid::cells(self.text, from) {
            let interest = self.recent.name(&self.lexicon.vocabulary, self.text, &cell.name);
            if interest.is_none() || cell.value.len() < 2 || !self.work.spend(64) {
                continue;
            }
            let name = self.lexicon.vocabulary.words_of(part(self.text, cell.name.start, cell.name.end));
            let value = Value { range: cell.value, quoted: true };
            let found = self.judge_value(&value, interest, &Around { name, ..Around::none() }, Evidence::COLUMN);
            if let Some(found) = found {
                self.keep(found);
            }
        }
    }
}
