//! Clocks end what nobody answered or used in time; before that, they remind those who have not answered, and add people who may.

use std::collections::BTreeMap;
use std::sync::Arc;

use evidence::approvals::Approval;
use evidence::ids::ApprovalId;
use evidence::record::Draft;
use evidence::record::approval::{ApprovalEvent, ApprovalRecord};
use evidence::time::Timestamp;

use super::{Approvals, Entry};
use crate::Gateway;
use crate::clock::now;

/// What a clock makes of an approval.
enum Due {
    Ended,
    Escalated(Arc<str>),
    Reminded,
}

impl Approvals {
    /// What is due of which approvals at `at`.
    fn due(&self, at: Timestamp) -> BTreeMap<ApprovalId, Vec<Due>> {
        let book = self.book();
        let due = book.entries.values().map(|entry| (entry.approval.approval, due(&entry.approval, at)));
        due.filter(|(_, due)| !due.is_empty()).collect()
    }
}

fn due(approval: &Approval, at: Timestamp) -> Vec<Due> {
    if approval.is_over(at) {
        return vec![Due::Ended];
    }
    if !approval.is_open() {
        return Vec::new();
    }
    let gates = approval.question.gates.iter().filter(|gate| gate.escalate.is_some());
    let escalated = gates.filter(|gate| approval.may_escalate(&gate.name, at).is_ok());
    let mut due: Vec<Due> = escalated.map(|gate| Due::Escalated(gate.name.clone())).collect();
    if approval.may_remind(at).is_ok() {
        due.push(Due::Reminded);
    }
    due
}

impl Gateway {
    /// Whether anybody is asked anything.
    #[must_use]
    pub fn has_open_approvals(&self) -> bool {
        !self.approvals.book().open.is_empty()
    }

    /// Records what clocks make of approvals: that they have ended, that more people may answer, that those who have not are reminded.
    pub async fn tend_approvals(&self) {
        let _one_at_a_time = self.approvals.reviewing.lock().await;
        let at = now();
        self.forget_outcomes(at);
        self.forget_parked(at).await;
        let mut drafts = Vec::new();
        for (id, due) in self.approvals.due(at) {
            let Some((mut approval, context, call)) = self.approvals.get(id) else { continue };
            let mut records = Vec::new();
            for due in due {
                let event = |event| Entry::new(approval.clone(), call, context.clone()).event(event);
                let record = match due {
                    Due::Ended => ApprovalRecord {
                        why: Some("nobody answered, or nobody used what was granted, in time".to_owned()),
                        ..event(ApprovalEvent::Expired)
                    },
                    Due::Escalated(gate) => ApprovalRecord {
                        why: Some(format!("gate `{gate}` is not satisfied in time; more people may answer")),
                        gate: Some(gate),
                        ..event(ApprovalEvent::Escalated)
                    },
                    Due::Reminded => event(ApprovalEvent::Reminded),
                };
                if approval.take(&record, at).is_ok() {
                    records.push(record);
                }
            }
            self.approvals.take(id, &records, at);
            drafts.extend(records.into_iter().map(|record| Draft::new(context.clone(), call, at, record)));
        }
        if !drafts.is_empty()
            && let Err(error) = self.ledger.append(drafts).await
        {
            tracing::error!(%error, "what clocks make of approvals could not be recorded");
        }
        self.look_around(at).await;
    }
}
