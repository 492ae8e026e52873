//! Exceptions of a class's line in `[data]`: for one tool, until a day, for a reason that is on record.
//!
//! An exception lifts its class's line and nothing else: rules for arguments, danger zones, pins, and who must have named a target hold as before. Which are
//! taken up when is said in [`Mission::unfit_exceptions`].

use std::fmt;
use std::sync::Arc;

use evidence::record::{Endpoint, Rule, Tool};
use evidence::time::Timestamp;

use super::Mission;
use super::data::{ClassRule, DataRules, OnResult, Otherwise, Treatment};
use super::rule::{ToolPattern, key};
use super::spelling::brief;
use crate::limits::{EXCEPT_DAYS_MAX, EXCEPT_SOON_DAYS};

/// Microseconds of one day.
const DAY_US: i64 = 86_400_000_000;

/// What of a call an exception is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Side {
    /// What the agent sends.
    Arguments,
    /// What the tool returns.
    Result,
}

impl Side {
    /// Both.
    pub(crate) const ALL: [Self; 2] = [Self::Arguments, Self::Result];

    /// Its name in missions.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Arguments => "arguments",
            Self::Result => "result",
        }
    }
}

/// One exception of a class's line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Except {
    /// The argument that it is about, as rules and records name it; the whole side where it is `None`.
    pub(crate) field: Option<Arc<str>>,
    pub(crate) line: u32,
    pub(crate) side: Side,
    /// One tool: the pattern is never open.
    pub(crate) tool: ToolPattern,
    /// The first moment at which it is as if it were not there.
    pub(crate) until: Timestamp,
    pub(crate) until_text: Arc<str>,
    pub(crate) why: Arc<str>,
}

/// An exception of a mission, for whoever tells of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exception {
    /// The class or kind whose line it lifts.
    pub class: Arc<str>,
    /// The rule's id and line.
    pub rule: Rule,
    /// What it lets through, in a sentence without its reason.
    pub sentence: String,
    /// The first moment at which it is as if it were not there.
    pub until: Timestamp,
    /// Why it is there.
    pub why: Arc<str>,
}

impl Except {
    pub(crate) fn is_alive(&self, at: Timestamp) -> bool {
        at < self.until
    }

    /// Whether it is about calls of `tool`.
    pub(crate) fn is_of(&self, tool: &Tool) -> bool {
        tool.endpoint == Endpoint::Tool && self.tool.covers(tool.surface, &tool.upstream, &tool.name)
    }

    /// What no two exceptions of a class have in common.
    pub(crate) fn place(&self) -> (&ToolPattern, Side, Option<&str>) {
        (&self.tool, self.side, self.field.as_deref())
    }

    /// `data."pii.email".except.mcp.mail.send_email.arguments.to`.
    pub(crate) fn rule(&self, class: &str) -> Rule {
        let ToolPattern { name, surface, upstream, .. } = &self.tool;
        let field = self.field.as_ref().map(|field| format!(".{}", key(field))).unwrap_or_default();
        let side = self.side.name();
        let id = format!("data.{}.except.{surface}.{}.{}.{side}{field}", key(class), key(upstream), key(name));
        Rule { id: id.into(), line: self.line }
    }

    /// Whether `line` by itself lets through all that this does, at any time.
    pub(crate) fn is_idle(&self, line: &ClassRule) -> bool {
        let is_cleared = || line.to.iter().any(|pattern| self.is_under(pattern));
        match (self.side, &self.field) {
            (Side::Result, _) => line.result == OnResult::Treat(Treatment::Keep),
            (Side::Arguments, Some(_)) => line.otherwise == Otherwise::Keep || is_cleared(),
            (Side::Arguments, None) => {
                (line.otherwise == Otherwise::Keep && line.run == Otherwise::Keep) || is_cleared()
            }
        }
    }

    fn is_under(&self, pattern: &ToolPattern) -> bool {
        pattern.covers(self.tool.surface, &self.tool.upstream, &self.tool.name)
    }

    /// Whether `other` lets through all that this does, as long as it lives.
    pub(crate) fn is_within(&self, other: &Self) -> bool {
        self.tool == other.tool
            && self.side == other.side
            && other
                .field
                .as_ref()
                .is_none_or(|wide| self.field.as_ref().is_some_and(|field| field == wide || is_inside(field, wide)))
    }
}

/// Whether the argument at the path `field` stands in the one at `wide`.
pub(crate) fn is_inside(field: &str, wide: &str) -> bool {
    let mut at = super::parent_of(field);
    while let Some(parent) = at {
        if *parent == *wide {
            return true;
        }
        at = super::parent_of(&parent);
    }
    false
}

impl fmt::Display for Except {
    /// What it lets through, to follow the class.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.side, &self.field) {
            (Side::Arguments, None) => write!(f, "may go to `{}`", self.tool)?,
            (Side::Arguments, Some(field)) => write!(f, "may go to `{}` in `{}`", self.tool, brief(field))?,
            (Side::Result, _) => write!(f, "stays in what `{}` returns", self.tool)?,
        }
        write!(f, " until `{}`", self.until_text)
    }
}

impl DataRules {
    /// Every exception with the class whose line it lifts.
    pub(crate) fn excepts(&self) -> impl Iterator<Item = (&Arc<str>, &Except)> {
        self.classes.iter().flat_map(|(class, rule)| rule.excepts.iter().map(move |except| (class, except)))
    }
}

impl Mission {
    /// The exceptions of its lines about data, by class.
    pub fn exceptions(&self) -> impl Iterator<Item = Exception> {
        self.data.excepts().map(|(class, except)| Exception {
            class: class.clone(),
            rule: except.rule(class),
            sentence: format!("`{class}` {except}"),
            until: except.until,
            why: except.why.clone(),
        })
    }

    /// What is wrong with its exceptions where it is put in force at `at` instead of `old`: those that end too far ahead, and those that are new and over. Each
    /// with its line.
    #[must_use]
    pub fn unfit_exceptions(&self, old: Option<&Self>, at: Timestamp) -> Vec<(u32, String)> {
        let is_known = |class: &Arc<str>, except: &Except| {
            let before = old.into_iter().flat_map(|old| old.data.excepts());
            before.into_iter().any(|(known, before)| {
                known == class && before.place() == except.place() && before.until >= except.until
            })
        };
        let too_far = self.far_exceptions(EXCEPT_DAYS_MAX, at).map(|line| {
            (line, format!("an exception may end {EXCEPT_DAYS_MAX} days ahead at most; bring `until` nearer"))
        });
        let over = self.data.excepts().filter(|(class, except)| !except.is_alive(at) && !is_known(class, except));
        let over = over.map(|(_, except)| {
            let reason = "an exception that is over before it begins; remove it, or write a date to come in `until`";
            (except.line, reason.to_owned())
        });
        too_far.chain(over).collect()
    }

    /// The lines of exceptions that end more than so many days after `at`.
    pub(crate) fn far_exceptions(&self, days: u32, at: Timestamp) -> impl Iterator<Item = u32> {
        let most = i64::from(days) * DAY_US;
        self.data
            .excepts()
            .map(|(_, except)| except)
            .filter(move |except| except.until.micros_since(at) > most)
            .map(|except| except.line)
    }

    /// What an owner should know of its exceptions at `at`: those that are over, and those that soon will be.
    #[must_use]
    pub fn ending_exceptions(&self, at: Timestamp) -> Vec<(u32, String)> {
        let soon = at.plus_micros(i64::from(EXCEPT_SOON_DAYS) * DAY_US);
        let ending = self.data.excepts().filter(|(_, except)| except.until < soon);
        let told = ending.map(|(class, except)| {
            let rest = if except.is_alive(at) {
                format!("ends in less than {EXCEPT_SOON_DAYS} days; prolong it, or see that nothing needs it by then")
            } else {
                "is over, and the line holds as if it were not there; remove it".to_owned()
            };
            (except.line, format!("the exception by which `{class}` {except} {rest}"))
        });
        told.collect()
    }
}
