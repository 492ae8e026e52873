//! A feed of spans and logs for a collector of OpenTelemetry, over OTLP/HTTP with JSON. It is a view for those who watch, never the evidence.
//!
//! It reads the ledger after its own place, sends records in batches, and goes on when the collector has taken both logs and spans: each record is sent at least once, over
//! restarts too. What the collector cannot take now is tried again for as long as it lasts; what it refuses for good is given up, and an exception says so. Start at [`run`].

pub mod config;
mod message;

use std::ops::ControlFlow;
use std::sync::Arc;

use bytes::Bytes;
use evidence::record::Record;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{Method, Request, StatusCode};
use serde_json::Value;
use store::{Order, ReadError};
use surfaces::mcp::web::{WebClient, WebUrl};

use crate::Gateway;
use crate::blocking::blocking;
use crate::clock::now;
use crate::feed::Feed;
use crate::limits::{NOTIFY_PAUSE_MAX, NOTIFY_PAUSES, NOTIFY_TROUBLE_US, OTEL_BATCH_RECORDS, WATCH_EVERY};
use config::OtelConfig;

/// One feed at work.
struct Exporter {
    config: OtelConfig,
    feed: Feed,
    gateway: Arc<Gateway>,
    web: WebClient,
}

/// Why a batch is not taken.
#[derive(Debug, thiserror::Error)]
enum SendError {
    /// It may be taken later.
    #[error("{0}")]
    Later(String),
    /// The collector will never take it, or not all of it.
    #[error("{0}")]
    Refused(String),
}

/// Feeds a collector by `config` until the gateway stops.
pub async fn run(gateway: Arc<Gateway>, config: OtelConfig) {
    let mitigation = "the ledger has everything; it is sent once the collector takes it";
    let feed = Feed::open(gateway.clone(), "otel.json", "otel".to_owned(), mitigation);
    let mut exporter = Exporter { config, feed, gateway: gateway.clone(), web: WebClient::default() };
    loop {
        tokio::select! {
            () = gateway.stopped() => return,
            () = exporter.catch_up() => {}
        }
        tokio::select! {
            () = gateway.stopped() => return,
            () = tokio::time::sleep(WATCH_EVERY) => {}
        }
    }
}

impl Exporter {
    /// Sends what the ledger has after the feed's place.
    async fn catch_up(&mut self) {
        loop {
            let end = self.gateway.durable();
            if end <= self.feed.seq() {
                return;
            }
            let records = match self.read(end).await {
                Ok(records) => records,
                Err(error) => {
                    tracing::error!(%error, "the ledger cannot be read; no spans and logs are sent");
                    return;
                }
            };
            let upto = match records.last() {
                Some(last) if records.len() >= OTEL_BATCH_RECORDS => last.seq,
                _ => end,
            };
            if !records.is_empty() {
                let (logs, traces) = (self.config.logs.clone(), self.config.traces.clone());
                self.deliver(&logs, &message::logs(&records), upto).await;
                if let Some(spans) = message::traces(&records) {
                    self.deliver(&traces, &spans, upto).await;
                }
            }
            // CRASH: what was taken before is sent again; its identifiers are the same.
            self.feed.advance(upto);
        }
    }

    async fn read(&self, end: u64) -> Result<Vec<Record>, ReadError> {
        let (filter, ledger) =
            (self.config.filter.clone().within(self.feed.seq() + 1, end), self.gateway.ledger.clone());
        blocking(move || {
            let mut records = Vec::new();
            ledger.reader()?.visit(&filter, Order::OldestFirst, |record| {
                records.push(record);
                if records.len() < OTEL_BATCH_RECORDS { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
            Ok(records)
        })
        .await
    }

    /// Tries until the collector has the message, or refuses it.
    async fn deliver(&mut self, url: &WebUrl, message: &Value, upto: u64) {
        let (begun, body) = (now(), Bytes::from(message.to_string()));
        let mut pauses = NOTIFY_PAUSES.iter().copied();
        loop {
            match self.send(url, body.clone()).await {
                Ok(()) => return self.feed.works_again().await,
                Err(SendError::Refused(why)) => {
                    return self.feed.give_up(&format!("records up to {upto} at {url}: {why}")).await;
                }
                Err(SendError::Later(why)) => {
                    tracing::warn!(%url, why, "spans and logs are not delivered yet");
                    if now().micros_since(begun) > NOTIFY_TROUBLE_US {
                        self.feed.trouble(&format!("records up to {upto} at {url}: {why}")).await;
                    }
                }
            }
            tokio::time::sleep(pauses.next().unwrap_or(NOTIFY_PAUSE_MAX)).await;
        }
    }

    /// Sends one request, and reads its answer as the protocol has it.
    async fn send(&self, url: &WebUrl, body: Bytes) -> Result<(), SendError> {
        let later = |error: &dyn std::fmt::Display| SendError::Later(error.to_string());
        let mut request = Request::builder()
            .method(Method::POST)
            .header(CONTENT_TYPE, "application/json")
            .header(USER_AGENT, concat!("countersign/", env!("CARGO_PKG_VERSION")));
        if let Some((name, value)) = &self.config.credential {
            request = request.header(name, value);
        }
        let request = request.body(body).map_err(|error| later(&error))?;
        let answer = self.web.ask(url, request).await.map_err(|error| later(&error))?;
        match answer.status() {
            status if status.is_success() => rejected(answer.body()).map_or(Ok(()), |why| Err(SendError::Refused(why))),
            status @ (StatusCode::TOO_MANY_REQUESTS
            | StatusCode::BAD_GATEWAY
            | StatusCode::SERVICE_UNAVAILABLE
            | StatusCode::GATEWAY_TIMEOUT) => Err(later(&format!("the collector answered with status {status}"))),
            // Whoever runs the collector can mend these, and nothing is wrong with what was sent.
            status @ (StatusCode::UNAUTHORIZED
            | StatusCode::FORBIDDEN
            | StatusCode::NOT_FOUND
            | StatusCode::REQUEST_TIMEOUT) => Err(later(&format!("the collector answered with status {status}"))),
            status if status.is_server_error() => Err(later(&format!("the collector answered with status {status}"))),
            status => Err(SendError::Refused(format!("the collector refused it with status {status}"))),
        }
    }
}

/// What a collector says that took a part alone.
fn rejected(body: &[u8]) -> Option<String> {
    let answer: Value = serde_json::from_slice(body).ok()?;
    let partial = answer.get("partialSuccess")?;
    let of = |name: &str| match partial.get(name) {
        Some(Value::String(text)) => text.parse().ok(),
        Some(number) => number.as_u64(),
        None => None,
    };
    let count: u64 = of("rejectedLogRecords").or_else(|| of("rejectedSpans"))?;
    let why = partial.get("errorMessage").and_then(Value::as_str).unwrap_or("it does not say why");
    let why: String = why.chars().take(256).collect();
    (count > 0).then(|| format!("the collector rejected {count}: {why}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collector_that_takes_a_part_alone_says_so() {
        for (body, said) in [
            ("", None),
            ("{}", None),
            (r#"{"partialSuccess":{}}"#, None),
            (r#"{"partialSuccess":{"errorMessage":"slow down"}}"#, None),
            (r#"{"partialSuccess":{"rejectedSpans":"0"}}"#, None),
            (r#"{"partialSuccess":{"rejectedSpans":"2","errorMessage":"too old"}}"#, Some("rejected 2: too old")),
            (r#"{"partialSuccess":{"rejectedLogRecords":3}}"#, Some("rejected 3: it does not say why")),
        ] {
            let rejected = rejected(body.as_bytes());
            assert_eq!(rejected.is_some(), said.is_some(), "{body}");
            assert!(rejected.unwrap_or_default().contains(said.unwrap_or_default()), "{body}");
        }
    }
}
