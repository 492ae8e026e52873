//! `countersign backup` and `countersign restore`: all that a home cannot make again, as one file.

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, IsTerminal as _, Read};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Args;
use evidence::record::Look;
use gateway::backup::{backup, restore};
use gateway::control::Ask;
use gateway::home::Home;
use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};
use store::backup::List;

use super::{ask, block_on};
use crate::exit_code::{Exit, Failure};

/// Back up the home, also while its gateway runs; it is recorded who did, and why
#[derive(Args)]
#[command(after_help = "Examples:
  countersign backup /mnt/backup/2026-11-27.tar
  countersign backup - --why nightly | zstd | age -r age1... > backup.tar.zst.age

The backup is a tar file of the home as of one moment: the log, keys, accepted versions, attachments, kept content, what is written by hand. The index and the tree are left out,
since they are made from the log. It holds the keys: whoever has it can sign as this log and open what is sealed, so keep it as you keep the home, or encrypt it on the way.")]
pub(crate) struct Backup {
    /// The file to write, or - for standard output
    #[arg(value_name = "FILE")]
    out: PathBuf,
    /// Why: it is recorded
    #[arg(long, value_name = "TEXT", default_value = "backup")]
    why: String,
}

/// Make a home from a backup
#[derive(Args)]
#[command(after_help = "Examples:
  countersign restore /mnt/backup/2026-11-27.tar --home /var/lib/countersign
  age -d -i key.txt backup.tar.zst.age | zstd -d | countersign restore - --home /var/lib/countersign

The home must not be there yet. Every file is held to the list in the backup, the ledger is verified, and an exception says that the home was restored. What was recorded after the
backup is not in it: never let the old home and the restored one both go on, since they would sign two histories of one log.")]
pub(crate) struct Restore {
    /// The backup, or - for standard input
    #[arg(value_name = "FILE")]
    from: PathBuf,
}

impl Backup {
    pub(crate) fn run(self, home: &Home) -> Result<Exit, Failure> {
        if self.out.exists() {
            return Err(Failure::usage(format!("`{}` is there already", self.out.display())));
        }
        ask(home, Ask::Look { filter: String::new(), look: Look::Backup, why: self.why.clone() })?;
        let bar = bar();
        let mut step = |done: u64, of: u64| {
            bar.set_length(of);
            bar.set_position(done);
        };
        let list = if is_standard(&self.out) {
            if io::stdout().is_terminal() {
                return Err(Failure::usage("a backup is no text for a terminal; pipe it on, or name a file"));
            }
            backup(home, BufWriter::new(io::stdout().lock()), &mut step).map_err(Failure::could_not)?
        } else {
            written(home, &self.out, &mut step)?
        };
        bar.finish_and_clear();
        eprintln!("{}", told(&list));
        Ok(Exit::Done)
    }
}

/// Writes the backup under another name until it is whole and on disk.
fn written(home: &Home, out: &Path, step: &mut dyn FnMut(u64, u64)) -> Result<List, Failure> {
    let fresh = out.with_added_extension("new");
    let could_not = |error: io::Error| Failure::could_not(format!("write `{}`: {error}", fresh.display()));
    let file = File::options().create(true).truncate(true).write(true).mode(0o600).open(&fresh).map_err(could_not)?;
    let done = backup(home, BufWriter::new(&file), step).map_err(Failure::could_not);
    let done = done.and_then(|list| {
        file.sync_all().and_then(|()| fs::rename(&fresh, out)).map_err(could_not)?;
        let folder = out.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|folder| folder.sync_all()).map_err(could_not)?;
        Ok(list)
    });
    if done.is_err() {
        let _nothing_is_left = fs::remove_file(&fresh);
    }
    done
}

impl Restore {
    pub(crate) fn run(self, home: &Home) -> Result<Exit, Failure> {
        let bar = bar();
        let mut source: Box<dyn Read> = if is_standard(&self.from) {
            Box::new(io::stdin().lock())
        } else {
            let file = File::open(&self.from)
                .map_err(|error| Failure::usage(format!("read `{}`: {error}", self.from.display())))?;
            bar.set_length(file.metadata().map_or(0, |found| found.len()));
            Box::new(BufReader::new(file))
        };
        let mut done = 0;
        let mut step = |bytes: u64| {
            done += bytes;
            bar.set_position(done);
        };
        let list = block_on(restore(&mut source, home, &mut step))?.map_err(Failure::could_not)?;
        bar.finish_and_clear();
        let report = store::fsck(home.path()).map_err(Failure::could_not)?;
        println!("{}: {}", home.path().display(), told(&list));
        print!("{report}");
        if !report.is_sound() {
            return Ok(Exit::No);
        }
        println!("the restored ledger verifies; an exception of kind `ledger` says that it was restored");
        Ok(Exit::Done)
    }
}

fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn told(list: &List) -> String {
    let bytes: u64 = list.files.iter().map(|file| file.bytes).sum();
    format!(
        "{} records of {}, {} files, {:.1} MiB, as of {}",
        list.records,
        list.origin,
        list.files.len(),
        bytes as f64 / f64::from(1 << 20),
        list.made_at
    )
}

/// Bytes, in a terminal alone.
fn bar() -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {bytes_per_sec}, {eta} left");
    let bar = ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.with_finish(ProgressFinish::AndClear)
}
