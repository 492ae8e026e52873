//! The open sessions of an endpoint: found by id, counted against limits, and ended in order.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::StatusCode;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, timeout};

use super::{Holder, HttpDownstream, HttpDownstreamLimits, Refused};
use crate::govern::Session;
use crate::mcp::session::AgentSession;
use crate::mcp::upstream::IncomingQueue;

/// The open sessions.
pub(super) struct Sessions<S> {
    /// Whether the gateway is shutting down.
    closing: watch::Sender<bool>,
    limits: HttpDownstreamLimits,
    open: Mutex<HashMap<Box<str>, Arc<HttpSession<S>>>>,
    places: Arc<Places>,
}

/// How many sessions each token has, those included that are being opened or ended.
#[derive(Debug, Default)]
struct Places {
    /// Fires when a place is given back.
    freed: Notify,
    taken: Mutex<HashMap<Holder, usize>>,
}

/// One agent's session.
pub(super) struct HttpSession<S> {
    pub(super) agent: Arc<AgentSession<S, HttpDownstream>>,
    /// Fires when the client, or the gateway, ends the session.
    ended: Notify,
    pub(super) holder: Holder,
    id: Box<str>,
    /// Whether nobody tends the session any more; changes only under the lock of the open sessions.
    is_over: AtomicBool,
    /// Milliseconds after `opened_at`.
    last_used: AtomicU64,
    opened_at: Instant,
    _place: Place,
    pub(super) server: Box<str>,
}

/// A session's place among those that are allowed; given back when the session is gone.
#[derive(Debug)]
pub(super) struct Place {
    holder: Holder,
    places: Arc<Places>,
}

impl<S: Session> Sessions<S> {
    pub(super) fn new(limits: HttpDownstreamLimits) -> Self {
        Self { closing: watch::Sender::new(false), limits, open: Mutex::default(), places: Arc::default() }
    }

    /// A place for one session more. Where all are taken, the token's own session that is unused for longest makes room, as clients often leave without ending theirs.
    pub(super) async fn place(&self, holder: Holder) -> Result<Place, Refused> {
        let full = match self.take_place(holder) {
            Ok(place) => return Ok(place),
            Err(full) => full,
        };
        let Some(spare) = self.spare(holder) else { return Err(full) };
        self.end(&spare);
        drop(spare);
        let room = async {
            loop {
                let freed = self.places.freed.notified();
                if let Ok(place) = self.take_place(holder) {
                    return place;
                }
                freed.await;
            }
        };
        timeout(self.limits.drain, room).await.map_err(|_elapsed| full)
    }

    fn take_place(&self, holder: Holder) -> Result<Place, Refused> {
        if *self.closing.borrow() {
            return Err(Refused::new(StatusCode::SERVICE_UNAVAILABLE, "the gateway is shutting down".to_owned()));
        }
        let mut taken = lock(&self.places.taken);
        let all: usize = taken.values().sum();
        if all >= self.limits.sessions_max {
            let text = format!("{all} sessions are open; end some with DELETE, or try again later");
            return Err(Refused::new(StatusCode::SERVICE_UNAVAILABLE, text));
        }
        let of_holder = taken.entry(holder).or_default();
        if *of_holder >= self.limits.sessions_per_token_max {
            let text =
                format!("{of_holder} sessions of this run token are in use; end some with DELETE before opening more");
            return Err(Refused::new(StatusCode::TOO_MANY_REQUESTS, text));
        }
        *of_holder += 1;
        drop(taken);
        Ok(Place { holder, places: self.places.clone() })
    }

    /// The session of a token that is unused for longest, if it is unused for long enough to be taken for left.
    fn spare(&self, holder: Holder) -> Option<Arc<HttpSession<S>>> {
        let open = lock(&self.open);
        let unused = open.values().filter(|session| session.holder == holder && !session.is_busy());
        let longest = unused.max_by_key(|session| session.unused())?;
        (longest.unused() >= self.limits.session_spare).then(|| longest.clone())
    }

    /// Starts to tend a session, which ends when its client, the gateway or its upstream ends it, or when it is idle.
    pub(super) fn tend(
        self: &Arc<Self>,
        id: Box<str>,
        server: Box<str>,
        place: Place,
        agent: Arc<AgentSession<S, HttpDownstream>>,
        incoming: IncomingQueue,
    ) -> Arc<HttpSession<S>> {
        let session = Arc::new(HttpSession {
            agent,
            ended: Notify::new(),
            holder: place.holder,
            id,
            is_over: AtomicBool::new(false),
            last_used: AtomicU64::new(0),
            opened_at: Instant::now(),
            _place: place,
            server,
        });
        tokio::spawn(tend(self.clone(), session.clone(), incoming));
        session
    }

    /// Makes a session known, so that its client can use it; false where it has ended already.
    pub(super) fn add(&self, session: &Arc<HttpSession<S>>) -> bool {
        let mut open = lock(&self.open);
        let is_over = session.is_over.load(Ordering::Relaxed);
        if !is_over {
            open.insert(session.id.clone(), session.clone());
        }
        !is_over
    }

    /// The session with this id, if it belongs to this token and server.
    pub(super) fn find(&self, id: &str, holder: Holder, server: &str) -> Option<Arc<HttpSession<S>>> {
        let session = lock(&self.open).get(id).cloned()?;
        (session.holder == holder && *session.server == *server).then_some(session)
    }

    /// Ends a session in its own time.
    pub(super) fn end(&self, session: &HttpSession<S>) {
        lock(&self.open).remove(&session.id);
        session.ended.notify_one();
    }

    /// Ends all sessions, those that are being opened too, and waits for them.
    pub(super) async fn close(&self) {
        self.closing.send_replace(true);
        loop {
            let freed = self.places.freed.notified();
            if lock(&self.places.taken).is_empty() {
                return;
            }
            freed.await;
        }
    }

    /// Makes a session unknown for good.
    fn forget(&self, session: &HttpSession<S>) {
        let mut open = lock(&self.open);
        session.is_over.store(true, Ordering::Relaxed);
        open.remove(&session.id);
    }

    pub(super) const fn limits(&self) -> &HttpDownstreamLimits {
        &self.limits
    }

    /// Resolves when the gateway shuts down.
    pub(super) async fn closing(&self) {
        // An error says that nobody can close the endpoint any more, and this then waits for ever.
        if self.closing.subscribe().wait_for(|is_closing| *is_closing).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    pub(super) fn count(&self) -> usize {
        lock(&self.open).len()
    }
}

/// Hands on what the upstream sends by itself until the session ends; then lets requests in flight finish and ends the upstream.
async fn tend<S: Session>(sessions: Arc<Sessions<S>>, session: Arc<HttpSession<S>>, incoming: IncomingQueue) {
    let HttpDownstreamLimits { drain, session_idle, .. } = sessions.limits;
    let mut closing = sessions.closing.subscribe();
    let mut listening = std::pin::pin!(session.agent.clone().listen(incoming));
    let mut upstream_is_gone = tokio::select! {
        () = &mut listening => true,
        () = session.ended.notified() => false,
        () = session.idle(session_idle) => false,
        // An error says that nobody can close the endpoint any more.
        Ok(_) = closing.wait_for(|is_closing| *is_closing) => false,
    };
    sessions.forget(&session);
    let outbox = session.agent.downstream();
    if !upstream_is_gone {
        let drained = timeout(drain, async {
            tokio::select! {
                () = outbox.quiet() => false,
                () = &mut listening => true,
            }
        });
        // What is not finished by now fails when the upstream ends, and is recorded as unknown.
        upstream_is_gone = match drained.await {
            Ok(upstream_is_gone) => upstream_is_gone,
            // What people approved and the upstream has goes on without its client, unless the gateway stops.
            Err(_elapsed) => tokio::select! {
                () = session.agent.kept_are_done() => false,
                () = &mut listening => true,
                Ok(_) = closing.wait_for(|is_closing| *is_closing) => false,
            },
        };
    }
    session.agent.upstream().close().await;
    if !upstream_is_gone {
        // What the upstream asked of the agent ends in its record before the session does.
        let _in_time = timeout(drain, &mut listening).await;
    }
    let _in_time = timeout(drain, outbox.quiet()).await;
    session.agent.end().await;
    outbox.end();
}

impl<S: Session> HttpSession<S> {
    /// The id that its client sends.
    pub(super) fn id(&self) -> &str {
        &self.id
    }

    /// Notes that the client used the session.
    pub(super) fn touch(&self) {
        let since = self.opened_at.elapsed().as_millis();
        self.last_used.store(u64::try_from(since).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// For how long its client has sent nothing.
    fn unused(&self) -> Duration {
        let last_used = Duration::from_millis(self.last_used.load(Ordering::Relaxed));
        self.opened_at.elapsed().saturating_sub(last_used)
    }

    /// Whether a request is open or a stream is read.
    fn is_busy(&self) -> bool {
        self.agent.downstream().outbox().is_busy()
    }

    /// Waits until nothing has happened for `limit`.
    async fn idle(&self, limit: Duration) {
        loop {
            let (unused, is_busy) = (self.unused(), self.is_busy());
            match limit.checked_sub(unused).filter(|left| !left.is_zero()) {
                Some(left) => tokio::time::sleep(left).await,
                None if is_busy => tokio::time::sleep(limit).await,
                None => return,
            }
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut taken = lock(&self.places.taken);
        if let Some(count) = taken.get_mut(&self.holder) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.holder);
            }
        }
        self.places.freed.notify_waiters();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while a lock was held cannot leave its content half changed: every change is one operation.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
