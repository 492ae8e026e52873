//! The path's order, held from outside: inputs in, effects out.

use std::sync::Arc;

use bytes::Bytes;
use evidence::ids::{ApprovalId, CallId, RecordId, RunId};
use evidence::record::approval::{ApprovalEvent, ApprovalRecord};
use evidence::record::{
    ActionEvent, Agent, Authenticated, Body, Context, Draft, Endpoint, Initiator, Receipt, Status, Surface, Tool,
};
use evidence::time::Timestamp;
use proptest::prelude::*;

use super::*;
use crate::classify::{Returned, Standing, classify};
use crate::decide::compile;
use crate::mission;

const MISSION: &str = r#"
mission = "reader"
goal = "Read."
owner = "ana@corp.example"
agents = ["bot"]
until = 2099-01-01
why = "First version."
[allow.mcp.files]
read = {}
peek = {}
wipe = {}
resources = ["file:///srv/*"]
[effect.mcp.files]
peek = "read"
[danger.wiping]
when = "mcp:files/wipe"
[gate.default]
group = "leads"
"#;

const AT: Timestamp = Timestamp::from_micros(1_800_000_000_000_000);

fn policy() -> Arc<PolicySnapshot> {
    Arc::new(compile(Arc::new(mission::parse(MISSION).unwrap())).unwrap())
}

fn intercepted(endpoint: Endpoint, name: &str) -> Intercepted {
    let context = Context {
        agent: Agent { name: "bot".into(), version: None },
        context: None,
        initiator: Initiator { authenticated: Authenticated::OsUser, name: "ana".into() },
        mission: Some("reader".into()),
        run: Some(RunId::at(AT, [1; 10])),
    };
    let tool = Tool { endpoint, name: name.into(), surface: Surface::Mcp, upstream: "files".into() };
    Intercepted::new(
        CallId::at(AT, [2; 10]),
        Arc::new(context),
        tool,
        Bytes::from_static(b"{\"path\":\"/srv/a\"}"),
        None,
    )
}

fn classified(intercepted: Intercepted, standing: Standing) -> Input {
    let policy = policy();
    let plan = policy.plan(intercepted.tool());
    Input::Classified(Box::new(classify(intercepted, plan, standing, &Returned::default())), policy.clone())
}

fn receipts(count: usize) -> Input {
    let receipt = |seq| Receipt { id: RecordId::at(AT, [3; 10]), recorded_at: AT, seq };
    Input::Recorded((1..=count as u64).map(receipt).collect())
}

fn done() -> Input {
    let result = Bytes::from_static(b"{}");
    Input::Ended(Box::new(Outcome {
        examined: None,
        external_reference: None,
        payload: Some(result.clone()),
        reason: None,
        reported: None,
        result: Some(result),
        status: Status::Done,
    }))
}

/// Short names of effects, in order.
fn names(effects: &[Effect]) -> Vec<String> {
    let draft = |draft: &Draft| match &draft.body {
        Body::Action(action) => action.status.map_or_else(|| action.event.to_string(), |status| status.to_string()),
        Body::Decision(decision) => decision.effect.to_string(),
        Body::Exception(exception) => exception.kind.to_string(),
        body => body.record_type().to_string(),
    };
    let name = |effect: &Effect| match effect {
        Effect::Append(drafts) => format!("append {}", drafts.iter().map(draft).collect::<Vec<_>>().join("+")),
        Effect::CancelUpstream => "cancel upstream".to_owned(),
        Effect::Classify(_) => "classify".to_owned(),
        Effect::Consult(_) => "consult".to_owned(),
        Effect::GiveBack(..) => "give back".to_owned(),
        Effect::Keep(_) => "keep".to_owned(),
        Effect::Replay(replayed) => format!("replay {} {}", replayed.executed.used, replayed.executed.status),
        Effect::Retain(_, executed, result) => {
            format!("retain {} {}", executed.status, result.as_ref().map_or(0, Bytes::len))
        }
        Effect::Wait(..) => "wait".to_owned(),
        Effect::Reply(Reply::Pending(pending)) => match pending.awaits {
            Awaits::Answers { .. } => "pending".to_owned(),
            Awaits::Outcome => "pending outcome".to_owned(),
        },
        Effect::Reply(Reply::Replayed(_)) => "replayed".to_owned(),
        Effect::Execute(_) => "execute".to_owned(),
        Effect::Follow(Reply::Passed(_)) => "follow".to_owned(),
        Effect::Follow(reply) => format!("follow {reply:?}"),
        Effect::Note(_) => "note".to_owned(),
        Effect::Reply(Reply::Denied(refusal)) => format!("denied {}", refusal.reason),
        Effect::Reply(Reply::Failed(refusal, status)) => format!("failed {} {status}", refusal.reason),
        Effect::Reply(Reply::Passed(_)) => "passed".to_owned(),
    };
    effects.iter().map(name).collect()
}

/// Feeds `inputs` to a call of `tool` and checks the effects of each.
fn check(endpoint: Endpoint, tool: &str, standing: Standing, steps: Vec<(Option<Input>, &[&str])>) {
    let call = intercepted(endpoint, tool);
    let (mut state, effects) = Call::begin(call.clone());
    assert_eq!(names(&effects), ["classify"]);
    for (input, want) in steps {
        let input = input.unwrap_or_else(|| classified(call.clone(), standing));
        let (next, effects) = state.handle(input, AT);
        assert_eq!(names(&effects), want);
        state = next;
    }
    assert!(state.is_closed());
}

#[test]
fn an_allowed_call_runs_after_its_intent_and_answers_after_its_outcome() {
    check(
        Endpoint::Tool,
        "read",
        Standing::Good,
        vec![
            (None, &["append allow+intent"]),
            (Some(receipts(2)), &["execute"]),
            (Some(done()), &["append done"]),
            (Some(receipts(1)), &["passed"]),
        ],
    );
}

#[test]
fn a_read_answers_before_its_outcome_is_durable() {
    for (endpoint, name) in [(Endpoint::Resource, "file:///srv/a"), (Endpoint::Tool, "peek")] {
        check(
            endpoint,
            name,
            Standing::Good,
            vec![
                (None, &["append allow+intent"]),
                (Some(receipts(2)), &["execute"]),
                (Some(done()), &["passed", "append done"]),
                (Some(receipts(1)), &[]),
            ],
        );
    }
}

#[test]
fn a_denied_call_is_told_once_it_is_durable_and_never_runs() {
    check(
        Endpoint::Tool,
        "write",
        Standing::Good,
        vec![(None, &["append deny"]), (Some(receipts(1)), &["denied tool_not_allowed"])],
    );
    check(
        Endpoint::Tool,
        "read",
        Standing::Halted,
        vec![(None, &["append deny"]), (Some(receipts(1)), &["denied halted"])],
    );
}

#[test]
fn nothing_runs_where_the_intent_cannot_be_recorded() {
    check(
        Endpoint::Tool,
        "read",
        Standing::Good,
        vec![(None, &["append allow+intent"]), (Some(Input::Unrecorded), &["failed ledger_unavailable not_executed"])],
    );
}

#[test]
fn a_call_of_which_nothing_can_be_kept_is_not_decided_and_does_not_run() {
    let (call, _) = Call::begin(intercepted(Endpoint::Tool, "read"));
    let (call, effects) = call.handle(Input::Unrecorded, AT);
    assert_eq!(names(&effects), ["failed ledger_unavailable not_executed"]);
    assert!(call.is_closed());
}

#[test]
fn an_outcome_that_cannot_be_recorded_is_not_answered_as_a_result() {
    check(
        Endpoint::Tool,
        "read",
        Standing::Good,
        vec![
            (None, &["append allow+intent"]),
            (Some(receipts(2)), &["execute"]),
            (Some(done()), &["append done"]),
            (Some(Input::Unrecorded), &["failed ledger_unavailable unknown"]),
        ],
    );
}

#[test]
fn a_call_taken_back_before_its_receipt_is_not_executed() {
    check(
        Endpoint::Tool,
        "read",
        Standing::Good,
        vec![
            (None, &["append allow+intent"]),
            (Some(Input::Cancelled), &[]),
            (Some(receipts(2)), &["append not_executed"]),
            (Some(receipts(1)), &[]),
        ],
    );
}

#[test]
fn a_call_taken_back_at_the_upstream_is_cancelled() {
    check(
        Endpoint::Tool,
        "read",
        Standing::Good,
        vec![
            (None, &["append allow+intent"]),
            (Some(receipts(2)), &["execute"]),
            (Some(Input::Cancelled), &["cancel upstream", "append cancelled"]),
            (Some(receipts(1)), &[]),
        ],
    );
}

#[test]
fn a_lost_answer_is_unknown_and_opens_an_exception() {
    check(
        Endpoint::Tool,
        "read",
        Standing::Good,
        vec![
            (None, &["append allow+intent"]),
            (Some(receipts(2)), &["execute"]),
            (
                Some(Input::Ended(Box::new(Outcome::without_answer(Status::Unknown, Reason::ConnectionLost)))),
                &["append unknown+unknown_outcome"],
            ),
            (Some(receipts(2)), &["failed connection_lost unknown"]),
        ],
    );
}

fn task_created(result_bytes: usize) -> Input {
    let result = Bytes::from(vec![b' '; result_bytes]);
    Input::TaskCreated(Created { payload: result.clone(), result })
}

#[test]
fn a_call_that_became_a_task_stays_open_until_the_task_ends() {
    check(
        Endpoint::Tool,
        "read",
        Standing::Good,
        vec![
            (None, &["append allow+intent"]),
            (Some(receipts(2)), &["execute"]),
            (Some(task_created(2)), &["follow"]),
            (Some(Input::Cancelled), &[]),
            (Some(task_created(2)), &["note"]),
            (Some(done()), &["append done"]),
            (Some(receipts(1)), &["passed"]),
        ],
    );
    check(
        Endpoint::Tool,
        "read",
        Standing::Good,
        vec![
            (None, &["append allow+intent"]),
            (Some(receipts(2)), &["execute"]),
            (Some(task_created(2)), &["follow"]),
            (
                Some(Input::Ended(Box::new(Outcome::without_answer(Status::Unknown, Reason::ConnectionLost)))),
                &["append unknown+unknown_outcome"],
            ),
            (Some(receipts(2)), &["failed connection_lost unknown"]),
        ],
    );
}

#[test]
fn a_receipt_for_less_than_was_appended_mints_no_warrant() {
    check(
        Endpoint::Tool,
        "read",
        Standing::Good,
        vec![(None, &["append allow+intent"]), (Some(receipts(1)), &["failed ledger_unavailable not_executed"])],
    );
}

#[test]
fn an_input_that_nobody_expected_changes_nothing_and_is_recorded() {
    check(
        Endpoint::Tool,
        "read",
        Standing::Good,
        vec![
            (None, &["append allow+intent"]),
            (Some(done()), &["note"]),
            (Some(receipts(2)), &["execute"]),
            (Some(receipts(2)), &["note"]),
            (Some(done()), &["append done"]),
            (Some(done()), &["note"]),
            (Some(receipts(1)), &["passed"]),
        ],
    );
}

fn an_input() -> impl Strategy<Value = u8> {
    0_u8..8
}

proptest! {
    /// Whatever the world says in whatever order: at most one execution, only after a receipt that follows the intent, and nothing after the end.
    #[test]
    fn any_order_of_inputs_executes_at_most_once_and_only_after_the_intent(inputs in prop::collection::vec(an_input(), 0..12)) {
        let call = intercepted(Endpoint::Tool, "read");
        let (mut state, _) = Call::begin(call.clone());
        let (mut intended, mut received, mut executed, mut followed, mut replies) = (false, false, 0, 0, 0);
        for input in inputs {
            let was_closed = state.is_closed();
            let input = match input {
                0 => classified(call.clone(), Standing::Good),
                1 => receipts(1),
                2 => receipts(2),
                3 => Input::Unrecorded,
                4 => Input::Cancelled,
                5 => done(),
                6 => task_created(2),
                _ => Input::Ended(Box::new(Outcome::without_answer(Status::Unknown, Reason::Timeout))),
            };
            received |= intended && matches!(&input, Input::Recorded(receipts) if receipts.len() == 2);
            let (next, effects) = state.handle(input, AT);
            for effect in &effects {
                match effect {
                    Effect::Append(drafts) => intended |= names(&effects).iter().any(|name| name.contains("intent")) && drafts.len() == 2,
                    Effect::Execute(_) => {
                        prop_assert!(intended && received);
                        executed += 1;
                    }
                    Effect::Follow(_) => followed += 1,
                    Effect::Replay(_) | Effect::Reply(_) => replies += 1,
                    Effect::CancelUpstream
                    | Effect::Classify(_)
                    | Effect::Consult(_)
                    | Effect::GiveBack(..)
                    | Effect::Keep(_)
                    | Effect::Note(_)
                    | Effect::Retain(..)
                    | Effect::Wait(..) => {}
                }
            }
            prop_assert!(!was_closed || effects.iter().all(|effect| matches!(effect, Effect::Note(_))));
            state = next;
        }
        prop_assert!(executed <= 1 && replies <= 1 && followed <= executed);
    }
}

const ASKED: ApprovalId = ApprovalId::from_bytes([9; 16]);

fn event(event: ApprovalEvent) -> ApprovalRecord {
    ApprovalRecord {
        approval: ASKED,
        call_sha256: "c".repeat(64),
        covers_sha256: None,
        event,
        facets: Vec::new(),
        gate: None,
        gates_sha256: "g".repeat(64),
        grant: None,
        question: None,
        resolution: None,
        review: None,
        tool: intercepted(Endpoint::Tool, "wipe").tool().clone(),
        used: None,
        who: None,
        why: None,
    }
}

fn approved() -> Input {
    let consumed = ApprovalRecord { used: Some(1), ..event(ApprovalEvent::Consumed) };
    Input::Consulted(Box::new(Consulted::Approved { consumed: Box::new(consumed), gates: vec!["default".into()] }))
}

fn pending(is_new: bool) -> Input {
    let requested =
        is_new.then(|| Box::new(Requested { record: event(ApprovalEvent::Requested), view: Arc::from(&b"{}"[..]) }));
    Input::Consulted(Box::new(Consulted::Pending { approval: ASKED, requested, respond_by: AT }))
}

fn turned_down() -> Input {
    Input::Consulted(Box::new(Consulted::Refused {
        approval: Some(ASKED),
        ended: None,
        proposed: None,
        reason: Reason::ApprovalDenied,
        said_to_agent: "no".to_owned(),
        sentence: "people said no".to_owned(),
    }))
}

#[test]
fn an_approved_call_runs_once_people_have_answered() {
    check(
        Endpoint::Tool,
        "wipe",
        Standing::Good,
        vec![
            (None, &["consult"]),
            (Some(pending(true)), &["keep", "append ask+approval_record"]),
            (Some(receipts(2)), &["wait"]),
            (Some(Input::Woken), &["classify"]),
            (None, &["consult"]),
            (Some(approved()), &["append allow+approval_record+intent"]),
            (Some(receipts(3)), &["execute"]),
            (Some(done()), &["retain done 2", "append done"]),
            (Some(receipts(1)), &["passed"]),
        ],
    );
}

fn executed(status: Status, reason: Option<Reason>) -> Box<Executed> {
    Box::new(Executed { call: CallId::at(AT, [8; 10]), exception: None, kept_sha256: None, reason, status, used: 1 })
}

fn replayed(status: Status, reason: Option<Reason>) -> Input {
    Input::Consulted(Box::new(Consulted::Replayed { approval: ASKED, executed: executed(status, reason) }))
}

#[test]
fn an_approved_call_goes_on_when_its_client_takes_it_back() {
    check(
        Endpoint::Tool,
        "wipe",
        Standing::Good,
        vec![
            (None, &["consult"]),
            (Some(approved()), &["append allow+approval_record+intent"]),
            (Some(receipts(3)), &["execute"]),
            (Some(Input::Cancelled), &[]),
            (Some(done()), &["retain done 2", "append done"]),
            (Some(receipts(1)), &["passed"]),
        ],
    );
}

#[test]
fn an_approved_call_that_is_taken_back_before_it_is_sent_does_not_run() {
    check(
        Endpoint::Tool,
        "wipe",
        Standing::Good,
        vec![
            (None, &["consult"]),
            (Some(approved()), &["append allow+approval_record+intent"]),
            (Some(Input::Cancelled), &[]),
            (Some(receipts(3)), &["retain not_executed 0", "append not_executed"]),
            (Some(receipts(1)), &[]),
        ],
    );
}

#[test]
fn an_outcome_that_nobody_has_is_handed_out_once_that_is_recorded() {
    for status in [Status::Done, Status::ToolError] {
        let want = format!("replay 1 {status}");
        let steps: Vec<(Option<Input>, &[&str])> = vec![
            (None, &["consult"]),
            (Some(replayed(status, None)), &["append allow"]),
            (Some(Input::Cancelled), &[]),
        ];
        let call = intercepted(Endpoint::Tool, "wipe");
        let (mut state, _) = Call::begin(call.clone());
        for (input, effects_want) in steps {
            let (next, effects) = state.handle(input.unwrap_or_else(|| classified(call.clone(), Standing::Good)), AT);
            assert_eq!(names(&effects), effects_want);
            if let Some(Effect::Append(drafts)) = effects.first() {
                let Body::Decision(decision) = &drafts[0].body else { panic!("{drafts:?}") };
                assert_eq!(decision.point, DecisionPoint::Release, "it is no right to execute");
                assert_eq!(decision.approval, Some(ASKED));
                assert_eq!(decision.reasons, ["replayed".into()]);
            }
            state = next;
        }
        let (state, effects) = state.handle(receipts(1), AT);
        assert_eq!(names(&effects), [want]);
        assert!(state.is_closed());
    }
}

#[test]
fn an_unknown_outcome_is_told_as_that() {
    let call = intercepted(Endpoint::Tool, "wipe");
    let (state, _) = Call::begin(call.clone());
    let (state, _) = state.handle(classified(call, Standing::Good), AT);
    let (state, _) = state.handle(replayed(Status::Unknown, Some(Reason::GatewayDied)), AT);
    let (_, effects) = state.handle(receipts(1), AT);
    let [Effect::Replay(replayed)] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(replayed.refusal.reason, Reason::GatewayDied);
    assert!(replayed.refusal.sentence.contains("do not repeat it before a person has looked"));
}

#[test]
fn a_call_joins_an_execution_and_executes_nothing() {
    let running = || Input::Consulted(Box::new(Consulted::Running(ASKED)));
    check(
        Endpoint::Tool,
        "wipe",
        Standing::Good,
        vec![
            (None, &["consult"]),
            (Some(running()), &["append ask"]),
            (Some(receipts(1)), &["wait"]),
            (Some(Input::Woken), &["classify"]),
            (None, &["consult"]),
            (Some(running()), &["wait"]),
            (Some(Input::Waited), &["pending outcome"]),
        ],
    );
}

#[test]
fn where_the_book_has_nothing_to_say_a_call_that_asks_does_not_run() {
    check(
        Endpoint::Tool,
        "wipe",
        Standing::Good,
        vec![
            (None, &["consult"]),
            (Some(Input::Consulted(Box::new(Consulted::Nothing))), &["append deny"]),
            (Some(receipts(1)), &["denied approval_required"]),
        ],
    );
}

#[test]
fn a_call_that_people_have_approved_before_runs_at_once() {
    check(
        Endpoint::Tool,
        "wipe",
        Standing::Good,
        vec![
            (None, &["consult"]),
            (Some(approved()), &["append allow+approval_record+intent"]),
            (Some(receipts(2)), &["failed ledger_unavailable not_executed"]),
        ],
    );
}

#[test]
fn a_call_joins_a_question_and_is_told_that_it_waits() {
    check(
        Endpoint::Tool,
        "wipe",
        Standing::Good,
        vec![
            (None, &["consult"]),
            (Some(pending(false)), &["append ask"]),
            (Some(receipts(1)), &["wait"]),
            (Some(Input::Waited), &["pending"]),
        ],
    );
}

#[test]
fn a_call_that_has_waited_before_goes_on_with_its_question() {
    let call = intercepted(Endpoint::Tool, "wipe").awaiting(ASKED);
    let (state, _) = Call::begin(call.clone());
    let (state, effects) = state.handle(classified(call, Standing::Good), AT);
    let [Effect::Consult(consult)] = effects.as_slice() else { panic!("{effects:?}") };
    assert_eq!(consult.awaited, Some(ASKED));
    let (_, effects) = state.handle(pending(false), AT);
    assert_eq!(names(&effects), ["wait"]);
}

#[test]
fn what_is_still_open_is_waited_for_again_and_recorded_once() {
    check(
        Endpoint::Tool,
        "wipe",
        Standing::Good,
        vec![
            (None, &["consult"]),
            (Some(pending(false)), &["append ask"]),
            (Some(receipts(1)), &["wait"]),
            (Some(Input::Woken), &["classify"]),
            (None, &["consult"]),
            (Some(pending(false)), &["wait"]),
            (Some(Input::Cancelled), &[]),
        ],
    );
}

#[test]
fn a_no_is_recorded_before_it_is_told() {
    check(
        Endpoint::Tool,
        "wipe",
        Standing::Good,
        vec![
            (None, &["consult"]),
            (Some(turned_down()), &["append deny"]),
            (Some(receipts(1)), &["denied approval_denied"]),
        ],
    );
}

#[test]
fn a_question_that_cannot_be_recorded_is_not_asked() {
    check(
        Endpoint::Tool,
        "wipe",
        Standing::Good,
        vec![
            (None, &["consult"]),
            (Some(pending(true)), &["keep", "append ask+approval_record"]),
            (Some(Input::Unrecorded), &["failed ledger_unavailable not_executed"]),
        ],
    );
}

#[test]
fn an_approval_lifts_nothing_but_what_asks() {
    // The use was taken, and the run has ended meanwhile: it is given back, and the denial says why.
    let call = intercepted(Endpoint::Tool, "wipe");
    let (state, _) = Call::begin(call.clone());
    let (state, effects) = state.handle(classified(call, Standing::Good), AT);
    assert_eq!(names(&effects), ["consult"]);
    let other = ApprovalRecord { used: Some(1), ..event(ApprovalEvent::Consumed) };
    let of_another_gate = Consulted::Approved { consumed: Box::new(other), gates: vec!["another".into()] };
    let (_, effects) = state.handle(Input::Consulted(Box::new(of_another_gate)), AT);
    assert_eq!(names(&effects), ["give back", "append deny"]);
}

proptest! {
    /// Whatever comes in whatever order: a call that needs approval runs only with the receipts of its decision, the use of its approval and its intent.
    #[test]
    fn nothing_that_asks_runs_without_a_recorded_use(inputs in prop::collection::vec(0..16_usize, 0..24)) {
        let call = intercepted(Endpoint::Tool, "wipe");
        let (mut state, _) = Call::begin(call.clone());
        let (mut used, mut received, mut executed) = (false, false, 0);
        for input in inputs {
            let input = match input {
                0 | 1 => classified(call.clone(), Standing::Good),
                2 => approved(),
                3 => pending(true),
                4 => pending(false),
                5 => turned_down(),
                6 => Input::Woken,
                7 => Input::Waited,
                8 => receipts(1),
                9 => receipts(2),
                10 => receipts(3),
                11 => Input::Cancelled,
                12 => replayed(Status::Done, None),
                13 => Input::Consulted(Box::new(Consulted::Running(ASKED))),
                14 => Input::Consulted(Box::new(Consulted::Nothing)),
                _ => done(),
            };
            received |= used && matches!(&input, Input::Recorded(receipts) if receipts.len() == 3);
            let (next, effects) = state.handle(input, AT);
            for effect in &effects {
                if let Effect::Append(drafts) = effect {
                    let is_use = |draft: &Draft| {
                        matches!(&draft.body, Body::Approval(approval) if approval.event == ApprovalEvent::Consumed)
                    };
                    let is_intent = |draft: &Draft| {
                        matches!(&draft.body, Body::Action(action) if action.event == ActionEvent::Intent)
                    };
                    let has_intent = drafts.iter().any(is_intent);
                    prop_assert!(!has_intent || drafts.iter().any(is_use));
                    used |= drafts.iter().any(is_use);
                }
                executed += usize::from(matches!(effect, Effect::Execute(_)));
            }
            prop_assert!(executed == 0 || received);
            state = next;
        }
        prop_assert!(executed <= 1);
    }
}
