//! The path of one call, as pure functions: intercept, classify, decide, approve, execute, record.
//!
//! No clock, randomness, environment, files, sockets, threads or async: time, identity and randomness are inputs, and the same inputs give the same bytes. In path
//! order:
//! - [`mission`]: what an owner allows, parsed from a file;
//! - [`intercept`]: who asked for what, in exact bytes;
//! - [`classify`]: typed facts about the arguments;
//! - [`count`]: what calls have used of limits on all of them together;
//! - [`decide`]: allow, ask or deny, with reasons; the only code that knows Cedar;
//! - [`approve`]: whether people say that it may run;
//! - [`execute`]: what came back from the tool;
//! - [`record`]: which evidence each step must write;
//! - [`call`]: the only control flow; mints the [`call::Warrant`].

pub mod approve;
pub mod call;
pub mod classify;
pub mod count;
pub mod decide;
pub mod execute;
pub mod intercept;
pub mod limits;
pub mod mission;
pub mod reason;
pub mod record;

pub use evidence;
pub use evidence::ids;
pub use evidence::time;
