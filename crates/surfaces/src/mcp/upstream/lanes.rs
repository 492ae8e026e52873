//! One link to a server, shared by requests that stand alone: each has a lane with its own queue of what came along with it.
//!
//! Over HTTP a lane is a POST of its own. A child process has one channel for all, and clients that share it choose ids without knowing of each other: there each
//! request goes under a number of ours, in the place of its id, its progress token and the id of its subscription, and what comes back gets its own again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::header::HeaderMap;

use super::incoming::{IncomingQueue, IncomingSender, incoming};
use super::{Arrived, Incoming, Upstream, UpstreamFault};
use crate::limits::{INCOMING_MAX, ReadLimits};
use crate::mcp::codec::{Envelope, EnvelopeKind, Raw, RawId, Splice, SpliceError};

const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
/// The member of `_meta` that says to which subscription a message belongs.
pub(in crate::mcp) const SUBSCRIPTION: &str = "io.modelcontextprotocol/subscriptionId";

/// A link to a server that several clients share.
#[derive(Debug)]
pub(in crate::mcp) struct Lanes {
    next: AtomicI64,
    open: Mutex<HashMap<i64, Open>>,
    upstream: Upstream,
}

/// A lane that waits for its answer.
#[derive(Clone, Debug)]
struct Open {
    incoming: Arc<IncomingSender>,
    own: Arc<Own>,
}

/// What a request calls itself.
#[derive(Debug)]
struct Own {
    id: RawId,
    progress_token: Option<RawId>,
    wants_log: bool,
}

impl Lanes {
    pub(in crate::mcp) fn new(upstream: Upstream) -> Arc<Self> {
        Arc::new(Self { next: AtomicI64::new(1), open: Mutex::default(), upstream })
    }

    /// A lane for one request. `headers` repeat it, where the transport has headers.
    pub(in crate::mcp) fn open(self: &Arc<Self>, headers: HeaderMap) -> (Upstream, IncomingQueue) {
        match &self.upstream {
            Upstream::Http(upstream) => {
                let (upstream, queue) = upstream.lane(headers);
                (Upstream::Http(upstream), queue)
            }
            Upstream::Lane(_) | Upstream::Stdio(_) => {
                let (sender, queue) = incoming(INCOMING_MAX);
                let number = self.next.fetch_add(1, Ordering::Relaxed);
                (Upstream::Lane(Lane { incoming: Arc::new(sender), lanes: self.clone(), number }), queue)
            }
        }
    }

    /// Brings what the server sends by itself to the lane that it belongs to, until the server is gone; says what belongs to none.
    pub(in crate::mcp) async fn run(&self, mut queue: IncomingQueue, mut stray: impl FnMut(String)) {
        while let Some(arrived) = queue.recv().await {
            let envelope = match arrived {
                Arrived::Message(Incoming { envelope, .. }) => envelope,
                Arrived::Unreadable(why) => {
                    stray(format!("sent what is no message: {why}"));
                    continue;
                }
            };
            match envelope.kind() {
                EnvelopeKind::Notification { .. } => {}
                EnvelopeKind::Request { .. } => {
                    stray("asked something of its own accord".to_owned());
                    continue;
                }
                EnvelopeKind::Response { .. } | EnvelopeKind::ErrorResponse { .. } => {
                    stray("answered a request that nobody sent".to_owned());
                    continue;
                }
            }
            let open: Vec<(i64, Open)> = match number_of(&envelope) {
                Some(number) => self.find(number).map(|open| (number, open)).into_iter().collect(),
                // The one thing that does not say which request it belongs to.
                None if envelope.method() == Some("notifications/message") => {
                    let open = self.lock();
                    open.iter().filter(|(_, open)| open.own.wants_log).map(|(n, open)| (*n, open.clone())).collect()
                }
                None => Vec::new(),
            };
            if open.is_empty() {
                tracing::debug!(method = envelope.method(), "dropped a notification that belongs to no request");
            }
            for (number, Open { incoming, own }) in open {
                match restored(&envelope, number, &own) {
                    Ok(envelope) => {
                        // A lane that nobody listens to is on its way out.
                        let _unheard = incoming.send(Incoming { envelope, related: Some(own.id.clone()) }).await;
                    }
                    Err(error) => tracing::warn!(%error, "dropped a notification of the upstream"),
                }
            }
        }
    }

    /// Ends the link; open lanes fail.
    pub(in crate::mcp) async fn close(&self) {
        // A lane is only ever opened over what is none.
        Box::pin(self.upstream.close()).await;
    }

    fn find(&self, number: i64) -> Option<Open> {
        self.lock().get(&number).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<i64, Open>> {
        // A panic while the lock was held cannot leave it half changed: every change is one map operation.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// One request at a child process.
#[derive(Debug)]
pub struct Lane {
    incoming: Arc<IncomingSender>,
    lanes: Arc<Lanes>,
    number: i64,
}

impl Lane {
    /// See [`Upstream::beside`].
    pub(super) fn beside(&self, headers: HeaderMap) -> Upstream {
        self.lanes.open(headers).0
    }

    /// See [`Upstream::request`].
    pub(super) async fn request(&self, id: &RawId, message: Bytes) -> Result<Envelope, UpstreamFault> {
        let Upstream::Stdio(upstream) = &self.lanes.upstream else { return Err(not_ours("it is no child process")) };
        let envelope = Envelope::parse(message, &ReadLimits::REQUEST).map_err(|error| not_ours(&error.to_string()))?;
        let meta = |name| envelope.params().and_then(|params| params.at(&["_meta", name]));
        let own = Own {
            id: id.clone(),
            progress_token: meta("progressToken").and_then(RawId::read),
            wants_log: meta(LOG_LEVEL).is_some(),
        };
        let numbered = numbered(&envelope, self.number).map_err(|error| not_ours(&error.to_string()))?;
        let own = Arc::new(own);
        let open = Open { incoming: self.incoming.clone(), own: own.clone() };
        self.lanes.lock().insert(self.number, open);
        let response = upstream.request(&RawId::integer(self.number), numbered).await?;
        // What came before the answer is told before it.
        self.incoming.settled().await;
        restored(&response, self.number, &own).map_err(|error| UpstreamFault::Unreadable(error.to_string()))
    }

    /// See [`Upstream::send`]. Beside its request a lane has nothing to say but that it is taken back.
    pub(super) async fn send(&self, message: Bytes) -> Result<(), UpstreamFault> {
        let Upstream::Stdio(upstream) = &self.lanes.upstream else { return Err(not_ours("it is no child process")) };
        let envelope = Envelope::parse(message, &ReadLimits::REQUEST).map_err(|error| not_ours(&error.to_string()))?;
        let mut splice = Splice::new(envelope.bytes());
        let number = self.number.to_string();
        let number =
            Raw::parse(number.as_bytes(), &ReadLimits::REQUEST).map_err(|error| not_ours(&error.to_string()))?;
        match envelope.params().and_then(|params| params.at(&["requestId"])) {
            Some(id) => drop(splice.replace(id, number).map_err(|error| not_ours(&error.to_string()))?),
            None => return Ok(()),
        }
        upstream.send(splice.finish().map_err(|error| not_ours(&error.to_string()))?).await
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.lanes.lock().remove(&self.number);
    }
}

fn not_ours(why: &str) -> UpstreamFault {
    UpstreamFault::NotSent(why.to_owned())
}

/// The number that a notification names: of progress, of a subscription, or of a request that ended.
fn number_of(envelope: &Envelope) -> Option<i64> {
    let params = envelope.params()?;
    let places = [&["progressToken"][..], &["_meta", SUBSCRIPTION], &["requestId"]];
    places.into_iter().find_map(|place| params.at(place)?.integer())
}

/// A request under our number.
fn numbered(envelope: &Envelope, number: i64) -> Result<Bytes, SpliceError> {
    let number = number.to_string();
    let Ok(number) = Raw::parse(number.as_bytes(), &ReadLimits::REQUEST) else { return Ok(envelope.bytes().clone()) };
    let mut splice = Splice::new(envelope.bytes());
    let places = [&["id"][..], &["params", "_meta", "progressToken"]];
    for value in places.into_iter().filter_map(|place| envelope.raw().at(place)) {
        splice.replace(value, number)?;
    }
    splice.finish()
}

/// Why a message cannot be given its own names back.
#[derive(Debug, thiserror::Error)]
enum RestoreError {
    #[error(transparent)]
    Read(#[from] crate::mcp::codec::EnvelopeError),
    #[error(transparent)]
    Splice(#[from] SpliceError),
    #[error(transparent)]
    Text(#[from] crate::mcp::codec::StrictError),
}

/// A message of the server with what its request calls itself, in the place of our number.
fn restored(envelope: &Envelope, number: i64, own: &Own) -> Result<Envelope, RestoreError> {
    let id = own.id.json();
    let id = Raw::parse(id.as_bytes(), &ReadLimits::REQUEST)?;
    let token = own.progress_token.as_ref().map(RawId::json);
    let token = token.as_ref().map(|token| Raw::parse(token.as_bytes(), &ReadLimits::REQUEST)).transpose()?;
    let places = [
        (&["id"][..], Some(id)),
        (&["params", "requestId"], Some(id)),
        (&["params", "progressToken"], token),
        (&["params", "_meta", SUBSCRIPTION], Some(id)),
        (&["result", "_meta", SUBSCRIPTION], Some(id)),
    ];
    let mut splice = Splice::new(envelope.bytes());
    for (place, own) in places {
        if let (Some(value), Some(own)) = (envelope.raw().at(place), own)
            && value.integer() == Some(number)
        {
            splice.replace(value, own)?;
        }
    }
    Ok(Envelope::parse(splice.finish()?, &ReadLimits::RESPONSE)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn envelope(text: &str) -> Envelope {
        Envelope::parse(text.to_owned().into(), &ReadLimits::RESPONSE).unwrap()
    }

    #[test]
    fn what_goes_under_our_number_comes_back_under_its_own_name() {
        let asked = r#"{"jsonrpc":"2.0","id":"\u0061","method":"tools/call","params":{"name":"t","_meta":{"progressToken":"p","x": 1.0}}}"#;
        let sent = numbered(&envelope(asked), 7).unwrap();
        assert_eq!(sent, asked.replace(r#""\u0061""#, "7").replace(r#""p""#, "7"));
        let own = Own {
            id: RawId::read(Raw::parse(br#""\u0061""#, &ReadLimits::REQUEST).unwrap()).unwrap(),
            progress_token: RawId::read(Raw::parse(br#""p""#, &ReadLimits::REQUEST).unwrap()),
            wants_log: false,
        };
        for (told, expected, number) in [
            (
                r#"{"jsonrpc":"2.0","id":7,"result":{"x": 1.0}}"#,
                r#"{"jsonrpc":"2.0","id":"\u0061","result":{"x": 1.0}}"#,
                None,
            ),
            (
                r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":7,"progress":7}}"#,
                r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"p","progress":7}}"#,
                Some(7),
            ),
            (
                r#"{"jsonrpc":"2.0","method":"notifications/x","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":7},"id":7}}"#,
                r#"{"jsonrpc":"2.0","method":"notifications/x","params":{"_meta":{"io.modelcontextprotocol/subscriptionId":"\u0061"},"id":7}}"#,
                Some(7),
            ),
            (
                r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":7}}"#,
                r#"{"jsonrpc":"2.0","method":"notifications/cancelled","params":{"requestId":"\u0061"}}"#,
                Some(7),
            ),
            (
                r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":8}}"#,
                r#"{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":8}}"#,
                Some(8),
            ),
        ] {
            let told = envelope(told);
            assert_eq!(restored(&told, 7, &own).unwrap().bytes(), expected);
            assert_eq!(told.method().and_then(|_| number_of(&told)), number);
        }
    }
}
