//! Asides: what an upstream tells the agent beside the outcomes of calls (progress, log lines, the state of tasks, lists, its own description), looked into as results are.
//!
//! A definition of a tool is no aside: a person has accepted its bytes, and it passes as accepted or not at all.

use bytes::Bytes;
use governance::call::Reply;

use super::{AgentSession, DENIED};
use crate::govern::{Aside, Session};
use crate::limits::ReadLimits;
use crate::mcp::codec::{Envelope, Raw, RawId, Splice, author};
use crate::mcp::downstream::Downstream;
use crate::mcp::upstream::SUBSCRIPTION;

/// What the protocol goes by. It keeps its bytes, whatever it looks like: most of it is of the agent's own choice.
const KEPT: &[&[&str]] = &[
    &["_meta", "io.modelcontextprotocol/related-task", "taskId"],
    &["_meta", SUBSCRIPTION],
    &["elicitationId"],
    &["nextCursor"],
    &["progressToken"],
    &["requestId"],
    &["task", "taskId"],
    &["taskId"],
];

impl<S: Session, D: Downstream> AgentSession<S, D> {
    /// The upstream's `answer` to `request`, which is no call, as the agent may have it.
    pub(super) async fn aside(&self, id: &RawId, request: &Envelope, answer: &Envelope) -> Bytes {
        self.answered_aside(id, request.method().unwrap_or_default(), answer).await
    }

    /// The same of an answer of which we have changed something.
    pub(super) async fn changed_aside(&self, id: &RawId, request: &Envelope, answer: Bytes) -> Bytes {
        self.read_aside(id, request.method().unwrap_or_default(), answer).await
    }

    /// The same of the answer that a task was made of a call.
    pub(super) async fn created_aside(&self, id: &RawId, reply: Reply) -> Reply {
        match reply {
            Reply::Passed(bytes) => Reply::Passed(self.read_aside(id, "tools/call", bytes).await),
            reply => reply,
        }
    }

    async fn read_aside(&self, id: &RawId, method: &str, answer: Bytes) -> Bytes {
        match Envelope::parse(answer, &ReadLimits::RESPONSE) {
            Ok(answer) => self.answered_aside(id, method, &answer).await,
            Err(error) => author::error_reply(Some(id), author::INTERNAL_ERROR, &error.to_string(), None),
        }
    }

    async fn answered_aside(&self, id: &RawId, method: &str, answer: &Envelope) -> Bytes {
        let text = "denied (data_withheld): the answer holds data that the mission keeps from the agent";
        let told = self.told(method, answer).await;
        told.unwrap_or_else(|| author::error_reply(Some(id), DENIED, text, None))
    }

    /// A message of the upstream about `method`, as the agent may have it; `None` where it stays here.
    pub(super) async fn told(&self, method: &str, message: &Envelope) -> Option<Bytes> {
        let Some(said) = message.params().or_else(|| message.result()).or_else(|| message.error()) else {
            return Some(message.bytes().clone());
        };
        match self.session.aside(method, message.share(said)).await {
            Aside::Passed => Some(message.bytes().clone()),
            Aside::Changed(changed) => replaced(message, said, &changed),
            Aside::Withheld => None,
        }
    }
}

/// `message` with `changed` in the place of what it `said`, but for what the protocol goes by; `None` where that can take no place.
fn replaced(message: &Envelope, said: Raw<'_>, changed: &Bytes) -> Option<Bytes> {
    let changed_said = Raw::parse(changed, &ReadLimits::RESPONSE).ok()?;
    let mut splice = Splice::new(changed);
    for path in KEPT {
        if let (Some(kept), Some(now)) = (said.at(path), changed_said.at(path))
            && kept.bytes() != now.bytes()
        {
            splice.replace(now, kept).ok()?;
        }
    }
    let restored = splice.finish().ok()?;
    let mut splice = Splice::new(message.bytes());
    splice.replace(said, Raw::parse(&restored, &ReadLimits::RESPONSE).ok()?).ok()?;
    splice.finish().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_protocol_goes_by_keeps_its_bytes() {
        let text = r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"536-22-8726","message":"536-22-8726","progress":1}}"#;
        let message = Envelope::parse(Bytes::from(text), &ReadLimits::RESPONSE).unwrap();
        let changed = Bytes::from(r#"{"progressToken":"[pii.us_ssn]","message":"[pii.us_ssn]","progress":1}"#);
        let replaced = replaced(&message, message.params().unwrap(), &changed).unwrap();
        let expected = text.replace(r#""message":"536-22-8726""#, r#""message":"[pii.us_ssn]""#);
        assert_eq!(std::str::from_utf8(&replaced).unwrap(), expected);
    }

    #[test]
    fn what_cannot_be_read_takes_no_place() {
        let text = r#"{"jsonrpc":"2.0","method":"notifications/message","params":{"data":"a"}}"#;
        let message = Envelope::parse(Bytes::from(text), &ReadLimits::RESPONSE).unwrap();
        assert!(replaced(&message, message.params().unwrap(), &Bytes::from(r#"{"data":"#)).is_none());
    }
}
