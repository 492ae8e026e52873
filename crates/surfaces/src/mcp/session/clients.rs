//! The clients of the stateless era: each is recorded once (`request_context`), and all its requests share that context.
//!
//! Such a client says with every request who it is, so this is what stands for the session that it does not have. Bounded: the oldest is forgotten, and recorded again
//! should it come back.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use governance::call::Refusal;
use governance::evidence::record::{Channel, Context};

use crate::govern::Session;
use crate::limits::{CLIENT_INFO_BYTES_MAX, CLIENTS_MAX};
use crate::mcp::claims::Claims;
use crate::mcp::codec::Raw;
use crate::mcp::era::Revision;

/// The clients of one session, as the gateway sees it, that were recorded.
#[derive(Debug, Default)]
pub(in crate::mcp) struct Clients {
    known: Mutex<VecDeque<(Client, Arc<Context>)>>,
    /// One is recorded at a time, so that requests that come together are of one client.
    recording: tokio::sync::Mutex<()>,
}

/// What tells one client from another.
#[derive(Debug, PartialEq, Eq)]
struct Client {
    info: Box<[u8]>,
    revision: Revision,
}

impl Clients {
    /// The context of a client, which is recorded if it is new.
    pub(super) async fn context<S: Session>(
        &self,
        session: &S,
        claims: &Claims<'_>,
        channel: impl Fn() -> Channel,
    ) -> Result<Arc<Context>, Refusal> {
        if let Some(context) = self.find(claims) {
            return Ok(context);
        }
        let _one_at_a_time = self.recording.lock().await;
        if let Some(context) = self.find(claims) {
            return Ok(context);
        }
        let context = session.opened(channel()).await?;
        let mut known = self.lock();
        if known.len() >= CLIENTS_MAX {
            known.pop_front();
        }
        known.push_back((Client { info: info(claims).into(), revision: claims.revision }, context.clone()));
        Ok(context)
    }

    fn find(&self, claims: &Claims<'_>) -> Option<Arc<Context>> {
        let info = info(claims);
        let known = self.lock();
        let is_it = |(client, _): &&(Client, _)| client.revision == claims.revision && *client.info == *info;
        known.iter().find(is_it).map(|(_, context)| context.clone())
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<(Client, Arc<Context>)>> {
        // A panic while the lock was held cannot leave it half changed: every change is one operation.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn info<'a>(claims: &Claims<'a>) -> &'a [u8] {
    let info = claims.info.map(Raw::bytes).unwrap_or_default();
    info.get(..CLIENT_INFO_BYTES_MAX).unwrap_or(info)
}
