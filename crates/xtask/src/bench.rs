//! `cargo xtask bench` and `cargo xtask soak`: long measurements by the programs of `testkit`.

use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::workplace::Workplace;

/// Builds for release and measures; what the tool prints is the result.
pub(crate) fn bench(args: &[String]) -> Result<ExitCode> {
    let place = build("--release")?;
    hand_over(Command::new(place.root.join("target/release/countersign-bench")).args(args))
}

/// Kills the gateway under load, again and again.
pub(crate) fn soak(kills: u32) -> Result<ExitCode> {
    let place = build("--profile=dev")?;
    hand_over(Command::new(place.built("countersign-crash")).args(["--kills", &kills.to_string()]))
}

fn build(profile: &str) -> Result<Workplace> {
    let mut place = Workplace::find()?;
    place.begin("build", "building countersign and the tools of testkit")?;
    let mut command =
        place.cargo(&["build", "--package", "countersign", "--package", "testkit", "--bins", "--locked", profile]);
    place.must(&mut command)?;
    place.end("built");
    Ok(place)
}

/// Lets the program have the terminal; its exit code is ours.
fn hand_over(command: &mut Command) -> Result<ExitCode> {
    let status = command.status().with_context(|| format!("run {}", crate::process::shown(command)))?;
    Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(1)))
}
