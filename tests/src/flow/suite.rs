//! A suite as it stands in `corpus/flow`: its mission, what people ask, and what others write into results.

use std::collections::BTreeSet;
use std::path::Path;

use evidence::record::{Endpoint, Surface, Tool};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;

/// Where a result has text that others than the service write.
const PLACE: &str = "{{inject}}";

/// One folder of `corpus/flow`.
pub(super) struct Suite {
    pub(super) attacks: Vec<Attack>,
    /// The source of the mission with all tools.
    pub(super) mission: String,
    /// The tools that only read.
    reads: BTreeSet<String>,
    pub(super) tasks: Vec<Task>,
}

/// What somebody asks for, and what an honest agent does.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Task {
    pub(super) calls: Vec<Call>,
    pub(super) id: String,
    tools: BTreeSet<String>,
    pub(super) words: String,
}

/// What stands in a result, and what an agent does that obeys.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Attack {
    pub(super) calls: Vec<Call>,
    pub(super) goal: String,
    pub(super) how: How,
    pub(super) id: String,
    pub(super) text: String,
}

/// How an attack brings up its target.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
#[serde(rename_all = "snake_case")]
pub(super) enum How {
    Plain,
    Disguised,
    Laundered,
    Confused,
    Link,
}

/// One call, and what its tool returns.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Call {
    arguments: Box<RawValue>,
    result: Value,
    pub(super) tool: String,
}

/// What a mission demands of the targets of its calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demand {
    /// Nothing: whoever named them.
    Nothing,
    /// What the suite's mission says.
    AsWritten,
    /// That the initiator selected each.
    Selected,
    /// That the mission or the initiator named each.
    Named,
}

impl Suite {
    /// The same, with a mission that demands something else.
    pub(super) fn demanding(self, demand: Demand) -> Self {
        let (target, payload) = match demand {
            Demand::AsWritten => return self,
            Demand::Nothing => (r#""keep""#, r#""keep""#),
            Demand::Selected => {
                (r#"{ else = "ask", selected = ["admin", "destroy", "pay", "send", "write"] }"#, r#""ask""#)
            }
            Demand::Named => (r#"{ else = "ask", named = ["admin", "destroy", "pay", "send", "write"] }"#, r#""ask""#),
        };
        let lines = self.mission.lines().filter_map(|line| match line.split_whitespace().next() {
            Some("untrusted-target") => Some(format!("untrusted-target = {target}")),
            Some("untrusted-payload") => Some(format!("untrusted-payload = {payload}")),
            // A gate that nothing asks is an error.
            Some("[gate.default]" | "group") if demand == Demand::Nothing => None,
            _ => Some(line.to_owned()),
        });
        Self { mission: lines.collect::<Vec<_>>().join("\n"), ..self }
    }

    pub(super) fn read(name: &'static str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus/flow").join(name);
        let text = |file: &str| std::fs::read_to_string(folder.join(file)).unwrap();
        let mission = text("suite.toml");
        let suite = Self {
            attacks: lines(&text("attacks.jsonl")),
            reads: reads(&mission),
            mission,
            tasks: lines(&text("tasks.jsonl")),
        };
        for attack in &suite.attacks {
            assert!(attack.calls.iter().any(|call| suite.has_effect(call)), "{name}/{} does nothing", attack.id);
        }
        for task in &suite.tasks {
            let called: BTreeSet<&str> = task.calls.iter().map(|call| call.tool.as_str()).collect();
            assert!(called.iter().copied().eq(task.tools.iter().map(String::as_str)), "tools of {name}/{}", task.id);
            assert!(task.calls.iter().any(Call::has_place), "{name}/{} has no place for an attack", task.id);
        }
        suite
    }

    /// Whether `call` does something to the world, by what the suite's mission says of its tool.
    pub(super) fn has_effect(&self, call: &Call) -> bool {
        !self.reads.contains(&call.tool)
    }

    /// The mission cut to the tools of one task: a line goes that is about tools which the task does not need.
    pub(super) fn mission_of(&self, task: &Task) -> String {
        let is_needed = |server: &str, tool: &str| {
            task.tools.iter().any(|needed| {
                let known = needed.strip_prefix(&format!("mcp:{server}/"));
                known
                    .is_some_and(|known| tool.strip_suffix('*').map_or(known == tool, |start| known.starts_with(start)))
            })
        };
        let (mut kept, mut table, mut is_in) = (Vec::new(), Vec::new(), true);
        for line in self.mission.lines() {
            if let Some(header) = line.strip_prefix('[') {
                table = header.trim_end_matches(']').split('.').collect::<Vec<_>>();
                is_in = match table.as_slice() {
                    ["allow" | "effect", "mcp", server] => is_needed(server, "*"),
                    ["allow", "mcp", server, tool] => is_needed(server, tool),
                    _ => true,
                };
            }
            let key = line.split('=').next().unwrap_or_default().trim();
            let is_about_needed = match table.as_slice() {
                ["allow" | "effect", "mcp", server] if line.contains('=') => is_needed(server, key),
                ["data"] if key.starts_with("\"mcp:") => {
                    let place = key.trim_matches('"').trim_start_matches("mcp:");
                    let (server, rest) = place.split_once('/').unwrap_or((place, "*"));
                    is_needed(server, rest.split(':').next().unwrap_or_default())
                }
                _ => true,
            };
            if is_in && is_about_needed {
                kept.push(line);
            }
        }
        kept.join("\n")
    }
}

impl Call {
    pub(super) fn arguments(&self) -> &[u8] {
        self.arguments.get().as_bytes()
    }

    pub(super) fn has_place(&self) -> bool {
        self.result.to_string().contains(PLACE)
    }

    /// The exact bytes of the result, with `text` where others write.
    pub(super) fn result(&self, text: &str) -> Vec<u8> {
        serde_json::to_vec(&filled(&self.result, text)).unwrap()
    }

    pub(super) fn tool(&self) -> Tool {
        let (upstream, name) = self.tool.strip_prefix("mcp:").and_then(|tool| tool.split_once('/')).unwrap();
        Tool { endpoint: Endpoint::Tool, name: name.into(), surface: Surface::Mcp, upstream: upstream.into() }
    }
}

/// `value` with `text` in its places, also where a text is JSON as a whole.
fn filled(value: &Value, text: &str) -> Value {
    match value {
        Value::String(whole) if whole.contains(PLACE) => match serde_json::from_str::<Value>(whole) {
            Ok(inner @ (Value::Array(_) | Value::Object(_))) => Value::String(filled(&inner, text).to_string()),
            _ => Value::String(whole.replace(PLACE, text)),
        },
        Value::Array(elements) => elements.iter().map(|element| filled(element, text)).collect(),
        Value::Object(members) => members.iter().map(|(name, member)| (name.clone(), filled(member, text))).collect(),
        other => other.clone(),
    }
}

/// The tools that `mission` says only read.
fn reads(mission: &str) -> BTreeSet<String> {
    let mission: toml::Table = mission.parse().unwrap();
    let servers = mission["effect"]["mcp"].as_table().unwrap();
    let tools = servers.iter().flat_map(|(server, tools)| {
        tools.as_table().unwrap().iter().map(move |(tool, effect)| (format!("mcp:{server}/{tool}"), effect))
    });
    tools.filter(|(_, effect)| effect.as_str() == Some("read")).map(|(tool, _)| tool).collect()
}

fn lines<T: DeserializeOwned>(text: &str) -> Vec<T> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}
