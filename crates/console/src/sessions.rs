//! Who may read, and for how long: sessions that a person opens by signing a challenge with a key of theirs.
//!
//! Everything is in memory: a restart ends all sessions. A challenge is not kept but sealed under a key of this process, so that nobody can use up a place for them; one that was
//! used is kept until it has lapsed. Tokens are kept as digests alone.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use evidence::time::Timestamp;
use gateway::Gateway;
use gateway::clock::{now, random};
use serde::Serialize;
use sha2::{Digest as _, Sha256};
use tokio::sync::Semaphore;

use crate::limits::{
    CHALLENGE_US, SESSION_US, SESSIONS_MAX, SESSIONS_PER_PERSON_MAX, STREAMS_PER_SESSION_MAX, USED_CHALLENGES_MAX,
};

/// What tokens of sessions begin with; no other token does.
const TOKEN: &str = "csc_";

/// What tokens of runs begin with.
const RUN_TOKEN: &str = "cst_";

/// When it lapses, randomness, and the seal over both and the person.
const CHALLENGE_BYTES: usize = 8 + 16 + 32;

/// What a key signs to open a session at the gateway that is called `audience`, such as `https://approvals.corp.example`.
#[must_use]
pub fn statement(audience: &str, challenge: &str, key: &str, person: &str) -> Vec<u8> {
    /// Fields in the order of RFC 8785.
    #[derive(Serialize)]
    struct Statement<'a> {
        audience: &'a str,
        challenge: &'a str,
        key: &'a str,
        person: &'a str,
        v: u32,
    }
    let mut bytes = b"countersign session v1\n".to_vec();
    // Writing plain fields to memory cannot fail.
    let _ = serde_json::to_writer(&mut bytes, &Statement { audience, challenge, key, person, v: 1 });
    bytes
}

/// A session, as long as it stands.
#[derive(Clone, Debug)]
pub(crate) struct Session {
    /// Digest of its token.
    pub(crate) digest: [u8; 32],
    /// The key that opened it.
    pub(crate) key: Arc<str>,
    pub(crate) person: Arc<str>,
    /// A place for each stream of events.
    pub(crate) streams: Arc<Semaphore>,
    pub(crate) until: Timestamp,
    opened: Timestamp,
}

/// What somebody who wants a session sends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Login<'a> {
    pub(crate) challenge: &'a str,
    /// The name by which the request came.
    pub(crate) host: &'a str,
    pub(crate) key: &'a str,
    pub(crate) person: &'a str,
}

/// Why a session is not opened. What is told of it is the same for all but [`LoginError::Full`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum LoginError {
    /// It is not one of ours for this person, or has lapsed.
    #[error("the challenge is not one that was given to this person in the last two minutes")]
    Challenge,
    /// There is no place for another session.
    #[error("more sessions are open than may be")]
    Full,
    /// The challenge was used before.
    #[error("the challenge has opened a session before")]
    Replayed,
    /// The signature is not one of this challenge by a confirmed key of this person.
    #[error("the signature is not of this challenge, for this gateway, by a confirmed key of this person")]
    Signature,
}

/// Why a request has no session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoSession {
    /// A run's token is for the gateway.
    #[error("the token is an agent's; agents have no session here")]
    Agent,
    /// Its time is over.
    #[error("the session's time is over")]
    Over,
    /// The key was revoked, or the person left the file of persons.
    #[error("the key that opened the session is not a confirmed one of this person any more")]
    Revoked,
    /// No token is sent, or not one alone.
    #[error("no token is sent: `Authorization: Bearer TOKEN`")]
    Without,
    /// No session has this token.
    #[error("no session has this token")]
    Unknown,
}

/// All sessions.
pub(crate) struct Sessions {
    seal: hmac::Key,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    open: HashMap<[u8; 32], Session>,
    /// Challenges that were used, with when they lapse.
    used: HashMap<[u8; 16], Timestamp>,
}

impl Sessions {
    /// None yet, under a fresh key.
    pub(crate) fn new() -> Self {
        let mut key = [0; 32];
        random(&mut key);
        Self { seal: hmac::Key::new(hmac::HMAC_SHA256, &key), state: Mutex::default() }
    }

    /// A challenge for `person`, and when it lapses.
    pub(crate) fn challenge(&self, person: &str, at: Timestamp) -> (String, Timestamp) {
        let until = at.plus_micros(CHALLENGE_US);
        let mut bytes = Vec::with_capacity(CHALLENGE_BYTES);
        bytes.extend(until.micros().to_be_bytes());
        let mut fresh = [0; 16];
        random(&mut fresh);
        bytes.extend(fresh);
        bytes.extend(hmac::sign(&self.seal, &sealed(&bytes, person)).as_ref());
        (URL_SAFE_NO_PAD.encode(bytes), until)
    }

    /// Opens a session; gives its token, which is told this once.
    pub(crate) fn open(
        &self,
        login: Login<'_>,
        at: Timestamp,
        has_signed: impl Fn(&[u8]) -> bool,
    ) -> Result<(String, Session), LoginError> {
        let Login { challenge, host, key, person } = login;
        let (fresh, lapses) = self.opened(challenge, person).ok_or(LoginError::Challenge)?;
        if at > lapses {
            return Err(LoginError::Challenge);
        }
        let host = host.to_ascii_lowercase();
        // Whether TLS ends before the gateway, the gateway cannot see; the name is what is held to.
        let mut audiences = ["https", "http"].into_iter().map(|scheme| format!("{scheme}://{host}"));
        if !audiences.any(|audience| has_signed(&statement(&audience, challenge, key, person))) {
            return Err(LoginError::Signature);
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.used.retain(|_, lapses| *lapses >= at);
        state.open.retain(|_, session| session.until > at);
        if state.used.contains_key(&fresh) {
            return Err(LoginError::Replayed);
        }
        if state.used.len() >= USED_CHALLENGES_MAX || state.open.len() >= SESSIONS_MAX {
            return Err(LoginError::Full);
        }
        state.used.insert(fresh, lapses);
        let of_person: Vec<_> = state.open.values().filter(|session| *session.person == *person).collect();
        if of_person.len() >= SESSIONS_PER_PERSON_MAX
            && let Some(oldest) = of_person.iter().min_by_key(|session| session.opened).map(|session| session.digest)
        {
            state.open.remove(&oldest);
        }
        let mut secret = [0; 32];
        random(&mut secret);
        let token = format!("{TOKEN}{}", URL_SAFE_NO_PAD.encode(secret));
        let session = Session {
            digest: Sha256::digest(token.as_bytes()).into(),
            key: key.into(),
            opened: at,
            person: person.into(),
            streams: Arc::new(Semaphore::new(STREAMS_PER_SESSION_MAX)),
            until: at.plus_micros(SESSION_US),
        };
        state.open.insert(session.digest, session.clone());
        Ok((token, session))
    }

    /// The randomness of a challenge that was given to `person`, and when it lapses.
    fn opened(&self, challenge: &str, person: &str) -> Option<([u8; 16], Timestamp)> {
        let bytes = URL_SAFE_NO_PAD.decode(challenge).ok()?;
        let (text, tag) = bytes.split_at_checked(CHALLENGE_BYTES - 32)?;
        hmac::verify(&self.seal, &sealed(text, person), tag).ok()?;
        let (lapses, fresh) = text.split_at_checked(8)?;
        let lapses = Timestamp::from_micros(i64::from_be_bytes(lapses.try_into().ok()?));
        Some((fresh.try_into().ok()?, lapses))
    }

    /// The session that has this token.
    pub(crate) fn bearing(&self, token: &str, gateway: &Gateway) -> Result<Session, NoSession> {
        if token.starts_with(RUN_TOKEN) {
            return Err(NoSession::Agent);
        }
        self.standing(&Sha256::digest(token.as_bytes()).into(), gateway)
    }

    /// The session whose token has this digest, if it still stands; one that does not is forgotten.
    pub(crate) fn standing(&self, digest: &[u8; 32], gateway: &Gateway) -> Result<Session, NoSession> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let session = state.open.get(digest).cloned().ok_or(NoSession::Unknown)?;
        let ended = if now() >= session.until {
            NoSession::Over
        } else if gateway.may_sign(&session.person, &session.key) {
            return Ok(session);
        } else {
            NoSession::Revoked
        };
        state.open.remove(digest);
        Err(ended)
    }

    /// Ends a session.
    pub(crate) fn close(&self, digest: &[u8; 32]) {
        self.state.lock().unwrap_or_else(PoisonError::into_inner).open.remove(digest);
    }
}

fn sealed(text: &[u8], person: &str) -> Vec<u8> {
    [b"countersign challenge v1\n", text, person.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(1_000_000_000 + micros)
    }

    fn login<'a>(challenge: &'a str, person: &'a str) -> Login<'a> {
        Login { challenge, host: "Approvals.example:7071", key: "k", person }
    }

    #[test]
    fn a_statement_says_for_whom_it_is() {
        let text = String::from_utf8(statement("https://a.example", "c", "k", "ana")).unwrap();
        let rest = r#"{"audience":"https://a.example","challenge":"c","key":"k","person":"ana","v":1}"#;
        assert_eq!(text, format!("countersign session v1\n{rest}"));
    }

    #[test]
    fn a_challenge_opens_one_session_of_its_person_in_its_time() {
        let sessions = Sessions::new();
        let (challenge, until) = sessions.challenge("ana", at(0));
        let open = |challenge: &str, person: &str, time| {
            sessions.open(login(challenge, person), time, |_| true).map(|(_, session)| session.person.to_string())
        };
        assert_eq!(open(&challenge, "bea", at(1)), Err(LoginError::Challenge), "another's");
        assert_eq!(open(&challenge, "ana", until.plus_micros(1)), Err(LoginError::Challenge), "late");
        for altered in ["", "AAAA", &challenge.replacen(|c: char| c != 'A', "A", 1), &format!("{challenge}AA")] {
            assert_eq!(open(altered, "ana", at(1)), Err(LoginError::Challenge), "{altered}");
        }
        let other = Sessions::new().open(login(&challenge, "ana"), at(1), |_| true);
        assert_eq!(other.err(), Some(LoginError::Challenge), "of another process");
        assert_eq!(open(&challenge, "ana", at(1)).as_deref(), Ok("ana"));
        assert_eq!(open(&challenge, "ana", at(2)), Err(LoginError::Replayed));
    }

    #[test]
    fn a_signature_is_for_the_name_by_which_the_request_came() {
        let sessions = Sessions::new();
        for (audience, is_good) in [
            ("https://approvals.example:7071", true),
            ("http://approvals.example:7071", true),
            ("https://approvals.example", false),
            ("https://evil.example:7071", false),
        ] {
            let (challenge, _) = sessions.challenge("ana", at(0));
            let signed = statement(audience, &challenge, "k", "ana");
            let opened = sessions.open(login(&challenge, "ana"), at(1), |text| text == signed);
            assert_eq!(opened.map(drop).err(), (!is_good).then_some(LoginError::Signature), "{audience}");
        }
    }

    #[test]
    fn one_session_too_many_ends_the_oldest_of_the_person() {
        let sessions = Sessions::new();
        let open = |person: &str, time: i64| {
            let (challenge, _) = sessions.challenge(person, at(time));
            sessions.open(login(&challenge, person), at(time), |_| true).unwrap().1.digest
        };
        let bea = open("bea", 0);
        let all: Vec<_> = (1..=20).map(|time| open("ana", time)).collect();
        let state = sessions.state.lock().unwrap();
        let is_open: Vec<bool> = all.iter().map(|digest| state.open.contains_key(digest)).collect();
        assert_eq!(is_open.iter().filter(|is_open| **is_open).count(), SESSIONS_PER_PERSON_MAX);
        assert!(is_open[4..].iter().all(|is_open| *is_open) && state.open.contains_key(&bea));
    }

    #[test]
    fn sessions_and_used_challenges_are_bounded_and_lapse() {
        let sessions = Sessions::new();
        for number in 0..SESSIONS_MAX {
            let person = format!("p{}", number / SESSIONS_PER_PERSON_MAX);
            let (challenge, _) = sessions.challenge(&person, at(0));
            sessions.open(login(&challenge, &person), at(0), |_| true).unwrap();
        }
        let (challenge, _) = sessions.challenge("ana", at(1));
        assert_eq!(sessions.open(login(&challenge, "ana"), at(1), |_| true).map(drop), Err(LoginError::Full));
        let later = SESSION_US + 1;
        let (challenge, _) = sessions.challenge("ana", at(later));
        assert!(sessions.open(login(&challenge, "ana"), at(later), |_| true).is_ok());
        let state = sessions.state.lock().unwrap();
        assert_eq!((state.open.len(), state.used.len()), (1, 1));
    }
}
