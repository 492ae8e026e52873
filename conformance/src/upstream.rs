//! An MCP server with everything that the conformance runner asks a server for, in the official SDK, on a free port of this machine.
//!
//! Prints `{"listening": "127.0.0.1:PORT"}` once it takes connections and ends on SIGTERM. What it offers is in `offer.json`; what its tools do, in `upstream/`.
#![expect(deprecated, reason = "the revisions before 2026-07-28 have what the SDK deprecates")]

use std::convert::Infallible;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use rmcp::transport::StreamableHttpServerConfig;
use rmcp::transport::streamable_http_server::StreamableHttpService;
use rmcp::transport::streamable_http_server::session::local::LocalSessionManager;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::server::Server;

#[path = "upstream/server.rs"]
mod server;
#[path = "upstream/skills.rs"]
mod skills;
#[path = "upstream/tasks.rs"]
mod tasks;
#[path = "upstream/tools.rs"]
mod tools;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let server = Server::new()?;
    let service = Arc::new(StreamableHttpService::new(
        move || Ok(server.clone()),
        Arc::new(LocalSessionManager::default()),
        StreamableHttpServerConfig::default(),
    ));
    let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("{}", serde_json::json!({ "listening": listener.local_addr()?.to_string() }));
    let mut told_to_end = signal(SignalKind::terminate())?;
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted?.0,
            _ = told_to_end.recv() => return Ok(()),
        };
        let service = service.clone();
        tokio::spawn(async move {
            let answer = hyper::service::service_fn(move |request| {
                let service = service.clone();
                async move { Ok::<_, Infallible>(service.handle(request).await) }
            });
            // A client that hangs up is no news.
            let _hung_up =
                hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}
