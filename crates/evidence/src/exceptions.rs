//! The life of an exception over its records: opened, mitigated, reviewed by somebody else, closed.
//!
//! A fold over the records of one exception: what state it is in, and whether the next event may follow. Whoever writes an event asks first, and whoever verifies a log asks
//! again. Start at [`Life::take`].

use std::collections::BTreeMap;

use serde::Serialize;

use crate::ids::{ApprovalId, ExceptionId};
use crate::leaf::sha256_hex;
use crate::limits::EXCEPTIONS_MAX;
use crate::record::{BrokenGlass, ExceptionEvent, ExceptionKind, ExceptionRecord, Signed};
use crate::time::Timestamp;

/// What a person's key signs of an exception, under a name that no other signature has.
#[must_use]
pub fn statement(record: &ExceptionRecord, nonce: &str, signed_at: Timestamp) -> Vec<u8> {
    /// Fields in the order of RFC 8785.
    #[derive(Serialize)]
    struct Statement<'a> {
        event: ExceptionEvent,
        exception: ExceptionId,
        nonce: &'a str,
        note_sha256: String,
        signed_at: Timestamp,
        v: u32,
        who: &'a str,
    }
    let statement = Statement {
        event: record.event,
        exception: record.exception,
        nonce,
        note_sha256: sha256_hex(record.note.as_deref().unwrap_or_default().as_bytes()),
        signed_at,
        v: 1,
        who: record.who.as_deref().unwrap_or_default(),
    };
    let mut bytes = b"countersign exception v1\n".to_vec();
    // Writing plain fields to memory cannot fail.
    let _ = serde_json::to_writer(&mut bytes, &statement);
    bytes
}

/// One exception.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Life {
    /// What a broken glass demands.
    pub broken_glass: Option<BrokenGlass>,
    /// When it must be closed; for a waiver, until when it holds.
    pub due: Option<Timestamp>,
    /// What kind.
    pub kind: ExceptionKind,
    /// What was done about it, in order.
    pub mitigations: Vec<String>,
    /// When it was found.
    pub opened_at: Timestamp,
    /// Who must see to it.
    pub owner: String,
    /// What happened.
    pub reason: String,
    /// Who looked at it.
    pub reviewer: Option<String>,
    /// What it touches.
    pub scope: String,
    /// Where in its life it is.
    pub state: ExceptionEvent,
    /// Who of the persons did something about it last.
    doer: Option<String>,
    /// Whether it is an exception of a mission, which ends with its day or with the version.
    ends_by_itself: bool,
}

/// Why an event may not follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Illegal {
    /// It is closed.
    #[error("the exception is closed; open another if there is more to it")]
    Closed,
    /// Nothing was done about it.
    #[error("nothing was done about the exception yet; `countersign exceptions mitigate` says what was")]
    NothingDone,
    /// Only a broken glass makes one.
    #[error("an exception of kind `break_glass` is opened by broken glass, and by nobody's hand")]
    NotByHand,
    /// Broken glass is looked at by those who were skipped.
    #[error(
        "broken glass is reviewed and closed by one of the groups that were skipped, who has nothing to do with the call and did not break it; sign with `--key`"
    )]
    NotIndependent,
    /// It was never opened.
    #[error("no exception with this id was opened")]
    NotOpened,
    /// Nobody looked at it since.
    #[error("nobody has reviewed what was done; `countersign exceptions review`, by somebody else than owner and doer")]
    NotReviewed,
    /// Its owner, or who did something about it, looks at their own work.
    #[error("somebody else than its owner and than who did something about it must review an exception")]
    OwnReview,
    /// There are more exceptions than are followed.
    #[error("there are more exceptions than are followed")]
    TooMany,
    /// It does not say who looked at it.
    #[error("a review without a reviewer")]
    Unnamed,
    /// A waiver needs a compensating control and an end.
    #[error("a waiver needs a compensating control and a date until which it holds")]
    UnboundedWaiver,
}

impl Life {
    /// The life that `record` begins.
    ///
    /// # Errors
    /// [`Illegal`].
    pub fn begin(record: &ExceptionRecord, at: Timestamp) -> Result<Self, Illegal> {
        if record.event != ExceptionEvent::Opened {
            return Err(Illegal::NotOpened);
        }
        if record.kind == ExceptionKind::Waiver && (record.due.is_none() || record.mitigation.is_none()) {
            return Err(Illegal::UnboundedWaiver);
        }
        // Broken glass is what a resolution says, and no person.
        let is_glass = record.kind == ExceptionKind::BreakGlass;
        if is_glass != record.broken_glass.is_some() || (is_glass && (record.due.is_none() || record.who.is_some())) {
            return Err(Illegal::NotByHand);
        }
        let mitigations: Vec<String> = record.mitigation.iter().cloned().collect();
        Ok(Self {
            broken_glass: record.broken_glass.clone(),
            due: record.due,
            kind: record.kind,
            mitigations,
            opened_at: at,
            owner: record.owner.clone(),
            reason: record.reason.clone(),
            reviewer: None,
            scope: record.scope.clone(),
            state: ExceptionEvent::Opened,
            doer: record.who.clone(),
            ends_by_itself: record.kind == ExceptionKind::Waiver && record.who.is_none(),
        })
    }

    /// Takes the next event.
    ///
    /// # Errors
    /// [`Illegal`]; the life is as it was.
    pub fn take(&mut self, record: &ExceptionRecord) -> Result<(), Illegal> {
        match (record.event, self.state) {
            // More of the same may be counted by the gateway after a person has closed it: then it is open again.
            (ExceptionEvent::Mitigated, ExceptionEvent::Closed) if record.who.is_some() => return Err(Illegal::Closed),
            (ExceptionEvent::Mitigated, _) => {
                self.mitigations.extend(record.mitigation.iter().cloned());
                self.doer = record.who.clone().or(self.doer.take());
                self.reviewer = None;
            }
            (_, ExceptionEvent::Closed) => return Err(Illegal::Closed),
            // What the gateway opened for a time it closes when that is over: nothing is left to look at.
            (ExceptionEvent::Closed, _) if self.ends_by_itself && record.who.is_none() => {}
            (ExceptionEvent::Reviewed | ExceptionEvent::Closed, _) if !self.is_fit(record) => {
                return Err(Illegal::NotIndependent);
            }
            (ExceptionEvent::Reviewed, _) => {
                let reviewer = record.who.as_ref().ok_or(Illegal::Unnamed)?;
                if self.mitigations.is_empty() {
                    return Err(Illegal::NothingDone);
                }
                if *reviewer == self.owner || self.doer.as_ref() == Some(reviewer) {
                    return Err(Illegal::OwnReview);
                }
                self.reviewer = Some(reviewer.clone());
            }
            (ExceptionEvent::Closed, _) if self.reviewer.is_none() => return Err(Illegal::NotReviewed),
            // The same exception found again says nothing new.
            (ExceptionEvent::Opened, _) => return Ok(()),
            (ExceptionEvent::Closed, _) => {}
        }
        self.state = record.event;
        Ok(())
    }

    /// Whether whoever wrote `record` may review and close it: where glass was broken, one who was skipped and has nothing to do with the call, by their signature.
    fn is_fit(&self, record: &ExceptionRecord) -> bool {
        let Some(glass) = &self.broken_glass else { return true };
        let is_out = |who: &String| glass.excluded.iter().any(|excluded| **excluded == **who);
        let is_of_them = |signed: &Signed| signed.groups.iter().any(|group| glass.groups.contains(group));
        record.who.as_ref().is_some_and(|who| !is_out(who)) && record.signed.as_ref().is_some_and(is_of_them)
    }

    /// Whether it should be closed by `at` and is not.
    #[must_use]
    pub fn is_overdue(&self, at: Timestamp) -> bool {
        self.state != ExceptionEvent::Closed && self.due.is_some_and(|due| due < at)
    }
}

/// All exceptions of a log, by their ids.
#[derive(Clone, Debug, Default)]
pub struct Lives {
    by_id: BTreeMap<ExceptionId, Life>,
    /// Those of broken glass.
    glasses: BTreeMap<ApprovalId, ExceptionId>,
}

impl Lives {
    /// Takes the next record about an exception.
    ///
    /// # Errors
    /// [`Illegal`].
    pub fn take(&mut self, record: &ExceptionRecord, at: Timestamp) -> Result<(), Illegal> {
        if let Some(life) = self.by_id.get_mut(&record.exception) {
            return life.take(record);
        }
        if self.by_id.len() >= EXCEPTIONS_MAX {
            return Err(Illegal::TooMany);
        }
        self.by_id.insert(record.exception, Life::begin(record, at)?);
        if let Some(glass) = &record.broken_glass {
            self.glasses.entry(glass.approval).or_insert(record.exception);
        }
        Ok(())
    }

    /// The exception of a broken glass.
    #[must_use]
    pub fn of_glass(&self, approval: ApprovalId) -> Option<&Life> {
        self.glasses.get(&approval).and_then(|id| self.by_id.get(id))
    }

    /// Whether a broken glass of `mission` should have been looked at by `at` and closed, and is not.
    #[must_use]
    pub fn is_glass_overdue(&self, mission: &str, at: Timestamp) -> bool {
        let of_mission = self
            .glasses
            .values()
            .filter_map(|id| self.by_id.get(id))
            .filter(|life| life.broken_glass.as_ref().is_some_and(|glass| *glass.mission == *mission));
        of_mission.into_iter().any(|life| life.is_overdue(at))
    }

    /// The exception with this id.
    #[must_use]
    pub fn get(&self, id: ExceptionId) -> Option<&Life> {
        self.by_id.get(&id)
    }

    /// All of them, the oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (&ExceptionId, &Life)> {
        self.by_id.iter()
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.by_id.len()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    fn record(event: ExceptionEvent, who: Option<&str>, mitigation: Option<&str>) -> ExceptionRecord {
        ExceptionRecord {
            broken_glass: None,
            signed: None,
            due: Some(Timestamp::from_micros(100)),
            event,
            exception: ExceptionId::from_bytes([1; 16]),
            kind: ExceptionKind::UnknownOutcome,
            mitigation: mitigation.map(str::to_owned),
            note: None,
            owner: "owner".to_owned(),
            reason: "r".to_owned(),
            scope: "s".to_owned(),
            who: who.map(str::to_owned),
        }
    }

    #[test]
    fn what_may_follow_what() {
        use ExceptionEvent::{Closed, Mitigated, Opened, Reviewed};
        let open = record(Opened, None, None);
        for (events, expected) in [
            (vec![record(Closed, Some("a"), None)], Some(Illegal::NotReviewed)),
            (vec![record(Reviewed, Some("a"), None)], Some(Illegal::NothingDone)),
            (
                vec![record(Mitigated, Some("a"), Some("m")), record(Reviewed, Some("a"), None)],
                Some(Illegal::OwnReview),
            ),
            (
                vec![record(Mitigated, Some("a"), Some("m")), record(Reviewed, Some("owner"), None)],
                Some(Illegal::OwnReview),
            ),
            (vec![record(Mitigated, Some("a"), Some("m")), record(Reviewed, None, None)], Some(Illegal::Unnamed)),
            (
                vec![record(Mitigated, Some("a"), Some("m")), record(Closed, Some("b"), None)],
                Some(Illegal::NotReviewed),
            ),
            (
                vec![
                    record(Mitigated, Some("a"), Some("m")),
                    record(Reviewed, Some("b"), None),
                    record(Mitigated, Some("b"), Some("more")),
                    record(Closed, Some("b"), None),
                ],
                Some(Illegal::NotReviewed),
            ),
            (
                vec![
                    record(Mitigated, Some("a"), Some("m")),
                    record(Reviewed, Some("b"), None),
                    record(Closed, Some("a"), None),
                ],
                None,
            ),
        ] {
            let mut life = Life::begin(&open, Timestamp::EPOCH).unwrap();
            let outcome = events.iter().map(|event| life.take(event)).find_map(Result::err);
            assert_eq!(outcome, expected, "{events:?}");
            if expected.is_none() {
                assert_eq!(life.state, Closed);
                assert_eq!(life.take(&record(Mitigated, Some("a"), Some("late"))), Err(Illegal::Closed));
                assert_eq!(life.take(&record(Reviewed, Some("b"), None)), Err(Illegal::Closed));
                // What the gateway counts after that opens it again.
                life.take(&record(Mitigated, None, Some("12 more"))).unwrap();
                assert_eq!((life.state, life.reviewer.as_deref()), (Mitigated, None));
            }
        }
        assert_eq!(Life::begin(&record(Mitigated, None, None), Timestamp::EPOCH), Err(Illegal::NotOpened));
    }

    #[test]
    fn broken_glass_is_reviewed_and_closed_by_whoever_was_skipped_and_signs() {
        use ExceptionEvent::{Closed, Mitigated, Opened, Reviewed};
        let glass = BrokenGlass {
            approval: ApprovalId::from_bytes([7; 16]),
            excluded: vec!["ana".into(), "otto".into()],
            groups: vec!["leads".into()],
            mission: "pay".into(),
        };
        let of_glass = |record: ExceptionRecord| ExceptionRecord { kind: ExceptionKind::BreakGlass, ..record };
        let opened = ExceptionRecord {
            broken_glass: Some(glass.clone()),
            ..of_glass(record(Opened, None, Some("once, for ten minutes")))
        };
        for by_hand in [
            ExceptionRecord { broken_glass: None, ..opened.clone() },
            ExceptionRecord { who: Some("otto".to_owned()), ..opened.clone() },
            ExceptionRecord { due: None, ..opened.clone() },
            ExceptionRecord { kind: ExceptionKind::Waiver, ..opened.clone() },
        ] {
            assert_eq!(Life::begin(&by_hand, Timestamp::EPOCH), Err(Illegal::NotByHand), "{by_hand:?}");
        }
        let signed = |event, who: &str, groups: &[&str]| ExceptionRecord {
            signed: Some(Signed {
                groups: groups.iter().map(|group| Arc::from(*group)).collect(),
                key: "k".to_owned(),
                nonce: "n".to_owned(),
                signature: "s".to_owned(),
                signed_at: Timestamp::EPOCH,
            }),
            ..of_glass(record(event, Some(who), None))
        };
        let mut lives = Lives::default();
        lives.take(&opened, Timestamp::EPOCH).unwrap();
        let (early, late) = (Timestamp::from_micros(100), Timestamp::from_micros(101));
        let overdue = |lives: &Lives, at| (lives.is_glass_overdue("pay", at), lives.is_glass_overdue("other", at));
        assert_eq!((overdue(&lives, early), overdue(&lives, late)), ((false, false), (true, false)));
        assert_eq!(lives.of_glass(glass.approval).and_then(|life| life.broken_glass.clone()), Some(glass));
        for event in [Reviewed, Closed] {
            for unfit in [
                of_glass(record(event, Some("bea"), None)),
                signed(event, "bea", &[]),
                signed(event, "bea", &["cleaners"]),
                signed(event, "otto", &["leads"]),
                signed(event, "ana", &["leads"]),
            ] {
                assert_eq!(lives.take(&unfit, late), Err(Illegal::NotIndependent), "{unfit:?}");
            }
        }
        assert_eq!(lives.take(&signed(Closed, "bea", &["leads"]), late), Err(Illegal::NotReviewed));
        // Whoever did something about it is not the one who looks at it.
        lives.take(&of_glass(record(Mitigated, Some("bea"), Some("called the bank"))), late).unwrap();
        assert_eq!(lives.take(&signed(Reviewed, "bea", &["leads"]), late), Err(Illegal::OwnReview));
        lives.take(&signed(Reviewed, "carl", &["leads"]), late).unwrap();
        assert!(overdue(&lives, late).0, "until it is closed");
        lives.take(&signed(Closed, "bea", &["leads"]), late).unwrap();
        assert!(!overdue(&lives, late).0);
    }

    #[test]
    fn a_waiver_has_a_control_and_an_end() {
        let waiver = ExceptionRecord {
            kind: ExceptionKind::Waiver,
            ..record(ExceptionEvent::Opened, Some("ana"), Some("two people look at each payment"))
        };
        let life = Life::begin(&waiver, Timestamp::EPOCH).unwrap();
        assert!(!life.is_overdue(Timestamp::from_micros(100)) && life.is_overdue(Timestamp::from_micros(101)));
        for bad in [ExceptionRecord { due: None, ..waiver.clone() }, ExceptionRecord { mitigation: None, ..waiver }] {
            assert_eq!(Life::begin(&bad, Timestamp::EPOCH), Err(Illegal::UnboundedWaiver));
        }
    }

    #[test]
    fn what_the_gateway_opened_for_a_time_it_closes_and_a_person_only_after_a_review() {
        let kind = ExceptionKind::Waiver;
        let waiver = |who| ExceptionRecord { kind, ..record(ExceptionEvent::Opened, who, Some("only one tool")) };
        let closed = |who| ExceptionRecord { kind, ..record(ExceptionEvent::Closed, who, None) };
        for (opener, closer, expected) in [
            (None, None, Ok(())),
            (None, Some("ana"), Err(Illegal::NotReviewed)),
            (Some("ana"), None, Err(Illegal::NotReviewed)),
        ] {
            let mut life = Life::begin(&waiver(opener), Timestamp::EPOCH).unwrap();
            assert_eq!(life.take(&closed(closer)), expected, "{opener:?} {closer:?}");
        }
        let mut other = Life::begin(&record(ExceptionEvent::Opened, None, Some("m")), Timestamp::EPOCH).unwrap();
        assert_eq!(other.take(&record(ExceptionEvent::Closed, None, None)), Err(Illegal::NotReviewed));
    }
}
