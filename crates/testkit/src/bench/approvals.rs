//! `countersign-bench approvals`: how long people and agents wait for the gateway where many questions are open: to read a page of them, and from the last answer to the result of the
//! call that it lets run.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use clap::Args;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::UnixStream;
use tokio::task::JoinSet;

use super::{default_root, path, usage};
use crate::client::{Answer, HttpSession, Target};
use crate::governed::{Home, Upstream, sibling};
use crate::scratch::Scratch;

/// What to measure.
#[derive(Debug, Args)]
pub struct Options {
    /// The gateway's program (release build). Default: beside this one.
    #[arg(long, value_name = "FILE")]
    pub binary: Option<PathBuf>,
    /// How many questions are open.
    #[arg(long, default_value_t = 10_000)]
    pub open: usize,
    /// How many of them are answered.
    #[arg(long, default_value_t = 200)]
    pub answered: usize,
    /// How many are on a page of the inbox.
    #[arg(long, default_value_t = 100)]
    pub page: usize,
    /// Where the home lives while it is measured: a real disk. Default: a folder beside the build's output.
    #[arg(long, value_name = "DIR")]
    pub scratch: Option<PathBuf>,
}

/// Sessions that ask side by side.
const ASKING: usize = 200;

/// The tool that asks.
const TOOL: &str = "echo";

/// Measures and prints.
///
/// # Errors
/// When a part does not start, an answer differs, or the home is in memory.
pub async fn run(options: &Options) -> anyhow::Result<()> {
    let root = options.scratch.clone().map_or_else(default_root, Ok)?;
    println!("{}; load client, gateway and upstream share it", usage::machine());
    let scratch = Scratch::under(&root, "approvals")?;
    usage::refuse_memory(scratch.path())?;
    let upstream = Upstream::start(&sibling("countersign-upstream")?, &[])?;
    let home = Home::new(&options.binary.clone().map_or_else(|| sibling("countersign"), Ok)?, scratch.path())?;
    home.write_gated_mission(&[TOOL])?;
    home.write_config(&upstream.url())?;
    let mut served = home.serve()?;
    let target = served.target(&home.token()?);
    let started = Instant::now();
    let asked = ask_all(&target, options.open).await?;
    println!("{} questions asked in {:.1} s", options.open, started.elapsed().as_secs_f64());

    let socket = home.path().join("gateway.sock");
    let mut pages = Vec::new();
    let mut open = Vec::new();
    let mut after = Value::Null;
    loop {
        let started = Instant::now();
        let mut page = listed(&socket, &after, options.page).await?;
        pages.push(started.elapsed());
        open.append(page.pointer_mut("/approvals").and_then(Value::as_array_mut).context("a page of approvals")?);
        match page.get("next") {
            Some(next) if !next.is_null() => after = next.clone(),
            _ => break,
        }
    }
    anyhow::ensure!(open.len() == options.open, "{} questions are open", open.len());
    row(&format!("a page of {} of the inbox", options.page), &mut pages);

    let mut results = Vec::new();
    let mut session = HttpSession::open(&target).await?;
    for view in open.iter().take(options.answered) {
        let number = text(view, "/approval").and_then(|approval| asked.get(approval));
        let arguments = arguments(*number.context("a question that was asked here")?);
        let held = async {
            match session.call(TOOL, &arguments).await? {
                Answer::Done(_) => Ok(Instant::now()),
                other => bail!("an approved call came out as {other:?}"),
            }
        };
        let answered = async {
            // The call has joined its question long before.
            tokio::time::sleep(Duration::from_millis(20)).await;
            let at = Instant::now();
            approve(&socket, view).await?;
            anyhow::Ok(at)
        };
        let (ended, answered) = tokio::try_join!(held, answered)?;
        results.push(ended.saturating_duration_since(answered));
    }
    row("last answer sent to result received", &mut results);
    path::stop(&mut served)
}

fn row(what: &str, times: &mut [Duration]) {
    times.sort_unstable();
    let at = |share: f64| {
        let place = (times.len() as f64 * share) as usize;
        times.get(place.min(times.len().saturating_sub(1))).map_or(f64::NAN, |time| time.as_secs_f64() * 1e3)
    };
    println!("{what:40} p50 {:.1} ms, p99 {:.1} ms, of {}", at(0.5), at(0.99), times.len());
}

fn text<'a>(value: &'a Value, pointer: &str) -> Option<&'a str> {
    value.pointer(pointer).and_then(Value::as_str)
}

fn arguments(number: usize) -> String {
    format!("{{\"text\":\"payment {number}\"}}")
}

/// Asks so many questions, each of another call; gives the number of each by its approval.
async fn ask_all(target: &Target, count: usize) -> anyhow::Result<HashMap<String, usize>> {
    let mut sessions = JoinSet::new();
    for first in 0..ASKING.min(count) {
        let target = target.clone();
        sessions.spawn_local(async move {
            let (mut session, mut asked) = (HttpSession::open(&target).await?, Vec::new());
            for number in (first..count).step_by(ASKING) {
                match session.call(TOOL, &arguments(number)).await? {
                    Answer::ToolError(answer) => {
                        let answer: Value = serde_json::from_str(answer)?;
                        let told = text(&answer, "/_meta/countersign.dev~1approval/approval");
                        asked.push((told.context("a question")?.to_owned(), number));
                    }
                    other => bail!("a call that needs approval came out as {other:?}"),
                }
            }
            anyhow::Ok(asked)
        });
    }
    let mut all = HashMap::new();
    while let Some(asked) = sessions.join_next().await {
        all.extend(asked??);
    }
    Ok(all)
}

/// Puts a question to the gateway's socket, as commands do.
async fn put(socket: &Path, ask: &Value) -> anyhow::Result<Value> {
    let mut stream = UnixStream::connect(socket).await?;
    stream.write_all(format!("{ask}\n").as_bytes()).await?;
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).await?;
    Ok(serde_json::from_str(&line)?)
}

async fn listed(socket: &Path, after: &Value, limit: usize) -> anyhow::Result<Value> {
    let wanted = json!({ "after": after, "begins": null, "limit": limit, "state": "open" });
    let mut answer = put(socket, &json!({ "approvals": wanted })).await?;
    answer.get_mut("approvals").map(Value::take).context("a page of approvals")
}

async fn approve(socket: &Path, view: &Value) -> anyhow::Result<()> {
    let ask = json!({ "review": {
        "answer": "approve", "approval": text(view, "/approval"), "key": null, "nonce": "0".repeat(32),
        "on_behalf_of": null, "reason": "measured", "reviewer": null, "shown_sha256": text(view, "/shown_sha256"),
        "signature": null, "signed_at": text(view, "/asked_at"),
    } });
    let answer = put(socket, &ask).await?;
    anyhow::ensure!(text(&answer, "/counted/resolution") == Some("approved"), "an answer came out as {answer}");
    Ok(())
}
