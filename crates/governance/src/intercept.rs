//! Who asked for what: one call in its exact bytes, before anything has judged it.
//!
//! Surfaces build an [`Intercepted`] from their protocol; nothing later looks at the protocol again. It does not parse arguments: that is for classify.

use std::sync::Arc;

use bytes::Bytes;
use evidence::ids::CallId;
use evidence::leaf::sha256_hex;
use evidence::record::{Context, Tool};

/// One call as it arrived.
#[derive(Clone, Debug)]
pub struct Intercepted {
    /// The exact bytes of the arguments: a JSON object, or empty where none were sent.
    arguments: Bytes,
    args_sha256: String,
    call: CallId,
    context: Arc<Context>,
    tool: Tool,
    trace: Option<Arc<str>>,
}

impl Intercepted {
    /// Takes a call whose `arguments` have passed the surface's strict reader: one JSON object without duplicate keys, or empty.
    #[must_use]
    pub fn new(call: CallId, context: Arc<Context>, tool: Tool, arguments: Bytes, trace: Option<Arc<str>>) -> Self {
        let args_sha256 = sha256_hex(&arguments);
        Self { arguments, args_sha256, call, context, tool, trace }
    }

    /// The exact bytes of the arguments; empty where none were sent.
    #[must_use]
    pub fn arguments(&self) -> &[u8] {
        &self.arguments
    }

    /// SHA-256 of [`Self::arguments`], lower-case hexadecimal.
    #[must_use]
    pub fn args_sha256(&self) -> &str {
        &self.args_sha256
    }

    /// The call's identity.
    #[must_use]
    pub const fn call(&self) -> CallId {
        self.call
    }

    /// Who acts for whom, in which run of which mission.
    #[must_use]
    pub const fn context(&self) -> &Arc<Context> {
        &self.context
    }

    /// What is to be used.
    #[must_use]
    pub const fn tool(&self) -> &Tool {
        &self.tool
    }

    /// The trace id that the agent sent.
    #[must_use]
    pub const fn trace(&self) -> Option<&Arc<str>> {
        self.trace.as_ref()
    }
}
