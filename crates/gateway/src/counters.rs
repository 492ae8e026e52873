//! What the calls of each mission have used of its limits: taken up from the ledger once, and kept in memory from then on.
//!
//! A call is decided and its intent is counted under one lock, so that two calls cannot both take the last piece of a limit. What is counted is in the records
//! themselves: after a crash the ledger gives the same sums, those of calls that nobody knows the end of included.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use evidence::record::{Body, Count, Draft};
use evidence::time::Timestamp;
use governance::approve::Consulted;
use governance::call::{Call, Consult, Effect, Input};
use governance::classify::Classified;
use governance::count::Book;
use governance::decide::PolicySnapshot;
use store::{ReadError, Reader};

use crate::Gateway;
use crate::driver::consulted;

/// The books of all missions with counters.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    books: Mutex<HashMap<Arc<str>, Book>>,
    /// One takes up a mission at a time.
    opening: tokio::sync::Mutex<()>,
}

impl Counters {
    fn with<T>(&self, mission: &str, work: impl FnOnce(&mut Book) -> T) -> Option<T> {
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        books.get_mut(mission).map(work)
    }

    fn is_open(&self, mission: &str) -> bool {
        self.books.lock().unwrap_or_else(PoisonError::into_inner).contains_key(mission)
    }

    /// Decides a call, and counts what its intent adds before another is decided. Without an open book there are no tallies, and the policy denies what they limit.
    pub(crate) fn decide(
        &self,
        call: Call,
        mut classified: Box<Classified>,
        policy: Arc<PolicySnapshot>,
        at: Timestamp,
        consult: impl Fn(&Consult, Timestamp) -> Consulted,
    ) -> (Call, Vec<Effect>) {
        let mission = policy.mission().name().clone();
        let mut books = self.books.lock().unwrap_or_else(PoisonError::into_inner);
        let mut book = books.get_mut(&mission);
        if let Some(book) = &book {
            let tool = classified.intercepted.tool().clone();
            classified.tallies = book.tally(policy.counters(&tool), &classified.intercepted, &classified.facets, at);
        }
        let (call, effects) = call.handle(Input::Classified(classified, policy), at);
        let (call, effects) = consulted(call, effects, at, consult);
        for effect in &effects {
            if let (Effect::Append(drafts), Some(book)) = (effect, &mut book) {
                book.add(drafts, at);
            }
        }
        (call, effects)
    }

    /// Counts what the outcome of a call adds.
    pub(crate) fn add(&self, drafts: &[Draft], at: Timestamp) {
        let is_counted = |draft: &Draft| matches!(&draft.body, Body::Action(action) if !action.counted.is_empty());
        if !drafts.iter().any(is_counted) {
            return;
        }
        let Some(mission) = drafts.first().and_then(|draft| draft.context.mission.as_deref()) else { return };
        let _added = self.with(mission, |book| book.add(drafts, at));
    }
}

impl Gateway {
    /// Takes up what the ledger knows of a mission's counters, once.
    ///
    /// # Errors
    /// [`ReadError`]; then nothing that a counter limits is allowed.
    pub(crate) async fn open_counters(&self, mission: &str) -> Result<(), ReadError> {
        if self.counters.is_open(mission) {
            return Ok(());
        }
        let _one_at_a_time = self.counters.opening.lock().await;
        if self.counters.is_open(mission) {
            return Ok(());
        }
        // Nothing of this mission was counted since the gateway started, so all that counts is in the ledger.
        let counts = counts(self.ledger.reader()?, mission.to_owned()).await?;
        let mut book = Book::default();
        counts.iter().for_each(|count| book.count(count));
        self.counters.books.lock().unwrap_or_else(PoisonError::into_inner).insert(mission.into(), book);
        Ok(())
    }
}

/// Reads beside the reactor: what the index does not have yet is read from the log.
async fn counts(reader: Reader, mission: String) -> Result<Vec<Count>, ReadError> {
    let read = tokio::task::spawn_blocking(move || reader.counts(&mission)).await;
    read.unwrap_or_else(|panicked| std::panic::resume_unwind(panicked.into_panic()))
}
