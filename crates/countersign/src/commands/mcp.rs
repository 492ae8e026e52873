//! `countersign mcp`: a thin bridge from a client's pipes to the one gateway of the home.

use std::path::PathBuf;

use clap::Args;
use evidence::ids::RunId;
use gateway::bridge::Connection;
use gateway::config::CHILD_ENV;
use gateway::control::{Answer, Ask, Bridge};
use gateway::home::Home;
use gateway::runs::Which;

use super::block_on;
use crate::exit_code::{Exit, Failure};

/// Put one stdio MCP server behind the gateway, for any MCP client
#[derive(Args)]
#[command(after_help = "Examples:
  countersign mcp --mission docs.toml -- npx -y @modelcontextprotocol/server-filesystem /srv/docs
  countersign mcp --mission erp.toml --server erp --env ERP_TOKEN -- uvx erp-mcp

In a client's configuration, `command` is `countersign` and `args` is everything after it.
Bridges with the same mission, agent and initiator share one run; `--new-run` begins another.")]
pub(crate) struct Mcp {
    /// The mission file
    #[arg(long, value_name = "FILE")]
    mission: PathBuf,
    /// The server's name in the mission [default: its only one]
    #[arg(long, value_name = "NAME")]
    server: Option<String>,
    /// The agent's name [default: the mission's first]
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// On whose behalf the agent acts [default: you]; another name is recorded as asserted only
    #[arg(long, value_name = "WHO")]
    initiator: Option<String>,
    /// What the initiator asked for, in words
    #[arg(long, value_name = "TEXT")]
    words: Option<String>,
    /// Join this run
    #[arg(long, value_name = "ID", conflicts_with = "new_run")]
    run: Option<RunId>,
    /// Begin a new run
    #[arg(long)]
    new_run: bool,
    /// Pass this environment variable to the server; others than PATH, HOME and the like do not pass
    #[arg(long, value_name = "NAME")]
    env: Vec<String>,
    /// The server's command
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

impl Mcp {
    pub(crate) fn run(self, home: Home) -> Result<Exit, Failure> {
        let text = |value: std::ffi::OsString| value.into_string().ok();
        for name in &self.env {
            if std::env::var_os(name).is_none() {
                return Err(Failure::usage(format!("--env {name}: the environment has no `{name}`")));
            }
        }
        let names = CHILD_ENV.iter().copied().chain(self.env.iter().map(String::as_str));
        let env = names.filter_map(|name| Some((name.to_owned(), std::env::var_os(name).and_then(text)?))).collect();
        let bridge = Bridge {
            agent: self.agent,
            command: self.command,
            cwd: std::env::current_dir()?,
            env,
            initiator: self.initiator,
            mission: std::path::absolute(&self.mission)?,
            server: self.server,
            which: match (self.run, self.new_run) {
                (Some(run), _) => Which::This(run),
                (None, true) => Which::New,
                (None, false) => Which::Joined,
            },
            words: self.words,
        };
        let program = std::env::current_exe()?;
        block_on(async {
            let (connection, answer) =
                Connection::open(&home, &program, &Ask::Bridge(Box::new(bridge))).await.map_err(Failure::could_not)?;
            match answer {
                Answer::Bridged { run } => tracing::info!(%run, "bridged"),
                Answer::Refused(refused) => return Err(refused.into()),
                answer => {
                    return Err(Failure::could_not(format!("the gateway answered with something else: {answer:?}")));
                }
            }
            let carried = connection.carry().await;
            if let Err(error) = &carried {
                eprintln!(
                    "countersign: the gateway went away: {error}. Start this server again in the client and send the same call again: what waits for people still waits"
                );
            }
            // Standard input is read by a thread that nothing can wake; waiting for it would keep a bridge whose gateway is gone.
            std::process::exit(if carried.is_ok() { 0 } else { 3 })
        })?
    }
}
