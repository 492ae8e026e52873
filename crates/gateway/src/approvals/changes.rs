//! Changes consult the book: whether people have said yes to this very change, are asked, or said no.

use std::sync::Arc;

use evidence::approvals::{Approval, State, change_sha256, changed};
use evidence::ids::ApprovalId;
use evidence::record::approval::{Answer, ApprovalEvent, ApprovalRecord, Resolution, Review};
use evidence::record::{Authenticated, Context, Draft, Initiator, Surface, Tool, VersionLog};
use evidence::time::Timestamp;
use governance::approve::{Change, People, Requested, change_question};

use super::calls::is_authority;
use super::{Approvals, Book, Channel, Counted, Entry, ReviewError, Reviewed};
use crate::Gateway;
use crate::blocking::to_its_end;
use crate::changes::Asks;
use crate::limits::APPROVALS_OPEN_MAX;

/// What the approvals that there are say of a change.
#[derive(Debug)]
pub(crate) enum Settled {
    /// It is approved, and the one use is taken for it.
    Approved {
        /// The record of the use, for the same group as the version.
        consumed: Box<ApprovalRecord>,
        /// Who proposed it.
        who: String,
    },
    /// People are asked.
    Pending {
        /// Which approval.
        approval: ApprovalId,
        /// The request, where it is new, and the end of those that it replaces.
        fresh: Option<(Box<Requested>, Vec<Draft>)>,
        /// When silence becomes a no.
        respond_by: Timestamp,
    },
    /// It does not take effect.
    Refused {
        /// Which approval, where there is one.
        approval: Option<ApprovalId>,
        /// Why.
        why: String,
    },
}

/// In whose name a change is asked about.
fn context(version: &VersionLog) -> Context {
    let initiator = Initiator { authenticated: Authenticated::OsUser, name: version.who.as_str().into() };
    let is_mission = version.object.kind == evidence::record::VersionedKind::Mission;
    Context { initiator, mission: is_mission.then(|| version.object.name.clone()), ..Context::system() }
}

fn unreachable(why: impl ToString) -> Settled {
    Settled::Refused { approval: None, why: why.to_string() }
}

impl Approvals {
    /// What the approvals that there are say of a change; the use is taken, and a new question is known, when this returns. An answer by a key that `may_sign` does not know
    /// any more is none.
    pub(crate) fn settle(
        &self,
        change: Change<'_>,
        people: Option<&People>,
        may_sign: impl Fn(&Review) -> bool,
        asks: Asks,
        fresh: ApprovalId,
        at: Timestamp,
    ) -> Settled {
        let version = change.version;
        let mut book = self.book();
        let known = book.of_change(version, people);
        if let Some(settled) = known.and_then(|known| {
            book.change(known, |entry| {
                let names = [Some(&*entry.context.initiator.name), name(change, 0), name(change, 1)];
                let is_good = |review: &Review| {
                    people.is_some_and(|people| is_authority(review, people, names)) && may_sign(review)
                };
                let lost = entry.approval.in_force().find(|known| known.answer == Answer::Approve && !is_good(known));
                let lost = lost.map(|review| review.reviewer.to_string());
                entry.settle(lost, at)
            })?
        }) {
            return settled;
        }
        if asks == Asks::Nothing {
            return unreachable("what was approved is not what would change by now");
        }
        let Some(people) = people else {
            return unreachable("no file `people.toml` in the home says who may approve");
        };
        if book.open.len() >= APPROVALS_OPEN_MAX {
            return unreachable("more approvals are open than are kept; answer some first");
        }
        let requested = match change_question(change, people, fresh, at) {
            Ok(requested) => requested,
            Err(error) => return unreachable(error),
        };
        match Approval::begin(&requested.record, at) {
            Ok(approval) => {
                let respond_by = approval.question.respond_by;
                let replaced = book.replace(&approval.tool, &format!("{fresh} asks about another version"), at);
                book.put(Entry::new(approval, None, context(version).into()));
                Settled::Pending { approval: fresh, fresh: Some((Box::new(requested), replaced)), respond_by }
            }
            Err(illegal) => unreachable(illegal),
        }
    }

    /// Ends what is asked or granted about other versions of an object.
    pub(crate) fn replace(&self, tool: &Tool, why: &str, at: Timestamp) -> Vec<Draft> {
        self.book().replace(tool, why, at)
    }

    /// Ends one approval whose change cannot take effect any more, unless it was used.
    pub(crate) fn end(&self, approval: ApprovalId, why: &str, at: Timestamp) -> Option<Draft> {
        self.book().change(approval, |entry| entry.end(why, at))?
    }

    /// The changes that are approved and have not taken effect, by what they are bound to.
    pub(crate) fn approved_changes(&self, at: Timestamp) -> Vec<(ApprovalId, String)> {
        let book = self.book();
        let entries = book.changes.iter().filter_map(|id| book.entries.get(id));
        let ready = entries.filter(|entry| entry.approval.next_use(at).is_ok());
        ready.map(|entry| (entry.approval.approval, entry.approval.call_sha256.clone())).collect()
    }
}

/// The name of the person who has to do with a change beside whoever proposes it.
fn name<'a>(change: Change<'a>, at: usize) -> Option<&'a str> {
    change.involved.get(at).map(|(name, _)| *name)
}

impl Book {
    /// The approval of this very change, the newest one; proposed by whomever. What nobody has proposed by name is asked about anew where a person does.
    fn of_change(&self, version: &VersionLog, people: Option<&People>) -> Option<ApprovalId> {
        let tool = changed(version);
        let is_person = |name: &str| people.is_some_and(|people| people.person_of(name).is_some());
        let is_same = |entry: &&Entry| {
            let proposer = &*entry.context.initiator.name;
            let theirs = VersionLog { who: proposer.to_owned(), ..version.clone() };
            entry.approval.tool == tool
                && entry.approval.call_sha256 == change_sha256(&theirs)
                && (proposer == version.who || is_person(proposer) || !is_person(&version.who))
        };
        let mut entries = self.changes.iter().rev().filter_map(|id| self.entries.get(id));
        entries.find(is_same).map(|entry| entry.approval.approval)
    }

    /// Ends what is asked or granted about `tool`.
    fn replace(&mut self, tool: &Tool, why: &str, at: Timestamp) -> Vec<Draft> {
        let of_tool = |id: &&ApprovalId| self.entries.get(id).is_some_and(|entry| entry.approval.tool == *tool);
        let ids: Vec<ApprovalId> = self.changes.iter().filter(of_tool).copied().collect();
        ids.into_iter().filter_map(|id| self.change(id, |entry| entry.end(why, at))?).collect()
    }
}

impl Entry {
    /// What it says of the change that it is about, where nobody who approved it has `lost` the right to; `None` where it is asked about anew.
    fn settle(&mut self, lost: Option<String>, at: Timestamp) -> Option<Settled> {
        let approval = self.approval.approval;
        let refused = |why: String| Some(Settled::Refused { approval: Some(approval), why });
        if self.approval.is_over(at) && !self.is_answering {
            return refused("nobody approved it in time".to_owned());
        }
        match (self.approval.state.clone(), lost) {
            (State::Open, _) => {
                Some(Settled::Pending { approval, fresh: None, respond_by: self.approval.question.respond_by })
            }
            // Used up: it took effect once, and something else has since.
            (State::Approved(_), lost) => match (self.approval.next_use(at).ok()?, lost) {
                (_, Some(lost)) => refused(format!("`{lost}`, who approved it, may not approve it any more")),
                (used, None) => {
                    let consumed = ApprovalRecord { used: Some(used), ..self.event(ApprovalEvent::Consumed) };
                    self.approval.taken.insert(used);
                    self.wake.send_modify(|count| *count += 1);
                    let who = self.context.initiator.name.to_string();
                    Some(Settled::Approved { consumed: Box::new(consumed), who })
                }
            },
            // A no stands until what is proposed changes.
            (State::Denied(why) | State::Edited(why), _) => {
                refused(if why.is_empty() { "people said no".to_owned() } else { format!("people said no: {why}") })
            }
            (State::Expired, _) => refused("nobody approved it in time".to_owned()),
            (State::Revoked, _) => refused("what was approved was taken back".to_owned()),
            (State::Released | State::Withdrawn, _) => None,
        }
    }

    /// Takes back the question, or what was granted and is not used.
    fn end(&mut self, why: &str, at: Timestamp) -> Option<Draft> {
        let event = match &self.approval.state {
            State::Open if !self.is_answering => ApprovalRecord {
                resolution: Some(Resolution::Withdrawn),
                who: Some("countersign".to_owned()),
                why: Some(why.to_owned()),
                ..self.event(ApprovalEvent::Resolved)
            },
            State::Approved(_) if self.approval.next_use(at).is_ok() => ApprovalRecord {
                who: Some("countersign".to_owned()),
                why: Some(why.to_owned()),
                ..self.event(ApprovalEvent::Revoked)
            },
            _ => return None,
        };
        // What an answer that is on its way makes of it is seen when it is taken up.
        self.approval.take(&event, at).ok()?;
        self.wake.send_modify(|count| *count += 1);
        Some(Draft::new(self.context.clone(), None, at, event))
    }

    pub(super) fn is_change(&self) -> bool {
        self.approval.tool.surface == Surface::Change
    }
}

impl Gateway {
    /// Takes an answer that came through `channel` from the user or person `who`, and the change up that it settles.
    ///
    /// # Errors
    /// [`ReviewError`]; then nothing was recorded.
    pub async fn review(
        self: &Arc<Self>,
        reviewed: Reviewed,
        who: &str,
        channel: Channel,
    ) -> Result<Counted, ReviewError> {
        let (gateway, who) = (self.clone(), who.to_owned());
        // What is in the ledger must be in the book, also where the person's connection ends before that is so.
        to_its_end(async move {
            let counted = gateway.count_review(reviewed, &who, channel).await?;
            gateway.take_up_changes().await;
            Ok(counted)
        })
        .await
    }
}
