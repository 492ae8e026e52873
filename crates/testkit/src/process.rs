//! Child processes that cannot outlive their test: each leads a process group, and the group is killed on drop.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use crate::limits::OUTPUT_LINES_MAX;
use crate::wait::{self, NeverSo};

/// A running child with its process group.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: String,
}

/// Why a child did not do what was waited for.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// It could not be started.
    #[error("start `{name}`")]
    Start {
        /// The program.
        name: String,
        /// Why.
        source: io::Error,
    },
    /// Its standard output ended or stayed silent.
    #[error("`{name}` printed no line within {waited:?} (state: {state})")]
    NoLine {
        /// The program.
        name: String,
        /// How long it was waited for.
        waited: Duration,
        /// Running, or how it ended.
        state: String,
    },
    /// It did not end.
    #[error("`{name}` did not end")]
    StillRunning {
        /// The program.
        name: String,
        /// For how long it was waited.
        source: NeverSo,
    },
    /// A system call failed.
    #[error("`{name}`")]
    Io {
        /// The program.
        name: String,
        /// Why.
        source: io::Error,
    },
}

impl Process {
    /// Starts `command` as the leader of a new process group.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(command: &mut Command) -> Result<Self, ProcessError> {
        let program = Path::new(command.get_program());
        let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy().into_owned();
        match command.process_group(0).spawn() {
            Ok(child) => Ok(Self { child, name }),
            Err(source) => Err(ProcessError::Start { name, source }),
        }
    }

    /// Its process id, which is its group's too.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its standard input, once, if it was piped.
    pub const fn take_stdin(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// Its standard output, once, if it was piped.
    pub const fn take_stdout(&mut self) -> Option<ChildStdout> {
        self.child.stdout.take()
    }

    /// Its standard output line by line, once, if it was piped. A thread drains it, so that the child never blocks on a full pipe.
    #[must_use]
    pub fn lines(&mut self) -> Option<Lines> {
        let stdout = self.child.stdout.take()?;
        let (sender, lines) = sync_channel(OUTPUT_LINES_MAX);
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                // A full queue drops the line: see the limit.
                let _dropped = sender.try_send(line);
            }
        });
        Some(Lines { lines })
    }

    /// The next line of `lines`, which belong to this process.
    ///
    /// # Errors
    /// When there is none within `patience`, or the output has ended.
    pub fn next_line(&mut self, lines: &Lines, patience: Duration) -> Result<String, ProcessError> {
        let start = Instant::now();
        lines.lines.recv_timeout(patience).map_err(|error| {
            if error == RecvTimeoutError::Disconnected {
                // The output has ended, so the process is ending: say how.
                let _still_running = wait::until("its end", Duration::from_secs(1), || self.ended());
            }
            let state = match self.child.try_wait() {
                Ok(Some(status)) => status.to_string(),
                Ok(None) => "running".to_owned(),
                Err(error) => error.to_string(),
            };
            ProcessError::NoLine { name: self.name.clone(), waited: start.elapsed(), state }
        })
    }

    /// Sends `signal` to the process alone.
    ///
    /// # Errors
    /// When it has ended and was waited for.
    pub fn signal(&self, signal: Signal) -> Result<(), ProcessError> {
        let pid = Pid::from_child(&self.child);
        rustix::process::kill_process(pid, signal).map_err(|error| self.io(error.into()))
    }

    /// Kills the process alone (`kill -9`) and waits for its end; its children live on or die as they would.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn kill(&mut self) -> Result<(), ProcessError> {
        self.child.kill().map_err(|source| self.io(source))?;
        self.child.wait().map(drop).map_err(|source| self.io(source))
    }

    /// Waits until it has ended by itself.
    ///
    /// # Errors
    /// When it still runs after `patience`.
    pub fn wait(&mut self, patience: Duration) -> Result<ExitStatus, ProcessError> {
        wait::until("its end", patience, || self.ended())
            .map_err(|source| ProcessError::StillRunning { name: self.name.clone(), source })
    }

    /// Ends it in order (SIGTERM) and waits.
    ///
    /// # Errors
    /// When it still runs after `patience`.
    pub fn stop(&mut self, patience: Duration) -> Result<ExitStatus, ProcessError> {
        self.signal(Signal::TERM)?;
        self.wait(patience)
    }

    fn ended(&mut self) -> Result<ExitStatus, String> {
        match self.child.try_wait() {
            Ok(Some(status)) => Ok(status),
            Ok(None) => Err("it runs".to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    fn io(&self, source: io::Error) -> ProcessError {
        ProcessError::Io { name: self.name.clone(), source }
    }
}

impl Drop for Process {
    /// Kills the whole group and reaps the leader.
    fn drop(&mut self) {
        // While the leader is not reaped its id cannot be used again, so the group is ours even if the leader has ended.
        if matches!(self.child.try_wait(), Ok(Some(_))) {
            // Reaped before: only members that stayed keep the group's id from being used again.
            if rustix::process::test_kill_process_group(Pid::from_child(&self.child)).is_err() {
                return;
            }
        }
        let _gone = rustix::process::kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _reaped = self.child.wait();
    }
}

/// The lines of a child's standard output.
#[derive(Debug)]
pub struct Lines {
    lines: Receiver<String>,
}

/// A file for a child's standard error, appended to.
///
/// # Errors
/// When it cannot be opened.
pub fn stderr_to(path: &Path) -> io::Result<Stdio> {
    Ok(File::options().append(true).create(true).open(path)?.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    fn shell(script: &str) -> Process {
        Process::spawn(Command::new("sh").args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped())).unwrap()
    }

    fn runs(pid: &str) -> bool {
        std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
    }

    #[test]
    fn grandchildren_die_with_the_guard() {
        let mut process = shell("sleep 600 & echo $!; wait");
        let lines = process.lines().unwrap();
        let grandchild = process.next_line(&lines, PATIENCE).unwrap();
        assert!(runs(&grandchild));
        drop(process);
        wait::until("the grandchild's end", PATIENCE, || {
            if runs(&grandchild) { Err("it runs".to_owned()) } else { Ok(()) }
        })
        .unwrap();
    }

    #[test]
    fn a_child_that_ends_without_a_word_is_reported_with_its_status() {
        let mut process = shell("exit 7");
        let lines = process.lines().unwrap();
        let error = process.next_line(&lines, PATIENCE).unwrap_err();
        assert!(error.to_string().contains("exit status: 7"), "{error}");
    }
}
