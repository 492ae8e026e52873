//! Reads a mission file and reports every problem in it, each at its place.
//!
//! Works on the spanned tree of the TOML reader, so that each rule keeps its line. Unknown keys are problems: a misspelt limit must not be no limit.

mod allow;
mod argument;
mod budget;
mod capture;
mod danger;
mod data;
mod effect;
mod except;
mod gate;
mod organisation;
mod standing;
mod trust;
mod typed;
mod when;

pub(super) use self::allow::RESERVED;
pub use self::organisation::parse_organisation;
pub use self::standing::parse_standing;

use std::ops::Range;
use std::sync::Arc;

use evidence::leaf::sha256_hex;
use evidence::time::{Timestamp, Zone};
use toml::Spanned;
use toml::de::{DeString, DeTable, DeValue};
use toml::value::Datetime;

use super::error::{MissionError, Problem, nearest};
use super::hours::last_moment;
use super::source::Source;
use super::spelling::{ambiguity, brief};
use super::{Mission, Mode, PinPolicy};
use crate::limits::{MISSION_BYTES_MAX, MISSION_RULES_MAX, NAME_BYTES_MAX, RULE_VALUES_MAX, SENTENCE_BYTES_MAX};

type Key<'s> = Spanned<DeString<'s>>;
type Value<'s> = Spanned<DeValue<'s>>;

/// Keys of the design that a later version will have; using one must not look like a slip.
type Later = [(&'static str, &'static str)];

/// Microseconds of one day.
const KEYS: [&str; 17] = [
    "agents",
    "allow",
    "budget",
    "danger",
    "data",
    "effect",
    "gate",
    "goal",
    "hours",
    "initiators",
    "mission",
    "mode",
    "owner",
    "pins",
    "timezone",
    "until",
    "why",
];

const KEYS_LATER: &Later = &[("ask", "write the calls that need approval as `[danger.NAME]`")];

/// Reads the text of a mission file.
///
/// # Errors
/// [`MissionError`] holds every problem, in the order of the file.
pub fn parse(source: &str) -> Result<Mission, MissionError> {
    let mut reader = Reader::new(source);
    if source.len() > MISSION_BYTES_MAX {
        reader.problem(
            0..0,
            format!("the file is larger than {MISSION_BYTES_MAX} bytes"),
            "split it into several missions",
        );
        return Err(MissionError::new(reader.problems));
    }
    let mission = tree(source, &mut reader).and_then(|table| reader.mission(table.get_ref()));
    match mission {
        Some(mission) if reader.problems.is_empty() => Ok(mission),
        _ => Err(MissionError::new(reader.problems)),
    }
}

/// The tree of the file; nothing after an error of syntax, where it holds guesses: judging them would bury the one problem that there is.
fn tree<'s>(source: &'s str, reader: &mut Reader<'s>) -> Option<Spanned<DeTable<'s>>> {
    let (table, errors) = DeTable::parse_recoverable(source);
    for error in &errors {
        let at = error.span().unwrap_or_default();
        if error.message() == "duplicate key" {
            let key = brief(source.get(at.clone()).unwrap_or_default());
            reader.problem(at, format!("`{key}` stands here twice"), "remove one");
        } else {
            reader.problem(at, error.message().replace('\n', ", "), None);
        }
    }
    errors.is_empty().then_some(table)
}

struct Reader<'s> {
    line_starts: Vec<usize>,
    problems: Vec<Problem>,
    rules: usize,
    source: &'s str,
    /// What rules demand values of, each with its line.
    sources: Vec<(u32, Source)>,
}

impl<'s> Reader<'s> {
    fn new(source: &'s str) -> Self {
        let line_starts = std::iter::once(0).chain(source.match_indices('\n').map(|(at, _)| at + 1)).collect();
        Self { line_starts, problems: Vec::new(), rules: 0, source, sources: Vec::new() }
    }

    fn mission(&mut self, table: &DeTable<'s>) -> Option<Mission> {
        self.check_keys(table, &KEYS, KEYS_LATER);
        let name = self
            .required(table, "mission", "mission = \"read-the-docs\"")
            .and_then(|value| self.name(value, "mission"));
        let goal = self.required(table, "goal", "goal = \"what it is for\"").and_then(|value| self.sentence(value));
        let owner =
            self.required(table, "owner", "owner = \"team@corp.example\"").and_then(|value| self.sentence(value));
        let why =
            self.required(table, "why", "why = \"the reason for this version\"").and_then(|value| self.sentence(value));
        let agents = self
            .required(table, "agents", "agents = [\"my-agent\"]")
            .map(|value| (self.agents(value), self.line(value)));
        let zone = table.get("timezone").map_or_else(|| Some(Zone::utc()), |value| self.zone(value));
        let until = self
            .required(table, "until", "until = 2026-12-31")
            .and_then(|value| Some((self.until(value, zone.as_ref())?, value)));
        let mode = table.get("mode").map_or(Some(Mode::Enforce), |value| self.mode(value));
        let pins = table.get("pins").map_or(Some(PinPolicy::FirstSight), |value| self.pins(value));
        let (hours, hours_line) =
            table.get("hours").map(|value| (self.hours(value), self.line(value))).unwrap_or_default();
        let (initiators, initiators_line) =
            table.get("initiators").map(|value| (self.initiators(value), self.line(value))).unwrap_or_default();
        let before = self.problems.len();
        let mut upstreams = match table.get("allow") {
            Some(value) => self.allow(value),
            None => {
                self.problem(0..0, "the mission allows nothing", "add `[allow.mcp.SERVER]` with the tools it needs");
                Default::default()
            }
        };
        let allow_is_sound = self.problems.len() == before;
        let dangers = table.get("danger").map(|value| self.dangers(value)).unwrap_or_default();
        let data = table.get("data").map(|value| self.data(value, zone.as_ref())).unwrap_or_default();
        let before = self.problems.len();
        let gates = table.get("gate").map(|value| self.gates(value)).unwrap_or_default();
        if self.problems.len() == before {
            self.check_gates(&gates, &dangers, &data);
        }
        let budget = table.get("budget").map(|value| self.budget(value, &upstreams)).unwrap_or_default();
        let effects = table.get("effect").map(|value| self.effects(value)).unwrap_or_default();
        if allow_is_sound {
            self.check_dangers(&dangers, &upstreams);
            self.check_data(&data, &gates, &upstreams);
            self.check_sources(&upstreams);
            self.take_effects(effects, &mut upstreams);
        }
        if self.rules > MISSION_RULES_MAX {
            self.problem(
                0..0,
                format!("the mission has more than {MISSION_RULES_MAX} rules"),
                "split it into several missions",
            );
        }
        let (agents, agents_line) = agents?;
        let (until, until_value) = until?;
        Some(Mission {
            agents,
            agents_line,
            budget,
            dangers,
            data,
            gates,
            goal: goal?,
            last_moment: last_moment(&hours, zone.as_ref()?, until),
            hours,
            hours_line,
            initiators,
            initiators_line,
            mode: mode?,
            name: name?,
            owner: owner?,
            pins: pins?,
            sha256: sha256_hex(self.source.as_bytes()).into(),
            source: self.source.into(),
            until,
            until_line: self.line(until_value),
            until_text: self.source.get(until_value.span()).unwrap_or_default().into(),
            upstreams,
            why: why?,
            zone: zone?,
        })
    }

    fn mode(&mut self, value: &Value<'s>) -> Option<Mode> {
        match self.text(value)? {
            "enforce" => Some(Mode::Enforce),
            "observe" => Some(Mode::Observe),
            text => {
                self.problem(
                    value.span(),
                    format!("`{}` is no mode", brief(text)),
                    "write `mode = \"observe\"` to watch a workflow before the mission is held to, or leave it out",
                );
                None
            }
        }
    }

    fn pins(&mut self, value: &Value<'s>) -> Option<PinPolicy> {
        match self.text(value)? {
            "first-sight" => Some(PinPolicy::FirstSight),
            "strict" => Some(PinPolicy::Strict),
            text => {
                self.problem(
                    value.span(),
                    format!("`{}` is no way to pin tools", brief(text)),
                    "write `pins = \"strict\"` where a person must accept each tool first, or leave it out",
                );
                None
            }
        }
    }

    fn agents(&mut self, value: &Value<'s>) -> Vec<Arc<str>> {
        let mut agents: Vec<Arc<str>> = Vec::new();
        for entry in self.entries(value, "agents = [\"my-agent\"]") {
            let Some(agent) = self.text(entry) else { continue };
            let named = |byte: u8| byte.is_ascii_alphanumeric() || b"._@:/+-".contains(&byte);
            if agent.is_empty() || agent.len() > NAME_BYTES_MAX || !agent.bytes().all(named) {
                self.problem(
                    entry.span(),
                    format!("`{}` is not the name of an agent", brief(agent)),
                    "use letters, digits and `._@:/+-`",
                );
            } else if agents.iter().any(|known| **known == *agent) {
                self.duplicate(entry, agent);
            } else {
                agents.push(agent.into());
            }
        }
        agents
    }

    fn until(&mut self, value: &Value<'s>, zone: Option<&Zone>) -> Option<Timestamp> {
        let DeValue::Datetime(moment) = value.get_ref() else {
            let suggestion = match value.get_ref() {
                DeValue::String(_) => "write the date without quotes: `until = 2026-12-31`",
                _ => "write a date such as `until = 2026-12-31`",
            };
            self.wrong_kind(value, "a date", suggestion);
            return None;
        };
        let time = match moment {
            Datetime { date: Some(date), time: None, offset: None } => {
                zone.unwrap_or(&Zone::utc()).end_of_day(date.year, date.month, date.day)
            }
            Datetime { date: Some(_), time: Some(_), offset: Some(_) } => moment.to_string().parse().ok(),
            _ => {
                self.problem(
                    value.span(),
                    "a time needs a date and its distance from UTC",
                    "write a date, or a time such as `2026-12-31T18:00:00Z`",
                );
                return None;
            }
        };
        if time.is_none() {
            self.problem(value.span(), "a date before 1970 or after 9999", "write a date such as `until = 2026-12-31`");
        }
        time
    }

    fn zone(&mut self, value: &Value<'s>) -> Option<Zone> {
        let text = self.text(value)?;
        let zone = Zone::named(text);
        if zone.is_none() {
            let names = Zone::names();
            let meant = names.iter().find(|name| name.eq_ignore_ascii_case(text)).map(String::as_str);
            let suggestion = meant.or_else(|| nearest(text, names.iter().map(String::as_str))).map_or_else(
                || "write a name of the time zone database, such as `timezone = \"Europe/Berlin\"`".to_owned(),
                |name| format!("did you mean `{name}`?"),
            );
            self.problem(value.span(), format!("`{}` is no time zone", brief(text)), suggestion);
        }
        zone
    }

    /// `[a-z0-9][a-z0-9-]{0,62}`.
    fn name(&mut self, value: &Value<'s>, of: &str) -> Option<Arc<str>> {
        let text = self.text(value)?;
        if !is_name(text) {
            self.bad_name(value.span(), text, of);
            return None;
        }
        Some(text.into())
    }

    fn bad_name(&mut self, at: Range<usize>, text: &str, of: &str) {
        self.problem(
            at,
            format!("`{}` is not the name of a {of}", brief(text)),
            "use at most 63 of `a-z`, `0-9` and `-`, starting with a letter or digit",
        );
    }

    fn sentence(&mut self, value: &Value<'s>) -> Option<Arc<str>> {
        let text = self.text(value)?.trim();
        if text.is_empty() {
            self.problem(value.span(), "an empty text", "say it in a sentence");
            return None;
        }
        if text.len() > SENTENCE_BYTES_MAX || text.lines().any(|line| ambiguity(line).is_some()) {
            let reason = format!("a text longer than {SENTENCE_BYTES_MAX} bytes or with control characters");
            self.problem(value.span(), reason, "say it in a few plain sentences");
            return None;
        }
        Some(text.into())
    }

    /// A text without control characters.
    fn plain_text<'v>(&mut self, value: &'v Value<'s>) -> Option<&'v str> {
        let text = self.text(value)?;
        if let Some(why) = ambiguity(text) {
            self.problem(value.span(), format!("a text with {why}"), "write it in visible characters");
            return None;
        }
        Some(text)
    }

    fn text<'v>(&mut self, value: &'v Value<'s>) -> Option<&'v str> {
        if let DeValue::String(text) = value.get_ref() {
            return Some(text);
        }
        self.wrong_kind(value, "a text", "write it in quotes");
        None
    }

    fn table<'v>(&mut self, value: &'v Value<'s>, suggestion: &str) -> Option<&'v DeTable<'s>> {
        if let DeValue::Table(table) = value.get_ref() {
            return Some(table);
        }
        self.wrong_kind(value, "a table", suggestion);
        None
    }

    /// The entries of a list that must hold something.
    fn entries<'v>(
        &mut self,
        value: &'v Value<'s>,
        example: &str,
    ) -> impl Iterator<Item = &'v Value<'s>> + use<'v, 's> {
        let entries = match value.get_ref() {
            DeValue::Array(entries) if entries.is_empty() => {
                self.problem(value.span(), "an empty list allows nothing", format!("write `{example}`"));
                None
            }
            DeValue::Array(entries) if entries.len() > RULE_VALUES_MAX => {
                let reason = format!("a list of more than {RULE_VALUES_MAX} entries");
                self.problem(value.span(), reason, "a rule that long is not read by anyone; find a shorter one");
                None
            }
            DeValue::Array(entries) => Some(entries),
            _ => {
                self.wrong_kind(value, "a list", &format!("write `{example}`"));
                None
            }
        };
        self.rules += entries.map_or(0, |entries| entries.len());
        entries.into_iter().flat_map(|entries| entries.iter())
    }

    fn required<'t>(&mut self, table: &'t DeTable<'s>, key: &str, example: &str) -> Option<&'t Value<'s>> {
        let value = table.get(key);
        if value.is_none() {
            self.problem(0..0, format!("`{key}` is missing"), format!("add `{example}`"));
        }
        value
    }

    fn check_keys(&mut self, table: &DeTable<'s>, known: &[&str], later: &Later) {
        for key in table.keys().filter(|key| !known.contains(&key.get_ref().as_ref())) {
            self.unknown_key(key, known, later);
        }
    }

    fn unknown_key(&mut self, key: &Key<'s>, known: &[&str], later: &Later) {
        let name = key.get_ref().as_ref();
        if let Some((_, suggestion)) = later.iter().find(|(word, _)| *word == name) {
            self.problem(key.span(), format!("this version does not have `{name}`"), *suggestion);
            return;
        }
        let suggestion = match nearest(name, known.iter().copied()) {
            Some(word) => format!("did you mean `{word}`?"),
            None => format!("the keys here are {}", known.join(", ")),
        };
        self.problem(key.span(), format!("unknown key `{}`", brief(name)), suggestion);
    }

    fn wrong_kind(&mut self, value: &Value<'s>, wanted: &str, suggestion: &str) {
        let found = match value.get_ref() {
            DeValue::String(_) => "a text",
            DeValue::Integer(_) | DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.problem(value.span(), format!("{found} where {wanted} belongs"), suggestion.to_owned());
    }

    fn duplicate(&mut self, value: &Value<'s>, text: &str) {
        self.problem(value.span(), format!("`{}` stands here twice", brief(text)), "remove one");
    }

    fn problem(&mut self, at: Range<usize>, reason: impl Into<String>, suggestion: impl Into<Suggestion>) {
        let line = self.line_starts.partition_point(|start| *start <= at.start).max(1);
        let start = self.line_starts.get(line - 1).copied().unwrap_or_default();
        let column = self.source.get(start..at.start).map_or(0, |before| before.chars().count()) + 1;
        self.problems.push(Problem { column, line, reason: reason.into(), suggestion: suggestion.into().0 });
    }

    /// The line where `value` starts, from 1.
    fn line<T>(&self, value: &Spanned<T>) -> u32 {
        let line = self.line_starts.partition_point(|start| *start <= value.span().start).max(1);
        u32::try_from(line).unwrap_or(u32::MAX)
    }
}

/// How to mend a problem, where that can be said.
struct Suggestion(Option<String>);

impl From<&str> for Suggestion {
    fn from(text: &str) -> Self {
        Self(Some(text.to_owned()))
    }
}

impl From<String> for Suggestion {
    fn from(text: String) -> Self {
        Self(Some(text))
    }
}

impl From<Option<String>> for Suggestion {
    fn from(text: Option<String>) -> Self {
        Self(text)
    }
}

/// `[a-z0-9][a-z0-9-]{0,62}`.
fn is_name(text: &str) -> bool {
    (1..=63).contains(&text.len())
        && !text.starts_with('-')
        && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
}
