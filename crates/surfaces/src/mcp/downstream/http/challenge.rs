//! Bearer tokens: where a request may carry one, and what an agent without a good one is told (RFC 6750; RFC 9728, section 5.1; MCP, Authorization).

use bytes::Bytes;
use http::header::{AUTHORIZATION, HeaderMap, HeaderValue, WWW_AUTHENTICATE};
use http::{Request, StatusCode, Uri};

use super::{AdmitError, Caller, Gate, McpEndpoint, Refused, TurnedAway};
use crate::limits::BEARER_BYTES_MAX;
use crate::mcp::streamable::single;

/// How a request came.
#[derive(Clone, Copy)]
pub struct Credentials<'a> {
    /// The bearer token, if there is one.
    pub bearer: Option<&'a str>,
    /// The name, with port, under which the gateway was called.
    pub host: &'a str,
}

impl<G: Gate> McpEndpoint<G> {
    /// The name that a request came by and the token that it bears, under the rules of [`Self::serve`].
    ///
    /// # Errors
    /// How it is refused, with a JSON-RPC error that says why; it is noted.
    pub fn credentials<'a, B>(&self, request: &'a Request<B>) -> Result<Credentials<'a>, (StatusCode, Bytes)> {
        let (uri, headers) = (request.uri(), request.headers());
        let told = |refused: Refused| (refused.status, refused.body);
        let host = self.known(uri, headers).map_err(told)?;
        let misplaced = |_: &Refused| self.gate.turned_away(TurnedAway::Misplaced);
        let bearer = bearer(uri, headers).inspect_err(misplaced).map_err(told)?;
        Ok(Credentials { bearer, host })
    }
}

/// The bearer token of a request (RFC 6750, section 2.1). Tokens in the address end up in logs and are refused; so is what two readers could take differently.
pub(super) fn bearer<'a>(uri: &Uri, headers: &'a HeaderMap) -> Result<Option<&'a str>, Refused> {
    let malformed = |text: &str| {
        let challenge = HeaderValue::from_static(r#"Bearer realm="countersign", error="invalid_request""#);
        Refused::new(StatusCode::BAD_REQUEST, text.to_owned()).with(WWW_AUTHENTICATE, challenge)
    };
    let query = uri.query().unwrap_or_default();
    if query.split('&').any(|part| part.split('=').next() == Some("access_token")) {
        return Err(malformed("a token in the address is not read; send it as `Authorization: Bearer TOKEN`"));
    }
    let value = single(headers, &AUTHORIZATION).map_err(|_| malformed("send one `Authorization`"))?;
    let Some((scheme, token)) = value.and_then(|value| value.to_str().ok()?.split_once(' ')) else { return Ok(None) };
    let token = token.trim_matches(' ');
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() {
        return Ok(None);
    }
    if token.len() > BEARER_BYTES_MAX {
        let challenge = HeaderValue::from_static(r#"Bearer realm="countersign", error="invalid_token""#);
        let text = format!("the token is longer than {BEARER_BYTES_MAX} bytes");
        return Err(Refused::new(StatusCode::UNAUTHORIZED, text).with(WWW_AUTHENTICATE, challenge));
    }
    Ok(Some(token))
}

impl Refused {
    /// What an agent is told that is not let in, with the way to a token where there is one.
    pub(super) fn not_admitted<G: Gate>(error: AdmitError, gate: &G, caller: Caller<'_>) -> Self {
        let text = error.to_string();
        let challenged = |status, fault: &[(&str, &str)]| {
            let refused = Self::new(status, text.clone());
            match challenge(fault, gate, caller) {
                Some(value) => refused.with(WWW_AUTHENTICATE, value),
                None => refused,
            }
        };
        match &error {
            AdmitError::Forbidden(_) => Self::new(StatusCode::FORBIDDEN, text),
            AdmitError::InsufficientScope { scope, .. } => {
                challenged(StatusCode::FORBIDDEN, &[("error", "insufficient_scope"), ("scope", scope)])
            }
            AdmitError::Unauthorized(_) if caller.bearer.is_some() => {
                challenged(StatusCode::UNAUTHORIZED, &[("error", "invalid_token")])
            }
            AdmitError::Unauthorized(_) => challenged(StatusCode::UNAUTHORIZED, &[]),
            AdmitError::Unavailable(_) | AdmitError::Unexamined => Self::new(StatusCode::SERVICE_UNAVAILABLE, text),
            AdmitError::UnknownServer(_) => Self::new(StatusCode::NOT_FOUND, text),
        }
    }
}

/// A `WWW-Authenticate` of the scheme `Bearer`. Its values come from configuration and accepted host names, none of which a header refuses.
fn challenge<G: Gate>(fault: &[(&str, &str)], gate: &G, caller: Caller<'_>) -> Option<HeaderValue> {
    let protection = gate.protection(caller);
    let mut parts = vec![(r"Bearer realm", "countersign")];
    parts.extend_from_slice(fault);
    if let Some(protection) = &protection {
        if !protection.scope.is_empty() && !fault.iter().any(|(name, _)| *name == "scope") {
            parts.push(("scope", &protection.scope));
        }
        parts.push(("resource_metadata", &protection.metadata));
    }
    let parts: Vec<String> = parts.iter().map(|(name, value)| format!(r#"{name}="{value}""#)).collect();
    HeaderValue::from_str(&parts.join(", ")).ok()
}
