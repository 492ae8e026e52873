//! The protocols through which agents act: each surface reads hostile bytes, hands calls to governance, and
//! executes only with a warrant.
//!
//! A surface knows its wire and nothing about policy. Surfaces never import one another. Start at [`mcp`].

pub mod limits;
pub mod mcp;
