//! Who may know whom inside a crate: the stages of the path in their order, and siblings that never meet.

use super::Finding;
use super::paths::{Named, paths};
use super::tree::{Module, Tree};

/// The path of a call. A stage uses earlier ones only.
const STAGES: &[&str] = &["mission", "intercept", "count", "classify", "decide", "approve", "execute", "record"];

/// The one module that sees all stages.
const WHOLE: &str = "call";

/// Where a module stands: leaves are for everybody, then the stages, then the whole.
fn rank(module: &str) -> usize {
    let stage = STAGES.iter().position(|stage| *stage == module).map(|place| place + 1);
    stage.unwrap_or(if module == WHOLE { STAGES.len() + 1 } else { 0 })
}

pub(super) fn stages(tree: &Tree) -> Vec<Finding> {
    let modules = tree.modules();
    let exported = Exports::of(&modules, "governance");
    let mut findings = Vec::new();
    for (module, top) in with_top(&modules, "governance") {
        for named in shipped_paths(module) {
            let Some(target) = exported.module_of(&named) else { continue };
            if rank(&target) > rank(top) {
                let what = match rank(top) {
                    0 => format!("the leaf `{top}` uses the stage `{target}`"),
                    _ => format!("`{top}` uses `{target}`, which comes later in the path"),
                };
                let mend = format!("move what both need to a leaf or to `{top}`, or let `call` bring them together");
                findings.push(Finding::at(&module.file.path, named.line, what, mend));
            }
        }
    }
    findings
}

pub(super) fn surfaces(tree: &Tree) -> Vec<Finding> {
    let mend = "each surface owns its wire; what all need goes to `govern` or to governance";
    siblings(tree, "surfaces", &["mcp", "http", "browser", "workflow"], mend)
}

pub(super) fn backends(tree: &Tree) -> Vec<Finding> {
    let mend = "what all backends need goes to `ledger` or `ports`";
    siblings(tree, "store", &["memory", "embedded", "postgres"], mend)
}

/// Modules of `names` that use one another, directly or through what the crate's root exports.
fn siblings(tree: &Tree, krate: &str, names: &[&str], mend: &str) -> Vec<Finding> {
    let modules = tree.modules();
    let exported = Exports::of(&modules, krate);
    let mut findings = Vec::new();
    for (module, top) in with_top(&modules, krate).filter(|(_, top)| names.contains(top)) {
        for named in shipped_paths(module) {
            let Some(target) = exported.module_of(&named) else { continue };
            if target != top && names.contains(&target.as_str()) {
                findings.push(Finding::at(
                    &module.file.path,
                    named.line,
                    format!("`{top}` uses its sibling `{target}`"),
                    mend,
                ));
            }
        }
    }
    findings
}

/// The modules of a crate that ship, with the name of the top module that each belongs to.
fn with_top<'m>(modules: &'m [Module<'m>], krate: &'m str) -> impl Iterator<Item = (&'m Module<'m>, &'m str)> {
    modules
        .iter()
        .filter(move |module| module.krate == krate && !module.test)
        .filter_map(|module| Some((module, *module.path.first()?)))
}

fn shipped_paths(module: &Module<'_>) -> Vec<Named> {
    let mut named = paths(&module.file.tokens, &module.path);
    named.retain(|named| !named.test);
    named
}

/// Which module each name comes from that the crate's root re-exports, so that `crate::Call` counts as `crate::call::Call`.
struct Exports {
    names: Vec<(String, String)>,
}

impl Exports {
    fn of(modules: &[Module<'_>], krate: &str) -> Exports {
        let tops: Vec<&str> = modules
            .iter()
            .filter(|module| module.krate == krate)
            .filter_map(|module| module.path.first().copied())
            .collect();
        let root = modules.iter().find(|module| module.krate == krate && module.path.is_empty());
        let named = root.map(|root| paths(&root.file.tokens, &[])).unwrap_or_default();
        let names = named.into_iter().filter_map(|named| {
            let path: Vec<&str> = named.path.iter().map(String::as_str).skip_while(|part| *part == "crate").collect();
            match path.as_slice() {
                [top, .., name] if tops.contains(top) => Some(((*name).to_owned(), (*top).to_owned())),
                _ => None,
            }
        });
        Exports { names: names.collect() }
    }

    /// The top module that `named` leads to; `None` for paths that leave the crate.
    fn module_of(&self, named: &Named) -> Option<String> {
        match named.path.as_slice() {
            [root, name, ..] if root == "crate" => {
                let exported = self.names.iter().find(|(exported, _)| exported == name);
                Some(exported.map_or(name, |(_, module)| module).clone())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rule: fn(&Tree) -> Vec<Finding>, files: &[(&str, &str)], want: &[&str]) {
        let what: Vec<String> = rule(&Tree::of(files)).into_iter().map(|finding| finding.what).collect();
        assert_eq!(what, want);
    }

    #[test]
    fn a_stage_may_use_earlier_stages_and_leaves_only() {
        check(
            stages,
            &[
                ("crates/governance/src/lib.rs", "pub mod call; pub use call::{Call, Warrant};"),
                ("crates/governance/src/call.rs", "use crate::{decide, record};"),
                ("crates/governance/src/reason.rs", "use crate::decide::Decision;"),
                (
                    "crates/governance/src/decide.rs",
                    "use crate::{classify::Classified, reason::Reason}; use crate::record::Draft;",
                ),
                ("crates/governance/src/decide/facets.rs", "fn a(x: super::super::execute::Outcome) {}"),
                ("crates/governance/src/intercept.rs", "use crate::Warrant; use std::fmt;"),
            ],
            &[
                "the leaf `reason` uses the stage `decide`",
                "`decide` uses `record`, which comes later in the path",
                "`decide` uses `execute`, which comes later in the path",
                "`intercept` uses `call`, which comes later in the path",
            ],
        );
    }

    #[test]
    fn tests_of_a_stage_may_look_ahead() {
        check(
            stages,
            &[("crates/governance/src/decide.rs", "#[cfg(test)] mod tests { use crate::record::Draft; }")],
            &[],
        );
    }

    #[test]
    fn surfaces_that_meet_are_found() {
        check(
            surfaces,
            &[
                ("crates/surfaces/src/lib.rs", "pub mod mcp; pub mod http; pub use http::Proxy;"),
                ("crates/surfaces/src/mcp/mod.rs", "use crate::govern::Govern; use http::Request;"),
                ("crates/surfaces/src/mcp/reply.rs", "use crate::Proxy;"),
                ("crates/surfaces/src/http/mod.rs", "use super::mcp::Codec;"),
            ],
            &["`mcp` uses its sibling `http`", "`http` uses its sibling `mcp`"],
        );
    }

    #[test]
    fn backends_that_meet_are_found() {
        check(
            backends,
            &[("crates/store/src/memory/mod.rs", "use crate::{ledger::Log, embedded::Disk};")],
            &["`memory` uses its sibling `embedded`"],
        );
    }
}
