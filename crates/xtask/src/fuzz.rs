//! Runs the fuzz targets of `fuzz/` from their seeds for a bounded time, with the pinned toolchain.
//!
//! Coverage comes from compiler flags that the stable compiler has; address sanitising does not, so that `fuzz/README.md` also names the nightly way.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use toml::{Table, Value};

use crate::workplace::{Workplace, failure};

/// What the fuzzer needs to see which code of ours an input reached.
const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

const SECONDS_PER_INPUT_MAX: u32 = 10;
const MEMORY_MIB_MAX: u32 = 2048;

/// Which inputs a run tries.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Luck {
    /// Others each time.
    Fresh,
    /// The same in the same order, as far as the time goes: what passed once passes again.
    Repeated,
}

/// Runs all targets, for `total` together. Returns how many ran.
pub(crate) fn run_all(place: &mut Workplace, total: Duration, luck: Luck) -> Result<usize> {
    let count = targets(&read(&place.root.join("fuzz/Cargo.toml"))?)?.len().max(1);
    run(place, &[], total / u32::try_from(count)?, luck)
}

/// Builds the targets and runs those named, or all, each for `time`. Returns how many ran; a target that found something is an error.
pub(crate) fn run(place: &mut Workplace, only: &[String], time: Duration, luck: Luck) -> Result<usize> {
    let path = place.root.join("fuzz/Cargo.toml");
    let manifest = read(&path)?;
    let targets: Vec<String> =
        targets(&manifest)?.into_iter().filter(|target| only.is_empty() || only.contains(target)).collect();
    ensure!(!targets.is_empty(), "no such fuzz target; `fuzz/Cargo.toml` names them");
    // What the workspace does not own is taken from the build of everything, without coverage: that saves most of the time.
    let wrapper = covering(place)?;
    let mut build = place.cargo(&["build", "--locked", "--workspace", "--features", "fuzz/targets"]);
    build.args(["--example", "features"]).env("RUSTC_WORKSPACE_WRAPPER", wrapper);
    targets.iter().for_each(|target| {
        build.args(["--bin", target]);
    });
    place.must(&mut build)?;
    // Two side by side: on two processors they take half the time, and on one they lose nothing but inputs.
    for pair in targets.chunks(2) {
        let mut fuzzers = Vec::new();
        for target in pair {
            fuzzers.push(fuzzer(place, &manifest, target, time, luck)?);
        }
        let ran = place.run_together(&mut fuzzers)?;
        for ((target, fuzzer), ran) in pair.iter().zip(&fuzzers).zip(&ran) {
            ensure!(
                ran.succeeded(),
                "the target `{target}` found something; add it to the seeds together with the mend\n{}",
                failure(fuzzer, ran)
            );
        }
    }
    Ok(targets.len())
}

/// One target's program, from its seeds.
fn fuzzer(place: &Workplace, manifest: &Table, target: &str, time: Duration, luck: Luck) -> Result<Command> {
    let folder = place.root.join("target/fuzz");
    let (found, artifacts) = (folder.join("corpus").join(target), folder.join("artifacts"));
    // What earlier runs found would change the order of this one.
    if matches!(luck, Luck::Repeated) && found.is_dir() {
        std::fs::remove_dir_all(&found)?;
    }
    std::fs::create_dir_all(&found)?;
    std::fs::create_dir_all(&artifacts)?;
    let mut fuzzer = Command::new(place.built(target));
    fuzzer.arg(&found).arg(seeds(&place.root, manifest, target)?);
    fuzzer.arg(format!("-max_total_time={}", time.as_secs())).arg(format!("-timeout={SECONDS_PER_INPUT_MAX}"));
    // libFuzzer takes 0 for a seed of its own.
    fuzzer.arg(match luck {
        Luck::Fresh => "-seed=0",
        Luck::Repeated => "-seed=1",
    });
    fuzzer
        .arg(format!("-rss_limit_mb={MEMORY_MIB_MAX}"))
        .arg(format!("-artifact_prefix={}/{target}-", artifacts.display()));
    Ok(fuzzer)
}

fn read(manifest: &Path) -> Result<Table> {
    let text = std::fs::read_to_string(manifest).with_context(|| format!("read `{}`", manifest.display()))?;
    toml::from_str(&text).with_context(|| format!("read `{}`", manifest.display()))
}

fn targets(manifest: &Table) -> Result<Vec<String>> {
    let bins = manifest.get("bin").and_then(Value::as_array).context("fuzz/Cargo.toml names no programs")?;
    Ok(bins.iter().filter_map(|bin| Some(bin.get("name")?.as_str()?.to_owned())).collect())
}

/// The folder of `corpus` that the manifest names for `target`.
fn seeds(root: &Path, manifest: &Table, target: &str) -> Result<PathBuf> {
    let seeds =
        manifest.get("package").and_then(|package| package.get("metadata")?.get("seeds")?.get(target)?.as_str());
    let seeds = seeds.with_context(|| format!("`package.metadata.seeds` of fuzz/Cargo.toml lacks `{target}`"))?;
    let folder = root.join("corpus").join(seeds);
    ensure!(folder.is_dir(), "no seeds for `{target}` under `{}`", folder.display());
    Ok(folder)
}

/// A program that compiles as it is told, with coverage.
fn covering(place: &Workplace) -> Result<PathBuf> {
    let path = place.state.join("rustc-with-coverage");
    let script = format!("#!/bin/sh\nexec \"$@\" {COVERAGE}\n");
    if std::fs::read_to_string(&path).ok().as_deref() != Some(&script) {
        std::fs::write(&path, script).with_context(|| format!("write `{}`", path.display()))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))?;
    }
    Ok(path)
}
