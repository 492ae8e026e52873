//! What approved calls came to, until their clients have it: kept sealed in the home, handed to an identical call, and forgotten.
//!
//! Which outcome is kept for whom is in the book of approvals, and in the ledger for the book of the next start; only the bytes are here. Start at [`Using`], which is
//! what the driver of one call knows of all this.

use std::collections::HashSet;
use std::fs::{self, DirBuilder};
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;
use evidence::filter::{Filter, IdRange, Term};
use evidence::ids::{ApprovalId, CallId, RunId};
use evidence::leaf::sha256_hex;
use evidence::record::approval::{ApprovalEvent, ApprovalRecord};
use evidence::record::{ActionEvent, Body, Context, Draft, ExceptionKind, Facet, RecordType, Status};
use evidence::time::Timestamp;
use governance::approve::{Consulted, Executed};
use governance::call::{Replayed, Reply};
use governance::reason::Reason;
use store::{Order, ReadError, Reader};
use surfaces::govern::{Answered, Receipt};

use super::{Approvals, Book, Entry};
use crate::Gateway;
use crate::blocking::blocking;
use crate::clock::now;
use crate::driver::append_beside;
use crate::home::Home;
use crate::limits::{OUTCOME_BYTES_MAX, OUTCOME_GRACE_US, OUTCOMES_BYTES_MAX};
use crate::runs::{Runs, Standing};
use crate::seal::{OVERHEAD_BYTES, Seal, SealError};

/// A use of an approval whose outcome its agent may not have.
#[derive(Debug)]
pub(super) struct Use {
    /// Which call it was taken for, of a standing grant; of any other it is the one that was asked about.
    pub(super) by: Option<Arc<UsedBy>>,
    pub(super) stands: Stands,
}

/// The call that uses a standing grant.
#[derive(Clone, Debug)]
pub(super) struct UsedBy {
    pub(super) context: Arc<Context>,
    /// What it is bound to.
    pub(super) covers_sha256: String,
    /// What the conditions saw of it.
    pub(super) facets: Vec<Facet>,
}

/// How a use stands.
#[derive(Debug)]
pub(super) enum Stands {
    /// It was executed.
    Ended {
        /// How many bytes are kept of it.
        bytes: u64,
        /// When it was handed to a client; those who waited for it meanwhile still get it.
        delivered_at: Option<Timestamp>,
        executed: Executed,
    },
    /// It is being executed.
    Running,
}

/// A use that was recorded before this start.
#[derive(Debug)]
pub(super) struct Taken {
    pub(super) approval: ApprovalId,
    pub(super) by: Option<Arc<UsedBy>>,
    pub(super) call: CallId,
    pub(super) used: u32,
}

impl Use {
    pub(super) const fn running(by: Option<Arc<UsedBy>>) -> Self {
        Self { by, stands: Stands::Running }
    }

    /// Whether it is one of a call of `run` that is bound to `call_sha256`.
    fn is_of(&self, run: RunId, call_sha256: &str) -> bool {
        self.by.as_ref().is_none_or(|by| by.context.run == Some(run) && by.covers_sha256 == call_sha256)
    }
}

impl Entry {
    /// Whether a call is being executed by it.
    pub(super) fn is_running(&self) -> bool {
        self.uses.values().any(|known| matches!(known.stands, Stands::Running))
    }

    /// What it says of what was executed for the call of `run` that is bound to `call_sha256` and not handed out; a call that has waited gets it also where another one has it
    /// by now.
    pub(super) fn recall(&self, run: RunId, call_sha256: &str, is_awaited: bool) -> Option<Consulted> {
        let of_call = || self.uses.values().filter(|known| known.is_of(run, call_sha256));
        let ended = of_call().filter_map(|known| match &known.stands {
            Stands::Ended { delivered_at, executed, .. } => Some((delivered_at.is_some(), executed)),
            Stands::Running => None,
        });
        let approval = self.approval.approval;
        let last = ended.clone().map(|(_, executed)| executed.used).max();
        let fitting = |(is_delivered, executed): (bool, &Executed)| {
            let fits = !is_delivered || (is_awaited && last == Some(executed.used));
            fits.then(|| Consulted::Replayed { approval, executed: Box::new(executed.clone()) })
        };
        let is_running = || of_call().any(|known| matches!(known.stands, Stands::Running));
        { ended }.find_map(fitting).or_else(|| is_running().then_some(Consulted::Running(approval)))
    }
}

impl Approvals {
    /// A call was executed. What did not run leaves nothing to hand out.
    fn ended(&self, approval: ApprovalId, executed: Executed, bytes: u64) {
        let mut book = self.book();
        book.kept_bytes += bytes;
        let _known = book.change(approval, |entry| {
            match executed.status {
                Status::NotExecuted => drop(entry.uses.remove(&executed.used)),
                _ => {
                    let by = entry.uses.get(&executed.used).and_then(|known| known.by.clone());
                    let used = executed.used;
                    let stands = Stands::Ended { bytes, delivered_at: None, executed };
                    entry.uses.insert(used, Use { by, stands });
                }
            }
            entry.wake.send_modify(|count| *count += 1);
        });
    }

    /// Nothing is known of a use but that it was taken: its records could not be written, and so nothing can.
    fn lost(&self, approval: ApprovalId, used: u32) {
        let _known = self.book().change(approval, |entry| {
            entry.uses.remove(&used);
            entry.wake.send_modify(|count| *count += 1);
        });
    }

    /// The outcome of a use was handed to a live client; gives what is to be recorded of that, the first time.
    fn delivered(&self, approval: ApprovalId, used: u32, at: Timestamp) -> Option<(ApprovalRecord, Arc<Context>)> {
        self.book().change(approval, |entry| {
            let record = ApprovalRecord { used: Some(used), ..entry.event(ApprovalEvent::Delivered) };
            entry.approval.take(&record, at).ok()?;
            let known = entry.uses.get_mut(&used);
            let by = known.as_ref().and_then(|known| known.by.clone());
            if let Some(Use { stands: Stands::Ended { delivered_at, .. }, .. }) = known {
                *delivered_at = Some(at);
            }
            Some((record, by.map_or_else(|| entry.context.clone(), |by| by.context.clone())))
        })?
    }

    /// Takes up which outcomes were not handed out, of runs that are open; those of others nobody can ask for.
    pub(super) fn restore_outcomes(
        book: &mut Book,
        taken: &[Taken],
        home: &Home,
        runs: &Runs,
        reader: &Reader,
    ) -> Result<(), ReadError> {
        let outcomes = Outcomes::of(home);
        let is_wanted = |Taken { approval, by, used, .. }: &&Taken| {
            book.entries.get(approval).is_some_and(|entry| {
                let run = by.as_ref().map_or(entry.context.run, |by| by.context.run).and_then(|run| runs.find(run));
                !entry.approval.delivered.contains(used) && run.is_some_and(|run| run.standing(now()) == Standing::Open)
            })
        };
        let wanted: Vec<&Taken> = taken.iter().filter(is_wanted).collect();
        let mut kept = HashSet::new();
        for Taken { approval, by, call, used } in wanted {
            let (approval, call, used) = (*approval, *call, *used);
            // Each attempt at a call takes a use of its own.
            let mut attempts = taken.iter().filter(|other| other.call == call);
            let attempt = attempts.position(|one| one.used == used && one.approval == approval);
            let ended = outcomes_of(reader, call)?.into_iter().nth(attempt.unwrap_or(0));
            let Some((executed, bytes)) = ended.filter(|(executed, _)| executed.status != Status::NotExecuted) else {
                continue;
            };
            let is_kept = executed.kept_sha256.is_some() && outcomes.file(call).is_file();
            let bytes = if is_kept { bytes } else { 0 };
            let executed = Executed { kept_sha256: executed.kept_sha256.filter(|_| is_kept), used, ..executed };
            kept.extend(is_kept.then_some(call));
            book.kept_bytes += bytes;
            if let Some(by) = by {
                book.by_call.extend(by.context.run.map(|run| ((run, by.covers_sha256.clone()), approval)));
            }
            if let Some(entry) = book.entries.get_mut(&approval) {
                let stands = Stands::Ended { bytes, delivered_at: None, executed };
                entry.uses.insert(used, Use { by: by.clone(), stands });
            }
        }
        outcomes.forget_all_but(&kept);
        Ok(())
    }
}

/// Every recorded outcome of a call, with the size of its result, and the exception that one of them opened.
fn outcomes_of(reader: &Reader, call: CallId) -> Result<Vec<(Executed, u64)>, ReadError> {
    let of_call = Filter::And(vec![
        Filter::Term(Term::Type(vec![RecordType::ActionRecord, RecordType::ExceptionRecord])),
        Filter::Term(Term::Call(vec![IdRange { low: call, high: call }])),
    ]);
    let (mut found, mut exception) = (Vec::new(), None);
    reader.visit(&of_call, Order::OldestFirst, |record| {
        match &record.body {
            Body::Action(action) if action.event == ActionEvent::Outcome => {
                let Some(status) = action.status else { return ControlFlow::Continue(()) };
                let reason = Reason::ALL.iter().find(|reason| Some(reason.code()) == action.reason.as_deref()).copied();
                let kept_sha256 = action.result_sha256.clone();
                let executed = Executed { call, exception: None, kept_sha256, reason, status, used: 0 };
                found.push((executed, action.result_bytes.unwrap_or(0)));
            }
            Body::Exception(opened) if opened.kind == ExceptionKind::UnknownOutcome => {
                exception = exception.or(Some(opened.exception));
            }
            _ => {}
        }
        ControlFlow::Continue(())
    })?;
    for (executed, _) in found.iter_mut().filter(|(executed, _)| executed.status == Status::Unknown) {
        executed.exception = exception;
    }
    Ok(found)
}

/// The results that are kept in a home, each in a file of its own.
#[derive(Clone, Debug)]
struct Outcomes {
    folder: PathBuf,
    seal: Seal,
}

impl Outcomes {
    fn of(home: &Home) -> Self {
        let seal = Seal::new(home.path().join("keys/outcomes.aes"), "countersign outcome");
        Self { folder: home.path().join("outcomes"), seal }
    }

    fn file(&self, call: CallId) -> PathBuf {
        self.folder.join(format!("{call}.sealed"))
    }

    fn keep(&self, call: CallId, result: &[u8]) -> Result<(), SealError> {
        let io = |source| SealError::Io { path: self.folder.clone(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(io)?;
        self.seal.put(&self.file(call), &call.to_string(), result.to_vec())
    }

    /// The result of a call, where it is the one with this digest.
    fn read(&self, call: CallId, sha256: &str) -> Result<Option<Bytes>, SealError> {
        let result = self.seal.open(&self.file(call), &call.to_string(), OUTCOME_BYTES_MAX + OVERHEAD_BYTES)?;
        Ok(result.filter(|result| sha256_hex(result) == sha256).map(Bytes::from))
    }

    fn forget(&self, call: CallId) {
        forget(&self.file(call));
    }

    /// Forgets what a process left behind that died before it could record or forget it.
    fn forget_all_but(&self, kept: &HashSet<CallId>) {
        let Ok(files) = fs::read_dir(&self.folder) else { return };
        let kept: HashSet<PathBuf> = kept.iter().map(|call| self.file(*call)).collect();
        files.flatten().map(|file| file.path()).filter(|path| !kept.contains(path)).for_each(|path| forget(&path));
    }
}

pub(super) fn forget(path: &std::path::Path) {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(%error, path = %path.display(), "a result that nobody waits for could not be removed");
        }
        _ => {}
    }
}

/// What the driver of one call knows of the use of an approval.
#[derive(Debug, Default)]
pub(crate) struct Using {
    /// The outcome whose record comes next, and how many bytes are kept of it.
    retained: Option<(ApprovalId, Executed, u64)>,
    /// The use that is taken.
    taken: Option<(ApprovalId, u32)>,
    /// The use whose outcome is answered.
    told: Option<(ApprovalId, u32)>,
}

impl Using {
    /// Takes note of a use that is about to be recorded.
    pub(crate) fn appending(&mut self, drafts: &[Draft]) {
        let taken = drafts.iter().find_map(|draft| match &draft.body {
            Body::Approval(approval) if approval.event == ApprovalEvent::Consumed => {
                Some((approval.approval, approval.used?))
            }
            _ => None,
        });
        self.taken = taken.or(self.taken);
    }

    /// Keeps the result of an approved call, before its outcome is recorded.
    // CRASH: a result that is kept without a record is removed at the next start; its call is unknown, and that is what an identical call is told.
    pub(crate) async fn retain(
        &mut self,
        gateway: &Gateway,
        approval: ApprovalId,
        executed: Executed,
        result: Option<Bytes>,
    ) {
        let kept = match result {
            Some(result) => gateway.keep_outcome(executed.call, result).await,
            None => None,
        };
        let (kept_sha256, bytes) = kept.unzip();
        self.retained = Some((approval, Executed { kept_sha256, ..executed }, bytes.unwrap_or(0)));
    }

    /// Takes note of what became of the records of an outcome.
    // CRASH: the outcome is durable and nobody has it; an identical call gets it.
    pub(crate) fn appended(&mut self, gateway: &Gateway, is_durable: bool) {
        let Some((approval, executed, bytes)) = self.retained.take() else { return };
        self.taken = None;
        if is_durable {
            self.told = Some((approval, executed.used));
            gateway.approvals.ended(approval, executed, bytes);
        } else {
            // So will the next start find it.
            let unknown = Executed {
                kept_sha256: None,
                reason: Some(Reason::LedgerUnavailable),
                status: Status::Unknown,
                ..executed
            };
            gateway.approvals.ended(approval, unknown, bytes);
        }
    }

    /// The answer that hands out an earlier outcome.
    pub(crate) async fn replay(&mut self, gateway: &Gateway, replayed: Replayed) -> Reply {
        self.told = Some((replayed.approval, replayed.executed.used));
        let result = gateway.kept_outcome(&replayed.executed).await;
        Reply::Replayed(Box::new(Replayed { result, ..replayed }))
    }

    /// The answer to `call`; `None` where its client took it back and the outcome waits for another.
    pub(crate) fn answered(
        self,
        gateway: &Arc<Gateway>,
        call: CallId,
        reply: Option<Reply>,
        has_left: bool,
    ) -> Option<Answered> {
        if let Some((approval, used)) = self.taken {
            gateway.approvals.lost(approval, used);
        }
        let reply = reply?;
        let Some((approval, used)) = self.told else { return Some(Answered { receipt: None, reply }) };
        (!has_left).then(|| Answered { receipt: Some(gateway.receipt(approval, used, call)), reply })
    }
}

impl Gateway {
    /// To be acknowledged once the outcome of a use was handed to a client, whose call this is.
    // CRASH: the client may have the answer before that is recorded; then an identical call gets it once more, marked as replayed.
    pub(super) fn receipt(self: &Arc<Self>, approval: ApprovalId, used: u32, call: CallId) -> Receipt {
        let gateway = self.clone();
        Receipt::new(move || {
            let at = now();
            if let Some((record, context)) = gateway.approvals.delivered(approval, used, at) {
                append_beside(&gateway, vec![Draft::new(context, Some(call), at, record)]);
            }
        })
    }

    /// Keeps a result, sealed; gives its digest and size. `None` where it is too large, or cannot be kept: then only what became of the call is told.
    async fn keep_outcome(&self, call: CallId, result: Bytes) -> Option<(String, u64)> {
        let bytes = result.len() as u64;
        if bytes > OUTCOME_BYTES_MAX || self.approvals.book().kept_bytes.saturating_add(bytes) > OUTCOMES_BYTES_MAX {
            tracing::warn!(%call, bytes, "the result of an approved call is not kept: it, or all that are kept, would be too large");
            return None;
        }
        let outcomes = Outcomes::of(&self.home);
        match blocking(move || outcomes.keep(call, &result).map(|()| sha256_hex(&result))).await {
            Ok(sha256) => Some((sha256, bytes)),
            Err(error) => {
                tracing::error!(%error, %call, "the result of an approved call could not be kept");
                None
            }
        }
    }

    pub(super) async fn kept_outcome(&self, executed: &Executed) -> Option<Bytes> {
        let (call, sha256) = (executed.call, executed.kept_sha256.clone()?);
        let outcomes = Outcomes::of(&self.home);
        blocking(move || outcomes.read(call, &sha256)).await.unwrap_or_else(|error| {
            tracing::error!(%error, %call, "the result of an approved call cannot be read");
            None
        })
    }

    /// Forgets outcomes that were handed out a while ago, and those of runs that are over.
    pub(super) fn forget_outcomes(&self, at: Timestamp) {
        let (mut over, mut places) = (Vec::new(), Vec::new());
        let mut book = self.approvals.book();
        for entry in book.entries.values_mut().filter(|entry| !entry.uses.is_empty()) {
            let own = entry.context.run;
            entry.uses.retain(|_, known| match &known.stands {
                Stands::Running => true,
                Stands::Ended { bytes, delivered_at, executed } => {
                    let run = known.by.as_ref().map_or(own, |by| by.context.run).and_then(|run| self.runs.find(run));
                    let is_run_over = run.is_none_or(|run| run.standing(at) != Standing::Open);
                    let is_old =
                        delivered_at.is_some_and(|delivered_at| at.micros_since(delivered_at) > OUTCOME_GRACE_US);
                    if is_old || is_run_over {
                        over.push((executed.call, *bytes));
                        let place = |by: &Arc<UsedBy>| Some((by.context.run?, by.covers_sha256.clone()));
                        places.extend(known.by.as_ref().and_then(place));
                    }
                    !is_old && !is_run_over
                }
            });
        }
        // Of standing grants: what an approval of the call's own holds by now is not of them.
        for place in places {
            let is_standing = book.by_call.get(&place).is_some_and(|approval| book.standing.contains(approval));
            if is_standing {
                book.by_call.remove(&place);
            }
        }
        book.kept_bytes = over.iter().fold(book.kept_bytes, |kept, (_, bytes)| kept.saturating_sub(*bytes));
        drop(book);
        let outcomes = Outcomes::of(&self.home);
        over.iter().filter(|(_, bytes)| *bytes > 0).for_each(|(call, _)| outcomes.forget(*call));
    }
}
