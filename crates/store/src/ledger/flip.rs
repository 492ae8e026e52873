//! Finds the one bit that decay changed, from a CRC-32 that does not match. Pure.
//!
//! A CRC is linear: the difference between the checksum found and the checksum stored depends only on which bits changed. For a single bit that difference is
//! different at every place of anything shorter than 2^29 bytes, so it names the bit. More than one changed bit gives no answer, or (one time in 2^32 for each bit
//! that was tried) a wrong one: the caller checks what it repairs with.

/// One changed bit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Flip {
    /// The byte, from the start of the checksummed bytes, or of the stored checksum.
    pub(crate) at: FlipAt,
    /// The bit within it.
    pub(crate) mask: u8,
}

/// Where a bit changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FlipAt {
    Content(usize),
    Checksum(usize),
}

/// The bit that, changed, explains why `content_bytes` bytes have the checksum `found` and not `stored`.
pub(crate) fn locate(content_bytes: usize, found: u32, stored: u32) -> Option<Flip> {
    let difference = found ^ stored;
    if difference.count_ones() == 1 {
        let bit = difference.trailing_zeros() as usize;
        return Some(Flip { at: FlipAt::Checksum(bit / 8), mask: 1 << (bit % 8) });
    }
    let mut bits: [u32; 8] = std::array::from_fn(|bit| step(1 << bit));
    for at in (0..content_bytes).rev() {
        if let Some(bit) = bits.iter().position(|effect| *effect == difference) {
            return Some(Flip { at: FlipAt::Content(at), mask: 1 << bit });
        }
        bits = bits.map(step);
    }
    None
}

/// What one more byte of zeros makes of a difference (CRC-32 of ISO-HDLC, reflected).
const fn step(mut register: u32) -> u32 {
    let mut bit = 0;
    while bit < 8 {
        let low = register & 1;
        register >>= 1;
        if low == 1 {
            register ^= 0xEDB8_8320;
        }
        bit += 1;
    }
    register
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_single_flipped_bit_is_found(mut content in prop::collection::vec(any::<u8>(), 1..600), at: prop::sample::Index, bit in 0..8_u8) {
            let stored = crc32fast::hash(&content);
            let at = at.index(content.len());
            content[at] ^= 1 << bit;
            let found = locate(content.len(), crc32fast::hash(&content), stored);
            prop_assert_eq!(found, Some(Flip { at: FlipAt::Content(at), mask: 1 << bit }));
        }
    }

    #[test]
    fn a_flip_in_the_checksum_itself_is_found() {
        let stored = crc32fast::hash(b"content");
        let flip = Flip { at: FlipAt::Checksum(2), mask: 0x10 };
        assert_eq!(locate(7, stored, stored ^ 0x0010_0000), Some(flip));
    }
}
