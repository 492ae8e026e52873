//! What the rules look at: the files that version control knows or would take, and the crates as cargo describes them.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use super::lex::{Token, lex};

/// The whole tree.
#[derive(Default)]
pub(super) struct Tree {
    /// Text files by path, `/` between the parts, sorted.
    pub(super) files: Vec<File>,
    /// The crates of the workspace.
    pub(super) packages: Vec<Package>,
}

/// One text file.
pub(super) struct File {
    /// From the root, `crates/evidence/src/lib.rs`.
    pub(super) path: String,
    pub(super) text: String,
    /// The tokens of a Rust file; empty for any other.
    pub(super) tokens: Vec<Token>,
}

/// A crate as `cargo metadata` tells it.
#[derive(Clone, Deserialize)]
pub(super) struct Package {
    pub(super) name: String,
    #[serde(default)]
    pub(super) dependencies: Vec<Dependency>,
    pub(super) manifest_path: String,
}

/// One line of a dependency table.
#[derive(Clone, Deserialize)]
pub(super) struct Dependency {
    pub(super) name: String,
    /// The version requirement, `=1.0.104`.
    pub(super) req: String,
    /// `None` for a normal dependency, else `dev` or `build`.
    pub(super) kind: Option<String>,
    /// Set where the dependency is a folder, as crates of the workspace are.
    pub(super) path: Option<String>,
}

/// A module of a crate under `crates/`.
pub(super) struct Module<'t> {
    pub(super) file: &'t File,
    /// The folder under `crates/`.
    pub(super) krate: &'t str,
    /// `["decide", "facets"]` for `src/decide/facets.rs`; empty for the crate's root.
    pub(super) path: Vec<&'t str>,
    /// Whether the whole file is compiled for tests only.
    pub(super) test: bool,
}

impl Tree {
    pub(super) fn load(root: &Path) -> Result<Tree> {
        let mut tree = Tree { files: Vec::new(), packages: packages(root)? };
        for path in listed(root)? {
            let Ok(bytes) = std::fs::read(root.join(&path)) else { continue }; // deleted and not yet committed
            if let Ok(text) = String::from_utf8(bytes) {
                tree.files.push(File::new(path, text));
            }
        }
        ensure!(!tree.files.is_empty(), "no files under `{}`: is it a clone of the repository?", root.display());
        tree.files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(tree)
    }

    /// The Rust files.
    pub(super) fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.is_rust())
    }

    /// The modules of the library or program of each crate under `crates/`, further programs under `src/bin` apart.
    pub(super) fn modules(&self) -> Vec<Module<'_>> {
        let mut modules: Vec<Module<'_>> = self.rust().filter_map(module).collect();
        let for_tests: Vec<(String, Vec<String>)> = modules.iter().flat_map(test_only_children).collect();
        for module in &mut modules {
            module.test = module.path.last() == Some(&"tests")
                || for_tests.iter().any(|(krate, path)| {
                    krate == module.krate
                        && path.len() <= module.path.len()
                        && path.iter().eq(module.path.iter().take(path.len()))
                });
        }
        modules
    }
}

impl File {
    pub(super) fn new(path: String, text: String) -> File {
        let tokens = if path.ends_with(".rs") { lex(&text) } else { Vec::new() };
        File { path, text, tokens }
    }

    pub(super) fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// Whether cargo compiles this file for tests only: integration tests, and the crate that is all tests.
    pub(super) fn is_test_target(&self) -> bool {
        self.path.starts_with("tests/")
            || (self.path.starts_with("crates/") && self.path.contains("/tests/") && !self.path.contains("/src/"))
    }
}

fn module(file: &File) -> Option<Module<'_>> {
    let (krate, inner) = file.path.strip_prefix("crates/")?.split_once("/src/")?;
    let inner = inner.strip_suffix(".rs")?;
    if inner.starts_with("bin/") {
        return None;
    }
    let mut path: Vec<&str> = inner.split('/').collect();
    if matches!(path.last(), Some(&"mod" | &"lib" | &"main")) {
        path.pop();
    }
    Some(Module { file, krate, path, test: false })
}

/// The files that `#[cfg(test)] mod name;` brings in.
fn test_only_children(module: &Module<'_>) -> Vec<(String, Vec<String>)> {
    let declared = module.file.tokens.windows(3).filter_map(|window| match window {
        [keyword, name, end] if keyword.test && keyword.is("mod") && end.is(";") => Some(name.text.clone()),
        _ => None,
    });
    declared
        .map(|name| {
            let path = module.path.iter().map(|part| (*part).to_owned()).chain([name]).collect();
            (module.krate.to_owned(), path)
        })
        .collect()
}

fn listed(root: &Path) -> Result<Vec<String>> {
    let listing = output(root, "git", &["ls-files", "-z", "--cached", "--others", "--exclude-standard"])?;
    let mut paths: Vec<String> = listing.split('\0').filter(|path| !path.is_empty()).map(str::to_owned).collect();
    paths.sort();
    paths.dedup();
    Ok(paths)
}

fn packages(root: &Path) -> Result<Vec<Package>> {
    #[derive(Deserialize)]
    struct Metadata {
        packages: Vec<Package>,
        workspace_root: String,
    }
    let told = output(root, "cargo", &["metadata", "--format-version", "1", "--no-deps", "--locked", "--offline"])?;
    let metadata: Metadata = serde_json::from_str(&told).context("read the answer of `cargo metadata`")?;
    let mut packages = metadata.packages;
    for package in &mut packages {
        let from_root = package.manifest_path.strip_prefix(&metadata.workspace_root).unwrap_or(&package.manifest_path);
        package.manifest_path = from_root.trim_start_matches('/').to_owned();
    }
    Ok(packages)
}

fn output(root: &Path, program: &str, args: &[&str]) -> Result<String> {
    let ran =
        Command::new(program).args(args).current_dir(root).output().with_context(|| format!("run `{program}`"))?;
    if !ran.status.success() {
        bail!("`{program} {}` failed: {}", args.join(" "), String::from_utf8_lossy(&ran.stderr).trim());
    }
    String::from_utf8(ran.stdout).with_context(|| format!("read what `{program}` printed"))
}

#[cfg(test)]
impl Tree {
    /// A tree of these files and no crates.
    pub(super) fn of(files: &[(&str, &str)]) -> Tree {
        let files = files.iter().map(|(path, text)| File::new((*path).to_owned(), (*text).to_owned())).collect();
        Tree { files, packages: Vec::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_declared_for_tests_is_test_code_with_all_below_it() {
        let tree = Tree::of(&[
            ("crates/a/src/lib.rs", "mod code; #[cfg(test)] mod samples;"),
            ("crates/a/src/code.rs", ""),
            ("crates/a/src/samples.rs", ""),
            ("crates/a/src/samples/deep.rs", ""),
            ("crates/a/src/code/tests.rs", ""),
        ]);
        let test: Vec<&str> =
            tree.modules().iter().filter(|module| module.test).map(|module| module.file.path.as_str()).collect();
        assert_eq!(test, ["crates/a/src/samples.rs", "crates/a/src/samples/deep.rs", "crates/a/src/code/tests.rs"]);
    }

    #[test]
    fn programs_beside_the_library_are_not_its_modules() {
        let tree = Tree::of(&[("crates/a/src/bin/tool.rs", ""), ("crates/a/src/net/mod.rs", "")]);
        let paths: Vec<Vec<&str>> = tree.modules().into_iter().map(|module| module.path).collect();
        assert_eq!(paths, [["net"]]);
    }
}
