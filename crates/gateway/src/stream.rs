//! Records for whoever follows the ledger over the API, and pages of what a filter picks. That somebody reads is recorded before they do.
//!
//! A follower's place is the number of a record. Everything up to a place that was told has been given, and nothing that is not durable: so whoever comes back with it misses
//! nothing, and a place beyond the end of the log is one of another log, or of one that has lost records. Start at [`Gateway::record_stream`].

pub mod config;

use std::ops::ControlFlow;

use evidence::filter::Filter;
use evidence::limits::FILTER_BYTES_MAX;
use evidence::record::{EvidenceAccess, Record};
use governance::limits::SENTENCE_BYTES_MAX;
use governance::mission::Reads;
use store::{Order, ReadError};

use crate::Gateway;
use crate::approvals::Channel;
use crate::blocking::blocking;
use crate::export::ExportError;
use crate::limits::STREAM_BATCH_BYTES;
use crate::organisation;

/// Why nobody follows a filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}(...)` asks about other records of the same {0}, of which more may come; follow the records without it, and ask for pages or with `countersign audit` afterwards"
)]
pub struct Joined(pub &'static str);

/// The filter, where what it says of a record never changes.
///
/// # Errors
/// [`Joined`].
pub fn alone(filter: &Filter) -> Result<&Filter, Joined> {
    match filter.joins().first() {
        Some(join) => Err(Joined(join.along.as_str())),
        None => Ok(filter),
    }
}

/// Some records, as a follower gets them.
#[derive(Debug, Default)]
pub struct Batch {
    /// The records, as they were written out.
    pub bytes: Vec<u8>,
    /// Up to this record everything that matches has been given.
    pub upto: u64,
}

impl Gateway {
    /// The number of the last durable record.
    #[must_use]
    pub fn durable(&self) -> u64 {
        self.ledger.lag().durable
    }

    /// Resolves when the ledger has more than this, and the index knows of it.
    pub async fn grown(&self, after: u64) {
        self.ledger.indexed(after.saturating_add(1)).await;
    }

    /// Whether it is recorded who looks at the evidence.
    #[must_use]
    pub fn reads(&self) -> Reads {
        organisation::reads(&self.home)
    }

    /// Records that `who` follows the records after `after` that match `filter`; gives the number of that record.
    ///
    /// # Errors
    /// [`ExportError`]; then nothing may be given.
    pub async fn record_stream(
        &self,
        filter: &Filter,
        after: u64,
        who: &str,
        why: &str,
        channel: Channel,
    ) -> Result<u64, ExportError> {
        let filter = filter.clone().within(after.saturating_add(1), u64::MAX).to_string();
        if why.trim().is_empty() || why.len() > SENTENCE_BYTES_MAX || filter.len() > FILTER_BYTES_MAX {
            return Err(ExportError::Unfit);
        }
        self.record_access(EvidenceAccess {
            channel: channel.as_str().to_owned(),
            filter: Some(filter),
            look: None,
            who: who.to_owned(),
            why: why.to_owned(),
        })
        .await
    }

    /// The next durable records after `after` that match `filter`, oldest first, each written by `write`: some 64 KiB at a time.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn records_after(
        &self,
        filter: &Filter,
        after: u64,
        write: fn(&Record, &mut Vec<u8>),
    ) -> Result<Batch, ReadError> {
        let durable = self.durable();
        if durable <= after {
            return Ok(Batch { bytes: Vec::new(), upto: after });
        }
        let (filter, reader) = (filter.clone().within(after + 1, durable), self.ledger.clone());
        blocking(move || {
            let mut batch = Batch { bytes: Vec::new(), upto: durable };
            reader.reader()?.visit(&filter, Order::OldestFirst, |record| {
                write(&record, &mut batch.bytes);
                if batch.bytes.len() < STREAM_BATCH_BYTES {
                    return ControlFlow::Continue(());
                }
                batch.upto = record.seq;
                ControlFlow::Break(())
            })?;
            Ok(batch)
        })
        .await
    }

    /// The newest `limit` records before `before` that match `filter`, newest first.
    ///
    /// # Errors
    /// The ledger cannot be read.
    pub async fn records_before(
        &self,
        filter: &Filter,
        before: Option<u64>,
        limit: usize,
    ) -> Result<Vec<Record>, ReadError> {
        let end = before.map_or(u64::MAX, |before| before.saturating_sub(1)).min(self.durable());
        if end == 0 {
            return Ok(Vec::new());
        }
        let (filter, ledger) = (filter.clone().within(1, end), self.ledger.clone());
        blocking(move || ledger.reader()?.query(&filter, Order::NewestFirst, Some(limit))).await
    }
}
