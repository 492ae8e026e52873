//! A ledger as of one moment, and filters over it: what the index knows by its sets, what it does not know yet from the log itself.
//!
//! The index only proposes records to those who want records; whoever wants numbers, and joins, which want to know whether there is one, believe what it is sure of.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashSet};
use std::ops::ControlFlow;
use std::rc::Rc;

use evidence::filter::{Along, Field, Filter, Join};
use evidence::ids::{ApprovalId, ExceptionId, RunId};
use evidence::record::Record;
use evidence::time::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};

use super::bits::Bits;
use super::index::unsigned;
use super::query::{Block, Bound, Marks, Order, Plan, Planner};
use super::reader::{ReadError, Reader, Segments, read_bytes};
use crate::ledger::log::{Cursor, LogError, Spot};
use crate::limits::{COUNT_GROUPS_MAX, INDEX_BLOCK_RECORDS};
use crate::ports::{Index as _, IndexError};

/// One value for each field that is counted by.
pub type Group = Vec<Option<String>>;

/// One moment of a ledger.
pub(super) struct View<'a> {
    reader: &'a Reader,
    moment: Option<Transaction<'a>>,
    /// Up to where the index knows the log.
    indexed: Cursor,
    /// The last record that the first look beyond the index saw; later looks end there.
    end: Cell<Option<u64>>,
    /// Why a join could not be looked up: then no answer is one.
    failed: RefCell<Option<IndexError>>,
}

impl<'a> View<'a> {
    pub(super) fn new(reader: &'a Reader) -> Result<Self, ReadError> {
        let moment = reader.index.as_ref().map(|index| index.moment()).transpose()?;
        let indexed = match &reader.index {
            Some(index) => index.progress()?,
            None => Cursor::START,
        };
        Ok(Self { reader, moment, indexed, end: Cell::new(None), failed: RefCell::new(None) })
    }

    /// A filter, ready to be asked.
    pub(super) fn matcher<'b>(&'b self, filter: &'b Filter) -> Result<Matcher<'b>, ReadError> {
        let mut joined = Vec::new();
        for join in filter.joins() {
            joined.push(Joined::of(self, join)?);
        }
        let plan = match &self.moment {
            Some(connection) => {
                let marks =
                    |join: &Join| joined.iter().find(|known| known.join == join).map(|known| Rc::clone(&known.marks));
                Some(Planner { connection, marks: &marks }.plan(filter)?)
            }
            None => None,
        };
        Ok(Matcher { view: self, filter, joined, plan })
    }

    /// Gives what the log has beyond the index to `each`, the same records every time.
    fn tail(&self, mut each: impl FnMut(Spot, Record) -> Result<ControlFlow<()>, LogError>) -> Result<(), ReadError> {
        let (end, mut last) = (self.end.get(), None);
        self.reader.scan(self.indexed, |segment, spot, bytes| {
            if end.is_some_and(|end| spot.seq > end) {
                return Ok(ControlFlow::Break(()));
            }
            last = Some(spot.seq);
            each(spot, read_bytes(segment, spot, bytes)?)
        })?;
        if end.is_none() {
            self.end.set(Some(last.unwrap_or_else(|| self.indexed.records())));
        }
        Ok(())
    }

    /// What looking up joins has failed with.
    fn whole(&self) -> Result<(), ReadError> {
        self.failed.take().map_or(Ok(()), |error| Err(error.into()))
    }

    fn block(&self, connection: &'a Connection, number: u64) -> Block<'a> {
        Block::new(connection, number, self.indexed.records())
    }
}

/// The calls, runs, approvals or exceptions that have a record which matches a join.
struct Joined<'a> {
    join: &'a Join,
    /// Those that the index knows, by its numbers.
    marks: Rc<Marks>,
    /// Those of records that it does not know yet.
    keys: HashSet<[u8; 16]>,
}

impl<'a> Joined<'a> {
    fn of(view: &'a View<'_>, join: &'a Join) -> Result<Self, ReadError> {
        let inner = view.matcher(&join.inner)?;
        let mut marks = Marks::default();
        inner.each_block(Order::OldestFirst, |block, sure, unsure| {
            let mut all = sure;
            all.add(&inner.checked(block, &unsure)?);
            mark(&mut marks, join.along, block, &all)?;
            Ok(ControlFlow::Continue(()))
        })?;
        let mut keys = HashSet::new();
        view.tail(|_, record| {
            if let Some(key) = join.along.key(&record)
                && inner.matches(&record)
            {
                keys.insert(key);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        if let Some(connection) = &view.moment {
            for key in &keys {
                number(connection, join.along, *key)?.into_iter().for_each(|number| marks.insert(number));
            }
        }
        Ok(Self { join, marks: Rc::new(marks), keys })
    }

    fn has(&self, view: &View<'_>, record: &Record) -> bool {
        let Some(key) = self.join.along.key(record) else { return false };
        if self.keys.contains(&key) {
            return true;
        }
        let known = view.moment.as_ref().and_then(|connection| match number(connection, self.join.along, key) {
            Ok(number) => number,
            Err(error) => {
                view.failed.replace(Some(error));
                None
            }
        });
        known.is_some_and(|number| self.marks.contains(number))
    }
}

/// Marks what the records of a block are about.
fn mark(marks: &mut Marks, along: Along, block: &Block<'_>, records: &Bits) -> Result<(), IndexError> {
    if let Some(field) = along.field() {
        for (term, mut having) in block.by_value(field)? {
            having.keep(records);
            if !having.is_empty() {
                marks.insert(term.into());
            }
        }
        return Ok(());
    }
    let places = block.places()?;
    for at in records.places() {
        let Some(place) = places.get(at as usize) else { continue };
        match along {
            Along::Call if place.back > 0 => marks.insert((block.seq(at) + 1).saturating_sub(place.back.into())),
            Along::Run if place.run > 0 => marks.insert(place.run.into()),
            Along::Approval | Along::Call | Along::Exception | Along::Run => {}
        }
    }
    Ok(())
}

/// What the index knows a call, run, approval or exception by.
fn number(connection: &Connection, along: Along, key: [u8; 16]) -> Result<Option<u64>, IndexError> {
    let number: Option<i64> = match along {
        Along::Call => connection
            .prepare_cached("SELECT first FROM calls WHERE call = ?1")?
            .query_row([key], |row| row.get(0))
            .optional()?,
        Along::Run => term(connection, Field::Run, &RunId::from_bytes(key).to_string())?,
        Along::Approval => term(connection, Field::Approval, &ApprovalId::from_bytes(key).to_string())?,
        Along::Exception => term(connection, Field::Exception, &ExceptionId::from_bytes(key).to_string())?,
    };
    Ok(number.map(unsigned))
}

fn term(connection: &Connection, field: Field, value: &str) -> Result<Option<i64>, IndexError> {
    let mut statement = connection.prepare_cached("SELECT term FROM terms WHERE field = ?1 AND value = ?2")?;
    Ok(statement.query_row(params![field.name(), value], |row| row.get(0)).optional()?)
}

/// A filter over a view.
pub(super) struct Matcher<'a> {
    view: &'a View<'a>,
    filter: &'a Filter,
    joined: Vec<Joined<'a>>,
    plan: Option<Plan>,
}

impl<'a> Matcher<'a> {
    fn matches(&self, record: &Record) -> bool {
        self.filter.matches_in(record, &mut |join, record| {
            self.joined.iter().any(|known| known.join == join && known.has(self.view, record))
        })
    }

    /// Gives the blocks that may have a record that matches to `each`: with those that surely do, and those that may.
    fn each_block(
        &self,
        order: Order,
        mut each: impl FnMut(&Block<'a>, Bits, Bits) -> Result<ControlFlow<()>, ReadError>,
    ) -> Result<(), ReadError> {
        let (Some(plan), Some(connection)) = (&self.plan, &self.view.moment) else { return Ok(()) };
        let connection: &'a Connection = connection;
        let (low, high) = plan.reach();
        let (low, high) = (low.max(1), high.min(self.view.indexed.records()));
        if low > high {
            return Ok(());
        }
        let (first, last) = ((low - 1) / INDEX_BLOCK_RECORDS, (high - 1) / INDEX_BLOCK_RECORDS);
        for at in first..=last {
            let number = if order == Order::OldestFirst { at } else { last - (at - first) };
            let block = self.view.block(connection, number);
            let mut unsure = block.eval(plan, Bound::Wider)?;
            if unsure.is_empty() {
                continue;
            }
            let sure = block.eval(plan, Bound::Narrower)?;
            unsure.take_away(&sure);
            if each(&block, sure, unsure)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    /// Which of the records of a block match, read from the log.
    fn checked(&self, block: &Block<'_>, bits: &Bits) -> Result<Bits, ReadError> {
        let mut checked = Bits::none();
        if bits.is_empty() {
            return Ok(checked);
        }
        let mut segments = Segments::new(&self.view.reader.disk)?;
        for at in bits.places() {
            if let Some(spot) = block.spot(at)?
                && self.matches(&segments.read(spot)?)
            {
                checked.insert(at);
            }
        }
        Ok(checked)
    }

    /// Gives every record that matches to `each`, in order, until it breaks.
    pub(super) fn visit(
        &self,
        order: Order,
        each: impl FnMut(Spot, Record) -> ControlFlow<()>,
    ) -> Result<(), ReadError> {
        self.visit_all(order, each)?;
        self.view.whole()
    }

    fn visit_all(&self, order: Order, mut each: impl FnMut(Spot, Record) -> ControlFlow<()>) -> Result<(), ReadError> {
        if order == Order::NewestFirst && self.visit_tail_backwards(&mut each)?.is_break() {
            return Ok(());
        }
        let mut segments = Segments::new(&self.view.reader.disk)?;
        let mut flow = ControlFlow::Continue(());
        self.each_block(order, |block, mut bits, unsure| {
            bits.add(&unsure);
            let mut forwards = bits.places();
            while flow.is_continue()
                && let Some(at) = if order == Order::OldestFirst { forwards.next() } else { forwards.next_back() }
            {
                let Some(spot) = block.spot(at)? else { continue };
                let record = segments.read(spot)?;
                if self.matches(&record) {
                    flow = each(spot, record);
                }
            }
            Ok(flow)
        })?;
        if order == Order::OldestFirst && flow.is_continue() {
            self.view.tail(|spot, record| {
                Ok(if self.matches(&record) { each(spot, record) } else { ControlFlow::Continue(()) })
            })?;
        }
        Ok(())
    }

    /// What the log has beyond the index, the newest first. The log reads forwards only, so the places come first.
    fn visit_tail_backwards(
        &self,
        each: &mut impl FnMut(Spot, Record) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, ReadError> {
        let mut spots = Vec::new();
        self.view.tail(|spot, record| {
            if self.matches(&record) {
                spots.push(spot);
            }
            Ok(ControlFlow::Continue(()))
        })?;
        let mut segments = Segments::new(&self.view.reader.disk)?;
        for spot in spots.iter().rev() {
            if each(*spot, segments.read(*spot)?).is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    pub(super) fn count(&self) -> Result<u64, ReadError> {
        let mut count = 0;
        self.each_block(Order::OldestFirst, |block, sure, unsure| {
            count += sure.count() + self.checked(block, &unsure)?.count();
            Ok(ControlFlow::Continue(()))
        })?;
        self.view.tail(|_, record| {
            count += u64::from(self.matches(&record));
            Ok(ControlFlow::Continue(()))
        })?;
        self.view.whole()?;
        Ok(count)
    }

    pub(super) fn count_by(&self, fields: &[Field]) -> Result<Vec<(Group, u64)>, ReadError> {
        let mut counts: BTreeMap<Group, u64> = BTreeMap::new();
        // By the numbers of terms first: their texts are looked up once.
        let mut by_term: BTreeMap<Vec<Key>, u64> = BTreeMap::new();
        self.each_block(Order::OldestFirst, |block, sure, unsure| {
            let mut bits = sure;
            bits.add(&self.checked(block, &unsure)?);
            if bits.is_empty() {
                return Ok(ControlFlow::Continue(()));
            }
            self.split(block, &bits, fields, &mut Vec::new(), &mut by_term)?;
            if by_term.len() > COUNT_GROUPS_MAX { Err(ReadError::Groups) } else { Ok(ControlFlow::Continue(())) }
        })?;
        for (keys, count) in by_term {
            let group = keys.into_iter().map(|key| self.spelled(key)).collect::<Result<Group, _>>()?;
            *counts.entry(group).or_default() += count;
        }
        let mut too_many = false;
        self.view.tail(|_, record| {
            if self.matches(&record) {
                each_group(fields, &record, &mut Vec::new(), &mut |group| *counts.entry(group).or_default() += 1);
            }
            too_many |= counts.len() > COUNT_GROUPS_MAX;
            Ok(if too_many { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        if too_many {
            return Err(ReadError::Groups);
        }
        let mut counts: Vec<(Group, u64)> = counts.into_iter().collect();
        counts.sort_by(|(a, more), (b, fewer)| fewer.cmp(more).then_with(|| a.cmp(b)));
        self.view.whole()?;
        Ok(counts)
    }

    /// Counts `bits` of a block for each combination of values of `fields`, after those that are `chosen`.
    fn split(
        &self,
        block: &Block<'_>,
        bits: &Bits,
        fields: &[Field],
        chosen: &mut Vec<Key>,
        counts: &mut BTreeMap<Vec<Key>, u64>,
    ) -> Result<(), ReadError> {
        let Some((field, rest)) = fields.split_first() else {
            *counts.entry(chosen.clone()).or_default() += bits.count();
            return Ok(());
        };
        let mut without = bits.clone();
        for (key, having) in self.values(block, *field, bits)? {
            without.take_away(&having);
            let mut of_value = having;
            of_value.keep(bits);
            if !of_value.is_empty() {
                chosen.push(key);
                self.split(block, &of_value, rest, chosen, counts)?;
                chosen.pop();
            }
        }
        if !without.is_empty() {
            chosen.push(Key::None);
            self.split(block, &without, rest, chosen, counts)?;
            chosen.pop();
        }
        Ok(())
    }

    /// The values of a field in a block, with the records that have them.
    fn values(&self, block: &Block<'_>, field: Field, bits: &Bits) -> Result<Vec<(Key, Bits)>, ReadError> {
        let in_index = match field {
            Field::After | Field::Before | Field::On => return self.days(block, bits),
            // The index has these in other ways, or not as they are.
            Field::Call | Field::Seq | Field::Text => Bits::none(),
            _ => return Ok(block.by_value(field)?.into_iter().map(|(term, bits)| (Key::Term(term), bits)).collect()),
        };
        let mut read = bits.clone();
        read.take_away(&in_index);
        self.read_values(block, field, &read)
    }

    /// Days, from when chunks begin: only where one holds the end of a day its records are read.
    fn days(&self, block: &Block<'_>, bits: &Bits) -> Result<Vec<(Key, Bits)>, ReadError> {
        let mut days: BTreeMap<String, Bits> = BTreeMap::new();
        let day = |at: Timestamp| at.to_string().chars().take(10).collect::<String>();
        for (at, next, records) in block.chunks()? {
            let mut here = records;
            here.keep(bits);
            if here.is_empty() {
                continue;
            }
            // Ledger time never goes back: what is between two moments of a day is of that day.
            if next.map(day) == Some(day(at)) {
                days.entry(day(at)).or_insert_with(Bits::none).add(&here);
            } else {
                for (key, bits) in self.read_values(block, Field::On, &here)? {
                    let Key::Text(text) = key else { continue };
                    days.entry(text).or_insert_with(Bits::none).add(&bits);
                }
            }
        }
        Ok(days.into_iter().map(|(day, bits)| (Key::Text(day), bits)).collect())
    }

    fn read_values(&self, block: &Block<'_>, field: Field, bits: &Bits) -> Result<Vec<(Key, Bits)>, ReadError> {
        let mut values: BTreeMap<String, Bits> = BTreeMap::new();
        let mut segments = Segments::new(&self.view.reader.disk)?;
        for at in bits.places() {
            let Some(spot) = block.spot(at)? else { continue };
            for value in field.values(&segments.read(spot)?) {
                values.entry(value.into_owned()).or_insert_with(Bits::none).insert(at);
            }
        }
        Ok(values.into_iter().map(|(value, bits)| (Key::Text(value), bits)).collect())
    }

    fn spelled(&self, key: Key) -> Result<Option<String>, ReadError> {
        let (Key::Term(term), Some(connection)) = (&key, &self.view.moment) else {
            return Ok(match key {
                Key::Text(text) => Some(text),
                Key::None | Key::Term(_) => None,
            });
        };
        let mut statement =
            connection.prepare_cached("SELECT value FROM terms WHERE term = ?1").map_err(IndexError::from)?;
        Ok(statement.query_row([term], |row| row.get(0)).optional().map_err(IndexError::from)?)
    }
}

/// A value that is counted.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Key {
    None,
    Term(u32),
    Text(String),
}

/// Gives every combination of the values that a record has.
fn each_group(fields: &[Field], record: &Record, chosen: &mut Group, each: &mut impl FnMut(Group)) {
    let Some((field, rest)) = fields.split_first() else { return each(chosen.clone()) };
    let mut values: Vec<Option<String>> =
        field.values(record).into_iter().map(|value| Some(value.into_owned())).collect();
    values.sort();
    values.dedup();
    if values.is_empty() {
        values.push(None);
    }
    for value in values {
        chosen.push(value);
        each_group(rest, record, chosen, each);
        chosen.pop();
    }
}
