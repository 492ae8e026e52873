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
const TOOLS: [&str; 5] = ["mcp:mail/send", "mcp:mail/draft", "mcp:bank/pay", "mcp:files/write", "mcp:files/close"];
const PLACES: [&str; 5] = ["mcp:mail", "mcp:mail/s*", "mcp:bank/pay", "mcp:files/write", "mcp:files"];
const GATES: [&str; 2] = ["default", "privacy"];

/// The arguments of every call: what is found stands in one of them.
const ARGUMENTS: &str = r#"{"cc":"1","subject":"2","to":"3"}"#;
const FIELDS: [&str; 3] = ["cc", "subject", "to"];
const MOMENTS: [&str; 3] = ["2026-12-01T12:00:00Z", "2026-12-07T12:00:00Z", "2026-12-12T00:00:00Z"];
/// Tool, argument and end of what may be excepted; an end is the first moment after it.
const EXCEPTS: [(&str, Option<&str>, &str); 7] = [
    ("mcp:mail/send", None, "2026-12-05T00:00:00Z"),
    ("mcp:mail/send", Some("to"), "2026-12-12T00:00:00Z"),
    ("mcp:mail/send", Some("cc"), "2026-12-05T00:00:00Z"),
    ("mcp:bank/pay", Some("to"), "2026-12-05T00:00:00Z"),
    ("mcp:bank/pay", None, "2026-12-12T00:00:00Z"),
    ("mcp:files/write", Some("subject"), "2026-12-12T00:00:00Z"),
    ("mcp:files/close", None, "2026-12-05T00:00:00Z"),
];

#[derive(Clone, Debug, PartialEq)]
struct Rule {
    otherwise: &'static str,
    excepts: Vec<(&'static str, Option<&'static str>, &'static str)>,
    gate: &'static str,
    run: &'static str,
    to: Vec<&'static str>,
}

impl Rule {
    fn is_idle(&self) -> bool {
        self.otherwise == "keep" && self.run == "keep"
    }

    fn is_cleared(&self, tool: &str) -> bool {
        let covers = |place: &&str| match place.strip_suffix('*') {
            Some(start) => tool.starts_with(start),
            None => tool == *place || tool.starts_with(&format!("{place}/")),
        };
        !self.is_idle() && self.to.iter().any(covers)
    }

    /// Those that a mission may have: none that lifts nothing, and none that holds another.
    fn excepts(&self) -> Vec<(&'static str, Option<&'static str>, &'static str)> {
        let lifts = |except: &&(&'static str, Option<&str>, &str)| {
            let (tool, field, _) = **except;
            let is_kept = self.is_idle() || (field.is_some() && self.otherwise == "keep");
            let is_held = self.excepts.iter().any(|other| other.0 == tool && other.1.is_none() && field.is_some());
            !is_kept && !is_held && !self.is_cleared(tool)
        };
        self.excepts.iter().filter(lifts).copied().collect()
    }

    /// Whether an exception that lives lets the class go to the tool: with all of the call, or with the argument.
    fn excepted(&self, tool: &str, field: Option<&str>, at: &str) -> bool {
        let lets = |except: &(&str, Option<&str>, &str)| {
            except.0 == tool && at < except.2 && except.1.is_none_or(|excepted| field == Some(excepted))
        };
        self.excepts().iter().any(lets)
    }
}

/// What is found, and the argument that it stands in.
type InField = (&'static str, &'static str);

/// The gates that a call asks, and whether it would ask more, or be denied, but for an exception.
struct Asked {
    gates: Vec<&'static str>,
    is_excepted: bool,
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
when = "mcp:bank/shut*"
gate = "default"

[danger.second]
when = "mcp:bank/shut*"
gate = "privacy"

[gate.default]
group = "leads"

[gate.privacy]
group = "privacy"
"#
        .replace("mcp:bank/shut*", "mcp:files/shut*");
        if !self.rules.is_empty() || self.touches.is_some() {
            source.push_str("\n[data]\n");
        }
        if let Some(touches) = &self.touches {
            writeln!(source, "touches = {touches:?}").unwrap();
        }
        for (class, rule) in &self.rules {
            let Rule { otherwise, gate, run, to, .. } = rule;
            let gate = if *otherwise == "ask" || *run == "ask" { format!(", gate = {gate:?}") } else { String::new() };
            let to = if to.is_empty() || rule.is_idle() { String::new() } else { format!(", to = {to:?}") };
            let excepts = rule.excepts().into_iter().map(|(tool, field, until)| {
                let field = field.map(|field| format!(", field = {field:?}")).unwrap_or_default();
                format!("{{ tool = {tool:?}, in = \"arguments\"{field}, until = {until}, why = \"pilot\" }}")
            });
            let excepts = excepts.collect::<Vec<_>>().join(", ");
            let excepts = if excepts.is_empty() { excepts } else { format!(", except = [{excepts}]") };
            writeln!(source, "{class:?} = {{ else = {otherwise:?}, run = {run:?}{gate}{to}{excepts} }}").unwrap();
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
        (tool, at): (&str, &str),
        found: &[InField],
        met: &[&'static str],
        satisfied: &[&str],
    ) -> Option<Asked> {
        let (mut gates, mut is_excepted) = (Vec::new(), false);
        // What could not be looked into stands nowhere.
        let field = |found: &InField| (found.0 != "unclassified").then_some(found.1);
        let found_ones = found
            .iter()
            .filter_map(|found| Some((self.rule(found.0)?, field(found))))
            .map(|(rule, field)| (rule, rule.otherwise, field));
        // `mcp:files/write` is said to read.
        let met_ones = met.iter().filter(|_| tool != "mcp:files/write");
        let met_ones = met_ones.filter_map(|met| self.rule(met)).map(|rule| (rule, rule.run, None));
        let mut is_denied = false;
        for (rule, does, field) in found_ones.chain(met_ones) {
            match does {
                "keep" => {}
                _ if rule.is_cleared(tool) => {}
                _ if rule.excepted(tool, field, at) => is_excepted = true,
                "deny" => is_denied = true,
                _ => gates.push(rule.gate),
            }
        }
        if is_denied {
            return None;
        }
        let expects = |touches: &Vec<&str>, found: &str| {
            touches.contains(&found) || touches.contains(&found.split('.').next().unwrap())
        };
        if self.touches.as_ref().is_some_and(|touches| found.iter().any(|found| !expects(touches, found.0))) {
            gates.push("default");
        }
        gates.sort_unstable();
        gates.dedup();
        gates.retain(|gate| !satisfied.contains(gate));
        Some(Asked { gates, is_excepted })
    }
}

fn models() -> impl Strategy<Value = Model> {
    let does = || select(&["keep", "ask", "deny"][..]);
    let rule = (does(), select(&GATES[..]), does(), subsequence(&PLACES[..], 0..=3), subsequence(&EXCEPTS[..], 0..=4))
        .prop_map(|(otherwise, gate, run, to, excepts)| Rule { otherwise, excepts, gate, run, to });
    let rules = subsequence(&CLASSES[..], 0..=3).prop_flat_map(move |classes| {
        let count = classes.len();
        (Just(classes), prop::collection::vec(rule.clone(), count))
            .prop_map(|(classes, rules)| classes.into_iter().zip(rules).collect::<Vec<_>>())
    });
    (rules, prop::option::of(subsequence(&CLASSES[..], 1..=4))).prop_map(|(rules, touches)| Model { rules, touches })
}

fn decided(
    policy: &PolicySnapshot,
    (tool, at): (&str, &str),
    found: &[InField],
    met: &[&'static str],
    satisfied: &[&str],
) -> Decision {
    let arcs = |names: &[&str]| names.iter().map(|name| Arc::from(*name)).collect::<Vec<Arc<str>>>();
    let place = |(found, field): &InField| {
        let (class, kind) = found.split_once('.').unwrap_or((*found, "of_no_name"));
        let start = ARGUMENTS.find(&format!("\"{field}\":\"")).unwrap() + field.len() + 4;
        Place { class, kind: kind.into(), range: start..start + 1 }
    };
    let places = |found: &[InField]| {
        let is_read = !found.iter().any(|found| found.0 == "unclassified");
        Found::new(found.iter().filter(|found| found.0 != "unclassified").map(place).collect(), is_read)
    };
    let call = classified(policy, "bot", parse_tool(tool), ARGUMENTS, Standing::Good);
    let before: Vec<InField> = met.iter().map(|met| (*met, "to")).collect();
    let (data_classes, met) = (policy.labels(&places(found)), policy.met(&places(&before).kinds().collect()));
    let data_fields = policy.fields(&parse_tool(tool), &places(found), ARGUMENTS.as_bytes());
    let call = Classified { data_classes, data_fields, gates: arcs(satisfied), met, ..call };
    decide(&call, policy, at.parse().unwrap())
}

/// What is found in a call, each in some argument.
fn found() -> impl Strategy<Value = Vec<InField>> {
    (subsequence(&FOUND[..], 0..=3), prop::collection::vec(select(&FIELDS[..]), 3))
        .prop_map(|(found, fields)| found.into_iter().zip(fields).collect())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]

    #[test]
    fn classes_go_where_the_mission_says(
        model in models(),
        calls in prop::collection::vec(
            ((select(&TOOLS[..]), select(&MOMENTS[..])), found(), subsequence(&FOUND[..], 0..=2), subsequence(&GATES[..], 0..=2)),
            12,
        ),
    ) {
        let policy = snapshot(&model.source());
        for (tool, found, met, satisfied) in calls {
            let decision = decided(&policy, tool, &found, &met, &satisfied);
            let gates: Vec<&str> = decision.gates.iter().map(|gate| &**gate).collect();
            let said = format!("{tool:?} with {found:?} after {met:?}, {satisfied:?} satisfied: {}\n{}", decision.sentence, model.source());
            match model.asks(tool, &found, &met, &satisfied) {
                None => prop_assert_eq!(decision.effect, Effect::Deny, "{}", said),
                Some(Asked { gates: asked, is_excepted }) => {
                    let effect = if asked.is_empty() { Effect::Allow } else { Effect::Ask };
                    prop_assert_eq!(decision.effect, effect, "{}", &said);
                    if !asked.is_empty() {
                        prop_assert_eq!(gates, asked, "{}", &said);
                    }
                    let is_named = decision.rules.iter().any(|rule| rule.id.contains(".except."));
                    let has_reason = decision.reasons.contains(&Reason::DataExcepted);
                    prop_assert_eq!((is_named, has_reason), (is_excepted, is_excepted), "{}", said);
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
            ((select(&TOOLS[..]), select(&MOMENTS[..])), found(), subsequence(&FOUND[..], 0..=2)), 12
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
                "{tool:?} with {found:?} after {met:?} was {was} and is {is}\n{changes:#?}\n{}\n{}", old.source(), new.source()
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
    let rule = Rule { otherwise: "keep", excepts: vec![], gate: "privacy", run: "deny", to: vec!["mcp:mail"] };
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

/// What each of these would see at another time, or with less known of where what was found stands.
#[test]
fn an_exception_lifts_its_line_for_its_tool_until_its_day() {
    let excepts = vec![("mcp:mail/send", Some("to"), "2026-12-05T00:00:00Z")];
    let rule = Rule { otherwise: "deny", excepts, gate: "privacy", run: "keep", to: vec![] };
    let model = Model { rules: vec![("pii.email", rule)], touches: None };
    let policy = snapshot(&model.source());
    let of = |tool, at, found: &[InField]| decided(&policy, (tool, at), found, &[], &[]);
    let to: &[InField] = &[("pii.email", "to")];
    let decision = of("mcp:mail/send", "2026-12-04T23:59:59.999999Z", to);
    assert_eq!((decision.effect, decision.reasons.as_slice()), (Effect::Allow, &[Reason::DataExcepted][..]));
    let rules: Vec<&str> = decision.rules.iter().map(|rule| &*rule.id).collect();
    assert_eq!(rules, ["allow.mcp.mail.send", "data.\"pii.email\".except.mcp.mail.send.arguments.to"]);
    assert!(
        decision.sentence.contains("by exception, `pii.email` may go to `mcp:mail/send` in `to` until"),
        "{}",
        decision.sentence
    );
    for (tool, at, found) in [
        ("mcp:mail/send", "2026-12-05T00:00:00Z", to),
        ("mcp:mail/draft", MOMENTS[0], to),
        ("mcp:mail/send", MOMENTS[0], &[("pii.email", "cc")]),
        ("mcp:mail/send", MOMENTS[0], &[("pii.email", "to"), ("pii.email", "cc")]),
    ] {
        let decision = of(tool, at, found);
        assert_eq!(
            (decision.effect, decision.reasons.as_slice()),
            (Effect::Deny, &[Reason::DataNotCleared][..]),
            "{tool} {at}"
        );
    }
    // A record that does not say where it stands.
    let call = classified(&policy, "bot", parse_tool("mcp:mail/send"), ARGUMENTS, Standing::Good);
    let call = Classified { data_classes: vec!["pii.email".into()], ..call };
    assert_eq!(decide(&call, &policy, MOMENTS[0].parse().unwrap()).effect, Effect::Deny);
}

#[test]
fn exceptions_are_wider_the_longer_they_live_and_the_more_they_hold() {
    let until = |day: u32| format!("until = 2026-12-{day:02}, why = \"pilot\"");
    let source = |excepts: &[String]| {
        let excepts = if excepts.is_empty() { String::new() } else { format!(", except = [{}]", excepts.join(", ")) };
        let data = format!("pii = {{ else = \"deny\", result = \"redact\"{excepts} }}");
        format!("{}\n[data]\n{data}\n", Model { rules: vec![], touches: None }.source())
    };
    let whole = |day| vec![format!("{{ tool = \"mcp:mail/send\", in = \"arguments\", {} }}", until(day))];
    let field =
        |day| vec![format!("{{ tool = \"mcp:mail/send\", in = \"arguments\", field = \"to\", {} }}", until(day))];
    let result = |day| vec![format!("{{ tool = \"mcp:mail/send\", in = \"result\", {} }}", until(day))];
    for (old, new, wider, narrower, says) in [
        (vec![], whole(10), true, false, "by a new exception"),
        (whole(10), whole(11), true, false, "prolonged (was until `2026-12-10`)"),
        (field(10), whole(10), true, false, "by a new exception"),
        (whole(10), field(10), false, true, "the exception is removed"),
        (field(11), whole(10), true, true, "by a new exception"),
        (vec![], result(10), true, false, "stays in what `mcp:mail/send` returns"),
        (whole(10), result(10), true, true, "the exception is removed"),
    ] {
        let (before, after) = (snapshot(&source(&old)), snapshot(&source(&new)));
        let changes = compare(before.mission(), after.mission());
        assert_eq!(overall(&changes).unwrap().is_wider(), wider, "{old:?} to {new:?}");
        assert!(changes.iter().any(|change| change.sentence.contains(says)), "{changes:?}");
        let back = compare(after.mission(), before.mission());
        assert_eq!(overall(&back).unwrap().is_wider(), narrower, "{new:?} to {old:?}");
        assert_ne!(crate::mission::difference(Some(before.mission()), after.mission()), Vec::<String>::new());
    }
}
