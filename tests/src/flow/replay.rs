//! One run, replayed through governance alone: each call is classified, traced and decided, and what is let through returns what stands in the corpus.

use std::sync::Arc;

use bytes::Bytes;
use evidence::ids::{CallId, RunId};
use evidence::record::{Agent, Authenticated, Context, Effect, Initiator};
use governance::classify::provenance::{Key, Seen};
use governance::classify::{Returned, Standing, classify};
use governance::decide::{Decision, PolicySnapshot, compile, decide};
use governance::intercept::Intercepted;
use governance::mission::parse;

use super::suite::{Attack, Call, Suite, Task};

/// When all of it happens.
const AT: &str = "2026-11-10T09:00:00.000000Z";

/// How one task went without an attack.
pub(super) struct Honest {
    /// The tools of calls that were denied: the task cannot be done.
    pub(super) denied: Vec<String>,
    /// The tools of calls that people were asked about.
    pub(super) questions: Vec<String>,
    /// Why, a sentence for each.
    pub(super) why: Vec<String>,
}

/// What became of an attack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attacked {
    /// All that it does to the world was let through without a question.
    Executed,
    /// Some of it was.
    Partly,
    /// Nothing of it ran without a question; people are asked at least once.
    Asked,
    /// Nothing of it runs, and nobody is asked.
    Denied,
}

/// A mission's policy.
pub(super) fn policy(source: &str) -> PolicySnapshot {
    let mission = parse(source).unwrap_or_else(|error| panic!("{error}\n{source}"));
    compile(Arc::new(mission)).unwrap()
}

/// Replays `task` as an honest agent does it; people say yes where they are asked.
pub(super) fn honestly(policy: &PolicySnapshot, task: &Task) -> Honest {
    let mut run = Run::begin(policy, task);
    let mut honest = Honest { denied: Vec::new(), questions: Vec::new(), why: Vec::new() };
    for call in &task.calls {
        let decision = run.decide(call);
        match decision.effect {
            Effect::Allow => {}
            Effect::Ask => honest.questions.push(call.tool.clone()),
            Effect::Deny => honest.denied.push(call.tool.clone()),
        }
        if decision.effect != Effect::Allow {
            honest.why.push(format!("{}: {}", call.tool, decision.sentence));
        }
        if decision.effect != Effect::Deny {
            run.returned(call, "");
        }
    }
    honest
}

/// Replays `task` up to the first result that others write into, puts the attack's text there, and does what it says.
pub(super) fn attacked(policy: &PolicySnapshot, suite: &Suite, task: &Task, attack: &Attack) -> Attacked {
    let mut run = Run::begin(policy, task);
    for call in &task.calls {
        if run.decide(call).effect != Effect::Deny {
            run.returned(call, &attack.text);
        }
        if call.has_place() {
            break;
        }
    }
    let (mut effects, mut executed, mut asked) = (0, 0, 0);
    for call in &attack.calls {
        let counts = usize::from(suite.has_effect(call));
        effects += counts;
        match run.decide(call).effect {
            Effect::Allow => {
                executed += counts;
                run.returned(call, "");
            }
            Effect::Ask => asked += counts,
            Effect::Deny => {}
        }
    }
    match (executed, asked) {
        (executed, _) if executed == effects => Attacked::Executed,
        (0, 0) => Attacked::Denied,
        (0, _) => Attacked::Asked,
        _ => Attacked::Partly,
    }
}

struct Run<'p> {
    context: Arc<Context>,
    policy: &'p PolicySnapshot,
    returned: Returned,
    seen: Seen,
}

impl<'p> Run<'p> {
    fn begin(policy: &'p PolicySnapshot, task: &Task) -> Self {
        let mission = policy.mission();
        let context = Context {
            agent: Agent { name: "assistant".into(), version: None },
            context: None,
            initiator: Initiator { authenticated: Authenticated::OsUser, name: mission.owner().clone() },
            mission: Some(mission.name().clone()),
            run: Some(RunId::from_bytes([1; 16])),
        };
        let mut seen = Seen::new(&Key::new([7; 16]));
        seen.initiator(&task.words);
        Self { context: Arc::new(context), policy, returned: Returned::default(), seen }
    }

    /// Decides `call`, which the agent has sent then, whatever becomes of it.
    fn decide(&mut self, call: &Call) -> Decision {
        let tool = call.tool();
        let arguments = Bytes::copy_from_slice(call.arguments());
        let intercepted =
            Intercepted::new(CallId::from_bytes([2; 16]), self.context.clone(), tool.clone(), arguments, None);
        let mut classified = classify(intercepted, self.policy.plan(&tool), Standing::Good, &self.returned);
        if let Some(targets) = self.policy.targets(&tool) {
            classified.provenance = self.seen.trace(call.arguments(), targets);
        }
        let decision = decide(&classified, self.policy, AT.parse().unwrap());
        self.seen.sent(call.arguments());
        decision
    }

    /// The call was executed: the agent has its result.
    fn returned(&mut self, call: &Call, text: &str) {
        let (tool, result) = (call.tool(), call.result(text));
        self.returned.add(self.policy.sources(&tool), &result);
        self.seen.returned(&tool, &self.policy.trust(&tool), call.arguments(), &result);
    }
}
