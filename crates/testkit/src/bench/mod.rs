//! Load figures: the path of a governed call beside the direct one, in one run, windows interleaved, so that both see the same machine.
//!
//! [`path`] is the whole way through the gateway's process, [`sustained`] the same for minutes, [`growth`] the same where there is more of
//! everything, [`ledger`] the log alone, [`bundles`] what is taken out of it, [`approvals`] what waits for people, [`missions`] decisions and what missions take, [`classify`] what the detector of data finds and how fast, [`counts`] what a call costs where no clock is trusted, [`evidence`] how long filters take over a large ledger; [`load`] makes the load; [`usage`] reads what it cost. No figure is
//! asserted here.

mod approvals;
mod bundles;
mod classify;
mod counts;
mod evidence;
mod growth;
mod ledger;
mod load;
mod missions;
mod path;
mod sustained;
mod usage;

use std::path::{Path, PathBuf};

use anyhow::Context as _;

pub use approvals::{Options as ApprovalsOptions, run as approvals};
pub use bundles::{Options as BundlesOptions, run as bundles};
pub use classify::{Options as ClassifyOptions, run as classify};
pub use counts::{Options as CountsOptions, run as counts};
pub use evidence::{Options as EvidenceOptions, run as evidence};
pub use growth::{Options as GrowthOptions, run as growth};
pub use ledger::{Options as LedgerOptions, run as ledger};
pub use missions::{Options as MissionsOptions, run as missions};
pub use path::{Options as PathOptions, run as path};
pub use sustained::{Options as SustainedOptions, run as sustained};

/// Where homes live while they are measured: beside the build's output, on whatever disk that is.
fn default_root() -> anyhow::Result<PathBuf> {
    let here = std::env::current_exe()?;
    Ok(here.parent().and_then(Path::parent).context("the program is in a build folder")?.join("bench"))
}
