//! What an organisation demands of every mission: invariants that its rules are held to as it is loaded, groups that it may name, and the names of Cedar policies that
//! hold for every call.
//!
//! [`parse_organisation`](super::parse_organisation) is the only way to an [`Organisation`]. Rules are compared as sets, and what cannot be told is a breach: an
//! invariant that holds on a guess holds nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use evidence::record::{Direction, Surface, VersionedKind};
use evidence::time::Timestamp;

use super::capture::CaptureRules;
use super::compare::Change;
use super::contain::{Holds, holds, holds_zone};
use super::error::Problem;
use super::gate::Gate;
use super::rule::{ArgumentRule, Danger, Naming, Presence, ToolPattern, ToolRules, joined};
use super::trust::Role;
use super::{Mission, PinPolicy, Subject};

/// How a mission names a group among agents and initiators.
pub(crate) const GROUP: &str = "group:";

/// What can wait for people, in words.
const GATED: [(VersionedKind, &str); 6] = [
    (VersionedKind::Classes, "changes to own classes of data"),
    (VersionedKind::Key, "confirmations of keys"),
    (VersionedKind::Mission, "wider missions"),
    (VersionedKind::Organisation, "wider versions of this file"),
    (VersionedKind::People, "changes to persons and groups"),
    (VersionedKind::Pin, "accepted definitions of tools"),
];

/// Microseconds of one day.
const DAY_US: i64 = 86_400_000_000;

/// What every mission is held to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organisation {
    pub(crate) capture: CaptureRules,
    pub(crate) change_gates: Option<ChangeGates>,
    /// Paths of files with Cedar policies, as they are written, each with its line.
    pub(crate) forbids: Vec<(Arc<str>, u32)>,
    pub(crate) groups: BTreeMap<Arc<str>, Vec<Arc<str>>>,
    pub(crate) invariants: BTreeMap<Arc<str>, Invariant>,
    pub(crate) name: Arc<str>,
    pub(crate) pins: PinPolicy,
    pub(crate) reads: Reads,
    pub(crate) source: Arc<str>,
    pub(crate) why: Arc<str>,
}

/// Whether it is recorded who looks at the evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reads {
    /// Each look, with who, which records and why.
    Recorded,
    /// Exports and openings of content alone.
    Unrecorded,
}

/// The rules for tools of servers and engines that no mission may go beyond.
pub(crate) type AtMost = BTreeMap<(Surface, Arc<str>), BTreeMap<Arc<str>, ToolRules>>;

/// Whose approval changes need before they take effect.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ChangeGates {
    /// The gate of every kind that has none of its own.
    pub(crate) every: Gate,
    pub(crate) of: BTreeMap<VersionedKind, Gate>,
}

/// Something that must be true of every mission.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Invariant {
    /// Calls that need a person's approval.
    pub(crate) ask: Option<Danger>,
    /// What the arguments of tools may be at the most, by server and tool.
    pub(crate) at_most: AtMost,
    /// How many days a mission may hold from when it is taken up.
    pub(crate) days_max: Option<u32>,
    /// How many days after a mission is put in force exceptions of its lines about data may end; with 0 it has none.
    pub(crate) except_days_max: Option<u32>,
    pub(crate) line: u32,
    /// Tools that no mission allows.
    pub(crate) never: Vec<ToolPattern>,
}

/// Where a mission is not as the organisation demands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Breach {
    /// The invariant.
    pub invariant: Arc<str>,
    /// The line of the mission file, from 1.
    pub line: u32,
    /// What is wrong and how to mend it.
    pub sentence: String,
}

impl Organisation {
    /// The organisation's name.
    #[must_use]
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// The reason for this version of the file.
    #[must_use]
    pub const fn why(&self) -> &Arc<str> {
        &self.why
    }

    /// The file's text.
    #[must_use]
    pub const fn source(&self) -> &Arc<str> {
        &self.source
    }

    /// Whose approval a change of this kind needs; `None` where changes take effect as they are recorded.
    #[must_use]
    pub fn change_gate(&self, kind: VersionedKind) -> Option<&Gate> {
        let gates = self.change_gates.as_ref()?;
        match kind {
            VersionedKind::Classes
            | VersionedKind::Key
            | VersionedKind::Mission
            | VersionedKind::Organisation
            | VersionedKind::People
            | VersionedKind::Pin => Some(gates.of.get(&kind).unwrap_or(&gates.every)),
            VersionedKind::Attachment | VersionedKind::Halt | VersionedKind::Run => None,
        }
    }

    /// How much of the content of calls is kept.
    #[must_use]
    pub const fn capture(&self) -> &CaptureRules {
        &self.capture
    }

    /// Whether it is recorded who looks at the evidence.
    #[must_use]
    pub const fn reads(&self) -> Reads {
        self.reads
    }

    /// Paths of the files with Cedar policies, as they are written: relative to the file's own folder.
    pub fn forbids(&self) -> impl Iterator<Item = &Arc<str>> {
        self.forbids.iter().map(|(path, _)| path)
    }

    /// `mission` as it holds here: groups are their members, and tools wait for a person where the organisation says so.
    ///
    /// # Errors
    /// One problem for each group that there is not.
    pub fn within(&self, mission: &Mission) -> Result<Mission, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut expand = |names: &[Arc<str>], line: u32| {
            let mut all: Vec<Arc<str>> = Vec::new();
            for name in names {
                match name.strip_prefix(GROUP) {
                    None => all.push(name.clone()),
                    Some(group) => match self.groups.get(group) {
                        Some(members) => all.extend(members.iter().cloned()),
                        None => problems.push(self.no_group(group, line)),
                    },
                }
            }
            let mut seen = BTreeSet::new();
            all.retain(|name| seen.insert(name.clone()));
            all
        };
        let agents = expand(&mission.agents, mission.agents_line);
        let initiators = expand(&mission.initiators, mission.initiators_line);
        if !problems.is_empty() {
            return Err(problems);
        }
        let pins = if self.pins == PinPolicy::Strict { PinPolicy::Strict } else { mission.pins };
        Ok(Mission { agents, initiators, pins, ..mission.clone() })
    }

    fn no_group(&self, group: &str, line: u32) -> Problem {
        let known = super::nearest(group, self.groups.keys().map(AsRef::as_ref));
        Problem {
            column: 1,
            line: usize::try_from(line).unwrap_or(usize::MAX),
            reason: format!("the organisation file has no group `{}`", super::brief(group)),
            suggestion: Some(match known {
                Some(known) => format!("did you mean `{GROUP}{known}`?"),
                None => format!("add `[group.{}]` with its `members` there, or name them here", super::brief(group)),
            }),
        }
    }

    /// Where `mission`, which is taken up at `at`, is not as the invariants demand; empty where it is.
    #[must_use]
    pub fn breaches(&self, mission: &Mission, at: Timestamp) -> Vec<Breach> {
        let mut breaches = Vec::new();
        for (name, invariant) in &self.invariants {
            let mut found = Vec::new();
            invariant.check(mission, at, &mut found);
            breaches.extend(found.into_iter().map(|(line, sentence)| Breach {
                invariant: name.clone(),
                line,
                sentence,
            }));
        }
        breaches
    }

    /// What changed against `old`, for the version log. What cannot be told counts as wider.
    #[must_use]
    pub fn changes(&self, old: Option<&Self>) -> Vec<Change> {
        let nothing = Self::nothing();
        let old = old.unwrap_or(&nothing);
        let mut changes = Vec::new();
        let mut push = |direction, sentence| changes.push(Change { direction, sentence, subject: Subject::Beyond });
        for name in old.invariants.keys().chain(self.invariants.keys()).collect::<BTreeSet<_>>() {
            match (old.invariants.get(name), self.invariants.get(name)) {
                (None, Some(invariant)) => {
                    push(Direction::Narrower, format!("invariant `{name}` now holds: {invariant}"))
                }
                (Some(_), None) => push(Direction::Wider, format!("invariant `{name}` no longer holds")),
                (Some(before), Some(after)) if before.to_string() != after.to_string() => {
                    push(Direction::Unclear, format!("invariant `{name}` is now: {after} (was: {before})"));
                }
                (Some(_), Some(_)) | (None, None) => {}
            }
        }
        let names = |organisation: &Self| organisation.forbids().cloned().collect::<BTreeSet<_>>();
        let (before, after) = (names(old), names(self));
        for path in before.union(&after) {
            match (before.contains(path), after.contains(path)) {
                (false, true) => push(Direction::Narrower, format!("policies of `{path}` now hold for every call")),
                (true, false) => push(Direction::Wider, format!("policies of `{path}` no longer hold")),
                (true, true) | (false, false) => {}
            }
        }
        for group in old.groups.keys().chain(self.groups.keys()).collect::<BTreeSet<_>>() {
            let members = |organisation: &Self| organisation.groups.get(group).cloned().unwrap_or_default();
            let (before, after) = (members(old), members(self));
            for member in after.iter().filter(|member| !before.contains(member)) {
                push(Direction::Wider, format!("`{member}` now belongs to group `{group}`"));
            }
            for member in before.iter().filter(|member| !after.contains(member)) {
                push(Direction::Narrower, format!("`{member}` no longer belongs to group `{group}`"));
            }
        }
        for (kind, what) in GATED {
            let said = |organisation: &Self| organisation.change_gate(kind).map(ToString::to_string);
            match (said(old), said(self)) {
                (None, Some(gate)) => push(Direction::Narrower, format!("{what} now wait for {gate}")),
                (Some(gate), None) => {
                    push(Direction::Wider, format!("{what} no longer wait for anybody (was {gate})"));
                }
                (Some(before), Some(after)) if before != after => {
                    push(Direction::Unclear, format!("{what} now wait for {after} (was {before})"));
                }
                (Some(_), Some(_)) | (None, None) => {}
            }
        }
        // What keeps more tells more to whoever may open it, and what keeps less is less evidence.
        for sentence in self.capture.changes(&old.capture) {
            push(Direction::Unclear, sentence);
        }
        match (old.reads, self.reads) {
            (Reads::Unrecorded, Reads::Recorded) => {
                push(Direction::Narrower, "looks at the evidence are now recorded".to_owned());
            }
            (Reads::Recorded, Reads::Unrecorded) => {
                push(Direction::Wider, "looks at the evidence are no longer recorded".to_owned());
            }
            (Reads::Recorded, Reads::Recorded) | (Reads::Unrecorded, Reads::Unrecorded) => {}
        }
        match (old.pins, self.pins) {
            (PinPolicy::FirstSight, PinPolicy::Strict) => {
                push(
                    Direction::Narrower,
                    "a person must now accept each tool's definition first, in every mission".to_owned(),
                );
            }
            (PinPolicy::Strict, PinPolicy::FirstSight) => {
                push(Direction::Wider, "missions say by themselves how tools are accepted".to_owned());
            }
            (PinPolicy::FirstSight, PinPolicy::FirstSight) | (PinPolicy::Strict, PinPolicy::Strict) => {}
        }
        changes
    }

    fn nothing() -> Self {
        Self {
            capture: CaptureRules::nothing(),
            change_gates: None,
            forbids: Vec::new(),
            groups: BTreeMap::new(),
            invariants: BTreeMap::new(),
            name: "".into(),
            pins: PinPolicy::FirstSight,
            reads: Reads::Unrecorded,
            source: "".into(),
            why: "".into(),
        }
    }
}

/// The groups that `mission` names; it holds only within an organisation that has them.
#[must_use]
pub fn groups_of(mission: &Mission) -> Vec<Arc<str>> {
    let named = mission.agents.iter().chain(&mission.initiators).filter_map(|name| name.strip_prefix(GROUP));
    named.map(Arc::from).collect()
}

impl Invariant {
    fn check(&self, mission: &Mission, at: Timestamp, found: &mut Vec<(u32, String)>) {
        if let Some(days) = self.days_max
            && mission.until.micros() - at.micros() > i64::from(days) * DAY_US
        {
            let sentence = format!("the mission may hold for {days} days at most; bring `until` nearer");
            found.push((mission.until_line, sentence));
        }
        if let Some(days) = self.except_days_max {
            let sentence = match days {
                0 => "the mission may have no exceptions of lines about data; remove it".to_owned(),
                days => format!("an exception may end {days} days ahead at most; bring `until` nearer"),
            };
            found.extend(mission.far_exceptions(days, at).map(|line| (line, sentence.clone())));
        }
        for pattern in &self.never {
            for (tool, line) in allowed(mission, pattern) {
                found.push((line, format!("no mission may allow `{tool}`; remove it")));
            }
        }
        if let Some(ask) = &self.ask {
            for pattern in &ask.when {
                for (tool, line) in allowed(mission, pattern) {
                    if !mission.dangers.values().any(|zone| holds_zone(zone, ask, &tool)) {
                        let sizes = ask.sizes();
                        let with =
                            if sizes.is_empty() { String::new() } else { format!(" with {}", joined(sizes, "or")) };
                        found.push((line, format!("calls of `{tool}`{with} must be in a danger zone; add one")));
                    }
                }
            }
        }
        for ((surface, server), tools) in &self.at_most {
            for (tool, most) in tools {
                let pattern =
                    ToolPattern { name: tool.clone(), open: false, surface: *surface, upstream: server.clone() };
                for (_, line) in allowed(mission, &pattern) {
                    let rules = mission.upstreams.get(server).and_then(|upstream| upstream.tools.get(tool));
                    check_rules(&pattern, most, rules, line, found);
                }
            }
        }
    }
}

/// The tools of `pattern` that the mission allows, each with its line; the pattern itself where the mission allows tools that it does not name.
fn allowed(mission: &Mission, pattern: &ToolPattern) -> Vec<(ToolPattern, u32)> {
    let upstream = mission.upstreams.get(&pattern.upstream).filter(|upstream| upstream.surface == pattern.surface);
    let Some(upstream) = upstream else { return Vec::new() };
    let covered = upstream.tools.iter().filter(|(name, _)| pattern.covers(pattern.surface, &pattern.upstream, name));
    let named =
        covered.map(|(name, rules)| (ToolPattern { name: name.clone(), open: false, ..pattern.clone() }, rules.line));
    let is_named = !pattern.open && upstream.tools.contains_key(&pattern.name);
    named.chain(upstream.every_tool.filter(|_| !is_named).map(|line| (pattern.clone(), line))).collect()
}

/// Whether everything that `rules` allow is within `most`.
fn check_rules(
    tool: &ToolPattern,
    most: &ToolRules,
    rules: Option<&ToolRules>,
    line: u32,
    found: &mut Vec<(u32, String)>,
) {
    let Some(rules) = rules.filter(|rules| !rules.arguments.is_empty()) else {
        let names = joined(most.arguments.keys().map(|name| format!("`{name}`")), "and");
        found.push((line, format!("`{tool}` is allowed with any arguments, and {names} must have rules")));
        return;
    };
    for (name, bound) in &most.arguments {
        let Some(rule) = rules.arguments.get(name) else {
            // What is not listed cannot be sent; and where an argument cannot be sent, none of its fields can.
            let is_moot = bound.parent.as_ref().is_some_and(|parent| !rules.arguments.contains_key(parent));
            if bound.presence == Presence::Required && !is_moot {
                found.push((rules.line, format!("argument `{name}` of `{tool}` must be sent, and no rule lists it")));
            }
            continue;
        };
        check_rule(tool, name, bound, rule, found);
    }
}

fn check_rule(
    tool: &ToolPattern,
    name: &str,
    bound: &ArgumentRule,
    rule: &ArgumentRule,
    found: &mut Vec<(u32, String)>,
) {
    let what = format!("argument `{name}` of `{tool}`");
    match holds(&bound.constraint, &rule.constraint) {
        Holds::Yes => {}
        Holds::No => {
            found.push((rule.line, format!("{what} may be {}, and at the most {}", rule.constraint, bound.constraint)))
        }
        Holds::Unknown => {
            let sentence = format!(
                "{what} may be {}, which cannot be told to be {}; write the rule in the same words",
                rule.constraint, bound.constraint
            );
            found.push((rule.line, sentence));
        }
    }
    if bound.presence == Presence::Required && rule.presence == Presence::Optional {
        found.push((rule.line, format!("{what} must be sent, and is optional")));
    }
    if bound.naming == Naming::Named && rule.naming == Naming::Anybody {
        found.push((rule.line, format!("{what} must be named by the mission or the initiator: add `named = true`")));
    }
    if bound.said == Some(Role::Target) && rule.role() == Some(Role::Content) {
        found.push((rule.line, format!("{what} is a target: add `target = true`")));
    }
    for limit in &bound.limits {
        let is_held = rule.limits.iter().any(|other| other.period == limit.period && other.most <= limit.most);
        if !is_held {
            found.push((rule.line, format!("{what} must be limited: at most {limit}, all calls together")));
        }
    }
}

impl std::fmt::Display for Invariant {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut parts = Vec::new();
        if !self.never.is_empty() {
            parts
                .push(format!("no mission allows {}", joined(self.never.iter().map(|tool| format!("`{tool}`")), "or")));
        }
        if let Some(ask) = &self.ask {
            let calls = joined(ask.when.iter().map(|tool| format!("`{tool}`")), "and");
            let sizes = ask.sizes();
            let with = if sizes.is_empty() { String::new() } else { format!(" with {}", joined(sizes, "or")) };
            parts.push(format!("calls of {calls}{with} are in a danger zone"));
        }
        for ((surface, server), tools) in &self.at_most {
            for (tool, rules) in tools {
                let rules = rules.arguments.iter().map(|(name, rule)| format!("`{name}` is {}", rule.in_full()));
                parts.push(format!("of `{surface}:{server}/{tool}`, {}", joined(rules, "and")));
            }
        }
        parts.extend(self.days_max.map(|days| format!("missions hold for {days} days at most")));
        parts.extend(self.except_days_max.map(|days| match days {
            0 => "missions have no exceptions of lines about data".to_owned(),
            days => format!("exceptions of lines about data end {days} days ahead at most"),
        }));
        f.write_str(&parts.join("; "))
    }
}
