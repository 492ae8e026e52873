//! What a witness is sent and what it says: C2SP tlog-witness, `add-checkpoint`.
//!
//! Pure: [`judge`] holds what is submitted to the newest head that the witness cosigned, and says what to answer; who keeps that head and who sends bytes is elsewhere. Nobody is
//! authenticated but by the log's signature, so everything here is bounded and strict. Checkpoints with extension lines are refused: ours have none.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use crate::checkpoint::{Checkpoint, CheckpointError, Note, NoteError, VerifierKey};
use crate::limits::{NOTE_BYTES_MAX, WITNESS_PROOF_HASHES_MAX};
use crate::merkle::{Hash, VerifyProofError, empty_root, verify_consistency};

/// Bytes of a submission: its first line, its hashes in lines of 45 bytes, and the checkpoint.
pub const SUBMISSION_BYTES_MAX: usize = 64 + WITNESS_PROOF_HASHES_MAX * 45 + NOTE_BYTES_MAX;

/// The type of the answer that says which size the witness knows.
pub const SIZE_TYPE: &str = "text/x.tlog.size";

/// The path of the call, below a witness's address.
pub const ADD_CHECKPOINT: &str = "/add-checkpoint";

/// A checkpoint on its way to a witness, with what shows that the log grew. Nothing is verified yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Submission {
    /// The size from which on the proof shows growth: the one that the witness cosigned last.
    pub old: u64,
    /// The consistency proof.
    pub proof: Vec<Hash>,
    /// The signed checkpoint.
    pub note: Vec<u8>,
}

/// Why bytes are no submission.
#[derive(Debug, thiserror::Error)]
pub enum SubmissionError {
    /// Longer than any.
    #[error("the request has more than {SUBMISSION_BYTES_MAX} bytes")]
    TooLong,
    /// Something else is in this line.
    #[error("line {line} of the request is not {want}")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What should be there.
        want: &'static str,
    },
    /// What follows is no note.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// What the note says is no checkpoint.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

impl Submission {
    /// Reads a request's body.
    ///
    /// # Errors
    /// [`SubmissionError`] says what is wrong with it.
    pub fn parse(bytes: &[u8]) -> Result<Self, SubmissionError> {
        if bytes.len() > SUBMISSION_BYTES_MAX {
            return Err(SubmissionError::TooLong);
        }
        let end = bytes.windows(2).position(|two| two == b"\n\n");
        let no_end = SubmissionError::Line { line: 1, want: "followed by an empty line and a checkpoint" };
        let (head, rest) = end.and_then(|end| bytes.split_at_checked(end)).ok_or(no_end)?;
        let note = rest.get(2..).unwrap_or_default().to_vec();
        let head = std::str::from_utf8(head).map_err(|_| SubmissionError::Line { line: 1, want: "text" })?;
        let mut lines = head.split('\n');
        let old = lines.next().and_then(|line| plain_number(line.strip_prefix("old ")?));
        let old = old.ok_or(SubmissionError::Line { line: 1, want: "`old` and a plain decimal number" })?;
        let mut proof = Vec::new();
        for (line, text) in (2..).zip(lines) {
            let hash = BASE64.decode(text).ok().and_then(|hash| Hash::try_from(hash).ok());
            let hash = hash.filter(|_| proof.len() < WITNESS_PROOF_HASHES_MAX);
            proof.push(hash.ok_or(SubmissionError::Line { line, want: "one of at most 63 hashes in base64" })?);
        }
        Ok(Self { old, proof, note })
    }

    /// The body of the request.
    #[must_use]
    pub fn body(&self) -> Vec<u8> {
        let hashes = self.proof.iter().map(|hash| format!("{}\n", BASE64.encode(hash)));
        let mut body = format!("old {}\n{}\n", self.old, hashes.collect::<String>()).into_bytes();
        body.extend_from_slice(&self.note);
        body
    }

    /// The checkpoint in it. Not yet verified.
    ///
    /// # Errors
    /// [`SubmissionError`].
    pub fn checkpoint(&self) -> Result<(Note, Checkpoint), SubmissionError> {
        let note = Note::parse(&self.note)?;
        let checkpoint = Checkpoint::parse(note.text())?;
        Ok((note, checkpoint))
    }
}

/// The size in the answer of a witness that knows another one.
///
/// # Errors
/// `None` if it is not one plain number in a line.
#[must_use]
pub fn known_size(body: &[u8]) -> Option<u64> {
    plain_number(std::str::from_utf8(body).ok()?.strip_suffix('\n')?)
}

fn plain_number(text: &str) -> Option<u64> {
    let number: u64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}

/// What a witness says to a submission. The order of the checks is that of the specification.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The log grew: keep this head, then cosign it.
    Cosign,
    /// The proof would be from a size that is more than the checkpoint's: 400.
    Backwards,
    /// It is no log that the witness knows: 404.
    Unknown,
    /// No key of the log signed it: 403.
    Unsigned,
    /// The witness cosigned another size last: 409, with that.
    Conflict {
        /// The size.
        known: u64,
    },
    /// The log signed another root for the size that the witness cosigned: 409. It has two histories, and both are signed.
    Forked {
        /// The size.
        known: u64,
    },
    /// The proof does not show that the log grew: 422.
    Unproved(VerifyProofError),
}

/// What to say to a checkpoint of a log that has these keys, and whose newest head that was cosigned is `kept`.
#[must_use]
pub fn judge(
    submission: &Submission,
    note: &Note,
    checkpoint: &Checkpoint,
    keys: &[VerifierKey],
    kept: Option<&Checkpoint>,
) -> Verdict {
    if keys.is_empty() {
        return Verdict::Unknown;
    }
    if !keys.iter().any(|key| *key.name() == checkpoint.origin && note.verify(key).is_ok()) {
        return Verdict::Unsigned;
    }
    if submission.old > checkpoint.size {
        return Verdict::Backwards;
    }
    let (known, root) = kept.map_or_else(|| (0, empty_root()), |kept| (kept.size, kept.root));
    if submission.old != known {
        return Verdict::Conflict { known };
    }
    if checkpoint.size == known && checkpoint.root != root {
        return Verdict::Forked { known };
    }
    match verify_consistency(known, &root, checkpoint.size, &checkpoint.root, &submission.proof) {
        Ok(()) => Verdict::Cosign,
        Err(error) => Verdict::Unproved(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checkpoint::KeyName;
    use crate::merkle::{consistency_proof, leaf_hash, root};
    use ed25519_dalek::SigningKey;
    use proptest::prelude::*;

    /// A log whose entries from `fork` on are others.
    struct Log {
        origin: KeyName,
        key: SigningKey,
        leaves: Vec<Hash>,
    }

    impl Log {
        fn new(fork: u64) -> Self {
            let leaf = |index| leaf_hash(format!("{index} {}", if index < fork { "one" } else { "other" }).as_bytes());
            let (origin, key) = ("log.example/w".parse().unwrap(), SigningKey::from_bytes(&[7; 32]));
            Self { origin, key, leaves: (0..300).map(leaf).collect() }
        }

        fn head(&self, size: u64) -> Checkpoint {
            Checkpoint { origin: self.origin.clone(), size, root: root(size, &self.leaves[..]).unwrap() }
        }

        fn submit(&self, old: u64, size: u64) -> Submission {
            let proof = consistency_proof(old, size, &self.leaves[..]).unwrap();
            Submission { old, proof, note: self.head(size).sign(&self.key, &self.origin).into_bytes() }
        }

        fn keys(&self) -> Vec<VerifierKey> {
            vec![VerifierKey::new(self.origin.clone(), self.key.verifying_key())]
        }
    }

    fn said(submission: &Submission, keys: &[VerifierKey], kept: Option<&Checkpoint>) -> Verdict {
        let submission = Submission::parse(&submission.body()).unwrap();
        let (note, checkpoint) = submission.checkpoint().unwrap();
        judge(&submission, &note, &checkpoint, keys, kept)
    }

    #[test]
    fn a_witness_cosigns_what_grew_and_nothing_else() {
        let (log, other) = (Log::new(300), Log::new(100));
        let keys = log.keys();
        let kept = log.head(150);
        assert_eq!(said(&log.submit(0, 150), &keys, None), Verdict::Cosign);
        assert_eq!(said(&log.submit(150, 280), &keys, Some(&kept)), Verdict::Cosign);
        assert_eq!(said(&log.submit(150, 150), &keys, Some(&kept)), Verdict::Cosign, "again, at a later time");
        assert_eq!(said(&log.submit(0, 0), &keys, None), Verdict::Cosign);
        // Not known, not signed.
        assert_eq!(said(&log.submit(0, 150), &[], None), Verdict::Unknown);
        let stranger = VerifierKey::new(log.origin.clone(), SigningKey::from_bytes(&[8; 32]).verifying_key());
        assert_eq!(said(&log.submit(0, 150), &[stranger], None), Verdict::Unsigned);
        let renamed = VerifierKey::new("log.example/x".parse().unwrap(), log.key.verifying_key());
        assert_eq!(said(&log.submit(0, 150), &[renamed], None), Verdict::Unsigned);
        // An old one again, one from the start, one that goes back.
        for old in [0, 100, 151] {
            let again = said(&log.submit(old, 200), &keys, Some(&kept));
            assert_eq!(again, Verdict::Conflict { known: 150 }, "{old}");
        }
        assert_eq!(said(&log.submit(100, 120), &keys, Some(&kept)), Verdict::Conflict { known: 150 });
        let backwards = Submission { old: 150, ..log.submit(0, 120) };
        assert_eq!(said(&backwards, &keys, Some(&kept)), Verdict::Backwards);
        // Another history, of the same size and later; a proof that is none; none where one must be.
        assert_eq!(said(&other.submit(150, 150), &keys, Some(&kept)), Verdict::Forked { known: 150 });
        assert!(matches!(said(&other.submit(150, 280), &keys, Some(&kept)), Verdict::Unproved(_)));
        let crossed = Submission { proof: log.submit(150, 280).proof, ..other.submit(150, 280) };
        assert!(matches!(said(&crossed, &keys, Some(&kept)), Verdict::Unproved(_)));
        let none = Submission { proof: Vec::new(), ..log.submit(150, 280) };
        assert!(matches!(said(&none, &keys, Some(&kept)), Verdict::Unproved(_)));
        let needless = Submission { proof: vec![[0; 32]], ..log.submit(0, 280) };
        assert!(matches!(said(&needless, &keys, None), Verdict::Unproved(_)));
        // A signed head of nothing with a root of something.
        let nothing = Checkpoint { root: [1; 32], ..log.head(0) };
        let note = nothing.sign(&log.key, &log.origin).into_bytes();
        let false_nothing = Submission { old: 0, proof: Vec::new(), note };
        assert_eq!(said(&false_nothing, &keys, None), Verdict::Forked { known: 0 });
    }

    #[test]
    fn only_the_one_spelling_of_a_request_is_read() {
        let log = Log::new(300);
        let body = String::from_utf8(log.submit(150, 280).body()).unwrap();
        assert!(body.starts_with("old 150\n") && body.contains("\n\nlog.example/w\n280\n"), "{body}");
        for (from, to, want) in [
            ("old 150", "old 0150", "line 1"),
            ("old 150", "old +150", "line 1"),
            ("old 150", "old -1", "line 1"),
            ("old 150", "old  150", "line 1"),
            ("old 150", "size 150", "line 1"),
            ("old 150", "old 18446744073709551616", "line 1"),
            ("old 150\n", "old 150\nAAAA\n", "line 2"),
            ("old 150\n", "old 150\r\n", "line 1"),
            ("\n280\n", "\n0280\n", "plain decimal"),
            ("\n280\n", "\n280\nextension\n", "three lines"),
            ("\n— log", "\nlog", "signature line"),
        ] {
            let changed = body.replacen(from, to, 1);
            assert_ne!(changed, body, "{from}");
            let read = Submission::parse(changed.as_bytes());
            let error = read.and_then(|submission| submission.checkpoint().map(drop)).unwrap_err().to_string();
            assert!(error.contains(want), "{from} {to}: {error}");
        }
        let many =
            body.replacen("old 150\n", &format!("old 150\n{}", format!("{}\n", BASE64.encode([0; 32])).repeat(64)), 1);
        assert!(Submission::parse(many.as_bytes()).is_err());
        assert!(matches!(Submission::parse(&vec![b'o'; SUBMISSION_BYTES_MAX + 1]), Err(SubmissionError::TooLong)));
        assert_eq!(known_size(b"150\n"), Some(150));
        for body in [b"150".as_slice(), b"0150\n", b"150\n\n", b"", b"\xff\n"] {
            assert_eq!(known_size(body), None);
        }
    }

    proptest! {
        #[test]
        fn a_history_that_parts_is_never_cosigned(fork in 0_u64..100, until in 1_u64..100, more in 0_u64..100) {
            let (log, other) = (Log::new(300), Log::new(fork));
            let (kept, size) = (fork + until, fork + until + more);
            let said = said(&other.submit(kept, size), &log.keys(), Some(&log.head(kept)));
            prop_assert!(matches!(said, Verdict::Forked { .. } | Verdict::Unproved(_)), "{said:?}");
        }

        #[test]
        fn hostile_requests_do_not_panic(bytes: Vec<u8>, text: String) {
            let _ = Submission::parse(&bytes);
            let _ = Submission::parse(format!("old 1\n{text}\n\n{text}").as_bytes()).map(|read| read.checkpoint().map(drop));
            let _ = known_size(&bytes);
        }
    }
}
