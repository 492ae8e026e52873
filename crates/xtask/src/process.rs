//! Running other programs: their output goes line by line to whoever watches, and whole to a log file.
//!
//! A program that leaves a child behind with its pipes open does not hold us up. Start at [`run`]; [`Service`] is for what keeps running beside us.

use std::fs::File;
use std::io::{BufRead, BufReader, PipeReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// How often we look whether a silent program has ended.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How long a program that has ended may still have lines on the way.
const LAST_LINES_WAIT: Duration = Duration::from_millis(300);
/// Lines between the reader and us; a full channel slows the program, nothing is lost.
const LINES_QUEUED_MAX: usize = 1024;

/// What a program did.
pub(crate) struct Ran {
    /// Its exit code; `None` if a signal ended it.
    pub(crate) code: Option<i32>,
    /// Every line of standard output and error, in order of arrival.
    pub(crate) lines: Vec<String>,
}

impl Ran {
    /// Whether it exited with 0.
    pub(crate) fn succeeded(&self) -> bool {
        self.code == Some(0)
    }

    /// The last `count` lines.
    pub(crate) fn tail(&self, count: usize) -> &[String] {
        self.lines.get(self.lines.len().saturating_sub(count)..).unwrap_or_default()
    }
}

/// Runs `command` to its end, at most `patience`, with no input. Each line is shown to `see` and written to `log`.
pub(crate) fn run(command: &mut Command, log: &Path, patience: Duration, mut see: impl FnMut(&str)) -> Result<Ran> {
    let (reader, writer) = std::io::pipe()?;
    command.stdin(Stdio::null()).stdout(writer.try_clone()?).stderr(writer);
    let mut child = command.spawn().with_context(|| format!("start {}", shown(command)))?;
    // The command keeps its ends of the pipe; without them the pipe closes when the program does.
    command.stdout(Stdio::null()).stderr(Stdio::null());
    let mut log =
        File::options().create(true).append(true).open(log).with_context(|| format!("open `{}`", log.display()))?;
    writeln!(log, "$ {}", shown(command))?;

    let arriving = lines_of(reader);
    let (started, mut lines, mut ended) = (Instant::now(), Vec::new(), None);
    loop {
        match arriving.recv_timeout(LOOK_EVERY) {
            Ok(line) => {
                see(&line);
                writeln!(log, "{line}")?;
                lines.push(line);
                continue;
            }
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {}
        }
        if ended.is_none() && child.try_wait()?.is_some() {
            ended = Some(Instant::now());
        }
        if ended.is_some_and(|ended| ended.elapsed() > LAST_LINES_WAIT) {
            break;
        }
        if started.elapsed() > patience {
            child.kill()?;
            child.wait()?;
            bail!("{} did not end within {} s", shown(command), patience.as_secs());
        }
    }
    Ok(Ran { code: child.wait()?.code(), lines })
}

fn lines_of(reader: PipeReader) -> Receiver<String> {
    let (send, receive) = sync_channel(LINES_QUEUED_MAX);
    thread::spawn(move || {
        let mut reader = BufReader::new(reader);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            line.clear();
            if send.send(text).is_err() {
                return;
            }
        }
    });
    receive
}

/// The command as a person would type it.
pub(crate) fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy().into_owned()).collect::<Vec<_>>().join(" ")
}

/// A program beside us, ended when this is dropped.
pub(crate) struct Service {
    child: Child,
    log: PathBuf,
}

impl Service {
    /// Starts `command` with its output in `log`.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Result<Service> {
        let file = File::create(log).with_context(|| format!("create `{}`", log.display()))?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let child = command.spawn().with_context(|| format!("start {}", shown(command)))?;
        Ok(Service { child, log: log.to_owned() })
    }

    /// Waits until `find` finds what it looks for in the output so far.
    pub(crate) fn wait_for<T>(
        &mut self,
        what: &str,
        patience: Duration,
        find: impl Fn(&str) -> Option<T>,
    ) -> Result<T> {
        let started = Instant::now();
        loop {
            let text = std::fs::read_to_string(&self.log)?;
            if let Some(found) = find(&text) {
                return Ok(found);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("waiting for {what}: the program ended with {status}:\n{text}");
            }
            if started.elapsed() > patience {
                bail!("waited {} s for {what}; so far:\n{text}", patience.as_secs());
            }
            thread::sleep(LOOK_EVERY);
        }
    }

    /// Waits until somebody else ends the program.
    pub(crate) fn wait(&mut self) -> Result<()> {
        self.child.wait()?;
        Ok(())
    }

    /// Asks the program to end as an operator would, waits for it, and returns its exit code.
    pub(crate) fn stop(mut self, patience: Duration) -> Result<Option<i32>> {
        let told = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status()?;
        if !told.success() {
            bail!("could not ask process {} to end", self.child.id());
        }
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.code());
            }
            if started.elapsed() > patience {
                bail!(
                    "the program did not end within {} s of being asked; its log is `{}`",
                    patience.as_secs(),
                    self.log.display()
                );
            }
            thread::sleep(LOOK_EVERY);
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _already_gone = self.child.kill();
        let _already_waited = self.child.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn log(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("countersign-xtask-{name}-{}", std::process::id()))
    }

    #[test]
    fn output_and_errors_arrive_in_order_and_are_logged() {
        let (log, mut seen) = (log("order"), Vec::new());
        let ran = run(&mut sh("echo one; echo two >&2; printf three; exit 3"), &log, Duration::from_secs(20), |line| {
            seen.push(line.to_owned())
        })
        .unwrap();
        assert_eq!(
            (ran.code, ran.lines.clone()),
            (Some(3), vec!["one".to_owned(), "two".to_owned(), "three".to_owned()])
        );
        assert_eq!(seen, ran.lines);
        assert!(std::fs::read_to_string(&log).unwrap().ends_with("one\ntwo\nthree\n"));
        std::fs::remove_file(log).unwrap();
    }

    #[test]
    fn a_child_left_behind_does_not_hold_us_up() {
        let log = log("orphan");
        let started = Instant::now();
        let ran = run(&mut sh("sleep 30 & echo $!"), &log, Duration::from_secs(20), |_| ()).unwrap();
        assert!(ran.succeeded() && started.elapsed() < Duration::from_secs(15));
        Command::new("kill").arg(ran.lines.first().unwrap()).status().unwrap();
        std::fs::remove_file(log).unwrap();
    }

    #[test]
    fn a_program_that_does_not_end_is_ended() {
        let log = log("endless");
        assert!(run(&mut sh("exec sleep 30"), &log, Duration::from_millis(200), |_| ()).is_err());
        std::fs::remove_file(log).unwrap();
    }
}
