//! The disk of this machine: the files of one home through the standard library.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};

use crate::ports::{self, Access, Audience, Disk, Lock};

/// The files below one directory.
#[derive(Clone, Debug)]
pub struct HomeDisk {
    home: PathBuf,
}

impl HomeDisk {
    /// The disk of `home`, which need not exist yet.
    #[must_use]
    pub fn new(home: &Path) -> Self {
        Self { home: home.to_owned() }
    }

    /// Where a file of the home is, for messages and for libraries that open files themselves.
    #[must_use]
    pub fn path(&self, path: &str) -> PathBuf {
        self.home.join(path)
    }
}

struct Held {
    // The kernel drops the lock with the descriptor, also when the process is killed.
    _file: fs::File,
}

impl Lock for Held {}

impl Disk for HomeDisk {
    fn lock(&self, path: &str) -> io::Result<Box<dyn Lock>> {
        let file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(self.path(path))?;
        flock(&file, FlockOperation::NonBlockingLockExclusive)?;
        Ok(Box::new(Held { _file: file }))
    }

    fn create_dir(&self, path: &str) -> io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(self.path(path))
    }

    fn create(&self, path: &str, audience: Audience) -> io::Result<Box<dyn ports::File>> {
        let mode = match audience {
            Audience::Owner => 0o600,
            Audience::Home => 0o644,
        };
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(true).mode(mode);
        Ok(Box::new(Open { file: options.open(self.path(path))? }))
    }

    fn open(&self, path: &str, access: Access) -> io::Result<Box<dyn ports::File>> {
        let mut options = OpenOptions::new();
        match access {
            Access::Read => options.read(true),
            Access::Write => options.read(true).write(true),
        };
        Ok(Box::new(Open { file: options.open(self.path(path))? }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path(from), self.path(to))
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        fs::remove_file(self.path(path))
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(self.path(path)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            other => other?,
        };
        let mut names = Vec::new();
        for entry in entries {
            // A name that is not UTF-8 is not one of ours; the callers look only for names they know.
            if let Ok(name) = entry?.file_name().into_string() {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn sync_dir(&self, path: &str) -> io::Result<()> {
        fs::File::open(self.path(path))?.sync_all()
    }
}

struct Open {
    file: fs::File,
}

impl ports::File for Open {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.file.metadata()?.len())
    }

    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut read = 0;
        while let Some(rest) = out.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match self.file.read_at(rest, offset + read as u64) {
                Ok(0) => break,
                Ok(more) => read += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}
