//! What may enter the dependency tree, by `deny.toml`: licences, sources and bans, of every platform and feature; what only tests of a crate use does not enter it.
//!
//! Reads the same file as `cargo deny`, of which it is the offline part: building that tool takes longer than most steps. A key that is not known here is an error.

use std::collections::BTreeSet;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;
use spdx::{Expression, Licensee, ParseMode};

use crate::workplace::Workplace;

/// What the one registry's name in a lock file begins with.
const REGISTRY: &str = "registry+https://github.com/rust-lang/";

/// What names each crate that is built, with its licence.
const TREE: &[&str] =
    &["tree", "--workspace", "--edges", "normal,build", "--target", "all", "--prefix", "none", "--format", "{p}|{l}"];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Rules {
    bans: Bans,
    #[serde(rename = "graph")]
    _graph: toml::Table,
    licenses: Licences,
    sources: Sources,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Bans {
    /// Of crates within one workspace, which have no version.
    allow_wildcard_paths: bool,
    deny: Vec<Ban>,
    #[serde(rename = "multiple-versions")]
    _multiple_versions: Level,
    wildcards: Level,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Ban {
    #[serde(rename = "crate")]
    name: String,
    reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Licences {
    allow: Vec<String>,
    #[serde(rename = "private")]
    _private: toml::Table,
    unused_allowed_license: Level,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Sources {
    unknown_git: Level,
    unknown_registry: Level,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Deny,
    Warn,
}

/// A crate that the workspace's own are built with, as the resolver of features says: on any platform, with any feature of ours.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Package {
    license: String,
    name: String,
    version: String,
}

#[derive(Debug, Default, Deserialize)]
struct Lock {
    #[serde(default)]
    package: Vec<Locked>,
}

#[derive(Debug, Deserialize)]
struct Locked {
    name: String,
    source: Option<String>,
    version: String,
}

/// What `cargo metadata` says of the workspace's own crates.
#[derive(Debug, Default, Deserialize)]
struct Own {
    packages: Vec<Manifest>,
}

#[derive(Debug, Deserialize)]
struct Manifest {
    dependencies: Vec<Dependency>,
    name: String,
}

#[derive(Debug, Deserialize)]
struct Dependency {
    name: String,
    path: Option<String>,
    req: String,
}

/// All that is looked at of a workspace.
#[derive(Debug, Default)]
struct Tree {
    lock: Lock,
    own: Own,
    packages: BTreeSet<Package>,
}

/// Which rules hold for a workspace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All of them, for what ships.
    All,
    /// What only tests run may be what is banned from the tree that ships, but is licensed alike and comes from nowhere else.
    LicencesAndSources,
}

/// Holds the workspace of `manifest` to `deny.toml`; what is wrong, a line each.
pub(crate) fn check(place: &mut Workplace, manifest: &str, extent: Extent) -> Result<Vec<String>> {
    let rules = read(&place.root.join("deny.toml"))?;
    let path = place.root.join(manifest);
    let cargo = |args: &[&str]| {
        let mut command = place.cargo(args);
        command.args(["--locked", "--offline", "--all-features", "--manifest-path"]).arg(&path);
        let ran = command.output().context("start cargo")?;
        ensure!(ran.status.success(), "cargo {} failed:\n{}", args.join(" "), String::from_utf8_lossy(&ran.stderr));
        Ok(ran.stdout)
    };
    let lock = path.with_file_name("Cargo.lock");
    let lock = std::fs::read_to_string(&lock).with_context(|| format!("read `{}`", lock.display()))?;
    // What fuzzes is not part of what ships either.
    let but: &[&str] = if extent == Extent::All { &["--exclude", "fuzz"] } else { &[] };
    let listed = [TREE, but].concat();
    let tree = Tree {
        lock: toml::from_str(&lock).context("read the lock file")?,
        own: serde_json::from_slice(&cargo(&["metadata", "--format-version", "1", "--no-deps"])?)?,
        packages: packages(&String::from_utf8(cargo(&listed)?)?)?,
    };
    Ok(findings(&tree, &rules, extent)?.into_iter().map(|finding| format!("{manifest}: {finding}")).collect())
}

/// What `cargo tree` printed: `NAME vVERSION (WHERE)|LICENCE`, and a mark behind it where it was printed before.
fn packages(lines: &str) -> Result<BTreeSet<Package>> {
    let read = |line: &str| {
        let (package, license) = line.split_once('|')?;
        let (name, rest) = package.split_once(" v")?;
        let version = rest.split(' ').next()?.to_owned();
        let license = license.trim_end_matches(" (*)").to_owned();
        Some(Package { license, name: name.to_owned(), version })
    };
    let lines = lines.lines().filter(|line| !line.is_empty());
    lines.map(|line| read(line).with_context(|| format!("cargo tree printed `{line}`"))).collect()
}

fn read(path: &Path) -> Result<Rules> {
    let text = std::fs::read_to_string(path).with_context(|| format!("read `{}`", path.display()))?;
    let rules: Rules = toml::from_str(&text).with_context(|| format!("read `{}`", path.display()))?;
    let strict = [rules.sources.unknown_git, rules.sources.unknown_registry, rules.bans.wildcards];
    ensure!(
        strict.iter().all(|level| *level == Level::Deny) && rules.bans.allow_wildcard_paths,
        "`{}`: wildcards and unknown sources are denied here, and this check knows no other way",
        path.display()
    );
    Ok(rules)
}

fn findings(tree: &Tree, rules: &Rules, extent: Extent) -> Result<Vec<String>> {
    let allowed: Vec<Licensee> = rules
        .licenses
        .allow
        .iter()
        .map(|name| Licensee::parse(name).map_err(|error| anyhow::anyhow!("`{name}` is no licence: {}", error.reason)))
        .collect::<Result<_>>()?;
    let mut used = vec![false; allowed.len()];
    let mut findings = Vec::new();
    for package in &tree.packages {
        let Package { license, name, version } = package;
        match licensed(license, &allowed, &mut used) {
            Ok(true) => {}
            Ok(false) => findings.push(format!(
                "`{name}` {version} is licensed under `{license}`, which deny.toml does not allow: use another crate, or allow it there"
            )),
            Err(why) => findings.push(format!("the licence of `{name}` {version} cannot be read: {why}")),
        }
        let banned = rules.bans.deny.iter().find(|ban| ban.name == *name).filter(|_| extent == Extent::All);
        findings.extend(banned.map(|ban| format!("`{name}` {version} is banned: {}", ban.reason)));
    }
    // What is locked may be built one day, on whatever platform.
    for Locked { name, source, version } in &tree.lock.package {
        if let Some(source) = source.as_deref().filter(|source| !source.starts_with(REGISTRY)) {
            findings.push(format!("`{name}` {version} comes from {source}: only the one registry is allowed"));
        }
    }
    if extent == Extent::All {
        for Manifest { dependencies, name } in &tree.own.packages {
            let wild = dependencies.iter().filter(|used| used.req == "*" && used.path.is_none());
            findings.extend(wild.map(|used| format!("`{name}` depends on any version of `{}`: name one", used.name)));
        }
        if rules.licenses.unused_allowed_license == Level::Deny {
            let idle = rules.licenses.allow.iter().zip(&used).filter(|(_, used)| !**used);
            findings
                .extend(idle.map(|(name, _)| format!("deny.toml allows `{name}`, which nothing is licensed under")));
        }
    }
    Ok(findings)
}

/// Whether what is allowed satisfies the licence `text`; marks what is used of it.
fn licensed(text: &str, allowed: &[Licensee], used: &mut [bool]) -> Result<bool, String> {
    // Old crates write `MIT/Apache-2.0`.
    let expression = Expression::parse_mode(text, ParseMode::LAX).map_err(|error| error.to_string())?;
    Ok(expression.evaluate(|required| {
        let place = allowed.iter().position(|licensee| licensee.satisfies(required));
        if let Some(used) = place.and_then(|place| used.get_mut(place)) {
            *used = true;
        }
        place.is_some()
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: &str = r#"
        [graph]
        [licenses]
        allow = ["MIT", "Apache-2.0 WITH LLVM-exception", "Apache-2.0"]
        unused-allowed-license = "deny"
        private = { ignore = false }
        [bans]
        multiple-versions = "warn"
        wildcards = "deny"
        allow-wildcard-paths = true
        deny = [{ crate = "ring", reason = "one provider" }]
        [sources]
        unknown-registry = "deny"
        unknown-git = "deny"
    "#;

    fn told(lines: &str, extent: Extent) -> String {
        let rules: Rules = toml::from_str(RULES).unwrap();
        let tree = Tree { packages: packages(lines).unwrap(), ..Tree::default() };
        findings(&tree, &rules, extent).unwrap().join("; ")
    }

    #[test]
    fn what_is_not_allowed_is_named() {
        let sound = "a v1.0.0 (/srv/a)|MIT/Apache-2.0\nb v2.0.0-rc.1|Apache-2.0 WITH LLVM-exception\n\nc v1.0.0 (proc-macro)|Apache-2.0 (*)\n\
                     d v1.0.0|(MIT OR GPL-3.0-only) AND Apache-2.0\n";
        assert_eq!(told(sound, Extent::All), "");
        for (odd, extent, expected) in [
            ("e v1.0.0|GPL-3.0-only", Extent::All, "`e` 1.0.0 is licensed under `GPL-3.0-only`"),
            ("e v1.0.0|MIT AND GPL-3.0-only (*)", Extent::All, "does not allow"),
            ("e v1.0.0|", Extent::LicencesAndSources, "`e` 1.0.0"),
            ("e v1.0.0|not a licence", Extent::All, "cannot be read"),
            ("ring v0.17.0|MIT", Extent::All, "`ring` 0.17.0 is banned: one provider"),
        ] {
            let said = told(&format!("{sound}{odd}\n"), extent);
            assert!(said.contains(expected), "{expected}: {said}");
        }
        assert_eq!(told(&format!("{sound}ring v1.0.0|MIT"), Extent::LicencesAndSources), "");
        assert!(told("a v1.0.0|MIT", Extent::All).contains("allows `Apache-2.0`, which nothing"));
        assert!(packages("something else").is_err());
    }

    #[test]
    fn sources_and_versions_of_ours_are_named() {
        let rules: Rules = toml::from_str(RULES).unwrap();
        let locked = |source: &str| Locked { name: "x".into(), source: Some(source.into()), version: "1.0.0".into() };
        let lock = Lock { package: vec![locked(REGISTRY), locked("git+https://example.com/x")] };
        let depends = |req: &str, path: Option<&str>| Dependency {
            name: "x".into(),
            path: path.map(Into::into),
            req: req.into(),
        };
        let dependencies = vec![depends("*", None), depends("*", Some("crates/x")), depends("=1", None)];
        let own = Own { packages: vec![Manifest { dependencies, name: "a".into() }] };
        let packages = packages("a v1.0.0|MIT AND Apache-2.0 AND Apache-2.0 WITH LLVM-exception").unwrap();
        let said = findings(&Tree { lock, own, packages }, &rules, Extent::All).unwrap();
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].contains("comes from git+") && said[1].contains("`a` depends on any version of `x`"));
    }

    #[test]
    fn a_rule_that_is_not_known_is_an_error() {
        assert!(toml::from_str::<Rules>(&RULES.replace("wildcards", "wild")).is_err());
        assert!(toml::from_str::<Rules>(&format!("{RULES}\n[advisories]\n")).is_err());
    }
}
