//! Absolute paths in one spelling, so that "under this folder" is a comparison of texts.
//!
//! Purely lexical: it does not look at the disk, so links inside an allowed folder are the upstream's business. Whatever two programs may read differently is
//! refused.

use super::spelling::{ambiguity, encodes_structure, is_dots};

/// The one spelling of an absolute path: no empty segments, no `.`, no slash at the end. The error says why there is none.
pub(crate) fn normal_path(text: &str) -> Result<String, &'static str> {
    if let Some(why) = ambiguity(text) {
        return Err(why);
    }
    if text.starts_with('~') || text.contains("/~") {
        return Err("a home folder (`~`)");
    }
    if text.contains("://") || text.starts_with("file:") {
        return Err("a URL instead of a path");
    }
    if text.contains('\\') {
        return Err("a backslash");
    }
    if !text.starts_with('/') {
        return Err("not an absolute path");
    }
    // POSIX leaves the meaning of exactly two leading slashes open, and Windows reads them as the name of a machine.
    if text.starts_with("//") {
        return Err("two slashes at the start");
    }
    if encodes_structure(text) {
        return Err("percent-encoded path punctuation");
    }
    let mut normal = String::with_capacity(text.len());
    for segment in text.split('/').filter(|segment| !segment.is_empty() && *segment != ".") {
        // With links, `a/..` need not be the folder that holds `a`.
        if is_dots(segment) {
            return Err("a `..` segment");
        }
        normal.push('/');
        normal.push_str(segment);
    }
    // Of what is compared, not of what was sent: a slash after the quote is taken away.
    if normal.ends_with(|last: char| last.is_whitespace() || matches!(last, '"' | '\'' | '`')) {
        return Err("a space or quote at the end");
    }
    if normal.is_empty() {
        normal.push('/');
    }
    Ok(normal)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn paths_have_one_spelling() {
        for (text, normal) in [
            ("/", "/"),
            ("/.", "/"),
            ("/srv/docs", "/srv/docs"),
            ("/srv/docs/", "/srv/docs"),
            ("/srv//docs///a.txt", "/srv/docs/a.txt"),
            ("/srv/./docs/./a", "/srv/docs/a"),
            ("/srv/docs/.hidden", "/srv/docs/.hidden"),
            ("/srv/docs/a..b", "/srv/docs/a..b"),
            ("/srv/docs/100% sure~", "/srv/docs/100% sure~"),
            ("/srv/docs/naïve file.txt", "/srv/docs/naïve file.txt"),
        ] {
            assert_eq!(normal_path(text).as_deref(), Ok(normal), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_normal_path_is_its_own_normal_path(text in "[/.a ~%2eE\\\\'\u{ff0e}-]{0,24}") {
            if let Ok(normal) = normal_path(&text) {
                prop_assert_eq!(normal_path(&normal), Ok(normal.clone()));
                prop_assert!(normal.starts_with('/') && !normal.contains("//"));
                prop_assert!(normal.split('/').all(|segment| segment != "." && segment != ".."));
            }
        }
    }
}
