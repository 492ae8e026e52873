//! The workflow surface: an automation that speaks no MCP asks before each of its steps, does it by itself, and reports what became of it.
//!
//! [`body`] reads what it sends, strictly and without IO; [`step`] is one step on its way: let go ahead once its intent is durable, and open until its end is reported;
//! [`answer`] says everything in HTTP. It opens no socket: the gateway's listener brings requests here.

pub mod answer;
pub mod body;
pub mod step;
#[cfg(test)]
mod tests;
