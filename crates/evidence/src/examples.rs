//! Believable records for tests: one story, in which every field of every record type is filled in at least once.

mod standing;

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};
use sha2::{Digest as _, Sha256};

use crate::approvals::{change_sha256, changed, gates_sha256, statement};
use crate::ids::{ApprovalId, CallId, ExceptionId, RecordId, RunId};
use crate::record::approval::{
    Alternative, Answer, ApprovalEvent, ApprovalRecord, Assurance, BreakGlass, Escalation, Excluded, Gate, Grant,
    Question, Quorum, Resolution, Review, Stage, StandingGrant, StandingLimit, Total,
};
use crate::record::{
    AccessToken, ActionEvent, ActionRecord, Agent, Authenticated, Body, BrokenGlass, Capture, Captured, Channel,
    Client, Content, Context, Count, DecisionInput, DecisionPoint, DecisionRecord, Direction, Draft, Effect,
    EffectClass, Endpoint, EvidenceAccess, ExceptionEvent, ExceptionKind, ExceptionRecord, Facet, FacetValue,
    Initiator, LedgerEvent, LedgerState, Link, Look, Obligation, Origin, Place, Policy, Purpose, Reading, Reported,
    RequestContext, Rule, Signed, Status, Surface, TargetOrigin, TargetRole, Tool, Unkept, VersionLog, VersionedKind,
    VersionedObject, write,
};
use crate::time::Timestamp;

pub(crate) const EMITTER: &str = "cs-3f9a51c2";
pub(crate) const ORIGIN: &str = "countersign.example/cs-3f9a51c2";

/// 2026-11-23T09:30:00Z and `n` milliseconds.
pub(crate) fn at(n: u64) -> Timestamp {
    Timestamp::from_micros(1_795_426_200_000_000 + n as i64 * 1_000)
}

pub(crate) fn record_id(n: u64) -> RecordId {
    RecordId::at(at(n), entropy(n))
}

pub(crate) fn call_id(n: u64) -> CallId {
    CallId::at(at(n), entropy(n))
}

pub(crate) fn run_id() -> RunId {
    RunId::at(at(0), entropy(0))
}

fn entropy(n: u64) -> [u8; 10] {
    let [a, b, c, d, e, f, g, h] = n.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_be_bytes();
    [a, b, c, d, e, f, g, h, 0x5a, 0xa5]
}

pub(crate) fn sha256(n: u8) -> String {
    hex::encode([n; 32])
}

pub(crate) fn context() -> Arc<Context> {
    Arc::new(Context {
        agent: Agent { name: "ap-bot".into(), version: Some("2.4.1".into()) },
        context: Some(record_id(2)),
        initiator: Initiator { authenticated: Authenticated::RunToken, name: "ana@corp.example".into() },
        mission: Some("pay-supplier-invoices".into()),
        run: Some(run_id()),
    })
}

/// Somebody for whom the authorization server vouched.
fn signed_in() -> Arc<Context> {
    let initiator = Initiator { authenticated: Authenticated::Oidc, name: "ana@corp.example".into() };
    Arc::new(Context { context: None, initiator, ..(*context()).clone() })
}

/// [`Context::system`] of the version that wrote the examples first.
pub(crate) fn by_itself() -> Arc<Context> {
    let agent = Agent { name: "countersign".into(), version: Some("0.1.0".into()) };
    Arc::new(Context { agent, ..Context::system() })
}

pub(crate) fn send_money() -> Tool {
    Tool { endpoint: Endpoint::Tool, name: "send_money".into(), surface: Surface::Mcp, upstream: "bank".into() }
}

/// The sum of what is sent in a day.
const PER_DAY: &str = "allow.mcp.bank.send_money.amount.per_day";

pub(crate) fn decision(effect: Effect, tool: Tool, args: u8) -> DecisionRecord {
    let (reasons, sentence): (Vec<Arc<str>>, _) = match effect {
        Effect::Allow => (vec![], "The mission allows `send_money` with these arguments."),
        Effect::Ask => (vec!["over_limit".into()], "The amount 4200 is above 1000; finance-leads must approve."),
        Effect::Deny => {
            (vec!["argument_out_of_bounds".into()], "The argument `amount` is 9000, but must be at most 5000.")
        }
    };
    DecisionRecord {
        approval: None,
        effect,
        gates: Vec::new(),
        input: DecisionInput {
            args_bytes: 61,
            args_sha256: sha256(args),
            call_sha256: sha256(args ^ 0xff),
            confirmed: None,
            counters: vec![Reading {
                counter: PER_DAY.into(),
                used: "12000".into(),
                wanted: Some("4200".into()),
                window: "2026-11-23".into(),
            }],
            data_fields: Vec::new(),
            facets: vec![Facet {
                argument: "amount".into(),
                values: vec![FacetValue { kind: "number".into(), text: "4200".into() }],
            }],
            met: Vec::new(),
            provenance: Vec::new(),
            sent_sha256: None,
            tool,
        },
        obligations: vec![],
        point: DecisionPoint::Call,
        policy: Policy {
            mission_sha256: sha256(0xa1).into(),
            organisation_sha256: None,
            slice_sha256: Some(sha256(0xa2).into()),
        },
        reasons,
        rules: vec![Rule { id: "allow.mcp.bank.send_money".into(), line: 12 }],
        sentence: sentence.into(),
        would: None,
    }
}

/// A step of an automation.
fn deploy() -> Tool {
    Tool { endpoint: Endpoint::Tool, name: "deploy".into(), surface: Surface::Workflow, upstream: "shop".into() }
}

pub(crate) fn intent(tool: Tool, args: u8) -> ActionRecord {
    ActionRecord {
        args_sha256: sha256(args),
        attempt: 1,
        captured: Vec::new(),
        counted: vec![Count { amount: "4200".into(), counter: PER_DAY.into(), window: "2026-11-23".into() }],
        duration_us: None,
        effect_class: EffectClass::Pay,
        event: ActionEvent::Intent,
        external_reference: None,
        input_sha256: None,
        reason: None,
        reported: None,
        result_bytes: None,
        result_sha256: None,
        sent_sha256: None,
        status: None,
        tool,
    }
}

pub(crate) fn outcome(tool: Tool, args: u8, status: Status) -> ActionRecord {
    ActionRecord {
        counted: Vec::new(),
        duration_us: Some(183_250),
        event: ActionEvent::Outcome,
        result_bytes: Some(48),
        result_sha256: Some(sha256(0xee)),
        status: Some(status),
        ..intent(tool, args)
    }
}

pub(crate) fn started(records: u64) -> LedgerState {
    LedgerState {
        detail: "Opened for writing.".into(),
        event: LedgerEvent::Started,
        origin: ORIGIN.into(),
        records,
        version: "0.1.0".into(),
    }
}

/// The key with which the reviewer of the examples signs, and its id.
fn reviewers_key() -> (String, SigningKey) {
    let key = SigningKey::from_bytes(&[0x23; 32]);
    (hex::encode(Sha256::digest(key.verifying_key().as_bytes())), key)
}

/// That the reviewer's key was confirmed.
fn confirmed() -> VersionLog {
    let (id, key) = reviewers_key();
    let public = STANDARD.encode(key.verifying_key().as_bytes());
    VersionLog {
        approval: None,
        difference: vec![format!("the key `bea/{id}` is confirmed")],
        direction: None,
        from: Some("enrolled".into()),
        object: VersionedObject { kind: VersionedKind::Key, name: format!("person/bea/{id}").into() },
        state: Some(format!(r#"{{"confirmed_by":"dan","person":"bea","public":"{public}","state":"confirmed"}}"#)),
        to: "confirmed".into(),
        who: "dan".into(),
        why: "Seen in person.".into(),
    }
}

/// An event of an approval, with nothing that only some events have.
fn bare(event: ApprovalEvent, gates: &[Gate], call_sha256: &str, tool: Tool) -> ApprovalRecord {
    ApprovalRecord {
        approval: ApprovalId::at(at(9), entropy(9)),
        call_sha256: call_sha256.to_owned(),
        covers_sha256: None,
        event,
        facets: Vec::new(),
        gate: None,
        gates_sha256: gates_sha256(gates),
        grant: None,
        question: None,
        resolution: None,
        review: None,
        tool,
        used: None,
        who: None,
        why: None,
    }
}

/// The review with the signature of the reviewer's key.
fn signed(review: Review, asked: &ApprovalRecord) -> Review {
    let statement = statement(asked.approval, &asked.call_sha256, &asked.gates_sha256, &review);
    let signature = STANDARD.encode(reviewers_key().1.sign(&statement).to_bytes());
    Review { signature: Some(signature), ..review }
}

/// The approval of a change, up to its use.
pub(crate) fn approval_of(version: &VersionLog) -> [ApprovalRecord; 4] {
    let all_of = vec![Quorum { group: "risk".into(), need: 1 }];
    let gates = vec![Gate {
        assurance: Assurance::DeviceKey,
        break_glass: None,
        escalate: None,
        grant_s: 1_800,
        name: "changes".into(),
        remind_s: None,
        respond_s: 14_400,
        stages: vec![Stage { any_of: vec![Alternative { all_of }] }],
        standing: None,
        uses: 1,
    }];
    let event = |event| bare(event, &gates, &change_sha256(version), changed(version));
    let question = Question {
        args_bytes: 640,
        args_sha256: sha256(0xa1),
        excluded: vec![Excluded { person: "ana".into(), role: "author".into() }],
        follows: None,
        gates: gates.clone(),
        respond_by: at(14_400_009),
        rules: Vec::new(),
        sentence: "`amount` of `mcp:bank/send_money` may be up to 5000; before, up to 1000.".into(),
        shown_sha256: sha256(0x52),
        standing: None,
    };
    let review = Review {
        answer: Answer::Approve,
        assurance: Assurance::DeviceKey,
        channel: "cli".into(),
        groups: vec!["risk".into()],
        key: Some(reviewers_key().0),
        nonce: "0c8e2a7d4f6390c1d2e3f4a5b6c75b1f".into(),
        on_behalf_of: None,
        proposed_sha256: None,
        reason: "The board has decided so.".into(),
        reviewer: "bea".into(),
        shown_sha256: sha256(0x52),
        signature: None,
        signed_at: at(9),
        ticket: None,
    };
    let review = signed(review, &event(ApprovalEvent::Requested));
    [
        ApprovalRecord { question: Some(question), ..event(ApprovalEvent::Requested) },
        ApprovalRecord { review: Some(review), ..event(ApprovalEvent::Review) },
        ApprovalRecord {
            grant: Some(Grant { break_glass: Vec::new(), not_after: at(1_800_009), totals: Vec::new(), uses: 1 }),
            resolution: Some(Resolution::Approved),
            why: Some("gate `changes` is satisfied by `bea`".into()),
            ..event(ApprovalEvent::Resolved)
        },
        ApprovalRecord { used: Some(1), ..event(ApprovalEvent::Consumed) },
    ]
}

/// An approval of a large payment: what is asked, that nobody answers for an hour, one answer, what it adds up to, its use, and that its outcome was delivered. Each with its millisecond.
fn approvals() -> [(u64, ApprovalRecord); 8] {
    let quorum = |group: &str, need| Quorum { group: group.into(), need };
    let all_of = vec![quorum("treasury", 1)];
    let gate = Gate {
        assurance: Assurance::DeviceKey,
        break_glass: None,
        escalate: Some(Escalation { after_s: 3_600, group: "directors".into() }),
        grant_s: 1_800,
        name: "payments".into(),
        remind_s: Some(900),
        respond_s: 14_400,
        stages: vec![Stage { any_of: vec![Alternative { all_of }] }],
        standing: None,
        uses: 1,
    };
    let gates = vec![gate];
    let event = |event| ApprovalRecord {
        approval: ApprovalId::at(at(12), entropy(12)),
        ..bare(event, &gates, &sha256(0xf6), send_money())
    };
    let question = Question {
        args_bytes: 71,
        args_sha256: sha256(9),
        excluded: vec![Excluded { person: "ana".into(), role: "initiator".into() }],
        follows: None,
        gates: gates.clone(),
        respond_by: at(14_400_012),
        rules: vec![Rule { id: "danger.large-payment.amount".into(), line: 24 }],
        sentence: "the call is in danger zone `large-payment`: `amount` is over 1000".into(),
        shown_sha256: sha256(0x51),
        standing: None,
    };
    let review = Review {
        answer: Answer::Approve,
        assurance: Assurance::DeviceKey,
        channel: "cli".into(),
        groups: vec!["treasury".into()],
        key: Some(reviewers_key().0),
        nonce: "5b1f0c8e2a7d4f6390c1d2e3f4a5b6c7".into(),
        on_behalf_of: Some("carl".into()),
        proposed_sha256: None,
        reason: "Matches invoice 2026-118 and the order.".into(),
        reviewer: "bea".into(),
        shown_sha256: sha256(0x51),
        signature: None,
        signed_at: at(3_600_014),
        ticket: None,
    };
    let review = signed(review, &event(ApprovalEvent::Requested));
    [
        (13, ApprovalRecord { question: Some(question), ..event(ApprovalEvent::Requested) }),
        (900_013, event(ApprovalEvent::Reminded)),
        (
            3_600_013,
            ApprovalRecord {
                gate: Some("payments".into()),
                why: Some("nobody has satisfied gate `payments` for 1h".into()),
                ..event(ApprovalEvent::Escalated)
            },
        ),
        (3_600_014, ApprovalRecord { review: Some(review), ..event(ApprovalEvent::Review) }),
        (
            3_600_015,
            ApprovalRecord {
                grant: Some(Grant { break_glass: Vec::new(), not_after: at(5_400_015), totals: Vec::new(), uses: 1 }),
                resolution: Some(Resolution::Approved),
                why: Some("gate `payments` is satisfied by `bea`".into()),
                ..event(ApprovalEvent::Resolved)
            },
        ),
        (3_600_016, ApprovalRecord { used: Some(1), ..event(ApprovalEvent::Consumed) }),
        (3_600_017, ApprovalRecord { used: Some(1), ..event(ApprovalEvent::Delivered) }),
        (
            3_600_018,
            ApprovalRecord {
                who: Some("dan".into()),
                why: Some("The invoice was paid by hand.".into()),
                ..event(ApprovalEvent::Revoked)
            },
        ),
    ]
}

/// An emergency: a refund that ran without those whom its gate asks, the exception that it opened, and its review. Each with its millisecond.
fn emergency() -> Vec<(&'static str, u64, Body)> {
    let (id, key) = reviewers_key();
    let gates = vec![Gate {
        assurance: Assurance::OsUser,
        break_glass: Some(BreakGlass { grant_s: 600, group: "oncall".into(), need: 1, review_s: 259_200 }),
        escalate: None,
        grant_s: 1_800,
        name: "refunds".into(),
        remind_s: None,
        respond_s: 14_400,
        stages: vec![Stage {
            any_of: vec![Alternative { all_of: vec![Quorum { group: "treasury".into(), need: 1 }] }],
        }],
        standing: None,
        uses: 1,
    }];
    let [(_, asked), .., (_, plain)] = approvals();
    let approval = ApprovalId::at(at(3_600_018), entropy(18));
    let event = |event| ApprovalRecord {
        approval,
        event,
        gates_sha256: gates_sha256(&gates),
        who: None,
        why: None,
        ..plain.clone()
    };
    let question = asked.question.map(|question| Question {
        gates: gates.clone(),
        respond_by: at(18_000_018),
        shown_sha256: sha256(0x52),
        ..question
    });
    let review = Review {
        answer: Answer::BreakGlass,
        assurance: Assurance::OsUser,
        channel: "cli".into(),
        groups: vec!["oncall".into()],
        key: None,
        nonce: "6c1f0c8e2a7d4f6390c1d2e3f4a5b6c8".into(),
        on_behalf_of: None,
        proposed_sha256: None,
        reason: "The customer's account is being emptied.".into(),
        reviewer: "carl".into(),
        shown_sha256: sha256(0x52),
        signature: None,
        signed_at: at(3_600_019),
        ticket: Some("INC-4711".into()),
    };
    let opened = ExceptionRecord {
        broken_glass: Some(BrokenGlass {
            approval,
            excluded: vec!["ana".into(), "carl".into()],
            groups: vec!["treasury".into()],
            mission: "pay-supplier-invoices".into(),
        }),
        due: Some(at(262_800_021)),
        event: ExceptionEvent::Opened,
        exception: ExceptionId::at(at(3_600_020), entropy(20)),
        kind: ExceptionKind::BreakGlass,
        mitigation: Some("the call may run once, until 2026-11-23T10:40:00.021000Z".into()),
        note: None,
        owner: "treasury".into(),
        reason: "`carl` broke the glass of gate `refunds`: The customer's account is being emptied. (INC-4711)".into(),
        scope: format!("approval:{approval}"),
        signed: None,
        who: None,
    };
    let signed_at = at(3_600_022);
    let reviewed = ExceptionRecord {
        broken_glass: None,
        event: ExceptionEvent::Reviewed,
        note: Some("The refund was right.".into()),
        who: Some("bea".into()),
        ..opened.clone()
    };
    let nonce = "7d1f0c8e2a7d4f6390c1d2e3f4a5b6c9";
    let signature = key.sign(&crate::exceptions::statement(&reviewed, nonce, signed_at)).to_bytes();
    let signed = Signed {
        groups: vec!["treasury".into()],
        key: id,
        nonce: nonce.into(),
        signature: STANDARD.encode(signature),
        signed_at,
    };
    let resolved = ApprovalRecord {
        grant: Some(Grant {
            break_glass: vec!["refunds".into()],
            not_after: at(4_200_021),
            totals: Vec::new(),
            uses: 1,
        }),
        resolution: Some(Resolution::Approved),
        why: Some("gate `refunds`: its glass is broken by `carl`".into()),
        ..event(ApprovalEvent::Resolved)
    };
    let released = ApprovalRecord {
        who: Some("ana".into()),
        why: Some("The account is closed already.".into()),
        ..event(ApprovalEvent::Released)
    };
    let broken = ApprovalRecord { review: Some(review), ..event(ApprovalEvent::Review) };
    vec![
        (
            "approval_record-requested-glass",
            3_600_018,
            ApprovalRecord { question, ..event(ApprovalEvent::Requested) }.into(),
        ),
        ("approval_record-review-glass", 3_600_019, broken.into()),
        ("exception_record-break-glass", 3_600_021, opened.into()),
        ("approval_record-resolved-glass", 3_600_021, resolved.into()),
        ("approval_record-released", 3_600_021, released.into()),
        ("exception_record-reviewed", 3_600_022, ExceptionRecord { signed: Some(signed), ..reviewed }.into()),
    ]
}

/// One record of each type and event that matters, with every optional field there in at least one of them.
pub(crate) fn drafts() -> Vec<(&'static str, Draft)> {
    let draft = |n, call: Option<u64>, body: Body| Draft::new(context(), call.map(call_id), at(n), body);
    let system = |n, body: Body| Draft::new(by_itself(), None, at(n), body);

    let request = RequestContext {
        authenticated: Authenticated::RunToken,
        channel: Channel {
            client: Some(Client { name: "claude-desktop".into(), version: "1.9.0".into() }),
            protocol: Some("2025-11-25".into()),
            surface: Surface::Mcp,
            transport: "stdio".into(),
            upstream: "bank".into(),
        },
        delegation: vec!["finance@corp.example".into()],
        purpose: Some(Purpose { said_by: "agent".into(), text: "Pay the open invoices of November.".into() }),
        token: None,
        words_sha256: Some(sha256(0xb1)),
    };
    let signed = RequestContext {
        authenticated: Authenticated::Oidc,
        delegation: Vec::new(),
        purpose: None,
        token: Some(AccessToken {
            client: Some("ap-bot".into()),
            issuer: "https://login.corp.example".into(),
            sha256: sha256(0xa7),
            subject: "248289761001".into(),
        }),
        words_sha256: None,
        ..request.clone()
    };
    let mut redacting = decision(Effect::Allow, send_money(), 7);
    redacting.obligations = vec![Obligation { kind: "redact".into(), target: "result:/iban".into() }];
    redacting.reasons = vec!["data_class_pii".into()];
    redacting.sentence = "The mission allows the call; personal data in the result must be redacted.".into();
    let mut observed =
        DecisionRecord { effect: Effect::Allow, would: Some(Effect::Deny), ..decision(Effect::Deny, send_money(), 5) };
    observed.input.confirmed = Some(EffectClass::Send);
    observed.input.data_fields = vec!["pii.email:to".into()];
    observed.input.provenance = vec![TargetOrigin {
        argument: "recipient".into(),
        origin: Origin::Untrusted,
        role: TargetRole::Target,
        source: Some("mcp:mail/read_mail:body".into()),
    }];
    let sent_sha256 = Some(sha256(0xd2));
    redacting.input.sent_sha256.clone_from(&sent_sha256);
    let captured = vec![Captured {
        classes: vec!["financial.iban".into(), "pii.person".into()],
        content: Content::Arguments,
        mode: Capture::Redacted,
        reason: None,
    }];
    let answering = ActionRecord { captured, input_sha256: Some(sha256(0xd1)), sent_sha256, ..intent(send_money(), 7) };
    let failed = ActionRecord {
        external_reference: Some("TX-20261123-0042".into()),
        reason: Some("upstream_closed".into()),
        result_bytes: None,
        result_sha256: None,
        ..outcome(send_money(), 8, Status::Unknown)
    };
    let reported = ActionRecord {
        captured: vec![Captured {
            classes: vec!["secret.api_key".into()],
            content: Content::Result,
            mode: Capture::Digest,
            reason: Some(Unkept::Rule),
        }],
        external_reference: Some("release-2026-11-23.1".into()),
        reported: Some(Reported { by: "ap-bot".into(), note: Some("Rolled out to every region.".into()) }),
        ..outcome(deploy(), 11, Status::Done)
    };
    let exception = ExceptionRecord {
        broken_glass: None,
        signed: None,
        due: Some(at(86_400_000)),
        event: ExceptionEvent::Mitigated,
        exception: ExceptionId::at(at(9), entropy(9)),
        kind: ExceptionKind::UnknownOutcome,
        mitigation: Some("Checked the bank's statement: the transfer was not made.".into()),
        owner: "finance@corp.example".into(),
        reason: "The connection to `bank` closed before an answer came.".into(),
        scope: format!("call {}", call_id(8)),
        note: Some("Seen at the bank, too.".into()),
        who: Some("ana".into()),
    };
    let version = VersionLog {
        approval: Some(ApprovalId::at(at(9), entropy(9))),
        difference: vec!["`amount` of `mcp:bank/send_money` may be up to 5000; before, up to 1000.".into()],
        direction: Some(Direction::Wider),
        from: Some(format!("sha256:{}", sha256(0xa0)).into()),
        object: VersionedObject { kind: VersionedKind::Mission, name: "pay-supplier-invoices".into() },
        state: Some(r#"{"until":"2026-12-31"}"#.into()),
        to: format!("sha256:{}", sha256(0xa1)).into(),
        who: "finance@corp.example".into(),
        why: "Raise the limit for the year-end run (FIN-2291).".into(),
    };

    let mut drafts = vec![
        ("ledger_state", system(1, started(0).into())),
        ("request_context", draft(2, None, request.into())),
        ("decision_record-allow", draft(3, Some(7), redacting.into())),
        ("decision_record-deny", draft(4, Some(6), decision(Effect::Deny, send_money(), 6).into())),
        ("action_record-intent", draft(5, Some(7), answering.into())),
        ("action_record-outcome", draft(6, Some(7), outcome(send_money(), 7, Status::Done).into())),
        ("action_record-unknown", draft(7, Some(8), failed.into())),
        ("exception_record", draft(8, Some(8), exception.into())),
        ("version_log", system(9, version.into())),
        ("request_context-oidc", Draft::new(signed_in(), None, at(10), signed)),
        ("decision_record-observed", draft(11, Some(5), observed.into())),
    ];
    let names = [
        "approval_record-requested",
        "approval_record-reminded",
        "approval_record-escalated",
        "approval_record-review",
        "approval_record-resolved",
        "approval_record-consumed",
        "approval_record-delivered",
        "approval_record-revoked",
    ];
    let asking = DecisionRecord {
        approval: Some(ApprovalId::at(at(12), entropy(12))),
        gates: vec!["payments".into()],
        ..decision(Effect::Ask, send_money(), 9)
    };
    drafts.push(("decision_record-ask", draft(12, Some(9), asking.into())));
    for (name, (n, approval)) in names.into_iter().zip(approvals()) {
        drafts.push((name, draft(n, Some(9), approval.into())));
    }
    drafts.extend(emergency().into_iter().map(|(name, n, body)| (name, draft(n, Some(10), body))));
    drafts.extend(standing::lasting().into_iter().map(|(name, n, body)| (name, draft(n, Some(12), body))));
    drafts.push(("action_record-reported", draft(3_600_064, Some(11), reported.into())));
    let access = EvidenceAccess {
        channel: "api".into(),
        filter: None,
        look: None,
        who: "bea".into(),
        why: "The supplier says that another account was agreed (FIN-2304).".into(),
    };
    drafts.push(("evidence_access", draft(3_600_065, Some(7), access.into())));
    let export = EvidenceAccess {
        channel: "cli".into(),
        filter: Some("type:action_record after:2026-11-01".into()),
        look: None,
        who: "audit".into(),
        why: "The annual audit asks for every action of November.".into(),
    };
    drafts.push(("evidence_access-export", draft(3_600_066, None, export.into())));
    let look = EvidenceAccess {
        channel: "cli".into(),
        filter: Some("person:eva@corp.example after:2026-11-01".into()),
        look: Some(Look::Records),
        who: "audit".into(),
        why: "Eva asks what is on record about her.".into(),
    };
    drafts.push(("evidence_access-look", draft(3_600_067, None, look.into())));
    for (name, draft) in &mut drafts {
        if draft.call.is_some() {
            draft.data_classes = vec!["financial".into(), "pii".into()];
            draft.links = vec![Link {
                bytes: 18_211,
                media_type: "application/pdf".into(),
                rel: "invoice".into(),
                sha256: sha256(0xc1),
            }];
            draft.trace = Some("4bf92f3577b34da6a3ce929d0e0e4736".into());
        }
        if ["action_record-intent", "evidence_access"].contains(name) {
            draft.links.push(Link {
                bytes: 96,
                media_type: "application/vnd.countersign.sealed".into(),
                rel: Content::Arguments.to_string(),
                sha256: sha256(0xc2),
            });
        }
    }
    drafts
}

/// The bytes of `draft` as record `seq`.
pub(crate) fn written(draft: &Draft, seq: u64) -> Vec<u8> {
    let place = Place { emitter: EMITTER, id: record_id(seq), recorded_at: draft.occurred_at, seq };
    let mut out = Vec::new();
    write(draft, place, &mut out).unwrap();
    out
}

/// A whole log: the examples in order, and what makes a sound story of them.
pub(crate) fn story() -> Vec<Draft> {
    let of_call = |call, n, body: Body| Draft::new(context(), Some(call_id(call)), at(n), body);
    let before = |n, body: Body| of_call(8, n, body);
    let mut story = Vec::new();
    for (name, draft) in drafts() {
        if name == "action_record-unknown" {
            story.push(before(6, decision(Effect::Allow, send_money(), 8).into()));
            story.push(before(6, intent(send_money(), 8).into()));
        }
        let used = |n, body: Body| Draft::new(context(), Some(call_id(9)), at(n), body);
        if name == "approval_record-consumed" {
            let allowed = DecisionRecord {
                approval: Some(ApprovalId::at(at(12), entropy(12))),
                gates: vec!["payments".into()],
                point: DecisionPoint::Use,
                ..decision(Effect::Allow, send_money(), 9)
            };
            story.push(used(3_600_016, allowed.into()));
        }
        if name == "approval_record-delivered" {
            story.push(used(3_600_016, intent(send_money(), 9).into()));
            story.push(used(3_600_017, outcome(send_money(), 9, Status::Done).into()));
        }
        if name == "approval_record-consumed-standing" {
            story.push(of_call(12, 3_600_060, standing::using().into()));
        }
        if name == "action_record-reported" {
            story.push(of_call(12, 3_600_060, intent(send_money(), 12).into()));
            story.push(of_call(12, 3_600_061, outcome(send_money(), 12, Status::Done).into()));
            story.push(of_call(11, 3_600_063, decision(Effect::Allow, deploy(), 11).into()));
            story.push(of_call(11, 3_600_063, intent(deploy(), 11).into()));
        }
        if name == "version_log"
            && let Body::Version(version) = &draft.body
        {
            story.push(Draft::new(by_itself(), None, at(9), confirmed()));
            story.extend(approval_of(version).map(|record| Draft::new(by_itself(), None, at(9), record)));
        }
        if name == "exception_record"
            && let Body::Exception(exception) = &draft.body
        {
            let opened = ExceptionRecord {
                event: ExceptionEvent::Opened,
                mitigation: None,
                note: None,
                who: None,
                ..exception.clone()
            };
            story.push(before(8, opened.into()));
        }
        story.push(draft);
    }
    for (draft, seq) in story.iter_mut().zip(0..) {
        if let Body::Ledger(state) = &mut draft.body {
            state.records = seq;
        }
    }
    story
}
