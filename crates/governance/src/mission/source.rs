//! Where values are: the path of a nested argument, and the field of an earlier result that a value must come from.

use std::fmt::{self, Display};
use std::sync::Arc;

use super::spelling::ambiguity;
use crate::limits::NAME_BYTES_MAX;

/// A field of what a tool returns: `erp.list_vendors:iban`, or `erp.list_vendors:bank.iban` for an `iban` inside of a `bank`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    /// The names of the members on the way, the field's own last; at least one.
    pub(crate) field: Vec<Arc<str>>,
    pub(crate) tool: Arc<str>,
    pub(crate) upstream: Arc<str>,
}

impl Source {
    /// Reads `SERVER.TOOL:FIELD`. The server ends at the first dot, so one with dots in its name is written in quotes: `"erp.v2".list_vendors:iban`.
    pub(crate) fn parse(text: &str) -> Result<Self, &'static str> {
        if ambiguity(text).is_some() {
            return Err("it holds a character that is not visible");
        }
        let (upstream, rest) = match text.strip_prefix('"') {
            Some(quoted) => quoted.split_once("\".").ok_or("the quote does not end")?,
            None => text.split_once('.').ok_or("it has no dot after the server")?,
        };
        let (tool, field) = rest.rsplit_once(':').ok_or("it has no `:` before the field")?;
        let names: Vec<Arc<str>> = field.split('.').map(Arc::from).collect();
        if upstream.is_empty() || tool.is_empty() || names.iter().any(|name| name.is_empty()) {
            return Err("a name in it is empty");
        }
        Ok(Self { field: names, tool: tool.into(), upstream: upstream.into() })
    }
}

impl Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let quote = if self.upstream.contains('.') { "\"" } else { "" };
        write!(f, "{quote}{}{quote}.{}:{}", self.upstream, self.tool, self.field.join("."))
    }
}

/// Whether `text` names one argument, as rules do: by its own name, or as a JSON pointer.
pub(crate) fn is_argument(text: &str) -> bool {
    let is_path = !text.starts_with('/') || text.split('/').skip(1).all(|name| !name.is_empty());
    is_path && !text.is_empty() && text.len() <= NAME_BYTES_MAX && !text.contains('*') && ambiguity(text).is_none()
}

/// How an argument is named in rules and records: by its own name, or as a JSON pointer (RFC 6901) where that would look like one.
pub(crate) fn argument_path(name: &str) -> Arc<str> {
    if name.starts_with('/') { child_path("", name) } else { name.into() }
}

/// The path of the field `name` of the argument at `parent`: `/customer/address`.
pub(crate) fn child_path(parent: &str, name: &str) -> Arc<str> {
    let escape = |name: &str| name.replace('~', "~0").replace('/', "~1");
    let parent =
        if parent.is_empty() || parent.starts_with('/') { parent.to_owned() } else { format!("/{}", escape(parent)) };
    format!("{parent}/{}", escape(name)).into()
}

/// The argument that the one at `path` is a field of.
pub(crate) fn parent_of(path: &str) -> Option<Arc<str>> {
    let (parent, _) = path.strip_prefix('/')?.rsplit_once('/')?;
    let is_top = !parent.contains('/');
    let name = parent.replace("~1", "/").replace("~0", "~");
    Some(if is_top { argument_path(&name) } else { format!("/{parent}").into() })
}

/// The own name of the argument at `path`.
pub(crate) fn name_of(path: &str) -> String {
    match path.strip_prefix('/') {
        Some(names) => names.rsplit('/').next().unwrap_or_default().replace("~1", "/").replace("~0", "~"),
        None => path.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_read_and_written() {
        for text in ["erp.list_vendors:iban", "erp.list_vendors:bank.iban", "\"erp.v2\".list:iban", "erp.a:b:iban"] {
            assert_eq!(Source::parse(text).unwrap().to_string(), text);
        }
        for text in [
            "",
            "erp",
            "erp.list",
            "erp.:iban",
            ".list:iban",
            "erp.list:",
            "erp.list:a..b",
            "\"erp.list:iban",
            "erp.list:ib\u{200b}an",
        ] {
            assert!(Source::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_path_names_one_argument() {
        for (names, path) in [
            (vec!["a"], "a"),
            (vec!["a", "b"], "/a/b"),
            (vec!["a", "b", "c"], "/a/b/c"),
            (vec!["/a"], "/~1a"),
            (vec!["a/b"], "a/b"),
            (vec!["a/b", "c~"], "/a~1b/c~0"),
            (vec!["a.b"], "a.b"),
        ] {
            let mut at: Arc<str> = argument_path(names[0]);
            let mut before = None;
            for name in &names[1..] {
                before = Some(at.clone());
                at = child_path(&at, name);
            }
            assert_eq!(&*at, path);
            assert_eq!(parent_of(&at), before, "{path}");
            assert_eq!(name_of(&at), *names.last().unwrap());
        }
    }
}
