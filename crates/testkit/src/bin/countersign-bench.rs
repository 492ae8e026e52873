//! Load figures for the governed path. Exits with 3 if they could not be taken. See [`testkit::bench`].

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use testkit::bench;

#[derive(Parser)]
#[command(name = "countersign-bench", about = "measure the governed path")]
struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// All of the others as they are by default, one after the other: about a quarter of an hour.
    All,
    /// One call's way: direct and through the gateway, windows in turn.
    Path(bench::PathOptions),
    /// A fixed rate for minutes, with how far the index is behind.
    Sustained(bench::SustainedOptions),
    /// With more missions, more open runs, and a larger ledger.
    Growth(bench::GrowthOptions),
    /// Allocations, instructions and system calls of one governed call; no clock.
    Counts(bench::CountsOptions),
    /// Decisions by the number of rules and missions, and what missions take to read, compile and keep.
    Missions(bench::MissionsOptions),
    /// How long people and agents wait for the gateway where many questions are open.
    Approvals(bench::ApprovalsOptions),
    /// How fast bundles are written and verified.
    Bundles(bench::BundlesOptions),
    /// How much the detector of data finds of the corpus, and how fast it looks.
    Classify(bench::ClassifyOptions),
    /// Filters over a large ledger: first pages, counts, the story of a call.
    Evidence(bench::EvidenceOptions),
    /// The log alone, with the records of governed calls.
    Ledger(bench::LedgerOptions),
}

/// The names of all measurements, the shorter ones first.
const ALL: [&str; 10] =
    ["missions", "classify", "bundles", "counts", "approvals", "path", "ledger", "evidence", "growth", "sustained"];

fn main() -> ExitCode {
    match measure(Arguments::parse().what) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::from(3)
        }
    }
}

fn measure(what: What) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let tasks = tokio::task::LocalSet::new();
    match what {
        What::All => ALL.into_iter().try_for_each(|name| {
            println!("\n# {name}");
            measure(Arguments::parse_from(["countersign-bench", name]).what)
        }),
        What::Path(options) => tasks.block_on(&runtime, bench::path(&options)),
        What::Sustained(options) => tasks.block_on(&runtime, bench::sustained(&options)),
        What::Bundles(options) => tasks.block_on(&runtime, bench::bundles(&options)),
        What::Growth(options) => tasks.block_on(&runtime, bench::growth(&options)),
        What::Counts(options) => tasks.block_on(&runtime, bench::counts(&options)),
        What::Approvals(options) => tasks.block_on(&runtime, bench::approvals(&options)),
        What::Classify(options) => bench::classify(&options),
        What::Missions(options) => bench::missions(&options),
        What::Evidence(options) => tasks.block_on(&runtime, bench::evidence(&options)),
        What::Ledger(options) => tasks.block_on(&runtime, bench::ledger(&options)),
    }
}
