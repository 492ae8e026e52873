//! Exceptions of missions' lines about data, as evidence: a waiver is opened when one first lifts something in a version of a mission, and closed when it ends.
//!
//! Each use is on the decision's own record. Here is only that there was one, who answers for it, until when and why. It ends with its day, or with the version.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use evidence::filter::{Filter, Term};
use evidence::ids::ExceptionId;
use evidence::record::{Body, Context, Draft, ExceptionEvent, ExceptionKind, ExceptionRecord, RecordType};
use evidence::time::Timestamp;
use governance::decide::PolicySnapshot;
use governance::mission::Exception;
use governance::reason::Reason;
use store::{Order, Reader};

use crate::clock::now;
use crate::driver::append_beside;
use crate::{Gateway, OpenError};

/// The waivers of exceptions that lifted something, by their scopes.
#[derive(Debug, Default)]
pub(crate) struct Waivers(Mutex<HashMap<String, Waiver>>);

#[derive(Clone, Debug)]
struct Waiver {
    is_open: bool,
    /// As it was opened.
    record: ExceptionRecord,
}

/// The version of a mission and the rule that a waiver is about; `None` where it is about something else.
fn about(scope: &str) -> Option<(&str, &str)> {
    let (mission, rest) = scope.strip_prefix("mission:")?.split_once(':')?;
    let (version, _rule) = rest.split_once(':')?;
    Some((mission, version))
}

impl Waivers {
    /// Takes up what the ledger says. One that the gateway closed is forgotten: where its version holds again, it opens anew.
    pub(crate) fn restore(reader: &Reader) -> Result<Self, OpenError> {
        let mut waivers: HashMap<String, Waiver> = HashMap::new();
        reader.visit(&Filter::Term(Term::Type(vec![RecordType::ExceptionRecord])), Order::OldestFirst, |record| {
            let Body::Exception(exception) = record.body else { return ControlFlow::Continue(()) };
            if exception.kind != ExceptionKind::Waiver || about(&exception.scope).is_none() {
                return ControlFlow::Continue(());
            }
            let is_known =
                waivers.get(&exception.scope).is_some_and(|known| known.record.exception == exception.exception);
            match (exception.event, &exception.who) {
                (ExceptionEvent::Opened, None) => {
                    waivers.insert(exception.scope.clone(), Waiver { is_open: true, record: exception });
                }
                (ExceptionEvent::Closed, None) if is_known => drop(waivers.remove(&exception.scope)),
                (ExceptionEvent::Closed, Some(_)) if is_known => {
                    waivers.entry(exception.scope).and_modify(|known| known.is_open = false);
                }
                (ExceptionEvent::Closed | ExceptionEvent::Mitigated | ExceptionEvent::Reviewed, _)
                | (ExceptionEvent::Opened, Some(_)) => {}
            }
            ControlFlow::Continue(())
        })?;
        Ok(Self(Mutex::new(waivers)))
    }

    /// A person closed the exception.
    pub(crate) fn closed(&self, exception: ExceptionId) {
        let mut waivers = self.lock();
        waivers
            .values_mut()
            .filter(|known| known.record.exception == exception)
            .for_each(|known| known.is_open = false);
    }

    /// The record that opens the waiver of `exception`, where it lifts something for the first time.
    fn first(
        &self,
        exception: &Exception,
        policy: &PolicySnapshot,
        id: impl FnOnce() -> ExceptionId,
    ) -> Option<ExceptionRecord> {
        let mission = policy.mission();
        let scope = format!("mission:{}:{}:{}", mission.name(), mission.sha256(), exception.rule.id);
        let mut waivers = self.lock();
        if waivers.contains_key(&scope) {
            return None;
        }
        let record = ExceptionRecord {
            broken_glass: None,
            due: Some(exception.until),
            event: ExceptionEvent::Opened,
            exception: id(),
            kind: ExceptionKind::Waiver,
            mitigation: Some(format!(
                "only the line for `{}` is lifted, for one tool; each use is on record with `{}`",
                exception.class,
                Reason::DataExcepted
            )),
            note: None,
            owner: mission.owner().to_string(),
            reason: format!("{}: {}", exception.sentence, exception.why),
            scope: scope.clone(),
            signed: None,
            who: None,
        };
        waivers.insert(scope, Waiver { is_open: true, record: record.clone() });
        Some(record)
    }

    /// The waivers that have ended by `at`, each with why, where `version` says which version of a mission is in force.
    fn ended(&self, at: Timestamp, version: impl Fn(&str) -> Option<String>) -> Vec<(ExceptionRecord, &'static str)> {
        let mut waivers = self.lock();
        let is_gone = |waiver: &Waiver| {
            about(&waiver.record.scope).is_none_or(|(mission, of)| version(mission).as_deref() != Some(of))
        };
        waivers.retain(|_, waiver| waiver.is_open || !is_gone(waiver));
        let open = waivers.values().filter(|waiver| waiver.is_open);
        let ended = open.filter_map(|waiver| {
            let is_over = waiver.record.due.is_some_and(|due| due <= at);
            let why = match (is_over, is_gone(waiver)) {
                (true, _) => "its day is over, and the line holds as if it were not there",
                (false, true) => "the version of the mission that had it is no longer in force",
                (false, false) => return None,
            };
            Some((waiver.record.clone(), why))
        });
        ended.collect()
    }

    /// Forgets one that is closed: with its version, or for as long as that holds.
    fn forget(&self, record: &ExceptionRecord, at: Timestamp) {
        let mut waivers = self.lock();
        if record.due.is_some_and(|due| due <= at) {
            // Nothing rests on it any more.
            waivers.entry(record.scope.clone()).and_modify(|known| known.is_open = false);
        } else {
            waivers.remove(&record.scope);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Waiver>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Gateway {
    /// Opens a waiver for each exception by which one of `drafts` lets something through for the first time in this version of the mission: before them.
    pub(crate) fn note_waivers(&self, policy: &PolicySnapshot, drafts: &[Draft]) {
        let is_excepted = |reason: &Arc<str>| **reason == *Reason::DataExcepted.code();
        for draft in drafts {
            let Body::Decision(decision) = &draft.body else { continue };
            if !decision.reasons.iter().any(is_excepted) {
                continue;
            }
            let at = now();
            for exception in policy.mission().exceptions().filter(|exception| decision.rules.contains(&exception.rule))
            {
                let opened = self.waivers.first(&exception, policy, || ExceptionId::at(at, self.entropy.bits()));
                if let Some(record) = opened {
                    let context = Context { mission: Some(policy.mission().name().clone()), ..Context::system() };
                    append_beside(self, vec![Draft::new(context.into(), None, at, record)]);
                }
            }
        }
    }

    /// Closes the waivers of exceptions that are over, or that no version in force has.
    pub async fn tend_waivers(&self) {
        let _one_at_a_time = self.excepting.lock().await;
        let at = now();
        for (opened, why) in self.waivers.ended(at, |mission| self.missions.accepted_version(mission)) {
            let mission = about(&opened.scope).map(|(mission, _)| mission.into());
            let record = ExceptionRecord {
                event: ExceptionEvent::Closed,
                mitigation: None,
                note: Some(why.to_owned()),
                ..opened.clone()
            };
            match self.note(Context { mission, ..Context::system() }.into(), record).await {
                Ok(_) => self.waivers.forget(&opened, at),
                Err(error) => return tracing::error!(%error, "the end of an exception could not be recorded"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use governance::decide::compile;
    use governance::mission::parse;

    use super::*;

    const MISSION: &str = r#"
mission = "newsletter"
goal    = "Show an exception."
owner   = "it@corp.example"
agents  = ["bot"]
until   = 2026-12-31
why     = "First version."

[allow.mcp.mail]
send = {}

[data]
pii = { else = "deny", except = [{ tool = "mcp:mail/send", in = "arguments", until = 2026-12-10T00:00:00Z, why = "Pilot." }] }
"#;

    #[test]
    fn a_waiver_opens_once_in_a_version_and_ends_with_its_day_or_the_version() {
        let policy = |source: &str| compile(Arc::new(parse(source).unwrap())).unwrap();
        let (first, second) = (policy(MISSION), policy(&MISSION.replace("First", "Second")));
        let waivers = Waivers::default();
        let mut drawn = 0;
        let mut opens = |policy: &PolicySnapshot| {
            let exception = policy.mission().exceptions().next().unwrap();
            drawn += 1;
            waivers.first(&exception, policy, || ExceptionId::from_bytes([drawn; 16]))
        };
        let opened = opens(&first).unwrap();
        assert_eq!(
            (opened.kind, opened.event, &*opened.owner),
            (ExceptionKind::Waiver, ExceptionEvent::Opened, "it@corp.example")
        );
        assert_eq!(opened.reason, "`pii` may go to `mcp:mail/send` until `2026-12-10T00:00:00Z`: Pilot.");
        assert_eq!(opened.due, Some("2026-12-10T00:00:00Z".parse().unwrap()));
        assert!(opens(&first).is_none(), "it is open");
        let ended = |policy: &PolicySnapshot, at: &str| {
            let version = policy.mission().sha256().to_string();
            waivers.ended(at.parse().unwrap(), |mission| (mission == "newsletter").then(|| version.clone()))
        };
        assert!(ended(&first, "2026-12-09T23:59:59.999999Z").is_empty());
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        // Another version: the one waiver ends, and the other opens.
        let over = ended(&second, "2026-12-01T00:00:00Z");
        assert!(matches!(over.as_slice(), [(record, why)] if *record == opened && why.contains("version")), "{over:?}");
        waivers.forget(&opened, at("2026-12-01T00:00:00Z"));
        let again = opens(&second).unwrap();
        assert_ne!(again.exception, opened.exception);
        let over = ended(&second, "2026-12-10T00:00:00Z");
        assert!(matches!(over.as_slice(), [(record, why)] if *record == again && why.contains("day")), "{over:?}");
        waivers.forget(&again, at("2026-12-10T00:00:00Z"));
        assert!(ended(&second, "2026-12-11T00:00:00Z").is_empty(), "it is closed");
        assert!(opens(&second).is_none(), "it does not open again");
        // What a person closed stays closed while its version holds.
        let third = policy(&MISSION.replace("First", "Third"));
        waivers.closed(opens(&third).unwrap().exception);
        assert!(ended(&third, "2026-12-11T00:00:00Z").is_empty() && opens(&third).is_none());
    }
}
