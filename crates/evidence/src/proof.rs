//! The proof for one entry of a log as one text file: C2SP tlog-proof.
//!
//! It holds the entry's index, the hashes from its leaf to the root, and the signed checkpoint, so that whoever has the entry and the log's key needs nothing else.
//! Extra data is read over: nothing vouches for it, and ours has none.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::checkpoint::{Checkpoint, CheckpointError, VerifierKey};
use crate::limits::{NOTE_BYTES_MAX, PROOF_HASHES_MAX};
use crate::merkle::{Hash, VerifyProofError, leaf_hash, verify_inclusion};

/// The first line.
const HEAD: &str = "c2sp.org/tlog-proof@v1";

/// Bytes of a proof: its hashes in lines of 45 bytes, some text, extra data of others as long as a note, and the checkpoint.
pub const PROOF_BYTES_MAX: usize = PROOF_HASHES_MAX * 45 + 128 + 2 * NOTE_BYTES_MAX;

/// One proof, not yet verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proof {
    /// The entry's index in the tree, from 0.
    pub index: u64,
    /// From the leaf's sibling to the root's child.
    pub hashes: Vec<Hash>,
    /// The signed checkpoint, as the log published it.
    pub checkpoint: Vec<u8>,
}

/// Why bytes are no proof, or prove nothing.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// Longer than any proof.
    #[error("the proof has {found} bytes, above the limit of {PROOF_BYTES_MAX}")]
    TooLong {
        /// Its size.
        found: usize,
    },
    /// Something else is in this line.
    #[error("line {line} of the proof is not {want}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What should be there.
        want: &'static str,
    },
    /// The checkpoint in it is not to be trusted.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The hashes do not lead from the entry to the root.
    #[error(transparent)]
    Inclusion(#[from] VerifyProofError),
}

impl Proof {
    /// Reads a proof. Nothing is verified yet.
    ///
    /// # Errors
    /// [`ProofError`] says which line is wrong.
    pub fn parse(bytes: &[u8]) -> Result<Self, ProofError> {
        if bytes.len() > PROOF_BYTES_MAX {
            return Err(ProofError::TooLong { found: bytes.len() });
        }
        let end = bytes.windows(2).position(|two| two == b"\n\n");
        let no_end = ProofError::Line { line: 1, want: "followed by an empty line and a checkpoint" };
        let (head, rest) = end.and_then(|end| bytes.split_at_checked(end)).ok_or(no_end)?;
        let checkpoint = rest.get(2..).unwrap_or_default().to_vec();
        let head = std::str::from_utf8(head).map_err(|_| ProofError::Line { line: 1, want: "text" })?;
        let mut lines = (1..).zip(head.split('\n')).peekable();
        if lines.next().is_none_or(|(_, line)| line != HEAD) {
            return Err(ProofError::Line { line: 1, want: "`c2sp.org/tlog-proof@v1`" });
        }
        if let Some((line, extra)) = lines.next_if(|(_, line)| line.starts_with("extra ")) {
            let extra = extra.strip_prefix("extra ").unwrap_or_default();
            BASE64.decode(extra).map_err(|_| ProofError::Line { line, want: "`extra` and base64" })?;
        }
        let (line, text) = lines.next().unwrap_or((2, ""));
        let index = text.strip_prefix("index ").and_then(|index| Some((index, index.parse::<u64>().ok()?)));
        let index = index.filter(|(text, index)| index.to_string() == *text).map(|(_, index)| index);
        let index = index.ok_or(ProofError::Line { line, want: "`index` and a plain decimal number" })?;
        let mut hashes = Vec::new();
        for (line, text) in lines {
            let hash = BASE64.decode(text).ok().and_then(|hash| Hash::try_from(hash).ok());
            let hash = hash.filter(|_| hashes.len() < PROOF_HASHES_MAX);
            hashes.push(hash.ok_or(ProofError::Line { line, want: "one of at most 64 hashes in base64" })?);
        }
        Ok(Self { index, hashes, checkpoint })
    }

    /// Verifies that `entry` is in the log whose key this is, at [`Self::index`], and gives the checkpoint under which it is.
    ///
    /// # Errors
    /// [`ProofError::Checkpoint`] or [`ProofError::Inclusion`].
    pub fn verify(&self, entry: &[u8], key: &VerifierKey) -> Result<Checkpoint, ProofError> {
        let checkpoint = Checkpoint::open(&self.checkpoint, key)?;
        verify_inclusion(&leaf_hash(entry), self.index, checkpoint.size, &self.hashes, &checkpoint.root)?;
        Ok(checkpoint)
    }
}

impl fmt::Display for Proof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{HEAD}\nindex {}", self.index)?;
        for hash in &self.hashes {
            writeln!(f, "{}", BASE64.encode(hash))?;
        }
        write!(f, "\n{}", String::from_utf8_lossy(&self.checkpoint))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::KeyName;
    use crate::merkle::{inclusion_proof, root};
    use ed25519_dalek::SigningKey;
    use proptest::prelude::*;

    fn log(size: u64) -> (VerifierKey, Vec<Hash>, Vec<u8>) {
        let (origin, key): (KeyName, _) = ("log.example/proofs".parse().unwrap(), SigningKey::from_bytes(&[4; 32]));
        let leaves: Vec<Hash> = (0..size).map(|index| leaf_hash(format!("entry {index}").as_bytes())).collect();
        let checkpoint = Checkpoint { origin: origin.clone(), size, root: root(size, &leaves[..]).unwrap() };
        let note = checkpoint.sign(&key, &origin).into_bytes();
        (VerifierKey::new(origin, key.verifying_key()), leaves, note)
    }

    fn proof(index: u64, size: u64) -> (VerifierKey, Proof) {
        let (key, leaves, checkpoint) = log(size);
        (key, Proof { index, hashes: inclusion_proof(index, size, &leaves[..]).unwrap(), checkpoint })
    }

    #[test]
    fn a_proof_has_the_form_of_the_specification() {
        let (key, proof) = proof(5, 7);
        let text = proof.to_string();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[..2], ["c2sp.org/tlog-proof@v1", "index 5"]);
        assert_eq!((lines[2].len(), lines[5], lines[6], lines[7]), (44, "", "log.example/proofs", "7"));
        assert_eq!(Proof::parse(text.as_bytes()).unwrap(), proof);
        // Extra data of other tools is read over.
        let extra = text.replace("\nindex", "\nextra YWdl\nindex");
        assert_eq!(Proof::parse(extra.as_bytes()).unwrap(), proof);
        assert_eq!(proof.verify(b"entry 5", &key).unwrap().size, 7);
        // The only leaf needs no hash.
        let (key, one) = self::proof(0, 1);
        assert!(one.to_string().starts_with("c2sp.org/tlog-proof@v1\nindex 0\n\nlog.example"));
        one.verify(b"entry 0", &key).unwrap();
    }

    #[test]
    fn other_texts_are_refused() {
        let (key, proof) = proof(5, 7);
        let text = proof.to_string();
        for (from, to, want) in [
            ("@v1", "@v2", "line 1"),
            ("index 5", "index 05", "line 2"),
            ("index 5", "index +5", "line 2"),
            ("index 5", "number 5", "line 2"),
            ("index 5", "extra %\nindex 5", "line 2"),
            ("index 5", "extra YWdl", "line 3"),
            ("=\n\n", "\n\n", "line 5"),
            ("\n\nlog", "\nlog", "line 1"),
        ] {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text, "{from}");
            // Where the first empty line is gone, what follows the checkpoint is taken for one.
            let error = Proof::parse(changed.as_bytes()).and_then(|proof| proof.verify(b"entry 5", &key));
            let error = error.unwrap_err().to_string();
            assert!(error.contains(want) || want == "line 1", "{from} {to}: {error}");
        }
        let hashes = format!("\n{}=", "A".repeat(43)).repeat(70);
        let long = text.replacen("\n\n", &format!("{hashes}\n\n"), 1);
        assert!(Proof::parse(long.as_bytes()).is_err());
        assert!(matches!(Proof::parse(&vec![b'\n'; PROOF_BYTES_MAX + 1]), Err(ProofError::TooLong { .. })));
        assert!(matches!(proof.verify(b"entry 4", &key), Err(ProofError::Inclusion(_))));
    }

    proptest! {
        #[test]
        fn proofs_verify_and_altered_ones_do_not((size, index) in (1_u64..200).prop_flat_map(|size| (Just(size), 0..size)), at in any::<prop::sample::Index>(), flip in 1_u8..128) {
            let (key, proof) = proof(index, size);
            let entry = format!("entry {index}").into_bytes();
            let mut text = proof.to_string().into_bytes();
            prop_assert_eq!(Proof::parse(&text).unwrap().verify(&entry, &key).unwrap().size, size);
            let at = at.index(text.len());
            text[at] ^= flip;
            prop_assert!(Proof::parse(&text).and_then(|proof| proof.verify(&entry, &key)).is_err());
        }

        #[test]
        fn hostile_proofs_do_not_panic(bytes: Vec<u8>, text: String) {
            let _ = Proof::parse(&bytes);
            let _ = Proof::parse(format!("{HEAD}\nindex 1\n{text}\n\n{text}").as_bytes());
        }
    }
}
