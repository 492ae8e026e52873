//! `countersign attach` and `countersign attachments`: files that belong to records.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use evidence::ids::RecordId;
use gateway::attachments::{Attach as Wanted, Attachments as Kept, Which, attached, find};
use gateway::control::{Answer, Ask};
use gateway::home::Home;
use serde_json::json;
use store::Reader;

use super::{Format, ask, table};
use crate::exit_code::{Exit, Failure};

/// Link a file to a record: a ticket, a contract, a photograph
#[derive(Args)]
#[command(after_help = "Examples:
  countersign attach 0193b5a2-6f1e-7cc3-98c4-dc0c0c07398f invoice.pdf --rel invoice --why 'what was paid'
  countersign attach 1207 ticket.txt --rel ticket --media-type text/plain --why 'who asked for it'

The record is named by its id or by its number in the log. The file is sealed in the home under its SHA-256, at most 64 MiB.")]
pub(crate) struct Attach {
    /// The record
    #[arg(value_name = "RECORD", value_parser = which)]
    record: Which,
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// What it is to the record
    #[arg(long, value_name = "WORD", default_value = "attachment")]
    rel: String,
    /// What kind of file it is
    #[arg(long, value_name = "TYPE", default_value = "application/octet-stream")]
    media_type: String,
    /// Why: it is recorded
    #[arg(long, value_name = "TEXT")]
    why: String,
}

/// List attachments and get them back
#[derive(Subcommand)]
#[command(after_help = "Examples:
  countersign attachments list
  countersign attachments list 1207
  countersign attachments get 3f1c...e9 --out invoice.pdf")]
pub(crate) enum Attachments {
    /// List the files of all records, or of one
    List {
        /// The record, by its id or number
        #[arg(value_name = "RECORD", value_parser = which)]
        record: Option<Which>,
        /// How to write them [default: a table in a terminal, else json]
        #[arg(long)]
        format: Option<Format>,
    },
    /// Write the content of one to a file that is not there yet
    Get {
        /// Its SHA-256
        #[arg(value_name = "SHA256", value_parser = sha256)]
        sha256: String,
        /// The file
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
}

/// A record by its number or id.
fn which(text: &str) -> Result<Which, String> {
    if let Ok(seq) = text.parse() {
        return Ok(Which::Seq(seq));
    }
    text.parse::<RecordId>()
        .map(Which::Id)
        .map_err(|_| format!("`{text}` is neither the number of a record nor its id"))
}

fn sha256(text: &str) -> Result<String, String> {
    let is_digest = text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    if is_digest { Ok(text.to_owned()) } else { Err("a SHA-256 is 64 lower-case hexadecimal digits".to_owned()) }
}

impl Attach {
    pub(crate) fn run(self, home: &Home) -> Result<Exit, Failure> {
        let Self { record, file, rel, media_type, why } = self;
        let file =
            std::path::absolute(&file).map_err(|error| Failure::usage(format!("`{}`: {error}", file.display())))?;
        let wanted = Wanted { file, media_type, record, rel, why };
        let Answer::Attached(sha256) = ask(home, Ask::Attach(Box::new(wanted)))? else {
            return Err(Failure::could_not("the gateway gave another answer"));
        };
        println!("{sha256}");
        Ok(Exit::Done)
    }
}

const COLUMNS: [&str; 7] = ["attached", "record", "rel", "type", "bytes", "sha256", "why"];

impl Attachments {
    pub(crate) fn run(self, home: &Home) -> Result<Exit, Failure> {
        match self {
            Self::List { record, format } => list(home, record, Format::or_fitting(format)),
            Self::Get { sha256, out } => {
                let content = Kept::of(home).read(&sha256).map_err(Failure::could_not)?;
                let content = content.ok_or_else(|| Failure::no(format!("no attachment {sha256} is here")))?;
                let unwritten =
                    |error: std::io::Error| Failure::could_not(format!("write `{}`: {error}", out.display()));
                let mut file =
                    OpenOptions::new().create_new(true).write(true).mode(0o600).open(&out).map_err(unwritten)?;
                file.write_all(&content).and_then(|()| file.sync_all()).map_err(unwritten)?;
                println!("{} bytes in {}", content.len(), out.display());
                Ok(Exit::Done)
            }
        }
    }
}

fn list(home: &Home, record: Option<Which>, format: Format) -> Result<Exit, Failure> {
    let reader = Reader::open(home.path()).map_err(Failure::could_not)?;
    let id = match record {
        None => None,
        Some(which) => {
            let found = find(&reader, which).map_err(Failure::could_not)?;
            Some(found.ok_or_else(|| Failure::no("the ledger has no such record".to_owned()))?.id)
        }
    };
    let all = attached(&reader, id).map_err(Failure::could_not)?;
    let rows = all.iter().map(|attached| {
        let link = &attached.link;
        let short = format!("{}…", link.sha256.chars().take(12).collect::<String>());
        [
            attached.at.to_string(),
            attached.record.clone(),
            link.rel.clone(),
            link.media_type.clone(),
            link.bytes.to_string(),
            if format == Format::Table { short } else { link.sha256.clone() },
            attached.why.clone(),
        ]
    });
    match format {
        Format::Json => {
            for attached in &all {
                println!(
                    "{}",
                    json!({ "attached_at": attached.at, "link": attached.link, "record": attached.record, "who": attached.who, "why": attached.why })
                );
            }
        }
        Format::Csv => {
            let mut out = csv::Writer::from_writer(std::io::stdout().lock());
            out.write_record(COLUMNS).map_err(Failure::could_not)?;
            for row in rows {
                out.write_record(row).map_err(Failure::could_not)?;
            }
            out.flush().map_err(Failure::could_not)?;
        }
        Format::Table if all.is_empty() => println!("No files are attached."),
        Format::Table => {
            let mut table = table(&COLUMNS);
            for row in rows {
                table.add_row(row);
            }
            println!("{table}");
        }
    }
    Ok(Exit::Done)
}
