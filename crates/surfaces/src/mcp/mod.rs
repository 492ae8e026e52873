//! The Model Context Protocol surface: tools, resources and prompts over stdio and Streamable HTTP.
//!
//! [`codec`] is the pure wire layer: bytes in, strictly read messages out, and back again without losing a byte.

pub mod codec;
