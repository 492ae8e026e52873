//! Persons with keys of their own, who are enrolled by the program's own commands as people enrol themselves.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::workplace::Workplace;

/// What opens the keys.
pub(crate) const PASSPHRASE: (&str, &str) = ("COUNTERSIGN_PASSPHRASE", "correct horse battery");

/// Makes `home` with the persons of `people`, and enrols a key for each of `persons` in the file that `key` names. The first one's is confirmed by nobody, every other by the first.
///
/// Gives the files, in the order of the persons.
pub(crate) fn enrol(
    place: &mut Workplace,
    home: &Path,
    people: &Path,
    persons: &[&str],
    key: impl Fn(&str) -> PathBuf,
) -> Result<Vec<PathBuf>> {
    DirBuilder::new().recursive(true).mode(0o700).create(home)?;
    fs::copy(people, home.join("people.toml")).with_context(|| format!("copy `{}`", people.display()))?;
    let mut keys: Vec<PathBuf> = Vec::new();
    for person in persons {
        let code = said(place, home, &["people", "invite", person])?;
        let file = key(person);
        let path = file.display().to_string();
        let id = said(place, home, &["people", "enrol", person, "--code", &code, "--key", &path])?;
        let confirming = keys.first().map(|first| first.display().to_string());
        let mut confirm = vec!["people", "confirm", person, &id, "--why", "seen in person"];
        confirm.extend(confirming.iter().flat_map(|first| ["--key", first]));
        said(place, home, &confirm)?;
        keys.push(file);
    }
    Ok(keys)
}

/// The code or key that a command printed, among what it says to people; the command must succeed.
fn said(place: &mut Workplace, home: &Path, args: &[&str]) -> Result<String> {
    let mut command = Command::new(place.built("countersign"));
    command.args(args).arg("--home").arg(home).env(PASSPHRASE.0, PASSPHRASE.1);
    let ran = place.must(&mut command)?;
    let is_hex = |line: &&String| !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_hexdigit());
    Ok(ran.lines.iter().find(is_hex).cloned().unwrap_or_default())
}
