//! A real MCP server (revision 2025-11-25) whose effects can be counted from outside: the upstream of crash, load and end-to-end tests.
//!
//! It shares no code with the gateway's own surfaces, so that a mistake there is not repeated here. [`tools`] says what a message is answered with, as a
//! script of acts; [`script`] performs it; [`http`] and [`stdio`] carry the messages. Hostile modes do what a broken or evil server would do.

mod http;
mod message;
mod script;
mod stdio;
mod tools;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;

use clap::{Args, Parser, ValueEnum};

/// The command line of the test upstream.
#[derive(Debug, Parser)]
#[command(name = "countersign-upstream", about = "an MCP server for tests")]
pub struct Options {
    /// How clients reach it.
    #[command(flatten)]
    pub transport: Transport,
    /// Where `effect` and `slow_effect` append what they did.
    #[arg(long, value_name = "FILE")]
    pub effects: Option<PathBuf>,
    /// Where every message that arrives is appended as it came.
    #[arg(long, value_name = "FILE")]
    pub transcript: Option<PathBuf>,
    /// What `tools/list` answers instead of the usual tools: a file with their list as JSON, read anew each time.
    #[arg(long, value_name = "FILE")]
    pub definitions: Option<PathBuf>,
    /// Misbehave on tool calls.
    #[arg(long, value_name = "MODE")]
    pub hostile: Option<Hostile>,
}

/// One of the two transports.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
pub struct Transport {
    /// Serve Streamable HTTP here; port 0 takes a free one. Prints one line of JSON with the address.
    #[arg(long, value_name = "ADDR")]
    pub http: Option<SocketAddr>,
    /// Serve one client over standard input and output.
    #[arg(long)]
    pub stdio: bool,
}

/// How the upstream misbehaves when a tool is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Hostile {
    /// Answers every call twice.
    AnswersTwice,
    /// Answers first under an id that nobody used.
    UnknownId,
    /// Reports progress under a token that nobody gave before it answers.
    ForgesProgress,
    /// Takes calls and is silent.
    NeverAnswers,
    /// Writes half an answer and exits with status 9.
    DiesMidCall,
    /// Writes megabytes to standard error before it answers.
    FloodsStderr,
    /// Asks without end and reads nothing more.
    FloodsRequests,
    /// Sends a line that is not JSON before it answers.
    GarbageLine,
    /// Answers with more than any client should read.
    OversizeResult,
    /// Asks the client's model, and answers with what came back.
    SamplingRequest,
    /// Asks the client's user, and answers with what came back.
    ElicitationRequest,
    /// Changes its list of tools at the first call, and announces it.
    ChangesTools,
}

/// Serves until the client is gone (stdio) or the process is ended (HTTP).
///
/// # Errors
/// When a file or the address cannot be opened.
pub fn serve(options: &Options) -> anyhow::Result<()> {
    let server = Rc::new(tools::Server::open(options)?);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tasks = tokio::task::LocalSet::new();
    match options.transport.http {
        Some(addr) => tasks.block_on(&runtime, http::serve(server, addr)),
        None => tasks.block_on(&runtime, stdio::serve(server)),
    }
}
