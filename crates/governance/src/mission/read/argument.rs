//! The rules of one tool's arguments: `in`, `min` and `max`, `path`, `domain`, `url`, `length`, `pattern`, `fields`, `free`, and
//! `optional`. Fields of an argument stand beside it under their path, so that nothing else knows of nesting.

use std::collections::BTreeMap;
use std::sync::Arc;

use evidence::decimal::Number;
use toml::de::{DeTable, DeValue};

use super::typed::are_dates;
use super::{Key, Reader, Value, brief};
use crate::limits::{ARGUMENTS_MAX, FACET_BYTES_MAX, FIELDS_DEPTH_MAX, NAME_BYTES_MAX, RESULT_BYTES_MAX};
use crate::mission::domain::host;
use crate::mission::path::normal_path;
use crate::mission::pattern::Pattern;
use crate::mission::rule::{ArgumentRule, Constraint, DomainPattern, Limit, Naming, Period, Presence, Scalar};
use crate::mission::source::{argument_path, child_path};
use crate::mission::spelling::ambiguity;
use crate::mission::trust::Role;
use crate::mission::url::UrlPattern;

const KEYS: [&str; 21] = [
    "command",
    "domain",
    "email",
    "fields",
    "free",
    "from",
    "identifier",
    "in",
    "length",
    "max",
    "min",
    "named",
    "optional",
    "path",
    "pattern",
    "per_day",
    "per_hour",
    "per_run",
    "sql",
    "target",
    "url",
];

const EXAMPLE: &str = "write what it may be, such as `{ in = [\"a\", \"b\"] }`, or `{ free = true }` for anything";

impl<'s> Reader<'s> {
    pub(super) fn arguments(&mut self, table: &DeTable<'s>) -> BTreeMap<Arc<str>, ArgumentRule> {
        let mut rules = BTreeMap::new();
        self.rules_of(table, None, &mut rules);
        rules
    }

    /// The rules of a tool's arguments, or of the fields of the argument at `parent`.
    fn rules_of(
        &mut self,
        table: &DeTable<'s>,
        parent: Option<&Arc<str>>,
        rules: &mut BTreeMap<Arc<str>, ArgumentRule>,
    ) {
        for (key, value) in table {
            self.rules += 1;
            let name = key.get_ref().as_ref();
            self.check_argument_name(key);
            if rules.len() >= ARGUMENTS_MAX {
                self.problem(
                    key.span(),
                    format!("more than {ARGUMENTS_MAX} arguments"),
                    "no tool takes so many; remove some",
                );
                break;
            }
            let path = parent.map_or_else(|| argument_path(name), |parent| child_path(parent, name));
            if path.matches('/').count() > FIELDS_DEPTH_MAX {
                self.problem(key.span(), "fields inside of more fields than the rules look at", EXAMPLE);
                continue;
            }
            let Some(rule) = self.argument(key, value) else { continue };
            let fields = value.get_ref().as_table().and_then(|table| table.get("fields"));
            if let (Constraint::Fields, Some(fields)) = (&rule.constraint, fields) {
                const FIELDS: &str = "write `fields = { name = { length = 80 } }`, a rule for each field";
                match self.table(fields, FIELDS) {
                    Some(table) if table.is_empty() => {
                        self.problem(fields.span(), "`fields` names no field", FIELDS);
                    }
                    Some(table) => self.rules_of(table, Some(&path), rules),
                    None => {}
                }
            }
            rules.insert(path, ArgumentRule { parent: parent.cloned(), ..rule });
        }
    }

    pub(super) fn check_argument_name(&mut self, key: &Key<'s>) {
        let name = key.get_ref().as_ref();
        if name.is_empty() || name.len() > NAME_BYTES_MAX || ambiguity(name).is_some() {
            let reason = format!("`{}` is not the name of an argument", brief(name));
            self.problem(key.span(), reason, format!("use at most {NAME_BYTES_MAX} bytes of visible characters"));
        }
    }

    fn argument(&mut self, key: &Key<'s>, value: &Value<'s>) -> Option<ArgumentRule> {
        let table = self.table(value, EXAMPLE)?;
        self.check_keys(table, &KEYS, &[]);
        let presence = match table.get("optional").map(|value| (value, value.get_ref())) {
            None | Some((_, DeValue::Boolean(false))) => Presence::Required,
            Some((_, DeValue::Boolean(true))) => Presence::Optional,
            Some((value, _)) => {
                self.wrong_kind(value, "true or false", "write `optional = true`, or leave it out");
                return None;
            }
        };
        let constraint = self.constraint(key, table)?;
        let (naming, said) = self.naming(table, &constraint)?;
        let limits = self.limits(table);
        for limit in &limits {
            self.check_limit(limit, &constraint);
        }
        Some(ArgumentRule { constraint, limits, line: self.line(key), naming, parent: None, presence, said })
    }

    /// `named = true`: the mission or the initiator must name the value. `target = false`: it names nothing that the tool acts on.
    fn naming(&mut self, table: &DeTable<'s>, constraint: &Constraint) -> Option<(Naming, Option<Role>)> {
        let mut read = |key: &str| match table.get(key).map(|value| (value, value.get_ref())) {
            None => Some(None),
            Some((_, DeValue::Boolean(said))) => Some(Some(*said)),
            Some((value, _)) => {
                self.wrong_kind(value, "true or false", &format!("write `{key} = true`, or leave it out"));
                None
            }
        };
        let (named, target) = (read("named"), read("target"));
        let (named, target) = (named?, target?);
        let at = ["named", "target"].into_iter().find_map(|key| table.get(key)).map_or(0..0, |value| value.span());
        if *constraint == Constraint::Fields && (named.is_some() || target.is_some()) {
            self.problem(at, "an object names nothing by itself", "say it of its fields");
        } else if (named, target) == (Some(true), Some(false)) {
            self.problem(at, "what must be named is a target", "remove `target`, or `named`");
        }
        let said = target.map(|is_target| if is_target { Role::Target } else { Role::Content });
        Some((if named == Some(true) { Naming::Named } else { Naming::Anybody }, said))
    }

    /// `per_day = 20000` and the like, of any table.
    pub(super) fn limits(&mut self, table: &DeTable<'s>) -> Vec<Limit> {
        let mut limits = Vec::new();
        for period in Period::ALL {
            let Some((key, value)) = table.get_key_value(period.key()) else { continue };
            self.rules += 1;
            match self.number(value) {
                Some(most) if most <= Number::ZERO => {
                    let reason = format!("`{}` is {most}, which allows nothing", period.key());
                    self.problem(value.span(), reason, "write the most that there may be, above 0");
                }
                Some(most) => limits.push(Limit { line: self.line(key), most, period }),
                None => {}
            }
        }
        let of = |period| limits.iter().find(|limit| limit.period == period);
        if let (Some(hour), Some(day)) = (of(Period::Hour), of(Period::Day))
            && hour.most >= day.most
        {
            let (line, reason) =
                (hour.line, format!("`per_hour` {} is never reached: a day may have {}", hour.most, day.most));
            self.problem_at_line(line, reason, Some("lower `per_hour`, or remove it".to_owned()));
        }
        limits
    }

    /// A sum needs numbers, and a call that is allowed by itself should fit under it.
    fn check_limit(&mut self, limit: &Limit, constraint: &Constraint) {
        let period = limit.period.key();
        let Constraint::Range { max, min } = constraint else {
            let reason = format!("`{period}` sums up numbers, and this rule is about no number");
            self.problem_at_line(limit.line, reason, Some("give `min` and `max` beside it".to_owned()));
            return;
        };
        let sizes = [max, min].map(|end| end.magnitude().unwrap_or(Number::MAX));
        if sizes.iter().any(|size| *size > limit.most) {
            let reason = format!("`{period}` {} is less than one call may have", limit.most);
            self.problem_at_line(limit.line, reason, Some(format!("lower `max`, or raise `{period}`")));
        }
    }

    fn constraint(&mut self, key: &Key<'s>, table: &DeTable<'s>) -> Option<Constraint> {
        let range = table.contains_key("min") || table.contains_key("max");
        const WORDS: [&str; 13] = [
            "command",
            "domain",
            "email",
            "fields",
            "free",
            "from",
            "identifier",
            "in",
            "length",
            "path",
            "pattern",
            "sql",
            "url",
        ];
        let given: Vec<&str> =
            WORDS.into_iter().filter(|word| table.contains_key(*word)).chain(range.then_some("min and max")).collect();
        match *given.as_slice() {
            ["command"] => self.commands(table.get("command")?),
            ["email"] => self.emails(table.get("email")?),
            ["fields"] => Some(Constraint::Fields),
            ["from"] => self.source(table.get("from")?),
            ["identifier"] => self.identifiers(table.get("identifier")?),
            ["sql"] => self.statements(table.get("sql")?),
            ["domain"] => self.domains(table.get("domain")?).map(Constraint::Domain),
            ["free"] => self.free(table.get("free")?),
            ["in"] => self.values(table.get("in")?).map(Constraint::In),
            ["length"] => self.length(table.get("length")?),
            ["path"] => self.roots(table.get("path")?).map(Constraint::Path),
            ["pattern"] => self.pattern(table.get("pattern")?),
            ["url"] => self.urls(table.get("url")?).map(Constraint::Url),
            [] => {
                // An unknown key has been reported, and was probably meant to be the rule.
                if table.keys().all(|key| KEYS.contains(&key.get_ref().as_ref())) {
                    self.problem(key.span(), format!("the rule for `{}` says nothing", brief(key.get_ref())), EXAMPLE);
                }
                None
            }
            [_] if are_dates(&[table.get("min"), table.get("max")]) => {
                if !(table.contains_key("min") && table.contains_key("max")) {
                    return self.range(key, table);
                }
                self.time_range(key, table)
            }
            [_] => self.range(key, table),
            _ => {
                let reason = format!("`{}` has several rules: {}", brief(key.get_ref()), given.join(", "));
                self.problem(key.span(), reason, "keep one");
                None
            }
        }
    }

    fn free(&mut self, value: &Value<'s>) -> Option<Constraint> {
        if matches!(value.get_ref(), DeValue::Boolean(true)) {
            return Some(Constraint::Free);
        }
        self.problem(value.span(), "`free` is true or is left out", EXAMPLE);
        None
    }

    /// `length = 200`, or `length = { min = 1, max = 200 }`.
    fn length(&mut self, value: &Value<'s>) -> Option<Constraint> {
        const WRITE: &str = "write `length = 200` for at most 200 characters, or `length = { min = 1, max = 200 }`";
        let (min, max) = match value.get_ref() {
            DeValue::Table(table) => {
                self.check_keys(table, &["max", "min"], &[]);
                let Some(max) = table.get("max") else {
                    self.problem(value.span(), "a length without `max`", WRITE);
                    return None;
                };
                (table.get("min"), max)
            }
            _ => (None, value),
        };
        let least = min.map_or(Some(0), |min| self.characters(min, WRITE));
        let most = self.characters(max, WRITE);
        let (least, most) = (least?, most?);
        if least > most {
            self.problem(value.span(), format!("`min` {least} is above `max` {most}"), "exchange them");
            return None;
        }
        Some(Constraint::Length { max: most, min: least })
    }

    fn characters(&mut self, value: &Value<'s>, write: &'static str) -> Option<u32> {
        let DeValue::Integer(integer) = value.get_ref() else {
            self.wrong_kind(value, "a number of characters", write);
            return None;
        };
        let count = u32::from_str_radix(integer.as_str(), integer.radix()).ok();
        let count = count.filter(|count| *count as usize <= RESULT_BYTES_MAX);
        if count.is_none() {
            self.problem(value.span(), format!("`{}` is no number of characters", integer.as_str()), write);
        }
        count
    }

    fn pattern(&mut self, value: &Value<'s>) -> Option<Constraint> {
        let text = self.text(value)?;
        Pattern::parse(text)
            .map_err(|(reason, suggestion)| self.problem(value.span(), reason, suggestion))
            .ok()
            .map(Constraint::Pattern)
    }

    fn range(&mut self, key: &Key<'s>, table: &DeTable<'s>) -> Option<Constraint> {
        let (Some(min), Some(max)) = (table.get("min"), table.get("max")) else {
            let (given, missing) = if table.contains_key("min") { ("min", "max") } else { ("max", "min") };
            let reason = format!("`{given}` without `{missing}`");
            self.problem(key.span(), reason, "give both ends: a negative amount is below every maximum");
            return None;
        };
        let (low, high) = (self.number(min), self.number(max));
        let (low, high) = (low?, high?);
        if low > high {
            self.problem(min.span(), format!("`min` {low} is above `max` {high}"), "exchange them");
            return None;
        }
        Some(Constraint::Range { max: high, min: low })
    }

    /// An exact number: an integer, a decimal as it stands in the file, or either in quotes.
    pub(super) fn number(&mut self, value: &Value<'s>) -> Option<Number> {
        let number = match value.get_ref() {
            DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix())
                .map(Number::from)
                .map_err(|_| "a number beyond 64 bits".to_owned()),
            DeValue::Float(float) => {
                Number::parse(float.as_str().trim_start_matches('+')).map_err(|error| error.to_string())
            }
            DeValue::String(text) => Number::parse(text).map_err(|error| error.to_string()),
            _ => {
                self.wrong_kind(value, "a number", "write a number such as `5000` or `0.01`");
                return None;
            }
        };
        number.map_err(|reason| self.problem(value.span(), reason, "write a number such as `5000` or `0.01`")).ok()
    }

    fn values(&mut self, value: &Value<'s>) -> Option<Vec<Scalar>> {
        let mut values: Vec<Scalar> = Vec::new();
        for entry in self.entries(value, "in = [\"a\", \"b\"]") {
            let scalar = match entry.get_ref() {
                DeValue::Boolean(value) => Some(Scalar::Bool(*value)),
                DeValue::Integer(_) | DeValue::Float(_) => self.number(entry).map(Scalar::Number),
                DeValue::String(text) if text.len() > FACET_BYTES_MAX => {
                    self.problem(
                        entry.span(),
                        format!("a text longer than {FACET_BYTES_MAX} bytes"),
                        "list shorter values",
                    );
                    None
                }
                DeValue::String(text) => Some(Scalar::Text(text.as_ref().into())),
                DeValue::Datetime(_) => {
                    self.wrong_kind(
                        entry,
                        "a text, a number, true or false",
                        "write dates in quotes, as the tool takes them",
                    );
                    None
                }
                DeValue::Array(_) | DeValue::Table(_) => {
                    self.wrong_kind(entry, "a text, a number, true or false", "list single values");
                    None
                }
            };
            match scalar {
                Some(scalar) if values.contains(&scalar) => {
                    self.problem(entry.span(), format!("{scalar} stands here twice"), "remove one");
                }
                scalar => values.extend(scalar),
            }
        }
        (!values.is_empty()).then_some(values)
    }

    fn roots(&mut self, value: &Value<'s>) -> Option<Vec<Arc<str>>> {
        let mut roots: Vec<Arc<str>> = Vec::new();
        for entry in self.entries(value, "path = [\"/srv/docs\"]") {
            let Some(text) = self.text(entry) else { continue };
            match normal_path(text) {
                Ok(root) if text.len() > FACET_BYTES_MAX => {
                    self.problem(
                        entry.span(),
                        format!("`{}` is longer than any path", brief(&root)),
                        "write a shorter path",
                    );
                }
                Ok(root) if roots.iter().any(|known| **known == *root) => self.duplicate(entry, text),
                Ok(root) if root != text => {
                    self.problem(
                        entry.span(),
                        format!("`{}` is not in its shortest spelling", brief(text)),
                        format!("write `{}`", brief(&root)),
                    );
                }
                Ok(root) => roots.push(root.into()),
                Err(why) => {
                    let suggestion = "write an absolute path without `..`, such as `/srv/docs`";
                    self.problem(entry.span(), format!("`{}` is not a folder: {why}", brief(text)), suggestion);
                }
            }
        }
        (!roots.is_empty()).then_some(roots)
    }

    fn urls(&mut self, value: &Value<'s>) -> Option<Vec<UrlPattern>> {
        let mut urls: Vec<UrlPattern> = Vec::new();
        for entry in self.entries(value, "url = [\"https://api.corp.example/v1/*\"]") {
            let Some(text) = self.text(entry) else { continue };
            match UrlPattern::parse(text) {
                Ok(url) if urls.contains(&url) => self.duplicate(entry, text),
                Ok(_) if text.len() > FACET_BYTES_MAX => {
                    self.problem(
                        entry.span(),
                        format!("a text longer than {FACET_BYTES_MAX} bytes"),
                        "list shorter URLs",
                    );
                }
                Ok(url) => urls.push(url),
                Err(why) => {
                    let suggestion = "write scheme, host and path, such as `https://api.corp.example/v1/*` or `https://*.lab.example/*`";
                    self.problem(entry.span(), format!("`{}` is not a URL: {why}", brief(text)), suggestion);
                }
            }
        }
        (!urls.is_empty()).then_some(urls)
    }

    fn domains(&mut self, value: &Value<'s>) -> Option<Vec<DomainPattern>> {
        let mut domains: Vec<DomainPattern> = Vec::new();
        for entry in self.entries(value, "domain = [\"corp.example\"]") {
            let Some(text) = self.text(entry) else { continue };
            let (name, below) = text.strip_prefix("*.").map_or((text, false), |name| (name, true));
            let pattern = match host(name) {
                Ok(domain) if below => DomainPattern::Subdomains(domain.into()),
                Ok(domain) => DomainPattern::Exact(domain.into()),
                Err(why) => {
                    let suggestion = "write a domain such as `corp.example`, or `*.corp.example` for its subdomains";
                    self.problem(entry.span(), format!("`{}` is not a domain: {why}", brief(text)), suggestion);
                    continue;
                }
            };
            if domains.contains(&pattern) {
                self.duplicate(entry, text);
            } else {
                domains.push(pattern);
            }
        }
        (!domains.is_empty()).then_some(domains)
    }
}
