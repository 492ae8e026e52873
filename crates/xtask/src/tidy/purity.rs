//! What pure crates may not name, and who may name Cedar.
//!
//! The dependency rules keep libraries out; the standard library is always there, so its doors are found by name.

use super::Finding;
use super::dependencies::PURE;
use super::paths::{Named, paths};
use super::tree::{Module, Tree};

/// Paths that lead to a clock, a file, a socket, a thread, the environment or randomness, with what to do instead.
const DOORS: &[(&[&str], &str)] = &[
    (&["std", "time", "SystemTime"], "take the time as an argument, a `Timestamp`"),
    (&["std", "time", "Instant"], "take the time as an argument, a `Timestamp`"),
    (&["Timestamp", "now"], "take the time as an argument"),
    (&["Zoned", "now"], "take the time as an argument"),
    (&["Uuid", "now_v7"], "take the identifier, or its random bits, as an argument"),
    (&["Uuid", "new_v4"], "take the identifier, or its random bits, as an argument"),
    (&["std", "fs"], "take the bytes as an argument"),
    (&["std", "net"], "take the bytes as an argument; `core::net` has the address types"),
    (&["std", "os"], "take what the system knows as an argument"),
    (&["std", "process"], "return the outcome and let the caller act"),
    (&["std", "thread"], "return the work and let the caller run it"),
    (&["std", "env"], "take the setting as an argument"),
    (&["std", "io", "stdin"], "take the bytes as an argument"),
    (&["std", "io", "stdout"], "return the text"),
    (&["std", "io", "stderr"], "return the text"),
    (&["std", "hash", "RandomState"], "order or fold with a fixed key: the same inputs must give the same bytes"),
];

/// Names that are wrong by themselves.
const WORDS: &[(&str, &str)] = &[
    ("async", "make it a function from inputs to effects; the gateway waits"),
    ("println", "return the text"),
    ("eprintln", "return the text"),
    ("thread_local", "pass the state"),
];

pub(super) fn no_world(tree: &Tree) -> Vec<Finding> {
    let modules = tree.modules();
    let pure = modules.iter().filter(|module| PURE.contains(&module.krate) && !module.test);
    pure.flat_map(|module| doors(module).chain(words(module))).collect()
}

fn doors<'t>(module: &'t Module<'t>) -> impl Iterator<Item = Finding> + 't {
    paths(&module.file.tokens, &module.path).into_iter().filter(|named| !named.test).filter_map(|named| {
        let (door, mend) = DOORS.iter().find(|(door, _)| leads_through(&named, door))?;
        Some(Finding::at(
            &module.file.path,
            named.line,
            format!("`{}` is pure and names `{}`", module.krate, door.join("::")),
            *mend,
        ))
    })
}

/// `std` doors are matched from the start of the path, type names at its end.
fn leads_through(named: &Named, door: &[&str]) -> bool {
    let path: Vec<&str> =
        named.path.iter().map(|part| if part == "core" || part == "alloc" { "core" } else { part.as_str() }).collect();
    if door.first() == Some(&"std") {
        path.starts_with(door)
    } else {
        path.windows(door.len()).any(|window| window == door)
    }
}

fn words<'t>(module: &'t Module<'t>) -> impl Iterator<Item = Finding> + 't {
    module.file.tokens.iter().filter(|token| !token.test && token.is_name()).filter_map(|token| {
        let (word, mend) = WORDS.iter().find(|(word, _)| token.is(word))?;
        Some(Finding::at(&module.file.path, token.line, format!("`{}` is pure and says `{word}`", module.krate), *mend))
    })
}

pub(super) fn cedar_in_decide(tree: &Tree) -> Vec<Finding> {
    let modules = tree.modules();
    let outside =
        modules.iter().filter(|module| !(module.krate == "governance" && module.path.first() == Some(&"decide")));
    outside
        .flat_map(|module| {
            let knows =
                module.file.tokens.iter().filter(|token| token.is_name() && token.text.starts_with("cedar_policy"));
            knows.map(|token| {
                Finding::at(
                    &module.file.path,
                    token.line,
                    "names Cedar outside `governance/src/decide`",
                    "let `decide` compile and evaluate, and pass its own types across",
                )
            })
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(rule: fn(&Tree) -> Vec<Finding>, path: &str, text: &str, want: &[&str]) {
        let what: Vec<String> = rule(&Tree::of(&[(path, text)])).into_iter().map(|finding| finding.what).collect();
        assert_eq!(what, want, "{path}: {text}");
    }

    #[test]
    fn a_pure_crate_may_not_name_a_door_to_the_world() {
        let door = |text, want| check(no_world, "crates/governance/src/decide/facets.rs", text, want);
        door(
            "use std::{fs, time::{Duration, Instant}};",
            &["`governance` is pure and names `std::fs`", "`governance` is pure and names `std::time::Instant`"],
        );
        door("fn a() { let t = jiff::Timestamp::now(); }", &["`governance` is pure and names `Timestamp::now`"]);
        door("fn a() { std::env::var(\"HOME\") }", &["`governance` is pure and names `std::env`"]);
        door("async fn a() {}", &["`governance` is pure and says `async`"]);
        door(
            "use core::net::IpAddr; use std::io::Write; use std::time::Duration; // std::fs\nconst A: &str = \"std::fs\";",
            &[],
        );
    }

    #[test]
    fn tests_and_other_crates_may() {
        check(no_world, "crates/evidence/src/lib.rs", "#[cfg(test)] mod tests { use std::fs; }", &[]);
        check(no_world, "crates/evidence/src/record/tests.rs", "use std::fs;", &[]);
        check(no_world, "crates/store/src/lib.rs", "use std::fs;", &[]);
    }

    #[test]
    fn cedar_stays_in_decide() {
        check(cedar_in_decide, "crates/governance/src/decide/compile.rs", "use cedar_policy::PolicySet;", &[]);
        check(
            cedar_in_decide,
            "crates/governance/src/mission.rs",
            "use cedar_policy::PolicySet;",
            &["names Cedar outside `governance/src/decide`"],
        );
        check(
            cedar_in_decide,
            "crates/gateway/src/decide/x.rs",
            "fn a() { cedar_policy::Authorizer::new() }",
            &["names Cedar outside `governance/src/decide`"],
        );
    }
}
