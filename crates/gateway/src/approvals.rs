//! The approvals of a home: what people are asked, what they answered, and which calls wait.
//!
//! A book in memory, taken up from the ledger when it is opened: every approval is the fold of its records. A use is taken under the book's lock before it is recorded with
//! the intent, so that no two calls take the same one. Start at [`Approvals::consult`] for calls and at [`Gateway::review`] for people.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use evidence::approvals::{Approval, Illegal, State, Tally, statement};
use evidence::filter::{Filter, Term};
use evidence::ids::{ApprovalId, CallId, RunId};
use evidence::record::approval::{Answer, ApprovalEvent, ApprovalRecord, Assurance, Gate, Resolution, Review};
use evidence::record::{Body, Context, Draft, RecordType};
use evidence::time::Timestamp;
use governance::approve::{Consulted, People, Requested, bound, question};
use governance::call::Consult;
use governance::limits::SENTENCE_BYTES_MAX;
use governance::reason::Reason;
use serde::{Deserialize, Serialize};
use store::{Order, ReadError, Reader};
use tokio::sync::watch;

use crate::Gateway;
use crate::attachments::Attachments;
use crate::clock::now;
use crate::limits::{APPROVALS_KEPT_MAX, APPROVALS_OPEN_MAX};
use crate::seal::SealError;

/// All approvals.
#[derive(Debug, Default)]
pub(crate) struct Approvals {
    book: Mutex<Book>,
    /// One person answers at a time.
    reviewing: tokio::sync::Mutex<()>,
}

#[derive(Debug, Default)]
struct Book {
    by_call: HashMap<(RunId, String), ApprovalId>,
    entries: HashMap<ApprovalId, Entry>,
    /// How many are open.
    open: usize,
}

/// One approval, and who waits for it.
#[derive(Debug)]
struct Entry {
    approval: Approval,
    call: Option<CallId>,
    context: Arc<Context>,
    /// Whether an answer is on its way to the ledger, which was in time.
    is_answering: bool,
    /// Whether the agent knows how it ended.
    is_told: bool,
    /// Changes when it does.
    wake: watch::Sender<u64>,
}

/// What a person answers, as the command line sends it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reviewed {
    /// What is answered.
    pub answer: Answer,
    /// Which approval.
    pub approval: ApprovalId,
    /// The key that signed.
    pub key: Option<String>,
    /// Random, 32 hexadecimal digits.
    pub nonce: String,
    /// For whom the person stands in.
    pub on_behalf_of: Option<String>,
    /// Why.
    pub reason: String,
    /// Who; whom the operating system names, where it is left out.
    pub reviewer: Option<String>,
    /// SHA-256 of what the person was shown.
    pub shown_sha256: String,
    /// Ed25519 over the statement, in base64.
    pub signature: Option<String>,
    /// When the person signed.
    pub signed_at: Timestamp,
}

/// What an answer led to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Counted {
    /// What the answers add up to, where that is settled.
    pub resolution: Option<Resolution>,
    /// How the gates stand, in sentences.
    pub standing: Vec<String>,
}

/// One approval, for people.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ApprovalView {
    /// Who acts.
    pub agent: String,
    /// Which.
    pub approval: ApprovalId,
    /// When people were asked.
    pub asked_at: Timestamp,
    /// What it is bound to.
    pub call_sha256: String,
    /// The gates, with their thresholds.
    pub gates: Vec<Gate>,
    /// SHA-256 of the gates.
    pub gates_sha256: String,
    /// On whose behalf.
    pub initiator: String,
    /// The mission.
    pub mission: String,
    /// When what was granted lapses.
    pub not_after: Option<Timestamp>,
    /// When silence becomes a no.
    pub respond_by: Timestamp,
    /// Every answer, in order.
    pub reviews: Vec<Review>,
    /// Why people are asked.
    pub sentence: String,
    /// SHA-256 of what reviewers are shown.
    pub shown_sha256: String,
    /// How the gates stand, in sentences.
    pub standing: Vec<String>,
    /// `open`, `approved`, `denied`, `expired`, `revoked`, `used` or `withdrawn`.
    pub state: String,
    /// The tool.
    pub tool: String,
    /// How often it was used.
    pub used: u32,
}

/// Why an answer is not taken.
#[derive(Debug, thiserror::Error)]
pub enum ReviewError {
    /// It may not follow.
    #[error(transparent)]
    Illegal(#[from] Illegal),
    /// The key is not one with which this person answers.
    #[error("`{0}` is no confirmed key of this person; `countersign people list` shows the keys")]
    Key(String),
    /// The home has no file of persons.
    #[error("nobody can answer: {0}")]
    Nobody(String),
    /// The signature is not of this answer.
    #[error("the signature is not of this answer")]
    Signature,
    /// A text is empty or too long.
    #[error("say why in `--why`, in at most {SENTENCE_BYTES_MAX} bytes")]
    Unfit,
    /// There is no such approval.
    #[error("there is no approval {0}; `countersign approvals list --all` shows those that there are")]
    Unknown(ApprovalId),
    /// Whoever answers is nobody here, or away.
    #[error("`{0}` is no person of people.toml, or is away")]
    Who(String),
    /// It could not be recorded.
    #[error(transparent)]
    Unrecorded(#[from] store::AppendError),
}

impl Approvals {
    /// Takes up what the ledger says. What may not follow is left out: verification names it.
    pub(crate) fn restore(reader: &Reader) -> Result<Self, ReadError> {
        let mut book = Book::default();
        let filter = Filter::Term(Term::Type(vec![RecordType::ApprovalRecord]));
        reader.visit(&filter, Order::OldestFirst, |record| {
            let Body::Approval(approval) = &record.body else { return ControlFlow::Continue(()) };
            let correlation = &record.correlation;
            let context = Context {
                agent: record.agent.clone(),
                context: correlation.context,
                initiator: record.initiator.clone(),
                mission: correlation.mission.clone(),
                run: correlation.run,
            };
            let taken = match book.entries.get_mut(&approval.approval) {
                Some(entry) => entry.approval.take(approval, record.occurred_at),
                None => Approval::begin(approval, record.occurred_at).map(|fresh| {
                    book.put(Entry::new(fresh, correlation.call, Arc::new(context)));
                }),
            };
            if let Err(illegal) = taken {
                tracing::warn!(%illegal, seq = record.seq, "an approval goes on in a way in which it may not");
            }
            ControlFlow::Continue(())
        })?;
        book.open = book.entries.values().filter(|entry| entry.is_open()).count();
        Ok(Self { book: Mutex::new(book), reviewing: tokio::sync::Mutex::default() })
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // Every change is one step on one entry: a panic in between leaves nothing half done.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

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
        let Some(run) = classified.intercepted.context().run else {
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
        let known = book.by_call.get(&(run, call_sha256.clone())).copied();
        if let Some(said) = known.and_then(|known| book.change(known, |entry| entry.say(is_good, *awaited, at))?) {
            return said;
        }
        // What it waited for is bound to another call by now: the mission, the tool's definition or a gate changed.
        if let Some(awaited) = awaited.filter(|awaited| Some(*awaited) != known) {
            let text = "what was asked was about other rules than those that hold now; ask again";
            return refused(Some(awaited), Reason::ApprovalRevoked, text);
        }
        let Some(people) = people else {
            let text = "no file `people.toml` in the home says who may approve";
            return refused(None, Reason::ApprovalUnavailable, text);
        };
        if book.open >= APPROVALS_OPEN_MAX {
            let text = "more approvals are open than are kept; answer some first";
            return refused(None, Reason::ApprovalUnavailable, text);
        }
        let requested = match question(classified, decision, policy, people, author, fresh, at) {
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

    /// Gives back the use that was taken last and is not recorded.
    pub(crate) fn give_back(&self, approval: ApprovalId) {
        if let Some(entry) = self.book().entries.get_mut(&approval) {
            entry.approval.used = entry.approval.used.saturating_sub(1);
        }
    }

    /// Forgets a question that could not be recorded.
    pub(crate) fn forget(&self, approval: ApprovalId) {
        let mut book = self.book();
        if let Some(entry) = book.entries.remove(&approval) {
            book.open = book.open.saturating_sub(usize::from(entry.is_open()));
            book.by_call.retain(|_, known| *known != approval);
            entry.wake.send_modify(|count| *count += 1);
        }
    }

    /// Resolves when the approval is not open any more, or its time to answer is over.
    pub(crate) async fn answered(&self, approval: ApprovalId) {
        let Some((mut wake, respond_by)) = self.book().entries.get(&approval).and_then(|entry| {
            let is_open = entry.approval.state == State::Open;
            is_open.then(|| (entry.wake.subscribe(), entry.approval.question.respond_by))
        }) else {
            return;
        };
        let left = u64::try_from(respond_by.micros_since(now())).unwrap_or_default().saturating_add(1_000);
        tokio::select! {
            _changed = wake.changed() => {}
            () = tokio::time::sleep(std::time::Duration::from_micros(left)) => {}
        }
    }

    /// Every approval, oldest first; only open ones unless `all` are wanted.
    pub(crate) fn list(&self, all: bool) -> Vec<ApprovalView> {
        let book = self.book();
        let wanted = book.entries.values().filter(|entry| all || entry.approval.state == State::Open);
        let mut views: Vec<ApprovalView> = wanted.map(Entry::view).collect();
        views.sort_by_key(|view| view.approval);
        views
    }

    /// Which approvals are open whose time to answer is over, or granted and lapsed, at `at`.
    fn over(&self, at: Timestamp) -> Vec<ApprovalId> {
        let book = self.book();
        let over = book.entries.values().filter(|entry| entry.approval.is_over(at));
        over.map(|entry| entry.approval.approval).collect()
    }

    fn get(&self, approval: ApprovalId) -> Option<(Approval, Arc<Context>, Option<CallId>)> {
        let book = self.book();
        let entry = book.entries.get(&approval)?;
        Some((entry.approval.clone(), entry.context.clone(), entry.call))
    }

    /// Takes records that are durable.
    fn take(&self, approval: ApprovalId, records: &[ApprovalRecord], at: Timestamp) {
        let _known = self.book().change(approval, |entry| {
            for record in records {
                if let Err(illegal) = entry.approval.take(record, at) {
                    tracing::error!(%illegal, %approval, "a record of an approval does not follow from those before it");
                }
            }
            entry.wake.send_modify(|count| *count += 1);
        });
    }
}

impl Book {
    fn put(&mut self, entry: Entry) {
        if self.entries.len() >= APPROVALS_KEPT_MAX {
            self.forget_oldest();
        }
        if let Some(run) = entry.context.run {
            self.by_call.insert((run, entry.approval.call_sha256.clone()), entry.approval.approval);
        }
        self.open += usize::from(entry.is_open());
        self.entries.insert(entry.approval.approval, entry);
    }

    /// Changes one entry, if it is there, and counts it anew.
    fn change<T>(&mut self, approval: ApprovalId, change: impl FnOnce(&mut Entry) -> T) -> Option<T> {
        let entry = self.entries.get_mut(&approval)?;
        let before = usize::from(entry.is_open());
        let changed = change(entry);
        self.open = (self.open + usize::from(entry.is_open())).saturating_sub(before);
        Some(changed)
    }

    /// Forgets a tenth of those that are over, the oldest; they stay in the ledger.
    fn forget_oldest(&mut self) {
        let mut over: Vec<ApprovalId> = self
            .entries
            .values()
            .filter(|entry| !matches!(entry.approval.state, State::Open | State::Approved(_)))
            .map(|entry| entry.approval.approval)
            .collect();
        over.sort_unstable();
        over.truncate(APPROVALS_KEPT_MAX / 10);
        for approval in &over {
            self.entries.remove(approval);
        }
        self.by_call.retain(|_, approval| !over.contains(approval));
    }
}

impl Entry {
    fn new(approval: Approval, call: Option<CallId>, context: Arc<Context>) -> Self {
        Self { approval, call, context, is_answering: false, is_told: false, wake: watch::Sender::new(0) }
    }

    fn is_open(&self) -> bool {
        self.approval.state == State::Open
    }

    /// What it says of an identical call; `None` where the call asks anew.
    fn say(
        &mut self,
        is_good: impl Fn(&Review) -> bool,
        awaited: Option<ApprovalId>,
        at: Timestamp,
    ) -> Option<Consulted> {
        let id = self.approval.approval;
        let is_awaited = awaited == Some(id);
        let respond_by = self.approval.question.respond_by;
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
                    let is_lost = |review: &&Review| review.answer == Answer::Approve && !is_good(review);
                    let lost = self.approval.in_force().find(is_lost).map(|review| review.reviewer.clone());
                    if let Some(lost) = lost {
                        let text = format!("`{lost}`, who approved it, may not approve it any more");
                        return Some(self.refuse(Reason::ApprovalRevoked, &text, None));
                    }
                    let consumed = ApprovalRecord { used: Some(used), ..self.event(ApprovalEvent::Consumed) };
                    self.approval.used = used;
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
            State::Expired if is_awaited || !self.is_told => {
                self.is_told = true;
                Some(self.refuse(Reason::ApprovalExpired, "nobody approved this call in time", None))
            }
            State::Revoked if is_awaited || !self.is_told => {
                self.is_told = true;
                Some(self.refuse(Reason::ApprovalRevoked, "what was approved was taken back", None))
            }
            State::Withdrawn if is_awaited => {
                Some(self.refuse(Reason::ApprovalRevoked, "the question was taken back", None))
            }
            State::Denied(_) | State::Expired | State::Revoked | State::Withdrawn => None,
        }
    }

    fn refuse(&self, reason: Reason, text: &str, ended: Option<ApprovalRecord>) -> Consulted {
        Consulted::Refused {
            approval: Some(self.approval.approval),
            ended: ended.map(Box::new),
            reason,
            said_to_agent: format!("{text}; do not retry, and tell the person you work for"),
            sentence: text.to_owned(),
        }
    }

    fn event(&self, event: ApprovalEvent) -> ApprovalRecord {
        ApprovalRecord {
            approval: self.approval.approval,
            call_sha256: self.approval.call_sha256.clone(),
            event,
            gates_sha256: self.approval.gates_sha256.clone(),
            grant: None,
            question: None,
            resolution: None,
            review: None,
            tool: self.approval.tool.clone(),
            used: None,
            who: None,
            why: None,
        }
    }

    fn view(&self) -> ApprovalView {
        let Approval { approval, call_sha256, gates_sha256, opened_at, question, reviews, state, tool, used } =
            &self.approval;
        let not_after = if let State::Approved(grant) = state { Some(grant.not_after) } else { None };
        ApprovalView {
            agent: self.context.agent.name.to_string(),
            approval: *approval,
            asked_at: *opened_at,
            call_sha256: call_sha256.clone(),
            gates: question.gates.clone(),
            gates_sha256: gates_sha256.clone(),
            initiator: self.context.initiator.name.to_string(),
            mission: self.context.mission.as_deref().unwrap_or_default().to_owned(),
            not_after,
            respond_by: question.respond_by,
            reviews: reviews.clone(),
            sentence: question.sentence.clone(),
            shown_sha256: question.shown_sha256.clone(),
            standing: self.approval.tallies().iter().map(said).collect(),
            state: match state {
                State::Approved(grant) if *used >= grant.uses => "used",
                State::Approved(_) => "approved",
                State::Denied(_) => "denied",
                State::Expired => "expired",
                State::Open => "open",
                State::Revoked => "revoked",
                State::Withdrawn => "withdrawn",
            }
            .to_owned(),
            tool: tool.to_string(),
            used: *used,
        }
    }
}

/// Whether whoever gave an answer may still give it: a person who is in the groups that they counted for, and has nothing to do with the call.
fn is_authority(review: &Review, people: &People, excluded: [Option<&str>; 3]) -> bool {
    let counted = review.on_behalf_of.as_ref().unwrap_or(&review.reviewer);
    let groups = people.groups_of(counted);
    let is_excluded = |person: &Arc<str>| {
        excluded.iter().flatten().any(|name| people.person_of(name).is_some_and(|known| known == person))
    };
    people.persons().contains_key(&review.reviewer)
        && review.groups.iter().all(|group| groups.contains(group))
        && ![Some(&review.reviewer), review.on_behalf_of.as_ref()].into_iter().flatten().any(is_excluded)
}

fn said(tally: &Tally) -> String {
    let by = tally.approved_by.iter().map(|person| format!("`{person}`")).collect::<Vec<_>>().join(", ");
    let by = if by.is_empty() { "nobody yet".to_owned() } else { by };
    match tally.is_satisfied() {
        true => format!("gate `{}` is satisfied by {by}", tally.gate),
        false => format!("gate `{}`, stage {} of {}: approved by {by}", tally.gate, tally.stage + 1, tally.stages),
    }
}

fn refused(approval: Option<ApprovalId>, reason: Reason, text: &str) -> Consulted {
    Consulted::Refused {
        approval,
        ended: None,
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

    /// Takes a person's answer, put by the user `who` of the operating system.
    ///
    /// # Errors
    /// [`ReviewError`]; then nothing was recorded.
    pub async fn review(&self, reviewed: Reviewed, who: &str) -> Result<Counted, ReviewError> {
        let _one_at_a_time = self.approvals.reviewing.lock().await;
        if reviewed.reason.trim().is_empty() || reviewed.reason.len() > SENTENCE_BYTES_MAX {
            return Err(ReviewError::Unfit);
        }
        self.load_people(who).await;
        let people = self.people.in_force().ok_or_else(|| ReviewError::Nobody(self.people.trouble()))?;
        let id = reviewed.approval;
        let (mut approval, context, call) = self.approvals.get(id).ok_or(ReviewError::Unknown(id))?;
        let at = now();
        let review = self.examined(reviewed, &approval, &people, who, at)?;
        let mut records = vec![ApprovalRecord {
            review: Some(review),
            ..Entry::new(approval.clone(), call, context.clone()).event(ApprovalEvent::Review)
        }];
        for record in &records {
            approval.take(record, at)?;
        }
        let resolution = approval.resolution();
        if let Some(resolution) = resolution {
            let tallies = approval.tallies();
            let last = approval.reviews.last();
            let why = match resolution {
                Resolution::Denied => {
                    last.map(|last| format!("{} ({})", last.reason, last.reviewer)).unwrap_or_default()
                }
                Resolution::Approved | Resolution::Withdrawn => tallies.iter().map(said).collect::<Vec<_>>().join("; "),
            };
            records.push(ApprovalRecord {
                grant: (resolution == Resolution::Approved).then(|| approval.grant(at)),
                resolution: Some(resolution),
                why: Some(why),
                ..Entry::new(approval.clone(), call, context.clone()).event(ApprovalEvent::Resolved)
            });
        }
        let drafts = records.iter().map(|record| Draft::new(context.clone(), call, at, record.clone())).collect();
        let answering = |is_answering| self.approvals.book().change(id, |entry| entry.is_answering = is_answering);
        let _known = answering(true);
        let recorded = self.ledger.append(drafts).await;
        let _known = answering(false);
        recorded?;
        self.approvals.take(id, &records, at);
        Ok(Counted { resolution, standing: approval.tallies().iter().map(said).collect() })
    }

    /// The review that an answer is, once it is known who gives it.
    fn examined(
        &self,
        reviewed: Reviewed,
        approval: &Approval,
        people: &People,
        who: &str,
        at: Timestamp,
    ) -> Result<Review, ReviewError> {
        let named = reviewed.reviewer.as_deref().unwrap_or(who);
        let person = people.person_of(named).filter(|person| people.is_there(person, at));
        let person = person.ok_or_else(|| ReviewError::Who(named.to_owned()))?.clone();
        let stands_for = match reviewed.on_behalf_of.as_deref() {
            None => None,
            Some(absent) => {
                let absent = people.person_of(absent).ok_or_else(|| ReviewError::Who(absent.to_owned()))?;
                if !people.stands_in(&person, absent, at) {
                    return Err(Illegal::NotAsked.into());
                }
                Some(absent.clone())
            }
        };
        let asked: Vec<&Arc<str>> = approval
            .question
            .gates
            .iter()
            .flat_map(|gate| &gate.stages)
            .flat_map(|stage| &stage.any_of)
            .flat_map(|alternative| &alternative.all_of)
            .map(|quorum| &quorum.group)
            .collect();
        let mut groups = people.groups_of(stands_for.as_deref().unwrap_or(&person));
        groups.retain(|group| asked.contains(&group));
        let review = Review {
            answer: reviewed.answer,
            assurance: if reviewed.signature.is_some() { Assurance::DeviceKey } else { Assurance::OsUser },
            channel: "cli".to_owned(),
            groups,
            key: reviewed.key.clone(),
            nonce: reviewed.nonce,
            on_behalf_of: stands_for,
            reason: reviewed.reason,
            reviewer: person.clone(),
            shown_sha256: reviewed.shown_sha256,
            signature: reviewed.signature.clone(),
            signed_at: reviewed.signed_at,
        };
        match (&reviewed.key, &reviewed.signature) {
            (Some(key), Some(signature)) => {
                let statement = statement(approval.approval, &approval.call_sha256, &approval.gates_sha256, &review);
                let public = self.keys.confirmed(&person, key).ok_or_else(|| ReviewError::Key(key.clone()))?;
                if !crate::keys::is_signed(&public, &statement, signature) {
                    return Err(ReviewError::Signature);
                }
            }
            (None, None) if people.person_of(who) == Some(&person) => {}
            (None, None) => return Err(ReviewError::Who(named.to_owned())),
            (Some(_), None) | (None, Some(_)) => return Err(ReviewError::Signature),
        }
        Ok(review)
    }

    /// Takes back what was granted, for `who`.
    ///
    /// # Errors
    /// [`ReviewError`]; then nothing was recorded.
    pub async fn revoke_approval(&self, id: ApprovalId, who: &str, why: &str) -> Result<(), ReviewError> {
        let _one_at_a_time = self.approvals.reviewing.lock().await;
        if why.trim().is_empty() || why.len() > SENTENCE_BYTES_MAX {
            return Err(ReviewError::Unfit);
        }
        let (approval, context, call) = self.approvals.get(id).ok_or(ReviewError::Unknown(id))?;
        let at = now();
        let record = ApprovalRecord {
            who: Some(who.to_owned()),
            why: Some(why.to_owned()),
            ..Entry::new(approval.clone(), call, context.clone()).event(ApprovalEvent::Revoked)
        };
        approval.clone().take(&record, at)?;
        // It bites before it is recorded, so that trouble with the ledger cannot keep it from working.
        self.approvals.take(id, std::slice::from_ref(&record), at);
        self.ledger.append(vec![Draft::new(context, call, at, record)]).await?;
        Ok(())
    }

    /// Whether anybody is asked anything.
    #[must_use]
    pub fn has_open_approvals(&self) -> bool {
        self.approvals.book().open > 0
    }

    /// Records which approvals have ended by their clocks.
    pub async fn end_approvals(&self) {
        let _one_at_a_time = self.approvals.reviewing.lock().await;
        let at = now();
        let mut drafts = Vec::new();
        for id in self.approvals.over(at) {
            let Some((approval, context, call)) = self.approvals.get(id) else { continue };
            let record = ApprovalRecord {
                why: Some("nobody answered, or nobody used what was granted, in time".to_owned()),
                ..Entry::new(approval.clone(), call, context.clone()).event(ApprovalEvent::Expired)
            };
            if approval.clone().take(&record, at).is_err() {
                continue;
            }
            self.approvals.take(id, std::slice::from_ref(&record), at);
            drafts.push(Draft::new(context, call, at, record));
        }
        if drafts.is_empty() {
            return;
        }
        if let Err(error) = self.ledger.append(drafts).await {
            tracing::error!(%error, "the end of approvals could not be recorded");
        }
    }
}
