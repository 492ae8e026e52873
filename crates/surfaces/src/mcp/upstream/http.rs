//! An upstream behind Streamable HTTP (MCP revision 2025-11-25, Transports).
//!
//! Each message is a POST on a connection that the request itself drives ([`connection`]); the answer is one message or a stream ([`events`]). A stream that breaks
//! is resumed, which asks for the rest of an answer and never sends a call twice. What the server sends outside of answers comes over a standing GET
//! ([`standing`]). Redirects are not followed, and nothing that an agent sent becomes a header.

mod authorization;
pub(in crate::mcp) mod connection;
mod events;
mod standing;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http::header::{
    ACCEPT, CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HOST, HeaderMap, HeaderValue, TE, TRANSFER_ENCODING,
    UPGRADE,
};
use http::{Method, Request, Response, StatusCode, Uri};
use http_body_util::Full;
use hyper::body::Incoming as IncomingBody;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

pub use self::authorization::{Authorization, Kept, Refusal};
use self::connection::{Connection, Dial, Idle, SendFault, with_causes};
use super::incoming::{IncomingQueue, IncomingSender, incoming};
use super::{Incoming, UpstreamFault};
use crate::limits::{
    CONNECT_MS, ERROR_BODY_BYTES_MAX, ERROR_TEXT_CHARS_MAX, GOODBYE_MS, INCOMING_MAX, RESUME_WAIT_MS, ReadLimits,
    SEND_MS, SESSION_ID_BYTES_MAX, STANDING_WAIT_MS,
};
use crate::mcp::codec::batch::{Arrays, Messages, is_batch};
use crate::mcp::codec::strict::StrictReader;
use crate::mcp::codec::{Envelope, EnvelopeKind, Raw, RawId, Shape};
use crate::mcp::era::{Era, Revision};
use crate::mcp::mirror::{self, PARAM};
use crate::mcp::streamable::{
    BodyError, EVENT_STREAM, JSON, LAST_EVENT_ID, REVISION, SESSION_ID, is_media_type, read_body,
};

/// Both forms that an answer may have.
const EITHER: HeaderValue = HeaderValue::from_static("application/json, text/event-stream");

/// Which server, and what every request to it carries. Cheap to clone; made once for each configured server.
#[derive(Clone, Debug)]
pub struct HttpUpstreamConfig {
    authorization: Option<Arc<dyn Authorization>>,
    limits: HttpUpstreamLimits,
    target: Arc<Target>,
}

#[derive(Debug)]
struct Target {
    dial: Dial,
    headers: HeaderMap,
    /// The request target: path and query.
    path: Uri,
    url: Uri,
}

/// The bounds on one upstream. [`HttpUpstreamLimits::DEFAULT`] is what is in force where nothing else is configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HttpUpstreamLimits {
    /// How long a connection may take to open.
    pub connect: Duration,
    /// The largest message, and its shape.
    pub response: ReadLimits,
    /// How long to wait before a stream is resumed, where the server does not say.
    pub resume_wait: Duration,
    /// How long to wait before the standing stream is opened again, where the server does not say.
    pub standing_wait: Duration,
}

impl HttpUpstreamLimits {
    /// What is in force where nothing else is configured.
    pub const DEFAULT: Self = Self {
        connect: Duration::from_millis(CONNECT_MS),
        response: ReadLimits::RESPONSE,
        resume_wait: Duration::from_millis(RESUME_WAIT_MS),
        standing_wait: Duration::from_millis(STANDING_WAIT_MS),
    };
}

/// Why an upstream's configuration does not do.
#[derive(Debug, thiserror::Error)]
pub enum HttpUpstreamError {
    /// A header that the protocol sets itself.
    #[error("header `{0}` is set by the protocol; leave it out")]
    Header(String),
    /// The machine's trusted certificates cannot be loaded.
    #[error("load the certificates that this machine trusts: {0}; install `ca-certificates`")]
    Roots(#[source] std::io::Error),
    /// Not an address of an HTTP server.
    #[error("`{url}` is not an address of an HTTP server: {why}")]
    Url {
        /// What is wrong with it.
        why: &'static str,
        /// The address, without what may be secret.
        url: String,
    },
}

impl HttpUpstreamConfig {
    /// Reads an address, and the headers that the operator adds to every request, such as `Authorization`.
    ///
    /// # Errors
    /// [`HttpUpstreamError`] says what to change.
    pub fn parse(url: &str, mut headers: HeaderMap, limits: HttpUpstreamLimits) -> Result<Self, HttpUpstreamError> {
        let shown = url.split_once('?').map_or(url, |(before, _)| before);
        let fault = |why| HttpUpstreamError::Url { why, url: shown.to_owned() };
        let url: Uri = url.parse().map_err(|_| fault("use the form https://host/path"))?;
        let authority = url.authority().ok_or_else(|| fault("it has no host; use the form https://host/path"))?;
        if authority.as_str().contains('@') {
            return Err(HttpUpstreamError::Url {
                why: "put credentials into a header, not into the address",
                url: url.host().unwrap_or_default().to_owned(),
            });
        }
        let reserved = [
            ACCEPT,
            CONNECTION,
            CONTENT_LENGTH,
            CONTENT_TYPE,
            EXPECT,
            HOST,
            LAST_EVENT_ID,
            REVISION,
            SESSION_ID,
            TE,
            TRANSFER_ENCODING,
            UPGRADE,
        ];
        if let Some(name) = reserved.iter().find(|name| headers.contains_key(*name)) {
            return Err(HttpUpstreamError::Header(name.to_string()));
        }
        let dial = match url.scheme_str() {
            Some("http") => Dial::plain(),
            Some("https") => Dial::tls().map_err(HttpUpstreamError::Roots)?,
            _ => return Err(fault("only http and https are spoken")),
        };
        // Debug output and traces leave out what is sensitive.
        headers.values_mut().for_each(|value| value.set_sensitive(true));
        headers.insert(HOST, authority.as_str().parse().map_err(|_| fault("the host cannot be a header"))?);
        let path = url.path_and_query().map_or_else(|| Ok(Uri::from_static("/")), |path| path.as_str().parse());
        let path = path.map_err(|_| fault("the path cannot be requested"))?;
        Ok(Self { authorization: None, limits, target: Arc::new(Target { dial, headers, path, url }) })
    }
}

impl HttpUpstreamConfig {
    /// The same server, with the tokens that `authorization` keeps.
    #[must_use]
    pub fn authorized(self, authorization: Arc<dyn Authorization>) -> Self {
        Self { authorization: Some(authorization), ..self }
    }
}

/// A server that speaks MCP over HTTP, for one session.
pub struct HttpUpstream {
    link: Arc<Link>,
    standing: Mutex<Standing>,
}

/// The stream for what belongs to no request.
#[derive(Debug)]
enum Standing {
    /// It opens with the first message after the handshake, which is the client's `notifications/initialized`; servers refuse it before that.
    AwaitMessage,
    AwaitHandshake,
    Open(AbortHandle),
    Closed,
}

/// What requests and the standing stream share.
struct Link {
    config: HttpUpstreamConfig,
    headers: Mutex<Headers>,
    /// `None` once the session has ended.
    incoming: Mutex<Option<Arc<IncomingSender>>>,
    /// The status with which the server refused the last message that it refused; 0: none.
    refused_with: AtomicU16,
    shared: Arc<Shared>,
    /// Requests that were answered with a stream, until the answer is passed on.
    streamed: Mutex<HashSet<RawId>>,
    era: Era,
}

/// What the lanes to one server share.
#[derive(Default)]
struct Shared {
    closed: Notify,
    ended: AtomicBool,
    idle: Idle,
}

/// What every request carries at this point of the session.
struct Headers {
    /// Once the session is open.
    revision: Option<Revision>,
    session: Option<HeaderValue>,
    template: HeaderMap,
}

/// An answer whose body is still to be read.
#[derive(Debug)]
struct Exchange {
    connection: Box<Connection>,
    response: Response<IncomingBody>,
}

impl HttpUpstream {
    /// A link to the server. Connections are opened when they are needed.
    pub fn connect(config: HttpUpstreamConfig) -> (Self, IncomingQueue) {
        let template = config.target.headers.clone();
        Self::over(config, template, Arc::default(), Era::Handshake)
    }

    /// A link for one request that stands alone, with the headers that repeat it. Shares connections and its end with this one; leaving it closes the connection
    /// that its answer comes on, which takes the request back.
    pub(super) fn lane(&self, headers: HeaderMap) -> (Self, IncomingQueue) {
        let mut template = self.link.config.target.headers.clone();
        template.extend(headers);
        Self::over(self.link.config.clone(), template, self.link.shared.clone(), Era::Stateless)
    }

    /// See [`super::Upstream::carried`].
    pub(super) fn carried(&self) -> Vec<(String, String)> {
        let headers = self.link.headers.lock().unwrap_or_else(PoisonError::into_inner);
        let carried = headers.template.iter().filter(|(name, _)| name.as_str().starts_with(PARAM));
        let text = |(name, value): (&http::HeaderName, &HeaderValue)| {
            Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
        };
        carried.filter_map(text).collect()
    }

    /// See [`super::Upstream::repeat`].
    pub(super) fn repeat(&self, turned: &BTreeMap<String, String>) {
        let mut headers = self.link.headers.lock().unwrap_or_else(PoisonError::into_inner);
        mirror::repeat(&mut headers.template, turned);
    }

    fn over(config: HttpUpstreamConfig, template: HeaderMap, shared: Arc<Shared>, era: Era) -> (Self, IncomingQueue) {
        let (sender, queue) = incoming(INCOMING_MAX);
        let link = Link {
            config,
            era,
            headers: Mutex::new(Headers { revision: None, session: None, template }),
            incoming: Mutex::new(Some(Arc::new(sender))),
            refused_with: AtomicU16::new(0),
            shared,
            streamed: Mutex::default(),
        };
        (Self { link: Arc::new(link), standing: Mutex::new(Standing::AwaitHandshake) }, queue)
    }

    /// See [`super::Upstream::refused_with`].
    pub(super) fn refused_with(&self) -> Option<StatusCode> {
        StatusCode::from_u16(self.link.refused_with.load(Ordering::Relaxed)).ok()
    }

    /// See [`super::Upstream::request`].
    pub(super) async fn request(&self, id: &RawId, message: Bytes) -> Result<Envelope, UpstreamFault> {
        self.link.until_closed(pin!(self.link.call(id, message))).await
    }

    /// See [`super::Upstream::send`].
    pub(super) async fn send(&self, message: Bytes) -> Result<(), UpstreamFault> {
        if self.link.era == Era::Stateless {
            // There is nothing to say beside a request: whoever leaves it takes it back.
            return Ok(());
        }
        let told = pin!(self.link.tell(message));
        let told = self.link.until_closed(told);
        tokio::time::timeout(Duration::from_millis(SEND_MS), told)
            .await
            .map_err(|_elapsed| UpstreamFault::TimedOut)??;
        self.stand();
        Ok(())
    }

    /// See [`super::Upstream::opened`].
    pub(super) fn opened(&self, revision: Revision) {
        let mut headers = self.link.headers();
        headers.revision = Some(revision);
        if let Some(session) = headers.session.clone() {
            headers.template.insert(SESSION_ID, session);
        }
        headers.template.insert(REVISION, HeaderValue::from_static(revision.name()));
        *self.standing() = Standing::AwaitMessage;
    }

    /// See [`super::Upstream::was_streamed`].
    pub(super) fn was_streamed(&self, id: &RawId) -> bool {
        self.link.streamed.lock().unwrap_or_else(PoisonError::into_inner).remove(id)
    }

    /// See [`super::Upstream::close`].
    pub(super) async fn close(&self) {
        if let Standing::Open(standing) = std::mem::replace(&mut *self.standing(), Standing::Closed) {
            standing.abort();
        }
        let was_ended = self.link.shared.ended.swap(true, Ordering::AcqRel);
        self.link.shared.closed.notify_waiters();
        let session = self.link.headers().session.clone();
        if let (Some(session), false) = (session, was_ended) {
            let mut goodbye = self.link.compose(Method::DELETE, Bytes::new());
            goodbye.headers_mut().insert(SESSION_ID, session);
            // A server need not support it, and one that is gone need not hear it.
            let _unheard = tokio::time::timeout(Duration::from_millis(GOODBYE_MS), self.link.exchange(goodbye)).await;
        }
        self.link.end();
    }

    /// Opens the standing stream when it is time.
    fn stand(&self) {
        let mut standing = self.standing();
        if matches!(*standing, Standing::AwaitMessage) {
            *standing = Standing::Open(tokio::spawn(standing::stand(self.link.clone())).abort_handle());
        }
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        // A panic while the lock was held cannot leave it half changed: every change is one assignment.
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for HttpUpstream {
    fn drop(&mut self) {
        if let Standing::Open(standing) = &*self.standing() {
            standing.abort();
        }
    }
}

impl fmt::Debug for HttpUpstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpUpstream").field("url", &self.link.config.target.url).finish_non_exhaustive()
    }
}

impl Link {
    /// Sends a request and waits for its answer.
    async fn call(&self, id: &RawId, message: Bytes) -> Result<Envelope, UpstreamFault> {
        let exchange = self.post(message).await?;
        let headers = exchange.response.headers();
        match exchange.response.status() {
            StatusCode::OK if is_media_type(headers.get(CONTENT_TYPE), &JSON) => {
                let body = self.body(exchange).await?;
                if self.arrays() == Arrays::Taken && is_batch(&body) {
                    return Box::pin(self.among(id, body)).await;
                }
                let envelope = Envelope::parse(body, &self.config.limits.response)
                    .map_err(|error| unreadable(&error.to_string()))?;
                answers(&envelope, id)
                    .then_some(envelope)
                    .ok_or_else(|| unreadable("its message is not the answer to the request"))
            }
            StatusCode::OK if is_media_type(headers.get(CONTENT_TYPE), &EVENT_STREAM) => {
                self.streamed.lock().unwrap_or_else(PoisonError::into_inner).insert(id.clone());
                // Boxed, as are the other rare ways: every call would carry the room for them.
                Box::pin(self.follow(id, exchange)).await
            }
            StatusCode::OK => Err(unreadable("it is neither JSON nor an event stream")),
            _ => Box::pin(self.refused(Some(id), exchange)).await,
        }
    }

    /// Sends a notification or a response of the agent.
    async fn tell(&self, message: Bytes) -> Result<(), UpstreamFault> {
        let exchange = self.post(message).await?;
        if exchange.response.status().is_success() {
            self.shared.idle.keep(exchange.connection, exchange.response.into_body());
            return Ok(());
        }
        Box::pin(self.refused(None, exchange)).await.map(drop)
    }

    async fn post(&self, message: Bytes) -> Result<Exchange, UpstreamFault> {
        if self.shared.ended.load(Ordering::Acquire) {
            return Err(UpstreamFault::NotSent("the session at the server has ended".to_owned()));
        }
        let mut request = self.compose(Method::POST, message);
        request.headers_mut().insert(CONTENT_TYPE, JSON);
        request.headers_mut().insert(ACCEPT, EITHER);
        let exchange = self.exchange(request).await?;
        self.note_session(&exchange.response)?;
        Ok(exchange)
    }

    /// A request as this point of the session has it.
    fn compose(&self, method: Method, message: Bytes) -> Request<Full<Bytes>> {
        let mut request = Request::new(Full::new(message));
        *request.method_mut() = method;
        *request.uri_mut() = self.config.target.path.clone();
        *request.headers_mut() = self.headers().template.clone();
        request
    }

    /// Sends a request once. Another connection is tried only where not a byte of it was written.
    async fn exchange_as_it_is(&self, mut request: Request<Full<Bytes>>) -> Result<Exchange, UpstreamFault> {
        // Ends: each turn uses up a connection that was idle, or is the last.
        loop {
            let idle = self.shared.idle.take().await;
            let is_fresh = idle.is_none();
            let mut connection = match idle {
                Some(connection) => connection,
                None => {
                    let Target { dial, url, .. } = &*self.config.target;
                    Box::pin(dial.connect(url.clone(), self.config.limits.connect)).await?
                }
            };
            match connection.send(request).await {
                Ok(response) => return Ok(Exchange { connection, response }),
                Err(SendFault::Unsent(unsent, _)) if !is_fresh => request = *unsent,
                Err(SendFault::Unsent(_, error)) => return Err(UpstreamFault::NotSent(with_causes(&error))),
                Err(SendFault::Lost(error)) => return Err(UpstreamFault::Lost(with_causes(&error))),
            }
        }
    }

    /// Takes the session's id from the answer to the handshake.
    fn note_session(&self, response: &Response<IncomingBody>) -> Result<(), UpstreamFault> {
        let Some(id) = response.headers().get(SESSION_ID) else { return Ok(()) };
        let mut headers = self.headers();
        if self.era == Era::Stateless || headers.revision.is_some() || !response.status().is_success() {
            return Ok(());
        }
        if !(1..=SESSION_ID_BYTES_MAX).contains(&id.len()) || !id.as_bytes().iter().all(u8::is_ascii_graphic) {
            return Err(unreadable("its session id is too long or not visible ASCII"));
        }
        let mut id = id.clone();
        id.set_sensitive(true);
        headers.session = Some(id);
        Ok(())
    }

    /// Reads an answer that is not a stream.
    async fn body(&self, mut exchange: Exchange) -> Result<Bytes, UpstreamFault> {
        let body = exchange.response.body_mut();
        let limits = &self.config.limits.response;
        let bytes =
            exchange.connection.drive(pin!(read_body(body, limits.bytes_max))).await.map_err(|error| match error {
                BodyError::Broken(error) => UpstreamFault::Lost(with_causes(&error)),
                error @ (BodyError::Late | BodyError::TooLarge { .. }) => unreadable(&error.to_string()),
            })?;
        self.shared.idle.keep(exchange.connection, exchange.response.into_body());
        Ok(bytes)
    }

    /// Finds the answer to `id` in an array of messages, and hands on the others.
    async fn among(&self, id: &RawId, array: Bytes) -> Result<Envelope, UpstreamFault> {
        let mut answer = None;
        let mut has_handed_on = false;
        for message in self.messages(array) {
            match message {
                Ok(envelope) if answer.is_none() && answers(&envelope, id) => answer = Some(envelope),
                Ok(envelope) => has_handed_on |= self.hand_on(Incoming { envelope, related: Some(id.clone()) }).await,
                Err(error) => return Err(unreadable(&error.to_string())),
            }
        }
        let answer = answer.ok_or_else(|| unreadable("none of its messages is the answer to the request"))?;
        if has_handed_on {
            self.settled().await;
        }
        Ok(answer)
    }

    /// The messages in what the server sent.
    fn messages(&self, bytes: Bytes) -> Messages {
        Messages::read(bytes, &mut StrictReader::new(self.config.limits.response), self.arrays())
    }

    fn arrays(&self) -> Arrays {
        self.headers().revision.map_or(Arrays::Refused, Revision::arrays)
    }

    /// Waits until what was handed on has been dealt with: what came before an answer is told before it.
    async fn settled(&self) {
        if let Some(incoming) = self.incoming() {
            incoming.settled().await;
        }
    }

    /// Reads an answer that is not a success. An error that answers the request is an answer all the same.
    async fn refused(&self, id: Option<&RawId>, mut exchange: Exchange) -> Result<Envelope, UpstreamFault> {
        let status = exchange.response.status();
        self.refused_with.store(status.as_u16(), Ordering::Relaxed);
        let body = exchange.response.body_mut();
        let said = exchange.connection.drive(pin!(read_body(body, ERROR_BODY_BYTES_MAX))).await.ok();
        if said.is_some() {
            self.shared.idle.keep(exchange.connection, exchange.response.into_body());
        }
        let said = said.and_then(|bytes| Envelope::parse(bytes, &self.config.limits.response).ok());
        match (said, id) {
            (Some(error), Some(id)) if answers(&error, id) => Ok(error),
            // A request that stands alone has its response to itself: an error that names no request is about this one.
            (Some(error), Some(id)) if self.era == Era::Stateless && error.raw().at(&["id"]).is_some_and(is_null) => {
                Envelope::parse(error.with_id(id), &self.config.limits.response)
                    .map_err(|error| unreadable(&error.to_string()))
            }
            (said, _) => Err(self.refusal(status, said.as_ref())),
        }
    }

    /// What a status other than success means for a message.
    fn refusal(&self, status: StatusCode, said: Option<&Envelope>) -> UpstreamFault {
        let message = said.and_then(|said| said.error()?.at(&["message"])).and_then(Raw::text).unwrap_or_default();
        let message: String = message.chars().filter(|c| !c.is_control()).take(ERROR_TEXT_CHARS_MAX).collect();
        let because = if message.is_empty() { String::new() } else { format!(": `{message}`") };
        let has_session = self.headers().session.is_some();
        match status {
            // The server says that it did not know the session, so it did nothing within it.
            StatusCode::NOT_FOUND if has_session => {
                self.end();
                UpstreamFault::NotSent(format!("the server has ended the session (404); open a new one{because}"))
            }
            // What these mean is that the message was refused before anything was done with it (RFC 9110, 15.5, and RFC 6585).
            StatusCode::UNAUTHORIZED
            | StatusCode::NOT_FOUND
            | StatusCode::METHOD_NOT_ALLOWED
            | StatusCode::PAYLOAD_TOO_LARGE
            | StatusCode::UNSUPPORTED_MEDIA_TYPE
            | StatusCode::TOO_MANY_REQUESTS => {
                UpstreamFault::NotSent(format!("the server refused the message ({status}){because}"))
            }
            _ if status.is_redirection() => unreadable(&format!(
                "it is a redirect ({status}), which is not followed; configure the server's own address"
            )),
            _ => unreadable(&format!("its status is {status}{because}")),
        }
    }

    /// Hands on what the server sent by itself; false when nobody listens any more.
    async fn hand_on(&self, incoming: Incoming) -> bool {
        let Some(sender) = self.incoming() else { return false };
        tokio::select! {
            sent = sender.send(incoming) => sent.is_ok(),
            () = self.closed() => false,
        }
    }

    /// Tells of an event that is no message; false when nobody listens any more.
    async fn unreadable(&self, why: String) -> bool {
        tracing::warn!(why, "dropped an event of the upstream that is not a message");
        let Some(sender) = self.incoming() else { return false };
        tokio::select! {
            told = sender.unreadable(why) => told.is_ok(),
            () = self.closed() => false,
        }
    }

    /// Waits for `work`, but not beyond the end of the session.
    // Pinned by the caller: passed by value it would be held twice by every call.
    async fn until_closed<T>(
        &self,
        work: Pin<&mut impl Future<Output = Result<T, UpstreamFault>>>,
    ) -> Result<T, UpstreamFault> {
        tokio::select! {
            biased;
            done = work => done,
            () = self.shared.closed.notified() => Err(UpstreamFault::Lost("the session was closed".to_owned())),
        }
    }

    async fn closed(&self) {
        // Made before the look at `ended`, so that it hears of an end in between.
        let closed = self.shared.closed.notified();
        if !self.shared.ended.load(Ordering::Acquire) {
            closed.await;
        }
    }

    /// Nothing more comes and nothing more can be sent.
    fn end(&self) {
        self.shared.ended.store(true, Ordering::Release);
        drop(self.incoming.lock().unwrap_or_else(PoisonError::into_inner).take());
        self.shared.idle.clear();
    }

    fn incoming(&self) -> Option<Arc<IncomingSender>> {
        self.incoming.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn headers(&self) -> MutexGuard<'_, Headers> {
        // A panic while the lock was held cannot leave it half changed: every change is one assignment.
        self.headers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a message answers the request `id`.
fn answers(envelope: &Envelope, id: &RawId) -> bool {
    match envelope.kind() {
        EnvelopeKind::Response { id: of } | EnvelopeKind::ErrorResponse { id: Some(of) } => of == id,
        EnvelopeKind::ErrorResponse { id: None } | EnvelopeKind::Notification { .. } | EnvelopeKind::Request { .. } => {
            false
        }
    }
}

fn is_null(id: Raw<'_>) -> bool {
    id.shape() == Shape::Null
}

fn unreadable(why: &str) -> UpstreamFault {
    UpstreamFault::Unreadable(why.to_owned())
}
