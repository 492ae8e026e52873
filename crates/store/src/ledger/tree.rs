//! The Merkle tree of the log as files: tiles, the signed checkpoint, and a note of how far both are durable.
//!
//! Derived from the log and deterministic, so tiles are synced only when a note is made; after a power cut those since the note are written again.
//! Order of writes: tiles, checkpoint, note. A checkpoint never covers a record that is not durable in the log.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use ed25519_dalek::SigningKey;
use evidence::checkpoint::{Checkpoint, CheckpointError, KeyName, Note, VerifierKey};
use evidence::leaf::{Hash, Salt};
use evidence::limits::NOTE_BYTES_MAX;
use evidence::record;
use evidence::rotation::{Handover, KeyChain, Rotation};
use evidence::tile::{TileBuilder, TileError, TileKind, TileRef, encode_entries, parse_entries, partial_tiles};

use super::identity::{self, IdentityError};
use super::log::Cursor;
use super::rows::Glance;
use crate::ports::{Audience, Disk, Durability, read_file, replace_file};

/// Where tiles and checkpoint are, as C2SP tlog-tiles lays them out below this prefix.
pub(crate) const PREFIX: &str = "ledger";

/// The signed checkpoint.
pub(crate) const CHECKPOINT: &str = "ledger/checkpoint";

/// The newest checkpoint that enough witnesses have cosigned, with their cosignatures.
pub(crate) const COSIGNED: &str = "ledger/cosigned";

/// How far tiles are durable.
pub(crate) const NOTE: &str = "ledger/tree";

/// Entries that may wait in memory before their tiles are written: 16 Ki × 300 bytes = 5 MB.
const UNWRITTEN_MAX: u64 = 16 * 1024;

/// A tile: 256 entries of at most 64 KiB with their lengths.
pub(crate) const TILE_BYTES_MAX: usize = 256 * (64 * 1024 + 2);

/// Why the tree could not be taken further. The log is not touched by it.
#[derive(Debug, thiserror::Error)]
pub enum TreeError {
    /// A file could not be written or read.
    #[error("`{file}`: {source}")]
    Io {
        /// The file.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// A leaf entry cannot be made.
    #[error("leaf of record {seq}: {source}")]
    Leaf {
        /// The record.
        seq: u64,
        /// Why.
        source: serde_json::Error,
    },
    /// A leaf entry cannot be in a tile.
    #[error(transparent)]
    Tile(#[from] TileError),
    /// The log's key cannot be changed as a record says.
    #[error("the new key of the log that record {seq} names: {what}")]
    Rotation {
        /// The record.
        seq: u64,
        /// What is wrong.
        what: String,
    },
    /// The log is another one than the checkpoint was signed for.
    #[error("the log's first {size} records are not those that `{CHECKPOINT}` was signed for")]
    Forked {
        /// The size of the tree that was signed.
        size: u64,
    },
}

/// The growing tree.
pub(crate) struct Tree {
    disk: Arc<dyn Disk>,
    key: SigningKey,
    origin: KeyName,
    emitter: Arc<str>,
    builder: TileBuilder,
    cursor: Cursor,
    /// The checkpoint found on opening, until the tree has reached and confirmed it.
    found: Option<Checkpoint>,
    published: Cursor,
    noted: Cursor,
    unsynced: BTreeSet<String>,
    /// A tile could not be synced, and asking again proves nothing: this process makes no further note, the next opening derives the tiles again.
    untrusted: bool,
    /// Partial tiles that are there.
    partial: BTreeSet<String>,
    /// A record that was added names a new key, which signs from the next checkpoint on.
    rotation: Option<(u64, Rotation)>,
}

impl Tree {
    /// Goes on from the last note, or from the start where there is none that fits the tiles.
    pub(crate) fn resume(
        disk: Arc<dyn Disk>,
        key: SigningKey,
        origin: KeyName,
        emitter: Arc<str>,
        found: Option<Checkpoint>,
    ) -> Self {
        let noted = read_note(&*disk).and_then(|note| {
            let read = |tile: TileRef| read_file(&*disk, &path(tile), TILE_BYTES_MAX);
            let builder = TileBuilder::resume(note.cursor.records(), read).ok()?;
            (builder.root() == note.root).then_some((builder, note.cursor))
        });
        let (builder, cursor) = noted.unwrap_or((TileBuilder::new(), Cursor::START));
        let found = found.filter(|found| found.size > 0);
        let mut tree = Self {
            disk,
            key,
            origin,
            emitter,
            builder,
            cursor,
            found,
            published: cursor,
            noted: cursor,
            unsynced: BTreeSet::new(),
            untrusted: false,
            partial: partial_tiles(cursor.records()).into_iter().map(path).collect(),
            rotation: None,
        };
        if tree.found.as_ref().is_some_and(|found| found.size < cursor.records()) {
            // The note comes after its checkpoint, so an older checkpoint was put back by hand: derive everything and compare on the way.
            tree.builder = TileBuilder::new();
            (tree.cursor, tree.published, tree.noted) = (Cursor::START, Cursor::START, Cursor::START);
        }
        tree
    }

    pub(crate) const fn cursor(&self) -> Cursor {
        self.cursor
    }

    pub(crate) const fn published(&self) -> u64 {
        self.published.records()
    }

    /// Adds one record.
    pub(crate) fn push(&mut self, seq: u64, salt: &Salt, bytes: &[u8], glance: &Glance<'_>) -> Result<(), TreeError> {
        if seq <= self.builder.size() {
            return Ok(());
        }
        let entry = glance.leaf_entry(bytes, salt, &self.emitter);
        let entry = entry.map_err(|source| TreeError::Leaf { seq, source })?;
        self.builder.push(&entry)?;
        match self.found.take_if(|found| found.size == seq) {
            Some(found) if found.root != self.builder.root() => Err(TreeError::Forked { size: seq }),
            _ => Ok(()),
        }
    }

    /// Takes a record that is about the log's key.
    pub(crate) fn rotate(&mut self, seq: u64, bytes: &[u8]) -> Result<(), TreeError> {
        let record = record::read(bytes).map_err(|source| TreeError::Rotation { seq, what: source.to_string() })?;
        let Some(named) = Rotation::of(&record) else { return Ok(()) };
        let keys = named.map_err(|error| TreeError::Rotation { seq, what: error.to_string() })?;
        // Where this key does not sign, the log was handed over already.
        if keys.old == VerifierKey::new(self.origin.clone(), self.key.verifying_key()) {
            self.rotation = Some((seq, keys));
        }
        Ok(())
    }

    /// Publishes the last checkpoint of the old key, which the new one signs too, and has the new one sign from then on.
    fn hand_over(&mut self, checkpoint: &Checkpoint, seq: u64, keys: Rotation) -> Result<(), TreeError> {
        let failed = |what: String| TreeError::Rotation { seq, what };
        let unread = |error: IdentityError| failed(error.to_string());
        let next = match identity::read_next(&*self.disk, &self.origin).map_err(unread)? {
            Some(next) => next,
            // It was taken before something failed.
            None => identity::read_signing(&*self.disk, &self.origin).map_err(unread)?,
        };
        let is_named = |key: &SigningKey| VerifierKey::new(self.origin.clone(), key.verifying_key()) == keys.new;
        let next = Some(next).filter(is_named).ok_or_else(|| {
            failed(format!("`{}` is not the key that it names; put it back from a backup", identity::NEXT_KEY))
        })?;
        let note = checkpoint.sign_by_both(&self.key, &next, &self.origin);
        let handover = Handover::new(seq, keys, note.into_bytes()).map_err(|error| failed(error.to_string()))?;
        let kept = identity::keep_handover(&*self.disk, &handover);
        kept.map_err(|source| TreeError::Io { file: identity::HANDOVERS.into(), source })?;
        // CRASH: the old key signs as before; the next opening meets the record again, and writes a later handover in the place of this one.
        self.replace(CHECKPOINT, &handover.note, Durability::Synced)?;
        // CRASH: both keys signed this checkpoint, so either opens it; the next opening hands over again.
        identity::take_next(&*self.disk, &handover.keys.new).map_err(|error| failed(error.to_string()))?;
        self.key = next;
        self.rotation = None;
        Ok(())
    }

    /// Says where in the log the records that were added end.
    pub(crate) fn reached(&mut self, cursor: Cursor) -> Result<(), TreeError> {
        self.cursor = cursor;
        if self.builder.size() - self.builder.written() >= UNWRITTEN_MAX { self.write_tiles() } else { Ok(()) }
    }

    /// Writes the tiles and then signs a checkpoint over all records that were added.
    pub(crate) fn publish(&mut self) -> Result<(), TreeError> {
        if self.published == self.cursor && self.rotation.is_none() {
            return Ok(());
        }
        self.write_tiles()?;
        let checkpoint =
            Checkpoint { origin: self.origin.clone(), size: self.builder.size(), root: self.builder.root() };
        // CRASH: tiles are there that no checkpoint covers; the next opening writes the same bytes again.
        match self.rotation.clone() {
            Some((seq, keys)) => self.hand_over(&checkpoint, seq, keys)?,
            None => {
                let note = checkpoint.sign(&self.key, &self.origin);
                self.replace(CHECKPOINT, note.as_bytes(), Durability::Whole)?;
            }
        }
        self.published = self.cursor;
        let current: BTreeSet<String> = partial_tiles(self.builder.size()).into_iter().map(path).collect();
        for old in self.partial.difference(&current) {
            self.unsynced.remove(old);
            // One that stays behind is no harm: readers ask for the width that they need.
            let _ = self.disk.remove(old);
        }
        self.partial = current;
        Ok(())
    }

    /// Publishes, and then makes durable and notes what is published, so that the next opening starts here.
    pub(crate) fn note(&mut self) -> Result<(), TreeError> {
        self.publish()?;
        if self.noted == self.cursor || self.untrusted {
            return Ok(());
        }
        self.sync_tiles().inspect_err(|_| self.untrusted = true)?;
        // CRASH: everything that the note will speak of is durable already.
        self.replace(NOTE, write_note(self.cursor, &self.builder.root()).as_bytes(), Durability::Synced)?;
        self.unsynced.clear();
        self.noted = self.cursor;
        Ok(())
    }

    fn sync_tiles(&self) -> Result<(), TreeError> {
        let mut directories = BTreeSet::from([PREFIX]);
        for file in &self.unsynced {
            let synced = self.disk.open(file, crate::ports::Access::Write).and_then(|open| open.sync_data());
            synced.map_err(|source| TreeError::Io { file: file.clone(), source })?;
            let mut rest = file.as_str();
            while let Some((directory, _)) = rest.rsplit_once('/').filter(|(directory, _)| *directory != PREFIX) {
                directories.insert(directory);
                rest = directory;
            }
        }
        for directory in directories {
            let synced = self.disk.sync_dir(directory);
            synced.map_err(|source| TreeError::Io { file: directory.to_owned(), source })?;
        }
        Ok(())
    }

    /// How many records a power cut now would make the next opening add again.
    pub(crate) const fn since_note(&self) -> u64 {
        self.cursor.next_seq - self.noted.next_seq
    }

    fn write_tiles(&mut self) -> Result<(), TreeError> {
        for tile in self.builder.unwritten()? {
            let file = path(tile.tile);
            let directory = file.rsplit_once('/').map_or(PREFIX, |(directory, _)| directory);
            let made = self.disk.create_dir(directory);
            made.map_err(|source| TreeError::Io { file: directory.to_owned(), source })?;
            self.replace(&file, &tile.bytes, Durability::Derived)?;
            if !tile.tile.is_complete() {
                self.partial.insert(file.clone());
            }
            self.unsynced.insert(file);
        }
        self.builder.mark_written();
        Ok(())
    }

    fn replace(&self, file: &str, bytes: &[u8], durability: Durability) -> Result<(), TreeError> {
        let written = replace_file(&*self.disk, file, bytes, Audience::Home, durability);
        written.map_err(|source| TreeError::Io { file: file.to_owned(), source })
    }
}

/// The path of a tile in the home.
pub(crate) fn path(tile: TileRef) -> String {
    format!("{PREFIX}/{}", tile.path())
}

/// Reads a tile; where a growing log has replaced a partial one by a wider one, the start of that.
pub(crate) fn read_tile(disk: &dyn Disk, tile: TileRef) -> Option<Vec<u8>> {
    let exact = path(tile);
    if let Ok(bytes) = read_file(disk, &exact, TILE_BYTES_MAX) {
        return Some(bytes);
    }
    let (directory, _) = exact.rsplit_once('/').filter(|_| !tile.is_complete())?;
    let widths = disk.list(directory).ok()?.into_iter().filter_map(|name| name.parse::<u16>().ok());
    let (wider, bytes) = match widths.filter(|width| *width > tile.width()).min() {
        Some(wider) => (wider, read_file(disk, &format!("{directory}/{wider}"), TILE_BYTES_MAX).ok()?),
        None => {
            let complete = TileRef::complete(tile.kind, tile.index);
            (complete.width(), read_file(disk, &path(complete), TILE_BYTES_MAX).ok()?)
        }
    };
    let width = usize::from(tile.width());
    match tile.kind {
        TileKind::Hashes { .. } => bytes.get(..width * 32).map(<[u8]>::to_vec),
        TileKind::Entries => encode_entries(parse_entries(&bytes, wider).ok()?.get(..width)?).ok(),
    }
}

/// A note that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TreeNote {
    pub(crate) cursor: Cursor,
    pub(crate) root: Hash,
}

const NOTE_TITLE: &str = "countersign tree 1";

fn write_note(cursor: Cursor, root: &Hash) -> String {
    let Cursor { next_seq, segment, offset } = cursor;
    let text = format!("{NOTE_TITLE}\n{next_seq} {segment} {offset}\n{}\n", hex::encode(root));
    let crc = crc32fast::hash(text.as_bytes());
    format!("{text}{crc:08x}\n")
}

/// The note, if there is one that is whole.
pub(crate) fn read_note(disk: &dyn Disk) -> Option<TreeNote> {
    let bytes = read_file(disk, NOTE, 1_024).ok()?;
    parse_note(std::str::from_utf8(&bytes).ok()?)
}

fn parse_note(text: &str) -> Option<TreeNote> {
    let mut lines = text.lines();
    let (title, place, root, _crc) = (lines.next()?, lines.next()?, lines.next()?, lines.next()?);
    let mut numbers = place.split(' ').map(str::parse::<u64>);
    let mut number = || numbers.next()?.ok();
    let cursor = Cursor { next_seq: number()?, segment: number()?, offset: number()? };
    let root = hex::decode(root).ok()?.try_into().ok()?;
    // Only what we would write passes, the checksum included.
    (title == NOTE_TITLE && cursor.next_seq > 0 && write_note(cursor, &root) == text)
        .then_some(TreeNote { cursor, root })
}

/// How many records the checkpoint that witnesses cosigned covers, as it says; 0 where there is none. That it is signed is for verification to say.
pub(crate) fn cosigned_size(disk: &dyn Disk, origin: &KeyName) -> u64 {
    let read = read_file(disk, COSIGNED, NOTE_BYTES_MAX).ok().and_then(|bytes| Note::parse(&bytes).ok());
    let checkpoint = read.and_then(|note| Checkpoint::parse(note.text()).ok());
    checkpoint.filter(|checkpoint| checkpoint.origin == *origin).map_or(0, |checkpoint| checkpoint.size)
}

/// Why the checkpoint cannot be trusted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadCheckpointError {
    #[error(transparent)]
    Io(#[from] io::Error),
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

/// The signed checkpoint, if there is one.
pub(crate) fn read_checkpoint(disk: &dyn Disk, keys: &KeyChain) -> Result<Option<Checkpoint>, ReadCheckpointError> {
    match read_file(disk, CHECKPOINT, NOTE_BYTES_MAX) {
        Ok(bytes) => Ok(Some(keys.open(&bytes)?.0)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_reads_back_and_no_flipped_bit_passes() {
        let cursor = Cursor { next_seq: 1_234, segment: 1_001, offset: 77_777 };
        let text = write_note(cursor, &[0xab; 32]);
        assert_eq!(parse_note(&text), Some(TreeNote { cursor, root: [0xab; 32] }));
        for at in 0..text.len() {
            for bit in 0..7 {
                let mut bytes = text.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                assert_eq!(parse_note(std::str::from_utf8(&bytes).unwrap()), None, "byte {at}");
            }
        }
        assert_eq!(parse_note(text.trim_end()), None);
    }
}
