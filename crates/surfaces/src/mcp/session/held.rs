//! A call that is held open while people are asked: the client hears of it, so that it does not give up.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use governance::call::{Reply, Warrant};
use governance::evidence::ids::ApprovalId;
use governance::execute::{Execution, Outcome};
use serde_json::Value;
use tokio::sync::Notify;

use crate::govern::{Execute, Waiting};
use crate::mcp::codec::RawId;
use crate::mcp::downstream::{Address, Downstream};

/// Executions of a session that go on when their clients leave: their upstream must not end before them.
#[derive(Debug, Default)]
pub(super) struct Kept {
    count: AtomicUsize,
    /// Fires when the last one is over.
    done: Notify,
}

impl Kept {
    fn one(self: &Arc<Self>) -> KeptOne {
        self.count.fetch_add(1, Ordering::AcqRel);
        KeptOne(self.clone())
    }

    /// Resolves when there is none.
    pub(super) async fn are_done(&self) {
        loop {
            let done = self.done.notified();
            if self.count.load(Ordering::Acquire) == 0 {
                return;
            }
            done.await;
        }
    }
}

struct KeptOne(Arc<Kept>);

impl Drop for KeptOne {
    fn drop(&mut self) {
        if self.0.count.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.done.notify_waiters();
        }
    }
}

/// An execution whose client wants to hear of progress.
pub(super) struct Held<E, D> {
    downstream: Arc<D>,
    execute: E,
    /// The request under which the client hears.
    id: RawId,
    kept: Arc<Kept>,
    told: u32,
    token: Option<RawId>,
}

impl<E, D> Held<E, D> {
    /// Tells the client that asked with `token`, if it has.
    pub(super) const fn new(execute: E, downstream: Arc<D>, id: RawId, token: Option<RawId>, kept: Arc<Kept>) -> Self {
        Self { downstream, execute, id, kept, told: 0, token }
    }
}

impl<E: Execute, D: Downstream> Execute for Held<E, D> {
    async fn execute(&mut self, warrant: Warrant) -> Execution {
        let _kept = warrant.approval().map(|_| self.kept.one());
        self.execute.execute(warrant).await
    }

    async fn follow(&mut self, reply: Reply) -> Outcome {
        self.execute.follow(reply).await
    }

    fn may_park(&self) -> bool {
        self.execute.may_park()
    }

    async fn wait(&mut self, approval: ApprovalId) -> Waiting {
        self.execute.wait(approval).await
    }

    async fn held(&mut self, news: &str) {
        let Some(token) = &self.token else { return };
        self.told += 1;
        // Progress must grow with each message, and what the server reports later must be more than this.
        let message = format!(
            r#"{{"jsonrpc":"2.0","method":"notifications/progress","params":{{"progressToken":{},"progress":{:.6},"message":{}}}}}"#,
            token.json(),
            f64::from(self.told) / 1e6,
            Value::from(news)
        );
        let _gone = self.downstream.deliver(Address::Related(&self.id), Bytes::from(message)).await;
    }

    async fn cancel(&mut self) {
        self.execute.cancel().await;
    }
}
