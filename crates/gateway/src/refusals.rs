//! What was refused again and again, as evidence that nobody can flood: agents that were not let in, requests that no session knows of, calls beyond a limit.
//!
//! Whoever reaches the gateway can be refused as often as they like. So the first refusal of a kind opens an exception at once, further ones are counted in memory, and
//! the count is added to the exception when the window ends or the gateway stops. A crash loses the count of one window, and not that there was something.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use evidence::ids::ExceptionId;
use evidence::record::{Context, Draft, ExceptionEvent, ExceptionKind, ExceptionRecord};
use evidence::time::Timestamp;
use governance::limits::EXCEPTION_DUE_US;

use crate::Gateway;
use crate::clock::now;
use crate::driver::append_beside;
use crate::limits::{REFUSALS_MAX, REFUSALS_WINDOW};

/// The scope of what concerns no server, run or subject.
pub(crate) const GATEWAY: &str = "gateway";

/// What was refused in the present window.
#[derive(Debug, Default)]
pub(crate) struct Refusals(Mutex<HashMap<Sort, Counted>>);

/// What is counted as one: nothing in it is of an agent's choice, but for names that an issuer's signature vouches for.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Sort {
    pub(crate) kind: ExceptionKind,
    /// What sort of refusal.
    pub(crate) name: String,
    /// A server, a run, a subject, or the gateway.
    pub(crate) scope: String,
}

#[derive(Debug)]
struct Counted {
    exception: ExceptionId,
    further: u64,
    last: Timestamp,
    opened: Timestamp,
    reason: String,
}

/// What became of one refusal.
enum Noted {
    Counted,
    /// It is the first of its sort, and perhaps the first of the window.
    Opened {
        begins: bool,
        exception: ExceptionId,
        sort: Sort,
    },
}

impl Refusals {
    fn note(&self, sort: Sort, reason: &str, at: Timestamp, fresh: impl FnOnce() -> ExceptionId) -> Noted {
        let mut window = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let sort = if window.len() >= REFUSALS_MAX && !window.contains_key(&sort) {
            Sort { kind: sort.kind, name: "other".to_owned(), scope: GATEWAY.to_owned() }
        } else {
            sort
        };
        let begins = window.is_empty();
        if let Some(counted) = window.get_mut(&sort) {
            counted.further += 1;
            counted.last = at;
            return Noted::Counted;
        }
        let exception = fresh();
        let counted = Counted { exception, further: 0, last: at, opened: at, reason: reason.to_owned() };
        window.insert(sort.clone(), counted);
        Noted::Opened { begins, exception, sort }
    }

    /// Ends the window; gives what is to be added to its exceptions.
    fn end(&self) -> Vec<(Sort, Counted)> {
        let window = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        let mut further: Vec<_> = window.into_iter().filter(|(_, counted)| counted.further > 0).collect();
        further.sort_by_key(|(_, counted)| counted.exception);
        further
    }
}

impl Gateway {
    /// Takes note of somebody who is not let in at the console. Nothing in `name` and `scope` is of the caller's choice: they are what is counted as one.
    pub fn note_stranger(self: &Arc<Self>, name: &str, scope: &str, reason: &str) {
        let sort = Sort { kind: ExceptionKind::Access, name: name.to_owned(), scope: scope.to_owned() };
        self.note_refusal(sort, reason);
    }

    /// Records a refusal, or counts it. The reason is that of the first of its sort.
    pub(crate) fn note_refusal(self: &Arc<Self>, sort: Sort, reason: &str) {
        let at = now();
        let noted = self.refusals.note(sort, reason, at, || ExceptionId::at(at, self.entropy.bits()));
        let Noted::Opened { begins, exception, sort } = noted else { return };
        let mitigation = mitigation(sort.kind).to_owned();
        append_beside(self, vec![draft(ExceptionEvent::Opened, exception, (sort, reason.to_owned()), mitigation, at)]);
        if begins {
            let gateway = Arc::clone(self);
            tokio::spawn(async move {
                tokio::select! {
                    () = tokio::time::sleep(REFUSALS_WINDOW) => gateway.count_refusals().await,
                    // Whoever closes the gateway counts.
                    () = gateway.stopped() => {}
                }
            });
        }
    }

    /// Ends the window of refusals, and records how many there were.
    pub(crate) async fn count_refusals(&self) {
        let further = self.refusals.end().into_iter().map(|(sort, counted)| {
            let Counted { exception, further, last, opened, reason } = counted;
            let so_far = mitigation(sort.kind);
            let mitigation = format!("{so_far}; {further} more of the same sort, the last at {last}");
            draft(ExceptionEvent::Mitigated, exception, (sort, reason), mitigation, opened)
        });
        let further: Vec<_> = further.collect();
        if further.is_empty() {
            return;
        }
        if let Err(error) = self.ledger.append(further).await {
            tracing::error!(%error, "how often something was refused could not be recorded");
        }
    }
}

/// What was done about what is noted: nearly all of it is refused.
const fn mitigation(kind: ExceptionKind) -> &'static str {
    match kind {
        // Also of data in the result of a call that ran.
        ExceptionKind::Data => "what the mission says of the class was done",
        _ => "nothing was executed",
    }
}

fn draft(
    event: ExceptionEvent,
    exception: ExceptionId,
    (Sort { kind, scope, .. }, reason): (Sort, String),
    mitigation: String,
    opened: Timestamp,
) -> Draft {
    let body = ExceptionRecord {
        broken_glass: None,
        signed: None,
        due: Some(opened.plus_micros(EXCEPTION_DUE_US)),
        event,
        exception,
        kind,
        mitigation: Some(mitigation),
        owner: "operator".to_owned(),
        reason,
        scope,
        note: None,
        who: None,
    };
    Draft::new(Context::system().into(), None, now(), body)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sort(name: &str) -> Sort {
        Sort { kind: ExceptionKind::Access, name: name.to_owned(), scope: "upstream:erp".to_owned() }
    }

    fn at(micros: i64) -> Timestamp {
        Timestamp::from_micros(micros)
    }

    #[test]
    fn each_sort_opens_once_and_is_counted_after() {
        let refusals = Refusals::default();
        let mut opened = Vec::new();
        for (at_us, name) in ["a", "b", "a", "a", "b", "c"].into_iter().enumerate() {
            let at = at(i64::try_from(at_us).unwrap());
            let noted = refusals.note(sort(name), &format!("{name} at {at_us}"), at, || ExceptionId::at(at, [7; 10]));
            if let Noted::Opened { begins, sort, .. } = noted {
                assert_eq!(begins, opened.is_empty());
                opened.push(sort.name);
            }
        }
        assert_eq!(opened, ["a", "b", "c"]);
        let mut further: Vec<_> =
            refusals.end().into_iter().map(|(_, counted)| (counted.reason, counted.further, counted.last)).collect();
        further.sort();
        assert_eq!(further, [("a at 0".to_owned(), 2, at(3)), ("b at 1".to_owned(), 1, at(4))]);
        assert!(refusals.end().is_empty());
    }

    #[test]
    fn sorts_without_end_are_counted_as_one() {
        let refusals = Refusals::default();
        let mut opened = 0;
        for number in 0..3 * REFUSALS_MAX {
            let noted = refusals.note(sort(&number.to_string()), "", at(0), || ExceptionId::at(at(0), [7; 10]));
            opened += usize::from(matches!(noted, Noted::Opened { .. }));
        }
        assert_eq!(opened, REFUSALS_MAX + 1);
        let further = refusals.end();
        let [(_, counted)] = further.as_slice() else { panic!("{further:?}") };
        assert_eq!(counted.further, u64::try_from(2 * REFUSALS_MAX - 1).unwrap());
    }
}
