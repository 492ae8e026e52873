//! What of a record goes into the index and into the tree: one row a call, one row for every other record, one leaf for each. Pure.
//!
//! Reads only the fields it needs, borrowed from the record's bytes: this runs for every record the gateway writes, beside the hot path.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::str::FromStr;

use evidence::decimal::Number;
use evidence::ids::{CallId, RecordId, RunId};
use evidence::leaf::{self, Leaf, Salt};
use evidence::record::{ActionEvent, DecisionPoint, Effect, Endpoint, RecordType, Status, Surface, VersionedKind};
use evidence::time::Timestamp;
use serde::Deserialize;

use super::log::Spot;

/// Records of one call that the index finds through one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CallRow {
    /// The call.
    pub call: CallId,
    /// What its records share.
    pub about: About,
    /// The decision.
    pub decision: Option<PartRow>,
    /// The intent.
    pub intent: Option<PartRow>,
    /// The outcome.
    pub outcome: Option<PartRow>,
}

/// One record of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartRow {
    /// Where it is.
    pub spot: Spot,
    /// When it was taken.
    pub recorded_at: Timestamp,
    /// What a decision says.
    pub effect: Option<Effect>,
    /// What an outcome says.
    pub status: Option<Status>,
    /// Its reason codes.
    pub reasons: Vec<String>,
    /// The classes of data that it is labelled with.
    pub classes: Vec<String>,
}

/// Any other record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecordRow {
    /// Where it is.
    pub spot: Spot,
    /// Its type.
    pub record_type: RecordType,
    /// Its call, if it is about one.
    pub call: Option<CallId>,
    /// Mission, run and so on.
    pub about: About,
    /// What a decision says.
    pub effect: Option<Effect>,
    /// What an outcome says.
    pub status: Option<Status>,
    /// Its reason codes.
    pub reasons: Vec<String>,
    /// The classes of data that it is labelled with.
    pub classes: Vec<String>,
    /// When it was taken.
    pub recorded_at: Timestamp,
    /// What a `version_log` is about.
    pub version: Option<(VersionedKind, String)>,
}

/// The fields that every kind of row has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct About {
    /// The run.
    pub run: Option<RunId>,
    /// The mission's name.
    pub mission: Option<String>,
    /// The agent's name.
    pub agent: String,
    /// The initiator's name.
    pub initiator: String,
    /// The tool, as [`evidence::record::Tool`] displays it.
    pub tool: Option<String>,
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
    /// Rows of other records.
    pub others: Vec<RecordRow>,
    /// Where the last row of a call is in `calls`.
    last: HashMap<CallId, usize>,
}

#[derive(Debug, Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    agent: Named<'a>,
    #[serde(borrow)]
    body: WireBody<'a>,
    #[serde(borrow)]
    correlation: Correlation<'a>,
    #[serde(borrow)]
    data_classes: Option<Vec<Text<'a>>>,
    id: RecordId,
    #[serde(borrow)]
    initiator: Named<'a>,
    recorded_at: Timestamp,
    schema: u32,
    seq: u64,
    #[serde(rename = "type")]
    record_type: RecordType,
}

#[derive(Debug, Deserialize)]
struct Named<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
}

/// A text that is borrowed where it can be; inside of an `Option` or `Vec` a bare `Cow` never is.
#[derive(Debug, Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

#[derive(Debug, Deserialize)]
struct Correlation<'a> {
    call: Option<CallId>,
    #[serde(borrow)]
    mission: Option<Text<'a>>,
    run: Option<RunId>,
}

#[derive(Debug, Deserialize)]
struct WireTool<'a> {
    endpoint: Endpoint,
    #[serde(borrow)]
    name: Cow<'a, str>,
    surface: Surface,
    #[serde(borrow)]
    upstream: Cow<'a, str>,
}

impl WireTool<'_> {
    /// As [`evidence::record::Tool`] displays it; a test holds the two together.
    fn text(&self) -> String {
        let Self { endpoint, name, surface, upstream } = self;
        match endpoint {
            Endpoint::Tool => format!("{surface}:{upstream}/{name}"),
            endpoint => format!("{surface}:{upstream}/{endpoint}:{name}"),
        }
    }
}

/// The fields of all bodies that rows are made of. One reading for all types, because the type comes after the body, and reading a body twice is most of the work.
#[derive(Debug, Deserialize)]
struct WireBody<'a> {
    attempt: Option<u32>,
    #[serde(borrow)]
    counted: Option<Vec<WireCount<'a>>>,
    #[serde(borrow)]
    effect: Option<Text<'a>>,
    #[serde(borrow)]
    event: Option<Text<'a>>,
    #[serde(borrow)]
    input: Option<WireInput<'a>>,
    #[serde(borrow)]
    object: Option<WireObject<'a>>,
    #[serde(borrow)]
    point: Option<Text<'a>>,
    #[serde(borrow)]
    reason: Option<Text<'a>>,
    #[serde(borrow)]
    reasons: Option<Vec<Text<'a>>>,
    #[serde(borrow)]
    status: Option<Text<'a>>,
    #[serde(borrow)]
    tool: Option<WireTool<'a>>,
}

#[derive(Debug, Deserialize)]
struct WireCount<'a> {
    #[serde(borrow)]
    amount: Cow<'a, str>,
    #[serde(borrow)]
    counter: Cow<'a, str>,
    #[serde(borrow)]
    window: Cow<'a, str>,
}

#[derive(Debug, Deserialize)]
struct WireInput<'a> {
    #[serde(borrow)]
    tool: WireTool<'a>,
}

#[derive(Debug, Deserialize)]
struct WireObject<'a> {
    kind: VersionedKind,
    #[serde(borrow)]
    name: Cow<'a, str>,
}

impl Text<'_> {
    fn into_owned(self) -> String {
        self.0.into_owned()
    }
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
        let body = wire.body;
        let mut row = RecordRow {
            spot,
            record_type: wire.record_type,
            call: wire.correlation.call,
            about: About {
                run: wire.correlation.run,
                mission: wire.correlation.mission.map(Text::into_owned),
                agent: wire.agent.name.into_owned(),
                initiator: wire.initiator.name.into_owned(),
                tool: None,
            },
            effect: None,
            status: None,
            reasons: Vec::new(),
            classes: wire.data_classes.into_iter().flatten().map(Text::into_owned).collect(),
            recorded_at: wire.recorded_at,
            version: None,
        };
        // The first decision, the first intent and its outcome share the call's row; anything further about the call is a row of its own.
        let mut part = None;
        match wire.record_type {
            RecordType::DecisionRecord => {
                row.about.tool = Some(needed(body.input, "input")?.tool.text());
                row.effect = Some(word(body.effect, "effect")?);
                row.reasons = needed(body.reasons, "reasons")?.into_iter().map(Text::into_owned).collect();
                let point: DecisionPoint = word(body.point, "point")?;
                part = (point == DecisionPoint::Call).then_some(Part::Decision);
            }
            RecordType::ActionRecord => {
                for count in body.counted.into_iter().flatten() {
                    self.count(row.about.mission.as_deref().unwrap_or_default(), count);
                }
                row.about.tool = Some(needed(body.tool, "tool")?.text());
                row.status = body.status.map(|status| word(Some(status), "status")).transpose()?;
                row.reasons = body.reason.into_iter().map(Text::into_owned).collect();
                let event: ActionEvent = word(body.event, "event")?;
                part = (needed(body.attempt, "attempt")? == 1).then_some(match event {
                    ActionEvent::Intent => Part::Intent,
                    ActionEvent::Outcome => Part::Outcome,
                });
            }
            RecordType::ApprovalRecord => row.about.tool = Some(needed(body.tool, "tool")?.text()),
            RecordType::VersionLog => {
                let object = needed(body.object, "object")?;
                row.version = Some((object.kind, object.name.into_owned()));
            }
            RecordType::EvidenceAccess
            | RecordType::ExceptionRecord
            | RecordType::LedgerState
            | RecordType::RequestContext => {}
        }
        match (row.call, part) {
            (Some(call), Some(part)) => self.add_to_call(call, part, row),
            _ => self.others.push(row),
        }
        Ok(())
    }

    /// A sum beyond all numbers stays the largest.
    fn count(&mut self, mission: &str, WireCount { amount, counter, window }: WireCount<'_>) {
        let place = Counted { mission: mission.to_owned(), counter: counter.into_owned(), window: window.into_owned() };
        let sum = self.counted.entry(place).or_insert(Number::ZERO);
        *sum = sum.plus(Number::parse(&amount).unwrap_or(Number::MAX)).unwrap_or(Number::MAX);
    }

    fn add_to_call(&mut self, call: CallId, part: Part, row: RecordRow) {
        let known = self.last.get(&call).and_then(|at| self.calls.get_mut(*at));
        if let Some(known) = known.filter(|known| known.about == row.about)
            && let slot @ None = known.slot(part)
        {
            *slot = Some(row.into());
            return;
        }
        // The first of the call in this batch, or a second record of its kind, or one that contradicts the row: the index decides what becomes of it.
        self.last.insert(call, self.calls.len());
        self.calls.push(CallRow::of(call, part, row));
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

impl From<RecordRow> for PartRow {
    fn from(row: RecordRow) -> Self {
        let RecordRow { spot, recorded_at, effect, status, reasons, classes, .. } = row;
        Self { spot, recorded_at, effect, status, reasons, classes }
    }
}

impl CallRow {
    fn of(call: CallId, part: Part, row: RecordRow) -> Self {
        let about = row.about.clone();
        let mut fresh = Self { call, about, decision: None, intent: None, outcome: None };
        *fresh.slot(part) = Some(row.into());
        fresh
    }

    const fn slot(&mut self, part: Part) -> &mut Option<PartRow> {
        match part {
            Part::Decision => &mut self.decision,
            Part::Intent => &mut self.intent,
            Part::Outcome => &mut self.outcome,
        }
    }

    /// The parts that are there, in the order of the log.
    fn parts(&self) -> impl Iterator<Item = &PartRow> {
        let mut parts: Vec<&PartRow> = [&self.decision, &self.intent, &self.outcome].into_iter().flatten().collect();
        parts.sort_by_key(|part| part.spot);
        parts.into_iter()
    }

    /// What the decision says.
    #[must_use]
    pub fn effect(&self) -> Option<Effect> {
        self.parts().find_map(|part| part.effect)
    }

    /// What became of the call.
    #[must_use]
    pub fn status(&self) -> Option<Status> {
        self.parts().find_map(|part| part.status)
    }

    /// The reason codes of all parts, joined by spaces.
    #[must_use]
    pub fn reasons(&self) -> String {
        self.parts().flat_map(|part| &part.reasons).map(String::as_str).collect::<Vec<_>>().join(" ")
    }

    /// The classes of data of all parts, joined by spaces.
    #[must_use]
    pub fn classes(&self) -> String {
        self.parts().flat_map(|part| &part.classes).map(String::as_str).collect::<Vec<_>>().join(" ")
    }

    /// Every part as a row of this kind and as a row of its own, in the order of the log.
    #[must_use]
    pub fn apart(&self) -> Vec<(Self, RecordRow)> {
        let kinds = [(Part::Decision, &self.decision), (Part::Intent, &self.intent), (Part::Outcome, &self.outcome)];
        let mut apart: Vec<(Self, RecordRow)> = Vec::new();
        for (kind, part) in kinds {
            let Some(part) = part.clone() else { continue };
            let record_type = match kind {
                Part::Decision => RecordType::DecisionRecord,
                Part::Intent | Part::Outcome => RecordType::ActionRecord,
            };
            let row = RecordRow {
                spot: part.spot,
                record_type,
                call: Some(self.call),
                about: self.about.clone(),
                effect: part.effect,
                status: part.status,
                reasons: part.reasons,
                classes: part.classes,
                recorded_at: part.recorded_at,
                version: None,
            };
            apart.push((Self::of(self.call, kind, row.clone()), row));
        }
        apart.sort_by_key(|(_, row)| row.spot);
        apart
    }
}
