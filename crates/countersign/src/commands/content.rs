//! `countersign content`: opens what is kept of the content of a call, and leaves a record of that.

use std::io::IsTerminal as _;

use clap::{Args, ValueEnum};
use evidence::ids::CallId;
use evidence::record::Content as Which;
use gateway::control::{Answer, Ask};
use gateway::home::Home;

use super::ask;
use super::audit::shown;
use crate::exit_code::{Exit, Failure};

/// Open what is kept of the arguments and results of a call; it is recorded who did, and why
#[derive(Args)]
#[command(after_help = "Examples:
  countersign content 0193b5a2-6f1e-7cc3-98c4-dc0c0c07398f --why 'complaint FIN-2304'
  countersign content 0193b5a2-6f1e-7cc3-98c4-dc0c0c07398f --result --why 'complaint FIN-2304' --format text

What is kept is said by [capture] in organisation.toml; without that, the ledger has digests alone. Exit code 1: nothing is kept of it.")]
pub(crate) struct Content {
    /// The call
    call: CallId,
    #[command(flatten)]
    which: Only,
    /// One attempt alone, of a call that took several
    #[arg(long, value_name = "NUMBER")]
    attempt: Option<u32>,
    /// Why: it is recorded
    #[arg(long, value_name = "TEXT")]
    why: String,
    /// How to write it [default: text in a terminal, else json]
    #[arg(long)]
    format: Option<Format>,
}

#[derive(Args)]
#[group(multiple = false)]
struct Only {
    /// What the tool got, alone
    #[arg(long)]
    arguments: bool,
    /// What the agent got instead of what the tool returned, alone
    #[arg(long)]
    delivered: bool,
    /// What the tool returned, alone
    #[arg(long)]
    result: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    /// One JSON object a line
    Json,
    /// The content as it is kept, with a line before it that says what it is
    Text,
}

impl Content {
    pub(crate) fn run(self, home: &Home) -> Result<Exit, Failure> {
        let is_terminal = std::io::stdout().is_terminal();
        let format = self.format.unwrap_or(if is_terminal { Format::Text } else { Format::Json });
        let only = match self.which {
            Only { arguments: true, .. } => Some(Which::Arguments),
            Only { delivered: true, .. } => Some(Which::Delivered),
            Only { result: true, .. } => Some(Which::Result),
            Only { .. } => None,
        };
        let wanted = Ask::OpenContent { attempt: self.attempt, call: self.call, only, why: self.why };
        let Answer::Content(opened) = ask(home, wanted)? else {
            return Err(Failure::could_not("the gateway gave another answer"));
        };
        for one in opened {
            match format {
                Format::Json => println!("{}", serde_json::to_string(&one).map_err(Failure::could_not)?),
                Format::Text => {
                    let classes = if one.classes.is_empty() { "no class of data" } else { &one.classes.join(", ") };
                    println!("{} of attempt {}, {}: {classes}", one.content, one.attempt, one.mode);
                    // To a file or another program it goes as it is.
                    println!("{}", if is_terminal { shown(&one.text) } else { one.text });
                }
            }
        }
        Ok(Exit::Done)
    }
}
