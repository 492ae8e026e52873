//! Audit tests: filters with an expectation, kept in files, asked of the ledger at any time and, by a running gateway, again and again.
//!
//! [`file`] reads them, [`judge`] holds one to the records, [`report`] puts the answers together by control, and [`watch`] opens an exception where one fails.

pub mod file;
pub mod judge;
mod library;
pub mod report;
pub mod watch;

pub use file::{AuditFile, AuditTest, Expectation, FileError};
pub use judge::{Failing, Judged};
pub use library::{LIBRARY, Shipped};
pub use report::{Report, TestReport, Verdict, Wanted};
pub use watch::Watched;
