//! Missions in force: loaded from their files, versioned in the ledger, swapped without dropping a call.
//!
//! A file that cannot be read, parsed or compiled never replaces a good version, and each refusal is an `exception_record`. The version in force is kept in the
//! home under its digest, so that the next difference can be told.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use arc_swap::ArcSwap;
use evidence::leaf::sha256_hex;
use evidence::record::{
    Context, Direction, ExceptionKind, ExceptionRecord, VersionLog, VersionedKind, VersionedObject,
};
use governance::decide::PolicySnapshot;
use governance::limits::{MISSION_BYTES_MAX, OBSERVE_DUE_US};
use governance::mission::{self, Mission, Mode};
use serde::{Deserialize, Serialize};
use store::Reader;

use crate::changes::{Asks, ChangeError, FILE, Kept, Proposal, Waits, is_wider, of_mission, owner_of};
use crate::clock::now;
use crate::home::Home;
use crate::limits::MISSION_FILES_MAX;
use crate::organisation::compile_within;
use crate::{Gateway, OpenError, versions};

/// The policy of one mission; what is behind it changes when the file does.
pub type Policy = Arc<ArcSwap<PolicySnapshot>>;

/// Why a mission file does not take effect.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read.
    #[error("read mission `{path}`: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: std::io::Error,
    },
    /// It waits for people, or they said no.
    #[error("mission `{name}`: {source}")]
    Change {
        /// The mission.
        name: String,
        /// What it waits for.
        source: ChangeError,
    },
    /// The file is not a mission.
    #[error("{0}")]
    Invalid(String),
    /// Another file is the mission's own.
    #[error(
        "mission `{name}` is read from `{path}`, which the next start would take up again; change that file, and apply it"
    )]
    Elsewhere {
        /// The mission.
        name: String,
        /// Its file.
        path: PathBuf,
    },
    /// The file changed and its reason did not.
    #[error("{path}: the mission changed and its `why` did not; say in `why` what this version is for", path = .0.display())]
    SameWhy(PathBuf),
    /// There is an organisation file, and no good version of it was ever taken up.
    #[error("no mission is taken up without what the organisation demands: {0}")]
    Organisation(String),
    /// The version could not be recorded.
    #[error(transparent)]
    Unrecorded(#[from] store::AppendError),
    /// The accepted version could not be kept.
    #[error("keep mission `{name}` in the home: {source}")]
    Keep {
        /// The mission.
        name: String,
        /// Why not.
        source: std::io::Error,
    },
}

/// The missions in force.
#[derive(Debug)]
pub struct Missions {
    /// Digest of the version last accepted, by mission, as the ledger has it.
    accepted: RwLock<HashMap<String, String>>,
    /// Whose that version is.
    authors: RwLock<HashMap<String, String>>,
    /// One loads at a time, so that two bridges with one file make one version.
    pub(crate) loading: tokio::sync::Mutex<()>,
    loaded: RwLock<HashMap<String, Loaded>>,
    /// What files looked like that were refused and belong to no loaded mission.
    refused: RwLock<HashMap<PathBuf, Option<Stamp>>>,
    /// Missions that a person revoked, until another version is taken up.
    revoked: RwLock<HashSet<String>>,
}

/// What taking a mission file up changes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Taken {
    /// What changes, in sentences.
    pub difference: Vec<String>,
    /// Which way.
    pub direction: Option<Direction>,
    /// The version before; none where the mission is new.
    pub from: Option<String>,
    /// The mission.
    pub mission: String,
    /// The version in the file.
    pub to: String,
    /// What it waits for, where it has not taken effect.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waits: Option<Waits>,
    /// Whose approval it would need, where it is only tried.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub would_ask: Option<String>,
}

/// The text of a mission.
struct Written {
    /// Whether people may be asked about it.
    asks: Asks,
    /// What its file looked like.
    looked: Option<Stamp>,
    /// Where it is read from, from then on.
    path: PathBuf,
    /// How problems name it.
    shown: String,
    source: String,
}

/// What was taken up, or stays in force instead, and why then.
type Accepted = (Arc<Mission>, Policy, Option<ChangeError>);

/// From where a mission is read once it is taken up.
#[derive(Clone, Copy)]
enum Reads {
    File,
    Home,
}

/// What a mission is recorded as once a person revoked it.
const REVOKED: &str = "revoked";

#[derive(Clone, Debug)]
struct Loaded {
    path: PathBuf,
    policy: Policy,
    /// What the file looked like when it was last read, good or bad.
    stamp: Option<Stamp>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    bytes: u64,
    modified: SystemTime,
}

impl Missions {
    /// Takes up what the ledger says.
    pub(crate) fn restore(reader: &Reader) -> Result<Self, OpenError> {
        let (mut accepted, mut authors, mut revoked) = (HashMap::new(), HashMap::new(), HashSet::new());
        for version in versions(reader, VersionedKind::Mission)? {
            let name = version.object.name.to_string();
            let is_revoked = &*version.to == REVOKED;
            // A revocation ends a version and makes none.
            authors.extend((!is_revoked).then(|| (name.clone(), version.who)));
            let sha256 = if is_revoked { version.from } else { Some(version.to) };
            accepted.extend(sha256.map(|sha256| (name.clone(), sha256.to_string())));
            revoked.extend(is_revoked.then_some(name));
        }
        Ok(Self {
            accepted: RwLock::new(accepted),
            authors: RwLock::new(authors),
            loading: tokio::sync::Mutex::new(()),
            loaded: RwLock::default(),
            refused: RwLock::default(),
            revoked: RwLock::new(revoked),
        })
    }

    /// The policy of the mission `name`, if it is loaded.
    #[must_use]
    pub fn policy(&self, name: &str) -> Option<Policy> {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).get(name).map(|loaded| loaded.policy.clone())
    }

    /// Has every file looked at again: what one was refused for may hold no more.
    pub(crate) fn look_again(&self) {
        self.refused.write().unwrap_or_else(PoisonError::into_inner).values_mut().for_each(|stamp| *stamp = None);
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        loaded.values_mut().for_each(|loaded| loaded.stamp = None);
    }

    /// Where the mission `name` is read from, if it is loaded.
    fn path(&self, name: &str) -> Option<PathBuf> {
        self.loaded.read().unwrap_or_else(PoisonError::into_inner).get(name).map(|loaded| loaded.path.clone())
    }

    /// Has `snapshot` in force, read from `path`.
    fn put(&self, name: String, path: PathBuf, looked: Option<Stamp>, snapshot: Arc<PolicySnapshot>) -> Policy {
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        let entry = loaded.entry(name).or_insert_with(|| Loaded {
            path: path.clone(),
            policy: Arc::new(ArcSwap::new(snapshot.clone())),
            stamp: looked,
        });
        entry.path = path;
        entry.stamp = looked;
        entry.policy.store(snapshot);
        entry.policy.clone()
    }

    /// The digest of the version last accepted of the mission `name`.
    pub(crate) fn accepted_version(&self, name: &str) -> Option<String> {
        self.accepted.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Whose the version in force of the mission `name` is.
    pub(crate) fn author(&self, name: &str) -> Option<String> {
        self.authors.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// Whether a person revoked the mission `name`.
    pub(crate) fn is_revoked(&self, name: &str) -> bool {
        self.revoked.read().unwrap_or_else(PoisonError::into_inner).contains(name)
    }

    /// The policies of all loaded missions.
    pub(crate) fn policies(&self) -> Vec<Policy> {
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        loaded.values().map(|loaded| loaded.policy.clone()).collect()
    }

    /// The names of the loaded missions, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<_> = self.loaded.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect();
        names.sort_unstable();
        names
    }

    /// The files of `known` and of loaded missions whose size or time is not what it was when they were last read.
    fn changed(&self, known: Vec<PathBuf>) -> Vec<PathBuf> {
        let loaded = self.loaded.read().unwrap_or_else(PoisonError::into_inner);
        let refused = self.refused.read().unwrap_or_else(PoisonError::into_inner);
        let mut seen: BTreeMap<PathBuf, Option<Option<Stamp>>> = known.into_iter().map(|path| (path, None)).collect();
        seen.extend(refused.iter().map(|(path, stamp)| (path.clone(), Some(*stamp))));
        seen.extend(loaded.values().map(|loaded| (loaded.path.clone(), Some(loaded.stamp))));
        seen.into_iter().filter(|(path, seen)| *seen != Some(stamp(path))).map(|(path, _)| path).collect()
    }

    /// Remembers that the file at `path` was refused as it looked, so that it is told of once.
    fn seen(&self, path: &Path, looked: Option<Stamp>) {
        let mut loaded = self.loaded.write().unwrap_or_else(PoisonError::into_inner);
        let mut is_loaded = false;
        for loaded in loaded.values_mut().filter(|loaded| loaded.path == path) {
            loaded.stamp = looked;
            is_loaded = true;
        }
        let mut refused = self.refused.write().unwrap_or_else(PoisonError::into_inner);
        if is_loaded {
            refused.remove(path);
        } else if refused.len() < MISSION_FILES_MAX {
            refused.insert(path.to_owned(), looked);
        }
    }
}

impl Gateway {
    /// Where the home keeps the accepted version of the mission `name`, where it is not loaded from a file.
    pub(crate) fn kept_mission(&self, name: &str) -> Option<PathBuf> {
        if self.missions.policy(name).is_some() {
            return None;
        }
        let accepted = self.missions.accepted.read().unwrap_or_else(PoisonError::into_inner);
        accepted.get(name).map(|sha256| self.home.mission(sha256))
    }

    /// Loads the mission file at `path` for `who`, as a new version where it differs from the one in force.
    ///
    /// # Errors
    /// [`LoadError`]; a bad file also leaves an `exception_record`, and the version in force stays.
    pub async fn load_mission(&self, path: &Path, who: &str) -> Result<(Arc<Mission>, Policy), LoadError> {
        let (mission, policy, instead) = self.load(path, Reads::File, who).await?;
        if let Some(why) = instead {
            tracing::warn!(mission = %mission.name(), %why, "a version of a mission is not taken up; the one in force stays");
        }
        Ok((mission, policy))
    }

    async fn load(&self, path: &Path, reads: Reads, who: &str) -> Result<Accepted, LoadError> {
        let _one_at_a_time = self.missions.loading.lock().await;
        self.load_organisation(who).await?;
        self.load_people(who).await;
        self.load_classes(who).await;
        let looked = stamp(path);
        let loaded = match read(path) {
            Ok(source) => {
                let (looked, from) = match reads {
                    Reads::File => (looked, path.to_owned()),
                    // Whoever edits the file applies it again.
                    Reads::Home => (None, self.home.mission(&sha256_hex(source.as_bytes()))),
                };
                let shown = path.display().to_string();
                self.accept(Written { asks: Asks::Anew, looked, path: from, shown, source }, who).await
            }
            Err(source) => Err(LoadError::Read { path: path.to_owned(), source }),
        };
        match &loaded {
            Err(error @ (LoadError::Read { .. } | LoadError::Invalid(_) | LoadError::SameWhy(_))) => {
                self.missions.seen(path, looked);
                self.refused(path, error).await;
            }
            Err(LoadError::Change { source, .. }) if !source.is_failure() => self.missions.seen(path, looked),
            Ok(_) | Err(_) => {}
        }
        match &loaded {
            Err(error @ LoadError::Change { source: ChangeError::Unreachable(_), .. }) => {
                self.refused(path, error).await
            }
            Ok((_, _, Some(error @ ChangeError::Unreachable(_)))) => self.refused(path, error).await,
            Ok(_) | Err(_) => {}
        }
        loaded
    }

    /// Takes up a version that people approved.
    pub(crate) async fn take_up_mission(&self, kept: Kept) -> Result<(), LoadError> {
        let _one_at_a_time = self.missions.loading.lock().await;
        self.load_organisation(FILE).await?;
        self.load_people(FILE).await;
        self.load_classes(FILE).await;
        let own = self.home.mission(&kept.version.to);
        let source = read(&own).map_err(|source| LoadError::Read { path: own.clone(), source })?;
        // The file may say something else by now: it is looked at again.
        let path = kept.path.unwrap_or(own);
        let shown = path.display().to_string();
        let written = Written { asks: Asks::Nothing, looked: None, path, shown, source };
        match self.accept(written, &kept.version.who).await? {
            (_, _, None) => Ok(()),
            (mission, _, Some(source)) => Err(LoadError::Change { name: mission.name().to_string(), source }),
        }
    }

    async fn accept(&self, written: Written, who: &str) -> Result<Accepted, LoadError> {
        let Written { asks, looked, path, shown, source } = written;
        let parsed = mission::parse(&source).map_err(|error| LoadError::Invalid(error.render(&shown)))?;
        if let Err(error) = self.examiner.knows_classes_of(&parsed, &shown) {
            let accepted = self.missions.accepted.read().unwrap_or_else(PoisonError::into_inner);
            // Its classes were there when it was accepted: it is the class file that lost one.
            let is_accepted = accepted.get(&**parsed.name()).is_some_and(|sha256| *sha256 == **parsed.sha256());
            let lost = if is_accepted { self.lost_class(&parsed) } else { None };
            return Err(lost.map_or(error, LoadError::Invalid));
        }
        let bounds = self.organisation.bounds();
        let snapshot = Arc::new(compile_within(&parsed, bounds.as_ref(), &shown).map_err(LoadError::Invalid)?);
        let fresh = snapshot.mission().clone();
        let name = fresh.name().to_string();
        let before = self.missions.accepted.read().unwrap_or_else(PoisonError::into_inner).get(&name).cloned();
        if before.as_deref() != Some(&**fresh.sha256()) {
            let is_revoked = self.missions.is_revoked(&name);
            let from = if is_revoked { Some(REVOKED.to_owned()) } else { before.clone() };
            let old = before.as_deref().and_then(|sha256| kept(&self.home, sha256));
            // As it would hold now: what changes by the organisation is in the organisation's own versions.
            let old = old.map(|old| match &bounds {
                Some(bounds) => bounds.organisation().within(&old).unwrap_or(old),
                None => old,
            });
            if old.as_ref().is_some_and(|old| old.why() == fresh.why()) {
                return Err(LoadError::SameWhy(PathBuf::from(shown)));
            }
            // What people approved was fit when they were asked.
            if asks == Asks::Anew {
                fit(old.as_ref(), &fresh, &shown)?;
            }
            self.home
                .keep_mission(fresh.sha256(), &source)
                .map_err(|source| LoadError::Keep { name: name.clone(), source })?;
            let refuse = |source| LoadError::Change { name: name.clone(), source };
            let is_gated = self.change_gate(VersionedKind::Mission).map_err(refuse)?.is_some();
            let direction = direction(old.as_ref(), &fresh);
            let mut body = VersionLog {
                approval: None,
                difference: mission::difference(old.as_ref(), &fresh),
                direction,
                from: from.map(Into::into),
                object: VersionedObject { kind: VersionedKind::Mission, name: name.as_str().into() },
                state: None,
                to: fresh.sha256().clone(),
                // Whoever owns the file is the nearest to an author that is known.
                who: if is_gated && who == FILE { owner_of(&path) } else { who.to_owned() },
                why: fresh.why().to_string(),
            };
            let needs = asks == Asks::Nothing || needs_people(old.as_ref(), &fresh, is_revoked);
            let consumed = if is_gated && needs {
                let owners: Vec<_> =
                    [Some(&*fresh), old.as_ref()].into_iter().flatten().map(|of| (&**of.owner(), "owner")).collect();
                let proposal = Proposal { asks, involved: &owners, path: Some(&path), text: &source };
                match self.settle(&mut body, proposal).await {
                    Ok(consumed) => consumed,
                    Err(error) => return self.stay(&name, before.as_deref(), path, looked, error),
                }
            } else {
                None
            };
            let who = body.who.clone();
            self.note_version(of_mission(&name), body, consumed).await?;
            if fresh.mode() == Mode::Observe {
                self.observed(&fresh).await?;
            }
            let mut accepted = self.missions.accepted.write().unwrap_or_else(PoisonError::into_inner);
            accepted.insert(name.clone(), fresh.sha256().to_string());
            let mut authors = self.missions.authors.write().unwrap_or_else(PoisonError::into_inner);
            authors.insert(name.clone(), who);
            self.missions.revoked.write().unwrap_or_else(PoisonError::into_inner).remove(&name);
        }
        Ok((fresh, self.missions.put(name, path, looked, snapshot), None))
    }

    /// The version in force stays, for this reason; where there is none, the mission is not taken up.
    fn stay(
        &self,
        name: &str,
        before: Option<&str>,
        path: PathBuf,
        looked: Option<Stamp>,
        error: ChangeError,
    ) -> Result<Accepted, LoadError> {
        let refuse = |source| LoadError::Change { name: name.to_owned(), source };
        if error.is_failure() {
            return Err(refuse(error));
        }
        // What only waits is nowhere to read the mission from.
        let is_copy = path.starts_with(self.home.path());
        let path = before.filter(|_| is_copy).map_or(path, |sha256| self.home.mission(sha256));
        let snapshot = match self.missions.policy(name) {
            Some(policy) => policy.load_full(),
            None => {
                let Some(old) = before.and_then(|sha256| kept(&self.home, sha256)) else { return Err(refuse(error)) };
                let shown = path.display().to_string();
                let bounds = self.organisation.bounds();
                Arc::new(compile_within(&old, bounds.as_ref(), &shown).map_err(LoadError::Invalid)?)
            }
        };
        let mission = snapshot.mission().clone();
        Ok((mission, self.missions.put(name.to_owned(), path, looked, snapshot), Some(error)))
    }

    /// Takes up the mission file at `path` for the person `who`, or says what that would change where it is only `tried`.
    ///
    /// # Errors
    /// [`LoadError`]; nothing changed.
    pub async fn apply_mission(&self, path: &Path, who: &str, tried: Tried) -> Result<Taken, LoadError> {
        let source = read(path).map_err(|source| LoadError::Read { path: path.to_owned(), source })?;
        let shown = path.display().to_string();
        let written = mission::parse(&source).map_err(|error| LoadError::Invalid(error.render(&shown)))?;
        let name = written.name().to_string();
        let own = self.missions.path(&name).filter(|own| !own.starts_with(self.home.path()));
        if let Some(own) = &own
            && fs::canonicalize(own).ok() != fs::canonicalize(path).ok()
        {
            return Err(LoadError::Elsewhere { name, path: own.clone() });
        }
        let taken = {
            let _one_at_a_time = self.missions.loading.lock().await;
            self.load_organisation(who).await?;
            self.load_classes(who).await;
            self.examiner.knows_classes_of(&written, &shown)?;
            let bounds = self.organisation.bounds();
            let fresh = compile_within(&written, bounds.as_ref(), &shown).map_err(LoadError::Invalid)?;
            let from = self.missions.accepted.read().unwrap_or_else(PoisonError::into_inner).get(&name).cloned();
            let old = from.as_deref().and_then(|sha256| kept(&self.home, sha256));
            let is_same = from.as_deref() == Some(&**written.sha256());
            let is_stale = is_same && self.missions.is_revoked(&name);
            if is_stale || !is_same && old.as_ref().is_some_and(|old| old.why() == written.why()) {
                return Err(LoadError::SameWhy(path.to_owned()));
            }
            if !is_same {
                fit(old.as_ref(), fresh.mission(), &shown)?;
            }
            let difference = if is_same { Vec::new() } else { mission::difference(old.as_ref(), fresh.mission()) };
            let direction = if is_same { None } else { direction(old.as_ref(), fresh.mission()) };
            let needs = !is_same && needs_people(old.as_ref(), fresh.mission(), self.missions.is_revoked(&name));
            let refuse = |source| LoadError::Change { name: name.clone(), source };
            let gate = self.change_gate(VersionedKind::Mission).map_err(refuse)?.filter(|_| needs);
            let (would_ask, to) = (gate.map(|gate| gate.to_string()), written.sha256().to_string());
            Taken { difference, direction, from, mission: name.clone(), to, waits: None, would_ask }
        };
        if tried == Tried::Only {
            return Ok(taken);
        }
        let reads = if own.is_none() { Reads::Home } else { Reads::File };
        let waits = match self.load(path, reads, who).await {
            Ok((_, _, None)) => None,
            Ok((_, _, Some(ChangeError::Waits(waits))))
            | Err(LoadError::Change { source: ChangeError::Waits(waits), .. }) => Some(waits),
            Ok((_, _, Some(source))) => return Err(LoadError::Change { name, source }),
            Err(error) => return Err(error),
        };
        Ok(Taken { waits, would_ask: None, ..taken })
    }

    /// Withdraws the authority of the mission `name`, at the next decision of every run. Another version gives it back.
    ///
    /// # Errors
    /// [`RevokeError`]; a revocation that cannot be recorded holds until this process ends.
    pub async fn revoke_mission(&self, name: &str, who: &str, why: &str) -> Result<(), RevokeError> {
        let _one_at_a_time = self.missions.loading.lock().await;
        let from = self.missions.accepted.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        let from = from.ok_or_else(|| RevokeError::Unknown(name.to_owned()))?;
        if !self.missions.revoked.write().unwrap_or_else(PoisonError::into_inner).insert(name.to_owned()) {
            return Err(RevokeError::Already(name.to_owned()));
        }
        let body = VersionLog {
            approval: None,
            difference: vec![format!(
                "mission `{name}` is revoked: it allows nothing until another version is taken up"
            )],
            direction: Some(Direction::Narrower),
            from: Some(from.into()),
            object: VersionedObject { kind: VersionedKind::Mission, name: name.into() },
            state: None,
            to: REVOKED.into(),
            who: who.to_owned(),
            why: why.to_owned(),
        };
        let context = Context { mission: Some(name.into()), ..Context::system() };
        self.note(context.into(), body).await?;
        Ok(())
    }

    /// Loads what open runs need and no folder has, as the home keeps it.
    pub async fn load_missions_of_runs(&self) {
        let named: BTreeSet<_> = self.list_runs().iter().map(|run| run.terms.mission.to_string()).collect();
        for name in named {
            let Some(path) = self.kept_mission(&name) else { continue };
            if let Err(error) = self.load_mission(&path, FILE).await {
                tracing::error!(%error, mission = name, "the mission of an open run could not be loaded");
            }
        }
    }

    /// Takes up every `.toml` file in the folder `dir` that is new or changed, in the order of their names, and every other loaded file that changed. A bad one is
    /// recorded and told once, and the others load.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub async fn load_missions(&self, dir: Option<&Path>) -> std::io::Result<()> {
        let files = dir.map(toml_files).transpose()?.unwrap_or_default();
        self.look_at_organisation(FILE).await;
        self.load_people(FILE).await;
        self.load_classes(FILE).await;
        for path in self.missions.changed(files) {
            match self.load(&path, Reads::File, FILE).await {
                Ok((mission, _, None)) => {
                    tracing::info!(mission = %mission.name(), sha256 = %mission.sha256(), "mission taken up");
                }
                Ok((mission, _, Some(why))) => {
                    tracing::warn!(mission = %mission.name(), %why, "a version of a mission is not taken up; the one in force stays");
                }
                Err(error) => tracing::error!(%error, "mission refused; a version in force stays"),
            }
        }
        Ok(())
    }

    /// An exception with a date: somebody must decide when a mission that is only observed is held to.
    async fn observed(&self, mission: &Mission) -> Result<(), store::AppendError> {
        let at = now();
        let body = ExceptionRecord {
            mitigation: Some("what pays, destroys, administers or is unconfirmed is held to the mission".to_owned()),
            due: Some(at.plus_micros(OBSERVE_DUE_US)),
            owner: mission.owner().to_string(),
            ..self.opening(
                ExceptionKind::Observe,
                format!("mission:{}", mission.name()),
                format!("mission `{}` is only observed; {}", mission.name(), mission.why()),
                at,
            )
        };
        let context = Context { mission: Some(mission.name().clone()), ..Context::system() };
        self.note(context.into(), body).await.map(|_| ())
    }

    async fn refused(&self, path: &Path, error: &impl std::fmt::Display) {
        let at = now();
        let body = ExceptionRecord {
            mitigation: Some("the version in force stays".to_owned()),
            ..self.opening(
                ExceptionKind::BadMission,
                format!("file:{}", path.display()),
                error.to_string().chars().take(4_096).collect(),
                at,
            )
        };
        if let Err(error) = self.note(Context::system().into(), body).await {
            tracing::error!(%error, "the refusal could not be recorded");
        }
    }
}

/// That the exceptions of a version that is to follow `old` are ones that may begin now.
fn fit(old: Option<&Mission>, fresh: &Mission, shown: &str) -> Result<(), LoadError> {
    let unfit = fresh.unfit_exceptions(old, now());
    let lines: Vec<String> = unfit.iter().map(|(line, sentence)| format!("{shown}:{line}:1: {sentence}")).collect();
    if lines.is_empty() { Ok(()) } else { Err(LoadError::Invalid(lines.join("\n"))) }
}

/// Which way a version changes what is allowed. Against nothing, whatever it allows is new; so it is where what was in force cannot be read any more.
fn direction(old: Option<&Mission>, fresh: &Mission) -> Option<Direction> {
    old.map_or(Some(Direction::Wider), |old| mission::overall(&mission::compare(old, fresh)))
}

/// Whether a version waits for people where changes do: one that may allow something new, gives a revoked mission its authority back, or lets other persons answer.
fn needs_people(old: Option<&Mission>, fresh: &Mission, is_revoked: bool) -> bool {
    is_revoked || is_wider(direction(old, fresh)) || old.is_some_and(|old| old.owner() != fresh.owner())
}

/// Whether a change is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tried {
    /// It is.
    ForGood,
    /// It is only told.
    Only,
}

/// Why a mission was not revoked.
#[derive(Debug, thiserror::Error)]
pub enum RevokeError {
    /// There is no such mission.
    #[error("no mission `{0}` was ever taken up; `countersign doctor` lists those that were")]
    Unknown(String),
    /// It is so already.
    #[error("mission `{0}` is revoked already")]
    Already(String),
    /// The change could not be recorded.
    #[error(transparent)]
    Unrecorded(#[from] store::AppendError),
}

/// The mission files of a folder.
fn toml_files(dir: &Path) -> std::io::Result<Vec<PathBuf>> {
    let named = |error: std::io::Error| {
        std::io::Error::new(error.kind(), format!("read the missions' folder `{}`: {error}", dir.display()))
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(dir).map_err(named)?.take(MISSION_FILES_MAX) {
        let path = entry.map_err(named)?.path();
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        // Cases stand beside the missions that they are about.
        if name.ends_with(".toml") && !name.ends_with(".cases.toml") {
            files.push(path);
        }
    }
    Ok(files)
}

fn stamp(path: &Path) -> Option<Stamp> {
    let found = fs::metadata(path).ok()?;
    Some(Stamp { bytes: found.len(), modified: found.modified().ok()? })
}

pub(crate) fn read(path: &Path) -> std::io::Result<String> {
    let mut source = String::new();
    let limit = MISSION_BYTES_MAX as u64;
    File::open(path)?.take(limit + 1).read_to_string(&mut source)?;
    if source.len() as u64 > limit {
        return Err(std::io::Error::other(format!("it is larger than {limit} bytes")));
    }
    Ok(source)
}

/// The version of a mission that was accepted before, if the home still has it.
fn kept(home: &Home, sha256: &str) -> Option<Mission> {
    mission::parse(&home.mission_source(sha256)?).ok()
}
