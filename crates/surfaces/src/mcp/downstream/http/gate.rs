//! What the endpoint needs from the gateway: who may come in, and what is behind the door.

use std::future::Future;
use std::sync::Arc;

use crate::govern::Session;
use crate::mcp::upstream::{IncomingQueue, Upstream};

/// Lets agents in and connects them. The gateway implements it.
pub trait Gate: Send + Sync + 'static {
    /// What the gateway knows of one session.
    type Session: Session;
    /// What an accepted token says; handed back in [`Self::connect`].
    type Ticket: Send + 'static;

    /// Checks a run token for `server`. Called for every request, so it must be quick.
    ///
    /// # Errors
    /// [`AdmitError`] says what the agent is told.
    fn admit(&self, server: &str, bearer: Option<&str>) -> Result<Admission<Self::Ticket>, AdmitError>;

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

/// An accepted run token.
#[derive(Debug)]
pub struct Admission<T> {
    /// Tells tokens apart: a session belongs to the token that opened it.
    pub holder: Holder,
    /// What the gate wants back.
    pub ticket: T,
}

/// Whose session it is: 256 bits that no two run tokens share, such as the token's SHA-256.
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
    /// No token, or one that is unknown, expired, ended or revoked (401).
    #[error("{0}")]
    Unauthorized(String),
    /// Nobody is let in at present (503).
    #[error("{0}")]
    Unavailable(String),
    /// There is no such server (404).
    #[error("{0}")]
    UnknownServer(String),
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
