//! Tests of the whole: real processes where users have them, the simulated disk where disks must fail.

#[cfg(test)]
mod docs;
#[cfg(test)]
mod flow;
#[cfg(test)]
mod gateway;
#[cfg(test)]
mod invariants;
#[cfg(test)]
mod ledger_faults;
