//! Holds the tree to the design and the house rules: who may depend on whom, who may know whom, and what no file may hold.
//!
//! Each rule is a function from the whole [`Tree`] to its findings, so that a rule is tested on a tree of three lines. What a compiler or a linter
//! already says is not repeated here. Start at [`RULES`].

mod dependencies;
mod lex;
mod order;
mod paths;
mod purity;
mod shape;
mod text;
mod tree;
mod warrant;

use std::fmt;
use std::path::Path;

use anyhow::Result;

use tree::Tree;

/// One breach: where it is, what it is and how to mend it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Finding {
    place: String,
    line: Option<u32>,
    what: String,
    mend: String,
}

/// One rule of the house.
struct Rule {
    name: &'static str,
    check: fn(&Tree) -> Vec<Finding>,
}

const RULES: &[Rule] = &[
    Rule { name: "crates depend only on what the design's table allows", check: dependencies::workspace_edges },
    Rule { name: "every crate of the workspace stands in the table", check: dependencies::known_crates },
    Rule { name: "pure crates have no dependency that reaches the world", check: dependencies::pure_crates },
    Rule { name: "a library that one crate owns stays in that crate", check: dependencies::owned_libraries },
    Rule { name: "dependencies come from the workspace table at exact versions", check: dependencies::exact_versions },
    Rule { name: "every crate inherits the workspace lints", check: dependencies::inherited_lints },
    Rule { name: "pure crates name no clock, file, socket, thread or environment", check: purity::no_world },
    Rule { name: "only `decide` knows Cedar", check: purity::cedar_in_decide },
    Rule { name: "a warrant is minted in one place", check: warrant::one_mint },
    Rule { name: "a stage of the path uses earlier stages only", check: order::stages },
    Rule { name: "surfaces never import one another", check: order::surfaces },
    Rule { name: "store backends never import one another", check: order::backends },
    Rule { name: "every source file belongs to a module", check: shape::no_dead_files },
    Rule { name: "modules and types have names that say something", check: shape::names },
    Rule { name: "no `allow` attributes", check: shape::no_allow },
    Rule { name: "no ignored tests", check: shape::no_ignored_tests },
    Rule { name: "no sleeps in tests", check: shape::no_sleeps_in_tests },
    Rule { name: "every module says what it is for", check: shape::module_docs },
    Rule { name: "files stay under 800 lines", check: shape::file_length },
    Rule { name: "no notes to be done later", check: text::no_later },
    Rule { name: "no package registry is named outside lock files", check: text::no_registries },
    Rule { name: "no path of one machine", check: text::no_machine_paths },
    Rule { name: "decisions are numbered without gaps", check: text::numbered_decisions },
];

/// How many rules held and how many did not.
pub(crate) struct Tidied {
    /// Rules without a finding.
    pub(crate) held: usize,
    /// Rules with at least one.
    pub(crate) broken: usize,
    /// What, where and how to mend it.
    pub(crate) findings: Vec<String>,
}

/// Checks the tree at `root`. `Err` means that the tree could not be read.
pub(crate) fn run(root: &Path) -> Result<Tidied> {
    let tree = Tree::load(root)?;
    let mut tidied = Tidied { held: 0, broken: 0, findings: Vec::new() };
    for rule in RULES {
        let mut findings = (rule.check)(&tree);
        findings.sort();
        match findings.is_empty() {
            true => tidied.held += 1,
            false => tidied.broken += 1,
        }
        tidied.findings.extend(findings.iter().map(|finding| format!("{finding}\n    rule: {}", rule.name)));
    }
    Ok(tidied)
}

impl fmt::Display for Finding {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let line = self.line.map(|line| format!(":{line}")).unwrap_or_default();
        write!(out, "{}{line}: {}\n    mend: {}", self.place, self.what, self.mend)
    }
}

impl Finding {
    fn at(place: &str, line: u32, what: impl Into<String>, mend: impl Into<String>) -> Finding {
        Finding { place: place.to_owned(), line: Some(line), what: what.into(), mend: mend.into() }
    }

    fn of(place: &str, what: impl Into<String>, mend: impl Into<String>) -> Finding {
        Finding { place: place.to_owned(), line: None, what: what.into(), mend: mend.into() }
    }
}
