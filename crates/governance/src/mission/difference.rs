//! What changed between two versions of a mission, in sentences.

use super::Mission;

/// What `new` changes against `old`, in plain sentences; against nothing, all that it allows.
#[must_use]
pub fn difference(old: Option<&Mission>, new: &Mission) -> Vec<String> {
    let _ = (old, new);
    Vec::new()
}
