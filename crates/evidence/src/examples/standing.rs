//! An edited call, the call that follows it, and a standing grant with one use.

use super::*;

/// The agent's edited call, the one that has what was proposed, and what people grant instead of answering each. Each with its millisecond.
pub(super) fn lasting() -> Vec<(&'static str, u64, Body)> {
    let [(_, asked), .., (_, plain)] = approvals();
    let mut gates = asked.question.as_ref().map(|question| question.gates.clone()).unwrap_or_default();
    for gate in &mut gates {
        gate.standing = Some(StandingLimit { for_s: 2_592_000, uses: 100 });
    }
    let event = |approval, call_sha256: &str, event| ApprovalRecord {
        approval,
        call_sha256: call_sha256.to_owned(),
        event,
        gates_sha256: gates_sha256(&gates),
        who: None,
        why: None,
        ..plain.clone()
    };
    let [first, second, standing] = [30, 40, 50].map(|n| ApprovalId::at(at(3_600_000 + n), entropy(n)));
    let question = |n: u64, more: Question| Question {
        gates: gates.clone(),
        respond_by: at(18_000_000 + n),
        shown_sha256: sha256(0x52),
        ..more
    };
    let plainly = |question: &dyn Fn(Question) -> Question| asked.question.clone().map(question);
    let of_edit = |what| event(first, &sha256(0xe1), what);
    let of_next = |what| event(second, &sha256(0xe2), what);
    let of_grant = |what| event(standing, &sha256(0xe3), what);
    let review = |n, answer, nonce: &str, proposed_sha256, reason: &str, asked: &ApprovalRecord| {
        let review = Review {
            answer,
            assurance: Assurance::DeviceKey,
            channel: "cli".into(),
            groups: vec!["treasury".into()],
            key: Some(reviewers_key().0),
            nonce: nonce.into(),
            on_behalf_of: None,
            proposed_sha256,
            reason: reason.into(),
            reviewer: "bea".into(),
            shown_sha256: sha256(0x52),
            signature: None,
            signed_at: at(n),
            ticket: None,
        };
        signed(review, asked)
    };
    let edited = review(
        3_600_031,
        Answer::Edit,
        "8e1f0c8e2a7d4f6390c1d2e3f4a5b6ca",
        Some(sha256(0xe4)),
        "500 is the most without a contract.",
        &of_edit(ApprovalEvent::Review),
    );
    let granted = review(
        3_600_051,
        Answer::Approve,
        "9f1f0c8e2a7d4f6390c1d2e3f4a5b6cb",
        None,
        "The rent, every month.",
        &of_grant(ApprovalEvent::Review),
    );
    let totals = vec![Total { argument: "amount".into(), most: "14400".into() }];
    let terms = StandingGrant {
        endorses: None,
        name: "rent".into(),
        totals: totals.clone(),
        until: at(31_536_000_000),
        uses: 12,
    };
    let editor = Excluded { person: "bea".into(), role: "editor".into() };
    let seen = |argument: &str, kind: &str, text: &str| Facet {
        argument: argument.into(),
        values: vec![FacetValue { kind: kind.into(), text: text.into() }],
    };
    let covered = ApprovalRecord {
        covers_sha256: Some(sha256(12 ^ 0xff)),
        facets: vec![seen("amount", "number", "1200"), seen("to", "identifier", "DE89370400440532013000")],
        used: Some(1),
        ..of_grant(ApprovalEvent::Consumed)
    };
    vec![
        (
            "approval_record-requested-edit",
            3_600_030,
            ApprovalRecord { question: plainly(&|it| question(30, it)), ..of_edit(ApprovalEvent::Requested) }.into(),
        ),
        (
            "approval_record-review-edit",
            3_600_031,
            ApprovalRecord { review: Some(edited), ..of_edit(ApprovalEvent::Review) }.into(),
        ),
        (
            "approval_record-resolved-edit",
            3_600_031,
            ApprovalRecord {
                resolution: Some(Resolution::Edited),
                why: Some("500 is the most without a contract. (bea)".into()),
                ..of_edit(ApprovalEvent::Resolved)
            }
            .into(),
        ),
        (
            "approval_record-requested-follows",
            3_600_040,
            ApprovalRecord {
                question: plainly(&|it| {
                    let excluded = it.excluded.iter().cloned().chain([editor.clone()]).collect();
                    Question { excluded, follows: Some(first), ..question(40, it) }
                }),
                ..of_next(ApprovalEvent::Requested)
            }
            .into(),
        ),
        (
            "approval_record-requested-standing",
            3_600_050,
            ApprovalRecord {
                question: plainly(&|it| Question {
                    excluded: vec![Excluded { person: "ana".into(), role: "proposer".into() }],
                    standing: Some(terms.clone()),
                    ..question(50, it)
                }),
                ..of_grant(ApprovalEvent::Requested)
            }
            .into(),
        ),
        (
            "approval_record-review-standing",
            3_600_051,
            ApprovalRecord { review: Some(granted), ..of_grant(ApprovalEvent::Review) }.into(),
        ),
        (
            "approval_record-resolved-standing",
            3_600_051,
            ApprovalRecord {
                grant: Some(Grant { break_glass: Vec::new(), not_after: at(2_595_600_051), totals, uses: 12 }),
                resolution: Some(Resolution::Approved),
                why: Some("gate `payments` is satisfied by `bea`".into()),
                ..of_grant(ApprovalEvent::Resolved)
            }
            .into(),
        ),
        ("approval_record-consumed-standing", 3_600_060, covered.into()),
    ]
}

/// The decision by which a call uses the standing grant, right before the use.
pub(super) fn using() -> DecisionRecord {
    DecisionRecord {
        approval: Some(ApprovalId::at(at(3_600_050), entropy(50))),
        gates: vec!["payments".into()],
        point: DecisionPoint::Use,
        ..decision(Effect::Allow, send_money(), 12)
    }
}
