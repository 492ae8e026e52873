//! Load on one endpoint for a while: closed loop (each session sends when its last answer has come) or open loop (calls start on a schedule, whatever the
//! answers do, and latency counts from the schedule).

use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use tokio::sync::mpsc;

use super::usage::Used;
use crate::client::{Answer, HttpSession, Target};

/// What is called, and the only answer that counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Workload {
    pub(super) name: &'static str,
    pub(super) tool: &'static str,
    pub(super) arguments: &'static str,
    /// The mission whose runs call it.
    pub(super) mission: &'static str,
}

/// How long a window lasts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    /// Load before anything counts.
    pub(super) warm_up: Duration,
    /// The counted time. Only calls that begin and end inside it count.
    pub(super) counted: Duration,
}

/// What one window gave.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// Nanoseconds of each counted call.
    pub(super) latencies: Vec<u32>,
    /// Calls that were answered at all, warm-up included.
    pub(super) answered: u64,
    /// What the gateway and the disk did in the counted time.
    pub(super) used: Used,
    /// The counted time, in seconds.
    pub(super) seconds: f64,
}

impl Window {
    /// Counted calls a second.
    pub(super) fn rate(&self) -> f64 {
        self.latencies.len() as f64 / self.seconds
    }

    /// Microseconds that `share` of the counted calls did not exceed.
    pub(super) fn quantile_us(&mut self, share: f64) -> f64 {
        self.latencies.sort_unstable();
        let last = self.latencies.len().saturating_sub(1);
        let at = (last as f64 * share).round() as usize;
        self.latencies.get(at).map_or(f64::NAN, |nanos| f64::from(*nanos) / 1_000.0)
    }

    /// Microseconds of gateway CPU a counted call.
    pub(super) fn cpu_us_a_call(&self) -> Option<f64> {
        Some(self.used.cpu_nanos? as f64 / 1_000.0 / self.latencies.len().max(1) as f64)
    }

    /// Flushes of the whole disk a counted call.
    pub(super) fn flushes_a_call(&self) -> Option<f64> {
        Some(self.used.flushes? as f64 / self.latencies.len().max(1) as f64)
    }
}

/// The moments of a window.
#[derive(Clone, Copy)]
struct Bounds {
    begin: Instant,
    end: Instant,
}

impl Bounds {
    fn starting_now(span: Span) -> Self {
        let begin = Instant::now() + span.warm_up;
        Self { begin, end: begin + span.counted }
    }

    fn hold(self, from: Instant, to: Instant) -> bool {
        from >= self.begin && to <= self.end
    }
}

/// `sessions` sessions, each with one call in flight.
pub(super) async fn closed(
    targets: &[Target],
    workload: Workload,
    sessions: usize,
    span: Span,
    used: impl Fn() -> Used,
) -> anyhow::Result<Window> {
    let opened = open_all(targets, workload, sessions).await?;
    let want: Rc<str> = opened.want.into();
    let bounds = Bounds::starting_now(span);
    let window = Rc::new(RefCell::new(Window::default()));
    let tasks: Vec<_> = opened
        .sessions
        .into_iter()
        .map(|session| {
            let (want, window) = (Rc::clone(&want), Rc::clone(&window));
            tokio::task::spawn_local(async move { call_until_end(session, workload, &want, bounds, &window).await })
        })
        .collect();
    let used = watch(bounds, used).await;
    for task in tasks {
        task.await??;
    }
    finish(window, span, used, opened.answered)
}

async fn call_until_end(
    mut session: HttpSession,
    workload: Workload,
    want: &str,
    bounds: Bounds,
    window: &RefCell<Window>,
) -> anyhow::Result<()> {
    let mut sent = Instant::now();
    while sent < bounds.end {
        check(session.call(workload.tool, workload.arguments).await?, want)?;
        let answered = Instant::now();
        note(window, bounds, sent, answered);
        sent = answered;
    }
    Ok(session.close().await?)
}

/// `rate` calls a second, evenly spaced, over `sessions` sessions. A call waits for a free session when all are busy, and its wait counts.
pub(super) async fn open(
    targets: &[Target],
    workload: Workload,
    sessions: usize,
    rate: u32,
    span: Span,
    used: impl Fn() -> Used,
) -> anyhow::Result<Window> {
    open_watched(targets, workload, sessions, rate, span, used, &Rc::default()).await
}

/// As [`open`]; `window` grows as calls are answered.
pub(super) async fn open_watched(
    targets: &[Target],
    workload: Workload,
    sessions: usize,
    rate: u32,
    span: Span,
    used: impl Fn() -> Used,
    window: &Rc<RefCell<Window>>,
) -> anyhow::Result<Window> {
    let opened = open_all(targets, workload, sessions).await?;
    let want: Rc<str> = opened.want.into();
    let bounds = Bounds::starting_now(span);
    let due = Rc::new(Due::default());
    let tasks: Vec<_> = opened
        .sessions
        .into_iter()
        .map(|session| {
            let (want, window, due) = (Rc::clone(&want), Rc::clone(window), Rc::clone(&due));
            tokio::task::spawn_local(async move { serve_due(session, workload, &want, bounds, &window, &due).await })
        })
        .collect();
    let pacer = start_pacer(rate, bounds, Rc::clone(&due))?;
    let used = watch(bounds, used).await;
    pacer.await??;
    for task in tasks {
        task.await??;
    }
    finish(Rc::clone(window), span, used, opened.answered)
}

/// Calls that are due and not yet sent.
#[derive(Default)]
struct Due {
    ended: std::cell::Cell<bool>,
    scheduled: RefCell<VecDeque<Instant>>,
    more: tokio::sync::Notify,
}

/// A thread that sleeps until each call is due: the reactor's own timers are a millisecond coarse, which is ten calls at 10,000 a second.
fn start_pacer(rate: u32, bounds: Bounds, due: Rc<Due>) -> anyhow::Result<tokio::task::JoinHandle<anyhow::Result<()>>> {
    let gap = Duration::from_secs(1)
        .checked_div(rate)
        .filter(|gap| !gap.is_zero())
        .context("the rate is 1 to 1,000,000,000")?;
    let (sender, mut ticks) = mpsc::unbounded_channel();
    std::thread::Builder::new().name("pacer".to_owned()).spawn(move || {
        let mut next = Instant::now();
        while next < bounds.end {
            std::thread::sleep(next.saturating_duration_since(Instant::now()));
            if sender.send(next).is_err() {
                return;
            }
            next += gap;
        }
    })?;
    Ok(tokio::task::spawn_local(async move {
        while let Some(scheduled) = ticks.recv().await {
            due.scheduled.borrow_mut().push_back(scheduled);
            due.more.notify_one();
        }
        due.ended.set(true);
        due.more.notify_waiters();
        Ok(())
    }))
}

async fn serve_due(
    mut session: HttpSession,
    workload: Workload,
    want: &str,
    bounds: Bounds,
    window: &RefCell<Window>,
    due: &Due,
) -> anyhow::Result<()> {
    loop {
        let more = due.more.notified();
        let next = due.scheduled.borrow_mut().pop_front();
        match next {
            Some(scheduled) => {
                check(session.call(workload.tool, workload.arguments).await?, want)?;
                note(window, bounds, scheduled, Instant::now());
            }
            None if due.ended.get() => return Ok(session.close().await?),
            None => more.await,
        }
    }
}

struct Opened {
    answered: u64,
    sessions: Vec<HttpSession>,
    want: String,
}

async fn open_all(targets: &[Target], workload: Workload, sessions: usize) -> anyhow::Result<Opened> {
    let mut opened = Vec::with_capacity(sessions);
    for target in targets.iter().cycle().take(sessions) {
        opened.push(HttpSession::open(target).await.context("open a session")?);
    }
    let first = opened.first_mut().context("at least one session")?;
    let want = match first.call(workload.tool, workload.arguments).await? {
        Answer::Done(result) => result.to_owned(),
        refused => bail!("`{}` was not done: {}", workload.tool, refused.text()),
    };
    Ok(Opened { answered: 1, sessions: opened, want })
}

fn check(answer: Answer<'_>, want: &str) -> anyhow::Result<()> {
    match answer {
        Answer::Done(result) if result == want => Ok(()),
        other => bail!("an answer under load differs from the first: {}", other.text()),
    }
}

fn note(window: &RefCell<Window>, bounds: Bounds, from: Instant, to: Instant) {
    let mut window = window.borrow_mut();
    window.answered += 1;
    if bounds.hold(from, to) {
        window.latencies.push(u32::try_from((to - from).as_nanos()).unwrap_or(u32::MAX));
    }
}

/// Reads the counters at both ends of the counted time.
async fn watch(bounds: Bounds, used: impl Fn() -> Used) -> Used {
    tokio::time::sleep_until(bounds.begin.into()).await;
    let before = used();
    tokio::time::sleep_until(bounds.end.into()).await;
    used().since(before)
}

fn finish(window: Rc<RefCell<Window>>, span: Span, used: Used, answered: u64) -> anyhow::Result<Window> {
    let mut window = window.take();
    window.answered += answered;
    window.used = used;
    window.seconds = span.counted.as_secs_f64();
    anyhow::ensure!(!window.latencies.is_empty(), "no call fitted into the window; make it longer");
    Ok(window)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_of_the_sorted_latencies() {
        let mut window =
            Window { latencies: (1..=101).rev().map(|us| us * 1_000).collect(), seconds: 2.0, ..Window::default() };
        assert_eq!((window.quantile_us(0.5), window.quantile_us(0.99), window.quantile_us(1.0)), (51.0, 100.0, 101.0));
        assert_eq!(window.rate(), 50.5);
    }
}
