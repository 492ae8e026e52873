//! An example for each change of a mission: a call that the new version allows and the old one does not, or the other way round. Both deciders are asked before it is
//! shown, so an example is a proof; where none is found, that proves nothing.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use evidence::decimal::Number;
use evidence::record::{Direction, Effect, Endpoint, Surface, Tool};
use evidence::time::Timestamp;

use super::PolicySnapshot;
use super::cases::decide_alone;
use crate::mission::{
    ArgumentRule, Change, Constraint, DomainPattern, Mission, Presence, Scalar, Subject, ToolRules, accepts, compare,
    name_of, parent_of,
};

/// A call as a person reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Example {
    /// Who acts.
    pub agent: Arc<str>,
    /// The exact arguments.
    pub arguments: String,
    /// When.
    pub at: Timestamp,
    /// What is called.
    pub call: Tool,
    /// What the initiator asked for, where that matters: it names what the call acts on. Without, nobody has.
    pub words: Option<String>,
}

/// Two versions of a mission, compiled.
#[derive(Clone, Copy, Debug)]
pub struct Versions<'a> {
    /// The one in force.
    pub old: &'a PolicySnapshot,
    /// The one that would follow.
    pub new: &'a PolicySnapshot,
}

/// A change with what proves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proved {
    /// The change.
    pub change: Change,
    /// A call that only the new version allows.
    pub newly_allowed: Option<Example>,
    /// A call that only the old version allows.
    pub newly_denied: Option<Example>,
}

impl Versions<'_> {
    /// Every change, with examples where some are found. What could not be told by itself is told by its examples.
    #[must_use]
    pub fn changes(&self) -> Vec<Proved> {
        let proved = |mut change: Change| {
            let is_narrower = change.direction != Direction::Wider;
            let newly_allowed = change.direction.is_wider().then(|| self.newly_allowed(&change)).flatten();
            let newly_denied = is_narrower.then(|| self.newly_denied(&change)).flatten();
            change.direction = match (change.direction, &newly_allowed, &newly_denied) {
                (Direction::Unclear, Some(_), Some(_)) => Direction::Both,
                (Direction::Unclear, Some(_), None) => Direction::Wider,
                (direction, _, _) => direction,
            };
            Proved { change, newly_allowed, newly_denied }
        };
        compare(self.old.mission(), self.new.mission()).into_iter().map(proved).collect()
    }

    fn newly_allowed(&self, change: &Change) -> Option<Example> {
        find(change, self.new, self.old)
    }

    fn newly_denied(&self, change: &Change) -> Option<Example> {
        find(change, self.old, self.new)
    }
}

/// A call that `by` allows and `other` does not.
fn find(change: &Change, by: &PolicySnapshot, other: &PolicySnapshot) -> Option<Example> {
    let candidates = Candidates { by: by.mission(), other: other.mission() }.of(&change.subject);
    let allows = |policy: &PolicySnapshot, example: &Example| {
        let Example { agent, arguments, at, call, words } = example;
        decide_alone(policy, agent.clone(), call, arguments, *at, words.as_deref()).effect == Effect::Allow
    };
    let is_traced = |example: &Example| by.traces(&example.call) || other.traces(&example.call);
    let named = |example: Example| {
        let words = is_traced(&example).then(|| example.arguments.clone());
        let with_words = words.map(|words| Example { words: Some(words), ..example.clone() });
        std::iter::once(example).chain(with_words)
    };
    candidates.into_iter().flat_map(named).find(|example| allows(by, example) && !allows(other, example))
}

struct Candidates<'a> {
    by: &'a Mission,
    other: &'a Mission,
}

/// The most that are tried for one change.
const CANDIDATES_MAX: usize = 64;

impl Candidates<'_> {
    fn of(&self, subject: &Subject) -> Vec<Example> {
        match subject {
            Subject::Agent(agent) => {
                self.anything().into_iter().map(|example| Example { agent: agent.clone(), ..example }).collect()
            }
            Subject::Argument { argument, tool, upstream } => self.tool(upstream, tool, Some(argument)),
            Subject::Beyond => Vec::new(),
            Subject::Origins => self.anything(),
            Subject::Prompt(server, name) => self.named(server, Endpoint::Prompt, name),
            Subject::Request(server, name) => self.named(server, Endpoint::Request, name),
            Subject::Resource(server, uri) => self.named(server, Endpoint::Resource, uri),
            Subject::Tool(server, tool) if &**tool == "*" => self.tool(server, "some_other_tool", None),
            Subject::Tool(server, tool) => self.tool(server, tool, None),
            Subject::Until => self.anything(),
            Subject::Zone(server, start) => self.zone(server, start),
        }
    }

    /// Any call that is allowed of the mission.
    fn anything(&self) -> Vec<Example> {
        let mut examples = Vec::new();
        for (server, upstream) in self.by.rules() {
            let tools = upstream.tools.keys().map(|tool| &**tool);
            for tool in tools.chain(upstream.every_tool.map(|_| "some_other_tool")) {
                examples.extend(self.tool(server, tool, None).into_iter().take(2));
            }
            for (uri, _) in &upstream.resources {
                examples.extend(self.named(server, Endpoint::Resource, uri.as_str()));
            }
            for (prompt, _) in &upstream.prompts {
                examples.extend(self.named(server, Endpoint::Prompt, prompt));
            }
            if upstream.surface == Surface::Mcp {
                examples.extend(self.named(server, Endpoint::Request, crate::mission::SUBSCRIBING));
            }
        }
        examples.truncate(CANDIDATES_MAX);
        examples
    }

    fn named(&self, server: &str, endpoint: Endpoint, name: &str) -> Vec<Example> {
        let name = if name == "*" { "example/of-it".to_owned() } else { name.replace('*', "example") };
        self.example(server, endpoint, &name, "{}".to_owned()).into_iter().collect()
    }

    /// Calls of the tools whose names begin with `start`, near the sizes that zones of both versions name.
    fn zone(&self, server: &str, start: &str) -> Vec<Example> {
        let Some(upstream) = self.by.rules().get(server) else { return Vec::new() };
        let mut examples = Vec::new();
        for tool in upstream.tools.keys().filter(|tool| tool.starts_with(start)) {
            let zones = self.by.dangers().values().chain(self.other.dangers().values());
            let sized = zones.flat_map(|zone| zone.over.keys()).collect::<std::collections::BTreeSet<_>>();
            for argument in sized {
                examples.extend(self.tool(server, tool, Some(argument)));
            }
            examples.extend(self.tool(server, tool, None));
        }
        if upstream.every_tool.is_some() {
            examples.extend(self.tool(server, if start.is_empty() { "some_other_tool" } else { start }, None));
        }
        examples
    }

    /// Calls of a tool, one for each value worth trying of `argument`, the others as simple as they may be.
    fn tool(&self, server: &str, tool: &str, argument: Option<&str>) -> Vec<Example> {
        let rules =
            |mission: &Mission| mission.rules().get(server).and_then(|upstream| upstream.tools.get(tool)).cloned();
        let (by, other) = (rules(self.by).unwrap_or_default(), rules(self.other).unwrap_or_default());
        let base = base(&by, &other);
        let mut all: Vec<Vec<(Arc<str>, String)>> = Vec::new();
        if let Some(argument) = argument {
            let without: Vec<_> = base.iter().filter(|(name, _)| **name != *argument).cloned().collect();
            let values = [by.arguments.get(argument), other.arguments.get(argument)];
            let mut values: Vec<String> =
                values.into_iter().flatten().flat_map(|rule| values_of(&rule.constraint)).collect();
            values.extend(self.sizes(argument));
            let with = |value: String| {
                let mut arguments = without.clone();
                arguments.push((argument.into(), value));
                arguments
            };
            all.extend(values.into_iter().take(CANDIDATES_MAX).map(with));
            all.push(without.clone());
        } else {
            // Where one side takes any arguments, one that the other does not list tells them apart.
            let mut more = base.clone();
            more.push(("example".into(), "true".to_owned()));
            all.push(more);
        }
        all.insert(if argument.is_some() { all.len() } else { 0 }, base);
        let examples =
            all.into_iter().map(|arguments| self.example(server, Endpoint::Tool, tool, assemble(&arguments, None)));
        examples.flatten().collect()
    }

    /// Numbers at the edges of danger zones.
    fn sizes(&self, argument: &str) -> Vec<String> {
        let zones = self.by.dangers().values().chain(self.other.dangers().values());
        let sizes = zones.filter_map(|zone| zone.over.get(argument)).map(|(size, _)| *size);
        sizes
            .flat_map(|size| [Some(size), size.plus(Number::from(1)).ok()])
            .flatten()
            .map(|size| size.to_string())
            .collect()
    }

    fn example(&self, server: &str, endpoint: Endpoint, name: &str, arguments: String) -> Option<Example> {
        let agent = self.by.agents().iter().find(|agent| self.other.agents().contains(agent));
        let agent = agent.or(self.by.agents().first())?.clone();
        // Where only one of them holds, if there is such a time; else where both do.
        let at = if self.by.until() > self.other.until() {
            self.by.last_moment()
        } else {
            self.by.last_moment().min(self.other.last_moment())
        };
        let surface =
            [self.by, self.other].into_iter().find_map(|mission| Some(mission.rules().get(server)?.surface))?;
        let call = Tool { endpoint, name: name.into(), surface, upstream: server.into() };
        Some(Example { agent, arguments, at, call, words: None })
    }
}

/// A value for each argument that `by` demands: one that `other` takes too, if there is any.
fn base(by: &ToolRules, other: &ToolRules) -> Vec<(Arc<str>, String)> {
    let is_needed = |rule: &ArgumentRule| {
        let above = std::iter::successors(Some(rule), |rule| by.arguments.get(rule.parent.as_ref()?));
        above.into_iter().all(|rule| rule.presence == Presence::Required)
    };
    let needed = by.arguments.iter().filter(|(_, rule)| is_needed(rule));
    let value = |(name, rule): (&Arc<str>, &ArgumentRule)| {
        if rule.constraint == Constraint::Fields {
            return Some((name.clone(), NO_FIELDS.to_owned()));
        }
        let values = scalars(&rule.constraint);
        let shared = other.arguments.get(name).and_then(|other| {
            let theirs = scalars(&other.constraint);
            let both = |value: &&Scalar| accepts(&rule.constraint, value) && accepts(&other.constraint, value);
            values.iter().chain(&theirs).find(both).cloned()
        });
        let value = shared.or_else(|| values.into_iter().next())?;
        Some((name.clone(), json(&value)))
    };
    needed.filter_map(value).collect()
}

/// An object whose fields are put in where they have values of their own.
const NO_FIELDS: &str = "{}";

/// The arguments as one object: fields of arguments inside of what they belong to.
fn assemble(arguments: &[(Arc<str>, String)], parent: Option<&str>) -> String {
    let members = arguments.iter().filter(|(path, _)| parent_of(path).as_deref() == parent).map(|(path, value)| {
        let is_parent = arguments.iter().any(|(other, _)| parent_of(other).as_deref() == Some(path));
        let value = if is_parent { assemble(arguments, Some(path)) } else { value.clone() };
        format!("{}:{value}", quoted(&name_of(path)))
    });
    format!("{{{}}}", members.collect::<Vec<_>>().join(","))
}

fn values_of(constraint: &Constraint) -> Vec<String> {
    match constraint {
        Constraint::Fields => vec![NO_FIELDS.to_owned()],
        constraint => scalars(constraint).iter().map(json).collect(),
    }
}

/// Values at the edges of what a rule allows.
fn scalars(constraint: &Constraint) -> Vec<Scalar> {
    let text = |text: String| Scalar::Text(text.into());
    match constraint {
        Constraint::Free => vec![text("anything".to_owned()), Scalar::Number(Number::from(1))],
        Constraint::In(values) => values.clone(),
        Constraint::Range { max, min } => vec![Scalar::Number(*max), Scalar::Number(*min)],
        Constraint::Length { max, min } => {
            // Longer texts are no example that anybody reads.
            const SHOWN: u32 = 1_000;
            [max, min]
                .into_iter()
                .filter(|count| **count <= SHOWN)
                .map(|count| text("x".repeat(*count as usize)))
                .collect()
        }
        Constraint::Path(roots) => roots
            .iter()
            .flat_map(|root| [text(format!("{}/example", root.trim_end_matches('/'))), text(root.to_string())])
            .collect(),
        Constraint::Domain(domains) => domains
            .iter()
            .map(|domain| match domain {
                DomainPattern::Exact(domain) => text(format!("someone@{domain}")),
                DomainPattern::Subdomains(domain) => text(format!("someone@example.{domain}")),
            })
            .collect(),
        Constraint::Url(urls) => {
            urls.iter().map(|url| text(url.to_string().replacen("*.", "example.", 1).replace('*', "example"))).collect()
        }
        Constraint::Pattern(pattern) => pattern.examples().into_iter().map(text).collect(),
        Constraint::Command(commands) => commands.iter().map(|command| text(command.example())).collect(),
        Constraint::Email(emails) => emails
            .iter()
            .map(|email| text(email.to_string().replacen("*@", "someone@", 1).replace("*.", "example.")))
            .collect(),
        // No value by itself, and nothing was returned in a run that is made up.
        Constraint::Fields | Constraint::From(_) => Vec::new(),
        Constraint::Identifier(names) => names.iter().map(|name| text(name.to_string())).collect(),
        Constraint::Sql(kinds) => kinds.iter().map(|kind| text(statement(kind))).collect(),
        Constraint::Time { max, min } => vec![text(min.to_string()), text(max.to_string())],
    }
}

/// A statement of one kind.
fn statement(kind: &str) -> String {
    match kind {
        "alter" | "drop" | "truncate" => format!("{kind} table example"),
        "create" => "create table example (a integer)".to_owned(),
        "delete" => "delete from example".to_owned(),
        "insert" => "insert into example values (1)".to_owned(),
        "update" => "update example set a = 1".to_owned(),
        kind => format!("{kind} 1"),
    }
}

fn json(value: &Scalar) -> String {
    match value {
        Scalar::Bool(value) => value.to_string(),
        Scalar::Number(value) => value.to_string(),
        Scalar::Text(value) => quoted(value),
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
