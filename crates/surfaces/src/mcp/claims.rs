//! What a request of the stateless era says about its sender (revision 2026-07-28, Base Protocol, `_meta`): revision, capabilities, and who it is.
//!
//! Read from the body alone. A request that names no revision in `_meta` belongs to the era of handshakes.

use serde_json::{Value, json};

use super::codec::{Envelope, Raw, RawId, RawObject, author};
use super::era::{self, Era, Revision};
use crate::limits::REVISION_CHARS_MAX;

const CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
const INFO: &str = "io.modelcontextprotocol/clientInfo";
const REVISION: &str = "io.modelcontextprotocol/protocolVersion";

/// The revision is not one that is spoken here.
pub(super) const UNSUPPORTED_REVISION: i64 = -32022;

/// What a request says about its sender.
#[derive(Clone, Copy, Debug)]
pub(super) struct Claims<'a> {
    /// What its client can do.
    pub(super) capabilities: RawObject<'a>,
    /// Name and version of its client, as the client says.
    pub(super) info: Option<Raw<'a>>,
    pub(super) revision: Revision,
}

/// Why a request cannot be taken as one of the stateless era.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Unfit {
    code: i64,
    data: Option<Value>,
    text: String,
}

impl Unfit {
    fn params(text: &str) -> Self {
        Self { code: author::INVALID_PARAMS, data: None, text: text.to_owned() }
    }

    fn revision(asked: &str) -> Self {
        let asked: String = asked.chars().take(REVISION_CHARS_MAX).collect();
        Self {
            code: UNSUPPORTED_REVISION,
            data: Some(json!({ "requested": asked, "supported": era::spoken(Era::Stateless) })),
            text: format!("this protocol version is not spoken here without a handshake: `{asked}`"),
        }
    }

    /// Whether the request says all that it must, and only its revision does not fit.
    pub(super) fn is_complete(&self) -> bool {
        self.code == UNSUPPORTED_REVISION
    }

    /// The answer to the request.
    pub(super) fn reply(&self, id: &RawId) -> bytes::Bytes {
        author::error_reply(Some(id), self.code, &self.text, self.data.as_ref())
    }
}

/// The revision that a request names in its body, as it is written there; `None` where it names none.
pub(super) fn named_revision(envelope: &Envelope) -> Option<Raw<'_>> {
    envelope.params()?.at(&["_meta", REVISION])
}

/// Reads what a request says about its sender; `Ok(None)` where it belongs to the era of handshakes.
pub(super) fn read(envelope: &Envelope) -> Result<Option<Claims<'_>>, Unfit> {
    if named_revision(envelope).is_none() {
        return Ok(None);
    }
    demand(envelope).map(Some)
}

/// Reads what a request says about its sender, which it must say.
pub(super) fn demand(envelope: &Envelope) -> Result<Claims<'_>, Unfit> {
    let meta = envelope.params().and_then(|params| params.at(&["_meta"])).and_then(Raw::object);
    let [capabilities, info, revision] = meta.map(|meta| meta.pick([CAPABILITIES, INFO, REVISION])).unwrap_or_default();
    let revision = revision.ok_or_else(|| Unfit::params(&format!("`_meta` needs `{REVISION}`")))?;
    let named = revision.text().ok_or_else(|| Unfit::params(&format!("`{REVISION}` must be a text")))?;
    let capabilities = capabilities
        .and_then(Raw::object)
        .ok_or_else(|| Unfit::params(&format!("`_meta` needs `{CAPABILITIES}`, an object")))?;
    let revision = Revision::parse_of(Era::Stateless, &named).ok_or_else(|| Unfit::revision(&named))?;
    Ok(Claims { capabilities, info, revision })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::ReadLimits;

    #[test]
    fn a_request_says_what_it_speaks_or_is_told_what_is_missing() {
        let fit =
            r#""io.modelcontextprotocol/clientCapabilities":{},"io.modelcontextprotocol/protocolVersion":"2026-07-28""#;
        let cases = [
            (format!(r#"{{"_meta":{{{fit}}}}}"#), "2026-07-28"),
            ("{}".to_owned(), "handshake"),
            (r#"{"_meta":{"progressToken":1}}"#.to_owned(), "handshake"),
            (
                r#"{"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28"}}"#.to_owned(),
                "-32602 clientCapabilities",
            ),
            (fit.replace("{}", "[]"), "-32602 clientCapabilities"),
            (fit.replace("\"2026-07-28\"", "1"), "-32602 must be a text"),
            (fit.replace("2026-07-28", "2025-11-25"), "-32022 2025-11-25"),
            (fit.replace("2026-07-28", "v999.0.0"), r#"-32022 "requested":"v999.0.0","supported":["2026-07-28"]"#),
        ];
        for (params, expected) in cases {
            let params = if params.starts_with('{') { params } else { format!(r#"{{"_meta":{{{params}}}}}"#) };
            let message = format!(r#"{{"jsonrpc":"2.0","id":1,"method":"server/discover","params":{params}}}"#);
            let envelope = Envelope::parse(message.into(), &ReadLimits::REQUEST).unwrap();
            let read = match read(&envelope) {
                Ok(Some(claims)) => claims.revision.name().to_owned(),
                Ok(None) => "handshake".to_owned(),
                Err(unfit) => String::from_utf8(unfit.reply(envelope.id().unwrap()).to_vec()).unwrap(),
            };
            for part in expected.split(' ').filter(|part| !part.is_empty()) {
                assert!(read.contains(part), "{params}: {read} has no {part}");
            }
        }
    }
}
