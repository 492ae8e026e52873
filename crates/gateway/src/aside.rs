//! Asides: what an upstream tells an agent beside the outcomes of calls is looked into as results are, and where it holds data, that is on record before the agent has it.

use std::sync::Arc;

use bytes::Bytes;
use evidence::ids::CallId;
use evidence::record::{Context, Effect, Endpoint, Obligation, Rule, Surface, Tool};
use governance::classify::{Returned, Standing, classify};
use governance::decide::PolicySnapshot;
use governance::execute::{Examined, Release};
use governance::intercept::Intercepted;
use governance::record::{Released, released};
use surfaces::govern::Aside;

use crate::Gateway;
use crate::clock::now;

impl Gateway {
    /// What `upstream` has `said` about `method`, as an agent of `policy`'s mission may have it.
    ///
    /// INVARIANT (no-aside-unrecorded): what holds data is on record before it goes on; what cannot be recorded stays here.
    pub(crate) async fn aside(
        self: &Arc<Self>,
        (context, upstream): (Arc<Context>, &Arc<str>),
        policy: &Arc<PolicySnapshot>,
        method: &str,
        said: Bytes,
    ) -> Aside {
        let tool = Tool {
            endpoint: Endpoint::Request,
            name: method.into(),
            surface: Surface::Mcp,
            upstream: upstream.clone(),
        };
        let run = context.run;
        self.see(run, policy, &tool, &Bytes::new(), Some(&said)).await;
        let Examined { classes, release, .. } = self.aside_looked_into(policy, (run, &tool), &said).await;
        if classes.is_empty() {
            return Aside::Passed;
        }
        let (aside, released_as) = match release {
            Release::Pass => (Aside::Passed, passed(Vec::new(), Vec::new(), "told beside the answers to calls")),
            Release::Changed { obligations, result, rules, .. } => {
                let sentence = "what the mission keeps from the agent was changed in what was told beside answers";
                (Aside::Changed(result), passed(obligations, rules, sentence))
            }
            Release::Withhold { reason, rules, sentence } => {
                let (effect, obligations, reasons) = (Effect::Deny, Vec::new(), vec![reason]);
                (Aside::Withheld, Released { effect, obligations, reasons, rules, sentence })
            }
        };
        let at = now();
        let call = CallId::at(at, self.entropy.bits());
        let intercepted = Intercepted::new(call, context, tool, said, None);
        let classified = classify(intercepted, None, Standing::Good, &Returned::default());
        let draft = released(&classified, &policy.in_force(), &classes, released_as, at);
        match self.ledger.append(vec![draft]).await {
            Ok(_) => aside,
            Err(error) => {
                tracing::error!(%error, "what a server told beside its answers could not be recorded; it stays here");
                Aside::Withheld
            }
        }
    }
}

/// The decision on an aside that goes on.
fn passed(obligations: Vec<Obligation>, rules: Vec<Rule>, sentence: &str) -> Released {
    Released { effect: Effect::Allow, obligations, reasons: Vec::new(), rules, sentence: sentence.into() }
}
