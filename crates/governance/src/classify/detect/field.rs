//! Names and their values, however a text spells them: where the name before a separator is, and what the value behind it.
//!
//! Nothing here parses: each question looks back or ahead from one place, a bounded way, so that it can be asked in the middle of any text.

use std::ops::Range;

use super::bytes::{at, before, part};
use super::masks::{BLOCK, brackets};

/// The longest value that judges see.
pub(super) const VALUE_BYTES: usize = 4096;

/// The longest value without quotes: a line.
const BARE_BYTES: usize = 512;

/// How far back a name starts at most.
const NAME_BYTES: usize = 64;

/// How many elements of a list are looked at.
const ELEMENTS: usize = 64;

/// A value, without its quotes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Value {
    pub(super) range: Range<usize>,
    pub(super) quoted: bool,
}

/// The name that ends before the separator at `separator`.
pub(super) fn name(text: &[u8], separator: usize) -> Option<Range<usize>> {
    let mut end = separator;
    let mut spaces = 0;
    while matches!(before(text, end), b' ' | b'\t' | b']' | b')' | b':' | b'?' | b'+' | b'*' | b'.') && spaces < 16 {
        end -= 1;
        spaces += 1;
    }
    let last = before(text, end);
    let name = if matches!(last, b'"' | b'\'' | b'`') {
        quoted_name(text, end - 1, last)?
    } else {
        bare_name(text, end, at(text, separator))
    };
    part(text, name.start, name.end).iter().any(|byte| byte.is_ascii_alphabetic() || *byte >= 0x80).then_some(name)
}

/// The name at `name` with the words before it in its sentence, two at the most, where it stands before ` = `: `Codigo Fiscal = …`.
pub(super) fn of_words(text: &[u8], name: &Range<usize>) -> Option<Range<usize>> {
    let mut start = name.start;
    for _ in 0..2 {
        if before(text, start) != b' ' {
            break;
        }
        let word = part(text, start.saturating_sub(NAME_BYTES), start - 1);
        let letters = word.iter().rev().take_while(|byte| byte.is_ascii_alphabetic() || **byte >= 0x80).count();
        let behind = before(text, start - 1 - letters);
        if letters < 2 || !matches!(behind, b' ' | b'\n' | b'\t' | b',' | b'(' | b'"' | 0) {
            break;
        }
        start -= letters + 1;
    }
    (start < name.start).then_some(start..name.end)
}

fn quoted_name(text: &[u8], end: usize, quote: u8) -> Option<Range<usize>> {
    let from = end.saturating_sub(2 * NAME_BYTES);
    let before = part(text, from, end);
    let start = before.iter().rposition(|byte| *byte == quote || *byte == b'\n')?;
    (at(before, start) == quote).then_some(from + start + 1..end)
}

fn bare_name(text: &[u8], end: usize, separator: u8) -> Range<usize> {
    let from = end.saturating_sub(NAME_BYTES);
    let spaced = separator == b':';
    let mut start = end;
    while start > from {
        let byte = before(text, start);
        let inside = byte.is_ascii_alphanumeric()
            || byte >= 0x80
            || matches!(byte, b'_' | b'-' | b'.' | b'$')
            || spaced && matches!(byte, b' ' | b'/' | b'\'' | b'#' | b'(' | b')');
        // A quote behind a space opens what the name begins.
        let opens = byte == b'\'' && matches!(before(text, start - 1), b' ' | b'=' | b'(' | b'\n');
        if !inside || opens || byte == b' ' && before(text, start - 1) == b'.' {
            break;
        }
        start -= 1;
    }
    start += part(text, start, end)
        .iter()
        .take_while(|byte| matches!(byte, b' ' | b'-' | b'.' | b'(' | b'/' | b'\''))
        .count();
    start..end
}

/// The name that is a value itself: `value` at `name` is the second of a pair, as in `{"name":"PASSWORD","value":"x"}` and `key="Password" value="x"`.
pub(super) fn paired(text: &[u8], name: &Range<usize>) -> Option<Range<usize>> {
    // Tags of a page's own data hold it so.
    if part(text, name.start, name.end) == b"content" && before(text, name.start) == b' ' {
        return in_tag(text, name.start);
    }
    if !may_be_paired(part(text, name.start, name.end)) {
        return None;
    }
    if is_type(part(text, name.start, name.end)) {
        return typed(text, name.start);
    }
    if let Some(label) = in_tag(text, name.start) {
        return Some(label);
    }
    let mut end = name.start;
    while matches!(before(text, end), b' ' | b'\n' | b'\r' | b'\t' | b',' | b'"' | b'\'') && name.start - end < 64 {
        end -= 1;
    }
    let quote = at(text, end);
    let first = if matches!(quote, b'"' | b'\'') { quoted_name(text, end, quote)? } else { bare_name(text, end, b'=') };
    let mut separator = first.start;
    while matches!(before(text, separator), b' ' | b'"' | b'\'') && first.start - separator < 4 {
        separator -= 1;
    }
    let label = self::name(text, separator.checked_sub(1).filter(|place| matches!(at(text, *place), b':' | b'='))?)?;
    let label = part(text, label.start, label.end).to_ascii_lowercase();
    matches!(label.as_slice(), b"name" | b"key" | b"id" | b"field" | b"label" | b"parameter" | b"parameterkey")
        .then_some(first)
}

/// Whether a name may be one of a pair, or a type.
pub(super) fn may_be_paired(name: &[u8]) -> bool {
    is_type(name) || name.eq_ignore_ascii_case(b"value")
}

fn is_type(name: &[u8]) -> bool {
    matches!(name, b"string" | b"String" | b"str")
}

/// The name of what has the type at `place`: of `var password string =` and `let password: String =`, `password`.
fn typed(text: &[u8], place: usize) -> Option<Range<usize>> {
    let mut end = place;
    while matches!(before(text, end), b' ' | b':' | b'&') && place - end < 4 {
        end -= 1;
    }
    let name = bare_name(text, end, b'=');
    (end < place && !name.is_empty()).then_some(name)
}

/// The longest tag behind a label.
const TAG_NAME_BYTES: usize = 24;

/// How far back the tag of an attribute starts at most.
const TAG_BYTES: usize = 192;

/// The name of the field of a form, in whose tag `place` is: of `<input name="password" type="text" value=`, `password`.
fn in_tag(text: &[u8], place: usize) -> Option<Range<usize>> {
    let from = place.saturating_sub(TAG_BYTES);
    let before = part(text, from, place);
    let open = before.iter().rposition(|byte| matches!(byte, b'<' | b'>')).filter(|open| at(before, *open) == b'<')?;
    let length = part(text, place, place + TAG_BYTES).iter().take_while(|byte| **byte != b'>').count();
    let tag = part(text, from + open, place + length);
    [&b" name=\""[..], b" id=\""].iter().find_map(|attribute| {
        let start = memchr::memmem::find(tag, attribute)? + attribute.len();
        let length = memchr::memchr(b'"', part(tag, start, tag.len()))?;
        (length > 0).then_some(from + open + start..from + open + start + length)
    })
}

/// The value behind `from`, which is behind a separator.
pub(super) fn value(text: &[u8], from: usize) -> Value {
    let mut start = from;
    if at(text, start) == b'>' {
        start += 1;
    }
    start = skip(text, start, |byte| matches!(byte, b' ' | b'\t'), 64);
    // Behind a name that Markdown makes stand out: `**Name:** value`.
    let marks = skip(text, start, |byte| matches!(byte, b'*' | b'_' | b'`'), 2);
    if marks > start && start == from && matches!(at(text, marks), b'\n' | b'\r') {
        start = marks;
    }
    if marks > start && start == from && at(text, marks) == b' ' {
        start = skip(text, marks, |byte| matches!(byte, b' ' | b'\t'), 64);
    }
    // Behind what a label stands out by on a page: `<b>Name:</b> value`.
    for _ in 0..2 {
        if at(text, start) != b'<' || before(text, from) != b':' {
            break;
        }
        let Some(length) = memchr::memchr(b'>', part(text, start, start + TAG_NAME_BYTES)) else { break };
        start = skip(text, start + length + 1, |byte| matches!(byte, b' ' | b'\t'), 64);
    }
    // A label with its value on the next line.
    if before(text, from) != b'=' && matches!(at(text, start), b'\n' | b'\r' | b'|' | b'>') {
        let line = skip(text, start, |byte| matches!(byte, b'\r' | b'\n' | b'|' | b'>' | b'-' | b' ' | b'\t'), 64);
        if part(text, start, line).iter().filter(|byte| **byte == b'\n').count() <= 1 {
            start = line;
        }
    }
    // Behind a name in brackets, a value in brackets: `Key (name)=(value) exists`.
    if at(text, start) == b'('
        && part(text, from.saturating_sub(2), from) == b")="
        && let Some(length) = memchr::memchr2(b')', b'\n', part(text, start, start + BARE_BYTES))
    {
        return Value { range: start + 1..start + length, quoted: false };
    }
    let letters = skip(
        text,
        start,
        |byte| matches!(byte, b'b' | b'f' | b'r' | b'u' | b'L' | b'@' | b'$' | b'#' | b'!' | b'(' | b'&' | b'*'),
        3,
    );
    if letters > start && matches!(at(text, letters), b'"' | b'\'' | b'`') {
        start = letters;
    }
    match at(text, start) {
        quote @ (b'"' | b'\'' | b'`') => quoted_value(text, start, quote),
        b'{' | b'[' => Value { range: start..start, quoted: false },
        _ => bare_value(text, start),
    }
}

fn quoted_value(text: &[u8], start: usize, quote: u8) -> Value {
    let triple = at(text, start + 1) == quote && at(text, start + 2) == quote;
    let open = if triple { start + 3 } else { start + 1 };
    let limit = (open + VALUE_BYTES).min(text.len());
    let mut from = open;
    while let Some(found) = memchr::memchr(quote, part(text, from, limit)) {
        let close = from + found;
        let ends = if triple {
            at(text, close + 1) == quote && at(text, close + 2) == quote
        } else {
            before(text, close) != b'\\' && ends_after(text, close + 1)
        };
        if ends {
            return Value { range: open..close, quoted: true };
        }
        from = close + 1;
    }
    // Nothing closes it: to the end of its line.
    let end = memchr::memchr(b'\n', part(text, open, limit)).map_or(limit, |found| open + found);
    Value { range: open..end, quoted: true }
}

/// Whether what stands at `place` may follow a closing quote.
fn ends_after(text: &[u8], place: usize) -> bool {
    let byte = at(text, place);
    byte == 0
        || byte.is_ascii_whitespace()
        || matches!(
            byte,
            b',' | b'}'
                | b']'
                | b')'
                | b';'
                | b':'
                | b'>'
                | b'/'
                | b'<'
                | b'&'
                | b'|'
                | b'+'
                | b'.'
                | b'?'
                | b'"'
                | b'\''
                | b'\\'
                | b'='
                | b'`'
        )
}

fn bare_value(text: &[u8], start: usize) -> Value {
    let limit = (start + BARE_BYTES).min(text.len());
    let mut end = start;
    while end < limit {
        let byte = at(text, end);
        let comment = matches!(byte, b'#') && before(text, end) == b' ';
        if comment || matches!(byte, b'\n' | b'\r' | b'"' | b'\'' | b'`' | b'<' | b'>' | b'|' | b'\t') && end > start {
            break;
        }
        if matches!(byte, b',' | b';' | b'&' | b'}' | b']')
            && (ends_after(text, end + 1) || matches!(byte, b'&' | b'}' | b']'))
        {
            break;
        }
        end += 1;
    }
    while end > start && matches!(before(text, end), b' ' | b'.' | b',') {
        end -= 1;
    }
    Value { range: start..end, quoted: false }
}

/// The elements of the list that starts at `open`, if they are text or numbers.
pub(super) fn elements(text: &[u8], open: usize) -> Vec<Value> {
    let mut elements = Vec::new();
    let limit = (open + VALUE_BYTES).min(text.len());
    let mut from = open + 1;
    while from < limit && elements.len() < ELEMENTS {
        from = skip(text, from, |byte| byte.is_ascii_whitespace() || byte == b',', 256);
        let value = match at(text, from) {
            b']' | b'{' | b'[' | 0 => break,
            quote @ (b'"' | b'\'') => quoted_value(text, from, quote),
            _ => bare_value(text, from),
        };
        from = value.range.end + usize::from(value.quoted).max(usize::from(value.range.is_empty()));
        elements.push(value);
    }
    elements
}

fn skip(text: &[u8], from: usize, skipped: impl Fn(u8) -> bool, most: usize) -> usize {
    from + part(text, from, from + most).iter().take_while(|byte| skipped(**byte)).count()
}

/// How far back names around a name are looked for.
pub(super) const AROUND_BYTES: usize = 1024;

/// The most names around a name.
const AROUND: usize = 3;

/// The names around the name that starts at `name`, innermost first: of objects in JSON by their brackets, of YAML by its indents.
pub(super) fn around(text: &[u8], name: usize) -> Vec<Range<usize>> {
    let mut names = Vec::new();
    let from = name.saturating_sub(AROUND_BYTES);
    let mut depth = 0_u32;
    let mut upto = name;
    'blocks: while upto > from && names.len() < AROUND {
        let block = upto.saturating_sub(BLOCK).max(from);
        let mut left = brackets(text, block) & u64::MAX >> (BLOCK - (upto - block));
        upto = block;
        while let Some(bit) = left.checked_ilog2() {
            left ^= 1 << bit;
            let place = block + usize::try_from(bit).unwrap_or(0);
            match at(text, place) {
                b'}' | b']' => depth += 1,
                _ if depth > 0 => depth -= 1,
                _ => {
                    let mut end = place;
                    while matches!(before(text, end), b' ' | b'\n' | b'\r' | b'\t' | b'"' | b'\'') && place - end < 32 {
                        end -= 1;
                    }
                    if matches!(before(text, end), b':' | b'=')
                        && let Some(found) = self::name(text, end - 1)
                    {
                        upto = found.start;
                        names.push(found);
                        continue 'blocks;
                    }
                }
            }
        }
    }
    if names.is_empty() { indented(text, name, from) } else { names }
}

/// The names of lines above that are indented less, up to the first that is not.
fn indented(text: &[u8], name: usize, from: usize) -> Vec<Range<usize>> {
    let mut names = Vec::new();
    let line_start = |place: usize| {
        part(text, from, place).iter().rposition(|byte| *byte == b'\n').map_or(from, |found| from + found + 1)
    };
    let mut start = line_start(name);
    let mut indent = name - start;
    while indent > 0 && start > from && names.len() < AROUND {
        let end = start - 1;
        start = line_start(end);
        let line = part(text, start, end);
        let Some(here) = line.iter().position(|byte| !matches!(byte, b' ' | b'-')) else { continue };
        if here < indent {
            indent = here;
            if let Some(separator) = line.iter().position(|byte| *byte == b':') {
                names.push(start + here..start + separator.max(here));
            }
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;

    fn show(text: &str, range: Range<usize>) -> String {
        String::from_utf8_lossy(part(text.as_bytes(), range.start, range.end)).into_owned()
    }

    /// `§` marks the separator.
    fn check(marked: &str, expected_name: &str, expected_value: &str) {
        let place = marked.find('§').unwrap();
        let text = marked.replace('§', "");
        let found = name(text.as_bytes(), place).map(|range| show(&text, range)).unwrap_or_default();
        assert_eq!(found, expected_name, "{marked}");
        assert_eq!(show(&text, value(text.as_bytes(), place + 1).range), expected_value, "{marked}");
    }

    #[test]
    fn names_and_values_are_found_however_they_are_spelt() {
        check(r#"{"tax_id"§:"A1","b":2}"#, "tax_id", "A1");
        check(r#"{"tax id" §: 123, "b":2}"#, "tax id", "123");
        check(r#"{"say"§: "a"b"c", "b":2}"#, "say", "a\"b\"c");
        check("DB_PASSWORD§=hunter2 # old\nX=1", "DB_PASSWORD", "hunter2");
        check("export TOKEN§='a b'\n", "TOKEN", "a b");
        check("  - name§: value\n", "name", "value");
        check("Social Security Number§: 078-05-1120.\nNext", "Social Security Number", "078-05-1120");
        check("X-Api-Key§: abc\r\n", "X-Api-Key", "abc");
        check("config.password §= \"s3\";", "config.password", "s3");
        check("os.environ[\"PW\"] §= 'x1'", "PW", "x1");
        check("key :§= `abc`", "key", "abc");
        check("a?api_key§=abc&b=2", "api_key", "abc");
        check("<a pin§='12'/>", "pin", "12");
        check("Phone§:\n0487 98 11 92\n", "Phone", "0487 98 11 92");
        check("- **Full name§:** Ada B\n", "Full name", "Ada B");
        check("12§:30", "", "30");
        check("Key (pin)§=(12) exists", "pin", "12");
        check("*Pin§:* 12\n", "Pin", "12");
        check("*Pin§:*\n12\n", "Pin", "12");
        check("<b>Pin§:</b> 12</p>", "Pin", "12");
        check("Pin§: <em>12</em>", "Pin", "12");
        check("curl https://a.test/v1 -H 'X-Pin§: 12' -d x", "X-Pin", "12");
    }

    #[test]
    fn a_name_may_be_of_several_words() {
        let found = |text: &str, name: &str| {
            let start = text.find(name).unwrap();
            of_words(text.as_bytes(), &(start..start + name.len())).map(|range| show(text, range))
        };
        assert_eq!(found("on the call, Codigo Fiscal = 1", "Fiscal").as_deref(), Some("Codigo Fiscal"));
        assert_eq!(found("the codigo fiscal = 1", "fiscal").as_deref(), Some("the codigo fiscal"));
        assert_eq!(found("x.fiscal = 1", "fiscal"), None);
    }

    #[test]
    fn the_second_of_a_pair_has_the_first_for_a_name() {
        for text in [
            r#"{"name":"DB_PASSWORD","value":"x"}"#,
            r#"{"Key": "DB_PASSWORD", "Value": "x"}"#,
            r#"<add key="DB_PASSWORD" value="x"/>"#,
            "- name: DB_PASSWORD\n  value: x",
        ] {
            let place = text.rfind(['V', 'v']).unwrap();
            let found = paired(text.as_bytes(), &(place..place + 5)).map(|range| show(text, range));
            assert_eq!(found.as_deref(), Some("DB_PASSWORD"), "{text}");
        }
        assert_eq!(paired(br#"{"a":"b","value":"x"}"#, &(10..15)), None);
        assert_eq!(paired(b"var pin string = ", &(8..14)), Some(4..7));
        assert_eq!(paired(br#"<input name="pin" type="text" value="#, &(30..35)), Some(13..16));
    }

    #[test]
    fn lists_have_elements() {
        let text = r#"["+33 1", 42 ,"x"]"#;
        let found: Vec<_> = elements(text.as_bytes(), 0).into_iter().map(|value| show(text, value.range)).collect();
        assert_eq!(found, ["+33 1", "42", "x"]);
        assert!(elements(b"[", 0).is_empty());
    }

    fn check_around(text: &str, name: &str, expected: &[&str]) {
        let place = text.find(name).unwrap();
        let found: Vec<_> = around(text.as_bytes(), place).into_iter().map(|range| show(text, range)).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn names_around_are_found_innermost_first() {
        check_around(r#"{"bank":{"x":{"y":1},"account": {"no":1}}}"#, "no", &["account", "bank"]);
        check_around(r#"{"cards":[{"type":"a","number":1}]}"#, "number", &["cards"]);
        check_around("bank:\n  x: 1\n  account:\n    no: 1\n", "no", &["account", "bank"]);
        check_around("no: 1", "no", &[]);
    }
}
