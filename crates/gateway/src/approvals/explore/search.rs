//! Goes through schedules: all of a small scenario, depth first and each state once; or some of a large one, as a seed says.
//!
//! A world cannot be copied, so each schedule begins anew and repeats the choices of the one before up to where it turns off.

use std::collections::HashSet;
use std::fmt;

use super::stage::Stage;
use super::world::{Step, Tampered, World};

/// What was gone through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Covered {
    /// Schedules that came to their end.
    pub(super) ends: usize,
    /// Whether nothing is left.
    pub(super) is_all: bool,
    /// Schedules that were begun.
    pub(super) schedules: usize,
    /// States that differ.
    pub(super) states: usize,
}

/// A schedule after which something is not as it must be.
#[derive(Debug)]
pub(super) struct Violation {
    pub(super) schedule: Vec<Step>,
    pub(super) what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}\nafter {:?}", self.what, self.schedule)
    }
}

/// Goes through all schedules of a scenario, at most so many.
pub(super) fn all(
    stage: &Stage,
    sabotage: Option<fn(&mut Tampered<'_>)>,
    schedules_max: usize,
) -> Result<Covered, Violation> {
    let mut covered = Covered::default();
    let mut known = HashSet::new();
    // Of each choice, which one was taken and how many there were.
    let mut path: Vec<(usize, usize)> = Vec::new();
    loop {
        covered.schedules += 1;
        follow(stage, sabotage, &mut path, &mut known, &mut covered)?;
        while path.last().is_some_and(|(taken, of)| taken + 1 == *of) {
            path.pop();
        }
        let Some((taken, _)) = path.last_mut() else {
            covered.is_all = true;
            break;
        };
        *taken += 1;
        if covered.schedules >= schedules_max {
            break;
        }
    }
    covered.states = known.len();
    Ok(covered)
}

/// Follows `path` and goes on from there, until everything that comes is known or nothing more comes.
fn follow(
    stage: &Stage,
    sabotage: Option<fn(&mut Tampered<'_>)>,
    path: &mut Vec<(usize, usize)>,
    known: &mut HashSet<u64>,
    covered: &mut Covered,
) -> Result<(), Violation> {
    let mut world = World::new(stage);
    world.sabotage = sabotage;
    let mut schedule = Vec::new();
    for depth in 0.. {
        let steps = world.steps();
        if depth >= path.len() {
            // The end is checked once for each state in which nothing more comes.
            if !known.insert(world.standing()) {
                return Ok(());
            }
            if steps.is_empty() {
                covered.ends += 1;
                return world.end().map_err(|what| Violation { schedule, what });
            }
            path.push((0, steps.len()));
        }
        let (taken, of) = path[depth];
        assert_eq!(of, steps.len(), "the same choices lead to the same world: {schedule:?} {steps:?}");
        schedule.push(steps[taken]);
        if let Err(what) = world.step(steps[taken]) {
            return Err(Violation { schedule, what });
        }
    }
    Ok(())
}

/// One schedule of a scenario, as `choose` says among so many.
pub(super) fn one(stage: &Stage, mut choose: impl FnMut(usize) -> usize) -> Result<(), Violation> {
    let mut world = World::new(stage);
    let mut schedule = Vec::new();
    loop {
        let steps = world.steps();
        if steps.is_empty() {
            return world.end().map_err(|what| Violation { schedule, what });
        }
        let step = steps[choose(steps.len())];
        schedule.push(step);
        if let Err(what) = world.step(step) {
            return Err(Violation { schedule, what });
        }
    }
}
