//! Literal texts that are looked for all at once.
//!
//! The vector search of the processor is quick for few short texts, so it looks for four bytes of each literal that are rare, and only there the literal is compared.

use std::ops::Range;

use aho_corasick::{AhoCorasick, MatchKind, Span, packed};

/// How many bytes of a literal are looked for.
const ANCHOR: usize = 4;

/// How many texts a search looks for without being slower.
const ANCHORS_MAX: usize = 32;

/// How common an anchor may be that several literals share.
const COMMON_MAX: u64 = 2_000_000;

/// The sign that what is shorter than an anchor starts with.
const SIGN: u8 = b'$';

/// Where a literal stands, and of which list it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) list: usize,
    pub(super) range: Range<usize>,
}

/// Lists of literal texts that are looked for in lower case.
#[derive(Debug)]
pub(super) struct Literals {
    /// With the number of its list.
    literals: Vec<(usize, Vec<u8>)>,
    search: Search,
}

/// The literals that have an anchor, by their number, and how far into them it is.
type Owners = Vec<(usize, usize)>;

#[derive(Debug)]
enum Search {
    /// The searches with the owners of each of their anchors; and the literals that start with the sign.
    Anchored(Vec<(packed::Searcher, Vec<Owners>)>, Vec<usize>),
    Plain(Vec<Option<AhoCorasick>>),
}

impl Literals {
    /// Of a list, the first is taken of those that start at the same place.
    pub(super) fn new<'l>(lists: impl IntoIterator<Item = Vec<&'l str>>) -> Self {
        let lists: Vec<Vec<Vec<u8>>> = lists
            .into_iter()
            .map(|list| list.iter().map(|literal| literal.to_lowercase().into_bytes()).collect())
            .collect();
        let literals: Vec<(usize, Vec<u8>)> = lists
            .iter()
            .enumerate()
            .flat_map(|(list, texts)| texts.iter().map(move |text| (list, text.clone())))
            .collect();
        let plain = |list| AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(list).ok();
        let search = anchored(&literals).unwrap_or_else(|| Search::Plain(lists.iter().map(plain).collect()));
        Self { literals, search }
    }

    /// Where they stand in `lower`, in its order; none overlaps another of its list.
    pub(super) fn places(&self, lower: &[u8]) -> Vec<Place> {
        let (searches, signed) = match &self.search {
            Search::Anchored(searches, signed) => (searches, signed),
            Search::Plain(searchers) => {
                let searchers = searchers.iter().enumerate();
                let all = searchers.flat_map(|(list, searcher)| searcher.iter().map(move |searcher| (list, searcher)));
                let mut found: Vec<Place> = all
                    .flat_map(|(list, searcher)| {
                        searcher.find_iter(lower).map(move |found| Place { list, range: found.start()..found.end() })
                    })
                    .collect();
                found.sort_by_key(|place| place.range.start);
                return found;
            }
        };
        let mut found = Vec::new();
        let mut keep = |index: usize, start: usize| {
            let Some((list, literal)) = self.literals.get(index) else { return };
            if lower.get(start..).is_some_and(|rest| rest.starts_with(literal)) {
                found.push((start, index, Place { list: *list, range: start..start + literal.len() }));
            }
        };
        if !signed.is_empty() {
            for start in memchr::memchr_iter(SIGN, lower) {
                signed.iter().for_each(|index| keep(*index, start));
            }
        }
        for (searcher, owners) in searches {
            let mut from = 0;
            while let Some(anchor) = searcher.find_in(lower, Span { start: from, end: lower.len() }) {
                for (index, before) in owners.get(anchor.pattern().as_usize()).into_iter().flatten() {
                    if let Some(start) = anchor.start().checked_sub(*before) {
                        keep(*index, start);
                    }
                }
                from = anchor.start() + 1;
            }
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
}

fn anchored(literals: &[(usize, Vec<u8>)]) -> Option<Search> {
    let is_signed = |index: &usize| literals.get(*index).is_some_and(|(_, literal)| literal.first() == Some(&SIGN));
    let (signed, mut left): (Vec<usize>, Vec<usize>) = (0..literals.len()).partition(is_signed);
    let windows =
        |index: usize| literals.get(index).into_iter().flat_map(|(_, literal)| literal.windows(ANCHOR).enumerate());
    let mut anchors: Vec<(&[u8], Owners)> = Vec::new();
    // What most of those have that are left, and little else: few texts to look for are found faster.
    while let Some(first) = left.first() {
        let owners = |anchor: &[u8]| -> Owners {
            let place =
                |index: &usize| windows(*index).find(|(_, window)| *window == anchor).map(|(place, _)| (*index, place));
            left.iter().filter_map(place).collect()
        };
        let rank = |anchor: &[u8]| {
            let common: u64 = anchor.iter().map(commonness).product();
            (std::cmp::Reverse(owners(anchor).len()), common)
        };
        let is_rare = |anchor: &[u8]| anchor.iter().map(commonness).product::<u64>() <= COMMON_MAX;
        let all = left.iter().flat_map(|index| windows(*index)).map(|(_, window)| window);
        let anchor = all
            .filter(|anchor| is_rare(anchor))
            .min_by_key(|anchor| rank(anchor))
            .or_else(|| windows(*first).map(|(_, window)| window).min_by_key(|anchor| rank(anchor)))?;
        let owners = owners(anchor);
        left.retain(|index| owners.iter().all(|(owner, _)| owner != index));
        anchors.push((anchor, owners));
    }
    let mut searches = Vec::new();
    let count = anchors.len().div_ceil(ANCHORS_MAX).max(1);
    for anchors in anchors.chunks(anchors.len().div_ceil(count).max(1)) {
        let patterns = anchors.iter().map(|(anchor, _)| *anchor);
        let searcher = packed::Config::new().builder().extend(patterns).build()?;
        searches.push((searcher, anchors.iter().map(|(_, owners)| owners.clone()).collect()));
    }
    Some(Search::Anchored(searches, signed))
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
        let lower = text.to_ascii_lowercase();
        let found: Vec<_> =
            literals().places(lower.as_bytes()).into_iter().filter_map(|place| lower.get(place.range)).collect();
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
    fn both_searches_find_the_same() {
        let literals = literals();
        let plain = |list: &[&str]| {
            let list: Vec<_> = list.iter().map(|literal| literal.to_lowercase()).collect();
            AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(list).ok()
        };
        let other = Literals { literals: Vec::new(), search: Search::Plain(vec![plain(LITERALS), plain(OTHERS)]) };
        let mut seed = 11_u64;
        for _ in 0..2_000 {
            let mut text = String::new();
            for _ in 0..12 {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let piece = LITERALS[usize::try_from(seed >> 33).unwrap() % LITERALS.len()];
                let from = usize::try_from(seed >> 60).unwrap().min(piece.len());
                text.push_str(piece.get(from..).unwrap());
            }
            let lower = text.to_ascii_lowercase();
            let places = |literals: &Literals| {
                let mut places = literals.places(lower.as_bytes());
                places.sort_by_key(|place| (place.range.start, place.list));
                places
            };
            assert_eq!(places(&literals), places(&other), "{text}");
        }
    }
}
