//! The ledger on one machine: segment files for the log, SQLite for the index.

pub mod disk;
pub mod index;
mod query;
pub mod reader;
pub mod rebuild;
pub mod system;

#[cfg(test)]
mod tests;
