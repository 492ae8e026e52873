//! One pass over a text: from masks of sixty-four bytes to places that may be something, from those to candidates, and to the judges with what stands around them.

mod runs;
mod signs;

use std::ops::Range;

use super::bytes::{at, before, part, text as utf8};
use super::decode;
use super::field::{self, Value};
use super::fold::fold;
use super::judge::{Context, Judged, Kind};
use super::masks::{BLOCK, Masks, rows};
use super::table::{Line, Table};
use super::words::{Interest, Recent, Words};
use super::{Evidence, Lexicon, identifier, secret};
use crate::limits::{DETECT_DEPTH_MAX, DETECT_WORK_MAX};

/// How far back from its event a candidate starts at most, marks of documents aside.
pub(super) const REACH: usize = 1024;

/// The longest run of token characters that is taken as one.
const RUN_BYTES: usize = 8 * 1024;

/// Encoded runs that are longer are texts with findings of their own, not copies of one value.
const COPY_BYTES: usize = 1024;

/// The most secrets of one passage.
const PASSAGES: usize = 8;

/// How far words are looked for before and after a candidate.
const WORDS_BYTES: usize = 96;

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
}

impl Work {
    pub(super) const fn new() -> Self {
        Self { left: DETECT_WORK_MAX, exhausted: false }
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
            self.block(block, &near, in_run, to);
            let runs = rows(Near::ahead(near.current.word, near.next.word), 16);
            in_run = runs >> (BLOCK - 1) & 1 == 1;
            near.previous = near.current;
            near.current = near.next;
            block += BLOCK;
        }
    }

    #[inline]
    fn block(&mut self, block: usize, near: &Near, in_run: bool, to: usize) {
        let Near { previous, current, next } = near;
        let low = |mask: u128| u64::try_from(mask & u128::from(u64::MAX)).unwrap_or(0);
        let word = Near::ahead(current.word, next.word);
        let runs = low(rows(word, 16));
        let runs = runs & !(runs << 1 | u64::from(in_run));
        let digit_starts = current.digit & !(current.digit << 1 | previous.digit >> (BLOCK - 1));
        let digits = Near::ahead(current.digit, next.digit);
        // One character between two signs, eight times.
        let alone = word & !(word << 1 | u128::from(previous.word >> (BLOCK - 1))) & !(word >> 1);
        let spread = alone & alone >> 2;
        let spread = spread & spread >> 4;
        let spread = low(spread & spread >> 8);
        let dashes = low(Near::ahead(current.dash, next.dash) & Near::ahead(current.dash, next.dash) >> 1)
            & !(current.dash << 1 | previous.dash >> (BLOCK - 1));
        let mut events = current.separator | current.at | current.greater | dashes | runs | digit_starts | spread;
        while events != 0 {
            let bit = events.trailing_zeros();
            events &= events - 1;
            let place = block + usize::try_from(bit).unwrap_or(0);
            if place >= to || self.work.exhausted {
                return;
            }
            let has = |mask: u64| mask >> bit & 1 == 1;
            if has(current.separator) {
                let names = u128::from(previous.word) | u128::from(current.word) << BLOCK;
                self.separator(place, names, bit);
                continue;
            }
            if has(runs) {
                self.run(place);
            }
            if has(digit_starts) && place >= self.cluster_end && (digits >> bit & 0xff_ffff).count_ones() >= 4 {
                self.digits(block, bit, near);
            }
            if has(spread) && place >= self.spaced_end {
                self.spaced(place);
            }
            if has(current.at) {
                self.address(place);
            }
            if has(current.greater) {
                self.element(place);
            }
            if has(dashes) {
                self.dashes(place);
            }
        }
    }

    /// `:` or `=` at `place`: a name before it, perhaps, and its value behind it. `names` holds which of the 64 bytes before the block and of those in it are of words.
    #[inline]
    fn separator(&mut self, place: usize, names: u128, bit: u32) {
        let (before_it, after_it) = (before(self.text, place), at(self.text, place + 1));
        let colon = at(self.text, place) == b':';
        match (before_it, after_it) {
            (b'0'..=b'9', b'0'..=b'9') | (_, b':') => return,
            (b':', _) | (_, b'=') if colon => return,
            (b'=' | b'!' | b'<' | b'>' | b'~', _) | (_, b'=') => return,
            (_, b'/') if at(self.text, place + 2) == b'/' => return,
            _ => {}
        }
        // The usual name is one word in quotes: its start is found by counting bits.
        let quoted = matches!(before_it, b'"' | b'\'');
        let end = if quoted { place - 1 } else { place };
        let above = 127 - (64 + bit) + 1 + u32::from(quoted);
        let length = names.checked_shl(above).unwrap_or(0).leading_ones();
        let start = end.saturating_sub(usize::try_from(length).unwrap_or(0));
        let name = if quoted && length > 0 && before(self.text, start) == before_it {
            Some(start..end)
        } else if length > 0
            && !quoted
            && matches!(before(self.text, start), b'\n' | b'&' | b',' | b'{' | b'?' | b';' | 0)
        {
            part(self.text, start, end).iter().any(u8::is_ascii_alphabetic).then_some(start..end)
        } else {
            field::name(self.text, place)
        };
        let Some(name) = name else { return };
        let interest = self.recent.name(&self.lexicon.vocabulary, part(self.text, name.start, name.end));
        // A name in bare words that says nothing does not end the value of one that did: `note: a: b`.
        let (name, interest) = match field::paired(self.text, &name) {
            Some(pair) if interest.has(Interest::GENERIC) => {
                let paired = self.recent.name(&self.lexicon.vocabulary, part(self.text, pair.start, pair.end));
                if paired.is_none() { (name, interest) } else { (pair, paired) }
            }
            _ => (name, interest),
        };
        let interest =
            if interest == Interest::GENERIC && !self.in_container(name.start) { Interest::NONE } else { interest };
        self.field = Field { interest, judged: 0..0, name, value: None, starts: place + 1 };
        if !interest.is_none() {
            self.named(place + 1);
        }
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

    fn value(&mut self, value: &Value) {
        let Range { start, end } = value.range;
        if end - start < 2 {
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
        let mut best = if interest == Interest::GENERIC {
            None
        } else {
            self.judge_value(value, interest, &around, Evidence::NAME)
        };
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
        if best.is_none_or(|best| best.score < self.lexicon.threshold) && interest != Interest::GENERIC {
            best = better(best, self.judge_copy(value, interest, &around));
        }
        if let Some(best) = best {
            self.keep(best);
        }
        self.field.judged = start..end;
    }

    fn judge_value(&mut self, value: &Value, interest: Interest, around: &Around, evidence: Evidence) -> Option<Raw> {
        let Range { start, end } = value.range;
        let mut best = None;
        let generic = interest.has(Interest::GENERIC);
        if interest.has(Interest::SECRET) || generic {
            best = self.ask(secret::judge, start, end, around, evidence);
            let first = part(self.text, start, end).iter().position(|byte| matches!(byte, b' ' | b'\t'));
            if let (None, Some(first), false) = (best, first, value.quoted) {
                best = self.ask(secret::judge, start, start + first, around, evidence);
            }
        }
        if interest.has(Interest::IDENTIFIER) || generic {
            best = better(best, self.ask(identifier::judge, start, end, around, evidence));
        }
        best
    }

    /// Judges what a named value is an encoded copy of.
    fn judge_copy(&mut self, value: &Value, interest: Interest, around: &Around) -> Option<Raw> {
        let Range { start, end } = value.range;
        let decoded = decode::decode(part(self.text, start, end))?;
        if !self.work.spend(decoded.bytes.len()) {
            return None;
        }
        let copy = utf8(&decoded.bytes).trim();
        let judged = around.with(|context| {
            let secret = interest.has(Interest::SECRET).then(|| secret::judge(copy, context)).flatten();
            let identifier = interest.has(Interest::IDENTIFIER).then(|| identifier::judge(copy, context)).flatten();
            [secret, identifier].into_iter().flatten().max_by_key(|judged| judged.score)
        })?;
        Some(Raw {
            start,
            end,
            kind: judged.kind,
            score: judged.score,
            evidence: Evidence::NAME.and(Evidence::ENCODED),
        })
    }

    /// Digits from `bit` of the block on: an identifier's, unless a look at the group that they are in says otherwise.
    #[inline]
    fn digits(&mut self, block: usize, bit: u32, near: &Near) {
        let place = block + usize::try_from(bit).unwrap_or(0);
        let behind = u128::from(near.previous.alnum) | u128::from(near.current.alnum) << BLOCK;
        let length = |bits: u32| usize::try_from(bits).unwrap_or(0);
        let start = place - length(behind.checked_shl(64 - bit).unwrap_or(0).leading_ones()).min(place);
        let ahead = Near::ahead(near.current.alnum, near.next.alnum) >> bit;
        let end = place + length(ahead.trailing_ones());
        self.cluster_end = end;
        if end - start > 100 {
            return;
        }
        let (left, right) = (before(self.text, start), at(self.text, end));
        // Small letters behind the digits; those before them are few where a number follows a word.
        let small = Near::ahead(near.current.lower, near.next.lower) >> bit & !(u128::MAX << (end - place));
        let digits = Near::ahead(near.current.digit, near.next.digit) >> bit;
        let plain = start == place && length(digits.trailing_ones()) == end - start;
        let unnamed = self.field.interest.is_none();
        let alone = matches!(left, b':' | b'"' | b'=' | b',' | b'[' | b' ')
            && matches!(right, b',' | b'}' | b'"' | b']' | b'&' | b'\r' | b'\n');
        if alone && end - start < 8 && unnamed && (left != b' ' || matches!(before(self.text, start - 1), b':' | b','))
            || right == b'_'
            || left == b'_'
        {
            return;
        }
        if left == b'-' && unnamed && is_uuid(part(self.text, start.saturating_sub(9), start + 27)) {
            self.cluster_end = start + 27;
            return;
        }
        if plain {
            // Fractions of numbers.
            if left == b'.'
                && before(self.text, start - 1).is_ascii_digit()
                && !matches!(before(self.text, start.saturating_sub(2)), b'.' | b'0'..=b'9')
                && !matches!(right, b'.' | b'-' | b' ' | b'/')
                && unnamed
            {
                return;
            }
            // Dates and times that stand alone say nothing.
            if end - start == 4 && right == b'-' && unnamed && is_timestamp(part(self.text, start, start + 14)) {
                self.cluster_end = start + 19;
                return;
            }
            if left == b'/' && right != b' ' && end - start < 9 && unnamed {
                return;
            }
        } else if small.count_ones() >= 4 && end - start < 26 {
            return;
        }
        self.cluster(start, end);
    }

    /// The group of letters and digits from `start` to `end`, with those around it.
    fn cluster(&mut self, mut start: usize, mut end: usize) {
        if self.is_no_identifier(start, part(self.text, start, end)) {
            return;
        }
        let mut groups = [(start, end); 16];
        let mut count = 1;
        while let Some((group_start, group_end)) = self.group_ahead(end)
            && let Some(slot) = groups.get_mut(count)
            && group_end - start <= 96
        {
            *slot = (group_start, group_end);
            count += 1;
            end = group_end;
        }
        self.cluster_end = end;
        while let Some(group_start) = self.group_behind(start)
            && end - group_start <= 96
        {
            start = group_start;
        }
        if matches!(before(self.text, start), b'+' | b'(') {
            start -= 1;
            if before(self.text, start) == b'+' {
                start -= 1;
            }
        }
        let judged = self.field.judged.clone();
        if judged.start <= start && end <= judged.end && end - start + 2 >= judged.len() {
            return;
        }
        let around = self.around(start, end);
        let whole = self.ask(identifier::judge, start, end, &around, Evidence::SHAPE);
        if let Some(whole) = whole {
            self.keep(whole);
        }
        if count > 1 && whole.is_none_or(|whole| whole.score < SURE) {
            self.parts(groups.get(..count).unwrap_or_default());
        }
    }

    /// Digests, ids of machines and random text: groups that no identifier has.
    fn is_no_identifier(&self, start: usize, group: &[u8]) -> bool {
        if group.len() == 8 && at(self.text, start + 8) == b'-' && is_uuid(part(self.text, start, start + 36)) {
            return true;
        }
        let small = group.iter().filter(|byte| byte.is_ascii_lowercase()).count();
        small >= 4 && group.len() < 26
            || matches!(group.len(), 32 | 40 | 64 | 128) && group.iter().all(u8::is_ascii_hexdigit)
    }

    /// Judges what spaces separate by itself.
    fn parts(&mut self, groups: &[(usize, usize)]) {
        let mut index = 0;
        while let Some((start, mut end)) = groups.get(index).copied() {
            index += 1;
            while let Some((next, next_end)) = groups.get(index).copied() {
                if at(self.text, end) == b' ' {
                    break;
                }
                end = next_end.max(next);
                index += 1;
            }
            if end - start >= 6 {
                let around = self.around(start, end);
                if let Some(found) = self.ask(identifier::judge, start, end, &around, Evidence::SHAPE) {
                    self.keep(found);
                }
            }
        }
    }

    /// The group behind a single separator at `end`.
    fn group_ahead(&self, end: usize) -> Option<(usize, usize)> {
        let mut start = end;
        let first = at(self.text, start);
        if !matches!(first, b' ' | b'-' | b'.' | b'/' | b':' | b'(' | b')') {
            return None;
        }
        start += 1;
        if matches!(at(self.text, start), b' ' | b'(' | b'-') && first != b' '
            || first == b' ' && at(self.text, start) == b'('
        {
            start += 1;
        }
        let end = self.while_ahead(start, 64, |byte| byte.is_ascii_alphanumeric());
        is_group(part(self.text, start, end)).then_some((start, end))
    }

    fn group_behind(&self, start: usize) -> Option<usize> {
        let last = before(self.text, start);
        if !matches!(last, b' ' | b'-' | b'.' | b'/' | b')' | b'(' | b':') {
            return None;
        }
        let mut end = start - 1;
        if last == b' ' && before(self.text, end) == b')' || last == b'(' && before(self.text, end) == b' ' {
            end -= 1;
        }
        let start = self.while_behind(end, 64, |byte| byte.is_ascii_alphanumeric());
        let group = part(self.text, start, end);
        (is_group(group) && !matches!(before(self.text, start), b'_' | b'.')).then_some(start)
    }

    /// One character and one sign in turn.
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
                *table = Table::begin(&line, |name| self.recent.name(&self.lexicon.vocabulary, name));
            }
            start = next;
        }
    }

    /// What stands around a candidate without a name of its own, or with the last field's.
    fn around(&self, start: usize, end: usize) -> Around {
        let mut around = Around::none();
        let mut from = 0;
        let field = &self.field;
        if field.starts > 0 && field.starts <= start && start - field.starts < field::VALUE_BYTES {
            let inside = match &field.value {
                Some(value) => value.range.start <= start && start < value.range.end,
                None => in_value(part(self.text, field.starts, start)),
            };
            if inside {
                around.name = Words::of(part(self.text, field.name.start, field.name.end));
                from = field.starts;
            }
        }
        around.before = self.words_before(start, from);
        around.after = self.words_after(end);
        around
    }

    /// The words of the sentence or line before `place`, the nearest first, not before `from`.
    fn words_before(&self, place: usize, from: usize) -> Words {
        let from = from.max(place.saturating_sub(WORDS_BYTES));
        let before = part(self.text, from, place);
        let mut start = before.len();
        let mut lines = 0;
        while let Some(index) = start.checked_sub(1) {
            let byte = at(before, index);
            if byte == b'\n' {
                // A label may have its value on the next line.
                let rest = part(before, start, before.len());
                if lines > 0
                    || !rest.iter().all(|byte| byte.is_ascii_whitespace() || matches!(byte, b'>' | b'-' | b'*' | b'|'))
                {
                    break;
                }
                lines += 1;
            } else if matches!(byte, b'.' | b'!' | b'?') && at(before, start) == b' ' && !is_abbreviation(before, index)
            {
                break;
            }
            start = index;
        }
        Words::before(part(before, start, before.len()))
    }

    fn words_after(&self, place: usize) -> Words {
        let after = part(self.text, place, place + WORDS_BYTES / 2);
        let end = after
            .iter()
            .enumerate()
            .position(|(index, byte)| {
                matches!(byte, b'\n' | b'"') || matches!(byte, b'.' | b'!' | b'?') && at(after, index + 1) == b' '
            })
            .unwrap_or(after.len());
        Words::of(part(after, 0, end))
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

/// Letters and digits of which an identifier may be made: some digits, or a few capitals.
fn is_group(group: &[u8]) -> bool {
    !group.is_empty()
        && group.len() <= 40
        && (group.iter().any(u8::is_ascii_digit)
            || group.len() <= 4 && group.iter().all(u8::is_ascii_uppercase)
            || group.len() == 1 && group != b"a")
}

/// Whether a text starts with `YYYY-MM-DDT` or `YYYY-MM-DD hh:`.
fn is_timestamp(text: &[u8]) -> bool {
    let digit = |place: usize| at(text, place).is_ascii_digit();
    let dash = |place: usize| at(text, place) == b'-';
    let date = digit(0)
        && digit(1)
        && digit(2)
        && digit(3)
        && dash(4)
        && digit(5)
        && digit(6)
        && dash(7)
        && digit(8)
        && digit(9);
    date && (at(text, 10) == b'T' || at(text, 10) == b' ' && digit(11) && digit(12) && at(text, 13) == b':')
}

fn is_uuid(run: &[u8]) -> bool {
    run.len() == 36
        && run.iter().enumerate().all(|(place, byte)| {
            if matches!(place, 8 | 13 | 18 | 23) { *byte == b'-' } else { byte.is_ascii_hexdigit() }
        })
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

/// `no.`, `Nr.`, `St.`: a dot that ends no sentence.
fn is_abbreviation(text: &[u8], dot: usize) -> bool {
    let letters =
        part(text, dot.saturating_sub(4), dot).iter().rev().take_while(|byte| byte.is_ascii_alphabetic()).count();
    (1..=3).contains(&letters)
}
