//! What the tasks need besides cargo, installed by each tool's ordinary client at exact versions, and said aloud.
//!
//! Nothing is installed twice: a copy of the lock file that an installation came from is kept beside it.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::conformance;
use crate::workplace::Workplace;

const NODE_MAJOR_MIN: u32 = 20;
/// The Inspector asks for 22.19; the next major has it for certain.
const RUNNER_NODE_MAJOR_MIN: u32 = 23;
const PYTHON_MINOR_MIN: u32 = 11;

/// Checks that what cannot be installed from here is there.
pub(crate) fn check_present() -> Result<()> {
    let node = version_of("node", &["--version"], "install Node.js 20 or newer")?;
    ensure!(
        node_major(&node).is_some_and(|major| major >= NODE_MAJOR_MIN),
        "node is {node}; the end-to-end tests need {NODE_MAJOR_MIN} or newer"
    );
    version_of("npm", &["--version"], "install npm, which comes with Node.js")?;
    let python = version_of("python3", &["--version"], "install Python 3.11 or newer")?;
    let minor = python.split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok());
    ensure!(
        python.starts_with("Python 3.") && minor.is_some_and(|minor| minor >= PYTHON_MINOR_MIN),
        "python3 is {python}; the end-to-end tests need 3.{PYTHON_MINOR_MIN} or newer"
    );
    version_of("git", &["--version"], "install git")?;
    Ok(())
}

fn version_of(program: &str, args: &[&str], mend: &str) -> Result<String> {
    match Command::new(program).args(args).output() {
        Ok(ran) if ran.status.success() => Ok(String::from_utf8_lossy(&ran.stdout).trim().to_owned()),
        Ok(ran) => bail!("`{program} {}` failed ({}): {mend}", args.join(" "), ran.status),
        Err(error) => bail!("no `{program}` here ({error}): {mend}"),
    }
}

/// The sources of every crate in the lock file: those of other platforms too, which no build here fetches and the check of licences reads.
pub(crate) fn crates(place: &mut Workplace) -> Result<()> {
    place.must(&mut place.cargo(&["fetch", "--locked"]))?;
    place.must(&mut place.cargo(&["fetch", "--locked", "--manifest-path", conformance::MANIFEST]))?;
    Ok(())
}

/// The real MCP clients and servers for Node.js.
pub(crate) fn node_packages(place: &mut Workplace) -> Result<()> {
    npm_ci(place, "tests/e2e/node", "package-lock.installed")
}

/// The protocol's own tools: the runner of the conformance suite, the Inspector, and a Node.js that is new enough for them.
pub(crate) fn conformance_runner(place: &mut Workplace) -> Result<Runner> {
    npm_ci(place, "conformance/node", "conformance-lock.installed")?;
    let folder = place.root.join("conformance/node");
    let own = version_of("node", &["--version"], "install Node.js 20 or newer")?;
    let node = match node_major(&own) {
        Some(RUNNER_NODE_MAJOR_MIN..) => PathBuf::from("node"),
        _ => supplied_node(&folder)?,
    };
    Ok(Runner { node, folder })
}

/// The tools of the protocol's own project.
pub(crate) struct Runner {
    /// A Node.js that can run them.
    pub(crate) node: PathBuf,
    /// Where they are installed.
    pub(crate) folder: PathBuf,
}

impl Runner {
    /// The Inspector's program, for its command line.
    pub(crate) fn inspector(&self) -> PathBuf {
        self.folder.join("node_modules/@modelcontextprotocol/inspector/clients/launcher/build/index.js")
    }
}

/// The Node.js that came as a package, for machines with an older one.
fn supplied_node(folder: &Path) -> Result<PathBuf> {
    let machine = match std::env::consts::ARCH {
        "x86_64" => "x64",
        "aarch64" => "arm64",
        other => other,
    };
    let supplied = folder.join(format!("node_modules/node-{}-{machine}/bin/node", std::env::consts::OS));
    ensure!(
        supplied.is_file(),
        "the conformance runner and the Inspector need Node.js {RUNNER_NODE_MAJOR_MIN} or newer: install it"
    );
    Ok(supplied)
}

fn npm_ci(place: &mut Workplace, packages: &str, stamp: &str) -> Result<()> {
    let (folder, stamp) = (place.root.join(packages), place.state.join(stamp));
    if folder.join("node_modules").is_dir() && same(&folder.join("package-lock.json"), &stamp)? {
        return Ok(());
    }
    place.say(&format!("installing the Node.js packages of {packages}/package-lock.json with npm ci"));
    place.must(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(&folder))?;
    keep(&folder.join("package-lock.json"), &stamp)
}

fn node_major(version: &str) -> Option<u32> {
    version.trim_start_matches('v').split('.').next()?.parse().ok()
}

/// The Pythons that the tests use; the SDK's two major versions cannot live in one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Python {
    /// With Schemathesis.
    Contract,
    /// With the SDK 1.x, and what is built on it.
    Sdk1,
    /// With the SDK 2.x, and what is built on it.
    Sdk2,
}

impl Python {
    /// The packages, and the virtual environment below `target/xtask`.
    const fn places(self) -> (&'static str, &'static str) {
        match self {
            Self::Contract => ("tests/api/requirements.txt", "python-api"),
            Self::Sdk1 => ("tests/e2e/python/requirements-1.txt", "python-1"),
            Self::Sdk2 => ("tests/e2e/python/requirements.txt", "python"),
        }
    }
}

/// The interpreter that has the packages of one of the lists.
pub(crate) fn python(place: &mut Workplace, which: Python) -> Result<PathBuf> {
    let (list, environment) = which.places();
    let requirements = place.root.join(list);
    let (folder, stamp) = (place.state.join(environment), place.state.join(format!("{environment}.installed")));
    let python = folder.join("bin/python");
    if python.exists() && same(&requirements, &stamp)? {
        return Ok(python);
    }
    place.say(&format!("installing the Python packages of {list} with pip, in a virtual environment under target"));
    place.must(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    place.must(
        Command::new(&python)
            .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"])
            .arg(&requirements),
    )?;
    keep(&requirements, &stamp)?;
    Ok(python)
}

/// What counts system calls and allocations. Neither has a client of its own, so the system's packages are taken where that needs no password.
pub(crate) fn counters(place: &mut Workplace) -> Result<()> {
    let is_missing = |program: &&str| version_of(program, &["--version"], "").is_err();
    let missing: Vec<&str> = ["strace", "valgrind"].into_iter().filter(is_missing).collect();
    if missing.is_empty() {
        return Ok(());
    }
    place.say(&format!("installing {} with apt-get", missing.join(" and ")));
    let as_root = match Command::new("id").arg("-u").output() {
        Ok(told) if told.stdout.trim_ascii() == b"0" => Vec::new(),
        _ => vec!["sudo", "-n"],
    };
    for task in
        [vec!["update", "-qq"], [vec!["install", "-y", "-qq", "--no-install-recommends"], missing.clone()].concat()]
    {
        let words: Vec<&str> = as_root.iter().copied().chain(["apt-get"]).chain(task).collect();
        let Some((program, arguments)) = words.split_first() else { continue };
        place.must(Command::new(program).args(arguments).env("DEBIAN_FRONTEND", "noninteractive")).with_context(
            || format!("install {} by hand: what a call costs is counted with them", missing.join(" and ")),
        )?;
    }
    Ok(())
}

fn same(file: &Path, stamp: &Path) -> Result<bool> {
    let wanted = std::fs::read(file).with_context(|| format!("read `{}`", file.display()))?;
    Ok(std::fs::read(stamp).is_ok_and(|installed| installed == wanted))
}

fn keep(file: &Path, stamp: &Path) -> Result<()> {
    std::fs::copy(file, stamp).with_context(|| format!("write `{}`", stamp.display()))?;
    Ok(())
}
