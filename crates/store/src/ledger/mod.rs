//! The ledger: an append-only log of evidence records that says when a record is durable, and everything derived from that log.
//!
//! Start at [`Ledger::open`]. One writer thread (`sequencer`) owns the log; one thread derives index and tree from it (`integrator`); `recovery` runs on
//! every opening. Nothing here decides anything or knows what a call is allowed to do.

mod by_hand;
mod flip;
pub(crate) mod frame;
mod fsck;
pub(crate) mod identity;
mod integrator;
pub(crate) mod log;
pub(crate) mod postings;
mod queue;
mod recovery;
pub(crate) mod rows;
pub(crate) mod segment;
mod sequencer;
mod shared;
pub(crate) mod tree;

use std::future::Future;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use evidence::checkpoint::{KeyName, VerifierKey};
use evidence::cosignature::WitnessKey;
use evidence::ids::ExceptionId;
use evidence::record::{Context, Draft, LedgerEvent, LedgerState, Receipt, Record, VersionLog, VersionedKind};
use evidence::rotation::Rotation;
use evidence::time::Timestamp;
use tokio::sync::{oneshot, watch};

use crate::embedded::disk::HomeDisk;
use crate::embedded::index::{IndexPlace, SqliteIndex};
use crate::embedded::reader::{ReadError, Reader};
use crate::embedded::system::step_back;
use crate::limits::{
    LINGER_MS, QUEUE_APPENDS_DEFAULT, SEGMENT_BYTES_DEFAULT, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN, TREE_NOTE_RECORDS,
};
use crate::memory::MemoryDisk;
use crate::ports::{Audience, Clock, Disk, Durability, Entropy, Index, IndexError, replace_file};

pub use by_hand::Writer;
pub use frame::FrameFault;
pub use fsck::{Damage, FsckError, Report, Unfinished, fsck, fsck_on, fsck_since};
pub use identity::IdentityError;
pub use integrator::IntegrateError;
pub use log::{Cursor, LogError, LogFault, Spot};
pub use postings::{Posted, Postings};
pub use recovery::RecoverError;
pub use rows::{Batch, CallRow, StrayRow, VersionRow};
pub use segment::HeaderFault;
pub use sequencer::AppendError;
pub use shared::{CloseError, Health, Lag};
pub use tree::TreeError;

use identity::Identity;
use integrator::Integrator;
use queue::{Receiver, Refused, Sender};
use recovery::{Promise, Recovered};
use sequencer::{Append, Message, NextSegment, Sequencer};
use shared::Shared;
use tree::Tree;

/// The file that is locked while a process writes the ledger.
const LOCK: &str = "lock";

/// Where the index of an embedded ledger is, below the home.
pub(crate) const INDEX: &str = "ledger/index.sqlite";

/// How a ledger is opened.
pub struct Options {
    /// The clock of `recorded_at`.
    pub clock: Arc<dyn Clock>,
    /// The source of salts and identifiers.
    pub entropy: Box<dyn Entropy>,
    /// Length of new segments; held to the limits.
    pub segment_bytes: u64,
    /// How long records that nobody waits for may stay unwritten.
    pub linger: Duration,
    /// Appends that may wait; beyond it callers wait.
    pub queue_appends: usize,
    /// After so many records the tiles are made durable.
    pub note_records: u64,
    /// Where index and tree are worked on.
    pub integration: Integration,
}

/// Where index and tree are worked on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Integration {
    /// On a thread of their own, at their own pace.
    Background,
    /// On the writer's thread after every group, with a checkpoint each time: slow, and always in the same order, for simulation.
    AfterEachGroup,
}

impl Options {
    /// For production, with this clock and entropy.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, entropy: Box<dyn Entropy>) -> Self {
        Self {
            clock,
            entropy,
            segment_bytes: SEGMENT_BYTES_DEFAULT,
            linger: Duration::from_millis(LINGER_MS),
            queue_appends: QUEUE_APPENDS_DEFAULT,
            note_records: TREE_NOTE_RECORDS,
            integration: Integration::Background,
        }
    }
}

impl Default for Options {
    /// With the system's clock and randomness.
    fn default() -> Self {
        Self::new(Arc::new(crate::embedded::system::SystemClock), Box::new(crate::embedded::system::SystemEntropy))
    }
}

/// Why a ledger does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("open ledger: another process has it open (it holds `{LOCK}` in the home)")]
    Locked,
    /// A file or directory cannot be used.
    #[error("open ledger: `{file}`: {source}")]
    Io {
        /// The file.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// It does not say who it is.
    #[error("open ledger: {0}")]
    Identity(#[from] IdentityError),
    /// The signing key is not the newest one of the log.
    #[error(
        "open ledger: `keys/log.ed25519` is not the key to which the log was handed over last; put back the file from a backup"
    )]
    Key,
    /// The signed checkpoint is damaged or not ours.
    #[error("open ledger: `ledger/checkpoint`: {what}; put back the file from a backup")]
    Checkpoint {
        /// What is wrong.
        what: String,
    },
    /// The log cannot be taken over.
    #[error("open ledger: {0}")]
    Recover(#[from] RecoverError),
    /// Index or tree cannot be brought up to date.
    #[error("open ledger: {0}")]
    Integrate(#[from] IntegrateError),
    /// The first records could not be written.
    #[error("open ledger: {0}")]
    Append(#[from] AppendError),
    /// What was left open could not be read.
    #[error("open ledger: {0}")]
    Read(#[from] ReadError),
}

impl From<IndexError> for OpenError {
    fn from(error: IndexError) -> Self {
        Self::Integrate(error.into())
    }
}

/// A handle on the one ledger of a home. Clones are handles on the same ledger.
#[derive(Clone)]
pub struct Ledger {
    queue: Sender,
    shared: Arc<Shared>,
    identity: Arc<Identity>,
    disk: Arc<dyn Disk>,
    index: IndexPlace,
}

/// A ledger and those who work for it.
struct Parts {
    integrator: Integrator,
    ledger: Ledger,
    sequencer: Sequencer,
    taken: Receiver,
}

impl Ledger {
    /// Opens the ledger of a home for writing, making it if there is none, closes what an earlier process left open, and brings index and tree up to date.
    ///
    /// Blocks: some milliseconds after an orderly stop, longer after a crash. Needs no runtime.
    ///
    /// # Errors
    /// [`OpenError`] says what is wrong and how to mend it; a damaged ledger is left as it is.
    pub fn open(home: &Path, options: Options) -> Result<Self, OpenError> {
        let disk = HomeDisk::new(home);
        let index = IndexPlace::File(disk.path(INDEX));
        Self::open_on(Arc::new(disk), index, options)
    }

    /// Opens a ledger that lives in memory, for tests and trials.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn in_memory(options: Options) -> Result<Self, OpenError> {
        Self::open_on(Arc::new(MemoryDisk::new()), IndexPlace::Memory, options)
    }

    /// Opens the ledger on a disk of any kind.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_on(disk: Arc<dyn Disk>, index: IndexPlace, options: Options) -> Result<Self, OpenError> {
        let integration = options.integration;
        let Parts { integrator, ledger, mut sequencer, taken } = Self::assemble(disk, index, options)?;
        match integration {
            Integration::AfterEachGroup => sequencer.integrate_with(integrator),
            Integration::Background => {
                let shared = Arc::clone(&ledger.shared);
                spawn("ledger-derive", move || {
                    step_back();
                    if catch_unwind(AssertUnwindSafe(|| integrator.run(&shared))).is_err() {
                        shared.derivation_died();
                    }
                })?;
            }
        }
        let writer = Arc::clone(&ledger.shared);
        spawn("ledger-write", move || {
            if catch_unwind(AssertUnwindSafe(|| sequencer.run(taken))).is_err() {
                writer.writer_died();
            }
        })?;
        Ok(ledger)
    }

    /// The parts of a ledger, before its threads run.
    fn assemble(disk: Arc<dyn Disk>, index: IndexPlace, mut options: Options) -> Result<Parts, OpenError> {
        let segment_bytes = options.segment_bytes.clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX);
        let lock = prepare_home(&*disk)?;
        let identity = Arc::new(Identity::read_or_make(&*disk, &mut *options.entropy)?);
        let sqlite = SqliteIndex::open(&index, &identity.emitter)?;
        let keys = identity::read_keys(&*disk)?;
        if !identity.is_newest(&*disk, &keys)? {
            return Err(OpenError::Key);
        }
        let found =
            tree::read_checkpoint(&*disk, &keys).map_err(|error| OpenError::Checkpoint { what: error.to_string() })?;
        let note = tree::read_note(&*disk);
        let promises = [
            Promise { what: "the signed checkpoint", records: found.as_ref().map_or(0, |found| found.size) },
            Promise { what: "`ledger/tree`", records: note.map_or(0, |note| note.cursor.records()) },
            Promise { what: "the index", records: sqlite.progress()?.records() },
            Promise { what: "`ledger/cosigned`", records: tree::cosigned_size(&*disk, &identity.origin) },
        ];
        let Recovered { start, torn, stopped } =
            recovery::recover(&*disk, &identity, note.map(|note| note.cursor), &promises)?;

        let tree = Tree::resume(
            Arc::clone(&disk),
            identity.key.clone(),
            identity.origin.clone(),
            Arc::clone(&identity.emitter),
            found,
        );
        let mut integrator = Integrator::new(Arc::clone(&disk), Box::new(sqlite), tree, options.note_records)?;
        integrator.catch_up(start.end)?;

        let shared = Arc::new(Shared::new(lock, start.end, options.clock.now()));
        let opened = Opened { disk: &disk, identity: &identity, start_records: start.end.records(), torn, stopped };
        let next_segment = match options.integration {
            Integration::Background => {
                let prepared = sequencer::prepare_in_background(Arc::clone(&disk), segment_bytes);
                prepared.map_err(|source| OpenError::Io { file: segment::PREPARED.into(), source })?
            }
            Integration::AfterEachGroup => NextSegment::Inline,
        };
        let mut sequencer = Sequencer::new(
            Arc::clone(&disk),
            options.clock,
            options.entropy,
            Arc::clone(&identity),
            Arc::clone(&shared),
            segment_bytes,
            next_segment,
            start,
        );
        opened.write_first_records(&mut sequencer, &mut integrator)?;
        shared.note_progress(&integrator, None);

        let linger = match options.integration {
            Integration::Background => options.linger,
            // A wait on the clock would put records into one group or two as it pleases.
            Integration::AfterEachGroup => Duration::ZERO,
        };
        let (queue, taken) = queue::queue(options.queue_appends, linger);
        Ok(Parts { integrator, ledger: Self { queue, shared, identity, disk, index }, sequencer, taken })
    }

    /// Appends records as one group member: all of them become durable together, in this order, or none does.
    ///
    /// The drafts are in the queue when this returns, before the future is first polled, unless the queue is full: then they stand in line for it. So the log has what is
    /// appended in the order of the calls of this function. Dropping the future does not take back what is queued, and takes back what stands in line. Receipts come after
    /// the sync that covers the records, in the order of the drafts.
    ///
    /// # Errors
    /// [`AppendError`]; then none of the records is in the log, except that nobody knows after [`AppendError::Degraded`].
    pub fn append(
        &self,
        drafts: Vec<Draft>,
    ) -> impl Future<Output = Result<Vec<Receipt>, AppendError>> + Send + 'static + use<> {
        let (done, receipts) = oneshot::channel();
        let queued = self.queue.send(Message::Append(Append { drafts, done: Some(done) }));
        let shared = Arc::clone(&self.shared);
        async move {
            let Ok(_in_line) = queued else { return Err(shared.gone()) };
            receipts.await.unwrap_or_else(|_| Err(shared.gone()))
        }
    }

    /// Appends records that nobody waits for, as one group member: they are written with the next group, or by themselves after [`Options::linger`]. That they
    /// could not be written is told in the log.
    ///
    /// # Errors
    /// There is no room in the queue: the drafts come back, for [`Self::append`] to wait with.
    pub fn append_unwaited(&self, drafts: Vec<Draft>) -> Result<(), Vec<Draft>> {
        // CRASH: until they are written the records are in memory alone. Recovery closes a call whose outcome is lost so as `unknown`, and opens an exception.
        match self.queue.try_send(Message::Append(Append { drafts, done: None })) {
            Ok(()) => Ok(()),
            Err(Refused::Full(Message::Append(append))) => Err(append.drafts),
            Err(Refused::Full(Message::Close(_)) | Refused::Closed) => {
                sequencer::refuse(None, self.shared.gone());
                Ok(())
            }
        }
    }

    /// As [`Self::append`], for threads outside a runtime. Panics inside one.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub fn append_blocking(&self, drafts: Vec<Draft>) -> Result<Vec<Receipt>, AppendError> {
        let (done, receipts) = oneshot::channel();
        match self.queue.send(Message::Append(Append { drafts, done: Some(done) })) {
            Ok(_in_line) => receipts.blocking_recv().unwrap_or_else(|_| Err(self.shared.gone())),
            Err(_) => Err(self.shared.gone()),
        }
    }

    /// Whether the ledger takes records now.
    #[must_use]
    pub fn health(&self) -> Health {
        self.shared.health().borrow().clone()
    }

    /// Tells of every change of [`Self::health`].
    #[must_use]
    pub fn watch_health(&self) -> watch::Receiver<Health> {
        self.shared.health().subscribe()
    }

    /// How far index and tree trail the log.
    #[must_use]
    pub fn lag(&self) -> Lag {
        let mut lag = self.shared.progress().borrow().clone();
        lag.durable = self.shared.end().records();
        lag
    }

    /// Waits until the index knows record `seq`. Readers need not wait: they read what the index lacks from the log.
    pub async fn indexed(&self, seq: u64) {
        let mut progress = self.shared.progress().subscribe();
        // Fails only when the ledger is gone, and then nothing more comes.
        let _ = progress.wait_for(|lag| lag.indexed >= seq).await;
    }

    /// The name of this log in every record.
    #[must_use]
    pub fn emitter(&self) -> &str {
        &self.identity.emitter
    }

    /// The name of this log in its checkpoints.
    #[must_use]
    pub fn origin(&self) -> &KeyName {
        &self.identity.origin
    }

    /// The latest `version_log` record of every object of a kind, in the order of the log: what a gateway rebuilds its runs, missions and halts from.
    ///
    /// # Errors
    /// [`ReadError`] if the log cannot be read.
    pub fn versions(&self, kind: VersionedKind) -> Result<Vec<Record>, ReadError> {
        self.reader()?.versions(kind)
    }

    /// The key that will sign the log next: the one that was made for it, or else a new one of `seed`. It signs nothing before [`Self::rotation`] is recorded.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn next_key(&self, seed: &[u8; 32]) -> Result<VerifierKey, IdentityError> {
        let key = identity::next_or_make(&*self.disk, &self.identity.origin, seed)?;
        Ok(VerifierKey::new(self.identity.origin.clone(), key.verifying_key()))
    }

    /// What must be recorded so that the next key signs the log, from the first checkpoint on that covers the record. One such record at a time: [`Self::signed`] tells when it
    /// is done.
    ///
    /// # Errors
    /// [`IdentityError`].
    pub fn rotation(&self, seed: &[u8; 32], who: &str, why: &str) -> Result<VersionLog, IdentityError> {
        let key = identity::next_or_make(&*self.disk, &self.identity.origin, seed)?;
        let new = VerifierKey::new(self.identity.origin.clone(), key.verifying_key());
        let keys = identity::read_keys(&*self.disk)?;
        Rotation::record(keys.last(), &new, &key, who, why)
            .map_err(|error| IdentityError::Malformed { file: identity::NEXT_KEY, what: error.to_string() })
    }

    /// Waits until a checkpoint covers record `seq`.
    pub async fn signed(&self, seq: u64) {
        let mut progress = self.shared.progress().subscribe();
        // Fails only when the ledger is gone, and then nothing more comes.
        let _ = progress.wait_for(|lag| lag.signed >= seq).await;
    }

    /// Keeps a checkpoint that enough witnesses have cosigned, durably, as the newest one of which that is so.
    ///
    /// # Errors
    /// What the disk says.
    pub fn keep_cosigned(&self, note: &[u8]) -> io::Result<()> {
        // CRASH: the old one is there or the new one, and both are good; what a witness has seen it keeps itself.
        replace_file(&*self.disk, tree::COSIGNED, note, Audience::Home, Durability::Synced)
    }

    /// Keeps the public keys of the witnesses, for bundles and auditors.
    ///
    /// # Errors
    /// What the disk says.
    pub fn name_witnesses(&self, keys: &[WitnessKey]) -> io::Result<()> {
        let text: String = keys.iter().map(|key| format!("{key}\n")).collect();
        replace_file(&*self.disk, identity::WITNESS_KEYS, text.as_bytes(), Audience::Home, Durability::Synced)
    }

    /// A reader of this ledger.
    ///
    /// # Errors
    /// [`ReadError`] if the home cannot be read.
    pub fn reader(&self) -> Result<Reader, ReadError> {
        Reader::open_on(Arc::clone(&self.disk), &self.index)
    }

    /// Closes the ledger in order: takes no more appends, finishes those that wait, records that it stopped, signs a last checkpoint and makes everything durable.
    ///
    /// # Errors
    /// [`CloseError`]; what was acknowledged is durable in any case.
    pub async fn close(self) -> Result<(), CloseError> {
        let (done, closed) = oneshot::channel();
        let _in_line = self.queue.send(Message::Close(done)).map_err(|_| CloseError::Closed)?;
        closed.await.unwrap_or(Err(CloseError::Closed))
    }

    /// As [`Self::close`], for threads outside a runtime. Panics inside one.
    ///
    /// # Errors
    /// As [`Self::close`].
    pub fn close_blocking(self) -> Result<(), CloseError> {
        let (done, closed) = oneshot::channel();
        let _in_line = self.queue.send(Message::Close(done)).map_err(|_| CloseError::Closed)?;
        closed.blocking_recv().unwrap_or(Err(CloseError::Closed))
    }
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), OpenError> {
    let spawned = std::thread::Builder::new().name(name.into()).spawn(body);
    spawned.map(drop).map_err(|source| OpenError::Io { file: format!("thread {name}"), source })
}

/// Makes the directories of a home and takes its lock.
fn prepare_home(disk: &dyn Disk) -> Result<Box<dyn crate::ports::Lock>, OpenError> {
    let at = |file: &str| {
        let file = file.to_owned();
        move |source| OpenError::Io { file, source }
    };
    disk.create_dir(".").map_err(at("."))?;
    let lock = disk.lock(LOCK).map_err(|source| match source.kind() {
        io::ErrorKind::WouldBlock => OpenError::Locked,
        _ => OpenError::Io { file: LOCK.into(), source },
    })?;
    for directory in ["keys", segment::DIRECTORY] {
        disk.create_dir(directory).map_err(at(directory))?;
    }
    for directory in ["ledger", "."] {
        disk.sync_dir(directory).map_err(at(directory))?;
    }
    Ok(lock)
}

/// What opening found out, on its way into records.
struct Opened<'a> {
    disk: &'a Arc<dyn Disk>,
    identity: &'a Identity,
    start_records: u64,
    torn: Option<recovery::Torn>,
    stopped: bool,
}

impl Opened<'_> {
    /// `started`; then, after anything but an orderly stop, an outcome and an exception for every open call, and `recovered`.
    fn write_first_records(&self, sequencer: &mut Sequencer, integrator: &mut Integrator) -> Result<(), OpenError> {
        let detail = match (&self.torn, self.start_records) {
            (Some(torn), _) => format!(
                "opened; the last write of the process before was not finished: {} bytes at byte {} of `{}` are kept in `{}`",
                torn.bytes, torn.offset, torn.file, torn.kept
            ),
            (None, 0) => "created".into(),
            (None, _) => "opened".into(),
        };
        sequencer.append_now(|at, records| vec![self.state(LedgerEvent::Started, detail, records, at)])?;
        if let Some(torn) = &self.torn {
            let entropy = sequencer.entropy()?;
            sequencer.append_now(|at, _| vec![recovery::torn_exception(torn, ExceptionId::at(at, entropy), at)])?;
        }
        let open = recovery::open_intents(self.disk, integrator.index())?;
        for intent in &open {
            let entropy = sequencer.entropy()?;
            let close = |at| recovery::close_call(intent, ExceptionId::at(at, entropy), at);
            sequencer.append_now(|at, _| close(at).into_iter().flatten().collect())?;
            // CRASH: calls that are closed stay closed; the next opening closes the others.
        }
        if !self.stopped || self.torn.is_some() || !open.is_empty() {
            let detail = format!(
                "the process before did not close the ledger; {} calls had an intent and no outcome and are closed as unknown",
                open.len()
            );
            sequencer.append_now(|at, records| vec![self.state(LedgerEvent::Recovered, detail, records, at)])?;
        }
        integrator.catch_up(sequencer.end())?;
        integrator.publish()?;
        Ok(())
    }

    fn state(&self, event: LedgerEvent, detail: String, records: u64, at: Timestamp) -> Draft {
        let body = LedgerState {
            detail,
            event,
            origin: self.identity.origin.to_string(),
            records,
            version: env!("CARGO_PKG_VERSION").into(),
        };
        Draft::new(Arc::new(Context::system()), None, at, body)
    }
}
