//! Tasks of the stateless era (extension `io.modelcontextprotocol/tasks`, SEP-2663): any call of a client that declares the extension may become one.
//!
//! The call stays open until its task ends, which the answer to `tasks/get` or a notification says, with the result in it. Input goes to a task with `tasks/update`: a
//! further attempt at its call, decided and recorded anew. Only the run whose call became a task may ask about it. Start at [`AgentSession::govern_round_as_task`].

use std::sync::Arc;

use bytes::Bytes;
use governance::call::{Reply, Warrant};
use governance::decide::PolicySnapshot;
use governance::evidence::ids::CallId;
use governance::evidence::record::Status;
use governance::execute::{Created, Execution, Outcome};
use governance::intercept::Intercepted;
use governance::reason::Reason;
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use super::execute::{cancellation, outcome};
use super::intercept::{param, trace};
use super::round::{CallRound, Carried};
use super::stateless::{INPUTS, TASKS, internal, is_kind, is_of_unknown_kind};
use super::tasks::{Becoming, Open, Origin, Repeated, Told};
use super::{AgentSession, FAILED, answered, refused_in};
use crate::govern::{Answered, Execute, Session};
use crate::limits::TASKS_OPEN_MAX;
use crate::mcp::claims::Claims;
use crate::mcp::codec::{Envelope, Raw, RawId, author};
use crate::mcp::downstream::{Downstream, Message};
use crate::mcp::era::Era;
use crate::mcp::upstream::Upstream;

/// The request needs a capability that its client did not declare.
const MISSING_CAPABILITY: i64 = -32021;

/// Whether a request says that its answer may be a task.
pub(super) fn declares_tasks(claims: &Claims<'_>) -> bool {
    claims.capabilities.member("extensions").and_then(Raw::object).is_some_and(|all| all.member(TASKS).is_some())
}

/// The answer to a request about a task from a client that does not declare the extension.
pub(super) fn undeclared(id: &RawId) -> Bytes {
    let data = json!({ "requiredCapabilities": { "extensions": { TASKS: {} } } });
    let text = format!("requests about tasks need the client capability `{TASKS}`");
    author::error_reply(Some(id), MISSING_CAPABILITY, &text, Some(&data))
}

/// Reads an answer that says that the upstream made a task of the call (CreateTaskResult).
pub(super) fn created(answer: &Envelope) -> Option<(String, Created)> {
    let result = answer.result().filter(|_| is_kind(answer, "task"))?;
    let id = result.at(&["taskId"])?.text()?.into_owned();
    Some((id, Created { payload: answer.bytes().clone(), result: answer.share(result) }))
}

/// Whether the mission lets `upstream` ask all of these questions; `None` where they have no form that the protocol has.
pub(super) fn may_ask(policy: &PolicySnapshot, upstream: &str, questions: Raw<'_>) -> Option<bool> {
    let may = |question: Raw<'_>| {
        let method = question.at(&["method"]).and_then(Raw::text).unwrap_or_default();
        INPUTS.iter().any(|(name, feature)| *name == method && policy.offers(upstream, *feature))
    };
    Some(questions.object()?.members().all(|question| may(question.value)))
}

/// How a message says that a task is over: the outcome of its call, and the result where there is one.
pub(super) fn over<'a>(message: &'a Envelope, said: Raw<'a>) -> Option<(Outcome, Option<Raw<'a>>)> {
    let [status, result, error] = said.object()?.pick(["status", "result", "error"]);
    let (part, status, reason) = match &*status?.text()? {
        "cancelled" => (None, Status::Cancelled, Some(Reason::TaskCancelled)),
        "completed" => {
            let is_error = result.and_then(|result| result.at(&["isError"])).and_then(Raw::boolean) == Some(true);
            (result, if is_error { Status::ToolError } else { Status::Done }, None)
        }
        "failed" => (error, Status::ToolError, Some(Reason::UpstreamError)),
        _ => return None,
    };
    let payload = Some(message.bytes().clone());
    let result = part.map(|part| message.share(part));
    Some((Outcome { examined: None, external_reference: None, payload, reason, reported: None, result, status }, part))
}

/// Why the agent is not told what the upstream says of a task.
enum Untold {
    /// The session ends, and nothing can be recorded any more.
    Closing,
    /// It asks for input that the mission does not let it ask for.
    Input,
    /// It is about another task, or contradicts what was said before.
    Malformed(&'static str),
    /// The release decision of its call.
    Refused(CallId, Reply),
    /// The result was withheld before.
    TooLarge,
    /// The end of its call could not be recorded.
    Unrecorded,
}

impl Untold {
    fn reply(&self, id: &RawId) -> Option<Bytes> {
        let (reason, text) = match self {
            Self::Refused(call, reply) => return refused_in(Era::Stateless, id, false, &call.to_string(), reply),
            Self::Closing => (Reason::GatewayStopping, "the session ends, and the task's result cannot be recorded"),
            Self::Input => {
                (Reason::InputNotAllowed, "the task asks for input that the mission does not let it ask for")
            }
            Self::TooLarge => (Reason::ResultTooLarge, "the result is larger than the gateway passes on"),
            Self::Unrecorded => (Reason::LedgerUnavailable, "the end of this task could not be recorded"),
            Self::Malformed(what) => (Reason::Malformed, *what),
        };
        let data = json!({ "outcome": "failed", "reason": reason.code() });
        Some(author::error_reply(Some(id), FAILED, &format!("failed ({reason}): {text}"), Some(&data)))
    }
}

impl<S: Session, D: Downstream> AgentSession<S, D> {
    /// Takes one round of a call that may become a task through decision, evidence and execution, and gives the first answer; the call itself goes on until its task
    /// ends. `Err` holds what the client is told where the answer is ours: that the call goes on as a task of ours while people are asked, or may not begin.
    pub(super) async fn govern_round_as_task(
        &self,
        id: &RawId,
        intercepted: Intercepted,
        origin: Origin,
        execute: CallRound<S>,
        mut cancelled: oneshot::Receiver<()>,
    ) -> Option<Result<Answered, Bytes>> {
        let call = origin.call;
        let (told, mut answers) = mpsc::channel(2);
        let tasks = self.tasks.clone();
        let becoming = Becoming { end: None, origin: Some(origin), progress_token: None, tasks, told: told.clone() };
        let (parks, taken_back) = self.parks(call, told);
        let take_back = parks.take_back.clone();
        if !self.start_parking(id, intercepted, execute.becoming(becoming), parks, taken_back) {
            let text = format!("{TASKS_OPEN_MAX} calls and tasks of this run have not ended; wait for some to end");
            return Some(Err(author::error_reply(Some(id), author::INVALID_REQUEST, &text, None)));
        }
        let told = tokio::select! {
            told = answers.recv() => told,
            Ok(()) = &mut cancelled => {
                take_back.fire();
                answers.recv().await
            }
        };
        match told? {
            Told::Created(task, reply) => {
                self.tasks.attach(&task, call, answers);
                Some(Ok(Answered { receipt: None, reply: self.created_aside(id, reply).await }))
            }
            Told::Ended(answer) => answer.map(Ok),
            Told::Parked(parked) => self.parked_created(id, parked).await.map(Err),
        }
    }

    /// Asks how a task of this run stands. The first answer that says that it is over ends its call, whose release decides on it.
    pub(super) async fn task_state(
        &self,
        id: &RawId,
        envelope: &Envelope,
        claims: &Claims<'_>,
        task: &str,
        cancelled: oneshot::Receiver<()>,
    ) -> Option<Message> {
        let response = match self.ask(id, envelope, claims, cancelled).await? {
            Ok(response) => response,
            Err(refusal) => return Some(refusal.into()),
        };
        // An error is about the question.
        let Some(said) = response.result() else { return Some(self.aside(id, envelope, &response).await.into()) };
        match self.told_of_task(task, &response, said).await {
            // Of what is over, the result has passed its release; what stands around it has not.
            Ok(message) => Some(Message { bytes: self.changed_aside(id, envelope, message.bytes).await, ..message }),
            Err(untold) => untold.reply(id).map(Message::from),
        }
    }

    /// What the agent's client hears of a notification about a task; `None` where it hears nothing.
    pub(super) async fn task_notice(&self, envelope: &Envelope) -> Option<Message> {
        let said = envelope.params()?;
        let task = said.at(&["taskId"])?.text()?;
        if !self.tasks.knows(&task) {
            return None;
        }
        self.told_of_task(&task, envelope, said).await.ok()
    }

    /// Takes note of what the upstream says of a task, and gives what the agent is told.
    async fn told_of_task(&self, task: &str, message: &Envelope, said: Raw<'_>) -> Result<Message, Untold> {
        let malformed = |what| {
            self.upstream_misbehaved(what);
            Untold::Malformed(what)
        };
        let [about, questions] = said.object().map(|said| said.pick(["taskId", "inputRequests"])).unwrap_or_default();
        if !about.is_some_and(|about| about.is_text(task)) {
            return Err(malformed("spoke of another task than it was asked about"));
        }
        match questions.map(|questions| may_ask(&self.session.policy(), &self.session.upstream(), questions)) {
            Some(None) => return Err(malformed("asked for input in no form that the protocol has")),
            Some(Some(false)) => {
                self.upstream_misbehaved("asked for input that the mission does not let it ask for");
                return Err(Untold::Input);
            }
            Some(Some(true)) | None => {}
        }
        let Some((end, result)) = over(message, said) else { return Ok(message.bytes().clone().into()) };
        let _turn = self.tasks.turn(task).await;
        if let Some(Open { end: ended, told: Some((call, mut told)) }) = self.tasks.take_over(task) {
            let _gone = ended.send(end);
            return match told.recv().await {
                Some(Told::Ended(Some(Answered { receipt, reply: Reply::Passed(bytes) }))) => {
                    self.tasks.released(task, result);
                    Ok(Message { bytes, receipt })
                }
                Some(Told::Ended(Some(Answered { reply, .. }))) => Err(Untold::Refused(call, reply)),
                Some(Told::Created(..) | Told::Ended(None) | Told::Parked(_)) | None => Err(Untold::Closing),
            };
        }
        match self.tasks.repeated(task, result) {
            Repeated::AsBefore => Ok(message.bytes().clone().into()),
            Repeated::Different => Err(malformed("gave another result of a task than before")),
            Repeated::TooLarge => Err(Untold::TooLarge),
            Repeated::Unrecorded => Err(Untold::Unrecorded),
        }
    }

    /// Takes a task of this run back, where its server can. Whether it was cancelled, its state says.
    pub(super) async fn task_cancel(
        &self,
        id: &RawId,
        envelope: &Envelope,
        claims: &Claims<'_>,
        task: &str,
        cancelled: oneshot::Receiver<()>,
    ) -> Option<Bytes> {
        let answer = self.ask(id, envelope, claims, cancelled).await?;
        Some(match answer {
            Ok(response) => {
                if response.result().is_some() {
                    self.tasks.cancel_accepted(task);
                }
                self.aside(id, envelope, &response).await
            }
            Err(refusal) => refusal,
        })
    }

    /// Brings input to a task: a further attempt at its call, decided and recorded anew.
    pub(super) async fn task_update(
        &self,
        id: &RawId,
        envelope: &Envelope,
        claims: &Claims<'_>,
        (task, origin): (String, Origin),
        mut cancelled: oneshot::Receiver<()>,
    ) -> Option<Message> {
        let Origin { arguments, attempt, call, context, tool } = origin;
        let message = match self.narrowed_alone(envelope, claims, Carried::Nothing) {
            Ok(message) => message,
            Err(error) => return Some(internal(id, &error).into()),
        };
        let intercepted = Intercepted::new(call, context, tool, arguments, trace(envelope)).again(call, attempt);
        let input = param(envelope, "inputResponses").map(Raw::bytes).unwrap_or_default();
        let execute = UpdateTask { call, id: id.clone(), message, task, upstream: self.upstream.clone() };
        let answer = self.session.govern(intercepted.bringing(input), execute, &mut cancelled).await?;
        answered(Era::Stateless, id, false, call, answer)
    }
}

/// Input for a task, to be sent to its upstream.
struct UpdateTask {
    call: CallId,
    id: RawId,
    message: Bytes,
    task: String,
    upstream: Arc<Upstream>,
}

impl Execute for UpdateTask {
    async fn execute(&mut self, warrant: Warrant) -> Execution {
        if warrant.call() != self.call {
            return Execution::Ended(Outcome::without_answer(Status::NotExecuted, Reason::EvaluationFailed));
        }
        let answer = self.upstream.request(&self.id, std::mem::take(&mut self.message)).await;
        let taken = answer.as_ref().is_ok_and(|response| response.result().is_some());
        let odd =
            answer.as_ref().is_ok_and(|response| is_kind(response, "input_required") || is_of_unknown_kind(response));
        let ended = match (odd, taken) {
            (true, _) => Outcome::without_answer(Status::Unknown, Reason::Malformed),
            // The input has arrived; what the task makes of it, its end will say.
            (false, true) => Outcome { reason: Some(Reason::InputGiven), status: Status::Pending, ..outcome(answer) },
            (false, false) => outcome(answer),
        };
        Execution::Ended(Outcome { external_reference: Some(std::mem::take(&mut self.task)), ..ended })
    }

    async fn cancel(&mut self) {
        self.upstream.take_back(cancellation(&self.id)).await;
    }
}
