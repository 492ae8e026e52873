//! `countersign exceptions`: what was outside the plan, and what persons do about it.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use evidence::exceptions::{Life, statement};
use evidence::ids::ExceptionId;
use evidence::record::{ExceptionEvent, ExceptionKind, ExceptionRecord};
use evidence::time::Timestamp;
use gateway::clock;
use gateway::control::{Answer, Ask};
use gateway::exceptions::{Deed, Signature, lives};
use gateway::home::Home;
use serde_json::json;
use store::Reader;

use super::{Format, ask, table};
use crate::exit_code::{Exit, Failure};

/// See to what was outside the plan: open, mitigate, review, close
#[derive(Subcommand)]
#[command(after_help = "Examples:
  countersign exceptions list --overdue
  countersign exceptions mitigate 0193b5a2-6f1e-7cc3-98c4-dc0c0c07398f --what 'the bank says that it was not paid'
  countersign exceptions review 0193b5a2-6f1e-7cc3-98c4-dc0c0c07398f --note 'seen the statement'
  countersign exceptions review 0193b5a2-6f1e-7cc3-98c4-dc0c0c07398f --note 'the refund was right' --key ~/bea.key
  countersign exceptions close 0193b5a2-6f1e-7cc3-98c4-dc0c0c07398f --note 'paid again by hand'
  countersign exceptions open --kind waiver --scope mission:pay --owner finance@corp.example --until 2026-12-31 \\
      --reason 'the second reviewer is ill' --control 'the treasurer looks at each payment'")]
pub(crate) enum Exceptions {
    /// List exceptions; those that are not closed unless told otherwise
    List(List),
    /// Open one: a waiver, or what no machine has found
    Open(Open),
    /// Say what was done about one
    Mitigate {
        /// Which
        #[arg(value_name = "ID")]
        exception: ExceptionId,
        /// What was done
        #[arg(long, value_name = "TEXT")]
        what: String,
    },
    /// Review what was done: somebody else than its owner and than who did it
    Review(Noted),
    /// Close one that was reviewed
    Close(Noted),
}

#[derive(Args)]
pub(crate) struct List {
    /// Only in this state: opened, mitigated, reviewed or closed
    #[arg(long, value_name = "STATE")]
    state: Option<ExceptionEvent>,
    /// Only of this kind
    #[arg(long, value_name = "KIND")]
    kind: Option<ExceptionKind>,
    /// Only those that should be closed by now
    #[arg(long)]
    overdue: bool,
    /// How to write them [default: a table in a terminal, else json]
    #[arg(long)]
    format: Option<Format>,
}

#[derive(Args)]
pub(crate) struct Open {
    /// What kind: waiver, or any other
    #[arg(long, value_name = "KIND")]
    kind: ExceptionKind,
    /// What it touches, such as mission:pay or call:ID
    #[arg(long, value_name = "SCOPE")]
    scope: String,
    /// Who must see to it
    #[arg(long, value_name = "WHO")]
    owner: String,
    /// When it must be closed, or until when a waiver holds: a day of UTC, which counts through its end
    #[arg(long, value_name = "DAY")]
    until: String,
    /// What happened
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// What makes up for it: the compensating control, which a waiver must have
    #[arg(long, value_name = "TEXT")]
    control: Option<String>,
}

#[derive(Args)]
pub(crate) struct Noted {
    /// Which
    #[arg(value_name = "ID")]
    exception: ExceptionId,
    /// What you have to say about it: it is recorded
    #[arg(long, value_name = "TEXT")]
    note: String,
    /// The file of your key: whoever looks at broken glass signs
    #[arg(long, value_name = "FILE", env = "COUNTERSIGN_KEY")]
    key: Option<PathBuf>,
}

impl Noted {
    /// What is noted, signed where there is a key.
    fn signed(self, event: ExceptionEvent) -> Result<(ExceptionId, String, Option<Box<Signature>>), Failure> {
        let Self { exception, note, key } = self;
        let Some(key) = key.as_deref().map(super::people::open).transpose()? else {
            return Ok((exception, note, None));
        };
        let (nonce, signed_at) = (clock::nonce(), clock::now());
        let record = ExceptionRecord {
            broken_glass: None,
            due: None,
            event,
            exception,
            kind: ExceptionKind::BreakGlass,
            mitigation: None,
            note: Some(note.clone()),
            owner: String::new(),
            reason: String::new(),
            scope: String::new(),
            signed: None,
            who: Some(key.person().to_owned()),
        };
        let signature = key.sign(&statement(&record, &nonce, signed_at));
        let person = key.person().to_owned();
        Ok((exception, note, Some(Box::new(Signature { key: key.id(), nonce, person, signature, signed_at }))))
    }
}

impl Exceptions {
    pub(crate) fn run(self, home: &Home) -> Result<Exit, Failure> {
        let deed = match self {
            Self::List(list) => return list.run(home),
            Self::Open(Open { kind, scope, owner, until, reason, control }) => {
                Deed::Open { due: end_of(&until)?, kind, mitigation: control, owner, reason, scope }
            }
            Self::Mitigate { exception, what } => Deed::Mitigate { exception, what },
            Self::Review(noted) => {
                let (exception, note, signed) = noted.signed(ExceptionEvent::Reviewed)?;
                Deed::Review { exception, note, signed }
            }
            Self::Close(noted) => {
                let (exception, note, signed) = noted.signed(ExceptionEvent::Closed)?;
                Deed::Close { exception, note, signed }
            }
        };
        let done = match &deed {
            Deed::Close { .. } => "closed",
            Deed::Mitigate { .. } => "mitigated",
            Deed::Open { .. } => "opened",
            Deed::Review { .. } => "reviewed",
        };
        match ask(home, Ask::Exception(Box::new(deed)))? {
            Answer::Excepted(exception) => {
                println!("{exception} {done}");
                Ok(Exit::Done)
            }
            answer => Err(Failure::could_not(format!("the gateway answered with something else: {answer:?}"))),
        }
    }
}

/// The last moment of a day.
fn end_of(day: &str) -> Result<Timestamp, Failure> {
    format!("{day}T23:59:59.999999Z")
        .parse()
        .map_err(|_| Failure::usage(format!("`{day}` is no day; write it as 2026-12-31")))
}

impl List {
    fn run(self, home: &Home) -> Result<Exit, Failure> {
        let reader = Reader::open(home.path()).map_err(Failure::could_not)?;
        let (lives, at) = (lives(&reader).map_err(Failure::could_not)?, clock::now());
        let is_wanted = |life: &Life| {
            let is_state = match self.state {
                Some(state) => life.state == state,
                None => life.state != ExceptionEvent::Closed,
            };
            is_state && self.kind.is_none_or(|kind| kind == life.kind) && (!self.overdue || life.is_overdue(at))
        };
        let wanted = lives.iter().filter(|(_, life)| is_wanted(life));
        match Format::or_fitting(self.format) {
            Format::Json => {
                for (exception, life) in wanted {
                    let Life { due, kind, mitigations, opened_at, owner, reason, reviewer, scope, state, .. } = life;
                    println!(
                        "{}",
                        json!({
                            "exception": exception, "due": due, "kind": kind, "mitigations": mitigations,
                            "opened_at": opened_at, "overdue": life.is_overdue(at), "owner": owner, "reason": reason,
                            "reviewer": reviewer, "scope": scope, "state": state,
                        })
                    );
                }
            }
            Format::Csv | Format::Table => {
                let mut table = table(&["exception", "state", "kind", "scope", "owner", "due", "reason"]);
                for (exception, life) in wanted {
                    let due = life.due.map(|due| due.to_string().chars().take(10).collect::<String>());
                    let late = if life.is_overdue(at) { " overdue" } else { "" };
                    table.add_row([
                        exception.to_string(),
                        life.state.to_string(),
                        life.kind.to_string(),
                        super::audit::visible(life.scope.clone()),
                        super::audit::visible(life.owner.clone()),
                        format!("{}{late}", due.unwrap_or_default()),
                        super::audit::visible(life.reason.clone()),
                    ]);
                }
                println!("{table}");
            }
        }
        Ok(Exit::Done)
    }
}
