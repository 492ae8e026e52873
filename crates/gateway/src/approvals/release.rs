//! Whoever asked takes a question back, or gives back what was granted and is not needed any more; and the end of a run does both.

use evidence::approvals::State;
use evidence::ids::{ApprovalId, RunId};
use evidence::record::Draft;
use evidence::record::approval::{ApprovalEvent, ApprovalRecord, Resolution};
use governance::limits::SENTENCE_BYTES_MAX;

use super::{ApprovalState, Approvals, Channel, Entry, ReviewError};
use crate::Gateway;
use crate::clock::now;

impl Approvals {
    /// The approvals of a run that are open, or granted and not used up.
    fn alive(&self, run: RunId) -> Vec<ApprovalId> {
        let book = self.book();
        let is_alive = |entry: &&Entry| match &entry.approval.state {
            State::Approved(grant) => entry.approval.used() < grant.uses,
            state => *state == State::Open,
        };
        let of_run = book.entries.values().filter(|entry| entry.context.run == Some(run));
        of_run.filter(is_alive).map(|entry| entry.approval.approval).collect()
    }
}

impl Gateway {
    /// Takes back the question, or gives back what was granted, for the initiator `who`; says what it is now.
    ///
    /// # Errors
    /// [`ReviewError`]; then nothing was recorded.
    pub async fn release_approval(
        &self,
        id: ApprovalId,
        who: &str,
        why: &str,
        channel: Channel,
    ) -> Result<ApprovalState, ReviewError> {
        let _one_at_a_time = self.approvals.reviewing.lock().await;
        if why.trim().is_empty() || why.len() > SENTENCE_BYTES_MAX {
            return Err(ReviewError::Unfit);
        }
        // Whoever asks over the API has not changed the file.
        self.load_people(if channel == Channel::Api { "file" } else { who }).await;
        let (_, context, _) = self.approvals.get(id).ok_or(ReviewError::Unknown(id))?;
        let initiator = &*context.initiator.name;
        let people = self.people.in_force();
        let person = |name: &str| people.as_ref().and_then(|people| people.person_of(name).cloned());
        if initiator != who && (person(who).is_none() || person(who) != person(initiator)) {
            return Err(ReviewError::NotYours(initiator.to_owned()));
        }
        self.let_go(id, who, why).await
    }

    /// Ends what a run has asked and not used, because `who` ended the run.
    pub(crate) async fn release_run(&self, run: RunId, who: &str, why: &str) {
        let _one_at_a_time = self.approvals.reviewing.lock().await;
        for id in self.approvals.alive(run) {
            if let Err(error) = self.let_go(id, who, why).await {
                tracing::error!(%error, approval = %id, "what a run has asked could not be taken back");
            }
        }
    }

    async fn let_go(&self, id: ApprovalId, who: &str, why: &str) -> Result<ApprovalState, ReviewError> {
        let (approval, context, call) = self.approvals.get(id).ok_or(ReviewError::Unknown(id))?;
        let (event, resolution, now_is) = match approval.is_open() {
            true => (ApprovalEvent::Resolved, Some(Resolution::Withdrawn), ApprovalState::Withdrawn),
            false => (ApprovalEvent::Released, None, ApprovalState::Released),
        };
        let at = now();
        let record = ApprovalRecord {
            resolution,
            who: Some(who.to_owned()),
            why: Some(why.to_owned()),
            ..Entry::new(approval.clone(), call, context.clone()).event(event)
        };
        approval.clone().take(&record, at)?;
        // It bites before it is recorded, so that trouble with the ledger cannot keep it from working.
        self.approvals.take(id, std::slice::from_ref(&record), at);
        self.ledger.append(vec![Draft::new(context, call, at, record)]).await?;
        Ok(now_is)
    }
}
