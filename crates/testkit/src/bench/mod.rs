//! Load figures: the path of a governed call beside the direct one, in one run, windows interleaved, so that both see the same machine.
//!
//! [`path`] is the whole way through the gateway's process; [`load`] makes the load; [`usage`] reads what it cost. No figure is asserted here.

mod load;
mod path;
mod usage;

pub use path::{Options as PathOptions, run as path};
