//! What can be proved later: records, their exact bytes, the Merkle tree over them, and how to verify them.
//!
//! Pure: no clock, no randomness, no files, no sockets. It depends on no other crate of the workspace, so an auditor's tool can link it alone.
//! Start at [`record::Record`] for what is written, at [`leaf`] for what the log commits to, and at [`checkpoint`] for what is signed.

pub mod approvals;
#[cfg(test)]
mod arbitrary;
pub mod bundle;
pub mod checkpoint;
pub mod cosignature;
pub mod decimal;
#[cfg(test)]
mod examples;
pub mod exceptions;
pub mod filter;
pub mod ids;
pub mod leaf;
pub mod limits;
pub mod merkle;
pub mod proof;
pub mod record;
pub mod rotation;
#[cfg(test)]
mod schemas;
pub mod tile;
pub mod time;
pub mod verify;
pub mod witness;
