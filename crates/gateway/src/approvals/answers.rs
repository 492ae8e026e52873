//! People answer: whoever they are, whatever they sign, and what their answers add up to.

use std::sync::Arc;

use evidence::approvals::{Approval, Illegal, statement};
use evidence::ids::ApprovalId;
use evidence::leaf::sha256_hex;
use evidence::record::Draft;
use evidence::record::approval::{Answer, ApprovalEvent, ApprovalRecord, Assurance, Resolution, Review};
use evidence::time::Timestamp;
use governance::approve::{EditError, People};
use governance::limits::SENTENCE_BYTES_MAX;
use serde::{Deserialize, Serialize};

use super::Entry;
use super::turn::groups_asked;
use super::view::{said, standing};
use crate::Gateway;
use crate::blocking::to_its_end;
use crate::clock::now;
use crate::seal::SealError;

/// What a person answers, as the command line sends it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reviewed {
    /// What is answered.
    pub answer: Answer,
    /// Which approval.
    pub approval: ApprovalId,
    /// The key that signed.
    pub key: Option<String>,
    /// Random, 32 hexadecimal digits.
    pub nonce: String,
    /// For whom the person stands in.
    pub on_behalf_of: Option<String>,
    /// The exact arguments that the person proposes, as JSON, where a call is edited.
    #[serde(default)]
    pub proposed: Option<String>,
    /// Why.
    pub reason: String,
    /// Who; whom the operating system names, where it is left out.
    pub reviewer: Option<String>,
    /// SHA-256 of what the person was shown.
    pub shown_sha256: String,
    /// Ed25519 over the statement, in base64.
    pub signature: Option<String>,
    /// When the person signed.
    pub signed_at: Timestamp,
    /// Where the emergency is written down, where glass is broken.
    #[serde(default)]
    pub ticket: Option<String>,
}

/// Through what an answer came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// The API.
    Api,
    /// The gateway's socket.
    Cli,
}

impl Channel {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Cli => "cli",
        }
    }
}

/// What an answer led to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counted {
    /// What the answers add up to, where that is settled.
    pub resolution: Option<Resolution>,
    /// How the gates stand, in sentences.
    pub standing: Vec<String>,
}

/// Why an answer is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// It may not follow.
    #[error(transparent)]
    Illegal(#[from] Illegal),
    /// The key is not one with which this person answers.
    #[error("`{0}` is no confirmed key of this person; `countersign people list` shows the keys")]
    Key(String),
    /// Earlier emergencies wait for their review.
    #[error(
        "glass of mission `{0}` was broken before, and its review is overdue; `countersign exceptions list --kind break_glass --overdue` shows it"
    )]
    Glass(String),
    /// The home has no file of persons.
    #[error("nobody can answer: {0}")]
    Nobody(String),
    /// It is somebody else's.
    #[error(
        "the agent acts for `{0}`, who alone gives it back; `countersign approvals revoke` takes back what was granted"
    )]
    NotYours(String),
    /// What is proposed is no proposal.
    #[error(transparent)]
    Edit(#[from] EditError),
    /// Arguments with an answer that proposes none.
    #[error("arguments are proposed by the answer `edit`, and by no other")]
    Proposal,
    /// What was shown, or is proposed, cannot be kept.
    #[error(transparent)]
    Sealed(#[from] SealError),
    /// The signature is not of this answer.
    #[error("the signature is not of this answer")]
    Signature,
    /// A text is empty or too long.
    #[error("say why, in at most {SENTENCE_BYTES_MAX} bytes")]
    Unfit,
    /// There is no such approval.
    #[error("there is no approval {0}; `countersign approvals list --all` shows those that there are")]
    Unknown(ApprovalId),
    /// What the ledger knows cannot be read.
    #[error(transparent)]
    Read(#[from] store::ReadError),
    /// Whoever answers is nobody here, or away.
    #[error("`{0}` is no person of people.toml, or is away")]
    Who(String),
    /// It could not be recorded.
    #[error(transparent)]
    Unrecorded(#[from] store::AppendError),
}

impl Gateway {
    /// Takes an answer that came through `channel` from the user or person `who`.
    pub(super) async fn count_review(
        &self,
        reviewed: Reviewed,
        who: &str,
        channel: Channel,
    ) -> Result<Counted, ReviewError> {
        let _one_at_a_time = self.approvals.reviewing.lock().await;
        if reviewed.reason.trim().is_empty() || reviewed.reason.len() > SENTENCE_BYTES_MAX {
            return Err(ReviewError::Unfit);
        }
        // Whoever answers over the API has not changed the file.
        self.load_people(if channel == Channel::Api { "file" } else { who }).await;
        let people = self.people.in_force().ok_or_else(|| ReviewError::Nobody(self.people.trouble()))?;
        let id = reviewed.approval;
        let (mut approval, context, call) = self.approvals.get(id).ok_or(ReviewError::Unknown(id))?;
        let edit = self.keep_edit(&reviewed, &approval).await?;
        let at = now();
        let review = self.examined(reviewed, &approval, &people, (who, channel), at)?;
        let mut records = vec![ApprovalRecord {
            review: Some(review),
            ..Entry::new(approval.clone(), call, context.clone()).event(ApprovalEvent::Review)
        }];
        for record in &records {
            approval.take(record, at)?;
        }
        let mission = context.mission.clone().unwrap_or_default();
        let is_emergency = approval.reviews.last().is_some_and(|last| last.answer == Answer::BreakGlass);
        if is_emergency && self.lives().await?.is_glass_overdue(&mission, at) {
            return Err(self.no_more_glass(context, &mission, at).await);
        }
        let resolution = approval.resolution();
        let glass = resolution.and_then(|resolution| match resolution {
            Resolution::Approved => self.glass(&approval, &mission, at),
            Resolution::Denied | Resolution::Edited | Resolution::Withdrawn => None,
        });
        if let Some(resolution) = resolution {
            let tallies = approval.tallies();
            let last = approval.reviews.last();
            let why = match resolution {
                Resolution::Denied | Resolution::Edited => {
                    last.map(|last| format!("{} ({})", last.reason, last.reviewer)).unwrap_or_default()
                }
                Resolution::Approved | Resolution::Withdrawn => tallies.iter().map(said).collect::<Vec<_>>().join("; "),
            };
            records.push(ApprovalRecord {
                grant: (resolution == Resolution::Approved).then(|| approval.grant(at)),
                resolution: Some(resolution),
                why: Some(why),
                ..Entry::new(approval.clone(), call, context.clone()).event(ApprovalEvent::Resolved)
            });
        }
        let mut drafts: Vec<Draft> =
            records.iter().map(|record| Draft::new(context.clone(), call, at, record.clone())).collect();
        // Before the resolution, which does not hold without it.
        if let Some(glass) = glass {
            drafts.insert(1, Draft::new(context.clone(), call, at, glass));
        }
        let answering = |is_answering| self.approvals.book().change(id, |entry| entry.is_answering = is_answering);
        let _known = answering(true);
        let recorded = self.ledger.append(drafts).await;
        let _known = answering(false);
        recorded?;
        if let Some(edit) = edit {
            self.approvals.edited(id, edit);
        }
        self.approvals.take(id, &records, at);
        let unreachable = self.look(id, &people, at).await;
        Ok(Counted { resolution, standing: standing(&approval, &unreachable) })
    }

    /// The review that an answer is, once it is known who gives it.
    fn examined(
        &self,
        reviewed: Reviewed,
        approval: &Approval,
        people: &People,
        (who, channel): (&str, Channel),
        at: Timestamp,
    ) -> Result<Review, ReviewError> {
        let named = reviewed.reviewer.as_deref().unwrap_or(who);
        let person = people.person_of(named).filter(|person| people.is_there(person, at));
        let person = person.ok_or_else(|| ReviewError::Who(named.to_owned()))?.clone();
        let stands_for = match reviewed.on_behalf_of.as_deref() {
            None => None,
            Some(absent) => {
                let absent = people.person_of(absent).ok_or_else(|| ReviewError::Who(absent.to_owned()))?;
                if people.groups_for(&person, absent, at).is_empty() {
                    return Err(Illegal::NotAsked.into());
                }
                Some(absent.clone())
            }
        };
        let groups = groups_asked(approval, people, &person, stands_for.as_ref(), at);
        let review = Review {
            answer: reviewed.answer,
            assurance: if reviewed.signature.is_some() { Assurance::DeviceKey } else { Assurance::OsUser },
            channel: channel.as_str().to_owned(),
            groups,
            key: reviewed.key.clone(),
            nonce: reviewed.nonce,
            on_behalf_of: stands_for,
            proposed_sha256: reviewed.proposed.as_deref().map(|proposed| sha256_hex(proposed.as_bytes())),
            reason: reviewed.reason,
            reviewer: person.clone(),
            shown_sha256: reviewed.shown_sha256,
            signature: reviewed.signature.clone(),
            signed_at: reviewed.signed_at,
            ticket: reviewed.ticket,
        };
        match (&reviewed.key, &reviewed.signature) {
            (Some(key), Some(signature)) => {
                let statement = statement(approval.approval, &approval.call_sha256, &approval.gates_sha256, &review);
                let public = self.keys.confirmed(&person, key).ok_or_else(|| ReviewError::Key(key.clone()))?;
                if !crate::keys::is_signed(&public, &statement, signature) {
                    return Err(ReviewError::Signature);
                }
            }
            (None, None) if people.person_of(who) == Some(&person) => {}
            (None, None) => return Err(ReviewError::Who(named.to_owned())),
            (Some(_), None) | (None, Some(_)) => return Err(ReviewError::Signature),
        }
        Ok(review)
    }

    /// Takes back what was granted, for `who`.
    ///
    /// # Errors
    /// [`ReviewError`]; then nothing was recorded.
    pub async fn revoke_approval(self: &Arc<Self>, id: ApprovalId, who: &str, why: &str) -> Result<(), ReviewError> {
        let (gateway, who, why) = (self.clone(), who.to_owned(), why.to_owned());
        to_its_end(async move { gateway.take_back(id, &who, &why).await }).await
    }

    pub(super) async fn take_back(&self, id: ApprovalId, who: &str, why: &str) -> Result<(), ReviewError> {
        let _one_at_a_time = self.approvals.reviewing.lock().await;
        if why.trim().is_empty() || why.len() > SENTENCE_BYTES_MAX {
            return Err(ReviewError::Unfit);
        }
        let (approval, context, call) = self.approvals.get(id).ok_or(ReviewError::Unknown(id))?;
        let at = now();
        let record = ApprovalRecord {
            who: Some(who.to_owned()),
            why: Some(why.to_owned()),
            ..Entry::new(approval.clone(), call, context.clone()).event(ApprovalEvent::Revoked)
        };
        approval.clone().take(&record, at)?;
        // It bites before it is recorded, so that trouble with the ledger cannot keep it from working.
        self.approvals.take(id, std::slice::from_ref(&record), at);
        self.ledger.append(vec![Draft::new(context, call, at, record)]).await?;
        Ok(())
    }
}
