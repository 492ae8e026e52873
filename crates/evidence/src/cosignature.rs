//! Cosignatures of witnesses: C2SP tlog-cosignature, `cosignature/v1` with Ed25519.
//!
//! A cosignature says that its witness saw this head of the log at a time, grown from every head that it saw before. Start at [`Witnesses::check`] for whoever verifies, and at
//! [`WitnessSigner`] for the witness. Lines of other keys and other versions are ignored, as the specification wants.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

use crate::checkpoint::{
    KeyId, KeyName, Note, NoteError, NoteSignature, VerifierKeyError, key_id, read_vkey, write_vkey,
};
use crate::limits::WITNESSES_MAX;
use crate::time::Timestamp;

/// The type of an Ed25519 cosignature (tlog-cosignature, section "Format").
const COSIGNATURE: u8 = 4;

/// Bytes of one: the time and the Ed25519 signature.
const SIGNATURE_BYTES: usize = 8 + 64;

/// A witness's public key; its text form is a `vkey` of type 4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WitnessKey {
    name: KeyName,
    key: VerifyingKey,
}

impl WitnessKey {
    /// The witness's name.
    #[must_use]
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// The key's id.
    #[must_use]
    pub fn id(&self) -> KeyId {
        key_id(&self.name, COSIGNATURE, &self.key)
    }

    /// Whether a line of a note is of this key; not yet whether it is true.
    #[must_use]
    pub fn is_of(&self, signature: &NoteSignature) -> bool {
        signature.name == self.name && signature.id == self.id()
    }

    /// Verifies that the witness cosigned the note, and says when: the latest time, where it did more than once.
    ///
    /// # Errors
    /// [`NoteError::NotSigned`], or [`NoteError::FalseSignature`] if one line of it is false.
    pub fn verify(&self, note: &Note) -> Result<Timestamp, NoteError> {
        let mut latest = None;
        for signature in note.signatures().iter().filter(|signature| self.is_of(signature)) {
            let at = self
                .is_true(note.text(), &signature.bytes)
                .ok_or_else(|| NoteError::FalseSignature { name: self.name.clone(), id: hex::encode(self.id()) })?;
            latest = latest.max(Some(at));
        }
        latest.ok_or_else(|| NoteError::NotSigned { name: self.name.clone(), id: hex::encode(self.id()) })
    }

    /// The time of a true cosignature of `text`.
    fn is_true(&self, text: &str, bytes: &[u8]) -> Option<Timestamp> {
        let (time, signature) = bytes.split_first_chunk::<8>().filter(|_| bytes.len() == SIGNATURE_BYTES)?;
        let seconds = u64::from_be_bytes(*time);
        let at = i64::try_from(seconds).ok()?.checked_mul(1_000_000).filter(|micros| *micros <= LATEST_MICROS)?;
        let signature = Signature::from_slice(signature).ok()?;
        self.key.verify_strict(message(text, seconds).as_bytes(), &signature).ok()?;
        Some(Timestamp::from_micros(at))
    }
}

/// The end of the year 9999: what a timestamp can say.
const LATEST_MICROS: i64 = 253_402_300_799_000_000;

/// What is signed (tlog-cosignature, section "Ed25519 signed message").
fn message(text: &str, seconds: u64) -> String {
    format!("cosignature/v1\ntime {seconds}\n{text}")
}

impl fmt::Display for WitnessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&write_vkey(&self.name, COSIGNATURE, &self.key))
    }
}

impl FromStr for WitnessKey {
    type Err = VerifierKeyError;

    fn from_str(text: &str) -> Result<Self, VerifierKeyError> {
        let (name, key) = read_vkey(text, COSIGNATURE)?;
        Ok(Self { name, key })
    }
}

/// A witness's private key.
pub struct WitnessSigner {
    name: KeyName,
    key: SigningKey,
}

/// Why a text is not a witness's private key. Nothing of the text is in it.
#[derive(Debug, thiserror::Error)]
#[error("not a private key of a witness: want PRIVATE+KEY+NAME+ID+BASE64 of type 4")]
pub struct SignerError;

impl WitnessSigner {
    /// The key that a seed gives, under a name.
    #[must_use]
    pub fn new(name: KeyName, seed: &[u8; 32]) -> Self {
        Self { name, key: SigningKey::from_bytes(seed) }
    }

    /// The public key.
    #[must_use]
    pub fn witness(&self) -> WitnessKey {
        WitnessKey { name: self.name.clone(), key: self.key.verifying_key() }
    }

    /// The line with which it cosigns the text of a checkpoint, at a time in whole seconds since 1970.
    #[must_use]
    pub fn cosign(&self, text: &str, seconds: u64) -> NoteSignature {
        let signature = self.key.sign(message(text, seconds).as_bytes());
        let bytes = [seconds.to_be_bytes().as_slice(), signature.to_bytes().as_slice()].concat();
        NoteSignature { name: self.name.clone(), id: self.witness().id(), bytes }
    }

    /// The text of the private key, as a file keeps it.
    #[must_use]
    pub fn secret(&self) -> String {
        let typed = [[COSIGNATURE].as_slice(), self.key.to_bytes().as_slice()].concat();
        format!("PRIVATE+KEY+{}+{}+{}\n", self.name, hex::encode(self.witness().id()), BASE64.encode(typed))
    }

    /// Reads what [`Self::secret`] gave.
    ///
    /// # Errors
    /// [`SignerError`].
    pub fn read(text: &str) -> Result<Self, SignerError> {
        let mut parts = text.trim_end().strip_prefix("PRIVATE+KEY+").ok_or(SignerError)?.splitn(3, '+');
        let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(SignerError);
        };
        let typed = BASE64.decode(key).map_err(|_| SignerError)?;
        let seed = match typed.split_first() {
            Some((&COSIGNATURE, seed)) => <&[u8; 32]>::try_from(seed).map_err(|_| SignerError)?,
            _ => return Err(SignerError),
        };
        let signer = Self::new(name.parse().map_err(|_| SignerError)?, seed);
        if hex::encode(signer.witness().id()) == id { Ok(signer) } else { Err(SignerError) }
    }
}

/// One witness's cosignature that is true.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cosigned {
    /// When the witness saw it.
    pub at: Timestamp,
    /// The witness.
    pub witness: KeyName,
}

/// Which witnesses count, and how many of them must have cosigned: the policy of C2SP tlog-policy with one group.
#[derive(Clone, Debug, Default)]
pub struct Witnesses {
    keys: Vec<WitnessKey>,
    need: usize,
}

/// Why witnesses and a number are no policy.
#[derive(Debug, thiserror::Error)]
pub enum WitnessesError {
    /// More than can be in a note.
    #[error("there are {found} witnesses, above the limit of {WITNESSES_MAX}")]
    TooMany {
        /// How many.
        found: usize,
    },
    /// The same key twice counts once.
    #[error("the key of the witness `{0}` is there twice")]
    Twice(KeyName),
    /// Nobody can be so many, or none is asked for.
    #[error("of {of} witnesses {need} cannot be needed; say a number from 1 to {of}")]
    Need {
        /// The number.
        need: usize,
        /// How many there are.
        of: usize,
    },
}

/// Why a checkpoint is not cosigned as it must be.
#[derive(Debug, thiserror::Error)]
pub enum CosignedError {
    /// A line of a witness that counts is false.
    #[error(transparent)]
    False(NoteError),
    /// Too few.
    #[error("{found} of the {of} witnesses cosigned it, and {need} must have; missing: {missing}")]
    TooFew {
        /// How many did.
        found: usize,
        /// Those who did not.
        missing: String,
        /// How many must have.
        need: usize,
        /// How many there are.
        of: usize,
    },
}

impl Witnesses {
    /// These, of whom `need` must have cosigned; all without a number. No witnesses need nothing.
    ///
    /// # Errors
    /// [`WitnessesError`].
    pub fn new(keys: Vec<WitnessKey>, need: Option<usize>) -> Result<Self, WitnessesError> {
        if keys.len() > WITNESSES_MAX {
            return Err(WitnessesError::TooMany { found: keys.len() });
        }
        for (at, key) in keys.iter().enumerate() {
            if keys.iter().take(at).any(|before| before.key == key.key) {
                return Err(WitnessesError::Twice(key.name.clone()));
            }
        }
        let of = keys.len();
        let need = need.unwrap_or(of);
        if need > of || (need == 0 && of > 0) {
            return Err(WitnessesError::Need { need, of });
        }
        Ok(Self { keys, need })
    }

    /// Their keys.
    #[must_use]
    pub fn keys(&self) -> &[WitnessKey] {
        &self.keys
    }

    /// How many must have cosigned.
    #[must_use]
    pub const fn need(&self) -> usize {
        self.need
    }

    /// Those who cosigned a note, if they are enough.
    ///
    /// # Errors
    /// [`CosignedError`].
    pub fn check(&self, note: &Note) -> Result<Vec<Cosigned>, CosignedError> {
        let (mut cosigned, mut missing) = (Vec::new(), Vec::new());
        for key in &self.keys {
            match key.verify(note) {
                Ok(at) => cosigned.push(Cosigned { at, witness: key.name.clone() }),
                Err(NoteError::NotSigned { .. }) => missing.push(key.name.to_string()),
                Err(error) => return Err(CosignedError::False(error)),
            }
        }
        if cosigned.len() >= self.need {
            return Ok(cosigned);
        }
        let (found, missing) = (cosigned.len(), missing.join(", "));
        Err(CosignedError::TooFew { found, missing, need: self.need, of: self.keys.len() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The example of C2SP tlog-cosignature; its keys are not in the specification, so only its form is read.
    const EXAMPLE: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n— witness.example.com/w1 jWbPPwAAAABkGFDLEZMHwSRaJNiIDoe9DYn/zXcrtPHeolMI5OWXEhZCB9dlrDJsX3b2oyin1nPZqhf5nNo0xUe+mbIUBkBIfZ+qnA==\n";

    fn signer(name: &str, seed: u8) -> WitnessSigner {
        WitnessSigner::new(name.parse().unwrap(), &[seed; 32])
    }

    fn cosigned(signers: &[&WitnessSigner]) -> Note {
        let note = Note::parse(EXAMPLE.as_bytes()).unwrap();
        let lines: String =
            signers.iter().map(|signer| signer.cosign(note.text(), 1_679_315_147).to_string()).collect();
        Note::parse(format!("{EXAMPLE}{lines}").as_bytes()).unwrap()
    }

    #[test]
    fn the_example_of_the_specification_has_the_form_of_ours() {
        let note = Note::parse(EXAMPLE.as_bytes()).unwrap();
        let line = note.signatures().last().unwrap();
        assert_eq!((line.name.as_str(), line.bytes.len()), ("witness.example.com/w1", SIGNATURE_BYTES));
        // It was made at the time that the specification names.
        assert_eq!(line.bytes.first_chunk::<8>(), Some(&1_679_315_147_u64.to_be_bytes()));
        assert_eq!(
            message(note.text(), 1_679_315_147),
            "cosignature/v1\ntime 1679315147\nexample.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
        );
    }

    #[test]
    fn enough_witnesses_count_each_once_and_a_false_line_spoils_the_note() {
        let (one, two, three) = (signer("w.example/1", 1), signer("w.example/2", 2), signer("w.example/3", 3));
        let keys = || vec![one.witness(), two.witness(), three.witness()];
        let two_of_three = Witnesses::new(keys(), Some(2)).unwrap();
        let found = two_of_three.check(&cosigned(&[&one, &three])).unwrap();
        assert_eq!(
            found.iter().map(|cosigned| cosigned.witness.as_str()).collect::<Vec<_>>(),
            ["w.example/1", "w.example/3"]
        );
        assert_eq!(found.first().unwrap().at.to_string(), "2023-03-20T12:25:47.000000Z");
        let error = two_of_three.check(&cosigned(&[&two, &two])).unwrap_err().to_string();
        assert_eq!(error, "1 of the 3 witnesses cosigned it, and 2 must have; missing: w.example/1, w.example/3");
        let all = Witnesses::new(keys(), None).unwrap();
        assert!(all.check(&cosigned(&[&one, &two])).is_err());
        all.check(&cosigned(&[&one, &two, &three])).unwrap();
        // A line that says it is of a witness, by another key with its name and id, is false, however many others are true.
        let mut forged = three.cosign("another text\n", 1);
        forged.bytes.truncate(SIGNATURE_BYTES);
        let note =
            format!("{EXAMPLE}{}{}{forged}", one.cosign(cosigned(&[]).text(), 1), two.cosign(cosigned(&[]).text(), 1));
        let error = two_of_three.check(&Note::parse(note.as_bytes()).unwrap()).unwrap_err();
        assert!(matches!(error, CosignedError::False(NoteError::FalseSignature { .. })), "{error}");
        for (keys, need, want) in [
            (vec![one.witness(), one.witness()], None, "is there twice"),
            // Another name for the same key is no second witness.
            (vec![one.witness(), signer("w.example/other", 1).witness()], Some(1), "is there twice"),
            (keys(), Some(4), "from 1 to 3"),
            (keys(), Some(0), "from 1 to 3"),
            (vec![], Some(1), "of 0 witnesses 1"),
            ((0..17).map(|seed| signer("w.example/n", seed).witness()).collect(), None, "above the limit"),
        ] {
            let error = Witnesses::new(keys, need).unwrap_err().to_string();
            assert!(error.contains(want), "{error}");
        }
        assert!(Witnesses::new(vec![], None).unwrap().check(&cosigned(&[])).unwrap().is_empty());
    }

    #[test]
    fn keys_of_logs_are_none_of_witnesses_and_private_keys_stay_private() {
        let one = signer("w.example/1", 1);
        let vkey = one.witness().to_string();
        assert_eq!(vkey.parse::<WitnessKey>().unwrap(), one.witness());
        let error = vkey.parse::<crate::checkpoint::VerifierKey>().unwrap_err().to_string();
        assert!(error.contains("of type 1"), "{error}");
        let read = WitnessSigner::read(&one.secret()).unwrap();
        assert_eq!(read.witness(), one.witness());
        for text in ["", "PRIVATE+KEY+a+b", &one.secret().replace("w.example/1", "w.example/2"), &vkey] {
            let error = WitnessSigner::read(text).err().unwrap().to_string();
            assert!(!error.contains("AQEB"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn an_altered_cosignature_is_no_cosignature(seconds in 0_u64..4_000_000_000, at in any::<prop::sample::Index>(), flip in 1_u8..=255) {
            let (one, note) = (signer("w.example/1", 1), cosigned(&[]));
            let mut line = one.cosign(note.text(), seconds);
            let with = |line: &NoteSignature| Note::parse(format!("{EXAMPLE}{line}").as_bytes()).unwrap();
            prop_assert_eq!(one.witness().verify(&with(&line)).unwrap().micros(), i64::try_from(seconds).unwrap() * 1_000_000);
            let at = at.index(line.bytes.len());
            *line.bytes.get_mut(at).unwrap() ^= flip;
            prop_assert!(one.witness().verify(&with(&line)).is_err());
        }
    }
}
