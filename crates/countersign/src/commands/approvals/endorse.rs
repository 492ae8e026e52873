//! `countersign endorse` and `countersign endorsements`: that one value is good in one argument, whoever names it, for a time. People are asked as for a standing grant.

use std::io::{BufRead as _, IsTerminal as _, Read as _};

use clap::Args;
use console::wire::{Approval, Waiting};
use evidence::record::approval::Answer;
use gateway::approvals::{ApprovalState, Wanted};
use gateway::clock;
use gateway::home::Home;
use governance::limits::ENDORSED_BYTES_MAX;
use serde_json::json;

use super::place::{At, Use};
use super::{find, pages, until, visit};
use crate::commands::audit::visible;
use crate::commands::{Format, table};
use crate::exit_code::{Exit, Failure};

/// Ask people to endorse one value that calls act on: until a day, its calls need no answer to who named it
#[derive(Args)]
#[command(after_help = "Examples:
  countersign endorse --mission pay-vendors --tool mcp:bank/send_money --field recipient \\
    --until 2026-12-31 --why 'ACME, checked by telephone' < account.txt
  countersign endorsements
  countersign endorse --withdraw 0193b5a2 --why 'ACME has a new bank'

The value is read from standard input, one line, and stands in no argument of the command. The people of the gate that `untrusted-target` asks are shown it, and answer.")]
pub(crate) struct Endorse {
    /// The mission whose calls it is for
    #[arg(long, value_name = "NAME", required_unless_present = "withdraw")]
    mission: Option<String>,
    /// The tool, as in mcp:bank/send_money
    #[arg(long, value_name = "TOOL", required_unless_present = "withdraw")]
    tool: Option<String>,
    /// The argument, as rules and records name it: recipient, /customer/email
    #[arg(long, value_name = "ARGUMENT", required_unless_present = "withdraw")]
    field: Option<String>,
    /// Until when: a day of UTC, which counts through its end, or a time such as 2026-12-31T18:00:00Z
    #[arg(long, value_name = "DATE", required_unless_present = "withdraw")]
    until: Option<String>,
    /// Why: it is recorded
    #[arg(long, value_name = "TEXT")]
    why: String,
    /// Take back this one instead
    #[arg(long, value_name = "ID", conflicts_with_all = ["mission", "tool", "field", "until"])]
    withdraw: Option<String>,
    #[command(flatten)]
    at: At,
}

/// List the values that are endorsed, and those that people are asked to endorse
#[derive(Args)]
pub(crate) struct Endorsements {
    /// How to write them [default: a table in a terminal, else json]
    #[arg(long)]
    format: Option<Format>,
    /// As JSON, one object a line
    #[arg(long, conflicts_with = "format")]
    json: bool,
    #[command(flatten)]
    at: At,
}

impl Endorse {
    pub(crate) fn run(self, home: &Home) -> Result<Exit, Failure> {
        let Self { mission, tool, field, until, why, withdraw, at } = self;
        if let Some(approval) = withdraw {
            return visit(at, home, Use::Read, |place| {
                let endorsement = find(place, &approval)?;
                if endorsement.endorses.is_none() {
                    let id = endorsement.approval;
                    return Err(Failure::no(format!(
                        "`{id}` is no endorsement; `countersign endorsements` lists them"
                    )));
                }
                match endorsement.state.as_str() {
                    "open" => drop(place.release(endorsement.approval, why)?),
                    _ => place.revoke(endorsement.approval, why)?,
                }
                println!("{} withdrawn", endorsement.approval);
                Ok(Exit::Done)
            });
        }
        let value = value()?;
        // JSON's texts are TOML's.
        let said = |name: &str, text: Option<String>| format!("{name} = {}\n", json!(text.unwrap_or_default()));
        let day = until.unwrap_or_default();
        if day.is_empty() || !day.bytes().all(|byte| byte.is_ascii_digit() || b"-:.+TZ".contains(&byte)) {
            return Err(Failure::usage(format!("`{day}` is no day; write it as 2026-12-31")));
        }
        let text = [
            said("endorse", field),
            said("mission", mission),
            said("tool", tool),
            said("value", Some(value)),
            format!("until = {day}\n"),
            said("why", Some(why)),
            said("salt", Some(clock::nonce())),
        ];
        visit(at, home, Use::Read, |place| {
            let Waiting { approval, respond_by } = place.grant(text.concat())?;
            println!("{approval} is asked, answer by {}", super::until(respond_by));
            Ok(Exit::Done)
        })
    }
}

/// The value, from a pipe or whoever sits there.
fn value() -> Result<String, Failure> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        eprint!("value: ");
    }
    let mut line = String::new();
    stdin.lock().take(ENDORSED_BYTES_MAX as u64 + 2).read_line(&mut line).map_err(Failure::could_not)?;
    let value = line.trim();
    if value.is_empty() || value.len() > ENDORSED_BYTES_MAX {
        let reason = format!("standard input gives no value of 1 to {ENDORSED_BYTES_MAX} bytes in its first line");
        return Err(Failure::usage(reason));
    }
    Ok(value.to_owned())
}

impl Endorsements {
    pub(crate) fn run(self, home: &Home) -> Result<Exit, Failure> {
        let format = if self.json { Format::Json } else { Format::or_fitting(self.format) };
        visit(self.at, home, Use::Read, |place| {
            let mut all: Vec<Approval> = Vec::new();
            for state in [ApprovalState::Approved, ApprovalState::Open] {
                let wanted = Wanted { state: Some(state), ..Wanted::default() };
                pages(place, wanted, |approval| all.extend(Some(approval).filter(|one| one.endorses.is_some())))?;
            }
            if format == Format::Json {
                all.iter().for_each(|approval| println!("{}", json!(approval)));
                return Ok(Exit::Done);
            }
            let mut table = table(&["endorsement", "state", "mission", "tool", "field", "by", "until", "what"]);
            for one in all {
                let by = one.reviews.iter().filter(|review| review.answer == Answer::Approve);
                let by: Vec<&str> = by.map(|review| &*review.reviewer).collect();
                table.add_row([
                    one.approval.to_string(),
                    one.state.as_str().to_owned(),
                    visible(one.mission),
                    visible(one.tool),
                    visible(one.endorses.unwrap_or_default()),
                    visible(by.join(", ")),
                    one.not_after.map(until).unwrap_or_default(),
                    visible(one.sentence),
                ]);
            }
            println!("{table}");
            Ok(Exit::Done)
        })
    }
}
