//! Bundles: records of a log with everything that an outsider needs to verify them, without the log and without this program.
//!
//! A bundle is a folder, or the same as one tar file. It is a part of a C2SP tlog-tiles log (the signed checkpoint, hash tiles, bundles of entries) with records beside
//! it, so that tools which know such logs read it. [`Manifest`] says what it claims to hold; [`check`] holds the claims to what the log signed. Nothing here touches a file:
//! [`Files`] gives them. What a bundle shows and what it cannot is in `docs/auditor.md`.

mod check;
mod entries;
mod fault;
mod lines;
mod population;
mod signer;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::{self, BufRead};

use serde::{Deserialize, Serialize};

use crate::ids::{CallId, RecordId};
use crate::record::{RecordType, Tool};
use crate::time::Timestamp;

pub use check::{Report, Trust, check};
pub use fault::{Fault, Wrong};
pub use population::{Count, Population, Span, Tally};
pub use signer::{Signer, signer};

/// The version of the format.
pub const FORMAT: u32 = 1;

/// What the bundle claims.
pub const MANIFEST: &str = "manifest.json";
/// The log's public key, a `vkey` line.
pub const LOG_KEY: &str = "log.pub";
/// The signed checkpoint, with the cosignatures of witnesses that it has.
pub const CHECKPOINT: &str = "checkpoint";
/// Where each key of the log but the newest ended, by the number of the record that names the next; none where it never changed.
pub const HANDOVERS: &str = "handovers/";
/// The public keys of the witnesses that the log's gateway asked, a `vkey` line each; none where it asked none.
pub const WITNESS_KEYS: &str = "witnesses.pub";
/// The records, each with its exact bytes in a line.
pub const RECORDS: &str = "records.jsonl";
/// The salts of the records, each 32 hexadecimal digits in a line.
pub const RECORD_SALTS: &str = "records.salts";
/// Records beside: that of the export, and those that others need, which are keys with which people signed and links of files.
pub const CONTEXT: &str = "context.jsonl";
/// The salts of these.
pub const CONTEXT_SALTS: &str = "context.salts";
/// Files that are linked to records, by their SHA-256.
pub const ATTACHMENTS: &str = "attachments/";
/// Proofs for one record each, by its number.
pub const PROOFS: &str = "proofs/";
/// What the names of proofs end in.
pub const PROOF_SUFFIX: &str = ".tlog-proof";
/// The tiles of the log.
pub const TILES: &str = "tile/";

/// The schemas of records and manifest, which are in every bundle.
pub const SCHEMAS: [(&str, &str); 9] = [
    ("schemas/action_record.schema.json", include_str!("../../../schemas/evidence/action_record.schema.json")),
    ("schemas/approval_record.schema.json", include_str!("../../../schemas/evidence/approval_record.schema.json")),
    ("schemas/decision_record.schema.json", include_str!("../../../schemas/evidence/decision_record.schema.json")),
    ("schemas/evidence_access.schema.json", include_str!("../../../schemas/evidence/evidence_access.schema.json")),
    ("schemas/exception_record.schema.json", include_str!("../../../schemas/evidence/exception_record.schema.json")),
    ("schemas/ledger_state.schema.json", include_str!("../../../schemas/evidence/ledger_state.schema.json")),
    ("schemas/manifest.schema.json", include_str!("../../../schemas/bundle/manifest.schema.json")),
    ("schemas/request_context.schema.json", include_str!("../../../schemas/evidence/request_context.schema.json")),
    ("schemas/version_log.schema.json", include_str!("../../../schemas/evidence/version_log.schema.json")),
];

/// What a bundle claims to hold, and how it came about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The number of the `evidence_access` record of this export.
    pub access_seq: u64,
    /// Files that are linked to the records.
    pub attachments: Vec<Attachment>,
    /// What the log signed.
    pub checkpoint: Head,
    /// What [`CONTEXT`] holds.
    pub context: Count,
    /// When it was asked for, as the record of the export says.
    pub created_at: Timestamp,
    /// By whom, as that record says.
    pub created_by: String,
    /// The log's name in its records.
    pub emitter: String,
    /// Every other file, by name.
    pub files: Vec<FileDigest>,
    /// Which records were asked for, as that record says.
    pub filter: String,
    /// [`FORMAT`].
    pub format: u32,
    /// The piece of the log in which they were looked for.
    pub population: Population,
    /// What [`RECORDS`] holds.
    pub records: Count,
    /// Whether it holds the others of that piece too.
    pub scope: Scope,
    /// How many match the filter.
    pub selected: Count,
    /// The program's version.
    pub version: String,
    /// Why, as that record says.
    pub why: String,
}

/// Which records of its piece of the log a bundle holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Those that match the filter.
    Selected,
    /// All, so that anybody can see which ones match.
    Whole,
}

/// A checkpoint, for readers of the manifest; what counts is the signed one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// The log.
    pub origin: String,
    /// The root of its tree, lower-case hexadecimal.
    pub root: String,
    /// How many records it has.
    pub size: u64,
}

/// One file of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileDigest {
    /// Its size.
    pub bytes: u64,
    /// Its name below the bundle, with `/` between folders.
    pub name: String,
    /// Its SHA-256, lower-case hexadecimal.
    pub sha256: String,
}

/// A file that is linked to a record of the bundle.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attachment {
    /// Whether it is in the bundle; if not, the home did not have it any more.
    pub enclosed: bool,
    /// The number of the record that links it, in [`CONTEXT`].
    pub link_seq: u64,
    /// The record that it belongs to.
    pub record: RecordId,
    /// Its SHA-256, and its name in [`ATTACHMENTS`].
    pub sha256: String,
}

/// A call that was begun and of whose end nothing is recorded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OpenCall {
    /// The attempt.
    pub attempt: u32,
    /// The call.
    pub call: CallId,
    /// When the ledger took the intent.
    pub recorded_at: Timestamp,
    /// The number of the intent.
    pub seq: u64,
    /// The tool.
    pub tool: Tool,
}

/// A time in which nothing was recorded, because the ledger was not open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pause {
    /// When the last record before it was taken.
    pub from: Timestamp,
    /// Whether the ledger was closed in order; if not, its process died.
    pub in_order: bool,
    /// The number of the record that ends it.
    pub seq: u64,
    /// When that was taken.
    pub until: Timestamp,
}

/// The first ones of a list that may be long, and how many there are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed<T> {
    /// How many there are.
    pub count: u64,
    /// The first ones.
    pub listed: Vec<T>,
}

/// How many of each type.
pub type Types = BTreeMap<RecordType, u64>;

/// The files of one bundle.
pub trait Files {
    /// The names of all files, sorted, with `/` between folders.
    fn names(&self) -> Vec<String>;

    /// Opens one.
    ///
    /// # Errors
    /// `NotFound`, or what the system says.
    fn open(&self, name: &str) -> io::Result<Box<dyn BufRead + '_>>;
}

impl Manifest {
    /// The text of [`MANIFEST`].
    ///
    /// # Errors
    /// Only if JSON cannot be written, which no manifest causes.
    pub fn text(&self) -> Result<Vec<u8>, serde_json::Error> {
        let mut text = serde_json::to_vec_pretty(self)?;
        text.push(b'\n');
        Ok(text)
    }
}

/// Reads a whole file of at most `bytes_max`.
///
/// # Errors
/// `NotFound`, `InvalidData` if it is longer, or what the system says.
pub fn read_file(files: &dyn Files, name: &str, bytes_max: usize) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let open = files.open(name)?;
    io::Read::read_to_end(&mut io::Read::take(open, bytes_max as u64 + 1), &mut bytes)?;
    if bytes.len() > bytes_max {
        return Err(io::Error::new(io::ErrorKind::InvalidData, format!("it has more than {bytes_max} bytes")));
    }
    Ok(bytes)
}
