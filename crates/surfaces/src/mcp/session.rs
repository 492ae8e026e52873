//! One agent's session at one upstream, message by message: what passes, what is governed, what is refused.
//!
//! Calls (tools, resources, prompts, and every request that is not part of the protocol's own housekeeping) go through [`Session::govern`] in both directions.
//! Original bytes are forwarded; only the handshake's capabilities and filtered lists are changed. Knows no transport: messages go out through
//! [`Downstream`] and [`Upstream`]. Start at [`AgentSession::receive`].

mod approval;
mod aside;
mod batch;
mod clients;
mod execute;
mod handshake;
mod held;
mod intercept;
mod lists;
mod parked;
mod round;
mod stateless;
mod subscribe;
mod tasks;
mod tasks_alone;
mod upward;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use governance::call::Reply;
use governance::decide::SUBSCRIBING;
use governance::evidence::ids::CallId;
use governance::evidence::record::Status;
use governance::reason::Reason;
use serde_json::json;
use tokio::sync::{Notify, oneshot};
use tokio::time::timeout;

pub use self::batch::{AdmittedBatch, carrier};
pub(super) use self::clients::Clients;
use self::intercept::{Housekeeping, Meaning};
pub(super) use self::tasks::Tasks;
use super::claims;
use super::codec::{Envelope, EnvelopeError, EnvelopeKind, Meant, RawId, author};
use super::downstream::{Address, Downstream, Message};
use super::era::{Era, OPENING, Revision};
use super::upstream::{Upstream, UpstreamFault};
use crate::govern::{Answered, Misbehaviour, Session};
use crate::limits::{ASKED_MAX, HANDSHAKE_MS, HOUSEKEEPING_MS, IN_FLIGHT_MAX};
use crate::parked::ParkedId;

/// Our code for a denied request; the protocol leaves -32000 to -32099 to implementations.
pub const DENIED: i64 = -32010;
/// Our code for a request that failed between the agent and the upstream.
pub const FAILED: i64 = -32011;

/// One agent's session at one upstream.
pub struct AgentSession<S, D> {
    clients: Arc<Clients>,
    downstream: Arc<D>,
    kept: Arc<held::Kept>,
    session: Arc<S>,
    state: Mutex<State>,
    tasks: Arc<Tasks>,
    patience: Patience,
    transport: &'static str,
    upstream: Arc<Upstream>,
}

/// How long a session waits for an upstream's answers to the protocol's own requests. Calls are timed by whoever governs them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// To `initialize`.
    pub handshake: Duration,
    /// To lists, `ping` and the like.
    pub housekeeping: Duration,
}

impl Patience {
    /// What is in force where nothing else is configured.
    pub const DEFAULT: Self =
        Self { handshake: Duration::from_millis(HANDSHAKE_MS), housekeeping: Duration::from_millis(HOUSEKEEPING_MS) };
}

/// What a session remembers between messages.
#[derive(Default)]
struct State {
    /// Requests of the upstream that the agent's client has not answered, by the upstream's id.
    asked: HashMap<RawId, oneshot::Sender<Envelope>>,
    /// Requests of the agent that are not answered yet.
    in_flight: HashMap<RawId, InFlight>,
    phase: Phase,
}

/// A request of the agent that is not answered yet.
struct InFlight {
    /// Fires when the client takes it back.
    cancel: Option<oneshot::Sender<()>>,
    /// The request under whose id the batch that it came in is answered.
    carrier: Option<RawId>,
    /// Whether it is a stream of notifications, which its server may end.
    is_subscription: bool,
    progress_token: Option<RawId>,
    /// Tasks of ours that a subscription tells of.
    watched: Option<Watched>,
}

/// What a subscription tells of itself, beside its server.
#[derive(Clone)]
struct Watched {
    /// Fires once the client knows that the subscription has begun.
    begun: Arc<Notify>,
    parked: Arc<[ParkedId]>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    AwaitHandshake,
    /// Requests have come that need no handshake; one may still follow.
    Stateless,
    Open(Revision),
}

/// A request that has taken its place among those in flight; [`AgentSession::answer`] must follow.
#[derive(Debug)]
#[must_use]
pub struct Admitted {
    cancelled: oneshot::Receiver<()>,
    envelope: Envelope,
    id: RawId,
}

/// What became of a message at once.
#[derive(Debug)]
pub enum Received {
    /// A request that now must be answered with [`AgentSession::answer`]: at once, or in a task of its own.
    Request(Box<Admitted>),
    /// Nothing is left to do.
    Taken,
}

impl<S: Session, D: Downstream> AgentSession<S, D> {
    /// Starts a session that waits for the handshake.
    pub fn new(session: Arc<S>, upstream: Arc<Upstream>, downstream: Arc<D>, transport: &'static str) -> Self {
        Self::of_clients((Arc::default(), Arc::default()), session, upstream, downstream, transport)
    }

    /// Starts a session whose clients and tasks may be known already.
    pub(super) fn of_clients(
        (clients, tasks): (Arc<Clients>, Arc<Tasks>),
        session: Arc<S>,
        upstream: Arc<Upstream>,
        downstream: Arc<D>,
        transport: &'static str,
    ) -> Self {
        Self {
            clients,
            downstream,
            kept: Arc::default(),
            session,
            state: Mutex::default(),
            tasks,
            patience: Patience::DEFAULT,
            transport,
            upstream,
        }
    }

    /// The same session with another patience.
    #[must_use]
    pub fn with_patience(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// The agent's side.
    pub const fn downstream(&self) -> &Arc<D> {
        &self.downstream
    }

    /// The upstream's side.
    pub const fn upstream(&self) -> &Arc<Upstream> {
        &self.upstream
    }

    /// What the gateway knows of the session.
    pub const fn session(&self) -> &Arc<S> {
        &self.session
    }

    /// Takes one message from the agent. Requests register before this returns, so that a cancellation which follows finds them.
    pub async fn receive(&self, envelope: Envelope) -> Received {
        match envelope.kind() {
            EnvelopeKind::Request { id, .. } => {
                let id = id.clone();
                match self.admit(id.clone(), envelope, None) {
                    Ok(admitted) => Received::Request(Box::new(admitted)),
                    Err(refusal) => {
                        // Not `Reply`: an answer under an id that is in flight would end the wrong stream.
                        let _gone = self.downstream.deliver(Address::Related(&id), refusal).await;
                        Received::Taken
                    }
                }
            }
            EnvelopeKind::Notification { .. } => {
                self.notified_by_agent(&envelope).await;
                Received::Taken
            }
            EnvelopeKind::Response { .. } | EnvelopeKind::ErrorResponse { .. } => {
                self.answered_by_agent(envelope);
                Received::Taken
            }
        }
    }

    /// Works on a request of the agent until it is answered.
    pub async fn answer(&self, admitted: Box<Admitted>) {
        let id = admitted.id.clone();
        let answer = self.work(*admitted).await;
        let address = if self.upstream.was_streamed(&id) { Address::StreamedReply(&id) } else { Address::Reply(&id) };
        if let Some(answer) = answer {
            let _gone = self.downstream.deliver(address, answer).await;
        }
    }

    /// Works on a request until there is an answer; `None` when the client took it back.
    async fn work(&self, admitted: Admitted) -> Option<Message> {
        let Admitted { cancelled, envelope, id } = admitted;
        let answer = match claims::read(&envelope) {
            // What a session has settled holds for all its requests.
            _ if self.revision().is_some() => self.answer_in_session(&id, &envelope, cancelled).await,
            Ok(None) => self.answer_in_session(&id, &envelope, cancelled).await,
            Ok(Some(claims)) => Box::pin(self.answer_alone(&id, &envelope, claims, cancelled)).await,
            Err(unfit) => Some(unfit.reply(&id).into()),
        };
        self.state().in_flight.remove(&id);
        answer
    }

    /// Works on a request that belongs to a session, and gives its answer; `None` when the client took it back.
    async fn answer_in_session(
        &self,
        id: &RawId,
        envelope: &Envelope,
        cancelled: oneshot::Receiver<()>,
    ) -> Option<Message> {
        let answer = match self.meaning(envelope, Era::Handshake) {
            _ if self.revision().is_none() && !may_precede_handshake(envelope) => Some(author::error_reply(
                Some(id),
                author::INVALID_REQUEST,
                "the session is not open: send `initialize` first",
                None,
            )),
            Meaning::Call(call) => return self.govern_call(id, envelope, call, cancelled).await,
            // Boxed, as are other rare ways: every request would carry the room for them.
            Meaning::TaskCall(call) => return Box::pin(self.govern_task(id, envelope, call, cancelled)).await,
            Meaning::Housekeeping(Housekeeping::Handshake) => Some(self.shake_hands(id, envelope).await),
            Meaning::Housekeeping(Housekeeping::List(list)) => self.list(id, envelope, list, cancelled).await,
            Meaning::Housekeeping(Housekeeping::Plain) => self.forward(id, envelope, cancelled).await,
            Meaning::Housekeeping(Housekeeping::TaskResult(task)) => {
                return Box::pin(self.task_result(id, envelope, &task, cancelled)).await;
            }
            Meaning::Housekeeping(Housekeeping::TaskStatus) => self.task_status(id, envelope, cancelled).await,
            Meaning::Malformed(what) => Some(author::error_reply(Some(id), author::INVALID_PARAMS, &what, None)),
            Meaning::Removed
            | Meaning::Housekeeping(
                Housekeeping::Discovery
                | Housekeeping::Parked(..)
                | Housekeeping::Subscription
                | Housekeeping::TaskCancel(_)
                | Housekeeping::TaskState(_)
                | Housekeeping::TaskUpdate(_),
            ) => Some(author::error_reply(Some(id), author::METHOD_NOT_FOUND, "method not found", None)),
        };
        answer.map(Message::from)
    }

    /// Leaves the calls that wait for people as tasks: whoever asks for them takes them up again.
    pub(super) fn leave_parked(&self) {
        self.tasks.leave_parked(&*self.session);
    }

    /// Resolves when nothing is executed that goes on without its client.
    pub(super) async fn kept_are_done(&self) {
        self.kept.are_done().await;
    }

    /// Takes a request back for a client that has left.
    pub(super) fn take_back(&self, id: &RawId) {
        let cancel = self.state().in_flight.get_mut(id).and_then(|flight| flight.cancel.take());
        if let Some(cancel) = cancel {
            // The receiver is gone only when the answer is on its way.
            let _answered = cancel.send(());
        }
    }

    /// Records a message of the agent that cannot be read; an answer to one of the upstream's questions fails the question.
    pub fn malformed_by_agent(&self, error: &EnvelopeError) {
        if let Meant::Response(id) = &error.meant {
            self.state().asked.remove(id);
        }
        self.session.misbehaved(Misbehaviour {
            what: format!("sent a message that cannot be read: {error}"),
            who: Arc::from("agent"),
        });
    }

    /// Records that the agent sent what is not even read as a message.
    pub fn unread_from_agent(&self, why: &dyn std::fmt::Display) {
        self.session
            .misbehaved(Misbehaviour { what: format!("sent what cannot be read: {why}"), who: Arc::from("agent") });
    }

    /// Gives a request its place among those in flight.
    fn admit(&self, id: RawId, envelope: Envelope, carrier: Option<RawId>) -> Result<Admitted, Bytes> {
        let mut state = self.state();
        if state.in_flight.len() >= IN_FLIGHT_MAX {
            let text = format!(
                "{IN_FLIGHT_MAX} requests of this session are unanswered; wait for answers before sending more"
            );
            return Err(author::error_reply(Some(&id), author::INVALID_REQUEST, &text, None));
        }
        if state.in_flight.contains_key(&id) {
            let text = format!("id {} belongs to a request that is not answered yet; use a new id", id.json());
            return Err(author::error_reply(Some(&id), author::INVALID_REQUEST, &text, None));
        }
        let (cancel, cancelled) = oneshot::channel();
        let progress_token =
            envelope.params().and_then(|params| params.at(&["_meta", "progressToken"])).and_then(RawId::read);
        let is_subscription = envelope.method() == Some(SUBSCRIBING);
        let flight = InFlight { cancel: Some(cancel), carrier, is_subscription, progress_token, watched: None };
        state.in_flight.insert(id.clone(), flight);
        Ok(Admitted { cancelled, envelope, id })
    }

    /// Sends a request on as it came and gives back the upstream's answer; `None` when the client took it back.
    async fn forward(&self, id: &RawId, envelope: &Envelope, cancelled: oneshot::Receiver<()>) -> Option<Bytes> {
        match self.exchange(id, envelope.bytes().clone(), cancelled).await {
            Exchange::Answered(response) => Some(self.aside(id, envelope, &response).await),
            Exchange::Cancelled => None,
            Exchange::Failed(fault) => Some(upstream_failed(id, &fault)),
        }
    }

    /// Sends a request of housekeeping and waits for its answer or its cancellation, but not for ever.
    async fn exchange(&self, id: &RawId, message: Bytes, cancelled: oneshot::Receiver<()>) -> Exchange {
        let exchange = Box::pin(self.exchange_at_leisure(id, message, cancelled));
        match timeout(self.patience.housekeeping, exchange).await {
            Ok(exchange) => exchange,
            Err(_elapsed) => {
                self.upstream.take_back(execute::cancellation(id)).await;
                self.upstream_misbehaved("did not answer a request of the protocol in time");
                Exchange::Failed(UpstreamFault::TimedOut)
            }
        }
    }

    /// Sends a request whose answer may take as long as the session, and waits for it or its cancellation.
    async fn exchange_at_leisure(&self, id: &RawId, message: Bytes, mut cancelled: oneshot::Receiver<()>) -> Exchange {
        tokio::select! {
            biased;
            response = self.upstream.request(id, message) => match response {
                Ok(response) => Exchange::Answered(response),
                Err(fault) => Exchange::Failed(fault),
            },
            Ok(()) = &mut cancelled => {
                self.upstream.take_back(execute::cancellation(id)).await;
                Exchange::Cancelled
            }
        }
    }

    /// A notification of the agent: only those of the protocol pass.
    async fn notified_by_agent(&self, envelope: &Envelope) {
        match envelope.method().unwrap_or_default() {
            "notifications/initialized" => {}
            "notifications/cancelled" => return self.cancelled_by_agent(envelope),
            "notifications/progress" if self.revision().is_some() => {}
            "notifications/roots/list_changed" if self.offers(governance::decide::Feature::Roots) => {}
            method => return tracing::debug!(method, "dropped a notification of the agent"),
        }
        if let Err(fault) = self.upstream.send(envelope.bytes().clone()).await {
            tracing::debug!(%fault, "notification was not sent");
        }
    }

    /// The agent takes a request back. The upstream hears of it from whoever waits for the answer, and only if it was sent.
    fn cancelled_by_agent(&self, envelope: &Envelope) {
        let id = envelope.params().and_then(|params| params.at(&["requestId"])).and_then(RawId::read);
        let cancel = id.and_then(|id| self.state().in_flight.get_mut(&id)?.cancel.take());
        match cancel {
            // The receiver is gone only when the answer is on its way.
            Some(cancel) => drop(cancel.send(())),
            None => tracing::debug!("dropped a cancellation of a request that is not in flight"),
        }
    }

    /// The agent's client answers a request of the upstream.
    fn answered_by_agent(&self, envelope: Envelope) {
        let waiting = envelope.id().and_then(|id| self.state().asked.remove(id));
        match waiting {
            Some(waiting) => drop(waiting.send(envelope)),
            None => self.session.misbehaved(Misbehaviour {
                what: "answered a request that nobody asked".to_owned(),
                who: Arc::from("agent"),
            }),
        }
    }

    /// The same execution, of which the client hears while the request `id` is held open.
    fn held<E>(&self, id: &RawId, execute: E) -> held::Held<E, D> {
        let token = self.state().in_flight.get(id).and_then(|flight| flight.progress_token.clone());
        held::Held::new(execute, self.downstream.clone(), self.heard_under(id.clone()), token, self.kept.clone())
    }

    /// The request under whose id the client hears of what belongs to the request `id`: its own, or that of its batch.
    fn heard_under(&self, id: RawId) -> RawId {
        let carrier = self.state().in_flight.get(&id).and_then(|flight| flight.carrier.clone());
        carrier.unwrap_or(id)
    }

    fn offers(&self, feature: governance::decide::Feature) -> bool {
        self.session.policy().offers(&self.session.upstream(), feature)
    }

    /// The revision that the handshake settled on; `None` before it has.
    pub fn revision(&self) -> Option<Revision> {
        match self.state().phase {
            Phase::AwaitHandshake | Phase::Stateless => None,
            Phase::Open(revision) => Some(revision),
        }
    }

    fn phase(&self) -> Phase {
        self.state().phase
    }

    /// Notes that the agent's client needs no handshake.
    fn speaks_without_handshake(&self) {
        let mut state = self.state();
        if state.phase == Phase::AwaitHandshake {
            state.phase = Phase::Stateless;
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // A panic while the lock was held cannot leave it half changed: every change is one map operation.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the upstream may ask the agent's client one thing more.
    fn may_ask(state: &State) -> bool {
        state.asked.len() < ASKED_MAX
    }
}

fn may_precede_handshake(envelope: &Envelope) -> bool {
    envelope.method().is_some_and(|method| method == OPENING || method == "ping")
}

enum Exchange {
    Answered(Envelope),
    Cancelled,
    Failed(UpstreamFault),
}

/// What the agent is told when housekeeping failed at the upstream.
fn upstream_failed(id: &RawId, fault: &UpstreamFault) -> Bytes {
    author::error_reply(Some(id), FAILED, &fault.to_string(), None)
}

/// The answer to a governed request, in the form that its era and its method have.
fn answered(
    era: Era,
    id: &RawId,
    is_tool: bool,
    call: CallId,
    Answered { receipt, reply }: Answered,
) -> Option<Message> {
    let bytes = match reply {
        Reply::Passed(payload) => payload,
        Reply::Pending(pending) => approval::pending(era, id, is_tool, call, &pending),
        Reply::Replayed(replayed) => approval::replayed(era, id, is_tool, call, &replayed),
        reply => refused_in(era, id, is_tool, &call.to_string(), &reply)?,
    };
    Some(Message { bytes, receipt })
}

/// A refusal: tools answer refusals as tool errors, which a model reads; everything else as errors. The stateless era says of every result which kind it is.
fn refused_in(era: Era, id: &RawId, is_tool: bool, call: &str, reply: &Reply) -> Option<Bytes> {
    let (code, verb, refusal, status) = match reply {
        Reply::Passed(_) | Reply::Pending(_) | Reply::Replayed(_) => return None,
        Reply::Denied(refusal) => (DENIED, "denied", refusal, Status::NotExecuted),
        Reply::Failed(refusal, status) => (FAILED, "failed", refusal, *status),
    };
    let mut text = format!("{verb} ({}): {}", refusal.reason, refusal.sentence);
    let mut data = json!({ "call": call, "outcome": verb, "reason": refusal.reason.code(), "status": status.as_str() });
    if let (Some(proposed), Some(data)) = (&refusal.proposed, data.as_object_mut()) {
        text = format!("{text}\n{proposed}");
        data.insert("proposed".to_owned(), (**proposed).into());
    }
    // What the protocol itself has a code for is told with it. A state that is refused breaks the protocol, which is no result of a tool.
    let breaks = refusal.reason == Reason::StateRefused;
    let code = match refusal.reason {
        Reason::StateRefused | Reason::TaskNotAllowed => author::INVALID_PARAMS,
        Reason::RequestNotAllowed => author::METHOD_NOT_FOUND,
        _ => code,
    };
    Some(if is_tool && !breaks {
        let mut result = json!({ "content": [{ "type": "text", "text": text }], "isError": true, "_meta": { "countersign.dev/refusal": data } });
        let result = result.as_object_mut()?;
        match era {
            Era::Handshake => {}
            Era::Stateless => drop(result.insert("resultType".to_owned(), "complete".into())),
        }
        author::result_reply(id, result)
    } else {
        author::error_reply(Some(id), code, &text, Some(&data))
    })
}
