//! Decisions against the corpus, and against a slow and obvious second decider.

use std::fmt::Write as _;
use std::path::Path;

use bytes::Bytes;
use evidence::ids::{CallId, RecordId};
use evidence::record::{Agent, Authenticated, Body, Context as Actor, DecisionPoint, Initiator, Place, read, write};
use serde::Deserialize;

use super::*;
use crate::classify::{Returned, classify};
use crate::decide::{Rederived, compile, rederive};
use crate::intercept::Intercepted;
use crate::mission;
use crate::record;

/// One file of `corpus/decisions`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Corpus {
    case: Vec<Case>,
    mission: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    #[serde(default = "bot")]
    agent: String,
    #[serde(default)]
    arguments: String,
    arguments_count: Option<usize>,
    arguments_repeat: Option<Repeat>,
    #[serde(default = "noon")]
    at: String,
    call: String,
    expect: Expect,
    name: String,
    /// The exact result of an earlier call of every tool that rules name with `from`.
    returned: Option<String>,
    rules: Option<Vec<String>>,
    says: Option<String>,
    standing: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Repeat {
    after: String,
    before: String,
    repeat: String,
    times: usize,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Expect {
    Allow(String),
    Reasons(Vec<String>),
}

fn bot() -> String {
    "bot".to_owned()
}

fn noon() -> String {
    "2026-11-23T12:00:00Z".to_owned()
}

#[test]
fn every_case_of_the_corpus_is_decided_as_it_says() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../corpus/decisions");
    let mut files: Vec<_> = std::fs::read_dir(&dir).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut failures = String::new();
    let mut cases = 0;
    for file in files.iter().filter(|file| file.extension().is_some_and(|extension| extension == "toml")) {
        let corpus: Corpus = toml::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        let policy = snapshot(&corpus.mission);
        for case in &corpus.case {
            cases += 1;
            if let Err(failure) = check(case, &policy) {
                let _ = writeln!(failures, "{}: {}: {failure}", file.file_name().unwrap().display(), case.name);
            }
        }
    }
    assert!(failures.is_empty(), "{failures}");
    assert!(cases >= 150, "only {cases} cases were found");
}

fn check(case: &Case, policy: &PolicySnapshot) -> Result<(), String> {
    let arguments = match (&case.arguments_repeat, case.arguments_count) {
        (Some(Repeat { after, before, repeat, times }), _) => format!("{before}{}{after}", repeat.repeat(*times)),
        (None, Some(count)) => {
            let members: Vec<String> = (0..count).map(|index| format!("\"a{index}\":0")).collect();
            format!("{{{}}}", members.join(","))
        }
        (None, None) => case.arguments.clone(),
    };
    let standing = match case.standing.as_deref() {
        None | Some("good") => Standing::Good,
        Some("halted") => Standing::Halted,
        Some("mission_revoked") => Standing::MissionRevoked,
        Some("run_ended") => Standing::RunEnded,
        Some("run_revoked") => Standing::RunRevoked,
        Some("stopping") => Standing::Stopping,
        Some(other) => panic!("no standing {other}"),
    };
    let mut returned = Returned::default();
    returned.add(policy.mission().sources().iter(), case.returned.as_deref().unwrap_or_default().as_bytes());
    let mut classified = classified(policy, &case.agent, parse_tool(&case.call), &arguments, standing);
    if case.returned.is_some() {
        let plan = policy.plan(classified.intercepted.tool());
        classified = classify(classified.intercepted, plan, classified.standing, &returned);
    }
    let decision = decide(&classified, policy, case.at.parse().unwrap());
    from_record(&classified, &decision, policy, case.at.parse().unwrap())?;
    let reasons: Vec<&str> = decision.reasons.iter().map(|reason| reason.code()).collect();
    match &case.expect {
        Expect::Allow(word) => {
            if word == "ask" {
                return match decision.effect == Effect::Ask && reasons == ["approval_required"] {
                    true => Ok(()),
                    false => Err(format!("{} with {reasons:?}: {}", decision.effect, decision.sentence)),
                };
            }
            assert_eq!(word, "allow");
            if decision.effect != Effect::Allow || !reasons.is_empty() || decision.rules.is_empty() {
                return Err(format!("denied with {reasons:?}: {}", decision.sentence));
            }
        }
        Expect::Reasons(expected) => {
            if decision.effect != Effect::Deny || reasons != *expected {
                return Err(format!(
                    "{} with {reasons:?} instead of {expected:?}: {}",
                    decision.effect, decision.sentence
                ));
            }
        }
    }
    if decision.sentence.is_empty() || decision.said_to_agent.is_empty() {
        return Err("nothing is said".to_owned());
    }
    if let Some(says) = &case.says
        && !decision.said_to_agent.contains(says)
    {
        return Err(format!("said `{}`", decision.said_to_agent));
    }
    let rules: Vec<&str> = decision.rules.iter().map(|rule| &*rule.id).collect();
    match &case.rules {
        Some(expected) if rules != *expected => Err(format!("by {rules:?}")),
        _ => Ok(()),
    }
}

/// Whoever has the record decides the same.
fn from_record(
    classified: &Classified,
    decision: &Decision,
    policy: &PolicySnapshot,
    at: Timestamp,
) -> Result<(), String> {
    let draft = record::decision(classified, decision, DecisionPoint::Call, None, at);
    let place = Place { emitter: "cs-0123456789abcdef", id: RecordId::from_bytes([3; 16]), recorded_at: at, seq: 7 };
    let mut bytes = Vec::new();
    write(&draft, place, &mut bytes).map_err(|error| error.to_string())?;
    let record = read(&bytes).map_err(|error| error.to_string())?;
    let Body::Decision(recorded) = &record.body else { return Err("no decision".to_owned()) };
    match rederive(&record, recorded, policy) {
        Rederived::Same => Ok(()),
        other => Err(format!("decided again: {other:?}")),
    }
}

pub(in crate::decide) fn snapshot(source: &str) -> PolicySnapshot {
    let mission = mission::parse(source).unwrap_or_else(|error| panic!("{}", error.render("mission.toml")));
    compile(Arc::new(mission)).unwrap()
}

/// `mcp:files/read_file`, `mcp:files/resource:file:///srv/a`: what [`Tool`] displays as.
pub(in crate::decide) fn parse_tool(text: &str) -> Tool {
    let (surface, upstream, rest) = mission::split_tool(text).unwrap();
    let endpoints = [Endpoint::Prompt, Endpoint::Request, Endpoint::Resource];
    let other = endpoints.into_iter().find_map(|endpoint| {
        let name = rest.strip_prefix(endpoint.as_str())?.strip_prefix(':')?;
        Some((endpoint, name))
    });
    let (endpoint, name) = other.unwrap_or((Endpoint::Tool, rest));
    Tool { endpoint, name: name.into(), surface, upstream: upstream.into() }
}

pub(in crate::decide) fn classified(
    policy: &PolicySnapshot,
    agent: &str,
    tool: Tool,
    arguments: &str,
    standing: Standing,
) -> Classified {
    let actor = Actor {
        agent: Agent { name: agent.into(), version: None },
        context: None,
        initiator: Initiator { authenticated: Authenticated::OsUser, name: "ann".into() },
        mission: Some(policy.mission().name().clone()),
        run: None,
    };
    let bytes = Bytes::copy_from_slice(arguments.as_bytes());
    let intercepted = Intercepted::new(CallId::from_bytes([7; 16]), Arc::new(actor), tool.clone(), bytes, None);
    classify(intercepted, policy.plan(&tool), standing, &Returned::default())
}

#[test]
fn a_tool_does_what_the_owner_says_and_else_nobody_knows() {
    let policy = snapshot(
        "mission = 'm'\ngoal = 'g'\nowner = 'o'\nagents = ['bot']\nuntil = 2026-12-31\nwhy = 'w'\n\
         [allow.mcp.s]\nlook = {}\npay = {}\nother = {}\nresources = ['memo:*']\nprompts = ['p']\nsampling = true\n[allow.mcp.open]\n'*' = {}\n\
         [effect.mcp.s]\nlook = 'read'\npay = 'pay'\n[effect.mcp.open]\nlook = 'read'\n",
    );
    for (tool, class) in [
        ("mcp:s/look", EffectClass::Read),
        ("mcp:s/pay", EffectClass::Pay),
        ("mcp:s/other", EffectClass::Unconfirmed),
        ("mcp:s/denied", EffectClass::Unconfirmed),
        ("mcp:s/request:sampling/createMessage", EffectClass::Unconfirmed),
        ("mcp:s/resource:memo:a", EffectClass::Read),
        ("mcp:s/prompt:p", EffectClass::Read),
        ("mcp:open/look", EffectClass::Read),
        ("mcp:open/pay", EffectClass::Unconfirmed),
        ("mcp:elsewhere/look", EffectClass::Unconfirmed),
        // What is said of a server says nothing of an engine that is called so.
        ("workflow:s/look", EffectClass::Unconfirmed),
    ] {
        let call = classified(&policy, "bot", parse_tool(tool), "{}", Standing::Good);
        assert_eq!(decide(&call, &policy, noon().parse().unwrap()).effect_class, class, "{tool}");
    }
}

#[test]
fn a_mission_that_is_only_observed_lets_run_what_is_not_grave_and_says_what_would_have_been() {
    let rules = "[allow.mcp.s.look]\nn = { min = 1, max = 5 }\n[allow.mcp.s.pay]\nn = { min = 1, max = 5 }\n[allow.mcp.s.other]\nn = { min = 1, max = 5 }\n\
         [allow.mcp.s.send]\n[danger.d]\nwhen = 'mcp:s/send'\n[effect.mcp.s]\nlook = 'read'\npay = 'pay'\nsend = 'send'\n";
    let header = "mission = 'm'\ngoal = 'g'\nowner = 'o'\nagents = ['bot']\nuntil = 2026-12-31\nwhy = 'w'\n";
    let observed = snapshot(&format!("{header}mode = 'observe'\n{rules}"));
    let enforced = snapshot(&format!("{header}mode = 'enforce'\n{rules}"));
    let decided = |policy: &PolicySnapshot, agent: &str, tool: &str, arguments: &str, at: &str, standing| {
        let decision =
            decide(&classified(policy, agent, parse_tool(tool), arguments, standing), policy, at.parse().unwrap());
        (decision.effect, decision.would, decision.reasons.first().copied())
    };
    let (noon, late) = (noon(), "2027-02-01T12:00:00.000000Z");
    let noon = noon.as_str();
    use Effect::{Allow, Ask, Deny};
    for (agent, tool, arguments, at, standing, effect, would, reason) in [
        ("bot", "mcp:s/look", r#"{"n":3}"#, noon, Standing::Good, Allow, None, None),
        ("bot", "mcp:s/look", r#"{"n":9}"#, noon, Standing::Good, Allow, Some(Deny), Some(Reason::ArgumentOutOfBounds)),
        (
            "bot",
            "mcp:s/look",
            r#"{"n":"x"}"#,
            noon,
            Standing::Good,
            Allow,
            Some(Deny),
            Some(Reason::ArgumentUnparsable),
        ),
        ("bot", "mcp:s/look", "{}", noon, Standing::Good, Allow, Some(Deny), Some(Reason::ArgumentMissing)),
        (
            "bot",
            "mcp:s/look",
            r#"{"n":3,"m":1}"#,
            noon,
            Standing::Good,
            Allow,
            Some(Deny),
            Some(Reason::ArgumentNotListed),
        ),
        ("bot", "mcp:s/resource:memo:a", "", noon, Standing::Good, Allow, Some(Deny), Some(Reason::ResourceNotAllowed)),
        ("bot", "mcp:s/send", "{}", noon, Standing::Good, Allow, Some(Ask), Some(Reason::ApprovalUnavailable)),
        ("bot", "mcp:s/pay", r#"{"n":9}"#, noon, Standing::Good, Deny, None, Some(Reason::ArgumentOutOfBounds)),
        ("bot", "mcp:s/other", r#"{"n":9}"#, noon, Standing::Good, Deny, None, Some(Reason::ArgumentOutOfBounds)),
        ("bot", "mcp:s/unnamed", "{}", noon, Standing::Good, Deny, None, Some(Reason::ToolNotAllowed)),
        ("bot", "workflow:s/look", r#"{"n":3}"#, noon, Standing::Good, Deny, None, Some(Reason::ToolNotAllowed)),
        ("bot", "mcp:s/request:x/y", "{}", noon, Standing::Good, Deny, None, Some(Reason::RequestNotAllowed)),
        ("fox", "mcp:s/look", r#"{"n":9}"#, noon, Standing::Good, Deny, None, Some(Reason::AgentNotAllowed)),
        ("bot", "mcp:s/look", r#"{"n":9}"#, late, Standing::Good, Deny, None, Some(Reason::MissionExpired)),
        ("bot", "mcp:s/look", r#"{"n":3}"#, noon, Standing::Halted, Deny, None, Some(Reason::Halted)),
    ] {
        let found = decided(&observed, agent, tool, arguments, at, standing);
        assert_eq!(found, (effect, would, reason), "{agent} {tool} {arguments} {at}");
        // Held to, the same is denied for the same reason.
        let held = decided(&enforced, agent, tool, arguments, at, standing);
        let expected = if reason.is_none() { Allow } else { Deny };
        assert_eq!(held, (expected, None, reason), "{agent} {tool} {arguments} {at}, held to");
    }
}

#[test]
fn a_mission_holds_for_its_initiators_in_its_hours() {
    let header = "mission = 'm'\ngoal = 'g'\nowner = 'o'\nagents = ['bot']\nuntil = 2026-12-31\nwhy = 'w'\n";
    let policy = |more: &str| snapshot(&format!("{header}{more}\n[allow.mcp.s]\nt = {{}}\nresources = ['memo:*']\n"));
    let reasons = |policy: &PolicySnapshot, at: &str| {
        // `ann` asks.
        let call = classified(policy, "bot", parse_tool("mcp:s/t"), "{}", Standing::Good);
        decide(&call, policy, at.parse().unwrap()).reasons
    };
    let (wednesday, sunday) = ("2026-11-25T12:00:00.000000Z", "2026-11-29T12:00:00.000000Z");
    for (initiators, expected) in [
        ("initiators = ['ann']", vec![]),
        ("initiators = ['ana', '*n']", vec![]),
        ("initiators = ['*nn']", vec![]),
        ("initiators = ['an']", vec![Reason::InitiatorNotAllowed]),
        ("initiators = ['*@corp.example', 'Ann']", vec![Reason::InitiatorNotAllowed]),
    ] {
        assert_eq!(reasons(&policy(initiators), wednesday), expected, "{initiators}");
    }
    let office = policy(
        "hours = [{ days = ['mon', 'wed'], from = '08:00', to = '12:01' }, { days = ['sun'], from = '23:00', to = '24:00' }]",
    );
    for (at, expected) in [
        (wednesday, vec![]),
        ("2026-11-25T08:00:00.000000Z", vec![]),
        ("2026-11-25T07:59:59.999999Z", vec![Reason::OutsideHours]),
        ("2026-11-25T12:01:00.000000Z", vec![Reason::OutsideHours]),
        ("2026-11-26T09:00:00.000000Z", vec![Reason::OutsideHours]),
        (sunday, vec![Reason::OutsideHours]),
        ("2026-11-29T23:59:59.999999Z", vec![]),
    ] {
        assert_eq!(reasons(&office, at), expected, "{at}");
    }
    // What is shown does not change with the hour or the person.
    let narrow = policy("initiators = ['*@corp.example']\nhours = [{ days = ['sun'], from = '23:00', to = '24:00' }]");
    for tool in ["mcp:s/t", "mcp:s/resource:memo:a"] {
        assert!(narrow.shows(&parse_tool(tool)), "{tool}");
    }
}
