//! A person's key on their own device: Ed25519, in a file that only the person's passphrase opens.
//!
//! The key is derived with PBKDF2-HMAC-SHA256 and the seed sealed with AES-256-GCM under it, bound to person and public half. Start at [`DeviceKey::create`].

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::num::NonZeroU32;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::pbkdf2;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::clock::random;
use crate::keys::key_id;

/// How often the passphrase is hashed: what OWASP asks of PBKDF2-HMAC-SHA256.
const ROUNDS: u32 = 600_000;

/// The shortest passphrase.
const PASSPHRASE_CHARS_MIN: usize = 8;

/// A key file is some 400 bytes.
const FILE_BYTES_MAX: u64 = 4_096;

/// Why a key cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// There is one already.
    #[error("`{0}` is there already; a key is never overwritten")]
    Exists(PathBuf),
    /// It is no key file of this version.
    #[error("`{0}` is no key file of this version")]
    Form(PathBuf),
    /// The file system refused.
    #[error("use `{path}`: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It does not open the key.
    #[error("the passphrase does not open `{0}`")]
    Passphrase(PathBuf),
    /// It is too short.
    #[error("a passphrase needs at least {PASSPHRASE_CHARS_MIN} characters")]
    Short,
}

/// A person's key, open.
pub struct DeviceKey {
    pair: Ed25519KeyPair,
    person: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    nonce: String,
    person: String,
    public: String,
    rounds: u32,
    salt: String,
    sealed: String,
    v: u32,
}

impl DeviceKey {
    /// Makes a key for `person` in the file at `path`, which must not be there yet.
    ///
    /// # Errors
    /// [`DeviceError`]; then there is no file.
    pub fn create(path: &Path, person: &str, passphrase: &str) -> Result<Self, DeviceError> {
        if passphrase.chars().count() < PASSPHRASE_CHARS_MIN {
            return Err(DeviceError::Short);
        }
        let (mut seed, mut salt, mut nonce) = ([0; 32], [0; 16], [0; NONCE_LEN]);
        random(&mut seed);
        random(&mut salt);
        random(&mut nonce);
        let form = || DeviceError::Form(path.to_owned());
        let pair = Ed25519KeyPair::from_seed_unchecked(&seed).map_err(|_| form())?;
        let public = STANDARD.encode(pair.public_key().as_ref());
        let key = sealing(passphrase, &salt, ROUNDS).ok_or_else(form)?;
        let mut sealed = seed.to_vec();
        let bound = Aad::from(bound_to(person, &public));
        key.seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), bound, &mut sealed).map_err(|_| form())?;
        let kept = Kept {
            nonce: STANDARD.encode(nonce),
            person: person.to_owned(),
            public,
            rounds: ROUNDS,
            salt: STANDARD.encode(salt),
            sealed: STANDARD.encode(&sealed),
            v: 1,
        };
        let text = serde_json::to_string_pretty(&kept).map_err(|_| form())?;
        let io = |source| DeviceError::Io { path: path.to_owned(), source };
        if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io)?;
        }
        let opened = OpenOptions::new().create_new(true).write(true).mode(0o600).open(path);
        let mut file = opened.map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => DeviceError::Exists(path.to_owned()),
            _ => io(source),
        })?;
        file.write_all(text.as_bytes())
            .and_then(|()| file.write_all(b"\n"))
            .and_then(|()| file.sync_all())
            .map_err(io)?;
        Ok(Self { pair, person: person.to_owned() })
    }

    /// Opens the key in the file at `path`.
    ///
    /// # Errors
    /// [`DeviceError`].
    pub fn open(path: &Path, passphrase: &str) -> Result<Self, DeviceError> {
        let io = |source| DeviceError::Io { path: path.to_owned(), source };
        let form = || DeviceError::Form(path.to_owned());
        let mut text = Vec::new();
        File::open(path).map_err(io)?.take(FILE_BYTES_MAX + 1).read_to_end(&mut text).map_err(io)?;
        let kept: Kept = serde_json::from_slice(&text).map_err(|_| form())?;
        let decode = |text: &str| STANDARD.decode(text).map_err(|_| form());
        let (salt, nonce, mut sealed) = (decode(&kept.salt)?, decode(&kept.nonce)?, decode(&kept.sealed)?);
        if kept.v != 1 || kept.rounds < ROUNDS || kept.rounds > 100 * ROUNDS {
            return Err(form());
        }
        let key = sealing(passphrase, &salt, kept.rounds).ok_or_else(form)?;
        let nonce = Nonce::try_assume_unique_for_key(&nonce).map_err(|_| form())?;
        let bound = Aad::from(bound_to(&kept.person, &kept.public));
        let closed = |_| DeviceError::Passphrase(path.to_owned());
        let seed = key.open_in_place(nonce, bound, &mut sealed).map_err(closed)?;
        let pair = Ed25519KeyPair::from_seed_unchecked(seed).map_err(|_| form())?;
        Ok(Self { pair, person: kept.person })
    }

    /// Whose it is.
    #[must_use]
    pub fn person(&self) -> &str {
        &self.person
    }

    /// The public half, in base64.
    #[must_use]
    pub fn public(&self) -> String {
        STANDARD.encode(self.pair.public_key().as_ref())
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> String {
        key_id(self.pair.public_key().as_ref())
    }

    /// Signs `message`; in base64.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> String {
        STANDARD.encode(self.pair.sign(message).as_ref())
    }
}

impl std::fmt::Debug for DeviceKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DeviceKey").field("person", &self.person).field("id", &self.id()).finish_non_exhaustive()
    }
}

fn bound_to(person: &str, public: &str) -> Vec<u8> {
    format!("countersign device key v1\n{person}\n{public}").into_bytes()
}

fn sealing(passphrase: &str, salt: &[u8], rounds: u32) -> Option<LessSafeKey> {
    let mut key = [0; 32];
    pbkdf2::derive(pbkdf2::PBKDF2_HMAC_SHA256, NonZeroU32::new(rounds)?, salt, passphrase.as_bytes(), &mut key);
    UnboundKey::new(&AES_256_GCM, &key).ok().map(LessSafeKey::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::is_signed;

    #[test]
    fn a_key_opens_with_its_passphrase_alone_and_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys/ana.key");
        assert!(matches!(DeviceKey::create(&path, "ana", "short"), Err(DeviceError::Short)));
        let made = DeviceKey::create(&path, "ana", "correct horse").unwrap();
        assert!(matches!(DeviceKey::create(&path, "ana", "correct horse"), Err(DeviceError::Exists(_))));
        let opened = DeviceKey::open(&path, "correct horse").unwrap();
        assert_eq!((opened.person(), opened.id()), ("ana", made.id()));
        assert!(is_signed(&made.public(), b"text", &opened.sign(b"text")));
        assert!(!is_signed(&made.public(), b"other", &opened.sign(b"text")));
        assert!(matches!(DeviceKey::open(&path, "wrong horse"), Err(DeviceError::Passphrase(_))));
        let text = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, text.replace("\"ana\"", "\"bea\"")).unwrap();
        assert!(
            matches!(DeviceKey::open(&path, "correct horse"), Err(DeviceError::Passphrase(_))),
            "bound to the person"
        );
    }
}
