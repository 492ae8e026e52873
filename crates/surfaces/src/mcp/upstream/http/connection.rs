//! Connections to one upstream: each is driven by whoever uses it, so that a call needs no task and no channel of its own.
//!
//! A connection that is not in use is not polled. Before it is used again it is polled once, which finds out whether the server closed it meanwhile.

use std::future::{Future, poll_fn};
use std::pin::{Pin, pin};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::HeaderName;
use http::{Request, Response, Uri};
use http_body_util::Full;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::crypto::aws_lc_rs;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tower_service::Service as _;

use crate::limits::{
    CONNECTION_IDLE_MAX_MS, CONNECTION_IDLE_MS, CONNECTION_REST_BYTES_MAX, HTTP_FIELDS_MAX, IDLE_CONNECTIONS_MAX,
};
use crate::mcp::upstream::UpstreamFault;

type Io = MaybeHttpsStream<TokioIo<TcpStream>>;
type Outgoing = Full<Bytes>;

const KEEP_ALIVE: HeaderName = HeaderName::from_static("keep-alive");

/// Opens connections.
#[derive(Clone, Debug)]
pub(in crate::mcp) enum Dial {
    Plain(HttpConnector),
    Tls(HttpsConnector<HttpConnector>),
}

impl Dial {
    /// For `http` addresses.
    pub(in crate::mcp) fn plain() -> Self {
        Self::Plain(connector())
    }

    /// For `https` addresses, trusting what this machine trusts.
    pub(in crate::mcp) fn tls() -> std::io::Result<Self> {
        let tls = HttpsConnectorBuilder::new().with_provider_and_native_roots(aws_lc_rs::default_provider())?;
        let tls = tls.https_only().enable_http1();
        Ok(Self::Tls(tls.wrap_connector(connector())))
    }

    /// Opens a connection. Nothing of a request has been sent when this fails.
    pub(in crate::mcp) async fn connect(&self, to: Uri, within: Duration) -> Result<Box<Connection>, UpstreamFault> {
        let fault = |why: String| UpstreamFault::NotSent(format!("connect: {why}"));
        let io = match tokio::time::timeout(within, self.open(to)).await {
            Ok(io) => io.map_err(|error| fault(with_causes(&*error)))?,
            Err(_elapsed) => return Err(fault(format!("no connection within {} ms", within.as_millis()))),
        };
        let handshake = http1::Builder::new().max_headers(HTTP_FIELDS_MAX).handshake(io).await;
        let (sender, driver) = handshake.map_err(|error| fault(error.to_string()))?;
        let idle = Duration::from_millis(CONNECTION_IDLE_MS);
        Ok(Box::new(Connection { driver: Some(driver), idle, idle_until: None, rest: None, sender }))
    }

    async fn open(&self, to: Uri) -> Result<Io, Box<dyn std::error::Error + Send + Sync>> {
        match self {
            Self::Plain(connector) => {
                let mut connector = connector.clone();
                poll_fn(|context| connector.poll_ready(context)).await?;
                Ok(connector.call(to).await?.into())
            }
            Self::Tls(connector) => {
                let mut connector = connector.clone();
                poll_fn(|context| connector.poll_ready(context)).await?;
                connector.call(to).await
            }
        }
    }
}

fn connector() -> HttpConnector {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    connector.enforce_http(false);
    connector
}

/// An error and what caused it, in one line: connectors hide the interesting part in the causes.
pub(in crate::mcp) fn with_causes(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let said = error.to_string();
        if !text.contains(&said) {
            text = format!("{text}: {said}");
        }
        cause = error.source();
    }
    text
}

/// One HTTP/1.1 connection.
#[derive(Debug)]
pub(in crate::mcp) struct Connection {
    /// Moves the bytes; `None` once the connection has ended.
    driver: Option<http1::Connection<Io, Outgoing>>,
    /// How long the server keeps it open unused.
    idle: Duration,
    idle_until: Option<Instant>,
    /// What is left of an answer whose end nobody waited for.
    rest: Option<Incoming>,
    sender: http1::SendRequest<Outgoing>,
}

/// Why a request got no answer.
#[derive(Debug)]
pub(in crate::mcp) enum SendFault {
    /// Not a byte of the request was written; here it is again.
    Unsent(Box<Request<Outgoing>>, hyper::Error),
    /// It was sent, or may have been.
    Lost(hyper::Error),
}

impl Connection {
    /// Sends a request and waits for the head of the answer.
    pub(in crate::mcp) async fn send(&mut self, request: Request<Outgoing>) -> Result<Response<Incoming>, SendFault> {
        let sent = pin!(self.sender.try_send_request(request));
        let response = self.drive(sent).await.map_err(|mut error| match error.take_message() {
            Some(request) => SendFault::Unsent(Box::new(request), error.into_error()),
            None => SendFault::Lost(error.into_error()),
        })?;
        if let Some(idle) = response.headers().get(KEEP_ALIVE).and_then(|value| keep_alive(value.as_bytes())) {
            self.idle = idle;
        }
        Ok(response)
    }

    /// Waits for `work`, which reads from this connection, and moves its bytes meanwhile.
    // Pinned by the caller: passed by value it would be held twice by every call.
    pub(in crate::mcp) async fn drive<T>(&mut self, mut work: Pin<&mut impl Future<Output = T>>) -> T {
        poll_fn(|context| {
            self.poll_driver(context);
            work.as_mut().poll(context)
        })
        .await
    }

    fn poll_driver(&mut self, context: &mut Context<'_>) {
        if let Some(driver) = &mut self.driver
            && let Poll::Ready(ended) = Pin::new(driver).poll(context)
        {
            // Whoever waits for an answer is told by its own future.
            if let Err(error) = ended {
                tracing::debug!(%error, "connection to an upstream ended");
            }
            self.driver = None;
        }
    }

    /// Whether the connection can take a request now: the last answer is read to its end, and the server has not closed it.
    async fn is_free(&mut self) -> bool {
        let mut left = CONNECTION_REST_BYTES_MAX;
        poll_fn(|context| {
            self.poll_driver(context);
            while let Some(rest) = &mut self.rest {
                match Pin::new(rest).poll_frame(context) {
                    Poll::Ready(None) => self.rest = None,
                    Poll::Ready(Some(Ok(frame))) => match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
                        Some(less) => left = less,
                        None => return Poll::Ready(false),
                    },
                    Poll::Ready(Some(Err(_))) | Poll::Pending => return Poll::Ready(false),
                }
                // Reading on makes the connection read on, and its end makes room for the next request.
                self.poll_driver(context);
            }
            Poll::Ready(self.driver.is_some() && matches!(self.sender.poll_ready(context), Poll::Ready(Ok(()))))
        })
        .await
    }
}

/// How long an answer's `Keep-Alive` says that the connection stays open, less a second for what is on its way then.
fn keep_alive(value: &[u8]) -> Option<Duration> {
    let mut parameters = value.split(|byte| *byte == b',').map(<[u8]>::trim_ascii);
    let seconds = parameters.find_map(|parameter| parameter.strip_prefix(b"timeout="))?;
    let seconds: u32 = std::str::from_utf8(seconds).ok()?.parse().ok()?;
    Some(Duration::from_secs(u64::from(seconds.saturating_sub(1))).min(Duration::from_millis(CONNECTION_IDLE_MAX_MS)))
}

/// Connections that wait for their next request, the last used first.
#[derive(Debug, Default)]
#[expect(clippy::vec_box, reason = "a connection is half a kilobyte, and moves in and out for every call")]
pub(in crate::mcp) struct Idle(Mutex<Vec<Box<Connection>>>);

impl Idle {
    /// A connection that can take a request now.
    pub(in crate::mcp) async fn take(&self) -> Option<Box<Connection>> {
        loop {
            let mut connection = self.lock().pop()?;
            if connection.idle_until.is_some_and(|until| Instant::now() < until) && connection.is_free().await {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection for another request. `rest` is the answer, where its end has not been read.
    pub(in crate::mcp) fn keep(&self, mut connection: Box<Connection>, rest: Incoming) {
        if connection.driver.is_none() {
            return;
        }
        connection.rest = (!rest.is_end_stream()).then_some(rest);
        connection.idle_until = Some(Instant::now() + connection.idle);
        let mut idle = self.lock();
        if idle.len() < IDLE_CONNECTIONS_MAX {
            idle.push(connection);
        }
    }

    /// Closes all of them.
    pub(in crate::mcp) fn clear(&self) {
        let connections = std::mem::take(&mut *self.lock());
        drop(connections);
    }

    #[expect(clippy::vec_box, reason = "see the type")]
    fn lock(&self) -> MutexGuard<'_, Vec<Box<Connection>>> {
        // A panic while the lock was held cannot leave it half changed: every change is one operation on the list.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
