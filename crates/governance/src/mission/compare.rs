//! What a mission allows beyond another, and what no longer, one change after the other. Who reads it decides on it, so what cannot be told counts as wider.
//!
//! A call is allowed where every condition holds, so a mission of which no condition became wider allows nothing new. Start at [`compare`].

mod origins;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use evidence::record::{Direction, EffectClass, Surface};

use super::contain::{Holds, holds, holds_uri, holds_zone};
use super::data::{ClassRule, OnResult, Otherwise, Treatment};
use super::except::Except;
use super::explain::spent_of;
use super::gate::{DEFAULT, lasting};
use super::hours::{WEEK, hold};
use super::rule::{
    ArgumentRule, Danger, Limit, Period, Presence, ToolPattern, ToolRules, Upstream, UriPattern, joined, server_of,
    servers_of, tool_of,
};
use super::{Feature, Mission, Mode, PinPolicy};

/// One change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which way.
    pub direction: Direction,
    /// In a sentence.
    pub sentence: String,
    /// What it is about.
    pub subject: Subject,
}

/// What a change is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Subject {
    /// Who may act.
    Agent(Arc<str>),
    /// A tool's argument.
    Argument {
        /// The argument.
        argument: Arc<str>,
        /// The tool.
        tool: Arc<str>,
        /// Its server.
        upstream: Arc<str>,
    },
    /// What shows only over several calls, or in no call.
    Beyond,
    /// Who must have named what calls act on.
    Origins,
    /// A prompt.
    Prompt(Arc<str>, Arc<str>),
    /// A request.
    Request(Arc<str>, Arc<str>),
    /// Resources.
    Resource(Arc<str>, Arc<str>),
    /// A tool: of a server, by its name, which may be one that no mission names.
    Tool(Arc<str>, Arc<str>),
    /// Until when it holds.
    Until,
    /// A danger zone: a server, and how its tools' names begin.
    Zone(Arc<str>, Arc<str>),
}

/// What `new` allows beyond `old`, and what no longer; empty where it allows the same.
#[must_use]
pub fn compare(old: &Mission, new: &Mission) -> Vec<Change> {
    let mut changes = Changes(Vec::new());
    changes.who_and_when(old, new);
    for (name, surface) in servers_of(&old.upstreams).chain(servers_of(&new.upstreams)).collect::<BTreeSet<_>>() {
        let nothing = Upstream::new(surface);
        let rules = |mission: &Mission| mission.upstreams.get(name).filter(|known| known.surface == surface).cloned();
        let (before, after) = (rules(old), rules(new));
        let is_known = (before.is_some(), after.is_some());
        let (before, after) = (before.unwrap_or_else(|| nothing.clone()), after.unwrap_or_else(|| nothing.clone()));
        changes.named(name, &before, &after, is_known);
        changes.resources(name, &before.resources, &after.resources);
        changes.tools(name, &before, &after);
        changes.effects(name, &before, &after);
        if is_known == (true, true) {
            changes.report_within(name, before.report_within_s(), after.report_within_s());
        }
    }
    changes.zones(old, new);
    for spent in old.budget.keys().chain(new.budget.keys()).collect::<BTreeSet<_>>() {
        let limits = |mission: &Mission| mission.budget.get(spent).cloned().unwrap_or_default();
        changes.limits(&limits(old), &limits(new), |limit| spent_of(spent, limit));
    }
    changes.data(old, new);
    changes.origins(old, new);
    changes.0
}

/// The direction of all changes together; `None` where there are none.
#[must_use]
pub fn overall(changes: &[Change]) -> Option<Direction> {
    let is_wider = changes.iter().any(|change| change.direction.is_wider());
    let is_sure = changes.iter().any(|change| matches!(change.direction, Direction::Wider | Direction::Both));
    let is_narrower = changes.iter().any(|change| matches!(change.direction, Direction::Narrower | Direction::Both));
    match (is_wider, is_sure, is_narrower) {
        (false, _, false) => None,
        (false, _, true) => Some(Direction::Narrower),
        (true, false, _) => Some(Direction::Unclear),
        (true, true, false) => Some(Direction::Wider),
        (true, true, true) => Some(Direction::Both),
    }
}

/// The direction of a set that was `old` and is `new`, by which of them holds the other.
const fn direction(new_holds_old: Holds, old_holds_new: Holds) -> Option<Direction> {
    match (new_holds_old, old_holds_new) {
        (Holds::Yes, Holds::Yes) => None,
        (Holds::Yes, Holds::No) => Some(Direction::Wider),
        (_, Holds::Yes) => Some(Direction::Narrower),
        (_, Holds::No) => Some(Direction::Both),
        (_, Holds::Unknown) => Some(Direction::Unclear),
    }
}

struct Changes(Vec<Change>);

impl Changes {
    fn push(&mut self, direction: Direction, subject: Subject, sentence: String) {
        self.0.push(Change { direction, sentence, subject });
    }

    /// Something that came or went.
    fn came(&mut self, before: bool, after: bool, subject: Subject, what: &str) {
        match (before, after) {
            (false, true) => self.push(Direction::Wider, subject, format!("{what} is now allowed")),
            (true, false) => self.push(Direction::Narrower, subject, format!("{what} is no longer allowed")),
            (true, true) | (false, false) => {}
        }
    }

    fn who_and_when(&mut self, old: &Mission, new: &Mission) {
        for agent in old.agents.iter().chain(&new.agents).collect::<BTreeSet<_>>() {
            let (before, after) = (old.agents.contains(agent), new.agents.contains(agent));
            self.came(before, after, Subject::Agent(agent.clone()), &format!("agent `{agent}`"));
        }
        let until = match new.until.cmp(&old.until) {
            std::cmp::Ordering::Greater => Some(Direction::Wider),
            std::cmp::Ordering::Less => Some(Direction::Narrower),
            std::cmp::Ordering::Equal => None,
        };
        if let Some(direction) = until {
            let sentence = format!("the mission holds until `{}` (was `{}`)", new.until_text, old.until_text);
            self.push(direction, Subject::Until, sentence);
        }
        self.initiators(old, new);
        self.hours(old, new);
        self.zone(old, new);
        match (old.mode, new.mode) {
            (Mode::Enforce, Mode::Observe) => {
                self.push(Direction::Wider, Subject::Beyond, "the mission is only observed".to_owned());
            }
            (Mode::Observe, Mode::Enforce) => {
                self.push(Direction::Narrower, Subject::Beyond, "the mission is held to".to_owned());
            }
            (Mode::Enforce, Mode::Enforce) | (Mode::Observe, Mode::Observe) => {}
        }
        match (old.pins, new.pins) {
            (PinPolicy::Strict, PinPolicy::FirstSight) => {
                let sentence = "tools are accepted as they are first seen".to_owned();
                self.push(Direction::Wider, Subject::Beyond, sentence);
            }
            (PinPolicy::FirstSight, PinPolicy::Strict) => {
                let sentence = "a person must accept each tool's definition first".to_owned();
                self.push(Direction::Narrower, Subject::Beyond, sentence);
            }
            (PinPolicy::FirstSight, PinPolicy::FirstSight) | (PinPolicy::Strict, PinPolicy::Strict) => {}
        }
    }

    /// On whose behalf: no list is everybody.
    fn initiators(&mut self, old: &Mission, new: &Mission) {
        let holds = |by: &Mission, name: &str| {
            by.initiators.is_empty()
                || by.initiators.iter().any(|wide| match wide.strip_prefix('*') {
                    Some(end) => name.ends_with(end),
                    None => **wide == *name,
                })
        };
        let everybody = |by: &Mission, of: &Mission| of.initiators.is_empty() && !by.initiators.is_empty();
        for name in new.initiators.iter().filter(|name| !holds(old, name)) {
            self.push(Direction::Wider, Subject::Beyond, format!("agents may act for `{name}`"));
        }
        for name in old.initiators.iter().filter(|name| !holds(new, name)) {
            self.push(Direction::Narrower, Subject::Beyond, format!("agents may no longer act for all of `{name}`"));
        }
        if everybody(old, new) {
            self.push(Direction::Wider, Subject::Beyond, "agents may act for anybody".to_owned());
        }
        if everybody(new, old) {
            self.push(Direction::Narrower, Subject::Beyond, "agents may act for some only".to_owned());
        }
    }

    /// Every minute of the week, compared.
    fn hours(&mut self, old: &Mission, new: &Mission) {
        let held = |by: &Mission| (0..WEEK).map(|minute| hold(&by.hours, minute)).collect::<Vec<_>>();
        let (before, after) = (held(old), held(new));
        let more = before.iter().zip(&after).any(|(before, after)| *after && !*before);
        let less = before.iter().zip(&after).any(|(before, after)| *before && !*after);
        let direction = match (more, less) {
            (false, false) => return,
            (true, false) => Direction::Wider,
            (false, true) => Direction::Narrower,
            (true, true) => Direction::Both,
        };
        let said = |mission: &Mission| match mission.hours.as_slice() {
            [] => "at any hour".to_owned(),
            hours => joined(hours, "and"),
        };
        self.push(direction, Subject::Beyond, format!("the mission holds {} (was {})", said(new), said(old)));
    }

    /// Whose days and hours: others may hold when these do not, and limits begin anew at other times.
    fn zone(&mut self, old: &Mission, new: &Mission) {
        if old.zone != new.zone {
            let sentence = format!("days and hours are those of `{}` (was `{}`)", new.zone.name(), old.zone.name());
            self.push(Direction::Both, Subject::Beyond, sentence);
        }
    }

    /// What is allowed by its name.
    fn named(&mut self, server: &Arc<str>, old: &Upstream, new: &Upstream, is_known: (bool, bool)) {
        for feature in Feature::ALL {
            let is_on = |upstream: &Upstream| upstream.features.contains_key(&feature);
            let subject = Subject::Request(server.clone(), feature.method().into());
            let what = format!("request `{}` of server `{server}` to the client", feature.method());
            self.came(is_on(old), is_on(new), subject, &what);
        }
        if new.surface == Surface::Workflow {
            return;
        }
        let subject = Subject::Request(server.clone(), super::SUBSCRIBING.into());
        self.came(is_known.0, is_known.1, subject, &format!("to be told of changes at server `{server}`"));
        let names = |list: &[(Arc<str>, u32)]| list.iter().map(|(name, _)| name.clone()).collect::<BTreeSet<_>>();
        let is_open = |list: &BTreeSet<Arc<str>>| list.contains("*");
        let (before, after) = (names(&old.prompts), names(&new.prompts));
        for name in before.union(&after) {
            let allows = |list: &BTreeSet<Arc<str>>| list.contains(name) || is_open(list);
            let (subject, what) = (Subject::Prompt(server.clone(), name.clone()), one_or_every("prompt", name));
            self.came(allows(&before), allows(&after), subject, &format!("{what} of server `{server}`"));
        }
        let (before, after) = (names(&old.requests), names(&new.requests));
        for name in before.union(&after) {
            let is_ours = !super::PROTOCOL_REQUESTS.contains(&&**name);
            let allows = |list: &BTreeSet<Arc<str>>| list.contains(name) || (is_open(list) && is_ours);
            let (subject, what) = (Subject::Request(server.clone(), name.clone()), one_or_every("request", name));
            self.came(allows(&before), allows(&after), subject, &format!("{what} to server `{server}`"));
        }
    }

    fn resources(&mut self, server: &Arc<str>, old: &[(UriPattern, u32)], new: &[(UriPattern, u32)]) {
        let held = |uri: &UriPattern, by: &[(UriPattern, u32)]| {
            by.iter().map(|(wide, _)| holds_uri(wide, uri)).fold(Holds::No, |best, holds| match (best, holds) {
                (Holds::Yes, _) | (_, Holds::Yes) => Holds::Yes,
                (Holds::Unknown, _) | (_, Holds::Unknown) => Holds::Unknown,
                (Holds::No, Holds::No) => Holds::No,
            })
        };
        for (uri, _) in new {
            let direction = match held(uri, old) {
                Holds::Yes => continue,
                Holds::No => Direction::Wider,
                Holds::Unknown => Direction::Unclear,
            };
            let subject = Subject::Resource(server.clone(), uri.as_str().into());
            self.push(direction, subject, format!("resources `{}` of server `{server}` are now allowed", uri.as_str()));
        }
        for (uri, _) in old.iter().filter(|(uri, _)| held(uri, new) != Holds::Yes) {
            let subject = Subject::Resource(server.clone(), uri.as_str().into());
            let sentence = format!("resources `{}` of server `{server}` are no longer all allowed", uri.as_str());
            self.push(Direction::Narrower, subject, sentence);
        }
    }

    fn tools(&mut self, server: &Arc<str>, old: &Upstream, new: &Upstream) {
        let every = Subject::Tool(server.clone(), "*".into());
        let (surface, tool_word) = (new.surface, tool_of(new.surface));
        let what =
            format!("every {tool_word} of {} `{server}` that is not named, with any arguments,", server_of(surface));
        self.came(old.every_tool.is_some(), new.every_tool.is_some(), every, &what);
        let any = ToolRules::default();
        for name in old.tools.keys().chain(new.tools.keys()).collect::<BTreeSet<_>>() {
            let rules = |upstream: &Upstream| {
                upstream.tools.get(name).cloned().or_else(|| upstream.every_tool.map(|_| any.clone()))
            };
            let subject = Subject::Tool(server.clone(), name.clone());
            match (rules(old), rules(new)) {
                (Some(old), Some(new)) => self.arguments(surface, server, name, &old, &new),
                (before, after) => {
                    let what = format!("{tool_word} `{surface}:{server}/{name}`");
                    self.came(before.is_some(), after.is_some(), subject, &what);
                }
            }
        }
    }

    fn arguments(&mut self, surface: Surface, server: &Arc<str>, tool: &Arc<str>, old: &ToolRules, new: &ToolRules) {
        let named = format!("{surface}:{server}/{tool}");
        let tool_word = tool_of(surface);
        let whole = Subject::Tool(server.clone(), tool.clone());
        match (old.arguments.is_empty(), new.arguments.is_empty()) {
            (true, true) => return,
            (true, false) => {
                let sentence = format!("{tool_word} `{named}` may be called with certain arguments only");
                return self.push(Direction::Narrower, whole, sentence);
            }
            (false, true) => {
                let sentence = format!("{tool_word} `{named}` may be called with any arguments");
                return self.push(Direction::Wider, whole, sentence);
            }
            (false, false) => {}
        }
        for name in old.arguments.keys().chain(new.arguments.keys()).collect::<BTreeSet<_>>() {
            let subject = Subject::Argument { argument: name.clone(), tool: tool.clone(), upstream: server.clone() };
            let what = format!("argument `{name}` of `{named}`");
            match (old.arguments.get(name), new.arguments.get(name)) {
                (Some(old), Some(new)) => self.argument(subject, &what, old, new),
                (None, Some(rule)) => {
                    let direction = match rule.presence {
                        Presence::Optional => Direction::Wider,
                        Presence::Required => Direction::Both,
                    };
                    self.push(direction, subject, format!("{what} is now listed: it must be {}", rule.in_full()));
                }
                (Some(rule), None) => {
                    let direction = match rule.presence {
                        Presence::Optional => Direction::Narrower,
                        Presence::Required => Direction::Both,
                    };
                    self.push(direction, subject, format!("{what} is no longer listed (was {})", rule.in_full()));
                }
                (None, None) => {}
            }
        }
    }

    fn argument(&mut self, subject: Subject, what: &str, old: &ArgumentRule, new: &ArgumentRule) {
        if let Some(direction) = argument_direction(old, new) {
            self.push(direction, subject, format!("{what} must be {} (was {})", new.in_full(), old.in_full()));
        }
        self.limits(&old.limits, &new.limits, |limit| format!("{limit} of {what}"));
    }

    /// Limits on all calls together.
    fn limits(&mut self, old: &[Limit], new: &[Limit], said: impl Fn(&Limit) -> String) {
        for period in Period::ALL {
            let of = |limits: &[Limit]| limits.iter().find(|limit| limit.period == period).cloned();
            let (direction, sentence) = match (of(old), of(new)) {
                (None, Some(new)) => (Direction::Narrower, format!("all calls together: at most {}", said(&new))),
                (Some(old), None) => (Direction::Wider, format!("all calls together: more than {}", said(&old))),
                (Some(old), Some(new)) if new.most != old.most => {
                    let direction = if new.most > old.most { Direction::Wider } else { Direction::Narrower };
                    (direction, format!("all calls together: at most {} (was {})", said(&new), said(&old)))
                }
                (Some(_), Some(_)) | (None, None) => continue,
            };
            self.push(direction, Subject::Beyond, sentence);
        }
    }

    /// How long steps may be open before it is known what became of them.
    fn report_within(&mut self, engine: &str, old: u64, new: u64) {
        let direction = match new.cmp(&old) {
            std::cmp::Ordering::Greater => Direction::Wider,
            std::cmp::Ordering::Less => Direction::Narrower,
            std::cmp::Ordering::Equal => return,
        };
        let sentence =
            format!("engine `{engine}` reports what became of a step within {} (was {})", lasting(new), lasting(old));
        self.push(direction, Subject::Beyond, sentence);
    }

    /// What the owner says that tools do: the milder, the wider.
    fn effects(&mut self, server: &Arc<str>, old: &Upstream, new: &Upstream) {
        for name in old.effects.keys().chain(new.effects.keys()).collect::<BTreeSet<_>>() {
            let class =
                |upstream: &Upstream| upstream.effects.get(name).map_or(EffectClass::Unconfirmed, |(class, _)| *class);
            let (before, after) = (class(old), class(new));
            if before == after {
                continue;
            }
            let direction = if gravity(after) < gravity(before) { Direction::Wider } else { Direction::Narrower };
            let (surface, tool) = (new.surface, tool_of(new.surface));
            let sentence = format!("{tool} `{surface}:{server}/{name}` is said to be `{after}` (was `{before}`)");
            self.push(direction, Subject::Beyond, sentence);
        }
    }

    /// Whose approval is needed. Which of two gates is the narrower is not compared: a change of either may let something new through.
    fn gates(&mut self, old: &Mission, new: &Mission) {
        let asked = |mission: &Mission| {
            let zones = mission.dangers.iter().map(|(name, zone)| {
                let Danger { gate: _, line: _, over, sums, when } = zone;
                let sizes = over.iter().map(|(argument, (size, _))| (argument.clone(), *size)).collect::<Vec<_>>();
                let sums = sums.iter().map(|sum| (sum.period.key(), sum.most)).collect::<Vec<_>>();
                let terms = mission.gate_of(zone).map(|gate| gate.terms.clone());
                (name.clone(), (sizes, sums, when.clone(), terms))
            });
            zones.collect::<BTreeMap<_, _>>()
        };
        let (before, after) = (asked(old), asked(new));
        let has_gate = |mission: &Mission| mission.dangers.values().any(|zone| mission.gate_of(zone).is_some());
        if before == after || !(has_gate(old) || has_gate(new)) {
            return;
        }
        let changed = before.keys().chain(after.keys()).filter(|name| before.get(*name) != after.get(*name));
        for name in changed.collect::<BTreeSet<_>>() {
            let said = |mission: &Mission| match mission.dangers.get(name).map(|zone| mission.gate_of(zone)) {
                None => "no such zone".to_owned(),
                Some(None) => "denied".to_owned(),
                Some(Some(gate)) => gate.to_string(),
            };
            let sentence = format!("danger zone `{name}` asks: {} (was: {})", said(new), said(old));
            self.push(Direction::Unclear, Subject::Beyond, sentence);
        }
    }

    /// Danger zones, by the calls that they hold and not by their names.
    fn zones(&mut self, old: &Mission, new: &Mission) {
        self.gates(old, new);
        let is_held = |zone: &Danger, pattern, by: &BTreeMap<Arc<str>, Danger>| {
            by.values().any(|wide| holds_zone(wide, zone, pattern))
        };
        for (mission, by, direction, verb) in
            [(old, new, Direction::Wider, "no longer need"), (new, old, Direction::Narrower, "now need")]
        {
            for zone in mission.dangers.values() {
                for pattern in zone.when.iter().filter(|pattern| !is_held(zone, pattern, &by.dangers)) {
                    let sizes = zone.sizes();
                    let with = if sizes.is_empty() { String::new() } else { format!(" with {}", joined(sizes, "or")) };
                    let subject = Subject::Zone(pattern.upstream.clone(), pattern.name.clone());
                    self.push(direction, subject, format!("calls of `{pattern}`{with} {verb} approval, all of them"));
                }
            }
        }
    }
}

/// The direction of what the values of an argument may be, and whether it must be there.
fn argument_direction(old: &ArgumentRule, new: &ArgumentRule) -> Option<Direction> {
    let (new_holds_old, old_holds_new) =
        (holds(&new.constraint, &old.constraint), holds(&old.constraint, &new.constraint));
    let is_optional = |rule: &ArgumentRule| rule.presence == Presence::Optional;
    let (old_optional, new_optional) = (is_optional(old), is_optional(new));
    let and = |value: Holds, presence: bool| if presence { value } else { Holds::No };
    direction(and(new_holds_old, new_optional || !old_optional), and(old_holds_new, old_optional || !new_optional))
}

/// Where classes of data may go.
impl Changes {
    fn data(&mut self, old: &Mission, new: &Mission) {
        for class in old.data.classes.keys().chain(new.data.classes.keys()).collect::<BTreeSet<_>>() {
            let rule = |mission: &Mission| mission.data.rule(class).map(|(_, rule)| rule.clone());
            let (before, after) = (rule(old), rule(new));
            let rule = |rule: &Option<ClassRule>| rule.clone().unwrap_or_else(ClassRule::anywhere);
            let (from, to) = (rule(&before), rule(&after));
            let mut directions = vec![towards(&from, &to), results(from.result, to.result)];
            let run = |rule: &ClassRule| ClassRule { otherwise: rule.run.clone(), ..rule.clone() };
            directions.push(towards(&run(&from), &run(&to)));
            for (was, is) in [(&from.otherwise, &to.otherwise), (&from.run, &to.run)] {
                let terms = |mission: &Mission, otherwise: &Otherwise| match otherwise {
                    Otherwise::Ask(gate) => Some(mission.gate(gate).map(|gate| gate.terms.clone())),
                    Otherwise::Deny | Otherwise::Keep => None,
                };
                if let (Some(was), Some(is)) = (terms(old, was), terms(new, is)) {
                    directions.push((was != is).then_some(Direction::Unclear));
                }
            }
            if let Some(direction) = together(directions) {
                let said =
                    |rule: &Option<ClassRule>| rule.as_ref().map_or("is not spoken of".to_owned(), ToString::to_string);
                let sentence = format!("data of class `{class}` {} (was: {})", said(&after), said(&before));
                self.push(direction, Subject::Beyond, sentence);
            }
        }
        self.excepts(old, new);
        // A kind that only one of them names is to the other what its class is.
        let kinds = [old, new].into_iter().flat_map(|mission| {
            mission.data.touches.iter().flat_map(|touches| &touches.classes).chain(mission.data.classes.keys())
        });
        let kinds: BTreeSet<&Arc<str>> = kinds.collect();
        let expected = |mission: &Mission| {
            let touches = mission.data.touches.as_ref()?;
            let among = kinds.iter().filter(|kind| touches.expects(kind)).map(|kind| (*kind).clone());
            Some(among.collect::<BTreeSet<_>>())
        };
        let direction = match (expected(old), expected(new)) {
            (None, None) => None,
            (None, Some(_)) => Some(Direction::Narrower),
            (Some(_), None) => Some(Direction::Wider),
            (Some(before), Some(after)) => {
                let holds = |wide: &BTreeSet<Arc<str>>, of| if wide.is_superset(of) { Holds::Yes } else { Holds::No };
                direction(holds(&after, &before), holds(&before, &after))
            }
        };
        let said = |mission: &Mission| match &mission.data.touches {
            Some(touches) => joined(touches.classes.iter().map(|class| format!("`{class}`")), "and"),
            None => "any class of data".to_owned(),
        };
        match direction {
            Some(direction) => {
                let sentence = format!("calls may hold {} without a question (was {})", said(new), said(old));
                self.push(direction, Subject::Beyond, sentence);
            }
            // Whom that asks.
            None if new.data.touches.is_some() => {
                let terms = |mission: &Mission| mission.gate(DEFAULT).map(|gate| gate.terms.clone());
                if terms(old) != terms(new) {
                    let sentence = "other people are asked about data that is not expected".to_owned();
                    self.push(Direction::Unclear, Subject::Beyond, sentence);
                }
            }
            None => {}
        }
    }
}

/// Exceptions of lines about data.
impl Changes {
    /// An exception is wider than nothing, and the wider the longer it lives. Where only the reason changes, nothing is.
    fn excepts(&mut self, old: &Mission, new: &Mission) {
        for class in old.data.classes.keys().chain(new.data.classes.keys()).collect::<BTreeSet<_>>() {
            let rule =
                |mission: &Mission| mission.data.rule(class).map_or_else(ClassRule::anywhere, |(_, rule)| rule.clone());
            let (before, after) = (rule(old), rule(new));
            let beyond = |by: &ClassRule, except: &Except| {
                let lives = by.excepts.iter().any(|wide| except.is_within(wide) && except.until <= wide.until);
                !lives && !except.is_idle(by)
            };
            for except in after.excepts.iter().filter(|except| beyond(&before, except)) {
                let was = before.excepts.iter().find(|was| was.place() == except.place());
                let sentence = match was {
                    None => format!("data of class `{class}` {except}, by a new exception: {}", except.why),
                    Some(was) => format!(
                        "data of class `{class}` {except}, by an exception that is prolonged (was until `{}`): {}",
                        was.until_text, except.why
                    ),
                };
                self.push(Direction::Wider, Subject::Beyond, sentence);
            }
            for except in before.excepts.iter().filter(|except| beyond(&after, except)) {
                let now = after.excepts.iter().find(|now| now.place() == except.place());
                let sentence = match now {
                    None => format!("data of class `{class}` no longer {except}: the exception is removed"),
                    Some(now) => format!(
                        "data of class `{class}` {now}, by an exception that is shortened (was until `{}`)",
                        except.until_text
                    ),
                };
                self.push(Direction::Narrower, Subject::Beyond, sentence);
            }
        }
    }
}

/// The direction of what becomes of arguments.
fn towards(old: &ClassRule, new: &ClassRule) -> Option<Direction> {
    let strictness = |rule: &ClassRule| match rule.otherwise {
        Otherwise::Keep => 0,
        Otherwise::Ask(_) => 1,
        Otherwise::Deny => 2,
    };
    let held = |by: &ClassRule, of: &ClassRule| {
        let covers = |wide: &ToolPattern, pattern: &ToolPattern| {
            wide == pattern || (wide.open && wide.covers(pattern.surface, &pattern.upstream, &pattern.name))
        };
        by.otherwise == Otherwise::Keep || of.to.iter().all(|pattern| by.to.iter().any(|wide| covers(wide, pattern)))
    };
    let is_as_wide = |by: &ClassRule, of: &ClassRule| {
        if held(by, of) && strictness(by) <= strictness(of) { Holds::Yes } else { Holds::No }
    };
    direction(is_as_wide(new, old), is_as_wide(old, new))
}

/// The direction of what becomes of results. One treatment tells something else than the other; a token tells more than what tells nothing of the value, and brings it to calls.
fn results(old: OnResult, new: OnResult) -> Option<Direction> {
    let kept = OnResult::Treat(Treatment::Keep);
    let token = OnResult::Treat(Treatment::Token);
    let tells_nothing =
        |on: OnResult| matches!(on, OnResult::Treat(Treatment::Drop | Treatment::Redact | Treatment::Tag));
    match (old, new) {
        _ if old == new => None,
        (_, OnResult::Block) => Some(Direction::Narrower),
        (OnResult::Block, _) => Some(Direction::Wider),
        (_, new) if new == kept => Some(Direction::Wider),
        (old, _) if old == kept => Some(Direction::Narrower),
        (old, new) if tells_nothing(old) && new == token => Some(Direction::Wider),
        (old, new) if old == token && tells_nothing(new) => Some(Direction::Narrower),
        _ => Some(Direction::Both),
    }
}

/// Several directions of one thing as one.
fn together(directions: Vec<Option<Direction>>) -> Option<Direction> {
    directions.into_iter().flatten().reduce(|one, other| match (one, other) {
        (one, other) if one == other => one,
        (Direction::Unclear, _) | (_, Direction::Unclear) => Direction::Unclear,
        _ => Direction::Both,
    })
}

/// How grave it is what a tool does; what nobody has said is the worst.
#[must_use]
pub const fn gravity(class: EffectClass) -> u8 {
    match class {
        EffectClass::Read => 0,
        EffectClass::Write => 1,
        EffectClass::Send => 2,
        EffectClass::Pay => 3,
        EffectClass::Destroy => 4,
        EffectClass::Admin => 5,
        EffectClass::Unconfirmed => 6,
    }
}

fn one_or_every(kind: &str, name: &str) -> String {
    if name == "*" { format!("every {kind}") } else { format!("{kind} `{name}`") }
}
