//! What earlier results of a run had in the fields that rules name with `from`: as digests, never as values.
//!
//! Exact values of exact fields: a text is the text, a number its value. A result that cannot be read, is too large or holds more than is kept adds nothing, and
//! what was not added is denied.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use evidence::decimal::Number;
use evidence::record::FacetValue;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use super::facet::{kind_of, read_object};
use crate::limits::{RESULT_DEPTH_MAX, RETURNED_BYTES_MAX, RETURNED_VALUES_MAX};
use crate::mission::Source;

/// The first half of a SHA-256.
type Fingerprint = [u8; 16];

/// What was returned, by field.
#[derive(Clone, Debug, Default)]
pub struct Returned {
    count: usize,
    values: HashMap<Source, HashSet<Fingerprint>>,
}

impl Returned {
    /// Adds what `result`, the exact bytes of a tool's result, has in the fields that `sources` name.
    pub fn add<'s>(&mut self, sources: impl Iterator<Item = &'s Source>, result: &[u8]) {
        if result.len() > RETURNED_BYTES_MAX {
            return;
        }
        let texts = documents(result);
        for source in sources {
            let field: Vec<&str> = source.field.iter().map(|name| &**name).collect();
            let mut found = Vec::new();
            for text in &texts {
                let mut walk = Walk { field: &field, found: &mut found, path: Vec::new() };
                walk.value(text);
            }
            let known = self.values.entry(source.clone()).or_default();
            for fingerprint in found {
                if self.count < RETURNED_VALUES_MAX && known.insert(fingerprint) {
                    self.count += 1;
                }
            }
        }
    }

    /// Adds one value, as a fact about it reads.
    pub(crate) fn add_value(&mut self, source: &Source, value: &FacetValue) {
        self.values.entry(source.clone()).or_default().insert(fingerprint(&value.kind, &value.text));
    }

    /// Whether `value` was returned in the field that `source` names.
    pub(crate) fn has(&self, source: &Source, value: &FacetValue) -> bool {
        self.values.get(source).is_some_and(|known| known.contains(&fingerprint(&value.kind, &value.text)))
    }
}

/// The JSON in a result: what is structured, and every text of its content that is JSON as a whole.
fn documents(result: &[u8]) -> Vec<Cow<'_, str>> {
    let Ok(members) = read_object(result) else { return Vec::new() };
    let mut texts: Vec<Cow<'_, str>> = Vec::new();
    texts.extend(members.get("structuredContent").map(|value| Cow::Borrowed(value.get())));
    let content = members.get("content").and_then(|content| serde_json::from_str::<Vec<&RawValue>>(content.get()).ok());
    for block in content.unwrap_or_default() {
        let Ok(block) = read_object(block.get().as_bytes()) else { continue };
        let text = block.get("text").and_then(|text| serde_json::from_str::<String>(text.get()).ok());
        texts.extend(text.filter(|text| matches!(kind_of(text.trim_start()), "object" | "list")).map(Cow::Owned));
    }
    texts
}

struct Walk<'f> {
    field: &'f [&'f str],
    found: &'f mut Vec<Fingerprint>,
    path: Vec<String>,
}

impl Walk<'_> {
    fn value(&mut self, text: &str) {
        let text = text.trim();
        if self.path.len() > RESULT_DEPTH_MAX || self.found.len() > RETURNED_VALUES_MAX {
            return;
        }
        match kind_of(text) {
            "object" => {
                // One that names a member twice says nothing for certain.
                let members: BTreeMap<_, _> = read_object(text.as_bytes()).unwrap_or_default();
                for (name, value) in members {
                    self.path.push(name.into_owned());
                    self.value(value.get());
                    self.path.pop();
                }
            }
            "list" => {
                for element in serde_json::from_str::<Vec<&RawValue>>(text).unwrap_or_default() {
                    self.value(element.get());
                }
            }
            kind if self.is_field() => {
                let spelt: Option<Arc<str>> = match kind {
                    "text" => serde_json::from_str::<String>(text).ok().map(Arc::from),
                    "number" => Number::parse(text).ok().map(|number| number.to_string().into()),
                    "bool" => Some(text.into()),
                    _ => None,
                };
                self.found.extend(spelt.map(|spelt| fingerprint(kind, &spelt)));
            }
            _ => {}
        }
    }

    fn is_field(&self) -> bool {
        let start = self.path.len().checked_sub(self.field.len());
        start.and_then(|start| self.path.get(start..)).is_some_and(|end| end == self.field)
    }
}

fn fingerprint(kind: &str, text: &str) -> Fingerprint {
    let digest = Sha256::new().chain_update(kind).chain_update(":").chain_update(text).finalize();
    let mut first = Fingerprint::default();
    first.copy_from_slice(digest.get(..16).unwrap_or_default());
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    fn has(result: &str, field: &str, kind: &str, text: &str) -> bool {
        let source = Source::parse(&format!("erp.list:{field}")).unwrap();
        let mut returned = Returned::default();
        returned.add([&source].into_iter(), result.as_bytes());
        returned.has(&source, &FacetValue { kind: kind.into(), text: text.into() })
    }

    #[test]
    fn fields_are_found_wherever_they_stand() {
        let structured = r#"{"content":[],"structuredContent":{"vendors":[{"iban":"DE1","bank":{"iban":"DE2","n":1.50}},{"iban":["DE3",true]}]}}"#;
        let text = r#"{"content":[{"type":"text","text":"[{\"iban\":\"DE1\",\"n\":15e-1}]"},{"type":"text","text":"iban: DE9"}]}"#;
        for (result, field, kind, value, found) in [
            (structured, "iban", "text", "DE1", true),
            (structured, "iban", "text", "DE2", true),
            (structured, "iban", "text", "DE3", true),
            (structured, "iban", "bool", "true", true),
            (structured, "bank.iban", "text", "DE2", true),
            (structured, "bank.iban", "text", "DE1", false),
            (structured, "n", "number", "1.5", true),
            (structured, "n", "text", "1.5", false),
            (structured, "iban", "text", "de1", false),
            (structured, "name", "text", "DE1", false),
            (text, "iban", "text", "DE1", true),
            (text, "n", "number", "1.5", true),
            (text, "iban", "text", "DE9", false),
        ] {
            assert_eq!(has(result, field, kind, value), found, "{field} {kind}:{value} in {result}");
        }
    }

    #[test]
    fn what_cannot_be_read_adds_nothing() {
        let deep =
            format!("{{\"structuredContent\":{}{{\"iban\":\"DE1\"}}{}}}", "{\"a\":".repeat(200), "}".repeat(200));
        for result in [
            "",
            "null",
            "[]",
            r#"{"structuredContent":{"iban":"DE1","iban":"DE1"}}"#,
            r#"{"structuredContent":{"x":1,"iban":"DE1"},"structuredContent":{}}"#,
            r#"{"content":[{"type":"text","text":"{\"iban\":\"DE1\"} and more"}]}"#,
            r#"{"content":{"iban":"DE1"}}"#,
            r#"{"iban":"DE1"}"#,
            &deep,
        ] {
            assert!(!has(result, "iban", "text", "DE1"), "{result}");
        }
        let large =
            format!(r#"{{"structuredContent":{{"iban":"DE1"}},"content":["{}"]}}"#, "x".repeat(RETURNED_BYTES_MAX));
        assert!(!has(&large, "iban", "text", "DE1"));
    }

    #[test]
    fn what_is_kept_of_a_run_is_bounded() {
        let source = Source::parse("erp.list:n").unwrap();
        let mut returned = Returned::default();
        for from in 0..3 {
            let numbers: Vec<String> = (0..10_000).map(|n| (from * 10_000 + n).to_string()).collect();
            let result = format!(r#"{{"structuredContent":{{"n":[{}]}}}}"#, numbers.join(","));
            returned.add([&source].into_iter(), result.as_bytes());
        }
        assert_eq!(returned.count, RETURNED_VALUES_MAX);
        assert!(returned.has(&source, &FacetValue { kind: "number".into(), text: "1".into() }));
        assert!(!returned.has(&source, &FacetValue { kind: "number".into(), text: "29999".into() }));
    }
}
