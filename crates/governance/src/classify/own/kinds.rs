//! The names of own classes as kinds of findings. Findings refer to them for as long as the process lives: each name is kept once and for good, and their number is bounded.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::classify::detect::{Class, Kind};
use crate::limits::OWN_NAMES_MAX;

static KINDS: Mutex<BTreeMap<&'static str, &'static Kind>> = Mutex::new(BTreeMap::new());

/// The kind of the own class `name`; nothing where there were too many others.
pub(super) fn kind(name: &str) -> Option<&'static Kind> {
    let mut kinds = KINDS.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(kind) = kinds.get(name) {
        return Some(kind);
    }
    if kinds.len() >= OWN_NAMES_MAX {
        return None;
    }
    let name: &'static str = Box::leak(Box::from(name));
    let kind: &'static Kind = Box::leak(Box::new(Kind { class: Class::Org, name }));
    kinds.insert(name, kind);
    Some(kind)
}
