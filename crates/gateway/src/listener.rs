//! The network door: MCP over Streamable HTTP at `/mcp/{server}` for agents with a run token, and `/health` and `/ready` for whoever operates the gateway.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use crate::config::Config;
use crate::limits::{ACCEPT_PAUSE, CONNECTIONS_MAX, HEADERS_WAIT};
use crate::{Gateway, Readiness};

/// A bound listener.
#[derive(Debug)]
pub struct Listener {
    address: SocketAddr,
    config: Config,
    listener: TcpListener,
}

/// Binds the address that `config` names; port 0 takes a free one.
///
/// # Errors
/// The operating system's, with the address.
pub async fn bind(config: &Config) -> io::Result<Listener> {
    let listener = TcpListener::bind(config.listen).await.map_err(|error| {
        io::Error::new(error.kind(), format!("listen on {}: {error}; choose another [listen] gateway", config.listen))
    })?;
    Ok(Listener { address: listener.local_addr()?, config: config.clone(), listener })
}

impl Listener {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the gateway stops.
    pub async fn serve(self, gateway: Arc<Gateway>) {
        let mut connections = JoinSet::new();
        loop {
            tokio::select! {
                accepted = self.listener.accept(), if connections.len() < CONNECTIONS_MAX => match accepted {
                    Ok((stream, _)) => {
                        connections.spawn(connection(gateway.clone(), stream));
                    }
                    Err(error) => {
                        // Out of file descriptors, most likely: connections that end give some back.
                        tracing::warn!(%error, "a connection could not be taken");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
                Some(_ended) = connections.join_next() => {}
                () = gateway.stopped() => break,
            }
        }
        while connections.join_next().await.is_some() {}
    }
}

async fn connection(gateway: Arc<Gateway>, stream: TcpStream) {
    let _best_effort = stream.set_nodelay(true);
    let serving = gateway.clone();
    let service = service_fn(move |request| {
        let gateway = serving.clone();
        async move { Ok::<_, Infallible>(answer(&gateway, &request)) }
    });
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADERS_WAIT)
        .serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        () = gateway.stopped() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

fn answer(gateway: &Gateway, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/health") => plain(StatusCode::OK, "alive\n".to_owned()),
        (&Method::GET, "/ready") => match gateway.readiness() {
            Readiness::Ready => plain(StatusCode::OK, "ready\n".to_owned()),
            Readiness::Degraded(why) => plain(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("evidence cannot be written, so nothing executes: {why}\n"),
            ),
            Readiness::Stopping => plain(StatusCode::SERVICE_UNAVAILABLE, "stopping\n".to_owned()),
        },
        (_, "/health" | "/ready") => plain(StatusCode::METHOD_NOT_ALLOWED, "use GET\n".to_owned()),
        _ => plain(StatusCode::NOT_FOUND, "nothing here; agents connect to /mcp/SERVER\n".to_owned()),
    }
}

fn plain(status: StatusCode, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response
}
