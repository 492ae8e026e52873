//! `countersign run`: runs and their tokens.

mod show;

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use evidence::ids::RunId;
use evidence::record::Look;
use gateway::bridge::Connection;
use gateway::control::{Answer, Ask, RunView};
use gateway::home::Home;
use gateway::met::recorded;
use gateway::runs::{Run as OpenRun, Standing, Wanted, open_runs};
use store::{ReadError, Reader};

use super::{Format, ask, block_on, looked, table};
use crate::exit_code::{Exit, Failure};

/// Start, list, show, end and revoke runs
#[derive(Subcommand)]
#[command(after_help = "Examples:
  countersign run start --mission pay-supplier-invoices --agent ap-bot --initiator ana@corp.example --for 8h
  countersign run list
  countersign run show 0193b5a2-6f1e-7cc3-98c4-dc0c0c07398f
  countersign run revoke 0193b5a2-6f1e-7cc3-98c4-dc0c0c07398f --why 'wrong supplier list'")]
pub(crate) enum Run {
    /// Start a run and print its token, once
    Start(Start),
    /// List the open runs
    List {
        /// How to write them [default: a table in a terminal, else json]
        #[arg(long)]
        format: Option<Format>,
    },
    /// Show one run as a picture of the whole: who, when, calls, data, approvals, what is open
    Show {
        /// The run, also one that is over
        run: RunId,
        /// How to write it [default: tables in a terminal, else json]
        #[arg(long)]
        format: Option<Format>,
        /// Why: the look is recorded with it, which an organisation may demand
        #[arg(long, value_name = "TEXT")]
        why: Option<String>,
    },
    /// End a run in order
    End(Close),
    /// Revoke a run: its next decision denies
    Revoke(Close),
}

#[derive(Args)]
pub(crate) struct Start {
    /// The mission: the name of a loaded one, or a file
    #[arg(long, value_name = "NAME|FILE")]
    mission: String,
    /// Who acts
    #[arg(long, value_name = "NAME")]
    agent: String,
    /// On whose behalf
    #[arg(long, value_name = "WHO")]
    initiator: String,
    /// What the initiator asked for, in words
    #[arg(long, value_name = "TEXT")]
    words: Option<String>,
    /// How long, e.g. 30m, 8h, 5d
    #[arg(long = "for", value_name = "TIME", default_value = "8h", value_parser = lasting)]
    lasts_us: i64,
    /// `token` prints nothing but the token
    #[arg(long, default_value = "text")]
    format: StartFormat,
}

#[derive(Clone, Copy, ValueEnum)]
enum StartFormat {
    Json,
    Text,
    Token,
}

#[derive(Args)]
pub(crate) struct Close {
    /// The run
    run: RunId,
    /// Why: it is recorded
    #[arg(long, value_name = "TEXT")]
    why: String,
}

impl Run {
    pub(crate) fn run(self, home: &Home) -> Result<Exit, Failure> {
        match self {
            Self::Start(start) => start.run(home),
            Self::List { format } => {
                list(&runs(home)?, Format::or_fitting(format))?;
                Ok(Exit::Done)
            }
            Self::Show { run, format, why } => {
                looked(home, &format!("run:{run}"), Look::Records, why.as_deref())?;
                show::show(home, run, Format::or_fitting(format))
            }
            Self::End(close) => close.run(home, Standing::Ended),
            Self::Revoke(close) => close.run(home, Standing::Revoked),
        }
    }
}

/// The open runs: from the gateway, or from the ledger where none runs, which writes nothing.
fn runs(home: &Home) -> Result<Vec<RunView>, Failure> {
    let answer = block_on(async {
        match Connection::find(home).await.map_err(Failure::could_not)? {
            Some(mut connection) => connection.ask(&Ask::Runs).await.map(Some).map_err(Failure::could_not),
            None => Ok(None),
        }
    })??;
    match answer {
        Some(Answer::Runs(runs)) => Ok(runs),
        Some(answer) => Err(Failure::could_not(format!("the gateway answered with something else: {answer:?}"))),
        None => match Reader::open(home.path()) {
            Err(ReadError::Absent) => Ok(Vec::new()),
            Err(error) => Err(Failure::could_not(error)),
            Ok(reader) => {
                let runs = open_runs(&reader).map_err(Failure::could_not)?;
                let view = |run: &OpenRun| {
                    let met = recorded(&reader, run.id).map_err(Failure::could_not)?;
                    Ok(RunView::of(run, met.into_keys().collect()))
                };
                runs.iter().map(view).collect()
            }
        },
    }
}

fn list(runs: &[RunView], format: Format) -> Result<(), Failure> {
    match format {
        Format::Json => {
            for run in runs {
                println!("{}", serde_json::to_string(run).map_err(Failure::could_not)?);
            }
        }
        Format::Table | Format::Csv => {
            let rows = runs.iter().map(|run| {
                let times = [run.opened_at.to_string(), run.expires_at.to_string()];
                let [opened_at, expires_at] = times;
                [
                    run.run.to_string(),
                    run.mission.clone(),
                    run.agent.clone(),
                    run.initiator.clone(),
                    run.standing.as_str().to_owned(),
                    run.classes.join(", "),
                    opened_at,
                    expires_at,
                ]
            });
            let headings = ["run", "mission", "agent", "initiator", "standing", "classes", "opened_at", "expires_at"];
            if format == Format::Csv {
                let mut csv = csv::Writer::from_writer(std::io::stdout());
                csv.write_record(headings).map_err(Failure::could_not)?;
                for row in rows {
                    csv.write_record(row).map_err(Failure::could_not)?;
                }
                csv.flush()?;
            } else {
                let mut table = table(&headings);
                table.add_rows(rows);
                println!("{table}");
            }
        }
    }
    Ok(())
}

impl Start {
    fn run(self, home: &Home) -> Result<Exit, Failure> {
        let path = PathBuf::from(&self.mission);
        let mission_file = if path.is_file() { Some(std::path::absolute(&path)?) } else { None };
        let wanted = Wanted {
            agent: self.agent,
            initiator: self.initiator,
            lasts_us: self.lasts_us,
            mission: self.mission,
            words: self.words,
        };
        match ask(home, Ask::StartRun { mission_file, wanted })? {
            Answer::Started { run, token } => {
                match self.format {
                    StartFormat::Json => println!("{}", serde_json::json!({ "run": run, "token": token })),
                    StartFormat::Text => println!(
                        "run    {run}\ntoken  {token}\n\nThe token is shown once. Agents send it as `Authorization: Bearer TOKEN`."
                    ),
                    StartFormat::Token => println!("{token}"),
                }
                Ok(Exit::Done)
            }
            answer => Err(Failure::could_not(format!("the gateway answered with something else: {answer:?}"))),
        }
    }
}

impl Close {
    fn run(self, home: &Home, to: Standing) -> Result<Exit, Failure> {
        ask(home, Ask::CloseRun { run: self.run, to, why: self.why })?;
        println!("run {} is {}", self.run, to.as_str());
        Ok(Exit::Done)
    }
}

/// Reads `90s`, `30m`, `8h` or `5d` as microseconds.
fn lasting(text: &str) -> Result<i64, String> {
    let error = || format!("`{text}` is not a time: write a number and s, m, h or d, as in 8h");
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 60 * 60,
        Some('d') => 24 * 60 * 60,
        _ => return Err(error()),
    };
    let count: i64 = text.trim_end_matches(['s', 'm', 'h', 'd']).parse().map_err(|_| error())?;
    count.checked_mul(unit * 1_000_000).filter(|micros| *micros > 0).ok_or_else(error)
}

#[cfg(test)]
mod tests {
    use super::lasting;

    #[test]
    fn times_are_read_with_their_units_and_nothing_else() {
        for (text, want) in [
            ("90s", Some(90_000_000)),
            ("8h", Some(28_800_000_000)),
            ("1d", Some(86_400_000_000)),
            ("0h", None),
            ("-1h", None),
            ("8", None),
            ("h", None),
        ] {
            assert_eq!(lasting(text).ok(), want, "{text}");
        }
    }
}
