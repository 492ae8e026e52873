//! `cargo xtask demo`: a small story with a real MCP server and a real client, and what the ledger says about it afterwards.
//!
//! Everything happens in a scratch home on SQLite and on a copy of `examples/demo/finance`. Start at [`run`].

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, Result, ensure};
use serde_json::json;

use crate::e2e::Gateway;
use crate::process::Ran;
use crate::scratch::Scratch;
use crate::tools;
use crate::workplace::Workplace;

/// The folder that the mission in `examples/demo` names; the demo puts its own copy in its place.
const EXAMPLE_FOLDER: &str = "/srv/finance";
/// What the audit shows of the story: who asked for what, what was decided, what came of it.
const STORY: &str = "type:decision_record,action_record";

/// Whether the gateway stays when the story has ended.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    Clean,
    Keep,
}

/// Builds, tells the story, shows the ledger.
pub(crate) fn run(after: After) -> Result<ExitCode> {
    let (mut place, started) = (Workplace::find()?, Instant::now());
    let mut scratch = Scratch::new("demo")?;
    stage(&mut place, "building countersign", |place| {
        place.must(&mut place.cargo(&["build", "--package", "countersign", "--locked"])).map(drop)
    })?;
    stage(&mut place, "Node.js packages: a real MCP client and server-filesystem", tools::node_packages)?;
    let mut setting = None;
    stage(&mut place, "a scratch home, a folder of documents, a gateway", |place| {
        let made = Setting::make(place, scratch.path())?;
        let gateway = Gateway::start(place, &made.home, &made.config, &made.log)?;
        setting = Some((made, gateway));
        Ok(())
    })?;
    let (setting, gateway) = setting.context("the setting was made")?;
    println!("\nan invoice assistant works under {}\n", place.root.join("examples/demo/mission.toml").display());
    let told = shown(&mut setting.client(&place))?;
    println!("\nthe audit trail, from the ledger: countersign audit '{STORY}'\n");
    let audited = shown(&mut setting.countersign(&place, &["audit", STORY, "--format", "table"]))?;
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
    let mut ran = place.run(&mut setting.client(place))?;
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

/// The scratch home and what is in place around it.
struct Setting {
    home: PathBuf,
    documents: PathBuf,
    mission: PathBuf,
    config: PathBuf,
    log: PathBuf,
    server: PathBuf,
}

impl Setting {
    fn make(place: &Workplace, folder: &Path) -> Result<Setting> {
        let example = place.root.join("examples/demo");
        let setting = Setting {
            home: folder.join("home"),
            documents: folder.join("finance"),
            mission: folder.join("missions/invoice-assistant.toml"),
            config: folder.join("countersign.toml"),
            log: folder.join("gateway.log"),
            server: place
                .root
                .join("tests/e2e/node/node_modules/@modelcontextprotocol/server-filesystem/dist/index.js"),
        };
        copy(&example.join("finance"), &setting.documents)?;
        std::fs::create_dir_all(folder.join("missions"))?;
        let mission =
            std::fs::read_to_string(example.join("mission.toml")).context("read examples/demo/mission.toml")?;
        ensure!(mission.contains(EXAMPLE_FOLDER), "examples/demo/mission.toml no longer names {EXAMPLE_FOLDER}");
        std::fs::write(&setting.mission, mission.replace(EXAMPLE_FOLDER, &setting.documents.display().to_string()))?;
        let command = json!(["node", setting.server, setting.documents]);
        // A JSON list of strings is a TOML list of strings.
        std::fs::write(
            &setting.config,
            format!(
                "[listen]\nconsole = \"127.0.0.1:0\"\ngateway = \"127.0.0.1:0\"\n\n[missions]\ndir = \"missions\"\n\n[upstream.mcp.files]\ncommand = {command}\n"
            ),
        )?;
        Ok(setting)
    }

    /// What a client's configuration calls: the bridge in front of the server.
    fn bridge(&self, place: &Workplace) -> Vec<String> {
        let words = [
            place.built("countersign"),
            "mcp".into(),
            "--mission".into(),
            self.mission.clone(),
            "--home".into(),
            self.home.clone(),
            "--".into(),
            "node".into(),
            self.server.clone(),
            self.documents.clone(),
        ];
        words.iter().map(|word| word.display().to_string()).collect()
    }

    fn client(&self, place: &Workplace) -> Command {
        let mut client = Command::new("node");
        client.arg(place.root.join("tests/e2e/node/demo.mjs"));
        client.args(["--documents"]).arg(&self.documents).args(["--bridge", &json!(self.bridge(place)).to_string()]);
        client
    }

    fn countersign(&self, place: &Workplace, args: &[&str]) -> Command {
        let mut command = Command::new(place.built("countersign"));
        command.args(args).arg("--home").arg(&self.home);
        command
    }

    fn how_to_try(&self, place: &mut Workplace, gateway: &Gateway) -> Result<String> {
        let token = gateway.token(place, "invoice-assistant", "invoice-assistant")?;
        let bridge = self.bridge(place);
        let (program, args) = bridge.split_first().context("a bridge has a program")?;
        let (command, words) = (json!(program), serde_json::to_string_pretty(&json!(args))?.replace('\n', "\n      "));
        Ok(format!(
            "\nthe gateway keeps running. In the configuration of any MCP client:\n\n\
             {{\n  \"mcpServers\": {{\n    \"files\": {{\n      \"command\": {command},\n      \"args\": {words}\n    }}\n  }}\n}}\n\n\
             or over Streamable HTTP: http://{}/mcp/files with the header Authorization: Bearer {token}\n\n\
             the documents:  {}\nthe mission:    {} (edit it and its `why`; it takes effect when saved)\n\
             the evidence:   {program} audit --home {}\n\nCtrl-C ends it; remove {} when you are done\n",
            gateway.address,
            self.documents.display(),
            self.mission.display(),
            self.home.display(),
            self.home.parent().unwrap_or(&self.home).display(),
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
