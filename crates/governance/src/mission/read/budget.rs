//! `[budget]`: what the mission as a whole may use in a run, an hour or a day.

use std::collections::BTreeMap;
use std::sync::Arc;

use toml::de::{DeTable, DeValue};

use super::{Reader, Value, brief, nearest};
use crate::mission::rule::{Addend, Constraint, Limit, Period, Spent, Upstream, server_of, split_tool};

const EXAMPLE: &str = "write `calls = { per_run = 200 }` or `bytes = { per_day = 50_000_000 }`";

const SUM: &str = "write `[budget.sums.payments]` with `of = [\"mcp:bank/send_money:amount\"]` and `per_day = 20_000`";

impl<'s> Reader<'s> {
    pub(super) fn budget(
        &mut self,
        value: &Value<'s>,
        upstreams: &BTreeMap<Arc<str>, Upstream>,
    ) -> BTreeMap<Spent, Vec<Limit>> {
        let mut budget = BTreeMap::new();
        let Some(table) = self.table(value, EXAMPLE) else { return budget };
        self.check_keys(table, &["bytes", "calls", "sums"], &[]);
        for spent in [Spent::Bytes, Spent::Calls] {
            let place = spent.place();
            let Some(value) = table.get(place.as_str()) else { continue };
            let Some(limits) = self.table(value, EXAMPLE) else { continue };
            self.check_keys(limits, &Period::ALL.map(Period::key), &[]);
            let read = self.limits(limits);
            if limits.is_empty() {
                self.problem(value.span(), format!("`{place}` limits nothing"), EXAMPLE);
            }
            budget.insert(spent, read);
        }
        let sums = table.get("sums").and_then(|value| self.table(value, SUM));
        for (key, value) in sums.into_iter().flatten() {
            let name = key.get_ref().as_ref();
            if !super::is_name(name) {
                self.bad_name(key.span(), name, "sum");
            }
            let Some(sum) = self.table(value, SUM) else { continue };
            self.check_keys(sum, &["of", "per_day", "per_hour", "per_run"], &[]);
            let limits = self.limits(sum);
            if limits.is_empty() {
                self.problem(value.span(), format!("sum `{}` limits nothing", brief(name)), SUM);
            }
            let of = self.addends(sum, value, &limits, upstreams);
            budget.insert(Spent::Sum { name: name.into(), of }, limits);
        }
        if table.is_empty() {
            self.problem(value.span(), "an empty budget", EXAMPLE);
        }
        budget
    }

    fn addends(
        &mut self,
        sum: &DeTable<'s>,
        value: &Value<'s>,
        limits: &[Limit],
        upstreams: &BTreeMap<Arc<str>, Upstream>,
    ) -> Vec<Addend> {
        let mut addends: Vec<Addend> = Vec::new();
        let Some(of) = sum.get("of") else {
            self.problem(value.span(), "a sum of nothing", SUM);
            return addends;
        };
        let one = std::slice::from_ref(of);
        let entries: Vec<&Value<'s>> = match of.get_ref() {
            DeValue::String(_) => one.iter().collect(),
            _ => self.entries(of, "of = [\"mcp:bank/send_money:amount\"]").collect(),
        };
        for entry in entries {
            let Some(text) = self.text(entry) else { continue };
            let Some((surface, upstream, (tool, argument))) = split_tool(text)
                .and_then(|(surface, upstream, rest)| Some((surface, upstream, rest.rsplit_once(':')?)))
            else {
                self.problem(entry.span(), format!("`{}` is no argument of a tool", brief(text)), SUM);
                continue;
            };
            let addend = Addend { argument: argument.into(), surface, tool: tool.into(), upstream: upstream.into() };
            if addends.contains(&addend) {
                self.duplicate(entry, text);
            } else if let Err((reason, mend)) = check(&addend, limits, upstreams) {
                self.problem(entry.span(), reason, mend);
            } else {
                addends.push(addend);
            }
        }
        addends.sort_unstable();
        addends
    }
}

/// That the mission has a rule that makes the argument a number, and that one call fits under each limit.
fn check(
    addend: &Addend,
    limits: &[Limit],
    upstreams: &BTreeMap<Arc<str>, Upstream>,
) -> Result<(), (String, Option<String>)> {
    let Addend { argument, surface, tool, upstream } = addend;
    let did = |known: Option<&str>| known.map(|word| format!("did you mean `{word}`?"));
    let Some(server) = upstreams.get(upstream).filter(|server| server.surface == *surface) else {
        let of_surface = upstreams.iter().filter(|(_, known)| known.surface == *surface);
        let known = nearest(upstream, of_surface.map(|(name, _)| name.as_ref()));
        let reason = format!("the mission allows nothing of {} `{}`", server_of(*surface), brief(upstream));
        return Err((reason, did(known)));
    };
    let Some(rules) = server.tools.get(tool) else {
        let known = nearest(tool, server.tools.keys().map(AsRef::as_ref));
        return Err((format!("the mission has no rules for `{}` of `{upstream}`", brief(tool)), did(known)));
    };
    match rules.arguments.get(argument).map(|rule| &rule.constraint) {
        Some(Constraint::Range { max, min }) => {
            let sizes = [max, min].map(|end| end.magnitude().ok());
            let is_beyond = |limit: &&Limit| sizes.iter().any(|size| size.is_none_or(|size| size > limit.most));
            match limits.iter().find(is_beyond) {
                None => Ok(()),
                Some(limit) => {
                    let period = limit.period.key();
                    let reason = format!("`{period}` {} is less than one call of `{tool}` may have", limit.most);
                    Err((reason, Some(format!("lower `max` of `{argument}`, or raise `{period}`"))))
                }
            }
        }
        Some(_) => Err((
            format!("`{}` of `{tool}` is no number with both ends", brief(argument)),
            Some("give it `min` and `max`".to_owned()),
        )),
        None => {
            let known = nearest(argument, rules.arguments.keys().map(AsRef::as_ref));
            Err((format!("the rules of `{tool}` list no argument `{}`", brief(argument)), did(known)))
        }
    }
}
