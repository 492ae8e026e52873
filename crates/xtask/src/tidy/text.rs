//! What no text file may hold: notes for later, names of package registries, paths of one machine. And how decisions are numbered.
//!
//! The words are put together here so that this file does not break its own rules.

use super::Finding;
use super::tree::{File, Tree};

const LATER: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("HA", "CK")];

const REGISTRIES: &[&str] = &[
    concat!("crates", ".io"),
    concat!("npmjs", ".org"),
    concat!("npmjs", ".com"),
    concat!("pypi", ".org"),
    concat!("pythonhosted", ".org"),
    concat!("yarnpkg", ".com"),
    concat!("deb.", "debian.org"),
    concat!("proxy.", "golang.org"),
];

/// Folders of one machine or one person.
const MACHINES: &[&str] =
    &[concat!("/wo", "rk/"), concat!("/ro", "ot/"), concat!("/ho", "me/runner"), concat!("/Us", "ers/")];

/// Lock files say where each package came from; nobody reads or writes them by hand.
const LOCKS: &[&str] = &["Cargo.lock", "package-lock.json"];

pub(super) fn no_later(tree: &Tree) -> Vec<Finding> {
    let mend = "do it, or file it, or say plainly what is not done and why";
    search(tree, LATER, whole_word, |word| format!("a note to be done later, `{word}`"), mend)
}

pub(super) fn no_registries(tree: &Tree) -> Vec<Finding> {
    let mend = "name the package and let each reader's own client know where to get it";
    search(tree, REGISTRIES, anywhere, |name| format!("names the package registry `{name}`"), mend)
}

pub(super) fn no_machine_paths(tree: &Tree) -> Vec<Finding> {
    let mend = "use a path from the root of the repository, an example path such as /srv/docs, or a temporary folder";
    search(tree, MACHINES, starts_path, |path| format!("holds the path `{path}...` of one machine"), mend)
}

fn search(
    tree: &Tree,
    words: &[&str],
    fits: fn(&str, usize, &str) -> bool,
    what: fn(&str) -> String,
    mend: &str,
) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(|file| !is_lock(file)) {
        for (number, line) in (1u32..).zip(file.text.lines()) {
            for word in words.iter().filter(|word| line.match_indices(**word).any(|(at, _)| fits(line, at, word))) {
                findings.push(Finding::at(&file.path, number, what(word), mend));
            }
        }
    }
    findings
}

fn is_lock(file: &File) -> bool {
    LOCKS.iter().any(|lock| file.path == *lock || file.path.ends_with(&format!("/{lock}")))
}

fn anywhere(_line: &str, _at: usize, _word: &str) -> bool {
    true
}

fn whole_word(line: &str, at: usize, word: &str) -> bool {
    let joins = |next: Option<char>| next.is_some_and(|next| next.is_alphanumeric() || next == '_');
    let (before, after) = around(line, at, word);
    !joins(before) && !joins(after)
}

/// A path that begins here, not the middle of another one.
fn starts_path(line: &str, at: usize, word: &str) -> bool {
    !around(line, at, word)
        .0
        .is_some_and(|before| before.is_alphanumeric() || matches!(before, '.' | '_' | '-' | '}' | '*' | '~'))
}

fn around(line: &str, at: usize, word: &str) -> (Option<char>, Option<char>) {
    let before = line.get(..at).and_then(|text| text.chars().next_back());
    let after = line.get(at + word.len()..).and_then(|text| text.chars().next());
    (before, after)
}

pub(super) fn numbered_decisions(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut expected = 1u32;
    for file in &tree.files {
        let Some(name) =
            file.path.strip_prefix("docs/decisions/").filter(|name| name.ends_with(".md") && *name != "README.md")
        else {
            continue;
        };
        let number = name
            .split_once('-')
            .map(|(number, _)| number)
            .filter(|number| number.len() == 4)
            .and_then(|number| number.parse::<u32>().ok());
        if number != Some(expected) {
            let what = format!("is not the decision {expected:04} that comes next");
            findings.push(Finding::of(
                &file.path,
                what,
                format!("name it {expected:04}-title.md; a decision is superseded, never removed"),
            ));
        }
        expected = number.unwrap_or(expected) + 1;
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rule: fn(&Tree) -> Vec<Finding>, files: &[(&str, &str)], want: &[(&str, Option<u32>)]) {
        let findings = rule(&Tree::of(files));
        let found: Vec<(&str, Option<u32>)> =
            findings.iter().map(|finding| (finding.place.as_str(), finding.line)).collect();
        assert_eq!(found, want);
    }

    #[test]
    fn notes_for_later_are_found_in_any_file() {
        let (todo, fixme) = (format!("a\n// {}: later", LATER[0]), format!("# {}", LATER[1]));
        check(
            no_later,
            &[("a.rs", &todo), ("b.toml", &fixme), ("c.md", "a todo list; MASTODON")],
            &[("a.rs", Some(2)), ("b.toml", Some(1))],
        );
    }

    #[test]
    fn registries_are_named_in_lock_files_only() {
        let text = format!("https://index.{}/x", REGISTRIES[0]);
        let files = [("Cargo.lock", text.as_str()), ("tests/e2e/node/package-lock.json", &text), ("README.md", &text)];
        check(no_registries, &files, &[("README.md", Some(1))]);
    }

    #[test]
    fn a_path_of_one_machine_is_found_where_it_begins() {
        let (bad, good) =
            (format!("see {}main", MACHINES[0]), format!("examples{}flow, ~{}x", MACHINES[0], MACHINES[1]));
        check(no_machine_paths, &[("a.md", &bad), ("b.md", &good)], &[("a.md", Some(1))]);
    }

    #[test]
    fn a_gap_or_a_name_without_number_is_found() {
        let files = |names: &[&'static str]| names.iter().map(|name| (*name, "")).collect::<Vec<_>>();
        check(
            numbered_decisions,
            &files(&["docs/decisions/0001-a.md", "docs/decisions/0002-b.md", "docs/decisions/README.md"]),
            &[],
        );
        check(
            numbered_decisions,
            &files(&["docs/decisions/0001-a.md", "docs/decisions/0003-b.md"]),
            &[("docs/decisions/0003-b.md", None)],
        );
        check(numbered_decisions, &files(&["docs/decisions/first.md"]), &[("docs/decisions/first.md", None)]);
        check(
            numbered_decisions,
            &files(&["docs/decisions/0001-a.md", "docs/decisions/0001-b.md"]),
            &[("docs/decisions/0001-b.md", None)],
        );
    }
}
