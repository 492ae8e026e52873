//! One file for each command.

pub(crate) mod approvals;
pub(crate) mod attach;
pub(crate) mod audit;
pub(crate) mod backup;
pub(crate) mod classes;
pub(crate) mod classify;
pub(crate) mod content;
pub(crate) mod doctor;
pub(crate) mod exceptions;
pub(crate) mod export;
pub(crate) mod halt;
pub(crate) mod init;
pub(crate) mod keys;
pub(crate) mod mcp;
pub(crate) mod mission;
pub(crate) mod notify;
pub(crate) mod organisation;
pub(crate) mod people;
pub(crate) mod run;
pub(crate) mod serve;
pub(crate) mod tools;
pub(crate) mod upstream;
pub(crate) mod verify;
pub(crate) mod witness;

use std::future::Future;
use std::io::IsTerminal;
use std::time::Instant;

use clap::ValueEnum;
use comfy_table::presets::NOTHING;
use comfy_table::{Attribute, Cell, ContentArrangement, Table};
use evidence::record::Look;
use gateway::bridge::Connection;
use gateway::control::{Answer, Ask};
use gateway::home::Home;
use gateway::limits::{CALL_TIMEOUT, START_WAIT, TRY_AGAIN};
use gateway::{Gateway, OpenError};
use governance::mission::Reads;
use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};

use crate::exit_code::Failure;

/// How output is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Comma-separated values
    Csv,
    /// One JSON object a line
    Json,
    /// A table for people
    Table,
}

impl Format {
    /// Tables in a terminal, JSON in a pipe, unless told otherwise.
    pub(crate) fn or_fitting(asked: Option<Self>) -> Self {
        asked.unwrap_or(if std::io::stdout().is_terminal() { Self::Table } else { Self::Json })
    }
}

/// Runs `work` on one reactor thread: measured faster here than several.
pub(crate) fn block_on<T>(work: impl Future<Output = T>) -> Result<T, Failure> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(work))
}

/// Puts a question to the home's gateway, or opens the home for it where none runs.
pub(crate) fn ask(home: &Home, ask: Ask) -> Result<Answer, Failure> {
    match block_on(put(home, ask))?? {
        Answer::Refused(refused) => Err(refused.into()),
        answer => Ok(answer),
    }
}

async fn put(home: &Home, ask: Ask) -> Result<Answer, Failure> {
    let deadline = Instant::now() + START_WAIT;
    loop {
        if let Some(mut connection) = Connection::find(home).await.map_err(Failure::could_not)? {
            return connection.ask(&ask).await.map_err(Failure::could_not);
        }
        match Gateway::open(home.clone(), CALL_TIMEOUT) {
            Ok(gateway) => {
                let who = gateway::people::user_name(rustix::process::geteuid().as_raw());
                let answer = gateway.answer(ask, &who).await;
                gateway.close().await;
                return Ok(answer);
            }
            // A gateway that starts has the lock before it has the socket, and one that ends gives up the socket first.
            Err(OpenError::Ledger(store::OpenError::Locked)) if Instant::now() < deadline => {
                tokio::time::sleep(TRY_AGAIN).await;
            }
            Err(error) => return Err(Failure::could_not(error)),
        }
    }
}

/// Records who looks at the records that match `filter`, where the organisation has that recorded; nothing is shown before.
pub(crate) fn looked(home: &Home, filter: &str, look: Look, why: Option<&str>) -> Result<(), Failure> {
    match (gateway::organisation::reads(home), why) {
        (Reads::Unrecorded, None) => Ok(()),
        (Reads::Recorded, None) => {
            Err(Failure::usage("the organisation records who looks at the evidence, and why: say so with --why TEXT"))
        }
        (_, Some(why)) => {
            ask(home, Ask::Look { filter: filter.to_owned(), look, why: why.to_owned() })?;
            Ok(())
        }
    }
}

/// An empty table with these headings, as wide as the terminal.
pub(crate) fn table(headings: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(headings.iter().map(|heading| Cell::new(heading).add_attribute(Attribute::Bold)));
    table
}

/// Counts `what` on standard error, where a person looks, until it is finished.
fn counting(what: &'static str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{spinner} {human_pos} {msg}, {per_sec}");
    let bar = ProgressBar::new_spinner().with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    bar.with_message(what).with_finish(ProgressFinish::AndClear)
}
