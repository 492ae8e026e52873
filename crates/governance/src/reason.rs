//! Stable reason codes: what agents, owners and auditors filter by. A code is never renamed or given another meaning.

use std::fmt;

macro_rules! reasons {
    ($($(#[$meta:meta])* $variant:ident = $code:literal),+ $(,)?) => {
        /// Why a call was denied, failed, or ended other than `done`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason { $($(#[$meta])* $variant),+ }

        impl Reason {
            /// Every reason, in the order of the codes.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stable code.
            #[must_use]
            pub const fn code(self) -> &'static str {
                match self { $(Self::$variant => $code),+ }
            }
        }
    };
}

reasons! {
    /// The run's agent is not one that the mission names.
    AgentNotAllowed = "agent_not_allowed",
    /// Whoever may answer said no.
    ApprovalDenied = "approval_denied",
    /// Whoever may answer proposed other arguments; the refusal has them.
    ApprovalEdited = "approval_edited",
    /// Nobody answered in time, or what was granted was not used in time.
    ApprovalExpired = "approval_expired",
    /// The call is in a danger zone, and people are asked.
    ApprovalRequired = "approval_required",
    /// What was granted was taken back, or no longer holds.
    ApprovalRevoked = "approval_revoked",
    /// The call is in a danger zone, and no gate says whose approval that needs, or nobody can be asked.
    ApprovalUnavailable = "approval_unavailable",
    /// A ruled argument is absent.
    ArgumentMissing = "argument_missing",
    /// The mission does not list this argument for the tool.
    ArgumentNotListed = "argument_not_listed",
    /// An argument that the mission or the initiator must name was named by neither.
    ArgumentNotNamed = "argument_not_named",
    /// A value is outside the rule's bounds or list.
    ArgumentOutOfBounds = "argument_out_of_bounds",
    /// A value cannot be read as what the rule needs.
    ArgumentUnparsable = "argument_unparsable",
    /// The client took the call back.
    CancelledByClient = "cancelled_by_client",
    /// The connection to the upstream ended before an answer.
    ConnectionLost = "connection_lost",
    /// It went on by an exception of a line about data, which ends on a day; the rules name it.
    DataExcepted = "data_excepted",
    /// The run has met a class of data, and this tool may not be written to since.
    DataMet = "data_met",
    /// The arguments hold a class of data that may not go to this tool.
    DataNotCleared = "data_not_cleared",
    /// The arguments hold a class of data that the mission does not expect.
    DataUnexpected = "data_unexpected",
    /// The result holds what the agent may not have.
    DataWithheld = "data_withheld",
    /// The tool's definition is not the one that was accepted.
    DefinitionRefused = "definition_refused",
    /// The policy engine met an error.
    EvaluationFailed = "evaluation_failed",
    /// The gateway died between intent and outcome.
    GatewayDied = "gateway_died",
    /// The gateway is shutting down.
    GatewayStopping = "gateway_stopping",
    /// A person stopped this mission, this agent or everything.
    Halted = "halted",
    /// The mission does not let agents act on behalf of this initiator.
    InitiatorNotAllowed = "initiator_not_allowed",
    /// The task has taken the input; what it makes of it, its end says.
    InputGiven = "input_given",
    /// The upstream asked for input that the mission does not let it ask for.
    InputNotAllowed = "input_not_allowed",
    /// The upstream needs input before it goes on; the call's next attempt brings it.
    InputRequired = "input_required",
    /// The call brought answers that nobody had asked it for; they went on only where the intent has their digest.
    InputUnasked = "input_unasked",
    /// The mission breaks an invariant of the organisation that came after it.
    InvariantBroken = "invariant_broken",
    /// Evidence cannot be written.
    LedgerUnavailable = "ledger_unavailable",
    /// All calls together would use more than the mission allows in a run, an hour or a day.
    LimitReached = "limit_reached",
    /// The message breaks the protocol.
    Malformed = "malformed",
    /// The mission's `until` has passed.
    MissionExpired = "mission_expired",
    /// A person revoked the mission.
    MissionRevoked = "mission_revoked",
    /// Nobody reported in time what became of a step that was let go ahead.
    NotReported = "not_reported",
    /// A policy of the organisation forbids the call, whatever the mission says.
    OrganisationForbids = "organisation_forbids",
    /// An identical call was approved and is being executed: this one waits for its outcome, and executes nothing.
    OutcomeAwaited = "outcome_awaited",
    /// It is not one of the hours in which the mission holds.
    OutsideHours = "outside_hours",
    /// The mission does not allow this prompt.
    PromptNotAllowed = "prompt_not_allowed",
    /// An identical call was approved and executed, and its client did not get the outcome: this one gets it, and executes nothing.
    Replayed = "replayed",
    /// The mission does not allow this kind of request.
    RequestNotAllowed = "request_not_allowed",
    /// The mission does not allow this resource.
    ResourceNotAllowed = "resource_not_allowed",
    /// The result is larger than the gateway passes on.
    ResultTooLarge = "result_too_large",
    /// Too many calls wait for input.
    RoundsFull = "rounds_full",
    /// The run has ended or passed its time.
    RunEnded = "run_ended",
    /// A person revoked the run.
    RunRevoked = "run_revoked",
    /// The state that came with the call is not one that this call was given, was used already, or is too old.
    StateRefused = "state_refused",
    /// The stream of notifications was ended by one of its sides.
    SubscriptionEnded = "subscription_ended",
    /// The task was cancelled at the upstream.
    TaskCancelled = "task_cancelled",
    /// No call of this session became a task with this id.
    TaskNotAllowed = "task_not_allowed",
    /// The upstream did not answer in time.
    Timeout = "timeout",
    /// The mission does not allow this tool.
    ToolNotAllowed = "tool_not_allowed",
    /// The content has a link that nobody gave who may.
    UntrustedPayload = "untrusted_payload",
    /// The call acts on what nobody named who may.
    UntrustedTarget = "untrusted_target",
    /// The upstream answered with a protocol error.
    UpstreamError = "upstream_error",
    /// The upstream cannot be reached.
    UpstreamUnavailable = "upstream_unavailable",
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_unique_sorted_and_plain() {
        let codes: Vec<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        let mut sorted = codes.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!(codes, sorted);
        assert!(codes.iter().all(|code| code.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')));
    }
}
