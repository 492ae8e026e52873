//! Where classes of data may go, against an obvious reading of what `docs/missions.md` says, which shares nothing with the decider.

use std::fmt::Write as _;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::tests::{classified, parse_tool, snapshot};
use super::*;
use crate::classify::{Found, Place};
use crate::intercept::Intercepted;
use crate::mission::{compare, overall};

/// What may be found, in the finest words.
const FOUND: [&str; 6] = ["health", "org.staff_no", "pii", "pii.email", "secret", "unclassified"];
/// What a mission may speak of.
const CLASSES: [&str; 7] = ["health", "org", "org.staff_no", "pii", "pii.email", "secret", "unclassified"];
const TOOLS: [&str; 4] = ["mcp:mail/send", "mcp:mail/draft", "mcp:bank/pay", "mcp:files/write"];
const PLACES: [&str; 5] = ["mcp:mail", "mcp:mail/s*", "mcp:bank/pay", "mcp:files/write", "mcp:files"];
const GATES: [&str; 2] = ["default", "privacy"];

#[derive(Clone, Debug, PartialEq)]
struct Rule {
    otherwise: &'static str,
    gate: &'static str,
    run: &'static str,
    to: Vec<&'static str>,
}

#[derive(Clone, Debug)]
struct Model {
    rules: Vec<(&'static str, Rule)>,
    touches: Option<Vec<&'static str>>,
}

impl Model {
    fn source(&self) -> String {
        let mut source = r#"
mission = "example"
goal    = "Show a rule."
owner   = "it@corp.example"
agents  = ["bot"]
until   = 2026-12-31
why     = "First version."

[allow.mcp.mail]
send  = {}
draft = {}

[allow.mcp.bank]
pay = {}

[allow.mcp.files]
"*" = {}

[effect.mcp.files]
write = "read"

[danger.first]
when = "mcp:bank/close*"
gate = "default"

[danger.second]
when = "mcp:bank/close*"
gate = "privacy"

[gate.default]
group = "leads"

[gate.privacy]
group = "privacy"
"#
        .replace("mcp:bank/close*", "mcp:files/close*");
        if !self.rules.is_empty() || self.touches.is_some() {
            source.push_str("\n[data]\n");
        }
        if let Some(touches) = &self.touches {
            writeln!(source, "touches = {touches:?}").unwrap();
        }
        for (class, Rule { otherwise, gate, run, to }) in &self.rules {
            let gate = if *otherwise == "ask" || *run == "ask" { format!(", gate = {gate:?}") } else { String::new() };
            let to = if to.is_empty() || (*otherwise == "keep" && *run == "keep") {
                String::new()
            } else {
                format!(", to = {to:?}")
            };
            writeln!(source, "{class:?} = {{ else = {otherwise:?}, run = {run:?}{gate}{to} }}").unwrap();
        }
        source
    }

    /// The rule of what was found: its own, else that of its class.
    fn rule(&self, found: &str) -> Option<&Rule> {
        let of = |name: &str| self.rules.iter().find(|(class, _)| *class == name).map(|(_, rule)| rule);
        of(found).or_else(|| of(found.split('.').next().unwrap()))
    }

    /// `None` where it is denied, else the gates that are asked.
    fn asks(
        &self,
        tool: &str,
        found: &[&'static str],
        met: &[&'static str],
        satisfied: &[&str],
    ) -> Option<Vec<&'static str>> {
        let mut gates = Vec::new();
        let found_ones = found.iter().filter_map(|found| self.rule(found)).map(|rule| (rule, rule.otherwise));
        // `mcp:files/write` is said to read.
        let met_ones = met.iter().filter(|_| tool != "mcp:files/write");
        let met_ones = met_ones.filter_map(|met| self.rule(met)).map(|rule| (rule, rule.run));
        for (rule, does) in found_ones.chain(met_ones) {
            let covers = |place: &&str| match place.strip_suffix('*') {
                Some(start) => tool.starts_with(start),
                None => tool == *place || tool.starts_with(&format!("{place}/")),
            };
            match does {
                "keep" => {}
                _ if rule.to.iter().any(covers) => {}
                "deny" => return None,
                _ => gates.push(rule.gate),
            }
        }
        let expects = |touches: &Vec<&str>, found: &str| {
            touches.contains(&found) || touches.contains(&found.split('.').next().unwrap())
        };
        if self.touches.as_ref().is_some_and(|touches| found.iter().any(|found| !expects(touches, found))) {
            gates.push("default");
        }
        gates.sort_unstable();
        gates.dedup();
        gates.retain(|gate| !satisfied.contains(gate));
        Some(gates)
    }
}

fn models() -> impl Strategy<Value = Model> {
    let does = || select(&["keep", "ask", "deny"][..]);
    let rule = (does(), select(&GATES[..]), does(), subsequence(&PLACES[..], 0..=3))
        .prop_map(|(otherwise, gate, run, to)| Rule { otherwise, gate, run, to });
    let rules = subsequence(&CLASSES[..], 0..=3).prop_flat_map(move |classes| {
        let count = classes.len();
        (Just(classes), prop::collection::vec(rule.clone(), count))
            .prop_map(|(classes, rules)| classes.into_iter().zip(rules).collect::<Vec<_>>())
    });
    (rules, prop::option::of(subsequence(&CLASSES[..], 1..=4))).prop_map(|(rules, touches)| Model { rules, touches })
}

fn decided(
    policy: &PolicySnapshot,
    tool: &str,
    found: &[&'static str],
    met: &[&'static str],
    satisfied: &[&str],
) -> Decision {
    let arcs = |names: &[&str]| names.iter().map(|name| Arc::from(*name)).collect::<Vec<Arc<str>>>();
    let place = |found: &&'static str| {
        let (class, kind) = found.split_once('.').unwrap_or((*found, "of_no_name"));
        Place { class, kind: kind.into(), range: 0..1 }
    };
    let places = |found: &[&'static str]| {
        Found::new(
            found.iter().filter(|found| **found != "unclassified").map(place).collect(),
            !found.contains(&"unclassified"),
        )
    };
    let call = classified(policy, "bot", parse_tool(tool), "{}", Standing::Good);
    let (data_classes, met) = (policy.labels(&places(found)), policy.met(&places(met).kinds().collect()));
    let call = Classified { data_classes, gates: arcs(satisfied), met, ..call };
    decide(&call, policy, "2026-12-01T12:00:00Z".parse().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn classes_go_where_the_mission_says(
        model in models(),
        calls in prop::collection::vec(
            (select(&TOOLS[..]), subsequence(&FOUND[..], 0..=3), subsequence(&FOUND[..], 0..=2), subsequence(&GATES[..], 0..=2)),
            12,
        ),
    ) {
        let policy = snapshot(&model.source());
        for (tool, found, met, satisfied) in calls {
            let decision = decided(&policy, tool, &found, &met, &satisfied);
            let gates: Vec<&str> = decision.gates.iter().map(|gate| &**gate).collect();
            let said = format!("{tool} with {found:?} after {met:?}, {satisfied:?} satisfied: {}\n{}", decision.sentence, model.source());
            match model.asks(tool, &found, &met, &satisfied) {
                None => prop_assert_eq!(decision.effect, Effect::Deny, "{}", said),
                Some(asked) if asked.is_empty() => prop_assert_eq!(decision.effect, Effect::Allow, "{}", said),
                Some(asked) => {
                    prop_assert_eq!(decision.effect, Effect::Ask, "{}", &said);
                    prop_assert_eq!(gates, asked, "{}", said);
                }
            }
        }
    }

    #[test]
    fn what_lets_data_go_further_is_called_wider(
        old in models(),
        new in models(),
        keeps in any::<bool>(),
        calls in prop::collection::vec(
            (select(&TOOLS[..]), subsequence(&FOUND[..], 0..=3), subsequence(&FOUND[..], 0..=2)), 12
        ),
    ) {
        // Mostly one thing is changed, and not everything.
        let new = if keeps { Model { rules: old.rules.clone(), ..new } } else { new };
        let (before, after) = (snapshot(&old.source()), snapshot(&new.source()));
        let changes = compare(before.mission(), after.mission());
        let is_wider = overall(&changes).is_some_and(|direction| direction.is_wider());
        let grade = |effect: Effect| match effect { Effect::Deny => 0, Effect::Ask => 1, Effect::Allow => 2 };
        for (tool, found, met) in calls {
            let [was, is] = [&before, &after].map(|policy| decided(policy, tool, &found, &met, &[]).effect);
            prop_assert!(
                grade(is) <= grade(was) || is_wider,
                "{tool} with {found:?} after {met:?} was {was} and is {is}\n{changes:#?}\n{}\n{}", old.source(), new.source()
            );
        }
        prop_assert!(compare(before.mission(), before.mission()).is_empty());
    }
}

#[test]
fn results_that_are_let_through_are_wider() {
    let source = |data: &str| format!("{}\n[data]\n{data}\n", Model { rules: vec![], touches: None }.source());
    for (old, new, wider, narrower) in [
        ("pii = { result = \"block\" }", "pii = { result = \"redact\" }", true, false),
        ("pii = { result = \"redact\" }", "pii = { result = \"keep\" }", true, false),
        ("pii = { result = \"keep\" }", "pii = { result = \"redact\" }", false, true),
        ("pii = { result = \"redact\" }", "pii = { result = \"block\" }", false, true),
        ("pii = { result = \"redact\" }", "pii = { result = \"mask\" }", true, true),
        (
            "pii = { to = \"mcp:mail\", result = \"redact\" }",
            "pii = { to = \"mcp:mail\", result = \"token\" }",
            true,
            false,
        ),
        (
            "pii = { to = \"mcp:mail\", result = \"token\" }",
            "pii = { to = \"mcp:mail\", result = \"hash\" }",
            true,
            true,
        ),
        (
            "pii = { to = \"mcp:mail\", result = \"token\" }",
            "pii = { to = \"mcp:mail\", result = \"keep\" }",
            true,
            false,
        ),
        (
            "pii = { to = \"mcp:mail/send\", result = \"token\" }",
            "pii = { to = \"mcp:mail\", result = \"token\" }",
            true,
            false,
        ),
        ("pii = { result = \"redact\" }", "secret = { result = \"redact\" }", true, true),
        ("pii = { else = \"deny\", result = \"redact\" }", "pii = { result = \"redact\" }", true, false),
    ] {
        let (before, after) = (snapshot(&source(old)), snapshot(&source(new)));
        let direction = overall(&compare(before.mission(), after.mission())).unwrap();
        assert_eq!(direction.is_wider(), wider, "{old} to {new}");
        let back = overall(&compare(after.mission(), before.mission())).unwrap();
        assert_eq!(back.is_wider(), narrower, "{new} to {old}");
    }
}

#[test]
fn a_run_of_which_nobody_knows_what_it_met_may_have_met_anything() {
    let rule = Rule { otherwise: "keep", gate: "privacy", run: "deny", to: vec!["mcp:mail"] };
    let policy = snapshot(&Model { rules: vec![("pii.email", rule)], touches: None }.source());
    let effect = |tool: &str, met: &[&str]| {
        let call = classified(&policy, "bot", parse_tool(tool), "{}", Standing::Good);
        let call = Classified { met: met.iter().map(|met| Arc::from(*met)).collect(), ..call };
        decide(&call, &policy, "2026-12-01T12:00:00Z".parse().unwrap())
    };
    for (tool, met, denied) in [
        ("mcp:bank/pay", vec!["*"], true),
        ("mcp:bank/pay", vec!["pii.email"], true),
        ("mcp:bank/pay", vec![], false),
        ("mcp:mail/send", vec!["*"], false),
        ("mcp:files/write", vec!["*"], false),
    ] {
        let decision = effect(tool, &met);
        assert_eq!(decision.effect == Effect::Deny, denied, "{tool} after {met:?}: {}", decision.sentence);
        assert!(!denied || decision.reasons == [Reason::DataMet]);
    }
    // Until somebody has looked.
    let call = classified(&policy, "bot", parse_tool("mcp:bank/pay"), "{}", Standing::Good);
    assert_eq!(decide(&call, &policy, "2026-12-01T12:00:00Z".parse().unwrap()).effect, Effect::Deny);
    // A class of which the kind is not known stands for each of its kinds.
    let kinds = |met: &[&str]| policy.met(&met.iter().map(|met| Arc::from(*met)).collect());
    assert_eq!(kinds(&["pii"]), ["pii.email".into()]);
    assert!(kinds(&["pii.phone", "secret"]).is_empty());
}

#[test]
fn tokens_turn_back_only_where_the_class_may_go() {
    let source = |data: &str| format!("{}\n[data]\n{data}\n", Model { rules: vec![], touches: None }.source());
    let of = |data: &str| snapshot(&source(data));
    let token = of("pii = { to = [\"mcp:mail/s*\", \"mcp:bank/pay\"], result = \"token\" }");
    for (tool, turns) in
        [("mcp:mail/send", true), ("mcp:mail/draft", false), ("mcp:bank/pay", true), ("mcp:files/write", false)]
    {
        assert_eq!(token.turns_back("pii", "email", &parse_tool(tool)), turns, "{tool}");
        assert!(!token.turns_back("secret", "password", &parse_tool(tool)), "{tool}");
        let kept = of("pii = { to = [\"mcp:mail/s*\", \"mcp:bank/pay\"], result = \"keep\" }");
        assert!(!kept.turns_back("pii", "email", &parse_tool(tool)), "{tool}");
    }
    for endpoint in [Endpoint::Prompt, Endpoint::Request, Endpoint::Resource] {
        assert!(!token.turns_back("pii", "email", &Tool { endpoint, ..parse_tool("mcp:mail/send") }), "{endpoint:?}");
    }
}

#[test]
fn an_approval_is_bound_to_what_was_sent_and_to_what_the_tool_gets() {
    let policy = snapshot(&Model { rules: vec![], touches: None }.source());
    let call = classified(&policy, "bot", parse_tool("mcp:mail/send"), r#"{"to":"a"}"#, Standing::Good).intercepted;
    let bound = |call: &Intercepted| call.sha256(None, policy.slice_sha256(call.tool()));
    let turned = |arguments: Option<&str>| call.clone().turned_back(arguments.map(|text| text.to_owned().into()));
    assert_eq!(bound(&turned(None)), bound(&call));
    let (one, other) = (turned(Some(r#"{"to":"b"}"#)), turned(Some(r#"{"to":"c"}"#)));
    assert!(bound(&one) != bound(&other) && bound(&one) != bound(&call));
    assert_eq!((one.args_sha256(), one.arguments()), (call.args_sha256(), call.arguments()));
    assert_eq!(&one.sent()[..], br#"{"to":"b"}"#);
    assert_eq!(bound(&one.turned_back(None)), bound(&call), "decided again, where nothing turns back any more");
}
