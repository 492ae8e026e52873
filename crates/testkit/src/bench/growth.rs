//! `countersign-bench growth`: whether a call costs more where there is more: missions loaded, runs open, records in the ledger.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;

use super::load::{self, Span};
use super::path::{self, ECHO};
use super::usage::{self, Used};
use super::{default_root, ledger};
use crate::governed::{Home, Upstream, sibling};
use crate::scratch::Scratch;

/// What to measure.
#[derive(Debug, Args)]
pub struct Options {
    /// The gateway's program (release build). Default: beside this one.
    #[arg(long, value_name = "FILE")]
    pub binary: Option<PathBuf>,
    /// Numbers of missions loaded.
    #[arg(long, value_delimiter = ',', default_values_t = [10, 100, 1_000])]
    pub missions: Vec<usize>,
    /// Numbers of open runs.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 1_000])]
    pub runs: Vec<usize>,
    /// Sizes of the ledger; 10 million records take 9 GB of disk.
    #[arg(long, value_delimiter = ',', default_values_t = [0, 300_000])]
    pub records: Vec<u64>,
    /// Numbers of MCP sessions in the closed loop.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 64])]
    pub sessions: Vec<usize>,
    /// Counted time of one window.
    #[arg(long, default_value_t = 2_000)]
    pub window_ms: u64,
    /// Where the homes live while they are measured: a real disk. Default: a folder beside the build's output.
    #[arg(long, value_name = "DIR")]
    pub scratch: Option<PathBuf>,
}

/// How much there is.
#[derive(Clone, Copy, Debug)]
struct Size {
    missions: usize,
    records: u64,
    runs: usize,
}

/// What the others are while one grows.
const SMALL: Size = Size { missions: 10, records: 0, runs: 1 };

/// Measures and prints one row for each size and number of sessions.
///
/// # Errors
/// When a part does not start, an answer differs, or the home is in memory.
pub async fn run(options: &Options) -> anyhow::Result<()> {
    let root = options.scratch.clone().map_or_else(default_root, Ok)?;
    println!("{}; load client, gateway and upstream share it", usage::machine());
    println!(
        "{:>9} {:>7} {:>11} {:>9} {:>9} {:>10} {:>9} {:>9} {:>8} {:>8}",
        "missions", "runs", "records", "ready ms", "sessions", "calls/s", "p50 us", "p99 us", "CPU us", "RSS MiB"
    );
    let missions = options.missions.iter().map(|missions| Size { missions: *missions, ..SMALL });
    let runs = options.runs.iter().map(|runs| Size { runs: *runs, ..SMALL });
    let records = options.records.iter().map(|records| Size { records: *records, ..SMALL });
    for size in missions.chain(runs).chain(records) {
        let scratch = Scratch::under(&root, "growth")?;
        usage::refuse_memory(scratch.path())?;
        measure(options, size, &scratch).await.with_context(|| format!("{size:?}"))?;
    }
    Ok(())
}

async fn measure(options: &Options, size: Size, scratch: &Scratch) -> anyhow::Result<()> {
    let upstream = Upstream::start(&sibling("countersign-upstream")?, &[])?;
    let home = Home::new(&options.binary.clone().map_or_else(|| sibling("countersign"), Ok)?, scratch.path())?;
    home.write_mission(&[ECHO.tool])?;
    for mission in 1..size.missions {
        home.write_mission_named(&format!("other-{mission}"), &[ECHO.tool], &[])?;
    }
    home.write_config(&upstream.url())?;
    if size.records > 0 {
        let started = Instant::now();
        ledger::fill(&home.path(), size.records).await?;
        eprintln!("filled a ledger with {} records in {:.0} s", size.records, started.elapsed().as_secs_f64());
    }
    let mut served = home.serve()?;
    let mut targets = Vec::new();
    for _ in 0..size.runs {
        targets.push(served.target(&home.token()?));
    }
    let span = Span { warm_up: Duration::from_millis(300), counted: Duration::from_millis(options.window_ms) };
    let pid = served.process.pid();
    for &sessions in &options.sessions {
        let used = || Used::by(pid, scratch.path());
        let mut window = load::closed(&targets, ECHO, sessions, span, used).await?;
        println!(
            "{:>9} {:>7} {:>11} {:>9.0} {sessions:>9} {:>10.0} {:>9.0} {:>9.0} {:>8.0} {:>8.0}",
            size.missions,
            size.runs,
            size.records,
            served.ready_in.as_secs_f64() * 1_000.0,
            window.rate(),
            window.quantile_us(0.5),
            window.quantile_us(0.99),
            window.cpu_us_a_call().unwrap_or(f64::NAN),
            usage::rss_peak_bytes(pid)? as f64 / f64::from(1 << 20)
        );
    }
    path::stop(&mut served)
}
