//! A standing grant: conditions under which calls of one tool need no answer of their own at gates that were asked once.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use evidence::decimal::Number;
use evidence::record::Tool;
use evidence::record::approval::{StandingGrant, Total};

use super::rule::joined;
use super::{Mission, hides};
use crate::limits::ENDORSED_BYTES_MAX;

/// One value that is good in one argument, whoever named it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endorsement {
    /// The argument, as rules name it.
    pub argument: Arc<str>,
    /// The value.
    pub value: Arc<str>,
}

impl Endorsement {
    /// Whether people can be asked to endorse `value`: they must be able to read it.
    #[must_use]
    pub fn takes(value: &str) -> bool {
        let is_line = value.trim() == value && !value.is_empty() && !value.contains('\n');
        is_line && value.len() <= ENDORSED_BYTES_MAX && !hides(value)
    }
}

/// What a file of a standing grant says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// What it endorses, where it covers no calls.
    pub(crate) endorses: Option<Endorsement>,
    pub(crate) gates: Vec<Arc<str>>,
    pub(crate) name: Arc<str>,
    /// The conditions, as rules of a mission that has nothing else.
    pub(crate) rules: Arc<Mission>,
    pub(crate) tool: Tool,
    pub(crate) totals: BTreeMap<Arc<str>, Number>,
    pub(crate) uses: u32,
}

impl Standing {
    /// What it endorses; `None` where it covers calls.
    #[must_use]
    pub const fn endorses(&self) -> Option<&Endorsement> {
        self.endorses.as_ref()
    }

    /// The gates whose answers it would be, sorted; of an endorsement none, since the mission says which.
    #[must_use]
    pub fn gates(&self) -> &[Arc<str>] {
        &self.gates
    }

    /// The mission whose gates they are.
    #[must_use]
    pub fn mission(&self) -> &Arc<str> {
        self.rules.name()
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The conditions, as a mission that allows what the grant covers.
    #[must_use]
    pub const fn rules(&self) -> &Arc<Mission> {
        &self.rules
    }

    /// The tool that it is about.
    #[must_use]
    pub const fn tool(&self) -> &Tool {
        &self.tool
    }

    /// As records hold it.
    #[must_use]
    pub fn terms(&self) -> StandingGrant {
        let totals = self.totals.iter();
        StandingGrant {
            endorses: self.endorses.as_ref().map(|endorsed| endorsed.argument.clone()),
            name: self.name.clone(),
            totals: totals
                .map(|(argument, most)| Total { argument: argument.clone(), most: most.to_string() })
                .collect(),
            until: self.rules.until(),
            uses: self.uses,
        }
    }
}

impl fmt::Display for Standing {
    /// ``up to 12 calls of `mcp:bank/send_money`, until 2026-12-31, with the arguments `amount` (a number from 0 to 500); in all at most 5000 of `amount` ``.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(Endorsement { argument, value: _ }) = &self.endorses {
            let until = &self.rules.until_text;
            return write!(f, "one value of `{argument}` in calls of `{}`, whoever names it, until {until}", self.tool);
        }
        let rules = self.rules.upstreams.values().flat_map(|upstream| upstream.tools.values());
        let with = joined(rules.map(super::difference::described), "or");
        let calls = if self.uses == 1 { "one call".to_owned() } else { format!("up to {} calls", self.uses) };
        let agents = joined(self.rules.agents().iter().map(|agent| format!("`{agent}`")), "or");
        write!(f, "{calls} of `{}` by {agents}, until {}, with {with}", self.tool, self.rules.until_text)?;
        if !self.rules.initiators.is_empty() {
            let initiators = joined(self.rules.initiators.iter().map(|name| format!("`{name}`")), "or");
            write!(f, ", on behalf of {initiators}")?;
        }
        if !self.totals.is_empty() {
            let totals = joined(self.totals.iter().map(|(argument, most)| format!("{most} of `{argument}`")), "and");
            write!(f, "; in all at most {totals}")?;
        }
        Ok(())
    }
}
