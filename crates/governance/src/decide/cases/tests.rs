use std::path::Path;

use super::*;
use crate::decide::compile;
use crate::mission;

fn file(name: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../missions").join(name)).unwrap()
}

#[test]
fn every_shipped_mission_has_cases_and_passes_them() {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../missions");
    let mut missions = 0;
    for entry in std::fs::read_dir(dir).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(stem) = name.strip_suffix(".toml").filter(|stem| !stem.ends_with(".cases")) else { continue };
        let Cases { cases, mission } = parse_cases(&file(&format!("{stem}.cases.toml"))).unwrap();
        assert_eq!(mission, name);
        let policy = compile(Arc::new(mission::parse(&file(&name)).unwrap())).unwrap();
        for case in &cases {
            let decision = case.decide(&policy);
            assert!(case.expect.is_met(&decision), "{name}: {}: {}", case.name, decision.sentence);
        }
        missions += 1;
    }
    assert!(missions >= 2, "only {missions} missions were found");
}

#[test]
fn what_is_wrong_with_a_file_is_told_with_its_line() {
    let good = "mission = 'm.toml'\n[[case]]\nname = 'n'\ncall = 'mcp:s/t'\nexpect = 'deny'\n";
    assert_eq!(parse_cases(good).unwrap().cases.first().unwrap().line, 3);
    for (source, line, says) in [
        ("", 1, "missing field `mission`"),
        ("mission = 'm.toml'\n", 1, "a test without cases proves nothing"),
        ("mission = 'm.toml'\n[[case]]\nname = 'n'\ncall = 'mcp:s/t'\nexpekt = 'deny'\n", 5, "unknown field `expekt`"),
        (&good.replace("mcp:s/t", "bank/send"), 4, "`bank/send` is no call"),
        (&good.replace("mcp:s/t", "mcp:s/"), 4, "`mcp:s/` is no call"),
        (&good.replace("'deny'", "'refuse'"), 5, "write `allow`, `ask` or `deny`"),
        (&format!("{good}reason = 'tool_not_alowed'\n"), 6, "did you mean `tool_not_allowed`?"),
        (&format!("{}reason = 'halted'\n", good.replace("'deny'", "'allow'")), 5, "remove `reason`"),
        (&format!("{good}at = 'noon'\n"), 6, "`noon` is no time"),
        (&format!("{good}arguments = 5\n"), 6, "a text with the exact JSON"),
        (&format!("{good}arguments = {{ day = 2026-11-23 }}\n"), 6, "write it as a text"),
        (&format!("{good}arguments = {{ size = inf }}\n"), 6, "JSON has no `inf`"),
        (&"x".repeat(CASES_BYTES_MAX + 1), 1, "split it"),
    ] {
        let error = parse_cases(source).unwrap_err();
        assert!(error.why.contains(says) && error.line == line, "{error} is not {line}: {says}");
    }
}

#[test]
fn arguments_are_the_json_that_they_look_like() {
    let case = |arguments: &str| {
        let source = format!(
            "mission = 'm'\n[[case]]\nname = 'n'\ncall = 'mcp:s/t'\nexpect = 'deny'\narguments = {arguments}\n"
        );
        parse_cases(&source).unwrap().cases.remove(0).arguments
    };
    for (written, json) in [
        ("{}", "{}"),
        (r#"{ a = "x\"\u0007", b = [1, -2.5, true, [], {}] }"#, r#"{"a":"x\"\u0007","b":[1,-2.5,true,[],{}]}"#),
        ("'{\"a\": 1e400}'", "{\"a\": 1e400}"),
    ] {
        assert_eq!(case(written), json);
    }
}

#[test]
fn asking_is_neither_allowing_nor_denying() {
    let Cases { cases, mission } = parse_cases(&file("knowledge-keeper.cases.toml")).unwrap();
    let policy = compile(Arc::new(mission::parse(&file(&mission)).unwrap())).unwrap();
    let of = |effect| cases.iter().find(|case| case.expect.effect == effect).unwrap().decide(&policy);
    for (is, met) in [
        (Effect::Allow, [true, false, false]),
        (Effect::Ask, [false, true, false]),
        (Effect::Deny, [false, false, true]),
    ] {
        let found =
            [Effect::Allow, Effect::Ask, Effect::Deny].map(|effect| Expected { effect, reason: None }.is_met(&of(is)));
        assert_eq!(found, met, "{is}");
    }
}
