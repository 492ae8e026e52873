//! The file of a standing grant: which calls of one tool need no answer of their own.

use std::collections::BTreeMap;
use std::sync::Arc;

use evidence::decimal::Number;
use evidence::leaf::sha256_hex;
use evidence::record::{Endpoint, Tool};
use evidence::time::Zone;
use toml::de::{DeTable, DeValue};

use super::{Reader, Value, brief, is_name, nearest, tree};
use crate::limits::{ENDORSED_BYTES_MAX, MISSION_BYTES_MAX, STANDING_USES_MAX};
use crate::mission::data::DataRules;
use crate::mission::error::MissionError;
use crate::mission::rule::{Constraint, ToolRules, Upstream};
use crate::mission::{Endorsement, Mission, Mode, PinPolicy, Standing};

const KEYS: [&str; 11] =
    ["agents", "allow", "gates", "grant", "initiators", "mission", "timezone", "total", "until", "uses", "why"];

const ENDORSE_KEYS: [&str; 8] = ["endorse", "mission", "salt", "timezone", "tool", "until", "value", "why"];

const ALLOW: &str = "add `[allow.mcp.SERVER.TOOL]` with a rule for each argument";

/// Reads the text of a standing grant.
///
/// # Errors
/// [`MissionError`] holds every problem, in the order of the file.
pub fn parse_standing(source: &str) -> Result<Standing, MissionError> {
    let mut reader = Reader::new(source);
    if source.len() > MISSION_BYTES_MAX {
        reader.problem(0..0, format!("the file is larger than {MISSION_BYTES_MAX} bytes"), "ask for less");
        return Err(MissionError::new(reader.problems));
    }
    let standing = tree(source, &mut reader).and_then(|table| reader.standing(table.get_ref()));
    match standing {
        Some(standing) if reader.problems.is_empty() => Ok(standing),
        _ => Err(MissionError::new(reader.problems)),
    }
}

impl<'s> Reader<'s> {
    fn standing(&mut self, table: &DeTable<'s>) -> Option<Standing> {
        if table.contains_key("endorse") {
            return self.endorsement(table);
        }
        self.check_keys(table, &KEYS, &[]);
        let name = self.required(table, "grant", "grant = \"rent\"").and_then(|value| self.name(value, "grant"));
        let mission =
            self.required(table, "mission", "mission = \"the-mission\"").and_then(|value| self.name(value, "mission"));
        let why = self
            .required(table, "why", "why = \"why its calls need no answer of their own\"")
            .and_then(|value| self.sentence(value));
        let agents = self
            .required(table, "agents", "agents = [\"my-agent\"]")
            .map(|value| (self.agents(value), self.line(value)));
        let gates = self.required(table, "gates", "gates = [\"payments\"]").map(|value| self.gate_names(value));
        let uses = self.required(table, "uses", "uses = 12").and_then(|value| self.count(value, STANDING_USES_MAX));
        let zone = table.get("timezone").map_or_else(|| Some(Zone::utc()), |value| self.zone(value));
        let until = self
            .required(table, "until", "until = 2026-12-31")
            .and_then(|value| Some((self.until(value, zone.as_ref())?, value)));
        let (initiators, initiators_line) =
            table.get("initiators").map(|value| (self.initiators(value), self.line(value))).unwrap_or_default();
        let before = self.problems.len();
        let upstreams = self.required(table, "allow", "[allow.mcp.SERVER.TOOL]").map(|value| self.allow(value))?;
        let allow = table.get("allow")?;
        let is_sound = self.problems.len() == before;
        let one = if is_sound { self.one_tool(allow, &upstreams) } else { None };
        let totals = table.get("total").map(|value| self.totals(value, one.as_ref().map(|(_, rules)| *rules)));
        let (tool, _) = one?;
        let (agents, agents_line) = agents?;
        let (until, until_value) = until?;
        let rules = Mission {
            agents,
            agents_line,
            budget: BTreeMap::new(),
            dangers: BTreeMap::new(),
            data: DataRules::default(),
            gates: BTreeMap::new(),
            goal: why.clone()?,
            hours: Vec::new(),
            hours_line: 0,
            initiators,
            initiators_line,
            last_moment: until,
            mode: Mode::Enforce,
            name: mission?,
            owner: name.clone()?,
            pins: PinPolicy::FirstSight,
            sha256: sha256_hex(self.source.as_bytes()).into(),
            source: self.source.into(),
            until,
            until_line: self.line(until_value),
            until_text: self.source.get(until_value.span()).unwrap_or_default().into(),
            upstreams,
            why: why?,
            zone: zone?,
        };
        Some(Standing {
            endorses: None,
            gates: gates?,
            name: name?,
            rules: rules.into(),
            tool,
            totals: totals.unwrap_or_default(),
            uses: uses?,
        })
    }

    /// One value of one argument of one tool. The salt is there so that the text's digest, which is on record, tells nobody the value.
    fn endorsement(&mut self, table: &DeTable<'s>) -> Option<Standing> {
        self.check_keys(table, &ENDORSE_KEYS, &[]);
        let argument = self.required(table, "endorse", "endorse = \"recipient\"").and_then(|value| self.field(value));
        let mission =
            self.required(table, "mission", "mission = \"the-mission\"").and_then(|value| self.name(value, "mission"));
        let tool = self.required(table, "tool", "tool = \"mcp:bank/send_money\"");
        let tool = tool.and_then(|value| self.excepted_tool(value));
        let value = self.required(table, "value", "value = \"DE89370400440532013000\"");
        let value = value.and_then(|value| self.endorsed(value));
        let salt = self.required(table, "salt", "salt = \"32 hexadecimal digits\"").and_then(|salt| self.salt(salt));
        let why = self.required(table, "why", "why = \"why it is good\"").and_then(|value| self.sentence(value));
        let zone = table.get("timezone").map_or_else(|| Some(Zone::utc()), |value| self.zone(value));
        let until = self
            .required(table, "until", "until = 2026-12-31")
            .and_then(|value| Some((self.until(value, zone.as_ref())?, value)));
        let (until, until_value) = until?;
        salt?;
        let tool = tool?;
        let rules = Mission {
            agents: Vec::new(),
            agents_line: 0,
            budget: BTreeMap::new(),
            dangers: BTreeMap::new(),
            data: DataRules::default(),
            gates: BTreeMap::new(),
            goal: why.clone()?,
            hours: Vec::new(),
            hours_line: 0,
            initiators: Vec::new(),
            initiators_line: 0,
            last_moment: until,
            mode: Mode::Enforce,
            name: mission?,
            owner: "endorsement".into(),
            pins: PinPolicy::FirstSight,
            sha256: sha256_hex(self.source.as_bytes()).into(),
            source: self.source.into(),
            until,
            until_line: self.line(until_value),
            until_text: self.source.get(until_value.span()).unwrap_or_default().into(),
            upstreams: BTreeMap::new(),
            why: why?,
            zone: zone?,
        };
        Some(Standing {
            endorses: Some(Endorsement { argument: argument?, value: value? }),
            gates: Vec::new(),
            name: "endorsement".into(),
            rules: rules.into(),
            tool: Tool { endpoint: Endpoint::Tool, name: tool.name, surface: tool.surface, upstream: tool.upstream },
            totals: BTreeMap::new(),
            uses: 1,
        })
    }

    /// A value that a person can read.
    fn endorsed(&mut self, value: &Value<'s>) -> Option<Arc<str>> {
        let text = self.text(value)?;
        if !Endorsement::takes(text) {
            let reason =
                format!("no value of one line, of at most {ENDORSED_BYTES_MAX} bytes, with nothing hidden in it");
            self.problem(value.span(), reason, "write the value as the call has it");
            return None;
        }
        Some(text.into())
    }

    fn salt(&mut self, value: &Value<'s>) -> Option<()> {
        let text = self.text(value)?;
        if text.len() != 32 || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            self.problem(value.span(), "no salt", "write 32 random hexadecimal digits");
            return None;
        }
        Some(())
    }

    fn gate_names(&mut self, value: &Value<'s>) -> Vec<Arc<str>> {
        let mut gates: Vec<Arc<str>> = Vec::new();
        for entry in self.entries(value, "gates = [\"payments\"]") {
            let Some(name) = self.text(entry) else { continue };
            if !is_name(name) {
                self.bad_name(entry.span(), name, "gate");
            } else if gates.iter().any(|known| **known == *name) {
                self.duplicate(entry, name);
            } else {
                gates.push(name.into());
            }
        }
        gates.sort_unstable();
        gates
    }

    /// The one tool that the grant is about, with a condition on what it is called with.
    fn one_tool<'u>(
        &mut self,
        allow: &Value<'s>,
        upstreams: &'u BTreeMap<Arc<str>, Upstream>,
    ) -> Option<(Tool, &'u ToolRules)> {
        let mut tools = upstreams.iter().flat_map(|(server, upstream)| {
            upstream.tools.iter().map(move |(name, rules)| {
                let tool = Tool {
                    endpoint: Endpoint::Tool,
                    name: name.clone(),
                    surface: upstream.surface,
                    upstream: server.clone(),
                };
                (tool, rules)
            })
        });
        let (first, second) = (tools.next(), tools.next());
        let is_more = |upstream: &Upstream| {
            upstream.every_tool.is_some()
                || !(upstream.features.is_empty()
                    && upstream.prompts.is_empty()
                    && upstream.requests.is_empty()
                    && upstream.resources.is_empty())
        };
        let (Some((tool, rules)), None, false) = (first, second, upstreams.values().any(is_more)) else {
            self.problem(allow.span(), "a standing grant is about one tool", ALLOW);
            return None;
        };
        if rules.arguments.is_empty() {
            self.problem(allow.span(), format!("`{}` is granted with any arguments", tool.name), ALLOW);
        }
        for (argument, rule) in &rules.arguments {
            if let Some(limit) = rule.limits.first() {
                let reason = format!("`{argument}` has a sum by period, which a standing grant does not have");
                self.problem_at_line(
                    limit.line,
                    reason,
                    Some("write `[total]` with the sum of all its uses".to_owned()),
                );
            }
            if matches!(rule.constraint, Constraint::From(_)) {
                let reason = format!("`{argument}` is of an earlier result, which a standing grant does not see");
                self.problem_at_line(rule.line, reason, Some("name the values, or a range".to_owned()));
            }
        }
        Some((tool, rules))
    }

    /// `[total]`: what all uses may come to.
    fn totals(&mut self, value: &Value<'s>, rules: Option<&ToolRules>) -> BTreeMap<Arc<str>, Number> {
        const EXAMPLE: &str = "write `total = { amount = 5_000 }`";
        let mut totals = BTreeMap::new();
        let Some(table) = self.table(value, EXAMPLE) else { return totals };
        if table.is_empty() {
            self.problem(value.span(), "sums of nothing", EXAMPLE);
        }
        for (key, value) in table {
            let argument = key.get_ref().as_ref();
            let most = match value.get_ref() {
                DeValue::Integer(_) | DeValue::Float(_) => {
                    let text = self.source.get(value.span()).unwrap_or_default().replace('_', "");
                    Number::parse(&text).ok().filter(|most| *most > Number::ZERO)
                }
                _ => None,
            };
            let Some(most) = most else {
                self.problem(value.span(), "no sum above zero", EXAMPLE);
                continue;
            };
            let Some(rules) = rules else { continue };
            match rules.arguments.get(argument).map(|rule| &rule.constraint) {
                Some(Constraint::Range { min, .. }) if *min >= Number::ZERO => {
                    totals.insert(argument.into(), most);
                }
                Some(Constraint::Range { .. }) => {
                    let reason = format!("`{}` can be below zero, and would give back what was used", brief(argument));
                    self.problem(key.span(), reason, "raise its `min` to 0");
                }
                Some(_) => {
                    let reason = format!("`{}` is no number with both ends", brief(argument));
                    self.problem(key.span(), reason, "give it `min` and `max`");
                }
                None => {
                    let known = nearest(argument, rules.arguments.keys().map(AsRef::as_ref));
                    let reason = format!("the grant has no rule for `{}`", brief(argument));
                    self.problem(key.span(), reason, known.map(|known| format!("did you mean `{known}`?")));
                }
            }
        }
        totals
    }
}
