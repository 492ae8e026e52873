//! Streams of notifications that a client asks for (MCP revision 2026-07-28, `subscriptions/listen`).
//!
//! One is a governed call that lasts as long as both sides want: what it asks for is thinned to what the mission shows and to tasks of the run, decided and recorded before
//! the server hears of it, and its end is the call's. Like a task it is not timed.

use std::sync::Arc;

use bytes::Bytes;
use governance::call::{Refusal, Reply, Warrant};
use governance::decide::SUBSCRIBING;
use governance::evidence::ids::CallId;
use governance::evidence::record::{Context, Endpoint, Status};
use governance::execute::{Created, Execution, Outcome};
use governance::intercept::Intercepted;
use governance::reason::Reason;
use tokio::sync::oneshot;

use super::execute::{cancellation, outcome};
use super::intercept::{param, trace};
use super::stateless::internal;
use super::{AgentSession, answered};
use crate::govern::{Execute, Session};
use crate::limits::ReadLimits;
use crate::mcp::claims::Claims;
use crate::mcp::codec::{Envelope, Raw, RawId, Splice, SpliceError, author};
use crate::mcp::downstream::{Downstream, Message};
use crate::mcp::era::Era;
use crate::mcp::upstream::{Upstream, UpstreamFault};

impl<S: Session, D: Downstream> AgentSession<S, D> {
    /// Opens a stream of notifications, and gives its answer, which is its end; `None` where one side ended it.
    pub(super) async fn subscribe(
        &self,
        id: &RawId,
        envelope: &Envelope,
        claims: &Claims<'_>,
        context: Arc<Context>,
        cancelled: oneshot::Receiver<()>,
    ) -> Option<Message> {
        let message = match self.thinned_subscription(envelope, claims) {
            Ok(message) => message,
            Err(error) => return Some(internal(id, &error).into()),
        };
        // What we have cut from a message that was read is one that can be read.
        let Ok(sent) = Envelope::parse(message.clone(), &ReadLimits::REQUEST) else {
            let text = "the request could not be rewritten";
            return Some(author::error_reply(Some(id), author::INTERNAL_ERROR, text, None).into());
        };
        let filter = param(&sent, "notifications").map(|filter| sent.share(filter)).unwrap_or_default();
        let call = self.session.call_id();
        let tool = self.tool(Endpoint::Request, SUBSCRIBING);
        let intercepted = Intercepted::new(call, context, tool, filter, trace(envelope));
        let upstream = self.upstream.clone();
        let execute = Subscribe { call, cancelled: Some(cancelled), id: id.clone(), message, upstream };
        // What takes the request back ends the stream, and the stream says so.
        let (_never, mut taken_back) = oneshot::channel();
        let answer = self.session.govern(intercepted, execute, &mut taken_back).await?;
        match answer.reply {
            Reply::Failed(Refusal { reason: Reason::SubscriptionEnded, .. }, _) => None,
            _ => answered(Era::Stateless, id, false, call, answer),
        }
    }

    /// The request without resources that the mission does not show and tasks that are not of this run.
    fn thinned_subscription(&self, envelope: &Envelope, claims: &Claims<'_>) -> Result<Bytes, SpliceError> {
        let mut splice = Splice::new(envelope.bytes());
        self.narrow(&mut splice, claims)?;
        let wanted = |kind| param(envelope, "notifications").and_then(|filter| filter.at(&[kind])).and_then(Raw::array);
        if let Some(tasks) = wanted("taskIds") {
            splice.retain_elements(tasks, |task| task.text().is_some_and(|task| self.tasks.knows(&task)))?;
        }
        if let Some(watched) = wanted("resourceSubscriptions") {
            splice.retain_elements(watched, |uri| {
                let uri = uri.text().unwrap_or_default();
                self.session.policy().shows(&self.tool(Endpoint::Resource, &uri))
            })?;
        }
        splice.finish()
    }
}

/// A stream of notifications, to be opened at its upstream.
struct Subscribe {
    call: CallId,
    cancelled: Option<oneshot::Receiver<()>>,
    id: RawId,
    message: Bytes,
    upstream: Arc<Upstream>,
}

impl Execute for Subscribe {
    async fn execute(&mut self, warrant: Warrant) -> Execution {
        if warrant.call() != self.call {
            return Execution::Ended(Outcome::without_answer(Status::NotExecuted, Reason::EvaluationFailed));
        }
        // It begins here, and the rest is its end. The agent hears of its beginning from the server.
        Execution::Task(Created { payload: Bytes::new(), result: Bytes::new() })
    }

    async fn follow(&mut self, _reply: Reply) -> Outcome {
        let ended = |reason| Outcome::without_answer(Status::Cancelled, reason);
        let Some(mut cancelled) = self.cancelled.take() else { return ended(Reason::EvaluationFailed) };
        let answer = tokio::select! {
            biased;
            Ok(()) = &mut cancelled => {
                self.upstream.take_back(cancellation(&self.id)).await;
                return ended(Reason::SubscriptionEnded);
            }
            answer = self.upstream.request(&self.id, std::mem::take(&mut self.message)) => answer,
        };
        match answer {
            // Nothing was done that anybody would have to look for.
            Err(UpstreamFault::Lost(_)) => ended(Reason::ConnectionLost),
            answer => outcome(answer),
        }
    }

    async fn cancel(&mut self) {}
}
