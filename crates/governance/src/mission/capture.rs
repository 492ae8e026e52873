//! `[capture]` of an organisation: how much of the content of calls is kept, by what is found in it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use evidence::record::Capture;

use super::data::{UNCLASSIFIED, class_of};

/// How much of the content of calls is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaptureRules {
    /// By class or kind.
    pub(crate) classes: BTreeMap<Arc<str>, Capture>,
    /// Of content in which nothing was found, and of what has no line.
    pub(crate) default: Capture,
    /// The own classes that it speaks of, each with a line that does.
    pub(crate) own: Vec<(Arc<str>, u32)>,
    /// The group whose members may open it through the API.
    pub(crate) readers: Option<Arc<str>>,
}

impl CaptureRules {
    /// Without a section: nothing is kept.
    pub(crate) const fn nothing() -> Self {
        Self { classes: BTreeMap::new(), default: Capture::Digest, own: Vec::new(), readers: None }
    }

    /// Whether anything is kept of any content.
    #[must_use]
    pub fn keeps(&self) -> bool {
        self.default != Capture::Digest || self.classes.values().any(|capture| *capture != Capture::Digest)
    }

    /// The names of own classes that it speaks of, each with a line that does.
    pub fn own_classes(&self) -> impl Iterator<Item = (&str, u32)> {
        self.own.iter().map(|(name, line)| (&**name, *line))
    }

    /// The group whose members may open what is kept through the API.
    #[must_use]
    pub const fn readers(&self) -> Option<&Arc<str>> {
        self.readers.as_ref()
    }

    /// What is kept of content in which nothing was found.
    pub(crate) const fn of_plain(&self) -> Capture {
        self.default
    }

    /// What is kept of content that holds a kind, as in `pii.email`, or what is unclassified.
    ///
    /// INVARIANT (secrets-are-said): without a line of their own secrets are never kept, and what cannot be taken out of a content is kept only where everything is.
    pub(crate) fn of(&self, label: &str) -> Capture {
        let class = class_of(label).unwrap_or(label);
        let said = self.classes.get(label).or_else(|| self.classes.get(class)).copied();
        said.unwrap_or(match (class, self.default) {
            ("secret", default) => default.min(Capture::Redacted),
            (UNCLASSIFIED, Capture::Redacted) => Capture::Digest,
            (_, default) => default,
        })
    }

    /// What changed against `old`, a sentence each.
    pub(crate) fn changes(&self, old: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        if old.default != self.default {
            changes.push(format!("of the content of calls {} (was: {})", kept(self.default), kept(old.default)));
        }
        for class in old.classes.keys().chain(self.classes.keys()).collect::<BTreeSet<_>>() {
            let (before, after) = (old.of(class), self.of(class));
            if before != after {
                changes.push(format!("of content with `{class}` {} (was: {})", kept(after), kept(before)));
            }
        }
        match (&old.readers, &self.readers) {
            (before, after) if before == after => {}
            (_, Some(group)) => changes.push(format!("group `{group}` may open what is kept, through the API")),
            (_, None) => changes.push("nobody may open what is kept through the API".to_owned()),
        }
        changes
    }
}

/// What is kept, to follow of what.
const fn kept(capture: Capture) -> &'static str {
    match capture {
        Capture::Digest => "nothing is kept",
        Capture::Redacted => "is kept what is left without it",
        Capture::Sealed => "everything is kept",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_goes_before_its_class_and_secrets_are_kept_only_where_it_says_so() {
        use Capture::{Digest, Redacted, Sealed};
        let rules = |default, lines: &[(&str, Capture)]| CaptureRules {
            classes: lines.iter().map(|(class, capture)| ((*class).into(), *capture)).collect(),
            default,
            own: Vec::new(),
            readers: None,
        };
        for (default, lines, label, want) in [
            (Sealed, vec![("pii", Redacted), ("pii.email", Sealed)], "pii.email", Sealed),
            (Sealed, vec![("pii", Redacted), ("pii.email", Sealed)], "pii.phone", Redacted),
            (Sealed, vec![], "financial.iban", Sealed),
            (Sealed, vec![], "secret.password", Redacted),
            (Sealed, vec![("secret", Sealed)], "secret.password", Sealed),
            (Redacted, vec![], "secret.password", Redacted),
            (Digest, vec![], "secret.password", Digest),
            (Sealed, vec![], "unclassified", Sealed),
            (Redacted, vec![], "unclassified", Digest),
            (Digest, vec![("unclassified", Sealed)], "unclassified", Sealed),
            (Digest, vec![("org.customer", Redacted)], "org.customer", Redacted),
        ] {
            assert_eq!(rules(default, &lines).of(label), want, "{default} {lines:?} {label}");
        }
        assert!(!rules(Digest, &[("pii", Digest)]).keeps() && rules(Digest, &[("pii", Redacted)]).keeps());
    }
}
