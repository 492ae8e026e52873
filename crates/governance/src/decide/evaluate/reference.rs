//! A second decider, slow and obvious, written from `docs/missions.md` alone: it shares nothing with the first but the words for reasons.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};

use super::tests::{classified, parse_tool, snapshot};
use super::*;
use crate::decide::Versions;
use crate::mission::compare;
use evidence::record::Direction;

/// A mission as a test sees it.
#[derive(Clone, Debug)]
struct Model {
    agents: BTreeSet<&'static str>,
    dangers: Vec<Danger>,
    every_tool: bool,
    resources: BTreeSet<&'static str>,
    /// The last day, in December 2026.
    until: u32,
    tools: BTreeMap<&'static str, BTreeMap<&'static str, Argument>>,
}

#[derive(Clone, Debug)]
struct Danger {
    over: Option<(&'static str, Decimal)>,
    when: &'static str,
}

#[derive(Clone, Debug)]
struct Argument {
    optional: bool,
    rule: Rule,
}

#[derive(Clone, Debug)]
enum Rule {
    Domain(Vec<&'static str>),
    Free,
    In(Vec<Value>),
    Length(usize, usize),
    Path(Vec<&'static str>),
    /// One of [`PATTERNS`].
    Pattern(&'static str),
    Range(Decimal, Decimal),
}

/// `mantissa / 10^places`.
#[derive(Clone, Copy, Debug)]
struct Decimal {
    mantissa: i64,
    places: u32,
}

impl Decimal {
    fn at_most(self, other: Self) -> bool {
        i128::from(self.mantissa) * 10_i128.pow(other.places) <= i128::from(other.mantissa) * 10_i128.pow(self.places)
    }

    fn text(self) -> String {
        if self.places == 0 { self.mantissa.to_string() } else { format!("{}e-{}", self.mantissa, self.places) }
    }
}

#[derive(Clone, Debug)]
enum Value {
    Bool(bool),
    List(Vec<Self>),
    Null,
    Number(Decimal),
    Object,
    Text(&'static str),
}

#[derive(Clone, Debug)]
struct Call {
    agent: &'static str,
    arguments: Vec<(&'static str, Value)>,
    day: u32,
    tool: &'static str,
}

const AGENTS: [&str; 3] = ["bot", "second-bot", "third-bot"];
const ARGUMENTS: [&str; 4] = ["a", "b", "n", "odd name"];
/// Patterns, each with what it says written out as a loop would check it.
type Pattern = (&'static str, fn(&str) -> bool);
const PATTERNS: [Pattern; 3] = [
    ("[A-Z]{3}|[0-9]", |text| {
        let bytes = text.as_bytes();
        (bytes.len() == 3 && bytes.iter().all(u8::is_ascii_uppercase))
            || (bytes.len() == 1 && bytes[0].is_ascii_digit())
    }),
    (".*example", |text| text.ends_with("example")),
    ("/(?:[a-z]+/?)*", |text| {
        text.starts_with('/')
            && !text.contains("//")
            && text.chars().all(|character| character == '/' || character.is_ascii_lowercase())
    }),
];
const DOMAINS: [&str; 3] = ["corp.example", "lab.example", "*.lab.example"];
const FOLDERS: [&str; 4] = ["/srv", "/srv/docs", "/etc", "/"];
const RESOURCES: [&str; 5] = ["file:///srv/*", "file:///srv/docs/a", "memo:*", "*", "https://corp.example/*/public"];
const TOOLS: [&str; 4] = ["read", "delete_one", "delete_all", "send"];
const ZONES: [&str; 4] = ["*", "delete_*", "send", "read"];
const TEXTS: [&str; 32] = [
    "EUR",
    "5",
    "",
    "true",
    "/",
    "/srv",
    "/srv/docs",
    "/srv/docs/a",
    "/srv//docs/./a/",
    "/srv/docs/../a",
    "/srv/docsx",
    "/etc/passwd",
    "srv/docs",
    "~/a",
    "//srv/docs",
    "/srv/..",
    "/srv/%2e%2e/a",
    "/srv/a b",
    "corp.example",
    "CORP.example.",
    "a@corp.example",
    "a+b@one.lab.example",
    "a@lab.example",
    "a@evil.example,b@corp.example",
    "Ann <a@corp.example>",
    "https://corp.example/x?y",
    "https://corp.example:8443/",
    "https://corp.example@evil.example/",
    "ftp://corp.example/",
    "xcorp.example",
    "corp.example.evil.example",
    "http://192.0.2.1/",
];
const URIS: [&str; 10] = [
    "file:///srv/docs/a",
    "file:///srv/a",
    "file:///srv/../etc",
    "file:///srv/%2e%2e/etc",
    "memo:x",
    "memo:x/./y",
    "https://corp.example/a/b/public",
    "https://corp.example/public",
    "file:///srvx",
    "FILE:///srv/a",
];

/// What the documentation says must happen: allowed, or every reason.
fn judge(model: &Model, call: &Call) -> Vec<&'static str> {
    let mut reasons = who_and_when(model, call.agent, call.day);
    let rules = match model.tools.get(call.tool) {
        Some(rules) => rules.clone(),
        None if model.every_tool => BTreeMap::new(),
        None if reasons.is_empty() => return vec!["tool_not_allowed"],
        None => return reasons,
    };
    let sent: BTreeMap<&str, &Value> = call.arguments.iter().map(|(name, value)| (*name, value)).collect();
    if !rules.is_empty() {
        if sent.keys().any(|name| !rules.contains_key(name)) {
            reasons.push("argument_not_listed");
        }
        for (name, argument) in &rules {
            let reason = match sent.get(name) {
                None if argument.optional => None,
                None => Some("argument_missing"),
                Some(value) => objection(&argument.rule, value),
            };
            reasons.extend(reason);
        }
    }
    let in_danger = model.dangers.iter().any(|danger| {
        let covers =
            danger.when.strip_suffix('*').map_or(danger.when == call.tool, |start| call.tool.starts_with(start));
        covers
            && danger.over.is_none_or(|(argument, size)| {
                let small = |value: &Value| match value {
                    Value::Number(number) => {
                        let negated = Decimal { mantissa: -size.mantissa, ..size };
                        negated.at_most(*number) && number.at_most(size)
                    }
                    _ => false,
                };
                match sent.get(argument) {
                    Some(Value::List(elements)) => elements.is_empty() || !elements.iter().all(small),
                    Some(value) => !small(value),
                    None => true,
                }
            })
    });
    if in_danger {
        reasons.push("approval_unavailable");
    }
    let mut seen = BTreeSet::new();
    reasons.retain(|reason| seen.insert(*reason));
    reasons
}

fn who_and_when(model: &Model, agent: &str, day: u32) -> Vec<&'static str> {
    let mut reasons = Vec::new();
    if day > model.until {
        reasons.push("mission_expired");
    }
    if !model.agents.contains(agent) {
        reasons.push("agent_not_allowed");
    }
    reasons
}

fn judge_resource(model: &Model, uri: &str, agent: &str, day: u32) -> Vec<&'static str> {
    let reasons = who_and_when(model, agent, day);
    let ambiguous = uri.split('/').any(|segment| segment == "." || segment == "..") || uri.contains("%2e");
    let allowed = model.resources.iter().any(|pattern| {
        let exact = !pattern.contains('*');
        if exact { *pattern == uri } else { !ambiguous && matches(pattern.as_bytes(), uri.as_bytes()) }
    });
    if reasons.is_empty() && !allowed { vec!["resource_not_allowed"] } else { reasons }
}

fn matches(pattern: &[u8], text: &[u8]) -> bool {
    match (pattern, text) {
        ([b'*', rest @ ..], _) => (0..=text.len()).any(|skipped| matches(rest, &text[skipped..])),
        ([expected, rest @ ..], [found, tail @ ..]) => expected == found && matches(rest, tail),
        ([], []) => true,
        _ => false,
    }
}

/// What a rule objects to in a value, of which lists are the worst element.
fn objection(rule: &Rule, value: &Value) -> Option<&'static str> {
    let unreadable = Some("argument_unparsable");
    if matches!(rule, Rule::Free) {
        return None;
    }
    match value {
        Value::List(elements)
            if elements.is_empty() || elements.iter().any(|element| matches!(element, Value::List(_))) =>
        {
            unreadable
        }
        Value::List(elements) => {
            let objections: BTreeSet<_> = elements.iter().map(|element| objection(rule, element)).collect();
            [unreadable, Some("argument_out_of_bounds")]
                .into_iter()
                .find(|reason| objections.contains(reason))
                .flatten()
        }
        Value::Object => unreadable,
        value => {
            let inside = match rule {
                Rule::Domain(domains) => match value {
                    Value::Text(text) => {
                        domain(text).map(|found| domains.iter().any(|domain| in_domain(&found, domain)))
                    }
                    _ => None,
                },
                Rule::Free => Some(true),
                Rule::In(values) => Some(values.iter().any(|listed| same(listed, value))),
                Rule::Length(min, max) => match value {
                    Value::Text(text) => Some((*min..=*max).contains(&text.chars().count())),
                    _ => None,
                },
                Rule::Pattern(pattern) => match value {
                    Value::Text(text) => {
                        PATTERNS.iter().find(|(source, _)| source == pattern).map(|(_, matches)| matches(text))
                    }
                    _ => None,
                },
                Rule::Path(folders) => match value {
                    Value::Text(text) => {
                        path(text).map(|found| folders.iter().any(|folder| found.starts_with(&path(folder).unwrap())))
                    }
                    _ => None,
                },
                Rule::Range(min, max) => match value {
                    Value::Number(number) => Some(min.at_most(*number) && number.at_most(*max)),
                    _ => None,
                },
            };
            match inside {
                Some(true) => None,
                Some(false) => Some("argument_out_of_bounds"),
                None => unreadable,
            }
        }
    }
}

fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Number(a), Value::Number(b)) => a.at_most(*b) && b.at_most(*a),
        (Value::Text(a), Value::Text(b)) => a == b,
        _ => false,
    }
}

/// The segments of a path that has only one meaning.
fn path(text: &str) -> Option<Vec<&str>> {
    let plain = text.starts_with('/')
        && !text.starts_with("//")
        && !text.contains('%')
        && !text.split('/').any(|segment| segment == "..");
    plain.then(|| text.split('/').filter(|segment| !segment.is_empty() && *segment != ".").collect())
}

fn domain(text: &str) -> Option<String> {
    let host = match text.split_once("://") {
        Some(("http" | "https", rest)) if !rest.contains('@') => rest.split(['/', '?', ':']).next()?,
        Some(_) => return None,
        None if text.matches('@').count() > 1 => return None,
        None => text.rsplit('@').next()?,
    };
    let host = host.strip_suffix('.').unwrap_or(host).to_lowercase();
    let labels =
        host.split('.').all(|label| !label.is_empty() && label.chars().all(|character| character.is_alphanumeric()));
    (labels && !host.ends_with(|last: char| last.is_ascii_digit())).then_some(host)
}

fn in_domain(host: &str, domain: &str) -> bool {
    domain.strip_prefix('*').map_or(host == domain, |suffix| host.ends_with(suffix))
}

impl Model {
    fn source(&self) -> String {
        let agents: Vec<&str> = self.agents.iter().copied().collect();
        let mut out = format!(
            "mission = 'm'\ngoal = 'g'\nowner = 'o'\nagents = {agents:?}\nuntil = 2026-12-{:02}\nwhy = 'w'\n[allow.mcp.s]\n",
            self.until
        );
        if self.every_tool {
            out.push_str("'*' = {}\n");
        }
        if !self.resources.is_empty() {
            let resources: Vec<&str> = self.resources.iter().copied().collect();
            let _ = writeln!(out, "resources = {resources:?}");
        }
        for (tool, arguments) in &self.tools {
            let _ = writeln!(out, "[allow.mcp.s.{tool}]");
            for (name, Argument { optional, rule }) in arguments {
                let rule = match rule {
                    Rule::Domain(domains) => format!("domain = {domains:?}"),
                    Rule::Free => "free = true".to_owned(),
                    Rule::In(values) => {
                        format!("in = [{}]", values.iter().map(Value::json).collect::<Vec<_>>().join(", "))
                    }
                    Rule::Length(min, max) => format!("length = {{ min = {min}, max = {max} }}"),
                    Rule::Path(folders) => format!("path = {folders:?}"),
                    Rule::Pattern(pattern) => format!("pattern = '{pattern}'"),
                    Rule::Range(min, max) => format!("min = {:?}, max = {:?}", min.text(), max.text()),
                };
                let _ = writeln!(out, "{name:?} = {{ {rule}, optional = {optional} }}");
            }
        }
        for (index, danger) in self.dangers.iter().enumerate() {
            let _ = writeln!(out, "[danger.d{index}]\nwhen = 'mcp:s/{}'", danger.when);
            if let Some((argument, size)) = &danger.over {
                let _ = writeln!(out, "over = {{ {argument:?} = {:?} }}", size.text());
            }
        }
        out
    }
}

impl Value {
    /// As JSON, which for the values that rules may list is also TOML.
    fn json(&self) -> String {
        match self {
            Self::Bool(value) => value.to_string(),
            Self::List(elements) => format!("[{}]", elements.iter().map(Self::json).collect::<Vec<_>>().join(",")),
            Self::Null => "null".to_owned(),
            Self::Number(number) => number.text(),
            Self::Object => "{\"a\":1}".to_owned(),
            Self::Text(text) => format!("{text:?}"),
        }
    }
}

fn decimals() -> impl Strategy<Value = Decimal> {
    (-30_i64..30, 0_u32..3).prop_map(|(mantissa, places)| Decimal { mantissa, places })
}

fn scalars() -> impl Strategy<Value = Value> {
    prop_oneof![
        1 => any::<bool>().prop_map(Value::Bool),
        4 => decimals().prop_map(Value::Number),
        6 => select(&TEXTS[..]).prop_map(Value::Text),
    ]
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![16 => scalars(), 1 => Just(Value::Null), 1 => Just(Value::Object)];
    let lists = prop::collection::vec(prop_oneof![12 => leaf.clone(), 1 => Just(Value::List(Vec::new()))], 0..4)
        .prop_map(Value::List);
    prop_oneof![4 => leaf, 1 => lists]
}

fn rules() -> impl Strategy<Value = Rule> {
    let distinct = |values: Vec<Value>| {
        let mut distinct: Vec<Value> = Vec::new();
        for value in values {
            if !distinct.iter().any(|known| same(known, &value)) {
                distinct.push(value);
            }
        }
        distinct
    };
    prop_oneof![
        subsequence(&DOMAINS[..], 1..=3).prop_map(Rule::Domain),
        Just(Rule::Free),
        prop::collection::vec(scalars(), 1..4).prop_map(move |values| Rule::In(distinct(values))),
        subsequence(&FOLDERS[..], 1..=2).prop_map(Rule::Path),
        (0_usize..6, 0_usize..20).prop_map(|(min, more)| Rule::Length(min, min + more)),
        select(&PATTERNS[..]).prop_map(|(source, _)| Rule::Pattern(source)),
        (decimals(), decimals()).prop_map(|(a, b)| if a.at_most(b) { Rule::Range(a, b) } else { Rule::Range(b, a) }),
    ]
}

fn models() -> impl Strategy<Value = Model> {
    let argument = (any::<bool>(), rules()).prop_map(|(optional, rule)| Argument { optional, rule });
    let arguments = prop::collection::btree_map(select(&ARGUMENTS[..]), argument, 0..=3);
    let over = prop::option::of((
        select(&ARGUMENTS[..]),
        (0_i64..30, 0_u32..3).prop_map(|(mantissa, places)| Decimal { mantissa, places }),
    ));
    let danger = (select(&ZONES[..]), over).prop_map(|(when, over)| Danger { over, when });
    (
        subsequence(&AGENTS[..], 1..=2),
        prop::collection::vec(danger, 0..3),
        any::<bool>(),
        subsequence(&RESOURCES[..], 0..=2),
        20_u32..25,
        prop::collection::btree_map(select(&TOOLS[..]), arguments, 0..=3),
    )
        .prop_map(|(agents, dangers, every_tool, resources, until, tools)| {
            let mut model = Model {
                agents: agents.into_iter().collect(),
                dangers: Vec::new(),
                every_tool,
                resources: resources.into_iter().collect(),
                until,
                tools,
            };
            for danger in dangers {
                if makes_sense(&model, &danger) {
                    model.dangers.push(danger);
                }
            }
            model
        })
}

/// The reader refuses danger zones that match nothing, cannot see their argument, or are never reached.
fn makes_sense(model: &Model, danger: &Danger) -> bool {
    let covers =
        |tool: &str| danger.when.strip_suffix('*').map_or(danger.when == tool, |start| tool.starts_with(start));
    let covered: Vec<_> = model.tools.iter().filter(|(tool, _)| covers(tool)).collect();
    let visible = danger.over.is_none_or(|(argument, _)| {
        covered.iter().all(|(_, rules)| {
            rules.is_empty()
                || matches!(
                    rules.get(argument),
                    Some(Argument { rule: Rule::Free | Rule::In(_) | Rule::Range(..), .. })
                )
        })
    });
    let size_of = |end: Decimal| Decimal { mantissa: end.mantissa.abs(), ..end };
    let reached = model.every_tool
        || danger.over.is_none_or(|(argument, size)| {
            covered.iter().any(|(_, rules)| match rules.get(argument) {
                Some(Argument { rule: Rule::Range(min, max), .. }) => {
                    !(size_of(*min).at_most(size) && size_of(*max).at_most(size))
                }
                _ => true,
            })
        });
    visible && reached && (model.every_tool || !covered.is_empty())
}

fn calls() -> impl Strategy<Value = Call> {
    let arguments = prop::collection::btree_map(select(&ARGUMENTS[..]), values(), 0..=4)
        .prop_map(|map| map.into_iter().collect::<Vec<_>>());
    (select(&AGENTS[..2]), arguments.prop_shuffle(), 19_u32..23, select(&TOOLS[..]))
        .prop_map(|(agent, arguments, day, tool)| Call { agent, arguments, day, tool })
}

/// A model and calls of it, most of which are nearly or wholly allowed: random ones would hardly ever come past the first rule.
fn models_and_calls() -> impl Strategy<Value = (Model, Vec<Call>)> {
    let steps = prop::collection::vec((any::<Index>(), 0_u32..10), 6);
    (models(), prop::collection::vec((calls(), steps), 12)).prop_map(|(model, calls)| {
        let calls = calls.into_iter().map(|(call, steps)| steer(&model, call, &steps)).collect();
        (model, calls)
    })
}

/// Moves `call` towards what `model` allows; each step is left out once in ten times.
fn steer(model: &Model, mut call: Call, steps: &[(Index, u32)]) -> Call {
    let step = |at: usize| steps.get(at).filter(|(_, chance)| *chance > 0).map(|(index, _)| index);
    if let Some(index) = step(0) {
        call.agent = *index.get(&model.agents.iter().copied().collect::<Vec<_>>());
    }
    if step(1).is_some() {
        call.day = 19;
    }
    if let Some(index) = step(2).filter(|_| !model.tools.is_empty()) {
        call.tool = *index.get(&model.tools.keys().copied().collect::<Vec<_>>());
    }
    let Some(rules) = model.tools.get(call.tool).filter(|rules| !rules.is_empty()) else { return call };
    if step(3).is_some() {
        call.arguments.retain(|(name, _)| rules.contains_key(name));
    }
    for (at, (name, argument)) in rules.iter().enumerate() {
        let Some(index) = step(4 + at % 2) else { continue };
        call.arguments.retain(|(sent, _)| sent != name);
        call.arguments.push((*name, example(&argument.rule, *index)));
    }
    call
}

fn pick(index: Index, texts: &[&'static str]) -> Value {
    let text: &&str = index.get(texts);
    Value::Text(text)
}

/// A value that passes `rule`, or nearly.
fn example(rule: &Rule, index: Index) -> Value {
    match rule {
        Rule::Domain(_) => pick(
            index,
            &["corp.example", "CORP.example.", "a+b@one.lab.example", "a@lab.example", "https://corp.example/x?y"],
        ),
        Rule::Free => index
            .get(&[Value::Null, Value::Object, Value::Text(""), Value::Number(Decimal { mantissa: 1, places: 1 })])
            .clone(),
        Rule::In(values) => index.get(values).clone(),
        Rule::Length(..) => pick(index, &["", "EUR", "corp.example", "/srv/docs/../a"]),
        Rule::Pattern(_) => pick(index, &["EUR", "5", "corp.example", "/srv/docs", "srv/docs", "/srv//docs/./a/"]),
        Rule::Path(_) => pick(index, &["/srv/docs", "/srv/docs/a", "/srv//docs/./a/", "/etc/passwd", "/srv/a b"]),
        Rule::Range(min, max) => {
            let above = Decimal { mantissa: min.mantissa + 1, ..*min };
            let both = Value::List(vec![Value::Number(*max), Value::Number(*min)]);
            index.get(&[Value::Number(*min), Value::Number(*max), Value::Number(above), both]).clone()
        }
    }
}

/// The first of [`TEXTS`] that the pattern `source` matches.
fn matched_by(source: &str) -> &'static str {
    let (_, matches) = PATTERNS.iter().find(|(known, _)| *known == source).unwrap();
    TEXTS.iter().find(|text| matches(text)).unwrap()
}

fn outcome(policy: &PolicySnapshot, call: &Call) -> Decision {
    let members: Vec<String> =
        call.arguments.iter().map(|(name, value)| format!("{name:?}:{}", value.json())).collect();
    let arguments = format!("{{{}}}", members.join(","));
    let tool = parse_tool(&format!("mcp:s/{}", call.tool));
    decide(&classified(policy, call.agent, tool, &arguments, Standing::Good), policy, noon(call.day))
}

fn noon(day: u32) -> Timestamp {
    format!("2026-12-{day:02}T12:00:00Z").parse().unwrap()
}

fn codes(decision: &Decision) -> Vec<&'static str> {
    assert_eq!(decision.effect == Effect::Allow, decision.reasons.is_empty());
    decision.reasons.iter().map(|reason| reason.code()).collect()
}

/// Never allows what `wide` denies.
fn assert_narrower(narrow: &Model, wide: &Model, calls: &[Call]) -> Result<(), TestCaseError> {
    let (narrow_policy, wide_policy) = (snapshot(&narrow.source()), snapshot(&wide.source()));
    for call in calls {
        if outcome(&narrow_policy, call).effect == Effect::Allow {
            let effect = outcome(&wide_policy, call).effect;
            prop_assert_eq!(effect, Effect::Allow, "{:?}\n{}\n--- narrower:\n{}", call, wide.source(), narrow.source());
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn both_deciders_agree((model, calls) in models_and_calls()) {
        let policy = snapshot(&model.source());
        for call in &calls {
            let decision = outcome(&policy, call);
            let expected = judge(&model, call);
            prop_assert_eq!(codes(&decision), expected, "{}\n{:?}\n{}", model.source(), call, decision.sentence);
            prop_assert!(!decision.said_to_agent.is_empty());
        }
        for uri in URIS {
            let tool = parse_tool(&format!("mcp:s/resource:{uri}"));
            let read = decide(&classified(&policy, "bot", tool.clone(), "", Standing::Good), &policy, noon(21));
            let expected = judge_resource(&model, uri, "bot", 21);
            prop_assert_eq!(codes(&read), expected, "{}\n{}", model.source(), uri);
            let shown = judge_resource(&model, uri, model.agents.first().unwrap(), 1).is_empty();
            prop_assert_eq!(policy.shows(&tool), shown, "{}\n{}", model.source(), uri);
        }
    }

    #[test]
    fn what_is_not_called_wider_allows_nothing_new((old, calls) in models_and_calls(), (new, more) in models_and_calls()) {
        let (before, after) = (snapshot(&old.source()), snapshot(&new.source()));
        let changes = compare(before.mission(), after.mission());
        let is_wider = changes.iter().any(|change| change.direction.is_wider());
        let is_narrower = changes.iter().any(|change| change.direction != Direction::Wider);
        for call in calls.iter().chain(&more) {
            let allowed = [&before, &after].map(|policy| outcome(policy, call).effect == Effect::Allow);
            let told = format!("{call:?}\n{changes:#?}\n{}\n--- then:\n{}", old.source(), new.source());
            prop_assert!(allowed != [false, true] || is_wider, "newly allowed: {told}");
            prop_assert!(allowed != [true, false] || is_narrower, "newly denied: {told}");
        }
        prop_assert!(compare(before.mission(), before.mission()).is_empty());
        // What is shown is proved: asked once more, in words of its own.
        let versions = Versions { old: &before, new: &after };
        for proved in versions.changes() {
            for (example, expected) in [(proved.newly_allowed, [false, true]), (proved.newly_denied, [true, false])] {
                let Some(example) = example else { continue };
                let decided = [&before, &after].map(|policy| {
                    let call = classified(policy, &example.agent, example.call.clone(), &example.arguments, Standing::Good);
                    decide(&call, policy, example.at).effect == Effect::Allow
                });
                prop_assert_eq!(decided, expected, "{:?}\n{}\n--- then:\n{}", example, old.source(), new.source());
            }
        }
    }

    #[test]
    fn the_same_inputs_give_the_same_decision_even_from_the_record((model, calls) in models_and_calls()) {
        let call = calls.first().unwrap().clone();
        let (policy, again) = (snapshot(&model.source()), snapshot(&model.source()));
        let decision = outcome(&policy, &call);
        prop_assert_eq!(&decision, &outcome(&again, &call));
        let members: Vec<String> = call.arguments.iter().map(|(name, value)| format!("{name:?}:{}", value.json())).collect();
        let tool = parse_tool(&format!("mcp:s/{}", call.tool));
        let mut from_record = classified(&policy, call.agent, tool, &format!("{{{}}}", members.join(",")), Standing::Good);
        let recorded = serde_json::to_string(&from_record.facets).unwrap();
        from_record.facets = serde_json::from_str(&recorded).unwrap();
        prop_assert_eq!(&decision, &decide(&from_record, &again, noon(call.day)));
    }

    #[test]
    fn taking_away_never_widens((model, calls) in models_and_calls(), pick in any::<Index>(), cut in 0_usize..6) {
        let mut narrow = model.clone();
        match cut {
            0 => narrow.dangers.push(Danger { over: None, when: "*" }),
            1 if narrow.agents.len() > 1 => drop(narrow.agents.pop_first()),
            2 => narrow.until -= 1,
            3 if !narrow.every_tool && narrow.tools.len() > 1 => {
                let name = *pick.get(&narrow.tools.keys().copied().collect::<Vec<_>>());
                narrow.tools.remove(name);
                narrow.dangers.clear();
                let mut wide = model.clone();
                wide.dangers.clear();
                return assert_narrower(&narrow, &wide, &calls);
            }
            4 => narrow.every_tool = false,
            _ => {
                for argument in narrow.tools.values_mut().flat_map(|rules| rules.values_mut()) {
                    argument.optional = false;
                    match &mut argument.rule {
                        Rule::Domain(domains) => domains.truncate(1),
                        Rule::Free => argument.rule = Rule::Path(vec!["/srv"]),
                        Rule::In(values) => values.truncate(1),
                        Rule::Length(min, max) => *max = *min,
                        Rule::Path(folders) => folders.truncate(1),
                        Rule::Pattern(pattern) => argument.rule = Rule::In(vec![Value::Text(matched_by(pattern))]),
                        Rule::Range(min, max) => *max = *min,
                    }
                }
            }
        }
        // A danger zone of the wider mission may not make sense in the narrower one; without it both are wider alike.
        let sound: Vec<Danger> = narrow.dangers.iter().filter(|danger| makes_sense(&narrow, danger)).cloned().collect();
        let mut wide = model;
        wide.dangers.retain(|danger| makes_sense(&narrow, danger));
        narrow.dangers = sound;
        assert_narrower(&narrow, &wide, &calls)?;
    }
}

#[test]
fn hostile_names_survive_the_way_through_cedar() {
    for name in ["a\"b", "a\\b", "a*b", "if", "has", "__cedar", "naïve", "日本", "a.b", "a\u{301}", "'", "${x}", "{x}"]
    {
        let quoted = serde_json::to_string(name).unwrap();
        let policy = snapshot(&format!(
            "mission = 'm'\ngoal = 'g'\nowner = 'o'\nagents = ['bot']\nuntil = 2026-12-31\nwhy = 'w'\n[allow.mcp.s.tool]\n{quoted} = {{ in = [{quoted}] }}\n"
        ));
        let tool = parse_tool("mcp:s/tool");
        for (arguments, expected) in [
            (format!("{{{quoted}:{quoted}}}"), vec![]),
            (format!("{{{quoted}:\"other\"}}"), vec!["argument_out_of_bounds"]),
            ("{}".to_owned(), vec!["argument_missing"]),
            (format!("{{{quoted}:{quoted},\"x\":1}}"), vec!["argument_not_listed"]),
        ] {
            let decision =
                decide(&classified(&policy, "bot", tool.clone(), &arguments, Standing::Good), &policy, noon(1));
            assert_eq!(codes(&decision), expected, "{name}: {arguments}: {}", policy.cedar(&tool));
        }
    }
}

#[test]
fn a_rule_of_the_largest_size_is_evaluated() {
    let folders: Vec<String> = (0..256).map(|index| format!("/srv/{index}")).collect();
    let policy = snapshot(&format!(
        "mission = 'm'\ngoal = 'g'\nowner = 'o'\nagents = ['bot']\nuntil = 2026-12-31\nwhy = 'w'\n[allow.mcp.s.tool]\npath = {{ path = {folders:?} }}\n"
    ));
    let tool = parse_tool("mcp:s/tool");
    for (path, expected) in [("/srv/0/a", vec![]), ("/srv/255/a", vec![]), ("/srv/256", vec!["argument_out_of_bounds"])]
    {
        let call = classified(&policy, "bot", tool.clone(), &format!("{{\"path\":\"{path}\"}}"), Standing::Good);
        assert_eq!(codes(&decide(&call, &policy, noon(1))), expected, "{path}");
    }
}
