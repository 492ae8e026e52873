//! The crash truth: kill the gateway at random moments under load, start it again, and see whether the evidence still tells what happened.
//!
//! [`load`] calls tools with unique keys and remembers what it sent and heard; the upstream keeps its own log of effects; [`truth`] holds both against the
//! ledger. Everything random comes from one seed, but the kill meets the gateway where the system's scheduling has it: a seed repeats the choices, not the race.

mod load;
mod rounds;
mod truth;

use std::path::PathBuf;

use clap::{Parser, ValueEnum};

pub use rounds::run;

/// The command line of the crash test.
#[derive(Debug, Parser)]
#[command(name = "countersign-crash", about = "kill the gateway under load and check the evidence")]
pub struct Options {
    /// How often the gateway is killed.
    #[arg(long, default_value_t = 200)]
    pub kills: u32,
    /// Repeats the choices of an earlier run.
    #[arg(long)]
    pub seed: Option<u64>,
    /// The gateway's program. Default: beside this one.
    #[arg(long, value_name = "FILE")]
    pub binary: Option<PathBuf>,
    /// How agents reach the gateway.
    #[arg(long, value_enum, default_value_t = Transport::Both)]
    pub transport: Transport,
    /// Sessions at a time.
    #[arg(long, default_value_t = 6)]
    pub sessions: usize,
    /// Leave the home for a look even if everything is right.
    #[arg(long)]
    pub keep: bool,
}

/// How agents reach the gateway.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Transport {
    /// Half of the kills on each.
    Both,
    /// `serve`, sessions over Streamable HTTP with a run token, an upstream that outlives the gateway.
    Http,
    /// Bridges that start the gateway on demand, upstreams that die with it.
    Stdio,
}

/// Whether the evidence tells the truth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Every check holds.
    True,
    /// There is a counterexample; it was printed.
    False,
}

impl std::fmt::Display for Transport {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Both => "both",
            Self::Http => "http",
            Self::Stdio => "stdio",
        })
    }
}
