//! The part of the log's tree that a bundle holds: that every tile in it leads to the signed root, and the entries by their index.

use std::collections::BTreeMap;

use super::fault::{Fault, Found, Wrong};
use super::{Files, read_file};
use crate::leaf::Leaf;
use crate::limits::{TILE_BYTES_MAX, TILE_WIDTH};
use crate::merkle::{Frontier, Hash, leaf_hash};
use crate::tile::{TileHashes, TileKind, TileRef, parse_entries, parse_hashes, partial_tiles};

/// The tree of one signed checkpoint.
pub(super) struct Tree<'a> {
    files: &'a dyn Files,
    size: u64,
    /// The tile of entries that was read last, and what is in it.
    open: Option<(u64, Vec<Vec<u8>>)>,
}

impl<'a> Tree<'a> {
    /// Checks every tile of the bundle against the root.
    pub(super) fn check(files: &'a dyn Files, names: &[String], size: u64, root: &Hash, found: &mut Found) -> Self {
        let tree = Self { files, size, open: None };
        let mut parts = Vec::new();
        for tile in partial_tiles(size).into_iter().rev() {
            if tile.kind == TileKind::Entries {
                continue;
            }
            match tree.hashes(tile) {
                Ok(hashes) => {
                    let mut part = Frontier::new();
                    hashes.into_iter().for_each(|hash| part.push(hash));
                    parts.extend_from_slice(part.hashes());
                }
                Err(wrong) => found.fault(&tile.path(), None, wrong),
            }
        }
        match Frontier::from_parts(size, parts) {
            Ok(frontier) if frontier.root() == *root => {}
            Ok(_) => found.fault(super::CHECKPOINT, None, Wrong::Root),
            // The tile that is missing was named.
            Err(_) => {}
        }
        let mut above = Above { tree: &tree, held: BTreeMap::new() };
        for name in names.iter().filter(|name| name.starts_with(super::TILES)) {
            above.check(name, found);
        }
        tree
    }

    fn bytes(&self, tile: TileRef) -> Result<Vec<u8>, Wrong> {
        read_file(self.files, &tile.path(), TILE_BYTES_MAX).map_err(Wrong::from)
    }

    fn hashes(&self, tile: TileRef) -> Result<Vec<Hash>, Wrong> {
        Ok(parse_hashes(&self.bytes(tile)?, tile.width())?)
    }

    /// The tile of this kind at `index`, as it is in this tree.
    fn tile(&self, kind: TileKind, index: u64) -> Option<TileRef> {
        TileRef::at_size(kind, index, self.size)
    }

    /// The entry of a record; the tile that is not there or not one where it cannot be had.
    pub(super) fn entry(&mut self, seq: u64) -> Result<&[u8], (String, Wrong)> {
        let index = seq.saturating_sub(1);
        let (at, place) = (index / TILE_WIDTH, index % TILE_WIDTH);
        if self.open.as_ref().is_none_or(|(open, _)| *open != at) {
            let tile = self.tile(TileKind::Entries, at);
            let tile = tile.ok_or_else(|| (super::TILES.to_owned(), Wrong::Beyond { seq, size: self.size }))?;
            let wrong = |wrong| (tile.path(), wrong);
            let bytes = self.bytes(tile).map_err(wrong)?;
            let entries = parse_entries(&bytes, tile.width()).map_err(|error| wrong(error.into()))?;
            self.open = Some((at, entries.into_iter().map(<[u8]>::to_vec).collect()));
        }
        let entries = self.open.as_ref().map(|(_, entries)| entries.as_slice()).unwrap_or_default();
        let entry = usize::try_from(place).ok().and_then(|place| entries.get(place));
        entry.map(Vec::as_slice).ok_or_else(|| (super::TILES.to_owned(), Wrong::Beyond { seq, size: self.size }))
    }

    /// The leaf of a record, which says its number.
    pub(super) fn leaf(&mut self, seq: u64) -> Result<Leaf, (String, Wrong)> {
        let tile = TileRef::at_size(TileKind::Entries, seq.saturating_sub(1) / TILE_WIDTH, self.size);
        let wrong = |wrong| (tile.map_or_else(|| super::TILES.to_owned(), |tile| tile.path()), wrong);
        let entry = self.entry(seq)?;
        let leaf: Leaf = serde_json::from_slice(entry).map_err(|_| wrong(Wrong::NoLeaf))?;
        if leaf.entry().ok().as_deref() != Some(entry) {
            return Err(wrong(Wrong::NoLeaf));
        }
        if leaf.seq != seq {
            return Err(wrong(Wrong::Number { found: leaf.seq }));
        }
        Ok(leaf)
    }

    /// The hashes of the tree, as far as the bundle has them.
    pub(super) fn source(&self) -> TileHashes<impl Fn(TileRef) -> Option<Vec<u8>> + '_> {
        TileHashes::new(self.size, |tile| self.bytes(tile).ok())
    }
}

/// The hash tiles that stand for others, the last one of each level kept.
struct Above<'t, 'a> {
    tree: &'t Tree<'a>,
    held: BTreeMap<u8, (u64, Option<Vec<Hash>>)>,
}

impl Above<'_, '_> {
    /// Checks that one tile is what the tile above it says, or belongs to the right edge, of which the root was made.
    fn check(&mut self, name: &str, found: &mut Found) {
        let tile = match name.parse::<TileRef>() {
            Ok(tile) if self.tree.tile(tile.kind, tile.index) == Some(tile) => tile,
            _ => return found.fault(name, None, Wrong::OtherTile { size: self.tree.size }),
        };
        if let Err(wrong) = self.leads_up(tile, found) {
            found.fault(name, None, wrong);
        }
    }

    fn leads_up(&mut self, tile: TileRef, found: &mut Found) -> Result<(), Wrong> {
        let level = match tile.kind {
            TileKind::Hashes { level } => level,
            TileKind::Entries => return self.entries(tile, found),
        };
        let hashes = self.tree.hashes(tile)?;
        if !tile.is_complete() {
            return Ok(());
        }
        let mut part = Frontier::new();
        hashes.into_iter().for_each(|hash| part.push(hash));
        match self.hash(level + 1, tile.index) {
            Some(hash) if hash == part.root() => Ok(()),
            Some(_) => Err(Wrong::Tile),
            None => Err(Wrong::Loose),
        }
    }

    fn entries(&mut self, tile: TileRef, found: &mut Found) -> Result<(), Wrong> {
        let bytes = self.tree.bytes(tile)?;
        for (index, entry) in (tile.index * TILE_WIDTH..).zip(parse_entries(&bytes, tile.width())?) {
            match self.hash(0, index) {
                Some(hash) if hash == leaf_hash(entry) => {}
                Some(_) => found.push(Fault { file: tile.path(), seq: Some(index + 1), what: Wrong::Entry }),
                None => return Err(Wrong::Loose),
            }
        }
        Ok(())
    }

    /// The hash at `index` among those of a level of tiles.
    fn hash(&mut self, level: u8, index: u64) -> Option<Hash> {
        let (at, place) = (index / TILE_WIDTH, usize::try_from(index % TILE_WIDTH).ok()?);
        let held = self.held.get(&level).filter(|(held, _)| *held == at);
        if held.is_none() {
            let tile = self.tree.tile(TileKind::Hashes { level }, at);
            self.held.insert(level, (at, tile.and_then(|tile| self.tree.hashes(tile).ok())));
        }
        self.held.get(&level)?.1.as_ref()?.get(place).copied()
    }
}
