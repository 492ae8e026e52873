//! Values that people have endorsed: exact, as what follows from it is trust.

use std::sync::Arc;

use super::spelling::{compact, normal};
use crate::mission::hides;

/// A value that is good in one argument, whoever named it.
#[derive(Clone, Debug)]
pub struct Endorsed {
    argument: Arc<str>,
    /// Without the spaces between its groups, of an identifier.
    compact: Option<String>,
    normal: String,
    /// Who says so, for the record.
    source: Arc<str>,
}

impl Endorsed {
    /// The value of `argument`, as rules name it, by the approval and persons of `source`.
    #[must_use]
    pub fn new(argument: Arc<str>, value: &str, source: Arc<str>) -> Self {
        let normal = normal(value).into_owned();
        let compact = compact(&normal).map(std::borrow::Cow::into_owned);
        Self { argument, compact, normal, source }
    }

    /// Whether it is this value of this argument: in its one spelling, or as an identifier with other spaces.
    pub(super) fn is(&self, argument: &str, value: &str) -> bool {
        if *self.argument != *argument || hides(value) {
            return false;
        }
        let normal = normal(value);
        *normal == *self.normal
            || self.compact.as_deref().is_some_and(|known| compact(&normal).as_deref() == Some(known))
    }

    pub(super) const fn source(&self) -> &Arc<str> {
        &self.source
    }
}
