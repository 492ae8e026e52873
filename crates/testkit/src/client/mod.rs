//! A load client for MCP (revision 2025-11-25): raw, cheap and small, so that what is measured is the other side.
//!
//! [`HttpSession`] keeps one connection and has one call in flight; [`StdioSession`] speaks to a child process and may have several. Neither follows
//! redirects, resumes streams or answers requests of the server: a test that needs those uses a real client.

mod http;
mod stdio;

use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

pub use http::{HttpSession, Target};
pub use stdio::StdioSession;

/// The revision that the client offers.
pub const REVISION: &str = "2025-11-25";

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The connection failed.
    #[error("connection: {0}")]
    Io(#[from] std::io::Error),
    /// The peer closed the connection.
    #[error("the peer closed the connection")]
    Closed,
    /// HTTP without an answer.
    #[error("HTTP status {status}: {body}")]
    Status {
        /// The status.
        status: u16,
        /// The start of the body.
        body: String,
    },
    /// What came is not HTTP or not MCP as this client reads it.
    #[error("malformed answer: {0}")]
    Malformed(&'static str),
}

/// What a call was answered with: the JSON text of the result or error, as it came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer<'a> {
    /// A result without `isError`.
    Done(&'a str),
    /// A result with `isError`.
    ToolError(&'a str),
    /// A JSON-RPC error.
    Refused(&'a str),
}

impl<'a> Answer<'a> {
    /// The JSON text of the result or error.
    #[must_use]
    pub const fn text(&self) -> &'a str {
        match self {
            Self::Done(text) | Self::ToolError(text) | Self::Refused(text) => text,
        }
    }
}

/// The parameters of `initialize`.
fn initialize_params() -> String {
    format!(
        r#"{{"protocolVersion":"{REVISION}","capabilities":{{}},"clientInfo":{{"name":"countersign-load","version":"{}"}}}}"#,
        env!("CARGO_PKG_VERSION")
    )
}

/// Writes a request to the end of `out`.
fn push_request(out: &mut Vec<u8>, id: u64, method: &str, params: &str) {
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    out.extend_from_slice(id.to_string().as_bytes());
    out.extend_from_slice(br#","method":""#);
    out.extend_from_slice(method.as_bytes());
    out.extend_from_slice(br#"","params":"#);
    out.extend_from_slice(params.as_bytes());
    out.push(b'}');
}

/// Writes a tool call to the end of `out`. The bytes of `arguments` go as they are.
fn push_call(out: &mut Vec<u8>, id: u64, tool: &str, arguments: &str) {
    out.extend_from_slice(br#"{"jsonrpc":"2.0","id":"#);
    out.extend_from_slice(id.to_string().as_bytes());
    out.extend_from_slice(br#","method":"tools/call","params":{"name":""#);
    out.extend_from_slice(tool.as_bytes());
    out.extend_from_slice(br#"","arguments":"#);
    out.extend_from_slice(arguments.as_bytes());
    out.extend_from_slice(b"}}");
}

const INITIALIZED: &str = r#"{"jsonrpc":"2.0","method":"notifications/initialized"}"#;

/// Reads a message: the id it answers, and the answer. `None` for a notification or a request.
fn read_answer(message: &[u8]) -> Result<Option<(u64, Answer<'_>)>, ClientError> {
    match read_plain(message) {
        Some(answer) => Ok(Some(answer)),
        None => read_any(message),
    }
}

/// The spelling that nearly every answer has, taken apart without parsing: under load the client must not be what is measured.
fn read_plain(message: &[u8]) -> Option<(u64, Answer<'_>)> {
    let text = std::str::from_utf8(message).ok()?;
    let (id, rest) = text.strip_prefix(r#"{"jsonrpc":"2.0","id":"#)?.split_once(',')?;
    let result = rest.strip_prefix(r#""result":"#)?.strip_suffix('}')?;
    // In a string its quotes would be escaped, so a result without these bytes is no error.
    if memchr::memmem::find(result.as_bytes(), br#""isError""#).is_some() {
        return None;
    }
    Some((id.parse().ok()?, Answer::Done(result)))
}

fn read_any(message: &[u8]) -> Result<Option<(u64, Answer<'_>)>, ClientError> {
    #[derive(Deserialize)]
    struct Message<'a> {
        #[serde(borrow, default)]
        error: Option<&'a RawValue>,
        #[serde(borrow, default)]
        id: Option<&'a RawValue>,
        #[serde(default)]
        method: Option<IgnoredAny>,
        #[serde(borrow, default)]
        result: Option<&'a RawValue>,
    }
    #[derive(Deserialize)]
    struct ToolResult {
        #[serde(default, rename = "isError")]
        is_error: bool,
    }
    let message: Message<'_> =
        serde_json::from_slice(message).map_err(|_| ClientError::Malformed("not a JSON-RPC message"))?;
    if message.method.is_some() {
        return Ok(None);
    }
    let id = message.id.and_then(|id| id.get().parse().ok()).ok_or(ClientError::Malformed("an id of nobody"))?;
    let answer = match (message.result.map(RawValue::get), message.error.map(RawValue::get)) {
        (Some(result), None) => {
            let is_error = serde_json::from_str::<ToolResult>(result).is_ok_and(|result| result.is_error);
            if is_error { Answer::ToolError(result) } else { Answer::Done(result) }
        }
        (None, Some(error)) => Answer::Refused(error),
        _ => return Err(ClientError::Malformed("neither result nor error")),
    };
    Ok(Some((id, answer)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_told_apart_in_every_spelling() {
        for (message, want) in [
            (r#"{"jsonrpc":"2.0","id":7,"result":{"content":[]}}"#, Some((7, Answer::Done(r#"{"content":[]}"#)))),
            (r#"{"id":7, "result":{"a":1}, "jsonrpc":"2.0"}"#, Some((7, Answer::Done(r#"{"a":1}"#)))),
            (r#"{"jsonrpc":"2.0","id":7,"result":{"isError":false}}"#, Some((7, Answer::Done(r#"{"isError":false}"#)))),
            (
                r#"{"jsonrpc":"2.0","id":7,"result":{"isError":true}}"#,
                Some((7, Answer::ToolError(r#"{"isError":true}"#))),
            ),
            (
                r#"{"jsonrpc":"2.0","id":7,"result":{"isError" : true}}"#,
                Some((7, Answer::ToolError(r#"{"isError" : true}"#))),
            ),
            (r#"{"jsonrpc":"2.0","id":7,"error":{"code":1}}"#, Some((7, Answer::Refused(r#"{"code":1}"#)))),
            (r#"{"jsonrpc":"2.0","id":7,"method":"ping"}"#, None),
            (r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{}}"#, None),
        ] {
            assert_eq!(read_answer(message.as_bytes()).unwrap(), want, "{message}");
        }
        for broken in ["", "{}", r#"{"jsonrpc":"2.0","id":null,"result":{}}"#, r#"{"jsonrpc":"2.0","id":7}"#] {
            assert!(read_answer(broken.as_bytes()).is_err(), "{broken}");
        }
    }
}
