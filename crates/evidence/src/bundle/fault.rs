//! What can be wrong with a bundle.

use std::fmt;
use std::io;

use crate::checkpoint::CheckpointError;
use crate::cosignature::CosignedError;
use crate::limits::{BUNDLE_CONTEXT_MAX, FINDINGS_MAX};
use crate::merkle::{ProveError, VerifyProofError};
use crate::proof::ProofError;
use crate::record::ReadRecordError;
use crate::rotation::RotationError;
use crate::tile::TileError;
use crate::verify::{Flaw, ReviewFlaw};

/// Something that is wrong with a bundle.
#[derive(Debug)]
pub struct Fault {
    /// The file.
    pub file: String,
    /// The record that it is about.
    pub seq: Option<u64>,
    /// What is wrong.
    pub what: Wrong,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.file)?;
        if let Some(seq) = self.seq {
            write!(f, " (record {seq})")?;
        }
        write!(f, ": {}", self.what)
    }
}

/// The ways in which a bundle can be wrong.
#[derive(Debug, thiserror::Error)]
pub enum Wrong {
    /// It is not there, or cannot be read.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It is not a manifest of this version.
    #[error("it is not a manifest: {0}")]
    Manifest(String),
    /// The manifest has another digest of the file.
    #[error("it is not the file that the manifest speaks of: its SHA-256 is {found}")]
    Digest {
        /// The digest that it has.
        found: String,
    },
    /// The manifest does not have the file.
    #[error("the manifest does not speak of it")]
    Unlisted,
    /// The manifest claims something else.
    #[error("it claims other {what} than there are: {claimed}, and there are {found}")]
    Claim {
        /// Of what.
        what: &'static str,
        /// What it claims.
        claimed: String,
        /// What there is.
        found: String,
    },
    /// It is not the key that is trusted.
    #[error("it is not the key that you trust")]
    Key,
    /// The checkpoint is not one of the log.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Too few witnesses cosigned the checkpoint.
    #[error(transparent)]
    Cosigned(#[from] CosignedError),
    /// The log's key does not follow the one before it.
    #[error(transparent)]
    Rotation(#[from] RotationError),
    /// The tiles do not give the signed root.
    #[error("the tiles in the bundle do not give the root that the log signed")]
    Root,
    /// It is not a tile of this log.
    #[error("it is not a tile of a log of {size} records")]
    OtherTile {
        /// The size that the checkpoint signs.
        size: u64,
    },
    /// It has not the form of a tile.
    #[error(transparent)]
    TileForm(#[from] TileError),
    /// Another tile stands for it in the tree.
    #[error("it is not the tile that the signed tree has here")]
    Tile,
    /// Nothing leads from it to the root.
    #[error("the tile above it is missing or damaged, so nothing leads from it to the root")]
    Loose,
    /// An entry is another one than the tree has.
    #[error("the entry is not the one that the signed tree has here")]
    Entry,
    /// An entry is not one of ours.
    #[error("the entry is not that of a record")]
    NoLeaf,
    /// An entry says another number than it has in the tree.
    #[error("the entry says that it is record {found}")]
    Number {
        /// The number in the entry.
        found: u64,
    },
    /// There is no such record under the checkpoint.
    #[error("record {seq} is beyond the {size} that the log signed")]
    Beyond {
        /// The record.
        seq: u64,
        /// The size that the checkpoint signs.
        size: u64,
    },
    /// An entry is of another log, or of an earlier time than its predecessor.
    #[error("the entry is of another log than the manifest says, or its time went back")]
    Foreign,
    /// A line is no record.
    #[error("line {line}: {source}")]
    Unreadable {
        /// Which, from 1.
        line: u64,
        /// Why.
        source: ReadRecordError,
    },
    /// Records and salts do not go together.
    #[error("{0}")]
    Lines(String),
    /// The record is not the one that the log committed to.
    #[error("it is not the record that the log has signed under this number")]
    Record,
    /// A record is twice, out of order, or outside of the piece of the log that the manifest names.
    #[error("it does not belong here: records stand in order, each once, and in the population")]
    Misplaced,
    /// A record is there that does not match the filter.
    #[error("it does not match the filter")]
    Unasked,
    /// A record is missing that the bundle must have.
    #[error("it belongs to the bundle and is not in it")]
    Missing,
    /// The piece of the log starts late or ends early.
    #[error("the population does not begin and end where the filter does: record {seq} is left out and may match")]
    Short {
        /// The record.
        seq: u64,
    },
    /// A person's signature is false, or the key for it is not in the bundle.
    #[error(transparent)]
    Signature(ReviewFlaw),
    /// A record that stands beside is none that others need.
    #[error("no record of the bundle needs it")]
    Needless,
    /// There are more records beside than any bundle has.
    #[error("there are more than {BUNDLE_CONTEXT_MAX} records in it")]
    TooMany,
    /// An attachment is not what was attached.
    #[error("it is not the file that was attached")]
    Attachment,
    /// A proof is none, or proves nothing.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// A proof has another name, or is under another checkpoint.
    #[error("it is not the proof of the record in its name under the checkpoint of the bundle")]
    OtherProof,
    /// The log did not grow from a checkpoint that was kept.
    #[error("the log that the bundle is from did not grow from this checkpoint: {0}")]
    Forked(VerifyProofError),
    /// A checkpoint that was kept is later than the bundle.
    #[error("the checkpoint is of {older} records and the bundle of {size}; give one that is older than the bundle")]
    Later {
        /// The size of the one that was kept.
        older: u64,
        /// The size of the bundle's.
        size: u64,
    },
    /// The bundle cannot show that the log grew from a checkpoint.
    #[error("the bundle lacks what shows that the log grew from it; ask for one that was exported with `--since`: {0}")]
    Unshown(ProveError),
    /// What is inside of a whole log does not hold.
    #[error(transparent)]
    Flaw(Box<Flaw>),
}

/// Faults, as many as are listed.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) faults: Vec<Fault>,
    pub(super) omitted: u64,
}

impl Found {
    pub(super) fn fault(&mut self, file: &str, seq: Option<u64>, what: Wrong) {
        self.push(Fault { file: file.to_owned(), seq, what });
    }

    pub(super) fn push(&mut self, fault: Fault) {
        if self.faults.len() < FINDINGS_MAX {
            self.faults.push(fault);
        } else {
            self.omitted += 1;
        }
    }
}
