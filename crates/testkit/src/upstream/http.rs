//! Streamable HTTP (MCP 2025-11-25, Transports): one endpoint, sessions, JSON or a stream for an answer, resumption.
//!
//! Strict about what a client must send (`Accept`, session, revision, `Origin`), because a gateway's client side is what it is there to test. Every stream
//! is a log in its session; a connection follows the log from some event on, so that resuming is following from elsewhere.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::convert::Infallible;
use std::io::Write as _;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use anyhow::Context as _;
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, ORIGIN};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, mpsc};

use super::script::{Plan, Script, Shape, Wire, run};
use super::tools::{Server, speaks};
use crate::limits::{
    QUEUE_MESSAGES_MAX, STREAM_EVENTS_MAX, STREAMS_KEPT_MAX, UPSTREAM_MESSAGE_BYTES_MAX, UPSTREAM_SESSIONS_MAX,
};

const SESSION_ID: HeaderName = HeaderName::from_static("mcp-session-id");
const REVISION: HeaderName = HeaderName::from_static("mcp-protocol-version");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
/// The stream of the server's own notifications; answers have streams from 1.
const OWN_STREAM: u64 = 0;

/// Listens on `addr` and says on standard output where.
pub(super) async fn serve(server: Rc<Server>, addr: SocketAddr) -> anyhow::Result<()> {
    let listener = TcpListener::bind(addr).await.with_context(|| format!("listen on `{addr}`"))?;
    let addr = listener.local_addr()?;
    let mut out = std::io::stdout().lock();
    writeln!(out, r#"{{"addr":"{addr}","pid":{},"url":"http://{addr}/mcp"}}"#, std::process::id())?;
    out.flush()?;
    drop(out);
    let endpoint = Rc::new(Endpoint { server, sessions: RefCell::default() });
    loop {
        match listener.accept().await {
            Ok((stream, _)) => serve_connection(stream, &endpoint),
            // Too many open files, or a client that was gone at once: the next turn of the reactor may do better.
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

fn serve_connection(stream: TcpStream, endpoint: &Rc<Endpoint>) {
    let endpoint = Rc::clone(endpoint);
    tokio::task::spawn_local(async move {
        if stream.set_nodelay(true).is_err() {
            return;
        }
        let service = service_fn(|request| {
            let endpoint = Rc::clone(&endpoint);
            async move {
                Ok::<_, Infallible>(
                    endpoint.respond(request).await.unwrap_or_else(|refused| plain(refused.status, refused.why)),
                )
            }
        });
        // How a client leaves is its own business.
        let _left = http1::Builder::new().pipeline_flush(true).serve_connection(TokioIo::new(stream), service).await;
    });
}

/// The one MCP endpoint.
struct Endpoint {
    server: Rc<Server>,
    sessions: RefCell<HashMap<Box<str>, Rc<Session>>>,
}

type Answered = Result<Response<Reply>, Refused>;

/// A request that is not answered as MCP.
struct Refused {
    status: StatusCode,
    why: &'static str,
}

const fn refused(status: StatusCode, why: &'static str) -> Refused {
    Refused { status, why }
}

impl Endpoint {
    async fn respond(&self, request: Request<Incoming>) -> Answered {
        if request.uri().path() != "/mcp" {
            return Err(refused(StatusCode::NOT_FOUND, "the endpoint is /mcp"));
        }
        if request.headers().get(ORIGIN).is_some_and(|origin| !is_local(origin)) {
            return Err(refused(StatusCode::FORBIDDEN, "foreign origin"));
        }
        if let Some(revision) = request.headers().get(REVISION)
            && !revision.to_str().is_ok_and(speaks)
        {
            return Err(refused(StatusCode::BAD_REQUEST, "unknown MCP-Protocol-Version"));
        }
        match *request.method() {
            Method::POST => self.post(request).await,
            Method::GET => self.follow(&request),
            Method::DELETE => {
                let session = self.session(&request)?;
                self.sessions.borrow_mut().remove(&*session.id);
                session.end();
                Ok(plain(StatusCode::NO_CONTENT, ""))
            }
            _ => {
                let mut not_allowed = plain(StatusCode::METHOD_NOT_ALLOWED, "");
                not_allowed.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, POST, DELETE"));
                Ok(not_allowed)
            }
        }
    }

    async fn post(&self, request: Request<Incoming>) -> Answered {
        if !accepts(&request, "application/json") || !accepts(&request, "text/event-stream") {
            return Err(refused(StatusCode::NOT_ACCEPTABLE, "accept both application/json and text/event-stream"));
        }
        if !request.headers().get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/json")) {
            return Err(refused(StatusCode::UNSUPPORTED_MEDIA_TYPE, "send application/json"));
        }
        if request.headers().contains_key(SESSION_ID) {
            let session = self.session(&request)?;
            let body = read_body(request.into_body()).await?;
            return self.message(&body, &session).await;
        }
        let body = read_body(request.into_body()).await?;
        if !is_initialize(&body) {
            return Err(refused(StatusCode::BAD_REQUEST, "no Mcp-Session-Id; initialize first"));
        }
        let session = self.new_session()?;
        let mut answered = self.message(&body, &session).await?;
        if let Ok(id) = HeaderValue::from_str(&session.id) {
            answered.headers_mut().insert(SESSION_ID, id);
        }
        Ok(answered)
    }

    async fn message(&self, body: &[u8], session: &Rc<Session>) -> Answered {
        match self.server.plan(body, &session.id) {
            Plan::Nothing => Ok(plain(StatusCode::ACCEPTED, "")),
            Plan::Now(message) => Ok(json(message)),
            Plan::Script(script) => {
                let shape = script.shape;
                let stream = self.start(script, session);
                match shape {
                    Shape::Single => Ok(stream.only().await.map_or_else(|| plain(StatusCode::ACCEPTED, ""), json)),
                    Shape::Stream => Ok(event_stream(&stream, 0)),
                }
            }
        }
    }

    fn start(&self, script: Script, session: &Rc<Session>) -> Rc<Stream> {
        let stream = session.new_stream();
        let (server, session, log) = (Rc::clone(&self.server), Rc::clone(session), Rc::clone(&stream));
        tokio::task::spawn_local(async move {
            let wire = StreamWire { log: &log, session: &session };
            run(script, server.waiting(), &session.id, &wire).await;
            log.end();
        });
        stream
    }

    /// A GET: the server's own stream, or one that broke, from after the last event that arrived.
    fn follow(&self, request: &Request<Incoming>) -> Answered {
        if !accepts(request, "text/event-stream") {
            return Err(refused(StatusCode::NOT_ACCEPTABLE, "accept text/event-stream"));
        }
        let session = self.session(request)?;
        let Some(last) = request.headers().get(LAST_EVENT_ID) else {
            let own = session.stream(OWN_STREAM).ok_or_else(|| refused(StatusCode::NOT_FOUND, "session is ending"))?;
            return Ok(event_stream(&own, own.len()));
        };
        let found = last
            .to_str()
            .ok()
            .and_then(|id| id.split_once('-'))
            .and_then(|(stream, index)| Some((session.stream(stream.parse().ok()?)?, index.parse().ok()?)));
        match found {
            Some((stream, after)) => Ok(event_stream(&stream, after)),
            None => Err(refused(StatusCode::NOT_FOUND, "no such event")),
        }
    }

    fn session(&self, request: &Request<Incoming>) -> Result<Rc<Session>, Refused> {
        let id = request.headers().get(SESSION_ID);
        let id = id.ok_or_else(|| refused(StatusCode::BAD_REQUEST, "no Mcp-Session-Id"))?;
        let found = id.to_str().ok().and_then(|id| self.sessions.borrow().get(id).map(Rc::clone));
        found.ok_or_else(|| refused(StatusCode::NOT_FOUND, "no such session"))
    }

    fn new_session(&self) -> Result<Rc<Session>, Refused> {
        let mut sessions = self.sessions.borrow_mut();
        let mut random = [0; 16];
        if sessions.len() >= UPSTREAM_SESSIONS_MAX || getrandom::fill(&mut random).is_err() {
            return Err(refused(StatusCode::SERVICE_UNAVAILABLE, "no more sessions"));
        }
        let id: Box<str> = hex::encode(random).into();
        let own = Rc::new(Stream::new(OWN_STREAM));
        let streams = RefCell::new(VecDeque::from([Rc::clone(&own)]));
        let session = Rc::new(Session { id: id.clone(), next_stream: Cell::new(OWN_STREAM + 1), own, streams });
        sessions.insert(id, Rc::clone(&session));
        Ok(session)
    }
}

/// One client.
struct Session {
    id: Box<str>,
    next_stream: Cell<u64>,
    own: Rc<Stream>,
    streams: RefCell<VecDeque<Rc<Stream>>>,
}

impl Session {
    fn new_stream(&self) -> Rc<Stream> {
        let number = self.next_stream.get();
        self.next_stream.set(number + 1);
        let stream = Rc::new(Stream::new(number));
        let mut streams = self.streams.borrow_mut();
        if streams.len() > STREAMS_KEPT_MAX {
            // The first is the server's own and stays.
            streams.remove(1);
        }
        streams.push_back(Rc::clone(&stream));
        stream
    }

    fn stream(&self, number: u64) -> Option<Rc<Stream>> {
        self.streams.borrow().iter().find(|stream| stream.number == number).map(Rc::clone)
    }

    fn end(&self) {
        for stream in &*self.streams.borrow() {
            stream.end();
        }
    }
}

/// A log of messages that connections follow.
struct Stream {
    changed: Notify,
    /// Followers leave after this many events: the connection was cut there.
    cut_after: Cell<Option<usize>>,
    ended: Cell<bool>,
    events: RefCell<Vec<Bytes>>,
    number: u64,
}

impl Stream {
    fn new(number: u64) -> Self {
        Self {
            changed: Notify::new(),
            cut_after: Cell::default(),
            ended: Cell::default(),
            events: RefCell::default(),
            number,
        }
    }

    fn push(&self, message: Bytes) {
        let mut events = self.events.borrow_mut();
        events.push(message);
        if events.len() >= STREAM_EVENTS_MAX {
            self.ended.set(true);
        }
        self.changed.notify_waiters();
    }

    fn end(&self) {
        self.ended.set(true);
        self.changed.notify_waiters();
    }

    fn len(&self) -> usize {
        self.events.borrow().len()
    }

    /// The first message; `None` when the stream ends without one.
    async fn only(&self) -> Option<Bytes> {
        match self.after(0).await {
            Next::Event(message) => Some(message),
            Next::Cut | Next::End => None,
        }
    }

    /// What comes after the first `index` messages, as soon as it is there.
    async fn after(&self, index: usize) -> Next {
        loop {
            let changed = self.changed.notified();
            if self.cut_after.get() == Some(index) {
                return Next::Cut;
            }
            if let Some(message) = self.events.borrow().get(index) {
                return Next::Event(message.clone());
            }
            if self.ended.get() {
                return Next::End;
            }
            changed.await;
        }
    }
}

enum Next {
    Event(Bytes),
    Cut,
    End,
}

/// Writes a script's messages to its stream.
struct StreamWire<'a> {
    log: &'a Stream,
    session: &'a Session,
}

impl Wire for StreamWire<'_> {
    fn send(&self, message: Bytes) {
        self.log.push(message);
    }

    fn garbage(&self, bytes: Bytes) {
        self.log.push(bytes);
    }

    fn announce(&self, message: Bytes) {
        self.session.own.push(message);
    }

    fn cut(&self) {
        self.log.cut_after.set(Some(self.log.len()));
        self.log.changed.notify_waiters();
    }
}

/// A response that follows `stream` from after its first `index` events.
fn event_stream(stream: &Rc<Stream>, index: usize) -> Response<Reply> {
    let (frames, body) = mpsc::channel(QUEUE_MESSAGES_MAX);
    let stream = Rc::clone(stream);
    tokio::task::spawn_local(async move {
        tokio::select! {
            () = send_events(&stream, index, &frames) => (),
            () = frames.closed() => (),
        }
    });
    let mut response = Response::new(Reply::Stream(body));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

async fn send_events(stream: &Stream, from: usize, frames: &mpsc::Sender<Bytes>) {
    // An id without data first: with it a client can resume even before the first event.
    let mut frame = Bytes::from(format!("id: {}-{from}\ndata:\n\n", stream.number));
    for index in from.. {
        if frames.send(frame).await.is_err() {
            return;
        }
        frame = match stream.after(index).await {
            Next::Event(message) => event(stream.number, index + 1, &message),
            Next::End => return,
            Next::Cut => {
                stream.cut_after.set(None);
                // Whether the client still hears how long to wait makes no difference to it.
                let _unheard = frames.send(Bytes::from_static(b"retry: 10\n\n")).await;
                return;
            }
        };
    }
}

fn event(stream: u64, index: usize, message: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(message.len() + 40);
    out.extend_from_slice(format!("id: {stream}-{index}\n").as_bytes());
    for line in message.strip_suffix(b"\n").unwrap_or(message).split(|byte| *byte == b'\n') {
        out.extend_from_slice(b"data: ");
        out.extend_from_slice(line);
        out.extend_from_slice(b"\n");
    }
    out.extend_from_slice(b"\n");
    out.freeze()
}

/// A body: nothing or one piece, or a stream.
enum Reply {
    Whole(Option<Bytes>),
    Stream(mpsc::Receiver<Bytes>),
}

impl Body for Reply {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        match &mut *self {
            Self::Whole(bytes) => Poll::Ready(bytes.take().map(|bytes| Ok(Frame::data(bytes)))),
            Self::Stream(frames) => frames.poll_recv(context).map(|frame| frame.map(|bytes| Ok(Frame::data(bytes)))),
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(self, Self::Whole(None))
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
            Self::Stream(_) => SizeHint::default(),
        }
    }
}

fn json(message: Bytes) -> Response<Reply> {
    let mut response = Response::new(Reply::Whole(Some(message)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

fn plain(status: StatusCode, why: &'static str) -> Response<Reply> {
    let body = (!why.is_empty()).then(|| Bytes::from_static(why.as_bytes()));
    let mut response = Response::new(Reply::Whole(body));
    *response.status_mut() = status;
    response
}

fn accepts(request: &Request<Incoming>, kind: &str) -> bool {
    request.headers().get_all(ACCEPT).iter().any(|value| value.to_str().is_ok_and(|value| value.contains(kind)))
}

fn is_local(origin: &HeaderValue) -> bool {
    let host = origin.to_str().unwrap_or_default().strip_prefix("http://").unwrap_or_default();
    ["localhost", "127.0.0.1", "[::1]"]
        .iter()
        .any(|local| host.strip_prefix(local).is_some_and(|rest| rest.is_empty() || rest.starts_with(':')))
}

fn is_initialize(body: &[u8]) -> bool {
    super::message::Message::parse(body).is_ok_and(|message| message.method.as_deref() == Some("initialize"))
}

async fn read_body(mut body: Incoming) -> Result<Bytes, Refused> {
    let mut whole = Bytes::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| refused(StatusCode::BAD_REQUEST, "the body broke off"))?;
        let Ok(data) = frame.into_data() else { continue };
        if whole.len() + data.len() > UPSTREAM_MESSAGE_BYTES_MAX {
            return Err(refused(StatusCode::PAYLOAD_TOO_LARGE, "message too large"));
        }
        // One frame is the rule, and it is taken as it is.
        whole = if whole.is_empty() { data } else { [whole, data].concat().into() };
    }
    Ok(whole)
}
