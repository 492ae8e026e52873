//! The index of the embedded ledger: one SQLite file, derived from the log, thrown away and made anew whenever it does not fit.
//!
//! It has where every record is, one row for each call, and for every value of a field which records have it: their places in blocks of the log, as sets. So a filter is
//! an operation on sets, block by block, from whichever end the records are wanted. What it proposes is checked against the record itself by the reader.
//! WAL with `synchronous = NORMAL`: a power cut may take the last transactions, and opening the ledger applies them again.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use evidence::decimal::Number;
use evidence::ids::CallId;
use evidence::record::{Count, VersionedKind};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Transaction, params};

use super::query::Block;
use super::writer::Writer;
use crate::ledger::log::{Cursor, Spot};
use crate::ledger::rows::{Batch, CallRow, Counted, StrayRow, VersionRow};
use crate::limits::INDEX_BLOCK_RECORDS;
use crate::ports::{Index, IndexError};

/// Changes whenever tables or the meaning of a column change; an index with another number is made anew.
const SCHEMA: i64 = 6;

const TABLES: &str = "
CREATE TABLE calls (
    call BLOB PRIMARY KEY, first INTEGER NOT NULL,
    decision_seq INTEGER, decision_offset INTEGER, intent_seq INTEGER, intent_offset INTEGER, outcome_seq INTEGER, outcome_offset INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX open_calls ON calls (intent_seq) WHERE intent_seq IS NOT NULL AND outcome_seq IS NULL;
CREATE TABLE strays (
    call BLOB NOT NULL, seq INTEGER NOT NULL, offset INTEGER NOT NULL, is_action INTEGER NOT NULL, PRIMARY KEY (call, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX stray_actions ON strays (seq) WHERE is_action = 1;
CREATE TABLE places (chunk INTEGER PRIMARY KEY, at INTEGER NOT NULL, places BLOB NOT NULL) STRICT;
CREATE TABLE terms (term INTEGER PRIMARY KEY, field TEXT NOT NULL, value TEXT NOT NULL) STRICT;
CREATE UNIQUE INDEX terms_by_value ON terms (field, value);
CREATE TABLE postings (block INTEGER NOT NULL, term INTEGER NOT NULL, places BLOB NOT NULL, PRIMARY KEY (block, term)) STRICT, WITHOUT ROWID;
CREATE TABLE versions (
    kind TEXT NOT NULL, name TEXT NOT NULL, seq INTEGER NOT NULL, offset INTEGER NOT NULL, PRIMARY KEY (kind, name)
) STRICT, WITHOUT ROWID;
CREATE TABLE counts (
    mission TEXT NOT NULL, counter TEXT NOT NULL, span TEXT NOT NULL, amount TEXT NOT NULL, PRIMARY KEY (mission, counter, span)
) STRICT, WITHOUT ROWID;
CREATE TABLE progress (
    one INTEGER PRIMARY KEY CHECK (one = 1), emitter TEXT NOT NULL, next_seq INTEGER NOT NULL, segment INTEGER NOT NULL, offset INTEGER NOT NULL
) STRICT;
";

/// An index in SQLite.
#[derive(Debug)]
pub struct SqliteIndex {
    connection: Connection,
    emitter: String,
    writer: Writer,
}

/// Where an index is kept.
#[derive(Clone, Debug)]
pub enum IndexPlace {
    /// In this file.
    File(PathBuf),
    /// In memory, for ledgers that live there too.
    Memory,
    /// In a file that goes away by itself.
    Temporary,
}

impl SqliteIndex {
    /// Opens the index of the log `emitter` for writing, and makes it anew if it is damaged, of another version or of another log.
    ///
    /// # Errors
    /// The file cannot be opened or made.
    pub fn open(place: &IndexPlace, emitter: &str) -> Result<Self, IndexError> {
        let path = match place {
            IndexPlace::Memory => return Self::fresh(Connection::open_in_memory()?, emitter),
            // SQLite's name for a private file that it deletes.
            IndexPlace::Temporary => return Self::fresh(Connection::open("")?, emitter),
            IndexPlace::File(path) => path,
        };
        if path.exists() {
            match Self::existing(path, emitter) {
                Ok(Some(index)) => return Ok(index),
                Ok(None) => {
                    tracing::info!(path = %path.display(), "the index is of another version or log; it is made anew")
                }
                Err(error) => tracing::warn!(path = %path.display(), %error, "the index is unusable; it is made anew"),
            }
            remove(path)?;
        }
        Self::fresh(Connection::open(path)?, emitter)
    }

    fn existing(path: &Path, emitter: &str) -> Result<Option<Self>, IndexError> {
        let connection = Connection::open(path)?;
        tune(&connection)?;
        let schema: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        if schema != SCHEMA {
            return Ok(None);
        }
        let known: Option<String> =
            connection.query_row("SELECT emitter FROM progress", [], |row| row.get(0)).optional()?;
        Ok((known.as_deref() == Some(emitter)).then(|| Self {
            connection,
            emitter: emitter.to_owned(),
            writer: Writer::default(),
        }))
    }

    fn fresh(mut connection: Connection, emitter: &str) -> Result<Self, IndexError> {
        tune(&connection)?;
        let transaction = connection.transaction()?;
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "user_version", SCHEMA)?;
        note_progress(&transaction, emitter, Cursor::START)?;
        transaction.commit()?;
        Ok(Self { connection, emitter: emitter.to_owned(), writer: Writer::default() })
    }

    /// The log that the index in this file was made of, as it says itself.
    ///
    /// # Errors
    /// There is no such file, or it is no index.
    pub fn emitter_of(path: &Path) -> Result<String, IndexError> {
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.busy_timeout(BUSY)?;
        Ok(connection.query_row("SELECT emitter FROM progress", [], |row| row.get(0))?)
    }

    /// Opens an index for reading only; `None` if there is none of this version for the log `emitter`.
    ///
    /// # Errors
    /// The file is there and cannot be read.
    pub fn open_read_only(path: &Path, emitter: &str) -> Result<Option<Self>, IndexError> {
        if !path.exists() {
            return Ok(None);
        }
        let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        connection.busy_timeout(BUSY)?;
        let schema: i64 = connection.query_row("PRAGMA user_version", [], |row| row.get(0))?;
        let index = Self { connection, emitter: emitter.to_owned(), writer: Writer::default() };
        Ok((schema == SCHEMA && index.known_emitter()?.as_deref() == Some(emitter)).then_some(index))
    }

    fn known_emitter(&self) -> Result<Option<String>, IndexError> {
        Ok(self.connection.query_row("SELECT emitter FROM progress", [], |row| row.get(0)).optional()?)
    }

    pub(crate) const fn connection(&self) -> &Connection {
        &self.connection
    }

    /// The records of a call, with how far the index is, both as of one moment.
    pub(crate) fn call(&self, call: CallId) -> Result<(Vec<Spot>, Cursor), IndexError> {
        let moment = self.connection.unchecked_transaction()?;
        let mut statement = moment.prepare_cached(
            "SELECT decision_seq AS seq, decision_offset FROM calls WHERE call = ?1 AND decision_seq IS NOT NULL
             UNION ALL SELECT intent_seq, intent_offset FROM calls WHERE call = ?1 AND intent_seq IS NOT NULL
             UNION ALL SELECT outcome_seq, outcome_offset FROM calls WHERE call = ?1 AND outcome_seq IS NOT NULL
             UNION ALL SELECT seq, offset FROM strays WHERE call = ?1
             ORDER BY seq",
        )?;
        let spots = statement.query_map([call.as_bytes()], spot)?.collect::<Result<_, _>>()?;
        Ok((spots, self.progress()?))
    }

    /// Where a record is, if the index knows it.
    pub(crate) fn spot(&self, seq: u64) -> Result<Option<Spot>, IndexError> {
        let Some(before) = seq.checked_sub(1) else { return Ok(None) };
        let (number, at) = (before / INDEX_BLOCK_RECORDS, before % INDEX_BLOCK_RECORDS);
        let records = self.progress()?.records();
        if seq > records { Ok(None) } else { Block::new(&self.connection, number, records).spot(at) }
    }

    /// Makes everything that is read until the guard is dropped be as of one moment.
    pub(crate) fn moment(&self) -> Result<Transaction<'_>, IndexError> {
        Ok(self.connection.unchecked_transaction()?)
    }

    /// What the calls of a mission have counted, with how far the index is, both as of one moment.
    pub(crate) fn counts_with_progress(&self, mission: &str) -> Result<(Vec<Count>, Cursor), IndexError> {
        let _moment = self.moment()?;
        let mut statement =
            self.connection.prepare_cached("SELECT amount, counter, span FROM counts WHERE mission = ?1")?;
        let counts = statement.query_map([mission], |row| {
            let (amount, counter, window): (String, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
            Ok(Count { amount: amount.into(), counter: counter.into(), window: window.into() })
        })?;
        Ok((counts.collect::<Result<_, _>>()?, self.progress()?))
    }

    /// [`Index::latest_versions`] with how far the index is, both as of one moment.
    pub(crate) fn versions_with_progress(&self, kind: VersionedKind) -> Result<(Vec<Spot>, Cursor), IndexError> {
        let _moment = self.connection.unchecked_transaction()?;
        Ok((self.latest_versions(kind)?, self.progress()?))
    }
}

impl SqliteIndex {
    fn apply_all(&mut self, batch: &Batch, upto: Cursor) -> Result<(), IndexError> {
        let transaction = self.connection.transaction()?;
        let mut calls = Calls::of(batch);
        for row in &batch.calls {
            if calls.upsert(&transaction, row)? {
                continue;
            }
            for (alone, stray) in row.apart() {
                if !calls.upsert(&transaction, &alone)? {
                    calls.insert_stray(&transaction, &stray)?;
                }
            }
        }
        for row in &batch.strays {
            calls.insert_stray(&transaction, row)?;
        }
        for row in &batch.versions {
            insert_version(&transaction, row)?;
        }
        self.writer.write(&transaction, &batch.postings, &calls.firsts)?;
        for (counted, amount) in &batch.counted {
            add_count(&transaction, counted, *amount)?;
        }
        note_progress(&transaction, &self.emitter, upto)?;
        transaction.commit()?;
        Ok(())
    }
}

/// Readers never block the writer of a database in WAL mode; what may is a person with a shell, and the index tries again.
const BUSY: std::time::Duration = std::time::Duration::from_millis(500);

fn tune(connection: &Connection) -> Result<(), IndexError> {
    connection.busy_timeout(BUSY)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "normal")?;
    // 8 MiB: the right edge of every table, which is all that appending touches.
    connection.pragma_update(None, "cache_size", -8_192)?;
    Ok(())
}

fn remove(path: &Path) -> Result<(), IndexError> {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        match std::fs::remove_file(&name) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(IndexError::Io(error)),
            _ => {}
        }
    }
    Ok(())
}

impl Index for SqliteIndex {
    fn progress(&self) -> Result<Cursor, IndexError> {
        let cursor = self.connection.query_row("SELECT next_seq, segment, offset FROM progress", [], |row| {
            Ok(Cursor {
                next_seq: unsigned(row.get(0)?),
                segment: unsigned(row.get(1)?),
                offset: unsigned(row.get(2)?),
            })
        })?;
        Ok(cursor)
    }

    fn apply(&mut self, batch: &Batch, upto: Cursor) -> Result<(), IndexError> {
        let applied = self.apply_all(batch, upto);
        if applied.is_err() {
            // What was given a number in this transaction has lost it.
            self.writer = Writer::default();
        }
        applied
    }

    fn clear(&mut self) -> Result<(), IndexError> {
        let transaction = self.connection.transaction()?;
        transaction.execute_batch(
            "DELETE FROM calls; DELETE FROM counts; DELETE FROM places; DELETE FROM postings; DELETE FROM strays;
                 DELETE FROM terms; DELETE FROM versions;",
        )?;
        self.writer = Writer::default();
        note_progress(&transaction, &self.emitter, Cursor::START)?;
        transaction.commit()?;
        Ok(())
    }

    fn stray_actions(&self) -> Result<Vec<Spot>, IndexError> {
        let mut statement =
            self.connection.prepare_cached("SELECT seq, offset FROM strays WHERE is_action = 1 ORDER BY seq")?;
        let spots = statement.query_map([], spot)?.collect::<Result<_, _>>()?;
        Ok(spots)
    }

    fn open_intents(&self) -> Result<Vec<Spot>, IndexError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT intent_seq, intent_offset FROM calls WHERE intent_seq IS NOT NULL AND outcome_seq IS NULL ORDER BY intent_seq",
        )?;
        let spots = statement.query_map([], spot)?.collect::<Result<_, _>>()?;
        Ok(spots)
    }

    fn latest_versions(&self, kind: VersionedKind) -> Result<Vec<Spot>, IndexError> {
        let mut statement =
            self.connection.prepare_cached("SELECT seq, offset FROM versions WHERE kind = ?1 ORDER BY seq")?;
        let spots = statement.query_map([kind.as_str()], spot)?.collect::<Result<_, _>>()?;
        Ok(spots)
    }
}

fn spot(row: &rusqlite::Row<'_>) -> rusqlite::Result<Spot> {
    Ok(Spot { seq: unsigned(row.get(0)?), offset: unsigned(row.get(1)?) })
}

/// Sequence numbers and offsets stay below 2^53, so the sign is never used.
pub(super) const fn unsigned(value: i64) -> u64 {
    value.unsigned_abs()
}

pub(super) const fn signed(value: u64) -> i64 {
    value.cast_signed()
}

fn note_progress(transaction: &Transaction<'_>, emitter: &str, at: Cursor) -> Result<(), IndexError> {
    transaction.prepare_cached("INSERT OR REPLACE INTO progress VALUES (1, ?1, ?2, ?3, ?4)")?.execute(params![
        emitter,
        signed(at.next_seq),
        signed(at.segment),
        signed(at.offset)
    ])?;
    Ok(())
}

/// Adds to what a mission's calls have counted.
fn add_count(transaction: &Transaction<'_>, counted: &Counted, amount: Number) -> Result<(), IndexError> {
    let Counted { mission, counter, window } = counted;
    let known: Option<String> = transaction
        .prepare_cached("SELECT amount FROM counts WHERE mission = ?1 AND counter = ?2 AND span = ?3")?
        .query_row(params![mission, counter, window], |row| row.get(0))
        .optional()?;
    let known = known.map_or(Number::ZERO, |known| Number::parse(&known).unwrap_or(Number::MAX));
    let sum = known.plus(amount).unwrap_or(Number::MAX).to_string();
    transaction
        .prepare_cached("INSERT OR REPLACE INTO counts VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![mission, counter, window, sum])?;
    Ok(())
}

/// The calls of a batch, with the first record of each, by which the index knows it.
struct Calls {
    firsts: HashMap<CallId, u64>,
}

impl Calls {
    /// What the batch knows: right for calls that begin in it.
    fn of(batch: &Batch) -> Self {
        let mut firsts = HashMap::new();
        for posted in &batch.postings.records {
            if let Some(call) = posted.call {
                firsts.entry(call).or_insert(posted.spot.seq);
            }
        }
        Self { firsts }
    }

    fn first(&self, call: CallId) -> i64 {
        signed(self.firsts.get(&call).copied().unwrap_or_default())
    }

    /// Adds a call's row or completes it; false if what is known of the call contradicts the row.
    fn upsert(&mut self, transaction: &Transaction<'_>, row: &CallRow) -> Result<bool, IndexError> {
        let mut statement = transaction.prepare_cached(
            "INSERT INTO calls VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (call) DO UPDATE SET
                decision_seq = coalesce(decision_seq, excluded.decision_seq),
                decision_offset = coalesce(decision_offset, excluded.decision_offset),
                intent_seq = coalesce(intent_seq, excluded.intent_seq),
                intent_offset = coalesce(intent_offset, excluded.intent_offset),
                outcome_seq = coalesce(outcome_seq, excluded.outcome_seq),
                outcome_offset = coalesce(outcome_offset, excluded.outcome_offset)
             WHERE (decision_seq IS NULL OR excluded.decision_seq IS NULL)
                AND (intent_seq IS NULL OR excluded.intent_seq IS NULL)
                AND (outcome_seq IS NULL OR excluded.outcome_seq IS NULL)
             RETURNING first",
        )?;
        let seq = |part: &Option<Spot>| part.map(|spot| signed(spot.seq));
        let offset = |part: &Option<Spot>| part.map(|spot| signed(spot.offset));
        let first: Option<i64> = statement
            .query_row(
                params![
                    row.call.as_bytes(),
                    self.first(row.call),
                    seq(&row.decision),
                    offset(&row.decision),
                    seq(&row.intent),
                    offset(&row.intent),
                    seq(&row.outcome),
                    offset(&row.outcome),
                ],
                |row| row.get(0),
            )
            .optional()?;
        self.firsts.extend(first.map(|first| (row.call, unsigned(first))));
        Ok(first.is_some())
    }

    fn insert_stray(&mut self, transaction: &Transaction<'_>, row: &StrayRow) -> Result<(), IndexError> {
        transaction.prepare_cached("INSERT INTO strays VALUES (?1, ?2, ?3, ?4)")?.execute(params![
            row.call.as_bytes(),
            signed(row.spot.seq),
            signed(row.spot.offset),
            row.is_action,
        ])?;
        let first: i64 = transaction
            .prepare_cached(
                "INSERT INTO calls (call, first) VALUES (?1, ?2) ON CONFLICT (call) DO UPDATE SET first = first RETURNING first",
            )?
            .query_row(params![row.call.as_bytes(), self.first(row.call)], |row| row.get(0))?;
        self.firsts.insert(row.call, unsigned(first));
        Ok(())
    }
}

fn insert_version(transaction: &Transaction<'_>, row: &VersionRow) -> Result<(), IndexError> {
    transaction.prepare_cached("INSERT OR REPLACE INTO versions VALUES (?1, ?2, ?3, ?4)")?.execute(params![
        row.kind.as_str(),
        row.name,
        signed(row.spot.seq),
        signed(row.spot.offset)
    ])?;
    Ok(())
}
