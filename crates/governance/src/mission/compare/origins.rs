//! Who must have named what calls act on, and whose word counts: what of it became wider.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use evidence::record::{Direction, EffectClass, Endpoint, Origin, Surface, Tool};

use super::super::contain::Holds;
use super::super::data::{OriginRule, Otherwise, Returning};
use super::super::rule::{ArgumentRule, Constraint, Naming, ToolPattern, ToolRules, joined};
use super::super::source::{Source, name_of};
use super::super::trust::{Role, Trust};
use super::super::{Mission, brief};
use super::{Changes, Subject, argument_direction, direction, servers_of, together, tool_of};
use crate::limits::TRUST_PLACES_MAX;

/// How strictly origins are met: by what the tool does and who named it.
type Strictness = BTreeMap<(EffectClass, Origin), u8>;

impl Changes {
    pub(super) fn origins(&mut self, old: &Mission, new: &Mission) {
        let rule = |mission: &Mission, is_target: bool| {
            let data = &mission.data;
            if is_target { data.untrusted_target.clone() } else { data.untrusted_payload.clone() }
        };
        for (is_target, what) in [
            (true, "a call that acts on what nobody named who may"),
            (false, "a call with a link that nobody gave who may"),
        ] {
            let (before, after) = (rule(old, is_target), rule(new, is_target));
            let terms = |mission: &Mission, rule: &Option<OriginRule>| match rule.as_ref().map(|rule| &rule.otherwise) {
                Some(Otherwise::Ask(gate)) => mission.gate(gate).map(|gate| gate.terms.clone()),
                Some(Otherwise::Deny | Otherwise::Keep) | None => None,
            };
            let (old_terms, new_terms) = (terms(old, &before), terms(new, &after));
            let other_people = old_terms.is_some() && new_terms.is_some() && old_terms != new_terms;
            let found = together(vec![
                looser(&strictness(before.as_ref()), &strictness(after.as_ref())),
                other_people.then_some(Direction::Unclear),
            ]);
            if let Some(direction) = found {
                let said = |rule: &Option<OriginRule>| rule.as_ref().map_or("runs".to_owned(), ToString::to_string);
                let sentence = format!("{what} {} (was: {})", said(&after), said(&before));
                self.push(direction, Subject::Origins, sentence);
            }
        }
        self.trust(old, new);
        for (server, surface) in servers_of(&old.upstreams).chain(servers_of(&new.upstreams)).collect::<BTreeSet<_>>() {
            self.targets(old, new, surface, server);
        }
    }

    /// Whose word counts. Two missions are compared at each place that one of them speaks of, and at what these have in common: anywhere else they say what they say
    /// at one of those.
    fn trust(&mut self, old: &Mission, new: &Mission) {
        let traces = old.data.traces() && new.data.traces();
        let sources = |mission: &Mission| if traces { mission.sources() } else { Vec::new() };
        let (old_sources, new_sources) = (sources(old), sources(new));
        let said = |mission: &Mission, sources: &[Source]| {
            let named = sources.iter().map(|source| Returning {
                field: source.field.clone(),
                of: ToolPattern {
                    name: source.tool.clone(),
                    open: false,
                    surface: Surface::Mcp,
                    upstream: source.upstream.clone(),
                },
            });
            mission.data.trust.keys().cloned().chain(named).collect::<BTreeSet<_>>()
        };
        let own: BTreeSet<Returning> = said(old, &old_sources).union(&said(new, &new_sources)).cloned().collect();
        let fields: BTreeSet<&Vec<Arc<str>>> = own.iter().map(|place| &place.field).collect();
        let tools: BTreeSet<&ToolPattern> = own.iter().map(|place| &place.of).collect();
        if fields.len() * tools.len() > TRUST_PLACES_MAX {
            if old.data.trust != new.data.trust || old_sources != new_sources {
                let sentence = "other parts of what tools return are said to be written by their service alone";
                self.push(Direction::Unclear, Subject::Beyond, sentence.to_owned());
            }
            return;
        }
        let shared = tools
            .iter()
            .flat_map(|of| fields.iter().map(|field| Returning { field: (*field).clone(), of: (*of).clone() }));
        let shared: Vec<Returning> = shared.filter(|place| !own.contains(place)).collect();
        let mut told = BTreeSet::new();
        let who = |is_trusted: bool| match is_trusted {
            true => (Direction::Wider, "only its service writes"),
            false => (Direction::Narrower, "anybody may write"),
        };
        for (place, is_own) in own.iter().map(|place| (place, true)).chain(shared.iter().map(|place| (place, false))) {
            let tool = example(&place.of);
            let is_trusted = |trust: Trust| trust.of(&place.field);
            let before = is_trusted(old.trust_by(&tool, &old_sources));
            let after = is_trusted(new.trust_by(&tool, &new_sources));
            if before == after {
                continue;
            }
            let (direction, who) = who(after);
            if is_own || !told.contains(&direction) {
                told.insert(direction);
                self.push(direction, Subject::Beyond, format!("{who} {place}, it is said now"));
            }
        }
        // One field in another: the old mission may go by the one and the new one by the other. With a name between them that no line has, no third field covers it.
        for of in tools {
            let tool = example(of);
            let (before, after) = (old.trust_by(&tool, &old_sources), new.trust_by(&tool, &new_sources));
            let reaches: Vec<_> =
                fields.iter().map(|field| (*field, before.reach(field), after.reach(field))).collect();
            for (index, (field, was, is)) in reaches.iter().enumerate() {
                for (other, other_was, other_is) in reaches.iter().skip(index + 1) {
                    let is_trusted = is.and(*other_is).is_trusted;
                    if was.and(*other_was).is_trusted == is_trusted {
                        continue;
                    }
                    let (direction, who) = who(is_trusted);
                    if told.insert(direction) {
                        let place = Returning { field: (*other).clone(), of: of.clone() };
                        let sentence = format!("{who} {place} where it stands in or around `{}`", field.join("."));
                        self.push(direction, Subject::Beyond, format!("{sentence}, it is said now"));
                    }
                }
            }
        }
    }

    /// What of each tool's arguments is a target, and which values the mission names itself.
    fn targets(&mut self, old: &Mission, new: &Mission, surface: Surface, server: &Arc<str>) {
        let of = |mission: &Mission| mission.upstream(surface, server).cloned();
        let (Some(before), Some(after)) = (of(old), of(new)) else { return };
        let is_traced = old.data.traces() && new.data.traces();
        for name in before.tools.keys().chain(after.tools.keys()).collect::<BTreeSet<_>>() {
            let any = ToolRules::default();
            let old_rules = before.tools.get(name).or(before.every_tool.map(|_| &any));
            let new_rules = after.tools.get(name).or(after.every_tool.map(|_| &any));
            let (Some(old_rules), Some(new_rules)) = (old_rules, new_rules) else { continue };
            for (argument, rule) in &new_rules.arguments {
                let was = match old_rules.arguments.get(argument) {
                    // Any arguments might be sent: what they are, their names said.
                    None if old_rules.arguments.is_empty() => None,
                    None => continue,
                    was => was,
                };
                let subject =
                    Subject::Argument { argument: argument.clone(), tool: name.clone(), upstream: server.clone() };
                let what = format!("argument `{argument}` of `{surface}:{server}/{name}`");
                self.target(subject, &what, (was, rule), is_traced);
            }
        }
        for name in before.effects.keys().chain(after.effects.keys()).collect::<BTreeSet<_>>() {
            let strictness = |mission: &Mission| {
                let class = mission.effect_class(surface, server, name);
                let rule = mission.data.untrusted_target.as_ref();
                strictness(rule)
                    .into_iter()
                    .filter(move |((of, _), _)| *of == class)
                    .map(|((_, origin), how)| (origin, how))
            };
            let (was, is) = (strictness(old).collect::<BTreeMap<_, _>>(), strictness(new).collect::<BTreeMap<_, _>>());
            let is_looser = was.iter().any(|(origin, how)| is.get(origin).is_none_or(|now| now < how));
            if is_looser && old.effect_class(surface, server, name) != new.effect_class(surface, server, name) {
                let tool = tool_of(surface);
                let sentence = format!(
                    "who named what {tool} `{surface}:{server}/{name}` acts on matters less, by what it is said to do"
                );
                self.push(Direction::Wider, Subject::Beyond, sentence);
            }
        }
    }

    /// One argument: who may name it, whether it is a target, and what the mission lists. Without a rule before, its name said what it is.
    fn target(
        &mut self,
        subject: Subject,
        what: &str,
        (old, new): (Option<&ArgumentRule>, &ArgumentRule),
        is_traced: bool,
    ) {
        let naming = |rule: Option<&ArgumentRule>| rule.map_or(Naming::Anybody, |rule| rule.naming);
        match (naming(old), new.naming) {
            (Naming::Named, Naming::Anybody) => {
                let sentence = format!("{what} may be named by others than the mission and the initiator");
                self.push(Direction::Wider, subject.clone(), sentence);
            }
            (Naming::Anybody, Naming::Named) => {
                let sentence = format!("{what} must be named by the mission or the initiator");
                self.push(Direction::Narrower, subject.clone(), sentence);
            }
            (Naming::Anybody, Naming::Anybody) | (Naming::Named, Naming::Named) => {}
        }
        let is_target = |rule: &ArgumentRule| rule.role() != Some(Role::Content);
        let was_target = old.map_or_else(|| may_be_target(&what_name(&subject), new), is_target);
        if is_traced && was_target != is_target(new) {
            let (direction, says) = match was_target {
                true => (Direction::Wider, "is no target any more: it may come from anywhere"),
                false => (Direction::Narrower, "is a target now"),
            };
            self.push(direction, subject.clone(), format!("{what} {says}"));
        }
        let matters = is_target(new) && (is_traced || new.naming == Naming::Named);
        let listed = old.map(ArgumentRule::listed).unwrap_or_default();
        let more: Vec<String> = new.listed().difference(&listed).map(|value| format!("`{}`", brief(value))).collect();
        // Where the rule lets in more, that is told already.
        let is_told = old.is_some_and(|old| argument_direction(old, new).is_some_and(Direction::is_wider));
        if matters && !more.is_empty() && !is_told {
            let sentence = format!("the mission itself names {} for {what}", joined(more, "and"));
            self.push(Direction::Wider, subject, sentence);
        }
    }
}

fn what_name(subject: &Subject) -> String {
    match subject {
        Subject::Argument { argument, .. } => name_of(argument),
        _ => String::new(),
    }
}

/// Whether a value that the rule lets in may have been a target by its argument's name alone.
fn may_be_target(name: &str, rule: &ArgumentRule) -> bool {
    match rule.constraint {
        Constraint::Range { .. } => Role::of_number(name) == Role::Target,
        // An object may have anything in it.
        Constraint::Free => true,
        Constraint::Command(_)
        | Constraint::Domain(_)
        | Constraint::Email(_)
        | Constraint::Fields
        | Constraint::From(_)
        | Constraint::Identifier(_)
        | Constraint::In(_)
        | Constraint::Length { .. }
        | Constraint::Path(_)
        | Constraint::Pattern(_)
        | Constraint::Sql(_)
        | Constraint::Time { .. }
        | Constraint::Url(_) => Role::of_text(name) == Role::Target,
    }
}

/// A tool that the pattern covers, and no narrower one of a mission.
fn example(of: &ToolPattern) -> Tool {
    // No line has this character in it: it is not visible.
    let name = if of.open { format!("{}\u{0}", of.name).into() } else { of.name.clone() };
    Tool { endpoint: Endpoint::Tool, name, surface: of.surface, upstream: of.upstream.clone() }
}

fn strictness(rule: Option<&OriginRule>) -> Strictness {
    let Some(rule) = rule else { return Strictness::new() };
    let how = match rule.otherwise {
        Otherwise::Keep => 0,
        Otherwise::Ask(_) => 1,
        Otherwise::Deny => 2,
    };
    let each =
        EffectClass::ALL.iter().flat_map(|effect| rule.objects_to(*effect).iter().map(|origin| (*effect, *origin)));
    each.map(|met| (met, how)).collect()
}

fn looser(old: &Strictness, new: &Strictness) -> Option<Direction> {
    let is_as_loose = |by: &Strictness, of: &Strictness| {
        let holds = by.iter().all(|(met, how)| of.get(met).is_some_and(|other| other >= how));
        if holds { Holds::Yes } else { Holds::No }
    };
    direction(is_as_loose(new, old), is_as_loose(old, new))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proptest::sample::{select, subsequence};

    use super::super::{compare, overall};
    use super::*;
    use crate::mission::parse;

    const PLACES: [&str; 12] = [
        "mcp:m",
        "mcp:m/a*",
        "mcp:m/ab*",
        "mcp:m/ab",
        "mcp:m/x",
        "mcp:m/*:sender",
        "mcp:m/a*:sender",
        "mcp:m/ab:sender",
        "mcp:m/x:bank.iban",
        "mcp:m/*:iban",
        "mcp:m/ab:iban",
        "mcp:m/a*:bank.iban",
    ];
    const TOOLS: [&str; 5] = ["a", "ab", "abc", "x", "zz"];
    const NAMES: [&str; 4] = ["sender", "iban", "bank", "body"];

    fn mission(allow: &str, data: &str) -> Mission {
        let source = format!(
            "mission = 'm'\ngoal = 'g'\nowner = 'o'\nagents = ['a']\nuntil = 2026-12-31\nwhy = 'w'\n{allow}\n[data]\n{data}\n[danger.z]\nwhen = 'mcp:z/z'\n[allow.mcp.z]\nz = {{}}\n[gate.default]\ngroup = 'g'\n"
        );
        parse(&source).unwrap_or_else(|error| panic!("{}\n{source}", error.render("m")))
    }

    fn lines() -> impl Strategy<Value = String> {
        subsequence(&PLACES[..], 0..=5).prop_flat_map(|places| {
            let count = places.len();
            (Just(places), prop::collection::vec(any::<bool>(), count)).prop_map(|(places, trusted)| {
                let line = |(place, trusted): (&str, bool)| {
                    format!("{place:?} = '{}trusted'\n", if trusted { "" } else { "un" })
                };
                places.into_iter().zip(trusted).map(line).collect::<String>()
            })
        })
    }

    #[test]
    fn a_field_in_another_is_compared() {
        let of = |lines: &str| mission("[allow.mcp.m]\n'*' = {}\n", &format!("untrusted-target = 'ask'\n{lines}"));
        let old = of("\"mcp:m/ab\" = 'trusted'\n\"mcp:m/ab:iban\" = 'untrusted'\n");
        let new = of("\"mcp:m/ab:sender\" = 'trusted'\n");
        let changes = compare(&old, &new);
        let sentence = "only its service writes `sender` in what `mcp:m/ab` returns where it stands in or around `iban`, it is said now";
        assert!(changes.iter().any(|change| change.sentence == sentence), "{changes:#?}");
        assert_eq!(overall(&changes), Some(Direction::Both));
    }

    proptest! {
        #[test]
        fn a_mission_that_trusts_more_is_called_wider(
            old in lines(),
            new in lines(),
            path in prop::collection::vec(select(&NAMES[..]), 0..4),
            from in any::<bool>(),
        ) {
            let from = if from { "t = { x = { from = 'm.ab:bank.iban' } }\n" } else { "" };
            let both = |data: &str, from: &str| {
                mission(&format!("[allow.mcp.m]\n'*' = {{}}\n{from}"), &format!("untrusted-target = 'ask'\n{data}"))
            };
            let (old, new) = (both(&old, ""), both(&new, from));
            let changes = compare(&old, &new);
            let (is_wider, way_back) = (overall(&changes), overall(&compare(&new, &old)));
            for tool in TOOLS {
                let tool = Tool { endpoint: Endpoint::Tool, name: tool.into(), surface: Surface::Mcp, upstream: "m".into() };
                let [was, is] = [&old, &new].map(|mission| mission.trust(&tool).of(&path));
                let says = |found: Option<Direction>| found.is_some_and(|direction| direction.is_wider());
                prop_assert!(was || !is || says(is_wider), "{tool} {path:?}: {changes:#?}\n{}\n{}", old.source(), new.source());
                prop_assert!(is || !was || says(way_back), "{tool} {path:?}\n{}\n{}", old.source(), new.source());
            }
            prop_assert!(compare(&old, &old).is_empty());
        }
    }

    #[test]
    fn what_is_a_target_and_what_the_mission_names_is_compared() {
        let of = |rules: &str, data: &str| {
            mission(&format!("[allow.mcp.m]\nt = {rules}\n[effect.mcp.m]\nt = 'send'\n"), data)
        };
        let ask = "untrusted-target = 'ask'";
        for (old, new, data, wider, narrower) in [
            (
                "{ to = { email = ['*@corp.example'], target = false } }",
                "{ to = { email = ['*@corp.example'] } }",
                ask,
                false,
                true,
            ),
            (
                "{ to = { email = ['*@corp.example'], target = false } }",
                "{ to = { email = ['*@corp.example'] } }",
                "touches = ['pii']",
                false,
                false,
            ),
            ("{ to = { free = true, named = true } }", "{ to = { free = true, target = true } }", ask, true, false),
            ("{ to = { free = true, named = true } }", "{ to = { free = true } }", "touches = ['pii']", true, false),
            (
                "{ to = { email = ['*@corp.example'] } }",
                "{ to = { email = ['*@corp.example', 'ann@corp.example'] } }",
                ask,
                true,
                false,
            ),
            ("{ to = { email = ['*@corp.example'] } }", "{ to = { email = ['ann@corp.example'] } }", ask, true, true),
            (
                "{ to = { email = ['*@corp.example'] } }",
                "{ to = { email = ['ann@corp.example'] } }",
                "touches = ['pii']",
                false,
                true,
            ),
            ("{}", "{ to = { free = true } }", ask, true, true),
            ("{}", "{ body = { length = 80 } }", ask, false, true),
            ("{}", "{ order = { min = 1, max = 5 } }", ask, false, true),
            ("{}", "{ order_id = { min = 1, max = 5 } }", ask, true, true),
            ("{}", "{ order_id = { min = 1, max = 5, target = true } }", ask, false, true),
            ("{}", "{ to = { in = ['a'] } }", ask, true, true),
            ("{}", "{ to = { in = ['a'] } }", "touches = ['pii']", false, true),
        ] {
            let (before, after) = (of(old, data), of(new, data));
            let changes = compare(&before, &after);
            let is_wider = changes.iter().any(|change| matches!(change.direction, Direction::Wider | Direction::Both));
            let is_narrower =
                changes.iter().any(|change| matches!(change.direction, Direction::Narrower | Direction::Both));
            assert_eq!((is_wider, is_narrower), (wider, narrower), "{old} to {new} with {data}: {changes:#?}");
        }
    }

    #[test]
    fn rules_about_who_named_it_are_compared() {
        let of = |effect: &str, data: &str| {
            mission(&format!("[allow.mcp.m]\nt = {{}}\n[effect.mcp.m]\nt = '{effect}'\n"), data)
        };
        for (old, new, wider, narrower) in [
            (("pay", "untrusted-target = 'ask'"), ("pay", "touches = ['pii']"), true, true),
            (("pay", "untrusted-target = 'ask'"), ("pay", "untrusted-target = 'deny'"), false, true),
            (("pay", "untrusted-target = 'ask'"), ("pay", "untrusted-target = 'keep'"), true, false),
            (
                ("pay", "untrusted-target = 'deny'"),
                ("pay", "untrusted-target = { else = 'deny', named = ['pay'] }"),
                false,
                true,
            ),
            (
                ("pay", "untrusted-target = { else = 'deny', named = ['pay'] }"),
                ("destroy", "untrusted-target = { else = 'deny', named = ['pay'] }"),
                true,
                true,
            ),
            (("pay", "untrusted-target = 'deny'"), ("destroy", "untrusted-target = 'deny'"), false, true),
            (("pay", "untrusted-payload = 'deny'"), ("pay", "untrusted-payload = 'ask'"), true, false),
            (
                ("pay", "untrusted-payload = 'deny'"),
                ("pay", "untrusted-payload = 'deny'\nuntrusted-target = 'keep'"),
                false,
                false,
            ),
        ] {
            let changes = compare(&of(old.0, old.1), &of(new.0, new.1));
            let is_wider = changes.iter().any(|change| matches!(change.direction, Direction::Wider | Direction::Both));
            let is_narrower =
                changes.iter().any(|change| matches!(change.direction, Direction::Narrower | Direction::Both));
            assert_eq!((is_wider, is_narrower), (wider, narrower), "{old:?} to {new:?}: {changes:#?}");
        }
    }
}
