//! A sieve for literals: where one of them may stand, told for 32 or 64 bytes at once by sixteen tables of sixteen bytes.
//!
//! Of each literal, four bytes are taken and put into one of sixteen buckets. The tables say of each half of a byte in which buckets it may be the first, second, third or
//! fourth of them; a place passes where all eight halves agree on a bucket. What passes is compared: one place of two hundred, mostly.

use multiversion::{multiversion, target::match_target};

use super::commonness;

/// How many bytes of a literal are looked at.
const WINDOW: usize = 4;

/// How many buckets there are: a bit each in two bytes.
const BUCKETS: usize = 16;

/// How many bits the hash of the first three bytes of a window has.
const HASH_BITS: u32 = 10;

/// Which halves of bytes may stand at one place of a window.
#[derive(Clone, Copy, Debug, Default)]
struct Halves {
    high: u16,
    low: u16,
}

impl Halves {
    const ALL: Self = Self { high: u16::MAX, low: u16::MAX };

    /// With those of `byte`, whatever its case.
    const fn and(self, byte: u8) -> Self {
        let high = byte >> 4;
        Self { high: self.high | 1 << (high | 2) | 1 << (high & !2), low: self.low | 1 << (byte & 0xf) }
    }

    /// How common those bytes are in which both halves stand.
    fn commonness(self, rows: &Rows) -> u64 {
        let [first, second] = self.low.to_le_bytes();
        let rows = rows.iter().filter(|(high, _)| self.high >> high & 1 == 1);
        let of = |row: &[u64; 256], low: u8| row.get(usize::from(low)).copied().unwrap_or(0);
        rows.map(|(_, [one, other])| of(one, first) + of(other, second)).sum()
    }
}

/// High halves of small letters, digits and signs; and how common the bytes are that have them, for each set of eight low halves.
type Rows = [(u8, [[u64; 256]; 2]); 4];

fn rows() -> Box<Rows> {
    let mut rows = Box::new([2, 3, 6, 7].map(|high| (high, [[0; 256]; 2])));
    for (high, halves) in &mut *rows {
        for (half, row) in (0..).zip(halves) {
            for (set, sum) in (0..=u8::MAX).zip(row) {
                let lows = (0..8).filter(|low| set >> low & 1 == 1);
                *sum = lows.map(|low| commonness(&(*high << 4 | half << 3 | low))).sum();
            }
        }
    }
    rows
}

/// What is looked at of a literal.
#[derive(Clone, Copy, Debug)]
struct Window {
    /// As a number, in which capital and small letters are the same.
    bytes: u32,
    /// Which of its bits count: a literal may be shorter.
    counts: u32,
    /// The number of its literal, and how far into that it is.
    index: usize,
    before: usize,
}

/// Some literals, and where they may stand.
#[derive(Debug)]
pub(super) struct Sieve {
    /// For the low and the high half of each of four bytes: of the first eight buckets, then of the others.
    tables: [[u8; 16]; 4 * WINDOW],
    /// By their hash.
    windows: Vec<Window>,
    /// By hash: the number of the first that has it.
    slots: Box<[u8; 1 << HASH_BITS]>,
}

impl Sieve {
    /// For these literals, in lower case.
    pub(super) fn new<'l>(literals: impl Iterator<Item = &'l [u8]>) -> Self {
        let mut literals: Vec<(usize, &[u8])> = literals.enumerate().collect();
        // The shortest have the least choice.
        literals.sort_by_key(|(_, literal)| literal.len());
        let rows = rows();
        let mut buckets = [[Halves::default(); WINDOW]; BUCKETS];
        let mut windows = Vec::new();
        for (index, literal) in literals {
            let choices = literal.windows(WINDOW.min(literal.len()).max(1)).enumerate();
            let best = choices
                .flat_map(|(before, window)| buckets.iter().enumerate().map(move |bucket| (before, window, bucket)))
                .min_by_key(|(_, window, (_, halves))| cost(&with(halves, window), &rows) - cost(halves, &rows));
            let Some((before, window, (bucket, halves))) = best else { continue };
            let halves = with(halves, window);
            windows.push(Window { bytes: number(window), counts: counted(window.len()), index, before });
            if let Some(known) = buckets.get_mut(bucket) {
                *known = halves;
            }
        }
        windows.sort_by_key(|window| hash(window.bytes));
        let mut slots = Box::new([u8::MAX; 1 << HASH_BITS]);
        for (number, window) in windows.iter().enumerate().rev() {
            if let Some(slot) = slots.get_mut(hash(window.bytes)) {
                *slot = u8::try_from(number).unwrap_or(u8::MAX - 1);
            }
        }
        Self { tables: tables(&buckets), windows, slots }
    }

    /// Calls `may_start` with the places of `text` where literals may start, and with their numbers; says whether this processor can tell.
    pub(super) fn sift(&self, text: &[u8], mut may_start: impl FnMut(usize, usize)) -> bool {
        let mut places = Vec::new();
        if !sift(&self.tables, text, &mut places) {
            return false;
        }
        for place in places {
            let mut bytes = [0; WINDOW];
            bytes.iter_mut().zip(text.get(place..).unwrap_or_default()).for_each(|(to, byte)| *to = *byte);
            let bytes = number(&bytes);
            let first = self.slots.get(hash(bytes)).copied().map_or(usize::MAX, usize::from);
            let windows = self.windows.get(first..).unwrap_or_default().iter();
            for window in windows.take_while(|window| hash(window.bytes) == hash(bytes)) {
                if (window.bytes ^ bytes) & window.counts == 0
                    && let Some(start) = place.checked_sub(window.before)
                {
                    may_start(start, window.index);
                }
            }
        }
        true
    }
}

/// How often one passes by chance that is in these.
fn cost(halves: &[Halves; WINDOW], rows: &Rows) -> u64 {
    halves.iter().map(|halves| halves.commonness(rows)).product()
}

/// These and those of `window`, behind whose end anything may stand.
fn with(halves: &[Halves; WINDOW], window: &[u8]) -> [Halves; WINDOW] {
    let mut both = *halves;
    for (place, halves) in both.iter_mut().enumerate() {
        *halves = window.get(place).map_or(Halves::ALL, |byte| halves.and(*byte));
    }
    both
}

fn tables(buckets: &[[Halves; WINDOW]; BUCKETS]) -> [[u8; 16]; 4 * WINDOW] {
    let mut tables = [[0; 16]; 4 * WINDOW];
    let (of_places, _) = tables.as_chunks_mut::<4>();
    for (place, of_place) in of_places.iter_mut().enumerate() {
        for (number, bucket) in buckets.iter().enumerate() {
            let halves = bucket.get(place).copied().unwrap_or_default();
            let [low, high, other_low, other_high] = &mut *of_place;
            let (low, high) = if number < 8 { (low, high) } else { (other_low, other_high) };
            for (half, (low, high)) in low.iter_mut().zip(high).enumerate() {
                *low |= u8::from(halves.low >> half & 1 == 1) << (number % 8);
                *high |= u8::from(halves.high >> half & 1 == 1) << (number % 8);
            }
        }
    }
    tables
}

/// Up to four bytes as a number. Capital and small letters are the same in it, and so are some signs.
fn number(window: &[u8]) -> u32 {
    window.iter().rev().fold(0, |number, byte| number << 8 | u32::from(byte | 0x20))
}

/// The bits of so many bytes.
fn counted(bytes: usize) -> u32 {
    u32::MAX >> (8 * WINDOW.saturating_sub(bytes))
}

/// The hash of a window, whatever its last byte is.
const fn hash(window: u32) -> usize {
    (window.wrapping_mul(0x1b3c_6d00) >> (u32::BITS - HASH_BITS)) as usize
}

/// Puts the places of `text` that pass into `places`. Says whether this processor can tell.
#[multiversion(targets("x86_64+avx512f+avx512bw", "x86_64+avx2"))]
fn sift(tables: &[[u8; 16]; 4 * WINDOW], text: &[u8], places: &mut Vec<usize>) -> bool {
    match_target! {
        "x86_64+avx512f+avx512bw" => {
            use core::arch::x86_64::{
                __m512i, _mm512_and_si512, _mm512_or_si512, _mm512_set1_epi8, _mm512_set_epi64, _mm512_setzero_si512,
                _mm512_shuffle_epi8, _mm512_srli_epi16, _mm512_test_epi8_mask,
            };

            let tables = tables.map(|table| {
                let ([one, two], _) = table.as_chunks::<8>() else { return _mm512_setzero_si512() };
                let [one, two] = [one, two].map(|eight| i64::from_le_bytes(*eight));
                _mm512_set_epi64(two, one, two, one, two, one, two, one)
            });
            let ([first, second, third, fourth], _) = tables.as_chunks::<4>() else { return false };
            let half = _mm512_set1_epi8(0xf);
            // In which buckets bytes may be at one place of a window.
            let buckets = |bytes: &[u8; 64], tables: &[__m512i; 4]| {
                let ([a, b, c, d, e, f, g, h], _) = bytes.as_chunks::<8>() else { return [half; 2] };
                let [a, b, c, d, e, f, g, h] = [a, b, c, d, e, f, g, h].map(|eight| i64::from_le_bytes(*eight));
                let bytes = _mm512_set_epi64(h, g, f, e, d, c, b, a);
                let low = _mm512_and_si512(bytes, half);
                let high = _mm512_and_si512(_mm512_srli_epi16::<4>(bytes), half);
                let [low_table, high_table, other_low, other_high] = *tables;
                let within = |low_table, high_table| {
                    _mm512_and_si512(_mm512_shuffle_epi8(low_table, low), _mm512_shuffle_epi8(high_table, high))
                };
                [within(low_table, high_table), within(other_low, other_high)]
            };
            let both = |[one, other]: [__m512i; 2], [two, more]: [__m512i; 2]| {
                [_mm512_and_si512(one, two), _mm512_and_si512(other, more)]
            };
            let passing = |near: &[u8; 64 + WINDOW - 1]| {
                let [one, two, three, four] = shifted(near);
                let [one, other] = both(
                    both(buckets(one, first), buckets(two, second)),
                    both(buckets(three, third), buckets(four, fourth)),
                );
                let any = _mm512_or_si512(one, other);
                _mm512_test_epi8_mask(any, any)
            };
            each(text, passing, places);
            true
        },
        "x86_64+avx2" => {
            use core::arch::x86_64::{
                __m256i, _mm256_and_si256, _mm256_cmpeq_epi8, _mm256_movemask_epi8, _mm256_or_si256,
                _mm256_set1_epi8, _mm256_set_epi64x, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_srli_epi16,
            };

            let tables = tables.map(|table| {
                let ([one, two], _) = table.as_chunks::<8>() else { return _mm256_setzero_si256() };
                let [one, two] = [one, two].map(|eight| i64::from_le_bytes(*eight));
                _mm256_set_epi64x(two, one, two, one)
            });
            let ([first, second, third, fourth], _) = tables.as_chunks::<4>() else { return false };
            let half = _mm256_set1_epi8(0xf);
            let buckets = |bytes: &[u8; 32], tables: &[__m256i; 4]| {
                let ([a, b, c, d], _) = bytes.as_chunks::<8>() else { return [half; 2] };
                let [a, b, c, d] = [a, b, c, d].map(|eight| i64::from_le_bytes(*eight));
                let bytes = _mm256_set_epi64x(d, c, b, a);
                let low = _mm256_and_si256(bytes, half);
                let high = _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), half);
                let [low_table, high_table, other_low, other_high] = *tables;
                let within = |low_table, high_table| {
                    _mm256_and_si256(_mm256_shuffle_epi8(low_table, low), _mm256_shuffle_epi8(high_table, high))
                };
                [within(low_table, high_table), within(other_low, other_high)]
            };
            let both = |[one, other]: [__m256i; 2], [two, more]: [__m256i; 2]| {
                [_mm256_and_si256(one, two), _mm256_and_si256(other, more)]
            };
            let passing = |near: &[u8; 32 + WINDOW - 1]| {
                let [one, two, three, four] = shifted(near);
                let [one, other] = both(
                    both(buckets(one, first), buckets(two, second)),
                    both(buckets(three, third), buckets(four, fourth)),
                );
                let none = _mm256_cmpeq_epi8(_mm256_or_si256(one, other), _mm256_setzero_si256());
                u64::from(!_mm256_movemask_epi8(none).cast_unsigned())
            };
            each(text, passing, places);
            true
        },
        _ => {
            let _ = (tables, text, places);
            false
        },
    }
}

/// The bytes at four places in a row, each with those behind it.
#[inline(always)]
fn shifted<const WIDTH: usize, const NEAR: usize>(near: &[u8; NEAR]) -> [&[u8; WIDTH]; WINDOW] {
    const { assert!(NEAR == WIDTH + WINDOW - 1, "each has its bytes") }
    std::array::from_fn(|place| near.get(place..).and_then(|rest| rest.first_chunk()).unwrap_or(&[0; WIDTH]))
}

/// Puts the places of `text` that pass into `places`, as `passing` says it of those of a block.
#[inline(always)]
fn each<const NEAR: usize>(text: &[u8], passing: impl Fn(&[u8; NEAR]) -> u64, places: &mut Vec<usize>) {
    let mut from = 0;
    while from < text.len() {
        let mut passed = match text.get(from..).and_then(|rest| rest.first_chunk()) {
            Some(near) => passing(near),
            None => {
                let mut near = [0; NEAR];
                near.iter_mut().zip(text.get(from..).unwrap_or_default()).for_each(|(to, byte)| *to = *byte);
                passing(&near)
            }
        };
        while passed != 0 {
            places.push(from + passed.trailing_zeros() as usize);
            passed &= passed.wrapping_sub(1);
        }
        from += NEAR + 1 - WINDOW;
    }
}
