//! Literal texts that are looked for all at once.
//!
//! Every literal has two anchors: three bytes of it and the three that start one byte later, of which one starts at an even place wherever the literal stands. So
//! every second place of a text is looked at, with one look into a small table, and only where an anchor may stand the literal is compared. Where the processor can
//! look at 32 bytes at once or more, a [`Sieve`] does the same.

mod sieve;

use std::ops::Range;

use self::sieve::Sieve;

/// How many bytes an anchor has.
const ANCHOR: usize = 3;

/// How many bits the hash of an anchor has.
const HASH_BITS: u32 = 14;

/// The sign that what is too short for two anchors starts with.
const SIGN: u8 = b'$';

/// How many bytes are looked at in one step: four anchors start in them.
const STEP: usize = 8;

/// Where a literal stands, and of which list it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) list: usize,
    pub(super) range: Range<usize>,
}

/// Lists of literal texts that are looked for, whatever the case of their letters.
#[derive(Debug)]
pub(super) struct Literals {
    /// In lower case, with the number of its list.
    literals: Vec<(usize, Vec<u8>)>,
    /// By their hash.
    anchors: Vec<Anchor>,
    /// By the hash of an anchor: more by one than the number of the first that has it, or 0.
    slots: Box<[u8; 1 << HASH_BITS]>,
    /// Those that start with the sign.
    signed: Vec<usize>,
    /// For processors that look at many bytes at once.
    sieve: Sieve,
}

/// Where literals start, their numbers, and their places.
type Found = Vec<(usize, usize, Place)>;

#[derive(Debug)]
struct Anchor {
    bytes: u32,
    /// Whether the next one has another hash.
    is_last: bool,
    owners: Vec<Owner>,
}

/// A literal that has an anchor.
#[derive(Debug)]
struct Owner {
    /// Its number.
    index: usize,
    /// How far into it the anchor is.
    before: usize,
    /// Its first bytes, as a number.
    first: u32,
}

impl Literals {
    /// Of a list, the first is taken of those that start at the same place.
    pub(super) fn new<'l>(lists: impl IntoIterator<Item = Vec<&'l str>>) -> Self {
        let lists = lists.into_iter().enumerate();
        let all = lists.flat_map(|(list, texts)| texts.into_iter().map(move |text| (list, text)));
        let literals: Vec<_> = all.map(|(list, text)| (list, text.to_lowercase().into_bytes())).collect();
        let mut new = Self {
            anchors: Vec::new(),
            slots: Box::new([0; 1 << HASH_BITS]),
            signed: Vec::new(),
            sieve: Sieve::new(literals.iter().map(|(_, literal)| literal.as_slice())),
            literals: Vec::new(),
        };
        for (index, (_, literal)) in literals.iter().enumerate() {
            if literal.first() == Some(&SIGN) {
                new.signed.push(index);
                continue;
            }
            // Those that least else has.
            let both = literal.windows(ANCHOR + 1).enumerate().min_by_key(|(_, both)| new.commonness(both));
            for (before, anchor) in both.into_iter().flat_map(|(at, both)| (at..).zip(both.windows(ANCHOR))) {
                let first = literal.first_chunk().map_or(0, |first| u32::from_le_bytes(*first) | 0x2020_2020);
                new.anchor(number(anchor), Owner { index, before, first });
            }
        }
        new.anchors.sort_by_key(|anchor| hash(anchor.bytes));
        let mut anchors = new.anchors.iter_mut().enumerate().peekable();
        while let Some((index, anchor)) = anchors.next() {
            anchor.is_last = anchors.peek().is_none_or(|(_, next)| hash(next.bytes) != hash(anchor.bytes));
            if let Some(slot @ 0) = new.slots.get_mut(hash(anchor.bytes)) {
                *slot = u8::try_from(index + 1).unwrap_or(u8::MAX);
            }
        }
        Self { literals, ..new }
    }

    /// How common the two anchors in `both` are, of which those cost nothing that others have.
    fn commonness(&self, both: &[u8]) -> u64 {
        let fresh = both.windows(ANCHOR).filter(|bytes| self.anchors.iter().all(|known| known.bytes != number(bytes)));
        let cost = |bytes: &[u8]| if is_usual(bytes) { USUAL_COST } else { bytes.iter().map(commonness).product() };
        fresh.map(cost).sum()
    }

    fn anchor(&mut self, bytes: u32, owner: Owner) {
        if let Some(known) = self.anchors.iter_mut().find(|known| known.bytes == bytes) {
            known.owners.push(owner);
            return;
        }
        self.anchors.push(Anchor { bytes, is_last: true, owners: vec![owner] });
    }

    /// Where they stand in `text`, in its order; none overlaps another of its list.
    pub(super) fn places(&self, text: &[u8]) -> Vec<Place> {
        let mut found = Vec::new();
        if !self.sieve.sift(text, |start, index| self.compare(text, index, start, &mut found)) {
            self.look(text, &mut found);
        }
        found.sort_by_key(|(start, index, _)| (*start, *index));
        let mut places: Vec<Place> = Vec::with_capacity(found.len());
        for (start, _, place) in found {
            let last = places.iter().rev().find(|known| known.list == place.list);
            if last.is_none_or(|last| last.range.end <= start) {
                places.push(place);
            }
        }
        places
    }

    /// Looks at every second place.
    fn look(&self, text: &[u8], found: &mut Found) {
        if !self.signed.is_empty() {
            for start in memchr::memchr_iter(SIGN, text) {
                self.signed.iter().for_each(|index| self.compare(text, *index, start, found));
            }
        }
        let mut from = 0;
        while let Some(bytes) = text.get(from..).and_then(|rest| rest.first_chunk::<{ STEP + 2 }>()) {
            let [one, two, three, four] = numbers(bytes).map(|bytes| self.slot(bytes));
            if one | two | three | four != 0 {
                self.anchored(text, from, bytes, found);
            }
            from += STEP;
        }
        while from < text.len() {
            let mut bytes = [0; STEP + 2];
            bytes.iter_mut().zip(text.get(from..).unwrap_or_default()).for_each(|(to, byte)| *to = *byte);
            self.anchored(text, from, &bytes, found);
            from += STEP;
        }
    }

    #[inline]
    fn slot(&self, bytes: u32) -> u8 {
        self.slots.get(hash(bytes)).copied().unwrap_or(0)
    }

    /// Compares the literals that have one of the anchors at the even places of `bytes`, which stand at `from`.
    #[inline(never)]
    fn anchored(&self, text: &[u8], from: usize, bytes: &[u8; STEP + 2], found: &mut Found) {
        let [one, two, three, four] = numbers(bytes);
        self.compare_all(text, from, one, found);
        self.compare_all(text, from + 2, two, found);
        self.compare_all(text, from + 4, three, found);
        self.compare_all(text, from + 6, four, found);
    }

    /// Compares the literals that have the anchor `bytes`, which stands at `place`.
    #[inline(always)]
    fn compare_all(&self, text: &[u8], place: usize, bytes: u32, found: &mut Found) {
        let Some(first) = usize::from(self.slot(bytes)).checked_sub(1) else { return };
        let bytes = bytes & 0xff_ffff;
        let mut anchors = self.anchors.get(first..).unwrap_or_default();
        while let Some((anchor, others)) = anchors.split_first() {
            if anchor.bytes == bytes {
                for Owner { index, before, first } in &anchor.owners {
                    // Most that stands there starts otherwise.
                    let Some(start) = place.checked_sub(*before) else { continue };
                    let there = text.get(start..).and_then(|there| there.first_chunk()).copied();
                    if there.is_some_and(|there| u32::from_le_bytes(there) | 0x2020_2020 == *first) {
                        self.compare(text, *index, start, found);
                    }
                }
            }
            if anchor.is_last {
                break;
            }
            anchors = others;
        }
    }

    #[inline(never)]
    fn compare(&self, text: &[u8], index: usize, start: usize, found: &mut Found) {
        let Some((list, literal)) = self.literals.get(index) else { return };
        let range = start..start + literal.len();
        if text.get(range.clone()).is_some_and(|there| there.eq_ignore_ascii_case(literal)) {
            found.push((start, index, Place { list: *list, range }));
        }
    }
}

/// An anchor as a number. Capital and small letters are the same in it, and so are some signs.
fn number(anchor: &[u8]) -> u32 {
    anchor.iter().rev().fold(0, |number, byte| number << 8 | u32::from(byte | 0x20))
}

/// The anchors at the even places of some bytes, as numbers, each with the byte behind it.
#[inline]
fn numbers(bytes: &[u8; STEP + 2]) -> [u32; STEP / 2] {
    let [first @ .., _, _] = bytes;
    let [_, _, last @ ..] = bytes;
    let [first, last] = [first, last].map(|eight| u64::from_le_bytes(*eight) | 0x2020_2020_2020_2020);
    [first as u32, (first >> 16) as u32, (first >> 32) as u32, (last >> 32) as u32]
}

/// The hash of an anchor, whatever byte is behind it: what is multiplied with that is lost.
#[inline]
const fn hash(anchor: u32) -> usize {
    (anchor.wrapping_mul(0x1b3c_6d00) >> (u32::BITS - HASH_BITS)) as usize
}

/// Anchors that names, texts and source code are full of: two in ten thousand places and more. `_` is a space.
const USUAL: &str = "_by _cl _co _de _fo _id _ke _lo _pa _pr _re _se _st _un acc ach al_ arc are ase ass atc ate ati att aut but \
    cal cat cce ce_ cen ces che cke cla cli clo cod com con cre cur d_b de_ den der dis doc e_p ect ed_ eda eme \
    enc ens ent er_ era ert erv eso ess est et_ exp fic fie for get hen ial ibu ic_ ica ice ide ien ifi ile in_ \
    ind ine ing ini ion ist ity ken ker key kin lat le_ led lic lie lin log men min n_s nce nde ndi nec nfi ng_ \
    nne non nse nt_ nti ntr num ode oll omm on_ onf onn ons ont ope or_ ori ork ort ot_ oun our per pla por pri \
    pro r_s rat rce red reg res ret rib rin rit riv rt_ rti rve sco se_ sec sen ser set sha sin sou spo sse ssi \
    sta str t_a t_c tar tat tch tem tho tia tif tio tor tra tri ty_ typ uct ume und uni unt urc ure urn uth ver \
    wor ype";

/// What it costs to be one of those: more than any of the others.
const USUAL_COST: u64 = 10_000_000;

fn is_usual(anchor: &[u8]) -> bool {
    let is = |usual: &str| usual.bytes().map(|byte| if byte == b'_' { b' ' } else { byte }).eq(anchor.iter().copied());
    USUAL.split(' ').any(is)
}

/// How often a byte stands in names and texts, in thousandths.
const fn commonness(byte: &u8) -> u64 {
    match byte {
        b' ' | b'e' => 100,
        b't' | b'"' | b's' | b'r' | b'a' | b'i' | b'o' | b'n' => 65,
        b'l' | b'd' | b'c' | b':' | b'/' | b'_' => 35,
        b'p' | b'm' | b'u' | b'h' | b'.' | b'g' | b'-' | b',' => 22,
        b'b' | b'f' | b'v' | b'w' | b'y' | b'k' => 14,
        b'0'..=b'9' => 12,
        b'j' | b'x' | b'q' | b'z' => 3,
        _ => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LITERALS: &[&str] = &["$1$", "password", "passwd", "Secret//", "top secret//", "mysql ", "mysqldump", "pwd="];
    const OTHERS: &[&str] = &["word", "the secret"];

    fn literals() -> Literals {
        Literals::new([LITERALS.to_vec(), OTHERS.to_vec()])
    }

    fn check(text: &str, expected: &[&str]) {
        let places = literals().places(text.as_bytes()).into_iter();
        let found: Vec<_> = places.filter_map(|place| text.get(place.range)).map(str::to_lowercase).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn literals_are_found_where_they_stand_and_only_there() {
        check("the PASSWORD, the passwd and the pass", &["password", "word", "passwd"]);
        check("TOP SECRET//SI and the secret//si", &["top secret//", "the secret", "secret//"]);
        check("mysqldump mysql mysql", &["mysqldump", "mysql "]);
        check("$1$1$ $1", &["$1$"]);
        check("passwpassword pwpwd=", &["password", "word", "pwd="]);
        check("wor pass", &[]);
    }

    #[test]
    fn as_many_are_found_as_a_look_at_each_place_finds() {
        let literals = literals();
        let mut seed = 11_u64;
        for _ in 0..2_000 {
            let mut text = String::new();
            for _ in 0..12 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let piece = LITERALS[usize::try_from(seed >> 33).unwrap() % LITERALS.len()];
                let from = usize::try_from(seed >> 60).unwrap().min(piece.len());
                text.push_str(piece.get(from..).unwrap());
            }
            let mut expected = Vec::new();
            for (list, texts) in [LITERALS, OTHERS].into_iter().enumerate() {
                let mut start = 0;
                while start < text.len() {
                    let first = texts.iter().find(|literal| {
                        text.get(start..start + literal.len()).is_some_and(|there| there.eq_ignore_ascii_case(literal))
                    });
                    if let Some(literal) = first {
                        expected.push(Place { list, range: start..start + literal.len() });
                    }
                    start += first.map_or(1, |literal| literal.len());
                }
            }
            // Whatever the processor can.
            let (mut looked, mut sifted) = (Vec::new(), Vec::new());
            literals.look(text.as_bytes(), &mut looked);
            let can = literals.sieve.sift(text.as_bytes(), |start, index| {
                literals.compare(text.as_bytes(), index, start, &mut sifted);
            });
            looked.sort_by_key(|(start, index, _)| (*start, *index));
            sifted.sort_by_key(|(start, index, _)| (*start, *index));
            assert!(!can || looked == sifted, "{text}");
            expected.sort_by_key(|place| (place.range.start, place.list));
            let mut places = literals.places(text.as_bytes());
            places.sort_by_key(|place| (place.range.start, place.list));
            assert_eq!(places, expected, "{text}");
        }
    }
}
