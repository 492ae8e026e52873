//! The queue of what an upstream sends by itself, with the means to keep its order against answers.
//!
//! Answers do not go through the queue. Whoever has one waits with [`IncomingSender::settled`] until what the upstream sent before it has been dealt with, so that
//! progress is never told after the result that it led to.

use std::sync::{Mutex, PoisonError};

use tokio::sync::{mpsc, watch};

use super::{Arrived, Incoming};

/// Makes a queue that holds at most `messages_max`.
pub(crate) fn incoming(messages_max: usize) -> (IncomingSender, IncomingQueue) {
    let (sender, receiver) = mpsc::channel(messages_max);
    let (settled, watched) = watch::channel(0);
    (IncomingSender { queued: Mutex::new(0), sender, settled: watched }, IncomingQueue { receiver, settled, taken: 0 })
}

/// What an upstream sends by itself, in order. Bounded: a full queue slows the upstream down. Ends when the upstream is gone.
#[derive(Debug)]
pub struct IncomingQueue {
    receiver: mpsc::Receiver<Arrived>,
    /// How many messages have been dealt with.
    settled: watch::Sender<u64>,
    taken: u64,
}

impl IncomingQueue {
    /// The next message. Asking for it says that the one before has been dealt with.
    pub async fn recv(&mut self) -> Option<Arrived> {
        if *self.settled.borrow() != self.taken {
            self.settled.send_replace(self.taken);
        }
        let arrived = self.receiver.recv().await?;
        self.taken += 1;
        Some(arrived)
    }
}

/// The transport's end of the queue.
#[derive(Debug)]
pub(crate) struct IncomingSender {
    /// How many messages were sent. The lock keeps the count and the queue in step.
    queued: Mutex<u64>,
    sender: mpsc::Sender<Arrived>,
    settled: watch::Receiver<u64>,
}

/// The queue is gone: nobody listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unheard;

impl IncomingSender {
    /// Puts a message into the queue, when there is room.
    pub(crate) async fn send(&self, incoming: Incoming) -> Result<(), Unheard> {
        self.put(Arrived::Message(incoming)).await
    }

    /// Tells that something came which is no message.
    pub(crate) async fn unreadable(&self, why: String) -> Result<(), Unheard> {
        self.put(Arrived::Unreadable(why)).await
    }

    async fn put(&self, arrived: Arrived) -> Result<(), Unheard> {
        let permit = self.sender.reserve().await.map_err(|_| Unheard)?;
        let mut queued = self.queued.lock().unwrap_or_else(PoisonError::into_inner);
        *queued += 1;
        permit.send(arrived);
        Ok(())
    }

    /// Waits until everything that was sent so far has been dealt with, or nobody listens any more.
    pub(crate) async fn settled(&self) {
        let queued = *self.queued.lock().unwrap_or_else(PoisonError::into_inner);
        if *self.settled.borrow() < queued {
            // An error says that the queue is gone.
            let mut settled = self.settled.clone();
            let _unheard = settled.wait_for(|settled| *settled >= queued).await;
        }
    }
}
