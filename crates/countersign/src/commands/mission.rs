//! `countersign mission`: what an owner writes, checked before it counts.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Subcommand;
use governance::decide::{Cases, PolicySnapshot, compile, parse_cases};
use governance::limits::{CASES_BYTES_MAX, MISSION_BYTES_MAX};
use governance::mission::{self, Mission as Parsed};

use crate::exit_code::{Exit, Failure};

/// Check and explain mission files
#[derive(Subcommand)]
#[command(after_help = "Examples:
  countersign mission check missions/document-reader.toml
  countersign mission explain missions/document-reader.toml
  countersign mission test missions/document-reader.cases.toml
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
    /// Say in plain sentences what a mission allows
    Explain {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Decide the calls of files with cases, and compare with what they expect; nothing is executed
    Test {
        /// The files with cases; each names its mission
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
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
                Err(fault) => Err(fault.into()),
            },
            Self::Explain { file } => {
                let (mission, _) = compiled(&file)?;
                print!("{}", mission::explain(&mission));
                Ok(Exit::Done)
            }
            Self::Test { files } => test(&files),
        }
    }
}

/// Decides all cases of all files: one line for each that is not decided as expected, and one for each file.
fn test(files: &[PathBuf]) -> Result<Exit, Failure> {
    let mut exit = Exit::Done;
    for file in files {
        let shown = file.display();
        let source = read(file, CASES_BYTES_MAX)?;
        let Cases { cases, mission } =
            parse_cases(&source).map_err(|error| Failure::usage(format!("{shown}:{error}")))?;
        let (_, policy) = compiled(&file.parent().unwrap_or(Path::new("")).join(mission))?;
        let mut met = 0;
        for case in &cases {
            let decision = case.decide(&policy);
            if case.expect.is_met(&decision) {
                met += 1;
                continue;
            }
            let reasons: Vec<&str> = decision.reasons.iter().map(|reason| reason.code()).collect();
            let with = if reasons.is_empty() { String::new() } else { format!(" with `{}`", reasons.join("`, `")) };
            println!(
                "{shown}:{}: {}: {}{with} ({}), and {} is expected",
                case.line, case.name, decision.effect, decision.sentence, case.expect
            );
        }
        println!("{shown}: {met} of {} cases are decided as expected", cases.len());
        if met < cases.len() {
            exit = Exit::No;
        }
    }
    Ok(exit)
}

enum Fault {
    Unread(Failure),
    Unsound(String),
}

impl From<Fault> for Failure {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unread(failure) => failure,
            Fault::Unsound(text) => Self::no(text),
        }
    }
}

/// The text of a file of at most `bytes_max`.
fn read(file: &Path, bytes_max: usize) -> Result<String, Failure> {
    let unread = |why: &dyn std::fmt::Display| Failure::usage(format!("read `{}`: {why}", file.display()));
    let size = std::fs::metadata(file).map_err(|error| unread(&error))?.len();
    if size > bytes_max as u64 {
        return Err(unread(&format!("it is larger than {bytes_max} bytes")));
    }
    std::fs::read_to_string(file).map_err(|error| unread(&error))
}

fn compiled(file: &Path) -> Result<(Arc<Parsed>, PolicySnapshot), Fault> {
    let source = read(file, MISSION_BYTES_MAX).map_err(Fault::Unread)?;
    let mission =
        Arc::new(mission::parse(&source).map_err(|error| Fault::Unsound(error.render(&file.display().to_string())))?);
    let snapshot = compile(mission.clone()).map_err(|error| Fault::Unsound(format!("{}: {error}", file.display())))?;
    Ok((mission, snapshot))
}
