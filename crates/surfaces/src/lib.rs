//! The protocols through which agents act: each surface reads hostile bytes, hands calls to governance, and
//! executes only with a warrant.
//!
//! A surface knows its wire and nothing about policy. Surfaces never import one another. Start at [`mcp`]; what a
//! surface needs from the gateway is in [`govern`].

pub mod govern;
pub mod limits;
pub mod mcp;
