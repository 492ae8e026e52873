//! `countersign verify`: checks evidence from its bytes, in a bundle or in the home.

use std::path::{Path, PathBuf};

use clap::Args;
use evidence::bundle::{Report, Scope, Trust, check};
use evidence::checkpoint::{Note, VerifierKey};
use evidence::cosignature::{Cosigned, WitnessKey, Witnesses};
use gateway::attachments::faults;
use gateway::content;
use gateway::home::Home;
use gateway::rederive::rederive_all;
use gateway::witness::{key_of, log_key};
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
  countersign verify november.tar --key log.vkey --witness north.vkey --witness south.vkey --need 1
  countersign verify --ledger
  countersign verify --ledger --rebuild
  countersign verify --ledger --replay

A bundle is checked with nothing but itself and the log's public key, which you have from elsewhere: signature, tree, every record, what it claims to be complete in, what people
signed, attached files, proofs. Of the home's ledger every byte is read: frames, canonical records, gapless numbers, one intent before each outcome, commitments, Merkle tree,
tiles, the signed checkpoint, the files that are attached to records, and the content of calls that is kept. Exit code 1, and what is wrong where, where something does not fit.

The key may be any that the log had: where it was changed, the log itself names the next one, and it was handed over from key to key. Of a ledger the key is not needed, and shows whose it is.

With --witness the checkpoint must be cosigned by those witnesses, or by as many of them as --need says. Of a ledger that is its newest cosigned one; what came after is told.

With --replay every decision is made again from what its record says it looked at, by the version of the mission and of the organisation that it names, which the home keeps.
Each is `same`, `different` (exit code 1) or not derivable, with the reason: what a result held is not on record, only its digest.")]
pub(crate) struct Verify {
    /// The bundle: a folder or a tar file
    #[arg(value_name = "BUNDLE", required_unless_present = "ledger", conflicts_with = "ledger")]
    bundle: Option<PathBuf>,
    /// The log's public key, or one that it had before or has since: a file with it, or the `vkey` line itself
    #[arg(long, value_name = "KEY", required_unless_present = "ledger", value_parser = log_key)]
    key: Option<VerifierKey>,
    /// Check the home's ledger
    #[arg(long)]
    ledger: bool,
    /// Also make the index anew from the log and compare the two row by row
    #[arg(long, requires = "ledger")]
    rebuild: bool,
    /// Also decide again everything that was decided, and compare
    #[arg(long, requires = "ledger")]
    replay: bool,
    /// The public key of a witness that must have cosigned the checkpoint: a file with it, or the `vkey` line itself; several times for several
    #[arg(long, value_name = "KEY", value_parser = witness_key)]
    witness: Vec<WitnessKey>,
    /// How many of the witnesses must have cosigned [default: all]
    #[arg(long, value_name = "NUMBER", requires = "witness")]
    need: Option<usize>,
    /// A checkpoint that was kept earlier: the log must have grown from it
    #[arg(long, value_name = "FILE")]
    since: Vec<PathBuf>,
}

impl Verify {
    pub(crate) fn run(self, home: impl FnOnce() -> Result<Home, Failure>) -> Result<Exit, Failure> {
        let older = self.since.iter().map(|path| kept(path)).collect::<Result<Vec<_>, _>>()?;
        let witnesses = Witnesses::new(self.witness, self.need).map_err(Failure::usage)?;
        match (self.bundle, self.key) {
            (Some(path), Some(key)) => bundle(&path, Trust { key, older, witnesses }),
            (_, key) => {
                let also = Also { key, rebuild: self.rebuild, replay: self.replay, witnesses };
                ledger(&home()?, older, &also)
            }
        }
    }
}

/// A checkpoint that was kept, with its name.
fn kept(path: &Path) -> Result<(String, Vec<u8>), Failure> {
    let note = std::fs::read(path).map_err(|error| Failure::usage(format!("`{}`: {error}", path.display())))?;
    Ok((path.display().to_string(), note))
}

/// The key of a witness, in a file or as it is.
fn witness_key(text: &str) -> Result<WitnessKey, String> {
    key_of(text)?.parse().map_err(|error| format!("`{text}`: {error}"))
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
        if !report.cosigned.is_empty() {
            line(format!("cosigned by {}", names(&report.cosigned)));
        }
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

fn names(cosigned: &[Cosigned]) -> String {
    let names = cosigned.iter().map(|Cosigned { at, witness }| format!("{witness} at {at}"));
    names.collect::<Vec<_>>().join(", ")
}

/// The name of the checkpoint that witnesses have cosigned.
const COSIGNED: &str = "ledger/cosigned";

/// What a ledger has of its witnesses.
struct Witnessed {
    holds: bool,
    note: Option<Vec<u8>>,
    told: String,
}

/// Who cosigned the newest checkpoint of a ledger of which enough did.
fn witnessed(reader: &Reader, witnesses: &Witnesses) -> Result<Witnessed, Failure> {
    let Some(signed) = reader.cosigned().map_err(Failure::could_not)? else {
        let told = format!("wrong: `{COSIGNED}`: the witnesses have cosigned nothing yet");
        return Ok(Witnessed { holds: false, note: None, told });
    };
    let note = Note::parse(&signed.note).map_err(Failure::could_not)?;
    let size = signed.checkpoint.size;
    let (holds, told) = match witnesses.check(&note) {
        Ok(cosigned) => (true, format!("cosigned up to record {size} by {}", names(&cosigned))),
        Err(error) => (false, format!("wrong: `{COSIGNED}`: {error}")),
    };
    Ok(Witnessed { holds, note: Some(signed.note), told })
}

/// What is asked of a ledger beside its bytes.
struct Also {
    key: Option<VerifierKey>,
    rebuild: bool,
    replay: bool,
    witnesses: Witnesses,
}

fn ledger(home: &Home, mut older: Vec<(String, Vec<u8>)>, also: &Also) -> Result<Exit, Failure> {
    let mut who = None;
    if !also.witnesses.keys().is_empty() {
        let reader = Reader::open(home.path()).map_err(Failure::could_not)?;
        let mut witnessed = witnessed(&reader, &also.witnesses)?;
        // What the witnesses cosigned is held to the records with everything else.
        older.extend(witnessed.note.take().map(|note| (COSIGNED.to_owned(), note)));
        who = Some(witnessed);
    }
    let report = fsck_since(home.path(), also.key.as_ref(), &older).map_err(Failure::could_not)?;
    println!("{report}");
    let mut sound = report.is_sound();
    if let Some(Witnessed { holds, told, .. }) = who {
        println!("{told}");
        sound &= holds;
    }
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
