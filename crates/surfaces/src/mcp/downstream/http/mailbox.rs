//! What comes of one request that stands alone, on its way to its client: one message, or a stream that ends with the answer.
//!
//! Nothing is kept for a client that leaves: closing the response takes the request back (MCP revision 2026-07-28, Streamable HTTP, Cancellation).

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::timeout;

use super::HttpDownstreamLimits;
use crate::mcp::codec::SseEvent;
use crate::mcp::downstream::{Address, Downstream, Gone, Message};

/// The messages for one request's client.
#[derive(Debug)]
pub(super) struct Mailbox {
    /// Fires when the client leaves.
    left: Notify,
    limits: HttpDownstreamLimits,
    /// Fires when the client has read something.
    room: Notify,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    answer: Option<Message>,
    bytes: usize,
    frames: VecDeque<Message>,
    has_left: bool,
    is_over: bool,
    is_stream: bool,
    waker: Option<Waker>,
}

impl Mailbox {
    pub(super) fn new(limits: HttpDownstreamLimits) -> Arc<Self> {
        Arc::new(Self { left: Notify::new(), limits, room: Notify::new(), state: Mutex::default() })
    }

    pub(super) const fn limits(&self) -> &HttpDownstreamLimits {
        &self.limits
    }

    /// The answer, where it is the only thing that was sent.
    pub(super) fn take_answer(&self) -> Option<Message> {
        self.state().answer.take()
    }

    /// Makes the response a stream.
    pub(super) fn stream(&self) {
        let mut state = self.state();
        state.is_stream = true;
        // What is there already is read as part of the stream.
        if let Some(answer) = state.answer.take() {
            state.push(&answer);
            state.is_over = true;
        }
    }

    /// Resolves when the response must be a stream.
    pub(super) fn poll_stream(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if state.is_stream {
            return Poll::Ready(());
        }
        state.wait(context);
        Poll::Pending
    }

    /// The next frame of the stream; `None` when there will be no more.
    pub(super) fn poll_frame(&self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut state = self.state();
        match state.frames.pop_front() {
            Some(frame) => {
                state.bytes -= frame.bytes.len();
                self.room.notify_one();
                Poll::Ready(Some(frame.hand_over()))
            }
            None if state.is_over => Poll::Ready(None),
            None => {
                state.wait(context);
                Poll::Pending
            }
        }
    }

    pub(super) fn is_over(&self) -> bool {
        let state = self.state();
        state.is_over && state.frames.is_empty()
    }

    /// Nothing more will be sent.
    pub(super) fn end(&self) {
        let mut state = self.state();
        state.is_over = true;
        state.wake();
    }

    /// The client has left.
    pub(super) fn leave(&self) {
        self.state().has_left = true;
        // Kept for one who is not waiting yet.
        self.left.notify_one();
        self.room.notify_one();
    }

    /// Resolves when the client has left. For one waiter.
    pub(super) async fn left(&self) {
        self.left.notified().await;
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing that changes it can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a message where it belongs; `None` where there is no room for it now.
    fn offer(&self, address: Address<'_>, message: &Message) -> Option<Result<(), Gone>> {
        let mut state = self.state();
        if state.has_left || state.is_over {
            return Some(Err(Gone));
        }
        let (is_answer, was_streamed) = match address {
            Address::Reply(_) => (true, false),
            Address::StreamedReply(_) => (true, true),
            Address::Related(_) | Address::Unsolicited => (false, false),
        };
        if is_answer && !was_streamed && !state.is_stream {
            state.answer = Some(message.clone());
            return Some(Ok(()));
        }
        let is_full = state.frames.len() >= self.limits.unread_events_max
            || (!state.frames.is_empty() && state.bytes + message.bytes.len() > self.limits.unread_bytes_max);
        if is_full {
            return None;
        }
        state.is_stream = true;
        state.push(message);
        state.is_over = is_answer;
        state.wake();
        Some(Ok(()))
    }
}

impl State {
    fn push(&mut self, message: &Message) {
        let frame = SseEvent::new(message.bytes.clone()).encode();
        self.bytes += frame.len();
        self.frames.push_back(Message { bytes: frame, receipt: message.receipt.clone() });
    }

    fn wait(&mut self, context: &mut Context<'_>) {
        match &mut self.waker {
            Some(waker) => waker.clone_from(context.waker()),
            None => self.waker = Some(context.waker().clone()),
        }
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Downstream for Mailbox {
    async fn deliver(&self, address: Address<'_>, message: impl Into<Message> + Send) -> Result<(), Gone> {
        let message = message.into();
        loop {
            if let Some(taken) = self.offer(address, &message) {
                return taken;
            }
            if timeout(self.limits.slow_reader, self.room.notified()).await.is_err() {
                self.leave();
            }
        }
    }
}
