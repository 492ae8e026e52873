//! Lists of approvals, a page at a time: a page of the inbox costs what the page costs, however many wait.

use std::ops::Bound;

use evidence::approvals::Approval;
use evidence::ids::ApprovalId;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use super::{ApprovalState, ApprovalView, Approvals, Entry, News, Turn};
use crate::Gateway;
use crate::clock::now;
use crate::limits::{LOOKED_AT_MAX, PAGE_MAX};

/// Which approvals are wanted, oldest first.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Only those after this one.
    pub after: Option<ApprovalId>,
    /// Only those whose ids begin so.
    pub begins: Option<String>,
    /// So many at most; a page has no more than [`PAGE_MAX`].
    pub limit: usize,
    /// Only those where the answer of this person is awaited.
    pub mine: Option<String>,
    /// Only those in this state.
    pub state: Option<ApprovalState>,
}

/// A page of approvals, oldest first.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// What is on it.
    pub approvals: Vec<ApprovalView>,
    /// After which one the next page begins, where there may be more. A page of what somebody may answer can be shorter than its limit, or empty, and another follows.
    pub next: Option<ApprovalId>,
}

impl Gateway {
    /// The page of what is wanted.
    #[must_use]
    pub fn approvals(&self, wanted: &Wanted) -> Page {
        let (people, at) = (self.people.in_force(), now());
        self.approvals.page(wanted, |approval, person| Turn::of(approval, people.as_deref(), person, at).is_awaited())
    }

    /// What `person` may do about an approval that the book has.
    #[must_use]
    pub fn turn(&self, approval: ApprovalId, person: &str) -> Option<Turn> {
        let (approval, _, _) = self.approvals.get(approval)?;
        Some(Turn::of(&approval, self.people.in_force().as_deref(), person, now()))
    }

    /// Every change of an approval from now on.
    #[must_use]
    pub fn news(&self) -> broadcast::Receiver<News> {
        self.approvals.book().news.subscribe()
    }
}

impl Approvals {
    /// The page of what is wanted, where `is_awaited` says whether a person's answer is.
    fn page(&self, wanted: &Wanted, is_awaited: impl Fn(&Approval, &str) -> bool) -> Page {
        let book = self.book();
        let Some((low, high)) = between(wanted.begins.as_deref().unwrap_or_default()) else {
            return Page { approvals: Vec::new(), next: None };
        };
        let from = match wanted.after.filter(|after| *after >= low) {
            Some(after) if after >= high => return Page { approvals: Vec::new(), next: None },
            Some(after) => Bound::Excluded(after),
            None => Bound::Included(low),
        };
        let range = (from, Bound::Included(high));
        let mut entries: Box<dyn Iterator<Item = &Entry>> = match wanted.state {
            Some(ApprovalState::Open) => Box::new(book.open.range(range).filter_map(|id| book.entries.get(id))),
            Some(state) => {
                let entries = book.entries.range(range).map(|(_, entry)| entry);
                Box::new(entries.filter(move |entry| ApprovalState::of(&entry.approval) == state))
            }
            None => Box::new(book.entries.range(range).map(|(_, entry)| entry)),
        };
        let (limit, mut looked_at, mut last) = (wanted.limit.clamp(1, PAGE_MAX), 0, None);
        let mut approvals = Vec::new();
        for entry in entries.by_ref() {
            looked_at += 1;
            last = Some(entry.approval.approval);
            if wanted.mine.as_ref().is_none_or(|person| is_awaited(&entry.approval, person)) {
                approvals.push(entry.view());
            }
            if approvals.len() >= limit || (wanted.mine.is_some() && looked_at >= LOOKED_AT_MAX) {
                break;
            }
        }
        let next = if entries.next().is_some() { last } else { None };
        Page { approvals, next }
    }
}

/// The first and the last id that begin with `start`; `None` where none can.
fn between(start: &str) -> Option<(ApprovalId, ApprovalId)> {
    const FORM: &str = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    let fill = |digit: char| {
        let rest = FORM.chars().skip(start.len()).map(|place| if place == '-' { '-' } else { digit });
        start.chars().chain(rest).collect::<String>().parse().ok()
    };
    (start.len() <= FORM.len()).then_some(())?;
    Some((fill('0')?, fill('f')?))
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Arc;

    use evidence::approvals::{Approval, State, gates_sha256};
    use evidence::record::approval::{Alternative, ApprovalEvent, ApprovalRecord, Assurance, Gate, Question};
    use evidence::record::approval::{Quorum, Stage};
    use evidence::record::{Context, Endpoint, Surface, Tool};
    use evidence::time::Timestamp;

    use super::*;

    fn id(number: u16) -> ApprovalId {
        let [high, low] = number.to_be_bytes();
        ApprovalId::at(Timestamp::from_micros(0), [0, 0, 0, 0, 0, 0, 0, 0, high, low])
    }

    /// The request of an approval of one person of `leads`.
    pub(in crate::approvals) fn requested(approval: ApprovalId) -> ApprovalRecord {
        let quorum = Quorum { group: "leads".into(), need: 1 };
        let gates = vec![Gate {
            break_glass: None,
            escalate: None,
            remind_s: None,
            assurance: Assurance::DeviceKey,
            grant_s: 60,
            name: "one".into(),
            respond_s: 600,
            stages: vec![Stage { any_of: vec![Alternative { all_of: vec![quorum] }] }],
            standing: None,
            uses: 1,
        }];
        let tool =
            Tool { endpoint: Endpoint::Tool, name: "pay".into(), surface: Surface::Mcp, upstream: "bank".into() };
        ApprovalRecord {
            gate: None,
            approval,
            call_sha256: approval.to_string(),
            covers_sha256: None,
            event: ApprovalEvent::Requested,
            facets: Vec::new(),
            gates_sha256: gates_sha256(&gates),
            grant: None,
            question: Some(Question {
                args_bytes: 2,
                args_sha256: String::new(),
                excluded: Vec::new(),
                follows: None,
                gates,
                respond_by: Timestamp::from_micros(600_000_000),
                rules: Vec::new(),
                sentence: String::new(),
                shown_sha256: String::new(),
                standing: None,
            }),
            resolution: None,
            review: None,
            tool,
            used: None,
            who: None,
            why: None,
        }
    }

    fn entry(approval: ApprovalId) -> Entry {
        let begun = Approval::begin(&requested(approval), Timestamp::from_micros(0)).unwrap();
        Entry::new(begun, None, Arc::new(Context::system()))
    }

    /// So many approvals, every third of which is over.
    fn book(count: u16) -> Approvals {
        let approvals = Approvals::default();
        for number in (0..count).rev() {
            approvals.book().put(entry(id(number)));
            if number % 3 == 0 {
                approvals.book().change(id(number), |entry| entry.approval.state = State::Expired).unwrap();
            }
        }
        approvals
    }

    fn all(approvals: &Approvals, mut wanted: Wanted) -> (Vec<ApprovalId>, usize) {
        let (mut found, mut pages) = (Vec::new(), 0);
        loop {
            let page = approvals.page(&wanted, |_, _| true);
            pages += 1;
            found.extend(page.approvals.iter().map(|view| view.approval));
            match page.next {
                Some(next) => wanted.after = Some(next),
                None => return (found, pages),
            }
        }
    }

    #[test]
    fn pages_hold_everything_once_oldest_first() {
        let approvals = book(450);
        let wanted = |state, limit| Wanted { limit, state, ..Wanted::default() };
        let ids = |wanted: fn(&u16) -> bool| (0..450).filter(wanted).map(id).collect::<Vec<_>>();
        let (open, over) = (ids(|number| number % 3 != 0), ids(|number| number % 3 == 0));
        assert_eq!(all(&approvals, wanted(Some(ApprovalState::Open), 100)), (open.clone(), 3));
        assert_eq!(all(&approvals, wanted(Some(ApprovalState::Open), 7)), (open, 43));
        assert_eq!(all(&approvals, wanted(Some(ApprovalState::Expired), 150)), (over, 1));
        assert_eq!(all(&approvals, wanted(None, 1_000_000)), (ids(|_| true), 3), "no page is without bound");
        assert_eq!(all(&approvals, wanted(None, 0)).1, 450, "and none is empty");
        assert_eq!(all(&approvals, wanted(Some(ApprovalState::Denied), 10)), (Vec::new(), 1));
    }

    #[test]
    fn the_beginning_of_an_id_finds_it() {
        let approvals = book(300);
        let begins = |start: String| Wanted { begins: Some(start), limit: 2, ..Wanted::default() };
        let whole = id(258).to_string();
        assert_eq!(all(&approvals, begins(whole.clone())).0, [id(258)]);
        let start: String = whole.chars().take(34).collect();
        assert_eq!(approvals.page(&begins(start), |_, _| true).approvals.len(), 2, "of 44 that begin so");
        for none in ["x", "0193B5A2", "-", "0193b5a26f1e", &format!("{whole}0"), "\u{1F600}"] {
            assert!(all(&approvals, begins(none.to_owned())).0.is_empty(), "{none}");
        }
    }

    #[test]
    fn a_page_of_what_somebody_may_answer_ends_where_it_has_looked_long_enough() {
        let approvals = book(3_100);
        let wanted = |after| Wanted { after, limit: 9, mine: Some("ana".to_owned()), ..Wanted::default() };
        let is_theirs = |approval: &Approval, person: &str| person == "ana" && approval.approval == id(2_500);
        let (mut found, mut after, mut pages) = (Vec::new(), None, 0);
        loop {
            let page = approvals.page(&wanted(after), is_theirs);
            found.extend(page.approvals.iter().map(|view| view.approval));
            pages += 1;
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!((found, pages), (vec![id(2_500)], 4));
    }

    #[test]
    fn what_is_not_open_any_more_is_in_no_inbox() {
        let approvals = book(2);
        let wanted = Wanted { limit: 9, state: Some(ApprovalState::Open), ..Wanted::default() };
        let inbox = || approvals.page(&wanted, |_, _| true);
        assert_eq!(inbox().approvals.len(), 1);
        approvals.book().change(id(1), |entry| entry.approval.state = State::Revoked).unwrap();
        assert!(inbox().approvals.is_empty());
        approvals.book().put(entry(id(5)));
        approvals.forget(id(5));
        assert!(inbox().approvals.is_empty());
    }
}
