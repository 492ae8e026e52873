//! Edited calls: the arguments that a person proposed, kept sealed, and which later calls of the run are what was proposed.

use std::sync::Arc;

use evidence::approvals::Approval;
use evidence::ids::{ApprovalId, RunId};
use evidence::record::approval::{Answer, Review};
use governance::approve::{Edit, EditError, Follows};
use governance::intercept::Intercepted;
use serde_json::Value;

use super::{Approvals, Book, Entry, ReviewError, Reviewed};
use crate::Gateway;
use crate::attachments::Attachments;
use crate::blocking::blocking;
use crate::home::Home;

/// What became of a proposal.
#[derive(Clone, Debug)]
pub(super) enum Proposed {
    /// It is here.
    Known(Edit),
    /// It cannot be read any more: any later call of the run may be what was proposed.
    Lost,
}

impl Proposed {
    /// What an edited approval proposes, as this home has kept it.
    fn read(home: &Home, approval: &Approval, sha256: &str) -> Self {
        let attachments = Attachments::of(home);
        let text = |sha256: &str| {
            let kept = attachments.read(sha256).unwrap_or_else(|error| {
                tracing::error!(%error, approval = %approval.approval, "what is kept of an edited call cannot be read");
                None
            });
            kept.and_then(|bytes| String::from_utf8(bytes).ok())
        };
        let read = || {
            let view: Value = serde_json::from_str(&text(&approval.question.shown_sha256)?).ok()?;
            Edit::new(view.get("arguments")?.as_str()?, &text(sha256)?).ok()
        };
        read().map_or(Self::Lost, Self::Known)
    }

    fn is_in(&self, arguments: &[u8]) -> bool {
        match self {
            Self::Known(edit) => edit.is_in(arguments),
            Self::Lost => true,
        }
    }
}

impl Entry {
    /// What is proposed instead of the arguments of its call, as JSON.
    pub(super) fn proposed(&self) -> Option<Arc<str>> {
        match &self.proposed {
            Some(Proposed::Known(edit)) => Some(edit.text().clone()),
            Some(Proposed::Lost) | None => None,
        }
    }

    /// That a call of `run` has what is proposed here.
    fn precedes(&self, run: RunId, call: &Intercepted) -> Option<Follows> {
        let edit = self.approval.edit()?;
        let is_here = self.context.run == Some(run) && self.approval.tool == *call.tool();
        let has = |proposed: &Proposed| proposed.is_in(call.arguments()) || proposed.is_in(call.sent());
        let is_same = is_here && self.proposed.as_ref().is_none_or(has);
        is_same.then(|| Follows {
            approval: self.approval.approval,
            editors: std::iter::once(&edit.reviewer).chain(&edit.on_behalf_of).cloned().collect(),
            reason: edit.reason.clone(),
        })
    }
}

impl Book {
    /// The edited calls whose proposals a call of `run` has, as its agent sent it or as its tool gets it, oldest first.
    pub(super) fn followed(&self, run: RunId, call: &Intercepted) -> Vec<Follows> {
        let edited = self.edited.iter().filter_map(|id| self.entries.get(id));
        edited.filter_map(|entry| entry.precedes(run, call)).collect()
    }

    /// Takes up what was proposed before this start.
    pub(super) fn restore_edits(&mut self, home: &Home) {
        for (id, entry) in &mut self.entries {
            let Some(sha256) = entry.approval.edit().and_then(|edit| edit.proposed_sha256.clone()) else { continue };
            entry.proposed = Some(Proposed::read(home, &entry.approval, &sha256));
            self.edited.insert(*id);
        }
    }
}

impl Approvals {
    /// Takes up what was proposed by the answer that ended an approval.
    pub(super) fn edited(&self, approval: ApprovalId, edit: Edit) {
        let mut book = self.book();
        book.edited.insert(approval);
        let _known = book.change(approval, |entry| entry.proposed = Some(Proposed::Known(edit)));
    }
}

impl Gateway {
    /// What an answer proposes, kept sealed before it is recorded; `None` where it proposes nothing.
    // CRASH: what is kept without a record is an attachment that nothing names.
    pub(super) async fn keep_edit(
        &self,
        reviewed: &Reviewed,
        approval: &Approval,
    ) -> Result<Option<Edit>, ReviewError> {
        let text = match (&reviewed.proposed, reviewed.answer) {
            (Some(text), Answer::Edit) => text.clone(),
            (None, Answer::Edit) => return Err(EditError::NoObject.into()),
            (Some(_), _) => return Err(ReviewError::Proposal),
            (None, _) => return Ok(None),
        };
        let (home, shown_sha256) = (self.home.clone(), approval.question.shown_sha256.clone());
        blocking(move || {
            let attachments = Attachments::of(&home);
            let shown = attachments.read(&shown_sha256)?.unwrap_or_default();
            let view: Value = serde_json::from_slice(&shown).unwrap_or_default();
            let original = view.get("arguments").and_then(Value::as_str).ok_or(EditError::Lost)?;
            let edit = Edit::new(original, &text)?;
            attachments.keep(edit.sha256(), text.into_bytes())?;
            Ok(Some(edit))
        })
        .await
    }

    /// The arguments that a person proposed, as JSON; `None` where nobody did, or this home does not have them any more.
    #[must_use]
    pub fn proposed(home: &Home, reviews: &[Review]) -> Option<String> {
        let sha256 = reviews.iter().find_map(|review| review.proposed_sha256.as_deref())?;
        let kept = Attachments::of(home).read(sha256).ok().flatten()?;
        String::from_utf8(kept).ok()
    }
}
