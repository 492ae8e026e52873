//! The local door: a Unix socket in the home, for bridges and commands of the same user.

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use evidence::record::{Authenticated, Surface};
use surfaces::mcp::downstream::stdio::{self, StdioDownstream};
use surfaces::mcp::session::AgentSession as McpSession;
use surfaces::mcp::upstream::Upstream;
use surfaces::mcp::upstream::stdio::{StdioConfig, StdioUpstream};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinSet;

use crate::Gateway;
use crate::control::{Answer, Ask, Blame, Bridge};
use crate::identity::command_mark;
use crate::limits::{ACCEPT_PAUSE, HELLO_BYTES_MAX, HELLO_WAIT, RUN_US};
use crate::people::user_name;
use crate::runs::{Run, Wanted};
use crate::session::{AgentSession, Proof};

/// How many bridges stand; tells an on-demand gateway when nobody needs it.
#[derive(Debug, Default)]
pub struct Bridges(AtomicUsize);

impl Bridges {
    /// How many stand.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.load(Ordering::Acquire)
    }
}

/// Opens the socket of the gateway's home. A socket that an earlier process left is replaced: whoever holds the ledger's lock owns the name.
///
/// # Errors
/// The operating system's.
pub fn bind(gateway: &Gateway) -> io::Result<UnixListener> {
    let path = gateway.home.socket();
    let named =
        |error: io::Error| io::Error::new(error.kind(), format!("open the socket `{}`: {error}", path.display()));
    match fs::remove_file(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(named(error)),
        _ => {}
    }
    UnixListener::bind(&path).map_err(named)
}

/// Serves bridges and commands until the gateway stops; then waits for what is in flight.
pub async fn serve(gateway: Arc<Gateway>, listener: UnixListener, bridges: Arc<Bridges>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(admit(gateway.clone(), stream, bridges.clone()));
                }
                Err(error) => {
                    // Out of file descriptors, most likely: connections that end give some back.
                    tracing::warn!(%error, "a local connection could not be taken");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_ended) = connections.join_next() => {}
            () = gateway.stopped() => break,
        }
    }
    let _already_gone = fs::remove_file(gateway.home.socket());
    while connections.join_next().await.is_some() {}
}

async fn admit(gateway: Arc<Gateway>, stream: UnixStream, bridges: Arc<Bridges>) {
    let uid = match stream.peer_cred() {
        Ok(peer) if peer.uid() == rustix::process::geteuid().as_raw() => peer.uid(),
        Ok(peer) => return tracing::warn!(uid = peer.uid(), "refused a local connection of another user"),
        Err(error) => return tracing::warn!(%error, "refused a local connection without credentials"),
    };
    let who = user_name(uid);
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let answer = match hello(&mut read).await {
        Ok(Ask::Bridge(bridge)) => match build(&gateway, *bridge, &who).await {
            Ok((session, queue, run)) => {
                bridges.0.fetch_add(1, Ordering::AcqRel);
                if tell(&mut write, &Answer::Bridged { run: run.id }).await.is_ok() {
                    let session =
                        McpSession::new(session.0, session.1, Arc::new(StdioDownstream::start(write)), "stdio");
                    let session = Arc::new(session);
                    let mut upstream = tokio::spawn(session.clone().listen(queue));
                    let ended = async {
                        tokio::select! {
                            () = gateway.stopped() => {}
                            _gone = &mut upstream => {}
                        }
                    };
                    stdio::serve(session, read, ended).await;
                }
                bridges.0.fetch_sub(1, Ordering::AcqRel);
                return;
            }
            Err(refusal) => refusal,
        },
        Ok(ask) => gateway.answer(ask, &who).await,
        Err(error) => Answer::refused(Blame::Asker, error),
    };
    if let Err(error) = tell(&mut write, &answer).await {
        tracing::debug!(%error, "an answer was not read");
    }
}

async fn hello(read: &mut (impl AsyncBufReadExt + Unpin)) -> io::Result<Ask> {
    let mut line = Vec::new();
    let mut bounded = read.take(HELLO_BYTES_MAX);
    tokio::time::timeout(HELLO_WAIT, bounded.read_until(b'\n', &mut line)).await??;
    Ok(serde_json::from_slice(&line)?)
}

async fn tell(write: &mut (impl AsyncWriteExt + Unpin), answer: &Answer) -> io::Result<()> {
    let mut line = serde_json::to_vec(answer)?;
    line.push(b'\n');
    write.write_all(&line).await?;
    write.flush().await
}

type Built = ((Arc<AgentSession>, Arc<Upstream>), surfaces::mcp::upstream::IncomingQueue, Arc<Run>);

/// Loads the mission, joins the run and starts the upstream of a bridge.
async fn build(gateway: &Arc<Gateway>, bridge: Bridge, who: &str) -> Result<Built, Answer> {
    let (mission, policy) =
        gateway.load_mission(&bridge.mission, who).await.map_err(|error| Answer::refused(Blame::Nobody, error))?;
    let server = match (
        bridge.server,
        mission.upstreams(Surface::Mcp).map(ToString::to_string).collect::<Vec<_>>().as_slice(),
    ) {
        (Some(server), named) if named.contains(&server) => server,
        (Some(server), named) => {
            let text =
                format!("mission `{}` names no server `{server}`; it names {}", mission.name(), named.join(", "));
            return Err(Answer::refused(Blame::Asker, text));
        }
        (None, [only]) => only.clone(),
        (None, named) => {
            let text = format!(
                "mission `{}` names several servers ({}); say which one this is with --server",
                mission.name(),
                named.join(", ")
            );
            return Err(Answer::refused(Blame::Asker, text));
        }
    };
    let agent = bridge.agent.or_else(|| mission.agents().first().map(ToString::to_string)).unwrap_or_default();
    // Whom the bridge names instead of its user is only asserted.
    let (initiator, authenticated) = match bridge.initiator {
        Some(name) if name != who => (name, Authenticated::Asserted),
        _ => (who.to_owned(), Authenticated::OsUser),
    };
    let wanted =
        Wanted { agent, initiator, lasts_us: RUN_US, mission: mission.name().to_string(), words: bridge.words };
    let run = gateway.join_run(&wanted, authenticated, bridge.which, who).await?;
    let mut command = bridge.command.into_iter();
    let program = command
        .next()
        .ok_or_else(|| Answer::refused(Blame::Asker, "no command after `--`: say how to start the server"))?;
    let config = StdioConfig {
        program: program.into(),
        args: command.map(Into::into).collect(),
        cwd: Some(bridge.cwd),
        env: bridge.env.into_iter().map(|(name, value)| (name.into(), value.into())).collect(),
    };
    // Each mission starts its own, and each client by a command of its own: each of them has its own pin.
    let name = format!("{}/mcp:{server}#{}", mission.name(), command_mark(&config));
    let identity = gateway.identify(&name, config.clone(), policy.load().mission().pins()).await;
    let (upstream, queue) = StdioUpstream::start(&config).map_err(|error| Answer::refused(Blame::Operator, error))?;
    let session = AgentSession::new(gateway.clone(), run.clone(), policy, server.into(), Proof::Local(authenticated))
        .identified(identity);
    Ok(((Arc::new(session), Arc::new(Upstream::Stdio(upstream))), queue, run))
}
