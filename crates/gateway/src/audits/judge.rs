//! Holds one audit test to the records of a ledger.
//!
//! What a filter can say is left to the index: the records that fail are themselves a filter. What compares records with others of the same call, run, approval or
//! exception is looked at one after the other, in memory that is bounded.

use std::collections::{BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::sync::Arc;

use evidence::filter::{Along, Filter, Join, Term};
use evidence::ids::{CallId, ExceptionId, RecordId, RunId};
use evidence::record::{Body, Record, RecordType};
use evidence::time::Timestamp;
use serde::Serialize;
use store::{Order, ReadError, Reader};

use super::file::{Expectation, spelled};
use crate::limits::AUDIT_HELD_MAX;

/// Which records are looked at.
#[derive(Clone, Debug)]
pub struct Scope {
    /// Up to which number: those that come while it looks are left to the next time.
    pub end: u64,
    /// How many of the records that fail are given out.
    pub shown: usize,
    /// Those that match this too.
    pub narrowed: Filter,
    /// What failed up to then is settled.
    pub settled: Option<Timestamp>,
    /// When it is asked.
    pub now: Timestamp,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Judged {
    /// How many records fail.
    pub failures: u64,
    /// The first of them, in the order of the log.
    pub first: Vec<Failing>,
    /// How many records it is about.
    pub population: u64,
    /// How many of those have time left.
    pub waiting: u64,
}

/// A record that fails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failing {
    /// Its agent.
    pub agent: Arc<str>,
    /// Its call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub call: Option<CallId>,
    /// The exception that it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exception: Option<ExceptionId>,
    /// Its identity.
    pub id: RecordId,
    /// Its initiator.
    pub initiator: Arc<str>,
    /// Its mission.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mission: Option<Arc<str>>,
    /// When it was taken.
    pub recorded_at: Timestamp,
    /// Its run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// Its number.
    pub seq: u64,
    /// Its type.
    #[serde(rename = "type")]
    pub record_type: RecordType,
    /// Why it fails.
    pub why: String,
}

/// Why a test gives no answer.
#[derive(Debug, thiserror::Error)]
pub enum JudgeError {
    /// The ledger cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It has to hold too much together.
    #[error("it compares more than {AUDIT_HELD_MAX} records with others; narrow it, as with --where 'after:30d'")]
    TooMany,
}

/// Holds `expectation` to the records.
///
/// # Errors
/// [`JudgeError`]; then nothing is known.
pub fn judge(reader: &Reader, expectation: &Expectation, scope: &Scope) -> Result<Judged, JudgeError> {
    let all = expectation.population().clone();
    let all = Filter::And(vec![all, scope.narrowed.clone()]).within(1, scope.end);
    let mut judged = Judged { population: reader.count(&all)?, ..Judged::default() };
    match expectation {
        Expectation::None(_) => filtered(reader, all, scope, &mut judged, "it matches")?,
        Expectation::Match { matching, .. } => {
            let failing = Filter::And(vec![all, Filter::Not(Box::new(matching.clone()))]);
            filtered(reader, failing, scope, &mut judged, &format!("it does not match `{matching}`"))?;
        }
        Expectation::Some { at_least, .. } => judged.failures = u64::from(judged.population < *at_least),
        Expectation::Followed { by, along, within_us, .. } => {
            let mut held = Held::default();
            others(reader, &all, by, *along, |key, record| held.add(key, record.recorded_at))?;
            each(reader, &all, scope, &mut judged, |record| {
                let until = record.recorded_at.plus_micros(*within_us);
                let Some(key) = along.key(record) else { return Found::alone(record, *along) };
                let later = held.of(key).iter().copied().find(|at| *at >= record.recorded_at);
                match later {
                    Some(at) if at <= until => Found::Held,
                    None if scope.now <= until => Found::Waiting,
                    Some(at) => {
                        let late =
                            spelled((at.micros() - record.recorded_at.micros()).div_euclid(1_000_000) * 1_000_000);
                        Found::Failed { at: until, why: format!("what follows came after {late}") }
                    }
                    None => Found::Failed { at: until, why: "nothing followed".to_owned() },
                }
            })?;
        }
        Expectation::Preceded { by, along, .. } => {
            let mut first = Held::default();
            others(reader, &all, by, *along, |key, record| first.add_first(key, record.seq))?;
            each(reader, &all, scope, &mut judged, |record| {
                let Some(key) = along.key(record) else { return Found::alone(record, *along) };
                match first.of(key).first() {
                    Some(seq) if *seq < record.seq => Found::Held,
                    Some(_) => Found::failed(record, "what should precede it came after it"),
                    None => Found::failed(record, "nothing preceded it"),
                }
            })?;
        }
        Expectation::Distinct { field, among, along, at_least, .. } => {
            let mut held = Held::default();
            others(reader, &all, among, *along, |key, record| {
                field.values(record).into_iter().try_for_each(|value| held.add(key, (record.seq, value.into_owned())))
            })?;
            each(reader, &all, scope, &mut judged, |record| {
                let Some(key) = along.key(record) else { return Found::alone(record, *along) };
                let before = held.of(key).iter().filter(|(seq, _)| *seq < record.seq);
                let values: BTreeSet<&str> = before.map(|(_, value)| value.as_str()).collect();
                if values.len() as u64 >= *at_least {
                    return Found::Held;
                }
                let shown: Vec<&str> = values.into_iter().collect();
                let shown = if shown.is_empty() { "nobody".to_owned() } else { shown.join(", ") };
                Found::failed(record, &format!("{}: {shown}", field.name()))
            })?;
        }
        Expectation::Differ { one, other, .. } => each(reader, &all, scope, &mut judged, |record| {
            let others = other.values(record);
            match one.values(record).into_iter().find(|value| others.contains(value)) {
                Some(value) => Found::failed(record, &format!("{value} is {} and {}", one.name(), other.name())),
                None => Found::Held,
            }
        })?,
    }
    Ok(judged)
}

/// What one record comes to.
enum Found {
    Held,
    Waiting,
    Failed { at: Timestamp, why: String },
}

impl Found {
    fn failed(record: &Record, why: &str) -> Self {
        Self::Failed { at: record.recorded_at, why: why.to_owned() }
    }

    fn alone(record: &Record, along: Along) -> Self {
        Self::failed(record, &format!("it is about no {}", along.as_str()))
    }
}

/// Where the records that fail are a filter.
fn filtered(reader: &Reader, failing: Filter, scope: &Scope, judged: &mut Judged, why: &str) -> Result<(), JudgeError> {
    let failing = match scope.settled {
        Some(at) => Filter::And(vec![failing, Filter::Term(Term::After(at.plus_micros(1)))]),
        None => failing,
    };
    judged.failures = reader.count(&failing)?;
    if judged.failures > 0 {
        let first = reader.query(&failing, Order::OldestFirst, Some(scope.shown))?;
        judged.first = first.iter().map(|record| Failing::of(record, why.to_owned())).collect();
    }
    Ok(())
}

/// Looks at each record.
fn each(
    reader: &Reader,
    all: &Filter,
    scope: &Scope,
    judged: &mut Judged,
    mut found: impl FnMut(&Record) -> Found,
) -> Result<(), JudgeError> {
    reader.visit(all, Order::OldestFirst, |record| {
        match found(&record) {
            Found::Held => {}
            Found::Waiting => judged.waiting += 1,
            Found::Failed { at, why } => {
                if scope.settled.is_none_or(|settled| at > settled) {
                    judged.failures += 1;
                    if judged.first.len() < scope.shown {
                        judged.first.push(Failing::of(&record, why));
                    }
                }
            }
        }
        ControlFlow::Continue(())
    })?;
    Ok(())
}

/// Gives the records that match `by` and are of the same as one of `all` to `hold`, oldest first.
fn others(
    reader: &Reader,
    all: &Filter,
    by: &Filter,
    along: Along,
    mut hold: impl FnMut([u8; 16], &Record) -> Result<(), JudgeError>,
) -> Result<(), JudgeError> {
    let of_same = Filter::Join(Join { along, inner: Box::new(all.clone()) });
    let mut held = Ok(());
    reader.visit(&Filter::And(vec![by.clone(), of_same]), Order::OldestFirst, |record| {
        if let Some(key) = along.key(&record) {
            held = hold(key, &record);
        }
        if held.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    held
}

/// What was seen of each call, run, approval or exception, in the order of the log.
struct Held<T> {
    count: usize,
    of: HashMap<[u8; 16], Vec<T>>,
}

impl<T> Default for Held<T> {
    fn default() -> Self {
        Self { count: 0, of: HashMap::new() }
    }
}

impl<T> Held<T> {
    fn add(&mut self, key: [u8; 16], value: T) -> Result<(), JudgeError> {
        self.count += 1;
        if self.count > AUDIT_HELD_MAX {
            return Err(JudgeError::TooMany);
        }
        self.of.entry(key).or_default().push(value);
        Ok(())
    }

    fn add_first(&mut self, key: [u8; 16], value: T) -> Result<(), JudgeError> {
        if self.of.contains_key(&key) { Ok(()) } else { self.add(key, value) }
    }

    fn of(&self, key: [u8; 16]) -> &[T] {
        self.of.get(&key).map_or(&[], Vec::as_slice)
    }
}

impl Failing {
    fn of(record: &Record, why: String) -> Self {
        let exception = match &record.body {
            Body::Exception(exception) => Some(exception.exception),
            _ => None,
        };
        Self {
            agent: record.agent.name.clone(),
            call: record.correlation.call,
            exception,
            id: record.id,
            initiator: record.initiator.name.clone(),
            mission: record.correlation.mission.clone(),
            recorded_at: record.recorded_at,
            run: record.correlation.run,
            seq: record.seq,
            record_type: record.record_type,
            why,
        }
    }

    /// The filter that finds all that belongs to it.
    #[must_use]
    pub fn story(&self) -> String {
        match (self.call, self.exception) {
            (Some(call), _) => format!("call:{call}"),
            (None, Some(exception)) => format!("exception:{exception}"),
            (None, None) => format!("seq:{}", self.seq),
        }
    }
}
