//! Standing grants: people are asked once, and then calls use what they granted until it lapses.

use std::sync::Arc;

use evidence::approvals::{Approval, State};
use evidence::ids::{ApprovalId, RunId};
use evidence::record::approval::{ApprovalEvent, ApprovalRecord, Review};
use evidence::record::{Authenticated, Context, Draft, Initiator, Link, Tool};
use evidence::time::Timestamp;
use governance::approve::{Consulted, Granted, StandingError};
use governance::call::Consult;
use governance::classify::provenance::Endorsed;
use governance::decide::PolicySnapshot;
use serde_json::Value;

use super::calls::is_authority;
use super::outcomes::{Use, UsedBy};
use super::{Approvals, Book, Channel, Entry};
use crate::Gateway;
use crate::attachments::Attachments;
use crate::changes::Waits;
use crate::clock::now;
use crate::home::Home;
use crate::limits::{APPROVALS_OPEN_MAX, STANDING_MAX};
use crate::seal::SealError;

/// Why a standing grant was not asked for.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// No mission of that name is in force.
    #[error("no mission `{0}` is in force here")]
    Mission(Arc<str>),
    /// No file of persons is there.
    #[error("{0}")]
    Nobody(String),
    /// What reviewers are shown cannot be kept.
    #[error(transparent)]
    Sealed(#[from] SealError),
    /// It is no grant that could be given.
    #[error(transparent)]
    Standing(#[from] StandingError),
    /// There are too many.
    #[error("{STANDING_MAX} standing grants are in force or asked for; revoke some first")]
    TooMany,
    /// It could not be recorded.
    #[error(transparent)]
    Unrecorded(#[from] store::AppendError),
}

impl Book {
    /// What a standing grant says of a call that asks; a use is taken. `None` where none covers it.
    pub(super) fn covered(
        &mut self,
        consult: &Consult,
        place: &(RunId, String),
        is_good: &impl Fn(&Review) -> bool,
        at: Timestamp,
    ) -> Option<Consulted> {
        let Consult { classified, decision, policy, .. } = consult;
        let covering = |entry: &Entry| {
            let Approval { call_sha256, .. } = &entry.approval;
            let used = entry.approval.next_use(at).ok()?;
            let facets = entry.granted.as_ref()?.covers(call_sha256, classified, decision, policy, at)?;
            let spent = entry.approval.after_spending(&facets).ok()?;
            entry.lost(is_good).is_none().then_some((entry.approval.approval, used, facets, spent))
        };
        let grants = self.standing.iter().filter_map(|id| self.entries.get(id));
        let (approval, used, facets, spent) = { grants }.find_map(covering)?;
        let by = UsedBy {
            context: classified.intercepted.context().clone(),
            covers_sha256: place.1.clone(),
            facets: facets.clone(),
        };
        self.by_call.insert(place.clone(), approval);
        self.change(approval, |entry| {
            let consumed = ApprovalRecord {
                covers_sha256: Some(by.covers_sha256.clone()),
                facets,
                used: Some(used),
                ..entry.event(ApprovalEvent::Consumed)
            };
            entry.approval.taken.insert(used);
            entry.approval.spent = spent;
            entry.uses.insert(used, Use::running(Some(Arc::new(by))));
            Consulted::Approved { consumed: Box::new(consumed), gates: decision.gates.clone() }
        })
    }

    /// Takes up the conditions of standing grants that were asked for before this start.
    pub(super) fn restore_standing(&mut self, home: &Home) {
        for id in &self.standing {
            let Some(entry) = self.entries.get_mut(id).filter(|entry| !entry.is_over()) else { continue };
            entry.granted = granted(home, &entry.approval).map(Arc::new);
            if entry.granted.is_none() {
                tracing::error!(approval = %id, "the conditions of a standing grant cannot be read any more; it covers nothing");
            }
        }
    }
}

/// The grant that an approval is about, as this home has kept it.
fn granted(home: &Home, approval: &Approval) -> Option<Granted> {
    let shown = Attachments::of(home).read(&approval.question.shown_sha256).ok().flatten()?;
    let view: Value = serde_json::from_slice(&shown).ok()?;
    let text = |name: &str| view.get(name).and_then(Value::as_str);
    Granted::read(text("text")?, "the standing grant", text("proposed_by")?).ok()
}

impl Book {
    /// The values that are endorsed in calls of `tool` by those who may still say so.
    fn endorsed(
        &self,
        policy: &PolicySnapshot,
        (tool, pin): (&Tool, Option<&str>),
        is_good: &impl Fn(&Review) -> bool,
        at: Timestamp,
    ) -> Vec<Endorsed> {
        let of_entry = |entry: &Entry| {
            let approval = &entry.approval;
            let endorsement = entry.granted.as_ref()?.endorses(&approval.call_sha256, policy, tool, pin)?;
            let source = approval.endorsed_by(at).filter(|_| entry.lost(is_good).is_none())?;
            Some(Endorsed::new(endorsement.argument.clone(), &endorsement.value, source))
        };
        self.standing.iter().filter_map(|id| of_entry(self.entries.get(id)?)).collect()
    }
}

impl Approvals {
    /// Takes up a grant that is asked for.
    fn stand(&self, entry: Entry) {
        self.book().put(entry);
    }

    /// How many standing grants can still be used, or are asked for.
    fn standing(&self) -> usize {
        let book = self.book();
        let entries = book.standing.iter().filter_map(|id| book.entries.get(id));
        entries.filter(|entry| entry.is_open() || matches!(entry.approval.state, State::Approved(_))).count()
    }
}

impl Gateway {
    /// The values that people have endorsed in calls of `tool`, whose accepted definition is `pin`, for runs of `initiator`.
    pub(crate) fn endorsed(
        &self,
        policy: &PolicySnapshot,
        (tool, pin): (&Tool, Option<&str>),
        initiator: &str,
        at: Timestamp,
    ) -> Vec<Endorsed> {
        if !policy.traces(tool) || self.approvals.book().standing.is_empty() {
            return Vec::new();
        }
        let mission = policy.mission();
        let (people, author) = (self.people.in_force(), self.missions.author(mission.name()));
        let is_good = |review: &Review| {
            let excluded = [Some(initiator), author.as_deref(), Some(&**mission.owner())];
            let may_sign = review.key.as_ref().is_none_or(|key| self.keys.confirmed(&review.reviewer, key).is_some());
            people.as_ref().is_some_and(|people| is_authority(review, people, excluded)) && may_sign
        };
        self.approvals.book().endorsed(policy, (tool, pin), &is_good, at)
    }

    /// Asks people for the standing grant that `text` says, for `who`.
    ///
    /// # Errors
    /// [`AskError`]; then nobody is asked.
    // CRASH: the view is kept without a record, or people are asked and the asker was not told; `approvals list` shows it.
    pub async fn ask_standing(&self, text: &str, who: &str, channel: Channel) -> Result<Waits, AskError> {
        let _one_at_a_time = self.approvals.reviewing.lock().await;
        // Whoever asks over the API has not changed the file.
        self.load_people(if channel == Channel::Api { "file" } else { who }).await;
        let granted = Granted::read(text, "the standing grant", who)?;
        let name = granted.standing().mission().clone();
        let policy = self.missions.policy(&name).ok_or_else(|| AskError::Mission(name.clone()))?;
        let people = self.people.in_force().ok_or_else(|| AskError::Nobody(self.people.trouble()))?;
        if self.approvals.standing() >= STANDING_MAX || self.approvals.book().open.len() >= APPROVALS_OPEN_MAX {
            return Err(AskError::TooMany);
        }
        let at = now();
        let approval = ApprovalId::at(at, self.entropy.bits());
        let pin = self.pins.pinned(granted.standing().tool());
        let author = self.missions.author(&name);
        let requested = granted.question(&policy.load(), pin.as_deref(), &people, author.as_deref(), approval, at)?;
        let initiator = Initiator { authenticated: Authenticated::OsUser, name: who.into() };
        let context = Arc::new(Context { initiator, mission: Some(name), ..Context::system() });
        self.keep_view(&requested)?;
        let shown = Link {
            bytes: requested.view.len() as u64,
            media_type: "application/json".to_owned(),
            rel: "shown".to_owned(),
            sha256: evidence::leaf::sha256_hex(&requested.view),
        };
        let draft = Draft { links: vec![shown], ..Draft::new(context.clone(), None, at, requested.record.clone()) };
        self.ledger.append(vec![draft]).await?;
        let Ok(fresh) = Approval::begin(&requested.record, at) else {
            return Err(StandingError::Over.into());
        };
        let until = fresh.question.respond_by;
        self.approvals.stand(Entry { granted: Some(Arc::new(granted)), ..Entry::new(fresh, None, context) });
        Ok(Waits { approval, until })
    }
}
