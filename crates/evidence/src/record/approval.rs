//! `approval_record`: one record for each event in the life of an approval, from the request to its use.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::body::{Facet, Rule, Tool, words};
use crate::ids::ApprovalId;
use crate::time::Timestamp;

words! {
    /// The life of an approval.
    ApprovalEvent {
        /// A use of it was taken for one execution, in the same group as the intent; of a change, right before its `version_log`.
        Consumed = "consumed",
        /// The outcome of a use was handed to the agent's client.
        Delivered = "delivered",
        /// Nobody has answered for a while: more people may.
        Escalated = "escalated",
        /// One of its clocks ended: nobody answered in time, or the grant was not used in time.
        Expired = "expired",
        /// Whoever it was granted to gave back what is not needed any more.
        Released = "released",
        /// Those who have not answered are reminded.
        Reminded = "reminded",
        /// People are asked.
        Requested = "requested",
        /// The reviews add up to an answer.
        Resolved = "resolved",
        /// One person answered.
        Review = "review",
        /// A person took back what was granted.
        Revoked = "revoked",
    }
}

words! {
    /// What one person answers.
    Answer {
        /// The call may run, as far as this person goes.
        Approve = "approve",
        /// Something must be told first; the clock goes on.
        Ask = "ask",
        /// The call must run now, without those whom the gate asks; they look at it afterwards.
        BreakGlass = "break_glass",
        /// The call must not run.
        Deny = "deny",
        /// The call must not run as it is: other arguments are proposed, which make another call.
        Edit = "edit",
        /// This person leaves the answer to others, for good.
        Recuse = "recuse",
        /// This person takes back what they answered before.
        Withdraw = "withdraw",
    }
}

words! {
    /// What the reviews add up to.
    Resolution {
        /// Every gate is satisfied.
        Approved = "approved",
        /// Somebody who may answer said no.
        Denied = "denied",
        /// Somebody who may answer proposed other arguments; the call does not run.
        Edited = "edited",
        /// Whoever asked takes the question back.
        Withdrawn = "withdrawn",
    }
}

words! {
    /// How sure it is that a person gave an answer, from the weakest to the strongest.
    Assurance {
        /// The operating system vouched for the user.
        OsUser = "os_user",
        /// A key that only the person's passphrase opens signed the answer.
        DeviceKey = "device_key",
        /// A passkey signed the answer, with the person there.
        Passkey = "passkey",
    }
}

/// So many persons of a group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quorum {
    /// The group.
    pub group: Arc<str>,
    /// How many of it, at least 1.
    pub need: u32,
}

/// Quorums that are needed together; no person counts for two.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Alternative {
    /// All of these.
    pub all_of: Vec<Quorum>,
}

/// A step of a gate: one of its alternatives satisfies it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// One of these.
    pub any_of: Vec<Alternative>,
}

/// Who may let a call through in an emergency, without those whom the gate asks.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BreakGlass {
    /// How long the call may then run, in seconds from the resolution; once.
    pub grant_s: u64,
    /// The group whose members may.
    pub group: Arc<str>,
    /// How many of it, at least 1.
    pub need: u32,
    /// Within how many seconds one of those who were skipped must have looked at it.
    pub review_s: u64,
}

/// Who may answer as well, once a gate is not satisfied for a while: people are added, and no threshold gets lower.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Escalation {
    /// After how long, in seconds from the request.
    pub after_s: u64,
    /// The group whose members may answer wherever the gate asks.
    pub group: Arc<str>,
}

/// How much a standing grant of a gate may cover at most.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StandingLimit {
    /// How long, in seconds from its resolution.
    pub for_s: u64,
    /// How many executions.
    pub uses: u32,
}

/// A gate as it stands in the mission: the thresholds in force.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// The weakest assurance with which an answer counts.
    pub assurance: Assurance,
    /// Who may let the call through in an emergency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub break_glass: Option<BreakGlass>,
    /// Who may answer as well, after a while.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escalate: Option<Escalation>,
    /// How long an approval may be used, in seconds from its resolution.
    pub grant_s: u64,
    /// Its name in the mission.
    pub name: Arc<str>,
    /// How often those who have not answered are reminded, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remind_s: Option<u64>,
    /// How long people have to answer, in seconds from the request.
    pub respond_s: u64,
    /// Whose approval is needed, one stage after the other.
    pub stages: Vec<Stage>,
    /// How much a standing grant may cover; absent where the gate gives none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<StandingLimit>,
    /// How many executions one approval covers.
    pub uses: u32,
}

impl Gate {
    /// The groups whose approval it needs; some may come twice.
    pub fn asked(&self) -> impl Iterator<Item = &Arc<str>> {
        let alternatives = self.stages.iter().flat_map(|stage| &stage.any_of);
        alternatives.flat_map(|alternative| &alternative.all_of).map(|quorum| &quorum.group)
    }

    /// All groups whose members may answer: those whose approval it needs, those added after a while, and those for emergencies; some may come twice.
    pub fn groups(&self) -> impl Iterator<Item = &Arc<str>> {
        let added = self.escalate.iter().map(|escalation| &escalation.group);
        self.asked().chain(added).chain(self.break_glass.iter().map(|glass| &glass.group))
    }
}

/// A person who must not review, and why.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Excluded {
    /// Who.
    pub person: Arc<str>,
    /// What they have to do with the call: `initiator`, `author` of the mission's version, its `owner`, `editor`, who proposed its arguments, or `proposer` of a standing grant. Of a change, `author` proposed it, and a key's `subject` is whose it is.
    pub role: String,
}

/// The most that all uses of a standing grant may come to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Total {
    /// The argument whose numbers are summed up.
    pub argument: Arc<str>,
    /// Their largest sum, as a decimal.
    pub most: String,
}

/// What is asked for instead of one call: that calls which meet conditions need no answer of their own.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StandingGrant {
    /// The argument of which it endorses one value, where it covers no calls.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endorses: Option<Arc<str>>,
    /// Its name.
    pub name: Arc<str>,
    /// What all its uses may come to, by argument.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub totals: Vec<Total>,
    /// When it lapses at the latest.
    pub until: Timestamp,
    /// How many executions it covers.
    pub uses: u32,
}

/// What people are asked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Question {
    /// Size of the arguments in bytes; of a change, of the new text.
    pub args_bytes: u64,
    /// SHA-256 of the exact argument bytes; of a change, of the new text.
    pub args_sha256: String,
    /// Who must not review.
    pub excluded: Vec<Excluded>,
    /// The approval whose call was edited, where this call has what was proposed then; whoever proposed it is excluded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub follows: Option<ApprovalId>,
    /// The gates that must be satisfied, all of them, with the thresholds in force.
    pub gates: Vec<Gate>,
    /// When silence becomes a no.
    pub respond_by: Timestamp,
    /// The rules that ask.
    pub rules: Vec<Rule>,
    /// Why people are asked, in a sentence.
    pub sentence: String,
    /// SHA-256 of what reviewers are shown, which is kept sealed.
    pub shown_sha256: String,
    /// The standing grant that is asked for; absent where one call is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub standing: Option<StandingGrant>,
}

/// One person's answer, with all that its signature covers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Review {
    /// What is answered.
    pub answer: Answer,
    /// How sure it is that the person answered.
    pub assurance: Assurance,
    /// Through what: `api` or `cli`.
    pub channel: String,
    /// Those of the gates' groups, also of those for escalations and emergencies, that the person belongs to.
    pub groups: Vec<Arc<str>>,
    /// The key that signed; absent where none did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Random, so that no signature serves twice: 32 hexadecimal digits.
    pub nonce: String,
    /// For whom the person stands in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_behalf_of: Option<Arc<str>>,
    /// SHA-256 of the exact bytes of the arguments that the person proposes; only where a call is edited.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposed_sha256: Option<String>,
    /// Why, in the person's words.
    pub reason: String,
    /// Who.
    pub reviewer: Arc<str>,
    /// SHA-256 of what the person was shown.
    pub shown_sha256: String,
    /// Ed25519 over the statement, in base64; absent where nothing signed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
    /// When the person signed, by their own clock.
    pub signed_at: Timestamp,
    /// Where the emergency is written down; only where glass is broken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ticket: Option<String>,
}

/// The right that an approval gives.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// The gates that were not satisfied, and whose glass was broken.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub break_glass: Vec<Arc<str>>,
    /// When it lapses.
    pub not_after: Timestamp,
    /// What all its uses may come to, by argument; only of a standing grant.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub totals: Vec<Total>,
    /// How many executions it covers.
    pub uses: u32,
}

/// One event in the life of an approval.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalRecord {
    /// The approval, over all its records.
    pub approval: ApprovalId,
    /// What it is bound to: one byte of the arguments, another run, agent, tool or policy, and it is another call. Of a change: what the object was and is to be, who proposes it and why. Of a standing grant: its text, who proposes it, and the tool and rules as they were then.
    pub call_sha256: String,
    /// What the call is bound to that uses a standing grant; only there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub covers_sha256: Option<String>,
    /// Where in its life.
    pub event: ApprovalEvent,
    /// What the conditions of a standing grant saw of the call that uses it, sorted by argument; only there.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub facets: Vec<Facet>,
    /// Which gate; only where one is escalated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Arc<str>>,
    /// SHA-256 of the gates with their thresholds, as RFC 8785 writes them.
    pub gates_sha256: String,
    /// The right that it gives; only where it is resolved as approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub grant: Option<Grant>,
    /// What people are asked; only on requests.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub question: Option<Question>,
    /// What the reviews add up to; only where it is resolved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resolution: Option<Resolution>,
    /// One person's answer; only on reviews.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub review: Option<Review>,
    /// The tool.
    pub tool: Tool,
    /// Which of its uses this is about, from 1; only where one is consumed, or its outcome delivered.
    #[serde(default, rename = "use", skip_serializing_if = "Option::is_none")]
    pub used: Option<u32>,
    /// Who revoked or released it, or took the question back; only where somebody did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
    /// Why it was resolved, escalated, expired, released or revoked, in a sentence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}
