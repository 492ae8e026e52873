//! The filter language: which records an audit, an export or a view is about.
//!
//! Terms are `field:value`; a space or `and` joins them, `or` and `not` and parentheses do what they say. A value may be bare or quoted, may hold `*` for any
//! text, and a comma separates alternatives: `type:action_record tool:mcp:bank/* status:done,unknown after:2026-11-01`. A term does not match a record that lacks
//! its field. [`Filter::matches`] defines the meaning; a store may translate the syntax tree to its own query language and must agree with it.

mod parse;
#[cfg(test)]
mod tests;

use std::fmt;

use crate::ids::{CallId, RunId};
use crate::record::{Body, Effect, ExceptionKind, Origin, Record, RecordType, Status, Tool};
use crate::time::Timestamp;

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
    /// The field has one of the values.
    Term(Term),
}

/// A field with the values that match. Lists are alternatives and never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Term {
    /// The record's type.
    Type(Vec<RecordType>),
    /// The mission's name.
    Mission(Vec<Pattern>),
    /// The agent's name.
    Agent(Vec<Pattern>),
    /// The initiator's name.
    Initiator(Vec<Pattern>),
    /// The tool's text form, e.g. `mcp:bank/send_money`; decisions and actions have one.
    Tool(Vec<Pattern>),
    /// The effect of a decision.
    Decision(Vec<Effect>),
    /// The status of an outcome.
    Status(Vec<Status>),
    /// What a decision would have been, where the mission is only observed.
    Would(Vec<Effect>),
    /// The kind of an exception.
    Kind(Vec<ExceptionKind>),
    /// Any of the classes of data.
    Class(Vec<Pattern>),
    /// Who named any of what a call acts on, as its decision saw it.
    Origin(Vec<Origin>),
    /// Any of a decision's reason codes, or an outcome's.
    Reason(Vec<Pattern>),
    /// The call, or calls whose identifiers start alike.
    Call(Vec<IdRange<CallId>>),
    /// The run, or runs whose identifiers start alike.
    Run(Vec<IdRange<RunId>>),
    /// Recorded at this time or later. Ledger time never goes back, so this cuts the log at one place.
    After(Timestamp),
    /// Recorded before this time.
    Before(Timestamp),
    /// The record's number.
    Seq(Vec<SeqRange>),
}

/// The fields, as they are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field {
    Type,
    Mission,
    Agent,
    Initiator,
    Tool,
    Decision,
    Status,
    Reason,
    Call,
    Run,
    After,
    Before,
    Seq,
    Would,
    Kind,
    Class,
    Origin,
}

impl Field {
    const ALL: &'static [(&'static str, Self)] = &[
        ("type", Self::Type),
        ("mission", Self::Mission),
        ("agent", Self::Agent),
        ("initiator", Self::Initiator),
        ("tool", Self::Tool),
        ("decision", Self::Decision),
        ("status", Self::Status),
        ("reason", Self::Reason),
        ("call", Self::Call),
        ("run", Self::Run),
        ("after", Self::After),
        ("before", Self::Before),
        ("seq", Self::Seq),
        ("would", Self::Would),
        ("kind", Self::Kind),
        ("class", Self::Class),
        ("origin", Self::Origin),
    ];
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

    /// Whether `record` matches.
    #[must_use]
    pub fn matches(&self, record: &Record) -> bool {
        match self {
            Self::And(all) => all.iter().all(|filter| filter.matches(record)),
            Self::Or(any) => any.iter().any(|filter| filter.matches(record)),
            Self::Not(filter) => !filter.matches(record),
            Self::Term(term) => term.matches(record),
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
            Self::Mission(names) => matches(names, correlation.mission.as_deref()),
            Self::Agent(names) => matches(names, Some(&*record.agent.name)),
            Self::Initiator(names) => matches(names, Some(&*record.initiator.name)),
            Self::Tool(tools) => matches(tools, tool(&record.body).map(ToString::to_string).as_deref()),
            Self::Decision(effects) => effect(&record.body).is_some_and(|effect| effects.contains(&effect)),
            Self::Status(statuses) => status(&record.body).is_some_and(|status| statuses.contains(&status)),
            Self::Would(effects) => {
                matches!(&record.body, Body::Decision(decision) if decision.would.is_some_and(|would| effects.contains(&would)))
            }
            Self::Kind(kinds) => {
                matches!(&record.body, Body::Exception(exception) if kinds.contains(&exception.kind))
            }
            // A kind is of its class too.
            Self::Class(classes) => {
                let labels = || record.data_classes.iter().map(|label| &**label);
                let of_kinds = labels().filter_map(|label| Some(label.split_once('.')?.0));
                matches(classes, labels().chain(of_kinds))
            }
            Self::Origin(origins) => match &record.body {
                Body::Decision(decision) => {
                    decision.input.provenance.iter().any(|target| origins.contains(&target.origin))
                }
                _ => false,
            },
            Self::Reason(codes) => matches(codes, reasons(&record.body)),
            Self::Call(ids) => correlation.call.is_some_and(|id| ids.iter().any(|ids| ids.low <= id && id <= ids.high)),
            Self::Run(ids) => correlation.run.is_some_and(|id| ids.iter().any(|ids| ids.low <= id && id <= ids.high)),
            Self::After(at) => record.recorded_at >= *at,
            Self::Before(at) => record.recorded_at < *at,
            Self::Seq(ranges) => ranges.iter().any(|range| (range.low..=range.high).contains(&record.seq)),
        }
    }
}

fn matches<'a>(patterns: &[Pattern], texts: impl IntoIterator<Item = &'a str>) -> bool {
    texts.into_iter().any(|text| patterns.iter().any(|pattern| pattern.matches(text)))
}

fn tool(body: &Body) -> Option<&Tool> {
    match body {
        Body::Action(action) => Some(&action.tool),
        Body::Approval(approval) => Some(&approval.tool),
        Body::Decision(decision) => Some(&decision.input.tool),
        Body::Access(_) | Body::Exception(_) | Body::Ledger(_) | Body::Request(_) | Body::Version(_) => None,
    }
}

fn effect(body: &Body) -> Option<Effect> {
    match body {
        Body::Decision(decision) => Some(decision.effect),
        Body::Access(_)
        | Body::Action(_)
        | Body::Approval(_)
        | Body::Exception(_)
        | Body::Ledger(_)
        | Body::Request(_)
        | Body::Version(_) => None,
    }
}

fn status(body: &Body) -> Option<Status> {
    match body {
        Body::Action(action) => action.status,
        Body::Access(_)
        | Body::Approval(_)
        | Body::Decision(_)
        | Body::Exception(_)
        | Body::Ledger(_)
        | Body::Request(_)
        | Body::Version(_) => None,
    }
}

fn reasons(body: &Body) -> Vec<&str> {
    match body {
        Body::Action(action) => action.reason.as_deref().into_iter().collect(),
        Body::Decision(decision) => decision.reasons.iter().map(|reason| &**reason).collect(),
        Body::Access(_)
        | Body::Approval(_)
        | Body::Exception(_)
        | Body::Ledger(_)
        | Body::Request(_)
        | Body::Version(_) => Vec::new(),
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
                        Self::Not(_) | Self::Term(_) => filter.fmt(f)?,
                    }
                }
                Ok(())
            }
            Self::Or(any) => {
                for (at, filter) in any.iter().enumerate() {
                    f.write_str(if at == 0 { "" } else { " or " })?;
                    match filter {
                        Self::Or(_) => grouped(f, filter)?,
                        Self::And(_) | Self::Not(_) | Self::Term(_) => filter.fmt(f)?,
                    }
                }
                Ok(())
            }
            Self::Not(filter) => {
                f.write_str("not ")?;
                match &**filter {
                    Self::And(_) | Self::Or(_) => grouped(f, filter),
                    Self::Not(_) | Self::Term(_) => filter.fmt(f),
                }
            }
            Self::Term(term) => term.fmt(f),
        }
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Type(values) => list(f, "type", values),
            Self::Mission(values) => list(f, "mission", values),
            Self::Agent(values) => list(f, "agent", values),
            Self::Initiator(values) => list(f, "initiator", values),
            Self::Tool(values) => list(f, "tool", values),
            Self::Decision(values) => list(f, "decision", values),
            Self::Status(values) => list(f, "status", values),
            Self::Would(values) => list(f, "would", values),
            Self::Kind(values) => list(f, "kind", values),
            Self::Class(values) => list(f, "class", values),
            Self::Origin(values) => list(f, "origin", values),
            Self::Reason(values) => list(f, "reason", values),
            Self::Call(values) => list(f, "call", values),
            Self::Run(values) => list(f, "run", values),
            Self::After(at) => write!(f, "after:{at}"),
            Self::Before(at) => write!(f, "before:{at}"),
            Self::Seq(values) => list(f, "seq", values),
        }
    }
}

fn list<T: fmt::Display>(f: &mut fmt::Formatter<'_>, field: &str, values: &[T]) -> fmt::Result {
    write!(f, "{field}:")?;
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
