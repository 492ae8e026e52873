//! One JSON-RPC 2.0 message, read once and strictly, with its original bytes.
//!
//! The envelope knows the rules of JSON-RPC 2.0 as MCP narrows them (revision 2025-11-25, Base Protocol, Messages): an
//! id is a string or an integer, `params` and `result` are objects. Arrays of messages are for [`super::batch`]. It knows no method. Members
//! that it does not know stay in the bytes that are forwarded.

use std::borrow::Cow;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::ops::Range;

use bytes::Bytes;
use thiserror::Error;

use super::author;
use super::raw::{Raw, Shape};
use super::strict::{StrictError, StrictFault, StrictReader, skip_space};
use crate::limits::{BATCH_ELEMENTS_MAX, RPC_ID_BYTES_MAX, RPC_METHOD_BYTES_MAX, ReadLimits};

/// One message: what it is, and the bytes that it came in.
#[derive(Debug, Clone)]
pub struct Envelope {
    bytes: Bytes,
    kind: EnvelopeKind,
    id_at: Range<usize>,
    payload_at: Range<usize>,
}

/// What a message is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EnvelopeKind {
    /// Asks for an answer.
    Request {
        /// Chosen by the sender; the answer carries it.
        id: RawId,
        /// The decoded method.
        method: Box<str>,
    },
    /// Asks for no answer.
    Notification {
        /// The decoded method.
        method: Box<str>,
    },
    /// Answers a request with a result.
    Response {
        /// The id of the request.
        id: RawId,
    },
    /// Answers a request with an error.
    ErrorResponse {
        /// The id of the request; `None` (absent or `null`) when the other side could not read it.
        id: Option<RawId>,
    },
}

impl Envelope {
    /// Reads one message.
    pub fn parse(bytes: Bytes, limits: &ReadLimits) -> Result<Self, EnvelopeError> {
        Self::read(bytes, &mut StrictReader::new(*limits))
    }

    /// Reads one message with a reader that is kept for the next.
    pub fn read(bytes: Bytes, reader: &mut StrictReader) -> Result<Self, EnvelopeError> {
        let mut found = Found::default();
        let scanned = reader.scan_members(&bytes, |key, value| found.take(&bytes, key, value));
        let id = found.id(&bytes);
        let is_array = bytes.get(skip_space(&bytes, 0)) == Some(&b'[');
        let shaped = match scanned {
            // A batch is refused as such even where its inside is broken too: the sender must stop batching first.
            _ if is_array => Err(EnvelopeFault::Batch),
            Err(error) => Err(EnvelopeFault::Unreadable(error)),
            Ok(()) if bytes.get(skip_space(&bytes, 0)) != Some(&b'{') => Err(EnvelopeFault::NotAnObject),
            Ok(()) => found.kind(&bytes, id.clone()),
        };
        match shaped {
            Ok((kind, payload_at)) => Ok(Self {
                kind,
                id_at: found.id.unwrap_or_default(),
                payload_at: payload_at.unwrap_or_default(),
                bytes,
            }),
            Err(fault) => Err(EnvelopeError { meant: found.meant(id.ok().flatten()), fault }),
        }
    }

    /// What the message is.
    pub fn kind(&self) -> &EnvelopeKind {
        &self.kind
    }

    /// The id, except of a notification and of an error response without one.
    pub fn id(&self) -> Option<&RawId> {
        match &self.kind {
            EnvelopeKind::Request { id, .. } | EnvelopeKind::Response { id } => Some(id),
            EnvelopeKind::ErrorResponse { id } => id.as_ref(),
            EnvelopeKind::Notification { .. } => None,
        }
    }

    /// The decoded method of a request or notification.
    pub fn method(&self) -> Option<&str> {
        match &self.kind {
            EnvelopeKind::Request { method, .. } | EnvelopeKind::Notification { method } => Some(method),
            EnvelopeKind::Response { .. } | EnvelopeKind::ErrorResponse { .. } => None,
        }
    }

    /// The parameters of a request or notification: always an object.
    pub fn params(&self) -> Option<Raw<'_>> {
        self.method().and_then(|_| self.payload())
    }

    /// The result of a response: always an object.
    pub fn result(&self) -> Option<Raw<'_>> {
        matches!(self.kind, EnvelopeKind::Response { .. }).then(|| self.payload())?
    }

    /// The error of an error response: always an object with an integer `code` and a text `message`.
    pub fn error(&self) -> Option<Raw<'_>> {
        matches!(self.kind, EnvelopeKind::ErrorResponse { .. }).then(|| self.payload())?
    }

    fn payload(&self) -> Option<Raw<'_>> {
        self.bytes.get(self.payload_at.clone()).filter(|bytes| !bytes.is_empty()).map(Raw::read_before)
    }

    /// The message as a value.
    pub fn raw(&self) -> Raw<'_> {
        Raw::read_before(self.bytes.trim_ascii())
    }

    /// The message as it came.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// A part of this message as bytes that share its memory.
    pub fn share(&self, part: Raw<'_>) -> Bytes {
        match locate(&self.bytes, part.bytes()) {
            Some(at) => self.bytes.slice(at),
            None => Bytes::copy_from_slice(part.bytes()),
        }
    }

    /// The same message under another id; every other byte stays. A message without an id is returned as it is.
    pub fn with_id(&self, id: &RawId) -> Bytes {
        if self.id_at.is_empty() {
            return self.bytes.clone();
        }
        let head = self.bytes.get(..self.id_at.start).unwrap_or_default();
        let tail = self.bytes.get(self.id_at.end..).unwrap_or_default();
        let written = id.json();
        [head, written.as_bytes(), tail].concat().into()
    }
}

/// Where `part` lies in `whole`, if it is a view into it.
pub(super) fn locate(whole: &[u8], part: &[u8]) -> Option<Range<usize>> {
    let start = part.as_ptr().addr().checked_sub(whole.as_ptr().addr())?;
    let end = start.checked_add(part.len())?;
    (end <= whole.len() && !part.is_empty()).then_some(start..end)
}

/// The places of the members that JSON-RPC defines.
#[derive(Debug, Default)]
struct Found {
    jsonrpc: Option<Range<usize>>,
    id: Option<Range<usize>>,
    method: Option<Range<usize>>,
    params: Option<Range<usize>>,
    result: Option<Range<usize>>,
    error: Option<Range<usize>>,
    /// What the keys said so far, for the answer to a message whose rest could not be read.
    ids: usize,
    asks: bool,
    answers: bool,
}

impl Found {
    /// Takes a key, and again with the value.
    fn take(&mut self, text: &[u8], key: Range<usize>, value: Option<Range<usize>>) {
        let Some(key) = text.get(key).and_then(|key| Raw::read_before(key).text()) else {
            return;
        };
        let slot = match &*key {
            "jsonrpc" => &mut self.jsonrpc,
            "id" => &mut self.id,
            "method" => &mut self.method,
            "params" => &mut self.params,
            "result" => &mut self.result,
            "error" => &mut self.error,
            _ => return,
        };
        if value.is_some() {
            *slot = value;
            return;
        }
        match &*key {
            "id" => self.ids += 1,
            "method" => self.asks = true,
            "result" | "error" => self.answers = true,
            _ => (),
        }
    }

    fn meant(&self, id: Option<RawId>) -> Meant {
        match (id, self.ids, self.asks, self.answers) {
            (Some(id), 1, true, false) => Meant::Request(id),
            (Some(id), 1, false, true) => Meant::Response(id),
            _ => Meant::Unclear,
        }
    }

    /// The id: `None` if absent or `null`.
    fn id(&self, text: &[u8]) -> Result<Option<RawId>, EnvelopeFault> {
        let Some(at) = self.id.clone() else {
            return Ok(None);
        };
        let offset = at.start;
        let raw = Raw::read_before(text.get(at).unwrap_or_default());
        if raw.shape() == Shape::Null {
            return Ok(None);
        }
        RawId::read(raw).map(Some).ok_or(EnvelopeFault::Id { offset })
    }

    fn kind(
        &self,
        text: &[u8],
        id: Result<Option<RawId>, EnvelopeFault>,
    ) -> Result<(EnvelopeKind, Option<Range<usize>>), EnvelopeFault> {
        let view = |at: &Range<usize>| Raw::read_before(text.get(at.clone()).unwrap_or_default());
        match &self.jsonrpc {
            Some(at) if view(at).is_text("2.0") => (),
            Some(at) => return Err(EnvelopeFault::Version { offset: at.start }),
            None => return Err(EnvelopeFault::Missing { member: "jsonrpc" }),
        }
        let id = id?;
        match (&self.method, &self.params, &self.result, &self.error) {
            (Some(at), params, None, None) => {
                let method = view(at).text().filter(|method| (1..=RPC_METHOD_BYTES_MAX).contains(&method.len()));
                let method = method.ok_or(EnvelopeFault::Method { offset: at.start })?.into();
                self.object_or_absent(text, params, "params")?;
                let kind = match id {
                    Some(id) => EnvelopeKind::Request { id, method },
                    None if self.id.is_some() => return Err(self.no_id()),
                    None => EnvelopeKind::Notification { method },
                };
                Ok((kind, params.clone()))
            }
            (None, None, result @ Some(_), None) => {
                self.object_or_absent(text, result, "result")?;
                let id = id.ok_or_else(|| self.no_id())?;
                Ok((EnvelopeKind::Response { id }, result.clone()))
            }
            (None, None, None, Some(at)) => {
                let [code, message] =
                    view(at).object().map(|error| error.pick(["code", "message"])).unwrap_or_default();
                let well_formed = code.is_some_and(|code| code.integer().is_some())
                    && message.is_some_and(|text| text.text().is_some());
                if !well_formed {
                    return Err(EnvelopeFault::ErrorMember { offset: at.start });
                }
                Ok((EnvelopeKind::ErrorResponse { id }, Some(at.clone())))
            }
            (None, _, None, None) => Err(EnvelopeFault::NoKind),
            _ => Err(EnvelopeFault::MixedKinds),
        }
    }

    fn object_or_absent(
        &self,
        text: &[u8],
        at: &Option<Range<usize>>,
        member: &'static str,
    ) -> Result<(), EnvelopeFault> {
        match at {
            Some(at) if text.get(at.start) != Some(&b'{') => {
                Err(EnvelopeFault::NotAnObjectMember { member, offset: at.start })
            }
            _ => Ok(()),
        }
    }

    /// An id is needed and there is none, or it is `null`.
    fn no_id(&self) -> EnvelopeFault {
        match &self.id {
            Some(at) => EnvelopeFault::Id { offset: at.start },
            None => EnvelopeFault::Missing { member: "id" },
        }
    }
}

/// A JSON-RPC id, or any other token of the protocol that is a string or an integer, such as a progress token.
///
/// Keeps the exact bytes and compares by value: `"a"` and `"\u0061"` are equal, `1` and `"1"` are not. It does not
/// keep the message alive that it came in.
#[derive(Clone)]
pub struct RawId(Id);

#[derive(Clone)]
enum Id {
    // An integer has one spelling, since `-0` is refused.
    Integer(i64),
    Text { written: Bytes, decoded: Bytes },
}

impl RawId {
    /// Reads an id: a string of at most [`RPC_ID_BYTES_MAX`] bytes as written, or an integer within `i64`.
    pub fn read(raw: Raw<'_>) -> Option<Self> {
        if let Some(integer) = raw.integer() {
            return Some(Self(Id::Integer(integer)));
        }
        if raw.bytes().len() > RPC_ID_BYTES_MAX {
            return None;
        }
        let text = raw.text()?;
        let written = Bytes::copy_from_slice(raw.bytes());
        let decoded = match text {
            Cow::Borrowed(_) => written.slice(1..written.len() - 1),
            Cow::Owned(decoded) => decoded.into(),
        };
        Some(Self(Id::Text { written, decoded }))
    }

    /// An id of our own.
    pub fn integer(integer: i64) -> Self {
        Self(Id::Integer(integer))
    }

    /// The value, if it is an integer.
    pub fn as_integer(&self) -> Option<i64> {
        match self.0 {
            Id::Integer(integer) => Some(integer),
            Id::Text { .. } => None,
        }
    }

    /// The decoded value, if it is a string.
    pub fn as_text(&self) -> Option<&str> {
        match &self.0 {
            Id::Integer(_) => None,
            Id::Text { decoded, .. } => std::str::from_utf8(decoded).ok(),
        }
    }

    /// The id as it was written: valid JSON.
    pub fn json(&self) -> Cow<'_, str> {
        match &self.0 {
            Id::Integer(integer) => Cow::Owned(integer.to_string()),
            Id::Text { written, .. } => String::from_utf8_lossy(written),
        }
    }
}

impl PartialEq for RawId {
    fn eq(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Id::Integer(a), Id::Integer(b)) => a == b,
            (Id::Text { decoded: a, .. }, Id::Text { decoded: b, .. }) => a == b,
            _ => false,
        }
    }
}

impl Eq for RawId {}

impl Hash for RawId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        match &self.0 {
            Id::Integer(integer) => integer.hash(state),
            Id::Text { decoded, .. } => decoded.hash(state),
        }
    }
}

impl fmt::Debug for RawId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RawId({})", self.json())
    }
}

impl fmt::Display for RawId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.json())
    }
}

/// Why bytes are not a message that we take, and what they were meant as.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{fault}")]
pub struct EnvelopeError {
    /// What the message was meant as, so that nobody waits for an answer that will not come.
    pub meant: Meant,
    /// What is wrong.
    #[source]
    pub fault: EnvelopeFault,
}

/// What a refused message was meant as, by what could be read of it without doubt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Meant {
    /// A request: its sender waits for an answer.
    Request(RawId),
    /// An answer: whoever sent the request of this id waits for it.
    Response(RawId),
    /// A notification, or too little was read to tell.
    Unclear,
}

impl EnvelopeError {
    /// The error response that tells the sender. It carries an id only for a request: under the id of a response it
    /// would answer another request, one that the receiver sent itself.
    pub fn reply(&self) -> Bytes {
        let id = match &self.meant {
            Meant::Request(id) => Some(id),
            Meant::Response(_) | Meant::Unclear => None,
        };
        author::error_reply(id, self.fault.code(), &self.fault.to_string(), None)
    }
}

/// What can be wrong with a message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EnvelopeFault {
    /// Not JSON, or JSON that two readers could understand differently.
    #[error(transparent)]
    Unreadable(StrictError),
    /// A batch where there may be none.
    #[error(
        "an array of messages; send each message by itself: only a session of revision 2025-03-26 has batches, and `initialize` is never part of one"
    )]
    Batch,
    /// A batch without messages.
    #[error("the array is empty; send at least one message")]
    EmptyBatch,
    /// A batch with too many messages.
    #[error("an array of more than {BATCH_ELEMENTS_MAX} messages; send fewer at once")]
    LongBatch,
    /// A string, number, boolean or null.
    #[error("the message is not an object; send a JSON-RPC 2.0 message")]
    NotAnObject,
    /// `jsonrpc` is missing, or the `id` of a response.
    #[error("`{member}` is missing; every message needs `jsonrpc`, and every response the `id` of its request")]
    Missing {
        /// Which of the two.
        member: &'static str,
    },
    /// `jsonrpc` is not `"2.0"`.
    #[error("`jsonrpc` at byte {offset} is not `\"2.0\"`; say `\"jsonrpc\": \"2.0\"` in every message")]
    Version {
        /// Where its value is.
        offset: usize,
    },
    /// The id is not a string or integer.
    #[error("`id` at byte {offset} is not an id; use a string of at most {RPC_ID_BYTES_MAX} bytes or a 64-bit integer")]
    Id {
        /// Where its value is.
        offset: usize,
    },
    /// The method is not a string, is empty or too long.
    #[error("`method` at byte {offset} is not a name; use a string of 1 to {RPC_METHOD_BYTES_MAX} bytes")]
    Method {
        /// Where its value is.
        offset: usize,
    },
    /// `params` or `result` is not an object.
    #[error("`{member}` at byte {offset} is not an object; MCP passes everything by name")]
    NotAnObjectMember {
        /// Which of the two.
        member: &'static str,
        /// Where its value is.
        offset: usize,
    },
    /// `error` has no integer `code` or no text `message`.
    #[error("`error` at byte {offset} is not an error object; give it an integer `code` and a string `message`")]
    ErrorMember {
        /// Where its value is.
        offset: usize,
    },
    /// Neither `method`, `result` nor `error`.
    #[error("the message has no `method`, `result` or `error`; send exactly one of them")]
    NoKind,
    /// More than one of `method` (with `params`), `result` and `error`.
    #[error("the message is request and response, or result and error, at once; send exactly one of them")]
    MixedKinds,
}

impl EnvelopeFault {
    /// The code of JSON-RPC 2.0 section 5.1: -32700 for what is not JSON, -32600 for JSON that is no message we take.
    pub fn code(&self) -> i64 {
        match self {
            Self::Unreadable(StrictError { fault, .. }) => match fault {
                StrictFault::TooLong { .. }
                | StrictFault::TooDeep { .. }
                | StrictFault::TooManyMembers { .. }
                | StrictFault::DuplicateKey
                | StrictFault::NumberRange => author::INVALID_REQUEST,
                _ => author::PARSE_ERROR,
            },
            _ => author::INVALID_REQUEST,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::fmt::Write as _;
    use std::path::Path;

    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::super::samples::{any_value, written};
    use super::*;

    fn parse(text: impl Into<Bytes>) -> Result<Envelope, EnvelopeError> {
        Envelope::parse(text.into(), &ReadLimits::REQUEST)
    }

    fn id(text: &str) -> Option<RawId> {
        RawId::read(Raw::parse(text.as_bytes(), &ReadLimits::REQUEST).unwrap())
    }

    /// One line that says everything about how a message was taken.
    fn outcome(text: Vec<u8>) -> String {
        let length = |part: Option<Raw<'_>>| part.map_or(0, |part| part.bytes().len());
        match parse(text) {
            Ok(message) => match message.kind() {
                EnvelopeKind::Request { id, method } => {
                    format!("request {id} {method} {}", length(message.params()))
                }
                EnvelopeKind::Notification { method } => {
                    format!("notification {method} {}", length(message.params()))
                }
                EnvelopeKind::Response { id } => {
                    format!("response {id} {}", length(message.result()))
                }
                EnvelopeKind::ErrorResponse { id } => {
                    format!("error response {id:?} {}", length(message.error()))
                }
            },
            Err(error) => format!("refused {} {:?} {error}", error.fault.code(), error.meant),
        }
    }

    #[test]
    fn every_message_of_the_corpus_is_taken_as_expected() {
        let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../corpus/mcp");
        let entries = std::fs::read_dir(corpus.join("envelope")).unwrap();
        let mut names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect::<Vec<_>>();
        names.sort();
        let mut found = String::new();
        for name in names {
            let text = std::fs::read(corpus.join("envelope").join(&name)).unwrap();
            writeln!(found, "{}: {}", name.trim_end_matches(".json"), outcome(text)).unwrap();
        }
        let expected = std::fs::read_to_string(corpus.join("envelope.expected")).unwrap_or_default();
        assert!(found == expected, "envelope.expected differs; found:\n{found}");
    }

    #[test]
    fn ids_compare_by_value_and_keep_their_spelling() {
        let ids = [r#""a""#, r#""\u0061""#, "1", r#""1""#, "-1", "\"\"", "\"😀\"", r#""\ud83d\ude00""#];
        let distinct = ids.iter().map(|text| id(text).unwrap()).collect::<HashSet<_>>();
        assert_eq!(distinct.len(), 6);
        for text in ids {
            assert_eq!(id(text).unwrap().json(), text);
        }
        assert_eq!(id("7"), Some(RawId::integer(7)));
        assert_eq!(id("7").unwrap().as_integer(), Some(7));
        assert_eq!(id(r#""\u0061""#).unwrap().as_text(), Some("a"));
        for text in ["null", "true", "1.0", "1e1", "-0", "9223372036854775808", "{}", "[]"] {
            assert_eq!(id(text), None, "{text}");
        }
        assert!(id(&format!("\"{}\"", "x".repeat(RPC_ID_BYTES_MAX - 2))).is_some());
        assert!(id(&format!("\"{}\"", "x".repeat(RPC_ID_BYTES_MAX - 1))).is_none());
    }

    #[test]
    fn parts_share_the_memory_of_the_message() {
        let message = parse(r#"{"jsonrpc":"2.0","id":1,"method":"m","params":{"arguments": {"a" : 1}}}"#).unwrap();
        let arguments = message.params().unwrap().at(&["arguments"]).unwrap();
        let shared = message.share(arguments);
        assert_eq!(shared, r#"{"a" : 1}"#);
        assert_eq!(shared.as_ptr(), arguments.bytes().as_ptr());
        assert_eq!(message.share(Raw::read_before(b"elsewhere")), "elsewhere");
        assert_eq!(message.result(), None);
        assert_eq!(message.error(), None);
    }

    #[test]
    fn a_message_under_another_id_is_otherwise_the_same() {
        let request = parse(" {\"id\" : \"a\" ,\"jsonrpc\":\"2.0\",\"x\":1.0, \"method\":\"m\"}\n").unwrap();
        let expected = " {\"id\" : 17 ,\"jsonrpc\":\"2.0\",\"x\":1.0, \"method\":\"m\"}\n";
        assert_eq!(request.with_id(&RawId::integer(17)), expected);
        assert_eq!(request.with_id(&id(r#""\u0062""#).unwrap()), expected.replace("17", r#""\u0062""#));
        let notification = parse(r#"{"jsonrpc":"2.0","method":"m"}"#).unwrap();
        assert_eq!(notification.with_id(&RawId::integer(17)), notification.bytes());
    }

    #[test]
    fn a_refusal_is_a_message_that_names_the_request() {
        for (text, expected_id) in [
            (r#"{"id":5,"jsonrpc":"2.0","method":"m","params":{"a":1,"a":2}}"#, json!(5)),
            (r#"{"jsonrpc":"2.0","method":"m","params":{"a":1,"a":2},"id":"\u0061"}"#, json!("a")),
            (r#"{"jsonrpc":"2.0","id":5,"method":"m","params":[1e9999]}"#, json!(5)),
            (r#"{"jsonrpc":"2.0","method":"m","params":[1e9999],"id":5}"#, Value::Null),
            (r#"{"jsonrpc":"2.0","id":5,"params":[1e9999],"method":"m"}"#, Value::Null),
            (r#"{"jsonrpc":"2.0","id":1,"\u0069d":2,"method":"m"}"#, Value::Null),
            (r#"{"jsonrpc":"2.0","id":1,"method":"m","id":"#, Value::Null),
            (r#"{"jsonrpc":"2.0","params":{"id":3},"method":""}"#, Value::Null),
            (r#"{"jsonrpc":"2.0","id":1,"method":"m","result":{}}"#, Value::Null),
            ("[]", Value::Null),
        ] {
            let refusal = parse(text).unwrap_err();
            let reply = parse(refusal.reply()).unwrap();
            let reply = serde_json::from_slice::<Value>(reply.bytes()).unwrap();
            assert_eq!(reply["id"], expected_id, "{text}");
            assert_eq!(reply["error"]["code"], refusal.fault.code());
            assert_eq!(reply["error"]["message"], refusal.to_string());
        }
    }

    #[test]
    fn a_refused_response_names_what_it_would_have_answered_and_its_reply_does_not() {
        for text in [
            r#"{"jsonrpc":"2.0","id":5,"result":{"a":1,"a":2}}"#,
            r#"{"jsonrpc":"2.0","result":{"a":1,"a":2},"id":5}"#,
            r#"{"jsonrpc":"2.0","id":5,"result":{"a":"#,
            r#"{"jsonrpc":"2.0","id":5,"error":{"code":1.5,"message":"m"}}"#,
        ] {
            let refusal = parse(text).unwrap_err();
            assert_eq!(refusal.meant, Meant::Response(RawId::integer(5)), "{text}");
            assert_eq!(parse(refusal.reply()).unwrap().id(), None, "{text}");
        }
    }

    #[test]
    fn a_message_over_the_limit_is_refused_before_it_is_read() {
        let limits = ReadLimits { bytes_max: 10, ..ReadLimits::REQUEST };
        let refusal = Envelope::parse(Bytes::from_static(b"{\"id\":1,\xff\xff\xff"), &limits).unwrap_err();
        assert_eq!(refusal.fault.code(), author::INVALID_REQUEST);
        assert_eq!(refusal.to_string(), "text longer than 10 bytes at byte 10; send less in one message");
        assert_eq!(refusal.meant, Meant::Unclear);
    }

    proptest! {
        #[test]
        fn members_in_any_order_and_spelling_make_the_same_message(
            params in prop::collection::btree_map("[a-z]{0,5}", any_value(), 0..5),
            extra in any_value(),
            number: i64,
            seed: u64,
        ) {
            let params = serde_json::to_value(params).unwrap();
            let value = json!({ "x": extra, "method": "tools/call", "id": number, "jsonrpc": "2.0", "params": params });
            let text = written(&value, seed);
            let message = parse(text.clone()).unwrap();
            prop_assert_eq!(message.id(), Some(&RawId::integer(number)));
            prop_assert_eq!(message.method(), Some("tools/call"));
            let found = serde_json::from_slice::<Value>(message.params().unwrap().bytes()).unwrap();
            prop_assert_eq!(&found, &params);
            prop_assert_eq!(message.bytes(), &text);
            let mut renamed = value.clone();
            renamed["id"] = json!("other");
            let other = message.with_id(&id("\"other\"").unwrap());
            prop_assert_eq!(serde_json::from_slice::<Value>(&other).unwrap(), renamed);
        }
    }
}
