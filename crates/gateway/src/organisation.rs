//! The organisation file in force: `organisation.toml` in the home, with the Cedar policies that it names, versioned in the ledger.
//!
//! A file that cannot be read, parsed or compiled never replaces a good version, and neither does its absence: each leaves an `exception_record`. Where there never was a
//! good one, no mission is taken up. A new version is held against every loaded mission at once; one that breaks an invariant allows nothing until it is mended.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use evidence::record::{
    Context, Direction, ExceptionKind, ExceptionRecord, VersionLog, VersionedKind, VersionedObject,
};
use evidence::time::Timestamp;
use governance::decide::{Bounds, PolicySnapshot, bounds, compile};
use governance::limits::MISSION_BYTES_MAX;
use governance::mission::{
    self, Change, Mission, Organisation, Reads, Subject, groups_of, overall, parse_organisation,
};
use serde::{Deserialize, Serialize};
use store::Reader;

use crate::changes::{Asks, ChangeError, Kept as Waiting, Proposal, is_wider, owner_of};
use crate::classes::undefined_class;
use crate::clock::now;
use crate::home::Home;
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

    /// Has the file looked at again: what it was refused for may hold no more.
    pub(crate) fn look_again(&self) {
        *self.seen.lock().unwrap_or_else(PoisonError::into_inner) = None;
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

/// Whether it is recorded who looks at the evidence of a home: what the version in force says, or where there is none yet, the file. A file that cannot be read may say so.
#[must_use]
pub fn reads(home: &Home) -> Reads {
    if let Some(reads) = accepted_reads(home) {
        return reads;
    }
    match read(&home.path().join(FILE)) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Reads::Unrecorded,
        Err(_) => Reads::Recorded,
        Ok(source) => parse_organisation(&source).map_or(Reads::Recorded, |organisation| organisation.reads()),
    }
}

/// What the version says that was accepted last. Of one that the home has lost, nobody knows that it did not.
fn accepted_reads(home: &Home) -> Option<Reads> {
    let reader = Reader::open(home.path()).ok()?;
    let accepted = versions(&reader, VersionedKind::Organisation).ok()?.into_iter().next()?;
    let kept = home.organisation(&accepted.to).and_then(|text| serde_json::from_str::<Kept>(&text).ok());
    let organisation = kept.and_then(|kept| parse_organisation(&kept.source).ok());
    Some(organisation.map_or(Reads::Recorded, |organisation| organisation.reads()))
}

/// `mission` as it holds within `bounds`, compiled.
///
/// # Errors
/// What is wrong with it, one line for each thing, as `file:line:column: reason`.
pub fn compile_within(mission: &Mission, bounds: Option<&Arc<Bounds>>, file: &str) -> Result<PolicySnapshot, String> {
    compile_within_at(mission, bounds, file, now())
}

/// The same as of a moment.
pub(crate) fn compile_within_at(
    mission: &Mission,
    bounds: Option<&Arc<Bounds>>,
    file: &str,
    at: Timestamp,
) -> Result<PolicySnapshot, String> {
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
    let breaches = organisation.breaches(&within, at);
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
            Ok(fresh) => match policies_of(&fresh, &path) {
                Ok(files) => self.accept_organisation(Arc::new(fresh), files, &path, Asks::Anew, who).await,
                Err(error) => Err(LoadError::Organisation(error)),
            },
            Err(error) => Err(LoadError::Organisation(error)),
        };
        // Looked at anew: which policies there are is said by the file that is in force by now.
        let looked = self.stamps(&path);
        let stays = match taken {
            Ok(None) => None,
            Ok(Some(why @ ChangeError::Unreachable(_))) => {
                Some(LoadError::Organisation(format!("{}: {why}", path.display())))
            }
            Ok(Some(error)) if error.is_failure() => {
                return Err(LoadError::Change { name: OBJECT.to_owned(), source: error });
            }
            Ok(Some(why)) => {
                tracing::warn!(%why, "the organisation file is not taken up; the version in force stays");
                None
            }
            Err(error @ LoadError::Organisation(_)) => Some(error),
            Err(error) => return Err(error),
        };
        if let Some(error) = &stays {
            self.organisation_refused(&path, error).await;
        }
        if self.organisation.bounds().is_none() {
            let kept = accepted.as_deref().and_then(|sha256| kept_organisation(&self.home, sha256));
            let lost = || LoadError::Organisation("the version in force is not in the home any more".to_owned());
            self.organisation.put(Arc::new(kept.ok_or_else(|| stays.unwrap_or_else(lost))?));
            self.bind_missions().await;
        }
        *self.organisation.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(looked);
        Ok(())
    }

    /// Takes up the organisation file where it is new or changed: whatever is asked next may have to wait by what it says.
    pub(crate) async fn look_at_organisation(&self, who: &str) {
        let _one_at_a_time = self.missions.loading.lock().await;
        if let Err(error) = self.load_organisation(who).await {
            tracing::error!(%error, "the organisation file could not be taken up");
        }
    }

    /// What is in force: the version that was accepted last, where no file was looked at yet; an error where that is lost.
    pub(crate) fn organisation_in_force(&self) -> Result<Option<Arc<Bounds>>, ()> {
        match (self.organisation.bounds(), self.organisation.accepted()) {
            (Some(bounds), _) => Ok(Some(bounds)),
            (None, None) => Ok(None),
            (None, Some(sha256)) => {
                kept_organisation(&self.home, &sha256).map(|bounds| Some(Arc::new(bounds))).ok_or(())
            }
        }
    }

    /// Takes up a version that people approved.
    pub(crate) async fn take_up_organisation(&self, kept: Waiting) -> Result<(), LoadError> {
        let _one_at_a_time = self.missions.loading.lock().await;
        let lost = || LoadError::Organisation("what was approved is not in the home any more".to_owned());
        let sha256 = &*kept.version.to;
        let Kept { files, .. } = kept_parts(&self.home, sha256).ok_or_else(lost)?;
        let fresh = kept_organisation(&self.home, sha256).ok_or_else(lost)?;
        let path = self.home.path().join(FILE);
        match self.accept_organisation(Arc::new(fresh), files, &path, Asks::Nothing, &kept.version.who).await? {
            None => Ok(()),
            Some(source) => Err(LoadError::Change { name: OBJECT.to_owned(), source }),
        }
    }

    /// Takes up a version; gives why the one in force stays, where it does.
    async fn accept_organisation(
        &self,
        fresh: Arc<Bounds>,
        files: Vec<(Arc<str>, String)>,
        path: &Path,
        asks: Asks,
        who: &str,
    ) -> Result<Option<ChangeError>, LoadError> {
        let accepted = self.organisation.accepted();
        if accepted.as_deref() != Some(&**fresh.sha256()) {
            self.knows_captured_classes(fresh.organisation(), path, who).await?;
            let old = accepted.as_deref().and_then(|sha256| kept_organisation(&self.home, sha256));
            let old = old.as_ref().map(|old| old.organisation().clone());
            if old.as_ref().is_some_and(|old| old.why() == fresh.organisation().why()) {
                let why = "the organisation file changed and its `why` did not; say in `why` what this version is for";
                return Err(LoadError::Organisation(format!("{}: {why}", path.display())));
            }
            let kept = Kept { files, source: fresh.organisation().source().to_string() };
            let text = serde_json::to_string(&kept).map_err(|error| LoadError::Organisation(error.to_string()))?;
            let keep = |source| LoadError::Keep { name: OBJECT.to_owned(), source };
            self.home.keep_organisation(fresh.sha256(), &text).map_err(keep)?;
            let gate = match self.change_gate(VersionedKind::Organisation) {
                Ok(gate) => gate,
                Err(error) => return Ok(Some(error)),
            };
            let before = accepted.as_deref().and_then(|sha256| kept_parts(&self.home, sha256));
            let mut body = version_of(&fresh, old.as_deref(), before.as_ref(), &kept);
            body.from = accepted.as_deref().map(Into::into);
            body.who = if gate.is_some() && asks == Asks::Anew { owner_of(path) } else { who.to_owned() };
            let needs = asks == Asks::Nothing || is_wider(body.direction) || old.is_none();
            let consumed = if gate.is_some() && needs {
                let text = whole_text(&kept);
                match self.settle(&mut body, Proposal { asks, involved: &[], path: None, text: &text }).await {
                    Ok(consumed) => consumed,
                    Err(error) => return Ok(Some(error)),
                }
            } else {
                None
            };
            self.note_version(Context::system(), body, consumed).await?;
            *self.organisation.accepted.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(fresh.sha256().to_string());
            if gate.is_none() && fresh.organisation().change_gate(VersionedKind::Organisation).is_some() {
                let reason = "the gate of changes took effect, and there was none that it could wait for";
                self.unapproved(&format!("file:{}", path.display()), reason).await;
            }
        }
        self.organisation.put(fresh);
        self.bind_missions().await;
        Ok(None)
    }

    /// That the own classes of `[capture]` are there: a line about one that is not would never hold, and what it is to keep out of files would be in them.
    async fn knows_captured_classes(&self, fresh: &Organisation, path: &Path, who: &str) -> Result<(), LoadError> {
        let capture = fresh.capture();
        if capture.own_classes().next().is_none() {
            return Ok(());
        }
        // Whoever writes both files at once means both.
        self.load_classes(who).await;
        let shown = path.display().to_string();
        match undefined_class(capture.own_classes(), &shown, self.examiner.own().as_deref()) {
            None => Ok(()),
            Some(error) => Err(LoadError::Organisation(error)),
        }
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

    async fn organisation_refused(&self, path: &Path, error: &LoadError) {
        tracing::error!(%error, "organisation file refused; a version in force stays");
        let scope = format!("file:{}", path.display());
        let mitigation = "the version in force stays; where there is none, no mission is taken up";
        self.organisation_exception(ExceptionKind::BadOrganisation, &scope, &error.to_string(), mitigation).await;
    }

    pub(crate) async fn organisation_exception(
        &self,
        kind: ExceptionKind,
        scope: &str,
        reason: &str,
        mitigation: &str,
    ) {
        let at = now();
        let body = ExceptionRecord {
            mitigation: Some(mitigation.to_owned()),
            ..self.opening(kind, scope.to_owned(), reason.trim_end().chars().take(4_096).collect(), at)
        };
        if let Err(error) = self.note(Context::system().into(), body).await {
            tracing::error!(%error, "an exception about the organisation could not be recorded");
        }
    }
}

/// The version with the digest `sha256` as it was accepted, if the home still has it whole.
pub(crate) fn kept_organisation(home: &Home, sha256: &str) -> Option<Bounds> {
    let kept = kept_parts(home, sha256)?;
    let bounds = bounds(Arc::new(parse_organisation(&kept.source).ok()?), &kept.files).ok()?;
    (**bounds.sha256() == *sha256).then_some(bounds)
}

fn kept_parts(home: &Home, sha256: &str) -> Option<Kept> {
    serde_json::from_str(&home.organisation(sha256)?).ok()
}

/// What a version changes; in whose name, and from which version, is for whoever records it.
fn version_of(fresh: &Bounds, old: Option<&Organisation>, before: Option<&Kept>, kept: &Kept) -> VersionLog {
    let organisation = fresh.organisation();
    let mut changes = organisation.changes(old);
    let of =
        |kept: &Kept, name: &str| kept.files.iter().find(|(file, _)| **file == *name).map(|(_, text)| text.clone());
    for (name, text) in &kept.files {
        // Policies can be loosened as well as tightened, and nobody compares them.
        if before.and_then(|before| of(before, name)).is_some_and(|before| before != *text) {
            let sentence = format!("policies of `{name}` changed");
            changes.push(Change { direction: Direction::Unclear, sentence, subject: Subject::Beyond });
        }
    }
    VersionLog {
        approval: None,
        difference: changes.iter().map(|change| change.sentence.clone()).collect(),
        direction: overall(&changes),
        from: None,
        object: VersionedObject { kind: VersionedKind::Organisation, name: OBJECT.into() },
        state: None,
        to: fresh.sha256().clone(),
        who: String::new(),
        why: organisation.why().to_string(),
    }
}

/// The file with the policies that it names, as people are shown them.
fn whole_text(kept: &Kept) -> String {
    let policies = kept.files.iter().map(|(name, text)| format!("\n# {name}\n{text}"));
    std::iter::once(kept.source.clone()).chain(policies).collect()
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
