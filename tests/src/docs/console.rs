//! Plays the `console` blocks of a page the way a reader would: in order, in one shell, with the real program, in a scratch folder.
//!
//! A line that starts with `$ ` is a command (`\` at its end continues it); `# exit N` at its end says which exit code is expected, 0 without. The other lines are
//! output and only for readers, unless the block is marked `console compare`: then each shown line must come, in order, where `...` stands for any text. A block
//! such as `toml mission.toml` is written to that file before what follows is run. `/tmp/` and `127.0.0.1:7070` are the scratch folder and a free port,
//! and the console takes one too.

use std::fmt::Write as _;
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use gateway::bridge::Connection;
use gateway::control::{Answer, Ask};
use gateway::home::Home;
use testkit::process::Process;
use testkit::scratch::Scratch;
use testkit::wait;

use super::markdown::{Page, root};

/// The longest that one page may take: a few starts of Node.js on a busy machine.
const PATIENCE: Duration = Duration::from_secs(180);

/// What a page has a reader do.
#[derive(Debug, PartialEq, Eq)]
enum Act {
    Run(Step),
    Write { name: String, text: String },
}

#[derive(Debug, PartialEq, Eq)]
struct Step {
    command: String,
    compare: bool,
    exit: i32,
    line: usize,
    shown: Vec<String>,
}

/// Plays a page; `Err` says which line did not do what it says.
pub(super) fn play(page: &Page) -> Result<usize, String> {
    let acts = acts(page);
    let steps: Vec<&Step> =
        acts.iter().filter_map(|act| if let Act::Run(step) = act { Some(step) } else { None }).collect();
    if steps.is_empty() {
        return Ok(0);
    }
    let stage = Stage::set();
    let script = stage.script(&acts);
    let mut shell = Command::new("bash");
    shell.arg("-c").arg(script).current_dir(stage.scratch.join("reader")).env_clear().envs(stage.environment());
    shell.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut shell = Process::spawn(&mut shell).unwrap();
    let ended = shell.wait(PATIENCE);
    let played = steps.iter().enumerate().try_for_each(|(number, step)| stage.judge(page, number, step));
    drop(shell);
    stage.end_gateways();
    if ended.is_err() && played.is_ok() {
        return Err(format!("{}: not played within {PATIENCE:?}", page.path.display()));
    }
    played.map(|()| steps.len())
}

fn acts(page: &Page) -> Vec<Act> {
    let mut acts = Vec::new();
    for fence in page.fences() {
        let info: Vec<&str> = fence.info.iter().map(String::as_str).collect();
        match *info.as_slice() {
            ["console", ref marks @ ..] => {
                acts.extend(steps(&fence.text, fence.line, marks == ["compare"]).into_iter().map(Act::Run))
            }
            [_, name, ..] if name.contains('.') => acts.push(Act::Write { name: name.to_owned(), text: fence.text }),
            _ => {}
        }
    }
    acts
}

fn steps(text: &str, fence_line: usize, compare: bool) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    let mut continued = false;
    for (line, what) in (fence_line + 1..).zip(text.lines()) {
        match (what.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => {
                steps.push(Step { command: command.to_owned(), compare, exit: 0, line, shown: Vec::new() });
            }
            (None, Some(step)) if continued => {
                step.command.push('\n');
                step.command.push_str(what);
            }
            (None, Some(step)) => step.shown.push(what.to_owned()),
            (None, None) => panic!("line {line}: output before any command"),
        }
        continued = what.ends_with('\\');
    }
    for step in &mut steps {
        if let Some((_, exit)) = step.command.rsplit_once("# exit ") {
            step.exit = exit.trim().parse().unwrap();
        }
    }
    steps
}

/// Whether `shown` comes in `said`, line by line in order, where `...` stands for any text and white space counts as one space.
fn missing<'a>(shown: &'a [String], said: &str) -> Option<&'a str> {
    let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let mut said = said.lines().map(plain);
    shown.iter().filter(|line| !line.trim().is_empty() && line.trim() != "...").find_map(|want| {
        let wanted = plain(want);
        (!said.any(|line| fits(&wanted, &line))).then_some(want.as_str())
    })
}

fn fits(wanted: &str, said: &str) -> bool {
    let pieces: Vec<&str> = wanted.split("...").map(str::trim).collect();
    let mut rest = said;
    for (at, piece) in pieces.iter().enumerate() {
        let Some(found) = rest.find(piece) else { return false };
        if at == 0 && found > 0 && !wanted.starts_with("...") {
            return false;
        }
        rest = rest.get(found + piece.len()..).unwrap_or_default();
    }
    rest.is_empty() || wanted.ends_with("...")
}

/// A scratch folder that looks like a reader's machine.
struct Stage {
    port: u16,
    scratch: Scratch,
}

impl Stage {
    fn set() -> Self {
        let stage = Self { port: free_port(), scratch: Scratch::new("docs").unwrap() };
        for folder in ["bin", "home", "out", "reader", "tmp", "written"] {
            fs::create_dir(stage.scratch.join(folder)).unwrap();
        }
        symlink(program(), stage.scratch.join("bin/countersign")).unwrap();
        let npx = stage.scratch.join("bin/npx");
        fs::write(&npx, npx_without_network()).unwrap();
        fs::set_permissions(&npx, fs::Permissions::from_mode(0o755)).unwrap();
        for folder in ["examples", "missions", "schemas"] {
            symlink(root().join(folder), stage.scratch.join("reader").join(folder)).unwrap();
        }
        stage
    }

    fn environment(&self) -> Vec<(String, String)> {
        let path = format!("{}:{}", self.scratch.join("bin").display(), std::env::var("PATH").unwrap_or_default());
        let home = self.scratch.join("home").display().to_string();
        let own = [("PATH", path), ("HOME", home), ("LC_ALL", "C.UTF-8".to_owned())];
        own.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// What the page says, here.
    fn placed(&self, text: &str) -> String {
        let tmp = format!("{}/", self.scratch.join("tmp").display());
        let text = text.replace("/tmp/", &tmp).replace("127.0.0.1:7070", &format!("127.0.0.1:{}", self.port));
        // Pages are played side by side, and most leave the console where it is by default.
        match text.contains("\nconsole ") {
            true => text.replace("127.0.0.1:7071", "127.0.0.1:0"),
            false => text.replace("[listen]\n", "[listen]\nconsole = \"127.0.0.1:0\"\n"),
        }
    }

    /// One shell runs all steps, so that folders, variables and background jobs stay; it stops at the first that does not do what it says.
    fn script(&self, acts: &[Act]) -> String {
        let mut script = String::from("set -u -o pipefail\n");
        let out = self.scratch.join("out");
        let (mut number, mut written) = (0, 0);
        for act in acts {
            match act {
                Act::Write { name, text } => {
                    let file = self.scratch.join("written").join(written.to_string());
                    fs::write(&file, self.placed(text)).unwrap();
                    written += 1;
                    let _ = writeln!(
                        script,
                        "mkdir -p \"$(dirname '{name}')\" && cp '{}' '{name}' || exit 1",
                        file.display()
                    );
                }
                Act::Run(step) => {
                    let place = out.join(number.to_string());
                    number += 1;
                    let (command, place) = (self.placed(&step.command), place.display());
                    let _ = writeln!(script, "{{\n{command}\n}} > '{place}' 2>&1\necho $? > '{place}.exit'");
                    let _ = writeln!(script, "[ \"$(cat '{place}.exit')\" = {} ] || exit 1", step.exit);
                }
            }
        }
        script
    }

    fn judge(&self, page: &Page, number: usize, step: &Step) -> Result<(), String> {
        let place = self.scratch.join("out").join(number.to_string());
        let said = fs::read_to_string(&place).unwrap_or_default();
        let here = page.at(step.line);
        let told =
            format!("    {}\n{}", step.command, said.lines().map(|line| format!("    | {line}\n")).collect::<String>());
        let Ok(exit) = fs::read_to_string(place.with_added_extension("exit")) else {
            return Err(format!("{here}: did not end\n{told}"));
        };
        if exit.trim() != step.exit.to_string() {
            return Err(format!("{here}: exit code {}, not {}\n{told}", exit.trim(), step.exit));
        }
        let shown: Vec<String> = step.shown.iter().map(|line| self.placed(line)).collect();
        match missing(&shown, &said).filter(|_| step.compare) {
            Some(line) => Err(format!("{here}: the output lacks `{line}`\n{told}")),
            None => Ok(()),
        }
    }

    /// Ends the gateways that bridges started: they live in process groups of their own.
    fn end_gateways(&self) {
        let homes = [self.scratch.join("home/.local/state/countersign"), self.scratch.join("reader/copy")];
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        for home in homes.into_iter().filter(|home| home.join("gateway.sock").exists()) {
            let home = Home::find(Some(home)).unwrap();
            let status = runtime.block_on(async {
                let mut connection = Connection::find(&home).await.ok()??;
                connection.ask(&Ask::Status).await.ok()
            });
            let Some(Answer::Status(status)) = status else { continue };
            let pid = status.pid.to_string();
            let _gone = Command::new("kill").args(["-TERM", &pid]).status();
            wait::until("the gateway's end", PATIENCE, || {
                let runs = Path::new("/proc").join(&pid).exists();
                if runs { Err("it runs".to_owned()) } else { Ok(()) }
            })
            .unwrap();
        }
    }
}

/// The program beside this test's own executable.
fn program() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    let folder = test.ancestors().nth(2).unwrap();
    let program = folder.join("countersign");
    assert!(program.is_file(), "no `{}`: run `cargo build --package countersign` first", program.display());
    program
}

/// `npx -y PACKAGE` for the packages that the end-to-end tests install.
fn npx_without_network() -> String {
    let modules = root().join("tests/e2e/node/node_modules");
    assert!(
        modules.is_dir(),
        "no `{}`: run `npm ci` in tests/e2e/node, or `cargo xtask test --only tools`",
        modules.display()
    );
    let modules = modules.display();
    format!(
        "#!/bin/sh\n[ \"$1\" = -y ] && shift\npackage=$1\nshift\nstart={modules}/$package/dist/index.js\n\
         [ -f \"$start\" ] && exec node \"$start\" \"$@\"\necho \"npx: no $package here\" >&2\nexit 1\n"
    )
}

fn free_port() -> u16 {
    TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// Runs the program with `args`; its standard output and exit code.
pub(super) fn countersign(args: &[&str]) -> (String, Option<i32>) {
    let ran = Command::new(program()).args(args).env("COLUMNS", "100").output().unwrap();
    (String::from_utf8(ran.stdout).unwrap(), ran.status.code())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_comes_apart_into_commands_and_output() {
        let found = steps("$ one \\\n  --two\nsaid\n$ false  # exit 1\n", 7, true);
        let step = |command: &str, exit, line, shown: &[&str]| Step {
            command: command.to_owned(),
            compare: true,
            exit,
            line,
            shown: shown.iter().map(|line| (*line).to_owned()).collect(),
        };
        assert_eq!(found, [step("one \\\n  --two", 0, 8, &["said"]), step("false  # exit 1", 1, 11, &[])]);
    }

    #[test]
    fn shown_lines_must_come_in_order_and_whole() {
        let shown = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<Vec<_>>();
        let said = "seq  what\n1    allow it\n2    deny (too much) now\n";
        for (lines, lacks) in [
            (vec!["seq what", "2 deny (...) now"], None),
            (vec!["...", "1 allow ..."], None),
            (vec!["2 deny ...", "1 allow it"], Some("1 allow it")),
            (vec!["allow it"], Some("allow it")),
            (vec!["1 allow"], Some("1 allow")),
        ] {
            assert_eq!(missing(&shown(&lines), said), lacks, "{lines:?}");
        }
    }

    #[test]
    fn a_command_that_fails_is_named_with_its_line() {
        let stage = Stage::set();
        let page = Page::read("README.md");
        let acts = vec![Act::Run(steps("$ echo hello; false\n", 3, false).remove(0))];
        let script = stage.script(&acts);
        let ran = Command::new("bash").arg("-c").arg(script).current_dir(stage.scratch.path()).status().unwrap();
        assert_eq!(ran.code(), Some(1));
        let Act::Run(step) = &acts[0] else { unreachable!() };
        let told = stage.judge(&page, 0, step).unwrap_err();
        assert!(told.starts_with("README.md:4: exit code 1, not 0") && told.contains("| hello"), "{told}");
    }
}
