//! The MCP server that tests and measurements put behind the gateway. See [`testkit::upstream`].

use clap::Parser as _;

fn main() -> anyhow::Result<()> {
    testkit::upstream::serve(&testkit::upstream::Options::parse())
}
