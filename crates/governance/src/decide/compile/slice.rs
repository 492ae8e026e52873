//! One slice of a compiled mission: the policies and the schema that decide one kind of call, and what each policy is about.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, OnceLock};

use cedar_policy::{
    EntityId, EntityTypeName, EntityUid, ParseErrors, Policy, PolicyId, PolicySet, Schema, ValidationMode, Validator,
};
use evidence::leaf::sha256_hex;
use evidence::record::{EffectClass, Endpoint, FacetValue, Rule, Surface, TargetRole};

use super::CompileError;
use super::draft::Draft;
use super::text::{any_of, literal, pattern, set, starts_with};
use super::whole::Permission;
use crate::count::Counter;
use crate::mission::{
    APPROVAL_STATUS, ArgumentRule, CommandPattern, Except, Feature, Mission, OriginRule, PROTOCOL_REQUESTS, Pattern,
    Plan, SUBSCRIBING, Targets, ToolPattern, ToolRules, UriPattern, UrlPattern, WebUrl, key, tool_rule_id,
};

/// Cedar's entity types and the one action.
pub(in crate::decide) struct Vocabulary {
    pub(in crate::decide) action: EntityUid,
    agent: EntityTypeName,
    prompt: EntityTypeName,
    request: EntityTypeName,
    resource: EntityTypeName,
    tool: EntityTypeName,
}

impl Vocabulary {
    pub(super) fn new() -> Result<Self, Box<ParseErrors>> {
        Ok(Self {
            action: ACTION.parse().map_err(Box::new)?,
            agent: "Countersign::Agent".parse().map_err(Box::new)?,
            prompt: "Countersign::Prompt".parse().map_err(Box::new)?,
            request: "Countersign::Request".parse().map_err(Box::new)?,
            resource: "Countersign::Resource".parse().map_err(Box::new)?,
            tool: "Countersign::Tool".parse().map_err(Box::new)?,
        })
    }

    pub(in crate::decide) fn agent(&self, name: &str) -> EntityUid {
        EntityUid::from_type_name_and_id(self.agent.clone(), EntityId::new(name))
    }

    pub(in crate::decide) fn resource(&self, endpoint: Endpoint, id: String) -> EntityUid {
        let name = match endpoint {
            Endpoint::Prompt => &self.prompt,
            Endpoint::Request => &self.request,
            Endpoint::Resource => &self.resource,
            Endpoint::Tool => &self.tool,
        };
        EntityUid::from_type_name_and_id(name.clone(), EntityId::new(id))
    }
}

pub(super) const ACTION: &str = "Countersign::Action::\"call\"";

/// The policies that decide one kind of call.
pub(in crate::decide) struct Slice {
    pub(in crate::decide) context: ContextShape,
    counters: Vec<Arc<Counter>>,
    excepts: Vec<SliceExcept>,
    plan: Option<Plan>,
    /// The policies by themselves, read when they are first asked: they take most of the memory, and calls that are allowed never ask them.
    policies: OnceLock<Option<PolicySet>>,
    rules: Vec<SliceRule>,
    schema: String,
    /// What is said of a call that each permit allows.
    sentences: BTreeMap<usize, Arc<str>>,
    sha256: Option<Arc<str>>,
    /// What is traced of a call; nothing where it does not matter who named what it acts on.
    targets: Option<Targets>,
    text: String,
    whole: Option<Permission>,
}

/// A policy of a slice: its rule in the mission file, and what it is about.
pub(in crate::decide) struct SliceRule {
    pub(in crate::decide) part: Part,
    pub(in crate::decide) rule: Rule,
}

/// An exception that lifts something of a slice while it lives.
pub(in crate::decide) struct SliceExcept {
    /// Whose line it lifts.
    pub(in crate::decide) class: Arc<str>,
    pub(in crate::decide) except: Except,
    /// What it lifts the line for where the arguments hold it.
    pub(in crate::decide) found: Vec<Arc<str>>,
    /// What it lifts the line for where the run has met it.
    pub(in crate::decide) met: Vec<Arc<str>>,
    pub(in crate::decide) rule: Rule,
}

/// What a policy is about. All but [`Part::Allow`] forbid.
pub(in crate::decide) enum Part {
    Agents,
    Allow,
    Argument {
        name: Arc<str>,
        rule: ArgumentRule,
    },
    /// All calls together; in a danger zone where that is named.
    Counter {
        counter: Arc<Counter>,
        danger: Option<Arc<str>>,
        /// Whose approval lifts it.
        gate: Option<Arc<str>>,
    },
    Danger {
        /// Whose approval lifts it.
        gate: Option<Arc<str>>,
        name: Arc<str>,
        over: Option<Arc<str>>,
    },
    Hours,
    Initiators,
    /// An argument that the mission or the initiator must name.
    Named {
        name: Arc<str>,
    },
    /// What nobody named who may: targets, or links in content.
    Origin {
        /// Whose approval lifts it.
        gate: Option<Arc<str>>,
        role: TargetRole,
        rule: OriginRule,
    },
    /// A class of data that may not go to the tool.
    Data {
        class: Arc<str>,
        /// Whose approval lifts it.
        gate: Option<Arc<str>>,
    },
    /// A class of data that the run has met, after which it may not write to the tool.
    Met {
        class: Arc<str>,
        /// Whose approval lifts it.
        gate: Option<Arc<str>>,
    },
    /// Arguments that no rule lists.
    Others,
    /// A class of data that the mission does not expect.
    Touches {
        /// Whose approval lifts it.
        gate: Option<Arc<str>>,
    },
    Until,
}

/// What the policies of a slice see, beside the time.
#[derive(Default)]
pub(in crate::decide) struct ContextShape {
    /// On whose behalf the agent acts.
    pub(in crate::decide) initiator: bool,
    /// The minute of the week.
    pub(in crate::decide) minute: bool,
    /// The classes of data in the arguments.
    pub(in crate::decide) classes: bool,
    /// The classes of data that the run has met.
    pub(in crate::decide) met: bool,
    /// What the tool does.
    pub(in crate::decide) effect: bool,
    /// In which arguments classes of data stand.
    pub(in crate::decide) fields: bool,
    /// The gates that approvals satisfy.
    pub(in crate::decide) gates: bool,
    /// Ids of counters.
    pub(in crate::decide) counters: Vec<Arc<str>>,
    /// The names that arguments may have; `None` where any may be sent.
    pub(in crate::decide) listed: Option<Vec<Arc<str>>>,
    /// Arguments by the number of their characters.
    pub(in crate::decide) lengths: Vec<Arc<str>>,
    /// The name of the tool, prompt or method, or the URI.
    pub(in crate::decide) name: bool,
    /// The arguments that the mission or the initiator named.
    pub(in crate::decide) named: bool,
    /// Arguments as exact numbers.
    pub(in crate::decide) numbers: Vec<Arc<str>>,
    /// Arguments that match or not, which Cedar cannot tell.
    pub(in crate::decide) matches: BTreeMap<Arc<str>, Matcher>,
    /// Who named what the call acts on.
    pub(in crate::decide) origins: bool,
    /// Whether the URI is plain enough for wildcards.
    pub(in crate::decide) plain: bool,
    /// Arguments as texts.
    pub(in crate::decide) texts: BTreeMap<Arc<str>, TextKind>,
    /// Arguments as moments.
    pub(in crate::decide) times: Vec<Arc<str>>,
}

/// What the text of an argument is held to before Cedar is asked.
#[derive(Clone, Debug)]
pub(in crate::decide) enum Matcher {
    Command(Vec<CommandPattern>),
    /// That it is an object; its fields have rules of their own.
    Object,
    Pattern(Pattern),
    Url(Vec<UrlPattern>),
}

impl Matcher {
    /// Whether the value matches; `None` where it is not what was to be read.
    pub(in crate::decide) fn matches(&self, value: &FacetValue) -> Option<bool> {
        match (self, &*value.kind) {
            (Self::Pattern(pattern), "text") => Some(pattern.matches(&value.text)),
            (Self::Url(urls), "url") => {
                let url = WebUrl::parse(&value.text).ok()?;
                Some(urls.iter().any(|pattern| pattern.covers(&url)))
            }
            (Self::Command(commands), "command") => {
                let words: Vec<String> = serde_json::from_str(&value.text).ok()?;
                Some(commands.iter().any(|command| command.matches(&words)))
            }
            (Self::Object, "object") => Some(true),
            (Self::Command(_) | Self::Object | Self::Pattern(_) | Self::Url(_), _) => None,
        }
    }
}

/// Which facet stands in a text of the context.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::decide) enum TextKind {
    Domain,
    Email,
    Identifier,
    Path,
    Returned,
    Scalar,
    Sql,
}

/// How a value that `in` compares stands in the context: with its kind, so that the text `5` is not the number 5.
pub(in crate::decide) fn scalar_text(kind: &str, text: &str) -> String {
    format!("{kind}:{text}")
}

/// Compiles the slices of one mission. Schemas are kept by their text: tools with the same arguments share one.
pub(super) struct Compiler<'m> {
    mission: &'m Mission,
    validators: HashMap<String, Validator>,
}

impl<'m> Compiler<'m> {
    pub(super) fn new(mission: &'m Mission) -> Self {
        Self { mission, validators: HashMap::new() }
    }

    /// Where nothing is allowed: only who and when, so that the reason is the same as elsewhere.
    pub(super) fn base(&mut self) -> Result<Slice, CompileError> {
        let mut slice = Draft::new(self.mission, "Prompt, Request, Resource, Tool");
        slice.who_and_when(self.mission);
        let mut slice = self.build(slice, "nothing", None)?;
        slice.sha256 = None;
        Ok(slice)
    }

    /// One named tool.
    pub(super) fn tool(
        &mut self,
        surface: Surface,
        upstream: &str,
        name: &str,
        rules: &ToolRules,
    ) -> Result<Slice, CompileError> {
        let id = tool_rule_id(surface, upstream, name);
        let covers = |pattern: &ToolPattern| pattern.covers(surface, upstream, name);
        let plan = Plan::new(self.mission, rules, covers);
        let mut slice = Draft::new(self.mission, "Tool");
        slice.who_and_when(self.mission);
        let tool = literal(&format!("{surface}:{upstream}/{name}"));
        slice.permit(id.clone(), rules.line, &format!("resource == Countersign::Tool::{tool}"), None);
        if !rules.arguments.is_empty() {
            slice.arguments(&id, rules);
        }
        for (danger, zone) in self.mission.dangers().iter().filter(|(_, zone)| zone.when.iter().any(covers)) {
            slice.danger(self.mission, danger, zone, None);
        }
        let effect = self.mission.effect_class(surface, upstream, name);
        slice.data(self.mission, effect, |pattern| covers(pattern).then_some(None));
        slice.origins(self.mission, rules, effect);
        slice.budget(self.mission, Some((surface, upstream, name)));
        slice.effect(&format!("{surface}:{upstream}/{name}"), effect);
        self.build(slice, &id, plan)
    }

    /// Every tool of an upstream that has no rules of its own.
    pub(super) fn every_tool(&mut self, surface: Surface, upstream: &str, line: u32) -> Result<Slice, CompileError> {
        let id = tool_rule_id(surface, upstream, "*");
        let covers = |pattern: &ToolPattern| pattern.is_of(surface, upstream);
        let plan = Plan::new(self.mission, &ToolRules::default(), covers);
        let mut slice = Draft::new(self.mission, "Tool");
        slice.context.name = true;
        slice.who_and_when(self.mission);
        slice.permit(id.clone(), line, "resource is Countersign::Tool", None);
        for (danger, zone) in self.mission.dangers() {
            let names: Vec<String> = zone.when.iter().filter(|pattern| covers(pattern)).map(name_matches).collect();
            if !names.is_empty() {
                slice.danger(self.mission, danger, zone, Some(&any_of(&names)));
            }
        }
        slice.data(self.mission, EffectClass::Unconfirmed, |pattern| {
            covers(pattern).then(|| Some(name_matches(pattern)))
        });
        slice.origins(self.mission, &ToolRules::default(), EffectClass::Unconfirmed);
        slice.budget(self.mission, None);
        if let Some(rules) = self.mission.upstream(surface, upstream) {
            for (name, (class, _)) in rules.effects.iter().filter(|(name, _)| !rules.tools.contains_key(*name)) {
                slice.effect(&format!("{surface}:{upstream}/{name}"), *class);
            }
        }
        self.build(slice, &id, plan)
    }

    pub(super) fn prompts(&mut self, upstream: &str, names: &[(Arc<str>, u32)]) -> Result<Option<Slice>, CompileError> {
        let id = format!("allow.mcp.{}.prompts", key(upstream));
        let permits = names.iter().map(|(name, line)| {
            let condition =
                if **name == *"*" { "true".to_owned() } else { format!("context.name == {}", literal(name)) };
            (format!("{id}.{}", key(name)), *line, condition)
        });
        self.named(&id, "Prompt", permits.collect())
    }

    pub(super) fn requests(
        &mut self,
        upstream: &str,
        features: &BTreeMap<Feature, u32>,
        names: &[(Arc<str>, u32)],
    ) -> Result<Option<Slice>, CompileError> {
        let id = format!("allow.mcp.{}", key(upstream));
        let features = features.iter().map(|(feature, line)| {
            (format!("{id}.{}", feature.key()), *line, format!("context.name == {}", literal(feature.method())))
        });
        let names = names.iter().map(|(name, line)| {
            let condition = if **name == *"*" {
                format!("!({}.contains(context.name))", set(PROTOCOL_REQUESTS))
            } else {
                format!("context.name == {}", literal(name))
            };
            (format!("{id}.requests.{}", key(name)), *line, condition)
        });
        self.named(&id, "Request", features.chain(names).collect())
    }

    /// The gateway's own tool, which comes with gates: whoever acts by the mission may ask how their approvals stand.
    pub(super) fn approval_status(&mut self) -> Result<Slice, CompileError> {
        let id = "countersign.approval_status".to_owned();
        let mut slice = Draft::new(self.mission, "Tool");
        slice.context.name = true;
        slice.who_and_when(self.mission);
        let condition = format!("context.name == {}", literal(APPROVAL_STATUS));
        slice.permit(id.clone(), 0, "resource is Countersign::Tool", Some(&condition));
        self.build(slice, &id, None)
    }

    /// The request for notifications, which comes with everything that is allowed of an upstream.
    pub(super) fn subscriptions(&mut self, upstream: &str, line: u32) -> Result<Slice, CompileError> {
        let id = format!("allow.mcp.{}.subscriptions", key(upstream));
        let mut slice = Draft::new(self.mission, "Request");
        slice.context.name = true;
        slice.who_and_when(self.mission);
        let condition = format!("context.name == {}", literal(SUBSCRIBING));
        slice.permit(id.clone(), line, "resource is Countersign::Request", Some(&condition));
        self.build(slice, &id, Some(Plan::of_subscription()))
    }

    pub(super) fn resources(
        &mut self,
        upstream: &str,
        patterns: &[(UriPattern, u32)],
    ) -> Result<Option<Slice>, CompileError> {
        let id = format!("allow.mcp.{}.resources", key(upstream));
        let permits = patterns.iter().map(|(uri, line)| {
            let condition = if uri.is_open() {
                format!("context.plain && context.name like {}", pattern(uri.as_str()))
            } else {
                format!("context.name == {}", literal(uri.as_str()))
            };
            (format!("{id}.{}", key(uri.as_str())), *line, condition)
        });
        self.named(&id, "Resource", permits.collect())
    }

    /// A slice with one permit for each name or pattern: id, line and condition.
    fn named(
        &mut self,
        id: &str,
        entity: &'static str,
        permits: Vec<(String, u32, String)>,
    ) -> Result<Option<Slice>, CompileError> {
        if permits.is_empty() {
            return Ok(None);
        }
        let mut slice = Draft::new(self.mission, entity);
        slice.context.name = true;
        slice.context.plain = entity == "Resource";
        slice.who_and_when(self.mission);
        for (id, line, condition) in permits {
            slice.permit(id, line, &format!("resource is Countersign::{entity}"), Some(&condition));
        }
        slice.data(self.mission, EffectClass::Read, |_| None);
        slice.budget(self.mission, None);
        self.build(slice, id, None).map(Some)
    }

    fn build(&mut self, mut draft: Draft, name: &str, plan: Option<Plan>) -> Result<Slice, CompileError> {
        draft.say_zone();
        let schema_text = draft.schema();
        let mut policies = PolicySet::new();
        let mut rules = Vec::new();
        let mut sentences = BTreeMap::new();
        let mut text = draft.comments;
        for (rule, policy) in draft.policies {
            let id = PolicyId::new(&*rule.rule.id);
            let parsed = Policy::parse(Some(id), &policy)
                .map_err(|source| CompileError::Policy { rule: rule.rule.id.to_string(), source: Box::new(source) })?;
            policies
                .add(parsed)
                .map_err(|source| CompileError::Set { slice: name.to_owned(), source: Box::new(source) })?;
            if matches!(rule.part, Part::Allow) {
                let sentence = format!("allowed by `{}` (line {})", rule.rule.id, rule.rule.line);
                sentences.insert(rules.len(), Arc::from(sentence));
            }
            rules.push(rule);
            text.push_str(&policy);
            text.push('\n');
        }
        let result = self.validator(name, &schema_text)?.validate(&policies, ValidationMode::Strict);
        if !result.validation_passed() {
            let problems: Vec<String> = result.validation_errors().map(ToString::to_string).collect();
            return Err(CompileError::Strict { problems: problems.join("; "), slice: name.to_owned() });
        }
        let whole = draft.whole.permission(name)?;
        let sha256 = Some(sha256_hex(format!("{schema_text}\n{text}").as_bytes()).into());
        Ok(Slice {
            context: draft.context,
            counters: draft.counters,
            excepts: draft.excepts,
            plan,
            policies: OnceLock::new(),
            rules,
            schema: schema_text,
            sentences,
            sha256,
            targets: draft.targets,
            text,
            whole,
        })
    }

    fn validator(&mut self, name: &str, schema_text: &str) -> Result<&Validator, CompileError> {
        match self.validators.entry(schema_text.to_owned()) {
            Entry::Occupied(entry) => Ok(entry.into_mut()),
            Entry::Vacant(entry) => {
                let (schema, _) = Schema::from_cedarschema_str(schema_text)
                    .map_err(|source| CompileError::Schema { slice: name.to_owned(), source: Box::new(source) })?;
                Ok(entry.insert(Validator::new(schema)))
            }
        }
    }
}

impl Slice {
    pub(super) fn plan(&self) -> Option<&Plan> {
        self.plan.as_ref()
    }

    pub(super) const fn targets(&self) -> Option<&Targets> {
        self.targets.as_ref()
    }

    pub(super) fn counters(&self) -> &[Arc<Counter>] {
        &self.counters
    }

    pub(in crate::decide) fn excepts(&self) -> &[SliceExcept] {
        &self.excepts
    }

    /// The policies by themselves, which were read and validated before; `None` where they cannot be read again, which denies.
    pub(in crate::decide) fn policies(&self) -> Option<&PolicySet> {
        self.policies.get_or_init(|| self.text.parse().ok()).as_ref()
    }

    /// The place of a policy among [`Self::rules`]: a set that is read from a text names its policies by their places.
    pub(in crate::decide) fn place(&self, id: &PolicyId) -> Option<usize> {
        let place = AsRef::<str>::as_ref(id).strip_prefix("policy")?.parse().ok()?;
        (place < self.rules.len()).then_some(place)
    }

    /// What the policies are about, in the order in which reasons are given.
    pub(in crate::decide) fn rules(&self) -> &[SliceRule] {
        &self.rules
    }

    /// The rationale for a call that the permits at `places` allow.
    pub(in crate::decide) fn allowed_sentence(&self, places: &BTreeSet<usize>) -> Arc<str> {
        let first = places.first().and_then(|place| self.sentences.get(place));
        first.cloned().unwrap_or_else(|| Arc::from("allowed"))
    }

    /// The policies in one, where one can say it.
    pub(in crate::decide) const fn whole(&self) -> Option<&Permission> {
        self.whole.as_ref()
    }

    pub(in crate::decide) const fn sha256(&self) -> Option<&Arc<str>> {
        self.sha256.as_ref()
    }
}

impl fmt::Display for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in self.schema.lines() {
            writeln!(f, "// {line}")?;
        }
        write!(f, "\n{}", self.text)
    }
}

/// A condition on the name of the tool: one tool, or those that start alike.
fn name_matches(pattern: &ToolPattern) -> String {
    if pattern.open {
        format!("context.name like {}", starts_with(&pattern.name))
    } else {
        format!("context.name == {}", literal(&pattern.name))
    }
}

/// A sound slice with a `forbid` that overflows when it is evaluated.
#[cfg(test)]
pub(super) fn broken_slice(mission: &Mission) -> Result<Slice, CompileError> {
    slice_with(mission, "context.now + 9223372036854775807 > 0")
}

/// A slice with a `forbid` that looks at what its schema does not have.
#[cfg(test)]
pub(super) fn unsound_slice(mission: &Mission) -> Result<Slice, CompileError> {
    slice_with(mission, "context.amount > 0")
}

#[cfg(test)]
fn slice_with(mission: &Mission, condition: &str) -> Result<Slice, CompileError> {
    let mut draft = Draft::new(mission, "Tool");
    draft.who_and_when(mission);
    draft.permit("allow".to_owned(), 1, "resource", None);
    draft.forbid("forbid".to_owned(), 1, Part::Others, super::draft::Clause::When(condition.to_owned()));
    draft.whole.holds.push(format!("!({condition})"));
    Compiler::new(mission).build(draft, "test", None)
}
