//! The shape of the source: names, attributes, lengths, module docs, and files that no module reaches.

use super::Finding;
use super::lex::{Kind, Token};
use super::tree::{File, Tree};

/// Words that say nothing, as a module's name.
const EMPTY_MODULES: &[&str] =
    &["common", "helper", "helpers", "imp", "impl", "manager", "misc", "types", "util", "utils"];

/// Words that say nothing, at the end of a type's name.
const EMPTY_ENDINGS: &[&str] = &["Common", "Data", "Helper", "Helpers", "Manager", "Util", "Utils"];

const LINES_MAX: usize = 800;
const MODULE_DOC_LINES_MAX: usize = 15;

/// Files that were longer when the limit came, with their length then: `path lines`. It only shrinks.
const LONG_FILES: &str = include_str!("long-files.txt");

pub(super) fn names(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust() {
        for (at, [keyword, name]) in pairs(&file.tokens).enumerate() {
            if keyword.is("mod") && EMPTY_MODULES.contains(&name.text.as_str()) {
                findings.push(Finding::at(
                    &file.path,
                    name.line,
                    format!("a module called `{}`", name.text),
                    "name it for what it is about, a word of the glossary if there is one",
                ));
            }
            let declares = ["struct", "enum", "trait", "type", "union"].iter().any(|word| keyword.is(word));
            // `type Data = ...;` in an impl is the name that a trait gave it.
            let given = keyword.is("type") && EMPTY_ENDINGS.contains(&name.text.as_str());
            let ending = EMPTY_ENDINGS.iter().find(|ending| declares && !given && name.text.ends_with(**ending));
            if let Some(ending) = ending {
                findings.push(Finding::at(
                    &file.path,
                    name.line,
                    format!("a type called `{}`: `{ending}` says nothing", name.text),
                    "name it for what it is or does",
                ));
            }
            if keyword.is("fn") && name.text.starts_with("get_") && !named_by_a_trait(&file.tokens, at) {
                findings.push(Finding::at(
                    &file.path,
                    name.line,
                    format!("a function called `{}`", name.text),
                    "name it for what it returns",
                ));
            }
        }
    }
    findings
}

/// Whether what is declared at `at` stands in `impl Trait for Type`, where the trait gives the names.
fn named_by_a_trait(tokens: &[Token], at: usize) -> bool {
    let mut open = 0_u32;
    let mut before = tokens.iter().take(at).rev();
    let entered = before.by_ref().find(|token| {
        let enters = token.is("{") && open == 0;
        if token.is("}") {
            open += 1;
        } else if token.is("{") {
            open = open.saturating_sub(1);
        }
        enters
    });
    let head: Vec<&Token> = before.take_while(|token| !["{", "}", ";"].iter().any(|mark| token.is(mark))).collect();
    entered.is_some() && ["impl", "for"].iter().all(|word| head.iter().any(|token| token.is(word)))
}

pub(super) fn no_allow(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust() {
        for (at, [name, open]) in pairs(&file.tokens).enumerate() {
            if name.is("allow") && open.is("(") && in_attribute(&file.tokens, at) {
                findings.push(Finding::at(
                    &file.path,
                    name.line,
                    "an `allow` attribute",
                    "use `#[expect(lint, reason = \"...\")]`, which ends when its reason does",
                ));
            }
        }
    }
    findings
}

/// Whether the token at `at` stands in the brackets of `#[...]` or `#![...]`.
fn in_attribute(tokens: &[Token], at: usize) -> bool {
    let before = tokens.get(..at).unwrap_or_default();
    let mut depth = 0i32;
    for (n, token) in before.iter().enumerate().rev() {
        match token.text.as_str() {
            _ if token.kind != Kind::Mark => {}
            ")" | "]" | "}" => depth += 1,
            "[" if depth == 0 => return opens_attribute(before.get(..n).unwrap_or_default()),
            "(" | "[" | "{" => depth = (depth - 1).max(0),
            ";" => return false,
            _ => {}
        }
    }
    false
}

fn opens_attribute(before: &[Token]) -> bool {
    match before {
        [.., last] if last.is("#") => true,
        [.., hash, last] => hash.is("#") && last.is("!"),
        _ => false,
    }
}

pub(super) fn no_ignored_tests(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.rust() {
        for [open, name] in pairs(&file.tokens) {
            if open.is("[") && name.is("ignore") {
                findings.push(Finding::at(
                    &file.path,
                    name.line,
                    "an ignored test",
                    "mend it, or remove it and say why in the commit",
                ));
            }
        }
    }
    findings
}

pub(super) fn no_sleeps_in_tests(tree: &Tree) -> Vec<Finding> {
    let tests: Vec<&str> =
        tree.modules().into_iter().filter(|module| module.test).map(|module| module.file.path.as_str()).collect();
    let mut findings = Vec::new();
    for file in tree.rust() {
        let whole = file.is_test_target() || tests.contains(&file.path.as_str());
        for [name, open] in pairs(&file.tokens) {
            if (whole || name.test)
                && open.is("(")
                && ["sleep", "sleep_until", "sleep_ms"].iter().any(|word| name.is(word))
            {
                findings.push(Finding::at(
                    &file.path,
                    name.line,
                    "a test that sleeps",
                    "wait for the thing itself, or let virtual time pass",
                ));
            }
        }
    }
    findings
}

pub(super) fn module_docs(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for module in tree.modules().iter().filter(|module| !module.test) {
        let lines = module.file.text.lines().take_while(|line| line.starts_with("//!")).count();
        if !(1..=MODULE_DOC_LINES_MAX).contains(&lines) {
            let what = format!("{lines} lines of module documentation at its top");
            findings.push(Finding::of(
                &module.file.path,
                what,
                "say in 1 to 15 lines of `//!` what it is for, what it does not do and where to start",
            ));
        }
    }
    findings
}

pub(super) fn file_length(tree: &Tree) -> Vec<Finding> {
    length_findings(tree, LONG_FILES)
}

fn length_findings(tree: &Tree, allowed: &str) -> Vec<Finding> {
    let allowed = |path: &str| allowed.lines().find_map(|line| line.strip_prefix(path)?.trim().parse::<usize>().ok());
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(|file| is_source(file)) {
        let lines = file.text.lines().count();
        let (what, mend) = match allowed(&file.path) {
            None if lines > LINES_MAX => {
                (format!("{lines} lines; the limit is {LINES_MAX}"), "split it where its subject splits".to_owned())
            }
            Some(most) if lines > most => (
                format!("grew from {most} to {lines} lines"),
                "files on the list of long files may only shrink".to_owned(),
            ),
            Some(most) if lines < most => {
                let entry = if lines > LINES_MAX { format!("write {lines} for it") } else { "remove it".to_owned() };
                (
                    format!("shrank from {most} to {lines} lines"),
                    format!("{entry} in crates/xtask/src/tidy/long-files.txt"),
                )
            }
            _ => continue,
        };
        findings.push(Finding::of(&file.path, what, mend));
    }
    findings
}

fn is_source(file: &File) -> bool {
    [".rs", ".mjs", ".js", ".py", ".sh"].iter().any(|ending| file.path.ends_with(ending))
}

pub(super) fn no_dead_files(tree: &Tree) -> Vec<Finding> {
    let modules = tree.modules();
    let mut findings = Vec::new();
    for module in &modules {
        let Some((name, parent)) = module.path.split_last() else { continue };
        let parent = modules
            .iter()
            .find(|other| other.krate == module.krate && other.path == parent && declares(other.file, name));
        if parent.is_none() {
            findings.push(Finding::of(
                &module.file.path,
                "no module declares this file",
                format!("add `mod {name};` above it, or remove it"),
            ));
        }
    }
    findings
}

fn declares(file: &File, name: &str) -> bool {
    pairs(&file.tokens).any(|[keyword, declared]| keyword.is("mod") && declared.text == name)
}

fn pairs(tokens: &[Token]) -> impl Iterator<Item = [&Token; 2]> {
    tokens.iter().zip(tokens.iter().skip(1)).map(|(first, second)| [first, second])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rule: fn(&Tree) -> Vec<Finding>, files: &[(&str, &str)], want: &[&str]) {
        let what: Vec<String> = rule(&Tree::of(files)).into_iter().map(|finding| finding.what).collect();
        assert_eq!(what, want);
    }

    #[test]
    fn empty_names_are_found() {
        let text = "mod util; struct CallManager; struct RowData; enum Kind {} fn get_call() {} fn target_of() {} type Metadata = u8; impl Body for A { type Data = B; fn a() {} fn get_b() {} } \
                    impl A { fn get_c() { for a in b {} } } // struct OtherManager";
        check(
            names,
            &[("crates/a/src/lib.rs", text)],
            &[
                "a module called `util`",
                "a type called `CallManager`: `Manager` says nothing",
                "a type called `RowData`: `Data` says nothing",
                "a function called `get_call`",
                "a function called `get_c`",
            ],
        );
    }

    #[test]
    fn an_allow_is_found_only_in_an_attribute() {
        let text = "#![allow(dead_code)] #[cfg_attr(test, allow(unused))] #[derive(A)] fn allow(x: u8) { self.allow(x); let a = [allow(1)]; vec![allow(1)] }";
        check(no_allow, &[("a.rs", text)], &["an `allow` attribute", "an `allow` attribute"]);
    }

    #[test]
    fn an_ignored_test_is_found() {
        check(
            no_ignored_tests,
            &[("a.rs", "#[test] #[ignore = \"slow\"] fn a() {} fn ignore() {}")],
            &["an ignored test"],
        );
    }

    #[test]
    fn a_sleep_is_found_in_tests_only() {
        let sleep = "fn a() { std::thread::sleep(d); tokio::time::sleep(d).await }";
        let tested = format!("#[cfg(test)] mod tests {{ {sleep} }}");
        check(no_sleeps_in_tests, &[("crates/a/src/lib.rs", sleep)], &[]);
        check(no_sleeps_in_tests, &[("crates/a/src/lib.rs", &tested)], &["a test that sleeps", "a test that sleeps"]);
        check(no_sleeps_in_tests, &[("tests/src/crash.rs", sleep)], &["a test that sleeps", "a test that sleeps"]);
        check(no_sleeps_in_tests, &[("crates/a/src/tests.rs", sleep)], &["a test that sleeps", "a test that sleeps"]);
    }

    #[test]
    fn a_module_without_docs_or_with_a_book_is_found() {
        let book = "//! a\n".repeat(16);
        let files = [
            ("crates/a/src/lib.rs", "//! What it is for.\n"),
            ("crates/a/src/b.rs", "use x;"),
            ("crates/a/src/c.rs", &book),
            ("crates/a/src/tests.rs", ""),
        ];
        check(
            module_docs,
            &files,
            &["0 lines of module documentation at its top", "16 lines of module documentation at its top"],
        );
    }

    #[test]
    fn the_list_of_long_files_only_shrinks() {
        let long = |lines: usize| "x\n".repeat(lines);
        let tree = Tree::of(&[
            ("new.rs", &long(801)),
            ("fits.rs", &long(800)),
            ("grew.rs", &long(902)),
            ("kept.rs", &long(850)),
            ("shrank.rs", &long(10)),
            ("notes.md", &long(900)),
        ]);
        let what: Vec<String> = length_findings(&tree, "grew.rs 900\nkept.rs 850\nshrank.rs 900\n")
            .into_iter()
            .map(|finding| finding.what)
            .collect();
        assert_eq!(what, ["801 lines; the limit is 800", "grew from 900 to 902 lines", "shrank from 900 to 10 lines"]);
    }

    #[test]
    fn a_file_that_no_module_declares_is_found() {
        let files = [
            ("crates/a/src/lib.rs", "pub mod b;"),
            ("crates/a/src/b.rs", "mod c;"),
            ("crates/a/src/b/c.rs", ""),
            ("crates/a/src/b/dead.rs", ""),
            ("crates/a/src/main.rs", ""),
            ("crates/a/src/bin/tool.rs", ""),
        ];
        check(no_dead_files, &files, &["no module declares this file"]);
    }
}
