//! Turns exact arguments into typed, normalised facts, so that policy compares values and never parses.
//!
//! Knows which facts a mission's rules need from the [`Plan`]; decides nothing. A value that cannot be read as its rule needs becomes an `unparsed` facet, which
//! no rule accepts.

pub mod capture;
pub mod deidentify;
pub mod detect;
mod facet;
mod field;
mod found;
pub mod own;
pub mod provenance;
mod returned;
pub mod token;

use std::sync::Arc;

use evidence::record::{EffectClass, Facet, Origin, TargetOrigin, TargetRole};

use crate::count::Tally;
use crate::intercept::Intercepted;
use crate::mission::Plan;
pub use capture::Kept;
pub use facet::facets;
pub(crate) use facet::{UNPARSED, WHOLE};
pub(crate) use field::standing_in;
pub use found::{Found, Place, is_opaque};
pub use returned::Returned;

/// What a run has met of which nobody knows what it met: it may be any class.
pub const ANY: &str = "*";

/// Where data stands that is in no argument of which anybody asks.
pub(crate) const ELSEWHERE: &str = "*";

/// What stands behind a call at the moment of its decision, beside the mission.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The run is open and nothing is stopped.
    Good,
    /// A person stopped the mission, the agent or everything.
    Halted,
    /// A person revoked the mission.
    MissionRevoked,
    /// The run has ended or passed its time.
    RunEnded,
    /// A person revoked the run.
    RunRevoked,
    /// The gateway is shutting down.
    Stopping,
}

/// A call with the facts that its rules need.
#[derive(Clone, Debug)]
pub struct Classified {
    /// What a person has confirmed that the tool does, by its accepted definition; where the mission's owner says nothing.
    pub confirmed: Option<EffectClass>,
    /// Data classes found or declared, sorted.
    pub data_classes: Vec<Arc<str>>,
    /// In which arguments data of classes stands, as far as exceptions ask, as `pii.email:to`; sorted. Where nothing is said of a class that was found, it stands where no
    /// exception is for.
    pub data_fields: Vec<Arc<str>>,
    /// Facts about ruled arguments, sorted by argument; names of unlisted arguments too, so that rules can refuse them.
    pub facets: Vec<Facet>,
    /// The gates that an approval of this very call satisfies; none where it has none.
    pub gates: Vec<Arc<str>>,
    /// The call.
    pub intercepted: Intercepted,
    /// What was done with the arguments; none where nothing is kept of any content.
    pub kept: Vec<Kept>,
    /// The classes of data that its run has met, of those that the mission asks about; sorted. Until somebody has looked, [`ANY`].
    pub met: Vec<Arc<str>>,
    /// The accepted definition of the tool, where a gate may be asked about it.
    pub pin: Option<Arc<str>>,
    /// Who named what it acts on, sorted by argument; none where the mission does not ask. Until somebody has looked, nobody has named anything.
    pub provenance: Vec<TargetOrigin>,
    /// What stands behind it.
    pub standing: Standing,
    /// How the counters stand that limit it, as [`crate::count::Book::tally`] says. Without them the policy denies what they limit.
    pub tallies: Vec<Tally>,
}

/// Classifies the arguments of `intercepted`, as its tool gets them, by `plan`; without a plan (nothing is allowed, or arguments are not ruled) there are no facets. `returned` is what
/// earlier calls of the run returned.
#[must_use]
pub fn classify(intercepted: Intercepted, plan: Option<&Plan>, standing: Standing, returned: &Returned) -> Classified {
    let facets = plan.map(|plan| facets(intercepted.sent(), plan, returned)).unwrap_or_default();
    Classified {
        confirmed: None,
        data_classes: Vec::new(),
        data_fields: Vec::new(),
        facets,
        gates: Vec::new(),
        intercepted,
        kept: Vec::new(),
        met: vec![Arc::from(ANY)],
        pin: None,
        provenance: untraced(),
        standing,
        tallies: Vec::new(),
    }
}

/// INVARIANT (untraced-is-unknown): a call that nobody traces is one whose every target and link nobody named.
fn untraced() -> Vec<TargetOrigin> {
    let unknown = |role| TargetOrigin { argument: Arc::from(WHOLE), origin: Origin::Unknown, role, source: None };
    vec![unknown(TargetRole::Payload), unknown(TargetRole::Target)]
}
