//! Sixty-four bytes at a time as sets of positions, a bit for each byte: what the pass over a text looks at instead of the bytes.

use wide::u8x16;

/// How many bytes one set of masks is about.
pub(super) const BLOCK: usize = 64;

/// Where in a block which bytes stand.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Masks {
    /// ASCII letters and digits.
    pub(super) alnum: u64,
    /// `-`
    pub(super) dash: u64,
    /// ASCII digits.
    pub(super) digit: u64,
    /// `"`
    pub(super) quote: u64,
    /// `:` and `=`, which stand between names and values, `@` and `>`, and what lies between these in ASCII.
    pub(super) sign: u64,
    /// Letters, digits, `_` and `-`: what words, names and tokens are made of.
    pub(super) word: u64,
}

impl Masks {
    /// The masks of the block that starts at `from`; positions behind the end of `text` are in no mask.
    pub(super) fn of(text: &[u8], from: usize) -> Self {
        if let Some(block) = text.get(from..from + BLOCK).and_then(|block| block.first_chunk::<BLOCK>()) {
            return Self::block(block);
        }
        let mut block = [0; BLOCK];
        if let Some(rest) = text.get(from..) {
            for (to, byte) in block.iter_mut().zip(rest) {
                *to = *byte;
            }
        }
        Self::block(&block)
    }

    #[inline]
    fn block(block: &[u8; BLOCK]) -> Self {
        let mut masks = Self::default();
        let (lanes, _) = block.as_chunks::<16>();
        for (lane, bytes) in lanes.iter().enumerate() {
            let bytes = u8x16::new(*bytes);
            let shift = 16 * lane;
            let bits = |set: u8x16| u64::from(set.to_bitmask()) << shift;
            let is = |byte: u8| bytes.simd_eq(u8x16::splat(byte));
            let within = |value: u8x16, first: u8, last: u8| {
                let moved = value - u8x16::splat(first);
                moved.min(u8x16::splat(last - first)).simd_eq(moved)
            };
            let digit = within(bytes, b'0', b'9');
            let alnum = digit | within(bytes | u8x16::splat(0x20), b'a', b'z');
            let dash = is(b'-');
            masks.alnum |= bits(alnum);
            masks.dash |= bits(dash);
            masks.digit |= bits(digit);
            masks.quote |= bits(is(b'"'));
            masks.sign |= bits(within(bytes, b':', b'@'));
            masks.word |= bits(alnum | dash | is(b'_'));
        }
        masks
    }
}

/// The 64 positions from `bit` of the block of `current` on, of which the last are of the `next` block; and the 64 before `bit` of `next`.
#[inline]
pub(super) const fn ahead(current: u64, next: u64, bit: u32) -> u64 {
    current.wrapping_shr(bit) | (next << 1).wrapping_shl(63_u32.wrapping_sub(bit))
}

/// Where in the 64 bytes from `from` on brackets of objects and lists stand.
pub(super) fn brackets(text: &[u8], from: usize) -> u64 {
    // Braces and brackets differ in this bit alone.
    set(text, from, |bytes| {
        let folded = bytes | u8x16::splat(0x20);
        folded.simd_eq(u8x16::splat(b'{')) | folded.simd_eq(u8x16::splat(b'}'))
    })
}

/// Where in the 64 bytes from `from` on capital ASCII letters stand.
pub(super) fn capitals(text: &[u8], from: usize) -> u64 {
    set(text, from, |bytes| {
        let moved = bytes - u8x16::splat(b'A');
        moved.min(u8x16::splat(25)).simd_eq(moved)
    })
}

/// Where in the 64 bytes from `from` on those stand that `is` says.
#[inline]
pub(super) fn set(text: &[u8], from: usize, is: impl Fn(u8x16) -> u8x16) -> u64 {
    let mut rest = [0; BLOCK];
    let block = match text.get(from..).and_then(|text| text.first_chunk::<BLOCK>()) {
        Some(block) => block,
        None => {
            for (to, byte) in rest.iter_mut().zip(text.get(from..).unwrap_or_default()) {
                *to = *byte;
            }
            &rest
        }
    };
    let (lanes, _) = block.as_chunks::<16>();
    let bits = |bytes: &[u8; 16]| u64::from(is(u8x16::new(*bytes)).to_bitmask());
    lanes.iter().enumerate().fold(0, |mask, (lane, bytes)| mask | bits(bytes) << (16 * lane))
}

/// Positions from which on `length` bytes in a row are in the mask; `length` is a power of two.
pub(super) const fn rows(mask: u128, length: u32) -> u128 {
    let mut rows = mask;
    let mut reach = 1;
    while reach < length {
        rows &= rows >> reach;
        reach *= 2;
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_agree_with_a_look_at_each_byte() {
        let text: Vec<u8> = (0..=255).chain(0..100).collect();
        let mut from = 0;
        while from < text.len() {
            let masks = Masks::of(&text, from);
            for at in 0..BLOCK {
                let byte = text.get(from + at).copied().unwrap_or(0);
                let bit = |mask: u64| mask >> at & 1 == 1;
                assert_eq!(bit(masks.alnum), byte.is_ascii_alphanumeric(), "{byte}");
                assert_eq!(bit(masks.dash), byte == b'-', "{byte}");
                assert_eq!(bit(masks.digit), byte.is_ascii_digit(), "{byte}");
                assert_eq!(bit(masks.quote), byte == b'"', "{byte}");
                assert_eq!(bit(masks.sign), matches!(byte, b':'..=b'@'), "{byte}");
                assert_eq!(bit(masks.word), byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'), "{byte}");
            }
            from += BLOCK;
        }
    }

    #[test]
    fn windows_lie_around_their_place() {
        let (one, two) = (0x8123_4567_89ab_cdef_u64, 0xf00f_1234_5678_9abd_u64);
        let both = u128::from(one) | u128::from(two) << 64;
        for bit in 0..64 {
            let expected = u64::try_from(both >> bit & u128::from(u64::MAX)).unwrap();
            assert_eq!(ahead(one, two, bit), expected);
        }
    }

    #[test]
    fn brackets_are_seen() {
        let text: Vec<u8> = (0..=255).collect();
        for from in 0..256 {
            let mask = brackets(&text, from);
            for at in 0..BLOCK {
                let is_one = text.get(from + at).is_some_and(|byte| b"[]{}".contains(byte));
                assert_eq!(mask >> at & 1 == 1, is_one, "{}", from + at);
            }
        }
    }

    #[test]
    fn capitals_are_seen() {
        let text: Vec<u8> = (0..=255).collect();
        for from in 0..256 {
            let mask = capitals(&text, from);
            for at in 0..BLOCK {
                let is_one = text.get(from + at).is_some_and(u8::is_ascii_uppercase);
                assert_eq!(mask >> at & 1 == 1, is_one, "{}", from + at);
            }
        }
    }

    #[test]
    fn rows_start_where_enough_follow() {
        assert_eq!(rows(0b0111_1011, 4), 0b0000_1000);
        assert_eq!(rows(u128::MAX, 16).count_ones(), 113);
    }
}
