//! Where classes of data may go, against an obvious reading of what `docs/missions.md` says, which shares nothing with the decider.

use std::fmt::Write as _;

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::tests::{classified, parse_tool, snapshot};
use super::*;
use crate::mission::{compare, overall};

const CLASSES: [&str; 4] = ["health", "pii", "secret", "unclassified"];
const TOOLS: [&str; 4] = ["mcp:mail/send", "mcp:mail/draft", "mcp:bank/pay", "mcp:files/write"];
const PLACES: [&str; 5] = ["mcp:mail", "mcp:mail/s*", "mcp:bank/pay", "mcp:files/write", "mcp:files"];
const GATES: [&str; 2] = ["default", "privacy"];

#[derive(Clone, Debug, PartialEq)]
struct Rule {
    otherwise: &'static str,
    gate: &'static str,
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
        for (class, Rule { otherwise, gate, to }) in &self.rules {
            let gate = if *otherwise == "ask" { format!(", gate = {gate:?}") } else { String::new() };
            let to = if to.is_empty() || *otherwise == "keep" { String::new() } else { format!(", to = {to:?}") };
            writeln!(source, "{class} = {{ else = {otherwise:?}{gate}{to} }}").unwrap();
        }
        source
    }

    /// `None` where it is denied, else the gates that are asked.
    fn asks(&self, tool: &str, found: &[&'static str], satisfied: &[&str]) -> Option<Vec<&'static str>> {
        let mut gates = Vec::new();
        for (_, rule) in self.rules.iter().filter(|(class, _)| found.contains(class)) {
            let covers = |place: &&str| match place.strip_suffix('*') {
                Some(start) => tool.starts_with(start),
                None => tool == *place || tool.starts_with(&format!("{place}/")),
            };
            match rule.otherwise {
                "keep" => {}
                _ if rule.to.iter().any(covers) => {}
                "deny" => return None,
                _ => gates.push(rule.gate),
            }
        }
        if self.touches.as_ref().is_some_and(|touches| found.iter().any(|class| !touches.contains(class))) {
            gates.push("default");
        }
        gates.sort_unstable();
        gates.dedup();
        gates.retain(|gate| !satisfied.contains(gate));
        Some(gates)
    }
}

fn models() -> impl Strategy<Value = Model> {
    let rule = (select(&["keep", "ask", "deny"][..]), select(&GATES[..]), subsequence(&PLACES[..], 0..=3))
        .prop_map(|(otherwise, gate, to)| Rule { otherwise, gate, to });
    let rules = subsequence(&CLASSES[..], 0..=3).prop_flat_map(move |classes| {
        let count = classes.len();
        (Just(classes), prop::collection::vec(rule.clone(), count))
            .prop_map(|(classes, rules)| classes.into_iter().zip(rules).collect::<Vec<_>>())
    });
    (rules, prop::option::of(subsequence(&CLASSES[..], 1..=3))).prop_map(|(rules, touches)| Model { rules, touches })
}

fn decided(policy: &PolicySnapshot, tool: &str, found: &[&str], satisfied: &[&str]) -> Decision {
    let arcs = |names: &[&str]| names.iter().map(|name| Arc::from(*name)).collect::<Vec<Arc<str>>>();
    let call = classified(policy, "bot", parse_tool(tool), "{}", Standing::Good);
    let call = Classified { data_classes: arcs(found), gates: arcs(satisfied), ..call };
    decide(&call, policy, "2026-12-01T12:00:00Z".parse().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn classes_go_where_the_mission_says(
        model in models(),
        calls in prop::collection::vec((select(&TOOLS[..]), subsequence(&CLASSES[..], 0..=3), subsequence(&GATES[..], 0..=2)), 12),
    ) {
        let policy = snapshot(&model.source());
        for (tool, found, satisfied) in calls {
            let decision = decided(&policy, tool, &found, &satisfied);
            let gates: Vec<&str> = decision.gates.iter().map(|gate| &**gate).collect();
            let said = format!("{tool} with {found:?}, {satisfied:?} satisfied: {}\n{}", decision.sentence, model.source());
            match model.asks(tool, &found, &satisfied) {
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
        calls in prop::collection::vec((select(&TOOLS[..]), subsequence(&CLASSES[..], 0..=3)), 12),
    ) {
        // Mostly one thing is changed, and not everything.
        let new = if keeps { Model { rules: old.rules.clone(), ..new } } else { new };
        let (before, after) = (snapshot(&old.source()), snapshot(&new.source()));
        let changes = compare(before.mission(), after.mission());
        let is_wider = overall(&changes).is_some_and(|direction| direction.is_wider());
        let grade = |effect: Effect| match effect { Effect::Deny => 0, Effect::Ask => 1, Effect::Allow => 2 };
        for (tool, found) in calls {
            let [was, is] = [&before, &after].map(|policy| decided(policy, tool, &found, &[]).effect);
            prop_assert!(
                grade(is) <= grade(was) || is_wider,
                "{tool} with {found:?} was {was} and is {is}\n{changes:#?}\n{}\n{}", old.source(), new.source()
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
