//! What the upstream sends by itself: notifications of the protocol pass, its requests are governed calls, everything else stops here.

use std::sync::Arc;

use bytes::Bytes;
use governance::decide::Feature;
use governance::evidence::record::Endpoint;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::execute::AskAgent;
use super::intercept::{param, text_param};
use super::parked::acknowledged;
use super::{AgentSession, InFlight, Phase, Watched};
use crate::govern::{Misbehaviour, Session};
use crate::limits::{ReadLimits, UPSTREAM_REQUESTS_MAX};
use crate::mcp::codec::{Envelope, EnvelopeKind, Raw, RawId, Splice, author};
use crate::mcp::downstream::{Address, Downstream, Message};
use crate::mcp::upstream::{Arrived, Incoming, IncomingQueue, SUBSCRIPTION};

impl<S: Session, D: Downstream> AgentSession<S, D> {
    /// Takes what the upstream sends by itself until the upstream ends. Questions wait for their answers beside the queue, so that notifications go on.
    pub async fn listen(self: Arc<Self>, mut queue: IncomingQueue) {
        let mut questions = JoinSet::new();
        while let Some(arrived) = queue.recv().await {
            while questions.try_join_next().is_some() {}
            let incoming = match arrived {
                Arrived::Message(incoming) => incoming,
                Arrived::Unreadable(why) => {
                    self.upstream_misbehaved(&format!("sent what is no message: {why}"));
                    continue;
                }
            };
            match incoming.envelope.kind() {
                EnvelopeKind::Request { .. } => {
                    // An upstream that asks without reading what it is answered would leave one more here with every message.
                    while questions.len() >= UPSTREAM_REQUESTS_MAX && questions.join_next().await.is_some() {}
                    let session = self.clone();
                    questions.spawn(async move { session.asked_by_upstream(incoming).await });
                }
                EnvelopeKind::Notification { .. } => self.notified_by_upstream(incoming).await,
                EnvelopeKind::Response { .. } | EnvelopeKind::ErrorResponse { .. } => {
                    self.upstream_misbehaved("answered a request that nobody sent")
                }
            }
        }
        // Nobody waits for these answers any more, and each question is a call that must end in its record.
        self.state().asked.clear();
        while questions.join_next().await.is_some() {}
    }

    /// A request of the upstream: `ping` passes, everything else is governed.
    async fn asked_by_upstream(&self, incoming: Incoming) {
        let Incoming { envelope, related } = incoming;
        let Some(id) = envelope.id().cloned() else { return };
        if self.phase() == Phase::Stateless {
            // Here a server has no requests: it asks within its answers.
            self.upstream_misbehaved("asked something of its own accord");
            let text = "servers of this revision send no requests; ask with `input_required`";
            let _fault = self.upstream.send(author::error_reply(Some(&id), author::INVALID_REQUEST, text, None)).await;
            return;
        }
        if envelope.method() == Some("ping") {
            let _fault = self.upstream.send(author::empty_reply(&id)).await;
            return;
        }
        let related = related.map(|id| self.heard_under(id));
        let question = without_task(&envelope);
        let ask = {
            let mut state = self.state();
            if state.asked.contains_key(&id) || !Self::may_ask(&state) {
                None
            } else {
                Some(AskAgent::register(&mut state, &id, self.downstream.clone(), question, related))
            }
        };
        let answer = match ask {
            Some(ask) => {
                // The upstream's own cancellation passes as a notification; nobody fires this one.
                let (_never, cancelled) = oneshot::channel();
                self.govern_question(&id, &envelope, ask, cancelled).await
            }
            None => {
                self.upstream_misbehaved("asked too much at once, or twice under one id");
                Some(author::error_reply(
                    Some(&id),
                    author::INVALID_REQUEST,
                    "too many open questions, or an id in use",
                    None,
                ))
            }
        };
        self.state().asked.remove(&id);
        if let Some(answer) = answer
            && let Err(fault) = self.upstream.send(answer).await
        {
            tracing::debug!(%fault, "answer to the upstream was not sent");
        }
    }

    async fn notified_by_upstream(&self, incoming: Incoming) {
        let Incoming { envelope, related } = incoming;
        let mut message = Message::from(envelope.bytes().clone());
        let mut begun = None;
        let related = match envelope.method().unwrap_or_default() {
            "notifications/tasks" if self.phase() == Phase::Stateless => match self.task_notice(&envelope).await {
                Some(told) => {
                    message = told;
                    related
                }
                None => return tracing::debug!("dropped a notification about a task"),
            },
            "notifications/progress" => match self.in_progress(&envelope) {
                Some(id) => Some(id),
                None if self.is_task_progress(&envelope) => None,
                None => return self.upstream_misbehaved("reported progress on a request that is not in flight"),
            },
            "notifications/message"
            | "notifications/prompts/list_changed"
            | "notifications/resources/list_changed"
            | "notifications/tools/list_changed" => related,
            "notifications/resources/updated" if self.watches(&envelope) => related,
            "notifications/cancelled" if self.takes_back_a_question(&envelope) => related,
            "notifications/tasks/status" if self.is_about_own_task(&envelope) => related,
            // The first message of a stream of notifications, and what ends it where there is no stream to close.
            "notifications/subscriptions/acknowledged" => {
                if let Some(watched) = self.watched_by(&envelope) {
                    message.bytes = acknowledged(&envelope, &watched.parked).unwrap_or(message.bytes);
                    begun = Some(watched.begun);
                }
                related
            }
            "notifications/cancelled" if self.ends_a_subscription(&envelope) => related,
            "notifications/elicitation/complete" if self.offers(Feature::Elicitation) => related,
            method => return tracing::debug!(method, "dropped a notification of the upstream"),
        };
        let related = related.map(|id| self.heard_under(id));
        let address = related.as_ref().map_or(Address::Unsolicited, Address::Related);
        let method = envelope.method().unwrap_or_default();
        let told = if message.bytes == *envelope.bytes() {
            self.told(method, &envelope).await
        } else {
            // What we have changed is read again. What cannot be read stays here.
            match Envelope::parse(message.bytes.clone(), &ReadLimits::RESPONSE) {
                Ok(said) => self.told(method, &said).await,
                Err(_) => None,
            }
        };
        match told {
            Some(bytes) => drop(self.downstream.deliver(address, Message { bytes, ..message }).await),
            None => tracing::debug!("kept a notification of the upstream from the agent"),
        }
        if let Some(begun) = begun {
            begun.notify_one();
        }
    }

    /// What the subscription tells of itself that this message says has begun.
    fn watched_by(&self, envelope: &Envelope) -> Option<Watched> {
        let id = envelope.params()?.at(&["_meta", SUBSCRIPTION]).and_then(RawId::read)?;
        self.state().in_flight.get(&id)?.watched.clone()
    }

    /// The request in flight whose progress this is.
    fn in_progress(&self, envelope: &Envelope) -> Option<RawId> {
        let token = param(envelope, "progressToken").and_then(RawId::read)?;
        let state = self.state();
        let is_its = |flight: &InFlight| flight.progress_token.as_ref() == Some(&token);
        state.in_flight.iter().find(|(_, flight)| is_its(flight)).map(|(id, _)| id.clone())
    }

    /// Whether this is progress of a call that became a task, which goes on reporting under the call's token.
    fn is_task_progress(&self, envelope: &Envelope) -> bool {
        let token = param(envelope, "progressToken").and_then(RawId::read);
        token.is_some_and(|token| self.tasks.is_in_progress(&token))
    }

    /// Whether this is about a task that a call of this session became; takes note of what it says.
    fn is_about_own_task(&self, envelope: &Envelope) -> bool {
        let is_own = text_param(envelope, "taskId").is_some_and(|id| self.tasks.knows(&id));
        if let (true, Some(params)) = (is_own, envelope.params()) {
            self.tasks.note(params);
        }
        is_own
    }

    /// Whether this is about a resource that the agent watches and may see.
    fn watches(&self, envelope: &Envelope) -> bool {
        text_param(envelope, "uri").is_some_and(|uri| self.session.policy().shows(&self.tool(Endpoint::Resource, &uri)))
    }

    /// Whether this takes back a request that the upstream has open.
    fn takes_back_a_question(&self, envelope: &Envelope) -> bool {
        param(envelope, "requestId").and_then(RawId::read).is_some_and(|id| self.state().asked.contains_key(&id))
    }

    /// Whether this ends a stream of notifications; nothing more is waited for then.
    fn ends_a_subscription(&self, envelope: &Envelope) -> bool {
        let Some(id) = param(envelope, "requestId").and_then(RawId::read) else { return false };
        let cancel = match self.state().in_flight.get_mut(&id) {
            Some(flight) if flight.is_subscription => flight.cancel.take(),
            Some(_) | None => None,
        };
        cancel.is_some_and(|cancel| cancel.send(()).is_ok())
    }

    pub(super) fn upstream_misbehaved(&self, what: &str) {
        self.session.misbehaved(Misbehaviour { what: what.to_owned(), who: self.session.upstream() });
    }
}

/// A question without the wish that it be a task: no server was offered that, and the client would take it up because it offered it to us.
fn without_task(envelope: &Envelope) -> Bytes {
    let Some(params) = envelope.params().and_then(Raw::object).filter(|params| params.member("task").is_some()) else {
        return envelope.bytes().clone();
    };
    let mut splice = Splice::new(envelope.bytes());
    let removed = splice.remove_member(params, "task").map(|_| ());
    // What was read can be cut.
    removed.and_then(|()| splice.finish()).unwrap_or_else(|_| envelope.bytes().clone())
}
