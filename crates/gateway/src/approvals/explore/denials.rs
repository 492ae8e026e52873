//! What must never run although somebody said yes: each is denied, or asked about anew, and that is in the log.

use evidence::record::approval::Answer;

use super::scenarios::{LEADS, law, mission, people};
use super::stage::{Part, Scenario, Stage};
use super::world::World;

const ONE: &str = "group = \"leads\"";
const TWO: &str = "all_of = [{ group = \"leads\" }, { group = \"treasury\" }]";

fn call(run: usize, key: &'static str) -> Part {
    Part::Call { delivers: true, holds_s: 0, key, run }
}

fn says(person: &'static str, answer: Answer) -> Part {
    Part::Answer { answer, apart: false, key: "a", person }
}

fn approves(person: &'static str) -> Part {
    says(person, Answer::Approve)
}

fn stage(gate: &str) -> Stage {
    Stage::set(Scenario {
        crashes: 0,
        faults: Vec::new(),
        law: law(),
        later: Some(mission("group = \"leads\"\nneed = 2", "Two of them.")),
        mission: mission(gate, "First version."),
        moments_s: Vec::new(),
        name: "denials",
        parts: Vec::new(),
        people: people("First version.", &LEADS),
        people_later: Some(people("Ana has left.", &["bea", "ines", "olga"])),
        queue: 64,
        runs: 3,
    })
}

/// What somebody does, with what is said of it then; a moment, in seconds.
enum Act {
    At(i64),
    Does(Part, &'static str),
}

use Act::{At, Does};

/// Does all of it; then the last call was decided so, and so many were executed.
fn check(name: &str, gate: &str, acts: Vec<Act>, decided: &str, executed: usize) {
    let stage = stage(gate);
    let mut world = World::new(&stage);
    for act in acts {
        match act {
            At(seconds) => world.pass_to(seconds),
            Does(part, wanted) => assert_eq!(world.play(part.clone()), wanted, "{name}: {part:?}"),
        }
    }
    assert_eq!(world.decided(), decided, "{name}");
    assert_eq!(world.seen.lock().unwrap().ran.len(), executed, "{name}");
    world.end().unwrap_or_else(|what| panic!("{name}: {what}"));
}

const APPROVED: &str = "counted Some(Approved)";
const ASKS: &str = "ask approval_required";

/// A question about the call `a` of the first run, and a yes to it.
fn granted(rest: Vec<Act>) -> Vec<Act> {
    let mut acts = vec![Does(call(0, "a"), "pending"), Does(approves("ana"), APPROVED)];
    acts.extend(rest);
    acts
}

#[test]
fn what_was_approved_is_good_for_this_very_call_and_no_other() {
    check("this one", ONE, granted(vec![Does(call(0, "a"), "passed")]), "allow ", 1);
    check("other arguments", ONE, granted(vec![Does(call(0, "b"), "pending")]), ASKS, 0);
    check("another run", ONE, granted(vec![Does(call(1, "a"), "pending")]), ASKS, 0);
    check("another agent", ONE, granted(vec![Does(call(2, "a"), "pending")]), ASKS, 0);
    check("another gate", ONE, granted(vec![Does(Part::Mission, "changed"), Does(call(0, "a"), "pending")]), ASKS, 0);
    check("once more", ONE, granted(vec![Does(call(0, "a"), "passed"), Does(call(0, "a"), "pending")]), ASKS, 1);
}

#[test]
fn what_has_ended_lets_nothing_run() {
    let acts =
        vec![Does(call(0, "a"), "pending"), At(62), Does(approves("ana"), "refused"), Does(call(0, "a"), "denied")];
    check("a question", ONE, acts, "deny approval_expired", 0);
    check("a grant", ONE, granted(vec![At(40), Does(call(0, "a"), "denied")]), "deny approval_expired", 0);
    let acts = granted(vec![Does(Part::Revoke { key: "a" }, "revoked"), Does(call(0, "a"), "denied")]);
    check("what is revoked", ONE, acts, "deny approval_revoked", 0);
    let acts = granted(vec![Does(Part::Release { key: "a" }, "released"), Does(call(0, "a"), "denied")]);
    check("what is released", ONE, acts, "deny approval_revoked", 0);
    let acts = granted(vec![Does(Part::People, "changed"), Does(call(0, "a"), "denied")]);
    check("a reviewer who is none any more", ONE, acts, "deny approval_revoked", 0);
    let acts = vec![
        Does(call(0, "a"), "pending"),
        Does(says("ana", Answer::Deny), "counted Some(Denied)"),
        Does(approves("bea"), "refused"),
        Does(call(0, "a"), "denied"),
    ];
    check("a yes after a no", ONE, acts, "deny approval_denied", 0);
    let acts = vec![
        Does(call(0, "a"), "pending"),
        Does(Part::Release { key: "a" }, "withdrawn"),
        Does(approves("ana"), "refused"),
        Does(call(0, "a"), "pending"),
    ];
    check("a question that was taken back", ONE, acts, ASKS, 0);
}

#[test]
fn whoever_may_not_answer_satisfies_no_gate() {
    for person in ["ines", "ada", "olga", "carl", "dora", "nobody"] {
        let acts =
            vec![Does(call(0, "a"), "pending"), Does(approves(person), "refused"), Does(call(0, "a"), "pending")];
        check(person, ONE, acts, ASKS, 0);
    }
    let acts = vec![
        Does(call(0, "a"), "pending"),
        Does(approves("bea"), "counted None"),
        Does(approves("bea"), "refused"),
        Does(call(0, "a"), "pending"),
    ];
    check("one person for two groups", TWO, acts, ASKS, 0);
}

#[test]
fn an_answer_counts_once_however_often_it_comes() {
    let stage = stage("group = \"leads\"\nneed = 2");
    let mut world = World::new(&stage);
    assert_eq!(world.play(call(0, "a")), "pending");
    assert_eq!(world.play(approves("ana")), "counted None");
    world.nonces -= 1;
    assert_eq!(world.play(approves("bea")), "refused", "another's nonce");
    assert_eq!(world.play(call(0, "a")), "pending");
    assert_eq!(world.decided(), ASKS);
    assert_eq!(world.play(approves("bea")), APPROVED);
    assert_eq!(world.play(call(0, "a")), "passed");
    world.end().unwrap();
}
