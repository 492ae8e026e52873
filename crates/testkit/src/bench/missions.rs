//! `countersign-bench missions`: what a mission costs: its decisions by the number of rules, alone and among a thousand missions, and to read, compile and keep a
//! thousand of them.

use std::fmt::Write as _;
use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use bytes::Bytes;
use clap::Args;
use evidence::ids::{CallId, RunId};
use evidence::record::{Agent, Authenticated, Context, Effect, Endpoint, Initiator, Surface, Tool};
use evidence::time::Timestamp;
use governance::classify::{Returned, Standing, classify};
use governance::count::Book;
use governance::decide::{PolicySnapshot, compile, decide};
use governance::intercept::Intercepted;
use governance::mission::parse;

use super::usage;

/// What to measure.
#[derive(Debug, Args)]
pub struct Options {
    /// Numbers of argument rules of the tool that is called.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 4, 8, 16, 64])]
    pub rules: Vec<usize>,
    /// How many missions are there besides.
    #[arg(long, default_value_t = 1_000)]
    pub missions: usize,
    /// How often each window is repeated.
    #[arg(long, default_value_t = 5)]
    pub rounds: usize,
    /// Length of one window.
    #[arg(long, default_value_t = 200)]
    pub window_ms: u64,
}

/// A call to decide, and how it must come out.
struct Question {
    expected: Effect,
    intercepted: Intercepted,
    what: String,
}

/// Measures and prints.
///
/// # Errors
/// When a mission does not compile, or a call is decided otherwise than it must be.
pub fn run(options: &Options) -> anyhow::Result<()> {
    println!("{}", usage::machine());
    let before = resident_kib()?;
    let sources: Vec<String> = (0..options.missions).map(|number| source(&format!("other-{number}"), 8, "")).collect();
    let (started, read) =
        (Instant::now(), sources.iter().map(|source| parse(source).map(Arc::new)).collect::<Result<Vec<_>, _>>());
    let read = read.map_err(|error| anyhow::anyhow!("{}", error.render("bench")))?;
    let reading = started.elapsed();
    let started = Instant::now();
    let others: Vec<PolicySnapshot> = read.into_iter().map(compile).collect::<Result<_, _>>().context("compile")?;
    let compiling = started.elapsed();
    let per = |time: Duration| time.as_secs_f64() * 1e6 / options.missions as f64;
    println!(
        "{} missions of 4 tools and 8 rules: read {:.0} ms ({:.0} us each), compiled {:.0} ms ({:.0} us each), {:.1} KiB each in memory",
        options.missions,
        reading.as_secs_f64() * 1e3,
        per(reading),
        compiling.as_secs_f64() * 1e3,
        per(compiling),
        (resident_kib()?.saturating_sub(before)) as f64 / options.missions as f64,
    );
    println!(
        "{:30} {:>12} {:>12} {:>12}",
        "one decision",
        "alone",
        format!("of {}", options.missions + 1),
        "with limits"
    );
    for rules in &options.rules {
        let plain = compiled(*rules, "")?;
        let limited = compiled(*rules, "[budget]\ncalls = { per_run = 9_000_000_000, per_day = 9_000_000_000 }\n")?;
        for question in [question(*rules, Effect::Allow), question(*rules, Effect::Deny)] {
            let mut best = [f64::INFINITY; 3];
            for _ in 0..options.rounds {
                let window = Duration::from_millis(options.window_ms);
                best[0] = best[0].min(window_us(window, &question, std::iter::repeat(&plain))?);
                // The one that is asked is never twice in a row the same memory.
                let among = others.iter().flat_map(|other| [black_box(other), &plain]).cycle().skip(1).step_by(2);
                best[1] = best[1].min(window_us(window, &question, among)?);
                best[2] = best[2].min(window_us(window, &question, std::iter::repeat(&limited))?);
            }
            let [alone, among, limited] = best.map(|us| format!("{us:.1} us"));
            println!("{:30} {alone:>12} {among:>12} {limited:>12}", format!("{rules} rules, {}", question.what));
        }
    }
    drop(others);
    Ok(())
}

/// Microseconds a decision, over one window.
fn window_us<'a>(
    window: Duration,
    question: &Question,
    mut policies: impl Iterator<Item = &'a PolicySnapshot>,
) -> anyhow::Result<f64> {
    let at: Timestamp = "2026-11-25T12:00:00.000000Z".parse().map_err(|_| anyhow::anyhow!("a time"))?;
    let book = Book::default();
    let started = Instant::now();
    let mut count = 0_u32;
    while started.elapsed() < window {
        for _ in 0..64 {
            let policy = policies.next().context("there is always another")?;
            let intercepted = question.intercepted.clone();
            let tool = intercepted.tool().clone();
            let mut classified = classify(intercepted, policy.plan(&tool), Standing::Good, &Returned::default());
            classified.tallies = book.tally(policy.counters(&tool), &classified.intercepted, &classified.facets, at);
            let decision = decide(&classified, policy, at);
            anyhow::ensure!(decision.effect == question.expected, "{}: {}", question.what, decision.sentence);
            black_box(decision);
        }
        count += 64;
    }
    Ok(started.elapsed().as_secs_f64() * 1e6 / f64::from(count))
}

fn compiled(rules: usize, sections: &str) -> anyhow::Result<PolicySnapshot> {
    let mission =
        parse(&source("asked", rules, sections)).map_err(|error| anyhow::anyhow!("{}", error.render("bench")))?;
    Ok(compile(Arc::new(mission))?)
}

/// A mission with one tool of so many ruled arguments, and three without rules.
fn source(name: &str, rules: usize, sections: &str) -> String {
    let mut text = format!(
        "mission = \"{name}\"\ngoal = \"Measure.\"\nowner = \"o@corp.example\"\nagents = [\"bot\"]\nuntil = 2099-12-31\nwhy = \"First.\"\n\n\
         [allow.mcp.s]\nlook = {{}}\nlist = {{}}\nshow = {{}}\n\n[allow.mcp.s.ask]\n"
    );
    for rule in 0..rules {
        // Writing to a text cannot fail.
        let _ = match rule % 4 {
            0 => writeln!(text, "a{rule} = {{ min = 0, max = 1000 }}"),
            1 => writeln!(text, "a{rule} = {{ in = [\"one\", \"two\", \"three\"] }}"),
            2 => writeln!(text, "a{rule} = {{ path = [\"/srv/docs\", \"/srv/public\"] }}"),
            _ => writeln!(text, "a{rule} = {{ pattern = \"INV-[0-9]{{6}}\" }}"),
        };
    }
    text.push_str(sections);
    text
}

fn question(rules: usize, expected: Effect) -> Question {
    let value = |rule: usize| match rule % 4 {
        0 if rule == 0 && expected == Effect::Deny => "1001",
        0 => "500",
        1 => "\"two\"",
        2 => "\"/srv/docs/handbook/leave.md\"",
        _ => "\"INV-000042\"",
    };
    let members: Vec<String> = (0..rules).map(|rule| format!("\"a{rule}\":{}", value(rule))).collect();
    let context = Context {
        agent: Agent { name: "bot".into(), version: None },
        context: None,
        initiator: Initiator { authenticated: Authenticated::OsUser, name: "ann".into() },
        mission: Some("asked".into()),
        run: Some(RunId::from_bytes([1; 16])),
    };
    let tool = Tool { endpoint: Endpoint::Tool, name: "ask".into(), surface: Surface::Mcp, upstream: "s".into() };
    let arguments = Bytes::from(format!("{{{}}}", members.join(",")));
    let intercepted = Intercepted::new(CallId::from_bytes([1; 16]), Arc::new(context), tool, arguments, None);
    Question { expected, intercepted, what: if expected == Effect::Allow { "allowed" } else { "denied" }.to_owned() }
}

/// What this process has in memory.
pub(super) fn resident_kib() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("the kernel says no VmRSS")?;
    Ok(line.split_ascii_whitespace().nth(1).context("a number")?.parse()?)
}
