//! Emergencies: a call that must run without those whom its gate asks. Whoever lets it through says why and where that is written down, and somebody who was skipped looks at
//! it afterwards.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{Approval, Illegal, after};
use crate::record::BrokenGlass;
use crate::record::approval::{Answer, BreakGlass, Gate, Review};
use crate::time::Timestamp;

impl Approval {
    /// Whether `review` may break glass.
    pub(super) fn may_break(&self, review: &Review) -> Result<(), Illegal> {
        // In an emergency everybody speaks for themselves, and about one call.
        if review.on_behalf_of.is_some() || self.question.standing.is_some() {
            return Err(Illegal::NotAsked);
        }
        let glasses = self.question.gates.iter().filter_map(|gate| Some((gate, gate.break_glass.as_ref()?)));
        let theirs: Vec<_> = glasses.filter(|(_, glass)| review.groups.contains(&glass.group)).collect();
        if theirs.is_empty() {
            return Err(Illegal::NotAsked);
        }
        let sure: Vec<_> = theirs.into_iter().filter(|(gate, _)| review.assurance >= gate.assurance).collect();
        let has_broken = |(gate, glass): &(&Gate, &BreakGlass)| self.breakers(gate, glass).contains(&review.reviewer);
        match sure.is_empty() {
            true => Err(Illegal::Unsure),
            false if sure.iter().all(has_broken) => Err(Illegal::Again),
            false => Ok(()),
        }
    }

    /// Who has broken the glass of `gate`.
    pub(super) fn breakers(&self, gate: &Gate, glass: &BreakGlass) -> BTreeSet<Arc<str>> {
        let broken = self.in_force().filter(|review| {
            let is_theirs = review.groups.contains(&glass.group) && review.assurance >= gate.assurance;
            review.answer == Answer::BreakGlass && is_theirs
        });
        broken.map(|review| review.reviewer.clone()).collect()
    }

    /// The gates that are not satisfied and whose glass is broken.
    #[must_use]
    pub fn broken(&self) -> Vec<Arc<str>> {
        let tallies = self.tallies().into_iter();
        tallies.filter(|tally| !tally.is_satisfied() && tally.is_passed()).map(|tally| tally.gate).collect()
    }

    /// What follows from broken glass: who must look at it, and until when; `None` where none is broken.
    #[must_use]
    pub fn broken_glass(&self, mission: &str, at: Timestamp) -> Option<(BrokenGlass, Timestamp)> {
        let broken = self.broken();
        let skipped: Vec<&Gate> = self.question.gates.iter().filter(|gate| broken.contains(&gate.name)).collect();
        let glasses = || skipped.iter().filter_map(|gate| Some((*gate, gate.break_glass.as_ref()?)));
        let due = after(at, glasses().map(|(_, glass)| glass.review_s).min()?);
        let groups: BTreeSet<Arc<str>> = skipped.iter().flat_map(|gate| gate.asked()).cloned().collect();
        let mut excluded: BTreeSet<Arc<str>> = glasses().flat_map(|(gate, glass)| self.breakers(gate, glass)).collect();
        excluded.extend(self.question.excluded.iter().map(|excluded| excluded.person.clone()));
        let (excluded, groups) = (excluded.into_iter().collect(), groups.into_iter().collect());
        Some((BrokenGlass { approval: self.approval, excluded, groups, mission: mission.into() }, due))
    }
}
