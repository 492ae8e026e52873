//! A tile's path has one spelling, and what reads as its content is written again as the same bytes. Input: a path, a newline, the content.
#![no_main]

use evidence::tile::{TileError, TileKind, TileRef, encode_entries, encode_hashes, parse_entries, parse_hashes};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let path_bytes = input.iter().position(|byte| *byte == b'\n').unwrap_or(input.len());
    let (path, content) = input.split_at(path_bytes);
    let content = content.get(1..).unwrap_or_default();
    let Ok(path) = std::str::from_utf8(path) else { return };
    let Ok(tile) = path.parse::<TileRef>() else { return };
    assert_eq!(tile.path(), path);
    assert!((1..=256).contains(&tile.width()));
    assert_eq!(tile.is_complete(), tile == TileRef::complete(tile.kind, tile.index));
    if let Some(size) = smallest_tree(&tile) {
        assert_eq!(TileRef::at_size(tile.kind, tile.index, size), Some(tile));
        assert_ne!(TileRef::at_size(tile.kind, tile.index, size - 1), Some(tile));
    }
    match tile.kind {
        TileKind::Entries => match parse_entries(content, tile.width()) {
            Ok(entries) => {
                assert_eq!(entries.len(), usize::from(tile.width()));
                assert_eq!(encode_entries(&entries).expect("what was read fits"), content);
            }
            Err(TileError::BundleShort { at, .. } | TileError::BundleLong { at, .. }) => assert!(at <= content.len()),
            Err(error) => panic!("{error}"),
        },
        TileKind::Hashes { .. } => {
            if let Ok(hashes) = parse_hashes(content, tile.width()) {
                assert_eq!(hashes.len(), usize::from(tile.width()));
                assert_eq!(encode_hashes(&hashes), content);
            }
        }
    }
});

/// The smallest number of leaves that gives `tile`, where 64 bits hold it.
fn smallest_tree(tile: &TileRef) -> Option<u64> {
    let held = tile.index.checked_mul(256)?.checked_add(tile.width().into())?;
    match tile.kind {
        TileKind::Entries => Some(held),
        TileKind::Hashes { level } => held.checked_mul(256_u64.checked_pow(level.into())?),
    }
}
