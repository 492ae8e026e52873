//! Verifies a whole log from its bytes alone: that every record is one, that nothing is missing, moved or changed, and that no act lacks its record.
//!
//! [`LedgerCheck`] is fed the signed checkpoints, then every record in order; it reads the stored tiles through the function it was given. It compares what is
//! stored with what the records say and holds nothing but open calls, the right edge of the tree and the findings. It does not decide anything again.
//! A finding names the record's number and the byte in the log where the damage starts; of an altered but well-formed record only a hash tells, so then it is the
//! record's first byte.

mod calls;
mod endorsed;
mod reviews;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::checkpoint::{CheckpointError, VerifierKey};
use crate::exceptions::{Illegal, Lives};
use crate::ids::{CallId, RecordId};
use crate::leaf::{Hash, Leaf, Salt, commitment, hex_text};
use crate::limits::{FINDINGS_MAX, OPEN_CALLS_MAX, TILE_WIDTH};
use crate::merkle::Frontier;
use crate::record::{self, Body, ReadRecordError, Record, RecordType};
use crate::rotation::{Fit, KeyChain, Rotation, RotationError};
use crate::tile::{Tile, TileBuilder, TileError, TileKind, TileRef, parse_entries, partial_tiles};
use crate::time::Timestamp;

use calls::Calls;
pub use calls::OpenIntent;
use reviews::Reviews;
pub use reviews::{PersonKeys, ReviewFlaw};

/// Something that is wrong with a log.
#[derive(Debug)]
pub struct Finding {
    /// The record it is about.
    pub seq: Option<u64>,
    /// The first bad byte, counted in the log as the caller counts it.
    pub byte: Option<u64>,
    /// What is wrong.
    pub flaw: Flaw,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(seq) = self.seq {
            write!(f, "record {seq}")?;
        }
        match (self.seq, self.byte) {
            (Some(_), Some(byte)) => write!(f, ", byte {byte}: ")?,
            (None, Some(byte)) => write!(f, "byte {byte}: ")?,
            (Some(_), None) => f.write_str(": ")?,
            (None, None) => {}
        }
        self.flaw.fmt(f)
    }
}

/// The ways in which a log can be wrong.
#[derive(Debug, thiserror::Error)]
pub enum Flaw {
    /// The bytes are not a record.
    #[error(transparent)]
    Unreadable(ReadRecordError),
    /// A number is missing, doubled or out of order.
    #[error("it says that it is record {found}")]
    Sequence {
        /// The number in the record.
        found: u64,
    },
    /// Ledger time went back.
    #[error("it was recorded at {found}, before its predecessor at {previous}")]
    TimeWentBack {
        /// The time in the record.
        found: Timestamp,
        /// The time of the record before it.
        previous: Timestamp,
    },
    /// The record belongs to another log.
    #[error("it is from the log `{found}`, not `{want}`")]
    Emitter {
        /// The emitter in the record.
        found: String,
        /// The emitter of the first record.
        want: String,
    },
    /// A `ledger_state` record names another origin than the checkpoints' key.
    #[error("it names the origin `{found}`, but the log's key is of `{want}`")]
    Origin {
        /// The origin in the record.
        found: String,
        /// The key's name.
        want: String,
    },
    /// An exception goes on in a way in which it may not.
    #[error("it is no event that may follow: {0}")]
    Exception(#[from] Illegal),
    /// An approval goes on in a way in which it may not, or its signature is none.
    #[error(transparent)]
    Approval(ReviewFlaw),
    /// A `ledger_state` record counts other than what is there.
    #[error("it says that {found} records are before it")]
    Count {
        /// The number in the record.
        found: u64,
    },
    /// A checkpoint is not a checkpoint, or not signed by the log.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A key of the log does not follow the one before it.
    #[error(transparent)]
    Rotation(#[from] RotationError),
    /// A checkpoint promises more records than there are.
    #[error("a signed checkpoint covers {promised} records, but the log ends after {found}")]
    RecordsMissing {
        /// The checkpoint's size.
        promised: u64,
        /// The number of records.
        found: u64,
    },
    /// The records up to a checkpoint are not those that were signed.
    #[error(
        "the records up to here do not give the root that the checkpoint of size {size} signs; the damage is after record {good}"
    )]
    Root {
        /// The checkpoint's size.
        size: u64,
        /// The last checkpoint before it that fits, or 0.
        good: u64,
    },
    /// A checkpoint could not be compared, because a record before it cannot be read.
    #[error("the checkpoint of size {size} cannot be compared: a record before it cannot be read")]
    RootUnknown {
        /// The checkpoint's size.
        size: u64,
    },
    /// A tile that a checkpoint needs is not there.
    #[error("tile `{tile}` is missing; rebuild it from the records")]
    TileMissing {
        /// Which.
        tile: TileRef,
    },
    /// A tile holds other than what the records give.
    #[error("tile `{tile}` differs from the records at its byte {at}")]
    TileDiffers {
        /// Which.
        tile: TileRef,
        /// The first byte of the tile that differs.
        at: usize,
    },
    /// A record is not the one whose entry the log has published.
    #[error("it is not the record that the entry in tile `{tile}` commits to")]
    EntryDiffers {
        /// The bundle.
        tile: TileRef,
    },
    /// The leaf entry of the record cannot be in a bundle.
    #[error(transparent)]
    Entry(#[from] TileError),
    /// An action names no call.
    #[error("it is an action but names no call")]
    NoCall,
    /// An intent has fields that only outcomes have, an outcome has no status, or it has what only intents have.
    #[error("an intent has no status and no result, and an outcome has a status, no input and nothing sent")]
    ActionFields,
    /// Something was about to be done that no decision allows.
    #[error("call {call} has an intent, but no decision before it allows the call")]
    NotAllowed {
        /// The call.
        call: CallId,
    },
    /// What was about to be done is not what was decided on.
    #[error("call {call} has an intent with another tool or other arguments than decision {decision} was about")]
    NotAsDecided {
        /// The call.
        call: CallId,
        /// The decision.
        decision: RecordId,
    },
    /// The same attempt was about to be made twice.
    #[error("call {call} has a second intent for attempt {attempt}")]
    SecondIntent {
        /// The call.
        call: CallId,
        /// The attempt.
        attempt: u32,
    },
    /// An outcome without an open intent: it never had one, or it has its outcome already.
    #[error("call {call} has an outcome for attempt {attempt}, which has no open intent")]
    NoIntent {
        /// The call.
        call: CallId,
        /// The attempt.
        attempt: u32,
    },
    /// What came out is not what was about to be done.
    #[error("call {call} has an outcome with another tool or other arguments than its intent at record {intent}")]
    NotAsIntended {
        /// The call.
        call: CallId,
        /// The intent's number.
        intent: u64,
    },
    /// More calls are open at once than this check can hold.
    #[error("more than {OPEN_CALLS_MAX} calls are open here; the calls that start from here on are not checked")]
    TooManyOpenCalls,
}

/// What a check found.
#[derive(Debug)]
pub struct Report {
    /// How many records were read.
    pub records: u64,
    /// How many of each type.
    pub types: BTreeMap<RecordType, u64>,
    /// The root over all of them; `None` if one could not be read.
    pub root: Option<Hash>,
    /// How many checkpoints have a true signature and a root that fits.
    pub checkpoints: u64,
    /// The size of the largest of them: the records up to here are proved, those after it are only well-formed.
    pub proved: u64,
    /// Intents without an outcome, oldest first: what runs now, or what a dead process left for recovery to close.
    pub open_intents: Vec<OpenIntent>,
    /// What is wrong, in the order of the log; what has no place in it comes last.
    pub findings: Vec<Finding>,
    /// How many findings are not listed.
    pub findings_omitted: u64,
}

impl Report {
    /// Whether nothing is wrong. Open intents are not wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.findings.is_empty()
    }
}

/// A record of which everything is done that needs no other record. That is most of the work of a check, and can be done for many records at once.
#[derive(Debug)]
pub struct Prepared {
    commitment: String,
    record: Result<Record, ReadRecordError>,
}

/// Reads a record and commits to it.
#[must_use]
pub fn prepare(salt: &Salt, bytes: &[u8]) -> Prepared {
    Prepared { commitment: hex_text(&commitment(salt, bytes)), record: record::read(bytes) }
}

/// The caller gave a checkpoint after the records that it covers.
#[derive(Debug, thiserror::Error)]
#[error(
    "the checkpoint of size {size} was given after record {records}; give checkpoints before the records that they cover"
)]
pub struct LateCheckpoint {
    size: u64,
    records: u64,
}

/// Reads one stored tile; `None` if it is not there.
pub type ReadTile<'a> = Box<dyn FnMut(TileRef) -> Option<Vec<u8>> + 'a>;

/// One check of one log. Give it checkpoints, then records; then ask for the report.
pub struct LedgerCheck<'a> {
    keys: KeyChain,
    /// The records that named the keys to which the log was handed over.
    handed_over: BTreeSet<u64>,
    tiles: Option<ReadTile<'a>>,
    signed: BTreeMap<u64, Vec<Hash>>,
    signed_max: u64,
    expected: u64,
    tree: Tree,
    missing: Vec<TileRef>,
    previous: Option<(String, Timestamp)>,
    calls: Calls,
    lives: Lives,
    reviews: Reviews,
    report: Report,
}

/// The tree over the records so far.
enum Tree {
    Known {
        builder: Box<TileBuilder>,
        /// Where in the log the records of the open bundle start.
        starts: Vec<u64>,
    },
    /// A record could not be read, so its leaf is not known.
    Unknown,
}

impl<'a> LedgerCheck<'a> {
    /// Checks the log whose checkpoints `key` signs. `tiles` reads the stored tiles; without it they are not checked.
    #[must_use]
    pub fn new(key: VerifierKey, tiles: Option<ReadTile<'a>>) -> Self {
        Self::of(KeyChain::alone(key), tiles)
    }

    /// Checks a log whose key has changed. The checkpoints of its handovers are given like others.
    #[must_use]
    pub fn of(keys: KeyChain, tiles: Option<ReadTile<'a>>) -> Self {
        Self {
            keys,
            handed_over: BTreeSet::new(),
            tiles,
            signed: BTreeMap::new(),
            signed_max: 0,
            expected: 1,
            tree: Tree::Known { builder: Box::default(), starts: Vec::new() },
            missing: Vec::new(),
            previous: None,
            calls: Calls::default(),
            lives: Lives::default(),
            reviews: Reviews::default(),
            report: Report {
                records: 0,
                types: BTreeMap::new(),
                root: Some(Frontier::new().root()),
                checkpoints: 0,
                proved: 0,
                open_intents: Vec::new(),
                findings: Vec::new(),
                findings_omitted: 0,
            },
        }
    }

    /// Takes a signed checkpoint, before the records that it covers. One that is not signed by the log is a finding.
    ///
    /// # Errors
    /// [`LateCheckpoint`] if more records than it covers have been given.
    pub fn checkpoint(&mut self, note: &[u8]) -> Result<(), LateCheckpoint> {
        let (size, root) = match self.keys.open(note) {
            Ok((checkpoint, _)) => (checkpoint.size, checkpoint.root),
            Err(error) => {
                self.find(None, None, Flaw::Checkpoint(error));
                return Ok(());
            }
        };
        if size < self.report.records {
            return Err(LateCheckpoint { size, records: self.report.records });
        }
        self.signed.entry(size).or_default().push(root);
        self.signed_max = self.signed_max.max(size);
        self.compare_checkpoints();
        Ok(())
    }

    /// Takes the next record: where its bytes start in the log, its salt and the bytes.
    pub fn record(&mut self, start: u64, salt: &Salt, bytes: &[u8]) {
        self.prepared(start, prepare(salt, bytes));
    }

    /// Takes the next record, of which [`prepare`] has seen to what needs no other.
    pub fn prepared(&mut self, start: u64, prepared: Prepared) {
        let seq = self.expected;
        self.report.records += 1;
        self.expected += 1;
        match prepared.record {
            Ok(record) => {
                self.place(seq, start, &record);
                self.grow(start, prepared.commitment, &record);
                self.follow(seq, start, &record);
            }
            Err(error) => {
                let byte = start.saturating_add(error.at() as u64);
                self.find(Some(seq), Some(byte), Flaw::Unreadable(error));
                self.tree = Tree::Unknown;
            }
        }
        self.compare_checkpoints();
    }

    /// Takes the next record where the caller has read it, and knows that it is the one which the log signed: what stands between records is checked, and no tree.
    pub fn signed(&mut self, start: u64, record: &Record) {
        let seq = self.expected;
        self.report.records += 1;
        self.tree = Tree::Unknown;
        self.place(seq, start, record);
        self.follow(seq, start, record);
    }

    /// Checks what a record says of others.
    fn follow(&mut self, seq: u64, start: u64, record: &Record) {
        *self.report.types.entry(record.record_type).or_default() += 1;
        if let Err(flaw) = self.calls.record(seq, record) {
            self.find(Some(seq), Some(start), flaw);
        }
        if let Body::Exception(exception) = &record.body
            && let Err(illegal) = self.lives.take(exception, record.occurred_at)
        {
            self.find(Some(seq), Some(start), illegal.into());
        }
        if let Some(named) = Rotation::of(record)
            && let Err(error) = named.and_then(|keys| self.rotated(record.seq, &keys))
        {
            self.find(Some(seq), Some(start), error.into());
        }
        if let Err(flaw) = self.reviews.next(&record.body) {
            self.find(Some(seq), Some(start), Flaw::Approval(flaw));
        }
        if let Body::Exception(exception) = &record.body
            && let Err(flaw) = self.reviews.exception(exception)
        {
            self.find(Some(seq), Some(start), Flaw::Approval(flaw));
        }
        if let Err(flaw) = self.reviews.record(record, &self.lives) {
            self.find(Some(seq), Some(start), Flaw::Approval(flaw));
        }
        // So that one gap is one finding.
        self.expected = record.seq.saturating_add(1);
        match &mut self.previous {
            Some((emitter, at)) if *emitter == record.emitter => *at = record.recorded_at,
            previous => *previous = Some((record.emitter.clone(), record.recorded_at)),
        }
    }

    /// Checks that a new key is the one to which the log was handed over; no checkpoint covers its record before that.
    fn rotated(&mut self, seq: u64, keys: &Rotation) -> Result<(), RotationError> {
        match self.keys.fits(seq, keys)? {
            Fit::Pending if self.signed_max >= seq => Err(RotationError::Unfinished),
            Fit::Pending => Ok(()),
            Fit::HandedOver => {
                self.handed_over.insert(seq);
                Ok(())
            }
        }
    }

    /// Ends the check.
    #[must_use]
    pub fn finish(mut self) -> Report {
        let records = self.report.records;
        if let Some((&promised, _)) = self.signed.last_key_value() {
            self.find(None, None, Flaw::RecordsMissing { promised, found: records });
        }
        let unrecorded = self.keys.handovers().iter().map(|handover| handover.seq);
        let unrecorded: Vec<u64> =
            unrecorded.filter(|seq| *seq <= records && !self.handed_over.contains(seq)).collect();
        for seq in unrecorded {
            self.find(Some(seq), None, RotationError::Unrecorded.into());
        }
        if self.reviews.is_due() {
            self.find(None, None, Flaw::Approval(ReviewFlaw::Idle));
        }
        self.report_missing_tiles();
        self.report.root = match &self.tree {
            Tree::Known { builder, .. } => Some(builder.root()),
            Tree::Unknown => None,
        };
        self.report.findings.sort_by_key(|finding| finding.byte.unwrap_or(u64::MAX));
        Report { open_intents: self.calls.open_intents(), ..self.report }
    }

    fn find(&mut self, seq: Option<u64>, byte: Option<u64>, flaw: Flaw) {
        if self.report.findings.len() < FINDINGS_MAX {
            self.report.findings.push(Finding { seq, byte, flaw });
        } else {
            self.report.findings_omitted += 1;
        }
    }

    /// Checks that the record stands where it says: number, time, log.
    fn place(&mut self, seq: u64, start: u64, record: &Record) {
        let mut flaws = Vec::new();
        if record.seq != seq {
            flaws.push(Flaw::Sequence { found: record.seq });
        }
        if let Some((emitter, previous)) = &self.previous {
            if record.recorded_at < *previous {
                flaws.push(Flaw::TimeWentBack { found: record.recorded_at, previous: *previous });
            }
            if record.emitter != *emitter {
                flaws.push(Flaw::Emitter { found: record.emitter.clone(), want: emitter.clone() });
            }
        }
        if let Body::Ledger(state) = &record.body {
            let want = self.keys.origin().as_str();
            if want != state.origin {
                flaws.push(Flaw::Origin { found: state.origin.clone(), want: want.to_owned() });
            }
            if state.records != record.seq.saturating_sub(1) {
                flaws.push(Flaw::Count { found: state.records });
            }
        }
        for flaw in flaws {
            self.find(Some(seq), Some(start), flaw);
        }
    }

    /// Adds the record's leaf to the tree and compares the tiles that it completes.
    fn grow(&mut self, start: u64, commitment: String, record: &Record) {
        let Tree::Known { builder, starts } = &mut self.tree else { return };
        let leaf = Leaf {
            commitment,
            emitter: record.emitter.clone(),
            id: record.id,
            schema: record.schema,
            seq: record.seq,
            record_type: record.record_type,
        };
        let entry = leaf.entry().unwrap_or_default();
        if let Err(error) = builder.push(&entry) {
            self.tree = Tree::Unknown;
            return self.find(Some(record.seq), Some(start), Flaw::Entry(error));
        }
        starts.push(start);
        if builder.size().is_multiple_of(TILE_WIDTH) {
            let tiles = builder.unwritten().unwrap_or_default();
            self.compare_tiles(tiles.into_iter().filter(|tile| tile.tile.is_complete()));
            if let Tree::Known { builder, starts } = &mut self.tree {
                builder.mark_written();
                starts.clear();
            }
        }
    }

    /// Compares tiles with the stored ones.
    fn compare_tiles(&mut self, tiles: impl Iterator<Item = Tile>) {
        let (Tree::Known { starts, .. }, Some(read)) = (&self.tree, &mut self.tiles) else { return };
        let mut found = Vec::new();
        for Tile { tile, bytes } in tiles {
            match read(tile) {
                None if self.missing.len() < FINDINGS_MAX => self.missing.push(tile),
                None => {}
                Some(stored) if stored == bytes => {}
                Some(stored) => found.push(difference(tile, &bytes, &stored, starts)),
            }
        }
        for Finding { seq, byte, flaw } in found {
            self.find(seq, byte, flaw);
        }
    }

    /// Compares the root with the checkpoints of this size, and the partial tiles if no later checkpoint is known.
    fn compare_checkpoints(&mut self) {
        let size = self.report.records;
        let Some(signed) = self.signed.remove(&size) else { return };
        let Tree::Known { builder, .. } = &self.tree else {
            return self.find(None, None, Flaw::RootUnknown { size });
        };
        let (root, partial) = (builder.root(), builder.partial().unwrap_or_default());
        if size == self.signed_max {
            self.compare_tiles(partial.into_iter());
        }
        for theirs in signed {
            if theirs == root {
                self.report.checkpoints += 1;
                self.report.proved = size;
            } else {
                let good = self.report.proved;
                self.find(Some(size).filter(|size| *size > 0), None, Flaw::Root { size, good });
            }
        }
    }

    /// Reports the missing tiles that the largest checkpoint needs. A partial tile may go once the complete one is there.
    fn report_missing_tiles(&mut self) {
        let Some(read) = &mut self.tiles else { return };
        let partial = partial_tiles(self.signed_max);
        let needed = |tile: &TileRef| match tile.is_complete() {
            true => TileRef::at_size(tile.kind, tile.index, self.signed_max) == Some(*tile),
            false => partial.contains(tile),
        };
        let mut missing: Vec<_> = self.missing.iter().copied().filter(needed).collect();
        missing.retain(|tile| tile.is_complete() || read(TileRef::complete(tile.kind, tile.index)).is_none());
        for tile in missing {
            self.find(None, None, Flaw::TileMissing { tile });
        }
    }
}

/// Where a stored tile differs from the one that the records give; in a bundle also in which record.
fn difference(tile: TileRef, ours: &[u8], stored: &[u8], starts: &[u64]) -> Finding {
    let at = ours.iter().zip(stored).take_while(|(ours, theirs)| ours == theirs).count();
    if tile.kind == TileKind::Entries
        && let (Ok(ours), Ok(theirs)) = (parse_entries(ours, tile.width()), parse_entries(stored, tile.width()))
        && let Some(place) = ours.iter().zip(&theirs).position(|(ours, theirs)| ours != theirs)
    {
        let seq = tile.index * TILE_WIDTH + place as u64 + 1;
        return Finding { seq: Some(seq), byte: starts.get(place).copied(), flaw: Flaw::EntryDiffers { tile } };
    }
    Finding { seq: None, byte: None, flaw: Flaw::TileDiffers { tile, at } }
}
