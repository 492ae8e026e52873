//! The gateway as an OAuth resource server (MCP, Authorization; RFC 9728, 8707, 6750): access tokens of one configured authorization server, beside run tokens.
//!
//! It issues no tokens, forwards none, and asks nobody about them but for the keys. [`token`] reads and verifies one, [`keys`] has what that needs, [`grant`] says
//! what it may do. Start at [`Auth::examine`].

pub mod config;
pub mod grant;
pub mod keys;
#[cfg(test)]
mod tests;
pub mod token;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use evidence::record::AccessToken;
use serde_json::json;
use sha2::{Digest, Sha256};
use surfaces::mcp::downstream::http::{AdmitError, Holder};

use self::config::{AuthConfig, Grant};
use self::grant::{Denied, Granted, authorize, resource};
use self::keys::{KeyError, KeyLimits, Keys};
use self::token::{Claims, TokenError, Unverified};
use crate::limits::SEEN_TOKENS_MAX;
use crate::runs::Run;

/// Where the metadata of a protected resource is (RFC 9728, section 3).
pub const METADATA_PATH: &str = "/.well-known/oauth-protected-resource";

/// The resource server.
#[derive(Debug)]
pub struct Auth {
    config: AuthConfig,
    keys: Keys,
    /// The base address that is configured, if any.
    public: Option<String>,
    /// Tokens that are known to be good, by digest.
    seen: Mutex<HashMap<[u8; 32], Arc<Accepted>>>,
}

/// A token whose signature was good.
#[derive(Debug)]
pub struct Accepted {
    /// What it says.
    pub claims: Claims,
    /// The runs that it joined, by grant.
    runs: Mutex<HashMap<usize, Arc<Run>>>,
}

/// Why a token is not good.
#[derive(Debug, thiserror::Error)]
pub enum ExamineError {
    /// Its algorithm is one that is not configured, or it is no token.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// Its key is not there.
    #[error(transparent)]
    Key(#[from] KeyError),
}

impl Auth {
    /// A resource server as configured; asks nothing yet.
    #[must_use]
    pub fn new(config: AuthConfig, public: Option<String>) -> Self {
        let keys = Keys::new(config.keys.clone(), KeyLimits::DEFAULT);
        Self { config, keys, public, seen: Mutex::default() }
    }

    /// The address of the gateway for an agent that called it `host`.
    #[must_use]
    pub fn base(&self, host: &str) -> String {
        self.public.clone().unwrap_or_else(|| format!("http://{}", host.to_ascii_lowercase()))
    }

    /// The authorization server.
    #[must_use]
    pub fn issuer(&self) -> &str {
        &self.config.issuer
    }

    /// Scopes that every token needs, separated by spaces.
    #[must_use]
    pub fn scope(&self) -> String {
        let scopes: Vec<&str> = self.config.scopes.iter().map(String::as_str).collect();
        scopes.join(" ")
    }

    /// The metadata of `server`, or of the gateway as a whole, for an agent that called it `host` (RFC 9728, section 2).
    #[must_use]
    pub fn metadata(&self, host: &str, server: Option<&str>) -> String {
        let base = self.base(host);
        let scopes: BTreeSet<&String> =
            self.config.scopes.iter().chain(self.config.grants.iter().flat_map(|grant| &grant.scopes)).collect();
        let mut metadata = json!({
            "resource": server.map_or_else(|| base.clone(), |server| resource(&base, server)),
            "authorization_servers": [self.config.issuer],
            "bearer_methods_supported": ["header"],
            "resource_name": "Countersign",
        });
        if let (Some(metadata), false) = (metadata.as_object_mut(), scopes.is_empty()) {
            metadata.insert("scopes_supported".to_owned(), json!(scopes));
        }
        metadata.to_string()
    }

    /// A token that was examined before and need not be again.
    #[must_use]
    pub fn seen(&self, token: &str) -> Option<Arc<Accepted>> {
        if !self.keys.are_fresh() {
            return None;
        }
        let digest: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        self.lock().get(&digest).cloned()
    }

    /// Verifies a token's signature, and remembers that it is good.
    ///
    /// # Errors
    /// [`ExamineError`].
    pub async fn examine(&self, token: &str) -> Result<Arc<Accepted>, ExamineError> {
        let unverified = Unverified::read(token)?;
        if !self.config.algorithms.contains(&unverified.algorithm) {
            return Err(TokenError::Algorithm.into());
        }
        let key = self.keys.find(unverified.algorithm, unverified.key.as_deref()).await?;
        let claims = unverified.verify(&key)?;
        let mut seen = self.lock();
        if let Some(known) = seen.get(&claims.digest) {
            return Ok(known.clone());
        }
        if seen.len() >= SEEN_TOKENS_MAX {
            seen.clear();
        }
        let accepted = Arc::new(Accepted { claims, runs: Mutex::default() });
        seen.insert(accepted.claims.digest, accepted.clone());
        Ok(accepted)
    }

    /// What a good token may do at an endpoint now.
    ///
    /// # Errors
    /// [`Denied`].
    pub fn authorize<'a>(
        &self,
        accepted: &'a Accepted,
        host: &str,
        server: &str,
        at_s: i64,
    ) -> Result<Granted<'a>, Denied> {
        authorize(&accepted.claims, &self.config, &self.base(host), server, at_s)
    }

    /// The grant at `place` of the configuration.
    #[must_use]
    pub fn grant(&self, place: usize) -> Option<&Grant> {
        self.config.grants.get(place)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<[u8; 32], Arc<Accepted>>> {
        // A panic while the lock was held cannot leave it half changed: every change is one operation.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Accepted {
    /// The run that the token joined under a grant.
    #[must_use]
    pub fn run(&self, grant: usize) -> Option<Arc<Run>> {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner).get(&grant).cloned()
    }

    /// Notes the run that the token joined under a grant.
    pub fn joined(&self, grant: usize, run: Arc<Run>) {
        self.runs.lock().unwrap_or_else(PoisonError::into_inner).insert(grant, run);
    }

    /// Whose sessions the token may use: those of the same person through the same client in the same run, whichever of their tokens opened them.
    #[must_use]
    pub fn holder(&self, run: &Run) -> Holder {
        let mut hash = Sha256::new();
        let client = self.claims.client.as_deref().unwrap_or_default();
        for part in ["oidc", &self.claims.issuer, &self.claims.subject, client, &run.id.to_string()] {
            // With its length, so that no two lists of parts read the same.
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        Holder(hash.finalize().into())
    }

    /// Whom it is about, for a scope.
    #[must_use]
    pub fn whom(&self) -> String {
        format!("subject:{} at {}", self.claims.subject, self.claims.issuer)
    }

    /// What is recorded of the token.
    #[must_use]
    pub fn facts(&self) -> AccessToken {
        AccessToken {
            client: self.claims.client.clone(),
            issuer: self.claims.issuer.clone(),
            sha256: hex::encode(self.claims.digest),
            subject: self.claims.subject.clone(),
        }
    }
}

impl From<ExamineError> for AdmitError {
    fn from(error: ExamineError) -> Self {
        match error {
            ExamineError::Key(KeyError::Unavailable { .. }) => {
                // Why exactly is for the operator: it is in the log and in the evidence.
                Self::Unavailable("the authorization server cannot be asked for its keys; try again later".to_owned())
            }
            ExamineError::Key(KeyError::Unknown) | ExamineError::Token(_) => Self::Unauthorized(error.to_string()),
        }
    }
}

impl From<Denied> for AdmitError {
    fn from(denied: Denied) -> Self {
        let text = denied.to_string();
        match denied {
            Denied::Audience(_) | Denied::Expired | Denied::Issuer(_) | Denied::TooEarly => Self::Unauthorized(text),
            Denied::Initiator(_) | Denied::NoGrant => Self::Forbidden(text),
            Denied::Scope { wanted, .. } => Self::InsufficientScope { scope: wanted, text },
        }
    }
}
