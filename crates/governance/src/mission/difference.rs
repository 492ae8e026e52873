//! What changed between two versions of a mission, in sentences for the version log and for whoever approves the change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use evidence::record::EffectClass;
use evidence::time::Zone;

use super::explain::spent_of;
use super::gate::lasting;
use super::rule::{
    ArgumentRule, Danger, Limit, Period, Spent, ToolRules, Upstream, joined, server_of, servers_of, tool_of,
};
use super::{Feature, Mission, Mode, PinPolicy};

/// What `new` changes against `old`, in plain sentences; against nothing, all that it allows. Empty where only comments, spelling or the reason changed.
#[must_use]
pub fn difference(old: Option<&Mission>, new: &Mission) -> Vec<String> {
    let mut sentences = Vec::new();
    match old {
        Some(old) => {
            changed(&mut sentences, "the mission is now called", &old.name, &new.name);
            changed(&mut sentences, "the goal is now", &old.goal, &new.goal);
            changed(&mut sentences, "the owner is now", &old.owner, &new.owner);
            match (old.mode, new.mode) {
                (Mode::Enforce, Mode::Observe) => sentences.push(OBSERVED.to_owned()),
                (Mode::Observe, Mode::Enforce) => sentences.push("the mission is now held to".to_owned()),
                (Mode::Enforce, Mode::Enforce) | (Mode::Observe, Mode::Observe) => {}
            }
            match (old.pins, new.pins) {
                (PinPolicy::FirstSight, PinPolicy::Strict) => {
                    sentences.push("a person must now accept each tool's definition first".to_owned());
                }
                (PinPolicy::Strict, PinPolicy::FirstSight) => {
                    sentences.push("tools are now accepted as they are first seen, which is wider".to_owned());
                }
                (PinPolicy::FirstSight, PinPolicy::FirstSight) | (PinPolicy::Strict, PinPolicy::Strict) => {}
            }
            if old.until != new.until {
                changed(&mut sentences, "the mission now holds until", &old.until_text, &new.until_text);
            }
        }
        None => {
            sentences.push(format!("new mission `{}` of `{}`, until `{}`", new.name, new.owner, new.until_text));
            sentences.extend((new.mode == Mode::Observe).then(|| OBSERVED.to_owned()));
        }
    }
    let nobody = Vec::new();
    let initiators = |mission: &Mission| match mission.initiators.as_slice() {
        [] => "anybody".to_owned(),
        names => joined(names.iter().map(|name| format!("`{name}`")), "or"),
    };
    let hours = |mission: &Mission| match mission.hours.as_slice() {
        [] => "at any hour".to_owned(),
        hours => joined(hours, "and"),
    };
    let (for_whom, when) = (initiators(new), hours(new));
    match old.map(initiators) {
        Some(before) if before == for_whom => {}
        Some(before) => sentences.push(format!("agents may now act for {for_whom} (was {before})")),
        None if new.initiators.is_empty() => {}
        None => sentences.push(format!("agents may act for {for_whom}")),
    }
    match old.map(hours) {
        Some(before) if before == when => {}
        Some(before) => sentences.push(format!("the mission now holds {when} (was {before})")),
        None if new.hours.is_empty() => {}
        None => sentences.push(format!("the mission holds {when}")),
    }
    match old.map(|old| &old.zone) {
        Some(before) if *before == new.zone => {}
        Some(before) => changed(&mut sentences, "days and hours are now those of", before.name(), new.zone.name()),
        None if new.zone == Zone::utc() => {}
        None => sentences.push(format!("days and hours are those of `{}`", new.zone.name())),
    }
    names(
        &mut sentences,
        old.map_or(&nobody, |old| &old.agents),
        &new.agents,
        |agent| format!("agent `{agent}`"),
        "act",
    );
    let none = BTreeMap::new();
    let before = old.map_or(&none, |old| &old.upstreams);
    for (name, surface) in servers_of(before).chain(servers_of(&new.upstreams)).collect::<BTreeSet<_>>() {
        let rules = |upstreams: &BTreeMap<Arc<str>, Upstream>| {
            let known = upstreams.get(name).filter(|known| known.surface == surface);
            known.cloned().unwrap_or_else(|| Upstream::new(surface))
        };
        upstream(&mut sentences, name, &rules(before), &rules(&new.upstreams));
    }
    let no_dangers = BTreeMap::new();
    let no_budget = BTreeMap::new();
    budget(&mut sentences, old.map_or(&no_budget, |old| &old.budget), &new.budget);
    dangers(&mut sentences, old.map_or(&no_dangers, |old| &old.dangers), &new.dangers);
    gates(&mut sentences, old, new);
    data(&mut sentences, old, new);
    sentences
}

const OBSERVED: &str = "the mission is now only observed, which is wider: what it does not allow runs where its tool reads, writes or sends";

fn changed(sentences: &mut Vec<String>, what: &str, old: &str, new: &str) {
    if old != new {
        sentences.push(format!("{what} `{new}` (was `{old}`)"));
    }
}

/// Entries that came and went: "agent `x` may now act", "agent `x` may no longer act".
fn names<T: PartialEq>(sentences: &mut Vec<String>, old: &[T], new: &[T], name: impl Fn(&T) -> String, may: &str) {
    sentences
        .extend(new.iter().filter(|entry| !old.contains(entry)).map(|entry| format!("{} may now {may}", name(entry))));
    sentences.extend(
        old.iter().filter(|entry| !new.contains(entry)).map(|entry| format!("{} may no longer {may}", name(entry))),
    );
}

fn upstream(sentences: &mut Vec<String>, server: &str, old: &Upstream, new: &Upstream) {
    let features = |upstream: &Upstream| upstream.features.keys().copied().collect::<Vec<Feature>>();
    let request = |feature: &Feature| format!("server `{server}`, by `{}`,", feature.method());
    names(sentences, &features(old), &features(new), request, "ask the client");
    let prompts = |upstream: &Upstream| upstream.prompts.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let prompt = |name: &Arc<str>| format!("{} of server `{server}`", every_or("prompt", name));
    names(sentences, &prompts(old), &prompts(new), prompt, "be used");
    let requests = |upstream: &Upstream| upstream.requests.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    let request = |name: &Arc<str>| match &**name {
        "*" => format!("every request to server `{server}` that the protocol does not define"),
        name => format!("request `{name}` to server `{server}`"),
    };
    names(sentences, &requests(old), &requests(new), request, "be sent");
    let resources = |upstream: &Upstream| {
        upstream.resources.iter().map(|(uri, _)| Arc::from(uri.as_str())).collect::<Vec<Arc<str>>>()
    };
    let resource = |uri: &Arc<str>| format!("{} of server `{server}`", every_or("resource", uri));
    names(sentences, &resources(old), &resources(new), resource, "be read");
    let (surface, tool_word, server_word) = (new.surface, tool_of(new.surface), server_of(new.surface));
    match (old.every_tool, new.every_tool) {
        (None, Some(_)) => {
            sentences.push(format!(
                "every {tool_word} of {server_word} `{server}` without rules of its own may now be called, with any arguments"
            ));
        }
        (Some(_), None) => sentences
            .push(format!("{tool_word}s of {server_word} `{server}` that are not named may no longer be called")),
        (None, None) | (Some(_), Some(_)) => {}
    }
    for name in old.tools.keys().chain(new.tools.keys()).collect::<BTreeSet<_>>() {
        let tool = format!("{tool_word} `{surface}:{server}/{name}`");
        match (old.tools.get(name), new.tools.get(name)) {
            (Some(old), Some(new)) => arguments(sentences, &tool, old, new),
            (None, Some(rules)) if old.every_tool.is_some() => {
                arguments(sentences, &tool, &ToolRules::default(), rules)
            }
            (None, Some(rules)) => sentences.push(format!("{tool} may now be called, with {}", described(rules))),
            (Some(rules), None) if new.every_tool.is_some() => {
                arguments(sentences, &tool, rules, &ToolRules::default())
            }
            (Some(_), None) => sentences.push(format!("{tool} may no longer be called")),
            (None, None) => {}
        }
    }
    effects(sentences, server, old, new);
    let (before, after) = (old.report_within_s(), new.report_within_s());
    if before != after {
        sentences.push(format!(
            "engine `{server}` must now report what became of a step within {} (was {})",
            lasting(after),
            lasting(before)
        ));
    }
}

/// What tools are said to do. To call one a `read` is to widen: its answers then do not wait for their record.
fn effects(sentences: &mut Vec<String>, server: &str, old: &Upstream, new: &Upstream) {
    for name in old.effects.keys().chain(new.effects.keys()).collect::<BTreeSet<_>>() {
        let class =
            |upstream: &Upstream| upstream.effects.get(name).map_or(EffectClass::Unconfirmed, |(class, _)| *class);
        let (before, after) = (class(old), class(new));
        if before != after {
            let wider = match after {
                EffectClass::Read => ", which is wider: it is answered before its outcome is on disk",
                _ => "",
            };
            let (surface, tool) = (new.surface, tool_of(new.surface));
            sentences.push(format!(
                "{tool} `{surface}:{server}/{name}` is now said to be `{after}` (was `{before}`){wider}"
            ));
        }
    }
}

fn every_or(kind: &str, name: &str) -> String {
    if name == "*" { format!("every {kind}") } else { format!("{kind} `{name}`") }
}

pub(super) fn described(rules: &ToolRules) -> String {
    if rules.arguments.is_empty() {
        return "any arguments".to_owned();
    }
    let arguments = rules.arguments.iter().map(|(name, rule)| format!("`{name}` ({})", rule.in_full()));
    format!("the arguments {}", joined(arguments, "and"))
}

fn arguments(sentences: &mut Vec<String>, tool: &str, old: &ToolRules, new: &ToolRules) {
    match (old.arguments.is_empty(), new.arguments.is_empty()) {
        (true, true) => return,
        (true, false) => return sentences.push(format!("{tool} may now be called only with {}", described(new))),
        (false, true) => return sentences.push(format!("{tool} may now be called with any arguments")),
        (false, false) => {}
    }
    for name in old.arguments.keys().chain(new.arguments.keys()).collect::<BTreeSet<_>>() {
        let argument = format!("argument `{name}` of {tool}");
        match (old.arguments.get(name), new.arguments.get(name)) {
            (None, Some(rule)) => sentences.push(format!("{argument} is now listed: it must be {}", rule.in_full())),
            (Some(_), None) => sentences.push(format!("{argument} may no longer be sent")),
            (Some(old), Some(new)) if !same(old, new) => {
                sentences.push(format!("{argument} must now be {} (was {})", new.in_full(), old.in_full()));
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
    }
}

/// Whether two rules say the same, wherever they stand.
fn same(old: &ArgumentRule, new: &ArgumentRule) -> bool {
    let limits = |rule: &ArgumentRule| rule.limits.iter().map(|limit| (limit.period, limit.most)).collect::<Vec<_>>();
    let who = |rule: &ArgumentRule| (rule.naming, rule.said);
    old.constraint == new.constraint
        && old.presence == new.presence
        && who(old) == who(new)
        && limits(old) == limits(new)
}

/// What all calls together may use.
fn budget(sentences: &mut Vec<String>, old: &BTreeMap<Spent, Vec<Limit>>, new: &BTreeMap<Spent, Vec<Limit>>) {
    for spent in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
        let limits = |budget: &BTreeMap<Spent, Vec<Limit>>| {
            let limits = budget.get(spent).map(Vec::as_slice).unwrap_or_default();
            limits.iter().map(|limit| (limit.period, spent_of(spent, limit))).collect::<BTreeMap<_, _>>()
        };
        let (before, after) = (limits(old), limits(new));
        for period in Period::ALL {
            match (before.get(&period), after.get(&period)) {
                (None, Some(most)) => sentences.push(format!("all calls together may now use at most {most}")),
                (Some(most), None) => sentences.push(format!("all calls together may now use more than {most}")),
                (Some(old), Some(new)) if old != new => {
                    sentences.push(format!("all calls together may now use at most {new} (was {old})"));
                }
                (Some(_), Some(_)) | (None, None) => {}
            }
        }
    }
}

/// Whose approval each zone needs.
fn gates(sentences: &mut Vec<String>, old: Option<&Mission>, new: &Mission) {
    let said = |mission: &Mission, name: &Arc<str>| {
        let gate = mission.dangers.get(name).and_then(|zone| mission.gate_of(zone));
        gate.map_or_else(|| "nobody, and is denied".to_owned(), ToString::to_string)
    };
    for name in new.dangers.keys() {
        let (now, before) = (said(new, name), old.map(|old| said(old, name)));
        match before {
            Some(before) if before != now => {
                sentences.push(format!("danger zone `{name}` now asks {now} (was {before})"))
            }
            None if new.gates.is_empty() => {}
            None => sentences.push(format!("danger zone `{name}` asks {now}")),
            Some(_) => {}
        }
    }
}

/// Where classes of data may go.
fn data(sentences: &mut Vec<String>, old: Option<&Mission>, new: &Mission) {
    let (before, after) = (old.map(|old| old.data.sentences()).unwrap_or_default(), new.data.sentences());
    for about in before.keys().chain(after.keys()).collect::<BTreeSet<_>>() {
        match (before.get(about), after.get(about)) {
            (None, Some(now)) => sentences.push(format!("data: {now}")),
            (Some(was), None) => sentences.push(format!("data: nothing is said any more of {about} (was: {was})")),
            (Some(was), Some(now)) if was != now => sentences.push(format!("data: {now} (was: {was})")),
            (Some(_), Some(_)) | (None, None) => {}
        }
    }
}

fn dangers(sentences: &mut Vec<String>, old: &BTreeMap<Arc<str>, Danger>, new: &BTreeMap<Arc<str>, Danger>) {
    let zone = |danger: &Danger| {
        let sizes = danger.sizes();
        let over = if sizes.is_empty() { String::new() } else { format!(" with {}", joined(sizes, "or")) };
        format!("calls of {}{over}", joined(danger.when.iter().map(|pattern| format!("`{pattern}`")), "and"))
    };
    for name in old.keys().chain(new.keys()).collect::<BTreeSet<_>>() {
        match (old.get(name).map(zone), new.get(name).map(zone)) {
            (None, Some(calls)) => sentences.push(format!("danger zone `{name}` now holds {calls}")),
            (Some(calls), None) => sentences.push(format!("danger zone `{name}` no longer holds {calls}")),
            (Some(old), Some(new)) if old != new => {
                sentences.push(format!("danger zone `{name}` now holds {new} (was {old})"))
            }
            (Some(_), Some(_)) | (None, None) => {}
        }
    }
}
