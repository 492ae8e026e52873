//! Reading a ledger, also while another process writes it.
//!
//! Answers are complete up to the last whole group in the log: what the index does not know yet is read from the log itself. The index only proposes records; each is
//! read from the log before it is given out. A record may be seen shortly before its writer has acknowledged it.

use std::io;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use evidence::checkpoint::{Checkpoint, VerifierKey};
use evidence::filter::{Field, Filter, IdRange, Term};
use evidence::ids::{CallId, RunId};
use evidence::leaf::{Hash, Salt};
use evidence::limits::NOTE_BYTES_MAX;
use evidence::merkle::{ProveError, consistency_proof};
use evidence::record::{self, Body, Count, ReadRecordError, Record, VersionedKind};
use evidence::rotation::{Handover, KeyChain};
use evidence::tile::{TileHashes, TileRef};

use super::disk::HomeDisk;
use super::index::{IndexPlace, SqliteIndex};
pub use super::query::Order;
pub use super::view::Group;
use super::view::View;
use crate::ledger::INDEX;
use crate::ledger::identity::WITNESS_KEYS;
use crate::ledger::log::{Cursor, LogError, LogFault, LogReader, Spot};
use crate::ledger::tree::{CHECKPOINT, COSIGNED, read_tile};
use crate::ledger::{IdentityError, frame, identity, segment};
use crate::limits::{COUNT_GROUPS_MAX, WITNESS_KEYS_BYTES_MAX};
use crate::ports::{Disk, IndexError, read_file};

/// Why a ledger cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The home has no ledger.
    #[error("read ledger: there is none in this home yet")]
    Absent,
    /// It does not say who it is.
    #[error("read ledger: {0}")]
    Identity(#[from] IdentityError),
    /// The index cannot be read.
    #[error("read ledger: {0}")]
    Index(#[from] IndexError),
    /// The log cannot be read.
    #[error("read ledger: {0}")]
    Log(#[from] LogError),
    /// A count has more groups than it may.
    #[error("count: there are more than {COUNT_GROUPS_MAX} groups; count by another field, or narrow the filter")]
    Groups,
    /// The checkpoint cannot be read, or is not the log's.
    #[error("read ledger: `{file}`: {what}")]
    Checkpoint {
        /// Which file.
        file: &'static str,
        /// What is wrong with it.
        what: String,
    },
}

/// The head of a log, as it was signed.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The log's public key that signed it.
    pub key: VerifierKey,
    /// How the log came to that key.
    pub handovers: Vec<Handover>,
    /// The signed note.
    pub note: Vec<u8>,
    /// What it says.
    pub checkpoint: Checkpoint,
}

/// Reads one ledger. Not shared between threads: open one for each.
pub struct Reader {
    pub(super) disk: Arc<dyn Disk>,
    emitter: Arc<str>,
    pub(super) index: Option<SqliteIndex>,
}

impl Reader {
    /// Opens the ledger of a home for reading. Takes no lock and changes nothing.
    ///
    /// # Errors
    /// [`ReadError::Absent`] if the home has no ledger; else what cannot be read.
    pub fn open(home: &Path) -> Result<Self, ReadError> {
        let disk = HomeDisk::new(home);
        let index = IndexPlace::File(disk.path(INDEX));
        Self::open_on(Arc::new(disk), &index)
    }

    /// Opens the ledger on a disk of any kind. Without a usable index everything is read from the log: slow, and just as complete.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_on(disk: Arc<dyn Disk>, index: &IndexPlace) -> Result<Self, ReadError> {
        let (emitter, _) = identity::read_origin(&*disk)?.ok_or(ReadError::Absent)?;
        let index = match index {
            IndexPlace::Memory | IndexPlace::Temporary => None,
            IndexPlace::File(path) => SqliteIndex::open_read_only(path, &emitter).unwrap_or_else(|error| {
                tracing::warn!(path = %path.display(), %error, "the index cannot be read; answers come from the log alone");
                None
            }),
        };
        Ok(Self { disk, emitter, index })
    }

    /// The record with this number; `None` if the log does not reach it.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn record(&self, seq: u64) -> Result<Option<Record>, ReadError> {
        if let Some(index) = &self.index
            && let Some(spot) = index.spot(seq)?
        {
            return Ok(Some(Segments::new(&self.disk)?.read(spot)?));
        }
        let segments = segment::list(&*self.disk).map_err(|error| LogError::io(1, 0, error))?;
        let Some(first) = segments.iter().rev().find(|first| **first <= seq).copied().filter(|_| seq > 0) else {
            return Ok(None);
        };
        let start = Cursor { next_seq: first, segment: first, offset: Cursor::START.offset };
        let mut found = None;
        self.scan(start, |segment, spot, bytes| {
            if spot.seq == seq {
                found = Some(read_bytes(segment, spot, bytes)?);
            }
            Ok(if spot.seq < seq { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
        })?;
        Ok(found)
    }

    /// The records that match `filter`, the first `limit` of them in this order, or all.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn query(&self, filter: &Filter, order: Order, limit: Option<usize>) -> Result<Vec<Record>, ReadError> {
        let mut records = Vec::new();
        if limit != Some(0) {
            self.visit(filter, order, |record| {
                records.push(record);
                if limit == Some(records.len()) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
        }
        Ok(records)
    }

    /// Gives every record that matches `filter` to `each`, in order, until it breaks. Holds one record at a time.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn visit(
        &self,
        filter: &Filter,
        order: Order,
        mut each: impl FnMut(Record) -> ControlFlow<()>,
    ) -> Result<(), ReadError> {
        self.visit_placed(filter, order, |_, record| each(record))
    }

    /// [`Self::visit`], with where each record is.
    pub(crate) fn visit_placed(
        &self,
        filter: &Filter,
        order: Order,
        each: impl FnMut(Spot, Record) -> ControlFlow<()>,
    ) -> Result<(), ReadError> {
        let view = View::new(self)?;
        view.matcher(filter)?.visit(order, each)
    }

    /// How many records match `filter`. What the index is sure of is counted there, and not read.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn count(&self, filter: &Filter) -> Result<u64, ReadError> {
        let view = View::new(self)?;
        view.matcher(filter)?.count()
    }

    /// How many records match `filter` for each combination of values of the fields, `None` where a record has none. A record that has several values counts for each of
    /// them. The most come first.
    ///
    /// # Errors
    /// [`ReadError::Groups`] if there are too many; else as ever.
    pub fn count_by(&self, filter: &Filter, fields: &[Field]) -> Result<Vec<(Group, u64)>, ReadError> {
        let view = View::new(self)?;
        view.matcher(filter)?.count_by(fields)
    }

    /// Gives every record from `first` on, before `end`, to `each` as it is stored: its number, salt and bytes.
    ///
    /// # Errors
    /// [`ReadError`], or what `each` says.
    pub(crate) fn visit_stored<E: From<ReadError>>(
        &self,
        first: u64,
        end: u64,
        mut each: impl FnMut(u64, &Salt, &[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let segments = segment::list(&*self.disk).map_err(|error| ReadError::from(LogError::io(1, 0, error)))?;
        let start = segments.iter().rev().find(|start| **start <= first).copied().unwrap_or(1);
        let mut log = LogReader::new(
            Arc::clone(&self.disk),
            Cursor { next_seq: start, segment: start, offset: Cursor::START.offset },
        );
        while let Some(group) = log.next_if_there().map_err(ReadError::from)? {
            for entry in frame::entries(group.frame, group.header.first_seq) {
                if entry.seq >= end {
                    return Ok(());
                }
                if entry.seq >= first {
                    each(entry.seq, entry.salt, entry.bytes)?;
                }
            }
        }
        Ok(())
    }

    /// The salt and the bytes of the record at a place.
    pub(crate) fn stored(&self, spot: Spot) -> Result<(Salt, Vec<u8>), ReadError> {
        Ok(Segments::new(&self.disk)?.stored(spot)?)
    }

    /// The log's public key, and its signed checkpoint with what that says; `None` where the log has none yet.
    ///
    /// # Errors
    /// [`ReadError::Identity`] and [`ReadError::Checkpoint`].
    pub fn checkpoint(&self) -> Result<Option<Signed>, ReadError> {
        self.signed(CHECKPOINT)
    }

    /// The newest checkpoint that enough witnesses have cosigned; `None` where there is none. Who cosigned it is not looked at here.
    ///
    /// # Errors
    /// As [`Self::checkpoint`].
    pub fn cosigned(&self) -> Result<Option<Signed>, ReadError> {
        self.signed(COSIGNED)
    }

    fn signed(&self, file: &'static str) -> Result<Option<Signed>, ReadError> {
        let unfit = |what: String| ReadError::Checkpoint { file, what };
        // First the checkpoint: a key to which the log is handed over is there before what it signs.
        let note = match read_file(&*self.disk, file, NOTE_BYTES_MAX) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            other => other.map_err(|error| unfit(error.to_string()))?,
        };
        let keys = self.keys()?;
        let (checkpoint, key) = keys.open(&note).map_err(|error| unfit(error.to_string()))?;
        Ok(Some(Signed { handovers: keys.until(key), key: key.clone(), note, checkpoint }))
    }

    /// The keys that signed the log, one after the other.
    ///
    /// # Errors
    /// [`ReadError::Identity`].
    pub fn keys(&self) -> Result<KeyChain, ReadError> {
        Ok(identity::read_keys(&*self.disk)?)
    }

    /// The public keys of the witnesses that the gateway asks, a line each; `None` where it asks none.
    ///
    /// # Errors
    /// What the system says.
    pub fn witness_keys(&self) -> io::Result<Option<Vec<u8>>> {
        match read_file(&*self.disk, WITNESS_KEYS, WITNESS_KEYS_BYTES_MAX) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            other => other.map(Some).map(|keys| keys.filter(|keys| !keys.is_empty())),
        }
    }

    /// The proof that the published tree of `size` records begins with that of `old`.
    ///
    /// # Errors
    /// [`ProveError`] if a tile is missing.
    pub fn consistency(&self, old: u64, size: u64) -> Result<Vec<Hash>, ProveError> {
        consistency_proof(old, size, &TileHashes::new(size, |tile| self.tile(tile)))
    }

    /// The log's name in its records.
    pub(crate) fn emitter(&self) -> &str {
        &self.emitter
    }

    /// A tile of the published tree; where it has been replaced by a wider one, the start of that.
    pub(crate) fn tile(&self, tile: TileRef) -> Option<Vec<u8>> {
        read_tile(&*self.disk, tile)
    }

    /// All records of a call, in the order of the log.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn call(&self, call: CallId) -> Result<Vec<Record>, ReadError> {
        let (spots, from) = match &self.index {
            Some(index) => index.call(call)?,
            None => (Vec::new(), Cursor::START),
        };
        let mut records = self.read_spots(&spots)?;
        self.scan_records(from, |record| {
            if record.correlation.call == Some(call) {
                records.push(record);
            }
        })?;
        Ok(records)
    }

    /// Gives every record of a run to `each`, in the order of the log, until it breaks. Holds one record at a time; what is of other runs is not read, but for what the index does
    /// not know yet.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn visit_run(&self, run: RunId, each: impl FnMut(Record) -> ControlFlow<()>) -> Result<(), ReadError> {
        self.visit(&Filter::Term(Term::Run(vec![IdRange { low: run, high: run }])), Order::OldestFirst, each)
    }

    /// The latest `version_log` record of every object of a kind, in the order of the log.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn versions(&self, kind: VersionedKind) -> Result<Vec<Record>, ReadError> {
        let (spots, from) = match &self.index {
            Some(index) => index.versions_with_progress(kind)?,
            None => (Vec::new(), Cursor::START),
        };
        let mut latest = self.read_spots(&spots)?;
        self.scan_records(from, |record| {
            let Body::Version(version) = &record.body else { return };
            if version.object.kind == kind {
                latest.retain(|known| !matches!(&known.body, Body::Version(known) if known.object == version.object));
                latest.push(record);
            }
        })?;
        Ok(latest)
    }

    /// What the calls of a mission have counted, record by record or summed up.
    ///
    /// # Errors
    /// [`ReadError`].
    pub fn counts(&self, mission: &str) -> Result<Vec<Count>, ReadError> {
        let (mut counts, from) = match &self.index {
            Some(index) => index.counts_with_progress(mission)?,
            None => (Vec::new(), Cursor::START),
        };
        self.scan_records(from, |record| {
            if let Body::Action(action) = record.body
                && record.correlation.mission.as_deref() == Some(mission)
            {
                counts.extend(action.counted);
            }
        })?;
        Ok(counts)
    }

    fn read_spots(&self, spots: &[Spot]) -> Result<Vec<Record>, ReadError> {
        let mut segments = Segments::new(&self.disk)?;
        spots.iter().map(|spot| Ok(segments.read(*spot)?)).collect()
    }

    fn scan_records(&self, from: Cursor, mut each: impl FnMut(Record)) -> Result<(), ReadError> {
        self.scan(from, |segment, spot, bytes| {
            each(read_bytes(segment, spot, bytes)?);
            Ok(ControlFlow::Continue(()))
        })
    }

    /// Gives every record with its segment, from `from` to the end of the log to `each`, until it has enough.
    pub(super) fn scan(
        &self,
        from: Cursor,
        mut each: impl FnMut(u64, Spot, &[u8]) -> Result<ControlFlow<()>, LogError>,
    ) -> Result<(), ReadError> {
        let mut log = LogReader::new(Arc::clone(&self.disk), from);
        while let Some(group) = log.next_if_there()? {
            for entry in frame::entries(group.frame, group.header.first_seq) {
                let spot = Spot { seq: entry.seq, offset: group.offset + entry.at as u64 };
                if each(group.segment, spot, entry.bytes)?.is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// Reads one record by its place.
pub(crate) fn read_spot(disk: &Arc<dyn Disk>, spot: Spot) -> Result<Record, ReadError> {
    Ok(Segments::new(disk)?.read(spot)?)
}

/// Segments by their first records, the one that was read last kept open.
pub(super) struct Segments<'a> {
    disk: &'a dyn Disk,
    first_seqs: Vec<u64>,
    open: Option<segment::SegmentReader>,
}

impl<'a> Segments<'a> {
    pub(super) fn new(disk: &'a Arc<dyn Disk>) -> Result<Self, LogError> {
        let first_seqs = segment::list(&**disk).map_err(|error| LogError::io(1, 0, error))?;
        Ok(Self { disk: &**disk, first_seqs, open: None })
    }

    pub(super) fn read(&mut self, spot: Spot) -> Result<Record, LogError> {
        let (_, bytes) = self.stored(spot)?;
        let first = self.first_of(spot);
        let record = read_bytes(first, spot, &bytes)?;
        if record.seq == spot.seq {
            Ok(record)
        } else {
            let what = format!("record {} is there", record.seq);
            Err(LogError::io(first, spot.offset, io::Error::new(io::ErrorKind::InvalidData, what)))
        }
    }

    /// The first record of the segment in which a record is.
    fn first_of(&self, spot: Spot) -> u64 {
        let before = self.first_seqs.partition_point(|first| *first <= spot.seq);
        before.checked_sub(1).and_then(|at| self.first_seqs.get(at)).copied().unwrap_or(1)
    }

    fn stored(&mut self, spot: Spot) -> Result<(Salt, Vec<u8>), LogError> {
        let first = self.first_of(spot);
        let here = |error: io::Error| LogError::io(first, spot.offset, error);
        let open = match self.open.take() {
            Some(open) if open.first_seq == first => open,
            _ => segment::SegmentReader::open(self.disk, first).map_err(here)?,
        };
        let stored = open.entry(spot.offset).map_err(here)?;
        self.open = Some(open);
        Ok(stored)
    }
}

pub(super) fn read_bytes(segment: u64, spot: Spot, bytes: &[u8]) -> Result<Record, LogError> {
    record::read(bytes).map_err(|source: ReadRecordError| LogError {
        file: segment::path(segment),
        offset: spot.offset,
        source: LogFault::Record { seq: spot.seq, source },
    })
}
