//! `except` in a class's line of `[data]`: for one tool, until a day, for a reason.

use std::sync::Arc;

use evidence::record::Surface;
use evidence::time::Zone;
use toml::de::DeValue;

use super::{Reader, Value, brief, nearest};
use crate::mission::data::ClassRule;
use crate::mission::except::{Except, Side};
use crate::mission::rule::{ToolPattern, Upstream, split_tool, tool_of};
use crate::mission::source::is_argument;

const KEYS: [&str; 5] = ["field", "in", "tool", "until", "why"];

const EXAMPLE: &str = "write `except = [{ tool = \"mcp:mail/send_email\", in = \"arguments\", until = 2026-12-31, why = \"the reason\" }]`";

impl<'s> Reader<'s> {
    /// The exceptions of a line that says `rule` of its class.
    pub(super) fn excepts(&mut self, value: &Value<'s>, zone: Option<&Zone>, rule: &ClassRule) -> Vec<Except> {
        if matches!(value.get_ref(), DeValue::Table(_)) {
            self.problem(value.span(), "exceptions stand in a list", EXAMPLE);
            return Vec::new();
        }
        let example = EXAMPLE.trim_start_matches("write `").trim_end_matches('`');
        let entries: Vec<&Value<'s>> = self.entries(value, example).collect();
        let mut excepts: Vec<Except> = Vec::new();
        for entry in entries {
            let Some(except) = self.except(entry, zone) else { continue };
            if except.is_idle(rule) {
                let why = match except.side {
                    Side::Arguments => "an exception from nothing: by its line the class may go there anyway",
                    Side::Result => "an exception from nothing: by its line the class stays in results anyway",
                };
                self.problem(entry.span(), why, "remove it");
            } else if excepts.iter().any(|known| known.is_within(&except) || except.is_within(known)) {
                let reason = "of two exceptions for one tool, one holds what the other does";
                self.problem(entry.span(), reason, "keep one");
            } else {
                excepts.push(except);
            }
        }
        excepts
    }

    fn except(&mut self, entry: &Value<'s>, zone: Option<&Zone>) -> Option<Except> {
        let table = self.table(entry, EXAMPLE)?;
        self.check_keys(table, &KEYS, &[]);
        for (key, mend) in [
            ("tool", "add `tool = \"mcp:SERVER/TOOL\"`: an exception is for one tool"),
            ("in", "add `in = \"arguments\"` or `in = \"result\"`"),
            ("until", "add `until = 2026-12-31`: an exception ends"),
            ("why", "add `why = \"…\"`: whoever reads the record must learn the reason"),
        ] {
            if !table.contains_key(key) {
                self.problem(entry.span(), format!("an exception without `{key}`"), mend);
            }
        }
        let tool = table.get("tool").and_then(|value| self.excepted_tool(value));
        let side = table.get("in").and_then(|value| self.side(value));
        let until = table.get("until").and_then(|value| Some((self.until(value, zone)?, value)));
        let why = table.get("why").and_then(|value| self.sentence(value));
        let field = match table.get("field") {
            None => None,
            Some(value) if side == Some(Side::Result) => {
                let reason = "a field of a result: only arguments are excepted one by one";
                self.problem(
                    value.span(),
                    reason,
                    "remove `field`, which excepts the whole result, or write `in = \"arguments\"`",
                );
                return None;
            }
            Some(value) => Some(self.field(value)?),
        };
        if side == Some(Side::Result) && tool.as_ref().is_some_and(|tool| tool.surface == Surface::Workflow) {
            let reason =
                "the result of a step, which its automation reports: nobody is given it, so nothing of it is changed";
            self.problem(entry.span(), reason, "remove the exception, or write `in = \"arguments\"`");
            return None;
        }
        let (until, until_value) = until?;
        let until_text = self.source.get(until_value.span()).unwrap_or_default().into();
        Some(Except { field, line: self.line(entry), side: side?, tool: tool?, until, until_text, why: why? })
    }

    pub(super) fn excepted_tool(&mut self, value: &Value<'s>) -> Option<ToolPattern> {
        const WRITE: &str = "write `tool = \"mcp:SERVER/TOOL\"`, one tool by its name";
        let text = self.text(value)?;
        let is_wide = text.contains('*') || (text.contains(':') && !text.contains('/'));
        if is_wide || split_tool(text).is_none() {
            let reason = match is_wide {
                true => format!("`{}` is not one tool", brief(text)),
                false => format!("`{}` is not a tool", brief(text)),
            };
            self.problem(value.span(), reason, WRITE);
            return None;
        }
        self.tool_pattern(value, text)
    }

    fn side(&mut self, value: &Value<'s>) -> Option<Side> {
        let text = self.text(value)?;
        let side = Side::ALL.into_iter().find(|side| side.name() == text);
        if side.is_none() {
            let mend = match nearest(text, Side::ALL.map(Side::name)) {
                Some(word) => format!("did you mean `{word}`?"),
                None => "write `in = \"arguments\"` or `in = \"result\"`".to_owned(),
            };
            self.problem(value.span(), format!("`{}` is nothing of a call", brief(text)), mend);
        }
        side
    }

    /// An argument, as rules and records name it: `to`, `/customer/email`.
    pub(super) fn field(&mut self, value: &Value<'s>) -> Option<Arc<str>> {
        let text = self.text(value)?;
        if !is_argument(text) {
            let reason = format!("`{}` is not an argument", brief(text));
            self.problem(
                value.span(),
                reason,
                "write `field = \"to\"`, or `field = \"/customer/email\"` for an argument in another",
            );
            return None;
        }
        Some(text.into())
    }

    /// That its tool is one that the mission allows.
    pub(super) fn check_except(&mut self, class: &str, except: &Except, upstream: Option<&Upstream>) {
        let ToolPattern { name, surface, upstream: server, .. } = &except.tool;
        let (reason, suggestion) = match upstream.filter(|known| known.surface == *surface) {
            None => (
                format!(
                    "class `{class}` has an exception for `{}`, and the mission allows nothing of `{server}`",
                    except.tool
                ),
                "remove the exception, or correct its tool".to_owned(),
            ),
            Some(known) if known.every_tool.is_some() || known.tools.contains_key(name) => return,
            Some(known) => (
                format!(
                    "class `{class}` has an exception for `{}`, which is no {} that the mission allows",
                    except.tool,
                    tool_of(*surface)
                ),
                nearest(name, known.tools.keys().map(AsRef::as_ref)).map_or_else(
                    || "remove the exception, or correct its tool".to_owned(),
                    |known| format!("did you mean `{known}`?"),
                ),
            ),
        };
        self.problem_at_line(except.line, reason, Some(suggestion));
    }
}
