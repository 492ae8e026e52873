//! The single writer: gives every record its place, writes groups, syncs them, and only then gives out receipts.
//!
//! It takes whatever waits, writes it as one group with one write and one sync, and goes on; what arrives during the sync forms the next group. One function,
//! [`Sequencer::commit`], owns the order of writes. After the first failed write or sync nothing is taken any more: what the disk holds is then unknown.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc as threads;
use std::time::Duration;

use evidence::ids::RecordId;
use evidence::leaf::Salt;
use evidence::record::{Context, Draft, LedgerEvent, LedgerState, Place, Receipt};
use evidence::time::Timestamp;
use tokio::sync::oneshot;

use super::frame::Group;
use super::identity::Identity;
use super::integrator::Integrator;
use super::log::Cursor;
use super::queue::Receiver;
use super::segment::{self, SegmentHeader};
use super::shared::{Closed, Health, Shared};
use crate::limits::{
    APPEND_DRAFTS_MAX, ENTROPY_BLOCK_BYTES, GATHER_APPENDS_MIN, GATHER_US, GROUP_BYTES_FULL, GROUP_BYTES_MAX,
    RECORD_BYTES_MAX, RECORD_BYTES_SPARE, SEGMENT_HEADER_BYTES, SEGMENT_HURRY_PART, SEGMENT_PREPARE_PART,
};
use crate::ports::{Clock, Disk, Entropy, File};

/// Why an append gave no receipts. Nothing of it is in the log, except after [`AppendError::Degraded`], where nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AppendError {
    /// The ledger cannot be written. If this append was in the failing group its records may or may not be durable; opening the ledger again finds out.
    #[error("append to the ledger: it cannot be written since {since}: {why}")]
    Degraded {
        /// Since when.
        since: Timestamp,
        /// What failed.
        why: Arc<str>,
    },
    /// The ledger was closed in order before this append.
    #[error("append to the ledger: it is closed")]
    Closed,
    /// No drafts, or too many.
    #[error("append to the ledger: {found} drafts; 1 to {APPEND_DRAFTS_MAX} are taken")]
    Count {
        /// How many there were.
        found: usize,
    },
    /// The drafts do not fit.
    #[error("append to the ledger: {detail}")]
    TooLarge {
        /// What is too long, with the limit.
        detail: String,
    },
}

pub(crate) type Done = oneshot::Sender<Result<Vec<Receipt>, AppendError>>;

/// What the writer is asked for.
pub(crate) enum Message {
    Append(Append),
    Close(Closed),
}

impl Message {
    /// Whether somebody waits until it is done.
    pub(crate) const fn is_waited_for(&self) -> bool {
        match self {
            Self::Append(append) => append.done.is_some(),
            Self::Close(_) => true,
        }
    }
}

pub(crate) struct Append {
    pub(crate) drafts: Vec<Draft>,
    /// Where the receipts go; `None` where nobody waits for them.
    pub(crate) done: Option<Done>,
}

/// Tells whoever waits for an append that it failed; where nobody does, the log.
pub(super) fn refuse(done: Option<Done>, error: AppendError) {
    match done {
        // A caller that went away does not change what happened.
        Some(done) => drop(done.send(Err(error))),
        None => {
            tracing::error!(%error, "records that nobody waits for could not be written; a call that lacks its outcome is closed as unknown when the ledger is opened again")
        }
    }
}

/// Where the writer goes on.
pub(crate) struct Start {
    pub(crate) end: Cursor,
    /// Length of the segment at the end, if there is one.
    pub(crate) segment: Option<(Box<dyn File>, u64)>,
    /// SHA-256 of the last group.
    pub(crate) link: evidence::leaf::Hash,
    pub(crate) recorded_at: Timestamp,
}

pub(crate) struct Sequencer {
    disk: Arc<dyn Disk>,
    clock: Arc<dyn Clock>,
    entropy: EntropyBlock,
    identity: Arc<Identity>,
    shared: Arc<Shared>,
    segment_bytes: u64,
    next_segment: NextSegment,
    /// The open segment and its length.
    segment: Option<(Box<dyn File>, u64)>,
    end: Cursor,
    recorded_at: Timestamp,
    group: Group,
    /// The group before, whose digest the next segment's header holds.
    last: LastGroup,
    waiting: Vec<(Option<Done>, Vec<Receipt>)>,
    /// How many of the last group were waited for.
    answered: usize,
    /// Present when everything is to happen on this one thread, in one order.
    inline: Option<Integrator>,
}

enum LastGroup {
    Link(evidence::leaf::Hash),
    Bytes(Group),
}

/// Where the next segment's file comes from.
pub(crate) enum NextSegment {
    Inline,
    Background {
        asked: Asked,
        /// Tells the preparer that the open segment is filling up.
        is_hurried: Arc<AtomicBool>,
        ready: threads::Receiver<io::Result<Box<dyn File>>>,
        wanted: threads::Sender<()>,
    },
}

/// Whether the preparer has been asked for the next file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    No,
    Yes,
    /// Asked to hurry, too.
    Again,
}

/// What became of one append on its way into the group.
enum Taken {
    Yes,
    Refused,
    /// The group has no room for it; it starts the next one.
    Later(Append),
}

impl Sequencer {
    #[expect(
        clippy::too_many_arguments,
        reason = "the parts of the writer, named once where the ledger is put together"
    )]
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        clock: Arc<dyn Clock>,
        entropy: Box<dyn Entropy>,
        identity: Arc<Identity>,
        shared: Arc<Shared>,
        segment_bytes: u64,
        next_segment: NextSegment,
        start: Start,
    ) -> Self {
        Self {
            disk,
            clock,
            entropy: EntropyBlock { source: entropy, block: vec![0; ENTROPY_BLOCK_BYTES], at: ENTROPY_BLOCK_BYTES },
            identity,
            shared,
            segment_bytes,
            next_segment,
            segment: start.segment,
            end: start.end,
            recorded_at: start.recorded_at,
            group: Group::default(),
            last: LastGroup::Link(start.link),
            waiting: Vec::new(),
            answered: 0,
            inline: None,
        }
    }

    /// From now on, does the integrator's work on this thread after every group.
    pub(crate) fn integrate_with(&mut self, integrator: Integrator) {
        self.inline = Some(integrator);
    }

    pub(crate) const fn end(&self) -> Cursor {
        self.end
    }

    pub(crate) fn entropy(&mut self) -> Result<evidence::ids::Entropy, AppendError> {
        let bytes = self.entropy.next();
        bytes.map(|(_, entropy)| entropy).map_err(|error| AppendError::TooLarge { detail: error.to_string() })
    }

    /// Makes records durable before the thread runs; `drafts` is told their time and how many records come before them.
    pub(crate) fn append_now(
        &mut self,
        drafts: impl FnOnce(Timestamp, u64) -> Vec<Draft>,
    ) -> Result<Vec<Receipt>, AppendError> {
        self.begin();
        let drafts = drafts(self.recorded_at, self.end.records());
        let added = self.add(&drafts, RECORD_BYTES_MAX + RECORD_BYTES_SPARE);
        let receipts = added.map_err(|detail| AppendError::TooLarge { detail })?;
        self.commit().map_err(|why| AppendError::Degraded { since: self.recorded_at, why })?;
        Ok(receipts)
    }

    /// The thread: until the ledger is closed, degraded and then closed, or left by all handles.
    pub(crate) fn run(mut self, mut queue: Receiver) {
        let mut carried = None;
        loop {
            self.let_gather();
            let message = match carried.take() {
                Some(append) => Message::Append(append),
                None => match queue.recv() {
                    Some(message) => message,
                    None => break self.leave(),
                },
            };
            let (later, closing) = self.gather(message, &mut queue);
            carried = later;
            if closing.is_some() {
                self.add_stopped();
            }
            if let Err(why) = self.commit() {
                return self.refuse_all(&why, closing, queue);
            }
            if let Some(done) = closing {
                return self.end_in_order(done, queue);
            }
        }
    }

    /// Lets appends come where many come anyway: fewer and larger groups then, each with its one sync.
    fn let_gather(&self) {
        if self.answered >= GATHER_APPENDS_MIN && self.inline.is_none() {
            std::thread::sleep(Duration::from_micros(GATHER_US));
        }
    }

    /// Writes the first `appends` of what waits as one group, on the caller's thread. Whoever closes is told that this writer does not.
    pub(super) fn write(&mut self, queue: &mut Receiver, appends: usize) -> Result<(), AppendError> {
        self.begin();
        for _ in 0..appends {
            match queue.try_recv() {
                Some(Message::Append(append)) => {
                    if let Taken::Later(append) = self.take(append) {
                        queue.put_back(Message::Append(append));
                        break;
                    }
                }
                Some(Message::Close(done)) => drop(done),
                None => break,
            }
        }
        self.commit().map_err(|why| self.degrade(&why))
    }

    fn begin(&mut self) {
        self.group.start(self.end.next_seq);
        self.recorded_at = self.recorded_at.max(self.clock.now());
    }

    /// Fills the group with what waits, up to what one write should hold.
    fn gather(&mut self, first: Message, queue: &mut Receiver) -> (Option<Append>, Option<Closed>) {
        self.begin();
        let mut next = Some(first);
        while let Some(message) = next {
            match message {
                Message::Close(done) => return (None, Some(done)),
                Message::Append(append) => {
                    if let Taken::Later(append) = self.take(append) {
                        return (Some(append), None);
                    }
                }
            }
            next = if self.group.bytes_len() < GROUP_BYTES_FULL { queue.try_recv() } else { None };
        }
        (None, None)
    }

    fn take(&mut self, append: Append) -> Taken {
        let refuse = |done, error| {
            refuse(done, error);
            Taken::Refused
        };
        if append.drafts.is_empty() || append.drafts.len() > APPEND_DRAFTS_MAX {
            return refuse(append.done, AppendError::Count { found: append.drafts.len() });
        }
        let mark = self.group.mark();
        match self.add(&append.drafts, RECORD_BYTES_MAX) {
            Err(detail) => {
                self.group.rewind(mark);
                refuse(append.done, AppendError::TooLarge { detail })
            }
            Ok(receipts) if self.group.bytes_len() <= self.group_bytes_max() => {
                self.waiting.push((append.done, receipts));
                Taken::Yes
            }
            Ok(_) => {
                let bytes = self.group.bytes_len();
                self.group.rewind(mark);
                if !self.group.is_empty() {
                    return Taken::Later(append);
                }
                let detail = format!("{bytes} bytes in one append; at most {} fit", self.group_bytes_max());
                refuse(append.done, AppendError::TooLarge { detail })
            }
        }
    }

    fn group_bytes_max(&self) -> usize {
        GROUP_BYTES_MAX.min((self.segment_bytes - SEGMENT_HEADER_BYTES) as usize)
    }

    /// Writes the drafts to the end of the group.
    fn add(&mut self, drafts: &[Draft], bytes_max: usize) -> Result<Vec<Receipt>, String> {
        let mut receipts = Vec::with_capacity(drafts.len());
        for draft in drafts {
            let (salt, entropy) = self.entropy.next().map_err(|error| format!("no random bytes: {error}"))?;
            let seq = self.group.next_seq();
            let (id, recorded_at) = (RecordId::at(self.recorded_at, entropy), self.recorded_at);
            let place = Place { emitter: &self.identity.emitter, id, recorded_at, seq };
            self.group.push(draft, place, &salt, bytes_max).map_err(|error| error.to_string())?;
            receipts.push(Receipt { id, recorded_at, seq });
        }
        Ok(receipts)
    }

    fn add_stopped(&mut self) {
        let body = LedgerState {
            detail: "closed in order".into(),
            event: LedgerEvent::Stopped,
            origin: self.identity.origin.to_string(),
            records: self.group.next_seq() - 1,
            version: env!("CARGO_PKG_VERSION").into(),
        };
        let draft = Draft::new(Arc::new(Context::system()), None, self.recorded_at, body);
        let mark = self.group.mark();
        if self.add(&[draft], RECORD_BYTES_MAX).is_err() || self.group.bytes_len() > self.group_bytes_max() {
            // The next opening finds no such record and says that the process died; that is safe to say.
            self.group.rewind(mark);
        }
    }

    /// Makes the gathered group durable and gives out its receipts. Owns the order of all writes of records.
    fn commit(&mut self) -> Result<(), Arc<str>> {
        if self.group.is_empty() {
            return Ok(());
        }
        // INVARIANT (group fits): a group never spans segments, and readers refuse longer ones.
        if self.group.bytes_len() > self.group_bytes_max() {
            return Err(
                format!("a group of {} bytes; at most {} fit", self.group.bytes_len(), self.group_bytes_max()).into()
            );
        }
        let next_seq = self.group.next_seq();
        let bytes = self.group.bytes_len() as u64;
        // CRASH: nothing of the group is written; its callers never got receipts.
        if self.segment.as_ref().is_none_or(|(_, length)| self.end.offset + bytes > *length) {
            self.turn_over().map_err(|error| failed("start a new segment", &error))?;
        }
        let Some((file, _)) = &self.segment else { return Err("no segment".into()) };
        file.write_at(self.group.seal(), self.end.offset).map_err(|error| failed("write", &error))?;
        // CRASH: all, some or none of the group's pages are on the disk, nothing after them; recovery keeps a whole group and sets a torn one aside.
        file.sync_data().map_err(|error| failed("sync", &error))?;
        // CRASH: the group is durable and unacknowledged: recovery keeps it, and closes an intent in it as `unknown`.
        self.end = Cursor { next_seq, segment: self.end.segment, offset: self.end.offset + bytes };
        let sealed = std::mem::take(&mut self.group);
        if let LastGroup::Bytes(before) = std::mem::replace(&mut self.last, LastGroup::Bytes(sealed)) {
            self.group = before;
        }
        self.shared.advance(self.end);
        self.prepare_next();
        self.integrate_inline();
        // INVARIANT (receipt after sync): the only place where a receipt leaves the writer.
        self.answered = 0;
        for (done, receipts) in self.waiting.drain(..) {
            let Some(done) = done else { continue };
            self.answered += 1;
            // A caller that went away does not change what happened.
            let _ = done.send(Ok(receipts));
        }
        Ok(())
    }

    /// Takes the prepared file as the segment that starts with the gathered group.
    fn turn_over(&mut self) -> io::Result<()> {
        let file = match &mut self.next_segment {
            NextSegment::Inline => segment::prepare(&*self.disk, self.segment_bytes, || true)?,
            NextSegment::Background { asked: Asked::No, .. } => {
                segment::prepare(&*self.disk, self.segment_bytes, || true)?
            }
            NextSegment::Background { ready, .. } => match ready.recv() {
                Ok(Ok(file)) => file,
                // The disk was full a while ago; it may not be now.
                Ok(Err(_)) | Err(_) => segment::prepare(&*self.disk, self.segment_bytes, || true)?,
            },
        };
        let link = match &self.last {
            LastGroup::Link(link) => *link,
            LastGroup::Bytes(group) => segment::link(group.sealed()),
        };
        let header = SegmentHeader {
            first_seq: self.end.next_seq,
            segment_bytes: self.segment_bytes,
            link,
            emitter: self.identity.emitter.to_string(),
            origin: self.identity.origin.to_string(),
        };
        segment::activate(&*self.disk, &*file, &header)?;
        self.segment = Some((file, self.segment_bytes));
        self.end = Cursor { segment: header.first_seq, offset: SEGMENT_HEADER_BYTES, ..self.end };
        if let NextSegment::Background { asked, is_hurried, .. } = &mut self.next_segment {
            *asked = Asked::No;
            is_hurried.store(false, Ordering::Relaxed);
        }
        Ok(())
    }

    /// Has the next segment's file made while this one fills: late enough that a short session does not pay for it.
    fn prepare_next(&mut self) {
        let Some((_, length)) = &self.segment else { return };
        let NextSegment::Background { asked, is_hurried, wanted, .. } = &mut self.next_segment else { return };
        match *asked {
            Asked::No if self.end.offset > *length / SEGMENT_PREPARE_PART && wanted.send(()).is_ok() => {
                *asked = Asked::Yes
            }
            Asked::Yes if self.end.offset > *length / SEGMENT_HURRY_PART => {
                is_hurried.store(true, Ordering::Relaxed);
                *asked = Asked::Again;
            }
            Asked::No | Asked::Yes | Asked::Again => {}
        }
    }

    fn integrate_inline(&mut self) {
        let Some(integrator) = &mut self.inline else { return };
        let result = integrator.catch_up(self.end).and_then(|()| integrator.publish());
        self.shared.note_progress(integrator, result.as_ref().err());
    }

    /// After a failure: nothing that waits or comes later is acknowledged.
    fn refuse_all(mut self, why: &Arc<str>, mut closing: Option<Closed>, mut queue: Receiver) {
        let error = self.degrade(why);
        while closing.is_none() {
            match queue.recv() {
                Some(Message::Append(append)) => {
                    refuse(append.done, error.clone());
                }
                Some(Message::Close(done)) => closing = Some(done),
                None => return self.leave(),
            }
        }
        queue.close();
        while let Some(message) = queue.recv() {
            if let Message::Append(append) = message {
                refuse(append.done, error.clone());
            }
        }
        if let Some(done) = closing {
            self.hand_over(done, Some(Arc::clone(why)));
        }
    }

    /// Refuses the group that could not be written; gives what all that comes after it is told.
    fn degrade(&mut self, why: &Arc<str>) -> AppendError {
        let since = self.recorded_at;
        let error = AppendError::Degraded { since, why: Arc::clone(why) };
        tracing::error!(%why, "the ledger cannot be written; nothing is acknowledged until it is opened again");
        self.shared.health().send_replace(Health::Degraded { since, why: Arc::clone(why) });
        for (done, _) in self.waiting.drain(..) {
            refuse(done, error.clone());
        }
        error
    }

    fn end_in_order(self, done: Closed, mut queue: Receiver) {
        self.shared.health().send_replace(Health::Closed);
        queue.close();
        while let Some(message) = queue.recv() {
            if let Message::Append(append) = message {
                refuse(append.done, AppendError::Closed);
            }
        }
        self.hand_over(done, None);
    }

    /// Leaves the rest of closing to the integrator.
    fn hand_over(mut self, done: Closed, degraded: Option<Arc<str>>) {
        self.stop_preparing();
        match self.inline.take() {
            None => self.shared.close(done, degraded),
            Some(mut integrator) => {
                let finished = integrator.finish(self.end);
                self.shared.note_progress(&integrator, finished.as_ref().err());
                drop(integrator);
                self.shared.finish((done, degraded), finished);
            }
        }
    }

    fn leave(mut self) {
        self.stop_preparing();
        self.shared.leave();
    }

    /// Nothing may touch the home once the lock is given back.
    fn stop_preparing(&mut self) {
        if let NextSegment::Background { is_hurried, wanted, ready, .. } =
            std::mem::replace(&mut self.next_segment, NextSegment::Inline)
        {
            is_hurried.store(true, Ordering::Relaxed);
            drop(wanted);
            while ready.recv().is_ok() {}
        }
        let _ = self.disk.remove(segment::PREPARED);
    }
}

/// Starts the thread that has the next segment's file ready before it is needed.
pub(crate) fn prepare_in_background(disk: Arc<dyn Disk>, segment_bytes: u64) -> io::Result<NextSegment> {
    let (wanted, wanted_here) = threads::channel();
    // One file at a time: the writer asks for the next one when it has taken this one.
    let (ready_here, ready) = threads::sync_channel(1);
    let is_hurried = Arc::new(AtomicBool::new(false));
    let hurry = Arc::clone(&is_hurried);
    std::thread::Builder::new().name("ledger-prepare".into()).spawn(move || {
        while wanted_here.recv().is_ok() {
            let prepared = segment::prepare(&*disk, segment_bytes, || hurry.load(Ordering::Relaxed));
            if let Err(error) = &prepared {
                tracing::warn!(%error, "the next segment cannot be prepared; it is tried again when it is needed");
            }
            if ready_here.send(prepared).is_err() {
                return;
            }
        }
    })?;
    Ok(NextSegment::Background { asked: Asked::No, is_hurried, ready, wanted })
}

fn failed(what: &str, error: &io::Error) -> Arc<str> {
    format!("{what}: {error}").into()
}

/// Random bytes, fetched by the block.
struct EntropyBlock {
    source: Box<dyn Entropy>,
    block: Vec<u8>,
    at: usize,
}

impl EntropyBlock {
    fn next(&mut self) -> io::Result<(Salt, evidence::ids::Entropy)> {
        let taken = self.block.get(self.at..).and_then(|rest| rest.split_first_chunk::<26>());
        let bytes = match taken {
            Some((bytes, _)) => *bytes,
            None => {
                self.source.fill(&mut self.block)?;
                self.at = 0;
                *self.block.first_chunk::<26>().ok_or(io::ErrorKind::InvalidData)?
            }
        };
        self.at += bytes.len();
        let (salt, entropy) = bytes.split_first_chunk::<16>().ok_or(io::ErrorKind::InvalidData)?;
        Ok((*salt, *entropy.first_chunk::<10>().ok_or(io::ErrorKind::InvalidData)?))
    }
}
