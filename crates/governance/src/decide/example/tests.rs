use std::sync::Arc;

use super::*;
use crate::decide::compile;
use crate::mission::{overall, parse};

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
