//! `countersign mission`: what an owner writes, checked before it counts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Subcommand;
use governance::decide::{PolicySnapshot, compile};
use governance::limits::MISSION_BYTES_MAX;
use governance::mission::{self, Mission as Parsed};

use crate::exit_code::{Exit, Failure};

/// Check and explain mission files
#[derive(Subcommand)]
#[command(after_help = "Examples:
  countersign mission check missions/document-reader.toml
  countersign mission compile missions/document-reader.toml")]
pub(crate) enum Mission {
    /// Check mission files: every problem with line, reason and suggestion
    Check {
        /// The files
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Print the Cedar policies that a mission compiles to
    Compile {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

impl Mission {
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        match self {
            Self::Check { files } => {
                let mut exit = Exit::Done;
                for file in &files {
                    match compiled(file) {
                        Ok((mission, _)) => println!(
                            "{}: mission `{}` is sound (sha256 {})",
                            file.display(),
                            mission.name(),
                            mission.sha256()
                        ),
                        Err(Fault::Unsound(text)) => {
                            println!("{text}");
                            exit = Exit::No;
                        }
                        Err(Fault::Unread(failure)) => return Err(failure),
                    }
                }
                Ok(exit)
            }
            Self::Compile { file } => match compiled(&file) {
                Ok((_, snapshot)) => {
                    println!("{}", snapshot.cedar_all());
                    Ok(Exit::Done)
                }
                Err(Fault::Unsound(text)) => Err(Failure::no(text)),
                Err(Fault::Unread(failure)) => Err(failure),
            },
        }
    }
}

enum Fault {
    Unread(Failure),
    Unsound(String),
}

fn compiled(file: &Path) -> Result<(Arc<Parsed>, PolicySnapshot), Fault> {
    let unread =
        |why: &dyn std::fmt::Display| Fault::Unread(Failure::usage(format!("read `{}`: {why}", file.display())));
    let size = std::fs::metadata(file).map_err(|error| unread(&error))?.len();
    if size > MISSION_BYTES_MAX as u64 {
        return Err(unread(&format!("it is larger than {MISSION_BYTES_MAX} bytes")));
    }
    let source = std::fs::read_to_string(file).map_err(|error| unread(&error))?;
    let mission =
        Arc::new(mission::parse(&source).map_err(|error| Fault::Unsound(error.render(&file.display().to_string())))?);
    let snapshot = compile(mission.clone()).map_err(|error| Fault::Unsound(format!("{}: {error}", file.display())))?;
    Ok((mission, snapshot))
}
