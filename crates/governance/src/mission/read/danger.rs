//! `[danger.NAME]`: which calls need approval.

use std::collections::BTreeMap;
use std::sync::Arc;

use evidence::decimal::Number;
use evidence::record::Surface;
use toml::de::DeValue;

use super::{Key, Later, Reader, Value, brief, is_name, nearest};
use crate::mission::rule::{
    Constraint, Danger, Limit, Period, ToolPattern, ToolRules, Upstream, server_of, split_tool,
};

const KEYS: [&str; 3] = ["gate", "over", "when"];

const KEYS_LATER: &Later = &[
    ("effect", "name the tools with `when`"),
    ("for", "say whose approval the zone needs in `[gate.NAME]`, and name it: `gate = \"NAME\"`"),
    ("who", "say whose approval the zone needs in `[gate.NAME]`, and name it: `gate = \"NAME\"`"),
];

/// The largest size of each argument, with its line.
type Sizes = BTreeMap<Arc<str>, (Number, u32)>;

const WHEN_EXAMPLE: &str = "write `when = \"mcp:server/tool\"` or `when = \"workflow:engine/action\"`";

impl<'s> Reader<'s> {
    pub(super) fn dangers(&mut self, value: &Value<'s>) -> BTreeMap<Arc<str>, Danger> {
        let mut dangers = BTreeMap::new();
        for (key, value) in self.table(value, "write `[danger.NAME]`").into_iter().flatten() {
            self.rules += 1;
            let name = key.get_ref().as_ref();
            if !is_name(name) {
                self.bad_name(key.span(), name, "danger zone");
            }
            if let Some(danger) = self.danger(key, value) {
                dangers.insert(name.into(), danger);
            }
        }
        dangers
    }

    pub(super) fn danger(&mut self, key: &Key<'s>, value: &Value<'s>) -> Option<Danger> {
        let table = self.table(value, "write `[danger.NAME]`")?;
        self.check_keys(table, &KEYS, KEYS_LATER);
        let (over, sums) = table.get("over").map(|value| self.over(value)).unwrap_or_default();
        let Some(when) = table.get("when") else {
            self.problem(key.span(), "a danger zone without `when`", WHEN_EXAMPLE);
            return None;
        };
        let mut patterns = Vec::new();
        if let DeValue::String(text) = when.get_ref() {
            patterns.extend(self.tool_pattern(when, text));
        } else {
            for entry in self.entries(when, "when = [\"mcp:server/tool\"]") {
                let pattern = self.text(entry).and_then(|text| self.tool_pattern(entry, text));
                match pattern {
                    Some(pattern) if patterns.contains(&pattern) => self.duplicate(entry, &pattern.to_string()),
                    pattern => patterns.extend(pattern),
                }
            }
        }
        let gate = table.get("gate").and_then(|value| self.text(value)).map(Arc::from);
        (!patterns.is_empty()).then_some(Danger { gate, line: self.line(key), over, sums, when: patterns })
    }

    pub(super) fn tool_pattern(&mut self, value: &Value<'s>, text: &str) -> Option<ToolPattern> {
        let Some((surface, upstream, name)) = split_tool(text) else {
            let reason = match text.split_once(':') {
                Some((surface @ ("browser" | "http"), _)) => {
                    format!("this version does not have the surface `{surface}`")
                }
                _ => format!("`{}` is not a tool", brief(text)),
            };
            self.problem(value.span(), reason, WHEN_EXAMPLE);
            return None;
        };
        if let Some(kind) = ["prompt", "request", "resource"]
            .into_iter()
            .filter(|_| surface == Surface::Mcp)
            .find(|kind| name.strip_prefix(kind).is_some_and(|rest| rest.starts_with(':')))
        {
            self.problem(value.span(), format!("danger zones are of tools, not of a {kind}"), WHEN_EXAMPLE);
            return None;
        }
        let (start, open) = name.strip_suffix('*').map_or((name, false), |start| (start, true));
        if upstream.is_empty() || start.contains('*') || (start.is_empty() && !open) {
            let reason = format!("`{}` is not a tool", brief(text));
            self.problem(
                value.span(),
                reason,
                "write `mcp:server/tool` or `workflow:engine/action`; a `*` may stand at the end of the name",
            );
            return None;
        }
        Some(ToolPattern { name: start.into(), open, surface, upstream: upstream.into() })
    }

    /// `over = { amount = 1000, per_day = 3000 }`: one call's size, and the size of all calls together.
    fn over(&mut self, value: &Value<'s>) -> (Sizes, Vec<Limit>) {
        let mut over = BTreeMap::new();
        let Some(table) = self.table(value, "write `over = { amount = 1000 }`") else { return (over, Vec::new()) };
        let sums = self.limits(table);
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            if Period::ALL.iter().any(|period| period.key() == name) {
                continue;
            }
            self.rules += 1;
            self.check_argument_name(key);
            let Some(number) = self.number(value) else { continue };
            if number < Number::ZERO {
                self.problem(
                    value.span(),
                    format!("`over` compares sizes, and {number} is below 0"),
                    "write the size without a sign",
                );
            } else {
                over.insert(name.into(), (number, self.line(key)));
            }
        }
        if table.is_empty() || (over.is_empty() && !sums.is_empty()) {
            self.problem(value.span(), "`over` names no argument", "write `over = { amount = 1000 }`, or leave it out");
        }
        if over.len() > 1 && !sums.is_empty() {
            self.problem(
                value.span(),
                "`over` names several arguments, and the sum of one",
                "make a danger zone for each argument",
            );
        }
        (over, sums)
    }

    /// A danger zone that matches nothing guards nothing, and one that cannot see its argument guards everything: both are slips.
    pub(super) fn check_dangers(
        &mut self,
        dangers: &BTreeMap<Arc<str>, Danger>,
        upstreams: &BTreeMap<Arc<str>, Upstream>,
    ) {
        for (name, danger) in dangers {
            let mut is_reached = !danger.sums.is_empty() || danger.over.is_empty();
            for pattern in &danger.when {
                let upstream = upstreams.get(&pattern.upstream).filter(|upstream| upstream.surface == pattern.surface);
                let Some(upstream) = upstream else {
                    let reason = format!(
                        "danger zone `{name}` names `{pattern}`, and the mission allows nothing of {} `{}`",
                        server_of(pattern.surface),
                        pattern.upstream
                    );
                    let of_surface = upstreams.iter().filter(|(_, upstream)| upstream.surface == pattern.surface);
                    let known = nearest(&pattern.upstream, of_surface.map(|(name, _)| name.as_ref()));
                    self.problem_at_line(danger.line, reason, known.map(|word| format!("did you mean `{word}`?")));
                    continue;
                };
                let covered: Vec<_> = upstream
                    .tools
                    .iter()
                    .filter(|(tool, _)| pattern.covers(pattern.surface, &pattern.upstream, tool))
                    .collect();
                if covered.is_empty() && upstream.every_tool.is_none() {
                    let reason = format!("danger zone `{name}` names `{pattern}`, which the mission does not allow");
                    let known = nearest(&pattern.name, upstream.tools.keys().map(AsRef::as_ref));
                    self.problem_at_line(danger.line, reason, known.map(|word| format!("did you mean `{word}`?")));
                }
                is_reached |= upstream.every_tool.is_some() || covered.is_empty();
                for (tool, rules) in covered {
                    is_reached |= danger.over.iter().any(|(argument, (size, _))| may_exceed(rules, argument, *size));
                    for (argument, (_, line)) in &danger.over {
                        self.check_over(tool, rules, argument, *line);
                    }
                }
            }
            if !is_reached {
                let reason = format!("no call is in danger zone `{name}`: no rule lets an argument be over its size");
                self.problem_at_line(danger.line, reason, Some("lower the size, or remove the zone".to_owned()));
            }
        }
    }

    fn check_over(&mut self, tool: &str, rules: &ToolRules, argument: &str, line: u32) {
        let reason = match rules.arguments.get(argument).map(|rule| &rule.constraint) {
            Some(Constraint::Free | Constraint::In(_) | Constraint::Range { .. }) => return,
            Some(
                Constraint::Command(_)
                | Constraint::Domain(_)
                | Constraint::Email(_)
                | Constraint::Fields
                | Constraint::From(_)
                | Constraint::Identifier(_)
                | Constraint::Length { .. }
                | Constraint::Path(_)
                | Constraint::Pattern(_)
                | Constraint::Sql(_)
                | Constraint::Time { .. }
                | Constraint::Url(_),
            ) => {
                format!("`{argument}` of `{tool}` is not a number")
            }
            None if rules.arguments.is_empty() => return,
            None => format!("the rules of `{tool}` list no argument `{argument}`"),
        };
        let known = nearest(argument, rules.arguments.keys().map(AsRef::as_ref)).filter(|word| *word != argument);
        self.problem_at_line(line, reason, known.map(|word| format!("did you mean `{word}`?")));
    }

    pub(super) fn problem_at_line(&mut self, line: u32, reason: String, suggestion: Option<String>) {
        let start =
            usize::try_from(line).ok().and_then(|line| self.line_starts.get(line - 1)).copied().unwrap_or_default();
        self.problem(start..start, reason, suggestion);
    }
}

/// Whether some call that `rules` allow has an argument over `size`, with whatever sign, or one whose size is not known.
fn may_exceed(rules: &ToolRules, argument: &str, size: Number) -> bool {
    match rules.arguments.get(argument).map(|rule| &rule.constraint) {
        Some(Constraint::Range { max, min }) => {
            [max, min].into_iter().any(|end| end.magnitude().unwrap_or(Number::MAX) > size)
        }
        _ => true,
    }
}
