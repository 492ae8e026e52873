//! Answers that are streams: read event by event, and resumed where they broke off.
//!
//! Resuming is a GET that names the last event that arrived. It asks for the rest of an answer; the call itself is never sent again.

use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use http::{Method, StatusCode};
use hyper::body::Incoming as IncomingBody;

use super::connection::{Connection, with_causes};
use super::{Exchange, Link, answers, unreadable};
use crate::limits::{RESUME_ATTEMPTS_MAX, RESUME_WAIT_MAX_MS, RESUME_WAIT_MIN_MS, RESUMES_MAX};
use crate::mcp::codec::{Envelope, Meant, RawId, SseDecoder, SseError};
use crate::mcp::era::Era;
use crate::mcp::streamable::{EVENT_STREAM, LAST_EVENT_ID, is_media_type, next_data};
use crate::mcp::upstream::{Incoming, UpstreamFault};

/// A stream of messages over one connection.
pub(super) struct Events {
    body: IncomingBody,
    connection: Box<Connection>,
    decoder: SseDecoder,
}

/// Why a stream gives no more messages.
#[derive(Debug, thiserror::Error)]
pub(super) enum Cut {
    #[error("the stream broke off: {}", with_causes(.0))]
    Broken(#[from] hyper::Error),
    #[error("the server ended the stream")]
    Ended,
    /// One event; the next may be read.
    #[error(transparent)]
    TooLarge(SseError),
}

impl Events {
    fn new(exchange: Exchange, message_bytes_max: usize) -> Self {
        let (connection, body) = (exchange.connection, exchange.response.into_body());
        // The framing repeats `data: ` for each line of a message that was written over several.
        Self { body, connection, decoder: SseDecoder::new(message_bytes_max + message_bytes_max / 16) }
    }

    /// The next message, unread. Events of other types, and those without data, are none.
    pub(super) async fn next(&mut self) -> Result<Bytes, Cut> {
        if let Some(message) = self.buffered() {
            return message;
        }
        loop {
            match self.connection.drive(pin!(next_data(&mut self.body))).await? {
                Some(chunk) => self.decoder.push(&chunk),
                None => return Err(Cut::Ended),
            }
            if let Some(message) = self.buffered() {
                return message;
            }
            // A server that sends comments faster than they are read would keep the turn, and with it everybody's clock and connections.
            tokio::task::yield_now().await;
        }
    }

    /// The next message of those that have arrived.
    fn buffered(&mut self) -> Option<Result<Bytes, Cut>> {
        while let Some(event) = self.decoder.next_event() {
            match event {
                Ok(event) if !matches!(event.event(), None | Some("" | "message")) || event.data().is_empty() => {}
                Ok(event) => return Some(Ok(event.data().clone())),
                Err(error) => return Some(Err(Cut::TooLarge(error))),
            }
        }
        None
    }
}

/// Where a stream is to go on, and when.
#[derive(Debug, Default)]
pub(super) struct Position {
    /// The last event that arrived; empty: none that can be named.
    last: Box<str>,
    resumed: u32,
    retry: Option<Duration>,
}

impl Position {
    /// Takes note of what a stream said before it was cut.
    pub(super) fn note(&mut self, events: &Events) {
        if !events.decoder.last_event_id().is_empty() {
            self.last = events.decoder.last_event_id().into();
        }
        self.retry = events.decoder.retry_ms().map(Duration::from_millis).or(self.retry);
    }

    /// How long to wait before the next attempt, after so many that failed.
    pub(super) fn wait(&self, unless_told: Duration, failures: u32) -> Duration {
        let wait = self.retry.unwrap_or(unless_told).max(Duration::from_millis(RESUME_WAIT_MIN_MS));
        wait.saturating_mul(1 << failures.min(6)).min(Duration::from_millis(RESUME_WAIT_MAX_MS))
    }
}

/// What a GET for a stream came to.
pub(super) enum Opened {
    Events(Box<Events>),
    Refused(StatusCode),
}

impl Link {
    /// Reads a stream until the message that answers `id`, and hands on what comes before it.
    pub(super) async fn follow(&self, id: &RawId, exchange: Exchange) -> Result<Envelope, UpstreamFault> {
        let mut events = Events::new(exchange, self.config.limits.response.bytes_max);
        let mut position = Position::default();
        let mut unread = None;
        let mut has_handed_on = false;
        loop {
            let message = match events.next().await {
                Ok(message) => message,
                Err(Cut::TooLarge(error)) => return Err(unreadable(&error.to_string())),
                Err(cut @ (Cut::Broken(_) | Cut::Ended)) => {
                    position.note(&events);
                    // The connection is of no more use.
                    drop(events);
                    events = self.resume(&mut position, &cut, unread.as_deref()).await?;
                    continue;
                }
            };
            let mut answer = None;
            for message in self.messages(message) {
                match message {
                    Ok(envelope) if answer.is_none() && answers(&envelope, id) => answer = Some(envelope),
                    // Answers to other requests go the same way: the session knows that nobody asked.
                    Ok(envelope) => {
                        has_handed_on |= self.hand_on(Incoming { envelope, related: Some(id.clone()) }).await;
                    }
                    Err(error) if error.meant == Meant::Response(id.clone()) => {
                        return Err(unreadable(&error.to_string()));
                    }
                    Err(error) => {
                        has_handed_on |= self.unreadable(error.to_string()).await;
                        unread.get_or_insert_with(|| error.to_string());
                    }
                }
            }
            if let Some(answer) = answer {
                self.leave(events, id).await;
                if has_handed_on {
                    self.settled().await;
                }
                return Ok(answer);
            }
        }
    }

    /// Ends the reading of a stream that has given its answer. Its connection is kept: the end of the stream is mostly there already.
    async fn leave(&self, mut events: Events, id: &RawId) {
        while let Some(message) = events.buffered() {
            let Ok(message) = message else { continue };
            for envelope in self.messages(message).flatten() {
                let _unheard = self.hand_on(Incoming { envelope, related: Some(id.clone()) }).await;
            }
        }
        self.shared.idle.keep(events.connection, events.body);
    }

    /// Asks for the rest of a stream that was cut.
    async fn resume(&self, position: &mut Position, cut: &Cut, unread: Option<&str>) -> Result<Events, UpstreamFault> {
        if position.last.is_empty() || self.era == Era::Stateless {
            // Nothing to name: if something could not be read, it may have been the answer.
            return Err(unread.map_or_else(|| UpstreamFault::Lost(cut.to_string()), unreadable));
        }
        position.resumed += 1;
        if position.resumed > RESUMES_MAX {
            return Err(UpstreamFault::Lost(format!("the stream broke off more than {RESUMES_MAX} times")));
        }
        let mut why = String::new();
        for failures in 0..RESUME_ATTEMPTS_MAX {
            tokio::time::sleep(position.wait(self.config.limits.resume_wait, failures)).await;
            match self.open_stream(position).await {
                Ok(Opened::Events(events)) => return Ok(*events),
                Ok(Opened::Refused(status)) if status.is_client_error() || status.is_redirection() => {
                    return Err(UpstreamFault::Lost(format!("{cut}, and resuming it was refused ({status})")));
                }
                Ok(Opened::Refused(status)) => why = status.to_string(),
                Err(fault) => why = fault.to_string(),
            }
        }
        Err(UpstreamFault::Lost(format!("{cut}, and resuming it failed {RESUME_ATTEMPTS_MAX} times ({why})")))
    }

    /// A GET for a stream, from after `position` where that names an event.
    pub(super) async fn open_stream(&self, position: &Position) -> Result<Opened, UpstreamFault> {
        let mut request = self.compose(Method::GET, Bytes::new());
        request.headers_mut().insert(ACCEPT, EVENT_STREAM);
        if !position.last.is_empty() {
            let last = HeaderValue::from_bytes(position.last.as_bytes())
                .map_err(|_| unreadable("its event id cannot be sent back"))?;
            request.headers_mut().insert(LAST_EVENT_ID, last);
        }
        let exchange = self.exchange(request).await?;
        let is_stream = is_media_type(exchange.response.headers().get(CONTENT_TYPE), &EVENT_STREAM);
        Ok(match exchange.response.status() {
            StatusCode::OK if is_stream => {
                Opened::Events(Box::new(Events::new(exchange, self.config.limits.response.bytes_max)))
            }
            StatusCode::OK => Opened::Refused(StatusCode::UNSUPPORTED_MEDIA_TYPE),
            status => {
                self.shared.idle.keep(exchange.connection, exchange.response.into_body());
                Opened::Refused(status)
            }
        })
    }
}
