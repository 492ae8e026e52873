//! What filters find records by, as the index keeps it: where each record is, with its call and run, and for each value of a field the records that have it.
//!
//! Rows of a block are written again as long as the block is not full; what is full is never touched again.

use std::collections::HashMap;

use evidence::filter::Field;
use evidence::ids::CallId;
use rusqlite::{OptionalExtension as _, Transaction, params};

use super::bits::Bits;
use super::index::signed;
use crate::ledger::Postings;
use crate::limits::{INDEX_BLOCK_RECORDS, INDEX_CHUNK_RECORDS, INDEX_VALUES_KEPT_MAX};
use crate::ports::IndexError;

/// Empty sets that are kept for the next batch, of 512 bytes each.
const SPARE_MAX: usize = 1_024;

/// Bytes of one record's place.
pub(super) const PLACE_BYTES: usize = 12;

/// Where one record is, and what it is joined by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The offset in its segment, which has at most 1 GiB.
    pub(super) offset: u32,
    /// How many records before it the first of its call is, and one; 0 where it has no call.
    pub(super) back: u32,
    /// The number of its run's term; 0 where it has no run.
    pub(super) run: u32,
}

impl Place {
    fn to_bytes(self) -> [u8; PLACE_BYTES] {
        let mut bytes = [0; PLACE_BYTES];
        let numbers = [self.offset, self.back, self.run].map(u32::to_le_bytes);
        bytes.iter_mut().zip(numbers.as_flattened()).for_each(|(byte, number)| *byte = *number);
        bytes
    }

    /// Reads back what [`Self::to_bytes`] gave.
    pub(super) fn from_bytes(bytes: &[u8; PLACE_BYTES]) -> Self {
        match bytes.as_chunks::<4>().0 {
            [offset, back, run] => Self {
                offset: u32::from_le_bytes(*offset),
                back: u32::from_le_bytes(*back),
                run: u32::from_le_bytes(*run),
            },
            _ => Self { offset: 0, back: 0, run: 0 },
        }
    }
}

/// The chunk of a record, and its place in it.
pub(super) const fn chunk(seq: u64) -> (u64, u64) {
    ((seq - 1) / INDEX_CHUNK_RECORDS, (seq - 1) % INDEX_CHUNK_RECORDS)
}

/// The block of a record, and its place in it.
pub(super) const fn block(seq: u64) -> (u64, u64) {
    ((seq - 1) / INDEX_BLOCK_RECORDS, (seq - 1) % INDEX_BLOCK_RECORDS)
}

/// What the one who writes remembers of the terms that are there.
#[derive(Debug, Default)]
pub(super) struct Writer {
    known: HashMap<Field, HashMap<Box<str>, u32>>,
    kept: usize,
    /// Sets that the last batch had, empty.
    spare: Vec<Bits>,
}

impl Writer {
    /// Adds the records of a batch, in its transaction. `firsts` has the first record of each call.
    pub(super) fn write(
        &mut self,
        transaction: &Transaction<'_>,
        postings: &Postings,
        firsts: &HashMap<CallId, u64>,
    ) -> Result<(), IndexError> {
        let mut terms = Vec::with_capacity(postings.values.len());
        for (field, value) in &postings.values {
            terms.push(self.term(transaction, *field, value)?);
        }
        let term = |place: &u32| terms.get(*place as usize).copied().unwrap_or_default();
        let mut chunks = Chunks::new(transaction);
        let mut sets: HashMap<u32, Bits> = HashMap::with_capacity(terms.len());
        let mut current = None;
        let spare = &mut self.spare;
        for (posted, has) in postings.each() {
            let seq = posted.spot.seq;
            let back = posted.call.and_then(|call| firsts.get(&call)).map_or(0, |first| seq.saturating_sub(*first) + 1);
            let place = Place {
                offset: u32::try_from(posted.spot.offset).unwrap_or(u32::MAX),
                back: u32::try_from(back).unwrap_or(u32::MAX),
                run: posted.run.map_or(0, |run| term(&run)),
            };
            chunks.push(seq, posted.recorded_at.micros(), place)?;
            let (block, at) = block(seq);
            if current.is_some_and(|(known, _)| known != block) {
                put(transaction, current, &mut sets, spare)?;
                current = None;
            }
            // The first record that this batch has of the block: what is before it is in the index.
            let (_, start) = *current.get_or_insert((block, at));
            for term in has.iter().map(term) {
                match sets.get_mut(&term) {
                    Some(set) => set.insert(at),
                    None => {
                        let mut set = spare.pop().unwrap_or_else(Bits::none);
                        if start > 0 {
                            add_there(transaction, block, term, &mut set)?;
                        }
                        set.insert(at);
                        sets.insert(term, set);
                    }
                }
            }
        }
        put(transaction, current, &mut sets, spare)?;
        chunks.put()
    }

    /// The number of a value, which it is given if it has none.
    fn term(&mut self, transaction: &Transaction<'_>, field: Field, value: &str) -> Result<u32, IndexError> {
        if let Some(term) = self.known.get(&field).and_then(|known| known.get(value)) {
            return Ok(*term);
        }
        let there: Option<u32> = transaction
            .prepare_cached("SELECT term FROM terms WHERE field = ?1 AND value = ?2")?
            .query_row(params![field.name(), value], |row| row.get(0))
            .optional()?;
        let term = match there {
            Some(term) => term,
            None => transaction
                .prepare_cached("INSERT INTO terms (field, value) VALUES (?1, ?2) RETURNING term")?
                .query_row(params![field.name(), value], |row| row.get(0))?,
        };
        if self.kept >= INDEX_VALUES_KEPT_MAX {
            *self = Self::default();
        }
        self.kept += 1;
        self.known.entry(field).or_default().insert(value.into(), term);
        Ok(term)
    }
}

/// Adds what the index has of a term in a block.
fn add_there(transaction: &Transaction<'_>, block: u64, term: u32, bits: &mut Bits) -> Result<(), IndexError> {
    transaction
        .prepare_cached("SELECT places FROM postings WHERE block = ?1 AND term = ?2")?
        .query_row(params![signed(block), term], |row| {
            bits.add_bytes(row.get_ref(0)?.as_blob()?);
            Ok(())
        })
        .optional()?;
    Ok(())
}

/// Writes the sets of a block, in the order of their terms.
fn put(
    transaction: &Transaction<'_>,
    block: Option<(u64, u64)>,
    sets: &mut HashMap<u32, Bits>,
    spare: &mut Vec<Bits>,
) -> Result<(), IndexError> {
    let Some((block, _)) = block else { return Ok(()) };
    let mut sets: Vec<(u32, Bits)> = sets.drain().collect();
    sets.sort_unstable_by_key(|(term, _)| *term);
    let mut statement = transaction.prepare_cached("INSERT OR REPLACE INTO postings VALUES (?1, ?2, ?3)")?;
    let mut bytes = Vec::new();
    for (term, mut bits) in sets {
        bits.write(&mut bytes);
        statement.execute(params![signed(block), term, bytes])?;
        if spare.len() < SPARE_MAX {
            bits.clear();
            spare.push(bits);
        }
    }
    Ok(())
}

/// Places on their way into rows.
struct Chunks<'a> {
    transaction: &'a Transaction<'a>,
    chunk: Option<u64>,
    at: i64,
    bytes: Vec<u8>,
}

impl<'a> Chunks<'a> {
    const fn new(transaction: &'a Transaction<'a>) -> Self {
        Self { transaction, chunk: None, at: 0, bytes: Vec::new() }
    }

    fn push(&mut self, seq: u64, recorded_at: i64, place: Place) -> Result<(), IndexError> {
        let (chunk, start) = chunk(seq);
        if self.chunk != Some(chunk) {
            self.put()?;
            (self.at, self.bytes) = (recorded_at, Vec::new());
            if start > 0 {
                // What an earlier batch has of the chunk.
                let there = self
                    .transaction
                    .prepare_cached("SELECT at, places FROM places WHERE chunk = ?1")?
                    .query_row([signed(chunk)], |row| Ok((row.get(0)?, row.get(1)?)))
                    .optional()?;
                (self.at, self.bytes) = there.unwrap_or((recorded_at, Vec::new()));
                self.bytes.truncate(start as usize * PLACE_BYTES);
            }
            self.chunk = Some(chunk);
        }
        self.bytes.extend(place.to_bytes());
        Ok(())
    }

    fn put(&mut self) -> Result<(), IndexError> {
        let Some(chunk) = self.chunk else { return Ok(()) };
        self.transaction.prepare_cached("INSERT OR REPLACE INTO places VALUES (?1, ?2, ?3)")?.execute(params![
            signed(chunk),
            self.at,
            self.bytes
        ])?;
        Ok(())
    }
}
