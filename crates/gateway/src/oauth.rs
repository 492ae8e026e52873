//! The gateway's own OAuth client, for upstreams that want it (MCP, Authorization): the agent's token goes nowhere, the upstream's token is the gateway's own.
//!
//! [`login`] gets a token with a person's consent, [`UpstreamTokens`] keeps it good, [`vault`] keeps it sealed. A client's secret goes only to the authorization
//! server that the operator named. Start at [`UpstreamTokens`].

pub mod challenge;
pub mod config;
pub mod grant;
pub mod login;
pub mod vault;

use std::fmt;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use evidence::time::Timestamp;
use http::StatusCode;
use http::header::HeaderValue;
use surfaces::mcp::upstream::http::{Authorization, Kept, Refusal};
use surfaces::mcp::web::{WebClient, WebUrl};
use tokio::sync::Mutex;

use self::challenge::Challenge;
use self::config::{GrantType, OauthConfig};
use self::grant::{Proof, TokenFault, Tokens, ask, plain};
use self::vault::{Sealed, Vault};
use crate::clock::now;
use crate::limits::{TOKEN_AGAIN_US, TOKEN_EARLY_US};

/// The tokens of one upstream, for all its sessions.
pub struct UpstreamTokens {
    config: OauthConfig,
    current: ArcSwapOption<Current>,
    /// What failed a moment ago is not tried again at once: agents would turn it into a flood. Held while a token is being got, so that only one is.
    failed: Mutex<Option<Failed>>,
    name: String,
    url: WebUrl,
    vault: Vault,
    web: WebClient,
}

/// A token in use.
#[derive(Debug)]
struct Current {
    header: HeaderValue,
    renew_at: Timestamp,
}

#[derive(Debug)]
struct Failed {
    at: Timestamp,
    why: String,
}

/// What is wrong with the token in use.
#[derive(Clone, Copy, Debug)]
enum Need<'a> {
    /// It is old, or there is none.
    Fresh,
    /// The upstream refused this one.
    Other(&'a HeaderValue),
    /// It lacks scopes.
    Wider(&'a HeaderValue, &'a str),
}

impl fmt::Debug for UpstreamTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpstreamTokens").field("name", &self.name).finish_non_exhaustive()
    }
}

impl UpstreamTokens {
    /// The tokens of the upstream `name`; nothing is read or asked yet.
    #[must_use]
    pub fn new(name: &str, url: WebUrl, config: OauthConfig, vault: Vault) -> Self {
        Self {
            config,
            current: ArcSwapOption::empty(),
            failed: Mutex::new(None),
            name: name.to_owned(),
            url,
            vault,
            web: WebClient::default(),
        }
    }

    fn good(&self) -> Option<HeaderValue> {
        let current = self.current.load();
        current.as_ref().filter(|current| now() < current.renew_at).map(|current| current.header.clone())
    }

    /// Gets a token, unless somebody else did meanwhile.
    async fn renew(&self, need: Need<'_>) -> Result<HeaderValue, String> {
        let mut failed = self.failed.lock().await;
        let refused = match need {
            Need::Fresh => None,
            Need::Other(header) | Need::Wider(header, _) => Some(header),
        };
        if let Some(header) = self.good().filter(|header| Some(header) != refused) {
            return Ok(header);
        }
        if let Some(Failed { at, why }) = &*failed
            && now() < at.plus_micros(TOKEN_AGAIN_US)
        {
            return Err(why.clone());
        }
        let obtained = match self.config.grant {
            GrantType::AuthorizationCode => self.refresh(need).await,
            GrantType::ClientCredentials => self.present(need).await,
        };
        match obtained {
            Ok(current) => {
                *failed = None;
                let header = current.header.clone();
                self.current.store(Some(Arc::new(current)));
                Ok(header)
            }
            Err(why) => {
                tracing::warn!(upstream = self.name, %why, "no access token for an upstream");
                self.current.store(None);
                *failed = Some(Failed { at: now(), why: why.clone() });
                Err(why)
            }
        }
    }

    /// A token from what a login left.
    async fn refresh(&self, need: Need<'_>) -> Result<Current, String> {
        let vault = self.vault.clone();
        let blocked = tokio::task::spawn_blocking(move || vault.lock()).await.map_err(|error| error.to_string())?;
        let lock = blocked.map_err(|error| error.to_string())?;
        let kept = self.vault.load(&self.name).map_err(|error| self.mended_by_login(&error.to_string()))?;
        let mut sealed = kept.ok_or_else(|| self.mended_by_login("nobody has logged in"))?;
        if sealed.url != self.url.to_string() {
            return Err(self.mended_by_login("its address has changed since the login"));
        }
        let current = current(&sealed)?;
        let is_usable = now() < current.renew_at;
        match need {
            Need::Fresh if is_usable => return Ok(current),
            // Somebody logged in again.
            Need::Other(refused) | Need::Wider(refused, _) if is_usable && current.header != *refused => {
                return Ok(current);
            }
            Need::Wider(_, scope) => {
                sealed.wanted = plain(&format!("{} {scope}", sealed.scope)).trim().to_owned();
                self.vault.keep(&lock, &self.name, &sealed).map_err(|error| error.to_string())?;
                return Err(self.mended_by_login(&format!("it needs the scope `{}`", plain(scope))));
            }
            Need::Fresh | Need::Other(_) => {}
        }
        let refresh_token = sealed.refresh_token.clone();
        let refresh_token = refresh_token.ok_or_else(|| self.mended_by_login("its token has expired"))?;
        let endpoint = WebUrl::parse(&sealed.token_endpoint).map_err(|error| error.to_string())?;
        let wanted =
            [("grant_type", "refresh_token"), ("refresh_token", &*refresh_token), ("resource", &*sealed.resource)];
        let tokens = ask(&self.web, &endpoint, &sealed.client, sealed.proof, &wanted).await;
        let Tokens { access_token, expires_in, refresh_token, scope, .. } = tokens.map_err(|fault| match fault {
            TokenFault::Refused { .. } => self.mended_by_login(&fault.to_string()),
            TokenFault::Answer(_) | TokenFault::Web(_) => format!("upstream `{}`: {fault}; try again later", self.name),
        })?;
        sealed.access_token = access_token;
        sealed.expires_at = expiry(now(), expires_in);
        // A server that rotates gives another; one that does not leaves the old one good.
        sealed.refresh_token = refresh_token.or(sealed.refresh_token);
        sealed.scope = scope.unwrap_or(sealed.scope);
        self.vault.keep(&lock, &self.name, &sealed).map_err(|error| error.to_string())?;
        self::current(&sealed)
    }

    /// A token for the gateway as itself. Nothing is kept: the next one costs one request.
    async fn present(&self, need: Need<'_>) -> Result<Current, String> {
        let failed = |error: &dyn fmt::Display| format!("upstream `{}`: {error}", self.name);
        let found = login::find(&self.web, &self.url, &self.config).await.map_err(|error| failed(&error))?;
        let client = self.config.client.as_ref().ok_or_else(|| failed(&"it has no `client_id`"))?;
        let endpoint = found.server.token_endpoint.as_deref().unwrap_or_default();
        let endpoint = WebUrl::parse(endpoint).map_err(|error| failed(&error))?;
        let configured = self.config.scopes.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
        let scope = match (&*configured, need) {
            ("", Need::Wider(_, scope)) => scope,
            ("", Need::Fresh | Need::Other(_)) => &found.scope,
            // What the operator wrote is all that is asked for.
            (configured, Need::Wider(_, scope)) if !covered(scope, configured) => {
                let text = format!("it needs the scope `{}`; add it to `scopes`", plain(scope));
                return Err(failed(&text));
            }
            (configured, _) => configured,
        };
        let wanted = [("grant_type", "client_credentials"), ("scope", scope), ("resource", &found.resource)];
        let proof = Proof::of(client, &found.server);
        let tokens = ask(&self.web, &endpoint, client, proof, &wanted).await.map_err(|fault| failed(&fault))?;
        in_use(&tokens.access_token, expiry(now(), tokens.expires_in))
    }

    fn mended_by_login(&self, what: &str) -> String {
        let name = &self.name;
        format!("upstream `{name}` wants authorization: {what}; the operator runs `countersign upstream login {name}`")
    }
}

impl Authorization for UpstreamTokens {
    fn header(&self) -> Kept<'_, HeaderValue> {
        Box::pin(async move {
            match self.good() {
                Some(header) => Ok(header),
                None => self.renew(Need::Fresh).await,
            }
        })
    }

    fn refused(&self, refusal: Refusal) -> Kept<'_, ()> {
        Box::pin(async move {
            let Refusal { challenge, header, status } = refusal;
            let challenge = Challenge::read(challenge.as_ref());
            let need = match challenge.wants_scope() {
                Some(scope) if status == StatusCode::FORBIDDEN => Need::Wider(&header, scope),
                _ if status == StatusCode::FORBIDDEN => {
                    return Err(format!("upstream `{}` forbids it (403)", self.name));
                }
                _ => Need::Other(&header),
            };
            self.renew(need).await.map(drop)
        })
    }
}

/// Whether every scope of `wanted` is in `had`.
fn covered(wanted: &str, had: &str) -> bool {
    wanted.split(' ').all(|one| had.split(' ').any(|other| other == one))
}

fn current(sealed: &Sealed) -> Result<Current, String> {
    in_use(&sealed.access_token, sealed.expires_at)
}

fn in_use(token: &str, expires_at: Option<Timestamp>) -> Result<Current, String> {
    let header = HeaderValue::from_str(&format!("Bearer {token}"));
    let mut header = header.map_err(|_| "the access token cannot be a header".to_owned())?;
    header.set_sensitive(true);
    // Without a time it is good until it is refused.
    let renew_at = expires_at.map_or(Timestamp::from_micros(i64::MAX), |at| at.plus_micros(-TOKEN_EARLY_US));
    Ok(Current { header, renew_at })
}

/// When a token expires that is good for `expires_in` seconds. A very short life is stretched, or every request would get another.
fn expiry(at: Timestamp, expires_in: Option<i64>) -> Option<Timestamp> {
    let least = 2 * TOKEN_EARLY_US;
    expires_in.map(|seconds| at.plus_micros(seconds.clamp(0, i64::from(u32::MAX)).saturating_mul(1_000_000).max(least)))
}
