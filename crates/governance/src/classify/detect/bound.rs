//! Values that a statement names: `{"sql":"UPDATE t SET pin = $1","params":["…"]}`. The list may stand before the statement or behind it, in the same object.

use std::ops::Range;

use super::bytes::{at, before, part};

/// How far from its list a statement may be.
const STATEMENT_BYTES: usize = 512;

/// The longest value.
const VALUE_BYTES: usize = 128;

/// The most values of a list.
const VALUES: usize = 16;

/// The names and the values of the list behind `from`, which is the value of the member at `name`.
pub(super) fn bound(text: &[u8], from: usize, name: &Range<usize>) -> Vec<(Range<usize>, Range<usize>)> {
    if !matches!(part(text, name.start, name.end), b"params" | b"parameters" | b"binds" | b"bindings") {
        return Vec::new();
    }
    let Some((values, end)) = values(text, from) else { return Vec::new() };
    let behind = part(text, end, end + STATEMENT_BYTES);
    let behind = end..end + memchr::memchr2(b'}', b'{', behind).unwrap_or(behind.len());
    let start = name.start.saturating_sub(STATEMENT_BYTES);
    let ahead = part(text, start, name.start);
    let ahead = start + memchr::memrchr2(b'}', b'{', ahead).unwrap_or(0)..name.start;
    for region in [behind, ahead] {
        let names = names(text, &region);
        if !names.is_empty() {
            let of = |place: usize| values.get(place).cloned();
            return names.into_iter().filter_map(|(place, name)| Some((name, of(place)?))).collect();
        }
    }
    Vec::new()
}

/// The strings of the list behind `from`, and where it ends; of what is no string, nothing.
fn values(text: &[u8], from: usize) -> Option<(Vec<Range<usize>>, usize)> {
    let skip = |place: usize| {
        let is_between = |byte: &u8| byte.is_ascii_whitespace() || *byte == b',';
        place + part(text, place, place + VALUE_BYTES).iter().take_while(|byte| is_between(byte)).count()
    };
    let mut place = skip(from);
    if at(text, place) != b'[' {
        return None;
    }
    place = skip(place + 1);
    let mut values = Vec::new();
    while values.len() < VALUES && at(text, place) != b']' {
        let rest = part(text, place + 1, place + 1 + VALUE_BYTES);
        let end = if at(text, place) == b'"' {
            let close = place + 1 + memchr::memchr(b'"', rest)?;
            values.push(place + 1..close);
            close + 1
        } else {
            let length = rest.iter().position(|byte| matches!(byte, b',' | b']' | b'\n' | b'"' | b'{' | b'['))?;
            values.push(place..place);
            place + 1 + length
        };
        place = skip(end);
    }
    (at(text, place) == b']').then_some((values, place + 1))
}

/// The columns that a statement in `region` compares with places of the list or sets to them, each with which one that is: `pin = $1`, `pin=?`.
fn names(text: &[u8], region: &Range<usize>) -> Vec<(usize, Range<usize>)> {
    let mut found = Vec::new();
    let mut asked = 0;
    for sign in memchr::memchr3_iter(b'$', b'?', b'%', part(text, region.start, region.end)).take(VALUES) {
        let sign = region.start + sign;
        let index = match (at(text, sign), at(text, sign + 1)) {
            (b'$', digit @ b'1'..=b'9') if !at(text, sign + 2).is_ascii_digit() => usize::from(digit - b'1'),
            (b'?', _) | (b'%', b's') => {
                asked += 1;
                asked - 1
            }
            _ => continue,
        };
        let is_space = |byte: &u8| *byte == b' ';
        let spaces = |end: usize| part(text, region.start, end).iter().rev().take_while(|byte| is_space(byte)).count();
        let equals = sign - spaces(sign);
        if before(text, equals) != b'=' {
            continue;
        }
        let end = equals - 1 - spaces(equals - 1);
        let is_name = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_' || *byte >= 0x80;
        let length = part(text, region.start, end).iter().rev().take(64).take_while(|byte| is_name(byte)).count();
        if length > 0 {
            found.push((index, end - length..end));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[(&str, &str)]) {
        let start = text.find("params").unwrap();
        let found = bound(text.as_bytes(), start + 8, &(start..start + 6));
        let show =
            |range: &Range<usize>| String::from_utf8_lossy(part(text.as_bytes(), range.start, range.end)).into_owned();
        let found: Vec<_> = found.iter().map(|(name, value)| (show(name), show(value))).collect();
        let found: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn a_statement_names_its_values() {
        check(r#"{"params":["12"],"sql":"UPDATE t SET pin = $1 WHERE id = 7"}"#, &[("pin", "12")]);
        check(
            r#"{"query":"SELECT 1 FROM t WHERE pin=? AND tag = ?","params":["12", 4]}"#,
            &[("pin", "12"), ("tag", "")],
        );
        check(r#"{"sql":"UPDATE t SET b = $2, a = $1","params": [ "x" , "y" ]}"#, &[("b", "y"), ("a", "x")]);
        check(r#"{"params":["12"]},{"sql":"UPDATE t SET pin = $1"}"#, &[]);
        check(r#"{"params":{"a":"12"},"sql":"SET pin = $1"}"#, &[]);
        check(r#"{"params":["12"],"url":"/a?b=$1"}"#, &[("b", "12")]);
    }
}
