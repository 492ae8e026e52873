//! The protocol's own conformance suite, once against a server or client of the official SDK and once with the gateway between them, compared check by check.
//!
//! Nothing is denied, everything is recorded, and what the ledger then holds is verified. `docs/design/conformance.md` says what is compared. Start at [`run`].

mod checks;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use clap::Args;

use crate::count::Count;
use crate::e2e::{Evidence, Gateway, Report, START_PATIENCE, STOP_PATIENCE, listening};
use crate::process::{Ran, Service};
use crate::scratch::Scratch;
use crate::tools::{self, Runner};
use crate::workplace::Workplace;

use checks::{Check, compare};

/// The SDK's server and client: a workspace of their own, so that the SDK stays out of the tree that ships and out of every other build.
pub(crate) const MANIFEST: &str = "conformance/Cargo.toml";
/// What the runner gives one scenario. Its own 30 s are short where two cores are busy.
const SCENARIO_PATIENCE_MS: &str = "60000";
/// Scenarios in which the client gets its token from an authorization server. They name the URL of the runner's server as the resource, which behind a gateway is not
/// the URL that the client talks to: the gateway lets nobody's token through, by the specification.
const OAUTH: &str = "auth/";

/// Scenarios that the runner runs against a server, and how many checks must pass: fewer means that it no longer asks what it asked.
struct ServerSet {
    label: &'static str,
    args: &'static [&'static str],
    passed_min: u64,
}

const SERVER_SETS: &[ServerSet] = &[
    ServerSet { label: "server, what 2026-07-28 requires", args: &["--requirements", "2026-07-28"], passed_min: 197 },
    ServerSet { label: "server, what 2025-11-25 requires", args: &["--requirements", "2025-11-25"], passed_min: 83 },
    ServerSet { label: "server, everything", args: &["--suite", "all"], passed_min: 275 },
    ServerSet { label: "server, the active suite", args: &["--suite", "active"], passed_min: 73 },
    ServerSet {
        label: "server, all of 2025-06-18",
        args: &["--suite", "all", "--spec-version", "2025-06-18"],
        passed_min: 56,
    },
    ServerSet {
        label: "server, all of 2025-03-26",
        args: &["--suite", "all", "--spec-version", "2025-03-26"],
        passed_min: 3,
    },
];

/// Calls that the sets make of tools, resources and prompts; fewer means that they did not reach the ledger.
const CALLS_MIN: usize = 70;

/// Revisions at which the runner tests a client, and how many checks must pass.
const CLIENT_SETS: &[(&str, u64)] = &[("2025-06-18", 3), ("2025-11-25", 20)];

/// Compares every set.
pub(crate) fn run(place: &mut Workplace) -> Result<Report> {
    tools::check_present()?;
    let runner = tools::conformance_runner(place)?;
    place.must(&mut place.everything())?;
    place.must(&mut build(place))?;
    let scratch = Scratch::new("conform")?;
    let mut report = Report::default();
    servers(place, &runner, scratch.path(), &mut report)?;
    clients(place, &runner, scratch.path(), &mut report)?;
    Ok(report)
}

fn build(place: &Workplace) -> Command {
    let mut build = place.cargo(&["build", "--locked", "--manifest-path", MANIFEST]);
    build.arg("--target-dir").arg(place.root.join("target/conformance")).env("RUSTFLAGS", "-D warnings");
    build
}

fn built(place: &Workplace, program: &str) -> PathBuf {
    place.root.join("target/conformance/debug").join(program)
}

/// The runner as a client of the SDK's server.
fn servers(place: &mut Workplace, runner: &Runner, scratch: &Path, report: &mut Report) -> Result<()> {
    let mut upstream =
        Service::start(&mut Command::new(built(place, "conformance-upstream")), &scratch.join("upstream.log"))?;
    let address = upstream.wait_for("the upstream to listen", START_PATIENCE, listening)?;
    let direct = format!("http://{address}/mcp");
    let behind = Behind::start(place, &scratch.join("server"), &direct)?;
    for set in SERVER_SETS {
        let mut sides = Vec::new();
        for (side, url) in [("direct", &direct), ("governed", &behind.url)] {
            let mut command = runner_command(runner, "server");
            command.args(["--url", url]).args(set.args);
            if side == "governed" {
                command.env("COUNTERSIGN_GATEWAY", behind.origin()).env("COUNTERSIGN_RUN_TOKEN", &behind.token);
                command.env("NODE_OPTIONS", format!("--import={}", runner.folder.join("bearer.mjs").display()));
            }
            let out = scratch.join(format!("{side} {}", set.args.join(" ").replace('-', "")));
            sides.push(checks_of(place, &mut command, &out)?);
        }
        let [direct, governed] = sides.as_slice() else { continue };
        let (count, said) = compare(direct, governed, set.passed_min);
        report.take(place, set.label, count, said.is_empty(), &said.join("\n"));
    }
    let home = behind.stop()?;
    upstream.stop(STOP_PATIENCE)?;
    report.verified(place, &home, CALLS_MIN)
}

/// The runner as a server of the SDK's client, each scenario with a gateway of its own.
fn clients(place: &mut Workplace, runner: &Runner, scratch: &Path, report: &mut Report) -> Result<()> {
    let listed = place.must(runner_command(runner, "list").arg("--client"))?;
    let client = built(place, "conformance-client");
    // Not the running file: `everything` may have built it anew.
    let this = place.built("xtask");
    let (mut sound, mut unsound) = (Count::default(), Vec::new());
    for (revision, passed_min) in CLIENT_SETS {
        let (mut direct, mut governed) = (Vec::new(), Vec::new());
        for scenario in scenarios(&listed.lines, revision) {
            let folder = scratch.join("client").join(revision).join(scenario);
            std::fs::create_dir_all(&folder)?;
            let ours = format!(
                "{} conformance-client --client {} --scratch {}",
                this.display(),
                client.display(),
                folder.display()
            );
            let sides = [(client.display().to_string(), &mut direct, "direct"), (ours, &mut governed, "governed")];
            for (command_line, side, name) in sides {
                let mut command = runner_command(runner, "client");
                command.args(["--command", &command_line, "--scenario", scenario, "--spec-version", revision]);
                side.extend(checks_of(place, &mut command, &folder.join(name))?);
            }
            let Evidence { sound: verifies, complete, said } = Evidence::of(place, &folder.join("home"), 0)?;
            match verifies && complete {
                true => sound.passed += 1,
                false => unsound.push(format!("{revision}, {scenario}: {said}")),
            }
        }
        let (count, said) = compare(&direct, &governed, *passed_min);
        report.take(place, &format!("client, {revision}"), count, said.is_empty(), &said.join("\n"));
    }
    sound.failed = unsound.len() as u64;
    report.take(place, "the ledgers of client mode", sound, unsound.is_empty(), &unsound.join("\n"));
    Ok(())
}

/// The scenarios of a revision, of lines like `  - tools_call [2025-06-18,2025-11-25]`.
fn scenarios<'l>(lines: &'l [String], revision: &str) -> Vec<&'l str> {
    let listed = lines.iter().filter_map(|line| line.trim().strip_prefix("- ")?.strip_suffix(']')?.split_once(" ["));
    let of_revision = listed.filter(|(_, revisions)| revisions.split(',').any(|one| one == revision));
    of_revision.map(|(name, _)| name).filter(|name| !name.starts_with(OAUTH)).collect()
}

fn runner_command(runner: &Runner, mode: &str) -> Command {
    let script = runner.folder.join("node_modules/@modelcontextprotocol/conformance/dist/index.js");
    let mut command = Command::new(&runner.node);
    command.arg(script).arg(mode);
    command
}

/// Runs the runner to its end and reads what it wrote. Whether it is content is said by its checks, not by its exit code.
fn checks_of(place: &mut Workplace, command: &mut Command, out: &Path) -> Result<Vec<Check>> {
    let ran: Ran = place.run(command.args(["--timeout", SCENARIO_PATIENCE_MS, "--output-dir"]).arg(out))?;
    let checks = checks::read(out)?;
    ensure!(!checks.is_empty(), "the conformance runner wrote no checks:\n{}", ran.tail(20).join("\n"));
    Ok(checks)
}

/// A gateway whose only upstream is the server at one URL.
struct Behind {
    gateway: Gateway,
    home: PathBuf,
    token: String,
    url: String,
}

impl Behind {
    fn start(place: &mut Workplace, folder: &Path, upstream: &str) -> Result<Behind> {
        let missions = folder.join("missions");
        std::fs::create_dir_all(&missions)?;
        let mission = place.root.join("conformance/mission.toml");
        std::fs::copy(mission, missions.join("conformance.toml"))
            .context("copy the mission of the conformance step")?;
        let (home, config) = (folder.join("home"), folder.join("gateway.toml"));
        std::fs::write(
            &config,
            format!(
                "[listen]\ngateway = \"127.0.0.1:0\"\n\n[missions]\ndir = \"missions\"\n\n\
                 [upstream.mcp.conformance]\nurl = {upstream:?}\n"
            ),
        )?;
        let gateway = Gateway::start(place, &home, &config, &folder.join("gateway.log"))?;
        let token = gateway.token(place, "conformance", "runner")?;
        let url = format!("http://{}/mcp/conformance", gateway.address);
        Ok(Behind { gateway, home, token, url })
    }

    fn origin(&self) -> String {
        format!("http://{}", self.gateway.address)
    }

    /// Ends the gateway; its home stays.
    fn stop(self) -> Result<PathBuf> {
        self.gateway.stop()?;
        Ok(self.home)
    }
}

/// What the runner starts in client mode for the governed side.
#[derive(Args)]
pub(crate) struct Governed {
    /// The client
    #[arg(long)]
    client: PathBuf,
    /// Where the gateway lives
    #[arg(long)]
    scratch: PathBuf,
    /// The runner's server
    url: String,
}

impl Governed {
    /// Starts a gateway before the runner's server, waits until it listens, and runs the client against it; ends as the client ends.
    pub(crate) fn run(&self) -> Result<ExitCode> {
        let mut place = Workplace::find()?;
        let behind = Behind::start(&mut place, &self.scratch, &self.url)?;
        let client =
            Command::new(&self.client).arg(&behind.url).env("COUNTERSIGN_RUN_TOKEN", &behind.token).status()?;
        behind.stop()?;
        Ok(ExitCode::from(u8::from(!client.success())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scenarios_are_those_of_the_revision_without_oauth() {
        let lines = [
            "Client scenarios (test against a client):",
            "  - initialize [2025-06-18,2025-11-25]",
            "  - request-metadata [2026-07-28]",
            "  - auth/dpop [extension]",
            "  - auth/metadata-default [2025-11-25,2026-07-28]",
        ]
        .map(str::to_owned);
        assert_eq!(scenarios(&lines, "2025-11-25"), ["initialize"]);
        assert_eq!(scenarios(&lines, "2026-07-28"), ["request-metadata"]);
    }
}
