//! What is gone through: small scenes in which things meet that must not get in each other's way.

use evidence::approvals::State;
use evidence::record::approval::Answer;

use super::disk::Fault;
use super::oracle::Law;
use super::search::{self, Covered};
use super::simulation::Dice;
use super::stage::{Part, Scenario, Stage};
use super::world::Tampered;
use crate::approvals::Entry;

const GATE: &str = r#"all_of = [{ group = "leads" }]"#;

/// A mission whose tool needs what `gate` asks.
pub(super) fn mission(gate: &str, why: &str) -> String {
    format!(
        "mission = \"effects\"\ngoal = \"Leave effects.\"\nowner = \"olga\"\nagents = [\"bot\", \"cat\"]\nuntil = 2099-01-01\nwhy = \"{why}\"\n\
         [allow.mcp.up]\neffect = {{}}\n[danger.effects]\nwhen = \"mcp:up/effect\"\ngate = \"one\"\n\
         [gate.one]\n{gate}\nassurance = \"os_user\"\nrespond_by = \"60s\"\ngrant = \"30s\"\nhold = \"20s\"\n"
    )
}

/// Ines is who the agent works for, Ada wrote the mission, Olga owns it; Ana and Bea lead, Bea and Carl are the treasury.
pub(super) fn people(why: &str, leads: &[&str]) -> String {
    let persons = ["ada", "ana", "bea", "carl", "dora", "ines", "olga"];
    let persons: String = persons.iter().map(|person| format!("[person.{person}]\n")).collect();
    format!(
        "why = \"{why}\"\n{persons}[group]\nleads = {leads:?}\ntreasury = [\"bea\", \"carl\"]\ndirectors = [\"dora\"]\n"
    )
}

pub(super) const LEADS: [&str; 4] = ["ana", "bea", "ines", "olga"];

pub(super) fn law() -> Law {
    let members = vec![("leads", LEADS.to_vec()), ("treasury", vec!["bea", "carl"]), ("directors", vec!["dora"])];
    Law { excluded: vec!["ines", "ada", "olga"], members }
}

fn scene(name: &'static str, gate: &str, parts: Vec<Part>) -> Scenario {
    Scenario {
        crashes: 0,
        faults: Vec::new(),
        law: law(),
        later: None,
        mission: mission(gate, "First version."),
        moments_s: Vec::new(),
        name,
        parts,
        people: people("First version.", &LEADS),
        people_later: None,
        queue: 64,
        runs: 1,
    }
}

fn call(key: &'static str) -> Part {
    Part::Call { delivers: true, holds_s: 20, key, run: 0 }
}

fn says(person: &'static str, answer: Answer) -> Part {
    Part::Answer { answer, apart: false, key: "a", person }
}

fn approves(person: &'static str) -> Part {
    says(person, Answer::Approve)
}

/// How far is gone: once, or as often as the environment says.
pub(super) fn times() -> usize {
    std::env::var("COUNTERSIGN_EXPLORE").ok().and_then(|times| times.parse().ok()).unwrap_or(1)
}

/// Goes through all orders of a scene; where they are too many, through some of them, as a seed says. Everything must hold.
fn check(scenario: Scenario) {
    let name = scenario.name;
    let stage = Stage::set(scenario);
    let mut covered = Covered::default();
    let gone = search::all(&stage, None, 40 * times()).and_then(|all| {
        covered = all;
        let mut dice = Dice::cast();
        (0..if all.is_all { 0 } else { 10 * times() }).try_for_each(|_| {
            covered.schedules += 1;
            search::one(&stage, |of| dice.below(of))
        })
    });
    println!("{name}: {covered:?}");
    gone.unwrap_or_else(|violation| panic!("{name}: {violation}"));
}

#[test]
fn identical_calls_share_one_answer_and_one_execution() {
    check(scene("two calls", GATE, vec![call("a"), call("a"), approves("ana")]));
}

#[test]
fn one_answer_is_never_used_twice_while_evidence_fails_and_gateways_die() {
    let parts = || vec![call("a"), approves("ana"), call("a")];
    check(Scenario { crashes: 1, ..scene("crash", GATE, parts()) });
    check(Scenario { crashes: 1, ..scene("one call and a crash", GATE, vec![call("a"), approves("ana")]) });
    let faults = vec![Fault::Kept, Fault::Lost, Fault::Torn];
    check(Scenario { crashes: 1, faults, ..scene("faults", GATE, vec![call("a"), approves("ana")]) });
}

#[test]
fn what_is_taken_back_while_it_is_used_is_in_the_log_in_the_order_of_the_book() {
    let other = Part::Call { delivers: false, holds_s: 0, key: "b", run: 0 };
    let gate = format!("{GATE}\nuses = 2");
    for (name, part) in [("revoked", Part::Revoke { key: "a" }), ("released", Part::Release { key: "a" })] {
        let parts = vec![call("a"), approves("ana"), other.clone(), part];
        check(Scenario { queue: 1, ..scene(name, &gate, parts) });
    }
    check(scene("run ends", &gate, vec![call("a"), approves("ana"), Part::EndRun(0)]));
}

#[test]
fn a_no_before_or_after_a_yes_is_a_no_and_a_yes_that_is_taken_back_is_none() {
    check(scene("no", GATE, vec![call("a"), approves("ana"), says("bea", Answer::Deny)]));
    let gate = r#"all_of = [{ group = "leads" }, { group = "treasury" }]"#;
    let parts = vec![call("a"), approves("ana"), says("ana", Answer::Withdraw), approves("bea")];
    check(scene("withdrawn", gate, parts));
}

#[test]
fn whoever_has_to_do_with_a_call_or_answered_already_fills_no_place() {
    let gate = r#"all_of = [{ group = "leads" }, { group = "treasury" }]"#;
    let parts = vec![call("a"), approves("bea"), approves("bea"), approves("ines"), approves("olga")];
    check(scene("persons", gate, parts));
    let gate = r#"stages = [{ group = "leads" }, { group = "treasury" }]"#;
    check(scene("stages", gate, vec![call("a"), approves("carl"), approves("bea"), approves("carl")]));
}

#[test]
fn clocks_end_what_nobody_answered_or_used_in_time() {
    let parts = || vec![call("a"), approves("ana"), Part::Tend];
    check(Scenario { moments_s: vec![15, 62], ..scene("questions", GATE, parts()) });
    let late = Part::Call { delivers: true, holds_s: 0, key: "a", run: 0 };
    let parts = vec![late.clone(), approves("ana"), late, Part::Tend];
    check(Scenario { moments_s: vec![40], ..scene("grants", GATE, parts) });
}

#[test]
fn other_rules_and_other_persons_void_what_was_answered_before() {
    let gate = format!("{GATE}\nuses = 2");
    let later = Some(mission(
        &format!("{GATE}\nneed = 2").replace("all_of = [{ group = \"leads\" }]", "group = \"leads\""),
        "Two of them.",
    ));
    check(Scenario { later, ..scene("mission", &gate, vec![call("a"), approves("ana"), Part::Mission]) });
    let people_later = Some(people("Ana has left.", &["bea", "ines", "olga"]));
    check(Scenario { people_later, ..scene("people", &gate, vec![call("a"), approves("ana"), Part::People]) });
}

#[test]
fn who_leaves_and_who_is_cut_off_leaves_nothing_half_done() {
    check(scene("left", GATE, vec![call("a"), approves("ana"), Part::Leave(0), call("a")]));
    let apart = Part::Answer { answer: Answer::Approve, apart: true, key: "a", person: "ana" };
    check(scene("cut off", GATE, vec![call("a"), apart, Part::CutOff(1)]));
}

/// What a broken gateway would do to its book must be found: a check that finds nothing proves nothing.
fn finds(scenario: Scenario, sabotage: fn(&mut Tampered<'_>), wanted: &str) {
    let name = scenario.name;
    let stage = Stage::set(scenario);
    match search::all(&stage, Some(sabotage), 2_000) {
        Ok(covered) => panic!("{name}: nothing is found: {covered:?}"),
        Err(violation) => assert!(violation.what.contains(wanted), "{name}: {violation}"),
    }
}

/// Changes every approval of the book.
fn entries(tampered: &Tampered<'_>, change: impl FnMut(&mut Entry)) {
    tampered.gateway.approvals.book().entries.values_mut().for_each(change);
}

/// A call that asks, a yes, and an identical call whose answer nobody gets.
fn twice() -> Vec<Part> {
    vec![call("a"), approves("ana"), Part::Call { delivers: false, holds_s: 0, key: "a", run: 0 }]
}

fn approve(entry: &mut Entry) {
    entry.approval.state = State::Approved(entry.approval.grant(crate::clock::now()));
    entry.wake.send_modify(|count| *count += 1);
}

#[test]
fn a_use_that_is_not_taken_before_it_is_recorded_is_found() {
    let forgets = |tampered: &mut Tampered<'_>| {
        entries(tampered, |entry| {
            entry.approval.taken.clear();
            entry.uses.clear();
        });
    };
    finds(scene("uses", GATE, twice()), forgets, "use 1 of 1 was taken, of [1, 1]");
}

#[test]
fn what_is_used_after_it_was_taken_back_or_has_lapsed_is_found() {
    let revives = |tampered: &mut Tampered<'_>| {
        entries(tampered, |entry| {
            if entry.approval.state == State::Revoked {
                approve(entry);
            }
        });
    };
    let mut parts =
        vec![Part::Call { delivers: false, holds_s: 0, key: "a", run: 0 }, approves("ana"), Part::Revoke { key: "a" }];
    parts.push(call("a"));
    finds(scene("revoked", GATE, parts), revives, "revoked and then consumed");
    let prolongs = |tampered: &mut Tampered<'_>| {
        entries(tampered, |entry| {
            if let State::Approved(grant) = &mut entry.approval.state {
                grant.not_after = grant.not_after.plus_micros(3_600_000_000);
            }
        });
    };
    let parts = vec![Part::Call { delivers: false, holds_s: 0, key: "a", run: 0 }, approves("ana"), call("a")];
    finds(Scenario { moments_s: vec![40], ..scene("lapsed", GATE, parts) }, prolongs, "its time was over");
}

#[test]
fn a_gate_that_is_not_satisfied_is_found() {
    let one_is_enough = |tampered: &mut Tampered<'_>| {
        entries(tampered, |entry| {
            if entry.approval.reviews.len() == 1 && entry.is_open() {
                approve(entry);
            }
        });
    };
    let two = "group = \"leads\"\nneed = 2";
    finds(scene("one of two", two, twice()), one_is_enough, "nobody had approved it");
    let others = |tampered: &mut Tampered<'_>| {
        entries(tampered, |entry| {
            entry.approval.question.gates[0].stages[0].any_of[0].all_of[0].group = "directors".into();
        });
    };
    finds(scene("others", GATE, vec![call("a"), approves("dora")]), others, "gate `one` is not satisfied");
}

#[test]
fn a_question_that_is_lost_and_a_call_that_nobody_wakes_are_found() {
    let loses = |tampered: &mut Tampered<'_>| {
        if tampered.is_restart {
            tampered.gateway.approvals.book().entries.clear();
        }
    };
    finds(
        Scenario { crashes: 1, ..scene("restart", GATE, vec![call("a")]) },
        loses,
        "the book has 0 approvals, the log 1",
    );
    let silences = |tampered: &mut Tampered<'_>| {
        let mut silent = Vec::new();
        entries(tampered, |entry| silent.push(std::mem::replace(&mut entry.wake, tokio::sync::watch::Sender::new(0))));
        tampered.kept.extend(silent);
    };
    finds(scene("silence", GATE, vec![call("a"), approves("ana")]), silences, "what it waits for has come");
}
