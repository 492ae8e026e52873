//! Whether people say that a call may run: what they are asked, and what their answers mean for the call.
//!
//! The life of an approval is a fold over its records ([`evidence::approvals`]); here are the persons who may answer ([`People`]), the question that a call makes
//! ([`question`]), and what a book of approvals says of a call ([`Consulted`]).

mod change;
mod edit;
mod people;
mod standing;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use evidence::approvals::{could_satisfy, gates_sha256};
use evidence::ids::{ApprovalId, CallId, ExceptionId};
use evidence::leaf::sha256_hex;
use evidence::record::approval::{ApprovalEvent, ApprovalRecord, Excluded, Gate, Question};
use evidence::record::{EffectClass, Rule, Status};
use evidence::time::Timestamp;
use serde::Serialize;

pub use change::{Change, change_question};
pub use edit::{Edit, EditError, Follows};
pub use people::{Away, Delegation, People, PeopleError, Person, parse_people};
pub use standing::{Granted, StandingError};

use crate::classify::Classified;
use crate::decide::{Decision, PolicySnapshot};
use crate::reason::Reason;

/// What the approvals that there are say of a call that needs one.
#[derive(Clone, Debug)]
pub enum Consulted {
    /// It is approved, and one use is taken for it.
    Approved {
        /// The record of the use, for the same group as the intent.
        consumed: Box<ApprovalRecord>,
        /// The gates that are satisfied.
        gates: Vec<Arc<str>>,
    },
    /// The approvals that there are have nothing to say of it: it is as it was decided.
    Nothing,
    /// People are asked.
    Pending {
        /// Which approval.
        approval: ApprovalId,
        /// The request, where it is new.
        requested: Option<Box<Requested>>,
        /// When silence becomes a no.
        respond_by: Timestamp,
    },
    /// It does not run.
    Refused {
        /// Which approval, where there is one.
        approval: Option<ApprovalId>,
        /// That a clock ended, where that is not recorded yet.
        ended: Option<Box<ApprovalRecord>>,
        /// The arguments that a person proposes instead, as JSON.
        proposed: Option<Arc<str>>,
        /// Why.
        reason: Reason,
        /// What the agent is told.
        said_to_agent: String,
        /// The rationale for the record.
        sentence: String,
    },
    /// An identical call was executed, and its outcome was not handed to its client.
    Replayed {
        /// By which approval.
        approval: ApprovalId,
        /// What became of it.
        executed: Box<Executed>,
    },
    /// An identical call is being executed, by this approval.
    Running(ApprovalId),
}

/// What became of an approved call that was executed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Executed {
    /// Which call it was.
    pub call: CallId,
    /// The exception that was opened because nobody knows whether it ran.
    pub exception: Option<ExceptionId>,
    /// SHA-256 of the exact bytes of its result or error, where they are kept.
    pub kept_sha256: Option<String>,
    /// Why, where the status is not `done`.
    pub reason: Option<Reason>,
    /// What became of it.
    pub status: Status,
    /// Which use of its approval it was.
    pub used: u32,
}

/// A new request: its record, and what reviewers are shown.
#[derive(Clone, Debug)]
pub struct Requested {
    /// The record.
    pub record: ApprovalRecord,
    /// What is shown, in the bytes of its digest.
    pub view: Arc<[u8]>,
}

/// What reviewers are shown: everything that they answer to. Fields in the order of RFC 8785.
#[derive(Serialize)]
struct View<'a> {
    agent: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    agent_version: Option<&'a str>,
    approval: ApprovalId,
    /// The exact text of the arguments, as the agent sent them.
    arguments: &'a str,
    asked_at: Timestamp,
    call_sha256: &'a str,
    effect_class: EffectClass,
    #[serde(skip_serializing_if = "Option::is_none")]
    follows: Option<Edited<'a>>,
    gates: Vec<String>,
    goal: &'a str,
    initiator: &'a str,
    initiator_authenticated: evidence::record::Authenticated,
    mission: &'a str,
    mission_sha256: &'a str,
    owner: &'a str,
    respond_by: Timestamp,
    rules: &'a [Rule],
    run: Option<evidence::ids::RunId>,
    /// The exact text of the arguments that the tool gets, where tokens turned back in those that the agent sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    sent: Option<&'a str>,
    tool: String,
    v: u32,
    why: &'a str,
}

/// The approval whose call was edited, and by whom. Fields in the order of RFC 8785.
#[derive(Serialize)]
struct Edited<'a> {
    approval: ApprovalId,
    editors: &'a [Arc<str>],
    reason: &'a str,
}

/// Why people cannot be asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreachable {
    /// The arguments are no text, which cannot be shown.
    #[error("the arguments are no text")]
    Arguments,
    /// The mission has no gate of this name.
    #[error("the mission has no gate `{0}`")]
    Gate(Arc<str>),
    /// Those who may answer are too few.
    #[error("gate `{0}` cannot be satisfied: too few of its groups' members may answer")]
    Quorum(Arc<str>),
}

/// The digest that binds an approval to this very call, as `policy` decides it.
#[must_use]
pub fn bound(classified: &Classified, decision: &Decision) -> String {
    classified.intercepted.sha256(classified.pin.as_deref(), decision.policy.slice_sha256.as_deref())
}

/// Who may answer, and who has to do with a call.
#[derive(Clone, Copy, Debug)]
pub struct Involved<'a> {
    /// The author of the mission's version.
    pub author: Option<&'a str>,
    /// Who proposed its arguments, latest last.
    pub follows: &'a [Follows],
    /// All persons.
    pub people: &'a People,
}

/// The request that `classified` makes of the gates that `decision` names.
///
/// # Errors
/// [`Unreachable`]; then the call is denied.
pub fn question(
    classified: &Classified,
    decision: &Decision,
    policy: &PolicySnapshot,
    Involved { author, follows, people }: Involved<'_>,
    approval: ApprovalId,
    at: Timestamp,
) -> Result<Requested, Unreachable> {
    let mission = policy.mission();
    let named = |name: &Arc<str>| {
        mission.gate(name).map(|gate| gate.terms().clone()).ok_or_else(|| Unreachable::Gate(name.clone()))
    };
    let gates = decision.gates.iter().map(named).collect::<Result<Vec<Gate>, _>>()?;
    let context = classified.intercepted.context();
    let excluded = excluded(people, &context.initiator.name, author, mission.owner(), follows);
    for gate in &gates {
        let groups = people.who_may_answer(&excluded, at);
        if !could_satisfy(gate, &groups) {
            return Err(Unreachable::Quorum(gate.name.clone()));
        }
    }
    let seconds = gates.iter().map(|gate| gate.respond_s).min().unwrap_or(0);
    let respond_by = at.plus_micros(i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000));
    let call_sha256 = bound(classified, decision);
    let arguments = std::str::from_utf8(classified.intercepted.arguments()).map_err(|_| Unreachable::Arguments)?;
    let sent = classified.intercepted.sent_sha256().map(|_| classified.intercepted.sent());
    let sent = sent.map(|sent| std::str::from_utf8(sent)).transpose().map_err(|_| Unreachable::Arguments)?;
    let view = View {
        agent: &context.agent.name,
        agent_version: context.agent.version.as_deref(),
        approval,
        arguments,
        asked_at: at,
        call_sha256: &call_sha256,
        effect_class: decision.effect_class,
        follows: follows.last().map(|Follows { approval, editors, reason }| Edited {
            approval: *approval,
            editors,
            reason,
        }),
        gates: decision.gates.iter().filter_map(|name| Some(format!("{name}: {}", mission.gate(name)?))).collect(),
        goal: mission.goal(),
        initiator: &context.initiator.name,
        initiator_authenticated: context.initiator.authenticated,
        mission: mission.name(),
        mission_sha256: mission.sha256(),
        owner: mission.owner(),
        respond_by,
        rules: &decision.rules,
        run: context.run,
        sent,
        tool: classified.intercepted.tool().to_string(),
        v: 1,
        why: &decision.sentence,
    };
    // Writing plain fields cannot fail; an empty view has a digest that no reviewer is shown.
    let view: Arc<[u8]> = serde_json::to_vec(&view).unwrap_or_default().into();
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
            args_bytes: classified.intercepted.arguments().len() as u64,
            args_sha256: classified.intercepted.args_sha256().to_owned(),
            excluded,
            follows: follows.last().map(|edited| edited.approval),
            gates,
            respond_by,
            rules: decision.rules.clone(),
            sentence: decision.sentence.to_string(),
            shown_sha256: sha256_hex(&view),
            standing: None,
        }),
        resolution: None,
        review: None,
        tool: classified.intercepted.tool().clone(),
        used: None,
        who: None,
        why: None,
    };
    Ok(Requested { record, view })
}

/// Who has to do with a call: whoever it is for, the author of the mission's version, its owner, and who proposed its arguments; sorted, each once.
fn excluded(people: &People, initiator: &str, author: Option<&str>, owner: &str, follows: &[Follows]) -> Vec<Excluded> {
    let roles = [(Some(initiator), "initiator"), (author, "author"), (Some(owner), "owner")];
    let roles = roles.into_iter().filter_map(|(name, role)| Some((name?, role)));
    let editors = follows.iter().flat_map(|edited| &edited.editors).map(|editor| (&**editor, "editor"));
    excluded_as(people, roles.chain(editors))
}

/// The persons whom names name, each with their first role; sorted.
fn excluded_as<'a>(people: &People, roles: impl Iterator<Item = (&'a str, &'static str)>) -> Vec<Excluded> {
    let mut excluded: Vec<Excluded> = Vec::new();
    for (name, role) in roles {
        let Some(person) = people.person_of(name) else { continue };
        if !excluded.iter().any(|known| known.person == *person) {
            excluded.push(Excluded { person: person.clone(), role: role.to_owned() });
        }
    }
    excluded.sort_by(|one, other| one.person.cmp(&other.person));
    excluded
}
