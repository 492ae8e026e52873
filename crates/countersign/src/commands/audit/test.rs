//! `countersign audit test`: audit tests over the ledger, as a table, JSON or a page.

use std::fs;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::PathBuf;

use clap::{Args, ValueEnum, ValueHint};
use clap_complete::ArgValueCompleter;
use comfy_table::{Attribute, Cell, Color};
use evidence::record::Look;
use gateway::audits::{AuditFile, LIBRARY, Report, TestReport, Verdict, Wanted};
use gateway::clock;
use gateway::home::Home;
use store::Reader;

use super::page::page;
use super::{completed, flushed, parsed, visible};
use crate::commands::export::bar;
use crate::commands::{looked, table};
use crate::exit_code::{Exit, Failure};

#[derive(Args)]
#[command(after_help = "Examples:
  countersign audit test                                       all that come with the program
  countersign audit test soc2 audits/payments.toml
  countersign audit test eu-ai-act --where 'mission:pay-* on:2026-10..2026-12'
  countersign audit test soc2 --format html --out soc2.html    a report by control, with the records that fail
  countersign audit test --list
  countersign audit test --show soc2 > audits/ours.toml        its text, to start from

Exits with 1 if a test fails or cannot be asked. A test with nothing to look at neither holds nor fails. A running gateway asks the tests that its configuration names
([audit] tests = [\"soc2\"]), and opens an exception where one fails.")]
pub(crate) struct Test {
    /// Files, or names of those that come with the program [default: all of these]
    #[arg(value_name = "FILE|NAME", value_hint = ValueHint::FilePath)]
    tests: Vec<String>,
    /// Look only at records that match this too
    #[arg(long = "where", default_value = "", value_name = "FILTER", add = ArgValueCompleter::new(completed))]
    narrowed: String,
    /// How to write it [default: a table in a terminal, json in a pipe]
    #[arg(long)]
    format: Option<Shape>,
    /// Write it to this file
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// The most records that are shown of those that fail a test; all are counted
    #[arg(long, default_value_t = 20, value_name = "N")]
    limit: usize,
    /// Why: the look is recorded with it, which an organisation may demand
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// List what comes with the program
    #[arg(long, conflicts_with_all = ["tests", "show"])]
    list: bool,
    /// Print the text of one that comes with the program
    #[arg(long, value_name = "NAME", conflicts_with = "tests")]
    show: Option<String>,
}

/// How a report is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Shape {
    /// A page that needs nothing else
    Html,
    /// One JSON object
    Json,
    /// A table for people
    Table,
}

impl Test {
    pub(crate) fn run(self, home: impl FnOnce() -> Result<Home, Failure>) -> Result<Exit, Failure> {
        let now = clock::now();
        if let Some(name) = &self.show {
            let known = || LIBRARY.iter().map(|shipped| shipped.name).collect::<Vec<_>>().join(", ");
            let shipped = LIBRARY.iter().find(|shipped| shipped.name == name);
            let shipped =
                shipped.ok_or_else(|| Failure::usage(format!("there is no `{name}`; there are {}", known())))?;
            print!("{}", shipped.text);
            return Ok(Exit::Done);
        }
        let mut names = self.tests.clone();
        if names.is_empty() {
            names = LIBRARY.iter().map(|shipped| shipped.name.to_owned()).collect();
        }
        let files = names.iter().map(|name| AuditFile::find(name, now)).collect::<Result<Vec<_>, _>>();
        let files = files.map_err(Failure::usage)?;
        if self.list {
            list(&files);
            return Ok(Exit::Done);
        }
        let narrowed = parsed(&self.narrowed)?;
        let home = home()?;
        looked(&home, &self.narrowed, Look::Tests, self.why.as_deref())?;
        let reader = Reader::open(home.path()).map_err(Failure::could_not)?;
        let wanted = Wanted { narrowed: &narrowed, now, shown: self.limit };
        let bar = bar("tests");
        bar.set_length(files.iter().map(|file| file.tests.len() as u64).sum());
        let report =
            Report::make(&reader, &files, &wanted, |done| bar.set_position(done)).map_err(Failure::could_not)?;
        bar.finish_and_clear();
        self.write(&reader, &report)?;
        let fails = report.count(Verdict::Failed) + report.count(Verdict::Unknown) > 0;
        Ok(if fails { Exit::No } else { Exit::Done })
    }

    fn write(&self, reader: &Reader, report: &Report) -> Result<(), Failure> {
        let to_person = self.out.is_none() && io::stdout().is_terminal();
        let text = match self.format.unwrap_or(if to_person { Shape::Table } else { Shape::Json }) {
            Shape::Html => page(report, |seq| reader.record(seq).ok().flatten()),
            Shape::Json => serde_json::to_string_pretty(report).map_err(Failure::could_not)? + "\n",
            Shape::Table => told(report),
        };
        let Some(path) = &self.out else {
            return flushed(io::stdout().lock().write_all(text.as_bytes()));
        };
        fs::write(path, text).map_err(|error| Failure::could_not(format!("write `{}`: {error}", path.display())))?;
        eprintln!("{}: {}", path.display(), summed(report));
        Ok(())
    }
}

fn list(files: &[AuditFile]) {
    let mut table = table(&["file", "test", "controls", "holds if"]);
    for file in files {
        for test in &file.tests {
            table.add_row([file.audit.clone(), test.name.clone(), test.controls.join(", "), test.title.clone()]);
        }
    }
    println!("{table}");
}

/// The report for a terminal: the tests, and below them the records that fail.
fn told(report: &Report) -> String {
    let mut table = table(&["file", "test", "stands", "records", "fail", "waiting", "holds if"]);
    for (file, test) in report.tests() {
        let count = |count: u64| if count == 0 { String::new() } else { count.to_string() };
        table.add_row([
            Cell::new(&file.audit),
            Cell::new(&test.name),
            mark(test.verdict),
            Cell::new(test.judged.population),
            Cell::new(count(test.judged.failures)),
            Cell::new(count(test.judged.waiting)),
            Cell::new(visible(test.title.clone())),
        ]);
    }
    let mut told = format!("{table}\n");
    for (file, test) in report.tests().filter(|(_, test)| !matches!(test.verdict, Verdict::Held | Verdict::Nothing)) {
        told.push_str(&format!("\n{}/{}: {}\n", file.audit, test.name, why(test)));
        for failing in &test.judged.first {
            let time = failing.recorded_at.to_string();
            let time = time.get(..19).unwrap_or(&time).replace('T', " ");
            let what = visible(format!("record {}, {time}, {}: {}", failing.seq, failing.initiator, failing.why));
            told.push_str(&format!("  {what}\n    countersign audit {}\n", failing.story()));
        }
        let more = test.judged.failures.saturating_sub(test.judged.first.len() as u64);
        if more > 0 && !test.judged.first.is_empty() {
            told.push_str(&format!("  and {more} more; --limit shows more\n"));
        }
    }
    told + "\n" + &summed(report) + "\n"
}

/// Why a test does not hold.
pub(super) fn why(test: &TestReport) -> String {
    match &test.why {
        Some(why) => why.clone(),
        None => format!("of `{}`, {} is not so", test.filter, test.asks),
    }
}

/// The verdict, in a terminal with its colour.
fn mark(verdict: Verdict) -> Cell {
    let cell = Cell::new(verdict.as_str());
    match verdict {
        Verdict::Failed => cell.fg(Color::Red).add_attribute(Attribute::Bold),
        Verdict::Held => cell.fg(Color::Green),
        Verdict::Nothing => cell.add_attribute(Attribute::Dim),
        Verdict::Unknown => cell.fg(Color::Yellow).add_attribute(Attribute::Bold),
    }
}

/// One line for all.
fn summed(report: &Report) -> String {
    let count = |verdict| report.count(verdict);
    let mut parts = vec![format!("{} held", count(Verdict::Held)), format!("{} failed", count(Verdict::Failed))];
    for (verdict, what) in [(Verdict::Unknown, "could not be asked"), (Verdict::Nothing, "had nothing to look at")] {
        if count(verdict) > 0 {
            parts.push(format!("{} {what}", count(verdict)));
        }
    }
    format!("{} tests over {} records: {}", report.tests().count(), report.records, parts.join(", "))
}
