//! `countersign organisation`: what every mission is held to, checked before it counts.

use std::path::PathBuf;
use std::sync::Arc;

use clap::Subcommand;
use gateway::classes::undefined_class;
use gateway::home::Home;
use gateway::organisation::read_organisation;

use super::classes::own_classes;
use super::mission::{Fault, compiled};
use crate::exit_code::{Exit, Failure};

/// Check the organisation file and hold missions against it
#[derive(Subcommand)]
#[command(after_help = "Examples:
  countersign organisation check organisation.toml
  countersign organisation check organisation.toml missions/accounts-payable.toml missions/document-reader.toml

The file that counts is `organisation.toml` in the home.")]
pub(crate) enum Organisation {
    /// Check an organisation file with the policies that it names, and say which missions break an invariant; exits with 1 where one does
    ///
    /// Own classes that it speaks of are looked for in the home's classes.toml.
    Check {
        /// The organisation file
        #[arg(value_name = "FILE")]
        file: PathBuf,
        /// Mission files
        #[arg(value_name = "MISSION")]
        missions: Vec<PathBuf>,
    },
}

impl Organisation {
    pub(crate) fn run(self, home: impl Fn() -> Result<Home, Failure>) -> Result<Exit, Failure> {
        let Self::Check { file, missions } = self;
        let bounds = Arc::new(read_organisation(&file).map_err(|text| Failure::no(text.trim_end().to_owned()))?);
        let shown = file.display();
        let own = own_classes(home().ok().as_ref())?;
        let captured = bounds.organisation().capture().own_classes();
        match (undefined_class(captured, &shown.to_string(), own.as_deref()), &own) {
            (None, _) => {}
            (Some(error), Some(_)) => return Err(Failure::no(error)),
            (Some(_), None) => {
                println!(
                    "{shown}: warning: own classes are not looked for here: the home has no classes.toml (--home DIR)"
                );
            }
        }
        println!("{shown}: organisation `{}` is sound (sha256 {})", bounds.organisation().name(), bounds.sha256());
        for change in bounds.organisation().changes(None) {
            println!("{shown}: {}", change.sentence);
        }
        let mut exit = Exit::Done;
        for mission in &missions {
            match compiled(mission, Some(&bounds)) {
                Ok((parsed, _)) => println!("{}: mission `{}` keeps to it", mission.display(), parsed.name()),
                Err(Fault::Unsound(text)) => {
                    println!("{}", text.trim_end());
                    exit = Exit::No;
                }
                Err(Fault::Unread(failure)) => return Err(failure),
            }
        }
        Ok(exit)
    }
}
