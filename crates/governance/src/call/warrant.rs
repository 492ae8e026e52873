//! The right to execute one call once.

use bytes::Bytes;
use evidence::ids::{ApprovalId, CallId};
use evidence::record::{Receipt, Tool};

use crate::intercept::Intercepted;

/// The right to execute one call once: it cannot be copied, kept or made up, and execution consumes it.
///
/// INVARIANT (warrant-after-intent): the only constructor is visible to `call` alone, which uses it in one place, on the receipt of the intent.
#[derive(Debug)]
#[must_use = "a warrant that is dropped leaves its call without an outcome"]
pub struct Warrant {
    approval: Option<ApprovalId>,
    args_sha256: String,
    call: CallId,
    intent: Receipt,
    sent: Option<Bytes>,
    tool: Tool,
}

impl Warrant {
    pub(super) fn mint(intercepted: &Intercepted, intent: Receipt, approval: Option<ApprovalId>) -> Self {
        Self {
            approval,
            args_sha256: intercepted.args_sha256().to_owned(),
            call: intercepted.call(),
            intent,
            sent: intercepted.sent_sha256().map(|_| intercepted.sent().clone()),
            tool: intercepted.tool().clone(),
        }
    }

    /// The approval that it uses. What people approved goes on when its client leaves.
    #[must_use]
    pub const fn approval(&self) -> Option<ApprovalId> {
        self.approval
    }

    /// Digest of the only arguments it is good for, as the agent sent them.
    #[must_use]
    pub fn args_sha256(&self) -> &str {
        &self.args_sha256
    }

    /// The only call it is good for.
    #[must_use]
    pub const fn call(&self) -> CallId {
        self.call
    }

    /// The receipt of the durable intent.
    #[must_use]
    pub const fn intent(&self) -> Receipt {
        self.intent
    }

    /// The arguments that the tool gets in the place of those that the agent sent; `None` where they are the same.
    #[must_use]
    pub const fn sent(&self) -> Option<&Bytes> {
        self.sent.as_ref()
    }

    /// The only tool it is good for.
    #[must_use]
    pub const fn tool(&self) -> &Tool {
        &self.tool
    }
}
