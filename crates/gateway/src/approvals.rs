//! The approvals of a home: what people are asked, what they answered, and which calls wait.
//!
//! A book in memory, taken up from the ledger when it is opened: every approval is the fold of its records. A use is taken under the book's lock before it is recorded with
//! the intent, so that no two calls take the same one. Calls and changes consult it (`calls`, `changes`), people answer (`answers`), and clocks end what is in it (`clocks`).

mod answers;
mod calls;
mod changes;
mod clocks;
mod edits;
#[cfg(test)]
mod explore;
mod glass;
pub mod history;
mod outcomes;
mod pages;
mod parked;
mod reach;
mod release;
mod standing;
mod turn;
mod view;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use evidence::approvals::{Approval, State};
use evidence::filter::{Filter, Term};
use evidence::ids::{ApprovalId, CallId, RunId};
use evidence::record::approval::{ApprovalEvent, ApprovalRecord, Question};
use evidence::record::{Body, Context, ExceptionKind, ExceptionRecord, RecordType};
use evidence::time::Timestamp;
use governance::approve::Granted;
use store::{Order, ReadError, Reader};
use tokio::sync::{broadcast, watch};

use crate::clock::{instant, now, sleep_until};
use crate::home::Home;
use crate::limits::{APPROVALS_KEPT_MAX, NEWS_MAX};
use crate::runs::Runs;
pub use answers::{Channel, Counted, ReviewError, Reviewed};
pub(crate) use changes::Settled;
use edits::Proposed;
pub(crate) use outcomes::Using;
use outcomes::{Taken, Use, UsedBy};
pub use pages::{Page, Wanted};
pub(crate) use parked::ParkedCalls;
pub use standing::AskError;
pub use turn::Turn;
pub use view::{ApprovalState, ApprovalView};

/// What the scope of an exception about an approval begins with.
const SCOPE: &str = "approval:";

/// All approvals.
#[derive(Debug, Default)]
pub(crate) struct Approvals {
    book: Mutex<Book>,
    /// One person answers at a time.
    reviewing: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct Book {
    by_call: HashMap<(RunId, String), ApprovalId>,
    /// Those that are about changes.
    changes: BTreeSet<ApprovalId>,
    /// Those whose calls were edited.
    edited: BTreeSet<ApprovalId>,
    entries: BTreeMap<ApprovalId, Entry>,
    /// Those that are standing grants, or ask for one.
    standing: BTreeSet<ApprovalId>,
    /// Bytes of results that are kept.
    kept_bytes: u64,
    news: broadcast::Sender<News>,
    /// Those that are open: an inbox is a page of them.
    open: BTreeSet<ApprovalId>,
}

impl Default for Book {
    fn default() -> Self {
        Self {
            by_call: HashMap::new(),
            changes: BTreeSet::new(),
            edited: BTreeSet::new(),
            entries: BTreeMap::new(),
            kept_bytes: 0,
            news: broadcast::Sender::new(NEWS_MAX),
            open: BTreeSet::new(),
            standing: BTreeSet::new(),
        }
    }
}

/// Something about an approval is not as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct News {
    /// Which.
    pub approval: ApprovalId,
    /// Where in its life it is now.
    pub state: ApprovalState,
}

/// One approval, and who waits for it.
#[derive(Debug)]
struct Entry {
    approval: Approval,
    call: Option<CallId>,
    /// When it became as it is.
    changed_at: Timestamp,
    context: Arc<Context>,
    /// The conditions of a standing grant; `None` of any other, and where they are not here any more: then it covers nothing.
    granted: Option<Arc<Granted>>,
    /// Whether an answer is on its way to the ledger, which was in time.
    is_answering: bool,
    /// Whether the agent knows how it ended.
    is_told: bool,
    /// Whether an exception says that its quorum is out of reach.
    is_warned: bool,
    /// When it was last looked at whether those who are left are enough.
    looked_at: Timestamp,
    /// The arguments that a person proposed instead of those of its call.
    proposed: Option<Proposed>,
    /// The gates that those who are left cannot satisfy.
    unreachable: Vec<Arc<str>>,
    /// Executions whose outcomes the agent may not have, by the number of the use.
    uses: BTreeMap<u32, Use>,
    /// Changes when it does.
    wake: watch::Sender<u64>,
}

impl Approvals {
    /// Takes up what the ledger says. What may not follow is left out: verification names it.
    pub(crate) fn restore(home: &Home, runs: &Runs, reader: &Reader) -> Result<Self, ReadError> {
        let (mut book, mut taken_uses) = (Book::default(), Vec::new());
        let filter = Filter::Term(Term::Type(vec![RecordType::ApprovalRecord, RecordType::ExceptionRecord]));
        reader.visit(&filter, Order::OldestFirst, |record| {
            if let Body::Exception(exception) = &record.body {
                book.heed(exception);
            }
            let Body::Approval(approval) = &record.body else { return ControlFlow::Continue(()) };
            let taken = match book.entries.get_mut(&approval.approval) {
                Some(entry) => {
                    entry.changed_at = record.occurred_at;
                    entry.approval.take(approval, record.occurred_at)
                }
                None => Approval::begin(approval, record.occurred_at).map(|fresh| {
                    let context = Arc::new(history::context_of(&record));
                    book.put(Entry::new(fresh, record.correlation.call, context));
                }),
            };
            if let (ApprovalEvent::Consumed, Some(used), Some(call)) =
                (approval.event, approval.used, record.correlation.call)
            {
                let by = approval.covers_sha256.as_ref().map(|covers_sha256| UsedBy {
                    context: Arc::new(history::context_of(&record)),
                    covers_sha256: covers_sha256.clone(),
                    facets: approval.facets.clone(),
                });
                taken_uses.push(Taken { approval: approval.approval, by: by.map(Arc::new), call, used });
            }
            if let Err(illegal) = taken {
                tracing::warn!(%illegal, seq = record.seq, "an approval goes on in a way in which it may not");
            }
            ControlFlow::Continue(())
        })?;
        let open = book.entries.iter().filter(|(_, entry)| entry.is_open()).map(|(id, _)| *id).collect();
        book.open = open;
        book.restore_edits(home);
        book.restore_standing(home);
        Self::restore_outcomes(&mut book, &taken_uses, home, runs, reader)?;
        Ok(Self { book: Mutex::new(book), reviewing: tokio::sync::Mutex::default() })
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // Every change is one step on one entry: a panic in between leaves nothing half done.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Gives back a use that was taken and is not recorded.
    pub(crate) fn give_back(&self, approval: ApprovalId, used: u32) {
        let _known = self.book().change(approval, |entry| {
            let by = entry.uses.remove(&used).and_then(|known| known.by);
            entry.approval.give_back(used, by.as_ref().map_or(&[], |by| &by.facets));
            entry.wake.send_modify(|count| *count += 1);
        });
    }

    /// Forgets a question that could not be recorded.
    pub(crate) fn forget(&self, approval: ApprovalId) {
        let mut book = self.book();
        if let Some(entry) = book.entries.remove(&approval) {
            book.open.remove(&approval);
            book.by_call.retain(|_, known| *known != approval);
            book.changes.remove(&approval);
            book.standing.remove(&approval);
            entry.wake.send_modify(|count| *count += 1);
        }
    }

    /// Resolves when the approval is not open any more and nothing is executed by it, when its time to answer is over, or anything else of it changes.
    pub(crate) async fn answered(&self, approval: ApprovalId) {
        let Some((mut wake, respond_by)) = self.book().entries.get(&approval).and_then(|entry| {
            let respond_by = entry.is_open().then_some(entry.approval.question.respond_by);
            (entry.is_open() || entry.is_running()).then(|| (entry.wake.subscribe(), respond_by))
        }) else {
            return;
        };
        let Some(respond_by) = respond_by else {
            // An error says that it is forgotten.
            let _changed = wake.changed().await;
            return;
        };
        let left = u64::try_from(respond_by.micros_since(now())).unwrap_or_default().saturating_add(1_000);
        tokio::select! {
            _changed = wake.changed() => {}
            () = sleep_until(instant() + std::time::Duration::from_micros(left)) => {}
        }
    }

    /// In whose name an approval is.
    pub(crate) fn context_of(&self, approval: ApprovalId) -> Option<Arc<Context>> {
        self.book().entries.get(&approval).map(|entry| entry.context.clone())
    }

    /// What people are asked, where the book has it.
    pub(crate) fn question(&self, approval: ApprovalId) -> Option<Question> {
        self.book().entries.get(&approval).map(|entry| entry.approval.question.clone())
    }

    /// The approval, if it is one of `run`.
    pub(crate) fn of_run(&self, run: RunId, approval: ApprovalId) -> Option<ApprovalView> {
        let book = self.book();
        book.entries.get(&approval).filter(|entry| entry.context.run == Some(run)).map(Entry::view)
    }

    fn get(&self, approval: ApprovalId) -> Option<(Approval, Arc<Context>, Option<CallId>)> {
        let book = self.book();
        let entry = book.entries.get(&approval)?;
        Some((entry.approval.clone(), entry.context.clone(), entry.call))
    }

    /// Takes records that are durable.
    fn take(&self, approval: ApprovalId, records: &[ApprovalRecord], at: Timestamp) {
        let _known = self.book().change(approval, |entry| {
            for record in records {
                if let Err(illegal) = entry.approval.take(record, at) {
                    tracing::error!(%illegal, %approval, "a record of an approval does not follow from those before it");
                }
            }
            entry.looked_at = Timestamp::EPOCH;
            entry.wake.send_modify(|count| *count += 1);
        });
    }
}

impl Book {
    fn put(&mut self, entry: Entry) {
        if self.entries.len() >= APPROVALS_KEPT_MAX {
            self.forget_oldest();
        }
        if let Some(run) = entry.context.run {
            self.by_call.insert((run, entry.approval.call_sha256.clone()), entry.approval.approval);
        }
        if entry.is_change() {
            self.changes.insert(entry.approval.approval);
        }
        if entry.approval.question.standing.is_some() {
            self.standing.insert(entry.approval.approval);
        }
        if entry.is_open() {
            self.open.insert(entry.approval.approval);
        }
        let _nobody_listens = self.news.send(entry.news());
        self.entries.insert(entry.approval.approval, entry);
    }

    /// Changes one entry, if it is there.
    fn change<T>(&mut self, approval: ApprovalId, change: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        let entry = self.entries.get_mut(&approval)?;
        let before = entry.stands();
        let changed = change(entry);
        if entry.stands() != before {
            entry.changed_at = now();
            let _nobody_listens = self.news.send(entry.news());
        }
        match entry.is_open() {
            true => self.open.insert(approval),
            false => self.open.remove(&approval),
        };
        Some(changed)
    }

    /// Takes note of an exception that is about an approval.
    fn heed(&mut self, exception: &ExceptionRecord) {
        let about = exception.scope.strip_prefix(SCOPE).and_then(|id| id.parse().ok());
        if let Some(entry) = about.and_then(|id: ApprovalId| self.entries.get_mut(&id))
            && exception.kind == ExceptionKind::Approval
        {
            entry.is_warned = true;
        }
    }

    /// Forgets a tenth of those that are over, the oldest; they stay in the ledger.
    fn forget_oldest(&mut self) {
        let mut over: Vec<ApprovalId> =
            self.entries.values().filter(|entry| entry.is_over()).map(|entry| entry.approval.approval).collect();
        over.sort_unstable();
        over.truncate(APPROVALS_KEPT_MAX / 10);
        for approval in &over {
            self.entries.remove(approval);
            self.changes.remove(approval);
            self.edited.remove(approval);
            self.standing.remove(approval);
        }
        self.by_call.retain(|_, approval| !over.contains(approval));
    }
}

impl Entry {
    fn new(approval: Approval, call: Option<CallId>, context: Arc<Context>) -> Self {
        Self {
            changed_at: approval.opened_at,
            approval,
            call,
            context,
            granted: None,
            is_answering: false,
            is_told: false,
            is_warned: false,
            looked_at: Timestamp::EPOCH,
            proposed: None,
            unreachable: Vec::new(),
            uses: BTreeMap::new(),
            wake: watch::Sender::new(0),
        }
    }

    fn is_open(&self) -> bool {
        self.approval.state == State::Open
    }

    /// Whether nothing can be made of it any more.
    fn is_over(&self) -> bool {
        let is_settled = match &self.approval.state {
            State::Open => false,
            State::Approved(grant) => self.approval.used() >= grant.uses,
            State::Denied(_)
            | State::Edited(_)
            | State::Expired
            | State::Released
            | State::Revoked
            | State::Withdrawn => true,
        };
        is_settled && self.uses.is_empty()
    }

    /// What a change of it changes.
    fn stands(&self) -> (ApprovalState, [usize; 2], [u32; 2]) {
        let Approval { escalated, reminded, reviews, .. } = &self.approval;
        (ApprovalState::of(&self.approval), [escalated.len(), reviews.len()], [reminded.0, self.approval.used()])
    }

    fn news(&self) -> News {
        News { approval: self.approval.approval, state: ApprovalState::of(&self.approval) }
    }

    fn event(&self, event: ApprovalEvent) -> ApprovalRecord {
        ApprovalRecord {
            approval: self.approval.approval,
            call_sha256: self.approval.call_sha256.clone(),
            covers_sha256: None,
            event,
            facets: Vec::new(),
            gate: None,
            gates_sha256: self.approval.gates_sha256.clone(),
            grant: None,
            question: None,
            resolution: None,
            review: None,
            tool: self.approval.tool.clone(),
            used: None,
            who: None,
            why: None,
        }
    }
}
