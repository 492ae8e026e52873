//! The gateway as its users meet it: bridges that share a run, stops that bite, ends in order and out of order, and a ledger that cannot be written.

mod approval_life;
mod approvals;
mod approved_changes;
mod attachments;
mod bridges;
mod changes;
mod clients;
mod console;
mod door;
mod exceptions;
mod floods;
mod hostile;
mod limits;
mod notify;
mod observe;
mod oddities;
mod organisation;
mod outcomes;
mod pins;
mod power_cut;
mod recall;
mod stateless;
mod unwritable;
mod workflow;
