//! The filter language: which records an audit, an export or a view is about.
//!
//! Terms are `field:value`; a space or `and` joins them, `or` and `not` and parentheses do what they say. A value may be bare or quoted, may hold `*` for any
//! text, and a comma separates alternatives: `type:action_record tool:mcp:bank/* status:done,unknown after:2026-11-01`. A term does not match a record that lacks
//! its field. What is no term is looked for in the record's sentences. `call(...)`, `run(...)`, `approval(...)` and `exception(...)` ask about the other records of the same one.
//! [`Filter::matches_in`] defines the meaning; a store may translate the syntax tree to its own query language and must agree with it. Fields are made in [`Field`].

mod argument;
mod complete;
mod field;
mod leaf;
mod moment;
mod parse;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::ids::{ApprovalId, CallId, ExceptionId, RecordId, RunId};
use crate::record::{Body, ExceptionKind, Record, RecordType};
use crate::time::Timestamp;

pub use argument::{Argument, Comparison, Test};
pub use complete::{Completion, completions};
pub use field::Field;
pub use leaf::Bounds;
pub use moment::{Span, duration_us};
pub use parse::FilterError;

/// A question about one record. [`Filter::And`] of nothing is what the empty text means: every record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Filter {
    /// All of them match.
    And(Vec<Filter>),
    /// At least one matches.
    Or(Vec<Filter>),
    /// It does not match.
    Not(Box<Filter>),
    /// Some record of the same call, run, approval or exception matches.
    Join(Join),
    /// The field has one of the values.
    Term(Term),
}

/// What records are taken together by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Along {
    /// The call that they are about.
    Call,
    /// The run that they happened in.
    Run,
    /// The approval that they are about: an identical call that comes later uses what was approved for an earlier one.
    Approval,
    /// The exception that they are about.
    Exception,
}

/// A question about the other records of the same call, run, approval or exception, and about this one too. Never true of a record that has none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Join {
    /// Which records are asked about.
    pub along: Along,
    /// What one of them must match.
    pub inner: Box<Filter>,
}

/// A field with the values that match. Lists are alternatives and never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Term {
    /// The record's type.
    Type(Vec<RecordType>),
    /// The kind of an exception.
    Kind(Vec<ExceptionKind>),
    /// Any value of the field is like one of these.
    Value(Field, Vec<Pattern>),
    /// The rules of a decision saw an argument like one of these.
    Argument(Vec<Argument>),
    /// A sentence of the record is like one of these, in lower case.
    Text(Vec<Pattern>),
    /// The call, or calls whose identifiers start alike.
    Call(Vec<IdRange<CallId>>),
    /// The run, or runs whose identifiers start alike.
    Run(Vec<IdRange<RunId>>),
    /// The session, likewise.
    Session(Vec<IdRange<RecordId>>),
    /// The approval, likewise.
    Approval(Vec<IdRange<ApprovalId>>),
    /// The exception, likewise.
    Exception(Vec<IdRange<ExceptionId>>),
    /// Recorded at this time or later. Ledger time never goes back, so this cuts the log at one place.
    After(Timestamp),
    /// Recorded before this time.
    Before(Timestamp),
    /// Recorded in one of these spans of time.
    On(Vec<Span>),
    /// The record's number.
    Seq(Vec<SeqRange>),
}

/// Text with `*` for any text, also none. Upper and lower case differ.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    // INVARIANT (pattern): at least one; only the first and the last may be empty where there are several.
    segments: Vec<String>,
}

impl Pattern {
    /// Matches every text.
    #[must_use]
    pub fn any() -> Self {
        Self { segments: vec![String::new(), String::new()] }
    }

    /// Matches `text` alone.
    #[must_use]
    pub fn exactly(text: &str) -> Self {
        Self { segments: vec![text.to_owned()] }
    }

    /// Matches every text that holds one that this matches.
    fn anywhere(self) -> Self {
        let ends = || std::iter::once(String::new());
        Self { segments: ends().chain(self.segments).chain(ends()).collect() }.collapsed()
    }

    /// What [`Self::anywhere`] was made of.
    fn without_ends(&self) -> Self {
        let inner = self.segments.len().saturating_sub(2);
        Self { segments: self.segments.iter().skip(1).take(inner).cloned().collect() }
    }

    /// Takes `**` as `*`: no empty segment but the first and the last.
    fn collapsed(self) -> Self {
        let last = self.segments.len().saturating_sub(1);
        let keep = |(at, segment): (usize, String)| (at == 0 || at == last || !segment.is_empty()).then_some(segment);
        Self { segments: self.segments.into_iter().enumerate().filter_map(keep).collect() }
    }

    /// The literal parts between the wildcards: one part means that the whole text must be equal.
    #[must_use]
    pub fn segments(&self) -> &[String] {
        &self.segments
    }

    /// The text that must be equal, where there is no wildcard.
    #[must_use]
    pub fn exact(&self) -> Option<&str> {
        match self.segments.as_slice() {
            [text] => Some(text),
            _ => None,
        }
    }

    /// Whether `text` matches.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let [first, middle @ .., last] = self.segments.as_slice() else {
            return self.exact() == Some(text);
        };
        let Some(mut rest) = text.strip_prefix(first.as_str()).and_then(|rest| rest.strip_suffix(last.as_str())) else {
            return false;
        };
        for segment in middle {
            let Some((_, after)) = rest.split_once(segment.as_str()) else { return false };
            rest = after;
        }
        true
    }
}

/// Identifiers from `low` to `high`, both included: one, or all that start alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IdRange<T> {
    /// The first that matches.
    pub low: T,
    /// The last that matches.
    pub high: T,
}

/// Numbers from `low` to `high`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeqRange {
    /// The first that matches.
    pub low: u64,
    /// The last that matches.
    pub high: u64,
}

impl Filter {
    /// The filter that matches every record.
    #[must_use]
    pub const fn everything() -> Self {
        Self::And(Vec::new())
    }

    /// Whether `record` matches, where it is all that is known: joins see it alone.
    #[must_use]
    pub fn matches(&self, record: &Record) -> bool {
        self.matches_in(record, &mut |join, record| join.along.key(record).is_some() && join.inner.matches(record))
    }

    /// Whether `record` matches among `records`, which hold all of its call and run.
    #[must_use]
    pub fn matches_among(&self, record: &Record, records: &[Record]) -> bool {
        self.matches_in(record, &mut |join, record| {
            let key = join.along.key(record);
            let together = records.iter().filter(|other| key.is_some() && join.along.key(other) == key);
            together.into_iter().any(|other| join.inner.matches_among(other, records))
        })
    }

    /// Whether `record` matches, where `joined` says of a join whether some record of its call or run does.
    pub fn matches_in(&self, record: &Record, joined: &mut dyn FnMut(&Join, &Record) -> bool) -> bool {
        match self {
            Self::And(all) => all.iter().all(|filter| filter.matches_in(record, joined)),
            Self::Or(any) => any.iter().any(|filter| filter.matches_in(record, joined)),
            Self::Not(filter) => !filter.matches_in(record, joined),
            Self::Join(join) => joined(join, record),
            Self::Term(term) => term.matches(record),
        }
    }

    /// The joins outside of other joins, in the order in which they are written.
    #[must_use]
    pub fn joins(&self) -> Vec<&Join> {
        match self {
            Self::And(filters) | Self::Or(filters) => filters.iter().flat_map(Self::joins).collect(),
            Self::Not(filter) => filter.joins(),
            Self::Join(join) => vec![join],
            Self::Term(_) => Vec::new(),
        }
    }

    /// Records with a number from `low` to `high` that match.
    #[must_use]
    pub fn within(self, low: u64, high: u64) -> Self {
        Self::And(vec![self, Self::Term(Term::Seq(vec![SeqRange { low, high }]))])
    }
}

impl Along {
    /// All of them.
    pub const ALL: &'static [Self] = &[Self::Call, Self::Run, Self::Approval, Self::Exception];

    /// How it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Run => "run",
            Self::Approval => "approval",
            Self::Exception => "exception",
        }
    }

    /// The field that has the identifier as text, where a record that is about several of them, or of none, is found by it alone.
    #[must_use]
    pub const fn field(self) -> Option<Field> {
        match self {
            Self::Approval => Some(Field::Approval),
            Self::Exception => Some(Field::Exception),
            Self::Call | Self::Run => None,
        }
    }

    /// Whose records `record` is taken together with, as the bytes of its identifier.
    #[must_use]
    pub fn key(self, record: &Record) -> Option<[u8; 16]> {
        match self {
            Self::Call => record.correlation.call.map(|call| *call.as_bytes()),
            Self::Run => record.correlation.run.map(|run| *run.as_bytes()),
            Self::Approval => field::approval(&record.body).map(|approval| *approval.as_bytes()),
            Self::Exception => match &record.body {
                Body::Exception(exception) => Some(*exception.exception.as_bytes()),
                _ => None,
            },
        }
    }
}

impl Term {
    /// Whether `record` has the field with one of the values.
    #[must_use]
    pub fn matches(&self, record: &Record) -> bool {
        let correlation = &record.correlation;
        match self {
            Self::Type(types) => types.contains(&record.record_type),
            Self::Kind(kinds) => matches!(&record.body, Body::Exception(exception) if kinds.contains(&exception.kind)),
            Self::Value(field, patterns) => {
                field.values(record).iter().any(|value| patterns.iter().any(|pattern| pattern.matches(value)))
            }
            Self::Argument(arguments) => match &record.body {
                Body::Decision(decision) => {
                    arguments.iter().any(|argument| decision.input.facets.iter().any(|facet| argument.matches(facet)))
                }
                _ => false,
            },
            Self::Text(patterns) => Field::Text.values(record).iter().any(|sentence| {
                let sentence = sentence.to_lowercase();
                patterns.iter().any(|pattern| pattern.matches(&sentence))
            }),
            Self::Call(ids) => IdRange::any_has(ids, correlation.call),
            Self::Run(ids) => IdRange::any_has(ids, correlation.run),
            Self::Session(ids) => IdRange::any_has(ids, field::session(record)),
            Self::Approval(ids) => IdRange::any_has(ids, field::approval(&record.body)),
            Self::Exception(ids) => match &record.body {
                Body::Exception(exception) => IdRange::any_has(ids, Some(exception.exception)),
                _ => false,
            },
            Self::After(at) => record.recorded_at >= *at,
            Self::Before(at) => record.recorded_at < *at,
            Self::On(spans) => spans.iter().any(|span| (span.from..=span.until).contains(&record.recorded_at)),
            Self::Seq(ranges) => ranges.iter().any(|range| (range.low..=range.high).contains(&record.seq)),
        }
    }
}

impl<T: Copy + Ord> IdRange<T> {
    fn any_has(ranges: &[Self], id: Option<T>) -> bool {
        id.is_some_and(|id| ranges.iter().any(|range| range.low <= id && id <= range.high))
    }
}

impl fmt::Display for Filter {
    /// Text that parses to the same filter.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let grouped = |f: &mut fmt::Formatter<'_>, filter: &Self| write!(f, "({filter})");
        match self {
            Self::And(all) => {
                for (at, filter) in all.iter().enumerate() {
                    f.write_str(if at == 0 { "" } else { " " })?;
                    match filter {
                        Self::And(_) | Self::Or(_) => grouped(f, filter)?,
                        Self::Not(_) | Self::Join(_) | Self::Term(_) => filter.fmt(f)?,
                    }
                }
                Ok(())
            }
            Self::Or(any) => {
                for (at, filter) in any.iter().enumerate() {
                    f.write_str(if at == 0 { "" } else { " or " })?;
                    match filter {
                        Self::Or(_) => grouped(f, filter)?,
                        Self::And(_) | Self::Not(_) | Self::Join(_) | Self::Term(_) => filter.fmt(f)?,
                    }
                }
                Ok(())
            }
            Self::Not(filter) => {
                f.write_str("not ")?;
                match &**filter {
                    Self::And(_) | Self::Or(_) => grouped(f, filter),
                    Self::Not(_) | Self::Join(_) | Self::Term(_) => filter.fmt(f),
                }
            }
            Self::Join(Join { along, inner }) => write!(f, "{}({inner})", along.as_str()),
            Self::Term(term) => term.fmt(f),
        }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type(values) => list(f, Field::Type, values),
            Self::Kind(values) => list(f, Field::Kind, values),
            Self::Value(field, values) => list(f, *field, values),
            Self::Argument(values) => list(f, Field::Argument, values),
            Self::Text(values) => {
                // What matches a sentence anywhere is written without the wildcards around it.
                let inner = values.iter().map(Pattern::without_ends).collect::<Vec<_>>();
                list(f, Field::Text, &inner)
            }
            Self::Call(values) => list(f, Field::Call, values),
            Self::Run(values) => list(f, Field::Run, values),
            Self::Session(values) => list(f, Field::Session, values),
            Self::Approval(values) => list(f, Field::Approval, values),
            Self::Exception(values) => list(f, Field::Exception, values),
            Self::After(at) => write!(f, "after:{at}"),
            Self::Before(at) => write!(f, "before:{at}"),
            Self::On(values) => list(f, Field::On, values),
            Self::Seq(values) => list(f, Field::Seq, values),
        }
    }
}

fn list<T: fmt::Display>(f: &mut fmt::Formatter<'_>, field: Field, values: &[T]) -> fmt::Result {
    write!(f, "{}:", field.name())?;
    for (at, value) in values.iter().enumerate() {
        write!(f, "{}{value}", if at == 0 { "" } else { "," })?;
    }
    Ok(())
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bare = self.segments.iter().flat_map(|segment| segment.chars()).all(parse::is_bare);
        if bare && self.exact() != Some("") {
            return f.write_str(&self.segments.join("*"));
        }
        let escaped =
            self.segments.iter().map(|segment| segment.replace('\\', "\\\\").replace('"', "\\\"").replace('*', "\\*"));
        write!(f, "\"{}\"", escaped.collect::<Vec<_>>().join("*"))
    }
}

impl<T: fmt::Display> fmt::Display for IdRange<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (low, high) = (self.low.to_string(), self.high.to_string());
        let alike = low.bytes().zip(high.bytes()).take_while(|(low, high)| low == high).count();
        match low.get(..alike) {
            Some(prefix) if alike < low.len() => write!(f, "{prefix}*"),
            _ => f.write_str(&low),
        }
    }
}

impl fmt::Display for SeqRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.low, self.high) {
            (low, high) if low == high => write!(f, "{low}"),
            (low, u64::MAX) => write!(f, "{low}.."),
            (low, high) => write!(f, "{low}..{high}"),
        }
    }
}
