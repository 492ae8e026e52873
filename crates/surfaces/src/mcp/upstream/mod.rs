//! The server behind a session: a child process over stdio ([`stdio`]) or a Streamable HTTP endpoint ([`http`]).
//!
//! Both offer the same few operations. Nothing here decides; executing a governed call needs a warrant, which the session checks and consumes before it sends.

pub mod http;
mod incoming;
mod lanes;
pub mod stdio;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ::http::header::HeaderMap;
use bytes::Bytes;

pub use self::incoming::IncomingQueue;
pub(super) use self::lanes::{Lane, Lanes, SUBSCRIPTION};
use super::codec::{Envelope, RawId};
use super::era::Revision;
use crate::limits::TAKE_BACK_MS;

/// What an upstream sends by itself: a notification or a request of its own.
#[derive(Debug)]
pub struct Incoming {
    /// The message: never a response.
    pub envelope: Envelope,
    /// The agent's request that it came along with, where the transport tells (a stream that answers a POST).
    pub related: Option<RawId>,
}

/// What arrives from an upstream by itself.
#[derive(Debug)]
pub enum Arrived {
    /// A message.
    Message(Incoming),
    /// Something that is no message, and why it is none.
    Unreadable(String),
}

/// Why a message could not be delivered or answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum UpstreamFault {
    /// It was never sent: nothing can have happened.
    #[error("upstream cannot be reached: {0}")]
    NotSent(String),
    /// It was sent, or may have been, and no answer came.
    #[error("connection to the upstream ended before an answer: {0}")]
    Lost(String),
    /// It was sent and the time for an answer has passed.
    #[error("upstream did not answer in time")]
    TimedOut,
    /// The answer breaks the protocol.
    #[error("upstream's answer cannot be read: {0}")]
    Unreadable(String),
}

/// The link to one upstream, for one session.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "a session has one, behind an Arc; another pointer on every call would cost more"
)]
pub enum Upstream {
    /// A Streamable HTTP endpoint.
    Http(http::HttpUpstream),
    /// One request at a child process that several clients share.
    Lane(Lane),
    /// A child process.
    Stdio(stdio::StdioUpstream),
}

impl Upstream {
    /// Sends the request `message`, which has the id `id`, and waits for the response with that id. Dropping the future gives up the answer; a late one is dropped.
    ///
    /// # Errors
    /// [`UpstreamFault`]; only `NotSent` promises that nothing happened.
    pub async fn request(&self, id: &RawId, message: Bytes) -> Result<Envelope, UpstreamFault> {
        match self {
            Self::Http(upstream) => upstream.request(id, message).await,
            Self::Lane(lane) => lane.request(id, message).await,
            Self::Stdio(upstream) => upstream.request(id, message).await,
        }
    }

    /// Sends a notification, or the response to one of the upstream's own requests.
    ///
    /// # Errors
    /// [`UpstreamFault`] when it could not be sent.
    pub async fn send(&self, message: Bytes) -> Result<(), UpstreamFault> {
        match self {
            Self::Http(upstream) => upstream.send(message).await,
            Self::Lane(lane) => lane.send(message).await,
            Self::Stdio(upstream) => upstream.send(message).await,
        }
    }

    /// Tells the upstream that a request is taken back. What became of the request is told and recorded whether or not the upstream takes this, and soon.
    pub(super) async fn take_back(&self, cancellation: Bytes) {
        // Boxed: every call would carry the room for it.
        let sent = Box::pin(self.send(cancellation));
        match tokio::time::timeout(Duration::from_millis(TAKE_BACK_MS), sent).await {
            Ok(Ok(())) => {}
            // It may have ended already, and then needs no cancellation.
            Ok(Err(fault)) => tracing::debug!(%fault, "a cancellation was not sent"),
            Err(_elapsed) => tracing::debug!("the upstream takes no cancellation"),
        }
    }

    /// The handshake is complete with the protocol revision `revision`: transports that need it from now on (the `MCP-Protocol-Version` header, the standing GET
    /// stream) take note.
    pub fn opened(&self, revision: Revision) {
        match self {
            Self::Http(upstream) => upstream.opened(revision),
            Self::Lane(_) => {}
            Self::Stdio(upstream) => upstream.opened(revision),
        }
    }

    /// Whether the answer to the request `id` came as a stream. Asked once, when the request is done with; the id is forgotten.
    pub fn was_streamed(&self, id: &RawId) -> bool {
        match self {
            Self::Http(upstream) => upstream.was_streamed(id),
            Self::Lane(_) | Self::Stdio(_) => false,
        }
    }

    /// A link for one request of our own beside this one, with the headers that repeat it. Nothing is heard on it but the answer.
    pub(super) fn beside(self: &Arc<Self>, headers: HeaderMap) -> Arc<Self> {
        match &**self {
            Self::Http(upstream) => Arc::new(Self::Http(upstream.lane(headers).0)),
            Self::Lane(lane) => Arc::new(lane.beside(headers)),
            Self::Stdio(_) => self.clone(),
        }
    }

    /// The headers of this link that repeat arguments, which only the server knows: names and values.
    pub(super) fn carried(&self) -> Vec<(String, String)> {
        match self {
            Self::Http(upstream) => upstream.carried(),
            Self::Lane(_) | Self::Stdio(_) => Vec::new(),
        }
    }

    /// Has the headers that repeat arguments say what the tool gets: `turned` are texts of arguments that are others there.
    pub(super) fn repeat(&self, turned: &BTreeMap<String, String>) {
        match self {
            Self::Http(upstream) => upstream.repeat(turned),
            Self::Lane(_) | Self::Stdio(_) => {}
        }
    }

    /// The HTTP status with which the server refused the last message that it refused.
    pub(super) fn refused_with(&self) -> Option<::http::StatusCode> {
        match self {
            Self::Http(upstream) => upstream.refused_with(),
            Self::Lane(_) | Self::Stdio(_) => None,
        }
    }

    /// Ends the link in order: closes the child's input and waits a little before killing its process group; deletes the HTTP session.
    pub async fn close(&self) {
        match self {
            Self::Http(upstream) => upstream.close().await,
            // What it is a lane of goes on.
            Self::Lane(_) => {}
            Self::Stdio(upstream) => upstream.close().await,
        }
    }
}
