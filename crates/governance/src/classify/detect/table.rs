//! Tables in text: of values with commas, semicolons or tabs between them, and of Markdown. A line of names starts one, lines with as many fields go on with it.

use std::ops::Range;

use super::bytes::{at, part};
use super::words::Interest;

/// The longest line that may be of a table.
const LINE_BYTES: usize = 1024;

/// The most columns with names that matter.
const COLUMNS: usize = 32;

/// The longest name of a column.
const NAME_BYTES: usize = 40;

/// A line of a text.
#[derive(Debug)]
pub(super) struct Line<'t> {
    text: &'t [u8],
    start: usize,
    end: usize,
    /// Where the next one starts.
    pub(super) next: usize,
}

impl<'t> Line<'t> {
    pub(super) fn at(text: &'t [u8], start: usize) -> Self {
        let rest = part(text, start, text.len());
        let length = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        let end = start + length - usize::from(length > 0 && at(rest, length - 1) == b'\r');
        Self { text, start, end, next: start + length + 1 }
    }

    /// The line without the start of the JSON that it is in: of `{"text":"a,b`, `a,b`.
    fn within_member(&self) -> Option<Self> {
        let bytes = part(self.text, self.start, self.end);
        if !matches!(bytes.first(), Some(b'{' | b'[')) {
            return None;
        }
        let quote = bytes.iter().rposition(|byte| *byte == b'"')?;
        let before = part(bytes, 0, quote).trim_ascii_end();
        (before.last() == Some(&b':')).then(|| Self { start: self.start + quote + 1, ..*self })
    }

    const fn is_short(&self) -> bool {
        self.end - self.start <= LINE_BYTES
    }

    /// Its fields, without quotes and spaces; separators in quotes separate nothing.
    fn fields(&self, separator: u8) -> Vec<Range<usize>> {
        let mut fields = Vec::new();
        let mut start = self.start;
        let mut quoted = false;
        for place in self.start..=self.end {
            let byte = at(self.text, place);
            if place == self.end || byte == separator && !quoted {
                fields.push(self.trim(start, place));
                start = place + 1;
            } else if byte == b'"' {
                quoted = !quoted;
            }
        }
        fields
    }

    fn trim(&self, start: usize, end: usize) -> Range<usize> {
        let trimmed = |byte: &&u8| matches!(byte, b' ' | b'"' | b'\t');
        let field = part(self.text, start, end);
        let left = field.iter().take_while(trimmed).count();
        let right = part(field, left, field.len()).iter().rev().take_while(trimmed).count();
        start + left..end - right
    }
}

/// A table whose first line was passed.
#[derive(Clone, Debug)]
pub(super) struct Table {
    separator: u8,
    fields: usize,
    columns: Vec<(usize, Vec<u8>, Interest)>,
}

impl Table {
    /// The table that `line` starts, if its fields are names and one of them matters.
    pub(super) fn begin(line: &Line<'_>, mut interest: impl FnMut(&[u8]) -> Interest) -> Option<Self> {
        // In a text that is a member of an object, what stands before it is not of its first line.
        let inner = line.within_member();
        let line = inner.as_ref().unwrap_or(line);
        if matches!(at(line.text, line.start), b' ' | b'{' | b'}' | b'[' | b']' | b'#' | b'/' | b'<' | b'\n')
            || !line.is_short()
        {
            return None;
        }
        let bytes = part(line.text, line.start, line.end);
        let separator =
            *[b'\t', b'|', b';', b','].iter().find(|separator| memchr::memchr(**separator, bytes).is_some())?;
        if memchr::memchr3(b'=', b':', b'(', bytes).is_some() {
            return None;
        }
        let fields = line.fields(separator);
        let mut columns = Vec::new();
        for (index, range) in fields.iter().enumerate() {
            let name = part(line.text, range.start, range.end);
            if name.is_empty() && separator == b'|' {
                continue;
            }
            if name.is_empty()
                || name.len() > NAME_BYTES
                || !name.iter().any(|byte| byte.is_ascii_alphabetic() || *byte >= 0x80)
                || name.iter().filter(|byte| **byte == b' ').count() > 3
            {
                return None;
            }
            let interest = interest(name);
            if !interest.is_none() && columns.len() < COLUMNS {
                columns.push((index, name.to_vec(), interest));
            }
        }
        (!columns.is_empty()).then_some(Self { separator, fields: fields.len(), columns })
    }

    /// Whether `line` goes on with it.
    pub(super) fn fits(&self, line: &Line<'_>) -> bool {
        line.is_short() && line.fields(self.separator).len() == self.fields
    }

    /// The cells of `line` under names that matter.
    pub(super) fn cells(&self, line: &Line<'_>) -> Vec<(&[u8], Interest, Range<usize>)> {
        let fields = line.fields(self.separator);
        self.columns
            .iter()
            .filter_map(|(index, name, interest)| Some((name.as_slice(), *interest, fields.get(*index)?.clone())))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, &str)]) {
        let bytes = text.as_bytes();
        let mut table: Option<Table> = None;
        let mut found = Vec::new();
        let mut start = 0;
        while start < bytes.len() {
            let line = Line::at(bytes, start);
            if let Some(known) = table.as_ref().filter(|table| table.fits(&line)) {
                found.extend(known.cells(&line).into_iter().map(|(name, _, range)| {
                    (String::from_utf8_lossy(name).into_owned(), text.get(range).unwrap().to_owned())
                }));
            } else {
                table = Table::begin(&line, |name| {
                    if name.eq_ignore_ascii_case(b"ssn") { Interest::IDENTIFIER } else { Interest::NONE }
                });
            }
            start = line.next;
        }
        let found: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn cells_have_their_columns_names() {
        check("name,ssn\r\nA,1\r\n\"B, C\",2\n", &[("ssn", "1"), ("ssn", "2")]);
        check("| Name | SSN |\n|---|---|\n| A | 1 |\n\ntext", &[("SSN", "---"), ("SSN", "1")]);
        check("id\tssn\n1\t2", &[("ssn", "2")]);
        check("name,phone\nA,1\n", &[]);
        check("{\"a\", \"ssn\"\n1,2\n", &[]);
    }
}
