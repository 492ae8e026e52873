//! Filters as SQL over the index.
//!
//! The SQL may propose records that do not match, never leave out one that does: every condition comes as a wider and a narrower one, and `not` turns them round.
//! [`Filter::matches`] on the record itself has the last word.

use evidence::filter::{Filter, Pattern, Term};
use evidence::record::RecordType;
use rusqlite::types::Value;

/// Which records come first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// From the start of the log.
    OldestFirst,
    /// From its end.
    NewestFirst,
}

/// The statement that gives number and offset of every record that may match, with its parameters.
pub(super) fn select(filter: &Filter, order: Order) -> (String, Vec<Value>) {
    let mut values = Vec::new();
    let mut parts = Vec::new();
    for source in Source::ALL {
        let condition = source.condition(filter, Bound::Wider, &mut values);
        let Columns { table, seq, offset, .. } = source.columns();
        parts.push(format!(
            "SELECT {seq} AS seq, {offset} AS offset FROM {table} WHERE {seq} IS NOT NULL AND {condition}"
        ));
    }
    let direction = match order {
        Order::OldestFirst => "",
        Order::NewestFirst => " DESC",
    };
    (format!("{} ORDER BY seq{direction}", parts.join(" UNION ALL ")), values)
}

/// Where a record's row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Source {
    Decision,
    Intent,
    Outcome,
    Other,
}

struct Columns {
    table: &'static str,
    seq: &'static str,
    offset: &'static str,
    at: &'static str,
}

/// Which way a condition may err.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Bound {
    /// True for everything that matches, and maybe for more.
    Wider,
    /// True only for what matches, and maybe not for all of it.
    Narrower,
}

impl Bound {
    const fn reversed(self) -> Self {
        match self {
            Self::Narrower => Self::Wider,
            Self::Wider => Self::Narrower,
        }
    }

    /// What to say where the columns do not tell.
    const fn unsure(self) -> &'static str {
        match self {
            Self::Narrower => "0",
            Self::Wider => "1",
        }
    }
}

impl Source {
    const ALL: [Self; 4] = [Self::Decision, Self::Intent, Self::Outcome, Self::Other];

    const fn columns(self) -> Columns {
        match self {
            Self::Decision => {
                Columns { table: "calls", seq: "decision_seq", offset: "decision_offset", at: "decision_at" }
            }
            Self::Intent => Columns { table: "calls", seq: "intent_seq", offset: "intent_offset", at: "intent_at" },
            Self::Outcome => Columns { table: "calls", seq: "outcome_seq", offset: "outcome_offset", at: "outcome_at" },
            Self::Other => Columns { table: "records", seq: "seq", offset: "offset", at: "recorded_at" },
        }
    }

    fn condition(self, filter: &Filter, bound: Bound, values: &mut Vec<Value>) -> String {
        match filter {
            Filter::And(all) => self.joined(all, " AND ", "1", bound, values),
            Filter::Or(any) => self.joined(any, " OR ", "0", bound, values),
            Filter::Not(filter) => format!("NOT {}", self.condition(filter, bound.reversed(), values)),
            // A missing field is no match, not an unknown one.
            Filter::Term(term) => format!("coalesce({}, 0)", self.term(term, bound, values)),
        }
    }

    fn joined(self, filters: &[Filter], word: &str, none: &str, bound: Bound, values: &mut Vec<Value>) -> String {
        let conditions: Vec<String> = filters.iter().map(|filter| self.condition(filter, bound, values)).collect();
        if conditions.is_empty() { none.to_owned() } else { format!("({})", conditions.join(word)) }
    }

    fn term(self, term: &Term, bound: Bound, values: &mut Vec<Value>) -> String {
        let Columns { seq, at, .. } = self.columns();
        match term {
            Term::Type(types) => match self {
                Self::Decision => constant(types.contains(&RecordType::DecisionRecord)),
                Self::Intent | Self::Outcome => constant(types.contains(&RecordType::ActionRecord)),
                Self::Other => any(types, |kind| equal("type", kind.as_str(), values)),
            },
            Term::Mission(names) => any(names, |name| pattern("mission", name, bound, values)),
            Term::Agent(names) => any(names, |name| pattern("agent", name, bound, values)),
            Term::Initiator(names) => any(names, |name| pattern("initiator", name, bound, values)),
            Term::Tool(tools) => any(tools, |tool| pattern("tool", tool, bound, values)),
            Term::Decision(effects) => match self {
                Self::Decision | Self::Other => any(effects, |effect| equal("effect", effect.as_str(), values)),
                Self::Intent | Self::Outcome => constant(false),
            },
            Term::Status(statuses) => match self {
                Self::Outcome | Self::Other => any(statuses, |status| equal("status", status.as_str(), values)),
                Self::Decision | Self::Intent => constant(false),
            },
            // No column has these.
            Term::Origin(_) | Term::Would(_) => match self {
                Self::Decision | Self::Other => bound.unsure().to_owned(),
                Self::Intent | Self::Outcome => constant(false),
            },
            Term::Kind(_) => match (self, bound) {
                (Self::Other, Bound::Wider) => equal("type", RecordType::ExceptionRecord.as_str(), values),
                (Self::Other, Bound::Narrower) | (Self::Decision | Self::Intent | Self::Outcome, _) => constant(false),
            },
            Term::Class(classes) => any(classes, |class| word("classes", class, bound, values)),
            Term::Reason(codes) => any(codes, |code| word("reasons", code, bound, values)),
            Term::Call(ids) => any(ids, |ids| range("call", *ids.low.as_bytes(), *ids.high.as_bytes(), values)),
            Term::Run(ids) => any(ids, |ids| range("run", *ids.low.as_bytes(), *ids.high.as_bytes(), values)),
            Term::After(time) => {
                values.push(Value::Integer(time.micros()));
                format!("{at} >= ?")
            }
            Term::Before(time) => {
                values.push(Value::Integer(time.micros()));
                format!("{at} < ?")
            }
            Term::Seq(ranges) => any(ranges, |range| {
                for end in [range.low, range.high] {
                    values.push(Value::Integer(i64::try_from(end).unwrap_or(i64::MAX)));
                }
                format!("{seq} BETWEEN ? AND ?")
            }),
        }
    }
}

fn constant(value: bool) -> String {
    if value { "1".to_owned() } else { "0".to_owned() }
}

fn any<T>(alternatives: &[T], mut condition: impl FnMut(&T) -> String) -> String {
    let conditions: Vec<String> = alternatives.iter().map(&mut condition).collect();
    if conditions.is_empty() { constant(false) } else { format!("({})", conditions.join(" OR ")) }
}

fn equal(column: &str, text: &str, values: &mut Vec<Value>) -> String {
    values.push(Value::Text(text.to_owned()));
    format!("{column} = ?")
}

fn range(column: &str, low: [u8; 16], high: [u8; 16], values: &mut Vec<Value>) -> String {
    values.push(Value::Blob(low.to_vec()));
    values.push(Value::Blob(high.to_vec()));
    format!("{column} BETWEEN ? AND ?")
}

/// One word of a column that holds those of all records of a call.
fn word(column: &str, pattern: &Pattern, bound: Bound, values: &mut Vec<Value>) -> String {
    match (bound, pattern.exact()) {
        (Bound::Wider, Some(word)) => {
            values.push(Value::Blob(word.as_bytes().to_vec()));
            format!("instr(CAST({column} AS BLOB), ?) > 0")
        }
        // Where none has a word, none matches a pattern of some.
        (Bound::Wider, None) => format!("{column} <> ''"),
        (Bound::Narrower, _) => bound.unsure().to_owned(),
    }
}

/// Compares bytes: SQLite's own pattern operators end a text at its first NUL.
fn pattern(column: &str, pattern: &Pattern, bound: Bound, values: &mut Vec<Value>) -> String {
    if let Some(text) = pattern.exact() {
        return equal(column, text, values);
    }
    let (Bound::Wider, [first, .., last]) = (bound, pattern.segments()) else { return bound.unsure().to_owned() };
    let mut conditions = vec![format!("{column} IS NOT NULL")];
    if !first.is_empty() {
        values.push(Value::Blob(first.as_bytes().to_vec()));
        conditions.push(format!("substr(CAST({column} AS BLOB), 1, {}) = ?", first.len()));
    }
    if !last.is_empty() {
        values.push(Value::Blob(last.as_bytes().to_vec()));
        conditions.push(format!("substr(CAST({column} AS BLOB), -{}) = ?", last.len()));
    }
    format!("({})", conditions.join(" AND "))
}
