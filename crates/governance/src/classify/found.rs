//! What was found in a message, and what of it could not be looked into.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use memchr::memmem;
use serde_json::value::RawValue;

use super::detect::{Finding, Kind, Scan};
use super::facet::read_object;
use crate::mission::UNCLASSIFIED;

/// What was found in a message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    is_unread: bool,
    places: Vec<Place>,
}

/// Something that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its class.
    pub class: &'static str,
    /// Its kind.
    pub kind: Cow<'static, str>,
    /// Where it stands, in bytes of the message.
    pub range: Range<usize>,
}

impl From<&Finding> for Place {
    fn from(finding: &Finding) -> Self {
        let Kind { class, name } = finding.kind;
        Self { class: class.name(), kind: (*name).into(), range: finding.start..finding.end }
    }
}

impl From<&Scan> for Found {
    fn from(scan: &Scan) -> Self {
        Self::new(scan.findings().iter().map(Place::from).collect(), scan.is_complete())
    }
}

impl Place {
    /// Its class and kind, as in `pii.email`.
    #[must_use]
    pub fn kind(&self) -> Arc<str> {
        format!("{}.{}", self.class, self.kind).into()
    }
}

impl Found {
    /// What was found at `places`, in the order of the message; with `is_complete`, in all of it.
    #[must_use]
    pub fn new(places: Vec<Place>, is_complete: bool) -> Self {
        Self { is_unread: !is_complete, places }
    }

    /// The kinds, and [`UNCLASSIFIED`] where something could not be looked into.
    pub fn kinds(&self) -> impl Iterator<Item = Arc<str>> {
        self.places.iter().map(Place::kind).chain(self.is_unread.then(|| UNCLASSIFIED.into()))
    }

    /// Whether something of the message could not be looked into.
    #[must_use]
    pub const fn is_unread(&self) -> bool {
        self.is_unread
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
}
