//! The rules of a mission, as data: what a tool's arguments may be, which resources and prompts may be read, which calls are in a danger zone.

use std::collections::BTreeMap;
use std::fmt::{self, Display, Write as _};
use std::sync::Arc;

use evidence::decimal::Number;
use evidence::record::{EffectClass, Surface};
use evidence::time::Timestamp;

use super::command::CommandPattern;
use super::email::EmailPattern;
use super::pattern::Pattern;
use super::source::Source;
use super::spelling::brief;
use super::trust::Role;
use super::url::UrlPattern;
use crate::limits::REPORT_SECONDS;

/// What is allowed of one upstream: an MCP server, or an engine whose automations ask about their steps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Upstream {
    /// What the owner says that tools do, each with its line.
    pub(crate) effects: BTreeMap<Arc<str>, (EffectClass, u32)>,
    /// Requests that it may send to the client, with the line that turns each on.
    pub(crate) features: BTreeMap<super::Feature, u32>,
    /// The line of `"*"`, which allows every tool that has no rules of its own.
    pub(crate) every_tool: Option<u32>,
    /// The line of its name.
    pub(crate) line: u32,
    /// Names of prompts, each with its line; `*` is every prompt.
    pub(crate) prompts: Vec<(Arc<str>, u32)>,
    /// Within how many seconds an engine reports what became of a step; [`REPORT_SECONDS`] where it is not said.
    pub(crate) report_within_s: Option<u64>,
    /// Requests of the agent that the protocol does not define, each with its line; `*` is every such request.
    pub(crate) requests: Vec<(Arc<str>, u32)>,
    /// Resources, each with its line.
    pub(crate) resources: Vec<(UriPattern, u32)>,
    /// Through what it is reached. Names are unique over all surfaces of a mission.
    pub(crate) surface: Surface,
    /// Tools by name; of an engine, its actions.
    pub(crate) tools: BTreeMap<Arc<str>, ToolRules>,
}

impl Upstream {
    /// One of which nothing is allowed.
    pub(crate) const fn new(surface: Surface) -> Self {
        Self {
            effects: BTreeMap::new(),
            features: BTreeMap::new(),
            every_tool: None,
            line: 0,
            prompts: Vec::new(),
            report_within_s: None,
            requests: Vec::new(),
            resources: Vec::new(),
            surface,
            tools: BTreeMap::new(),
        }
    }

    /// Within how many seconds an engine reports what became of a step.
    pub(crate) fn report_within_s(&self) -> u64 {
        self.report_within_s.unwrap_or(REPORT_SECONDS)
    }
}

/// The servers and engines of a mission, by name.
pub(crate) fn servers_of(upstreams: &BTreeMap<Arc<str>, Upstream>) -> impl Iterator<Item = (&Arc<str>, Surface)> {
    upstreams.iter().map(|(name, upstream)| (name, upstream.surface))
}

/// What a surface calls the one that it reaches.
pub(crate) const fn server_of(surface: Surface) -> &'static str {
    match surface {
        Surface::Change | Surface::Mcp => "server",
        Surface::Workflow => "engine",
    }
}

/// What a surface calls what is asked of it.
pub(crate) const fn tool_of(surface: Surface) -> &'static str {
    match surface {
        Surface::Change | Surface::Mcp => "tool",
        Surface::Workflow => "action",
    }
}

/// The surface, the name of the server and what follows, of `mcp:bank/send_money`.
pub(crate) fn split_tool(text: &str) -> Option<(Surface, &str, &str)> {
    let (surface, rest) = text.split_once(':')?;
    let (server, name) = rest.split_once('/')?;
    // No mission allows a change, and none asks about one.
    let surface = surface.parse().ok().filter(|surface| *surface != Surface::Change)?;
    Some((surface, server, name))
}

/// What is allowed of one tool: any arguments where the table is empty, else exactly the listed ones.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ToolRules {
    pub(crate) arguments: BTreeMap<Arc<str>, ArgumentRule>,
    pub(crate) line: u32,
}

/// What one argument may be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ArgumentRule {
    pub(crate) constraint: Constraint,
    /// On its sum over calls.
    pub(crate) limits: Vec<Limit>,
    pub(crate) line: u32,
    pub(crate) naming: Naming,
    /// The argument that it is a field of, where it is nested.
    pub(crate) parent: Option<Arc<str>>,
    pub(crate) presence: Presence,
    /// What the argument is for its tool, where that is said and not left to the constraint.
    pub(crate) said: Option<Role>,
}

/// Who may name the value of an argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Naming {
    Anybody,
    /// The mission itself, or the initiator.
    Named,
}

/// The most that there may be of something in a run, an hour or a day, all calls together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Limit {
    pub(crate) line: u32,
    pub(crate) most: Number,
    pub(crate) period: Period,
}

/// Over what a limit counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Period {
    /// A day of UTC.
    Day,
    /// An hour of UTC.
    Hour,
    /// A run.
    Run,
}

impl Period {
    pub(crate) const ALL: [Self; 3] = [Self::Day, Self::Hour, Self::Run];

    /// The key in a mission file.
    pub(crate) const fn key(self) -> &'static str {
        match self {
            Self::Day => "per_day",
            Self::Hour => "per_hour",
            Self::Run => "per_run",
        }
    }

    /// Over what, to follow "in".
    pub(crate) const fn within(self) -> &'static str {
        match self {
            Self::Day => "a day",
            Self::Hour => "an hour",
            Self::Run => "a run",
        }
    }
}

impl Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in {}", self.most, self.period.within())
    }
}

/// What a whole mission may use.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Spent {
    /// Bytes of arguments and results.
    Bytes,
    /// Calls.
    Calls,
    /// Arguments of several tools, added up.
    Sum {
        name: Arc<str>,
        /// Sorted.
        of: Vec<Addend>,
    },
}

/// An argument that is part of a sum.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Addend {
    pub(crate) argument: Arc<str>,
    pub(crate) surface: Surface,
    pub(crate) tool: Arc<str>,
    pub(crate) upstream: Arc<str>,
}

impl Spent {
    /// Its place in `[budget]`.
    pub(crate) fn place(&self) -> String {
        match self {
            Self::Bytes => "bytes".to_owned(),
            Self::Calls => "calls".to_owned(),
            Self::Sum { name, .. } => format!("sums.{name}"),
        }
    }
}

impl Display for Spent {
    /// What is used, to follow a number.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bytes => f.write_str("bytes"),
            Self::Calls => f.write_str("calls"),
            Self::Sum { name, of } => {
                write!(
                    f,
                    "`{name}`, which is {} added up,",
                    joined(of.iter().map(|addend| format!("`{addend}`")), "and")
                )
            }
        }
    }
}

impl Display for Addend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}/{}:{}", self.surface, self.upstream, self.tool, self.argument)
    }
}

/// Whether an argument may be left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Presence {
    Optional,
    Required,
}

/// What the values of an argument may be. Lists hold at least one entry, without duplicates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Constraint {
    /// A command line like one of these.
    Command(Vec<CommandPattern>),
    /// Leads to one of these domains.
    Domain(Vec<DomainPattern>),
    /// E-mail addresses like these.
    Email(Vec<EmailPattern>),
    /// An object of listed fields, each with a rule of its own.
    Fields,
    /// Anything.
    Free,
    /// A value that this field returned in the run.
    From(Source),
    /// One of these identifiers; each in its one spelling.
    Identifier(Vec<Arc<str>>),
    /// One of these values.
    In(Vec<Scalar>),
    /// A text of so many characters, both included.
    Length { max: u32, min: u32 },
    /// One of these folders, or below; each in its one spelling.
    Path(Vec<Arc<str>>),
    /// A text that matches as a whole.
    Pattern(Pattern),
    /// A number from `min` to `max`, both included.
    Range { max: Number, min: Number },
    /// One statement of SQL, of these kinds alone; sorted.
    Sql(Vec<Arc<str>>),
    /// A moment or a whole day from `min` to `max`, both included.
    Time { max: Timestamp, min: Timestamp },
    /// One of these URLs.
    Url(Vec<UrlPattern>),
}

/// A value that an argument may be compared with.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Scalar {
    Bool(bool),
    Number(Number),
    Text(Arc<str>),
}

/// One domain, or everything below one.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum DomainPattern {
    /// The domain itself.
    Exact(Arc<str>),
    /// Its subdomains, not itself.
    Subdomains(Arc<str>),
}

/// A resource's URI, in which `*` stands for any text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct UriPattern(pub(super) Arc<str>);

impl Danger {
    /// What is large: `amount` over 1000, or all calls together over 3000 in a day. Empty where every call is in the zone.
    pub(crate) fn sizes(&self) -> Vec<String> {
        let one = self.over.iter().map(|(argument, (size, _))| format!("`{argument}` over {size}"));
        let together = self.over.keys().flat_map(|argument| {
            self.sums.iter().map(move |sum| format!("`{argument}` of all calls together over {sum}"))
        });
        one.chain(together).collect()
    }
}

/// Calls that need approval.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Danger {
    /// The gate that it names; [`super::gate::DEFAULT`] where it names none and there is one.
    pub(crate) gate: Option<Arc<str>>,
    pub(crate) line: u32,
    /// Limits on the size of arguments; without any, every matching call is in the zone.
    pub(crate) over: BTreeMap<Arc<str>, (Number, u32)>,
    /// Limits on the sum of the one argument that `over` names.
    pub(crate) sums: Vec<Limit>,
    pub(crate) when: Vec<ToolPattern>,
}

/// One tool, or all tools of an upstream whose names start alike.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ToolPattern {
    /// The name, or its start where `open`.
    pub(crate) name: Arc<str>,
    /// Whether the name goes on.
    pub(crate) open: bool,
    pub(crate) surface: Surface,
    pub(crate) upstream: Arc<str>,
}

impl ToolPattern {
    /// Whether it matches the tool `name` of `upstream`.
    pub(crate) fn covers(&self, surface: Surface, upstream: &str, name: &str) -> bool {
        self.is_of(surface, upstream) && if self.open { name.starts_with(&*self.name) } else { name == &*self.name }
    }

    /// Whether it is about tools of `upstream`.
    pub(crate) fn is_of(&self, surface: Surface, upstream: &str) -> bool {
        self.surface == surface && *self.upstream == *upstream
    }
}

impl UriPattern {
    /// The text of the pattern.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether it has a wildcard.
    pub(crate) fn is_open(&self) -> bool {
        self.0.contains('*')
    }

    /// Whether some URI of the template (RFC 6570) could match. Reads are decided one by one; this only says whether the template is of any use.
    pub(crate) fn may_match_template(&self, template: &str) -> bool {
        let fixed = template.split('{').next().unwrap_or_default();
        let start = self.0.split('*').next().unwrap_or_default();
        start.starts_with(fixed) || (self.is_open() && fixed.starts_with(start))
    }
}

/// One part of a rule id. Ids join their parts with dots as TOML joins keys: quoted unless it is a bare key.
pub(crate) fn key(name: &str) -> String {
    let bare =
        !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
    if bare { name.to_owned() } else { format!("{name:?}") }
}

impl Display for Scalar {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bool(value) => value.fmt(f),
            Self::Number(value) => value.fmt(f),
            Self::Text(value) => write!(f, "`{}`", brief(value)),
        }
    }
}

impl Display for DomainPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(domain) => write!(f, "`{domain}`"),
            Self::Subdomains(domain) => write!(f, "`*.{domain}`"),
        }
    }
}

impl Display for ToolPattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}/{}{}", self.surface, self.upstream, self.name, if self.open { "*" } else { "" })
    }
}

impl Display for Constraint {
    /// What the value must be, to follow "must be".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Command(commands) => write!(f, "a command like {}", list(ticked(commands), "or")),
            Self::Domain(domains) => write!(f, "an address, URL or host in {}", list(domains, "or")),
            Self::Email(emails) => write!(f, "e-mail addresses like {}", list(ticked(emails), "or")),
            Self::Fields => f.write_str("an object of the listed fields"),
            Self::Free => f.write_str("anything"),
            Self::From(source) => write!(f, "a value that `{source}` returned in this run"),
            Self::Identifier(names) => write!(f, "identifier {}", list(ticked(names), "or")),
            Self::In(values) => write!(f, "{}", list(values, "or")),
            Self::Length { max, min: 0 } => write!(f, "a text of at most {max} characters"),
            Self::Length { max, min } => write!(f, "a text of {min} to {max} characters"),
            Self::Path(roots) => write!(f, "a path in {}", list(roots.iter().map(|root| format!("`{root}`")), "or")),
            Self::Pattern(pattern) => write!(f, "a text that matches `{}`", pattern.as_str()),
            Self::Range { max, min } => write!(f, "a number from {min} to {max}"),
            Self::Sql(kinds) => write!(f, "one SQL statement of {} alone", list(ticked(kinds), "and")),
            Self::Time { max, min } => write!(f, "a date or time from {min} to {max}"),
            Self::Url(urls) => write!(f, "a URL like {}", list(urls.iter().map(|url| format!("`{url}`")), "or")),
        }
    }
}

impl Display for ArgumentRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.constraint.fmt(f)?;
        self.rest(f)
    }
}

impl ArgumentRule {
    fn rest(&self, f: &mut impl fmt::Write) -> fmt::Result {
        if let Presence::Optional = self.presence {
            f.write_str(", or left out")?;
        }
        if let Naming::Named = self.naming {
            f.write_str(", and named by the mission or the initiator")?;
        }
        match self.said {
            Some(Role::Content) => f.write_str(", and is no target")?,
            Some(Role::Target) => f.write_str(", and is a target")?,
            None => {}
        }
        if !self.limits.is_empty() {
            write!(f, ", and all calls together at most {}", joined(&self.limits, "and"))?;
        }
        Ok(())
    }

    /// The rule with every value that it lists: a sentence that hides one could hide what is allowed.
    pub(crate) fn in_full(&self) -> String {
        let values = match &self.constraint {
            Constraint::Command(commands) => format!("a command like {}", joined(ticked(commands), "or")),
            Constraint::Domain(domains) => format!("an address, URL or host in {}", joined(domains, "or")),
            Constraint::Email(emails) => format!("e-mail addresses like {}", joined(ticked(emails), "or")),
            Constraint::Identifier(names) => format!("identifier {}", joined(ticked(names), "or")),
            Constraint::Sql(kinds) => format!("one SQL statement of {} alone", joined(ticked(kinds), "and")),
            Constraint::In(values) => joined(values, "or"),
            Constraint::Url(urls) => format!("a URL like {}", joined(urls.iter().map(|url| format!("`{url}`")), "or")),
            Constraint::Path(roots) => {
                format!("a path in {}", joined(roots.iter().map(|root| format!("`{root}`")), "or"))
            }
            Constraint::Fields
            | Constraint::Free
            | Constraint::From(_)
            | Constraint::Length { .. }
            | Constraint::Pattern(_)
            | Constraint::Range { .. }
            | Constraint::Time { .. } => return self.to_string(),
        };
        let mut phrase = values;
        // Writing to a text cannot fail.
        let _ = self.rest(&mut phrase);
        phrase
    }
}

fn ticked<T: Display>(entries: &[T]) -> impl Iterator<Item = String> + '_ {
    entries.iter().map(|entry| format!("`{entry}`"))
}

/// All entries as a phrase: `a`, `a or b`, `a, b or c`.
pub(crate) fn joined(entries: impl IntoIterator<Item = impl Display>, conjunction: &str) -> String {
    let mut entries: Vec<String> = entries.into_iter().map(|entry| entry.to_string()).collect();
    match entries.pop() {
        Some(last) if !entries.is_empty() => format!("{} {conjunction} {last}", entries.join(", ")),
        last => last.unwrap_or_default(),
    }
}

/// The entries as a phrase: `a`, `a or b`, `a, b or c`; after eight of them, how many more there are.
pub(crate) fn list(entries: impl IntoIterator<Item = impl Display>, conjunction: &str) -> String {
    const SHOWN: usize = 8;
    let mut entries: Vec<String> = entries.into_iter().map(|entry| entry.to_string()).collect();
    if entries.len() > SHOWN + 1 {
        let more = entries.len() - SHOWN;
        entries.truncate(SHOWN);
        entries.push(format!("{more} more"));
    }
    let mut phrase = String::new();
    let count = entries.len();
    for (at, entry) in entries.iter().enumerate() {
        let _ = match count - at {
            _ if at == 0 => write!(phrase, "{entry}"),
            1 => write!(phrase, " {conjunction} {entry}"),
            _ => write!(phrase, ", {entry}"),
        };
    }
    phrase
}

/// The rule id of the tool `name`: `allow.mcp.bank.send_money`.
pub(crate) fn tool_rule_id(surface: Surface, upstream: &str, name: &str) -> String {
    format!("allow.{surface}.{}.{}", key(upstream), key(name))
}
