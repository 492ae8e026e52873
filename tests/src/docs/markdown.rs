//! The Markdown of this repository, as far as its tests look at it: fences, links, code spans and headings. Not a Markdown parser.

use std::fs;
use std::path::{Path, PathBuf};

/// One Markdown file.
#[derive(Debug)]
pub(super) struct Page {
    /// Its path from the root of the repository.
    pub(super) path: PathBuf,
    text: String,
}

/// One fenced block.
#[derive(Debug)]
pub(super) struct Fence {
    /// What follows the opening fence: the language, and what we mark.
    pub(super) info: Vec<String>,
    /// The line of the opening fence, from 1.
    pub(super) line: usize,
    /// What is inside.
    pub(super) text: String,
}

/// A piece of a page with the line it starts on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct At<T> {
    pub(super) line: usize,
    pub(super) what: T,
}

/// The root of the repository.
pub(super) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

/// Every page of the repository, in the order of their paths.
pub(super) fn pages() -> Vec<Page> {
    let mut found = files(&|path| path.extension().is_some_and(|extension| extension == "md"));
    found.sort();
    assert!(found.len() > 10, "only {} pages were found under {}", found.len(), root().display());
    found.into_iter().map(Page::read).collect()
}

/// Files of the repository that `wanted` picks, by their path from its root; what is built, installed or hidden is left out.
pub(super) fn files(wanted: &dyn Fn(&Path) -> bool) -> Vec<PathBuf> {
    let (mut folders, mut found) = (vec![root().to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            let (path, name) = (entry.path(), entry.file_name());
            let kind = entry.file_type().unwrap();
            let skipped = name.to_string_lossy().starts_with('.') || name == "target" || name == "node_modules";
            if kind.is_dir() && !skipped {
                folders.push(path);
            } else if kind.is_file() && wanted(&path) {
                found.push(path.strip_prefix(root()).unwrap().to_owned());
            }
        }
    }
    found
}

impl Page {
    pub(super) fn read(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let text = fs::read_to_string(root().join(&path)).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { path, text }
    }

    /// `path:line`, as compilers write it.
    pub(super) fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.path.display())
    }

    pub(super) fn fences(&self) -> Vec<Fence> {
        split(&self.text).0
    }

    /// The lines outside of fences.
    pub(super) fn prose(&self) -> Vec<At<&str>> {
        split(&self.text).1
    }

    /// The code spans of the prose. A span over two lines is not one.
    pub(super) fn code(&self) -> Vec<At<&str>> {
        let mut spans = Vec::new();
        for At { line, what } in self.prose() {
            let parts: Vec<&str> = what.split('`').collect();
            if parts.len() % 2 == 1 {
                let odd = parts.into_iter().skip(1).step_by(2).filter(|what| !what.is_empty());
                spans.extend(odd.map(|what| At { line, what }));
            }
        }
        spans
    }

    /// The targets of the links.
    pub(super) fn links(&self) -> Vec<At<String>> {
        let mut found = Vec::new();
        for line in self.prose() {
            let outside: String = line.what.split('`').step_by(2).collect::<Vec<_>>().join("``");
            let inline = outside.match_indices("](").filter_map(|(at, _)| outside.get(at + 2..)?.split(')').next());
            let defined = outside.strip_prefix('[').and_then(|rest| rest.split_once("]: ")).map(|(_, target)| target);
            for target in inline.chain(defined) {
                let target = target.split_whitespace().next().unwrap_or_default().to_owned();
                found.push(At { line: line.line, what: target });
            }
        }
        found
    }

    /// The anchors of the headings, as forges make them.
    pub(super) fn anchors(&self) -> Vec<String> {
        let headings = self.prose().into_iter().filter(|line| line.what.starts_with('#'));
        headings.map(|line| anchor(line.what.trim_start_matches('#').trim())).collect()
    }

    /// The rows of the table under `heading`, without its head; cells are trimmed.
    pub(super) fn table(&self, heading: &str) -> Vec<Vec<String>> {
        let mut rows = Vec::new();
        let mut here = false;
        for line in self.prose() {
            if line.what.starts_with('#') {
                here = line.what.trim_start_matches('#').trim() == heading;
            } else if here && line.what.starts_with('|') {
                let inner = line.what.trim().trim_start_matches('|').trim_end_matches('|');
                rows.push(inner.split(" | ").map(|cell| cell.trim().to_owned()).collect::<Vec<_>>());
            }
        }
        assert!(rows.len() > 2, "{}: no table under `{heading}`", self.path.display());
        rows.drain(..2);
        rows
    }
}

fn anchor(heading: &str) -> String {
    let kept = heading.to_lowercase();
    let kept = kept.chars().filter(|letter| letter.is_alphanumeric() || matches!(letter, ' ' | '-' | '_'));
    kept.map(|letter| if letter == ' ' { '-' } else { letter }).collect()
}

/// The fences, and the lines between them.
fn split(text: &str) -> (Vec<Fence>, Vec<At<&str>>) {
    let (mut fences, mut prose) = (Vec::new(), Vec::new());
    let mut open: Option<(Fence, usize)> = None;
    for (line, what) in (1..).zip(text.lines()) {
        let marks = what.trim_start().strip_prefix("```");
        match (&mut open, marks) {
            (None, Some(info)) => {
                let info = info.split_whitespace().map(str::to_owned).collect();
                open = Some((Fence { info, line, text: String::new() }, what.len() - what.trim_start().len()));
            }
            (None, None) => prose.push(At { line, what }),
            (Some(_), Some(rest)) if rest.trim().is_empty() => fences.extend(open.take().map(|(fence, _)| fence)),
            (Some((fence, indent)), _) => {
                fence.text.push_str(what.get(*indent..).unwrap_or_else(|| what.trim_start()));
                fence.text.push('\n');
            }
        }
    }
    assert!(open.is_none(), "a fence is not closed");
    (fences, prose)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &str) -> Page {
        Page { path: PathBuf::from("page.md"), text: text.to_owned() }
    }

    #[test]
    fn a_page_comes_apart_into_prose_and_fences() {
        let page = page(
            "# The `one` & only\nsee `a/b.rs` and [x](y.md#z), ``\n\n  ```console compare\n  $ ls\n    b\n  ```\n[n]: docs/n.md\n",
        );
        let fences = page.fences();
        assert_eq!((fences.len(), fences[0].line, fences[0].text.as_str()), (1, 4, "$ ls\n  b\n"));
        assert_eq!(fences[0].info, ["console", "compare"]);
        assert_eq!(page.prose().len(), 4);
        let links: Vec<_> = page.links().into_iter().map(|link| (link.line, link.what)).collect();
        assert_eq!(links, [(2, "y.md#z".to_owned()), (8, "docs/n.md".to_owned())]);
        assert!(page.code().contains(&At { line: 2, what: "a/b.rs" }));
        assert_eq!(page.anchors(), ["the-one--only"]);
    }

    #[test]
    fn tables_are_read_under_their_heading() {
        let page = page(
            "## Other\n| a | b |\n|---|---|\n| 1 | 2 |\n## This\n\n| a | b |\n|---|---|\n| `x` | y or z |\n| u | |\n",
        );
        assert_eq!(page.table("This"), [["`x`", "y or z"].map(String::from).to_vec(), vec!["u".into(), String::new()]]);
    }
}
