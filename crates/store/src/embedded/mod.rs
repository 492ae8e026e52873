//! The ledger on one machine: segment files for the log, SQLite for the index.

mod bits;
pub mod disk;
pub mod index;
mod query;
pub mod reader;
pub mod rebuild;
pub mod sql;
pub mod system;
mod view;
mod writer;

#[cfg(test)]
mod tests;
