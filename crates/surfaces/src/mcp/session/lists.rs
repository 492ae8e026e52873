//! Lists show only what the mission allows; what stays keeps its bytes.

use std::collections::HashSet;

use bytes::Bytes;
use governance::evidence::record::Endpoint;
use tokio::sync::oneshot;

use super::{AgentSession, Exchange, FAILED, upstream_failed};
use crate::govern::{Place, Session};
use crate::mcp::codec::{Envelope, Raw, RawId, Splice, SpliceError, author};
use crate::mcp::downstream::Downstream;

/// The lists of the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum List {
    Prompts,
    Resources,
    Tasks,
    Templates,
    Tools,
}

impl List {
    /// The member of the result that holds the items, and the member of an item that names it.
    const fn members(self) -> (&'static str, &'static str) {
        match self {
            Self::Prompts => ("prompts", "name"),
            Self::Resources => ("resources", "uri"),
            Self::Tasks => ("tasks", "taskId"),
            Self::Templates => ("resourceTemplates", "uriTemplate"),
            Self::Tools => ("tools", "name"),
        }
    }
}

impl<S: Session, D: Downstream> AgentSession<S, D> {
    /// Forwards a request for a list and thins the answer.
    pub(super) async fn list(
        &self,
        id: &RawId,
        envelope: &Envelope,
        list: List,
        cancelled: oneshot::Receiver<()>,
    ) -> Option<Bytes> {
        match self.exchange(id, envelope.bytes().clone(), cancelled).await {
            Exchange::Answered(response) => Some(self.thinned(id, &response, list, Ok)),
            Exchange::Cancelled => None,
            Exchange::Failed(fault) => Some(upstream_failed(id, &fault)),
        }
    }

    /// A list without what the mission does not show; `finished` may change what is left.
    pub(super) fn thinned(
        &self,
        id: &RawId,
        response: &Envelope,
        list: List,
        finished: impl FnOnce(Bytes) -> Result<Bytes, SpliceError>,
    ) -> Bytes {
        let Some(result) = response.result() else { return response.bytes().clone() };
        let (items, name) = list.members();
        let Some(items) = result.at(&[items]).and_then(Raw::array) else {
            return author::error_reply(Some(id), FAILED, &format!("the upstream's list has no `{items}`"), None);
        };
        if list == List::Tasks {
            items.elements().for_each(|task| self.tasks.note(task));
        }
        let mut splice = Splice::new(response.bytes());
        let mut seen = HashSet::new();
        let thinned = splice.retain_elements(items, |item| {
            let Some(name) = item.at(&[name]).and_then(Raw::text) else { return false };
            if !self.shows(list, &name) || list != List::Tools {
                return self.shows(list, &name);
            }
            let place = if seen.insert(name.to_string()) { Place::First } else { Place::Again };
            self.session.sighted(&self.tool(Endpoint::Tool, &name), item.bytes(), place)
        });
        match thinned.map(|_| ()).and_then(|()| splice.finish()).and_then(finished) {
            Ok(bytes) => bytes,
            Err(error) => author::error_reply(Some(id), author::INTERNAL_ERROR, &error.to_string(), None),
        }
    }

    fn shows(&self, list: List, name: &str) -> bool {
        let policy = self.session.policy();
        match list {
            List::Prompts => policy.shows(&self.tool(Endpoint::Prompt, name)),
            List::Resources => policy.shows(&self.tool(Endpoint::Resource, name)),
            List::Tasks => self.tasks.knows(name),
            List::Templates => policy.shows_template(&self.session.upstream(), name),
            List::Tools => policy.shows(&self.tool(Endpoint::Tool, name)),
        }
    }
}
