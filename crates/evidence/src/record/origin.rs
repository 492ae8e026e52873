//! Who named the values that a call acts on.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::body::words;

words! {
    /// Who named a value that a call acts on: from the best to the worst.
    Origin {
        /// The mission lists exactly this value.
        Mission = "mission",
        /// The words that the run was started with contain it.
        Initiator = "initiator",
        /// People said that exactly this value is good there, for a time.
        Endorsed = "endorsed",
        /// The same as the next, and the words that the run was started with say which one is meant.
        Selected = "selected",
        /// An earlier result of the run has it as a whole value, in a field that only its service writes, and it was not seen elsewhere before.
        Trusted = "trusted",
        /// Other results of the run have it.
        Untrusted = "untrusted",
        /// No result had it before the agent itself sent it.
        Sent = "sent",
        /// Nothing in the run has it.
        Unknown = "unknown",
    }
}

words! {
    /// What a traced argument is.
    TargetRole {
        /// Content, of which the links are traced.
        Payload = "payload",
        /// What the call acts on, or where it goes.
        Target = "target",
    }
}

/// Who named what one argument holds: the worst origin over its values. Never a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetOrigin {
    /// The argument, as rules name it.
    pub argument: Arc<str>,
    /// Who named it.
    pub origin: Origin,
    /// What it is.
    pub role: TargetRole,
    /// Where the value was first seen, `mcp:mail/read_mail:body`; by which approval it is endorsed, by whom and until when. Where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Arc<str>>,
}
