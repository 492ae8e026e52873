//! What both sides of Streamable HTTP share (MCP revision 2025-11-25, Transports): header names, media types, and reading a body within bounds.

use bytes::{Bytes, BytesMut};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};

/// The session that a message belongs to.
pub(super) const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
/// The protocol revision that the handshake settled on.
pub(super) const REVISION: HeaderName = HeaderName::from_static("mcp-protocol-version");
/// The event after which a stream goes on.
pub(super) const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The media type of one message.
pub(super) const JSON: HeaderValue = HeaderValue::from_static("application/json");
/// The media type of a stream of messages.
pub(super) const EVENT_STREAM: HeaderValue = HeaderValue::from_static("text/event-stream");

/// Whether a `Content-Type` says `kind`, whatever its parameters.
pub(super) fn is_media_type(value: Option<&HeaderValue>, kind: &HeaderValue) -> bool {
    let essence = value.and_then(|value| value.as_bytes().split(|byte| *byte == b';').next());
    essence.is_some_and(|essence| essence.trim_ascii().eq_ignore_ascii_case(kind.as_bytes()))
}

/// The only value of a header; `Err` where there are several, which two readers may take differently.
pub(super) fn single<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Result<Option<&'a HeaderValue>, Repeated> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (value, None) => Ok(value),
        (_, Some(_)) => Err(Repeated),
    }
}

/// A header that must not be there twice is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Repeated;

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    #[error("the body broke off: {0}")]
    Broken(#[from] hyper::Error),
    #[error("the body did not arrive in time")]
    Late,
    #[error("the body is larger than {bytes_max} bytes")]
    TooLarge { bytes_max: usize },
}

/// Reads a whole body of at most `bytes_max` bytes. What comes in one piece, as most messages do, is not copied.
pub(super) async fn read_body(body: &mut Incoming, bytes_max: usize) -> Result<Bytes, BodyError> {
    let too_large = || BodyError::TooLarge { bytes_max };
    if body.size_hint().lower() > bytes_max as u64 {
        return Err(too_large());
    }
    let Some(first) = next_data(body).await? else { return Ok(Bytes::new()) };
    if first.len() > bytes_max {
        return Err(too_large());
    }
    if body.is_end_stream() {
        return Ok(first);
    }
    let mut whole = BytesMut::from(first);
    while let Some(data) = next_data(body).await? {
        if whole.len() + data.len() > bytes_max {
            return Err(too_large());
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

/// The next piece of a body; trailers mean nothing here.
pub(super) async fn next_data(body: &mut Incoming) -> Result<Option<Bytes>, hyper::Error> {
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}
