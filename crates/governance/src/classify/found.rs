//! What was found in a message, and what of it could not be looked into.

use std::ops::Range;
use std::sync::Arc;

use memchr::memmem;
use serde_json::value::RawValue;

use super::facet::read_object;
use crate::mission::UNCLASSIFIED;

/// What was found in a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    classes: Vec<Arc<str>>,
    places: Vec<Place>,
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its class.
    pub class: &'static str,
    /// Its kind.
    pub kind: &'static str,
    /// Where it stands, in bytes of the message.
    pub range: Range<usize>,
}

impl Found {
    /// What was found at `places`, in the order of the message; with `is_complete`, in all of it.
    #[must_use]
    pub fn new(places: Vec<Place>, is_complete: bool) -> Self {
        let unclassified = (!is_complete).then_some(UNCLASSIFIED);
        let mut classes: Vec<&str> = places.iter().map(|place| place.class).chain(unclassified).collect();
        classes.sort_unstable();
        classes.dedup();
        Self { classes: classes.into_iter().map(Arc::from).collect(), places }
    }

    /// The classes, sorted, each once.
    #[must_use]
    pub fn classes(&self) -> &[Arc<str>] {
        &self.classes
    }

    /// Where what was found, in the order of the message.
    #[must_use]
    pub fn places(&self) -> &[Place] {
        &self.places
    }
}

/// Whether `result`, the exact bytes of a tool's result, holds what is not text: pictures, sound, files.
#[must_use]
pub fn is_opaque(result: &[u8]) -> bool {
    const SIGNS: [&[u8]; 3] = [b"\"data\"", b"\"blob\"", b"\\u00"];
    if !SIGNS.iter().any(|sign| memmem::find(result, sign).is_some()) {
        return false;
    }
    let Ok(members) = read_object(result) else { return false };
    let blocks = ["content", "contents"].into_iter().filter_map(|name| members.get(name));
    let blocks = blocks.filter_map(|blocks| serde_json::from_str::<Vec<&RawValue>>(blocks.get()).ok());
    blocks.flatten().any(|block| {
        let Ok(block) = read_object(block.get().as_bytes()) else { return false };
        let inner = block.get("resource").and_then(|resource| read_object(resource.get().as_bytes()).ok());
        let is_there = |name: &str| block.get(name).or_else(|| inner.as_ref()?.get(name)).is_some();
        is_there("data") || is_there("blob")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_text_is_told() {
        for (result, opaque) in [
            (r#"{"content":[{"type":"text","text":"blob and data"}]}"#, false),
            (r#"{"content":[{"type":"image","data":"iVBO","mimeType":"image/png"}]}"#, true),
            (r#"{"content":[{"type":"audio","d\u0061ta":"iVBO"}]}"#, true),
            (r#"{"content":[{"type":"resource","resource":{"uri":"file:///a","blob":"iVBO"}}]}"#, true),
            (r#"{"contents":[{"uri":"file:///a","blob":"iVBO"}]}"#, true),
            (r#"{"contents":[{"uri":"file:///a","text":"a"}]}"#, false),
            (r#"{"content":[],"structuredContent":{"data":[1]}}"#, false),
            ("not JSON with \"data\"", false),
        ] {
            assert_eq!(is_opaque(result.as_bytes()), opaque, "{result}");
        }
    }

    #[test]
    fn classes_are_named_once_and_in_order() {
        let place = |class| Place { class, kind: "x", range: 0..1 };
        let classes = |places, is_complete| {
            Found::new(places, is_complete).classes().iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(classes(vec![place("secret"), place("pii"), place("secret")], true), ["pii", "secret"]);
        assert_eq!(classes(vec![place("secret")], false), ["secret", "unclassified"]);
        assert!(classes(vec![], true).is_empty());
    }
}
