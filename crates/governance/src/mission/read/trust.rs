//! `[data]`: who writes what tools return, and what becomes of calls that act on what nobody named who may.

use std::collections::BTreeMap;
use std::sync::Arc;

use evidence::record::EffectClass;
use toml::de::DeValue;

use super::{Key, Reader, Value, brief, nearest};
use crate::mission::data::{DataRules, OriginRule, Otherwise, Returning, TrustLine};
use crate::mission::gate::DEFAULT;
use crate::mission::rule::{ToolPattern, Upstream, split_tool, tool_of};
use crate::mission::spelling::ambiguity;

const PLACE: &str = "write `\"mcp:erp\" = \"trusted\"`, `\"mcp:erp/get_invoice:notes\" = \"untrusted\"` or `\"mcp:mail/*:sender\" = \"trusted\"`";

const RULE: &str = "write `\"ask\"`, `\"deny\"`, `\"keep\"`, or `{ else = \"ask\", gate = \"payments\" }`";

/// What tools do of which an owner may demand more.
const NAMED: [EffectClass; 5] =
    [EffectClass::Admin, EffectClass::Destroy, EffectClass::Pay, EffectClass::Send, EffectClass::Write];

impl<'s> Reader<'s> {
    /// `"mcp:erp" = "trusted"`, `"mcp:mail/*:sender" = "trusted"`.
    pub(super) fn trust(&mut self, key: &Key<'s>, value: &Value<'s>, lines: &mut BTreeMap<Returning, TrustLine>) {
        let place = self.returning(key);
        let Some(text) = self.text(value) else { return };
        let is_trusted = match text {
            "trusted" => true,
            "untrusted" => false,
            _ => {
                let mend = match nearest(text, ["trusted", "untrusted"]) {
                    Some(word) => format!("did you mean `{word}`?"),
                    None => "write `\"trusted\"` or `\"untrusted\"`".to_owned(),
                };
                return self.problem(value.span(), format!("`{}` says nothing of trust", brief(text)), mend);
            }
        };
        let Some(place) = place else { return };
        let line = TrustLine { is_trusted, line: self.line(key) };
        if lines.insert(place, line).is_some() {
            let reason = format!("`{}` is said twice, in other words", brief(key.get_ref()));
            self.problem(key.span(), reason, "remove one");
        }
    }

    /// A server, a tool or several, and perhaps a field of what they return.
    fn returning(&mut self, key: &Key<'s>) -> Option<Returning> {
        let text = key.get_ref().as_ref();
        if ambiguity(text).is_some() {
            self.problem(key.span(), format!("`{}` holds a character that is not visible", brief(text)), PLACE);
            return None;
        }
        let (tools, field) = match text.split_once('/') {
            None => (format!("{text}/*"), None),
            Some((server, rest)) => match rest.rsplit_once(':') {
                None => (text.to_owned(), None),
                Some((name, field)) => (format!("{server}/{name}"), Some(field)),
            },
        };
        let field: Vec<Arc<str>> = field.map(|field| field.split('.').map(Arc::from).collect()).unwrap_or_default();
        let pattern = split_tool(&tools).and_then(|(surface, upstream, name)| {
            let (start, open) = name.strip_suffix('*').map_or((name, false), |start| (start, true));
            let is_whole = !upstream.is_empty() && !upstream.contains(':') && !start.contains('*');
            let is_named = is_whole && (open || !start.is_empty());
            is_named.then(|| ToolPattern { name: start.into(), open, surface, upstream: upstream.into() })
        });
        match pattern {
            Some(of) if field.iter().all(|name| !name.is_empty()) => Some(Returning { field, of }),
            _ => {
                self.problem(key.span(), format!("`{}` is nothing that a tool returns", brief(text)), PLACE);
                None
            }
        }
    }

    /// `untrusted-target = "ask"`, or `{ else = "ask", gate = "payments", named = ["pay", "destroy"], selected = ["send"] }`.
    pub(super) fn origin_rule(&mut self, key: &Key<'s>, value: &Value<'s>) -> Option<OriginRule> {
        let line = self.line(key);
        let table = match value.get_ref() {
            DeValue::String(text) => {
                let otherwise = match text.as_ref() {
                    "ask" => Otherwise::Ask(DEFAULT.into()),
                    "deny" => Otherwise::Deny,
                    "keep" => Otherwise::Keep,
                    text => {
                        let reason = format!("`{}` does not say what becomes of a call", brief(text));
                        self.problem(value.span(), reason, RULE);
                        return None;
                    }
                };
                return Some(OriginRule { line, named: Vec::new(), otherwise, selected: Vec::new() });
            }
            DeValue::Table(table) => table,
            _ => {
                self.wrong_kind(value, "a text or a table", RULE);
                return None;
            }
        };
        let is_target = key.get_ref() == "untrusted-target";
        self.check_keys(table, if is_target { &["else", "gate", "named", "selected"] } else { &["else", "gate"] }, &[]);
        if !table.contains_key("else") {
            self.problem(value.span(), "does not say what becomes of a call", RULE);
            return None;
        }
        let otherwise = self.otherwise(table, Otherwise::Deny)?;
        let effects = |key: &str| table.get(key).filter(|_| is_target);
        let named = effects("named").map(|value| self.effects_named(value)).unwrap_or_default();
        let selected = effects("selected").map(|value| self.effects_named(value)).unwrap_or_default();
        if otherwise == Otherwise::Keep && !(named.is_empty() && selected.is_empty()) {
            let reason = "says who must name it, and lets everything be";
            self.problem(
                value.span(),
                reason,
                "write `else = \"ask\"` or `\"deny\"`, or remove `named` and `selected`",
            );
        }
        if let Some(both) = selected.iter().find(|effect| named.contains(effect)) {
            let reason = format!("`{both}` is in `named`, which demands more, and in `selected`");
            self.problem(value.span(), reason, "remove it from one of them");
        }
        Some(OriginRule { line, named, otherwise, selected })
    }

    fn effects_named(&mut self, value: &Value<'s>) -> Vec<EffectClass> {
        let mut named = Vec::new();
        for entry in self.entries(value, "named = [\"pay\", \"destroy\"]") {
            let Some(text) = self.text(entry) else { continue };
            match NAMED.into_iter().find(|class| class.as_str() == text) {
                Some(class) if named.contains(&class) => self.duplicate(entry, text),
                Some(class) => named.push(class),
                None => {
                    let mend = match text {
                        "read" => "remove it: what a tool only reads is no target".to_owned(),
                        "unconfirmed" => "remove it: what nobody has said is treated as the worst".to_owned(),
                        _ => match nearest(text, NAMED.map(EffectClass::as_str)) {
                            Some(word) => format!("did you mean `{word}`?"),
                            None => format!("the classes are {}", NAMED.map(EffectClass::as_str).join(", ")),
                        },
                    };
                    self.problem(entry.span(), format!("`{}` is no effect class to name", brief(text)), mend);
                }
            }
        }
        named.sort_unstable();
        named
    }

    /// That lines about what is returned are about something: one for a tool which the mission does not allow protects, or trusts, nothing.
    pub(super) fn check_trust(&mut self, data: &DataRules, upstreams: &BTreeMap<Arc<str>, Upstream>) {
        for (Returning { field: _, of }, TrustLine { line, .. }) in &data.trust {
            let Some(upstream) = upstreams.get(&of.upstream).filter(|known| known.surface == of.surface) else {
                let known = nearest(&of.upstream, upstreams.keys().map(AsRef::as_ref));
                let reason = format!("`{of}` is of `{}`, of which the mission allows nothing", of.upstream);
                let mend = known.map(|known| format!("did you mean `{known}`?"));
                self.problem_at_line(*line, reason, mend.or_else(|| Some("remove it".to_owned())));
                continue;
            };
            let is_allowed = upstream.every_tool.is_some()
                || (of.open && of.name.is_empty())
                || upstream.tools.keys().any(|name| of.covers(of.surface, &of.upstream, name));
            if !is_allowed {
                let known = nearest(&of.name, upstream.tools.keys().map(AsRef::as_ref));
                let reason = format!("`{of}` is no {} that the mission allows", tool_of(of.surface));
                let mend = known.map(|known| format!("did you mean `{known}`?"));
                self.problem_at_line(*line, reason, mend.or_else(|| Some("remove it".to_owned())));
            }
        }
    }
}
