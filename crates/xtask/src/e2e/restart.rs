//! A gateway that dies while calls wait for people: real clients, whose code knows nothing of that, get their answers all the same, and each payment is made once.
//!
//! Over HTTP the gateway is started again where it was, as whatever supervises it does; over stdio the clients' next bridges start one. The persons answer after that.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use serde_json::{Value, json};

use super::approvals::PERSONS;
use super::{Gateway, START_PATIENCE, Scenarios, free_port};
use crate::count::Count;
use crate::people::{PASSPHRASE, enrol};
use crate::process;

/// A client that waits for an answer until its own time-out, connects anew and is held again is done long before.
const CLIENT_PATIENCE: Duration = Duration::from_secs(300);
/// How often it is looked for questions.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// One client, and the payment that it makes.
struct Client {
    label: &'static str,
    command: Command,
}

/// A home with persons, a mission with a gate, and two banks.
struct World {
    bank: [(&'static str, Vec<String>); 2],
    home: PathBuf,
    keys: Vec<PathBuf>,
    mission: PathBuf,
    transfers: PathBuf,
}

/// Over HTTP and over stdio at once: each waits for its clients' own time-outs.
pub(super) fn run(scenarios: &mut Scenarios<'_>) -> Result<()> {
    let folder = scenarios.scratch.join("restart");
    let http = World::make(scenarios, &folder.join("http"))?;
    let stdio = World::make(scenarios, &folder.join("stdio"))?;
    let served = http.config(&format!("127.0.0.1:{}", free_port()?))?;
    let unserved = stdio.config("127.0.0.1:0")?;
    let (http_log, stdio_log) = (folder.join("http.log"), folder.join("stdio.log"));
    let gateway = Gateway::start(scenarios.place, &http.home, &served, &http_log)?;
    let bridged = Gateway::start(scenarios.place, &stdio.home, &unserved, &stdio_log)?;
    let mut over_http = Vec::new();
    for (label, bank, script) in [
        ("TypeScript client 1.x over HTTP", "bank-ts", Script::TypeScript("1")),
        ("TypeScript client 2.x over HTTP", "bank-ts", Script::TypeScript("2")),
        ("Python client over HTTP, with a handshake", "bank-py", Script::Python("legacy")),
        ("Python client over HTTP, without one", "bank-py", Script::Python("auto")),
    ] {
        let token = gateway.token(scenarios.place, "wait-for-people", "e2e")?;
        let side = json!({ "url": format!("http://{}/mcp/{bank}", gateway.address), "token": token });
        over_http.push(script.client(scenarios, label, &side));
    }
    let over_stdio = [
        ("TypeScript client 1.x over stdio", "bank-ts", Script::TypeScript("1")),
        ("TypeScript client 2.x over stdio", "bank-ts", Script::TypeScript("2")),
        ("Python client over stdio, with a handshake", "bank-py", Script::Python("legacy")),
        ("Python client over stdio, without one", "bank-py", Script::Python("auto")),
    ]
    .map(|(label, bank, script)| script.client(scenarios, label, &stdio.bridge(scenarios, bank)));

    let (mut clients, log) = (over_http, scenarios.place.log().to_owned());
    let waiting = [(&http, clients.len()), (&stdio, over_stdio.len())];
    clients.extend(over_stdio);
    let ran = thread::scope(|scope| {
        let running: Vec<_> = clients
            .iter_mut()
            .map(|Client { command, .. }| scope.spawn(|| process::run(command, &log, CLIENT_PATIENCE, |_| {})))
            .collect();
        let asked = waiting.map(|(world, count)| world.questions(scenarios, count));
        gateway.kill();
        bridged.kill();
        let again = Gateway::start(scenarios.place, &http.home, &served, &folder.join("http-again.log"))?;
        for ((world, _), asked) in waiting.iter().zip(asked) {
            world.approve(scenarios, &asked?)?;
        }
        let mut ran = Vec::new();
        for client in running {
            ran.push(client.join().map_err(|_| anyhow!("a thread that runs a client panicked"))??);
        }
        again.stop()?;
        anyhow::Ok(ran)
    })?;
    for (Client { label, .. }, ran) in clients.iter().zip(&ran) {
        let count = Count::of_tap(ran.lines.iter().map(String::as_str));
        let label = format!("the gateway dies while a call waits: {label}");
        scenarios.take(&label, count, ran.succeeded(), &ran.lines.join("\n"));
    }
    for (world, count) in waiting {
        let paid = world.paid()?;
        let is_once = paid.len() == count && paid.values().all(|times| *times == 1);
        let tally = Count { passed: u64::from(is_once), failed: u64::from(!is_once) };
        scenarios.take("each payment was made once", tally, is_once, &format!("{paid:?}, want {count}"));
        scenarios.verified(&world.home, count)?;
    }
    Ok(())
}

/// The program of a client.
enum Script {
    /// With this mode.
    Python(&'static str),
    /// With this major version of the SDK.
    TypeScript(&'static str),
}

impl Script {
    fn client(self, scenarios: &Scenarios<'_>, label: &'static str, side: &Value) -> Client {
        let (mut command, option) = match self {
            Self::Python(mode) => {
                let mut command = Command::new(&scenarios.pythons.sdk_2);
                command.arg(scenarios.place.root.join("tests/e2e/python/restart.py"));
                (command, ["--mode", mode])
            }
            Self::TypeScript(sdk) => (scenarios.node("restart.mjs"), ["--sdk", sdk]),
        };
        command.args(option).args(["--side", &side.to_string(), "--invoice", label]).current_dir(&scenarios.scratch);
        Client { label, command }
    }
}

impl World {
    fn make(scenarios: &mut Scenarios<'_>, folder: &Path) -> Result<World> {
        let (root, home) = (scenarios.place.root.clone(), folder.join("home"));
        let cases = root.join("tests/e2e/cases");
        fs::create_dir_all(folder.join("missions"))?;
        let mission = folder.join("missions/wait-for-people.toml");
        fs::copy(cases.join("approvals.toml"), &mission).context("copy the mission with a gate")?;
        let key = |person: &str| folder.join(format!("{person}.key"));
        let keys = enrol(scenarios.place, &home, &cases.join("people.toml"), &PERSONS, key)?;
        let transfers = folder.join("transfers.jsonl");
        let bank = |program: &Path, script: &str| {
            [program, &root.join(script), &transfers].map(|word| word.display().to_string()).to_vec()
        };
        let bank = [
            ("bank-ts", bank("node".as_ref(), "tests/e2e/node/bank.mjs")),
            ("bank-py", bank(&scenarios.pythons.sdk_2, "tests/e2e/python/bank.py")),
        ];
        Ok(World { bank, home, keys, mission, transfers })
    }

    /// The gateway's configuration, with this address.
    fn config(&self, address: &str) -> Result<PathBuf> {
        let path = self.home.with_file_name("countersign.toml");
        let mut text =
            format!("[listen]\nconsole = \"127.0.0.1:0\"\ngateway = {address:?}\n\n[missions]\ndir = \"missions\"\n");
        for (name, command) in &self.bank {
            // A JSON list of strings is a TOML list of strings.
            text.push_str(&format!("\n[upstream.mcp.{name}]\ncommand = {}\n", json!(command)));
        }
        fs::write(&path, text)?;
        Ok(path)
    }

    /// What a client over stdio calls.
    fn bridge(&self, scenarios: &Scenarios<'_>, bank: &str) -> Value {
        let program = scenarios.place.built("countersign");
        let mut words = vec![json!(program), json!("mcp"), json!("--mission"), json!(self.mission)];
        words.extend([json!("--server"), json!(bank), json!("--home"), json!(self.home), json!("--")]);
        let command = self.bank.iter().filter(|(name, _)| *name == bank).flat_map(|(_, command)| command);
        words.extend(command.map(|word| json!(word)));
        words.into()
    }

    /// Waits until so many calls wait for people; the ids of their approvals.
    fn questions(&self, scenarios: &mut Scenarios<'_>, count: usize) -> Result<Vec<String>> {
        let started = Instant::now();
        loop {
            let mut list = Command::new(scenarios.place.built("countersign"));
            list.args(["approvals", "list", "--format", "json", "--home"]).arg(&self.home);
            let listed = scenarios.place.must(&mut list)?;
            let open = listed.lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
            let open: Vec<String> = open.filter_map(|one| Some(one.get("approval")?.as_str()?.to_owned())).collect();
            if open.len() == count {
                return Ok(open);
            }
            ensure!(started.elapsed() < START_PATIENCE, "{} calls wait for people, want {count}", open.len());
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Every person says yes to all of them.
    fn approve(&self, scenarios: &mut Scenarios<'_>, approvals: &[String]) -> Result<()> {
        for key in &self.keys {
            let mut approve = Command::new(scenarios.place.built("countersign"));
            approve.args(["approvals", "approve"]).args(approvals).args(["--why", "looked at it", "--key"]).arg(key);
            approve.arg("--home").arg(&self.home).env(PASSPHRASE.0, PASSPHRASE.1);
            scenarios.place.must(&mut approve)?;
        }
        Ok(())
    }

    /// How often each payment was made, by what the banks wrote.
    fn paid(&self) -> Result<BTreeMap<String, usize>> {
        let text = fs::read_to_string(&self.transfers).context("read what the banks wrote")?;
        let mut paid = BTreeMap::new();
        for line in text.lines() {
            let transfer: Value = serde_json::from_str(line)?;
            let invoice = transfer.get("invoice").and_then(Value::as_str).context("a transfer has an invoice")?;
            *paid.entry(invoice.to_owned()).or_default() += 1;
        }
        Ok(paid)
    }
}
