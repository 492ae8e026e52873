//! What an authorization server says about itself (RFC 8414, and OpenID Connect Discovery 1.0), found from its issuer.

use bytes::Bytes;
use http::{Request, StatusCode};
use serde::Deserialize;
use surfaces::limits::ReadLimits;
use surfaces::mcp::codec::strict_scan;
use surfaces::mcp::web::{WebClient, WebError, WebUrl, WebUrlError};

/// The parts of a metadata document that are used here.
#[derive(Clone, Debug, Deserialize)]
pub struct ServerMetadata {
    /// Who it is.
    pub issuer: String,
    /// Where its keys are.
    pub jwks_uri: Option<String>,
    /// Where people consent.
    pub authorization_endpoint: Option<String>,
    /// Whether its responses say whose they are (RFC 9207).
    pub authorization_response_iss_parameter_supported: Option<bool>,
    /// How codes are bound to who asked for them (RFC 7636).
    pub code_challenge_methods_supported: Option<Vec<String>>,
    /// Where clients make themselves known (RFC 7591).
    pub registration_endpoint: Option<String>,
    /// What may be asked for.
    pub scopes_supported: Option<Vec<String>>,
    /// Where tokens are got.
    pub token_endpoint: Option<String>,
    /// How clients prove themselves there.
    pub token_endpoint_auth_methods_supported: Option<Vec<String>>,
}

/// Why there is no document.
#[derive(Clone, Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// A server answered with something else.
    #[error("`{url}` does not answer with {wanted}: {why}")]
    Answer {
        /// What was expected.
        wanted: &'static str,
        /// Where.
        url: String,
        /// What came.
        why: String,
    },
    /// No place where metadata could be has any.
    #[error("`{0}` has metadata at none of its well-known addresses")]
    Nowhere(String),
    /// An address is not one that is asked.
    #[error(transparent)]
    Url(#[from] WebUrlError),
    /// A server could not be asked.
    #[error(transparent)]
    Web(#[from] WebError),
}

/// Where the metadata of `issuer` may be, in the order in which to look (MCP, Authorization Server Metadata Discovery).
#[must_use]
pub fn well_known(issuer: &WebUrl) -> Vec<String> {
    let origin = issuer.origin();
    let path = issuer.path().trim_end_matches('/');
    let mut places = vec![
        format!("{origin}/.well-known/oauth-authorization-server{path}"),
        format!("{origin}/.well-known/openid-configuration{path}"),
    ];
    if !path.is_empty() {
        places.push(format!("{origin}{path}/.well-known/openid-configuration"));
    }
    places
}

/// The metadata of `issuer`, which must say that it is that issuer's.
///
/// # Errors
/// [`DiscoveryError`].
pub async fn discover(web: &WebClient, issuer: &str) -> Result<ServerMetadata, DiscoveryError> {
    let parsed = WebUrl::parse(issuer)?;
    for place in well_known(&parsed) {
        let Some(body) = fetch(web, &WebUrl::parse(&place)?, "metadata").await? else { continue };
        let answer = |why: String| DiscoveryError::Answer { wanted: "metadata", url: place.clone(), why };
        let metadata: ServerMetadata = serde_json::from_slice(&body).map_err(|error| answer(error.to_string()))?;
        // RFC 8414, section 3.3: else one server could speak for another.
        if metadata.issuer != issuer {
            let said: String = metadata.issuer.escape_debug().take(200).collect();
            return Err(answer(format!("its issuer is `{said}` and not `{issuer}`")));
        }
        return Ok(metadata);
    }
    Err(DiscoveryError::Nowhere(issuer.to_owned()))
}

/// The JSON document at `url`, read strictly; `None` where there is none.
///
/// # Errors
/// [`DiscoveryError`].
pub async fn fetch(web: &WebClient, url: &WebUrl, wanted: &'static str) -> Result<Option<Bytes>, DiscoveryError> {
    let mut request = Request::new(Bytes::new());
    request.headers_mut().insert(http::header::ACCEPT, http::HeaderValue::from_static("application/json"));
    let response = web.ask(url, request).await?;
    let answer = |why: String| DiscoveryError::Answer { wanted, url: url.to_string(), why };
    match response.status() {
        StatusCode::OK => {
            let body = response.into_body();
            strict_scan(&body, &ReadLimits::RESPONSE).map_err(|error| answer(error.to_string()))?;
            Ok(Some(body))
        }
        status if status.is_client_error() => Ok(None),
        status => Err(answer(format!("its status is {status}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_is_looked_for_where_the_specification_says() {
        for (issuer, want) in [
            (
                "https://login.example",
                &[
                    "https://login.example/.well-known/oauth-authorization-server",
                    "https://login.example/.well-known/openid-configuration",
                ][..],
            ),
            (
                "https://login.example/tenant1",
                &[
                    "https://login.example/.well-known/oauth-authorization-server/tenant1",
                    "https://login.example/.well-known/openid-configuration/tenant1",
                    "https://login.example/tenant1/.well-known/openid-configuration",
                ],
            ),
        ] {
            assert_eq!(well_known(&WebUrl::parse(issuer).unwrap()), want, "{issuer}");
        }
    }
}
