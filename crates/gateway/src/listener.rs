//! The network door: MCP over Streamable HTTP at `/mcp/{server}` for agents with a token, `/v1/` for automations that ask about their steps, where to get one at `/.well-known/oauth-protected-resource`, and `/health` and
//! `/ready` for whoever operates the gateway.

use std::convert::Infallible;
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{Either, Full};
use hyper::body::{Body, Incoming};
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use surfaces::mcp::downstream::http::{EndpointConfig, HttpDownstreamLimits, McpBody, McpEndpoint};
pub use surfaces::mcp::downstream::http::{Foreign, Peers};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::auth::METADATA_PATH;
use crate::config::Config;
use crate::gate::RunGate;
use crate::limits::{ACCEPT_PAUSE, CONNECTIONS_MAX, HEADERS_WAIT};
use crate::workflow::{PREFIX, Workflow};
use crate::{Gateway, Readiness};

/// A bound listener.
pub struct Listener {
    address: SocketAddr,
    door: Arc<Door>,
    listener: TcpListener,
}

/// What stands behind the listener.
struct Door {
    gate: Arc<RunGate>,
    gateway: Arc<Gateway>,
    mcp: McpEndpoint<RunGate>,
    workflow: Workflow,
}

/// Why the network door does not open.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// The operating system refused.
    #[error("listen on {address}: {source}; choose another [listen] {key}")]
    Address {
        /// Where.
        address: SocketAddr,
        /// Which key of `[listen]` says so.
        key: &'static str,
        /// Why not.
        source: io::Error,
    },
    /// An upstream is configured in a way that cannot work.
    #[error("{0}")]
    Upstream(String),
}

/// Binds the address that `config` names; port 0 takes a free one.
///
/// # Errors
/// [`BindError`] names the address or the upstream.
pub async fn bind(gateway: Arc<Gateway>, config: &Config) -> Result<Listener, BindError> {
    let gate = Arc::new(RunGate::new(gateway.clone(), config).map_err(BindError::Upstream)?);
    let (listener, address) = at(config.listen, "gateway").await?;
    let endpoint = EndpointConfig { limits: HttpDownstreamLimits::DEFAULT, peers: peers(address, config) };
    let mcp = McpEndpoint::new(gate.clone(), endpoint);
    let workflow = Workflow::new(gate.clone(), gateway.clone());
    Ok(Listener { address, door: Arc::new(Door { gate, gateway, mcp, workflow }), listener })
}

/// Binds an address that `key` of `[listen]` names; gives the one that it is.
///
/// # Errors
/// [`BindError::Address`].
pub async fn at(address: SocketAddr, key: &'static str) -> Result<(TcpListener, SocketAddr), BindError> {
    let refused = |source| BindError::Address { address, key, source };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    Ok((listener, address))
}

/// By which names requests may come to a door at `address`, and from which pages.
#[must_use]
pub fn peers(address: SocketAddr, config: &Config) -> Peers {
    let own = ["127.0.0.1", "[::1]", "localhost"].map(|host| format!("{host}:{}", address.port()));
    let hosts = own.into_iter().chain([address.to_string()]).chain(config.hosts.clone()).collect();
    Peers::new(hosts, config.origins.clone())
}

/// Serves HTTP/1.1 until it is told to stop, so many connections at a time; gives those that are still in use then.
pub async fn connections<S, B>(listener: TcpListener, mut stopping: watch::Receiver<bool>, service: S) -> JoinSet<()>
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(connection(stopping.clone(), service.clone(), stream));
                }
                Err(error) => {
                    // Out of file descriptors, most likely: connections that end give some back.
                    tracing::warn!(%error, "a connection could not be taken");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_ended) = connections.join_next() => {}
            () = told(&mut stopping) => return connections,
        }
    }
}

/// Resolves when it is told to stop, or whoever could tell is gone.
async fn told(stopping: &mut watch::Receiver<bool>) {
    let _told = stopping.wait_for(|stopping| *stopping).await;
}

impl Listener {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the gateway stops.
    pub async fn serve(self) {
        let Self { door, listener, .. } = self;
        let serving = door.clone();
        let service = service_fn(move |request| {
            let door = serving.clone();
            async move { Ok::<_, Infallible>(door.answer(request).await) }
        });
        let mut connections = connections(listener, door.gateway.watch_stopping(), service).await;
        // Sessions finish or record what is in flight, and their streams end; then nothing keeps a connection.
        tokio::join!(door.mcp.close(), door.workflow.close());
        while connections.join_next().await.is_some() {}
    }
}

async fn connection<S, B>(mut stopping: watch::Receiver<bool>, service: S, stream: TcpStream)
where
    S: Service<Request<Incoming>, Response = Response<B>, Error = Infallible> + Send + 'static,
    S::Future: Send,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
{
    let _best_effort = stream.set_nodelay(true);
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WAIT)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = told(&mut stopping) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

impl Door {
    async fn answer(&self, request: Request<Incoming>) -> Response<Answer> {
        let path = request.uri().path();
        if let Some(server) = path.strip_prefix("/mcp/") {
            let server = server.to_owned();
            return self.mcp.serve(&server, request).await.map(Either::Left);
        }
        if path.starts_with(PREFIX) {
            return self.workflow.serve(&self.mcp, request).await.map(|body| Either::Right(Full::new(body)));
        }
        if path == METADATA_PATH || path.strip_prefix(METADATA_PATH).is_some_and(|rest| rest.starts_with('/')) {
            return self.metadata(&request);
        }
        let (status, text) = match (request.method(), path) {
            (&Method::GET, "/health") => (StatusCode::OK, "alive\n".to_owned()),
            (&Method::GET, "/ready") => self.readiness(),
            (_, "/health" | "/ready") => (StatusCode::METHOD_NOT_ALLOWED, "use GET\n".to_owned()),
            _ => (
                StatusCode::NOT_FOUND,
                "nothing here; agents connect to /mcp/SERVER, automations ask at /v1/approvals\n".to_owned(),
            ),
        };
        own(status, text)
    }

    /// Where agents get tokens for an endpoint (RFC 9728, section 3). Nothing in it is secret.
    fn metadata(&self, request: &Request<Incoming>) -> Response<Answer> {
        let host = match self.mcp.accepted(request) {
            Ok(host) => host,
            Err(refused) => return refused.map(Either::Left),
        };
        if request.method() != Method::GET {
            return own(StatusCode::METHOD_NOT_ALLOWED, "use GET\n".to_owned());
        }
        match self.gate.metadata(host, request.uri().path()) {
            Ok(metadata) => {
                let mut response = own(StatusCode::OK, metadata);
                response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
                response
            }
            Err(why) => own(StatusCode::NOT_FOUND, format!("{why}\n")),
        }
    }

    fn readiness(&self) -> (StatusCode, String) {
        match self.gateway.readiness() {
            Readiness::Ready => (StatusCode::OK, "ready\n".to_owned()),
            Readiness::Degraded(why) => {
                (StatusCode::SERVICE_UNAVAILABLE, format!("evidence cannot be written, so nothing executes: {why}\n"))
            }
            Readiness::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "stopping\n".to_owned()),
        }
    }
}

fn own(status: StatusCode, text: String) -> Response<Answer> {
    let mut response = Response::new(Either::Right(Full::new(Bytes::from(text))));
    *response.status_mut() = status;
    response
}

/// Bodies of MCP, and our own.
type Answer = Either<McpBody, Full<Bytes>>;
