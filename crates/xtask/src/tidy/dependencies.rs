//! Who may depend on whom: the table of the design's section on crates, and which outside libraries may go where.

use super::Finding;
use super::tree::{Package, Tree};

const LIBRARIES: &[&str] = &["evidence", "governance", "surfaces", "store", "gateway"];

const ALL: &[&str] = &["evidence", "governance", "surfaces", "store", "gateway", "console"];

/// What each crate may use of the others. `countersign` puts the parts together, so nothing uses it; only tests use `testkit`; `xtask` runs
/// without any of them, so that it works while they do not build.
const TABLE: &[(&str, &[&str])] = &[
    ("evidence", &[]),
    ("governance", &["evidence"]),
    ("surfaces", &["governance"]),
    ("store", &["governance", "evidence"]),
    ("gateway", LIBRARIES),
    ("console", &["evidence", "governance", "store", "gateway"]),
    ("countersign", ALL),
    ("testkit", LIBRARIES),
    ("countersign-tests", &["evidence", "governance", "surfaces", "store", "gateway", "console", "testkit"]),
    ("fuzz", LIBRARIES),
    ("xtask", &[]),
];

/// Crates that take time, identity and randomness as inputs.
pub(super) const PURE: &[&str] = &["evidence", "governance"];

/// Libraries that read clocks, draw random numbers, open files or sockets, or run tasks.
const WORLDLY: &[&str] = &[
    "async-std",
    "axum",
    "futures",
    "futures-util",
    "getrandom",
    "http",
    "http-body-util",
    "hyper",
    "hyper-rustls",
    "hyper-util",
    "libc",
    "mio",
    "nix",
    "notify",
    "rand",
    "reqwest",
    "rusqlite",
    "rustix",
    "rustls",
    "smol",
    "socket2",
    "tempfile",
    "tokio",
    "tokio-postgres",
    "tokio-util",
    "tracing",
    "walkdir",
];

/// Libraries that stand for one crate's job, with the crates that may use them.
const OWNED: &[(&str, &[&str])] = &[
    ("cedar-policy", &["governance", "countersign-tests"]),
    ("cedar-policy-core", &["governance"]),
    ("cedar-policy-symcc", &["countersign-tests"]),
    ("axum", &["console"]),
    ("rusqlite", &["store"]),
    ("utoipa", &["console"]),
    ("utoipa-axum", &["console"]),
    ("hyper-rustls", &["surfaces"]),
    ("anyhow", &["countersign", "testkit", "countersign-tests", "xtask"]),
];

pub(super) fn workspace_edges(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in &tree.packages {
        let Some((_, allowed)) = TABLE.iter().find(|(name, _)| *name == package.name) else { continue };
        for dependency in package.dependencies.iter().filter(|dependency| dependency.path.is_some()) {
            if !allowed.contains(&dependency.name.as_str()) {
                findings.push(edge(package, &dependency.name, dependency.kind.as_deref()));
            }
        }
    }
    findings
}

fn edge(package: &Package, used: &str, kind: Option<&str>) -> Finding {
    let kind = kind.map(|kind| format!("{kind}-")).unwrap_or_default();
    let mend = if used == "testkit" {
        "move the test to `tests/`: a library that dev-depends on `testkit` is compiled twice and its types stop matching"
    } else {
        "move the code to a crate that may know both, or hand over a value or a trait; the table is in the design, section 4"
    };
    Finding::of(
        &package.manifest_path,
        format!("`{}` {kind}depends on `{used}`, which the table does not allow", package.name),
        mend,
    )
}

pub(super) fn known_crates(tree: &Tree) -> Vec<Finding> {
    let unknown = tree.packages.iter().filter(|package| !TABLE.iter().any(|(name, _)| *name == package.name));
    unknown
        .map(|package| {
            let what = format!("the crate `{}` stands in no table", package.name);
            Finding::of(&package.manifest_path, what, "say in a decision record why a new boundary is needed, then add it to TABLE in crates/xtask/src/tidy/dependencies.rs")
        })
        .collect()
}

pub(super) fn pure_crates(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in tree.packages.iter().filter(|package| PURE.contains(&package.name.as_str())) {
        for dependency in &package.dependencies {
            // Tests of a pure crate may read files and clocks; what ships may not.
            if dependency.kind.as_deref() != Some("dev") && WORLDLY.contains(&dependency.name.as_str()) {
                let what = format!("`{}` is pure and depends on `{}`", package.name, dependency.name);
                findings.push(Finding::of(
                    &package.manifest_path,
                    what,
                    "take what it would fetch as an argument, and let `gateway` or `store` fetch it",
                ));
            }
        }
    }
    findings
}

pub(super) fn owned_libraries(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in &tree.packages {
        for dependency in &package.dependencies {
            let Some((library, owners)) = OWNED.iter().find(|(library, _)| *library == dependency.name) else {
                continue;
            };
            if !owners.contains(&package.name.as_str()) {
                let what = format!("`{}` depends on `{library}`, which belongs to {}", package.name, list(owners));
                findings.push(Finding::of(
                    &package.manifest_path,
                    what,
                    format!("ask {} for what you need of it", list(owners)),
                ));
            }
        }
    }
    findings
}

fn list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

pub(super) fn exact_versions(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in &tree.packages {
        for dependency in package.dependencies.iter().filter(|dependency| dependency.path.is_none()) {
            if !dependency.req.starts_with('=') {
                let what = format!("`{}` asks for `{}` at `{}`", package.name, dependency.name, dependency.req);
                findings.push(Finding::of(
                    &package.manifest_path,
                    what,
                    "write `=` and the version in [workspace.dependencies] of Cargo.toml and `.workspace = true` here",
                ));
            }
        }
    }
    findings
}

/// The fuzzer's own macro exports a symbol, which is unsafe; what it calls is held to the lints where it stands.
const FUZZ: &str = "fuzz";

pub(super) fn inherited_lints(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for package in tree.packages.iter().filter(|package| package.name != FUZZ) {
        let manifest = tree.files.iter().find(|file| file.path == package.manifest_path);
        let inherits = manifest.is_some_and(|file| inherits_lints(&file.text));
        if !inherits {
            let what = format!("`{}` does not inherit the workspace lints", package.name);
            findings.push(Finding::of(&package.manifest_path, what, "add `[lints]` with `workspace = true`"));
        }
    }
    findings
}

fn inherits_lints(manifest: &str) -> bool {
    let parsed: Option<toml::Table> = toml::from_str(manifest).ok();
    parsed.and_then(|table| table.get("lints")?.get("workspace")?.as_bool()) == Some(true)
}

#[cfg(test)]
mod tests {
    use super::super::tree::Dependency;
    use super::*;

    fn package(name: &str, dependencies: &[(&str, &str, Option<&str>)]) -> Package {
        let dependencies = dependencies.iter().map(|(name, req, kind)| Dependency {
            name: (*name).to_owned(),
            req: (*req).to_owned(),
            kind: kind.map(str::to_owned),
            path: (*req == "*").then(String::new),
        });
        Package {
            name: name.to_owned(),
            dependencies: dependencies.collect(),
            manifest_path: format!("crates/{name}/Cargo.toml"),
        }
    }

    fn check(rule: fn(&Tree) -> Vec<Finding>, packages: Vec<Package>, want: &[&str]) {
        let tree = Tree { packages, ..Tree::default() };
        let what: Vec<String> = rule(&tree).into_iter().map(|finding| finding.what).collect();
        assert_eq!(what, want);
    }

    #[test]
    fn an_edge_outside_the_table_is_found() {
        let packages = vec![
            package("governance", &[("evidence", "*", None), ("store", "*", None)]),
            package("surfaces", &[("governance", "*", None), ("evidence", "*", None)]),
            package("store", &[("evidence", "*", None), ("testkit", "*", Some("dev"))]),
            package("xtask", &[("evidence", "*", None)]),
        ];
        check(
            workspace_edges,
            packages,
            &[
                "`governance` depends on `store`, which the table does not allow",
                "`surfaces` depends on `evidence`, which the table does not allow",
                "`store` dev-depends on `testkit`, which the table does not allow",
                "`xtask` depends on `evidence`, which the table does not allow",
            ],
        );
    }

    #[test]
    fn a_crate_in_no_table_is_found() {
        check(
            known_crates,
            vec![package("evidence", &[]), package("common", &[])],
            &["the crate `common` stands in no table"],
        );
    }

    #[test]
    fn a_pure_crate_reaches_the_world_in_tests_only() {
        let packages = vec![
            package("evidence", &[("tokio", "=1", None), ("tempfile", "=3", Some("dev"))]),
            package("store", &[("tokio", "=1", None)]),
        ];
        check(pure_crates, packages, &["`evidence` is pure and depends on `tokio`"]);
    }

    #[test]
    fn an_owned_library_stays_with_its_owner() {
        let packages =
            vec![package("store", &[("rusqlite", "=1", None)]), package("gateway", &[("anyhow", "=1", None)])];
        check(
            owned_libraries,
            packages,
            &["`gateway` depends on `anyhow`, which belongs to `countersign`, `testkit`, `countersign-tests`, `xtask`"],
        );
    }

    #[test]
    fn a_loose_version_is_found() {
        let packages =
            vec![package("store", &[("hex", "^0.4", None), ("sha2", "=0.11.1", None), ("evidence", "*", None)])];
        check(exact_versions, packages, &["`store` asks for `hex` at `^0.4`"]);
    }

    #[test]
    fn a_crate_with_its_own_lints_is_found() {
        let mut tree = Tree::of(&[
            ("crates/a/Cargo.toml", "[lints]\nworkspace = true"),
            ("crates/b/Cargo.toml", "[lints.rust]\nunsafe_code = \"allow\""),
        ]);
        tree.packages = vec![package("a", &[]), package("b", &[])];
        let places: Vec<String> = inherited_lints(&tree).into_iter().map(|finding| finding.place).collect();
        assert_eq!(places, ["crates/b/Cargo.toml"]);
    }
}
