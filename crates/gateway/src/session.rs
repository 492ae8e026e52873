//! One agent's session: the run, mission and upstream behind it, as surfaces see them.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use evidence::ids::{ApprovalId, CallId};
use evidence::record::{
    AccessToken, Authenticated, Channel, Context, Draft, ExceptionKind, ExceptionRecord, RequestContext, Surface, Tool,
};
use governance::call::Refusal;
use governance::classify::Standing;
use governance::decide::PolicySnapshot;
use governance::intercept::Intercepted;
use governance::reason::Reason;
use surfaces::govern::{Answered, Aside, Execute, Misbehaviour, Place, Session};
use surfaces::mcp::rounds::Rounds;
use surfaces::parked::{Kept, Parked, ParkedId, Parking, TakeBack, Task};
use tokio::sync::{oneshot, watch};

use crate::Gateway;
use crate::clock::now;
use crate::driver::{append_beside, drive};
use crate::limits::MISBEHAVIOURS_MAX;
use crate::missions::Policy;
use crate::pins::Sight;
use crate::runs::{self, Run};

/// What proved who acts, when a session was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Proof {
    /// A token that the configured authorization server signed.
    AccessToken(AccessToken),
    /// What the local socket knows of its peer.
    Local(Authenticated),
    /// The token of the run.
    RunToken,
}

impl Proof {
    const fn authenticated(&self) -> Authenticated {
        match self {
            Self::AccessToken(_) => Authenticated::Oidc,
            Self::Local(authenticated) => *authenticated,
            Self::RunToken => Authenticated::RunToken,
        }
    }
}

/// One agent's session at one upstream.
#[derive(Debug)]
pub struct AgentSession {
    /// The context without its `request_context` record.
    fresh: Arc<Context>,
    gateway: Arc<Gateway>,
    /// Who the upstream was when this session began: the pin's name, and the identity's digest; `None` where it is nobody who could change.
    identity: Option<(Arc<str>, String)>,
    misbehaviours: AtomicU32,
    opened: OnceLock<Arc<Context>>,
    policy: Policy,
    proof: Proof,
    run: Arc<Run>,
    upstream: Arc<str>,
}

impl AgentSession {
    /// A session of `run` at `upstream`, before its handshake.
    #[must_use]
    pub fn new(gateway: Arc<Gateway>, run: Arc<Run>, policy: Policy, upstream: Arc<str>, proof: Proof) -> Self {
        let fresh = Arc::new(Context {
            agent: run.terms.agent.clone(),
            context: None,
            initiator: run.terms.initiator.clone(),
            mission: Some(run.terms.mission.clone()),
            run: Some(run.id),
        });
        Self {
            fresh,
            gateway,
            identity: None,
            misbehaviours: AtomicU32::new(0),
            opened: OnceLock::new(),
            policy,
            proof,
            run,
            upstream,
        }
    }

    /// The same, at an upstream that was looked at.
    #[must_use]
    pub(crate) fn identified(self, identity: (Arc<str>, String)) -> Self {
        Self { identity: Some(identity), ..self }
    }

    /// Whether the upstream is not the one that was accepted.
    fn is_foreign(&self) -> bool {
        self.identity.as_ref().is_some_and(|(name, sha256)| !self.gateway.pins.is_pinned_as(name, sha256))
    }

    fn standing(&self) -> Standing {
        if *self.gateway.stopping.borrow() {
            return Standing::Stopping;
        }
        if self.gateway.halts.covers(&self.run.terms.mission, &self.run.terms.agent.name) {
            return Standing::Halted;
        }
        if self.gateway.missions.is_revoked(&self.run.terms.mission) {
            return Standing::MissionRevoked;
        }
        match self.run.standing(now()) {
            runs::Standing::Open => Standing::Good,
            runs::Standing::Revoked => Standing::RunRevoked,
            runs::Standing::Ended | runs::Standing::Expired => Standing::RunEnded,
        }
    }
}

impl Parking for AgentSession {
    fn changes(&self, approval: ApprovalId) -> Option<watch::Receiver<u64>> {
        self.gateway.approvals.changes(approval)
    }

    fn is_parked(&self, parked: ParkedId) -> bool {
        self.gateway.approvals.is_parked(self.run.id, &self.upstream, parked)
    }

    fn leave(&self, parked: ParkedId, take_back: &TakeBack) {
        self.gateway.leave_parked(parked, take_back);
    }

    async fn park(&self, parked: ParkedId, kept: Kept, take_back: &TakeBack) -> Parked {
        self.gateway.park(parked, kept, take_back).await
    }

    async fn resume(&self, parked: ParkedId, take_back: &TakeBack) -> Option<Kept> {
        if !self.is_parked(parked) {
            return None;
        }
        self.gateway.resume_parked(parked, take_back).await
    }

    async fn take_back(&self, parked: ParkedId) {
        if self.is_parked(parked) {
            self.gateway.take_parked_back(parked).await;
        }
    }

    async fn task(&self, parked: ParkedId) -> Option<Task> {
        self.gateway.parked_task(self.run.id, &self.upstream, parked).await
    }

    async fn unparked(&self, parked: ParkedId, take_back: &TakeBack, answer: Option<Answered>) {
        self.gateway.unparked(parked, take_back, answer).await;
    }
}

impl Session for AgentSession {
    async fn aside(&self, method: &str, said: Bytes) -> Aside {
        self.gateway.aside((self.context(), &self.upstream), &self.policy.load_full(), method, said).await
    }

    fn approval_status(&self, approval: &str) -> Option<serde_json::Map<String, serde_json::Value>> {
        self.gateway.approvals.status(approval.parse().ok()?, self.run.id, now())
    }

    fn call_id(&self) -> CallId {
        CallId::at(now(), self.gateway.entropy.bits())
    }

    fn context(&self) -> Arc<Context> {
        self.opened.get().unwrap_or(&self.fresh).clone()
    }

    async fn govern<E: Execute>(
        &self,
        intercepted: Intercepted,
        execute: E,
        cancelled: &mut oneshot::Receiver<()>,
    ) -> Option<Answered> {
        let refuses = |policy: &PolicySnapshot, tool: &Tool| {
            // Steps of an automation, and the gateway's own tool, have no definition that could change.
            tool.surface == Surface::Mcp
                && !policy.is_own(tool)
                && (self.is_foreign() || self.gateway.pins.refuses(tool, policy.mission().pins()))
        };
        let latest = || self.policy.load_full();
        drive(&self.gateway, intercepted, latest, || self.standing(), refuses, execute, cancelled).await
    }

    fn sighted(&self, tool: &Tool, definition: &[u8], place: Place) -> bool {
        let policy = self.policy.load().mission().pins();
        let is_foreign = self.is_foreign();
        // What another server than the accepted one lists says nothing of this tool; before any was accepted, a person reads both at once.
        if is_foreign && self.identity.as_ref().is_some_and(|(name, _)| self.gateway.pins.is_pinned(name)) {
            return false;
        }
        self.gateway.sighted(&tool.to_string(), definition, policy, place) == Sight::Shown && !is_foreign
    }

    fn misbehaved(&self, misbehaviour: Misbehaviour) {
        let Misbehaviour { what, who } = misbehaviour;
        tracing::warn!(%who, what, "a peer broke the protocol");
        if self.misbehaviours.fetch_add(1, Ordering::Relaxed) >= MISBEHAVIOURS_MAX {
            return;
        }
        let at = now();
        let body = ExceptionRecord {
            mitigation: Some("the message was dropped".to_owned()),
            ..self.gateway.opening(
                ExceptionKind::Protocol,
                format!("upstream:{}", self.upstream),
                format!("`{who}` {what}"),
                at,
            )
        };
        append_beside(&self.gateway, vec![Draft::new(self.context(), None, at, body)]);
    }

    async fn opened(&self, channel: Channel) -> Result<Arc<Context>, Refusal> {
        let body = RequestContext {
            authenticated: self.proof.authenticated(),
            channel,
            delegation: Vec::new(),
            purpose: None,
            token: match &self.proof {
                Proof::AccessToken(token) => Some(token.clone()),
                Proof::Local(_) | Proof::RunToken => None,
            },
            words_sha256: self.run.terms.words_sha256.clone(),
        };
        let receipt = self.gateway.note(self.fresh.clone(), body).await.map_err(|error| {
            tracing::error!(%error, "a session could not be recorded");
            Refusal {
                proposed: None,
                reason: Reason::LedgerUnavailable,
                sentence: "evidence cannot be written; nothing is executed".into(),
            }
        })?;
        let context = Arc::new(Context { context: Some(receipt.id), ..(*self.fresh).clone() });
        // What belongs to no client in particular belongs to the first.
        let _already = self.opened.set(context.clone());
        Ok(context)
    }

    fn policy(&self) -> Arc<PolicySnapshot> {
        self.policy.load_full()
    }

    fn rounds(&self) -> &Rounds {
        &self.gateway.rounds
    }

    fn upstream(&self) -> Arc<str> {
        self.upstream.clone()
    }
}
