//! Compiles a mission to Cedar: one small policy set with its own schema for each tool, and for the prompts, resources and requests of each upstream.
//!
//! Small sets, because Cedar's time grows with the policies of a set. Every set is validated strictly against its schema, so that evaluation cannot fail for a
//! type. A tool's set holds one `permit` and, for each thing that can be wrong with a call, one `forbid` that names it. Start at [`compile`].

mod draft;
mod organisation;
mod slice;
#[cfg(test)]
mod tests;
mod text;
mod whole;

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use cedar_policy::{Authorizer, CedarSchemaError, ParseErrors, PolicySetError};
use evidence::record::{Endpoint, Policy, Rule, Surface, Tool};
use evidence::time::Timestamp;

use super::evaluate;
use crate::classify::{ANY, ELSEWHERE, Found, Place, standing_in};
use crate::count::Counter;
pub use crate::mission::{APPROVAL_STATUS, Feature, PROTOCOL_REQUESTS, SUBSCRIBING};
use crate::mission::{
    CaptureRules, Except, Mission, ORG, OnResult, Otherwise, Plan, Side, Source, Targets, Treatment, Trust,
    UNCLASSIFIED, class_of, key, tool_of,
};
pub(super) use organisation::Seen as SeenByOrganisation;
pub use organisation::{Bounds, BoundsError, bounds};
use slice::{Compiler, Vocabulary};
pub(super) use slice::{Part, Slice, SliceExcept, SliceRule, TextKind, scalar_text};
pub(super) use whole::{Attribute, Permission};

/// Why a mission did not compile. Its file was accepted, so each of these is a defect of this program or of the policy engine.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// A name of the vocabulary is not one to Cedar.
    #[error("name the vocabulary: {source}")]
    Name {
        /// What Cedar says.
        source: Box<ParseErrors>,
    },
    /// A rule's policy is not Cedar.
    #[error("compile rule `{rule}`: {source}")]
    Policy {
        /// The rule.
        rule: String,
        /// What Cedar says.
        source: Box<ParseErrors>,
    },
    /// A slice's schema is not Cedar.
    #[error("compile the schema of `{slice}`: {source}")]
    Schema {
        /// The slice.
        slice: String,
        /// What Cedar says.
        source: Box<CedarSchemaError>,
    },
    /// Two rules of a slice have one id.
    #[error("collect the rules of `{slice}`: {source}")]
    Set {
        /// The slice.
        slice: String,
        /// What Cedar says.
        source: Box<PolicySetError>,
    },
    /// A slice does not hold to its schema.
    #[error("validate `{slice}`: {problems}")]
    Strict {
        /// What Cedar says.
        problems: String,
        /// The slice.
        slice: String,
    },
}

/// A mission with its compiled policy: all that decisions need, built once.
pub struct PolicySnapshot {
    pub(super) authorizer: Authorizer,
    /// Where the mission allows nothing of an endpoint: who and when, and no permit.
    base: Slice,
    bounds: Option<Arc<Bounds>>,
    follows: bool,
    /// Whether it names kinds of data.
    has_kinds: bool,
    mission: Arc<Mission>,
    /// The fields of results that rules name.
    sources: Vec<Source>,
    /// Why nothing is allowed until the mission is mended.
    suspended: Option<Arc<str>>,
    upstreams: HashMap<Arc<str>, UpstreamSlices>,
    pub(super) vocabulary: Vocabulary,
}

/// Which tool returned a result, and when.
#[derive(Clone, Copy, Debug)]
pub struct Arrival<'a> {
    /// When.
    pub at: Timestamp,
    /// What was called.
    pub tool: &'a Tool,
}

/// The slices of one upstream; absent where the mission allows nothing of the kind.
struct UpstreamSlices {
    approval_status: Option<Slice>,
    every_tool: Option<Slice>,
    prompts: Option<Slice>,
    requests: Option<Slice>,
    resources: Option<Slice>,
    /// Of MCP servers.
    subscriptions: Option<Slice>,
    surface: Surface,
    tools: HashMap<Arc<str>, Slice>,
}

/// Compiles `mission`.
///
/// # Errors
/// [`CompileError`], for no mission that [`crate::mission::parse`] accepts.
pub fn compile(mission: Arc<Mission>) -> Result<PolicySnapshot, CompileError> {
    let vocabulary = Vocabulary::new().map_err(|source| CompileError::Name { source })?;
    let mut compiler = Compiler::new(&mission);
    let mut upstreams = HashMap::new();
    for (name, rules) in mission.rules() {
        let surface = rules.surface;
        let slices = UpstreamSlices {
            approval_status: (surface == Surface::Mcp && mission.has_gates())
                .then(|| compiler.approval_status())
                .transpose()?,
            every_tool: rules.every_tool.map(|line| compiler.every_tool(surface, name, line)).transpose()?,
            prompts: compiler.prompts(name, &rules.prompts)?,
            requests: compiler.requests(name, &rules.features, &rules.requests)?,
            resources: compiler.resources(name, &rules.resources)?,
            subscriptions: match surface {
                Surface::Mcp => Some(compiler.subscriptions(name, rules.line)?),
                Surface::Change | Surface::Workflow => None,
            },
            surface,
            tools: rules
                .tools
                .iter()
                .map(|(tool, rules)| Ok((tool.clone(), compiler.tool(surface, name, tool, rules)?)))
                .collect::<Result<_, CompileError>>()?,
        };
        upstreams.insert(name.clone(), slices);
    }
    let base = compiler.base()?;
    let sources = mission.sources();
    Ok(PolicySnapshot {
        authorizer: Authorizer::new(),
        base,
        bounds: None,
        follows: mission.traces(),
        has_kinds: mission.data().has_kinds(),
        mission,
        sources,
        suspended: None,
        upstreams,
        vocabulary,
    })
}

impl PolicySnapshot {
    /// The same, within what an organisation forbids.
    #[must_use]
    pub fn within(self, bounds: Arc<Bounds>) -> Self {
        Self { bounds: Some(bounds), ..self }
    }

    /// The same, allowing nothing, and why: the mission was taken up before an invariant that it breaks.
    #[must_use]
    pub fn suspended(self, why: &str) -> Self {
        Self { suspended: Some(why.into()), ..self }
    }

    pub(super) fn recorded(&self, slice: Option<&Slice>) -> Policy {
        Policy {
            mission_sha256: self.mission.sha256().clone(),
            organisation_sha256: self.bounds().map(|bounds| bounds.sha256().clone()),
            slice_sha256: slice.and_then(Slice::sha256).cloned(),
        }
    }

    /// As it goes on record where it was asked about no call.
    #[must_use]
    pub fn in_force(&self) -> Policy {
        self.recorded(None)
    }

    pub(super) const fn bounds(&self) -> Option<&Arc<Bounds>> {
        self.bounds.as_ref()
    }

    pub(super) const fn suspension(&self) -> Option<&Arc<str>> {
        self.suspended.as_ref()
    }

    /// The mission.
    #[must_use]
    pub const fn mission(&self) -> &Arc<Mission> {
        &self.mission
    }

    /// Which facts the rules for `tool` need; `None` where they need none.
    #[must_use]
    pub fn plan(&self, tool: &Tool) -> Option<&Plan> {
        self.slice(tool).plan()
    }

    /// The counters that limit calls of `tool`, which a decision needs beside the facts.
    pub fn counters<'a>(&'a self, tool: &'a Tool) -> impl Iterator<Item = &'a Arc<Counter>> {
        self.slice(tool).counters().iter().filter(|counter| counter.covers(tool))
    }

    /// The fields of what `tool` returns that rules name, for [`crate::classify::Returned`]. Mostly none.
    pub fn sources<'a>(&'a self, tool: &'a Tool) -> impl Iterator<Item = &'a Source> + Clone {
        let is_of = |source: &&Source| source.tool == tool.name && source.upstream == tool.upstream;
        let may_be = tool.endpoint == Endpoint::Tool && tool.surface == Surface::Mcp;
        self.sources.iter().filter(move |source| may_be && is_of(source))
    }

    /// What becomes of a result that holds data of `class`, and the rule that says so, which may be an exception; `None` where the mission does not say.
    pub(crate) fn on_result(&self, class: &str, of: Arrival<'_>) -> Option<(OnResult, Rule)> {
        let (class, rule) = self.mission.data().rule(class)?;
        let line = || (rule.result, Rule { id: format!("data.{}", key(class)).into(), line: rule.line });
        let excepted = self.excepted(class, of).map(|except| (OnResult::Treat(Treatment::Keep), except));
        Some(excepted.unwrap_or_else(line))
    }

    /// The exception by which data of `class` stays in a result; `None` where none lives.
    pub(crate) fn excepted(&self, class: &str, of: Arrival<'_>) -> Option<Rule> {
        let (class, rule) = self.mission.data().rule(class)?;
        let is_living =
            |except: &&Except| except.side == Side::Result && except.is_of(of.tool) && except.is_alive(of.at);
        rule.excepts.iter().find(is_living).map(|except| except.rule(class))
    }

    /// In which arguments of a call stands what was `found` in them, as far as exceptions ask: `pii.email:to`, or with [`ELSEWHERE`]. Sorted.
    #[must_use]
    pub fn fields(&self, tool: &Tool, found: &Found, arguments: &[u8]) -> Vec<Arc<str>> {
        let data = self.mission.data();
        let of_tool = data.excepts().filter(|(_, except)| except.side == Side::Arguments && except.is_of(tool));
        let asked = of_tool.filter_map(|(class, except)| {
            let field = except.field.as_ref()?;
            Some((class, field, standing_in(arguments, field)))
        });
        let asked: Vec<_> = asked.collect();
        if asked.is_empty() {
            return Vec::new();
        }
        let stands = |label: &str, place: Option<&Place>| {
            let (class, _) = data.rule(label)?;
            let mut of_class = asked.iter().filter(|(known, ..)| *known == class).peekable();
            of_class.peek()?;
            let is_in = |range: &Range<usize>| {
                place.is_some_and(|place| range.start <= place.range.start && place.range.end <= range.end)
            };
            let field = of_class.find(|(_, _, ranges)| ranges.iter().any(is_in)).map(|(_, field, _)| &***field);
            Some(Arc::from(format!("{class}:{}", field.unwrap_or(ELSEWHERE))))
        };
        let places =
            found.places().iter().filter_map(|place| stands(&self.label(place.class, &place.kind), Some(place)));
        let unread = found.is_unread().then(|| stands(UNCLASSIFIED, None)).flatten();
        let fields: BTreeSet<Arc<str>> = places.chain(unread).collect();
        fields.into_iter().collect()
    }

    /// Whether tokens of the class and kind become their values in calls of `tool`: where results have tokens for it, and it may go there.
    #[must_use]
    pub fn turns_back(&self, class: &str, kind: &str, tool: &Tool) -> bool {
        let is_sent = tool.endpoint == Endpoint::Tool && tool.surface == Surface::Mcp && !self.is_own(tool);
        let rule = self.mission.data().rule(&format!("{class}.{kind}")).map(|(_, rule)| rule);
        let rule = rule.filter(|rule| is_sent && rule.result == OnResult::Treat(Treatment::Token));
        rule.is_some_and(|rule| rule.to.iter().any(|pattern| pattern.covers(tool.surface, &tool.upstream, &tool.name)))
    }

    /// How what was found is labelled: by its kind where the mission speaks of that and where it is an organisation's own, else by its class.
    #[must_use]
    pub fn label(&self, class: &str, kind: &str) -> Arc<str> {
        let is_own = *class == *ORG;
        let kind = (self.has_kinds || is_own).then(|| format!("{class}.{kind}"));
        kind.filter(|kind| is_own || self.mission.data().names(kind)).map_or_else(|| class.into(), Into::into)
    }

    /// The classes of `found`, and the kinds that are labels of their own; sorted.
    #[must_use]
    pub fn labels(&self, found: &Found) -> Vec<Arc<str>> {
        let labels = found.places().iter().map(|place| self.label(place.class, &place.kind));
        let mut labels: Vec<Arc<str>> = labels.chain(found.is_unread().then(|| UNCLASSIFIED.into())).collect();
        labels.sort_unstable();
        labels.dedup();
        labels
    }

    /// Whether what is found in a result is still there once the mission has had its way with it; for a result that is not withheld.
    pub(crate) fn stays(&self, class: &str, kind: &str, of: Arrival<'_>) -> bool {
        let does = self.on_result(&self.label(class, kind), of).map(|(does, _)| does);
        matches!(does, None | Some(OnResult::Treat(Treatment::Keep | Treatment::Mask)))
    }

    /// How much of the content of calls is kept; `None` where nothing is.
    #[must_use]
    pub fn capture(&self) -> Option<&CaptureRules> {
        self.bounds.as_ref().map(|bounds| bounds.organisation().capture()).filter(|rules| rules.keeps())
    }

    /// Whether it matters which classes of data a run has met.
    #[must_use]
    pub fn follows_classes(&self) -> bool {
        self.mission.data().follows_classes()
    }

    /// The classes that rules about runs ask for, of the kinds and classes that a run has `met`. A class that was met stands for each of its kinds, and
    /// [`crate::classify::ANY`] for all classes.
    #[must_use]
    pub fn met(&self, met: &BTreeSet<Arc<str>>) -> Vec<Arc<str>> {
        let data = self.mission.data();
        let is_met = |class: &&Arc<str>| {
            let labels = data.labels(class);
            met.iter().any(|met| {
                let is_known = labels.iter().any(|label| **label == *data.known(met));
                is_known || class_of(class) == Some(met) || **met == *ANY
            })
        };
        let asked = data.classes.iter().filter(|(_, rule)| rule.run != Otherwise::Keep);
        asked.map(|(class, _)| class).filter(is_met).cloned().collect()
    }

    /// Whether it matters in any call who named what it acts on, so that what a run sees is kept.
    #[must_use]
    pub const fn follows(&self) -> bool {
        self.follows
    }

    /// Which parts of what `tool` returns only its service writes.
    #[must_use]
    pub fn trust(&self, tool: &Tool) -> Trust {
        self.mission.trust(tool)
    }

    /// What of calls of `tool` is traced to who named it; nothing where it does not matter.
    #[must_use]
    pub fn targets(&self, tool: &Tool) -> Option<&Targets> {
        self.slice(tool).targets()
    }

    /// The gate that is asked about targets that nobody named; `None` where none is.
    #[must_use]
    pub fn origin_gate(&self) -> Option<&Arc<str>> {
        match &self.mission.data().untrusted_target.as_ref()?.otherwise {
            Otherwise::Ask(gate) => Some(gate),
            Otherwise::Deny | Otherwise::Keep => None,
        }
    }

    /// Whether it matters who named what calls of `tool` act on.
    #[must_use]
    pub fn traces(&self, tool: &Tool) -> bool {
        self.targets(tool).is_some()
    }

    /// The classes of `found` that the mission does not expect.
    pub fn unexpected<'f>(&self, found: &'f [Arc<str>]) -> impl Iterator<Item = &'f Arc<str>> {
        let touches = self.mission.data().touches.as_ref();
        found.iter().filter(move |label| touches.is_some_and(|touches| !touches.expects(label)))
    }

    /// Whether people may be asked about calls of `tool`.
    #[must_use]
    pub fn asks(&self, tool: &Tool) -> bool {
        self.slice(tool).context.gates
    }

    /// SHA-256 of the rules that decide calls of `tool`; `None` where none do.
    #[must_use]
    pub fn slice_sha256(&self, tool: &Tool) -> Option<&str> {
        self.slice(tool).sha256().map(|sha256| &**sha256)
    }

    /// Whether `tool` is the gateway's own: it answers calls of it by itself, and no server is asked.
    #[must_use]
    pub fn is_own(&self, tool: &Tool) -> bool {
        tool.endpoint == Endpoint::Tool && *tool.name == *APPROVAL_STATUS && self.mission.has_gates()
    }

    /// Whether rules for `tool` look at what was returned before.
    #[must_use]
    pub fn recalls(&self, tool: &Tool) -> bool {
        !self.sources.is_empty() && self.plan(tool).is_some_and(Plan::recalls)
    }

    /// Whether `tool` is in the lists that the agent sees: whether some call of it could be allowed, or would be with an approval.
    #[must_use]
    pub fn shows(&self, tool: &Tool) -> bool {
        match tool.endpoint {
            Endpoint::Tool => self.allowing_slice(tool).is_some(),
            Endpoint::Prompt | Endpoint::Request | Endpoint::Resource => {
                self.allowing_slice(tool).is_some_and(|slice| evaluate::is_named(self, slice, tool))
            }
        }
    }

    /// Whether some resource of the URI template (RFC 6570) could be allowed.
    #[must_use]
    pub fn shows_template(&self, upstream: &str, uri_template: &str) -> bool {
        let patterns = self.mission.rules().get(upstream).map(|rules| &rules.resources);
        patterns.into_iter().flatten().any(|(pattern, _)| pattern.may_match_template(uri_template))
    }

    /// Whether `upstream` may send requests of this kind to the client.
    #[must_use]
    pub fn offers(&self, upstream: &str, feature: Feature) -> bool {
        self.mission.rules().get(upstream).is_some_and(|rules| rules.features.contains_key(&feature))
    }

    /// The upstreams on `surface` that the mission allows anything of, sorted.
    pub fn upstreams(&self, surface: Surface) -> impl Iterator<Item = &Arc<str>> {
        self.mission.upstreams(surface)
    }

    /// The policy that decides calls of `tool`: Cedar policies, with the Cedar schema in comments before them.
    #[must_use]
    pub fn cedar(&self, tool: &Tool) -> String {
        self.slice(tool).to_string()
    }

    /// Every slice of the mission, each under a heading that says what it decides.
    #[must_use]
    pub fn cedar_all(&self) -> String {
        let mut slices = vec![("everything that the mission does not name".to_owned(), &self.base)];
        for (name, rules) in self.mission.rules() {
            let Some(compiled) = self.upstreams.get(name) else { continue };
            let (surface, tool_word) = (compiled.surface, tool_of(compiled.surface));
            for tool in rules.tools.keys() {
                slices.extend(compiled.tools.get(tool).map(|slice| (format!("{surface}:{name}/{tool}"), slice)));
            }
            let every = compiled.every_tool.as_ref();
            slices.extend(every.map(|slice| (format!("every other {tool_word} of {surface}:{name}"), slice)));
            slices.extend(compiled.resources.as_ref().map(|slice| (format!("resources of mcp:{name}"), slice)));
            slices.extend(compiled.prompts.as_ref().map(|slice| (format!("prompts of mcp:{name}"), slice)));
            slices.extend(
                compiled
                    .requests
                    .as_ref()
                    .map(|slice| (format!("requests of mcp:{name} to the client, and to it"), slice)),
            );
            let subscriptions = compiled.subscriptions.as_ref();
            slices.extend(subscriptions.map(|slice| (format!("subscriptions at mcp:{name}"), slice)));
            let own = compiled.approval_status.as_ref();
            slices.extend(own.map(|slice| (format!("the gateway's own tool at mcp:{name}"), slice)));
        }
        let texts = slices.iter().map(|(what, slice)| format!("// === {what}\n{slice}"));
        texts.collect::<Vec<_>>().join("\n")
    }

    /// The slice that decides calls of `tool`.
    pub(super) fn slice(&self, tool: &Tool) -> &Slice {
        self.allowing_slice(tool).unwrap_or(&self.base)
    }

    fn allowing_slice(&self, tool: &Tool) -> Option<&Slice> {
        let slices = self.upstreams.get(&tool.upstream).filter(|slices| slices.surface == tool.surface)?;
        match tool.endpoint {
            Endpoint::Prompt => slices.prompts.as_ref(),
            Endpoint::Request if *tool.name == *SUBSCRIBING => slices.subscriptions.as_ref(),
            Endpoint::Request => slices.requests.as_ref(),
            Endpoint::Resource => slices.resources.as_ref(),
            Endpoint::Tool if self.is_own(tool) => slices.approval_status.as_ref(),
            Endpoint::Tool => slices.tools.get(&tool.name).or(slices.every_tool.as_ref()),
        }
    }
}

impl fmt::Debug for PolicySnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PolicySnapshot")
            .field("mission", self.mission.name())
            .field("sha256", self.mission.sha256())
            .finish_non_exhaustive()
    }
}
