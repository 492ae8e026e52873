//! `initiators` and `hours`: on whose behalf, and when.

use std::sync::Arc;

use toml::de::DeValue;

use super::{Reader, Value, brief, nearest};
use crate::limits::NAME_BYTES_MAX;
use crate::mission::hours::{DAY, DAYS, Hours};
use crate::mission::spelling::ambiguity;

const EXAMPLE: &str = "write `hours = [{ days = [\"mon\", \"tue\"], from = \"08:00\", to = \"18:00\" }]`";

impl<'s> Reader<'s> {
    /// Names, or what they end in after a `*`.
    pub(super) fn initiators(&mut self, value: &Value<'s>) -> Vec<Arc<str>> {
        let mut initiators: Vec<Arc<str>> = Vec::new();
        for entry in self.entries(value, "initiators = [\"ana@corp.example\", \"*@finance.corp.example\"]") {
            let Some(text) = self.text(entry) else { continue };
            let name = text.strip_prefix('*').unwrap_or(text);
            if name.is_empty() || name.contains('*') || name.len() > NAME_BYTES_MAX || ambiguity(name).is_some() {
                let reason = format!("`{}` is not the name of an initiator", brief(text));
                let suggestion =
                    "write a name as the gateway records it; a `*` may stand at its start, as in `*@corp.example`";
                self.problem(entry.span(), reason, suggestion);
            } else if initiators.iter().any(|known| **known == *text) {
                self.duplicate(entry, text);
            } else {
                initiators.push(text.into());
            }
        }
        initiators
    }

    pub(super) fn hours(&mut self, value: &Value<'s>) -> Vec<Hours> {
        let entries: Vec<_> = self.entries(value, "hours = [{ from = \"08:00\", to = \"18:00\" }]").collect();
        entries.into_iter().filter_map(|entry| self.some_hours(entry)).collect()
    }

    fn some_hours(&mut self, value: &Value<'s>) -> Option<Hours> {
        let table = self.table(value, EXAMPLE)?;
        self.check_keys(table, &["days", "from", "to"], &[]);
        let days = table.get("days").map_or([true; 7], |value| self.days(value));
        let (Some(from), Some(to)) = (table.get("from"), table.get("to")) else {
            self.problem(value.span(), "hours without `from` and `to`", EXAMPLE);
            return None;
        };
        let (from, to) = (self.clock(from), self.clock(to));
        let (from, to) = (from?, to?);
        if from >= to {
            let suggestion = "a night is two entries: until `24:00`, and from `00:00` on the day after";
            self.problem(value.span(), "hours that end before they begin", suggestion);
            return None;
        }
        Some(Hours { days, from, to })
    }

    fn days(&mut self, value: &Value<'s>) -> [bool; 7] {
        let mut days = [false; 7];
        for entry in self.entries(value, "days = [\"mon\", \"tue\"]") {
            let Some(text) = self.text(entry) else { continue };
            match days.iter_mut().zip(DAYS).find(|(_, name)| *name == text) {
                Some((day, _)) if *day => self.duplicate(entry, text),
                Some((day, _)) => *day = true,
                None => {
                    let meant = nearest(text, DAYS);
                    let suggestion = meant.map_or_else(
                        || format!("the days are {}", DAYS.join(", ")),
                        |day| format!("did you mean `{day}`?"),
                    );
                    self.problem(entry.span(), format!("`{}` is no day", brief(text)), suggestion);
                }
            }
        }
        days
    }

    /// `08:30`, or `24:00` for the end of the day; minutes.
    fn clock(&mut self, value: &Value<'s>) -> Option<u32> {
        let text = match value.get_ref() {
            DeValue::String(text) => text,
            _ => {
                self.wrong_kind(value, "a time of the day", "write it in quotes, such as `\"08:30\"`");
                return None;
            }
        };
        let two = |text: &str| {
            (text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit()))
                .then(|| text.parse::<u32>().ok())
                .flatten()
        };
        let minutes = text.split_once(':').and_then(|(hours, minutes)| {
            let (hours, minutes) = (two(hours)?, two(minutes)?);
            (minutes < 60).then_some(hours * 60 + minutes)
        });
        let minutes = minutes.filter(|minutes| *minutes <= DAY);
        if minutes.is_none() {
            self.problem(
                value.span(),
                format!("`{}` is no time of the day", brief(text)),
                "write `08:30`, in the mission's time zone",
            );
        }
        minutes
    }
}
