//! Evaluates one call against its slice and says what was decided, and why.
//!
//! Looks at nothing but the facets, the tool, who acts, the standing and the time, all of which are recorded: whoever has the record and the mission gets the same
//! decision. Start at [`decide`].

#[cfg(test)]
mod classes;
mod explain;
#[cfg(test)]
mod nested;
#[cfg(test)]
mod origins;
mod question;
#[cfg(test)]
mod reference;
#[cfg(test)]
pub(super) mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use cedar_policy::{Decision as CedarDecision, Entities};
use evidence::decimal::Number;
use evidence::record::{Effect, EffectClass, Endpoint, Tool};
use evidence::time::Timestamp;

use super::Decision;
use super::compile::{Permission, PolicySnapshot, SeenByOrganisation, Slice, SliceExcept};
use super::facts::Facts;
use crate::classify::{Classified, Standing};
use crate::mission::{Mode, SUBSCRIBING};
use crate::reason::Reason;
use explain::Finding;
use question::Question;

/// Decides `classified` by `policy` at the time `at`.
///
/// What stands behind the call comes first, then what its protocol objects to, then the slice of its tool. Any error of the policy engine denies: Cedar alone would skip a `forbid` that fails.
#[must_use]
pub fn decide(classified: &Classified, policy: &PolicySnapshot, at: Timestamp) -> Decision {
    decide_on(&Facts::of(classified), policy, at)
}

/// The same from facts, wherever those come from.
pub(super) fn decide_on(facts: &Facts<'_>, policy: &PolicySnapshot, at: Timestamp) -> Decision {
    let tool = facts.tool;
    let slice = policy.slice(tool);
    let effect_class = match (effect_class(policy, tool), facts.confirmed) {
        (EffectClass::Unconfirmed, Some(confirmed)) if tool.endpoint == Endpoint::Tool => confirmed,
        (said, _) => said,
    };
    let question = Question::new(facts, policy, slice, effect_class, at);
    let verdict = match (facts.standing, facts.objection) {
        (Standing::Good, None) => match policy.suspension() {
            Some(why) => Verdict::Denied(vec![explain::suspended(why)]),
            None => judge(&question),
        },
        (Standing::Good, Some(reason)) => Verdict::Denied(vec![explain::objection(reason)]),
        (stopped, _) => Verdict::Denied(vec![explain::standing(stopped)]),
    };
    let verdict = match (verdict, forbidden(facts, policy, effect_class, at)) {
        (Verdict::Allowed(_) | Verdict::Asked(..), forbidden) if !forbidden.is_empty() => Verdict::Denied(forbidden),
        (Verdict::Denied(findings), forbidden) => Verdict::Denied(findings.into_iter().chain(forbidden).collect()),
        (verdict, _) => verdict,
    };
    let mut decision = Decision {
        effect: Effect::Deny,
        effect_class,
        gates: facts.gates.to_vec(),
        policy: policy.recorded(Some(slice)),
        reasons: Vec::new(),
        rules: Vec::new(),
        sentence: Arc::from(""),
        said_to_agent: Arc::from(""),
        would: None,
    };
    match verdict {
        Verdict::Allowed(places) => {
            decision.effect = Effect::Allow;
            decision.rules =
                places.iter().filter_map(|place| slice.rules().get(*place)).map(|rule| rule.rule.clone()).collect();
            decision.sentence = slice.allowed_sentence(&places);
            decision.said_to_agent = Arc::from("allowed");
        }
        Verdict::Asked(gates, findings) => {
            decision.effect = Effect::Ask;
            decision.gates = gates;
            decision.explained_by(findings);
            observe(&mut decision, policy);
        }
        Verdict::Denied(findings) => {
            decision.explained_by(findings);
            observe(&mut decision, policy);
        }
    }
    if decision.effect != Effect::Deny {
        question.excepts().for_each(|except| decision.lifted_by(except));
        for endorsed in explain::endorsed(facts.provenance) {
            decision.sentence = format!("{}; {endorsed}", decision.sentence).into();
        }
    }
    decision
}

impl Decision {
    /// It rests on an exception, too.
    fn lifted_by(&mut self, except: &SliceExcept) {
        if !self.reasons.contains(&Reason::DataExcepted) {
            self.reasons.push(Reason::DataExcepted);
        }
        let SliceExcept { class, except, rule, .. } = except;
        let sentence =
            format!("{}; by exception, `{class}` {except} (`{}`, line {})", self.sentence, rule.id, rule.line);
        self.sentence = sentence.into();
        self.rules.push(rule.clone());
    }

    fn explained_by(&mut self, findings: Vec<Finding>) {
        for finding in &findings {
            if !self.reasons.contains(&finding.reason) {
                self.reasons.push(finding.reason);
            }
        }
        self.sentence = explain::sentence(&findings).into();
        self.said_to_agent = findings.first().map(|finding| finding.said_to_agent.as_str()).unwrap_or_default().into();
        self.rules = findings.into_iter().filter_map(|finding| finding.rule).collect();
    }
}

/// What the organisation has against the call, whatever the mission says.
fn forbidden(facts: &Facts<'_>, policy: &PolicySnapshot, effect: EffectClass, at: Timestamp) -> Vec<Finding> {
    let Some(bounds) = policy.bounds() else { return Vec::new() };
    let Facts { agent, initiator, mission, tool, .. } = facts;
    let seen = SeenByOrganisation { agent, at, effect, initiator, mission, tool };
    match bounds.forbidding(&seen) {
        Some(rules) => rules.into_iter().map(explain::organisation).collect(),
        None => vec![explain::failed()],
    }
}

/// Lets a call run that the mission would not allow, where it is only observed and its owner said that the tool does nothing grave. Who acts, until when, and what could
/// not be judged is held to in any case.
fn observe(decision: &mut Decision, policy: &PolicySnapshot) {
    let is_of_the_call = |reason: &Reason| {
        matches!(
            reason,
            Reason::ApprovalRequired
                | Reason::ApprovalUnavailable
                | Reason::ArgumentMissing
                | Reason::ArgumentNotListed
                | Reason::ArgumentNotNamed
                | Reason::ArgumentOutOfBounds
                | Reason::ArgumentUnparsable
                | Reason::DataMet
                | Reason::DataNotCleared
                | Reason::DataUnexpected
                | Reason::LimitReached
                | Reason::PromptNotAllowed
                | Reason::ResourceNotAllowed
                | Reason::UntrustedPayload
                | Reason::UntrustedTarget
        )
    };
    let is_mild = match decision.effect_class {
        EffectClass::Read | EffectClass::Send | EffectClass::Write => true,
        EffectClass::Admin | EffectClass::Destroy | EffectClass::Pay | EffectClass::Unconfirmed => false,
    };
    if policy.mission().mode() != Mode::Observe || !is_mild || !decision.reasons.iter().all(is_of_the_call) {
        return;
    }
    let is_asking = decision.effect == Effect::Ask || decision.reasons == [Reason::ApprovalUnavailable];
    decision.would = Some(if is_asking { Effect::Ask } else { Effect::Deny });
    decision.effect = Effect::Allow;
    decision.sentence = format!("only observed, and it runs: {}", decision.sentence).into();
    decision.said_to_agent = Arc::from("allowed");
}

/// Whether a permit of `slice` names `tool`, for one of the mission's agents while the mission holds.
pub(super) fn is_named(policy: &PolicySnapshot, slice: &Slice, tool: &Tool) -> bool {
    let mission = policy.mission();
    let Some(agent) = mission.agents().first() else { return false };
    let initiator = mission.initiators().first().map_or_else(String::new, |name| name.replacen('*', "a", 1));
    let question = Question {
        // Whatever is used up, it is still part of the mission.
        after: slice.context.counters.iter().map(|counter| (counter.clone(), Number::ZERO)).collect(),
        agent,
        at: mission.last_moment(),
        classes: &[],
        data_fields: &[],
        effect: effect_class(policy, tool),
        facets: &[],
        gates: &[],
        initiator: &initiator,
        met: &[],
        origins: &[],
        policy,
        slice,
        tool,
    };
    let (Some(request), Some(policies)) = (question.for_each(0), slice.policies()) else { return false };
    policy.authorizer.is_authorized(&request, policies, &Entities::empty()).decision() == CedarDecision::Allow
}

enum Verdict {
    /// With the approval of these gates, all of them; for these reasons.
    Asked(Vec<Arc<str>>, Vec<Finding>),
    /// By the permits at these places of the slice.
    Allowed(BTreeSet<usize>),
    /// For these reasons, at least one, the first one decisive.
    Denied(Vec<Finding>),
}

/// Asks Cedar: first whether everything holds at once, and where it does not, which policies say so.
fn judge(question: &Question<'_>) -> Verdict {
    let whole = question.slice.whole().filter(|_| question.gates.is_empty());
    let permitted = whole.filter(|whole| holds(question, whole)).map(|whole| whole.permit);
    // Every unit test and property that decides asks both ways.
    #[cfg(test)]
    if permitted.is_some() {
        let each = match explained(question) {
            Verdict::Allowed(places) => places.first().copied(),
            Verdict::Asked(..) | Verdict::Denied(_) => None,
        };
        assert_eq!(permitted, each, "the policies of `{}` in one, and each of them", question.tool);
    }
    match permitted {
        Some(permit) => Verdict::Allowed(BTreeSet::from([permit])),
        None => or_asked(question, explained(question)),
    }
}

/// What is denied, decided again as if every gate were satisfied that could lift what forbids it: where it is allowed then, people are asked.
fn or_asked(question: &Question<'_>, verdict: Verdict) -> Verdict {
    let Verdict::Denied(mut findings) = verdict else { return verdict };
    let gates: BTreeSet<Arc<str>> = findings.iter().filter_map(|finding| finding.gate.clone()).collect();
    if gates.is_empty() {
        return Verdict::Denied(findings);
    }
    let missing: Vec<Arc<str>> = gates.into_iter().collect();
    let all: Vec<Arc<str>> = question.gates.iter().cloned().chain(missing.iter().cloned()).collect();
    match explained(&Question { gates: &all, ..question.clone() }) {
        Verdict::Allowed(_) => Verdict::Asked(missing, findings),
        Verdict::Asked(..) | Verdict::Denied(_) => {
            // What no approval could lift decides.
            findings.sort_by_key(|finding| finding.gate.is_some());
            Verdict::Denied(findings)
        }
    }
}

/// Whether the policies in one permit every element of the call.
fn holds(question: &Question<'_>, whole: &Permission) -> bool {
    let entities = Entities::empty();
    question.is_complete(whole)
        && (0..question.rounds()).all(|round| {
            let Some(request) = question.for_whole(whole, round) else { return false };
            let response = question.policy.authorizer.is_authorized(&request, &whole.policies, &entities);
            response.decision() == CedarDecision::Allow && response.diagnostics().errors().next().is_none()
        })
}

/// Asks each policy by itself: once, or once for each element where arguments are lists.
///
/// Each `forbid` looks at one argument, so the elements of all lists are judged side by side: the questions are as many as the longest list has elements.
fn explained(question: &Question<'_>) -> Verdict {
    let (slice, tool) = (question.slice, question.tool);
    let entities = Entities::empty();
    let (mut permits, mut forbids) = (BTreeSet::new(), BTreeSet::new());
    let mut refused = false;
    let Some(policies) = slice.policies() else { return failed() };
    for round in 0..question.rounds() {
        let Some(request) = question.for_each(round) else { return failed() };
        let response = question.policy.authorizer.is_authorized(&request, policies, &entities);
        if response.diagnostics().errors().next().is_some() {
            return failed();
        }
        let Some(places) = response.diagnostics().reason().map(|id| slice.place(id)).collect::<Option<Vec<_>>>() else {
            return failed();
        };
        match response.decision() {
            CedarDecision::Allow => permits.extend(places),
            CedarDecision::Deny => {
                refused = true;
                forbids.extend(places);
            }
        }
    }
    match (refused, forbids.is_empty()) {
        (false, _) => Verdict::Allowed(permits),
        (true, true) => Verdict::Denied(vec![explain::not_allowed(tool)]),
        (true, false) => {
            let rules = forbids.iter().filter_map(|place| slice.rules().get(*place));
            Verdict::Denied(explain::forbidden(rules, question))
        }
    }
}

fn failed() -> Verdict {
    Verdict::Denied(vec![explain::failed()])
}

/// Resources, prompts and streams of notifications only read. Tools do what the mission's owner says; what a request does, nobody has said.
fn effect_class(policy: &PolicySnapshot, tool: &Tool) -> EffectClass {
    match tool.endpoint {
        Endpoint::Prompt | Endpoint::Resource => EffectClass::Read,
        Endpoint::Request if *tool.name == *SUBSCRIBING => EffectClass::Read,
        Endpoint::Tool if policy.is_own(tool) => EffectClass::Read,
        Endpoint::Request => EffectClass::Unconfirmed,
        Endpoint::Tool => policy.mission().effect_class(tool.surface, &tool.upstream, &tool.name),
    }
}
