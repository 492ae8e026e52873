//! What the ledger knows of approvals: those that the book has forgotten, their records, and what a run executed before.

use std::ops::ControlFlow;
use std::sync::Arc;

use evidence::approvals::Approval;
use evidence::filter::{Filter, IdRange, SeqRange, Term};
use evidence::ids::{ApprovalId, RunId};
use evidence::leaf::sha256_hex;
use evidence::record::approval::ApprovalRecord;
use evidence::record::{Body, Context, Record, RecordType, Status};
use evidence::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use store::{Order, ReadError, Reader};

use super::{ApprovalView, Entry, Turn};
use crate::Gateway;
use crate::attachments::Attachments;
use crate::clock::now;
use crate::limits::BEFORE_MAX;

/// How long after its id was made a question is in the ledger, at most: its record waits for a sync.
const RECORDED_WITHIN_US: i64 = 60_000_000;

/// Something that a run executed before.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Before {
    /// When it ended.
    pub at: Timestamp,
    /// Whether it was the same tool with the same arguments.
    pub is_same: bool,
    /// How it ended.
    pub status: Status,
    /// The tool.
    pub tool: String,
}

/// One approval with everything that a person must see before they answer.
#[derive(Clone, Debug)]
pub struct Told {
    /// What its run executed before, the last ones, oldest first.
    pub before: Vec<Before>,
    /// The arguments that a person proposed instead, as JSON; `None` where nobody did, or this home does not have them any more.
    pub proposed: Option<String>,
    /// What reviewers are shown, in the bytes of its digest; `None` where this home does not have it any more.
    pub shown: Option<String>,
    /// What the person who asks may do about it.
    pub turn: Turn,
    /// The approval.
    pub view: ApprovalView,
}

/// What the run of a question executed before, the last ones; `shown` is what reviewers are shown.
///
/// # Errors
/// [`ReadError`].
pub fn before(reader: &Reader, shown: &Value) -> Result<Vec<Before>, ReadError> {
    let text = |name: &str| shown.get(name).and_then(Value::as_str).unwrap_or_default();
    let args_sha256 = sha256_hex(text("arguments").as_bytes());
    let mut before = Vec::new();
    let Ok(run) = text("run").parse::<RunId>() else { return Ok(before) };
    let filter = all([Term::Type(vec![RecordType::ActionRecord]), of_run(run)]);
    reader.visit(&filter, Order::NewestFirst, |record| {
        if let Body::Action(action) = &record.body
            && let Some(status) = action.status.filter(|status| *status != Status::NotExecuted)
        {
            let tool = action.tool.to_string();
            let is_same = action.args_sha256 == args_sha256 && tool == text("tool");
            before.push(Before { at: record.recorded_at, is_same, status, tool });
        }
        if before.len() < BEFORE_MAX { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    before.reverse();
    Ok(before)
}

/// Gives every record of an approval to `each`, oldest first, until it breaks.
fn visit(
    reader: &Reader,
    approval: ApprovalId,
    mut each: impl FnMut(&ApprovalRecord, &Record) -> ControlFlow<()>,
) -> Result<(), ReadError> {
    let asked_at = approval.minted_at();
    let kind = Term::Type(vec![RecordType::ApprovalRecord]);
    let (from, to) = (asked_at.plus_micros(-1_000_000), asked_at.plus_micros(RECORDED_WITHIN_US));
    let mut first = None;
    reader.visit(&all([kind.clone(), Term::After(from), Term::Before(to)]), Order::OldestFirst, |record| {
        if matches!(&record.body, Body::Approval(event) if event.approval == approval) {
            first = Some(record);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    let Some(first) = first else { return Ok(()) };
    let since = Term::Seq(vec![SeqRange { low: first.seq, high: u64::MAX }]);
    // Changes belong to no run.
    let wanted = match first.correlation.run {
        Some(run) => all([kind, of_run(run), since]),
        None => all([kind, since]),
    };
    reader.visit(&wanted, Order::OldestFirst, |record| match &record.body {
        Body::Approval(event) if event.approval == approval => each(event, &record),
        _ => ControlFlow::Continue(()),
    })
}

fn all<const N: usize>(terms: [Term; N]) -> Filter {
    Filter::And(terms.into_iter().map(Filter::Term).collect())
}

fn of_run(run: RunId) -> Term {
    Term::Run(vec![IdRange { low: run, high: run }])
}

/// The approval as its records tell it.
fn folded(reader: &Reader, id: ApprovalId) -> Result<Option<Entry>, ReadError> {
    let mut entry: Option<Entry> = None;
    visit(reader, id, |event, record| {
        match &mut entry {
            Some(entry) => {
                if let Err(illegal) = entry.approval.take(event, record.occurred_at) {
                    tracing::warn!(%illegal, seq = record.seq, "an approval goes on in a way in which it may not");
                }
            }
            None => {
                let begun = Approval::begin(event, record.occurred_at).ok();
                entry = begun.map(|fresh| Entry::new(fresh, record.correlation.call, Arc::new(context_of(record))));
            }
        }
        ControlFlow::Continue(())
    })?;
    Ok(entry)
}

/// In what context a record was made.
pub(super) fn context_of(record: &Record) -> Context {
    let correlation = &record.correlation;
    Context {
        agent: record.agent.clone(),
        context: correlation.context,
        initiator: record.initiator.clone(),
        mission: correlation.mission.clone(),
        run: correlation.run,
    }
}

impl Gateway {
    /// Everything about one approval, for `person`, whether the book has it or the ledger alone; `None` where there is none.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn tell_approval(&self, id: ApprovalId, person: &str) -> Result<Option<Told>, ReadError> {
        let (home, reader) = (self.home.clone(), self.ledger.reader()?);
        let known = self.approvals.get(id).map(|(approval, context, call)| Entry::new(approval, call, context));
        let read = tokio::task::spawn_blocking(move || {
            let entry = match known {
                Some(entry) => entry,
                None => match folded(&reader, id)? {
                    Some(entry) => entry,
                    None => return Ok(None),
                },
            };
            let kept = Attachments::of(&home).read(&entry.approval.question.shown_sha256);
            let kept = kept.unwrap_or_else(|error| {
                tracing::error!(%error, approval = %id, "what reviewers are shown cannot be read");
                None
            });
            let shown = kept.and_then(|bytes| String::from_utf8(bytes).ok());
            let view: Value = shown.as_deref().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
            let before = before(&reader, &view)?;
            let proposed = Self::proposed(&home, &entry.approval.reviews);
            Ok::<_, ReadError>(Some((entry, shown, proposed, before)))
        });
        let read = read.await.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()))?;
        let Some((entry, shown, proposed, before)) = read else { return Ok(None) };
        let turn = Turn::of(&entry.approval, self.people.in_force().as_deref(), person, now());
        Ok(Some(Told { before, proposed, shown, turn, view: entry.view() }))
    }

    /// The records of an approval after the first `skipped`, oldest first, so many at most.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn approval_records(
        &self,
        id: ApprovalId,
        skipped: usize,
        limit: usize,
    ) -> Result<Vec<Record>, ReadError> {
        let reader = self.ledger.reader()?;
        let read = tokio::task::spawn_blocking(move || {
            let (mut seen, mut records) = (0, Vec::new());
            visit(&reader, id, |_, record| {
                seen += 1;
                if seen > skipped {
                    records.push(record.clone());
                }
                if records.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
            Ok(records)
        });
        read.await.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use evidence::record::approval::{ApprovalEvent, Resolution};

    use super::super::ApprovalState;
    use super::super::pages::tests::requested;
    use super::*;
    use crate::home::Home;

    #[tokio::test]
    async fn what_the_book_does_not_have_is_told_from_the_ledger() {
        let folder = tempfile::tempdir().unwrap();
        let home = Home::find(Some(folder.path().join("home"))).unwrap();
        let gateway = Gateway::open(home, Duration::from_secs(1)).unwrap();
        let id = |number: u8| ApprovalId::at(now(), [number; 10]);
        let (wanted, other) = (id(1), id(2));
        let run = RunId::at(now(), [3; 10]);
        let context = Arc::new(Context { run: Some(run), ..Context::system() });
        // The other one's records lie between, in the same run; the call of the approval was taken back.
        for approval in [other, wanted] {
            gateway.note(context.clone(), requested(approval)).await.unwrap();
        }
        for approval in [wanted, other] {
            let question = requested(approval);
            let withdrawn = ApprovalRecord {
                event: ApprovalEvent::Resolved,
                question: None,
                resolution: Some(Resolution::Withdrawn),
                who: Some("tester".to_owned()),
                ..question
            };
            gateway.note(context.clone(), withdrawn).await.unwrap();
        }
        assert!(gateway.approvals.get(wanted).is_none(), "the book was not told");
        let told = gateway.tell_approval(wanted, "ana").await.unwrap().unwrap();
        assert_eq!((told.view.approval, told.view.state), (wanted, ApprovalState::Withdrawn));
        assert_eq!((told.shown, told.turn.answers.len()), (None, 0));
        assert!(gateway.tell_approval(id(9), "ana").await.unwrap().is_none());
        let records = gateway.approval_records(wanted, 0, 10).await.unwrap();
        let [_, second] = records.as_slice() else { panic!("{records:#?}") };
        let rest = gateway.approval_records(wanted, 1, 10).await.unwrap();
        assert_eq!(rest.iter().map(|record| record.seq).collect::<Vec<_>>(), [second.seq]);
        gateway.close().await;
    }
}
