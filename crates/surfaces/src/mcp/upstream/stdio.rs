//! An upstream that is a child process: newline-delimited messages over its standard input and output.
//!
//! The child gets only the environment that its configuration names and runs in its own process group, so that ending it ends what it started.

use std::collections::{HashMap, VecDeque};
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::sync::{mpsc, oneshot};

use super::incoming::{IncomingQueue, IncomingSender, Unheard, incoming};
use super::{Incoming, UpstreamFault};
use crate::limits::{
    CHILD_EXIT_MS, GIVEN_UP_MAX, INCOMING_MAX, OUTGOING_MAX, READ_CHUNK_BYTES, ReadLimits, STDERR_BYTES_MAX,
    STDERR_CHUNK_BYTES,
};
use crate::mcp::codec::batch::{Arrays, Messages};
use crate::mcp::codec::strict::StrictReader;
use crate::mcp::codec::{Envelope, EnvelopeError, EnvelopeKind, LineDecoder, Meant, RawId, encode_line};
use crate::mcp::era::Revision;

/// How to start an upstream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StdioConfig {
    /// The program.
    pub program: OsString,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Where it runs.
    pub cwd: Option<PathBuf>,
    /// All of its environment.
    pub env: Vec<(OsString, OsString)>,
}

/// Why an upstream could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The operating system refused.
    #[error("start upstream `{program}`: {source}; check the command and that it is on PATH")]
    Spawn {
        /// What was to be started.
        program: String,
        /// Why not.
        source: std::io::Error,
    },
    /// The child has no pipes.
    #[error("start upstream `{program}`: its standard streams are missing")]
    Streams {
        /// What was started.
        program: String,
    },
}

/// A child process that speaks MCP.
#[derive(Debug)]
pub struct StdioUpstream {
    child: tokio::sync::Mutex<Child>,
    group: Option<Pid>,
    outgoing: Mutex<Option<mpsc::Sender<Bytes>>>,
    revision: Arc<OnceLock<Revision>>,
    waiting: Arc<Waiting>,
}

/// Requests whose answers are awaited; `None` once the upstream has ended.
#[derive(Debug)]
struct Waiting(Mutex<Option<Awaited>>);

#[derive(Debug, Default)]
struct Awaited {
    answers: HashMap<RawId, oneshot::Sender<Result<Envelope, UpstreamFault>>>,
    /// Requests that were taken back or timed out, the latest last: their answers may still come, and nobody is to blame.
    given_up: VecDeque<RawId>,
}

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, Option<Awaited>> {
        // A panic while the lock was held cannot leave it half changed: every change is one map operation.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands `answer` to whoever waits for it; gives it back where nobody ever did.
    fn answer(&self, id: &RawId, answer: Result<Envelope, UpstreamFault>) -> Option<Result<Envelope, UpstreamFault>> {
        let mut awaited = self.lock();
        let awaited = awaited.as_mut()?;
        if let Some(waiting) = awaited.answers.remove(id) {
            // The one who waited may have given up a moment ago.
            let _gave_up = waiting.send(answer);
            return None;
        }
        match awaited.given_up.iter().position(|given_up| given_up == id) {
            Some(at) => {
                awaited.given_up.remove(at);
                None
            }
            None => Some(answer),
        }
    }

    /// Something came that cannot be told apart. Where one request waits, it was most likely its answer, and waiting on would only take longer to say so; where
    /// several wait, nobody can say whose it was, and this says false.
    fn fail_only(&self, why: &str) -> bool {
        let mut awaited = self.lock();
        let Some(awaited) = awaited.as_mut().filter(|awaited| awaited.answers.len() == 1) else { return false };
        for (_, waiting) in awaited.answers.drain() {
            let _gave_up = waiting.send(Err(UpstreamFault::Unreadable(why.to_owned())));
        }
        true
    }

    /// Nobody waits for this answer any more.
    fn give_up(&self, id: &RawId) {
        let mut awaited = self.lock();
        if let Some(awaited) = awaited.as_mut()
            && awaited.answers.remove(id).is_some()
        {
            if awaited.given_up.len() >= GIVEN_UP_MAX {
                awaited.given_up.pop_front();
            }
            awaited.given_up.push_back(id.clone());
        }
    }
}

impl StdioUpstream {
    /// Starts the child.
    ///
    /// # Errors
    /// [`StartError`] says what and why.
    pub fn start(config: &StdioConfig) -> Result<(Self, IncomingQueue), StartError> {
        let program = || config.program.to_string_lossy().into_owned();
        let mut command = Command::new(&config.program);
        command.args(&config.args).env_clear().envs(config.env.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0).kill_on_drop(true);
        if let Some(cwd) = &config.cwd {
            command.current_dir(cwd);
        }
        let mut child = command.spawn().map_err(|source| StartError::Spawn { program: program(), source })?;
        let (Some(stdin), Some(stdout), Some(stderr)) = (child.stdin.take(), child.stdout.take(), child.stderr.take())
        else {
            return Err(StartError::Streams { program: program() });
        };
        let group = child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw);
        let (outgoing, to_write) = mpsc::channel(OUTGOING_MAX);
        let (incoming, queue) = incoming(INCOMING_MAX);
        let waiting = Arc::new(Waiting(Mutex::new(Some(Awaited::default()))));
        tokio::spawn(write(stdin, to_write));
        let revision = Arc::new(OnceLock::new());
        tokio::spawn(read(stdout, revision.clone(), waiting.clone(), incoming));
        tokio::spawn(log(stderr, program()));
        let (child, outgoing) = (tokio::sync::Mutex::new(child), Mutex::new(Some(outgoing)));
        Ok((Self { child, group, outgoing, revision, waiting }, queue))
    }

    /// See [`super::Upstream::opened`].
    pub(super) fn opened(&self, revision: Revision) {
        // A session opens once.
        let _already = self.revision.set(revision);
    }

    /// See [`super::Upstream::request`].
    pub(super) async fn request(&self, id: &RawId, message: Bytes) -> Result<Envelope, UpstreamFault> {
        let (sender, answer) = oneshot::channel();
        match self.waiting.lock().as_mut() {
            Some(awaited) => awaited.answers.insert(id.clone(), sender),
            None => return Err(UpstreamFault::NotSent("the upstream process has ended".to_owned())),
        };
        let _forget = Forget { id, waiting: &self.waiting };
        self.send(message).await?;
        answer.await.unwrap_or_else(|_| Err(UpstreamFault::Lost("the upstream process has ended".to_owned())))
    }

    /// See [`super::Upstream::send`].
    pub(super) async fn send(&self, message: Bytes) -> Result<(), UpstreamFault> {
        let ended = || UpstreamFault::NotSent("the upstream process has ended".to_owned());
        let outgoing = self.outgoing.lock().unwrap_or_else(PoisonError::into_inner).clone().ok_or_else(ended)?;
        outgoing.send(encode_line(&message)).await.map_err(|_| ended())
    }

    /// See [`super::Upstream::close`].
    pub(super) async fn close(&self) {
        // The writer ends when its queue does, and closes the child's input: the protocol's way of saying goodbye.
        drop(self.outgoing.lock().unwrap_or_else(PoisonError::into_inner).take());
        let mut child = self.child.lock().await;
        for signal in [None, Some(Signal::TERM), Some(Signal::KILL)] {
            if let (Some(signal), Some(group)) = (signal, self.group) {
                let _already_gone = kill_process_group(group, signal);
            }
            if tokio::time::timeout(Duration::from_millis(CHILD_EXIT_MS), child.wait()).await.is_ok() {
                break;
            }
        }
        // What the child started and left behind goes with it.
        if let Some(group) = self.group {
            let _already_gone = kill_process_group(group, Signal::KILL);
        }
    }
}

/// Forgets a request when its future ends, answered or not.
struct Forget<'a> {
    id: &'a RawId,
    waiting: &'a Waiting,
}

impl Drop for Forget<'_> {
    fn drop(&mut self) {
        self.waiting.give_up(self.id);
    }
}

async fn write(mut stdin: ChildStdin, mut to_write: mpsc::Receiver<Bytes>) {
    while let Some(line) = to_write.recv().await {
        if stdin.write_all(&line).await.is_err() || stdin.flush().await.is_err() {
            return;
        }
    }
}

async fn read(
    mut stdout: ChildStdout,
    revision: Arc<OnceLock<Revision>>,
    waiting: Arc<Waiting>,
    incoming: IncomingSender,
) {
    let mut lines = LineDecoder::new(ReadLimits::RESPONSE.bytes_max);
    let mut reader = StrictReader::new(ReadLimits::RESPONSE);
    let mut chunk = BytesMut::with_capacity(READ_CHUNK_BYTES);
    'reading: while matches!(stdout.read_buf(&mut chunk).await, Ok(1..)) {
        lines.push(&chunk);
        chunk.clear();
        let mut is_nothing = true;
        while let Some(line) = lines.next_line() {
            is_nothing = false;
            let line = match line {
                Ok(line) => line,
                Err(error) => {
                    tracing::warn!(%error, "dropped a line of the upstream");
                    // Whoever waited records what became of the call.
                    let is_told = waiting.fail_only(&error.to_string());
                    if !is_told && incoming.unreadable(error.to_string()).await.is_err() {
                        break 'reading;
                    }
                    continue;
                }
            };
            let arrays = revision.get().map_or(Arrays::Refused, |revision| revision.arrays());
            for message in Messages::read(line, &mut reader, arrays) {
                if take(message, &waiting, &incoming).await.is_err() {
                    break 'reading;
                }
            }
        }
        if is_nothing {
            // Blank lines would keep the turn, and with it everybody's clock and connections.
            tokio::task::yield_now().await;
        }
    }
    // Dropping the senders tells everyone who waits that no answer will come.
    waiting.lock().take();
}

/// Hands a message to whoever waits for it. A full queue stops reading, and so the child.
async fn take(
    message: Result<Envelope, EnvelopeError>,
    waiting: &Waiting,
    incoming: &IncomingSender,
) -> Result<(), Unheard> {
    let envelope = match message {
        Ok(envelope) => envelope,
        Err(error) => {
            tracing::warn!(%error, "dropped a line of the upstream that is not a message");
            let fault = Err(UpstreamFault::Unreadable(error.fault.to_string()));
            let left = match &error.meant {
                // Whoever waits for it records what became of the call.
                Meant::Response(id) => waiting.answer(id, fault),
                Meant::Request(_) | Meant::Unclear => Some(fault),
            };
            return match left {
                Some(_) => incoming.unreadable(error.to_string()).await,
                None => Ok(()),
            };
        }
    };
    let is_answer =
        matches!(envelope.kind(), EnvelopeKind::Response { .. } | EnvelopeKind::ErrorResponse { id: Some(_) });
    if is_answer {
        // What came before an answer is told before it.
        incoming.settled().await;
    }
    let left = match envelope.id().cloned() {
        Some(id) if is_answer => waiting.answer(&id, Ok(envelope)).and_then(Result::ok),
        _ => Some(envelope),
    };
    match left {
        Some(envelope) => incoming.send(Incoming { envelope, related: None }).await,
        None => Ok(()),
    }
}

/// Keeps the child's error output from filling its pipe; the first part of it goes to the log.
async fn log(mut stderr: ChildStderr, program: String) {
    let mut left = STDERR_BYTES_MAX;
    let mut chunk = vec![0; STDERR_CHUNK_BYTES];
    while let Ok(count @ 1..) = stderr.read(&mut chunk).await {
        let text = chunk.get(..count.min(left)).unwrap_or_default();
        left -= text.len();
        if !text.is_empty() {
            tracing::debug!(target: "countersign::upstream", program, "{}", String::from_utf8_lossy(text).trim_end());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Arrived;
    use super::*;

    /// A child that reads two requests and answers both in one array, with a notification and what is no message between them.
    const CHILD: &str = r#"read one; read two; printf '%s\n' '[{"jsonrpc":"2.0","id":2,"result":{"n":2}},{"jsonrpc":"2.0","method":"notifications/x"},7,{"jsonrpc":"2.0","id":1,"result":{"n":1}}]'; read end"#;

    #[tokio::test]
    async fn an_array_is_taken_apart_in_its_revision_and_is_no_message_in_others() {
        for (revision, answers, arrived) in [
            (Revision::V2025_03_26, [r#"{"n":1}"#, r#"{"n":2}"#], vec!["notifications/x", "unreadable"]),
            (Revision::V2025_06_18, ["lost", "lost"], vec!["unreadable"]),
        ] {
            let args = vec!["-c".into(), CHILD.into()];
            let config = StdioConfig { program: "/bin/sh".into(), args, cwd: None, env: Vec::new() };
            let (upstream, mut queue) = StdioUpstream::start(&config).unwrap();
            upstream.opened(revision);
            let (upstream, (told, all_told)) = (Arc::new(upstream), oneshot::channel());
            let expected = arrived.len();
            let listening = tokio::spawn(async move {
                let (mut arrived, mut told) = (Vec::new(), Some(told));
                while let Some(one) = queue.recv().await {
                    arrived.push(match one {
                        Arrived::Message(Incoming { envelope, .. }) => envelope.method().unwrap().to_owned(),
                        Arrived::Unreadable(_) => "unreadable".to_owned(),
                    });
                    if arrived.len() == expected {
                        told.take().map(|told| told.send(()));
                    }
                }
                arrived
            });
            let ask = |id: i64| {
                let upstream = upstream.clone();
                tokio::spawn(async move {
                    let message = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"ping"}}"#);
                    match upstream.request(&RawId::integer(id), message.into()).await {
                        Ok(answer) => String::from_utf8(answer.result().unwrap().bytes().to_vec()).unwrap(),
                        Err(UpstreamFault::Lost(_)) => "lost".to_owned(),
                        Err(fault) => fault.to_string(),
                    }
                })
            };
            let asked = [ask(1), ask(2)];
            all_told.await.unwrap();
            // Where the array was no message, both still wait, and hear that nothing will come.
            upstream.close().await;
            for (asked, answer) in asked.into_iter().zip(answers) {
                assert_eq!(asked.await.unwrap(), answer, "{revision}");
            }
            assert_eq!(listening.await.unwrap(), arrived, "{revision}");
        }
    }
}
