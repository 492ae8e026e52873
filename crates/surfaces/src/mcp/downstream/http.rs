//! The agent's client over Streamable HTTP (MCP revision 2025-11-25, Transports): one endpoint for each server, behind run tokens.
//!
//! A POST works on its request in place, without a task of its own; if its client leaves, the work is handed to a task and goes on, because a call that has begun must
//! end in its record. The answer is one message where that is the first thing to send, comes soon and came as one; else the response is a stream, with events that a client
//! can resume at ([`outbox`]). Start at [`McpEndpoint::serve`]; what the gateway supplies is [`Gate`].

mod body;
mod challenge;
mod gate;
mod mailbox;
mod outbox;
mod peer;
mod sessions;
mod stateless;
#[cfg(test)]
mod tests;

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::sync::atomic::AtomicUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::time::{sleep, timeout};

pub use self::body::McpBody;
pub use self::challenge::Credentials;
use self::challenge::bearer;
pub use self::gate::{Admission, AdmitError, Caller, ConnectError, Connected, Gate, Holder, Protection, TurnedAway};
use self::mailbox::Mailbox;
use self::outbox::{Closed, Form, Offered, Outbox, Place, Prime, Reading, Unopened, Unreadable};
pub use self::peer::{Foreign, Peers};
use self::sessions::{HttpSession, Sessions};
use self::stateless::Posts;
use super::{Address, Downstream, Gone, Message};
use crate::govern::Session;
use crate::limits::{
    DRAIN_MS, HTTP_SESSION_IDLE_MS, HTTP_SESSION_SPARE_MS, HTTP_SESSIONS_MAX, HTTP_SESSIONS_PER_TOKEN_MAX,
    IN_FLIGHT_MAX, KEEP_ALIVE_MS, REPLAY_BYTES_MAX, REPLAY_EVENTS_MAX, REPLAY_TOTAL_BYTES_MAX, REQUEST_BODY_MS,
    ReadLimits, SLOW_READER_MS, STREAM_AFTER_MS, UNREAD_BYTES_MAX, UNREAD_EVENTS_MAX,
};
use crate::mcp::codec::strict::StrictReader;
use crate::mcp::codec::{Envelope, EnvelopeError, EnvelopeKind, RawId, author, batch};
use crate::mcp::era::{self, Era, OPENING, Revision};
use crate::mcp::session::{AgentSession, Patience, Received, carrier};
use crate::mcp::streamable::{
    BodyError, EVENT_STREAM, JSON, LAST_EVENT_ID, REVISION, SESSION_ID, is_media_type, read_body, single,
};

/// How an endpoint is called and bounded.
#[derive(Clone, Debug)]
pub struct EndpointConfig {
    /// The bounds.
    pub limits: HttpDownstreamLimits,
    /// By which names requests come, and from which pages.
    pub peers: Peers,
}

/// The bounds on agents' sessions. [`HttpDownstreamLimits::DEFAULT`] is what is in force where nothing else is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpDownstreamLimits {
    /// How long a request's body may take.
    pub body: Duration,
    /// How long requests in flight may finish when their session ends.
    pub drain: Duration,
    /// Unanswered requests of one session.
    pub in_flight_max: usize,
    /// How often a silent stream gets a comment.
    pub keep_alive: Duration,
    /// How long a session waits for its upstream's answers to the protocol's own requests.
    pub patience: Patience,
    /// Bytes that one session keeps for clients that resume.
    pub replay_bytes_max: usize,
    /// Events that one session keeps for clients that resume.
    pub replay_events_max: usize,
    /// Bytes that all sessions together keep for clients that resume.
    pub replay_total_bytes_max: usize,
    /// How an agent's messages are read.
    pub request: ReadLimits,
    /// How long a session may be unused.
    pub session_idle: Duration,
    /// After how long without use a session makes room for a new one of its token.
    pub session_spare: Duration,
    /// Sessions at one time.
    pub sessions_max: usize,
    /// Sessions of one run token at one time.
    pub sessions_per_token_max: usize,
    /// How long a connection may read nothing while events wait for it.
    pub slow_reader: Duration,
    /// How long a request waits for one answer before its response becomes a stream.
    pub stream_after: Duration,
    /// Bytes that wait for one connection.
    pub unread_bytes_max: usize,
    /// Events that wait for one connection.
    pub unread_events_max: usize,
}

impl HttpDownstreamLimits {
    /// What is in force where nothing else is configured.
    pub const DEFAULT: Self = Self {
        body: Duration::from_millis(REQUEST_BODY_MS),
        drain: Duration::from_millis(DRAIN_MS),
        in_flight_max: IN_FLIGHT_MAX,
        keep_alive: Duration::from_millis(KEEP_ALIVE_MS),
        patience: Patience::DEFAULT,
        replay_bytes_max: REPLAY_BYTES_MAX,
        replay_events_max: REPLAY_EVENTS_MAX,
        replay_total_bytes_max: REPLAY_TOTAL_BYTES_MAX,
        request: ReadLimits::REQUEST,
        session_idle: Duration::from_millis(HTTP_SESSION_IDLE_MS),
        session_spare: Duration::from_millis(HTTP_SESSION_SPARE_MS),
        sessions_max: HTTP_SESSIONS_MAX,
        sessions_per_token_max: HTTP_SESSIONS_PER_TOKEN_MAX,
        slow_reader: Duration::from_millis(SLOW_READER_MS),
        stream_after: Duration::from_millis(STREAM_AFTER_MS),
        unread_bytes_max: UNREAD_BYTES_MAX,
        unread_events_max: UNREAD_EVENTS_MAX,
    };
}

/// Serves MCP to agents, for every server behind the gateway.
pub struct McpEndpoint<G: Gate> {
    gate: Arc<G>,
    kept_total: Arc<AtomicUsize>,
    limits: HttpDownstreamLimits,
    peers: Peers,
    posts: Arc<Posts<G::Session>>,
    sessions: Arc<Sessions<G::Session>>,
}

/// Tells proxies not to collect a response before they pass it on.
const NO_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

type Served = Result<Response<McpBody>, Refused>;

/// The session of a request, and the revision that both speak.
type Found<S> = (Arc<HttpSession<S>>, Revision);

impl<G: Gate> McpEndpoint<G> {
    /// An endpoint without sessions.
    pub fn new(gate: Arc<G>, config: EndpointConfig) -> Self {
        let EndpointConfig { limits, peers } = config;
        Self {
            gate,
            kept_total: Arc::default(),
            limits,
            peers,
            posts: Arc::default(),
            sessions: Arc::new(Sessions::new(limits)),
        }
    }

    /// Answers one request for the endpoint of `server`.
    pub async fn serve(&self, server: &str, request: Request<Incoming>) -> Response<McpBody> {
        self.respond(server, request).await.unwrap_or_else(Refused::into_response)
    }

    /// Refuses requests that do not come by a name that is let in, or come from a foreign page, as [`Self::serve`] does; gives the name.
    ///
    /// # Errors
    /// The response that says so.
    pub fn accepted<'a, B>(&self, request: &'a Request<B>) -> Result<&'a str, Box<Response<McpBody>>> {
        self.known(request.uri(), request.headers()).map_err(|refused| Box::new(refused.into_response()))
    }

    /// Ends all sessions: requests in flight finish or are recorded, upstreams are closed, new sessions are refused.
    pub async fn close(&self) {
        self.sessions.close().await;
    }

    /// Open sessions.
    pub fn sessions(&self) -> usize {
        self.sessions.count()
    }

    fn known<'a>(&self, uri: &'a Uri, headers: &'a HeaderMap) -> Result<&'a str, Refused> {
        self.peers.check(uri, headers).map_err(|foreign| {
            self.gate.turned_away(TurnedAway::Foreign);
            Refused::new(StatusCode::FORBIDDEN, foreign.to_string())
        })
    }

    async fn respond(&self, server: &str, request: Request<Incoming>) -> Served {
        let (request, body) = request.into_parts();
        let headers = &request.headers;
        let host = self.known(&request.uri, headers)?;
        let misplaced = |_: &Refused| self.gate.turned_away(TurnedAway::Misplaced);
        let caller = Caller { bearer: bearer(&request.uri, headers).inspect_err(misplaced)?, host, server };
        let admission = match self.gate.admit(caller) {
            // Boxed: every request would carry the room for it.
            Err(AdmitError::Unexamined) => Box::pin(self.gate.examine(caller)).await,
            admitted => admitted,
        };
        let admission = admission.map_err(|error| Refused::not_admitted(error, &*self.gate, caller))?;
        let served = match request.method {
            Method::POST => self.post(server, admission, headers, body).await,
            Method::GET | Method::DELETE if stateless::is_stateless(headers) => Err(stateless::only_post()),
            Method::GET => self.follow(server, admission.holder, headers),
            Method::DELETE => self.session(server, admission.holder, headers).map(|(session, _)| {
                self.sessions.end(&session);
                empty(StatusCode::NO_CONTENT)
            }),
            _ => Err(Refused::new(StatusCode::METHOD_NOT_ALLOWED, "use POST, GET or DELETE".to_owned())
                .with(ALLOW, HeaderValue::from_static("GET, POST, DELETE"))),
        };
        served.inspect_err(|refused| {
            if refused.is_worth_a_note() {
                self.gate.turned_away(TurnedAway::Unfit { caller, status: refused.status, told: &refused.body });
            }
        })
    }

    /// Takes one message.
    async fn post(
        &self,
        server: &str,
        admission: Admission<G::Ticket>,
        headers: &HeaderMap,
        mut body: Incoming,
    ) -> Served {
        if !accepts(headers, &JSON) || !accepts(headers, &EVENT_STREAM) {
            return Err(Refused::new(
                StatusCode::NOT_ACCEPTABLE,
                "accept both `application/json` and `text/event-stream`".to_owned(),
            ));
        }
        if !is_media_type(headers.get(CONTENT_TYPE), &JSON) {
            return Err(Refused::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "send one message as `Content-Type: application/json`".to_owned(),
            ));
        }
        let is_stateless = stateless::is_stateless(headers);
        let session = match headers.contains_key(SESSION_ID) {
            // A session means nothing to a request that stands alone.
            _ if is_stateless => None,
            // Whether that is told by the era of sessions or of none shows in the body.
            _ if names_no_revision(headers) => None,
            true => Some(self.session(server, admission.holder, headers)?),
            false => {
                said_revision(headers)?;
                None
            }
        };
        let body = timeout(self.limits.body, read_body(&mut body, self.limits.request.bytes_max)).await;
        let body = body.map_err(|_elapsed| BodyError::Late).flatten().map_err(|error| {
            if let Some((session, _)) = &session {
                session.agent.unread_from_agent(&error);
                return Refused::from(error).noted();
            }
            Refused::from(error)
        })?;
        let unread = |error: EnvelopeError| {
            let refused = Refused::with_body(StatusCode::BAD_REQUEST, error.reply());
            if let Some((session, _)) = &session {
                session.agent.malformed_by_agent(&error);
                return refused.noted();
            }
            refused
        };
        if let Some((session, revision)) = &session
            && revision.has_batches()
            && batch::is_batch(&body)
        {
            let elements = batch::split(&body, &mut StrictReader::new(self.limits.request)).map_err(unread)?;
            return Box::pin(take_batch(session, elements, prime(*revision), self.limits.stream_after)).await;
        }
        let envelope = Envelope::parse(body, &self.limits.request).map_err(unread)?;
        if is_stateless || stateless::stands_alone(&envelope) {
            let alone = self.posts.take(&*self.gate, &self.sessions, server, admission, headers, envelope);
            return Box::pin(alone).await;
        }
        if session.is_none() {
            said_revision(headers)?;
        }
        match session {
            Some((session, revision)) => take(session, envelope, prime(revision), self.limits.stream_after).await,
            None if envelope.id().is_some() && envelope.method() == Some(OPENING) => {
                // Boxed: every request would carry the room for it.
                Box::pin(self.open(server, admission, envelope)).await
            }
            None => Err(Refused::new(
                StatusCode::BAD_REQUEST,
                format!("no `Mcp-Session-Id`; send `{OPENING}` first, and then the id that its response has"),
            )),
        }
    }

    /// Opens a session. In a task of its own, so that a client that leaves meanwhile leaves nothing half open.
    async fn open(&self, server: &str, admission: Admission<G::Ticket>, envelope: Envelope) -> Served {
        let place = self.sessions.place(admission.holder).await?;
        let id: Box<str> = hex(&self.gate.randomness()).into();
        let downstream = Arc::new(HttpDownstream::new(self.limits, self.kept_total.clone()));
        let opening =
            Opening { downstream, envelope, id, place, server: server.into(), sessions: self.sessions.clone() };
        let (sender, opened) = oneshot::channel();
        let gate = self.gate.clone();
        tokio::spawn(async move {
            let sessions = opening.sessions.clone();
            if let Err(Ok(Opened { session: Some(session), .. })) =
                sender.send(opening.run(&*gate, admission.ticket).await)
            {
                sessions.end(&session);
            }
        });
        let Opened { answer, session } = opened.await.map_err(|_| {
            Refused::new(StatusCode::INTERNAL_SERVER_ERROR, "the session could not be opened".to_owned())
        })??;
        let mut response = json(answer);
        if let Some(id) = session.and_then(|session| HeaderValue::from_str(session.id()).ok()) {
            response.headers_mut().insert(SESSION_ID, id);
        }
        Ok(response)
    }

    /// A GET: the standing stream, or one that broke off, from after the last event that arrived.
    fn follow(&self, server: &str, holder: Holder, headers: &HeaderMap) -> Served {
        if !accepts(headers, &EVENT_STREAM) {
            return Err(Refused::new(StatusCode::NOT_ACCEPTABLE, "accept `text/event-stream`".to_owned()));
        }
        if !headers.contains_key(SESSION_ID) {
            // How a client of revision 2024-11-05 begins.
            return Err(Refused::new(
                StatusCode::BAD_REQUEST,
                format!(
                    "no `Mcp-Session-Id`; the HTTP+SSE transport of revision {} is not offered: POST `{OPENING}` to \
                     this address (Streamable HTTP), or connect over stdio",
                    Revision::V2024_11_05
                ),
            ));
        }
        let (session, revision) = self.session(server, holder, headers)?;
        let unknown =
            || Refused::new(StatusCode::BAD_REQUEST, "`Last-Event-ID` names no event of this session".to_owned());
        let after = match single(headers, &LAST_EVENT_ID).map_err(|_| unknown())? {
            Some(last) => Some(last.to_str().ok().and_then(Place::parse).ok_or_else(unknown)?),
            None => None,
        };
        session.touch();
        let downstream = session.agent.downstream();
        let reading = downstream.outbox().follow(after, prime(revision)).map_err(|error| match error {
            Unreadable::Unknown => unknown(),
            Unreadable::Dropped => Refused::new(
                StatusCode::GONE,
                "nothing that came after this event is kept; repeat the request if that is safe".to_owned(),
            ),
        })?;
        Ok(events(downstream, reading))
    }

    /// The session that a request belongs to, and the revision that both speak.
    fn session(&self, server: &str, holder: Holder, headers: &HeaderMap) -> Result<Found<G::Session>, Refused> {
        let said = said_revision(headers)?;
        let id = single(headers, &SESSION_ID).ok().flatten().and_then(|id| id.to_str().ok());
        let id = id.ok_or_else(|| Refused::new(StatusCode::BAD_REQUEST, "send one `Mcp-Session-Id`".to_owned()))?;
        // Whether another token has such a session is nobody's business.
        let found = self.sessions.find(id, holder, server).and_then(|session| {
            let revision = session.agent.revision()?;
            Some((session, revision))
        });
        let (session, revision) = found.ok_or_else(|| {
            Refused::new(
                StatusCode::NOT_FOUND,
                format!("no such session, or it has ended; open a new one with `{OPENING}`"),
            )
        })?;
        hold_to(revision, said)?;
        Ok((session, revision))
    }
}

/// Whether a request names as its revision what is none that is followed here.
fn names_no_revision(headers: &HeaderMap) -> bool {
    let said = single(headers, &REVISION).ok().flatten();
    said.is_some_and(|said| said.to_str().ok().and_then(Revision::parse).is_none())
}

/// The revision that a request says it speaks.
fn said_revision(headers: &HeaderMap) -> Result<Option<Revision>, Refused> {
    let said = single(headers, &REVISION)
        .map_err(|_| Refused::new(StatusCode::BAD_REQUEST, "send one `MCP-Protocol-Version`".to_owned()))?;
    let Some(said) = said else { return Ok(None) };
    match Revision::parse_of(Era::Handshake, said.to_str().unwrap_or_default()) {
        Some(revision) => Ok(Some(revision)),
        None => Err(Refused::new(
            StatusCode::BAD_REQUEST,
            format!(
                "this `MCP-Protocol-Version` is not spoken here; these are: {}",
                era::spoken(Era::Handshake).join(", ")
            ),
        )),
    }
}

/// Holds a request to the revision that its session settled on. One that does not say it, where it must, speaks an older one.
fn hold_to(settled: Revision, said: Option<Revision>) -> Result<(), Refused> {
    let refuse = |says: String| {
        let text = format!(
            "the session speaks revision {settled}, and this request says {says}; send `MCP-Protocol-Version: {settled}`"
        );
        Err(Refused::new(StatusCode::BAD_REQUEST, text))
    };
    match said {
        Some(said) if said != settled => refuse(said.to_string()),
        None if settled.needs_header() => refuse(format!("none, which stands for {}", Revision::UNSAID)),
        Some(_) | None => Ok(()),
    }
}

/// Whether streams of a session begin with an event that has only a number.
const fn prime(revision: Revision) -> Prime {
    if revision.has_priming_events() { Prime::Event } else { Prime::Nothing }
}

/// Takes a message in its session, and answers if it asks for an answer.
async fn take<S: Session>(
    session: Arc<HttpSession<S>>,
    envelope: Envelope,
    prime: Prime,
    stream_after: Duration,
) -> Served {
    session.touch();
    let downstream = session.agent.downstream().clone();
    let asks = match envelope.kind() {
        EnvelopeKind::Request { id, .. } => Some(id.clone()),
        EnvelopeKind::Notification { .. } | EnvelopeKind::Response { .. } | EnvelopeKind::ErrorResponse { .. } => None,
    };
    if let Some(id) = &asks {
        downstream.outbox().open(id.clone(), Form::Either(prime)).map_err(|error| Refused::not_opened(error, id))?;
    }
    let agent = session.agent.clone();
    let work = async move {
        if let Received::Request(admitted) = agent.receive(envelope).await {
            agent.answer(admitted).await;
        }
    };
    finish(Work { downstream, id: asks, rest: Some(Box::pin(work)) }, stream_after).await
}

/// Takes a batch in its session. It is answered as one request, under the id of its first.
async fn take_batch<S: Session>(
    session: &HttpSession<S>,
    elements: Vec<Result<Envelope, EnvelopeError>>,
    prime: Prime,
    stream_after: Duration,
) -> Served {
    session.touch();
    let (agent, downstream) = (session.agent.clone(), session.agent.downstream().clone());
    let Some(id) = carrier(&elements).cloned() else {
        let (sender, refusals) = oneshot::channel();
        let work = async move {
            let _left = sender.send(agent.receive_batch(elements).await.refusals());
        };
        let taken = finish(Work { downstream, id: None, rest: Some(Box::pin(work)) }, stream_after).await;
        return match refusals.await.ok().flatten() {
            Some(refusals) => Err(Refused::with_body(StatusCode::BAD_REQUEST, refusals)),
            None => taken,
        };
    };
    downstream.outbox().open(id.clone(), Form::Either(prime)).map_err(|error| Refused::not_opened(error, &id))?;
    let work = async move {
        let taken = agent.receive_batch(elements).await;
        agent.answer_batch(taken).await;
    };
    finish(Work { downstream, id: Some(id), rest: Some(Box::pin(work)) }, stream_after).await
}

/// Works until there is a response.
async fn finish(mut work: Work, stream_after: Duration) -> Served {
    match work.outcome(stream_after).await {
        Outcome::Done => {}
        Outcome::Streamed(reading) => {
            // The response begins now; the work goes on beside it.
            let response = events(&work.downstream, reading);
            work.detach();
            return Ok(response);
        }
    }
    let Some(id) = work.id.take() else { return Ok(empty(StatusCode::ACCEPTED)) };
    let closed = work.downstream.outbox().close(&id);
    Ok(match closed {
        Closed::Answered(answer) => json(answer),
        Closed::Silent => empty(StatusCode::ACCEPTED),
        Closed::Streamed(reading) => events(&work.downstream, reading),
    })
}

/// The work on one message. Dropped before it is done, it goes on in a task: the client has left, and what has begun must end in its record.
struct Work {
    downstream: Arc<HttpDownstream>,
    /// The request, until it is closed.
    id: Option<RawId>,
    rest: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

enum Outcome {
    Done,
    Streamed(Reading),
}

impl Work {
    /// Works until the work is done or the response must be a stream.
    async fn outcome(&mut self, stream_after: Duration) -> Outcome {
        let mut patience = std::pin::pin!(sleep(stream_after));
        poll_fn(|context| {
            if self.rest.as_mut().is_none_or(|rest| rest.as_mut().poll(context).is_ready()) {
                self.rest = None;
                return Poll::Ready(Outcome::Done);
            }
            let Some(id) = &self.id else { return Poll::Pending };
            let mut outbox = self.downstream.outbox();
            if let Poll::Ready(reading) = outbox.poll_streamed(id, context) {
                return Poll::Ready(Outcome::Streamed(reading));
            }
            match patience.as_mut().poll(context) {
                Poll::Ready(()) => {
                    outbox.stream(id).map_or(Poll::Pending, |reading| Poll::Ready(Outcome::Streamed(reading)))
                }
                Poll::Pending => Poll::Pending,
            }
        })
        .await
    }

    /// Lets what is left go on in a task.
    fn detach(&mut self) {
        let (Some(rest), Ok(runtime)) = (self.rest.take(), Handle::try_current()) else { return };
        let (downstream, id) = (self.downstream.clone(), self.id.take());
        runtime.spawn(async move {
            rest.await;
            if let Some(id) = id {
                downstream.outbox().close(&id);
            }
        });
    }
}

impl Drop for Work {
    fn drop(&mut self) {
        if let Some(id) = &self.id {
            self.downstream.outbox().abandon(id);
        }
        self.detach();
    }
}

/// What opening a session needs.
struct Opening<S> {
    downstream: Arc<HttpDownstream>,
    envelope: Envelope,
    id: Box<str>,
    place: sessions::Place,
    server: Box<str>,
    sessions: Arc<Sessions<S>>,
}

/// The answer to a handshake; with a session if it succeeded.
struct Opened<S> {
    answer: Bytes,
    session: Option<Arc<HttpSession<S>>>,
}

impl<S: Session> Opening<S> {
    async fn run<G: Gate<Session = S>>(self, gate: &G, ticket: G::Ticket) -> Result<Opened<S>, Refused> {
        let Self { downstream, envelope, id, place, server, sessions } = self;
        let Some(asks) = envelope.id().cloned() else {
            return Err(Refused::new(StatusCode::BAD_REQUEST, "the handshake is a request".to_owned()));
        };
        let Connected { incoming, session, upstream } =
            gate.connect(&server, ticket).await.map_err(|error| Refused::not_connected(&error, &asks))?;
        downstream.outbox().open(asks.clone(), Form::Message).map_err(|error| Refused::not_opened(error, &asks))?;
        let agent = Arc::new(
            AgentSession::new(session, Arc::new(upstream), downstream.clone(), "http")
                .with_patience(downstream.limits().patience),
        );
        let session = sessions.tend(id, server, place, agent.clone(), incoming);
        if let Received::Request(admitted) = agent.receive(envelope).await {
            agent.answer(admitted).await;
        }
        let closed = downstream.outbox().close(&asks);
        let Closed::Answered(Message { bytes: answer, .. }) = closed else {
            sessions.end(&session);
            return Err(Refused::new(StatusCode::BAD_GATEWAY, "the handshake was not answered".to_owned()));
        };
        let read = Envelope::parse(answer.clone(), &ReadLimits::RESPONSE);
        let is_open = read.is_ok_and(|answer| matches!(answer.kind(), EnvelopeKind::Response { .. }));
        // It may have ended meanwhile; its client then hears of it at its next message.
        if is_open && sessions.add(&session) {
            return Ok(Opened { answer, session: Some(session) });
        }
        sessions.end(&session);
        Ok(Opened { answer, session: is_open.then_some(session) })
    }
}

/// One session's messages on their way to its client.
#[derive(Debug)]
pub struct HttpDownstream {
    limits: HttpDownstreamLimits,
    outbox: Mutex<Outbox>,
}

impl HttpDownstream {
    fn new(limits: HttpDownstreamLimits, kept_total: Arc<AtomicUsize>) -> Self {
        Self { limits, outbox: Mutex::new(Outbox::new(limits, kept_total)) }
    }

    fn outbox(&self) -> MutexGuard<'_, Outbox> {
        // Nothing that changes it can panic.
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    const fn limits(&self) -> &HttpDownstreamLimits {
        &self.limits
    }

    /// Ends all streams.
    fn end(&self) {
        self.outbox().end();
    }

    /// Waits until no request is open.
    async fn quiet(&self) {
        loop {
            let quiet = self.outbox().quiet();
            let Some(quiet) = quiet else { return };
            let notified = quiet.notified();
            if self.outbox().quiet().is_none() {
                return;
            }
            notified.await;
        }
    }
}

impl Downstream for HttpDownstream {
    async fn deliver(&self, address: Address<'_>, message: impl Into<Message> + Send) -> Result<(), Gone> {
        let message = message.into();
        loop {
            let offered = self.outbox().offer(address, &message);
            let (reading, room) = match offered {
                Offered::Taken => return Ok(()),
                Offered::Gone => return Err(Gone),
                Offered::Full(reading, room) => (reading, room),
            };
            if timeout(self.limits.slow_reader, room.notified()).await.is_err() {
                self.outbox().cut(reading);
            }
        }
    }
}

/// A request that is refused before it reaches a session.
#[derive(Debug)]
struct Refused {
    body: Bytes,
    header: Option<(HeaderName, HeaderValue)>,
    /// Whether it is in the evidence.
    is_noted: bool,
    status: StatusCode,
}

impl Refused {
    /// With a JSON-RPC error that belongs to no request, which clients show.
    fn new(status: StatusCode, text: String) -> Self {
        Self::with_body(status, author::error_reply(None, author::INVALID_REQUEST, &text, None))
    }

    const fn with_body(status: StatusCode, body: Bytes) -> Self {
        Self { body, header: None, is_noted: false, status }
    }

    fn with(self, name: HeaderName, value: HeaderValue) -> Self {
        Self { header: Some((name, value)), ..self }
    }

    fn noted(self) -> Self {
        Self { is_noted: true, ..self }
    }

    /// Whether it should be in the evidence and is not. Clients look for sessions that have ended, and for streams that are not offered, whenever they come back.
    fn is_worth_a_note(&self) -> bool {
        !self.is_noted && !matches!(self.status, StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED)
    }

    fn not_connected(error: &ConnectError, id: &RawId) -> Self {
        let status = match error {
            ConnectError::Unavailable(_) => StatusCode::SERVICE_UNAVAILABLE,
            ConnectError::Upstream(_) => StatusCode::BAD_GATEWAY,
        };
        Self::with_body(status, author::error_reply(Some(id), author::INTERNAL_ERROR, &error.to_string(), None))
    }

    fn not_opened(error: Unopened, id: &RawId) -> Self {
        match error {
            Unopened::IdInUse => Self::new(
                StatusCode::BAD_REQUEST,
                format!("id {} belongs to a request that is not answered yet; use a new id", id.json()),
            ),
            Unopened::TooMany => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "too many requests of this session are unanswered; wait for answers before sending more".to_owned(),
            ),
        }
    }

    fn into_response(self) -> Response<McpBody> {
        let mut response = json(self.body);
        *response.status_mut() = self.status;
        if let Some((name, value)) = self.header {
            response.headers_mut().insert(name, value);
        }
        response
    }
}

impl From<BodyError> for Refused {
    fn from(error: BodyError) -> Self {
        match error {
            BodyError::Late => Self::new(StatusCode::REQUEST_TIMEOUT, error.to_string()),
            BodyError::Broken(_) => Self::new(StatusCode::BAD_REQUEST, "the body broke off".to_owned()),
            BodyError::TooLarge { bytes_max } => Self::new(
                StatusCode::PAYLOAD_TOO_LARGE,
                format!("the body is larger than {bytes_max} bytes; send less in one message"),
            ),
        }
    }
}

/// Whether an `Accept` takes `kind`. Clients that do not say must send it all the same.
fn accepts(headers: &HeaderMap, kind: &HeaderValue) -> bool {
    let kind = kind.as_bytes();
    let family = kind.split(|byte| *byte == b'/').next().unwrap_or_default();
    let takes = |range: &[u8]| {
        let range = range.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
        range == b"*/*"
            || range.eq_ignore_ascii_case(kind)
            || range.strip_suffix(b"/*").is_some_and(|range| range.eq_ignore_ascii_case(family))
    };
    headers.get_all(ACCEPT).iter().any(|value| value.as_bytes().split(|byte| *byte == b',').any(takes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn empty(status: StatusCode) -> Response<McpBody> {
    let mut response = Response::new(McpBody::empty());
    *response.status_mut() = status;
    response
}

fn json(message: impl Into<Message>) -> Response<McpBody> {
    let mut response = Response::new(McpBody::whole(message.into()));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

fn events(downstream: &Arc<HttpDownstream>, reading: Reading) -> Response<McpBody> {
    event_stream(McpBody::events(downstream.clone(), reading))
}

/// The stream of one request that stands alone.
fn stream(mailbox: &Arc<Mailbox>) -> Response<McpBody> {
    let mut response = event_stream(McpBody::mail(mailbox.clone()));
    // Proxies that collect responses would keep notifications from their reader.
    response.headers_mut().insert(NO_BUFFERING, HeaderValue::from_static("no"));
    response
}

fn event_stream(body: McpBody) -> Response<McpBody> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, EVENT_STREAM);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache, no-transform"));
    response
}
