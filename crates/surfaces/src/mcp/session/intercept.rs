//! What a request of the agent means: a call to govern, or housekeeping of the protocol. Decided on the body alone.

use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use governance::decide::{Feature, SUBSCRIBING};
use governance::evidence::record::{Context, Endpoint, Surface, Tool};
use governance::intercept::Intercepted;
use governance::reason::Reason;
use tokio::sync::oneshot;

use super::approval::ApprovalStatus;
use super::execute::{AskAgent, CallUpstream};
use super::lists::List;
use super::parked::About;
use super::{AgentSession, answered};
use crate::govern::Session;
use crate::mcp::codec::{Envelope, Raw, RawId};
use crate::mcp::downstream::{Downstream, Message};
use crate::mcp::era::{Era, OPENING, Revision};
use crate::parked::ParkedId;

/// What a request means.
#[derive(Debug, PartialEq)]
pub(super) enum Meaning {
    /// A call, to be governed.
    Call(Call),
    /// A call that the upstream may make a task of, to be governed.
    TaskCall(Call),
    /// A request that the protocol itself needs.
    Housekeeping(Housekeeping),
    /// Its parameters do not have the method's form; the text says what is wrong.
    Malformed(String),
    /// A method of the protocol that this era no longer has.
    Removed,
}

#[derive(Debug, PartialEq)]
pub(super) struct Call {
    /// The exact bytes that its digest covers.
    pub(super) arguments: Bytes,
    pub(super) tool: Tool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Housekeeping {
    /// What the server is, without a handshake.
    Discovery,
    Handshake,
    List(List),
    /// Is about a call of this run that waits, or has waited, for people as a task of ours.
    Parked(About, ParkedId),
    /// Passes as it is.
    Plain,
    /// A stream of notifications.
    Subscription,
    /// Takes this task back, which belongs to the run.
    TaskCancel(String),
    /// Asks for the result of this task, which belongs to the session.
    TaskResult(String),
    /// Asks about a task of the session, or takes it back.
    TaskStatus,
    /// Asks how this task stands, which belongs to the run.
    TaskState(String),
    /// Brings input to this task, which belongs to the run.
    TaskUpdate(String),
}

impl<S: Session, D: Downstream> AgentSession<S, D> {
    /// Reads the meaning that a request has in its era.
    pub(super) fn meaning(&self, envelope: &Envelope, era: Era) -> Meaning {
        let method = envelope.method().unwrap_or_default();
        match method {
            "tools/call" => self.tool_call(envelope, era),
            "resources/read" => self.resource_call(envelope, method),
            "prompts/get" => self.prompt_call(envelope),
            "completion/complete" => self.completion(envelope),
            "tools/list" => Meaning::Housekeeping(Housekeeping::List(List::Tools)),
            "resources/list" => Meaning::Housekeeping(Housekeeping::List(List::Resources)),
            "resources/templates/list" => Meaning::Housekeeping(Housekeeping::List(List::Templates)),
            "prompts/list" => Meaning::Housekeeping(Housekeeping::List(List::Prompts)),
            _ => match (era, method) {
                (Era::Handshake, "resources/subscribe") => self.resource_call(envelope, method),
                (Era::Handshake, "ping" | "logging/setLevel" | "resources/unsubscribe") => {
                    Meaning::Housekeeping(Housekeeping::Plain)
                }
                (Era::Handshake, "tasks/cancel" | "tasks/get" | "tasks/result")
                | (Era::Stateless, "tasks/cancel" | "tasks/get" | "tasks/update") => {
                    self.about_task(envelope, method, era)
                }
                (Era::Handshake, "tasks/list") => Meaning::Housekeeping(Housekeeping::List(List::Tasks)),
                (Era::Handshake, SUBSCRIBING) => Meaning::Removed,
                (Era::Handshake, OPENING) => Meaning::Housekeeping(Housekeeping::Handshake),
                (
                    Era::Stateless,
                    OPENING
                    | "ping"
                    | "logging/setLevel"
                    | "resources/subscribe"
                    | "resources/unsubscribe"
                    | "tasks/list"
                    | "tasks/result",
                ) => Meaning::Removed,
                (Era::Stateless, "server/discover") => Meaning::Housekeeping(Housekeeping::Discovery),
                (Era::Stateless, SUBSCRIBING) => Meaning::Housekeeping(Housekeeping::Subscription),
                (Era::Handshake | Era::Stateless, _) => Meaning::Call(self.request_call(envelope)),
            },
        }
    }

    fn tool_call(&self, envelope: &Envelope, era: Era) -> Meaning {
        let Some(name) = text_param(envelope, "name") else { return missing("tools/call", "name") };
        let arguments = match param(envelope, "arguments") {
            None => Bytes::new(),
            Some(arguments) if arguments.object().is_some() => envelope.share(arguments),
            Some(_) => return Meaning::Malformed("`arguments` must be an object".to_owned()),
        };
        let call = Call { arguments, tool: self.tool(Endpoint::Tool, &name) };
        let is_own = self.session.policy().is_own(&call.tool);
        match param(envelope, "task") {
            // In the era of no sessions the server decides what becomes a task, and the parameter means nothing.
            _ if era == Era::Stateless => Meaning::Call(call),
            None => Meaning::Call(call),
            Some(task) if task.object().is_none() => Meaning::Malformed("`task` must be an object".to_owned()),
            Some(_) if is_own => Meaning::Malformed("`task`: this tool answers at once; call it without".to_owned()),
            Some(_) if self.revision().is_some_and(Revision::has_tasks) => Meaning::TaskCall(call),
            Some(_) => Meaning::Malformed(format!(
                "`task`: only a session of revision {} has tasks; send the call without it",
                Revision::V2025_11_25
            )),
        }
    }

    /// A request about one task: housekeeping for a task that a call of this session became, and else a call that is denied.
    fn about_task(&self, envelope: &Envelope, method: &str, era: Era) -> Meaning {
        let Some(id) = text_param(envelope, "taskId") else { return missing(method, "taskId") };
        if let (Era::Stateless, Some(parked)) = (era, ParkedId::parse(&id))
            && self.session.is_parked(parked)
        {
            return Meaning::Housekeeping(Housekeeping::Parked(About::of(method), parked));
        }
        match (era, method) {
            _ if !self.tasks.knows(&id) => Meaning::Call(self.request_call(envelope)),
            (Era::Handshake, "tasks/result") => Meaning::Housekeeping(Housekeeping::TaskResult(id)),
            (Era::Handshake, _) => Meaning::Housekeeping(Housekeeping::TaskStatus),
            (Era::Stateless, "tasks/cancel") => Meaning::Housekeeping(Housekeeping::TaskCancel(id)),
            (Era::Stateless, "tasks/update") => Meaning::Housekeeping(Housekeeping::TaskUpdate(id)),
            (Era::Stateless, _) => Meaning::Housekeeping(Housekeeping::TaskState(id)),
        }
    }

    /// A request by its method, with all of its parameters.
    pub(super) fn request_call(&self, envelope: &Envelope) -> Call {
        let method = envelope.method().unwrap_or_default();
        Call { arguments: whole_params(envelope), tool: self.tool(Endpoint::Request, method) }
    }

    fn resource_call(&self, envelope: &Envelope, method: &str) -> Meaning {
        match text_param(envelope, "uri") {
            Some(uri) => self.call(Endpoint::Resource, &uri, Bytes::new()),
            None => missing(method, "uri"),
        }
    }

    fn prompt_call(&self, envelope: &Envelope) -> Meaning {
        let Some(name) = text_param(envelope, "name") else { return missing("prompts/get", "name") };
        let arguments = param(envelope, "arguments").map(|arguments| envelope.share(arguments)).unwrap_or_default();
        self.call(Endpoint::Prompt, &name, arguments)
    }

    /// Completing an argument is part of using the prompt or resource that it belongs to.
    fn completion(&self, envelope: &Envelope) -> Meaning {
        let Some(reference) = param(envelope, "ref").and_then(Raw::object) else {
            return missing("completion/complete", "ref");
        };
        let [kind, name, uri] = reference.pick(["type", "name", "uri"]).map(|raw| raw.and_then(Raw::text));
        match (kind.as_deref(), name, uri) {
            (Some("ref/prompt"), Some(name), _) => self.call(Endpoint::Prompt, &name, whole_params(envelope)),
            (Some("ref/resource"), _, Some(uri))
                if self.session.policy().shows_template(&self.session.upstream(), &uri) =>
            {
                Meaning::Housekeeping(Housekeeping::Plain)
            }
            (Some("ref/resource"), _, Some(uri)) => self.call(Endpoint::Resource, &uri, whole_params(envelope)),
            _ => Meaning::Malformed("`ref` must name a prompt or a resource".to_owned()),
        }
    }

    fn call(&self, endpoint: Endpoint, name: &str, arguments: Bytes) -> Meaning {
        Meaning::Call(Call { arguments, tool: self.tool(endpoint, name) })
    }

    pub(super) fn tool(&self, endpoint: Endpoint, name: &str) -> Tool {
        Tool { endpoint, name: Arc::from(name), surface: Surface::Mcp, upstream: self.session.upstream() }
    }

    /// Takes a call through decision, evidence and execution, and gives the answer; `None` when the client took it back.
    pub(super) async fn govern_call(
        &self,
        id: &RawId,
        envelope: &Envelope,
        Call { arguments, tool }: Call,
        mut cancelled: oneshot::Receiver<()>,
    ) -> Option<Message> {
        if self.session.policy().is_own(&tool) {
            let context = self.session.context();
            return Box::pin(self.govern_own(
                (Era::Handshake, id),
                envelope,
                context,
                Call { arguments, tool },
                cancelled,
            ))
            .await;
        }
        let is_tool = tool.endpoint == Endpoint::Tool;
        let call = self.session.call_id();
        let intercepted = Intercepted::new(call, self.session.context(), tool, arguments, trace(envelope));
        let execute = CallUpstream::new(self.upstream.clone(), id.clone(), envelope.bytes().clone(), call);
        let execute = self.held(id, execute);
        let answer = self.session.govern(as_of_agent(intercepted), execute, &mut cancelled).await?;
        answered(Era::Handshake, id, is_tool, call, answer)
    }

    /// Takes a call of the gateway's own tool through decision and evidence, and gives the answer.
    pub(super) async fn govern_own(
        &self,
        (era, id): (Era, &RawId),
        envelope: &Envelope,
        context: Arc<Context>,
        Call { arguments, tool }: Call,
        mut cancelled: oneshot::Receiver<()>,
    ) -> Option<Message> {
        let call = self.session.call_id();
        let execute = ApprovalStatus::new(self.session.clone(), era, id, call, &arguments);
        let intercepted = Intercepted::new(call, context, tool, arguments, trace(envelope));
        let answer = self.session.govern(intercepted, execute, &mut cancelled).await?;
        answered(era, id, true, call, answer)
    }

    /// Takes a request of the upstream through decision and evidence to the agent's client, and gives the answer for the upstream.
    pub(super) async fn govern_question(
        &self,
        id: &RawId,
        envelope: &Envelope,
        mut ask: AskAgent<D>,
        mut cancelled: oneshot::Receiver<()>,
    ) -> Option<Bytes> {
        let tool = self.tool(Endpoint::Request, envelope.method().unwrap_or_default());
        let call = self.session.call_id();
        let intercepted = Intercepted::new(call, self.session.context(), tool, whole_params(envelope), trace(envelope));
        // What the mission names as a request to the server is none of the server's.
        let intercepted =
            if is_question(&intercepted) { intercepted } else { intercepted.objected(Reason::RequestNotAllowed) };
        ask.bind(call);
        let answer = self.session.govern(intercepted, ask, &mut cancelled).await?;
        answered(Era::Handshake, id, false, call, answer).map(Message::hand_over)
    }
}

/// Whether this is a request that a server may send to the client, and nobody else.
fn is_question(intercepted: &Intercepted) -> bool {
    let tool = intercepted.tool();
    tool.endpoint == Endpoint::Request && Feature::ALL.iter().any(|feature| *tool.name == *feature.method())
}

/// A call of the agent. What the mission lets a server ask is none of the agent's requests.
pub(super) fn as_of_agent(intercepted: Intercepted) -> Intercepted {
    if is_question(&intercepted) { intercepted.objected(Reason::RequestNotAllowed) } else { intercepted }
}

pub(super) fn param<'a>(envelope: &'a Envelope, name: &str) -> Option<Raw<'a>> {
    envelope.params()?.object()?.member(name)
}

pub(super) fn text_param(envelope: &Envelope, name: &str) -> Option<String> {
    param(envelope, name)?.text().map(Cow::into_owned)
}

fn whole_params(envelope: &Envelope) -> Bytes {
    envelope.params().map(|params| envelope.share(params)).unwrap_or_default()
}

fn missing(method: &str, name: &str) -> Meaning {
    Meaning::Malformed(format!("`{method}` needs `{name}` in its form"))
}

/// The trace id of the W3C trace context in `_meta` (SEP-414).
pub(super) fn trace(envelope: &Envelope) -> Option<Arc<str>> {
    let parent = envelope.params()?.at(&["_meta", "traceparent"])?.text()?;
    let id = parent.split('-').nth(1)?;
    (id.len() == 32 && id.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))).then(|| Arc::from(id))
}
