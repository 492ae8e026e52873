//! What the server does about one request, act by act, whatever carries the messages.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io::Write as _;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::value::RawValue;
use tokio::sync::{Notify, oneshot};

use super::message::{answer, text_result};

/// How one message is dealt with.
pub(super) enum Plan {
    /// A notification or an answer: nothing is sent.
    Nothing,
    /// The answer is ready.
    Now(Bytes),
    /// It takes time or more than one message.
    Script(Script),
}

/// The acts of one call.
pub(super) struct Script {
    pub(super) acts: Vec<Act>,
    /// The request's id.
    pub(super) id: Box<RawValue>,
    /// Whether HTTP answers with a stream: needed where anything but one answer is sent.
    pub(super) shape: Shape,
}

/// How HTTP carries a script.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// One message, as JSON.
    Single,
    /// Server-sent events.
    Stream,
}

/// One act.
pub(super) enum Act {
    /// Sends a message to the caller.
    Send(Bytes),
    /// Sends a message to whoever listens for the server's own notifications.
    Announce(Bytes),
    /// Sends bytes that are no message.
    Garbage(Bytes),
    /// Waits; a cancellation ends the script here.
    Wait(Duration),
    /// Closes the connection without ending the stream: the client has to resume.
    Cut,
    /// Sends a request of the server's own, waits for the client's answer, and answers the call with it as text.
    Ask { ask: u64, request: Bytes },
    /// Writes to standard error.
    Flood(usize),
    /// Writes to standard output until nobody reads it, and does nothing else meanwhile.
    Pour(Bytes),
    /// Waits for ever.
    Hang,
    /// Ends the process.
    Die,
}

/// Where a script's messages go.
pub(super) trait Wire {
    /// A message to the caller.
    fn send(&self, message: Bytes);
    /// Bytes that are no message.
    fn garbage(&self, bytes: Bytes);
    /// A notification to whoever listens.
    fn announce(&self, message: Bytes);
    /// Close the connection that carries the answer.
    fn cut(&self);
}

/// Calls that wait and requests of the server's own.
#[derive(Default)]
pub(super) struct Waiting {
    asks: RefCell<HashMap<u64, oneshot::Sender<String>>>,
    calls: RefCell<HashMap<String, Rc<Notify>>>,
    next_ask: Cell<u64>,
}

impl Waiting {
    pub(super) fn next_ask(&self) -> u64 {
        self.next_ask.set(self.next_ask.get() + 1);
        self.next_ask.get()
    }

    /// Hands the client's answer to whoever asked.
    pub(super) fn answered(&self, id: &RawValue, text: String) {
        let number = id.get().trim_matches('"').strip_prefix("up-").and_then(|digits| digits.parse().ok());
        if let Some(waiting) = number.and_then(|number: u64| self.asks.borrow_mut().remove(&number)) {
            // The script may have been cancelled meanwhile; then nobody wants the answer.
            let _unwanted = waiting.send(text);
        }
    }

    /// Ends the call of `session` with this id at its next wait.
    pub(super) fn cancel(&self, session: &str, id: &RawValue) {
        if let Some(call) = self.calls.borrow().get(&key(session, id)) {
            call.notify_one();
        }
    }
}

fn key(session: &str, id: &RawValue) -> String {
    format!("{session} {}", id.get())
}

/// Performs `script` for a call of `session`.
pub(super) async fn run(script: Script, waiting: &Waiting, session: &str, wire: &impl Wire) {
    let cancelled = Rc::new(Notify::new());
    let key = key(session, &script.id);
    waiting.calls.borrow_mut().insert(key.clone(), Rc::clone(&cancelled));
    tokio::select! {
        () = perform(script, waiting, wire) => (),
        () = cancelled.notified() => (),
    }
    waiting.calls.borrow_mut().remove(&key);
}

async fn perform(script: Script, waiting: &Waiting, wire: &impl Wire) {
    for act in script.acts {
        match act {
            Act::Send(message) => wire.send(message),
            Act::Announce(message) => wire.announce(message),
            Act::Garbage(bytes) => wire.garbage(bytes),
            Act::Wait(time) => tokio::time::sleep(time).await,
            Act::Cut => wire.cut(),
            Act::Ask { ask, request } => {
                let (sender, answered) = oneshot::channel();
                waiting.asks.borrow_mut().insert(ask, sender);
                wire.send(request);
                let text = answered.await.unwrap_or_default();
                wire.send(answer(&script.id, &[&text_result(&text)]));
            }
            Act::Flood(bytes) => flood(bytes),
            Act::Pour(bytes) => pour(&bytes),
            Act::Hang => std::future::pending().await,
            // The writer of stdio flushes every message, and sockets get theirs from a task that must run first.
            Act::Die => {
                tokio::task::yield_now().await;
                tokio::task::yield_now().await;
                std::process::exit(9);
            }
        }
    }
}

fn flood(bytes: usize) {
    let line = [b'!'; 1024];
    let mut stderr = std::io::stderr().lock();
    for _ in 0..bytes.div_ceil(line.len()) {
        if stderr.write_all(&line).is_err() {
            return;
        }
    }
}

fn pour(bytes: &[u8]) {
    let mut stdout = std::io::stdout().lock();
    // Ends: whoever reads this goes away at some time.
    while stdout.write_all(bytes).is_ok() {}
}
