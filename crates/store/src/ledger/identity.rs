//! Who this ledger is: the emitter's name, the origin of its checkpoints and the key that signs them. Made once, with the first opening.

use std::io;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use ed25519_dalek::SigningKey;
use evidence::checkpoint::{KeyName, VerifierKey};
use evidence::limits::HANDOVERS_MAX;
use evidence::rotation::{HANDOVER_BYTES_MAX, Handover, KeyChain};

use crate::limits::{EMITTER_BYTES_MAX, ORIGIN_BYTES_MAX};
use crate::ports::{Audience, Disk, Durability, Entropy, read_file, replace_file};

/// The emitter's name and the origin, one line each.
pub(crate) const ORIGIN: &str = "ledger/origin";

/// The signing key, as a signed-note private key (`PRIVATE+KEY+name+id+key`).
pub(crate) const SIGNING_KEY: &str = "keys/log.ed25519";

/// The public key, as a signed-note verifier key: what an auditor needs.
pub(crate) const VERIFIER_KEY: &str = "keys/log.vkey";

/// The next signing key, made before it is used, so that its public one can be told to whoever must know it.
pub(crate) const NEXT_KEY: &str = "keys/log.next";

/// Where each key but the last ended, a file each by the number of the record that names the next.
pub(crate) const HANDOVERS: &str = "ledger/handovers";

/// The public keys of the witnesses that the gateway asks, a `vkey` line each.
pub(crate) const WITNESS_KEYS: &str = "keys/witnesses.vkeys";

const FILE_BYTES_MAX: usize = 4_096;

/// The names and keys of one log.
pub(crate) struct Identity {
    pub(crate) emitter: Arc<str>,
    pub(crate) origin: KeyName,
    pub(crate) key: SigningKey,
}

/// Why a home does not say who its ledger is.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// A file cannot be read or made.
    #[error("`{file}`: {source}")]
    Io {
        /// The file.
        file: &'static str,
        /// Why.
        source: io::Error,
    },
    /// A file holds something else.
    #[error("`{file}`: {what}; put back the file from a backup")]
    Malformed {
        /// The file.
        file: &'static str,
        /// What is wrong with it.
        what: String,
    },
}

impl Identity {
    pub(crate) fn verifier(&self) -> VerifierKey {
        VerifierKey::new(self.origin.clone(), self.key.verifying_key())
    }

    /// Reads the identity, or makes one where there is none yet. The origin comes last, so a home with an origin has its keys.
    pub(crate) fn read_or_make(disk: &dyn Disk, entropy: &mut dyn Entropy) -> Result<Self, IdentityError> {
        match read_origin(disk)? {
            Some((emitter, origin)) => {
                let key = read_key(disk, SIGNING_KEY, &origin)?;
                let identity = Self { emitter, origin, key };
                identity.mend_verifier(disk)?;
                Ok(identity)
            }
            None => Self::make(disk, entropy),
        }
    }

    /// Whether its key is the newest of the log, or about to hand over to it: a process may have died before it took that.
    pub(crate) fn is_newest(&self, disk: &dyn Disk, keys: &KeyChain) -> Result<bool, IdentityError> {
        let verifier = self.verifier();
        if verifier == *keys.last() {
            return Ok(true);
        }
        let is_last_but_one = keys.handovers().last().is_some_and(|last| last.keys.old == verifier);
        let next = read_next(disk, &self.origin)?;
        let next = next.map(|next| VerifierKey::new(self.origin.clone(), next.verifying_key()));
        Ok(is_last_but_one && next.as_ref() == Some(keys.last()))
    }

    /// Writes the public key again where a process died between taking a new key and writing that: only a key to which the log was handed over.
    fn mend_verifier(&self, disk: &dyn Disk) -> Result<(), IdentityError> {
        let verifier = self.verifier();
        if read_verifier(disk).is_ok_and(|found| found == verifier) {
            return Ok(());
        }
        match read_handovers(disk)?.last() {
            Some(last) if last.keys.new == verifier => write_verifier(disk, &verifier),
            _ => Ok(()),
        }
    }

    fn make(disk: &dyn Disk, entropy: &mut dyn Entropy) -> Result<Self, IdentityError> {
        let (mut name, mut seed) = ([0; 8], [0; 32]);
        let filled = entropy.fill(&mut name).and_then(|()| entropy.fill(&mut seed));
        filled.map_err(|source| IdentityError::Io { file: ORIGIN, source })?;
        let emitter: Arc<str> = format!("cs-{}", hex::encode(name)).into();
        let origin = key_name(&format!("countersign.local/{emitter}"))?;
        let identity = Self { emitter, origin, key: SigningKey::from_bytes(&seed) };
        let verifier = identity.verifier();
        let signing = secret(&identity.key, &verifier);
        let write = |file, text: String, audience| {
            let written = replace_file(disk, file, text.as_bytes(), audience, Durability::Synced);
            written.map_err(|source| IdentityError::Io { file, source })
        };
        write(SIGNING_KEY, signing, Audience::Owner)?;
        write(VERIFIER_KEY, format!("{verifier}\n"), Audience::Home)?;
        // CRASH: keys without an origin sign nothing; the next opening makes new ones.
        write(ORIGIN, format!("{}\n{}\n", identity.emitter, identity.origin), Audience::Home)?;
        Ok(identity)
    }
}

/// The text of a signing key.
fn secret(key: &SigningKey, verifier: &VerifierKey) -> String {
    let typed = [[ED25519].as_slice(), key.to_bytes().as_slice()].concat();
    format!("PRIVATE+KEY+{}+{}+{}\n", verifier.name(), hex::encode(verifier.id()), BASE64.encode(typed))
}

/// The next signing key, where one was made.
pub(crate) fn read_next(disk: &dyn Disk, origin: &KeyName) -> Result<Option<SigningKey>, IdentityError> {
    match read_key(disk, NEXT_KEY, origin) {
        Err(IdentityError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        other => other.map(Some),
    }
}

/// The signing key as the home has it.
pub(crate) fn read_signing(disk: &dyn Disk, origin: &KeyName) -> Result<SigningKey, IdentityError> {
    read_key(disk, SIGNING_KEY, origin)
}

/// The next signing key; made of `seed` where there is none yet.
pub(crate) fn next_or_make(disk: &dyn Disk, origin: &KeyName, seed: &[u8; 32]) -> Result<SigningKey, IdentityError> {
    if let Some(next) = read_next(disk, origin)? {
        return Ok(next);
    }
    let key = SigningKey::from_bytes(seed);
    let text = secret(&key, &VerifierKey::new(origin.clone(), key.verifying_key()));
    let written = replace_file(disk, NEXT_KEY, text.as_bytes(), Audience::Owner, Durability::Synced);
    written.map_err(|source| IdentityError::Io { file: NEXT_KEY, source })?;
    Ok(key)
}

/// Makes the next signing key the one that signs; the one before is gone.
pub(crate) fn take_next(disk: &dyn Disk, verifier: &VerifierKey) -> Result<(), IdentityError> {
    let io = |file| move |source| IdentityError::Io { file, source };
    match disk.rename(NEXT_KEY, SIGNING_KEY) {
        // It was taken, and what follows failed.
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        other => other.map_err(io(SIGNING_KEY))?,
    }
    disk.sync_dir("keys").map_err(io(SIGNING_KEY))?;
    // CRASH: the new key signs, and the old one is told; the next opening writes the new one there.
    write_verifier(disk, verifier)
}

fn write_verifier(disk: &dyn Disk, verifier: &VerifierKey) -> Result<(), IdentityError> {
    let text = format!("{verifier}\n");
    let written = replace_file(disk, VERIFIER_KEY, text.as_bytes(), Audience::Home, Durability::Synced);
    written.map_err(|source| IdentityError::Io { file: VERIFIER_KEY, source })
}

/// The keys of the log, one after the other, as the home has them for auditors.
pub(crate) fn read_keys(disk: &dyn Disk) -> Result<KeyChain, IdentityError> {
    let key = read_verifier(disk)?;
    let chained = KeyChain::of(key, read_handovers(disk)?);
    chained.map_err(|error| IdentityError::Malformed { file: HANDOVERS, what: error.to_string() })
}

/// Where each key but the last ended, in order.
fn read_handovers(disk: &dyn Disk) -> Result<Vec<Handover>, IdentityError> {
    let io = |source| IdentityError::Io { file: HANDOVERS, source };
    let mut seqs: Vec<u64> = disk.list(HANDOVERS).map_err(io)?.iter().filter_map(|name| name.parse().ok()).collect();
    seqs.sort_unstable();
    let mut handovers = Vec::new();
    for seq in seqs.into_iter().take(HANDOVERS_MAX + 1) {
        let malformed = |what: String| IdentityError::Malformed { file: HANDOVERS, what: format!("`{seq}`: {what}") };
        let bytes = read_file(disk, &format!("{HANDOVERS}/{seq}"), HANDOVER_BYTES_MAX).map_err(io)?;
        let handover = Handover::parse(&bytes).map_err(|error| malformed(error.to_string()))?;
        if handover.seq != seq {
            return Err(malformed(format!("it is that of record {}", handover.seq)));
        }
        handovers.push(handover);
    }
    Ok(handovers)
}

/// Keeps where a key ended, durably.
pub(crate) fn keep_handover(disk: &dyn Disk, handover: &Handover) -> io::Result<()> {
    disk.create_dir(HANDOVERS)?;
    disk.sync_dir("ledger")?;
    let (file, text) = (format!("{HANDOVERS}/{}", handover.seq), handover.to_string());
    replace_file(disk, &file, text.as_bytes(), Audience::Home, Durability::Synced)
}

/// The signature type of plain Ed25519 (C2SP signed-note).
const ED25519: u8 = 1;

/// The emitter and the origin; `None` in a home that has no ledger yet.
pub(crate) fn read_origin(disk: &dyn Disk) -> Result<Option<(Arc<str>, KeyName)>, IdentityError> {
    let bytes = match read_file(disk, ORIGIN, FILE_BYTES_MAX) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(|source| IdentityError::Io { file: ORIGIN, source })?,
    };
    let malformed = || IdentityError::Malformed { file: ORIGIN, what: "not an emitter and an origin".into() };
    let text = std::str::from_utf8(&bytes).map_err(|_| malformed())?;
    let (emitter, origin) = text.strip_suffix('\n').and_then(|text| text.split_once('\n')).ok_or_else(malformed)?;
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if emitter.is_empty()
        || emitter.len() > EMITTER_BYTES_MAX
        || origin.len() > ORIGIN_BYTES_MAX
        || !emitter.chars().all(plain)
    {
        return Err(malformed());
    }
    Ok(Some((emitter.into(), key_name(origin)?)))
}

/// The public key, as the home has it for auditors.
pub(crate) fn read_verifier(disk: &dyn Disk) -> Result<VerifierKey, IdentityError> {
    let text = read_text(disk, VERIFIER_KEY)?;
    let malformed = |what: String| IdentityError::Malformed { file: VERIFIER_KEY, what };
    let line = text.strip_suffix('\n').ok_or_else(|| malformed("not one line".into()))?;
    line.parse().map_err(|error: evidence::checkpoint::VerifierKeyError| malformed(error.to_string()))
}

fn read_key(disk: &dyn Disk, file: &'static str, origin: &KeyName) -> Result<SigningKey, IdentityError> {
    let text = read_text(disk, file)?;
    // The key itself stays out of every message.
    let malformed = |what: &str| IdentityError::Malformed { file, what: what.to_owned() };
    let rest =
        text.trim_end().strip_prefix("PRIVATE+KEY+").ok_or_else(|| malformed("not a signed-note private key"))?;
    let mut parts = rest.splitn(3, '+');
    let (Some(name), Some(id), Some(key)) = (parts.next(), parts.next(), parts.next()) else {
        return Err(malformed("not a signed-note private key"));
    };
    let typed = BASE64.decode(key).map_err(|_| malformed("its key is not base64"))?;
    let seed = match typed.split_first() {
        Some((&ED25519, seed)) => seed.first_chunk::<32>().filter(|_| seed.len() == 32),
        _ => None,
    };
    let key = SigningKey::from_bytes(seed.ok_or_else(|| malformed("not an Ed25519 key"))?);
    let verifier = VerifierKey::new(origin.clone(), key.verifying_key());
    if name != origin.as_str() || id != hex::encode(verifier.id()) {
        return Err(malformed("it belongs to another log than `ledger/origin` names"));
    }
    Ok(key)
}

fn read_text(disk: &dyn Disk, file: &'static str) -> Result<String, IdentityError> {
    let bytes = read_file(disk, file, FILE_BYTES_MAX).map_err(|source| IdentityError::Io { file, source })?;
    String::from_utf8(bytes).map_err(|_| IdentityError::Malformed { file, what: "not text".into() })
}

fn key_name(text: &str) -> Result<KeyName, IdentityError> {
    text.parse().map_err(|error: evidence::checkpoint::KeyNameError| IdentityError::Malformed {
        file: ORIGIN,
        what: error.to_string(),
    })
}
