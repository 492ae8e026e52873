//! JSON-RPC messages as the test upstream reads and writes them. Not strict: what a call may look like is the gateway's business.

use std::borrow::Cow;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;

/// The request was not JSON.
pub(super) const PARSE_ERROR: i32 = -32700;
/// The request is for nobody here.
pub(super) const METHOD_NOT_FOUND: i32 = -32601;
/// The parameters do not fit the method.
pub(super) const INVALID_PARAMS: i32 = -32602;
/// A resource that does not exist.
pub(super) const RESOURCE_NOT_FOUND: i32 = -32002;

/// One message from the client.
#[derive(Debug, Deserialize)]
pub(super) struct Message<'a> {
    /// Absent on notifications.
    #[serde(borrow, default)]
    pub(super) id: Option<&'a RawValue>,
    /// Absent on answers.
    #[serde(borrow, default)]
    pub(super) method: Option<Cow<'a, str>>,
    /// The parameters.
    #[serde(borrow, default)]
    pub(super) params: Option<&'a RawValue>,
    /// What the client answered to a request of ours.
    #[serde(borrow, default)]
    pub(super) result: Option<&'a RawValue>,
    /// How the client refused a request of ours.
    #[serde(borrow, default)]
    pub(super) error: Option<&'a RawValue>,
}

impl<'a> Message<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(bytes)
    }

    /// The parameters as `T`; absent ones are read as an empty object.
    pub(super) fn read<T: Deserialize<'a>>(&self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.params.map_or("{}", RawValue::get))
    }
}

/// The answer to `id` with `result`, which is JSON text in pieces.
pub(super) fn answer(id: &RawValue, result: &[&str]) -> Bytes {
    let bytes = result.iter().map(|piece| piece.len()).sum::<usize>();
    let mut out = Vec::with_capacity(bytes + id.get().len() + 40);
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    out.extend_from_slice(id.get().as_bytes());
    out.extend_from_slice(br#","result":"#);
    for piece in result {
        out.extend_from_slice(piece.as_bytes());
    }
    out.push(b'}');
    out.into()
}

/// The refusal of `id`.
pub(super) fn refusal(id: Option<&RawValue>, code: i32, why: &str) -> Bytes {
    let id = id.map_or("null", RawValue::get);
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":{}}}}}"#, quoted(why)).into()
}

/// A notification or a request of ours; `id` makes it a request.
pub(super) fn ours(id: Option<u64>, method: &str, params: &str) -> Bytes {
    let id = id.map(|id| format!(r#""id":"up-{id}","#)).unwrap_or_default();
    format!(r#"{{"jsonrpc":"2.0",{id}"method":"{method}","params":{params}}}"#).into()
}

/// A tool's result with one block of text.
pub(super) fn text_result(text: &str) -> String {
    format!(r#"{{"content":[{{"type":"text","text":{}}}]}}"#, quoted(text))
}

/// `text` as a JSON string.
pub(super) fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
