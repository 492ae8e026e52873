//! Backups of a home, made while a gateway writes to it, and homes made from them.
//!
//! What cannot be made again is taken: the log, keys, accepted versions, attachments, kept content, and what is written by hand. The index and the tree are derived from the log, and
//! made anew from it. Start at [`backup`] and [`restore`].

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use store::backup::{LIST, List, Packer, UnpackError, log_moment, sync_folders, unpack};
use store::{ReadError, Reader};

use crate::Gateway;
use crate::clock::now;
use crate::home::Home;
use crate::trouble::RESTORED;

/// The checkpoints, which are taken before the log: it has at least the records that they cover.
const CHECKPOINTS: [&str; 2] = ["ledger/checkpoint", "ledger/cosigned"];

/// What is not taken: what is derived from the log, belongs to a process, or is of no home but this.
const LEFT: [&str; 9] = [
    LIST,
    RESTORED,
    "gateway.log",
    "gateway.sock",
    "ledger/lock",
    "ledger/segments",
    "ledger/tile",
    "ledger/tree",
    "lock",
];

/// The public key of the log, which is the last thing to change where it goes on to another.
const KEY: &str = "keys/log.vkey";

/// How the log went from key to key, a file for each, which is the first.
const HANDOVERS: &str = "ledger/handovers";

/// How the files of the index begin.
const INDEX: &str = "ledger/index.sqlite";

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The home has no ledger, or it cannot be read.
    #[error("back up: {0}")]
    Ledger(#[from] ReadError),
    /// The log went on to another key meanwhile, and the backup would have one without the other.
    #[error("back up: the log's key was changed meanwhile; make the backup again")]
    Key,
    /// A file cannot be read, or the backup not be written.
    #[error("back up `{file}`: {source}")]
    Io {
        /// Which.
        file: String,
        /// Why not.
        source: io::Error,
    },
}

/// How far a backup or a restore is: bytes done, of all.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

/// Writes a backup of `home` as of now to `out`; gives its list.
///
/// # Errors
/// [`BackupError`].
pub fn backup(home: &Home, out: impl Write, progress: Progress<'_>) -> Result<List, BackupError> {
    let root = home.path();
    let reader = Reader::open(root)?;
    let origin = reader.checkpoint()?.map(|signed| signed.checkpoint.origin.to_string()).unwrap_or_default();
    let at = |file: &str| {
        let file = file.to_owned();
        move |source| BackupError::Io { file, source }
    };
    let mut checkpoints = Vec::new();
    for name in CHECKPOINTS {
        match fs::read(root.join(name)) {
            Ok(bytes) => checkpoints.push((name, bytes)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(at(name)(error)),
        }
    }
    let before = keys(root).map_err(at(KEY))?;
    let moment = log_moment(root)?;
    let mut others = Vec::new();
    walk(root, "", &mut others).map_err(at(&root.display().to_string()))?;
    others.sort_unstable();
    let size = |name: &String| fs::metadata(root.join(name)).map_or(0, |found| found.len());
    let all: u64 =
        others.iter().map(size).sum::<u64>() + moment.segments.iter().map(|(_, _, bytes)| bytes).sum::<u64>();
    let mut done = 0;
    let mut step = |bytes: u64| {
        done += bytes;
        progress(done, all.max(done));
    };
    let mut packer = Packer::new(out);
    for (name, bytes) in &checkpoints {
        let length = bytes.len() as u64;
        packer.add(name, &mut bytes.as_slice(), (length, length), &mut step).map_err(at(name))?;
    }
    for name in &others {
        let mut file = match File::open(root.join(name)) {
            // What nobody needs any more may go meanwhile, as an outcome that was delivered.
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            file => file.map_err(at(name))?,
        };
        let bytes = file.metadata().map_err(at(name))?.len();
        packer.add(name, &mut file, (bytes, bytes), &mut step).map_err(at(name))?;
    }
    for (name, taken, bytes) in &moment.segments {
        let mut file = File::open(root.join(name)).map_err(at(name))?;
        packer.add(name, &mut file, (*taken, *bytes), &mut step).map_err(at(name))?;
    }
    if keys(root).map_err(at(KEY))? != before {
        return Err(BackupError::Key);
    }
    let list = |files| List {
        backup: 1,
        files,
        made_at: now().to_string(),
        origin,
        records: moment.records,
        version: env!("CARGO_PKG_VERSION").to_owned(),
    };
    Ok(packer.finish(list).map_err(at(LIST))?.0)
}

/// What tells whether the log goes on to another key.
fn keys(root: &Path) -> io::Result<(Vec<u8>, usize)> {
    let handovers = match fs::read_dir(root.join(HANDOVERS)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        entries => entries?.count(),
    };
    Ok((fs::read(root.join(KEY))?, handovers))
}

/// The files below `folder` that are taken, but for checkpoints and the log itself.
fn walk(folder: &Path, below: &str, names: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry
            .file_name()
            .into_string()
            .map_err(|name| io::Error::other(format!("{} is no text", name.display())))?;
        let name = if below.is_empty() { name } else { format!("{below}/{name}") };
        let is_left = LEFT.contains(&name.as_str()) || CHECKPOINTS.contains(&name.as_str()) || name.starts_with(INDEX);
        // A file that is being written has another name until it is whole.
        if is_left || name.ends_with(".new") {
            continue;
        }
        // The file behind a link is what the home has.
        let found = match fs::metadata(entry.path()) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            found => found?,
        };
        if found.is_dir() {
            walk(&entry.path(), &name, names)?;
        } else if found.is_file() {
            names.push(name);
        }
    }
    Ok(())
}

/// Why a home is not restored.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// Something is there already.
    #[error("`{0}` is there already, and not empty; name another home, or move that one away")]
    There(PathBuf),
    /// It cannot be unpacked.
    #[error(transparent)]
    Unpack(#[from] UnpackError),
    /// The file system refused.
    #[error("restore `{path}`: {source}")]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// What was restored cannot be opened.
    #[error("the restored home does not open: {0}")]
    Open(#[from] crate::OpenError),
}

/// Makes `home` from a backup: unpacks it beside the home's place, holds it to its list, and puts it there. The log's index and tree are made anew, and an exception says that the home
/// was restored.
///
/// # Errors
/// [`RestoreError`]; then there is no home that was not there before.
pub async fn restore(source: &mut dyn Read, home: &Home, progress: &mut dyn FnMut(u64)) -> Result<List, RestoreError> {
    let path = home.path().to_owned();
    let io = |source| RestoreError::Io { path: path.clone(), source };
    match fs::read_dir(&path).map(|mut entries| entries.next().is_none()) {
        Ok(true) => fs::remove_dir(&path).map_err(io)?,
        Ok(false) => return Err(RestoreError::There(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(io(error)),
    }
    // CRASH: what is not whole has this name, and is made anew.
    let fresh = path.with_added_extension("restoring");
    match fs::remove_dir_all(&fresh) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(io(error)),
        _ => {}
    }
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).map_err(io)?;
    }
    let list = unpack(source, &fresh, progress)?;
    let note = format!(
        "the home was restored from a backup of {} with {} records; what was recorded after that is not in this log, and witnesses that saw it refuse this one",
        list.made_at, list.records
    );
    fs::create_dir_all(fresh.join("ledger")).and_then(|()| fs::write(fresh.join(RESTORED), note)).map_err(io)?;
    sync_folders(&fresh).map_err(io)?;
    fs::rename(&fresh, &path).map_err(io)?;
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all()).map_err(io)?;
    let gateway = Gateway::open(home.clone(), Duration::from_secs(1))?;
    gateway.tell_restored().await;
    gateway.close().await;
    Ok(list)
}
