//! A slice while its policies are written: one method for each thing that can be wrong with a call, each a `forbid` that names it.

use std::fmt::{self, Write as _};
use std::sync::Arc;

use evidence::decimal::Number;
use evidence::record::{EffectClass, Rule};
use evidence::time::Zone;

use super::slice::{ACTION, ContextShape, Matcher, Part, SliceRule, TextKind, WHOLE_CONDITIONS_MAX, scalar_text};
use super::text::{any_of, literal, pattern, set, starts_with, within};
use crate::count::{Counter, Measure};
use crate::mission::{
    Addend, Constraint, Danger, DomainPattern, Hours, Limit, Mission, Period, Presence, Scalar, Spent, ToolRules, key,
};

/// When a `forbid` applies.
pub(super) enum Clause {
    Always,
    Unless(String),
    When(String),
}

impl fmt::Display for Clause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Always => Ok(()),
            Self::Unless(condition) => write!(f, "\nunless {{ {condition} }}"),
            Self::When(condition) => write!(f, "\nwhen {{ {condition} }}"),
        }
    }
}

/// That the argument is what it is held to before Cedar is asked.
fn is_matched(name: &str) -> String {
    let name = literal(name);
    format!("context.matches has {name} && context.matches[{name}]")
}

/// A slice's policies as one: what must hold so that its one permit applies and none of its `forbid`s.
#[derive(Default)]
pub(super) struct Whole {
    holds: Vec<String>,
    /// Whether something is forbidden whatever holds.
    is_never: bool,
    /// Places and scopes of the permits.
    permits: Vec<(usize, String)>,
}

impl Whole {
    /// The one permit and its policy; `None` where one would not say it, or be too deep for Cedar.
    pub(super) fn policy(&self) -> Option<(usize, String)> {
        let [(place, resource)] = self.permits.as_slice() else { return None };
        if self.is_never || self.holds.len() > WHOLE_CONDITIONS_MAX {
            return None;
        }
        let holds: Vec<String> = self.holds.iter().map(|condition| format!("({condition})")).collect();
        Some((
            *place,
            format!("permit (principal, action == {ACTION}, {resource})\nwhen {{ {} }};\n", holds.join(" && ")),
        ))
    }
}

/// A slice while its policies are written.
pub(super) struct Draft {
    pub(super) context: ContextShape,
    pub(super) counters: Vec<Arc<Counter>>,
    /// What tools are said to do and what patterns are, as comments: no policy says it, and it is part of what was agreed.
    pub(super) comments: String,
    pub(super) policies: Vec<(SliceRule, String)>,
    resources: &'static str,
    pub(super) whole: Whole,
    /// Whose days and hours.
    zone: Zone,
}

impl Draft {
    pub(super) fn new(mission: &Mission, resources: &'static str) -> Self {
        Self {
            context: ContextShape::default(),
            counters: Vec::new(),
            comments: String::new(),
            policies: Vec::new(),
            resources,
            whole: Whole::default(),
            zone: mission.zone().clone(),
        }
    }

    /// Says whose days and hours its policies mean, where they mean any.
    pub(super) fn say_zone(&mut self) {
        let has_windows = self.counters.iter().any(|counter| counter.period != Period::Run);
        if (self.context.minute || has_windows) && self.zone != Zone::utc() {
            let _ = writeln!(self.comments, "// days and hours are those of {}\n", self.zone.name());
        }
    }

    pub(super) fn who_and_when(&mut self, mission: &Mission) {
        let until = mission.until().micros();
        self.forbid(
            "until".to_owned(),
            mission.until_line(),
            Part::Until,
            Clause::Unless(format!("context.now < {until}")),
        );
        let agents: Vec<String> =
            mission.agents().iter().map(|agent| format!("Countersign::Agent::{}", literal(agent))).collect();
        let agents = agents.join(", ");
        self.forbid(
            "agents".to_owned(),
            mission.agents_line(),
            Part::Agents,
            Clause::Unless(format!("principal in [{agents}]")),
        );
        if !mission.initiators().is_empty() {
            self.context.initiator = true;
            let names = mission.initiators().iter().map(|name| match name.strip_prefix('*') {
                Some(end) => format!("context.initiator like {}", pattern(&format!("*{end}"))),
                None => format!("context.initiator == {}", literal(name)),
            });
            let condition = any_of(&names.collect::<Vec<_>>());
            let line = mission.initiators_line();
            self.forbid("initiators".to_owned(), line, Part::Initiators, Clause::Unless(condition));
        }
        if !mission.hours().is_empty() {
            self.context.minute = true;
            let pieces = mission.hours().iter().flat_map(Hours::pieces);
            let pieces = pieces.map(|(from, to)| format!("(context.minute >= {from} && context.minute < {to})"));
            let condition = any_of(&pieces.collect::<Vec<_>>());
            self.forbid("hours".to_owned(), mission.hours_line(), Part::Hours, Clause::Unless(condition));
        }
    }

    pub(super) fn effect(&mut self, tool: &str, class: EffectClass) {
        if class != EffectClass::Unconfirmed {
            let _ = writeln!(self.comments, "// effect of {}: {class}\n", literal(tool));
        }
    }

    pub(super) fn arguments(&mut self, tool_id: &str, rules: &ToolRules) {
        let listed: Vec<Arc<str>> = rules.arguments.keys().cloned().collect();
        let condition = Clause::Unless(format!("{}.containsAll(context.names)", set(&listed)));
        self.forbid(format!("{tool_id}.*"), rules.line, Part::Others, condition);
        self.context.listed = Some(listed);
        for (name, rule) in &rules.arguments {
            let sent = format!("context.names.contains({})", literal(name));
            let allowed = self.allowed(name, &rule.constraint);
            // A field is demanded of what it belongs to, where that is an object.
            let condition = match (rule.presence, allowed, rule.parent.as_deref().map(is_matched)) {
                (Presence::Optional, None, _) => continue,
                (Presence::Optional, Some(allowed), _) => Clause::When(format!("{sent} && !({allowed})")),
                (Presence::Required, None, None) => Clause::Unless(sent),
                (Presence::Required, None, Some(parent)) => Clause::When(format!("{parent} && !({sent})")),
                (Presence::Required, Some(allowed), None) => Clause::Unless(allowed),
                (Presence::Required, Some(allowed), Some(parent)) => Clause::When(format!("{parent} && !({allowed})")),
            };
            let part = Part::Argument { name: name.clone(), rule: rule.clone() };
            self.forbid(format!("{tool_id}.{}", key(name)), rule.line, part, condition);
        }
        for (name, limit) in
            rules.arguments.iter().flat_map(|(name, rule)| rule.limits.iter().map(move |limit| (name, limit)))
        {
            let id = format!("{tool_id}.{}.{}", key(name), limit.period.key());
            self.counter(id, limit, Measure::Sum(name.clone()), None);
        }
    }

    /// What the mission as a whole may use; `tool` is the server and name of the one that the slice is about.
    pub(super) fn budget(&mut self, mission: &Mission, tool: Option<(&str, &str)>) {
        for (spent, limits) in mission.budget() {
            let of = match spent {
                Spent::Bytes => vec![Measure::Bytes],
                Spent::Calls => vec![Measure::Calls],
                Spent::Sum { of, .. } => {
                    let is_of = |addend: &&Addend| tool == Some((&*addend.upstream, &*addend.tool));
                    of.iter().filter(is_of).map(|addend| Measure::Sum(addend.argument.clone())).collect()
                }
            };
            for (limit, of) in limits.iter().flat_map(|limit| of.iter().map(move |of| (limit, of))) {
                self.counter(format!("budget.{}.{}", spent.place(), limit.period.key()), limit, of.clone(), None);
            }
        }
    }

    /// That all calls together stay within a limit: all of the slice, or those in a danger zone.
    pub(super) fn counter(
        &mut self,
        id: String,
        limit: &Limit,
        of: Measure,
        zone: Option<(&Arc<str>, &Danger, Option<&str>)>,
    ) {
        let counter = Arc::new(Counter {
            covers: zone.map(|(_, zone, _)| zone.when.clone()),
            id: id.as_str().into(),
            most: limit.most,
            of,
            period: limit.period,
            zone: self.zone.clone(),
        });
        self.counters.push(counter.clone());
        self.context.counters.push(counter.id.clone());
        let quoted = literal(&id);
        let within = within(&format!("context.counters[{quoted}]"), Number::ZERO, limit.most);
        let matches = zone.and_then(|(_, _, matches)| matches).map(|matches| format!("{matches} && "));
        let clause =
            Clause::When(format!("{}!(context.counters has {quoted} && {within})", matches.unwrap_or_default()));
        let danger = zone.map(|(name, _, _)| name.clone());
        self.forbid(id, limit.line, Part::Counter { counter, danger }, clause);
    }

    /// That the argument `name` is there and as `constraint` says; `None` where it may be anything.
    fn allowed(&mut self, name: &Arc<str>, constraint: &Constraint) -> Option<String> {
        match constraint {
            Constraint::Free => None,
            Constraint::Command(commands) => Some(self.matched(name, Matcher::Command(commands.clone()))),
            Constraint::Fields => Some(self.matched(name, Matcher::Object)),
            Constraint::Email(emails) => {
                let text = self.text_of(name, TextKind::Email);
                let emails = emails.iter().map(|email| match (&email.local, &email.domain) {
                    (Some(_), DomainPattern::Exact(_)) => format!("{text} == {}", literal(&email.to_string())),
                    (None, _) | (_, DomainPattern::Subdomains(_)) => {
                        format!("{text} like {}", pattern(&email.to_string()))
                    }
                });
                Some(self.text_is(name, emails))
            }
            Constraint::From(source) => {
                let text = self.text_of(name, TextKind::Returned);
                Some(self.text_is(name, [format!("{text} == {}", literal(&source.to_string()))]))
            }
            Constraint::Identifier(names) => {
                let text = self.text_of(name, TextKind::Identifier);
                Some(self.text_is(name, [format!("{}.contains({text})", set(names))]))
            }
            Constraint::Sql(kinds) => {
                let text = self.text_of(name, TextKind::Sql);
                Some(self.text_is(name, [format!("{}.contains({text})", set(kinds))]))
            }
            Constraint::Time { max, min } => {
                self.context.times.push(name.clone());
                let name = literal(name);
                let time = format!("context.times[{name}]");
                Some(format!("context.times has {name} && {time} >= {} && {time} <= {}", min.micros(), max.micros()))
            }
            Constraint::Range { max, min } => Some(self.number_within(name, *min, *max)),
            Constraint::Domain(domains) => {
                let text = self.text_of(name, TextKind::Domain);
                let domains = domains.iter().map(|domain| match domain {
                    DomainPattern::Exact(domain) => format!("{text} == {}", literal(domain)),
                    DomainPattern::Subdomains(domain) => format!("{text} like {}", pattern(&format!("*.{domain}"))),
                });
                Some(self.text_is(name, domains))
            }
            Constraint::In(values) => {
                let text = self.text_of(name, TextKind::Scalar);
                let values = values.iter().map(|value| match value {
                    Scalar::Bool(value) => scalar_text("bool", &value.to_string()),
                    Scalar::Number(value) => scalar_text("number", &value.to_string()),
                    Scalar::Text(value) => scalar_text("text", value),
                });
                Some(self.text_is(name, [format!("{}.contains({text})", set(values))]))
            }
            Constraint::Length { max, min } => {
                self.context.lengths.push(name.clone());
                let name = literal(name);
                let length = format!("context.lengths[{name}]");
                Some(format!("context.lengths has {name} && {length} >= {min} && {length} <= {max}"))
            }
            Constraint::Pattern(pattern) => Some(self.matched(name, Matcher::Pattern(pattern.clone()))),
            Constraint::Url(urls) => Some(self.matched(name, Matcher::Url(urls.clone()))),
            Constraint::Path(roots) => {
                let text = self.text_of(name, TextKind::Path);
                let roots = roots.iter().flat_map(|root| match &**root {
                    "/" => vec![format!("{text} like \"/*\"")],
                    root => vec![
                        format!("{text} == {}", literal(root)),
                        format!("{text} like {}", starts_with(&format!("{root}/"))),
                    ],
                });
                Some(self.text_is(name, roots))
            }
        }
    }

    /// That the argument matches. What it must match is said in a comment, so that it is part of what was agreed.
    fn matched(&mut self, name: &Arc<str>, matcher: Matcher) -> String {
        let quoted = literal(name);
        let _ = match &matcher {
            Matcher::Command(commands) => {
                let commands: Vec<String> = commands.iter().map(ToString::to_string).collect();
                writeln!(self.comments, "// commands of {quoted}: {}\n", set(&commands))
            }
            Matcher::Object => writeln!(self.comments, "// {quoted} is an object of the listed fields\n"),
            Matcher::Pattern(pattern) => {
                writeln!(self.comments, "// pattern of {quoted}: {}\n", literal(pattern.as_str()))
            }
            Matcher::Url(urls) => {
                let urls: Vec<String> = urls.iter().map(ToString::to_string).collect();
                writeln!(self.comments, "// URLs of {quoted}: {}\n", set(&urls))
            }
        };
        self.context.matches.insert(name.clone(), matcher);
        is_matched(name)
    }

    fn text_of(&mut self, name: &Arc<str>, kind: TextKind) -> String {
        self.context.texts.insert(name.clone(), kind);
        format!("context.texts[{}]", literal(name))
    }

    fn text_is(&self, name: &str, alternatives: impl IntoIterator<Item = String>) -> String {
        let alternatives: Vec<String> = alternatives.into_iter().collect();
        format!("context.texts has {} && {}", literal(name), any_of(&alternatives))
    }

    fn number_within(&mut self, name: &Arc<str>, min: Number, max: Number) -> String {
        if !self.context.numbers.contains(name) {
            self.context.numbers.push(name.clone());
        }
        let name = literal(name);
        format!("context.numbers has {name} && {}", within(&format!("context.numbers[{name}]"), min, max))
    }

    /// A danger zone. What is larger than `over`, with whatever sign, is in it; so is what cannot be read.
    pub(super) fn danger(&mut self, name: &Arc<str>, zone: &Danger, matches: Option<&str>) {
        let id = format!("danger.{name}");
        for (argument, limit) in zone.over.keys().flat_map(|argument| zone.sums.iter().map(move |sum| (argument, sum)))
        {
            let id = format!("{id}.{}.{}", key(argument), limit.period.key());
            self.counter(id, limit, Measure::Sum(argument.clone()), Some((name, zone, matches)));
        }
        if zone.over.is_empty() {
            let condition = matches.map_or(Clause::Always, |matches| Clause::When(matches.to_owned()));
            self.forbid(id, zone.line, Part::Danger { name: name.clone(), over: None }, condition);
            return;
        }
        for (argument, (size, line)) in &zone.over {
            // A size is never negative, so its negation fits.
            let small = self.number_within(argument, size.negated().unwrap_or(*size), *size);
            let matches = matches.map(|matches| format!("{matches} && ")).unwrap_or_default();
            let part = Part::Danger { name: name.clone(), over: Some(argument.clone()) };
            self.forbid(format!("{id}.{}", key(argument)), *line, part, Clause::When(format!("{matches}!({small})")));
        }
    }

    pub(super) fn permit(&mut self, id: String, line: u32, resource: &str, condition: Option<&str>) {
        let clause = condition.map(|condition| format!("\nwhen {{ {condition} }}")).unwrap_or_default();
        let text = format!("@id({})\npermit (principal, action == {ACTION}, {resource}){clause};\n", literal(&id));
        self.whole.permits.push((self.policies.len(), resource.to_owned()));
        self.whole.holds.extend(condition.map(ToOwned::to_owned));
        self.policies.push((SliceRule { part: Part::Allow, rule: Rule { id: id.into(), line } }, text));
    }

    pub(super) fn forbid(&mut self, id: String, line: u32, part: Part, clause: Clause) {
        let text = format!("@id({})\nforbid (principal, action == {ACTION}, resource){clause};\n", literal(&id));
        match clause {
            Clause::Always => self.whole.is_never = true,
            Clause::Unless(condition) => self.whole.holds.push(condition),
            Clause::When(condition) => self.whole.holds.push(format!("!({condition})")),
        }
        self.policies.push((SliceRule { part, rule: Rule { id: id.into(), line } }, text));
    }

    pub(super) fn schema(&self) -> String {
        let mut context = String::new();
        let shape = &self.context;
        if !shape.counters.is_empty() {
            let counters = shape.counters.iter().map(|id| format!("{}?: Number", literal(id)));
            let _ = writeln!(context, "      \"counters\": {{ {} }},", counters.collect::<Vec<_>>().join(", "));
        }
        if shape.initiator {
            context.push_str("      \"initiator\": String,\n");
        }
        if !shape.lengths.is_empty() {
            let lengths = shape.lengths.iter().map(|name| format!("{}?: Long", literal(name)));
            let _ = writeln!(context, "      \"lengths\": {{ {} }},", lengths.collect::<Vec<_>>().join(", "));
        }
        if !shape.matches.is_empty() {
            let matches = shape.matches.keys().map(|name| format!("{}?: Bool", literal(name)));
            let _ = writeln!(context, "      \"matches\": {{ {} }},", matches.collect::<Vec<_>>().join(", "));
        }
        if shape.minute {
            context.push_str("      \"minute\": Long,\n");
        }
        if shape.name {
            context.push_str("      \"name\": String,\n");
        }
        if shape.listed.is_some() {
            context.push_str("      \"names\": Set<String>,\n");
        }
        context.push_str("      \"now\": Long,\n");
        if !shape.numbers.is_empty() {
            let numbers = shape.numbers.iter().map(|name| format!("{}?: Number", literal(name)));
            let _ = writeln!(context, "      \"numbers\": {{ {} }},", numbers.collect::<Vec<_>>().join(", "));
        }
        if shape.plain {
            context.push_str("      \"plain\": Bool,\n");
        }
        if !shape.texts.is_empty() {
            let texts = shape.texts.keys().map(|name| format!("{}?: String", literal(name)));
            let _ = writeln!(context, "      \"texts\": {{ {} }},", texts.collect::<Vec<_>>().join(", "));
        }
        if !shape.times.is_empty() {
            let times = shape.times.iter().map(|name| format!("{}?: Long", literal(name)));
            let _ = writeln!(context, "      \"times\": {{ {} }},", times.collect::<Vec<_>>().join(", "));
        }
        format!(
            "namespace Countersign {{
  entity Agent;
  entity Prompt;
  entity Request;
  entity Resource;
  entity Tool;
  type Number = {{ \"atto\": Long, \"whole\": Long }};
  action \"call\" appliesTo {{
    principal: [Agent],
    resource: [{}],
    context: {{
{context}    }},
  }};
}}
",
            self.resources
        )
    }
}
