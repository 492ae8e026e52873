//! What another version of a mission would have decided on a call that is on record.
//!
//! A record has what the rules of its day looked at, and no more: where the other version looks at something else, it cannot be known, and that is said.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use evidence::record::{DecisionPoint, DecisionRecord, Effect, Record};

use super::facts::Facts;
use super::rederive::OF_PEOPLE;
use super::{Decision, PolicySnapshot, decide_on};
use crate::mission::Otherwise;
use crate::reason::Reason;

/// What would have become of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forecast {
    /// What the other version says; `None` where that cannot be known.
    pub now: Option<Effect>,
    /// The reasons that it gives.
    pub reasons: Vec<Reason>,
    /// In one sentence.
    pub sentence: Arc<str>,
    /// What it looks at that nobody looked at then.
    pub unseen: Vec<String>,
    /// What was said then: `ask` too where people have answered since.
    pub was: Effect,
}

/// Decides the call of `decision`, the body of `record`, which `old` decided, by `new`.
///
/// `None` for what no version of a mission decides: what is released, and calls whose run was over, that somebody had stopped, or that broke their protocol.
#[must_use]
pub fn forecast(
    record: &Record,
    decision: &DecisionRecord,
    old: &PolicySnapshot,
    new: &PolicySnapshot,
) -> Option<Forecast> {
    let has =
        |reasons: &[Reason]| decision.reasons.iter().any(|code| reasons.iter().any(|reason| reason.code() == &**code));
    if decision.point == DecisionPoint::Release || has(OF_OTHERS) {
        return None;
    }
    let was = match decision.effect {
        Effect::Allow if decision.point == DecisionPoint::Use => Effect::Ask,
        Effect::Deny if has(OF_PEOPLE) => Effect::Ask,
        effect => effect,
    };
    let facts = Facts::recorded(record, decision, &[]).next()?;
    let Decision { effect, reasons, sentence, .. } = decide_on(&facts, new, record.occurred_at);
    let unseen = unseen(&facts, old, new);
    let is_known =
        unseen.is_empty() || effect == Effect::Deny && reasons.iter().any(|reason| OF_THE_TOOL.contains(reason));
    Some(Forecast { now: is_known.then_some(effect), reasons, sentence, unseen, was })
}

/// What `new` looks at in a call that `old` does not.
fn unseen(facts: &Facts<'_>, old: &PolicySnapshot, new: &PolicySnapshot) -> Vec<String> {
    let tool = facts.tool;
    let arguments = new.plan(tool).into_iter().flat_map(|plan| plan.beyond(old.plan(tool)));
    let mut unseen: Vec<String> = arguments
        .map(|name| match name {
            "*" => "arguments that no rule names".to_owned(),
            name => format!("argument `{name}`"),
        })
        .collect();
    let is_counted = |id: &Arc<str>| old.counters(tool).any(|counter| counter.id == *id);
    let limits = new.counters(tool).filter(|counter| !is_counted(&counter.id) || !is_read(facts, &counter.id));
    unseen.extend(limits.map(|counter| format!("how far `{}` was used up", counter.id)));
    if new.targets(tool).is_some() && new.targets(tool) != old.targets(tool) {
        unseen.push("who named what it acts on".to_owned());
    }
    let (shape, known) = (&new.slice(tool).context, &old.slice(tool).context);
    if shape.fields && !known.fields {
        unseen.push("in which arguments data stands".to_owned());
    }
    if shape.met {
        let asks = |policy: &PolicySnapshot| -> Vec<Arc<str>> {
            let asked = policy.mission().data().classes.iter().filter(|(_, rule)| rule.run != Otherwise::Keep);
            asked.map(|(class, _)| class.clone()).collect()
        };
        let known = asks(old);
        unseen.extend(
            asks(new)
                .into_iter()
                .filter(|class| !known.contains(class))
                .map(|class| format!("whether the run had met `{class}`")),
        );
    }
    unseen
}

fn is_read(facts: &Facts<'_>, id: &Arc<str>) -> bool {
    facts.after.iter().any(|(known, _)| known == id)
}

/// What is not the mission's to decide.
const OF_OTHERS: &[Reason] = &[
    Reason::DefinitionRefused,
    Reason::GatewayStopping,
    Reason::Halted,
    Reason::InputNotAllowed,
    Reason::MissionRevoked,
    Reason::RunEnded,
    Reason::RunRevoked,
    Reason::StateRefused,
];

/// What a call is denied for whatever its arguments are.
const OF_THE_TOOL: &[Reason] = &[
    Reason::AgentNotAllowed,
    Reason::InitiatorNotAllowed,
    Reason::MissionExpired,
    Reason::OrganisationForbids,
    Reason::OutsideHours,
    Reason::PromptNotAllowed,
    Reason::RequestNotAllowed,
    Reason::ResourceNotAllowed,
    Reason::ToolNotAllowed,
];
