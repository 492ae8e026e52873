//! Counters: what a run, an hour or a day has used of a limit, and what a call would add. Pure.
//!
//! What is used is the sum of what records have added; a [`Book`] is that sum for one mission. A call adds when its intent is drafted, before the next call is decided,
//! so that no two calls take the same last piece of a limit. What did not run is given back by its outcome; what nobody knows stays counted. Start at [`Book::tally`].

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use evidence::decimal::Number;
use evidence::ids::RunId;
use evidence::record::{Body, Count, Draft, Facet, Reading, Status, Tool};
use evidence::time::{Timestamp, WallClock, Zone};

use crate::intercept::Intercepted;
use crate::limits::BOOK_WINDOWS_MAX;
use crate::mission::{Period, ToolPattern};

/// A limit on all calls together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Counter {
    /// The calls that it counts; `None` where all are.
    pub(crate) covers: Option<Vec<ToolPattern>>,
    /// The rule's id in the compiled policy.
    pub(crate) id: Arc<str>,
    /// The most that there may be.
    pub(crate) most: Number,
    pub(crate) of: Measure,
    pub(crate) period: Period,
    /// Whose days and hours.
    pub(crate) zone: Zone,
}

/// What a counter adds up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Measure {
    /// Bytes of arguments and results.
    Bytes,
    /// Calls.
    Calls,
    /// The sizes of an argument's numbers.
    Sum(Arc<str>),
}

/// How a counter stands for one call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    pub(crate) counter: Arc<Counter>,
    pub(crate) used: Number,
    /// What the call would add; `None` where that cannot be read.
    pub(crate) wanted: Option<Number>,
    pub(crate) window: Arc<str>,
}

/// What the calls of one mission have used.
#[derive(Debug, Default)]
pub struct Book {
    used: HashMap<Place, Number>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Place {
    counter: Arc<str>,
    window: Arc<str>,
}

impl Counter {
    /// Whether it counts calls of `tool`.
    pub(crate) fn covers(&self, tool: &Tool) -> bool {
        let of_tool = |pattern: &ToolPattern| pattern.covers(tool.surface, &tool.upstream, &tool.name);
        self.covers.as_ref().is_none_or(|patterns| patterns.iter().any(of_tool))
    }

    /// What the call adds. A further attempt at a call was counted with the first.
    fn wanted(&self, intercepted: &Intercepted, facets: &[Facet]) -> Option<Number> {
        match &self.of {
            Measure::Bytes => bytes(intercepted.sent().len() as u64),
            Measure::Calls | Measure::Sum(_) if intercepted.attempt() > 1 => Some(Number::ZERO),
            Measure::Calls => Some(Number::from(1)),
            Measure::Sum(argument) => sum(facets, argument),
        }
    }
}

impl fmt::Display for Measure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes => f.write_str("bytes"),
            Self::Calls => f.write_str("calls"),
            Self::Sum(argument) => write!(f, "`{}`", crate::mission::brief(argument)),
        }
    }
}

fn bytes(count: u64) -> Option<Number> {
    i64::try_from(count).ok().map(Number::from)
}

/// The sizes of all numbers of an argument; nothing where it is left out.
fn sum(facets: &[Facet], argument: &str) -> Option<Number> {
    let Some(facet) = facets.iter().find(|facet| *facet.argument == *argument) else { return Some(Number::ZERO) };
    facet.values.iter().try_fold(Number::ZERO, |sum, value| {
        if *value.kind != *"number" {
            return None;
        }
        sum.plus(Number::parse(&value.text).ok()?.magnitude().ok()?).ok()
    })
}

/// Since when `counter` counts at `at`. An hour that clocks show twice is one.
fn window(counter: &Counter, run: Option<RunId>, at: Timestamp) -> Option<Arc<str>> {
    let shown = || counter.zone.clock(at);
    let day = |clock: WallClock| format!("{:04}-{:02}-{:02}", clock.year, clock.month, clock.day);
    match counter.period {
        Period::Day => Some(day(shown()).into()),
        Period::Hour => Some(format!("{}T{:02}", day(shown()), shown().hour).into()),
        Period::Run => run.map(|run| run.to_string().into()),
    }
}

impl Tally {
    /// What would be used with the call; `None` where that is not known.
    pub(crate) fn after(&self) -> Option<Number> {
        self.used.plus(self.wanted?).ok()
    }

    /// For the decision's record.
    pub(crate) fn reading(&self) -> Reading {
        Reading {
            counter: self.counter.id.clone(),
            used: self.used.to_string().into(),
            wanted: self.wanted.map(|wanted| wanted.to_string().into()),
            window: self.window.clone(),
        }
    }

    fn count(&self, amount: Number) -> Option<Count> {
        let Self { counter, window, .. } = self;
        (amount != Number::ZERO).then(|| Count {
            amount: amount.to_string().into(),
            counter: counter.id.clone(),
            window: window.clone(),
        })
    }
}

/// What an intent adds.
pub(crate) fn of_intent(tallies: &[Tally]) -> Vec<Count> {
    tallies.iter().filter_map(|tally| tally.count(tally.wanted?)).collect()
}

/// What an outcome adds: it gives back what did not run, and counts the bytes of the result.
pub(crate) fn of_outcome(tallies: &[Tally], status: Status, result_bytes: Option<u64>) -> Vec<Count> {
    let added = |tally: &Tally| match (&tally.counter.of, status) {
        (_, Status::NotExecuted) => tally.wanted?.negated().ok().and_then(|back| tally.count(back)),
        (Measure::Bytes, _) => bytes(result_bytes?).and_then(|more| tally.count(more)),
        (Measure::Calls | Measure::Sum(_), _) => None,
    };
    tallies.iter().filter_map(added).collect()
}

impl Book {
    /// How `counters` stand for a call that is decided at `at`. One of a run that there is none of is left out, and the policy denies what it does not see.
    #[must_use]
    pub fn tally<'c>(
        &self,
        counters: impl Iterator<Item = &'c Arc<Counter>>,
        intercepted: &Intercepted,
        facets: &[Facet],
        at: Timestamp,
    ) -> Vec<Tally> {
        let run = intercepted.context().run;
        let tallies = counters.filter_map(|counter| {
            let window = window(counter, run, at)?;
            let place = Place { counter: counter.id.clone(), window: window.clone() };
            let used = self.used.get(&place).copied().unwrap_or(Number::ZERO);
            Some(Tally { counter: counter.clone(), used, wanted: counter.wanted(intercepted, facets), window })
        });
        tallies.collect()
    }

    /// As if `amount` had been used before a call at `at`.
    pub(crate) fn begin_with(&mut self, counter: &Counter, amount: Number, run: Option<RunId>, at: Timestamp) {
        if let Some(window) = window(counter, run, at) {
            self.used.insert(Place { counter: counter.id.clone(), window }, amount);
        }
    }

    /// Adds what `drafts` count.
    pub fn add(&mut self, drafts: &[Draft], at: Timestamp) {
        for draft in drafts {
            if let Body::Action(action) = &draft.body {
                action.counted.iter().for_each(|count| self.count(count));
            }
        }
        if self.used.len() > BOOK_WINDOWS_MAX {
            self.forget(at);
        }
    }

    /// Adds one count. A sum beyond all numbers stays the largest, which no limit lets through.
    pub fn count(&mut self, count: &Count) {
        let place = Place { counter: count.counter.clone(), window: count.window.clone() };
        let used = self.used.entry(place).or_insert(Number::ZERO);
        let amount = Number::parse(&count.amount).unwrap_or(Number::MAX);
        *used = used.plus(amount).unwrap_or(Number::MAX);
    }

    /// Forgets hours and days that are over in every time zone. Runs stay: whether one is over is not known here.
    fn forget(&mut self, at: Timestamp) {
        const ZONES_US: i64 = 86_400_000_000;
        let before = at.plus_micros(-ZONES_US).to_string();
        let is_over = |window: &str| window.len() < 14 && !before.starts_with(window) && *window < *before;
        self.used.retain(|place, _| !is_over(&place.window));
    }
}
