//! `cargo xtask test`: every check there is, each of which also runs alone.
//!
//! Stops after the round in which a step fails, shows what it said and how to run it again, and closes with one line that sums what the runners counted.

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, bail};

use crate::count::Count;
use crate::workplace::{Workplace, failure};
use crate::{api, conformance, deny, e2e, fuzz, tidy, tools};

/// How often the gateway is killed under load; `cargo xtask soak` does it 10,000 times.
const KILLS: &str = "150";
/// Three minutes for all targets together, in half the time on two processors; what is found sooner or later is found by `cargo xtask fuzz --seconds 3600`.
const FUZZ_TIME_TOTAL: Duration = Duration::from_secs(180);

/// One step: what it does, and how.
struct Step {
    name: &'static str,
    about: &'static str,
    run: fn(&mut Workplace) -> Result<Verdict>,
}

/// How a step ended.
enum Verdict {
    Held(Count),
    Broken(Count, String),
}

/// Rounds one after the other; the lanes of a round side by side, which spares the time in which one of them waits; the steps of a lane one after the other.
const ROUNDS: &[&[&[Step]]] = &[
    &[&[
        Step { name: "fmt", about: "the source is formatted", run: fmt },
        Step { name: "tidy", about: "the tree keeps the house rules", run: house_rules },
    ]],
    &[
        &[
            Step { name: "deny", about: "licences, sources and bans of dependencies", run: deny },
            Step {
                name: "build",
                about: "programs and tests of every crate, and lints: warnings are errors",
                run: build,
            },
        ],
        &[Step { name: "tools", about: "what the tests need is there or installed", run: install }],
    ],
    &[&[Step { name: "tests", about: "unit, property and simulation tests of every crate, and the docs", run: tests }]],
    &[
        &[Step { name: "e2e", about: "real clients and servers, direct and through the gateway", run: end_to_end }],
        &[
            Step {
                name: "conformance",
                about: "the MCP conformance suite, direct and through the gateway",
                run: conformance,
            },
            Step { name: "api", about: "the API for people against its own description", run: contract },
            Step { name: "crash", about: "the gateway killed under load tells the truth", run: crash },
            Step {
                name: "fuzz",
                about: "decoders of hostile bytes, from their seeds, for three minutes",
                run: fuzz_briefly,
            },
        ],
    ],
    &[&[Step { name: "counts", about: "a call allocates and asks of the system no more than it did", run: counts }]],
];

fn steps() -> impl Iterator<Item = &'static Step> {
    ROUNDS.iter().copied().flatten().copied().flatten()
}

/// Lists the steps.
pub(crate) fn list() {
    for step in steps() {
        println!("{:<12} {}", step.name, step.about);
    }
}

/// What the steps of a lane came to.
#[derive(Default)]
struct Tally {
    broken: bool,
    count: Count,
    ran: usize,
}

/// Runs all steps, or those named.
pub(crate) fn run(only: &[String]) -> Result<ExitCode> {
    if let Some(unknown) = only.iter().find(|name| !steps().any(|step| step.name == name.as_str())) {
        bail!("no step is called `{unknown}`: cargo xtask test --list");
    }
    let wanted = |step: &&Step| only.is_empty() || only.iter().any(|name| name == step.name);
    let all = steps().filter(wanted).count();
    let place = Workplace::find()?;
    let (started, mut begun, mut total) = (Instant::now(), 0, Tally::default());
    for round in ROUNDS {
        let mut lanes = Vec::new();
        for lane in *round {
            let steps: Vec<&Step> = lane.iter().filter(wanted).collect();
            let first = begun + 1;
            begun += steps.len();
            lanes.push((first, steps));
        }
        let tallies = std::thread::scope(|scope| -> Result<Vec<Tally>> {
            let place = &place;
            let running: Vec<_> = lanes
                .iter()
                .map(|(first, steps)| scope.spawn(move || run_lane(&mut place.beside(), steps, *first, all)))
                .collect();
            let ended =
                running.into_iter().map(|lane| lane.join().map_err(|_| anyhow!("the thread of a lane panicked"))?);
            ended.collect()
        })?;
        for tally in tallies {
            total.broken |= tally.broken;
            total.count += tally.count;
            total.ran += tally.ran;
        }
        if total.broken {
            break;
        }
    }
    println!("{} of {all} steps in {:.0} s", total.ran, started.elapsed().as_secs_f64());
    println!("{}", total.count);
    Ok(if total.broken { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

/// Runs steps, the first of which is number `first` of `all`, until one fails.
fn run_lane(place: &mut Workplace, steps: &[&Step], first: usize, all: usize) -> Result<Tally> {
    let mut tally = Tally::default();
    for (number, step) in (first..).zip(steps) {
        tally.ran += 1;
        place.begin(step.name, &format!("[{number:>2}/{all}] {}: {}", step.name, step.about))?;
        let verdict = (step.run)(place).unwrap_or_else(|error| Verdict::Broken(Count::default(), format!("{error:#}")));
        match verdict {
            Verdict::Held(count) => {
                tally.count += count;
                place.end(&if count == Count::default() {
                    "ok".to_owned()
                } else {
                    format!("ok, {} passed", count.passed)
                });
            }
            Verdict::Broken(mut count, said) => {
                // A step that broke before it could count has failed once.
                count.failed = count.failed.max(1);
                tally.count += count;
                tally.broken = true;
                place.end("FAILED");
                place.say(&format!(
                    "\n{said}\n\nthe whole log: {}\nthis step alone: cargo xtask test --only {}\n",
                    place.log().display(),
                    step.name
                ));
                break;
            }
        }
    }
    Ok(tally)
}

fn install(place: &mut Workplace) -> Result<Verdict> {
    tools::check_present()?;
    tools::counters(place)?;
    tools::crates(place)?;
    // Each client waits for its network and one processor: two side by side take half the time.
    let mut beside = place.beside();
    std::thread::scope(|scope| -> Result<()> {
        let node = scope.spawn(move || -> Result<()> {
            tools::node_packages(&mut beside)?;
            tools::conformance_runner(&mut beside)?;
            Ok(())
        });
        for python in [tools::Python::Sdk1, tools::Python::Sdk2, tools::Python::Contract] {
            tools::python(place, python)?;
        }
        node.join().map_err(|_| anyhow!("the thread that installs packages panicked"))?
    })?;
    Ok(Verdict::Held(Count::default()))
}

fn fmt(place: &mut Workplace) -> Result<Verdict> {
    let own = plain(place, &["fmt", "--all", "--check", "--", "--color", "never"])?;
    match own {
        Verdict::Held(_) => {
            plain(place, &["fmt", "--manifest-path", conformance::MANIFEST, "--check", "--", "--color", "never"])
        }
        broken @ Verdict::Broken(..) => Ok(broken),
    }
}

fn house_rules(place: &mut Workplace) -> Result<Verdict> {
    let tidied = tidy::run(&place.root)?;
    let count = Count { passed: tidied.held as u64, failed: tidied.broken as u64 };
    Ok(if tidied.broken == 0 { Verdict::Held(count) } else { Verdict::Broken(count, tidied.findings.join("\n")) })
}

fn deny(place: &mut Workplace) -> Result<Verdict> {
    let mut findings = deny::check(place, "Cargo.toml", deny::Extent::All)?;
    findings.extend(deny::check(place, conformance::MANIFEST, deny::Extent::LicencesAndSources)?);
    Ok(if findings.is_empty() {
        Verdict::Held(Count::default())
    } else {
        Verdict::Broken(Count { passed: 0, failed: findings.len() as u64 }, findings.join("\n"))
    })
}

fn build(place: &mut Workplace) -> Result<Verdict> {
    let mut command = place.everything();
    let ran = place.run(&mut command)?;
    Ok(counted(&command, ran, |_| Count::default()))
}

fn tests(place: &mut Workplace) -> Result<Verdict> {
    cargo_test(place, &["test", "--workspace", "--locked", "--no-fail-fast"])
}

fn end_to_end(place: &mut Workplace) -> Result<Verdict> {
    Ok(reported(e2e::run(place)?))
}

fn contract(place: &mut Workplace) -> Result<Verdict> {
    Ok(reported(api::run(place)?))
}

fn conformance(place: &mut Workplace) -> Result<Verdict> {
    Ok(reported(conformance::run(place)?))
}

fn reported(report: e2e::Report) -> Verdict {
    match report.said.is_empty() {
        true => Verdict::Held(report.count),
        false => Verdict::Broken(report.count, report.said),
    }
}

fn crash(place: &mut Workplace) -> Result<Verdict> {
    let mut command = Command::new(place.built("countersign-crash"));
    command.args(["--kills", KILLS]).current_dir(&place.root);
    let ran = place.run(&mut command)?;
    Ok(counted(&command, ran, |lines| Count::of_own(lines.iter().map(String::as_str))))
}

/// Counted, not timed: the same on a slow machine.
fn counts(place: &mut Workplace) -> Result<Verdict> {
    tools::counters(place)?;
    let mut command = Command::new(place.built("countersign-bench"));
    command.args(["counts", "--hold"]).current_dir(&place.root);
    let ran = place.run(&mut command)?;
    // One workload, one line.
    Ok(counted(&command, ran, |lines| {
        let workloads = lines.iter().filter(|line| line.contains(" allocations, ")).count();
        Count { passed: workloads as u64, failed: 0 }
    }))
}

fn fuzz_briefly(place: &mut Workplace) -> Result<Verdict> {
    let targets = fuzz::run_all(place, FUZZ_TIME_TOTAL, fuzz::Luck::Repeated)?;
    Ok(Verdict::Held(Count { passed: targets as u64, failed: 0 }))
}

/// A cargo command whose exit code is its whole answer.
fn plain(place: &mut Workplace, args: &[&str]) -> Result<Verdict> {
    let mut command = place.cargo(args);
    let ran = place.run(&mut command)?;
    Ok(counted(&command, ran, |_| Count::default()))
}

fn cargo_test(place: &mut Workplace, args: &[&str]) -> Result<Verdict> {
    // Most tests wait for programs that they start.
    let threads = 2 * std::thread::available_parallelism().map_or(1, usize::from);
    let mut command = place.linting(args);
    command.env("RUST_TEST_THREADS", threads.to_string());
    let ran = place.run(&mut command)?;
    let lines = ran.lines.clone();
    let verdict = counted(&command, ran, |lines| Count::of_cargo_test(lines.iter().map(String::as_str)));
    Ok(match verdict {
        Verdict::Held(count) if count.passed == 0 => Verdict::Broken(count, "no test ran".to_owned()),
        Verdict::Broken(count, said) => Verdict::Broken(count, failed_tests(&lines).unwrap_or(said)),
        verdict => verdict,
    })
}

/// What the failed tests said, of all that every test binary printed: from `failures:` to the binary's closing line. `None` if none came so far.
fn failed_tests(lines: &[String]) -> Option<String> {
    let mut said = Vec::new();
    let mut inside = false;
    for line in lines {
        inside |= line == "failures:";
        if inside {
            said.push(line.as_str());
        }
        inside &= !line.starts_with("test result: ");
    }
    (!said.is_empty()).then(|| said.join("\n"))
}

fn counted(command: &Command, ran: crate::process::Ran, count: fn(&[String]) -> Count) -> Verdict {
    let numbers = count(&ran.lines);
    if ran.succeeded() && numbers.failed == 0 {
        Verdict::Held(numbers)
    } else {
        Verdict::Broken(numbers, failure(command, &ran))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_test_is_shown_without_all_that_passed() {
        let output = "test a ... ok\n\nfailures:\n\n---- b stdout ----\nleft: 1\n\nfailures:\n    b\n\ntest result: FAILED. 1 passed; 1 failed\n\
                      test c ... ok\ntest result: ok. 1 passed; 0 failed";
        let lines: Vec<String> = output.lines().map(str::to_owned).collect();
        let said = failed_tests(&lines).unwrap();
        assert!(said.contains("left: 1") && said.ends_with("1 failed") && !said.contains(" ... ok"));
        assert_eq!(failed_tests(&["error: it does not compile".to_owned()]), None);
    }
}
