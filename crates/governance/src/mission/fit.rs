//! Rules against the definitions of the tools that they are about: arguments that a tool does not have, ones that it demands and no rule lists, and rules that no value of its
//! type can pass. Definitions are what a server says, so nothing is allowed for them and nothing denied: an owner reads it.

use std::collections::BTreeMap;

use evidence::record::Surface;
use serde_json::{Map, Value};

use super::error::{MissionError, Problem, nearest};
use super::rule::{ArgumentRule, Constraint, Scalar, ToolRules};
use super::source::{child_path, name_of};
use super::spelling::brief;
use super::{Mission, argument_path};

/// What `mission` says of tools that their definitions contradict; `None` where nothing is. `definitions` are of tools by server and name; a tool that is not among them is
/// not known, and nothing is said of it.
#[must_use]
pub fn misfits(mission: &Mission, definitions: &BTreeMap<(String, String), Value>) -> Option<MissionError> {
    let mut found = Vec::new();
    for (server, upstream) in mission.upstreams.iter().filter(|(_, upstream)| upstream.surface == Surface::Mcp) {
        for (tool, rules) in upstream.tools.iter().filter(|(_, rules)| !rules.arguments.is_empty()) {
            let Some(definition) = definitions.get(&(server.to_string(), tool.to_string())) else { continue };
            let schema = definition.get("inputSchema").and_then(Value::as_object);
            let mut fit = Fit { found: &mut found, rules, tool: format!("mcp:{server}/{tool}") };
            fit.object(schema, None, rules.line);
        }
    }
    (!found.is_empty()).then(|| MissionError::new(found))
}

struct Fit<'a> {
    found: &'a mut Vec<Problem>,
    rules: &'a ToolRules,
    tool: String,
}

impl Fit<'_> {
    /// The rules for the members of an object: of the arguments, or of the argument at `parent`.
    fn object(&mut self, schema: Option<&Map<String, Value>>, parent: Option<&str>, line: u32) {
        // A schema that is put together from others says something only as a whole.
        let Some(schema) = schema.filter(|schema| !COMBINING.iter().any(|word| schema.contains_key(*word))) else {
            return;
        };
        let Some(properties) = schema.get("properties").and_then(Value::as_object) else { return };
        let is_open = schema.contains_key("patternProperties")
            || schema.get("additionalProperties").is_some_and(|more| more.is_object() || *more == Value::Bool(true));
        let here = self.rules.arguments.iter().filter(|(_, rule)| rule.parent.as_deref() == parent);
        for (path, rule) in here {
            let name = name_of(path);
            match properties.get(&name) {
                Some(property) => self.argument(path, rule, property),
                None if is_open => {}
                None => {
                    let known = nearest(&name, properties.keys().map(String::as_str));
                    let reason = format!("`{}` has no argument `{}`", brief(&self.tool), brief(path));
                    let mend = known.map_or_else(
                        || "remove the rule, or compare with `countersign tools list`".to_owned(),
                        |word| format!("did you mean `{}`?", brief(word)),
                    );
                    self.problem(rule.line, reason, mend);
                }
            }
        }
        for name in schema.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str) {
            let path = parent.map_or_else(|| argument_path(name), |parent| child_path(parent, name));
            if properties.contains_key(name) && !self.rules.arguments.contains_key(&path) {
                let reason = format!(
                    "`{}` demands `{}`, and no rule lists it: every call is denied",
                    brief(&self.tool),
                    brief(&path)
                );
                self.problem(line, reason, "add a rule for it".to_owned());
            }
        }
    }

    fn argument(&mut self, path: &str, rule: &ArgumentRule, schema: &Value) {
        // A list is judged element by element.
        let element = schema.get("items").filter(|_| types(schema) == Some(vec!["array"])).unwrap_or(schema);
        if rule.constraint == Constraint::Fields {
            self.object(element.as_object(), Some(path), rule.line);
        }
        let Some(types) = types(element) else { return };
        let wanted = wanted(&rule.constraint);
        let is_text_list = matches!(rule.constraint, Constraint::Command(_)) && types.contains(&"array");
        if !wanted.is_empty() && !is_text_list && !types.iter().any(|kind| wanted.contains(kind)) {
            let reason = format!(
                "argument `{}` of `{}` is of type {}, and can never be {}",
                brief(path),
                brief(&self.tool),
                types.join(" or "),
                rule.constraint
            );
            self.problem(rule.line, reason, "write a rule for values of its type".to_owned());
        }
    }

    fn problem(&mut self, line: u32, reason: String, suggestion: String) {
        let line = usize::try_from(line).unwrap_or(usize::MAX);
        self.found.push(Problem { column: 1, line, reason, suggestion: Some(suggestion) });
    }
}

/// Words that put a schema together from others.
const COMBINING: [&str; 9] =
    ["$dynamicRef", "$ref", "allOf", "anyOf", "dependentSchemas", "if", "not", "oneOf", "unevaluatedProperties"];

/// The types that a schema allows, where it says so plainly.
fn types(schema: &Value) -> Option<Vec<&str>> {
    let schema = schema.as_object().filter(|schema| !COMBINING.iter().any(|word| schema.contains_key(*word)))?;
    match schema.get("type")? {
        Value::String(kind) => Some(vec![kind]),
        Value::Array(kinds) => kinds.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

/// The types whose values can pass a rule; none where any may.
fn wanted(constraint: &Constraint) -> Vec<&'static str> {
    match constraint {
        Constraint::Free | Constraint::From(_) => Vec::new(),
        Constraint::Command(_)
        | Constraint::Domain(_)
        | Constraint::Email(_)
        | Constraint::Length { .. }
        | Constraint::Path(_)
        | Constraint::Pattern(_)
        | Constraint::Sql(_)
        | Constraint::Time { .. }
        | Constraint::Url(_) => vec!["string"],
        Constraint::Fields => vec!["object"],
        Constraint::Identifier(_) => vec!["integer", "number", "string"],
        Constraint::In(values) => {
            let kinds = values.iter().flat_map(|value| match value {
                Scalar::Bool(_) => ["boolean", "boolean"],
                Scalar::Number(_) => ["integer", "number"],
                Scalar::Text(_) => ["string", "string"],
            });
            kinds.collect()
        }
        Constraint::Range { .. } => vec!["integer", "number"],
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::mission::parse;

    /// What is told of rules for one tool of this schema.
    fn told(rules: &str, schema: Value) -> String {
        let source = format!(
            "mission = 'm'\ngoal = 'g'\nowner = 'o'\nagents = ['bot']\nuntil = 2026-12-31\nwhy = 'w'\n[allow.mcp.s.t]\n{rules}"
        );
        let mission = parse(&source).unwrap_or_else(|error| panic!("{error}"));
        let definitions =
            BTreeMap::from([(("s".to_owned(), "t".to_owned()), json!({ "name": "t", "inputSchema": schema }))]);
        misfits(&mission, &definitions).map(|error| error.render("f")).unwrap_or_default()
    }

    #[test]
    fn rules_that_a_tool_contradicts_are_told() {
        let schema = json!({
            "type": "object",
            "properties": {
                "amount": { "type": "number" },
                "iban": { "type": ["string", "null"] },
                "lines": { "type": "array", "items": { "type": "object", "properties": { "sku": { "type": "string" } }, "required": ["sku"] } },
                "tags": { "type": "array", "items": { "type": "string" } },
                "any": {},
            },
            "required": ["amount"],
        });
        for (rules, expected) in [
            ("amount = { min = 1, max = 2 }", ""),
            ("amount = { min = 1, max = 2 }\niban = { length = 9 }\ntags = { in = ['a'] }\nany = { path = ['/'] }", ""),
            (
                "amuont = { min = 1, max = 2, optional = true }\namount = { free = true }",
                "f:8:1: `mcp:s/t` has no argument `amuont`; did you mean `amount`?\n",
            ),
            (
                "zzzzzzzzz = { free = true }\namount = { free = true }",
                "f:8:1: `mcp:s/t` has no argument `zzzzzzzzz`; remove the rule, or compare with `countersign tools list`\n",
            ),
            (
                "iban = { length = 9 }",
                "f:7:1: `mcp:s/t` demands `amount`, and no rule lists it: every call is denied; add a rule for it\n",
            ),
            (
                "amount = { length = 9 }",
                "f:8:1: argument `amount` of `mcp:s/t` is of type number, and can never be a text of at most 9 characters; write a rule for values of its type\n",
            ),
            (
                "amount = { in = ['1'] }",
                "f:8:1: argument `amount` of `mcp:s/t` is of type number, and can never be `1`; write a rule for values of its type\n",
            ),
            ("amount = { in = ['1', 1] }", ""),
            (
                "amount = { free = true }\niban = { min = 1, max = 2 }",
                "f:9:1: argument `iban` of `mcp:s/t` is of type string or null, and can never be a number from 1 to 2; write a rule for values of its type\n",
            ),
            ("amount = { free = true }\nlines = { fields = { sku = { length = 9 } } }", ""),
            (
                "amount = { free = true }\nlines = { fields = { skuu = { length = 9 } } }",
                "f:9:1: `mcp:s/t` has no argument `/lines/skuu`; did you mean `sku`?\nf:9:1: `mcp:s/t` demands `/lines/sku`, and no rule lists it: every call is denied; add a rule for it\n",
            ),
            (
                "amount = { free = true }\ntags = { fields = { a = { free = true } } }",
                "f:9:1: argument `tags` of `mcp:s/t` is of type string, and can never be an object of the listed fields; write a rule for values of its type\n",
            ),
        ] {
            assert_eq!(told(rules, schema.clone()), expected, "{rules}");
        }
    }

    #[test]
    fn what_a_schema_does_not_say_plainly_is_not_held_against_a_rule() {
        for schema in [
            json!(null),
            json!([]),
            json!({}),
            json!({ "properties": 7 }),
            json!({ "properties": {}, "additionalProperties": true }),
            json!({ "properties": {}, "additionalProperties": { "type": "string" } }),
            json!({ "properties": {}, "patternProperties": { ".*": {} } }),
            json!({ "properties": {}, "allOf": [] }),
            json!({ "$ref": "#/$defs/x", "properties": {} }),
            json!({ "properties": { "x": { "anyOf": [{ "type": "number" }] } } }),
            json!({ "properties": { "x": { "type": 7 } } }),
            json!({ "properties": { "x": true }, "required": ["y", 7, null] }),
            json!({ "properties": { "x": { "type": "array", "items": [{ "type": "number" }] } } }),
        ] {
            assert_eq!(told("x = { length = 9 }", schema.clone()), "", "{schema}");
        }
    }
}
