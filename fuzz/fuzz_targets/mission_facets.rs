//! Any bytes give bounded, sorted facets and one decision; what is allowed is within the rules when another reader looks at it.
#![no_main]

use std::path::{Component, Path};
use std::sync::{Arc, LazyLock};

use bytes::Bytes;
use evidence::ids::CallId;
use evidence::record::{Agent, Authenticated, Context, Effect, Endpoint, Facet, FacetValue, Initiator, Surface, Tool};
use evidence::time::Timestamp;
use governance::classify::{Returned, Standing, classify};
use governance::decide::{PolicySnapshot, compile, decide};
use governance::intercept::Intercepted;
use governance::limits::{FACET_BYTES_MAX, FACETS_BYTES_MAX};
use governance::mission::parse;
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};

/// Every kind of rule once, each optional so that one argument is enough to be allowed.
const MISSION: &str = r#"
mission = "fuzz"
goal    = "Read arguments."
owner   = "it@corp.example"
agents  = ["bot"]
until   = 2026-12-31
why     = "First version."

[allow.mcp.s.tool]
domain  = { domain = ["corp.example", "*.lab.example"], optional = true }
free    = { free = true, optional = true }
length  = { length = { min = 1, max = 3 }, optional = true }
number  = { min = 1, max = 2, optional = true }
path    = { path = ["/srv"], optional = true }
pattern = { pattern = "INV-[0-9]{2}", optional = true }
scalar  = { in = ["a", 1, true], optional = true }
url     = { url = ["https://corp.example/v1/*", "http://*.lab.example:8080/"], optional = true }
"#;

static POLICY: LazyLock<PolicySnapshot> =
    LazyLock::new(|| compile(Arc::new(parse(MISSION).expect("the mission"))).expect("the mission compiles"));

fuzz_target!(|arguments: &[u8]| {
    let classified = classify(call(arguments), POLICY.plan(&tool()), Standing::Good, &Returned::default());
    let again = classify(call(arguments), POLICY.plan(&tool()), Standing::Good, &Returned::default());
    assert_eq!(classified.facets, again.facets);
    check_facets(&classified.facets);

    let decision = decide(&classified, &POLICY, Timestamp::EPOCH);
    assert_eq!(decide(&again, &POLICY, Timestamp::EPOCH), decision);
    assert!(!decision.sentence.is_empty() && !decision.said_to_agent.is_empty());
    match decision.effect {
        Effect::Allow => {
            assert!(decision.reasons.is_empty());
            assert!(classified.facets.iter().flat_map(|facet| &facet.values).all(|value| *value.kind != *"unparsed"));
            // What this reader refuses (a number beyond a double, deep nesting) is the strict reader's to refuse.
            if let Ok(arguments) = serde_json::from_slice::<Map<String, Value>>(arguments) {
                arguments.iter().for_each(|(name, value)| check_allowed(name, value));
            }
        }
        Effect::Ask | Effect::Deny => assert!(!decision.reasons.is_empty()),
    }
});

fn tool() -> Tool {
    Tool { endpoint: Endpoint::Tool, name: "tool".into(), surface: Surface::Mcp, upstream: "s".into() }
}

fn call(arguments: &[u8]) -> Intercepted {
    let context = Context {
        agent: Agent { name: "bot".into(), version: None },
        context: None,
        initiator: Initiator { authenticated: Authenticated::Asserted, name: "ann".into() },
        mission: Some("fuzz".into()),
        run: None,
    };
    let id = CallId::at(Timestamp::EPOCH, [0; 10]);
    Intercepted::new(id, Arc::new(context), tool(), Bytes::copy_from_slice(arguments), None)
}

fn check_facets(facets: &[Facet]) {
    assert!(facets.is_sorted_by(|before, after| before.argument < after.argument));
    let mut bytes = 0;
    for facet in facets {
        assert!(!facet.values.is_empty());
        let is_ruled =
            ["", "domain", "length", "number", "path", "pattern", "scalar", "url"].contains(&&*facet.argument);
        for FacetValue { kind, text } in &facet.values {
            assert!(text.len() <= FACET_BYTES_MAX);
            assert!(is_ruled || text.is_empty(), "`{}` is nobody's business: {text}", facet.argument);
            bytes += kind.len() + text.len();
        }
    }
    assert!(bytes <= FACETS_BYTES_MAX);
}

/// What the rules say, read in the plainest way.
fn check_allowed(name: &str, value: &Value) {
    let elements = match value {
        Value::Array(elements) if name != "free" => elements.as_slice(),
        one => std::slice::from_ref(one),
    };
    for element in elements {
        let text = element.as_str().unwrap_or_default();
        let holds = match name {
            "domain" => {
                let lower = text.to_ascii_lowercase();
                lower.contains("corp.example") || lower.contains(".lab.example")
            }
            "free" => true,
            "length" => element.is_string() && (1..=3).contains(&text.chars().count()),
            "number" => element.as_f64().is_some_and(|number| (1.0..=2.0).contains(&number)),
            "path" => {
                let path = Path::new(text);
                path.starts_with("/srv") && path.components().all(|part| part != Component::ParentDir)
            }
            "pattern" => {
                text.len() == 6 && text.starts_with("INV-") && text.bytes().skip(4).all(|byte| byte.is_ascii_digit())
            }
            "scalar" => text == "a" || element.as_f64() == Some(1.0) || *element == Value::Bool(true),
            "url" => {
                // The port and the dot at a host's end have two spellings each.
                let lower = text.to_ascii_lowercase();
                let after = lower.split_once("://").map_or("", |(_, after)| after);
                let (authority, rest) = after.find(['/', '?']).map_or((after, ""), |at| after.split_at(at));
                match lower.split("://").next() {
                    Some("https") => {
                        ["corp.example", "corp.example:443", "corp.example.", "corp.example.:443"].contains(&authority)
                            && rest.starts_with("/v1/")
                    }
                    _ => {
                        authority.trim_end_matches(":8080").trim_end_matches('.').ends_with(".lab.example")
                            && (rest.is_empty() || rest == "/")
                    }
                }
            }
            _ => false,
        };
        assert!(holds, "`{name}` was allowed with {element}");
    }
}
