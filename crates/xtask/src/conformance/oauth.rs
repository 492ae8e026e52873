//! The scenarios about OAuth: the runner is a protected server with an authorization server, and the gateway is the client that logs in there.
//!
//! There is no direct side: the gateway's login is what is tested. No check may fail, and as many must pass as when the set was written.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

use anyhow::{Context as _, Result};
use serde::Deserialize;

use super::checks::{self, Check};
use super::{Behind, Governed, OAUTH, checks_of, listed_scenarios, runner_command};
use crate::count::Count;
use crate::e2e::{Evidence, Report};
use crate::tools::Runner;
use crate::workplace::Workplace;

/// The revision whose scenarios run, and how many checks must pass.
const SET: (&str, u64) = ("2026-07-28", 362);
/// The one scenario whose client is a document at this address, which its authorization server knows.
const DOCUMENT: (&str, &str) = ("auth/basic-cimd", "https://conformance-test.local/client-metadata.json");
/// How often a server may want more than the token has: the scenarios that count retries allow three.
const LOGINS_MAX: usize = 2;
const UPSTREAM: &str = "conformance";

/// What the runner tells a client of a scenario.
#[derive(Default, Deserialize)]
struct Told {
    client_id: Option<String>,
    client_secret: Option<String>,
}

/// Runs every scenario, two at a time.
pub(super) fn run(
    place: &mut Workplace,
    runner: &Runner,
    ours: impl Fn(&Path) -> String,
    listed: &[String],
    scratch: &Path,
    report: &mut Report,
) -> Result<()> {
    let (revision, passed_min) = SET;
    let scenarios: Vec<&str> =
        listed_scenarios(listed, revision).into_iter().filter(|name| name.starts_with(OAUTH)).collect();
    let mut found: Vec<Check> = Vec::new();
    for pair in scenarios.chunks(2) {
        let of = |scenario: &str| -> Result<_> {
            let folder = scratch.join("oauth").join(scenario);
            std::fs::create_dir_all(&folder)?;
            let mut command = runner_command(runner, "client");
            command.args(["--command", &ours(&folder), "--scenario", scenario, "--spec-version", revision]);
            Ok((command, folder.join("checks")))
        };
        let sides = pair.iter().map(|scenario| of(scenario)).collect::<Result<Vec<_>>>()?;
        found.extend(checks_of(place, sides)?.into_iter().flatten());
    }
    let (count, said) = checks::compare(&found, &found, passed_min);
    report.take(place, &format!("OAuth, {revision}"), count, said.is_empty(), &said.join("\n"));
    let (mut sound, mut unsound) = (Count::default(), Vec::new());
    for scenario in scenarios {
        let home = scratch.join("oauth").join(scenario).join("home");
        // Where the login was refused no gateway was started.
        if !home.join("ledger").is_dir() {
            continue;
        }
        let Evidence { sound: verifies, complete, said } = Evidence::of(place, &home, 0)?;
        match verifies && complete {
            true => sound.passed += 1,
            false => unsound.push(format!("{scenario}: {said}")),
        }
    }
    sound.failed = unsound.len() as u64;
    report.take(place, "the ledgers of OAuth", sound, unsound.is_empty(), &unsound.join("\n"));
    Ok(())
}

impl Governed {
    /// Logs the gateway in at the runner's server, and runs the client through it; once more where the server then wants more.
    pub(super) fn run_with_login(&self, scenario: &str) -> Result<ExitCode> {
        let mut place = Workplace::find()?;
        let oauth = self.oauth_table(scenario)?;
        for _ in 0..LOGINS_MAX {
            let config = Behind::write(&place, &self.scratch, &self.url, &oauth)?;
            if !login(&place, &config, &self.scratch.join("home"))? {
                return Ok(ExitCode::FAILURE);
            }
            let behind = Behind::serve(&mut place, &self.scratch, &config)?;
            let client =
                Command::new(&self.client).arg(&behind.url).env("COUNTERSIGN_RUN_TOKEN", &behind.token).status()?;
            behind.stop()?;
            if client.success() {
                return Ok(ExitCode::SUCCESS);
            }
        }
        Ok(ExitCode::FAILURE)
    }

    /// The `oauth` table of the upstream.
    fn oauth_table(&self, scenario: &str) -> Result<String> {
        let told: Told = match std::env::var("MCP_CONFORMANCE_CONTEXT") {
            Ok(context) => serde_json::from_str(&context)?,
            Err(_) => Told::default(),
        };
        if scenario == DOCUMENT.0 {
            return Ok(format!("oauth = {{ client_id = {:?} }}", DOCUMENT.1));
        }
        let (Some(id), Some(secret)) = (told.client_id, told.client_secret) else { return Ok("oauth = {}".to_owned()) };
        std::fs::write(self.scratch.join("secret"), secret)?;
        let issuer = issuer_of(&self.url)?;
        Ok(format!("oauth = {{ client_id = {id:?}, client_secret = {{ file = \"secret\" }}, issuer = {issuer:?} }}"))
    }
}

/// The authorization server that the runner's server names: an owner would read it in the server's documentation.
fn issuer_of(url: &str) -> Result<String> {
    #[derive(Deserialize)]
    struct Metadata {
        authorization_servers: Vec<String>,
    }
    let (scheme, rest) = url.split_once("://").context("the runner gives a URL")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let at = format!("{scheme}://{host}/.well-known/oauth-protected-resource/{path}");
    let said = Command::new("curl").args(["-sS", "--max-time", "20", &at]).output()?;
    let metadata: Metadata = serde_json::from_slice(&said.stdout).with_context(|| format!("read `{at}`"))?;
    metadata.authorization_servers.into_iter().next().context("the server names no authorization server")
}

/// Logs in with a browser that consents to everything; false where the gateway refuses what it finds.
fn login(place: &Workplace, config: &Path, home: &Path) -> Result<bool> {
    let mut login = Command::new(place.built("countersign"));
    login.args(["upstream", "login", UPSTREAM, "--config"]).arg(config).arg("--home").arg(home);
    let mut login = login.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let told = BufReader::new(login.stdout.take().context("standard output is piped")?);
    for line in told.lines() {
        let line = line?;
        if line.trim().starts_with("http") {
            // What the page says is for a person; where it leads the gateway sees.
            Command::new("curl").args(["-sS", "-L", "--max-time", "20", "-o", "/dev/null", line.trim()]).status()?;
        }
    }
    Ok(login.wait()?.success())
}
