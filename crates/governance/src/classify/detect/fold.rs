//! A text as it reads once what hides its characters is taken away: escapes of JSON and of source code, percent signs, entities of HTML, wide and ornamental
//! forms of letters and digits, characters of no width.
//!
//! One step takes away one layer; the pass asks again, a bounded number of times. Places in what comes out are mapped back exactly.

use wide::u8x16;

use super::bytes::{at, part};

/// A text with a layer of hiding taken away.
#[derive(Debug, Default)]
pub(super) struct Folded {
    pub(super) bytes: Vec<u8>,
    pub(super) map: Map,
}

/// Where the parts of a text came from: pieces, each with its start here and there. A piece that is as long here as there was taken as it stood.
#[derive(Debug, Default)]
pub(super) struct Map {
    pieces: Vec<(u32, u32)>,
    end: (u32, u32),
}

impl Map {
    fn piece(&mut self, here: usize, there: usize) {
        self.pieces.push((narrow(here), narrow(there)));
    }

    /// The place there of the byte at `here`.
    pub(super) fn start(&self, here: usize) -> usize {
        self.place(narrow(here), false)
    }

    /// The place there behind the byte before `here`.
    pub(super) fn end(&self, here: usize) -> usize {
        here.checked_sub(1).map_or(0, |last| self.place(narrow(last), true))
    }

    /// The place here of what stands at `there`, or of what follows where nothing of it is left.
    pub(super) fn here(&self, there: usize) -> usize {
        let there = narrow(there);
        let after = self.pieces.partition_point(|piece| piece.1 <= there);
        let Some(index) = after.checked_sub(1) else { return 0 };
        let (piece, next) = self.span(index);
        let here = if next.0 - piece.0 == next.1 - piece.1 { piece.0 + (there - piece.1) } else { piece.0 };
        usize::try_from(here.min(self.end.0)).unwrap_or(usize::MAX)
    }

    fn span(&self, index: usize) -> ((u32, u32), (u32, u32)) {
        let piece = self.pieces.get(index).copied().unwrap_or_default();
        (piece, self.pieces.get(index + 1).copied().unwrap_or(self.end))
    }

    fn place(&self, here: u32, behind: bool) -> usize {
        let after = self.pieces.partition_point(|piece| piece.0 <= here);
        let Some(index) = after.checked_sub(1) else { return 0 };
        let (piece, next) = self.span(index);
        let there = if next.0 - piece.0 == next.1 - piece.1 {
            piece.1 + (here - piece.0) + u32::from(behind)
        } else if behind {
            next.1
        } else {
            piece.1
        };
        usize::try_from(there.min(self.end.1)).unwrap_or(usize::MAX)
    }
}

fn narrow(place: usize) -> u32 {
    u32::try_from(place).unwrap_or(u32::MAX)
}

/// What stands for something else at a place: how many bytes it takes, and the character meant, if it means one.
type Stands = Option<(usize, Option<char>)>;

/// `text` with a layer taken away, or nothing where there is none.
pub(super) fn fold(text: &[u8]) -> Option<Folded> {
    let mut folded: Option<Folded> = None;
    let mut done = 0;
    let mut from = 0;
    let ascii = text.is_ascii();
    while let Some(place) = next(text, from, ascii) {
        let Some((taken, meant)) = stands(text, place) else {
            from = place + 1;
            // What an unknown escape escapes is not an escape's start.
            if at(text, place) == b'\\' && at(text, from) == b'\\' {
                from += 1;
            }
            continue;
        };
        let folded =
            folded.get_or_insert_with(|| Folded { bytes: Vec::with_capacity(text.len()), map: Map::default() });
        if done < place {
            folded.map.piece(folded.bytes.len(), done);
            append(&mut folded.bytes, text, done, place);
        }
        folded.map.piece(folded.bytes.len(), place);
        match meant {
            Some(meant) if meant.is_ascii() => folded.bytes.push(u8::try_from(meant).unwrap_or(b' ')),
            Some(meant) => folded.bytes.extend_from_slice(meant.encode_utf8(&mut [0; 4]).as_bytes()),
            None => {}
        }
        from = place + taken;
        done = from;
    }
    let mut folded = folded?;
    if done < text.len() {
        folded.map.piece(folded.bytes.len(), done);
        folded.bytes.extend_from_slice(part(text, done, text.len()));
    }
    folded.map.end = (narrow(folded.bytes.len()), narrow(text.len()));
    Some(folded)
}

/// Appends what stands from `start` to `end`: mostly few bytes, which are copied as sixteen.
#[inline]
fn append(bytes: &mut Vec<u8>, text: &[u8], start: usize, end: usize) {
    match text.get(start..).and_then(|rest| rest.first_chunk::<16>()) {
        Some(chunk) if end - start <= 16 => {
            let length = bytes.len() + (end - start);
            bytes.extend_from_slice(chunk);
            bytes.truncate(length);
        }
        _ => bytes.extend_from_slice(part(text, start, end)),
    }
}

/// The next place at or behind `from` where something may stand for something else.
fn next(text: &[u8], from: usize, ascii: bool) -> Option<usize> {
    let rest = text.get(from..)?;
    let found = if ascii {
        // Where there is one, the next is near.
        let near = rest.first_chunk::<16>().map_or(0, |near| {
            let near = u8x16::new(*near);
            let is = |byte: u8| near.simd_eq(u8x16::splat(byte));
            (is(b'\\') | is(b'%') | is(b'&')).to_bitmask()
        });
        if near != 0 { Some(near.trailing_zeros() as usize) } else { memchr::memchr3(b'\\', b'%', b'&', rest) }
    } else {
        rest.iter().position(|byte| {
            matches!(byte, b'\\' | b'%' | b'&' | 0xc2 | 0xcc | 0xcd | 0xd9 | 0xdb | 0xe0..=0xe3 | 0xef | 0xf0)
        })
    };
    found.map(|place| from + place)
}

fn stands(text: &[u8], place: usize) -> Stands {
    match at(text, place) {
        b'\\' => escape(text, place),
        b'%' => percent(text, place),
        b'&' => entity(text, place),
        _ => form(text, place),
    }
}

fn escape(text: &[u8], place: usize) -> Stands {
    let meant = match at(text, place + 1) {
        same @ (b'"' | b'\\' | b'/' | b'\'' | b'`') => char::from(same),
        b'n' => '\n',
        b'r' => '\r',
        b't' => '\t',
        b'b' | b'f' => ' ',
        b'x' => return Some((4, Some(char::from(u8::try_from(hex(text, place + 2, 2)?).ok()?)))),
        b'u' => return unicode(text, place),
        _ => return None,
    };
    Some((2, Some(meant)))
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
        let folded = fold(text.as_bytes()).unwrap_or_else(|| panic!("`{text}` hides something"));
        assert_eq!(String::from_utf8_lossy(&folded.bytes), expected, "{text}");
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
            assert!(fold(text.as_bytes()).is_none(), "{text}");
        }
    }

    #[test]
    fn places_are_mapped_back() {
        let text = r#"x\"ab\u0034c"#;
        let folded = fold(text.as_bytes()).unwrap();
        assert_eq!(folded.bytes, b"x\"ab4c");
        let starts: Vec<_> = (0..6).map(|here| folded.map.start(here)).collect();
        assert_eq!(starts, [0, 1, 3, 4, 5, 11]);
        let ends: Vec<_> = (1..=6).map(|here| folded.map.end(here)).collect();
        assert_eq!(ends, [1, 3, 4, 5, 11, 12]);
        let here: Vec<_> = [0, 1, 2, 3, 4, 5, 7, 11, 12].into_iter().map(|there| folded.map.here(there)).collect();
        assert_eq!(here, [0, 1, 1, 2, 3, 4, 4, 5, 6]);
        let hidden = fold("4\u{200b}1".as_bytes()).unwrap();
        assert_eq!((hidden.map.start(0), hidden.map.end(2)), (0, 5));
    }
}
