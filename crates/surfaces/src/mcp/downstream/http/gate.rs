//! What the endpoint needs from the gateway: who may come in, and what is behind the door.

use std::future::Future;
use std::sync::Arc;

use http::StatusCode;

use crate::govern::Session;
use crate::mcp::upstream::{IncomingQueue, Upstream};

/// Lets agents in and connects them. The gateway implements it.
pub trait Gate: Send + Sync + 'static {
    /// What the gateway knows of one session.
    type Session: Session;
    /// What an accepted token says; handed back in [`Self::connect`].
    type Ticket: Send + 'static;

    /// Checks a token. Called for every request, so it must be quick.
    ///
    /// # Errors
    /// [`AdmitError`] says what the agent is told; [`AdmitError::Unexamined`] makes the endpoint call [`Self::examine`].
    fn admit(&self, caller: Caller<'_>) -> Result<Admission<Self::Ticket>, AdmitError>;

    /// Checks a token that could not be judged at once, such as one that an authorization server signed.
    ///
    /// # Errors
    /// [`AdmitError`] says what the agent is told.
    fn examine(&self, caller: Caller<'_>) -> impl Future<Output = Result<Admission<Self::Ticket>, AdmitError>> + Send {
        std::future::ready(self.admit(caller))
    }

    /// Takes note of a request that was refused, and of which no session knows.
    fn turned_away(&self, why: TurnedAway<'_>);

    /// Where an agent that is not let in learns how to get a token; `None` where no authorization server is configured.
    fn protection(&self, caller: Caller<'_>) -> Option<Protection> {
        let _ = caller;
        None
    }

    /// Opens a session at `server`. Called once for each handshake.
    ///
    /// # Errors
    /// [`ConnectError`] says what the agent is told.
    fn connect(
        &self,
        server: &str,
        ticket: Self::Ticket,
    ) -> impl Future<Output = Result<Connected<Self::Session>, ConnectError>> + Send;

    /// 256 fresh random bits, for the id of a session.
    fn randomness(&self) -> [u8; 32];
}

/// Who asks, as one request says it.
#[derive(Clone, Copy)]
pub struct Caller<'a> {
    /// The bearer token, if there is one.
    pub bearer: Option<&'a str>,
    /// The name, with port, under which the gateway was called: one of those that it accepts.
    pub host: &'a str,
    /// The server that is asked for.
    pub server: &'a str,
}

/// How tokens for an endpoint are got (RFC 9728).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Protection {
    /// The address of the endpoint's protected resource metadata.
    pub metadata: String,
    /// The scopes that a token needs, separated by spaces; empty where none are asked for.
    pub scope: String,
}

/// An accepted token.
#[derive(Debug)]
pub struct Admission<T> {
    /// Tells holders apart: a session belongs to the one that opened it.
    pub holder: Holder,
    /// What the gate wants back.
    pub ticket: T,
}

/// Whose session it is: 256 bits that no two holders share, such as the SHA-256 of a run token.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Holder(pub [u8; 32]);

/// A session and the upstream behind it.
#[derive(Debug)]
pub struct Connected<S> {
    /// What the upstream sends by itself.
    pub incoming: IncomingQueue,
    /// What the gateway knows of the session.
    pub session: Arc<S>,
    /// The upstream.
    pub upstream: Upstream,
}

/// Why an agent is not let in.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdmitError {
    /// The token is good, but not for this server (403).
    #[error("{0}")]
    Forbidden(String),
    /// The token is good, but lacks scopes that can be asked for (403 with a challenge).
    #[error("{text}")]
    InsufficientScope {
        /// Every scope that is needed, separated by spaces.
        scope: String,
        /// What the agent is told.
        text: String,
    },
    /// No token, or one that is unknown, expired, ended or revoked (401).
    #[error("{0}")]
    Unauthorized(String),
    /// Nobody is let in at present, or not this token (503).
    #[error("{0}")]
    Unavailable(String),
    /// The token cannot be judged at once (503, where examining it said so).
    #[error("the token could not be examined; try again")]
    Unexamined,
    /// There is no such server (404).
    #[error("{0}")]
    UnknownServer(String),
}

/// A request that was refused before a session knew of it.
#[derive(Clone, Copy)]
pub enum TurnedAway<'a> {
    /// It came by a name that is not the gateway's, or from a foreign page.
    Foreign,
    /// Its token is not where one belongs, or there are several.
    Misplaced,
    /// Its token was good; it was not.
    Unfit {
        /// Who sent it.
        caller: Caller<'a>,
        /// How it was answered.
        status: StatusCode,
        /// With what: a JSON-RPC error.
        told: &'a [u8],
    },
}

/// Why a session cannot be opened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConnectError {
    /// The gateway cannot take it now (503).
    #[error("{0}")]
    Unavailable(String),
    /// The upstream cannot be started or reached (502).
    #[error("{0}")]
    Upstream(String),
}
