//! Notes, checkpoints, keys, proofs, handovers and what witnesses are sent have one spelling each, and a key vouches for no text but the one that it signed.
#![no_main]

use evidence::checkpoint::{Checkpoint, Note, VerifierKey};
use evidence::cosignature::WitnessKey;
use evidence::limits::NOTE_SIGNATURES_MAX;
use evidence::proof::Proof;
use evidence::rotation::Handover;
use evidence::witness::{Submission, Verdict, judge};
use libfuzzer_sys::fuzz_target;

/// The frozen log's key, and the only note that it ever signed.
const KEY: &str = include_str!("../../corpus/evidence/v1/log/vkey");
const SIGNED: &str = include_str!("../../corpus/evidence/v1/log/checkpoint");

fuzz_target!(|bytes: &[u8]| {
    let key: VerifierKey = KEY.trim_end().parse().expect("the frozen key");
    if let Ok(note) = Note::parse(bytes) {
        check_parts(&note, bytes);
        if note.verify(&key).is_ok() {
            assert!(SIGNED.starts_with(&format!("{}\n", note.text())), "{note:?}");
        }
        check_checkpoint(note.text());
    }
    if let Ok(checkpoint) = Checkpoint::open(bytes, &key) {
        assert!(SIGNED.starts_with(&checkpoint.text()), "{checkpoint:?}");
    }
    if let Ok(proof) = Proof::parse(bytes) {
        // No entry of the frozen log is empty.
        assert!(proof.verify(b"", &key).is_err(), "{proof:?}");
        let again = Proof::parse(proof.to_string().as_bytes());
        assert!(std::str::from_utf8(&proof.checkpoint).is_err() || again.is_ok_and(|again| again == proof));
    }
    if let Ok(submission) = Submission::parse(bytes) {
        assert_eq!(submission.body(), bytes);
        if let Ok((note, checkpoint)) = submission.checkpoint() {
            let keys = [key.clone()];
            let verdict = judge(&submission, &note, &checkpoint, &keys, None);
            assert!(verdict != Verdict::Cosign || SIGNED.starts_with(&checkpoint.text()), "{checkpoint:?}");
        }
    }
    if let Ok(handover) = Handover::parse(bytes) {
        assert_eq!(handover.to_string().as_bytes(), bytes);
    }
    if let Ok(text) = std::str::from_utf8(bytes) {
        check_checkpoint(text);
        if let Ok(key) = text.parse::<WitnessKey>() {
            assert_eq!(key.to_string(), text);
        }
        if let Ok(key) = text.parse::<VerifierKey>() {
            assert_eq!(key.to_string(), text);
        }
    }
});

/// The note is its text, a blank line, and a line for each signature that names its key.
fn check_parts(note: &Note, bytes: &[u8]) {
    let whole = std::str::from_utf8(bytes).expect("a note is text");
    let lines = whole.strip_prefix(note.text()).and_then(|rest| rest.strip_prefix('\n')).expect("a note has its text");
    assert!(note.text().ends_with('\n') && lines.ends_with('\n'));
    assert_eq!(lines.lines().count(), note.signatures().len());
    assert!((1..=NOTE_SIGNATURES_MAX).contains(&note.signatures().len()));
    for (line, signature) in lines.lines().zip(note.signatures()) {
        assert!(line.starts_with(&format!("\u{2014} {} ", signature.name)) && !signature.bytes.is_empty());
    }
}

fn check_checkpoint(text: &str) {
    if let Ok(checkpoint) = Checkpoint::parse(text) {
        assert_eq!(checkpoint.text(), text);
    }
}
