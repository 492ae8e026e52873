//! Developer tasks: `cargo xtask --help`.
//!
//! Depends on no crate of the workspace, so that it works while they do not build. Each task is a module; what they share is where they work
//! (`workplace`), how they run programs (`process`) and how they count (`count`).

mod api;
mod bench;
mod conformance;
mod count;
mod demo;
mod deny;
mod e2e;
mod fuzz;
mod people;
mod process;
mod progress;
mod scratch;
mod suite;
mod tidy;
mod tools;
mod workplace;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Parser, Subcommand};

use workplace::Workplace;

/// Developer tasks
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Tell a small story with real MCP servers and a client, payments that people approve, and what the ledger says about it, verified
    Demo {
        /// Have a script answer for the people; otherwise you do, from another terminal
        #[arg(long)]
        auto: bool,
        /// Leave the gateway running and say how to try it
        #[arg(long)]
        keep: bool,
    },
    /// Run every check there is, or single steps
    Test {
        /// Only this step; may be given several times
        #[arg(long, value_name = "STEP")]
        only: Vec<String>,
        /// List the steps
        #[arg(long)]
        list: bool,
    },
    /// Hold the tree to the design and the house rules
    Tidy,
    /// Run the fuzz targets from their seeds
    Fuzz {
        /// Only this target; may be given several times
        target: Vec<String>,
        /// How long each target runs
        #[arg(long, default_value_t = 60, value_name = "SECONDS")]
        seconds: u64,
    },
    /// Measure, with a release build: `cargo xtask bench path`
    Bench {
        /// What to measure, and its options
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "NAME")]
        args: Vec<String>,
    },
    /// Kill the gateway under load for hours and check that its evidence tells the truth
    Soak {
        /// How often to kill it
        #[arg(long, default_value_t = 10_000, value_name = "N")]
        kills: u32,
    },
    /// What the conformance runner starts as its client: the real one, with a gateway before the runner's server
    #[command(hide = true)]
    ConformanceClient(conformance::Governed),
}

fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Demo { auto, keep } => {
            let leads = if auto { demo::Leads::Scripted } else { demo::Leads::You };
            demo::run(leads, if keep { demo::After::Keep } else { demo::After::Clean })
        }
        Task::Test { list: true, .. } => {
            suite::list();
            Ok(ExitCode::SUCCESS)
        }
        Task::Test { only, .. } => suite::run(&only),
        Task::Tidy => tidy(),
        Task::Fuzz { target, seconds } => fuzz(&target, seconds),
        Task::Bench { args } => bench::bench(&args),
        Task::Soak { kills } => bench::soak(kills),
        Task::ConformanceClient(governed) => governed.run(),
    };
    done.unwrap_or_else(|error| {
        eprintln!("xtask: {error:#}");
        ExitCode::from(3)
    })
}

fn tidy() -> Result<ExitCode> {
    let tidied = tidy::run(&Workplace::find()?.root)?;
    for finding in &tidied.findings {
        println!("{finding}");
    }
    println!("tidy: {} rules hold, {} are broken", tidied.held, tidied.broken);
    Ok(ExitCode::from(u8::from(tidied.broken > 0)))
}

fn fuzz(targets: &[String], seconds: u64) -> Result<ExitCode> {
    let mut place = Workplace::find()?;
    place.begin("fuzz", "fuzzing")?;
    let ran = fuzz::run(&mut place, targets, Duration::from_secs(seconds), fuzz::Luck::Fresh);
    place.end(if ran.is_ok() { "nothing found" } else { "FAILED" });
    println!("{} targets ran", ran?);
    Ok(ExitCode::SUCCESS)
}
