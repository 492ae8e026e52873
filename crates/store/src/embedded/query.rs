//! Filters over the index: sets of records, block by block.
//!
//! Where the index cannot tell, a plan gives a wider and a narrower set: what may match, and what surely does. The difference is read from the log.

use std::cell::OnceCell;
use std::collections::HashSet;
use std::rc::Rc;

use evidence::filter::{Along, Argument, Field, Filter, IdRange, Join, Pattern, Span, Term};
use evidence::ids::CallId;
use evidence::time::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

use super::bits::Bits;
use super::index::{signed, unsigned};
use super::writer::{PLACE_BYTES, Place, block};
use crate::ledger::log::Spot;
use crate::ledger::postings::{LONG_WORD, words};
use crate::limits::{INDEX_BLOCK_RECORDS, INDEX_CHUNK_RECORDS, INDEX_LOOKUPS_MAX};
use crate::ports::IndexError;

/// Which records come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// From the start of the log.
    OldestFirst,
    /// From its end.
    NewestFirst,
}

/// Calls, runs, approvals or exceptions, by what the index knows them by: the first record of a call, the number of the term of any other.
#[derive(Debug, Default)]
pub(super) struct Marks {
    words: Vec<u64>,
}

impl Marks {
    pub(super) fn insert(&mut self, number: u64) {
        let at = (number / 64) as usize;
        if at >= self.words.len() {
            self.words.resize(at + 1, 0);
        }
        if let Some(word) = self.words.get_mut(at) {
            *word |= 1 << (number % 64);
        }
    }

    pub(super) fn contains(&self, number: u64) -> bool {
        self.words.get((number / 64) as usize).is_some_and(|word| word >> (number % 64) & 1 == 1)
    }
}

/// What a filter means for the index.
#[derive(Debug)]
pub(super) enum Plan {
    All(Vec<Plan>),
    Any(Vec<Plan>),
    Not(Box<Plan>),
    /// Records that have one of these terms.
    Terms(Vec<u32>),
    /// Records with numbers in these ranges, both ends included.
    Numbers(Vec<(u64, u64)>),
    /// Records with these numbers, in order.
    Records(Vec<u64>),
    /// Records that have a call.
    Called,
    /// Records whose call, run, approval or exception is marked.
    Marked(Along, Rc<Marks>),
    /// All of the first that match are in it, and all of the second match.
    Between(Box<Plan>, Box<Plan>),
}

impl Plan {
    /// The numbers of the first and the last record that may be in it.
    pub(super) fn reach(&self) -> (u64, u64) {
        match self {
            Self::All(plans) => plans
                .iter()
                .map(Self::reach)
                .fold((1, u64::MAX), |(low, high), (from, to)| (low.max(from), high.min(to))),
            Self::Any(plans) => plans
                .iter()
                .map(Self::reach)
                .fold((u64::MAX, 0), |(low, high), (from, to)| (low.min(from), high.max(to))),
            Self::Numbers(ranges) => {
                ranges.iter().fold((u64::MAX, 0), |(low, high), (from, to)| (low.min(*from), high.max(*to)))
            }
            Self::Records(records) => {
                (records.first().copied().unwrap_or(u64::MAX), records.last().copied().unwrap_or(0))
            }
            Self::Between(wider, _) => wider.reach(),
            Self::Not(_) | Self::Terms(_) | Self::Called | Self::Marked(..) => (1, u64::MAX),
        }
    }
}

/// Which way a set may err.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bound {
    /// Everything that matches, and maybe more.
    Wider,
    /// Only what matches, and maybe not all of it.
    Narrower,
}

impl Bound {
    const fn reversed(self) -> Self {
        match self {
            Self::Narrower => Self::Wider,
            Self::Wider => Self::Narrower,
        }
    }
}

/// Makes plans: looks values up in the index.
pub(super) struct Planner<'a> {
    pub(super) connection: &'a Connection,
    /// What each join of the filter has marked.
    pub(super) marks: &'a dyn Fn(&Join) -> Option<Rc<Marks>>,
}

impl Planner<'_> {
    pub(super) fn plan(&self, filter: &Filter) -> Result<Plan, IndexError> {
        let each = |filters: &[Filter]| filters.iter().map(|filter| self.plan(filter)).collect::<Result<Vec<_>, _>>();
        Ok(match filter {
            Filter::And(all) => Plan::All(each(all)?),
            Filter::Or(any) => Plan::Any(each(any)?),
            Filter::Not(filter) => Plan::Not(Box::new(self.plan(filter)?)),
            Filter::Join(join) => match (self.marks)(join) {
                Some(marks) => Plan::Marked(join.along, marks),
                None => unsure(),
            },
            Filter::Term(term) => self.term(term)?,
        })
    }

    fn term(&self, term: &Term) -> Result<Plan, IndexError> {
        Ok(match term {
            Term::Type(types) => self.values(Field::Type, &exactly(types, |word| word.as_str()))?,
            Term::Kind(kinds) => self.values(Field::Kind, &exactly(kinds, |word| word.as_str()))?,
            Term::Value(field, patterns) => self.values(*field, patterns)?,
            Term::Argument(arguments) => self.arguments(arguments)?,
            Term::Text(patterns) => Plan::Any(patterns.iter().map(|text| self.text(text)).collect::<Result<_, _>>()?),
            Term::Call(ids) => self.calls(ids)?,
            Term::Run(ids) => self.ids(Field::Run, ids)?,
            Term::Session(ids) => self.ids(Field::Session, ids)?,
            Term::Approval(ids) => self.ids(Field::Approval, ids)?,
            Term::Exception(ids) => self.ids(Field::Exception, ids)?,
            Term::After(at) => self.since(*at)?,
            Term::Before(at) => Plan::Not(Box::new(self.since(*at)?)),
            Term::On(spans) => Plan::Any(spans.iter().map(|span| self.span(*span)).collect::<Result<_, _>>()?),
            Term::Seq(ranges) => Plan::Numbers(ranges.iter().map(|range| (range.low, range.high)).collect()),
        })
    }

    /// Records with a value of the field that is like one of the patterns.
    fn values(&self, field: Field, patterns: &[Pattern]) -> Result<Plan, IndexError> {
        let mut terms = Vec::new();
        for pattern in patterns {
            terms.extend(self.terms(field, pattern)?);
        }
        terms.sort_unstable();
        terms.dedup();
        Ok(Plan::Terms(terms))
    }

    /// Records with an argument of that name; what its value is, only the record says.
    fn arguments(&self, arguments: &[Argument]) -> Result<Plan, IndexError> {
        let names: Vec<Pattern> = arguments.iter().map(|argument| argument.name.clone()).collect();
        let untested = arguments.iter().filter(|argument| argument.test.is_none());
        let untested: Vec<Pattern> = untested.map(|argument| argument.name.clone()).collect();
        let (wider, narrower) = (self.values(Field::Argument, &names)?, self.values(Field::Argument, &untested)?);
        Ok(Plan::Between(Box::new(wider), Box::new(narrower)))
    }

    fn terms(&self, field: Field, pattern: &Pattern) -> Result<Vec<u32>, IndexError> {
        if let Some(text) = pattern.exact() {
            let mut statement =
                self.connection.prepare_cached("SELECT term FROM terms WHERE field = ?1 AND value = ?2")?;
            let term = statement.query_row(params![field.name(), text], |row| row.get(0)).optional()?;
            return Ok(term.into_iter().collect());
        }
        // From the literal start on, as long as values start so.
        let start = pattern.segments().first().map_or("", String::as_str);
        let mut statement = self
            .connection
            .prepare_cached("SELECT term, value FROM terms WHERE field = ?1 AND value >= ?2 ORDER BY value")?;
        let mut rows = statement.query(params![field.name(), start])?;
        let mut terms = Vec::new();
        while let Some(row) = rows.next()? {
            let value: String = row.get(1)?;
            if !value.starts_with(start) {
                break;
            }
            if pattern.matches(&value) {
                terms.push(row.get(0)?);
            }
        }
        Ok(terms)
    }

    /// Records with a sentence like `text`: each of its words is part of a word there, and that is all if it is one word.
    fn text(&self, text: &Pattern) -> Result<Plan, IndexError> {
        let mut found = Vec::new();
        let mut needed = 0;
        for segment in text.segments() {
            words(segment, |word| {
                needed += 1;
                if word != LONG_WORD {
                    found.push(self.holding(word));
                }
            });
        }
        let found = found.into_iter().collect::<Result<Vec<_>, _>>()?;
        let long = || self.terms(Field::Text, &Pattern::exactly(LONG_WORD)).map(Plan::Terms);
        let is_one_word = needed == 1
            && matches!(text.segments(), [first, word, last]
                if first.is_empty() && last.is_empty() && word.chars().all(char::is_alphanumeric));
        let surely = match found.as_slice() {
            [terms] if is_one_word => Plan::Terms(terms.clone()),
            _ => Plan::Any(Vec::new()),
        };
        let mut all = Vec::new();
        for terms in found {
            all.push(Plan::Any(vec![Plan::Terms(terms), long()?]));
        }
        Ok(Plan::Between(Box::new(Plan::All(all)), Box::new(surely)))
    }

    /// The words that hold `part`.
    fn holding(&self, part: &str) -> Result<Vec<u32>, IndexError> {
        let mut statement = self.connection.prepare_cached("SELECT term, value FROM terms WHERE field = ?1")?;
        let mut rows = statement.query([Field::Text.name()])?;
        let mut terms = Vec::new();
        while let Some(row) = rows.next()? {
            if row.get_ref(1)?.as_str().is_ok_and(|value| value.contains(part)) {
                terms.push(row.get(0)?);
            }
        }
        Ok(terms)
    }

    /// Identifiers are texts whose order is theirs.
    fn ids<T: std::fmt::Display>(&self, field: Field, ids: &[IdRange<T>]) -> Result<Plan, IndexError> {
        let mut statement = self
            .connection
            .prepare_cached("SELECT term FROM terms WHERE field = ?1 AND value BETWEEN ?2 AND ?3 ORDER BY term")?;
        let mut terms = Vec::new();
        for range in ids {
            let (low, high) = (range.low.to_string(), range.high.to_string());
            let rows = statement.query_map(params![field.name(), low, high], |row| row.get(0))?;
            terms.extend(rows.collect::<Result<Vec<u32>, _>>()?);
        }
        Ok(Plan::Terms(terms))
    }

    fn calls(&self, ids: &[IdRange<CallId>]) -> Result<Plan, IndexError> {
        if ids.iter().any(|range| *range.low.as_bytes() == [0; 16] && *range.high.as_bytes() == [0xff; 16]) {
            return Ok(Plan::Called);
        }
        let mut statement = self.connection.prepare_cached(
            "SELECT decision_seq, intent_seq, outcome_seq, NULL FROM calls WHERE call BETWEEN ?1 AND ?2
             UNION ALL SELECT NULL, NULL, NULL, seq FROM strays WHERE call BETWEEN ?1 AND ?2",
        )?;
        let mut records = Vec::new();
        for range in ids {
            let mut rows = statement.query([range.low.as_bytes(), range.high.as_bytes()])?;
            while let Some(row) = rows.next()? {
                for column in 0..4 {
                    records.extend(row.get::<_, Option<i64>>(column)?.map(unsigned));
                }
            }
        }
        records.sort_unstable();
        records.dedup();
        Ok(Plan::Records(records))
    }

    /// Records that were taken at `at` or later: surely all of the chunks that begin then, maybe some of the chunk before.
    fn since(&self, at: Timestamp) -> Result<Plan, IndexError> {
        let chunks: Option<i64> = self.connection.query_row("SELECT max(chunk) FROM places", [], |row| row.get(0))?;
        let begins = |chunk: u64| -> Result<bool, IndexError> {
            let mut statement = self.connection.prepare_cached("SELECT at FROM places WHERE chunk = ?1")?;
            let begins: Option<i64> = statement.query_row([signed(chunk)], |row| row.get(0)).optional()?;
            Ok(begins.is_none_or(|begins| begins >= at.micros()))
        };
        // Ledger time never goes back: the first chunk that begins then is found by halving.
        let (mut low, mut high) = (0, chunks.map_or(0, |last| unsigned(last) + 1));
        while low < high {
            let middle = low.midpoint(high);
            if begins(middle)? { high = middle } else { low = middle + 1 }
        }
        let from = |chunk: u64| Plan::Numbers(vec![(chunk * INDEX_CHUNK_RECORDS + 1, u64::MAX)]);
        Ok(Plan::Between(Box::new(from(low.saturating_sub(1))), Box::new(from(low))))
    }

    fn span(&self, span: Span) -> Result<Plan, IndexError> {
        let after = self.since(span.until.plus_micros(1))?;
        // The last moment that there is has none after it.
        let after = if span.until.plus_micros(1) == span.until { Plan::Any(Vec::new()) } else { after };
        Ok(Plan::All(vec![self.since(span.from)?, Plan::Not(Box::new(after))]))
    }
}

fn exactly<T: Copy>(words: &[T], spell: fn(T) -> &'static str) -> Vec<Pattern> {
    words.iter().map(|word| Pattern::exactly(spell(*word))).collect()
}

/// Anything may match, and nothing surely does.
fn unsure() -> Plan {
    Plan::Between(Box::new(Plan::All(Vec::new())), Box::new(Plan::Any(Vec::new())))
}

/// A block of the index, as far as it is written.
pub(super) struct Block<'a> {
    connection: &'a Connection,
    number: u64,
    /// How many records it has.
    length: u64,
    places: OnceCell<Vec<Place>>,
}

impl<'a> Block<'a> {
    /// The block with this number of an index of so many records.
    pub(super) fn new(connection: &'a Connection, number: u64, records: u64) -> Self {
        let length = records.saturating_sub(number * INDEX_BLOCK_RECORDS).min(INDEX_BLOCK_RECORDS);
        Self { connection, number, length, places: OnceCell::new() }
    }

    /// The number of the record at a place.
    pub(super) const fn seq(&self, place: u64) -> u64 {
        self.number * INDEX_BLOCK_RECORDS + place + 1
    }

    pub(super) fn all(&self) -> Bits {
        Bits::between(0, self.length)
    }

    /// The records that `plan` means.
    pub(super) fn eval(&self, plan: &Plan, bound: Bound) -> Result<Bits, IndexError> {
        Ok(match plan {
            Plan::All(plans) => {
                let mut bits = self.all();
                for plan in plans {
                    if bits.is_empty() {
                        break;
                    }
                    bits.keep(&self.eval(plan, bound)?);
                }
                bits
            }
            Plan::Any(plans) => {
                let mut bits = Bits::none();
                for plan in plans {
                    bits.add(&self.eval(plan, bound)?);
                }
                bits
            }
            Plan::Not(plan) => {
                let mut bits = self.all();
                bits.take_away(&self.eval(plan, bound.reversed())?);
                bits
            }
            Plan::Terms(terms) => self.having(terms)?,
            Plan::Numbers(ranges) => {
                let first = self.seq(0);
                let mut bits = Bits::none();
                for (low, high) in ranges {
                    let end = high.saturating_add(1).saturating_sub(first).min(self.length);
                    bits.add(&Bits::between(low.saturating_sub(first), end));
                }
                bits
            }
            Plan::Records(records) => {
                let mut bits = Bits::none();
                let start = records.partition_point(|seq| *seq < self.seq(0));
                let here = records.iter().skip(start).map(|seq| block(*seq));
                here.take_while(|(number, _)| *number == self.number).for_each(|(_, place)| bits.insert(place));
                bits.keep(&self.all());
                bits
            }
            Plan::Called => self.picked(|_, place| place.back > 0)?,
            Plan::Marked(Along::Call, marks) => {
                self.picked(|seq, place| place.back > 0 && marks.contains((seq + 1).saturating_sub(place.back.into())))?
            }
            Plan::Marked(Along::Run, marks) => {
                self.picked(|_, place| place.run > 0 && marks.contains(place.run.into()))?
            }
            Plan::Marked(along @ (Along::Approval | Along::Exception), marks) => {
                let mut bits = Bits::none();
                let marked = along.field().map_or(Ok(Vec::new()), |field| self.by_value(field))?.into_iter();
                marked.filter(|(term, _)| marks.contains((*term).into())).for_each(|(_, having)| bits.add(&having));
                bits
            }
            Plan::Between(wider, narrower) => match bound {
                Bound::Wider => self.eval(wider, bound)?,
                Bound::Narrower => self.eval(narrower, bound)?,
            },
        })
    }

    /// Records that have one of the terms.
    fn having(&self, terms: &[u32]) -> Result<Bits, IndexError> {
        let mut bits = Bits::none();
        if terms.len() > INDEX_LOOKUPS_MAX {
            let terms: HashSet<u32> = terms.iter().copied().collect();
            let mut statement = self.connection.prepare_cached("SELECT term, places FROM postings WHERE block = ?1")?;
            let mut rows = statement.query([signed(self.number)])?;
            while let Some(row) = rows.next()? {
                if terms.contains(&row.get(0)?) {
                    bits.add_bytes(row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?);
                }
            }
        } else {
            let mut statement =
                self.connection.prepare_cached("SELECT places FROM postings WHERE block = ?1 AND term = ?2")?;
            for term in terms {
                let mut rows = statement.query(params![signed(self.number), term])?;
                if let Some(row) = rows.next()? {
                    bits.add_bytes(row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?);
                }
            }
        }
        bits.keep(&self.all());
        Ok(bits)
    }

    /// Every term of a field that the block has, with its value and the records that have it.
    pub(super) fn by_value(&self, field: Field) -> Result<Vec<(u32, Bits)>, IndexError> {
        let mut statement = self.connection.prepare_cached(
            "SELECT postings.term, places FROM postings JOIN terms USING (term) WHERE block = ?1 AND field = ?2",
        )?;
        let mut rows = statement.query(params![signed(self.number), field.name()])?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            let mut bits = Bits::none();
            bits.add_bytes(row.get_ref(1)?.as_blob().map_err(rusqlite::Error::from)?);
            bits.keep(&self.all());
            found.push((row.get(0)?, bits));
        }
        Ok(found)
    }

    fn picked(&self, mut pick: impl FnMut(u64, &Place) -> bool) -> Result<Bits, IndexError> {
        let mut bits = Bits::none();
        for (at, place) in (0..self.length).zip(self.places()?) {
            if pick(self.seq(at), place) {
                bits.insert(at);
            }
        }
        Ok(bits)
    }

    /// Where each record is.
    pub(super) fn places(&self) -> Result<&[Place], IndexError> {
        if let Some(places) = self.places.get() {
            return Ok(places);
        }
        let chunks = INDEX_BLOCK_RECORDS / INDEX_CHUNK_RECORDS;
        let first = self.number * chunks;
        let mut statement =
            self.connection.prepare_cached("SELECT places FROM places WHERE chunk BETWEEN ?1 AND ?2 ORDER BY chunk")?;
        let mut rows = statement.query([signed(first), signed(first + chunks - 1)])?;
        let mut places = Vec::with_capacity(INDEX_BLOCK_RECORDS as usize);
        while let Some(row) = rows.next()? {
            let bytes = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
            places.extend(bytes.as_chunks::<PLACE_BYTES>().0.iter().map(Place::from_bytes));
        }
        Ok(self.places.get_or_init(|| places))
    }

    /// The chunks of the block: when each begins, when the next one does, and which records it has.
    pub(super) fn chunks(&self) -> Result<Vec<(Timestamp, Option<Timestamp>, Bits)>, IndexError> {
        let chunks = INDEX_BLOCK_RECORDS / INDEX_CHUNK_RECORDS;
        let first = self.number * chunks;
        let mut statement =
            self.connection.prepare_cached("SELECT at FROM places WHERE chunk BETWEEN ?1 AND ?2 ORDER BY chunk")?;
        let rows = statement.query_map([signed(first), signed(first + chunks)], |row| row.get(0))?;
        let begins: Vec<Timestamp> =
            rows.map(|at| at.map(Timestamp::from_micros)).collect::<Result<_, rusqlite::Error>>()?;
        let next = begins.iter().skip(1).map(|at| Some(*at)).chain([None]);
        let of_chunk = |(number, (at, next)): (u64, (&Timestamp, Option<Timestamp>))| {
            let low = number * INDEX_CHUNK_RECORDS;
            (*at, next, Bits::between(low, (low + INDEX_CHUNK_RECORDS).min(self.length)))
        };
        Ok((0..chunks).zip(begins.iter().zip(next)).map(of_chunk).collect())
    }

    /// The place of a record in the log.
    pub(super) fn spot(&self, place: u64) -> Result<Option<Spot>, IndexError> {
        let offset = self.places()?.get(place as usize).map(|place| place.offset.into());
        Ok(offset.map(|offset| Spot { seq: self.seq(place), offset }))
    }
}
