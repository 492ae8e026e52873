//! A disk in memory that can be copied, and whose next write can go wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use store::ports::{Access, Audience, Disk, File, Lock};

/// How the next write goes wrong; whatever is written later is lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Fault {
    /// All of it is on the disk, and the system says that it is not.
    Kept,
    /// Nothing of it is on the disk.
    Lost,
    /// Its first half is on the disk.
    Torn,
}

type Content = Arc<Mutex<Vec<u8>>>;

#[derive(Default)]
struct State {
    fault: Option<Fault>,
    files: BTreeMap<String, Content>,
    is_broken: bool,
}

/// Files in memory. Clones are the same disk.
#[derive(Clone, Default)]
pub(super) struct Ram(Arc<Mutex<State>>);

fn held<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Ram {
    /// Another disk with the same files, which works.
    pub(super) fn copy(&self) -> Self {
        let copied = |(path, content): (&String, &Content)| (path.clone(), Arc::new(Mutex::new(held(content).clone())));
        let files = held(&self.0).files.iter().map(copied).collect();
        Self(Arc::new(Mutex::new(State { files, ..State::default() })))
    }

    /// The next write goes wrong.
    pub(super) fn fail(&self, fault: Fault) {
        held(&self.0).fault = Some(fault);
    }

    /// The machine was mended.
    pub(super) fn mend(&self) {
        let mut state = held(&self.0);
        (state.fault, state.is_broken) = (None, false);
    }

    fn fault(&self) -> Option<Fault> {
        let mut state = held(&self.0);
        if state.is_broken {
            return Some(Fault::Lost);
        }
        let fault = state.fault.take();
        state.is_broken = fault.is_some();
        fault
    }

    fn content(&self, path: &str) -> io::Result<Content> {
        held(&self.0).files.get(path).cloned().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

struct Nobody;

impl Lock for Nobody {}

impl Disk for Ram {
    fn lock(&self, _path: &str) -> io::Result<Box<dyn Lock>> {
        Ok(Box::new(Nobody))
    }

    fn create_dir(&self, _path: &str) -> io::Result<()> {
        Ok(())
    }

    fn create(&self, path: &str, _audience: Audience) -> io::Result<Box<dyn File>> {
        let content = Content::default();
        held(&self.0).files.insert(path.to_owned(), content.clone());
        Ok(Box::new(Open { content, disk: self.clone() }))
    }

    fn open(&self, path: &str, _access: Access) -> io::Result<Box<dyn File>> {
        Ok(Box::new(Open { content: self.content(path)?, disk: self.clone() }))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        let content = self.content(from)?;
        let mut state = held(&self.0);
        state.files.remove(from);
        state.files.insert(to.to_owned(), content);
        Ok(())
    }

    fn remove(&self, path: &str) -> io::Result<()> {
        held(&self.0).files.remove(path).map(drop).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn list(&self, path: &str) -> io::Result<Vec<String>> {
        let below = format!("{path}/");
        let state = held(&self.0);
        let rest = state.files.keys().filter_map(|file| file.strip_prefix(&below));
        let names: BTreeSet<String> = rest.filter_map(|rest| rest.split('/').next()).map(str::to_owned).collect();
        Ok(names.into_iter().collect())
    }

    fn sync_dir(&self, _path: &str) -> io::Result<()> {
        Ok(())
    }
}

struct Open {
    content: Content,
    disk: Ram,
}

impl File for Open {
    fn bytes(&self) -> io::Result<u64> {
        Ok(held(&self.content).len() as u64)
    }

    fn read_at(&self, out: &mut [u8], offset: u64) -> io::Result<usize> {
        let content = held(&self.content);
        let from = usize::try_from(offset).unwrap_or(usize::MAX).min(content.len());
        let read = out.len().min(content.len() - from);
        out[..read].copy_from_slice(&content[from..from + read]);
        Ok(read)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let fault = self.disk.fault();
        let written = match fault {
            None | Some(Fault::Kept) => bytes,
            Some(Fault::Lost) => &[],
            Some(Fault::Torn) => &bytes[..bytes.len() / 2],
        };
        let mut content = held(&self.content);
        let from = usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let to = from + written.len();
        if content.len() < to {
            content.resize(to, 0);
        }
        content[from..to].copy_from_slice(written);
        fault.map_or(Ok(()), |fault| Err(io::Error::other(format!("the disk failed: {fault:?}"))))
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }
}
