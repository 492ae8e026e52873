//! Makes the index anew from the log, beside the one that is there, and compares the two row by row.
//!
//! The proof that the index holds nothing of its own. Changes nothing; a gateway may be running.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, Rows};

use super::disk::HomeDisk;
use super::index::{IndexPlace, SqliteIndex};
use crate::ledger::log::{Cursor, LogError, LogReader, Spot};
use crate::ledger::rows::{Batch, Glance};
use crate::ledger::{INDEX, IdentityError, LogFault, frame, identity, segment};
use crate::limits::INTEGRATE_RECORDS_MAX;
use crate::ports::{Disk, Index, IndexError};

/// Why an index cannot be made anew or compared.
#[derive(Debug, thiserror::Error)]
pub enum RebuildError {
    /// The home has no ledger.
    #[error("rebuild index: the home has no ledger yet")]
    Absent,
    /// The home has no index to compare with.
    #[error("rebuild index: there is no `{INDEX}` to compare with; opening the ledger makes one")]
    NoIndex,
    /// The ledger does not say who it is.
    #[error("rebuild index: {0}")]
    Identity(#[from] IdentityError),
    /// The log cannot be read.
    #[error("rebuild index: {0}")]
    Log(#[from] LogError),
    /// The index cannot be read.
    #[error("rebuild index: {0}")]
    Index(#[from] IndexError),
}

impl From<rusqlite::Error> for RebuildError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Index(error.into())
    }
}

/// What the comparison found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rebuilt {
    /// How many records the index that was there covers.
    pub records: u64,
    /// How many rows were compared.
    pub rows: u64,
    /// The first difference.
    pub difference: Option<String>,
}

impl Rebuilt {
    /// Whether the index is what the log gives.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.difference.is_none()
    }
}

impl fmt::Display for Rebuilt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { records, rows, difference } = self;
        match difference {
            None => write!(f, "index: made anew from {records} records, {rows} rows are equal"),
            Some(difference) => write!(
                f,
                "index: differs from what the log gives: {difference}; stop the gateway and delete `{INDEX}`, the next start makes it anew"
            ),
        }
    }
}

const TABLES: [(&str, &str); 8] = [
    ("calls", "call"),
    ("strays", "call, seq"),
    ("places", "chunk"),
    ("terms", "term"),
    ("postings", "block, term"),
    ("versions", "kind, name"),
    ("counts", "mission, counter, span"),
    ("progress", "one"),
];

/// Makes the index of a home anew from its log and compares it with the one that is there, up to where that one is.
///
/// # Errors
/// [`RebuildError`]; a difference is a result.
pub fn rebuild(home: &Path) -> Result<Rebuilt, RebuildError> {
    let disk = HomeDisk::new(home);
    let (emitter, _) = identity::read_origin(&disk)?.ok_or(RebuildError::Absent)?;
    let path = disk.path(INDEX);
    if !path.exists() {
        return Err(RebuildError::NoIndex);
    }
    let there = Connection::open_with_flags(&path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
    // One read transaction, so that the rows are those of the progress that is read first.
    there.execute_batch("BEGIN")?;
    let number = |column: &str| -> Result<u64, RebuildError> {
        let value: i64 = there.query_row(&format!("SELECT {column} FROM progress"), [], |row| row.get(0))?;
        Ok(value.unsigned_abs())
    };
    let end = Cursor { next_seq: number("next_seq")?, segment: number("segment")?, offset: number("offset")? };
    let anew = from_log(Arc::new(disk), &emitter, end)?;

    let mut rebuilt = Rebuilt { records: end.records(), rows: 0, difference: None };
    for (table, key) in TABLES {
        let sql = format!("SELECT * FROM {table} ORDER BY {key}");
        let (mut theirs, mut ours) = (there.prepare(&sql)?, anew.connection().prepare(&sql)?);
        let (mut theirs, mut ours) = (theirs.query([])?, ours.query([])?);
        loop {
            let (there, anew) = (next(&mut theirs)?, next(&mut ours)?);
            if there != anew {
                rebuilt.difference = Some(format!("table {table}: there {}, from the log {}", show(there), show(anew)));
                return Ok(rebuilt);
            }
            if there.is_none() {
                break;
            }
            rebuilt.rows += 1;
        }
    }
    Ok(rebuilt)
}

fn from_log(disk: Arc<dyn Disk>, emitter: &str, end: Cursor) -> Result<SqliteIndex, RebuildError> {
    let mut index = SqliteIndex::open(&IndexPlace::Temporary, emitter)?;
    let mut log = LogReader::new(disk, Cursor::START);
    loop {
        let (mut batch, mut records) = (Batch::default(), 0);
        while records < INTEGRATE_RECORDS_MAX
            && let Some(group) = log.next_before(end)?
        {
            for entry in frame::entries(group.frame, group.header.first_seq) {
                records += 1;
                let spot = Spot { seq: entry.seq, offset: group.offset + entry.at as u64 };
                let added = Glance::read(entry.bytes).and_then(|glance| batch.add(spot, glance));
                added.map_err(|source| LogError {
                    file: segment::path(group.segment),
                    offset: spot.offset,
                    source: LogFault::Record { seq: spot.seq, source: source.into() },
                })?;
            }
        }
        if records == 0 {
            return Ok(index);
        }
        index.apply(&batch, log.cursor())?;
    }
}

fn next(rows: &mut Rows<'_>) -> Result<Option<Vec<Value>>, RebuildError> {
    let Some(row) = rows.next()? else { return Ok(None) };
    let columns = row.as_ref().column_count();
    Ok(Some((0..columns).map(|column| row.get(column)).collect::<Result<_, _>>()?))
}

fn show(row: Option<Vec<Value>>) -> String {
    let Some(row) = row else { return "nothing".into() };
    let values = row.into_iter().map(|value| match value {
        Value::Null => "-".to_owned(),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => number.to_string(),
        Value::Text(text) => format!("`{}`", text.escape_debug()),
        Value::Blob(bytes) => hex::encode(bytes),
    });
    values.collect::<Vec<_>>().join(" ")
}
