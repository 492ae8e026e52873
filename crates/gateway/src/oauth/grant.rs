//! Requests to a token endpoint (RFC 6749, sections 4 to 6), always with the resource that the token is for (RFC 8707).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use http::{Method, Request};
use serde::Deserialize;
use surfaces::limits::{BEARER_BYTES_MAX, ReadLimits};
use surfaces::mcp::codec::strict_scan;
use surfaces::mcp::web::{WebClient, WebError, WebUrl};

use super::config::Client;
use crate::discovery::ServerMetadata;

/// What a token endpoint gave.
#[derive(Deserialize)]
pub struct Tokens {
    /// The token.
    pub access_token: String,
    /// For how many seconds it is good, where that is said.
    pub expires_in: Option<i64>,
    /// What the next one is got with.
    pub refresh_token: Option<String>,
    /// What it is good for, where that is not what was asked for.
    pub scope: Option<String>,
    token_type: String,
}

/// Why there is no token.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenFault {
    /// What came is no token.
    #[error("the token endpoint's answer cannot be read: {0}")]
    Answer(String),
    /// The authorization server said no.
    #[error("the authorization server refused: {error}{}", said(.description))]
    Refused {
        /// What it said more.
        description: String,
        /// Its code.
        error: String,
    },
    /// It could not be asked.
    #[error(transparent)]
    Web(#[from] WebError),
}

fn said(description: &str) -> String {
    if description.is_empty() { String::new() } else { format!(" (`{description}`)") }
}

/// How a client proves itself at a token endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// With its secret in a header.
    Basic,
    /// Not at all: it has no secret.
    None,
    /// With its secret in the form.
    Post,
}

impl Proof {
    /// The best that an authorization server takes from a client.
    #[must_use]
    pub fn of(client: &Client, server: &ServerMetadata) -> Self {
        let takes = |method: &str| {
            server
                .token_endpoint_auth_methods_supported
                .as_ref()
                .is_none_or(|methods| methods.iter().any(|one| one == method))
        };
        match &client.secret {
            None => Self::None,
            // RFC 8414, section 2: `client_secret_basic` where nothing is said.
            Some(_) if takes("client_secret_basic") => Self::Basic,
            Some(_) => Self::Post,
        }
    }
}

/// Asks `endpoint` for tokens, as `client`.
///
/// # Errors
/// [`TokenFault`]; nothing in it is secret.
pub async fn ask(
    web: &WebClient,
    endpoint: &WebUrl,
    client: &Client,
    proof: Proof,
    wanted: &[(&str, &str)],
) -> Result<Tokens, TokenFault> {
    let mut form: Vec<(&str, &str)> = wanted.iter().copied().filter(|(_, value)| !value.is_empty()).collect();
    let mut request = Request::new(Bytes::new());
    let secret = client.secret.as_deref().unwrap_or_default();
    match proof {
        Proof::Basic => {
            let pair = STANDARD.encode(format!("{}:{}", escaped(&client.id), escaped(secret)));
            let unfit = |_| TokenFault::Answer("the client's id or secret cannot be sent".to_owned());
            let mut value = HeaderValue::from_str(&format!("Basic {pair}")).map_err(unfit)?;
            value.set_sensitive(true);
            request.headers_mut().insert(AUTHORIZATION, value);
        }
        Proof::None => form.push(("client_id", &client.id)),
        Proof::Post => form.extend([("client_id", &*client.id), ("client_secret", secret)]),
    }
    *request.method_mut() = Method::POST;
    *request.body_mut() = query(&form).into();
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
    request.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json"));
    let response = web.ask(endpoint, request).await?;
    let status = response.status();
    read(response.into_body().as_ref()).map_err(|fault| match fault {
        TokenFault::Answer(why) if !status.is_success() => TokenFault::Answer(format!("its status is {status}: {why}")),
        fault => fault,
    })
}

/// Reads what a token endpoint answered.
fn read(body: &[u8]) -> Result<Tokens, TokenFault> {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
        #[serde(default)]
        error_description: String,
    }
    let answer = |why: &str| TokenFault::Answer(why.to_owned());
    strict_scan(body, &ReadLimits::REQUEST).map_err(|error| TokenFault::Answer(error.to_string()))?;
    if let Ok(Refusal { error, error_description }) = serde_json::from_slice(body) {
        return Err(TokenFault::Refused { error: plain(&error), description: plain(&error_description) });
    }
    // Not what serde says, which quotes what it found.
    let tokens: Tokens = serde_json::from_slice(body).map_err(|_| answer("it is not a token answer"))?;
    if !tokens.token_type.eq_ignore_ascii_case("bearer") {
        return Err(answer("its token is not a bearer token"));
    }
    let is_token = |token: &str| {
        (1..=BEARER_BYTES_MAX).contains(&token.len()) && token.bytes().all(|byte| byte.is_ascii_graphic())
    };
    if !is_token(&tokens.access_token) || !tokens.refresh_token.as_deref().is_none_or(is_token) {
        return Err(answer("its token is too long or not visible ASCII"));
    }
    Ok(tokens)
}

/// What somebody else said, fit for a line of a log.
pub(super) fn plain(text: &str) -> String {
    text.chars().filter(|character| !character.is_control()).take(200).collect()
}

/// Pairs as a query or form.
pub(super) fn query(pairs: &[(&str, &str)]) -> String {
    let pairs: Vec<String> =
        pairs.iter().map(|(name, value)| format!("{}={}", escaped(name), escaped(value))).collect();
    pairs.join("&")
}

/// Escaped for a query or form: everything but what no reader takes for something else (RFC 3986, section 2.3).
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => escaped.push(char::from(byte)),
            byte => escaped.push_str(&format!("%{byte:02X}")),
        }
    }
    escaped
}

/// A value from a query, unescaped.
pub(super) fn unescaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let pair = [rest.next()?, rest.next()?];
                u8::from_str_radix(std::str::from_utf8(&pair).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_of_token_endpoints_are_taken_only_if_they_are_ones() {
        for (body, want) in [
            (r#"{"access_token":"a","token_type":"Bearer"}"#, "a"),
            (r#"{"access_token":"a","token_type":"bearer","expires_in":60,"scope":"x","refresh_token":"r"}"#, "a"),
            (r#"{"access_token":"a","token_type":"DPoP"}"#, "not a bearer token"),
            (r#"{"access_token":"a"}"#, "not a token answer"),
            (r#"{"access_token":"","token_type":"Bearer"}"#, "too long or not visible"),
            ("{\"access_token\":\"a b\",\"token_type\":\"Bearer\"}", "too long or not visible"),
            (r#"{"access_token":"a\r\nx: y","token_type":"Bearer"}"#, "too long or not visible"),
            (r#"{"access_token":"a","access_token":"b","token_type":"Bearer"}"#, "answer cannot be read"),
            (r#"{"error":"invalid_grant"}"#, "refused: invalid_grant"),
            (r#"{"error":"x","error_description":"line\nbreak"}"#, "refused: x (`linebreak`)"),
            ("<html>", "answer cannot be read"),
            ("", "answer cannot be read"),
        ] {
            let got = read(body.as_bytes()).map_or_else(|fault| fault.to_string(), |tokens| tokens.access_token);
            assert!(got.contains(want), "{body}: {got}");
        }
    }

    #[test]
    fn what_is_escaped_comes_back() {
        let text = "a b&c=d+é%/?:\"\n";
        assert_eq!(unescaped(&escaped(text)).as_deref(), Some(text));
        assert_eq!(query(&[("a b", "c&d")]), "a%20b=c%26d");
        assert_eq!(unescaped("a+b%20c").as_deref(), Some("a b c"));
        assert_eq!(unescaped("%zz"), None);
        assert_eq!(unescaped("%f"), None);
    }
}
