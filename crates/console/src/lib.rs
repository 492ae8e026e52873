//! The API for people: approvals and their answers over HTTP, for approvers on other machines and for the web console.
//!
//! It shows what the gateway's book and the ledger have, and submits answers that persons signed; it decides nothing and cannot execute a call. Start at [`door::bind`];
//! [`api`] has the operations, [`sessions`] says who may read, [`wire`] what goes over the wire.

pub mod api;
pub mod door;
mod events;
pub mod limits;
pub mod problem;
mod records;
mod request;
pub mod sessions;
pub mod wire;
