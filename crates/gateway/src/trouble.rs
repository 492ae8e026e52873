//! What happened to the ledger while it could not say so itself: evidence could not be written, or it was restored from a backup. It is told beside the ledger, and in the ledger at the next
//! opening.

use std::fs;
use std::path::PathBuf;

use evidence::record::{Context, ExceptionKind, ExceptionRecord};
use governance::limits::SENTENCE_BYTES_MAX;

use crate::clock::now;
use crate::{Gateway, Readiness};

/// Where a restored home says so until it is recorded.
pub(crate) const RESTORED: &str = "ledger/restored";

impl Gateway {
    /// Records that the home was restored from a backup, if whoever restored it wrote that down.
    pub async fn tell_restored(&self) {
        let path = self.home.path().join(RESTORED);
        let Ok(text) = fs::read(&path) else { return };
        let text: String = String::from_utf8_lossy(&text).chars().take(SENTENCE_BYTES_MAX / 4).collect();
        let body = self.opening(ExceptionKind::Ledger, "ledger".to_owned(), text, now());
        match self.note(Context::system().into(), body).await {
            Ok(_) => {
                // CRASH: told twice is better than not at all.
                if let Err(error) = fs::remove_file(&path) {
                    tracing::error!(%error, "the note about the backup could not be removed; it is told again at the next start");
                }
            }
            Err(error) => tracing::error!(%error, "that the home was restored could not be recorded"),
        }
    }

    fn trouble(&self) -> PathBuf {
        self.home.path().join("ledger/trouble")
    }

    /// Writes down that evidence cannot be written, where that is so and nobody has: on a full disk it may not be possible, and then only the log tells.
    pub fn note_trouble(&self) {
        let Readiness::Degraded(why) = self.readiness() else { return };
        let path = self.trouble();
        if !path.exists()
            && let Err(error) = fs::write(&path, format!("{} {why}", now()))
        {
            tracing::warn!(%error, why, "that evidence cannot be written could not be written down either");
        }
    }

    /// Records that an earlier process could not write evidence, if it wrote that down.
    pub async fn tell_trouble(&self) {
        let path = self.trouble();
        let Ok(text) = fs::read(&path) else { return };
        let text: String = String::from_utf8_lossy(&text).chars().take(SENTENCE_BYTES_MAX / 4).collect();
        let at = now();
        let body = ExceptionRecord {
            mitigation: Some("no call ran while evidence could not be written".to_owned()),
            ..self.opening(
                ExceptionKind::Ledger,
                "ledger".to_owned(),
                format!("evidence could not be written from {text} on, until the gateway was started again"),
                at,
            )
        };
        match self.note(Context::system().into(), body).await {
            Ok(_) => {
                // CRASH: told twice is better than not at all.
                if let Err(error) = fs::remove_file(&path) {
                    tracing::error!(%error, "the note about the ledger could not be removed; it is told again at the next start");
                }
            }
            Err(error) => tracing::error!(%error, "the ledger's trouble could not be recorded"),
        }
    }
}
