//! `[allow.mcp.SERVER]`: tools, resources, prompts and requests of one server. `[allow.workflow.ENGINE]`: actions of one engine.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use evidence::record::Surface;
use toml::de::{DeTable, DeValue};

use super::{Key, Later, Reader, Value, brief, nearest};
use crate::limits::{FACET_BYTES_MAX, NAME_BYTES_MAX, REPORT_SECONDS_MAX};
use crate::mission::rule::{ToolRules, Upstream, UriPattern, server_of, tool_of};
use crate::mission::spelling::ambiguity;
use crate::mission::uri::is_plain;
use crate::mission::{Feature, PROTOCOL_REQUESTS};

const SURFACES_LATER: &Later = &[
    ("browser", "remove the section: this version governs MCP servers and workflows"),
    ("http", "remove the section: this version governs MCP servers and workflows"),
];

const SURFACES: [&str; 2] = [Surface::Mcp.as_str(), Surface::Workflow.as_str()];

/// Keys of a server that are not tools. A tool of such a name is written with the prefix `tool:`.
pub(in crate::mission) const RESERVED: [&str; 6] =
    ["elicitation", "prompts", "requests", "resources", "roots", "sampling"];

/// The key of an engine that is no action, unless it holds a table.
const REPORT_WITHIN: &str = "report_within";

/// Says that what follows is a tool, whatever its name.
pub(super) const TOOL_PREFIX: &str = "tool:";

/// A server or an engine: its surface, its key and what stands under it.
pub(super) type Server<'v, 's> = (Surface, &'v Key<'s>, &'v Value<'s>);

impl<'s> Reader<'s> {
    pub(super) fn allow(&mut self, value: &Value<'s>) -> BTreeMap<Arc<str>, Upstream> {
        let mut upstreams = BTreeMap::new();
        let Some(surfaces) = self.table(value, "write `[allow.mcp.SERVER]`") else { return upstreams };
        for (surface, key, value) in self.servers(surfaces, "allow") {
            let name = key.get_ref().as_ref();
            if !is_server_name(name) {
                let reason = match surface {
                    Surface::Change | Surface::Mcp => format!("`{}` is not the name of a server", brief(name)),
                    Surface::Workflow => format!("`{}` is not the name of an engine", brief(name)),
                };
                self.problem(
                    key.span(),
                    reason,
                    "use at most 63 letters, digits, `.`, `_` and `-`, starting with a letter or digit",
                );
            }
            let Some(table) = self.table(value, &format!("write `[allow.{surface}.{}]`", brief(name))) else {
                continue;
            };
            let read = if surface == Surface::Workflow { self.engine(table) } else { self.server(table) };
            let upstream = Upstream { line: self.line(key), ..read };
            match upstreams.entry(name.into()) {
                Entry::Vacant(entry) => drop(entry.insert(upstream)),
                Entry::Occupied(_) => self.problem(
                    key.span(),
                    format!("`{}` is the name of a server and of an engine", brief(name)),
                    "give the engine another name: rules name both by their names alone",
                ),
            }
        }
        if upstreams.is_empty() && surfaces.keys().all(|key| SURFACES.contains(&key.get_ref().as_ref())) {
            self.problem(
                value.span(),
                "the mission allows nothing",
                "add `[allow.mcp.SERVER]` with the tools it needs",
            );
        }
        upstreams
    }

    /// The servers and engines of a section's surfaces, each with what stands under its name.
    pub(super) fn servers<'v>(&mut self, surfaces: &'v DeTable<'s>, section: &str) -> Vec<Server<'v, 's>> {
        for key in surfaces.keys().filter(|key| !SURFACES.contains(&key.get_ref().as_ref())) {
            let name = key.get_ref();
            if SURFACES_LATER.iter().any(|(word, _)| word == name) || nearest(name, SURFACES).is_some() {
                self.unknown_key(key, &SURFACES, SURFACES_LATER);
            } else {
                let reason = format!("unknown surface `{}`", brief(name));
                let mend = format!("rules for an MCP server stand under `[{section}.mcp.{}]`", brief(name));
                self.problem(key.span(), reason, mend);
            }
        }
        let mut servers = Vec::new();
        for surface in [Surface::Mcp, Surface::Workflow] {
            let Some(value) = surfaces.get(surface.as_str()) else { continue };
            let mend = format!("write `[{section}.{surface}.{}]`", server_of(surface).to_uppercase());
            let named = self.table(value, &mend).into_iter().flatten();
            servers.extend(named.map(|(key, value)| (surface, key, value)));
        }
        servers
    }

    /// Of an engine there are actions, and how long it has to report.
    fn engine(&mut self, table: &DeTable<'s>) -> Upstream {
        let mut engine = Upstream::new(Surface::Workflow);
        for (key, value) in table {
            self.rules += 1;
            match (key.get_ref().as_ref(), value.get_ref()) {
                (REPORT_WITHIN, DeValue::String(_)) => {
                    engine.report_within_s = self.lasting(value, REPORT_SECONDS_MAX);
                }
                ("*", _) => engine.every_tool = self.every_tool(key, value),
                _ => self.tool(Surface::Workflow, key, value, &mut engine.tools),
            }
        }
        engine
    }

    fn server(&mut self, table: &DeTable<'s>) -> Upstream {
        let mut upstream = Upstream::new(Surface::Mcp);
        for (key, value) in table {
            self.rules += 1;
            let name = key.get_ref().as_ref();
            if RESERVED.contains(&name) && matches!(value.get_ref(), DeValue::Table(_)) {
                let reason = format!("a table where `{name}` is not a tool");
                self.problem(
                    key.span(),
                    reason,
                    format!("to allow a tool of this name write `\"{TOOL_PREFIX}{name}\" = {{}}`"),
                );
                continue;
            }
            match name {
                "resources" => upstream.resources = self.resources(value),
                "prompts" => upstream.prompts = self.prompts(value),
                "requests" => upstream.requests = self.requests(value),
                "*" => upstream.every_tool = self.every_tool(key, value),
                _ => match Feature::ALL.iter().find(|feature| feature.key() == name) {
                    Some(feature) => match value.get_ref() {
                        DeValue::Boolean(true) => drop(upstream.features.insert(*feature, self.line(key))),
                        DeValue::Boolean(false) => {}
                        _ => {
                            self.wrong_kind(value, "true or false", &format!("write `{name} = true`, or leave it out"))
                        }
                    },
                    None => self.tool(Surface::Mcp, key, value, &mut upstream.tools),
                },
            }
        }
        upstream
    }

    fn tool(&mut self, surface: Surface, key: &Key<'s>, value: &Value<'s>, tools: &mut BTreeMap<Arc<str>, ToolRules>) {
        let written = key.get_ref().as_ref();
        let name = written.strip_prefix(TOOL_PREFIX).filter(|_| surface == Surface::Mcp).unwrap_or(written);
        let DeValue::Table(arguments) = value.get_ref() else {
            let suggestion = match nearest(name, RESERVED) {
                Some(word) if surface == Surface::Mcp && !matches!(value.get_ref(), DeValue::String(_)) => {
                    format!("did you mean `{word}`?")
                }
                _ => format!("write `{} = {{}}` to allow it with any arguments", brief(written)),
            };
            self.problem(key.span(), format!("`{}` is no table of argument rules", brief(written)), suggestion);
            return;
        };
        if name.contains('*') {
            let (tool, server) = (tool_of(surface), server_of(surface));
            let reason = format!("`{}` is a wildcard, and {tool}s are allowed by name", brief(name));
            let mend = format!("list the {tool}s, or write `\"*\" = {{}}` for every {tool} of the {server}");
            self.problem(key.span(), reason, mend);
            return;
        }
        if name.is_empty() || name.len() > NAME_BYTES_MAX || ambiguity(name).is_some() {
            let reason = match surface {
                Surface::Change | Surface::Mcp => format!("`{}` is not the name of a tool", brief(name)),
                Surface::Workflow => format!("`{}` is not the name of an action", brief(name)),
            };
            self.problem(key.span(), reason, format!("use at most {NAME_BYTES_MAX} bytes of visible characters"));
            return;
        }
        let rules = ToolRules { arguments: self.arguments(arguments), line: self.line(key) };
        match tools.entry(name.into()) {
            Entry::Vacant(entry) => drop(entry.insert(rules)),
            Entry::Occupied(_) => {
                self.problem(key.span(), format!("`{}` stands here twice", brief(name)), "remove one");
            }
        }
    }

    fn every_tool(&mut self, key: &Key<'s>, value: &Value<'s>) -> Option<u32> {
        let table = self.table(value, "write `\"*\" = {}`")?;
        if !table.is_empty() {
            self.problem(
                key.span(),
                "argument rules for every tool at once",
                "name the tool that they are for, or write `\"*\" = {}`",
            );
            return None;
        }
        Some(self.line(key))
    }

    fn prompts(&mut self, value: &Value<'s>) -> Vec<(Arc<str>, u32)> {
        let mut prompts: Vec<(Arc<str>, u32)> = Vec::new();
        for entry in self.entries(value, "prompts = [\"summarise\"]") {
            let Some(name) = self.plain_text(entry) else { continue };
            if name.is_empty() || name.len() > NAME_BYTES_MAX || (name.contains('*') && name != "*") {
                let reason = format!("`{}` is not the name of a prompt", brief(name));
                self.problem(entry.span(), reason, "list the prompts, or write `\"*\"` for every prompt");
            } else if prompts.iter().any(|(known, _)| **known == *name) {
                self.duplicate(entry, name);
            } else {
                prompts.push((name.into(), self.line(entry)));
            }
        }
        prompts
    }

    fn requests(&mut self, value: &Value<'s>) -> Vec<(Arc<str>, u32)> {
        let mut requests: Vec<(Arc<str>, u32)> = Vec::new();
        for entry in self.entries(value, "requests = [\"skills/list\"]") {
            let Some(method) = self.plain_text(entry) else { continue };
            if method.is_empty() || method.len() > NAME_BYTES_MAX || (method.contains('*') && method != "*") {
                let reason = format!("`{}` is not the method of a request", brief(method));
                self.problem(
                    entry.span(),
                    reason,
                    "list the methods, or write `\"*\"` for every request that the protocol does not define",
                );
            } else if PROTOCOL_REQUESTS.contains(&method) {
                let reason = format!("`{method}` is a request of the protocol");
                self.problem(
                    entry.span(),
                    reason,
                    "remove it: such requests are allowed by tools, `resources`, `prompts`, `elicitation`, `roots` and `sampling`",
                );
            } else if requests.iter().any(|(known, _)| **known == *method) {
                self.duplicate(entry, method);
            } else {
                requests.push((method.into(), self.line(entry)));
            }
        }
        requests
    }

    fn resources(&mut self, value: &Value<'s>) -> Vec<(UriPattern, u32)> {
        let mut patterns: Vec<(UriPattern, u32)> = Vec::new();
        for entry in self.entries(value, "resources = [\"file:///srv/docs/*\"]") {
            let Some(text) = self.text(entry) else { continue };
            if let Err((reason, suggestion)) = check_uri_pattern(text) {
                self.problem(entry.span(), format!("`{}` {reason}", brief(text)), suggestion);
            } else if patterns.iter().any(|(known, _)| known.as_str() == text) {
                self.duplicate(entry, text);
            } else {
                patterns.push((UriPattern(text.into()), self.line(entry)));
            }
        }
        patterns
    }
}

fn is_server_name(name: &str) -> bool {
    (1..=63).contains(&name.len())
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte))
}

/// Schemes whose URIs name a machine or an owner after `//`, where a wildcard would match machines of other people.
const SCHEMES_WITH_HOST: [&str; 12] =
    ["file", "ftp", "ftps", "git", "gs", "http", "https", "s3", "sftp", "smb", "ws", "wss"];

/// What is wrong with a pattern for URIs, and how to mend it.
fn check_uri_pattern(text: &str) -> Result<(), (&'static str, &'static str)> {
    const EXAMPLE: &str = "write a URI such as `file:///srv/docs/*`, or `*` for every resource";
    if text == "*" {
        return Ok(());
    }
    if text.len() > FACET_BYTES_MAX {
        return Err(("is longer than any URI", EXAMPLE));
    }
    let Some((scheme, rest)) = text.split_once(':') else { return Err(("has no scheme", EXAMPLE)) };
    let is_scheme = scheme.starts_with(|first: char| first.is_ascii_lowercase())
        && scheme.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || b"+.-".contains(&byte));
    if !is_scheme || rest.is_empty() {
        return Err(("does not start with a scheme in lower case", EXAMPLE));
    }
    if ambiguity(text).is_some() {
        return Err(("holds a character that is not visible", EXAMPLE));
    }
    let Some(at) = rest.find('*') else { return Ok(()) };
    if !is_plain(&text.replace('*', "x")) {
        return Err((
            "has dot segments or encoded punctuation beside a wildcard",
            "write the path as it is, without `.`, `..`, `\\` and percent-encoded dots and slashes",
        ));
    }
    let after = rest.strip_prefix("//").filter(|after| SCHEMES_WITH_HOST.contains(&scheme) && *after != "*");
    let in_authority = after.is_some_and(|after| after.find('/').is_none_or(|slash| slash + 2 > at));
    if in_authority {
        return Err((
            "has a wildcard in the host, which other hosts match too",
            "put the wildcard after the host: `https://corp.example/*`",
        ));
    }
    Ok(())
}
