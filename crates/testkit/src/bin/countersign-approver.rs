//! Answers every question of a home with a yes. See [`testkit::approver`].

use std::process::ExitCode;

use clap::Parser as _;
use testkit::approver::{Options, run};

fn main() -> ExitCode {
    let options = Options::parse();
    let ran = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| runtime.block_on(run(&options)));
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("approver: {error:#}");
            ExitCode::from(3)
        }
    }
}
