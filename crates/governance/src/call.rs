//! The path of one call: a state machine that says what to do next and does nothing itself.
//!
//! The driver performs each [`Effect`] and feeds the result back as an [`Input`]. States are named for what they await. [`Call::handle`] is total: an input that a
//! state did not expect changes nothing. Start at [`Call::begin`].

#[cfg(test)]
mod tests;
mod warrant;

use std::sync::Arc;

use bytes::Bytes;
use evidence::ids::CallId;
use evidence::record::{Context, DecisionPoint, Draft, Effect as Verdict, EffectClass, Receipt, Status};
use evidence::time::Timestamp;

use crate::classify::Classified;
use crate::decide::{PolicySnapshot, decide};
use crate::execute::{Created, Outcome, Release, release};
use crate::intercept::Intercepted;
use crate::reason::Reason;
use crate::record;
pub use warrant::Warrant;

/// What the world tells a call.
#[derive(Debug)]
pub enum Input {
    /// The client took the call back.
    Cancelled,
    /// The arguments are classified; decide with this policy.
    Classified(Box<Classified>, Arc<PolicySnapshot>),
    /// The execution ended.
    Ended(Box<Outcome>),
    /// The execution became a task at the upstream, which goes on.
    TaskCreated(Created),
    /// What was appended last is durable; one receipt for each draft, in order.
    Recorded(Vec<Receipt>),
    /// What was appended last could not be made durable.
    Unrecorded,
}

/// What a call wants done.
#[derive(Debug)]
pub enum Effect {
    /// Make these records durable in one group, then give [`Input::Recorded`].
    Append(Vec<Draft>),
    /// Tell the upstream that the call was taken back.
    CancelUpstream,
    /// Classify these arguments, then give [`Input::Classified`].
    Classify(Intercepted),
    /// Execute once, then give [`Input::Ended`].
    Execute(Warrant),
    /// Answer the agent that a task goes on, wait for the task's end, then give [`Input::Ended`]. What is replied then is for whoever asks for the task's result.
    Follow(Reply),
    /// Record this beside the path; nobody waits for it.
    Note(Box<Draft>),
    /// Answer the agent.
    Reply(Reply),
}

/// The answer to the agent.
#[derive(Clone, Debug)]
pub enum Reply {
    /// The call was denied: nothing ran.
    Denied(Refusal),
    /// The call failed; the status says whether anything may have run.
    Failed(Refusal, Status),
    /// The upstream's answer, in its exact bytes.
    Passed(Bytes),
}

/// A stable reason and one sentence for the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The stable reason.
    pub reason: Reason,
    /// What the agent is told.
    pub sentence: Arc<str>,
}

/// One call on its way.
#[derive(Debug)]
pub struct Call {
    call: CallId,
    context: Arc<Context>,
    state: State,
}

#[derive(Debug)]
enum State {
    AwaitClassification,
    /// The denial is decided; it is told once it is durable.
    AwaitDenialReceipt {
        refusal: Refusal,
    },
    AwaitIntentReceipt {
        call: Box<Decided>,
        cancelled: bool,
    },
    AwaitOutcome {
        call: Box<Decided>,
    },
    /// The agent knows of the task, and the upstream works on it.
    AwaitTaskEnd {
        call: Box<Decided>,
    },
    AwaitOutcomeReceipt {
        reply: Option<Reply>,
    },
    Closed,
}

impl State {
    const fn name(&self) -> &'static str {
        match self {
            Self::AwaitClassification => "AwaitClassification",
            Self::AwaitDenialReceipt { .. } => "AwaitDenialReceipt",
            Self::AwaitIntentReceipt { .. } => "AwaitIntentReceipt",
            Self::AwaitOutcome { .. } => "AwaitOutcome",
            Self::AwaitTaskEnd { .. } => "AwaitTaskEnd",
            Self::AwaitOutcomeReceipt { .. } => "AwaitOutcomeReceipt",
            Self::Closed => "Closed",
        }
    }
}

impl Input {
    const fn name(&self) -> &'static str {
        match self {
            Self::Cancelled => "Cancelled",
            Self::Classified(..) => "Classified",
            Self::Ended(_) => "Ended",
            Self::Recorded(_) => "Recorded",
            Self::TaskCreated(_) => "TaskCreated",
            Self::Unrecorded => "Unrecorded",
        }
    }
}

/// An allowed call.
#[derive(Debug)]
struct Decided {
    classified: Classified,
    effect_class: EffectClass,
    intended_at: Timestamp,
}

impl Call {
    /// Takes up a call.
    #[must_use]
    pub fn begin(intercepted: Intercepted) -> (Self, Vec<Effect>) {
        let (call, context) = (intercepted.call(), intercepted.context().clone());
        (Self { call, context, state: State::AwaitClassification }, vec![Effect::Classify(intercepted)])
    }

    /// Whether nothing more will happen.
    #[must_use]
    pub const fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// Takes `input` at `at` and says what to do next.
    #[must_use]
    pub fn handle(self, input: Input, at: Timestamp) -> (Self, Vec<Effect>) {
        let Self { call: id, context, state } = self;
        let (state, effects) = match (state, input) {
            (State::AwaitClassification, Input::Classified(classified, policy)) => judge(*classified, &policy, at),
            (State::AwaitClassification, Input::Cancelled) => (State::Closed, Vec::new()),

            // CRASH: the denial is not durable and nothing ran; the agent has no answer and may ask again.
            (State::AwaitDenialReceipt { refusal }, Input::Recorded(_)) => {
                (State::Closed, vec![Effect::Reply(Reply::Denied(refusal))])
            }
            (State::AwaitDenialReceipt { .. }, Input::Unrecorded) => {
                (State::Closed, vec![Effect::Reply(unrecorded(Status::NotExecuted))])
            }

            // CRASH: before the receipt nothing ran. Whether the intent is durable is known only to recovery, which closes it as unknown.
            (State::AwaitIntentReceipt { call, cancelled }, Input::Recorded(receipts)) => {
                intended(call, cancelled, &receipts, at)
            }
            (State::AwaitIntentReceipt { .. }, Input::Unrecorded) => {
                (State::Closed, vec![Effect::Reply(unrecorded(Status::NotExecuted))])
            }
            (State::AwaitIntentReceipt { call, .. }, Input::Cancelled) => {
                (State::AwaitIntentReceipt { call, cancelled: true }, Vec::new())
            }

            // CRASH: the intent is durable and the upstream may have acted. Recovery closes this call as unknown and opens an exception.
            (State::AwaitOutcome { call }, Input::Ended(outcome)) => ended(&call, *outcome, at),
            (State::AwaitOutcome { call }, Input::Cancelled) => taken_back(&call, at),
            (State::AwaitOutcome { call }, Input::TaskCreated(created)) => task_created(call, created),

            // CRASH: the intent is durable, the agent has the task, and nobody here will see its end. Recovery closes this call as unknown and opens an exception.
            (State::AwaitTaskEnd { call }, Input::Ended(outcome)) => ended(&call, *outcome, at),

            // CRASH: the outcome is not durable and the agent has no answer; recovery closes the call as unknown.
            (State::AwaitOutcomeReceipt { reply }, Input::Recorded(_)) => {
                (State::Closed, reply.map(Effect::Reply).into_iter().collect())
            }
            (State::AwaitOutcomeReceipt { reply }, Input::Unrecorded) => {
                (State::Closed, reply.map(|_| Effect::Reply(unrecorded(Status::Unknown))).into_iter().collect())
            }

            // The client may take a call back at any time; where that comes too late, it says nothing new.
            (state, Input::Cancelled) => (state, Vec::new()),
            (state, input) => {
                let note = record::unexpected(id, &context, state.name(), input.name(), at);
                (state, vec![Effect::Note(Box::new(note))])
            }
        };
        (Self { call: id, context, state }, effects)
    }
}

/// Decides, and writes the decision; with the intent in the same group where the call may run.
fn judge(classified: Classified, policy: &PolicySnapshot, at: Timestamp) -> (State, Vec<Effect>) {
    let decision = decide(&classified, policy, at);
    let decided = record::decision(&classified, &decision, DecisionPoint::Call, at);
    match decision.effect {
        Verdict::Allow => {
            let intent = record::intent(&classified, decision.effect_class, at);
            let call = Box::new(Decided { classified, effect_class: decision.effect_class, intended_at: at });
            (State::AwaitIntentReceipt { call, cancelled: false }, vec![Effect::Append(vec![decided, intent])])
        }
        Verdict::Ask | Verdict::Deny => {
            let reason = decision.reasons.first().copied().unwrap_or(Reason::ApprovalUnavailable);
            let refusal = Refusal { reason, sentence: decision.said_to_agent };
            (State::AwaitDenialReceipt { refusal }, vec![Effect::Append(vec![decided])])
        }
    }
}

/// The intent is durable: mint the warrant, unless the call was taken back meanwhile.
fn intended(call: Box<Decided>, cancelled: bool, receipts: &[Receipt], at: Timestamp) -> (State, Vec<Effect>) {
    if cancelled {
        return close(&call, &Outcome::without_answer(Status::NotExecuted, Reason::CancelledByClient), None, at);
    }
    match receipts.last() {
        // INVARIANT (warrant-after-intent): the one place where a warrant is minted.
        Some(intent) if receipts.len() == 2 => {
            let warrant = Warrant::mint(&call.classified.intercepted, *intent);
            (State::AwaitOutcome { call }, vec![Effect::Execute(warrant)])
        }
        _ => (State::Closed, vec![Effect::Reply(unrecorded(Status::NotExecuted))]),
    }
}

/// The execution ended: decide on release, write the outcome, then answer.
fn ended(call: &Decided, mut outcome: Outcome, at: Timestamp) -> (State, Vec<Effect>) {
    let reply = match (outcome.payload.take(), release(outcome.result.as_ref())) {
        (Some(_), Release::Withhold(reason)) => {
            outcome.reason = Some(reason);
            Reply::Failed(refusal(reason, outcome.status), outcome.status)
        }
        (Some(payload), Release::Pass) => Reply::Passed(payload),
        (None, _) => {
            let reason = outcome.reason.unwrap_or(Reason::ConnectionLost);
            Reply::Failed(refusal(reason, outcome.status), outcome.status)
        }
    };
    close(call, &outcome, Some(reply), at)
}

/// The upstream made a task of the call: the call stays open until the task ends, and only the news of it is answered.
fn task_created(call: Box<Decided>, created: Created) -> (State, Vec<Effect>) {
    let reply = match release(Some(&created.result)) {
        Release::Pass => Reply::Passed(created.payload),
        Release::Withhold(reason) => Reply::Failed(refusal(reason, Status::Unknown), Status::Unknown),
    };
    (State::AwaitTaskEnd { call }, vec![Effect::Follow(reply)])
}

/// The client took the call back while the upstream had it: the effect may have happened.
fn taken_back(call: &Decided, at: Timestamp) -> (State, Vec<Effect>) {
    let (state, mut effects) =
        close(call, &Outcome::without_answer(Status::Cancelled, Reason::CancelledByClient), None, at);
    effects.insert(0, Effect::CancelUpstream);
    (state, effects)
}

/// Writes the outcome. What only read may answer before the outcome is durable: a lost record of a read repeats no effect.
fn close(call: &Decided, outcome: &Outcome, reply: Option<Reply>, at: Timestamp) -> (State, Vec<Effect>) {
    let mut drafts = vec![record::outcome(&call.classified, call.effect_class, outcome, call.intended_at, at)];
    if let Some(reason) = record::opens_exception(outcome) {
        drafts.push(record::unknown_outcome(&call.classified, reason, at));
    }
    match (call.effect_class, reply) {
        (EffectClass::Read, Some(reply)) => {
            (State::AwaitOutcomeReceipt { reply: None }, vec![Effect::Reply(reply), Effect::Append(drafts)])
        }
        (_, reply) => (State::AwaitOutcomeReceipt { reply }, vec![Effect::Append(drafts)]),
    }
}

fn unrecorded(status: Status) -> Reply {
    Reply::Failed(refusal(Reason::LedgerUnavailable, status), status)
}

/// What an agent is told when a call failed rather than was denied.
fn refusal(reason: Reason, status: Status) -> Refusal {
    let happened = match status {
        Status::NotExecuted => "nothing was executed; the call may be tried again later",
        Status::Done => "the call was executed; do not repeat it",
        Status::Pending => "the upstream has begun and waits; the call did not come to its end",
        Status::ToolError => "the tool answered with an error",
        Status::Cancelled => "the call was cancelled after it had been sent",
        Status::Unknown => "it is not known whether the call took effect; do not repeat it before a person has looked",
    };
    let why = match reason {
        Reason::LedgerUnavailable => "evidence cannot be written",
        Reason::RoundsFull => "too many calls wait for input",
        Reason::ResultTooLarge => "the result is larger than the gateway passes on",
        Reason::Timeout => "the upstream did not answer in time",
        Reason::UpstreamUnavailable => "the upstream cannot be reached",
        Reason::GatewayStopping => "the gateway is shutting down",
        Reason::CancelledByClient => "the client took the call back",
        Reason::InputNotAllowed => "the upstream asks for input that this mission does not let it ask for",
        Reason::Malformed => "the upstream's answer breaks the protocol",
        _ => "the connection to the upstream ended",
    };
    Refusal { reason, sentence: Arc::from(format!("{why}: {happened}")) }
}
