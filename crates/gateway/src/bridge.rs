//! The agent's end of the local socket: finds the home's gateway or starts it, then carries bytes between it and the client's pipes.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};

use crate::control::{Answer, Ask};
use crate::home::{Home, HomeError};
use crate::limits::{HELLO_BYTES_MAX, START_WAIT, TRIES_MAX, TRY_AGAIN};

/// Why a gateway could not be reached.
#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    /// The home cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// It could not be started.
    #[error("start the gateway `{program}`: {source}")]
    Start {
        /// The program.
        program: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It was started and does not answer.
    #[error("the gateway did not come up within {} s; its log is `{log}`:\n{tail}", START_WAIT.as_secs())]
    Silent {
        /// Its log.
        log: PathBuf,
        /// The log's last lines.
        tail: String,
    },
    /// The connection failed.
    #[error("talk to the gateway: {0}")]
    Talk(#[from] io::Error),
}

/// A connection to a gateway.
#[derive(Debug)]
pub struct Connection {
    read: BufReader<OwnedReadHalf>,
    write: OwnedWriteHalf,
}

impl Connection {
    /// Connects to the gateway that runs on `home`, if one does.
    ///
    /// # Errors
    /// The operating system's, other than that there is no gateway.
    pub async fn find(home: &Home) -> Result<Option<Self>, ReachError> {
        match UnixStream::connect(home.socket()).await {
            Ok(stream) => {
                let (read, write) = stream.into_split();
                Ok(Some(Self { read: BufReader::new(read), write }))
            }
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused) => {
                Ok(None)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Connects to the gateway of `home`, and starts one with `program` where none runs. Several that do so at once start several, of which one gets the lock.
    ///
    /// # Errors
    /// [`ReachError`] says what failed and where the gateway's log is.
    pub async fn find_or_start(home: &Home, program: &Path) -> Result<Self, ReachError> {
        if let Some(connection) = Self::find(home).await? {
            return Ok(connection);
        }
        home.prepare()?;
        let deadline = Instant::now() + START_WAIT;
        let mut child = start(home, program)?;
        loop {
            if let Some(connection) = Self::find(home).await? {
                return Ok(connection);
            }
            if Instant::now() >= deadline {
                return Err(ReachError::Silent { log: home.log(), tail: tail(&home.log()) });
            }
            // The one that we started ends at once where another holds the lock; that one may be on its way down, so try again.
            if child.try_wait()?.is_some() {
                tokio::time::sleep(TRY_AGAIN).await;
                if Self::find(home).await?.is_none() {
                    child = start(home, program)?;
                }
            }
            tokio::time::sleep(TRY_AGAIN).await;
        }
    }

    /// Asks the home's gateway, and starts one where none runs. A gateway that goes down before it has answered is followed by the next.
    ///
    /// # Errors
    /// [`ReachError`], after a few tries.
    pub async fn open(home: &Home, program: &Path, ask: &Ask) -> Result<(Self, Answer), ReachError> {
        let mut tries = 0;
        loop {
            let mut connection = Self::find_or_start(home, program).await?;
            tries += 1;
            match connection.ask(ask).await {
                Ok(answer) => return Ok((connection, answer)),
                Err(ReachError::Talk(error)) if tries < TRIES_MAX && is_goodbye(&error) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// When the connection fails or the answer cannot be read.
    pub async fn ask(&mut self, ask: &Ask) -> Result<Answer, ReachError> {
        let mut line = serde_json::to_vec(ask).map_err(io::Error::from)?;
        line.push(b'\n');
        self.write.write_all(&line).await?;
        let mut answer = Vec::new();
        (&mut self.read).take(HELLO_BYTES_MAX * 64).read_until(b'\n', &mut answer).await?;
        if answer.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the gateway closed the connection").into());
        }
        Ok(serde_json::from_slice(&answer).map_err(io::Error::from)?)
    }

    /// Carries bytes both ways until the client is done and the gateway has said its last.
    ///
    /// # Errors
    /// When the gateway went away before the client was done.
    pub async fn carry(self) -> io::Result<()> {
        let Self { mut read, mut write } = self;
        let up = async move {
            let carried = copy(&mut tokio::io::stdin(), &mut write).await;
            let _gone = write.shutdown().await;
            carried
        };
        let mut stdout = tokio::io::stdout();
        let down = copy(&mut read, &mut stdout);
        tokio::pin!(up, down);
        tokio::select! {
            carried = &mut down => {
                carried?;
                Err(io::Error::new(io::ErrorKind::ConnectionAborted, "it ended the connection: it stopped, or the server behind it ended"))
            }
            carried = &mut up => {
                carried?;
                // The client is done; what the gateway still has to say may follow.
                down.await
            }
        }
    }
}

/// Whether an error is what a process that goes down leaves behind.
fn is_goodbye(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
}

/// Copies with a flush after each read: messages are small and wait for nothing.
async fn copy(from: &mut (impl AsyncReadExt + Unpin), to: &mut (impl AsyncWriteExt + Unpin)) -> io::Result<()> {
    let mut chunk = vec![0; 64 << 10];
    loop {
        let count = from.read(&mut chunk).await?;
        if count == 0 {
            return Ok(());
        }
        to.write_all(chunk.get(..count).unwrap_or_default()).await?;
        to.flush().await?;
    }
}

/// Starts a gateway that outlives us: in its own process group, without our pipes.
fn start(home: &Home, program: &Path) -> Result<std::process::Child, ReachError> {
    use std::os::unix::process::CommandExt;

    let log = OpenOptions::new()
        .create(true)
        .append(true)
        .mode(0o600)
        .open(home.log())
        .map_err(|source| HomeError::Io { path: home.log(), source })?;
    let mut command = Command::new(program);
    command.arg("serve").arg("--on-demand").arg("--home").arg(home.path());
    command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).process_group(0);
    command.spawn().map_err(|source| ReachError::Start { program: program.to_owned(), source })
}

/// The last lines of a log.
fn tail(log: &Path) -> String {
    let text = std::fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(text.get(text.len().saturating_sub(2_000)..).unwrap_or_default()).into_owned();
    text.lines().rev().take(10).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n")
}
