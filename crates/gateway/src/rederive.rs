//! Decides again every decision on record, or as another version of its mission would, with the versions of missions and of the organisation that the home keeps under their digests.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;
use std::ops::ControlFlow;
use std::sync::Arc;

use evidence::filter::{Field, Filter, Pattern, Term};
use evidence::ids::{CallId, RecordId};
use evidence::leaf::sha256_hex;
use evidence::record::{Body, DecisionRecord, Effect, Policy, Record, RecordType};
use evidence::time::Timestamp;
use governance::decide::{Bounds, Difference, Forecast, PolicySnapshot, Rederived, compile, forecast, rederive};
use governance::mission::{self, groups_of};
use governance::reason::Reason;
use store::{Order, ReadError, Reader};

use crate::home::Home;
use crate::limits::REDERIVED_SHOWN_MAX;
use crate::organisation::{compile_within_at, kept_organisation};

/// What came of deciding everything again.
#[derive(Debug, Default)]
pub struct Report {
    /// How many decisions are on record.
    pub decisions: u64,
    /// How many came out otherwise.
    pub different: u64,
    /// Why some cannot be derived, and how many each.
    pub not_derivable: BTreeMap<String, u64>,
    /// How many came out as they are on record.
    pub same: u64,
    /// The first of those that came out otherwise, in the order of the log.
    pub shown: Vec<Otherwise>,
}

impl Report {
    /// Whether nothing came out otherwise.
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        self.different == 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { decisions, different, not_derivable, same, shown } = self;
        let not: u64 = not_derivable.values().sum();
        write!(f, "decisions: {decisions}; decided again, {same} same, {different} different, {not} not derivable")?;
        for (why, count) in not_derivable {
            write!(f, "\n  {count} not derivable: {why}")?;
        }
        for otherwise in shown {
            write!(f, "\n{otherwise}")?;
        }
        match different.checked_sub(shown.len() as u64) {
            Some(more @ 1..) => write!(f, "\nand {more} more"),
            _ => Ok(()),
        }
    }
}

/// A decision that came out otherwise.
#[derive(Debug)]
pub struct Otherwise {
    /// What is otherwise.
    pub differences: Vec<Difference>,
    /// The record.
    pub id: RecordId,
    /// Its number.
    pub seq: u64,
}

impl fmt::Display for Otherwise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "record {} ({}):", self.seq, self.id)?;
        self.differences.iter().try_for_each(|difference| write!(f, " {difference};"))
    }
}

/// Decides again what `reader` has on record; `each` is told how many decisions that were, now and then.
///
/// # Errors
/// The log cannot be read.
pub fn rederive_all(home: &Home, reader: &Reader, mut each: impl FnMut(u64)) -> Result<Report, ReadError> {
    let mut policies = Policies::new(home);
    let mut report = Report::default();
    let filter = Filter::Term(Term::Type(vec![RecordType::DecisionRecord]));
    reader.visit(&filter, Order::OldestFirst, |record| {
        if let Body::Decision(decision) = &record.body {
            report.decisions += 1;
            if report.decisions.is_multiple_of(1_024) {
                each(report.decisions);
            }
            match policies.rederive(&record, decision) {
                Ok(Rederived::Same) => report.same += 1,
                Ok(Rederived::NotDerivable(why)) => *report.not_derivable.entry(why.to_string()).or_default() += 1,
                Ok(Rederived::Different(differences)) => {
                    report.different += 1;
                    if report.shown.len() < REDERIVED_SHOWN_MAX {
                        report.shown.push(Otherwise { differences, id: record.id, seq: record.seq });
                    }
                }
                Err(why) => *report.not_derivable.entry(why).or_default() += 1,
            }
        }
        ControlFlow::Continue(())
    })?;
    Ok(report)
}

/// Calls that another version of their mission says the same of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Forecasts {
    /// How many.
    pub calls: u64,
    /// The number of the newest one's decision, and its call.
    pub newest: (u64, Option<CallId>),
    /// What the other version says; `None` where that cannot be known.
    pub now: Option<Effect>,
    /// Why, by the newest: what the other version says, or what nobody looked at.
    pub sentence: String,
    /// The tool.
    pub tool: String,
    /// What was said.
    pub was: Effect,
}

impl Forecasts {
    /// What changes, in a word: `same`, `newly allowed`, `newly asked`, `newly denied` or `unknown`.
    #[must_use]
    pub fn change(&self) -> &'static str {
        match self.now {
            None => "unknown",
            Some(now) if now == self.was => "same",
            Some(Effect::Allow) => "newly allowed",
            Some(Effect::Ask) => "newly asked",
            Some(Effect::Deny) => "newly denied",
        }
    }
}

/// What `new` would have decided on the calls of its mission that are on record since `since`: each call once, by its first decision. Those where something changes come
/// first, then the most frequent. With them, why some calls could not be compared, and how many each. Keeps some 30 bytes for each call.
///
/// # Errors
/// The log cannot be read.
pub fn forecast_all(
    home: &Home,
    reader: &Reader,
    new: &PolicySnapshot,
    since: Timestamp,
    mut each: impl FnMut(u64),
) -> Result<(Vec<Forecasts>, BTreeMap<String, u64>), ReadError> {
    let mut policies = Policies::new(home);
    let (mut found, mut lost, mut seen) = (HashMap::<_, Forecasts>::new(), BTreeMap::new(), HashSet::new());
    let filter = Filter::And(vec![
        Filter::Term(Term::Type(vec![RecordType::DecisionRecord])),
        Filter::Term(Term::Value(Field::Mission, vec![Pattern::exactly(new.mission().name())])),
        Filter::Term(Term::After(since)),
    ]);
    let mut calls = 0;
    reader.visit(&filter, Order::OldestFirst, |record| {
        let Body::Decision(decision) = &record.body else { return ControlFlow::Continue(()) };
        let call = record.correlation.call;
        if call.is_some_and(|call| !seen.insert(call)) {
            return ControlFlow::Continue(());
        }
        calls += 1;
        if u64::is_multiple_of(calls, 1_024) {
            each(calls);
        }
        let forecast = match policies.of(decision) {
            Ok(old) => forecast(&record, decision, old, new),
            Err(why) => {
                *lost.entry(why).or_default() += 1;
                None
            }
        };
        let Some(Forecast { now, sentence, unseen, was, .. }) = forecast else { return ControlFlow::Continue(()) };
        let tool = decision.input.tool.to_string();
        let sentence = match now {
            None => format!("nobody looked at {}", unseen.join(", ")),
            Some(now) if now == was => String::new(),
            Some(_) => sentence.to_string(),
        };
        let newest = (record.seq, call);
        let group = found.entry((tool.clone(), was, now)).or_insert_with(|| Forecasts {
            calls: 0,
            newest,
            now,
            sentence: String::new(),
            tool,
            was,
        });
        group.calls += 1;
        group.newest = newest;
        group.sentence = sentence;
        ControlFlow::Continue(())
    })?;
    let mut found: Vec<Forecasts> = found.into_values().collect();
    found.sort_by(|one, other| {
        let rank = |it: &Forecasts| (it.change() == "same", std::cmp::Reverse(it.calls));
        rank(one)
            .cmp(&rank(other))
            .then_with(|| (&one.tool, one.was, one.now).cmp(&(&other.tool, other.was, other.now)))
    });
    Ok((found, lost))
}

/// The versions that decisions name, compiled once each.
struct Policies<'h> {
    compiled: HashMap<Policy, Result<PolicySnapshot, String>>,
    home: &'h Home,
}

impl<'h> Policies<'h> {
    fn new(home: &'h Home) -> Self {
        Self { compiled: HashMap::new(), home }
    }

    /// Decides again; or says why nobody can.
    fn rederive(&mut self, record: &Record, decision: &DecisionRecord) -> Result<Rederived, String> {
        if decision.reasons.first().is_some_and(|code| **code == *Reason::InvariantBroken.code()) {
            return self.suspended(record, decision);
        }
        self.of(decision).map(|policy| rederive(record, decision, policy))
    }

    /// The policy that a decision names; or says why it is not there.
    fn of(&mut self, decision: &DecisionRecord) -> Result<&PolicySnapshot, String> {
        let key = Policy { slice_sha256: None, ..decision.policy.clone() };
        let home = self.home;
        let policy = self.compiled.entry(key).or_insert_with(|| policy(home, &decision.policy));
        policy.as_ref().map_err(Clone::clone)
    }

    /// Of a mission that allowed nothing: it must break what the organisation demanded then.
    fn suspended(&self, record: &Record, decision: &DecisionRecord) -> Result<Rederived, String> {
        let mission = mission::parse(&source(self.home, &decision.policy.mission_sha256)?)
            .map_err(|_| unreadable(&decision.policy.mission_sha256))?;
        let bounds = bounds(self.home, &decision.policy)?.map(Arc::new);
        match compile_within_at(&mission, bounds.as_ref(), mission.name(), record.occurred_at) {
            Ok(policy) => Ok(rederive(record, decision, &policy)),
            Err(_) if decision.effect == Effect::Deny && decision.would.is_none() => Ok(Rederived::Same),
            Err(_) => Ok(Rederived::Different(vec![Difference {
                derived: Effect::Deny.to_string(),
                recorded: decision.effect.to_string(),
                what: "effect",
            }])),
        }
    }
}

/// The policy that a decision names, from the texts in the home.
fn policy(home: &Home, named: &Policy) -> Result<PolicySnapshot, String> {
    let mission =
        mission::parse(&source(home, &named.mission_sha256)?).map_err(|_| unreadable(&named.mission_sha256))?;
    let Some(bounds) = bounds(home, named)? else {
        if !groups_of(&mission).is_empty() {
            return Err(unreadable(&named.mission_sha256));
        }
        return compile(Arc::new(mission)).map_err(|_| unreadable(&named.mission_sha256));
    };
    let within = bounds.organisation().within(&mission).map_err(|_| unreadable(&named.mission_sha256))?;
    let policy = compile(Arc::new(within)).map_err(|_| unreadable(&named.mission_sha256))?;
    Ok(policy.within(Arc::new(bounds)))
}

fn source(home: &Home, sha256: &str) -> Result<String, String> {
    let lost = || format!("the home does not have version {} of its mission any more", short(sha256));
    let source = home.mission_source(sha256).ok_or_else(lost)?;
    if sha256_hex(source.as_bytes()) == *sha256 { Ok(source) } else { Err(lost()) }
}

fn bounds(home: &Home, named: &Policy) -> Result<Option<Bounds>, String> {
    let Some(sha256) = &named.organisation_sha256 else { return Ok(None) };
    let lost = || format!("the home does not have version {} of the organisation any more", short(sha256));
    kept_organisation(home, sha256).map(Some).ok_or_else(lost)
}

fn unreadable(sha256: &str) -> String {
    format!("this version of the program does not read version {} of its mission", short(sha256))
}

fn short(sha256: &str) -> &str {
    sha256.get(..12).unwrap_or(sha256)
}
