//! Checks a ledger from its bytes, without opening anything for writing and without taking the lock.
//!
//! Frames, checksums and segment headers are checked here; records, numbers, intents, commitments, tree, tiles and the signed checkpoint by
//! [`evidence::verify`]. Where one changed bit explains a damaged group, the bit is named and the rest is checked as if it were mended.
//! May run beside a gateway: what that has not finished writing is not damage.

use std::fmt;
use std::io;
use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;
use std::thread;

use evidence::checkpoint::{KeyName, VerifierKey};
use evidence::limits::NOTE_BYTES_MAX;
use evidence::record::{Body, LedgerEvent};
use evidence::rotation::KeyChain;
use evidence::verify::{Finding, Flaw, LedgerCheck, Prepared, prepare};

use super::frame::{self, ENTRY_HEADER_BYTES, Entry, FrameFault};
use super::identity::{self, IdentityError};
use super::recovery::header_fits;
use super::segment::{self, GroupError, SegmentHeader, SegmentReader, TORN_BYTES_MAX};
use super::tree::{self, CHECKPOINT, COSIGNED, NOTE};
use crate::embedded::disk::HomeDisk;
use crate::limits::{CHECK_BYTES, SEGMENT_HEADER_BYTES};
use crate::ports::{Disk, read_file};

/// Why a ledger cannot be checked at all.
#[derive(Debug, thiserror::Error)]
pub enum FsckError {
    /// The home has no ledger.
    #[error("check ledger: there is none in this home yet")]
    Absent,
    /// It does not say who it is.
    #[error("check ledger: {0}")]
    Identity(#[from] IdentityError),
    /// A file cannot be read.
    #[error("check ledger: `{file}`: {source}")]
    Io {
        /// The file.
        file: String,
        /// Why.
        source: io::Error,
    },
}

/// Bytes that are not what was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file, below the home.
    pub file: String,
    /// The first bad byte in it, where one can be named.
    pub offset: Option<u64>,
    /// The record it belongs to, where one can be named.
    pub seq: Option<u64>,
    /// What is wrong.
    pub what: String,
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.file)?;
        if let Some(offset) = self.offset {
            write!(f, " byte {offset}")?;
        }
        if let Some(seq) = self.seq {
            write!(f, " (record {seq})")?;
        }
        write!(f, ": {}", self.what)
    }
}

/// What follows the last whole group of a ledger that was not closed in order: a group that is being written, or that a dead process did not finish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unfinished {
    /// The segment.
    pub file: String,
    /// Where it starts.
    pub offset: u64,
    /// How long it is.
    pub bytes: u64,
}

/// What a check found.
#[derive(Debug)]
pub struct Report {
    /// The log's name in its records.
    pub emitter: String,
    /// The log's name in its checkpoints.
    pub origin: String,
    /// Segment files.
    pub segments: u64,
    /// Whole groups.
    pub groups: u64,
    /// Bytes of whole groups.
    pub bytes: u64,
    /// Where the log was being written.
    pub unfinished: Option<Unfinished>,
    /// What is wrong, in the order of the log; tiles and other files after it.
    pub damages: Vec<Damage>,
    /// What the records say.
    pub evidence: evidence::verify::Report,
}

impl Report {
    /// Whether nothing is wrong.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.damages.is_empty() && self.evidence.is_sound()
    }

    /// How many records were read.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.evidence.records
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { evidence, .. } = self;
        writeln!(
            f,
            "{}: {} records in {} groups, {} segments; {} of them under a checkpoint signed as {}",
            self.emitter, evidence.records, self.groups, self.segments, evidence.proved, self.origin
        )?;
        for (record_type, count) in &evidence.types {
            writeln!(f, "  {record_type}: {count}")?;
        }
        if !evidence.open_intents.is_empty() {
            writeln!(f, "  calls with an intent and no outcome yet: {}", evidence.open_intents.len())?;
        }
        if let Some(Unfinished { file, offset, bytes }) = &self.unfinished {
            writeln!(
                f,
                "  an unfinished write of {bytes} bytes at byte {offset} of `{file}`; the next opening sets it aside"
            )?;
        }
        for damage in &self.damages {
            writeln!(f, "damaged: {damage}")?;
        }
        if evidence.findings_omitted > 0 {
            writeln!(f, "and {} findings more", evidence.findings_omitted)?;
        }
        f.write_str(if self.is_sound() { "sound: every byte is what was written" } else { "not sound" })
    }
}

/// Checks the ledger of a home.
///
/// # Errors
/// [`FsckError`] if there is nothing to check or it cannot be read; damage is in the report.
pub fn fsck(home: &Path) -> Result<Report, FsckError> {
    fsck_on(&HomeDisk::new(home))
}

/// [`fsck`], and that the log is that of a key which is trusted, or was handed over from or to it; and that it grew from checkpoints that were kept earlier, each with what to call it.
///
/// # Errors
/// As [`fsck`].
pub fn fsck_since(
    home: &Path,
    trusted: Option<&VerifierKey>,
    older: &[(String, Vec<u8>)],
) -> Result<Report, FsckError> {
    check_on(&HomeDisk::new(home), trusted, older)
}

/// Checks the ledger on a disk of any kind.
///
/// # Errors
/// As [`fsck`].
pub fn fsck_on(disk: &dyn Disk) -> Result<Report, FsckError> {
    check_on(disk, None, &[])
}

fn check_on(disk: &dyn Disk, trusted: Option<&VerifierKey>, older: &[(String, Vec<u8>)]) -> Result<Report, FsckError> {
    let (emitter, origin) = identity::read_origin(disk)?.ok_or(FsckError::Absent)?;
    // The checkpoint first: while a gateway writes, the log only grows beyond it, and a key to which it is handed over is there before what that signs.
    let checkpoint = read(disk, CHECKPOINT)?;
    let keys = identity::read_keys(disk)?;
    let mut walk = Walk::new(disk, emitter, origin, keys);
    if let Some(trusted) = trusted.filter(|trusted| !walk.keys.has(trusted)) {
        let what = format!(
            "the log is not signed by the key that you trust, `{trusted}`, nor was it handed over from or to that"
        );
        walk.damage(identity::VERIFIER_KEY.into(), None, None, what);
    }
    if let Some(note) = checkpoint {
        walk.has_checkpoint = true;
        // Nothing was given before it, so it cannot be late.
        let _ = walk.check.checkpoint(&note);
    }
    for handover in walk.keys.clone().handovers() {
        walk.older(&format!("{}/{}", identity::HANDOVERS, handover.seq), &handover.note);
    }
    if let Some(cosigned) = read(disk, COSIGNED)? {
        walk.older(COSIGNED, &cosigned);
    }
    for (name, note) in older {
        walk.older(name, note);
    }
    walk.log()?;
    walk.settle();
    walk.tree_note();
    Ok(walk.finish())
}

/// A file with a signed checkpoint; `None` where there is none.
fn read(disk: &dyn Disk, file: &str) -> Result<Option<Vec<u8>>, FsckError> {
    match read_file(disk, file, NOTE_BYTES_MAX) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        other => Ok(Some(other.map_err(|source| FsckError::Io { file: file.into(), source })?)),
    }
}

struct Walk<'a> {
    disk: &'a dyn Disk,
    emitter: Arc<str>,
    origin: KeyName,
    keys: KeyChain,
    check: LedgerCheck<'a>,
    has_checkpoint: bool,
    next_seq: u64,
    last_frame: Vec<u8>,
    last_first_seq: u64,
    /// Groups whose records are not checked yet: where each is in the log, its first number and its frame.
    pending: Vec<(u64, u64, Vec<u8>)>,
    pending_bytes: usize,
    /// The segments read so far, by where they start if the log is one sequence of bytes.
    starts: Vec<(u64, u64)>,
    base: u64,
    groups: u64,
    bytes: u64,
    unfinished: Option<Unfinished>,
    damages: Vec<Damage>,
}

impl<'a> Walk<'a> {
    fn new(disk: &'a dyn Disk, emitter: Arc<str>, origin: KeyName, keys: KeyChain) -> Self {
        let mut damages = Vec::new();
        if *keys.origin() != origin {
            let what = format!("it is the key of `{}`, and `{}` names `{origin}`", keys.origin(), identity::ORIGIN);
            damages.push(Damage { file: identity::VERIFIER_KEY.into(), offset: None, seq: None, what });
        }
        let check = LedgerCheck::of(keys.clone(), Some(Box::new(move |tile| tree::read_tile(disk, tile))));
        Self {
            disk,
            emitter,
            origin,
            keys,
            check,
            has_checkpoint: false,
            next_seq: 1,
            last_frame: Vec::new(),
            last_first_seq: 0,
            pending: Vec::new(),
            pending_bytes: 0,
            starts: Vec::new(),
            base: 0,
            groups: 0,
            bytes: 0,
            unfinished: None,
            damages,
        }
    }

    /// Takes a checkpoint that was kept: the records must give its root too.
    fn older(&mut self, name: &str, note: &[u8]) {
        match self.keys.open(note) {
            // Nothing was given before it, so it cannot be late.
            Ok(_) => drop(self.check.checkpoint(note)),
            Err(error) => self.damage(name.to_owned(), None, None, error.to_string()),
        }
    }

    fn log(&mut self) -> Result<(), FsckError> {
        let segments =
            segment::list(self.disk).map_err(|source| FsckError::Io { file: segment::DIRECTORY.into(), source })?;
        let last = segments.last().copied();
        for first_seq in segments {
            if first_seq != self.next_seq {
                let what = format!("missing: the next segment starts with record {first_seq}");
                self.damage(segment::path(self.next_seq), None, Some(self.next_seq), what);
                self.last_frame.clear();
            }
            self.next_seq = first_seq;
            let file = segment::path(first_seq);
            let mut reader = SegmentReader::open(self.disk, first_seq).map_err(|error| io_error(&file, error))?;
            self.starts.push((self.base, first_seq));
            self.header(&reader).map_err(|error| io_error(&file, error))?;
            let place = if Some(first_seq) == last { Place::Last } else { Place::Earlier };
            self.groups(&mut reader, place).map_err(|error| io_error(&file, error))?;
            self.base += reader.segment_bytes;
        }
        Ok(())
    }

    fn header(&mut self, reader: &SegmentReader) -> io::Result<()> {
        let file = segment::path(reader.first_seq);
        let page = reader.header_page()?;
        let header = match SegmentHeader::read(&page) {
            Ok(header) => header,
            Err(fault) => {
                let (offset, what) = match segment::locate_flip(&page) {
                    Some((at, mask)) => (at as u64, flipped(&page, at, mask)),
                    None => (0, fault.to_string()),
                };
                self.damage(file, Some(offset), None, what);
                return Ok(());
            }
        };
        let fits =
            header_fits(&header, reader.first_seq, reader.segment_bytes, &self.emitter, &self.origin, &self.last_frame);
        if let Err(what) = fits {
            self.damage(file, Some(0), None, what);
        }
        Ok(())
    }

    fn groups(&mut self, reader: &mut SegmentReader, place: Place) -> io::Result<()> {
        let mut offset = SEGMENT_HEADER_BYTES;
        loop {
            let fault = match reader.group(offset, self.next_seq) {
                Ok(Some(group)) => {
                    let (frame, first_seq) = (group.frame.to_vec(), group.header.first_seq);
                    offset += self.group(offset, first_seq, frame);
                    continue;
                }
                Ok(None) => None,
                Err(GroupError::Io(error)) => return Err(error),
                Err(GroupError::Fault(fault)) => Some(fault),
            };
            match self.look(reader, offset, place)? {
                Look::End => return Ok(()),
                Look::Group(frame) => offset += self.group(offset, self.next_seq, frame),
                Look::Other(rest) => match self.damaged(reader.first_seq, offset, place, fault, &rest) {
                    Some(skipped) => offset += skipped,
                    None => return Ok(()),
                },
            }
            reader.refresh();
        }
    }

    /// Reads the rest of a segment afresh. A gateway may be writing there, so what is not a group is looked at again before it is called damage.
    fn look(&self, reader: &SegmentReader, offset: u64, place: Place) -> io::Result<Look> {
        let mut looks = if place == Place::Last && !self.is_stopped() { LOOKS_MAX } else { 1 };
        loop {
            looks -= 1;
            let rest = reader.rest(offset)?;
            if rest.iter().all(|byte| *byte == 0) {
                return Ok(Look::End);
            }
            if let Some((first_seq, frame)) = frame::whole(&rest)
                && first_seq == self.next_seq
            {
                return Ok(Look::Group(frame.to_vec()));
            }
            if looks == 0 || frame::find_frame(&rest, self.next_seq).is_none() {
                return Ok(Look::Other(rest));
            }
        }
    }

    /// Says what is wrong at `offset` and how far on the next group is, if there is one in this segment.
    fn damaged(
        &mut self,
        first_seq: u64,
        offset: u64,
        place: Place,
        fault: Option<FrameFault>,
        rest: &[u8],
    ) -> Option<u64> {
        let (file, want) = (segment::path(first_seq), self.next_seq);
        if let Some((at, mask, mended)) = frame::locate_flip(rest, want) {
            let holds = |entry: &Entry<'_>| at < entry.at + ENTRY_HEADER_BYTES + entry.bytes.len();
            let seq = frame::entries(&mended, want).find(holds).map(|entry| entry.seq);
            self.damage(file, Some(offset + at as u64), seq, flipped(rest, at, mask));
            return Some(self.group(offset, want, mended));
        }
        let first = rest.iter().position(|byte| *byte != 0).unwrap_or_default() as u64;
        let what = fault.map_or_else(|| "no group is here".to_owned(), |fault| fault.to_string());
        if let Some(skipped) = frame::find_frame(rest, want) {
            self.damage(
                file,
                Some(offset),
                Some(want),
                format!("{what}; the next whole group is {skipped} bytes further on"),
            );
            self.next_seq = rest.get(skipped..).and_then(frame::whole).map_or(want, |(next_seq, _)| next_seq);
            self.last_frame.clear();
            return Some(skipped as u64);
        }
        let bytes = rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last as u64 + 1);
        if place == Place::Last && !self.is_stopped() && bytes <= TORN_BYTES_MAX && frame::find_frame(rest, 0).is_none()
        {
            self.unfinished = Some(Unfinished { file, offset, bytes });
        } else {
            self.damage(
                file,
                Some(offset + first),
                None,
                format!("{what}, and nothing but zeros should follow the last group"),
            );
        }
        None
    }

    /// Takes a whole group and says how long it is.
    fn group(&mut self, offset: u64, first_seq: u64, frame: Vec<u8>) -> u64 {
        if let Some(last) = frame::entries(&frame, first_seq).last() {
            self.next_seq = last.seq + 1;
        }
        self.pending_bytes += frame.len();
        self.pending.push((self.base + offset, first_seq, frame.clone()));
        if self.pending_bytes >= CHECK_BYTES {
            self.settle();
        }
        self.groups += 1;
        self.bytes += frame.len() as u64;
        self.last_first_seq = first_seq;
        self.last_frame = frame;
        self.last_frame.len() as u64
    }

    /// Checks the records of the pending groups: each by itself on all processors, and then how they follow one another.
    fn settle(&mut self) {
        let groups = std::mem::take(&mut self.pending);
        self.pending_bytes = 0;
        let workers = thread::available_parallelism().map_or(1, NonZero::get);
        let part = groups.len().div_ceil(workers).max(1);
        let read = |groups: &[(u64, u64, Vec<u8>)]| -> Vec<(u64, Prepared)> {
            let each = groups.iter().flat_map(|(base, first_seq, frame)| {
                frame::entries(frame, *first_seq)
                    .map(move |entry| (base + (entry.at + ENTRY_HEADER_BYTES) as u64, prepare(entry.salt, entry.bytes)))
            });
            each.collect()
        };
        let prepared = thread::scope(|scope| {
            let parts: Vec<_> = groups.chunks(part).map(|groups| scope.spawn(move || read(groups))).collect();
            let ended = parts.into_iter().map(|part| part.join());
            ended.map(|part| part.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked))).collect::<Vec<_>>()
        });
        for (start, record) in prepared.into_iter().flatten() {
            self.check.prepared(start, record);
        }
    }

    /// Whether the last record says that the ledger was closed in order.
    fn is_stopped(&self) -> bool {
        let last = frame::entries(&self.last_frame, self.last_first_seq).last();
        let record = last.and_then(|entry| evidence::record::read(entry.bytes).ok());
        record.is_some_and(|record| matches!(&record.body, Body::Ledger(state) if state.event == LedgerEvent::Stopped))
    }

    fn tree_note(&mut self) {
        let records = self.next_seq - 1;
        match read_file(self.disk, NOTE, 1_024) {
            Err(_) => {}
            Ok(_) => match tree::read_note(self.disk) {
                None => self.damage(
                    NOTE.into(),
                    None,
                    None,
                    "not a whole note; delete the file, the next opening makes it anew".into(),
                ),
                Some(note) if note.cursor.records() > records => {
                    let what = format!("it covers {} records, and the log has {records}", note.cursor.records());
                    self.damage(NOTE.into(), None, None, what);
                }
                Some(_) => {}
            },
        }
        if self.is_stopped() && !self.has_checkpoint {
            self.damage(CHECKPOINT.into(), None, None, "missing: a ledger that was closed in order has one".into());
        }
    }

    fn damage(&mut self, file: String, offset: Option<u64>, seq: Option<u64>, what: String) {
        self.damages.push(Damage { file, offset, seq, what });
    }

    fn finish(self) -> Report {
        let evidence = self.check.finish();
        let mut damages = self.damages;
        damages.extend(evidence.findings.iter().map(|finding| place(finding, &self.starts)));
        Report {
            emitter: self.emitter.to_string(),
            origin: self.origin.to_string(),
            segments: self.starts.len() as u64,
            groups: self.groups,
            bytes: self.bytes,
            unfinished: self.unfinished,
            damages,
            evidence,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Earlier,
    Last,
}

/// What a fresh look at a place says.
enum Look {
    /// Only zeros follow.
    End,
    /// The next group, whole.
    Group(Vec<u8>),
    /// Something else.
    Other(Vec<u8>),
}

/// A group is written in less than a millisecond and a look takes longer, so a third look sees what the first one caught in the middle.
const LOOKS_MAX: u32 = 3;

fn flipped(bytes: &[u8], at: usize, mask: u8) -> String {
    let found = bytes.get(at).copied().unwrap_or_default();
    format!("one bit changed after it was written: the byte is {found:#04x} and was {:#04x}", found ^ mask)
}

/// Says in which file a finding is.
fn place(finding: &Finding, starts: &[(u64, u64)]) -> Damage {
    let what = finding.flaw.to_string();
    let file = |file: String, offset| Damage { file, offset, seq: finding.seq, what: what.clone() };
    match &finding.flaw {
        Flaw::TileMissing { tile } => file(tree::path(*tile), None),
        Flaw::TileDiffers { tile, at } => file(tree::path(*tile), Some(*at as u64)),
        Flaw::Checkpoint(_) => file(CHECKPOINT.into(), None),
        _ => {
            let before = finding.byte.and_then(|byte| {
                let (base, first_seq) = starts.iter().rev().find(|(base, _)| *base <= byte)?;
                Some((segment::path(*first_seq), byte - base))
            });
            match before {
                Some((path, offset)) => file(path, Some(offset)),
                None => file("ledger".into(), None),
            }
        }
    }
}

fn io_error(file: &str, source: io::Error) -> FsckError {
    FsckError::Io { file: file.to_owned(), source }
}
