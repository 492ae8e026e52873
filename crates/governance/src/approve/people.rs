//! `people.toml`: the persons who may answer, their groups, and who stands in for them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use evidence::leaf::sha256_hex;
use evidence::record::approval::Excluded;
use evidence::time::{Timestamp, Zone};
use serde::Deserialize;

use crate::limits::{DELEGATION_US_MAX, DELEGATIONS_MAX, PEOPLE_BYTES_MAX, PERSONS_MAX};

/// The persons and groups of one home.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct People {
    delegations: Vec<Delegation>,
    groups: BTreeMap<Arc<str>, Vec<Arc<str>>>,
    /// By which names each person is known.
    names: BTreeMap<Arc<str>, Arc<str>>,
    persons: BTreeMap<Arc<str>, Person>,
    sha256: Arc<str>,
    why: Arc<str>,
}

/// One person.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    /// Other names, by which initiators, owners and users of the operating system are this person.
    pub also: Vec<Arc<str>>,
    /// When the person is away.
    pub away: Option<Away>,
    /// Who is told where nobody answers.
    pub manager: Option<Arc<str>>,
    /// How the person is called.
    pub name: Option<Arc<str>>,
}

/// A time in which a person does not answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Away {
    /// From when on.
    pub from: Timestamp,
    /// Who answers instead.
    pub stand_in: Option<Arc<str>>,
    /// Until when.
    pub until: Timestamp,
}

/// What a person lets another one answer for a time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegation {
    /// Who lets another one answer.
    pub from: Arc<str>,
    /// In which of their groups.
    pub groups: Vec<Arc<str>>,
    /// From when on.
    pub not_before: Timestamp,
    /// Who answers as well.
    pub to: Arc<str>,
    /// Until when.
    pub until: Timestamp,
}

/// Why a text is no file of persons; each line says what and how to mend it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct PeopleError(String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    delegation: Vec<FileDelegation>,
    #[serde(default)]
    group: BTreeMap<Arc<str>, Vec<Arc<str>>>,
    #[serde(default)]
    person: BTreeMap<Arc<str>, FilePerson>,
    why: Arc<str>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FilePerson {
    #[serde(default)]
    also: Vec<Arc<str>>,
    #[serde(default)]
    away: Option<FileAway>,
    #[serde(default)]
    manager: Option<Arc<str>>,
    #[serde(default)]
    name: Option<Arc<str>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileDelegation {
    from: Arc<str>,
    groups: Vec<Arc<str>>,
    not_before: toml::value::Datetime,
    to: Arc<str>,
    until: toml::value::Datetime,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileAway {
    from: toml::value::Datetime,
    #[serde(default)]
    stand_in: Option<Arc<str>>,
    until: toml::value::Datetime,
}

/// Reads the text of a file of persons.
///
/// # Errors
/// [`PeopleError`] with every problem.
pub fn parse_people(source: &str) -> Result<People, PeopleError> {
    if source.len() > PEOPLE_BYTES_MAX {
        return Err(PeopleError(format!("the file is larger than {PEOPLE_BYTES_MAX} bytes")));
    }
    let file: File = toml::from_str(source).map_err(|error| PeopleError(error.to_string().trim_end().to_owned()))?;
    let mut problems = Vec::new();
    if file.why.trim().is_empty() {
        problems.push("`why` is empty; say what this version of the file is for".to_owned());
    }
    if file.person.len() > PERSONS_MAX {
        problems.push(format!("there are more than {PERSONS_MAX} persons"));
    }
    let is_known = |person: &Arc<str>| file.person.contains_key(person);
    let is_name = |text: &str| {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        !text.is_empty() && text.len() <= 63 && text.bytes().all(plain) && !text.starts_with('-')
    };
    let mut names: BTreeMap<Arc<str>, Arc<str>> = BTreeMap::new();
    let mut persons = BTreeMap::new();
    for (id, person) in &file.person {
        if !is_name(id) {
            problems.push(format!("`{id}` is not the name of a person; use at most 63 of `a-z`, `0-9` and `-`"));
        }
        for name in std::iter::once(id).chain(&person.also) {
            match names.insert(name.clone(), id.clone()) {
                Some(other) if other != *id => {
                    problems.push(format!("`{name}` is a name of `{other}` and of `{id}`; a name is one person's"));
                }
                Some(_) | None => {}
            }
        }
        if let Some(manager) = person.manager.as_ref().filter(|manager| !is_known(manager)) {
            problems.push(format!("the manager of `{id}` is `{manager}`, who is no person here"));
        }
        let away = person.away.as_ref().and_then(|away| {
            let read = away_of(id, away);
            read.map_err(|problem| problems.push(problem)).ok()
        });
        if let Some(stand_in) = away.as_ref().and_then(|away| away.stand_in.as_ref()) {
            let is_chain = file
                .person
                .get(stand_in)
                .is_some_and(|other| other.away.as_ref().is_some_and(|other| other.stand_in.is_some()));
            if !is_known(stand_in) || stand_in == id {
                problems.push(format!("`{stand_in}` cannot stand in for `{id}`; name another person of this file"));
            } else if is_chain {
                problems.push(format!(
                    "`{stand_in}` stands in for `{id}` and is away with a stand-in too; nobody stands in for a stand-in"
                ));
            }
        }
        let person =
            Person { also: person.also.clone(), away, manager: person.manager.clone(), name: person.name.clone() };
        persons.insert(id.clone(), person);
    }
    for (group, members) in &file.group {
        if !is_name(group) {
            problems.push(format!("`{group}` is not the name of a group; use at most 63 of `a-z`, `0-9` and `-`"));
        }
        let mut seen = BTreeSet::new();
        for member in members {
            if !is_known(member) {
                problems
                    .push(format!("group `{group}` has `{member}`, who is no person here; add `[person.{member}]`"));
            } else if !seen.insert(member) {
                problems.push(format!("group `{group}` has `{member}` twice"));
            }
        }
    }
    let delegations = delegations(&file, &mut problems);
    if !problems.is_empty() {
        return Err(PeopleError(problems.join("\n")));
    }
    let sha256 = sha256_hex(source.as_bytes()).into();
    Ok(People { delegations, groups: file.group, names, persons, sha256, why: file.why })
}

/// What persons delegate: of their own groups, for a time, to somebody who delegates nothing meanwhile.
fn delegations(file: &File, problems: &mut Vec<String>) -> Vec<Delegation> {
    if file.delegation.len() > DELEGATIONS_MAX {
        problems.push(format!("there are more than {DELEGATIONS_MAX} delegations"));
        return Vec::new();
    }
    let mut read = Vec::new();
    for FileDelegation { from, groups, not_before, to, until } in &file.delegation {
        let said = format!("the delegation from `{from}` to `{to}`");
        if let Some(stranger) = [from, to].into_iter().find(|person| !file.person.contains_key(*person)) {
            problems.push(format!("{said} names `{stranger}`, who is no person here; add `[person.{stranger}]`"));
        }
        if from == to {
            problems.push(format!("{said} is a loop; name another person"));
        }
        if groups.is_empty() {
            problems.push(format!("{said} names no group; say in which of their groups `{to}` answers for `{from}`"));
        }
        for group in groups {
            if !file.group.get(group).is_some_and(|members| members.contains(from)) {
                problems.push(format!(
                    "{said} names the group `{group}`, which `{from}` is not in; nobody delegates what they have not"
                ));
            }
        }
        match (moment(not_before, false), moment(until, true)) {
            (Some(not_before), Some(until))
                if not_before < until && until.micros_since(not_before) <= DELEGATION_US_MAX =>
            {
                let (from, groups, to) = (from.clone(), groups.clone(), to.clone());
                read.push(Delegation { from, groups, not_before, to, until });
            }
            _ => problems.push(format!(
                "{said} must end after it begins, and within a year; write dates, or times with their distance from UTC"
            )),
        }
    }
    for (at, one) in read.iter().enumerate() {
        let meanwhile = |other: &&Delegation| one.not_before < other.until && other.not_before < one.until;
        let others = read.iter().enumerate().filter(|(place, _)| *place != at).map(|(_, other)| other);
        for other in others.filter(meanwhile).filter(|other| other.from == one.to) {
            let what = if other.to == one.from { "loop" } else { "chain" };
            problems.push(format!(
                "`{}` delegates to `{}`, who delegates to `{}` meanwhile: a {what}; let each delegate to whoever answers",
                one.from, one.to, other.to
            ));
        }
    }
    read
}

/// A time of the file; a day counts from its beginning, or through its end.
fn moment(moment: &toml::value::Datetime, is_end: bool) -> Option<Timestamp> {
    match (moment.date, moment.time, moment.offset) {
        (Some(date), None, None) if is_end => Zone::utc().end_of_day(date.year, date.month, date.day),
        (Some(date), None, None) => format!("{date}T00:00:00Z").parse().ok(),
        (Some(_), Some(_), Some(_)) => moment.to_string().parse().ok(),
        _ => None,
    }
}

fn away_of(id: &str, away: &FileAway) -> Result<Away, String> {
    match (moment(&away.from, false), moment(&away.until, true)) {
        (Some(from), Some(until)) if from < until => Ok(Away { from, stand_in: away.stand_in.clone(), until }),
        _ => Err(format!(
            "`{id}` is away from a time that is not before its end; write dates, or times with their distance from UTC"
        )),
    }
}

impl People {
    /// SHA-256 of the file's bytes.
    #[must_use]
    pub const fn sha256(&self) -> &Arc<str> {
        &self.sha256
    }

    /// The reason for this version of the file.
    #[must_use]
    pub const fn why(&self) -> &Arc<str> {
        &self.why
    }

    /// The persons, by their names here.
    #[must_use]
    pub const fn persons(&self) -> &BTreeMap<Arc<str>, Person> {
        &self.persons
    }

    /// The groups, with their members.
    #[must_use]
    pub const fn groups(&self) -> &BTreeMap<Arc<str>, Vec<Arc<str>>> {
        &self.groups
    }

    /// The person whom `name` names.
    #[must_use]
    pub fn person_of(&self, name: &str) -> Option<&Arc<str>> {
        self.names.get(name)
    }

    /// The groups of `person`, sorted.
    #[must_use]
    pub fn groups_of(&self, person: &str) -> Vec<Arc<str>> {
        let has = |members: &Vec<Arc<str>>| members.iter().any(|member| **member == *person);
        self.groups.iter().filter(|(_, members)| has(members)).map(|(group, _)| group.clone()).collect()
    }

    /// Whether `person` answers for themselves at `at`.
    #[must_use]
    pub fn is_there(&self, person: &str, at: Timestamp) -> bool {
        self.persons.get(person).is_some_and(|person| person.away.as_ref().is_none_or(|away| !away.covers(at)))
    }

    /// Whether `stand_in` answers for `person` at `at`.
    #[must_use]
    pub fn stands_in(&self, stand_in: &str, person: &str, at: Timestamp) -> bool {
        let away = self.persons.get(person).and_then(|person| person.away.as_ref());
        away.is_some_and(|away| away.covers(at) && away.stand_in.as_deref() == Some(stand_in))
    }

    /// In which groups `other` answers for `person` at `at`: in all of theirs while `person` is away and has named them, else in those that were delegated. Empty where in none.
    #[must_use]
    pub fn groups_for(&self, other: &str, person: &str, at: Timestamp) -> Vec<Arc<str>> {
        let mut groups = self.groups_of(person);
        if !self.stands_in(other, person, at) {
            let delegated: Vec<&Delegation> =
                self.delegations.iter().filter(|it| it.covers(other, person, at)).collect();
            groups.retain(|group| delegated.iter().any(|delegation| delegation.groups.contains(group)));
        }
        groups
    }

    /// The groups of everybody who may answer at `at`, a stand-in counting for whom they stand in for, or for themselves.
    #[must_use]
    pub fn who_may_answer(&self, excluded: &[Excluded], at: Timestamp) -> Vec<Vec<Arc<str>>> {
        let is_out = |person: &str| excluded.iter().any(|excluded| *excluded.person == *person);
        let may = self.persons.keys().filter(|person| !is_out(person) && self.is_there(person, at)).map(|person| {
            // Whoever is there answers for themselves, and is one person with whom they let answer.
            let absent = self.persons.keys().filter(|absent| !is_out(absent) && !self.is_there(absent, at));
            let mut groups = self.groups_of(person);
            groups.extend(absent.flat_map(|absent| self.groups_for(person, absent, at)));
            groups.sort();
            groups.dedup();
            groups
        });
        may.collect()
    }

    /// What changed, in sentences.
    #[must_use]
    pub fn difference(&self, old: Option<&Self>) -> Vec<String> {
        let mut sentences = Vec::new();
        let none = Self::default();
        let old = old.unwrap_or(&none);
        for person in old.persons.keys().chain(self.persons.keys()).collect::<BTreeSet<_>>() {
            match (old.persons.get(person), self.persons.get(person)) {
                (None, Some(_)) => sentences.push(format!("person `{person}` is new")),
                (Some(_), None) => sentences.push(format!("person `{person}` is gone")),
                (Some(before), Some(after)) if before != after => {
                    sentences.push(format!("what is said of person `{person}` changed"));
                }
                (Some(_) | None, Some(_) | None) => {}
            }
        }
        for group in old.groups.keys().chain(self.groups.keys()).collect::<BTreeSet<_>>() {
            let of = |people: &Self| -> BTreeSet<Arc<str>> {
                people.groups.get(group).into_iter().flatten().cloned().collect()
            };
            let (before, after) = (of(old), of(self));
            sentences.extend(after.difference(&before).map(|member| format!("`{member}` is now in group `{group}`")));
            sentences
                .extend(before.difference(&after).map(|member| format!("`{member}` is no longer in group `{group}`")));
        }
        let said = |people: &Self| people.delegations.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
        let (before, after) = (said(old), said(self));
        sentences.extend(after.difference(&before).cloned());
        sentences.extend(before.difference(&after).map(|delegation| format!("no longer: {delegation}")));
        sentences
    }
}

impl Delegation {
    fn covers(&self, other: &str, person: &str, at: Timestamp) -> bool {
        *self.to == *other && *self.from == *person && self.not_before <= at && at < self.until
    }
}

impl fmt::Display for Delegation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, groups, not_before, to, until } = self;
        let groups = groups.iter().map(|group| format!("`{group}`")).collect::<Vec<_>>().join(", ");
        write!(f, "`{to}` answers for `{from}` in {groups}, from {not_before} until {until}")
    }
}

impl Away {
    fn covers(&self, at: Timestamp) -> bool {
        self.from <= at && at < self.until
    }
}
