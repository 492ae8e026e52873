//! `organisation.toml`: the same words as in missions, for what every mission is held to.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::Arc;

use evidence::record::VersionedKind;
use toml::de::{DeTable, DeValue};

use super::{Later, Reader, Value, ambiguity, brief, is_name, tree};
use crate::limits::{EXCEPT_DAYS_MAX, MISSION_BYTES_MAX, MISSION_RULES_MAX, NAME_BYTES_MAX};
use crate::mission::PinPolicy;
use crate::mission::capture::CaptureRules;
use crate::mission::error::MissionError;
use crate::mission::organisation::{AtMost, ChangeGates, Invariant, Organisation, Reads};
use crate::mission::rule::{ToolPattern, ToolRules};

const KEYS: [&str; 9] = ["capture", "changes", "forbid", "group", "invariant", "organisation", "pins", "reads", "why"];

const KEYS_LATER: &Later = &[
    ("data", "remove the section"),
    ("retention", "remove the section: nothing is deleted"),
    ("roles", "remove the section"),
];

/// What a gate of changes says: a change is used once, and nobody is held.
const GATE_KEYS: [&str; 8] = ["all_of", "any_of", "assurance", "grant", "group", "need", "respond_by", "stages"];

const CHANGES: &str = "write `[changes]` with `group = \"risk\"`, and `[changes.people]` where these need another gate";

/// The kinds of changes that can have gates of their own, as the file writes them.
const GATED: [(&str, VersionedKind); 6] = [
    ("classes", VersionedKind::Classes),
    ("keys", VersionedKind::Key),
    ("missions", VersionedKind::Mission),
    ("organisation", VersionedKind::Organisation),
    ("people", VersionedKind::People),
    ("pins", VersionedKind::Pin),
];

const INVARIANT: &str = "write `never = [\"mcp:shell/*\"]`, `ask = { when = \"mcp:bank/send_*\" }`, `days_max = 365`, or `[invariant.NAME.at_most.mcp.SERVER.TOOL]` with rules for arguments";

/// Reads the text of an organisation file.
///
/// # Errors
/// [`MissionError`] holds every problem, in the order of the file.
pub fn parse_organisation(source: &str) -> Result<Organisation, MissionError> {
    let mut reader = Reader::new(source);
    if source.len() > MISSION_BYTES_MAX {
        reader.problem(0..0, format!("the file is larger than {MISSION_BYTES_MAX} bytes"), "say it shorter");
        return Err(MissionError::new(reader.problems));
    }
    let organisation = tree(source, &mut reader).and_then(|table| reader.organisation(table.get_ref()));
    match organisation {
        Some(organisation) if reader.problems.is_empty() => Ok(organisation),
        _ => Err(MissionError::new(reader.problems)),
    }
}

impl<'s> Reader<'s> {
    fn organisation(&mut self, table: &DeTable<'s>) -> Option<Organisation> {
        self.check_keys(table, &KEYS, KEYS_LATER);
        let name = self
            .required(table, "organisation", "organisation = \"corp.example\"")
            .and_then(|value| self.sentence(value));
        let why =
            self.required(table, "why", "why = \"the reason for this version\"").and_then(|value| self.sentence(value));
        let pins = table.get("pins").map_or(Some(PinPolicy::FirstSight), |value| self.pins(value));
        let reads = table.get("reads").map_or(Some(Reads::Unrecorded), |value| self.reads(value));
        let capture = table.get("capture").map(|value| self.capture(value));
        let change_gates = table.get("changes").and_then(|value| self.change_gates(value));
        let forbids = table.get("forbid").map(|value| self.policy_files(value)).unwrap_or_default();
        let groups = table.get("group").map(|value| self.groups(value)).unwrap_or_default();
        let invariants = table.get("invariant").map(|value| self.invariants(value)).unwrap_or_default();
        if let Some((line, _)) = self.sources.first().cloned() {
            let reason = "`from` is about what a run was returned, which no mission can be held to here".to_owned();
            self.problem_at_line(line, reason, Some("bound the argument by its values".to_owned()));
        }
        if self.rules > MISSION_RULES_MAX {
            self.problem(0..0, format!("the file has more than {MISSION_RULES_MAX} rules"), "say it shorter");
        }
        Some(Organisation {
            capture: capture.unwrap_or_else(CaptureRules::nothing),
            change_gates,
            forbids,
            groups,
            invariants,
            name: name?,
            pins: pins?,
            reads: reads?,
            source: self.source.into(),
            why: why?,
        })
    }

    fn reads(&mut self, value: &Value<'s>) -> Option<Reads> {
        match self.text(value)? {
            "recorded" => Some(Reads::Recorded),
            "unrecorded" => Some(Reads::Unrecorded),
            other => {
                let reason = format!("`{}` does not say whether looks at the evidence are recorded", brief(other));
                self.problem(value.span(), reason, "write `reads = \"recorded\"` or `reads = \"unrecorded\"`");
                None
            }
        }
    }

    /// `[changes]` and `[changes.KIND]`.
    fn change_gates(&mut self, value: &Value<'s>) -> Option<ChangeGates> {
        let table = self.table(value, CHANGES)?;
        let kinds = GATED.map(|(key, _)| key);
        self.check_keys(table, &[&GATE_KEYS[..], &kinds[..]].concat(), &[]);
        let every = self.gate_in(table, value, "changes", self.line(value));
        let mut gates = BTreeMap::new();
        for (key, kind) in GATED {
            let Some(value) = table.get(key) else { continue };
            let Some(table) = self.table(value, CHANGES) else { continue };
            self.check_keys(table, &GATE_KEYS, &[]);
            if let Some(gate) = self.gate_in(table, value, &format!("changes-{key}"), self.line(value)) {
                gates.insert(kind, gate);
            }
        }
        Some(ChangeGates { every: every?, of: gates })
    }

    /// Paths below the file's own folder.
    fn policy_files(&mut self, value: &Value<'s>) -> Vec<(Arc<str>, u32)> {
        let mut files: Vec<(Arc<str>, u32)> = Vec::new();
        for entry in self.entries(value, "forbid = [\"policies/weekend.cedar\"]") {
            let Some(path) = self.text(entry) else { continue };
            let is_plain = path.ends_with(".cedar")
                && ambiguity(path).is_none()
                && path.len() <= NAME_BYTES_MAX
                && path.split('/').all(|part| !part.is_empty() && !part.starts_with('.') && !part.contains('\\'));
            if !is_plain {
                let reason = format!("`{}` is no file of policies below this one's folder", brief(path));
                self.problem(entry.span(), reason, "write its path from here, ending in `.cedar`, without `..`");
            } else if files.iter().any(|(known, _)| **known == *path) {
                self.duplicate(entry, path);
            } else {
                files.push((path.into(), self.line(entry)));
            }
        }
        files
    }

    fn groups(&mut self, value: &Value<'s>) -> BTreeMap<Arc<str>, Vec<Arc<str>>> {
        const EXAMPLE: &str = "write `[group.NAME]` with `members = [\"ap-bot\"]`";
        let mut groups = BTreeMap::new();
        for (key, value) in self.table(value, EXAMPLE).into_iter().flatten() {
            let name = key.get_ref().as_ref();
            if !is_name(name) {
                self.bad_name(key.span(), name, "group");
            }
            let Some(group) = self.table(value, EXAMPLE) else { continue };
            self.check_keys(group, &["members"], &[]);
            match group.get("members") {
                Some(members) => drop(groups.insert(name.into(), self.members(members))),
                None => self.problem(value.span(), "a group without `members`", EXAMPLE),
            }
        }
        groups
    }

    /// Agents, or initiators as missions name them.
    fn members(&mut self, value: &Value<'s>) -> Vec<Arc<str>> {
        let mut members: Vec<Arc<str>> = Vec::new();
        for entry in self.entries(value, "members = [\"ap-bot\", \"ana@corp.example\"]") {
            let Some(text) = self.plain_text(entry) else { continue };
            if text.is_empty() || text.len() > NAME_BYTES_MAX || text.contains('*') || text.starts_with("group:") {
                let reason = format!("`{}` is not the name of an agent or initiator", brief(text));
                self.problem(entry.span(), reason, "name each member as missions and records do");
            } else if members.iter().any(|known| **known == *text) {
                self.duplicate(entry, text);
            } else {
                members.push(text.into());
            }
        }
        members
    }

    fn invariants(&mut self, value: &Value<'s>) -> BTreeMap<Arc<str>, Invariant> {
        let mut invariants = BTreeMap::new();
        for (key, value) in self.table(value, "write `[invariant.NAME]`").into_iter().flatten() {
            self.rules += 1;
            let name = key.get_ref().as_ref();
            if !is_name(name) {
                self.bad_name(key.span(), name, "invariant");
            }
            let Some(table) = self.table(value, INVARIANT) else { continue };
            self.check_keys(table, &["ask", "at_most", "days_max", "except_days_max", "never"], &[]);
            if table.is_empty() {
                self.problem(key.span(), format!("invariant `{}` demands nothing", brief(name)), INVARIANT);
            }
            let invariant = Invariant {
                ask: table.get_key_value("ask").and_then(|(key, value)| self.danger(key, value)),
                at_most: table.get("at_most").map(|value| self.at_most(value)).unwrap_or_default(),
                days_max: table.get("days_max").and_then(|value| self.count_of_days(value, "days_max", 1..=36_500)),
                except_days_max: table
                    .get("except_days_max")
                    .and_then(|value| self.count_of_days(value, "except_days_max", 0..=EXCEPT_DAYS_MAX)),
                line: self.line(key),
                never: table.get("never").map(|value| self.tool_patterns(value)).unwrap_or_default(),
            };
            invariants.insert(name.into(), invariant);
        }
        invariants
    }

    fn count_of_days(&mut self, value: &Value<'s>, key: &str, most: RangeInclusive<u32>) -> Option<u32> {
        let days = match value.get_ref() {
            DeValue::Integer(integer) => u32::from_str_radix(integer.as_str(), integer.radix()).ok(),
            _ => None,
        };
        let days = days.filter(|days| most.contains(days));
        if days.is_none() {
            let mend = format!("write `{key} = 30`; it may be from {} to {}", most.start(), most.end());
            self.problem(value.span(), "no number of days", mend);
        }
        days
    }

    fn tool_patterns(&mut self, value: &Value<'s>) -> Vec<ToolPattern> {
        let mut patterns = Vec::new();
        for entry in self.entries(value, "never = [\"mcp:shell/*\"]") {
            let pattern = self.text(entry).and_then(|text| self.tool_pattern(entry, text));
            match pattern {
                Some(pattern) if patterns.contains(&pattern) => self.duplicate(entry, &pattern.to_string()),
                pattern => patterns.extend(pattern),
            }
        }
        patterns
    }

    /// `[invariant.NAME.at_most.mcp.SERVER.TOOL]`.
    fn at_most(&mut self, value: &Value<'s>) -> AtMost {
        let mut servers = BTreeMap::new();
        let Some(surfaces) = self.table(value, INVARIANT) else { return servers };
        let named = self.servers(surfaces, "invariant.NAME.at_most");
        for (surface, server, tools) in named {
            let mut rules = BTreeMap::new();
            for (tool, value) in self.table(tools, INVARIANT).into_iter().flatten() {
                let Some(table) = self.table(value, INVARIANT) else { continue };
                if table.is_empty() {
                    self.problem(tool.span(), format!("`{}` is bounded by nothing", brief(tool.get_ref())), INVARIANT);
                }
                let bounds = ToolRules { arguments: self.arguments(table), line: self.line(tool) };
                rules.insert(tool.get_ref().as_ref().into(), bounds);
            }
            servers.insert((surface, server.get_ref().as_ref().into()), rules);
        }
        servers
    }
}
