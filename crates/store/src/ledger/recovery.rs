//! Finds out, on every opening, where the log ends and what was left open.
//!
//! The same code runs after an orderly stop, a kill and a power cut. It changes nothing before it knows that what follows the last whole group can only be one
//! unfinished, unacknowledged write; then it sets those bytes aside. Anything else is damage, and the ledger does not open.

use std::io;
use std::sync::Arc;

use evidence::checkpoint::KeyName;
use evidence::ids::{CallId, ExceptionId};
use evidence::record::{
    ActionEvent, ActionRecord, Agent, Body, Context, Draft, ExceptionEvent, ExceptionKind, ExceptionRecord,
    LedgerEvent, Record, Status,
};
use evidence::time::Timestamp;

use super::frame;
use super::identity::Identity;
use super::log::{Cursor, LogError};
use super::segment::{self, GroupError, SegmentHeader, SegmentReader, TORN_BYTES_MAX};
use super::sequencer::Start;
use crate::embedded::reader::{ReadError, read_spot};
use crate::limits::{SEGMENT_HEADER_BYTES, UNKNOWN_OUTCOME_DUE_MICROS};
use crate::ports::{Access, Audience, Disk, Durability, File, Index, replace_file};

/// Why the log cannot be taken over as it is. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum RecoverError {
    /// A file could not be read or written.
    #[error("`{file}`: {source}")]
    Io {
        /// The file.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// Bytes that were acknowledged are not what was written.
    #[error(
        "`{file}` is damaged at byte {offset}: {what}; nothing was changed; `countersign verify --ledger` shows how much is damaged; put back the file from a backup"
    )]
    Damaged {
        /// The file.
        file: String,
        /// Where in it.
        offset: u64,
        /// What is wrong.
        what: String,
    },
    /// Acknowledged records are gone.
    #[error(
        "the log ends with record {found}, and {promised_by} covers record {known}: acknowledged records are missing after byte {offset} of `{file}`; nothing was changed; put back `ledger/` from a backup that is whole; `countersign verify --ledger` shows what is there"
    )]
    Short {
        /// The last segment.
        file: String,
        /// Where the log ends in it.
        offset: u64,
        /// The last record of the log.
        found: u64,
        /// The last record that is known to have been durable.
        known: u64,
        /// Who knows.
        promised_by: &'static str,
    },
}

/// Something that says how many records the log must have at least.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Promise {
    pub(crate) what: &'static str,
    pub(crate) records: u64,
}

/// What an unfinished write left behind, and where it is kept now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Torn {
    pub(crate) file: String,
    pub(crate) offset: u64,
    pub(crate) bytes: u64,
    pub(crate) kept: String,
}

/// Where the log ends.
pub(crate) struct Recovered {
    pub(crate) start: Start,
    pub(crate) torn: Option<Torn>,
    /// Whether the last record says that the ledger was closed in order.
    pub(crate) stopped: bool,
}

/// What the scan found.
struct Tail {
    end: Cursor,
    last_frame: Vec<u8>,
    last_first_seq: u64,
    /// The link in the last segment's header.
    link: evidence::leaf::Hash,
    /// What follows the last whole group, if it is not all zeros.
    torn_bytes: u64,
}

/// Scans the end of the log, from the segment before `known_good`, and makes it ready for writing.
pub(crate) fn recover(
    disk: &dyn Disk,
    identity: &Identity,
    known_good: Option<Cursor>,
    promises: &[Promise],
) -> Result<Recovered, RecoverError> {
    let segments = segment::list(disk).map_err(|source| io_error(segment::DIRECTORY, source))?;
    let Some(last) = segments.last().copied() else {
        enough(Cursor::START, promises)?;
        let start = Start { end: Cursor::START, segment: None, link: [0; 32], recorded_at: Timestamp::EPOCH };
        return Ok(Recovered { start, torn: None, stopped: true });
    };
    if segments.first() != Some(&1) {
        return Err(damaged(1, 0, "the segment is missing"));
    }
    let from =
        known_good.map_or(0, |cursor| segments.partition_point(|first| *first <= cursor.segment).saturating_sub(2));
    let tail = scan(disk, identity, segments.get(from..).unwrap_or_default(), last)?;
    enough(tail.end, promises)?;
    let torn = if tail.torn_bytes > 0 { Some(set_aside(disk, &tail)?) } else { None };

    let path = segment::path(last);
    let file = disk.open(&path, Access::Write).map_err(|source| io_error(&path, source))?;
    let length = file.bytes().map_err(|source| io_error(&path, source))?;
    // A note is made only after everything before it was synced.
    if known_good != Some(tail.end) {
        write_again(disk, &*file, length, &tail).map_err(|source| io_error(&path, source))?;
    }
    let link = if tail.last_frame.is_empty() { tail.link } else { segment::link(&tail.last_frame) };
    let last_record = last_record(&tail)?;
    let stopped = last_record
        .as_ref()
        .is_none_or(|record| matches!(&record.body, Body::Ledger(state) if state.event == LedgerEvent::Stopped));
    let recorded_at = last_record.map_or(Timestamp::EPOCH, |record| record.recorded_at);
    Ok(Recovered { start: Start { end: tail.end, segment: Some((file, length)), link, recorded_at }, torn, stopped })
}

fn enough(end: Cursor, promises: &[Promise]) -> Result<(), RecoverError> {
    match promises.iter().find(|promise| promise.records > end.records()) {
        None => Ok(()),
        Some(promise) => Err(RecoverError::Short {
            file: segment::path(end.segment),
            offset: end.offset,
            found: end.records(),
            known: promise.records,
            promised_by: promise.what,
        }),
    }
}

/// Reads the groups of `segments`, which are consecutive and end with `last`.
fn scan(disk: &dyn Disk, identity: &Identity, segments: &[u64], last: u64) -> Result<Tail, RecoverError> {
    let mut tail = Tail { end: Cursor::START, last_frame: Vec::new(), last_first_seq: 0, link: [0; 32], torn_bytes: 0 };
    let mut want = segments.first().copied();
    for first in segments.iter().copied() {
        let path = segment::path(first);
        if want != Some(first) {
            let what = format!("the segment before it ends with record {}", tail.end.records());
            return Err(damaged(first, 0, &what));
        }
        let mut reader = SegmentReader::open(disk, first).map_err(|source| io_error(&path, source))?;
        let page = reader.header_page().map_err(|source| io_error(&path, source))?;
        let header = SegmentHeader::read(&page).map_err(|fault| damaged(first, 0, &fault.to_string()))?;
        header_fits(&header, first, reader.segment_bytes, &identity.emitter, &identity.origin, &tail.last_frame)
            .map_err(|what| damaged(first, 0, &what))?;
        tail.link = header.link;
        tail.end = Cursor { next_seq: first, segment: first, offset: SEGMENT_HEADER_BYTES };
        loop {
            match reader.group(tail.end.offset, tail.end.next_seq) {
                Ok(Some(group)) => {
                    tail.last_frame.clear();
                    tail.last_frame.extend_from_slice(group.frame);
                    tail.last_first_seq = group.header.first_seq;
                    tail.end.next_seq += u64::from(group.header.count);
                    tail.end.offset += group.header.frame_bytes as u64;
                }
                Ok(None) if first != last => break,
                Ok(None) => {
                    tail.torn_bytes = torn_bytes(&reader, tail.end, "bytes follow the last group")?;
                    break;
                }
                Err(GroupError::Fault(fault)) if first == last => {
                    tail.torn_bytes = torn_bytes(&reader, tail.end, &fault.to_string())?;
                    break;
                }
                Err(GroupError::Fault(fault)) => return Err(damaged(first, tail.end.offset, &fault.to_string())),
                Err(GroupError::Io(source)) => return Err(io_error(&path, source)),
            }
        }
        want = Some(tail.end.next_seq);
    }
    Ok(tail)
}

/// Whether a segment's first page fits its name, its file and the group before it (none known: empty).
pub(crate) fn header_fits(
    header: &SegmentHeader,
    first_seq: u64,
    segment_bytes: u64,
    emitter: &str,
    origin: &KeyName,
    frame_before: &[u8],
) -> Result<(), String> {
    if header.first_seq != first_seq {
        return Err(format!("its first page says that it starts with record {}", header.first_seq));
    }
    if header.segment_bytes != segment_bytes {
        return Err(format!("its first page says {} bytes, the file has {segment_bytes}", header.segment_bytes));
    }
    if header.emitter != emitter || header.origin != origin.as_str() {
        return Err(format!("it belongs to the ledger `{}` with the origin `{}`", header.emitter, header.origin));
    }
    if !frame_before.is_empty() && header.link != segment::link(frame_before) {
        return Err("its first page names another last group than the segment before it has".into());
    }
    Ok(())
}

/// How many bytes after the end an unfinished write left; an error if they cannot be that.
fn torn_bytes(reader: &SegmentReader, end: Cursor, what: &str) -> Result<u64, RecoverError> {
    let path = segment::path(end.segment);
    let rest = reader.rest(end.offset).map_err(|source| io_error(&path, source))?;
    let written = without_zeros_behind(&rest);
    let length = written.len() as u64;
    if length > TORN_BYTES_MAX {
        let what = format!("{what}, and {length} bytes follow, more than one unfinished write can leave");
        return Err(damaged(end.segment, end.offset, &what));
    }
    if let Some(at) = frame::find_frame(written, 0) {
        let what = format!("{what}, and a whole group follows at byte {}", end.offset + at as u64);
        return Err(damaged(end.segment, end.offset, &what));
    }
    Ok(length)
}

/// `bytes` up to the last that is not zero. Most of a segment's end is zeros, so they are compared in pieces before single bytes are looked at.
fn without_zeros_behind(bytes: &[u8]) -> &[u8] {
    const PIECE: usize = 4_096;
    let mut end = bytes.len();
    while end >= PIECE && bytes.get(end - PIECE..end) == Some(&[0; PIECE]) {
        end -= PIECE;
    }
    let rest = bytes.get(..end).unwrap_or_default();
    let length = rest.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    rest.get(..length).unwrap_or_default()
}

/// Keeps what an unfinished write left, and clears its place.
fn set_aside(disk: &dyn Disk, tail: &Tail) -> Result<Torn, RecoverError> {
    let (path, offset) = (segment::path(tail.end.segment), tail.end.offset);
    let here = |source| io_error(&path, source);
    let file = disk.open(&path, Access::Write).map_err(here)?;
    let mut bytes = vec![0; usize::try_from(tail.torn_bytes).unwrap_or(0)];
    file.read_at(&mut bytes, offset).map_err(here)?;

    disk.create_dir(TORN).map_err(|source| io_error(TORN, source))?;
    let taken = disk.list(TORN).map_err(|source| io_error(TORN, source))?;
    let stem = format!("{:020}-{offset}", tail.end.segment);
    // The same place may tear again, before or after this attempt is finished; every find is kept.
    let numbered = (1..).map(|number| format!("{stem}-{number}.bin"));
    let free = std::iter::once(format!("{stem}.bin")).chain(numbered).find(|name| !taken.contains(name));
    let kept = format!("{TORN}/{}", free.unwrap_or(stem));
    replace_file(disk, &kept, &bytes, Audience::Owner, Durability::Synced).map_err(|source| io_error(&kept, source))?;
    // CRASH: the torn bytes are kept and still in place; the next opening keeps them once more.
    file.write_at(&vec![0; bytes.len()], offset).map_err(here)?;
    file.sync_data().map_err(here)?;
    Ok(Torn { file: path.clone(), offset, bytes: tail.torn_bytes, kept })
}

const TORN: &str = "ledger/torn";

/// Writes the last group and the zeros after it once more, and syncs them.
///
/// What was just read may be in the system's cache and not on the disk: after a failed sync the pages count as clean, and a further sync would do nothing. Only
/// the last group can be so, because a group is written only after the one before it was synced.
fn write_again(disk: &dyn Disk, file: &dyn File, length: u64, tail: &Tail) -> io::Result<()> {
    let offset = tail.end.offset;
    let group_offset = offset.checked_sub(tail.last_frame.len() as u64).filter(|at| *at >= SEGMENT_HEADER_BYTES);
    if let Some(group_offset) = group_offset {
        file.write_at(&tail.last_frame, group_offset)?;
    }
    let zeros = length.saturating_sub(offset).min(TORN_BYTES_MAX);
    file.write_at(&vec![0; usize::try_from(zeros).unwrap_or(0)], offset)?;
    // CRASH: pages of the last group hold the same bytes as before, or it was not acknowledged.
    file.sync_data()?;
    disk.sync_dir(segment::DIRECTORY)
}

fn last_record(tail: &Tail) -> Result<Option<Record>, RecoverError> {
    let Some(entry) = frame::entries(&tail.last_frame, tail.last_first_seq).last() else { return Ok(None) };
    let read = evidence::record::read(entry.bytes);
    read.map(Some)
        .map_err(|error| damaged(tail.end.segment, tail.end.offset, &format!("record {}: {error}", entry.seq)))
}

fn io_error(file: &str, source: io::Error) -> RecoverError {
    RecoverError::Io { file: file.to_owned(), source }
}

fn damaged(segment: u64, offset: u64, what: &str) -> RecoverError {
    RecoverError::Damaged { file: segment::path(segment), offset, what: what.to_owned() }
}

impl From<LogError> for RecoverError {
    fn from(error: LogError) -> Self {
        Self::Damaged { file: error.file, offset: error.offset, what: error.source.to_string() }
    }
}

/// The intents that have no outcome, in order.
pub(super) fn open_intents(disk: &Arc<dyn Disk>, index: &dyn Index) -> Result<Vec<Record>, ReadError> {
    let mut open = Vec::new();
    for spot in index.open_intents()? {
        open.push(read_spot(disk, spot)?);
    }
    // Second attempts are not in their call's row; there are few.
    let mut ended = Vec::new();
    for spot in index.stray_actions()? {
        let record = read_spot(disk, spot)?;
        match attempt(&record) {
            Some((ActionEvent::Intent, ..)) => open.push(record),
            Some((ActionEvent::Outcome, call, attempt)) => ended.push((call, attempt)),
            None => {}
        }
    }
    open.retain(|intent| attempt(intent).is_some_and(|(_, call, attempt)| !ended.contains(&(call, attempt))));
    open.sort_by_key(|intent| intent.seq);
    Ok(open)
}

fn attempt(record: &Record) -> Option<(ActionEvent, CallId, u32)> {
    match &record.body {
        Body::Action(action) => Some((action.event, record.correlation.call?, action.attempt)),
        _ => None,
    }
}

/// Of a tool's name in a sentence: the whole name is in the outcome beside it.
const TOOL_CHARS_MAX: usize = 200;

/// The exception for an unfinished write: somebody must see why the process before did not end in order, and that nothing acknowledged is missing.
pub(crate) fn torn_exception(torn: &Torn, exception: ExceptionId, at: Timestamp) -> Draft {
    let body = ExceptionRecord {
        broken_glass: None,
        signed: None,
        due: Some(at.plus_micros(UNKNOWN_OUTCOME_DUE_MICROS)),
        event: ExceptionEvent::Opened,
        exception,
        kind: ExceptionKind::Ledger,
        mitigation: Some(format!("the bytes are kept in `{}`; none of them was acknowledged", torn.kept)),
        note: None,
        owner: "operator".into(),
        reason: format!(
            "the last write of the process before was not finished: {} bytes at byte {} of `{}`",
            torn.bytes, torn.offset, torn.file
        ),
        scope: format!("file:{}", torn.file),
        who: None,
    };
    Draft::new(Arc::new(Context::system()), None, at, body)
}

/// The outcome and the exception that close a call whose gateway died between intent and outcome.
///
/// It is never tried again: whether it ran, only the tool's side knows.
pub(crate) fn close_call(intent: &Record, exception: ExceptionId, at: Timestamp) -> Option<[Draft; 2]> {
    let Body::Action(action) = &intent.body else { return None };
    let call: CallId = intent.correlation.call?;
    let outcome = ActionRecord {
        args_sha256: action.args_sha256.clone(),
        attempt: action.attempt,
        captured: Vec::new(),
        // What nobody knows stays counted.
        counted: Vec::new(),
        duration_us: None,
        effect_class: action.effect_class,
        event: ActionEvent::Outcome,
        external_reference: None,
        input_sha256: None,
        reason: Some("gateway_died".into()),
        reported: None,
        result_bytes: None,
        result_sha256: None,
        sent_sha256: None,
        status: Some(Status::Unknown),
        tool: action.tool.clone(),
    };
    let opened = ExceptionRecord {
        broken_glass: None,
        signed: None,
        due: Some(at.plus_micros(UNKNOWN_OUTCOME_DUE_MICROS)),
        event: ExceptionEvent::Opened,
        exception,
        kind: ExceptionKind::UnknownOutcome,
        mitigation: None,
        owner: "operator".into(),
        reason: format!(
            "the gateway died after the intent to call `{}` was durable and before its outcome was; it is not known whether the call ran, and it is not tried again",
            action.tool.to_string().chars().take(TOOL_CHARS_MAX).collect::<String>()
        ),
        scope: format!("call:{call}"),
        note: None,
        who: None,
    };
    let context = Arc::new(Context {
        agent: Agent { name: intent.agent.name.clone(), version: intent.agent.version.clone() },
        context: intent.correlation.context,
        initiator: intent.initiator.clone(),
        mission: intent.correlation.mission.clone(),
        run: intent.correlation.run,
    });
    let drafts = [Body::from(outcome), Body::from(opened)].map(|body| {
        let mut draft = Draft::new(Arc::clone(&context), Some(call), at, body);
        draft.trace.clone_from(&intent.correlation.trace);
        draft.data_classes.clone_from(&intent.data_classes);
        draft
    });
    Some(drafts)
}
