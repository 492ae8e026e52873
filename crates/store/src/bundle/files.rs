//! A bundle that is opened for reading: a folder or a tar file.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};

use evidence::bundle::Files;

use super::tar;
use crate::limits::BUNDLE_FILES_MAX;

/// Why there is no bundle to read.
#[derive(Debug, thiserror::Error)]
#[error("open the bundle `{path}`: {source}")]
pub struct OpenBundleError {
    path: PathBuf,
    source: io::Error,
}

/// The files of a bundle.
#[derive(Debug)]
pub struct Bundle {
    path: PathBuf,
    place: Place,
}

#[derive(Debug)]
enum Place {
    /// The names of the files below it, sorted.
    Folder(Vec<String>),
    /// Offset and size of each file.
    Tar(BTreeMap<String, (u64, u64)>),
}

impl Bundle {
    /// Opens a folder, or a tar file.
    ///
    /// # Errors
    /// [`OpenBundleError`] where it is neither.
    pub fn open(path: &Path) -> Result<Self, OpenBundleError> {
        let wrong = |source| OpenBundleError { path: path.to_owned(), source };
        let place = if path.is_dir() {
            let mut names = Vec::new();
            walk(path, "", &mut names).map_err(wrong)?;
            names.sort_unstable();
            Place::Folder(names)
        } else {
            let mut file = File::open(path).map_err(wrong)?;
            Place::Tar(tar::index(&mut file).map_err(wrong)?)
        };
        Ok(Self { path: path.to_owned(), place })
    }
}

/// The regular files below a folder. Anything else is refused: a link may lead out of the bundle.
fn walk(folder: &Path, below: &str, names: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().into_string().map_err(|name| {
            io::Error::new(io::ErrorKind::InvalidData, format!("{} is no name of a bundle's file", name.display()))
        })?;
        let name = if below.is_empty() { name } else { format!("{below}/{name}") };
        let kind = entry.file_type()?;
        if kind.is_dir() {
            walk(&entry.path(), &name, names)?;
        } else if kind.is_file() && names.len() < BUNDLE_FILES_MAX {
            names.push(name);
        } else {
            let what = format!("`{name}` is neither file nor folder, or there are more than {BUNDLE_FILES_MAX}");
            return Err(io::Error::new(io::ErrorKind::InvalidData, what));
        }
    }
    Ok(())
}

impl Files for Bundle {
    fn names(&self) -> Vec<String> {
        match &self.place {
            Place::Folder(names) => names.clone(),
            Place::Tar(files) => files.keys().cloned().collect(),
        }
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn BufRead + '_>> {
        match &self.place {
            Place::Folder(names) => match names.binary_search_by(|known| known.as_str().cmp(name)) {
                Ok(_) => Ok(Box::new(BufReader::new(File::open(self.path.join(name))?))),
                Err(_) => Err(io::ErrorKind::NotFound.into()),
            },
            Place::Tar(files) => {
                let (at, size) = *files.get(name).ok_or(io::ErrorKind::NotFound)?;
                let mut file = File::open(&self.path)?;
                file.seek(SeekFrom::Start(at))?;
                Ok(Box::new(BufReader::new(file.take(size))))
            }
        }
    }
}
