//! Exact data match: an index of the values of a table, of which nothing but keyed hashes is kept.
//!
//! Of each value there are 64 bits of its HMAC-SHA256 (RFC 2104), sorted, with its column and row where several columns of one row count; in front of them is a filter
//! of ten bits for each value, under a key of its own, that ends most questions. A text that is none of `n` values is taken for one in `n` of 2^64 cases: ten million
//! values, and every gigabyte of text brings one false match in some ten thousand. Whoever has the key can try values; nobody else can.

use std::fmt;
use std::hash::Hasher as _;
use std::sync::Arc;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use siphasher::sip::SipHasher24;
use zeroize::Zeroizing;

use super::words::{letters, plain};
use crate::limits::{
    INDEX_BYTES_MAX, INDEX_COLUMNS_MAX, INDEX_ROWS_OF_VALUE_MAX, INDEX_VALUES_MAX, NAME_BYTES_MAX, OWN_VALUE_BYTES_MAX,
};

/// The form of what follows.
const FORM: &[u8; 16] = b"countersign-edm1";

/// The fewest letters and digits of a value that counts together with others of its row.
pub(super) const VALUE_LETTERS_MIN: usize = 3;

/// The fewest letters and digits of a value that counts alone.
pub(super) const ALONE_LETTERS_MIN: usize = 6;

/// A block of the filter: what a processor reads of memory at once.
const BLOCK_BYTES: usize = 64;

/// The bits of each value in its block: five of the 512, told by the low bits of its hash; the high ones tell the block.
const BLOCK_BITS: u32 = 5;

/// Values of one block: ten bits for each, so that one in a hundred other texts is looked up in vain.
const BLOCK_VALUES: usize = 51;

const HASH_BYTES: usize = 8;

/// The key of indexes, which is a home's own.
#[derive(Clone)]
pub struct IndexKey {
    filter: Zeroizing<[u8; 16]>,
    values: Zeroizing<[u8; 32]>,
}

impl IndexKey {
    /// Takes 32 random bytes.
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        let key = Zeroizing::new(key);
        let derived = |what: &[u8]| Zeroizing::new(mac(&key, what));
        let mut filter = Zeroizing::new([0; 16]);
        for (to, from) in filter.iter_mut().zip(derived(b"filter").iter()) {
            *to = *from;
        }
        Self { filter, values: derived(b"values") }
    }

    /// What tells an index of this key from those of others.
    fn sign(&self) -> u64 {
        head(&mac(&self.values, b"sign"))
    }

    fn hash(&self, plain: &[u8]) -> u64 {
        head(&mac(&self.values, plain))
    }

    /// What tells the place of a value in the filter.
    fn filter(&self, plain: &[u8]) -> u64 {
        let mut hasher = SipHasher24::new_with_key(&self.filter);
        hasher.write(plain);
        hasher.finish()
    }
}

/// Which block of so many a value is in, and which bits of it there.
fn place(filter: u64, blocks: usize) -> (usize, Block) {
    let block = (u128::from(filter) * blocks as u128) >> 64;
    let mut bits = [0_u8; BLOCK_BYTES];
    let mut rest = filter;
    for _ in 0..BLOCK_BITS {
        if let Some(byte) = bits.get_mut((rest >> 3 & 63) as usize) {
            *byte |= 1 << (rest & 7);
        }
        rest >>= 9;
    }
    (usize::try_from(block).unwrap_or_default(), bits)
}

type Block = [u8; BLOCK_BYTES];

impl fmt::Debug for IndexKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IndexKey").finish_non_exhaustive()
    }
}

fn mac(key: &[u8; 32], text: &[u8]) -> [u8; 32] {
    // A key of 32 bytes is one that HMAC takes.
    match Hmac::<Sha256>::new_from_slice(key) {
        Ok(mac) => mac.chain_update(text).finalize().into_bytes().into(),
        Err(_) => [0; 32],
    }
}

fn head(bytes: &[u8]) -> u64 {
    bytes.first_chunk().map_or(0, |head| u64::from_be_bytes(*head))
}

/// A value of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    hash: u64,
    row: u32,
    column: u8,
    filter: u64,
}

/// Makes an index, a row of the table after the other.
#[derive(Debug)]
pub struct IndexBuilder {
    columns: Vec<Arc<str>>,
    entries: Vec<Entry>,
    key: IndexKey,
    lengths: u128,
    rows: u32,
    skipped: u64,
}

/// What became of the values of a table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Built {
    /// Values that stand in too many rows to tell one, and were left out.
    pub common: u64,
    /// Values that are in the index, each once for each row and column.
    pub kept: u64,
    /// Values that were too short or too long, and were left out.
    pub skipped: u64,
}

/// Why an index cannot be made or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IndexError {
    /// It has too many columns, or none, or a name of one is none.
    #[error(
        "an index has 1 to {INDEX_COLUMNS_MAX} columns, each with a name of its own of at most {NAME_BYTES_MAX} bytes"
    )]
    Columns,
    /// It was made with another key.
    #[error("it was made with the key of another home; make it anew with `countersign classes index`")]
    Key,
    /// There are too many values.
    #[error("it has more than {INDEX_VALUES_MAX} values; divide the table")]
    Large,
    /// It is no index, or not a whole one.
    #[error("it is no index, or not a whole one; make it anew with `countersign classes index`")]
    Malformed,
}

impl IndexBuilder {
    /// An index of these columns, of no rows yet.
    ///
    /// # Errors
    /// [`IndexError::Columns`]
    pub fn new(key: IndexKey, columns: Vec<Arc<str>>) -> Result<Self, IndexError> {
        let mut names = columns.clone();
        names.sort_unstable();
        names.dedup();
        let is_name = |name: &Arc<str>| !name.is_empty() && name.len() <= NAME_BYTES_MAX;
        if columns.is_empty()
            || columns.len() > INDEX_COLUMNS_MAX
            || names.len() < columns.len()
            || !columns.iter().all(is_name)
        {
            return Err(IndexError::Columns);
        }
        Ok(Self { columns, entries: Vec::new(), key, lengths: 0, rows: 0, skipped: 0 })
    }

    /// Takes the next row: a value of each column, in the order of these. What is empty is no value.
    ///
    /// # Errors
    /// [`IndexError::Large`]
    pub fn row<'v>(&mut self, values: impl IntoIterator<Item = &'v str>) -> Result<(), IndexError> {
        let fewest = if self.columns.len() > 1 { VALUE_LETTERS_MIN } else { ALONE_LETTERS_MIN };
        for (column, value) in (0..).zip(values) {
            let plain = plain(value);
            if plain.is_empty() {
                continue;
            }
            if letters(&plain) < fewest || plain.len() > OWN_VALUE_BYTES_MAX {
                self.skipped += 1;
                continue;
            }
            if self.entries.len() >= INDEX_VALUES_MAX {
                return Err(IndexError::Large);
            }
            self.lengths |= 1 << plain.len();
            let (hash, filter) = (self.key.hash(&plain), self.key.filter(&plain));
            self.entries.push(Entry { hash, row: self.rows, column, filter });
        }
        self.rows = self.rows.checked_add(1).ok_or(IndexError::Large)?;
        Ok(())
    }

    /// The bytes of the index, and what became of the values.
    #[must_use]
    pub fn finish(mut self) -> (Vec<u8>, Built) {
        let has_rows = self.columns.len() > 1;
        if !has_rows {
            self.entries.iter_mut().for_each(|entry| entry.row = 0);
        }
        self.entries.sort_unstable();
        self.entries.dedup();
        let before = self.entries.len();
        let mut common = Vec::new();
        for same in self.entries.chunk_by(|one, other| one.hash == other.hash) {
            if let (true, Some(first)) = (same.len() > INDEX_ROWS_OF_VALUE_MAX, same.first()) {
                common.push(first.hash);
            }
        }
        self.entries.retain(|entry| common.binary_search(&entry.hash).is_err());
        let built = Built {
            common: (before - self.entries.len()) as u64,
            kept: self.entries.len() as u64,
            skipped: self.skipped,
        };
        (self.written(has_rows), built)
    }

    fn written(self, has_rows: bool) -> Vec<u8> {
        let Self { columns, entries, key, lengths, .. } = self;
        let blocks = entries.len().div_ceil(BLOCK_VALUES);
        let mut bytes = Vec::with_capacity(blocks * BLOCK_BYTES + entries.len() * if has_rows { 13 } else { 8 } + 8192);
        bytes.extend_from_slice(FORM);
        bytes.extend_from_slice(&key.sign().to_be_bytes());
        bytes.extend_from_slice(&lengths.to_be_bytes());
        bytes.extend_from_slice(&u32::try_from(entries.len()).unwrap_or_default().to_be_bytes());
        bytes.push(u8::try_from(columns.len()).unwrap_or_default());
        for column in &columns {
            bytes.extend_from_slice(&u16::try_from(column.len()).unwrap_or_default().to_be_bytes());
            bytes.extend_from_slice(column.as_bytes());
        }
        let filter = bytes.len();
        bytes.resize(filter + blocks * BLOCK_BYTES, 0);
        for entry in &entries {
            let (block, bits) = place(entry.filter, blocks);
            let from = filter + block * BLOCK_BYTES;
            for (byte, bit) in bytes.iter_mut().skip(from).take(BLOCK_BYTES).zip(bits) {
                *byte |= bit;
            }
        }
        entries.iter().for_each(|entry| bytes.extend_from_slice(&entry.hash.to_be_bytes()));
        if has_rows {
            entries.iter().for_each(|entry| bytes.extend_from_slice(&entry.row.to_be_bytes()));
            bytes.extend(entries.iter().map(|entry| entry.column));
        }
        bytes
    }
}

/// An index as it is searched: its bytes, and where their parts are.
pub struct Index {
    blocks: usize,
    bytes: Vec<u8>,
    columns: Vec<Arc<str>>,
    entries: usize,
    filter: usize,
    hashes: usize,
    key: IndexKey,
    lengths: u128,
}

impl fmt::Debug for Index {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (columns, entries) = (&self.columns, &self.entries);
        f.debug_struct("Index").field("columns", columns).field("entries", entries).finish_non_exhaustive()
    }
}

/// Where a value stands in the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cell {
    pub(super) column: u8,
    pub(super) row: u32,
}

impl Index {
    /// Takes up the bytes of an index that was made with `key`.
    ///
    /// # Errors
    /// [`IndexError`]: whatever is not whole is none.
    pub fn read(bytes: Vec<u8>, key: IndexKey) -> Result<Self, IndexError> {
        if bytes.len() > INDEX_BYTES_MAX {
            return Err(IndexError::Large);
        }
        let mut at = 0;
        let mut take = |length: usize| {
            let part = bytes.get(at..at + length).ok_or(IndexError::Malformed);
            at += length;
            part
        };
        if take(FORM.len())? != FORM {
            return Err(IndexError::Malformed);
        }
        let number = |part: &[u8]| part.iter().fold(0_u128, |number, byte| number << 8 | u128::from(*byte));
        if number(take(8)?) != u128::from(key.sign()) {
            return Err(IndexError::Key);
        }
        let lengths = number(take(16)?);
        let entries = usize::try_from(number(take(4)?)).map_err(|_| IndexError::Malformed)?;
        let count = take(1)?.first().copied().unwrap_or_default();
        let mut columns: Vec<Arc<str>> = Vec::new();
        for _ in 0..count {
            let length = usize::try_from(number(take(2)?)).map_err(|_| IndexError::Malformed)?;
            let name = str::from_utf8(take(length)?).map_err(|_| IndexError::Malformed)?;
            columns.push(name.into());
        }
        // The same demands as on whoever makes one.
        IndexBuilder::new(key.clone(), columns.clone())?;
        if entries > INDEX_VALUES_MAX {
            return Err(IndexError::Large);
        }
        let (filter, blocks) = (at, entries.div_ceil(BLOCK_VALUES));
        let hashes = filter + blocks * BLOCK_BYTES;
        let entry_bytes = if columns.len() > 1 { HASH_BYTES + 5 } else { HASH_BYTES };
        if bytes.len() != hashes + entries * entry_bytes || lengths >> (OWN_VALUE_BYTES_MAX + 1) != 0 {
            return Err(IndexError::Malformed);
        }
        let index = Self { blocks, bytes, columns, entries, filter, hashes, key, lengths };
        let is_sorted = (1..entries).all(|place| index.hash(place - 1) <= index.hash(place));
        let has_columns = index.columns.len() < 2
            || index.bytes.iter().rev().take(entries).all(|column| usize::from(*column) < index.columns.len());
        if is_sorted && has_columns { Ok(index) } else { Err(IndexError::Malformed) }
    }

    /// The bytes that it was read from.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The columns.
    #[must_use]
    pub fn columns(&self) -> &[Arc<str>] {
        &self.columns
    }

    /// How many values it has, each once for each row and column.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.entries
    }

    /// Whether it has no values.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries == 0
    }

    /// How long values are, in the one spelling: a bit for each length.
    pub(super) const fn lengths(&self) -> u128 {
        self.lengths
    }

    /// Whether a value can be so long, in the one spelling.
    pub(super) const fn has_length(&self, bytes: usize) -> bool {
        bytes <= OWN_VALUE_BYTES_MAX && self.lengths >> bytes & 1 == 1
    }

    /// Whether `plain` may be a value: what is none is told so in ninety-nine of a hundred cases.
    pub(super) fn may_have(&self, plain: &[u8]) -> bool {
        let (block, bits) = place(self.key.filter(plain), self.blocks);
        let from = self.filter + block * BLOCK_BYTES;
        let filter = self.bytes.get(from..from + BLOCK_BYTES);
        self.blocks > 0 && filter.is_some_and(|filter| filter.iter().zip(bits).all(|(byte, bit)| byte & bit == bit))
    }

    /// Where `plain` stands; of an index of one column, that it does.
    pub(super) fn cells(&self, plain: &[u8]) -> impl Iterator<Item = Cell> {
        let hash = self.key.hash(plain);
        let (mut low, mut high) = (0, self.entries);
        while low < high {
            let middle = low + (high - low) / 2;
            if self.hash(middle) < hash { low = middle + 1 } else { high = middle }
        }
        let found = (low..self.entries).take_while(move |place| self.hash(*place) == hash);
        found.take(INDEX_ROWS_OF_VALUE_MAX).map(|place| self.cell(place))
    }

    fn hash(&self, place: usize) -> u64 {
        let from = self.hashes + place * HASH_BYTES;
        self.bytes.get(from..from + HASH_BYTES).map_or(0, head)
    }

    fn cell(&self, place: usize) -> Cell {
        if self.columns.len() < 2 {
            return Cell { column: 0, row: 0 };
        }
        let rows = self.hashes + self.entries * HASH_BYTES;
        let row = self.bytes.get(rows + place * 4..).and_then(|rest| rest.first_chunk());
        let column = self.bytes.get(rows + self.entries * 4 + place).copied();
        Cell { column: column.unwrap_or_default(), row: row.map_or(0, |row| u32::from_be_bytes(*row)) }
    }
}
