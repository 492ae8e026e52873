//! The seam between a surface and what governs it: a surface intercepts and executes, and everything between the two happens behind [`Session::govern`].

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;
use governance::call::{Refusal, Reply, Warrant};
use governance::decide::PolicySnapshot;
use governance::evidence::ids::{ApprovalId, CallId};
use governance::evidence::record::{Channel, Context, Status, Tool};
use governance::execute::{Execution, Outcome};
use governance::intercept::Intercepted;
use governance::reason::Reason;
use serde_json::{Map, Value};
use tokio::sync::oneshot;

use crate::mcp::rounds::Rounds;
use crate::parked::Parking;

/// Executes one call at its upstream.
pub trait Execute: Send + 'static {
    /// Sends the call once and waits for its outcome, or for the news that the upstream made a task of it. Total: whatever fails becomes an outcome.
    fn execute(&mut self, warrant: Warrant) -> impl Future<Output = Execution> + Send;

    /// Answers the agent that a task goes on, and waits for the task's end, at most until the session ends. Called once, and only after [`Self::execute`] gave a task.
    fn follow(&mut self, _reply: Reply) -> impl Future<Output = Outcome> + Send {
        std::future::ready(Outcome::without_answer(Status::Unknown, Reason::EvaluationFailed))
    }

    /// Whether [`Self::wait`] would answer the client with a task, from which on nothing can be asked of it.
    fn may_park(&self) -> bool {
        false
    }

    /// How the call waits for this approval. Asked each time that it begins to.
    fn wait(&mut self, _approval: ApprovalId) -> impl Future<Output = Waiting> + Send {
        std::future::ready(Waiting::Held)
    }

    /// For how many seconds the client would wait for people, at most.
    fn patience_s(&self) -> u64 {
        u64::MAX
    }

    /// Tells the client that the call is still held open, and why, where it wants to hear of progress.
    fn held(&mut self, _news: &str) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// Tells the upstream that the call was taken back. The future of [`Self::execute`] is gone by then.
    fn cancel(&mut self) -> impl Future<Output = ()> + Send;
}

/// How a call waits for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waiting {
    /// Its client is held, but not for ever.
    Held,
    /// An identical call waits, and this one does not have to.
    Joined,
    /// Its client was told that it goes on without it, for as long as people may take.
    Parked,
}

/// What is answered to a call.
#[derive(Debug)]
pub struct Answered {
    /// To be acknowledged once the answer was handed to a live client, where that is to be known.
    pub receipt: Option<Receipt>,
    /// The answer.
    pub reply: Reply,
}

/// The way to tell that an answer was handed to a live client. Dropped without a word, it was not.
#[derive(Clone)]
pub struct Receipt(Vec<Arc<dyn Fn() + Send + Sync>>);

impl Receipt {
    /// Calls `delivered` when the answer was handed over; more than once where that is told more than once.
    pub fn new(delivered: impl Fn() + Send + Sync + 'static) -> Self {
        Self(vec![Arc::new(delivered)])
    }

    /// One for answers that are handed over together; `None` where nobody wants to know.
    pub fn joined(receipts: impl IntoIterator<Item = Self>) -> Option<Self> {
        let joined: Vec<_> = receipts.into_iter().flat_map(|receipt| receipt.0).collect();
        (!joined.is_empty()).then_some(Self(joined))
    }

    /// The answer was handed to a live client.
    pub fn acknowledge(&self) {
        self.0.iter().for_each(|delivered| delivered());
    }
}

impl fmt::Debug for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Receipt").field(&self.0.len()).finish()
    }
}

/// What becomes of an aside: of what an upstream tells the agent beside the outcomes of calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Aside {
    /// It goes on as these bytes.
    Changed(Bytes),
    /// It goes on as it came.
    Passed,
    /// It stays here.
    Withheld,
}

/// Where in a list a tool stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The list had the tool before.
    Again,
    /// It is the only one of its name so far.
    First,
}

/// A peer that broke the protocol in a way that belongs into evidence.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Misbehaviour {
    /// What it did, in a sentence.
    pub what: String,
    /// The upstream, or `agent`.
    pub who: Arc<str>,
}

/// One agent's session at one upstream, as the gateway sees it.
pub trait Session: Parking {
    /// A fresh identity for a call.
    fn call_id(&self) -> CallId;

    /// Looks into what the upstream `said` about `method` beside the outcomes of calls, takes note of what is in it, and says whether and how the agent may have it.
    fn aside(&self, method: &str, said: Bytes) -> impl Future<Output = Aside> + Send;

    /// How an approval of this session's run stands, as an object for the agent; `None` where the run has no such approval.
    fn approval_status(&self, approval: &str) -> Option<Map<String, Value>>;

    /// Who acts for whom: of the first client that [`Self::opened`] recorded, once it has returned.
    fn context(&self) -> Arc<Context>;

    /// Decides and records a call, executes it at most once, and says what to answer; `None` when the client took the call back, which `cancelled` tells. A
    /// dropped sender means that nobody will. What people approved goes on when it is taken back, and `None` then comes after its end.
    fn govern<E: Execute>(
        &self,
        intercepted: Intercepted,
        execute: E,
        cancelled: &mut oneshot::Receiver<()>,
    ) -> impl Future<Output = Option<Answered>> + Send;

    /// Takes note of a tool's definition in a list, in its exact bytes; whether the agent may see it.
    fn sighted(&self, tool: &Tool, definition: &[u8], place: Place) -> bool;

    /// Records, within bounds, that a peer broke the protocol.
    fn misbehaved(&self, misbehaviour: Misbehaviour);

    /// Records who initiated and through what (`request_context`), durable before it returns, and gives the context for the calls of that client. Called once for
    /// each client, before its first call.
    ///
    /// # Errors
    /// A refusal when the session may not go on: evidence cannot be written, or the run is closed.
    fn opened(&self, channel: Channel) -> impl Future<Output = Result<Arc<Context>, Refusal>> + Send;

    /// The mission's policy as it is now.
    fn policy(&self) -> Arc<PolicySnapshot>;

    /// The calls that wait for their next round, of all sessions.
    fn rounds(&self) -> &Rounds;

    /// The upstream's name, as the mission has it.
    fn upstream(&self) -> Arc<str>;
}
