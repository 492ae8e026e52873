//! Parts for tests and measurements: scratch homes, guarded processes, a real MCP server with countable effects, a raw load client, and the bodies of the
//! crash and load tools.
//!
//! Nothing here ships. The server and the client share no code with the gateway's own surfaces, and the crash check reads the evidence with readers of its
//! own, so that one mistake cannot hide in both places. Start at [`scratch::Scratch`] and [`process::Process`] to write a test, at [`upstream`] for the server.

pub mod approver;
pub mod bench;
pub mod client;
pub mod crash;
pub mod disk;
pub mod governed;
pub mod limits;
pub mod process;
pub mod random;
pub mod scratch;
pub mod upstream;
pub mod wait;
