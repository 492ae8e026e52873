//! The protocols through which agents act: each surface reads hostile bytes, hands calls to governance, and
//! executes only with a warrant.
//!
//! A surface knows its wire and nothing about policy. Surfaces never import one another. Start at [`mcp`] and [`workflow`]; what a
//! surface needs from the gateway is in [`govern`] and [`parked`]; [`strict`] reads what all of them are sent.

pub mod govern;
pub mod limits;
pub mod mcp;
pub mod parked;
pub mod strict;
pub mod workflow;
