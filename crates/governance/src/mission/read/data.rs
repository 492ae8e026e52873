//! `[data]`: classes of data.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use evidence::time::Zone;
use toml::de::{DeTable, DeValue};

use super::{Key, Reader, Value, brief, nearest};
use crate::mission::data::{CLASSES, ClassRule, DataRules, ORG, OnResult, Otherwise, Touches, Treatment, class_of};
use crate::mission::gate::{DEFAULT, Gate};
use crate::mission::kinds::{KINDS, is_own};
use crate::mission::rule::{ToolPattern, Upstream, split_tool};

/// Keys that are no class.
const KEYS: [&str; 3] = ["touches", "untrusted-payload", "untrusted-target"];

/// Members of a class.
const RULE: [&str; 6] = ["else", "except", "gate", "result", "run", "to"];

const EXAMPLE: &str = "write `pii = { to = [\"mcp:mail\"], else = \"deny\" }` or `secret = { result = \"redact\" }`";

impl<'s> Reader<'s> {
    pub(super) fn data(&mut self, value: &Value<'s>, zone: Option<&Zone>) -> DataRules {
        let mut rules = DataRules::default();
        let Some(table) = self.table(value, EXAMPLE) else { return rules };
        if table.is_empty() {
            self.problem(value.span(), "says nothing of data", EXAMPLE);
        }
        for (key, value) in table {
            self.rules += 1;
            match key.get_ref().as_ref() {
                "touches" => {
                    let classes = self.classes(value);
                    rules.touches = Some(Touches { classes, line: self.line(key) });
                }
                "untrusted-payload" => rules.untrusted_payload = self.origin_rule(key, value),
                "untrusted-target" => rules.untrusted_target = self.origin_rule(key, value),
                name if name.contains(':') => self.trust(key, value, &mut rules.trust),
                name if self.is_class(key.span(), name, &KEYS) => {
                    if let Some(rule) = self.class_rule(key, value, zone) {
                        rules.classes.insert(name.into(), rule);
                    }
                }
                _ => {}
            }
        }
        rules
    }

    fn classes(&mut self, value: &Value<'s>) -> Vec<Arc<str>> {
        let mut classes: Vec<Arc<str>> = Vec::new();
        for entry in self.entries(value, "touches = [\"financial\", \"pii\"]") {
            let Some(text) = self.text(entry) else { continue };
            if classes.iter().any(|known| **known == *text) {
                self.duplicate(entry, text);
            } else if self.is_class(entry.span(), text, &KEYS) {
                classes.push(text.into());
            }
        }
        classes.sort_unstable();
        classes
    }

    /// Whether it is a class, or a kind that the detector knows or an organisation may have; `others` may stand in its place.
    pub(super) fn is_class(&mut self, at: Range<usize>, name: &str, others: &[&'static str]) -> bool {
        if CLASSES.contains(&name) || KINDS.binary_search(&name).is_ok() {
            return true;
        }
        let (problem, suggestion) = match class_of(name) {
            Some(ORG) if is_own(name) => return true,
            Some(ORG) => (
                "no name for a class of an organisation's own",
                "write `org.NAME` with lower-case letters, digits and `_`".to_owned(),
            ),
            Some(class) if CLASSES.contains(&class) => {
                let known = KINDS.into_iter().filter(|kind| class_of(kind) == Some(class));
                ("no kind of data", nearest(name, known).map_or_else(|| format!("name the class, `{class}`"), meant))
            }
            _ => (
                "no class of data",
                nearest(name, CLASSES.into_iter().chain(others.iter().copied()))
                    .map_or_else(|| format!("the classes are {}", CLASSES.join(", ")), meant),
            ),
        };
        self.problem(at, format!("`{}` is {problem}", brief(name)), suggestion);
        false
    }

    fn class_rule(&mut self, key: &Key<'s>, value: &Value<'s>, zone: Option<&Zone>) -> Option<ClassRule> {
        let table = self.table(value, EXAMPLE)?;
        for (kind, _) in table {
            let name = format!("{}.{}", key.get_ref(), kind.get_ref());
            if KINDS.binary_search(&name.as_str()).is_ok()
                || (key.get_ref() == ORG && !RULE.contains(&kind.get_ref().as_ref()))
            {
                self.problem(
                    kind.span(),
                    "a kind stands in quotes with its class",
                    format!("write `\"{name}\" = {{ … }}`"),
                );
                return None;
            }
        }
        self.check_keys(table, &RULE, &[]);
        let to = table.get("to").map(|value| self.cleared(value)).unwrap_or_default();
        let unsaid = if to.is_empty() { Otherwise::Keep } else { Otherwise::Deny };
        let otherwise = self.becomes(table, "else", unsaid);
        let run = self.becomes(table, "run", Otherwise::Keep);
        let is_asked = |said: &Option<Otherwise>| !matches!(said, Some(Otherwise::Deny | Otherwise::Keep));
        if let Some(gate) = table.get("gate").filter(|_| !is_asked(&otherwise) && !is_asked(&run)) {
            self.problem(gate.span(), "a gate where nobody is asked", "write `else = \"ask\"`, or remove it");
        }
        if let Some(value) = table.get("to").filter(|_| table.contains_key("else"))
            && otherwise == Some(Otherwise::Keep)
            && run == Some(Otherwise::Keep)
        {
            let mend = "remove `to`, or write `else = \"deny\"`";
            self.problem(value.span(), "it may go anywhere, and somewhere in particular", mend);
        }
        let result = table.get("result").map_or(Some(OnResult::Treat(Treatment::Keep)), |value| self.on_result(value));
        if table.is_empty() {
            self.problem(value.span(), "says nothing of the class", EXAMPLE);
        }
        if let (Some(OnResult::Treat(Treatment::Token)), Some(value), true) =
            (result, table.get("result"), to.is_empty())
        {
            let suggestion = "write `to = [\"mcp:SERVER\"]`, or `result = \"hash\"`";
            self.problem(value.span(), "tokens that turn back nowhere", suggestion);
        }
        let (excepts, line) = (Vec::new(), self.line(key));
        let mut rule = ClassRule { excepts, line, otherwise: otherwise?, result: result?, run: run?, to };
        if let Some(value) = table.get("except") {
            rule.excepts = self.excepts(value, zone, &rule);
        }
        Some(rule)
    }

    /// Servers and tools: `mcp:mail`, `mcp:mail/send_email`, `mcp:mail/send_*`.
    fn cleared(&mut self, value: &Value<'s>) -> Vec<ToolPattern> {
        let one = std::slice::from_ref(value);
        let entries: Vec<&Value<'s>> = match value.get_ref() {
            DeValue::String(_) => one.iter().collect(),
            _ => self.entries(value, "to = [\"mcp:mail\"]").collect(),
        };
        let mut cleared: Vec<ToolPattern> = Vec::new();
        for entry in entries {
            let Some(text) = self.text(entry) else { continue };
            let whole = if text.contains('/') { text.to_owned() } else { format!("{text}/*") };
            if split_tool(&whole).is_none() && !text.contains('/') {
                let reason = format!("`{}` is no server or tool", brief(text));
                self.problem(entry.span(), reason, "write `mcp:SERVER` or `mcp:SERVER/TOOL`");
                continue;
            }
            match self.tool_pattern(entry, &whole) {
                Some(pattern) if cleared.contains(&pattern) => self.duplicate(entry, text),
                pattern => cleared.extend(pattern),
            }
        }
        cleared
    }

    pub(super) fn otherwise(&mut self, table: &DeTable<'s>, unsaid: Otherwise) -> Option<Otherwise> {
        let said = self.becomes(table, "else", unsaid);
        if let (Some(value), Some(Otherwise::Deny | Otherwise::Keep)) = (table.get("gate"), &said) {
            self.problem(value.span(), "a gate where nobody is asked", "write `else = \"ask\"`, or remove it");
        }
        said
    }

    /// What becomes of a call by the member `key`.
    fn becomes(&mut self, table: &DeTable<'s>, key: &str, unsaid: Otherwise) -> Option<Otherwise> {
        let Some(value) = table.get(key) else { return Some(unsaid) };
        match self.text(value)? {
            "deny" => Some(Otherwise::Deny),
            "keep" => Some(Otherwise::Keep),
            "ask" => {
                let gate = table.get("gate").and_then(|gate| self.text(gate));
                Some(Otherwise::Ask(gate.unwrap_or(DEFAULT).into()))
            }
            text => {
                let reason = format!("`{}` does not say what becomes of a call", brief(text));
                self.problem(value.span(), reason, format!("write `{key} = \"deny\"`, `\"ask\"` or `\"keep\"`"));
                None
            }
        }
    }

    fn on_result(&mut self, value: &Value<'s>) -> Option<OnResult> {
        let text = self.text(value)?;
        if text == "block" {
            return Some(OnResult::Block);
        }
        let treatment = Treatment::ALL.into_iter().find(|treatment| treatment.name() == text);
        if treatment.is_none() {
            let known = Treatment::ALL.map(Treatment::name);
            let suggestion = match nearest(text, known.into_iter().chain(["block"])) {
                Some(word) => format!("did you mean `{word}`?"),
                None => format!("write block, {}", known.join(", ")),
            };
            self.problem(value.span(), format!("`{}` is nothing to do with a result", brief(text)), suggestion);
        }
        treatment.map(OnResult::Treat)
    }

    /// That what is named is there: a class that may go to a server which the mission does not have is a slip.
    pub(super) fn check_data(
        &mut self,
        data: &DataRules,
        gates: &BTreeMap<Arc<str>, Gate>,
        upstreams: &BTreeMap<Arc<str>, Upstream>,
    ) {
        let classes = data.classes.iter().flat_map(|(class, rule)| {
            [&rule.otherwise, &rule.run].map(|otherwise| (format!("class `{class}`"), otherwise, rule.line))
        });
        let rules =
            [("untrusted-payload", &data.untrusted_payload), ("untrusted-target", &data.untrusted_target)].into_iter();
        let rules = rules.filter_map(|(key, rule)| Some((format!("`{key}`"), rule.as_ref()?)));
        let rules = rules.map(|(what, rule)| (what, &rule.otherwise, rule.line));
        for (what, otherwise, line) in classes.chain(rules) {
            if let Otherwise::Ask(gate) = otherwise
                && !gates.contains_key(gate)
            {
                let known = nearest(gate, gates.keys().map(AsRef::as_ref));
                let suggestion =
                    known.map_or_else(|| format!("add `[gate.{gate}]`"), |known| format!("did you mean `{known}`?"));
                let reason = format!("{what} asks the gate `{}`, and the mission has none of that name", brief(gate));
                self.problem_at_line(line, reason, Some(suggestion));
            }
        }
        self.check_trust(data, upstreams);
        for (class, except) in data.excepts() {
            self.check_except(class, except, upstreams.get(&except.tool.upstream));
        }
        for (class, rule) in &data.classes {
            for pattern in &rule.to {
                let is_there = upstreams.get(&pattern.upstream).is_some_and(|known| known.surface == pattern.surface);
                if !is_there {
                    let known = nearest(&pattern.upstream, upstreams.keys().map(AsRef::as_ref));
                    let suggestion = known.map_or_else(
                        || {
                            format!(
                                "allow something of it in `[allow.{}.{}]`, or remove it",
                                pattern.surface, pattern.upstream
                            )
                        },
                        |known| format!("did you mean `{known}`?"),
                    );
                    let reason = format!(
                        "class `{class}` may go to `{}`, of which the mission allows nothing",
                        pattern.upstream
                    );
                    self.problem_at_line(rule.line, reason, Some(suggestion));
                }
            }
        }
    }
}

fn meant(word: &str) -> String {
    format!("did you mean `{word}`?")
}
