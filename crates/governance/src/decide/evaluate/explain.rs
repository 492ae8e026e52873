//! Says why a call was denied: to the owner with rule and bounds, to the agent in one sentence that helps it correct itself and tells no bounds.

mod origin;

pub(super) use origin::endorsed;

use std::sync::Arc;

use evidence::record::{Endpoint, Facet, Rule, Surface, Tool};

use super::question::{Question, facet};
use crate::classify::{Standing, UNPARSED, WHOLE};
use crate::count::Counter;
use crate::decide::compile::{Part, Slice, SliceRule};
use crate::mission::{ArgumentRule, Constraint, brief, list};
use crate::reason::Reason;

/// One thing that is wrong with a call.
pub(super) struct Finding {
    /// Whose approval lifts it.
    pub(super) gate: Option<Arc<str>>,
    pub(super) reason: Reason,
    pub(super) rule: Option<Rule>,
    pub(super) said_to_agent: String,
    sentence: String,
}

/// The rationale for the record.
pub(super) fn sentence(findings: &[Finding]) -> String {
    const SHOWN: usize = 4;
    let mut parts: Vec<String> = findings
        .iter()
        .take(SHOWN)
        .map(|finding| match &finding.rule {
            Some(rule) => format!("{} (`{}`, line {})", finding.sentence, rule.id, rule.line),
            None => finding.sentence.clone(),
        })
        .collect();
    if let Some(more) = findings.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        parts.push(format!("and {more} more"));
    }
    parts.join("; ")
}

/// The call stands on nothing, whatever it asks.
pub(super) fn standing(standing: Standing) -> Finding {
    let (reason, sentence, said_to_agent) = match standing {
        Standing::Halted => (
            Reason::Halted,
            "a person has stopped this mission, this agent or everything",
            "a person has stopped this work; do not retry, and tell the person you work for",
        ),
        Standing::MissionRevoked => (
            Reason::MissionRevoked,
            "a person has revoked the mission",
            "a person has revoked this mission; do not retry, and tell the person you work for",
        ),
        Standing::RunEnded => (
            Reason::RunEnded,
            "the run has ended or passed its time",
            "this run has ended; do not retry, and tell the person you work for",
        ),
        Standing::RunRevoked => (
            Reason::RunRevoked,
            "a person has revoked the run",
            "a person has revoked this run; do not retry, and tell the person you work for",
        ),
        Standing::Good | Standing::Stopping => {
            (Reason::GatewayStopping, "the gateway is shutting down", "the gateway is shutting down; try again later")
        }
    };
    Finding { gate: None, reason, rule: None, said_to_agent: said_to_agent.to_owned(), sentence: sentence.to_owned() }
}

/// The call is not what its protocol lets it be.
pub(super) fn objection(reason: Reason) -> Finding {
    let (sentence, said_to_agent) = match reason {
        Reason::StateRefused => (
            "the state that came with the call is not one that this call was given, was used already, or is too old",
            "this state was not given for this call, was used already, or is too old; call again from the beginning",
        ),
        Reason::DefinitionRefused => (
            "what the server lists of this tool is not what was accepted; `countersign tools diff` shows it",
            "this tool is not what it was when it was accepted; do not call it, and tell the person you work for",
        ),
        Reason::InputNotAllowed => (
            "an agent brings no input to a call that waits for people: they answer for themselves",
            "this task waits for people, who answer for themselves; there is no input to bring, ask how it stands with `tasks/get`",
        ),
        Reason::RequestNotAllowed => {
            ("the protocol does not let this side send such a request", "this is no request for this side to send")
        }
        _ => ("the call breaks the protocol", "this call breaks the protocol; do not retry it"),
    };
    Finding { gate: None, reason, rule: None, said_to_agent: said_to_agent.to_owned(), sentence: sentence.to_owned() }
}

/// The organisation forbids it.
pub(super) fn organisation(rule: Rule) -> Finding {
    Finding {
        gate: None,
        reason: Reason::OrganisationForbids,
        sentence: "the organisation forbids it".to_owned(),
        said_to_agent: "the organisation forbids this call; do not retry, and tell the person you work for".to_owned(),
        rule: Some(rule),
    }
}

/// The mission breaks an invariant that came after it.
pub(super) fn suspended(why: &str) -> Finding {
    Finding {
        gate: None,
        reason: Reason::InvariantBroken,
        rule: None,
        said_to_agent:
            "this mission is not as the organisation demands; do not retry, and tell the person you work for".to_owned(),
        sentence: format!("the mission is not as the organisation demands: {why}"),
    }
}

/// The policy engine could not decide.
pub(super) fn failed() -> Finding {
    Finding {
        gate: None,
        reason: Reason::EvaluationFailed,
        rule: None,
        said_to_agent: "this call could not be judged; do not retry, and tell the person you work for".to_owned(),
        sentence: "the policy engine met an error".to_owned(),
    }
}

/// No permit of the mission names what is asked for.
pub(super) fn not_allowed(tool: &Tool) -> Finding {
    let name = brief(&tool.name);
    if tool.endpoint == Endpoint::Request
        && matches!(&*tool.name, "tasks/cancel" | "tasks/get" | "tasks/result" | "tasks/update")
    {
        return Finding {
            gate: None,
            reason: Reason::TaskNotAllowed,
            rule: None,
            said_to_agent:
                "no call of this session became a task with this id; use the id that its call was answered with"
                    .to_owned(),
            sentence: format!(
                "`{name}` of `{}` is about a task that no call of this session became",
                brief(&tool.upstream)
            ),
        };
    }
    let (reason, what) = match tool.endpoint {
        Endpoint::Prompt => (Reason::PromptNotAllowed, "prompt"),
        Endpoint::Request => (Reason::RequestNotAllowed, "request"),
        Endpoint::Resource => (Reason::ResourceNotAllowed, "resource"),
        Endpoint::Tool if tool.surface == Surface::Workflow => (Reason::ToolNotAllowed, "action"),
        Endpoint::Tool => (Reason::ToolNotAllowed, "tool"),
    };
    Finding {
        gate: None,
        reason,
        rule: None,
        said_to_agent: format!(
            "the {what} `{name}` is not part of this mission; use one that is listed, or tell the person you work for"
        ),
        sentence: format!("the mission allows no {what} `{name}` of `{}`", brief(&tool.upstream)),
    }
}

/// What each of these rules objects to.
pub(super) fn forbidden<'a>(rules: impl Iterator<Item = &'a SliceRule>, question: &Question<'_>) -> Vec<Finding> {
    let Question { facets, origins: provenance, slice, .. } = *question;
    let whole = facet(facets, WHOLE).and_then(|facet| facet.values.first()).filter(|value| *value.kind == *UNPARSED);
    let mut findings: Vec<Finding> = Vec::new();
    for SliceRule { part, rule } in rules {
        let finding = match (part, whole) {
            (Part::Agents, _) => of_agents(),
            (Part::Hours, _) => of_hours(),
            (Part::Initiators, _) => of_initiators(),
            (Part::Until, _) => of_until(),
            (Part::Counter { counter, danger, gate }, _) => {
                // What cannot be added up has a rule of its own that says so.
                match of_counter(counter, danger.as_deref(), gate.as_ref(), question) {
                    Some(finding) => finding,
                    None if findings.is_empty() => failed(),
                    None => continue,
                }
            }
            (Part::Data { class, gate }, _) => of_data(class, gate.as_ref()),
            (Part::Met { class, gate }, _) => of_met(class, gate.as_ref()),
            (Part::Touches { gate }, _) => of_touches(gate.as_ref()),
            (Part::Named { name }, _) => origin::of_named(name, provenance),
            (Part::Origin { gate, role, rule }, _) => {
                origin::of_origin(*role, rule, question.effect, provenance, gate.as_ref())
            }
            (Part::Danger { gate, name, over }, _) => of_danger(name, over.as_deref(), gate.as_ref()),
            (Part::Allow | Part::Argument { .. } | Part::Others, Some(why)) => {
                if findings.iter().any(|finding| finding.reason == Reason::ArgumentUnparsable) {
                    continue;
                }
                of_whole(&why.text)
            }
            (Part::Argument { name, rule }, None) => of_argument(name, rule, facet(facets, name)),
            (Part::Allow | Part::Others, None) => of_others(slice, facets),
        };
        findings.push(Finding { rule: Some(rule.clone()), ..finding });
    }
    findings
}

fn of_agents() -> Finding {
    Finding {
        gate: None,
        reason: Reason::AgentNotAllowed,
        rule: None,
        said_to_agent: "this agent has no part in this mission; tell the person you work for".to_owned(),
        sentence: "the mission does not name this agent".to_owned(),
    }
}

fn of_hours() -> Finding {
    Finding {
        gate: None,
        reason: Reason::OutsideHours,
        rule: None,
        said_to_agent: "this mission does not hold at this hour; do not retry now, and tell the person you work for"
            .to_owned(),
        sentence: "the mission does not hold at this hour of the week, in its time zone".to_owned(),
    }
}

fn of_initiators() -> Finding {
    Finding {
        gate: None,
        reason: Reason::InitiatorNotAllowed,
        rule: None,
        said_to_agent: "this mission is not for the person you work for; tell them".to_owned(),
        sentence: "the mission does not name this initiator".to_owned(),
    }
}

fn of_until() -> Finding {
    Finding {
        gate: None,
        reason: Reason::MissionExpired,
        rule: None,
        said_to_agent: "this mission has ended; do not retry, and tell the person you work for".to_owned(),
        sentence: "the mission has expired".to_owned(),
    }
}

fn of_danger(name: &str, over: Option<&str>, gate: Option<&Arc<str>>) -> Finding {
    let what = match over {
        Some(argument) => format!("danger zone `{name}`: argument `{}` is over its size or no number", brief(argument)),
        None => format!("danger zone `{name}`"),
    };
    zoned(what, gate)
}

fn of_data(class: &str, gate: Option<&Arc<str>>) -> Finding {
    let what = format!("the arguments hold data of class `{class}`, which may not go to this tool");
    let agent = "the arguments hold data that may not go to this tool";
    of_classes(Reason::DataNotCleared, what, agent, gate)
}

fn of_met(class: &str, gate: Option<&Arc<str>>) -> Finding {
    let what = format!("the run has met data of class `{class}`, and may not write to this tool since");
    let agent = "this run has met data after which it may not write to this tool";
    of_classes(Reason::DataMet, what, agent, gate)
}

fn of_touches(gate: Option<&Arc<str>>) -> Finding {
    let what = "the arguments hold data of a class that the mission does not expect".to_owned();
    of_classes(Reason::DataUnexpected, what, "the arguments hold data that this mission does not expect", gate)
}

/// The call brings data where it does not belong.
fn of_classes(reason: Reason, what: String, agent: &str, gate: Option<&Arc<str>>) -> Finding {
    let (said_to_agent, sentence) = match gate {
        Some(gate) => {
            (format!("{agent}, and a person must approve that"), format!("{what}, and gate `{gate}` must be satisfied"))
        }
        None => (format!("{agent}; leave it out, or tell the person you work for"), what),
    };
    Finding { gate: gate.cloned(), reason, rule: None, said_to_agent, sentence }
}

/// The call is in a danger zone.
fn zoned(what: String, gate: Option<&Arc<str>>) -> Finding {
    let (reason, said_to_agent, sentence) = match gate {
        Some(gate) => (
            Reason::ApprovalRequired,
            "this call needs a person's approval",
            format!("{what}, and gate `{gate}` must be satisfied"),
        ),
        None => (
            Reason::ApprovalUnavailable,
            "this call needs a person's approval, which cannot be asked for here; do not retry, and tell the person you work for",
            format!("{what}, and no gate says whose approval that needs"),
        ),
    };
    Finding { gate: gate.cloned(), reason, rule: None, said_to_agent: said_to_agent.to_owned(), sentence }
}

/// All calls together would use too much; `None` where it is not known what this one uses.
fn of_counter(
    counter: &Counter,
    danger: Option<&str>,
    gate: Option<&Arc<str>>,
    question: &Question<'_>,
) -> Option<Finding> {
    let (_, after) = question.after.iter().find(|(id, _)| *id == counter.id)?;
    let within = counter.period.within();
    let what = format!("{} would come to {after} in {within}, and {} is the most", counter.of, counter.most);
    Some(match danger {
        Some(name) => zoned(format!("danger zone `{name}`: {what}"), gate),
        None => Finding {
            gate: None,
            reason: Reason::LimitReached,
            rule: None,
            said_to_agent: format!(
                "this call would go beyond what this mission allows in {within}; do not retry it in this one, and tell the person you work for"
            ),
            sentence: what,
        },
    })
}

fn of_whole(why: &str) -> Finding {
    Finding {
        gate: None,
        reason: Reason::ArgumentUnparsable,
        rule: None,
        said_to_agent: format!(
            "the arguments cannot be read ({why}); send one plain object that names each argument once"
        ),
        sentence: format!("the arguments cannot be read: {why}"),
    }
}

fn of_others(slice: &Slice, facets: &[Facet]) -> Finding {
    let listed = slice.context.listed.as_deref().unwrap_or_default();
    let unlisted: Vec<String> = facets
        .iter()
        .filter(|facet| !listed.contains(&facet.argument))
        .map(|facet| format!("`{}`", brief(&facet.argument)))
        .collect();
    let first = unlisted.first().cloned().unwrap_or_default();
    Finding {
        gate: None,
        reason: Reason::ArgumentNotListed,
        rule: None,
        said_to_agent: format!("argument {first} is not part of this mission; leave it out"),
        sentence: format!("the mission does not list {}", list(unlisted, "or")),
    }
}

fn of_argument(name: &str, rule: &ArgumentRule, facet: Option<&Facet>) -> Finding {
    let name = brief(name);
    let (wanted, advice) = match &rule.constraint {
        Constraint::Command(_) => ("command", "one plain command line that the task was given"),
        Constraint::Domain(_) => ("domain", "one plain address, URL or host name that the task was given"),
        Constraint::Email(_) => ("email", "plain e-mail addresses that the task was given"),
        Constraint::Fields => ("object", "an object"),
        Constraint::From(_) => ("returned", "a value that a tool of this mission returned before, as it returned it"),
        Constraint::Identifier(_) => ("identifier", "an identifier that the task was given"),
        Constraint::Free | Constraint::In(_) => ("", "a value that the task was given"),
        Constraint::Length { .. } => ("length", "a text of a length that fits the task"),
        Constraint::Pattern(_) => ("text", "a plain text of the form that the task was given"),
        Constraint::Path(_) => ("path", "a plain absolute path that the task was given"),
        Constraint::Sql(_) => ("sql", "one plain SQL statement of a kind that the task needs"),
        Constraint::Time { .. } => ("time", "a date such as 2026-12-31, or a time such as 2026-12-31T18:00:00Z"),
        Constraint::Url(_) => ("url", "one plain http or https URL that the task was given"),
        Constraint::Range { .. } => ("number", "a plain number that the task was given"),
    };
    let Some(facet) = facet else {
        return Finding {
            gate: None,
            reason: Reason::ArgumentMissing,
            rule: None,
            said_to_agent: format!("argument `{name}` is missing; send it"),
            sentence: format!("argument `{name}` is missing, and must be {rule}"),
        };
    };
    let unreadable =
        facet.values.iter().find(|value| *value.kind == *UNPARSED || (!wanted.is_empty() && *value.kind != *wanted));
    match unreadable {
        Some(value) => {
            let why = if *value.kind == *UNPARSED { &value.text } else { &value.kind };
            Finding {
                gate: None,
                reason: Reason::ArgumentUnparsable,
                rule: None,
                said_to_agent: format!("argument `{name}` cannot be read ({why}); send {advice}"),
                sentence: format!("argument `{name}` cannot be read ({why}), and must be {rule}"),
            }
        }
        None => Finding {
            gate: None,
            reason: Reason::ArgumentOutOfBounds,
            rule: None,
            said_to_agent: format!("argument `{name}` is outside what this mission allows; send {advice}"),
            sentence: format!("argument `{name}` must be {rule}"),
        },
    }
}
