//! One pass over a text: from masks of sixty-four bytes to places that may be something, from those to candidates, and to the judges with what stands around them.

mod numbers;
mod runs;
mod signs;

use std::ops::Range;

use super::bytes::{at, before, part, text as utf8};
use super::decode;
use super::field::{self, Value};
use super::fold::fold;
use super::judge::{Context, Judged, Kind};
use super::masks::{self, BLOCK, Masks, rows};
use super::table::{Line, Table};
use super::words::{Interest, Recent, Words};
use super::{Evidence, Lexicon, identifier, secret, sentence};
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
    if depth < DETECT_DEPTH_MAX
        && let Some(folded) = fold(text)
    {
        if !work.spend(folded.bytes.len() / 16) {
            return Vec::new();
        }
        let map = &folded.map;
        let mut found =
            look(&folded.bytes, map.here(own.start)..map.here(own.end), lexicon, recent, work, table, depth + 1);
        for raw in &mut found {
            (raw.start, raw.end) = (map.start(raw.start), map.end(raw.end));
        }
        return found;
    }
    let mut pass = Pass {
        text,
        lexicon,
        recent,
        work,
        depth,
        field: Field::default(),
        container: None,
        cluster_end: 0,
        run_end: 0,
        spaced_end: 0,
        found: Vec::new(),
    };
    pass.rows(&own, table);
    let (from, to) = (own.start.saturating_sub(REACH / 4), (own.end + REACH).min(text.len()));
    pass.events(from, to);
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
struct Near {
    previous: Masks,
    current: Masks,
    next: Masks,
}

impl Near {
    const fn ahead(current: u64, next: u64) -> u128 {
        current as u128 | (next as u128) << BLOCK
    }
}

impl Pass<'_> {
    /// Walks over the blocks from `from` to `to`.
    fn events(&mut self, from: usize, to: usize) {
        let mut block = from - from % BLOCK;
        let previous = block.checked_sub(BLOCK).map_or_else(Masks::default, |before| Masks::of(self.text, before));
        let mut near = Near { previous, current: Masks::of(self.text, block), next: Masks::default() };
        let mut in_run = false;
        while block < to && !self.work.exhausted {
            near.next = Masks::of(self.text, block + BLOCK);
            in_run = self.block(block, &near, in_run, to);
            near.previous = near.current;
            near.current = near.next;
            block += BLOCK;
        }
    }

    /// Takes each place of a block that may be something to a candidate. Says whether a run that was seen goes on behind the block.
    #[inline]
    fn block(&mut self, block: usize, near: &Near, in_run: bool, to: usize) -> bool {
        let Near { previous, current, next } = near;
        let low = |mask: u128| u64::try_from(mask & u128::from(u64::MAX)).unwrap_or(0);
        let word = Near::ahead(current.word, next.word);
        let all_runs = low(rows(word, 16));
        let runs = all_runs & !(all_runs << 1 | u64::from(in_run));
        let digit_starts = current.digit & !(current.digit << 1 | previous.digit >> (BLOCK - 1));
        let alone = current.word
            & !(current.word << 1 | previous.word >> (BLOCK - 1))
            & !(current.word >> 1 | next.word << (BLOCK - 1));
        let spread = if alone & alone >> 2 == 0 && alone >> (BLOCK - 2) == 0 {
            0
        } else {
            // One character between two signs, eight times.
            let alone = word & !(word << 1 | u128::from(previous.word >> (BLOCK - 1))) & !(word >> 1);
            let spread = alone & alone >> 2;
            let spread = spread & spread >> 4;
            low(spread & spread >> 8)
        };
        let dashes = current.dash & (current.dash >> 1 | next.dash << (BLOCK - 1));
        let dashes = dashes & !(current.dash << 1 | previous.dash >> (BLOCK - 1));
        let others = current.sign | dashes | runs | spread;
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
            if place >= to || self.work.exhausted {
                break;
            }
            if current.sign & here != 0 {
                // What the byte before it is, and which of the 64 before that are of words.
                let is_quoted = masks::ahead(previous.quote, current.quote, bit) >> (BLOCK - 1) == 1;
                match at(self.text, place) {
                    b':' if is_quoted => self.member(place, masks::ahead(previous.word, current.word, bit) << 1),
                    b':' | b'=' => {
                        // Which of the 64 bytes before the sign are of words; the last is the one before it.
                        self.separator(place, masks::ahead(previous.word, current.word, bit));
                    }
                    b'@' => self.address(place),
                    b'>' => self.element(place),
                    _ => {}
                }
                continue;
            }
            let digits = masks::ahead(current.digit, next.digit, bit);
            if runs & here != 0 && place >= self.run_end {
                self.run(place, masks::ahead(current.word, next.word, bit), digits);
                events &= others | passed(self.cluster_end);
            }
            if digit_starts & here != 0 && place >= self.cluster_end && (digits as u32 & 0xff_ffff).count_ones() >= 4 {
                self.digits(block, bit, near);
                events &= others | passed(self.cluster_end);
            }
            if spread & here != 0 && place >= self.spaced_end {
                self.spaced(place);
            }
            if dashes & here != 0 {
                self.dashes(place);
            }
        }
        all_runs >> (BLOCK - 1) == 1
    }

    /// `:` at `place` behind a `"`: a name of one word before it, mostly. `words` holds which of the 64 bytes before the `"` are of words.
    #[inline]
    fn member(&mut self, place: usize, words: u64) {
        let length = words.leading_ones() as usize;
        let start = place.saturating_sub(1 + length);
        let after_it = at(self.text, place + 1);
        let is_one = length > 0 && before(self.text, start) == b'"' && !matches!(after_it, b':' | b'=' | b'/');
        if !is_one {
            self.separator(place, words >> 1);
            return;
        }
        self.value_of(place, start..place - 1, after_it != b'"');
    }

    /// `:` or `=` at `place`: a name before it, perhaps, and its value behind it. `words` holds which of the 64 bytes before it are of words.
    #[inline(never)]
    fn separator(&mut self, place: usize, words: u64) {
        let [before_it, sign, after_it, then] = match place
            .checked_sub(1)
            .and_then(|from| self.text.get(from..place + 3))
        {
            Some([before_it, sign, after_it, then]) => [*before_it, *sign, *after_it, *then],
            _ => [before(self.text, place), at(self.text, place), at(self.text, place + 1), at(self.text, place + 2)],
        };
        let colon = sign == b':';
        match (before_it, after_it) {
            (b'0'..=b'9', b'0'..=b'9') | (_, b':') => return,
            (b':', _) | (_, b'=') if colon => return,
            (b'=' | b'!' | b'<' | b'>' | b'~', _) | (_, b'=') => return,
            (_, b'/') if then == b'/' => return,
            // The end of a line of base64.
            (_, b'\n' | b'\r') if !colon => {
                self.field = Field::default();
                return;
            }
            _ => {}
        }
        // The usual name is one word in quotes: its start is found by counting bits.
        let quoted = matches!(before_it, b'"' | b'\'');
        let (end, words) = if quoted { (place - 1, words << 1) } else { (place, words) };
        let length = words.leading_ones() as usize;
        let start = end - length.min(end);
        let first = before(self.text, start);
        let name = if quoted && length > 0 && first == before_it {
            Some(start..end)
        } else if length > 0 && !quoted && matches!(first, b'\n' | b'&' | b',' | b'{' | b'?' | b';' | 0) {
            part(self.text, start, end).iter().any(u8::is_ascii_alphabetic).then_some(start..end)
        } else {
            field::name(self.text, place)
        };
        let Some(name) = name else { return };
        self.value_of(place, name, quoted);
    }

    /// The value behind the separator at `place`, of the name at `name`. With `may_be_literal`, one that is a literal of JSON is not looked at.
    #[inline]
    fn value_of(&mut self, place: usize, name: Range<usize>, may_be_literal: bool) {
        if may_be_literal && self.is_literal(place + 1) {
            self.field =
                Field { interest: Interest::NONE.unknown(), judged: 0..0, name, value: None, starts: place + 1 };
            return;
        }
        let interest = self.recent.name(&self.lexicon.vocabulary, self.text, &name);
        let (name, interest) = match interest.has(Interest::GENERIC).then(|| field::paired(self.text, &name)).flatten()
        {
            Some(pair) => {
                let paired = self.recent.name(&self.lexicon.vocabulary, self.text, &pair);
                if paired.is_none() { (name, interest) } else { (pair, paired) }
            }
            None => (name, interest),
        };
        let interest =
            if interest.is_generic() && !self.in_container(name.start) { interest.heard() } else { interest };
        self.field = Field { interest, judged: 0..0, name, value: None, starts: place + 1 };
        if !interest.is_none() {
            self.named(place + 1);
        }
    }

    /// Whether the value behind `from` is `null`, `true`, `false` or a digit, whatever its name.
    #[inline]
    fn is_literal(&self, from: usize) -> bool {
        let from = from + usize::from(at(self.text, from) == b' ');
        let length = match self.text.get(from..).and_then(|value| value.first_chunk::<5>()) {
            Some([b'n', b'u', b'l', b'l', _] | [b't', b'r', b'u', b'e', _]) => 4,
            Some([b'f', b'a', b'l', b's', b'e']) => 5,
            Some([b'0'..=b'9', ..]) => 1,
            _ => return false,
        };
        matches!(at(self.text, from + length), b',' | b'}' | b']')
    }

    /// Judges the value behind `from` with the field's name.
    fn named(&mut self, from: usize) {
        let value = field::value(self.text, from);
        if value.range.is_empty() {
            self.container = Some(self.field.name.start);
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

    /// Whether an object or list with a name that matters may be around `place`.
    fn in_container(&self, place: usize) -> bool {
        self.container.is_some_and(|container| place.saturating_sub(container) <= field::AROUND_BYTES)
    }

    #[inline(never)]
    fn value(&mut self, value: &Value) {
        let Range { start, end } = value.range;
        if end - start < 2 || !value.quoted && is_amount(part(self.text, start, end)) {
            return;
        }
        let name = self.field.name.clone();
        let interest = self.field.interest;
        let in_container = self.in_container(name.start);
        let mut around = Around::none();
        around.name = Words::of(part(self.text, name.start, name.end));
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
                around.names = Words::of(&joined);
                let again = self.judge_value(value, interest, &around, Evidence::NAME.and(Evidence::NAMES_AROUND));
                best = better(best, again);
            }
        }
        if best.is_none_or(|best| best.score < self.lexicon.threshold) && !interest.is_generic() {
            best = better(best, self.judge_copy(value, interest, &around));
        }
        if let Some(best) = best {
            self.keep_of(best, end, end - start >= field::VALUE_BYTES);
        }
        // A name that says nothing, with none around it that does: its value is looked at by its shape.
        if in_container || !interest.is_generic() {
            self.field.judged = start..end;
        }
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

    /// Rows of tables: the columns' names are the names of what stands in them.
    fn rows(&mut self, own: &Range<usize>, table: &mut Option<Table>) {
        let behind = self.while_behind(own.start, REACH, |byte| byte != b'\n');
        let mut start = behind;
        while start < own.end && !self.work.exhausted {
            let line = Line::at(self.text, start);
            let next = line.next;
            if let Some(known) = table.as_ref().filter(|known| known.fits(&line)) {
                for (name, interest, range) in known.cells(&line) {
                    let around = Around { name: Words::of(name), ..Around::none() };
                    let value = Value { range, quoted: true };
                    if value.range.len() >= 2
                        && let Some(found) = self.judge_value(&value, interest, &around, Evidence::COLUMN)
                    {
                        self.keep(found);
                    }
                }
            } else if start >= own.start {
                *table = Table::begin(&line, |name| self.recent.name(&self.lexicon.vocabulary, name, &(0..name.len())));
            }
            start = next;
        }
    }

    /// Judges what stands from `start` to `end` as an identifier, by its shape and by what stands around it.
    fn identifier(&mut self, start: usize, end: usize) -> Option<Raw> {
        // Words that nobody hears can only speak against it: what is nothing without them is nothing.
        if !self.is_spoken_for(start, end) || !self.hears(start, end) {
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
        self.ask(identifier::judge, start, end, &around, Evidence::SHAPE)
    }

    /// Whether a word around what stands from `start` to `end` may speak for an identifier that is so long.
    fn is_spoken_for(&self, start: usize, end: usize) -> bool {
        let heard = &self.lexicon.heard;
        let mut from = 0;
        let mut lengths = 0;
        if self.is_inside(start) {
            from = self.field.starts;
            if self.field.interest.has(Interest::HEARD_IDENTIFIER) {
                lengths = heard.name(self.text, &self.field.name);
            }
        }
        lengths |= heard.around(self.text, start, end, from);
        // What is written with signs may be read without some of them.
        let is_bare = part(self.text, start, end).iter().all(u8::is_ascii_alphanumeric);
        if is_bare { end - start < 64 && lengths >> (end - start) & 1 == 1 } else { lengths != 0 }
    }

    /// Whether a word that the vocabulary has for identifiers is around what stands from `start` to `end`. Few candidates come so far.
    fn hears(&self, start: usize, end: usize) -> bool {
        let heard = Interest::HEARD_IDENTIFIER;
        let is_inside = self.is_inside(start);
        if is_inside && self.field.interest.has(heard) {
            return true;
        }
        let vocabulary = &self.lexicon.vocabulary;
        let before = sentence::before(self.text, start, if is_inside { self.field.starts } else { 0 });
        let after = sentence::after(self.text, end);
        let (before, after) = (part(self.text, before.start, before.end), part(self.text, after.start, after.end));
        // A word that the candidate starts with may go on with what the last word before it begins.
        let begins = at(self.text, start).is_ascii_alphabetic();
        let heard_before = if begins { heard.and(Interest::BEGINS) } else { heard };
        before.iter().any(u8::is_ascii_alphabetic) && vocabulary.words(&Words::before(before)).has(heard_before)
            || after.iter().any(u8::is_ascii_alphabetic) && vocabulary.words(&Words::of(after)).has(heard)
    }

    /// Judges what stands from `start` to `end` as a secret, by its shape and by what stands around it.
    fn secret(&mut self, start: usize, end: usize) -> Option<Raw> {
        self.secret_among(start, end, &(start..end))
    }

    /// Judges what stands from `start` to `end` as a secret, with what stands around `candidate`.
    fn secret_among(&mut self, start: usize, end: usize, candidate: &Range<usize>) -> Option<Raw> {
        // What has a name is judged by that, and not by the words around. A name that nobody hears says nothing.
        if self.is_inside(candidate.start) && !self.field.interest.has(Interest::HEARD_SECRET) {
            return self.ask_alone(start, end, Evidence::SHAPE);
        }
        let around = self.around(candidate.start, candidate.end);
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

    /// What stands around a candidate without a name of its own, or with the last field's.
    fn around(&self, start: usize, end: usize) -> Around {
        let mut around = Around::none();
        let mut from = 0;
        if self.is_inside(start) {
            around.name = Words::of(part(self.text, self.field.name.start, self.field.name.end));
            from = self.field.starts;
        }
        around.before = self.words_before(start, from);
        around.after = self.words_after(end);
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
