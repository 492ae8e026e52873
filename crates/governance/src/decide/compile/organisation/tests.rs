//! What organisations demand, against missions that keep to it and missions that nearly do.

use bytes::Bytes;
use evidence::ids::CallId;
use evidence::record::{Agent, Authenticated, Context as Actor, Effect, Endpoint, Initiator, Surface};

use super::*;
use crate::classify::{Returned, Standing, classify};
use crate::decide::{Decision, compile, decide};
use crate::intercept::Intercepted;
use crate::mission::{Mission, groups_of, overall, parse, parse_organisation};
use evidence::record::Direction;

const AT: &str = "2026-11-25T12:00:00Z";

const MISSION: &str = "mission = 'm'\ngoal = 'g'\nowner = 'o'\nagents = ['bot']\nuntil = 2026-12-31\nwhy = 'w'\n";

fn at() -> Timestamp {
    AT.parse().unwrap()
}

fn organisation(rules: &str) -> Organisation {
    parse_organisation(&format!("organisation = 'corp.example'\nwhy = 'w'\n{rules}"))
        .unwrap_or_else(|error| panic!("{error}"))
}

fn mission(rules: &str) -> Mission {
    parse(&format!("{MISSION}{rules}")).unwrap_or_else(|error| panic!("{error}"))
}

#[test]
fn invariants_hold_exactly() {
    let bank = "[invariant.i.at_most.mcp.bank.send]\n";
    let of = |argument: &str| format!("[allow.mcp.bank.send]\n{argument}");
    for (name, invariant, rules, broken) in [
        ("within", format!("{bank}n = {{ min = 0, max = 10 }}"), of("n = { min = 1, max = 10 }"), false),
        ("one more", format!("{bank}n = {{ min = 0, max = 10 }}"), of("n = { min = 1, max = 10.01 }"), true),
        ("below zero", format!("{bank}n = {{ min = 0, max = 10 }}"), of("n = { min = -1, max = 10 }"), true),
        ("listed numbers", format!("{bank}n = {{ min = 0, max = 10 }}"), of("n = { in = [0, 10] }"), false),
        ("a listed text", format!("{bank}n = {{ min = 0, max = 10 }}"), of("n = { in = [0, '10'] }"), true),
        ("anything", format!("{bank}n = {{ min = 0, max = 10 }}"), of("n = { free = true }"), true),
        ("any arguments", format!("{bank}n = {{ min = 0, max = 10 }}"), "[allow.mcp.bank]\nsend = {}".to_owned(), true),
        ("every tool", format!("{bank}n = {{ min = 0, max = 10 }}"), "[allow.mcp.bank]\n'*' = {}".to_owned(), true),
        (
            "every other tool",
            format!("{bank}n = {{ min = 0, max = 10 }}"),
            format!("[allow.mcp.bank]\n'*' = {{}}\n{}", of("n = { min = 1, max = 2 }")),
            false,
        ),
        ("another tool", format!("{bank}n = {{ min = 0, max = 10 }}"), "[allow.mcp.bank]\nlist = {}".to_owned(), false),
        (
            "another server",
            format!("{bank}n = {{ min = 0, max = 10 }}"),
            "[allow.mcp.shop]\nsend = {}".to_owned(),
            false,
        ),
        ("left out", format!("{bank}n = {{ min = 0, max = 10 }}"), of("m = { free = true }"), true),
        (
            "may be left out",
            format!("{bank}n = {{ min = 0, max = 10 }}"),
            of("n = { min = 1, max = 2, optional = true }"),
            true,
        ),
        (
            "may be left out, as may be",
            format!("{bank}n = {{ min = 0, max = 10, optional = true }}"),
            of("n = { min = 1, max = 2, optional = true }"),
            false,
        ),
        (
            "left out, as may be",
            format!("{bank}n = {{ min = 0, max = 10, optional = true }}"),
            of("m = { free = true }"),
            false,
        ),
        (
            "a sum",
            format!("{bank}n = {{ min = 0, max = 10, per_day = 100 }}"),
            of("n = { min = 1, max = 2, per_day = 100 }"),
            false,
        ),
        (
            "a larger sum",
            format!("{bank}n = {{ min = 0, max = 10, per_day = 100 }}"),
            of("n = { min = 1, max = 2, per_day = 101 }"),
            true,
        ),
        (
            "a sum over less time",
            format!("{bank}n = {{ min = 0, max = 10, per_day = 100 }}"),
            of("n = { min = 1, max = 2, per_hour = 10 }"),
            true,
        ),
        (
            "a pattern that cannot be told",
            format!("{bank}n = {{ pattern = 'a+' }}"),
            of("n = { pattern = 'aa' }"),
            true,
        ),
        ("the same pattern", format!("{bank}n = {{ pattern = 'a+' }}"), of("n = { pattern = 'a+' }"), false),
        (
            "fields within",
            format!("{bank}p = {{ fields = {{ n = {{ min = 0, max = 9 }} }} }}"),
            of("p = { fields = { n = { min = 1, max = 2 }, m = { free = true } } }"),
            false,
        ),
        (
            "fields beyond",
            format!("{bank}p = {{ fields = {{ n = {{ min = 0, max = 9 }} }} }}"),
            of("p = { fields = { n = { min = 1, max = 10 } } }"),
            true,
        ),
        (
            "fields of anything",
            format!("{bank}p = {{ fields = {{ n = {{ min = 0, max = 9 }} }} }}"),
            of("p = { free = true }"),
            true,
        ),
        ("must be named", format!("{bank}n = {{ free = true, named = true }}"), of("n = { free = true }"), true),
        (
            "must be named, and is",
            format!("{bank}n = {{ free = true, named = true }}"),
            of("n = { in = ['a'], named = true }"),
            false,
        ),
        ("is a target", format!("{bank}n = {{ free = true, target = true }}"), of("n = { length = 9 }"), true),
        (
            "is a target, and is one",
            format!("{bank}n = {{ free = true, target = true }}"),
            of("n = { in = ['a'] }"),
            false,
        ),
        ("never", "[invariant.i]\nnever = ['mcp:shell/*']".to_owned(), "[allow.mcp.shell]\nrun = {}".to_owned(), true),
        (
            "never, as every tool",
            "[invariant.i]\nnever = ['mcp:shell/run']".to_owned(),
            "[allow.mcp.shell]\n'*' = {}".to_owned(),
            true,
        ),
        (
            "never, another",
            "[invariant.i]\nnever = ['mcp:shell/run*']".to_owned(),
            "[allow.mcp.shell]\nlist = {}".to_owned(),
            false,
        ),
        (
            "asks",
            "[invariant.i]\nask = { when = 'mcp:bank/send*' }".to_owned(),
            "[allow.mcp.bank]\nsend = {}".to_owned(),
            true,
        ),
        (
            "asks, and does",
            "[invariant.i]\nask = { when = 'mcp:bank/send*' }".to_owned(),
            "[allow.mcp.bank]\nsend = {}\n[danger.d]\nwhen = 'mcp:bank/send'".to_owned(),
            false,
        ),
        (
            "asks, and does where it is large",
            "[invariant.i]\nask = { when = 'mcp:bank/send' }".to_owned(),
            format!("{}\n[danger.d]\nwhen = 'mcp:bank/send'\nover = {{ n = 5 }}", of("n = { min = 1, max = 9 }")),
            true,
        ),
        (
            "asks over a size, and does sooner",
            "[invariant.i]\nask = { when = 'mcp:bank/send', over = { n = 5 } }".to_owned(),
            format!("{}\n[danger.d]\nwhen = 'mcp:bank/*'\nover = {{ n = 4 }}", of("n = { min = 1, max = 9 }")),
            false,
        ),
        (
            "asks over a size, and does later",
            "[invariant.i]\nask = { when = 'mcp:bank/send', over = { n = 5 } }".to_owned(),
            format!("{}\n[danger.d]\nwhen = 'mcp:bank/*'\nover = {{ n = 6 }}", of("n = { min = 1, max = 9 }")),
            true,
        ),
        ("days", "[invariant.i]\ndays_max = 37".to_owned(), "[allow.mcp.bank]\nsend = {}".to_owned(), false),
        ("a day too many", "[invariant.i]\ndays_max = 36".to_owned(), "[allow.mcp.bank]\nsend = {}".to_owned(), true),
    ] {
        let breaches = organisation(&invariant).breaches(&mission(&rules), at());
        assert_eq!(!breaches.is_empty(), broken, "{name}: {breaches:?}");
        assert!(breaches.iter().all(|breach| &*breach.invariant == "i" && breach.line > 4), "{name}: {breaches:?}");
    }
}

#[test]
fn groups_are_their_members() {
    let corp = organisation("[group.bots]\nmembers = ['ap-bot', 'ar-bot']\n[group.leads]\nmembers = ['ana']");
    let named = |agents: &str, initiators: &str| {
        let source = MISSION.replace("['bot']", agents);
        parse(&format!("{source}initiators = {initiators}\n[allow.mcp.s]\nt = {{}}")).unwrap()
    };
    let within = corp.within(&named("['group:bots', 'bot', 'ar-bot']", "['group:leads', '*@corp.example']")).unwrap();
    assert_eq!(within.agents().iter().map(|name| &**name).collect::<Vec<_>>(), ["ap-bot", "ar-bot", "bot"]);
    assert_eq!(within.initiators().iter().map(|name| &**name).collect::<Vec<_>>(), ["ana", "*@corp.example"]);
    let unknown = named("['group:bot']", "['group:lead']");
    let problems = corp.within(&unknown).unwrap_err();
    let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[0].starts_with("4:1: the organisation file has no group `bot`; did you mean `group:bots`?"),
        "{told:?}"
    );
    assert_eq!(groups_of(&unknown).len(), 2);
}

/// What `policies` decide about a call of a tool that is said to pay, at `time`.
fn decided(policies: &str, tool: &str, time: &str, mode: &str) -> Decision {
    let corp = Arc::new(organisation("forbid = ['a.cedar']"));
    let bounds = bounds(corp, &[("a.cedar".into(), policies.to_owned())]).unwrap();
    let rules = format!(
        "mode = '{mode}'\n[allow.mcp.bank]\nsend = {{}}\nlist = {{ n = {{ in = [1] }} }}\n[effect.mcp.bank]\nsend = 'pay'\nlist = 'read'"
    );
    let policy = compile(Arc::new(mission(&rules))).unwrap().within(Arc::new(bounds));
    let actor = Actor {
        agent: Agent { name: "bot".into(), version: None },
        context: None,
        initiator: Initiator { authenticated: Authenticated::Asserted, name: "ana".into() },
        mission: Some("m".into()),
        run: None,
    };
    let tool = Tool { endpoint: Endpoint::Tool, name: tool.into(), surface: Surface::Mcp, upstream: "bank".into() };
    let call = Intercepted::new(CallId::from_bytes([0; 16]), Arc::new(actor), tool.clone(), Bytes::new(), None);
    decide(&classify(call, policy.plan(&tool), Standing::Good, &Returned::default()), &policy, time.parse().unwrap())
}

#[test]
fn what_the_organisation_forbids_no_mission_allows() {
    let weekend = "@id(\"weekend\")\nforbid (principal, action, resource) when { context.effect == \"pay\" && context.minute >= 7200 };";
    let (friday, sunday) = ("2026-11-27T12:00:00Z", "2026-11-29T12:00:00Z");
    assert_eq!(decided(weekend, "send", friday, "enforce").effect, Effect::Allow);
    let decision = decided(weekend, "send", sunday, "enforce");
    assert_eq!(decision.reasons.iter().map(|reason| reason.code()).collect::<Vec<_>>(), ["organisation_forbids"]);
    assert_eq!(&*decision.rules[0].id, "organisation.a.cedar.weekend");
    assert!(decision.policy.organisation_sha256.is_some());
    for policies in [
        "forbid (principal == Countersign::Agent::\"bot\", action, resource);",
        "forbid (principal, action, resource == Countersign::Tool::\"mcp:bank/list\");",
        "forbid (principal, action, resource) when { context.initiator == \"ana\" };",
        "forbid (principal, action, resource) when { context.server == \"bank\" && context.name like \"l*\" };",
        "forbid (principal, action, resource) when { context.mission == \"m\" };",
        "forbid (principal, action, resource) when { context.now > 0 };",
        // One that fails is one that forbids.
        "forbid (principal, action, resource) when { context.now + 9223372036854775807 > 0 };",
    ] {
        // The mission would let this one run, for it is only observed.
        assert_eq!(decided("", "list", friday, "observe").effect, Effect::Allow);
        assert_eq!(decided(policies, "list", friday, "observe").effect, Effect::Deny, "{policies}");
    }
}

#[test]
fn policies_that_are_none_are_refused() {
    let refused = |text: &str| {
        let corp = Arc::new(organisation("forbid = ['a.cedar']"));
        bounds(corp, &[("a.cedar".into(), text.to_owned())]).unwrap_err().to_string()
    };
    for (text, said) in [
        ("forbid (", "is not Cedar"),
        ("permit (principal, action, resource);", "allows"),
        ("forbid (principal == ?principal, action, resource);", "template"),
        (
            "@id(\"a\")\nforbid (principal, action, resource);\n@id(\"a\")\nforbid (principal, action, resource);",
            "there twice",
        ),
        ("forbid (principal, action, resource) when { context.amount > 5 };", "bound arguments with"),
        ("forbid (principal, action, resource) when { context.numbers has \"n\" };", "bound arguments with"),
        ("forbid (principal, action, resource) when { context.effect > 5 };", "bound arguments with"),
    ] {
        assert!(refused(text).contains(said), "{text}: {}", refused(text));
    }
}

#[test]
fn a_digest_covers_the_file_and_its_policies() {
    let corp = || Arc::new(organisation("forbid = ['a.cedar']"));
    let file = |text: &str| [("a.cedar".into(), text.to_owned())];
    let one = "forbid (principal, action, resource);";
    let digest = |text: &str| bounds(corp(), &file(text)).unwrap().sha256().clone();
    assert_eq!(digest(one), digest(one));
    assert_ne!(digest(one), digest(&format!("{one} ")));
    let lines = format!(
        "{}  organisation.toml\n{}  a.cedar\n",
        sha256_hex(corp().source().as_bytes()),
        sha256_hex(one.as_bytes())
    );
    assert_eq!(*digest(one), *sha256_hex(lines.as_bytes()));
}

#[test]
fn a_change_says_its_direction() {
    let none = organisation("");
    let strict = organisation(
        "pins = 'strict'\nforbid = ['a.cedar']\n[invariant.i]\nnever = ['mcp:a/b']\n[group.g]\nmembers = ['x']",
    );
    let other = organisation(
        "pins = 'strict'\nforbid = ['a.cedar']\n[invariant.i]\nnever = ['mcp:a/c']\n[group.g]\nmembers = ['x']",
    );
    assert_eq!(overall(&none.changes(None)), None);
    assert_eq!(overall(&strict.changes(Some(&none))), Some(Direction::Both), "a group's member is wider");
    assert_eq!(overall(&none.changes(Some(&strict))), Some(Direction::Both));
    assert_eq!(overall(&other.changes(Some(&strict))), Some(Direction::Unclear));
    assert!(strict.changes(Some(&strict)).is_empty());
    assert!(strict.changes(None).iter().any(|change| change.sentence.contains("no mission allows `mcp:a/b`")));
}
