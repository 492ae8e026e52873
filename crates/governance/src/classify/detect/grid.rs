//! Answers of databases and spreadsheets: the names of columns stand in one list, and what stands in them in others.
//!
//! `{"columns":["id","ssn"],"rows":[[1,"…"]]}`, `{"fields":[{"name":"ssn"}]}` with rows of `{"f":[{"v":"…"}]}`, and `{"values":[["id","ssn"],[1,"…"]]}`, whose first row has
//! the names. Of a longer list, what stands in the first kilobytes is looked at.

use std::ops::Range;

use super::bytes::{at, part};

/// How far back the names of the columns are looked for.
const NAMES_BYTES: usize = 4 * 1024;

/// How much of the rows is looked at.
const ROWS_BYTES: usize = 16 * 1024;

/// The most columns.
const COLUMNS: usize = 64;

/// The longest name of a column.
const NAME_BYTES: usize = 64;

/// The members that hold the names of columns.
const HEADERS: &[&[u8]] =
    &[b"columns\"", b"fields\"", b"headers\"", b"header\"", b"columnNames\"", b"rowType\"", b"schema\""];

/// A cell, with the name of its column.
pub(super) struct Cell {
    pub(super) name: Range<usize>,
    pub(super) value: Range<usize>,
}

/// Whether a member of this name may hold rows.
pub(super) fn may_hold(name: &[u8]) -> bool {
    matches!(name, b"rows" | b"values" | b"data" | b"datarows" | b"records" | b"results")
}

/// The cells of the rows in the list that starts behind `from`, which is behind the separator of their member.
pub(super) fn cells(text: &[u8], from: usize) -> Vec<Cell> {
    let start = from + part(text, from, from + 64).iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let inner =
        start + 1 + part(text, start + 1, start + 65).iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    if at(text, start) != b'[' || !matches!(at(text, inner), b'[' | b'{') {
        return Vec::new();
    }
    let mut rows = rows(text, start);
    let behind = part(text, from.saturating_sub(NAMES_BYTES), from);
    let base = from.saturating_sub(NAMES_BYTES);
    let header = HEADERS.iter().filter_map(|name| memchr::memmem::rfind(behind, name).map(|at| at + name.len())).max();
    let mut names = header.map_or_else(Vec::new, |header| self::names(text, base + header));
    if names.is_empty() {
        // The first row has the names, where all of it is text and all after it has as many cells.
        if at(text, inner) != b'[' || rows.len() < 2 {
            return Vec::new();
        }
        names = rows.remove(0);
        let is_name = |range: &Range<usize>| {
            let name = part(text, range.start, range.end);
            name.len() <= NAME_BYTES
                && name.iter().any(|byte| byte.is_ascii_alphabetic() || *byte >= 0x80)
                && !name.iter().any(|byte| matches!(byte, b'@' | b'/'))
        };
        if !names.iter().all(is_name) {
            return Vec::new();
        }
    }
    let fitting = rows.into_iter().filter(|row| row.len() <= names.len() && !row.is_empty());
    fitting
        .flat_map(|row| names.iter().cloned().zip(row).map(|(name, value)| Cell { name, value }).collect::<Vec<_>>())
        .collect()
}

/// The names of the columns in the list behind `from`: texts, or the members `name` of objects.
fn names(text: &[u8], from: usize) -> Vec<Range<usize>> {
    let open = memchr::memchr(b'[', part(text, from, from + 64)).map(|open| from + open);
    let Some(open) = open else { return Vec::new() };
    let mut names = Vec::new();
    let mut depth = 0_usize;
    let mut place = open;
    let mut member: &[u8] = b"";
    while place < (open + NAMES_BYTES).min(text.len()) && names.len() < COLUMNS {
        match at(text, place) {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
            b'"' => {
                let end = text_end(text, place);
                let content = place + 1..end;
                place = end;
                let rest = part(text, end + 1, end + 17).trim_ascii_start();
                if rest.first() == Some(&b':') {
                    member = part(text, content.start, content.end);
                } else if depth == 1 || matches!(member, b"name" | b"label" | b"columnName") {
                    names.push(content);
                    member = b"";
                }
            }
            _ => {}
        }
        place += 1;
    }
    names
}

/// The cells of each row of the list at `open`: its values that are no lists or objects, in their order.
fn rows(text: &[u8], open: usize) -> Vec<Vec<Range<usize>>> {
    let mut rows = Vec::new();
    let mut row = Vec::new();
    let mut depth = 0_usize;
    let mut place = open;
    let end = (open + ROWS_BYTES).min(text.len());
    while place < end {
        match at(text, place) {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => {
                depth -= 1;
                if depth == 0 {
                    break;
                }
                if depth == 1 {
                    rows.push(std::mem::take(&mut row));
                }
            }
            b'"' => {
                let end = text_end(text, place);
                let content = place + 1..end;
                place = end;
                let rest = part(text, end + 1, end + 17).trim_ascii_start();
                if rest.first() != Some(&b':') && row.len() < COLUMNS {
                    row.push(content);
                }
            }
            byte if byte.is_ascii_alphanumeric() || byte == b'-' => {
                let length = part(text, place, end)
                    .iter()
                    .take_while(|byte| !matches!(byte, b',' | b']' | b'}') && !byte.is_ascii_whitespace())
                    .count();
                if row.len() < COLUMNS {
                    row.push(place..place + length);
                }
                place += length.saturating_sub(1);
            }
            _ => {}
        }
        place += 1;
    }
    rows
}

/// Where the text ends that starts with the quote at `open`.
fn text_end(text: &[u8], open: usize) -> usize {
    let mut from = open + 1;
    while let Some(found) = memchr::memchr(b'"', part(text, from, open + ROWS_BYTES)) {
        let close = from + found;
        let slashes = part(text, open + 1, close).iter().rev().take_while(|byte| **byte == b'\\').count();
        if slashes.is_multiple_of(2) {
            return close;
        }
        from = close + 1;
    }
    (open + ROWS_BYTES).min(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, &str)]) {
        let member = ["\"rows\":", "\"values\":"].iter().find_map(|name| text.find(name).map(|at| at + name.len()));
        let cells = cells(text.as_bytes(), member.unwrap());
        let found: Vec<_> =
            cells.into_iter().map(|cell| (text.get(cell.name).unwrap(), text.get(cell.value).unwrap())).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn cells_have_the_names_of_their_columns() {
        check(
            r#"{"columns":["id","ssn"],"rows":[[1,"a"],[2,"b"]]}"#,
            &[("id", "1"), ("ssn", "a"), ("id", "2"), ("ssn", "b")],
        );
        check(
            r#"{"schema":{"fields":[{"name":"id","type":"INT"},{"name":"ssn"}]},"rows":[{"f":[{"v":"1"},{"v":"a"}]}]}"#,
            &[("id", "1"), ("ssn", "a")],
        );
        check(r#"{"values": [["Id", "SSN"], ["1", "a"]]}"#, &[("Id", "1"), ("SSN", "a")]);
        check(r#"{"values": [[1.5, 2], [3, 4]]}"#, &[]);
        check(r#"{"values": ["a", "b"]}"#, &[]);
        check(r#"{"columns":["a\"b"],"rows":[["#, &[]);
    }

    #[test]
    fn any_bytes_are_looked_at_without_a_panic() {
        for text in ["[[", "[[]]]]}", "[{\"", "[[\"a\\", "[{}}}", "[[1", "]", ""] {
            let text = format!("{{\"columns\":[\"a\"],\"rows\":{text}");
            let from = text.find("rows\":").unwrap() + 6;
            let _ = cells(text.as_bytes(), from);
        }
    }
}
