//! Clients that call `effect` and `slow_effect` with keys that nobody uses twice, and remember every byte that they sent.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use sha2::{Digest as _, Sha256};
use tokio::sync::Notify;

use super::truth::{Heard, Kept, Sent};
use crate::client::{Answer, ClientError, HttpSession, StdioSession, Target};
use crate::limits::PATIENCE;
use crate::random::Random;

/// The tools that are called.
pub(super) const TOOLS: [&str; 2] = [READ, "slow_effect"];
/// The one that the mission calls a read, although its effect can be counted: so that what a kill may cost a read is seen, and that it costs nothing else.
pub(super) const READ: &str = "effect";
/// Calls that one stdio session has in flight.
const IN_FLIGHT: usize = 3;
/// The longest that a slow effect waits before it answers.
const WAIT_MS: u64 = 12;
/// Between two attempts to reach a gateway that is starting.
const RETRY: Duration = Duration::from_millis(2);

/// What all clients have sent and heard.
#[derive(Debug, Default)]
pub(super) struct Book {
    answered: Notify,
    answers: Cell<u64>,
    sent: RefCell<Vec<Sent>>,
}

impl Book {
    /// Everything, for the check.
    pub(super) fn close(&self) -> Vec<Sent> {
        self.sent.take()
    }

    pub(super) fn sent(&self) -> usize {
        self.sent.borrow().len()
    }

    /// How many calls have been answered.
    pub(super) const fn answers(&self) -> u64 {
        self.answers.get()
    }

    /// Waits until more than `answers` calls have been answered.
    pub(super) async fn answer_after(&self, answers: u64) {
        while self.answers.get() <= answers {
            self.answered.notified().await;
        }
    }

    /// Makes one more call with `call`, which must be done.
    pub(super) async fn call_last(
        &self,
        call: impl AsyncFnOnce(&'static str, &str) -> anyhow::Result<Heard>,
    ) -> anyhow::Result<()> {
        let last = Client::new("last".to_owned(), Random::new(0)).plan();
        let noted = self.note(&last);
        let heard = call(last.tool, &last.arguments).await?;
        anyhow::ensure!(heard == Heard::Done, "the last call was not done: {heard:?}");
        self.hear(noted, heard);
        Ok(())
    }

    /// Notes a call before its first byte leaves.
    fn note(&self, call: &Planned) -> usize {
        let digest = hex::encode(Sha256::digest(call.arguments.as_bytes()));
        let mut sent = self.sent.borrow_mut();
        let kept = if call.tool == READ { Kept::Soon } else { Kept::BeforeAnswer };
        sent.push(Sent { args_sha256: digest, heard: Heard::Nothing, key: call.key.clone(), kept });
        sent.len() - 1
    }

    fn hear(&self, call: usize, heard: Heard) {
        if let Some(sent) = self.sent.borrow_mut().get_mut(call) {
            sent.heard = heard;
        }
        self.answers.set(self.answers.get() + 1);
        self.answered.notify_one();
    }
}

impl From<Answer<'_>> for Heard {
    fn from(answer: Answer<'_>) -> Self {
        let start = |text: &str| text.chars().take(300).collect();
        match answer {
            Answer::Done(_) => Self::Done,
            Answer::ToolError(text) => Self::ToolError(start(text)),
            Answer::Refused(text) => Self::Refused(start(text)),
        }
    }
}

/// One client's choices.
#[derive(Debug)]
pub(super) struct Client {
    name: String,
    next: u64,
    random: Random,
}

struct Planned {
    arguments: String,
    key: String,
    tool: &'static str,
}

impl Client {
    pub(super) const fn new(name: String, random: Random) -> Self {
        Self { name, next: 0, random }
    }

    fn plan(&mut self) -> Planned {
        self.next += 1;
        let key = format!("{}-{}", self.name, self.next);
        // The ledger keeps the digest of the bytes as they were sent, so their spelling varies.
        let arguments = match self.random.below(4) {
            0 => format!(r#"{{"key":"{key}"}}"#),
            1 => format!("{{ \"key\" :\t\"{key}\" }}"),
            2 => format!(r#"{{"wait_ms":{},"key":"{key}"}}"#, self.random.below(WAIT_MS)),
            _ => format!(r#"{{"key":"{key}", "wait_ms":{}}}"#, self.random.below(WAIT_MS)),
        };
        let [read, slow] = TOOLS;
        let tool = if arguments.contains("wait_ms") { slow } else { read };
        Planned { arguments, key, tool }
    }

    /// Calls over HTTP until the connection breaks.
    pub(super) async fn call_http(mut self, target: Target, book: Rc<Book>) {
        let Some(mut session) = reach(&target).await else { return };
        loop {
            let call = self.plan();
            let noted = book.note(&call);
            match session.call(call.tool, &call.arguments).await {
                Ok(answer) => book.hear(noted, answer.into()),
                Err(_) => return,
            }
        }
    }

    /// Calls over a bridge until its pipes break.
    pub(super) async fn call_stdio(mut self, mut session: StdioSession, book: Rc<Book>) {
        let mut open = HashMap::new();
        loop {
            while open.len() < IN_FLIGHT {
                let call = self.plan();
                let noted = book.note(&call);
                match session.send(call.tool, &call.arguments).await {
                    Ok(id) => open.insert(id, noted),
                    Err(_) => return,
                };
            }
            match session.receive().await {
                Ok((id, answer)) => {
                    if let Some(noted) = open.remove(&id) {
                        book.hear(noted, answer.into());
                    }
                }
                Err(_) => return,
            }
        }
    }
}

/// A session, as soon as the gateway takes one; `None` when it does not within [`PATIENCE`], because it was killed before.
async fn reach(target: &Target) -> Option<HttpSession> {
    let started = Instant::now();
    while started.elapsed() < PATIENCE {
        match HttpSession::open(target).await {
            Ok(session) => return Some(session),
            Err(ClientError::Io(error)) if error.kind() == std::io::ErrorKind::ConnectionRefused => return None,
            Err(_) => tokio::time::sleep(RETRY).await,
        }
    }
    None
}
