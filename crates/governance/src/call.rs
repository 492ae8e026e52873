//! The path of one call: a state machine that says what to do next and does nothing itself.
//!
//! The driver performs each [`Effect`] and feeds the result back as an [`Input`]. States are named for what they await. [`Call::handle`] is total: an input that a
//! state did not expect changes nothing. Start at [`Call::begin`].

#[cfg(test)]
mod tests;
mod warrant;

use std::sync::Arc;

use bytes::Bytes;
use evidence::ids::{ApprovalId, CallId, ExceptionId};
use evidence::record::approval::ApprovalRecord;
use evidence::record::{Context, DecisionPoint, Draft, Effect as Verdict, EffectClass, Policy, Receipt, Status};
use evidence::time::Timestamp;

use crate::approve::{Consulted, Executed, Requested};
use crate::classify::{Classified, Kept};
use crate::decide::{Decision, PolicySnapshot, decide};
use crate::execute::{Created, Outcome, Release, release};
use crate::intercept::Intercepted;
use crate::limits::HOLD_SECONDS_MAX;
use crate::reason::Reason;
use crate::record;
pub use warrant::Warrant;

/// What the world tells a call.
#[derive(Debug)]
pub enum Input {
    /// What the approvals that there are say of the call.
    Consulted(Box<Consulted>),
    /// The approval that the call waits for is not open any more, or may not be.
    Woken,
    /// The client has waited as long as it may.
    Waited,
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
    /// What was appended last could not be made durable; or, of a call that is not classified yet, what must be kept of it could not be.
    Unrecorded,
}

/// What a call wants done.
#[derive(Debug)]
pub enum Effect {
    /// Make these records durable in one group, then give [`Input::Recorded`].
    Append(Vec<Draft>),
    /// Tell the upstream that the call was taken back.
    CancelUpstream,
    /// Ask the approvals that there are, at once, and give [`Input::Consulted`].
    Consult(Arc<Consult>),
    /// Classify these arguments, then give [`Input::Classified`].
    Classify(Intercepted),
    /// Execute once, then give [`Input::Ended`].
    Execute(Warrant),
    /// Answer the agent that a task goes on, wait for the task's end, then give [`Input::Ended`]. What is replied then is for whoever asks for the task's result.
    Follow(Reply),
    /// Give back this use of this approval, which was taken and is not recorded.
    GiveBack(ApprovalId, u32),
    /// Keep what reviewers are shown, before its record is written; where that fails, give [`Input::Unrecorded`] instead of the next append.
    Keep(Box<Requested>),
    /// Record this beside the path; nobody waits for it.
    Note(Box<Draft>),
    /// Answer the agent with what is kept of an earlier execution: its result, where that is there.
    Replay(Box<Replayed>),
    /// Answer the agent.
    Reply(Reply),
    /// The outcome of an approved call, to be kept until its client has it, with the bytes that the client would get; its record comes with the next append. That
    /// nothing can be kept is no failure.
    Retain(ApprovalId, Box<Executed>, Option<Bytes>),
    /// Wait until this approval is not open any more, and nothing is executed by it, then give [`Input::Woken`]; once the call was held for so many seconds, give
    /// [`Input::Waited`].
    Wait(ApprovalId, u64),
}

/// A call that needs approval: what the approvals that there are must look at.
#[derive(Debug)]
pub struct Consult {
    /// The approval that this very call waited for.
    pub awaited: Option<ApprovalId>,
    /// The call.
    pub classified: Classified,
    /// What was decided: to ask.
    pub decision: Decision,
    /// By which policy.
    pub policy: Arc<PolicySnapshot>,
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
    /// Nothing ran for this call, which must be sent again.
    Pending(Pending),
    /// The outcome of an identical call, which was executed before; nothing ran for this one.
    Replayed(Box<Replayed>),
}

/// What the agent is told of an approval whose end it must wait for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Which.
    pub approval: ApprovalId,
    /// What is waited for.
    pub awaits: Awaits,
    /// The gates that must be satisfied.
    pub gates: Vec<Arc<str>>,
}

/// What a call waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Awaits {
    /// People's answers.
    Answers {
        /// When silence becomes a no.
        respond_by: Timestamp,
    },
    /// The outcome of an identical call.
    Outcome,
}

/// What the agent is told of an identical call that was executed before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// By which approval it was executed.
    pub approval: ApprovalId,
    /// What became of it.
    pub executed: Executed,
    /// What is told where there is no result.
    pub refusal: Refusal,
    /// The exact bytes of its result or error; `None` where they are not kept.
    pub result: Option<Bytes>,
}

/// A stable reason and one sentence for the agent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The arguments that a person proposes instead of those of the call, as JSON.
    pub proposed: Option<Arc<str>>,
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
    AwaitClassification {
        /// The approval that the call has waited for.
        awaited: Option<ApprovalId>,
    },
    AwaitConsultation {
        consult: Arc<Consult>,
    },
    /// People are asked once their question is durable.
    AwaitRequestReceipt {
        asking: Box<Asking>,
        cancelled: bool,
    },
    AwaitReviews {
        asking: Box<Asking>,
    },
    /// The denial is decided; it is told once it is durable.
    AwaitDenialReceipt {
        refusal: Refusal,
    },
    AwaitIntentReceipt {
        call: Box<Decided>,
        cancelled: bool,
        /// How many records are in the intent's group.
        group: usize,
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
    /// The outcome of an identical call is handed out once that is durable.
    AwaitReplayReceipt {
        replayed: Box<Replayed>,
    },
    Closed,
}

impl State {
    const fn name(&self) -> &'static str {
        match self {
            Self::AwaitClassification { .. } => "AwaitClassification",
            Self::AwaitConsultation { .. } => "AwaitConsultation",
            Self::AwaitRequestReceipt { .. } => "AwaitRequestReceipt",
            Self::AwaitReviews { .. } => "AwaitReviews",
            Self::AwaitDenialReceipt { .. } => "AwaitDenialReceipt",
            Self::AwaitIntentReceipt { .. } => "AwaitIntentReceipt",
            Self::AwaitOutcome { .. } => "AwaitOutcome",
            Self::AwaitTaskEnd { .. } => "AwaitTaskEnd",
            Self::AwaitOutcomeReceipt { .. } => "AwaitOutcomeReceipt",
            Self::AwaitReplayReceipt { .. } => "AwaitReplayReceipt",
            Self::Closed => "Closed",
        }
    }
}

impl Input {
    const fn name(&self) -> &'static str {
        match self {
            Self::Cancelled => "Cancelled",
            Self::Classified(..) => "Classified",
            Self::Consulted(_) => "Consulted",
            Self::Ended(_) => "Ended",
            Self::Recorded(_) => "Recorded",
            Self::TaskCreated(_) => "TaskCreated",
            Self::Unrecorded => "Unrecorded",
            Self::Waited => "Waited",
            Self::Woken => "Woken",
        }
    }
}

/// A call whose approval is open.
#[derive(Debug)]
struct Asking {
    hold_s: u64,
    intercepted: Intercepted,
    pending: Pending,
}

/// An allowed call.
#[derive(Debug)]
struct Decided {
    classified: Classified,
    effect_class: EffectClass,
    intended_at: Timestamp,
    policy: Policy,
    /// The use of an approval that it was allowed by.
    used: Option<(ApprovalId, u32)>,
}

impl Call {
    /// Takes up a call.
    #[must_use]
    pub fn begin(intercepted: Intercepted) -> (Self, Vec<Effect>) {
        let (call, context) = (intercepted.call(), intercepted.context().clone());
        let awaited = intercepted.awaited();
        (Self { call, context, state: State::AwaitClassification { awaited } }, vec![Effect::Classify(intercepted)])
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
            (State::AwaitClassification { awaited }, Input::Classified(classified, policy)) => {
                judge(*classified, policy, awaited, at)
            }
            (State::AwaitClassification { .. }, Input::Cancelled) => (State::Closed, Vec::new()),
            // What must be kept of the call cannot be: it is not decided, and nothing runs.
            (State::AwaitClassification { .. }, Input::Unrecorded) => {
                (State::Closed, vec![Effect::Reply(unrecorded(Status::NotExecuted))])
            }

            (State::AwaitConsultation { consult }, Input::Consulted(said)) => consulted(&consult, *said, at),

            // CRASH: whether people are asked is in the ledger; nothing ran, and an identical call joins the question or asks it.
            (State::AwaitRequestReceipt { asking, cancelled }, Input::Recorded(_)) => match cancelled {
                true => (State::Closed, Vec::new()),
                false => wait(asking),
            },
            (State::AwaitRequestReceipt { .. }, Input::Unrecorded) => {
                (State::Closed, vec![Effect::Reply(unrecorded(Status::NotExecuted))])
            }
            (State::AwaitRequestReceipt { asking, .. }, Input::Cancelled) => {
                (State::AwaitRequestReceipt { asking, cancelled: true }, Vec::new())
            }

            // CRASH: the approval goes on without the call; an identical call of the run joins it.
            (State::AwaitReviews { asking }, Input::Woken) => {
                let awaited = Some(asking.pending.approval);
                (State::AwaitClassification { awaited }, vec![Effect::Classify(asking.intercepted)])
            }
            (State::AwaitReviews { asking }, Input::Waited) => {
                (State::Closed, vec![Effect::Reply(Reply::Pending(asking.pending))])
            }
            (State::AwaitReviews { .. }, Input::Cancelled) => (State::Closed, Vec::new()),

            // CRASH: the denial is not durable and nothing ran; the agent has no answer and may ask again.
            (State::AwaitDenialReceipt { refusal }, Input::Recorded(_)) => {
                (State::Closed, vec![Effect::Reply(Reply::Denied(refusal))])
            }
            (State::AwaitDenialReceipt { .. }, Input::Unrecorded) => {
                (State::Closed, vec![Effect::Reply(unrecorded(Status::NotExecuted))])
            }

            // CRASH: before the receipt nothing ran. Whether the intent is durable is known only to recovery, which closes it as unknown.
            (State::AwaitIntentReceipt { call, cancelled, group }, Input::Recorded(receipts)) => {
                intended(call, cancelled, group, &receipts, at)
            }
            (State::AwaitIntentReceipt { .. }, Input::Unrecorded) => {
                (State::Closed, vec![Effect::Reply(unrecorded(Status::NotExecuted))])
            }
            (State::AwaitIntentReceipt { call, group, .. }, Input::Cancelled) => {
                (State::AwaitIntentReceipt { call, cancelled: true, group }, Vec::new())
            }

            // CRASH: the intent is durable and the upstream may have acted. Recovery closes this call as unknown and opens an exception.
            (State::AwaitOutcome { call }, Input::Ended(outcome)) => ended(&call, *outcome, at),
            // INVARIANT (approved-means-finished): what people approved and the upstream has is not abandoned with its client; the outcome is kept for an identical call.
            (State::AwaitOutcome { call }, Input::Cancelled) if call.used.is_none() => taken_back(&call, at),
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

            // CRASH: the outcome is kept, and an identical call gets it.
            (State::AwaitReplayReceipt { replayed }, Input::Recorded(_)) => {
                (State::Closed, vec![Effect::Replay(replayed)])
            }
            (State::AwaitReplayReceipt { .. }, Input::Unrecorded) => {
                (State::Closed, vec![Effect::Reply(unrecorded(Status::NotExecuted))])
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
fn judge(
    classified: Classified,
    policy: Arc<PolicySnapshot>,
    awaited: Option<ApprovalId>,
    at: Timestamp,
) -> (State, Vec<Effect>) {
    let decision = decide(&classified, &policy, at);
    let is_gated = policy.asks(classified.intercepted.tool());
    let is_over_limit = decision.reasons.contains(&Reason::LimitReached)
        && decision.reasons.iter().all(|reason| matches!(reason, Reason::ApprovalRequired | Reason::LimitReached));
    match decision.effect {
        // An approved call may have run whose outcome was not handed out: that comes before a second one runs, and before what ran is what reached the limit.
        Verdict::Allow if !is_gated => allowed(classified, &decision, None, at),
        Verdict::Deny if !is_gated || !is_over_limit => denied(&classified, &decision, None, Vec::new(), at),
        Verdict::Allow | Verdict::Ask | Verdict::Deny => {
            let consult = Arc::new(Consult { awaited, classified, decision, policy });
            (State::AwaitConsultation { consult: consult.clone() }, vec![Effect::Consult(consult)])
        }
    }
}

/// Writes the decision with the intent; of an approved call, with the use of its approval between them.
fn allowed(
    classified: Classified,
    decision: &Decision,
    consumed: Option<ApprovalRecord>,
    at: Timestamp,
) -> (State, Vec<Effect>) {
    let point = if consumed.is_some() { DecisionPoint::Use } else { DecisionPoint::Call };
    let approval = consumed.as_ref().map(|consumed| consumed.approval);
    let used = consumed.as_ref().and_then(|consumed| Some((consumed.approval, consumed.used?)));
    let mut drafts = vec![record::decision(&classified, decision, point, approval, at)];
    drafts.extend(consumed.map(|consumed| record::approval(&classified, consumed, at)));
    drafts.push(record::intent(&classified, decision.effect_class, at));
    let group = drafts.len();
    let call = Box::new(Decided {
        classified,
        effect_class: decision.effect_class,
        intended_at: at,
        policy: decision.policy.clone(),
        used,
    });
    (State::AwaitIntentReceipt { call, cancelled: false, group }, vec![Effect::Append(drafts)])
}

/// Writes the denial, after what belongs before it.
fn denied(
    classified: &Classified,
    decision: &Decision,
    approval: Option<ApprovalId>,
    mut drafts: Vec<Draft>,
    at: Timestamp,
) -> (State, Vec<Effect>) {
    let point = if approval.is_some() { DecisionPoint::Use } else { DecisionPoint::Call };
    drafts.push(record::decision(classified, decision, point, approval, at));
    let reason = decision.reasons.first().copied().unwrap_or(Reason::ApprovalUnavailable);
    let refusal = Refusal { proposed: None, reason, sentence: decision.said_to_agent.clone() };
    (State::AwaitDenialReceipt { refusal }, vec![Effect::Append(drafts)])
}

/// The approvals that there are have been asked.
fn consulted(consult: &Arc<Consult>, said: Consulted, at: Timestamp) -> (State, Vec<Effect>) {
    let Consult { awaited, classified, decision, policy } = &**consult;
    match said {
        // INVARIANT (approved-means-decided-again): an approval only lifts what asks; whatever else speaks against the call still does.
        Consulted::Approved { consumed, gates } => {
            let (approval, used) = (consumed.approval, consumed.used.unwrap_or_default());
            let classified = Classified { gates, ..classified.clone() };
            let again = decide(&classified, policy, at);
            if again.effect == Verdict::Allow {
                return allowed(classified, &again, Some(*consumed), at);
            }
            let revoked = Decision {
                effect: Verdict::Deny,
                reasons: vec![Reason::ApprovalRevoked],
                said_to_agent: Arc::from("what was approved does not hold any more; tell the person you work for"),
                ..again
            };
            let (state, mut effects) = denied(&classified, &revoked, Some(approval), Vec::new(), at);
            effects.insert(0, Effect::GiveBack(approval, used));
            (state, effects)
        }
        Consulted::Nothing => match decision.effect {
            Verdict::Allow => allowed(classified.clone(), decision, None, at),
            Verdict::Ask | Verdict::Deny => {
                let refused = Decision { effect: Verdict::Deny, ..decision.clone() };
                denied(classified, &refused, None, Vec::new(), at)
            }
        },
        Consulted::Pending { approval, requested, respond_by } => {
            let asking = asking(consult, approval, Awaits::Answers { respond_by });
            if *awaited == Some(approval) {
                return wait(asking);
            }
            let mut drafts = vec![record::decision(classified, decision, DecisionPoint::Call, Some(approval), at)];
            let mut effects = Vec::new();
            if let Some(requested) = requested {
                drafts.push(record::requested(classified, &requested, at));
                effects.push(Effect::Keep(requested));
            }
            effects.push(Effect::Append(drafts));
            (State::AwaitRequestReceipt { asking, cancelled: false }, effects)
        }
        Consulted::Running(approval) => {
            let asking = asking(consult, approval, Awaits::Outcome);
            if *awaited == Some(approval) {
                return wait(asking);
            }
            let joins = Decision {
                effect: Verdict::Ask,
                reasons: vec![Reason::OutcomeAwaited],
                sentence: Arc::from(
                    "an identical call was approved and is being executed; this one waits for its outcome",
                ),
                ..decision.clone()
            };
            let joins = record::decision(classified, &joins, DecisionPoint::Call, Some(approval), at);
            (State::AwaitRequestReceipt { asking, cancelled: false }, vec![Effect::Append(vec![joins])])
        }
        Consulted::Replayed { approval, executed } => {
            let reason = executed.reason.unwrap_or(Reason::Replayed);
            let refusal = refusal(reason, executed.status);
            let sentence =
                format!("hands out the outcome of use {}, which call {} executed", executed.used, executed.call);
            let released = Decision {
                effect: Verdict::Allow,
                reasons: vec![Reason::Replayed],
                sentence: sentence.into(),
                ..decision.clone()
            };
            let released = record::decision(classified, &released, DecisionPoint::Release, Some(approval), at);
            let replayed = Box::new(Replayed { approval, executed: *executed, refusal, result: None });
            (State::AwaitReplayReceipt { replayed }, vec![Effect::Append(vec![released])])
        }
        Consulted::Refused { approval, ended, proposed, reason, said_to_agent, sentence } => {
            let refused = Decision {
                effect: Verdict::Deny,
                reasons: vec![reason],
                said_to_agent: said_to_agent.into(),
                sentence: sentence.into(),
                ..decision.clone()
            };
            let before = ended.map(|ended| record::approval(classified, *ended, at)).into_iter().collect();
            let (state, effects) = denied(classified, &refused, approval, before, at);
            match state {
                State::AwaitDenialReceipt { refusal } => {
                    (State::AwaitDenialReceipt { refusal: Refusal { proposed, ..refusal } }, effects)
                }
                state => (state, effects),
            }
        }
    }
}

/// A call that is held until what it awaits is there.
fn asking(consult: &Consult, approval: ApprovalId, awaits: Awaits) -> Box<Asking> {
    let Consult { classified, decision, policy, .. } = consult;
    let held = decision.gates.iter().filter_map(|gate| Some(policy.mission().gate(gate)?.hold_s()));
    let hold_s = held.min().unwrap_or(HOLD_SECONDS_MAX);
    let pending = Pending { approval, awaits, gates: decision.gates.clone() };
    Box::new(Asking { hold_s, intercepted: classified.intercepted.clone(), pending })
}

fn wait(asking: Box<Asking>) -> (State, Vec<Effect>) {
    let wait = Effect::Wait(asking.pending.approval, asking.hold_s);
    (State::AwaitReviews { asking }, vec![wait])
}

/// The intent is durable: mint the warrant, unless the call was taken back meanwhile.
fn intended(
    call: Box<Decided>,
    cancelled: bool,
    group: usize,
    receipts: &[Receipt],
    at: Timestamp,
) -> (State, Vec<Effect>) {
    if cancelled {
        let outcome = Outcome::without_answer(Status::NotExecuted, Reason::CancelledByClient);
        return close(&call, &outcome, Handed::default(), None, None, at);
    }
    match receipts.last() {
        // INVARIANT (warrant-after-intent): the one place where a warrant is minted.
        Some(intent) if receipts.len() == group => {
            let warrant = Warrant::mint(&call.classified.intercepted, *intent, call.used.map(|(approval, _)| approval));
            (State::AwaitOutcome { call }, vec![Effect::Execute(warrant)])
        }
        _ => (State::Closed, vec![Effect::Reply(unrecorded(Status::NotExecuted))]),
    }
}

/// The execution ended: decide on release, write the outcome, then answer.
fn ended(call: &Decided, mut outcome: Outcome, at: Timestamp) -> (State, Vec<Effect>) {
    let examined_at = outcome.examined.as_ref().map_or(at, |examined| examined.at);
    let excepted = outcome.examined.as_ref().map(|examined| examined.excepted.clone()).unwrap_or_default();
    let by_exception: Vec<Reason> = (!excepted.is_empty()).then_some(Reason::DataExcepted).into_iter().collect();
    let examined = outcome.examined.as_mut();
    let (found, kept) =
        examined.map(|examined| (examined.classes.clone(), std::mem::take(&mut examined.kept))).unwrap_or_default();
    let mut released = None;
    let mut handed = outcome.result.clone();
    let reply = match (outcome.payload.take(), release(outcome.result.as_ref(), outcome.examined.take())) {
        (Some(_), Release::Withhold { reason, rules, sentence }) => {
            outcome.reason = Some(reason);
            if reason == Reason::DataWithheld {
                let (obligations, reasons) = (Vec::new(), vec![reason]);
                released = Some(record::Released { effect: Verdict::Deny, obligations, reasons, rules, sentence });
            }
            Reply::Failed(refusal(reason, outcome.status), outcome.status)
        }
        (Some(_), Release::Changed { obligations, payload, result, rules }) => {
            let sentence = Arc::from("what the mission keeps from the agent was changed in the result");
            let (effect, reasons) = (Verdict::Allow, by_exception);
            released = Some(record::Released { effect, obligations, reasons, rules, sentence });
            handed = Some(result);
            Reply::Passed(payload)
        }
        (Some(payload), Release::Pass) => {
            if !excepted.is_empty() {
                let sentence = Arc::from("the result goes on as it came, by exception");
                let (effect, obligations) = (Verdict::Allow, Vec::new());
                released =
                    Some(record::Released { effect, obligations, reasons: by_exception, rules: excepted, sentence });
            }
            Reply::Passed(payload)
        }
        (None, _) => {
            let reason = outcome.reason.unwrap_or(Reason::ConnectionLost);
            Reply::Failed(refusal(reason, outcome.status), outcome.status)
        }
    };
    let released =
        released.map(|released| record::released(&call.classified, &call.policy, &found, released, examined_at));
    close(call, &outcome, Handed { classes: found, kept, result: handed }, released, Some(reply), at)
}

/// A result as the agent gets it.
#[derive(Default)]
struct Handed {
    /// The classes of data that the tool returned.
    classes: Vec<Arc<str>>,
    /// What was done with it.
    kept: Vec<Kept>,
    /// Its exact bytes.
    result: Option<Bytes>,
}

/// What is kept of the outcome of an approved call until its client has it.
fn retain(call: &Decided, outcome: &Outcome, handed: Option<Bytes>, reply: Option<&Reply>) -> Option<Effect> {
    let (approval, used) = call.used?;
    let is_whole = matches!(reply, Some(Reply::Passed(_))) && outcome.status != Status::Pending;
    let result = handed.filter(|_| is_whole);
    let id = call.classified.intercepted.call();
    let executed = Executed {
        call: id,
        exception: record::opens_exception(outcome).map(|_| ExceptionId::from_bytes(*id.as_bytes())),
        kept_sha256: None,
        reason: outcome.reason,
        status: outcome.status,
        used,
    };
    Some(Effect::Retain(approval, Box::new(executed), result))
}

/// The upstream made a task of the call: the call stays open until the task ends, and only the news of it is answered.
fn task_created(call: Box<Decided>, created: Created) -> (State, Vec<Effect>) {
    let reply = match release(Some(&created.result), None) {
        Release::Pass => Reply::Passed(created.payload),
        Release::Changed { payload, .. } => Reply::Passed(payload),
        Release::Withhold { reason, .. } => Reply::Failed(refusal(reason, Status::Unknown), Status::Unknown),
    };
    (State::AwaitTaskEnd { call }, vec![Effect::Follow(reply)])
}

/// The client took the call back while the upstream had it: the effect may have happened.
fn taken_back(call: &Decided, at: Timestamp) -> (State, Vec<Effect>) {
    let (state, mut effects) = close(
        call,
        &Outcome::without_answer(Status::Cancelled, Reason::CancelledByClient),
        Handed::default(),
        None,
        None,
        at,
    );
    effects.insert(0, Effect::CancelUpstream);
    (state, effects)
}

/// Writes the outcome. What only read may answer before the outcome is durable: a lost record of a read repeats no effect.
fn close(
    call: &Decided,
    outcome: &Outcome,
    handed: Handed,
    released: Option<Draft>,
    reply: Option<Reply>,
    at: Timestamp,
) -> (State, Vec<Effect>) {
    let mut drafts: Vec<Draft> = released.into_iter().collect();
    let of_outcome = record::outcome(&call.classified, call.effect_class, outcome, call.intended_at, at);
    drafts.push(record::with_kept(record::with_classes(of_outcome, &handed.classes), &handed.kept));
    if let Some(reason) = record::opens_exception(outcome) {
        drafts.push(record::unknown_outcome(&call.classified, reason, at));
    }
    match (call.effect_class, reply) {
        // What people were asked about is recorded before it is told, whatever its class.
        (EffectClass::Read, Some(reply)) if call.used.is_none() => {
            (State::AwaitOutcomeReceipt { reply: None }, vec![Effect::Reply(reply), Effect::Append(drafts)])
        }
        (_, reply) => {
            let mut effects: Vec<Effect> = retain(call, outcome, handed.result, reply.as_ref()).into_iter().collect();
            effects.push(Effect::Append(drafts));
            (State::AwaitOutcomeReceipt { reply }, effects)
        }
    }
}

fn unrecorded(status: Status) -> Reply {
    Reply::Failed(refusal(Reason::LedgerUnavailable, status), status)
}

/// What an agent is told when a call failed rather than was denied.
#[must_use]
pub fn refusal(reason: Reason, status: Status) -> Refusal {
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
        Reason::DataWithheld => "the result holds data that the agent may not have",
        Reason::ResultTooLarge => "the result is larger than the gateway passes on",
        Reason::Timeout => "the upstream did not answer in time",
        Reason::UpstreamUnavailable => "the upstream cannot be reached",
        Reason::GatewayStopping => "the gateway is shutting down",
        Reason::CancelledByClient => "the client took the call back",
        Reason::InputNotAllowed => "the upstream asks for input that this mission does not let it ask for",
        Reason::Malformed => "the upstream's answer breaks the protocol",
        Reason::TaskCancelled => "the upstream cancelled its task",
        Reason::GatewayDied => "the gateway died before it had the answer",
        Reason::Replayed => "the result is not kept",
        Reason::UpstreamError => "the upstream answered with an error, which is not kept",
        Reason::NotReported => "nobody reported what became of the step in time",
        _ => "the connection to the upstream ended",
    };
    Refusal { proposed: None, reason, sentence: Arc::from(format!("{why}: {happened}")) }
}
