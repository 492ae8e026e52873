//! Where the tasks work: the root of the repository, the folder for logs and installed parts, and the step under way.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};

use crate::process::{Ran, run, shown};
use crate::progress::Progress;

/// The longest that one program may run: a cold build of everything on two slow cores, twice over.
const PROGRAM_PATIENCE: Duration = Duration::from_secs(30 * 60);
/// Lines of a failed program that are shown; the log has all.
const TAIL_LINES: usize = 60;

/// One step's place to work.
pub(crate) struct Workplace {
    /// The root of the repository.
    pub(crate) root: PathBuf,
    /// `target/xtask`: logs, and what was installed.
    pub(crate) state: PathBuf,
    log: PathBuf,
    progress: Option<Progress>,
}

impl Workplace {
    /// The repository that this program was built from.
    pub(crate) fn find() -> Result<Workplace> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"))
            .ancestors()
            .nth(2)
            .context("xtask lies two folders below the root")?
            .to_owned();
        ensure!(
            root.join("Cargo.lock").exists(),
            "`{}` is no longer the repository: run cargo xtask again",
            root.display()
        );
        let state = root.join("target/xtask");
        std::fs::create_dir_all(state.join("logs")).with_context(|| format!("create `{}`", state.display()))?;
        Ok(Workplace { log: state.join("logs/task.log"), root, state, progress: None })
    }

    /// Announces a step; its output goes to a log of its own.
    pub(crate) fn begin(&mut self, name: &str, label: &str) -> Result<()> {
        self.log = self.state.join("logs").join(format!("{name}.log"));
        std::fs::write(&self.log, "").with_context(|| format!("write `{}`", self.log.display()))?;
        self.progress = Some(Progress::start(label));
        Ok(())
    }

    /// Ends the step; says how long it took.
    pub(crate) fn end(&mut self, result: &str) -> Duration {
        self.progress.take().map(|progress| progress.end(result)).unwrap_or_default()
    }

    /// Writes a line that a person should see.
    pub(crate) fn say(&self, line: &str) {
        match &self.progress {
            Some(progress) => progress.say(&format!("    {line}")),
            None => println!("{line}"),
        }
    }

    /// The log of the step under way.
    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// Runs a program to its end.
    pub(crate) fn run(&mut self, command: &mut Command) -> Result<Ran> {
        let progress = &mut self.progress;
        run(command, &self.log, PROGRAM_PATIENCE, |line| {
            if let Some(progress) = progress {
                progress.line(line);
            }
        })
    }

    /// Runs programs side by side to their ends. The first one's lines are shown.
    pub(crate) fn run_together(&mut self, commands: &mut [Command]) -> Result<Vec<Ran>> {
        let log = self.log.clone();
        let Some((first, others)) = commands.split_first_mut() else { return Ok(Vec::new()) };
        std::thread::scope(|scope| {
            let log = &log;
            let others: Vec<_> =
                others.iter_mut().map(|other| scope.spawn(|| run(other, log, PROGRAM_PATIENCE, |_| {}))).collect();
            let mut ran = vec![self.run(first)?];
            for other in others {
                ran.push(other.join().map_err(|_| anyhow!("a thread that runs a program panicked"))??);
            }
            Ok(ran)
        })
    }

    /// The same place for what runs beside the step under way: the same log, and no line that shows where it is.
    pub(crate) fn beside(&self) -> Self {
        Self { log: self.log.clone(), progress: None, root: self.root.clone(), state: self.state.clone() }
    }

    /// Runs a program that has to succeed.
    pub(crate) fn must(&mut self, command: &mut Command) -> Result<Ran> {
        let ran = self.run(command)?;
        if !ran.succeeded() {
            bail!("{}", failure(command, &ran));
        }
        Ok(ran)
    }

    /// A cargo command in the root.
    pub(crate) fn cargo(&self, args: &[&str]) -> Command {
        let mut command = Command::new("cargo");
        command.args(args).current_dir(&self.root).env("CARGO_TERM_COLOR", "never");
        command
    }

    /// The same, compiling the workspace with the lints of `cargo clippy` on the way, warnings as errors: a pass of its own would go through every dependency once more.
    pub(crate) fn linting(&self, args: &[&str]) -> Command {
        let mut command = self.cargo(args);
        command.env("RUSTC_WORKSPACE_WRAPPER", "clippy-driver").env("CLIPPY_ARGS", "-Dwarnings__CLIPPY_HACKERY__");
        command
    }

    /// Builds everything with the one selection that all tests share: another one would unify features differently and build the larger dependencies once more.
    pub(crate) fn everything(&self) -> Command {
        self.linting(&["build", "--workspace", "--all-targets", "--locked"])
    }

    /// The program `name` of the workspace, as `cargo build` left it.
    pub(crate) fn built(&self, name: &str) -> PathBuf {
        self.root.join("target/debug").join(name)
    }
}

/// What a failed program said last.
pub(crate) fn failure(command: &Command, ran: &Ran) -> String {
    let code = ran.code.map_or_else(|| "a signal".to_owned(), |code| format!("exit code {code}"));
    format!("{} ended with {code}:\n{}", shown(command), ran.tail(TAIL_LINES).join("\n"))
}
