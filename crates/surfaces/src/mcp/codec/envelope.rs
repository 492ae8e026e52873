//! One JSON-RPC 2.0 message, read once and strictly, with its original bytes.
//!
//! The envelope knows the rules of JSON-RPC 2.0 as MCP narrows them (revision 2025-11-25, Base Protocol, Messages): an
//! id is a string or an integer, `params` and `result` are objects, there are no batches. It knows no method. Members
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
use crate::limits::{RPC_ID_BYTES_MAX, RPC_METHOD_BYTES_MAX, ReadLimits};

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
            Ok(()) if bytes.get(skip_space(&bytes, 0)) != Some(&b'{') => {
                Err(EnvelopeFault::NotAnObject)
            }
            Ok(()) => found.kind(&bytes, id.clone()),
        };
        match shaped {
            Ok((kind, payload_at)) => Ok(Self {
                kind,
                id_at: found.id.unwrap_or_default(),
                payload_at: payload_at.unwrap_or_default(),
                bytes,
            }),
            Err(fault) => Err(EnvelopeError {
                id: id.ok().flatten(),
                fault,
            }),
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
            EnvelopeKind::Request { method, .. } | EnvelopeKind::Notification { method } => {
                Some(method)
            }
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
        self.bytes
            .get(self.payload_at.clone())
            .filter(|bytes| !bytes.is_empty())
            .map(Raw::read_before)
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
    id_is_repeated: bool,
    method: Option<Range<usize>>,
    params: Option<Range<usize>>,
    result: Option<Range<usize>>,
    error: Option<Range<usize>>,
}

impl Found {
    fn take(&mut self, text: &[u8], key: Range<usize>, value: Range<usize>) {
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
        // The reader refuses the message if any is there twice; this is for the id of that refusal.
        if key == "id" && slot.is_some() {
            self.id_is_repeated = true;
        }
        *slot = Some(value);
    }

    /// The id if it can be read without doubt: `None` if absent or `null`.
    fn id(&self, text: &[u8]) -> Result<Option<RawId>, EnvelopeFault> {
        let Some(at) = self.id.clone() else {
            return Ok(None);
        };
        let offset = at.start;
        let raw = Raw::read_before(text.get(at).unwrap_or_default());
        if self.id_is_repeated || raw.shape() == Shape::Null {
            return Ok(None);
        }
        RawId::read(raw)
            .map(Some)
            .ok_or(EnvelopeFault::Id { offset })
    }

    fn kind(
        &self,
        text: &[u8],
        id: Result<Option<RawId>, EnvelopeFault>,
    ) -> Result<(EnvelopeKind, Option<Range<usize>>), EnvelopeFault> {
        let view = |at: &Range<usize>| Raw::read_before(text.get(at.clone()).unwrap_or_default());
        match &self.jsonrpc {
            Some(at) if view(at).is_text("2.0") => (),
            at => {
                return Err(EnvelopeFault::Version {
                    offset: at.as_ref().map_or(0, |at| at.start),
                });
            }
        }
        let id = id?;
        let id_is_null = self.id.is_some() && id.is_none();
        match (&self.method, &self.params, &self.result, &self.error) {
            (Some(at), params, None, None) => {
                let method = view(at)
                    .text()
                    .filter(|method| (1..=RPC_METHOD_BYTES_MAX).contains(&method.len()));
                let method = method
                    .ok_or(EnvelopeFault::Method { offset: at.start })?
                    .into();
                self.object_or_absent(text, params, "params")?;
                let kind = match id {
                    Some(id) => EnvelopeKind::Request { id, method },
                    None if id_is_null => {
                        return Err(EnvelopeFault::Id {
                            offset: self.id_offset(),
                        });
                    }
                    None => EnvelopeKind::Notification { method },
                };
                Ok((kind, params.clone()))
            }
            (None, None, result @ Some(_), None) => {
                self.object_or_absent(text, result, "result")?;
                let id = id.ok_or(EnvelopeFault::Id {
                    offset: self.id_offset(),
                })?;
                Ok((EnvelopeKind::Response { id }, result.clone()))
            }
            (None, None, None, Some(at)) => {
                let [code, message] = view(at)
                    .object()
                    .map(|error| error.pick(["code", "message"]))
                    .unwrap_or_default();
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
                Err(EnvelopeFault::NotAnObjectMember {
                    member,
                    offset: at.start,
                })
            }
            _ => Ok(()),
        }
    }

    fn id_offset(&self) -> usize {
        self.id.as_ref().map_or(0, |at| at.start)
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

/// Why bytes are not a message that we take, and for which request that must be said.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{fault}")]
pub struct EnvelopeError {
    /// The id, where it was read without doubt before or despite the fault.
    pub id: Option<RawId>,
    /// What is wrong.
    #[source]
    pub fault: EnvelopeFault,
}

impl EnvelopeError {
    /// The error response that tells the sender.
    pub fn reply(&self) -> Bytes {
        author::error_reply(
            self.id.as_ref(),
            self.fault.code(),
            &self.fault.to_string(),
            None,
        )
    }
}

/// What can be wrong with a message.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum EnvelopeFault {
    /// Not JSON, or JSON that two readers could understand differently.
    #[error(transparent)]
    Unreadable(StrictError),
    /// A batch; only revision 2025-03-26 has them.
    #[error(
        "an array of messages; send each message by itself, batches ended with revision 2025-06-18"
    )]
    Batch,
    /// A string, number, boolean or null.
    #[error("the message is not an object; send a JSON-RPC 2.0 message")]
    NotAnObject,
    /// `jsonrpc` is missing or is not `"2.0"`.
    #[error(
        "`jsonrpc` at byte {offset} is not `\"2.0\"`; say `\"jsonrpc\": \"2.0\"` in every message"
    )]
    Version {
        /// Where its value is, or 0 if there is none.
        offset: usize,
    },
    /// The id is missing where there must be one, or not a string or integer.
    #[error(
        "`id` at byte {offset} is not an id; use a string of at most {RPC_ID_BYTES_MAX} bytes or a 64-bit integer"
    )]
    Id {
        /// Where its value is, or 0 if there is none.
        offset: usize,
    },
    /// The method is not a string, is empty or too long.
    #[error(
        "`method` at byte {offset} is not a name; use a string of 1 to {RPC_METHOD_BYTES_MAX} bytes"
    )]
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
    #[error(
        "`error` at byte {offset} is not an error object; give it an integer `code` and a string `message`"
    )]
    ErrorMember {
        /// Where its value is.
        offset: usize,
    },
    /// Neither `method`, `result` nor `error`.
    #[error("the message has no `method`, `result` or `error`; send exactly one of them")]
    NoKind,
    /// More than one of `method` (with `params`), `result` and `error`.
    #[error(
        "the message is request and response, or result and error, at once; send exactly one of them"
    )]
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
