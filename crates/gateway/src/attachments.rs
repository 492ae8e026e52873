//! Files that are linked to records: content-addressed, sealed in the home, and in the ledger as `version_log` records of kind `attachment` with a link.
//!
//! The file is on disk before the record that names it. Whoever reads the evidence can tell from the link that there was a file and whether one is it; only this home can
//! open it.

use std::fs::{DirBuilder, File};
use std::io::Read as _;
use std::ops::ControlFlow;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use evidence::filter::{Filter, Term};
use evidence::ids::RecordId;
use evidence::leaf::sha256_hex;
use evidence::record::{Body, Context, Draft, Link, Record, RecordType, VersionLog, VersionedKind, VersionedObject};
use evidence::time::Timestamp;
use governance::limits::SENTENCE_BYTES_MAX;
use serde::{Deserialize, Serialize};
use store::{Order, ReadError, Reader};

use crate::Gateway;
use crate::clock::now;
use crate::home::Home;
use crate::limits::ATTACHMENT_BYTES_MAX;
use crate::seal::{OVERHEAD_BYTES, Seal, SealError};

/// What a person attaches.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attach {
    /// The file, absolute.
    pub file: PathBuf,
    /// What kind of file it is, such as `application/pdf`.
    pub media_type: String,
    /// To which record.
    pub record: Which,
    /// What it is to the record, such as `ticket`.
    pub rel: String,
    /// Why.
    pub why: String,
}

/// One record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// By its identity.
    Id(RecordId),
    /// By its number in the log.
    Seq(u64),
}

/// Why nothing was attached.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// The file cannot be read, or is too large.
    #[error("attach `{path}`: {why}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// There is no such record.
    #[error("the ledger has no record {0}; `countersign audit` shows their ids")]
    NoRecord(String),
    /// A text is empty or too long.
    #[error(
        "say in `--why` what it shows, and in `--rel` and `--media-type` what it is, each in at most {SENTENCE_BYTES_MAX} bytes"
    )]
    Unfit,
    /// What the ledger knows cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// It could not be kept.
    #[error(transparent)]
    Sealed(#[from] SealError),
    /// It could not be recorded.
    #[error(transparent)]
    Unrecorded(#[from] store::AppendError),
}

/// An attachment as the ledger has it.
#[derive(Clone, Debug)]
pub struct Attached {
    /// When it was attached.
    pub at: Timestamp,
    /// The file.
    pub link: Link,
    /// To which record.
    pub record: String,
    /// Who attached it.
    pub who: String,
    /// Why.
    pub why: String,
}

/// The attachments of a home.
#[derive(Clone, Debug)]
pub struct Attachments {
    folder: PathBuf,
    seal: Seal,
}

impl Attachments {
    /// Those of `home`; nothing is created yet.
    #[must_use]
    pub fn of(home: &Home) -> Self {
        let seal = Seal::new(home.path().join("keys/attachments.aes"), "countersign attachment");
        Self { folder: home.path().join("attachments"), seal }
    }

    fn file(&self, sha256: &str) -> PathBuf {
        self.folder.join(format!("{sha256}.sealed"))
    }

    /// The content with this digest; `None` where it is not here.
    ///
    /// # Errors
    /// [`SealError`], also where what is here is something else.
    pub fn read(&self, sha256: &str) -> Result<Option<Vec<u8>>, SealError> {
        let path = self.file(sha256);
        let content = self.seal.open(&path, sha256, ATTACHMENT_BYTES_MAX + OVERHEAD_BYTES)?;
        match content {
            Some(content) if sha256_hex(&content) != sha256 => Err(SealError::Unsealed(path)),
            content => Ok(content),
        }
    }

    pub(crate) fn keep(&self, sha256: &str, content: Vec<u8>) -> Result<(), SealError> {
        let io = |source| SealError::Io { path: self.folder.clone(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(&self.folder).map_err(io)?;
        if matches!(self.read(sha256), Ok(Some(_))) {
            Ok(())
        } else {
            self.seal.put(&self.file(sha256), sha256, content)
        }
    }
}

/// Every attachment that the ledger knows, oldest first; of one record where that is named.
///
/// # Errors
/// [`ReadError`].
pub fn attached(reader: &Reader, record: Option<RecordId>) -> Result<Vec<Attached>, ReadError> {
    let wanted = record.map(|record| record.to_string());
    let mut found = Vec::new();
    reader.visit(&Filter::Term(Term::Type(vec![RecordType::VersionLog])), Order::OldestFirst, |record| {
        if let Body::Version(version) = &record.body
            && version.object.kind == VersionedKind::Attachment
            && wanted.as_deref().is_none_or(|wanted| *wanted == *version.object.name)
        {
            found.extend(record.links.iter().map(|link| Attached {
                at: record.occurred_at,
                link: link.clone(),
                record: version.object.name.to_string(),
                who: version.who.clone(),
                why: version.why.clone(),
            }));
        }
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

/// What is wrong with attachments of a home, a line for each: missing, or not what was attached.
///
/// # Errors
/// [`ReadError`].
pub fn faults(home: &Home, reader: &Reader) -> Result<(usize, Vec<String>), ReadError> {
    let (attachments, all) = (Attachments::of(home), attached(reader, None)?);
    let mut digests: Vec<&str> = all.iter().map(|attached| &*attached.link.sha256).collect();
    digests.sort_unstable();
    digests.dedup();
    let fault = |sha256: &&str| match attachments.read(sha256) {
        Ok(Some(_)) => None,
        Ok(None) => Some(format!("attachment {sha256} is not here")),
        Err(error) => Some(format!("attachment {sha256}: {error}")),
    };
    let faults = digests.iter().filter_map(fault).collect();
    Ok((digests.len(), faults))
}

/// The record that `which` names.
///
/// # Errors
/// [`ReadError`].
pub fn find(reader: &Reader, which: Which) -> Result<Option<Record>, ReadError> {
    let id = match which {
        Which::Seq(seq) => return reader.record(seq),
        Which::Id(id) => id,
    };
    // An id holds the millisecond in which the record was taken.
    let at = id.minted_at();
    let (from, to) = (at.plus_micros(-SECOND_US), at.plus_micros(SECOND_US));
    let filter = Filter::And(vec![Filter::Term(Term::After(from)), Filter::Term(Term::Before(to))]);
    let mut found = None;
    reader.visit(&filter, Order::OldestFirst, |record| {
        if record.id == id {
            found = Some(record.clone());
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

/// Microseconds of one second.
const SECOND_US: i64 = 1_000_000;

impl Gateway {
    /// Attaches a file for `who`; gives its digest.
    ///
    /// # Errors
    /// [`AttachError`]; then nothing was recorded.
    pub async fn attach(&self, attach: Attach, who: &str) -> Result<String, AttachError> {
        let Attach { file, media_type, record, rel, why } = attach;
        let fits = |text: &str| !text.trim().is_empty() && text.len() <= SENTENCE_BYTES_MAX;
        if ![&media_type, &rel, &why].into_iter().all(|text| fits(text)) {
            return Err(AttachError::Unfit);
        }
        let (reader, attachments) = (self.ledger.reader()?, Attachments::of(&self.home));
        let kept = tokio::task::spawn_blocking(move || keep(&reader, &attachments, &file, record)).await;
        let Kept { record, link, name } =
            kept.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()))?;
        let sha256 = link.sha256.clone();
        let body = VersionLog {
            approval: None,
            difference: vec![format!("`{name}` ({media_type}, {} bytes) is attached as `{rel}`", link.bytes)],
            direction: None,
            from: None,
            object: VersionedObject { kind: VersionedKind::Attachment, name: record.id.to_string().into() },
            state: None,
            to: sha256.as_str().into(),
            who: who.to_owned(),
            why,
        };
        let context =
            Context { mission: record.correlation.mission.clone(), run: record.correlation.run, ..Context::system() };
        let mut draft = Draft::new(context.into(), record.correlation.call, now(), body);
        draft.links = vec![Link { media_type, rel, ..link }];
        self.ledger.append(vec![draft]).await?;
        Ok(sha256)
    }
}

struct Kept {
    link: Link,
    name: String,
    record: Record,
}

fn keep(reader: &Reader, attachments: &Attachments, file: &Path, which: Which) -> Result<Kept, AttachError> {
    let record = find(reader, which)?.ok_or_else(|| {
        AttachError::NoRecord(match which {
            Which::Id(id) => id.to_string(),
            Which::Seq(seq) => seq.to_string(),
        })
    })?;
    let wrong = |why: String| AttachError::File { path: file.to_owned(), why };
    let opened = File::open(file).map_err(|error| wrong(error.to_string()))?;
    if !opened.metadata().map_err(|error| wrong(error.to_string()))?.is_file() {
        return Err(wrong("it is no file".to_owned()));
    }
    let mut content = Vec::new();
    opened.take(ATTACHMENT_BYTES_MAX + 1).read_to_end(&mut content).map_err(|error| wrong(error.to_string()))?;
    if content.len() as u64 > ATTACHMENT_BYTES_MAX {
        return Err(wrong(format!("it is larger than {ATTACHMENT_BYTES_MAX} bytes")));
    }
    let sha256 = sha256_hex(&content);
    let bytes = content.len() as u64;
    attachments.keep(&sha256, content)?;
    let name = file.file_name().map(|name| name.to_string_lossy().chars().take(120).collect()).unwrap_or_default();
    Ok(Kept { link: Link { bytes, media_type: String::new(), rel: String::new(), sha256 }, name, record })
}
