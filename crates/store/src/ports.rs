//! What the ledger needs from outside: a disk, a clock, randomness and an index.
//!
//! Narrow on purpose: the log needs only writes at an offset, syncs and renames, so that a faulty disk can stand in for a real one in every test of recovery.
//! Paths are relative to the home, with `/` between names. Nothing here knows what is stored.

use std::io;

use evidence::record::VersionedKind;
use evidence::time::Timestamp;

use crate::ledger::log::{Cursor, Spot};
use crate::ledger::rows::Batch;

/// A moment, as an input.
pub trait Clock: Send + Sync {
    /// The time in UTC. It may go back; the ledger's own times do not.
    fn now(&self) -> Timestamp;
}

impl<F: Fn() -> Timestamp + Send + Sync> Clock for F {
    fn now(&self) -> Timestamp {
        self()
    }
}

/// Random bytes, as an input.
pub trait Entropy: Send {
    /// Fills `out`.
    ///
    /// # Errors
    /// The source gave nothing; the ledger then stops.
    fn fill(&mut self, out: &mut [u8]) -> io::Result<()>;
}

/// Who may read a file that is created.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Only the owner: mode 0600.
    Owner,
    /// Whoever may enter the home: mode 0644 less the umask.
    Home,
}

/// What a file is opened for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Reading only.
    Read,
    /// Reading and writing.
    Write,
}

/// The files of one home.
pub trait Disk: Send + Sync + 'static {
    /// Takes the lock `path` until the guard is dropped or the process dies.
    ///
    /// # Errors
    /// `WouldBlock` while somebody else holds it.
    fn lock(&self, path: &str) -> io::Result<Box<dyn Lock>>;

    /// Makes a directory with its parents, only the owner may enter it; one that exists is left as it is.
    ///
    /// # Errors
    /// What the file system says.
    fn create_dir(&self, path: &str) -> io::Result<()>;

    /// Makes an empty file, or empties the one that is there.
    ///
    /// # Errors
    /// What the file system says.
    fn create(&self, path: &str, audience: Audience) -> io::Result<Box<dyn File>>;

    /// Opens a file that exists.
    ///
    /// # Errors
    /// `NotFound`, or what the file system says.
    fn open(&self, path: &str, access: Access) -> io::Result<Box<dyn File>>;

    /// Gives a file another name, replacing what had it. Durable after [`Disk::sync_dir`].
    ///
    /// # Errors
    /// What the file system says.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// `NotFound`, or what the file system says.
    fn remove(&self, path: &str) -> io::Result<()>;

    /// The names in a directory, sorted; none if it does not exist.
    ///
    /// # Errors
    /// What the file system says.
    fn list(&self, path: &str) -> io::Result<Vec<String>>;

    /// Makes the names in a directory durable.
    ///
    /// # Errors
    /// What the file system says; the names may or may not be durable.
    fn sync_dir(&self, path: &str) -> io::Result<()>;
}

/// A lock that is held.
pub trait Lock: Send + Sync {}

/// One open file.
pub trait File: Send + Sync {
    /// Its length in bytes.
    ///
    /// # Errors
    /// What the file system says.
    fn bytes(&self) -> io::Result<u64>;

    /// Reads at `offset` until `out` is full or the file ends; says how much.
    ///
    /// # Errors
    /// What the file system says.
    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    /// What the file system says; any part may have been written.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Makes the written bytes durable, and the length if it has changed.
    ///
    /// # Errors
    /// What the file system says; the bytes may or may not be durable, and asking again proves nothing.
    fn sync_data(&self) -> io::Result<()>;
}

/// Reads a whole small file of at most `bytes_max`.
///
/// # Errors
/// `NotFound`, `InvalidData` if it is longer, or what the file system says.
pub fn read_file(disk: &dyn Disk, path: &str, bytes_max: usize) -> io::Result<Vec<u8>> {
    let file = disk.open(path, Access::Read)?;
    let bytes = file.bytes()?;
    let wanted = usize::try_from(bytes).ok().filter(|wanted| *wanted <= bytes_max);
    let Some(wanted) = wanted else {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("{bytes} bytes, at most {bytes_max} expected")));
    };
    let mut out = vec![0; wanted];
    let read = file.read_at(&mut out, 0)?;
    out.truncate(read);
    Ok(out)
}

/// Whether a replaced file must survive a power cut at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Left to the system: for what can be derived again.
    Derived,
    /// Its bytes are synced before the rename: after a power cut there is the old file or the new one.
    Whole,
    /// Its name is synced too: after a power cut there is the new file.
    Synced,
}

/// Replaces a small file as a whole: a reader sees the old bytes or the new ones.
///
/// # Errors
/// What the file system says; the old file is still there then, or the new one.
pub fn replace_file(
    disk: &dyn Disk,
    path: &str,
    bytes: &[u8],
    audience: Audience,
    durability: Durability,
) -> io::Result<()> {
    let (directory, _) = path.rsplit_once('/').unwrap_or((".", path));
    let written = format!("{path}.tmp");
    let file = disk.create(&written, audience)?;
    file.write_at(bytes, 0)?;
    if durability != Durability::Derived {
        file.sync_data()?;
    }
    // CRASH: the new bytes are under a name nobody reads; the old file is untouched.
    disk.rename(&written, path)?;
    if durability == Durability::Synced {
        disk.sync_dir(directory)?;
    }
    Ok(())
}

/// What is derived from the log for finding things: may trail it, never leads it, and is made anew whenever it does not fit.
pub trait Index: Send {
    /// Up to where the log is in the index.
    ///
    /// # Errors
    /// The index cannot be read.
    fn progress(&self) -> Result<Cursor, IndexError>;

    /// Adds the rows of the records between [`Self::progress`] and `upto`, all or none.
    ///
    /// # Errors
    /// Nothing was added, or all of it was: ask [`Self::progress`].
    fn apply(&mut self, batch: &Batch, upto: Cursor) -> Result<(), IndexError>;

    /// Forgets everything.
    ///
    /// # Errors
    /// The index cannot be written.
    fn clear(&mut self) -> Result<(), IndexError>;

    /// Actions that are not in their call's row: second attempts, and what contradicts it. In order.
    ///
    /// # Errors
    /// The index cannot be read.
    fn stray_actions(&self) -> Result<Vec<Spot>, IndexError>;

    /// The intents whose call's row has no outcome, in order.
    ///
    /// # Errors
    /// The index cannot be read.
    fn open_intents(&self) -> Result<Vec<Spot>, IndexError>;

    /// The last `version_log` of every object of a kind, in order.
    ///
    /// # Errors
    /// The index cannot be read.
    fn latest_versions(&self, kind: VersionedKind) -> Result<Vec<Spot>, IndexError>;
}

/// Why the index failed. Nothing is lost by it: the log has everything.
#[derive(Debug, thiserror::Error)]
pub enum IndexError {
    /// SQLite said no.
    #[error("index: {0}")]
    Sqlite(#[from] rusqlite::Error),
    /// The file could not be touched.
    #[error("index: {0}")]
    Io(#[from] io::Error),
}
