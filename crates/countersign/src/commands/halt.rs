//! `countersign halt` and `countersign resume`: the stop switch.

use clap::Args;
use gateway::control::Ask;
use gateway::halts::{Scope, Switch};
use gateway::home::Home;

use super::ask;
use crate::exit_code::{Exit, Failure};

/// Stop everything, a mission or an agent now; resume the same way
#[derive(Args)]
#[command(after_help = "Examples:
  countersign halt --all --why 'strange payments'
  countersign halt --mission pay-supplier-invoices --why 'supplier list is being checked'
  countersign resume --all --why 'checked, all in order'")]
pub(crate) struct Halt {
    #[command(flatten)]
    what: What,
    /// Why: it is recorded
    #[arg(long, value_name = "TEXT")]
    why: String,
}

#[derive(Args)]
#[group(required = true, multiple = false)]
struct What {
    /// One mission
    #[arg(long, value_name = "NAME")]
    mission: Option<String>,
    /// One agent, in every mission
    #[arg(long, value_name = "NAME")]
    agent: Option<String>,
    /// Everything
    #[arg(long)]
    all: bool,
}

impl Halt {
    pub(crate) fn run(self, home: &Home, switch: Switch) -> Result<Exit, Failure> {
        let scope = match (self.what.mission, self.what.agent) {
            (Some(name), _) => Scope::Mission(name),
            (None, Some(name)) => Scope::Agent(name),
            (None, None) => Scope::All,
        };
        ask(home, Ask::Switch { scope: scope.clone(), switch, why: self.why })?;
        println!("{scope} is {}", switch.as_str());
        Ok(Exit::Done)
    }
}
