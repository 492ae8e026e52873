//! Evaluates one call against its slice and says what was decided, and why.
//!
//! Looks at nothing but the facets, the tool, who acts, the standing and the time, all of which are recorded: whoever has the record and the mission gets the same
//! decision. Start at [`decide`].

mod explain;
#[cfg(test)]
mod nested;
#[cfg(test)]
mod reference;
#[cfg(test)]
pub(super) mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use cedar_policy::{Context, Decision as CedarDecision, Entities, Request, RestrictedExpression};
use evidence::decimal::Number;
use evidence::record::{Effect, EffectClass, Endpoint, Facet, FacetValue, Policy, Tool};
use evidence::time::Timestamp;

use super::Decision;
use super::compile::{Matcher, Permission, PolicySnapshot, SeenByOrganisation, Slice, TextKind, scalar_text};
use crate::classify::{Classified, Standing};
use crate::mission::{Mode, SUBSCRIBING, is_plain, minute_of_week};
use crate::reason::Reason;
use explain::Finding;

/// Decides `classified` by `policy` at the time `at`.
///
/// What stands behind the call comes first, then what its protocol objects to, then the slice of its tool. Any error of the policy engine denies: Cedar alone would skip a `forbid` that fails.
#[must_use]
pub fn decide(classified: &Classified, policy: &PolicySnapshot, at: Timestamp) -> Decision {
    let slice = policy.slice(classified.intercepted.tool());
    let verdict = match (classified.standing, classified.intercepted.objection()) {
        (Standing::Good, None) => match policy.suspension() {
            Some(why) => Verdict::Denied(vec![explain::suspended(why)]),
            None => judge(classified, policy, slice, at),
        },
        (Standing::Good, Some(reason)) => Verdict::Denied(vec![explain::objection(reason)]),
        (stopped, _) => Verdict::Denied(vec![explain::standing(stopped)]),
    };
    let tool = classified.intercepted.tool();
    let effect_class = match (effect_class(policy, tool), classified.confirmed) {
        (EffectClass::Unconfirmed, Some(confirmed)) if tool.endpoint == Endpoint::Tool => confirmed,
        (said, _) => said,
    };
    let verdict = match (verdict, forbidden(classified, policy, effect_class, at)) {
        (Verdict::Allowed(_), forbidden) if !forbidden.is_empty() => Verdict::Denied(forbidden),
        (Verdict::Denied(findings), forbidden) => Verdict::Denied(findings.into_iter().chain(forbidden).collect()),
        (verdict, _) => verdict,
    };
    let mut decision = Decision {
        effect: Effect::Deny,
        effect_class,
        policy: Policy {
            mission_sha256: policy.mission().sha256().clone(),
            organisation_sha256: policy.bounds().map(|bounds| bounds.sha256().clone()),
            slice_sha256: slice.sha256().cloned(),
        },
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
        Verdict::Denied(findings) => {
            for finding in &findings {
                if !decision.reasons.contains(&finding.reason) {
                    decision.reasons.push(finding.reason);
                }
            }
            decision.sentence = explain::sentence(&findings).into();
            decision.said_to_agent =
                findings.first().map(|finding| finding.said_to_agent.as_str()).unwrap_or_default().into();
            decision.rules = findings.into_iter().filter_map(|finding| finding.rule).collect();
            observe(&mut decision, policy);
        }
    }
    decision
}

/// What the organisation has against the call, whatever the mission says.
fn forbidden(classified: &Classified, policy: &PolicySnapshot, effect: EffectClass, at: Timestamp) -> Vec<Finding> {
    let Some(bounds) = policy.bounds() else { return Vec::new() };
    let context = classified.intercepted.context();
    let seen = SeenByOrganisation {
        agent: &context.agent.name,
        at,
        effect,
        initiator: &context.initiator.name,
        mission: context.mission.as_deref().unwrap_or_default(),
        tool: classified.intercepted.tool(),
    };
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
            Reason::ApprovalUnavailable
                | Reason::ArgumentMissing
                | Reason::ArgumentNotListed
                | Reason::ArgumentOutOfBounds
                | Reason::ArgumentUnparsable
                | Reason::LimitReached
                | Reason::PromptNotAllowed
                | Reason::ResourceNotAllowed
        )
    };
    let is_mild = match decision.effect_class {
        EffectClass::Read | EffectClass::Send | EffectClass::Write => true,
        EffectClass::Admin | EffectClass::Destroy | EffectClass::Pay | EffectClass::Unconfirmed => false,
    };
    if policy.mission().mode() != Mode::Observe || !is_mild || !decision.reasons.iter().all(is_of_the_call) {
        return;
    }
    let is_asking = decision.reasons == [Reason::ApprovalUnavailable];
    decision.would = Some(if is_asking { Effect::Ask } else { Effect::Deny });
    decision.effect = Effect::Allow;
    decision.sentence = format!("only observed, and it runs: {}", decision.sentence).into();
    decision.said_to_agent = Arc::from("allowed");
}

/// Whether a permit of `slice` names `tool`, for one of the mission's agents while the mission holds.
pub(super) fn is_named(policy: &PolicySnapshot, slice: &Slice, tool: &Tool) -> bool {
    let Some(agent) = policy.mission().agents().first() else { return false };
    // Whatever is used up, it is still part of the mission.
    let after = slice.context.counters.iter().map(|counter| (counter.clone(), Number::ZERO)).collect();
    let mission = policy.mission();
    let initiator = mission.initiators().first().map_or_else(String::new, |name| name.replacen('*', "a", 1));
    let seen = Seen { after, facets: &[], initiator: &initiator };
    let request = ask(policy, slice, tool, agent, &seen, 0, mission.last_moment());
    request.is_some_and(|request| {
        policy.authorizer.is_authorized(&request, slice.policies(), &Entities::empty()).decision()
            == CedarDecision::Allow
    })
}

/// What policies see of a call, beside the tool, who acts and the time.
struct Seen<'a> {
    /// What would be used of each limit with the call, where that is known.
    after: Vec<(Arc<str>, Number)>,
    facets: &'a [Facet],
    initiator: &'a str,
}

impl<'a> Seen<'a> {
    fn of(classified: &'a Classified) -> Self {
        let after = classified.tallies.iter().filter_map(|tally| Some((tally.counter.id.clone(), tally.after()?)));
        let initiator = &classified.intercepted.context().initiator.name;
        Self { after: after.collect(), facets: &classified.facets, initiator }
    }
}

enum Verdict {
    /// By the permits at these places of the slice.
    Allowed(BTreeSet<usize>),
    /// For these reasons, at least one, the first one decisive.
    Denied(Vec<Finding>),
}

/// Asks Cedar: first whether everything holds at once, and where it does not, which policies say so.
fn judge(classified: &Classified, policy: &PolicySnapshot, slice: &Slice, at: Timestamp) -> Verdict {
    let permitted = slice.whole().filter(|whole| holds(classified, policy, slice, whole, at)).map(|whole| whole.permit);
    let Some(permit) = permitted else { return explained(classified, policy, slice, at) };
    let verdict = Verdict::Allowed(BTreeSet::from([permit]));
    // Every unit test and property that decides asks both ways.
    #[cfg(test)]
    assert!(
        matches!(explained(classified, policy, slice, at), Verdict::Allowed(places) if places == BTreeSet::from([permit])),
        "the policies of `{}` in one permit what they forbid together",
        classified.intercepted.tool()
    );
    verdict
}

/// Whether the policies in one permit every element of the call.
fn holds(classified: &Classified, policy: &PolicySnapshot, slice: &Slice, whole: &Permission, at: Timestamp) -> bool {
    let (tool, seen) = (classified.intercepted.tool(), Seen::of(classified));
    let agent = &classified.intercepted.context().agent.name;
    let entities = Entities::empty();
    (0..rounds(seen.facets, slice)).all(|round| {
        let Some(request) = ask(policy, slice, tool, agent, &seen, round, at) else { return false };
        let response = policy.authorizer.is_authorized(&request, &whole.policies, &entities);
        response.decision() == CedarDecision::Allow && response.diagnostics().errors().next().is_none()
    })
}

/// Asks each policy by itself: once, or once for each element where arguments are lists.
///
/// Each `forbid` looks at one argument, so the elements of all lists are judged side by side: the questions are as many as the longest list has elements.
fn explained(classified: &Classified, policy: &PolicySnapshot, slice: &Slice, at: Timestamp) -> Verdict {
    let (tool, seen) = (classified.intercepted.tool(), Seen::of(classified));
    let agent = &classified.intercepted.context().agent.name;
    let entities = Entities::empty();
    let (mut permits, mut forbids) = (BTreeSet::new(), BTreeSet::new());
    let mut refused = false;
    for round in 0..rounds(seen.facets, slice) {
        let Some(request) = ask(policy, slice, tool, agent, &seen, round, at) else { return failed() };
        let response = policy.authorizer.is_authorized(&request, slice.policies(), &entities);
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
            Verdict::Denied(explain::forbidden(rules, slice, classified))
        }
    }
}

fn failed() -> Verdict {
    Verdict::Denied(vec![explain::failed()])
}

fn rounds(facets: &[Facet], slice: &Slice) -> usize {
    let shape = &slice.context;
    let longs = shape.numbers.iter().chain(&shape.lengths).chain(&shape.times);
    let looked_at = longs.chain(shape.matches.keys()).chain(shape.texts.keys());
    looked_at.filter_map(|name| facet(facets, name)).map(|facet| facet.values.len()).max().unwrap_or(1).max(1)
}

/// The question for the elements at `round`; a shorter list repeats its last element.
fn ask(
    policy: &PolicySnapshot,
    slice: &Slice,
    tool: &Tool,
    agent: &str,
    seen: &Seen<'_>,
    round: usize,
    at: Timestamp,
) -> Option<Request> {
    let (shape, facets) = (&slice.context, seen.facets);
    let mut pairs = vec![("now".to_owned(), RestrictedExpression::new_long(at.micros()))];
    if shape.initiator {
        pairs.push(("initiator".to_owned(), RestrictedExpression::new_string(seen.initiator.to_owned())));
    }
    if shape.minute {
        let minute = i64::from(minute_of_week(policy.mission().zone(), at));
        pairs.push(("minute".to_owned(), RestrictedExpression::new_long(minute)));
    }
    if shape.name {
        pairs.push(("name".to_owned(), RestrictedExpression::new_string(tool.name.to_string())));
    }
    if shape.plain {
        pairs.push(("plain".to_owned(), RestrictedExpression::new_bool(is_plain(&tool.name))));
    }
    if shape.listed.is_some() {
        let names = facets.iter().map(|facet| RestrictedExpression::new_string(facet.argument.to_string()));
        pairs.push(("names".to_owned(), RestrictedExpression::new_set(names)));
    }
    let element = |name: &str| {
        let values = &facet(facets, name)?.values;
        values.get(round).or(values.last())
    };
    if !shape.counters.is_empty() {
        let counters = seen.after.iter().filter_map(|(id, after)| Some((id.to_string(), record(*after)?)));
        pairs.push(("counters".to_owned(), RestrictedExpression::new_record(counters).ok()?));
    }
    if !shape.numbers.is_empty() {
        let numbers = shape.numbers.iter().filter_map(|name| Some((name.to_string(), number(element(name)?)?)));
        pairs.push(("numbers".to_owned(), RestrictedExpression::new_record(numbers).ok()?));
    }
    if !shape.lengths.is_empty() {
        let lengths = shape.lengths.iter().filter_map(|name| Some((name.to_string(), length(element(name)?)?)));
        pairs.push(("lengths".to_owned(), RestrictedExpression::new_record(lengths).ok()?));
    }
    if !shape.matches.is_empty() {
        let matched = |(name, matcher): (&Arc<str>, &Matcher)| {
            let matches = matcher.matches(element(name)?)?;
            Some((name.to_string(), RestrictedExpression::new_bool(matches)))
        };
        let matches = shape.matches.iter().filter_map(matched);
        pairs.push(("matches".to_owned(), RestrictedExpression::new_record(matches).ok()?));
    }
    if !shape.texts.is_empty() {
        let texts =
            shape.texts.iter().filter_map(|(name, kind)| Some((name.to_string(), text(element(name)?, *kind)?)));
        pairs.push(("texts".to_owned(), RestrictedExpression::new_record(texts).ok()?));
    }
    if !shape.times.is_empty() {
        let times = shape.times.iter().filter_map(|name| Some((name.to_string(), time(element(name)?)?)));
        pairs.push(("times".to_owned(), RestrictedExpression::new_record(times).ok()?));
    }
    let context = Context::from_pairs(pairs).ok()?;
    let (principal, action) = (policy.vocabulary.agent(agent), policy.vocabulary.action.clone());
    let resource = policy.vocabulary.resource(tool.endpoint, tool.to_string());
    Request::new(principal, action, resource, context, None).ok()
}

/// The fact about the argument `name`. Facets are sorted by argument.
fn facet<'a>(facets: &'a [Facet], name: &str) -> Option<&'a Facet> {
    let place = facets.binary_search_by(|facet| facet.argument.as_ref().cmp(name)).ok()?;
    facets.get(place)
}

/// `None` where the value is no number: then the policy does not see it, which no rule accepts.
fn number(value: &FacetValue) -> Option<RestrictedExpression> {
    if *value.kind != *"number" {
        return None;
    }
    record(Number::parse(&value.text).ok()?)
}

fn record(number: Number) -> Option<RestrictedExpression> {
    let atto = RestrictedExpression::new_long(i64::try_from(number.atto()).ok()?);
    let whole = RestrictedExpression::new_long(number.whole());
    RestrictedExpression::new_record([("atto".to_owned(), atto), ("whole".to_owned(), whole)]).ok()
}

/// The number of characters of a text.
fn length(value: &FacetValue) -> Option<RestrictedExpression> {
    let count = if *value.kind == *"length" { value.text.parse().ok() } else { None };
    count.map(RestrictedExpression::new_long)
}

/// Microseconds since 1970.
fn time(value: &FacetValue) -> Option<RestrictedExpression> {
    let at: Option<Timestamp> = if *value.kind == *"time" { value.text.parse().ok() } else { None };
    at.map(|at| RestrictedExpression::new_long(at.micros()))
}

fn text(value: &FacetValue, kind: TextKind) -> Option<RestrictedExpression> {
    let text = match (kind, &*value.kind) {
        (TextKind::Domain, "domain")
        | (TextKind::Email, "email")
        | (TextKind::Identifier, "identifier")
        | (TextKind::Path, "path")
        | (TextKind::Returned, "returned")
        | (TextKind::Sql, "sql") => value.text.to_string(),
        (TextKind::Scalar, "bool" | "number" | "text") => scalar_text(&value.kind, &value.text),
        _ => return None,
    };
    Some(RestrictedExpression::new_string(text))
}

/// Resources, prompts and streams of notifications only read. Tools do what the mission's owner says; what a request does, nobody has said.
fn effect_class(policy: &PolicySnapshot, tool: &Tool) -> EffectClass {
    match tool.endpoint {
        Endpoint::Prompt | Endpoint::Resource => EffectClass::Read,
        Endpoint::Request if *tool.name == *SUBSCRIBING => EffectClass::Read,
        Endpoint::Request => EffectClass::Unconfirmed,
        Endpoint::Tool => policy.mission().effect_class(&tool.upstream, &tool.name),
    }
}
