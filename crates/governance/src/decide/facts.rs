//! What a decision looks at beside its policy. All of it is on record, so that whoever has the record and the mission can decide again.

use std::sync::Arc;

use evidence::decimal::Number;
use evidence::record::{DecisionRecord, EffectClass, Facet, Reading, Record, TargetOrigin, Tool};

use crate::classify::{Classified, Standing};
use crate::reason::Reason;

/// The facts of one call.
#[derive(Clone, Debug)]
pub(super) struct Facts<'a> {
    /// What would be used of each limit with the call, where that is known.
    pub(super) after: Vec<(Arc<str>, Number)>,
    pub(super) agent: &'a str,
    pub(super) confirmed: Option<EffectClass>,
    pub(super) data_classes: &'a [Arc<str>],
    pub(super) data_fields: &'a [Arc<str>],
    pub(super) facets: &'a [Facet],
    /// The gates that an approval of the call satisfies.
    pub(super) gates: &'a [Arc<str>],
    pub(super) initiator: &'a str,
    pub(super) met: &'a [Arc<str>],
    pub(super) mission: &'a str,
    /// What the call's protocol objects to.
    pub(super) objection: Option<Reason>,
    pub(super) provenance: &'a [TargetOrigin],
    pub(super) standing: Standing,
    pub(super) tool: &'a Tool,
}

impl<'a> Facts<'a> {
    /// Those of a call on its way.
    pub(super) fn of(classified: &'a Classified) -> Self {
        let context = classified.intercepted.context();
        let after = classified.tallies.iter().filter_map(|tally| Some((tally.counter.id.clone(), tally.after()?)));
        Self {
            after: after.collect(),
            agent: &context.agent.name,
            confirmed: classified.confirmed,
            data_classes: &classified.data_classes,
            data_fields: &classified.data_fields,
            facets: &classified.facets,
            gates: &classified.gates,
            initiator: &context.initiator.name,
            met: &classified.met,
            mission: context.mission.as_deref().unwrap_or_default(),
            objection: classified.intercepted.objection(),
            provenance: &classified.provenance,
            standing: classified.standing,
            tool: classified.intercepted.tool(),
        }
    }

    /// Those on record, with these gates satisfied; and, where the first reason may be of the call's protocol, those with that.
    pub(super) fn recorded(
        record: &'a Record,
        decision: &'a DecisionRecord,
        gates: &'a [Arc<str>],
    ) -> impl Iterator<Item = Self> + use<'a> {
        let input = &decision.input;
        let first =
            decision.reasons.first().and_then(|code| Reason::ALL.iter().find(|reason| reason.code() == &**code));
        let standing = first.map_or(Standing::Good, |reason| stood(*reason));
        let facts = Self {
            after: input
                .counters
                .iter()
                .filter_map(|reading| Some((reading.counter.clone(), after(reading)?)))
                .collect(),
            agent: &record.agent.name,
            confirmed: input.confirmed,
            data_classes: &record.data_classes,
            data_fields: &input.data_fields,
            facets: &input.facets,
            gates,
            initiator: &record.initiator.name,
            met: &input.met,
            mission: record.correlation.mission.as_deref().unwrap_or_default(),
            objection: None,
            provenance: &input.provenance,
            standing,
            tool: &input.tool,
        };
        let objected = first.filter(|reason| OBJECTIONS.contains(reason));
        let objected = objected.map(|reason| Self { objection: Some(*reason), ..facts.clone() });
        std::iter::once(facts).chain(objected)
    }
}

/// What protocols object to.
const OBJECTIONS: &[Reason] =
    &[Reason::DefinitionRefused, Reason::InputNotAllowed, Reason::RequestNotAllowed, Reason::StateRefused];

fn after(reading: &Reading) -> Option<Number> {
    let number = |text: &str| Number::parse(text).ok();
    number(&reading.used)?.plus(number(reading.wanted.as_deref()?)?).ok()
}

/// What stood behind a call, as its first reason says.
const fn stood(reason: Reason) -> Standing {
    match reason {
        Reason::Halted => Standing::Halted,
        Reason::MissionRevoked => Standing::MissionRevoked,
        Reason::RunEnded => Standing::RunEnded,
        Reason::RunRevoked => Standing::RunRevoked,
        Reason::GatewayStopping => Standing::Stopping,
        _ => Standing::Good,
    }
}
