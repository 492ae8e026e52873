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
use tokio::sync::{Notify, oneshot};

use super::execute::{cancellation, outcome};
use super::intercept::{param, trace};
use super::parked::Watch;
use super::stateless::internal;
use super::tasks_alone::{declares_tasks, undeclared};
use super::{AgentSession, Watched, answered};
use crate::govern::{Execute, Session};
use crate::limits::ReadLimits;
use crate::mcp::claims::Claims;
use crate::mcp::codec::{Envelope, Raw, RawId, Splice, SpliceError, author};
use crate::mcp::downstream::{Downstream, Message};
use crate::mcp::era::Era;
use crate::mcp::upstream::{Upstream, UpstreamFault};
use crate::parked::ParkedId;

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
        let parked = self.watched(param(envelope, "notifications"));
        if !parked.is_empty() && !declares_tasks(claims) {
            return Some(undeclared(id).into());
        }
        let is_ours = |task: &str| ParkedId::parse(task).is_some_and(|task| parked.contains(&task));
        let wanted = self.thinned_subscription(envelope, claims, |task| is_ours(task) || self.tasks.knows(task));
        let message = self.thinned_subscription(envelope, claims, |task| self.tasks.knows(task));
        let (wanted, message) = match (wanted, message) {
            (Ok(wanted), Ok(message)) => (wanted, message),
            (Err(error), _) | (_, Err(error)) => return Some(internal(id, &error).into()),
        };
        // What we have cut from a message that was read is one that can be read.
        let parse = |message: &Bytes| Envelope::parse(message.clone(), &ReadLimits::REQUEST);
        let (Ok(wanted), Ok(sent)) = (parse(&wanted), parse(&message)) else {
            let text = "the request could not be rewritten";
            return Some(author::error_reply(Some(id), author::INTERNAL_ERROR, text, None).into());
        };
        let filter = param(&wanted, "notifications").map(|filter| wanted.share(filter)).unwrap_or_default();
        let call = self.session.call_id();
        let tool = self.tool(Endpoint::Request, SUBSCRIBING);
        let intercepted = Intercepted::new(call, context.clone(), tool, filter, trace(envelope));
        let upstream = (parked.is_empty() || asks_for_more(&sent)).then(|| self.upstream.clone());
        let own = match parked.is_empty() {
            true => None,
            false => {
                let begun = Arc::new(Notify::new());
                if let Some(flight) = self.state().in_flight.get_mut(id) {
                    flight.watched = Some(Watched { begun: begun.clone(), parked: parked.as_slice().into() });
                }
                Some((begun, self.watch(id, &context, &parked).await))
            }
        };
        let execute = Subscribe { call, cancelled: Some(cancelled), id: id.clone(), message, own, upstream };
        // What takes the request back ends the stream, and the stream says so.
        let (_never, mut taken_back) = oneshot::channel();
        let answer = self.session.govern(intercepted, execute, &mut taken_back).await?;
        match answer.reply {
            Reply::Failed(Refusal { reason: Reason::SubscriptionEnded, .. }, _) => None,
            _ => answered(Era::Stateless, id, false, call, answer),
        }
    }

    /// The request without resources that the mission does not show and tasks that are not `known`.
    fn thinned_subscription(
        &self,
        envelope: &Envelope,
        claims: &Claims<'_>,
        known: impl Fn(&str) -> bool,
    ) -> Result<Bytes, SpliceError> {
        let mut splice = Splice::new(envelope.bytes());
        self.narrow(&mut splice, claims)?;
        let wanted = |kind| param(envelope, "notifications").and_then(|filter| filter.at(&[kind])).and_then(Raw::array);
        if let Some(tasks) = wanted("taskIds") {
            splice.retain_elements(tasks, |task| task.text().is_some_and(|task| known(&task)))?;
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

/// Whether a subscription without tasks of ours still asks its server for something.
fn asks_for_more(sent: &Envelope) -> bool {
    let Some(filter) = param(sent, "notifications").and_then(Raw::object) else { return false };
    filter.members().any(|wanted| match wanted.value.array() {
        Some(listed) => listed.elements().next().is_some(),
        None => wanted.value.boolean() != Some(false),
    })
}

/// A stream of notifications, to be opened at its upstream.
struct Subscribe<S, D> {
    call: CallId,
    cancelled: Option<oneshot::Receiver<()>>,
    id: RawId,
    message: Bytes,
    /// Tasks of ours that it tells of, and what fires once it has begun.
    own: Option<(Arc<Notify>, Watch<S, D>)>,
    /// `None` where it asks its server for nothing.
    upstream: Option<Arc<Upstream>>,
}

impl<S: Session, D: Downstream> Execute for Subscribe<S, D> {
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
        let (own, upstream) = (self.own.take(), self.upstream.clone());
        let message = std::mem::take(&mut self.message);
        let at_upstream = async {
            match &upstream {
                Some(upstream) => upstream.request(&self.id, message).await,
                None => std::future::pending().await,
            }
        };
        let of_ours = async {
            let Some((begun, watch)) = own else { return std::future::pending().await };
            match &upstream {
                Some(_) => begun.notified().await,
                None => watch.acknowledge().await,
            }
            watch.run().await;
            if upstream.is_some() {
                // The server's end is the end.
                std::future::pending::<()>().await;
            }
        };
        let answer = tokio::select! {
            biased;
            Ok(()) = &mut cancelled => {
                if let Some(upstream) = &upstream {
                    upstream.take_back(cancellation(&self.id)).await;
                }
                return ended(Reason::SubscriptionEnded);
            }
            answer = at_upstream => answer,
            () = of_ours => return ended(Reason::SubscriptionEnded),
        };
        match answer {
            // Nothing was done that anybody would have to look for.
            Err(UpstreamFault::Lost(_)) => ended(Reason::ConnectionLost),
            answer => outcome(answer),
        }
    }

    async fn cancel(&mut self) {}
}
