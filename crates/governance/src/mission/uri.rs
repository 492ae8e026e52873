//! When a wildcard may be compared with a resource's URI.

use super::spelling::{ambiguity, encodes_structure, is_dots};

/// Whether every reader takes `uri` for the same resource, as far as spelling goes: no dot segments, nothing encoded that has meaning, nothing invisible.
/// Only such a URI may match a wildcard; without one, patterns compare exactly.
pub(crate) fn is_plain(uri: &str) -> bool {
    ambiguity(uri).is_none()
        && !uri.contains(['\\', ' '])
        && !encodes_structure(uri)
        && !uri.split(['/', '?', '#', '&', '=', ';']).any(is_dots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_unambiguous_uris_are_plain() {
        for uri in [
            "file:///srv/docs/a.txt",
            "invoice://7",
            "file:///srv/a..b",
            "https://corp.example/a?b=c%20d#e",
            "memo:ünïcode",
        ] {
            assert!(is_plain(uri), "{uri}");
        }
        for uri in [
            "file:///srv/../etc/passwd",
            "file:///srv/./a",
            "file:///srv/%2e%2e/etc",
            "file:///srv/%2E./etc",
            "file:///srv%2f..",
            "file:///srv/a%5cb",
            "file:///srv/%252e%252e/etc",
            "file:///srv/a%00",
            "file:///srv\\..\\etc",
            "file:///srv/a b",
            "file:///srv/a\n",
            "file:///srv/..",
            "file:///srv/a?path=../etc",
            "file:///srv/\u{ff0e}\u{ff0e}/etc",
            "file:///srv/.\u{200b}./etc",
            "file:///srv/..;/etc",
        ] {
            assert!(!is_plain(uri), "{uri}");
        }
    }
}
