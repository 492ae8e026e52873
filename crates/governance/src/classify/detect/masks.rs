//! Sixty-four bytes at a time as sets of positions, a bit for each byte: what the pass over a text looks at instead of the bytes.

use multiversion::{multiversion, target::match_target};
use wide::u8x16;

/// How many bytes one set of masks is about.
pub(super) const BLOCK: usize = 64;

/// How many bytes are looked at at once.
pub(super) const LANE: usize = 16;

/// Where in a block which bytes stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
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
    /// The masks of the blocks from `from`, where one starts, to `to`, of the one before those and of the one behind. They are put into `masks`.
    pub(super) fn around(text: &[u8], from: usize, to: usize, mut masks: Vec<Self>) -> Vec<Self> {
        masks.clear();
        masks.push(from.checked_sub(BLOCK).map_or_else(Self::default, |before| Self::of(text, before)));
        let blocks = to.saturating_sub(from).div_ceil(BLOCK) + 1;
        let (whole, _) = text.get(from..).unwrap_or_default().as_chunks::<BLOCK>();
        let whole = whole.get(..blocks).unwrap_or(whole);
        extend(&mut masks, whole);
        let rest = from + whole.len() * BLOCK;
        masks.extend((whole.len()..blocks).zip((rest..).step_by(BLOCK)).map(|(_, from)| Self::of(text, from)));
        masks
    }

    /// The masks of the block that starts at `from`; positions behind the end of `text` are in no mask.
    #[inline(always)]
    pub(super) fn of(text: &[u8], from: usize) -> Self {
        match text.get(from..).and_then(|text| text.first_chunk::<BLOCK>()) {
            Some(block) => Self::block(block),
            None => Self::last(text, from),
        }
    }

    /// The masks of a block that is not whole.
    #[cold]
    fn last(text: &[u8], from: usize) -> Self {
        let mut block = [0; BLOCK];
        if let Some(rest) = text.get(from..) {
            for (to, byte) in block.iter_mut().zip(rest) {
                *to = *byte;
            }
        }
        Self::block(&block)
    }

    #[inline(always)]
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

/// Adds the masks of `blocks`: with vectors of 64 or 32 bytes where the processor has them, which the program finds out when it runs.
#[multiversion(targets("x86_64+avx512f+avx512bw", "x86_64+avx2"))]
fn extend(masks: &mut Vec<Masks>, blocks: &[[u8; BLOCK]]) {
    match_target! {
        "x86_64+avx512f+avx512bw" => {
            use core::arch::x86_64::{
                _mm512_cmpeq_epi8_mask, _mm512_cmple_epu8_mask, _mm512_or_si512, _mm512_set_epi64, _mm512_set1_epi8,
                _mm512_sub_epi8,
            };

            masks.extend(blocks.iter().map(|block| {
                let ([a, b, c, d, e, f, g, h], _) = block.as_chunks::<8>() else { return Masks::default() };
                let [a, b, c, d, e, f, g, h] = [a, b, c, d, e, f, g, h].map(|eight| i64::from_le_bytes(*eight));
                let bytes = _mm512_set_epi64(h, g, f, e, d, c, b, a);
                let all = |byte: u8| _mm512_set1_epi8(byte.cast_signed());
                let is = |byte: u8| _mm512_cmpeq_epi8_mask(bytes, all(byte));
                let within = |value, first: u8, last: u8| {
                    _mm512_cmple_epu8_mask(_mm512_sub_epi8(value, all(first)), all(last - first))
                };
                let digit = within(bytes, b'0', b'9');
                let alnum = digit | within(_mm512_or_si512(bytes, all(0x20)), b'a', b'z');
                let dash = is(b'-');
                let sign = within(bytes, b':', b'@');
                Masks { alnum, dash, digit, quote: is(b'"'), sign, word: alnum | dash | is(b'_') }
            }));
        },
        "x86_64+avx2" => {
            use core::arch::x86_64::{
                __m256i, _mm256_cmpeq_epi8, _mm256_min_epu8, _mm256_movemask_epi8, _mm256_or_si256, _mm256_set_epi64x,
                _mm256_set1_epi8, _mm256_sub_epi8,
            };

            let half = |bytes: &[u8; BLOCK / 2]| {
                let ([one, two, three, four], _) = bytes.as_chunks::<8>() else { return [0; 6] };
                let [one, two, three, four] = [one, two, three, four].map(|eight| i64::from_le_bytes(*eight));
                let bytes = _mm256_set_epi64x(four, three, two, one);
                let all = |byte: u8| _mm256_set1_epi8(byte.cast_signed());
                let is = |byte: u8| _mm256_cmpeq_epi8(bytes, all(byte));
                let within = |value: __m256i, first: u8, last: u8| {
                    let moved = _mm256_sub_epi8(value, all(first));
                    _mm256_cmpeq_epi8(_mm256_min_epu8(moved, all(last - first)), moved)
                };
                let digit = within(bytes, b'0', b'9');
                let alnum = _mm256_or_si256(digit, within(_mm256_or_si256(bytes, all(0x20)), b'a', b'z'));
                let dash = is(b'-');
                let word = _mm256_or_si256(_mm256_or_si256(alnum, dash), is(b'_'));
                [alnum, dash, digit, is(b'"'), within(bytes, b':', b'@'), word]
                    .map(|set| u64::from(_mm256_movemask_epi8(set).cast_unsigned()))
            };
            masks.extend(blocks.iter().map(|block| {
                let ([first, second], _) = block.as_chunks::<{ BLOCK / 2 }>() else { return Masks::default() };
                let [alnum, dash, digit, quote, sign, word] = half(first);
                let [alnum_behind, dash_behind, digit_behind, quote_behind, sign_behind, word_behind] = half(second);
                Masks {
                    alnum: alnum | alnum_behind << 32,
                    dash: dash | dash_behind << 32,
                    digit: digit | digit_behind << 32,
                    quote: quote | quote_behind << 32,
                    sign: sign | sign_behind << 32,
                    word: word | word_behind << 32,
                }
            }));
        },
        _ => masks.extend(blocks.iter().map(Masks::block)),
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

/// Where in the 64 bytes from `from` on hexadecimal digits stand.
pub(super) fn hexadecimal(text: &[u8], from: usize) -> u64 {
    set(text, from, |bytes| {
        let within = |value: u8x16, first: u8, last: u8| {
            let moved = value - u8x16::splat(first);
            moved.min(u8x16::splat(last - first)).simd_eq(moved)
        };
        within(bytes, b'0', b'9') | within(bytes | u8x16::splat(0x20), b'a', b'f')
    })
}

/// Where in the 64 bytes from `from` on lines end.
pub(super) fn newlines(text: &[u8], from: usize) -> u64 {
    set(text, from, |bytes| bytes.simd_eq(u8x16::splat(b'\n')))
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

/// Whether sixteen bytes in a row may be in the mask of which the first is of the block of `current`: eight of them are then at a multiple of eight.
#[inline]
pub(super) const fn may_have_row(current: u64, next: u64) -> bool {
    let two = current & current >> 1;
    let four = two & two >> 2;
    let eight = four & four >> 4 & 0x0101_0101_0101_0101;
    eight != 0 || current >> (BLOCK - 1) == 1 && next & 0xff == 0xff
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
    fn masks_of_many_blocks_are_those_of_each() {
        let text: Vec<u8> = (0..=255).cycle().take(1_000).collect();
        for (from, to) in [(0, 1_000), (64, 700), (640, 1_000), (960, 1_000), (0, 1)] {
            let masks = Masks::around(&text, from, to, Vec::new());
            let before = from.checked_sub(BLOCK).map_or_else(Masks::default, |before| Masks::of(&text, before));
            let blocks = (from..to + BLOCK).step_by(BLOCK).map(|from| Masks::of(&text, from));
            let expected: Vec<Masks> = std::iter::once(before).chain(blocks).collect();
            assert_eq!(masks, expected, "{from}..{to}");
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
    fn hexadecimal_digits_and_ends_of_lines_are_seen() {
        let text: Vec<u8> = (0..=255).collect();
        for from in 0..256 {
            let (digits, ends) = (hexadecimal(&text, from), newlines(&text, from));
            for at in 0..BLOCK {
                let byte = text.get(from + at).copied().unwrap_or(0);
                assert_eq!(digits >> at & 1 == 1, byte.is_ascii_hexdigit(), "{}", from + at);
                assert_eq!(ends >> at & 1 == 1, byte == b'\n', "{}", from + at);
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
    fn no_row_is_passed_over() {
        for start in 0..BLOCK {
            for length in [16, 17, 40] {
                let row = ((1_u128 << length) - 1) << start;
                assert!(may_have_row(row as u64, (row >> BLOCK) as u64), "{start} {length}");
            }
        }
        assert!(!may_have_row(0x7ffe, u64::MAX));
    }

    #[test]
    fn rows_start_where_enough_follow() {
        assert_eq!(rows(0b0111_1011, 4), 0b0000_1000);
        assert_eq!(rows(u128::MAX, 16).count_ones(), 113);
    }
}
