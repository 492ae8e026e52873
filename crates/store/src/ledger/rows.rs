//! What of a record goes into the index and into the tree: one row a call, what filters find it by, one leaf for each. Pure.
//!
//! Reads only the fields it needs, borrowed from the record's bytes: this runs for every record the gateway writes, beside the hot path.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;

use evidence::decimal::Number;
use evidence::ids::{CallId, RecordId};
use evidence::leaf::{self, Leaf, Salt};
use evidence::record::{ActionEvent, DecisionPoint, Endpoint, RecordType, Surface, VersionedKind};
use evidence::rotation;
use evidence::time::Timestamp;
use serde::Deserialize;

use super::log::Spot;
use super::postings::Postings;

/// Records of one call that the index finds through one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRow {
    /// The call.
    pub call: CallId,
    /// The decision.
    pub decision: Option<Spot>,
    /// The intent.
    pub intent: Option<Spot>,
    /// The outcome.
    pub outcome: Option<Spot>,
}

/// A record about a call that is not in its row: approvals, exceptions, later decisions and attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StrayRow {
    /// The call.
    pub call: CallId,
    /// Where it is.
    pub spot: Spot,
    /// Whether it is an action.
    pub is_action: bool,
}

/// What a `version_log` is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VersionRow {
    /// What kind.
    pub kind: VersionedKind,
    /// Its name.
    pub name: String,
    /// Where it is.
    pub spot: Spot,
}

/// A counter of a mission, in one run, hour or day.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Counted {
    /// The mission's name.
    pub mission: String,
    /// The counter's id.
    pub counter: String,
    /// Since when it counts.
    pub window: String,
}

/// Rows of consecutive records, for one transaction. The same records give the same index, wherever one batch ends and the next begins.
#[derive(Clone, Debug, Default)]
pub struct Batch {
    /// Rows of calls, to be taken in this order; each may add to a row that is there.
    pub calls: Vec<CallRow>,
    /// What is added to the counters of missions.
    pub counted: BTreeMap<Counted, Number>,
    /// What else is about calls.
    pub strays: Vec<StrayRow>,
    /// Changes.
    pub versions: Vec<VersionRow>,
    /// Every record, with what filters find it by.
    pub postings: Postings,
    /// Where the last row of a call is in `calls`.
    last: HashMap<CallId, usize>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Wire<'a> {
    #[serde(borrow)]
    pub(super) agent: Named<'a>,
    #[serde(borrow)]
    pub(super) body: WireBody<'a>,
    #[serde(borrow)]
    pub(super) correlation: Correlation<'a>,
    #[serde(borrow)]
    pub(super) data_classes: Option<Vec<Text<'a>>>,
    pub(super) id: RecordId,
    #[serde(borrow)]
    pub(super) initiator: Named<'a>,
    pub(super) recorded_at: Timestamp,
    schema: u32,
    seq: u64,
    #[serde(rename = "type")]
    pub(super) record_type: RecordType,
}

#[derive(Debug, Deserialize)]
pub(super) struct Named<'a> {
    #[serde(borrow)]
    pub(super) name: Cow<'a, str>,
}

/// A text that is borrowed where it can be; inside of an `Option` or `Vec` a bare `Cow` never is.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
pub(super) struct Text<'a>(#[serde(borrow)] pub(super) Cow<'a, str>);

#[derive(Debug, Deserialize)]
pub(super) struct Correlation<'a> {
    pub(super) call: Option<CallId>,
    #[serde(borrow)]
    pub(super) context: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) mission: Option<Text<'a>>,
    #[serde(borrow)]
    pub(super) run: Option<Text<'a>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct WireTool<'a> {
    endpoint: Endpoint,
    #[serde(borrow)]
    name: Cow<'a, str>,
    surface: Surface,
    #[serde(borrow)]
    upstream: Cow<'a, str>,
}

impl WireTool<'_> {
    /// As [`evidence::record::Tool`] displays it; a test holds the two together.
    pub(super) fn text(&self) -> String {
        let Self { endpoint, name, surface, upstream } = self;
        match endpoint {
            Endpoint::Tool => format!("{surface}:{upstream}/{name}"),
            endpoint => format!("{surface}:{upstream}/{endpoint}:{name}"),
        }
    }
}

/// Declares what is read of an object, all of it optional: first what borrows from the record's bytes, then what does not.
macro_rules! wire {
    ($(#[$meta:meta])* $name:ident { $($field:ident: $type:ty),+ $(,)? } $({ $($plain:ident: $plain_type:ty),+ })?) => {
        $(#[$meta])*
        #[derive(Debug, Deserialize)]
        pub(super) struct $name<'a> {
            $(#[serde(borrow)] pub(super) $field: Option<$type>,)+
            $($(pub(super) $plain: Option<$plain_type>,)+)?
        }
    };
}

wire! {
    /// The fields of all bodies that rows are made of. One reading for all types, because the type comes after the body, and reading a body twice is most of the work.
    WireBody {
        approval: Text<'a>,
        broken_glass: WireGlass<'a>,
        counted: Vec<WireCount<'a>>,
        delegation: Vec<Text<'a>>,
        detail: Text<'a>,
        difference: Vec<Text<'a>>,
        direction: Text<'a>,
        effect: Text<'a>,
        effect_class: Text<'a>,
        event: Text<'a>,
        exception: Text<'a>,
        from: Text<'a>,
        gate: Text<'a>,
        gates: Vec<Text<'a>>,
        grant: WireGrant<'a>,
        input: WireInput<'a>,
        kind: Text<'a>,
        mitigation: Text<'a>,
        note: Text<'a>,
        object: WireObject<'a>,
        owner: Text<'a>,
        point: Text<'a>,
        policy: WirePolicy<'a>,
        purpose: WirePurpose<'a>,
        question: WireQuestion<'a>,
        reason: Text<'a>,
        reasons: Vec<Text<'a>>,
        reported: WireReported<'a>,
        resolution: Text<'a>,
        review: WireReview<'a>,
        sentence: Text<'a>,
        status: Text<'a>,
        to: Text<'a>,
        tool: WireTool<'a>,
        who: Text<'a>,
        why: Text<'a>,
        would: Text<'a>,
    } { attempt: u32 }
}

wire! { WireGlass { approval: Text<'a> } }
wire! { WireGrant { break_glass: Vec<Text<'a>> } }
wire! { WireFacet { argument: Text<'a> } }
wire! { WireInput { facets: Vec<WireFacet<'a>>, provenance: Vec<WireTarget<'a>>, tool: WireTool<'a> } }
wire! { WireTarget { origin: Text<'a> } }
wire! { WirePolicy { mission_sha256: Text<'a>, organisation_sha256: Text<'a> } }
wire! { WirePurpose { text: Text<'a> } }
wire! { WireQuestion { gates: Vec<WireGate<'a>>, sentence: Text<'a> } }
wire! { WireGate { name: Text<'a> } }
wire! { WireReported { note: Text<'a> } }
wire! { WireReview { answer: Text<'a>, on_behalf_of: Text<'a>, reason: Text<'a>, reviewer: Text<'a> } }

#[derive(Debug, Deserialize)]
pub(super) struct WireCount<'a> {
    #[serde(borrow)]
    amount: Cow<'a, str>,
    #[serde(borrow)]
    counter: Cow<'a, str>,
    #[serde(borrow)]
    window: Cow<'a, str>,
}

#[derive(Debug, Deserialize)]
pub(super) struct WireObject<'a> {
    pub(super) kind: VersionedKind,
    #[serde(borrow)]
    pub(super) name: Cow<'a, str>,
}

/// A record as far as index and tree need it, borrowed from its bytes.
#[derive(Debug)]
pub(crate) struct Glance<'a>(Wire<'a>);

impl<'a> Glance<'a> {
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, serde_json::Error> {
        // Checked for UTF-8 once as a whole, and not again for each of its strings.
        let text = std::str::from_utf8(bytes).map_err(serde::de::Error::custom)?;
        serde_json::from_str(text).map(Self)
    }

    /// Whether it is about the key that signs the log.
    pub(crate) fn is_about_log_key(&self) -> bool {
        let object = self.0.body.object.as_ref();
        object.is_some_and(|object| object.kind == VersionedKind::Key && object.name == rotation::LOG_KEY)
    }

    /// The leaf entry of the record, whose bytes these are.
    pub(crate) fn leaf_entry(&self, bytes: &[u8], salt: &Salt, emitter: &str) -> Result<Vec<u8>, serde_json::Error> {
        let Wire { id, schema, seq, record_type, .. } = self.0;
        let commitment = leaf::hex_text(&leaf::commitment(salt, bytes));
        Leaf { commitment, emitter: emitter.to_owned(), id, schema, seq, record_type }.entry()
    }
}

impl Batch {
    /// Adds one record.
    pub(crate) fn add(&mut self, spot: Spot, Glance(wire): Glance<'_>) -> Result<(), serde_json::Error> {
        self.postings.add(spot, &wire);
        let Wire { body, correlation, record_type, .. } = wire;
        // The first decision, the first intent and its outcome share the call's row; anything further about the call is a row of its own.
        let mut part = None;
        match record_type {
            RecordType::DecisionRecord => {
                let point: DecisionPoint = word(body.point, "point")?;
                part = (point == DecisionPoint::Call).then_some(Part::Decision);
            }
            RecordType::ActionRecord => {
                for count in body.counted.into_iter().flatten() {
                    self.count(correlation.mission.as_ref().map_or("", |mission| &mission.0), count);
                }
                let event: ActionEvent = word(body.event, "event")?;
                part = (needed(body.attempt, "attempt")? == 1).then_some(match event {
                    ActionEvent::Intent => Part::Intent,
                    ActionEvent::Outcome => Part::Outcome,
                });
            }
            RecordType::VersionLog => {
                let object = needed(body.object, "object")?;
                self.versions.push(VersionRow { kind: object.kind, name: object.name.into_owned(), spot });
            }
            RecordType::ApprovalRecord
            | RecordType::EvidenceAccess
            | RecordType::ExceptionRecord
            | RecordType::LedgerState
            | RecordType::RequestContext => {}
        }
        let is_action = record_type == RecordType::ActionRecord;
        match (correlation.call, part) {
            (Some(call), Some(part)) => self.add_to_call(call, part, spot),
            (Some(call), None) => self.strays.push(StrayRow { call, spot, is_action }),
            (None, _) => {}
        }
        Ok(())
    }

    /// A sum beyond all numbers stays the largest.
    fn count(&mut self, mission: &str, WireCount { amount, counter, window }: WireCount<'_>) {
        let place = Counted { mission: mission.to_owned(), counter: counter.into_owned(), window: window.into_owned() };
        let sum = self.counted.entry(place).or_insert(Number::ZERO);
        *sum = sum.plus(Number::parse(&amount).unwrap_or(Number::MAX)).unwrap_or(Number::MAX);
    }

    fn add_to_call(&mut self, call: CallId, part: Part, spot: Spot) {
        if let Some(known) = self.last.get(&call).and_then(|at| self.calls.get_mut(*at))
            && let slot @ None = known.slot(part)
        {
            *slot = Some(spot);
            return;
        }
        // The first of the call in this batch, or a second record of its kind: the index decides what becomes of it.
        self.last.insert(call, self.calls.len());
        self.calls.push(CallRow::of(call, part, spot));
    }
}

/// A field that this type of record has.
fn needed<T>(field: Option<T>, name: &'static str) -> Result<T, serde_json::Error> {
    field.ok_or_else(|| serde::de::Error::missing_field(name))
}

/// A field that holds one of a few words.
fn word<T: FromStr<Err = String>>(field: Option<Text<'_>>, name: &'static str) -> Result<T, serde_json::Error> {
    needed(field, name)?.0.parse().map_err(serde::de::Error::custom)
}

/// The parts of a call that its row holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Decision,
    Intent,
    Outcome,
}

impl CallRow {
    fn of(call: CallId, part: Part, spot: Spot) -> Self {
        let mut fresh = Self { call, decision: None, intent: None, outcome: None };
        *fresh.slot(part) = Some(spot);
        fresh
    }

    const fn slot(&mut self, part: Part) -> &mut Option<Spot> {
        match part {
            Part::Decision => &mut self.decision,
            Part::Intent => &mut self.intent,
            Part::Outcome => &mut self.outcome,
        }
    }

    /// Every part as a row of this kind and as a row of its own, in the order of the log.
    #[must_use]
    pub fn apart(&self) -> Vec<(Self, StrayRow)> {
        let kinds = [(Part::Decision, self.decision), (Part::Intent, self.intent), (Part::Outcome, self.outcome)];
        let mut apart: Vec<(Self, StrayRow)> = Vec::new();
        for (kind, part) in kinds {
            let Some(spot) = part else { continue };
            let stray = StrayRow { call: self.call, spot, is_action: kind != Part::Decision };
            apart.push((Self::of(self.call, kind, spot), stray));
        }
        apart.sort_by_key(|(_, stray)| stray.spot);
        apart
    }
}
