//! The `[auth]` section of the configuration: which authorization server vouches, and what its tokens may do here.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use surfaces::mcp::web::WebUrl;

use super::keys::{self, KeySource};
use super::token::Algorithm;
use crate::config::scopes_fit;
use crate::limits::{CLOCK_SKEW_S, CLOCK_SKEW_S_MAX, GRANTS_MAX, RUN_US, RUN_US_MAX};

/// Who vouches for agents, and what for.
#[derive(Clone, Debug)]
pub struct AuthConfig {
    /// How tokens may be signed.
    pub algorithms: Vec<Algorithm>,
    /// For whom tokens must be; the address of the endpoint where this is empty (RFC 8707).
    pub audience: Vec<String>,
    /// How far clocks may be apart.
    pub clock_skew_s: i64,
    /// What tokens may do, in the order in which they are compared.
    pub grants: Vec<Grant>,
    /// The authorization server.
    pub issuer: String,
    /// Where its keys come from.
    pub keys: KeySource,
    /// Scopes that every token needs.
    pub scopes: BTreeSet<String>,
}

/// What a token with certain claims may do: the agent does not choose its authority.
#[derive(Clone, Debug)]
pub struct Grant {
    /// The agent's name in the mission.
    pub agent: String,
    /// Claims that must say all of this.
    pub claims: BTreeMap<String, Vec<String>>,
    /// The client that the token was issued to.
    pub client: Option<String>,
    /// The claim that names the initiator.
    pub initiator: String,
    /// How long a run lasts.
    pub lasts_us: i64,
    /// The mission.
    pub mission: String,
    /// Scopes that the token needs beside those of every token.
    pub scopes: BTreeSet<String>,
    /// The upstreams that it is for; all of the mission's where this is empty.
    pub servers: Vec<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Written {
    issuer: String,
    #[serde(default)]
    audience: Vec<String>,
    #[serde(default)]
    jwks: WrittenJwks,
    algorithms: Option<Vec<Algorithm>>,
    #[serde(default)]
    scopes: BTreeSet<String>,
    clock_skew_s: Option<u32>,
    #[serde(default)]
    grant: Vec<WrittenGrant>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct WrittenJwks {
    file: Option<PathBuf>,
    url: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenGrant {
    agent: String,
    #[serde(default)]
    claims: BTreeMap<String, OneOrMore>,
    client: Option<String>,
    initiator: Option<String>,
    mission: String,
    run_s: Option<u32>,
    #[serde(default)]
    scopes: BTreeSet<String>,
    #[serde(default)]
    servers: Vec<String>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OneOrMore {
    More(Vec<String>),
    One(String),
}

impl Written {
    /// Checks the section; files in it are relative to `base`.
    pub(crate) fn fit(self, base: &Path) -> Result<AuthConfig, String> {
        WebUrl::parse(&self.issuer).map_err(|error| format!("issuer: {error}"))?;
        let keys = match (self.jwks.file, self.jwks.url) {
            (None, None) => KeySource::Issuer(self.issuer.clone()),
            (None, Some(url)) => KeySource::Url(WebUrl::parse(&url).map_err(|error| format!("jwks: {error}"))?),
            (Some(file), None) => {
                let file = base.join(file);
                let body = crate::config::bounded(&file)
                    .map_err(|error| format!("jwks: read `{}`: {error}", file.display()))?;
                let read = keys::read(body.as_bytes()).map_err(|why| format!("jwks: `{}`: {why}", file.display()))?;
                KeySource::Fixed(read)
            }
            (Some(_), Some(_)) => return Err("jwks: keep one of `file` and `url`".to_owned()),
        };
        let algorithms = self.algorithms.unwrap_or_else(|| Algorithm::ALL.to_vec());
        if algorithms.is_empty() {
            return Err("algorithms: name one, or leave it out".to_owned());
        }
        let clock_skew_s = self.clock_skew_s.unwrap_or(CLOCK_SKEW_S);
        if clock_skew_s > CLOCK_SKEW_S_MAX {
            return Err(format!("clock_skew_s: at most {CLOCK_SKEW_S_MAX}"));
        }
        scopes_fit(&self.scopes)?;
        if self.grant.is_empty() || self.grant.len() > GRANTS_MAX {
            return Err(format!(
                "needs 1 to {GRANTS_MAX} [[auth.grant]], each with what a token must say, a mission and an agent"
            ));
        }
        let grants = self.grant.into_iter().enumerate();
        let grants = grants.map(|(at, grant)| grant.fit().map_err(|text| format!("grant {}: {text}", at + 1)));
        Ok(AuthConfig {
            algorithms,
            audience: self.audience,
            clock_skew_s: i64::from(clock_skew_s),
            grants: grants.collect::<Result<_, _>>()?,
            issuer: self.issuer,
            keys,
            scopes: self.scopes,
        })
    }
}

impl WrittenGrant {
    fn fit(self) -> Result<Grant, String> {
        scopes_fit(&self.scopes)?;
        let claims: BTreeMap<_, _> = self
            .claims
            .into_iter()
            .map(|(name, wanted)| match wanted {
                OneOrMore::More(several) => (name, several),
                OneOrMore::One(one) => (name, vec![one]),
            })
            .collect();
        if let Some((name, _)) = claims.iter().find(|(_, wanted)| wanted.is_empty()) {
            return Err(format!("claims: `{name}` lists nothing; write what it must say"));
        }
        if let Some(name) = ["scope", "scp"].into_iter().find(|name| claims.contains_key(*name)) {
            return Err(format!("claims: write what `{name}` must have as `scopes = [..]`"));
        }
        if self.client.is_none() && claims.is_empty() {
            return Err("say which tokens it is for: `client = \"..\"`, or `claims = { .. }`".to_owned());
        }
        let lasts_us = self.run_s.map_or(RUN_US, |seconds| i64::from(seconds) * 1_000_000);
        if !(1..=RUN_US_MAX).contains(&lasts_us) {
            return Err(format!("run_s: 1 to {}", RUN_US_MAX / 1_000_000));
        }
        Ok(Grant {
            agent: self.agent,
            claims,
            client: self.client,
            initiator: self.initiator.unwrap_or_else(|| "sub".to_owned()),
            lasts_us,
            mission: self.mission,
            scopes: self.scopes,
            servers: self.servers,
        })
    }
}
