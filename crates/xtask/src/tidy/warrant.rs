//! Who may mint the right to execute: one line, in the one module that sees the whole path.
//!
//! The compiler keeps the constructor inside `call`; this counts its uses, so that a second one is a decision and not an accident.

use super::Finding;
use super::tree::{Module, Tree};

const MEND: &str = "let `Call::handle` mint it on the receipt of its intent, and hand it on from there";

pub(super) fn one_mint(tree: &Tree) -> Vec<Finding> {
    let modules = tree.modules();
    let shipped: Vec<&Module<'_>> = modules.iter().filter(|module| !module.test).collect();
    let mints: Vec<(&str, u32)> = shipped.iter().flat_map(|module| mints(module)).collect();
    match mints.as_slice() {
        [] if shipped.iter().any(|module| module.krate == "governance" && module.path.first() == Some(&"call")) => {
            vec![Finding::of(
                "crates/governance/src/call.rs",
                "`Warrant::mint` is nowhere to be found",
                "teach this rule the new name",
            )]
        }
        [] => Vec::new(),
        [first, rest @ ..] => {
            let misplaced = std::iter::once(first).filter(|(path, _)| *path != "crates/governance/src/call.rs");
            let places = misplaced.chain(rest);
            places.map(|(path, line)| Finding::at(path, *line, "mints a `Warrant` in another place", MEND)).collect()
        }
    }
}

fn mints<'t>(module: &Module<'t>) -> Vec<(&'t str, u32)> {
    let called = module.file.tokens.windows(4).filter_map(|window| match window {
        [name, colons, mint, open] if name.is("Warrant") && colons.is("::") && mint.is("mint") && open.is("(") => {
            (!name.test).then_some(name.line)
        }
        _ => None,
    });
    called.map(|line| (module.file.path.as_str(), line)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(files: &[(&str, &str)], want: &[&str]) {
        let places: Vec<String> = one_mint(&Tree::of(files)).into_iter().map(|finding| finding.place).collect();
        assert_eq!(places, want);
    }

    #[test]
    fn a_second_or_misplaced_mint_is_found() {
        let mint = "fn a() { let w = Warrant::mint(x); }";
        check(&[("crates/governance/src/call.rs", mint)], &[]);
        check(&[("crates/governance/src/call.rs", &format!("{mint} {mint}"))], &["crates/governance/src/call.rs"]);
        check(
            &[("crates/governance/src/call.rs", mint), ("crates/surfaces/src/mcp/execute.rs", mint)],
            &["crates/surfaces/src/mcp/execute.rs"],
        );
        check(&[("crates/governance/src/decide.rs", mint)], &["crates/governance/src/decide.rs"]);
        check(&[("crates/governance/src/call.rs", &format!("{mint} #[cfg(test)] mod tests {{ {mint} }}"))], &[]);
    }

    #[test]
    fn a_renamed_mint_does_not_blind_the_rule() {
        check(&[("crates/governance/src/call.rs", "fn a() {}")], &["crates/governance/src/call.rs"]);
    }
}
