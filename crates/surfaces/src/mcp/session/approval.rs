//! What a client is told of an approval: that its call waits, and what became of an identical call whose outcome nobody got.

use std::sync::Arc;

use bytes::Bytes;
use governance::call::{Awaits, Pending, Replayed, Warrant};
use governance::evidence::ids::CallId;
use governance::evidence::record::Status;
use governance::execute::{Execution, Outcome};
use governance::reason::Reason;
use serde_json::{Map, Value, json};

use super::execute::outcome;
use super::{DENIED, FAILED};
use crate::govern::{Execute, Session};
use crate::limits::ReadLimits;
use crate::mcp::codec::{Envelope, Raw, RawId, Splice, SpliceError, author};
use crate::mcp::era::Era;

/// The member of `_meta`, and of an error's `data`, that tells of an approval.
const META: &str = "countersign.dev/approval";

/// The definition of the tool by which an agent asks how an approval stands.
pub(super) const TOOL: &str = concat!(
    r#"{"name":"countersign_approval_status","title":"Status of an approval","#,
    r#""description":"Tells how an approval stands that an earlier call of yours waits for: whether people have answered, until when they can, and what to do next. It executes nothing. To go on with the call itself, send exactly that call again.","#,
    r#""inputSchema":{"type":"object","properties":{"approval":{"type":"string","description":"The id of the approval, as the pending answer has it."}},"required":["approval"],"additionalProperties":false},"#,
    r#""annotations":{"destructiveHint":false,"idempotentHint":true,"openWorldHint":false,"readOnlyHint":true}}"#
);

/// A call of the gateway's own tool, which no server is asked about.
pub(super) struct ApprovalStatus<S> {
    /// What is asked about, where that can be read.
    approval: Option<String>,
    call: CallId,
    era: Era,
    id: RawId,
    session: Arc<S>,
}

impl<S: Session> ApprovalStatus<S> {
    pub(super) fn new(session: Arc<S>, era: Era, id: &RawId, call: CallId, arguments: &[u8]) -> Self {
        let arguments = Raw::parse(arguments, &ReadLimits::REQUEST).ok();
        let approval = arguments.and_then(|arguments| Some(arguments.at(&["approval"])?.text()?.into_owned()));
        Self { approval, call, era, id: id.clone(), session }
    }

    fn answer(&self) -> Bytes {
        let error = |text: &str| {
            let mut result = Map::new();
            result.insert("content".to_owned(), json!([{ "type": "text", "text": text }]));
            result.insert("isError".to_owned(), true.into());
            result
        };
        let mut result = match self.approval.as_deref().map(|approval| self.session.approval_status(approval)) {
            None => error("give `approval`: the id that the pending answer has"),
            Some(None) => error("no call of this run waits, or has waited, for an approval with this id"),
            Some(Some(status)) => {
                let status = Value::Object(status);
                let mut result = Map::new();
                result.insert("content".to_owned(), json!([{ "type": "text", "text": status.to_string() }]));
                result.insert("structuredContent".to_owned(), status);
                result
            }
        };
        if self.era == Era::Stateless {
            result.insert("resultType".to_owned(), "complete".into());
        }
        author::result_reply(&self.id, &result)
    }
}

impl<S: Session> Execute for ApprovalStatus<S> {
    async fn execute(&mut self, warrant: Warrant) -> Execution {
        if warrant.call() != self.call {
            return Execution::Ended(Outcome::without_answer(Status::NotExecuted, Reason::EvaluationFailed));
        }
        Execution::Ended(match Envelope::parse(self.answer(), &ReadLimits::RESPONSE) {
            Ok(answer) => outcome(Ok(answer)),
            Err(_) => Outcome::without_answer(Status::NotExecuted, Reason::EvaluationFailed),
        })
    }

    async fn cancel(&mut self) {}
}

/// The answer to a call that must be sent again: for a tool a result that a model reads and that says how to go on, for anything else an error.
pub(super) fn pending(era: Era, id: &RawId, is_tool: bool, call: CallId, pending: &Pending) -> Bytes {
    let Pending { approval, awaits, gates } = pending;
    let mut data = json!({ "approval": approval, "call": call, "gates": gates, "outcome": "pending" });
    let (reason, status, text, respond_by) = match awaits {
        Awaits::Answers { respond_by } => {
            let text = format!(
                "nothing was executed yet. A person must approve this call (approval {approval}, until {respond_by}). Send exactly the same call again to go on: once it \
                 is approved it is executed, and not before. Do not change the arguments; another call needs another approval."
            );
            (Reason::ApprovalRequired, Status::NotExecuted, text, Some(respond_by))
        }
        Awaits::Outcome => {
            let text = format!(
                "an identical call was approved (approval {approval}) and is being executed; its outcome is not known yet. Send exactly the same call again to get it: \
                 nothing is executed a second time for that. Do not change the arguments; another call needs another approval."
            );
            (Reason::OutcomeAwaited, Status::Pending, text, None)
        }
    };
    if let Value::Object(data) = &mut data {
        data.insert("reason".to_owned(), reason.code().into());
        data.insert("status".to_owned(), status.as_str().into());
        data.extend(respond_by.map(|respond_by| ("respond_by".to_owned(), json!(respond_by))));
    }
    let text = format!("pending ({reason}): {text}");
    match is_tool {
        true => tool_error(era, id, &text, data),
        false => author::error_reply(Some(id), DENIED, &text, Some(&data)),
    }
}

/// The outcome of an identical call that was executed before, marked as such: its result in the bytes that it had, or what is known of it.
pub(super) fn replayed(era: Era, id: &RawId, is_tool: bool, call: CallId, replayed: &Replayed) -> Bytes {
    let Replayed { approval, executed, refusal, result } = replayed;
    let reason = executed.reason.unwrap_or(Reason::Replayed);
    let mut data = json!({
        "approval": approval, "call": call, "executed": executed.call, "outcome": "replayed", "reason": reason.code(),
        "replayed": true, "status": executed.status.as_str(), "use": executed.used,
    });
    if let (Value::Object(data), Some(exception)) = (&mut data, executed.exception) {
        data.insert("exception".to_owned(), json!(exception));
    }
    if let Some(result) = result
        && let Ok(raw) = Raw::parse(result, &ReadLimits::RESPONSE)
    {
        let marked = match reason {
            Reason::UpstreamError => Ok(marked_error(id, raw, &data)),
            _ => marked_result(id, raw, &data),
        };
        if let Ok(marked) = marked {
            return marked;
        }
    }
    let open = executed.exception.map(|exception| format!(" (exception {exception} is open)")).unwrap_or_default();
    let text = format!(
        "replayed ({reason}): an identical call was approved and executed before, and its outcome did not reach you. {}{open}",
        refusal.sentence
    );
    match is_tool {
        true => tool_error(era, id, &text, data),
        false => author::error_reply(Some(id), FAILED, &text, Some(&data)),
    }
}

/// A result in the bytes that it had, with a mark in its `_meta`.
fn marked_result(id: &RawId, result: Raw<'_>, data: &Value) -> Result<Bytes, SpliceError> {
    let reply = author::forwarded_reply(id, result);
    let Ok(envelope) = Envelope::parse(reply.clone(), &ReadLimits::RESPONSE) else { return Ok(reply) };
    let Some(result) = envelope.result().and_then(Raw::object) else { return Ok(reply) };
    let (meta, name, mark) = match result.member("_meta").and_then(Raw::object) {
        Some(meta) => (meta, META, data.to_string()),
        None => (result, "_meta", json!({ META: data }).to_string()),
    };
    let Ok(mark) = Raw::parse(mark.as_bytes(), &ReadLimits::RESPONSE) else { return Ok(reply) };
    let mut splice = Splice::new(envelope.bytes());
    splice.set_member(meta, name, mark)?;
    splice.finish()
}

/// An error with its code and message, and a mark beside its data.
fn marked_error(id: &RawId, error: Raw<'_>, data: &Value) -> Bytes {
    let [code, message, own] = error.object().map(|error| error.pick(["code", "message", "data"])).unwrap_or_default();
    let own = own.and_then(|own| serde_json::from_slice::<Value>(own.bytes()).ok());
    let mut marked = Map::from_iter([(META.to_owned(), data.clone())]);
    marked.extend(own.map(|own| ("upstream".to_owned(), own)));
    let message = message.and_then(Raw::text).unwrap_or_default();
    author::error_reply(Some(id), code.and_then(Raw::integer).unwrap_or(FAILED), &message, Some(&marked.into()))
}

fn tool_error(era: Era, id: &RawId, text: &str, data: Value) -> Bytes {
    let mut result = Map::new();
    result.insert("content".to_owned(), json!([{ "type": "text", "text": text }]));
    result.insert("isError".to_owned(), true.into());
    result.insert("_meta".to_owned(), json!({ META: data }));
    if era == Era::Stateless {
        result.insert("resultType".to_owned(), "complete".into());
    }
    author::result_reply(id, &result)
}
