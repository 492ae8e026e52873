//! Rotation of the log's key: which keys signed the log, one after the other, and until where.
//!
//! A [`Handover`] is the last checkpoint under an old key, signed by the new one too; it covers a record that names both, which the new key signed. So whoever trusts one of the keys
//! can follow to the others: forwards, because the old key signed a log that names the new one; backwards, because the log that the new key signs says which was before it. Start at
//! [`KeyChain::of`]; that the records are there, and that the log grew from each handover, is held to the log by [`crate::verify`] and [`crate::bundle`].

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signature, Signer as _, SigningKey};
use serde::{Deserialize, Serialize};

use crate::checkpoint::{Checkpoint, CheckpointError, KeyName, VerifierKey, VerifierKeyError};
use crate::limits::{HANDOVERS_MAX, NOTE_BYTES_MAX};
use crate::record::{Body, Record, VersionLog, VersionedKind, VersionedObject};

/// The name of the log's key in records.
pub const LOG_KEY: &str = "log";

/// The first line of a handover.
const HEAD: &str = "countersign handover 1";

/// Bytes of a handover: some lines and a note.
pub const HANDOVER_BYTES_MAX: usize = 4_096 + NOTE_BYTES_MAX;

/// The record that names a new key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// The key before.
    pub old: VerifierKey,
    /// The key from then on.
    pub new: VerifierKey,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    signature: String,
}

/// Why a record about the log's key names none, or a chain of keys is none.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// A handover has not the form of one.
    #[error("the handover is not one: {0}")]
    Form(&'static str),
    /// A key in it is none.
    #[error("a key of the log: {0}")]
    Key(#[from] VerifierKeyError),
    /// Its checkpoint is not signed by both keys.
    #[error("the handover at record {seq}: {source}")]
    Note {
        /// The record that names the new key.
        seq: u64,
        /// What is wrong.
        source: CheckpointError,
    },
    /// Its checkpoint does not cover the record.
    #[error("the handover at record {seq} is under a checkpoint of {size} records")]
    Early {
        /// The record that names the new key.
        seq: u64,
        /// The checkpoint's size.
        size: u64,
    },
    /// The keys do not follow each other.
    #[error("the handover at record {seq} is not from the key that the one before it led to")]
    Gap {
        /// The record that names the new key.
        seq: u64,
    },
    /// More than any log has.
    #[error("there are more than {HANDOVERS_MAX} handovers")]
    TooMany,
    /// A handover whose record is not there, or names other keys.
    #[error("the log's key was handed over here, but no record names the two keys")]
    Unrecorded,
    /// A record names a new key, and checkpoints after it are not signed by that.
    #[error("it names a new key of the log, to which nothing was handed over")]
    Unfinished,
    /// The record names no two keys, or the new key did not sign it.
    #[error("it names a new key of the log, which did not sign that")]
    Unsigned,
}

/// What the new key signs.
fn statement(old: &VerifierKey, new: &VerifierKey) -> String {
    format!("countersign log key v1\n{old}\n{new}\n")
}

impl Rotation {
    /// The record that names `new`, whose private key is `signing`, as the key after `old`.
    ///
    /// # Errors
    /// Only if JSON cannot be written, which no key causes.
    pub fn record(
        old: &VerifierKey,
        new: &VerifierKey,
        signing: &SigningKey,
        who: &str,
        why: &str,
    ) -> Result<VersionLog, serde_json::Error> {
        let signature = BASE64.encode(signing.sign(statement(old, new).as_bytes()).to_bytes());
        Ok(VersionLog {
            approval: None,
            difference: vec!["checkpoints are signed by another key from here on".to_owned()],
            direction: None,
            from: Some(old.to_string().into()),
            object: VersionedObject { kind: VersionedKind::Key, name: LOG_KEY.into() },
            state: Some(serde_json::to_string(&State { signature })?),
            to: new.to_string().into(),
            who: who.to_owned(),
            why: why.to_owned(),
        })
    }

    /// The new key that a record names; `None` where it is about something else.
    ///
    /// # Errors
    /// [`RotationError`] if the record is about the log's key and names none.
    #[must_use]
    pub fn of(record: &Record) -> Option<Result<Self, RotationError>> {
        let Body::Version(version) = &record.body else { return None };
        let is_ours = version.object.kind == VersionedKind::Key && &*version.object.name == LOG_KEY;
        is_ours.then(|| Self::read(version))
    }

    fn read(version: &VersionLog) -> Result<Self, RotationError> {
        let old: VerifierKey = version.from.as_deref().unwrap_or_default().parse()?;
        let new: VerifierKey = version.to.parse()?;
        let state = version.state.as_deref().and_then(|state| serde_json::from_str::<State>(state).ok());
        let signature = state.and_then(|state| BASE64.decode(state.signature).ok());
        let signature =
            signature.and_then(|bytes| Signature::from_slice(&bytes).ok()).ok_or(RotationError::Unsigned)?;
        let is_signed = new.has_signed(statement(&old, &new).as_bytes(), &signature);
        if is_signed && old.name() == new.name() { Ok(Self { old, new }) } else { Err(RotationError::Unsigned) }
    }
}

/// Where one key of a log ends and the next begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handover {
    /// The number of the record that names the new key.
    pub seq: u64,
    /// The keys.
    pub keys: Rotation,
    /// A checkpoint that covers that record, signed by both.
    pub note: Vec<u8>,
    /// What it says.
    pub checkpoint: Checkpoint,
}

impl Handover {
    /// One whose checkpoint is signed by both keys and covers the record.
    ///
    /// # Errors
    /// [`RotationError`].
    pub fn new(seq: u64, keys: Rotation, note: Vec<u8>) -> Result<Self, RotationError> {
        let open = |key| Checkpoint::open(&note, key).map_err(|source| RotationError::Note { seq, source });
        let checkpoint = open(&keys.old)?;
        open(&keys.new)?;
        if seq == 0 || checkpoint.size < seq {
            return Err(RotationError::Early { seq, size: checkpoint.size });
        }
        Ok(Self { seq, keys, note, checkpoint })
    }

    /// Reads what [`Self::to_string`] gave.
    ///
    /// # Errors
    /// [`RotationError`].
    pub fn parse(bytes: &[u8]) -> Result<Self, RotationError> {
        if bytes.len() > HANDOVER_BYTES_MAX {
            return Err(RotationError::Form("it is too long"));
        }
        let text = std::str::from_utf8(bytes).map_err(|_| RotationError::Form("it is not text"))?;
        let (head, note) = text.split_once("\n\n").ok_or(RotationError::Form("it has no empty line"))?;
        let lines: Vec<_> = head.split('\n').collect();
        let [HEAD, record, old, new] = lines.as_slice() else {
            return Err(RotationError::Form("it has not four lines before the empty one"));
        };
        let seq = record.strip_prefix("record ").and_then(|seq| Some((seq, seq.parse::<u64>().ok()?)));
        let seq = seq.filter(|(text, seq)| seq.to_string() == *text).map(|(_, seq)| seq);
        let seq = seq.ok_or(RotationError::Form("its second line is not `record` and a plain number"))?;
        Self::new(seq, Rotation { old: old.parse()?, new: new.parse()? }, note.as_bytes().to_vec())
    }
}

impl fmt::Display for Handover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seq, keys: Rotation { old, new }, note, .. } = self;
        write!(f, "{HEAD}\nrecord {seq}\n{old}\n{new}\n\n{}", String::from_utf8_lossy(note))
    }
}

/// How a record that names a new key stands in a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fit {
    /// The key was handed over.
    HandedOver,
    /// Not yet.
    Pending,
}

/// The keys of one log, one after the other.
#[derive(Clone, Debug)]
pub struct KeyChain {
    /// Where each but the last ends.
    handovers: Vec<Handover>,
    last: VerifierKey,
}

impl KeyChain {
    /// The chain of a log that never changed its key.
    #[must_use]
    pub const fn alone(key: VerifierKey) -> Self {
        Self { handovers: Vec::new(), last: key }
    }

    /// The chain that handovers make, in any order; of a log without any, its one key.
    ///
    /// # Errors
    /// [`RotationError`] if one does not begin where the one before it ended, or `key` is none of them.
    pub fn of(key: VerifierKey, mut handovers: Vec<Handover>) -> Result<Self, RotationError> {
        if handovers.len() > HANDOVERS_MAX {
            return Err(RotationError::TooMany);
        }
        handovers.sort_by_key(|handover| handover.seq);
        for (before, after) in handovers.iter().zip(handovers.iter().skip(1)) {
            let grows = before.seq < after.seq && before.checkpoint.size <= after.checkpoint.size;
            if before.keys.new != after.keys.old || !grows {
                return Err(RotationError::Gap { seq: after.seq });
            }
        }
        let last = handovers.last().map_or_else(|| key.clone(), |last| last.keys.new.clone());
        let chain = Self { handovers, last };
        match chain.has(&key) {
            true => Ok(chain),
            false => Err(RotationError::Gap { seq: chain.handovers.last().map_or(0, |last| last.seq) }),
        }
    }

    /// Whether a key is one of them.
    #[must_use]
    pub fn has(&self, key: &VerifierKey) -> bool {
        self.last == *key || self.handovers.iter().any(|handover| handover.keys.old == *key)
    }

    /// The newest key.
    #[must_use]
    pub const fn last(&self) -> &VerifierKey {
        &self.last
    }

    /// The log.
    #[must_use]
    pub const fn origin(&self) -> &KeyName {
        self.last.name()
    }

    /// Where each key but the last ends, in order.
    #[must_use]
    pub fn handovers(&self) -> &[Handover] {
        &self.handovers
    }

    /// Whether a record that names a new key fits: it is that of a handover. One that nothing was handed over for yet must name the newest key as the old one.
    ///
    /// # Errors
    /// [`RotationError`].
    pub fn fits(&self, seq: u64, keys: &Rotation) -> Result<Fit, RotationError> {
        match self.handovers.iter().find(|handover| handover.seq == seq) {
            Some(handover) if handover.keys == *keys => Ok(Fit::HandedOver),
            Some(_) => Err(RotationError::Unrecorded),
            None if keys.old == self.last => Ok(Fit::Pending),
            None => Err(RotationError::Unfinished),
        }
    }

    /// The handovers that led to a key.
    #[must_use]
    pub fn until(&self, key: &VerifierKey) -> Vec<Handover> {
        let place = self.handovers.iter().position(|handover| handover.keys.old == *key);
        self.handovers.iter().take(place.unwrap_or(self.handovers.len())).cloned().collect()
    }

    /// Reads a checkpoint that the newest key signed, or an older one before it was handed over; and says which.
    ///
    /// # Errors
    /// [`CheckpointError`]; that of the newest key.
    pub fn open(&self, note: &[u8]) -> Result<(Checkpoint, &VerifierKey), CheckpointError> {
        let refused = match Checkpoint::open(note, &self.last) {
            Ok(checkpoint) => return Ok((checkpoint, &self.last)),
            Err(error) => error,
        };
        for handover in self.handovers.iter().rev() {
            if let Ok(checkpoint) = Checkpoint::open(note, &handover.keys.old)
                && checkpoint.size <= handover.checkpoint.size
            {
                return Ok((checkpoint, &handover.keys.old));
            }
        }
        Err(refused)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::examples::{ORIGIN, at, by_itself, started, written};
    use crate::leaf::{Hash, Leaf, Salt, commitment, hex_text};
    use crate::merkle::{leaf_hash, root};
    use crate::record::{Draft, read};
    use crate::verify::LedgerCheck;
    use proptest::prelude::*;

    const SALT: Salt = [0x42; 16];

    fn signing(seed: u8) -> SigningKey {
        SigningKey::from_bytes(&[seed; 32])
    }

    fn key(seed: u8) -> VerifierKey {
        VerifierKey::new(ORIGIN.parse().unwrap(), signing(seed).verifying_key())
    }

    fn rotation(old: u8, new: u8) -> VersionLog {
        Rotation::record(&key(old), &key(new), &signing(new), "ana", "A year is over.").unwrap()
    }

    /// A log of these changes of the key, each after a start: the first is record 2, the next 4, and so on.
    struct Log {
        records: Vec<Vec<u8>>,
    }

    impl Log {
        fn of(changes: &[VersionLog]) -> Self {
            let mut records = Vec::new();
            for change in changes {
                for body in [Body::Ledger(started(records.len() as u64)), Body::Version(change.clone())] {
                    let draft = Draft::new(by_itself(), None, at(records.len() as u64), body);
                    let seq = records.len() as u64 + 1;
                    records.push(written(&draft, seq));
                }
            }
            Self { records }
        }

        fn head(&self, size: u64) -> Checkpoint {
            let leaves = self.records.iter().map(|bytes| {
                let record = read(bytes).unwrap();
                let leaf = Leaf {
                    commitment: hex_text(&commitment(&SALT, bytes)),
                    emitter: record.emitter.clone(),
                    id: record.id,
                    schema: record.schema,
                    seq: record.seq,
                    record_type: record.record_type,
                };
                leaf_hash(&leaf.entry().unwrap())
            });
            let leaves: Vec<Hash> = leaves.collect();
            Checkpoint { origin: ORIGIN.parse().unwrap(), size, root: root(size, &leaves[..]).unwrap() }
        }

        fn handover(&self, seq: u64, old: u8, new: u8, size: u64) -> Result<Handover, RotationError> {
            let note = self.head(size).sign_by_both(&signing(old), &signing(new), &ORIGIN.parse().unwrap());
            Handover::new(seq, Rotation { old: key(old), new: key(new) }, note.into_bytes())
        }

        fn note(&self, size: u64, by: u8) -> Vec<u8> {
            self.head(size).sign(&signing(by), &ORIGIN.parse().unwrap()).into_bytes()
        }

        fn findings(&self, keys: &KeyChain, notes: &[Vec<u8>]) -> Vec<String> {
            let mut check = LedgerCheck::of(keys.clone(), None);
            for note in keys.handovers().iter().map(|handover| &handover.note).chain(notes) {
                check.checkpoint(note).unwrap();
            }
            self.records.iter().for_each(|bytes| check.record(0, &SALT, bytes));
            check.finish().findings.iter().map(ToString::to_string).collect()
        }
    }

    #[test]
    fn whoever_has_one_key_follows_to_the_others() {
        let log = Log::of(&[rotation(1, 2), rotation(2, 3)]);
        let handovers = || vec![log.handover(4, 2, 3, 4).unwrap(), log.handover(2, 1, 2, 3).unwrap()];
        for trusted in [1, 2, 3] {
            let keys = KeyChain::of(key(trusted), handovers()).unwrap();
            assert_eq!((keys.last(), keys.handovers().len()), (&key(3), 2));
            assert_eq!(log.findings(&keys, &[log.note(4, 3), log.note(1, 1), log.note(2, 1), log.note(3, 2)]), [""; 0]);
            // An old key signs nothing after it was handed over: whoever finds it later forges nothing.
            let error = keys.open(&log.note(4, 1)).unwrap_err().to_string();
            assert!(error.contains("no signature by"), "{error}");
            assert_eq!(keys.open(&log.note(4, 2)).unwrap().1, &key(2), "up to the handover, and not beyond");
        }
        assert!(KeyChain::of(key(4), handovers()).is_err(), "a key of another log");
        let again = Handover::parse(handovers()[0].to_string().as_bytes()).unwrap();
        assert_eq!(again, handovers()[0]);
        let keys = KeyChain::of(key(1), handovers()).unwrap();
        assert_eq!([1, 2, 3].map(|seed| keys.until(&key(seed)).len()), [0, 1, 2]);
    }

    proptest! {
        #[test]
        fn hostile_handovers_do_not_panic_and_altered_ones_are_none(bytes: Vec<u8>, text: String, at in any::<prop::sample::Index>(), flip in 1_u8..128) {
            let _ = Handover::parse(&bytes);
            let _ = Handover::parse(format!("{HEAD}\nrecord 2\n{text}\n{text}\n\n{text}").as_bytes());
            let handover = Log::of(&[rotation(1, 2)]).handover(2, 1, 2, 2).unwrap();
            let mut changed = handover.to_string().into_bytes();
            let at = at.index(changed.len());
            *changed.get_mut(at).unwrap() ^= flip;
            // The number alone is signed by nobody: the record with it must name the keys, and the checkpoint cover it.
            prop_assert!(Handover::parse(&changed).map_or(true, |changed| changed.seq != 2));
        }
    }

    #[test]
    fn a_chain_with_a_gap_or_a_lie_is_none() {
        let log = Log::of(&[rotation(1, 2), rotation(2, 3)]);
        assert!(matches!(log.handover(2, 1, 2, 1), Err(RotationError::Early { seq: 2, size: 1 })));
        let (first, second) = (log.handover(2, 1, 2, 2).unwrap(), log.handover(4, 2, 3, 4).unwrap());
        // A handover that only one of the keys signed.
        let alone = Handover::new(2, first.keys.clone(), log.note(2, 2)).unwrap_err();
        assert!(matches!(alone, RotationError::Note { seq: 2, .. }), "{alone}");
        // The second without the first; the same twice; two that part.
        assert!(KeyChain::of(key(1), vec![second.clone()]).is_err());
        assert!(KeyChain::of(key(1), vec![first.clone(), first.clone()]).is_err());
        assert!(KeyChain::of(key(1), vec![first.clone(), log.handover(4, 1, 3, 4).unwrap()]).is_err());
        // A record that nothing was handed over for is fine until a checkpoint covers it.
        let alone = KeyChain::alone(key(1));
        let one = Log::of(&[rotation(1, 2)]);
        assert_eq!(one.findings(&alone, &[one.note(1, 1)]), [""; 0]);
        let found = one.findings(&alone, &[one.note(2, 1)]);
        assert!(found.len() == 1 && found[0].contains("to which nothing was handed over"), "{found:?}");
        // Handovers that no record names, that another record names, and a record that the new key did not sign.
        let silent = Log::of(&[rotation(1, 3)]);
        let keys = KeyChain::of(key(1), vec![silent.handover(2, 1, 2, 2).unwrap()]).unwrap();
        let found = silent.findings(&keys, &[]);
        assert!(found.iter().any(|found| found.contains("no record names the two keys")), "{found:?}");
        let mut forged = rotation(1, 2);
        forged.state = rotation(1, 3).state;
        let log = Log::of(&[forged]);
        let keys = KeyChain::of(key(1), vec![log.handover(2, 1, 2, 2).unwrap()]).unwrap();
        let found = log.findings(&keys, &[]);
        assert!(found.iter().any(|found| found.contains("which did not sign that")), "{found:?}");
        for (from, to) in
            [("record 2", "record 02"), ("handover 1", "handover 2"), ("\n\n", "\n"), ("record 2", "record 9")]
        {
            let text = first.to_string().replacen(from, to, 1);
            assert!(Handover::parse(text.as_bytes()).is_err(), "{text}");
        }
    }
}
