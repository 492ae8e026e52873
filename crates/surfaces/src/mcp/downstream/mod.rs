//! The agent's client: over one pair of byte streams ([`stdio`]) or Streamable HTTP ([`http`]).

pub mod http;
pub mod stdio;

use std::future::Future;

use bytes::Bytes;

use super::codec::RawId;
use crate::govern::Receipt;

/// Where a message for the agent belongs.
#[derive(Clone, Copy, Debug)]
pub enum Address<'a> {
    /// It came along with the work on this request of the agent.
    Related(&'a RawId),
    /// It answers this request of the agent, and ends its stream.
    Reply(&'a RawId),
    /// The same, where the upstream answered with a stream: a client that may be answered so is, as it would be without the gateway.
    StreamedReply(&'a RawId),
    /// It belongs to no request.
    Unsolicited,
}

/// One message for the agent.
#[derive(Clone, Debug)]
pub struct Message {
    /// Its bytes.
    pub bytes: Bytes,
    /// To be acknowledged once it was handed to a live client.
    pub receipt: Option<Receipt>,
}

impl Message {
    /// The bytes, once they are handed to a live client.
    pub(crate) fn hand_over(self) -> Bytes {
        if let Some(receipt) = &self.receipt {
            receipt.acknowledge();
        }
        self.bytes
    }
}

impl From<Bytes> for Message {
    fn from(bytes: Bytes) -> Self {
        Self { bytes, receipt: None }
    }
}

/// The agent's client is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the agent's client is gone")]
pub struct Gone;

/// Takes messages for the agent. Bounded: waits while the client reads slowly.
pub trait Downstream: Send + Sync + 'static {
    /// Delivers one message; its receipt is acknowledged when a live client was handed it, which may be later.
    fn deliver(
        &self,
        address: Address<'_>,
        message: impl Into<Message> + Send,
    ) -> impl Future<Output = Result<(), Gone>> + Send;
}
