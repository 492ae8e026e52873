//! `[gate.NAME]`: whose approval a danger zone needs.

use std::collections::BTreeMap;
use std::sync::Arc;

use evidence::record::approval::{
    Alternative, Assurance, BreakGlass, Escalation, Gate as Terms, Quorum, Stage, StandingLimit,
};
use toml::de::{DeTable, DeValue};

use super::{Key, Reader, Value, brief, is_name, nearest};
use crate::limits::{
    GATE_ALTERNATIVES_MAX, GATE_NEED_MAX, GATE_SECONDS_MAX, GATE_STAGES_MAX, GATE_USES_MAX, HOLD_SECONDS_MAX,
    STANDING_SECONDS_MAX, STANDING_USES_MAX,
};
use crate::mission::data::DataRules;
use crate::mission::gate::{DEFAULT, Gate};
use crate::mission::rule::Danger;

const KEYS: [&str; 14] = [
    "all_of",
    "any_of",
    "assurance",
    "break_glass",
    "escalate",
    "grant",
    "group",
    "hold",
    "need",
    "remind",
    "respond_by",
    "stages",
    "standing",
    "uses",
];

const EXAMPLE: &str = "write `all_of = [{ group = \"finance-leads\", need = 2 }, { group = \"treasury\" }]`";

const RESPOND_S: u64 = 4 * 3_600;
const GRANT_S: u64 = 30 * 60;
const GLASS_S: u64 = 10 * 60;
const REVIEW_S: u64 = 72 * 3_600;

/// Quorums that are needed together, in one of several ways.
type Ways = Vec<BTreeMap<Arc<str>, u32>>;

impl<'s> Reader<'s> {
    pub(super) fn gates(&mut self, value: &Value<'s>) -> BTreeMap<Arc<str>, Gate> {
        let mut gates = BTreeMap::new();
        for (key, value) in self.table(value, "write `[gate.NAME]`").into_iter().flatten() {
            self.rules += 1;
            let name = key.get_ref().as_ref();
            if !is_name(name) {
                self.bad_name(key.span(), name, "gate");
            }
            if let Some(gate) = self.gate(key, value) {
                gates.insert(name.into(), gate);
            }
        }
        gates
    }

    fn gate(&mut self, key: &Key<'s>, value: &Value<'s>) -> Option<Gate> {
        let table = self.table(value, "write `[gate.NAME]`")?;
        self.check_keys(table, &KEYS, &[]);
        self.gate_in(table, value, key.get_ref().as_ref(), self.line(key))
    }

    /// The gate that the keys of `table` make.
    pub(super) fn gate_in(&mut self, table: &DeTable<'s>, value: &Value<'s>, name: &str, line: u32) -> Option<Gate> {
        let stages = match table.get("stages") {
            Some(stages) => {
                if let Some(also) =
                    ["all_of", "any_of", "group", "need"].iter().find(|also| table.get(**also).is_some())
                {
                    let reason = format!("a gate with `stages` and `{also}`");
                    self.problem(stages.span(), reason, "each stage says itself whom it asks; leave the other out");
                }
                let entries: Vec<_> = self.entries(stages, "stages = [{ group = \"leads\" }]").collect();
                if entries.len() > GATE_STAGES_MAX {
                    let reason = format!("a gate of more than {GATE_STAGES_MAX} stages");
                    self.problem(stages.span(), reason, "ask fewer people, one after the other");
                }
                entries.into_iter().filter_map(|entry| self.stage(entry)).collect()
            }
            None => vec![self.whom(table, value)?],
        };
        let assurance = match table.get("assurance") {
            None => Assurance::DeviceKey,
            Some(value) => self.assurance(value)?,
        };
        let mut seconds = |key: &str, default| match table.get(key) {
            None => Some(default),
            Some(value) => self.lasting(value, GATE_SECONDS_MAX),
        };
        let (respond_s, grant_s) = (seconds("respond_by", RESPOND_S), seconds("grant", GRANT_S));
        let hold_s = match table.get("hold") {
            None => HOLD_SECONDS_MAX,
            Some(value) => self.lasting(value, HOLD_SECONDS_MAX)?,
        };
        let uses = match table.get("uses") {
            None => 1,
            Some(value) => self.count(value, GATE_USES_MAX)?,
        };
        let (grant_s, respond_s) = (grant_s?, respond_s?);
        let remind_s = match table.get("remind") {
            None => None,
            Some(value) => Some(self.within(value, respond_s, "a reminder")?),
        };
        let escalate = match table.get("escalate") {
            None => None,
            Some(value) => Some(self.escalation(value, respond_s)?),
        };
        let break_glass = match table.get("break_glass") {
            None => None,
            Some(value) => Some(self.break_glass(value)?),
        };
        let standing = match table.get("standing") {
            None => None,
            Some(value) => Some(self.standing_limit(value)?),
        };
        let name = name.into();
        let terms =
            Terms { assurance, break_glass, escalate, grant_s, name, remind_s, respond_s, stages, standing, uses };
        Some(Gate { hold_s, line, terms })
    }

    /// Who may answer as well, once nobody has for a while.
    fn escalation(&mut self, value: &Value<'s>, respond_s: u64) -> Option<Escalation> {
        const EXAMPLE: &str = "write `escalate = { after = \"1h\", group = \"directors\" }`";
        let table = self.table(value, EXAMPLE)?;
        self.check_keys(table, &["after", "group"], &[]);
        let (Some(after), Some(group)) = (table.get("after"), table.get("group")) else {
            self.problem(value.span(), "an escalation that does not say when, or to whom", EXAMPLE);
            return None;
        };
        let group = self.group(group)?;
        let after_s = self.within(after, respond_s, "an escalation")?;
        Some(Escalation { after_s, group })
    }

    /// Who may let a call through in an emergency.
    fn break_glass(&mut self, value: &Value<'s>) -> Option<BreakGlass> {
        const EXAMPLE: &str = "write `break_glass = { group = \"oncall\" }`";
        let table = self.table(value, EXAMPLE)?;
        self.check_keys(table, &["grant", "group", "need", "review_within"], &[]);
        let Some(group) = table.get("group") else {
            self.problem(value.span(), "a glass that nobody may break", EXAMPLE);
            return None;
        };
        let group = self.group(group)?;
        let need = match table.get("need") {
            None => 1,
            Some(value) => self.count(value, GATE_NEED_MAX)?,
        };
        let mut seconds = |key: &str, default| match table.get(key) {
            None => Some(default),
            Some(value) => self.lasting(value, GATE_SECONDS_MAX),
        };
        let (grant_s, review_s) = (seconds("grant", GLASS_S)?, seconds("review_within", REVIEW_S)?);
        Some(BreakGlass { grant_s, group, need, review_s })
    }

    /// How much a standing grant may cover.
    fn standing_limit(&mut self, value: &Value<'s>) -> Option<StandingLimit> {
        const EXAMPLE: &str = "write `standing = { for = \"30d\", uses = 100 }`";
        let table = self.table(value, EXAMPLE)?;
        self.check_keys(table, &["for", "uses"], &[]);
        let (Some(lasts), Some(uses)) = (table.get("for"), table.get("uses")) else {
            self.problem(value.span(), "standing grants that do not say how long, or for how many calls", EXAMPLE);
            return None;
        };
        let for_s = self.lasting(lasts, STANDING_SECONDS_MAX)?;
        Some(StandingLimit { for_s, uses: self.count(uses, STANDING_USES_MAX)? })
    }

    /// A time that comes before the time to answer is over.
    fn within(&mut self, value: &Value<'s>, respond_s: u64, what: &str) -> Option<u64> {
        let seconds = self.lasting(value, GATE_SECONDS_MAX)?;
        if seconds < respond_s {
            return Some(seconds);
        }
        let respond_by = crate::mission::gate::lasting(respond_s);
        let reason = format!("{what} that never comes: the time to answer is over after {respond_by}");
        self.problem(value.span(), reason, "write a shorter time, or a longer `respond_by`");
        None
    }

    fn group(&mut self, value: &Value<'s>) -> Option<Arc<str>> {
        let group = self.text(value)?;
        if !is_name(group) {
            self.bad_name(value.span(), group, "group");
            return None;
        }
        Some(group.into())
    }

    fn stage(&mut self, value: &Value<'s>) -> Option<Stage> {
        let table = self.table(value, EXAMPLE)?;
        self.check_keys(table, &["all_of", "any_of", "group", "need"], &[]);
        self.whom(table, value)
    }

    fn whom(&mut self, table: &DeTable<'s>, value: &Value<'s>) -> Option<Stage> {
        let ways = self.ways(table, value)?;
        let any_of = ways
            .into_iter()
            .map(|way| Alternative { all_of: way.into_iter().map(|(group, need)| Quorum { group, need }).collect() });
        let mut any_of: Vec<Alternative> = any_of.collect();
        any_of.sort();
        any_of.dedup();
        Some(Stage { any_of })
    }

    /// The ways in which what a table asks for can be had.
    fn ways(&mut self, table: &DeTable<'s>, value: &Value<'s>) -> Option<Ways> {
        let said: Vec<&str> =
            ["all_of", "any_of", "group"].into_iter().filter(|key| table.get(*key).is_some()).collect();
        let [which] = said.as_slice() else {
            let reason =
                if said.is_empty() { "a gate that asks nobody" } else { "a gate that asks in several ways at once" };
            self.problem(value.span(), reason, EXAMPLE);
            return None;
        };
        if let (Some(need), true) = (table.get("need"), *which != "group") {
            self.problem(need.span(), "`need` without `group`", EXAMPLE);
        }
        let asked = table.get(*which)?;
        if *which == "group" {
            let group = self.group(asked)?;
            let need = match table.get("need") {
                None => 1,
                Some(need) => self.count(need, GATE_NEED_MAX)?,
            };
            return Some(vec![BTreeMap::from([(group, need)])]);
        }
        let mut ways: Ways = if *which == "all_of" { vec![BTreeMap::new()] } else { Vec::new() };
        let entries: Vec<_> = self.entries(asked, EXAMPLE).collect();
        for entry in entries {
            let table = self.table(entry, EXAMPLE)?;
            self.check_keys(table, &["all_of", "any_of", "group", "need"], &[]);
            let more = self.ways(table, entry)?;
            ways = if *which == "all_of" { together(&ways, &more) } else { [ways, more].concat() };
            if ways.len() > GATE_ALTERNATIVES_MAX {
                let reason = format!("a gate that can be satisfied in more than {GATE_ALTERNATIVES_MAX} ways");
                self.problem(entry.span(), reason, "ask fewer groups");
                return None;
            }
        }
        Some(ways)
    }

    fn assurance(&mut self, value: &Value<'s>) -> Option<Assurance> {
        let text = self.text(value)?;
        let known = text.parse().ok();
        if known.is_none() {
            let words = Assurance::ALL.iter().map(|word| word.as_str()).collect::<Vec<_>>().join(", ");
            self.problem(
                value.span(),
                format!("`{}` is no proof of who answers", brief(text)),
                format!("write one of {words}"),
            );
        }
        known
    }

    /// `90s`, `30m`, `4h` or `2d` in seconds.
    pub(super) fn lasting(&mut self, value: &Value<'s>, most: u64) -> Option<u64> {
        let text = self.text(value)?;
        let read = || {
            let unit = match text.as_bytes().last()? {
                b's' => 1,
                b'm' => 60,
                b'h' => 3_600,
                b'd' => 86_400,
                _ => return None,
            };
            let digits = text.get(..text.len() - 1)?;
            let is_number = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            is_number.then(|| digits.parse::<u64>().ok()?.checked_mul(unit)).flatten()
        };
        let seconds = read().filter(|seconds| (1..=most).contains(seconds));
        if seconds.is_none() {
            let most = crate::mission::gate::lasting(most);
            let reason = format!("`{}` is not a time up to {most}", brief(text));
            self.problem(value.span(), reason, "write a number and s, m, h or d, as in `\"4h\"`");
        }
        seconds
    }

    pub(super) fn count(&mut self, value: &Value<'s>, most: u32) -> Option<u32> {
        let DeValue::Integer(integer) = value.get_ref() else {
            self.wrong_kind(value, "a whole number", "write it without quotes");
            return None;
        };
        let count = integer.as_str().replace('_', "").parse::<u32>().ok().filter(|count| (1..=most).contains(count));
        if count.is_none() || integer.radix() != 10 {
            self.problem(value.span(), "a number out of its range", format!("write a number from 1 to {most}"));
            return None;
        }
        count
    }

    /// A gate that no zone has asks nobody, and a zone cannot have one that is not there.
    pub(super) fn check_gates(
        &mut self,
        gates: &BTreeMap<Arc<str>, Gate>,
        dangers: &BTreeMap<Arc<str>, Danger>,
        data: &DataRules,
    ) {
        for (zone, danger) in dangers {
            if let Some(gate) = danger.gate.as_ref().filter(|gate| !gates.contains_key(*gate)) {
                let known = nearest(gate, gates.keys().map(AsRef::as_ref));
                let suggestion =
                    known.map_or_else(|| format!("add `[gate.{gate}]`"), |known| format!("did you mean `{known}`?"));
                let reason = format!(
                    "danger zone `{zone}` has the gate `{}`, and the mission has none of that name",
                    brief(gate)
                );
                self.problem_at_line(danger.line, reason, Some(suggestion));
            }
        }
        for (name, gate) in gates {
            let is_used =
                dangers.values().any(|danger| danger.gate.as_deref().unwrap_or(DEFAULT) == &**name) || data.asks(name);
            if !is_used {
                let reason = format!("nothing asks the gate `{name}`");
                self.problem_at_line(
                    gate.line,
                    reason,
                    Some(format!("write `gate = \"{name}\"` in a zone, or remove it")),
                );
            }
        }
    }
}

/// Every way of one with every way of the other; of a group that both need, so many persons more.
fn together(one: &Ways, other: &Ways) -> Ways {
    let joined = |one: &BTreeMap<Arc<str>, u32>, other: &BTreeMap<Arc<str>, u32>| {
        let mut all = one.clone();
        for (group, need) in other {
            let sum = all.entry(group.clone()).or_insert(0);
            *sum = sum.saturating_add(*need);
        }
        all
    };
    one.iter().flat_map(|one| other.iter().map(move |other| joined(one, other))).collect()
}
