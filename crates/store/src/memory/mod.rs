//! The ledger in memory: the same writer and recovery over a disk that lives as long as its process.
//!
//! There is no second implementation of the log. Open one with [`crate::Ledger::in_memory`], or with [`crate::Ledger::open_on`] to open the same disk again.

mod disk;

pub use disk::MemoryDisk;
