//! What a tool returned, taken apart: what only its service writes, and all the rest first.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashSet};
use std::ops::Range;

use evidence::record::{Endpoint, Surface, Tool};
use serde_json::value::RawValue;

use super::leaves::{self, Reader};
use super::select;
use super::spelling::normal;
use super::store::{Fingerprint, Form, Mark, SourceNumber, Store};
use crate::classify::facet::{kind_of, read_object};
use crate::limits::{SEEN_BYTES_MAX, SEEN_LEAF_BYTES_MAX, SEEN_SOURCE_NAMES_MAX};
use crate::mission::{Reach, Trust};

/// Takes a result apart.
pub(super) struct Harvest<'a> {
    store: &'a mut Store,
    tool: &'a Tool,
    trust: &'a Trust,
    /// Whether the call was made with what the initiator named.
    is_asked: bool,
    /// How many bytes may still be looked at.
    left: usize,
    /// The names of members on the way, with a [`JOINT`] after each.
    path: String,
    /// Values that only the service writes, as far as is known yet, one after another.
    texts: String,
    values: Vec<Value>,
    /// The records that were read, each with the text that it stands in.
    records: Vec<TextNumber>,
    /// Those that are not at their end, the innermost one last.
    open: Vec<RecordNumber>,
    /// In a text beside structured content only what stands there too is trusted.
    confirmed: Option<HashSet<Fingerprint>>,
}

struct Value {
    is_trusted: bool,
    range: Range<usize>,
    /// The record that it stands in, if in one.
    record: Option<RecordNumber>,
    source: SourceNumber,
}

/// Which record of a result, counted from 0.
type RecordNumber = usize;

/// Which text of a result that is JSON, counted from 0.
type TextNumber = usize;

/// Where a leaf of a result stands.
#[derive(Clone, Copy)]
pub(super) struct Place {
    reach: Reach,
    source: SourceNumber,
    way: Fingerprint,
}

/// Between names, none of which has it.
const JOINT: char = '\0';

impl<'a> Harvest<'a> {
    pub(super) fn new(store: &'a mut Store, tool: &'a Tool, trust: &'a Trust, is_asked: bool) -> Self {
        Self {
            store,
            tool,
            trust,
            is_asked,
            left: SEEN_BYTES_MAX,
            path: String::new(),
            texts: String::new(),
            values: Vec::new(),
            records: Vec::new(),
            open: Vec::new(),
            confirmed: None,
        }
    }

    /// Takes apart `result`. What cannot be read or is too large may hide what it says: that is a gap.
    pub(super) fn take(mut self, result: &[u8]) {
        let top = self.top();
        let is_read = match std::str::from_utf8(result) {
            Ok(text) if self.tool.surface == Surface::Mcp => self.message(text, top),
            Ok(text) => leaves::read(text, top, &mut self).is_ok(),
            Err(_) => false,
        };
        if !is_read {
            self.store.mark_gap();
            self.values.iter_mut().for_each(|value| value.is_trusted = false);
            if result.len() <= self.left {
                self.store.note(&String::from_utf8_lossy(result), Mark::Untrusted, top.source);
            }
        }
        self.settle();
    }

    fn top(&mut self) -> Place {
        let name = self.tool.to_string();
        let way = self.store.fingerprint(Form::Way, name.as_bytes());
        Place { reach: self.trust.top(), source: self.store.source_number(way, || name), way }
    }

    /// A result of the Model Context Protocol: structured content, and blocks of content with texts.
    fn message(&mut self, result: &str, top: Place) -> bool {
        let Ok(members) = read_object(result.as_bytes()) else { return false };
        let mut is_read = true;
        let structured = members.get("structuredContent").filter(|_| self.tool.endpoint == Endpoint::Tool);
        if let Some(structured) = structured {
            is_read &= leaves::read(structured.get(), top, self).is_ok();
            if !self.is_trusted_whole() {
                let trusted = self.values.iter().filter(|value| value.is_trusted);
                let texts = trusted.filter_map(|value| self.texts.get(value.range.clone()));
                let spelt = texts.map(|text| self.store.fingerprint(Form::Leaf, normal(text).as_bytes()));
                self.confirmed = Some(spelt.collect());
            }
        }
        for (name, value) in &members {
            is_read &= match &**name {
                // What the protocol itself says, which no tool writes.
                "isError" | "resultType" => true,
                "structuredContent" if structured.is_some() => true,
                "content" | "contents" if kind_of(value.get()) == "list" => self.blocks(value.get(), top),
                name => self.unnamed(top, name, value.get()),
            };
        }
        is_read
    }

    /// Whether there is nothing in a result that is not trusted.
    fn is_trusted_whole(&self) -> bool {
        self.trust.whole && self.trust.fields.values().all(|is_trusted| *is_trusted)
    }

    /// What no field of a result reaches: trusted where all of it is.
    fn unnamed(&mut self, top: Place, name: &str, value: &str) -> bool {
        let trust = self.trust;
        if !self.is_trusted_whole() {
            self.trust = &NONE;
        }
        let place = self.enter(Place { reach: self.trust.top(), ..top }, name);
        let is_read = leaves::read(value, place, self).is_ok();
        self.leave();
        self.trust = trust;
        is_read
    }

    fn blocks(&mut self, content: &str, top: Place) -> bool {
        let Ok(blocks) = serde_json::from_str::<Vec<&RawValue>>(content) else { return false };
        let mut texts: Vec<Cow<'_, str>> = Vec::new();
        for block in blocks {
            let Ok(members) = read_object(block.get().as_bytes()) else { return false };
            for (name, value) in &members {
                let is_text = kind_of(value.get()) == "text";
                let is_read = match &**name {
                    "text" if is_text => text_of(value).map(|text| texts.push(text)).is_some(),
                    // Pictures and sounds: what somebody reads in them was never seen here.
                    "data" | "blob" if is_text => true,
                    "resource" if kind_of(value.get()) == "object" => self.embedded(top, value),
                    "type" => true,
                    name => self.unnamed(top, name, value.get()),
                };
                if !is_read {
                    return false;
                }
            }
        }
        // Where some texts are JSON and others are not, nobody knows which of them the service wrote.
        let are_documents = texts.iter().all(|text| leaves::is_document(text));
        texts.iter().all(|text| self.text_block(text, top, are_documents))
    }

    /// A resource inside of content. The bytes of a file are none of the texts that are looked at.
    fn embedded(&mut self, top: Place, resource: &RawValue) -> bool {
        let Ok(members) = read_object(resource.get().as_bytes()) else { return false };
        members.iter().filter(|(name, _)| **name != "blob").all(|(name, value)| self.unnamed(top, name, value.get()))
    }

    fn text_block(&mut self, text: &str, top: Place, are_documents: bool) -> bool {
        let is_document = are_documents || (self.confirmed.is_some() && leaves::is_document(text));
        if is_document {
            return leaves::read(text, top, self).is_ok();
        }
        if self.is_trusted_whole() {
            return self.lines(text, top.source);
        }
        // A server repeats as text what it has structured.
        let is_repeated = self
            .confirmed
            .as_ref()
            .is_some_and(|confirmed| confirmed.contains(&self.store.fingerprint(Form::Leaf, normal(text).as_bytes())));
        is_repeated || self.spend(text).map(|()| self.store.note(text, Mark::Untrusted, top.source)).is_some()
    }

    /// A text that only the service writes: its lines are values, what stands behind a colon in one, and its words.
    fn lines(&mut self, text: &str, source: SourceNumber) -> bool {
        if self.spend(text).is_none() {
            return false;
        }
        for line in text.lines() {
            let line = line.trim();
            self.value(line, source, true);
            if let Some((_, value)) = line.split_once(": ") {
                self.value(value, source, true);
            }
            self.words(line, source);
        }
        true
    }

    fn words(&mut self, text: &str, source: SourceNumber) {
        for word in text.split_whitespace() {
            self.value(word, source, true);
            let bare = word.trim_matches(|character: char| {
                character.is_ascii_punctuation() && !matches!(character, '/' | '_' | '-' | '+')
            });
            if bare.len() < word.len() {
                self.value(bare, source, true);
            }
        }
    }

    fn spend(&mut self, text: &str) -> Option<()> {
        self.left = self.left.checked_sub(text.len()).filter(|left| *left > 0).or_else(|| {
            self.left = 0;
            None
        })?;
        Some(())
    }

    fn value(&mut self, text: &str, source: SourceNumber, is_trusted: bool) {
        if !text.is_empty() && text.len() <= SEEN_LEAF_BYTES_MAX {
            let start = self.texts.len();
            self.texts.push_str(text);
            self.values.push(Value {
                is_trusted,
                range: start..self.texts.len(),
                record: self.open.last().copied(),
                source,
            });
        }
    }

    /// INVARIANT (untrusted-first): within one result what nobody trusts is kept before what only the service writes.
    fn settle(self) {
        let Self { store, texts, values, records, is_asked, .. } = self;
        let text = |value: &Value| texts.get(value.range.clone()).unwrap_or_default();
        for value in values.iter().filter(|value| !value.is_trusted) {
            store.note(text(value), Mark::Untrusted, value.source);
        }
        let trusted = || values.iter().filter(|value| value.is_trusted);
        let leaves = trusted().filter_map(|value| Some((value.record?, text(value))));
        let selected = select::records(store, &records, leaves);
        for value in trusted() {
            let is_selected = is_asked || value.record.is_some_and(|record| selected.contains(&record));
            store.trust(text(value), value.source, is_selected);
        }
    }
}

fn text_of(value: &RawValue) -> Option<Cow<'_, str>> {
    serde_json::from_str::<leaves::Name<'_>>(value.get()).ok().map(|leaves::Name(text)| text)
}

impl Reader for Harvest<'_> {
    type Place = Place;

    fn enter(&mut self, above: Place, name: &str) -> Place {
        if !above.reach.is_trusted && self.spend(name).is_some() {
            self.store.note(name, Mark::Untrusted, above.source);
        }
        // A name with the joint in it is one name that no field has.
        self.path.push_str(if name.contains(JOINT) { "" } else { name });
        self.path.push(JOINT);
        let way = self.store.way(above.way, name);
        let (tool, path) = (self.tool, &self.path);
        let source = self.store.source_number(way, || source_of(tool, path));
        let reach = match self.trust.fields.is_empty() {
            true => above.reach,
            false => {
                let names: Vec<&str> = self.path.split_terminator(JOINT).collect();
                self.trust.below(above.reach, &names)
            }
        };
        Place { reach, source, way }
    }

    fn leave(&mut self) {
        self.path.pop();
        let end = self.path.rfind(JOINT).map_or(0, |at| at + JOINT.len_utf8());
        self.path.truncate(end);
    }

    fn text(&mut self, place: Place, text: &str) {
        if self.spend(text).is_none() {
            return;
        }
        if !place.reach.is_trusted {
            return self.store.note(text, Mark::Untrusted, place.source);
        }
        let is_confirmed = self
            .confirmed
            .as_ref()
            .is_none_or(|confirmed| confirmed.contains(&self.store.fingerprint(Form::Leaf, normal(text).as_bytes())));
        match is_confirmed {
            // A list that a service has written as a text.
            true if text.starts_with(['[', '{']) => self.words(text, place.source),
            true => self.value(text, place.source, true),
            false => self.store.note(text, Mark::Untrusted, place.source),
        }
    }

    fn number(&mut self, place: Place, spelt: &str) {
        self.text(place, spelt);
    }

    fn vast_number(&mut self, _: Place) {}

    fn open_record(&mut self) {
        let text = match self.open.last().and_then(|outer| self.records.get(*outer)) {
            Some(text) => *text,
            None => self.records.last().map_or(0, |last| last + 1),
        };
        self.open.push(self.records.len());
        self.records.push(text);
    }

    fn close_record(&mut self) {
        self.open.pop();
    }

    fn position(&self) -> usize {
        self.values.len()
    }

    fn twice(&mut self, position: usize) {
        self.values.iter_mut().skip(position).for_each(|value| value.is_trusted = false);
    }

    fn is_full(&self) -> bool {
        self.left == 0
    }
}

/// How a place is called: names that could be values are left out.
fn source_of(tool: &Tool, path: &str) -> String {
    let mut source = tool.to_string();
    for (at, name) in path.split_terminator(JOINT).take(SEEN_SOURCE_NAMES_MAX).enumerate() {
        source.push(if at == 0 { ':' } else { '.' });
        source.push_str(if is_field_name(name) { name } else { "*" });
    }
    source
}

/// Whether a name looks like one that a program has, and not like a value.
pub(super) fn is_field_name(name: &str) -> bool {
    let digits = name.bytes().filter(u8::is_ascii_digit).count();
    let is_plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'$'));
    is_plain && !name.is_empty() && name.len() <= FIELD_NAME_BYTES_MAX && digits <= 2
}

/// The longest name of a field that is taken for one.
const FIELD_NAME_BYTES_MAX: usize = 40;

/// Trusts nothing.
static NONE: Trust = Trust { whole: false, fields: BTreeMap::new() };
