//! Clocks end what nobody answered or used in time.

use evidence::record::Draft;
use evidence::record::approval::{ApprovalEvent, ApprovalRecord};

use super::Entry;
use crate::Gateway;
use crate::clock::now;

impl Gateway {
    /// Whether anybody is asked anything.
    #[must_use]
    pub fn has_open_approvals(&self) -> bool {
        !self.approvals.book().open.is_empty()
    }

    /// Records which approvals have ended by their clocks.
    pub async fn end_approvals(&self) {
        let _one_at_a_time = self.approvals.reviewing.lock().await;
        let at = now();
        let mut drafts = Vec::new();
        for id in self.approvals.over(at) {
            let Some((approval, context, call)) = self.approvals.get(id) else { continue };
            let record = ApprovalRecord {
                why: Some("nobody answered, or nobody used what was granted, in time".to_owned()),
                ..Entry::new(approval.clone(), call, context.clone()).event(ApprovalEvent::Expired)
            };
            if approval.clone().take(&record, at).is_err() {
                continue;
            }
            self.approvals.take(id, std::slice::from_ref(&record), at);
            drafts.push(Draft::new(context, call, at, record));
        }
        if drafts.is_empty() {
            return;
        }
        if let Err(error) = self.ledger.append(drafts).await {
            tracing::error!(%error, "the end of approvals could not be recorded");
        }
    }
}
