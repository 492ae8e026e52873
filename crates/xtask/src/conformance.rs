//! The protocol's own conformance suite, once against a server or client of the official SDK and once with the gateway between them, compared check by check.
//!
//! Nothing is denied, everything is recorded, and what the ledger then holds is verified. `docs/design/conformance.md` says what is compared. Start at [`run`].

mod checks;
mod oauth;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde_json::Value;

use crate::count::Count;
use crate::e2e::{Evidence, Gateway, Report, START_PATIENCE, STOP_PATIENCE, listening};
use crate::people::{PASSPHRASE, enrol};
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

/// Sets that run once more through a gateway where a person approves each call of a tool: what is required of each era. The others ask the same of tools.
const APPROVED_SETS: &[&str] = &["server, what 2026-07-28 requires", "server, what 2025-11-25 requires"];

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

/// Calls of tools among those of [`APPROVED_SETS`].
const APPROVED_CALLS_MIN: usize = 40;

/// Revisions at which the runner tests a client, and how many checks must pass.
const CLIENT_SETS: &[(&str, u64)] = &[("2025-06-18", 3), ("2025-11-25", 20), ("2026-07-28", 57)];

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

/// The SDK's server, and the URL that it listens at. Each side has one of its own, as what one client does reaches the subscriptions of all.
fn upstream(place: &Workplace, log: &Path) -> Result<(Service, String)> {
    let mut upstream = Service::start(&mut Command::new(built(place, "conformance-upstream")), log)?;
    let address = upstream.wait_for("the upstream to listen", START_PATIENCE, listening)?;
    Ok((upstream, format!("http://{address}/mcp")))
}

/// The runner as a client of the SDK's server.
fn servers(place: &mut Workplace, runner: &Runner, scratch: &Path, report: &mut Report) -> Result<()> {
    let (direct_upstream, direct) = upstream(place, &scratch.join("direct.log"))?;
    let (governed_upstream, governed) = upstream(place, &scratch.join("governed.log"))?;
    let (approved_upstream, approved) = upstream(place, &scratch.join("approved.log"))?;
    let governed = Behind::start(place, &scratch.join("server"), &governed)?;
    let approved = Approved::start(place, &scratch.join("approved"), &approved)?;
    for set in SERVER_SETS {
        let of_side = |side: &str, url: &str| {
            let mut command = runner_command(runner, "server");
            command.args(["--url", url]).args(set.args);
            (command, scratch.join(format!("{side} {}", set.args.join(" ").replace('-', ""))))
        };
        let behind = |side: &str, behind: &Behind| {
            let (mut command, out) = of_side(side, &behind.url);
            command.env("COUNTERSIGN_GATEWAY", behind.origin()).env("COUNTERSIGN_RUN_TOKEN", &behind.token);
            command.env("NODE_OPTIONS", format!("--import={}", runner.folder.join("bearer.mjs").display()));
            (command, out)
        };
        let mut sides = vec![of_side("direct", &direct), behind("governed", &governed)];
        if APPROVED_SETS.contains(&set.label) {
            sides.push(behind("approved", &approved.behind));
        }
        let checks = checks_of(place, sides)?;
        let Some((direct, others)) = checks.split_first() else { bail!("there is a direct side") };
        for (other, how) in others.iter().zip(["", ", each call approved"]) {
            let (count, said) = compare(direct, other, set.passed_min);
            report.take(place, &format!("{}{how}", set.label), count, said.is_empty(), &said.join("\n"));
        }
    }
    let home = governed.stop()?;
    for upstream in [direct_upstream, governed_upstream] {
        upstream.stop(STOP_PATIENCE)?;
    }
    report.verified(place, &home, CALLS_MIN)?;
    let home = approved.stop()?;
    approved_upstream.stop(STOP_PATIENCE)?;
    report.verified(place, &home, APPROVED_CALLS_MIN)?;
    Approvals::of(place, &home)?.report(place, report);
    Ok(())
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
            let ours = wrapper(&this, &client, &folder);
            let of_side = |side: &str, command_line: &str| {
                let mut command = runner_command(runner, "client");
                command.args(["--command", command_line, "--scenario", scenario, "--spec-version", revision]);
                (command, folder.join(side))
            };
            let sides = [of_side("direct", &client.display().to_string()), of_side("governed", &ours)];
            for (side, checks) in [&mut direct, &mut governed].into_iter().zip(checks_of(place, sides.into())?) {
                side.extend(checks);
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
    let ours = |folder: &Path| wrapper(&this, &client, folder);
    oauth::run(place, runner, ours, &listed.lines, scratch, report)
}

/// The command line of the governed side.
fn wrapper(this: &Path, client: &Path, folder: &Path) -> String {
    format!("{} conformance-client --client {} --scratch {}", this.display(), client.display(), folder.display())
}

/// The scenarios of a revision without OAuth.
fn scenarios<'l>(lines: &'l [String], revision: &str) -> Vec<&'l str> {
    listed_scenarios(lines, revision).into_iter().filter(|name| !name.starts_with(OAUTH)).collect()
}

/// The scenarios of a revision, of lines like `  - tools_call [2025-06-18,2025-11-25]`.
fn listed_scenarios<'l>(lines: &'l [String], revision: &str) -> Vec<&'l str> {
    let listed = lines.iter().filter_map(|line| line.trim().strip_prefix("- ")?.strip_suffix(']')?.split_once(" ["));
    let of_revision = listed.filter(|(_, revisions)| revisions.split(',').any(|one| one == revision));
    of_revision.map(|(name, _)| name).collect()
}

fn runner_command(runner: &Runner, mode: &str) -> Command {
    let script = runner.folder.join("node_modules/@modelcontextprotocol/conformance/dist/index.js");
    let mut command = Command::new(&runner.node);
    command.arg(script).arg(mode);
    command
}

/// Runs one runner, or two side by side, to their ends and reads what they wrote. Whether they are content is said by their checks, not by their exit codes.
fn checks_of(place: &mut Workplace, sides: Vec<(Command, PathBuf)>) -> Result<Vec<Vec<Check>>> {
    let (mut commands, outs): (Vec<Command>, Vec<PathBuf>) = sides.into_iter().unzip();
    for (command, out) in commands.iter_mut().zip(&outs) {
        command.args(["--timeout", SCENARIO_PATIENCE_MS, "--output-dir"]).arg(out);
    }
    let read = |(ran, out): (&Ran, &PathBuf)| {
        let checks = checks::read(out)?;
        ensure!(!checks.is_empty(), "the conformance runner wrote no checks:\n{}", ran.tail(20).join("\n"));
        Ok(checks)
    };
    place.run_together(&mut commands)?.iter().zip(&outs).map(read).collect()
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
        let config = Behind::write(place, folder, upstream, "")?;
        Behind::serve(place, folder, &config)
    }

    /// Writes the gateway's mission and configuration, with `more` of the upstream; gives the configuration.
    fn write(place: &Workplace, folder: &Path, upstream: &str, more: &str) -> Result<PathBuf> {
        let missions = folder.join("missions");
        std::fs::create_dir_all(&missions)?;
        let mission = place.root.join("conformance/mission.toml");
        std::fs::copy(mission, missions.join("conformance.toml"))
            .context("copy the mission of the conformance step")?;
        let config = folder.join("gateway.toml");
        std::fs::write(
            &config,
            format!(
                "[listen]\nconsole = \"127.0.0.1:0\"\ngateway = \"127.0.0.1:0\"\n\n[missions]\ndir = \"missions\"\n\n\
                 [upstream.mcp.conformance]\nurl = {upstream:?}\n{more}\n"
            ),
        )?;
        Ok(config)
    }

    fn serve(place: &mut Workplace, folder: &Path, config: &Path) -> Result<Behind> {
        let home = folder.join("home");
        let gateway = Gateway::start(place, &home, config, &folder.join("gateway.log"))?;
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

/// A gateway at which each call of a tool waits for a person, and a program that is that person.
struct Approved {
    approver: Service,
    behind: Behind,
}

impl Approved {
    fn start(place: &mut Workplace, folder: &Path, upstream: &str) -> Result<Approved> {
        let config = Behind::write(place, folder, upstream, "")?;
        let (home, own) = (folder.join("home"), place.root.join("conformance"));
        let mission = folder.join("missions/conformance.toml");
        let gate = std::fs::read_to_string(own.join("gate.toml")).context("read the gate of the conformance step")?;
        let text = std::fs::read_to_string(&mission)?;
        std::fs::write(&mission, text + &gate)?;
        let keys =
            enrol(place, &home, &own.join("people.toml"), &["ada"], |person| folder.join(format!("{person}.key")))?;
        let behind = Behind::serve(place, folder, &config)?;
        let mut command = Command::new(place.built("countersign-approver"));
        command.arg("--home").arg(&home).arg("--key").args(&keys).env(PASSPHRASE.0, PASSPHRASE.1);
        let mut approver = Service::start(&mut command, &folder.join("approver.log"))?;
        approver.wait_for("the approver", START_PATIENCE, |said| said.contains("ready").then_some(()))?;
        Ok(Approved { approver, behind })
    }

    /// Ends the gateway, whereupon the approver ends; the home stays.
    fn stop(mut self) -> Result<PathBuf> {
        let home = self.behind.stop()?;
        self.approver.wait()?;
        Ok(home)
    }
}

/// How often people were asked, by the records of a home.
#[derive(Debug, Default)]
struct Approvals {
    asked: usize,
    replayed: usize,
    used: usize,
}

impl Approvals {
    fn of(place: &mut Workplace, home: &Path) -> Result<Approvals> {
        let mut audit = Command::new(place.built("countersign"));
        audit.args(["audit", "type:approval_record,decision_record", "--format", "json", "--limit", "0", "--home"]);
        let mut counted = Approvals::default();
        for line in &place.must(audit.arg(home))?.lines {
            let Ok(record) = serde_json::from_str::<Value>(line) else { continue };
            match record.pointer("/body/event").and_then(Value::as_str) {
                Some("requested") => counted.asked += 1,
                Some("consumed") => counted.used += 1,
                _ => {}
            }
            let reasons = record.pointer("/body/reasons").and_then(Value::as_array).into_iter().flatten();
            counted.replayed += reasons.filter(|reason| *reason == "replayed").count();
        }
        Ok(counted)
    }

    /// Every call is a question of its own and runs once, also where the suite sends the same again.
    fn report(&self, place: &Workplace, report: &mut Report) {
        let holds = self.asked >= APPROVED_CALLS_MIN && self.used == self.asked && self.replayed == 0;
        let count = Count { passed: u64::from(holds), failed: u64::from(!holds) };
        report.take(place, "every call was asked about and used its approval", count, holds, &format!("{self:?}"));
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
        let scenario = std::env::var("MCP_CONFORMANCE_SCENARIO").unwrap_or_default();
        if scenario.starts_with(OAUTH) {
            return self.run_with_login(&scenario);
        }
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
