//! `countersign-bench evidence`: how long filters take over a large ledger: the first page, all of a count, the story of a call.
//!
//! The records are those of calls of many missions, agents and people, some denied, some approved, some that ended badly; they are written by the ledger itself.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use clap::Args;
use evidence::filter::{Field, Filter};
use evidence::ids::{ApprovalId, CallId, ExceptionId, RunId};
use evidence::record::{Body, Context, Draft, Effect, EffectClass, Record, Status};
use evidence::time::Timestamp;
use store::{Ledger, Options as LedgerOptions, Order, Reader};

use super::{default_root, usage};
use crate::random::Random;
use crate::scratch::Scratch;

/// What to measure.
#[derive(Debug, Args)]
pub struct Options {
    /// Records in the ledger; 10 million take some 12 GB of disk.
    #[arg(long, default_value_t = 1_000_000)]
    pub records: u64,
    /// How often each question is asked.
    #[arg(long, default_value_t = 20)]
    pub rounds: usize,
    /// Where the home lives: a real disk. Default: a folder beside the build's output.
    #[arg(long, value_name = "DIR")]
    pub scratch: Option<PathBuf>,
}

/// Records on a page.
const PAGE: usize = 100;

/// Appends in flight while the ledger is filled.
const DRAFTS_AN_APPEND: usize = 240;

/// Measures and prints.
///
/// # Errors
/// When the ledger does not open, stops or cannot be read.
pub async fn run(options: &Options) -> anyhow::Result<()> {
    let root = options.scratch.clone().map_or_else(default_root, Ok)?;
    let scratch = Scratch::under(&root, "evidence")?;
    usage::refuse_memory(scratch.path())?;
    let home = scratch.join("home");
    std::fs::create_dir(&home)?;
    println!("{}", usage::machine());
    let calls = fill(&home, options.records).await?;
    let bytes = |path: &str| -> anyhow::Result<u64> { Ok(std::fs::metadata(home.join(path))?.len()) };
    let reader = Reader::open(&home)?;
    let newest = reader.query(&Filter::everything(), Order::NewestFirst, Some(1))?.pop().context("a newest record")?;
    println!(
        "{} records; the index has {:.0} bytes for each",
        newest.seq,
        bytes("ledger/index.sqlite")? as f64 / newest.seq as f64
    );
    println!(
        "{:<72} {:>9} {:>9} {:>9} {:>9} {:>11}",
        "filter", "page p50", "page max", "count p50", "count max", "matches"
    );
    let at = |part: u64| -> anyhow::Result<Timestamp> {
        Ok(reader.record(newest.seq / 10 * part)?.context("a record in the middle")?.recorded_at)
    };
    let one = calls.get(calls.len() / 2).context("a call")?;
    let run = reader.call(*one)?.first().and_then(|record| record.correlation.run).context("a run")?;
    for text in filters(at(6)?, at(7)?, *one, run) {
        let filter: Filter = text.parse().with_context(|| text.clone())?;
        let (mut pages, mut counts, mut matches) = (Vec::new(), Vec::new(), 0);
        for _ in 0..options.rounds {
            let begun = Instant::now();
            reader.query(&filter, Order::NewestFirst, Some(PAGE))?;
            pages.push(begun.elapsed());
            let begun = Instant::now();
            matches = reader.count(&filter)?;
            counts.push(begun.elapsed());
        }
        let [page, page_max, count, count_max] =
            [median(&mut pages), worst(&pages), median(&mut counts), worst(&counts)].map(ms);
        println!("{text:<72} {page:>9.1} {page_max:>9.1} {count:>9.1} {count_max:>9.1} {matches:>11}");
    }
    let mut stories = Vec::new();
    for call in &calls {
        let begun = Instant::now();
        anyhow::ensure!(!reader.call(*call)?.is_empty(), "call {call} has records");
        stories.push(begun.elapsed());
    }
    println!("the story of a call: p50 {:.2} ms, max {:.2} ms", ms(median(&mut stories)), ms(worst(&stories)));
    for fields in [&[Field::Type][..], &[Field::Mission, Field::Decision], &[Field::On], &[Field::Person]] {
        let begun = Instant::now();
        let groups = reader.count_by(&Filter::everything(), fields)?.len();
        let names: Vec<&str> = fields.iter().map(|field| field.name()).collect();
        println!("all counted by {}: {:.0} ms, {groups} groups", names.join(", "), ms(begun.elapsed()));
    }
    println!("all times in ms");
    Ok(())
}

/// The filters of the documentation, over what there is.
fn filters(from: Timestamp, to: Timestamp, call: CallId, run: RunId) -> Vec<String> {
    let mut filters: Vec<String> = [
        "",
        "type:action_record",
        "decision:deny",
        "decision:deny agent:agent-3",
        "status:unknown",
        "status:unknown,tool_error",
        "type:exception_record",
        "tool:mcp:server-1/* not agent:agent-3",
        "type:version_log (mission:mission-1* or mission:mission-7)",
        "initiator:person-17@corp.example",
        "person:person-17@corp.example",
        "approver:eva@corp.example",
        "gate:payments answer:deny or gate:payments decision:ask",
        "class:pii status:done",
        "reason:argument_*",
        "version:a1",
        "kind:unknown_outcome",
        "refused",
        "\"unknown payee\"",
        "event:intent effect_class:pay not call(event:consumed)",
        "decision:ask call(answer:deny)",
        "run(status:unknown) decision:deny",
    ]
    .map(str::to_owned)
    .into();
    filters.push(format!("type:action_record agent:agent-3 after:{from} before:{to}"));
    filters.push(format!("call:{call}"));
    filters.push(format!("run:{run}"));
    filters
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1_000.0
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn worst(times: &[Duration]) -> Duration {
    times.iter().max().copied().unwrap_or_default()
}

/// Fills the ledger; gives some of its calls.
async fn fill(home: &std::path::Path, records: u64) -> anyhow::Result<Vec<CallId>> {
    let ledger = Ledger::open(home, LedgerOptions::default())?;
    let mut story = Story::new()?;
    let (begun, mut written, mut drafts, mut some) = (Instant::now(), 0_u64, Vec::new(), Vec::new());
    while written < records {
        let call = story.next(&mut drafts);
        if some.len() < 1_000 && story.number.is_multiple_of(records.div_ceil(4_000).max(1)) {
            some.push(call);
        }
        if drafts.len() + 16 > DRAFTS_AN_APPEND {
            written += drafts.len() as u64;
            ledger.append(std::mem::take(&mut drafts)).await.context("fill the ledger")?;
        }
    }
    let wrote = begun.elapsed();
    let lag = ledger.lag();
    let behind = lag.records();
    ledger.indexed(lag.durable).await;
    println!(
        "wrote {written} records in {:.1} s; the index was {behind} behind and caught up {:.1} s later",
        wrote.as_secs_f64(),
        (begun.elapsed() - wrote).as_secs_f64()
    );
    ledger.close().await?;
    Ok(some)
}

/// Examples of records, and what is varied of them.
struct Story {
    allow: Body,
    deny: Body,
    intent: Body,
    outcome: Body,
    approval: Vec<Body>,
    exception: Body,
    version: Body,
    random: Random,
    number: u64,
    context: Arc<Context>,
}

fn body(json: &str) -> anyhow::Result<Record> {
    Ok(serde_json::from_str(json)?)
}

macro_rules! example {
    ($name:literal) => {
        body(include_str!(concat!("../../../../corpus/evidence/v1/", $name, ".json"))).context($name)?
    };
}

impl Story {
    fn new() -> anyhow::Result<Self> {
        let allow = example!("decision_record-allow");
        let context = Context {
            agent: allow.agent.clone(),
            context: allow.correlation.context,
            initiator: allow.initiator.clone(),
            mission: None,
            run: None,
        };
        Ok(Self {
            allow: allow.body,
            deny: example!("decision_record-deny").body,
            intent: example!("action_record-intent").body,
            outcome: example!("action_record-outcome").body,
            approval: vec![
                example!("approval_record-requested").body,
                example!("approval_record-review").body,
                example!("approval_record-resolved").body,
                example!("approval_record-consumed").body,
            ],
            exception: example!("exception_record").body,
            version: example!("version_log").body,
            random: Random::new(7),
            number: 0,
            context: Arc::new(context),
        })
    }

    fn below(&mut self, count: u64) -> u64 {
        self.random.next_u64() % count
    }

    fn entropy(&mut self) -> [u8; 10] {
        let [a, b, c, d, e, f, g, h] = self.random.next_u64().to_be_bytes();
        let [i, j, ..] = self.random.next_u64().to_be_bytes();
        [a, b, c, d, e, f, g, h, i, j]
    }

    /// Adds the records of the next call.
    fn next(&mut self, drafts: &mut Vec<Draft>) -> CallId {
        let at = now();
        if self.number.is_multiple_of(50) {
            let mut context = (*self.context).clone();
            context.agent.name = format!("agent-{}", self.below(20)).into();
            context.initiator.name = format!("person-{}@corp.example", self.below(300)).into();
            context.mission = Some(format!("mission-{}", self.below(40)).into());
            context.run = Some(RunId::at(at, self.entropy()));
            self.context = Arc::new(context);
            drafts.push(Draft::new(Arc::clone(&self.context), None, at, self.version.clone()));
        }
        self.number += 1;
        let call = CallId::at(at, self.entropy());
        let context = Arc::clone(&self.context);
        let classes: Vec<Arc<str>> =
            if self.below(3) == 0 { vec!["financial".into(), "pii.email".into()] } else { vec![] };
        let mut add = |body: Body| {
            let draft = Draft::new(Arc::clone(&context), Some(call), at, body);
            drafts.push(Draft { data_classes: classes.clone(), ..draft });
        };
        let (server, tool) = (self.below(5), self.below(12));
        let (server, tool): (Arc<str>, Arc<str>) = (format!("server-{server}").into(), format!("tool-{tool}").into());
        let luck = self.below(1_000);
        let mut decision = if luck < 30 { self.deny.clone() } else { self.allow.clone() };
        let asks = (30..50).contains(&luck);
        if let Body::Decision(decision) = &mut decision {
            (decision.input.tool.upstream, decision.input.tool.name) = (Arc::clone(&server), Arc::clone(&tool));
            if asks {
                (decision.effect, decision.gates) = (Effect::Ask, vec!["payments".into()]);
                decision.sentence = format!("`amount` {} is over 1000 and {} is an unknown payee.", self.number, tool);
            }
        }
        add(decision);
        if luck < 30 {
            return call;
        }
        let says_no = luck < 35;
        if asks {
            let approval = ApprovalId::at(at, self.entropy());
            for body in self.approval.clone().into_iter().take(if says_no { 2 } else { 4 }) {
                let Body::Approval(mut event) = body else { continue };
                event.approval = approval;
                (event.tool.upstream, event.tool.name) = (Arc::clone(&server), Arc::clone(&tool));
                if let Some(review) = &mut event.review {
                    review.reviewer =
                        if luck.is_multiple_of(2) { "eva@corp.example" } else { "tom@corp.example" }.into();
                    if says_no {
                        review.answer = evidence::record::approval::Answer::Deny;
                        review.reason = "Refused: nobody knows this account.".into();
                    }
                }
                add(Body::Approval(event));
            }
            if says_no {
                return call;
            }
        }
        let status = match luck {
            990.. => Status::ToolError,
            980..990 if self.number.is_multiple_of(50) => Status::Unknown,
            _ => Status::Done,
        };
        for (mut body, is_outcome) in [(self.intent.clone(), false), (self.outcome.clone(), true)] {
            if let Body::Action(action) = &mut body {
                (action.tool.upstream, action.tool.name) = (Arc::clone(&server), Arc::clone(&tool));
                action.effect_class = if &*tool == "tool-1" { EffectClass::Pay } else { EffectClass::Read };
                action.status = is_outcome.then_some(status);
            }
            add(body);
        }
        if status == Status::Unknown {
            let mut body = self.exception.clone();
            if let Body::Exception(exception) = &mut body {
                exception.exception = ExceptionId::at(at, self.entropy());
            }
            add(body);
        }
        call
    }
}

fn now() -> Timestamp {
    Timestamp::from_micros(jiff::Timestamp::now().as_microsecond())
}
