//! Bundles on disk: written from a ledger, and opened wherever they were taken.
//!
//! What a bundle is, and how it is verified, is in [`evidence::bundle`]. Start at [`write()`] and at [`Bundle::open`].

mod files;
pub(crate) mod tar;
mod write;

#[cfg(test)]
mod tests;

pub use files::{Bundle, OpenBundleError};
pub use write::{Under, Wanted, WriteError, write};
