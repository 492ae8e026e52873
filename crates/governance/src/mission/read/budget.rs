//! `[budget]`: what the mission as a whole may use in a run, an hour or a day.

use std::collections::BTreeMap;

use super::{Reader, Value};
use crate::mission::rule::{Limit, Period, Spent};

const EXAMPLE: &str = "write `calls = { per_run = 200 }` or `bytes = { per_day = 50_000_000 }`";

impl<'s> Reader<'s> {
    pub(super) fn budget(&mut self, value: &Value<'s>) -> BTreeMap<Spent, Vec<Limit>> {
        let mut budget = BTreeMap::new();
        let Some(table) = self.table(value, EXAMPLE) else { return budget };
        self.check_keys(table, &Spent::ALL.map(Spent::key), &[]);
        for spent in Spent::ALL {
            let Some(value) = table.get(spent.key()) else { continue };
            let Some(limits) = self.table(value, EXAMPLE) else { continue };
            self.check_keys(limits, &Period::ALL.map(Period::key), &[]);
            let read = self.limits(limits);
            if limits.is_empty() {
                self.problem(value.span(), format!("`{}` limits nothing", spent.key()), EXAMPLE);
            }
            budget.insert(spent, read);
        }
        if table.is_empty() {
            self.problem(value.span(), "an empty budget", EXAMPLE);
        }
        budget
    }
}
