//! The Model Context Protocol surface: tools, resources and prompts over stdio and Streamable HTTP.
//!
//! [`codec`] is the pure wire layer: bytes in, strictly read messages out, and back again without losing a byte. [`session`] follows one agent's session message
//! by message; [`upstream`] speaks to the server behind it, [`downstream`] to the agent's client. [`era`] holds what differs between protocol revisions.

mod claims;
pub mod codec;
pub mod downstream;
pub mod era;
#[cfg(test)]
mod fixture;
mod mirror;
pub mod rounds;
pub mod session;
mod streamable;
pub mod upstream;
pub mod web;
