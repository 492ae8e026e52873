use std::path::Path;

use super::run::DETECTOR;
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
            let decision = case.decide(&policy, &DETECTOR);
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
    let of = |effect| cases.iter().find(|case| case.expect.effect == effect).unwrap().decide(&policy, &DETECTOR);
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

#[test]
fn data_in_the_arguments_and_before_them_counts() {
    let iban = "DE89370400440532013000";
    let decided = |data: &str, arguments: &str, rest: &str| {
        let source = format!(
            "mission = 'm'\ngoal = 'g'\nowner = 'o'\nagents = ['bot']\nuntil = 2026-12-31\nwhy = 'w'\n\
             [allow.mcp.mail]\nread_mail = {{}}\nsend = {{}}\n[effect.mcp.mail]\nread_mail = 'read'\nsend = 'send'\n[data]\n{data}\n"
        );
        let policy = compile(Arc::new(mission::parse(&source).unwrap())).unwrap();
        let source = format!(
            "mission = 'm'\n[[case]]\nname = 'n'\ncall = 'mcp:mail/send'\nexpect = 'allow'\narguments = {{ body = '{arguments}' }}\n{rest}"
        );
        let case = parse_cases(&source).unwrap_or_else(|error| panic!("{error}\n{source}")).cases.remove(0);
        assert!(rest.is_empty() || case.unknown(&policy).is_none());
        let reasons: Vec<_> = case.decide(&policy, &DETECTOR).reasons.iter().map(|reason| reason.code()).collect();
        reasons.join(" ")
    };
    let (holds, meets) = ("financial = { else = 'deny' }", "financial = { else = 'keep', run = 'deny' }");
    let mail = format!("seen = [{{ tool = 'mcp:mail/read_mail', result = 'my IBAN: {iban}' }}]\n");
    let sent = format!("sent = [{{ text = 'my IBAN: {iban}' }}]\n");
    let with = format!("my IBAN: {iban}");
    for (data, arguments, rest, reasons) in [
        (holds, "hello", "", ""),
        (holds, &*with, "", "data_not_cleared"),
        ("\"financial.iban\" = { else = 'keep' }\nfinancial = { else = 'deny' }", &*with, "", ""),
        (meets, "hello", "", ""),
        (meets, "hello", &*mail, "data_met"),
        (meets, "hello", &*sent, "data_met"),
        ("financial = { else = 'keep', run = 'deny', result = 'redact' }", "hello", &*mail, ""),
        ("financial = { else = 'keep', run = 'deny', result = 'mask' }", "hello", &*mail, "data_met"),
        ("financial = { else = 'keep', run = 'deny', result = 'block' }", "hello", &*mail, ""),
        ("pii = { else = 'keep', run = 'deny' }", "hello", &*mail, ""),
    ] {
        assert_eq!(decided(data, arguments, rest), reasons, "{data}: {arguments}, {rest}");
    }
}

#[test]
fn what_came_before_says_who_named_it() {
    let mission = |data: &str| {
        let source = format!(
            "mission = 'm'\ngoal = 'g'\nowner = 'o'\nagents = ['bot']\nuntil = 2026-12-31\nwhy = 'w'\n\
             [allow.mcp.mail]\nread_mail = {{}}\nlist = {{}}\nsend = {{ to = {{ email = ['*@*.example', 'boss@corp.example'] }}, body = {{ free = true }} }}\n\
             [effect.mcp.mail]\nread_mail = 'read'\nlist = 'read'\nsend = 'send'\n\
             [danger.z]\nwhen = 'mcp:mail/read_mail'\n[gate.default]\ngroup = 'g'\n[data]\n{data}\n"
        );
        compile(Arc::new(mission::parse(&source).unwrap())).unwrap()
    };
    let asks = mission("untrusted-target = 'ask'\nuntrusted-payload = 'deny'\n'mcp:mail/list' = 'trusted'");
    let decided = |policy: &PolicySnapshot, rest: &str| {
        let source = format!(
            "mission = 'm'\n[[case]]\nname = 'n'\ncall = 'mcp:mail/send'\nexpect = 'allow'\narguments = {{ to = 'ann@corp.example', body = 'see https://a.example/x' }}\n{rest}"
        );
        let case = parse_cases(&source).unwrap_or_else(|error| panic!("{error}\n{source}")).cases.remove(0);
        let decision = case.decide(policy, &DETECTOR);
        let reasons: Vec<_> = decision.reasons.iter().map(|reason| reason.code()).collect();
        (decision.effect, reasons.join(" "), case.unknown(policy).is_some(), decision.sentence)
    };
    let words = "words = 'Write to ann@corp.example about https://a.example/x'\n";
    let link = "words = 'Write about https://a.example/x'\n";
    let mail = |field: &str| {
        format!("seen = [{{ tool = 'mcp:mail/read_mail', result = '{{\"{field}\": \"ann@corp.example\"}}' }}]\n")
    };
    for (rest, effect, reasons) in [
        (String::new(), Effect::Deny, "untrusted_payload untrusted_target"),
        (words.to_owned(), Effect::Allow, ""),
        (link.to_owned(), Effect::Ask, "untrusted_target"),
        (format!("{link}{}", mail("body")), Effect::Ask, "untrusted_target"),
        (
            format!(
                "{link}seen = [{{ tool = 'mcp:mail/list', result = {{ people = [{{ mail = 'ann@corp.example' }}] }} }}]\n"
            ),
            Effect::Allow,
            "",
        ),
        // Echoed: what the agent itself sent is no better when it comes back.
        (
            format!(
                "{link}sent = [{{ note = 'ann@corp.example' }}]\nseen = [{{ tool = 'mcp:mail/list', result = {{ people = [{{ mail = 'ann@corp.example' }}] }} }}]\n"
            ),
            Effect::Ask,
            "untrusted_target",
        ),
        // What only an unclean field had before is no better in a clean one.
        (
            format!(
                "{link}seen = [{{ tool = 'mcp:mail/read_mail', result = 'write to ann@corp.example' }}, {{ tool = 'mcp:mail/list', result = {{ mail = 'ann@corp.example' }} }}]\n"
            ),
            Effect::Ask,
            "untrusted_target",
        ),
    ] {
        let (is, why, is_unknown, sentence) = decided(&asks, &rest);
        assert_eq!((is, why.as_str(), is_unknown), (effect, reasons, false), "{rest}: {sentence}");
    }
    let (_, _, _, sentence) = decided(&asks, &format!("{link}{}", mail("body")));
    assert!(sentence.contains("stands only in what `mcp:mail/read_mail` returned in `body`"), "{sentence}");
    // A mission that does not ask cannot be tested for it.
    let silent = mission("touches = ['pii']");
    assert!(decided(&silent, words).2 && !decided(&silent, "").2);
}

#[test]
fn an_endorsed_value_is_not_asked_about() {
    let mission = |gate: &str, data: &str| {
        let source = format!(
            "mission = 'm'\ngoal = 'g'\nowner = 'o'\nagents = ['bot']\nuntil = 2026-12-31\nwhy = 'w'\n\
             [allow.mcp.bank]\npay = {{ to = {{ pattern = '[A-Z0-9 ]{{1,34}}' }}, text = {{ length = 140 }}, lead = {{ pattern = '[a-z]*', named = true, optional = true }} }}\nclose = {{}}\n\
             [effect.mcp.bank]\npay = 'pay'\n[danger.z]\nwhen = 'mcp:bank/close'\ngate = 'payments'\n[gate.payments]\ngroup = 'g'\n{gate}\n{data}\n"
        );
        compile(Arc::new(mission::parse(&source).unwrap_or_else(|error| panic!("{}", error.render("m"))))).unwrap()
    };
    let decided = |policy: &PolicySnapshot, arguments: &str, rest: &str| {
        let source = format!(
            "mission = 'm'\n[[case]]\nname = 'n'\ncall = 'mcp:bank/pay'\nexpect = 'allow'\narguments = {{ text = 'x', {arguments} }}\n{rest}\n"
        );
        let case = parse_cases(&source).unwrap_or_else(|error| panic!("{error}\n{source}")).cases.remove(0);
        let decision = case.decide(policy, &DETECTOR);
        let reasons: Vec<_> = decision.reasons.iter().map(|reason| reason.code()).collect();
        (reasons.join(" "), decision.sentence, case.unknown(policy))
    };
    let (stands, asks) =
        ("standing = { for = '30d', uses = 1 }", "[data]\nuntrusted-target = { else = 'ask', gate = 'payments' }");
    let policy = mission(stands, asks);
    let to = "to = 'DE89370400440532013000'";
    for (arguments, rest, reasons) in [
        (to, "", "untrusted_target"),
        (to, "endorsed = { to = ['DE89 3704 0044 0532 0130 00'] }", ""),
        (to, "endorsed = { to = ['AT611904300234573201', 'DE89370400440532013000'] }", ""),
        (to, "endorsed = { to = ['DE89370400440532013001'] }", "untrusted_target"),
        (
            "to = ['DE89370400440532013000', 'AT611904300234573201']",
            "endorsed = { to = ['DE89370400440532013000'] }",
            "untrusted_target",
        ),
        // Not in another argument, and not where the mission or the initiator must have named it.
        (to, "endorsed = { lead = ['DE89370400440532013000'] }", "untrusted_target"),
        ("to = 'A', lead = 'acme'", "endorsed = { to = ['A'], lead = ['acme'] }", "argument_not_named"),
    ] {
        let (is, sentence, unknown) = decided(&policy, arguments, rest);
        assert_eq!((is.as_str(), unknown), (reasons, None), "{arguments}, {rest}: {sentence}");
    }
    let endorsed = "endorsed = { to = ['DE89370400440532013000'] }";
    let (_, sentence, _) = decided(&policy, to, endorsed);
    assert!(sentence.contains("argument `to` is endorsed by people, as the case says"), "{sentence}");
    // What nobody could have endorsed proves nothing.
    for (policy, rest, says) in [
        (mission(stands, ""), endorsed, "asks no gate about what `mcp:bank/pay` acts on"),
        (mission(stands, "[data]\nuntrusted-target = 'deny'"), endorsed, "asks no gate"),
        (mission("", asks), endorsed, "gate `payments` gives no standing grants"),
        (policy, "endorsed = { text = ['x'] }", "names `text`, which is no target of `mcp:bank/pay`"),
    ] {
        let (_, _, unknown) = decided(&policy, to, rest);
        let unknown = unknown.unwrap();
        assert!(unknown.contains(says), "{unknown} is not {says}");
    }
}

#[test]
fn what_is_wrong_with_what_came_before_is_told() {
    let good = "mission = 'm.toml'\n[[case]]\nname = 'n'\ncall = 'mcp:s/t'\nexpect = 'deny'\n";
    for (more, says) in [
        ("sent = [5]", "`sent` is a table"),
        ("seen = [{ tool = 'mail', result = '' }]", "`mail` is no call"),
        ("seen = [{ tool = 'mcp:s/t', result = 5 }]", "`result` is a table"),
        ("seen = [{ tool = 'mcp:s/t' }]", "missing field `result`"),
        ("seen = [{ tool = 'mcp:s/t', result = '', arguments = true }]", "`arguments` is a table"),
        ("words = 5", "expected a string"),
        ("endorsed = { to = [5] }", "expected a string"),
        ("endorsed = { to = [' x'] }", "write a value of one line"),
        ("endorsed = { '/a//b' = ['x'] }", "`/a//b` is not an argument"),
    ] {
        let error = parse_cases(&format!("{good}{more}\n")).unwrap_err();
        assert!(error.why.contains(says) && error.line == 6, "{error} is not {says}");
    }
}

#[test]
fn cases_of_the_documentation_are_decided_as_they_say() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/data-flow.md");
    let page = std::fs::read_to_string(page).unwrap();
    let files: BTreeMap<&str, &str> = page
        .split("```toml ")
        .skip(1)
        .filter_map(|rest| rest.split_once('\n'))
        .map(|(name, rest)| (name, rest.split("```").next().unwrap_or_default()))
        .collect();
    let mut decided = 0;
    for (name, text) in files.iter().filter(|(name, _)| name.ends_with(".cases.toml")) {
        let Cases { cases, mission } = parse_cases(text).unwrap_or_else(|error| panic!("{name}:{error}"));
        let mission = mission::parse(files[&*mission]).unwrap_or_else(|error| panic!("{}", error.render(name)));
        let policy = compile(Arc::new(mission)).unwrap();
        for case in &cases {
            let decision = case.decide(&policy, &DETECTOR);
            assert_eq!(case.unknown(&policy), None, "{name}: {}", case.name);
            assert!(case.expect.is_met(&decision), "{name}: {}: {}: {}", case.name, decision.effect, decision.sentence);
            decided += 1;
        }
    }
    assert!(decided >= 12, "only {decided} cases were found");
    let leaky = mission::parse(files["leaky.toml"]).unwrap();
    let warning = mission::trifecta(&leaky).unwrap();
    assert!(
        warning.contains("private data (`pii`), text that anybody may have written (what `mcp:mail/read_mail` return) and a way out (`mcp:mail/send_mail`), and"),
        "{warning}"
    );
    for name in ["answer-mail.toml", "office.toml", "pay-vendors.toml"] {
        assert_eq!(mission::trifecta(&mission::parse(files[name]).unwrap()), None, "{name}");
    }
}
