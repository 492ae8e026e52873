//! Tables in text: of values with commas, semicolons or tabs between them, of Markdown, as terminals of databases print them, and as their dumps copy them. A line of
//! names starts one, lines with as many fields go on with it. Where the names are `Field` and `Value`, each line has a name of its own.

use std::ops::Range;

use super::bytes::{at, part};
use super::words::Interest;

/// The longest line that may be of a table.
const LINE_BYTES: usize = 1024;

/// The longest value behind a label.
const VALUE_BYTES: usize = 160;

/// The most columns with names that matter.
const COLUMNS: usize = 32;

/// The longest name of a column.
const NAME_BYTES: usize = 64;

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
        if !matches!(bytes.trim_ascii_start().first(), Some(b'{' | b'[' | b'"')) {
            return None;
        }
        let quote = bytes.iter().rposition(|byte| *byte == b'"')?;
        let before = part(bytes, 0, quote).trim_ascii_end();
        (before.last() == Some(&b':')).then(|| Self { start: self.start + quote + 1, ..*self })
    }

    /// The label at the start of a line and the value behind it, where a sign that is none of names stands between.
    pub(super) fn labelled(&self) -> Option<(Range<usize>, Range<usize>)> {
        const SIGNS: &[&[u8]] = &[
            b" - ",
            b" -> ",
            b" => ",
            b" :: ",
            " – ".as_bytes(),
            " — ".as_bytes(),
            b"\t",
            b" | ",
            b"|",
            b"  ",
            b" ..",
        ];
        let bytes = part(self.text, self.start, self.end);
        let skipped =
            bytes.iter().take_while(|byte| matches!(byte, b' ' | b'-' | b'*' | b'>' | b'|' | b'#' | b'+')).count();
        let label = part(bytes, skipped, skipped + NAME_BYTES);
        let length = label
            .iter()
            .take_while(|byte| {
                byte.is_ascii_alphanumeric()
                    || **byte >= 0x80
                    || matches!(byte, b' ' | b'_' | b'/' | b'\'' | b'-' | b'.' | b'(' | b')')
            })
            .count();
        // The first sign in what may be a label, or behind that.
        let near = part(label, 0, length + 4);
        let (place, sign) = (1..near.len()).find_map(|place| {
            if !matches!(at(near, place), b' ' | b'\t' | b'|') {
                return None;
            }
            let rest = part(label, place, label.len());
            SIGNS.iter().find(|sign| rest.starts_with(sign)).map(|sign| (place, sign.len()))
        })?;
        let is_between = |byte: &u8| matches!(byte, b' ' | b'.' | b'\t' | b'|');
        let value = part(bytes, skipped + place + sign, bytes.len());
        let gap = value.iter().take_while(|byte| is_between(byte)).count();
        let value = part(value, gap, value.len());
        let end = value.iter().position(|byte| matches!(byte, b'|' | b'\t' | b'"')).unwrap_or(value.len());
        let end = part(value, 0, end).trim_ascii_end().len();
        let start = self.start + skipped + place + sign + gap;
        let name = part(label, 0, place).trim_ascii_end().len();
        let is_label = name >= 2 && (1..=VALUE_BYTES).contains(&end);
        is_label.then_some((self.start + skipped..self.start + skipped + name, start..start + end))
    }

    /// Whether it only rules the line of names off: `----+----`.
    fn is_rule(&self) -> bool {
        let bytes = part(self.text, self.start, self.end);
        bytes.len() > 2 && bytes.iter().all(|byte| matches!(byte, b'-' | b'+' | b'=' | b'|' | b':' | b' '))
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
    /// Where each line has a name, and the value that it names.
    pair: Option<(usize, usize)>,
}

/// What the second column of a table of names and values is called.
const VALUES: &[&str] =
    &["content", "current value", "setting", "valeur", "valor", "valore", "value", "waarde", "wert"];

/// What the first one is called.
const NAMES: &[&str] = &[
    "attribute",
    "campo",
    "champ",
    "eigenschaft",
    "feld",
    "field",
    "item",
    "key",
    "label",
    "name",
    "nome",
    "parameter",
    "property",
    "setting",
    "variable",
    "variable_name",
];

impl Table {
    /// Whether a line that starts with `byte` starts no table, whatever follows.
    pub(super) const fn is_other(byte: u8) -> bool {
        matches!(byte, b' ' | b'}' | b']' | b'#' | b'/' | b'<' | b'\n')
    }

    /// Whether the first line of `lines` is an indented one that may start a table all the same.
    pub(super) fn may_be_indented(lines: &[u8]) -> bool {
        lines.first() == Some(&b' ') && may_be_head(part(lines, 0, memchr::memchr(b'\n', lines).unwrap_or(lines.len())))
    }

    /// The table that `line` starts, if its fields are names and one of them matters.
    pub(super) fn begin(line: &Line<'_>, mut interest: impl FnMut(&[u8]) -> Interest) -> Option<Self> {
        // In a text that is a member of an object, what stands before it is not of its first line.
        let inner = line.within_member();
        let line = inner.as_ref().unwrap_or(line);
        let bytes = part(line.text, line.start, line.end);
        let first = bytes.first().copied().unwrap_or(b'{');
        if matches!(first, b'i' | b'I')
            && let Some((columns, _)) = inserted(bytes)
        {
            let fields = columns.len();
            let columns = named(columns.into_iter(), &mut interest);
            return (!columns.is_empty()).then_some(Self { separator: STATEMENT, fields, columns, pair: None });
        }
        if first == b'C'
            && let Some(columns) = copied(bytes)
        {
            let fields = columns.len();
            let columns = named(columns.into_iter(), &mut interest);
            return (!columns.is_empty()).then_some(Self { separator: b'\t', fields, columns, pair: None });
        }
        // Terminals put a space before what stands between bars.
        if matches!(first, b'{' | b'}' | b'[' | b']' | b'#' | b'/' | b'<' | b'\n')
            || !line.is_short()
            || first == b' ' && !may_be_head(bytes)
        {
            return None;
        }
        let separator =
            *[b'\t', b'|', b';', b','].iter().find(|separator| memchr::memchr(**separator, bytes).is_some())?;
        if memchr::memchr3(b'=', b':', b'(', bytes).is_some() {
            return None;
        }
        let fields = line.fields(separator);
        let mut names = Vec::new();
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
            names.push((index, name));
        }
        let is = |name: &[u8], known: &[&str]| known.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
        let pair = match names.as_slice() {
            [(name, first), (value, second), ..] if is(first, NAMES) && is(second, VALUES) => Some((*name, *value)),
            _ => None,
        };
        let fields = fields.len();
        let columns = if pair.is_some() { Vec::new() } else { named(names.into_iter(), &mut interest) };
        (pair.is_some() || !columns.is_empty()).then_some(Self { separator, fields, columns, pair })
    }

    /// Whether it is a statement that inserts rows.
    pub(super) const fn is_statement(&self) -> bool {
        self.separator == STATEMENT
    }

    /// Whether `line` goes on with it.
    pub(super) fn fits(&self, line: &Line<'_>) -> bool {
        if self.is_statement() {
            // It may have begun within the same member.
            let inner = line.within_member();
            let line = inner.as_ref().unwrap_or(line);
            let bytes = part(line.text, line.start, line.end);
            return bytes.trim_ascii_start().first() == Some(&b'(')
                || inserted(bytes).is_some_and(|(names, _)| {
                    names.len() == self.fields
                        && self.columns.iter().all(|(index, name, _)| {
                            names.get(*index).is_some_and(|(_, other)| *other == name.as_slice())
                        })
                });
        }
        line.is_short()
            && (line.fields(self.separator).len() == self.fields || self.separator == b'|' && line.is_rule())
    }

    /// The cells of `line` that have names that matter, each with its name.
    pub(super) fn cells<'c>(
        &'c self,
        line: &Line<'c>,
        mut interest: impl FnMut(&[u8]) -> Interest,
    ) -> Vec<(&'c [u8], Interest, Range<usize>)> {
        if self.is_statement() {
            let inner = line.within_member();
            let line = inner.as_ref().unwrap_or(line);
            let bytes = part(line.text, line.start, line.end);
            let from = inserted(bytes).map_or(0, |(_, from)| from);
            let rows = tuples(bytes, from, self.fields);
            let cells = rows.iter().flat_map(|row| {
                self.columns.iter().filter_map(|(index, name, interest)| {
                    let value = row.get(*index)?;
                    Some((name.as_slice(), *interest, line.start + value.start..line.start + value.end))
                })
            });
            return cells.collect();
        }
        let fields = line.fields(self.separator);
        if let Some((name, value)) = self.pair {
            let (Some(name), Some(value)) = (fields.get(name), fields.get(value)) else { return Vec::new() };
            let name = trim_marks(part(line.text, name.start, name.end));
            let interest = if name.len() <= NAME_BYTES { interest(name) } else { Interest::NONE };
            return if interest.is_none() { Vec::new() } else { vec![(name, interest, value.clone())] };
        }
        self.columns
            .iter()
            .filter_map(|(index, name, interest)| Some((name.as_slice(), *interest, fields.get(*index)?.clone())))
            .collect()
    }
}

/// Whether an indented line may be one of names between bars: no member of an object, mostly.
fn may_be_head(line: &[u8]) -> bool {
    let inner = line.trim_ascii_start();
    // A member whose text goes on in the next line.
    if inner.first() == Some(&b'"') {
        return inner.last().is_some_and(|last| last.is_ascii_alphabetic() || *last == b'|');
    }
    !matches!(inner.first(), Some(b'{' | b'}' | b'[' | b']' | b'-' | b'#' | b'/' | b'<') | None)
        && memchr::memchr(b'|', inner).is_some()
}

/// A name without what makes it stand out: `**Name**` and `` `name` ``.
fn trim_marks(name: &[u8]) -> &[u8] {
    let is_mark = |byte: &&u8| matches!(byte, b'*' | b'`' | b'_' | b':');
    let left = name.iter().take_while(is_mark).count();
    let right = part(name, left, name.len()).iter().rev().take_while(is_mark).count();
    part(name, left, name.len() - right)
}

/// Those of the columns whose names matter.
fn named<'n>(
    names: impl Iterator<Item = (usize, &'n [u8])>,
    interest: &mut impl FnMut(&[u8]) -> Interest,
) -> Vec<(usize, Vec<u8>, Interest)> {
    names
        .map(|(index, name)| (index, name, interest(name)))
        .filter(|(_, _, interest)| !interest.is_none())
        .map(|(index, name, interest)| (index, name.to_vec(), interest))
        .take(COLUMNS)
        .collect()
}

/// The separator of a statement's table, which no line of another has.
const STATEMENT: u8 = b'(';

/// How much of a line with rows of a statement is looked at.
const ROWS_BYTES: usize = 8 * 1024;

/// The names of columns, each with its number.
type Names<'n> = Vec<(usize, &'n [u8])>;

/// The columns that a statement inserts into, and where its rows start: of ``INSERT INTO `people` (`id`, `name`) VALUES (…`` , `id` and `name`.
fn inserted(line: &[u8]) -> Option<(Names<'_>, usize)> {
    let head = part(line, 0, LINE_BYTES);
    if !part(head, 0, 12).eq_ignore_ascii_case(b"insert into ") {
        return None;
    }
    let open = memchr::memchr(b'(', head)?;
    let close = open + memchr::memchr(b')', part(head, open, head.len()))?;
    let rest = part(line, close + 1, line.len());
    let spaces = rest.len() - rest.trim_ascii_start().len();
    if !part(rest, spaces, spaces + 6).eq_ignore_ascii_case(b"values") {
        return None;
    }
    let names = part(head, open + 1, close).split(|byte| *byte == b',').map(|name| {
        let name = name.trim_ascii();
        let is_quoted = matches!(name.first(), Some(b'`' | b'"' | b'[')) && name.len() > 1;
        if is_quoted { part(name, 1, name.len() - 1) } else { name }
    });
    Some((names.take(2 * COLUMNS).enumerate().collect(), close + 1 + spaces + 6))
}

/// The rows in brackets behind `from` that have so many fields, without the quotes around those.
fn tuples(line: &[u8], from: usize, fields: usize) -> Vec<Vec<Range<usize>>> {
    let mut rows = Vec::new();
    let mut row = Vec::new();
    let end = line.len().min(from + ROWS_BYTES);
    let mut start = None;
    let mut place = from;
    while place < end {
        match at(line, place) {
            b'\'' if start.is_some() => place = quote_end(line, place, end),
            b'(' if start.is_none() => start = Some(place + 1),
            byte @ (b',' | b')') => {
                if let Some(field) = start {
                    row.push(unquoted(line, field, place));
                    start = (byte == b',').then_some(place + 1);
                    if byte == b')' {
                        let whole = std::mem::take(&mut row);
                        if whole.len() == fields {
                            rows.push(whole);
                        }
                    }
                }
            }
            _ => {}
        }
        place += 1;
    }
    rows
}

/// Where the text ends that starts with the quote at `open`; a quote in it is written twice, or behind a backslash.
fn quote_end(line: &[u8], open: usize, end: usize) -> usize {
    let mut place = open + 1;
    while place < end {
        match at(line, place) {
            b'\\' => place += 1,
            b'\'' if at(line, place + 1) == b'\'' => place += 1,
            b'\'' => return place,
            _ => {}
        }
        place += 1;
    }
    end
}

fn unquoted(line: &[u8], start: usize, end: usize) -> Range<usize> {
    let field = part(line, start, end);
    let left = field.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let right = field.iter().rev().take_while(|byte| byte.is_ascii_whitespace()).count();
    let inner = part(field, left, field.len().saturating_sub(right));
    let open = inner.iter().take(2).position(|byte| *byte == b'\'');
    match open {
        Some(open) if inner.last() == Some(&b'\'') && inner.len() > open + 1 => {
            start + left + open + 1..start + left + inner.len() - 1
        }
        _ => start + left..start + left + inner.len(),
    }
}

/// The columns of a dump: of `COPY people (id, name) FROM stdin;`, `id` and `name`.
fn copied(line: &[u8]) -> Option<Vec<(usize, &[u8])>> {
    let rest = line.strip_prefix(b"COPY ")?;
    let (open, close) = (memchr::memchr(b'(', rest)?, memchr::memrchr(b')', rest)?);
    if !part(rest, close + 1, rest.len()).trim_ascii().eq_ignore_ascii_case(b"from stdin;") {
        return None;
    }
    let names = part(rest, open + 1, close).split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    Some(names.map(|name| name.trim_ascii()).enumerate().collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, &str)]) {
        let bytes = text.as_bytes();
        let mut table: Option<Table> = None;
        let mut found = Vec::new();
        let mut start = 0;
        let interest =
            |name: &[u8]| if name.eq_ignore_ascii_case(b"ssn") { Interest::IDENTIFIER } else { Interest::NONE };
        while start < bytes.len() {
            let line = Line::at(bytes, start);
            if let Some(known) = table.as_ref().filter(|table| table.fits(&line)) {
                found.extend(known.cells(&line, interest).into_iter().map(|(name, _, range)| {
                    (String::from_utf8_lossy(name).into_owned(), text.get(range).unwrap().to_owned())
                }));
            } else {
                table = Table::begin(&line, interest);
                if table.as_ref().is_some_and(|table| table.is_statement() && table.fits(&line)) {
                    continue;
                }
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
        check(" id | ssn\n----+-----\n  1 | 2\n(1 row)\n", &[("ssn", "2")]);
        check("+----+-----+\n| id | ssn |\n+----+-----+\n|  1 | 2   |\n+----+-----+\n", &[("ssn", "2")]);
        check("COPY people (id, ssn) FROM stdin;\n1\t2\n\\.\n", &[("ssn", "2")]);
        check(
            "INSERT INTO `people` (`id`,`ssn`) VALUES (1,'2'),(3,N'it''s, (4)');\n",
            &[("ssn", "2"), ("ssn", "it''s, (4)")],
        );
        check("insert into people (id, ssn) values\n(1, '2'),\n(3, '4');\n", &[("ssn", "2"), ("ssn", "4")]);
        check(
            "{\"text\":\"INSERT INTO people (id, ssn) VALUES (1, '2');\n(3, '4');\"}\n",
            &[("ssn", "2"), ("ssn", "4")],
        );
        check("| Field | Value |\n|---|---|\n| **SSN** | 1 |\n| Id | 2 |\n", &[("SSN", "1")]);
        check("name,phone\nA,1\n", &[]);
        check("{\"a\", \"ssn\"\n1,2\n", &[]);
    }
}
