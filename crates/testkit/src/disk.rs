//! A disk in memory that forgets and fails: for finding out what the ledger makes of it.
//!
//! It keeps two states of everything: what a running program sees, and what a power cut leaves. Between the two lie the pages and names that nobody has synced;
//! [`FaultyDisk::after_power_cut`] keeps a random choice of them. [`FaultyDisk::fail`] makes one operation go wrong in one way, and [`FaultyDisk::operations`]
//! lists what was done, so that a test can go through all of it. Reads never fail.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use store::ports::{Access, Audience, Disk, File, Lock};

/// What a power cut keeps or loses as one.
const PAGE_BYTES: usize = 4_096;

/// An operation that changes something or makes it durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Op {
    /// A file is made or emptied.
    Create,
    /// A file is removed.
    Remove,
    /// A file gets another name.
    Rename,
    /// A file's bytes are made durable.
    Sync,
    /// A directory's names are made durable.
    SyncDir,
    /// Bytes are written.
    Write,
}

/// One operation that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// What.
    pub op: Op,
    /// On which path; of a rename, the new one.
    pub path: String,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.op, self.path)
    }
}

/// How an operation goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It says that it failed, and did.
    Lost,
    /// It says that it failed, and what it did is durable.
    PersistedAnyway,
    /// A write that writes the first half.
    Short,
    /// There is no room, now and later.
    Full,
    /// The file system turned read-only, now and later.
    ReadOnly,
    /// A sync that fails and drops what it should have made durable; the next one says that all is well.
    SyncFails,
    /// The machine stops: this and everything later fails, and nothing of it happens.
    PowerCut,
}

impl Fault {
    /// Every kind.
    pub const ALL: [Self; 7] =
        [Self::Lost, Self::PersistedAnyway, Self::Short, Self::Full, Self::ReadOnly, Self::SyncFails, Self::PowerCut];

    /// Whether this can happen to this operation.
    #[must_use]
    pub fn befalls(self, op: Op) -> bool {
        match self {
            Self::Lost | Self::PersistedAnyway | Self::PowerCut => true,
            Self::Short => op == Op::Write,
            Self::Full => matches!(op, Op::Create | Op::Rename | Op::Write | Op::Sync | Op::SyncDir),
            Self::ReadOnly => matches!(op, Op::Create | Op::Remove | Op::Rename | Op::Write),
            Self::SyncFails => matches!(op, Op::Sync | Op::SyncDir),
        }
    }

    fn error(self) -> io::Error {
        match self {
            Self::Full => io::Error::new(io::ErrorKind::StorageFull, "no space left on the test disk"),
            Self::ReadOnly => io::Error::new(io::ErrorKind::ReadOnlyFilesystem, "the test disk is read-only"),
            Self::Lost | Self::PersistedAnyway | Self::Short | Self::SyncFails | Self::PowerCut => {
                io::Error::other(format!("the test disk failed: {self:?}"))
            }
        }
    }
}

/// A disk that forgets and fails. Clones are the same disk.
#[derive(Clone, Default)]
pub struct FaultyDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    files: Vec<Content>,
    /// The names that a program sees.
    names: BTreeMap<String, usize>,
    /// The names that a power cut leaves.
    durable_names: BTreeMap<String, usize>,
    /// Changes of names that are not durable yet, in order.
    pending: Vec<Naming>,
    locks: BTreeSet<String>,
    operations: Vec<Operation>,
    plan: Option<(usize, Fault)>,
    /// Set by faults that stay.
    broken: Option<Fault>,
}

#[derive(Clone, Debug, Default)]
struct Content {
    live: Vec<u8>,
    durable: Vec<u8>,
    dirty: BTreeSet<usize>,
}

#[derive(Clone, Debug)]
enum Naming {
    Named { path: String, file: usize },
    Moved { from: String, to: String },
    Removed { path: String },
}

impl Naming {
    fn directory(&self) -> &str {
        let (Self::Named { path, .. } | Self::Moved { to: path, .. } | Self::Removed { path }) = self;
        parent(path)
    }

    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Named { path, file } => {
                names.insert(path.clone(), *file);
            }
            Self::Moved { from, to } => {
                if let Some(file) = names.remove(from) {
                    names.insert(to.clone(), file);
                }
            }
            Self::Removed { path } => {
                names.remove(path);
            }
        }
    }
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or(".", |(directory, _)| directory)
}

impl FaultyDisk {
    /// An empty disk that works.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes operation `number`, counted from 0 as [`Self::operations`] lists them, go wrong.
    pub fn fail(&self, number: usize, fault: Fault) {
        self.state().plan = Some((number, fault));
    }

    /// What was asked for so far.
    #[must_use]
    pub fn operations(&self) -> Vec<Operation> {
        self.state().operations.clone()
    }

    /// The disk as a killed process leaves it: all that was written is there.
    #[must_use]
    pub fn after_kill(&self) -> Self {
        let state = self.state();
        let files = state.files.clone();
        let survivor = State {
            files,
            names: state.names.clone(),
            durable_names: state.durable_names.clone(),
            pending: state.pending.clone(),
            ..State::default()
        };
        Self { state: Arc::new(Mutex::new(survivor)) }
    }

    /// The disk as a power cut leaves it: what was synced, and of the rest each page, each length and some first changes of names as `keep` says.
    #[must_use]
    pub fn after_power_cut(&self, mut keep: impl FnMut() -> Keep) -> Self {
        let state = self.state();
        let mut names = state.durable_names.clone();
        for naming in &state.pending {
            if keep() == Keep::No {
                break;
            }
            naming.apply(&mut names);
        }
        let files = state.files.iter().map(|content| content.after_power_cut(&mut keep)).collect();
        let survivor = State { files, durable_names: names.clone(), names, ..State::default() };
        Self { state: Arc::new(Mutex::new(survivor)) }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether something that was not synced survives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// It is gone.
    No,
    /// It is there.
    Yes,
}

impl Content {
    fn write(&mut self, bytes: &[u8], offset: usize) {
        let end = offset + bytes.len();
        if self.live.len() < end {
            self.live.resize(end, 0);
        }
        if let Some(slot) = self.live.get_mut(offset..end) {
            slot.copy_from_slice(bytes);
        }
        self.dirty.extend(offset / PAGE_BYTES..end.div_ceil(PAGE_BYTES));
    }

    fn sync(&mut self) {
        self.durable.resize(self.live.len(), 0);
        for page in std::mem::take(&mut self.dirty) {
            self.persist(page);
        }
    }

    fn persist(&mut self, page: usize) {
        let start = page * PAGE_BYTES;
        let end = (start + PAGE_BYTES).min(self.durable.len()).min(self.live.len());
        if let (Some(slot), Some(written)) = (self.durable.get_mut(start..end), self.live.get(start..end)) {
            slot.copy_from_slice(written);
        }
    }

    fn after_power_cut(&self, keep: &mut impl FnMut() -> Keep) -> Self {
        let mut left = self.clone();
        if left.live.len() != left.durable.len() && keep() == Keep::Yes {
            left.durable.resize(left.live.len(), 0);
        }
        for page in std::mem::take(&mut left.dirty) {
            if keep() == Keep::Yes {
                left.persist(page);
            }
        }
        Self { live: left.durable.clone(), ..left }
    }
}

/// What is to become of an operation.
enum Fate {
    Done,
    Failed(Fault),
}

impl State {
    fn begin(&mut self, op: Op, path: &str) -> Fate {
        let number = self.operations.len();
        self.operations.push(Operation { op, path: path.to_owned() });
        if let Some((planned, fault)) = self.plan
            && planned == number
        {
            if matches!(fault, Fault::Full | Fault::ReadOnly | Fault::PowerCut) {
                self.broken = Some(fault);
            }
            return Fate::Failed(fault);
        }
        match self.broken {
            Some(fault) if fault.befalls(op) => Fate::Failed(fault),
            _ => Fate::Done,
        }
    }

    /// What an open file is called now: a segment is renamed while the writer has it open.
    fn path_of(&self, file: usize) -> String {
        let named = self.names.iter().find(|(_, named)| **named == file);
        named.map_or_else(|| "(no name)".to_owned(), |(path, _)| path.clone())
    }

    fn name(&mut self, naming: Naming) {
        naming.apply(&mut self.names);
        self.pending.push(naming);
    }

    fn sync_names(&mut self, directory: &str) {
        let (synced, pending) = self.pending.drain(..).partition(|naming| naming.directory() == directory);
        self.pending = pending;
        for naming in Vec::<Naming>::from_iter(synced) {
            naming.apply(&mut self.durable_names);
        }
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        if !self.names.contains_key(from) {
            return Err(io::ErrorKind::NotFound.into());
        }
        self.name(Naming::Moved { from: from.to_owned(), to: to.to_owned() });
        Ok(())
    }
}

struct Held {
    disk: FaultyDisk,
    path: String,
}

impl Lock for Held {}

impl Drop for Held {
    fn drop(&mut self) {
        self.disk.state().locks.remove(&self.path);
    }
}

impl Disk for FaultyDisk {
    fn lock(&self, path: &str) -> io::Result<Box<dyn Lock>> {
        if !self.state().locks.insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(Held { disk: self.clone(), path: path.to_owned() }))
    }

    fn create_dir(&self, _path: &str) -> io::Result<()> {
        Ok(())
    }

    fn create(&self, path: &str, _audience: Audience) -> io::Result<Box<dyn File>> {
        let mut state = self.state();
        let fate = state.begin(Op::Create, path);
        if let Fate::Failed(fault) = fate
            && fault != Fault::PersistedAnyway
        {
            return Err(fault.error());
        }
        let file = match state.names.get(path).copied() {
            Some(file) => {
                if let Some(content) = state.files.get_mut(file) {
                    content.dirty.extend(0..content.live.len().div_ceil(PAGE_BYTES));
                    content.live.clear();
                }
                file
            }
            None => {
                state.files.push(Content::default());
                let file = state.files.len() - 1;
                state.name(Naming::Named { path: path.to_owned(), file });
                file
            }
        };
        if let Fate::Failed(fault) = fate {
            state.sync_names(parent(path));
            return Err(fault.error());
        }
        Ok(Box::new(Open { disk: self.clone(), file }))
    }

    fn open(&self, path: &str, _access: Access) -> io::Result<Box<dyn File>> {
        let file = *self.state().names.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(Open { disk: self.clone(), file }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut state = self.state();
        match state.begin(Op::Rename, to) {
            Fate::Done => state.rename(from, to),
            Fate::Failed(Fault::PersistedAnyway) => {
                state.rename(from, to)?;
                state.sync_names(parent(to));
                Err(Fault::PersistedAnyway.error())
            }
            Fate::Failed(fault) => Err(fault.error()),
        }
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let mut state = self.state();
        let fate = state.begin(Op::Remove, path);
        if let Fate::Failed(fault) = fate
            && fault != Fault::PersistedAnyway
        {
            return Err(fault.error());
        }
        if !state.names.contains_key(path) {
            return Err(io::ErrorKind::NotFound.into());
        }
        state.name(Naming::Removed { path: path.to_owned() });
        match fate {
            Fate::Done => Ok(()),
            Fate::Failed(fault) => {
                state.sync_names(parent(path));
                Err(fault.error())
            }
        }
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let below = format!("{path}/");
        let state = self.state();
        let rest = state.names.keys().filter_map(|name| name.strip_prefix(&below));
        let names: BTreeSet<String> = rest.filter_map(|rest| rest.split('/').next()).map(str::to_owned).collect();
        Ok(names.into_iter().collect())
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        let mut state = self.state();
        match state.begin(Op::SyncDir, path) {
            Fate::Done => {
                state.sync_names(path);
                Ok(())
            }
            Fate::Failed(Fault::PersistedAnyway) => {
                state.sync_names(path);
                Err(Fault::PersistedAnyway.error())
            }
            Fate::Failed(fault) => Err(fault.error()),
        }
    }
}

struct Open {
    disk: FaultyDisk,
    file: usize,
}

impl File for Open {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.disk.state().files.get(self.file).map_or(0, |content| content.live.len() as u64))
    }

    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.disk.state();
        let content = state.files.get(self.file).ok_or(io::ErrorKind::NotFound)?;
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(content.live.len());
        let there = content.live.get(from..).unwrap_or_default();
        let read = there.len().min(out.len());
        if let (Some(out), Some(there)) = (out.get_mut(..read), there.get(..read)) {
            out.copy_from_slice(there);
        }
        Ok(read)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        let path = state.path_of(self.file);
        let fate = state.begin(Op::Write, &path);
        let offset = usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let content = state.files.get_mut(self.file).ok_or(io::ErrorKind::NotFound)?;
        match fate {
            Fate::Done => {
                content.write(bytes, offset);
                Ok(())
            }
            Fate::Failed(fault) => {
                match fault {
                    Fault::PersistedAnyway => {
                        content.write(bytes, offset);
                        content.sync();
                    }
                    Fault::Short => content.write(bytes.get(..bytes.len() / 2).unwrap_or_default(), offset),
                    Fault::Lost | Fault::Full | Fault::ReadOnly | Fault::SyncFails | Fault::PowerCut => {}
                }
                Err(fault.error())
            }
        }
    }

    fn sync_data(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        let path = state.path_of(self.file);
        let fate = state.begin(Op::Sync, &path);
        let content = state.files.get_mut(self.file).ok_or(io::ErrorKind::NotFound)?;
        match fate {
            Fate::Done => {
                content.sync();
                Ok(())
            }
            Fate::Failed(fault) => {
                match fault {
                    Fault::PersistedAnyway => content.sync(),
                    // The pages count as clean from now on, and are not on the disk: what a kernel does after a failed write-back.
                    Fault::SyncFails => content.dirty.clear(),
                    Fault::Lost | Fault::Short | Fault::Full | Fault::ReadOnly | Fault::PowerCut => {}
                }
                Err(fault.error())
            }
        }
    }
}
