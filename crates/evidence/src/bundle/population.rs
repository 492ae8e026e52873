//! The piece of the log that a bundle speaks of, counted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Listed, OpenCall, Pause, Types};
use crate::ids::CallId;
use crate::limits::{LISTED_MAX, OPEN_CALLS_MAX};
use crate::record::{ActionEvent, Body, LedgerEvent, Record, RecordType};
use crate::time::Timestamp;

/// Records of the log without a gap between them, and what they are. Numbers and types are in the public entries; who has only those can check all but the two lists.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Population {
    /// The number of the first one; the log begins with 1.
    pub first_seq: u64,
    /// Calls that were begun in it and not ended in it, by their intents.
    pub open_calls: Listed<OpenCall>,
    /// Times in which the ledger was not open.
    pub pauses: Listed<Pause>,
    /// How many records.
    pub records: u64,
    /// How many of each type.
    pub types: Types,
}

/// Records, and how many of each type.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Count {
    /// How many.
    pub records: u64,
    /// How many of each type.
    pub types: Types,
}

impl Count {
    /// Counts one more.
    pub fn add(&mut self, record_type: RecordType) {
        self.records += 1;
        *self.types.entry(record_type).or_default() += 1;
    }
}

/// Where a population is in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first number.
    pub first: u64,
    /// How many.
    pub records: u64,
}

impl Span {
    /// The number after the last one.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.first.saturating_add(self.records)
    }
}

/// Counts a population record by record.
#[derive(Debug, Default)]
pub struct Tally {
    count: Count,
    open: BTreeMap<(CallId, u32), OpenCall>,
    /// Calls beyond those that are followed.
    unfollowed: u64,
    pauses: Vec<Pause>,
    paused: u64,
    /// When the last record was taken, and whether it closed the ledger.
    previous: Option<(Timestamp, bool)>,
}

impl Tally {
    /// Takes the next record.
    pub fn take(&mut self, record: &Record) {
        self.count.add(record.record_type);
        let state = if let Body::Ledger(state) = &record.body { Some(state.event) } else { None };
        if state == Some(LedgerEvent::Started)
            && let Some((from, in_order)) = self.previous
        {
            self.paused += 1;
            if self.pauses.len() < LISTED_MAX {
                self.pauses.push(Pause { from, in_order, seq: record.seq, until: record.recorded_at });
            }
        }
        self.previous = Some((record.recorded_at, state == Some(LedgerEvent::Stopped)));
        let (Body::Action(action), Some(call)) = (&record.body, record.correlation.call) else { return };
        let attempt = (call, action.attempt);
        if action.event == ActionEvent::Outcome {
            self.open.remove(&attempt);
        } else if self.open.len() >= OPEN_CALLS_MAX {
            self.unfollowed += 1;
        } else {
            let (recorded_at, seq, tool) = (record.recorded_at, record.seq, action.tool.clone());
            self.open.insert(attempt, OpenCall { attempt: action.attempt, call, recorded_at, seq, tool });
        }
    }

    /// The population that starts with `first_seq`.
    #[must_use]
    pub fn finish(self, first_seq: u64) -> Population {
        let mut open: Vec<OpenCall> = self.open.into_values().collect();
        open.sort_unstable_by_key(|open| open.seq);
        let count = open.len() as u64 + self.unfollowed;
        open.truncate(LISTED_MAX);
        Population {
            first_seq,
            open_calls: Listed { count, listed: open },
            pauses: Listed { count: self.paused, listed: self.pauses },
            records: self.count.records,
            types: self.count.types,
        }
    }
}

impl Population {
    /// Where it is in the log.
    #[must_use]
    pub const fn span(&self) -> Span {
        Span { first: self.first_seq, records: self.records }
    }
}
