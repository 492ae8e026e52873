//! Derives from the log what is not on the hot path: the index, the Merkle tree, the signed checkpoint.
//!
//! Reads only what is durable, always from the log itself, so that catching up after a start and keeping up are one thing. When it fails, the log goes on and the
//! lag says why; it tries again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::frame;
use super::log::{Cursor, LogError, LogReader, Spot};
use super::rows::{Batch, Glance};
use super::shared::{Shared, Wake};
use super::tree::{Tree, TreeError};
use crate::limits::{CHECKPOINT_EVERY_MS, INTEGRATE_EVERY_MS, INTEGRATE_RECORDS_MAX};
use crate::ports::{Disk, Index, IndexError};

/// Why index and tree trail the log.
#[derive(Debug, thiserror::Error)]
pub enum IntegrateError {
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The index cannot be written.
    #[error(transparent)]
    Index(#[from] IndexError),
    /// The tree cannot be written.
    #[error(transparent)]
    Tree(#[from] TreeError),
}

/// Index and tree of one log.
pub(crate) struct Integrator {
    disk: Arc<dyn Disk>,
    reader: LogReader,
    index: Box<dyn Index>,
    indexed: Cursor,
    tree: Tree,
    note_records: u64,
}

impl Integrator {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        index: Box<dyn Index>,
        tree: Tree,
        note_records: u64,
    ) -> Result<Self, IntegrateError> {
        let indexed = index.progress()?;
        let reader = LogReader::new(Arc::clone(&disk), indexed);
        Ok(Self { disk, reader, index, indexed, tree, note_records })
    }

    pub(crate) const fn indexed(&self) -> Cursor {
        self.indexed
    }

    pub(crate) const fn published(&self) -> u64 {
        self.tree.published()
    }

    pub(crate) fn index(&self) -> &dyn Index {
        &*self.index
    }

    /// Takes in everything up to `end`.
    pub(crate) fn catch_up(&mut self, end: Cursor) -> Result<(), IntegrateError> {
        while self.step(end)? {}
        Ok(())
    }

    /// Takes in one batch; true if there may be more before `end`.
    fn step(&mut self, end: Cursor) -> Result<bool, IntegrateError> {
        let tree_at = self.tree.cursor();
        let start = if self.indexed.next_seq <= tree_at.next_seq { self.indexed } else { tree_at };
        if self.reader.cursor() != start {
            // Either the first step, or the one after a failure.
            self.reader = LogReader::new(Arc::clone(&self.disk), start);
        }
        self.reader.refresh();
        let mut batch = Batch::default();
        let mut records = 0;
        while records < INTEGRATE_RECORDS_MAX
            && let Some(group) = self.reader.next_before(end)?
        {
            for entry in frame::entries(group.frame, group.header.first_seq) {
                records += 1;
                let spot = Spot { seq: entry.seq, offset: group.offset + entry.at as u64 };
                let unreadable = |source| unreadable(group.segment, spot, source);
                let glance = Glance::read(entry.bytes).map_err(unreadable)?;
                self.tree.push(entry.seq, entry.salt, entry.bytes, &glance)?;
                if glance.is_about_log_key() {
                    self.tree.rotate(entry.seq, entry.bytes)?;
                }
                if entry.seq >= self.indexed.next_seq {
                    batch.add(spot, glance).map_err(unreadable)?;
                }
            }
        }
        let reached = self.reader.cursor();
        if reached.next_seq > self.tree.cursor().next_seq {
            self.tree.reached(reached)?;
        }
        if reached.next_seq > self.indexed.next_seq {
            if let Err(error) = self.index.apply(&batch, reached) {
                self.indexed = self.index.progress()?;
                return Err(error.into());
            }
            self.indexed = reached;
        }
        Ok(reached.next_seq < end.next_seq)
    }

    /// Signs a checkpoint over what was taken in.
    pub(crate) fn publish(&mut self) -> Result<(), IntegrateError> {
        if self.tree.since_note() >= self.note_records {
            self.tree.note()?
        } else {
            self.tree.publish()?
        }
        Ok(())
    }

    /// Takes in everything, signs, and makes it all durable.
    pub(crate) fn finish(&mut self, end: Cursor) -> Result<(), IntegrateError> {
        self.catch_up(end)?;
        self.tree.note()?;
        Ok(())
    }

    /// The thread: gathers, takes in, signs about once a second, until the ledger is closed or left.
    pub(crate) fn run(mut self, shared: &Shared) {
        let every = Duration::from_millis(INTEGRATE_EVERY_MS);
        let mut sign_at = Instant::now();
        loop {
            let unsigned = self.published() < self.indexed.records();
            let wake = shared.await_more(self.indexed.next_seq, unsigned.then_some(sign_at));
            let end = match wake {
                Wake::More(end) => end,
                Wake::Closed { end, done } => {
                    let finished = self.finish(end);
                    shared.note_progress(&self, finished.as_ref().err());
                    // Closes the index, which takes files away: nothing may touch the home once the lock is given back.
                    drop(self);
                    shared.finish(done, finished);
                    return;
                }
                Wake::Left => return,
            };
            let mut result = self.catch_up(end);
            if result.is_ok() && Instant::now() >= sign_at {
                result = self.publish();
                sign_at = Instant::now() + Duration::from_millis(CHECKPOINT_EVERY_MS);
            }
            if let Err(error) = &result {
                tracing::error!(%error, "index or tree cannot be written; trying again");
            }
            shared.note_progress(&self, result.as_ref().err());
            shared.pause(every);
        }
    }
}

fn unreadable(segment: u64, spot: Spot, source: serde_json::Error) -> LogError {
    let source = super::log::LogFault::Record { seq: spot.seq, source: source.into() };
    LogError { file: super::segment::path(segment), offset: spot.offset, source }
}
