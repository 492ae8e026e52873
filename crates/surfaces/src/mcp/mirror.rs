//! The headers that repeat parts of a message (MCP revision 2026-07-28, Streamable HTTP, Request Metadata).
//!
//! Nothing is decided by them: they are held to the body on the way in ([`check`]) and written anew from the body on the way out ([`headers`]). Headers for arguments
//! (`Mcp-Param-*`) are the server's to check, which knows what they repeat; they pass ([`carried`]), and follow where the arguments become others for the tool ([`repeat`]).

use std::borrow::Cow;
use std::collections::BTreeMap;

use governance::decide::PROTOCOL_REQUESTS;
use http::header::{HeaderMap, HeaderName, HeaderValue};

use super::claims::named_revision;
use super::codec::{Envelope, Raw, RawId, author, decode_header, encode_header};
use super::era::Revision;
use super::streamable::{REVISION, single};

const METHOD: HeaderName = HeaderName::from_static("mcp-method");
const NAME: HeaderName = HeaderName::from_static("mcp-name");
/// How headers begin that repeat arguments.
pub(super) const PARAM: &str = "mcp-param-";

/// Headers and body say different things.
pub(super) const MISMATCH: i64 = -32020;

/// The parameter that `Mcp-Name` repeats for a method, and whether the header must be there.
fn named_by(method: &str) -> Option<(&'static str, Presence)> {
    match method {
        "tools/call" | "prompts/get" => Some(("name", Presence::Required)),
        "resources/read" => Some(("uri", Presence::Required)),
        // The extension for tasks.
        "tasks/get" | "tasks/update" | "tasks/cancel" => Some(("taskId", Presence::Optional)),
        _ => None,
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    Optional,
    Required,
}

/// A request whose headers are not what its body says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mismatch(String);

impl Mismatch {
    /// The answer to the request.
    pub(super) fn reply(&self, id: Option<&RawId>) -> bytes::Bytes {
        author::error_reply(id, MISMATCH, &self.0, None)
    }
}

/// Holds the headers of a request to its body.
pub(super) fn check(headers: &HeaderMap, envelope: &Envelope) -> Result<(), Mismatch> {
    let method = envelope.method().unwrap_or_default();
    let revision = named_revision(envelope).and_then(Raw::text);
    agree(headers, &REVISION, revision.as_deref(), Presence::Required, plain)?;
    agree(headers, &METHOD, Some(method), Presence::Required, plain)?;
    match named_by(method) {
        Some((parameter, presence)) => {
            let name = envelope.params().and_then(|params| params.at(&[parameter])).and_then(Raw::text);
            // A request without the parameter is malformed, whatever its headers say, and is told so.
            if name.is_some() || headers.contains_key(NAME) {
                agree(headers, &NAME, name.as_deref(), presence, decode_header)?;
            }
            Ok(())
        }
        None => Ok(()),
    }
}

/// A value that is never encoded.
fn plain(header: &[u8]) -> Option<Cow<'_, str>> {
    std::str::from_utf8(header).ok().map(Cow::Borrowed)
}

fn agree(
    headers: &HeaderMap,
    name: &HeaderName,
    said: Option<&str>,
    presence: Presence,
    read: fn(&[u8]) -> Option<Cow<'_, str>>,
) -> Result<(), Mismatch> {
    let header = single(headers, name).map_err(|_| Mismatch(format!("send one `{name}`")))?;
    let Some(header) = header else {
        return match presence {
            Presence::Optional => Ok(()),
            Presence::Required => Err(Mismatch(format!("`{name}` is missing"))),
        };
    };
    match read(header.as_bytes()) {
        Some(header) if said.is_none_or(|said| said == header) => Ok(()),
        Some(_) => Err(Mismatch(format!("`{name}` is not what the body says"))),
        None => Err(Mismatch(format!("`{name}` cannot be read"))),
    }
}

/// The headers that repeat a message, from its body.
pub(super) fn headers(envelope: &Envelope, revision: Revision) -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(REVISION, HeaderValue::from_static(revision.name()));
    let method = envelope.method().unwrap_or_default();
    // A method that no header can carry has none: the server will refuse what it cannot be.
    if let Ok(method) = HeaderValue::from_str(method) {
        headers.insert(METHOD, method);
    }
    if let Some((parameter, _)) = named_by(method)
        && let Some(name) = envelope.params().and_then(|params| params.at(&[parameter])).and_then(Raw::text)
        && let Ok(name) = HeaderValue::from_str(&encode_header(&name))
    {
        headers.insert(NAME, name);
    }
    headers
}

/// The headers that repeat what only the server knows: arguments, and the name in a request that the protocol does not define.
pub(super) fn carried<'h>(
    headers: &'h HeaderMap,
    envelope: &Envelope,
) -> impl Iterator<Item = (&'h HeaderName, &'h HeaderValue)> {
    let carries_name = !PROTOCOL_REQUESTS.contains(&envelope.method().unwrap_or_default());
    headers.iter().filter(move |(name, _)| name.as_str().starts_with(PARAM) || (carries_name && **name == NAME))
}

/// Has the headers that repeat arguments say what the arguments became: `turned` has texts of arguments, each with what it is for the tool. Which header repeats which argument only
/// the server knows; equal texts became equal ones.
pub(super) fn repeat(headers: &mut HeaderMap, turned: &BTreeMap<String, String>) {
    for (name, value) in headers.iter_mut() {
        let repeats = name.as_str().starts_with(PARAM).then(|| decode_header(value.as_bytes())).flatten();
        let Some(text) = repeats.and_then(|text| turned.get(&*text)) else { continue };
        if let Ok(mut turned) = HeaderValue::from_str(&encode_header(text)) {
            turned.set_sensitive(true);
            *value = turned;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::ReadLimits;

    fn message(method: &str, params: &str) -> Envelope {
        let meta = r#""_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientCapabilities":{}}"#;
        let text = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"{method}","params":{{{params}{meta}}}}}"#);
        Envelope::parse(text.into(), &ReadLimits::REQUEST).unwrap()
    }

    fn said(lines: &[(&str, &str)]) -> HeaderMap {
        let parsed = |(name, value): &(&str, &str)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap());
        lines.iter().map(parsed).fold(HeaderMap::new(), |mut headers, (name, value): (_, HeaderValue)| {
            headers.append(name, value);
            headers
        })
    }

    #[test]
    fn headers_are_held_to_the_body() {
        let revision = ("MCP-Protocol-Version", "2026-07-28");
        let call = || message("tools/call", r#""name":"send","#);
        let cases = [
            (call(), vec![revision, ("Mcp-Method", "tools/call"), ("Mcp-Name", "send")], "ok"),
            (call(), vec![revision, ("mcp-method", "tools/call"), ("mcp-name", "=?base64?c2VuZA==?=")], "ok"),
            (call(), vec![revision, ("Mcp-Method", "tools/call")], "`mcp-name` is missing"),
            (call(), vec![revision, ("Mcp-Name", "send")], "`mcp-method` is missing"),
            (call(), vec![("Mcp-Method", "tools/call"), ("Mcp-Name", "send")], "`mcp-protocol-version` is missing"),
            (call(), vec![revision, ("Mcp-Method", "tools/call"), ("Mcp-Name", "Send")], "`mcp-name` is not what"),
            (call(), vec![revision, ("Mcp-Method", "Tools/call"), ("Mcp-Name", "send")], "`mcp-method` is not what"),
            (call(), vec![revision, ("Mcp-Method", "tools/call"), ("Mcp-Name", "=?base64?c2VuZA?=")], "cannot be read"),
            (
                call(),
                vec![revision, ("Mcp-Method", "tools/call"), ("Mcp-Name", "send"), ("Mcp-Name", "send")],
                "send one `mcp-name`",
            ),
            (
                call(),
                vec![("MCP-Protocol-Version", "2025-11-25"), ("Mcp-Method", "tools/call"), ("Mcp-Name", "send")],
                "`mcp-protocol-version` is not what",
            ),
            (message("tools/list", ""), vec![revision, ("Mcp-Method", "tools/list"), ("Mcp-Name", "x")], "ok"),
            (message("tools/call", ""), vec![revision, ("Mcp-Method", "tools/call")], "ok"),
            (
                message("resources/read", r#""uri":"file:///ä","#),
                vec![revision, ("Mcp-Method", "resources/read"), ("Mcp-Name", "=?base64?ZmlsZTovLy/DpA==?=")],
                "ok",
            ),
            (message("tasks/get", r#""taskId":"t","#), vec![revision, ("Mcp-Method", "tasks/get")], "ok"),
            (
                message("tasks/get", r#""taskId":"t","#),
                vec![revision, ("Mcp-Method", "tasks/get"), ("Mcp-Name", "u")],
                "`mcp-name` is not what",
            ),
        ];
        for (envelope, lines, expected) in cases {
            let checked = check(&said(&lines), &envelope);
            let checked = checked.map_or_else(|Mismatch(text)| text, |()| "ok".to_owned());
            assert!(checked.contains(expected), "{lines:?}: {checked}");
        }
    }

    #[test]
    fn a_name_goes_on_where_only_the_server_knows_what_it_repeats() {
        let lines =
            said(&[("Mcp-Name", "skill://a"), ("Mcp-Param-Region", "eu"), ("Mcp-Method", "x"), ("X-Other", "y")]);
        for (method, expected) in [
            ("skills/get", vec!["mcp-name", "mcp-param-region"]),
            ("tools/list", vec!["mcp-param-region"]),
            ("tools/call", vec!["mcp-param-region"]),
        ] {
            let envelope = message(method, "");
            let mut names: Vec<_> = carried(&lines, &envelope).map(|(name, _)| name.as_str()).collect();
            names.sort_unstable();
            assert_eq!(names, expected, "{method}");
        }
    }

    #[test]
    fn headers_of_arguments_follow_what_the_tool_gets() {
        let mut lines = said(&[
            ("Mcp-Param-To", "tok_pii_person_a"),
            ("Mcp-Param-To", "=?base64?dG9rX3BpaV9wZXJzb25fYQ==?="),
            ("Mcp-Param-Cc", "tok_pii_person_b"),
            ("Mcp-Param-Text", "to tok_pii_person_a"),
            ("Mcp-Name", "tok_pii_person_a"),
            ("X-Other", "tok_pii_person_a"),
        ]);
        let turned = [("tok_pii_person_a", "Zoë"), ("tok_pii_person_c", "Ann")];
        repeat(&mut lines, &turned.map(|(from, to)| (from.to_owned(), to.to_owned())).into());
        let zoe = "=?base64?Wm/Dqw==?=";
        for (name, values) in [
            ("mcp-param-to", vec![zoe, zoe]),
            ("mcp-param-cc", vec!["tok_pii_person_b"]),
            ("mcp-param-text", vec!["to tok_pii_person_a"]),
            ("mcp-name", vec!["tok_pii_person_a"]),
            ("x-other", vec!["tok_pii_person_a"]),
        ] {
            let found: Vec<_> = lines.get_all(name).iter().map(|value| value.to_str().unwrap()).collect();
            assert_eq!(found, values, "{name}");
        }
    }

    #[test]
    fn what_is_written_for_the_upstream_is_what_a_check_accepts() {
        for (method, params) in
            [("tools/call", r#""name":" s\n","#), ("resources/read", r#""uri":"a://ü","#), ("prompts/list", "")]
        {
            let envelope = message(method, params);
            let headers = headers(&envelope, Revision::V2026_07_28);
            assert_eq!(check(&headers, &envelope), Ok(()), "{method}");
        }
    }
}
