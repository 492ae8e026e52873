//! Calls that became tasks at the upstream (revision 2025-11-25, Tasks), and the table of tasks that [`super::tasks_alone`] shares.
//!
//! A call with `task` is governed like any other and stays open until its task ends: with the answer to `tasks/result`, with a status that says it was cancelled, or
//! with the session. A session may ask only about tasks that its own calls became. Start at [`AgentSession::govern_task`].

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use governance::call::Reply;
use governance::evidence::ids::CallId;
use governance::evidence::leaf::sha256_hex;
use governance::evidence::record::{Context, Status, Tool};
use governance::execute::Outcome;
use governance::intercept::Intercepted;
use governance::limits::RESULT_BYTES_MAX;
use governance::reason::Reason;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

use super::execute::{CallUpstream, outcome};
use super::intercept::{Call, trace};
use super::parked::Here;
use super::{AgentSession, Exchange, FAILED, answered, upstream_failed};
use crate::govern::{Answered, Session};
use crate::limits::{TASK_ARGUMENTS_KEPT_BYTES_MAX, TASK_ID_BYTES_MAX, TASKS_KEPT_MAX, TASKS_OPEN_MAX};
use crate::mcp::codec::{Envelope, Raw, RawId, author};
use crate::mcp::downstream::{Downstream, Message};
use crate::mcp::era::Era;
use crate::parked::ParkedId;

/// The tasks that calls of one session became.
#[derive(Debug, Default)]
pub(in crate::mcp) struct Tasks {
    /// Calls that wait for people as tasks of ours.
    pub(super) parked: Here,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    /// Calls that are or may become tasks; each ends in its record.
    calls: JoinSet<()>,
    /// Oldest first.
    order: VecDeque<Arc<str>>,
    tasks: HashMap<Arc<str>, Task>,
}

#[derive(Debug)]
struct Task {
    /// `None` once the call has ended.
    open: Option<Open>,
    /// What a further attempt at the call needs, where input goes to the task by itself.
    origin: Option<Origin>,
    progress_token: Option<RawId>,
    release: Released,
    seen: Seen,
    /// Held by whoever ends the call, until that is recorded.
    turn: Arc<tokio::sync::Mutex<()>>,
}

/// Whether the agent was told how a task ended.
#[derive(Debug)]
enum Released {
    /// Not yet, or it never will be.
    No,
    /// It was, with the result of this digest where there was one.
    Yes(Option<String>),
}

/// A call that became a task, as it was decided on.
#[derive(Clone, Debug)]
pub(super) struct Origin {
    pub(super) arguments: Bytes,
    /// The attempt that was made last.
    pub(super) attempt: u32,
    pub(super) call: CallId,
    pub(super) context: Arc<Context>,
    pub(super) tool: Tool,
}

/// The way to a call that waits for the end of its task.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) end: oneshot::Sender<Outcome>,
    /// What the call says at its end, once the agent has been told of the task.
    pub(super) told: Option<(CallId, mpsc::Receiver<Told>)>,
}

/// What the upstream said last of a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    /// It was taken back, and its server has accepted that.
    CancelAccepted,
    Completed,
    Failed,
    /// It works, or waits for input.
    Working,
}

/// What a call that may become a task says.
#[derive(Debug)]
pub(super) enum Told {
    /// It became this task.
    Created(Arc<str>, Reply),
    /// It ended; `None` where the client took it back.
    Ended(Option<Answered>),
    /// It goes on as this task of ours, or this identical one does.
    Parked(ParkedId),
}

/// What a call needs to become a task.
#[derive(Debug)]
pub(super) struct Becoming {
    pub(super) end: Option<(Arc<str>, oneshot::Receiver<Outcome>)>,
    pub(super) origin: Option<Origin>,
    pub(super) progress_token: Option<RawId>,
    pub(super) tasks: Arc<Tasks>,
    pub(super) told: mpsc::Sender<Told>,
}

impl Becoming {
    /// Takes note of the task that the upstream made of the call; false where its id cannot be one.
    pub(super) fn note(&mut self, id: &str) -> bool {
        self.end = self.tasks.register(id, self.progress_token.take(), self.origin.take());
        self.end.is_some()
    }

    /// Tells the agent of the task and waits for its end.
    pub(super) async fn follow(&mut self, reply: Reply) -> Outcome {
        let lost = || Outcome::without_answer(Status::Unknown, Reason::ConnectionLost);
        let Some((task, end)) = self.end.take() else { return lost() };
        let _left = self.told.send(Told::Created(task.clone(), reply)).await;
        let ended = end.await.unwrap_or_else(|_| lost());
        Outcome { external_reference: Some(task.to_string()), ..ended }
    }
}

impl Tasks {
    fn lock(&self) -> MutexGuard<'_, Table> {
        // A panic while the lock was held cannot leave it half changed: what changes together is changed without calls that can panic.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a call that may become a task; false where too many have not ended.
    pub(super) fn start(&self, call: impl Future<Output = ()> + Send + 'static) -> bool {
        let mut table = self.lock();
        while table.calls.try_join_next().is_some() {}
        let has_room = table.calls.len() < TASKS_OPEN_MAX;
        if has_room {
            table.calls.spawn(call);
        }
        has_room
    }

    /// A call became the task `id`; gives where its end will be told. `None` for an id that is empty, too long, in use or of our own form.
    fn register(
        &self,
        id: &str,
        progress_token: Option<RawId>,
        origin: Option<Origin>,
    ) -> Option<(Arc<str>, oneshot::Receiver<Outcome>)> {
        let mut table = self.lock();
        let is_ours = ParkedId::parse(id).is_some();
        if is_ours || !(1..=TASK_ID_BYTES_MAX).contains(&id.len()) || table.tasks.contains_key(id) {
            return None;
        }
        if table.tasks.len() >= TASKS_KEPT_MAX {
            table.forget_one();
        }
        let id: Arc<str> = Arc::from(id);
        let (end, ended) = oneshot::channel();
        let open = Some(Open { end, told: None });
        let task =
            Task { open, origin, progress_token, release: Released::No, seen: Seen::Working, turn: Arc::default() };
        table.tasks.insert(id.clone(), task);
        table.order.push_back(id.clone());
        Some((id, ended))
    }

    /// The agent is about to be told of the task.
    pub(super) fn attach(&self, id: &str, call: CallId, told: mpsc::Receiver<Told>) {
        if let Some(open) = self.lock().tasks.get_mut(id).and_then(|task| task.open.as_mut()) {
            open.told = Some((call, told));
        }
    }

    /// The call that became this task, for one attempt more; `None` where it cannot be made any more.
    pub(super) fn attempt_again(&self, id: &str) -> Option<Origin> {
        let mut table = self.lock();
        let origin = table.tasks.get_mut(id)?.origin.as_mut()?;
        origin.attempt = origin.attempt.checked_add(1)?;
        Some(origin.clone())
    }

    /// The server has accepted that this task is taken back.
    pub(super) fn cancel_accepted(&self, id: &str) {
        if let Some(task) = self.lock().tasks.get_mut(id)
            && task.seen == Seen::Working
        {
            task.seen = Seen::CancelAccepted;
        }
    }

    /// Whether a call of this session became this task.
    pub(super) fn knows(&self, id: &str) -> bool {
        self.lock().tasks.contains_key(id)
    }

    /// Whether this is the progress token of a task that has not ended.
    pub(super) fn is_in_progress(&self, token: &RawId) -> bool {
        self.lock().tasks.values().any(|task| task.open.is_some() && task.progress_token.as_ref() == Some(token))
    }

    /// Takes note of what the upstream says of a task. One that was cancelled has ended; one that is over otherwise ends with its result.
    pub(super) fn note(&self, said: Raw<'_>) {
        let [id, status] = said.object().map(|said| said.pick(["taskId", "status"])).unwrap_or_default();
        let (Some(id), Some(status)) = (id.and_then(Raw::text), status.and_then(Raw::text)) else { return };
        let mut table = self.lock();
        let Some(task) = table.tasks.get_mut(&*id) else { return };
        match &*status {
            "completed" => task.seen = Seen::Completed,
            "failed" => task.seen = Seen::Failed,
            "cancelled" => {
                if let Some(open) = task.open.take() {
                    let _gone = open.end.send(Outcome::without_answer(Status::Cancelled, Reason::TaskCancelled));
                    task.release = Released::Yes(None);
                }
            }
            _ => {}
        }
    }

    /// Ends every call that is still open by what is known of its task, and waits for their records.
    pub(in crate::mcp) async fn close(&self) {
        let mut calls = {
            let mut table = self.lock();
            for task in table.tasks.values_mut() {
                if let Some(open) = task.open.take() {
                    let _gone = open.end.send(task.seen.outcome());
                }
            }
            std::mem::take(&mut table.calls)
        };
        while calls.join_next().await.is_some() {}
    }

    /// Takes the end of an open call whose task gave `response` as its result.
    fn take_open(&self, id: &str, response: &Envelope) -> Option<Open> {
        let mut table = self.lock();
        let task = table.tasks.get_mut(id)?;
        // An error may be about the question and not about the call, as long as the task is not said to be over.
        if task.seen == Seen::Working && response.result().is_none() {
            return None;
        }
        task.end()
    }

    /// Takes the end of an open call whose task is over.
    pub(super) fn take_over(&self, id: &str) -> Option<Open> {
        self.lock().tasks.get_mut(id)?.end()
    }

    /// The turn to end the call of this task: whoever asks meanwhile waits until its end is recorded.
    pub(super) async fn turn(&self, id: &str) -> Option<tokio::sync::OwnedMutexGuard<()>> {
        let turn = self.lock().tasks.get(id)?.turn.clone();
        Some(turn.lock_owned().await)
    }

    /// The end of this task is recorded and the agent is told, with this result.
    pub(super) fn released(&self, id: &str, result: Option<Raw<'_>>) {
        if let Some(task) = self.lock().tasks.get_mut(id) {
            task.release = Released::Yes(result.map(|result| sha256_hex(result.bytes())));
        }
    }

    /// How a result of a task whose call has ended compares with the one that ended it.
    pub(super) fn repeated(&self, id: &str, result: Option<Raw<'_>>) -> Repeated {
        let table = self.lock();
        let Some(task) = table.tasks.get(id) else { return Repeated::Unrecorded };
        match (&task.release, result) {
            (_, Some(result)) if result.bytes().len() > RESULT_BYTES_MAX => Repeated::TooLarge,
            (Released::Yes(Some(released)), Some(result)) if *released != sha256_hex(result.bytes()) => {
                Repeated::Different
            }
            (Released::Yes(_), Some(_) | None) | (Released::No, None) => Repeated::AsBefore,
            (Released::No, Some(_)) => Repeated::Unrecorded,
        }
    }
}

/// What a result says that came after the first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Repeated {
    AsBefore,
    Different,
    /// It stays here, as the first one did.
    TooLarge,
    /// It stays here: the end of the call could not be recorded.
    Unrecorded,
}

impl Table {
    /// Makes room: the oldest task whose call has ended is forgotten. There is one, because fewer calls may be open than tasks are kept.
    fn forget_one(&mut self) {
        let is_over = |id: &Arc<str>| self.tasks.get(id).is_none_or(|task| task.open.is_none());
        if let Some(id) = self.order.iter().position(is_over).and_then(|at| self.order.remove(at)) {
            self.tasks.remove(&id);
        }
    }
}

impl Task {
    /// Takes the way to the call, which ends.
    fn end(&mut self) -> Option<Open> {
        let open = self.open.take_if(|open| open.told.is_some())?;
        // What is kept of calls that have ended is small.
        self.origin.take_if(|origin| origin.arguments.len() > TASK_ARGUMENTS_KEPT_BYTES_MAX);
        if let Some(origin) = &mut self.origin {
            origin.arguments = Bytes::copy_from_slice(&origin.arguments);
        }
        Some(open)
    }
}

impl Seen {
    /// What became of a call whose task's result nobody asked for.
    fn outcome(self) -> Outcome {
        match self {
            Self::Completed => {
                Outcome { reason: None, ..Outcome::without_answer(Status::Done, Reason::ConnectionLost) }
            }
            Self::CancelAccepted => Outcome::without_answer(Status::Cancelled, Reason::CancelledByClient),
            Self::Failed => Outcome::without_answer(Status::ToolError, Reason::UpstreamError),
            Self::Working => Outcome::without_answer(Status::Unknown, Reason::ConnectionLost),
        }
    }
}

impl<S: Session, D: Downstream> AgentSession<S, D> {
    /// Takes a call with `task` through decision, evidence and execution, and gives the first answer; the call itself goes on until its task ends.
    pub(super) async fn govern_task(
        &self,
        id: &RawId,
        envelope: &Envelope,
        call: Call,
        mut cancelled: oneshot::Receiver<()>,
    ) -> Option<Message> {
        let Call { arguments, tool } = call;
        let call = self.session.call_id();
        let intercepted = Intercepted::new(call, self.session.context(), tool, arguments, trace(envelope));
        let (told, mut answers) = mpsc::channel(2);
        let token = envelope.params().and_then(|params| params.at(&["_meta", "progressToken"])).and_then(RawId::read);
        let becoming =
            Becoming { end: None, origin: None, progress_token: token, tasks: self.tasks.clone(), told: told.clone() };
        let execute = CallUpstream::new(self.upstream.clone(), id.clone(), envelope.bytes().clone(), call);
        let execute = self.held(id, execute.becoming(becoming));
        let session = self.session.clone();
        let has_started = self.tasks.start(async move {
            let reply = session.govern(intercepted, execute, &mut cancelled).await;
            let _left = told.send(Told::Ended(reply)).await;
        });
        if !has_started {
            let text =
                format!("{TASKS_OPEN_MAX} tasks of this session have not ended; ask for results before starting more");
            return Some(author::error_reply(Some(id), author::INVALID_REQUEST, &text, None).into());
        }
        let answer = match answers.recv().await? {
            Told::Created(task, reply) => {
                self.tasks.attach(&task, call, answers);
                Answered { receipt: None, reply: self.created_aside(id, reply).await }
            }
            Told::Ended(answer) => answer?,
            // Only calls of the stateless era are parked.
            Told::Parked(_) => return None,
        };
        answered(Era::Handshake, id, true, call, answer)
    }

    /// Asks for the result of a task of this session. The first one that comes ends the task's call, whose release decides on it.
    pub(super) async fn task_result(
        &self,
        id: &RawId,
        envelope: &Envelope,
        task: &str,
        cancelled: oneshot::Receiver<()>,
    ) -> Option<Message> {
        // The answer comes when the task ends.
        let response = match self.exchange_at_leisure(id, envelope.bytes().clone(), cancelled).await {
            Exchange::Answered(response) => response,
            Exchange::Cancelled => return None,
            Exchange::Failed(fault) => return Some(upstream_failed(id, &fault).into()),
        };
        let _turn = self.tasks.turn(task).await;
        if let Some(Open { end, told: Some((call, mut told)) }) = self.tasks.take_open(task, &response) {
            let _gone = end.send(outcome(Ok(response.clone())));
            return match told.recv().await {
                Some(Told::Ended(Some(answer))) => {
                    if let Reply::Passed(_) = &answer.reply {
                        self.tasks.released(task, response.result());
                    }
                    answered(Era::Handshake, id, true, call, answer)
                }
                Some(Told::Created(..) | Told::Ended(None) | Told::Parked(_)) | None => {
                    let text = "the session ends, and the task's result cannot be recorded any more";
                    Some(author::error_reply(Some(id), FAILED, text, None).into())
                }
            };
        }
        let failed = |text| Some(author::error_reply(Some(id), FAILED, text, None).into());
        match self.tasks.repeated(task, response.result()) {
            // What was told first may have been changed, so this is looked into again.
            Repeated::AsBefore => Some(self.aside(id, envelope, &response).await.into()),
            Repeated::Different => {
                self.upstream_misbehaved("gave another result of a task than before");
                failed("the upstream gave another result of this task before")
            }
            Repeated::TooLarge => failed("the result is larger than the gateway passes on"),
            Repeated::Unrecorded => failed("the end of this task could not be recorded"),
        }
    }

    /// Asks about a task of this session, or takes it back, and takes note of what the upstream says.
    pub(super) async fn task_status(
        &self,
        id: &RawId,
        envelope: &Envelope,
        cancelled: oneshot::Receiver<()>,
    ) -> Option<Bytes> {
        match self.exchange(id, envelope.bytes().clone(), cancelled).await {
            Exchange::Answered(response) => {
                if let Some(result) = response.result() {
                    self.tasks.note(result);
                }
                Some(self.aside(id, envelope, &response).await)
            }
            Exchange::Cancelled => None,
            Exchange::Failed(fault) => Some(upstream_failed(id, &fault)),
        }
    }

    /// Ends what the session still has open once its upstream is closed, so that everything is recorded.
    pub async fn end(&self) {
        self.tasks.close().await;
    }
}

#[cfg(test)]
mod tests {
    use governance::evidence::time::Timestamp;

    use super::*;
    use crate::limits::ReadLimits;

    #[test]
    fn a_result_is_told_again_only_if_it_was_recorded_and_is_the_same() {
        let raw = |text: &'static str| Raw::parse(text.as_bytes(), &ReadLimits::RESPONSE).unwrap();
        let tasks = Tasks::default();
        assert!(tasks.register("", None, None).is_none());
        let (_, _end) = tasks.register("t", None, None).unwrap();
        assert!(tasks.register("t", None, None).is_none(), "an id is used once");
        assert!(tasks.take_over("t").is_none(), "nobody was told of it yet");
        let (_sender, told) = mpsc::channel(1);
        tasks.attach("t", CallId::at(Timestamp::EPOCH, [1; 10]), told);
        assert!(tasks.take_over("t").is_some());
        assert!(tasks.take_over("t").is_none(), "it ends once");
        assert_eq!(tasks.repeated("t", Some(raw("{}"))), Repeated::Unrecorded);
        tasks.released("t", Some(raw("{}")));
        assert_eq!(tasks.repeated("t", Some(raw("{}"))), Repeated::AsBefore);
        assert_eq!(tasks.repeated("t", Some(raw("{ }"))), Repeated::Different);
        assert_eq!(tasks.repeated("u", Some(raw("{}"))), Repeated::Unrecorded);
        let large = format!("\"{}\"", "x".repeat(RESULT_BYTES_MAX));
        let limits = ReadLimits { bytes_max: large.len(), ..ReadLimits::RESPONSE };
        let large = Raw::parse(large.as_bytes(), &limits).unwrap();
        assert_eq!(tasks.repeated("t", Some(large)), Repeated::TooLarge);
    }
}
