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
        result.insert("structuredContent".to_owned(), Value::Object(structured.clone()));
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
    let members = members.iter().map(|(key, value)| format!("{}:{value}", Value::from(key.as_str())));
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

#[cfg(test)]
mod tests {
    use super::super::envelope::{Envelope, EnvelopeKind};
    use super::*;
    use crate::limits::ReadLimits;

    fn members(value: Value) -> Map<String, Value> {
        serde_json::from_value(value).unwrap()
    }

    #[test]
    fn what_we_write_is_what_we_would_take() {
        let id = RawId::read(Raw::parse(br#""\u0061\n\"""#, &ReadLimits::REQUEST).unwrap()).unwrap();
        let some = members(json!({ "a\"\n": [1, "\u{0}"], "reason": "argument_out_of_bounds" }));
        let raw = Raw::parse(b"{\"n\":1.0, \"big\":9007199254740993}", &ReadLimits::REQUEST).unwrap();
        let cases = [
            (
                error_reply(Some(&id), -32603, "it \"broke\"", Some(&json!({ "at": 1 }))),
                json!({ "jsonrpc": "2.0", "id": "a\n\"", "error": { "code": -32603, "message": "it \"broke\"", "data": { "at": 1 } } }),
            ),
            (
                error_reply(None, PARSE_ERROR, "m", None),
                json!({ "jsonrpc": "2.0", "id": null, "error": { "code": -32700, "message": "m" } }),
            ),
            (empty_reply(&id), json!({ "jsonrpc": "2.0", "id": "a\n\"", "result": {} })),
            (result_reply(&id, &some), json!({ "jsonrpc": "2.0", "id": "a\n\"", "result": some })),
            (
                tool_error_reply(&RawId::integer(-3), "denied:\n\"x\"", Some(&some)),
                json!({ "jsonrpc": "2.0", "id": -3, "result": {
                    "content": [{ "type": "text", "text": "denied:\n\"x\"" }], "isError": true, "structuredContent": some
                } }),
            ),
            (
                tool_error_reply(&RawId::integer(1), "t", None),
                json!({ "jsonrpc": "2.0", "id": 1, "result": { "content": [{ "type": "text", "text": "t" }], "isError": true } }),
            ),
            (
                request(&id, "tools/\"list\"", None),
                json!({ "jsonrpc": "2.0", "id": "a\n\"", "method": "tools/\"list\"" }),
            ),
            (
                request(&id, "ping", Some(&some)),
                json!({ "jsonrpc": "2.0", "id": "a\n\"", "method": "ping", "params": some }),
            ),
            (notification("n/x", None), json!({ "jsonrpc": "2.0", "method": "n/x" })),
            (notification("n/x", Some(&some)), json!({ "jsonrpc": "2.0", "method": "n/x", "params": some })),
            (
                forwarded_reply(&id, raw),
                json!({ "jsonrpc": "2.0", "id": "a\n\"", "result": { "n": 1.0, "big": 9_007_199_254_740_993_u64 } }),
            ),
        ];
        for (bytes, expected) in cases {
            assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap(), expected);
            assert!(!bytes.contains(&b'\n'), "{expected}");
            Envelope::parse(bytes, &ReadLimits::REQUEST).unwrap();
        }
    }

    #[test]
    fn a_forwarded_result_keeps_its_bytes_and_the_id_its_spelling() {
        let id = RawId::read(Raw::parse(br#""\u0061""#, &ReadLimits::REQUEST).unwrap()).unwrap();
        let raw = Raw::parse(b"{\"n\": 1.0}", &ReadLimits::REQUEST).unwrap();
        let reply = Envelope::parse(forwarded_reply(&id, raw), &ReadLimits::RESPONSE).unwrap();
        assert_eq!(reply.bytes(), r#"{"jsonrpc":"2.0","id":"\u0061","result":{"n": 1.0}}"#);
        assert_eq!(*reply.kind(), EnvelopeKind::Response { id });
    }
}
