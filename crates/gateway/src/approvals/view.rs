//! One approval, as people see it.

use evidence::approvals::{Approval, State, Tally};
use evidence::ids::ApprovalId;
use evidence::record::approval::{Gate, Review};
use evidence::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::Entry;

/// One approval, for people.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalView {
    /// Who acts.
    pub agent: String,
    /// Which.
    pub approval: ApprovalId,
    /// When people were asked.
    pub asked_at: Timestamp,
    /// What it is bound to.
    pub call_sha256: String,
    /// The gates, with their thresholds.
    pub gates: Vec<Gate>,
    /// SHA-256 of the gates.
    pub gates_sha256: String,
    /// On whose behalf.
    pub initiator: String,
    /// The mission.
    pub mission: String,
    /// When what was granted lapses.
    pub not_after: Option<Timestamp>,
    /// When silence becomes a no.
    pub respond_by: Timestamp,
    /// Every answer, in order.
    pub reviews: Vec<Review>,
    /// Why people are asked.
    pub sentence: String,
    /// SHA-256 of what reviewers are shown.
    pub shown_sha256: String,
    /// How the gates stand, in sentences.
    pub standing: Vec<String>,
    /// `open`, `approved`, `denied`, `expired`, `revoked`, `used` or `withdrawn`.
    pub state: String,
    /// The tool.
    pub tool: String,
    /// How often it was used.
    pub used: u32,
}

impl Entry {
    /// What people see of it.
    pub(super) fn view(&self) -> ApprovalView {
        let Approval { approval, call_sha256, gates_sha256, opened_at, question, reviews, state, tool, used } =
            &self.approval;
        let not_after = if let State::Approved(grant) = state { Some(grant.not_after) } else { None };
        ApprovalView {
            agent: self.context.agent.name.to_string(),
            approval: *approval,
            asked_at: *opened_at,
            call_sha256: call_sha256.clone(),
            gates: question.gates.clone(),
            gates_sha256: gates_sha256.clone(),
            initiator: self.context.initiator.name.to_string(),
            mission: self.context.mission.as_deref().unwrap_or_default().to_owned(),
            not_after,
            respond_by: question.respond_by,
            reviews: reviews.clone(),
            sentence: question.sentence.clone(),
            shown_sha256: question.shown_sha256.clone(),
            standing: self.approval.tallies().iter().map(said).collect(),
            state: match state {
                State::Approved(grant) if *used >= grant.uses => "used",
                State::Approved(_) => "approved",
                State::Denied(_) => "denied",
                State::Expired => "expired",
                State::Open => "open",
                State::Revoked => "revoked",
                State::Withdrawn => "withdrawn",
            }
            .to_owned(),
            tool: tool.to_string(),
            used: *used,
        }
    }
}

/// How a gate stands, in a sentence.
pub(super) fn said(tally: &Tally) -> String {
    let by = tally.approved_by.iter().map(|person| format!("`{person}`")).collect::<Vec<_>>().join(", ");
    let by = if by.is_empty() { "nobody yet".to_owned() } else { by };
    match tally.is_satisfied() {
        true => format!("gate `{}` is satisfied by {by}", tally.gate),
        false => format!("gate `{}`, stage {} of {}: approved by {by}", tally.gate, tally.stage + 1, tally.stages),
    }
}
