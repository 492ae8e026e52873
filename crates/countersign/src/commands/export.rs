//! `countersign export`: a bundle of records that an outsider verifies.

use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use clap_complete::ArgValueCompleter;
use evidence::bundle::{Manifest, Scope};
use evidence::filter::Filter;
use gateway::attachments::Attachments;
use gateway::control::{Answer, Ask};
use gateway::home::Home;
use gateway::limits::{COSIGN_WAIT, START_WAIT, TRY_AGAIN};
use indicatif::{ProgressBar, ProgressFinish, ProgressStyle};
use store::Reader;
use store::bundle::{Under, Wanted, WriteError, write};

use super::ask;
use super::audit::{completed, pointed};
use crate::exit_code::{Exit, Failure};

/// Write a bundle: records with everything that an outsider needs to verify them; it is recorded who did, and why
#[derive(Args)]
#[command(after_help = "Examples:
  countersign export 'type:action_record after:2026-11-01 before:2026-12-01' --out november --why 'audit of November'
  countersign export 'call:0193b5a2-6f1e-7cc3-98c4-dc0c0c07398f' --out complaint.tar --why 'complaint FIN-2304'
  countersign export 'status:unknown after:2026-11-01' --whole --out november.tar --why 'audit of November'
  countersign export 'status:unknown after:2026-11-01' --cosigned --out november.tar --why 'audit of November'

A bundle has the records, their proofs, the checkpoint and the tree, attached files, keys, schemas, and a page that says how to verify it without this program. Whoever gets
it needs the log's public key (keys/log.vkey in the home) from you by another way. See `countersign verify`.")]
pub(crate) struct Export {
    /// Which records; '' for all
    #[arg(value_name = "FILTER", add = ArgValueCompleter::new(completed))]
    filter: String,
    /// The folder to make, or the file where it ends in .tar
    #[arg(long, value_name = "PATH")]
    out: PathBuf,
    /// Under a checkpoint that witnesses have cosigned, for which it waits
    #[arg(long)]
    cosigned: bool,
    /// An older checkpoint from which the bundle must show that the log grew
    #[arg(long, value_name = "FILE")]
    since: Vec<PathBuf>,
    /// With all records of the time (after, before) and the numbers (seq) that the filter names, so that whoever verifies sees that no matching one was left out
    #[arg(long)]
    whole: bool,
    /// Why: it is recorded
    #[arg(long, value_name = "TEXT")]
    why: String,
}

impl Export {
    pub(crate) fn run(self, home: &Home) -> Result<Exit, Failure> {
        if !self.filter.trim().is_empty() {
            self.filter.parse::<Filter>().map_err(|error| pointed(&self.filter, &error))?;
        }
        if self.out.exists() {
            return Err(Failure::usage(format!("`{}` is there already", self.out.display())));
        }
        let reader = Reader::open(home.path()).map_err(Failure::could_not)?;
        let older = self.since.iter().map(|path| size_of(&reader, path)).collect::<Result<_, _>>()?;
        let wanted = Ask::Export { filter: self.filter, why: self.why };
        let Answer::Exported(access_seq) = ask(home, wanted)? else {
            return Err(Failure::could_not("the gateway gave another answer"));
        };
        let attachments = Attachments::of(home);
        let content = |sha256: &str| attachments.read(sha256).map_err(std::io::Error::other);
        let wanted = Wanted {
            access_seq,
            attachments: &content,
            older,
            scope: if self.whole { Scope::Whole } else { Scope::Selected },
            under: if self.cosigned { Under::Cosigned } else { Under::Signed },
            version: env!("CARGO_PKG_VERSION").to_owned(),
        };
        let manifest = signed(&reader, &wanted, &self.out)?;
        println!("{}", told(&manifest, &self.out));
        Ok(Exit::Done)
    }
}

/// The size of a checkpoint of this log that was kept.
fn size_of(reader: &Reader, path: &Path) -> Result<u64, Failure> {
    let note = std::fs::read(path).map_err(|error| Failure::usage(format!("`{}`: {error}", path.display())))?;
    let keys = reader.keys().map_err(Failure::could_not)?;
    keys.open(&note).map(|(older, _)| older.size).map_err(|error| Failure::no(format!("`{}`: {error}", path.display())))
}

/// Writes the bundle as soon as the log has signed the record of this export, and witnesses have where they must.
fn signed(reader: &Reader, wanted: &Wanted<'_>, out: &Path) -> Result<Manifest, Failure> {
    let bar = bar("records");
    let begun = Instant::now();
    loop {
        let written = write(reader, wanted, out, &mut |done, of| {
            bar.set_length(of);
            bar.set_position(done);
        });
        match written {
            Err(WriteError::Unsigned { .. }) if begun.elapsed() < START_WAIT => std::thread::sleep(TRY_AGAIN),
            Err(WriteError::Uncosigned { .. }) if begun.elapsed() < COSIGN_WAIT => std::thread::sleep(TRY_AGAIN),
            other => return other.map_err(Failure::could_not),
        }
    }
}

/// A bar for long work, in a terminal alone.
pub(super) fn bar(what: &'static str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{wide_bar} {human_pos}/{human_len} {msg}, {per_sec}, {eta} left");
    let bar = ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_message(what);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar.with_finish(ProgressFinish::AndClear)
}

fn told(manifest: &Manifest, out: &Path) -> String {
    let span = manifest.population.span();
    let mut told = format!(
        "{}: {} records match, of {} in the log from {} to {}; signed up to {}\n",
        out.display(),
        manifest.selected.records,
        span.records,
        span.first,
        span.end() - 1,
        manifest.checkpoint.size
    );
    let lost = manifest.attachments.iter().filter(|of| !of.enclosed).count();
    if lost > 0 {
        told.push_str(&format!("{lost} attached files are not in it, because they are not in the home any more\n"));
    }
    let open = manifest.population.open_calls.count;
    if open > 0 {
        told.push_str(&format!("{open} calls were begun and not ended in this time\n"));
    }
    told.push_str(&format!("verify it with `countersign verify {} --key LOG_KEY`", out.display()));
    told
}
