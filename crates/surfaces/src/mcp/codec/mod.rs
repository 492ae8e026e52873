//! The pure wire layer of MCP: JSON-RPC messages, their two framings, and surgical changes to them.
//!
//! The rule of this module is that **what we decide about is what we forward**. A message is read once, strictly, and
//! refused where two readers could understand it differently ([`strict`]); what passes keeps its original bytes
//! ([`Envelope`]), is looked into without copying ([`Raw`]), and where it must change, changes only there
//! ([`Splice`]). [`LineDecoder`] and [`SseDecoder`] are the framings, [`batch`] takes arrays apart, [`author`] writes the messages that are our own.
//!
//! Nothing here opens a socket, waits, or knows what a mission is. Every function is total over hostile bytes.

pub mod author;
pub mod batch;
mod envelope;
mod header;
mod lines;
mod raw;
#[cfg(test)]
pub(crate) mod reference;
#[cfg(test)]
pub(crate) mod samples;
mod splice;
mod sse;

pub use crate::strict::{self, StrictError, StrictFault, strict_scan};
pub use envelope::{Envelope, EnvelopeError, EnvelopeFault, EnvelopeKind, Meant, RawId};
pub use header::{decode_header, encode_header};
pub use lines::{LineDecoder, LineError, encode_line, single_line};
pub use raw::{Elements, Member, Members, Raw, RawArray, RawObject, Shape};
pub use splice::{Splice, SpliceError};
pub use sse::{SSE_KEEP_ALIVE, SseDecoder, SseError, SseEvent};
