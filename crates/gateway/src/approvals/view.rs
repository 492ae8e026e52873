//! One approval, as people see it.

use std::sync::Arc;

use evidence::approvals::{Approval, State, Tally};
use evidence::ids::{ApprovalId, RunId};
use evidence::record::approval::{Gate, Review, Total};
use evidence::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::outcomes::{Stands, Use};
use super::{Approvals, Entry};

/// One approval, for people.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalView {
    /// Who acts.
    pub agent: String,
    /// Which.
    pub approval: ApprovalId,
    /// SHA-256 of the exact argument bytes.
    pub args_sha256: String,
    /// When people were asked.
    pub asked_at: Timestamp,
    /// What it is bound to.
    pub call_sha256: String,
    /// The gates, with their thresholds.
    pub gates: Vec<Gate>,
    /// The argument of which it endorses one value, or is to; `None` of anything else.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endorses: Option<String>,
    /// SHA-256 of the gates.
    pub gates_sha256: String,
    /// On whose behalf.
    pub initiator: String,
    /// The mission.
    pub mission: String,
    /// When what was granted lapses.
    pub not_after: Option<Timestamp>,
    /// How often those who have not answered were reminded.
    pub reminded: u32,
    /// When silence becomes a no.
    pub respond_by: Timestamp,
    /// Every answer, in order.
    pub reviews: Vec<Review>,
    /// Why people are asked.
    pub sentence: String,
    /// SHA-256 of what reviewers are shown.
    pub shown_sha256: String,
    /// The name of the standing grant that it is, or asks for; `None` of calls and changes.
    pub standing_grant: Option<String>,
    /// How the gates stand, in sentences.
    pub standing: Vec<String>,
    /// Where in its life it is.
    pub state: ApprovalState,
    /// The tool.
    pub tool: String,
    /// How often it was used.
    pub used: u32,
}

/// Where in its life an approval is, in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ApprovalState {
    /// It may be used.
    Approved,
    /// Somebody said no.
    Denied,
    /// Somebody proposed other arguments.
    Edited,
    /// A clock ended.
    Expired,
    /// Answers are awaited.
    Open,
    /// What was granted was given back.
    Released,
    /// What was granted was taken back.
    Revoked,
    /// Every use is consumed.
    Used,
    /// The question was taken back.
    Withdrawn,
}

impl ApprovalState {
    /// Every state, as it is written.
    pub const WORDS: [(&'static str, Self); 9] = [
        ("approved", Self::Approved),
        ("denied", Self::Denied),
        ("edited", Self::Edited),
        ("expired", Self::Expired),
        ("open", Self::Open),
        ("released", Self::Released),
        ("revoked", Self::Revoked),
        ("used", Self::Used),
        ("withdrawn", Self::Withdrawn),
    ];

    /// Where `approval` is.
    #[must_use]
    pub fn of(approval: &Approval) -> Self {
        match &approval.state {
            State::Approved(grant) if approval.used() >= grant.uses => Self::Used,
            State::Approved(_) => Self::Approved,
            State::Denied(_) => Self::Denied,
            State::Edited(_) => Self::Edited,
            State::Expired => Self::Expired,
            State::Open => Self::Open,
            State::Released => Self::Released,
            State::Revoked => Self::Revoked,
            State::Withdrawn => Self::Withdrawn,
        }
    }

    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::WORDS.iter().find(|(_, state)| *state == self).map_or("", |(word, _)| word)
    }
}

impl Entry {
    /// What people see of it.
    pub(super) fn view(&self) -> ApprovalView {
        let Approval { approval, call_sha256, gates_sha256, opened_at, question, reviews, state, tool, .. } =
            &self.approval;
        let not_after = if let State::Approved(grant) = state { Some(grant.not_after) } else { None };
        ApprovalView {
            agent: self.context.agent.name.to_string(),
            approval: *approval,
            args_sha256: question.args_sha256.clone(),
            asked_at: *opened_at,
            call_sha256: call_sha256.clone(),
            gates: question.gates.clone(),
            endorses: question.standing.as_ref().and_then(|standing| Some(standing.endorses.as_ref()?.to_string())),
            gates_sha256: gates_sha256.clone(),
            initiator: self.context.initiator.name.to_string(),
            mission: self.context.mission.as_deref().unwrap_or_default().to_owned(),
            not_after,
            reminded: self.approval.reminded.0,
            respond_by: question.respond_by,
            reviews: reviews.clone(),
            sentence: question.sentence.clone(),
            shown_sha256: question.shown_sha256.clone(),
            standing_grant: question.standing.as_ref().map(|standing| standing.name.to_string()),
            standing: standing(&self.approval, &self.unreachable),
            state: ApprovalState::of(&self.approval),
            tool: tool.to_string(),
            used: self.approval.used(),
        }
    }
}

/// How the gates stand, in sentences.
pub(super) fn standing(approval: &Approval, unreachable: &[Arc<str>]) -> Vec<String> {
    let mut said: Vec<String> = approval.tallies().iter().map(self::said).collect();
    if approval.state == State::Open {
        said.extend(unreachable.iter().map(|gate| out_of_reach(approval, gate)));
    }
    if let (Some(standing), State::Approved(grant)) = (&approval.question.standing, &approval.state)
        && standing.endorses.is_none()
    {
        said.push(format!("used {} of {} times", approval.used(), grant.uses));
        let spent = |argument| approval.spent.get(argument).map_or_else(|| "0".to_owned(), ToString::to_string);
        let sums = grant
            .totals
            .iter()
            .map(|Total { argument, most }| format!("{} of {most} `{argument}` used", spent(argument)));
        said.extend(sums);
    }
    said
}

/// That too few are left for a gate, and what may still help, in a sentence.
pub(super) fn out_of_reach(approval: &Approval, gate: &str) -> String {
    let named = approval.question.gates.iter().find(|known| *known.name == *gate);
    let is_escalated = approval.escalated.iter().any(|(known, _)| **known == *gate);
    let escalation = named.and_then(|gate| gate.escalate.as_ref()).filter(|_| !is_escalated);
    let help = escalation.map(|escalation| {
        let at =
            approval.opened_at.plus_micros(i64::try_from(escalation.after_s).unwrap_or(0).saturating_mul(1_000_000));
        format!("; from {at} on, those of `{}` may answer too", escalation.group)
    });
    format!("gate `{gate}` cannot be satisfied: too few of those who may answer are left{}", help.unwrap_or_default())
}

/// How a gate stands, in a sentence.
pub(super) fn said(tally: &Tally) -> String {
    let by = tally.approved_by.iter().map(|person| format!("`{person}`")).collect::<Vec<_>>().join(", ");
    let by = if by.is_empty() { "nobody yet".to_owned() } else { by };
    let also = tally.escalated_to.as_ref().map(|group| format!("; escalated: those of `{group}` may answer too"));
    if !tally.is_satisfied() && tally.is_passed() {
        let by = tally.broken_by.0.iter().map(|person| format!("`{person}`")).collect::<Vec<_>>().join(", ");
        return format!("gate `{}`: its glass is broken by {by}", tally.gate);
    }
    match tally.is_satisfied() {
        true => format!("gate `{}` is satisfied by {by}", tally.gate),
        false => format!(
            "gate `{}`, stage {} of {}: approved by {by}{}",
            tally.gate,
            tally.stage + 1,
            tally.stages,
            also.unwrap_or_default()
        ),
    }
}

impl Approvals {
    /// How an approval of `run` stands at `at`, as its agent is told; `None` where the run has no such approval.
    pub(crate) fn status(&self, approval: ApprovalId, run: RunId, at: Timestamp) -> Option<Map<String, Value>> {
        let book = self.book();
        let is_of_run = |entry: &&Entry| {
            let mut uses = entry.uses.values().filter_map(|known| known.by.as_ref());
            entry.context.run == Some(run) || uses.any(|by| by.context.run == Some(run))
        };
        let entry = book.entries.get(&approval).filter(is_of_run)?;
        let ApprovalView { not_after, respond_by, standing, tool, .. } = entry.view();
        let (state, next) = entry.advice(at);
        let told = json!({
            "approval": approval, "next": next, "not_after": not_after, "respond_by": respond_by, "standing": standing,
            "state": state, "tool": tool,
        });
        let Value::Object(mut told) = told else { return None };
        told.extend(entry.proposed().map(|proposed| ("proposed".to_owned(), (&*proposed).into())));
        Some(told)
    }
}

impl Entry {
    /// Where it stands for its agent, and what the agent does next.
    pub(super) fn advice(&self, at: Timestamp) -> (&'static str, String) {
        let again = "send exactly the same call again";
        if self.is_running() {
            return (
                "executing",
                format!("it is being executed; {again} to get its outcome, nothing is executed twice"),
            );
        }
        let is_undelivered = |known: &Use| matches!(known.stands, Stands::Ended { delivered_at: None, .. });
        if self.uses.values().any(is_undelivered) {
            return ("executed", format!("it was executed; {again} to get its outcome, nothing is executed twice"));
        }
        if self.approval.is_over(at) {
            return ("expired", "it was not answered, or not used, in time; tell the person you work for".to_owned());
        }
        match &self.approval.state {
            State::Open => {
                ("open", format!("wait; {again} from time to time until `respond_by`, it runs once it is approved"))
            }
            State::Approved(_) if self.approval.next_use(at).is_ok() => {
                ("approved", format!("{again} before `not_after`: it is executed then"))
            }
            State::Approved(_) => {
                ("used", "it was executed, and its outcome was told; the same call again is a new question".to_owned())
            }
            State::Denied(why) => {
                ("denied", format!("people said no: {why}; do not retry, and tell the person you work for"))
            }
            State::Edited(why) => (
                "edited",
                format!(
                    "a person proposes other arguments: {why}; if `proposed` serves your task, call the tool with exactly that, which is asked about anew"
                ),
            ),
            State::Expired => {
                ("expired", "it was not answered, or not used, in time; tell the person you work for".to_owned())
            }
            State::Revoked => (
                "revoked",
                "what was approved was taken back; do not retry, and tell the person you work for".to_owned(),
            ),
            State::Released => {
                ("released", "what was approved was given back; the same call again is a new question".to_owned())
            }
            State::Withdrawn => {
                ("withdrawn", "the question was taken back; the same call again is a new question".to_owned())
            }
        }
    }
}
