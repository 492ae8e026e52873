//! Who asked for what: one call in its exact bytes, before anything has judged it.
//!
//! Surfaces build an [`Intercepted`] from their protocol; nothing later looks at the protocol again. It does not parse arguments: that is for classify.

use std::sync::Arc;

use bytes::Bytes;
use evidence::ids::{ApprovalId, CallId, RunId};
use evidence::leaf::sha256_hex;
use evidence::record::{Agent, Context, Initiator, Surface, Tool};
use serde::Serialize;

use crate::reason::Reason;

/// One call as it arrived.
#[derive(Clone, Debug)]
pub struct Intercepted {
    /// The exact bytes of the arguments: a JSON object, or empty where none were sent.
    arguments: Bytes,
    args_sha256: String,
    attempt: u32,
    awaited: Option<ApprovalId>,
    call: CallId,
    context: Arc<Context>,
    input_sha256: Option<String>,
    note: Option<Reason>,
    objection: Option<Reason>,
    sent: Option<Sent>,
    tool: Tool,
    trace: Option<Arc<str>>,
}

/// What the tool gets, where that is not what the agent sent.
#[derive(Clone, Debug)]
struct Sent {
    arguments: Bytes,
    sha256: String,
}

impl Intercepted {
    /// Takes a call whose `arguments` have passed the surface's strict reader: one JSON object without duplicate keys, or empty.
    #[must_use]
    pub fn new(call: CallId, context: Arc<Context>, tool: Tool, arguments: Bytes, trace: Option<Arc<str>>) -> Self {
        let args_sha256 = sha256_hex(&arguments);
        Self {
            arguments,
            args_sha256,
            attempt: 1,
            awaited: None,
            call,
            context,
            input_sha256: None,
            note: None,
            objection: None,
            sent: None,
            tool,
            trace,
        }
    }

    /// The same, as a further attempt at `call`, which the upstream did not bring to its end: `attempt` counts from 1.
    #[must_use]
    pub fn again(self, call: CallId, attempt: u32) -> Self {
        Self { attempt, call, ..self }
    }

    /// The same, which has waited for this approval before: it goes on with that, or not at all.
    #[must_use]
    pub fn awaiting(self, approval: ApprovalId) -> Self {
        Self { awaited: Some(approval), ..self }
    }

    /// The same, which brings the answers to what the upstream asked: `input`, in its exact bytes.
    #[must_use]
    pub fn bringing(self, input: &[u8]) -> Self {
        Self { input_sha256: Some(sha256_hex(input)), ..self }
    }

    /// The same, with what was changed of it before it is decided: a reason beside those of the decision.
    #[must_use]
    pub fn noted(self, note: Reason) -> Self {
        Self { note: Some(note), ..self }
    }

    /// The same, with what its protocol objects to: it will be denied for this reason, whatever the mission says.
    #[must_use]
    pub fn objected(self, objection: Reason) -> Self {
        Self { objection: Some(objection), ..self }
    }

    /// The same, whose tool gets `arguments` in the place of those that the agent sent, because tokens in them turned back; with `None`, exactly what the agent sent.
    #[must_use]
    pub fn turned_back(self, arguments: Option<Bytes>) -> Self {
        let sent = arguments.map(|arguments| Sent { sha256: sha256_hex(&arguments), arguments });
        Self { sent, ..self }
    }

    /// The exact bytes of the arguments that the agent sent; empty where there are none.
    #[must_use]
    pub fn arguments(&self) -> &[u8] {
        &self.arguments
    }

    /// The exact bytes of the arguments that the tool gets: what is judged.
    #[must_use]
    pub fn sent(&self) -> &Bytes {
        self.sent.as_ref().map_or(&self.arguments, |sent| &sent.arguments)
    }

    /// SHA-256 of [`Self::sent`], lower-case hexadecimal, where that is not what the agent sent.
    #[must_use]
    pub fn sent_sha256(&self) -> Option<&String> {
        self.sent.as_ref().map(|sent| &sent.sha256)
    }

    /// SHA-256 of [`Self::arguments`], lower-case hexadecimal.
    #[must_use]
    pub fn args_sha256(&self) -> &str {
        &self.args_sha256
    }

    /// Which attempt at the call this is, from 1.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.attempt
    }

    /// The approval that it has waited for before.
    #[must_use]
    pub const fn awaited(&self) -> Option<ApprovalId> {
        self.awaited
    }

    /// SHA-256 of the exact bytes of the answers that it brings, lower-case hexadecimal.
    #[must_use]
    pub const fn input_sha256(&self) -> Option<&String> {
        self.input_sha256.as_ref()
    }

    /// What was changed of it.
    #[must_use]
    pub const fn note(&self) -> Option<Reason> {
        self.note
    }

    /// What the protocol objects to.
    #[must_use]
    pub const fn objection(&self) -> Option<Reason> {
        self.objection
    }

    /// The call's identity.
    #[must_use]
    pub const fn call(&self) -> CallId {
        self.call
    }

    /// Who acts for whom, in which run of which mission.
    #[must_use]
    pub const fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// What is to be used.
    #[must_use]
    pub const fn tool(&self) -> &Tool {
        &self.tool
    }

    /// The trace id that the agent sent.
    #[must_use]
    pub const fn trace(&self) -> Option<&Arc<str>> {
        self.trace.as_ref()
    }

    /// The digest that an approval is bound to: one byte of the arguments, as the agent sent them or as the tool gets them, another run, tool, definition of the tool or policy slice, and it is another call.
    #[must_use]
    pub fn sha256(&self, pin: Option<&str>, slice_sha256: Option<&str>) -> String {
        /// Fields in the order of RFC 8785.
        #[derive(Serialize)]
        struct Bound<'a> {
            agent: &'a Agent,
            args_sha256: &'a str,
            endpoint: &'a str,
            initiator: &'a Initiator,
            /// The tool's accepted definition, of calls whose tool a gate may be asked about.
            #[serde(skip_serializing_if = "Option::is_none")]
            pin: Option<&'a str>,
            policy_slice: Option<&'a str>,
            run: Option<RunId>,
            /// The arguments that the tool gets, of calls whose tokens turned back.
            #[serde(skip_serializing_if = "Option::is_none")]
            sent_sha256: Option<&'a str>,
            surface: Surface,
            tool: &'a str,
            upstream: &'a str,
            v: u32,
        }
        let (context, tool) = (&self.context, &self.tool);
        let bound = Bound {
            agent: &context.agent,
            args_sha256: &self.args_sha256,
            endpoint: tool.endpoint.as_str(),
            initiator: &context.initiator,
            pin,
            policy_slice: slice_sha256,
            run: context.run,
            sent_sha256: self.sent_sha256().map(String::as_str),
            surface: tool.surface,
            tool: &tool.name,
            upstream: &tool.upstream,
            v: 1,
        };
        // Writing plain text fields cannot fail; an empty digest would bind nothing and match nothing.
        serde_json::to_vec(&bound).map(|bytes| sha256_hex(&bytes)).unwrap_or_default()
    }
}
