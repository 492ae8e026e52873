//! What a filter says of a record of which only the public leaf is at hand: its type, its number, and the millisecond of its id.

use super::{Field, Filter, Term};
use crate::leaf::Leaf;
use crate::record::RecordType;
use crate::time::Timestamp;

/// Microseconds in the unit of time that ids hold.
const MILLI_US: i64 = 1_000;

impl Filter {
    /// Whether the record with this leaf matches; `None` where that depends on what only the record says.
    #[must_use]
    pub fn judge(&self, leaf: &Leaf) -> Option<bool> {
        match self {
            Self::And(all) => fold(all, leaf, false),
            Self::Or(any) => fold(any, leaf, true),
            Self::Not(filter) => filter.judge(leaf).map(|matches| !matches),
            Self::Term(term) => term.judge(leaf),
            // The other records of its call, run, approval or exception are not at hand.
            Self::Join(_) => None,
        }
    }

    /// The part of the filter that cuts one piece out of the log: of its times and numbers, those that every match must meet, numbers from the least to the greatest.
    #[must_use]
    pub fn bounds(&self) -> Bounds {
        let mut bounds = Bounds { low: 1, high: u64::MAX, from: None, until: None };
        bounds.narrow(self);
        bounds
    }
}

/// `decides` is what one alone decides: `false` for all of, `true` for one of.
fn fold(filters: &[Filter], leaf: &Leaf, decides: bool) -> Option<bool> {
    let mut known = true;
    for filter in filters {
        match filter.judge(leaf) {
            Some(judged) if judged == decides => return Some(decides),
            Some(_) => {}
            None => known = false,
        }
    }
    known.then_some(!decides)
}

impl Term {
    fn judge(&self, leaf: &Leaf) -> Option<bool> {
        use RecordType::{ActionRecord, DecisionRecord, ExceptionRecord};
        let unless = |types: &[RecordType]| if types.contains(&leaf.record_type) { None } else { Some(false) };
        match self {
            Self::Type(types) => Some(types.contains(&leaf.record_type)),
            Self::Seq(ranges) => Some(ranges.iter().any(|range| (range.low..=range.high).contains(&leaf.seq))),
            Self::After(at) => is_from(leaf, *at),
            Self::Before(at) => is_from(leaf, *at).map(|is_from| !is_from),
            Self::On(spans) => spans
                .iter()
                .map(|span| {
                    let (from, behind) = (is_from(leaf, span.from)?, is_from(leaf, span.until.plus_micros(1))?);
                    Some(from && !behind)
                })
                .reduce(|one, other| match (one, other) {
                    (Some(true), _) | (_, Some(true)) => Some(true),
                    (None, _) | (_, None) => None,
                    _ => Some(false),
                })
                .unwrap_or(Some(false)),
            Self::Argument(_) => unless(&[DecisionRecord]),
            Self::Kind(_) => unless(&[ExceptionRecord]),
            Self::Value(field, _) => match field {
                Field::Decision | Field::Would | Field::Origin => unless(&[DecisionRecord]),
                Field::Status | Field::EffectClass => unless(&[ActionRecord]),
                Field::Tool => unless(&[ActionRecord, RecordType::ApprovalRecord, DecisionRecord]),
                Field::Reason => unless(&[ActionRecord, DecisionRecord]),
                Field::Approver | Field::Answer | Field::Resolution => unless(&[RecordType::ApprovalRecord]),
                Field::Object | Field::Direction => unless(&[RecordType::VersionLog]),
                _ => None,
            },
            Self::Exception(_) => unless(&[ExceptionRecord]),
            Self::Text(_) | Self::Call(_) | Self::Run(_) | Self::Session(_) | Self::Approval(_) => None,
        }
    }
}

/// Whether a record was taken at `at` or later, by the millisecond in its id.
fn is_from(leaf: &Leaf, at: Timestamp) -> Option<bool> {
    let first = leaf.id.minted_at().micros();
    if first >= at.micros() {
        Some(true)
    } else if first + MILLI_US <= at.micros() {
        Some(false)
    } else {
        None
    }
}

/// One piece of the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    low: u64,
    high: u64,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
}

impl Bounds {
    fn narrow(&mut self, filter: &Filter) {
        match filter {
            Filter::And(all) => all.iter().for_each(|filter| self.narrow(filter)),
            Filter::Term(Term::After(at)) => self.from = Some(self.from.map_or(*at, |from| from.max(*at))),
            Filter::Term(Term::Before(at)) => self.until = Some(self.until.map_or(*at, |until| until.min(*at))),
            Filter::Term(Term::Seq(ranges)) => {
                self.low = ranges.iter().map(|range| range.low).min().unwrap_or(1).max(self.low);
                self.high = ranges.iter().map(|range| range.high).max().unwrap_or(u64::MAX).min(self.high);
            }
            Filter::Term(Term::On(spans)) => {
                if let (Some(from), Some(until)) =
                    (spans.iter().map(|span| span.from).min(), spans.iter().map(|span| span.until).max())
                {
                    let behind = until.plus_micros(1);
                    self.from = Some(self.from.map_or(from, |known| known.max(from)));
                    self.until = Some(self.until.map_or(behind, |known| known.min(behind)));
                }
            }
            Filter::Join(_) | Filter::Or(_) | Filter::Not(_) | Filter::Term(_) => {}
        }
    }

    /// Whether the record with this leaf is certainly before the piece.
    #[must_use]
    pub fn is_before(&self, leaf: &Leaf) -> bool {
        leaf.seq < self.low || self.from.is_some_and(|from| is_from(leaf, from) == Some(false))
    }

    /// Whether the record with this leaf is certainly after the piece.
    #[must_use]
    pub fn is_after(&self, leaf: &Leaf) -> bool {
        leaf.seq > self.high || self.until.is_some_and(|until| is_from(leaf, until) == Some(true))
    }

    /// The piece in a log of `size` records, as its first number and how many: the shortest that leaves nothing out. `leaf` gives the leaf of a number.
    ///
    /// # Errors
    /// What `leaf` says.
    pub fn range<E>(&self, size: u64, mut leaf: impl FnMut(u64) -> Result<Leaf, E>) -> Result<(u64, u64), E> {
        let first = least(1, size + 1, |seq| Ok(!self.is_before(&leaf(seq)?)))?;
        let end = least(first, size + 1, |seq| Ok(self.is_after(&leaf(seq)?)))?;
        Ok((first, end - first))
    }
}

/// The least number from `low` on for which `holds`, or `high`; it holds for every number after one for which it does.
fn least<E>(mut low: u64, mut high: u64, mut holds: impl FnMut(u64) -> Result<bool, E>) -> Result<u64, E> {
    while low < high {
        let middle = low + (high - low) / 2;
        if holds(middle)? {
            high = middle;
        } else {
            low = middle + 1;
        }
    }
    Ok(low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arbitrary;
    use crate::examples::written;
    use crate::ids::RecordId;
    use crate::record::{Record, read};
    use proptest::prelude::*;
    use std::convert::Infallible;

    fn leaf_of(record: &Record) -> Leaf {
        Leaf {
            commitment: String::new(),
            emitter: record.emitter.clone(),
            id: RecordId::at(record.recorded_at, [0; 10]),
            schema: record.schema,
            seq: record.seq,
            record_type: record.record_type,
        }
    }

    /// A log of ten records, one every 700 µs from 2026-11-23T09:30:00Z on.
    fn log() -> Vec<Leaf> {
        let at = |n: i64| Timestamp::from_micros(1_795_426_200_000_000 + n * 700);
        let leaf = |n: u64| Leaf {
            commitment: String::new(),
            emitter: "cs-1".into(),
            id: RecordId::at(at(n as i64 - 1), [n as u8; 10]),
            schema: 1,
            seq: n,
            record_type: if n.is_multiple_of(2) { RecordType::ActionRecord } else { RecordType::LedgerState },
        };
        (1..=10).map(leaf).collect()
    }

    #[test]
    fn times_and_numbers_that_all_matches_meet_cut_a_piece() {
        let log = log();
        for (filter, want) in [
            ("type:action_record", (1, 10)),
            ("seq:3..5", (3, 3)),
            ("seq:3,7 type:action_record", (3, 5)),
            ("(seq:3.. seq:..4) status:done", (3, 2)),
            ("seq:3 or seq:4", (1, 10)),
            ("not seq:3", (1, 10)),
            ("seq:11..", (11, 0)),
            ("seq:4 seq:2", (4, 0)),
            ("after:2026-11-23", (1, 10)),
            ("before:2026-11-23", (1, 0)),
            ("after:2026-11-24", (11, 0)),
            ("on:2026-11-23", (1, 10)),
            ("on:2026-11-22", (1, 0)),
            ("on:2026-11-24", (11, 0)),
            // Records 4 to 7 are taken at .0021, .0028, .0035 and .0042.
            ("after:2026-11-23T09:30:00.002Z before:2026-11-23T09:30:00.004Z", (4, 3)),
            // A bound within a millisecond keeps all of that.
            ("after:2026-11-23T09:30:00.0025Z before:2026-11-23T09:30:00.0035Z", (4, 3)),
        ] {
            let bounds = filter.parse::<Filter>().unwrap().bounds();
            let leaf = |seq: u64| Ok::<_, Infallible>(log[seq as usize - 1].clone());
            assert_eq!(bounds.range(10, leaf).unwrap(), want, "{filter}");
        }
    }

    #[test]
    fn what_a_leaf_cannot_tell_is_not_told() {
        let log = log();
        for (filter, action, state) in [
            ("type:action_record", Some(true), Some(false)),
            ("status:done", None, Some(false)),
            ("not status:done", None, Some(true)),
            ("type:action_record agent:a", None, Some(false)),
            ("type:action_record or agent:a", Some(true), None),
            ("kind:waiver or would:ask or origin:sent or decision:deny", Some(false), Some(false)),
            ("tool:mcp:* reason:*", None, Some(false)),
            ("argument:amount>5", Some(false), Some(false)),
            ("approver:eva or object:mission:* or exception:01a20631-*", Some(false), Some(false)),
            ("on:2026-11-23 person:eva", None, None),
            ("on:2026-11-22 person:eva", Some(false), Some(false)),
            ("call(status:done) or \"a word\"", None, None),
            ("", Some(true), Some(true)),
        ] {
            let filter: Filter = if filter.is_empty() { Filter::everything() } else { filter.parse().unwrap() };
            assert_eq!((filter.judge(&log[1]), filter.judge(&log[2])), (action, state), "{filter}");
        }
    }

    proptest! {
        #[test]
        fn a_leaf_and_its_record_never_disagree(draft in arbitrary::draft(), filter in crate::filter::tests::a_filter()) {
            let record = read(&written(&draft, 7)).unwrap();
            let leaf = leaf_of(&record);
            if let Some(judged) = filter.judge(&leaf) {
                prop_assert_eq!(judged, filter.matches(&record), "{}", filter);
            }
            if filter.matches(&record) {
                let bounds = filter.bounds();
                prop_assert!(!bounds.is_before(&leaf) && !bounds.is_after(&leaf), "{}", filter);
            }
        }
    }
}
