//! `countersign witness`: a witness of logs that others run.

use std::net::SocketAddr;

use clap::{Args, Subcommand};
use evidence::checkpoint::{KeyName, VerifierKey};
use evidence::leaf::hex_text;
use gateway::home::Home;
use gateway::witness::{self, Seen, Witness as Opened, log_key};
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use super::{Format, block_on, table};
use crate::exit_code::{Exit, Failure};

/// Cosign heads of logs that others run, so that they cannot show two histories
#[derive(Subcommand)]
pub(crate) enum Witness {
    /// Make the witness's key, and print the public one
    Init(Init),
    /// Take heads of logs, and cosign those that grew
    Serve(Serve),
    /// List what was cosigned last of each log
    List(List),
}

#[derive(Args)]
#[command(after_help = "Examples:
  countersign witness init witness.auditor.example/w1 --home /var/lib/witness

The home must not be that of a gateway: whoever can change a ledger must not be able to change its witness. Keep a copy of the home; a witness that forgets cosigns anything once.")]
pub(crate) struct Init {
    /// The witness's name: an address without https://, such as witness.auditor.example/w1
    #[arg(value_name = "NAME")]
    name: KeyName,
}

#[derive(Args)]
#[command(after_help = "Examples:
  countersign witness serve --home /var/lib/witness --listen 127.0.0.1:7072 --log ap.vkey --log treasury.vkey
  countersign witness serve --home /var/lib/witness --listen 127.0.0.1:7072 --log old.vkey --log new.vkey

It speaks C2SP tlog-witness: POST /add-checkpoint. It sees heads of logs (name, size, root), never records. Put a web server with TLS before it where logs are on other machines. Prints one
line of JSON with its address and public key once it takes connections.")]
pub(crate) struct Serve {
    /// Where it listens
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:7072")]
    listen: SocketAddr,
    /// The public key of a log that it knows: a file with it, or the `vkey` line itself; while a log changes its key, both
    #[arg(long, value_name = "KEY", required = true, value_parser = log_key)]
    log: Vec<VerifierKey>,
}

#[derive(Args)]
#[command(after_help = "Examples:
  countersign witness list --home /var/lib/witness")]
pub(crate) struct List {
    /// How it is written [default: table in a terminal, else json]
    #[arg(long, value_enum)]
    format: Option<Format>,
}

impl Witness {
    pub(crate) fn run(self, home: &Home) -> Result<Exit, Failure> {
        match self {
            Self::Init(Init { name }) => {
                home.prepare().map_err(Failure::could_not)?;
                println!("{}", witness::init(home, name).map_err(Failure::could_not)?);
                Ok(Exit::Done)
            }
            Self::Serve(serve) => block_on(serve.run(home))?,
            Self::List(List { format }) => {
                let (_, seen) = witness::seen(home).map_err(Failure::could_not)?;
                list(&seen, Format::or_fitting(format))
            }
        }
    }
}

impl Serve {
    async fn run(self, home: &Home) -> Result<Exit, Failure> {
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let opened = Opened::open(home, self.log).map_err(Failure::could_not)?;
        let bound = witness::bind(self.listen).await;
        let (listener, address) =
            bound.map_err(|error| Failure::could_not(format!("listen on {}: {error}", self.listen)))?;
        println!("{}", json!({ "listening": address.to_string(), "witness": opened.key().to_string() }));
        let (stop, stopping) = watch::channel(false);
        let serving = opened.serve(listener, stopping);
        tokio::pin!(serving);
        tokio::select! {
            () = &mut serving => return Ok(Exit::Done),
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        stop.send_replace(true);
        serving.await;
        Ok(Exit::Done)
    }
}

fn list(seen: &[Seen], format: Format) -> Result<Exit, Failure> {
    let mut rows = table(&["LOG", "SIZE", "ROOT", "REFUSED"]);
    for Seen { checkpoint, refused } in seen {
        let refused = refused.as_ref().map(|path| path.display().to_string());
        let (log, size, root) = (checkpoint.origin.to_string(), checkpoint.size, hex_text(&checkpoint.root));
        match format {
            Format::Json => {
                println!("{}", json!({ "log": log, "size": size, "root": root, "refused": refused }));
            }
            Format::Csv => return Err(Failure::usage("use --format table or --format json")),
            Format::Table => drop(rows.add_row([log, size.to_string(), root, refused.unwrap_or_default()])),
        }
    }
    if format == Format::Table {
        println!("{rows}");
    }
    Ok(Exit::Done)
}
