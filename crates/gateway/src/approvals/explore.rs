//! Every order in which calls, answers, clocks, the writer and crashes can meet, over the code that ships: driver, call, book, ledger and recovery are the real ones, and only
//! threads, disk and time are in the hands of the test.
//!
//! The gateway does everything on one thread, so an order is a choice, again and again, of who goes on to where it next waits. `world` makes the choices there are, `search` goes through
//! them, `oracle` counts anew from the log alone what may have run. `scenarios` says what is gone through, `denials` what must never run, and `simulation` lets much more happen as a seed says.
//! `COUNTERSIGN_EXPLORE=20` goes twenty times as far.

mod denials;
mod disk;
mod oracle;
mod scenarios;
mod search;
mod simulation;
mod stage;
mod words;
mod world;
