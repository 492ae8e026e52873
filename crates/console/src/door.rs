//! The console's door: a listener of its own, which names may call it, and what every response carries.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use gateway::Gateway;
use gateway::config::Config;
use gateway::listener::{BindError, Foreign, Peers, at, connections, peers};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::api;
use crate::limits::{FOLLOWERS_MAX, LOOKUPS_MAX, STREAMS_MAX};
use crate::problem::{Code, Problem};
use crate::records::Reader;
use crate::sessions::Sessions;

/// What all requests share.
pub(crate) struct Console {
    pub(crate) followers: Arc<Semaphore>,
    pub(crate) gateway: Arc<Gateway>,
    pub(crate) lookups: Semaphore,
    pub(crate) peers: Peers,
    pub(crate) readers: Vec<Reader>,
    pub(crate) sessions: Sessions,
    pub(crate) streams: Arc<Semaphore>,
}

/// A bound door.
pub struct Door {
    address: SocketAddr,
    console: Arc<Console>,
    listener: TcpListener,
}

/// The path that is open to everybody.
const HEALTH: &str = "/health";

/// What every response carries: nothing here is a page, and nothing is to be kept.
const HEADERS: [(HeaderName, &str); 6] = [
    (CACHE_CONTROL, "no-store"),
    (CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    (REFERRER_POLICY, "no-referrer"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (X_FRAME_OPTIONS, "DENY"),
];

/// Binds the address that `[listen] console` names; port 0 takes a free one.
///
/// # Errors
/// [`BindError`] names the address.
pub async fn bind(gateway: Arc<Gateway>, config: &Config) -> Result<Door, BindError> {
    let (listener, address) = at(config.console, "console").await?;
    let console = Console {
        followers: Arc::new(Semaphore::new(FOLLOWERS_MAX)),
        gateway,
        lookups: Semaphore::new(LOOKUPS_MAX),
        peers: peers(address, config),
        readers: config.streams.iter().map(|(name, reader)| Reader::new(name, reader)).collect(),
        sessions: Sessions::new(),
        streams: Arc::new(Semaphore::new(STREAMS_MAX)),
    };
    Ok(Door { address, console: Arc::new(console), listener })
}

impl Door {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until the gateway stops.
    pub async fn serve(self) {
        let Self { console, listener, .. } = self;
        let service = TowerToHyperService::new(router(console.clone()));
        let mut connections = connections(listener, console.gateway.watch_stopping(), service).await;
        while connections.join_next().await.is_some() {}
    }
}

fn router(console: Arc<Console>) -> Router {
    let (router, _openapi) = api::routes().split_for_parts();
    router
        .fallback(|| async { Problem::new(Code::NotFound, "no such path") })
        .method_not_allowed_fallback(|| async { Problem::new(Code::MethodNotAllowed, "no such method on this path") })
        .layer(from_fn_with_state(console.clone(), known))
        .with_state(console)
        .layer(from_fn(harden))
}

/// Lets requests in that come by a known name and from no foreign page.
async fn known(State(console): State<Arc<Console>>, request: Request, next: Next) -> Response {
    if request.uri().path() == HEALTH {
        return next.run(request).await;
    }
    match console.peers.check(request.uri(), request.headers()) {
        Ok(_name) => next.run(request).await,
        Err(foreign) => {
            let reason = match foreign {
                Foreign::Name { .. } => "a request came by a name that is not the console's",
                Foreign::Origin => "a request came from a foreign page",
            };
            console.gateway.note_stranger("console name", "console", reason);
            Problem::new(Code::Foreign, foreign.to_string()).into_response()
        }
    }
}

async fn harden(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    for (name, value) in HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
