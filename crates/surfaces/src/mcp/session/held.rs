//! A call that is held open while people are asked: the client hears of it, so that it does not give up.

use std::sync::Arc;

use governance::call::{Reply, Warrant};
use governance::execute::{Execution, Outcome};
use serde_json::Value;

use crate::govern::Execute;
use crate::mcp::codec::RawId;
use crate::mcp::downstream::{Address, Downstream};

/// An execution whose client wants to hear of progress.
pub(super) struct Held<E, D> {
    downstream: Arc<D>,
    execute: E,
    /// The request under which the client hears.
    id: RawId,
    told: u32,
    token: Option<RawId>,
}

impl<E, D> Held<E, D> {
    /// Tells the client that asked with `token`, if it has.
    pub(super) const fn new(execute: E, downstream: Arc<D>, id: RawId, token: Option<RawId>) -> Self {
        Self { downstream, execute, id, told: 0, token }
    }
}

impl<E: Execute, D: Downstream> Execute for Held<E, D> {
    async fn execute(&mut self, warrant: Warrant) -> Execution {
        self.execute.execute(warrant).await
    }

    async fn follow(&mut self, reply: Reply) -> Outcome {
        self.execute.follow(reply).await
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
        let _gone = self.downstream.deliver(Address::Related(&self.id), message.into()).await;
    }

    async fn cancel(&mut self) {
        self.execute.cancel().await;
    }
}
