//! Which evidence each step of the path must write: drafts only, for the ledger to number and time.

use std::sync::Arc;

use evidence::ids::{ApprovalId, CallId, ExceptionId};
use evidence::leaf::sha256_hex;
use evidence::record::approval::ApprovalRecord;
use evidence::record::{
    ActionEvent, ActionRecord, Body, Context, DecisionInput, DecisionPoint, DecisionRecord, Draft, Effect, EffectClass,
    ExceptionEvent, ExceptionKind, ExceptionRecord, Link, Obligation, Policy, Rule, Status, Surface,
};
use evidence::time::Timestamp;

use crate::approve::Requested;
use crate::classify::{Classified, Kept};
use crate::count::{self, Tally};
use crate::decide::Decision;
use crate::execute::Outcome;
use crate::limits::EXCEPTION_DUE_US;
use crate::reason::Reason;

/// The decision on a call, with all that it looked at.
#[must_use]
pub fn decision(
    classified: &Classified,
    decision: &Decision,
    point: DecisionPoint,
    approval: Option<ApprovalId>,
    at: Timestamp,
) -> Draft {
    let intercepted = &classified.intercepted;
    let body = DecisionRecord {
        approval,
        effect: decision.effect,
        gates: decision.gates.clone(),
        input: DecisionInput {
            args_bytes: intercepted.arguments().len() as u64,
            args_sha256: intercepted.args_sha256().to_owned(),
            call_sha256: intercepted.sha256(classified.pin.as_deref(), decision.policy.slice_sha256.as_deref()),
            confirmed: classified.confirmed,
            counters: classified.tallies.iter().map(Tally::reading).collect(),
            data_fields: classified.data_fields.clone(),
            facets: classified.facets.clone(),
            met: classified.met.clone(),
            provenance: classified.provenance.clone(),
            sent_sha256: intercepted.sent_sha256().cloned(),
            tool: intercepted.tool().clone(),
        },
        obligations: Vec::new(),
        point,
        policy: decision.policy.clone(),
        reasons: decision.reasons.iter().chain(&intercepted.note()).map(|reason| Arc::from(reason.code())).collect(),
        rules: decision.rules.clone(),
        sentence: decision.sentence.to_string(),
        would: decision.would,
    };
    draft(classified, at, body)
}

/// What was decided about the release of a result.
#[derive(Clone, Debug)]
pub struct Released {
    /// Whether it goes on.
    pub effect: Effect,
    /// What was done to it.
    pub obligations: Vec<Obligation>,
    /// Why it is withheld, or goes on with what it would not go on with otherwise.
    pub reasons: Vec<Reason>,
    /// The rules that say so.
    pub rules: Vec<Rule>,
    /// The rationale.
    pub sentence: Arc<str>,
}

/// The decision on a result that does not go on as it came, or goes on by exception; `found` are the classes of data in it.
#[must_use]
pub fn released(
    classified: &Classified,
    policy: &Policy,
    found: &[Arc<str>],
    released: Released,
    at: Timestamp,
) -> Draft {
    let Released { effect, obligations, reasons, rules, sentence } = released;
    let decision = Decision {
        effect,
        effect_class: EffectClass::Unconfirmed,
        gates: Vec::new(),
        policy: policy.clone(),
        reasons,
        rules,
        said_to_agent: Arc::from(""),
        sentence,
        would: None,
    };
    let mut draft = self::decision(classified, &decision, DecisionPoint::Release, None, at);
    if let Body::Decision(decision) = &mut draft.body {
        decision.obligations = obligations;
    }
    with_classes(draft, found)
}

/// `draft` with further classes of data.
#[must_use]
pub fn with_classes(mut draft: Draft, classes: &[Arc<str>]) -> Draft {
    if !classes.is_empty() {
        draft.data_classes.extend_from_slice(classes);
        draft.data_classes.sort_unstable();
        draft.data_classes.dedup();
    }
    draft
}

/// `draft`, of an action, with what was done with content of the call.
#[must_use]
pub fn with_kept(mut draft: Draft, kept: &[Kept]) -> Draft {
    if let Body::Action(action) = &mut draft.body {
        action.captured.extend(kept.iter().map(|kept| kept.captured.clone()));
        draft.links.extend(kept.iter().filter_map(|kept| kept.link.clone()));
    }
    draft
}

/// An event in the life of the call's approval.
#[must_use]
pub fn approval(classified: &Classified, record: ApprovalRecord, at: Timestamp) -> Draft {
    draft(classified, at, record)
}

/// That people are asked, with a link to what they are shown.
#[must_use]
pub fn requested(classified: &Classified, requested: &Requested, at: Timestamp) -> Draft {
    let shown = Link {
        bytes: requested.view.len() as u64,
        media_type: "application/json".to_owned(),
        rel: "shown".to_owned(),
        sha256: sha256_hex(&requested.view),
    };
    Draft { links: vec![shown], ..draft(classified, at, requested.record.clone()) }
}

/// What is about to run.
#[must_use]
pub fn intent(classified: &Classified, effect_class: EffectClass, at: Timestamp) -> Draft {
    let counted = count::of_intent(&classified.tallies);
    let body = ActionRecord { counted, ..action(classified, effect_class, ActionEvent::Intent) };
    with_kept(draft(classified, at, body), &classified.kept)
}

/// What became of it.
#[must_use]
pub fn outcome(
    classified: &Classified,
    effect_class: EffectClass,
    outcome: &Outcome,
    intended_at: Timestamp,
    at: Timestamp,
) -> Draft {
    let (result_sha256, result_bytes) = outcome.digest().unzip();
    // Nobody here saw that a step was not done: what only its agent says gives nothing back.
    let counts_as = match (&outcome.reported, outcome.status) {
        (Some(_), Status::NotExecuted) => Status::Unknown,
        (_, status) => status,
    };
    let body = ActionRecord {
        counted: count::of_outcome(&classified.tallies, counts_as, result_bytes),
        duration_us: Some(at.micros_since(intended_at).unsigned_abs()),
        external_reference: outcome.external_reference.clone(),
        reason: outcome.reason.map(|reason| Arc::from(reason.code())),
        reported: outcome.reported.clone(),
        result_bytes,
        result_sha256,
        status: Some(outcome.status),
        ..action(classified, effect_class, ActionEvent::Outcome)
    };
    draft(classified, at, body)
}

/// The exception that every unknown outcome opens: a person must find out what happened.
#[must_use]
pub fn unknown_outcome(classified: &Classified, reason: Reason, at: Timestamp) -> Draft {
    let intercepted = &classified.intercepted;
    let body = ExceptionRecord {
        broken_glass: None,
        signed: None,
        due: Some(at.plus_micros(EXCEPTION_DUE_US)),
        event: ExceptionEvent::Opened,
        exception: ExceptionId::from_bytes(*intercepted.call().as_bytes()),
        kind: ExceptionKind::UnknownOutcome,
        mitigation: None,
        owner: "operator".to_owned(),
        reason: match intercepted.tool().surface {
            Surface::Change | Surface::Mcp => format!(
                "`{}` was sent and no answer is known ({reason}); find out at the upstream whether it took effect",
                intercepted.tool()
            ),
            Surface::Workflow => format!(
                "`{}` was let go ahead and it is not known what became of it ({reason}); find out whether it took effect",
                intercepted.tool()
            ),
        },
        scope: format!("call:{}", intercepted.call()),
        note: None,
        who: None,
    };
    draft(classified, at, body)
}

/// An input that a call's state did not expect: a fault of ours, which changed nothing.
#[must_use]
pub fn unexpected(call: CallId, context: &Arc<Context>, state: &str, input: &str, at: Timestamp) -> Draft {
    // Another exception than the call's own, which is about its outcome.
    let mut exception = *call.as_bytes();
    if let Some(last) = exception.last_mut() {
        *last ^= 0xff;
    }
    let body = ExceptionRecord {
        broken_glass: None,
        signed: None,
        due: Some(at.plus_micros(EXCEPTION_DUE_US)),
        event: ExceptionEvent::Opened,
        exception: ExceptionId::from_bytes(exception),
        kind: ExceptionKind::Protocol,
        mitigation: Some("the input changed nothing".to_owned()),
        owner: "operator".to_owned(),
        reason: format!("a call in state {state} was given {input}; report this as a fault of Countersign"),
        scope: format!("call:{call}"),
        note: None,
        who: None,
    };
    Draft::new(context.clone(), Some(call), at, body)
}

/// Whether an outcome leaves it open what happened.
#[must_use]
pub fn opens_exception(outcome: &Outcome) -> Option<Reason> {
    (outcome.status == Status::Unknown).then(|| outcome.reason.unwrap_or(Reason::ConnectionLost))
}

fn action(classified: &Classified, effect_class: EffectClass, event: ActionEvent) -> ActionRecord {
    ActionRecord {
        args_sha256: classified.intercepted.args_sha256().to_owned(),
        attempt: classified.intercepted.attempt(),
        captured: Vec::new(),
        counted: Vec::new(),
        duration_us: None,
        effect_class,
        event,
        external_reference: None,
        input_sha256: classified.intercepted.input_sha256().cloned().filter(|_| event == ActionEvent::Intent),
        reason: None,
        reported: None,
        result_bytes: None,
        result_sha256: None,
        sent_sha256: classified.intercepted.sent_sha256().cloned().filter(|_| event == ActionEvent::Intent),
        status: None,
        tool: classified.intercepted.tool().clone(),
    }
}

fn draft(classified: &Classified, at: Timestamp, body: impl Into<Body>) -> Draft {
    let intercepted = &classified.intercepted;
    Draft {
        data_classes: classified.data_classes.clone(),
        trace: intercepted.trace().cloned(),
        ..Draft::new(intercepted.context().clone(), Some(intercepted.call()), at, body)
    }
}
