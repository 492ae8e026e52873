//! The seam for calls that wait for people as tasks of the gateway: parked, they need no client, and whoever asks for their run hears how they stand.
//!
//! The gateway keeps them ([`Parking`]); a surface carries them over its wire. One that is parked here is worked on by whoever parked it; after a restart it is taken up
//! again by the next client of its run that asks ([`Parking::resume`]).

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use governance::call::Reply;
use governance::evidence::ids::{ApprovalId, CallId};
use governance::evidence::time::Timestamp;
use tokio::sync::{oneshot, watch};

use crate::govern::{Answered, Receipt};

/// What is told of a task whose call was taken back.
pub const TAKEN_BACK: &str = "nothing was executed for this task: its call was taken back, or never waited as a task. Exactly the same call joins its approval while that stands.";

/// Names a parked call, and the task that its client was given: the approval that it waits for, and the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ParkedId {
    /// What it waits for.
    pub approval: ApprovalId,
    /// Which call it is.
    pub call: CallId,
}

impl ParkedId {
    /// Reads the id of a task; `None` where it is none of ours.
    #[must_use]
    pub fn parse(task: &str) -> Option<Self> {
        let (approval, call) = task.split_once('.')?;
        let parked = Self { approval: approval.parse().ok()?, call: call.parse().ok()? };
        // One spelling for each.
        (parked.to_string() == task).then_some(parked)
    }
}

impl fmt::Display for ParkedId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.approval, self.call)
    }
}

/// What is kept of a parked call, so that it can be sent after a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Headers that repeat its arguments, where its transport has some: names and values.
    pub headers: Vec<(String, String)>,
    /// The message, as it will be sent.
    pub message: Bytes,
}

/// Takes a call back that waits, once.
#[derive(Clone, Debug)]
pub struct TakeBack(Arc<Mutex<Option<oneshot::Sender<()>>>>);

impl TakeBack {
    /// The two ends of it.
    #[must_use]
    pub fn new() -> (Self, oneshot::Receiver<()>) {
        let (sender, receiver) = oneshot::channel();
        (Self(Arc::new(Mutex::new(Some(sender)))), receiver)
    }

    /// Takes the call back; what has begun goes on.
    pub fn fire(&self) {
        if let Some(sender) = self.0.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // The call may have ended.
            let _ended = sender.send(());
        }
    }

    /// Whether the call was taken back.
    #[must_use]
    pub fn is_fired(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_none()
    }

    /// Whether both take the same call back.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

/// What became of the wish to park a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parked {
    /// It is parked, and waits.
    Here,
    /// This identical call waits already.
    Joined(ParkedId),
    /// It cannot be kept.
    Not,
}

/// How a parked call stands.
#[derive(Debug)]
pub struct Task {
    /// When people were asked.
    pub asked_at: Timestamp,
    /// When it became as it is.
    pub changed_at: Timestamp,
    /// How it stands, in a sentence for people and models.
    pub said: String,
    /// How it stands.
    pub stands: Stands,
    /// When the approval's clocks will have ended.
    pub until: Timestamp,
}

/// How a parked call stands.
#[derive(Debug)]
pub enum Stands {
    /// It ended.
    Ended {
        /// With what.
        end: End,
        /// To be acknowledged once a live client has it, where that is to be known.
        receipt: Option<Receipt>,
    },
    /// How it ended was told, and is not kept any more.
    Forgotten,
    /// Nobody works on it; it may be taken up again.
    Resting,
    /// It is being executed.
    Runs,
    /// It was taken back before it was sent.
    TakenBack,
    /// People are asked.
    Waits,
}

/// With what a parked call ended.
#[derive(Debug)]
pub enum End {
    /// With an error of the protocol, in its exact bytes.
    Error(Bytes),
    /// With what its client would have been answered.
    Reply(Reply),
    /// With a result, in its exact bytes.
    Result(Bytes),
}

/// The parked calls of one session's run at its upstream.
pub trait Parking: Send + Sync + 'static {
    /// Changes whenever a parked call may not stand as before; `None` where there is no such approval.
    fn changes(&self, approval: ApprovalId) -> Option<watch::Receiver<u64>>;

    /// Whether this names, or may have named, a call of this run at this upstream.
    fn is_parked(&self, parked: ParkedId) -> bool;

    /// Nobody works on the call any more, which was not taken back: it can be taken up again. What has begun goes on.
    fn leave(&self, parked: ParkedId, take_back: &TakeBack);

    /// Parks a call that waits for people: durable before it returns.
    fn park(&self, parked: ParkedId, kept: Kept, take_back: &TakeBack) -> impl Future<Output = Parked> + Send;

    /// Takes a call up again that rests; `None` where there is none.
    fn resume(&self, parked: ParkedId, take_back: &TakeBack) -> impl Future<Output = Option<Kept>> + Send;

    /// Takes a call back for its client: before it was sent nothing runs for it. The approval goes on.
    fn take_back(&self, parked: ParkedId) -> impl Future<Output = ()> + Send;

    /// How a call stands; `None` where [`Self::is_parked`] denies it.
    fn task(&self, parked: ParkedId) -> impl Future<Output = Option<Task>> + Send;

    /// A call that was parked with `take_back` is over, with this answer; `None` where it was taken back.
    fn unparked(
        &self,
        parked: ParkedId,
        take_back: &TakeBack,
        answer: Option<Answered>,
    ) -> impl Future<Output = ()> + Send;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parked_call_has_one_name() {
        let parked = ParkedId {
            approval: ApprovalId::at(Timestamp::EPOCH, [0xab; 10]),
            call: CallId::at(Timestamp::EPOCH, [2; 10]),
        };
        let name = parked.to_string();
        assert_eq!(ParkedId::parse(&name), Some(parked));
        for other in [name.to_uppercase(), name.replace('-', ""), format!("{name}."), String::new(), ".".to_owned()] {
            assert_eq!(ParkedId::parse(&other), None, "{other}");
        }
    }

    #[test]
    fn a_call_is_taken_back_once() {
        let (take_back, mut taken_back) = TakeBack::new();
        assert!(!take_back.is_fired() && taken_back.try_recv().is_err());
        take_back.fire();
        take_back.fire();
        assert!(take_back.is_fired() && taken_back.try_recv().is_ok());
        assert!(take_back.is(&take_back.clone()) && !take_back.is(&TakeBack::new().0));
    }
}
