//! What is kept of a run: keyed hashes of values with who named them, and the bytes in which they outlast a restart.

use std::collections::HashMap;
use std::fmt;
use std::hash::Hasher as _;
use std::sync::Arc;

use siphasher::sip128::{Hasher128 as _, SipHasher13};
use zeroize::Zeroizing;

use crate::limits::{SEEN_SOURCES_MAX, SEEN_VALUES_MAX};

/// The key of a run's hashes: what is kept of a run tells nobody without it which values it has seen.
#[derive(Clone)]
pub struct Key(Zeroizing<[u8; 16]>);

impl Key {
    /// Takes 16 random bytes for SipHash-1-3 with 128 bits.
    #[must_use]
    pub fn new(key: [u8; 16]) -> Self {
        Self(Zeroizing::new(key))
    }

    fn hasher(&self) -> SipHasher13 {
        SipHasher13::new_with_key(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").finish_non_exhaustive()
    }
}

/// A keyed hash. Bytes, so that a table of them has no gaps.
pub(super) type Fingerprint = [u8; 16];

/// In which spelling, and for what, something is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// An identifier without the spaces between its groups.
    Compact = 1,
    /// Letters and digits alone, of a word or a short text.
    Squeezed = 2,
    /// A whole value.
    Leaf = 3,
    /// One of the initiator's words.
    Word = 4,
    /// An identifier in the initiator's words, without the spaces between its groups.
    Group = 5,
    /// A piece of what the agent sent.
    Piece = 6,
    /// How a piece begins.
    Start = 7,
    /// A part of one of the initiator's words.
    Part = 10,
    /// The way to a field.
    Way = 8,
    /// The end of a chunk of the file.
    Chunk = 9,
}

/// Who named something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mark {
    Initiator = 1,
    Trusted = 2,
    Untrusted = 3,
    Sent = 4,
    /// A piece of a value that somebody named.
    NamedPiece = 5,
    /// A piece that nobody named.
    Piece = 6,
    /// Trusted, in a record of which the initiator named something else.
    Selected = 7,
}

impl Mark {
    const ALL: [Self; 7] =
        [Self::Initiator, Self::Trusted, Self::Untrusted, Self::Sent, Self::NamedPiece, Self::Piece, Self::Selected];

    /// Whether it was in a field that only its service writes.
    pub(super) const fn is_trusted(self) -> bool {
        matches!(self, Self::Selected | Self::Trusted)
    }

    /// Whether it takes the place of `known`: what was seen first stays, but that a piece is nobody's as soon as nobody named it once, and that the record of a trusted
    /// value may be selected later.
    const fn replaces(self, known: Self) -> bool {
        matches!((known, self), (Self::NamedPiece, Self::Piece) | (Self::Trusted, Self::Selected))
    }

    fn read(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|mark| *mark as u8 == byte)
    }
}

/// The number of a place where values were seen; 0 is none. Of a piece it is the length.
pub(super) type SourceNumber = u16;

/// A word of the initiator as it stands, without what stands before it, and without what stands behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Spoken {
    pub(super) raw: Fingerprint,
    pub(super) first: Fingerprint,
    pub(super) last: Fingerprint,
}

/// What is kept of a run.
#[derive(Clone, Debug)]
pub(super) struct Store {
    key: Key,
    values: HashMap<Fingerprint, (Mark, SourceNumber), Ready>,
    sources: Vec<Arc<str>>,
    ways: HashMap<Fingerprint, SourceNumber, Ready>,
    pub(super) spoken: Vec<Spoken>,
    /// The lengths of pieces, a bit each.
    piece_lengths: u128,
    gap: bool,
    /// The end of the last chunk.
    chain: Fingerprint,
    fresh: Vec<u8>,
}

/// Keys are hashes already, under a key that nobody outside has.
#[derive(Clone, Copy, Debug, Default)]
struct Ready(u64);

impl std::hash::BuildHasher for Ready {
    type Hasher = Self;

    fn build_hasher(&self) -> Self {
        Self(0)
    }
}

impl std::hash::Hasher for Ready {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        if let Some(first) = bytes.first_chunk::<8>() {
            self.0 = u64::from_le_bytes(*first);
        }
    }

    /// All are of one length.
    fn write_usize(&mut self, _: usize) {}
}

const ENTRY: u8 = b'v';
const SOURCE: u8 = b's';
const SPOKEN: u8 = b'w';
const GAP: u8 = b'g';

impl Store {
    pub(super) fn new(key: &Key) -> Self {
        Self {
            key: key.clone(),
            values: HashMap::default(),
            sources: Vec::new(),
            ways: HashMap::default(),
            spoken: Vec::new(),
            piece_lengths: 0,
            gap: false,
            chain: Fingerprint::default(),
            fresh: Vec::new(),
        }
    }

    pub(super) fn fingerprint(&self, form: Form, bytes: &[u8]) -> Fingerprint {
        let mut hasher = self.key.hasher();
        hasher.write(bytes);
        // At the end, where no text of another form can have it.
        hasher.write_u8(form as u8);
        hasher.finish128().as_bytes()
    }

    /// The place below `above` that is named `name`.
    pub(super) fn way(&self, above: Fingerprint, name: &str) -> Fingerprint {
        let mut hasher = self.key.hasher();
        hasher.write(&above);
        hasher.write(name.as_bytes());
        hasher.write_u8(Form::Way as u8);
        hasher.finish128().as_bytes()
    }

    pub(super) fn find(&self, form: Form, text: &str) -> Option<(Mark, SourceNumber)> {
        self.find_bytes(form, text.as_bytes())
    }

    pub(super) fn find_bytes(&self, form: Form, bytes: &[u8]) -> Option<(Mark, SourceNumber)> {
        self.values.get(&self.fingerprint(form, bytes)).copied()
    }

    /// Keeps it, unless what is known of it stays.
    pub(super) fn put(&mut self, form: Form, text: &str, mark: Mark, source: SourceNumber) {
        self.put_bytes(form, text.as_bytes(), mark, source);
    }

    pub(super) fn put_bytes(&mut self, form: Form, bytes: &[u8], mark: Mark, source: SourceNumber) {
        self.put_fingerprint(self.fingerprint(form, bytes), mark, source);
    }

    fn put_fingerprint(&mut self, fingerprint: Fingerprint, mark: Mark, source: SourceNumber) {
        if let Some(known) = self.values.get_mut(&fingerprint) {
            if !mark.replaces(known.0) {
                return;
            }
            *known = (mark, source);
        } else if self.values.len() >= SEEN_VALUES_MAX {
            return self.mark_gap();
        } else {
            self.values.insert(fingerprint, (mark, source));
        }
        if matches!(mark, Mark::NamedPiece | Mark::Piece) {
            self.piece_lengths |= 1_u128.checked_shl(source.into()).unwrap_or_default();
        }
        self.fresh.push(ENTRY);
        self.fresh.push(mark as u8);
        self.fresh.extend_from_slice(&source.to_le_bytes());
        self.fresh.extend_from_slice(&fingerprint);
    }

    pub(super) fn speak(&mut self, word: Spoken) {
        self.spoken.push(word);
        self.fresh.push(SPOKEN);
        for fingerprint in [word.raw, word.first, word.last] {
            self.fresh.extend_from_slice(&fingerprint);
        }
    }

    /// The number of the place at `way`, which `name` spells. Where there are too many places it is none.
    pub(super) fn source_number(&mut self, way: Fingerprint, name: impl FnOnce() -> String) -> SourceNumber {
        if let Some(number) = self.ways.get(&way) {
            return *number;
        }
        let name = name();
        let number = match self.sources.iter().position(|known| **known == *name) {
            Some(at) => at + 1,
            None if self.sources.len() >= SEEN_SOURCES_MAX => return 0,
            None => {
                let Ok(length) = u16::try_from(name.len()) else { return 0 };
                self.fresh.push(SOURCE);
                self.fresh.extend_from_slice(&length.to_le_bytes());
                self.fresh.extend_from_slice(name.as_bytes());
                self.sources.push(name.into());
                self.sources.len()
            }
        };
        let number = SourceNumber::try_from(number).unwrap_or_default();
        if self.ways.len() < SEEN_SOURCES_MAX * 4 {
            self.ways.insert(way, number);
        }
        number
    }

    pub(super) fn source(&self, number: SourceNumber) -> Option<&Arc<str>> {
        usize::from(number).checked_sub(1).and_then(|at| self.sources.get(at))
    }

    /// Whether some piece has that many bytes.
    pub(super) fn has_piece_of(&self, length: usize) -> bool {
        let bit = u32::try_from(length).ok().and_then(|length| 1_u128.checked_shl(length));
        bit.is_some_and(|bit| self.piece_lengths & bit != 0)
    }

    pub(super) const fn has_gap(&self) -> bool {
        self.gap
    }

    pub(super) fn mark_gap(&mut self) {
        if !self.gap {
            self.gap = true;
            self.fresh.push(GAP);
        }
    }

    pub(super) fn len(&self) -> usize {
        self.values.len()
    }
}

impl Store {
    /// What was added since the last time: one chunk, its length before it and a keyed hash of it and all before it behind; nothing where nothing was added.
    pub(super) fn news(&mut self) -> Vec<u8> {
        let fresh = std::mem::take(&mut self.fresh);
        // A chunk is bounded by what a run keeps: some MiB.
        let Some(length) = u32::try_from(fresh.len()).ok().filter(|length| *length > 0) else { return Vec::new() };
        self.chain = self.end_of(&fresh);
        let mut chunk = Vec::with_capacity(fresh.len() + 20);
        chunk.extend_from_slice(&length.to_le_bytes());
        chunk.extend_from_slice(&fresh);
        chunk.extend_from_slice(&self.chain);
        chunk
    }

    fn end_of(&self, chunk: &[u8]) -> Fingerprint {
        let mut hasher = self.key.hasher();
        hasher.write(&self.chain);
        hasher.write(chunk);
        hasher.write_u8(Form::Chunk as u8);
        hasher.finish128().as_bytes()
    }

    /// What `file` has of a run. What follows a chunk that is torn or another's is lost, which is a gap.
    pub(super) fn load(key: &Key, file: &[u8]) -> Self {
        let mut store = Self::new(key);
        let mut rest = file;
        while !rest.is_empty() {
            match store.take_chunk(rest) {
                Some(after) => rest = after,
                None => {
                    store.fresh.clear();
                    store.gap = false;
                    store.mark_gap();
                    return store;
                }
            }
        }
        store.fresh.clear();
        store
    }

    fn take_chunk<'f>(&mut self, file: &'f [u8]) -> Option<&'f [u8]> {
        let (length, rest) = file.split_first_chunk::<4>()?;
        let (chunk, rest) = rest.split_at_checked(usize::try_from(u32::from_le_bytes(*length)).ok()?)?;
        let (end, rest) = rest.split_first_chunk::<16>()?;
        let chain = self.end_of(chunk);
        if chain != *end {
            return None;
        }
        let mut entries = chunk;
        while let Some((kind, after)) = entries.split_first() {
            entries = self.take_entry(*kind, after)?;
        }
        self.chain = chain;
        Some(rest)
    }

    fn take_entry<'f>(&mut self, kind: u8, rest: &'f [u8]) -> Option<&'f [u8]> {
        match kind {
            ENTRY => {
                let ([mark], rest) = rest.split_first_chunk::<1>()?;
                let (source, rest) = rest.split_first_chunk::<2>()?;
                let (fingerprint, rest) = rest.split_first_chunk::<16>()?;
                self.put_fingerprint(*fingerprint, Mark::read(*mark)?, SourceNumber::from_le_bytes(*source));
                Some(rest)
            }
            SOURCE => {
                let (length, rest) = rest.split_first_chunk::<2>()?;
                let (name, rest) = rest.split_at_checked(u16::from_le_bytes(*length).into())?;
                self.sources.push(std::str::from_utf8(name).ok()?.into());
                Some(rest)
            }
            SPOKEN => {
                let (raw, rest) = rest.split_first_chunk::<16>()?;
                let (first, rest) = rest.split_first_chunk::<16>()?;
                let (last, rest) = rest.split_first_chunk::<16>()?;
                self.spoken.push(Spoken { raw: *raw, first: *first, last: *last });
                Some(rest)
            }
            GAP => {
                self.gap = true;
                Some(rest)
            }
            _ => None,
        }
    }
}
