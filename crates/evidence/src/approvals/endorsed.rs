//! What a standing grant is bound to, and what decisions say that go by an endorsement.

use std::sync::Arc;

use serde::Serialize;
use sha2::{Digest as _, Sha256};

use super::{Approval, State};
use crate::ids::ApprovalId;
use crate::record::Tool;
use crate::record::approval::{Answer, Review};
use crate::time::Timestamp;

/// What a standing grant is bound to: where any of it changes, the grant covers and endorses nothing.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'a> {
    /// SHA-256 of the gates that answer.
    pub gates_sha256: &'a str,
    /// The mission.
    pub mission: &'a str,
    /// The digest of the tool's accepted definition.
    pub pin: Option<&'a str>,
    /// SHA-256 of the rules for the tool.
    pub slice_sha256: Option<&'a str>,
    /// SHA-256 of the grant's text.
    pub text_sha256: &'a str,
    /// The tool.
    pub tool: &'a Tool,
    /// Who asks for it.
    pub who: &'a str,
}

impl Ground<'_> {
    /// The digest that stands for all of it in the records of the grant.
    #[must_use]
    pub fn sha256(&self) -> String {
        /// Fields in the order of RFC 8785.
        #[derive(Serialize)]
        struct Bound<'a> {
            gates_sha256: &'a str,
            mission: &'a str,
            pin: Option<&'a str>,
            policy_slice: Option<&'a str>,
            standing: &'a str,
            tool: String,
            v: u32,
            who: &'a str,
        }
        let bound = Bound {
            gates_sha256: self.gates_sha256,
            mission: self.mission,
            pin: self.pin,
            policy_slice: self.slice_sha256,
            standing: self.text_sha256,
            tool: self.tool.to_string(),
            v: 1,
            who: self.who,
        };
        // Writing plain fields cannot fail; an empty digest matches nothing.
        serde_json::to_vec(&bound).map(|bytes| hex::encode(Sha256::digest(&bytes))).unwrap_or_default()
    }
}

impl Approval {
    /// The persons whose yes counts and was not taken back.
    pub fn approved_by(&self) -> impl Iterator<Item = &Review> {
        self.in_force().filter(|review| review.answer == Answer::Approve)
    }

    /// By whom, until when and by which approval a value is endorsed, as decisions say it; `None` where nothing is granted, or the grant is over at `at`.
    #[must_use]
    pub fn endorsed_by(&self, at: Timestamp) -> Option<Arc<str>> {
        let State::Approved(grant) = &self.state else { return None };
        self.next_use(at).ok()?;
        let by: Vec<&str> = self.approved_by().map(|review| &*review.reviewer).collect();
        Some(format!("{} until {}{BY_APPROVAL}{})", by.join(" and "), grant.not_after, self.approval).into())
    }
}

const BY_APPROVAL: &str = " (approval ";

/// The approval that a decision names where it says by whom a value is endorsed.
#[must_use]
pub fn endorsing(source: &str) -> Option<ApprovalId> {
    source.rsplit_once(BY_APPROVAL)?.1.strip_suffix(')')?.parse().ok()
}
