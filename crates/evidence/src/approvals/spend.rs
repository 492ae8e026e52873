//! Uses of what was granted: each once, and of a standing grant no more than its sums.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Approval, Illegal, State};
use crate::decimal::Number;
use crate::record::Facet;
use crate::record::approval::{ApprovalRecord, Total};
use crate::time::Timestamp;

impl Approval {
    /// How many of its uses are consumed.
    #[must_use]
    pub fn used(&self) -> u32 {
        u32::try_from(self.taken.len()).unwrap_or(u32::MAX)
    }

    /// Takes one use.
    pub(super) fn consume(&mut self, record: &ApprovalRecord, at: Timestamp) -> Result<(), Illegal> {
        let next = self.next_use(at)?;
        let number = record.used.ok_or(Illegal::Lacking)?;
        let State::Approved(grant) = &self.state else { return Err(Illegal::NotGranted) };
        // Calls use a standing grant side by side, and one may give its use back; those of any other use it one after the other.
        let is_standing = self.question.standing.is_some();
        let is_free = (1..=grant.uses).contains(&number) && !self.taken.contains(&number);
        if !(if is_standing { is_free } else { number == next }) {
            return Err(Illegal::Unfounded);
        }
        if record.covers_sha256.is_some() != is_standing || (!is_standing && !record.facets.is_empty()) {
            return Err(Illegal::Unfounded);
        }
        self.spent = self.after_spending(&record.facets)?;
        self.taken.insert(number);
        Ok(())
    }

    /// What its uses come to with one more that has these facts.
    ///
    /// # Errors
    /// [`Illegal::Beyond`] where that is more than is covered, or a fact is missing.
    pub fn after_spending(&self, facets: &[Facet]) -> Result<BTreeMap<Arc<str>, Number>, Illegal> {
        let State::Approved(grant) = &self.state else { return Err(Illegal::NotGranted) };
        let mut spent = self.spent.clone();
        for Total { argument, most } in &grant.totals {
            let most = Number::parse(most).map_err(|_| Illegal::Unfounded)?;
            let known = spent.entry(argument.clone()).or_insert(Number::ZERO);
            let sum = number(facets, argument).and_then(|number| known.plus(number).ok()).ok_or(Illegal::Beyond)?;
            if sum > most {
                return Err(Illegal::Beyond);
            }
            *known = sum;
        }
        Ok(spent)
    }

    /// Gives back a use that was taken and not recorded.
    pub fn give_back(&mut self, used: u32, facets: &[Facet]) {
        if !self.taken.remove(&used) {
            return;
        }
        for (argument, known) in &mut self.spent {
            if let Some(without) = number(facets, argument).and_then(|number| known.plus(number.negated().ok()?).ok()) {
                *known = without;
            }
        }
    }
}

/// The one number, not below zero, that an argument has.
fn number(facets: &[Facet], argument: &str) -> Option<Number> {
    let facet = facets.iter().find(|facet| *facet.argument == *argument)?;
    let [value] = facet.values.as_slice() else { return None };
    Number::parse(&value.text).ok().filter(|number| *value.kind == *"number" && *number >= Number::ZERO)
}
