//! Whose turn it is: what a person may do about an approval now, as the fold of its records says.

use std::sync::Arc;

use evidence::approvals::{Approval, Illegal};
use evidence::record::approval::{Answer, Assurance, Review};
use evidence::time::Timestamp;
use governance::approve::People;

/// What a person may do about an approval now, with a key of theirs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Turn {
    /// The answers that they may give for themselves.
    pub answers: Vec<Answer>,
    /// Whether the gates ask a group of theirs, or they have to do with the call: they may take back what was granted.
    pub is_concerned: bool,
    /// For whom they may say yes as a stand-in.
    pub on_behalf_of: Vec<Arc<str>>,
    /// Why they may not say yes for themselves; `None` where they may.
    pub why_not: Option<String>,
}

impl Turn {
    /// That of `person` at `at`.
    pub(super) fn of(approval: &Approval, people: Option<&People>, person: &str, at: Timestamp) -> Self {
        let nobody = |why: String, is_concerned| Self { is_concerned, why_not: Some(why), ..Self::default() };
        let Some(people) = people else { return nobody("no file of persons says who may answer".to_owned(), false) };
        let Some((person, known)) = people.persons().get_key_value(person) else {
            return nobody("you are no person of people.toml".to_owned(), false);
        };
        let is_concerned = !groups_asked(approval, people, person, None, at).is_empty()
            || approval.question.excluded.iter().any(|excluded| excluded.person == *person);
        let may = |answer: Answer, on_behalf_of: Option<&Arc<str>>| {
            let review = Review {
                answer,
                assurance: Assurance::DeviceKey,
                channel: String::new(),
                groups: groups_asked(approval, people, person, on_behalf_of, at),
                key: None,
                nonce: String::new(),
                on_behalf_of: on_behalf_of.cloned(),
                // Anything but what is asked: what is proposed is looked at when it is.
                proposed_sha256: (answer == Answer::Edit).then(String::new),
                reason: String::new(),
                reviewer: person.clone(),
                shown_sha256: approval.question.shown_sha256.clone(),
                signature: None,
                signed_at: at,
                ticket: (answer == Answer::BreakGlass).then(|| "any".to_owned()),
            };
            approval.may_review(&review, at)
        };
        if !people.is_there(person, at) {
            let until = known.away.as_ref().map(|away| away.until.to_string()).unwrap_or_default();
            return nobody(format!("people.toml says that you are away until {until}"), is_concerned);
        }
        let absent = people.persons().keys().filter(|absent| !people.groups_for(person, absent, at).is_empty());
        Self {
            answers: Answer::ALL.iter().copied().filter(|answer| may(*answer, None).is_ok()).collect(),
            is_concerned,
            on_behalf_of: absent.filter(|absent| may(Answer::Approve, Some(absent)).is_ok()).cloned().collect(),
            why_not: may(Answer::Approve, None).err().as_ref().map(Illegal::to_string),
        }
    }

    /// Whether this person's answer is awaited: a yes of theirs would count. Whoever said yes may still say no, and is not asked for it.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        !self.on_behalf_of.is_empty() || self.answers.contains(&Answer::Approve)
    }
}

/// Those groups that the gates of `approval` ask and in which `person` answers: their own, or those of whom they answer for.
pub(super) fn groups_asked(
    approval: &Approval,
    people: &People,
    person: &str,
    on_behalf_of: Option<&Arc<str>>,
    at: Timestamp,
) -> Vec<Arc<str>> {
    let mut groups = match on_behalf_of {
        Some(absent) => people.groups_for(person, absent, at),
        None => people.groups_of(person),
    };
    groups.retain(|group| approval.question.gates.iter().any(|gate| gate.groups().any(|asked| asked == group)));
    groups
}
