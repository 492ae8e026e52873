//! What a verified token may do at one endpoint and one moment. Pure: claims, configuration and time in, a grant or a refusal out.

use std::collections::BTreeSet;

use super::config::{AuthConfig, Grant};
use super::token::Claims;

/// Why a verified token does not do.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Denied {
    /// It is for somebody else (401).
    #[error("the token is not for this endpoint; get one for the resource `{0}`")]
    Audience(String),
    /// It is past its time (401).
    #[error("the token has expired; get another")]
    Expired,
    /// The initiator's claim is absent or not to be relied on (403).
    #[error(
        "the token does not name whom the agent acts for: claim `{0}` is absent, or the issuer has not verified it"
    )]
    Initiator(String),
    /// Another server made it (401).
    #[error("the token is of another issuer; get one from `{0}`")]
    Issuer(String),
    /// No grant fits its claims (403).
    #[error("no grant of this gateway fits the token's client and claims; ask the operator for an [[auth.grant]]")]
    NoGrant,
    /// It lacks scopes (403, with a challenge).
    #[error("the token lacks the scope `{lacking}`; ask for `{wanted}`")]
    Scope {
        /// The scopes that it lacks.
        lacking: String,
        /// All that it needs.
        wanted: String,
    },
    /// It is not good yet (401).
    #[error("the token is not good yet; compare the clocks of issuer and gateway")]
    TooEarly,
}

/// What a token may do: the grant's place in the configuration, and on whose behalf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Granted<'a> {
    /// Which grant.
    pub grant: usize,
    /// Whom the agent acts for.
    pub initiator: &'a str,
}

/// Whether and as whom a token comes in to `server` of the gateway that is called `base`, at `at_s` seconds since 1970.
///
/// # Errors
/// [`Denied`].
pub fn authorize<'a>(
    claims: &'a Claims,
    config: &AuthConfig,
    base: &str,
    server: &str,
    at_s: i64,
) -> Result<Granted<'a>, Denied> {
    if claims.issuer != config.issuer {
        return Err(Denied::Issuer(config.issuer.clone()));
    }
    is_for(claims, config, base, server)?;
    is_timely(claims, at_s, config.clock_skew_s)?;
    has(claims, config.scopes.iter().collect())?;
    let fitting = config.grants.iter().enumerate().find(|(_, grant)| fits(claims, grant, server));
    let (place, grant) = fitting.ok_or(Denied::NoGrant)?;
    has(claims, config.scopes.iter().chain(&grant.scopes).collect())?;
    let unnamed = || Denied::Initiator(grant.initiator.clone());
    if grant.initiator == "email" && claims.has_unverified_email() {
        return Err(unnamed());
    }
    let initiator = claims.text(&grant.initiator).filter(|name| !name.is_empty()).ok_or_else(unnamed)?;
    Ok(Granted { grant: place, initiator })
}

/// The address under which agents reach a server.
#[must_use]
pub fn resource(base: &str, server: &str) -> String {
    format!("{base}/mcp/{server}")
}

fn is_for(claims: &Claims, config: &AuthConfig, base: &str, server: &str) -> Result<(), Denied> {
    let resource = resource(base, server);
    // A token for the gateway as a whole is for each of its endpoints; a base has two spellings (RFC 3986, 6.2.3).
    let is_own = |audience: &String| *audience == resource || audience.strip_suffix('/').unwrap_or(audience) == base;
    let is_for = match &*config.audience {
        [] => claims.audience.iter().any(is_own),
        configured => claims.audience.iter().any(|audience| configured.contains(audience)),
    };
    is_for.then_some(()).ok_or_else(|| Denied::Audience(config.audience.first().cloned().unwrap_or(resource)))
}

fn is_timely(claims: &Claims, at_s: i64, skew_s: i64) -> Result<(), Denied> {
    if at_s >= claims.expires_at.saturating_add(skew_s) {
        return Err(Denied::Expired);
    }
    let begins = [claims.not_before, claims.issued_at].into_iter().flatten().max();
    match begins {
        Some(begins) if begins > at_s.saturating_add(skew_s) => Err(Denied::TooEarly),
        Some(_) | None => Ok(()),
    }
}

fn has(claims: &Claims, wanted: BTreeSet<&String>) -> Result<(), Denied> {
    let join = |scopes: Vec<&str>| scopes.join(" ");
    let lacking: Vec<&str> =
        wanted.iter().filter(|scope| !claims.scopes.contains(**scope)).map(|scope| scope.as_str()).collect();
    if lacking.is_empty() {
        return Ok(());
    }
    let wanted = wanted.into_iter().map(String::as_str).collect();
    Err(Denied::Scope { lacking: join(lacking), wanted: join(wanted) })
}

fn fits(claims: &Claims, grant: &Grant, server: &str) -> bool {
    (grant.servers.is_empty() || grant.servers.iter().any(|name| name == server))
        && grant.client.as_ref().is_none_or(|client| claims.client.as_ref() == Some(client))
        && grant.claims.iter().all(|(name, wanted)| wanted.iter().all(|one| claims.says(name, one)))
}
