//! Directories that tests work in: gone at the end, kept when something failed.

use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A private directory (mode 0700) that is removed on drop, unless the test panicked or [`Scratch::keep`] was called; then its path is printed.
#[derive(Debug)]
pub struct Scratch {
    dir: TempDir,
    kept: bool,
}

impl Scratch {
    /// A directory under the system's temporary directory. The path is short enough for a Unix socket inside (108 bytes).
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn new(name: &str) -> io::Result<Self> {
        Self::under(&std::env::temp_dir(), name)
    }

    /// A directory under `root`, e.g. on the disk that is to be measured.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn under(root: &Path, name: &str) -> io::Result<Self> {
        std::fs::create_dir_all(root)?;
        let dir = tempfile::Builder::new().prefix(&format!("cs-{name}-")).tempdir_in(root)?;
        Ok(Self { dir, kept: false })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A path inside.
    #[must_use]
    pub fn join(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Leaves the directory for a person to look at.
    pub const fn keep(&mut self) {
        self.kept = true;
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if self.kept || std::thread::panicking() {
            self.dir.disable_cleanup(true);
            eprintln!("kept {}", self.dir.path().display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scratch_directory_goes_and_a_kept_one_stays() {
        let gone = Scratch::new("gone").unwrap().path().to_owned();
        assert!(!gone.exists());

        let mut scratch = Scratch::new("kept").unwrap();
        scratch.keep();
        let kept = scratch.path().to_owned();
        drop(scratch);
        assert!(kept.is_dir());
        std::fs::remove_dir_all(kept).unwrap();
    }

    #[test]
    fn a_failed_test_leaves_its_directory() {
        let failed = std::panic::catch_unwind(|| {
            let scratch = Scratch::new("failed").unwrap();
            std::panic::panic_any(scratch.path().to_owned());
        });
        let kept = failed.unwrap_err().downcast::<PathBuf>().unwrap();
        assert!(kept.is_dir());
        std::fs::remove_dir_all(*kept).unwrap();
    }
}
