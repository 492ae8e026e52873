//! Real MCP clients and servers, direct and through the gateway: the scripts of `tests/e2e`, each with a gateway to talk to.
//!
//! Every home is a fresh folder, and every ledger is verified by the program that wrote it when its scenarios have ended. Start at [`run`].

mod approvals;
mod oauth;
mod restart;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use crate::count::Count;
use crate::process::Service;
use crate::scratch::Scratch;
use crate::workplace::Workplace;
use crate::{demo, tools};

const SERVERS: [&str; 3] = ["everything", "filesystem", "memory"];
/// What agents are built with, beside the bare SDKs.
const FRAMEWORKS: [&str; 2] = ["fastmcp", "langchain"];
/// A server or gateway that needs longer to start on a busy machine is broken.
pub(crate) const START_PATIENCE: Duration = Duration::from_secs(60);
/// What is in flight when a gateway is told to stop gets this long.
pub(crate) const STOP_PATIENCE: Duration = Duration::from_secs(60);

/// What the scripts found.
#[derive(Default)]
pub(crate) struct Report {
    /// Checks over all scripts.
    pub(crate) count: Count,
    /// What the failed ones said; empty if all held.
    pub(crate) said: String,
}

impl Report {
    /// The ledger of a home, checked from its bytes, and what those who used it must have left in it.
    pub(crate) fn verified(&mut self, place: &mut Workplace, home: &Path, calls_min: usize) -> Result<()> {
        let Evidence { sound, complete, said } = Evidence::of(place, home, calls_min)?;
        for (label, holds) in
            [("the ledger verifies", sound), ("every call that began has ended, in the evidence", complete)]
        {
            let count = Count { passed: u64::from(holds), failed: u64::from(!holds) };
            self.take(place, label, count, holds, &said);
        }
        Ok(())
    }

    /// Adds what a runner found.
    pub(crate) fn take(&mut self, place: &Workplace, label: &str, mut count: Count, succeeded: bool, said: &str) {
        // A runner that fails without a red check did not get so far as to report it.
        if !succeeded && count.failed == 0 {
            count.failed = 1;
        }
        place.say(&format!("{label}: {count}"));
        self.count += count;
        if count.failed > 0 || count.passed == 0 {
            self.said.push_str(&format!("\n{label}:\n{said}\n"));
        }
    }
}

/// Runs every scenario.
pub(crate) fn run(place: &mut Workplace) -> Result<Report> {
    tools::check_present()?;
    tools::node_packages(place)?;
    let pythons = Pythons {
        sdk_1: tools::python(place, tools::Python::Sdk1)?,
        sdk_2: tools::python(place, tools::Python::Sdk2)?,
    };
    let runner = tools::conformance_runner(place)?;
    place.must(&mut place.everything())?;
    let scratch = Scratch::new("e2e")?;
    let mut scenarios =
        Scenarios { pythons, runner, scratch: scratch.path().to_owned(), place, report: Report::default() };
    scenarios.script("the parity check can fail", |scenarios| {
        let mut script = scenarios.node("selftest.mjs");
        script.arg("--python-1").arg(&scenarios.pythons.sdk_1).arg("--python-2").arg(&scenarios.pythons.sdk_2);
        Ok(script)
    })?;
    scenarios.over_stdio_on_demand()?;
    scenarios.over_stdio_beside_serve()?;
    scenarios.over_http()?;
    oauth::run(&mut scenarios)?;
    approvals::run(&mut scenarios)?;
    restart::run(&mut scenarios)?;
    scenarios.the_demo()?;
    Ok(scenarios.report)
}

/// The interpreters with each major version of the Python SDK.
struct Pythons {
    sdk_1: PathBuf,
    sdk_2: PathBuf,
}

struct Scenarios<'p> {
    place: &'p mut Workplace,
    pythons: Pythons,
    runner: tools::Runner,
    scratch: PathBuf,
    report: Report,
}

impl Scenarios<'_> {
    /// The TypeScript client; the first bridge starts the gateway of the home, and several at once share it.
    fn over_stdio_on_demand(&mut self) -> Result<()> {
        let mission = self.allow_everything()?;
        let home = self.scratch.join("home-on-demand");
        for server in SERVERS {
            let wrapped = self.wrapped(&home, &mission, server);
            self.script(&format!("{server} over stdio, TypeScript client"), |this| {
                Ok(this.node_parity(server, &json!(["SERVER"]), &wrapped))
            })?;
        }
        let wrapped = self.wrapped(&home, &mission, "everything");
        self.script("a client that can do nothing beyond the minimum", |this| {
            let mut script = this.node_parity("everything", &json!(["SERVER"]), &wrapped);
            script.args(["--profile", "bare"]);
            Ok(script)
        })?;
        let wrapped = self.wrapped(&home, &mission, "everything");
        self.script("what the gateway changes on purpose", |this| {
            let mut script = this.node("differences.mjs");
            script.args(["--wrapped", &wrapped.to_string(), "--scratch"]).arg(this.parts("everything"));
            Ok(script)
        })?;
        let wrapped = self.wrapped(&home, &mission, "everything");
        self.script("older revisions over stdio", |this| Ok(this.revisions(&json!(["SERVER"]), &wrapped)))?;
        self.script("bridges at once share one run", |this| {
            let bridges: Vec<Value> = SERVERS
                .iter()
                .map(|server| json!({ "server": server, "wrapped": this.wrapped(&home, &mission, server) }))
                .collect();
            let audit =
                json!([this.place.built("countersign"), "audit", "--home", home, "--format", "json", "--limit", "0"]);
            let mut script = this.node("bridges.mjs");
            script
                .args(["--bridges", &json!(bridges).to_string(), "--audit", &audit.to_string(), "--scratch"])
                .arg(this.scratch.join("bridges"));
            Ok(script)
        })?;
        self.verified(&home, 250)
    }

    /// The Python client, whose bridges find a gateway that runs already.
    fn over_stdio_beside_serve(&mut self) -> Result<()> {
        let mission = self.allow_everything()?;
        let home = self.scratch.join("home-served");
        let config = self.scratch.join("served.toml");
        std::fs::write(
            &config,
            "[listen]\nconsole = \"127.0.0.1:0\"\ngateway = \"127.0.0.1:0\"\n\n[missions]\ndir = \"missions\"\n",
        )?;
        let gateway = Gateway::start(self.place, &home, &config, &self.scratch.join("served.log"))?;
        for server in SERVERS {
            let wrapped = self.wrapped(&home, &mission, server);
            self.script(&format!("{server} over stdio, Python client"), |this| {
                Ok(this.python_parity(server, &json!(["SERVER"]), &wrapped))
            })?;
        }
        let wrapped = self.wrapped(&home, &mission, "stateless");
        self.script("revision 2026-07-28 over stdio, Python client and server", |this| Ok(this.stateless(&wrapped)))?;
        let wrapped = self.stateless_behind(&home, &mission);
        self.script("revision 2026-07-28 over stdio, TypeScript client 2.x", |this| Ok(this.node_stateless(&wrapped)))?;
        let wrapped = self.wrapped(&home, &mission, "everything");
        self.script("everything over stdio, TypeScript client 2.x", |this| {
            let mut script = this.node_parity("everything", &json!(["SERVER"]), &wrapped);
            script.args(["--sdk", "2"]);
            Ok(script)
        })?;
        let wrapped = self.wrapped(&home, &mission, "everything");
        self.script("everything over stdio, the Inspector's command line", |this| {
            Ok(this.inspector(&json!(["SERVER"]), &wrapped))
        })?;
        for framework in FRAMEWORKS {
            for server in SERVERS {
                let wrapped = self.wrapped(&home, &mission, server);
                self.script(&format!("{server} over stdio, {framework}"), |this| {
                    Ok(this.framework_parity(framework, server, &json!(["SERVER"]), &wrapped))
                })?;
            }
        }
        gateway.stop()?;
        self.verified(&home, 250)
    }

    /// Both clients over Streamable HTTP, with an upstream over HTTP and others over stdio.
    fn over_http(&mut self) -> Result<()> {
        self.allow_everything()?;
        let home = self.scratch.join("home-http");
        let (upstream, direct) = self.everything_over_http()?;
        let config = self.scratch.join("http.toml");
        std::fs::write(&config, self.http_config(&direct)?)?;
        let gateway = Gateway::start(self.place, &home, &config, &self.scratch.join("http.log"))?;
        let token = gateway.token(self.place, "allow-everything", "e2e")?;
        let wrapped = |name: &str| json!({ "url": format!("http://{}/mcp/{name}", gateway.address), "token": token });
        let direct = json!({ "url": direct });

        let side = wrapped("everything");
        self.script("everything over Streamable HTTP, TypeScript client", |this| {
            Ok(this.node_parity("everything", &direct, &side))
        })?;
        self.script("everything over Streamable HTTP, Python client", |this| {
            Ok(this.python_parity("everything", &direct, &side))
        })?;
        let side = wrapped("everything");
        self.script("everything over Streamable HTTP, TypeScript client 2.x", |this| {
            let mut script = this.node_parity("everything", &direct, &side);
            script.args(["--sdk", "2"]);
            Ok(script)
        })?;
        let side = wrapped("everything");
        self.script("everything over Streamable HTTP, the Inspector's command line", |this| {
            Ok(this.inspector(&direct, &side))
        })?;
        for framework in FRAMEWORKS {
            let side = wrapped("everything");
            self.script(&format!("everything over Streamable HTTP, {framework}"), |this| {
                Ok(this.framework_parity(framework, "everything", &direct, &side))
            })?;
        }
        let side = wrapped("everything");
        self.script("older revisions over Streamable HTTP", |this| Ok(this.revisions(&direct, &side)))?;
        let side = wrapped("stateless");
        self.script("revision 2026-07-28 over Streamable HTTP, Python client and server", |this| {
            Ok(this.stateless(&side))
        })?;
        let side = wrapped("stateless");
        self.script("revision 2026-07-28 over Streamable HTTP, TypeScript client 2.x", |this| {
            Ok(this.node_stateless(&side))
        })?;
        for server in ["filesystem", "memory"] {
            let side = wrapped(server);
            self.script(&format!("{server} over stdio behind HTTP, TypeScript client"), |this| {
                Ok(this.node_parity(server, &json!(["SERVER"]), &side))
            })?;
        }
        self.script("who may not come in over HTTP", |this| {
            let mut script = this.node("guards.mjs");
            script.args(["--url", &format!("http://{}/mcp/everything", gateway.address), "--token", &token]);
            Ok(script)
        })?;
        self.script("who leaves a question unanswered", |this| {
            let mut script = this.node("leaving.mjs");
            script.args(["--url", &format!("http://{}/mcp/everything", gateway.address), "--token", &token]);
            Ok(script)
        })?;
        gateway.stop()?;
        drop(upstream);
        self.verified(&home, 150)
    }

    /// What a newcomer sees first is a test as well.
    fn the_demo(&mut self) -> Result<()> {
        let told = demo::story(self.place, &self.scratch.join("demo"))?;
        self.take(
            "the demo",
            Count::of_tap(told.lines.iter().map(String::as_str)),
            told.succeeded(),
            &told.lines.join("\n"),
        );
        Ok(())
    }

    fn verified(&mut self, home: &Path, calls_min: usize) -> Result<()> {
        self.report.verified(self.place, home, calls_min)
    }

    /// One script; what it reports is added up, and it may fail without ending the others.
    fn script(&mut self, label: &str, command: impl FnOnce(&Self) -> Result<Command>) -> Result<()> {
        let mut command = command(self)?;
        let ran = self.place.run(&mut command)?;
        let count = Count::of_tap(ran.lines.iter().map(String::as_str));
        let said: Vec<&str> = ran.lines.iter().map(String::as_str).filter(|line| !line.starts_with("ok ")).collect();
        self.take(label, count, ran.succeeded(), &said.join("\n"));
        Ok(())
    }

    fn take(&mut self, label: &str, count: Count, succeeded: bool, said: &str) {
        self.report.take(self.place, label, count, succeeded, said);
    }

    fn node(&self, script: &str) -> Command {
        let mut command = Command::new("node");
        command.arg(self.place.root.join("tests/e2e/node").join(script)).current_dir(&self.scratch);
        command
    }

    fn node_parity(&self, server: &str, direct: &Value, wrapped: &Value) -> Command {
        let mut command = self.node("parity.mjs");
        self.parity_args(&mut command, server, direct, wrapped);
        command
    }

    fn revisions(&self, direct: &Value, wrapped: &Value) -> Command {
        let mut command = self.node("revisions.mjs");
        command.args(["--direct", &direct.to_string(), "--wrapped", &wrapped.to_string(), "--scratch"]);
        command.arg(self.parts("everything"));
        command
    }

    fn python_parity(&self, server: &str, direct: &Value, wrapped: &Value) -> Command {
        let mut command = Command::new(&self.pythons.sdk_2);
        command.arg(self.place.root.join("tests/e2e/python/parity.py")).current_dir(&self.scratch);
        self.parity_args(&mut command, server, direct, wrapped);
        command
    }

    /// The client and server of the Python SDK without a handshake.
    fn stateless(&self, wrapped: &Value) -> Command {
        let mut command = Command::new(&self.pythons.sdk_2);
        command.arg(self.stateless_script()).args(["--wrapped", &wrapped.to_string()]).current_dir(&self.scratch);
        command
    }

    /// The TypeScript client at the same server.
    fn node_stateless(&self, wrapped: &Value) -> Command {
        let mut command = self.node("stateless.mjs");
        command.args(["--direct", &json!(self.stateless_server()).to_string(), "--wrapped", &wrapped.to_string()]);
        command
    }

    /// The server without a handshake behind the gateway of `home`, with its command spelled out.
    fn stateless_behind(&self, home: &Path, mission: &Path) -> Value {
        let mut wrapped = self.wrapped(home, mission, "stateless");
        if let Value::Array(words) = &mut wrapped {
            words.pop();
            words.extend(self.stateless_server().into_iter().map(Value::from));
        }
        wrapped
    }

    fn stateless_server(&self) -> Vec<String> {
        let python = self.pythons.sdk_2.display().to_string();
        vec![python, self.stateless_script().display().to_string(), "--serve".to_owned()]
    }

    fn stateless_script(&self) -> PathBuf {
        self.place.root.join("tests/e2e/python/stateless.py")
    }

    fn framework_parity(&self, framework: &str, server: &str, direct: &Value, wrapped: &Value) -> Command {
        // The adapters of LangChain are made for the SDK 1.x.
        let python = if framework == "langchain" { &self.pythons.sdk_1 } else { &self.pythons.sdk_2 };
        let mut command = Command::new(python);
        command.arg(self.place.root.join("tests/e2e/python/frameworks.py")).args(["--framework", framework]);
        command.current_dir(&self.scratch);
        self.parity_args(&mut command, server, direct, wrapped);
        command
    }

    fn inspector(&self, direct: &Value, wrapped: &Value) -> Command {
        let mut command = self.node("inspector.mjs");
        command.arg("--node").arg(&self.runner.node).arg("--inspector").arg(self.runner.inspector());
        command.args(["--direct", &direct.to_string(), "--wrapped", &wrapped.to_string(), "--scratch"]);
        command.arg(self.parts("everything"));
        command
    }

    fn parity_args(&self, command: &mut Command, server: &str, direct: &Value, wrapped: &Value) {
        command.args([
            "--server",
            server,
            "--direct",
            &direct.to_string(),
            "--wrapped",
            &wrapped.to_string(),
            "--scratch",
        ]);
        command.arg(self.parts(server));
    }

    /// The folder that a server works on; the scripts make it anew for each side.
    fn parts(&self, server: &str) -> PathBuf {
        self.scratch.join("parts").join(server)
    }

    /// The server's own command behind the gateway of `home`.
    fn wrapped(&self, home: &Path, mission: &Path, server: &str) -> Value {
        json!([
            self.place.built("countersign"),
            "mcp",
            "--mission",
            mission,
            "--server",
            server,
            "--home",
            home,
            "--",
            "SERVER"
        ])
    }

    /// A mission under which nothing is denied, so that every difference is the gateway's own.
    fn allow_everything(&self) -> Result<PathBuf> {
        let folder = self.scratch.join("missions");
        std::fs::create_dir_all(&folder)?;
        let mission = folder.join("allow-everything.toml");
        std::fs::copy(self.place.root.join("tests/e2e/cases/allow-everything.toml"), &mission)
            .context("copy the mission of the end-to-end tests")?;
        Ok(mission)
    }

    fn everything_over_http(&self) -> Result<(Service, String)> {
        let port = free_port()?;
        let mut server = Command::new("node");
        server.arg(self.module("server-everything")).arg("streamableHttp").env("PORT", port.to_string());
        let mut service = Service::start(&mut server, &self.scratch.join("everything.log"))?;
        service
            .wait_for("server-everything", START_PATIENCE, |said| said.contains("listening on port").then_some(()))?;
        Ok((service, format!("http://127.0.0.1:{port}/mcp")))
    }

    fn http_config(&self, everything: &str) -> Result<String> {
        let node = which("node")?.display().to_string();
        // As in the scripts, the servers start from an environment that is spelled out.
        let command = |server: &str, variable: Option<String>, argument: Option<PathBuf>| {
            let path = format!("PATH={}", std::env::var("PATH").unwrap_or_default());
            let start = ["/usr/bin/env".to_owned(), "-i".to_owned(), path].into_iter().chain(variable);
            let program = [node.clone(), self.module(server).display().to_string()];
            json!(
                start.chain(program).chain(argument.map(|argument| argument.display().to_string())).collect::<Vec<_>>()
            )
            .to_string()
        };
        let files = command("server-filesystem", None, Some(self.parts("filesystem").join("files")));
        let graph = format!("MEMORY_FILE_PATH={}", self.parts("memory").join("memory.jsonl").display());
        let memory = command("server-memory", Some(graph), None);
        let stateless = json!(self.stateless_server()).to_string();
        // A JSON list of strings is a TOML list of strings.
        Ok(format!(
            "[listen]\nconsole = \"127.0.0.1:0\"\ngateway = \"127.0.0.1:0\"\n\n[missions]\ndir = \"missions\"\n\n[upstream.mcp.everything]\nurl = {everything:?}\n\n\
             [upstream.mcp.filesystem]\ncommand = {files}\n\n[upstream.mcp.memory]\ncommand = {memory}\n\n[upstream.mcp.stateless]\ncommand = {stateless}\n"
        ))
    }

    fn module(&self, server: &str) -> PathBuf {
        self.place.root.join("tests/e2e/node/node_modules/@modelcontextprotocol").join(server).join("dist/index.js")
    }
}

/// What a home's ledger says of itself once nobody writes to it any more.
pub(crate) struct Evidence {
    /// It verifies from its bytes.
    pub(crate) sound: bool,
    /// Enough calls began, and each has ended.
    pub(crate) complete: bool,
    /// What was said about either.
    pub(crate) said: String,
}

impl Evidence {
    pub(crate) fn of(place: &mut Workplace, home: &Path, calls_min: usize) -> Result<Evidence> {
        let mut verify = Command::new(place.built("countersign"));
        verify.args(["verify", "--ledger", "--replay", "--home"]).arg(home);
        let ran = place.run(&mut verify)?;
        let mut audit = Command::new(place.built("countersign"));
        audit.args(["audit", "type:action_record", "--format", "json", "--limit", "0", "--home"]).arg(home);
        let actions = Actions::read(&place.must(&mut audit)?.lines);
        let said = format!(
            "{}\n{} intents, want at least {calls_min}; without outcome: {:?}",
            ran.lines.join("\n"),
            actions.intents,
            actions.open
        );
        let complete = actions.open.is_empty() && actions.intents >= calls_min;
        Ok(Evidence { sound: ran.succeeded(), complete, said })
    }
}

/// A running `countersign serve`.
pub(crate) struct Gateway {
    service: Service,
    /// Where it listens, `127.0.0.1:41234`.
    pub(crate) address: String,
    home: PathBuf,
}

impl Gateway {
    /// Starts it and waits until it says where it listens.
    pub(crate) fn start(place: &Workplace, home: &Path, config: &Path, log: &Path) -> Result<Gateway> {
        let mut serve = Command::new(place.built("countersign"));
        serve.args(["serve", "--config"]).arg(config).arg("--home").arg(home);
        let mut service = Service::start(&mut serve, log)?;
        let address = service.wait_for("the gateway to listen", START_PATIENCE, listening)?;
        Ok(Gateway { service, address, home: home.to_owned() })
    }

    /// A run token for `agent` under `mission`.
    pub(crate) fn token(&self, place: &mut Workplace, mission: &str, agent: &str) -> Result<String> {
        let mut start = Command::new(place.built("countersign"));
        start.args([
            "run",
            "start",
            "--mission",
            mission,
            "--agent",
            agent,
            "--initiator",
            "tester@corp.example",
            "--format",
            "token",
            "--home",
        ]);
        let told = place.must(start.arg(&self.home))?;
        let token = told.lines.iter().map(|line| line.trim()).find(|line| !line.is_empty() && !line.contains(' '));
        Ok(token.context("`countersign run start --format token` printed no token")?.to_owned())
    }

    /// Asks it to end and waits until it has.
    pub(crate) fn stop(self) -> Result<()> {
        let code = self.service.stop(STOP_PATIENCE)?;
        ensure!(code == Some(0), "`countersign serve` ended with {code:?} when it was asked to end");
        Ok(())
    }

    /// Ends it at once, as a crash would.
    fn kill(self) {
        drop(self.service);
    }

    /// Waits until somebody else ends it.
    pub(crate) fn wait(mut self) -> Result<()> {
        self.service.wait()
    }
}

/// How many calls began, and which did not end, by the records.
#[derive(Debug, Default, PartialEq, Eq)]
struct Actions {
    intents: usize,
    open: BTreeSet<String>,
}

impl Actions {
    /// From `countersign audit --format json`, one record a line.
    fn read(lines: &[String]) -> Actions {
        let mut actions = Actions::default();
        for record in lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok()) {
            let at = |pointer| record.pointer(pointer).and_then(Value::as_str).unwrap_or_default();
            let call = at("/correlation/call").to_owned();
            match at("/body/event") {
                "intent" => {
                    actions.intents += 1;
                    actions.open.insert(call);
                }
                "outcome" => {
                    actions.open.remove(&call);
                }
                _ => {}
            }
        }
        actions
    }
}

/// The address in the line of JSON that `serve` prints once it takes connections.
pub(crate) fn listening(said: &str) -> Option<String> {
    said.lines().find_map(|line| Some(serde_json::from_str::<Value>(line).ok()?.get("listening")?.as_str()?.to_owned()))
}

fn free_port() -> Result<u16> {
    Ok(std::net::TcpListener::bind(("127.0.0.1", 0))?.local_addr()?.port())
}

fn which(program: &str) -> Result<PathBuf> {
    let folders = std::env::var_os("PATH").context("PATH is not set")?;
    let found = std::env::split_paths(&folders).map(|folder| folder.join(program)).find(|path| path.is_file());
    found.with_context(|| format!("no `{program}` on the PATH"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_read_from_among_log_lines() {
        let said = "opening\n{\"level\":\"info\"}\n{\"listening\":\"127.0.0.1:41234\"}\n";
        assert_eq!(listening(said).as_deref(), Some("127.0.0.1:41234"));
        assert_eq!(listening("{\"listening\":\"127.0"), None);
    }

    #[test]
    fn actions_are_counted_by_their_records() {
        let record =
            |call: &str, event: &str| format!(r#"{{"correlation":{{"call":"{call}"}},"body":{{"event":"{event}"}}}}"#);
        let lines = [record("a", "intent"), record("a", "outcome"), record("b", "intent"), "warning: slow".to_owned()];
        assert_eq!(Actions::read(&lines), Actions { intents: 2, open: BTreeSet::from(["b".to_owned()]) });
    }
}
