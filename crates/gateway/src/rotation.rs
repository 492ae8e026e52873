//! Rotation of the log's key: recorded by the gateway, done by the ledger with the next checkpoint.

use evidence::checkpoint::VerifierKey;
use evidence::record::Context;
use governance::limits::SENTENCE_BYTES_MAX;
use store::ledger::IdentityError;
use tokio::time::timeout;

use crate::Gateway;
use crate::clock::random;
use crate::limits::START_WAIT;

/// Why the log's key is not changed.
#[derive(Debug, thiserror::Error)]
pub enum RotateError {
    /// A key of the home cannot be read or made.
    #[error("the log's keys: {0}")]
    Key(#[from] IdentityError),
    /// The reason is missing or too long.
    #[error("say why, in at most {SENTENCE_BYTES_MAX} bytes: it is recorded")]
    Unfit,
    /// It is recorded, and the log is not signed by the new key yet.
    #[error(
        "it is recorded as record {seq}, and the log is not signed by the new key yet: {trouble}; `countersign verify --ledger` says more"
    )]
    Unfinished {
        /// The record.
        seq: u64,
        /// What keeps it.
        trouble: String,
    },
    /// It could not be recorded.
    #[error(transparent)]
    Unrecorded(#[from] store::AppendError),
}

impl Gateway {
    /// The key that will sign the log next; made where there is none yet.
    ///
    /// # Errors
    /// [`RotateError::Key`].
    pub fn next_log_key(&self) -> Result<VerifierKey, RotateError> {
        Ok(self.ledger.next_key(&seed())?)
    }

    /// Has the next key sign the log from the next checkpoint on; gives it once that is so.
    ///
    /// # Errors
    /// [`RotateError`]; after [`RotateError::Unrecorded`] nobody knows.
    pub async fn rotate_log_key(&self, who: &str, why: &str) -> Result<VerifierKey, RotateError> {
        if why.trim().is_empty() || why.len() > SENTENCE_BYTES_MAX {
            return Err(RotateError::Unfit);
        }
        let _one_at_a_time = self.changing.lock().await;
        let seed = seed();
        let key = self.ledger.next_key(&seed)?;
        let rotation = self.ledger.rotation(&seed, who, why)?;
        // CRASH: the next opening hands the log over, once it meets the record.
        let receipt = self.note(Context::system().into(), rotation).await?;
        match timeout(START_WAIT, self.ledger.signed(receipt.seq)).await {
            Ok(()) => Ok(key),
            Err(_elapsed) => {
                let trouble = self.ledger.lag().trouble.map_or_else(|| "it is late".to_owned(), |why| why.to_string());
                Err(RotateError::Unfinished { seq: receipt.seq, trouble })
            }
        }
    }
}

fn seed() -> [u8; 32] {
    let mut seed = [0; 32];
    random(&mut seed);
    seed
}
