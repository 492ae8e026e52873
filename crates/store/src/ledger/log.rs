//! Reading the log in order: a cursor over segments and groups.
//!
//! Used by everything that is derived from the log (tree, index) and by readers of other processes. Never writes.

use std::io;
use std::sync::Arc;

use super::segment::{self, GroupError, GroupRead, SegmentReader};
use crate::limits::SEGMENT_HEADER_BYTES;
use crate::ports::{Access, Disk};

/// A place between two groups of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The number of the record that comes next.
    pub next_seq: u64,
    /// The segment in which the last group ended, by its first record.
    pub segment: u64,
    /// Where in that segment the last group ended.
    pub offset: u64,
}

impl Cursor {
    /// Before the first record.
    pub const START: Self = Self { next_seq: 1, segment: 1, offset: SEGMENT_HEADER_BYTES };

    /// How many records come before it.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.next_seq - 1
    }
}

/// Where a record is: with the segment names, its sequence number says in which file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Spot {
    /// The record's number.
    pub seq: u64,
    /// The offset of its entry in its segment.
    pub offset: u64,
}

/// Why the log cannot be read on.
#[derive(Debug, thiserror::Error)]
#[error("`{file}` at byte {offset}: {source}")]
pub struct LogError {
    /// The segment file.
    pub file: String,
    /// Where in it.
    pub offset: u64,
    /// What the place holds instead.
    pub source: LogFault,
}

/// What a place of the log holds instead of a group.
#[derive(Debug, thiserror::Error)]
pub enum LogFault {
    /// The file could not be read.
    #[error(transparent)]
    Io(io::Error),
    /// The bytes are no group.
    #[error(transparent)]
    Frame(super::frame::FrameFault),
    /// Nothing was written where record `want` must be.
    #[error("record {want} should be here and nothing is")]
    Missing {
        /// The record that must follow.
        want: u64,
    },
    /// The bytes of a record are not a record.
    #[error("record {seq}: {source}")]
    Record {
        /// The record.
        seq: u64,
        /// Why it cannot be read.
        source: evidence::record::ReadRecordError,
    },
}

impl LogError {
    pub(crate) fn group(first_seq: u64, offset: u64, error: GroupError) -> Self {
        let source = match error {
            GroupError::Io(error) => LogFault::Io(error),
            GroupError::Fault(fault) => LogFault::Frame(fault),
        };
        Self { file: segment::path(first_seq), offset, source }
    }

    pub(crate) fn io(first_seq: u64, offset: u64, error: io::Error) -> Self {
        Self { file: segment::path(first_seq), offset, source: LogFault::Io(error) }
    }
}

/// Reads groups from a cursor on.
pub(crate) struct LogReader {
    disk: Arc<dyn Disk>,
    cursor: Cursor,
    open: Option<SegmentReader>,
}

impl LogReader {
    pub(crate) fn new(disk: Arc<dyn Disk>, cursor: Cursor) -> Self {
        Self { disk, cursor, open: None }
    }

    pub(crate) const fn cursor(&self) -> Cursor {
        self.cursor
    }

    /// Forgets what was read ahead, so that what was written since is seen.
    pub(crate) fn refresh(&mut self) {
        if let Some(open) = &mut self.open {
            open.refresh();
        }
    }

    /// The next group, which must exist: the log is known to reach `end`. `None` at `end`.
    pub(crate) fn next_before(&mut self, end: Cursor) -> Result<Option<GroupRead<'_>>, LogError> {
        if self.cursor.next_seq >= end.next_seq {
            return Ok(None);
        }
        let want = self.cursor.next_seq;
        if !self.seek()? {
            let Cursor { segment, offset, .. } = self.cursor;
            return Err(LogError { file: segment::path(segment), offset, source: LogFault::Missing { want } });
        }
        self.read()
    }

    /// The next group if there is one: for a log that another process may be writing.
    ///
    /// A fault in the last segment is the end too, because a group may be there in part.
    pub(crate) fn next_if_there(&mut self) -> Result<Option<GroupRead<'_>>, LogError> {
        if !self.seek()? {
            return Ok(None);
        }
        let segment = self.cursor.segment;
        let disk = Arc::clone(&self.disk);
        match self.read() {
            Err(LogError { source: LogFault::Frame(_), .. }) if is_last(&*disk, segment)? => Ok(None),
            other => other,
        }
    }

    /// Moves to where the next group is; false if nothing is written there yet.
    fn seek(&mut self) -> Result<bool, LogError> {
        loop {
            let Cursor { next_seq, segment, offset } = self.cursor;
            let open = match &mut self.open {
                Some(open) if open.first_seq == segment => open,
                _ => match SegmentReader::open(&*self.disk, segment) {
                    Ok(reader) => self.open.insert(reader),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
                    Err(error) => return Err(LogError::io(segment, 0, error)),
                },
            };
            if open.is_written(offset).map_err(|error| LogError::io(segment, offset, error))? {
                return Ok(true);
            }
            if segment == next_seq || !exists(&*self.disk, next_seq)? {
                return Ok(false);
            }
            self.cursor = Cursor { next_seq, segment: next_seq, offset: SEGMENT_HEADER_BYTES };
        }
    }

    /// The group at the cursor.
    fn read(&mut self) -> Result<Option<GroupRead<'_>>, LogError> {
        let Cursor { next_seq, segment, offset } = self.cursor;
        let Some(open) = &mut self.open else { return Ok(None) };
        match open.group(offset, next_seq) {
            Ok(Some(group)) => {
                self.cursor = Cursor {
                    next_seq: next_seq + u64::from(group.header.count),
                    segment,
                    offset: offset + group.header.frame_bytes as u64,
                };
                Ok(Some(group))
            }
            Ok(None) => Ok(None),
            Err(error) => Err(LogError::group(segment, offset, error)),
        }
    }
}

fn is_last(disk: &dyn Disk, segment: u64) -> Result<bool, LogError> {
    let segments = segment::list(disk).map_err(|error| LogError::io(segment, 0, error))?;
    Ok(segments.last().copied() <= Some(segment))
}

fn exists(disk: &dyn Disk, first_seq: u64) -> Result<bool, LogError> {
    match disk.open(&segment::path(first_seq), Access::Read) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(LogError::io(first_seq, 0, error)),
    }
}
