//! Calls that wait for people as tasks of the gateway: what each was, sealed in the home until it is sent, how it stands, and how it ended.
//!
//! Whoever works on a call is elsewhere: the session that parked it, or took it up again. A task is about the first use of its approval, so a call whose approval was used
//! is never taken up again. What was executed is in the book of approvals like every outcome; here is only what ended otherwise. Start at [`Gateway::park`].

use std::collections::HashMap;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use evidence::approvals::State as Life;
use evidence::ids::{ApprovalId, CallId, RunId};
use evidence::record::Surface;
use evidence::time::Timestamp;
use governance::approve::Executed;
use governance::call::{Refusal, Replayed, Reply, refusal};
use governance::reason::Reason;
use serde::{Deserialize, Serialize};
use surfaces::govern::Answered;
use surfaces::parked::{End, Kept, Parked, ParkedId, Stands, TAKEN_BACK, TakeBack, Task};

use super::outcomes::{Stands as OfUse, forget};
use super::view::standing;
use super::{Approvals, Entry};
use crate::Gateway;
use crate::blocking::blocking;
use crate::clock::now;
use crate::home::Home;
use crate::limits::{PARKED_BYTES_MAX, PARKED_TOLD_US};
use crate::runs::Standing;
use crate::seal::{OVERHEAD_BYTES, Seal, SealError};

/// The calls that wait for people as tasks.
#[derive(Debug, Default)]
pub(crate) struct ParkedCalls(Mutex<Calls>);

#[derive(Debug, Default)]
struct Calls {
    /// Bytes of what is kept on disk, of which approval.
    files: HashMap<ApprovalId, u64>,
    known: HashMap<ApprovalId, Known>,
}

/// A call that was parked since this process began.
#[derive(Clone, Debug)]
struct Known {
    call: CallId,
    state: State,
}

#[derive(Clone, Debug)]
enum State {
    /// It has ended.
    Ended(Timestamp, Last),
    /// It was taken back before it was sent.
    TakenBack(Timestamp),
    /// Somebody works on it.
    Waits(TakeBack),
}

/// With what a call ended.
#[derive(Clone, Debug)]
enum Last {
    /// With what this call came to, as the book has it.
    Outcome(CallId),
    /// With this answer.
    Reply(Reply),
}

/// What comes before the message in the file of a parked call, on a line of its own.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    call: CallId,
    headers: Vec<(String, String)>,
}

impl ParkedCalls {
    /// Takes note of what is on disk.
    pub(crate) fn restore(home: &Home) -> Self {
        let files = fs::read_dir(Files::of(home).folder).into_iter().flatten().flatten();
        let known = files.filter_map(|file| {
            let name = file.file_name();
            let approval = name.to_str()?.strip_suffix(".sealed")?.parse().ok()?;
            Some((approval, file.metadata().ok()?.len()))
        });
        Self(Mutex::new(Calls { files: known.collect(), known: HashMap::new() }))
    }

    fn lock(&self) -> MutexGuard<'_, Calls> {
        // A panic while the lock was held cannot leave it half changed: every change is one operation on a map.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn state(&self, parked: ParkedId) -> Option<State> {
        let calls = self.lock();
        calls.known.get(&parked.approval).filter(|known| known.call == parked.call).map(|known| known.state.clone())
    }

    /// A call is worked on from now on, unless another one is; gives that.
    fn begin(&self, parked: ParkedId, take_back: &TakeBack) -> Option<ParkedId> {
        let mut calls = self.lock();
        if let Some(Known { call, state: State::Waits(_) }) = calls.known.get(&parked.approval) {
            return Some(ParkedId { call: *call, ..parked });
        }
        let state = State::Waits(take_back.clone());
        calls.known.insert(parked.approval, Known { call: parked.call, state });
        None
    }

    /// Forgets a call that is worked on with `take_back`; whether it was known.
    fn end(&self, parked: ParkedId, take_back: &TakeBack) -> bool {
        let mut calls = self.lock();
        let is_it = |known: &Known| matches!(&known.state, State::Waits(other) if other.is(take_back));
        let is_known = calls.known.get(&parked.approval).is_some_and(is_it);
        if is_known {
            calls.known.remove(&parked.approval);
        }
        is_known
    }
}

/// The files of parked calls in a home.
#[derive(Clone, Debug)]
struct Files {
    folder: PathBuf,
    seal: Seal,
}

impl Files {
    fn of(home: &Home) -> Self {
        let seal = Seal::new(home.path().join("keys/parked.aes"), "countersign parked call");
        Self { folder: home.path().join("parked"), seal }
    }

    fn file(&self, approval: ApprovalId) -> PathBuf {
        self.folder.join(format!("{approval}.sealed"))
    }

    fn keep(&self, parked: ParkedId, kept: &Kept) -> Result<(), SealError> {
        let io = |source| SealError::Io { path: self.folder.clone(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(io)?;
        let head = Head { call: parked.call, headers: kept.headers.clone() };
        let mut text = serde_json::to_vec(&head).map_err(io::Error::from).map_err(io)?;
        text.push(b'\n');
        text.extend_from_slice(&kept.message);
        self.seal.put(&self.file(parked.approval), &parked.approval.to_string(), text)
    }

    fn read(&self, approval: ApprovalId) -> Result<Option<(CallId, Kept)>, SealError> {
        let path = self.file(approval);
        let bytes_max = PARKED_BYTES_MAX + OVERHEAD_BYTES;
        let Some(text) = self.seal.open(&path, &approval.to_string(), bytes_max)? else { return Ok(None) };
        let text = Bytes::from(text);
        let unsealed = || SealError::Unsealed(path.clone());
        let end = text.iter().position(|byte| *byte == b'\n').ok_or_else(unsealed)?;
        let head = serde_json::from_slice(text.get(..end).unwrap_or_default()).map_err(|_| unsealed())?;
        let Head { call, headers } = head;
        Ok(Some((call, Kept { headers, message: text.slice(end + 1..) })))
    }

    /// Durable: what was taken back is not there after a power cut.
    fn forget(&self, approval: ApprovalId) {
        forget(&self.file(approval));
        if let Err(error) = File::open(&self.folder).and_then(|folder| folder.sync_all())
            && error.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "the folder of parked calls could not be synced");
        }
    }
}

impl Entry {
    /// Whether it is about a call of `run` at `upstream`.
    fn is_of(&self, run: RunId, upstream: &str) -> bool {
        let tool = &self.approval.tool;
        self.context.run == Some(run) && *tool.upstream == *upstream && tool.surface == Surface::Mcp
    }

    /// Whether a call that waits for it could still be sent.
    fn is_awaited(&self, at: Timestamp) -> bool {
        let may = matches!(self.approval.state, Life::Open | Life::Approved(_));
        may && self.approval.used() == 0 && !self.approval.is_over(at)
    }

    /// What became of this call, where the book has it.
    fn executed(&self, call: CallId) -> Option<Executed> {
        self.uses.values().find_map(|known| match &known.stands {
            OfUse::Ended { executed, .. } if executed.call == call => Some(executed.clone()),
            OfUse::Ended { .. } | OfUse::Running => None,
        })
    }

    /// How a call stands of which nobody knows since this process began, and which was not executed.
    fn rests(&self, at: Timestamp) -> Stands {
        if self.is_awaited(at) {
            return Stands::Resting;
        }
        if self.approval.used() > 0 {
            // Where every use is known, and none of them is this call's, it was not executed.
            let are_known = self.uses.len() == usize::try_from(self.approval.used()).unwrap_or(usize::MAX);
            return if are_known { Stands::TakenBack } else { Stands::Forgotten };
        }
        let (state, sentence) = self.advice(at);
        let reason = match state {
            "denied" => Reason::ApprovalDenied,
            "edited" => Reason::ApprovalEdited,
            "expired" => Reason::ApprovalExpired,
            _ => Reason::ApprovalRevoked,
        };
        let reply = Reply::Denied(Refusal { proposed: self.proposed(), reason, sentence: sentence.into() });
        Stands::Ended { end: End::Reply(reply), receipt: None }
    }

    fn said(&self, stands: &Stands) -> String {
        let approval = self.approval.approval;
        let approved = "people have approved this call";
        match stands {
            Stands::Ended { .. } | Stands::Forgotten => format!("it has ended (approval {approval})"),
            Stands::Runs => format!("{approved} (approval {approval}): it is being executed"),
            Stands::TakenBack => TAKEN_BACK.to_owned(),
            Stands::Resting | Stands::Waits if !self.is_open() => {
                format!("{approved} (approval {approval}): it is about to be executed")
            }
            Stands::Resting | Stands::Waits => format!(
                "nothing was executed yet: a person must approve this call (approval {approval}, until {}); {}. It is executed once it is approved, without being sent again.",
                self.approval.question.respond_by,
                standing(&self.approval, &self.unreachable).join("; ")
            ),
        }
    }

    fn until(&self) -> Timestamp {
        let respond_by = self.approval.question.respond_by;
        match &self.approval.state {
            Life::Approved(grant) => grant.not_after.max(respond_by),
            _ => respond_by,
        }
    }
}

impl Approvals {
    /// Whether there is such an approval for a call of `run` at `upstream`.
    pub(crate) fn is_parked(&self, run: RunId, upstream: &str, parked: ParkedId) -> bool {
        self.book().entries.get(&parked.approval).is_some_and(|entry| entry.is_of(run, upstream))
    }

    /// Changes whenever the approval does.
    pub(crate) fn changes(&self, approval: ApprovalId) -> Option<tokio::sync::watch::Receiver<u64>> {
        self.book().entries.get(&approval).map(|entry| entry.wake.subscribe())
    }

    fn wake(&self, approval: ApprovalId) {
        let _known = self.book().change(approval, |entry| entry.wake.send_modify(|count| *count += 1));
    }

    fn executed(&self, approval: ApprovalId, call: CallId) -> Option<Executed> {
        self.book().entries.get(&approval)?.executed(call)
    }
}

impl Gateway {
    /// Parks a call: on disk before this returns. `Not` where what is kept would be too much, or cannot be written.
    pub(crate) async fn park(&self, parked: ParkedId, kept: Kept, take_back: &TakeBack) -> Parked {
        if let Some(other) = self.parked.begin(parked, take_back) {
            return Parked::Joined(other);
        }
        let bytes = kept.message.len() as u64;
        let all: u64 = self.parked.lock().files.values().sum();
        let files = Files::of(&self.home);
        let written = match all.saturating_add(bytes) > PARKED_BYTES_MAX {
            true => {
                tracing::warn!(%parked, bytes, "a call does not wait as a task: all that wait so would be too large");
                false
            }
            false => match blocking(move || files.keep(parked, &kept)).await {
                Ok(()) => true,
                Err(error) => {
                    tracing::error!(%error, %parked, "a call does not wait as a task: it could not be kept");
                    false
                }
            },
        };
        if !written {
            self.parked.end(parked, take_back);
            return Parked::Not;
        }
        self.parked.lock().files.insert(parked.approval, bytes);
        Parked::Here
    }

    /// Takes a call up again that nobody works on.
    pub(crate) async fn resume_parked(&self, parked: ParkedId, take_back: &TakeBack) -> Option<Kept> {
        let is_awaited = |entry: &Entry| entry.is_awaited(now());
        if self.parked.state(parked).is_some()
            || !self.approvals.book().entries.get(&parked.approval).is_some_and(is_awaited)
        {
            return None;
        }
        let files = Files::of(&self.home);
        let (call, kept) = match blocking(move || files.read(parked.approval)).await {
            Ok(found) => found?,
            Err(error) => {
                tracing::error!(%error, %parked, "a call that waits cannot be read");
                return None;
            }
        };
        (call == parked.call && self.parked.begin(parked, take_back).is_none()).then_some(kept)
    }

    /// Nobody works on a call any more, that can be taken up again.
    pub(crate) fn leave_parked(&self, parked: ParkedId, take_back: &TakeBack) {
        if self.parked.end(parked, take_back) {
            take_back.fire();
        }
    }

    /// Takes a call back for its client. What has begun goes on.
    pub(crate) async fn take_parked_back(&self, parked: ParkedId) {
        match self.parked.state(parked) {
            Some(State::Waits(take_back)) => take_back.fire(),
            Some(State::Ended(..) | State::TakenBack(_)) => return,
            None => {
                let files = Files::of(&self.home);
                match blocking(move || files.read(parked.approval)).await {
                    Ok(Some((call, _))) if call == parked.call => {}
                    _ => return,
                }
                let state = State::TakenBack(now());
                let known = Known { call: parked.call, state };
                self.parked.lock().known.entry(parked.approval).or_insert(known);
            }
        }
        self.forget_parked_call(parked.approval).await;
        self.approvals.wake(parked.approval);
    }

    /// A call is over that was worked on with `take_back`.
    // CRASH: what was executed is in the ledger; what was refused is refused again, by the approval that the ledger has.
    pub(crate) async fn unparked(&self, parked: ParkedId, take_back: &TakeBack, answer: Option<Answered>) {
        let ParkedId { approval, call } = parked;
        if !self.parked.end(parked, take_back) {
            return;
        }
        let at = now();
        let reply = answer.map(|answer| answer.reply);
        let whose = if let Some(Reply::Replayed(replayed)) = &reply { replayed.executed.call } else { call };
        let is_kept = self.approvals.executed(approval, whose).is_some();
        let state = match reply {
            // The gateway stops, and the call goes on after that.
            Some(Reply::Pending(_)) => None,
            Some(Reply::Passed(_) | Reply::Replayed(_)) | None if is_kept => {
                Some(State::Ended(at, Last::Outcome(whose)))
            }
            Some(reply) => Some(State::Ended(at, Last::Reply(reply))),
            None => Some(State::TakenBack(at)),
        };
        if let Some(state) = state {
            self.parked.lock().known.entry(approval).or_insert(Known { call, state });
            self.forget_parked_call(approval).await;
        }
        self.approvals.wake(approval);
    }

    /// How a call stands, which is of `run` at `upstream`.
    pub(crate) async fn parked_task(self: &Arc<Self>, run: RunId, upstream: &str, parked: ParkedId) -> Option<Task> {
        let (at, known) = (now(), self.parked.state(parked));
        let whose = if let Some(State::Ended(_, Last::Outcome(whose))) = &known { *whose } else { parked.call };
        let (mut task, executed) = {
            let book = self.approvals.book();
            let entry = book.entries.get(&parked.approval).filter(|entry| entry.is_of(run, upstream))?;
            let executed = entry.executed(whose);
            let stands = match known {
                Some(State::Waits(_)) if executed.is_some() || entry.is_running() => Stands::Runs,
                Some(State::Waits(_)) => Stands::Waits,
                Some(State::TakenBack(_)) => Stands::TakenBack,
                Some(State::Ended(_, Last::Reply(reply))) => Stands::Ended { end: End::Reply(reply), receipt: None },
                Some(State::Ended(_, Last::Outcome(_))) => Stands::Forgotten,
                None if executed.is_some() => Stands::Forgotten,
                None => entry.rests(at),
            };
            let said = entry.said(&stands);
            let (asked_at, changed_at) = (entry.approval.opened_at, entry.changed_at);
            (Task { asked_at, changed_at, said, stands, until: entry.until() }, executed)
        };
        let Some(executed) = executed else { return Some(task) };
        let told = Some(self.receipt(parked.approval, executed.used, parked.call));
        match &mut task.stands {
            Stands::Ended { receipt, .. } => *receipt = told,
            Stands::Forgotten => {
                task.stands = Stands::Ended { end: self.end_of(parked.approval, executed).await, receipt: told };
            }
            Stands::Resting | Stands::Runs | Stands::TakenBack | Stands::Waits => {}
        }
        Some(task)
    }

    /// What is told of a call that was executed.
    async fn end_of(&self, approval: ApprovalId, executed: Executed) -> End {
        match (self.kept_outcome(&executed).await, executed.reason) {
            (Some(error), Some(Reason::UpstreamError)) => End::Error(error),
            (Some(result), _) => End::Result(result),
            (None, reason) => {
                let refusal = refusal(reason.unwrap_or(Reason::Replayed), executed.status);
                End::Reply(Reply::Replayed(Box::new(Replayed { approval, executed, refusal, result: None })))
            }
        }
    }

    async fn forget_parked_call(&self, approval: ApprovalId) {
        let files = Files::of(&self.home);
        if self.parked.lock().files.remove(&approval).is_some() {
            blocking(move || files.forget(approval)).await;
        }
    }

    /// Forgets calls that can never be sent any more, and how others ended a while ago.
    pub(super) async fn forget_parked(&self, at: Timestamp) {
        let over: Vec<ApprovalId> = {
            let mut calls = self.parked.lock();
            calls.known.retain(|_, known| match known.state {
                State::Ended(since, _) | State::TakenBack(since) => at.micros_since(since) <= PARKED_TOLD_US,
                State::Waits(_) => true,
            });
            let is_waiting = |approval: &ApprovalId| calls.known.contains_key(approval);
            let book = self.approvals.book();
            let is_wanted = |approval: &ApprovalId| {
                book.entries.get(approval).is_some_and(|entry| {
                    let run = entry.context.run.and_then(|run| self.runs.find(run));
                    entry.is_awaited(at) && run.is_some_and(|run| run.standing(at) == Standing::Open)
                })
            };
            let files = calls.files.keys().filter(|approval| !is_waiting(approval) && !is_wanted(approval));
            files.copied().collect()
        };
        for approval in over {
            self.forget_parked_call(approval).await;
        }
    }
}
