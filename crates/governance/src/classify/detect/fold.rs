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
    length: usize,
}

impl Folded {
    pub(super) fn bytes(&self) -> &[u8] {
        part(&self.bytes, 0, self.length)
    }

    /// The room that it took, for another.
    pub(super) fn into_room(self) -> Room {
        Room {
            bytes: self.bytes,
            pieces: self.map.pieces,
            text_bytes: self.map.end.1,
            may_hide: self.may_hide,
            is_ascii: self.is_ascii,
        }
    }
}

/// Room for a text, which is taken again and again.
#[derive(Debug, Default)]
pub(super) struct Room {
    bytes: Vec<u8>,
    pieces: Vec<Piece>,
    /// How long the text was that it was taken for last, and whether that hid more.
    text_bytes: u32,
    may_hide: bool,
    is_ascii: bool,
}

impl Room {
    /// Whether it takes more than is kept for another text: few are that dense with escapes.
    pub(super) const fn is_large(&self) -> bool {
        self.pieces.capacity() > PIECES_KEPT
    }

    /// Whether `text` is ASCII, which starts `behind` bytes behind the start of the last one: what both have is not looked at again.
    fn is_ascii(&self, text: &[u8], behind: usize) -> bool {
        let last = wide(self.text_bytes, u32::MAX);
        let known = if self.is_ascii { last.saturating_sub(behind) } else { 0 };
        part(text, known, text.len()).is_ascii()
    }

    /// Leaves what is known of a text that starts `behind` bytes behind the start of the last one. Gives the piece up to which that is, which is not there any more, and up
    /// to where the text was read.
    fn go_on(&mut self, behind: usize) -> Option<(Piece, usize)> {
        let start = u32::try_from(behind).ok()?;
        // What is near its end may mean another thing when more follows.
        let end = self.text_bytes.checked_sub(STANDS_BYTES_MAX)?;
        let first = self.pieces.partition_point(|piece| piece.there <= start).checked_sub(1)?;
        let last = self.pieces.partition_point(|piece| piece.there <= end).checked_sub(1)?;
        let taken = self.pieces.get(first).copied()?;
        let skipped = start - taken.there;
        // A text that starts in the middle of something reads otherwise.
        if skipped > taken.length || last <= first {
            return None;
        }
        self.pieces.truncate(last + 1);
        self.pieces.drain(..first);
        let here = taken.here + skipped;
        for piece in &mut self.pieces {
            (piece.here, piece.there) = (piece.here.saturating_sub(here), piece.there.saturating_sub(start));
        }
        let opening = self.pieces.first_mut()?;
        opening.length -= skipped;
        let last = self.pieces.pop()?;
        let known = (last.there + last.length).min(end - start);
        self.bytes.copy_within(wide(here, u32::MAX)..wide(here + last.here, u32::MAX), 0);
        Some((last, wide(known, u32::MAX)))
    }
}

/// The most pieces that room is kept for: one in seven bytes of a stretch with what is in view around it, of 12 bytes each.
const PIECES_KEPT: usize = 4096;

/// More than what stands for one character takes, and what says so.
const STANDS_BYTES_MAX: u32 = 32;

/// Where the parts of a text came from: what was taken as it stood, piece by piece. Between two pieces is what stands for something else.
#[derive(Debug, Default)]
pub(super) struct Map {
    pieces: Vec<Piece>,
    end: (u32, u32),
}

/// What was taken as it stood: where it starts here and there, and how long it is.
#[derive(Clone, Copy, Debug, Default)]
struct Piece {
    here: u32,
    there: u32,
    length: u32,
}

impl Map {
    /// The place there of the byte at `here`.
    pub(super) fn start(&self, here: usize) -> usize {
        let here = narrow(here);
        let (piece, _) = self.span(self.pieces.partition_point(|piece| piece.here <= here));
        wide(piece.there + (here - piece.here).min(piece.length), self.end.1)
    }

    /// The place there behind the byte before `here`.
    pub(super) fn end(&self, here: usize) -> usize {
        let Some(last) = here.checked_sub(1) else { return 0 };
        let last = narrow(last);
        let (piece, next) = self.span(self.pieces.partition_point(|piece| piece.here <= last));
        let length = last - piece.here;
        wide(if length < piece.length { piece.there + length + 1 } else { next }, self.end.1)
    }

    /// The place here of what stands at `there`, or of what follows where nothing of it is left.
    pub(super) fn here(&self, there: usize) -> usize {
        let there = narrow(there);
        let (piece, _) = self.span(self.pieces.partition_point(|piece| piece.there <= there));
        wide(piece.here + (there - piece.there).min(piece.length), self.end.0)
    }

    /// The piece before the one at `after`, and where there the next one starts. The first starts where the text does.
    fn span(&self, after: usize) -> (Piece, u32) {
        let piece = after.checked_sub(1).and_then(|index| self.pieces.get(index)).copied().unwrap_or_default();
        (piece, self.pieces.get(after).map_or(self.end.1, |next| next.there))
    }
}

fn wide(place: u32, end: u32) -> usize {
    usize::try_from(place.min(end)).unwrap_or(usize::MAX)
}

fn narrow(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
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
    let Some(first) = next(text, 0, is_ascii) else { return Err(room) };
    let (mut folding, known) = Folding::new(text, room, behind);
    // Where characters are not ASCII, another look may find what this one puts beside them.
    folding.may_hide |= !is_ascii;
    let first = if known == 0 { first } else { next(text, known, is_ascii).unwrap_or(text.len()) };
    unfold(&mut folding, text, known, first, is_ascii);
    folding.end(text, is_ascii)
}

/// Takes away what hides characters from the place `block` on, what starts before `from` aside.
#[multiversion(targets("x86_64+avx2+bmi1+bmi2+lzcnt+popcnt"))]
fn unfold(folding: &mut Folding, text: &[u8], from: usize, block: usize, is_ascii: bool) {
    let (mut from, mut block) = (from, block);
    while block < text.len() {
        let mut left = signs(text, block);
        let is_sparse = left & left.wrapping_sub(1) == 0;
        while left != 0 {
            let place = block + left.trailing_zeros() as usize;
            left &= left - 1;
            if place < from {
                continue;
            }
            let (meant, second) = match text.get(place..).and_then(|rest| rest.first_chunk::<2>()) {
                Some([b'\\', second]) => (SIMPLE.get(usize::from(*second)).copied().unwrap_or(0), *second),
                _ => (0, 0),
            };
            if meant != 0 {
                folding.simple(text, place, meant);
                folding.may_hide |= second == b'\\';
                from = place + 2;
                continue;
            }
            from = folding.unusual(text, place);
        }
        block += BLOCK;
        if is_sparse {
            let Some(sign) = next(text, block, is_ascii) else { break };
            block = sign;
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
    /// With room behind `length`, so that sixteen bytes can always be written.
    bytes: Vec<u8>,
    length: usize,
    may_hide: bool,
    pieces: Vec<Piece>,
    /// Where what follows starts in the text.
    done: usize,
}

impl Folding {
    /// What is taken away from a text so far, and up to where.
    fn new(text: &[u8], mut room: Room, behind: usize) -> (Self, usize) {
        let may_hide = room.may_hide;
        let shared = room.go_on(behind);
        let Room { mut bytes, mut pieces, .. } = room;
        if bytes.len() < text.len() + NEAR {
            bytes.resize(text.len() + NEAR, 0);
        }
        let Some((last, known)) = shared else {
            pieces.clear();
            return (Self { bytes, length: 0, may_hide: false, pieces, done: 0 }, 0);
        };
        (Self { bytes, length: wide(last.here, u32::MAX), may_hide, pieces, done: wide(last.there, u32::MAX) }, known)
    }

    /// Takes the text up to `place` as it stands, and `meant` for the escape of two characters there: mostly few bytes, which are copied as sixteen.
    #[inline(always)]
    fn simple(&mut self, text: &[u8], place: usize, meant: u8) {
        let length = place.saturating_sub(self.done);
        let near = text.get(self.done..).and_then(|rest| rest.first_chunk::<NEAR>());
        let room = self.bytes.get_mut(self.length..).and_then(|rest| rest.first_chunk_mut::<{ NEAR + 1 }>());
        let (Some(near), Some(room), 0..=NEAR) = (near, room, length) else {
            self.take(text, place);
            return self.put(meant, place + 2);
        };
        let [first @ .., _] = room;
        *first = *near;
        if let Some(to) = room.get_mut(length) {
            *to = meant;
        }
        // Texts are looked at in parts that are shorter than four gigabytes.
        self.pieces.push(Piece { here: self.length as u32, there: self.done as u32, length: length as u32 });
        self.length += length + 1;
        self.done = place + 2;
    }

    /// Takes the text up to `end` as it stands.
    #[inline(never)]
    fn take(&mut self, text: &[u8], end: usize) {
        let length = end.saturating_sub(self.done);
        if let Some(room) = self.bytes.get_mut(self.length..self.length + length) {
            room.copy_from_slice(part(text, self.done, end));
        }
        self.pieces.push(Piece { here: self.length as u32, there: self.done as u32, length: length as u32 });
        self.length += length;
    }

    /// Puts what stands there for what ends at `done`.
    fn put(&mut self, meant: u8, done: usize) {
        if let Some(to) = self.bytes.get_mut(self.length) {
            *to = meant;
        }
        self.length += 1;
        self.done = done;
    }

    /// Takes away what may stand for something else at `place` and is no escape of two characters. Gives the place from which on the next one may be.
    #[inline(never)]
    fn unusual(&mut self, text: &[u8], place: usize) -> usize {
        let Some((taken, meant)) = stands(text, place) else {
            self.may_hide = true;
            // What an unknown escape escapes is not an escape's start.
            let is_escaped = at(text, place) == b'\\' && at(text, place + 1) == b'\\';
            return place + 1 + usize::from(is_escaped);
        };
        let done = place + taken;
        self.take(text, place);
        self.done = done;
        // Either may be the start of something that was not there before.
        self.may_hide |= meant.is_none_or(|meant| !meant.is_ascii() || matches!(meant, '\\' | '%' | '&'));
        let mut room = [0; 4];
        if let Some(meant) = meant {
            meant.encode_utf8(&mut room).bytes().for_each(|byte| self.put(byte, done));
        }
        done
    }

    fn end(mut self, text: &[u8], is_ascii: bool) -> Result<Folded, Room> {
        if self.pieces.is_empty() {
            return Err(Room { bytes: self.bytes, ..Room::default() });
        }
        self.take(text, text.len());
        let end = (narrow(self.length), narrow(text.len()));
        let map = Map { pieces: self.pieces, end };
        Ok(Folded { map, may_hide: self.may_hide, is_ascii, bytes: self.bytes, length: self.length })
    }
}

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
                start += 1 + next(250);
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
