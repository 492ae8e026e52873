//! What came back from the tool, and whether it may go on to the agent.

use bytes::Bytes;
use evidence::leaf::sha256_hex;
use evidence::record::{Reported, Status};

use crate::limits::RESULT_BYTES_MAX;
use crate::reason::Reason;

/// How an execution went on, as the surface saw it.
#[derive(Clone, Debug)]
pub enum Execution {
    /// It ended.
    Ended(Outcome),
    /// The upstream made a task of it, which goes on.
    Task(Created),
}

/// An upstream's answer that it has made a task of a call, whose outcome is still to come.
#[derive(Clone, Debug)]
pub struct Created {
    /// The exact bytes to hand to the agent.
    pub payload: Bytes,
    /// The exact bytes of the result inside the payload.
    pub result: Bytes,
}

/// How an execution ended, as the surface saw it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The upstream's own reference for what it did.
    pub external_reference: Option<String>,
    /// The exact bytes to hand to the agent; `None` where there was no answer.
    pub payload: Option<Bytes>,
    /// Why, where the status is not `done`.
    pub reason: Option<Reason>,
    /// Who said so, where nobody here saw it.
    pub reported: Option<Reported>,
    /// The exact bytes of the result or error inside the payload: what the record's digest covers.
    pub result: Option<Bytes>,
    /// What became of it.
    pub status: Status,
}

impl Outcome {
    /// An execution without an answer.
    #[must_use]
    pub const fn without_answer(status: Status, reason: Reason) -> Self {
        Self { external_reference: None, payload: None, reason: Some(reason), reported: None, result: None, status }
    }

    /// SHA-256 of the result's exact bytes, and their count.
    #[must_use]
    pub fn digest(&self) -> Option<(String, u64)> {
        self.result.as_ref().map(|result| (sha256_hex(result), result.len() as u64))
    }
}

/// The release decision on a result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// The result goes on as it came.
    Pass,
    /// The result stays here.
    Withhold(Reason),
}

/// Decides whether `result` may go on to the agent.
#[must_use]
pub fn release(result: Option<&Bytes>) -> Release {
    match result {
        Some(result) if result.len() > RESULT_BYTES_MAX => Release::Withhold(Reason::ResultTooLarge),
        _ => Release::Pass,
    }
}
