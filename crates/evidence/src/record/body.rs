//! The bodies of the record types. Fields in the order of RFC 8785; closed: an unknown field is an error.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;

use super::approval::ApprovalRecord;
use super::captured::{Captured, EvidenceAccess};
use super::origin::TargetOrigin;
use super::request::RequestContext;
use crate::ids::{ApprovalId, ExceptionId};
use crate::time::Timestamp;

/// Declares an enum whose variants have one stable spelling, in records, filters and output.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$vmeta:meta])* $variant:ident = $word:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name { $($(#[$vmeta])* #[serde(rename = $word)] $variant),+ }

        impl $name {
            /// Every value, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stable spelling.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),+ }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }

        impl FromStr for $name {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                match text {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(format!("`{text}` is none of {}", [$($word),+].join(", "))),
                }
            }
        }
    };
}

pub(super) use words;

words! {
    /// The types of records.
    RecordType {
        /// See [`ActionRecord`].
        ActionRecord = "action_record",
        /// See [`ApprovalRecord`].
        ApprovalRecord = "approval_record",
        /// See [`DecisionRecord`].
        DecisionRecord = "decision_record",
        /// See [`EvidenceAccess`].
        EvidenceAccess = "evidence_access",
        /// See [`ExceptionRecord`].
        ExceptionRecord = "exception_record",
        /// See [`LedgerState`].
        LedgerState = "ledger_state",
        /// See [`RequestContext`].
        RequestContext = "request_context",
        /// See [`VersionLog`].
        VersionLog = "version_log",
    }
}

words! {
    /// A protocol through which agents act.
    Surface {
        /// None: a change to what governs agents, which waits for people like a call.
        Change = "change",
        /// The Model Context Protocol.
        Mcp = "mcp",
        /// The steps of an automation, which asks before it does one and reports what became of it.
        Workflow = "workflow",
    }
}

words! {
    /// What is done at an endpoint of a surface.
    Endpoint {
        /// A prompt is fetched.
        Prompt = "prompt",
        /// Any other request of the protocol, named by its method.
        Request = "request",
        /// A resource is read or watched.
        Resource = "resource",
        /// A tool is called.
        Tool = "tool",
    }
}

words! {
    /// What a tool does to the world. `unconfirmed` until a person has said so.
    EffectClass {
        /// Changes who may do what.
        Admin = "admin",
        /// Removes for good.
        Destroy = "destroy",
        /// Moves money.
        Pay = "pay",
        /// Only looks.
        Read = "read",
        /// Sends something out.
        Send = "send",
        /// No person has confirmed what it does; treated as the worst.
        Unconfirmed = "unconfirmed",
        /// Changes something.
        Write = "write",
    }
}

words! {
    /// Where on the path a decision was made.
    DecisionPoint {
        /// When the call arrived.
        Call = "call",
        /// Before a result went back: that of the call, or, with the reason `replayed`, that of an identical call which was executed before.
        Release = "release",
        /// When an approval was used.
        Use = "use",
    }
}

words! {
    /// What a decision says.
    Effect {
        /// The call may run.
        Allow = "allow",
        /// People must say.
        Ask = "ask",
        /// The call must not run.
        Deny = "deny",
    }
}

words! {
    /// Before and after an effect.
    ActionEvent {
        /// Durable before anything runs.
        Intent = "intent",
        /// What became of it.
        Outcome = "outcome",
    }
}

words! {
    /// What became of a call that had an intent.
    Status {
        /// It was cancelled after it had been sent; the effect may have happened.
        Cancelled = "cancelled",
        /// The tool answered with a result.
        Done = "done",
        /// It was never sent.
        NotExecuted = "not_executed",
        /// The upstream has begun and is not at the end: it asked for input, or made a task of it.
        Pending = "pending",
        /// The tool answered with an error.
        ToolError = "tool_error",
        /// It was sent and no answer is known.
        Unknown = "unknown",
    }
}

words! {
    /// The life of an exception.
    ExceptionEvent {
        /// It was closed, after mitigation and review.
        Closed = "closed",
        /// Something was done about it.
        Mitigated = "mitigated",
        /// It was found.
        Opened = "opened",
        /// Somebody else than its owner looked at it.
        Reviewed = "reviewed",
    }
}

words! {
    /// What kind of thing was outside the plan.
    ExceptionKind {
        /// An agent or a request was refused at the door.
        Access = "access",
        /// An approval cannot be answered as its gate asks.
        Approval = "approval",
        /// An audit test failed.
        Audit = "audit",
        /// The file of own classes was refused.
        BadClasses = "bad_classes",
        /// A mission file was refused.
        BadMission = "bad_mission",
        /// The organisation file was refused.
        BadOrganisation = "bad_organisation",
        /// The file of persons and groups was refused.
        BadPeople = "bad_people",
        /// In an emergency a call ran without those whom its gate asks.
        BreakGlass = "break_glass",
        /// All calls together would have used more than the mission allows.
        Budget = "budget",
        /// A change took effect that nobody could approve.
        Change = "change",
        /// The clock jumped.
        Clock = "clock",
        /// A call held, or its tool returned, a class of data that the mission does not expect.
        Data = "data",
        /// A tool's definition is not the one that was accepted.
        Drift = "drift",
        /// The authorization server could not be asked for its keys.
        Issuer = "issuer",
        /// The ledger was damaged, full or could not be written.
        Ledger = "ledger",
        /// People could not be notified.
        Notification = "notification",
        /// A mission is only observed.
        Observe = "observe",
        /// A person's key was enrolled without a second person's confirmation.
        People = "people",
        /// A peer broke the protocol.
        Protocol = "protocol",
        /// A call ended without a known outcome.
        UnknownOutcome = "unknown_outcome",
        /// A person accepted it, with a compensating control, until a date.
        Waiver = "waiver",
        /// A witness has not cosigned the log's checkpoints: it is away, does not know the log, or has seen another history of it.
        Witness = "witness",
    }
}

words! {
    /// Which way a version changes what is allowed. What cannot be told counts as wider.
    Direction {
        /// It allows something new, and something no longer.
        Both = "both",
        /// It allows less.
        Narrower = "narrower",
        /// Whether it allows something new cannot be told.
        Unclear = "unclear",
        /// It allows something new.
        Wider = "wider",
    }
}

impl Direction {
    /// Whether something new may be allowed.
    #[must_use]
    pub const fn is_wider(self) -> bool {
        match self {
            Self::Both | Self::Unclear | Self::Wider => true,
            Self::Narrower => false,
        }
    }
}

words! {
    /// What a `version_log` is about.
    VersionedKind {
        /// A file that is linked to a record.
        Attachment = "attachment",
        /// The file of own classes, with its indexes.
        Classes = "classes",
        /// The stop switch of a mission, an agent or everything.
        Halt = "halt",
        /// A signing or sealing key, or a person's.
        Key = "key",
        /// A mission file.
        Mission = "mission",
        /// The organisation file.
        Organisation = "organisation",
        /// The file of persons and groups.
        People = "people",
        /// The accepted definition of a tool.
        Pin = "pin",
        /// A run.
        Run = "run",
    }
}

words! {
    /// What the ledger did.
    LedgerEvent {
        /// It cannot be written; nothing executes.
        Degraded = "degraded",
        /// It closed what an earlier process had left open.
        Recovered = "recovered",
        /// It was opened for writing.
        Started = "started",
        /// It was closed in order.
        Stopped = "stopped",
    }
}

/// A tool, resource, prompt or request of an upstream.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tool {
    /// Tool, resource, prompt or other request.
    pub endpoint: Endpoint,
    /// Its name; a resource's URI; a request's method.
    pub name: Arc<str>,
    /// The surface.
    pub surface: Surface,
    /// The upstream that offers it, as the mission names it.
    pub upstream: Arc<str>,
}

impl fmt::Display for Tool {
    /// `mcp:bank/send_money`; resources as `mcp:erp/resource:invoice://7`, prompts and requests likewise.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}/", self.surface, self.upstream)?;
        match self.endpoint {
            Endpoint::Tool => f.write_str(&self.name),
            endpoint => write!(f, "{endpoint}:{}", self.name),
        }
    }
}

/// A rule that decided.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The rule's id in the compiled policy, e.g. `allow.mcp.bank.send_money`.
    pub id: Arc<str>,
    /// The line of the mission file where it stands, from 1.
    pub line: u32,
}

/// Something that must be done with an allowed call.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Obligation {
    /// What must be done.
    pub kind: String,
    /// On what.
    pub target: String,
}

/// The policy that decided.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// SHA-256 of the mission file's bytes.
    pub mission_sha256: Arc<str>,
    /// SHA-256 of the organisation file's bytes and of the policies that it names; absent where there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub organisation_sha256: Option<Arc<str>>,
    /// SHA-256 of the compiled slice for this tool; absent where the mission has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slice_sha256: Option<Arc<str>>,
}

/// A typed, normalised fact about one argument.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Facet {
    /// The argument's name.
    pub argument: Arc<str>,
    /// The fact, or one for each element where the argument is a list.
    pub values: Vec<FacetValue>,
}

/// The value of a facet. The `kind` says how to read the text.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FacetValue {
    /// `text`, `number`, `bool`, `path`, `domain`, `url`, `email`, `identifier`, `command`, `sql`, `time` or `length`; `returned` with the field that returned it, or with
    /// nothing; `null`,
    /// `list` or `object` that is only known to be there; or `unparsed` with the reason in `text`.
    pub kind: Arc<str>,
    /// The normalised value; numbers as exact decimals.
    pub text: Arc<str>,
}

/// How a counter stood when a call was decided.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reading {
    /// The rule's id in the compiled policy.
    pub counter: Arc<str>,
    /// What was counted before, as an exact decimal.
    pub used: Arc<str>,
    /// What this call would add, as an exact decimal; absent where it cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wanted: Option<Arc<str>>,
    /// Since when it counts: a run, a day or an hour.
    pub window: Arc<str>,
}

/// What a record adds to a counter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Count {
    /// An exact decimal; below zero where an intent did not run.
    pub amount: Arc<str>,
    /// The rule's id in the compiled policy.
    pub counter: Arc<str>,
    /// Since when it counts: a run, a day or an hour.
    pub window: Arc<str>,
}

/// All that a decision looked at; with the policy it gives the decision again.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecisionInput {
    /// Size of the arguments in bytes.
    pub args_bytes: u64,
    /// SHA-256 of the exact argument bytes.
    pub args_sha256: String,
    /// Binds the call: SHA-256 over the JCS of run, agent, initiator, surface, upstream, policy slice, `args_sha256` and, where that is another, `sent_sha256`.
    pub call_sha256: String,
    /// What a person has confirmed that the tool does, by its accepted definition; it counts where the mission says nothing of that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmed: Option<EffectClass>,
    /// How the counters stood that limit this call, sorted by counter; those of its elements are summed up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counters: Vec<Reading>,
    /// In which arguments classes of data stand, as far as exceptions ask: `pii.email:to`, or `pii.email:*` for anywhere else; sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub data_fields: Vec<Arc<str>>,
    /// What the rules could see, sorted by argument name.
    pub facets: Vec<Facet>,
    /// The classes of data that the run had met, of those that the mission asks about; sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub met: Vec<Arc<str>>,
    /// Who named what the call acts on, sorted by argument.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub provenance: Vec<TargetOrigin>,
    /// SHA-256 of the exact argument bytes that the tool gets, where tokens turned back in those that the agent sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_sha256: Option<String>,
    /// The tool.
    pub tool: Tool,
}

/// A decision with its reasons.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecisionRecord {
    /// The approval that it asks for, waits for or uses, or whose outcome it hands out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalId>,
    /// What it says.
    pub effect: Effect,
    /// The gates that must be satisfied, or, where an approval is used, were.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gates: Vec<Arc<str>>,
    /// All that it looked at.
    pub input: DecisionInput,
    /// What must be done with the call.
    pub obligations: Vec<Obligation>,
    /// Where on the path.
    pub point: DecisionPoint,
    /// By which policy.
    pub policy: Policy,
    /// Stable reason codes, the first one decisive; empty for a plain allow.
    pub reasons: Vec<Arc<str>>,
    /// The rules that decided.
    pub rules: Vec<Rule>,
    /// The rationale in one sentence.
    pub sentence: String,
    /// What the mission says, where it is only observed: the call runs all the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub would: Option<Effect>,
}

/// The executed action and its tool surface: `intent` before, `outcome` after.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ActionRecord {
    /// SHA-256 of the exact argument bytes.
    pub args_sha256: String,
    /// Which attempt at this call, from 1.
    pub attempt: u32,
    /// What was done with each content of the call that is known by then; none where the organisation has nothing kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub captured: Vec<Captured>,
    /// What this adds to the mission's counters; their sum over all records is what is used.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counted: Vec<Count>,
    /// Microseconds from intent to outcome; only on outcomes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub duration_us: Option<u64>,
    /// What the tool does to the world.
    pub effect_class: EffectClass,
    /// Intent or outcome.
    pub event: ActionEvent,
    /// The upstream's own reference for what it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_reference: Option<String>,
    /// SHA-256 of the exact bytes of the answers to what the upstream had asked; only on intents of attempts that bring them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub input_sha256: Option<String>,
    /// Why the status is not `done`: a stable reason code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Arc<str>>,
    /// Who said what became of it, where the gateway did not see it; only on outcomes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reported: Option<Reported>,
    /// Size of the result in bytes; only on outcomes that have one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_bytes: Option<u64>,
    /// SHA-256 of the exact result bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result_sha256: Option<String>,
    /// SHA-256 of the exact argument bytes that the tool gets; only on intents of calls in which tokens turned back.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sent_sha256: Option<String>,
    /// What became of it; only on outcomes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<Status>,
    /// The tool.
    pub tool: Tool,
}

/// What a broken glass demands: that one of those who were skipped looks at it, who has nothing to do with the call.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BrokenGlass {
    /// Which approval.
    pub approval: ApprovalId,
    /// Who must not review: whoever has to do with the call, and whoever broke the glass; sorted.
    pub excluded: Vec<Arc<str>>,
    /// The groups that were skipped, one of which the reviewer must be in; sorted.
    pub groups: Vec<Arc<str>>,
    /// The mission.
    pub mission: Arc<str>,
}

/// A person's signature under what they say of an exception.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signed {
    /// Those of the skipped groups that the person belongs to.
    pub groups: Vec<Arc<str>>,
    /// The key that signed.
    pub key: String,
    /// Random, so that no signature serves twice: 32 hexadecimal digits.
    pub nonce: String,
    /// Ed25519 over the statement, in base64.
    pub signature: String,
    /// When the person signed, by their own clock.
    pub signed_at: Timestamp,
}

/// What an automation says became of its step. Nothing vouches for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reported {
    /// The agent that said it.
    pub by: Arc<str>,
    /// What it added in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Arc<str>>,
}

/// Something outside the plan, and what was done about it.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExceptionRecord {
    /// Whose review it needs; only where glass was broken, as it is opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broken_glass: Option<BrokenGlass>,
    /// When it must be closed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<Timestamp>,
    /// Where in its life.
    pub event: ExceptionEvent,
    /// The exception over all its records.
    pub exception: ExceptionId,
    /// What kind.
    pub kind: ExceptionKind,
    /// What was done about it; for a waiver, the compensating control.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mitigation: Option<String>,
    /// What its reviewer, or who closed it, has to say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Who must see to it.
    pub owner: String,
    /// What happened, in a sentence.
    pub reason: String,
    /// What it touches: a call, a mission, a file.
    pub scope: String,
    /// How the person signed this event; absent where they did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signed: Option<Signed>,
    /// The person who wrote this event; absent where the gateway did by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub who: Option<String>,
}

/// What is versioned.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VersionedObject {
    /// What kind.
    pub kind: VersionedKind,
    /// Its name.
    pub name: Arc<str>,
}

/// What changed and why.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VersionLog {
    /// The approval by which it took effect; the use of it is the record before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approval: Option<ApprovalId>,
    /// The difference in sentences.
    pub difference: Vec<String>,
    /// Which way it changes what is allowed; absent where it changes nothing of that, or is neither mission, organisation nor pin.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// Before: a digest or a state; absent when it is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Arc<str>>,
    /// What changed.
    pub object: VersionedObject,
    /// What can be stated of the object as it now is, as JSON text that this version of the program reads back (a run's token hash and expiry).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// After: a digest or a state.
    pub to: Arc<str>,
    /// Who changed it.
    pub who: String,
    /// Why.
    pub why: String,
}

/// The log's own life: start, stop, trouble.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerState {
    /// What it says in a sentence.
    pub detail: String,
    /// What happened.
    pub event: LedgerEvent,
    /// The log's origin, as its checkpoints name it.
    pub origin: String,
    /// The number of records before this one.
    pub records: u64,
    /// The program's version.
    pub version: String,
}

/// The body of a record, by type.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Body {
    /// Somebody opened what is kept.
    Access(EvidenceAccess),
    /// An executed action.
    Action(ActionRecord),
    /// An approval.
    Approval(Box<ApprovalRecord>),
    /// A decision.
    Decision(DecisionRecord),
    /// Something outside the plan.
    Exception(ExceptionRecord),
    /// The log's own life.
    Ledger(LedgerState),
    /// Who initiated.
    Request(RequestContext),
    /// What changed.
    Version(VersionLog),
}

impl Body {
    /// The type that names this body's shape.
    #[must_use]
    pub const fn record_type(&self) -> RecordType {
        match self {
            Self::Access(_) => RecordType::EvidenceAccess,
            Self::Action(_) => RecordType::ActionRecord,
            Self::Approval(_) => RecordType::ApprovalRecord,
            Self::Decision(_) => RecordType::DecisionRecord,
            Self::Exception(_) => RecordType::ExceptionRecord,
            Self::Ledger(_) => RecordType::LedgerState,
            Self::Request(_) => RecordType::RequestContext,
            Self::Version(_) => RecordType::VersionLog,
        }
    }

    /// Reads the body of a record of type `record_type`.
    pub(super) fn read(record_type: RecordType, raw: &RawValue) -> Result<Self, serde_json::Error> {
        let text = raw.get();
        Ok(match record_type {
            RecordType::ActionRecord => Self::Action(serde_json::from_str(text)?),
            RecordType::ApprovalRecord => Self::Approval(serde_json::from_str(text)?),
            RecordType::DecisionRecord => Self::Decision(serde_json::from_str(text)?),
            RecordType::EvidenceAccess => Self::Access(serde_json::from_str(text)?),
            RecordType::ExceptionRecord => Self::Exception(serde_json::from_str(text)?),
            RecordType::LedgerState => Self::Ledger(serde_json::from_str(text)?),
            RecordType::RequestContext => Self::Request(serde_json::from_str(text)?),
            RecordType::VersionLog => Self::Version(serde_json::from_str(text)?),
        })
    }
}

impl Serialize for Body {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Access(body) => body.serialize(serializer),
            Self::Action(body) => body.serialize(serializer),
            Self::Approval(body) => body.serialize(serializer),
            Self::Decision(body) => body.serialize(serializer),
            Self::Exception(body) => body.serialize(serializer),
            Self::Ledger(body) => body.serialize(serializer),
            Self::Request(body) => body.serialize(serializer),
            Self::Version(body) => body.serialize(serializer),
        }
    }
}

macro_rules! into_body {
    ($($variant:ident($body:ident)),+) => { $(impl From<$body> for Body { fn from(body: $body) -> Self { Self::$variant(body) } })+ };
}

impl From<ApprovalRecord> for Body {
    fn from(body: ApprovalRecord) -> Self {
        Self::Approval(Box::new(body))
    }
}

into_body!(
    Access(EvidenceAccess),
    Action(ActionRecord),
    Decision(DecisionRecord),
    Exception(ExceptionRecord),
    Ledger(LedgerState),
    Request(RequestContext),
    Version(VersionLog)
);
