//! Getting an upstream's first token with a person's consent: discovery, authorization code with PKCE (RFC 7636), and a redirect to loopback (RFC 8252).
//!
//! What the upstream says is checked before anybody is sent anywhere: its metadata must be about itself, the authorization server's about that server, and the
//! response must come from the server that was asked (RFC 9207). Start at [`Login::begin`].

use std::net::{Ipv4Addr, SocketAddr};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue, WWW_AUTHENTICATE};
use http::{Method, Request};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use surfaces::mcp::web::{WebClient, WebError, WebUrl, WebUrlError};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::challenge::Challenge;
use super::config::{Client, OauthConfig};
use super::grant::{Proof, TokenFault, Tokens, ask, plain, query, unescaped};
use super::vault::Sealed;
use crate::clock::{now, random};
use crate::discovery::{DiscoveryError, ServerMetadata, discover, fetch};
use crate::limits::{CALLBACK_BYTES_MAX, CALLBACK_WAIT, LOGIN_WAIT};

/// Why there is no login.
#[derive(Debug, thiserror::Error)]
pub enum LoginError {
    /// The browser came back with a refusal.
    #[error("the authorization server refused: {0}")]
    Denied(String),
    /// Metadata could not be had.
    #[error(transparent)]
    Discovery(#[from] DiscoveryError),
    /// The local address for the browser cannot be opened.
    #[error("listen on 127.0.0.1 for the browser: {0}; choose another `redirect_port`")]
    Listen(#[source] std::io::Error),
    /// What upstream or authorization server say cannot be relied on, or is not enough.
    #[error("{0}")]
    Metadata(String),
    /// No token for the code.
    #[error(transparent)]
    Token(#[from] TokenFault),
    /// An address is not one that is asked.
    #[error(transparent)]
    Url(#[from] WebUrlError),
    /// Nobody came back.
    #[error("nobody came back from the authorization server within {} minutes", LOGIN_WAIT.as_secs() / 60)]
    Waited,
    /// The upstream could not be asked.
    #[error(transparent)]
    Web(#[from] WebError),
}

/// What an upstream says about its authorization (RFC 9728, section 2).
#[derive(Deserialize)]
struct ResourceMetadata {
    #[serde(default)]
    authorization_servers: Vec<String>,
    resource: String,
    #[serde(default)]
    scopes_supported: Vec<String>,
}

/// Where an upstream's tokens come from.
#[derive(Debug)]
pub struct Found {
    /// What it wants, by its own words; empty where it says nothing.
    pub scope: String,
    /// For what tokens are.
    pub resource: String,
    /// The authorization server.
    pub server: ServerMetadata,
}

/// Finds out where tokens for the upstream at `url` come from.
///
/// # Errors
/// [`LoginError`].
pub async fn find(web: &WebClient, url: &WebUrl, config: &OauthConfig) -> Result<Found, LoginError> {
    let challenge = challenge(web, url).await?;
    let metadata = resource_metadata(web, url, &challenge).await?;
    let named = metadata.as_ref().map(|metadata| &*metadata.authorization_servers).unwrap_or_default();
    let issuer = match (&config.issuer, named) {
        (Some(issuer), []) => issuer.clone(),
        (Some(issuer), named) if named.contains(issuer) => issuer.clone(),
        (Some(issuer), named) => {
            let named = plain(&named.join("`, `"));
            return Err(LoginError::Metadata(format!("the upstream takes tokens of `{named}`, not of `{issuer}`")));
        }
        (None, [first, ..]) => first.clone(),
        // Servers of the revision 2025-03-26 are their own authorization server.
        (None, []) => url.origin(),
    };
    let server = discover(web, &issuer).await?;
    let supported = metadata.as_ref().map(|metadata| metadata.scopes_supported.join(" ")).unwrap_or_default();
    let resource = metadata.map_or_else(|| url.to_string(), |metadata| metadata.resource);
    Ok(Found { scope: challenge.scope.unwrap_or(supported), resource, server })
}

/// What the upstream says to a client without a token.
async fn challenge(web: &WebClient, url: &WebUrl) -> Result<Challenge, LoginError> {
    const HELLO: &str = r#"{"jsonrpc":"2.0","id":0,"method":"initialize","params":{"protocolVersion":"2025-11-25","capabilities":{},"clientInfo":{"name":"countersign","version":"0"}}}"#;
    let mut hello = Request::new(Bytes::from_static(HELLO.as_bytes()));
    *hello.method_mut() = Method::POST;
    hello.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    hello.headers_mut().insert(ACCEPT, HeaderValue::from_static("application/json, text/event-stream"));
    let response = web.ask(url, hello).await?;
    Ok(Challenge::read(response.headers().get(WWW_AUTHENTICATE)))
}

/// The upstream's metadata: where its challenge says, else at the well-known addresses of its path and of its origin.
async fn resource_metadata(
    web: &WebClient,
    url: &WebUrl,
    challenge: &Challenge,
) -> Result<Option<ResourceMetadata>, LoginError> {
    let well_known = format!("{}/.well-known/oauth-protected-resource", url.origin());
    let places = match &challenge.resource_metadata {
        Some(place) => vec![place.clone()],
        None => vec![format!("{well_known}{}", url.path().trim_end_matches('/')), well_known],
    };
    for place in places {
        let Some(body) = fetch(web, &WebUrl::parse(&place)?, "resource metadata").await? else { continue };
        let metadata: ResourceMetadata = serde_json::from_slice(&body)
            .map_err(|error| LoginError::Metadata(format!("`{place}` is no resource metadata: {error}")))?;
        // RFC 9728, section 3.3: else a server could have us get tokens for another one.
        if !covers(&metadata.resource, url) {
            let resource = plain(&metadata.resource);
            return Err(LoginError::Metadata(format!("`{place}` is about `{resource}`, not about `{url}`")));
        }
        return Ok(Some(metadata));
    }
    Ok(None)
}

/// Whether `resource` is the upstream at `url`, or a path above it.
fn covers(resource: &str, url: &WebUrl) -> bool {
    let Ok(resource) = WebUrl::parse(resource) else { return false };
    let (above, path) = (resource.path().trim_end_matches('/'), url.path().trim_end_matches('/'));
    resource.origin() == url.origin()
        && path.strip_prefix(above).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// A login that waits for a person.
#[derive(Debug)]
pub struct Login {
    client: Client,
    found: Found,
    listener: TcpListener,
    page: String,
    redirect: String,
    scope: String,
    state: String,
    token_endpoint: WebUrl,
    upstream: WebUrl,
    verifier: String,
    web: WebClient,
}

impl Login {
    /// Prepares everything up to the page where a person consents. `wanted` are scopes that the upstream asked for before.
    ///
    /// # Errors
    /// [`LoginError`].
    pub async fn begin(upstream: &WebUrl, config: &OauthConfig, wanted: &str) -> Result<Self, LoginError> {
        let web = WebClient::default();
        let found = find(&web, upstream, config).await?;
        let lacks = |what: &str| LoginError::Metadata(format!("`{}` has no {what}", plain(&found.server.issuer)));
        let methods = found.server.code_challenge_methods_supported.as_deref().unwrap_or_default();
        if !methods.iter().any(|method| method == "S256") {
            return Err(lacks(
                "`S256` among its `code_challenge_methods_supported`, and codes without it can be stolen",
            ));
        }
        let page = found.server.authorization_endpoint.as_deref().ok_or_else(|| lacks("`authorization_endpoint`"))?;
        let page = WebUrl::parse(page)?.to_string();
        let token_endpoint = found.server.token_endpoint.as_deref().ok_or_else(|| lacks("`token_endpoint`"))?;
        let token_endpoint = WebUrl::parse(token_endpoint)?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, config.redirect_port));
        let listener = TcpListener::bind(address).await.map_err(LoginError::Listen)?;
        let port = listener.local_addr().map_err(LoginError::Listen)?.port();
        let redirect = format!("http://127.0.0.1:{port}/callback");
        let client = match &config.client {
            Some(client) => client.clone(),
            None => register(&web, &found.server, &redirect).await?,
        };
        let scope = scope(config, wanted, &found);
        let (verifier, state) = (secret(), secret());
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(verifier.as_bytes()));
        let mut asked = vec![
            ("response_type", "code"),
            ("client_id", &client.id),
            ("redirect_uri", &redirect),
            ("state", &state),
            ("code_challenge", &challenge),
            ("code_challenge_method", "S256"),
            ("resource", &found.resource),
        ];
        if !scope.is_empty() {
            asked.push(("scope", &scope));
        }
        let joint = if page.contains('?') { '&' } else { '?' };
        let page = format!("{page}{joint}{}", query(&asked));
        Ok(Self {
            client,
            found,
            listener,
            page,
            redirect,
            scope,
            state,
            token_endpoint,
            upstream: upstream.clone(),
            verifier,
            web,
        })
    }

    /// The page to open in a browser on this machine.
    #[must_use]
    pub fn page(&self) -> &str {
        &self.page
    }

    /// Waits for the browser to come back, and gets the token.
    ///
    /// # Errors
    /// [`LoginError`].
    pub async fn finish(self) -> Result<Sealed, LoginError> {
        let code = timeout(LOGIN_WAIT, self.code()).await.map_err(|_elapsed| LoginError::Waited)??;
        let proof = Proof::of(&self.client, &self.found.server);
        let wanted = [
            ("grant_type", "authorization_code"),
            ("code", &code),
            ("redirect_uri", &self.redirect),
            ("code_verifier", &self.verifier),
            ("resource", &self.found.resource),
        ];
        let tokens = ask(&self.web, &self.token_endpoint, &self.client, proof, &wanted).await?;
        let Tokens { access_token, expires_in, refresh_token, scope, .. } = tokens;
        Ok(Sealed {
            access_token,
            client: self.client,
            expires_at: super::expiry(now(), expires_in),
            issuer: self.found.server.issuer,
            proof,
            refresh_token,
            resource: self.found.resource,
            scope: scope.unwrap_or(self.scope),
            token_endpoint: self.token_endpoint.to_string(),
            url: self.upstream.to_string(),
            wanted: String::new(),
        })
    }

    /// The code that the browser brings. What comes without our state is not from our page, and does not end the wait.
    async fn code(&self) -> Result<String, LoginError> {
        loop {
            let (mut stream, _) = self.listener.accept().await.map_err(LoginError::Listen)?;
            let Ok(Some(target)) = timeout(CALLBACK_WAIT, target(&mut stream)).await else { continue };
            let came = self.came_back(&target);
            let (status, text) = match &came {
                None => ("404 Not Found", "Nothing here.".to_owned()),
                Some(Ok(_)) => ("200 OK", "Countersign has what it needs. You can close this page.".to_owned()),
                Some(Err(error)) => ("400 Bad Request", format!("No login: {error}")),
            };
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-type: text/plain; charset=utf-8\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{text}",
                text.len()
            );
            let _unread = stream.write_all(answer.as_bytes()).await;
            let _closed = stream.shutdown().await;
            if let Some(came) = came {
                return came;
            }
        }
    }

    /// What a request to the local address says; `None` where it is not the browser's return from our page.
    fn came_back(&self, target: &str) -> Option<Result<String, LoginError>> {
        let query = target.strip_prefix("/callback?")?;
        let value = |wanted: &str| {
            let mut values =
                query.split('&').filter_map(|pair| pair.split_once('=')).filter(|(name, _)| *name == wanted);
            // What is there twice is not there.
            values.next().filter(|_| values.next().is_none()).and_then(|(_, value)| unescaped(value))
        };
        if value("state").as_deref() != Some(&self.state) {
            return None;
        }
        let server = &self.found.server;
        let is_named = server.authorization_response_iss_parameter_supported == Some(true);
        match value("iss") {
            Some(issuer) if issuer != server.issuer => {
                let text = format!("the response is of `{}`, and `{}` was asked", plain(&issuer), server.issuer);
                return Some(Err(LoginError::Metadata(text)));
            }
            None if is_named => {
                let text = format!("the response does not say that it is of `{}`", server.issuer);
                return Some(Err(LoginError::Metadata(text)));
            }
            Some(_) | None => {}
        }
        if let Some(error) = value("error") {
            let description = value("error_description").unwrap_or_default();
            return Some(Err(LoginError::Denied(plain(&format!("{error} {description}")).trim_end().to_owned())));
        }
        Some(value("code").ok_or_else(|| LoginError::Denied("it sent no code".to_owned())))
    }
}

/// What to ask for: what the operator says; else what the upstream wanted before or says now. `offline_access` where that is how refresh tokens are had.
fn scope(config: &OauthConfig, wanted: &str, found: &Found) -> String {
    if !config.scopes.is_empty() {
        return config.scopes.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
    }
    let mut scopes: Vec<&str> = Vec::new();
    for scope in wanted.split(' ').chain(found.scope.split(' ')).filter(|scope| !scope.is_empty()) {
        if !scopes.contains(&scope) {
            scopes.push(scope);
        }
    }
    let offline = found.server.scopes_supported.iter().flatten().find(|scope| *scope == "offline_access");
    if let (Some(offline), false) = (offline, scopes.contains(&"offline_access")) {
        scopes.push(offline);
    }
    scopes.join(" ")
}

/// Makes the gateway known to an authorization server (RFC 7591).
async fn register(web: &WebClient, server: &ServerMetadata, redirect: &str) -> Result<Client, LoginError> {
    #[derive(Deserialize)]
    struct Registered {
        client_id: String,
        client_secret: Option<String>,
    }
    let endpoint = server.registration_endpoint.as_deref().ok_or_else(|| {
        let issuer = plain(&server.issuer);
        LoginError::Metadata(format!(
            "`{issuer}` registers no clients by itself; write the `client_id` that it gave you"
        ))
    })?;
    let endpoint = WebUrl::parse(endpoint)?;
    let about = serde_json::json!({
        "application_type": "native",
        "client_name": "Countersign",
        "grant_types": ["authorization_code", "refresh_token"],
        "redirect_uris": [redirect],
        "response_types": ["code"],
        "token_endpoint_auth_method": "none",
    });
    let mut request = Request::new(Bytes::from(about.to_string()));
    *request.method_mut() = Method::POST;
    request.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let response = web.ask(&endpoint, request).await?;
    let status = response.status();
    let registered: Registered = serde_json::from_slice(response.body())
        .map_err(|_| LoginError::Metadata(format!("`{endpoint}` did not register this client ({status})")))?;
    Ok(Client { id: registered.client_id, secret: registered.client_secret })
}

/// 256 random bits for an address.
fn secret() -> String {
    let mut bits = [0; 32];
    random(&mut bits);
    URL_SAFE_NO_PAD.encode(bits)
}

/// The target of one GET, or `None` for anything else.
async fn target(stream: &mut TcpStream) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut chunk = [0; 1024];
        let count = stream.read(&mut chunk).await.ok().filter(|count| *count > 0)?;
        head.extend_from_slice(chunk.get(..count)?);
        if head.len() > CALLBACK_BYTES_MAX {
            return None;
        }
    }
    let line = std::str::from_utf8(head.split(|byte| *byte == b'\r').next()?).ok()?;
    let target = line.strip_prefix("GET ")?.strip_suffix(" HTTP/1.1")?;
    Some(target.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_must_be_about_the_upstream_itself() {
        let url = WebUrl::parse("https://up.example/mcp/erp").unwrap();
        for (resource, is_own) in [
            ("https://up.example/mcp/erp", true),
            ("https://up.example/mcp/erp/", true),
            ("https://up.example/mcp", true),
            ("https://up.example", true),
            ("https://up.example/mcp/er", false),
            ("https://up.example/other", false),
            ("https://evil.example/mcp/erp", false),
            ("http://up.example/mcp/erp", false),
            ("https://up.example:8443/mcp/erp", false),
            ("", false),
        ] {
            assert_eq!(covers(resource, &url), is_own, "{resource}");
        }
    }
}
