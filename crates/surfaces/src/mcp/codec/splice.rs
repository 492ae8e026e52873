//! Surgical changes to a message: some values are replaced, removed or added, every other byte stays as it came.
//!
//! Collect the changes against views of the original, then [`Splice::finish`]. Nothing is parsed again and nothing is
//! written anew, so a kept tool definition has the bytes, and with them the digest, that its server gave it.

use std::ops::Range;

use bytes::Bytes;
use thiserror::Error;

use super::envelope::locate;
use super::raw::{Raw, RawArray, RawObject};

/// Changes to one text, made together by [`Splice::finish`].
#[derive(Debug, Clone)]
pub struct Splice<'a> {
    original: &'a Bytes,
    edits: Vec<Edit>,
    /// Where containers start that lost or gained members: the commas of one change would not fit the other.
    thinned: Vec<usize>,
    extended: Vec<usize>,
}

#[derive(Debug, Clone)]
struct Edit {
    at: Range<usize>,
    text: Vec<u8>,
}

/// Why changes cannot be made together: always a mistake of the caller, never of a message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SpliceError {
    /// The view was not made from the text that is being changed.
    #[error("the value to change is not part of the message")]
    Foreign,
    /// Two changes touch the same bytes, or one container both loses and gains members.
    #[error("two changes overlap at byte {offset}; make them one after the other")]
    Overlap {
        /// Where they meet.
        offset: usize,
    },
}

impl<'a> Splice<'a> {
    /// No changes yet.
    pub fn new(original: &'a Bytes) -> Self {
        Self { original, edits: Vec::new(), thinned: Vec::new(), extended: Vec::new() }
    }

    /// Puts `with` in the place of `value`.
    pub fn replace(&mut self, value: Raw<'_>, with: Raw<'_>) -> Result<&mut Self, SpliceError> {
        let at = self.locate(value)?;
        self.edits.push(Edit { at, text: with.bytes().to_vec() });
        Ok(self)
    }

    /// Keeps only the elements for which `keep` is true.
    pub fn retain_elements(
        &mut self,
        array: RawArray<'_>,
        mut keep: impl FnMut(Raw<'_>) -> bool,
    ) -> Result<&mut Self, SpliceError> {
        let parts = array.elements().map(|element| (element, element, keep(element)));
        let parts = parts.collect::<Vec<_>>();
        self.thin(array.raw(), &parts)
    }

    /// Keeps only the members for which `keep` is true.
    pub fn retain_members(
        &mut self,
        object: RawObject<'_>,
        mut keep: impl FnMut(&str, Raw<'_>) -> bool,
    ) -> Result<&mut Self, SpliceError> {
        let parts = object.members().map(|member| {
            let key = member.key.text().unwrap_or_default();
            (member.key, member.value, keep(&key, member.value))
        });
        let parts = parts.collect::<Vec<_>>();
        self.thin(object.raw(), &parts)
    }

    /// Removes the member `key`, if there is one.
    pub fn remove_member(&mut self, object: RawObject<'_>, key: &str) -> Result<&mut Self, SpliceError> {
        self.retain_members(object, |found, _| found != key)
    }

    /// Gives `key` the value `with`: in place if there is such a member, else at the end of the object. One splice can
    /// add one member to an object.
    pub fn set_member(&mut self, object: RawObject<'_>, key: &str, with: Raw<'_>) -> Result<&mut Self, SpliceError> {
        if let Some(value) = object.member(key) {
            return self.replace(value, with);
        }
        let container = self.locate(object.raw())?;
        let (at, comma) = match object.members().last() {
            Some(last) => (self.locate(last.value)?.end, ","),
            None => (container.start + 1, ""),
        };
        if self.thinned.contains(&container.start) || self.extended.contains(&container.start) {
            return Err(SpliceError::Overlap { offset: at });
        }
        self.extended.push(container.start);
        let mut text = format!("{comma}{}:", serde_json::Value::from(key)).into_bytes();
        text.extend_from_slice(with.bytes());
        self.edits.push(Edit { at: at..at, text });
        Ok(self)
    }

    /// Removes the parts (first and last value of each, and whether it stays) with one comma each: the one before if
    /// something stays before it, else the one after.
    fn thin(&mut self, container: Raw<'_>, parts: &[(Raw<'_>, Raw<'_>, bool)]) -> Result<&mut Self, SpliceError> {
        if parts.iter().all(|(_, _, stays)| *stays) {
            return Ok(self);
        }
        let container = self.locate(container)?;
        if self.thinned.contains(&container.start) || self.extended.contains(&container.start) {
            return Err(SpliceError::Overlap { offset: container.start });
        }
        let mut places = Vec::with_capacity(parts.len());
        for (first, last, stays) in parts {
            places.push((self.locate(*first)?.start..self.locate(*last)?.end, *stays));
        }
        let mut end_before = None;
        for (index, (place, stays)) in places.iter().enumerate() {
            if !stays {
                let next = places.get(index + 1).map_or(place.end, |(next, _)| next.start);
                let at = end_before.map_or(place.start..next, |end| end..place.end);
                self.edits.push(Edit { at, text: Vec::new() });
            }
            if *stays || end_before.is_some() {
                end_before = Some(place.end);
            }
        }
        self.thinned.push(container.start);
        Ok(self)
    }

    /// The text with all changes made; without any, the original itself.
    pub fn finish(mut self) -> Result<Bytes, SpliceError> {
        if self.edits.is_empty() {
            return Ok(self.original.clone());
        }
        self.edits.sort_by_key(|edit| (edit.at.start, edit.at.end));
        let added = self.edits.iter().map(|edit| edit.text.len()).sum::<usize>();
        let mut out = Vec::with_capacity(self.original.len() + added);
        let mut at = 0;
        for edit in &self.edits {
            let kept = self.original.get(at..edit.at.start).ok_or(SpliceError::Overlap { offset: edit.at.start })?;
            out.extend_from_slice(kept);
            out.extend_from_slice(&edit.text);
            at = edit.at.end;
        }
        out.extend_from_slice(self.original.get(at..).unwrap_or_default());
        Ok(out.into())
    }

    fn locate(&self, part: Raw<'_>) -> Result<Range<usize>, SpliceError> {
        locate(self.original, part.bytes()).ok_or(SpliceError::Foreign)
    }
}
