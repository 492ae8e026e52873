//! Who initiated, how that was established, and through what.

use serde::{Deserialize, Serialize};

use super::Authenticated;
use super::body::Surface;

/// The software at the other end, as it says.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Client {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// Through what an agent reached the gateway.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Channel {
    /// The agent's client software, as it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<Client>,
    /// The protocol revision agreed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// The surface.
    pub surface: Surface,
    /// `stdio` or `http`.
    pub transport: String,
    /// The upstream behind the endpoint.
    pub upstream: String,
}

/// What the agent says it acts for.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Purpose {
    /// Always `agent`: nothing vouches for it.
    pub said_by: String,
    /// What was said.
    pub text: String,
}

/// What is kept of an access token: never the token itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessToken {
    /// The client that it was issued to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client: Option<String>,
    /// The authorization server that signed it.
    pub issuer: String,
    /// SHA-256 of the token.
    pub sha256: String,
    /// Whom it is about, as the authorization server names them.
    pub subject: String,
}

/// Who initiated, how that was established, and through what: one for each agent session.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RequestContext {
    /// How the session itself was authenticated.
    pub authenticated: Authenticated,
    /// Through what.
    pub channel: Channel,
    /// Names of those through whom authority came, nearest first.
    pub delegation: Vec<String>,
    /// What the agent says it acts for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub purpose: Option<Purpose>,
    /// The access token that opened the session, where an authorization server vouched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<AccessToken>,
    /// SHA-256 of what the initiator asked for in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words_sha256: Option<String>,
}
