//! The compiled policy as text, and what only a broken one can show: the missions that the reader accepts compile to sound ones.

use std::fmt::Write as _;
use std::path::Path;

use evidence::record::{Effect, Surface};

use super::slice::broken_slice;
use super::*;
use crate::classify::Standing;
use crate::decide::decide;
use crate::decide::evaluate::tests::{classified, snapshot};
use crate::reason::Reason;

const MISSION: &str = "mission = 'm'\ngoal = 'g'\nowner = 'o'\nagents = ['bot']\nuntil = 2026-12-31\nwhy = 'w'\n[allow.mcp.s]\ntool = {}\n";

#[test]
fn a_rule_that_fails_denies_instead_of_being_skipped() {
    let mut policy = snapshot(MISSION);
    let tool = Tool { endpoint: Endpoint::Tool, name: "tool".into(), surface: Surface::Mcp, upstream: "s".into() };
    let call = classified(&policy, "bot", tool, "{}", Standing::Good);
    let noon = "2026-11-23T12:00:00Z".parse().unwrap();
    assert_eq!(decide(&call, &policy, noon).effect, Effect::Allow);

    let broken = broken_slice(&policy.mission).unwrap();
    policy.upstreams.get_mut("s").unwrap().tools.insert("tool".into(), broken);
    let decision = decide(&call, &policy, noon);
    assert_eq!((decision.effect, decision.reasons), (Effect::Deny, vec![Reason::EvaluationFailed]));
}

#[test]
fn a_policy_that_breaks_its_schema_does_not_compile() {
    let mission = crate::mission::parse(MISSION).unwrap();
    let error = slice::unsound_slice(&mission).map(drop).unwrap_err();
    assert!(matches!(error, CompileError::Strict { .. }), "{error}");
}

#[test]
fn a_slice_changes_only_with_what_it_decides() {
    let digest = |source: &str, name: &str| {
        let policy = snapshot(source);
        let tool = Tool { endpoint: Endpoint::Tool, name: name.into(), surface: Surface::Mcp, upstream: "s".into() };
        policy.slice(&tool).sha256().cloned()
    };
    let commented = MISSION.replace("why = 'w'", "why = 'another'\n# A comment moves the lines.");
    assert_eq!(digest(MISSION, "tool"), digest(&commented, "tool"));
    assert_eq!(digest(MISSION, "tool"), digest(&format!("{MISSION}other = {{}}\n"), "tool"));
    assert_ne!(digest(MISSION, "tool"), digest(&MISSION.replace("2026", "2027"), "tool"));
    assert_ne!(digest(MISSION, "tool"), digest(&format!("{MISSION}[danger.d]\nwhen = 'mcp:s/tool'\n"), "tool"));
    assert_ne!(digest(MISSION, "tool"), digest(&format!("{MISSION}[effect.mcp.s]\ntool = 'read'\n"), "tool"));
    assert_eq!(digest(MISSION, "other"), None);
}

#[test]
fn policy_reads_as_it_did() {
    let missions = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../corpus/missions");
    let policy = snapshot(&std::fs::read_to_string(missions.join("everything.toml")).unwrap());
    let mut text = String::new();
    for (endpoint, upstream, name) in [
        (Endpoint::Tool, "one", "ruled"),
        (Endpoint::Tool, "one", "any"),
        (Endpoint::Tool, "one", "not named"),
        (Endpoint::Resource, "one", "any"),
        (Endpoint::Prompt, "two", "any"),
        (Endpoint::Request, "one", "any"),
        (Endpoint::Request, "two", "any"),
        (Endpoint::Request, "two", "subscriptions/listen"),
        (Endpoint::Tool, "three", "any"),
    ] {
        let tool = Tool { endpoint, name: name.into(), surface: Surface::Mcp, upstream: upstream.into() };
        let cedar = policy.cedar(&tool);
        cedar.parse::<cedar_policy::PolicySet>().unwrap();
        writeln!(text, "### {tool}\n\n{cedar}").unwrap();
    }
    insta::with_settings!({
        snapshot_path => missions, prepend_module_to_snapshot => false, omit_expression => true
    }, {
        insta::assert_snapshot!("cedar", text);
    });
}
