//! Evidence records: what happened, as structured objects with closed, versioned schemas.
//!
//! A [`Draft`] is what the governed path hands over; the ledger adds identity, place and time and so makes a [`Record`]. Fields are declared in the order of
//! RFC 8785, so serialising a record gives its canonical bytes at once. Every field's meaning is documented in `schemas/evidence/*.json`.

pub mod approval;
mod body;
mod captured;
mod origin;
mod request;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use serde::de::{self, Deserializer};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use approval::ApprovalRecord;
pub use body::{
    ActionEvent, ActionRecord, Body, BrokenGlass, Count, DecisionInput, DecisionPoint, DecisionRecord, Direction,
    Effect, EffectClass, Endpoint, ExceptionEvent, ExceptionKind, ExceptionRecord, Facet, FacetValue, LedgerEvent,
    LedgerState, Obligation, Policy, Reading, RecordType, Reported, Rule, Signed, Status, Surface, Tool, VersionLog,
    VersionedKind, VersionedObject,
};
pub use captured::{Capture, Captured, Content, EvidenceAccess, Look, Unkept};
pub use origin::{Origin, TargetOrigin, TargetRole};
pub use request::{AccessToken, Channel, Client, Purpose, RequestContext};

use crate::ids::{CallId, RecordId, RunId};
use crate::limits::INTEGER_MAX;
use crate::time::Timestamp;

/// The schema major of every record type this crate writes.
pub const SCHEMA: u32 = 1;

/// How an initiator or agent was established.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Authenticated {
    /// The peer said so and nothing checked it.
    Asserted,
    /// The configured authorization server vouched for it in a signed access token.
    Oidc,
    /// The operating system vouched for the peer's user id.
    OsUser,
    /// A run token was presented.
    RunToken,
    /// The gateway itself acted (start, stop, recovery).
    System,
}

/// The software identity that acts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Agent {
    /// The agent's name as the mission lists it.
    pub name: Arc<str>,
    /// The agent's version, as it says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Arc<str>>,
}

/// The person or system on whose behalf an agent acts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Initiator {
    /// How the identity was established.
    pub authenticated: Authenticated,
    /// The identity: an address, a user name, a system's name.
    pub name: Arc<str>,
}

/// What ties records together.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Correlation {
    /// The call that this record is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub call: Option<CallId>,
    /// The `request_context` record under which it happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<RecordId>,
    /// The mission's name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mission: Option<Arc<str>>,
    /// The run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// The W3C trace id that the agent sent, 32 lower-case hexadecimal digits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace: Option<Arc<str>>,
}

/// A link from a record to a content-addressed attachment.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Link {
    /// Size in bytes.
    pub bytes: u64,
    /// Media type, e.g. `application/pdf`.
    pub media_type: String,
    /// What the attachment is to the record, e.g. `ticket`.
    pub rel: String,
    /// SHA-256 of the content, lower-case hexadecimal.
    pub sha256: String,
}

/// Who acts for whom in which run: shared by all records of one agent session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// Who acts.
    pub agent: Agent,
    /// The `request_context` record of this session, once it is written.
    pub context: Option<RecordId>,
    /// On whose behalf.
    pub initiator: Initiator,
    /// The mission's name.
    pub mission: Option<Arc<str>>,
    /// The run.
    pub run: Option<RunId>,
}

impl Context {
    /// The context of what the gateway does by itself.
    #[must_use]
    pub fn system() -> Self {
        Self {
            agent: Agent { name: Arc::from("countersign"), version: Some(Arc::from(env!("CARGO_PKG_VERSION"))) },
            context: None,
            initiator: Initiator { authenticated: Authenticated::System, name: Arc::from("countersign") },
            mission: None,
            run: None,
        }
    }
}

/// A record before the ledger has given it an identity, a place and a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// What happened.
    pub body: Body,
    /// The call that it is about.
    pub call: Option<CallId>,
    /// Who acted for whom.
    pub context: Arc<Context>,
    /// Data classes found or declared, sorted, without duplicates.
    pub data_classes: Vec<Arc<str>>,
    /// Attachments.
    pub links: Vec<Link>,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// The trace id that the agent sent.
    pub trace: Option<Arc<str>>,
}

impl Draft {
    /// A draft without data classes, links or trace.
    #[must_use]
    pub fn new(context: Arc<Context>, call: Option<CallId>, occurred_at: Timestamp, body: impl Into<Body>) -> Self {
        Self { body: body.into(), call, context, data_classes: Vec::new(), links: Vec::new(), occurred_at, trace: None }
    }
}

/// What only the ledger can say about a record.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The log that holds the record, e.g. `cs-3f9a…`.
    pub emitter: &'a str,
    /// The record's identity.
    pub id: RecordId,
    /// When the ledger took it; never goes back.
    pub recorded_at: Timestamp,
    /// Its number in the log, from 1, without gaps.
    pub seq: u64,
}

/// Proof that one record is durable: the ledger gives it out only after the sync that covers the record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// The record's identity.
    pub id: RecordId,
    /// When the ledger took it.
    pub recorded_at: Timestamp,
    /// Its number in the log.
    pub seq: u64,
}

/// A complete record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Record {
    /// Who acted.
    pub agent: Agent,
    /// What happened; its shape is named by `type`.
    pub body: Body,
    /// What it belongs to.
    pub correlation: Correlation,
    /// Data classes found or declared, sorted.
    pub data_classes: Vec<Arc<str>>,
    /// The log that holds it.
    pub emitter: String,
    /// Its identity.
    pub id: RecordId,
    /// On whose behalf.
    pub initiator: Initiator,
    /// Attachments.
    pub links: Vec<Link>,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// When the ledger took it.
    pub recorded_at: Timestamp,
    /// Schema major.
    pub schema: u32,
    /// Its number in the log.
    pub seq: u64,
    /// Its type.
    #[serde(rename = "type")]
    pub record_type: RecordType,
}

/// Why bytes are not a record.
#[derive(Debug, thiserror::Error)]
pub enum ReadRecordError {
    /// The bytes are not the JSON of a known record type.
    #[error("read record: {0}")]
    Json(#[from] serde_json::Error),
    /// The body is not what the record's type says.
    #[error("read the body of the record: {source}")]
    Body {
        /// Where the body starts.
        start: usize,
        /// Why; its column counts from there.
        source: serde_json::Error,
    },
    /// The bytes say what a record says, in another spelling.
    #[error("record bytes are not canonical (RFC 8785) at byte {at}")]
    NotCanonical {
        /// The first byte that differs from the canonical form.
        at: usize,
    },
    /// The record was written by a newer version.
    #[error("record has schema {found}, and this version reads up to {SCHEMA}; verify it with a newer version")]
    Schema {
        /// The schema major found.
        found: u32,
    },
    /// An integer is beyond what every JSON reader holds exactly.
    #[error("record has the integer {found}, above the limit of 2^53 - 1")]
    IntegerTooLarge {
        /// The integer.
        found: u64,
    },
}

impl ReadRecordError {
    /// The first bad byte, from 0, as well as it can be told.
    #[must_use]
    pub fn at(&self) -> usize {
        match self {
            Self::Json(error) => error.column().saturating_sub(1),
            Self::Body { start, source } => start + source.column().saturating_sub(1),
            Self::NotCanonical { at } => *at,
            Self::Schema { .. } | Self::IntegerTooLarge { .. } => 0,
        }
    }
}

/// Writes the canonical bytes of `draft` at `place` to the end of `out`.
///
/// # Errors
/// Only if a value cannot be written as JSON, which no draft that this crate can build does.
pub fn write(draft: &Draft, place: Place<'_>, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
    /// [`Record`], borrowing.
    #[derive(Serialize)]
    struct View<'a> {
        agent: &'a Agent,
        body: &'a Body,
        correlation: Correlation,
        data_classes: &'a [Arc<str>],
        emitter: &'a str,
        id: RecordId,
        initiator: &'a Initiator,
        links: &'a [Link],
        occurred_at: Timestamp,
        recorded_at: Timestamp,
        schema: u32,
        seq: u64,
        #[serde(rename = "type")]
        record_type: RecordType,
    }
    let context = &*draft.context;
    let view = View {
        agent: &context.agent,
        body: &draft.body,
        correlation: Correlation {
            call: draft.call,
            context: context.context,
            mission: context.mission.clone(),
            run: context.run,
            trace: draft.trace.clone(),
        },
        data_classes: &draft.data_classes,
        emitter: place.emitter,
        id: place.id,
        initiator: &context.initiator,
        links: &draft.links,
        occurred_at: draft.occurred_at,
        recorded_at: place.recorded_at,
        schema: SCHEMA,
        seq: place.seq,
        record_type: draft.body.record_type(),
    };
    serde_json::to_writer(out, &view)
}

/// Reads a record from its bytes, and refuses bytes that are not exactly what [`write()`] would give.
///
/// # Errors
/// [`ReadRecordError`] says what is wrong.
pub fn read(bytes: &[u8]) -> Result<Record, ReadRecordError> {
    let wire: Wire<&RawValue> = serde_json::from_slice(bytes)?;
    if wire.schema != SCHEMA {
        return Err(ReadRecordError::Schema { found: wire.schema });
    }
    let raw = wire.body;
    let body = Body::read(wire.record_type, raw).map_err(|source| {
        let start = raw.get().as_ptr().addr().saturating_sub(bytes.as_ptr().addr());
        ReadRecordError::Body { start, source }
    })?;
    let record = wire.with(body);
    let canonical = serde_json::to_vec(&record)?;
    if canonical != bytes {
        let at = canonical.iter().zip(bytes).take_while(|(ours, theirs)| ours == theirs).count();
        return Err(ReadRecordError::NotCanonical { at });
    }
    match largest_integer(&record) {
        found if found > INTEGER_MAX => Err(ReadRecordError::IntegerTooLarge { found }),
        _ => Ok(record),
    }
}

/// The largest of the record's 64-bit integers: RFC 8785 has no canonical form for those that a double cannot hold.
fn largest_integer(record: &Record) -> u64 {
    let of_body = match &record.body {
        Body::Action(action) => action.duration_us.max(action.result_bytes).unwrap_or(0),
        Body::Approval(approval) => largest_of_approval(approval),
        Body::Decision(decision) => decision.input.args_bytes,
        Body::Ledger(state) => state.records,
        Body::Access(_) | Body::Exception(_) | Body::Request(_) | Body::Version(_) => 0,
    };
    record.links.iter().map(|link| link.bytes).fold(of_body.max(record.seq), u64::max)
}

fn largest_of_approval(approval: &ApprovalRecord) -> u64 {
    let Some(question) = &approval.question else { return 0 };
    let of_gates = question.gates.iter().flat_map(|gate| {
        let escalated = gate.escalate.as_ref().map_or(0, |escalation| escalation.after_s);
        let glass = gate.break_glass.as_ref().map_or(0, |glass| glass.grant_s.max(glass.review_s));
        [glass, gate.grant_s, gate.respond_s, gate.remind_s.unwrap_or(0), escalated]
    });
    of_gates.fold(question.args_bytes, u64::max)
}

/// [`Record`] with its body not yet read, because its type comes later in the bytes.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire<B> {
    agent: Agent,
    body: B,
    correlation: Correlation,
    data_classes: Vec<Arc<str>>,
    emitter: String,
    id: RecordId,
    initiator: Initiator,
    links: Vec<Link>,
    occurred_at: Timestamp,
    recorded_at: Timestamp,
    schema: u32,
    seq: u64,
    #[serde(rename = "type")]
    record_type: RecordType,
}

impl<B> Wire<B> {
    fn with(self, body: Body) -> Record {
        Record {
            agent: self.agent,
            body,
            correlation: self.correlation,
            data_classes: self.data_classes,
            emitter: self.emitter,
            id: self.id,
            initiator: self.initiator,
            links: self.links,
            occurred_at: self.occurred_at,
            recorded_at: self.recorded_at,
            schema: self.schema,
            seq: self.seq,
            record_type: self.record_type,
        }
    }
}

impl<'de> Deserialize<'de> for Record {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let wire = Wire::<Box<RawValue>>::deserialize(deserializer)?;
        let body = Body::read(wire.record_type, &wire.body).map_err(de::Error::custom)?;
        Ok(wire.with(body))
    }
}
