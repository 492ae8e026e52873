use std::sync::Arc;

use super::*;
use crate::decide::cases::{Before, decide_after};
use crate::decide::compile;
use crate::mission::{overall, parse};
use evidence::record::FacetValue;

const HEADER: &str = "mission = 'm'\ngoal = 'g'\nowner = 'o'\nagents = ['bot']\nuntil = 2026-12-31\nwhy = 'w'\n";

fn policy(rules: &str) -> PolicySnapshot {
    let source = if rules.contains("mission =") { rules.to_owned() } else { format!("{HEADER}{rules}") };
    compile(Arc::new(parse(&source).unwrap_or_else(|error| panic!("{}", error.render(rules))))).unwrap()
}

/// Each change with its direction and examples, one a line.
fn told(old: &str, new: &str) -> (Option<Direction>, Vec<String>) {
    let (old, new) = (policy(old), policy(new));
    let proved = Versions { old: &old, new: &new }.changes();
    let changes: Vec<Change> = proved.iter().map(|proved| proved.change.clone()).collect();
    let lines = proved.iter().map(|Proved { change, newly_allowed, newly_denied }| {
        let part = |sign: &str, example: &Option<Example>| {
            let shown = example.as_ref().map(|Example { call, arguments, .. }| format!(" {sign} {call} {arguments}"));
            shown.unwrap_or_default()
        };
        let (allowed, denied) = (part("+", newly_allowed), part("-", newly_denied));
        format!("{}: {}{allowed}{denied}", change.direction, change.sentence)
    });
    (overall(&changes), lines.collect())
}

#[test]
fn every_kind_of_change_is_told_with_an_example_that_both_deciders_prove() {
    let tool = |rule: &str| format!("[allow.mcp.s.t]\nn = {{ {rule} }}\n");
    let mut shown = String::new();
    for (old, new) in [
        (tool("min = 1, max = 5"), tool("min = 1, max = 9")),
        (tool("min = 1, max = 5"), tool("min = 2, max = 4")),
        (tool("min = 1, max = 5"), tool("min = 3, max = 9")),
        (tool("min = 1, max = 5"), tool("in = [2, 5]")),
        (tool("in = ['a', 'b']"), tool("in = ['b', 'a', 'c']")),
        (tool("in = ['EUR']"), tool("length = 3")),
        (tool("path = ['/srv/docs']"), tool("path = ['/srv']")),
        (tool("path = ['/']"), tool("path = ['/srv', '/etc']")),
        (tool("domain = ['*.lab.example']"), tool("domain = ['lab.example', '*.lab.example']")),
        (tool("url = ['https://a.example/v1/*']"), tool("url = ['https://a.example/*']")),
        (tool("url = ['https://a.example/v1/x']"), tool("url = ['https://*.example/v1/x']")),
        (tool("pattern = 'INV-[0-9]{6}'"), tool("pattern = 'INV-[0-9]{4}'")),
        (tool("length = 10"), tool("length = { min = 1, max = 20 }")),
        (tool("pattern = '[a-z]*'"), tool("path = ['/srv']")),
        (tool("in = ['a']"), tool("free = true")),
        (tool("in = ['a']"), tool("in = ['a'], optional = true")),
        (tool("in = ['a'], optional = true"), tool("in = ['a']")),
        (tool("in = ['a']"), format!("{}m = {{ free = true, optional = true }}\n", tool("in = ['a']"))),
        (tool("in = ['a']"), format!("{}m = {{ in = ['x'] }}\n", tool("in = ['a']"))),
        (tool("in = ['a']"), "[allow.mcp.s]\nt = {}\n".to_owned()),
        ("[allow.mcp.s]\nt = {}\n".to_owned(), tool("in = ['a']")),
        (tool("in = ['a']"), format!("[allow.mcp.s]\nu = {{}}\n{}", tool("in = ['a']"))),
        (tool("in = ['a']"), format!("[allow.mcp.s]\n'*' = {{}}\n{}", tool("in = ['a']"))),
        ("[allow.mcp.s]\n'*' = {}\n".to_owned(), tool("in = ['a']")),
        (tool("min = 1, max = 5, per_day = 10"), tool("min = 1, max = 5, per_day = 20, per_run = 9")),
        (tool("min = 1, max = 5"), format!("{}[budget]\ncalls = {{ per_run = 5 }}\n", tool("min = 1, max = 5"))),
        (
            format!("{}[danger.d]\nwhen = 'mcp:s/t'\nover = {{ n = 3 }}\n", tool("min = 1, max = 9")),
            format!("{}[danger.e]\nwhen = 'mcp:s/*'\nover = {{ n = 5 }}\n", tool("min = 1, max = 9")),
        ),
        (
            format!("{}[danger.d]\nwhen = 'mcp:s/t'\nover = {{ n = 3 }}\n", tool("min = 1, max = 9")),
            format!("{}[danger.other-name]\nwhen = 'mcp:s/*'\nover = {{ n = 3 }}\n", tool("min = 1, max = 9")),
        ),
        (
            "[allow.mcp.s]\nresources = ['memo:*', 'file:///srv/a']\nprompts = ['p']\n".to_owned(),
            "[allow.mcp.s]\nresources = ['*']\nprompts = ['*']\nrequests = ['x/y']\nsampling = true\n".to_owned(),
        ),
        (
            "[allow.mcp.s]\nresources = ['https://a.example/*/public']\n".to_owned(),
            "[allow.mcp.s]\nresources = ['https://a.example/*/*']\n".to_owned(),
        ),
        (tool("in = ['a']"), format!("{}[allow.mcp.other]\nt = {{}}\n", tool("in = ['a']"))),
        (
            format!("{}[effect.mcp.s]\nt = 'pay'\n", tool("in = ['a']")),
            format!("{}[effect.mcp.s]\nt = 'read'\n", tool("in = ['a']")),
        ),
        (
            format!("{HEADER}{}", tool("in = ['a']")),
            format!("{HEADER}{}", tool("in = ['a']"))
                .replace("'bot'", "'bot', 'fox'")
                .replace("2026-12-31", "2027-12-31"),
        ),
        (tool("in = ['a']"), format!("initiators = ['*@corp.example']\n{}", tool("in = ['a']"))),
        (
            format!("initiators = ['ana@corp.example', 'bob@lab.example']\n{}", tool("in = ['a']")),
            format!("initiators = ['*@corp.example']\n{}", tool("in = ['a']")),
        ),
        (
            format!("hours = [{{ from = '08:00', to = '18:00' }}]\n{}", tool("in = ['a']")),
            format!("hours = [{{ days = ['mon'], from = '06:00', to = '18:00' }}]\n{}", tool("in = ['a']")),
        ),
        (tool("in = ['a']"), tool("in = ['a']")),
    ] {
        let (direction, lines) = told(&old, &new);
        shown.push_str(&format!(
            "{}\n{}\n\n",
            direction.map_or("the same", Direction::as_str),
            lines.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join("\n")
        ));
    }
    insta::with_settings!({ snapshot_path => "../../../../../corpus/missions", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("compared", shown);
    });
}

/// Every shipped mission, each of its tools, with arguments at the edges of its rules and beyond them: how each is decided. Read it before you accept a change.
#[test]
fn the_shipped_missions_decide_as_was_reviewed() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../missions");
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut matrix = String::new();
    for file in files.iter().filter(|file| !file.to_string_lossy().ends_with(".cases.toml")) {
        let policy = policy(&std::fs::read_to_string(file).unwrap());
        let mission = policy.mission();
        matrix.push_str(&format!("# {}\n", mission.name()));
        for (server, upstream) in mission.rules() {
            for (tool, rules) in &upstream.tools {
                for (what, arguments) in edges(rules) {
                    let call = Tool {
                        endpoint: Endpoint::Tool,
                        name: tool.clone(),
                        surface: Surface::Mcp,
                        upstream: server.clone(),
                    };
                    let agent = mission.agents()[0].clone();
                    let mut before = Before::nothing(&policy);
                    for source in mission.sources() {
                        let value = FacetValue { kind: "text".into(), text: RETURNED.into() };
                        before.returned.add_value(&source, &value);
                    }
                    let decision = decide_after(&policy, agent, &call, &arguments, mission.last_moment(), &before);
                    let reasons: Vec<&str> = decision.reasons.iter().map(|reason| reason.code()).collect();
                    let shown: String = arguments.chars().take(160).collect();
                    matrix.push_str(&format!("{:5} {call} {what}: {shown} {}\n", decision.effect, reasons.join(" ")));
                }
            }
        }
        matrix.push('\n');
    }
    insta::with_settings!({ snapshot_path => "../../../../../corpus/decisions", prepend_module_to_snapshot => false, omit_expression => true }, {
        insta::assert_snapshot!("matrix", matrix);
    });
}

/// What every earlier call returned in every field that rules name.
const RETURNED: &str = "R-1";

/// Values that agents try where a rule stands.
const BEYOND: [(&str, &str); 12] = [
    ("null", "null"),
    ("true", "true"),
    ("nothing", "\"\""),
    ("below zero", "-1"),
    ("a fraction of a cent", "0.001"),
    ("a large number", "1e15"),
    ("a number as text", "\"5\""),
    ("a way up", "\"/srv/docs/../../etc/passwd\""),
    ("somebody else", "\"me@attacker.example\""),
    ("another address", "\"https://attacker.example/\""),
    ("an empty list", "[]"),
    ("an object", "{\"a\":1}"),
];

/// What to send to a tool: the simplest that it takes, each edge of each argument, each of [`BEYOND`], one left out, and one too many.
fn edges(rules: &ToolRules) -> Vec<(String, String)> {
    let mut base = base(rules, rules);
    let sourced = rules.arguments.iter().filter(|(_, rule)| matches!(rule.constraint, Constraint::From(_)));
    base.extend(sourced.map(|(name, _)| (name.clone(), quoted(RETURNED))));
    let text = |arguments: &[(Arc<str>, String)]| {
        let members: Vec<String> = arguments.iter().map(|(name, value)| format!("{}:{value}", quoted(name))).collect();
        format!("{{{}}}", members.join(","))
    };
    let mut edges = vec![("simplest".to_owned(), text(&base))];
    for (name, rule) in &rules.arguments {
        let without: Vec<_> = base.iter().filter(|(other, _)| other != name).cloned().collect();
        edges.push((format!("without {name}"), text(&without)));
        let inside = values_of(&rule.constraint).into_iter().map(|value| ("edge".to_owned(), value));
        let beyond = BEYOND.iter().map(|(what, value)| ((*what).to_owned(), (*value).to_owned()));
        for (what, value) in inside.chain(beyond) {
            let mut arguments = without.clone();
            arguments.push((name.clone(), value));
            edges.push((format!("{name} {what}"), text(&arguments)));
        }
    }
    let mut more = base;
    more.push(("unlisted".into(), "1".to_owned()));
    edges.push(("one too many".to_owned(), text(&more)));
    edges
}

#[test]
fn who_named_it_is_shown_with_a_call_that_nobody_named() {
    let mission = |rule: &str, data: &str| {
        policy(&format!(
            "[allow.mcp.s]\nt = {{ to = {{ {rule} }} }}\n[effect.mcp.s]\nt = 'send'\n[allow.mcp.z]\nz = {{}}\n[danger.z]\nwhen = 'mcp:z/z'\n[gate.default]\ngroup = 'g'\n[data]\n{data}\n"
        ))
    };
    let free = "free = true, target = true";
    for (old, new, allowed, denied) in [
        ((free, "untrusted-target = 'ask'"), (free, "untrusted-target = 'keep'"), Some(false), None),
        ((free, "untrusted-target = 'keep'"), (free, "untrusted-target = 'deny'"), None, Some(false)),
        (("free = true, named = true", "touches = ['pii']"), (free, "touches = ['pii']"), Some(false), None),
        ((free, "untrusted-target = 'ask'"), ("free = true", "untrusted-target = 'ask'"), Some(false), None),
        // Where both ask, whoever was asked for it shows what the rule for the value lets in.
        (
            ("path = ['/srv/docs']", "untrusted-target = 'ask'"),
            ("path = ['/srv']", "untrusted-target = 'ask'"),
            Some(true),
            None,
        ),
    ] {
        let (before, after) = (mission(old.0, old.1), mission(new.0, new.1));
        let proved = Versions { old: &before, new: &after }.changes();
        let has_words = |example: &Option<Example>| example.as_ref().map(|example| example.words.is_some());
        let found: Vec<_> =
            proved.iter().map(|proved| (has_words(&proved.newly_allowed), has_words(&proved.newly_denied))).collect();
        assert!(found.contains(&(allowed, denied)), "{old:?} to {new:?}: {proved:#?}");
    }
}
