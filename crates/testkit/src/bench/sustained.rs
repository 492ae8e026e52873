//! `countersign-bench sustained`: a fixed rate for minutes, with how far the index is behind, sampled from outside.
//!
//! The gateway is not asked. Every answered call has three durable records, and the index says in its file how many records it knows: the lag is the time since as
//! many calls had been answered as the index knows now.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use store::embedded::index::SqliteIndex;
use store::ports::Index as _;

use super::default_root;
use super::ledger::RECORDS_A_CALL;
use super::load::{self, Span, Window};
use super::path::{self, ECHO, OPEN_SESSIONS, SESSIONS_A_RUN};
use super::usage::{self, Used};
use crate::governed::{Home, Upstream, sibling};
use crate::limits::PATIENCE;
use crate::scratch::Scratch;
use crate::wait;

/// What to measure.
#[derive(Debug, Args)]
pub struct Options {
    /// The gateway's program (release build). Default: beside this one.
    #[arg(long, value_name = "FILE")]
    pub binary: Option<PathBuf>,
    /// Calls a second, evenly spaced.
    #[arg(long, default_value_t = 10_000)]
    pub rate: u32,
    /// For how long.
    #[arg(long, default_value_t = 300)]
    pub seconds: u64,
    /// Where the home lives while it is measured: a real disk. Default: a folder beside the build's output.
    #[arg(long, value_name = "DIR")]
    pub scratch: Option<PathBuf>,
}

/// Between two looks at the index.
const SAMPLE_EVERY: Duration = Duration::from_millis(100);

/// Measures, prints, and checks that every call left its evidence.
///
/// # Errors
/// When a part does not start, an answer differs, evidence is missing, or the home is in memory.
pub async fn run(options: &Options) -> anyhow::Result<()> {
    let root = options.scratch.clone().map_or_else(default_root, Ok)?;
    let scratch = Scratch::under(&root, "sustained")?;
    usage::refuse_memory(scratch.path())?;
    let upstream = Upstream::start(&sibling("countersign-upstream")?, &[])?;
    let home = Home::new(&options.binary.clone().map_or_else(|| sibling("countersign"), Ok)?, scratch.path())?;
    path::write_missions(&home)?;
    home.write_config(&upstream.url())?;
    let mut served = home.serve()?;
    let targets = path::targets(&home, &served, OPEN_SESSIONS.div_ceil(SESSIONS_A_RUN))?;
    let targets = targets.get(ECHO.mission).context("the mission has its runs")?;
    println!("{}; load client, gateway and upstream share it", usage::machine());

    let span = Span { warm_up: Duration::from_secs(1), counted: Duration::from_secs(options.seconds) };
    let (pid, disk) = (served.process.pid(), scratch.path().to_owned());
    let window = Rc::new(RefCell::new(Window::default()));
    let index = home.path().join("ledger/index.sqlite");
    let watching = tokio::task::spawn_local(watch(Watched::open(&index)?, Rc::clone(&window), span));
    let used = || Used::by(pid, &disk);
    let mut done = load::open_watched(targets, ECHO, OPEN_SESSIONS, options.rate, span, used, &window).await?;
    let lags = watching.await??;

    println!(
        "{} calls/s for {} s: p50 {:.0} us, p99 {:.0} us, gateway CPU {:.0} us a call, {:.2} flushes a call",
        done.rate().round(),
        options.seconds,
        done.quantile_us(0.5),
        done.quantile_us(0.99),
        done.cpu_us_a_call().unwrap_or(f64::NAN),
        done.flushes_a_call().unwrap_or(f64::NAN)
    );
    println!(
        "the index was behind by {:.2} s at most, {:.2} s in the middle, in {} samples",
        lags.last().map_or(f64::NAN, Duration::as_secs_f64),
        lags.get(lags.len() / 2).map_or(f64::NAN, Duration::as_secs_f64),
        lags.len()
    );
    println!("memory at most {:.0} MiB", usage::rss_peak_bytes(pid)? as f64 / f64::from(1 << 20));
    path::stop(&mut served)?;
    path::count_evidence(&home, done.answered)?;
    println!("every call has its intent and its outcome: {}", done.answered);
    Ok(())
}

/// The index as another process sees it.
struct Watched {
    /// Records that were there before the load.
    before: u64,
    index: SqliteIndex,
}

impl Watched {
    fn open(file: &std::path::Path) -> anyhow::Result<Self> {
        let emitter = SqliteIndex::emitter_of(file)?;
        let index = SqliteIndex::open_read_only(file, &emitter)?.context("the index is of this version")?;
        // Nothing is asked of the gateway yet, so the index comes to rest.
        let mut before = index.progress()?.records();
        wait::until("the index at rest", PATIENCE, || {
            std::thread::sleep(SAMPLE_EVERY);
            let now = index.progress().map_err(|error| error.to_string())?.records();
            let rested = now == std::mem::replace(&mut before, now);
            if rested { Ok(()) } else { Err(format!("{now} records")) }
        })?;
        Ok(Self { before, index })
    }
}

/// How long the index was behind at each sample, sorted.
async fn watch(watched: Watched, window: Rc<RefCell<Window>>, span: Span) -> anyhow::Result<Vec<Duration>> {
    let end = Instant::now() + span.warm_up + span.counted;
    let mut answered = VecDeque::new();
    let mut lags = Vec::new();
    while Instant::now() < end {
        tokio::time::sleep(SAMPLE_EVERY).await;
        let now = Instant::now();
        answered.push_back((now, window.borrow().answered));
        let known = watched.index.progress()?.records().saturating_sub(watched.before);
        lags.push(lag(&mut answered, known, now));
    }
    lags.sort_unstable();
    Ok(lags)
}

/// How long ago it is that more calls had been answered than `known` records can be of. Moments that the index has passed are forgotten.
fn lag(answered: &mut VecDeque<(Instant, u64)>, known: u64, now: Instant) -> Duration {
    while answered.front().is_some_and(|(_, calls)| calls * RECORDS_A_CALL <= known) {
        answered.pop_front();
    }
    answered.front().map_or(Duration::ZERO, |(then, _)| now - *then)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lag_is_the_age_of_the_first_call_that_the_index_lacks() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let mut answered = VecDeque::from([(at(0), 10), (at(1), 20), (at(2), 30)]);
        assert_eq!(lag(&mut answered, 30, at(3)), Duration::from_secs(2));
        assert_eq!(lag(&mut answered, 89, at(3)), Duration::from_secs(1));
        assert_eq!(lag(&mut answered, 90, at(3)), Duration::ZERO);
    }
}
