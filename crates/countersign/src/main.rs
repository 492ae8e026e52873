//! The `countersign` command: composes the crates and gives them a command line. It decides nothing and holds no state of its own.

mod commands;
mod exit_code;

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory as _, Parser, Subcommand};
use clap_complete::CompleteEnv;
use tracing_subscriber::EnvFilter;

use crate::exit_code::Failure;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// The control point between agents and their tools: every call is held to a mission, decided, executed at most once, and recorded before it acts.
#[derive(Parser)]
#[command(name = "countersign", version, propagate_version = true, max_term_width = 100, after_help = AFTER)]
struct Cli {
    /// Folder of the ledger, keys and state [default: $XDG_STATE_HOME/countersign or ~/.local/state/countersign]
    #[arg(long, global = true, env = "COUNTERSIGN_HOME", value_name = "DIR")]
    home: Option<PathBuf>,

    #[command(subcommand)]
    command: Command,
}

const AFTER: &str = "Start here:
  countersign mission check mission.toml
  countersign mcp --mission mission.toml -- npx -y @modelcontextprotocol/server-filesystem /srv/docs
  countersign audit 'decision:deny after:2026-11-01'
  countersign verify --ledger

In bash, `source <(COMPLETE=bash countersign)` completes commands, options and filters; zsh, fish, elvish and powershell likewise.

Exit codes: 0 done, 1 the answer is no (denied, unverified), 2 usage, 3 could not.";

#[derive(Subcommand)]
enum Command {
    /// Put one stdio MCP server behind the gateway, for any MCP client
    Mcp(commands::mcp::Mcp),
    /// Run the gateway: Streamable HTTP endpoints at /mcp/SERVER, and bridges on the home's socket
    Serve(commands::serve::Serve),
    /// Start, list, show, end and revoke runs
    #[command(subcommand)]
    Run(commands::run::Run),
    /// Log in at upstreams that want OAuth, and out again
    #[command(subcommand)]
    Upstream(commands::upstream::Upstream),
    /// Compare, accept and confirm the definitions of tools
    #[command(subcommand)]
    Tools(commands::tools::Tools),
    /// Check and explain mission files
    #[command(subcommand)]
    Mission(commands::mission::Mission),
    /// Check what every mission is held to
    #[command(subcommand)]
    Organisation(commands::organisation::Organisation),
    /// See what people are asked, and answer
    #[command(subcommand)]
    Approvals(commands::approvals::Approvals),
    /// Ask people to endorse one value that calls act on, or withdraw that
    Endorse(commands::approvals::Endorse),
    /// List the values that are endorsed, and those that people are asked to endorse
    Endorsements(commands::approvals::Endorsements),
    /// Try who is notified of what waits for people
    #[command(subcommand)]
    Notify(commands::notify::Notify),
    /// List who may answer, and enrol the keys with which they sign
    #[command(subcommand)]
    People(commands::people::People),
    /// Filter the evidence
    Audit(commands::audit::Audit),
    /// Link a file to a record
    Attach(commands::attach::Attach),
    /// List attachments and get them back
    #[command(subcommand)]
    Attachments(commands::attach::Attachments),
    /// Open what is kept of the content of a call
    Content(commands::content::Content),
    /// Check the organisation's own classes of data, and make indexes of its values
    #[command(subcommand)]
    Classes(commands::classes::Classes),
    /// Find secrets, personal and payment data in a text
    Classify(commands::classify::Classify),
    /// See to what was outside the plan: open, mitigate, review, close
    #[command(subcommand)]
    Exceptions(commands::exceptions::Exceptions),
    /// Back up the home, also while its gateway runs
    Backup(commands::backup::Backup),
    /// Make a home from a backup
    Restore(commands::backup::Restore),
    /// Write a bundle of records that an outsider can verify
    Export(commands::export::Export),
    /// Check a bundle, or the ledger, byte by byte
    Verify(commands::verify::Verify),
    /// List the keys that sign the log, and have another one sign it
    #[command(subcommand)]
    Keys(commands::keys::Keys),
    /// Cosign heads of logs that others run, so that they cannot show two histories
    #[command(subcommand)]
    Witness(commands::witness::Witness),
    /// Stop everything, a mission or an agent now
    Halt(commands::halt::Halt),
    /// Let go on what was halted
    Resume(commands::halt::Halt),
    /// Say what is wrong here and how to mend it
    Doctor(commands::doctor::Doctor),
}

fn main() -> ExitCode {
    // Where a shell asks how a line goes on, it is told, and nothing else is done.
    CompleteEnv::with_factory(Cli::command).complete();
    let cli = Cli::parse();
    log();
    let home = || gateway::home::Home::find(cli.home.clone()).map_err(Failure::could_not);
    let done = match cli.command {
        Command::Mcp(command) => home().and_then(|home| command.run(home)),
        Command::Serve(command) => home().and_then(|home| command.run(home)),
        Command::Run(command) => home().and_then(|home| command.run(&home)),
        Command::Upstream(command) => home().and_then(|home| command.run(&home)),
        Command::Tools(command) => home().and_then(|home| command.run(&home)),
        Command::Mission(command) => command.run(home),
        Command::Organisation(command) => command.run(home),
        Command::Approvals(command) => home().and_then(|home| command.run(&home)),
        Command::Endorse(command) => home().and_then(|home| command.run(&home)),
        Command::Endorsements(command) => home().and_then(|home| command.run(&home)),
        Command::Notify(command) => command.run(),
        Command::People(command) => home().and_then(|home| command.run(&home)),
        Command::Attach(command) => home().and_then(|home| command.run(&home)),
        Command::Attachments(command) => home().and_then(|home| command.run(&home)),
        Command::Audit(command) => command.run(home),
        Command::Classes(command) => home().and_then(|home| command.run(&home)),
        Command::Classify(command) => command.run(home().ok().as_ref()),
        Command::Content(command) => home().and_then(|home| command.run(&home)),
        Command::Exceptions(command) => home().and_then(|home| command.run(&home)),
        Command::Backup(command) => home().and_then(|home| command.run(&home)),
        Command::Restore(command) => home().and_then(|home| command.run(&home)),
        Command::Export(command) => home().and_then(|home| command.run(&home)),
        Command::Verify(command) => command.run(home),
        Command::Keys(command) => home().and_then(|home| command.run(&home)),
        Command::Witness(command) => home().and_then(|home| command.run(&home)),
        Command::Halt(command) => home().and_then(|home| command.run(&home, gateway::halts::Switch::Halted)),
        Command::Resume(command) => home().and_then(|home| command.run(&home, gateway::halts::Switch::Resumed)),
        Command::Doctor(command) => home().and_then(|home| command.run(&home)),
    };
    match done {
        Ok(code) => code.into(),
        Err(failure) => failure.tell(),
    }
}

/// Logs go to standard error; `COUNTERSIGN_LOG` sets what, as in `info` or `surfaces=debug`.
fn log() {
    let filter = EnvFilter::try_from_env("COUNTERSIGN_LOG").unwrap_or_else(|_| EnvFilter::new("warn,gateway=info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
}
