//! A text as it reads once what hides its characters is taken away: escapes of JSON and of source code, percent signs, entities of HTML, wide and ornamental
//! forms of letters and digits, characters of no width.
//!
//! One step takes away one layer; the pass asks again, a bounded number of times. Places in what comes out are mapped back exactly.

use multiversion::multiversion;
use wide::u8x16;

use super::bytes::{at, part};
use super::masks::{BLOCK, set};

/// A text with a layer of hiding taken away.
#[derive(Debug)]
pub(super) struct Folded {
    pub(super) map: Map,
    /// Whether another layer may be under it.
    pub(super) may_hide: bool,
    /// Whether the text is ASCII that it was taken from.
    is_ascii: bool,
    bytes: Vec<u8>,
}

impl Folded {
    pub(super) fn bytes(&self) -> &[u8] {
        part(&self.bytes, 0, self.map.length)
    }

    /// The room that it took, for another.
    pub(super) fn into_room(self) -> Room {
        Room {
            bytes: self.bytes,
            blocks: self.map.blocks,
            text_bytes: self.map.text_bytes,
            may_hide: self.may_hide,
            is_ascii: self.is_ascii,
        }
    }
}

/// Room for a text, which is taken again and again.
#[derive(Debug, Default)]
pub(super) struct Room {
    bytes: Vec<u8>,
    blocks: Vec<Taken>,
    /// How long the text was that it was taken for last, and whether that hid more.
    text_bytes: usize,
    may_hide: bool,
    is_ascii: bool,
}

impl Room {
    /// Whether `text` is ASCII, which starts `behind` bytes behind the start of the last one: what both have is not looked at again.
    fn is_ascii(&self, text: &[u8], behind: usize) -> bool {
        let known = if self.is_ascii { self.text_bytes.saturating_sub(behind) } else { 0 };
        part(text, known, text.len()).is_ascii()
    }

    /// Leaves what is known of a text that starts `behind` bytes behind the start of the last one. Gives how long that is, and what is known of the block behind it.
    fn go_on(&mut self, behind: usize) -> Option<(usize, Taken)> {
        // What is near its end may mean another thing when more follows.
        let end = self.text_bytes.checked_sub(STANDS_BYTES_MAX)? / BLOCK;
        let first = behind / BLOCK;
        let (opening, open) = (*self.blocks.get(first)?, *self.blocks.get(end)?);
        // A text that starts in the middle of something reads otherwise.
        if !behind.is_multiple_of(BLOCK) || end <= first || opening.joined & 1 == 1 {
            return None;
        }
        let begun = low(open.joined.trailing_ones());
        let open = Taken { before: 0, kept: open.kept & begun, joined: open.joined & begun };
        let length = self.blocks.get(end)?.before - opening.before + open.kept.count_ones();
        self.blocks.truncate(end);
        self.blocks.drain(..first);
        for block in &mut self.blocks {
            block.before -= opening.before;
        }
        let from = wide(opening.before);
        self.bytes.copy_within(from..from + wide(length), 0);
        Some((wide(length), open))
    }
}

/// More than what stands for one character takes, and what says so.
const STANDS_BYTES_MAX: usize = 32;

/// What was taken of sixty-four bytes of a text, a bit for each.
#[derive(Clone, Copy, Debug, Default)]
struct Taken {
    /// How many bytes were taken before these.
    before: u32,
    /// Where a byte was taken: the one that stands there, or one of what stands there for it.
    kept: u64,
    /// What goes with the byte before it: of what stands for one character, all but its first.
    joined: u64,
}

/// Where the parts of a text came from.
#[derive(Debug, Default)]
pub(super) struct Map {
    blocks: Vec<Taken>,
    /// How many bytes were taken, and of how many.
    length: usize,
    text_bytes: usize,
}

impl Map {
    /// The place there of the byte at `here`.
    pub(super) fn start(&self, here: usize) -> usize {
        self.begin(self.place(here))
    }

    /// The place there behind the byte before `here`.
    pub(super) fn end(&self, here: usize) -> usize {
        let Some(last) = here.checked_sub(1) else { return 0 };
        let mut end = self.place(last) + 1;
        while self.is_joined(end) {
            end += 1;
        }
        end.min(self.text_bytes)
    }

    /// The place here of what stands at `there`, or of what follows where nothing of it is left.
    pub(super) fn here(&self, there: usize) -> usize {
        let there = self.begin(there);
        match self.blocks.get(there / BLOCK) {
            Some(block) => {
                wide(block.before + (block.kept & low((there % BLOCK) as u32)).count_ones()).min(self.length)
            }
            None => self.length,
        }
    }

    /// Where there the byte at `here` was taken.
    fn place(&self, here: usize) -> usize {
        let after = self.blocks.partition_point(|block| wide(block.before) <= here);
        let Some((index, block)) = after.checked_sub(1).and_then(|index| Some((index, self.blocks.get(index)?))) else {
            return self.text_bytes;
        };
        let mut kept = block.kept;
        for _ in wide(block.before)..here {
            kept &= kept.wrapping_sub(1);
        }
        if kept == 0 { self.text_bytes } else { index * BLOCK + kept.trailing_zeros() as usize }
    }

    /// Where what stands at `there` starts.
    fn begin(&self, mut there: usize) -> usize {
        while self.is_joined(there) {
            there -= 1;
        }
        there
    }

    fn is_joined(&self, there: usize) -> bool {
        self.blocks.get(there / BLOCK).is_some_and(|block| block.joined >> (there % BLOCK) & 1 == 1)
    }
}

fn wide(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

/// The lowest `count` bits.
#[inline]
const fn low(count: u32) -> u64 {
    if count < u64::BITS { !(u64::MAX << count) } else { u64::MAX }
}

/// What stands for something else at a place: how many bytes it takes, and the character meant, if it means one.
type Stands = Option<(usize, Option<char>)>;

/// `text` with a layer taken away, or the room where there is none.
pub(super) fn fold(text: &[u8], room: Room) -> Result<Folded, Room> {
    fold_on(text, room, usize::MAX)
}

/// The same of a text that goes on with the one that `room` was taken for last, and starts `behind` bytes behind the start of that: what both have is not read again.
pub(super) fn fold_on(text: &[u8], room: Room, behind: usize) -> Result<Folded, Room> {
    let is_ascii = room.is_ascii(text, behind);
    if next(text, 0, is_ascii).is_none() {
        return Err(room);
    }
    let mut folding = Folding::new(text, room, behind);
    // Where characters are not ASCII, another look may find what this one puts beside them.
    folding.may_hide |= !is_ascii;
    unfold(&mut folding, text, is_ascii);
    folding.end(text, is_ascii)
}

/// Takes away what hides characters, a block at a time.
#[multiversion(targets("x86_64+avx2+bmi1+bmi2+lzcnt+popcnt"))]
fn unfold(folding: &mut Folding, text: &[u8], is_ascii: bool) {
    let mut block = folding.blocks.len() * BLOCK;
    while block < text.len() {
        let signs = signs(text, block);
        if signs != 0 || folding.open.joined != 0 {
            folding.block(text, block, signs);
            block += BLOCK;
        } else {
            let sign = next(text, text.len().min(block + BLOCK), is_ascii).unwrap_or(text.len());
            let end = if sign < text.len() { sign - sign % BLOCK } else { sign };
            folding.plain(text, block, end);
            block = end;
        }
    }
}

/// The next place at or behind `from` where something may stand for something else; where characters are not ASCII, any place before it.
fn next(text: &[u8], from: usize, is_ascii: bool) -> Option<usize> {
    let rest = text.get(from..)?;
    let sign = if is_ascii { memchr::memchr3(b'\\', b'%', b'&', rest)? } else { 0 };
    Some(from + sign)
}

/// What the second character of an escape of two means, or 0.
static SIMPLE: [u8; 256] = simple();

const fn simple() -> [u8; 256] {
    let mut simple = [0; 256];
    let mut slots: &mut [u8] = &mut simple;
    let mut byte = 0_u8;
    while let Some((slot, rest)) = slots.split_first_mut() {
        *slot = match byte {
            b'"' | b'\\' | b'/' | b'\'' | b'`' => byte,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'b' | b'f' => b' ',
            _ => 0,
        };
        slots = rest;
        byte = byte.wrapping_add(1);
    }
    simple
}

/// What is taken away so far.
struct Folding {
    /// With room behind `length`, so that a block can always be written.
    bytes: Vec<u8>,
    blocks: Vec<Taken>,
    length: usize,
    may_hide: bool,
    /// What is known of the next block: what was begun before it.
    open: Taken,
}

impl Folding {
    /// What is taken away from a text so far.
    fn new(text: &[u8], mut room: Room, behind: usize) -> Self {
        let known = room.go_on(behind);
        let Room { mut bytes, mut blocks, may_hide, .. } = room;
        if bytes.len() < text.len() + ROOM {
            bytes.resize(text.len() + ROOM, 0);
        }
        match known {
            Some((length, open)) => Self { bytes, blocks, length, may_hide, open },
            None => {
                blocks.clear();
                blocks.reserve(text.len().div_ceil(BLOCK));
                Self { bytes, blocks, length: 0, may_hide: false, open: Taken::default() }
            }
        }
    }

    /// Takes the text from a block's start to `end` as it stands.
    fn plain(&mut self, text: &[u8], block: usize, end: usize) {
        let taken = part(text, block, end);
        if let Some(room) = self.bytes.get_mut(self.length..self.length + taken.len()) {
            room.copy_from_slice(taken);
        }
        for bytes in taken.chunks(BLOCK) {
            self.blocks.push(Taken { before: self.length as u32, kept: low(bytes.len() as u32), joined: 0 });
            self.length += bytes.len();
        }
    }

    /// Takes the block of `text` at `block` with what its `signs` stand for.
    #[inline(always)]
    fn block(&mut self, text: &[u8], block: usize, signs: u64) {
        let mut last = [0; BLOCK + NEAR];
        let near = match text.get(block..).and_then(|rest| rest.first_chunk::<{ BLOCK + NEAR }>()) {
            Some(near) => near,
            None => {
                last.iter_mut().zip(part(text, block, text.len())).for_each(|(to, byte)| *to = *byte);
                &last
            }
        };
        let Some(room) = self.bytes.get_mut(self.length..).and_then(|rest| rest.first_chunk_mut::<ROOM>()) else {
            return;
        };
        let open = std::mem::take(&mut self.open);
        // Texts are looked at in parts that are shorter than four gigabytes.
        let before = self.length as u32 - open.kept.count_ones();
        let end = BLOCK.min(text.len() - block);
        let begun = open.joined.trailing_ones();
        let (mut kept, mut joined) = (open.kept | low(end as u32) & !low(begun), open.joined);
        // Up to where the block is taken, and how much of that is gone.
        let (mut from, mut gone) = (begun as usize, begun as usize);
        let (mut left, mut escapes) = (signs & !low(begun), 0_u64);
        while left != 0 {
            let bit = left.trailing_zeros();
            let place = bit as usize;
            left &= left - 1;
            if place < from {
                continue;
            }
            let meant = match near.get(place % BLOCK..).and_then(|rest| rest.first_chunk::<2>()) {
                Some([b'\\', second]) => SIMPLE.get(usize::from(*second)).copied().unwrap_or(0),
                _ => 0,
            };
            if meant != 0 {
                copy(near, room, from, place, gone);
                if let Some(to) = room.get_mut(place.wrapping_sub(gone) % BLOCK) {
                    *to = meant;
                }
                escapes |= 1 << bit;
                from = place + 2;
                gone += 1;
                continue;
            }
            let Some((taken, meant)) = stands(text, block + place) else {
                self.may_hide = true;
                continue;
            };
            copy(near, room, from, place, gone);
            // Either may be the start of something that was not there before.
            self.may_hide |= meant.is_none_or(|meant| !meant.is_ascii() || matches!(meant, '\\' | '%' | '&'));
            let mut character = [0; 4];
            let meant = meant.map_or(&[][..], |meant| meant.encode_utf8(&mut character).as_bytes());
            let put = room.iter_mut().skip(place - gone).zip(meant);
            put.for_each(|(to, byte)| *to = *byte);
            // What stands for a character is never shorter than that.
            let span = |count: usize| u128::from(low(count as u32)) << bit;
            let (all, those) = (span(taken), span(meant.len()));
            let behind_first = all & !(1 << bit);
            kept = kept & !(all as u64) | those as u64;
            joined |= behind_first as u64;
            self.open.kept |= (those >> BLOCK) as u64;
            self.open.joined |= (behind_first >> BLOCK) as u64;
            from = place + taken;
            gone += taken - meant.len();
        }
        if from < end {
            copy(near, room, from, end, gone);
        }
        self.length += from.max(end) - gone;
        self.may_hide |= signs & signs >> 1 != 0 && near.windows(2).any(|two| two == b"\\\\");
        self.may_hide |= signs >> (BLOCK - 1) == 1 && near.get(BLOCK) == Some(&b'\\');
        self.open.joined |= escapes >> (BLOCK - 1);
        self.blocks.push(Taken { before, kept: kept & !(escapes << 1), joined: joined | escapes << 1 });
    }

    fn end(self, text: &[u8], is_ascii: bool) -> Result<Folded, Room> {
        let Self { bytes, blocks, length, may_hide, .. } = self;
        if blocks.iter().all(|block| block.joined == 0) {
            return Err(Room { bytes, blocks, ..Room::default() });
        }
        let map = Map { blocks, length, text_bytes: text.len() };
        Ok(Folded { map, may_hide, is_ascii, bytes })
    }
}

/// Copies what stands `from` a place of a block on `to` another to where it belongs, `gone` bytes before, sixteen at a time. What is behind it is overwritten.
#[inline(always)]
fn copy(near: &[u8; BLOCK + NEAR], room: &mut [u8; ROOM], mut from: usize, to: usize, gone: usize) {
    loop {
        let there = near.get(from % BLOCK..).and_then(|rest| rest.first_chunk::<NEAR>());
        let here = room.get_mut(from.wrapping_sub(gone) % BLOCK..).and_then(|rest| rest.first_chunk_mut::<NEAR>());
        if let (Some(there), Some(here)) = (there, here) {
            *here = *there;
        }
        from += NEAR;
        if from >= to {
            break;
        }
    }
}

/// How many bytes a block takes at most, with what is begun in it and what is overwritten behind it.
const ROOM: usize = BLOCK + 2 * NEAR;

/// How many bytes are copied at once.
const NEAR: usize = 16;

/// Where in the 64 bytes from `from` on something may stand for something else.
#[inline(always)]
fn signs(text: &[u8], from: usize) -> u64 {
    set(text, from, |bytes| {
        let is = |byte: u8| bytes.simd_eq(u8x16::splat(byte));
        let ascii = is(b'\\') | is(b'%') | is(b'&');
        if bytes.to_bitmask() == 0 {
            return ascii;
        }
        let within = |first: u8, last: u8| {
            let moved = bytes - u8x16::splat(first);
            moved.min(u8x16::splat(last - first)).simd_eq(moved)
        };
        let two = is(0xc2) | within(0xcc, 0xcd) | is(0xd9) | is(0xdb);
        ascii | two | within(0xe0, 0xe3) | within(0xef, 0xf0)
    })
}

fn stands(text: &[u8], place: usize) -> Stands {
    match at(text, place) {
        b'\\' => escape(text, place),
        b'%' => percent(text, place),
        b'&' => entity(text, place),
        _ => form(text, place),
    }
}

/// An escape of more than two characters.
fn escape(text: &[u8], place: usize) -> Stands {
    match at(text, place + 1) {
        b'x' => Some((4, Some(char::from(u8::try_from(hex(text, place + 2, 2)?).ok()?)))),
        b'u' => unicode(text, place),
        _ => None,
    }
}

fn unicode(text: &[u8], place: usize) -> Stands {
    let unit = hex(text, place + 2, 4)?;
    if (0xd800..0xdc00).contains(&unit) && part(text, place + 6, place + 8) == b"\\u" {
        let low = hex(text, place + 8, 4)?;
        if (0xdc00..0xe000).contains(&low) {
            return Some((12, plain(char::from_u32(0x1_0000 + ((unit - 0xd800) << 10) + (low - 0xdc00))?)));
        }
    }
    Some((6, plain(char::from_u32(unit).unwrap_or(char::REPLACEMENT_CHARACTER))))
}

/// Consecutive percent-encoded bytes are one character at most.
fn percent(text: &[u8], place: usize) -> Stands {
    let first = u8::try_from(hex(text, place + 1, 2)?).ok()?;
    if first < 0x80 {
        return Some((3, Some(char::from(first))));
    }
    let length = 1 + usize::from(first >= 0xc0) + usize::from(first >= 0xe0) + usize::from(first >= 0xf0);
    let mut bytes = [0; 4];
    for (index, byte) in bytes.iter_mut().enumerate().take(length) {
        if at(text, place + 3 * index) != b'%' {
            return None;
        }
        *byte = u8::try_from(hex(text, place + 3 * index + 1, 2)?).ok()?;
    }
    let meant = str::from_utf8(part(&bytes, 0, length)).ok()?.chars().next()?;
    Some((3 * length, plain(meant)))
}

fn entity(text: &[u8], place: usize) -> Stands {
    let name = part(text, place + 1, place + 11);
    let end = name.iter().position(|byte| *byte == b';')?;
    let name = part(name, 0, end);
    let meant = match name {
        b"amp" => '&',
        b"lt" => '<',
        b"gt" => '>',
        b"quot" => '"',
        b"apos" => '\'',
        b"nbsp" => ' ',
        b"commat" => '@',
        b"colon" => ':',
        b"equals" => '=',
        b"period" => '.',
        b"hyphen" | b"dash" => '-',
        b"shy" | b"zwj" | b"zwnj" => return Some((end + 2, None)),
        _ => {
            let digits = name.strip_prefix(b"#")?;
            let number = match digits.strip_prefix(b"x").or_else(|| digits.strip_prefix(b"X")) {
                Some(digits) => u32::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?,
                None => str::from_utf8(digits).ok()?.parse().ok()?,
            };
            return Some((end + 2, plain(char::from_u32(number)?)));
        }
    };
    Some((end + 2, Some(meant)))
}

/// A character that is a form of another, or that nobody sees.
fn form(text: &[u8], place: usize) -> Stands {
    let length = match at(text, place) {
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf7 => 4,
        _ => return None,
    };
    let character = str::from_utf8(part(text, place, place + length)).ok()?.chars().next()?;
    let meant = plain(character);
    (meant != Some(character)).then_some((length, meant))
}

/// `character` without its form, by the compatibility mappings of Unicode to ASCII; nothing if it has no width.
fn plain(character: char) -> Option<char> {
    let code = u32::from(character);
    let ascii = match code {
        0x00ad
        | 0x034f
        | 0x061c
        | 0x180e
        | 0x200b..=0x200f
        | 0x202a..=0x202e
        | 0x2060..=0x2064
        | 0x2066..=0x206f
        | 0xfe00..=0xfe0f
        | 0xfeff
        | 0xe_0000..=0xe_01ef => return None,
        0x00a0 | 0x2000..=0x200a | 0x202f | 0x205f | 0x3000 => 0x20,
        0x2010..=0x2015 | 0x2212 | 0xfe58 | 0xfe63 => 0x2d,
        0x0660..=0x0669 => code - 0x0660 + 0x30,
        0x06f0..=0x06f9 => code - 0x06f0 + 0x30,
        0x0966..=0x096f => code - 0x0966 + 0x30,
        0x2460..=0x2468 => code - 0x2460 + 0x31,
        0x24b6..=0x24cf => code - 0x24b6 + 0x41,
        0x24d0..=0x24e9 => code - 0x24d0 + 0x61,
        0xff01..=0xff5e => code - 0xff01 + 0x21,
        // Letters of mathematics: thirteen alphabets of capitals and small letters, then five rows of digits.
        0x1_d400..=0x1_d6a3 => match (code - 0x1_d400) % 52 {
            capital @ 0..26 => capital + 0x41,
            small => small - 26 + 0x61,
        },
        0x1_d7ce..=0x1_d7ff => (code - 0x1_d7ce) % 10 + 0x30,
        _ => return Some(character),
    };
    char::from_u32(ascii)
}

fn hex(text: &[u8], from: usize, digits: usize) -> Option<u32> {
    let digits = text.get(from..from + digits)?;
    digits.iter().try_fold(0, |sum, digit| Some(sum << 4 | char::from(*digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let folded = fold(text.as_bytes(), Room::default()).unwrap_or_else(|_| panic!("`{text}` hides something"));
        assert_eq!(String::from_utf8_lossy(folded.bytes()), expected, "{text}");
    }

    #[test]
    fn a_layer_is_taken_away() {
        check(r#"{\"iban\":\"DE89\"}"#, r#"{"iban":"DE89"}"#);
        check(r#"{\\\"iban\\\":\\\"DE89\\\"}"#, r#"{\"iban\":\"DE89\"}"#);
        check(r"a\u0034\u00e9\ud83d\ude00b\x41\/", "a4é😀bA/");
        check("4%34%C3%A9%20", "44é ");
        check("&lt;a&gt;&#52;&#x35;&quot;", "<a>45\"");
        check("４１１１ ｇｈｐ＿", "4111 ghp_");
        check("4\u{200b}1\u{ad}1\u{feff}1", "4111");
        check("٤١۴", "414");
        check("𝟒𝟙𝐀𝗓", "41Az");
        check("a\u{a0}b\u{2011}c", "a b-c");
    }

    #[test]
    fn nothing_is_taken_from_what_hides_nothing() {
        for text in ["", "plain", r"\d+\.\w", "100% of it & more", "Größe 中文 😀", "%zz &nosuch; \\", "naïve"] {
            assert!(fold(text.as_bytes(), Room::default()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_text_that_goes_on_reads_like_one_of_its_own() {
        const PIECES: &[&str] = &[
            "\\\"", "\\\\", "\\", "\\u00", "41", "%4", "1", "&amp", ";", "&#x41;", "plain", "ｇ", "é", "\u{200b}",
            "\\n", "\\q",
        ];
        let mut seed = 5_u64;
        let mut next = |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            usize::try_from(seed >> 33).unwrap() % below
        };
        for _ in 0..300 {
            let mut text = Vec::new();
            for _ in 0..next(400) {
                text.extend_from_slice(PIECES[next(PIECES.len())].as_bytes());
                text.extend(std::iter::repeat_n(b'x', next(12)));
            }
            let (mut room, mut last, mut start) = (Room::default(), usize::MAX, 0);
            while start < text.len() {
                let window = part(&text, start, start + 300);
                let alone = fold(window, Room::default());
                let on = fold_on(window, room, if last == usize::MAX { last } else { start - last });
                assert_eq!(alone.is_ok(), on.is_ok());
                (room, last) = match (alone, on) {
                    (Ok(alone), Ok(on)) => {
                        assert_eq!(alone.bytes(), on.bytes());
                        for place in 0..=alone.bytes().len() {
                            assert_eq!(alone.map.start(place), on.map.start(place));
                            assert_eq!(alone.map.end(place), on.map.end(place));
                        }
                        for place in 0..=window.len() {
                            assert_eq!(alone.map.here(place), on.map.here(place));
                        }
                        assert!(on.may_hide || !alone.may_hide);
                        (on.into_room(), start)
                    }
                    (_, Err(room)) => (room, usize::MAX),
                    (_, Ok(_)) => unreachable!(),
                };
                start += if next(2) == 0 { BLOCK * (1 + next(4)) } else { 1 + next(250) };
            }
        }
    }

    #[test]
    fn places_are_mapped_back() {
        let text = r#"x\"ab\u0034c"#;
        let folded = fold(text.as_bytes(), Room::default()).unwrap();
        assert_eq!(folded.bytes(), b"x\"ab4c");
        let starts: Vec<_> = (0..6).map(|here| folded.map.start(here)).collect();
        assert_eq!(starts, [0, 1, 3, 4, 5, 11]);
        let ends: Vec<_> = (1..=6).map(|here| folded.map.end(here)).collect();
        assert_eq!(ends, [1, 3, 4, 5, 11, 12]);
        let here: Vec<_> = [0, 1, 2, 3, 4, 5, 7, 11, 12].into_iter().map(|there| folded.map.here(there)).collect();
        assert_eq!(here, [0, 1, 1, 2, 3, 4, 4, 5, 6]);
        let hidden = fold("4\u{200b}1".as_bytes(), Room::default()).unwrap();
        assert_eq!((hidden.map.start(0), hidden.map.end(2)), (0, 5));
    }
}
