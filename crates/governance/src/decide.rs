//! Allow, ask or deny, with reasons. The only code that knows Cedar.
//!
//! A mission compiles to one small Cedar policy set for each tool it names ([`compile()`]); [`decide()`] evaluates that slice over the facts that classify computed.
//! Whatever is unknown, unparsable or fails to evaluate is denied.

mod cases;
mod compile;
mod evaluate;
mod example;
mod facts;
mod forecast;
mod rederive;

use std::sync::Arc;

use evidence::record::{Effect, EffectClass, Policy, Rule};

pub use cases::{Case, Cases, CasesError, Earlier, Expected, Run, parse_cases};
pub use compile::{
    APPROVAL_STATUS, Arrival, Bounds, BoundsError, CompileError, Feature, PROTOCOL_REQUESTS, PolicySnapshot,
    SUBSCRIBING, bounds, compile,
};
pub use evaluate::decide;
use evaluate::decide_on;
pub use example::{Example, Proved, Versions};
pub use forecast::{Forecast, forecast};
pub use rederive::{Difference, NotDerivable, Rederived, rederive};

use crate::reason::Reason;

/// What was decided about a call, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// What it says.
    pub effect: Effect,
    /// What the tool does to the world, as far as it is confirmed.
    pub effect_class: EffectClass,
    /// The gates that are asked; where it is decided again after they were, those that are satisfied.
    pub gates: Vec<Arc<str>>,
    /// By which policy.
    pub policy: Policy,
    /// The first one is decisive; empty for a plain allow.
    pub reasons: Vec<Reason>,
    /// The rules that decided.
    pub rules: Vec<Rule>,
    /// The rationale in one sentence for the record: for the owner, may name rules and bounds.
    pub sentence: Arc<str>,
    /// What the mission says, where it is only observed and the call runs all the same.
    pub would: Option<Effect>,
    /// One sentence for the agent, that helps it correct itself without telling the policy.
    pub said_to_agent: Arc<str>,
}
