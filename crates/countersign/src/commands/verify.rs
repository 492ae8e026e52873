//! `countersign verify`: checks evidence from its bytes.

use clap::Args;
use gateway::attachments::faults;
use gateway::content;
use gateway::home::Home;
use gateway::rederive::rederive_all;
use store::{Reader, fsck, rebuild};

use super::counting;
use crate::exit_code::{Exit, Failure};

/// Check the ledger byte by byte
#[derive(Args)]
#[command(after_help = "Examples:
  countersign verify --ledger
  countersign verify --ledger --rebuild
  countersign verify --ledger --replay

Reads every byte of the log: frames, canonical records, gapless numbers, one intent before each outcome, commitments, Merkle tree,
tiles, the signed checkpoint, the files that are attached to records, and the content of calls that is kept. Exit code 1 and the first bad byte where something does not fit.

With --replay every decision is made again from what its record says it looked at, by the version of the mission and of the organisation that it names, which the home keeps.
Each is `same`, `different` (exit code 1) or not derivable, with the reason: what a result held is not on record, only its digest.")]
pub(crate) struct Verify {
    /// Check the home's ledger
    #[arg(long, required = true)]
    ledger: bool,
    /// Also make the index anew from the log and compare the two row by row
    #[arg(long)]
    rebuild: bool,
    /// Also decide again everything that was decided, and compare
    #[arg(long)]
    replay: bool,
}

impl Verify {
    pub(crate) fn run(self, home: &Home) -> Result<Exit, Failure> {
        let report = fsck(home.path()).map_err(Failure::could_not)?;
        println!("{report}");
        let mut sound = report.is_sound();
        if self.rebuild {
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
        if self.replay {
            let progress = counting("decisions");
            let report = rederive_all(home, &reader, |done| progress.set_position(done)).map_err(Failure::could_not)?;
            progress.finish_and_clear();
            println!("{report}");
            sound &= report.is_sound();
        }
        Ok(if sound { Exit::Done } else { Exit::No })
    }
}
