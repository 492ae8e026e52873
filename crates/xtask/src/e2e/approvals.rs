//! Calls that wait for people end to end: real clients with their own time-outs, and persons who sign with their own keys.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::json;

use super::Scenarios;

/// What opens the keys of the persons.
const PASSPHRASE: (&str, &str) = ("COUNTERSIGN_PASSPHRASE", "correct horse battery");

/// The persons of `tests/e2e/cases/people.toml`; the first one's key is confirmed by nobody.
const PERSONS: [&str; 2] = ["ana", "carl"];

/// The TypeScript client at a server with a handshake, and the Python client at one without, side by side: people take their time.
pub(super) fn run(scenarios: &mut Scenarios<'_>) -> Result<()> {
    let cases = scenarios.place.root.join("tests/e2e/cases");
    let folder = scenarios.scratch.join("approvals");
    fs::create_dir_all(&folder)?;
    let mission = folder.join("mission.toml");
    fs::copy(cases.join("approvals.toml"), &mission).context("copy the mission with a gate")?;
    let homes = ["typescript", "python"].map(|client| folder.join(client));
    let [with_handshake, without] = homes.each_ref().map(|home| enrolled(scenarios, home, &cases));
    let (with_handshake, without) = (with_handshake?, without?);
    let [typescript, python] = &homes;
    let countersign = scenarios.place.built("countersign");
    scenarios.script("calls that wait for people, with the clients' own time-outs", |this| {
        let mut beside = vec![
            this.pythons.sdk_2.display().to_string(),
            this.place.root.join("tests/e2e/python/approvals.py").display().to_string(),
        ];
        let mut side = this.wrapped(python, &mission, "stateless");
        if let Some(words) = side.as_array_mut() {
            words.pop();
            words.extend(this.stateless_server().into_iter().map(Into::into));
        }
        let python_options = [
            ("--side", side.to_string()),
            ("--tool", "add".to_owned()),
            ("--args", json!({ "a": "N", "b": 1 }).to_string()),
            ("--countersign", countersign.display().to_string()),
            ("--home", python.display().to_string()),
            ("--keys", json!(without).to_string()),
        ];
        beside.extend(python_options.into_iter().flat_map(|(name, value)| [name.to_owned(), value]));
        let entity = json!({ "name": "entity-N", "entityType": "kind", "observations": [] });
        let mut script = this.node("approvals.mjs");
        script.args(["--server", "memory", "--sdk", "2", "--tool", "create_entities", "--scratch"]);
        script.arg(this.scratch.join("approvals-memory"));
        script.args(["--args", &json!({ "entities": [entity] }).to_string()]);
        script.args(["--wrapped", &this.wrapped(typescript, &mission, "memory").to_string(), "--countersign"]);
        script.arg(&countersign).arg("--home").arg(typescript);
        script.args(["--keys", &json!(with_handshake).to_string(), "--beside", &json!(beside).to_string()]);
        script.env(PASSPHRASE.0, PASSPHRASE.1);
        Ok(script)
    })?;
    for home in &homes {
        scenarios.verified(home, 2)?;
    }
    Ok(())
}

/// A home with its persons, whose keys are enrolled and confirmed; gives the files of the keys.
fn enrolled(scenarios: &mut Scenarios<'_>, home: &Path, cases: &Path) -> Result<Vec<PathBuf>> {
    DirBuilder::new().recursive(true).mode(0o700).create(home)?;
    fs::copy(cases.join("people.toml"), home.join("people.toml")).context("copy the persons")?;
    let mut keys: Vec<PathBuf> = Vec::new();
    for person in PERSONS {
        let code = said(scenarios, home, &["people", "invite", person])?;
        let key = home.with_extension(format!("{person}.key"));
        let path = key.display().to_string();
        let id = said(scenarios, home, &["people", "enrol", person, "--code", &code, "--key", &path])?;
        let confirming = keys.first().map(|first| first.display().to_string());
        let mut confirm = vec!["people", "confirm", person, &id, "--why", "seen in person"];
        confirm.extend(confirming.iter().flat_map(|first| ["--key", first]));
        said(scenarios, home, &confirm)?;
        keys.push(key);
    }
    Ok(keys)
}

/// The code or key that a command printed, among what it says to people; the command must succeed.
fn said(scenarios: &mut Scenarios<'_>, home: &Path, args: &[&str]) -> Result<String> {
    let mut command = Command::new(scenarios.place.built("countersign"));
    command.args(args).arg("--home").arg(home).env(PASSPHRASE.0, PASSPHRASE.1);
    let ran = scenarios.place.must(&mut command)?;
    let is_hex = |line: &&String| !line.is_empty() && line.bytes().all(|byte| byte.is_ascii_hexdigit());
    Ok(ran.lines.iter().find(is_hex).cloned().unwrap_or_default())
}
