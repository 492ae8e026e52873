//! What an owner allows: one workflow's agents, tools, arguments and danger zones, until a date, read from one TOML file.
//!
//! [`parse`] is the only way to a [`Mission`]; what it has accepted is never checked again. It reports every problem of a file at once, each with its line. It
//! knows no tools but by name, and decides nothing: [`crate::decide::compile`] turns a mission into policy. `docs/missions.md` teaches the language.

mod capture;
mod command;
mod compare;
mod contain;
mod data;
mod difference;
mod domain;
mod draft;
mod email;
mod error;
mod except;
mod explain;
mod fit;
mod gate;
mod hours;
mod identifier;
mod kinds;
mod moment;
mod organisation;
mod path;
mod pattern;
mod plan;
mod read;
mod rule;
mod source;
mod spelling;
mod sql;
mod standing;
#[cfg(test)]
mod tests;
mod traced;
mod trifecta;
mod trust;
mod uri;
mod url;

use std::collections::BTreeMap;
use std::sync::Arc;

use evidence::record::{EffectClass, Surface};
use evidence::time::{Timestamp, Zone};

use crate::limits::REPORT_SECONDS;
pub use capture::CaptureRules;
pub use compare::{Change, Subject, compare, gravity, overall};
pub use difference::difference;
pub use draft::{Heading, Listed, draft, suggested};
pub use error::{MissionError, Problem};
pub use except::{Exception, Side};
pub use explain::explain;
pub use fit::misfits;
pub(crate) use gate::DEFAULT as DEFAULT_GATE;
pub use gate::Gate;
pub use organisation::{Breach, Organisation, Reads, groups_of};
pub use plan::{Need, Others, Plan};
pub use read::{parse, parse_organisation, parse_standing};
pub use spelling::hides;
pub use standing::{Endorsement, Standing};
pub use trust::{Role, Targets, Trust};

pub(crate) use command::{CommandPattern, words};
pub(crate) use contain::accepts;
pub use data::{CLASSES, ORG, Treatment, UNCLASSIFIED};
pub(crate) use data::{ClassRule, DataRules, OnResult, OriginRule, Otherwise, class_of};
pub(crate) use domain::domain_of;
pub(crate) use email::addresses;
pub(crate) use error::nearest;
pub(crate) use except::Except;
pub(crate) use hours::{Hours, minute_of_week};
pub(crate) use identifier::identifier;
pub use kinds::{KINDS, is_own};
pub(crate) use moment::moments;
pub(crate) use path::normal_path;
pub(crate) use pattern::Pattern;
pub(crate) use rule::{
    Addend, ArgumentRule, Constraint, Danger, DomainPattern, Limit, Naming, Period, Presence, Scalar, Spent,
    ToolPattern, ToolRules, Upstream, UriPattern, joined, key, list, split_tool, tool_of, tool_rule_id,
};
pub use source::Source;
pub(crate) use source::{argument_path, child_path, is_argument, name_of, parent_of};
pub(crate) use spelling::{ambiguity, brief, is_hidden};
pub(crate) use sql::kinds;
pub use trifecta::trifecta;
pub(crate) use trust::Reach;
pub(crate) use uri::is_plain;
pub(crate) use url::{UrlPattern, WebUrl};

/// A kind of request that a server may send to the client. Off unless the mission turns it on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Feature {
    /// The server asks the user for input.
    Elicitation,
    /// The server asks for the client's root folders.
    Roots,
    /// The server asks the client's model for a completion.
    Sampling,
}

impl Feature {
    /// Every feature, in the order of their keys.
    pub const ALL: [Self; 3] = [Self::Elicitation, Self::Roots, Self::Sampling];

    /// The key in a mission file, which is also the name of the protocol's capability.
    #[must_use]
    pub const fn key(self) -> &'static str {
        match self {
            Self::Elicitation => "elicitation",
            Self::Roots => "roots",
            Self::Sampling => "sampling",
        }
    }

    /// The method of the request.
    #[must_use]
    pub const fn method(self) -> &'static str {
        match self {
            Self::Elicitation => "elicitation/create",
            Self::Roots => "roots/list",
            Self::Sampling => "sampling/createMessage",
        }
    }
}

/// The request for a stream of notifications. A mission that allows anything of a server allows it, thinned to what the mission shows.
pub const SUBSCRIBING: &str = "subscriptions/listen";

/// The tool by which an agent asks how an approval stands: the gateway's own, at every server of a mission with gates, and never sent to one.
pub const APPROVAL_STATUS: &str = "countersign_approval_status";

/// Every request that a revision of the protocol defines, in either direction: what `requests` neither names nor means by `*`.
pub const PROTOCOL_REQUESTS: [&str; 23] = [
    "completion/complete",
    "elicitation/create",
    "initialize",
    "logging/setLevel",
    "ping",
    "prompts/get",
    "prompts/list",
    "resources/list",
    "resources/read",
    "resources/subscribe",
    "resources/templates/list",
    "resources/unsubscribe",
    "roots/list",
    "sampling/createMessage",
    "server/discover",
    SUBSCRIBING,
    "tasks/cancel",
    "tasks/get",
    "tasks/list",
    "tasks/result",
    "tasks/update",
    "tools/call",
    "tools/list",
];

/// What becomes of a call that the mission does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// It is denied.
    Enforce,
    /// It runs, if its tool does nothing grave, and the record says what would have been.
    Observe,
}

/// What becomes of a tool whose definition nobody has accepted yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PinPolicy {
    /// It is pinned as it is first seen.
    FirstSight,
    /// It waits for a person.
    Strict,
}

/// Versioned authority for one workflow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mission {
    agents: Vec<Arc<str>>,
    agents_line: u32,
    budget: BTreeMap<Spent, Vec<Limit>>,
    dangers: BTreeMap<Arc<str>, Danger>,
    data: DataRules,
    gates: BTreeMap<Arc<str>, Gate>,
    goal: Arc<str>,
    hours: Vec<Hours>,
    hours_line: u32,
    /// On whose behalf; anybody's where it is empty. A `*` stands for any start.
    initiators: Vec<Arc<str>>,
    initiators_line: u32,
    last_moment: Timestamp,
    mode: Mode,
    name: Arc<str>,
    owner: Arc<str>,
    pins: PinPolicy,
    sha256: Arc<str>,
    source: Arc<str>,
    until: Timestamp,
    until_line: u32,
    until_text: Arc<str>,
    upstreams: BTreeMap<Arc<str>, Upstream>,
    why: Arc<str>,
    zone: Zone,
}

impl Mission {
    /// The agents that may act, in the order of the file; at least one.
    #[must_use]
    pub fn agents(&self) -> &[Arc<str>] {
        &self.agents
    }

    /// What the workflow is for.
    #[must_use]
    pub const fn goal(&self) -> &Arc<str> {
        &self.goal
    }

    /// Whether it is held to.
    #[must_use]
    pub const fn mode(&self) -> Mode {
        self.mode
    }

    /// The mission's name: `[a-z0-9][a-z0-9-]{0,62}`.
    #[must_use]
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Who answers for it.
    #[must_use]
    pub const fn owner(&self) -> &Arc<str> {
        &self.owner
    }

    /// What becomes of tools that nobody has accepted yet.
    #[must_use]
    pub const fn pins(&self) -> PinPolicy {
        self.pins
    }

    /// SHA-256 of the file's bytes, lower-case hexadecimal.
    #[must_use]
    pub const fn sha256(&self) -> &Arc<str> {
        &self.sha256
    }

    /// The file's text.
    #[must_use]
    pub const fn source(&self) -> &Arc<str> {
        &self.source
    }

    /// The first moment at which the mission no longer holds. A bare date in the file counts through its last microsecond, in the mission's time zone.
    #[must_use]
    pub const fn until(&self) -> Timestamp {
        self.until
    }

    /// The names of the upstreams on `surface` that the mission allows anything of, sorted.
    pub fn upstreams(&self, surface: Surface) -> impl Iterator<Item = &Arc<str>> {
        rule::servers_of(&self.upstreams).filter(move |(_, known)| *known == surface).map(|(name, _)| name)
    }

    /// Within how many seconds `engine` reports what became of a step.
    #[must_use]
    pub fn report_within_s(&self, engine: &str) -> u64 {
        self.upstream(Surface::Workflow, engine).map_or(REPORT_SECONDS, Upstream::report_within_s)
    }

    pub(crate) fn upstream(&self, surface: Surface, name: &str) -> Option<&Upstream> {
        self.upstreams.get(name).filter(|upstream| upstream.surface == surface)
    }

    /// The reason for this version of the file.
    #[must_use]
    pub const fn why(&self) -> &Arc<str> {
        &self.why
    }

    /// Whose days and hours it means.
    #[must_use]
    pub const fn zone(&self) -> &Zone {
        &self.zone
    }

    /// What the owner says that the tool `name` of `upstream` does.
    #[must_use]
    pub fn effect_class(&self, surface: Surface, upstream: &str, name: &str) -> EffectClass {
        let declared = self.upstream(surface, upstream).and_then(|upstream| upstream.effects.get(name));
        declared.map_or(EffectClass::Unconfirmed, |(class, _)| *class)
    }

    /// The last moment at which it holds.
    #[must_use]
    pub const fn last_moment(&self) -> Timestamp {
        self.last_moment
    }

    /// The fields of results that rules name, each once.
    pub(crate) fn sources(&self) -> Vec<Source> {
        let rules = self.upstreams.values().flat_map(|upstream| upstream.tools.values());
        let named = rules.flat_map(|tool| tool.arguments.values()).filter_map(|rule| match &rule.constraint {
            Constraint::From(source) => Some(source.clone()),
            _ => None,
        });
        named.collect::<std::collections::BTreeSet<_>>().into_iter().collect()
    }

    pub(crate) fn hours(&self) -> &[Hours] {
        &self.hours
    }

    pub(crate) const fn hours_line(&self) -> u32 {
        self.hours_line
    }

    pub(crate) fn initiators(&self) -> &[Arc<str>] {
        &self.initiators
    }

    pub(crate) const fn initiators_line(&self) -> u32 {
        self.initiators_line
    }

    pub(crate) const fn agents_line(&self) -> u32 {
        self.agents_line
    }

    pub(crate) const fn budget(&self) -> &BTreeMap<Spent, Vec<Limit>> {
        &self.budget
    }

    pub(crate) const fn dangers(&self) -> &BTreeMap<Arc<str>, Danger> {
        &self.dangers
    }

    /// The names of own classes that it speaks of, each with a line that does.
    pub fn own_classes(&self) -> impl Iterator<Item = (&str, u32)> {
        let ruled = self.data.classes.iter().map(|(label, rule)| (label, rule.line));
        let touched =
            self.data.touches.iter().flat_map(|touches| touches.classes.iter().map(|label| (label, touches.line)));
        ruled.chain(touched).filter_map(|(label, line)| Some((label.strip_prefix("org.")?, line)))
    }

    pub(crate) const fn data(&self) -> &DataRules {
        &self.data
    }

    /// Whose approval a zone needs; `None` where nobody is asked, and its calls are denied.
    pub(crate) fn gate_of(&self, zone: &Danger) -> Option<&Gate> {
        self.gates.get(zone.gate.as_deref().unwrap_or(gate::DEFAULT))
    }

    /// Whether anybody may be asked about calls.
    #[must_use]
    pub fn has_gates(&self) -> bool {
        !self.gates.is_empty()
    }

    /// The gate of that name.
    #[must_use]
    pub fn gate(&self, name: &str) -> Option<&Gate> {
        self.gates.get(name)
    }

    pub(crate) const fn rules(&self) -> &BTreeMap<Arc<str>, Upstream> {
        &self.upstreams
    }

    pub(crate) const fn until_line(&self) -> u32 {
        self.until_line
    }
}
