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

    /// Puts `element` at the end of an array. One splice can add one element to an array.
    pub fn append_element(&mut self, array: RawArray<'_>, element: Raw<'_>) -> Result<&mut Self, SpliceError> {
        let container = self.locate(array.raw())?;
        let (at, comma) = match array.elements().last() {
            Some(last) => (self.locate(last)?.end, &b","[..]),
            None => (container.start + 1, &b""[..]),
        };
        if self.thinned.contains(&container.start) || self.extended.contains(&container.start) {
            return Err(SpliceError::Overlap { offset: at });
        }
        self.extended.push(container.start);
        self.edits.push(Edit { at: at..at, text: [comma, element.bytes()].concat() });
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::super::samples::{any_value, written};
    use super::*;
    use crate::limits::ReadLimits;

    fn raw(text: &[u8]) -> Raw<'_> {
        Raw::parse(text, &ReadLimits::REQUEST).unwrap()
    }

    #[test]
    fn elements_leave_with_one_comma_each() {
        for (text, expected) in [
            ("[1]", "[1]"),
            ("[ 0 ]", "[  ]"),
            ("[0,1]", "[1]"),
            ("[1,0]", "[1]"),
            ("[ 1 , 0 ]", "[ 1 ]"),
            ("[ 0 , 1 ]", "[ 1 ]"),
            ("[1, 0, 0, 2]", "[1, 2]"),
            ("[0,\n0,\n1,\n0,\n2,\n0,0]", "[1,\n2]"),
            ("[0,0,0]", "[]"),
            ("[]", "[]"),
        ] {
            let original = Bytes::from(text);
            let mut splice = Splice::new(&original);
            splice.retain_elements(raw(&original).array().unwrap(), |element| element.bytes() != b"0").unwrap();
            assert_eq!(splice.finish().unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn a_tool_list_loses_tools_and_nothing_else() {
        let original = Bytes::from(
            "{\"jsonrpc\":\"2.0\", \"id\":7,\n \"result\": {\"tools\" : [\n  {\"name\":\"a\",  \"x\":1.0},\n  {\"name\":\"b\"},\n  {\"n\\u0061me\":\"c\", \"priority\":1e0}\n ], \"nextCursor\":\"\\u0041\"}}\n",
        );
        let tools = raw(&original).at(&["result", "tools"]).unwrap().array().unwrap();
        let mut splice = Splice::new(&original);
        splice.retain_elements(tools, |tool| !tool.at(&["name"]).unwrap().is_text("b")).unwrap();
        let expected = String::from_utf8(original.to_vec()).unwrap().replace(",\n  {\"name\":\"b\"}", "");
        assert_eq!(splice.finish().unwrap(), expected);
    }

    #[test]
    fn members_are_set_in_place_or_added_at_the_end() {
        for (text, key, expected) in [
            (r#"{ "a" : 1 }"#, "a", r#"{ "a" : [2] }"#),
            (r#"{ "\u0061" : 1 }"#, "a", r#"{ "\u0061" : [2] }"#),
            (r#"{ "a" : 1 }"#, "b\"", r#"{ "a" : 1,"b\"":[2] }"#),
            ("{ }", "a", r#"{"a":[2] }"#),
        ] {
            let original = Bytes::from(text);
            let mut splice = Splice::new(&original);
            splice.set_member(raw(&original).object().unwrap(), key, raw(b"[2]")).unwrap();
            assert_eq!(splice.finish().unwrap(), expected, "{text}");
        }
    }

    #[test]
    fn members_leave_by_their_decoded_key() {
        let original = Bytes::from(r#"{"a":1, "\u0062":{"a":2}, "c":3}"#);
        let object = raw(&original).object().unwrap();
        for (key, expected) in [
            ("a", r#"{"\u0062":{"a":2}, "c":3}"#),
            ("b", r#"{"a":1, "c":3}"#),
            ("c", r#"{"a":1, "\u0062":{"a":2}}"#),
            ("d", r#"{"a":1, "\u0062":{"a":2}, "c":3}"#),
        ] {
            let mut splice = Splice::new(&original);
            splice.remove_member(object, key).unwrap();
            assert_eq!(splice.finish().unwrap(), expected);
        }
    }

    #[test]
    fn several_changes_are_made_together_in_any_order() {
        let original = Bytes::from(r#"{"id":1,"params":{"name":"a","_meta":{"progressToken":5,"x":0}},"l":[1,2,3]}"#);
        let whole = raw(&original);
        let mut splice = Splice::new(&original);
        splice.retain_elements(whole.at(&["l"]).unwrap().array().unwrap(), |element| element.bytes() == b"2").unwrap();
        splice.replace(whole.at(&["params", "_meta", "progressToken"]).unwrap(), raw(b"\"ours\"")).unwrap();
        splice.replace(whole.at(&["id"]).unwrap(), raw(b"99")).unwrap();
        splice.remove_member(whole.at(&["params"]).unwrap().object().unwrap(), "name").unwrap();
        splice.set_member(whole.object().unwrap(), "new", raw(b"null")).unwrap();
        let expected = r#"{"id":99,"params":{"_meta":{"progressToken":"ours","x":0}},"l":[2],"new":null}"#;
        assert_eq!(splice.finish().unwrap(), expected);
    }

    #[test]
    fn changes_that_do_not_fit_together_are_refused() {
        let original = Bytes::from(r#"{"a":{"b":1},"c":2}"#);
        let whole = raw(&original);
        let object = whole.object().unwrap();

        let elsewhere = Bytes::copy_from_slice(&original);
        let foreign = raw(&elsewhere).at(&["a"]).unwrap();
        assert_eq!(Splice::new(&original).replace(foreign, whole).unwrap_err(), SpliceError::Foreign);

        let mut splice = Splice::new(&original);
        splice.replace(whole.at(&["a"]).unwrap(), raw(b"0")).unwrap();
        splice.replace(whole.at(&["a", "b"]).unwrap(), raw(b"0")).unwrap();
        assert_eq!(splice.finish(), Err(SpliceError::Overlap { offset: 10 }));

        let mut splice = Splice::new(&original);
        splice.remove_member(object, "c").unwrap();
        assert!(matches!(splice.set_member(object, "d", raw(b"0")), Err(SpliceError::Overlap { .. })));

        let mut splice = Splice::new(&original);
        splice.set_member(object, "d", raw(b"0")).unwrap();
        assert!(matches!(splice.set_member(object, "e", raw(b"0")), Err(SpliceError::Overlap { .. })));
        assert!(matches!(splice.remove_member(object, "c"), Err(SpliceError::Overlap { .. })));
    }

    #[test]
    fn no_change_is_the_original_itself() {
        let original = Bytes::from("[1, 2]");
        let mut splice = Splice::new(&original);
        splice.retain_elements(raw(&original).array().unwrap(), |_| true).unwrap();
        assert_eq!(splice.finish().unwrap().as_ptr(), original.as_ptr());
    }

    proptest! {
        #[test]
        fn filtered_arrays_keep_the_bytes_of_what_stays(
            elements in prop::collection::vec((any_value(), any::<bool>()), 0..12),
            before in any_value(),
            after in any_value(),
            seed: u64,
        ) {
            let values = elements.iter().map(|(value, _)| value.clone()).collect::<Value>();
            let original = Bytes::from(written(&serde_json::json!([before, values, after]), seed));
            let parts = raw(&original).array().unwrap().elements().collect::<Vec<_>>();
            let array = parts[1].array().unwrap();

            let mut stays = elements.iter().map(|(_, stays)| *stays);
            let mut splice = Splice::new(&original);
            splice.retain_elements(array, |_| stays.next().unwrap()).unwrap();
            let spliced = splice.finish().unwrap();

            let mut stays = elements.iter().map(|(_, stays)| *stays);
            let kept = array.elements().filter(|_| stays.next().unwrap()).map(Raw::bytes).collect::<Vec<_>>();
            let new_parts = raw(&spliced).array().unwrap().elements().collect::<Vec<_>>();
            let found = new_parts[1].array().unwrap().elements().map(Raw::bytes).collect::<Vec<_>>();
            prop_assert_eq!(found, kept);
            let inside = locate(&original, parts[1].bytes()).unwrap();
            let new_inside = locate(&spliced, new_parts[1].bytes()).unwrap();
            prop_assert_eq!(&spliced[..new_inside.start], &original[..inside.start]);
            prop_assert_eq!(&spliced[new_inside.end..], &original[inside.end..]);
        }

        #[test]
        fn filtered_objects_keep_the_bytes_of_what_stays(
            members in prop::collection::btree_map("[a-z\"\\\\]{0,3}", (any_value(), any::<bool>()), 0..12),
            seed: u64,
        ) {
            let value = members.iter().map(|(key, (value, _))| (key.clone(), value.clone())).collect::<Value>();
            let original = Bytes::from(written(&value, seed));
            let object = raw(&original).object().unwrap();
            let mut splice = Splice::new(&original);
            splice.retain_members(object, |key, _| members[key].1).unwrap();
            let spliced = splice.finish().unwrap();
            let stays = |member: &super::super::Member<'_>| members[&*member.key.text().unwrap()].1;
            let kept = object.members().filter(stays).collect::<Vec<_>>();
            prop_assert_eq!(raw(&spliced).object().unwrap().members().collect::<Vec<_>>(), kept);
        }

        #[test]
        fn a_replaced_value_changes_only_itself(value in any_value(), with in any_value(), seed: u64, which: prop::sample::Index) {
            fn all<'a>(raw: Raw<'a>, found: &mut Vec<Raw<'a>>) {
                found.push(raw);
                for member in raw.object().into_iter().flat_map(RawObject::members) { all(member.value, found) }
                for element in raw.array().into_iter().flat_map(RawArray::elements) { all(element, found) }
            }
            let original = Bytes::from(written(&value, seed));
            let with = written(&with, seed);
            let mut places = Vec::new();
            all(raw(&original), &mut places);
            let part = places[which.index(places.len())];
            let mut splice = Splice::new(&original);
            splice.replace(part, raw(&with)).unwrap();
            let at = locate(&original, part.bytes()).unwrap();
            let expected = [&original[..at.start], with.trim_ascii(), &original[at.end..]].concat();
            prop_assert_eq!(&splice.finish().unwrap()[..], &expected);
        }
    }
}
