//! Requests of the stateless era (MCP revision 2026-07-28): each says who sends it and what it speaks, and is answered on its own.
//!
//! What an upstream may learn and ask is narrowed as a handshake narrows it, request by request. Calls may take several rounds ([`super::round`]).

use bytes::Bytes;
use governance::decide::Feature;
use governance::evidence::record::{Channel, Endpoint};
use tokio::sync::oneshot;

use super::handshake::OFFERS;
use super::intercept::{Call, Housekeeping, Meaning, param};
use super::lists::List;
use super::round::Carried;
use super::tasks_alone::{declares_tasks, undeclared};
use super::{AgentSession, DENIED, Exchange, FAILED, upstream_failed};
use crate::govern::Session;
use crate::limits::ReadLimits;
use crate::mcp::claims::Claims;
use crate::mcp::codec::{Envelope, Raw, RawId, Splice, SpliceError, author};
use crate::mcp::downstream::{Downstream, Message};
use crate::mcp::era::{Era, Revision};

/// The extension for tasks.
pub(super) const TASKS: &str = "io.modelcontextprotocol/tasks";

impl<S: Session, D: Downstream> AgentSession<S, D> {
    /// Works on a request that stands alone, and gives its answer; `None` when the client took it back.
    pub(super) async fn answer_alone(
        &self,
        id: &RawId,
        envelope: &Envelope,
        claims: Claims<'_>,
        cancelled: oneshot::Receiver<()>,
    ) -> Option<Message> {
        self.speaks_without_handshake();
        let meaning = self.meaning(envelope, Era::Stateless);
        if meaning == Meaning::Housekeeping(Housekeeping::Discovery) {
            return self.discover(id, envelope, claims, cancelled).await.map(Message::from);
        }
        if let Meaning::Removed = meaning {
            return Some(not_found(id, envelope, claims.revision).into());
        }
        let context = match self.client(envelope, &claims).await {
            Ok(context) => context,
            Err(refusal) => return Some(refusal.into()),
        };
        let answer = match meaning {
            Meaning::Call(call) if self.session.policy().is_own(&call.tool) => {
                return Box::pin(self.govern_own((Era::Stateless, id), envelope, context, call, cancelled)).await;
            }
            Meaning::Call(call) if is_about_foreign_task(&call) && !declares_tasks(&claims) => Some(undeclared(id)),
            Meaning::Call(call) => return self.govern_round(id, envelope, &claims, context, call, cancelled).await,
            Meaning::Housekeeping(Housekeeping::List(list)) => {
                Some(match self.ask(id, envelope, &claims, cancelled).await? {
                    Ok(response) => self.list_alone(id, envelope, &response, list).await,
                    Err(refusal) => refusal,
                })
            }
            Meaning::Housekeeping(Housekeeping::Subscription) => {
                return Box::pin(self.subscribe(id, envelope, &claims, context, cancelled)).await;
            }
            Meaning::Malformed(what) => Some(author::error_reply(Some(id), author::INVALID_PARAMS, &what, None)),
            Meaning::Housekeeping(Housekeeping::Plain) => {
                Some(match self.ask(id, envelope, &claims, cancelled).await? {
                    Ok(response) => self.aside(id, envelope, &response).await,
                    Err(refusal) => refusal,
                })
            }
            // Boxed, as are other rare ways: every request would carry the room for them.
            Meaning::Housekeeping(Housekeeping::Parked(about, parked)) => {
                return Box::pin(self.about_parked(id, envelope, &claims, context, (about, parked), cancelled)).await;
            }
            Meaning::Housekeeping(Housekeeping::TaskState(task)) => {
                return Box::pin(self.task_state(id, envelope, &claims, &task, cancelled)).await;
            }
            Meaning::Housekeeping(Housekeeping::TaskCancel(task)) => {
                Box::pin(self.task_cancel(id, envelope, &claims, &task, cancelled)).await
            }
            Meaning::Housekeeping(Housekeeping::TaskUpdate(task)) => {
                return match self.tasks.attempt_again(&task) {
                    Some(origin) => Box::pin(self.task_update(id, envelope, &claims, (task, origin), cancelled)).await,
                    None => {
                        let call = self.request_call(envelope);
                        Box::pin(self.govern_round(id, envelope, &claims, context, call, cancelled)).await
                    }
                };
            }
            Meaning::Removed
            | Meaning::TaskCall(_)
            | Meaning::Housekeeping(
                Housekeeping::Discovery
                | Housekeeping::Handshake
                | Housekeeping::TaskResult(_)
                | Housekeeping::TaskStatus,
            ) => Some(not_found(id, envelope, claims.revision)),
        };
        answer.map(Message::from)
    }

    /// Who sends this; recorded before anything is done for them.
    async fn client(
        &self,
        envelope: &Envelope,
        claims: &Claims<'_>,
    ) -> Result<std::sync::Arc<governance::evidence::record::Context>, Bytes> {
        let context = self.clients.context(&*self.session, claims, || self.channel_alone(claims)).await;
        context.map_err(|refusal| {
            let text = format!("denied ({}): {}", refusal.reason, refusal.sentence);
            author::error_reply(envelope.id(), DENIED, &text, None)
        })
    }

    fn channel_alone(&self, claims: &Claims<'_>) -> Channel {
        self.channel(claims.info, claims.revision)
    }

    /// Forwards the question what the server is, and takes from the answer what is not offered here. Only a server that speaks this era makes its client one of it.
    async fn discover(
        &self,
        id: &RawId,
        envelope: &Envelope,
        claims: Claims<'_>,
        cancelled: oneshot::Receiver<()>,
    ) -> Option<Bytes> {
        let response = match self.ask(id, envelope, &claims, cancelled).await? {
            Ok(response) => response,
            Err(refusal) => return Some(refusal),
        };
        let Some(result) = response.result() else { return Some(self.aside(id, envelope, &response).await) };
        if let Err(refusal) = self.client(envelope, &claims).await {
            return Some(refusal);
        }
        let narrowed = narrowed_discovery(&response, result, self.session.policy().mission().has_gates());
        Some(match narrowed.and_then(|bytes| private_if_changed(&response, bytes)) {
            Ok(bytes) => self.changed_aside(id, envelope, bytes).await,
            Err(error) => internal(id, &error),
        })
    }

    async fn list_alone(&self, id: &RawId, request: &Envelope, response: &Envelope, list: List) -> Bytes {
        self.listed(id, request, response, list, |bytes| private_if_changed(response, bytes)).await
    }

    /// Sends a request of housekeeping; `None` when the client took it back, `Err` with what the client is told where there is no result to look at.
    pub(super) async fn ask(
        &self,
        id: &RawId,
        envelope: &Envelope,
        claims: &Claims<'_>,
        cancelled: oneshot::Receiver<()>,
    ) -> Option<Result<Envelope, Bytes>> {
        let message = match self.narrowed_alone(envelope, claims, Carried::Nothing) {
            Ok(message) => message,
            Err(error) => return Some(Err(internal(id, &error))),
        };
        match self.exchange(id, message, cancelled).await {
            Exchange::Answered(response) if is_input_required(&response) => {
                self.upstream_misbehaved("asked for input where it may not");
                let text = "the upstream asks for input on a request that has no rounds";
                Some(Err(author::error_reply(Some(id), FAILED, text, None)))
            }
            Exchange::Answered(response) => Some(Ok(response)),
            Exchange::Cancelled => None,
            Exchange::Failed(fault) => Some(Err(upstream_failed(id, &fault))),
        }
    }

    /// A request with fewer capabilities, with the upstream's own state in the place of ours, and without answers that nobody asked for.
    pub(super) fn narrowed_alone(
        &self,
        envelope: &Envelope,
        claims: &Claims<'_>,
        carried: Carried<'_>,
    ) -> Result<Bytes, SpliceError> {
        let mut splice = Splice::new(envelope.bytes());
        self.narrow(&mut splice, claims)?;
        let params = envelope.params().and_then(Raw::object);
        match (carried, params, param(envelope, "requestState")) {
            (Carried::Ours { own: Some(own) }, _, Some(state)) => drop(splice.replace(state, own)?),
            (Carried::Ours { own: None }, Some(params), Some(_)) => drop(splice.remove_member(params, "requestState")?),
            (Carried::Unasked, Some(params), _) => drop(splice.remove_member(params, "inputResponses")?),
            (Carried::Nothing | Carried::Ours { .. } | Carried::Unasked, _, _) => {}
        }
        splice.finish()
    }

    /// Takes from a request the capabilities that let an upstream ask what the mission does not name.
    pub(super) fn narrow(&self, splice: &mut Splice<'_>, claims: &Claims<'_>) -> Result<(), SpliceError> {
        splice.retain_members(claims.capabilities, |name, _| {
            OFFERS.iter().all(|(offer, feature)| name != *offer || self.offers(*feature))
        })?;
        Ok(())
    }
}

/// Whether this asks about a task that no call of this run became: those of its own are no calls.
fn is_about_foreign_task(call: &Call) -> bool {
    call.tool.endpoint == Endpoint::Request && matches!(&*call.tool.name, "tasks/cancel" | "tasks/get" | "tasks/update")
}

/// The features whose requests may stand in an answer that asks for input.
pub(super) const INPUTS: [(&str, Feature); 3] = [
    ("elicitation/create", Feature::Elicitation),
    ("roots/list", Feature::Roots),
    ("sampling/createMessage", Feature::Sampling),
];

/// Whether an answer asks for input before the request goes on.
pub(super) fn is_input_required(response: &Envelope) -> bool {
    is_kind(response, "input_required")
}

/// Whether an answer says that it is this kind of result.
pub(super) fn is_kind(response: &Envelope, kind: &str) -> bool {
    response.result().and_then(|result| result.at(&["resultType"])).is_some_and(|said| said.is_text(kind))
}

/// Whether an answer says that it is a kind of result that only an extension has: it is not governed here, and no request agreed to it.
pub(super) fn is_of_unknown_kind(response: &Envelope) -> bool {
    let kind = response.result().and_then(|result| result.at(&["resultType"]));
    kind.is_some_and(|kind| !kind.is_text("complete") && !kind.is_text("input_required"))
}

/// What the server is, without revisions that are not spoken here, and with what is offered beside it.
fn narrowed_discovery(response: &Envelope, result: Raw<'_>, has_gates: bool) -> Result<Bytes, SpliceError> {
    let mut splice = Splice::new(response.bytes());
    if has_gates {
        offer_tasks(&mut splice, result)?;
    }
    if let Some(revisions) = result.at(&["supportedVersions"]).and_then(Raw::array) {
        splice.retain_elements(revisions, |name| name.text().is_some_and(|name| Revision::parse(&name).is_some()))?;
    }
    splice.finish()
}

/// Offers the extension for tasks: calls may wait for people as tasks of ours.
fn offer_tasks(splice: &mut Splice<'_>, result: Raw<'_>) -> Result<(), SpliceError> {
    let Some(capabilities) = result.at(&["capabilities"]).and_then(Raw::object) else { return Ok(()) };
    let (place, name, text) = match capabilities.member("extensions").and_then(Raw::object) {
        Some(extensions) if extensions.member(TASKS).is_some() => return Ok(()),
        Some(extensions) => (extensions, TASKS, "{}".to_owned()),
        None => (capabilities, "extensions", format!(r#"{{"{TASKS}":{{}}}}"#)),
    };
    if let Ok(offer) = Raw::parse(text.as_bytes(), &ReadLimits::RESPONSE) {
        splice.set_member(place, name, offer)?;
    }
    Ok(())
}

/// An answer that was changed for this mission is nobody else's, and is not kept: the mission may change.
fn private_if_changed(response: &Envelope, changed: Bytes) -> Result<Bytes, SpliceError> {
    if changed == response.bytes() {
        return Ok(changed);
    }
    let mut bytes = changed;
    for (name, value) in [("cacheScope", r#""private""#), ("ttlMs", "0")] {
        // What we have cut from a message that was read is one that can be read.
        let Ok(envelope) = Envelope::parse(bytes.clone(), &ReadLimits::RESPONSE) else { return Ok(bytes) };
        let (Some(result), Ok(value)) =
            (envelope.result().and_then(Raw::object), Raw::parse(value.as_bytes(), &ReadLimits::RESPONSE))
        else {
            return Ok(bytes);
        };
        let mut splice = Splice::new(envelope.bytes());
        splice.set_member(result, name, value)?;
        bytes = splice.finish()?;
    }
    Ok(bytes)
}

fn not_found(id: &RawId, envelope: &Envelope, revision: Revision) -> Bytes {
    let method: String =
        envelope.method().unwrap_or_default().chars().take(crate::limits::REVISION_CHARS_MAX).collect();
    author::error_reply(
        Some(id),
        author::METHOD_NOT_FOUND,
        &format!("method not found: revision {revision} has no `{method}`"),
        None,
    )
}

pub(super) fn internal(id: &RawId, error: &SpliceError) -> Bytes {
    author::error_reply(Some(id), author::INTERNAL_ERROR, &error.to_string(), None)
}
