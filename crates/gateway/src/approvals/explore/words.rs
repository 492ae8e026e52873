//! Replies, records and approvals in a few words: what two worlds are compared by.

use std::collections::HashMap;
use std::fmt::Write as _;

use evidence::approvals::State;
use evidence::record::{Body, Draft};
use governance::call::Reply;

use crate::approvals::Entry;
use crate::approvals::outcomes::Stands;

pub(super) fn told(reply: &Reply) -> &'static str {
    match reply {
        Reply::Denied(_) => "denied",
        Reply::Failed(..) => "failed",
        Reply::Passed(_) => "passed",
        Reply::Pending(_) => "pending",
        Reply::Replayed(_) => "replayed",
    }
}

/// A record in a few words.
pub(super) fn word(draft: &Draft) -> String {
    let what = match &draft.body {
        Body::Action(action) => format!("{} {:?}", action.event, action.status),
        Body::Approval(approval) => {
            let review = approval.review.as_ref().map(|review| (&review.reviewer, review.answer));
            let (id, event) = (approval.approval, approval.event);
            format!("{id} {event} {:?} {:?} {review:?}", approval.used, approval.resolution)
        }
        Body::Decision(decision) => {
            format!("{} {} {:?} {:?}", decision.point, decision.effect, decision.approval, decision.reasons)
        }
        Body::Exception(exception) => exception.kind.to_string(),
        body => body.record_type().to_string(),
    };
    format!("{what} {:?}", draft.call)
}

pub(super) fn state_word(state: &State) -> &'static str {
    match state {
        State::Approved(_) => "approved",
        State::Denied(_) => "denied",
        State::Edited(_) => "edited",
        State::Expired => "expired",
        State::Open => "open",
        State::Released => "released",
        State::Revoked => "revoked",
        State::Withdrawn => "withdrawn",
    }
}

/// All that the book knows of one approval and that may change.
pub(super) fn entry_word(entry: &Entry) -> String {
    let uses: Vec<String> = entry
        .uses
        .iter()
        .map(|(number, known)| match &known.stands {
            Stands::Ended { delivered_at, executed, .. } => {
                format!("{number} {:?} {}", executed.status, delivered_at.is_some())
            }
            Stands::Running => format!("{number} runs"),
        })
        .collect();
    let approval = &entry.approval;
    format!(
        "{} {} {:?} {} {} {:?} {} {} {:?} {}",
        approval.approval,
        state_word(&approval.state),
        approval.question.respond_by.micros(),
        approval.used(),
        approval.reviews.len(),
        uses,
        entry.is_answering,
        entry.is_told,
        approval.delivered,
        entry.context.run.map(|run| run.to_string()).unwrap_or_default(),
    )
}

/// The text with identities and digests replaced by numbers in the order in which they come: which ones they are makes no difference.
pub(super) fn numbered(text: &str) -> String {
    let mut known: HashMap<&str, usize> = HashMap::new();
    let mut out = String::with_capacity(text.len());
    for part in text.split_inclusive(|c: char| !c.is_ascii_alphanumeric() && c != '-') {
        let token = part.trim_end_matches(|c: char| !c.is_ascii_alphanumeric() && c != '-');
        let is_name = token.len() >= 30 && token.bytes().any(|byte| byte.is_ascii_digit());
        if is_name {
            let next = known.len();
            let number = *known.entry(token).or_insert(next);
            let _ = write!(out, "#{number}{}", part.strip_prefix(token).unwrap_or_default());
        } else {
            out.push_str(part);
        }
    }
    out
}
