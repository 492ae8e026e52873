//! The stop switch: of everything, of a mission, or of an agent.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;
use std::sync::{PoisonError, RwLock};

use evidence::record::{Context, VersionLog, VersionedKind, VersionedObject};
use serde::{Deserialize, Serialize};
use store::Reader;

use crate::{Gateway, OpenError, versions};

/// What is stopped.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// One agent, in every mission.
    Agent(String),
    /// Everything.
    All,
    /// One mission.
    Mission(String),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Agent(name) => write!(f, "agent:{name}"),
            Self::All => f.write_str("all"),
            Self::Mission(name) => write!(f, "mission:{name}"),
        }
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            None if text == "all" => Ok(Self::All),
            Some(("agent", name)) => Ok(Self::Agent(name.to_owned())),
            Some(("mission", name)) => Ok(Self::Mission(name.to_owned())),
            _ => Err(format!("`{text}` is no scope")),
        }
    }
}

/// The two positions of the switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Switch {
    /// Nothing in the scope is executed.
    Halted,
    /// Calls run again.
    Resumed,
}

impl Switch {
    /// The state's stable spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Halted => "halted",
            Self::Resumed => "resumed",
        }
    }
}

/// What is stopped now, with the reason.
#[derive(Debug, Default)]
pub struct Halts(RwLock<BTreeMap<Scope, String>>);

impl Halts {
    /// Takes up what the ledger says; for whoever only reads it, too.
    ///
    /// # Errors
    /// When the ledger cannot be read, or holds a halt that this version does not understand.
    pub fn restore(reader: &Reader) -> Result<Self, OpenError> {
        let mut halts = BTreeMap::new();
        for version in versions(reader, VersionedKind::Halt)? {
            let name = version.object.name.to_string();
            let scope = name.parse().map_err(|reason| OpenError::State { kind: "halt", name, reason })?;
            if &*version.to == Switch::Halted.as_str() {
                halts.insert(scope, version.why);
            }
        }
        Ok(Self(RwLock::new(halts)))
    }

    /// Whether a call of `agent` in `mission` must not run.
    pub(crate) fn covers(&self, mission: &str, agent: &str) -> bool {
        let halts = self.0.read().unwrap_or_else(PoisonError::into_inner);
        // The common case: nothing is stopped, and nothing is allocated to find out.
        !halts.is_empty()
            && halts.keys().any(|scope| match scope {
                Scope::Agent(name) => name == agent,
                Scope::All => true,
                Scope::Mission(name) => name == mission,
            })
    }

    /// What is stopped, with the reasons.
    #[must_use]
    pub fn list(&self) -> Vec<(String, String)> {
        let halts = self.0.read().unwrap_or_else(PoisonError::into_inner);
        halts.iter().map(|(scope, why)| (scope.to_string(), why.clone())).collect()
    }
}

impl Gateway {
    /// Turns the switch of `scope`. A halt bites before it is recorded, so that trouble with the ledger cannot keep a stop from working.
    ///
    /// # Errors
    /// When the change could not be recorded: a halt holds until this process ends, a resume did not happen.
    pub async fn switch(&self, scope: Scope, switch: Switch, who: &str, why: &str) -> Result<(), store::AppendError> {
        let halts = || self.halts.0.write().unwrap_or_else(PoisonError::into_inner);
        let was = self.halts.0.read().unwrap_or_else(PoisonError::into_inner).contains_key(&scope);
        if switch == Switch::Halted {
            halts().insert(scope.clone(), why.to_owned());
        }
        let from = if was { Switch::Halted } else { Switch::Resumed };
        let body = VersionLog {
            approval: None,
            difference: vec![format!("{scope} is {}", switch.as_str())],
            direction: None,
            from: Some(from.as_str().into()),
            object: VersionedObject { kind: VersionedKind::Halt, name: scope.to_string().into() },
            state: None,
            to: switch.as_str().into(),
            who: who.to_owned(),
            why: why.to_owned(),
        };
        self.note(Context::system().into(), body).await?;
        if switch == Switch::Resumed {
            halts().remove(&scope);
        }
        Ok(())
    }
}
