//! Lists of approvals, a page at a time: a page of the inbox costs what the page costs, however many wait.

use std::ops::Bound;

use evidence::ids::ApprovalId;
use serde::{Deserialize, Serialize};

use super::{ApprovalState, ApprovalView, Approvals, Entry};
use crate::limits::PAGE_MAX;

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
    /// Only those in this state.
    pub state: Option<ApprovalState>,
}

/// A page of approvals, oldest first.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Page {
    /// What is on it.
    pub approvals: Vec<ApprovalView>,
    /// After which one the next page begins, where there is more.
    pub next: Option<ApprovalId>,
}

impl Approvals {
    /// The page of what is wanted.
    pub(crate) fn page(&self, wanted: &Wanted) -> Page {
        let book = self.book();
        let from = (wanted.after.map_or(Bound::Unbounded, Bound::Excluded), Bound::Unbounded);
        let begins = |entry: &&Entry| {
            wanted.begins.as_ref().is_none_or(|start| entry.approval.approval.to_string().starts_with(start))
        };
        let entries: Box<dyn Iterator<Item = &Entry>> = match wanted.state {
            Some(ApprovalState::Open) => Box::new(book.open.range(from).filter_map(|id| book.entries.get(id))),
            Some(state) => {
                let entries = book.entries.range(from).map(|(_, entry)| entry);
                Box::new(entries.filter(move |entry| ApprovalState::of(&entry.approval) == state))
            }
            None => Box::new(book.entries.range(from).map(|(_, entry)| entry)),
        };
        let limit = wanted.limit.clamp(1, PAGE_MAX);
        let mut approvals: Vec<ApprovalView> = entries.filter(begins).take(limit + 1).map(Entry::view).collect();
        let is_more = approvals.len() > limit;
        approvals.truncate(limit);
        let next = approvals.last().filter(|_| is_more).map(|last| last.approval);
        Page { approvals, next }
    }
}

#[cfg(test)]
mod tests {
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

    fn entry(approval: ApprovalId) -> Entry {
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
            uses: 1,
        }];
        let tool =
            Tool { endpoint: Endpoint::Tool, name: "pay".into(), surface: Surface::Mcp, upstream: "bank".into() };
        let record = ApprovalRecord {
            gate: None,
            approval,
            call_sha256: approval.to_string(),
            event: ApprovalEvent::Requested,
            gates_sha256: gates_sha256(&gates),
            grant: None,
            question: Some(Question {
                args_bytes: 2,
                args_sha256: String::new(),
                excluded: Vec::new(),
                gates,
                respond_by: Timestamp::from_micros(600_000_000),
                rules: Vec::new(),
                sentence: String::new(),
                shown_sha256: String::new(),
            }),
            resolution: None,
            review: None,
            tool,
            used: None,
            who: None,
            why: None,
        };
        let begun = Approval::begin(&record, Timestamp::from_micros(0)).unwrap();
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
            let page = approvals.page(&wanted);
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
        assert_eq!(approvals.page(&begins(start)).approvals.len(), 2, "of 44 that begin so");
    }

    #[test]
    fn what_is_not_open_any_more_is_in_no_inbox() {
        let approvals = book(2);
        let inbox = || approvals.page(&Wanted { limit: 9, state: Some(ApprovalState::Open), ..Wanted::default() });
        assert_eq!(inbox().approvals.len(), 1);
        approvals.book().change(id(1), |entry| entry.approval.state = State::Revoked).unwrap();
        assert!(inbox().approvals.is_empty());
        approvals.book().put(entry(id(5)));
        approvals.forget(id(5));
        assert!(inbox().approvals.is_empty());
    }
}
