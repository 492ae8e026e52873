//! Tests of the whole: real processes where users have them, the simulated disk where disks must fail.
#![cfg_attr(test, expect(clippy::string_slice, reason = "a slice that is wrong fails the test that made it"))]

#[cfg(test)]
mod docs;
#[cfg(test)]
mod gateway;
#[cfg(test)]
mod ledger_faults;
