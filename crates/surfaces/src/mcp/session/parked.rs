//! Calls that wait for people as tasks of the gateway (extension `io.modelcontextprotocol/tasks`, SEP-2663).
//!
//! A call of a client that declares the extension is not held while people are asked: its answer is a task, and the call goes on without its client, to be sent once it is
//! approved. `tasks/get` and notifications tell how it stands; nothing that a client says counts as an answer of a person. Start at [`Parks`], which is what a call needs
//! for that, and at [`AgentSession::about_parked`].

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use governance::evidence::ids::{ApprovalId, CallId};
use governance::evidence::record::{Context, Endpoint, Status};
use governance::evidence::time::Timestamp;
use governance::execute::Outcome;
use governance::intercept::Intercepted;
use governance::reason::Reason;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::{Map, Value, json};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;
use tokio::time::sleep;

use super::execute::{CallUpstream, outcome};
use super::handshake::OFFERS;
use super::intercept::{param, text_param, trace};
use super::round::CallRound;
use super::tasks::{Becoming, Tasks, Told};
use super::tasks_alone::{declares_tasks, over, undeclared};
use super::{AgentSession, answered};
use crate::govern::{Answered, Receipt, Session, Waiting};
use crate::limits::{
    FOLLOW_FAILURES_MAX, FOLLOW_MS, FOLLOW_MS_MAX, FOLLOW_MS_MIN, PARKED_POLL_MS, PARKED_TTL_MS, ReadLimits,
};
use crate::mcp::claims::{self, Claims};
use crate::mcp::codec::{Envelope, Raw, RawId, Splice, SpliceError, author};
use crate::mcp::downstream::{Address, Downstream, Message};
use crate::mcp::era::Era;
use crate::mcp::mirror;
use crate::mcp::upstream::{SUBSCRIPTION, Upstream};
use crate::parked::{End, Kept, Parked, ParkedId, Stands, TAKEN_BACK, TakeBack, Task};

/// What a client asks about a task of ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum About {
    /// Takes it back.
    Cancel,
    /// Asks how it stands.
    Get,
    /// Brings input.
    Update,
}

impl About {
    pub(super) fn of(method: &str) -> Self {
        match method {
            "tasks/cancel" => Self::Cancel,
            "tasks/update" => Self::Update,
            _ => Self::Get,
        }
    }
}

/// The parked calls that are worked on here.
#[derive(Debug, Default)]
pub(super) struct Here {
    calls: Mutex<HashMap<ParkedId, TakeBack>>,
    changed: watch::Sender<Change>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Change {
    count: usize,
    is_closing: bool,
}

impl Here {
    fn lock(&self) -> MutexGuard<'_, HashMap<ParkedId, TakeBack>> {
        // A panic while the lock was held cannot leave it half changed: every change is one map operation.
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One more; false where nothing more is worked on here.
    fn add(&self, parked: ParkedId, take_back: TakeBack) -> bool {
        let mut calls = self.lock();
        let is_closing = self.changed.borrow().is_closing;
        if !is_closing {
            calls.insert(parked, take_back);
            self.changed.send_modify(|change| change.count = calls.len());
        }
        !is_closing
    }

    fn remove(&self, parked: ParkedId) {
        let mut calls = self.lock();
        calls.remove(&parked);
        self.changed.send_modify(|change| change.count = calls.len());
    }

    /// No more from now on; gives those that there are.
    fn close(&self) -> Vec<(ParkedId, TakeBack)> {
        let calls = self.lock();
        self.changed.send_modify(|change| change.is_closing = true);
        calls.iter().map(|(parked, take_back)| (*parked, take_back.clone())).collect()
    }

    async fn until(&self, is_so: impl FnMut(&Change) -> bool) {
        // The sender lives as long as `self`.
        let _ = self.changed.subscribe().wait_for(is_so).await;
    }
}

impl Tasks {
    /// Whether a call waits here that is not to be left.
    pub(in crate::mcp) fn has_parked(&self) -> bool {
        self.parked.changed.borrow().count > 0
    }

    /// Resolves when no call waits here for people, or is executed that did.
    pub(in crate::mcp) async fn unparked(&self) {
        self.parked.until(|change| change.count == 0).await;
    }

    /// Leaves the calls that wait here: they can be taken up elsewhere. What has begun goes on.
    pub(in crate::mcp) fn leave_parked<S: Session>(&self, session: &S) {
        for (parked, take_back) in self.parked.close() {
            session.leave(parked, &take_back);
        }
    }

    /// Resolves when what is asked here must end.
    async fn closing(&self) {
        self.parked.until(|change| change.is_closing).await;
    }
}

/// What a call needs to go on as a task while people are asked.
pub(super) struct Parks<S> {
    call: CallId,
    /// Under which name it is parked, once it is.
    name: Arc<OnceLock<ParkedId>>,
    session: Arc<S>,
    pub(super) take_back: TakeBack,
    tasks: Arc<Tasks>,
    told: mpsc::Sender<Told>,
}

impl<S: Session> Parks<S> {
    pub(super) fn is_parked(&self) -> bool {
        self.name.get().is_some()
    }

    /// Parks the call, or finds that an identical one is; the client is told of the task.
    pub(super) async fn park(&self, approval: ApprovalId, kept: Kept) -> Waiting {
        let parked = ParkedId { approval, call: self.call };
        match self.session.park(parked, kept, &self.take_back).await {
            Parked::Here => {
                // Set once: whoever is parked does not come here again.
                let _first = self.name.set(parked);
                if !self.tasks.parked.add(parked, self.take_back.clone()) {
                    self.session.leave(parked, &self.take_back);
                }
                let _left = self.told.send(Told::Parked(parked)).await;
                Waiting::Parked
            }
            Parked::Joined(other) => {
                let _left = self.told.send(Told::Parked(other)).await;
                Waiting::Joined
            }
            Parked::Not => Waiting::Held,
        }
    }

    /// Waits for the end of a task that the upstream made of the call, by asking for it: nobody else would.
    pub(super) async fn follow(
        &self,
        upstream: &Arc<Upstream>,
        message: &Bytes,
        (task, mut end): (Arc<str>, oneshot::Receiver<Outcome>),
    ) -> Outcome {
        let lost = || Outcome::without_answer(Status::Unknown, Reason::ConnectionLost);
        let ended = tokio::select! {
            biased;
            // Whoever ends the session says what is known of its tasks.
            ended = &mut end => ended.unwrap_or_else(|_| lost()),
            ended = self.poll(upstream, message, &task) => ended,
        };
        Outcome { external_reference: Some(task.to_string()), ..ended }
    }

    async fn poll(&self, upstream: &Arc<Upstream>, message: &Bytes, task: &str) -> Outcome {
        let (mut failures, mut is_cancelled, mut pause_ms) = (0, false, FOLLOW_MS);
        for number in 0_u64.. {
            sleep(Duration::from_millis(pause_ms)).await;
            let is_taken_back = self.take_back.is_fired() && !is_cancelled;
            is_cancelled |= is_taken_back;
            let method = if is_taken_back { "tasks/cancel" } else { "tasks/get" };
            let Some(question) = self.question(message, method, task, number) else { break };
            let Some(id) = question.id().cloned() else { break };
            let lane = upstream.beside(headers(&question, &[]));
            let response = match lane.request(&id, question.bytes().clone()).await {
                Ok(response) => response,
                Err(_) if failures < FOLLOW_FAILURES_MAX => {
                    failures += 1;
                    continue;
                }
                Err(fault) => return outcome(Err(fault)),
            };
            if is_taken_back {
                continue;
            }
            let Some(said) = response.result() else {
                failures += 1;
                if failures > FOLLOW_FAILURES_MAX {
                    break;
                }
                continue;
            };
            if said.at(&["inputRequests"]).is_some() {
                // Nobody is there who was asked for it.
                return Outcome::without_answer(Status::Pending, Reason::InputNotAllowed);
            }
            if let Some((ended, result)) = over(&response, said) {
                return as_answer(ended, &id, result);
            }
            failures = 0;
            let wanted = said.at(&["pollIntervalMs"]).and_then(Raw::integer).and_then(|ms| u64::try_from(ms).ok());
            pause_ms = wanted.unwrap_or(FOLLOW_MS).clamp(FOLLOW_MS_MIN, FOLLOW_MS_MAX);
        }
        Outcome::without_answer(Status::Unknown, Reason::ConnectionLost)
    }

    /// A question about the upstream's task, with what the call says of its client.
    fn question(&self, message: &Bytes, method: &str, task: &str, number: u64) -> Option<Envelope> {
        let call = Envelope::parse(message.clone(), &ReadLimits::REQUEST).ok()?;
        let meta = call.params()?.at(&["_meta"])?;
        let meta: Value = serde_json::from_slice(meta.bytes()).ok()?;
        let params = Map::from_iter([("taskId".to_owned(), task.into()), ("_meta".to_owned(), meta)]);
        let id = own_id(&format!("{}/{number}", self.call))?;
        Envelope::parse(author::request(&id, method, Some(&params)), &ReadLimits::REQUEST).ok()
    }
}

/// The end of an upstream's task, as the answer to its call would be.
fn as_answer(ended: Outcome, id: &RawId, result: Option<Raw<'_>>) -> Outcome {
    let payload = match (ended.reason, result) {
        (Some(Reason::UpstreamError), Some(error)) => {
            let error = String::from_utf8_lossy(error.bytes());
            Some(Bytes::from(format!(r#"{{"jsonrpc":"2.0","id":{},"error":{error}}}"#, id.json())))
        }
        (_, Some(result)) => Some(author::forwarded_reply(id, result)),
        (_, None) => None,
    };
    Outcome { payload, ..ended }
}

/// An id of ours, which no client has.
fn own_id(name: &str) -> Option<RawId> {
    let text = format!("\"countersign/{name}\"");
    RawId::read(Raw::parse(text.as_bytes(), &ReadLimits::REQUEST).ok()?)
}

/// The headers that repeat a message of ours, with those that only the server knows.
fn headers(message: &Envelope, carried: &[(String, String)]) -> HeaderMap {
    let mut headers = match claims::demand(message) {
        Ok(claims) => mirror::headers(message, claims.revision),
        Err(_) => HeaderMap::new(),
    };
    for (name, value) in carried {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name.as_str()), HeaderValue::try_from(value.as_str())) {
            headers.append(name, value);
        }
    }
    headers
}

/// A call as it will be sent when people have approved it: under an id of ours, without a wish to hear of progress, and by a client that cannot be asked anything, as it may
/// not be there.
pub(super) fn kept(call: CallId, message: &Bytes, upstream: &Upstream) -> Option<(RawId, Kept)> {
    let id = own_id(&call.to_string())?;
    let envelope = Envelope::parse(message.clone(), &ReadLimits::REQUEST).ok()?;
    let message = alone(&envelope, &id).ok()?;
    Some((id, Kept { headers: upstream.carried(), message }))
}

fn alone(envelope: &Envelope, id: &RawId) -> Result<Bytes, SpliceError> {
    let own = id.json();
    let mut splice = Splice::new(envelope.bytes());
    if let (Some(id), Ok(own)) = (envelope.raw().at(&["id"]), Raw::parse(own.as_bytes(), &ReadLimits::REQUEST)) {
        splice.replace(id, own)?;
    }
    if let Some(meta) = envelope.params().and_then(|params| params.at(&["_meta"])).and_then(Raw::object)
        && meta.member("progressToken").is_some()
    {
        splice.remove_member(meta, "progressToken")?;
    }
    if let Ok(claims) = claims::demand(envelope) {
        splice.retain_members(claims.capabilities, |name, _| OFFERS.iter().all(|(offer, _)| name != *offer))?;
    }
    splice.finish()
}

/// A task as its client reads it: the members of its object, and what is to be acknowledged once it was told how it ended; `None` where that is not kept any more.
fn described(parked: ParkedId, task: Task) -> Option<(String, Option<Receipt>)> {
    let Task { asked_at, changed_at, said, stands, until } = task;
    let is_over = matches!(stands, Stands::Ended { .. } | Stands::TakenBack);
    let poll_ms = if let Stands::Runs = stands { PARKED_POLL_MS / 5 } else { PARKED_POLL_MS };
    let (status, last, receipt) = match stands {
        Stands::Forgotten => return None,
        Stands::Resting | Stands::Runs | Stands::Waits => ("working", None, None),
        Stands::TakenBack => ("cancelled", None, None),
        Stands::Ended { end, receipt } => {
            let (status, last) = ended(parked.call, end)?;
            (status, Some(last), receipt)
        }
    };
    let mut members = json!({
        "taskId": parked.to_string(), "status": status, "statusMessage": said, "createdAt": asked_at,
        "lastUpdatedAt": changed_at, "ttlMs": ttl_ms(asked_at, until),
    });
    if let (Value::Object(members), false) = (&mut members, is_over) {
        members.insert("pollIntervalMs".to_owned(), poll_ms.into());
    }
    let text = members.to_string();
    let members = text.strip_prefix('{').and_then(|text| text.strip_suffix('}'))?;
    let last = last.map(|(name, value)| format!(r#","{name}":{}"#, String::from_utf8_lossy(&value)));
    Some((format!("{members}{}", last.unwrap_or_default()), receipt))
}

/// The status of a call that has ended, and the member of its task that says with what.
fn ended(call: CallId, end: End) -> Option<(&'static str, (&'static str, Bytes))> {
    let reply = match end {
        End::Error(error) => return Some(("failed", ("error", error))),
        End::Result(result) => return Some(("completed", ("result", result))),
        End::Reply(reply) => reply,
    };
    let answered = answered(Era::Stateless, &RawId::integer(0), true, call, Answered { receipt: None, reply })?;
    let envelope = Envelope::parse(answered.bytes, &ReadLimits::RESPONSE).ok()?;
    match (envelope.result(), envelope.error()) {
        (Some(result), _) => Some(("completed", ("result", envelope.share(result)))),
        (None, Some(error)) => Some(("failed", ("error", envelope.share(error)))),
        (None, None) => None,
    }
}

/// For how long a task is good, from its creation: what its clocks allow, and time for its execution and for its client to ask.
fn ttl_ms(asked_at: Timestamp, until: Timestamp) -> i64 {
    until.micros_since(asked_at) / 1_000 + PARKED_TTL_MS
}

impl<S: Session, D: Downstream> AgentSession<S, D> {
    /// What a call needs to go on as a task while people are asked, with the two ends that take it back.
    pub(super) fn parks(&self, call: CallId, told: mpsc::Sender<Told>) -> (Parks<S>, oneshot::Receiver<()>) {
        let (take_back, taken_back) = TakeBack::new();
        let (session, tasks) = (self.session.clone(), self.tasks.clone());
        (Parks { call, name: Arc::default(), session, take_back, tasks, told }, taken_back)
    }

    /// Starts a call that may be parked; false where too many have not ended.
    pub(super) fn start_parking(
        &self,
        id: &RawId,
        intercepted: Intercepted,
        execute: CallRound<S>,
        parks: Parks<S>,
        mut taken_back: oneshot::Receiver<()>,
    ) -> bool {
        let (session, tasks) = (self.session.clone(), self.tasks.clone());
        let (name, take_back, told) = (parks.name.clone(), parks.take_back.clone(), parks.told.clone());
        let execute = self.held(id, execute.parking(parks));
        self.tasks.start(async move {
            let answer = session.govern(intercepted, execute, &mut taken_back).await;
            match name.get() {
                Some(parked) => {
                    session.unparked(*parked, &take_back, answer).await;
                    tasks.parked.remove(*parked);
                }
                None => drop(told.send(Told::Ended(answer)).await),
            }
        })
    }

    /// The answer to a call that goes on as a task.
    pub(super) async fn parked_created(&self, id: &RawId, parked: ParkedId) -> Option<Bytes> {
        let task = self.session.task(parked).await?;
        // One that has ended meanwhile is told of when it is asked for.
        let stands = match task.stands {
            Stands::TakenBack => Stands::TakenBack,
            _ => Stands::Waits,
        };
        let (members, _) = described(parked, Task { stands, ..task })?;
        Some(reply(id, &format!(r#""resultType":"task",{members}"#)))
    }

    /// Answers a request about a task of ours.
    pub(super) async fn about_parked(
        &self,
        id: &RawId,
        envelope: &Envelope,
        claims: &Claims<'_>,
        context: Arc<Context>,
        (about, parked): (About, ParkedId),
        mut cancelled: oneshot::Receiver<()>,
    ) -> Option<Message> {
        if !declares_tasks(claims) {
            return Some(undeclared(id).into());
        }
        match about {
            About::Cancel => {
                self.session.take_back(parked).await;
                Some(reply(id, r#""resultType":"complete""#).into())
            }
            About::Get => {
                let task = self.stands(context, parked).await?;
                let Some((members, receipt)) = described(parked, task) else {
                    let text = "the task has expired: how it ended was told, and is not kept any more";
                    return Some(author::error_reply(Some(id), author::INVALID_PARAMS, text, None).into());
                };
                let bytes = reply(id, &format!(r#""resultType":"complete",{members}"#));
                Some(Message { bytes, receipt })
            }
            // Recorded: whoever tries to answer in the place of people is seen to.
            About::Update => {
                let (call, request) = (self.session.call_id(), self.request_call(envelope));
                let intercepted = Intercepted::new(call, context, request.tool, request.arguments, trace(envelope));
                let execute = CallUpstream::new(self.upstream.clone(), id.clone(), envelope.bytes().clone(), call);
                let refused = intercepted.objected(Reason::InputNotAllowed);
                let answer = self.session.govern(refused, execute, &mut cancelled).await?;
                answered(Era::Stateless, id, false, call, answer)
            }
        }
    }

    /// How a parked call stands, which is taken up again where it rests.
    async fn stands(&self, context: Arc<Context>, parked: ParkedId) -> Option<Task> {
        let task = self.session.task(parked).await?;
        let Stands::Resting = task.stands else { return Some(task) };
        if self.take_up(context, parked).await {
            return self.session.task(parked).await;
        }
        Some(Task { said: TAKEN_BACK.to_owned(), stands: Stands::TakenBack, ..task })
    }

    /// Goes on with a call that nobody works on; false where there is none, or no room for it.
    async fn take_up(&self, context: Arc<Context>, parked: ParkedId) -> bool {
        // Nobody waits for what it says.
        let (told, _unheard) = mpsc::channel(1);
        let (parks, taken_back) = self.parks(parked.call, told.clone());
        let take_back = parks.take_back.clone();
        let Some(Kept { headers: carried, message }) = self.session.resume(parked, &take_back).await else {
            return false;
        };
        let leave = || {
            self.session.leave(parked, &take_back);
            false
        };
        let Ok(envelope) = Envelope::parse(message.clone(), &ReadLimits::REQUEST) else { return leave() };
        let (Some(id), Some(name)) = (envelope.id().cloned(), text_param(&envelope, "name")) else { return leave() };
        let arguments = param(&envelope, "arguments").map(|arguments| envelope.share(arguments)).unwrap_or_default();
        let tool = self.tool(Endpoint::Tool, &name);
        let intercepted = Intercepted::new(parked.call, context, tool, arguments, trace(&envelope));
        let upstream = self.upstream.beside(headers(&envelope, &carried));
        let becoming = Becoming { end: None, origin: None, progress_token: None, tasks: self.tasks.clone(), told };
        let execute = CallRound::again(parked.call, id.clone(), message, self.session.clone(), upstream);
        let execute = execute.becoming(becoming);
        // Set once: it is new.
        let _first = parks.name.set(parked);
        if !self.tasks.parked.add(parked, take_back.clone()) {
            return leave();
        }
        if !self.start_parking(&id, intercepted.awaiting(parked.approval), execute, parks, taken_back) {
            self.tasks.parked.remove(parked);
            return leave();
        }
        true
    }

    /// The tasks of ours that a subscription names.
    pub(super) fn watched(&self, filter: Option<Raw<'_>>) -> Vec<ParkedId> {
        let named = filter.and_then(|filter| filter.at(&["taskIds"])).and_then(Raw::array);
        let named = named.into_iter().flat_map(|named| named.elements()).filter_map(Raw::text);
        let parked = named.filter_map(|task| ParkedId::parse(&task));
        parked.filter(|parked| self.session.is_parked(*parked)).collect()
    }

    /// Tells of these tasks under the subscription `id`, whenever they change.
    pub(super) async fn watch(&self, id: &RawId, context: &Arc<Context>, watched: &[ParkedId]) -> Watch<S, D> {
        for parked in watched {
            // Whoever wants to hear of a task wants it to go on.
            let _task = self.stands(context.clone(), *parked).await;
        }
        Watch {
            downstream: self.downstream.clone(),
            heard_under: self.heard_under(id.clone()),
            id: id.clone(),
            session: self.session.clone(),
            tasks: self.tasks.clone(),
            watched: watched.to_vec(),
        }
    }
}

/// Tasks that a subscription tells of.
pub(super) struct Watch<S, D> {
    downstream: Arc<D>,
    heard_under: RawId,
    id: RawId,
    session: Arc<S>,
    tasks: Arc<Tasks>,
    watched: Vec<ParkedId>,
}

impl<S: Session, D: Downstream> Watch<S, D> {
    /// Tells that the subscription has begun, where no server does.
    pub(super) async fn acknowledge(&self) {
        let tasks: Vec<String> = self.watched.iter().map(ParkedId::to_string).collect();
        let params = format!(
            r#"{{"_meta":{{"{SUBSCRIPTION}":{}}},"notifications":{{"taskIds":{}}}}}"#,
            self.id.json(),
            json!(tasks)
        );
        self.tell("notifications/subscriptions/acknowledged", &params, None).await;
    }

    /// Tells of each task how it stands, and whenever it changes; resolves when what is asked here must end.
    pub(super) async fn run(self) {
        let watch = Arc::new(self);
        let mut telling = JoinSet::new();
        for parked in watch.watched.clone() {
            let watch = watch.clone();
            telling.spawn(async move { watch.follow(parked).await });
        }
        watch.tasks.closing().await;
    }

    async fn follow(&self, parked: ParkedId) {
        let mut told = String::new();
        while let Some(mut changes) = self.session.changes(parked.approval) {
            let Some(task) = self.session.task(parked).await else { return };
            let is_over = matches!(task.stands, Stands::Ended { .. } | Stands::TakenBack);
            let Some((members, receipt)) = described(parked, task) else { return };
            if members != told {
                let params = format!(r#"{{{members},"_meta":{{"{SUBSCRIPTION}":{}}}}}"#, self.id.json());
                self.tell("notifications/tasks", &params, receipt).await;
                told = members;
            }
            if is_over || changes.changed().await.is_err() {
                return;
            }
        }
    }

    async fn tell(&self, method: &str, params: &str, receipt: Option<Receipt>) {
        let bytes = Bytes::from(format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{params}}}"#));
        let _gone = self.downstream.deliver(Address::Related(&self.heard_under), Message { bytes, receipt }).await;
    }
}

/// What a server acknowledges of a subscription, and our own tasks with it.
pub(super) fn acknowledged(envelope: &Envelope, watched: &[ParkedId]) -> Result<Bytes, SpliceError> {
    let mut splice = Splice::new(envelope.bytes());
    let Some(agreed) = param(envelope, "notifications").and_then(Raw::object) else { return splice.finish() };
    let theirs = agreed.member("taskIds").and_then(Raw::array).into_iter().flat_map(|tasks| tasks.elements());
    let theirs = theirs.map(|task| String::from_utf8_lossy(task.bytes()).into_owned());
    let all: Vec<String> = theirs.chain(watched.iter().map(|parked| format!("\"{parked}\""))).collect();
    let all = format!("[{}]", all.join(","));
    if let Ok(all) = Raw::parse(all.as_bytes(), &ReadLimits::REQUEST) {
        splice.set_member(agreed, "taskIds", all)?;
    }
    splice.finish()
}

fn reply(id: &RawId, members: &str) -> Bytes {
    Bytes::from(format!(r#"{{"jsonrpc":"2.0","id":{},"result":{{{members}}}}}"#, id.json()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const META: &str = r#""io.modelcontextprotocol/protocolVersion":"2026-07-28""#;

    fn envelope(text: &str) -> Envelope {
        Envelope::parse(text.to_owned().into(), &ReadLimits::RESPONSE).unwrap()
    }

    #[test]
    fn a_parked_call_is_sent_as_by_a_client_that_has_left() {
        let call = |id: &str, more: &str, capabilities: &str| {
            format!(
                r#"{{"jsonrpc":"2.0","id":{id},"method":"tools/call","params":{{"name":"t","arguments":{{"a": 1.0}},"_meta":{{{more}"io.modelcontextprotocol/clientCapabilities":{{{capabilities}}},{META}}}}}}}"#
            )
        };
        let extensions = r#""extensions":{"io.modelcontextprotocol/tasks":{}}"#;
        let asked = call(
            "7",
            r#""progressToken":"p","#,
            &format!(r#""elicitation":{{}},{extensions},"roots":{{}},"sampling":{{}}"#),
        );
        let sent = alone(&envelope(&asked), &own_id("x").unwrap()).unwrap();
        assert_eq!(sent, call(r#""countersign/x""#, "", extensions));
    }

    #[test]
    fn a_server_acknowledges_its_own_tasks_and_we_ours() {
        let parked = ParkedId {
            approval: ApprovalId::at(Timestamp::EPOCH, [1; 10]),
            call: CallId::at(Timestamp::EPOCH, [2; 10]),
        };
        for (agreed, expected) in [
            (r#"{"toolsListChanged":true}"#, format!(r#"{{"toolsListChanged":true,"taskIds":["{parked}"]}}"#)),
            (r#"{"taskIds":["t-1"]}"#, format!(r#"{{"taskIds":["t-1","{parked}"]}}"#)),
            ("{}", format!(r#"{{"taskIds":["{parked}"]}}"#)),
        ] {
            let said = |agreed: &str| {
                format!(
                    r#"{{"jsonrpc":"2.0","method":"notifications/subscriptions/acknowledged","params":{{"notifications":{agreed}}}}}"#
                )
            };
            assert_eq!(acknowledged(&envelope(&said(agreed)), &[parked]).unwrap(), said(&expected));
        }
    }
}
