//! `countersign keys`: the keys that sign the log.

use clap::{Args, Subcommand};
use evidence::rotation::KeyChain;
use gateway::control::{Answer, Ask};
use gateway::home::Home;
use serde_json::json;
use store::Reader;

use super::{Format, ask, table};
use crate::exit_code::{Exit, Failure};

/// List the keys that sign the log, and have another one sign it
#[derive(Subcommand)]
pub(crate) enum Keys {
    /// List the keys that signed the log, one after the other
    List(List),
    /// Make the log's next key and print the public one, so that whoever must know it can be told before it signs
    Next(Next),
    /// Have the next key sign the log from now on
    RotateLog(RotateLog),
}

#[derive(Args)]
#[command(after_help = "Examples:
  countersign keys list")]
pub(crate) struct List {
    /// How it is written [default: table in a terminal, else json]
    #[arg(long, value_enum)]
    format: Option<Format>,
}

#[derive(Args)]
#[command(after_help = "Examples:
  countersign keys next > next.vkey")]
pub(crate) struct Next {}

#[derive(Args)]
#[command(after_help = "Examples:
  countersign keys rotate-log --why 'once a year'

The change is a record; the last checkpoint under the old key covers it, and the new key signs that too. Whoever trusts either key can verify from then on, and follows to the other. The old
private key is deleted. Witnesses must know the new key (see countersign keys next) before they cosign again.")]
pub(crate) struct RotateLog {
    /// Why: it is recorded
    #[arg(long, value_name = "TEXT")]
    why: String,
}

impl Keys {
    pub(crate) fn run(self, home: &Home) -> Result<Exit, Failure> {
        match self {
            Self::List(List { format }) => {
                let reader = Reader::open(home.path()).map_err(Failure::could_not)?;
                list(&reader.keys().map_err(Failure::could_not)?, Format::or_fitting(format))
            }
            Self::Next(Next {}) => key(home, Ask::NextLogKey),
            Self::RotateLog(RotateLog { why }) => key(home, Ask::RotateLogKey { why }),
        }
    }
}

fn key(home: &Home, question: Ask) -> Result<Exit, Failure> {
    let Answer::LogKey(key) = ask(home, question)? else {
        return Err(Failure::could_not("the gateway gave another answer"));
    };
    println!("{key}");
    Ok(Exit::Done)
}

fn list(keys: &KeyChain, format: Format) -> Result<Exit, Failure> {
    let ended = keys.handovers().iter().map(|handover| (handover.keys.old.to_string(), Some(handover)));
    let mut rows = table(&["KEY", "UNTIL RECORD", "NEXT NAMED BY"]);
    for (key, handover) in ended.chain([(keys.last().to_string(), None)]) {
        let (until, named) = handover.map(|handover| (handover.checkpoint.size, handover.seq)).unzip();
        match format {
            Format::Json => println!("{}", json!({ "key": key, "until": until, "next_named_by": named })),
            Format::Csv => return Err(Failure::usage("use --format table or --format json")),
            Format::Table => {
                let text = |number: Option<u64>| number.map(|number| number.to_string()).unwrap_or_default();
                rows.add_row([key, text(until), text(named)]);
            }
        }
    }
    if format == Format::Table {
        println!("{rows}");
    }
    Ok(Exit::Done)
}
