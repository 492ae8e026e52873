//! A mission that is only observed, on the real gateway: what runs all the same, what is recorded of it, and how one finds it.

use evidence::record::{Body, ExceptionKind};
use serde_json::json;

use super::bridges::World;

const MISSION: &str = r#"
mission = "pay"
goal    = "Watch before holding to it."
owner   = "owner@corp.example"
agents  = ["bot"]
until   = 2099-12-31
mode    = "observe"
why     = "First."

[allow.mcp.up.echo]
text = { in = ["one"] }

[allow.mcp.up.record_4k]
customer = { in = ["C-1"] }

[effect.mcp.up]
echo = "write"
"#;

#[test]
fn what_an_observed_mission_would_deny_runs_and_is_found_by_a_filter() {
    let world = World::new("observe");
    std::fs::write(world.scratch.join("mission.toml"), MISSION).unwrap();
    let mut client = world.bridge(&[]);
    client.open();
    assert_eq!(client.call(1, "echo", json!({ "text": "one" }))["result"]["content"][0]["text"], "one");
    assert_eq!(client.call(2, "echo", json!({ "text": "two" }))["result"]["content"][0]["text"], "two");
    let unconfirmed = client.call(3, "record_4k", json!({ "customer": "C-2" })).to_string();
    assert!(unconfirmed.contains("denied (argument_out_of_bounds)"), "{unconfirmed}");
    assert!(client.close().success());
    let observed = world.records("would:deny");
    let [record] = observed.as_slice() else { panic!("{observed:#?}") };
    let Body::Decision(decision) = &record.body else { panic!("{record:#?}") };
    assert_eq!(decision.reasons, [std::sync::Arc::from("argument_out_of_bounds")]);
    assert!(decision.sentence.starts_with("only observed, and it runs: "), "{}", decision.sentence);
    let exceptions = world.records("kind:observe");
    let [record] = exceptions.as_slice() else { panic!("{exceptions:#?}") };
    let Body::Exception(exception) = &record.body else { panic!("{record:#?}") };
    assert_eq!((exception.kind, &*exception.owner), (ExceptionKind::Observe, "owner@corp.example"));
    assert!(exception.due.is_some());
    world.assert_verified();
}
