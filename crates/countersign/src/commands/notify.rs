//! `countersign notify`: whether receivers of notifications are reached.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use gateway::clock;
use gateway::config::Config;
use gateway::notify::{Message, post};
use surfaces::mcp::web::WebClient;

use super::block_on;
use crate::exit_code::{Exit, Failure};

/// Try who is notified of what waits for people
#[derive(Subcommand)]
pub(crate) enum Notify {
    /// Send one message that says that messages arrive
    Test(Test),
}

#[derive(Args)]
#[command(after_help = "Examples:
  countersign notify test oncall --config countersign.toml")]
pub(crate) struct Test {
    /// The notifier: NAME of [notify.NAME]
    #[arg(value_name = "NAME")]
    name: String,
    /// The configuration
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

impl Notify {
    pub(crate) fn run(self) -> Result<Exit, Failure> {
        let Self::Test(Test { name, config }) = self;
        let config = Config::read(&config).map_err(Failure::usage)?;
        let Some(receiver) = config.notify.get(&name) else {
            let known: Vec<&str> = config.notify.keys().map(String::as_str).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            return Err(Failure::usage(format!("the configuration has no [notify.{name}]; it has {known}")));
        };
        let message = Message::trial(&clock::now().micros().to_string(), clock::now());
        match block_on(post(&WebClient::default(), receiver, &message))? {
            Ok(()) => {
                println!("`{name}` has taken it");
                Ok(Exit::Done)
            }
            Err(error) => Err(Failure::could_not(format!("`{name}` has not taken it: {error}"))),
        }
    }
}
