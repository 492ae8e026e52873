//! A batch of the agent (revision 2025-03-26): each element is a message of its own, and the answers go back as an array.
//!
//! Each request is its own call, with its own decision, records and warrant, and goes on to the upstream as a single message: an array has no meaning beyond its
//! elements, a call that is denied must not be sent with those that are not, and an answer must not wait for calls that wait for people.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;
use tokio::task::JoinSet;

use super::{Admitted, AgentSession};
use crate::govern::{Receipt, Session};
use crate::limits::BATCH_ANSWERS_BYTES_MAX;
use crate::mcp::codec::{Envelope, EnvelopeError, EnvelopeKind, RawId, author, batch};
use crate::mcp::downstream::{Address, Downstream, Message};
use crate::mcp::era::OPENING;

/// A batch whose requests have taken their places; [`AgentSession::answer_batch`] must follow where one was asked for an answer.
#[derive(Debug)]
#[must_use]
pub struct AdmittedBatch {
    /// The request under whose id the answers go back.
    carrier: Option<RawId>,
    /// What was refused at once.
    refusals: Vec<Bytes>,
    requests: Vec<Admitted>,
}

/// The first request of a batch: the whole is answered under its id.
pub fn carrier(elements: &[Result<Envelope, EnvelopeError>]) -> Option<&RawId> {
    elements.iter().flatten().find_map(|envelope| match envelope.kind() {
        EnvelopeKind::Request { id, .. } => Some(id),
        EnvelopeKind::Notification { .. } | EnvelopeKind::Response { .. } | EnvelopeKind::ErrorResponse { .. } => None,
    })
}

impl AdmittedBatch {
    /// What was refused at once, as one array; `None` where nothing was.
    pub fn refusals(&self) -> Option<Bytes> {
        (!self.refusals.is_empty()).then(|| batch::joined(&self.refusals))
    }
}

impl<S: Session, D: Downstream> AgentSession<S, D> {
    /// Takes the elements of one batch, in order. Requests register before this returns, so that a cancellation which follows finds them.
    pub async fn receive_batch(&self, elements: Vec<Result<Envelope, EnvelopeError>>) -> AdmittedBatch {
        let carrier = carrier(&elements).cloned();
        let repeated = repeated(&elements);
        let mut taken = AdmittedBatch { carrier: carrier.clone(), refusals: Vec::new(), requests: Vec::new() };
        for element in elements {
            let envelope = match element {
                Ok(envelope) => envelope,
                Err(error) => {
                    self.malformed_by_agent(&error);
                    taken.refusals.push(error.reply());
                    continue;
                }
            };
            match envelope.kind() {
                EnvelopeKind::Request { id, .. } => {
                    let id = id.clone();
                    let admitted = match unfit(&envelope, &id, &repeated) {
                        Some(refusal) => Err(refusal),
                        None => self.admit(id, envelope, carrier.clone()),
                    };
                    match admitted {
                        Ok(admitted) => taken.requests.push(admitted),
                        Err(refusal) => taken.refusals.push(refusal),
                    }
                }
                EnvelopeKind::Notification { .. } => self.notified_by_agent(&envelope).await,
                EnvelopeKind::Response { .. } | EnvelopeKind::ErrorResponse { .. } => self.answered_by_agent(envelope),
            }
        }
        taken
    }

    /// Works on the requests of a batch, side by side, until all are answered; then tells the answers.
    pub async fn answer_batch(self: Arc<Self>, batch: AdmittedBatch) {
        let AdmittedBatch { carrier, refusals, requests } = batch;
        let mut work = JoinSet::new();
        for request in requests {
            let session = self.clone();
            work.spawn(async move {
                let id = request.id.clone();
                let answer = session.work(request).await;
                (answer, session.upstream.was_streamed(&id))
            });
        }
        let mut answers: Vec<Message> = refusals.into_iter().map(Message::from).collect();
        let mut bytes = 0;
        let mut is_streamed = false;
        while let Some(done) = work.join_next().await {
            let Ok((answer, was_streamed)) = done else { continue };
            is_streamed |= was_streamed;
            let Some(answer) = answer else { continue };
            bytes += answer.bytes.len();
            answers.push(answer);
            if bytes > BATCH_ANSWERS_BYTES_MAX && !work.is_empty() {
                let address = carrier.as_ref().map_or(Address::Unsolicited, Address::Related);
                let _gone = self.downstream.deliver(address, joined(std::mem::take(&mut answers))).await;
                bytes = 0;
            }
        }
        if !answers.is_empty() {
            let address = match &carrier {
                Some(carrier) if is_streamed => Address::StreamedReply(carrier),
                Some(carrier) => Address::Reply(carrier),
                None => Address::Unsolicited,
            };
            let _gone = self.downstream.deliver(address, joined(answers)).await;
        }
    }
}

/// Several answers as one message.
fn joined(answers: Vec<Message>) -> Message {
    let (bytes, receipts): (Vec<Bytes>, Vec<_>) =
        answers.into_iter().map(|answer| (answer.bytes, answer.receipt)).unzip();
    Message { bytes: batch::joined(&bytes), receipt: Receipt::joined(receipts.into_iter().flatten()) }
}

/// The ids that more than one request has: the client could not tell their answers apart.
fn repeated(elements: &[Result<Envelope, EnvelopeError>]) -> HashSet<RawId> {
    let mut counts: HashMap<&RawId, u32> = HashMap::new();
    for envelope in elements.iter().flatten() {
        if let EnvelopeKind::Request { id, .. } = envelope.kind() {
            *counts.entry(id).or_default() += 1;
        }
    }
    counts.into_iter().filter(|(_, count)| *count > 1).map(|(id, _)| id.clone()).collect()
}

/// Why a request may not be part of a batch.
fn unfit(envelope: &Envelope, id: &RawId, repeated: &HashSet<RawId>) -> Option<Bytes> {
    let text = if envelope.method() == Some(OPENING) {
        format!("`{OPENING}` is never part of a batch; send it by itself")
    } else if repeated.contains(id) {
        format!("id {} is used twice in one batch, and neither was executed; give each request its own", id.json())
    } else {
        return None;
    };
    Some(author::error_reply(Some(id), author::INVALID_REQUEST, &text, None))
}
