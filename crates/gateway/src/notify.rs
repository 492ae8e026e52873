//! Notifications: webhooks that tell people that something waits for them, and where to look. They only notify and link; nobody answers through one.
//!
//! Each notifier reads the ledger after its own place and posts one message for each record that its events name, in order, until the receiver has it. So every message
//! is sent at least once, over restarts too; a receiver tells repeated ones by their id. What a receiver refuses, or does not take for a day, is given up, and an exception
//! says so. Start at [`run`].

pub mod config;
mod message;

use std::ops::ControlFlow;
use std::sync::Arc;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use evidence::filter::{Filter, SeqRange, Term};
use evidence::record::approval::Question;
use evidence::record::{Record, RecordType};
use evidence::time::Timestamp;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{Method, Request, StatusCode};
use store::{Order, ReadError};
use surfaces::mcp::web::WebClient;

use crate::Gateway;
use crate::clock::now;
use crate::feed::Feed;
use crate::limits::{NOTIFY_GIVE_UP_US, NOTIFY_PAGE, NOTIFY_PAUSE_MAX, NOTIFY_PAUSES, NOTIFY_TROUBLE_US, WATCH_EVERY};
use config::NotifyConfig;
pub use message::{Message, Subject};

/// Why a message is not delivered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PostError {
    /// The receiver says that it will never take it.
    #[error("the receiver refused it with status {0}")]
    Refused(StatusCode),
    /// It may be taken later.
    #[error("{0}")]
    Later(String),
}

/// One notifier at work.
struct Notifier {
    config: NotifyConfig,
    feed: Feed,
    gateway: Arc<Gateway>,
    name: String,
    web: WebClient,
}

/// Notifies by `config`, under this name, until the gateway stops.
pub async fn run(gateway: Arc<Gateway>, name: String, config: NotifyConfig) {
    let file = format!("notify/{name}.json");
    let mitigation = "approvals wait all the same; people see them with `countersign approvals list`";
    let feed = Feed::open(gateway.clone(), &file, format!("notify:{name}"), mitigation);
    let mut notifier = Notifier { config, feed, gateway: gateway.clone(), name, web: WebClient::default() };
    loop {
        tokio::select! {
            () = gateway.stopped() => return,
            () = notifier.catch_up() => {}
        }
        tokio::select! {
            () = gateway.stopped() => return,
            () = tokio::time::sleep(WATCH_EVERY) => {}
        }
    }
}

/// Posts `message` once.
///
/// # Errors
/// [`PostError`] says whether it may be tried again.
pub async fn post(web: &WebClient, config: &NotifyConfig, message: &Message) -> Result<(), PostError> {
    let body = message.body(config.format, config.link.as_deref());
    let sent_at = now().micros().div_euclid(1_000_000);
    let mut request = Request::builder()
        .method(Method::POST)
        .header(CONTENT_TYPE, "application/json")
        .header(USER_AGENT, concat!("countersign/", env!("CARGO_PKG_VERSION")))
        .header("webhook-id", &message.id)
        .header("webhook-timestamp", sent_at);
    if let Some(secret) = &config.secret {
        request = request.header("webhook-signature", signature(secret, &message.id, sent_at, &body));
    }
    let later = |error: &dyn std::fmt::Display| PostError::Later(error.to_string());
    let request = request.body(Bytes::from(body)).map_err(|error| later(&error))?;
    let status = web.ask(&config.url, request).await.map_err(|error| later(&error))?.status();
    match status {
        status if status.is_success() => Ok(()),
        StatusCode::REQUEST_TIMEOUT | StatusCode::CONFLICT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS => {
            Err(PostError::Later(format!("the receiver answered with status {status}")))
        }
        status if status.is_server_error() => {
            Err(PostError::Later(format!("the receiver answered with status {status}")))
        }
        status => Err(PostError::Refused(status)),
    }
}

/// The signature of a message as Standard Webhooks writes it: HMAC-SHA256 over id, time and body.
fn signature(secret: &[u8], id: &str, sent_at: i64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret);
    let tag = hmac::sign(&key, format!("{id}.{sent_at}.{body}").as_bytes());
    format!("v1,{}", STANDARD.encode(tag))
}

impl Notifier {
    /// Sends what the ledger has after the notifier's place.
    async fn catch_up(&mut self) {
        loop {
            let end = self.gateway.ledger.lag().durable;
            if end <= self.feed.seq() {
                return;
            }
            let records = match self.read(end).await {
                Ok(records) => records,
                Err(error) => {
                    tracing::error!(notifier = self.name, %error, "the ledger cannot be read; nobody is notified");
                    return;
                }
            };
            let is_whole = records.len() < NOTIFY_PAGE;
            for record in records {
                if let Some(message) = self.message(&record) {
                    self.deliver(&message, record.recorded_at).await;
                }
                self.feed.advance(record.seq);
            }
            if is_whole {
                self.feed.advance(end);
            }
        }
    }

    /// A page of the records up to `end` that may be told of, oldest first.
    async fn read(&self, end: u64) -> Result<Vec<Record>, ReadError> {
        let filter = Filter::And(vec![
            Filter::Term(Term::Seq(vec![SeqRange { low: self.feed.seq() + 1, high: end }])),
            Filter::Term(Term::Type(vec![RecordType::ApprovalRecord, RecordType::ExceptionRecord])),
        ]);
        let gateway = self.gateway.clone();
        let read = tokio::task::spawn_blocking(move || {
            let mut records = Vec::new();
            gateway.ledger.reader()?.visit(&filter, Order::OldestFirst, |record| {
                records.push(record);
                if records.len() < NOTIFY_PAGE { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
            Ok(records)
        });
        // It is lost only with the runtime, which is stopping then.
        read.await.unwrap_or(Ok(Vec::new()))
    }

    /// What is told of `record`, where this notifier tells of it.
    fn message(&self, record: &Record) -> Option<Message> {
        let subject = Subject::of(record)?;
        if !self.config.events.contains(&subject.event) {
            return None;
        }
        let question = subject.approval.and_then(|approval| self.gateway.approvals.question(approval));
        if let Some(groups) = &self.config.groups {
            let asked = question
                .as_ref()
                .map(|question| message::groups_of(&question.gates, subject.event))
                .unwrap_or_default();
            // What cannot be told apart is told to all.
            if question.is_some() && asked.is_disjoint(groups) {
                return None;
            }
        }
        Some(Message::new(record, subject, question.as_ref(), self.skipped(record, subject, question.as_ref())))
    }

    /// Whom broken glass left unheard, by the persons in force.
    fn skipped(&self, record: &Record, subject: Subject, question: Option<&Question>) -> Vec<Arc<str>> {
        let approvals = &self.gateway.approvals;
        let view =
            record.correlation.run.zip(subject.approval).and_then(|(run, approval)| approvals.of_run(run, approval));
        match (question, view, self.gateway.people.in_force()) {
            (Some(question), Some(view), Some(people)) => message::skipped(record, question, &view.reviews, &people),
            _ => Vec::new(),
        }
    }

    /// Tries until the receiver has the message, refuses it, or has not taken it for a day.
    async fn deliver(&mut self, message: &Message, recorded_at: Timestamp) {
        let begun = now();
        let mut pauses = NOTIFY_PAUSES.iter().copied();
        loop {
            match post(&self.web, &self.config, message).await {
                Ok(()) => return self.feed.works_again().await,
                Err(error @ PostError::Refused(_)) => {
                    return self.feed.give_up(&format!("{} of {}: {error}", message.event, message.about)).await;
                }
                Err(error @ PostError::Later(_)) => {
                    tracing::warn!(notifier = self.name, %error, "a notification is not delivered yet");
                    let at = now();
                    let reason = format!("{} of {}: {error}", message.event, message.about);
                    if at.micros_since(recorded_at) > NOTIFY_GIVE_UP_US {
                        return self.feed.give_up(&reason).await;
                    }
                    if at.micros_since(begun) > NOTIFY_TROUBLE_US {
                        self.feed.trouble(&reason).await;
                    }
                }
            }
            tokio::time::sleep(pauses.next().unwrap_or(NOTIFY_PAUSE_MAX)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the Standard Webhooks specification (spec/standard-webhooks.md, "Verifying signatures").
    #[test]
    fn a_message_is_signed_as_standard_webhooks_says() {
        let secret = config::secret_of("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").unwrap();
        let said = signature(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, r#"{"test": 2432232314}"#);
        assert_eq!(said, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }
}
