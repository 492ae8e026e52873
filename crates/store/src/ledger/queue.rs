//! What waits for the writer, in order: appends that somebody waits for, and records that nobody waits for, which linger.
//!
//! An append that is waited for wakes the writer. Records that nobody waits for do not while it listens: they go with the next group, or after [`LINGER_MS`] by
//! themselves, so that what ends one call is written and synced together with what begins the next.
//!
//! [`LINGER_MS`]: crate::limits::LINGER_MS

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::sequencer::Message;

struct Queue {
    /// Messages that may wait here; the writer holds at most as many again.
    bound: usize,
    /// Wakes the writer.
    more: Condvar,
    /// Wakes threads that wait for room.
    room: Condvar,
    /// Wakes tasks that wait for room.
    room_for_tasks: Notify,
    state: Mutex<State>,
}

struct State {
    /// Whether all senders are gone.
    is_left: bool,
    is_open: bool,
    /// Whether somebody waits until messages are taken out.
    is_room_wanted: bool,
    /// Whether somebody waits for one of the messages.
    is_urgent: bool,
    /// When the first of the messages came that nobody waits for.
    lingering_since: Option<Instant>,
    messages: VecDeque<Message>,
    writer: Writer,
}

/// What the writer does.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Writer {
    /// It sleeps, but not for long: what nobody waits for need not wake it.
    Listens,
    /// It sleeps until it is woken.
    Sleeps,
    /// It works, and looks here when it is done.
    Works,
}

/// Why a message was not taken.
pub(crate) enum Refused {
    /// The writer is gone or takes nothing more.
    Closed,
    /// There is no room; here it is again.
    Full(Message),
}

/// The writer takes nothing more.
#[derive(Debug)]
pub(crate) struct Gone;

/// Makes a queue for at most `bound` messages in which records that nobody waits for stay for at most `linger`.
pub(crate) fn queue(bound: usize, linger: Duration) -> (Sender, Receiver) {
    let state = State {
        is_left: false,
        is_open: true,
        is_room_wanted: false,
        is_urgent: false,
        lingering_since: None,
        messages: VecDeque::new(),
        writer: Writer::Works,
    };
    let queue = Arc::new(Queue {
        bound: bound.max(1),
        more: Condvar::new(),
        room: Condvar::new(),
        room_for_tasks: Notify::new(),
        state: Mutex::new(state),
    });
    let sender = Sender(Arc::new(Handle(Arc::clone(&queue))));
    (sender, Receiver { linger, queue, taken: VecDeque::new() })
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that changes it can panic half way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a message in, where there is room, and wakes the writer if it must hear of it now.
    fn offer(&self, mut state: MutexGuard<'_, State>, message: Message) -> Result<(), Refused> {
        if !state.is_open {
            return Err(Refused::Closed);
        }
        if state.messages.len() >= self.bound {
            // Nothing lingers while somebody waits for its room. Said under the lock that found none, so that whoever makes room sees it.
            state.is_urgent = true;
            state.is_room_wanted = true;
            self.wake(state);
            return Err(Refused::Full(message));
        }
        let must_wake = if message.is_waited_for() {
            state.is_urgent = true;
            state.writer != Writer::Works
        } else {
            state.lingering_since.get_or_insert_with(Instant::now);
            state.writer == Writer::Sleeps
        };
        state.messages.push_back(message);
        if must_wake {
            self.wake(state);
        }
        Ok(())
    }

    /// Wakes the writer once: what comes before it has the lock need not wake it again.
    fn wake(&self, mut state: MutexGuard<'_, State>) {
        let slept = std::mem::replace(&mut state.writer, Writer::Works) != Writer::Works;
        drop(state);
        if slept {
            self.more.notify_one();
        }
    }
}

/// The side of those who append.
#[derive(Clone)]
pub(crate) struct Sender(Arc<Handle>);

/// What all senders share: the writer ends when it goes.
struct Handle(Arc<Queue>);

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.state().is_left = true;
        self.0.more.notify_one();
    }
}

impl Sender {
    /// Puts a message in, where there is room.
    pub(crate) fn try_send(&self, message: Message) -> Result<(), Refused> {
        let queue = &self.0.0;
        queue.offer(queue.state(), message)
    }

    /// Puts a message in; waits for room.
    pub(crate) async fn send(&self, mut message: Message) -> Result<(), Gone> {
        let queue = &self.0.0;
        loop {
            // Listens before it looks, so that it hears of room that comes in between.
            let mut room = pin!(queue.room_for_tasks.notified());
            room.as_mut().enable();
            match self.try_send(message) {
                Ok(()) => return Ok(()),
                Err(Refused::Closed) => return Err(Gone),
                Err(Refused::Full(again)) => message = again,
            }
            room.await;
        }
    }

    /// As [`Self::send`], for threads.
    pub(crate) fn blocking_send(&self, mut message: Message) -> Result<(), Gone> {
        let queue = &self.0.0;
        loop {
            match self.try_send(message) {
                Ok(()) => return Ok(()),
                Err(Refused::Closed) => return Err(Gone),
                Err(Refused::Full(again)) => message = again,
            }
            let mut state = queue.state();
            while state.is_open && state.messages.len() >= queue.bound {
                state.is_room_wanted = true;
                state = queue.room.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
        }
    }
}

/// The writer's side. When it goes, what waits is dropped, and those who wait for it hear of that.
pub(crate) struct Receiver {
    linger: Duration,
    queue: Arc<Queue>,
    /// Taken out of the queue at once, to be handed out one by one.
    taken: VecDeque<Message>,
}

impl Receiver {
    /// The next message, where one is there.
    pub(crate) fn try_recv(&mut self) -> Option<Message> {
        if self.taken.is_empty() {
            let queue = Arc::clone(&self.queue);
            self.take(&mut queue.state());
        }
        self.taken.pop_front()
    }

    /// Waits for the next message; `None` once nothing more can come.
    pub(crate) fn recv(&mut self) -> Option<Message> {
        if self.taken.is_empty() {
            let queue = Arc::clone(&self.queue);
            self.wait(&queue);
        }
        self.taken.pop_front()
    }

    /// Takes nothing more in; what is in it can still be received.
    pub(crate) fn close(&self) {
        self.queue.state().is_open = false;
        self.queue.room.notify_all();
        self.queue.room_for_tasks.notify_waiters();
    }

    /// Takes everything out once somebody waits for some of it, or it has lingered, or nothing more can come.
    fn wait(&mut self, queue: &Queue) {
        let mut state = queue.state();
        let mut now = Instant::now();
        // What ends a call comes soon after what began it: for so long it need not wake anybody.
        let listens_until = now + self.linger;
        loop {
            let due = state.lingering_since.map(|since| since + self.linger);
            if state.is_urgent || state.is_left || !state.is_open || due.is_some_and(|due| due <= now) {
                return self.take(&mut state);
            }
            let left = due.unwrap_or(listens_until).saturating_duration_since(now);
            state = if left.is_zero() {
                state.writer = Writer::Sleeps;
                queue.more.wait(state).unwrap_or_else(PoisonError::into_inner)
            } else {
                state.writer = Writer::Listens;
                queue.more.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
            };
            state.writer = Writer::Works;
            now = Instant::now();
        }
    }

    fn take(&mut self, state: &mut State) {
        std::mem::swap(&mut self.taken, &mut state.messages);
        state.is_urgent = false;
        state.lingering_since = None;
        if std::mem::take(&mut state.is_room_wanted) {
            self.queue.room.notify_all();
            self.queue.room_for_tasks.notify_waiters();
        }
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.close();
        self.try_recv();
        // What was taken goes with this.
    }
}
