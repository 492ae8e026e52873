//! What a process and a disk have used, read from `/proc`.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use anyhow::Context as _;

/// Linux counts process times in hundredths of a second, whatever the kernel's own tick is.
const NANOS_PER_TICK: u64 = 10_000_000;

/// Counters of a process and of the disk that it writes to; `None` where there is none or it cannot be read.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Used {
    pub(super) cpu_nanos: Option<u64>,
    /// Of the whole device, whoever caused them.
    pub(super) flushes: Option<u64>,
}

impl Used {
    pub(super) fn by(pid: u32, disk: &Path) -> Self {
        Self { cpu_nanos: cpu_nanos(pid).ok(), flushes: device_flushes(disk) }
    }

    pub(super) fn since(self, before: Self) -> Self {
        let gap = |now: Option<u64>, then: Option<u64>| Some(now?.saturating_sub(then?));
        Self { cpu_nanos: gap(self.cpu_nanos, before.cpu_nanos), flushes: gap(self.flushes, before.flushes) }
    }
}

/// Nanoseconds of CPU that all threads of `pid` have used. Threads that have ended are missing where the kernel offers its precise count; a gateway's threads
/// live as long as it does.
///
/// # Errors
/// When the process is gone.
fn cpu_nanos(pid: u32) -> anyhow::Result<u64> {
    let mut sum = 0;
    for entry in std::fs::read_dir(format!("/proc/{pid}/task")).with_context(|| format!("read the threads of {pid}"))? {
        let Ok(schedstat) = std::fs::read_to_string(entry?.path().join("schedstat")) else {
            return cpu_ticks(pid);
        };
        sum += schedstat.split(' ').next().and_then(|nanos| nanos.parse::<u64>().ok()).unwrap_or_default();
    }
    if sum == 0 { cpu_ticks(pid) } else { Ok(sum) }
}

fn cpu_ticks(pid: u32) -> anyhow::Result<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name, which may hold anything, is in parentheses; user and system time are the 12th and 13th field after it.
    let after_name = stat.rsplit(") ").next().unwrap_or_default();
    Ok(after_name.split(' ').skip(11).take(2).filter_map(|ticks| ticks.parse::<u64>().ok()).sum::<u64>()
        * NANOS_PER_TICK)
}

/// The most memory that `pid` has had resident, in bytes.
///
/// # Errors
/// When the process is gone.
pub(super) fn rss_peak_bytes(pid: u32) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kib * 1024)
}

/// Flush requests that the disk under `path` has completed since the system started: what syncs become when they reach a device. `None` where the file system
/// has no single device, or the kernel does not count.
fn device_flushes(path: &Path) -> Option<u64> {
    let device = std::fs::metadata(path).ok()?.dev();
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let stats = std::fs::read_to_string("/proc/diskstats").ok()?;
    stats.lines().find_map(|line| {
        let mut fields = line.split_ascii_whitespace();
        let ours = fields.next()?.parse() == Ok(major) && fields.next()?.parse() == Ok(minor);
        // major, minor, name, 15 counters, then flushes.
        if ours { fields.nth(16)?.parse().ok() } else { None }
    })
}

/// Refuses a folder that lives in memory, where a sync costs nothing.
///
/// # Errors
/// When it does, or cannot be looked at.
pub(super) fn refuse_memory(path: &Path) -> anyhow::Result<()> {
    const TMPFS_MAGIC: i64 = 0x0102_1994;
    const RAMFS_MAGIC: i64 = 0x8584_58f6;
    let kind = rustix::fs::statfs(path)?.f_type;
    anyhow::ensure!(
        kind != TMPFS_MAGIC && kind != RAMFS_MAGIC,
        "`{}` is in memory, where a sync costs nothing; give a folder on a disk with --scratch",
        path.display()
    );
    Ok(())
}

/// The processor's name, its number of cores, and the kernel: where a figure was measured.
pub(super) fn machine() -> String {
    let cpu = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = cpu.lines().find_map(|line| line.strip_prefix("model name\t: ")).unwrap_or("unknown processor");
    let kernel = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    format!("{cores} x {name}, Linux {}", kernel.trim())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_process_can_be_looked_at() {
        let pid = std::process::id();
        // A process that has just begun may not have been charged for anything yet.
        crate::wait::until("some work", Duration::from_secs(30), || match cpu_nanos(pid) {
            Ok(0) => Err("none yet".to_owned()),
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        })
        .unwrap();
        assert!(rss_peak_bytes(pid).unwrap() > 100 << 10);
        assert!(cpu_nanos(u32::MAX).is_err());
        assert!(cpu_ticks(pid).is_ok());
    }
}
