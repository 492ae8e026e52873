//! Which records of a result the initiator has selected, by naming something of them: who says "pay ACME" has said which line of the register is meant.
//!
//! A record is one object of a list, or the whole of a text, with the objects in it that are members and not in a list of their own. What selects it is exact, as what
//! follows from it is trust: a whole text in a field that only its service writes, which the initiator's words contain, and which tells that record from the others.

use std::collections::{HashMap, HashSet};

use evidence::record::Origin;

use super::leaves::{self, Reader};
use super::results::is_field_name;
use super::spelling::{TELLING_CHARS, chars, normal, squeezed, words};
use super::store::{Fingerprint, Form, Mark, Store};

/// The longest text that selects.
const NAMING_BYTES_MAX: usize = 128;

/// The fewest digits of a number that names something.
const NAMING_DIGITS_MIN: usize = 5;

/// The records that are selected. `texts` has for each record the text that it stands in, `leaves` the trusted values and their records.
pub(super) fn records<'t>(
    store: &Store,
    texts: &[usize],
    leaves: impl Iterator<Item = (usize, &'t str)> + Clone,
) -> HashSet<usize> {
    let mut selected = HashSet::new();
    if store.spoken.is_empty() || store.has_gap() {
        return selected;
    }
    // What names several records of one text tells none from the others.
    let mut naming: HashMap<(usize, Fingerprint), (usize, bool)> = HashMap::new();
    for (record, text) in leaves.clone().filter(|(_, text)| can_name(text)) {
        let normal = normal(text);
        if !store.names(&normal) {
            continue;
        }
        let key = (texts.get(record).copied().unwrap_or_default(), store.fingerprint(Form::Leaf, normal.as_bytes()));
        naming.entry(key).and_modify(|(first, is_one)| *is_one &= *first == record).or_insert((record, true));
    }
    selected.extend(naming.into_values().filter_map(|(record, is_one)| is_one.then_some(record)));
    if !selected.is_empty() {
        // INVARIANT (no-laundering): a record that holds what others or the agent itself brought up is theirs.
        for (record, text) in leaves {
            if selected.contains(&record) && is_doubted(store, text) {
                selected.remove(&record);
            }
        }
    }
    selected
}

/// Whether naming it is naming something: no amount, day or hour, and no word of a letter or two.
fn can_name(text: &str) -> bool {
    let letters = text.chars().filter(|character| character.is_alphabetic()).take(3).count();
    let digits = text.bytes().filter(u8::is_ascii_digit).take(NAMING_DIGITS_MIN).count();
    text.len() <= NAMING_BYTES_MAX && !is_moment(text) && (letters > 2 || digits == NAMING_DIGITS_MIN)
}

/// Whether it begins with a day, as `2026-11-13`.
fn is_moment(text: &str) -> bool {
    let form: Vec<u8> = text.bytes().take(10).map(|byte| if byte.is_ascii_digit() { b'0' } else { byte }).collect();
    form == b"0000-00-00"
}

fn is_doubted(store: &Store, text: &str) -> bool {
    chars(&squeezed(text).0) >= TELLING_CHARS && matches!(store.origin(text).0, Origin::Sent | Origin::Untrusted)
}

/// Whether a call with `arguments` asks for what the initiator named, and for nothing else: each text in them is a value that the initiator named or selected, or
/// most of its words are the initiator's and none of the others stands in what nobody vouches for. Days, short numbers and switches only narrow what is asked for.
pub(super) fn is_asked(store: &Store, arguments: &[u8]) -> bool {
    if store.spoken.is_empty() || store.has_gap() {
        return false;
    }
    let mut asking = Asking { is_asked: true, is_telling: false, store };
    let is_read = std::str::from_utf8(arguments).is_ok_and(|text| leaves::read(text, (), &mut asking).is_ok());
    is_read && asking.is_asked && asking.is_telling
}

impl Store {
    /// Whether a word stands in what nobody vouches for.
    fn is_untrusted(&self, squeezed: &[u8]) -> bool {
        self.find_bytes(Form::Squeezed, squeezed).is_some_and(|(mark, _)| mark == Mark::Untrusted)
    }
}

struct Asking<'s> {
    is_asked: bool,
    is_telling: bool,
    store: &'s Store,
}

impl Asking<'_> {
    fn is_named(&self, value: &str) -> bool {
        self.store.origin(value).0 <= Origin::Selected
    }
}

impl Reader for Asking<'_> {
    type Place = ();

    fn enter(&mut self, (): (), name: &str) {
        if !is_field_name(name) {
            self.text((), name);
        }
    }

    fn leave(&mut self) {}

    fn text(&mut self, (): (), text: &str) {
        if is_moment(text) || text.is_empty() {
            return;
        }
        if self.is_named(text) {
            self.is_telling = true;
            return;
        }
        let (mut all, mut named, mut is_brought_up) = (0, 0, false);
        words(text, |raw, squeezed| {
            if chars(squeezed) >= TELLING_WORD_CHARS {
                all += 1;
                let is_named = self.store.names(&normal(raw));
                named += usize::from(is_named);
                is_brought_up |= !is_named && self.store.is_untrusted(squeezed);
            }
        });
        self.is_asked &= named * 2 > all && !is_brought_up;
        self.is_telling |= named > 0;
    }

    fn number(&mut self, (): (), spelt: &str) {
        if spelt.len() > NARROWING_DIGITS_MAX {
            let is_named = self.is_named(spelt);
            self.is_asked &= is_named;
            self.is_telling |= is_named;
        }
    }

    fn vast_number(&mut self, (): ()) {
        self.is_asked = false;
    }

    fn position(&self) -> usize {
        0
    }

    fn twice(&mut self, _: usize) {
        self.is_asked = false;
    }

    fn is_full(&self) -> bool {
        !self.is_asked
    }
}

/// The fewest characters of a word that says what is asked for.
const TELLING_WORD_CHARS: usize = 3;

/// The longest number that says how much is asked for, and not what.
const NARROWING_DIGITS_MAX: usize = 2;
