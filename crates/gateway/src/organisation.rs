//! The organisation file in force: `organisation.toml` in the home, with the Cedar policies that it names, versioned in the ledger.
//!
//! A file that cannot be read, parsed or compiled never replaces a good version, and neither does its absence: each leaves an `exception_record`. Where there never was a
//! good one, no mission is taken up. A new version is held against every loaded mission at once; one that breaks an invariant allows nothing until it is mended.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use evidence::ids::ExceptionId;
use evidence::record::{
    Context, ExceptionEvent, ExceptionKind, ExceptionRecord, VersionLog, VersionedKind, VersionedObject,
};
use governance::decide::{Bounds, PolicySnapshot, bounds, compile};
use governance::limits::{EXCEPTION_DUE_US, MISSION_BYTES_MAX};
use governance::mission::{self, Mission, Organisation, groups_of, overall, parse_organisation};
use serde::{Deserialize, Serialize};
use store::Reader;

use crate::clock::now;
use crate::missions::LoadError;
use crate::{Gateway, OpenError, versions};

/// How the object is called in `version_log` records: there is one.
const OBJECT: &str = "organisation";

/// The file's name, in the home.
pub const FILE: &str = "organisation.toml";

/// What is in force.
#[derive(Debug)]
pub(crate) struct InForce {
    /// Digest of the version last accepted, as the ledger has it.
    accepted: Mutex<Option<String>>,
    bounds: RwLock<Option<Arc<Bounds>>>,
    /// What the files looked like when they were last read, good or bad.
    seen: Mutex<Option<Vec<Stamp>>>,
}

/// How a file looked: nothing, where there is none.
type Stamp = (PathBuf, Option<(u64, SystemTime)>);

/// A version as the home keeps it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Kept {
    files: Vec<(Arc<str>, String)>,
    source: String,
}

impl InForce {
    /// Takes up what the ledger says.
    pub(crate) fn restore(reader: &Reader) -> Result<Self, OpenError> {
        let versions = versions(reader, VersionedKind::Organisation)?.into_iter();
        let accepted = versions.map(|version| version.to.to_string()).next();
        Ok(Self { accepted: Mutex::new(accepted), bounds: RwLock::default(), seen: Mutex::default() })
    }

    /// The organisation's bounds, if it has any.
    pub(crate) fn bounds(&self) -> Option<Arc<Bounds>> {
        self.bounds.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn accepted(&self) -> Option<String> {
        self.accepted.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn put(&self, bounds: Arc<Bounds>) {
        *self.bounds.write().unwrap_or_else(PoisonError::into_inner) = Some(bounds);
    }
}

/// Reads the organisation file at `path` with the policies that it names.
///
/// # Errors
/// What is wrong with it, for people.
pub fn read_organisation(path: &Path) -> Result<Bounds, String> {
    let source = read(path).map_err(|error| format!("read `{}`: {error}", path.display()))?;
    let organisation = parse_organisation(&source).map_err(|error| error.render(&path.display().to_string()))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut files = Vec::new();
    for name in organisation.forbids() {
        let file = folder.join(&**name);
        let text = read(&file).map_err(|error| format!("read `{}`: {error}", file.display()))?;
        files.push((name.clone(), text));
    }
    bounds(Arc::new(organisation), &files).map_err(|error| format!("{}: {error}", path.display()))
}

/// `mission` as it holds within `bounds`, compiled.
///
/// # Errors
/// What is wrong with it, one line for each thing, as `file:line:column: reason`.
pub fn compile_within(mission: &Mission, bounds: Option<&Arc<Bounds>>, file: &str) -> Result<PolicySnapshot, String> {
    let Some(bounds) = bounds else {
        if let Some(group) = groups_of(mission).first() {
            return Err(format!(
                "{file}: `group:{group}` needs an organisation file that has the group; name its members here"
            ));
        }
        return compile(Arc::new(mission.clone())).map_err(|error| format!("{file}: {error}"));
    };
    let organisation = bounds.organisation();
    let lines = |lines: Vec<String>| lines.into_iter().map(|line| format!("{file}:{line}\n")).collect::<String>();
    let within =
        organisation.within(mission).map_err(|problems| lines(problems.iter().map(ToString::to_string).collect()))?;
    let breaches = organisation.breaches(&within, now());
    if !breaches.is_empty() {
        let told = breaches.iter().map(|breach| {
            format!("{}:1: invariant `{}` of the organisation: {}", breach.line, breach.invariant, breach.sentence)
        });
        return Err(lines(told.collect()));
    }
    let policy = compile(Arc::new(within)).map_err(|error| format!("{file}: {error}"))?;
    Ok(policy.within(bounds.clone()))
}

impl Gateway {
    /// Takes up the organisation file where it is new or changed, for `who`; nobody else loads anything meanwhile.
    ///
    /// # Errors
    /// [`LoadError::Organisation`] where there is a file and no version of it was ever good; otherwise a bad one leaves an exception and the version in force stays.
    pub(crate) async fn load_organisation(&self, who: &str) -> Result<(), LoadError> {
        let path = self.home.path().join(FILE);
        let looked = self.stamps(&path);
        let is_known = self.organisation.seen.lock().unwrap_or_else(PoisonError::into_inner).as_ref() == Some(&looked);
        if is_known {
            return Ok(());
        }
        let accepted = self.organisation.accepted();
        if !path.exists() && accepted.is_none() {
            return Ok(());
        }
        let taken = match read_organisation(&path) {
            Ok(fresh) => self.accept_organisation(Arc::new(fresh), &path, accepted.as_deref(), who).await,
            Err(error) => Err(LoadError::Organisation(error)),
        };
        // Looked at anew: which policies there are is said by the file that is in force by now.
        let looked = self.stamps(&path);
        match taken {
            Ok(()) => {}
            Err(error @ LoadError::Organisation(_)) => {
                self.organisation_refused(&path, &error).await;
                if self.organisation.bounds().is_none() {
                    let kept = accepted.as_deref().and_then(|sha256| self.kept_organisation(sha256));
                    self.organisation.put(Arc::new(kept.ok_or(error)?));
                    self.bind_missions().await;
                }
            }
            Err(error) => return Err(error),
        }
        *self.organisation.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(looked);
        Ok(())
    }

    async fn accept_organisation(
        &self,
        fresh: Arc<Bounds>,
        path: &Path,
        accepted: Option<&str>,
        who: &str,
    ) -> Result<(), LoadError> {
        if accepted != Some(&**fresh.sha256()) {
            let old = accepted.and_then(|sha256| self.kept_organisation(sha256));
            let old = old.as_ref().map(|old| old.organisation().clone());
            if old.as_ref().is_some_and(|old| old.why() == fresh.organisation().why()) {
                let why = "the organisation file changed and its `why` did not; say in `why` what this version is for";
                return Err(LoadError::Organisation(format!("{}: {why}", path.display())));
            }
            let kept = Kept {
                files: policies_of(&fresh, path).map_err(LoadError::Organisation)?,
                source: fresh.organisation().source().to_string(),
            };
            let text = serde_json::to_string(&kept).map_err(|error| LoadError::Organisation(error.to_string()))?;
            let keep = |source| LoadError::Keep { name: OBJECT.to_owned(), source };
            self.home.keep_organisation(fresh.sha256(), &text).map_err(keep)?;
            self.log_organisation(&fresh, old.as_deref(), accepted, who).await?;
            *self.organisation.accepted.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(fresh.sha256().to_string());
        }
        self.organisation.put(fresh);
        self.bind_missions().await;
        Ok(())
    }

    async fn log_organisation(
        &self,
        fresh: &Bounds,
        old: Option<&Organisation>,
        accepted: Option<&str>,
        who: &str,
    ) -> Result<(), LoadError> {
        let organisation = fresh.organisation();
        let changes = organisation.changes(old);
        let mut difference: Vec<String> = changes.iter().map(|change| change.sentence.clone()).collect();
        let mut direction = overall(&changes);
        if difference.is_empty() && organisation.forbids().next().is_some() {
            difference.push("policies that the organisation file names changed".to_owned());
            direction = Some(evidence::record::Direction::Unclear);
        }
        let body = VersionLog {
            approval: None,
            difference,
            direction,
            from: accepted.map(Into::into),
            object: VersionedObject { kind: VersionedKind::Organisation, name: OBJECT.into() },
            state: None,
            to: fresh.sha256().clone(),
            who: who.to_owned(),
            why: organisation.why().to_string(),
        };
        self.note(Context::system().into(), body).await?;
        Ok(())
    }

    /// Holds every loaded mission against the organisation that is in force by now.
    async fn bind_missions(&self) {
        let bounds = self.organisation.bounds();
        self.missions.look_again();
        for policy in self.missions.policies() {
            let before = policy.load_full();
            let name = before.mission().name().clone();
            // From the text: what groups were is no longer in the mission that is loaded.
            let Ok(mission) = mission::parse(before.mission().source()) else { continue };
            match compile_within(&mission, bounds.as_ref(), &name) {
                Ok(fresh) => policy.store(Arc::new(fresh)),
                Err(why) => {
                    tracing::error!(mission = %name, why, "the mission allows nothing until it is mended");
                    let Ok(fresh) = compile(before.mission().clone()) else { continue };
                    let fresh = match &bounds {
                        Some(bounds) => fresh.within(bounds.clone()),
                        None => fresh,
                    };
                    policy.store(Arc::new(fresh.suspended(why.trim_end())));
                    let mitigation = "the mission allows nothing until it is as the organisation demands";
                    self.organisation_exception(
                        ExceptionKind::BadMission,
                        &format!("mission:{name}"),
                        &why,
                        mitigation,
                    )
                    .await;
                }
            }
        }
    }

    /// How the file and those that it names look.
    fn stamps(&self, path: &Path) -> Vec<Stamp> {
        let mut paths = vec![path.to_owned()];
        if let Some(bounds) = self.organisation.bounds() {
            paths.extend(bounds.organisation().forbids().map(|name| self.home.path().join(&**name)));
        }
        let look = |path: PathBuf| {
            let found = fs::metadata(&path).ok();
            let stamp = found.and_then(|found| Some((found.len(), found.modified().ok()?)));
            (path, stamp)
        };
        paths.into_iter().map(look).collect()
    }

    /// The version with the digest `sha256` as it was accepted, if the home still has it whole.
    fn kept_organisation(&self, sha256: &str) -> Option<Bounds> {
        let kept: Kept = serde_json::from_str(&self.home.organisation(sha256)?).ok()?;
        let bounds = bounds(Arc::new(parse_organisation(&kept.source).ok()?), &kept.files).ok()?;
        (**bounds.sha256() == *sha256).then_some(bounds)
    }

    async fn organisation_refused(&self, path: &Path, error: &LoadError) {
        tracing::error!(%error, "organisation file refused; a version in force stays");
        let scope = format!("file:{}", path.display());
        let mitigation = "the version in force stays; where there is none, no mission is taken up";
        self.organisation_exception(ExceptionKind::BadOrganisation, &scope, &error.to_string(), mitigation).await;
    }

    async fn organisation_exception(&self, kind: ExceptionKind, scope: &str, reason: &str, mitigation: &str) {
        let at = now();
        let body = ExceptionRecord {
            broken_glass: None,
            signed: None,
            due: Some(at.plus_micros(EXCEPTION_DUE_US)),
            event: ExceptionEvent::Opened,
            exception: ExceptionId::at(at, self.entropy.bits()),
            kind,
            mitigation: Some(mitigation.to_owned()),
            owner: "operator".to_owned(),
            reason: reason.trim_end().chars().take(4_096).collect(),
            scope: scope.to_owned(),
            note: None,
            who: None,
        };
        if let Err(error) = self.note(Context::system().into(), body).await {
            tracing::error!(%error, "an exception about the organisation could not be recorded");
        }
    }
}

/// The texts of the policies, as they were compiled: read again, and held to the digest.
fn policies_of(fresh: &Bounds, path: &Path) -> Result<Vec<(Arc<str>, String)>, String> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut files = Vec::new();
    for name in fresh.organisation().forbids() {
        let file = folder.join(&**name);
        files.push((name.clone(), read(&file).map_err(|error| format!("read `{}`: {error}", file.display()))?));
    }
    match bounds(fresh.organisation().clone(), &files) {
        Ok(again) if again.sha256() == fresh.sha256() => Ok(files),
        _ => Err("the policies changed while they were read".to_owned()),
    }
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut source = String::new();
    let limit = MISSION_BYTES_MAX as u64;
    File::open(path)?.take(limit + 1).read_to_string(&mut source)?;
    if source.len() as u64 > limit {
        return Err(std::io::Error::other(format!("it is larger than {limit} bytes")));
    }
    Ok(source)
}
