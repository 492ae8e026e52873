//! The API for people against its own description: Schemathesis makes requests from `docs/openapi.json` as the running gateway tells it, good and bad ones, and holds the answers to it.
//!
//! `tests/api/contract.py` plays the person: it has calls wait, opens the person's key, opens a session with it, and starts Schemathesis. It is the collector of OpenTelemetry too that the gateway feeds.

use std::fs::{self, DirBuilder};
use std::net::TcpListener;
use std::os::unix::fs::DirBuilderExt as _;
use std::process::Command;

use anyhow::{Context, Result};

use crate::count::Count;
use crate::e2e::{Gateway, Report};
use crate::scratch::Scratch;
use crate::tools;
use crate::workplace::Workplace;

/// What opens the key of the person.
const PASSPHRASE: (&str, &str) = ("COUNTERSIGN_PASSPHRASE", "correct horse battery");

const PEOPLE: &str = "why = \"First version.\"\n[person.ana]\n[person.bea]\n[person.carl]\n[group]\nleads = [\"ana\", \"bea\"]\ntreasury = [\"carl\"]\n";

const MISSION: &str = r#"mission = "contract"
goal    = "Have calls that wait."
owner   = "quality@corp.example"
agents  = ["bot"]
until   = 2099-12-31
why     = "First version."

[allow.mcp.up]
echo = {}
effect = {}

[danger.effects]
when = "mcp:up/effect"
gate = "two"

[gate.two]
all_of = [{ group = "leads" }, { group = "treasury" }]
hold   = "1s"
"#;

/// Starts a gateway with questions, and holds its API to the description.
pub(crate) fn run(place: &mut Workplace) -> Result<Report> {
    let python = tools::python(place, tools::Python::Contract)?;
    place.must(&mut place.everything())?;
    let scratch = Scratch::new("api")?;
    let home = scratch.path().join("home");
    DirBuilder::new().recursive(true).mode(0o700).create(&home)?;
    fs::create_dir_all(scratch.path().join("missions"))?;
    fs::write(home.join("people.toml"), PEOPLE)?;
    fs::write(scratch.path().join("mission.toml"), MISSION)?;
    let config = scratch.path().join("countersign.toml");
    let collector = free_port()?;
    let listen = "[listen]\nconsole = \"127.0.0.1:0\"\ngateway = \"127.0.0.1:0\"\n\n[missions]\ndir = \"missions\"\n";
    fs::write(&config, format!("{listen}\n[otel]\nurl = \"http://127.0.0.1:{collector}\"\n"))?;
    let log = scratch.path().join("gateway.log");
    let gateway = Gateway::start(place, &home, &config, &log)?;
    let said = fs::read_to_string(&log).context("read what the gateway said")?;
    let console = console(&said).context("the gateway did not say where its console listens")?;

    let mut script = Command::new(&python);
    script.arg(place.root.join("tests/api/contract.py")).current_dir(scratch.path());
    script.args(["--console", &console, "--home"]).arg(&home);
    script.arg("--countersign").arg(place.built("countersign"));
    script.arg("--upstream").arg(place.built("countersign-upstream"));
    script.args(["--collector", &collector.to_string()]);
    script.arg("--checked-in").arg(place.root.join("docs/openapi.json"));
    let ran = place.run(script.env(PASSPHRASE.0, PASSPHRASE.1))?;
    let mut report = Report::default();
    let count = Count::of_tap(ran.lines.iter().map(String::as_str));
    let said: Vec<&str> = ran.lines.iter().map(String::as_str).filter(|line| !line.starts_with("ok ")).collect();
    report.take(place, "the API and its description", count, ran.succeeded(), &said.join("\n"));
    gateway.stop()?;
    report.verified(place, &home, 0)?;
    Ok(report)
}

/// A port that nobody listens on now: the script's collector does, once it has started.
fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("look for a free port")?;
    Ok(listener.local_addr().context("read the port")?.port())
}

/// The address in the line of JSON that `serve` prints.
fn console(said: &str) -> Option<String> {
    said.lines().find_map(|line| {
        let line: serde_json::Value = serde_json::from_str(line).ok()?;
        Some(line.get("listening_console")?.as_str()?.to_owned())
    })
}
