//! Decides again what is on record, from what the record says the decision looked at.
//!
//! What people answered, and what a result held, is no input of a decision: where those made the difference, what led there is derived, and the records of the approval or
//! the content say the rest. What stood behind a call (its run was over, somebody had stopped it, its protocol objected) is taken from the record's first reason, which other
//! records prove.

#[cfg(test)]
mod tests;

use std::fmt;
use std::sync::Arc;

use evidence::record::{DecisionPoint, DecisionRecord, Effect, Record};

use super::facts::Facts;
use super::{Decision, PolicySnapshot, decide_on};
use crate::reason::Reason;

/// What came of deciding again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rederived {
    /// What is on record.
    Same,
    /// Something else: a failure of this program, of its version, or of whoever wrote the record.
    Different(Vec<Difference>),
    /// Nothing: the record does not hold what it would take.
    NotDerivable(NotDerivable),
}

/// One thing that is otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// What is derived.
    pub derived: String,
    /// What is on record.
    pub recorded: String,
    /// Which member of the record.
    pub what: &'static str,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { derived, recorded, what } = self;
        write!(f, "`{what}` is `{recorded}` on record, and `{derived}` when it is decided again")
    }
}

/// Why a decision cannot be derived from its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NotDerivable {
    /// It rests on what a result held, of which digests are on record.
    Content,
    /// It hands out what an earlier call of the same approval executed.
    Outcome,
}

impl fmt::Display for NotDerivable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Content => "it rests on what a result held, which is not on record",
            Self::Outcome => "it hands out what an identical call executed",
        })
    }
}

/// Decides again what `decision`, the body of `record`, says, by the policy that it names.
#[must_use]
pub fn rederive(record: &Record, decision: &DecisionRecord, policy: &PolicySnapshot) -> Rederived {
    let has = |reason: Reason| decision.reasons.iter().any(|code| **code == *reason.code());
    if decision.point == DecisionPoint::Release {
        return Rederived::NotDerivable(if has(Reason::Replayed) {
            NotDerivable::Outcome
        } else {
            NotDerivable::Content
        });
    }
    // A use has the gates that were satisfied on record; what people refused has those that were asked.
    let with_gates: &[&[Arc<str>]] = match decision.point {
        DecisionPoint::Use => &[&decision.gates, &[]],
        DecisionPoint::Call | DecisionPoint::Release => &[&[]],
    };
    let mut differences = Vec::new();
    for gates in with_gates {
        for facts in Facts::recorded(record, decision, gates) {
            let found = differing(decision, &decide_on(&facts, policy, record.occurred_at));
            if found.is_empty() {
                return Rederived::Same;
            }
            if differences.is_empty() {
                differences = found;
            }
        }
    }
    Rederived::Different(differences)
}

/// What is otherwise in `derived` than on record.
fn differing(recorded: &DecisionRecord, derived: &Decision) -> Vec<Difference> {
    let reasons: Vec<&str> = recorded.reasons.iter().map(|code| &**code).collect();
    let after = After::of(recorded, derived, &reasons);
    let mut found = Vec::new();
    let mut compare = |what, recorded: String, derived: String| {
        if recorded != derived {
            found.push(Difference { derived, recorded, what });
        }
    };
    let digest = |digest: &Option<Arc<str>>| digest.as_deref().unwrap_or("none").to_owned();
    compare(
        "policy.mission_sha256",
        recorded.policy.mission_sha256.to_string(),
        derived.policy.mission_sha256.to_string(),
    );
    compare(
        "policy.organisation_sha256",
        digest(&recorded.policy.organisation_sha256),
        digest(&derived.policy.organisation_sha256),
    );
    compare("policy.slice_sha256", digest(&recorded.policy.slice_sha256), digest(&derived.policy.slice_sha256));
    compare("gates", recorded.gates.join(", "), derived.gates.join(", "));
    let rules = |rules: &[evidence::record::Rule]| {
        rules.iter().map(|rule| format!("{} (line {})", rule.id, rule.line)).collect::<Vec<_>>().join(", ")
    };
    compare("rules", rules(&recorded.rules), rules(&derived.rules));
    if after == After::People {
        return found;
    }
    if after != After::Revoked {
        let mut codes: Vec<&str> = derived.reasons.iter().map(|reason| reason.code()).collect();
        // A note says something of the call that decided nothing.
        let note = Reason::InputUnasked.code();
        if reasons.last() == Some(&note) {
            codes.push(note);
        }
        let effect = if after == After::Nobody { Effect::Deny } else { derived.effect };
        compare("effect", recorded.effect.to_string(), effect.to_string());
        compare("reasons", reasons.join(", "), codes.join(", "));
    }
    let would = |would: Option<Effect>| would.map_or_else(|| "none".to_owned(), |effect| effect.to_string());
    compare("would", would(recorded.would), would(derived.would));
    compare("sentence", recorded.sentence.clone(), derived.sentence.to_string());
    found
}

/// What came after the policy had decided, and stands in the record in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    /// Nobody could be asked.
    Nobody,
    /// Nothing.
    Nothing,
    /// People refused, or an identical call is being executed: reasons and sentence are of the approval.
    People,
    /// What was approved did not hold any more.
    Revoked,
}

impl After {
    fn of(recorded: &DecisionRecord, derived: &Decision, reasons: &[&str]) -> Self {
        let is_of_people = |code: &&str| OF_PEOPLE.iter().any(|reason| reason.code() == *code);
        let is_revoked = reasons == [Reason::ApprovalRevoked.code()];
        match (recorded.effect, derived.effect) {
            (Effect::Deny, Effect::Ask | Effect::Deny) if is_revoked && recorded.sentence == *derived.sentence => {
                Self::Revoked
            }
            (Effect::Deny, Effect::Ask)
                if reasons.first().is_some_and(is_of_people) && recorded.sentence != *derived.sentence =>
            {
                Self::People
            }
            (Effect::Deny, Effect::Ask) => Self::Nobody,
            (Effect::Ask, _) if reasons == [Reason::OutcomeAwaited.code()] => Self::People,
            _ => Self::Nothing,
        }
    }
}

/// What is said of a call that people were asked about.
pub(super) const OF_PEOPLE: &[Reason] = &[
    Reason::ApprovalDenied,
    Reason::ApprovalEdited,
    Reason::ApprovalExpired,
    Reason::ApprovalRevoked,
    Reason::ApprovalUnavailable,
    Reason::OutcomeAwaited,
];
