//! Runs the fuzz targets of `fuzz/` from their seeds for a bounded time, with the pinned toolchain.
//!
//! Coverage comes from compiler flags that the stable compiler has; address sanitising does not, so that `fuzz/README.md` also names the nightly way.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::workplace::Workplace;

/// What the fuzzer needs to see which code an input reached.
const COVERAGE: &str = "--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
    -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
    -Cllvm-args=-sanitizer-coverage-trace-compares";

const SECONDS_PER_INPUT_MAX: u32 = 10;
const MEMORY_MIB_MAX: u32 = 2048;

/// Builds the targets and runs those named, or all, each for `time`. Returns how many ran; a target that found something is an error.
pub(crate) fn run(place: &mut Workplace, only: &[String], time: Duration) -> Result<usize> {
    let manifest = place.root.join("fuzz/Cargo.toml");
    let targets: Vec<String> =
        targets(&manifest)?.into_iter().filter(|target| only.is_empty() || only.contains(target)).collect();
    ensure!(!targets.is_empty(), "no such fuzz target; `fuzz/Cargo.toml` names them");
    let host = host(place)?;
    let folder = place.root.join("target/fuzz");
    // With a target named, build scripts and macros stay free of the coverage flags.
    let mut build = place.cargo(&["build", "--locked", "--bins", "--target", &host, "--manifest-path"]);
    build.arg(&manifest).arg("--target-dir").arg(&folder).env("RUSTFLAGS", COVERAGE);
    place.must(&mut build)?;
    for target in &targets {
        let (found, artifacts) = (folder.join("corpus").join(target), folder.join("artifacts"));
        std::fs::create_dir_all(&found)?;
        std::fs::create_dir_all(&artifacts)?;
        let mut fuzzer = Command::new(folder.join(&host).join("debug").join(target));
        fuzzer.arg(&found).arg(seeds(&place.root, target)?);
        fuzzer.arg(format!("-max_total_time={}", time.as_secs())).arg(format!("-timeout={SECONDS_PER_INPUT_MAX}"));
        fuzzer
            .arg(format!("-rss_limit_mb={MEMORY_MIB_MAX}"))
            .arg(format!("-artifact_prefix={}/{target}-", artifacts.display()));
        place.must(&mut fuzzer).with_context(|| {
            format!("the target `{target}` found something; add it to the seeds together with the mend")
        })?;
    }
    Ok(targets.len())
}

fn targets(manifest: &Path) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(manifest).with_context(|| format!("read `{}`", manifest.display()))?;
    let table: toml::Table = toml::from_str(&text).with_context(|| format!("read `{}`", manifest.display()))?;
    let bins = table.get("bin").and_then(toml::Value::as_array).context("fuzz/Cargo.toml names no programs")?;
    Ok(bins.iter().filter_map(|bin| Some(bin.get("name")?.as_str()?.to_owned())).collect())
}

/// `corpus/mcp/lines` for `mcp_lines`; all of `corpus/mcp` for a target without seeds of its own.
fn seeds(root: &Path, target: &str) -> Result<std::path::PathBuf> {
    let (surface, decoder) = target.split_once('_').context("a fuzz target is called surface_decoder")?;
    let folder = root.join("corpus").join(surface);
    let own = folder.join(decoder);
    let chosen = if own.is_dir() { own } else { folder };
    ensure!(chosen.is_dir(), "no seeds for `{target}` under `{}`", chosen.display());
    Ok(chosen)
}

fn host(place: &mut Workplace) -> Result<String> {
    let told = place.must(Command::new("rustc").arg("-vV"))?;
    let host = told.lines.iter().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not say what it builds for")?.to_owned())
}
