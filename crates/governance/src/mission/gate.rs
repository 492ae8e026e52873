//! A gate: whose approval a call in a danger zone needs, and by when.

use std::fmt;

use evidence::record::approval::{Alternative, BreakGlass, Escalation, Gate as Terms, Quorum, Stage, StandingLimit};

use super::rule::joined;

/// The name of the gate that zones without one of their own have.
pub(crate) const DEFAULT: &str = "default";

/// A gate, and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gate {
    /// How long a call is held for its answer, in seconds.
    pub(crate) hold_s: u64,
    pub(crate) line: u32,
    /// The thresholds, as records hold them.
    pub(crate) terms: Terms,
}

impl Gate {
    /// How long a call is held for its answer, in seconds.
    #[must_use]
    pub const fn hold_s(&self) -> u64 {
        self.hold_s
    }

    /// The thresholds.
    #[must_use]
    pub const fn terms(&self) -> &Terms {
        &self.terms
    }
}

impl fmt::Display for Gate {
    /// `2 of finance-leads and 1 of treasury, then 1 of board; answered within 4h, used within 30m, once; proved by device_key or better`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Terms { assurance, break_glass, escalate, grant_s, name: _, remind_s, respond_s, stages, standing, uses } =
            &self.terms;
        let stages: Vec<String> = stages.iter().map(stage).collect();
        let often = if *uses == 1 { "once".to_owned() } else { format!("up to {uses} times") };
        write!(
            f,
            "{}; answered within {}, used within {}, {often}; proved by {assurance} or better",
            stages.join(", then "),
            lasting(*respond_s),
            lasting(*grant_s)
        )?;
        if let Some(seconds) = remind_s {
            write!(f, "; reminded every {}", lasting(*seconds))?;
        }
        if let Some(Escalation { after_s, group }) = escalate {
            write!(f, "; after {} anybody of `{group}` too", lasting(*after_s))?;
        }
        if let Some(BreakGlass { grant_s, group, need, review_s }) = break_glass {
            let (grant, review) = (lasting(*grant_s), lasting(*review_s));
            write!(f, "; in an emergency {need} of `{group}`, used within {grant}, once, reviewed within {review}")?;
        }
        if let Some(StandingLimit { for_s, uses }) = standing {
            write!(f, "; standing grants for at most {} and {uses} calls", lasting(*for_s))?;
        }
        Ok(())
    }
}

fn stage(stage: &Stage) -> String {
    let alternatives = stage.any_of.iter().map(|Alternative { all_of }| {
        joined(all_of.iter().map(|Quorum { group, need }| format!("{need} of `{group}`")), "and")
    });
    joined(alternatives, "or")
}

/// The shortest spelling of a time in seconds.
pub(crate) fn lasting(seconds: u64) -> String {
    let units = [(86_400, "d"), (3_600, "h"), (60, "m")];
    let whole = units.into_iter().find(|(unit, _)| seconds >= *unit && seconds.is_multiple_of(*unit));
    whole.map_or_else(|| format!("{seconds}s"), |(unit, letter)| format!("{}{letter}", seconds / unit))
}
