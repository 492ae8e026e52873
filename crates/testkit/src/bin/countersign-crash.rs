//! Kills the gateway under load and checks the evidence. Exits with 0 if it tells the truth, 1 if not, 3 if that could not be found out.
//! See [`testkit::crash`].

use std::process::ExitCode;

use clap::Parser as _;
use testkit::crash::{Options, Verdict, run};

fn main() -> ExitCode {
    let options = Options::parse();
    let verdict = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(anyhow::Error::from)
        .and_then(|runtime| tokio::task::LocalSet::new().block_on(&runtime, run(&options)));
    match verdict {
        Ok(Verdict::True) => ExitCode::SUCCESS,
        Ok(Verdict::False) => ExitCode::from(1),
        Err(error) => {
            eprintln!("crash: {error:#}");
            ExitCode::from(3)
        }
    }
}
