//! A long life, as a seed says: hundreds of calls of two runs, people who answer this and that, clocks, writes that fail, processes that die.
//!
//! `COUNTERSIGN_SEED` repeats one; without it each run has another, which it prints.

use evidence::record::approval::Answer;

use super::disk::Fault;
use super::scenarios::{LEADS, law, mission, people, times};
use super::stage::{Part, Scenario, Stage};
use super::world::{Step, World};

const KEYS: [&str; 4] = ["a", "b", "c", "d"];
const PERSONS: [&str; 8] = ["ada", "ana", "ana", "bea", "bea", "carl", "ines", "olga"];

/// SplitMix64 (Steele, Lea and Flood, 2014).
pub(super) struct Dice(u64);

impl Dice {
    /// Of the environment's seed, or of another one, which is printed.
    pub(super) fn cast() -> Self {
        let given = std::env::var("COUNTERSIGN_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| {
            let mut seed = [0; 8];
            getrandom::fill(&mut seed).unwrap();
            u64::from_le_bytes(seed)
        });
        println!("COUNTERSIGN_SEED={seed}");
        Self(seed)
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((mixed ^ (mixed >> 31)) % bound.max(1) as u64).unwrap()
    }

    fn one_of<T: Copy>(&mut self, many: &[T]) -> T {
        many[self.below(many.len())]
    }

    fn part(&mut self, going: usize) -> Part {
        let place = self.below(KEYS.len());
        let (key, run) = (KEYS[place], place % 2);
        match self.below(21) {
            0..=5 => Part::Call { delivers: self.below(3) > 0, holds_s: self.one_of(&[0, 5, 20]), key, run },
            6..=14 => {
                let mut answers = [Answer::Approve; 12];
                (answers[0], answers[1], answers[2]) = (Answer::Deny, Answer::Edit, Answer::Withdraw);
                Part::Answer {
                    answer: self.one_of(&answers),
                    apart: self.below(2) == 0,
                    key,
                    person: self.one_of(&PERSONS),
                }
            }
            15 => Part::Revoke { key },
            16 => Part::Release { key },
            17 => Part::Mission,
            18 => Part::Leave(self.below(going.max(1))),
            _ => Part::Tend,
        }
    }
}

fn live(dice: &mut Dice, gate: &str, later: &str, rounds: usize) -> Result<(usize, usize), String> {
    let stage = Stage::set(Scenario {
        crashes: 0,
        faults: Vec::new(),
        law: law(),
        later: Some(mission(later, "Other persons.")),
        mission: mission(gate, "First version."),
        moments_s: Vec::new(),
        name: "a long life",
        parts: Vec::new(),
        people: people("First version.", &LEADS),
        people_later: None,
        queue: dice.one_of(&[1, 2, 64]),
        runs: 2,
    });
    let mut world = World::new(&stage);
    let (mut going, mut restarts) = (0, 0);
    for round in 0..rounds {
        let parts = (0..16).map(|_| dice.part(going)).collect();
        going = world.continue_with(parts);
        if dice.below(5) == 0 {
            world.allow(dice.one_of(&[None, Some(Fault::Kept), Some(Fault::Lost), Some(Fault::Torn)]));
        }
        for _ in 0..90 {
            let mut steps = world.steps();
            // Mostly what has begun goes on.
            if dice.below(4) > 0 && steps.iter().any(|step| matches!(step, Step::Go(_) | Step::Write(_))) {
                steps.retain(|step| matches!(step, Step::Go(_) | Step::Write(_)));
            }
            let Some(step) = (!steps.is_empty()).then(|| dice.one_of(&steps)) else { break };
            world.step(step).map_err(|what| format!("round {round}, {step:?}: {what}"))?;
            restarts += usize::from(step == Step::Crash);
        }
        world.pass_to(world.at_s + dice.one_of(&[0, 0, 0, 1, 5, 31]));
        world.check().map_err(|what| format!("round {round}: {what}"))?;
    }
    let ran = world.seen.lock().unwrap().ran.len();
    world.end()?;
    Ok((ran, restarts))
}

#[test]
fn a_long_life_with_crashes_executes_what_was_approved_and_nothing_else() {
    let mut dice = Dice::cast();
    let gates = [
        ("group = \"leads\"", "group = \"leads\"\nuses = 2"),
        ("group = \"leads\"\nuses = 3", "all_of = [{ group = \"leads\" }, { group = \"treasury\" }]"),
        ("stages = [{ group = \"leads\" }, { group = \"treasury\" }]\nuses = 2", "group = \"treasury\""),
    ];
    let (mut ran, mut restarts) = (0, 0);
    for (gate, later) in gates.iter().cycle().take(gates.len() * times()) {
        match live(&mut dice, gate, later, 20) {
            Ok((more, times)) => (ran, restarts) = (ran + more, restarts + times),
            Err(what) => panic!("{gate}: {what}"),
        }
    }
    println!("{ran} executions, {restarts} restarts");
    assert!(ran > 0 && restarts > 0, "a life in which nothing happens shows nothing");
}
