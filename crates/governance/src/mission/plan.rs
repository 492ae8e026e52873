//! Which facts about a tool's arguments its rules need.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::Mission;
use super::rule::{Constraint, Presence, ToolPattern, ToolRules};
use super::source::{Source, parent_of};

/// The fact that a rule needs of one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Need {
    /// The words of a command line.
    Command,
    /// The domain that it leads to.
    Domain,
    /// The addresses that a mail program reads in it.
    Email,
    /// That it is an object, and its fields by the plan.
    Fields,
    /// The one spelling of an identifier.
    Identifier,
    /// How many characters its text has: never the content.
    Length,
    /// Its exact decimal value.
    Number,
    /// The one spelling of an absolute path.
    Path,
    /// That it is there, and what kind of value it has: never the content.
    Presence,
    /// Whether an earlier result of the run had it: never the content.
    Returned,
    /// Its value as it is: text, number, truth value or null.
    Scalar,
    /// Which kinds of statement it holds: never the content.
    Sql,
    /// Its text, if every reader sees the same in it.
    Text,
    /// A moment, or the first and the last one of a day.
    Time,
    /// The one spelling of a URL.
    Url,
}

/// What becomes of arguments that no rule names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Others {
    /// Nothing: any argument may be sent.
    Ignore,
    /// Their presence is a fact, so that the rules can refuse them.
    Name,
}

/// Which facts about a tool's arguments its rules need.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    arguments: BTreeMap<Arc<str>, Need>,
    /// Nested arguments that every object must have where they belong.
    demanded: BTreeSet<Arc<str>>,
    others: Others,
    /// What values must have been returned by.
    sources: BTreeMap<Arc<str>, Source>,
}

impl Plan {
    /// The plan for `rules` where the danger zones of `mission` that `covers` selects also look at arguments; `None` where nothing needs a fact.
    pub(crate) fn new(mission: &Mission, rules: &ToolRules, covers: impl Fn(&ToolPattern) -> bool) -> Option<Self> {
        let mut arguments: BTreeMap<Arc<str>, Need> = rules
            .arguments
            .iter()
            .map(|(name, rule)| {
                let need = match rule.constraint {
                    Constraint::Command(_) => Need::Command,
                    Constraint::Domain(_) => Need::Domain,
                    Constraint::Email(_) => Need::Email,
                    Constraint::Fields => Need::Fields,
                    Constraint::Free => Need::Presence,
                    Constraint::From(_) => Need::Returned,
                    Constraint::Identifier(_) => Need::Identifier,
                    Constraint::In(_) => Need::Scalar,
                    Constraint::Length { .. } => Need::Length,
                    Constraint::Path(_) => Need::Path,
                    Constraint::Pattern(_) => Need::Text,
                    Constraint::Range { .. } => Need::Number,
                    Constraint::Sql(_) => Need::Sql,
                    Constraint::Time { .. } => Need::Time,
                    Constraint::Url(_) => Need::Url,
                };
                (name.clone(), need)
            })
            .collect();
        let zones = mission.dangers().values().filter(|danger| danger.when.iter().any(&covers));
        for name in zones.flat_map(|danger| danger.over.keys()) {
            let mut at = parent_of(name);
            while let Some(parent) = at.filter(|_| rules.arguments.is_empty()) {
                at = parent_of(&parent);
                arguments.insert(parent, Need::Fields);
            }
            let need = arguments.entry(name.clone()).or_insert(Need::Number);
            if *need == Need::Presence {
                *need = Need::Number;
            }
        }
        let others = if rules.arguments.is_empty() { Others::Ignore } else { Others::Name };
        let demanded =
            rules.arguments.iter().filter(|(_, rule)| rule.parent.is_some() && rule.presence == Presence::Required);
        let demanded = demanded.map(|(name, _)| name.clone()).collect();
        let sources = rules.arguments.iter().filter_map(|(name, rule)| match &rule.constraint {
            Constraint::From(source) => Some((name.clone(), source.clone())),
            _ => None,
        });
        let sources = sources.collect();
        (!arguments.is_empty()).then_some(Self { arguments, demanded, others, sources })
    }

    /// The plan for a request for notifications: what was asked for, in clear.
    pub(crate) fn of_subscription() -> Self {
        const ASKED: [&str; 5] =
            ["promptsListChanged", "resourceSubscriptions", "resourcesListChanged", "taskIds", "toolsListChanged"];
        let arguments = ASKED.into_iter().map(|name| (Arc::from(name), Need::Scalar)).collect();
        Self { arguments, demanded: BTreeSet::new(), others: Others::Name, sources: BTreeMap::new() }
    }

    /// What it needs of arguments that `known`, if anything, did not look at: their names, and `*` for those that no rule names.
    pub(crate) fn beyond<'a>(&'a self, known: Option<&'a Self>) -> impl Iterator<Item = &'a str> {
        let is_unseen = move |name: &Arc<str>, need: Need| {
            let seen = known.and_then(|known| known.need(name));
            let is_the_same = match need {
                // Whatever is known of it, it is known to be there.
                Need::Presence => seen.is_some(),
                Need::Returned => seen == Some(need) && known.and_then(|known| known.source(name)) == self.source(name),
                _ => seen == Some(need),
            };
            !is_the_same
        };
        let names_others = self.others == Others::Name && known.is_none_or(|known| known.others == Others::Ignore);
        let named = self.arguments.iter().filter(move |(name, need)| is_unseen(name, **need)).map(|(name, _)| &**name);
        named.chain(names_others.then_some("*"))
    }

    /// What is needed of the argument `name`; `None` where nothing is.
    #[must_use]
    pub fn need(&self, name: &str) -> Option<Need> {
        let unruled = match self.others {
            Others::Ignore => None,
            Others::Name => Some(Need::Presence),
        };
        self.arguments.get(name).copied().or(unruled)
    }

    /// The fields that every object at `parent` must have.
    pub(crate) fn demanded_of<'a>(&'a self, parent: &'a str) -> impl Iterator<Item = &'a Arc<str>> {
        self.demanded.iter().filter(move |path| parent_of(path).is_some_and(|of| *of == *parent))
    }

    /// Whether some value must have been returned before.
    #[must_use]
    pub(crate) fn recalls(&self) -> bool {
        !self.sources.is_empty()
    }

    /// What the values of `name` must have been returned by.
    pub(crate) fn source(&self, name: &str) -> Option<&Source> {
        self.sources.get(name)
    }
}
