//! Compiles a mission to Cedar.

use std::sync::Arc;

use evidence::record::Tool;

pub use crate::mission::Feature;
use crate::mission::{Mission, Plan};

/// Why a mission did not compile.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {}

/// A compiled mission.
#[derive(Debug)]
pub struct PolicySnapshot {
    mission: Arc<Mission>,
}

/// Compiles `mission`.
///
/// # Errors
/// [`CompileError`].
pub fn compile(mission: Arc<Mission>) -> Result<PolicySnapshot, CompileError> {
    Ok(PolicySnapshot { mission })
}

impl PolicySnapshot {
    /// The mission.
    #[must_use]
    pub const fn mission(&self) -> &Arc<Mission> {
        &self.mission
    }

    /// Which facts the rules for `tool` need; `None` where they need none.
    #[must_use]
    pub fn plan(&self, _tool: &Tool) -> Option<&Plan> {
        None
    }

    /// Whether `tool` is in the lists that the agent sees.
    #[must_use]
    pub fn shows(&self, _tool: &Tool) -> bool {
        false
    }

    /// Whether some resource of the URI template could be allowed.
    #[must_use]
    pub fn shows_template(&self, _upstream: &str, _uri_template: &str) -> bool {
        false
    }

    /// Whether `upstream` may send requests of this kind to the client.
    #[must_use]
    pub fn offers(&self, _upstream: &str, _feature: Feature) -> bool {
        false
    }

    /// The upstreams that the mission allows anything of, sorted.
    pub fn upstreams(&self) -> impl Iterator<Item = &Arc<str>> {
        self.mission.upstreams()
    }

    /// The policy for `tool`, as Cedar text.
    #[must_use]
    pub fn cedar(&self, _tool: &Tool) -> String {
        String::new()
    }
}
