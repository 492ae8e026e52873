//! The standing stream: what a server says outside of answers. Opened by GET, and again whenever it ends.

use std::sync::Arc;

use http::StatusCode;

use super::Link;
use super::events::{Cut, Events, Opened, Position};
use crate::limits::STANDING_FAILURES_MAX;
use crate::mcp::upstream::Incoming;

/// Keeps the standing stream open until the session ends, the server has none, or it cannot be opened any more.
pub(super) async fn stand(link: Arc<Link>) {
    let mut position = Position::default();
    let mut failures = 0;
    while failures < STANDING_FAILURES_MAX {
        match link.open_stream(&position).await {
            Ok(Opened::Events(mut events)) => {
                // A server may end it at any time and expect the client back.
                failures = 0;
                let Some(cut) = listen(&link, &mut events).await else { return };
                tracing::debug!(%cut, "the standing stream was cut");
                position.note(&events);
            }
            Ok(Opened::Refused(StatusCode::METHOD_NOT_ALLOWED)) => return,
            Ok(Opened::Refused(StatusCode::NOT_FOUND)) if link.headers().session.is_some() => return link.end(),
            Ok(Opened::Refused(status)) => {
                tracing::debug!(%status, "the standing stream was refused");
                failures += 1;
            }
            Err(fault) => {
                tracing::debug!(%fault, "the standing stream could not be opened");
                failures += 1;
            }
        }
        tokio::time::sleep(position.wait(link.config.limits.standing_wait, failures)).await;
    }
    tracing::warn!(url = %link.config.target.url, "gave up the standing stream; the server's own notifications no longer arrive");
}

/// Hands on what the stream brings until it is cut; `None` when nobody listens any more.
async fn listen(link: &Link, events: &mut Events) -> Option<Cut> {
    loop {
        match events.next().await {
            Ok(message) => {
                for message in link.messages(message) {
                    match message {
                        Ok(envelope) => link.hand_on(Incoming { envelope, related: None }).await.then_some(())?,
                        Err(error) => link.unreadable(error.to_string()).await.then_some(())?,
                    }
                }
            }
            Err(Cut::TooLarge(error)) => link.unreadable(error.to_string()).await.then_some(())?,
            Err(cut @ (Cut::Broken(_) | Cut::Ended)) => return Some(cut),
        }
    }
}
