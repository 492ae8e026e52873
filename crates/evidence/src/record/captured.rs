//! What was kept of a call's content, and who opened it.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::body::words;

words! {
    /// What of a call may be kept.
    Content {
        /// The exact bytes of the arguments that the tool got.
        Arguments = "arguments",
        /// The exact bytes of the result that the agent got, where that is not what the tool returned.
        Delivered = "delivered",
        /// The exact bytes of the result that the tool returned.
        Result = "result",
    }
}

words! {
    /// How much of a content is kept. The strictest comes first.
    Capture {
        /// Nothing but its digest.
        Digest = "digest",
        /// What is left without the values of some classes.
        Redacted = "redacted",
        /// All of it.
        Sealed = "sealed",
    }
}

words! {
    /// Why nothing is kept.
    Unkept {
        /// It could not be written.
        NotKept = "not_kept",
        /// Values could not be taken out of it.
        NotRedactable = "not_redactable",
        /// The organisation has nothing kept of content like this.
        Rule = "rule",
        /// It is larger than what is kept.
        TooLarge = "too_large",
    }
}

words! {
    /// How records were looked at, other than by an export.
    Look {
        /// They were backed up, with all of the home.
        Backup = "backup",
        /// They were counted.
        Counts = "counts",
        /// They were shown.
        Records = "records",
        /// They were asked in SQL.
        Sql = "sql",
        /// Audit tests were asked of them.
        Tests = "tests",
    }
}

/// What was done with one content. Where something is kept, the record has a link whose `rel` is the content's word.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Captured {
    /// The kinds of data that were found in it, sorted.
    pub classes: Vec<Arc<str>>,
    /// Which.
    pub content: Content,
    /// How much of it is kept.
    pub mode: Capture,
    /// Why nothing is; only with the mode `digest`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Unkept>,
}

/// Somebody opened what is kept of a call, exported records, or looked at them.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceAccess {
    /// Through what: `api` or `cli`.
    pub channel: String,
    /// Which records were exported or looked at, as a filter; absent where content of a call was opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// How records were looked at; absent where they were exported, or content was opened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub look: Option<Look>,
    /// Who.
    pub who: String,
    /// Why.
    pub why: String,
}
