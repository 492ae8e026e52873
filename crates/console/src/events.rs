//! Changes of approvals as they happen, as server-sent events: they say that something changed, and the client asks what.

use std::convert::Infallible;
use std::sync::Arc;

use axum::response::sse::{Event, KeepAlive, Sse};
use futures_util::stream::{Stream, unfold};
use gateway::approvals::News;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::Interval;

use crate::door::Console;
use crate::limits::{STREAM_ALIVE_EVERY, STREAM_LOOKS_EVERY};
use crate::problem::{Code, Problem};
use crate::sessions::Session;
use crate::wire::Changed;

/// One stream, and what it holds while it is open.
struct Listening {
    news: Receiver<News>,
    console: Arc<Console>,
    is_new: bool,
    looks: Interval,
    session: Session,
    _places: [OwnedSemaphorePermit; 2],
}

/// A stream for this session, where there is a place for one.
pub(crate) fn stream(
    console: Arc<Console>,
    session: Session,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let full = |what: &str| Problem::new(Code::TooMany, format!("{what} has as many streams of events as it may have"));
    let own = session.streams.clone().try_acquire_owned().map_err(|_| full("this session"))?;
    let all = console.streams.clone().try_acquire_owned().map_err(|_| full("the console"))?;
    let listening = Listening {
        news: console.gateway.news(),
        console,
        is_new: true,
        looks: tokio::time::interval(STREAM_LOOKS_EVERY),
        session,
        _places: [own, all],
    };
    let events = unfold(listening, |mut listening| async move {
        let event = listening.next().await?;
        Some((Ok(event), listening))
    });
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(STREAM_ALIVE_EVERY)))
}

impl Listening {
    /// The next event; `None` once the session or the gateway has ended.
    async fn next(&mut self) -> Option<Event> {
        if std::mem::take(&mut self.is_new) {
            return Some(Event::default().event("listening").data("{}"));
        }
        loop {
            tokio::select! {
                change = self.news.recv() => {
                    self.console.sessions.standing(&self.session.digest, &self.console.gateway).ok()?;
                    return match change {
                        Ok(News { approval, state }) => {
                            let changed = Changed { approval, state: state.into() };
                            Some(Event::default().event("approval").data(serde_json::to_string(&changed).ok()?))
                        }
                        // The client lists again.
                        Err(RecvError::Lagged(_)) => Some(Event::default().event("missed").data("{}")),
                        Err(RecvError::Closed) => None,
                    };
                }
                _ = self.looks.tick() => {
                    self.console.sessions.standing(&self.session.digest, &self.console.gateway).ok()?;
                }
                () = self.console.gateway.stopped() => return None,
            }
        }
    }
}
