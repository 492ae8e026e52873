//! Messages that are our own: errors, refusals, empty results, and the requests and notifications a gateway must send.
//!
//! What an agent or upstream wrote is never rebuilt here; it is forwarded as bytes or changed by [`super::Splice`].
//! Every function returns one line of JSON.

use bytes::Bytes;
use serde_json::{Map, Value, json};

use super::envelope::RawId;
use super::raw::Raw;

/// The text is not JSON.
pub const PARSE_ERROR: i64 = -32700;
/// The JSON is not a message that we take.
pub const INVALID_REQUEST: i64 = -32600;
/// There is no such method.
pub const METHOD_NOT_FOUND: i64 = -32601;
/// The method does not take these parameters.
pub const INVALID_PARAMS: i64 = -32602;
/// Something failed on our side.
pub const INTERNAL_ERROR: i64 = -32603;

/// An error response; `None` says `"id":null`, for a message whose id could not be read.
pub fn error_reply(id: Option<&RawId>, code: i64, message: &str, data: Option<&Value>) -> Bytes {
    let mut error = json!({ "code": code, "message": message });
    if let (Value::Object(error), Some(data)) = (&mut error, data) {
        error.insert("data".to_owned(), data.clone());
    }
    let id = id.map_or("null".into(), RawId::json);
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{error}}}"#).into()
}

/// A result without content.
pub fn empty_reply(id: &RawId) -> Bytes {
    reply(id, "{}")
}

/// A result.
pub fn result_reply(id: &RawId, result: &Map<String, Value>) -> Bytes {
    reply(id, &object(result))
}

/// A tool result that is an error: `text` for the model to read, `structured` for the host.
pub fn tool_error_reply(id: &RawId, text: &str, structured: Option<&Map<String, Value>>) -> Bytes {
    let mut result = json!({ "content": [{ "type": "text", "text": text }], "isError": true });
    if let (Value::Object(result), Some(structured)) = (&mut result, structured) {
        result.insert(
            "structuredContent".to_owned(),
            Value::Object(structured.clone()),
        );
    }
    reply(id, &result.to_string())
}

/// A request. `params` must be an object, if any.
pub fn request(id: &RawId, method: &str, params: Option<&Map<String, Value>>) -> Bytes {
    let id = id.json();
    let method = Value::from(method);
    match params {
        Some(params) => {
            let params = object(params);
            format!(r#"{{"jsonrpc":"2.0","id":{id},"method":{method},"params":{params}}}"#).into()
        }
        None => format!(r#"{{"jsonrpc":"2.0","id":{id},"method":{method}}}"#).into(),
    }
}

/// A notification.
pub fn notification(method: &str, params: Option<&Map<String, Value>>) -> Bytes {
    let method = Value::from(method);
    match params {
        Some(params) => {
            let params = object(params);
            format!(r#"{{"jsonrpc":"2.0","method":{method},"params":{params}}}"#).into()
        }
        None => format!(r#"{{"jsonrpc":"2.0","method":{method}}}"#).into(),
    }
}

/// A result whose exact bytes another message carried, for example a recorded outcome.
pub fn forwarded_reply(id: &RawId, result: Raw<'_>) -> Bytes {
    let id = id.json();
    let mut bytes = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":"#).into_bytes();
    bytes.extend_from_slice(result.bytes());
    bytes.push(b'}');
    bytes.into()
}

fn reply(id: &RawId, result: &str) -> Bytes {
    let id = id.json();
    format!(r#"{{"jsonrpc":"2.0","id":{id},"result":{result}}}"#).into()
}

fn object(members: &Map<String, Value>) -> String {
    let members = members
        .iter()
        .map(|(key, value)| format!("{}:{value}", Value::from(key.as_str())));
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}
