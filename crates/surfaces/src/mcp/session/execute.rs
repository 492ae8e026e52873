//! Executing governed calls: only here does a session send one, and only against its warrant.

use std::sync::Arc;

use bytes::Bytes;
use governance::call::Warrant;
use governance::evidence::ids::CallId;
use governance::evidence::record::Status;
use governance::execute::Outcome;
use governance::reason::Reason;
use serde_json::{Map, Value};
use tokio::sync::oneshot;

use super::State;
use crate::govern::Execute;
use crate::mcp::codec::{Envelope, Raw, RawId, author};
use crate::mcp::downstream::{Address, Downstream};
use crate::mcp::upstream::{Upstream, UpstreamFault};

/// A call of the agent, to be sent to the upstream.
#[derive(Debug)]
pub(super) struct CallUpstream {
    call: CallId,
    id: RawId,
    message: Bytes,
    upstream: Arc<Upstream>,
}

impl CallUpstream {
    pub(super) const fn new(upstream: Arc<Upstream>, id: RawId, message: Bytes, call: CallId) -> Self {
        Self { call, id, message, upstream }
    }
}

impl Execute for CallUpstream {
    async fn execute(&mut self, warrant: Warrant) -> Outcome {
        if warrant.call() != self.call {
            return Outcome::without_answer(Status::NotExecuted, Reason::EvaluationFailed);
        }
        outcome(self.upstream.request(&self.id, std::mem::take(&mut self.message)).await)
    }

    async fn cancel(&mut self) {
        // The upstream may have ended already; it then needs no cancellation.
        let _fault = self.upstream.send(cancellation(&self.id)).await;
    }
}

/// A request of the upstream (sampling, elicitation, roots), to be put to the agent's client.
pub(super) struct AskAgent<D> {
    answer: Option<oneshot::Receiver<Envelope>>,
    call: Option<CallId>,
    downstream: Arc<D>,
    message: Bytes,
    related: Option<RawId>,
}

impl<D> AskAgent<D> {
    /// Registers the question with `state`, so that its answer is recognised.
    pub(super) fn register(
        state: &mut State,
        id: &RawId,
        downstream: Arc<D>,
        message: Bytes,
        related: Option<RawId>,
    ) -> Self {
        let (sender, answer) = oneshot::channel();
        state.asked.insert(id.clone(), sender);
        Self { answer: Some(answer), call: None, downstream, message, related }
    }

    /// Binds the question to the call that governs it.
    pub(super) const fn bind(&mut self, call: CallId) {
        self.call = Some(call);
    }
}

impl<D: Downstream> Execute for AskAgent<D> {
    async fn execute(&mut self, warrant: Warrant) -> Outcome {
        let (Some(answer), true) = (self.answer.take(), self.call == Some(warrant.call())) else {
            return Outcome::without_answer(Status::NotExecuted, Reason::EvaluationFailed);
        };
        let address = self.related.as_ref().map_or(Address::Unsolicited, Address::Related);
        if self.downstream.deliver(address, std::mem::take(&mut self.message)).await.is_err() {
            return Outcome::without_answer(Status::NotExecuted, Reason::ConnectionLost);
        }
        outcome(answer.await.map_err(|_| UpstreamFault::Lost("the agent's client is gone".to_owned())))
    }

    async fn cancel(&mut self) {}
}

/// Reads an answer, or its absence, as an outcome. A result that says `isError` is a tool's own error; an error response is the protocol's.
fn outcome(answer: Result<Envelope, UpstreamFault>) -> Outcome {
    let envelope = match answer {
        Ok(envelope) => envelope,
        Err(fault) => {
            tracing::debug!(%fault, "no answer");
            return match fault {
                UpstreamFault::NotSent(_) => Outcome::without_answer(Status::NotExecuted, Reason::UpstreamUnavailable),
                UpstreamFault::Lost(_) => Outcome::without_answer(Status::Unknown, Reason::ConnectionLost),
                UpstreamFault::TimedOut => Outcome::without_answer(Status::Unknown, Reason::Timeout),
                UpstreamFault::Unreadable(_) => Outcome::without_answer(Status::Unknown, Reason::Malformed),
            };
        }
    };
    let (part, status, reason) = match (envelope.result(), envelope.error()) {
        (Some(result), _) if result.at(&["isError"]).and_then(Raw::boolean) == Some(true) => {
            (Some(result), Status::ToolError, None)
        }
        (Some(result), _) => (Some(result), Status::Done, None),
        (None, error) => (error, Status::ToolError, Some(Reason::UpstreamError)),
    };
    let result = part.map(|part| envelope.share(part));
    Outcome { external_reference: None, payload: Some(envelope.bytes().clone()), reason, result, status }
}

/// The notification that takes a request back.
pub(super) fn cancellation(id: &RawId) -> Bytes {
    let id = id.as_integer().map_or_else(|| Value::from(id.as_text().unwrap_or_default()), Value::from);
    let params =
        Map::from_iter([("requestId".to_owned(), id), ("reason".to_owned(), Value::from("taken back by the client"))]);
    author::notification("notifications/cancelled", Some(&params))
}
