//! Which facts about a tool's arguments its rules need.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Mission;
use super::rule::{Constraint, ToolPattern, ToolRules};

/// The fact that a rule needs of one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Need {
    /// The domain that it leads to.
    Domain,
    /// How many characters its text has: never the content.
    Length,
    /// Its exact decimal value.
    Number,
    /// The one spelling of an absolute path.
    Path,
    /// That it is there, and what kind of value it has: never the content.
    Presence,
    /// Its value as it is: text, number, truth value or null.
    Scalar,
    /// Its text, if every reader sees the same in it.
    Text,
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
    others: Others,
}

impl Plan {
    /// The plan for `rules` where the danger zones of `mission` that `covers` selects also look at arguments; `None` where nothing needs a fact.
    pub(crate) fn new(mission: &Mission, rules: &ToolRules, covers: impl Fn(&ToolPattern) -> bool) -> Option<Self> {
        let mut arguments: BTreeMap<Arc<str>, Need> = rules
            .arguments
            .iter()
            .map(|(name, rule)| {
                let need = match rule.constraint {
                    Constraint::Domain(_) => Need::Domain,
                    Constraint::Free => Need::Presence,
                    Constraint::In(_) => Need::Scalar,
                    Constraint::Length { .. } => Need::Length,
                    Constraint::Path(_) => Need::Path,
                    Constraint::Pattern(_) => Need::Text,
                    Constraint::Range { .. } => Need::Number,
                    Constraint::Url(_) => Need::Url,
                };
                (name.clone(), need)
            })
            .collect();
        let zones = mission.dangers().values().filter(|danger| danger.when.iter().any(&covers));
        for name in zones.flat_map(|danger| danger.over.keys()) {
            let need = arguments.entry(name.clone()).or_insert(Need::Number);
            if *need == Need::Presence {
                *need = Need::Number;
            }
        }
        let others = if rules.arguments.is_empty() { Others::Ignore } else { Others::Name };
        (!arguments.is_empty()).then_some(Self { arguments, others })
    }

    /// The plan for a request for notifications: what was asked for, in clear.
    pub(crate) fn of_subscription() -> Self {
        const ASKED: [&str; 5] =
            ["promptsListChanged", "resourceSubscriptions", "resourcesListChanged", "taskIds", "toolsListChanged"];
        let arguments = ASKED.into_iter().map(|name| (Arc::from(name), Need::Scalar)).collect();
        Self { arguments, others: Others::Name }
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
}
