//! `countersign-bench counts`: what one governed call costs, counted without a clock: allocations and instructions (valgrind), system calls and syncs (strace).
//!
//! One session, one call after the other, so that a call's costs are its own. What is counted is the difference between two moments of one process, or between two
//! runs that differ in their calls alone: starting, ending and opening a session are in none of it. A busy machine adds some wake-ups; [`CEILINGS`] leave room
//! for them and for nothing else.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;

use super::load::Workload;
use super::path::{self, ECHO, READ};
use crate::client::{Answer, HttpSession};
use crate::governed::{Home, Upstream, sibling};
use crate::limits::PATIENCE;
use crate::scratch::Scratch;
use crate::wait;

/// What to count.
#[derive(Debug, Args)]
pub struct Options {
    /// The gateway's program. Default: beside this one.
    #[arg(long, value_name = "FILE")]
    pub binary: Option<PathBuf>,
    /// Calls whose allocations and instructions are counted; under valgrind each takes some 10 ms.
    #[arg(long, default_value_t = 200)]
    pub calls: u32,
    /// Calls whose system calls are counted.
    #[arg(long, default_value_t = 1_000)]
    pub traced_calls: u32,
    /// Fail where a count is above its ceiling.
    #[arg(long)]
    pub hold: bool,
    /// Every count, as JSON.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
}

/// Calls before anything counts: buffers have their size and caches are filled after them.
const WARM_CALLS: u32 = 40;

/// The most that one call of a workload may cost. A change that needs more says so here.
struct Ceiling {
    allocations: f64,
    syncs: f64,
    syscalls: f64,
    workload: &'static str,
}

/// Seen: 111 to 122 allocations, of which some 10 look for data in arguments and results; the more the longer a call takes, since clocks tick meanwhile. 13.3 to 14.1 system calls
/// with 1.03 to 1.10 syncs for a read, 17.5 to 20.3 with 2.03 for the other. A read whose client takes longer than `LINGER_MS` to call again, as on a machine that stalls, is synced
/// alone once more.
const CEILINGS: [Ceiling; 2] = [
    Ceiling { allocations: 140.0, syncs: 1.5, syscalls: 17.0, workload: READ.name },
    Ceiling { allocations: 140.0, syncs: 2.2, syscalls: 23.0, workload: ECHO.name },
];

/// What the index may allocate for each call, and for each batch in which it takes calls in: how many calls are in a batch is the machine's pace.
/// Seen: 30 and 85, by 31 to 34 at 20 to 29 calls in a batch and 55 to 59 at 3.
const INDEX_A_CALL: f64 = 34.0;
const INDEX_A_BATCH: f64 = 100.0;

/// What one call costs, in the mean.
#[derive(Debug, Serialize)]
struct Counts {
    /// Of all threads but the index's.
    allocations: f64,
    /// Calls that were counted.
    calls: u32,
    index_allocations: f64,
    /// Batches in which the index took in all of the calls.
    index_batches: u64,
    instructions: f64,
    syncs: f64,
    syscalls: f64,
    /// By name.
    syscalls_by_name: BTreeMap<String, f64>,
    workload: &'static str,
}

/// Counts, prints, and holds the counts to their ceilings where that is asked for.
///
/// # Errors
/// When valgrind or strace is missing, a part does not start, an answer is no result, or a count is above its ceiling.
pub async fn run(options: &Options) -> anyhow::Result<()> {
    let scratch = Scratch::new("counts")?;
    let upstream = Upstream::start(&sibling("countersign-upstream")?, &[])?;
    let binary = options.binary.clone().map_or_else(|| sibling("countersign"), Ok)?;
    let mut all = Vec::new();
    for (number, workload) in [READ, ECHO].into_iter().enumerate() {
        let home = |part: &str| -> anyhow::Result<Home> {
            let home = Home::new(&binary, &scratch.join(&format!("{part}{number}")))?;
            path::write_missions(&home)?;
            home.write_config(&upstream.url())?;
            Ok(home)
        };
        let executed = executed(&home("v")?, workload, options.calls, &scratch).await?;
        let few = traced(&home("f")?, workload, WARM_CALLS, &scratch).await?;
        let many = traced(&home("m")?, workload, WARM_CALLS + options.traced_calls, &scratch).await?;
        let syscalls_by_name = differences(&few, &many, options.traced_calls);
        let syncs = syscalls_by_name.get("fdatasync").copied().unwrap_or_default();
        let syscalls = syscalls_by_name.values().sum();
        let a_call = |count: u64| count as f64 / f64::from(options.calls);
        let counts = Counts {
            allocations: a_call(executed.path),
            calls: options.calls,
            index_allocations: a_call(executed.index),
            index_batches: executed.batches,
            instructions: a_call(executed.instructions),
            syncs,
            syscalls,
            syscalls_by_name,
            workload: workload.name,
        };
        counts.print();
        all.push(counts);
    }
    if let Some(file) = &options.json {
        std::fs::write(file, serde_json::to_vec_pretty(&all)?)
            .with_context(|| format!("write `{}`", file.display()))?;
    }
    let above: Vec<String> = all.iter().flat_map(Counts::above).collect();
    anyhow::ensure!(!options.hold || above.is_empty(), "a call costs more than it did:\n{}", above.join("\n"));
    Ok(())
}

impl Counts {
    fn print(&self) {
        println!(
            "{}: {:.1} allocations, {:.1} more for the index ({:.1} calls in a batch), {:.0} instructions, {:.2} system calls, {:.2} of them syncs",
            self.workload,
            self.allocations,
            self.index_allocations,
            f64::from(self.calls) / self.index_batches as f64,
            self.instructions,
            self.syscalls,
            self.syncs
        );
        for (name, calls) in self.syscalls_by_name.iter().filter(|(_, calls)| **calls >= 0.01) {
            println!("    {name:<16} {calls:.2}");
        }
    }

    /// What is above its ceiling.
    fn above(&self) -> Vec<String> {
        let ceiling = CEILINGS.iter().find(|ceiling| ceiling.workload == self.workload);
        let Some(ceiling) = ceiling else { return vec![format!("`{}` has no ceiling", self.workload)] };
        let counts = [
            ("allocations", self.allocations, ceiling.allocations),
            (
                "allocations of the index",
                self.index_allocations,
                INDEX_A_CALL + INDEX_A_BATCH * self.index_batches as f64 / f64::from(self.calls),
            ),
            ("system calls", self.syscalls, ceiling.syscalls),
            ("syncs", self.syncs, ceiling.syncs),
        ];
        let above = counts.into_iter().filter(|(_, count, most)| count > most);
        above.map(|(what, count, most)| format!("{}: {count:.2} {what}, at most {most}", self.workload)).collect()
    }
}

/// Opens a session of the workload's mission.
async fn session(home: &Home, served: &crate::governed::Served, workload: Workload) -> anyhow::Result<HttpSession> {
    Ok(HttpSession::open(&served.target(&home.token_for(workload.mission)?)).await?)
}

async fn call(session: &mut HttpSession, workload: Workload, times: u32) -> anyhow::Result<()> {
    for _ in 0..times {
        match session.call(workload.tool, workload.arguments).await? {
            Answer::Done(_) => {}
            other => anyhow::bail!("`{}` was not done: {}", workload.tool, other.text()),
        }
    }
    Ok(())
}

/// Allocations and instructions of `calls` calls.
async fn executed(home: &Home, workload: Workload, calls: u32, scratch: &Scratch) -> anyhow::Result<Executed> {
    let out = scratch.join("callgrind");
    let file = format!("--callgrind-out-file={}", out.display());
    let mut served = home
        .start_under(&["valgrind", "--tool=callgrind", "--separate-threads=yes", &file])
        .context("count with valgrind")?;
    let pid = served.process.pid().to_string();
    let mut session = session(home, &served, workload).await?;
    call(&mut session, workload, WARM_CALLS).await?;
    control(&["-z", &pid])?;
    call(&mut session, workload, calls).await?;
    control(&["-d", &pid])?;
    let profiles = wait::until("the counts", PATIENCE, || dumped(&out))?;
    drop(session);
    path::stop(&mut served)?;
    let mut executed = Executed::default();
    for profile in profiles {
        executed.instructions += profile.instructions;
        executed.batches += profile.batches;
        *(if profile.batches > 0 { &mut executed.index } else { &mut executed.path }) += profile.allocations;
    }
    anyhow::ensure!(executed.path > 0, "no allocation was seen: the allocator's functions have other names now");
    anyhow::ensure!(executed.batches > 0, "no batch of the index was seen: `{BATCH}` has another name now");
    Ok(executed)
}

/// What ran, over all the calls that were counted.
#[derive(Debug, Default)]
struct Executed {
    /// Allocations of all threads but the index's.
    path: u64,
    /// Allocations of the index's thread, which gathers calls by the clock: a slow machine has fewer of them in a batch.
    index: u64,
    batches: u64,
    instructions: u64,
}

/// The threads of the first dump that was asked for, each in a file of its own: `callgrind.1-01` and so on. The one at the end has no number.
fn dumped(out: &Path) -> Result<Vec<Profile>, String> {
    let dir = out.parent().ok_or("the dump has no folder")?;
    let stem = out.file_name().and_then(|name| name.to_str()).ok_or("the dump has no name")?;
    let mut profiles = Vec::new();
    for entry in std::fs::read_dir(dir).map_err(|error| error.to_string())? {
        let entry = entry.map_err(|error| error.to_string())?;
        let name = entry.file_name();
        let Some(thread) = name.to_str().and_then(|name| name.strip_prefix(stem)?.strip_prefix(".1-")) else {
            continue;
        };
        let text = std::fs::read_to_string(entry.path()).map_err(|error| error.to_string())?;
        if !text.contains("\ntotals: ") {
            return Err(format!("thread {thread} is not written to its end"));
        }
        profiles.push(Profile::read(&text));
    }
    if profiles.iter().any(|profile| profile.batches > 0) { Ok(profiles) } else { Err("not all written".to_owned()) }
}

fn control(args: &[&str]) -> anyhow::Result<()> {
    let done = Command::new("callgrind_control")
        .args(args)
        .output()
        .context("run callgrind_control, which comes with valgrind")?;
    anyhow::ensure!(done.status.success(), "callgrind_control: {}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}

/// What callgrind says of one thread.
#[derive(Debug, Default, PartialEq, Eq)]
struct Profile {
    allocations: u64,
    /// Batches that it wrote into the index: none but the index's thread does.
    batches: u64,
    instructions: u64,
}

/// The allocator's entrances: every allocation of the program comes through one of them. SQLite, which is C, brings its own, a few for each batch.
const ENTRANCES: [&str; 3] = ["mi_malloc_aligned", "mi_zalloc_aligned", "mi_realloc_aligned"];

/// How the function's name ends that writes one batch into the index.
const BATCH: &str = "Index>::apply";

impl Profile {
    fn read(text: &str) -> Self {
        let mut profile = Self::default();
        let mut names = HashMap::new();
        let (mut is_entrance, mut is_batch) = (false, false);
        for line in text.lines() {
            if let Some(called) = line.strip_prefix("cfn=") {
                let called = name(called, &mut names);
                is_entrance = ENTRANCES.contains(&called);
                is_batch = called.ends_with(BATCH);
            } else if let Some(caller) = line.strip_prefix("fn=") {
                name(caller, &mut names);
            } else if let Some(calls) = line.strip_prefix("calls=") {
                let calls: u64 = calls.split(' ').next().and_then(|calls| calls.parse().ok()).unwrap_or_default();
                profile.allocations += if is_entrance { calls } else { 0 };
                profile.batches += if is_batch { calls } else { 0 };
            } else if let Some(total) = line.strip_prefix("totals: ") {
                profile.instructions = total.trim().parse().unwrap_or_default();
            }
        }
        profile
    }
}

/// The name in `(7) name`, or the one that `(7)` stood for before.
fn name<'a>(text: &'a str, names: &mut HashMap<&'a str, &'a str>) -> &'a str {
    match text.split_once(' ') {
        Some((number, name)) => {
            names.insert(number, name);
            name
        }
        None => names.get(text).copied().unwrap_or_default(),
    }
}

/// System calls by name of a gateway that is started, serves `calls` calls and is stopped.
async fn traced(
    home: &Home,
    workload: Workload,
    calls: u32,
    scratch: &Scratch,
) -> anyhow::Result<BTreeMap<String, u64>> {
    let out = scratch.join(&format!("strace-{calls}-{}", workload.mission));
    let file = out.to_str().context("the scratch path is text")?;
    // Detached, so that the process is the gateway and not strace.
    let mut served = home.start_under(&["strace", "-D", "-f", "-c", "-o", file]).context("count with strace")?;
    let mut session = session(home, &served, workload).await?;
    call(&mut session, workload, calls).await?;
    drop(session);
    path::stop(&mut served)?;
    wait::until("the counts", PATIENCE, || read_counts(&out)).map_err(Into::into)
}

/// Reads the table that `strace -c` writes at the end.
fn read_counts(file: &Path) -> Result<BTreeMap<String, u64>, String> {
    let text = std::fs::read_to_string(file).map_err(|error| error.to_string())?;
    let (rows, total) = text.rsplit_once("\n------").unwrap_or_default();
    if !total.ends_with(" total\n") {
        return Err("not written to its end".to_owned());
    }
    let counted = rows.lines().filter_map(|line| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        // Share, seconds, microseconds a call, calls, errors where there were any, name.
        Some(((*fields.last()?).to_owned(), fields.get(3)?.parse().ok()?))
    });
    Ok(counted.collect())
}

fn differences(few: &BTreeMap<String, u64>, many: &BTreeMap<String, u64>, calls: u32) -> BTreeMap<String, f64> {
    let difference = |(name, more): (&String, &u64)| {
        let less = few.get(name).copied().unwrap_or_default();
        (name.clone(), (*more as f64 - less as f64) / f64::from(calls))
    };
    many.iter().map(difference).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_profile_counts_the_calls_of_the_allocators_entrances() {
        let text = "fn=(1) main\n0 7\ncfn=(2) mi_malloc_aligned\ncalls=3 0\n0 9\ncfn=(3) mi_malloc_aligned_at\ncalls=5 0\n0 9\n\
                    fn=(4) other\ncfn=(2)\ncalls=2 0\n0 1\ncfn=(5) mi_realloc_aligned\ncalls=1 0\n\ntotals: 4711\n";
        assert_eq!(Profile::read(text), Profile { allocations: 6, batches: 0, instructions: 4711 });
    }

    #[test]
    fn the_indexs_thread_is_the_one_that_writes_batches() {
        let dir = Scratch::new("threads").unwrap();
        let out = dir.join("callgrind");
        let path = "fn=(1) serve\n0 7\ncfn=(2) mi_malloc_aligned\ncalls=3 0\n0 9\n\ntotals: 10\n";
        let index =
            "fn=(1) step\ncfn=(2) <store::embedded::index::Embedded as store::ports::Index>::apply\ncalls=4 0\n0 9\n\n";
        std::fs::write(dir.join("callgrind.1-01"), path).unwrap();
        assert!(dumped(&out).is_err(), "the index's thread is missing");
        std::fs::write(dir.join("callgrind.1-02"), index).unwrap();
        assert!(dumped(&out).is_err(), "it is not written to its end");
        std::fs::write(dir.join("callgrind.1-02"), format!("{index}totals: 5\n")).unwrap();
        std::fs::write(dir.join("callgrind"), "totals: 9\n").unwrap();
        let mut batches: Vec<u64> = dumped(&out).unwrap().iter().map(|profile| profile.batches).collect();
        batches.sort_unstable();
        assert_eq!(batches, [0, 4]);
    }

    #[test]
    fn system_calls_are_read_and_compared() {
        let dir = Scratch::new("strace").unwrap();
        let file = dir.join("out");
        let table = |futex: u32| {
            format!(
                "% time     seconds  usecs/call     calls    errors syscall\n------ ----------- ----------- --------- --------- ----------------\n \
                     66.41    1.991369         239      {futex}       131 futex\n  8.66    0.259751          61      4193           fdatasync\n\
                     ------ ----------- ----------- --------- --------- ----------------\n100.00    0.032222           7      4357        42 total\n"
            )
        };
        std::fs::write(&file, table(8322)).unwrap();
        let few = read_counts(&file).unwrap();
        std::fs::write(&file, table(8522)).unwrap();
        let many = read_counts(&file).unwrap();
        let gap = differences(&few, &many, 100);
        assert_eq!(
            gap.iter().map(|(name, count)| (&**name, *count)).collect::<Vec<_>>(),
            [("fdatasync", 0.0), ("futex", 2.0)]
        );
        std::fs::write(&file, "% time").unwrap();
        assert!(read_counts(&file).is_err());
    }
}
