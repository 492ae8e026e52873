//! Requests that stand alone (MCP revision 2026-07-28, Streamable HTTP): no handshake, no session, no resumption.
//!
//! Each is a session of one request. What stands behind the requests of one run token at one server is its [`Post`]: the link to the upstream, and the clients that were
//! recorded. It ends when it is unused for long, when its upstream ends, or with the gateway; the next request makes another.

use std::collections::HashMap;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::StatusCode;
use http::header::{ALLOW, HeaderMap, HeaderValue};
use tokio::runtime::Handle;
use tokio::sync::{Notify, OnceCell};
use tokio::time::{sleep, timeout};

use super::gate::{Admission, Connected, Gate, Holder};
use super::mailbox::Mailbox;
use super::sessions::{Place, Sessions};
use super::{HttpDownstreamLimits, Refused, Served, empty, json, stream};
use crate::govern::{Misbehaviour, Session};
use crate::limits::{ERROR_BODY_BYTES_MAX, ReadLimits};
use crate::mcp::codec::{Envelope, EnvelopeKind, Raw, RawId, author};
use crate::mcp::era::{Era, Revision};
use crate::mcp::session::{AgentSession, Clients, Received, Tasks};
use crate::mcp::streamable::{REVISION, single};
use crate::mcp::upstream::{IncomingQueue, Lanes, Upstream};
use crate::mcp::{claims, mirror};

/// Whether a request belongs to the stateless era by its headers alone.
pub(super) fn is_stateless(headers: &HeaderMap) -> bool {
    let revision = single(headers, &REVISION).ok().flatten().and_then(|revision| revision.to_str().ok());
    revision.and_then(Revision::parse).is_some_and(|revision| revision.era() == Era::Stateless)
}

/// Whether a message belongs to the stateless era by its body.
pub(super) fn stands_alone(envelope: &Envelope) -> bool {
    claims::named_revision(envelope).is_some()
}

/// What a request with another method than POST is told.
pub(super) fn only_post() -> Refused {
    Refused::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "this revision has no streams and sessions of their own; use POST".to_owned(),
    )
    .with(ALLOW, HeaderValue::from_static("POST"))
}

type Open<S> = HashMap<(Holder, Box<str>), Arc<OnceCell<Arc<Post<S>>>>>;

/// What stands behind requests, by run token and server.
pub(super) struct Posts<S> {
    open: Mutex<Open<S>>,
}

/// What stands behind the requests of one run token at one server.
struct Post<S> {
    clients: Arc<Clients>,
    lanes: Arc<Lanes>,
    session: Arc<S>,
    /// What calls have become.
    tasks: Arc<Tasks>,
    /// Requests that are not answered.
    unanswered: AtomicUsize,
    /// Fires when the last one is.
    quiet: Notify,
    /// Fires with each request.
    used: Notify,
}

impl<S> Default for Posts<S> {
    fn default() -> Self {
        Self { open: Mutex::default() }
    }
}

impl<S: Session> Posts<S> {
    /// Answers one message.
    pub(super) async fn take<G: Gate<Session = S>>(
        self: &Arc<Self>,
        gate: &G,
        sessions: &Arc<Sessions<S>>,
        server: &str,
        admission: Admission<G::Ticket>,
        headers: &HeaderMap,
        envelope: Envelope,
    ) -> Served {
        let id = match envelope.kind() {
            EnvelopeKind::Request { id, .. } => id.clone(),
            // There is none that a client must send, and nothing that one could be about.
            EnvelopeKind::Notification { .. } => return Ok(empty(StatusCode::ACCEPTED)),
            EnvelopeKind::Response { .. } | EnvelopeKind::ErrorResponse { .. } => {
                return Err(Refused::new(
                    StatusCode::BAD_REQUEST,
                    "clients of this revision send no answers".to_owned(),
                ));
            }
        };
        let revision = fit(headers, &envelope, &id)?;
        let mut repeated = mirror::headers(&envelope, revision);
        repeated.extend(mirror::carried(headers, &envelope).map(|(name, value)| (name.clone(), value.clone())));
        let limits = *sessions.limits();
        let busy = self.busy(gate, sessions, server, admission, &id).await?;
        let post = &busy.0;
        let (upstream, queue) = post.lanes.open(repeated);
        let (upstream, mailbox) = (Arc::new(upstream), Mailbox::new(limits));
        let agent = AgentSession::of_clients(
            (post.clients.clone(), post.tasks.clone()),
            post.session.clone(),
            upstream.clone(),
            mailbox.clone(),
            "http",
        )
        .with_patience(limits.patience);
        let rest = Box::pin(work(Arc::new(agent), id, envelope, queue, mailbox.clone(), busy));
        let mut work = Work { mailbox: mailbox.clone(), rest: Some(rest) };
        if work.must_be_stream(limits.keep_alive).await {
            work.detach();
            return Ok(stream(&mailbox));
        }
        Ok(match mailbox.take_answer() {
            Some(answer) => {
                let status = status(&answer.bytes, &upstream);
                let mut response = json(answer);
                *response.status_mut() = status;
                response
            }
            // Nobody answered, and the client has not left: the server ended what had no end.
            None => stream(&mailbox),
        })
    }

    /// What stands behind a request, made if it is the first, and kept while the request is worked on.
    async fn busy<G: Gate<Session = S>>(
        self: &Arc<Self>,
        gate: &G,
        sessions: &Arc<Sessions<S>>,
        server: &str,
        admission: Admission<G::Ticket>,
        id: &RawId,
    ) -> Result<Busy<S>, Refused> {
        let Admission { holder, ticket } = admission;
        let key = (holder, Box::from(server));
        let cell = self.lock().entry(key.clone()).or_default().clone();
        let opened = cell
            .get_or_try_init(|| async {
                let place = sessions.place(holder).await?;
                let connected = gate.connect(server, ticket).await;
                let Connected { incoming, session, upstream } =
                    connected.map_err(|error| Refused::not_connected(&error, id))?;
                let post = Arc::new(Post {
                    clients: Arc::default(),
                    lanes: Lanes::new(upstream),
                    session,
                    tasks: Arc::default(),
                    unanswered: AtomicUsize::new(0),
                    quiet: Notify::new(),
                    used: Notify::new(),
                });
                tokio::spawn(tend(self.clone(), key.clone(), post.clone(), incoming, sessions.clone(), place));
                Ok(post)
            })
            .await;
        match opened {
            Ok(post) => Ok(Busy::new(post.clone())),
            Err(refused) => {
                let mut open = self.lock();
                // Whoever waits for the same makes its own attempt.
                if open.get(&key).is_some_and(|kept| Arc::ptr_eq(kept, &cell) && !kept.initialized()) {
                    open.remove(&key);
                }
                Err(refused)
            }
        }
    }

    fn forget(&self, key: &(Holder, Box<str>), post: &Arc<Post<S>>) {
        let mut open = self.lock();
        if open.get(key).and_then(|cell| cell.get()).is_some_and(|kept| Arc::ptr_eq(kept, post)) {
            open.remove(key);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Open<S>> {
        // A panic while the lock was held cannot leave it half changed: every change is one map operation.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Holds a request to what its era asks: what it must say of itself, and headers that repeat its body.
fn fit(headers: &HeaderMap, envelope: &Envelope, id: &RawId) -> Result<Revision, Refused> {
    let bad = |body: Bytes| Refused::with_body(StatusCode::BAD_REQUEST, body);
    let claims = claims::demand(envelope);
    // A request that disagrees with itself is told so, rather than that one of the two is not spoken here.
    if claims.as_ref().err().is_none_or(claims::Unfit::is_complete) {
        mirror::check(headers, envelope).map_err(|mismatch| bad(mismatch.reply(Some(id))))?;
    }
    claims.map(|claims| claims.revision).map_err(|unfit| bad(unfit.reply(id)))
}

/// The status of an answer: an error of the protocol has the one that the server gave it, or that the specification gives it.
fn status(answer: &Bytes, upstream: &Upstream) -> StatusCode {
    // Errors are small, and reading a large answer once more would cost more than its status is worth.
    if answer.len() > ERROR_BODY_BYTES_MAX {
        return StatusCode::OK;
    }
    let Ok(answer) = Envelope::parse(answer.clone(), &ReadLimits::RESPONSE) else { return StatusCode::OK };
    let Some(code) = answer.error().and_then(|error| error.at(&["code"])).and_then(Raw::integer) else {
        return StatusCode::OK;
    };
    match (code, upstream.refused_with()) {
        (claims::UNSUPPORTED_REVISION | mirror::MISMATCH | MISSING_CAPABILITY, _) => StatusCode::BAD_REQUEST,
        (author::METHOD_NOT_FOUND, _) => StatusCode::NOT_FOUND,
        // What a client makes of its own token is not what the server makes of ours.
        (_, Some(StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)) => StatusCode::BAD_GATEWAY,
        (_, Some(status)) if status.is_client_error() => status,
        (_, Some(_) | None) => StatusCode::OK,
    }
}

/// The request needs a capability that its client does not have.
const MISSING_CAPABILITY: i64 = -32021;

/// Works on a request until it is answered, and hears what comes along with it; a client that leaves takes it back.
async fn work<S: Session>(
    agent: Arc<AgentSession<S, Mailbox>>,
    id: RawId,
    envelope: Envelope,
    queue: IncomingQueue,
    mailbox: Arc<Mailbox>,
    _busy: Busy<S>,
) {
    let answered = async {
        if let Received::Request(admitted) = agent.receive(envelope).await {
            let mut answered = std::pin::pin!(agent.answer(admitted));
            tokio::select! {
                () = &mut answered => return,
                () = mailbox.left() => agent.take_back(&id),
            }
            answered.await;
        }
    };
    let mut answered = std::pin::pin!(answered);
    tokio::select! {
        () = &mut answered => {}
        () = agent.clone().listen(queue) => answered.await,
    }
    mailbox.end();
}

/// The work on one request. Dropped before it is done, it goes on in a task: the client has left, and what has begun must end in its record.
struct Work {
    mailbox: Arc<Mailbox>,
    rest: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Work {
    /// Works until the work is done (false) or the response must be a stream.
    async fn must_be_stream(&mut self, patience: Duration) -> bool {
        let mut patience = std::pin::pin!(sleep(patience));
        poll_fn(|context| {
            if self.rest.as_mut().is_none_or(|rest| rest.as_mut().poll(context).is_ready()) {
                self.rest = None;
                // The last thing that was sent may have come after the last look.
                return Poll::Ready(self.mailbox.poll_stream(context).is_ready());
            }
            if patience.as_mut().poll(context).is_ready() {
                self.mailbox.stream();
            }
            self.mailbox.poll_stream(context).map(|()| true)
        })
        .await
    }

    /// Lets what is left go on in a task.
    fn detach(&mut self) {
        if let (Some(rest), Ok(runtime)) = (self.rest.take(), Handle::try_current()) {
            runtime.spawn(rest);
        }
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if self.rest.is_some() {
            self.mailbox.leave();
            self.detach();
        }
    }
}

/// A request's hold on what stands behind it.
struct Busy<S>(Arc<Post<S>>);

impl<S> Busy<S> {
    fn new(post: Arc<Post<S>>) -> Self {
        post.unanswered.fetch_add(1, Ordering::AcqRel);
        post.used.notify_one();
        Self(post)
    }
}

impl<S> Drop for Busy<S> {
    fn drop(&mut self) {
        if self.0.unanswered.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.quiet.notify_waiters();
        }
    }
}

impl<S> Post<S> {
    /// Waits until no request is worked on.
    async fn quiet(&self) {
        loop {
            let quiet = self.quiet.notified();
            if self.unanswered.load(Ordering::Acquire) == 0 {
                return;
            }
            quiet.await;
        }
    }

    /// Waits until nothing has been asked for `limit`.
    async fn idle(&self, limit: Duration) {
        loop {
            self.quiet().await;
            // A call that waits for people is worked on, although nobody asks.
            self.tasks.unparked().await;
            if timeout(limit, self.used.notified()).await.is_err()
                && self.unanswered.load(Ordering::Acquire) == 0
                && !self.tasks.has_parked()
            {
                return;
            }
        }
    }
}

/// Keeps what stands behind requests until it is unused, its upstream is gone, or the gateway stops; then lets requests finish and ends the upstream.
async fn tend<S: Session>(
    posts: Arc<Posts<S>>,
    key: (Holder, Box<str>),
    post: Arc<Post<S>>,
    incoming: IncomingQueue,
    sessions: Arc<Sessions<S>>,
    _place: Place,
) {
    let HttpDownstreamLimits { drain, session_idle, .. } = *sessions.limits();
    let stray = |what: String| {
        post.session.misbehaved(Misbehaviour { what, who: post.session.upstream() });
    };
    let mut running = std::pin::pin!(post.lanes.run(incoming, stray));
    let upstream_is_gone = tokio::select! {
        () = &mut running => true,
        () = post.idle(session_idle) => false,
        () = sessions.closing() => false,
    };
    posts.forget(&key, &post);
    post.tasks.leave_parked(&*post.session);
    if !upstream_is_gone {
        let finished = async {
            let quiet = async {
                post.quiet().await;
                post.tasks.unparked().await;
            };
            tokio::select! {
                () = quiet => {}
                () = &mut running => {}
            }
        };
        // What is not finished by now fails when the upstream ends, and is recorded as unknown.
        let _in_time = timeout(drain, finished).await;
    }
    post.lanes.close().await;
    let _in_time = timeout(drain, post.quiet()).await;
    // Everything that is still open is recorded.
    post.tasks.close().await;
}
