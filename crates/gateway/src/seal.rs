//! Files that only this home can read: AES-256-GCM under a key in a file of its own, each bound to what it is.
//!
//! A file is replaced as a whole and synced before it counts.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use evidence::leaf::sha256_hex;

use crate::clock::random;

/// Why what is sealed cannot be had or changed.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The file system refused.
    #[error("use `{path}`: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is not the file that was written.
    #[error("`{0}` is not the file that was written")]
    Altered(PathBuf),
    /// The key is gone, and what it sealed with it.
    #[error("the key `{0}` is not here")]
    NoKey(PathBuf),
    /// It is not what was sealed with this home's key as what it is taken for.
    #[error("`{0}` cannot be opened with this home's key")]
    Unsealed(PathBuf),
}

/// The first byte of a file: the form of what follows, a nonce and the sealed bytes.
const FORM: u8 = 1;

/// What the form adds to the bytes that are sealed: its own byte, the nonce, the tag.
pub(crate) const OVERHEAD_BYTES: u64 = 1 + NONCE_LEN as u64 + 16;

/// The key that seals one kind of file.
#[derive(Clone, Debug)]
pub(crate) struct Seal {
    key: PathBuf,
    /// What kind of file it is, so that one kind is never taken for another.
    what: &'static str,
}

impl Seal {
    /// For files that are `what`, under the key in the file `key`; nothing is created yet.
    pub(crate) const fn new(key: PathBuf, what: &'static str) -> Self {
        Self { key, what }
    }

    /// What is in the file at `path`, which is at most `bytes_max` large and bound to `name`; `None` where there is no file.
    pub(crate) fn open(&self, path: &Path, name: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, SealError> {
        let Some(bytes) = read(path, bytes_max)? else { return Ok(None) };
        self.unsealed(path, name, &bytes).map(Some)
    }

    /// What is in the file at `path`, bound to `name`, where its SHA-256 is this; `None` where there is no file.
    pub(crate) fn open_addressed(
        &self,
        path: &Path,
        sha256: &str,
        name: &str,
        bytes_max: u64,
    ) -> Result<Option<Vec<u8>>, SealError> {
        let Some(bytes) = read(path, bytes_max)? else { return Ok(None) };
        if sha256_hex(&bytes) != sha256 {
            return Err(SealError::Altered(path.to_owned()));
        }
        self.unsealed(path, name, &bytes).map(Some)
    }

    fn unsealed(&self, path: &Path, name: &str, bytes: &[u8]) -> Result<Vec<u8>, SealError> {
        let unsealed = || SealError::Unsealed(path.to_owned());
        let Some(key) = read(&self.key, KEY_BYTES)? else { return Err(SealError::NoKey(self.key.clone())) };
        let (form, rest) = bytes.split_first().ok_or_else(unsealed)?;
        let (nonce, text) = rest.split_at_checked(NONCE_LEN).ok_or_else(unsealed)?;
        let mut text = text.to_vec();
        let key = sealing(&key).ok_or_else(unsealed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| unsealed())?;
        let length = key.open_in_place(nonce, self.bound_to(*form, name), &mut text).map_err(|_| unsealed())?.len();
        text.truncate(length);
        Ok(text)
    }

    /// Puts `text`, sealed, in the place of what is at `path`.
    pub(crate) fn put(&self, path: &Path, name: &str, text: Vec<u8>) -> Result<(), SealError> {
        replace(path, &self.sealed(name, text)?)
    }

    /// Puts `text`, sealed, into a file of `folder` that is called by the SHA-256 of its bytes; gives that and their number. No two are the same, whatever is in them.
    pub(crate) fn put_addressed(&self, folder: &Path, name: &str, text: Vec<u8>) -> Result<(String, u64), SealError> {
        let bytes = self.sealed(name, text)?;
        let sha256 = sha256_hex(&bytes);
        replace(&folder.join(format!("{sha256}.sealed")), &bytes)?;
        Ok((sha256, bytes.len() as u64))
    }

    fn sealed(&self, name: &str, mut text: Vec<u8>) -> Result<Vec<u8>, SealError> {
        let unsealed = || SealError::Unsealed(self.key.clone());
        let key = sealing(&key_or_new(&self.key)?).ok_or_else(unsealed)?;
        let mut nonce = [0; NONCE_LEN];
        random(&mut nonce);
        let unique = Nonce::assume_unique_for_key(nonce);
        key.seal_in_place_append_tag(unique, self.bound_to(FORM, name), &mut text).map_err(|_| unsealed())?;
        Ok([&[FORM][..], &nonce, &text].concat())
    }

    fn bound_to(&self, form: u8, name: &str) -> Aad<Vec<u8>> {
        Aad::from([self.what.as_bytes(), &[form][..], name.as_bytes()].concat())
    }
}

/// The 32 bytes of the key in the file at `path`, which is made where there is none.
pub(crate) fn key_or_new(path: &Path) -> Result<Vec<u8>, SealError> {
    key_or_new_of(path, KEY_BYTES)
}

/// The same, of another size.
pub(crate) fn key_or_new_of(path: &Path, bytes: u64) -> Result<Vec<u8>, SealError> {
    if let Some(key) = read(path, bytes)? {
        return Ok(key);
    }
    let io = |source| SealError::Io { path: path.to_owned(), source };
    if let Some(folder) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io)?;
    }
    let mut key = vec![0; usize::try_from(bytes).unwrap_or_default()];
    random(&mut key);
    replace(path, &key)?;
    Ok(key)
}

/// The size of a key.
const KEY_BYTES: u64 = 32;

fn sealing(key: &[u8]) -> Option<LessSafeKey> {
    UnboundKey::new(&AES_256_GCM, key).ok().map(LessSafeKey::new)
}

fn read(path: &Path, bytes_max: u64) -> Result<Option<Vec<u8>>, SealError> {
    let io = |source| SealError::Io { path: path.to_owned(), source };
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(error)),
    };
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > bytes_max {
        return Err(SealError::Unsealed(path.to_owned()));
    }
    Ok(Some(bytes))
}

/// Puts a file in the place of another, durably, readable to nobody else.
fn replace(path: &Path, bytes: &[u8]) -> Result<(), SealError> {
    let io = |source| SealError::Io { path: path.to_owned(), source };
    let fresh = path.with_extension("new");
    let _leftover = fs::remove_file(&fresh);
    let mut file = OpenOptions::new().create_new(true).write(true).mode(0o600).open(&fresh).map_err(io)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).map_err(io)?;
    fs::rename(&fresh, path).map_err(io)?;
    path.parent().map_or(Ok(()), |folder| File::open(folder).and_then(|folder| folder.sync_all()).map_err(io))
}
