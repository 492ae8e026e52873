//! Who must have named what calls act on, against an obvious reading of what `docs/data-flow.md` says, which shares nothing with the decider.

use std::fmt::Write as _;

use evidence::record::{Origin, TargetOrigin, TargetRole};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::tests::{classified, parse_tool, snapshot};
use super::*;
use crate::mission::{compare, overall};

const TOOLS: [(&str, &str); 6] = [
    ("mcp:mail/send", "send"),
    ("mcp:mail/ruled", "unconfirmed"),
    ("mcp:mail/look", "read"),
    ("mcp:bank/pay", "pay"),
    ("mcp:files/delete", "destroy"),
    ("mcp:files/other", "unconfirmed"),
];
const EFFECTS: [&str; 5] = ["admin", "destroy", "pay", "send", "write"];
const GATES: [&str; 2] = ["default", "payments"];
const WORDS: [&str; 3] = ["ask", "deny", "keep"];

#[derive(Clone, Debug, PartialEq)]
struct Rule {
    gate: &'static str,
    named: Vec<&'static str>,
    otherwise: &'static str,
    selected: Vec<&'static str>,
}

#[derive(Clone, Debug)]
struct Model {
    /// Whether `to` of `mcp:mail/ruled` must be named.
    named: bool,
    payload: Option<Rule>,
    target: Option<Rule>,
}

#[derive(Clone, Debug)]
struct Traced {
    argument: &'static str,
    origin: Origin,
    role: TargetRole,
}

#[derive(Clone, Debug)]
struct Call {
    confirmed: Option<EffectClass>,
    satisfied: Vec<&'static str>,
    tool: (&'static str, &'static str),
    traced: Vec<Traced>,
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
send = {}
look = {}

[allow.mcp.mail.ruled]
to   = { free = true, target = true, named = NAMED }
body = { free = true }

[allow.mcp.bank]
pay = {}

[allow.mcp.files]
"*" = {}

[effect.mcp.mail]
send = "send"
look = "read"

[effect.mcp.bank]
pay = "pay"

[effect.mcp.files]
delete = "destroy"

[danger.first]
when = "mcp:files/close*"
gate = "default"

[danger.second]
when = "mcp:files/close*"
gate = "payments"

[gate.default]
group = "leads"

[gate.payments]
group = "treasury"
"#
        .replace("NAMED", if self.named { "true" } else { "false" });
        if self.target.is_some() || self.payload.is_some() {
            source.push_str("\n[data]\n");
        }
        let gate =
            |rule: &Rule| if rule.otherwise == "ask" { format!(", gate = {:?}", rule.gate) } else { String::new() };
        if let Some(rule) = &self.target {
            let demanded = |key, effects: &[&str]| match effects.is_empty() || rule.otherwise == "keep" {
                true => String::new(),
                false => format!(", {key} = {effects:?}"),
            };
            let (named, selected) = (demanded("named", &rule.named), demanded("selected", &rule.selected));
            let gate = gate(rule);
            writeln!(source, "untrusted-target = {{ else = {:?}{gate}{named}{selected} }}", rule.otherwise).unwrap();
        }
        if let Some(rule) = &self.payload {
            writeln!(source, "untrusted-payload = {{ else = {:?}{} }}", rule.otherwise, gate(rule)).unwrap();
        }
        source
    }

    /// `None` where it is denied, else the gates that are asked.
    fn asks(&self, call: &Call) -> Option<Vec<&'static str>> {
        let effect = match (call.tool.1, call.confirmed) {
            ("unconfirmed", Some(confirmed)) => confirmed.as_str(),
            (said, _) => said,
        };
        let mut gates = Vec::new();
        for (rule, role) in [(&self.target, TargetRole::Target), (&self.payload, TargetRole::Payload)] {
            let Some(rule) = rule else { continue };
            if effect == "read" || rule.otherwise == "keep" {
                continue;
            }
            let is_for = |effects: &[&str]| {
                role == TargetRole::Target
                    && !effects.is_empty()
                    && (effect == "unconfirmed" || effects.contains(&effect))
            };
            let (is_strict, is_selective) = (is_for(&rule.named), is_for(&rule.selected));
            let is_bad = |origin: Origin| match origin {
                Origin::Mission | Origin::Initiator | Origin::Endorsed => false,
                Origin::Selected => is_strict,
                Origin::Trusted => is_strict || is_selective,
                Origin::Untrusted | Origin::Sent | Origin::Unknown => true,
            };
            if call.traced.iter().any(|traced| traced.role == role && is_bad(traced.origin)) {
                match rule.otherwise {
                    "deny" => return None,
                    _ => gates.push(rule.gate),
                }
            }
        }
        let is_named =
            |traced: &Traced| traced.argument == "to" && matches!(traced.origin, Origin::Mission | Origin::Initiator);
        if call.tool.0 == "mcp:mail/ruled" && self.named && !call.traced.iter().any(is_named) {
            return None;
        }
        gates.sort_unstable();
        gates.dedup();
        gates.retain(|gate| !call.satisfied.contains(gate));
        Some(gates)
    }
}

fn models() -> impl Strategy<Value = Model> {
    let rule = || {
        let effects = (subsequence(&EFFECTS[..], 0..=2), subsequence(&EFFECTS[..], 0..=2));
        let rule =
            (select(&WORDS[..]), select(&GATES[..]), effects).prop_map(|(otherwise, gate, (named, selected))| {
                let selected = selected.into_iter().filter(|effect| !named.contains(effect)).collect();
                Rule { gate, named, otherwise, selected }
            });
        prop::option::of(rule)
    };
    (any::<bool>(), rule(), rule()).prop_map(|(named, payload, target)| Model { named, payload, target })
}

fn calls() -> impl Strategy<Value = Vec<Call>> {
    let traced = |argument| {
        let roles = select(&[TargetRole::Target, TargetRole::Payload][..]);
        prop::option::of((select(Origin::ALL), roles).prop_map(move |(origin, role)| Traced { argument, origin, role }))
    };
    let traced = (traced("body"), traced("to")).prop_map(|(body, to)| body.into_iter().chain(to).collect());
    let call = (select(&TOOLS[..]), traced, prop::option::of(select(EffectClass::ALL)), subsequence(&GATES[..], 0..=1));
    let call = call.prop_map(|(tool, traced, confirmed, satisfied)| Call { confirmed, satisfied, tool, traced });
    prop::collection::vec(call, 24)
}

fn decided(policy: &PolicySnapshot, call: &Call) -> Decision {
    let provenance = call.traced.iter().map(|traced| TargetOrigin {
        argument: traced.argument.into(),
        origin: traced.origin,
        role: traced.role,
        source: None,
    });
    let arguments = r#"{"to":"ann@corp.example","body":"text"}"#;
    let classified = Classified {
        confirmed: call.confirmed,
        gates: call.satisfied.iter().map(|gate| Arc::from(*gate)).collect(),
        provenance: provenance.collect(),
        ..classified(policy, "bot", parse_tool(call.tool.0), arguments, Standing::Good)
    };
    decide(&classified, policy, "2026-12-01T12:00:00Z".parse().unwrap())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 80, ..ProptestConfig::default() })]

    #[test]
    fn calls_act_on_what_those_named_who_may(model in models(), calls in calls()) {
        let policy = snapshot(&model.source());
        for call in calls {
            let decision = decided(&policy, &call);
            let gates: Vec<&str> = decision.gates.iter().map(|gate| &**gate).collect();
            let said = format!("{call:?}: {}\n{}", decision.sentence, model.source());
            match model.asks(&call) {
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
    fn what_cares_less_who_named_it_is_called_wider(
        old in models(),
        new in models(),
        keeps in 0..3_u8,
        calls in calls(),
    ) {
        // Mostly one thing is changed, and not everything.
        let new = match keeps {
            0 => Model { target: old.target.clone(), payload: old.payload.clone(), ..new },
            1 => Model { named: old.named, payload: old.payload.clone(), ..new },
            _ => new,
        };
        let (before, after) = (snapshot(&old.source()), snapshot(&new.source()));
        let changes = compare(before.mission(), after.mission());
        let is_wider = overall(&changes).is_some_and(|direction| direction.is_wider());
        let grade = |effect: Effect| match effect { Effect::Deny => 0, Effect::Ask => 1, Effect::Allow => 2 };
        for call in calls {
            let call = Call { satisfied: Vec::new(), ..call };
            let [was, is] = [&before, &after].map(|policy| decided(policy, &call).effect);
            prop_assert!(
                grade(is) <= grade(was) || is_wider,
                "{call:?} was {was} and is {is}\n{changes:#?}\n{}\n{}", old.source(), new.source()
            );
        }
        prop_assert!(compare(before.mission(), before.mission()).is_empty());
    }
}

#[test]
fn the_sentence_says_where_the_value_stands() {
    let source =
        |rule: &str| format!("{}\n[data]\n{rule}\n", Model { named: true, payload: None, target: None }.source());
    let traced = |argument: &str, origin, role, source: Option<&str>| TargetOrigin {
        argument: argument.into(),
        origin,
        role,
        source: source.map(Into::into),
    };
    let body = Some("mcp:mail/read_mail:body");
    let to = traced("to", Origin::Untrusted, TargetRole::Target, body);
    let link = traced("body", Origin::Untrusted, TargetRole::Payload, body);
    for (rule, tool, provenance, effect, reasons, sentence, agent) in [
        (
            "untrusted-target = 'ask'",
            "mcp:mail/send",
            vec![to.clone()],
            Effect::Ask,
            vec![Reason::UntrustedTarget],
            "argument `to` stands only in what `mcp:mail/read_mail` returned in `body`, and gate `default` must be satisfied (`data.untrusted-target`, line 48)",
            "argument `to`: nobody who may has named this value, and a person must approve that",
        ),
        (
            "untrusted-target = 'deny'\nuntrusted-payload = 'ask'",
            "mcp:mail/send",
            vec![link, to.clone()],
            Effect::Deny,
            vec![Reason::UntrustedTarget, Reason::UntrustedPayload],
            "argument `to` stands only in what `mcp:mail/read_mail` returned in `body` (`data.untrusted-target`, line 48); a link in argument `body` stands only in what `mcp:mail/read_mail` returned in `body`, and gate `default` must be satisfied (`data.untrusted-payload`, line 49)",
            "argument `to`: nobody who may has named this value; use one that the person you work for named, or tell them",
        ),
        (
            "untrusted-target = { else = 'deny', named = ['pay'] }",
            "mcp:bank/pay",
            vec![traced("to", Origin::Trusted, TargetRole::Target, Some("mcp:erp/list:iban"))],
            Effect::Deny,
            vec![Reason::UntrustedTarget],
            "argument `to` was named by nobody but what `mcp:erp/list` returned in `iban` (`data.untrusted-target`, line 48)",
            "argument `to`: nobody who may has named this value; use one that the person you work for named, or tell them",
        ),
        (
            "untrusted-target = 'keep'",
            "mcp:mail/ruled",
            vec![to],
            Effect::Deny,
            vec![Reason::ArgumentNotNamed],
            "argument `to` stands only in what `mcp:mail/read_mail` returned in `body`, and the mission or the initiator must name it (`allow.mcp.mail.ruled.to.named`, line 14)",
            "argument `to` must be a value that the person you work for named; send that, or tell them",
        ),
    ] {
        let policy = snapshot(&source(rule));
        let call = classified(&policy, "bot", parse_tool(tool), r#"{"to":"eve","body":"text"}"#, Standing::Good);
        let decision = decide(&Classified { provenance, ..call }, &policy, "2026-12-01T12:00:00Z".parse().unwrap());
        assert_eq!((decision.effect, decision.reasons), (effect, reasons), "{rule}");
        assert_eq!(&*decision.sentence, sentence);
        assert_eq!(&*decision.said_to_agent, agent);
    }
}

#[test]
fn a_call_that_nobody_has_traced_acts_on_what_nobody_named() {
    let source =
        |rule: &str| format!("{}\n[data]\n{rule}\n", Model { named: false, payload: None, target: None }.source());
    for (rule, tool, effect, reasons) in [
        ("untrusted-target = 'deny'", "mcp:mail/send", Effect::Deny, vec![Reason::UntrustedTarget]),
        ("untrusted-payload = 'deny'", "mcp:mail/send", Effect::Deny, vec![Reason::UntrustedPayload]),
        ("untrusted-target = 'deny'", "mcp:mail/look", Effect::Allow, vec![]),
        ("touches = ['pii']", "mcp:mail/send", Effect::Allow, vec![]),
    ] {
        let policy = snapshot(&source(rule));
        let call = classified(&policy, "bot", parse_tool(tool), r#"{"to":"eve"}"#, Standing::Good);
        let decision = decide(&call, &policy, "2026-12-01T12:00:00Z".parse().unwrap());
        assert_eq!((decision.effect, decision.reasons), (effect, reasons), "{rule} {tool}");
    }
}
