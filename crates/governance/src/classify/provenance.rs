//! Argument provenance: for what a call acts on, who named it in this run.
//!
//! [`Seen`] is what a run has seen: the initiator's words, what the agent sent, what tools returned; as keyed hashes, never as values. What is trusted is exact: a
//! whole value, in a field that only its service writes, that was not seen elsewhere or sent before. What is not trusted is found again in any spelling. Only the
//! initiator's words and trusted values ever make an origin better. Nothing is decided here; what a mission trusts is [`Trust`], what it traces [`Targets`].
//!
//! Not seen: what is in pictures and other binary content, what is encoded more than once, and what a model says in other words. Such a value has no known origin.

mod arguments;
mod endorsed;
mod initiator;
mod leaves;
mod notes;
mod results;
mod select;
mod spelling;
mod store;
#[cfg(test)]
mod tests;

use evidence::record::{TargetOrigin, Tool};

use crate::limits::RESULT_BYTES_MAX;
use crate::mission::{Targets, Trust};
pub use endorsed::Endorsed;
pub use store::Key;
use store::Store;

/// What a run has seen.
#[derive(Clone, Debug)]
pub struct Seen {
    store: Store,
}

impl Seen {
    /// Nothing yet.
    #[must_use]
    pub fn new(key: &Key) -> Self {
        Self { store: Store::new(key) }
    }

    /// Takes the initiator's words, at the start of the run.
    pub fn initiator(&mut self, words: &str) {
        self.store.hear(words);
    }

    /// Takes the arguments of a call, after its decision and before it is executed; of every call. What cannot be read may hide what it says: that is a gap.
    pub fn sent(&mut self, arguments: &[u8]) {
        if !arguments.is_empty() && !arguments::send(&mut self.store, arguments) {
            self.store.mark_gap();
        }
    }

    /// Takes the exact bytes of what `tool` returned to a call with `arguments`, before the agent has them; empty where it was no call.
    pub fn returned(&mut self, tool: &Tool, trust: &Trust, arguments: &[u8], result: &[u8]) {
        if result.len() > RESULT_BYTES_MAX {
            return self.store.mark_gap();
        }
        let is_asked = !arguments.is_empty() && select::is_asked(&self.store, arguments);
        results::Harvest::new(&mut self.store, tool, trust, is_asked).take(result);
    }

    /// Who named the values of each argument that `targets` has traced, sorted by argument: the worst origin, and where that value was seen first. Of arguments that
    /// cannot be read or are too many, one unknown target under the empty name.
    #[must_use]
    pub fn trace(&self, arguments: &[u8], targets: &Targets) -> Vec<TargetOrigin> {
        self.trace_beside(arguments, targets, &[])
    }

    /// The same, where people have endorsed values.
    #[must_use]
    pub fn trace_beside(&self, arguments: &[u8], targets: &Targets, endorsed: &[Endorsed]) -> Vec<TargetOrigin> {
        arguments::trace(&self.store, arguments, targets, endorsed)
    }

    /// What was added since the last time, to be appended to the run's file before anything that it was added for goes on; nothing where nothing was added.
    #[must_use]
    pub fn news(&mut self) -> Vec<u8> {
        self.store.news()
    }

    /// What the run's file has. Where it is torn or another's, what follows is lost, and nothing more becomes trusted in this run.
    ///
    /// A file that ends too early between two pieces of news does not show that: who cannot rule it out says [`Self::mark_gap`].
    #[must_use]
    pub fn load(key: &Key, file: &[u8]) -> Self {
        Self { store: Store::load(key, file) }
    }

    /// Something that was seen may be lost: nothing more becomes trusted in this run.
    pub fn mark_gap(&mut self) {
        self.store.mark_gap();
    }

    /// Whether something was not seen or not kept, so that nothing more becomes trusted.
    #[must_use]
    pub const fn has_gap(&self) -> bool {
        self.store.has_gap()
    }

    /// How many hashes are kept, of at most [`crate::limits::SEEN_VALUES_MAX`].
    #[must_use]
    pub fn len(&self) -> usize {
        self.store.len()
    }

    /// Whether nothing was seen yet.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.store.len() == 0
    }
}
