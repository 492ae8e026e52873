//! `countersign verify`: checks evidence from its bytes, in a bundle or in the home.

use std::path::{Path, PathBuf};

use clap::Args;
use evidence::bundle::{Report, Scope, Trust, check};
use evidence::checkpoint::VerifierKey;
use gateway::attachments::faults;
use gateway::content;
use gateway::home::Home;
use gateway::rederive::rederive_all;
use store::bundle::Bundle;
use store::{Reader, fsck_since, rebuild};

use super::counting;
use super::export::bar;
use crate::exit_code::{Exit, Failure};

/// Check a bundle, or the ledger of the home, byte by byte
#[derive(Args)]
#[command(after_help = "Examples:
  countersign verify november.tar --key log.vkey
  countersign verify november.tar --key log.vkey --since october.checkpoint
  countersign verify --ledger
  countersign verify --ledger --rebuild
  countersign verify --ledger --replay

A bundle is checked with nothing but itself and the log's public key, which you have from elsewhere: signature, tree, every record, what it claims to be complete in, what people
signed, attached files, proofs. Of the home's ledger every byte is read: frames, canonical records, gapless numbers, one intent before each outcome, commitments, Merkle tree,
tiles, the signed checkpoint, the files that are attached to records, and the content of calls that is kept. Exit code 1, and what is wrong where, where something does not fit.

With --replay every decision is made again from what its record says it looked at, by the version of the mission and of the organisation that it names, which the home keeps.
Each is `same`, `different` (exit code 1) or not derivable, with the reason: what a result held is not on record, only its digest.")]
pub(crate) struct Verify {
    /// The bundle: a folder or a tar file
    #[arg(value_name = "BUNDLE", required_unless_present = "ledger", conflicts_with = "ledger")]
    bundle: Option<PathBuf>,
    /// The log's public key: a file with it, or the `vkey` line itself
    #[arg(long, value_name = "KEY", required_unless_present = "ledger", conflicts_with = "ledger")]
    key: Option<String>,
    /// Check the home's ledger
    #[arg(long)]
    ledger: bool,
    /// Also make the index anew from the log and compare the two row by row
    #[arg(long, requires = "ledger")]
    rebuild: bool,
    /// Also decide again everything that was decided, and compare
    #[arg(long, requires = "ledger")]
    replay: bool,
    /// A checkpoint that was kept earlier: the log must have grown from it
    #[arg(long, value_name = "FILE")]
    since: Vec<PathBuf>,
}

impl Verify {
    pub(crate) fn run(self, home: impl FnOnce() -> Result<Home, Failure>) -> Result<Exit, Failure> {
        let older = self.since.iter().map(|path| kept(path)).collect::<Result<Vec<_>, _>>()?;
        match (self.bundle, self.key) {
            (Some(path), Some(key)) => bundle(&path, Trust { key: trusted(&key)?, older }),
            _ => ledger(&home()?, &older, Also { rebuild: self.rebuild, replay: self.replay }),
        }
    }
}

/// A checkpoint that was kept, with its name.
fn kept(path: &Path) -> Result<(String, Vec<u8>), Failure> {
    let note = std::fs::read(path).map_err(|error| Failure::usage(format!("`{}`: {error}", path.display())))?;
    Ok((path.display().to_string(), note))
}

/// The key in a file, or as it is.
fn trusted(key: &str) -> Result<VerifierKey, Failure> {
    let text = match std::fs::read_to_string(key) {
        Ok(text) => text,
        Err(_) if key.contains('+') => key.to_owned(),
        Err(error) => return Err(Failure::usage(format!("the key `{key}`: {error}"))),
    };
    text.trim().parse().map_err(|error| Failure::usage(format!("`{key}`: {error}")))
}

fn bundle(path: &Path, trust: Trust) -> Result<Exit, Failure> {
    let files = Bundle::open(path).map_err(Failure::could_not)?;
    let bar = bar("records");
    let report = check(&files, &trust, &mut |done| {
        bar.set_length(bar.length().unwrap_or_default().max(done));
        bar.set_position(done);
    });
    bar.finish_and_clear();
    println!("{}", told(&report));
    Ok(if report.is_sound() { Exit::Done } else { Exit::No })
}

/// What a bundle was found to be.
fn told(report: &Report) -> String {
    let mut told = String::new();
    let mut line = |text: String| {
        told.push_str(&text);
        told.push('\n');
    };
    if let (Some(manifest), Some(checkpoint)) = (&report.manifest, &report.checkpoint) {
        let span = manifest.population.span();
        line(format!("log {}, signed up to record {}", checkpoint.origin, checkpoint.size));
        line(format!("records {} to {}, without a gap: {}", span.first, span.end() - 1, span.records));
        for (record_type, count) in &manifest.population.types {
            line(format!("  {record_type}: {count}"));
        }
        line(format!("match `{}`: {}; proved: {}", manifest.filter, manifest.selected.records, report.proved));
        match (manifest.scope, report.undecided) {
            (Scope::Whole, _) => line("all records of the piece are here, so none that matches is left out".to_owned()),
            (Scope::Selected, 0) => line("the public entries show that none that matches is left out".to_owned()),
            (Scope::Selected, some) => line(format!(
                "of {some} records that are not here only the log itself can tell whether they match; an export with `--whole` shows it"
            )),
        }
        let open = &manifest.population.open_calls;
        if open.count > 0 {
            line(format!("calls that were begun and not ended in this piece: {}", open.count));
        }
        let died = manifest.population.pauses.listed.iter().filter(|pause| !pause.in_order).count();
        if manifest.population.pauses.count > 0 {
            line(format!(
                "times in which the ledger was not open: {}, {died} of them because its process died",
                manifest.population.pauses.count
            ));
        }
        line(format!(
            "signatures of people: {}; attached files: {}; proofs of single records: {}; grown from {} older checkpoints",
            report.signatures, report.attachments, report.proofs, report.grown_from
        ));
        if report.followed {
            line("the whole log is here: every intent was allowed before, every outcome had its intent".to_owned());
        }
    }
    for fault in &report.faults {
        line(format!("wrong: {fault}"));
    }
    if report.faults_omitted > 0 {
        line(format!("and {} more", report.faults_omitted));
    }
    told.push_str(if report.is_sound() { "sound: everything is what the log signed" } else { "not sound" });
    told
}

/// What is asked of a ledger beside its bytes.
struct Also {
    rebuild: bool,
    replay: bool,
}

fn ledger(home: &Home, older: &[(String, Vec<u8>)], also: Also) -> Result<Exit, Failure> {
    let report = fsck_since(home.path(), older).map_err(Failure::could_not)?;
    println!("{report}");
    let mut sound = report.is_sound();
    if also.rebuild {
        let rebuilt = rebuild(home.path()).map_err(Failure::could_not)?;
        println!("{rebuilt}");
        sound &= rebuilt.is_sound();
    }
    if !sound {
        return Ok(Exit::No);
    }
    let reader = Reader::open(home.path()).map_err(Failure::could_not)?;
    let (count, faults) = faults(home, &reader).map_err(Failure::could_not)?;
    if count > 0 {
        println!("attachments: {count}, of which {} are not what was attached", faults.len());
    }
    faults.iter().for_each(|fault| println!("{fault}"));
    sound &= faults.is_empty();
    let (count, faults) = content::faults(home, &reader).map_err(Failure::could_not)?;
    if count > 0 {
        println!("content of calls: {count} kept, of which {} are not what was kept", faults.len());
    }
    faults.iter().for_each(|fault| println!("{fault}"));
    sound &= faults.is_empty();
    if also.replay {
        let progress = counting("decisions");
        let report = rederive_all(home, &reader, |done| progress.set_position(done)).map_err(Failure::could_not)?;
        progress.finish_and_clear();
        println!("{report}");
        sound &= report.is_sound();
    }
    Ok(if sound { Exit::Done } else { Exit::No })
}
