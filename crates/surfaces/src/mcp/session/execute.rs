//! Executing governed calls: only here does a session send one, and only against its warrant.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use governance::call::{Reply, Warrant};
use governance::evidence::ids::CallId;
use governance::evidence::leaf::sha256_hex;
use governance::evidence::record::Status;
use governance::execute::{Created, Execution, Outcome};
use governance::reason::Reason;
use serde_json::{Map, Value};
use tokio::sync::oneshot;

use super::State;
use super::intercept::param;
use super::tasks::Becoming;
use crate::govern::Execute;
use crate::limits::ReadLimits;
use crate::mcp::codec::{Envelope, Raw, RawId, Splice, author};
use crate::mcp::downstream::{Address, Downstream};
use crate::mcp::upstream::{Upstream, UpstreamFault};

/// A call of the agent, to be sent to the upstream.
#[derive(Debug)]
pub(super) struct CallUpstream {
    call: CallId,
    id: RawId,
    message: Bytes,
    /// Set where the upstream may make a task of it. Boxed: nearly no call has it.
    task: Option<Box<Becoming>>,
    upstream: Arc<Upstream>,
}

impl CallUpstream {
    pub(super) const fn new(upstream: Arc<Upstream>, id: RawId, message: Bytes, call: CallId) -> Self {
        Self { call, id, message, task: None, upstream }
    }

    /// The same call, which may become a task.
    pub(super) fn becoming(self, task: Becoming) -> Self {
        Self { task: Some(Box::new(task)), ..self }
    }
}

impl Execute for CallUpstream {
    async fn execute(&mut self, warrant: Warrant) -> Execution {
        if warrant.call() != self.call {
            return Execution::Ended(Outcome::without_answer(Status::NotExecuted, Reason::EvaluationFailed));
        }
        let Some(message) = as_warranted(std::mem::take(&mut self.message), &warrant, &self.upstream) else {
            return Execution::Ended(Outcome::without_answer(Status::NotExecuted, Reason::EvaluationFailed));
        };
        let answer = self.upstream.request(&self.id, message).await;
        match (&mut self.task, &answer) {
            (Some(task), Ok(envelope)) => match created(envelope) {
                Some((id, created)) if task.note(&id) => Execution::Task(created),
                Some(_) => Execution::Ended(Outcome::without_answer(Status::Unknown, Reason::Malformed)),
                None => Execution::Ended(outcome(answer)),
            },
            (Some(_) | None, _) => Execution::Ended(outcome(answer)),
        }
    }

    async fn follow(&mut self, reply: Reply) -> Outcome {
        match &mut self.task {
            Some(task) => task.follow(reply).await,
            None => Outcome::without_answer(Status::Unknown, Reason::EvaluationFailed),
        }
    }

    async fn cancel(&mut self) {
        self.upstream.take_back(cancellation(&self.id)).await;
    }
}

/// The call as its tool gets it: `message` with the arguments that the warrant puts in the place of those it is good for, which the headers of its link to `upstream` repeat. `None`
/// where it is good for others.
pub(super) fn as_warranted(message: Bytes, warrant: &Warrant, upstream: &Upstream) -> Option<Bytes> {
    let Some(sent) = warrant.sent() else { return Some(message) };
    let envelope = Envelope::parse(message, &ReadLimits::REQUEST).ok()?;
    let arguments =
        param(&envelope, "arguments").filter(|arguments| sha256_hex(arguments.bytes()) == warrant.args_sha256())?;
    let mut splice = Splice::new(envelope.bytes());
    splice.replace(arguments, Raw::parse(sent, &ReadLimits::REQUEST).ok()?).ok()?;
    upstream.repeat(&turned(arguments.bytes(), sent));
    splice.finish().ok()
}

/// The texts of arguments that are others for the tool, each with what it is there: only tokens in texts turned back, so both have the same shape.
fn turned(arguments: &[u8], sent: &[u8]) -> BTreeMap<String, String> {
    fn walk(from: Value, to: Value, turned: &mut BTreeMap<String, String>) {
        match (from, to) {
            (Value::Array(from), Value::Array(to)) => {
                from.into_iter().zip(to).for_each(|(from, to)| walk(from, to, turned));
            }
            (Value::Object(from), Value::Object(mut to)) => {
                for (name, from) in from {
                    let to = to.remove(&name).unwrap_or_default();
                    walk(from, to, turned);
                }
            }
            (Value::String(from), Value::String(to)) if from != to => drop(turned.insert(from, to)),
            _ => {}
        }
    }
    let mut turned = BTreeMap::new();
    if let (Ok(from), Ok(to)) = (serde_json::from_slice(arguments), serde_json::from_slice(sent)) {
        walk(from, to, &mut turned);
    }
    turned
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
    async fn execute(&mut self, warrant: Warrant) -> Execution {
        let (Some(answer), true) = (self.answer.take(), self.call == Some(warrant.call())) else {
            return Execution::Ended(Outcome::without_answer(Status::NotExecuted, Reason::EvaluationFailed));
        };
        let address = self.related.as_ref().map_or(Address::Unsolicited, Address::Related);
        if self.downstream.deliver(address, std::mem::take(&mut self.message)).await.is_err() {
            return Execution::Ended(Outcome::without_answer(Status::NotExecuted, Reason::ConnectionLost));
        }
        let gone = |_| UpstreamFault::Lost("the agent's client is gone".to_owned());
        Execution::Ended(outcome(answer.await.map_err(gone)))
    }

    async fn cancel(&mut self) {}
}

/// Reads an answer, or its absence, as an outcome. A result that says `isError` is a tool's own error; an error response is the protocol's.
pub(super) fn outcome(answer: Result<Envelope, UpstreamFault>) -> Outcome {
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
    let payload = Some(envelope.bytes().clone());
    Outcome { examined: None, external_reference: None, payload, reason, reported: None, result, status }
}

/// Reads an answer that says that the upstream made a task of the call (CreateTaskResult).
fn created(answer: &Envelope) -> Option<(String, Created)> {
    let result = answer.result()?;
    let id = result.at(&["task", "taskId"])?.text()?.into_owned();
    Some((id, Created { payload: answer.bytes().clone(), result: answer.share(result) }))
}

/// The notification that takes a request back.
pub(super) fn cancellation(id: &RawId) -> Bytes {
    let id = id.as_integer().map_or_else(|| Value::from(id.as_text().unwrap_or_default()), Value::from);
    let params =
        Map::from_iter([("requestId".to_owned(), id), ("reason".to_owned(), Value::from("taken back by the client"))]);
    author::notification("notifications/cancelled", Some(&params))
}
