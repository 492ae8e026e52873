//! Takes one call through its states: performs each effect and feeds the result back.
//!
//! The order is not here: it is in `governance::call`. A failure to record is fed back too, and the call answers that nothing ran.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use evidence::record::approval::ApprovalEvent;
use evidence::record::{Body, Draft, Effect as Verdict, ExceptionKind, Status, Tool};
use evidence::time::Timestamp;
use governance::approve::Consulted;
use governance::call::{Call, Consult, Effect, Input};
use governance::classify::{Classified, Returned, Standing, classify};
use governance::decide::PolicySnapshot;
use governance::execute::{Execution, Outcome};
use governance::intercept::Intercepted;
use governance::reason::Reason;
use surfaces::govern::{Answered, Execute, Waiting};
use tokio::sync::oneshot;

use crate::Gateway;
use crate::approvals::Using;
use crate::clock::{instant, now, sleep_until};
use crate::content::Unnamed;
use crate::limits::{HOLD_NEWS, PARKS_AFTER};
use crate::refusals::Sort;

/// Governs one call; `None` when the client took it back, which `cancelled` tells: of a call that people approved, once it has ended.
pub(crate) async fn drive<E: Execute>(
    gateway: &Arc<Gateway>,
    intercepted: Intercepted,
    latest: impl Fn() -> Arc<PolicySnapshot>,
    standing: impl Fn() -> Standing,
    refuses: impl Fn(&PolicySnapshot, &Tool) -> bool,
    mut execute: E,
    cancelled: &mut oneshot::Receiver<()>,
) -> Option<Answered> {
    let (mut may_cancel, mut has_left) = (true, false);
    let (mut reply, mut using) = (None, Using::default());
    let mut policy = latest();
    let mut held_until = None;
    let (id, tool, run) = (intercepted.call(), intercepted.tool().clone(), intercepted.context().run);
    // What the tool gets.
    let (mut arguments, mut tokens) = (intercepted.sent().clone(), Vec::new());
    let (attempt, mut unnamed) = (intercepted.attempt(), Unnamed::default());
    let (mut call, effects) = Call::begin(intercepted);
    let mut effects = VecDeque::from(effects);
    while let Some(effect) = effects.pop_front() {
        let input = match effect {
            Effect::Classify(intercepted) => {
                // Asked anew where the call has waited: the definition may have changed meanwhile.
                let as_it_is_listed =
                    if refuses(&policy, &tool) { intercepted.objected(Reason::DefinitionRefused) } else { intercepted };
                let intercepted;
                (intercepted, tokens) = gateway.turned_back(&policy, as_it_is_listed);
                arguments = intercepted.sent().clone();
                let kept = match gateway.keep_arguments(&policy, &intercepted, &tokens, &mut unnamed).await {
                    Ok(kept) => kept,
                    Err(error) => {
                        tracing::error!(%error, "content of a call could not be kept; the call does not run");
                        let (next, more) = call.handle(Input::Unrecorded, now());
                        call = next;
                        effects.extend(more);
                        continue;
                    }
                };
                let is_counted = policy.counters(&tool).next().is_some();
                let plan = policy.plan(&tool);
                if is_counted && let Err(error) = gateway.open_counters(policy.mission().name()).await {
                    tracing::error!(%error, "what was used of limits is not known; nothing that they limit runs");
                }
                let confirmed = gateway.pins.confirmed(&tool);
                let pin = if policy.asks(&tool) { gateway.pins.pinned(&tool) } else { None };
                let classified = if policy.recalls(&tool) {
                    gateway.recall.with(run, |returned| classify(intercepted, plan, standing(), returned))
                } else {
                    classify(intercepted, plan, standing(), &Returned::default())
                };
                let (data_classes, data_fields) = gateway.classes(&policy, run, &classified.intercepted, &tokens).await;
                let met = gateway.met(run, &policy).await;
                let initiator = &classified.intercepted.context().initiator.name;
                // Of one time, so that no decision says of a value that it was endorsed after that was over.
                let at = now();
                let endorsed = gateway.endorsed(&policy, (&tool, pin.as_deref()), initiator, at);
                let provenance = gateway.provenance.trace(run, &policy, &tool, &arguments, &endorsed);
                let classified = Box::new(Classified {
                    confirmed,
                    data_classes,
                    data_fields,
                    kept,
                    met,
                    pin,
                    provenance,
                    ..classified
                });
                let consult = |consult: &Consult, at| gateway.consult(consult, at);
                let (next, more) = if is_counted {
                    gateway.counters.decide(call, classified, policy.clone(), at, consult)
                } else {
                    let (next, more) = call.handle(Input::Classified(classified, policy.clone()), at);
                    consulted(next, more, at, consult)
                };
                call = next;
                note_limits(gateway, &policy, &more);
                effects.extend(more);
                continue;
            }
            Effect::Consult(consult) => Input::Consulted(Box::new(gateway.consult(&consult, now()))),
            Effect::GiveBack(approval, used) => {
                gateway.approvals.give_back(approval, used);
                continue;
            }
            Effect::Keep(requested) => {
                let asked = requested.record.approval;
                match gateway.keep_view(&requested) {
                    Ok(()) => continue,
                    Err(error) => {
                        tracing::error!(%error, "what reviewers are shown could not be kept; nobody is asked");
                        gateway.approvals.forget(asked);
                        effects.clear();
                        Input::Unrecorded
                    }
                }
            }
            Effect::Wait(approval, hold_s) => {
                let until = *held_until
                    .get_or_insert_with(|| instant() + Duration::from_secs(hold_s.min(execute.patience_s())));
                let answered = gateway.approvals.answered(approval);
                tokio::pin!(answered);
                // Boxed: every call would carry the room for it.
                let mut waiting = if execute.may_park() { None } else { Some(Box::pin(execute.wait(approval)).await) };
                let parks_at = until.min(instant() + PARKS_AFTER);
                loop {
                    if waiting == Some(Waiting::Joined) {
                        break Input::Waited;
                    }
                    tokio::select! {
                        biased;
                        () = &mut answered => {
                            policy = latest();
                            break Input::Woken;
                        }
                        Ok(()) = &mut *cancelled, if may_cancel => {
                            may_cancel = false;
                            break Input::Cancelled;
                        }
                        // An answer that comes at once finds the call held, and its client there to be asked for input.
                        () = sleep_until(parks_at), if waiting.is_none() => {
                            waiting = Some(Box::pin(execute.wait(approval)).await);
                        }
                        () = sleep_until(until), if waiting == Some(Waiting::Held) => break Input::Waited,
                        () = gateway.stopped() => break Input::Waited,
                        () = tokio::time::sleep(HOLD_NEWS) => match waiting {
                            // What can never run is told so.
                            Some(Waiting::Parked) if is_over(standing()) => {
                                policy = latest();
                                break Input::Woken;
                            }
                            Some(Waiting::Parked) => {}
                            Some(Waiting::Held | Waiting::Joined) | None => {
                                execute.held("waiting for a person's approval").await;
                            }
                        },
                    }
                }
            }
            // CRASH: the answer may be out before the outcome is durable; recovery closes the call as unknown. Only what reads answers so.
            Effect::Append(drafts) if reply.is_some() => {
                gateway.note_waivers(&policy, &drafts);
                append_beside(gateway, drafts);
                break;
            }
            Effect::Append(drafts) => {
                gateway.note_waivers(&policy, &drafts);
                let asked = drafts.iter().find_map(|draft| match &draft.body {
                    Body::Approval(approval) if approval.event == ApprovalEvent::Requested => Some(approval.approval),
                    _ => None,
                });
                using.appending(&drafts);
                unnamed.appending(&drafts);
                let recorded = gateway.ledger.append(drafts);
                tokio::pin!(recorded);
                let recorded = loop {
                    tokio::select! {
                        biased;
                        recorded = &mut recorded => break recorded,
                        Ok(()) = &mut *cancelled, if may_cancel => {
                            (may_cancel, has_left) = (false, true);
                            (call, _) = call.handle(Input::Cancelled, now());
                        }
                    }
                };
                using.appended(gateway, recorded.is_ok());
                if let (Err(_), Some(asked)) = (&recorded, asked) {
                    gateway.approvals.forget(asked);
                }
                recorded.map_or_else(|error| unrecorded(&error), Input::Recorded)
            }
            Effect::Execute(warrant) => {
                gateway.provenance.sent(run, &policy, &arguments);
                let ended = {
                    let executed = tokio::time::timeout(gateway.call_timeout, execute.execute(warrant));
                    tokio::pin!(executed);
                    loop {
                        tokio::select! {
                            biased;
                            ended = &mut executed => break Some(ended),
                            Ok(()) = &mut *cancelled, if may_cancel => {
                                (may_cancel, has_left) = (false, true);
                                let (next, more) = call.handle(Input::Cancelled, now());
                                call = next;
                                if more.is_empty() {
                                    // It goes on without its client.
                                    continue;
                                }
                                follow(gateway, &mut effects, more);
                                break None;
                            }
                        }
                    }
                };
                match ended {
                    Some(Ok(Execution::Ended(outcome))) => {
                        gateway.recall.add(run, &policy, &tool, &outcome);
                        gateway.see(run, &policy, &tool, &arguments, outcome.result.as_ref()).await;
                        let outcome = gateway.looked_into(&policy, (run, &tool), &tokens, outcome).await;
                        Input::Ended(Box::new(gateway.keep_result(&policy, (run, id, attempt), &tokens, outcome).await))
                    }
                    Some(Ok(Execution::Task(created))) => {
                        may_cancel = false;
                        Input::TaskCreated(created)
                    }
                    Some(Err(_elapsed)) => {
                        execute.cancel().await;
                        Input::Ended(Box::new(Outcome::without_answer(Status::Unknown, Reason::Timeout)))
                    }
                    None => continue,
                }
            }
            Effect::Follow(answer) => {
                let outcome = execute.follow(answer).await;
                gateway.recall.add(run, &policy, &tool, &outcome);
                gateway.see(run, &policy, &tool, &arguments, outcome.result.as_ref()).await;
                let outcome = gateway.looked_into(&policy, (run, &tool), &tokens, outcome).await;
                Input::Ended(Box::new(gateway.keep_result(&policy, (run, id, attempt), &tokens, outcome).await))
            }
            Effect::CancelUpstream => {
                execute.cancel().await;
                continue;
            }
            Effect::Note(draft) => {
                tracing::error!(call = ?draft.call, "a call met an input that its state did not expect");
                append_beside(gateway, vec![*draft]);
                continue;
            }
            Effect::Replay(replayed) => {
                reply = Some(using.replay(gateway, *replayed).await);
                continue;
            }
            Effect::Reply(answer) => {
                reply = Some(answer);
                continue;
            }
            Effect::Retain(approval, executed, result) => {
                using.retain(gateway, approval, *executed, result).await;
                continue;
            }
        };
        let (next, more) = call.handle(input, now());
        call = next;
        follow(gateway, &mut effects, more);
    }
    unnamed.forget();
    let has_left = has_left || cancelled.try_recv().is_ok();
    using.answered(gateway, id, reply, has_left)
}

/// Whether a call that waits would be denied for good.
const fn is_over(standing: Standing) -> bool {
    matches!(standing, Standing::MissionRevoked | Standing::RunEnded | Standing::RunRevoked)
}

/// Queues what is to be done next, and counts what it adds to limits.
fn follow(gateway: &Gateway, effects: &mut VecDeque<Effect>, more: Vec<Effect>) {
    if let Some(Effect::Append(drafts)) = more.iter().find(|effect| matches!(effect, Effect::Append(_))) {
        gateway.counters.add(drafts, now());
    }
    effects.extend(more);
}

/// Asks the approvals that there are, where the call must.
pub(crate) fn consulted(
    call: Call,
    effects: Vec<Effect>,
    at: Timestamp,
    consult: impl Fn(&Consult, Timestamp) -> Consulted,
) -> (Call, Vec<Effect>) {
    match effects.as_slice() {
        [Effect::Consult(asked)] => {
            let said = consult(asked, at);
            call.handle(Input::Consulted(Box::new(said)), at)
        }
        _ => (call, effects),
    }
}

/// Opens an exception where a call was denied because too much was used: one for each rule in a window, however often it is tried.
fn note_limits(gateway: &Arc<Gateway>, policy: &PolicySnapshot, effects: &[Effect]) {
    let drafts =
        effects.iter().filter_map(|effect| if let Effect::Append(drafts) = effect { Some(drafts) } else { None });
    for draft in drafts.flatten() {
        let Body::Decision(decision) = &draft.body else { continue };
        // What is only observed ran all the same, and says so itself.
        let is_limit = |reason: &Arc<str>| **reason == *Reason::LimitReached.code();
        if decision.effect != Verdict::Deny || !decision.reasons.iter().any(is_limit) {
            continue;
        }
        let name = decision.rules.first().map(|rule| rule.id.to_string()).unwrap_or_default();
        let sort = Sort { kind: ExceptionKind::Budget, name, scope: format!("mission:{}", policy.mission().name()) };
        gateway.note_refusal(sort, &decision.sentence);
    }
}

/// Appends what nobody waits for: it is written with the next call's records, or soon without them. That it failed shows in the gateway's readiness and in the
/// log.
pub(crate) fn append_beside(gateway: &Gateway, drafts: Vec<Draft>) {
    let Err(drafts) = gateway.ledger.append_unwaited(drafts) else { return };
    let recorded = gateway.ledger.append(drafts);
    tokio::spawn(async move {
        if let Err(error) = recorded.await {
            tracing::error!(%error, "evidence that nobody waited for could not be written");
        }
    });
}

fn unrecorded(error: &store::AppendError) -> Input {
    tracing::error!(%error, "evidence could not be written; the call does not run");
    Input::Unrecorded
}
