//! The gateway as a process, the way a user runs it: a home, a mission, a run token, `serve`, `audit`, `verify`.
//!
//! It knows the command line and nothing of what is behind it.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};

use crate::client::Target;
use crate::limits::{AUDIT_PAGE_RECORDS, PATIENCE};
use crate::process::{Process, stderr_to};
use crate::wait;

/// The upstream's name in configuration and missions.
pub const SERVER: &str = "upstream";
/// The mission's name.
pub const MISSION: &str = "load";
/// The agent's name.
pub const AGENT: &str = "load-agent";
/// On whose behalf the agent acts.
pub const INITIATOR: &str = "load@corp.example";
/// Answers 200 when calls can be governed.
pub const READY_PATH: &str = "/ready";

/// A scratch home, the files beside it, and the program that uses them.
#[derive(Clone, Debug)]
pub struct Home {
    binary: PathBuf,
    dir: PathBuf,
}

/// A running `countersign serve`.
#[derive(Debug)]
pub struct Served {
    /// Where it listens.
    pub addr: SocketAddr,
    /// The process.
    pub process: Process,
    /// From the start of the process until it was ready.
    pub ready_in: Duration,
}

impl Home {
    /// Prepares a home in `dir` for the program `binary`.
    ///
    /// # Errors
    /// When the program is missing or `dir` cannot be written.
    pub fn new(binary: &Path, dir: &Path) -> anyhow::Result<Self> {
        anyhow::ensure!(
            binary.is_file(),
            "`{}` is missing; build it first: cargo build -p countersign",
            binary.display()
        );
        std::fs::create_dir_all(dir.join("missions"))?;
        Ok(Self { binary: std::path::absolute(binary)?, dir: std::path::absolute(dir)? })
    }

    /// Another home of the same program, in a folder of its own inside this one's.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn beside(&self, name: &str) -> anyhow::Result<Self> {
        Self::new(&self.binary, &self.dir.join(name))
    }

    /// The folder that `--home` names.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.dir.join("home")
    }

    /// The program.
    #[must_use]
    pub fn binary(&self) -> &Path {
        &self.binary
    }

    /// The mission file that [`Home::write_mission`] writes.
    #[must_use]
    pub fn mission(&self) -> PathBuf {
        self.mission_named(MISSION)
    }

    fn mission_named(&self, name: &str) -> PathBuf {
        self.dir.join("missions").join(format!("{name}.toml"))
    }

    /// What the gateway said on standard error.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.dir.join("gateway.stderr")
    }

    /// A mission that allows `tools` with any arguments.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_mission(&self, tools: &[&str]) -> anyhow::Result<()> {
        self.write_mission_with_reads(tools, &[])
    }

    /// A mission that allows `tools` with any arguments, and says that `reads` among them only read.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_mission_with_reads(&self, tools: &[&str], reads: &[&str]) -> anyhow::Result<()> {
        self.write_mission_named(MISSION, tools, reads)
    }

    /// A mission that allows `tools` with any arguments and has each call wait for the user who runs this; and the file that says who that is.
    ///
    /// # Errors
    /// When a file cannot be written, or the system does not say who the user is.
    pub fn write_gated_mission(&self, tools: &[&str]) -> anyhow::Result<()> {
        let zone: Vec<String> = tools.iter().map(|tool| format!("\"mcp:{SERVER}/{tool}\"")).collect();
        let gate = format!(
            "\n[danger.all]\nwhen = [{}]\ngate = \"one\"\n\n[gate.one]\ngroup = \"leads\"\nassurance = \"os_user\"\nhold = \"1s\"\n",
            zone.join(", ")
        );
        std::fs::write(self.mission_named(MISSION), format!("{}{gate}", mission(MISSION, tools, &[])))?;
        let user = Command::new("id").arg("-un").output().context("ask who the user is")?;
        let user = String::from_utf8(user.stdout)?;
        let people = format!(
            "why = \"First version.\"\n[person.lead]\nalso = [\"{}\"]\n[group]\nleads = [\"lead\"]\n",
            user.trim()
        );
        let home = self.path();
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&home)?;
        Ok(std::fs::write(home.join("people.toml"), people)?)
    }

    /// As [`Home::write_mission_with_reads`], under another name.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_mission_named(&self, name: &str, tools: &[&str], reads: &[&str]) -> anyhow::Result<()> {
        Ok(std::fs::write(self.mission_named(name), mission(name, tools, reads))?)
    }

    /// A configuration that puts the gateway on a free port, in front of `upstream`.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_config(&self, upstream: &str) -> anyhow::Result<()> {
        self.write_config_with(&format!("url = \"{upstream}\""), "")
    }

    /// As [`Home::write_config`], with `upstream` the line that says how it is reached, and `more` sections.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn write_config_with(&self, upstream: &str, more: &str) -> anyhow::Result<()> {
        let config = format!(
            "[listen]\nconsole = \"127.0.0.1:0\"\ngateway = \"127.0.0.1:0\"\n\n[missions]\ndir = \"missions\"\n\n[upstream.mcp.{SERVER}]\n{upstream}\n\n{more}\n"
        );
        Ok(std::fs::write(self.config(), config)?)
    }

    fn config(&self) -> PathBuf {
        self.dir.join("countersign.toml")
    }

    /// The program with `args` and this home, its standard error appended to [`Home::log`].
    ///
    /// # Errors
    /// When the log cannot be opened.
    pub fn command(&self, args: &[&str]) -> anyhow::Result<Command> {
        let mut command = Command::new(&self.binary);
        command.args(args).arg("--home").arg(self.path()).current_dir(&self.dir);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr_to(&self.log())?);
        Ok(command)
    }

    /// Starts `serve` and waits for nothing.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn_serve(&self) -> anyhow::Result<Process> {
        self.spawn_serve_under(&[])
    }

    /// Starts `serve` as what `observer`, a program with its arguments, is to run.
    fn spawn_serve_under(&self, observer: &[&str]) -> anyhow::Result<Process> {
        let serve = self.command(&["serve"])?;
        let mut command = match observer {
            [] => serve,
            [program, rest @ ..] => {
                let mut command = Command::new(program);
                command.args(rest).arg(serve.get_program()).args(serve.get_args()).current_dir(&self.dir);
                command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(stderr_to(&self.log())?);
                command
            }
        };
        Ok(Process::spawn(command.arg("--config").arg(self.config()))?)
    }

    /// Starts `serve` and waits for the address that it prints, not for readiness.
    ///
    /// # Errors
    /// When it does not start or prints no address.
    pub fn start(&self) -> anyhow::Result<Served> {
        self.start_under(&[])
    }

    /// As [`Home::start`], with `serve` run by `observer`, a program with its arguments.
    ///
    /// # Errors
    /// When it does not start or prints no address.
    pub fn start_under(&self, observer: &[&str]) -> anyhow::Result<Served> {
        let started = Instant::now();
        let mut process = self.spawn_serve_under(observer)?;
        let lines = process.lines().context("standard output is piped")?;
        loop {
            let line = process.next_line(&lines, PATIENCE).with_context(|| self.said())?;
            if let Some(addr) = loopback_in(&line) {
                return Ok(Served { addr, process, ready_in: started.elapsed() });
            }
        }
    }

    /// Starts `serve` and waits until it is ready.
    ///
    /// # Errors
    /// When it does not become ready.
    pub fn serve(&self) -> anyhow::Result<Served> {
        let started = Instant::now();
        let mut served = self.start()?;
        wait::http_ready(served.addr, READY_PATH, PATIENCE).with_context(|| self.said())?;
        served.ready_in = started.elapsed();
        Ok(served)
    }

    /// A run token for the mission.
    ///
    /// # Errors
    /// When the program refuses.
    pub fn token(&self) -> anyhow::Result<String> {
        self.token_for(MISSION)
    }

    /// A run token for the mission `name`.
    ///
    /// # Errors
    /// When the program refuses.
    pub fn token_for(&self, name: &str) -> anyhow::Result<String> {
        self.started(name, &[])
    }

    /// A run token for the usual mission, of a run that is started with further `args`.
    ///
    /// # Errors
    /// When the program refuses.
    pub fn token_with(&self, args: &[&str]) -> anyhow::Result<String> {
        self.started(MISSION, args)
    }

    fn started(&self, name: &str, args: &[&str]) -> anyhow::Result<String> {
        let mut command =
            self.command(&["run", "start", "--agent", AGENT, "--initiator", INITIATOR, "--format", "token"])?;
        let out = command.args(args).arg("--mission").arg(self.mission_named(name)).output()?;
        anyhow::ensure!(out.status.success(), "`run start` gave {}: {}", out.status, self.said());
        Ok(String::from_utf8(out.stdout)?.trim().to_owned())
    }

    /// Hands every record that `filter` finds to `each`, oldest first, as one line of JSON. Asked for in pages, so that no process holds millions of records.
    ///
    /// # Errors
    /// When the program refuses, or `each` does.
    pub fn audit(&self, filter: &str, mut each: impl FnMut(&str) -> anyhow::Result<()>) -> anyhow::Result<()> {
        let last = self.last_seq()?;
        for low in (1..=last).step_by(AUDIT_PAGE_RECORDS) {
            let high = last.min(low + AUDIT_PAGE_RECORDS as u64 - 1);
            self.audit_page(&format!("{filter} seq:{low}..{high}"), "0", &mut each)?;
        }
        Ok(())
    }

    /// The number of the ledger's newest record; 0 if there is none.
    fn last_seq(&self) -> anyhow::Result<u64> {
        #[derive(serde::Deserialize)]
        struct Record {
            seq: u64,
        }
        let mut last = 0;
        self.audit_page("", "1", &mut |line| {
            last = serde_json::from_str::<Record>(line)?.seq;
            Ok(())
        })?;
        Ok(last)
    }

    fn audit_page(
        &self,
        filter: &str,
        limit: &str,
        each: &mut impl FnMut(&str) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut process = Process::spawn(&mut self.command(&["audit", filter, "--format", "json", "--limit", limit])?)?;
        let stdout = process.take_stdout().context("standard output is piped")?;
        for line in BufReader::with_capacity(1 << 20, stdout).lines() {
            each(&line?)?;
        }
        let status = process.wait(PATIENCE)?;
        anyhow::ensure!(status.success(), "`audit {filter}` gave {status}: {}", self.said());
        Ok(())
    }

    /// Verifies the ledger and decides everything again, and gives what the program said about it.
    ///
    /// # Errors
    /// When it does not verify.
    pub fn verify(&self) -> anyhow::Result<String> {
        let out = self.command(&["verify", "--ledger", "--replay"])?.output()?;
        let said = String::from_utf8_lossy(&out.stdout).into_owned();
        if !out.status.success() {
            bail!("`verify --ledger --replay` gave {}:\n{said}\n{}", out.status, self.said());
        }
        Ok(said)
    }

    /// The end of what the gateway said on standard error, for a failure's message.
    #[must_use]
    pub fn said(&self) -> String {
        let log = std::fs::read(self.log()).unwrap_or_default();
        let end = log.get(log.len().saturating_sub(2_000)..).unwrap_or_default();
        format!("the gateway said: {}", String::from_utf8_lossy(end).trim())
    }

    /// The processes of the program that work on this home: found by their executable and by the home in their arguments or environment, so that a gateway that
    /// detached itself is found too and nobody else's is.
    #[must_use]
    pub fn processes(&self) -> Vec<u32> {
        processes(|pid| executable(pid).as_deref() == Some(&self.binary) && self.mentioned_by(pid))
    }

    /// Every process with this home's folder in its arguments: the program's own, and upstreams that it has started.
    #[must_use]
    pub fn descendants(&self) -> Vec<u32> {
        processes(|pid| self.mentioned_by(pid))
    }

    fn mentioned_by(&self, pid: u32) -> bool {
        let folder = self.dir.as_os_str().as_encoded_bytes();
        ["cmdline", "environ"].iter().any(|file| {
            std::fs::read(format!("/proc/{pid}/{file}")).is_ok_and(|text| memchr::memmem::find(&text, folder).is_some())
        })
    }
}

impl Served {
    /// The MCP endpoint.
    #[must_use]
    pub fn target(&self, token: &str) -> Target {
        Target { addr: self.addr, path: format!("/mcp/{SERVER}"), token: Some(token.to_owned()) }
    }
}

/// The text of a mission that allows `tools` of the upstream with any arguments, and says that `reads` among them only read.
#[must_use]
pub fn mission(name: &str, tools: &[&str], reads: &[&str]) -> String {
    let tools: String = tools.iter().map(|tool| format!("{tool} = {{}}\n")).collect();
    let reads: String = reads.iter().map(|tool| format!("{tool} = \"read\"\n")).collect();
    format!(
        "mission = \"{name}\"\ngoal = \"Load the gateway.\"\nowner = \"owner@corp.example\"\nagents = [\"{AGENT}\"]\n\
         until = 2099-12-31\nwhy = \"First version.\"\n\n[allow.mcp.{SERVER}]\n{tools}\n[effect.mcp.{SERVER}]\n{reads}"
    )
}

fn processes(wanted: impl Fn(u32) -> bool) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    pids.filter(|pid| *pid != std::process::id() && wanted(*pid)).collect()
}

fn executable(pid: u32) -> Option<PathBuf> {
    std::fs::read_link(format!("/proc/{pid}/exe")).ok()
}

/// The first loopback address in a line of text.
fn loopback_in(line: &str) -> Option<SocketAddr> {
    let (_, after) = line.split_once("127.0.0.1:")?;
    let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
    Some(SocketAddr::from(([127, 0, 0, 1], digits.parse().ok()?)))
}

/// A running test upstream over HTTP.
#[derive(Debug)]
pub struct Upstream {
    /// Where it listens.
    pub addr: SocketAddr,
    /// The process.
    pub process: Process,
}

impl Upstream {
    /// Starts `binary` with `flags` on a free port.
    ///
    /// # Errors
    /// When it does not start.
    pub fn start(binary: &Path, flags: &[&str]) -> anyhow::Result<Self> {
        let mut command = Command::new(binary);
        command.args(["--http", "127.0.0.1:0"]).args(flags).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut process = Process::spawn(&mut command)?;
        let lines = process.lines().context("standard output is piped")?;
        let line = process.next_line(&lines, PATIENCE)?;
        let addr = loopback_in(&line).with_context(|| format!("no address in `{line}`"))?;
        Ok(Self { addr, process })
    }

    /// Its MCP endpoint.
    #[must_use]
    pub fn target(&self) -> Target {
        Target { addr: self.addr, path: "/mcp".to_owned(), token: None }
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/mcp", self.addr)
    }
}

/// A program that was built beside the one that runs.
///
/// # Errors
/// When it is not there.
pub fn sibling(name: &str) -> anyhow::Result<PathBuf> {
    let here = std::env::current_exe()?;
    let path = here.parent().context("the program is in a folder")?.join(name);
    anyhow::ensure!(path.is_file(), "`{}` is missing; build it first: cargo build --workspace --bins", path.display());
    Ok(path)
}
