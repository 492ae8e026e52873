//! What persons do about exceptions, with the program itself: with a gateway that runs and without one, and what may not follow.

use serde_json::{Value, json};

use super::bridges::World;

impl World {
    fn exceptions(&self, args: &[&str]) -> Vec<Value> {
        let (code, out) = self.run(&[&["exceptions", "list", "--format", "json"], args].concat());
        assert_eq!(code, Some(0));
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    fn open_waiver(&self, until: &str) -> String {
        let args =
            ["exceptions", "open", "--kind", "waiver", "--scope", "mission:pay", "--owner", "finance@corp.example"];
        let more =
            ["--until", until, "--reason", "the second reviewer is ill", "--control", "the treasurer looks at each"];
        let (code, out) = self.run(&[args.as_slice(), &more].concat());
        assert_eq!(code, Some(0));
        out.split_whitespace().next().unwrap().to_owned()
    }
}

/// Reviewed by one who is neither owner nor doer: the tests run as one user, so what a gateway found by itself is what that user can review.
#[test]
fn an_exception_goes_from_found_to_closed_and_nothing_may_be_skipped() {
    let world = World::new("exceptions");
    let mut client = world.bridge(&[]);
    client.open();
    client.send_bytes(b"{\n");
    let _refused = client.message();
    // A gateway runs now.
    let found = world.exceptions(&[]);
    let [exception] = found.as_slice() else { panic!("{found:?}") };
    assert_eq!(
        (&exception["state"], &exception["kind"], &exception["owner"]),
        (&json!("opened"), &json!("protocol"), &json!("operator"))
    );
    let id = exception["exception"].as_str().unwrap();
    let close = ["exceptions", "close", id, "--note", "a test"];
    assert_eq!(world.run(&close).0, Some(1), "not reviewed");
    assert_eq!(world.run(&["exceptions", "review", id, "--note", ""]).0, Some(1), "without a word");
    assert_eq!(world.run(&["exceptions", "review", id, "--note", "seen; the message was dropped"]).0, Some(0));
    assert!(client.close().success());
    // And now none does.
    assert_eq!(world.run(&close).0, Some(0));
    assert_eq!(world.run(&close).0, Some(1), "closed already");
    assert!(world.exceptions(&[]).is_empty());
    let closed = world.exceptions(&["--state", "closed"]);
    assert_eq!(closed.len(), 1);
    assert!(closed[0]["reviewer"].is_string());
    let (code, _) = world.run(&["exceptions", "close", "0193b5a2-6f1e-7cc3-98c4-dc0c0c07398f", "--note", "x"]);
    assert_eq!(code, Some(1), "there is no such exception");
    world.assert_verified();
}

#[test]
fn nobody_reviews_their_own_work_and_a_waiver_ends() {
    let world = World::new("waivers");
    let waiver = world.open_waiver("2099-12-31");
    // Who opened it with a control has done something about it.
    assert_eq!(world.run(&["exceptions", "review", &waiver, "--note", "looks right to me"]).0, Some(1));
    let until = |until: &'static str| {
        ["exceptions", "open", "--kind", "waiver", "--scope", "s", "--owner", "o", "--reason", "r", "--until", until]
    };
    assert_eq!(world.run(&until("2099-12-31")).0, Some(1), "no control");
    assert_eq!(world.run(&until("soon")).0, Some(2));
    let past = world.open_waiver("2020-01-01");
    let overdue = world.exceptions(&["--overdue", "--kind", "waiver"]);
    assert_eq!(overdue.iter().map(|found| found["exception"].as_str().unwrap()).collect::<Vec<_>>(), [past.as_str()]);
    assert_eq!(world.run(&["exceptions", "mitigate", &past, "--what", "the reviewer is back"]).0, Some(0));
    let (code, table) = world.run(&["exceptions", "list", "--format", "table"]);
    assert_eq!(code, Some(0));
    assert!(table.contains("overdue") && table.contains("mission:pay"), "{table}");
    assert_eq!(world.records("kind:waiver").len(), 3);
    world.assert_verified();
}
