//! The file of persons in force: `people.toml` in the home, versioned in the ledger.
//!
//! A file that cannot be read or is not sound never replaces a good version, and neither does its absence: each leaves an `exception_record`.

use std::fs::{self, File};
use std::io::Read as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use evidence::record::{
    Context, Direction, ExceptionKind, ExceptionRecord, VersionLog, VersionedKind, VersionedObject,
};
use governance::approve::{People, parse_people};
use governance::limits::PEOPLE_BYTES_MAX;
use store::Reader;

use crate::changes::{Asks, ChangeError, Kept, Proposal, owner_of};
use crate::clock::now;
use crate::{Gateway, OpenError, versions};

/// The file's name, in the home.
pub const FILE: &str = "people.toml";

/// How the object is called in `version_log` records: there is one.
const OBJECT: &str = "people";

/// Who is who.
#[derive(Debug, Default)]
pub(crate) struct Persons {
    /// Digest of the version last accepted, as the ledger has it.
    accepted: Mutex<Option<String>>,
    in_force: RwLock<Option<Arc<People>>>,
    /// Held while a version is taken up: whoever looks meanwhile waits until it is in force.
    loading: tokio::sync::Mutex<()>,
    /// What the file looked like when it was last read, good or bad.
    seen: Mutex<Option<Stamp>>,
    /// Why there are none.
    trouble: Mutex<String>,
}

/// How the file looked: nothing, where there is none.
type Stamp = Option<(u64, SystemTime)>;

impl Persons {
    /// Takes up what the ledger says.
    pub(crate) fn restore(reader: &Reader) -> Result<Self, OpenError> {
        let versions = versions(reader, VersionedKind::People)?.into_iter();
        let accepted = versions.map(|version| version.to.to_string()).next();
        Ok(Self { accepted: Mutex::new(accepted), ..Self::default() })
    }

    /// The persons and groups, where there are any.
    pub(crate) fn in_force(&self) -> Option<Arc<People>> {
        self.in_force.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Why there are none.
    pub(crate) fn trouble(&self) -> String {
        let trouble = self.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if trouble.is_empty() { format!("no file `{FILE}` in the home says who may approve") } else { trouble }
    }

    fn put(&self, people: Arc<People>) {
        *self.in_force.write().unwrap_or_else(PoisonError::into_inner) = Some(people);
    }
}

/// Reads the file of persons at `path`.
///
/// # Errors
/// What is wrong with it, for people.
pub fn read_people(path: &Path) -> Result<People, String> {
    let source = read(path).map_err(|error| format!("read `{}`: {error}", path.display()))?;
    parse_people(&source).map_err(|error| format!("{}: {error}", path.display()))
}

fn read(path: &Path) -> std::io::Result<String> {
    let mut source = String::new();
    File::open(path)?.take(PEOPLE_BYTES_MAX as u64 + 1).read_to_string(&mut source)?;
    Ok(source)
}

impl Gateway {
    /// Takes up the file of persons where it is new or changed, for `who`. A bad one leaves an exception, and the version in force stays.
    pub(crate) async fn load_people(&self, who: &str) {
        let _one_at_a_time = self.people.loading.lock().await;
        let path = self.home.path().join(FILE);
        let stamp = fs::metadata(&path).ok().and_then(|found| Some((found.len(), found.modified().ok()?)));
        let is_known = *self.people.seen.lock().unwrap_or_else(PoisonError::into_inner) == Some(stamp);
        let accepted = self.people.accepted.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if is_known || (stamp.is_none() && accepted.is_none()) {
            return;
        }
        *self.people.seen.lock().unwrap_or_else(PoisonError::into_inner) = Some(stamp);
        let taken = match read(&path) {
            Ok(source) => self.accept_people(&source, &path, Asks::Anew, who).await,
            Err(error) => Err(format!("read `{}`: {error}", path.display())),
        };
        let _none = self.people_in_force();
        let error = match taken {
            Ok(None) => return,
            Ok(Some(why @ ChangeError::Unreachable(_))) => format!("{}: {why}", path.display()),
            Ok(Some(why)) => {
                return tracing::warn!(%why, "the file of persons is not taken up; the version in force stays");
            }
            Err(error) => error,
        };
        tracing::error!(%error, "the file of persons is not taken up");
        error.clone_into(&mut self.people.trouble.lock().unwrap_or_else(PoisonError::into_inner));
        self.people_refused(&path, &error).await;
    }

    fn kept_people(&self, sha256: &str) -> Option<People> {
        parse_people(&self.home.people(sha256)?).ok()
    }

    /// The persons and groups in force: those of the version that was accepted last, where no file was looked at yet.
    pub(crate) fn people_in_force(&self) -> Option<Arc<People>> {
        if self.people.in_force().is_none() {
            let accepted = self.people.accepted.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(kept) = accepted.and_then(|sha256| self.kept_people(&sha256)) {
                self.people.put(Arc::new(kept));
            }
        }
        self.people.in_force()
    }

    /// Takes up a version that people approved.
    pub(crate) async fn take_up_people(&self, kept: Kept) -> Result<(), String> {
        let _one_at_a_time = self.people.loading.lock().await;
        let _people = self.people_in_force();
        let source = self.home.people(&kept.version.to).ok_or("what was approved is not in the home any more")?;
        let path = self.home.path().join(FILE);
        match self.accept_people(&source, &path, Asks::Nothing, &kept.version.who).await? {
            None => Ok(()),
            Some(error) => Err(error.to_string()),
        }
    }

    /// Takes up a version; gives why the one in force stays, where it does.
    async fn accept_people(
        &self,
        source: &str,
        path: &Path,
        asks: Asks,
        who: &str,
    ) -> Result<Option<ChangeError>, String> {
        let fresh = parse_people(source).map_err(|error| format!("{}: {error}", path.display()))?;
        let accepted = self.people.accepted.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if accepted.as_deref() != Some(&**fresh.sha256()) {
            let old = accepted.as_deref().and_then(|sha256| self.kept_people(sha256));
            if old.as_ref().is_some_and(|old| old.why() == fresh.why()) {
                let why = "the file of persons changed and its `why` did not; say in `why` what this version is for";
                return Err(format!("{}: {why}", path.display()));
            }
            self.home.keep_people(fresh.sha256(), source).map_err(|error| format!("keep `{FILE}`: {error}"))?;
            let is_gated = match self.change_gate(VersionedKind::People) {
                Ok(gate) => gate.is_some(),
                Err(error) => return Ok(Some(error)),
            };
            let mut body = VersionLog {
                approval: None,
                difference: fresh.difference(old.as_ref()),
                // Whether more persons may say yes, or other ones, nobody compares.
                direction: Some(Direction::Unclear),
                from: accepted.as_deref().map(Into::into),
                object: VersionedObject { kind: VersionedKind::People, name: OBJECT.into() },
                state: None,
                to: fresh.sha256().clone(),
                who: if is_gated && asks == Asks::Anew { owner_of(path) } else { who.to_owned() },
                why: fresh.why().to_string(),
            };
            let consumed = match accepted {
                Some(_) if is_gated => {
                    let proposal = Proposal { asks, involved: &[], path: None, text: source };
                    match self.settle(&mut body, proposal).await {
                        Ok(consumed) => consumed,
                        Err(error) => return Ok(Some(error)),
                    }
                }
                Some(_) | None => None,
            };
            let is_first = accepted.is_none() && is_gated;
            self.note_version(Context::system(), body, consumed).await.map_err(|error| error.to_string())?;
            *self.people.accepted.lock().unwrap_or_else(PoisonError::into_inner) = Some(fresh.sha256().to_string());
            if is_first {
                let reason = "the first file of persons took effect, and nobody was there who could approve it";
                self.unapproved(&format!("file:{}", path.display()), reason).await;
            }
        }
        self.people.put(Arc::new(fresh));
        self.approvals.look_again();
        self.people.trouble.lock().unwrap_or_else(PoisonError::into_inner).clear();
        Ok(None)
    }

    async fn people_refused(&self, path: &Path, error: &str) {
        let at = now();
        let body = ExceptionRecord {
            mitigation: Some("the version in force stays; without one, nobody can approve".to_owned()),
            ..self.opening(ExceptionKind::BadPeople, format!("file:{}", path.display()), error.to_owned(), at)
        };
        if let Err(error) = self.note(Context::system().into(), body).await {
            tracing::error!(%error, "a refused file of persons could not be recorded");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::home::Home;

    #[tokio::test]
    async fn whoever_looks_while_a_version_is_taken_up_waits_until_it_is_in_force() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::find(Some(folder.path().join("home"))).unwrap();
        let file = home.path().join(FILE);
        let gateway = Gateway::open(home, Duration::from_secs(1)).unwrap();
        for (version, person) in [("First.", "ana"), ("Second.", "bea"), ("Third.", "carl")] {
            let text = format!("why = {version:?}\n[person.{person}]\n[group]\nleads = [{person:?}]\n");
            std::fs::write(&file, text).unwrap();
            let others = async {
                gateway.load_people("otto").await;
                gateway.people.in_force().is_some_and(|people| people.persons().contains_key(person))
            };
            let ((), is_in_force) = tokio::join!(gateway.load_people("olga"), others);
            assert!(is_in_force, "{person} is no person yet");
        }
        gateway.close().await;
    }
}
