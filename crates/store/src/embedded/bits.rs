//! Sets of records within one block of the index.

use crate::limits::INDEX_BLOCK_RECORDS;

/// Words of 64 records.
const WORDS: usize = (INDEX_BLOCK_RECORDS / 64) as usize;

/// Bytes of a set that is kept as one bit for each record.
const BITMAP_BYTES: usize = WORDS * 8;

/// Some of the records of a block, by their places in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Bits(Box<[u64; WORDS]>);

impl Bits {
    pub(super) fn none() -> Self {
        Self(Box::new([0; WORDS]))
    }

    /// The places from `low` on and below `high`.
    pub(super) fn between(low: u64, high: u64) -> Self {
        let mut bits = Self::none();
        for (word, start) in bits.0.iter_mut().zip((0_u64..).step_by(64)) {
            let (from, to) = (low.clamp(start, start + 64) - start, high.clamp(start, start + 64) - start);
            *word = below(to) & !below(from);
        }
        bits
    }

    pub(super) fn insert(&mut self, place: u64) {
        if let Some(word) = self.0.get_mut((place / 64) as usize) {
            *word |= 1 << (place % 64);
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.fill(0);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.iter().all(|word| *word == 0)
    }

    pub(super) fn count(&self) -> u64 {
        self.0.iter().map(|word| u64::from(word.count_ones())).sum()
    }

    pub(super) fn keep(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0.iter()).for_each(|(word, other)| *word &= other);
    }

    pub(super) fn add(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0.iter()).for_each(|(word, other)| *word |= other);
    }

    pub(super) fn take_away(&mut self, other: &Self) {
        self.0.iter_mut().zip(other.0.iter()).for_each(|(word, other)| *word &= !other);
    }

    /// The places, in order.
    pub(super) fn places(&self) -> impl DoubleEndedIterator<Item = u64> {
        self.0.iter().enumerate().filter(|(_, word)| **word != 0).flat_map(|(at, word)| {
            (0..64).filter(move |bit| *word >> bit & 1 == 1).map(move |bit| 64 * at as u64 + bit)
        })
    }

    /// Puts into `bytes` how the index keeps it: few places as numbers of two bytes, more as a bitmap. The length says which.
    pub(super) fn write(&self, bytes: &mut Vec<u8>) {
        bytes.clear();
        if self.count() as usize * 2 < BITMAP_BYTES {
            self.places().for_each(|place| bytes.extend((place as u16).to_le_bytes()));
        } else {
            self.0.iter().for_each(|word| bytes.extend(word.to_le_bytes()));
        }
    }

    /// Adds what [`Self::write`] gave. Bytes that it never gives add what they can.
    pub(super) fn add_bytes(&mut self, bytes: &[u8]) {
        if bytes.len() == BITMAP_BYTES {
            for (word, bytes) in self.0.iter_mut().zip(bytes.as_chunks::<8>().0) {
                *word |= u64::from_le_bytes(*bytes);
            }
        } else {
            bytes.as_chunks::<2>().0.iter().for_each(|place| self.insert(u16::from_le_bytes(*place).into()));
        }
    }
}

/// The lowest `count` bits.
const fn below(count: u64) -> u64 {
    if count >= 64 { u64::MAX } else { (1 << count) - 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    fn bits(places: &BTreeSet<u64>) -> Bits {
        let mut bits = Bits::none();
        places.iter().for_each(|place| bits.insert(*place));
        bits
    }

    fn some() -> impl Strategy<Value = BTreeSet<u64>> {
        prop_oneof![
            prop::collection::btree_set(0..INDEX_BLOCK_RECORDS, 0..20),
            prop::collection::btree_set(0..INDEX_BLOCK_RECORDS, 200..400),
            (0..INDEX_BLOCK_RECORDS, 0..INDEX_BLOCK_RECORDS).prop_map(|(low, high)| (low..high).collect()),
        ]
    }

    proptest! {
        #[test]
        fn bits_are_sets(a in some(), b in some(), low in 0..=INDEX_BLOCK_RECORDS, high in 0..=INDEX_BLOCK_RECORDS) {
            let list = |bits: &Bits| bits.places().collect::<BTreeSet<u64>>();
            prop_assert_eq!(&list(&bits(&a)), &a);
            prop_assert_eq!(bits(&a).places().rev().collect::<Vec<_>>(), a.iter().rev().copied().collect::<Vec<_>>());
            prop_assert_eq!(bits(&a).count(), a.len() as u64);
            prop_assert_eq!(bits(&a).is_empty(), a.is_empty());
            let with = |change: fn(&mut Bits, &Bits)| {
                let mut changed = bits(&a);
                change(&mut changed, &bits(&b));
                list(&changed)
            };
            prop_assert_eq!(with(Bits::keep), a.intersection(&b).copied().collect());
            prop_assert_eq!(with(Bits::add), a.union(&b).copied().collect());
            prop_assert_eq!(with(Bits::take_away), a.difference(&b).copied().collect());
            prop_assert_eq!(list(&Bits::between(low, high)), (low..high).collect());
            let (mut again, mut bytes) = (Bits::none(), vec![7]);
            bits(&a).write(&mut bytes);
            again.add_bytes(&bytes);
            prop_assert_eq!(again, bits(&a));
        }
    }
}
