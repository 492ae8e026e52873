//! Rules about values that have a form of their own: `command`, `email`, `from`, `identifier`, `sql`, and `min` and `max` of dates.

use std::sync::Arc;

use evidence::record::Surface;
use evidence::time::Timestamp;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Key, Reader, Value, brief, nearest};
use crate::limits::FACET_BYTES_MAX;
use crate::mission::command::CommandPattern;
use crate::mission::email::EmailPattern;
use crate::mission::identifier::identifier;
use crate::mission::moment::moments;
use crate::mission::rule::Constraint;
use crate::mission::source::Source;
use crate::mission::sql::all_kinds;

impl<'s> Reader<'s> {
    pub(super) fn commands(&mut self, value: &Value<'s>) -> Option<Constraint> {
        let commands = self.listed(value, "command = [\"git status\", \"git log --oneline **\"]", |text| {
            CommandPattern::parse(text).map_err(|why| {
                let mend = "write program and words with one space between; `*` is one word that is no option, `**` at the end any more of them";
                (format!("is not a command: {why}"), mend.to_owned())
            })
        });
        commands.map(Constraint::Command)
    }

    pub(super) fn emails(&mut self, value: &Value<'s>) -> Option<Constraint> {
        let emails = self.listed(value, "email = [\"*@corp.example\"]", |text| {
            EmailPattern::parse(text).map_err(|why| {
                let mend = "write `ann@corp.example`, `*@corp.example` for everybody there, or `*@*.corp.example` for its subdomains";
                (format!("is not an address: {why}"), mend.to_owned())
            })
        });
        emails.map(Constraint::Email)
    }

    pub(super) fn identifiers(&mut self, value: &Value<'s>) -> Option<Constraint> {
        let names = self.listed(value, "identifier = [\"DE89 3704 0044 0532 0130 00\"]", |text| {
            identifier(text).map(Arc::<str>::from).map_err(|why| {
                (
                    format!("is not an identifier: {why}"),
                    "write letters and digits; other values stand under `in`".to_owned(),
                )
            })
        });
        names.map(Constraint::Identifier)
    }

    pub(super) fn statements(&mut self, value: &Value<'s>) -> Option<Constraint> {
        let all = all_kinds();
        let kinds = self.listed(value, "sql = [\"select\"]", |text| {
            let known = all.iter().find(|kind| **kind == text).map(|kind| Arc::<str>::from(*kind));
            known.ok_or_else(|| {
                let mend = match nearest(&text.to_lowercase(), all.iter().copied()) {
                    Some(word) => format!("did you mean `{word}`?"),
                    None => format!("the kinds are {}", all.join(", ")),
                };
                ("is no kind of statement".to_owned(), mend)
            })
        });
        kinds.map(|mut kinds| {
            kinds.sort_unstable();
            Constraint::Sql(kinds)
        })
    }

    /// The entries of a list of texts, each read by `read`, which says what is wrong and how to mend it.
    fn listed<T: PartialEq>(
        &mut self,
        value: &Value<'s>,
        example: &str,
        read: impl Fn(&str) -> Result<T, (String, String)>,
    ) -> Option<Vec<T>> {
        let mut listed: Vec<T> = Vec::new();
        for entry in self.entries(value, example) {
            let Some(text) = self.text(entry) else { continue };
            if text.len() > FACET_BYTES_MAX {
                let reason = format!("a text longer than {FACET_BYTES_MAX} bytes");
                self.problem(entry.span(), reason, "list shorter ones");
                continue;
            }
            match read(text) {
                Ok(read) if listed.contains(&read) => self.duplicate(entry, text),
                Ok(read) => listed.push(read),
                Err((why, mend)) => self.problem(entry.span(), format!("`{}` {why}", brief(text)), mend),
            }
        }
        (!listed.is_empty()).then_some(listed)
    }

    /// `from = "erp.list_vendors:iban"`. That the mission allows the tool is checked once all of it is read.
    pub(super) fn source(&mut self, value: &Value<'s>) -> Option<Constraint> {
        let text = self.text(value)?;
        let source = Source::parse(text).map_err(|why| {
            let mend = "write server, tool and field, such as `from = \"erp.list_vendors:iban\"`";
            self.problem(value.span(), format!("`{}` names no field of a result: {why}", brief(text)), mend);
        });
        let source = source.ok()?;
        self.sources.push((self.line(value), source.clone()));
        Some(Constraint::From(source))
    }

    /// `min = 2026-01-01, max = 2026-12-31`.
    pub(super) fn time_range(&mut self, key: &Key<'s>, table: &DeTable<'s>) -> Option<Constraint> {
        let (Some(min), Some(max)) = (table.get("min"), table.get("max")) else { return None };
        let (first, last) = (self.moment(min)?, self.moment(max)?);
        if first.0 > last.1 {
            self.problem(key.span(), "`min` is after `max`", "exchange them");
            return None;
        }
        Some(Constraint::Time { max: last.1, min: first.0 })
    }

    fn moment(&mut self, value: &Value<'s>) -> Option<(Timestamp, Timestamp)> {
        let DeValue::Datetime(moment) = value.get_ref() else {
            self.wrong_kind(value, "a date", "give both ends as dates, or both as numbers");
            return None;
        };
        let read = moments(&moment.to_string());
        read.map_err(|why| self.problem(value.span(), why, "write a date, or a time such as `2026-12-31T18:00:00Z`"))
            .ok()
    }

    /// That every source is a tool that the mission allows: another could never have been called.
    pub(super) fn check_sources(
        &mut self,
        upstreams: &std::collections::BTreeMap<Arc<str>, crate::mission::rule::Upstream>,
    ) {
        for (line, source) in std::mem::take(&mut self.sources) {
            let (reason, known) = match upstreams.get(&source.upstream) {
                Some(engine) if engine.surface == Surface::Workflow => {
                    (format!("`from` names `{source}`, and the steps of an engine return nothing that is kept"), None)
                }
                None => {
                    let known = nearest(&source.upstream, upstreams.keys().map(AsRef::as_ref));
                    (
                        format!(
                            "`from` names `{source}`, and the mission allows nothing of `{}`",
                            brief(&source.upstream)
                        ),
                        known,
                    )
                }
                Some(upstream) if upstream.every_tool.is_some() || upstream.tools.contains_key(&source.tool) => {
                    continue;
                }
                Some(upstream) => {
                    let known = nearest(&source.tool, upstream.tools.keys().map(AsRef::as_ref));
                    (
                        format!("`from` names `{source}`, and the mission does not allow `{}`", brief(&source.tool)),
                        known,
                    )
                }
            };
            let mend = known.map(|word| format!("did you mean `{word}`?"));
            self.problem_at_line(line, reason, mend);
        }
    }
}

/// Whether both ends that are given are dates.
pub(super) fn are_dates(ends: &[Option<&Spanned<DeValue<'_>>>]) -> bool {
    ends.iter().flatten().any(|end| matches!(end.get_ref(), DeValue::Datetime(_)))
}
