//! Calls of the stateless era: each round is an attempt at one call, decided and recorded before it is sent, and sent at most once.
//!
//! An upstream that needs input ends the round with questions for the agent's client. They pass only for features that the mission names, and the state that the next
//! round brings back is ours ([`crate::mcp::rounds`]).

use std::sync::Arc;

use bytes::Bytes;
use governance::call::{Reply, Warrant};
use governance::decide::Feature;
use governance::evidence::ids::{ApprovalId, CallId};
use governance::evidence::leaf::sha256_hex;
use governance::evidence::record::{Context, Endpoint, Status, Tool};
use governance::execute::{Execution, Outcome};
use governance::intercept::Intercepted;
use governance::reason::Reason;
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::execute::{as_warranted, cancellation, outcome};
use super::intercept::{Call, as_of_agent, param, trace};
use super::parked::{Parks, kept};
use super::stateless::{internal, is_input_required, is_of_unknown_kind};
use super::tasks::{Becoming, Origin};
use super::tasks_alone::{created, declares_tasks, may_ask};
use super::{AgentSession, answered};
use crate::govern::{Execute, Misbehaviour, Session, Waiting};
use crate::limits::ReadLimits;
use crate::mcp::claims::Claims;
use crate::mcp::codec::{Envelope, Raw, RawId, Splice};
use crate::mcp::downstream::{Downstream, Message};
use crate::mcp::era::Era;
use crate::mcp::rounds::{Bound, OpenError, Round};
use crate::mcp::upstream::Upstream;

/// What a request carries of an earlier round.
#[derive(Clone, Copy, Debug)]
pub(super) enum Carried<'a> {
    Nothing,
    /// A state of ours, and in it the upstream's own.
    Ours {
        own: Option<Raw<'a>>,
    },
    /// Answers that this call was never asked for, and that do not go on.
    Unasked,
}

impl<S: Session, D: Downstream> AgentSession<S, D> {
    /// Takes one round of a call through decision, evidence and execution, and gives the answer; `None` when the client took it back.
    pub(super) async fn govern_round(
        &self,
        id: &RawId,
        envelope: &Envelope,
        claims: &Claims<'_>,
        context: Arc<Context>,
        Call { arguments, tool }: Call,
        mut cancelled: oneshot::Receiver<()>,
    ) -> Option<Message> {
        let is_tool = tool.endpoint == Endpoint::Tool;
        let bound = self.bound(envelope, &context, &tool, &arguments);
        let origin = (is_tool && declares_tasks(claims)).then(|| (arguments.clone(), context.clone(), tool.clone()));
        let intercepted = Intercepted::new(self.session.call_id(), context, tool, arguments, trace(envelope));
        let intercepted = as_of_agent(intercepted);
        let (intercepted, round) = self.goes_on(envelope, bound.as_ref(), intercepted);
        let (call, attempt) = (intercepted.call(), intercepted.attempt());
        let own = round.as_ref().and_then(|round| round.state.as_deref());
        let own = own.and_then(|own| Raw::parse(own, &ReadLimits::RESPONSE).ok());
        let carried = match (&round, intercepted.note(), intercepted.input_sha256()) {
            (Some(_), ..) => Carried::Ours { own },
            (None, Some(_), None) => Carried::Unasked,
            (None, ..) => Carried::Nothing,
        };
        let message = match self.narrowed_alone(envelope, claims, carried) {
            Ok(message) => message,
            Err(error) => return Some(internal(id, &error).into()),
        };
        let execute = CallRound {
            attempt,
            bound,
            call,
            id: id.clone(),
            message,
            parks: None,
            session: self.session.clone(),
            task: None,
            upstream: Some(self.upstream.clone()),
        };
        let answer = match origin {
            None => self.session.govern(intercepted, self.held(id, execute), &mut cancelled).await?,
            // Boxed, as are other rare ways: every request would carry the room for it.
            Some((arguments, context, tool)) => {
                let origin = Origin { arguments, attempt, call, context, tool };
                match Box::pin(self.govern_round_as_task(id, intercepted, origin, execute, cancelled)).await? {
                    Ok(answer) => answer,
                    Err(refusal) => return Some(refusal.into()),
                }
            }
        };
        answered(Era::Stateless, id, is_tool, call, answer)
    }

    /// What the states of a call are bound to; `None` for what has no rounds.
    fn bound(&self, envelope: &Envelope, context: &Context, tool: &Tool, arguments: &Bytes) -> Option<Bound> {
        let method = envelope.method()?;
        let has_rounds = matches!(method, "prompts/get" | "resources/read" | "tools/call");
        has_rounds
            .then(|| Bound::new(context.run, &self.session.upstream(), method, &tool.name, &sha256_hex(arguments)))
    }

    /// Whether all of these answers are of kinds that the mission lets the upstream ask for.
    fn may_volunteer(&self, input: Raw<'_>) -> bool {
        let (policy, upstream) = (self.session.policy(), self.session.upstream());
        let may = |answer: Raw<'_>| {
            let kinds = |(member, _): &&(&str, Feature)| answer.at(&[member]).is_some();
            let mut kinds = ANSWERS.iter().filter(kinds).peekable();
            kinds.peek().is_some() && kinds.all(|(_, feature)| policy.offers(&upstream, *feature))
        };
        input.object().is_some_and(|answers| answers.members().all(|answer| may(answer.value)))
    }

    /// The call that a request goes on with, where it brings the state of an earlier round. Answers without a state of ours are answers that nobody asked this call for: it
    /// is a first round, and they go on with it only if all are of kinds that the mission lets the upstream ask for. What the agent's client could answer to a
    /// question, it can say unasked; what it could not, the upstream must not believe.
    fn goes_on(
        &self,
        envelope: &Envelope,
        bound: Option<&Bound>,
        intercepted: Intercepted,
    ) -> (Intercepted, Option<Round>) {
        let (state, input) = (param(envelope, "requestState"), param(envelope, "inputResponses"));
        let Some(bound) = bound else { return (intercepted, None) };
        let Some(state) = state else {
            let intercepted = match input {
                Some(input) if self.may_volunteer(input) => {
                    intercepted.noted(Reason::InputUnasked).bringing(input.bytes())
                }
                Some(_) => intercepted.noted(Reason::InputUnasked),
                None => intercepted,
            };
            return (intercepted, None);
        };
        let taken = state.text().map(|state| self.session.rounds().take(bound, &state, Instant::now()));
        match taken {
            Some(Ok(round)) => {
                let intercepted = intercepted.again(round.call, round.attempt);
                let intercepted = match input {
                    Some(input) => intercepted.bringing(input.bytes()),
                    None => intercepted,
                };
                (intercepted, Some(round))
            }
            Some(Err(_)) | None => (intercepted.objected(Reason::StateRefused), None),
        }
    }
}

/// The member by which an answer shows which kind of question it answers.
const ANSWERS: [(&str, Feature); 3] =
    [("action", Feature::Elicitation), ("role", Feature::Sampling), ("roots", Feature::Roots)];

/// One round of a call, to be sent to its upstream.
pub(super) struct CallRound<S> {
    attempt: u32,
    bound: Option<Bound>,
    call: CallId,
    id: RawId,
    message: Bytes,
    /// Set where it may go on as a task of ours while people are asked.
    parks: Option<Box<Parks<S>>>,
    session: Arc<S>,
    /// Set where the upstream may make a task of it.
    task: Option<Box<Becoming>>,
    /// `None` once the call is a task, which needs no way of its own.
    upstream: Option<Arc<Upstream>>,
}

impl<S> CallRound<S> {
    /// A call that goes on after it has waited for people.
    pub(super) fn again(call: CallId, id: RawId, message: Bytes, session: Arc<S>, upstream: Arc<Upstream>) -> Self {
        let upstream = Some(upstream);
        Self { attempt: 1, bound: None, call, id, message, parks: None, session, task: None, upstream }
    }

    /// The same round, which may become a task.
    pub(super) fn becoming(self, task: Becoming) -> Self {
        Self { task: Some(Box::new(task)), ..self }
    }

    /// The same round, which may become a task of ours while people are asked.
    pub(super) fn parking(self, parks: Parks<S>) -> Self {
        Self { parks: Some(Box::new(parks)), ..self }
    }
}

impl<S: Session> Execute for CallRound<S> {
    async fn execute(&mut self, warrant: Warrant) -> Execution {
        let Some(upstream) = self.upstream.as_ref().filter(|_| warrant.call() == self.call) else {
            return Execution::Ended(Outcome::without_answer(Status::NotExecuted, Reason::EvaluationFailed));
        };
        // Whoever follows a task of a parked call needs what the message says of its client.
        let is_parked = self.parks.as_ref().is_some_and(|parks| parks.is_parked());
        let message = if is_parked { self.message.clone() } else { std::mem::take(&mut self.message) };
        let Some(message) = as_warranted(message, &warrant, upstream) else {
            return Execution::Ended(Outcome::without_answer(Status::NotExecuted, Reason::EvaluationFailed));
        };
        let answer = upstream.request(&self.id, message).await;
        if let (Some(task), Ok(response)) = (&mut self.task, &answer)
            && let Some((id, created)) = created(response)
        {
            if task.note(&id) {
                return Execution::Task(created);
            }
            self.misbehaved("made a task whose id is in use, empty or too long");
            return Execution::Ended(Outcome::without_answer(Status::Unknown, Reason::Malformed));
        }
        Execution::Ended(match answer {
            Ok(response) if is_input_required(&response) => self.asked(&response),
            Ok(response) if is_of_unknown_kind(&response) => {
                self.misbehaved("answered with a kind of result that was not agreed on");
                Outcome::without_answer(Status::Unknown, Reason::Malformed)
            }
            answer => outcome(answer),
        })
    }

    fn may_park(&self) -> bool {
        let is_first = self.attempt == 1 && !self.brings_input();
        is_first && self.upstream.is_some() && self.parks.as_ref().is_some_and(|parks| !parks.is_parked())
    }

    async fn wait(&mut self, approval: ApprovalId) -> Waiting {
        let (Some(parks), Some(upstream)) = (&self.parks, &self.upstream) else { return Waiting::Held };
        if parks.is_parked() {
            return Waiting::Parked;
        }
        // A round that brings answers is awaited by whoever gave them.
        let is_first = self.attempt == 1 && !self.brings_input();
        let Some((id, kept)) = kept(self.call, &self.message, upstream).filter(|_| is_first) else {
            return Waiting::Held;
        };
        let message = kept.message.clone();
        let waiting = parks.park(approval, kept).await;
        if waiting == Waiting::Parked {
            (self.id, self.message) = (id, message);
        }
        waiting
    }

    async fn follow(&mut self, reply: Reply) -> Outcome {
        let upstream = self.upstream.take();
        if let (Some(parks), Some(upstream)) = (self.parks.as_ref().filter(|parks| parks.is_parked()), &upstream)
            && let Some(task) = self.task.as_mut().and_then(|task| task.end.take())
        {
            return parks.follow(upstream, &self.message, task).await;
        }
        drop(upstream);
        match &mut self.task {
            Some(task) => task.follow(reply).await,
            None => Outcome::without_answer(Status::Unknown, Reason::EvaluationFailed),
        }
    }

    async fn cancel(&mut self) {
        if let Some(upstream) = &self.upstream {
            upstream.take_back(cancellation(&self.id)).await;
        }
    }
}

/// Why a call does not go on to its next round.
struct Stopped {
    reason: Reason,
    /// What the upstream did that it may not.
    upstream_did: Option<&'static str>,
}

impl<S: Session> CallRound<S> {
    /// The upstream needs input: the round ends, and the call does not.
    fn asked(&self, response: &Envelope) -> Outcome {
        let result = response.result();
        let (payload, reason) = match self.passed_on(response) {
            Ok(payload) => (Some(payload), Reason::InputRequired),
            Err(Stopped { reason, upstream_did }) => {
                if let Some(what) = upstream_did {
                    self.misbehaved(what);
                }
                (None, reason)
            }
        };
        let result = result.map(|result| response.share(result));
        Outcome {
            examined: None,
            external_reference: None,
            payload,
            reason: Some(reason),
            reported: None,
            result,
            status: Status::Pending,
        }
    }

    /// Whether the message has answers, or the state of an earlier round, in it.
    fn brings_input(&self) -> bool {
        let Ok(message) = Envelope::parse(self.message.clone(), &ReadLimits::REQUEST) else { return true };
        ["inputResponses", "requestState"].into_iter().any(|name| param(&message, name).is_some())
    }

    fn misbehaved(&self, what: &str) {
        self.session.misbehaved(Misbehaviour { what: what.to_owned(), who: self.session.upstream() });
    }

    /// The questions with a state of ours, where the mission lets the upstream ask them.
    fn passed_on(&self, response: &Envelope) -> Result<Bytes, Stopped> {
        let malformed = |what| Stopped { reason: Reason::Malformed, upstream_did: Some(what) };
        if self.parks.as_ref().is_some_and(|parks| parks.is_parked()) {
            let upstream_did = Some("asked for input of a client that may have left, and said so");
            return Err(Stopped { reason: Reason::InputNotAllowed, upstream_did });
        }
        let bound = self.bound.as_ref().ok_or(malformed("asked for input on a request that has no rounds"))?;
        let result = response.result().and_then(Raw::object).ok_or(malformed("asked for input without a result"))?;
        let [questions, state] = result.pick(["inputRequests", "requestState"]);
        if questions.is_none() && state.is_none() {
            return Err(malformed("asked for input and said neither which nor how to go on"));
        }
        if state.is_some_and(|state| state.text().is_none()) {
            return Err(malformed("gave a state that is no text"));
        }
        match questions.map(|questions| may_ask(&self.session.policy(), &self.session.upstream(), questions)) {
            Some(None) => return Err(malformed("asked for input in no form that the protocol has")),
            Some(Some(false)) => {
                return Err(Stopped {
                    reason: Reason::InputNotAllowed,
                    upstream_did: Some("asked for input that the mission does not let it ask for"),
                });
            }
            Some(Some(true)) | None => {}
        }
        let opened = self.session.rounds().open(bound, self.call, self.attempt, state, Instant::now());
        let sealed = opened.map_err(|error| match error {
            OpenError::Full => Stopped { reason: Reason::RoundsFull, upstream_did: None },
            OpenError::TooLarge => Stopped {
                reason: Reason::ResultTooLarge,
                upstream_did: Some("gave a state that is too large to be carried"),
            },
        })?;
        let sealed = format!("\"{sealed}\"");
        let sealed = Raw::parse(sealed.as_bytes(), &ReadLimits::RESPONSE)
            .map_err(|_| malformed("gave a state that cannot be wrapped"))?;
        let mut splice = Splice::new(response.bytes());
        let wrapped = splice.set_member(result, "requestState", sealed).map(|_| ());
        wrapped.and_then(|()| splice.finish()).map_err(|_| malformed("gave a state that cannot be wrapped"))
    }
}
