//! The `oauth` table of an upstream: which client the gateway is to its authorization server, and what it asks for.

use std::collections::BTreeSet;
use std::fmt;
use std::path::Path;

use serde::Deserialize;
use surfaces::mcp::web::WebUrl;

use crate::config::{Secret, scopes_fit};

/// How the gateway gets tokens for an upstream.
#[derive(Clone, Debug)]
pub struct OauthConfig {
    /// Who the gateway is, where that was agreed on beforehand; an address is a client ID metadata document.
    pub client: Option<Client>,
    /// How it proves that it may.
    pub grant: GrantType,
    /// The authorization server, where it is not whichever the upstream names.
    pub issuer: Option<String>,
    /// The port of the address to which the browser comes back; any free one where this is 0.
    pub redirect_port: u16,
    /// What is asked for; what the upstream names where this is empty.
    pub scopes: BTreeSet<String>,
}

/// Who the gateway is to an authorization server.
#[derive(Clone, PartialEq, Eq, serde::Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// The client's id.
    pub id: String,
    /// What proves it, if anything does.
    pub secret: Option<String>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("id", &self.id).finish_non_exhaustive()
    }
}

/// The two ways to a token that need no password (RFC 6749, sections 4.1 and 4.4).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum GrantType {
    /// A person consents in a browser, once.
    #[default]
    AuthorizationCode,
    /// The gateway acts as itself.
    ClientCredentials,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Written {
    client_id: Option<String>,
    client_secret: Option<Secret>,
    #[serde(default)]
    grant: GrantType,
    issuer: Option<String>,
    #[serde(default)]
    redirect_port: u16,
    #[serde(default)]
    scopes: BTreeSet<String>,
}

impl Written {
    /// Checks the table; files in it are relative to `base`.
    pub(crate) fn fit(self, base: &Path) -> Result<OauthConfig, String> {
        if let Some(issuer) = &self.issuer {
            WebUrl::parse(issuer).map_err(|error| format!("issuer: {error}"))?;
        }
        scopes_fit(&self.scopes)?;
        let secret = self.client_secret.map(|secret| secret.read(base)).transpose()?;
        let client = match (self.client_id, secret) {
            (Some(id), secret) => Some(Client { id, secret }),
            (None, Some(_)) => return Err("client_secret: of which client? write `client_id` too".to_owned()),
            (None, None) => None,
        };
        let has_secret = client.as_ref().is_some_and(|client| client.secret.is_some());
        if has_secret && self.issuer.is_none() {
            return Err("client_secret: name the `issuer` that may see it; an upstream could name any".to_owned());
        }
        if self.grant == GrantType::ClientCredentials && !has_secret {
            return Err("grant = \"client_credentials\" needs `client_id`, `client_secret` and `issuer`".to_owned());
        }
        Ok(OauthConfig {
            client,
            grant: self.grant,
            issuer: self.issuer,
            redirect_port: self.redirect_port,
            scopes: self.scopes,
        })
    }
}
