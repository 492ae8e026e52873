//! What persons do about exceptions: each event is checked against the exception's life before it is written, one at a time.

use std::ops::ControlFlow;

use evidence::exceptions::{Illegal, Life, Lives, statement};
use evidence::filter::{Filter, Term};
use evidence::ids::ExceptionId;
use evidence::record::{Body, Context, ExceptionEvent, ExceptionKind, ExceptionRecord, RecordType, Signed};
use evidence::time::Timestamp;
use governance::limits::{EXCEPTION_DUE_US, SENTENCE_BYTES_MAX};
use serde::{Deserialize, Serialize};
use store::{Order, ReadError, Reader};

use crate::Gateway;
use crate::clock::now;

/// What a person does.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Deed {
    /// Closes it.
    Close {
        /// Which.
        exception: ExceptionId,
        /// With which words.
        note: String,
        /// The person's signature, where they sign.
        #[serde(default)]
        signed: Option<Box<Signature>>,
    },
    /// Says what was done about it.
    Mitigate {
        /// Which.
        exception: ExceptionId,
        /// What was done.
        what: String,
    },
    /// Opens one.
    Open {
        /// When it must be closed; for a waiver, until when it holds.
        due: Timestamp,
        /// What kind.
        kind: ExceptionKind,
        /// What was done about it already; for a waiver, the compensating control.
        mitigation: Option<String>,
        /// Who must see to it.
        owner: String,
        /// What happened.
        reason: String,
        /// What it touches.
        scope: String,
    },
    /// Looks at what was done.
    Review {
        /// Which.
        exception: ExceptionId,
        /// With which words.
        note: String,
        /// The person's signature, where they sign.
        #[serde(default)]
        signed: Option<Box<Signature>>,
    },
}

/// A person's signature under what they say of an exception.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signature {
    /// The key that signed.
    pub key: String,
    /// Random, 32 hexadecimal digits.
    pub nonce: String,
    /// Who.
    pub person: String,
    /// Ed25519 over the statement, in base64.
    pub signature: String,
    /// When the person signed.
    pub signed_at: Timestamp,
}

/// Why a deed is not done.
#[derive(Debug, thiserror::Error)]
pub enum DeedError {
    /// It may not follow.
    #[error(transparent)]
    Illegal(#[from] Illegal),
    /// The key is not one with which this person signs.
    #[error("`{0}` is no confirmed key of this person; `countersign people list` shows the keys")]
    Key(String),
    /// The signature is not of this deed.
    #[error("the signature is not of what is said of this exception")]
    Signature,
    /// Whoever signs is nobody here.
    #[error("`{0}` is no person of people.toml, or is away")]
    Who(String),
    /// A text is empty or too long.
    #[error("say it in a sentence of at most {SENTENCE_BYTES_MAX} bytes")]
    Unfit,
    /// What the ledger knows cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It could not be recorded.
    #[error(transparent)]
    Unrecorded(#[from] store::AppendError),
}

/// The lives of all exceptions that the ledger knows.
///
/// # Errors
/// [`ReadError`]. What may not follow is skipped: verification names it.
pub fn lives(reader: &Reader) -> Result<Lives, ReadError> {
    let mut lives = Lives::default();
    let filter = Filter::Term(Term::Type(vec![RecordType::ExceptionRecord]));
    reader.visit(&filter, Order::OldestFirst, |record| {
        if let Body::Exception(exception) = &record.body
            && let Err(illegal) = lives.take(exception, record.occurred_at)
        {
            tracing::debug!(%illegal, seq = record.seq, "an exception goes on in a way in which it may not");
        }
        ControlFlow::Continue(())
    })?;
    Ok(lives)
}

impl Gateway {
    /// An exception that the gateway itself finds at `at`: open, for the operator to see to, and of which nothing is said yet that was done about it.
    pub(crate) fn opening(&self, kind: ExceptionKind, scope: String, reason: String, at: Timestamp) -> ExceptionRecord {
        ExceptionRecord {
            broken_glass: None,
            due: Some(at.plus_micros(EXCEPTION_DUE_US)),
            event: ExceptionEvent::Opened,
            exception: ExceptionId::at(at, self.entropy.bits()),
            kind,
            mitigation: None,
            note: None,
            owner: "operator".to_owned(),
            reason,
            scope,
            signed: None,
            who: None,
        }
    }

    /// Does what `who` wants about an exception; gives its id.
    ///
    /// # Errors
    /// [`DeedError`]; then nothing was written.
    pub async fn exception(&self, deed: Deed, who: &str) -> Result<ExceptionId, DeedError> {
        let _one_at_a_time = self.excepting.lock().await;
        let (reader, at) = (self.ledger.reader()?, now());
        let lives = tokio::task::spawn_blocking(move || lives(&reader)).await;
        let lives = lives.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()))?;
        self.load_people(who).await;
        let record = self.record_of(deed, &lives, who, at)?;
        let exception = record.exception;
        match lives.get(exception) {
            Some(life) => life.clone().take(&record)?,
            None => drop(Life::begin(&record, at)?),
        }
        let event = record.event;
        self.note(Context::system().into(), record).await?;
        if event == ExceptionEvent::Closed {
            self.waivers.closed(exception);
        }
        Ok(exception)
    }

    fn record_of(&self, deed: Deed, lives: &Lives, who: &str, at: Timestamp) -> Result<ExceptionRecord, DeedError> {
        let (event, exception, mitigation, note, signature) = match deed {
            Deed::Open { due, kind, mitigation, owner, reason, scope } => {
                let texts = [&owner, &reason, &scope].into_iter().chain(&mitigation);
                texts.map(|text| fit(text)).collect::<Result<Vec<_>, _>>()?;
                return Ok(ExceptionRecord {
                    broken_glass: None,
                    signed: None,
                    due: Some(due),
                    event: ExceptionEvent::Opened,
                    exception: ExceptionId::at(at, self.entropy.bits()),
                    kind,
                    mitigation,
                    note: None,
                    owner,
                    reason,
                    scope,
                    who: Some(who.to_owned()),
                });
            }
            Deed::Close { exception, note, signed } => (ExceptionEvent::Closed, exception, None, Some(note), signed),
            Deed::Mitigate { exception, what } => (ExceptionEvent::Mitigated, exception, Some(what), None, None),
            Deed::Review { exception, note, signed } => (ExceptionEvent::Reviewed, exception, None, Some(note), signed),
        };
        mitigation.iter().chain(&note).try_for_each(|text| fit(text))?;
        let life = lives.get(exception).ok_or(Illegal::NotOpened)?;
        let record = ExceptionRecord {
            broken_glass: None,
            signed: None,
            due: life.due,
            event,
            exception,
            kind: life.kind,
            mitigation,
            note,
            owner: life.owner.clone(),
            reason: life.reason.clone(),
            scope: life.scope.clone(),
            who: Some(who.to_owned()),
        };
        match signature {
            Some(signature) => self.signed(record, *signature, life, at),
            None => Ok(record),
        }
    }

    /// The record with the signature of the person who signs it, once it is known who that is.
    fn signed(
        &self,
        record: ExceptionRecord,
        signature: Signature,
        life: &Life,
        at: Timestamp,
    ) -> Result<ExceptionRecord, DeedError> {
        let Signature { key, nonce, person, signature, signed_at } = signature;
        let people = self.people.in_force();
        let known = people.as_ref().and_then(|people| {
            let known = people.person_of(&person).filter(|known| people.is_there(known, at))?;
            Some((known.clone(), people.groups_of(known)))
        });
        let (person, mut groups) = known.ok_or(DeedError::Who(person))?;
        groups.retain(|group| life.broken_glass.as_ref().is_some_and(|glass| glass.groups.contains(group)));
        let record = ExceptionRecord { who: Some(person.to_string()), ..record };
        let public = self.keys.confirmed(&person, &key).ok_or_else(|| DeedError::Key(key.clone()))?;
        if !crate::keys::is_signed(&public, &statement(&record, &nonce, signed_at), &signature) {
            return Err(DeedError::Signature);
        }
        Ok(ExceptionRecord { signed: Some(Signed { groups, key, nonce, signature, signed_at }), ..record })
    }
}

fn fit(text: &str) -> Result<(), DeedError> {
    if text.trim().is_empty() || text.len() > SENTENCE_BYTES_MAX { Err(DeedError::Unfit) } else { Ok(()) }
}
