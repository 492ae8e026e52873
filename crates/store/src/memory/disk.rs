//! A disk that lives as long as its process: for tests and for trying things out.
//!
//! It never fails and never forgets; the faulty disk that does both is in the test kit.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use crate::ports::{self, Access, Audience, Disk, Lock};

type Content = Arc<RwLock<Vec<u8>>>;

/// Files in memory. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct MemoryDisk {
    files: Arc<Mutex<BTreeMap<String, Content>>>,
    locks: Arc<Mutex<BTreeSet<String>>>,
}

impl MemoryDisk {
    /// A disk without files.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

struct Held {
    locks: Arc<Mutex<BTreeSet<String>>>,
    path: String,
}

impl Lock for Held {}

impl Drop for Held {
    fn drop(&mut self) {
        self.locks.lock().unwrap_or_else(PoisonError::into_inner).remove(&self.path);
    }
}

impl Disk for MemoryDisk {
    fn lock(&self, path: &str) -> io::Result<Box<dyn Lock>> {
        if !self.locks.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        Ok(Box::new(Held { locks: Arc::clone(&self.locks), path: path.to_owned() }))
    }

    fn create_dir(&self, _path: &str) -> io::Result<()> {
        Ok(())
    }

    fn create(&self, path: &str, _audience: Audience) -> io::Result<Box<dyn ports::File>> {
        let content = Content::default();
        self.files.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), Arc::clone(&content));
        Ok(Box::new(Open { content }))
    }

    fn open(&self, path: &str, _access: Access) -> io::Result<Box<dyn ports::File>> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let content = files.get(path).ok_or(io::ErrorKind::NotFound)?;
        Ok(Box::new(Open { content: Arc::clone(content) }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let content = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.to_owned(), content);
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        let removed = self.files.lock().unwrap_or_else(PoisonError::into_inner).remove(path);
        removed.map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let below = format!("{path}/");
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let names: BTreeSet<String> = files
            .keys()
            .filter_map(|file| file.strip_prefix(&below))
            .filter_map(|rest| rest.split('/').next())
            .map(str::to_owned)
            .collect();
        Ok(names.into_iter().collect())
    }

    fn sync_dir(&self, _path: &str) -> io::Result<()> {
        Ok(())
    }
}

struct Open {
    content: Content,
}

impl ports::File for Open {
    fn bytes(&self) -> io::Result<u64> {
        Ok(self.content.read().unwrap_or_else(PoisonError::into_inner).len() as u64)
    }

    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize> {
        let content = self.content.read().unwrap_or_else(PoisonError::into_inner);
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
        let there = content.get(from..).unwrap_or_default();
        let read = there.len().min(out.len());
        if let (Some(out), Some(there)) = (out.get_mut(..read), there.get(..read)) {
            out.copy_from_slice(there);
        }
        Ok(read)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut content = self.content.write().unwrap_or_else(PoisonError::into_inner);
        let from = usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let to = from.checked_add(bytes.len()).ok_or(io::ErrorKind::FileTooLarge)?;
        if content.len() < to {
            content.resize(to, 0);
        }
        if let Some(slot) = content.get_mut(from..to) {
            slot.copy_from_slice(bytes);
        }
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }
}
