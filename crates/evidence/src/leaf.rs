//! What the log commits to for each record: a small salted commitment, so that the public tree tells nothing of a record whose salt is destroyed.
//!
//! `commitment = SHA-256("countersign record 1" 0x00 || salt || record bytes)`; the leaf entry is canonical JSON (RFC 8785) of commitment, emitter, id, schema,
//! seq and type; the leaf hash is RFC 6962's `SHA-256(0x00 || entry)`.

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::ids::RecordId;
use crate::record::RecordType;

/// A SHA-256 digest.
pub type Hash = [u8; 32];

/// Random bytes that blind a commitment; kept beside the record, never in the tree.
pub type Salt = [u8; 16];

/// Keeps commitments apart from every other use of SHA-256 in the project.
const DOMAIN: &[u8] = b"countersign record 1\0";

/// The leaf entry of one record, as tiles and proofs hold it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leaf {
    /// The salted commitment to the record's bytes, lower-case hexadecimal.
    pub commitment: String,
    /// The log.
    pub emitter: String,
    /// The record.
    pub id: RecordId,
    /// The record's schema major.
    pub schema: u32,
    /// The record's number; its index in the tree is one less.
    pub seq: u64,
    /// The record's type.
    #[serde(rename = "type")]
    pub record_type: RecordType,
}

/// Commits to the bytes of a record.
#[must_use]
pub fn commitment(salt: &Salt, record: &[u8]) -> Hash {
    Sha256::new().chain_update(DOMAIN).chain_update(salt).chain_update(record).finalize().into()
}

/// SHA-256 of `bytes`, in lower-case hexadecimal.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex_text(&Sha256::digest(bytes).into())
}

/// A digest in lower-case hexadecimal. Each call needs some ten of these; `hex::encode` builds them character by character.
#[must_use]
pub fn hex_text(hash: &Hash) -> String {
    let mut digits = [0; 64];
    // Digits fit, and are ASCII.
    let _always_fits = hex::encode_to_slice(hash, &mut digits);
    std::str::from_utf8(&digits).map(str::to_owned).unwrap_or_default()
}

impl Leaf {
    /// The canonical bytes: the entry in an entry bundle.
    ///
    /// # Errors
    /// Only if JSON cannot be written, which no leaf causes.
    pub fn entry(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }
}
