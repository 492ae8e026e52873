//! A ledger whose writer works when it is told to, on the caller's thread: for going through every order in which things can happen, and every moment at which a process
//! can die.
//!
//! Sequencer, queue, frames and recovery are those of any ledger; only the threads are missing. Index and tree are brought up to date when the ledger is opened, and readers
//! read the rest from the log. Such a ledger is not closed: it is dropped, as by a process that dies.

use std::sync::Arc;

use evidence::record::Draft;

use super::queue::Receiver;
use super::sequencer::{AppendError, Message, Sequencer, refuse};
use super::{Integration, Ledger, OpenError, Options, Parts};
use crate::embedded::index::IndexPlace;
use crate::ports::Disk;

/// The writer of a ledger, in the hands of whoever opened it.
pub struct Writer {
    /// What is told once something could not be written.
    failed: Option<AppendError>,
    queue: Receiver,
    sequencer: Sequencer,
}

impl Ledger {
    /// Opens the ledger on a disk of any kind, with its writer.
    ///
    /// # Errors
    /// As [`Ledger::open_on`].
    pub fn by_hand(disk: Arc<dyn Disk>, index: IndexPlace, options: Options) -> Result<(Self, Writer), OpenError> {
        let options = Options { integration: Integration::AfterEachGroup, ..options };
        let Parts { integrator: _, ledger, sequencer, taken } = Self::assemble(disk, index, options)?;
        Ok((ledger, Writer { failed: None, queue: taken, sequencer }))
    }
}

impl Writer {
    /// Looks at what waits to be written, in order: the drafts of each append. What stands in line is not among it yet.
    pub fn look(&self, mut look: impl FnMut(&[Draft])) {
        self.queue.look(|message| {
            if let Message::Append(append) = message {
                look(&append.drafts);
            }
        });
    }

    /// Makes the first `appends` of what waits durable as one group, and gives out their receipts. Once that has failed, refuses them.
    pub fn write(&mut self, appends: usize) {
        match &self.failed {
            None => self.failed = self.sequencer.write(&mut self.queue, appends).err(),
            Some(error) => {
                for _ in 0..appends {
                    match self.queue.try_recv() {
                        Some(Message::Append(append)) => refuse(append.done, error.clone()),
                        Some(Message::Close(done)) => drop(done),
                        None => return,
                    }
                }
            }
        }
    }
}
