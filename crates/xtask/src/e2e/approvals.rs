//! Calls that wait for people end to end: real clients with their own time-outs, and persons who sign with their own keys.

use std::fs;

use anyhow::{Context, Result};
use serde_json::json;

use super::Scenarios;
use crate::people::{PASSPHRASE, enrol};

/// The persons of `tests/e2e/cases/people.toml`; the first one's key is confirmed by nobody.
pub(super) const PERSONS: [&str; 2] = ["ana", "carl"];

/// The TypeScript client at a server with a handshake, and the Python client at one without, side by side: people take their time.
pub(super) fn run(scenarios: &mut Scenarios<'_>) -> Result<()> {
    let cases = scenarios.place.root.join("tests/e2e/cases");
    let folder = scenarios.scratch.join("approvals");
    fs::create_dir_all(&folder)?;
    let mission = folder.join("mission.toml");
    fs::copy(cases.join("approvals.toml"), &mission).context("copy the mission with a gate")?;
    let homes = ["typescript", "python"].map(|client| folder.join(client));
    let people = cases.join("people.toml");
    let [with_handshake, without] = homes.each_ref().map(|home| {
        let key = |person: &str| home.with_extension(format!("{person}.key"));
        enrol(scenarios.place, home, &people, &PERSONS, key)
    });
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
