//! Standing grants: people answer once for all calls of a tool that meet conditions, instead of for each.
//!
//! A grant is asked about like a call, of the gates that it stands in for, and by the same records. Its conditions are rules as a mission has them, compiled and decided by the
//! same code; [`Granted::covers`] asks them of one call.

use std::sync::Arc;

use evidence::approvals::{Ground, could_satisfy, gates_sha256};
use evidence::ids::ApprovalId;
use evidence::leaf::sha256_hex;
use evidence::record::approval::{ApprovalEvent, ApprovalRecord, Gate, Question};
use evidence::record::{Effect, Facet, Rule, Tool};
use evidence::time::Timestamp;
use serde::Serialize;

use super::{People, Requested, Unreachable, excluded_as};
use crate::classify::{Classified, Returned, classify};
use crate::decide::{CompileError, Decision, PolicySnapshot, compile, decide};
use crate::mission::{Endorsement, MissionError, Standing, parse_standing};

/// A standing grant with its compiled conditions.
#[derive(Debug)]
pub struct Granted {
    /// `None` of an endorsement, which covers no calls.
    policy: Option<PolicySnapshot>,
    standing: Standing,
    /// Who asks for it.
    who: Arc<str>,
}

/// Why a text is no standing grant, or cannot be asked for.
#[derive(Debug, thiserror::Error)]
pub enum StandingError {
    /// The mission does not let this agent act.
    #[error("the mission `{mission}` has no agent `{agent}`")]
    Agent {
        /// The agent.
        agent: Arc<str>,
        /// The mission.
        mission: Arc<str>,
    },
    /// It did not compile.
    #[error(transparent)]
    Compile(#[from] CompileError),
    /// Nobody is asked who named what the tool acts on.
    #[error(
        "the mission `{0}` asks no gate about targets that nobody named; with `untrusted-target = \"ask\"` it does"
    )]
    NoOrigins(Arc<str>),
    /// The gate gives no standing grants.
    #[error(
        "gate `{0}` gives no standing grants; the mission's owner writes `standing = {{ for = \"30d\", uses = 100 }}` there"
    )]
    NotGiven(Arc<str>),
    /// It is over.
    #[error("its `until` is over")]
    Over,
    /// Nobody is asked about the tool.
    #[error("nobody is asked about `{0}`: its calls need no standing grant")]
    NotAsked(String),
    /// It is not of the form that it must have.
    #[error("{0}")]
    Text(String),
    /// It is for more calls than the gate gives.
    #[error("gate `{gate}` gives standing grants for {most} calls at most")]
    TooMany {
        /// The gate.
        gate: Arc<str>,
        /// How many.
        most: u32,
    },
    /// People cannot be asked.
    #[error(transparent)]
    Unreachable(#[from] Unreachable),
}

/// What reviewers are shown of a standing grant. Fields in the order of RFC 8785.
#[derive(Serialize)]
struct View<'a> {
    approval: ApprovalId,
    asked_at: Timestamp,
    call_sha256: &'a str,
    gates: Vec<String>,
    kind: &'static str,
    mission: &'a str,
    mission_sha256: &'a str,
    name: &'a str,
    proposed_by: &'a str,
    respond_by: Timestamp,
    sentence: &'a str,
    text: &'a str,
    tool: String,
    v: u32,
    why: &'a str,
}

impl Granted {
    /// The grant of this text, for which `who` asks.
    ///
    /// # Errors
    /// [`StandingError`]; the text is what `file` names in its problems.
    pub fn read(text: &str, file: &str, who: &str) -> Result<Self, StandingError> {
        let standing = parse_standing(text).map_err(|error: MissionError| StandingError::Text(error.render(file)))?;
        let policy = match standing.endorses() {
            Some(_) => None,
            None => Some(compile(standing.rules().clone())?),
        };
        Ok(Self { policy, standing, who: who.into() })
    }

    /// What it says.
    #[must_use]
    pub const fn standing(&self) -> &Standing {
        &self.standing
    }

    /// The gates that it stands in for, as `policy` has them; `None` where one is not there.
    fn gates(&self, policy: &PolicySnapshot) -> Result<Vec<Gate>, Unreachable> {
        let of_origins: Vec<Arc<str>> =
            self.standing.endorses().and(policy.origin_gate()).cloned().into_iter().collect();
        let named = |name: &Arc<str>| {
            policy.mission().gate(name).map(|gate| gate.terms().clone()).ok_or_else(|| Unreachable::Gate(name.clone()))
        };
        self.standing.gates().iter().chain(&of_origins).map(named).collect()
    }

    fn bound(&self, gates: &[Gate], pin: Option<&str>, slice_sha256: Option<&str>) -> String {
        let ground = Ground {
            gates_sha256: &gates_sha256(gates),
            mission: self.standing.mission(),
            pin,
            slice_sha256,
            text_sha256: self.standing.rules().sha256(),
            tool: self.standing.tool(),
            who: &self.who,
        };
        ground.sha256()
    }

    /// The request that it makes of its gates, where `policy` is in force and `pin` is the tool's accepted definition.
    ///
    /// # Errors
    /// [`StandingError`]; then nobody is asked.
    pub fn question(
        &self,
        policy: &PolicySnapshot,
        pin: Option<&str>,
        people: &People,
        author: Option<&str>,
        approval: ApprovalId,
        at: Timestamp,
    ) -> Result<Requested, StandingError> {
        let (mission, standing) = (policy.mission(), &self.standing);
        if !policy.asks(standing.tool()) {
            return Err(StandingError::NotAsked(standing.tool().to_string()));
        }
        if standing.endorses().is_some() && (policy.origin_gate().is_none() || !policy.traces(standing.tool())) {
            return Err(StandingError::NoOrigins(mission.name().clone()));
        }
        if let Some(agent) = standing.rules().agents().iter().find(|agent| !mission.agents().contains(agent)) {
            return Err(StandingError::Agent { agent: agent.clone(), mission: mission.name().clone() });
        }
        if at >= standing.rules().until() {
            return Err(StandingError::Over);
        }
        let gates = self.gates(policy)?;
        let terms = standing.terms();
        for gate in &gates {
            let limit = gate.standing.as_ref().ok_or_else(|| StandingError::NotGiven(gate.name.clone()))?;
            if terms.uses > limit.uses {
                return Err(StandingError::TooMany { gate: gate.name.clone(), most: limit.uses });
            }
        }
        let roles = [(Some(&*self.who), "proposer"), (author, "author"), (Some(&**mission.owner()), "owner")];
        let excluded = excluded_as(people, roles.into_iter().filter_map(|(name, role)| Some((name?, role))));
        for gate in &gates {
            if !could_satisfy(gate, &people.who_may_answer(&excluded, at)) {
                return Err(Unreachable::Quorum(gate.name.clone()).into());
            }
        }
        let seconds = gates.iter().map(|gate| gate.respond_s).min().unwrap_or(0);
        let respond_by = at.plus_micros(i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000));
        let call_sha256 = self.bound(&gates, pin, policy.slice_sha256(standing.tool()));
        let (name, text, why) = (standing.name(), standing.rules().source(), standing.rules().why());
        let sentence = match standing.endorses() {
            None => format!("`{}` asks for the standing grant `{name}`: {standing} ({why})", self.who),
            Some(_) => format!("`{}` asks people to endorse {standing} ({why})", self.who),
        };
        let said = gates.iter().map(|gate| &gate.name);
        let view = View {
            approval,
            asked_at: at,
            call_sha256: &call_sha256,
            gates: said.clone().filter_map(|name| Some(format!("{name}: {}", mission.gate(name)?))).collect(),
            kind: if standing.endorses().is_some() { "endorsement" } else { "standing" },
            mission: mission.name(),
            mission_sha256: mission.sha256(),
            name,
            proposed_by: &self.who,
            respond_by,
            sentence: &sentence,
            text,
            tool: standing.tool().to_string(),
            v: 1,
            why,
        };
        // Writing plain fields cannot fail; an empty view has a digest that no reviewer is shown.
        let view: Arc<[u8]> = serde_json::to_vec(&view).unwrap_or_default().into();
        let rules = said.filter_map(|name| Some(Rule { id: name.clone(), line: mission.gate(name)?.line }));
        let record = ApprovalRecord {
            approval,
            call_sha256: call_sha256.clone(),
            covers_sha256: None,
            event: ApprovalEvent::Requested,
            facets: Vec::new(),
            gate: None,
            gates_sha256: gates_sha256(&gates),
            grant: None,
            question: Some(Question {
                args_bytes: text.len() as u64,
                args_sha256: standing.rules().sha256().to_string(),
                excluded,
                follows: None,
                rules: rules.collect(),
                gates: gates.clone(),
                respond_by,
                sentence,
                shown_sha256: sha256_hex(&view),
                standing: Some(terms),
            }),
            resolution: None,
            review: None,
            tool: standing.tool().clone(),
            used: None,
            who: None,
            why: None,
        };
        Ok(Requested { record, view })
    }

    /// The value that it endorses in calls of `tool`, whose accepted definition is `pin`; `None` where it is about something else, or the tool, its rules or the gate changed
    /// since it was granted, which `call_sha256` tells.
    #[must_use]
    pub fn endorses(
        &self,
        call_sha256: &str,
        policy: &PolicySnapshot,
        tool: &Tool,
        pin: Option<&str>,
    ) -> Option<&Endorsement> {
        let endorsed = self.standing.endorses()?;
        if tool != self.standing.tool() || policy.mission().name() != self.standing.mission() {
            return None;
        }
        let gates = self.gates(policy).ok().filter(|gates| !gates.is_empty())?;
        (self.bound(&gates, pin, policy.slice_sha256(tool)) == call_sha256).then_some(endorsed)
    }

    /// What the conditions saw of a call that they hold for; `None` where the grant does not cover it: it is another tool's or mission's, a condition does not hold, another gate
    /// asks, or the tool, its rules or a gate changed since it was granted, which `call_sha256` tells.
    #[must_use]
    pub fn covers(
        &self,
        call_sha256: &str,
        classified: &Classified,
        decision: &Decision,
        policy: &PolicySnapshot,
        at: Timestamp,
    ) -> Option<Vec<Facet>> {
        let conditions = self.policy.as_ref()?;
        let is_of_it = classified.intercepted.tool() == self.standing.tool()
            && policy.mission().name() == self.standing.mission()
            && decision.gates.iter().all(|gate| self.standing.gates().contains(gate));
        if !is_of_it {
            return None;
        }
        let gates = self.gates(policy).ok()?;
        let slice_sha256 = decision.policy.slice_sha256.as_deref();
        if self.bound(&gates, classified.pin.as_deref(), slice_sha256) != call_sha256 {
            return None;
        }
        let plan = conditions.plan(self.standing.tool());
        let seen = classify(classified.intercepted.clone(), plan, classified.standing, &Returned::default());
        (decide(&seen, conditions, at).effect == Effect::Allow).then_some(seen.facets)
    }
}
