//! The authorization server's public keys: from a file, an address, or where its metadata says; kept, refreshed, and never asked for in a flood.
//!
//! A key that is not known is asked for once and then refused for a while. Keys that could not be refreshed are used for a bounded time; after it nobody comes in
//! with a signed token.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwapOption;
use serde::Deserialize;
use serde_json::Value;
use surfaces::limits::ReadLimits;
use surfaces::mcp::codec::strict_scan;
use surfaces::mcp::web::{WebClient, WebUrl};
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::token::{Algorithm, Key};
use crate::discovery::{DiscoveryError, discover, fetch};
use crate::limits::{KEYS_AGAIN, KEYS_FRESH, KEYS_MAX, KEYS_STALE_MAX};

/// Where keys come from.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// They were read with the configuration and stay as they are.
    Fixed(Vec<Key>),
    /// The issuer's metadata says where.
    Issuer(String),
    /// An address.
    Url(WebUrl),
}

/// How long keys are good, and how often they are asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyLimits {
    /// The least time between two requests.
    pub again: Duration,
    /// How long keys are good without asking.
    pub fresh: Duration,
    /// How long keys are used while they cannot be asked for.
    pub stale_max: Duration,
}

impl KeyLimits {
    /// What is in force.
    pub const DEFAULT: Self = Self { again: KEYS_AGAIN, fresh: KEYS_FRESH, stale_max: KEYS_STALE_MAX };
}

/// The keys of one authorization server.
#[derive(Debug)]
pub struct Keys {
    /// When they were last asked for. Held while they are being asked for, so that only one does.
    asked_at: Mutex<Option<Instant>>,
    is_out: AtomicBool,
    limits: KeyLimits,
    loaded: ArcSwapOption<Loaded>,
    source: KeySource,
    web: WebClient,
}

#[derive(Debug)]
struct Loaded {
    at: Instant,
    keys: Vec<Key>,
}

/// Why there is no key.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The authorization server cannot be asked, and what is known is too old.
    #[error("the authorization server's keys are not known: {why}")]
    Unavailable {
        /// Whether this is the beginning of the outage, which is recorded.
        begins: bool,
        /// Why not.
        why: String,
    },
    /// It has no such key.
    #[error("the token names a key that the authorization server does not have")]
    Unknown,
}

impl Keys {
    /// Keys from `source`; nothing is asked yet.
    #[must_use]
    pub fn new(source: KeySource, limits: KeyLimits) -> Self {
        let loaded = match &source {
            KeySource::Fixed(keys) => Some(Arc::new(Loaded { at: Instant::now(), keys: keys.clone() })),
            KeySource::Issuer(_) | KeySource::Url(_) => None,
        };
        Self {
            asked_at: Mutex::new(None),
            is_out: AtomicBool::new(false),
            limits,
            loaded: ArcSwapOption::new(loaded),
            source,
            web: WebClient::default(),
        }
    }

    /// Whether tokens that were verified with these keys need not be verified again: the keys are young enough.
    #[must_use]
    pub fn are_fresh(&self) -> bool {
        self.is_fixed() || self.loaded.load().as_ref().is_some_and(|loaded| loaded.at.elapsed() < self.limits.fresh)
    }

    /// The key for a token; asks the authorization server where that may help.
    ///
    /// # Errors
    /// [`KeyError`].
    pub async fn find(&self, algorithm: Algorithm, id: Option<&str>) -> Result<Key, KeyError> {
        let known = self.known(algorithm, id);
        if self.is_fixed() || (known.is_some() && self.are_fresh()) {
            return known.ok_or(KeyError::Unknown);
        }
        let failed = self.refresh().await.err();
        if let Some(key) = self.known(algorithm, id) {
            return Ok(key);
        }
        match (failed, self.usable()) {
            (_, Some(_)) => Err(KeyError::Unknown),
            (failed, None) => {
                let begins = !self.is_out.swap(true, Ordering::AcqRel);
                let why = failed.unwrap_or_else(|| "it was asked a moment ago and could not be reached".to_owned());
                Err(KeyError::Unavailable { begins, why })
            }
        }
    }

    const fn is_fixed(&self) -> bool {
        matches!(self.source, KeySource::Fixed(_))
    }

    /// The keys that may be used.
    fn usable(&self) -> Option<Arc<Loaded>> {
        self.loaded.load_full().filter(|loaded| self.is_fixed() || loaded.at.elapsed() < self.limits.stale_max)
    }

    /// The one key that suits. A token that names none is verified only where there is no choice.
    fn known(&self, algorithm: Algorithm, id: Option<&str>) -> Option<Key> {
        let loaded = self.usable()?;
        let mut suiting = loaded.keys.iter().filter(|key| key.suits(algorithm, id));
        match (suiting.next(), suiting.next()) {
            (Some(key), None) => Some(key.clone()),
            _ => None,
        }
    }

    /// Asks for the keys, unless that was done a moment ago.
    async fn refresh(&self) -> Result<(), String> {
        let mut asked_at = self.asked_at.lock().await;
        if asked_at.is_some_and(|at| at.elapsed() < self.limits.again) {
            return Ok(());
        }
        *asked_at = Some(Instant::now());
        match self.fetch().await {
            Ok(keys) => {
                self.is_out.store(false, Ordering::Release);
                self.loaded.store(Some(Arc::new(Loaded { at: Instant::now(), keys })));
                Ok(())
            }
            Err(error) => {
                tracing::warn!(%error, "the authorization server's keys could not be refreshed");
                Err(error.to_string())
            }
        }
    }

    async fn fetch(&self) -> Result<Vec<Key>, DiscoveryError> {
        let url = match &self.source {
            KeySource::Fixed(keys) => return Ok(keys.clone()),
            KeySource::Issuer(issuer) => {
                let metadata = discover(&self.web, issuer).await?;
                let why = || "its metadata has no `jwks_uri`".to_owned();
                let absent = || DiscoveryError::Answer { wanted: "keys", url: issuer.clone(), why: why() };
                WebUrl::parse(&metadata.jwks_uri.ok_or_else(absent)?)?
            }
            KeySource::Url(url) => url.clone(),
        };
        let answer = |why: String| DiscoveryError::Answer { wanted: "keys", url: url.to_string(), why };
        let body = fetch(&self.web, &url, "keys").await?.ok_or_else(|| answer("there is nothing".to_owned()))?;
        read(&body).map_err(answer)
    }
}

/// Reads a key set (RFC 7517, section 5). Keys for other purposes are left out.
///
/// # Errors
/// What is wrong with it.
pub fn read(body: &[u8]) -> Result<Vec<Key>, String> {
    #[derive(Deserialize)]
    struct Set {
        keys: Vec<Value>,
    }
    strict_scan(body, &ReadLimits::RESPONSE).map_err(|error| error.to_string())?;
    let set: Set = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    if set.keys.len() > KEYS_MAX {
        return Err(format!("it has more than {KEYS_MAX} keys"));
    }
    let keys: Vec<Key> = set.keys.into_iter().filter_map(Key::read).collect();
    if keys.is_empty() {
        return Err("it has no public key for an algorithm that is taken".to_owned());
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex as StdMutex;

    use serde_json::json;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;

    use super::*;
    use crate::auth::tests::Signer;

    /// A web server on loopback whose one document can be changed; counts what it was asked.
    struct Site {
        asked: Arc<StdMutex<u32>>,
        body: Arc<StdMutex<String>>,
        url: WebUrl,
    }

    impl Site {
        async fn start(body: &str) -> Self {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = WebUrl::parse(&format!("http://{}/jwks", listener.local_addr().unwrap())).unwrap();
            let asked = Arc::new(StdMutex::new(0));
            let body = Arc::new(StdMutex::new(body.to_owned()));
            let (counting, answering) = (asked.clone(), body.clone());
            tokio::spawn(async move {
                loop {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    let mut request = Vec::new();
                    while !request.ends_with(b"\r\n\r\n") {
                        request.push(stream.read_u8().await.unwrap());
                    }
                    *counting.lock().unwrap() += 1;
                    let answer = answering.lock().unwrap().clone();
                    stream.write_all(answer.as_bytes()).await.unwrap();
                }
            });
            Self { asked, body, url }
        }

        fn says(&self, answer: &str) {
            answer.clone_into(&mut self.body.lock().unwrap());
        }

        fn asked(&self) -> u32 {
            *self.asked.lock().unwrap()
        }
    }

    fn ok(body: &str) -> String {
        format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
    }

    fn set(signers: &[&Signer]) -> String {
        ok(&json!({ "keys": signers.iter().map(|signer| signer.jwk()).collect::<Vec<_>>() }).to_string())
    }

    const NO_WAIT: KeyLimits = KeyLimits { again: Duration::ZERO, ..KeyLimits::DEFAULT };

    #[tokio::test]
    async fn a_new_key_is_found_and_an_invented_one_costs_one_request() {
        let (first, second) = (Signer::es256("a"), Signer::es256("b"));
        let site = Site::start(&set(&[&first])).await;
        let keys = Keys::new(KeySource::Url(site.url.clone()), KeyLimits::DEFAULT);
        assert!(keys.find(Algorithm::ES256, Some("a")).await.is_ok());
        assert!(keys.find(Algorithm::ES256, Some("a")).await.is_ok());
        assert_eq!(site.asked(), 1, "a known key costs nothing");
        site.says(&set(&[&first, &second]));
        for _ in 0..20 {
            assert_eq!(keys.find(Algorithm::ES256, Some("b")).await, Err(KeyError::Unknown));
        }
        assert_eq!(site.asked(), 1, "it was asked a moment ago");

        let keys = Keys::new(KeySource::Url(site.url.clone()), NO_WAIT);
        site.says(&set(&[&first]));
        assert_eq!(keys.find(Algorithm::ES256, Some("b")).await, Err(KeyError::Unknown));
        site.says(&set(&[&first, &second]));
        assert!(keys.find(Algorithm::ES256, Some("b")).await.is_ok());
    }

    #[tokio::test]
    async fn keys_outlive_a_short_outage_and_not_a_long_one() {
        let signer = Signer::es256("a");
        let site = Site::start(&set(&[&signer])).await;
        for (stale_max, is_used) in [(Duration::from_secs(3600), true), (Duration::ZERO, false)] {
            site.says(&set(&[&signer]));
            let limits = KeyLimits { fresh: Duration::ZERO, stale_max, ..NO_WAIT };
            let keys = Keys::new(KeySource::Url(site.url.clone()), limits);
            let _first = keys.find(Algorithm::ES256, Some("a")).await;
            site.says("HTTP/1.1 500 No\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            let found = keys.find(Algorithm::ES256, Some("a")).await;
            assert_eq!(found.is_ok(), is_used, "{found:?}");
            assert!(!keys.are_fresh());
        }
    }

    #[tokio::test]
    async fn what_is_no_key_set_lets_nobody_in_and_the_outage_begins_once() {
        let signer = Signer::es256("a");
        let twice = json!({ "keys": [signer.jwk()] }).to_string().replace("\"keys\"", "\"keys\":[],\"keys\"");
        let secret = json!({ "keys": [{ "kty": "oct", "k": "c2VjcmV0", "kid": "a", "alg": "HS256" }] }).to_string();
        for body in [
            ok("{}"),
            ok(r#"{"keys":[]}"#),
            ok(&secret),
            ok(&twice),
            ok(&format!(r#"{{"keys":[],"pad":"{}"}}"#, "x".repeat(300 << 10))),
            "HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1:1/\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                .to_owned(),
            "HTTP/1.1 404 Not Found\r\ncontent-length: 0\r\nconnection: close\r\n\r\n".to_owned(),
            "SSH-2.0-hello\r\n".to_owned(),
        ] {
            let site = Site::start(&body).await;
            let keys = Keys::new(KeySource::Url(site.url.clone()), NO_WAIT);
            for begins in [true, false] {
                let found = keys.find(Algorithm::ES256, Some("a")).await;
                let is_out = matches!(&found, Err(KeyError::Unavailable { begins: it_does, .. }) if *it_does == begins);
                assert!(is_out, "{body:.60}: {found:?}");
            }
        }
    }
}
