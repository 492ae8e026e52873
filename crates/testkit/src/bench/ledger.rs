//! `countersign-bench ledger`: the log alone, with the records of a governed call: decision and intent in one group, waited for, then the outcome, which
//! rides along.

use std::cell::RefCell;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use evidence::ids::{CallId, RunId};
use evidence::leaf::sha256_hex;
use evidence::record::{
    ActionEvent, ActionRecord, Agent, Authenticated, Context, DecisionInput, DecisionPoint, DecisionRecord, Draft,
    Effect, EffectClass, Endpoint, Facet, FacetValue, Initiator, Policy, Rule, Status, Surface, Tool,
};
use evidence::time::Timestamp;
use store::{Ledger, Options as LedgerOptions};

use super::default_root;
use super::load::Window;
use super::usage::{self, Used};
use crate::random::Random;
use crate::scratch::Scratch;

/// What to measure.
#[derive(Debug, Args)]
pub struct Options {
    /// Numbers of calls at a time.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 8, 64])]
    pub appenders: Vec<usize>,
    /// How often each window is repeated.
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,
    /// Length of one window.
    #[arg(long, default_value_t = 2_000)]
    pub window_ms: u64,
    /// Where the home lives while it is measured: a real disk. Default: a folder beside the build's output.
    #[arg(long, value_name = "DIR")]
    pub scratch: Option<PathBuf>,
}

/// Measures and prints.
///
/// # Errors
/// When the ledger does not open or stops, or the home is in memory.
pub async fn run(options: &Options) -> anyhow::Result<()> {
    let root = match &options.scratch {
        Some(root) => root.clone(),
        None => default_root()?,
    };
    let scratch = Scratch::under(&root, "ledger")?;
    usage::refuse_memory(scratch.path())?;
    let home = scratch.join("home");
    std::fs::create_dir(&home)?;
    let ledger = Ledger::open(&home, LedgerOptions::default())?;
    println!("{}", usage::machine());
    println!(
        "{:<14} {:>10} {:>12} {:>10} {:>10} {:>12} {:>12}",
        "calls at once", "calls/s", "records/s", "p50 us", "p99 us", "CPU us/call", "flushes/call"
    );
    for _ in 0..options.rounds {
        for &appenders in &options.appenders {
            let mut window = append_for(&ledger, &home, appenders, Duration::from_millis(options.window_ms)).await?;
            println!(
                "{appenders:<14} {:>10.0} {:>12.0} {:>10.0} {:>10.0} {:>12.1} {:>12.2}",
                window.rate(),
                window.rate() * 3.0,
                window.quantile_us(0.5),
                window.quantile_us(0.99),
                window.cpu_us_a_call().unwrap_or(f64::NAN),
                window.flushes_a_call().unwrap_or(f64::NAN)
            );
        }
    }
    let lag = ledger.lag();
    let behind = lag.records();
    let drained = Instant::now();
    ledger.indexed(lag.durable).await;
    println!("the index was {behind} records behind and caught up in {:.2} s", drained.elapsed().as_secs_f64());
    println!("memory at most {:.0} MiB", usage::rss_peak_bytes(std::process::id())? as f64 / f64::from(1 << 20));
    ledger.close().await?;
    let report = store::fsck(&home)?;
    anyhow::ensure!(report.is_sound(), "the ledger does not verify:\n{report}");
    Ok(())
}

async fn append_for(ledger: &Ledger, home: &Path, appenders: usize, length: Duration) -> anyhow::Result<Window> {
    let end = Instant::now() + length;
    let before = Used::by(std::process::id(), home);
    let window = Rc::new(RefCell::new(Window::default()));
    let tasks: Vec<_> = (0..appenders)
        .map(|appender| {
            let (ledger, window) = (ledger.clone(), Rc::clone(&window));
            let calls = Calls::new(appender as u64);
            tokio::task::spawn_local(async move { append_until(&ledger, calls, end, &window).await })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    let mut window = window.take();
    window.used = Used::by(std::process::id(), home).since(before);
    window.seconds = length.as_secs_f64();
    Ok(window)
}

async fn append_until(ledger: &Ledger, mut calls: Calls, end: Instant, window: &RefCell<Window>) -> anyhow::Result<()> {
    loop {
        let begun = Instant::now();
        if begun >= end {
            return Ok(());
        }
        let call = calls.next()?;
        ledger.append(vec![call.decision, call.intent]).await.context("append decision and intent")?;
        let nanos = u32::try_from(begun.elapsed().as_nanos()).unwrap_or(u32::MAX);
        window.borrow_mut().latencies.push(nanos);
        // Nobody waits for the outcome, unless the queue is full.
        if let Err(drafts) = ledger.append_unwaited(vec![call.outcome]) {
            ledger.append(drafts).await.context("append the outcome")?;
        }
    }
}

/// Fills the ledger of `home` with the records of whole calls, as they are written by real ones: through the store, synced, indexed, signed and closed in order.
///
/// # Errors
/// When the ledger does not open or stops.
pub(super) async fn fill(home: &Path, records: u64) -> anyhow::Result<()> {
    std::fs::DirBuilder::new().mode(0o700).create(home).with_context(|| format!("make `{}`", home.display()))?;
    let ledger = Ledger::open(home, LedgerOptions::default())?;
    let tasks: Vec<_> = (0..FILLERS)
        .map(|filler| {
            let (ledger, calls) = (ledger.clone(), Calls::new(filler));
            tokio::task::spawn_local(async move { fill_with(&ledger, calls, records / RECORDS_A_CALL / FILLERS).await })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    Ok(ledger.close().await?)
}

/// Decision, intent, outcome.
pub(super) const RECORDS_A_CALL: u64 = 3;

/// Appends in flight while a ledger is filled: enough that one gathers while another is synced.
const FILLERS: u64 = 4;

/// Calls in one append: 80 of 2.7 kB are 216 kB, a group of the size at which gathering stops.
const CALLS_AN_APPEND: u64 = 80;

async fn fill_with(ledger: &Ledger, mut calls: Calls, count: u64) -> anyhow::Result<()> {
    let mut left = count;
    while left > 0 {
        let now = left.min(CALLS_AN_APPEND);
        left -= now;
        let mut drafts = Vec::new();
        for _ in 0..now {
            let Call { decision, intent, outcome } = calls.next()?;
            drafts.extend([decision, intent, outcome]);
        }
        ledger.append(drafts).await.context("fill the ledger")?;
    }
    Ok(())
}

/// The three records of one call.
struct Call {
    decision: Draft,
    intent: Draft,
    outcome: Draft,
}

/// Calls of one run, with the fields and sizes of a real one.
struct Calls {
    context: Arc<Context>,
    number: u64,
    policy: Policy,
    random: Random,
    tool: Tool,
}

impl Calls {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed);
        let context = Context {
            agent: Agent { name: "load-agent".into(), version: Some("1.0.0".into()) },
            context: None,
            initiator: Initiator { authenticated: Authenticated::RunToken, name: "load@corp.example".into() },
            mission: Some("load".into()),
            run: Some(RunId::at(now(), entropy(&mut random))),
        };
        Self {
            context: context.into(),
            number: 0,
            policy: Policy {
                mission_sha256: sha256_hex(b"mission").into(),
                organisation_sha256: None,
                slice_sha256: Some(sha256_hex(b"slice").into()),
            },
            random,
            tool: Tool {
                endpoint: Endpoint::Tool,
                name: "echo".into(),
                surface: Surface::Mcp,
                upstream: "upstream".into(),
            },
        }
    }

    fn next(&mut self) -> anyhow::Result<Call> {
        self.number += 1;
        let at = now();
        let call = CallId::at(at, entropy(&mut self.random));
        let arguments = format!(r#"{{"text":"the quick brown fox {}"}}"#, self.number);
        let args_sha256 = sha256_hex(arguments.as_bytes());
        let draft = |body: evidence::record::Body| Draft::new(Arc::clone(&self.context), Some(call), at, body);
        let decision = DecisionRecord {
            approval: None,
            effect: Effect::Allow,
            gates: Vec::new(),
            input: DecisionInput {
                args_bytes: arguments.len() as u64,
                args_sha256: args_sha256.clone(),
                call_sha256: sha256_hex(args_sha256.as_bytes()),
                confirmed: None,
                counters: Vec::new(),
                data_fields: Vec::new(),
                facets: vec![Facet {
                    argument: "text".into(),
                    values: vec![FacetValue { kind: "text".into(), text: "the quick brown fox".into() }],
                }],
                met: Vec::new(),
                provenance: Vec::new(),
                sent_sha256: None,
                tool: self.tool.clone(),
            },
            obligations: Vec::new(),
            point: DecisionPoint::Call,
            policy: self.policy.clone(),
            reasons: Vec::new(),
            rules: vec![Rule { id: "allow.mcp.upstream.echo".into(), line: 9 }],
            sentence: "The mission allows `echo` with these arguments.".to_owned(),
            would: None,
        };
        let intent = ActionRecord {
            args_sha256,
            attempt: 1,
            captured: Vec::new(),
            counted: Vec::new(),
            duration_us: None,
            effect_class: EffectClass::Write,
            event: ActionEvent::Intent,
            external_reference: None,
            input_sha256: None,
            reason: None,
            reported: None,
            result_bytes: None,
            result_sha256: None,
            sent_sha256: None,
            status: None,
            tool: self.tool.clone(),
        };
        let outcome = ActionRecord {
            duration_us: Some(100),
            event: ActionEvent::Outcome,
            result_bytes: Some(61),
            result_sha256: Some(sha256_hex(b"result")),
            status: Some(Status::Done),
            ..intent.clone()
        };
        Ok(Call { decision: draft(decision.into()), intent: draft(intent.into()), outcome: draft(outcome.into()) })
    }
}

fn entropy(random: &mut Random) -> [u8; 10] {
    let [a, b, c, d, e, f, g, h] = random.next_u64().to_be_bytes();
    let [i, j, ..] = random.next_u64().to_be_bytes();
    [a, b, c, d, e, f, g, h, i, j]
}

fn now() -> Timestamp {
    Timestamp::from_micros(jiff::Timestamp::now().as_microsecond())
}
