//! A slice while its policies are written: one method for each thing that can be wrong with a call, each a `forbid` that names it.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::Arc;

use evidence::decimal::Number;
use evidence::record::{EffectClass, Origin, Rule, Surface, TargetRole};
use evidence::time::Zone;

use super::slice::{ACTION, ContextShape, Matcher, Part, SliceExcept, SliceRule, TextKind, scalar_text};
use super::text::{any_of, literal, pattern, set, starts_with, within};
use super::whole::{Attribute, Demand, Whole};
use crate::classify::ELSEWHERE;
use crate::count::{Counter, Measure};
use crate::mission::{
    Addend, ClassRule, Constraint, DEFAULT_GATE, Danger, DomainPattern, Except, Gate, Hours, Limit, Mission, Naming,
    OriginRule, Otherwise, Period, Presence, Scalar, Side, Spent, Targets, ToolPattern, ToolRules, key,
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

/// What must hold of an argument, as each policy says it and as the one policy for all does.
struct Condition {
    each: String,
    /// The attribute that it looks at, in the one policy.
    key: String,
    whole: String,
}

impl Condition {
    /// In the one policy, where the argument may be left out: that it holds of what is there.
    fn if_there(&self) -> String {
        format!("!(context has {}) || {}", literal(&self.key), self.whole)
    }

    /// In the one policy: that the argument is there and it holds.
    fn and_there(&self) -> String {
        format!("context has {} && {}", literal(&self.key), self.whole)
    }
}

/// A danger zone in a slice.
#[derive(Clone, Copy)]
pub(super) struct Zoned<'a> {
    /// Whose approval lifts it.
    gate: Option<&'a Arc<str>>,
    /// Which of the slice's calls are in it; all where it is `None`.
    matches: Option<&'a str>,
    name: &'a Arc<str>,
    zone: &'a Danger,
}

/// Values up to which one of them is found by comparing with each.
const EQUALS_MAX: usize = 12;

/// An attribute of the one policy.
fn attribute(key: &str) -> String {
    format!("context[{}]", literal(key))
}

/// That the number in the record `at` is from `min` to `max`.
fn record_within(at: &str, min: Number, max: Number) -> String {
    within(&format!("{at}.whole"), &format!("{at}.atto"), min, max)
}

/// That the whole number of the argument `name` in the record `of` is from `min` to `max`.
fn long_within(of: &str, name: &str, key: String, min: i64, max: i64) -> Condition {
    let quoted = literal(name);
    let value = format!("context.{of}[{quoted}]");
    let flat = attribute(&key);
    Condition {
        each: format!("context.{of} has {quoted} && {value} >= {min} && {value} <= {max}"),
        whole: format!("{flat} >= {min} && {flat} <= {max}"),
        key,
    }
}

/// That the argument is what it is held to before Cedar is asked.
fn is_matched(name: &str) -> String {
    let name = literal(name);
    format!("context.matches has {name} && context.matches[{name}]")
}

/// The exceptions of a class's arguments that reach calls of a slice, each with when it lives for one.
fn living<'r>(
    rule: &'r ClassRule,
    reach: &impl Fn(&ToolPattern) -> Option<Option<String>>,
) -> impl Iterator<Item = (&'r Except, String)> {
    rule.excepts.iter().filter(|except| except.side == Side::Arguments).filter_map(move |except| {
        let until = format!("context.now < {}", except.until.micros());
        let lives = match reach(&except.tool)? {
            Some(names) => format!("({names} && {until})"),
            None => until,
        };
        Some((except, lives))
    })
}

/// That no exception for the whole call lives.
fn lifted(rule: &ClassRule, reach: &impl Fn(&ToolPattern) -> Option<Option<String>>) -> String {
    let whole = living(rule, reach).filter(|(except, _)| except.field.is_none());
    whole.map(|(_, lives)| format!(" && !({lives})")).collect()
}

/// That something is traced of a call whose origin the rule objects to; `None` where it objects to none. A tool of which the mission does not say what it does may be
/// confirmed to do anything.
fn objection(rule: &OriginRule, role: TargetRole, effect: EffectClass) -> Option<String> {
    let stands = |origins: &[Origin]| {
        let origins: Vec<String> = origins.iter().map(|origin| format!("{role}:{origin}")).collect();
        (!origins.is_empty()).then(|| format!("context.origins.containsAny({})", set(&origins)))
    };
    if effect != EffectClass::Unconfirmed {
        return stands(rule.objects_to(effect));
    }
    let of_any = EffectClass::ALL.iter().map(|effect| rule.objects_to(*effect)).filter(|origins| !origins.is_empty());
    let of_any = stands(of_any.min_by_key(|origins| origins.len())?)?;
    let any = format!("context.effect != \"read\" && {of_any}");
    let strict = |origin| EffectClass::ALL.iter().filter(move |effect| rule.objects_to(**effect).contains(&origin));
    // What must be named is no better for being selected.
    let both = strict(Origin::Trusted).eq(strict(Origin::Selected));
    let demands: &[&[Origin]] =
        if both { &[&[Origin::Selected, Origin::Trusted]] } else { &[&[Origin::Trusted], &[Origin::Selected]] };
    let stricter = demands.iter().filter_map(|origins| {
        let strict: Vec<&str> = strict(*origins.first()?).map(|effect| effect.as_str()).collect();
        let stands = stands(origins).filter(|_| !strict.is_empty())?;
        Some(format!(" || ({}.contains(context.effect) && {stands})", set(&strict)))
    });
    let stricter: String = stricter.collect();
    Some(if stricter.is_empty() { any } else { format!("(({any}){stricter})") })
}

/// A slice while its policies are written.
pub(super) struct Draft {
    pub(super) context: ContextShape,
    pub(super) counters: Vec<Arc<Counter>>,
    /// What tools are said to do and what patterns are, as comments: no policy says it, and it is part of what was agreed.
    pub(super) comments: String,
    /// The exceptions that lift something of it.
    pub(super) excepts: Vec<SliceExcept>,
    pub(super) policies: Vec<(SliceRule, String)>,
    resources: &'static str,
    /// What is traced of a call.
    pub(super) targets: Option<Targets>,
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
            excepts: Vec::new(),
            policies: Vec::new(),
            resources,
            targets: None,
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
        self.unless("until".to_owned(), mission.until_line(), Part::Until, format!("context.now < {until}"));
        let agents: Vec<String> =
            mission.agents().iter().map(|agent| format!("Countersign::Agent::{}", literal(agent))).collect();
        let is_one: Vec<String> = agents.iter().map(|agent| format!("principal == {agent}")).collect();
        let condition = Clause::Unless(format!("principal in [{}]", agents.join(", ")));
        self.forbid("agents".to_owned(), mission.agents_line(), Part::Agents, condition);
        self.whole.holds.push(any_of(&is_one));
        if !mission.initiators().is_empty() {
            self.context.initiator = true;
            let names = mission.initiators().iter().map(|name| match name.strip_prefix('*') {
                Some(end) => format!("context.initiator like {}", pattern(&format!("*{end}"))),
                None => format!("context.initiator == {}", literal(name)),
            });
            let condition = any_of(&names.collect::<Vec<_>>());
            self.unless("initiators".to_owned(), mission.initiators_line(), Part::Initiators, condition);
        }
        if !mission.hours().is_empty() {
            self.context.minute = true;
            let pieces = mission.hours().iter().flat_map(Hours::pieces);
            let pieces = pieces.map(|(from, to)| format!("(context.minute >= {from} && context.minute < {to})"));
            let condition = any_of(&pieces.collect::<Vec<_>>());
            self.unless("hours".to_owned(), mission.hours_line(), Part::Hours, condition);
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
            let parent = rule.parent.as_deref();
            let holds = allowed.as_ref().map(|allowed| match (rule.presence, parent) {
                (Presence::Required, None) => allowed.whole.clone(),
                (Presence::Optional, _) | (Presence::Required, Some(_)) => allowed.if_there(),
            });
            // A field is demanded of what it belongs to, where that is an object.
            let condition = match (rule.presence, allowed.map(|allowed| allowed.each), parent.map(is_matched)) {
                (Presence::Optional, None, _) => continue,
                (Presence::Optional, Some(allowed), _) => Clause::When(format!("{sent} && !({allowed})")),
                (Presence::Required, None, None) => Clause::Unless(sent),
                (Presence::Required, None, Some(parent)) => Clause::When(format!("{parent} && !({sent})")),
                (Presence::Required, Some(allowed), None) => Clause::Unless(allowed),
                (Presence::Required, Some(allowed), Some(parent)) => Clause::When(format!("{parent} && !({allowed})")),
            };
            let part = Part::Argument { name: name.clone(), rule: rule.clone() };
            self.forbid(format!("{tool_id}.{}", key(name)), rule.line, part, condition);
            self.whole.holds.extend(holds);
            if rule.presence == Presence::Required {
                self.whole.demanded.push(Demand { name: name.clone(), of: rule.parent.clone() });
            }
        }
        for (name, rule) in rules.arguments.iter().filter(|(_, rule)| rule.naming == Naming::Named) {
            self.context.named = true;
            let quoted = literal(name);
            let condition = format!("context.names.contains({quoted}) && !context.named.contains({quoted})");
            let part = Part::Named { name: name.clone() };
            self.whole.holds.push(format!("!({condition})"));
            self.forbid(format!("{tool_id}.{}.named", key(name)), rule.line, part, Clause::When(condition));
        }
        for (name, limit) in
            rules.arguments.iter().flat_map(|(name, rule)| rule.limits.iter().map(move |limit| (name, limit)))
        {
            let id = format!("{tool_id}.{}.{}", key(name), limit.period.key());
            self.counter(id, limit, Measure::Sum(name.clone()), None);
        }
    }

    /// What the mission as a whole may use; `tool` is the surface, server and name of the one that the slice is about.
    pub(super) fn budget(&mut self, mission: &Mission, tool: Option<(Surface, &str, &str)>) {
        for (spent, limits) in mission.budget() {
            let of = match spent {
                Spent::Bytes => vec![Measure::Bytes],
                Spent::Calls => vec![Measure::Calls],
                Spent::Sum { of, .. } => {
                    let is_of = |addend: &&Addend| tool == Some((addend.surface, &*addend.upstream, &*addend.tool));
                    of.iter().filter(is_of).map(|addend| Measure::Sum(addend.argument.clone())).collect()
                }
            };
            for (limit, of) in limits.iter().flat_map(|limit| of.iter().map(move |of| (limit, of))) {
                self.counter(format!("budget.{}.{}", spent.place(), limit.period.key()), limit, of.clone(), None);
            }
        }
    }

    /// That all calls together stay within a limit: all of the slice, or those in a danger zone.
    pub(super) fn counter(&mut self, id: String, limit: &Limit, of: Measure, zone: Option<Zoned<'_>>) {
        let counter = Arc::new(Counter {
            covers: zone.map(|zoned| zoned.zone.when.clone()),
            id: id.as_str().into(),
            most: limit.most,
            of,
            period: limit.period,
            zone: self.zone.clone(),
        });
        self.counters.push(counter.clone());
        self.context.counters.push(counter.id.clone());
        let quoted = literal(&id);
        let used = format!("context.counters[{quoted}]");
        let attribute = Attribute::Counter(counter.id.clone());
        let allowed = Condition {
            each: format!("context.counters has {quoted} && {}", record_within(&used, Number::ZERO, limit.most)),
            whole: attribute.number_within(Number::ZERO, limit.most),
            key: self.whole.attribute(attribute),
        };
        let danger = zone.map(|zoned| zoned.name.clone());
        let gate = zone.and_then(|zoned| zoned.gate.cloned());
        let matches = zone.and_then(|zoned| zoned.matches);
        let part = Part::Counter { counter, danger, gate: gate.clone() };
        self.in_zone(id, limit.line, part, matches, gate.as_ref(), &allowed);
    }

    /// Forbids what `matches`, where that is said, and is not `allowed`.
    fn in_zone(
        &mut self,
        id: String,
        line: u32,
        part: Part,
        matches: Option<&str>,
        gate: Option<&Arc<str>>,
        allowed: &Condition,
    ) {
        let (each, whole) = (&allowed.each, allowed.and_there());
        let (clause, holds) = match matches {
            None => (format!("!({each})"), whole),
            Some(matches) => (format!("{matches} && !({each})"), format!("!({matches}) || ({whole})")),
        };
        let clause = format!("{clause}{}", self.lifted_by(gate));
        self.forbid(id, line, part, Clause::When(clause));
        self.whole.holds.push(holds);
    }

    /// That the argument `name` is there and as `constraint` says; `None` where it may be anything.
    fn allowed(&mut self, name: &Arc<str>, constraint: &Constraint) -> Option<Condition> {
        Some(match constraint {
            Constraint::Free => return None,
            Constraint::Command(commands) => self.matched(name, Matcher::Command(commands.clone())),
            Constraint::Fields => self.matched(name, Matcher::Object),
            Constraint::Pattern(pattern) => self.matched(name, Matcher::Pattern(pattern.clone())),
            Constraint::Url(urls) => self.matched(name, Matcher::Url(urls.clone())),
            Constraint::Range { max, min } => self.number_within(name, *min, *max),
            Constraint::Time { max, min } => {
                self.context.times.push(name.clone());
                let key = self.whole.attribute(Attribute::Time(name.clone()));
                long_within("times", name, key, min.micros(), max.micros())
            }
            Constraint::Length { max, min } => {
                self.context.lengths.push(name.clone());
                let key = self.whole.attribute(Attribute::Length(name.clone()));
                long_within("lengths", name, key, i64::from(*min), i64::from(*max))
            }
            Constraint::From(source) => self.one_of(name, TextKind::Returned, &[source.to_string()]),
            Constraint::Identifier(names) => self.one_of(name, TextKind::Identifier, names),
            Constraint::Sql(kinds) => self.one_of(name, TextKind::Sql, kinds),
            Constraint::In(values) => {
                let values = values.iter().map(|value| match value {
                    Scalar::Bool(value) => scalar_text("bool", &value.to_string()),
                    Scalar::Number(value) => scalar_text("number", &value.to_string()),
                    Scalar::Text(value) => scalar_text("text", value),
                });
                self.one_of(name, TextKind::Scalar, &values.collect::<Vec<_>>())
            }
            Constraint::Email(emails) => self.text(name, TextKind::Email, |text| {
                let emails = emails.iter().map(|email| match (&email.local, &email.domain) {
                    (Some(_), DomainPattern::Exact(_)) => format!("{text} == {}", literal(&email.to_string())),
                    (None, _) | (_, DomainPattern::Subdomains(_)) => {
                        format!("{text} like {}", pattern(&email.to_string()))
                    }
                });
                any_of(&emails.collect::<Vec<_>>())
            }),
            Constraint::Domain(domains) => self.text(name, TextKind::Domain, |text| {
                let domains = domains.iter().map(|domain| match domain {
                    DomainPattern::Exact(domain) => format!("{text} == {}", literal(domain)),
                    DomainPattern::Subdomains(domain) => format!("{text} like {}", pattern(&format!("*.{domain}"))),
                });
                any_of(&domains.collect::<Vec<_>>())
            }),
            Constraint::Path(roots) => self.text(name, TextKind::Path, |text| {
                let roots = roots.iter().flat_map(|root| match &**root {
                    "/" => vec![format!("{text} like \"/*\"")],
                    root => vec![
                        format!("{text} == {}", literal(root)),
                        format!("{text} like {}", starts_with(&format!("{root}/"))),
                    ],
                });
                any_of(&roots.collect::<Vec<_>>())
            }),
        })
    }

    /// That the argument matches. What it must match is said in a comment, so that it is part of what was agreed.
    fn matched(&mut self, name: &Arc<str>, matcher: Matcher) -> Condition {
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
        let key = self.whole.attribute(Attribute::Match(name.clone()));
        Condition { each: is_matched(name), whole: attribute(&key), key }
    }

    /// That the text of the argument is one of `values`.
    fn one_of(&mut self, name: &Arc<str>, kind: TextKind, values: &[impl AsRef<str>]) -> Condition {
        let equals = |text: &str| {
            let equals = values.iter().map(|value| format!("{text} == {}", literal(value.as_ref())));
            any_of(&equals.collect::<Vec<_>>())
        };
        let condition = self.text(name, kind, equals);
        // Whoever reads the policy reads a set; to compare with each is quicker than to build one, while they are few.
        let each = match values {
            [_] if kind == TextKind::Returned => condition.each,
            _ => {
                let name = literal(name);
                format!("context.texts has {name} && {}.contains(context.texts[{name}])", set(values))
            }
        };
        let whole = if values.len() > EQUALS_MAX {
            format!("{}.contains({})", set(values), attribute(&condition.key))
        } else {
            condition.whole
        };
        Condition { each, whole, key: condition.key }
    }

    /// That the text of the argument is as `says` demands of what it is given.
    fn text(&mut self, name: &Arc<str>, kind: TextKind, says: impl Fn(&str) -> String) -> Condition {
        self.context.texts.insert(name.clone(), kind);
        let key = self.whole.attribute(Attribute::Text(name.clone(), kind));
        let quoted = literal(name);
        let each = format!("context.texts has {quoted} && {}", says(&format!("context.texts[{quoted}]")));
        Condition { each, whole: says(&attribute(&key)), key }
    }

    fn number_within(&mut self, name: &Arc<str>, min: Number, max: Number) -> Condition {
        if !self.context.numbers.contains(name) {
            self.context.numbers.push(name.clone());
        }
        let attribute = Attribute::Number(name.clone());
        let quoted = literal(name);
        let each = record_within(&format!("context.numbers[{quoted}]"), min, max);
        Condition {
            each: format!("context.numbers has {quoted} && {each}"),
            whole: attribute.number_within(min, max),
            key: self.whole.attribute(attribute),
        }
    }

    /// That no approval satisfies the gate, where there is one. The one policy is asked without approvals.
    fn lifted_by(&mut self, gate: Option<&Arc<str>>) -> String {
        let Some(gate) = gate else { return String::new() };
        self.context.gates = true;
        format!(" && !context.gates.contains({})", literal(gate))
    }

    /// A danger zone. What is larger than `over`, with whatever sign, is in it; so is what cannot be read.
    pub(super) fn danger(&mut self, mission: &Mission, name: &Arc<str>, zone: &Danger, matches: Option<&str>) {
        let id = format!("danger.{name}");
        let gate = self.said(mission.gate_of(zone));
        let gate = gate.as_ref();
        for (argument, limit) in zone.over.keys().flat_map(|argument| zone.sums.iter().map(move |sum| (argument, sum)))
        {
            let id = format!("{id}.{}.{}", key(argument), limit.period.key());
            self.counter(id, limit, Measure::Sum(argument.clone()), Some(Zoned { gate, matches, name, zone }));
        }
        if zone.over.is_empty() {
            let part = Part::Danger { gate: gate.cloned(), name: name.clone(), over: None };
            let lifted = self.lifted_by(gate);
            let clause = match (matches, gate) {
                (None, None) => Clause::Always,
                (Some(matches), _) => Clause::When(format!("{matches}{lifted}")),
                (None, Some(_)) => Clause::When(lifted.trim_start_matches(" && ").to_owned()),
            };
            self.forbid(id, zone.line, part, clause);
            self.whole.is_never |= matches.is_none();
            self.whole.holds.extend(matches.map(|matches| format!("!({matches})")));
            return;
        }
        for (argument, (size, line)) in &zone.over {
            // A size is never negative, so its negation fits.
            let small = self.number_within(argument, size.negated().unwrap_or(*size), *size);
            let part = Part::Danger { gate: gate.cloned(), name: name.clone(), over: Some(argument.clone()) };
            self.in_zone(format!("{id}.{}", key(argument)), *line, part, matches, gate, &small);
        }
    }

    /// Where classes of data may go. `reach` says which of the slice's calls are of the tools of a pattern: none, all, or those that match.
    ///
    /// `effect` is what the mission says that the calls do, where what a run has met matters to them.
    pub(super) fn data(
        &mut self,
        mission: &Mission,
        effect: EffectClass,
        reach: impl Fn(&ToolPattern) -> Option<Option<String>>,
    ) {
        let data = mission.data();
        let cleared = |rule: &ClassRule| {
            let reached: Vec<Option<String>> = rule.to.iter().filter_map(&reach).collect();
            let names: Option<Vec<String>> = reached.iter().cloned().collect();
            (!reached.is_empty()).then(|| names.map(|names| any_of(&names)))
        };
        let elsewhere = |rule: &ClassRule, held: String| match cleared(rule) {
            Some(None) => None,
            Some(Some(names)) => Some(format!("{held} && !({names})")),
            None => Some(held),
        };
        let gate_of = |otherwise: &Otherwise| match otherwise {
            Otherwise::Keep => None,
            Otherwise::Deny => Some(None),
            Otherwise::Ask(gate) => Some(mission.gate(gate)),
        };
        let has = |class: &Arc<str>| match data.labels(class).as_slice() {
            [class] => format!("contains({})", literal(class)),
            labels => format!("containsAny({})", set(labels)),
        };
        for (class, rule) in &data.classes {
            let Some(gate) = gate_of(&rule.otherwise) else { continue };
            let held = format!("context.classes.{}", has(class));
            let Some(condition) = elsewhere(rule, held) else { continue };
            let condition =
                format!("{condition}{}{}", lifted(rule, &reach), self.lifted_in_fields(class, rule, &reach));
            let gate = self.said(gate);
            let part = Part::Data { class: class.clone(), gate: gate.clone() };
            self.context.classes = true;
            self.classified(format!("data.{}", key(class)), rule.line, part, gate.as_ref(), &condition);
        }
        for (class, rule) in data.classes.iter().filter(|_| effect != EffectClass::Read) {
            let Some(gate) = gate_of(&rule.run) else { continue };
            let mut held = format!("context.met.{}", has(class));
            if effect == EffectClass::Unconfirmed {
                held = format!("context.effect != \"read\" && {held}");
            }
            let Some(condition) = elsewhere(rule, held) else { continue };
            let condition = format!("{condition}{}", lifted(rule, &reach));
            let gate = self.said(gate);
            let part = Part::Met { class: class.clone(), gate: gate.clone() };
            self.context.met = true;
            self.context.effect |= effect == EffectClass::Unconfirmed;
            self.classified(format!("data.{}.run", key(class)), rule.line, part, gate.as_ref(), &condition);
        }
        for (class, rule) in &data.classes {
            let met = rule.run != Otherwise::Keep && effect != EffectClass::Read;
            let excepts = rule.excepts.iter().filter(|except| except.side == Side::Arguments);
            let excepts = excepts.filter(|except| reach(&except.tool).is_some()).map(|except| SliceExcept {
                class: class.clone(),
                except: except.clone(),
                found: if rule.otherwise == Otherwise::Keep { Vec::new() } else { data.labels(class) },
                met: if met && except.field.is_none() { data.labels(class) } else { Vec::new() },
                rule: except.rule(class),
            });
            self.excepts.extend(excepts);
        }
        if let (Some(touches), Some(expected)) = (&data.touches, data.expected()) {
            let gate = self.said(mission.gate(DEFAULT_GATE));
            let expected: Vec<Arc<str>> = expected.into_iter().collect();
            let condition = format!("!({}.containsAll(context.classes))", set(&expected));
            self.context.classes = true;
            let part = Part::Touches { gate: gate.clone() };
            self.classified("data.touches".to_owned(), touches.line, part, gate.as_ref(), &condition);
        }
    }

    /// That something of the class stands where no exception that lives holds for it; nothing where exceptions are not for fields.
    fn lifted_in_fields(
        &mut self,
        class: &str,
        rule: &ClassRule,
        reach: &impl Fn(&ToolPattern) -> Option<Option<String>>,
    ) -> String {
        let mut fields: BTreeMap<&Arc<str>, Vec<String>> = BTreeMap::new();
        for (except, lives) in living(rule, reach) {
            if let Some(field) = &except.field {
                fields.entry(field).or_default().push(lives);
            }
        }
        if fields.is_empty() {
            return String::new();
        }
        self.context.fields = true;
        let stands = |field: &str| format!("context.fields.contains({})", literal(&format!("{class}:{field}")));
        let lapsed = fields.iter().map(|(field, lives)| format!("({} && !({}))", stands(field), any_of(lives)));
        let standing: Vec<String> = std::iter::once(stands(ELSEWHERE)).chain(lapsed).collect();
        format!(" && {}", any_of(&standing))
    }

    /// Who must have named what calls act on. `effect` is what the mission says that the tool does; where it says nothing, or the slice is of several tools, what is
    /// said and confirmed is looked at with the call.
    pub(super) fn origins(&mut self, mission: &Mission, rules: &ToolRules, effect: EffectClass) {
        self.targets = mission.targets(rules).filter(|_| effect != EffectClass::Read || self.context.named);
        let data = mission.data();
        let said = [
            ("data.untrusted-target", TargetRole::Target, &data.untrusted_target),
            ("data.untrusted-payload", TargetRole::Payload, &data.untrusted_payload),
        ];
        for (id, role, rule) in said {
            let Some(rule) = rule else { continue };
            let Some(condition) = objection(rule, role, effect) else { continue };
            let gate = match &rule.otherwise {
                Otherwise::Ask(gate) => mission.gate(gate),
                Otherwise::Deny | Otherwise::Keep => None,
            };
            let gate = self.said(gate);
            self.context.origins = true;
            self.context.effect |= effect == EffectClass::Unconfirmed;
            let lifted = self.lifted_by(gate.as_ref());
            let part = Part::Origin { gate, role, rule: rule.clone() };
            self.forbid(id.to_owned(), rule.line, part, Clause::When(format!("{condition}{lifted}")));
            self.whole.holds.push(format!("!({condition})"));
        }
    }

    /// Whose approval it is, is part of what was agreed.
    fn said(&mut self, gate: Option<&Gate>) -> Option<Arc<str>> {
        let gate = gate?;
        let said = format!("// gate {}: {gate}\n\n", literal(&gate.terms.name));
        if !self.comments.contains(&said) {
            self.comments.push_str(&said);
        }
        Some(gate.terms.name.clone())
    }

    /// Forbids what holds classes of data as `condition` says.
    fn classified(&mut self, id: String, line: u32, part: Part, gate: Option<&Arc<str>>, condition: &str) {
        let lifted = self.lifted_by(gate);
        self.forbid(id, line, part, Clause::When(format!("{condition}{lifted}")));
        self.whole.holds.push(format!("!({condition})"));
    }

    pub(super) fn permit(&mut self, id: String, line: u32, resource: &str, condition: Option<&str>) {
        let clause = condition.map(|condition| format!("\nwhen {{ {condition} }}")).unwrap_or_default();
        let text = format!("@id({})\npermit (principal, action == {ACTION}, {resource}){clause};\n", literal(&id));
        self.whole.permits.push((self.policies.len(), resource.to_owned()));
        self.whole.holds.extend(condition.map(ToOwned::to_owned));
        self.policies.push((SliceRule { part: Part::Allow, rule: Rule { id: id.into(), line } }, text));
    }

    /// Forbids where `condition` does not hold, which is said alike in the one policy.
    fn unless(&mut self, id: String, line: u32, part: Part, condition: String) {
        self.forbid(id, line, part, Clause::Unless(condition.clone()));
        self.whole.holds.push(condition);
    }

    /// Forbids. What this means for the one policy is for the caller to add.
    pub(super) fn forbid(&mut self, id: String, line: u32, part: Part, clause: Clause) {
        let text = format!("@id({})\nforbid (principal, action == {ACTION}, resource){clause};\n", literal(&id));
        self.policies.push((SliceRule { part, rule: Rule { id: id.into(), line } }, text));
    }

    pub(super) fn schema(&self) -> String {
        let mut context = String::new();
        let shape = &self.context;
        if !shape.counters.is_empty() {
            let counters = shape.counters.iter().map(|id| format!("{}?: Number", literal(id)));
            let _ = writeln!(context, "      \"counters\": {{ {} }},", counters.collect::<Vec<_>>().join(", "));
        }
        if shape.classes {
            context.push_str("      \"classes\": Set<String>,\n");
        }
        if shape.effect {
            context.push_str("      \"effect\": String,\n");
        }
        if shape.fields {
            context.push_str("      \"fields\": Set<String>,\n");
        }
        if shape.gates {
            context.push_str("      \"gates\": Set<String>,\n");
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
        if shape.met {
            context.push_str("      \"met\": Set<String>,\n");
        }
        if shape.minute {
            context.push_str("      \"minute\": Long,\n");
        }
        if shape.name {
            context.push_str("      \"name\": String,\n");
        }
        if shape.named {
            context.push_str("      \"named\": Set<String>,\n");
        }
        if shape.listed.is_some() {
            context.push_str("      \"names\": Set<String>,\n");
        }
        context.push_str("      \"now\": Long,\n");
        if !shape.numbers.is_empty() {
            let numbers = shape.numbers.iter().map(|name| format!("{}?: Number", literal(name)));
            let _ = writeln!(context, "      \"numbers\": {{ {} }},", numbers.collect::<Vec<_>>().join(", "));
        }
        if shape.origins {
            context.push_str("      \"origins\": Set<String>,\n");
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
