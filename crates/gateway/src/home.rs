//! The home: the one folder that holds the ledger, keys, accepted missions and the local socket.

use std::fs::{self, DirBuilder, File};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

/// The folder that holds everything a gateway keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home(PathBuf);

/// Why a home cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum HomeError {
    /// There is neither a flag nor an environment that says where.
    #[error("no home: set COUNTERSIGN_HOME, or HOME, or pass --home DIR")]
    Nowhere,
    /// Somebody else could write to it.
    #[error(
        "home `{path}` {what}; agents must not be able to write it: chmod 700 it, or choose another with --home DIR"
    )]
    Open {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        what: String,
    },
    /// The file system refused.
    #[error("use home `{path}`: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
}

/// Whether a file must be on disk when it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Durability {
    /// It is there after a power cut.
    Durable,
    /// Whoever loses it can live without it: its digest is in the ledger.
    Lost,
}

/// Writes a file: whole or not at all.
pub(crate) fn keep(path: &Path, text: impl AsRef<[u8]>, durability: Durability) -> io::Result<()> {
    let fresh = path.with_added_extension("new");
    let mut file = File::create(&fresh)?;
    file.write_all(text.as_ref())?;
    if durability == Durability::Lost {
        return fs::rename(&fresh, path);
    }
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

impl Home {
    /// The home that `flag` names, else the default: `$XDG_STATE_HOME/countersign`, or `~/.local/state/countersign`.
    ///
    /// # Errors
    /// [`HomeError::Nowhere`] without any of these.
    pub fn find(flag: Option<PathBuf>) -> Result<Self, HomeError> {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let state = || {
            set("XDG_STATE_HOME").filter(|path| path.is_absolute()).or_else(|| Some(set("HOME")?.join(".local/state")))
        };
        let path = flag.or_else(|| Some(state()?.join("countersign"))).ok_or(HomeError::Nowhere)?;
        let path = std::path::absolute(&path).map_err(|source| HomeError::Io { path, source })?;
        Ok(Self(path))
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The local socket, for bridges and commands.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.0.join("gateway.sock")
    }

    /// Where a gateway that was started on demand writes its log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.0.join("gateway.log")
    }

    /// The accepted version of a mission with the digest `sha256`.
    #[must_use]
    pub fn mission(&self, sha256: &str) -> PathBuf {
        self.0.join("missions").join(format!("{sha256}.toml"))
    }

    /// Creates what is missing and checks that nobody else can write here.
    ///
    /// # Errors
    /// [`HomeError`] says what is wrong with which folder.
    pub fn prepare(&self) -> Result<(), HomeError> {
        let folders = ["changes", "classes", "missions", "notify", "organisation", "people", "pins", "witnesses"]
            .map(|name| self.0.join(name));
        for path in std::iter::once(&self.0).chain(&folders) {
            let io = |source| HomeError::Io { path: path.clone(), source };
            DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(io)?;
            let found = fs::symlink_metadata(path).map_err(io)?;
            let open = |what: String| HomeError::Open { path: path.clone(), what };
            if !found.is_dir() {
                return Err(open("is not a folder".to_owned()));
            }
            if found.uid() != rustix::process::geteuid().as_raw() {
                return Err(open(format!("belongs to user {}", found.uid())));
            }
            if found.permissions().mode() & 0o077 != 0 {
                return Err(open(format!("has mode {:o}", found.permissions().mode() & 0o777)));
            }
        }
        Ok(())
    }

    /// Keeps the accepted version of a mission, durably, under its digest.
    ///
    /// # Errors
    /// The file system's.
    pub fn keep_mission(&self, sha256: &str, source: &str) -> io::Result<()> {
        let path = self.mission(sha256);
        if path.exists() { Ok(()) } else { keep(&path, source, Durability::Durable) }
    }

    /// The text of the accepted version of a mission with the digest `sha256`.
    pub(crate) fn mission_source(&self, sha256: &str) -> Option<String> {
        crate::missions::read(&self.mission(sha256)).ok()
    }

    /// Keeps a change that waits for people, durably, under what its approval is bound to.
    pub(crate) fn keep_change(&self, sha256: &str, text: &str) -> io::Result<()> {
        keep(&self.0.join("changes").join(format!("{sha256}.json")), text, Durability::Durable)
    }

    /// The change that waits for people under this digest.
    pub(crate) fn change(&self, sha256: &str) -> Option<String> {
        fs::read_to_string(self.0.join("changes").join(format!("{sha256}.json"))).ok()
    }

    /// Keeps an accepted version of the organisation file with its policies, durably, under its digest.
    pub(crate) fn keep_organisation(&self, sha256: &str, text: &str) -> io::Result<()> {
        keep(&self.0.join("organisation").join(format!("{sha256}.json")), text, Durability::Durable)
    }

    /// The accepted version of the organisation file with the digest `sha256`.
    pub(crate) fn organisation(&self, sha256: &str) -> Option<String> {
        fs::read_to_string(self.0.join("organisation").join(format!("{sha256}.json"))).ok()
    }

    /// Keeps an accepted version of the file of persons, durably, under its digest.
    pub(crate) fn keep_people(&self, sha256: &str, source: &str) -> io::Result<()> {
        keep(&self.0.join("people").join(format!("{sha256}.toml")), source, Durability::Durable)
    }

    /// The accepted version of the file of persons with the digest `sha256`.
    pub(crate) fn people(&self, sha256: &str) -> Option<String> {
        fs::read_to_string(self.0.join("people").join(format!("{sha256}.toml"))).ok()
    }

    /// Keeps an accepted version of the file of own classes, durably, under its digest.
    pub(crate) fn keep_classes(&self, sha256: &str, text: &str) -> io::Result<()> {
        keep(&self.0.join("classes").join(format!("{sha256}.json")), text, Durability::Durable)
    }

    /// The accepted version of the file of own classes with the digest `sha256`.
    pub(crate) fn classes(&self, sha256: &str) -> Option<String> {
        fs::read_to_string(self.0.join("classes").join(format!("{sha256}.json"))).ok()
    }

    /// Where an index of an accepted version is kept.
    pub(crate) fn index(&self, sha256: &str) -> PathBuf {
        self.0.join("classes").join(format!("{sha256}.edm"))
    }

    /// Keeps an index of an accepted version, durably, under its digest.
    pub(crate) fn keep_index(&self, sha256: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.index(sha256);
        if path.exists() { Ok(()) } else { keep(&path, bytes, Durability::Durable) }
    }

    /// Removes the kept indexes whose digests are not among `stay`.
    pub(crate) fn forget_indexes(&self, stay: &[Arc<str>]) -> io::Result<()> {
        for found in fs::read_dir(self.0.join("classes"))? {
            let path = found?.path();
            let is_index = path.extension().is_some_and(|extension| extension == "edm");
            let digest = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            if is_index && !stay.iter().any(|sha256| **sha256 == *digest) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    /// The accepted definition of a tool with the digest `sha256`.
    #[must_use]
    pub fn definition(&self, sha256: &str) -> Option<String> {
        fs::read_to_string(self.0.join("pins").join(format!("{sha256}.json"))).ok()
    }

    /// What the server of `tool` lists instead of what was accepted.
    #[must_use]
    pub fn refused_definition(&self, tool: &str) -> Option<String> {
        fs::read_to_string(self.refused(tool)).ok()
    }

    pub(crate) fn keep_definition(&self, sha256: &str, text: &str, durability: Durability) -> io::Result<()> {
        let path = self.0.join("pins").join(format!("{sha256}.json"));
        if durability == Durability::Lost && path.exists() { Ok(()) } else { keep(&path, text, durability) }
    }

    pub(crate) fn keep_refused_definition(&self, tool: &str, text: &str) -> io::Result<()> {
        // Written for each new definition that a server thinks of: nobody waits for a disk there.
        keep(&self.refused(tool), text, Durability::Lost)
    }

    /// Named by a digest: a tool's name is its server's choice, and may be no file's.
    fn refused(&self, tool: &str) -> PathBuf {
        let name = hex::encode(Sha256::digest(tool.as_bytes()));
        self.0.join("pins").join(format!("{name}.refused.json"))
    }
}
