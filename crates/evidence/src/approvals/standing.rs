//! How gates stand: which answers count, whose turn it is, and whether those who are left are enough.

use std::sync::Arc;

use super::{Approval, Illegal, quorum};
use crate::record::approval::{Answer, Gate, Review, Stage};

/// How one gate stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally {
    /// Who counts, in order.
    pub approved_by: Vec<Arc<str>>,
    /// Who has broken its glass, in order of their names, and how many of them it takes.
    pub broken_by: (Vec<Arc<str>>, u32),
    /// The group that an escalation has added.
    pub escalated_to: Option<Arc<str>>,
    /// The gate.
    pub gate: Arc<str>,
    /// The stage that is open, from 0; the number of stages where all are satisfied.
    pub stage: usize,
    /// How many stages it has.
    pub stages: usize,
}

impl Tally {
    /// Whether nothing is missing.
    #[must_use]
    pub const fn is_satisfied(&self) -> bool {
        self.stage >= self.stages
    }

    /// Whether it lets the call through: it is satisfied, or enough persons have broken its glass.
    #[must_use]
    pub fn is_passed(&self) -> bool {
        let (by, need) = &self.broken_by;
        self.is_satisfied() || (*need > 0 && by.len() >= usize::try_from(*need).unwrap_or(usize::MAX))
    }
}

/// How a gate stands: the answers that count, and the stage that is open.
#[derive(Default)]
struct Standing<'a> {
    counted: Vec<&'a Review>,
    /// For which groups those of the open stage count.
    of_stage: Vec<Vec<Arc<str>>>,
    stage: usize,
}

impl Standing<'_> {
    /// Whether the person of `review`, or whom they stand in for, counts already.
    fn involves(&self, review: &Review) -> bool {
        let of_review: Vec<Arc<str>> = persons(review).collect();
        self.counted.iter().copied().flat_map(persons).any(|person| of_review.contains(&person))
    }
}

impl Approval {
    /// Whether a yes or no counts somewhere.
    pub(super) fn may_vote(&self, review: &Review) -> Result<(), Illegal> {
        let standing: Vec<(&Gate, Standing<'_>)> =
            self.question.gates.iter().map(|gate| (gate, self.standing(gate))).collect();
        let is_sure = |gate: &Gate| review.assurance >= gate.assurance;
        if matches!(review.answer, Answer::Deny | Answer::Edit) {
            // Whoever said yes may still say no, or propose something else; nobody says it for somebody who has answered.
            let has_answered = |person: &Arc<str>| self.in_force().any(|known| known.reviewer == *person);
            return match review.on_behalf_of.as_ref().is_some_and(has_answered) {
                true => Err(Illegal::Again),
                false if standing.iter().any(|(gate, _)| is_sure(gate)) => Ok(()),
                false => Err(Illegal::Unsure),
            };
        }
        let is_their_turn = |(gate, standing): &&(&Gate, Standing<'_>)| {
            let stage = gate.stages.get(standing.stage);
            stage.is_some_and(|stage| self.asks(gate, stage, &review.groups, self.reviews.len()))
        };
        let turns: Vec<_> = standing.iter().filter(is_their_turn).collect();
        let sure: Vec<_> = turns.iter().filter(|(gate, _)| is_sure(gate)).collect();
        match (turns.is_empty(), sure.is_empty()) {
            (true, _) => Err(Illegal::NotAsked),
            (false, true) => Err(Illegal::Unsure),
            (false, false) if sure.iter().all(|(_, standing)| standing.involves(review)) => Err(Illegal::Again),
            (false, false) => Ok(()),
        }
    }

    /// How each gate stands.
    #[must_use]
    pub fn tallies(&self) -> Vec<Tally> {
        let tallies = self.question.gates.iter().map(|gate| {
            let Standing { counted, of_stage: _, stage } = self.standing(gate);
            let approved_by = counted.into_iter().map(|review| review.reviewer.clone()).collect();
            let escalated_to = self.escalation(gate, self.reviews.len()).cloned();
            let broken_by = gate
                .break_glass
                .as_ref()
                .map_or((Vec::new(), 0), |glass| (self.breakers(gate, glass).into_iter().collect(), glass.need));
            Tally { approved_by, broken_by, escalated_to, gate: gate.name.clone(), stage, stages: gate.stages.len() }
        });
        tallies.collect()
    }

    /// The gates that those who may still answer cannot satisfy, with what was answered: each stage by itself. `left` gives, of the persons who are not among those that it is
    /// told, who may answer now, by their groups.
    #[must_use]
    pub fn unreachable(&self, left: impl Fn(&[Arc<str>]) -> Vec<Vec<Arc<str>>>) -> Vec<Arc<str>> {
        let recused = self.reviews.iter().filter(|review| review.answer == Answer::Recuse);
        let recused: Vec<Arc<str>> = recused.flat_map(persons).collect();
        let is_out_of_reach = |gate: &&Gate| {
            let standing = self.standing(gate);
            let counted = standing.counted.iter().copied().flat_map(persons);
            let left = left(&recused.iter().cloned().chain(counted).collect::<Vec<_>>());
            let widened = |stage: &Stage| -> Vec<Vec<Arc<str>>> {
                left.iter().map(|groups| self.counting(gate, stage, groups, self.reviews.len())).collect()
            };
            let could = |(at, stage): (usize, &Stage)| {
                let mut persons = widened(stage);
                if at == standing.stage {
                    persons.extend(standing.of_stage.iter().cloned());
                }
                quorum::is_met(stage, &persons)
            };
            !gate.stages.iter().enumerate().skip(standing.stage).all(could)
        };
        self.question.gates.iter().filter(is_out_of_reach).map(|gate| gate.name.clone()).collect()
    }

    fn standing(&self, gate: &Gate) -> Standing<'_> {
        let mut standing = Standing::default();
        for (place, review) in self.placed().filter(|(_, review)| review.answer == Answer::Approve) {
            let Some(stage) = gate.stages.get(standing.stage) else { break };
            let is_asked = self.asks(gate, stage, &review.groups, place);
            if review.assurance < gate.assurance || !is_asked || standing.involves(review) {
                continue;
            }
            standing.counted.push(review);
            standing.of_stage.push(self.counting(gate, stage, &review.groups, place));
            if quorum::is_met(stage, &standing.of_stage) {
                standing.stage += 1;
                standing.of_stage.clear();
            }
        }
        standing
    }

    /// Whether `stage` asks one of `groups`, where theirs is the answer at `place`.
    pub(super) fn asks(&self, gate: &Gate, stage: &Stage, groups: &[Arc<str>], place: usize) -> bool {
        quorum::names(stage, groups) || self.escalation(gate, place).is_some_and(|added| groups.contains(added))
    }

    /// For which groups the answer at `place` counts: whoever was added by an escalation counts for each of the stage's.
    fn counting(&self, gate: &Gate, stage: &Stage, groups: &[Arc<str>], place: usize) -> Vec<Arc<str>> {
        match self.escalation(gate, place) {
            Some(added) if groups.contains(added) => quorum::groups(stage).cloned().collect(),
            Some(_) | None => groups.to_vec(),
        }
    }

    /// The group that an escalation has added to `gate` for the answer at `place`.
    fn escalation<'a>(&self, gate: &'a Gate, place: usize) -> Option<&'a Arc<str>> {
        let is_in_force = self.escalated.iter().any(|(name, since)| *name == gate.name && place >= *since);
        gate.escalate.as_ref().filter(|_| is_in_force).map(|escalation| &escalation.group)
    }
}

/// The persons whom an answer takes up.
fn persons(review: &Review) -> impl Iterator<Item = Arc<str>> {
    [Some(review.reviewer.clone()), review.on_behalf_of.clone()].into_iter().flatten()
}
