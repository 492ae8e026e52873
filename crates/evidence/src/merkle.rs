//! The Merkle tree of RFC 6962 (RFC 9162, section 2.1) with SHA-256: roots, inclusion proofs and consistency proofs.
//!
//! [`Frontier`] is all that a writer must keep to go on: the hashes of at most 64 complete subtrees. Proofs are made from a [`HashSource`], which a reader of
//! tiles implements ([`crate::tile::TileHashes`]), and verified from nothing but roots and the proof itself.
//! Node coordinates: level 0 holds the leaf hashes; node `index` of `level` covers the leaves `[index << level, (index + 1) << level)`.

use sha2::{Digest, Sha256};

pub use crate::leaf::Hash;

/// The hash of a leaf: `SHA-256(0x00 || entry)`.
#[must_use]
pub fn leaf_hash(entry: &[u8]) -> Hash {
    Sha256::new().chain_update([0]).chain_update(entry).finalize().into()
}

/// The hash of an inner node: `SHA-256(0x01 || left || right)`.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    Sha256::new().chain_update([1]).chain_update(left).chain_update(right).finalize().into()
}

/// The root of the tree without leaves: SHA-256 of nothing.
#[must_use]
pub fn empty_root() -> Hash {
    Sha256::digest([]).into()
}

/// Why hashes are not the frontier of a tree.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("a tree of {size} leaves has {want} complete subtrees, not {found}")]
pub struct FrontierError {
    size: u64,
    want: u32,
    found: usize,
}

/// The right edge of a growing tree: the roots of its complete subtrees, largest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    // INVARIANT (frontier): one hash for each set bit of `size`, from the highest bit to the lowest.
    hashes: Vec<Hash>,
}

impl Frontier {
    /// The tree without leaves.
    #[must_use]
    pub const fn new() -> Self {
        Self { size: 0, hashes: Vec::new() }
    }

    /// A tree of `size` leaves from what [`Self::hashes`] gave.
    ///
    /// # Errors
    /// [`FrontierError`] if the number of hashes is not that of a tree of this size.
    pub fn from_parts(size: u64, hashes: Vec<Hash>) -> Result<Self, FrontierError> {
        let want = size.count_ones();
        if usize::try_from(want) != Ok(hashes.len()) {
            return Err(FrontierError { size, want, found: hashes.len() });
        }
        Ok(Self { size, hashes })
    }

    /// Adds the next leaf.
    pub fn push(&mut self, leaf: Hash) {
        self.push_with(leaf, |_, _, _| {});
    }

    /// Adds the next leaf and tells `complete` of every node that it completes, as level, index and hash, the leaf first.
    pub fn push_with(&mut self, leaf: Hash, mut complete: impl FnMut(u8, u64, &Hash)) {
        let (mut hash, mut level, mut index) = (leaf, 0_u8, self.size);
        complete(level, index, &hash);
        while index & 1 == 1 {
            let Some(left) = self.hashes.pop() else { break };
            hash = node_hash(&left, &hash);
            level += 1;
            index >>= 1;
            complete(level, index, &hash);
        }
        self.hashes.push(hash);
        self.size += 1;
    }

    /// The number of leaves.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The root hash of the tree as it is.
    #[must_use]
    pub fn root(&self) -> Hash {
        let mut edge = self.hashes.iter().rev();
        let Some(last) = edge.next() else { return empty_root() };
        edge.fold(*last, |right, left| node_hash(left, &right))
    }

    /// The roots of the complete subtrees, largest first.
    #[must_use]
    pub fn hashes(&self) -> &[Hash] {
        &self.hashes
    }
}

/// Where the hashes of complete subtrees come from.
pub trait HashSource {
    /// The hash of node `index` of `level`; `None` if it is not at hand.
    fn hash(&self, level: u8, index: u64) -> Option<Hash>;
}

/// All leaf hashes of a tree, in order.
impl HashSource for [Hash] {
    fn hash(&self, level: u8, index: u64) -> Option<Hash> {
        if level == 0 {
            return self.get(usize::try_from(index).ok()?).copied();
        }
        // Looks at the last leaf first, so that an incomplete node costs nothing.
        let last = index.checked_add(1)?.checked_mul(1_u64.checked_shl(level.into())?)?.checked_sub(1)?;
        self.get(usize::try_from(last).ok()?)?;
        let left = self.hash(level - 1, index * 2)?;
        Some(node_hash(&left, &self.hash(level - 1, index * 2 + 1)?))
    }
}

/// Why a proof cannot be made.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum ProveError {
    /// There is no such proof.
    #[error("a tree of {size} leaves has no proof for {asked}")]
    OutOfRange {
        /// The leaf or the smaller size asked for.
        asked: u64,
        /// The size of the tree.
        size: u64,
    },
    /// The source does not hold what the proof needs.
    #[error("tree hash {index} of level {level} is missing")]
    Missing {
        /// The node's level.
        level: u8,
        /// The node's index.
        index: u64,
    },
}

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, thiserror::Error, PartialEq, Eq)]
pub enum VerifyProofError {
    /// The sizes or the index cannot go together.
    #[error("the proof is for {asked} in a tree of {size} leaves, which cannot be")]
    OutOfRange {
        /// The leaf or the smaller size.
        asked: u64,
        /// The size of the tree.
        size: u64,
    },
    /// The proof is longer or shorter than any proof for these numbers.
    #[error("the proof has {found} hashes, which is not the length of a proof for these sizes")]
    Length {
        /// The number of hashes in it.
        found: usize,
    },
    /// The proof gives another root.
    #[error("the proof does not lead to the root of the {tree} tree")]
    Root {
        /// `old` or `new` for consistency, `whole` for inclusion.
        tree: &'static str,
    },
}

/// The root of the tree over the first `size` leaves of `source`.
///
/// # Errors
/// [`ProveError::Missing`] if `source` lacks a hash.
pub fn root(size: u64, source: &(impl HashSource + ?Sized)) -> Result<Hash, ProveError> {
    if size == 0 { Ok(empty_root()) } else { subtree(source, 0, size) }
}

/// The proof that leaf `index` is in the tree of `size` leaves (RFC 9162, section 2.1.3.1), from the leaf upwards.
///
/// # Errors
/// [`ProveError`] if there is no such leaf or `source` lacks a hash.
pub fn inclusion_proof(index: u64, size: u64, source: &(impl HashSource + ?Sized)) -> Result<Vec<Hash>, ProveError> {
    if index >= size {
        return Err(ProveError::OutOfRange { asked: index, size });
    }
    let (mut start, mut end, mut proof) = (0, size, Vec::new());
    while end - start > 1 {
        let middle = start + split(end - start);
        if index < middle {
            proof.push(subtree(source, middle, end)?);
            end = middle;
        } else {
            proof.push(subtree(source, start, middle)?);
            start = middle;
        }
    }
    proof.reverse();
    Ok(proof)
}

/// Verifies that `leaf` is the hash of leaf `index` in the tree of `size` leaves with root `root` (RFC 9162, section 2.1.3.2).
///
/// # Errors
/// [`VerifyProofError`] if the proof does not prove it.
pub fn verify_inclusion(
    leaf: &Hash,
    index: u64,
    size: u64,
    proof: &[Hash],
    root: &Hash,
) -> Result<(), VerifyProofError> {
    if index >= size {
        return Err(VerifyProofError::OutOfRange { asked: index, size });
    }
    let length = VerifyProofError::Length { found: proof.len() };
    let (mut node, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return Err(length);
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            climb_to_left_edge(&mut node, &mut last);
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(length);
    }
    if hash == *root { Ok(()) } else { Err(VerifyProofError::Root { tree: "whole" }) }
}

/// The proof that the tree of `new` leaves begins with the tree of `old` leaves (RFC 9162, section 2.1.4.1). Empty where `old` is 0 or `new`.
///
/// # Errors
/// [`ProveError`] if `old` is more than `new` or `source` lacks a hash.
pub fn consistency_proof(old: u64, new: u64, source: &(impl HashSource + ?Sized)) -> Result<Vec<Hash>, ProveError> {
    if old > new {
        return Err(ProveError::OutOfRange { asked: old, size: new });
    }
    if old == 0 || old == new {
        return Ok(Vec::new());
    }
    let (mut start, mut end, mut proof) = (0, new, Vec::new());
    while old != end {
        let middle = start + split(end - start);
        if old <= middle {
            proof.push(subtree(source, middle, end)?);
            end = middle;
        } else {
            proof.push(subtree(source, start, middle)?);
            start = middle;
        }
    }
    // Where the old tree is itself the left-most complete subtree, the verifier has its root already.
    if start != 0 {
        proof.push(subtree(source, start, end)?);
    }
    proof.reverse();
    Ok(proof)
}

/// Verifies that the tree of `new` leaves with root `new_root` begins with the tree of `old` leaves with root `old_root` (RFC 9162, section 2.1.4.2).
///
/// # Errors
/// [`VerifyProofError`] if the proof does not prove it.
pub fn verify_consistency(
    old: u64,
    old_root: &Hash,
    new: u64,
    new_root: &Hash,
    proof: &[Hash],
) -> Result<(), VerifyProofError> {
    let length = VerifyProofError::Length { found: proof.len() };
    let check = |tree, ours: &Hash, theirs: &Hash| {
        if ours == theirs { Ok(()) } else { Err(VerifyProofError::Root { tree }) }
    };
    if old > new {
        return Err(VerifyProofError::OutOfRange { asked: old, size: new });
    }
    if old == 0 || old == new {
        if !proof.is_empty() {
            return Err(length);
        }
        let ours = if old == 0 { empty_root() } else { *new_root };
        return check("old", &ours, old_root);
    }

    let (mut node, mut last) = (old - 1, new - 1);
    while node & 1 == 1 {
        node >>= 1;
        last >>= 1;
    }
    let mut path = proof.iter();
    // At the left edge the old root is the first hash of the path; elsewhere the proof brings it.
    let first = if node == 0 { *old_root } else { *path.next().ok_or(length)? };
    let (mut ours_old, mut ours_new) = (first, first);
    for sibling in path {
        if last == 0 {
            return Err(length);
        }
        if node & 1 == 1 || node == last {
            ours_old = node_hash(sibling, &ours_old);
            ours_new = node_hash(sibling, &ours_new);
            climb_to_left_edge(&mut node, &mut last);
        } else {
            ours_new = node_hash(&ours_new, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    if last != 0 {
        return Err(length);
    }
    check("old", &ours_old, old_root)?;
    check("new", &ours_new, new_root)
}

/// Skips the levels on which the right-most node has no sibling and is passed up as it is.
fn climb_to_left_edge(node: &mut u64, last: &mut u64) {
    while *node & 1 == 0 && *node != 0 {
        *node >>= 1;
        *last >>= 1;
    }
}

/// The largest power of two below `size`, which must be more than 1.
const fn split(size: u64) -> u64 {
    1 << (u64::BITS - 1 - (size - 1).leading_zeros())
}

/// The root over the leaves `[start, end)`: a complete subtree, or the right edge of a tree.
fn subtree(source: &(impl HashSource + ?Sized), start: u64, end: u64) -> Result<Hash, ProveError> {
    let size = end - start;
    if size.is_power_of_two() {
        // At most 63, so it fits.
        let level = size.trailing_zeros() as u8;
        let index = start >> level;
        return source.hash(level, index).ok_or(ProveError::Missing { level, index });
    }
    let middle = start + split(size);
    Ok(node_hash(&subtree(source, start, middle)?, &subtree(source, middle, end)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The eight leaves and roots that Certificate Transparency implementations test with.
    const LEAVES: [&str; 8] =
        ["", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f"];
    const ROOTS: [&str; 9] = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];

    fn h(text: &str) -> Hash {
        hex::decode(text).unwrap().try_into().unwrap()
    }

    fn known_leaves() -> Vec<Hash> {
        LEAVES.iter().map(|leaf| leaf_hash(&hex::decode(leaf).unwrap())).collect()
    }

    fn numbered(n: usize) -> Vec<Hash> {
        (0..n).map(|i| leaf_hash(&i.to_be_bytes())).collect()
    }

    /// MTH as RFC 6962 writes it down.
    fn naive_root(leaves: &[Hash]) -> Hash {
        match leaves {
            [] => empty_root(),
            [leaf] => *leaf,
            _ => {
                let (left, right) = leaves.split_at(naive_split(leaves.len()));
                node_hash(&naive_root(left), &naive_root(right))
            }
        }
    }

    fn naive_split(n: usize) -> usize {
        let mut k = 1;
        while k * 2 < n {
            k *= 2;
        }
        k
    }

    /// PATH as RFC 6962 writes it down.
    fn naive_path(m: usize, leaves: &[Hash]) -> Vec<Hash> {
        if leaves.len() <= 1 {
            return Vec::new();
        }
        let (left, right) = leaves.split_at(naive_split(leaves.len()));
        let (mut path, sibling) = if m < left.len() {
            (naive_path(m, left), naive_root(right))
        } else {
            (naive_path(m - left.len(), right), naive_root(left))
        };
        path.push(sibling);
        path
    }

    /// SUBPROOF as RFC 6962 writes it down.
    fn naive_subproof(m: usize, leaves: &[Hash], known: bool) -> Vec<Hash> {
        if m == leaves.len() {
            return if known { Vec::new() } else { vec![naive_root(leaves)] };
        }
        let (left, right) = leaves.split_at(naive_split(leaves.len()));
        let (mut path, sibling) = if m <= left.len() {
            (naive_subproof(m, left, known), naive_root(right))
        } else {
            (naive_subproof(m - left.len(), right, false), naive_root(left))
        };
        path.push(sibling);
        path
    }

    #[test]
    fn known_leaves_give_the_known_roots() {
        let leaves = known_leaves();
        let mut frontier = Frontier::new();
        for (size, want) in ROOTS.iter().enumerate() {
            assert_eq!(frontier.size(), size as u64);
            assert_eq!(frontier.root(), h(want), "{size}");
            assert_eq!(root(size as u64, leaves.as_slice()).unwrap(), h(want), "{size}");
            assert_eq!(Frontier::from_parts(frontier.size(), frontier.hashes().to_vec()).unwrap(), frontier);
            if let Some(leaf) = leaves.get(size) {
                frontier.push(*leaf);
            }
        }
    }

    #[test]
    fn known_proofs() {
        let leaves = known_leaves();
        let path = [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ]
        .map(h);
        assert_eq!(inclusion_proof(0, 8, leaves.as_slice()).unwrap(), path);
        assert_eq!(consistency_proof(1, 8, leaves.as_slice()).unwrap(), path);
        let path = [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ]
        .map(h);
        assert_eq!(consistency_proof(6, 8, leaves.as_slice()).unwrap(), path);
        assert_eq!(
            consistency_proof(2, 5, leaves.as_slice()).unwrap(),
            [
                h("5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"),
                h("bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b")
            ]
        );
    }

    #[test]
    fn every_small_tree_agrees_with_the_definition() {
        let leaves = numbered(40);
        for size in 0..=leaves.len() {
            let tree = leaves.get(..size).unwrap();
            let whole = naive_root(tree);
            for index in 0..size {
                let proof = inclusion_proof(index as u64, size as u64, leaves.as_slice()).unwrap();
                assert_eq!(proof, naive_path(index, tree));
                verify_inclusion(&tree[index], index as u64, size as u64, &proof, &whole).unwrap();
            }
            for old in 1..=size {
                let proof = consistency_proof(old as u64, size as u64, leaves.as_slice()).unwrap();
                assert_eq!(proof, naive_subproof(old, tree, true), "{old} {size}");
                let old_root = naive_root(tree.get(..old).unwrap());
                verify_consistency(old as u64, &old_root, size as u64, &whole, &proof).unwrap();
            }
        }
    }

    #[test]
    fn proofs_out_of_range_do_not_exist() {
        let leaves = numbered(3);
        assert_eq!(inclusion_proof(3, 3, leaves.as_slice()), Err(ProveError::OutOfRange { asked: 3, size: 3 }));
        assert_eq!(consistency_proof(4, 3, leaves.as_slice()), Err(ProveError::OutOfRange { asked: 4, size: 3 }));
        assert_eq!(consistency_proof(0, 3, leaves.as_slice()), Ok(Vec::new()));
        assert_eq!(inclusion_proof(0, 4, leaves.as_slice()), Err(ProveError::Missing { level: 1, index: 1 }));
        assert!(Frontier::from_parts(3, leaves).is_err());
        let whole = empty_root();
        verify_consistency(0, &whole, 9, &[1; 32], &[]).unwrap();
        assert!(verify_consistency(0, &[1; 32], 9, &[1; 32], &[]).is_err());
        assert!(verify_consistency(9, &[1; 32], 9, &[2; 32], &[]).is_err());
        assert!(verify_inclusion(&whole, u64::MAX, u64::MAX, &[], &whole).is_err());
        assert!(verify_consistency(u64::MAX - 1, &whole, u64::MAX, &whole, &vec![whole; 200]).is_err());
    }

    proptest! {
        #[test]
        fn a_frontier_agrees_with_the_definition(size in 0_usize..700, kept in any::<prop::sample::Index>()) {
            let leaves = numbered(size);
            let (mut frontier, mut nodes) = (Frontier::new(), Vec::new());
            let kept = kept.index(size + 1);
            for (at, leaf) in leaves.iter().enumerate() {
                if at == kept {
                    frontier = Frontier::from_parts(frontier.size(), frontier.hashes().to_vec()).unwrap();
                }
                frontier.push_with(*leaf, |level, index, hash| nodes.push((level, index, *hash)));
            }
            prop_assert_eq!(frontier.root(), naive_root(&leaves));
            // Each complete node is told exactly once.
            let complete: usize = (0..20).map(|level| size >> level).sum();
            prop_assert_eq!(nodes.len(), complete);
            for (level, index, hash) in nodes {
                prop_assert_eq!(leaves.hash(level, index), Some(hash));
            }
        }

        #[test]
        fn an_altered_inclusion_proof_fails(size in 1_u64..300, index in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), bit in 0_u32..256, cut in any::<bool>()) {
            let leaves = numbered(size as usize);
            let index = index.index(size as usize) as u64;
            let whole = naive_root(&leaves);
            let mut proof = inclusion_proof(index, size, leaves.as_slice()).unwrap();
            let leaf = leaves[index as usize];
            for other in (0..size).filter(|other| *other != index) {
                prop_assert!(verify_inclusion(&leaf, other, size, &proof, &whole).is_err());
            }
            let mut longer = proof.clone();
            longer.push(whole);
            prop_assert!(verify_inclusion(&leaf, index, size, &longer, &whole).is_err());
            if !proof.is_empty() {
                let at = at.index(proof.len());
                if cut { proof.remove(at); } else { proof[at][bit as usize / 8] ^= 1 << (bit % 8); }
                prop_assert!(verify_inclusion(&leaf, index, size, &proof, &whole).is_err());
            }
        }

        #[test]
        fn an_altered_consistency_proof_fails(new in 2_u64..300, old in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), bit in 0_u32..256, cut in any::<bool>()) {
            let leaves = numbered(new as usize);
            let old = old.index(new as usize - 1) as u64 + 1;
            let (old_root, new_root) = (naive_root(leaves.get(..old as usize).unwrap()), naive_root(&leaves));
            let mut proof = consistency_proof(old, new, leaves.as_slice()).unwrap();
            verify_consistency(old, &old_root, new, &new_root, &proof).unwrap();
            prop_assert!(verify_consistency(old, &new_root, new, &old_root, &proof).is_err());
            let at = at.index(proof.len());
            if cut { proof.remove(at); } else { proof[at][bit as usize / 8] ^= 1 << (bit % 8); }
            prop_assert!(verify_consistency(old, &old_root, new, &new_root, &proof).is_err());
        }

        #[test]
        fn hostile_proofs_do_not_panic(a: u64, b: u64, proof in prop::collection::vec(any::<[u8; 32]>(), 0..70), hash: [u8; 32]) {
            prop_assert!(verify_inclusion(&hash, a, b, &proof, &hash).is_err() || (a == 0 && b == 1 && proof.is_empty()));
            let _ = verify_consistency(a, &hash, b, &hash, &proof);
        }
    }
}
