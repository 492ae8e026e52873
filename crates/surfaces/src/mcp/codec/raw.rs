//! Views into JSON that the strict reader has passed: look inside without copying and without building a tree.
//!
//! A [`Raw`] is the exact bytes of one value. Reading it never fails on account of its syntax; `None` means that the
//! value is of another shape or has no such member.

use std::borrow::Cow;

use super::strict::{StrictError, skip_space, strict_scan, unescape};
use crate::limits::ReadLimits;

/// The exact bytes of one strictly read JSON value, without white space around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Raw<'a>(&'a [u8]);

/// What kind of value a [`Raw`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// `{...}`
    Object,
    /// `[...]`
    Array,
    /// `"..."`
    Text,
    /// Any number.
    Number,
    /// `true` or `false`
    Boolean,
    /// `null`
    Null,
}

impl<'a> Raw<'a> {
    /// Reads `text` strictly; the view leaves out white space around the value.
    pub fn parse(text: &'a [u8], limits: &ReadLimits) -> Result<Self, StrictError> {
        strict_scan(text, limits)?;
        Ok(Self(text.trim_ascii()))
    }

    /// `bytes` are one value from a text that the strict reader has passed.
    pub(super) fn read_before(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The value as it was written.
    pub fn bytes(self) -> &'a [u8] {
        self.0
    }

    /// What kind of value this is.
    pub fn shape(self) -> Shape {
        match self.0.first() {
            Some(b'{') => Shape::Object,
            Some(b'[') => Shape::Array,
            Some(b'"') => Shape::Text,
            Some(b't' | b'f') => Shape::Boolean,
            Some(b'n') | None => Shape::Null,
            Some(_) => Shape::Number,
        }
    }

    /// The value as an object.
    pub fn object(self) -> Option<RawObject<'a>> {
        (self.shape() == Shape::Object).then_some(RawObject(self.0))
    }

    /// The value as an array.
    pub fn array(self) -> Option<RawArray<'a>> {
        (self.shape() == Shape::Array).then_some(RawArray(self.0))
    }

    /// The value as a decoded string; borrowed unless it has escapes.
    pub fn text(self) -> Option<Cow<'a, str>> {
        let inner = self.0.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
        if !inner.contains(&b'\\') {
            return std::str::from_utf8(inner).ok().map(Cow::Borrowed);
        }
        let mut decoded = Vec::with_capacity(inner.len());
        unescape(inner, &mut decoded);
        String::from_utf8(decoded).ok().map(Cow::Owned)
    }

    /// Whether the value is the string `expected`, without allocating.
    pub fn is_text(self, expected: &str) -> bool {
        match self.0.strip_prefix(b"\"").and_then(|rest| rest.strip_suffix(b"\"")) {
            Some(inner) if inner.contains(&b'\\') => self.text().is_some_and(|text| text == expected),
            Some(inner) => inner == expected.as_bytes(),
            None => false,
        }
    }

    /// The value as an integer: written without fraction or exponent, within `i64`, and not `-0`.
    pub fn integer(self) -> Option<i64> {
        if self.shape() != Shape::Number || self.0 == b"-0" {
            return None;
        }
        std::str::from_utf8(self.0).ok()?.parse().ok()
    }

    /// The value as a boolean.
    pub fn boolean(self) -> Option<bool> {
        match self.0 {
            b"true" => Some(true),
            b"false" => Some(false),
            _ => None,
        }
    }

    /// The value found by following `path` through nested objects.
    pub fn at(self, path: &[&str]) -> Option<Raw<'a>> {
        path.iter().try_fold(self, |value, key| value.object()?.member(key))
    }
}

/// A view of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawObject<'a>(&'a [u8]);

impl<'a> RawObject<'a> {
    /// The object as a value again.
    pub fn raw(self) -> Raw<'a> {
        Raw(self.0)
    }

    /// The value of `key`, which is compared decoded.
    pub fn member(self, key: &str) -> Option<Raw<'a>> {
        self.members().find(|member| member.key.is_text(key)).map(|member| member.value)
    }

    /// The values of several keys in one pass.
    pub fn pick<const N: usize>(self, keys: [&str; N]) -> [Option<Raw<'a>>; N] {
        let mut picked = [None; N];
        for member in self.members() {
            for (key, slot) in keys.iter().zip(&mut picked) {
                if slot.is_none() && member.key.is_text(key) {
                    *slot = Some(member.value);
                }
            }
        }
        picked
    }

    /// The members in the order in which they were written.
    pub fn members(self) -> Members<'a> {
        Members { text: self.0, at: skip_space(self.0, 1) }
    }
}

/// One member of an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member<'a> {
    /// The key as it was written, quotes included: always of [`Shape::Text`].
    pub key: Raw<'a>,
    /// The value.
    pub value: Raw<'a>,
}

/// The members of an object, in order.
#[derive(Debug, Clone)]
pub struct Members<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Members<'a> {
    type Item = Member<'a>;

    fn next(&mut self) -> Option<Member<'a>> {
        let key = next_value(self.text, self.at)?;
        let colon = skip_space(self.text, key.end);
        let value = next_value(self.text, skip_space(self.text, colon + 1))?;
        self.at = after_comma(self.text, value.end);
        Some(Member { key: Raw(self.text.get(key)?), value: Raw(self.text.get(value)?) })
    }
}

/// A view of an array.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RawArray<'a>(&'a [u8]);

impl<'a> RawArray<'a> {
    /// The array as a value again.
    pub fn raw(self) -> Raw<'a> {
        Raw(self.0)
    }

    /// The elements in order.
    pub fn elements(self) -> Elements<'a> {
        Elements { text: self.0, at: skip_space(self.0, 1) }
    }
}

/// The elements of an array, in order.
#[derive(Debug, Clone)]
pub struct Elements<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Raw<'a>;

    fn next(&mut self) -> Option<Raw<'a>> {
        let value = next_value(self.text, self.at)?;
        self.at = after_comma(self.text, value.end);
        Some(Raw(self.text.get(value)?))
    }
}

/// The place of the value that starts at `at`, or `None` at the end of a container.
fn next_value(text: &[u8], at: usize) -> Option<std::ops::Range<usize>> {
    let end = match text.get(at)? {
        b'}' | b']' | b',' | b':' => return None,
        b'"' => string_end(text, at),
        b'{' | b'[' => container_end(text, at),
        _ => {
            let rest = text.get(at..)?;
            let ends = |byte: &u8| matches!(byte, b',' | b']' | b'}' | b':' | b' ' | b'\t' | b'\n' | b'\r');
            at + rest.iter().position(ends).unwrap_or(rest.len())
        }
    };
    Some(at..end)
}

/// The start of the next member or element, or the end of the container.
fn after_comma(text: &[u8], value_end: usize) -> usize {
    let at = skip_space(text, value_end);
    if text.get(at) == Some(&b',') { skip_space(text, at + 1) } else { at }
}

fn string_end(text: &[u8], quote: usize) -> usize {
    let mut at = quote + 1;
    while let Some(rest) = text.get(at..) {
        match memchr::memchr2(b'"', b'\\', rest) {
            Some(found) if rest.get(found) == Some(&b'"') => return at + found + 1,
            Some(found) => at += found + 2,
            None => break,
        }
    }
    text.len()
}

fn container_end(text: &[u8], open: usize) -> usize {
    let mut depth = 0usize;
    let mut at = open;
    while let Some(byte) = text.get(at) {
        match byte {
            b'"' => {
                at = string_end(text, at);
                continue;
            }
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 0 {
                    return at + 1;
                }
            }
            _ => (),
        }
        at += 1;
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::super::samples::{any_value, written};
    use super::*;

    fn raw(text: &str) -> Raw<'_> {
        Raw::parse(text.as_bytes(), &ReadLimits::REQUEST).unwrap()
    }

    #[test]
    fn members_are_found_by_their_decoded_key() {
        let params = raw(
            r#" { "n\u0061me" : "read\n" , "arguments": {"path":"/a","x":[1,{"name":"no"}]}, "_meta":{"progressToken":"t-1"} } "#,
        );
        assert_eq!(params.at(&["name"]).unwrap().text().unwrap(), "read\n");
        assert_eq!(params.at(&["arguments"]).unwrap().bytes(), br#"{"path":"/a","x":[1,{"name":"no"}]}"#);
        assert_eq!(params.at(&["_meta", "progressToken"]).unwrap().bytes(), br#""t-1""#);
        assert_eq!(params.at(&["_meta", "progressToken", "deeper"]), None);
        assert_eq!(params.at(&["arguments", "name"]), None);
        let [meta, nothing, name] = params.object().unwrap().pick(["_meta", "nothing", "name"]);
        assert_eq!(meta.unwrap().bytes(), br#"{"progressToken":"t-1"}"#);
        assert_eq!(nothing, None);
        assert!(name.unwrap().is_text("read\n"));
    }

    #[test]
    fn values_are_read_as_what_they_are_or_not_at_all() {
        assert_eq!(raw("\"\\ud83d\\ude00\\u0041\"").text().unwrap(), "😀A");
        assert!(matches!(raw(r#""plain""#).text(), Some(Cow::Borrowed("plain"))));
        assert_eq!(raw("1").text(), None);
        for (text, integer) in [
            ("0", Some(0)),
            ("-7", Some(-7)),
            ("9223372036854775807", Some(i64::MAX)),
            ("-9223372036854775808", Some(i64::MIN)),
            ("9223372036854775808", None),
            ("-0", None),
            ("1.0", None),
            ("1e2", None),
            ("\"1\"", None),
            ("null", None),
        ] {
            assert_eq!(raw(text).integer(), integer, "{text}");
        }
        assert_eq!(raw("true").boolean(), Some(true));
        assert_eq!(raw("false").boolean(), Some(false));
        assert_eq!(raw("null").boolean(), None);
        assert!(!raw("1").is_text("1"));
        assert!(raw(r#""\u0061""#).is_text("a"));
    }

    #[test]
    fn empty_containers_have_nothing_inside() {
        assert_eq!(raw("{ }").object().unwrap().members().count(), 0);
        assert_eq!(raw("[\n]").array().unwrap().elements().count(), 0);
    }

    /// Builds the value again from views alone.
    fn rebuilt(raw: Raw<'_>) -> Value {
        match raw.shape() {
            Shape::Object => {
                let members = raw.object().unwrap().members();
                members.map(|member| (member.key.text().unwrap().into_owned(), rebuilt(member.value))).collect()
            }
            Shape::Array => raw.array().unwrap().elements().map(rebuilt).collect(),
            Shape::Text => raw.text().unwrap().into(),
            Shape::Boolean => raw.boolean().unwrap().into(),
            Shape::Null => Value::Null,
            Shape::Number => serde_json::from_slice(raw.bytes()).unwrap(),
        }
    }

    proptest! {
        #[test]
        fn views_see_what_was_written(value in any_value(), seed: u64) {
            let text = written(&value, seed);
            prop_assert_eq!(rebuilt(Raw::parse(&text, &ReadLimits::REQUEST).unwrap()), value);
        }

        #[test]
        fn views_of_bytes_that_nobody_read_end_without_a_panic(text in prop::collection::vec(prop::sample::select(&b"{}[],:\"\\ 1a"[..]), 0..60)) {
            fn walk(raw: Raw<'_>, budget: &mut usize) {
                *budget = budget.saturating_sub(1);
                if *budget == 0 { return }
                let _ = (raw.text(), raw.integer(), raw.is_text("a"));
                for member in raw.object().into_iter().flat_map(RawObject::members) { walk(member.value, budget) }
                for element in raw.array().into_iter().flat_map(RawArray::elements) { walk(element, budget) }
            }
            walk(Raw::read_before(&text), &mut 10_000);
        }
    }
}
