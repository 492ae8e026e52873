//! One pass over a text: from masks of sixty-four bytes to places that may be something, from those to candidates, and to the judges with what stands around them.

mod cells;
mod members;
mod numbers;
mod runs;
mod signs;

use std::ops::Range;

use multiversion::multiversion;

use super::bytes::{at, before, part, text as utf8};
use super::decode;
use super::events::{self, Events};
use super::field::{self, Value};
use super::fold::fold_on;
use super::judge::{Context, Judged, Kind};
use super::masks::{self, BLOCK, Masks};
use super::table::Table;
use super::words::{Interest, Recent, Words};
use super::{Evidence, Lexicon, identifier, pair, secret, sentence};
use crate::classify::own::Match;
use crate::limits::{DETECT_DEPTH_MAX, DETECT_WORK_MAX};

/// How far back from its event a candidate starts at most, marks of documents aside.
pub(super) const REACH: usize = 1024;

/// The longest run of token characters that is taken as one.
const RUN_BYTES: usize = 8 * 1024;

/// Encoded runs that are longer are texts with findings of their own, not copies of one value.
const COPY_BYTES: usize = 1024;

/// The most secrets of one passage.
const PASSAGES: usize = 8;

/// How far before a name of `number` words may say of what.
const NAME_WORDS_BYTES: usize = 48;

/// How much of a line may follow the comma of a value.
const COMMA_BYTES: usize = 96;

/// The score that no further look can better by much.
const SURE: u8 = 80;

/// What a judge found in a text.
#[derive(Clone, Copy, Debug)]
pub(super) struct Raw {
    pub(super) end: usize,
    pub(super) evidence: Evidence,
    pub(super) kind: &'static Kind,
    pub(super) score: u8,
    pub(super) start: usize,
}

/// What the scan of one stretch may cost, and whether that was enough.
#[derive(Debug)]
pub(super) struct Work {
    left: usize,
    pub(super) exhausted: bool,
    /// Whether something was found of which only the start was looked at.
    pub(super) cut: bool,
}

impl Work {
    pub(super) const fn new() -> Self {
        Self { left: DETECT_WORK_MAX, exhausted: false, cut: false }
    }

    fn spend(&mut self, units: usize) -> bool {
        match self.left.checked_sub(units) {
            Some(left) => self.left = left,
            None => self.exhausted = true,
        }
        !self.exhausted
    }
}

type Judge = fn(&str, &Context<'_>) -> Option<Judged>;

/// The words around a candidate.
#[derive(Clone, Debug)]
struct Around {
    after: Words,
    before: Words,
    name: Words,
    names: Words,
}

impl Around {
    const fn none() -> Self {
        Self { after: Words::none(), before: Words::none(), name: Words::none(), names: Words::none() }
    }

    fn with<T>(&self, look: impl FnOnce(&Context<'_>) -> T) -> T {
        let (after, before, name, names) = (self.after.list(), self.before.list(), self.name.list(), self.names.list());
        look(&Context {
            after: after.as_slice(),
            before: before.as_slice(),
            name: name.as_slice(),
            names_around: names.as_slice(),
        })
    }
}

/// The last name that was passed, and where its value starts.
#[derive(Clone, Debug, Default)]
struct Field {
    interest: Interest,
    judged: Range<usize>,
    name: Range<usize>,
    value: Option<Value>,
    starts: usize,
}

/// One pass over one text.
pub(super) struct Pass<'p> {
    text: &'p [u8],
    lexicon: &'p Lexicon,
    recent: &'p mut Recent,
    work: &'p mut Work,
    depth: usize,
    field: Field,
    /// Where the last object or list with a name that matters starts.
    container: Option<usize>,
    cluster_end: usize,
    /// Of the table of HTML that was passed last.
    heads: signs::Heads,
    run_end: usize,
    spaced_end: usize,
    found: Vec<Raw>,
}

/// Looks at `text` for what starts in `own`, and at what is hidden in it. Places are of `text`.
pub(super) fn look(
    text: &[u8],
    own: Range<usize>,
    lexicon: &Lexicon,
    recent: &mut Recent,
    work: &mut Work,
    table: &mut Option<Table>,
    depth: usize,
) -> Vec<Raw> {
    if depth == DETECT_DEPTH_MAX {
        return look_plainly(text, own, lexicon, recent, work, table, depth);
    }
    let (room, behind) = recent.room(depth);
    let folded = match fold_on(text, room, behind) {
        Ok(folded) => folded,
        Err(room) => {
            recent.keep_room(room);
            return look_plainly(text, own, lexicon, recent, work, table, depth);
        }
    };
    let (map, bytes) = (&folded.map, folded.bytes());
    let mut found = Vec::new();
    if work.spend(bytes.len() / 16) {
        let inner = map.here(own.start)..map.here(own.end);
        let look = if folded.may_hide { look } else { look_plainly };
        found = look(bytes, inner, lexicon, recent, work, table, depth + 1);
    }
    for raw in &mut found {
        (raw.start, raw.end) = (map.start(raw.start), map.end(raw.end));
    }
    recent.keep_folded(folded, depth);
    found
}

/// Looks at `text`, which hides no characters, for what starts in `own`.
fn look_plainly(
    text: &[u8],
    own: Range<usize>,
    lexicon: &Lexicon,
    recent: &mut Recent,
    work: &mut Work,
    table: &mut Option<Table>,
    depth: usize,
) -> Vec<Raw> {
    let mut pass = Pass {
        text,
        lexicon,
        recent,
        work,
        depth,
        field: Field::default(),
        container: None,
        cluster_end: 0,
        heads: signs::Heads::default(),
        run_end: 0,
        spaced_end: 0,
        found: Vec::new(),
    };
    pass.rows(&own, table);
    let (from, to) = (own.start.saturating_sub(REACH / 4), (own.end + REACH).min(text.len()));
    walk(&mut pass, from, to);
    pass.triggers(from, to);
    if let Some(classes) = &lexicon.own {
        let matches = classes.look(text, own, &mut |units| pass.work.spend(units));
        let raw =
            |it: Match| Raw { end: it.end, evidence: it.evidence, kind: it.kind, score: it.score, start: it.start };
        matches.into_iter().map(raw).for_each(|raw| pass.keep(raw));
    }
    pass.found
}

/// The masks of three blocks in a row.
type Near = [Masks; 3];

/// Walks over the blocks from `from` to `to`: with the instructions that count bits, where the processor has them.
#[multiversion(targets("x86_64+avx2+bmi1+bmi2+lzcnt+popcnt"))]
fn walk(pass: &mut Pass<'_>, from: usize, to: usize) {
    let mut block = from - from % BLOCK;
    let masks = Masks::around(pass.text, block, to, pass.recent.masks());
    let mut events = pass.recent.events();
    events::of(&masks, to - block, &mut events);
    for (near, events) in masks.array_windows().zip(&events) {
        if pass.work.exhausted {
            break;
        }
        pass.block(block, near, events);
        block += BLOCK;
    }
    pass.recent.keep_masks(masks, events);
}

impl Pass<'_> {
    /// Takes each place of a block that may be something to a candidate.
    #[inline(always)]
    fn block(&mut self, block: usize, near: &Near, places: &Events) {
        let [previous, current, next] = near;
        let Events { digits: digit_starts, members, others, rare, .. } = *places;
        // Digits of what was looked at already are passed over.
        let passed = |cluster_end: usize| match cluster_end.checked_sub(block) {
            Some(length @ 0..BLOCK) => u64::MAX << length,
            Some(_) => 0,
            None => u64::MAX,
        };
        let mut events = others | digit_starts & passed(self.cluster_end);
        while events != 0 {
            let bit = events.trailing_zeros();
            let here = events & events.wrapping_neg();
            events ^= here;
            let place = block + bit as usize;
            if members & here != 0 && self.member(place, bit, near) {
                let has_number = (here << 1 | here << 2) & current.digit != 0;
                if has_number && self.is_number(place, masks::ahead(current.digit, next.digit, bit)) {
                    events &= others | passed(self.cluster_end);
                }
                continue;
            }
            if current.sign & here != 0 {
                // Of moments, most of them.
                let is_between = current.digit & here << 1 != 0 && current.digit & here >> 1 != 0;
                match at(self.text, place) {
                    b':' | b'=' if is_between => {}
                    // Which of the 64 bytes before the sign are of words; the last is the one before it.
                    b':' | b'=' => self.separator(place, masks::ahead(previous.word, current.word, bit)),
                    b'@' => self.address(place),
                    b'>' => self.element(place),
                    _ => {}
                }
                continue;
            }
            let digits = masks::ahead(current.digit, next.digit, bit);
            if rare & here != 0 && places.runs & here != 0 && place >= self.run_end {
                self.run(place, masks::ahead(current.word, next.word, bit), digits);
                events &= others | passed(self.cluster_end);
            }
            if digit_starts & here != 0 && place >= self.cluster_end && (digits as u32 & 0xff_ffff).count_ones() >= 4 {
                self.digits(block, bit, near);
                events &= others | passed(self.cluster_end);
            }
            if rare & here != 0 {
                if places.spread & here != 0 && place >= self.spaced_end {
                    self.spaced(place);
                }
                if places.dashes & here != 0 {
                    self.dashes(place);
                }
            }
        }
    }

    /// Judges the value behind `from` with the field's name.
    fn named(&mut self, from: usize) {
        let value = field::value(self.text, from);
        if value.range.is_empty() {
            self.container = Some(self.field.name.start);
            self.parts_of(value.range.start);
            if at(self.text, value.range.start) == b'[' {
                for element in field::elements(self.text, value.range.start) {
                    self.value(&element);
                }
            }
            return;
        }
        self.value(&value);
        self.field.value = Some(value);
    }

    /// Judges what stands in the object at `open` for what its name says that it is.
    fn parts_of(&mut self, open: usize) {
        let Range { start, end } = self.field.name;
        let words = self.lexicon.vocabulary.words_of(part(self.text, start, end));
        let parts = pair::parts_of(words.list().as_slice());
        if !parts.is_empty() && self.work.spend(pair::OBJECT_BYTES) {
            self.parts_from(open, parts);
        }
    }

    /// Judges what stands in the object behind `open` under one of the names of `parts`.
    fn parts_from(&mut self, open: usize, parts: &[(&'static str, pair::Part)]) {
        for (part, range) in pair::parts(self.text, open, parts) {
            let name = match part {
                pair::Part::Line => &b"address line"[..],
                pair::Part::Name => b"owner name",
                pair::Part::Given => b"first name",
            };
            let around = Around { name: Words::of(name), ..Around::none() };
            let evidence = Evidence::NAME.and(Evidence::NAMES_AROUND);
            if let Some(found) = self.ask(identifier::judge, range.start, range.end, &around, evidence) {
                self.keep(found);
            }
        }
    }

    /// Whether an object or list with a name that matters may be around `place`.
    fn in_container(&self, place: usize) -> bool {
        self.container.is_some_and(|container| place.saturating_sub(container) <= field::AROUND_BYTES)
    }

    #[inline(never)]
    fn value(&mut self, value: &Value) {
        let Range { start, mut end } = value.range;
        // What a query ends with is followed by the version of the protocol.
        if !value.quoted
            && matches!(before(self.text, self.field.name.start), b'?' | b'&')
            && let Some(protocol) = memchr::memmem::find(part(self.text, start, end), b" HTTP/")
        {
            end = start + protocol;
        }
        let value = &Value { range: start..end, quoted: value.quoted };
        if end - start < 2 || !value.quoted && is_amount(part(self.text, start, end)) {
            return;
        }
        let name = self.field.name.clone();
        let interest = self.field.interest;
        let in_container = self.in_container(name.start) || is_part_of_name(part(self.text, name.start, name.end));
        let mut around = Around::none();
        around.name = self.lexicon.vocabulary.words_of(part(self.text, name.start, name.end));
        if !value.quoted {
            around.before = self.words_before(name.start, 0);
            around.after = self.words_after(end);
        }
        let mut best =
            if interest.is_generic() { None } else { self.judge_value(value, interest, &around, Evidence::NAME) };
        if in_container && best.is_none_or(|best| best.score < SURE) && self.work.spend(512) {
            let names = field::around(self.text, name.start);
            if !names.is_empty() {
                let mut joined = Vec::new();
                for name in names {
                    joined.extend_from_slice(part(self.text, name.start, name.end));
                    joined.push(b' ');
                }
                around.names = self.lexicon.vocabulary.words_of(&joined);
                let again = self.judge_value(value, interest, &around, Evidence::NAME.and(Evidence::NAMES_AROUND));
                best = better(best, again);
            }
        }
        if best.is_none_or(|best| best.score < self.lexicon.threshold) && !interest.is_generic() {
            best = better(best, self.judge_copy(value, interest, &around));
        }
        if best.is_none() && !value.quoted && interest.has(Interest::IDENTIFIER) {
            best = self.beyond_comma(start, end, &around);
            // Another sentence may follow it on its line.
            let stop = memchr::memmem::find(part(self.text, start, end), b". ").filter(|length| *length > 3);
            if let (None, Some(length)) = (best, stop) {
                best = self.ask(identifier::judge, start, start + length, &around, Evidence::NAME);
            }
        }
        if let Some(best) = best {
            self.keep_of(best, end, end - start >= field::VALUE_BYTES);
            if best.kind.name == "person"
                && identifier::is_family(around.name.list().as_slice())
                && let Some(open) = pair::object_of(self.text, &name)
            {
                self.parts_from(open, pair::BESIDE_FAMILY);
            }
        }
        // A name that says nothing, with none around it that does: its value is looked at by its shape.
        if in_container || !interest.is_generic() {
            self.field.judged = start..end;
        }
    }

    /// Judges a value without quotes and what follows its comma, where no other name does: `street = Av. Central, 12`.
    fn beyond_comma(&mut self, start: usize, end: usize, around: &Around) -> Option<Raw> {
        if part(self.text, end, end + 2) != b", " {
            return None;
        }
        let line_end = self.while_ahead(end, COMMA_BYTES, |byte| {
            !matches!(byte, b'\n' | b'\r' | b'=' | b':' | b'"' | b'{' | b'}' | b'(' | b')' | b'<' | b'|')
        });
        if !matches!(at(self.text, line_end), b'\n' | b'\r' | 0) {
            return None;
        }
        self.ask(identifier::judge, start, line_end, around, Evidence::NAME)
    }

    fn judge_value(&mut self, value: &Value, interest: Interest, around: &Around, evidence: Evidence) -> Option<Raw> {
        let Range { start, end } = value.range;
        let mut best = None;
        let generic = interest.has(Interest::GENERIC);
        if interest.has(Interest::SECRET) || generic {
            best = self.ask_secret(start, end, around, evidence);
            let first = part(self.text, start, end).iter().position(|byte| matches!(byte, b' ' | b'\t'));
            if let (None, Some(first), false) = (best, first, value.quoted) {
                best = self.ask_secret(start, start + first, around, evidence);
            }
        }
        if interest.has(Interest::IDENTIFIER) || generic {
            best = better(best, self.ask(identifier::judge, start, end, around, evidence));
        }
        best
    }

    /// Asks whether a named value is a secret; without its names, where nobody hears those.
    fn ask_secret(&mut self, start: usize, end: usize, around: &Around, evidence: Evidence) -> Option<Raw> {
        let vocabulary = &self.lexicon.vocabulary;
        let heard = vocabulary.words(&around.name).and(vocabulary.words(&around.names));
        if around.name.is_empty() || heard.has(Interest::HEARD_SECRET) {
            return self.ask(secret::judge, start, end, around, evidence);
        }
        self.ask_alone(start, end, evidence)
    }

    /// Asks whether what no name and no word speaks for is a secret.
    fn ask_alone(&mut self, start: usize, end: usize, evidence: Evidence) -> Option<Raw> {
        if !self.work.spend(64 + (end - start)) {
            return None;
        }
        let (start, value) = utf8_within(self.text, start, end.min(start + 2 * RUN_BYTES));
        raw(&secret::alone(value, self.lexicon.threshold)?, start, value.len(), evidence)
    }

    /// Judges what a named value is an encoded copy of.
    fn judge_copy(&mut self, value: &Value, interest: Interest, around: &Around) -> Option<Raw> {
        let Range { start, end } = value.range;
        let layers = decode::layers(part(self.text, start, end));
        if layers.is_empty() || !self.work.spend(layers.iter().map(Vec::len).sum()) {
            return None;
        }
        let judged = layers.iter().filter_map(|layer| {
            let copy = utf8(layer).trim();
            around.with(|context| {
                let secret = interest.has(Interest::SECRET).then(|| secret::judge(copy, context)).flatten();
                let identifier = interest.has(Interest::IDENTIFIER).then(|| identifier::judge(copy, context)).flatten();
                [secret, identifier].into_iter().flatten().max_by_key(|judged| judged.score)
            })
        });
        let judged = judged.max_by_key(|judged| judged.score)?;
        Some(Raw {
            start,
            end,
            kind: judged.kind,
            score: judged.score,
            evidence: Evidence::NAME.and(Evidence::ENCODED),
        })
    }

    /// One character and one sign in turn.
    #[inline(never)]
    fn spaced(&mut self, place: usize) {
        let Some((end, bytes)) = decode::spaced(self.text, place) else { return };
        self.spaced_end = end;
        if self.depth >= DETECT_DEPTH_MAX || !self.work.spend(bytes.len() + 64) {
            return;
        }
        let around = self.around(place, end);
        let copy = utf8(&bytes);
        let judged = around.with(|context| {
            [secret::judge(copy, context), identifier::judge(copy, context)]
                .into_iter()
                .flatten()
                .max_by_key(|judged| judged.score)
        });
        if let Some(judged) = judged {
            self.keep(Raw { start: place, end, kind: judged.kind, score: judged.score, evidence: Evidence::ENCODED });
        }
    }

    /// Judges what stands from `start` to `end` as an identifier, by its shape and by what stands around it.
    fn identifier(&mut self, start: usize, end: usize) -> Option<Raw> {
        if at(self.text, end) == b'=' && before(self.text, start) == b';' {
            return self.stripe(start, end);
        }
        // Words that nobody hears can only speak against it: what is nothing without them is nothing.
        if !self.is_spoken_for(start, end) {
            let is_nothing = !identifier::may_stand_alone(part(self.text, start, end)) || {
                let (_, value) = utf8_within(self.text, start, end);
                identifier::judge(value, &Context::default()).is_none()
            };
            if is_nothing {
                self.work.spend(64 + (end - start));
                return None;
            }
        }
        let around = self.around(start, end);
        let found = self.ask(identifier::judge, start, end, &around, Evidence::SHAPE);
        found.filter(|found| {
            !identifier::is_card_alone(found.kind, found.score) || !self.is_in_cell(start, end, around.name.is_empty())
        })
    }

    /// The second track of a card's magnetic stripe, with the card's number from `start` to `end`: `;4539578763621486=28102010000012300000?`.
    fn stripe(&mut self, start: usize, end: usize) -> Option<Raw> {
        let rest = self.while_ahead(end + 1, TRACK_BYTES, |byte| byte.is_ascii_digit());
        if rest < end + 1 + TRACK_LEAST {
            return None;
        }
        let mut around = Around::none();
        around.name = self.lexicon.vocabulary.words_of(b"card");
        let card = self.ask(identifier::judge, start, end, &around, Evidence::SHAPE)?;
        self.cluster_end = self.cluster_end.max(rest);
        Some(Raw { start: start - 1, end: rest + usize::from(at(self.text, rest) == b'?'), ..card })
    }

    /// Whether `start..end` fills a cell of a table or, where it has no name, an element or a text in quotes.
    fn is_in_cell(&self, start: usize, end: usize, is_unnamed: bool) -> bool {
        let (left, right) = (before(self.text, start), at(self.text, end));
        let is_edge =
            |byte: u8| matches!(byte, b'\t' | b'|') || is_unnamed && matches!(byte, b';' | b'"' | b'<' | b'>');
        is_edge(left)
            || is_edge(right)
            || left == b' ' && before(self.text, start - 1) == b'|'
            || right == b' ' && at(self.text, end + 1) == b'|'
    }

    /// Whether a word around what stands from `start` to `end` may speak for an identifier that is so long.
    fn is_spoken_for(&mut self, start: usize, end: usize) -> bool {
        let heard = &self.lexicon.heard;
        let mut from = 0;
        let mut lengths = 0;
        if self.is_inside(start) {
            from = self.words_from();
            if self.field.interest.has(Interest::HEARD_IDENTIFIER) {
                lengths = heard.name(self.text, &self.field.name);
            }
        }
        lengths |= heard.around(self.text, start, end, from, self.recent.listened());
        // What is written with signs may be read without some of them.
        let is_bare = part(self.text, start, end).iter().all(u8::is_ascii_alphanumeric);
        if is_bare { end - start < 64 && lengths >> (end - start) & 1 == 1 } else { lengths != 0 }
    }

    /// Judges what stands from `start` to `end` as a secret, by its shape and by what stands around it.
    fn secret(&mut self, start: usize, end: usize) -> Option<Raw> {
        self.secret_among(start, end, &(start..end))
    }

    /// Judges what stands from `start` to `end` as a secret, with what stands around `candidate`.
    fn secret_among(&mut self, start: usize, end: usize, candidate: &Range<usize>) -> Option<Raw> {
        // What has a name is judged by that, and not by the words around. A name that nobody hears says nothing.
        let mut around = Around::none();
        if self.is_inside(candidate.start) && !self.field.interest.has(Interest::HEARD_SECRET) {
            // Words in the value, before the candidate, may say more than its name: `fyi: the api key …`.
            let between = part(self.text, self.field.starts, candidate.start).trim_ascii_start();
            let is_sentence = memchr::memchr(b' ', between).is_some() && memchr::memchr(b'\n', between).is_none();
            if is_sentence {
                around.before = self.words_before(candidate.start, self.field.starts);
            }
            if !self.lexicon.vocabulary.words(&around.before).has(Interest::HEARD_SECRET) {
                return self.ask_alone(start, end, Evidence::SHAPE);
            }
            around.after = self.words_after(candidate.end);
        } else {
            around = self.around(candidate.start, candidate.end);
        }
        self.ask(secret::judge, start, end, &around, Evidence::SHAPE)
    }

    /// Whether `start` is in the value of the last name.
    fn is_inside(&self, start: usize) -> bool {
        let field = &self.field;
        field.starts > 0
            && field.starts <= start
            && start - field.starts < field::VALUE_BYTES
            && match &field.value {
                Some(value) => value.range.start <= start && start < value.range.end,
                None => in_value(part(self.text, field.starts, start)),
            }
    }

    /// Whether `start` is behind the opening of a cell of HTML: what other cells say is not said of it.
    fn is_cell(&self, start: usize) -> bool {
        before(self.text, start) == b'>'
            && part(self.text, start.saturating_sub(4), start).eq_ignore_ascii_case(b"<td>")
    }

    /// From where on words may speak for the value of the last name: the words before `number` say of what, as in `social security number=…`.
    fn words_from(&self) -> usize {
        let Range { start, end } = self.field.name;
        let is_number = || {
            let name = part(self.text, start, end);
            let mut known = identifier::NUMBERS.iter().chain(&["number", "id"]);
            known.any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
        };
        if before(self.text, start) == b' ' && is_number() {
            start.saturating_sub(NAME_WORDS_BYTES)
        } else {
            self.field.starts
        }
    }

    /// What stands around a candidate without a name of its own, or with the last field's.
    fn around(&self, start: usize, end: usize) -> Around {
        let mut around = Around::none();
        let mut from = 0;
        if self.is_inside(start) {
            let name = part(self.text, self.field.name.start, self.field.name.end);
            around.name = self.lexicon.vocabulary.words_of(name);
            from = self.words_from();
        }
        if !self.is_cell(start) {
            around.before = self.words_before(start, from);
            around.after = self.words_after(end);
        }
        around
    }

    /// The words of the sentence or line before `place`, the nearest first, not before `from`.
    fn words_before(&self, place: usize, from: usize) -> Words {
        let range = sentence::before(self.text, place, from);
        Words::before(part(self.text, range.start, range.end))
    }

    fn words_after(&self, place: usize) -> Words {
        let range = sentence::after(self.text, place);
        Words::of(part(self.text, range.start, range.end))
    }

    fn ask(&mut self, judge: Judge, start: usize, end: usize, around: &Around, evidence: Evidence) -> Option<Raw> {
        if !self.work.spend(64 + (end - start)) {
            return None;
        }
        let (start, value) = utf8_within(self.text, start, end.min(start + 2 * RUN_BYTES));
        let judged = around.with(|context| judge(value, context))?;
        raw(&judged, start, value.len(), evidence)
    }

    fn keep(&mut self, raw: Raw) {
        if raw.score >= self.lexicon.threshold {
            self.found.push(raw);
        }
    }

    /// Keeps what was found in a candidate that ends at `end`; with `is_cut`, because no more of it is looked at.
    fn keep_of(&mut self, raw: Raw, end: usize, is_cut: bool) {
        self.work.cut |= is_cut && raw.end >= end && raw.score >= self.lexicon.threshold;
        self.keep(raw);
    }

    fn while_ahead(&self, from: usize, most: usize, holds: impl Fn(u8) -> bool) -> usize {
        from + part(self.text, from, from + most).iter().take_while(|byte| holds(**byte)).count()
    }

    fn while_behind(&self, to: usize, most: usize, holds: impl Fn(u8) -> bool) -> usize {
        to - part(self.text, to.saturating_sub(most), to).iter().rev().take_while(|byte| holds(**byte)).count()
    }
}

/// The most digits behind a card's number on its second track, and the least: a month, and what the card may do.
const TRACK_BYTES: usize = 28;
const TRACK_LEAST: usize = 7;

fn better(one: Option<Raw>, other: Option<Raw>) -> Option<Raw> {
    match (one, other) {
        (Some(one), Some(other)) if other.score > one.score => Some(other),
        (one, other) => one.or(other),
    }
}

fn raw(judged: &Judged, start: usize, length: usize, evidence: Evidence) -> Option<Raw> {
    (judged.start < judged.end && judged.end <= length).then(|| Raw {
        start: start + judged.start,
        end: start + judged.end,
        kind: judged.kind,
        score: judged.score,
        evidence,
    })
}

/// The text between two places, from the first start of a character to the last whole one.
fn utf8_within(text: &[u8], start: usize, end: usize) -> (usize, &str) {
    let skipped = part(text, start, end.min(start + 4)).iter().take_while(|byte| **byte & 0xc0 == 0x80).count();
    let start = start + skipped;
    (start, utf8(part(text, start, end)))
}

const fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// `start..end` without the dots and dashes of a sentence at its end.
fn trimmed(text: &[u8], start: usize, end: usize) -> Range<usize> {
    let behind = part(text, start, end)
        .iter()
        .rev()
        .take_while(|byte| matches!(byte, b'.' | b',' | b'~' | b')' | b':' | b'!'))
        .count();
    start..end - behind
}

/// Names of parts of a name, which are members of that: `{"name":{"family":"…"}}`.
fn is_part_of_name(name: &[u8]) -> bool {
    const PARTS: &[&[u8]] = &[b"family", b"first", b"given", b"last", b"middle"];
    name.len() < 7 && PARTS.iter().any(|part| name.eq_ignore_ascii_case(part))
}

/// Whether a number is one of money or of a part: of a whole and up to two places, or less than one.
fn is_amount(value: &[u8]) -> bool {
    let Some(dot) = value.iter().take(12).position(|byte| *byte == b'.') else { return false };
    let (whole, places) = (part(value, 0, dot), part(value, dot + 1, value.len()));
    let is_digits = |digits: &[u8]| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    is_digits(whole) && is_digits(places) && (places.len() <= 2 || whole == b"0" && places.len() <= 20)
}

fn is_uuid(run: &[u8]) -> bool {
    // The dashes are asked first: most is none of these.
    run.len() == 36
        && [8, 13, 18, 23].iter().all(|place| at(run, *place) == b'-')
        && run.iter().filter(|byte| byte.is_ascii_hexdigit()).count() == 32
}

/// Whether `between`, which starts behind a separator, has not left the value yet.
fn in_value(between: &[u8]) -> bool {
    let trimmed = between.trim_ascii_start();
    match trimmed.first() {
        Some(quote @ (b'"' | b'\'' | b'`')) => memchr::memchr(*quote, part(trimmed, 1, trimmed.len())).is_none(),
        Some(b'{' | b'[') => memchr::memchr3(b'{', b'}', b']', part(trimmed, 1, trimmed.len())).is_none(),
        Some(_) => memchr::memchr3(b'\n', b'"', b',', trimmed).is_none(),
        None => memchr::memchr(b'\n', between).is_none(),
    }
}
