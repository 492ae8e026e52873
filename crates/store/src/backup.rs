//! A backup: the files of a home as one tar stream, with a list of what is in it at the end; and the way back.
//!
//! The log is taken as of one moment, also while it is written: all whole groups up to there, and zeros after them. What is derived from it is not taken. Whoever takes other files
//! after that moment has every file that a record names, since files come before their records.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::ReadError;
use crate::bundle::tar::{self, BLOCK};
use crate::embedded::disk::HomeDisk;
use crate::ledger::log::{Cursor, LogError, LogReader};
use crate::ledger::segment;
use crate::limits::{BACKUP_FILES_MAX, BACKUP_LIST_BYTES_MAX};
use crate::ports::Disk;

/// The name of the list, the last file of a backup.
pub const LIST: &str = "backup.json";

/// What a backup says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct List {
    /// The form of this object.
    pub backup: u32,
    /// The files, in the order in which they are there.
    pub files: Vec<Listed>,
    /// When it was made, RFC 3339.
    pub made_at: String,
    /// The log's name.
    pub origin: String,
    /// How many records the log had.
    pub records: u64,
    /// The program's version.
    pub version: String,
}

/// One file of a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    /// Its size.
    pub bytes: u64,
    /// Its path below the home.
    pub name: String,
    /// SHA-256 of its content.
    pub sha256: String,
}

/// The log as of one moment.
#[derive(Clone, Debug)]
pub struct LogMoment {
    /// How many records it has.
    pub records: u64,
    /// Its segments: the path below the home, how much of it is written, and how long the file is.
    pub segments: Vec<(String, u64, u64)>,
}

/// The log of `home` as it is now.
///
/// # Errors
/// What cannot be read.
pub fn log_moment(home: &Path) -> Result<LogMoment, ReadError> {
    let disk: Arc<dyn Disk> = Arc::new(HomeDisk::new(home));
    let list = || segment::list(&*disk).map_err(|error| LogError::io(1, 0, error));
    let Some(last) = list()?.last().copied() else { return Ok(LogMoment { records: 0, segments: Vec::new() }) };
    let start = Cursor { next_seq: last, segment: last, offset: Cursor::START.offset };
    let mut reader = LogReader::new(Arc::clone(&disk), start);
    while reader.next_if_there()?.is_some() {}
    let end = reader.cursor();
    let mut segments = Vec::new();
    // The next segment may be there by now; none of its records is before this moment.
    for first in list()?.into_iter().filter(|first| *first <= end.segment) {
        let path = segment::path(first);
        let bytes = fs::metadata(home.join(&path)).map_err(|error| LogError::io(first, 0, error))?.len();
        segments.push((path, if first == end.segment { end.offset.min(bytes) } else { bytes }, bytes));
    }
    Ok(LogMoment { records: end.records(), segments })
}

/// Writes a backup.
#[derive(Debug)]
pub struct Packer<W> {
    files: Vec<Listed>,
    out: W,
}

impl<W: Write> Packer<W> {
    /// A backup that goes to `out`.
    pub const fn new(out: W) -> Self {
        Self { files: Vec::new(), out }
    }

    /// Adds a file of `bytes` bytes: those that `content` gives, at most `taken` of them, and zeros after them. `progress` is told how many were written.
    ///
    /// # Errors
    /// Where the content is shorter than it was, or `out` cannot be written.
    pub fn add(
        &mut self,
        name: &str,
        content: &mut dyn Read,
        (taken, bytes): (u64, u64),
        progress: &mut dyn FnMut(u64),
    ) -> io::Result<()> {
        self.out.write_all(&tar::header(name, bytes)?)?;
        let mut digest = Sha256::new();
        let mut content = content.take(taken).chain(io::repeat(0).take(bytes.saturating_sub(taken)));
        let mut buffer = vec![0; 256 * 1024];
        let mut written = 0;
        loop {
            let read = content.read(&mut buffer)?;
            let Some(part) = buffer.get(..read).filter(|part| !part.is_empty()) else { break };
            digest.update(part);
            self.out.write_all(part)?;
            written += part.len() as u64;
            progress(part.len() as u64);
        }
        if written != bytes {
            return Err(io::Error::other(format!("`{name}` became shorter while it was read")));
        }
        self.pad(bytes)?;
        self.files.push(Listed { bytes, name: name.to_owned(), sha256: hex::encode(digest.finalize()) });
        Ok(())
    }

    fn pad(&mut self, bytes: u64) -> io::Result<()> {
        self.out.write_all([0; BLOCK].get(..tar::padding(bytes)).unwrap_or_default())
    }

    /// Ends the backup with its list; gives that and the stream.
    ///
    /// # Errors
    /// Where `out` cannot be written.
    pub fn finish(mut self, list: impl FnOnce(Vec<Listed>) -> List) -> io::Result<(List, W)> {
        let list = list(std::mem::take(&mut self.files));
        let text = serde_json::to_vec(&list)?;
        let bytes = text.len() as u64;
        self.out.write_all(&tar::header(LIST, bytes)?)?;
        self.out.write_all(&text)?;
        self.pad(bytes)?;
        self.out.write_all(&[0; 2 * BLOCK])?;
        self.out.flush()?;
        Ok((list, self.out))
    }
}

/// Why a backup is not unpacked.
#[derive(Debug, thiserror::Error)]
pub enum UnpackError {
    /// It cannot be read, or a file cannot be written.
    #[error("unpack the backup: {0}")]
    Io(#[from] io::Error),
    /// It is no backup, or not whole.
    #[error("this is no whole backup: {0}")]
    Damaged(String),
}

/// Unpacks a backup into `folder`, which is made, each file synced, and holds what it unpacked to the list. `progress` is told how many bytes were written.
///
/// # Errors
/// [`UnpackError`]; then the folder is not to be used.
// CRASH: a folder that is not whole has another name than a home.
pub fn unpack(source: &mut dyn Read, folder: &Path, progress: &mut dyn FnMut(u64)) -> Result<List, UnpackError> {
    let damaged = |what: String| UnpackError::Damaged(what);
    DirBuilder::new().mode(0o700).create(folder)?;
    let (mut at, mut found, mut names, mut list) = (0_u64, Vec::new(), BTreeSet::new(), None);
    loop {
        let mut header = [0; BLOCK];
        source.read_exact(&mut header).map_err(|error| ended(error, at))?;
        let Some(tar::Entry { name, size }) = tar::entry(&header, at)? else { break };
        at += BLOCK as u64;
        if list.is_some() {
            return Err(damaged(format!("`{name}` comes after the list")));
        }
        if name == LIST {
            if size > BACKUP_LIST_BYTES_MAX {
                return Err(damaged(format!("the list has more than {BACKUP_LIST_BYTES_MAX} bytes")));
            }
            let mut text = Vec::new();
            source.take(size).read_to_end(&mut text)?;
            list = Some(serde_json::from_slice::<List>(&text).map_err(|error| damaged(format!("`{LIST}`: {error}")))?);
        } else if !name.is_empty() {
            if !is_inside(&name) || names.len() >= BACKUP_FILES_MAX || !names.insert(name.clone()) {
                return Err(damaged(format!("`{}` is no name of a file in it", name.escape_debug())));
            }
            found.push(write(source, folder, name, size, progress)?);
        }
        let mut rest = [0; BLOCK];
        let padding = rest.get_mut(..tar::padding(size)).unwrap_or_default();
        at += size + padding.len() as u64;
        source.read_exact(padding).map_err(|error| ended(error, at))?;
    }
    let list = list.ok_or_else(|| damaged("it has no list at its end".to_owned()))?;
    if list.backup != 1 {
        return Err(damaged(format!("it is of form {}, and this program reads form 1", list.backup)));
    }
    match list.files.iter().zip(&found).find(|(listed, found)| listed != found) {
        Some((listed, _)) => Err(damaged(format!("`{}` is not what its list speaks of", listed.name.escape_debug()))),
        None if list.files.len() != found.len() => {
            Err(damaged("a file is missing, or there is one too many".to_owned()))
        }
        None => Ok(list),
    }
}

fn ended(error: io::Error, at: u64) -> UnpackError {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => UnpackError::Damaged(format!("it ends at byte {at}, before its list")),
        _ => UnpackError::Io(error),
    }
}

/// Whether a path stays below the folder, and names a file there.
fn is_inside(name: &str) -> bool {
    name.split('/').all(|part| !matches!(part, "" | "." | "..")) && !name.contains(['\0', '\\'])
}

fn write(
    source: &mut dyn Read,
    folder: &Path,
    name: String,
    size: u64,
    progress: &mut dyn FnMut(u64),
) -> Result<Listed, UnpackError> {
    let path = folder.join(&name);
    if let Some(parent) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(parent)?;
    }
    let mut file = File::options().create_new(true).write(true).mode(0o600).open(&path)?;
    let (mut digest, mut content, mut written) = (Sha256::new(), source.take(size), 0);
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let read = content.read(&mut buffer)?;
        let Some(part) = buffer.get(..read).filter(|part| !part.is_empty()) else { break };
        digest.update(part);
        file.write_all(part)?;
        written += part.len() as u64;
        progress(part.len() as u64);
    }
    if written != size {
        return Err(UnpackError::Damaged(format!("it ends within `{name}`")));
    }
    file.sync_all()?;
    Ok(Listed { bytes: size, name, sha256: hex::encode(digest.finalize()) })
}

/// Syncs a folder and all below it, so that the names of its files are there after a power cut.
///
/// # Errors
/// The file system's.
pub fn sync_folders(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            sync_folders(&entry.path())?;
        }
    }
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packed(files: &[(&str, &[u8])]) -> Vec<u8> {
        let mut packer = Packer::new(Vec::new());
        for (name, content) in files {
            let bytes = content.len() as u64;
            packer.add(name, &mut &**content, (bytes, bytes), &mut |_| {}).unwrap();
        }
        let list = |files| List {
            backup: 1,
            files,
            made_at: "2026-11-27T00:00:00Z".to_owned(),
            origin: "log.example/1".to_owned(),
            records: 7,
            version: "0".to_owned(),
        };
        packer.finish(list).unwrap().1
    }

    fn back(bytes: &[u8]) -> Result<List, String> {
        let scratch = tempfile::tempdir().unwrap();
        unpack(&mut &*bytes, &scratch.path().join("home"), &mut |_| {}).map_err(|error| error.to_string())
    }

    const LONG: &str = "content/01a207bd-a9c0-7000-8000-000000005aa5/b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1.sealed";

    #[test]
    fn what_is_packed_comes_back_and_nothing_else() {
        let scratch = tempfile::tempdir().unwrap();
        let large = vec![7; 600_000];
        let files: [(&str, &[u8]); 4] = [("a", b""), ("keys/log", b"key"), (LONG, b"sealed"), ("large", &large)];
        let bytes = packed(&files);
        let folder = scratch.path().join("home");
        let list = unpack(&mut &*bytes, &folder, &mut |_| {}).unwrap();
        assert_eq!((list.records, list.files.len()), (7, 4));
        for (name, content) in files {
            assert_eq!(fs::read(folder.join(name)).unwrap(), content, "{name}");
        }
        sync_folders(&folder).unwrap();
        assert!(unpack(&mut &*bytes, &folder, &mut |_| {}).is_err(), "the folder is there");
    }

    #[test]
    fn zeros_stand_for_what_is_not_taken() {
        let mut packer = Packer::new(Vec::new());
        packer.add("segment", &mut &b"groupsTORN"[..], (6, 10), &mut |_| {}).unwrap();
        let short = packer.add("short", &mut &b"abc"[..], (4, 4), &mut |_| {}).unwrap_err();
        assert!(short.to_string().contains("became shorter"));
        let stream = packer.out;
        assert!(stream.windows(10).any(|part| part == b"groups\0\0\0\0"));
    }

    #[test]
    fn what_is_not_whole_or_leads_out_of_the_folder_is_refused() {
        let good = packed(&[("a", b"alpha"), ("b", b"beta")]);
        assert!(back(&good).is_ok());
        for cut in [0, 100, 512, 600, 1_100, good.len() - 1_200, good.len() - 1_024 - 512] {
            assert!(back(good.get(..cut).unwrap()).is_err(), "cut at {cut}");
        }
        let mut flipped = good.clone();
        let at = flipped.windows(5).position(|part| part == b"alpha").unwrap();
        *flipped.get_mut(at).unwrap() = b'A';
        assert!(back(&flipped).unwrap_err().contains("`a` is not what its list speaks of"));
        for name in ["../out", "/etc/out", "a/../../out", "a//b", "./../x"] {
            assert!(back(&packed(&[(name, b"x")])).is_err(), "{name}");
        }
        assert!(back(&packed(&[("a", b"x"), ("a", b"y")])).is_err(), "twice");
        assert!(back(&packed(&[("a", b"x"), ("a/b", b"y")])).is_err(), "a file as folder");
        assert!(back(b"").unwrap_err().contains("ends at byte 0"));
        assert!(back(&[0; 1_024]).unwrap_err().contains("no list"));
    }
}
