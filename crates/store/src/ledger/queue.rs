//! What waits for the writer, in order: appends that somebody waits for, and records that nobody waits for, which linger.
//!
//! An append that is waited for wakes the writer. Records that nobody waits for do not while it listens: they go with the next group, or after [`LINGER_MS`] by
//! themselves, so that what ends one call is written and synced together with what begins the next.
//!
//! What is waited for is written in the order in which it came, also where there was no room: then it stands in line, in the hands of whoever waits for it.
//!
//! [`LINGER_MS`]: crate::limits::LINGER_MS

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::sequencer::Message;

struct Queue {
    /// Messages that may wait here; the writer holds at most as many again.
    bound: usize,
    /// Wakes the writer.
    more: Condvar,
    state: Mutex<State>,
}

struct State {
    /// Whether all senders are gone.
    is_left: bool,
    is_open: bool,
    /// Whether somebody waits for one of the messages.
    is_urgent: bool,
    /// What came when there was no room, in order: one for each caller that waits, empty where that one has left.
    line: VecDeque<Slot>,
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

/// A message that stands in line.
type Slot = Arc<Mutex<Option<Message>>>;

/// A place in line. Whoever lets go of it takes back what has not come in.
pub(crate) struct InLine(Slot);

impl Drop for InLine {
    fn drop(&mut self) {
        drop(message_of(&self.0));
    }
}

fn message_of(slot: &Slot) -> Option<Message> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
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
        is_urgent: false,
        line: VecDeque::new(),
        lingering_since: None,
        messages: VecDeque::new(),
        writer: Writer::Works,
    };
    let queue = Arc::new(Queue { bound: bound.max(1), more: Condvar::new(), state: Mutex::new(state) });
    let sender = Sender(Arc::new(Handle(Arc::clone(&queue))));
    (sender, Receiver { linger, queue, taken: VecDeque::new() })
}

impl State {
    fn has_room(&self, bound: usize) -> bool {
        self.messages.len() < bound && self.line.is_empty()
    }

    /// Takes in who is first in line, as far as there is room.
    fn admit(&mut self, bound: usize) {
        while self.messages.len() < bound
            && let Some(slot) = self.line.pop_front()
        {
            self.messages.extend(message_of(&slot));
        }
    }
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that changes it can panic half way.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a message in, where there is room, and wakes the writer if it must hear of it now.
    fn put(&self, mut state: MutexGuard<'_, State>, message: Message) {
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
    }

    /// Has a message stand in line.
    fn line_up(&self, mut state: MutexGuard<'_, State>, message: Message) -> InLine {
        let slot = Arc::new(Mutex::new(Some(message)));
        state.line.push_back(Arc::clone(&slot));
        self.hurry(state);
        InLine(slot)
    }

    /// Nothing lingers while somebody waits for its room.
    fn hurry(&self, mut state: MutexGuard<'_, State>) {
        state.is_urgent = true;
        self.wake(state);
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
    /// Puts a message in, where there is room and nobody stands in line for it.
    pub(crate) fn try_send(&self, message: Message) -> Result<(), Refused> {
        let queue = &self.0.0;
        let state = queue.state();
        match (state.is_open, state.has_room(queue.bound)) {
            (false, _) => Err(Refused::Closed),
            (true, true) => {
                queue.put(state, message);
                Ok(())
            }
            (true, false) => {
                queue.hurry(state);
                Err(Refused::Full(message))
            }
        }
    }

    /// Puts a message in, or in line where there is no room; what is in line comes in by itself.
    pub(crate) fn send(&self, message: Message) -> Result<Option<InLine>, Gone> {
        let queue = &self.0.0;
        let state = queue.state();
        match (state.is_open, state.has_room(queue.bound)) {
            (false, _) => Err(Gone),
            (true, true) => {
                queue.put(state, message);
                Ok(None)
            }
            (true, false) => Ok(Some(queue.line_up(state, message))),
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

    /// Puts back what was received last.
    pub(crate) fn put_back(&mut self, message: Message) {
        self.taken.push_front(message);
    }

    /// Looks at what waits, in order, as far as it has come in.
    pub(crate) fn look(&self, mut look: impl FnMut(&Message)) {
        let state = self.queue.state();
        self.taken.iter().chain(&state.messages).for_each(&mut look);
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
        let mut state = self.queue.state();
        state.is_open = false;
        // Those who wait hear that their messages are gone.
        let left = std::mem::take(&mut state.line);
        drop(state);
        left.iter().for_each(|slot| drop(message_of(slot)));
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
                self.take(&mut state);
                if !self.taken.is_empty() || state.is_left || !state.is_open {
                    return;
                }
                // All who stood in line have left.
                continue;
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
        state.admit(self.queue.bound);
        std::mem::swap(&mut self.taken, &mut state.messages);
        state.admit(self.queue.bound);
        // Whoever stood in line waits.
        state.is_urgent = !state.messages.is_empty();
        state.lingering_since = None;
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.close();
        self.try_recv();
        // What was taken goes with this.
    }
}
