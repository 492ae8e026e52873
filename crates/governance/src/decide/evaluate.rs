//! Decides one call.

use std::sync::Arc;

use evidence::record::{Effect, EffectClass, Policy};
use evidence::time::Timestamp;

use super::{Decision, PolicySnapshot};
use crate::classify::Classified;
use crate::reason::Reason;

/// Decides.
#[must_use]
pub fn decide(_classified: &Classified, policy: &PolicySnapshot, _at: Timestamp) -> Decision {
    Decision {
        effect: Effect::Deny,
        effect_class: EffectClass::Unconfirmed,
        policy: Policy { mission_sha256: policy.mission().sha256().clone(), slice_sha256: None },
        reasons: vec![Reason::ToolNotAllowed],
        rules: Vec::new(),
        sentence: Arc::from("denied"),
        said_to_agent: Arc::from("denied"),
    }
}
