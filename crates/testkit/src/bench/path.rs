//! `countersign-bench path`: direct and through the gateway, in alternating windows, with the evidence counted afterwards.

use std::collections::BTreeMap;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use governance::classify::detect::Detector;
use serde::Serialize;

use super::default_root;
use super::load::{self, Span, Window, Workload};
use super::usage::{self, Used};
use crate::client::{Answer, HttpSession, Target};
use crate::governed::{Home, MISSION, Served, Upstream, sibling};
use crate::limits::PATIENCE;
use crate::scratch::Scratch;

/// How often the messages of a call are looked into for one figure.
const LOOKS: usize = 5_000;

/// The tool of both, which each of two missions takes for something else.
const ECHO_ARGUMENTS: &str = r#"{"text":"the quick brown fox"}"#;

/// Answered before its outcome is on disk.
pub(super) const READ: Workload =
    Workload { name: "echo, a read", tool: "echo", arguments: ECHO_ARGUMENTS, mission: "load-reads" };
/// Answered after its outcome is on disk.
pub(super) const ECHO: Workload = Workload { name: "echo", tool: "echo", arguments: ECHO_ARGUMENTS, mission: MISSION };
const RECORD: Workload =
    Workload { name: "record_4k", tool: "record_4k", arguments: r#"{"customer":"C-20417"}"#, mission: MISSION };

/// What to measure.
#[derive(Debug, Args)]
pub struct Options {
    /// The gateway's program (release build). Default: beside this one.
    #[arg(long, value_name = "FILE")]
    pub binary: Option<PathBuf>,
    /// Numbers of MCP sessions in the closed loop.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 64])]
    pub sessions: Vec<usize>,
    /// How often each window is repeated.
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,
    /// Counted time of one window.
    #[arg(long, default_value_t = 2_000)]
    pub window_ms: u64,
    /// Load before each window counts.
    #[arg(long, default_value_t = 300)]
    pub warm_up_ms: u64,
    /// Calls a second in the open loop, 64 sessions; 0 leaves it out.
    #[arg(long, default_value_t = 10_000)]
    pub open_rate: u32,
    /// Only the upstream, without a gateway.
    #[arg(long)]
    pub direct_only: bool,
    /// Where the home lives while it is measured: a real disk. Default: a folder beside the build's output.
    #[arg(long, value_name = "DIR")]
    pub scratch: Option<PathBuf>,
    /// Leave the home for a look.
    #[arg(long)]
    pub keep: bool,
    /// Every figure, as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// Sessions of the open loop: as many as the widest closed one of the goal.
pub(super) const OPEN_SESSIONS: usize = 64;

/// Sessions that share a run token: the gateway bounds how many one token may open.
pub(super) const SESSIONS_A_RUN: usize = 16;

/// Measures, prints a table and checks that every governed call left its evidence.
///
/// # Errors
/// When a part does not start, an answer differs, evidence is missing, or the home is in memory.
pub async fn run(options: &Options) -> anyhow::Result<()> {
    let root = match &options.scratch {
        Some(root) => root.clone(),
        None => default_root()?,
    };
    let mut scratch = Scratch::under(&root, "bench")?;
    if options.keep {
        scratch.keep();
    }
    usage::refuse_memory(scratch.path())?;
    let upstream = Upstream::start(&sibling("countersign-upstream")?, &[])?;
    let mut report = Report::new(options);
    if options.direct_only {
        measure(
            options,
            &Sides { direct: vec![upstream.target()], disk: scratch.path().to_owned(), governed: None },
            &mut report,
        )
        .await?;
    } else {
        governed(options, &upstream, scratch.path(), &mut report).await?;
    }
    report.print();
    if let Some(path) = &options.json {
        std::fs::write(path, serde_json::to_vec_pretty(&report)?)
            .with_context(|| format!("write `{}`", path.display()))?;
    }
    Ok(())
}

async fn governed(options: &Options, upstream: &Upstream, scratch: &Path, report: &mut Report) -> anyhow::Result<()> {
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => sibling("countersign")?,
    };
    let home = Home::new(&binary, scratch)?;
    write_missions(&home)?;
    home.write_config(&upstream.url())?;
    let mut served = home.serve()?;
    report.ready_ms = Some(served.ready_in.as_secs_f64() * 1_000.0);
    let widest = options.sessions.iter().copied().max().unwrap_or_default().max(OPEN_SESSIONS);
    let runs = widest.div_ceil(SESSIONS_A_RUN);
    let sides = Sides {
        direct: vec![upstream.target()],
        disk: scratch.to_owned(),
        governed: Some((targets(&home, &served, runs)?, served.process.pid())),
    };
    measure(options, &sides, report).await?;
    for workload in [ECHO, RECORD] {
        report.looking.push(looking(upstream, workload).await?);
    }
    report.rss_peak_mib = Some(usage::rss_peak_bytes(served.process.pid())? as f64 / f64::from(1 << 20));
    stop(&mut served)?;

    let mut again = home.serve()?;
    report.ready_again_ms = Some(again.ready_in.as_secs_f64() * 1_000.0);
    stop(&mut again)?;
    report.evidence = Some(count_evidence(&home, report.governed_calls)?);
    Ok(())
}

/// One mission that takes the tools for what nobody knows, and one that takes `echo` for a read.
pub(super) fn write_missions(home: &Home) -> anyhow::Result<()> {
    home.write_mission(&[ECHO.tool, RECORD.tool])?;
    home.write_mission_named(READ.mission, &[READ.tool], &[READ.tool])
}

/// Endpoints by mission, one for each of `runs` runs.
pub(super) type Targets = BTreeMap<&'static str, Vec<Target>>;

pub(super) fn targets(home: &Home, served: &Served, runs: usize) -> anyhow::Result<Targets> {
    let of = |mission| -> anyhow::Result<Vec<Target>> {
        (0..runs).map(|_| Ok(served.target(&home.token_for(mission)?))).collect()
    };
    [ECHO.mission, READ.mission].into_iter().map(|mission| Ok((mission, of(mission)?))).collect()
}

pub(super) fn stop(served: &mut Served) -> anyhow::Result<()> {
    let status = served.process.stop(PATIENCE)?;
    anyhow::ensure!(status.success(), "the gateway ended with {status}");
    Ok(())
}

/// The two ends that are compared.
struct Sides {
    direct: Vec<Target>,
    /// A folder on the disk that the gateway writes to.
    disk: PathBuf,
    /// An endpoint for each run, and the gateway's process.
    governed: Option<(Targets, u32)>,
}

async fn measure(options: &Options, sides: &Sides, report: &mut Report) -> anyhow::Result<()> {
    let span =
        Span { warm_up: Duration::from_millis(options.warm_up_ms), counted: Duration::from_millis(options.window_ms) };
    for round in 0..options.rounds {
        for workload in [READ, ECHO, RECORD] {
            for &sessions in &options.sessions {
                let shape = Shape { workload: workload.name, sessions, rate: None };
                both(sides, round, workload, shape, report, async |targets, used| {
                    load::closed(targets, workload, sessions, span, used).await
                })
                .await?;
            }
        }
        if options.open_rate > 0 {
            for workload in [READ, ECHO] {
                let shape = Shape { workload: workload.name, sessions: OPEN_SESSIONS, rate: Some(options.open_rate) };
                both(sides, round, workload, shape, report, async |targets, used| {
                    load::open(targets, workload, OPEN_SESSIONS, options.open_rate, span, used).await
                })
                .await?;
            }
        }
    }
    Ok(())
}

/// One window on each side; who goes first alternates, so that drift of the machine falls on both.
async fn both(
    sides: &Sides,
    round: usize,
    workload: Workload,
    shape: Shape,
    report: &mut Report,
    window: impl AsyncFn(&[Target], &dyn Fn() -> Used) -> anyhow::Result<Window>,
) -> anyhow::Result<()> {
    let order = if round.is_multiple_of(2) { [Side::Direct, Side::Governed] } else { [Side::Governed, Side::Direct] };
    for side in order {
        let result = match (side, &sides.governed) {
            (Side::Direct, _) => window(&sides.direct, &Used::default).await,
            (Side::Governed, Some((targets, pid))) => {
                let targets = targets.get(workload.mission).context("every mission has its runs")?;
                window(targets, &|| Used::by(*pid, &sides.disk)).await
            }
            (Side::Governed, None) => continue,
        };
        let mut result = result.with_context(|| format!("{shape} {side:?}"))?;
        if side == Side::Governed {
            report.governed_calls += result.answered;
        }
        let figures = Figures::of(&mut result);
        eprintln!(
            "round {} {shape:<24} {side:<8} {:>8.0} calls/s  p50 {:>7.0} us  p99 {:>7.0} us",
            round + 1,
            figures.calls_per_s,
            figures.p50_us,
            figures.p99_us
        );
        report.add(shape, side, figures);
    }
    Ok(())
}

/// How long it takes to look into the messages of one call, which the gateway does for each: alone, with nothing else in the processor's caches.
async fn looking(upstream: &Upstream, workload: Workload) -> anyhow::Result<Looking> {
    let mut session = HttpSession::open(&upstream.target()).await?;
    let Answer::Done(result) = session.call(workload.tool, workload.arguments).await? else {
        anyhow::bail!("`{}` is not answered", workload.tool);
    };
    let (result, detector) = (result.to_owned(), Detector::default());
    let mut times_us: Vec<f64> = (0..LOOKS)
        .map(|_| {
            let begun = Instant::now();
            for message in [workload.arguments, &result] {
                black_box(detector.scan(black_box(message.as_bytes())));
            }
            begun.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times_us.sort_unstable_by(f64::total_cmp);
    let median_us = times_us.get(LOOKS / 2).copied().unwrap_or_default();
    Ok(Looking { bytes: workload.arguments.len() + result.len(), median_us, tool: workload.tool })
}

/// What it takes to look into the messages of a call.
#[derive(Debug, Serialize)]
struct Looking {
    bytes: usize,
    median_us: f64,
    tool: &'static str,
}

/// One row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
struct Shape {
    workload: &'static str,
    sessions: usize,
    /// Calls a second in the open loop.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<u32>,
}

impl std::fmt::Display for Shape {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = match self.rate {
            None => format!("{} x{}", self.workload, self.sessions),
            Some(rate) => format!("{} open {rate}/s", self.workload),
        };
        f.pad(&text)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum Side {
    Direct,
    Governed,
}

impl std::fmt::Display for Side {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Direct => "direct",
            Self::Governed => "governed",
        })
    }
}

/// What one window came to.
#[derive(Clone, Copy, Debug, Serialize)]
struct Figures {
    calls_per_s: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    cpu_us_a_call: Option<f64>,
    /// Of the whole disk: what syncs become. At one session a call cannot be durable with fewer than one, unless the disk needs no flushes.
    #[serde(skip_serializing_if = "Option::is_none")]
    flushes_a_call: Option<f64>,
    p50_us: f64,
    p99_us: f64,
}

impl Figures {
    fn of(window: &mut Window) -> Self {
        Self {
            calls_per_s: window.rate(),
            cpu_us_a_call: window.cpu_us_a_call(),
            flushes_a_call: window.flushes_a_call(),
            p50_us: window.quantile_us(0.5),
            p99_us: window.quantile_us(0.99),
        }
    }
}

#[derive(Debug, Serialize)]
struct Cell {
    #[serde(flatten)]
    shape: Shape,
    side: Side,
    windows: Vec<Figures>,
}

impl Cell {
    /// Median, least and most of one figure over the windows.
    fn spread(&self, figure: impl Fn(&Figures) -> Option<f64>) -> Spread {
        let mut values: Vec<f64> = self.windows.iter().filter_map(figure).collect();
        values.sort_unstable_by(f64::total_cmp);
        Spread(values)
    }
}

/// One figure of every window, sorted.
struct Spread(Vec<f64>);

impl Spread {
    fn median(&self) -> Option<f64> {
        self.0.get(self.0.len() / 2).copied()
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (Some(least), Some(median), Some(most)) = (self.0.first(), self.median(), self.0.last()) else {
            return f.pad("-");
        };
        // Rates and times are whole numbers; flushes a call are not.
        if *most < 10.0 {
            f.pad(&format!("{median:.2}"))
        } else {
            f.pad(&format!("{median:.0} ({least:.0}-{most:.0})"))
        }
    }
}

/// Everything that was measured.
#[derive(Debug, Serialize)]
struct Report {
    cells: Vec<Cell>,
    #[serde(skip_serializing_if = "Option::is_none")]
    evidence: Option<Evidence>,
    governed_calls: u64,
    looking: Vec<Looking>,
    machine: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    ready_again_ms: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ready_ms: Option<f64>,
    rounds: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    rss_peak_mib: Option<f64>,
    window_ms: u64,
}

impl Report {
    fn new(options: &Options) -> Self {
        Self {
            cells: Vec::new(),
            evidence: None,
            governed_calls: 0,
            looking: Vec::new(),
            machine: usage::machine(),
            ready_again_ms: None,
            ready_ms: None,
            rounds: options.rounds,
            rss_peak_mib: None,
            window_ms: options.window_ms,
        }
    }

    fn add(&mut self, shape: Shape, side: Side, figures: Figures) {
        match self.cells.iter_mut().find(|cell| cell.shape == shape && cell.side == side) {
            Some(cell) => cell.windows.push(figures),
            None => self.cells.push(Cell { shape, side, windows: vec![figures] }),
        }
    }

    fn print(&self) {
        println!("{}; load client, gateway and upstream share it", self.machine);
        println!("{} rounds of {} ms, direct and governed in turn; median (least-most)", self.rounds, self.window_ms);
        println!();
        println!(
            "{:<22} {:<8} {:>22} {:>18} {:>20} {:>16} {:>12}",
            "load", "side", "calls/s", "p50 us", "p99 us", "gateway CPU us", "flushes"
        );
        for cell in &self.cells {
            println!(
                "{:<22} {:<8} {:>22} {:>18} {:>20} {:>16} {:>12}",
                cell.shape,
                cell.side,
                cell.spread(|window| Some(window.calls_per_s)),
                cell.spread(|window| Some(window.p50_us)),
                cell.spread(|window| Some(window.p99_us)),
                cell.spread(|window| window.cpu_us_a_call),
                cell.spread(|window| window.flushes_a_call)
            );
        }
        println!();
        for Looking { bytes, median_us, tool } in &self.looking {
            let is_its =
                |cell: &&Cell| cell.shape.workload == *tool && cell.side == Side::Governed && cell.shape.rate.is_none();
            let widest = self.cells.iter().rfind(is_its);
            let cpu_us = widest.and_then(|cell| cell.spread(|window| window.cpu_us_a_call).median());
            let share = cpu_us.map(|cpu_us| {
                format!(", {:.1} % of the gateway's processor time at the widest load", 100.0 * median_us / cpu_us)
            });
            println!(
                "{tool}: looking into the {bytes} bytes of a call takes {median_us:.1} us{}",
                share.unwrap_or_default()
            );
        }
        if let (Some(ready), Some(again), Some(rss)) = (self.ready_ms, self.ready_again_ms, self.rss_peak_mib) {
            println!(
                "start to ready {ready:.0} ms on an empty home, {again:.0} ms on the full one; memory at most {rss:.0} MiB"
            );
        }
        if let Some(evidence) = &self.evidence {
            println!(
                "evidence: {} governed calls answered, {} intents and {} outcomes in the ledger, {} of them done",
                self.governed_calls, evidence.intents, evidence.outcomes, evidence.done
            );
        }
    }
}

/// The action records of a ledger, counted.
#[derive(Debug, Default, Serialize)]
pub(super) struct Evidence {
    done: u64,
    intents: u64,
    outcomes: u64,
}

/// Counts the evidence and holds it against the calls that were answered.
pub(super) fn count_evidence(home: &Home, calls: u64) -> anyhow::Result<Evidence> {
    let mut evidence = Evidence::default();
    home.audit("type:action_record", |line| {
        // Searched, not parsed: these are millions of records, and their spelling is canonical.
        let count = |text: &str| u64::from(memchr::memmem::find(line.as_bytes(), text.as_bytes()).is_some());
        evidence.intents += count(r#""event":"intent""#);
        evidence.outcomes += count(r#""event":"outcome""#);
        evidence.done += count(r#""status":"done""#);
        Ok(())
    })?;
    let Evidence { done, intents, outcomes } = evidence;
    anyhow::ensure!(
        done == calls && intents == calls && outcomes == calls,
        "{calls} governed calls were answered, and the ledger has {intents} intents, {outcomes} outcomes, {done} done"
    );
    Ok(evidence)
}
