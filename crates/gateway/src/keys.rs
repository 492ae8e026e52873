//! The keys with which persons sign their answers: invited with a one-time code, enrolled with it, confirmed by a second person.
//!
//! The home holds public halves alone, as versions in the ledger. Start at [`Gateway::invite`].

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use evidence::approvals::could_satisfy;
use evidence::record::approval::{Assurance, Gate};
use evidence::record::{Context, ExceptionKind, VersionLog, VersionedKind, VersionedObject};
use evidence::time::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use store::Reader;

use crate::changes::{Asks, ChangeError, Kept, Proposal};
use crate::clock::{now, random};
use crate::limits::INVITATION_US;
use crate::{Gateway, OpenError, versions};

/// What keys of persons begin with, among all keys.
const PREFIX: &str = "person/";

/// All keys of persons, by `PERSON/KEY`.
#[derive(Debug, Default)]
pub struct PersonKeys(RwLock<BTreeMap<String, PersonKey>>);

/// A key of a person, or an invitation to enrol one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PersonKey {
    /// SHA-256 of the one-time code; of an invitation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code_sha256: Option<String>,
    /// Who confirmed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed_by: Option<String>,
    /// Whose it is.
    pub person: String,
    /// The public half, in base64.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public: Option<String>,
    /// `invited`, `enrolled`, `confirmed` or `revoked`.
    pub state: Standing,
    /// Until when an invitation holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
}

/// How a key stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It signs answers.
    Confirmed,
    /// It waits for a second person.
    Enrolled,
    /// A code waits for a key.
    Invited,
    /// It signs nothing any more.
    Revoked,
}

impl Standing {
    /// The stable spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Enrolled => "enrolled",
            Self::Invited => "invited",
            Self::Revoked => "revoked",
        }
    }
}

/// What somebody who enrols a key sends.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrolment {
    /// The one-time code.
    pub code: String,
    /// Whose key it will be.
    pub person: String,
    /// Proof that whoever enrols has the key: Ed25519 over [`proof`], in base64.
    pub proof: String,
    /// The public half, in base64.
    pub public: String,
}

/// What somebody who confirms a key sends.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Confirmation {
    /// The key to confirm.
    pub key: String,
    /// Whose it is.
    pub person: String,
    /// The key of whoever confirms, and its signature over [`confirming`]; left out for the first key of a home.
    pub signed: Option<Signed>,
    /// Why.
    pub why: String,
}

/// A signature of a person's key.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// The key.
    pub key: String,
    /// Whose it is.
    pub person: String,
    /// Ed25519, in base64.
    pub signature: String,
}

/// Why a key is not taken.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It waits for people, or they said no.
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// The code is not that of an open invitation.
    #[error("the code is not that of an open invitation of this person; `countersign people invite` gives another")]
    Code,
    /// It is no key, or not in the hands of who enrols it.
    #[error("it is no Ed25519 key in the hands of whoever enrols it")]
    Form,
    /// A key is confirmed by another person's.
    #[error(
        "another person with a confirmed key must confirm it: `countersign people confirm {person} {key} --as PERSON`"
    )]
    NeedsAnother {
        /// The key.
        key: String,
        /// Whose.
        person: String,
    },
    /// There is no such key.
    #[error("`{0}` has no such key that waits")]
    Unknown(String),
    /// There is no such person.
    #[error("`{0}` is no person of people.toml")]
    Who(String),
    /// It could not be recorded.
    #[error(transparent)]
    Unrecorded(#[from] store::AppendError),
}

/// The id of a key: the SHA-256 of its public half.
#[must_use]
pub fn key_id(public: &[u8]) -> String {
    hex::encode(Sha256::digest(public))
}

/// What whoever enrols a key signs with it.
#[must_use]
pub fn proof(person: &str, code: &str) -> Vec<u8> {
    format!("countersign enrol v1\n{person}\n{code}").into_bytes()
}

/// What whoever confirms a key signs.
#[must_use]
pub fn confirming(person: &str, key: &str) -> Vec<u8> {
    format!("countersign confirm v1\n{person}\n{key}").into_bytes()
}

/// Whether `signature` is one of `message` by the key `public`; both in base64.
pub(crate) fn is_signed(public: &str, message: &[u8], signature: &str) -> bool {
    let (Ok(public), Ok(signature)) = (STANDARD.decode(public), STANDARD.decode(signature)) else { return false };
    UnparsedPublicKey::new(&ED25519, public).verify(message, &signature).is_ok()
}

impl PersonKeys {
    /// Takes up what the ledger says; for whoever only reads it, too.
    ///
    /// # Errors
    /// When the ledger cannot be read, or holds a key that this version does not understand.
    pub fn restore(reader: &Reader) -> Result<Self, OpenError> {
        let mut keys = BTreeMap::new();
        for version in versions(reader, VersionedKind::Key)? {
            let Some(name) = version.object.name.strip_prefix(PREFIX).map(str::to_owned) else { continue };
            let state = version.state.as_deref().unwrap_or_default();
            let key = serde_json::from_str(state).map_err(|error| OpenError::State {
                kind: "key",
                name: name.clone(),
                reason: error.to_string(),
            })?;
            keys.insert(name, key);
        }
        Ok(Self(RwLock::new(keys)))
    }

    /// All keys and invitations, by `PERSON/KEY`.
    #[must_use]
    pub fn list(&self) -> BTreeMap<String, PersonKey> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The public half of a person's key that may sign.
    pub(crate) fn confirmed(&self, person: &str, key: &str) -> Option<String> {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        let known = keys.get(&format!("{person}/{key}"))?;
        if known.state == Standing::Confirmed { known.public.clone() } else { None }
    }

    fn can_sign(&self, person: &str) -> bool {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        keys.values().any(|key| key.person == person && key.state == Standing::Confirmed)
    }

    fn has_confirmed(&self) -> bool {
        let keys = self.0.read().unwrap_or_else(PoisonError::into_inner);
        keys.values().any(|key| key.state == Standing::Confirmed)
    }

    fn get(&self, name: &str) -> Option<PersonKey> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    fn put(&self, name: &str, key: PersonKey) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned(), key);
    }
}

impl Gateway {
    /// Whether `signature` is one of `message` by the confirmed key `key` of `person`, who stands in the file of persons.
    #[must_use]
    pub fn has_signed(&self, person: &str, key: &str, message: &[u8], signature: &str) -> bool {
        let public = if self.is_person(person) { self.keys.confirmed(person, key) } else { None };
        public.is_some_and(|public| is_signed(&public, message, signature))
    }

    /// Whether `person` stands in the file of persons, and `key` is a confirmed one of theirs.
    #[must_use]
    pub fn may_sign(&self, person: &str, key: &str) -> bool {
        self.is_person(person) && self.keys.confirmed(person, key).is_some()
    }

    /// The keys of `person`, with how each stands.
    #[must_use]
    pub fn keys_of(&self, person: &str) -> BTreeMap<String, Standing> {
        let id = |name: &str| name.strip_prefix(person)?.strip_prefix('/').map(str::to_owned);
        let keys = self.keys.list().into_iter().filter(|(_, key)| key.public.is_some());
        keys.filter_map(|(name, key)| Some((id(&name)?, key.state))).collect()
    }

    /// How `person` is called, and their groups, where they stand in the file of persons.
    #[must_use]
    pub fn person(&self, person: &str) -> Option<(Option<String>, Vec<String>)> {
        let people = self.people.in_force()?;
        let known = people.persons().get(person)?;
        let groups = people.groups_of(person).iter().map(ToString::to_string).collect();
        Some((known.name.as_deref().map(str::to_owned), groups))
    }

    fn is_person(&self, person: &str) -> bool {
        self.people.in_force().is_some_and(|people| people.persons().contains_key(person))
    }

    /// Invites a person to enrol a key; gives the one-time code.
    ///
    /// # Errors
    /// [`KeyError`]; then nothing was recorded.
    pub async fn invite(&self, person: &str, who: &str) -> Result<String, KeyError> {
        self.load_people(who).await;
        self.known_person(person)?;
        let mut bits = [0; 10];
        random(&mut bits);
        let code = hex::encode(bits);
        let key = PersonKey {
            code_sha256: Some(hex::encode(Sha256::digest(code.as_bytes()))),
            confirmed_by: None,
            person: person.to_owned(),
            public: None,
            state: Standing::Invited,
            until: Some(now().plus_micros(INVITATION_US)),
        };
        self.log_key(&format!("{person}/invitation"), key, who, "invited to enrol a key").await?;
        Ok(code)
    }

    /// Takes up a person's key, which waits for a second person then; gives its id.
    ///
    /// # Errors
    /// [`KeyError`]; then nothing was recorded.
    pub async fn enrol(&self, enrolment: Enrolment, who: &str) -> Result<String, KeyError> {
        let Enrolment { code, person, proof: signature, public } = enrolment;
        self.load_people(who).await;
        self.known_person(&person)?;
        let name = format!("{person}/invitation");
        let code_sha256 = hex::encode(Sha256::digest(code.as_bytes()));
        let is_open = |known: &PersonKey| {
            known.state == Standing::Invited
                && known.code_sha256.as_ref() == Some(&code_sha256)
                && known.until.is_some_and(|until| now() <= until)
        };
        let invitation = self.keys.get(&name).filter(is_open).ok_or(KeyError::Code)?;
        let bytes = STANDARD.decode(&public).map_err(|_| KeyError::Form)?;
        if !is_signed(&public, &proof(&person, &code), &signature) {
            return Err(KeyError::Form);
        }
        let id = key_id(&bytes);
        // A code serves once, whatever becomes of the key.
        let used = PersonKey { state: Standing::Revoked, ..invitation };
        self.log_key(&name, used, who, "the code was used").await?;
        let key = PersonKey {
            code_sha256: None,
            confirmed_by: None,
            person: person.clone(),
            public: Some(public),
            state: Standing::Enrolled,
            until: None,
        };
        self.log_key(&format!("{person}/{id}"), key, who, "enrolled with a one-time code").await?;
        Ok(id)
    }

    /// Confirms a key, for another person with a confirmed key; the first key of a home needs none and opens an exception.
    ///
    /// # Errors
    /// [`KeyError`]; then nothing was recorded.
    pub async fn confirm_key(&self, confirmation: Confirmation, who: &str) -> Result<(), KeyError> {
        let Confirmation { key: id, person, signed, why } = confirmation;
        self.load_people(who).await;
        self.known_person(&person)?;
        let name = format!("{person}/{id}");
        let key = self.keys.get(&name).filter(|key| key.state == Standing::Enrolled);
        let key = key.ok_or_else(|| KeyError::Unknown(person.clone()))?;
        let needs_another = || KeyError::NeedsAnother { key: id.clone(), person: person.clone() };
        let is_first = signed.is_none();
        let confirmed_by = match signed {
            Some(signed) => {
                let public = self.keys.confirmed(&signed.person, &signed.key).ok_or_else(needs_another)?;
                if signed.person == person || !is_signed(&public, &confirming(&person, &id), &signed.signature) {
                    return Err(needs_another());
                }
                signed.person
            }
            None if self.keys.has_confirmed() => return Err(needs_another()),
            None => {
                self.first_key(&person, &id).await?;
                who.to_owned()
            }
        };
        let confirmed = PersonKey { confirmed_by: Some(confirmed_by.clone()), state: Standing::Confirmed, ..key };
        if is_first {
            self.log_key(&name, confirmed, &confirmed_by, &why).await?;
            return Ok(());
        }
        self.change_key(&name, confirmed, &confirmed_by, &why, Asks::Anew).await
    }

    /// Confirms a key, once nobody has to be asked about that any more.
    async fn change_key(&self, name: &str, key: PersonKey, who: &str, why: &str, asks: Asks) -> Result<(), KeyError> {
        let subject = key.person.clone();
        let mut version = self.version_of_key(name, &key, who, why);
        let text = version.state.clone().unwrap_or_default();
        let gate = self.change_gate(VersionedKind::Key)?;
        // Those who have no key yet cannot approve that anybody gets one.
        let too_few = gate.filter(|gate| asks == Asks::Anew && !self.could_sign(gate.terms(), &[&subject, who]));
        let consumed = match &too_few {
            Some(_) => None,
            None => {
                let involved = [(&*subject, "subject")];
                self.settle(&mut version, Proposal { asks, involved: &involved, path: None, text: &text }).await?
            }
        };
        self.note_version(Context::system(), version, consumed).await?;
        self.keys.put(name, key);
        if too_few.is_some() {
            let reason = format!(
                "the key of `{subject}` is confirmed by `{who}` alone: too few others have a key to approve it"
            );
            self.unapproved(&format!("key:{name}"), &reason).await;
        }
        Ok(())
    }

    /// Whether those who can sign now, without these, could satisfy the gate.
    fn could_sign(&self, gate: &Gate, without: &[&str]) -> bool {
        let Some(people) = self.people_in_force() else { return false };
        let needs_key = gate.assurance > Assurance::OsUser;
        let persons = people.persons().keys().filter(|person| {
            !without.contains(&&***person)
                && (!needs_key || self.keys.can_sign(person))
                && people.is_there(person, now())
        });
        let groups: Vec<_> = persons.map(|person| people.groups_of(person)).collect();
        could_satisfy(gate, &groups)
    }

    /// Takes up a confirmation that people approved.
    pub(crate) async fn take_up_key(&self, kept: Kept) -> Result<(), KeyError> {
        let version = kept.version;
        let name = version.object.name.strip_prefix(PREFIX).unwrap_or_default().to_owned();
        let key: Option<PersonKey> = version.state.as_deref().and_then(|state| serde_json::from_str(state).ok());
        let key = key.ok_or_else(|| KeyError::Unknown(name.clone()))?;
        let enrolled = PersonKey { confirmed_by: None, state: Standing::Enrolled, ..key.clone() };
        if self.keys.get(&name).as_ref() != Some(&enrolled) {
            return Err(KeyError::Unknown(key.person));
        }
        self.change_key(&name, key, &version.who, &version.why, Asks::Nothing).await
    }

    /// Revokes a key for good.
    ///
    /// # Errors
    /// [`KeyError`]; then nothing was recorded.
    pub async fn revoke_key(&self, person: &str, id: &str, who: &str, why: &str) -> Result<(), KeyError> {
        let name = format!("{person}/{id}");
        let key = self.keys.get(&name).filter(|key| key.state != Standing::Revoked);
        let key = key.ok_or_else(|| KeyError::Unknown(person.to_owned()))?;
        let revoked = PersonKey { state: Standing::Revoked, ..key };
        // It bites before it is recorded.
        self.keys.put(&name, revoked.clone());
        self.log_key(&name, revoked, who, why).await?;
        Ok(())
    }

    fn known_person(&self, person: &str) -> Result<(), KeyError> {
        if self.is_person(person) { Ok(()) } else { Err(KeyError::Who(person.to_owned())) }
    }

    async fn log_key(&self, name: &str, key: PersonKey, who: &str, why: &str) -> Result<(), store::AppendError> {
        self.note_version(Context::system(), self.version_of_key(name, &key, who, why), None).await?;
        self.keys.put(name, key);
        Ok(())
    }

    fn version_of_key(&self, name: &str, key: &PersonKey, who: &str, why: &str) -> VersionLog {
        VersionLog {
            approval: None,
            difference: vec![format!("the key `{name}` is {}", key.state.as_str())],
            direction: None,
            from: self.keys.get(name).map(|known| Arc::from(known.state.as_str())),
            object: VersionedObject { kind: VersionedKind::Key, name: format!("{PREFIX}{name}").into() },
            state: serde_json::to_string(key).ok(),
            to: key.state.as_str().into(),
            who: who.to_owned(),
            why: why.to_owned(),
        }
    }

    /// Nobody could confirm the first key.
    async fn first_key(&self, person: &str, id: &str) -> Result<(), store::AppendError> {
        let at = now();
        let body = self.opening(
            ExceptionKind::People,
            format!("key:{person}/{id}"),
            format!("the key of `{person}` is the first of this home, and no second person has confirmed it"),
            at,
        );
        self.note(Context::system().into(), body).await.map(drop)
    }
}
