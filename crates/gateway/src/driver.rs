//! Takes one call through its states: performs each effect and feeds the result back.
//!
//! The order is not here: it is in `governance::call`. A failure to record is fed back too, and the call answers that nothing ran.

use std::collections::VecDeque;
use std::sync::Arc;

use evidence::record::{Draft, Status};
use governance::call::{Call, Effect, Input, Reply};
use governance::classify::{Standing, classify};
use governance::decide::PolicySnapshot;
use governance::execute::{Execution, Outcome};
use governance::intercept::Intercepted;
use governance::reason::Reason;
use surfaces::govern::Execute;
use tokio::sync::oneshot;

use crate::Gateway;
use crate::clock::now;

/// Governs one call; `None` when the client took it back, which `cancelled` tells.
pub(crate) async fn drive<E: Execute>(
    gateway: &Gateway,
    intercepted: Intercepted,
    policy: Arc<PolicySnapshot>,
    standing: impl Fn() -> Standing,
    mut execute: E,
    cancelled: &mut oneshot::Receiver<()>,
) -> Option<Reply> {
    let mut may_cancel = true;
    let mut reply = None;
    let (mut call, effects) = Call::begin(intercepted);
    let mut effects = VecDeque::from(effects);
    while let Some(effect) = effects.pop_front() {
        let input = match effect {
            Effect::Classify(intercepted) => {
                let plan = policy.plan(intercepted.tool());
                let classified = classify(intercepted, plan, standing());
                Input::Classified(Box::new(classified), policy.clone())
            }
            // CRASH: the answer may be out before the outcome is durable; recovery closes the call as unknown. Only what reads answers so.
            Effect::Append(drafts) if reply.is_some() => {
                append_beside(gateway, drafts);
                break;
            }
            Effect::Append(drafts) => {
                let recorded = gateway.ledger.append(drafts);
                tokio::pin!(recorded);
                let recorded = loop {
                    tokio::select! {
                        biased;
                        recorded = &mut recorded => break recorded,
                        Ok(()) = &mut *cancelled, if may_cancel => {
                            may_cancel = false;
                            (call, _) = call.handle(Input::Cancelled, now());
                        }
                    }
                };
                recorded.map_or_else(|error| unrecorded(&error), Input::Recorded)
            }
            Effect::Execute(warrant) => {
                let ended = tokio::select! {
                    biased;
                    ended = tokio::time::timeout(gateway.call_timeout, execute.execute(warrant)) => Some(ended),
                    Ok(()) = &mut *cancelled, if may_cancel => None,
                };
                match ended {
                    Some(Ok(Execution::Ended(outcome))) => Input::Ended(Box::new(outcome)),
                    Some(Ok(Execution::Task(created))) => {
                        may_cancel = false;
                        Input::TaskCreated(created)
                    }
                    Some(Err(_elapsed)) => {
                        execute.cancel().await;
                        Input::Ended(Box::new(Outcome::without_answer(Status::Unknown, Reason::Timeout)))
                    }
                    None => {
                        may_cancel = false;
                        Input::Cancelled
                    }
                }
            }
            Effect::Follow(answer) => Input::Ended(Box::new(execute.follow(answer).await)),
            Effect::CancelUpstream => {
                execute.cancel().await;
                continue;
            }
            Effect::Note(draft) => {
                tracing::error!(call = ?draft.call, "a call met an input that its state did not expect");
                append_beside(gateway, vec![*draft]);
                continue;
            }
            Effect::Reply(answer) => {
                reply = Some(answer);
                continue;
            }
        };
        let (next, more) = call.handle(input, now());
        call = next;
        effects.extend(more);
    }
    reply
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
