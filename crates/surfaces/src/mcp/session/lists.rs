//! Lists show only what the mission allows; what stays keeps its bytes.

use std::collections::HashSet;

use bytes::Bytes;
use governance::decide::APPROVAL_STATUS;
use governance::evidence::record::Endpoint;
use tokio::sync::oneshot;

use super::{AgentSession, Exchange, FAILED, approval, upstream_failed};
use crate::govern::{Place, Session};
use crate::limits::ReadLimits;
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
            Exchange::Answered(response) => Some(self.listed(id, envelope, &response, list, Ok).await),
            Exchange::Cancelled => None,
            Exchange::Failed(fault) => Some(upstream_failed(id, &fault)),
        }
    }

    /// A list as the agent may have it; `finished` may change what is left of it.
    pub(super) async fn listed(
        &self,
        id: &RawId,
        request: &Envelope,
        response: &Envelope,
        list: List,
        finished: impl FnOnce(Bytes) -> Result<Bytes, SpliceError>,
    ) -> Bytes {
        if response.result().is_none() {
            return self.aside(id, request, response).await;
        }
        let thinned = self.thinned(id, response, list, finished);
        match list {
            List::Tools => thinned,
            List::Prompts | List::Resources | List::Tasks | List::Templates => {
                self.changed_aside(id, request, thinned).await
            }
        }
    }

    /// A list without what the mission does not show.
    fn thinned(
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
            if list == List::Tools && self.session.policy().is_own(&self.tool(Endpoint::Tool, &name)) {
                self.upstream_misbehaved(
                    "offers a tool by the name of the gateway's own; it is not shown, and never called",
                );
                return false;
            }
            if !self.shows(list, &name) || list != List::Tools {
                return self.shows(list, &name);
            }
            let place = if seen.insert(name.to_string()) { Place::First } else { Place::Again };
            self.session.sighted(&self.tool(Endpoint::Tool, &name), item.bytes(), place)
        });
        let is_last = result.at(&["nextCursor"]).is_none();
        let with_own = |bytes| if list == List::Tools && is_last { self.with_own_tool(bytes) } else { Ok(bytes) };
        match thinned.map(|_| ()).and_then(|()| splice.finish()).and_then(with_own).and_then(finished) {
            Ok(bytes) => bytes,
            Err(error) => author::error_reply(Some(id), author::INTERNAL_ERROR, &error.to_string(), None),
        }
    }

    /// A list of tools with the gateway's own at its end, where the mission has it.
    fn with_own_tool(&self, bytes: Bytes) -> Result<Bytes, SpliceError> {
        if !self.session.policy().is_own(&self.tool(Endpoint::Tool, APPROVAL_STATUS)) {
            return Ok(bytes);
        }
        // What we have cut from a message that was read is one that can be read.
        let Ok(envelope) = Envelope::parse(bytes.clone(), &ReadLimits::RESPONSE) else { return Ok(bytes) };
        let tools = envelope.result().and_then(|result| result.at(&["tools"])).and_then(Raw::array);
        let (Some(tools), Ok(own)) = (tools, Raw::parse(approval::TOOL.as_bytes(), &ReadLimits::RESPONSE)) else {
            return Ok(bytes);
        };
        let mut splice = Splice::new(envelope.bytes());
        splice.append_element(tools, own)?;
        splice.finish()
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
