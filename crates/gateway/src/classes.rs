//! The organisation's own classes in force: `classes.toml` in the home with the indexes that it names, versioned in the ledger.
//!
//! Nothing runs without them: where the version in force cannot be had, the gateway does not open. A file or an index that cannot be read, or that is not sound, never
//! replaces a good version, and neither does its absence: each leaves an `exception_record`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use evidence::leaf::sha256_hex;
use evidence::record::{Context, Direction, ExceptionKind, VersionLog, VersionedKind, VersionedObject};
use governance::classify::own::{ClassFile, Index, IndexKey, OwnClasses, parse_classes};
use governance::limits::{CLASSES_BYTES_MAX, INDEX_BYTES_MAX};
use governance::mission::Mission;
use serde::{Deserialize, Serialize};
use store::Reader;

use crate::blocking::blocking;
use crate::changes::{Asks, ChangeError, Kept as Waiting, Proposal, owner_of};
use crate::home::Home;
use crate::missions::Policy;
use crate::seal::{SealError, key_or_new};
use crate::{Gateway, OpenError, versions};

/// The file's name, in the home.
pub const FILE: &str = "classes.toml";

/// How the object is called in `version_log` records: there is one.
const OBJECT: &str = "classes";

/// Which own classes there are.
#[derive(Debug, Default)]
pub(crate) struct Classes {
    /// Digest of the version last accepted, as the ledger has it.
    accepted: Mutex<Option<String>>,
    /// Held while a version is taken up: whoever looks meanwhile waits until it is in force.
    loading: tokio::sync::Mutex<()>,
    /// What the files looked like when they were last read, good or bad.
    seen: Mutex<Option<Vec<Stamp>>>,
}

/// How a file looked: nothing, where there is none.
type Stamp = (PathBuf, Option<(u64, SystemTime)>);

/// A version as the home keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    /// Digests of the indexes, by name.
    indexes: BTreeMap<Arc<str>, Arc<str>>,
    source: String,
}

/// A version of the own classes, read and compiled.
#[derive(Debug)]
pub struct ReadClasses {
    file: ClassFile,
    indexes: BTreeMap<Arc<str>, Arc<Index>>,
    kept: Kept,
    own: Arc<OwnClasses>,
    sha256: Arc<str>,
    text: String,
}

/// What is wrong where `file` speaks of classes of which one is none of `own`. Each is given with its line.
#[must_use]
pub fn undefined_class<'n>(
    mut named: impl Iterator<Item = (&'n str, u32)>,
    file: &str,
    own: Option<&OwnClasses>,
) -> Option<String> {
    let (name, line) = named.find(|(name, _)| !own.is_some_and(|own| own.has(name)))?;
    let mend = format!("add `[class.{name}]` to classes.toml, or correct the name");
    Some(format!("{file}:{line}: `org.{name}` is no own class in force; {mend}"))
}

impl ReadClasses {
    /// What the file says.
    #[must_use]
    pub const fn file(&self) -> &ClassFile {
        &self.file
    }

    /// The indexes, by name.
    #[must_use]
    pub const fn indexes(&self) -> &BTreeMap<Arc<str>, Arc<Index>> {
        &self.indexes
    }

    /// The classes, compiled.
    #[must_use]
    pub const fn own(&self) -> &Arc<OwnClasses> {
        &self.own
    }

    /// The digest of the version: of the file and the digests of its indexes.
    #[must_use]
    pub const fn sha256(&self) -> &Arc<str> {
        &self.sha256
    }
}

/// The key of the home's indexes, which is made where there is none.
///
/// # Errors
/// [`SealError`]
pub fn index_key(home: &Home) -> Result<IndexKey, SealError> {
    let path = home.path().join("keys/classes.hmac");
    let key = key_or_new(&path)?.try_into().map_err(|_| SealError::Unsealed(path))?;
    Ok(IndexKey::new(key))
}

/// Reads the own classes in the file at `path`, with the indexes that it names from the same folder, under the home's key.
///
/// # Errors
/// What is wrong, for people.
pub fn read_classes(home: &Home, path: &Path) -> Result<ReadClasses, String> {
    let shown = path.display();
    let source = read(path, CLASSES_BYTES_MAX).map_err(|error| format!("read `{shown}`: {error}"))?;
    let source = String::from_utf8(source).map_err(|_| format!("{shown}: it is no text"))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    read_version(home, source, |name| folder.join(name)).map_err(|error| format!("{shown}: {error}"))
}

/// Compiles `source` with the indexes that it names, each from where `place` says.
fn read_version(home: &Home, source: String, place: impl Fn(&str) -> PathBuf) -> Result<ReadClasses, String> {
    let file = parse_classes(&source).map_err(|error| error.to_string())?;
    let (mut indexes, mut digests) = (BTreeMap::new(), BTreeMap::new());
    for name in file.indexes() {
        let bytes = read(&place(&name), INDEX_BYTES_MAX).map_err(|error| format!("read `{name}`: {error}"))?;
        digests.insert(name.clone(), sha256_hex(&bytes).into());
        let key = index_key(home).map_err(|error| error.to_string())?;
        let index = Index::read(bytes, key).map_err(|error| format!("`{name}`: {error}"))?;
        indexes.insert(name, Arc::new(index));
    }
    let own = Arc::new(OwnClasses::compile(&file, &indexes).map_err(|error| error.to_string())?);
    let kept = Kept { indexes: digests, source };
    let text = serde_json::to_string(&kept).map_err(|error| error.to_string())?;
    let sha256 = sha256_hex(text.as_bytes()).into();
    Ok(ReadClasses { file, indexes, kept, own, sha256, text })
}

fn read(path: &Path, bytes_max: usize) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path)?.take(bytes_max as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > bytes_max {
        return Err(std::io::Error::other(format!("it is larger than {bytes_max} bytes")));
    }
    Ok(bytes)
}

fn kept_parts(home: &Home, sha256: &str) -> Option<Kept> {
    let text = home.classes(sha256)?;
    (sha256_hex(text.as_bytes()) == sha256).then(|| serde_json::from_str(&text).ok()).flatten()
}

/// The version with the digest `sha256` as it was accepted, if the home still has it whole.
fn kept_version(home: &Home, sha256: &str) -> Result<ReadClasses, String> {
    let lost = || "the version in force is not in the home any more; restore `classes/` from a backup".to_owned();
    let Kept { indexes, source } = kept_parts(home, sha256).ok_or_else(lost)?;
    let place = |name: &str| home.index(indexes.get(name).map(|sha256| &**sha256).unwrap_or_default());
    let version = read_version(home, source, place)?;
    if *version.sha256 == *sha256 { Ok(version) } else { Err(lost()) }
}

impl Classes {
    /// Takes up what the ledger says; where it says nothing, the file in the home, which is recorded as soon as records are taken.
    pub(crate) fn restore(home: &Home, reader: &Reader) -> Result<(Self, Option<Arc<OwnClasses>>), OpenError> {
        let accepted =
            versions(reader, VersionedKind::Classes)?.into_iter().map(|version| version.to.to_string()).next();
        let path = home.path().join(FILE);
        let is_there = || match fs::symlink_metadata(&path) {
            Ok(_) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(OpenError::Classes(format!("read `{}`: {error}", path.display()))),
        };
        let version = match &accepted {
            Some(sha256) => {
                let in_file = || read_classes(home, &path).ok().filter(|version| *version.sha256 == **sha256);
                Some(kept_version(home, sha256).or_else(|error| in_file().ok_or(error)).map_err(OpenError::Classes)?)
            }
            None if is_there()? => Some(read_classes(home, &path).map_err(OpenError::Classes)?),
            None => None,
        };
        let own = version.map(|version| version.own);
        Ok((Self { accepted: Mutex::new(accepted), ..Self::default() }, own))
    }

    fn accepted(&self) -> Option<String> {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Gateway {
    /// Takes up the own classes where their file or an index is new or changed, for `who`. A bad one leaves an exception, and the version in force stays.
    pub(crate) async fn load_classes(&self, who: &str) {
        let _one_at_a_time = self.classes.loading.lock().await;
        let path = self.home.path().join(FILE);
        let looked = self.class_stamps(&path);
        {
            let mut seen = self.classes.seen.lock().unwrap_or_else(PoisonError::into_inner);
            let is_there = looked.first().is_some_and(|(_, stamp)| stamp.is_some());
            if seen.as_ref() == Some(&looked) || !is_there && self.classes.accepted().is_none() {
                return;
            }
            *seen = Some(looked);
        }
        let (home, from) = (self.home.clone(), path.clone());
        let taken = match blocking(move || read_classes(&home, &from)).await {
            Ok(fresh) => self.accept_classes(Arc::new(fresh), &path, Asks::Anew, who).await,
            Err(error) => Err(error),
        };
        let error = match taken {
            Ok(None) => return,
            Ok(Some(why @ ChangeError::Unreachable(_))) => format!("{}: {why}", path.display()),
            Ok(Some(why)) => {
                return tracing::warn!(%why, "the own classes are not taken up; the version in force stays");
            }
            Err(error) => error,
        };
        tracing::error!(%error, "the own classes are not taken up; the version in force stays");
        let scope = format!("file:{}", path.display());
        self.organisation_exception(ExceptionKind::BadClasses, &scope, &error, "the version in force stays").await;
    }

    /// Takes up a version that people approved.
    pub(crate) async fn take_up_classes(&self, waiting: Waiting) -> Result<(), String> {
        let _one_at_a_time = self.classes.loading.lock().await;
        let (home, sha256) = (self.home.clone(), waiting.version.to.clone());
        let fresh = blocking(move || kept_version(&home, &sha256)).await?;
        let path = self.home.path().join(FILE);
        match self.accept_classes(Arc::new(fresh), &path, Asks::Nothing, &waiting.version.who).await? {
            None => Ok(()),
            Some(error) => Err(error.to_string()),
        }
    }

    /// Takes up a version; gives why the one in force stays, where it does.
    async fn accept_classes(
        &self,
        fresh: Arc<ReadClasses>,
        path: &Path,
        asks: Asks,
        who: &str,
    ) -> Result<Option<ChangeError>, String> {
        let accepted = self.classes.accepted();
        if accepted.as_deref() != Some(&*fresh.sha256) {
            self.keeps_classes_in_use(&fresh, path)?;
            let old = accepted.as_deref().and_then(|sha256| kept_parts(&self.home, sha256));
            let old_file = old.as_ref().and_then(|old| parse_classes(&old.source).ok());
            let is_other = old.as_ref().is_some_and(|old| old.source != fresh.kept.source);
            if is_other && old_file.as_ref().is_some_and(|old| old.why() == fresh.file.why()) {
                let why =
                    "the file of own classes changed and its `why` did not; say in `why` what this version is for";
                return Err(format!("{}: {why}", path.display()));
            }
            let (home, keeping) = (self.home.clone(), fresh.clone());
            let kept = blocking(move || keep(&home, &keeping)).await;
            kept.map_err(|error| format!("keep `{FILE}`: {error}"))?;
            let is_gated = match self.change_gate(VersionedKind::Classes) {
                Ok(gate) => gate.is_some(),
                Err(error) => return Ok(Some(error)),
            };
            let mut body = VersionLog {
                approval: None,
                difference: difference(&fresh, old_file.as_ref(), old.as_ref()),
                // What is found less lets more through, and whether it is, nobody compares.
                direction: Some(Direction::Unclear),
                from: accepted.as_deref().map(Into::into),
                object: VersionedObject { kind: VersionedKind::Classes, name: OBJECT.into() },
                state: None,
                to: fresh.sha256.clone(),
                who: if is_gated && asks == Asks::Anew { owner_of(path) } else { who.to_owned() },
                why: fresh.file.why().to_string(),
            };
            let consumed = if accepted.is_some() && is_gated {
                let text = whole_text(&fresh.kept);
                match self.settle(&mut body, Proposal { asks, involved: &[], path: None, text: &text }).await {
                    Ok(consumed) => consumed,
                    Err(error) => return Ok(Some(error)),
                }
            } else {
                None
            };
            self.note_version(Context::system(), body, consumed).await.map_err(|error| error.to_string())?;
            *self.classes.accepted.lock().unwrap_or_else(PoisonError::into_inner) = Some(fresh.sha256.to_string());
            if accepted.is_none() && is_gated {
                let reason = "the first file of own classes took effect, and nobody was asked";
                self.unapproved(&format!("file:{}", path.display()), reason).await;
            }
            let stay: Vec<Arc<str>> = fresh.kept.indexes.values().cloned().collect();
            // What waits for people has indexes of its own.
            if !is_gated && let Err(error) = self.home.forget_indexes(&stay) {
                tracing::warn!(%error, "indexes that are not in force any more could not be removed");
            }
        }
        self.examiner.put(fresh.own.clone());
        // What was refused for a class that was not there may have it now.
        self.organisation.look_again();
        self.missions.look_again();
        Ok(None)
    }

    /// That `fresh` has every class that a loaded mission or the organisation speaks of: their rules would not hold any more, and what they keep would pass.
    fn keeps_classes_in_use(&self, fresh: &ReadClasses, path: &Path) -> Result<(), String> {
        let is_gone = |(name, _): &(&str, u32)| !fresh.own.has(name);
        let in_use = |policy: Policy| {
            let policy = policy.load_full();
            let (name, _) = policy.mission().own_classes().find(is_gone)?;
            let mission = policy.mission().name();
            Some((name.to_owned(), format!("mission `{mission}` speaks"), "the mission"))
        };
        let of_organisation = || {
            let bounds = self.organisation_in_force().ok().flatten()?;
            let (name, _) = bounds.organisation().capture().own_classes().find(is_gone)?;
            Some((name.to_owned(), "`[capture]` of organisation.toml speaks".to_owned(), "`[capture]`"))
        };
        match self.missions.policies().into_iter().find_map(in_use).or_else(of_organisation) {
            None => Ok(()),
            Some((class, who, place)) => Err(format!(
                "{}: `[class.{class}]` is gone, and {who} of `org.{class}`; keep the class, or take the line out of {place} first",
                path.display()
            )),
        }
    }

    /// What is wrong where `mission`, which was in force as it is, speaks of a class that classes.toml has no more: that file is to be mended.
    pub(crate) fn lost_class(&self, mission: &Mission) -> Option<String> {
        let own = self.examiner.own();
        let is_lost = |(name, _): &(&str, u32)| !own.as_ref().is_some_and(|own| own.has(name));
        let (name, _) = mission.own_classes().find(is_lost)?;
        Some(format!(
            "{}: `[class.{name}]` is gone, and mission `{}` speaks of `org.{name}`: it is not taken up; put the class back, with a new `why`, or take the line out of the mission",
            self.home.path().join(FILE).display(),
            mission.name()
        ))
    }

    /// How the file and every index in the home look, the file first.
    fn class_stamps(&self, path: &Path) -> Vec<Stamp> {
        let found = fs::read_dir(self.home.path()).into_iter().flatten().filter_map(|found| Some(found.ok()?.path()));
        let mut indexes: Vec<PathBuf> =
            found.filter(|path| path.extension().is_some_and(|extension| extension == "edm")).collect();
        indexes.sort_unstable();
        let look = |path: PathBuf| {
            let stamp = fs::metadata(&path).ok().and_then(|found| Some((found.len(), found.modified().ok()?)));
            (path, stamp)
        };
        std::iter::once(path.to_owned()).chain(indexes).map(look).collect()
    }
}

/// Keeps a version in the home: what it needs first.
fn keep(home: &Home, version: &ReadClasses) -> std::io::Result<()> {
    for (name, index) in &version.indexes {
        if let Some(sha256) = version.kept.indexes.get(name) {
            home.keep_index(sha256, index.bytes())?;
        }
    }
    home.keep_classes(&version.sha256, &version.text)
}

/// What differs from the version before, in sentences.
fn difference(fresh: &ReadClasses, old_file: Option<&ClassFile>, old: Option<&Kept>) -> Vec<String> {
    let mut sentences = fresh.file.difference(old_file);
    for (name, index) in &fresh.indexes {
        let before = old.and_then(|old| old.indexes.get(name));
        if before != fresh.kept.indexes.get(name) {
            let what = if before.is_some() { "changed" } else { "is new" };
            sentences.push(format!("index `{name}` {what}: {} values", index.len()));
        }
    }
    sentences
}

/// The file with the digests of its indexes, as people are shown it.
fn whole_text(kept: &Kept) -> String {
    let indexes = kept.indexes.iter().map(|(name, sha256)| format!("\n# {name}: SHA-256 {sha256}"));
    std::iter::once(kept.source.clone()).chain(indexes).collect()
}
