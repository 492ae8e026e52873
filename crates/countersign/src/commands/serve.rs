//! `countersign serve`: the gateway as a long-running process.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use gateway::audits;
use gateway::config::Config;
use gateway::home::Home;
use gateway::limits::{CALL_TIMEOUT, IDLE, SHUTDOWN_WAIT, WATCH_EVERY};
use gateway::socket::{self, Bridges};
use gateway::{Gateway, cosigning, listener, notify, otel};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use super::block_on;
use crate::exit_code::{Exit, Failure};

/// Run the gateway: Streamable HTTP endpoints at /mcp/SERVER, bridges on the home's socket, and the API for approvers
#[derive(Args)]
#[command(after_help = "Examples:
  countersign serve --config countersign.toml
  curl -s http://127.0.0.1:7070/ready

Prints one line of JSON with the addresses of gateway and console once they take connections. SIGTERM finishes or records what is in flight.")]
pub(crate) struct Serve {
    /// The configuration
    #[arg(long, value_name = "FILE", required_unless_present = "on_demand")]
    config: Option<PathBuf>,
    /// Serve bridges only, and end when none has been there for ten seconds
    #[arg(long, hide = true, conflicts_with = "config")]
    on_demand: bool,
}

impl Serve {
    pub(crate) fn run(self, home: Home) -> Result<Exit, Failure> {
        let config = self.config.as_deref().map(Config::read).transpose().map_err(Failure::usage)?;
        block_on(serve(home, config))?
    }
}

async fn serve(home: Home, config: Option<Config>) -> Result<Exit, Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let call_timeout = config.as_ref().map_or(CALL_TIMEOUT, |config| config.call_timeout);
    let gateway = Gateway::open(home, call_timeout).map_err(Failure::could_not)?;
    let bridges = Arc::new(Bridges::default());
    let on_demand = config.is_none();
    let missions = config.as_ref().map(|config| config.missions.clone());
    let mut doors = JoinSet::new();
    let opened = open(&gateway, config, &bridges, &mut doors).await;
    if opened.is_ok() {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("told to stop"),
            _ = interrupt.recv() => tracing::info!("told to stop"),
            () = watch(&gateway, missions.as_deref()) => {}
            () = nobody(&gateway, &bridges), if on_demand => tracing::info!("no bridge left"),
        }
    }
    gateway.stop();
    if timeout(SHUTDOWN_WAIT, async { while doors.join_next().await.is_some() {} }).await.is_err() {
        tracing::warn!("some sessions did not end in time; their calls are closed as unknown at the next start");
    }
    gateway.close().await;
    opened.map(|()| Exit::Done)
}

/// Opens the local door, and the network door where there is a configuration.
async fn open(
    gateway: &Arc<Gateway>,
    config: Option<Config>,
    bridges: &Arc<Bridges>,
    doors: &mut JoinSet<()>,
) -> Result<(), Failure> {
    gateway.tell_trouble().await;
    gateway.tell_restored().await;
    let local = socket::bind(gateway)?;
    doors.spawn(socket::serve(gateway.clone(), local, bridges.clone()));
    if let Some(config) = config {
        gateway.load_missions(Some(&config.missions)).await?;
        gateway.load_missions_of_runs().await;
        gateway.take_up_changes().await;
        let listener = listener::bind(gateway.clone(), &config).await.map_err(Failure::could_not)?;
        let console = console::door::bind(gateway.clone(), &config).await.map_err(Failure::could_not)?;
        let (agents, people) = (listener.address().to_string(), console.address().to_string());
        println!("{}", serde_json::json!({ "listening": agents, "listening_console": people }));
        doors.spawn(listener.serve());
        doors.spawn(console.serve());
        if let Some(watched) = config.audit {
            doors.spawn(audits::watch::run(gateway.clone(), watched));
        }
        gateway.note_witnesses(config.cosigning.as_ref()).await;
        if let Some(config) = config.cosigning {
            doors.spawn(cosigning::run(gateway.clone(), config));
        }
        if let Some(collector) = config.otel {
            doors.spawn(otel::run(gateway.clone(), collector));
        }
        for (name, receiver) in config.notify {
            doors.spawn(notify::run(gateway.clone(), name, receiver));
        }
    }
    Ok(())
}

/// Takes up new and changed mission files, for ever.
async fn watch(gateway: &Gateway, missions: Option<&Path>) {
    loop {
        sleep(WATCH_EVERY).await;
        gateway.note_trouble();
        gateway.tend_approvals().await;
        gateway.tend_waivers().await;
        gateway.take_up_changes().await;
        if let Err(error) = gateway.load_missions(missions).await {
            tracing::warn!(%error, "mission files could not be looked at");
        }
    }
}

/// Resolves when no bridge has been there, and nobody asked for anything, for a while.
async fn nobody(gateway: &Gateway, bridges: &Bridges) {
    let mut last = Instant::now();
    while last.elapsed() < IDLE {
        sleep(WATCH_EVERY).await;
        if bridges.count() > 0 || gateway.has_open_approvals() {
            last = Instant::now();
        }
    }
}
