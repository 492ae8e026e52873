//! Durability: the ledger that holds the evidence, on this machine's disk or in memory.
//!
//! Two things with two guarantees (see [`ports`]): the **log**, which says when a group of records is durable and has one writer, and the **index**, which is derived
//! from the log and may trail it. Start at [`Ledger::open`] for writing and at [`Reader::open`] for reading beside a running gateway.
//! It knows what a record is and not what a decision means: it depends on `evidence` alone.

pub mod backup;
pub mod bundle;
pub mod embedded;
pub mod ledger;
pub mod limits;
pub mod memory;
pub mod ports;

pub use embedded::reader::{Group, Order, ReadError, Reader, Signed};
pub use embedded::rebuild::{RebuildError, Rebuilt, rebuild};
pub use embedded::sql::{Cell, Query, SqlError, View};
pub use ledger::{AppendError, CloseError, Health, Integration, Lag, Ledger, OpenError, Options, fsck, fsck_since};

#[cfg(test)]
mod conformance;
