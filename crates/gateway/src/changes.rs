//! The gate of changes: what would allow more, or change who and what governs agents, waits for people where the organisation's `[changes]` says so.
//!
//! Whoever would take a version up asks [`Gateway::settle`] first. What waits is kept in the home by what its approval is bound to, and [`Gateway::take_up_changes`] takes it
//! up once it is approved: the same way again, so that all is looked at anew. What is narrower never comes here.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use evidence::approvals::{change_sha256, changed};
use evidence::ids::ApprovalId;
use evidence::record::approval::{ApprovalRecord, Review};
use evidence::record::{Context, Direction, Draft, VersionLog, VersionedKind};
use evidence::time::Timestamp;
use governance::approve::Change;
use governance::mission::Gate;
use serde::{Deserialize, Serialize};

use crate::Gateway;
use crate::approvals::Settled;
use crate::clock::now;
use crate::missions::LoadError;

/// As whom files are taken up that nobody applied by hand.
pub(crate) const FILE: &str = "file";

/// Whether people may be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asks {
    /// They are asked where nobody has been.
    Anew,
    /// Only what is approved counts.
    Nothing,
}

/// What waits for people, and how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Waits {
    /// Which approval.
    pub approval: ApprovalId,
    /// When silence becomes a no.
    pub until: Timestamp,
}

/// Why a change does not take effect, or not yet.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// What waits could not be kept.
    #[error("keep what waits for approval: {0}")]
    Keep(String),
    /// People said no, or did not answer.
    #[error("it does not take effect: {why}; it is asked about again once it says something else, with another `why`")]
    Refused {
        /// What they answered.
        why: String,
    },
    /// Nobody could answer.
    #[error("it needs an approval that nobody can give: {0}")]
    Unreachable(String),
    /// It could not be recorded.
    #[error(transparent)]
    Unrecorded(#[from] store::AppendError),
    /// People are asked.
    #[error(
        "it waits for approval {approval} until {until}, and what was in force stays; `countersign approvals show {approval}` says what is asked",
        approval = .0.approval,
        until = .0.until
    )]
    Waits(Waits),
}

impl ChangeError {
    /// Whether something failed that is the operator's to mend.
    #[must_use]
    pub const fn is_failure(&self) -> bool {
        matches!(self, Self::Keep(_) | Self::Unrecorded(_))
    }
}

/// A version that would be recorded.
pub(crate) struct Proposal<'a> {
    pub(crate) asks: Asks,
    /// Who has to do with it beside whoever proposes it, with their roles.
    pub(crate) involved: &'a [(&'a str, &'static str)],
    /// Where its file is, of missions.
    pub(crate) path: Option<&'a Path>,
    /// The exact new text.
    pub(crate) text: &'a str,
}

/// What the home keeps of a change that waits; its text is kept under the version's own digest.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Kept {
    pub(crate) path: Option<PathBuf>,
    pub(crate) version: VersionLog,
}

/// Whether a version of this direction waits: one that may allow something new.
pub(crate) fn is_wider(direction: Option<Direction>) -> bool {
    direction.is_some_and(Direction::is_wider)
}

/// Whom the operating system names as the owner of a file.
pub(crate) fn owner_of(path: &Path) -> String {
    std::fs::metadata(path).map_or_else(|_| FILE.to_owned(), |found| crate::people::user_name(found.uid()))
}

impl Gateway {
    /// Whose approval a change of this kind needs, as the organisation in force says.
    ///
    /// # Errors
    /// Where a version of the organisation's file was accepted and cannot be read any more: whether it has a gate is not known.
    pub(crate) fn change_gate(&self, kind: VersionedKind) -> Result<Option<Gate>, ChangeError> {
        let lost = || {
            let why = "the organisation file that was accepted is not in the home any more; restore it from a backup";
            ChangeError::Unreachable(why.to_owned())
        };
        let bounds = self.organisation_in_force().map_err(|()| lost())?;
        Ok(bounds.and_then(|bounds| bounds.organisation().change_gate(kind).cloned()))
    }

    /// The use of an approval, where `version` needs one and has it; then the version is in the name of whoever proposed it.
    ///
    /// # Errors
    /// [`ChangeError`]: the version does not take effect, or not yet.
    pub(crate) async fn settle(
        &self,
        version: &mut VersionLog,
        proposal: Proposal<'_>,
    ) -> Result<Option<Box<ApprovalRecord>>, ChangeError> {
        let Proposal { asks, involved, path, text } = proposal;
        let Some(gate) = self.change_gate(version.object.kind)? else { return Ok(None) };
        let at = now();
        let fresh = ApprovalId::at(at, self.entropy.bits());
        let may_sign = |review: &Review| match &review.key {
            Some(key) => self.keys.confirmed(&review.reviewer, key).is_some(),
            None => true,
        };
        let change = Change { gate: &gate, involved, text, version };
        let people = self.people_in_force();
        let settled = self.approvals.settle(change, people.as_deref(), may_sign, asks, fresh, at);
        match settled {
            Settled::Approved { consumed, who } => {
                version.who = who;
                Ok(Some(consumed))
            }
            Settled::Pending { approval, fresh, respond_by } => {
                if let Some((requested, replaced)) = fresh {
                    let kept = Kept { path: path.map(Path::to_owned), version: version.clone() };
                    let kept = self.keep_change(&kept).and_then(|()| {
                        self.keep_view(&requested).map_err(|error| ChangeError::Keep(error.to_string()))
                    });
                    if let Err(error) = kept {
                        self.approvals.forget(approval);
                        return Err(error);
                    }
                    // CRASH: the proposal is kept and nobody is asked. Whoever takes the version up asks again.
                    let context = self.approvals.context_of(approval).unwrap_or_else(|| Context::system().into());
                    let mut drafts = replaced;
                    drafts.push(Draft::new(context, None, at, requested.record));
                    if let Err(error) = self.ledger.append(drafts).await {
                        self.approvals.forget(approval);
                        return Err(error.into());
                    }
                    tracing::info!(%approval, change = %changed(version), "a change waits for people");
                }
                Err(ChangeError::Waits(Waits { approval, until: respond_by }))
            }
            Settled::Refused { approval: Some(_), why } => Err(ChangeError::Refused { why }),
            Settled::Refused { approval: None, why } => Err(ChangeError::Unreachable(why)),
        }
    }

    /// Records a version; with the use of its approval, in one group, where it needed one. What is asked about other versions of the object is over.
    pub(crate) async fn note_version(
        &self,
        context: Context,
        mut version: VersionLog,
        consumed: Option<Box<ApprovalRecord>>,
    ) -> Result<(), store::AppendError> {
        let at = now();
        let (tool, why) = (changed(&version), format!("another version is in force: {}", version.why));
        let mut drafts = Vec::new();
        if let Some(consumed) = consumed {
            version.approval = Some(consumed.approval);
            let context = self.approvals.context_of(consumed.approval).unwrap_or_else(|| Context::system().into());
            drafts.push(Draft::new(context, None, at, *consumed));
        }
        // CRASH: the use and the version are durable together or not at all; in between, the change waits as an approved one.
        drafts.push(Draft::new(context.into(), None, at, version));
        drafts.extend(self.approvals.replace(&tool, &why, at));
        self.ledger.append(drafts).await.map(drop)
    }

    /// Takes up every change that is approved. What cannot take effect any more is revoked.
    pub async fn take_up_changes(&self) {
        if self.approvals.approved_changes(now()).is_empty() {
            return;
        }
        let _one_at_a_time = self.changing.lock().await;
        for (approval, call_sha256) in self.approvals.approved_changes(now()) {
            let taken = match self.kept_change(&call_sha256) {
                Some(kept) => self.take_up(kept).await,
                None => Err("what was approved is not in the home any more".to_owned()),
            };
            match &taken {
                Ok(()) => tracing::info!(%approval, "an approved change is in force"),
                Err(error) => tracing::error!(%error, %approval, "an approved change could not be taken up"),
            }
            // Where it could not even be written, it is tried again.
            if self.readiness() != crate::Readiness::Ready {
                return;
            }
            let why = taken.err().unwrap_or_else(|| "it is in force already".to_owned());
            if let Some(ended) = self.approvals.end(approval, &why, now())
                && let Err(error) = self.ledger.append(vec![ended]).await
            {
                tracing::error!(%error, %approval, "that a change cannot take effect could not be recorded");
            }
        }
    }

    async fn take_up(&self, kept: Kept) -> Result<(), String> {
        match kept.version.object.kind {
            VersionedKind::Mission => self.take_up_mission(kept).await.map_err(|error: LoadError| error.to_string()),
            VersionedKind::Organisation => {
                self.take_up_organisation(kept).await.map_err(|error: LoadError| error.to_string())
            }
            VersionedKind::Classes => self.take_up_classes(kept).await,
            VersionedKind::People => self.take_up_people(kept).await,
            VersionedKind::Pin => self.take_up_pin(kept).await.map_err(|error| error.to_string()),
            VersionedKind::Key => self.take_up_key(kept).await.map_err(|error| error.to_string()),
            kind @ (VersionedKind::Attachment | VersionedKind::Halt | VersionedKind::Run) => {
                Err(format!("a change of kind `{kind}` waits for nobody"))
            }
        }
    }

    fn keep_change(&self, kept: &Kept) -> Result<(), ChangeError> {
        let text = serde_json::to_string(kept).map_err(|error| ChangeError::Keep(error.to_string()))?;
        let written = self.home.keep_change(&change_sha256(&kept.version), &text);
        written.map_err(|error| ChangeError::Keep(error.to_string()))
    }

    /// What was kept, if it is still what is approved.
    fn kept_change(&self, call_sha256: &str) -> Option<Kept> {
        let kept: Kept = serde_json::from_str(&self.home.change(call_sha256)?).ok()?;
        (change_sha256(&kept.version) == call_sha256).then_some(kept)
    }

    /// That a change took effect which nobody could approve.
    pub(crate) async fn unapproved(&self, scope: &str, reason: &str) {
        let mitigation = "it is recorded; from here on, changes like it wait";
        let kind = evidence::record::ExceptionKind::Change;
        self.organisation_exception(kind, scope, reason, mitigation).await;
    }
}

/// The context of a change to a mission.
pub(crate) fn of_mission(name: &str) -> Context {
    Context { mission: Some(Arc::from(name)), ..Context::system() }
}
