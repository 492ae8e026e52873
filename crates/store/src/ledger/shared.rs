//! What the writer, the integrator and every handle of one ledger see of each other.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use evidence::time::Timestamp;
use tokio::sync::{oneshot, watch};

use super::integrator::{IntegrateError, Integrator};
use super::log::Cursor;
use super::sequencer::AppendError;
use crate::ports::Lock;

/// Whether the ledger takes records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It does.
    Ready,
    /// A write or sync failed. What reached the disk is unknown, so nothing is taken any more; opening the ledger again finds out.
    Degraded {
        /// Since when.
        since: Timestamp,
        /// What failed.
        why: Arc<str>,
    },
    /// It was closed in order.
    Closed,
}

/// How far index and tree trail the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lag {
    /// The last durable record.
    pub durable: u64,
    /// The last record in the index.
    pub indexed: u64,
    /// The last record under a signed checkpoint.
    pub signed: u64,
    /// What keeps them from following, if anything does.
    pub trouble: Option<Arc<str>>,
}

impl Lag {
    /// How many durable records the index does not know yet.
    #[must_use]
    pub const fn records(&self) -> u64 {
        self.durable.saturating_sub(self.indexed)
    }
}

/// Why a ledger was not closed in order.
#[derive(Debug, thiserror::Error)]
pub enum CloseError {
    /// It had stopped taking records before.
    #[error("close ledger: it is degraded: {why}")]
    Degraded {
        /// What failed.
        why: Arc<str>,
    },
    /// The log is complete; what is derived from it is not and will be when the ledger is opened again.
    #[error("close ledger: all records are durable; index and tree are behind: {0}")]
    Behind(IntegrateError),
    /// Somebody else closed it, or its writer died.
    #[error("close ledger: it is closed already")]
    Closed,
}

pub(crate) type Closed = oneshot::Sender<Result<(), CloseError>>;

pub(crate) struct Shared {
    opened_at: Timestamp,
    health: watch::Sender<Health>,
    progress: watch::Sender<Lag>,
    durable: Mutex<Durable>,
    more: Condvar,
    lock: Mutex<Option<Box<dyn Lock>>>,
}

struct Durable {
    end: Cursor,
    life: Life,
    /// The integrator waits and must be told.
    waited_for: bool,
    derivation: Derivation,
}

/// Whether there is a thread that finishes closing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Derivation {
    Alive,
    Died,
}

enum Life {
    Open,
    /// The writer has ended in order, or because it had to.
    Closing(Option<(Closed, Option<Arc<str>>)>),
    /// All handles were dropped.
    Left,
}

/// Why the integrator woke.
pub(crate) enum Wake {
    More(Cursor),
    Closed { end: Cursor, done: (Closed, Option<Arc<str>>) },
    Left,
}

const WRITER_DIED: &str = "the writer's thread died some time after the ledger was opened; this is a bug";

impl Shared {
    pub(crate) fn new(lock: Box<dyn Lock>, end: Cursor, opened_at: Timestamp) -> Self {
        Self {
            opened_at,
            health: watch::Sender::new(Health::Ready),
            progress: watch::Sender::new(Lag::default()),
            durable: Mutex::new(Durable { end, life: Life::Open, waited_for: false, derivation: Derivation::Alive }),
            more: Condvar::new(),
            lock: Mutex::new(Some(lock)),
        }
    }

    pub(crate) const fn health(&self) -> &watch::Sender<Health> {
        &self.health
    }

    pub(crate) const fn progress(&self) -> &watch::Sender<Lag> {
        &self.progress
    }

    pub(crate) fn end(&self) -> Cursor {
        self.durable().end
    }

    fn durable(&self) -> MutexGuard<'_, Durable> {
        self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The log is durable up to `end`.
    pub(crate) fn advance(&self, end: Cursor) {
        let mut durable = self.durable();
        durable.end = end;
        if durable.waited_for {
            self.more.notify_all();
        }
    }

    /// The writer has ended; `degraded` says why if it had to.
    pub(crate) fn close(&self, done: Closed, degraded: Option<Arc<str>>) {
        let mut durable = self.durable();
        let done = match durable.derivation {
            Derivation::Alive => Some((done, degraded)),
            Derivation::Died => {
                self.free();
                None
            }
        };
        durable.life = Life::Closing(done);
        self.more.notify_all();
    }

    pub(crate) fn leave(&self) {
        self.durable().life = Life::Left;
        self.more.notify_all();
    }

    /// A bug ended the writer's thread: nothing is taken any more, and nobody waits for it.
    pub(crate) fn writer_died(&self) {
        tracing::error!("{WRITER_DIED}");
        self.health.send_replace(Health::Degraded { since: self.opened_at, why: WRITER_DIED.into() });
        self.leave();
    }

    /// Why the writer does not answer.
    pub(crate) fn gone(&self) -> AppendError {
        match &*self.health.borrow() {
            Health::Degraded { since, why } => AppendError::Degraded { since: *since, why: Arc::clone(why) },
            Health::Closed => AppendError::Closed,
            // It says so itself before it ends, unless it could not.
            Health::Ready => AppendError::Degraded { since: self.opened_at, why: WRITER_DIED.into() },
        }
    }

    /// A bug ended the integrator's thread: the log goes on, and closing does not wait for it.
    pub(crate) fn derivation_died(&self) {
        let why: Arc<str> = "the thread that derives index and tree died; this is a bug".into();
        tracing::error!(%why);
        self.progress.send_modify(|lag| lag.trouble = Some(why));
        let mut durable = self.durable();
        durable.derivation = Derivation::Died;
        if let Life::Closing(done) = &mut durable.life {
            // Dropping it tells who waits that the ledger is gone.
            done.take();
            self.free();
        }
    }

    fn free(&self) {
        self.lock.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Waits for records from `next_seq` on, for the end of the ledger, or until `until`.
    pub(crate) fn await_more(&self, next_seq: u64, until: Option<Instant>) -> Wake {
        let mut durable = self.durable();
        loop {
            match &mut durable.life {
                Life::Left => return Wake::Left,
                Life::Closing(done) => match done.take() {
                    Some(done) => return Wake::Closed { end: durable.end, done },
                    None => return Wake::Left,
                },
                Life::Open => {}
            }
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            if durable.end.next_seq > next_seq || left.is_some_and(|left| left.is_zero()) {
                return Wake::More(durable.end);
            }
            durable.waited_for = true;
            durable = match left {
                None => self.more.wait(durable).unwrap_or_else(PoisonError::into_inner),
                Some(left) => self.more.wait_timeout(durable, left).unwrap_or_else(PoisonError::into_inner).0,
            };
            durable.waited_for = false;
        }
    }

    /// Lets records gather, unless the ledger ends.
    pub(crate) fn pause(&self, time: Duration) {
        let until = Instant::now() + time;
        let mut durable = self.durable();
        while matches!(durable.life, Life::Open) {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            durable = self.more.wait_timeout(durable, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub(crate) fn note_progress(&self, integrator: &Integrator, trouble: Option<&IntegrateError>) {
        let lag = Lag {
            durable: self.end().records(),
            indexed: integrator.indexed().records(),
            signed: integrator.published(),
            trouble: trouble.map(|trouble| trouble.to_string().into()),
        };
        self.progress.send_replace(lag);
    }

    /// The ledger's last act: gives the home free and tells who closed it.
    pub(crate) fn finish(&self, (done, degraded): (Closed, Option<Arc<str>>), derived: Result<(), IntegrateError>) {
        self.free();
        let result = match (degraded, derived) {
            (Some(why), _) => Err(CloseError::Degraded { why }),
            (None, Err(error)) => Err(CloseError::Behind(error)),
            (None, Ok(())) => Ok(()),
        };
        // Who closed the ledger may have gone since.
        let _ = done.send(result);
    }
}
