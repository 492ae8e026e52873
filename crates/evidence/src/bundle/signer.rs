//! Who signed what a record says with a key of their own.

use crate::approvals;
use crate::exceptions;
use crate::record::{Body, Record};

/// A person's signature in a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signer<'r> {
    /// Who.
    pub person: &'r str,
    /// Which of their keys.
    pub key: &'r str,
    /// The signature, in base64.
    pub signature: &'r str,
    /// What was signed.
    pub statement: Vec<u8>,
}

/// Whose signature a record has; `None` where it has none.
#[must_use]
pub fn signer(record: &Record) -> Option<Signer<'_>> {
    match &record.body {
        Body::Approval(approval) => {
            let review = approval.review.as_ref()?;
            let statement =
                approvals::statement(approval.approval, &approval.call_sha256, &approval.gates_sha256, review);
            let (key, signature) = (review.key.as_deref()?, review.signature.as_deref()?);
            Some(Signer { person: &review.reviewer, key, signature, statement })
        }
        Body::Exception(exception) => {
            let signed = exception.signed.as_ref()?;
            let statement = exceptions::statement(exception, &signed.nonce, signed.signed_at);
            let person = exception.who.as_deref().unwrap_or_default();
            Some(Signer { person, key: &signed.key, signature: &signed.signature, statement })
        }
        Body::Access(_)
        | Body::Action(_)
        | Body::Decision(_)
        | Body::Ledger(_)
        | Body::Request(_)
        | Body::Version(_) => None,
    }
}
