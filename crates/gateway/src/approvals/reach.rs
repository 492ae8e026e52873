//! Whether those who may still answer are enough: where they are not, the standing says so, and an exception is opened once.
//!
//! Who is away and who is in which group stands in no record of the approval, so nothing follows from it: no clock is moved, and nobody is added before their time.

use std::sync::Arc;

use evidence::ids::ApprovalId;
use evidence::record::approval::Excluded;
use evidence::record::{Draft, ExceptionKind};
use evidence::time::Timestamp;
use governance::approve::People;

use super::view::out_of_reach;
use super::{Approvals, Entry, SCOPE};
use crate::Gateway;
use crate::limits::{APPROVALS_LOOKED_AT_MAX, LOOK_AGAIN_US};

impl Approvals {
    /// Other persons may answer from now on.
    pub(crate) fn look_again(&self) {
        self.book().entries.values_mut().for_each(|entry| entry.looked_at = Timestamp::EPOCH);
    }

    /// The open approvals that were not looked at for longest, or for a while.
    fn unseen(&self, at: Timestamp) -> Vec<ApprovalId> {
        let book = self.book();
        let is_unseen = |entry: &&Entry| entry.is_open() && at.micros_since(entry.looked_at) > LOOK_AGAIN_US;
        let unseen = book.entries.values().filter(is_unseen).take(APPROVALS_LOOKED_AT_MAX);
        unseen.map(|entry| entry.approval.approval).collect()
    }
}

impl Gateway {
    /// Looks at some of the open approvals, whether those who are left could satisfy their gates.
    pub(super) async fn look_around(&self, at: Timestamp) {
        let Some(people) = self.people.in_force() else { return };
        for approval in self.approvals.unseen(at) {
            self.look(approval, &people, at).await;
        }
    }

    /// Gives the gates of an open approval that those who are left cannot satisfy, and opens an exception where that is new.
    pub(super) async fn look(&self, id: ApprovalId, people: &People, at: Timestamp) -> Vec<Arc<str>> {
        let found = self.approvals.book().change(id, |entry| {
            let approval = &entry.approval;
            let left = |out: &[Arc<str>]| {
                let out = out.iter().map(|person| Excluded { person: person.clone(), role: String::new() });
                let out: Vec<Excluded> = out.chain(approval.question.excluded.iter().cloned()).collect();
                people.who_may_answer(&out, at)
            };
            entry.looked_at = at;
            entry.unreachable = if entry.is_open() { entry.approval.unreachable(left) } else { Vec::new() };
            let is_new = !entry.is_warned && !entry.unreachable.is_empty();
            entry.is_warned |= is_new;
            let why = entry.unreachable.iter().map(|gate| out_of_reach(&entry.approval, gate)).collect::<Vec<_>>();
            let draft = is_new.then(|| {
                let exception = self.opening(ExceptionKind::Approval, format!("{SCOPE}{id}"), why.join("; "), at);
                Draft::new(entry.context.clone(), entry.call, at, exception)
            });
            (entry.unreachable.clone(), draft)
        });
        let Some((unreachable, draft)) = found else { return Vec::new() };
        if let Some(draft) = draft
            && let Err(error) = self.ledger.append(vec![draft]).await
        {
            tracing::error!(%error, "that an approval is out of reach could not be recorded");
        }
        unreachable
    }
}
