//! The tree and its entries as static files: C2SP tlog-tiles.
//!
//! A hash tile holds up to 256 consecutive hashes of every eighth level of the tree, an entry bundle up to 256 leaf entries. Complete ones never change; partial
//! ones are written for each published size and may go once the complete one is there. [`TileBuilder`] turns entries into the files that a new size needs,
//! [`tiles_between`] names them, [`TileHashes`] reads proofs back out of them. Nothing here touches a file: paths and bytes go in and out.

use std::fmt;
use std::str::FromStr;

use crate::limits::{ENTRY_BYTES_MAX, TILE_WIDTH};
use crate::merkle::{Frontier, Hash, HashSource, leaf_hash, node_hash};

/// Tile levels that a tree of up to 2^64 leaves can have.
const LEVELS: u8 = 8;

/// What a tile holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TileKind {
    /// Leaf entries.
    Entries,
    /// Hashes of complete subtrees of `256^level` leaves.
    Hashes {
        /// The tile level, from 0; one tile level is eight levels of the tree.
        level: u8,
    },
}

/// Names one tile.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TileRef {
    /// What it holds.
    pub kind: TileKind,
    /// Its place among those of its kind, from 0.
    pub index: u64,
    // INVARIANT (tile width): 1 to 256.
    width: u16,
}

impl TileRef {
    /// The complete tile at `index`.
    #[must_use]
    pub const fn complete(kind: TileKind, index: u64) -> Self {
        Self { kind, index, width: 256 }
    }

    /// The tile at `index` as it is in a tree of `size` leaves; `None` if it is empty then.
    #[must_use]
    pub fn at_size(kind: TileKind, index: u64, size: u64) -> Option<Self> {
        let held = count(kind, size).checked_sub(index.checked_mul(TILE_WIDTH)?)?.min(TILE_WIDTH);
        let width = u16::try_from(held).ok().filter(|width| *width > 0)?;
        Some(Self { kind, index, width })
    }

    /// How many hashes or entries it holds, 1 to 256.
    #[must_use]
    pub const fn width(&self) -> u16 {
        self.width
    }

    /// Whether it is full and so never changes.
    #[must_use]
    pub const fn is_complete(&self) -> bool {
        self.width == 256
    }

    /// The path below the log's prefix, e.g. `tile/0/x001/x234/067.p/12` or `tile/entries/000`.
    #[must_use]
    pub fn path(&self) -> String {
        self.to_string()
    }
}

impl fmt::Display for TileRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            TileKind::Entries => f.write_str("tile/entries/")?,
            TileKind::Hashes { level } => write!(f, "tile/{level}/")?,
        }
        let digits = self.index.to_string();
        let groups = digits.len().div_ceil(3);
        let padded = format!("{digits:0>width$}", width = groups * 3);
        for (at, digit) in padded.chars().enumerate() {
            match at {
                _ if at % 3 != 0 => {}
                0 if groups > 1 => f.write_str("x")?,
                0 => {}
                _ if at / 3 + 1 < groups => f.write_str("/x")?,
                _ => f.write_str("/")?,
            }
            write!(f, "{digit}")?;
        }
        if !self.is_complete() {
            write!(f, ".p/{}", self.width)?;
        }
        Ok(())
    }
}

/// Why a text is not the path of a tile.
#[derive(Debug, thiserror::Error)]
#[error(
    "`{text}` is not a tile path: want tile/LEVEL/000 or tile/entries/000, with x001/ before and .p/WIDTH after where needed"
)]
pub struct TilePathError {
    text: String,
}

impl FromStr for TileRef {
    type Err = TilePathError;

    fn from_str(text: &str) -> Result<Self, TilePathError> {
        // Reads more than the one right spelling, and then compares with it.
        let read = || {
            let (kind, rest) = text.strip_prefix("tile/")?.split_once('/')?;
            let kind = match kind {
                "entries" => TileKind::Entries,
                level => TileKind::Hashes { level: level.parse().ok().filter(|level| *level < 64)? },
            };
            let (index, width) = match rest.split_once(".p/") {
                Some((index, width)) => (index, width.parse().ok().filter(|width| (1..256).contains(width))?),
                None => (rest, 256),
            };
            let digits: String = index.chars().filter(char::is_ascii_digit).collect();
            let found = Self { kind, index: digits.parse().ok()?, width };
            (found.to_string() == text).then_some(found)
        };
        read().ok_or_else(|| TilePathError { text: text.chars().take(128).collect() })
    }
}

/// How many hashes or entries of `kind` a tree of `size` leaves has.
fn count(kind: TileKind, size: u64) -> u64 {
    match kind {
        TileKind::Entries => size,
        TileKind::Hashes { level } => size.checked_shr(u32::from(level) * 8).unwrap_or(0),
    }
}

/// The kinds of tiles, in the order in which they should be written: what is hashed before its hash.
fn kinds() -> impl Iterator<Item = TileKind> {
    std::iter::once(TileKind::Entries).chain((0..LEVELS).map(|level| TileKind::Hashes { level }))
}

/// The tiles that a tree of `new_size` leaves has and one of `old_size` did not: complete ones, then the partial one, for each kind. Nothing if the tree did not grow.
#[must_use]
pub fn tiles_between(old_size: u64, new_size: u64) -> Vec<TileRef> {
    let mut tiles = Vec::new();
    for kind in kinds() {
        let (old, new) = (count(kind, old_size), count(kind, new_size));
        if old >= new {
            continue;
        }
        tiles.extend((old / TILE_WIDTH..new / TILE_WIDTH).map(|index| TileRef::complete(kind, index)));
        tiles.extend(partial(kind, new_size));
    }
    tiles
}

/// The partial tiles of a tree of `size` leaves: what [`TileBuilder::resume`] reads.
#[must_use]
pub fn partial_tiles(size: u64) -> Vec<TileRef> {
    kinds().filter_map(|kind| partial(kind, size)).collect()
}

fn partial(kind: TileKind, size: u64) -> Option<TileRef> {
    TileRef::at_size(kind, count(kind, size) / TILE_WIDTH, size)
}

/// Why bytes are not a tile, or an entry cannot be in one.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TileError {
    /// A hash tile of the wrong size.
    #[error("a tile of {width} hashes has {want} bytes, not {found}")]
    HashBytes {
        /// How many hashes it should hold.
        width: u16,
        /// The size it should have.
        want: usize,
        /// The size it has.
        found: usize,
    },
    /// A bundle that ends within an entry or before the last one.
    #[error("the bundle ends within entry {entry} of {width}, at byte {at}")]
    BundleShort {
        /// The entry, from 0.
        entry: u16,
        /// How many entries it should hold.
        width: u16,
        /// Where the bundle ends.
        at: usize,
    },
    /// A bundle that goes on after its last entry.
    #[error("the bundle goes on after its {width} entries, at byte {at}")]
    BundleLong {
        /// How many entries it should hold.
        width: u16,
        /// Where the surplus starts.
        at: usize,
    },
    /// An entry that no bundle can hold.
    #[error("an entry of {found} bytes is above the {ENTRY_BYTES_MAX} that a bundle can hold")]
    EntryTooLong {
        /// Its size.
        found: usize,
    },
}

/// The bytes of a hash tile.
#[must_use]
pub fn encode_hashes(hashes: &[Hash]) -> Vec<u8> {
    hashes.concat()
}

/// Reads a hash tile of `width` hashes.
///
/// # Errors
/// [`TileError::HashBytes`] if it has another size.
pub fn parse_hashes(bytes: &[u8], width: u16) -> Result<Vec<Hash>, TileError> {
    let (hashes, rest) = bytes.as_chunks::<32>();
    if hashes.len() != usize::from(width) || !rest.is_empty() {
        return Err(TileError::HashBytes { width, want: usize::from(width) * 32, found: bytes.len() });
    }
    Ok(hashes.to_vec())
}

/// The bytes of an entry bundle.
///
/// # Errors
/// [`TileError::EntryTooLong`] if an entry does not fit.
pub fn encode_entries<E: AsRef<[u8]>>(entries: &[E]) -> Result<Vec<u8>, TileError> {
    let mut out = Vec::with_capacity(entries.iter().map(|entry| entry.as_ref().len() + 2).sum());
    for entry in entries {
        let entry = entry.as_ref();
        let length = u16::try_from(entry.len()).map_err(|_| TileError::EntryTooLong { found: entry.len() })?;
        out.extend_from_slice(&length.to_be_bytes());
        out.extend_from_slice(entry);
    }
    Ok(out)
}

/// Reads an entry bundle of `width` entries.
///
/// # Errors
/// [`TileError`] if it holds more or less.
pub fn parse_entries(bytes: &[u8], width: u16) -> Result<Vec<&[u8]>, TileError> {
    let mut rest = bytes;
    let mut entries = Vec::with_capacity(width.into());
    for entry in 0..width {
        let short = TileError::BundleShort { entry, width, at: bytes.len() };
        let Some((length, after)) = rest.split_first_chunk::<2>() else { return Err(short) };
        let Some((held, after)) = after.split_at_checked(u16::from_be_bytes(*length).into()) else { return Err(short) };
        entries.push(held);
        rest = after;
    }
    if rest.is_empty() { Ok(entries) } else { Err(TileError::BundleLong { width, at: bytes.len() - rest.len() }) }
}

/// One tile to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tile {
    /// Which.
    pub tile: TileRef,
    /// The file's content.
    pub bytes: Vec<u8>,
}

/// Why a builder cannot go on from stored tiles.
#[derive(Debug, thiserror::Error)]
pub enum ResumeError<E> {
    /// A tile could not be read.
    #[error("read `{tile}`")]
    Read {
        /// Which.
        tile: TileRef,
        /// Why.
        source: E,
    },
    /// A tile is damaged.
    #[error("tile `{tile}` is damaged")]
    Tile {
        /// Which.
        tile: TileRef,
        /// How.
        source: TileError,
    },
    /// An entry is not the one that the tree holds.
    #[error("entry {index} does not hash to its leaf in the level 0 tile")]
    Entry {
        /// The entry's index in the tree.
        index: u64,
    },
}

/// Builds the tiles of a growing tree. Holds the open tiles and whatever is not yet marked as written, so mark often.
#[derive(Clone, Debug, Default)]
pub struct TileBuilder {
    frontier: Frontier,
    written: u64,
    entries: Open<Vec<u8>>,
    levels: [Open<Hash>; LEVELS as usize],
}

/// The end of a sequence, from the start of the first tile that is not yet written complete.
#[derive(Clone, Debug)]
struct Open<T> {
    first: u64,
    held: Vec<T>,
}

impl<T> Default for Open<T> {
    fn default() -> Self {
        Self { first: 0, held: Vec::new() }
    }
}

impl<T> Open<T> {
    fn slice(&self, tile: TileRef) -> &[T] {
        let start = (tile.index * TILE_WIDTH).checked_sub(self.first).and_then(|start| usize::try_from(start).ok());
        start.and_then(|start| self.held.get(start..start + usize::from(tile.width))).unwrap_or_default()
    }

    fn forget_complete_tiles(&mut self) {
        let complete = self.held.len() - self.held.len() % TILE_WIDTH as usize;
        self.held.drain(..complete);
        self.first += complete as u64;
    }
}

impl TileBuilder {
    /// Starts with the empty tree.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes on from the tree of `size` leaves, whose [`partial_tiles`] `read` gives. The caller compares [`Self::root`] with what it trusts.
    ///
    /// # Errors
    /// [`ResumeError`] says which tile is missing or damaged.
    pub fn resume<E>(size: u64, mut read: impl FnMut(TileRef) -> Result<Vec<u8>, E>) -> Result<Self, ResumeError<E>> {
        let mut builder = Self { written: size, ..Self::default() };
        builder.entries.first = size - size % TILE_WIDTH;
        for (level, open) in (0..).zip(&mut builder.levels) {
            let held = count(TileKind::Hashes { level }, size);
            open.first = held - held % TILE_WIDTH;
        }
        for tile in partial_tiles(size) {
            let bytes = read(tile).map_err(|source| ResumeError::Read { tile, source })?;
            let damaged = |source| ResumeError::Tile { tile, source };
            match tile.kind {
                TileKind::Entries => {
                    let entries = parse_entries(&bytes, tile.width).map_err(damaged)?;
                    builder.entries.held = entries.into_iter().map(<[u8]>::to_vec).collect();
                }
                TileKind::Hashes { level } => {
                    let hashes = parse_hashes(&bytes, tile.width).map_err(damaged)?;
                    if let Some(open) = builder.levels.get_mut(usize::from(level)) {
                        open.held = hashes;
                    }
                }
            }
        }
        let [leaves, ..] = &builder.levels;
        for (index, (entry, leaf)) in (leaves.first..).zip(builder.entries.held.iter().zip(&leaves.held)) {
            if leaf_hash(entry) != *leaf {
                return Err(ResumeError::Entry { index });
            }
        }
        builder.frontier = frontier_of(size, &builder.levels);
        Ok(builder)
    }

    /// Adds the next leaf entry and returns its leaf hash.
    ///
    /// # Errors
    /// [`TileError::EntryTooLong`]; nothing is added then.
    pub fn push(&mut self, entry: &[u8]) -> Result<Hash, TileError> {
        if entry.len() > ENTRY_BYTES_MAX {
            return Err(TileError::EntryTooLong { found: entry.len() });
        }
        let leaf = leaf_hash(entry);
        let levels = &mut self.levels;
        self.frontier.push_with(leaf, |level, _, hash| {
            if level % 8 == 0
                && let Some(open) = levels.get_mut(usize::from(level / 8))
            {
                open.held.push(*hash);
            }
        });
        self.entries.held.push(entry.to_vec());
        Ok(leaf)
    }

    /// The number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.frontier.size()
    }

    /// The root of the tree as it is.
    #[must_use]
    pub fn root(&self) -> Hash {
        self.frontier.root()
    }

    /// The right edge of the tree as it is.
    #[must_use]
    pub const fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// The size up to which tiles are marked as written.
    #[must_use]
    pub const fn written(&self) -> u64 {
        self.written
    }

    /// The tiles between what is marked as written and now, entries before hashes. Make them durable before a checkpoint of this size is published.
    ///
    /// # Errors
    /// None in practice: an entry that does not fit is refused by [`Self::push`].
    pub fn unwritten(&self) -> Result<Vec<Tile>, TileError> {
        tiles_between(self.written, self.size()).into_iter().map(|tile| self.tile(tile)).collect()
    }

    /// The partial tiles of the tree as it is, whether or not they are marked as written.
    ///
    /// # Errors
    /// None in practice, as for [`Self::unwritten`].
    pub fn partial(&self) -> Result<Vec<Tile>, TileError> {
        partial_tiles(self.size()).into_iter().map(|tile| self.tile(tile)).collect()
    }

    fn tile(&self, tile: TileRef) -> Result<Tile, TileError> {
        let bytes = match tile.kind {
            TileKind::Entries => encode_entries(self.entries.slice(tile))?,
            TileKind::Hashes { level } => {
                encode_hashes(self.levels.get(usize::from(level)).map_or(&[], |open| open.slice(tile)))
            }
        };
        Ok(Tile { tile, bytes })
    }

    /// Marks all that [`Self::unwritten`] gives now as written, and forgets the complete tiles.
    pub fn mark_written(&mut self) {
        self.written = self.size();
        self.entries.forget_complete_tiles();
        self.levels.iter_mut().for_each(Open::forget_complete_tiles);
    }
}

/// The frontier of a tree of `size` leaves, from the hashes of its partial tiles.
fn frontier_of(size: u64, levels: &[Open<Hash>]) -> Frontier {
    let mut edge = Vec::new();
    for open in levels.iter().rev() {
        let mut part = Frontier::new();
        open.held.iter().for_each(|hash| part.push(*hash));
        edge.extend_from_slice(part.hashes());
    }
    // The widths of the partial tiles are the base-256 digits of the size, so their subtrees are its set bits.
    Frontier::from_parts(size, edge).unwrap_or_default()
}

/// The hashes of a tree of a known size, read from its tiles through `read`.
#[derive(Clone, Debug)]
pub struct TileHashes<R> {
    size: u64,
    read: R,
}

impl<R: Fn(TileRef) -> Option<Vec<u8>>> TileHashes<R> {
    /// Reads tiles of the tree of `size` leaves; `read` is asked for a partial tile first and then for the complete one.
    pub const fn new(size: u64, read: R) -> Self {
        Self { size, read }
    }

    fn tile(&self, kind: TileKind, index: u64) -> Option<Vec<Hash>> {
        let tile = TileRef::at_size(kind, index, self.size)?;
        if let Some(bytes) = (self.read)(tile) {
            return parse_hashes(&bytes, tile.width).ok();
        }
        let complete = TileRef::complete(kind, index);
        let mut hashes = parse_hashes(&(self.read)(complete)?, complete.width).ok()?;
        hashes.truncate(tile.width.into());
        Some(hashes)
    }
}

impl<R: Fn(TileRef) -> Option<Vec<u8>>> HashSource for TileHashes<R> {
    fn hash(&self, level: u8, index: u64) -> Option<Hash> {
        // `2^above` hashes of the tile below make this node, and they are in one tile because 256 is a multiple of them.
        let (kind, above) = (TileKind::Hashes { level: level / 8 }, level % 8);
        let first = index.checked_mul(1 << above)?;
        let hashes = self.tile(kind, first / TILE_WIDTH)?;
        let start = usize::try_from(first % TILE_WIDTH).ok()?;
        let mut row = hashes.get(start..start + (1 << above))?.to_vec();
        while row.len() > 1 {
            row = row.as_chunks::<2>().0.iter().map(|[left, right]| node_hash(left, right)).collect();
        }
        row.first().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::{consistency_proof, inclusion_proof, root, verify_consistency, verify_inclusion};
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::convert::Infallible;

    const HASHES0: TileKind = TileKind::Hashes { level: 0 };

    fn entry(i: u64) -> Vec<u8> {
        format!("entry {i}").into_bytes()
    }

    type Files = BTreeMap<String, Vec<u8>>;

    fn write(builder: &mut TileBuilder, files: &mut Files) {
        for Tile { tile, bytes } in builder.unwritten().unwrap() {
            files.insert(tile.path(), bytes);
        }
        builder.mark_written();
    }

    #[test]
    fn paths_are_those_of_the_specification() {
        for (tile, path) in [
            (TileRef::complete(HASHES0, 0), "tile/0/000"),
            (TileRef::complete(TileKind::Hashes { level: 63 }, 1_234_067), "tile/63/x001/x234/067"),
            (TileRef { kind: TileKind::Entries, index: 1_000, width: 7 }, "tile/entries/x001/000.p/7"),
            (TileRef { kind: HASHES0, index: 999, width: 255 }, "tile/0/999.p/255"),
            (TileRef::complete(HASHES0, u64::MAX), "tile/0/x018/x446/x744/x073/x709/x551/615"),
        ] {
            assert_eq!(tile.path(), path);
            assert_eq!(path.parse::<TileRef>().unwrap(), tile);
        }
        for path in [
            "",
            "tile",
            "tile/0",
            "tile/0/",
            "tile/0/0",
            "tile/0/00",
            "tile/0/0000",
            "tile/0/x000/001",
            "tile/0/x001",
            "tile/00/000",
            "tile/64/000",
            "tile/-1/000",
            "tile/+1/000",
            "tile/0/000.p/0",
            "tile/0/000.p/256",
            "tile/0/000.p/01",
            "tile/0/000.p/+1",
            "tile/0/000.p/",
            "tile/entry/000",
            "/tile/0/000",
            "tile/0/000/",
            "tile/0/001/000",
            "tile/0/x001/x000",
            "tile/0/../000",
            "tile/0/x018/x446/x744/x073/x709/x551/616",
            "tile/0/000.p/1.p/1",
        ] {
            assert!(path.parse::<TileRef>().is_err(), "{path}");
        }
    }

    #[test]
    fn the_example_tree_of_the_specification() {
        // 70,000 leaves: 273 and a partial of 112; one complete and a partial of 17; a partial of 1.
        let tiles = tiles_between(0, 70_000);
        let of = |kind| tiles.iter().filter(|tile| tile.kind == kind).collect::<Vec<_>>();
        for kind in [TileKind::Entries, HASHES0] {
            let tiles = of(kind);
            assert_eq!(tiles.len(), 274);
            assert!(tiles[..273].iter().all(|tile| tile.is_complete()));
            assert_eq!((tiles[273].index, tiles[273].width), (273, 112));
        }
        let widths = |level| of(TileKind::Hashes { level }).iter().map(|tile| tile.width).collect::<Vec<_>>();
        assert_eq!((widths(1), widths(2), widths(3)), (vec![256, 17], vec![1], vec![]));
        // 256 leaves: a complete tile of level 0 and a partial one of level 1.
        let paths: Vec<_> = tiles_between(0, 256).iter().map(TileRef::path).collect();
        assert_eq!(paths, ["tile/entries/000", "tile/0/000", "tile/1/000.p/1"]);
        let paths: Vec<_> = tiles_between(256, 257).iter().map(TileRef::path).collect();
        assert_eq!(paths, ["tile/entries/001.p/1", "tile/0/001.p/1"]);
        assert_eq!(tiles_between(9, 9), []);
        assert_eq!(tiles_between(9, 8), []);
        assert_eq!(partial_tiles(u64::MAX).len(), 9);
    }

    #[test]
    fn damaged_tiles_are_refused() {
        assert_eq!(parse_hashes(&[0; 63], 2), Err(TileError::HashBytes { width: 2, want: 64, found: 63 }));
        assert!(parse_hashes(&[0; 65], 2).is_err());
        assert!(parse_hashes(&[0; 96], 2).is_err());
        let bundle = encode_entries(&["ab", "", "c"]).unwrap();
        assert_eq!(bundle, b"\0\x02ab\0\0\0\x01c");
        assert_eq!(parse_entries(&bundle, 3).unwrap(), [&b"ab"[..], b"", b"c"]);
        assert_eq!(parse_entries(&bundle, 2), Err(TileError::BundleLong { width: 2, at: 6 }));
        for cut in 0..bundle.len() {
            assert!(matches!(parse_entries(&bundle[..cut], 3), Err(TileError::BundleShort { at, .. }) if at == cut));
        }
        let mut builder = TileBuilder::new();
        builder.push(&vec![0; ENTRY_BYTES_MAX]).unwrap();
        assert!(builder.push(&vec![0; ENTRY_BYTES_MAX + 1]).is_err());
        assert_eq!(builder.size(), 1);
        assert_eq!(builder.unwritten().unwrap().len(), 2);
    }

    #[test]
    fn a_complete_tile_stands_for_the_partial_one() {
        let (mut builder, mut files, mut leaves) = (TileBuilder::new(), Files::new(), Vec::new());
        for i in 0..600 {
            if i == 300 {
                write(&mut builder, &mut files);
            }
            leaves.push(builder.push(&entry(i)).unwrap());
        }
        write(&mut builder, &mut files);
        files.remove("tile/0/001.p/44").unwrap();
        let older = TileHashes::new(300, |tile| files.get(&tile.path()).cloned());
        assert_eq!(root(300, &older).unwrap(), root(300, leaves.as_slice()).unwrap());
        assert_eq!(older.hash(0, 300), None);
    }

    #[test]
    fn a_changed_stored_entry_stops_a_resume() {
        let (mut builder, mut files) = (TileBuilder::new(), Files::new());
        for i in 0..300 {
            builder.push(&entry(i)).unwrap();
        }
        write(&mut builder, &mut files);
        files.get_mut("tile/entries/001.p/44").unwrap()[2] ^= 1;
        let read = |tile: TileRef| files.get(&tile.path()).cloned().ok_or(std::fmt::Error);
        assert!(matches!(TileBuilder::resume(300, read), Err(ResumeError::Entry { index: 256 })));
        assert!(matches!(TileBuilder::resume(301, read), Err(ResumeError::Read { .. })));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn tiles_hold_the_whole_tree_over_restarts(steps in prop::collection::vec(0_u64..700, 1..6), at in any::<prop::sample::Index>(), old in any::<prop::sample::Index>()) {
            let (mut builder, mut files, mut leaves) = (TileBuilder::new(), Files::new(), Vec::new());
            for step in steps {
                let before = builder.written();
                for _ in 0..step {
                    leaves.push(builder.push(&entry(builder.size())).unwrap());
                }
                let named: Vec<_> = builder.unwritten().unwrap().iter().map(|tile| tile.tile).collect();
                prop_assert_eq!(named, tiles_between(before, builder.size()));
                write(&mut builder, &mut files);
                let read = |tile: TileRef| Ok::<_, Infallible>(files[&tile.path()].clone());
                let resumed = TileBuilder::resume(builder.size(), read).unwrap();
                prop_assert_eq!(resumed.frontier(), builder.frontier());
                builder = resumed;
            }
            let size = builder.size();
            prop_assert_eq!(builder.root(), root(size, leaves.as_slice()).unwrap());

            let tiles = TileHashes::new(size, |tile| files.get(&tile.path()).cloned());
            prop_assert_eq!(root(size, &tiles).unwrap(), builder.root());
            if size > 0 {
                let index = at.index(leaves.len());
                let proof = inclusion_proof(index as u64, size, &tiles).unwrap();
                verify_inclusion(&leaves[index], index as u64, size, &proof, &builder.root()).unwrap();
                let old = old.index(leaves.len()) as u64;
                let proof = consistency_proof(old, size, &tiles).unwrap();
                verify_consistency(old, &root(old, &tiles).unwrap(), size, &builder.root(), &proof).unwrap();
            }
            for (path, bytes) in &files {
                let tile: TileRef = path.parse().unwrap();
                if tile.kind == TileKind::Entries {
                    for (index, held) in (tile.index * TILE_WIDTH..).zip(parse_entries(bytes, tile.width()).unwrap()) {
                        prop_assert_eq!(held, entry(index));
                    }
                }
            }
        }

        #[test]
        fn hostile_paths_and_tiles_do_not_panic(path: String, bytes: Vec<u8>, width in 1_u16..=256) {
            let _ = path.parse::<TileRef>();
            let _ = format!("tile/0/{path}").parse::<TileRef>();
            let _ = parse_hashes(&bytes, width);
            if let Ok(entries) = parse_entries(&bytes, width) {
                prop_assert_eq!(encode_entries(&entries).unwrap(), bytes);
            }
        }
    }
}
