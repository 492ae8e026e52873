//! `cargo xtask demo`: a small story with real MCP servers, a real client and payments that people approve, and what the ledger says about it afterwards.
//!
//! Everything happens in a scratch home on SQLite and on a copy of `examples/demo/finance`. Start at [`run`].

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};

use crate::e2e::Gateway;
use crate::people::{PASSPHRASE, enrol};
use crate::process::Ran;
use crate::scratch::Scratch;
use crate::tools;
use crate::workplace::Workplace;

/// The folder that the mission in `examples/demo` names; the demo puts its own copy in its place.
const EXAMPLE_FOLDER: &str = "/srv/finance";
/// What the audit shows of the story: who asked for what, what was decided, who answered, what came of it.
const STORY: &str = "type:decision_record,approval_record,action_record";
/// Which columns of the audit the demo shows, and how wide; in the others every line says the same.
const STORY_COLUMNS: [(&str, usize); 6] =
    [("seq", 3), ("time", 8), ("type", 8), ("what", 24), ("verdict", 21), ("reason", 0)];
/// How long a line of it may be.
const STORY_CHARS_MAX: usize = 118;
/// The persons of `examples/demo/people.toml`.
const PERSONS: [&str; 2] = ["ana-lopez", "bea-brandt"];

/// Whether the gateway stays when the story has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    Clean,
    Keep,
}

/// Who approves the payments.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leads {
    /// A script that reads what is asked.
    Scripted,
    /// Whoever looks on, from another terminal.
    You,
}

/// Builds, tells the story, shows the ledger.
pub(crate) fn run(leads: Leads, after: After) -> Result<ExitCode> {
    ensure!(
        leads == Leads::Scripted || (std::io::stdin().is_terminal() && std::io::stdout().is_terminal()),
        "two payments of the demo wait for people, and there is no terminal here to tell you how to answer: `cargo xtask demo --auto` has a script answer"
    );
    let (mut place, started) = (Workplace::find()?, Instant::now());
    let mut scratch = Scratch::new("demo")?;
    stage(&mut place, "building countersign", |place| {
        place.must(&mut place.cargo(&["build", "--package", "countersign", "--locked"])).map(drop)
    })?;
    stage(&mut place, "Node.js packages: a real MCP client and servers", tools::node_packages)?;
    let mut setting = None;
    stage(&mut place, "a scratch home, documents, a bank, two people with keys", |place| {
        let made = Setting::make(place, scratch.path())?;
        let gateway = Gateway::start(place, &made.home, &made.config, &made.log)?;
        setting = Some((made, gateway));
        Ok(())
    })?;
    let (setting, gateway) = setting.context("the setting was made")?;
    println!("\nan invoice assistant works under {}\n", place.root.join("examples/demo/mission.toml").display());
    let told = shown(&mut setting.client(&place, leads))?;
    println!(
        "\nthe audit trail, from the ledger, without what is the same in each line: countersign audit '{STORY}'\n"
    );
    let audited = place.run(&mut setting.countersign(&place, &["audit", STORY, "--format", "table"]))?;
    abridged(&audited.lines).iter().for_each(|line| println!("{line}"));
    let audited = audited.succeeded();
    if after == After::Clean {
        gateway.stop()?;
        println!("\nthe ledger, from its bytes: countersign verify --ledger\n");
        let verified = shown(&mut setting.countersign(&place, &["verify", "--ledger"]))?;
        println!(
            "\ndone in {:.1} s; cargo xtask demo --keep leaves the gateway running",
            started.elapsed().as_secs_f64()
        );
        return Ok(ExitCode::from(u8::from(!(told && audited && verified))));
    }
    scratch.keep();
    print!("{}", setting.how_to_try(&mut place, &gateway)?);
    gateway.wait()?;
    Ok(ExitCode::from(u8::from(!(told && audited))))
}

/// The story alone, for the end-to-end tests: what the client printed.
pub(crate) fn story(place: &mut Workplace, folder: &Path) -> Result<Ran> {
    std::fs::create_dir_all(folder)?;
    let setting = Setting::make(place, folder)?;
    let gateway = Gateway::start(place, &setting.home, &setting.config, &setting.log)?;
    let mut ran = place.run(&mut setting.client(place, Leads::Scripted))?;
    gateway.stop()?;
    for args in [["audit", STORY, "--format", "table"].as_slice(), &["verify", "--ledger"]] {
        let after = place.run(&mut setting.countersign(place, args))?;
        ran.lines.push(format!("{} - countersign {}", if after.succeeded() { "ok" } else { "not ok" }, args.join(" ")));
        ran.code = ran.code.max(after.code);
        ran.lines.extend(after.lines);
    }
    Ok(ran)
}

fn stage(place: &mut Workplace, label: &str, act: impl FnOnce(&mut Workplace) -> Result<()>) -> Result<()> {
    place.begin("demo", label)?;
    let done = act(place);
    place.end(if done.is_ok() { "ok" } else { "FAILED" });
    done
}

/// Runs a program in front of the person; whether it succeeded.
fn shown(command: &mut Command) -> Result<bool> {
    Ok(command.status().with_context(|| format!("run {}", crate::process::shown(command)))?.success())
}

/// The table of an audit with the columns of the story alone, in lines that a terminal need not fold.
fn abridged(table: &[String]) -> Vec<String> {
    let Some(header) = table.first() else { return Vec::new() };
    let column = |line: &str, name: &str| {
        let start = header.find(name)?;
        let next = header.get(start + name.len()..)?.find(|letter| letter != ' ');
        let end = next.map_or(line.len(), |gap| (start + name.len() + gap).min(line.len()));
        let cell = line.get(start..end)?.trim();
        // Of a time what a clock shows, of a type what tells it from others.
        let cell = if name == "time" { cell.rsplit(' ').next()? } else { cell.trim_end_matches("_record") };
        Some(cell.to_owned())
    };
    let row = |line: &String| {
        let cells =
            STORY_COLUMNS.iter().map(|(name, width)| format!("{:<width$}", column(line, name).unwrap_or_default()));
        let row = cells.collect::<Vec<_>>().join("  ");
        match row.char_indices().nth(STORY_CHARS_MAX) {
            Some((end, _)) if row.trim_end().len() > end => format!("{}…", row.get(..end).unwrap_or_default()),
            _ => row.trim_end().to_owned(),
        }
    };
    table.iter().map(row).collect()
}

/// The scratch home and what is in place around it.
struct Setting {
    home: PathBuf,
    documents: PathBuf,
    transfers: PathBuf,
    mission: PathBuf,
    config: PathBuf,
    log: PathBuf,
    keys: Vec<PathBuf>,
    servers: [(&'static str, Vec<String>); 2],
}

impl Setting {
    fn make(place: &mut Workplace, folder: &Path) -> Result<Setting> {
        let (example, node) = (place.root.join("examples/demo"), place.root.join("tests/e2e/node"));
        let (home, documents, transfers) =
            (folder.join("home"), folder.join("finance"), folder.join("transfers.jsonl"));
        let words = |program: PathBuf, works_on: &Path| {
            vec!["node".to_owned(), program.display().to_string(), works_on.display().to_string()]
        };
        let files = node.join("node_modules/@modelcontextprotocol/server-filesystem/dist/index.js");
        let servers = [("files", words(files, &documents)), ("bank", words(node.join("bank.mjs"), &transfers))];
        let keys =
            enrol(place, &home, &example.join("people.toml"), &PERSONS, |person| folder.join(format!("{person}.key")))?;
        let setting = Setting {
            home,
            documents,
            transfers,
            mission: folder.join("missions/invoice-assistant.toml"),
            config: folder.join("countersign.toml"),
            log: folder.join("gateway.log"),
            keys,
            servers,
        };
        copy(&example.join("finance"), &setting.documents)?;
        std::fs::create_dir_all(folder.join("missions"))?;
        let mission =
            std::fs::read_to_string(example.join("mission.toml")).context("read examples/demo/mission.toml")?;
        ensure!(mission.contains(EXAMPLE_FOLDER), "examples/demo/mission.toml no longer names {EXAMPLE_FOLDER}");
        std::fs::write(&setting.mission, mission.replace(EXAMPLE_FOLDER, &setting.documents.display().to_string()))?;
        let mut config =
            "[listen]\nconsole = \"127.0.0.1:0\"\ngateway = \"127.0.0.1:0\"\n\n[missions]\ndir = \"missions\"\n"
                .to_owned();
        for (name, command) in &setting.servers {
            // A JSON list of strings is a TOML list of strings.
            config.push_str(&format!("\n[upstream.mcp.{name}]\ncommand = {}\n", json!(command)));
        }
        std::fs::write(&setting.config, config)?;
        Ok(setting)
    }

    /// What a client's configuration calls for each server: the bridge in front of it.
    fn bridges(&self, place: &Workplace) -> Map<String, Value> {
        let bridge = |(name, command): &(&str, Vec<String>)| {
            let words = [place.built("countersign"), "mcp".into(), "--mission".into(), self.mission.clone()];
            let words =
                words.into_iter().chain(["--server".into(), (*name).into(), "--home".into(), self.home.clone()]);
            let words = words.map(|word| word.display().to_string()).chain(["--".to_owned()]);
            ((*name).to_owned(), words.chain(command.iter().cloned()).collect::<Vec<_>>().into())
        };
        self.servers.iter().map(bridge).collect()
    }

    fn client(&self, place: &Workplace, leads: Leads) -> Command {
        let keys: Map<String, Value> =
            PERSONS.iter().zip(&self.keys).map(|(person, key)| ((*person).to_owned(), json!(key))).collect();
        let mut client = Command::new("node");
        client.arg(place.root.join("tests/e2e/node/demo.mjs"));
        client.arg("--documents").arg(&self.documents).arg("--transfers").arg(&self.transfers);
        client.args(["--bridges", &Value::from(self.bridges(place)).to_string()]);
        client.arg("--countersign").arg(place.built("countersign")).arg("--home").arg(&self.home);
        client.args(["--keys", &Value::from(keys).to_string()]).env(PASSPHRASE.0, PASSPHRASE.1);
        if leads == Leads::Scripted {
            client.arg("--auto");
        }
        client
    }

    fn countersign(&self, place: &Workplace, args: &[&str]) -> Command {
        let mut command = Command::new(place.built("countersign"));
        command.args(args).arg("--home").arg(&self.home);
        command
    }

    fn how_to_try(&self, place: &mut Workplace, gateway: &Gateway) -> Result<String> {
        let token = gateway.token(place, "invoice-assistant", "invoice-assistant")?;
        let servers = self.bridges(place).into_iter().map(|(name, bridge)| {
            let (command, args) =
                bridge.as_array().and_then(|words| words.split_first()).context("a bridge has a program")?;
            Ok((name, json!({ "command": command, "args": args })))
        });
        let servers = servers.collect::<Result<Map<String, Value>>>()?;
        let folder = self.home.parent().unwrap_or(&self.home).display();
        Ok(format!(
            "\nthe gateway keeps running. In the configuration of any MCP client:\n\n{}\n\n\
             or over Streamable HTTP: http://{address}/mcp/files and http://{address}/mcp/bank with the header Authorization: Bearer {token}\n\n\
             the documents:  {}\nthe mission:    {} (edit it and its `why`; it takes effect when saved)\n\
             the approvals:  {program} approvals list --home {home}; the keys are in {folder}, their passphrase is '{}'\n\
             the evidence:   {program} audit --home {home}\n\nCtrl-C ends it; remove {folder} when you are done\n",
            serde_json::to_string_pretty(&json!({ "mcpServers": servers }))?,
            self.documents.display(),
            self.mission.display(),
            PASSPHRASE.1,
            address = gateway.address,
            home = self.home.display(),
            program = place.built("countersign").display(),
        ))
    }
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from).with_context(|| format!("read `{}`", from.display()))? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else {
            std::fs::copy(entry.path(), &target).with_context(|| format!("write `{}`", target.display()))?;
        }
    }
    Ok(())
}
