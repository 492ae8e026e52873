//! Why an event of an approval may not follow.

/// Why an event may not follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Illegal {
    /// The person has answered already, or stands in for somebody who has.
    #[error("this person's answer is known already; `withdraw` takes it back")]
    Again,
    /// It is about other arguments, another call or other gates.
    #[error("it is about another call than the approval is bound to")]
    Bound,
    /// It is not open any more.
    #[error("the approval is {0}; it takes no more answers")]
    Closed(&'static str),
    /// Its time has not come.
    #[error("it comes before its time")]
    Early,
    /// The person has to do with the call.
    #[error("whoever has to do with a call does not review it: {0}")]
    Excluded(Role),
    /// Its clock has ended.
    #[error("the time to answer, or to use what was granted, is over")]
    Late,
    /// The outcome of this use was delivered already.
    #[error("the outcome of this use was delivered already")]
    Delivered,
    /// A record lacks what its event needs.
    #[error("the record lacks what its event needs")]
    Lacking,
    /// Another request of the same approval.
    #[error("the approval was asked for already")]
    Known,
    /// What is asked is no call, which has arguments.
    #[error("only a call has arguments that can be edited")]
    NoArguments,
    /// Nothing is granted that could be used or taken back.
    #[error("nothing is granted that could be used or taken back")]
    NotGranted,
    /// It was never asked for.
    #[error("no approval with this id was asked for")]
    NotRequested,
    /// The person is in no group whose turn it is.
    #[error("the gate does not ask this person, or not yet")]
    NotAsked,
    /// The person has no answer that could be taken back.
    #[error("this person has given no answer that could be taken back")]
    NothingToWithdraw,
    /// The person saw something else.
    #[error("the person was shown something else than what is asked")]
    OtherView,
    /// The very same answer was given before.
    #[error("this very answer was given before; an answer is signed once")]
    Replayed,
    /// The person stepped back before.
    #[error("this person has left the answer to others")]
    Recused,
    /// What is proposed is what was asked.
    #[error("the arguments that are proposed are those of the call")]
    Unedited,
    /// It does not follow from the answers.
    #[error("it does not follow from the answers that were given")]
    Unfounded,
    /// The answer is not sure enough for the gate.
    #[error("the gate needs a stronger proof of who answers")]
    Unsure,
    /// No use with this number was consumed.
    #[error("no use with this number was consumed")]
    Unused,
    /// It comes to more than the standing grant covers.
    #[error("with this use, its sums come to more than the standing grant covers")]
    Beyond,
    /// Every use was consumed.
    #[error("the approval is used up")]
    UsedUp,
}

/// What an excluded person has to do with a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The version of the mission is theirs.
    Author,
    /// They proposed its arguments.
    Editor,
    /// The agent acts for them.
    Initiator,
    /// They answer for the mission.
    Owner,
    /// Something else.
    Other,
    /// They ask for the standing grant.
    Grantee,
    /// They propose the change.
    Proposer,
}

impl std::fmt::Display for Role {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Author => "this person is the author of the mission's version",
            Self::Editor => "this person proposed its arguments",
            Self::Initiator => "the agent acts for this person",
            Self::Owner => "this person answers for the mission",
            Self::Other => "this person is excluded",
            Self::Grantee => "this person asks for the standing grant",
            Self::Proposer => "this person proposes the change",
        })
    }
}
