//! Tokens that their makers mark: a prefix, an alphabet, a length.
//!
//! The notation of a body, parts apart by spaces: a letter for the alphabet and a count (`a36`), a range (`t20-64`) or a least (`s40+`); `~` and text that stands
//! there as it is. Alphabets: `d` digits, `h` lower hexadecimal, `H` hexadecimal, `l` lower letters and digits, `u` upper letters and digits, `a` letters and
//! digits, `w` with `_`, `t` with `_` and `-`, `e` with `=`, `_` and `-`, `p` with `=`, `.`, `_` and `-`, `q` with `%`, `_` and `-`, `b` with `+` and `/`, `s` with all of `+/=_-`.

use super::super::judge::{Class, Judged, Kind};
use super::check;
use super::table::TABLE;

/// What a token proves beyond its shape.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Proof {
    /// Letters and digits of base 32, as those of AWS are.
    Base32,
    /// Its last six characters are a check sum.
    Crc,
    /// It has at least four digits.
    Digits,
    /// Its first part decodes to the header of a web token.
    Jwt,
    /// None.
    None,
    /// It decodes to the start of a private key.
    Pem,
}

/// A token's shape.
#[derive(Debug)]
pub(super) struct Shape {
    body: &'static str,
    /// The first two bytes of the prefix, as a number that sorts as they do.
    first: u16,
    kind: Kind,
    prefix: &'static str,
    proof: Proof,
    score: u8,
}

/// A shape that speaks for itself.
pub(super) const fn row(name: &'static str, prefix: &'static str, body: &'static str) -> Shape {
    let first = match prefix.as_bytes() {
        [one, two, ..] => u16::from_be_bytes([*one, *two]),
        _ => 0,
    };
    Shape { body, first, kind: Kind { class: Class::Secret, name }, prefix, proof: Proof::None, score: 90 }
}

impl Shape {
    /// With a proof.
    pub(super) const fn proved(self, proof: Proof) -> Self {
        Self { proof, ..self }
    }

    /// One that much else has: it needs a name or a word beside it.
    pub(super) const fn weak(self) -> Self {
        Self { score: 40, ..self }
    }
}

/// The best token of the value: the surest, and of those the longest.
pub(super) fn judge(value: &str) -> Option<Judged> {
    let mut best: Option<Judged> = None;
    let mut before = b' ';
    let mut reached = 0;
    for (start, byte) in value.bytes().enumerate() {
        let fresh = !before.is_ascii_alphanumeric();
        before = byte;
        if !fresh || start < reached || !byte.is_ascii() {
            continue;
        }
        let Some(rest) = value.get(start..) else { continue };
        let found = at(rest).into_iter().chain(unmarked(rest));
        for (kind, length, score) in found {
            if best.is_none_or(|known| (score, length) > (known.score, known.end - known.start)) {
                best = Some(Judged { end: start + length, kind, score, start });
            }
            if score >= 90 {
                reached = start + length;
            }
        }
    }
    best
}

/// Whether the value may hold one of the shapes: whether a group of letters and digits in it starts like one that is marked there, or is as long as one that is marked
/// elsewhere.
pub(super) fn may_be_marked(value: &str) -> bool {
    let bytes = value.as_bytes();
    let mut groups = bytes.split(|byte| !byte.is_ascii_alphanumeric());
    let mut at = 0;
    groups.any(|group| {
        let start = at;
        at += group.len() + 1;
        let Some([one, two, ..]) = bytes.get(start..) else { return false };
        if group.is_empty() {
            return *one == b'$';
        }
        is_first(u16::from_be_bytes([*one, *two])) && at_prefix(bytes, start)
            || matches!(group.len(), 6 | 14 | 32 | 40 | 84)
            || matches!(*one, b'M' | b'N' | b'O') && value.contains('.')
            || one.is_ascii_digit() && (group.len() <= 3 && value.len() > 64 || group.len() >= 7 && value.len() > 40)
    }) || value.contains("Q~")
}

fn at_prefix(bytes: &[u8], start: usize) -> bool {
    let Some(text @ [one, two, ..]) = bytes.get(start..) else { return false };
    let first = u16::from_be_bytes([*one, *two]);
    let from = TABLE.partition_point(|shape| shape.first < first);
    let shapes = TABLE.get(from..).unwrap_or_default().iter().take_while(|shape| shape.first == first);
    shapes.into_iter().any(|shape| text.starts_with(shape.prefix.as_bytes()))
}

type Match = (&'static Kind, usize, u8);

/// The best of the table's shapes at the start of the text.
fn at(text: &str) -> Option<Match> {
    let first = match text.as_bytes() {
        [one, two, ..] => u16::from_be_bytes([*one, *two]),
        _ => return None,
    };
    if !is_first(first) {
        return None;
    }
    let from = TABLE.partition_point(|shape| shape.first < first);
    let mut best: Option<Match> = None;
    for shape in TABLE.get(from..)?.iter().take_while(|shape| shape.first == first) {
        let Some(body) = text.strip_prefix(shape.prefix) else { continue };
        let Some(length) = extent(body, shape.body) else { continue };
        let Some(token) = body.get(..length) else { continue };
        let Some(score) = weigh(shape, token) else { continue };
        let length = shape.prefix.len() + length;
        if best.is_none_or(|(_, known, sure)| (score, length) > (sure, known)) {
            best = Some((&shape.kind, length, score));
        }
    }
    best
}

/// Which two bytes a prefix of the table starts with, a bit for each pair.
static FIRSTS: [u64; 1024] = firsts();

const fn firsts() -> [u64; 1024] {
    let mut firsts = [0; 1024];
    let mut shapes = TABLE;
    while let Some((shape, rest)) = shapes.split_first() {
        let (_, words) = firsts.split_at_mut((shape.first >> 6) as usize);
        if let Some((word, _)) = words.split_first_mut() {
            *word |= 1 << (shape.first & 63);
        }
        shapes = rest;
    }
    firsts
}

fn is_first(pair: u16) -> bool {
    FIRSTS.get(usize::from(pair >> 6)).is_some_and(|word| word >> (pair & 63) & 1 == 1)
}

fn weigh(shape: &Shape, body: &str) -> Option<u8> {
    match shape.proof {
        Proof::Crc if check::crc62(body) => return Some(99),
        Proof::Jwt => return joined(shape.prefix, body, check::token_header).then_some(97),
        Proof::Pem => return pem(shape.prefix, body).then_some(97),
        Proof::Digits if body.bytes().filter(u8::is_ascii_digit).count() < 4 => return None,
        _ => {}
    }
    if dull(body) {
        return None;
    }
    Some(match shape.proof {
        Proof::Base32 if body.bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'2'..=b'7')) => 95,
        Proof::Base32 => 80,
        _ => shape.score,
    })
}

/// Whether what a maker shows in place of a token stands there: one character over and over, or words that say so.
pub(super) fn dull(body: &str) -> bool {
    if body.starts_with("00010203") || body.ends_with("EXAMPLE") || body.ends_with("EXAMPLEKEY") || body.contains("...")
    {
        return true;
    }
    let mut seen = 0u128;
    let (mut last, mut run, mut longest, mut length) = (0, 0usize, 0usize, 0usize);
    for byte in body.bytes().filter(u8::is_ascii_alphanumeric) {
        let byte = byte.to_ascii_lowercase();
        seen |= 1 << (byte & 0x7F);
        run = if byte == last { run + 1 } else { 1 };
        last = byte;
        longest = longest.max(run);
        length += 1;
    }
    length >= 8 && (seen.count_ones() <= 3 || longest >= 8 && longest * 4 > length || last == b'x' && longest >= 5)
}

fn joined(prefix: &str, body: &str, proves: impl Fn(&str) -> bool) -> bool {
    let mut header = String::with_capacity(128);
    header.push_str(prefix);
    header.extend(body.chars().take(124).take_while(|one| *one != '.'));
    proves(&header)
}

fn pem(prefix: &str, body: &str) -> bool {
    joined(prefix, body, |text| {
        check::base64_start(text)
            .is_some_and(|(start, filled)| check::contains(start.get(..filled).unwrap_or(&[]), b"PRIVATE KEY"))
    })
}

/// Shapes that are marked elsewhere than at their start.
fn unmarked(text: &str) -> Option<Match> {
    macro_rules! kind {
        ($name:literal) => {
            &Kind { class: Class::Secret, name: $name }
        };
    }
    let bytes = text.as_bytes();
    let fits = |body: &str| extent(text, body).filter(|length| text.get(..*length).is_some_and(|token| !dull(token)));
    match bytes {
        [_, _, _, b'0'..=b'9', b'Q', b'~', ..] => {
            let rest = text.get(6..)?;
            let tail = rest.bytes().take_while(|byte| byte.is_ascii_alphanumeric() || b"_~.-".contains(byte)).count();
            let head = text.get(..3)?.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_~.-".contains(&byte));
            (head && (31..=34).contains(&tail)).then_some((kind!("azure_client_secret"), 6 + tail, 90))
        }
        [b'M' | b'N' | b'O', ..] if let Some(length) = fits("t23-28 ~. t6 ~. t27-38") => {
            Some((kind!("discord_bot_token"), length, 90))
        }
        [b'$', b'2', ..] => None,
        _ => {
            let run = bytes.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count();
            match (run, bytes.get(run..run + 4)) {
                (14, Some(b".atl")) => {
                    fits("a14 ~.atlasv1. t60-70").map(|length| (kind!("terraform_cloud_token"), length, 95))
                }
                (32, Some([b'-', b'u', b's', b'0'..=b'9'])) => {
                    fits("h32 ~-us d1-2").map(|length| (kind!("mailchimp_key"), length, 90))
                }
                (32, Some([b'-', ..])) => fits("h32 ~- h8 ~- h8").map(|length| (kind!("mailgun_key"), length, 70)),
                (40, _) if text.get(36..40) == Some("NRAL") => {
                    fits("a40").map(|length| (kind!("newrelic_key"), length, 90))
                }
                (6, Some([b'_', ..])) => fits("a6 ~_ a29 ~_mmk").map(|length| (kind!("maxmind_key"), length, 92)),
                (84, _)
                    if text.get(..84).is_some_and(|token| token.contains("AZDO"))
                        && text.get(76..80) == Some("AZDO") =>
                {
                    Some((kind!("azure_devops_token"), 84, 92))
                }
                (1..=3, Some([b'-', ..])) => fits("d1-3 ~- a64").map(|length| (kind!("truenas_key"), length, 75)),
                (8..=10, Some([b':', b'A', ..])) => {
                    fits("d8-10 ~:A t34").map(|length| (kind!("telegram_bot_token"), length, 88))
                }
                (7..=20, Some([b'-', ..])) => {
                    fits("d7-20 ~- a40-45").map(|length| (kind!("twitter_token"), length, 60))
                }
                _ => None,
            }
        }
    }
}

/// How far the text has the body, if it has it and the token ends there.
pub(super) fn extent(text: &str, body: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut last = 'a';
    for part in body.split(' ') {
        if let Some(literal) = part.strip_prefix('~') {
            bytes.get(at..)?.starts_with(literal.as_bytes()).then_some(())?;
            at += literal.len();
            continue;
        }
        let (alphabet, (least, most)) = (part.chars().next()?, bounds(part.get(1..)?)?);
        let run = bytes.get(at..)?.iter().take(most + 1).take_while(|byte| member(alphabet, **byte)).count();
        if run < least {
            return None;
        }
        at += run.min(most);
        last = alphabet;
    }
    let ended =
        bytes.get(at).is_none_or(|next| !next.is_ascii_alphanumeric() && (!member(last, *next) || *next == b'='));
    ended.then_some(at)
}

fn bounds(count: &str) -> Option<(usize, usize)> {
    if let Some(least) = count.strip_suffix('+') {
        return Some((least.parse().ok()?, 8192));
    }
    match count.split_once('-') {
        Some((least, most)) => Some((least.parse().ok()?, most.parse().ok()?)),
        None => count.parse().ok().map(|exactly| (exactly, exactly)),
    }
}

fn member(alphabet: char, byte: u8) -> bool {
    match alphabet {
        'd' => byte.is_ascii_digit(),
        'h' => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        'H' => byte.is_ascii_hexdigit(),
        'l' => matches!(byte, b'0'..=b'9' | b'a'..=b'z'),
        'u' => matches!(byte, b'0'..=b'9' | b'A'..=b'Z'),
        'w' => byte.is_ascii_alphanumeric() || byte == b'_',
        't' => byte.is_ascii_alphanumeric() || b"_-".contains(&byte),
        'e' => byte.is_ascii_alphanumeric() || b"=_-".contains(&byte),
        'q' => byte.is_ascii_alphanumeric() || b"%_-".contains(&byte),
        'p' => byte.is_ascii_alphanumeric() || b"=._-".contains(&byte),
        'b' => byte.is_ascii_alphanumeric() || b"+/".contains(&byte),
        's' => byte.is_ascii_alphanumeric() || b"+/=_-".contains(&byte),
        _ => byte.is_ascii_alphanumeric(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_every_row_can_be_read() {
        assert!(TABLE.is_sorted_by_key(|shape| shape.prefix.as_bytes()));
        for shape in TABLE {
            assert!(shape.prefix.len() >= 2, "{shape:?}");
            for part in shape.body.split(' ') {
                assert!(part.len() > 1, "{shape:?}");
                if !part.starts_with('~') {
                    let (alphabet, count) = part.split_at(1);
                    let (least, most) = bounds(count).unwrap_or_else(|| panic!("{shape:?}"));
                    assert!(least > 0 && least <= most && "dhHlautwepqbs".contains(alphabet), "{shape:?}");
                }
            }
        }
    }

    #[test]
    fn a_token_ends_where_its_alphabet_ends() {
        for (text, body, expected) in [
            ("abcd", "a4", Some(4)),
            ("abcde", "a4", None),
            ("abcd.", "a4", Some(4)),
            ("ab-cd", "a2 ~- a1-3", Some(5)),
            ("ab", "a3", None),
            ("0f==", "h2", Some(2)),
        ] {
            assert_eq!(extent(text, body), expected, "{text} as {body}");
        }
    }

    #[test]
    fn stand_ins_are_dull() {
        for text in ["xxxxxxxxxxxxxxxxxxxx", "0000000000000000", "IOSFODNN7EXAMPLE", "ab12...cd34", "1a1a1a1a1a1a"] {
            assert!(dull(text), "{text}");
        }
        assert!(!dull("9aK2mQ8vR4tY6wZ1"));
    }
}
