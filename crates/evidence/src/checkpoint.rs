//! What is signed: checkpoints (C2SP tlog-checkpoint) as signed notes (C2SP signed-note) with Ed25519.
//!
//! Reading is strict and bounded; signatures of unknown keys are ignored, as the specification wants, so that keys can rotate and witnesses can cosign.
//! Start at [`Checkpoint::sign`] and [`Checkpoint::open`]. Extension lines are refused: our logs write none and nothing could audit them.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use sha2::{Digest, Sha256};

use crate::leaf::Hash;
use crate::limits::{KEY_NAME_BYTES_MAX, NOTE_BYTES_MAX, NOTE_SIGNATURES_MAX};

/// The signature type of plain Ed25519 (signed-note, section "Signature types").
const ED25519: u8 = 1;

/// What a signature line starts with: an em dash and a space.
const SIGNATURE_MARK: &str = "\u{2014} ";

/// The name of a key, and of the log that signs with it; a URL without a scheme, e.g. `countersign.example/ledger`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(Arc<str>);

/// Why a text is not a key name.
#[derive(Debug, thiserror::Error)]
#[error("`{text}` is not a key name: want 1 to {KEY_NAME_BYTES_MAX} bytes without spaces, `+` and control characters")]
pub struct KeyNameError {
    text: String,
}

impl KeyName {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyName {
    type Err = KeyNameError;

    fn from_str(text: &str) -> Result<Self, KeyNameError> {
        let refused = |c: char| c.is_whitespace() || c.is_control() || c == '+';
        if text.is_empty() || text.len() > KEY_NAME_BYTES_MAX || text.contains(refused) {
            return Err(KeyNameError { text: text.chars().take(64).collect() });
        }
        Ok(Self(text.into()))
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// The short identifier of a key: the start of `SHA-256(name || 0x0A || type || key)`.
pub type KeyId = [u8; 4];

/// A public key that notes are verified with; its text form is the `vkey` of other tools: `name+id+base64`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifierKey {
    name: KeyName,
    key: VerifyingKey,
}

/// Why a text is not a verifier key.
#[derive(Debug, thiserror::Error)]
pub enum VerifierKeyError {
    /// It has not three parts, or a part is badly spelled.
    #[error("verifier key is not of the form name+8 hexadecimal digits+base64")]
    Form,
    /// The name cannot be one.
    #[error(transparent)]
    Name(#[from] KeyNameError),
    /// It is a key of another type.
    #[error("verifier key `{name}` is not an Ed25519 key of type {want} (1 is a log's, 4 is a witness's)")]
    Algorithm {
        /// The key's name.
        name: KeyName,
        /// The type that it should have.
        want: u8,
    },
    /// The id does not fit the name and key.
    #[error("verifier key `{name}` has the id {found}, but its name and key give {want}")]
    Id {
        /// The key's name.
        name: KeyName,
        /// The id in the text.
        found: String,
        /// The id that it should have.
        want: String,
    },
}

impl VerifierKey {
    /// The key under a name.
    #[must_use]
    pub const fn new(name: KeyName, key: VerifyingKey) -> Self {
        Self { name, key }
    }

    /// The key's name.
    #[must_use]
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// The key's id.
    #[must_use]
    pub fn id(&self) -> KeyId {
        key_id(&self.name, ED25519, &self.key)
    }

    /// Whether the key signed `text`.
    pub(crate) fn has_signed(&self, text: &[u8], signature: &Signature) -> bool {
        self.key.verify_strict(text, signature).is_ok()
    }
}

/// The id of a key of a type.
pub(crate) fn key_id(name: &KeyName, algorithm: u8, key: &VerifyingKey) -> KeyId {
    let digest =
        Sha256::new().chain_update(name.as_str()).chain_update([b'\n', algorithm]).chain_update(key.as_bytes());
    let [a, b, c, d, ..]: Hash = digest.finalize().into();
    [a, b, c, d]
}

/// The `vkey` of a key of a type.
pub(crate) fn write_vkey(name: &KeyName, algorithm: u8, key: &VerifyingKey) -> String {
    let mut typed = vec![algorithm];
    typed.extend_from_slice(key.as_bytes());
    format!("{name}+{}+{}", hex::encode(key_id(name, algorithm, key)), BASE64.encode(typed))
}

/// Reads the `vkey` of an Ed25519 key of a type.
pub(crate) fn read_vkey(text: &str, algorithm: u8) -> Result<(KeyName, VerifyingKey), VerifierKeyError> {
    let mut parts = text.splitn(3, '+');
    let (Some(name), Some(id), Some(typed)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(VerifierKeyError::Form);
    };
    let name: KeyName = name.parse()?;
    if id.len() != 8 || !id.bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(VerifierKeyError::Form);
    }
    let typed = BASE64.decode(typed).map_err(|_| VerifierKeyError::Form)?;
    let key = match typed.split_first() {
        Some((found, key)) if *found == algorithm => {
            <&[u8; 32]>::try_from(key).ok().and_then(|key| VerifyingKey::from_bytes(key).ok())
        }
        _ => None,
    };
    let Some(key) = key else { return Err(VerifierKeyError::Algorithm { name, want: algorithm }) };
    let want = hex::encode(key_id(&name, algorithm, &key));
    if want != id {
        return Err(VerifierKeyError::Id { name, found: id.into(), want });
    }
    Ok((name, key))
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&write_vkey(&self.name, ED25519, &self.key))
    }
}

impl FromStr for VerifierKey {
    type Err = VerifierKeyError;

    fn from_str(text: &str) -> Result<Self, VerifierKeyError> {
        let (name, key) = read_vkey(text, ED25519)?;
        Ok(Self { name, key })
    }
}

/// One signature line of a note.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoteSignature {
    /// The key's name.
    pub name: KeyName,
    /// The key's id.
    pub id: KeyId,
    /// The signature, by the key's algorithm.
    pub bytes: Vec<u8>,
}

/// A signed note, not yet verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Note {
    text: String,
    signatures: Vec<NoteSignature>,
}

/// Why bytes are not a note, or why a note is not to be trusted.
#[derive(Debug, thiserror::Error)]
pub enum NoteError {
    /// Too many bytes.
    #[error("the note has {found} bytes, above the limit of {NOTE_BYTES_MAX}")]
    TooLong {
        /// Its size.
        found: usize,
    },
    /// Too many signature lines.
    #[error("the note has more than {NOTE_SIGNATURES_MAX} signatures")]
    TooManySignatures,
    /// Not UTF-8, or a control character other than newline.
    #[error("the note is not plain text at byte {at}")]
    NotText {
        /// Where.
        at: usize,
    },
    /// No text, blank line and signature lines.
    #[error("the note has no text that ends in a newline, blank line and signatures")]
    Form,
    /// A line among the signatures that is none.
    #[error("signature line {line} of the note is not an em dash, a name and base64")]
    SignatureLine {
        /// Which, from 1.
        line: usize,
    },
    /// No signature of the key that is trusted.
    #[error("the note has no signature by `{name}` ({id})")]
    NotSigned {
        /// The key's name.
        name: KeyName,
        /// The key's id.
        id: String,
    },
    /// A signature of the key that is trusted is false.
    #[error("the note's signature by `{name}` ({id}) is false")]
    FalseSignature {
        /// The key's name.
        name: KeyName,
        /// The key's id.
        id: String,
    },
}

/// Signs `text`, which must end in a newline and hold no other control characters; returns the whole note.
fn sign_text(text: &str, key: &SigningKey, name: &KeyName) -> String {
    format!("{text}\n{}", signed_line(text, key, name))
}

/// The signature line of a text.
fn signed_line(text: &str, key: &SigningKey, name: &KeyName) -> NoteSignature {
    let id = key_id(name, ED25519, &key.verifying_key());
    NoteSignature { name: name.clone(), id, bytes: key.sign(text.as_bytes()).to_bytes().to_vec() }
}

impl fmt::Display for NoteSignature {
    /// The whole line, with its newline.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = [self.id.as_slice(), self.bytes.as_slice()].concat();
        writeln!(f, "{SIGNATURE_MARK}{} {}", self.name, BASE64.encode(line))
    }
}

impl Note {
    /// Reads a note. Nothing is verified yet.
    ///
    /// # Errors
    /// [`NoteError`] if the bytes are not a note.
    pub fn parse(bytes: &[u8]) -> Result<Self, NoteError> {
        if bytes.len() > NOTE_BYTES_MAX {
            return Err(NoteError::TooLong { found: bytes.len() });
        }
        let note = std::str::from_utf8(bytes).map_err(|error| NoteError::NotText { at: error.valid_up_to() })?;
        if let Some(at) = note.bytes().position(|c| c < b' ' && c != b'\n') {
            return Err(NoteError::NotText { at });
        }
        let (text, lines) = note.rsplit_once("\n\n").ok_or(NoteError::Form)?;
        let lines = lines.strip_suffix('\n').ok_or(NoteError::Form)?;
        let mut signatures = Vec::new();
        for (line, signature) in (1..).zip(lines.split('\n')) {
            if line > NOTE_SIGNATURES_MAX {
                return Err(NoteError::TooManySignatures);
            }
            signatures.push(signature_line(signature).ok_or(NoteError::SignatureLine { line })?);
        }
        Ok(Self { text: format!("{text}\n"), signatures })
    }

    /// The text, with its last newline. Trust it only after [`Self::verify`].
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// All signatures, of known and unknown keys.
    #[must_use]
    pub fn signatures(&self) -> &[NoteSignature] {
        &self.signatures
    }

    /// The note with only those signatures that are to stay; `None` where that is none.
    #[must_use]
    pub fn with_only(&self, stays: impl Fn(&NoteSignature) -> bool) -> Option<String> {
        let lines: String =
            self.signatures.iter().filter(|signature| stays(signature)).map(ToString::to_string).collect();
        if lines.is_empty() { None } else { Some(format!("{}\n{lines}", self.text)) }
    }

    /// Verifies that `key` has signed the text. Signatures of other keys are ignored.
    ///
    /// # Errors
    /// [`NoteError::NotSigned`] or [`NoteError::FalseSignature`].
    pub fn verify(&self, key: &VerifierKey) -> Result<(), NoteError> {
        let id = key.id();
        let mut signed = false;
        for signature in self.signatures.iter().filter(|signature| signature.name == key.name && signature.id == id) {
            Signature::from_slice(&signature.bytes)
                .and_then(|signature| key.key.verify_strict(self.text.as_bytes(), &signature))
                .map_err(|_| NoteError::FalseSignature { name: key.name.clone(), id: hex::encode(id) })?;
            signed = true;
        }
        if signed { Ok(()) } else { Err(NoteError::NotSigned { name: key.name.clone(), id: hex::encode(id) }) }
    }
}

fn signature_line(line: &str) -> Option<NoteSignature> {
    let (name, base64) = line.strip_prefix(SIGNATURE_MARK)?.split_once(' ')?;
    let bytes = BASE64.decode(base64).ok()?;
    let (id, bytes) = bytes.split_first_chunk::<4>()?;
    if bytes.is_empty() {
        return None;
    }
    Some(NoteSignature { name: name.parse().ok()?, id: *id, bytes: bytes.to_vec() })
}

/// The head of a log at one size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log.
    pub origin: KeyName,
    /// The number of leaves.
    pub size: u64,
    /// The root of the tree of that size.
    pub root: Hash,
}

/// Why a text is not a checkpoint, or a checkpoint is not to be trusted.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The signed note around it is bad.
    #[error(transparent)]
    Note(#[from] NoteError),
    /// Not exactly three lines.
    #[error("a checkpoint has three lines: origin, size and root")]
    Lines,
    /// The origin cannot be one.
    #[error("checkpoint origin")]
    Origin(#[from] KeyNameError),
    /// The size is not a plain decimal number.
    #[error("the checkpoint's size `{text}` is not a plain decimal number")]
    Size {
        /// What is there.
        text: String,
    },
    /// The root is not 32 bytes in base64.
    #[error("the checkpoint's root is not 32 bytes in base64")]
    Root,
    /// The checkpoint is of another log than the key.
    #[error("the checkpoint is of `{found}`, not of `{want}`")]
    OtherLog {
        /// The origin in the checkpoint.
        found: KeyName,
        /// The name of the key.
        want: KeyName,
    },
}

impl Checkpoint {
    /// The note text: origin, size and root, each on a line.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{}\n{}\n{}\n", self.origin, self.size, BASE64.encode(self.root))
    }

    /// Reads a note text. Only the one spelling that [`Self::text`] gives is accepted.
    ///
    /// # Errors
    /// [`CheckpointError`] says which line is wrong.
    pub fn parse(text: &str) -> Result<Self, CheckpointError> {
        let lines: Vec<_> = text.splitn(5, '\n').collect();
        let [origin, size, root, ""] = lines.as_slice() else { return Err(CheckpointError::Lines) };
        let bad_size = || CheckpointError::Size { text: size.chars().take(32).collect() };
        let number: u64 = size.parse().map_err(|_| bad_size())?;
        if number.to_string() != *size {
            return Err(bad_size());
        }
        let root = BASE64.decode(root).ok().and_then(|root| root.try_into().ok()).ok_or(CheckpointError::Root)?;
        Ok(Self { origin: origin.parse()?, size: number, root })
    }

    /// The signed note of this checkpoint, signed with `key` under `name`: the log's own key has the origin as its name.
    #[must_use]
    pub fn sign(&self, key: &SigningKey, name: &KeyName) -> String {
        sign_text(&self.text(), key, name)
    }

    /// The same, signed by two keys of the log: the one that ends, and the one that begins.
    #[must_use]
    pub fn sign_by_both(&self, old: &SigningKey, new: &SigningKey, name: &KeyName) -> String {
        format!("{}{}", self.sign(old, name), signed_line(&self.text(), new, name))
    }

    /// Reads a signed checkpoint of the log whose key this is, and verifies it.
    ///
    /// # Errors
    /// [`CheckpointError`] if it is no checkpoint, of another log, or not signed by `key`.
    pub fn open(note: &[u8], key: &VerifierKey) -> Result<Self, CheckpointError> {
        let note = Note::parse(note)?;
        note.verify(key)?;
        let checkpoint = Self::parse(note.text())?;
        if checkpoint.origin != key.name {
            return Err(CheckpointError::OtherLog { found: checkpoint.origin, want: key.name.clone() });
        }
        Ok(checkpoint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The key and notes of the reference implementation of signed notes (golang.org/x/mod/sumdb/note).
    const VKEY: &str = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    const SKEY_BASE64: &str = "AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz";
    const TEXT: &str =
        "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n";
    const PETER: &str =
        "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n";
    const ENOCH_VKEY: &str = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop";
    const ENOCH: &str =
        "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n";
    /// The example of C2SP tlog-checkpoint.
    const SOFA: &str = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n";

    fn peter() -> SigningKey {
        let typed = BASE64.decode(SKEY_BASE64).unwrap();
        SigningKey::from_bytes(typed[1..].try_into().unwrap())
    }

    fn name(text: &str) -> KeyName {
        text.parse().unwrap()
    }

    #[test]
    fn the_reference_key_signs_the_reference_note() {
        let verifier: VerifierKey = VKEY.parse().unwrap();
        assert_eq!(verifier.to_string(), VKEY);
        assert_eq!(VerifierKey::new(name("PeterNeumann"), peter().verifying_key()), verifier);
        assert_eq!(sign_text(TEXT, &peter(), verifier.name()), format!("{TEXT}\n{PETER}"));
    }

    #[test]
    fn reference_notes_verify_and_unknown_signatures_are_ignored() {
        let (peter, enoch): (VerifierKey, VerifierKey) = (VKEY.parse().unwrap(), ENOCH_VKEY.parse().unwrap());
        let both = Note::parse(format!("{TEXT}\n{PETER}{ENOCH}").as_bytes()).unwrap();
        assert_eq!((both.text(), both.signatures().len()), (TEXT, 2));
        both.verify(&peter).unwrap();
        both.verify(&enoch).unwrap();
        let one = Note::parse(format!("{TEXT}\n{PETER}").as_bytes()).unwrap();
        assert!(matches!(one.verify(&enoch), Err(NoteError::NotSigned { .. })));
        // A false signature by a known key spoils the note, even beside a true one.
        let other = PETER.replace("x08go/ZJ", "x08go/ZK");
        let false_too = Note::parse(format!("{TEXT}\n{PETER}{other}").as_bytes()).unwrap();
        assert!(matches!(false_too.verify(&peter), Err(NoteError::FalseSignature { .. })));
        let changed = Note::parse(format!("{}\n{PETER}", TEXT.replace("think", "thank")).as_bytes()).unwrap();
        assert!(matches!(changed.verify(&peter), Err(NoteError::FalseSignature { .. })));
    }

    #[test]
    fn mangled_verifier_keys_are_refused() {
        for start in 0..VKEY.len() {
            for end in start..=VKEY.len() {
                let part = VKEY.get(start..end).unwrap();
                assert!(part == VKEY || part.parse::<VerifierKey>().is_err(), "{part}");
            }
        }
        for at in 0..VKEY.len() {
            let mut mangled = VKEY.as_bytes().to_vec();
            mangled[at] += 1;
            assert!(std::str::from_utf8(&mangled).unwrap().parse::<VerifierKey>().is_err());
        }
        for text in [
            "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
            "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
            "PeterNeumann+C74F20A3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        ] {
            assert!(text.parse::<VerifierKey>().is_err(), "{text}");
        }
    }

    #[test]
    fn malformed_notes_are_refused() {
        let long = format!("{TEXT}\n{}", PETER.repeat(NOTE_SIGNATURES_MAX + 1));
        let huge = format!("{}\n{PETER}", "a\n".repeat(NOTE_BYTES_MAX / 2));
        for (note, want) in [
            (TEXT.to_owned(), "no text"),
            (format!("{TEXT}\n"), "no text"),
            (format!("{TEXT}\n{}", PETER.trim_end()), "no text"),
            (format!("\x01{TEXT}\n{PETER}"), "byte 0"),
            (format!("{TEXT}\r\n{PETER}"), "not plain text"),
            (format!("{TEXT}\n{}", PETER.replace("PeterNeumann", "Bad Name")), "signature line 1"),
            (format!("{TEXT}\n{PETER}Unexpected line.\n"), "signature line 2"),
            (format!("{TEXT}\n{}", PETER.replace("JnAM=", "JnAM")), "signature line 1"),
            (format!("{TEXT}\n{}", PETER.replace("JnAM=", "JnAN=")), "signature line 1"),
            (format!("{TEXT}\n— PeterNeumann x08gow==\n"), "signature line 1"),
            (long, "more than 64"),
            (huge, "above the limit"),
        ] {
            let error = Note::parse(note.as_bytes()).unwrap_err().to_string();
            assert!(error.contains(want), "{error}: {want}");
        }
        assert!(Note::parse(b"\xff\n\n").is_err());
        Note::parse(format!("{TEXT}\n{}", PETER.repeat(NOTE_SIGNATURES_MAX)).as_bytes()).unwrap();
        // The text ends at the last blank line.
        assert_eq!(Note::parse(format!("a\n\nb\n\n{PETER}").as_bytes()).unwrap().text(), "a\n\nb\n");
    }

    #[test]
    fn the_example_of_the_specification_reads() {
        let note = Note::parse(SOFA.as_bytes()).unwrap();
        let checkpoint = Checkpoint::parse(note.text()).unwrap();
        assert_eq!((checkpoint.origin.as_str(), checkpoint.size), ("example.com/behind-the-sofa", 20_852_163));
        assert_eq!(checkpoint.text(), note.text());
        let signature = &note.signatures()[0];
        assert_eq!((signature.name.as_str(), signature.bytes.len()), ("example.com/behind-the-sofa", 64));
    }

    #[test]
    fn checkpoints_in_another_spelling_are_refused() {
        let root = BASE64.encode([7; 32]);
        let good = format!("log.example\n12\n{root}\n");
        Checkpoint::parse(&good).unwrap();
        for (text, want) in [
            (good.replace("12", "012"), "plain decimal"),
            (good.replace("12", "+12"), "plain decimal"),
            (good.replace("12", "-1"), "plain decimal"),
            (good.replace("12", ""), "plain decimal"),
            (good.replace("12", "18446744073709551616"), "plain decimal"),
            (good.replace(&root, "AAAA"), "32 bytes"),
            (good.replace('=', ""), "32 bytes"),
            (good.replace("log.example", "log example"), "origin"),
            (good.replace("log.example", ""), "origin"),
            (format!("{good}more\n"), "three lines"),
            (format!("{good}\n"), "three lines"),
            (good.trim_end().to_owned(), "three lines"),
            (String::new(), "three lines"),
        ] {
            let error = Checkpoint::parse(&text).unwrap_err().to_string();
            assert!(error.contains(want), "{text:?} {error}");
        }
    }

    #[test]
    fn a_checkpoint_of_another_log_or_key_is_refused() {
        let (ours, key) = (name("log.example"), peter());
        let verifier = VerifierKey::new(ours.clone(), key.verifying_key());
        let checkpoint = Checkpoint { origin: ours.clone(), size: 3, root: [3; 32] };
        let note = checkpoint.sign(&key, &ours);
        assert_eq!(Checkpoint::open(note.as_bytes(), &verifier).unwrap(), checkpoint);

        let foreign = Checkpoint { origin: name("other.example"), ..checkpoint.clone() };
        let error = Checkpoint::open(foreign.sign(&key, &ours).as_bytes(), &verifier).unwrap_err();
        assert!(matches!(error, CheckpointError::OtherLog { .. }));
        let error = Checkpoint::open(checkpoint.sign(&key, &name("other.example")).as_bytes(), &verifier).unwrap_err();
        assert!(matches!(error, CheckpointError::Note(NoteError::NotSigned { .. })));
        let thief = SigningKey::from_bytes(&[9; 32]);
        let error = Checkpoint::open(checkpoint.sign(&thief, &ours).as_bytes(), &verifier).unwrap_err();
        assert!(matches!(error, CheckpointError::Note(NoteError::NotSigned { .. })));
    }

    proptest! {
        #[test]
        fn signed_checkpoints_open_and_altered_ones_do_not(size: u64, root: [u8; 32], seed: [u8; 32], at in any::<prop::sample::Index>(), flip in 1_u8..128) {
            let (origin, key) = (name("log.example/a"), SigningKey::from_bytes(&seed));
            let verifier = VerifierKey::new(origin.clone(), key.verifying_key());
            prop_assert_eq!(&verifier.to_string().parse::<VerifierKey>().unwrap(), &verifier);
            let checkpoint = Checkpoint { origin: origin.clone(), size, root };
            let mut note = checkpoint.sign(&key, &origin).into_bytes();
            prop_assert_eq!(&Checkpoint::open(&note, &verifier).unwrap(), &checkpoint);
            let at = at.index(note.len());
            note[at] ^= flip;
            prop_assert!(Checkpoint::open(&note, &verifier).is_err());
        }

        #[test]
        fn hostile_notes_do_not_panic(bytes: Vec<u8>, text: String) {
            let _ = Note::parse(&bytes);
            let _ = Note::parse(format!("{text}\n\n— {text} {text}\n").as_bytes());
            let _ = Checkpoint::parse(&text);
            let _ = text.parse::<VerifierKey>();
        }
    }
}
