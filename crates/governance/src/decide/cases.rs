//! Cases that an owner writes beside a mission: calls, and how each must be decided. Nothing is executed and nothing recorded.
//!
//! Read from TOML by [`parse_cases`]; [`Case::decide`] decides one as the path would, so a mission that passes its cases here decides them so in force.

mod run;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use evidence::decimal::Number;
use evidence::ids::{CallId, RunId};
use evidence::record::{Agent, Authenticated, Context, Effect, Endpoint, FacetValue, Initiator, Surface, Tool};
use evidence::time::Timestamp;
use serde::Deserialize;
use toml::{Spanned, Value};

use super::{Decision, PolicySnapshot, decide};
use crate::classify::detect::Detector;
use crate::classify::provenance::{Endorsed, Seen};
use crate::classify::{Returned, Standing, classify};
use crate::count::Book;
use crate::intercept::Intercepted;
use crate::limits::{CASES_BYTES_MAX, CASES_MAX};
use crate::mission::{Endorsement, Mission, Role, Source, is_argument, nearest, split_tool};
use crate::reason::Reason;
use run::WrittenResult;
pub use run::{Earlier, Run};

/// The cases of one file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cases {
    /// The cases, in the order of the file; at least one.
    pub cases: Vec<Case>,
    /// The mission's file, as the file with the cases names it.
    pub mission: String,
}

/// One call and how it must be decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Who acts; the first agent of the mission where none is named.
    pub agent: Option<Arc<str>>,
    /// The exact text of the arguments.
    pub arguments: String,
    /// When; the mission's last moment where nothing else is said, so that a case does not change its result with the calendar.
    pub at: Option<Timestamp>,
    /// What is called.
    pub call: Tool,
    /// The values that people have endorsed in its arguments.
    pub endorsed: Vec<Endorsement>,
    /// How it must be decided.
    pub expect: Expected,
    /// The line of its name in the file, from 1.
    pub line: usize,
    /// What it is about.
    pub name: String,
    /// What earlier calls of the run returned: fields, each with a value.
    pub returned: Vec<(Source, FacetValue)>,
    /// What the run has seen before, which says who named what the call acts on.
    pub run: Run,
    /// What was used before, by the id of a limit's rule.
    pub used: Vec<(Arc<str>, Number)>,
}

/// How a case must be decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Expected {
    /// What the decision must say. A call that would ask a person is denied with [`Reason::ApprovalUnavailable`] until gates exist; that counts as asking.
    pub effect: Effect,
    /// A reason that it must give, where one is named.
    pub reason: Option<Reason>,
}

/// What is wrong with a file of cases: the first problem, with its place and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}: {why}")]
pub struct CasesError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong, and how to mend it.
    pub why: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    case: Vec<Spanned<Written>>,
    mission: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    agent: Option<String>,
    arguments: Option<Spanned<Value>>,
    at: Option<Spanned<String>>,
    call: Spanned<String>,
    #[serde(default)]
    endorsed: BTreeMap<Spanned<String>, Vec<Spanned<String>>>,
    expect: Spanned<String>,
    name: Spanned<String>,
    reason: Option<Spanned<String>>,
    #[serde(default)]
    returned: BTreeMap<Spanned<String>, Vec<Spanned<Value>>>,
    #[serde(default)]
    seen: Vec<Spanned<WrittenResult>>,
    #[serde(default)]
    sent: Vec<Spanned<Value>>,
    #[serde(default)]
    used: BTreeMap<String, Spanned<Value>>,
    words: Option<String>,
}

/// Reads a file of cases.
///
/// # Errors
/// [`CasesError`] names the first problem.
pub fn parse_cases(source: &str) -> Result<Cases, CasesError> {
    if source.len() > CASES_BYTES_MAX {
        return Err(CasesError { line: 1, why: format!("the file is larger than {CASES_BYTES_MAX} bytes; split it") });
    }
    let file: File = toml::from_str(source).map_err(|error| CasesError {
        line: line_of(source, &error.span().unwrap_or_default()),
        why: error.message().replace('\n', ", "),
    })?;
    match file.case.len() {
        1..=CASES_MAX => {}
        0 => {
            return Err(CasesError {
                line: 1,
                why: "there is no `[[case]]`; a test without cases proves nothing".to_owned(),
            });
        }
        more => {
            return Err(CasesError {
                line: 1,
                why: format!("{more} cases; at most {CASES_MAX} are taken, split the file"),
            });
        }
    }
    let cases = file.case.into_iter().map(|case| read(source, case.into_inner())).collect::<Result<_, _>>()?;
    Ok(Cases { cases, mission: file.mission })
}

fn read(source: &str, written: Written) -> Result<Case, CasesError> {
    let Written { agent, arguments, at, call, endorsed, expect, name, reason, returned, seen, sent, used, words } =
        written;
    let wrong = |at: Range<usize>, why: String| CasesError { line: line_of(source, &at), why };
    let tool = read_tool(call.as_ref()).map_err(|why| wrong(call.span(), why))?;
    let at = match at {
        Some(at) => Some(at.as_ref().parse().map_err(|_| {
            let why = format!("`{}` is no time; write it as 2026-11-23T09:30:00.000000Z", at.as_ref());
            wrong(at.span(), why)
        })?),
        None => None,
    };
    let effect = match expect.as_ref().as_str() {
        "allow" => Effect::Allow,
        "ask" => Effect::Ask,
        "deny" => Effect::Deny,
        other => return Err(wrong(expect.span(), format!("`{other}` is no decision; write `allow`, `ask` or `deny`"))),
    };
    let reason = reason.map(|code| read_reason(code.as_ref()).map_err(|why| wrong(code.span(), why))).transpose()?;
    if effect == Effect::Allow && reason.is_some_and(|reason| reason != Reason::DataExcepted) {
        let why = "a call that is allowed has no reason but `data_excepted`; remove `reason`".to_owned();
        return Err(wrong(expect.span(), why));
    }
    let arguments = match arguments {
        None => String::new(),
        Some(arguments) => object("arguments", arguments.as_ref()).map_err(|why| wrong(arguments.span(), why))?,
    };
    let run = run::read(seen, sent, words).map_err(|(at, why)| wrong(at, why))?;
    let mut endorsements = Vec::new();
    for (argument, listed) in endorsed {
        for value in listed {
            let endorsement = endorsement(argument.as_ref(), value.as_ref()).map_err(|why| wrong(value.span(), why))?;
            endorsements.push(endorsement);
        }
    }
    let mut values = Vec::new();
    for (field, listed) in returned {
        let of = Source::parse(field.as_ref()).map_err(|why| {
            let why = format!("`{}` names no field of a result: {why}; write `SERVER.TOOL:FIELD`", field.as_ref());
            wrong(field.span(), why)
        })?;
        for value in listed {
            let fact = fact(value.as_ref()).map_err(|why| wrong(value.span(), why))?;
            values.push((of.clone(), fact));
        }
    }
    let mut amounts = Vec::new();
    for (limit, amount) in used {
        let number = match amount.as_ref() {
            Value::Integer(number) => Some(Number::from(*number)),
            Value::Float(number) => Number::parse(&number.to_string()).ok(),
            Value::String(text) => Number::parse(text).ok(),
            _ => None,
        };
        let why = || wrong(amount.span(), "no number; write what was used, such as `4500` or `\"0.01\"`".to_owned());
        amounts.push((limit.into(), number.ok_or_else(why)?));
    }
    Ok(Case {
        agent: agent.map(Into::into),
        arguments,
        at,
        call: tool,
        endorsed: endorsements,
        expect: Expected { effect, reason },
        line: line_of(source, &name.span()),
        name: name.into_inner(),
        returned: values,
        run,
        used: amounts,
    })
}

/// An object: as it looks like, or its exact text.
fn object(what: &str, value: &Value) -> Result<String, String> {
    match value {
        Value::String(exact) => Ok(exact.clone()),
        value @ Value::Table(_) => {
            let mut text = String::new();
            json(value, &mut text)?;
            Ok(text)
        }
        _ => Err(format!("`{what}` is a table, or a text with the exact JSON")),
    }
}

/// A value that people can endorse in an argument.
fn endorsement(argument: &str, value: &str) -> Result<Endorsement, String> {
    match (is_argument(argument), Endorsement::takes(value)) {
        (false, _) => {
            Err(format!("`{argument}` is not an argument; write `to`, or `/customer/email` for one in another"))
        }
        (true, false) => Err("nobody can endorse this; write a value of one line, as the call has it".to_owned()),
        (true, true) => Ok(Endorsement { argument: argument.into(), value: value.into() }),
    }
}

/// A value as a result has it.
fn fact(value: &Value) -> Result<FacetValue, String> {
    let (kind, text) = match value {
        Value::Boolean(value) => ("bool", value.to_string()),
        Value::Float(number) if number.is_finite() => ("number", number.to_string()),
        Value::Integer(number) => ("number", number.to_string()),
        Value::String(text) => ("text", text.clone()),
        _ => return Err("a text, a number, true or false belongs here".to_owned()),
    };
    let text =
        if kind == "number" { Number::parse(&text).map_err(|error| error.to_string())?.to_string() } else { text };
    Ok(FacetValue { kind: kind.into(), text: text.into() })
}

/// `mcp:files/read_file`, `mcp:files/resource:file:///srv/a`: what [`Tool`] displays as.
fn read_tool(text: &str) -> Result<Tool, String> {
    let unread = || {
        format!(
            "`{text}` is no call; write `mcp:SERVER/TOOL`, `mcp:SERVER/resource:URI`, `mcp:SERVER/prompt:NAME`, `mcp:SERVER/request:METHOD` or `workflow:ENGINE/ACTION`"
        )
    };
    let (surface, upstream, rest) = split_tool(text).ok_or_else(unread)?;
    let endpoints = [Endpoint::Prompt, Endpoint::Request, Endpoint::Resource];
    let other = endpoints.into_iter().filter(|_| surface == Surface::Mcp).find_map(|endpoint| {
        let name = rest.strip_prefix(endpoint.as_str())?.strip_prefix(':')?;
        Some((endpoint, name))
    });
    let (endpoint, name) = other.unwrap_or((Endpoint::Tool, rest));
    if upstream.is_empty() || name.is_empty() {
        return Err(unread());
    }
    Ok(Tool { endpoint, name: name.into(), surface, upstream: upstream.into() })
}

fn read_reason(code: &str) -> Result<Reason, String> {
    Reason::ALL.iter().copied().find(|reason| reason.code() == code).ok_or_else(|| {
        let known = nearest(code, Reason::ALL.iter().map(|reason| reason.code()));
        let meant = known.map(|known| format!("; did you mean `{known}`?")).unwrap_or_default();
        format!("there is no reason `{code}`{meant}")
    })
}

/// Writes a TOML value as JSON. A number goes as TOML spells it; what needs another spelling is written as a text of JSON.
fn json(value: &Value, out: &mut String) -> Result<(), String> {
    match value {
        Value::Array(items) => {
            for (at, item) in items.iter().enumerate() {
                out.push(if at == 0 { '[' } else { ',' });
                json(item, out)?;
            }
            out.push_str(if items.is_empty() { "[]" } else { "]" });
        }
        Value::Boolean(value) => out.push_str(if *value { "true" } else { "false" }),
        Value::Datetime(time) => {
            return Err(format!("`{time}` is a time, which JSON does not have; write it as a text"));
        }
        Value::Float(number) if number.is_finite() => out.push_str(&number.to_string()),
        Value::Float(_) => return Err("JSON has no `inf` and no `nan`".to_owned()),
        Value::Integer(number) => out.push_str(&number.to_string()),
        Value::String(text) => quote(text, out),
        Value::Table(table) => {
            for (at, (key, item)) in table.iter().enumerate() {
                out.push(if at == 0 { '{' } else { ',' });
                quote(key, out);
                out.push(':');
                json(item, out)?;
            }
            out.push_str(if table.is_empty() { "{}" } else { "}" });
        }
    }
    Ok(())
}

fn quote(text: &str, out: &mut String) {
    out.push_str(&serde_json::Value::from(text).to_string());
}

fn line_of(source: &str, at: &Range<usize>) -> usize {
    source.bytes().take(at.start).filter(|byte| *byte == b'\n').count() + 1
}

impl Case {
    /// What the case says that `policy` knows nothing of, and how to mend it: it would prove nothing.
    #[must_use]
    pub fn unknown(&self, policy: &PolicySnapshot) -> Option<String> {
        let matters = policy.traces(&self.call) || policy.recalls(&self.call) || policy.follows_classes();
        if self.run != Run::default() && !matters {
            return Some(format!(
                "`words`, `sent` and `seen` change nothing: the mission does not ask who named what `{}` acts on, nor what a run has met",
                self.call
            ));
        }
        if let Some(never) = self.never_endorsed(policy) {
            return Some(never);
        }
        let ids: Vec<&str> = policy.counters(&self.call).map(|counter| &*counter.id).collect();
        let (limit, _) = self.used.iter().find(|(limit, _)| !ids.contains(&&**limit))?;
        let mend = match nearest(limit, ids.iter().copied()) {
            Some(known) => format!("did you mean `{known}`?"),
            None if ids.is_empty() => "nothing limits its sum".to_owned(),
            None => format!("its limits are {}", ids.join(", ")),
        };
        Some(format!("`used` names `{limit}`, which limits no call of `{}`; {mend}", self.call))
    }

    /// Why nobody could have endorsed what the case says is endorsed, or it would not matter.
    fn never_endorsed(&self, policy: &PolicySnapshot) -> Option<String> {
        let first = self.endorsed.first()?;
        let (Some(gate), Some(targets)) = (policy.origin_gate(), policy.targets(&self.call)) else {
            return Some(format!(
                "`endorsed` changes nothing: the mission asks no gate about what `{}` acts on; with `untrusted-target = \"ask\"` it does",
                self.call
            ));
        };
        let gives = policy.mission().gate(gate).is_some_and(|gate| gate.terms().standing.is_some());
        if !gives {
            return Some(format!(
                "`{}` is not endorsed by anybody: gate `{gate}` gives no standing grants; write `standing = {{ for = \"30d\", uses = 100 }}` there",
                first.argument
            ));
        }
        let is_target =
            |argument: &str| [false, true].map(|is_number| targets.role(argument, is_number)).contains(&Role::Target);
        let other = self.endorsed.iter().find(|endorsed| !is_target(&endorsed.argument))?;
        Some(format!("`endorsed` names `{}`, which is no target of `{}`", other.argument, self.call))
    }

    /// Decides the call by `policy`, as the path would with what `detector` finds.
    #[must_use]
    pub fn decide(&self, policy: &PolicySnapshot, detector: &Detector) -> Decision {
        let mission = policy.mission();
        let agent = self.agent.as_ref().or(mission.agents().first()).cloned().unwrap_or_else(|| Arc::from(""));
        let at = self.at.unwrap_or_else(|| mission.last_moment());
        let mut returned = Returned::default();
        self.returned.iter().for_each(|(source, value)| returned.add_value(source, value));
        for Earlier { result, tool, .. } in &self.run.earlier {
            returned.add(policy.sources(tool), result.as_bytes());
        }
        let met = self.run.met(policy, at, detector);
        let by_people = |Endorsement { argument, value }: &Endorsement| {
            Endorsed::new(argument.clone(), value, "people, as the case says".into())
        };
        let endorsed = self.endorsed.iter().map(by_people).collect();
        let before = Before { detector, endorsed, met, returned, seen: self.run.seen(policy), used: &self.used };
        decide_after(policy, agent, &self.call, &self.arguments, at, &before)
    }
}

/// Somebody on whose behalf the mission lets agents act.
fn first_initiator(mission: &Mission) -> Arc<str> {
    match mission.initiators().first() {
        Some(name) => name.replacen('*', "somebody", 1).into(),
        None => mission.owner().clone(),
    }
}

/// What came before a call.
pub(super) struct Before<'a> {
    /// What looks into the call.
    detector: &'a Detector,
    /// What people have endorsed.
    endorsed: Vec<Endorsed>,
    /// Kinds of data in what was sent and returned.
    pub(super) met: BTreeSet<Arc<str>>,
    pub(super) returned: Returned,
    pub(super) seen: Seen,
    used: &'a [(Arc<str>, Number)],
}

impl Before<'_> {
    /// Nothing: the first call of its run and day.
    pub(super) fn nothing(policy: &PolicySnapshot) -> Self {
        Self {
            detector: &run::DETECTOR,
            endorsed: Vec::new(),
            met: BTreeSet::new(),
            returned: Returned::default(),
            seen: Run::default().seen(policy),
            used: &[],
        }
    }
}

/// Decides a call as the path would, as the first one of its run and day, where the run was started with `words`.
pub(super) fn decide_alone(
    policy: &PolicySnapshot,
    agent: Arc<str>,
    call: &Tool,
    arguments: &str,
    at: Timestamp,
    words: Option<&str>,
) -> Decision {
    let run = Run { words: words.map(Into::into), ..Run::default() };
    let before = Before { seen: run.seen(policy), ..Before::nothing(policy) };
    decide_after(policy, agent, call, arguments, at, &before)
}

pub(super) fn decide_after(
    policy: &PolicySnapshot,
    agent: Arc<str>,
    call: &Tool,
    arguments: &str,
    at: Timestamp,
    before: &Before<'_>,
) -> Decision {
    let mission = policy.mission();
    let actor = Context {
        agent: Agent { name: agent, version: None },
        context: None,
        initiator: Initiator { authenticated: Authenticated::Asserted, name: first_initiator(mission) },
        mission: Some(mission.name().clone()),
        run: Some(RunId::from_bytes([0; 16])),
    };
    let bytes = Bytes::copy_from_slice(arguments.as_bytes());
    // No record will have it.
    let id = CallId::from_bytes([0; 16]);
    let intercepted = Intercepted::new(id, Arc::new(actor), call.clone(), bytes, None);
    let mut classified = classify(intercepted, policy.plan(call), Standing::Good, &before.returned);
    let trace = |targets| before.seen.trace_beside(arguments.as_bytes(), targets, &before.endorsed);
    let traced = policy.targets(call).map(trace);
    classified.provenance = traced.unwrap_or_default();
    let found = run::found(before.detector, arguments);
    classified.met = policy.met(&before.met.iter().cloned().chain(found.kinds()).collect());
    classified.data_classes = policy.labels(&found);
    classified.data_fields = policy.fields(call, &found, arguments.as_bytes());
    let mut book = Book::default();
    let context = classified.intercepted.context().clone();
    for counter in policy.counters(call) {
        let used = before.used.iter().filter(|(limit, _)| *limit == counter.id);
        used.for_each(|(_, amount)| book.begin_with(counter, *amount, context.run, at));
    }
    classified.tallies = book.tally(policy.counters(call), &classified.intercepted, &classified.facets, at);
    decide(&classified, policy, at)
}

impl Expected {
    /// Whether `decision` is what was expected.
    #[must_use]
    pub fn is_met(self, decision: &Decision) -> bool {
        let is_asking = decision.effect == Effect::Ask
            || decision.effect == Effect::Deny && decision.reasons == [Reason::ApprovalUnavailable];
        let is_effect = match self.effect {
            Effect::Allow => decision.effect == Effect::Allow,
            Effect::Ask => is_asking,
            Effect::Deny => decision.effect == Effect::Deny && !is_asking,
        };
        is_effect && self.reason.is_none_or(|reason| decision.reasons.contains(&reason))
    }
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.effect)?;
        self.reason.map_or(Ok(()), |reason| write!(f, " with `{}`", reason.code()))
    }
}
