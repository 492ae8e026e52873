//! Calls consult the book: whether people have said yes to this very call, are asked, or said no.

use std::sync::Arc;

use evidence::approvals::{Approval, State};
use evidence::ids::{ApprovalId, RunId};
use evidence::record::Effect;
use evidence::record::approval::{Answer, ApprovalEvent, ApprovalRecord, Review};
use evidence::time::Timestamp;
use governance::approve::{Consulted, Involved, People, Requested, bound, question};
use governance::call::Consult;
use governance::reason::Reason;

use super::{Approvals, Entry, Use};
use crate::Gateway;
use crate::attachments::Attachments;
use crate::limits::APPROVALS_OPEN_MAX;
use crate::seal::SealError;

impl Approvals {
    /// What the approvals that there are say of a call; a use is taken, and a new question is known, when this returns. An answer by a key that `may_sign` does not know
    /// any more is none.
    pub(crate) fn consult(
        &self,
        consult: &Consult,
        people: Option<&People>,
        author: Option<&str>,
        may_sign: impl Fn(&Review) -> bool,
        fresh: ApprovalId,
        at: Timestamp,
    ) -> Consulted {
        let Consult { awaited, classified, decision, policy } = consult;
        let needs_approval = decision.effect == Effect::Ask;
        let Some(run) = classified.intercepted.context().run else {
            if !needs_approval {
                return Consulted::Nothing;
            }
            return refused(None, Reason::ApprovalUnavailable, "approvals belong to a run, and this call has none");
        };
        let call_sha256 = bound(classified, decision);
        let owner = policy.mission().owner();
        let is_good = |review: &Review| {
            let initiator = &classified.intercepted.context().initiator.name;
            let excluded = [Some(&**initiator), author, Some(&**owner)];
            people.is_some_and(|people| is_authority(review, people, excluded)) && may_sign(review)
        };
        let mut book = self.book();
        // Input for a task is a further attempt at a call that runs and ends only once it has the input: it cannot wait for that call's outcome, and asks anew.
        let is_input = classified.intercepted.attempt() > 1;
        let holds_up = |known: &ApprovalId| is_input && book.entries.get(known).is_some_and(Entry::is_running);
        let place = (run, call_sha256);
        let known = book.by_call.get(&place).copied().filter(|known| !holds_up(known));
        if !needs_approval {
            let entry = known.and_then(|known| book.entries.get(&known));
            let said = entry.and_then(|entry| entry.recall(run, &place.1, *awaited == known));
            return said.unwrap_or(Consulted::Nothing);
        }
        let say = |entry: &mut Entry| entry.say(&is_good, &place, *awaited, at);
        if let Some(said) = known.and_then(|known| book.change(known, say)?) {
            return said;
        }
        // What it waited for is bound to another call by now: the mission, the tool's definition or a gate changed.
        if let Some(awaited) = awaited.filter(|awaited| Some(*awaited) != known) {
            let text = "what was asked was about other rules than those that hold now; ask again";
            return refused(Some(awaited), Reason::ApprovalRevoked, text);
        }
        if let Some(covered) = book.covered(consult, &place, &is_good, at) {
            return covered;
        }
        let Some(people) = people else {
            let text = "no file `people.toml` in the home says who may approve";
            return refused(None, Reason::ApprovalUnavailable, text);
        };
        if book.open.len() >= APPROVALS_OPEN_MAX {
            let text = "more approvals are open than are kept; answer some first";
            return refused(None, Reason::ApprovalUnavailable, text);
        }
        let intercepted = &classified.intercepted;
        let follows = book.followed(run, intercepted);
        let involved = Involved { author, follows: &follows, people };
        let requested = match question(classified, decision, policy, involved, fresh, at) {
            Ok(requested) => requested,
            Err(unreachable) => return refused(None, Reason::ApprovalUnavailable, &unreachable.to_string()),
        };
        match Approval::begin(&requested.record, at) {
            Ok(approval) => {
                let respond_by = approval.question.respond_by;
                let (call, context) = (classified.intercepted.call(), classified.intercepted.context().clone());
                book.put(Entry::new(approval, Some(call), context));
                Consulted::Pending { approval: fresh, requested: Some(Box::new(requested)), respond_by }
            }
            Err(illegal) => refused(None, Reason::ApprovalUnavailable, &illegal.to_string()),
        }
    }
}

impl Entry {
    /// What it says of an identical call; `None` where the call asks anew.
    fn say(
        &mut self,
        is_good: &impl Fn(&Review) -> bool,
        (run, call_sha256): &(RunId, String),
        awaited: Option<ApprovalId>,
        at: Timestamp,
    ) -> Option<Consulted> {
        let id = self.approval.approval;
        let is_awaited = awaited == Some(id);
        let respond_by = self.approval.question.respond_by;
        // Whatever became of the approval since: what ran comes first.
        if let Some(said) = self.recall(*run, call_sha256, is_awaited) {
            return Some(said);
        }
        // It says nothing more of this call than of any other.
        if self.approval.question.standing.is_some() {
            return None;
        }
        if self.approval.is_over(at) && !self.is_answering {
            let ended = ApprovalRecord {
                why: Some("nobody answered, or nobody used what was granted, in time".to_owned()),
                ..self.event(ApprovalEvent::Expired)
            };
            let _follows = self.approval.take(&ended, at);
            self.wake.send_modify(|count| *count += 1);
            self.is_told = true;
            return Some(self.refuse(Reason::ApprovalExpired, "nobody approved this call in time", Some(ended)));
        }
        match self.approval.state.clone() {
            State::Open => Some(Consulted::Pending { approval: id, requested: None, respond_by }),
            State::Approved(_) => match self.approval.next_use(at) {
                Ok(used) => {
                    if let Some(lost) = self.lost(is_good) {
                        let text = format!("`{lost}`, who approved it, may not approve it any more");
                        return Some(self.refuse(Reason::ApprovalRevoked, &text, None));
                    }
                    let consumed = ApprovalRecord { used: Some(used), ..self.event(ApprovalEvent::Consumed) };
                    self.approval.taken.insert(used);
                    self.uses.insert(used, Use::running(None));
                    self.is_told = true;
                    let gates = self.approval.question.gates.iter().map(|gate| gate.name.clone()).collect();
                    Some(Consulted::Approved { consumed: Box::new(consumed), gates })
                }
                Err(_used_up) if is_awaited => {
                    Some(self.refuse(Reason::ApprovalRevoked, "another call has used what was approved", None))
                }
                Err(_used_up) => None,
            },
            // The answer stands until the question would have ended, whoever asks again.
            State::Denied(why) if is_awaited || at <= respond_by => {
                let text = if why.is_empty() { "people said no".to_owned() } else { format!("people said no: {why}") };
                Some(self.refuse(Reason::ApprovalDenied, &text, None))
            }
            State::Edited(why) if is_awaited || at <= respond_by => Some(self.refuse_edited(&why)),
            State::Expired if is_awaited || !self.is_told => {
                self.is_told = true;
                Some(self.refuse(Reason::ApprovalExpired, "nobody approved this call in time", None))
            }
            State::Released if is_awaited || !self.is_told => {
                self.is_told = true;
                Some(self.refuse(Reason::ApprovalRevoked, "what was approved was given back", None))
            }
            State::Revoked if is_awaited || !self.is_told => {
                self.is_told = true;
                Some(self.refuse(Reason::ApprovalRevoked, "what was approved was taken back", None))
            }
            State::Withdrawn if is_awaited => {
                Some(self.refuse(Reason::ApprovalRevoked, "the question was taken back", None))
            }
            State::Denied(_)
            | State::Edited(_)
            | State::Expired
            | State::Released
            | State::Revoked
            | State::Withdrawn => None,
        }
    }

    /// Who approved it and may not any more.
    pub(super) fn lost(&self, is_good: &impl Fn(&Review) -> bool) -> Option<Arc<str>> {
        let is_yes = |review: &Review| matches!(review.answer, Answer::Approve | Answer::BreakGlass);
        let is_lost = |review: &&Review| is_yes(review) && !is_good(review);
        self.approval.in_force().find(is_lost).map(|review| review.reviewer.clone())
    }

    fn refuse(&self, reason: Reason, text: &str, ended: Option<ApprovalRecord>) -> Consulted {
        Consulted::Refused {
            approval: Some(self.approval.approval),
            ended: ended.map(Box::new),
            proposed: None,
            reason,
            said_to_agent: format!("{text}; do not retry, and tell the person you work for"),
            sentence: text.to_owned(),
        }
    }

    /// The call does not run, and the agent is told what a person would have instead.
    fn refuse_edited(&self, why: &str) -> Consulted {
        let proposed = self.proposed();
        let text = format!("a person proposes other arguments: {why}");
        let next = match &proposed {
            Some(_) => {
                "nothing was executed. If what is proposed serves your task, call the tool again with exactly these arguments: that is a call of its own, which is decided, and asked about, anew. Otherwise tell the person you work for"
            }
            None => {
                "nothing was executed, and what is proposed is not kept any more; do not retry, and tell the person you work for"
            }
        };
        Consulted::Refused {
            approval: Some(self.approval.approval),
            ended: None,
            proposed,
            reason: Reason::ApprovalEdited,
            said_to_agent: format!("{text}; {next}"),
            sentence: text,
        }
    }
}

/// Whether whoever gave an answer may still give it: a person who is in the groups that they counted for, and has nothing to do with the call.
pub(super) fn is_authority(review: &Review, people: &People, excluded: [Option<&str>; 3]) -> bool {
    let counted = review.on_behalf_of.as_ref().unwrap_or(&review.reviewer);
    let groups = people.groups_of(counted);
    let is_excluded = |person: &Arc<str>| {
        excluded.iter().flatten().any(|name| people.person_of(name).is_some_and(|known| known == person))
    };
    people.persons().contains_key(&review.reviewer)
        && review.groups.iter().all(|group| groups.contains(group))
        && ![Some(&review.reviewer), review.on_behalf_of.as_ref()].into_iter().flatten().any(is_excluded)
}

fn refused(approval: Option<ApprovalId>, reason: Reason, text: &str) -> Consulted {
    Consulted::Refused {
        approval,
        ended: None,
        proposed: None,
        reason,
        said_to_agent: format!("this call needs a person's approval: {text}; tell the person you work for"),
        sentence: text.to_owned(),
    }
}

impl Gateway {
    /// Asks the approvals that there are about a call.
    pub(crate) fn consult(&self, consult: &Consult, at: Timestamp) -> Consulted {
        let people = self.people.in_force();
        let author = self.missions.author(consult.policy.mission().name());
        let fresh = ApprovalId::at(at, self.entropy.bits());
        let may_sign = |review: &Review| match &review.key {
            Some(key) => self.keys.confirmed(&review.reviewer, key).is_some(),
            None => true,
        };
        self.approvals.consult(consult, people.as_deref(), author.as_deref(), may_sign, fresh, at)
    }

    /// Keeps what reviewers are shown, sealed.
    pub(crate) fn keep_view(&self, requested: &Requested) -> Result<(), SealError> {
        let Some(question) = &requested.record.question else { return Ok(()) };
        Attachments::of(&self.home).keep(&question.shown_sha256, requested.view.to_vec())
    }
}
