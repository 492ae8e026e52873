//! `countersign audit`: filters over the evidence, as table, timeline, JSON or CSV.

mod count;
mod page;
mod parquet;
mod sql;
mod story;
mod test;

use std::ffi::OsStr;
use std::io::{self, BufWriter, IsTerminal as _, Write};
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use clap_complete::{ArgValueCompleter, CompletionCandidate};
use evidence::filter::{Field, Filter, FilterError, IdRange, Term, completions};
use evidence::record::{Body, Look, Record};
use gateway::home::Home;
use store::{Order, Reader};

use super::{looked, table};
use crate::exit_code::{Exit, Failure};

/// Filter the evidence
#[derive(Args)]
#[command(after_help = help(), args_conflicts_with_subcommands = true, disable_help_subcommand = true)]
pub(crate) struct Audit {
    #[command(subcommand)]
    command: Option<Command>,
    /// What to look for [default: everything]
    #[arg(default_value = "", value_name = "FILTER", add = ArgValueCompleter::new(completed))]
    filter: String,
    /// How to write it [default: in a terminal a timeline of one call, run, approval or exception, a table of anything else; json in a pipe]
    #[arg(long)]
    format: Option<Shape>,
    /// The file to make, for parquet
    #[arg(long, value_name = "FILE", required_if_eq("format", "parquet"))]
    out: Option<PathBuf>,
    /// The most records, the newest ones; 0 for all
    #[arg(long, default_value_t = 1_000, value_name = "N")]
    limit: usize,
    /// Count what matches, by the values of these fields, separated by commas: any field, or day; of none the total
    #[arg(long, value_name = "FIELDS", num_args = 0..=1, default_missing_value = "")]
    count: Option<String>,
    /// Ask in SQL, over the records that the filter picks: SELECT from records, decisions, actions, approvals, reviews, exceptions, versions, requests or accesses
    #[arg(long, value_name = "SELECT", conflicts_with = "count")]
    sql: Option<String>,
    /// How long an answer in SQL may take, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 60, requires = "sql")]
    within: u64,
    /// Show the fields of filters, with an example of each
    #[arg(long)]
    fields: bool,
    /// Why: the look is recorded with it, which an organisation may demand
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
}

#[derive(Subcommand)]
enum Command {
    /// Hold the evidence to audit tests: filters with what must be so of the records that they find
    Test(test::Test),
}

/// How records are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shape {
    /// Comma-separated values
    Csv,
    /// One JSON object a line
    Json,
    /// A file of Apache Parquet, which `--out` names: one row for each record, the body as JSON
    Parquet,
    /// A table for people
    Table,
    /// What happened, one after the other: who, what, why, and how long it took
    Timeline,
}

fn help() -> String {
    let names: Vec<&str> = Field::ALL.iter().map(|field| field.name()).collect();
    format!(
        "Examples:
  countersign audit                                        the newest records
  countersign audit 'decision:deny after:7d'
  countersign audit 'tool:mcp:bank/* status:unknown,tool_error'
  countersign audit 'call:0193b5a2-6f1e-7cc3-98c4-dc0c0c07398f'
  countersign audit '\"unknown payee\" on:2026-11'           words in sentences
  countersign audit 'event:intent effect_class:pay not call(event:consumed)'
  countersign audit 'decision:deny after:30d' --count mission,reason
  countersign audit after:30d --sql 'SELECT tool, sum(duration_us) FROM actions GROUP BY tool'
  countersign audit 'type:action_record not agent:ap-bot' --format csv --limit 0 > actions.csv
  countersign audit after:30d --format parquet --limit 0 --out month.parquet
  countersign audit test soc2                              tests over the records, and a report by control

Fields: {}.
Join with spaces (and), `or`, `not` and parentheses; `*` stands for any text; commas list values;
`call(...)`, `run(...)`, `approval(...)` and `exception(...)` ask about the other records of the same one. --fields says what each field is.",
        names.join(" ")
    )
}

impl Audit {
    pub(crate) fn run(self, home: impl FnOnce() -> Result<Home, Failure>) -> Result<Exit, Failure> {
        if let Some(Command::Test(test)) = self.command {
            return test.run(home);
        }
        if self.fields {
            fields();
            return Ok(Exit::Done);
        }
        let filter = parsed(&self.filter)?;
        if self.out.is_some() && (self.format != Some(Shape::Parquet) || self.count.is_some() || self.sql.is_some()) {
            return Err(Failure::usage(
                "--out is for records with --format parquet; the other formats go to standard output",
            ));
        }
        let by = self.count.as_deref().map(count::fields).transpose()?;
        let home = home()?;
        let look = match (&by, &self.sql) {
            (Some(_), _) => Look::Counts,
            (None, Some(_)) => Look::Sql,
            (None, None) => Look::Records,
        };
        looked(&home, &self.filter, look, self.why.as_deref())?;
        let reader = Reader::open(home.path()).map_err(Failure::could_not)?;
        if let Some(by) = by {
            count::write(&reader, &filter, &by, self.format.unwrap_or_else(|| Shape::fitting(&Filter::everything())))?;
            return Ok(Exit::Done);
        }
        if let Some(statement) = &self.sql {
            let shape = self.format.unwrap_or_else(|| Shape::fitting(&Filter::everything()));
            sql::write(&reader, &filter, statement, Duration::from_secs(self.within), shape)?;
            return Ok(Exit::Done);
        }
        let shape = self.format.unwrap_or_else(|| Shape::fitting(&filter));
        let found = Found { filter, limit: (self.limit > 0).then_some(self.limit), reader };
        match shape {
            Shape::Csv => csv(&found)?,
            Shape::Json => json(&found)?,
            Shape::Parquet => {
                let out = self.out.ok_or_else(|| Failure::usage("name the file to make with --out FILE"))?;
                let rows = parquet::write(&found, &self.filter, &out)?;
                println!("{}: {rows} records", out.display());
                if found.limit.is_some_and(|limit| rows >= limit as u64) {
                    eprintln!("the newest {rows} records; --limit 0 writes all");
                }
            }
            Shape::Table => found.show(&self.filter, print)?,
            Shape::Timeline => found.with_approvals()?.show(&self.filter, story::print)?,
        }
        Ok(Exit::Done)
    }
}

impl Shape {
    /// For people in a terminal, for programs in a pipe.
    fn fitting(filter: &Filter) -> Self {
        /// Whether it is one thing that has a story.
        fn is_one<T: PartialEq>(ids: &[IdRange<T>]) -> bool {
            matches!(ids, [id] if id.low == id.high)
        }
        match filter {
            _ if !io::stdout().is_terminal() => Self::Json,
            Filter::Term(Term::Call(ids)) if is_one(ids) => Self::Timeline,
            Filter::Term(Term::Run(ids)) if is_one(ids) => Self::Timeline,
            Filter::Term(Term::Approval(ids)) if is_one(ids) => Self::Timeline,
            Filter::Term(Term::Exception(ids)) if is_one(ids) => Self::Timeline,
            _ => Self::Table,
        }
    }
}

/// How a filter that is being typed may go on.
pub(crate) fn completed(typed: &OsStr) -> Vec<CompletionCandidate> {
    let ways = completions(&typed.to_string_lossy()).into_iter();
    ways.map(|way| CompletionCandidate::new(way.text).help(Some(way.about.replace('`', "").into()))).collect()
}

/// The filter that is asked now.
fn parsed(text: &str) -> Result<Filter, Failure> {
    Filter::parse_at(text, gateway::clock::now()).map_err(|error| pointed(text, &error))
}

fn fields() {
    let mut table = table(&["field", "value", "example", "matches"]);
    for field in Field::ALL {
        let plain = |text: &str| text.replace('`', "");
        table.add_row([
            field.name().to_owned(),
            plain(field.value()),
            field.example().to_owned(),
            plain(field.matches()),
        ]);
    }
    println!("{table}");
}

/// What was asked for, in the order of the log.
struct Found {
    filter: Filter,
    limit: Option<usize>,
    reader: Reader,
}

impl Found {
    /// The newest records within the limit, the oldest of them first.
    fn newest(&self) -> Result<Vec<Record>, Failure> {
        let records = self.reader.query(&self.filter, Order::NewestFirst, self.limit);
        records.map(|records| records.into_iter().rev().collect()).map_err(Failure::could_not)
    }

    /// Of one call, what belongs to its approvals too: an identical call that comes later uses what was asked for an earlier one.
    fn with_approvals(mut self) -> Result<Self, Failure> {
        if matches!(self.filter, Filter::Term(Term::Call(_))) {
            let mut approvals = Vec::new();
            for record in self.newest()? {
                let of = Field::Approval.values(&record).into_iter().filter_map(|approval| approval.parse().ok());
                approvals.extend(of.map(|approval| IdRange { low: approval, high: approval }));
            }
            approvals.dedup();
            if !approvals.is_empty() {
                self.filter = Filter::Or(vec![self.filter, Filter::Term(Term::Approval(approvals))]);
            }
        }
        Ok(self)
    }

    /// Shows people what they asked for with `text`.
    fn show(&self, text: &str, print: fn(&[Record])) -> Result<(), Failure> {
        let records = self.newest()?;
        if records.is_empty() {
            eprintln!("no record matches");
            let words =
                text.split(|letter: char| !letter.is_alphanumeric() && letter != '_').filter_map(Filter::field_of);
            let looked_for = matches!(&self.filter, Filter::Term(Term::Text(_)) | Filter::And(_) | Filter::Or(_));
            for term in words.filter(|term| looked_for && !text.contains(term.as_str())) {
                eprintln!("a word without a field is looked for in sentences; did you mean `{term}`?");
            }
        } else {
            print(&records);
        }
        if self.limit == Some(records.len()) {
            eprintln!("the newest {} records; --limit 0 shows all", records.len());
        }
        Ok(())
    }

    /// Gives each record to `each`; without a limit one at a time, so that a large ledger needs no large memory. A reader that went away (`| head`) ends it.
    fn each(&self, mut each: impl FnMut(&Record) -> io::Result<()>) -> Result<(), Failure> {
        let mut ended = Ok(());
        if self.limit.is_some() {
            ended = self.newest()?.iter().try_for_each(each);
        } else {
            let visited = self.reader.visit(&self.filter, Order::OldestFirst, |record| match each(&record) {
                Ok(()) => ControlFlow::Continue(()),
                Err(error) => {
                    ended = Err(error);
                    ControlFlow::Break(())
                }
            });
            visited.map_err(Failure::could_not)?;
        }
        flushed(ended)
    }
}

/// Shows where in the filter the trouble is.
pub(super) fn pointed(filter: &str, error: &FilterError) -> Failure {
    let before = filter.get(..error.at).unwrap_or(filter).chars().count();
    Failure::usage(format!("{error}\n  {filter}\n  {:before$}^", ""))
}

/// The columns of tables and CSV.
const COLUMNS: [&str; 9] = ["seq", "time", "type", "mission", "agent", "initiator", "what", "verdict", "reason"];

/// One record as the columns show it.
fn row(record: &Record) -> [String; 9] {
    let (what, verdict, reason) = match &record.body {
        Body::Access(access) => {
            let opened: Vec<&str> = record.links.iter().map(|link| link.rel.as_str()).collect();
            (opened.join(", "), format!("opened by {}", access.channel), format!("{}: {}", access.who, access.why))
        }
        Body::Action(action) => {
            let verdict = action.status.map_or_else(|| action.event.to_string(), |status| status.to_string());
            (action.tool.to_string(), verdict, action.reason.as_deref().unwrap_or_default().to_owned())
        }
        Body::Approval(approval) => {
            let (verdict, reason) = match &approval.review {
                Some(review) => (format!("{} by {}", review.answer, review.reviewer), review.reason.clone()),
                None => (
                    approval.resolution.map_or_else(|| approval.event.to_string(), |resolution| resolution.to_string()),
                    approval.why.clone().unwrap_or_default(),
                ),
            };
            (approval.tool.to_string(), verdict, reason)
        }
        Body::Decision(decision) => {
            let effect = match decision.would {
                Some(would) => format!("{} (would {would})", decision.effect),
                None => decision.effect.to_string(),
            };
            (decision.input.tool.to_string(), effect, decision.reasons.join(", "))
        }
        Body::Exception(exception) => {
            (exception.scope.clone(), format!("{} {}", exception.kind, exception.event), exception.reason.clone())
        }
        Body::Ledger(ledger) => ("ledger".to_owned(), ledger.event.to_string(), ledger.detail.clone()),
        Body::Request(request) => {
            let client = request
                .channel
                .client
                .as_ref()
                .map_or_else(String::new, |client| format!("{} {}", client.name, client.version));
            (
                format!("{}:{} over {}", request.channel.surface, request.channel.upstream, request.channel.transport),
                "opened".to_owned(),
                client,
            )
        }
        Body::Version(version) => {
            let short: String = version.to.chars().take(12).collect();
            (format!("{}:{}", version.object.kind, version.object.name), short, version.why.clone())
        }
    };
    [
        record.seq.to_string(),
        record.occurred_at.to_string(),
        record.record_type.to_string(),
        record.correlation.mission.as_deref().unwrap_or_default().to_owned(),
        record.agent.name.to_string(),
        record.initiator.name.to_string(),
        what,
        verdict,
        reason,
    ]
}

fn print(records: &[Record]) {
    let mut table = table(&COLUMNS);
    for record in records {
        // Whole seconds read better; exact times are in the other formats.
        let [seq, time, rest @ ..] = row(record);
        let time = time.get(..19).unwrap_or(&time).replace('T', " ");
        table.add_row([seq, time].into_iter().chain(rest).map(visible));
    }
    println!("{table}");
}

/// Control characters and the like, which agents and tools can put into names, never reach a terminal.
pub(super) fn visible(text: String) -> String {
    shown(&text).chars().take(160).collect()
}

/// The same, of a text of any length.
pub(super) fn shown(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() || is_invisible(letter) { '\u{FFFD}' } else { letter }).collect()
}

/// Marks that reorder or hide text.
const fn is_invisible(letter: char) -> bool {
    matches!(letter, '\u{200B}'..='\u{200F}' | '\u{202A}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
}

fn json(found: &Found) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    found.each(|record| {
        serde_json::to_writer(&mut out, record)?;
        out.write_all(b"\n")
    })?;
    flushed(out.flush())
}

fn csv(found: &Found) -> Result<(), Failure> {
    let mut out = csv::Writer::from_writer(io::stdout().lock());
    let columns = COLUMNS.iter().copied().chain(["id", "call", "run"]);
    out.write_record(columns).map_err(Failure::could_not)?;
    found.each(|record| {
        let correlation = &record.correlation;
        let ids = [
            record.id.to_string(),
            correlation.call.map(|call| call.to_string()).unwrap_or_default(),
            correlation.run.map(|run| run.to_string()).unwrap_or_default(),
        ];
        let written = out.write_record(row(record).into_iter().chain(ids).map(harmless));
        written.map_err(io::Error::from)
    })?;
    flushed(out.flush())
}

/// A reader that went away wants no more.
fn flushed(flushed: io::Result<()>) -> Result<(), Failure> {
    match flushed {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(error.into()),
        _ => Ok(()),
    }
}

/// A cell that a spreadsheet would run as a formula begins with an apostrophe.
pub(super) fn harmless(cell: String) -> String {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{cell}") } else { cell }
}
