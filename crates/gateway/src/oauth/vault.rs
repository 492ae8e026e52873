//! The tokens of upstreams, sealed in the home: one file for each, bound to the upstream's name.
//!
//! Two processes meet here, the gateway and `countersign upstream login`, so whoever changes a file holds
//! the lock while doing so.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::PathBuf;

use evidence::time::Timestamp;
use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::config::Client;
use super::grant::Proof;
use crate::home::Home;
use crate::limits::SEALED_BYTES_MAX;
use crate::seal::{Seal, SealError};

/// What is kept of a login.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sealed {
    /// The token.
    pub access_token: String,
    /// Who the gateway is to the authorization server.
    pub client: Client,
    /// From when on the token is no longer good, where that was said.
    pub expires_at: Option<Timestamp>,
    /// The authorization server.
    pub issuer: String,
    /// How the gateway proves itself there.
    pub proof: Proof,
    /// What the next token is got with.
    pub refresh_token: Option<String>,
    /// For what the token is (RFC 8707).
    pub resource: String,
    /// The scopes that it has, separated by spaces.
    pub scope: String,
    /// Where the next token is got.
    pub token_endpoint: String,
    /// The upstream's address at the time of the login.
    pub url: String,
    /// The scopes that the upstream asked for since, for the next login.
    pub wanted: String,
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed").field("issuer", &self.issuer).field("resource", &self.resource).finish_non_exhaustive()
    }
}

/// Why what is kept cannot be had or changed.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    /// The file system refused.
    #[error("use `{path}`: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is not what was sealed with this home's key for this upstream.
    #[error("`{0}` cannot be opened with this home's key; log in again")]
    Unsealed(PathBuf),
}

/// Where the tokens of one home's upstreams are.
#[derive(Clone, Debug)]
pub struct Vault {
    folder: PathBuf,
    seal: Seal,
}

impl From<SealError> for VaultError {
    fn from(error: SealError) -> Self {
        match error {
            SealError::Io { path, source } => Self::Io { path, source },
            SealError::Altered(path) | SealError::NoKey(path) | SealError::Unsealed(path) => Self::Unsealed(path),
        }
    }
}

/// The right to change what is kept; given back when dropped.
#[derive(Debug)]
pub struct VaultLock(#[expect(dead_code, reason = "the lock lives as long as the file is open")] File);

impl Vault {
    /// The vault of `home`; nothing is created yet.
    #[must_use]
    pub fn of(home: &Home) -> Self {
        let seal = Seal::new(home.path().join("keys/upstreams.aes"), "countersign upstream tokens");
        Self { folder: home.path().join("upstreams"), seal }
    }

    /// The file of one upstream: names may have any character.
    fn file(&self, upstream: &str) -> PathBuf {
        self.folder.join(format!("{}.sealed", hex::encode(Sha256::digest(upstream.as_bytes()))))
    }

    /// Waits for the right to change what is kept: only ever for as long as one refresh takes.
    ///
    /// # Errors
    /// The file system's.
    pub fn lock(&self) -> Result<VaultLock, VaultError> {
        let path = self.folder.join("lock");
        let io = |source| VaultError::Io { path: path.clone(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(io)?;
        let file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(&path).map_err(io)?;
        flock(&file, FlockOperation::LockExclusive).map_err(|error| io(error.into()))?;
        Ok(VaultLock(file))
    }

    /// What is kept for an upstream.
    ///
    /// # Errors
    /// [`VaultError`].
    pub fn load(&self, upstream: &str) -> Result<Option<Sealed>, VaultError> {
        let path = self.file(upstream);
        let Some(text) = self.seal.open(&path, upstream, SEALED_BYTES_MAX)? else { return Ok(None) };
        serde_json::from_slice(&text).map(Some).map_err(|_| VaultError::Unsealed(path))
    }

    /// Keeps `sealed` for an upstream in the place of what was there.
    ///
    /// # Errors
    /// [`VaultError`]; what was there is still there.
    // CRASH: before the rename the old tokens are there; if the authorization server has taken the old refresh token back already, the next refresh fails and says to
    // log in again.
    pub fn keep(&self, _lock: &VaultLock, upstream: &str, sealed: &Sealed) -> Result<(), VaultError> {
        let path = self.file(upstream);
        let text = serde_json::to_vec(sealed).map_err(|_| VaultError::Unsealed(path.clone()))?;
        Ok(self.seal.put(&path, upstream, text)?)
    }

    /// Forgets what is kept for an upstream; says whether there was anything.
    ///
    /// # Errors
    /// The file system's.
    pub fn forget(&self, _lock: &VaultLock, upstream: &str) -> Result<bool, VaultError> {
        let path = self.file(upstream);
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(source) => Err(VaultError::Io { path, source }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn sealed(token: &str) -> Sealed {
        Sealed {
            access_token: token.to_owned(),
            client: Client { id: "c".to_owned(), secret: Some("client-secret".to_owned()) },
            expires_at: None,
            issuer: "https://login.example".to_owned(),
            proof: Proof::Basic,
            refresh_token: Some("refresh-secret".to_owned()),
            resource: "https://up.example/mcp".to_owned(),
            scope: "a b".to_owned(),
            token_endpoint: "https://login.example/token".to_owned(),
            url: "https://up.example/mcp".to_owned(),
            wanted: String::new(),
        }
    }

    #[test]
    fn tokens_are_sealed_for_their_upstream_and_readable_to_nobody_else() {
        let folder = tempfile::tempdir().unwrap();
        let vault = Vault::of(&Home::find(Some(folder.path().to_owned())).unwrap());
        assert_eq!(vault.load("erp").unwrap(), None);
        let lock = vault.lock().unwrap();
        vault.keep(&lock, "erp", &sealed("access-secret")).unwrap();
        assert_eq!(vault.load("erp").unwrap(), Some(sealed("access-secret")));
        vault.keep(&lock, "erp", &sealed("another-secret")).unwrap();
        assert_eq!(vault.load("erp").unwrap(), Some(sealed("another-secret")));
        for path in [vault.file("erp"), folder.path().join("keys/upstreams.aes")] {
            assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600, "{}", path.display());
        }
        let bytes = fs::read(vault.file("erp")).unwrap();
        assert!(!String::from_utf8_lossy(&bytes).contains("secret"));
        assert!(!format!("{:?}", sealed("access-secret")).contains("secret"));

        // Another upstream's file, and one with any byte changed, are not opened.
        fs::copy(vault.file("erp"), vault.file("crm")).unwrap();
        assert!(matches!(vault.load("crm"), Err(VaultError::Unsealed(_))));
        for at in [0, 1, 13, bytes.len() - 1] {
            let mut altered = bytes.clone();
            altered[at] ^= 1;
            fs::write(vault.file("erp"), altered).unwrap();
            assert!(matches!(vault.load("erp"), Err(VaultError::Unsealed(_))), "byte {at}");
        }
        for short in [0, 1, 5, 13] {
            fs::write(vault.file("erp"), &bytes[..short]).unwrap();
            assert!(matches!(vault.load("erp"), Err(VaultError::Unsealed(_))), "{short} bytes");
        }
        assert!(vault.forget(&lock, "erp").unwrap());
        assert!(!vault.forget(&lock, "erp").unwrap());
    }
}
