//! Emergencies: the exception that broken glass opens, and that no more is broken while the review of an earlier one is overdue.

use std::sync::Arc;

use evidence::approvals::Approval;
use evidence::exceptions::Lives;
use evidence::ids::ExceptionId;
use evidence::record::approval::Answer;
use evidence::record::{Context, ExceptionEvent, ExceptionKind, ExceptionRecord};
use evidence::time::Timestamp;

use super::{ReviewError, SCOPE};
use crate::Gateway;
use crate::blocking::blocking;
use crate::exceptions::lives;

impl Gateway {
    /// The exceptions that the ledger knows.
    pub(super) async fn lives(&self) -> Result<Lives, ReviewError> {
        let reader = self.ledger.reader()?;
        Ok(blocking(move || lives(&reader)).await?)
    }

    /// Records that no more glass of a mission is broken.
    pub(super) async fn no_more_glass(&self, context: Arc<Context>, mission: &str, at: Timestamp) -> ReviewError {
        let refused = ReviewError::Glass(mission.to_owned());
        let exception = self.opening(ExceptionKind::Approval, format!("mission:{mission}"), refused.to_string(), at);
        match self.note(context, exception).await {
            Ok(_) => refused,
            Err(error) => error.into(),
        }
    }

    /// The exception that broken glass opens, where any was.
    pub(super) fn glass(&self, approval: &Approval, mission: &str, at: Timestamp) -> Option<ExceptionRecord> {
        let (glass, due) = approval.broken_glass(mission, at)?;
        let broken = approval.in_force().filter(|review| review.answer == Answer::BreakGlass);
        let said = broken.map(|review| {
            let ticket = review.ticket.as_deref().unwrap_or_default();
            format!("`{}` broke the glass: {} ({ticket})", review.reviewer, review.reason)
        });
        Some(ExceptionRecord {
            due: Some(due),
            event: ExceptionEvent::Opened,
            exception: ExceptionId::at(at, self.entropy.bits()),
            kind: ExceptionKind::BreakGlass,
            mitigation: Some(format!("the call may run once, until {}", approval.grant(at).not_after)),
            note: None,
            owner: glass.groups.join(", "),
            reason: said.collect::<Vec<_>>().join("; "),
            scope: format!("{SCOPE}{} mission:{mission}", approval.approval),
            signed: None,
            who: None,
            broken_glass: Some(glass),
        })
    }
}
