//! `countersign-bench bundles`: how fast bundles are written from a ledger of governed calls, and how fast they are verified.

use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::Context as _;
use clap::Args;
use evidence::bundle::{Scope, Trust, check};
use evidence::cosignature::Witnesses;
use evidence::record::{Context, Draft, EvidenceAccess};
use evidence::time::Timestamp;
use store::bundle::{Bundle, Under, Wanted, write};
use store::{Ledger, Options as LedgerOptions, Reader};

use super::ledger::fill;
use super::{default_root, usage};
use crate::scratch::Scratch;

/// What to measure.
#[derive(Debug, Args)]
pub struct Options {
    /// How many records the ledger has.
    #[arg(long, default_value_t = 300_000)]
    pub records: u64,
    /// Where the home lives while it is measured: a real disk. Default: a folder beside the build's output.
    #[arg(long, value_name = "DIR")]
    pub scratch: Option<PathBuf>,
}

/// Which bundles: filter, scope, and the name of the folder or file.
const BUNDLES: [(&str, Scope, &str); 4] = [
    ("status:unknown", Scope::Selected, "none"),
    ("type:action_record", Scope::Selected, "actions"),
    ("seq:1..", Scope::Whole, "whole"),
    ("seq:1..", Scope::Whole, "whole.tar"),
];

/// Measures and prints.
///
/// # Errors
/// When the ledger does not open, or a bundle is not sound.
pub async fn run(options: &Options) -> anyhow::Result<()> {
    let root = match &options.scratch {
        Some(root) => root.clone(),
        None => default_root()?,
    };
    let scratch = Scratch::under(&root, "bundles")?;
    usage::refuse_memory(scratch.path())?;
    let home = scratch.join("home");
    fill(&home, options.records).await?;
    println!("{}", usage::machine());
    println!(
        "{:<22} {:<10} {:>10} {:>14} {:>14} {:>10}",
        "filter", "bundle", "in it", "written, rec/s", "checked, rec/s", "MiB"
    );
    for (filter, scope, name) in BUNDLES {
        let access_seq = export(&home, filter).await?;
        let out = scratch.join(name);
        let none = |_: &str| Ok(None);
        let wanted = Wanted {
            access_seq,
            attachments: &none,
            older: Vec::new(),
            scope,
            under: Under::Signed,
            version: "bench".into(),
        };
        let reader = Reader::open(&home)?;
        let begun = Instant::now();
        let manifest = write(&reader, &wanted, &out, &mut |_, _| {})?;
        let written = manifest.population.records as f64 / begun.elapsed().as_secs_f64();
        let signed = reader.checkpoint()?.context("the log has a checkpoint")?;
        let begun = Instant::now();
        let report = check(
            &Bundle::open(&out)?,
            &Trust { key: signed.key, older: Vec::new(), witnesses: Witnesses::default() },
            &mut |_| {},
        );
        let checked = manifest.population.records as f64 / begun.elapsed().as_secs_f64();
        anyhow::ensure!(report.is_sound(), "the bundle `{name}` is not sound: {:?}", report.faults.first());
        println!(
            "{filter:<22} {name:<10} {:>10} {written:>14.0} {checked:>14.0} {:>10.1}",
            manifest.records.records,
            bytes_of(&out)? as f64 / f64::from(1 << 20)
        );
    }
    println!("memory at most {:.0} MiB", usage::rss_peak_bytes(std::process::id())? as f64 / f64::from(1 << 20));
    Ok(())
}

/// Records an export; gives the number of the record.
async fn export(home: &Path, filter: &str) -> anyhow::Result<u64> {
    let ledger = Ledger::open(home, LedgerOptions::default())?;
    let (who, why) = ("bench".to_owned(), "to measure it".to_owned());
    let access = EvidenceAccess { channel: "cli".into(), filter: Some(filter.to_owned()), look: None, who, why };
    let at = Timestamp::from_micros(jiff::Timestamp::now().as_microsecond());
    let receipts = ledger.append(vec![Draft::new(Context::system().into(), None, at, access)]).await?;
    ledger.close().await?;
    receipts.first().map(|receipt| receipt.seq).context("a record has a receipt")
}

fn bytes_of(path: &Path) -> anyhow::Result<u64> {
    let about = path.metadata()?;
    if !about.is_dir() {
        return Ok(about.len());
    }
    let mut bytes = 0;
    for entry in std::fs::read_dir(path)? {
        bytes += bytes_of(&entry?.path())?;
    }
    Ok(bytes)
}
