//! Round after round: start, load, kill; then start once more, call once more, and check.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use rustix::process::{Pid, Signal, kill_process};

use super::load::{Book, Client, READ, TOOLS};
use super::truth::{Accounts, Action, Effect, Findings, Heard, Rule, Wrong, check};
use super::{Options, Transport, Verdict};
use crate::client::{HttpSession, StdioSession};
use crate::governed::{Home, SERVER, Upstream, sibling};
use crate::limits::PATIENCE;
use crate::process::Process;
use crate::random::Random;
use crate::scratch::Scratch;
use crate::wait;

/// One round in so many kills the gateway while it starts: recovery must survive its own death.
const KILL_AT_START_ONE_IN: u64 = 6;
/// One fresh home for so many kills: it must survive being killed while it is made.
const FRESH_ONE_IN: u32 = 10;
/// The latest moment of a kill at the start.
const START_KILL_US_MAX: u64 = 60_000;
/// The latest moment of a kill under load, counted from the round's first answer.
const LOAD_KILL_US_MAX: u64 = 90_000;
/// One round in so many kills the gateway and leaves the bridges.
const LEAVE_BRIDGES_ONE_IN: u64 = 2;
/// Rounds between two lines of progress.
const REPORT_EVERY: u32 = 25;
/// Counterexamples to one rule that are printed.
const SHOWN_MAX: usize = 5;

/// Kills, checks and prints, on each transport that was asked for.
///
/// # Errors
/// When a part does not start or does not answer: then nothing was proved.
pub async fn run(options: &Options) -> anyhow::Result<Verdict> {
    let seed = match options.seed {
        Some(seed) => seed,
        None => Random::any_seed()?,
    };
    let half = options.kills / 2;
    let mut failed = 0;
    let parts = match options.transport {
        Transport::Both => vec![(Transport::Http, options.kills - half), (Transport::Stdio, half)],
        one => vec![(one, options.kills)],
    };
    for (transport, kills) in &parts {
        println!("crash: {kills} kills over {transport}, seed {seed}");
        let mut scratch = Scratch::new("crash")?;
        let wrong = kill_and_check(options, *transport, *kills, seed, scratch.path()).await;
        if options.keep || !matches!(wrong, Ok(0)) {
            scratch.keep();
            println!("crash: repeat the choices with --seed {seed} --transport {transport} --kills {kills}");
        }
        failed += wrong?;
    }
    println!("{} passed, {failed} failed", parts.len() * Rule::ALL.len() - failed);
    Ok(if failed == 0 { Verdict::True } else { Verdict::False })
}

/// How many rules do not hold.
async fn kill_and_check(
    options: &Options,
    transport: Transport,
    kills: u32,
    seed: u64,
    scratch: &Path,
) -> anyhow::Result<usize> {
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => sibling("countersign")?,
    };
    let home = Home::new(&binary, scratch)?;
    home.write_mission_with_reads(&TOOLS, &[READ])?;
    let mut field = Field {
        book: Rc::new(Book::default()),
        effects: scratch.join("effects"),
        home,
        random: Random::new(seed),
        restarts: Vec::new(),
        sessions: options.sessions,
        upstream: sibling("countersign-upstream")?,
    };
    let started = Instant::now();
    let ran = match transport {
        Transport::Stdio => field.over_stdio(kills).await,
        Transport::Both | Transport::Http => field.over_http(kills).await,
    };
    let killed = started.elapsed();
    let left = field.home.descendants();
    kill_all(left.iter().copied());
    let accounts = field.accounts()?;
    let mut findings = check(&accounts);
    if let Err(error) = ran {
        findings.wrong.push(Wrong::new(Rule::StartsAgain, format!("{error:#}")));
    } else if !left.is_empty() {
        let case = format!("the processes {left:?} were left when all should have ended");
        findings.wrong.push(Wrong::new(Rule::StartsAgain, case));
    }
    match field.home.verify() {
        Ok(said) => println!("verify: {}", said.trim()),
        Err(error) => findings.wrong.push(Wrong::new(Rule::LedgerVerifies, format!("{error:#}"))),
    }
    summarise(kills, &accounts, &findings, killed);
    field.restarts.sort_unstable();
    if let (Some(median), Some(most)) = (field.restarts.get(field.restarts.len() / 2), field.restarts.last()) {
        println!("a restart with its recovery took {median:.0?} (median), at most {most:.0?}");
    }
    Ok(count_wrong(&findings))
}

/// What all rounds share.
struct Field {
    book: Rc<Book>,
    effects: PathBuf,
    home: Home,
    random: Random,
    /// From the start of each gateway process until it took connections, recovery included.
    restarts: Vec<Duration>,
    sessions: usize,
    upstream: PathBuf,
}

impl Field {
    async fn over_http(&mut self, kills: u32) -> anyhow::Result<()> {
        let effects = self.effects.to_str().context("the scratch path is text")?.to_owned();
        let mut upstream = Upstream::start(&self.upstream, &["--effects", &effects])?;
        self.home.write_config(&upstream.url())?;
        for home in 1..=kills.div_ceil(FRESH_ONE_IN) {
            self.kill_a_fresh_home(home, &upstream).await.with_context(|| format!("fresh home {home}"))?;
        }
        let token = self.home.token()?;
        for round in 1..=kills {
            self.http_round(round, &token).await.with_context(|| format!("round {round}"))?;
            self.report(round);
        }
        self.still_works_http(&token).await.context("after the last kill")?;
        Ok(upstream.process.kill()?)
    }

    /// A home that is made while its gateway is killed, at any moment of keys, first segment and first mission, opens the next time and verifies.
    async fn kill_a_fresh_home(&mut self, number: u32, upstream: &Upstream) -> anyhow::Result<()> {
        let home = self.home.beside(&format!("fresh-{number}"))?;
        home.write_mission(&["effect"])?;
        home.write_config(&upstream.url())?;
        let mut process = home.spawn_serve()?;
        self.pause(START_KILL_US_MAX).await;
        process.kill()?;
        let status = home.serve()?.process.stop(PATIENCE)?;
        anyhow::ensure!(status.success(), "the gateway ended with {status}: {}", home.said());
        home.verify().map(drop)
    }

    async fn http_round(&mut self, round: u32, token: &str) -> anyhow::Result<()> {
        if self.random.one_in(KILL_AT_START_ONE_IN) {
            let mut process = self.home.spawn_serve()?;
            self.pause(START_KILL_US_MAX).await;
            return Ok(process.kill()?);
        }
        let answers = self.book.answers();
        let mut served = self.home.start()?;
        self.restarts.push(served.ready_in);
        let clients: Vec<_> = (0..self.sessions)
            .map(|session| {
                let client = Client::new(format!("h{round}-{session}"), self.random.fork());
                tokio::task::spawn_local(client.call_http(served.target(token), Rc::clone(&self.book)))
            })
            .collect();
        self.answer_after(answers).await?;
        self.pause(LOAD_KILL_US_MAX).await;
        served.process.kill()?;
        for client in clients {
            tokio::time::timeout(PATIENCE, client).await.context("a client still waits for a dead gateway")??;
        }
        Ok(())
    }

    /// After all the kills a call goes through as if nothing had been, and the gateway ends in order.
    async fn still_works_http(&self, token: &str) -> anyhow::Result<()> {
        let mut served = self.home.serve()?;
        let mut session = HttpSession::open(&served.target(token)).await?;
        self.book.call_last(async |tool, arguments| Ok(session.call(tool, arguments).await?.into())).await?;
        drop(session);
        let status = served.process.stop(PATIENCE)?;
        anyhow::ensure!(status.success(), "the gateway ended with {status}: {}", self.home.said());
        Ok(())
    }

    async fn over_stdio(&mut self, kills: u32) -> anyhow::Result<()> {
        for round in 1..=kills {
            self.stdio_round(round).await.with_context(|| format!("round {round}"))?;
            self.report(round);
        }
        self.still_works_stdio().await.context("after the last kill")
    }

    async fn stdio_round(&mut self, round: u32) -> anyhow::Result<()> {
        let mut bridges = Vec::new();
        for _ in 0..self.sessions {
            bridges.push(self.bridge()?);
        }
        let answers = self.book.answers();
        let at_start = self.random.one_in(KILL_AT_START_ONE_IN);
        let mut clients = Vec::new();
        for (number, bridge) in bridges.iter_mut().enumerate() {
            let pipes = bridge.take_stdin().zip(bridge.take_stdout()).context("the pipes are there")?;
            let client = Client::new(format!("s{round}-{number}"), self.random.fork());
            let book = Rc::clone(&self.book);
            clients.push(tokio::task::spawn_local(async move {
                if let Ok(session) = StdioSession::open(pipes.0, pipes.1).await {
                    client.call_stdio(session, book).await;
                }
            }));
        }
        if at_start {
            self.pause(START_KILL_US_MAX).await;
        } else {
            self.answer_after(answers).await?;
            self.pause(LOAD_KILL_US_MAX).await;
        }
        let ids: Vec<u32> = bridges.iter().map(Process::pid).collect();
        kill_all(self.home.processes().into_iter().filter(|pid| !ids.contains(pid)));
        if !self.random.one_in(LEAVE_BRIDGES_ONE_IN) {
            bridges.clear();
        }
        // A bridge that was left may end, or start the gateway anew and go on: then it is ended here.
        for client in &mut clients {
            let _still_served = tokio::time::timeout(Duration::from_millis(50), client).await;
        }
        drop(bridges);
        for client in clients {
            client.abort();
        }
        self.all_gone()
    }

    fn bridge(&self) -> anyhow::Result<Process> {
        let mission = self.home.mission();
        let mut command = self.home.command(&["mcp", "--server", SERVER])?;
        command
            .arg("--mission")
            .arg(mission)
            .arg("--")
            .arg(&self.upstream)
            .args(["--stdio", "--effects"])
            .arg(&self.effects);
        Ok(Process::spawn(command.stdin(Stdio::piped()))?)
    }

    /// Kills what is left of the gateway, and waits until its upstreams have gone with it.
    fn all_gone(&self) -> anyhow::Result<()> {
        wait::until("the end of the gateway and its upstreams", PATIENCE, || {
            kill_all(self.home.processes().into_iter());
            let left: Vec<u32> = self.home.descendants().into_iter().filter(|pid| runs(*pid)).collect();
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?} run")) }
        })?;
        Ok(())
    }

    async fn still_works_stdio(&self) -> anyhow::Result<()> {
        let mut bridge = self.bridge()?;
        let pipes = bridge.take_stdin().zip(bridge.take_stdout()).context("the pipes are there")?;
        let mut session = StdioSession::open(pipes.0, pipes.1).await.with_context(|| self.home.said())?;
        self.book
            .call_last(async |tool, arguments| {
                let id = session.send(tool, arguments).await?;
                let (answered, answer) = session.receive().await?;
                anyhow::ensure!(answered == id, "an answer to {answered} instead of {id}");
                Ok(answer.into())
            })
            .await?;
        drop(session);
        bridge.wait(PATIENCE)?;
        for pid in self.home.processes() {
            if let Some(pid) = pid_of(pid) {
                kill_process(pid, Signal::TERM)?;
            }
        }
        wait::until("the end of the gateway in order", PATIENCE, || {
            let left: Vec<u32> = self.home.descendants().into_iter().filter(|pid| runs(*pid)).collect();
            if left.is_empty() { Ok(()) } else { Err(format!("{left:?} run")) }
        })?;
        Ok(())
    }

    async fn answer_after(&self, answers: u64) -> anyhow::Result<()> {
        let answered = tokio::time::timeout(PATIENCE, self.book.answer_after(answers)).await;
        answered.with_context(|| format!("no call was answered; {}", self.home.said()))
    }

    async fn pause(&mut self, us_max: u64) {
        tokio::time::sleep(Duration::from_micros(self.random.below(us_max))).await;
    }

    fn report(&self, round: u32) {
        if round.is_multiple_of(REPORT_EVERY) {
            println!("{round} kills, {} calls", self.book.sent());
        }
    }

    fn accounts(&self) -> anyhow::Result<Accounts> {
        let mut accounts = Accounts { sent: self.book.close(), ..Accounts::default() };
        self.home.audit("type:action_record", |line| {
            accounts.actions.push(Action::parse(line).with_context(|| format!("read the record `{line}`"))?);
            Ok(())
        })?;
        let effects = std::fs::read_to_string(&self.effects).context("read the effects")?;
        for line in effects.lines() {
            accounts.effects.push(Effect::parse(line).with_context(|| format!("read the effect `{line}`"))?);
        }
        Ok(accounts)
    }
}

fn kill_all(pids: impl Iterator<Item = u32>) {
    for pid in pids.filter_map(pid_of) {
        // It may be gone already.
        let _gone = kill_process(pid, Signal::KILL);
    }
}

fn pid_of(pid: u32) -> Option<Pid> {
    Pid::from_raw(i32::try_from(pid).ok()?)
}

/// Whether a process runs; one that has ended and is not yet reaped does not.
fn runs(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

fn summarise(kills: u32, accounts: &Accounts, findings: &Findings, killed: Duration) {
    let mut heard: BTreeMap<&str, usize> = BTreeMap::new();
    for sent in &accounts.sent {
        let kind = match &sent.heard {
            Heard::Nothing => "nothing",
            Heard::Done => "done",
            Heard::ToolError(_) => "an error result",
            Heard::Refused(_) => "a refusal",
        };
        *heard.entry(kind).or_default() += 1;
    }
    println!(
        "{kills} kills, {} calls sent, {} effects, {:.1} s",
        accounts.sent.len(),
        accounts.effects.len(),
        killed.as_secs_f64()
    );
    println!("the ledger says: {}", listed(findings.closed.iter().map(|(status, calls)| (&**status, *calls))));
    println!(
        "{} reads were answered and lost their outcome to a kill: each is closed as unknown",
        findings.lost_after_answer
    );
    println!("clients heard: {}", listed(heard.into_iter()));
    if let Some(sample) = accounts.sent.iter().find_map(|sent| match &sent.heard {
        Heard::ToolError(text) | Heard::Refused(text) => Some(text),
        Heard::Nothing | Heard::Done => None,
    }) {
        println!("one that was not done: {sample}");
    }
}

fn listed<'a>(counts: impl Iterator<Item = (&'a str, usize)>) -> String {
    counts.map(|(what, count)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
}

/// Prints every rule with its first counterexamples, and counts those that do not hold.
fn count_wrong(findings: &Findings) -> usize {
    let mut failed = 0;
    for rule in Rule::ALL {
        let cases: Vec<&str> =
            findings.wrong.iter().filter(|wrong| wrong.rule == rule).map(|wrong| &*wrong.case).collect();
        if cases.is_empty() {
            println!("ok     {rule}");
            continue;
        }
        failed += 1;
        println!("WRONG  {rule}: {} counterexamples", cases.len());
        for case in cases.iter().take(SHOWN_MAX) {
            println!("       {case}");
        }
    }
    failed
}
