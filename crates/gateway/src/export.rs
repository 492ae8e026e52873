//! Exports of evidence, and looks at it: that somebody takes records out of the home, or reads them there, is recorded before they do.

use evidence::filter::{Filter, FilterError};
use evidence::limits::FILTER_BYTES_MAX;
use evidence::record::{Context, Draft, EvidenceAccess, Look};
use governance::limits::SENTENCE_BYTES_MAX;

use crate::Gateway;
use crate::approvals::Channel;
use crate::clock::now;

/// Why nothing may be exported or shown.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The filter is none.
    #[error(transparent)]
    Filter(#[from] FilterError),
    /// It asks about records that the bundle may not have.
    #[error(
        "`{0}(...)` asks about other records of the same {0}, and a bundle would not show what they are; export the {0}s that `countersign audit` finds, by `{0}:ID`, or all records of the time"
    )]
    Joined(&'static str),
    /// The reason is missing or too long.
    #[error("say why, in at most {SENTENCE_BYTES_MAX} bytes: it is recorded")]
    Unfit,
    /// It could not be recorded.
    #[error(transparent)]
    Unrecorded(#[from] store::AppendError),
}

/// The filter, where it looks at nothing but the record that it is asked about.
fn alone(filter: &Filter) -> Result<&Filter, ExportError> {
    match filter.joins().first() {
        Some(join) => Err(ExportError::Joined(join.along.as_str())),
        None => Ok(filter),
    }
}

/// What the record of an export says where everything is exported.
const EVERYTHING: &str = "seq:1..";

impl Gateway {
    /// Records that `who` exports the records that match `filter`; gives the number of that record.
    ///
    /// # Errors
    /// [`ExportError`]; then nothing may be exported.
    pub async fn record_export(
        &self,
        filter: &str,
        who: &str,
        why: &str,
        channel: Channel,
    ) -> Result<u64, ExportError> {
        if why.trim().is_empty() || why.len() > SENTENCE_BYTES_MAX || filter.len() > FILTER_BYTES_MAX {
            return Err(ExportError::Unfit);
        }
        let filter = match filter.trim() {
            "" => EVERYTHING.to_owned(),
            // As it is from now on: `after:7d` would be another time for whoever verifies.
            text => alone(&text.parse::<Filter>()?)?.to_string(),
        };
        let access = EvidenceAccess {
            channel: channel.as_str().to_owned(),
            filter: Some(filter),
            look: None,
            who: who.to_owned(),
            why: why.to_owned(),
        };
        self.record_access(access).await
    }

    /// Records that `who` looks at the records that match `filter`; gives the number of that record.
    ///
    /// # Errors
    /// [`ExportError`]; then nothing may be shown.
    pub async fn record_look(
        &self,
        filter: &str,
        look: Look,
        who: &str,
        why: &str,
        channel: Channel,
    ) -> Result<u64, ExportError> {
        if why.trim().is_empty() || why.len() > SENTENCE_BYTES_MAX || filter.len() > FILTER_BYTES_MAX {
            return Err(ExportError::Unfit);
        }
        let filter = match Filter::parse_at(filter, now())? {
            everything if everything == Filter::everything() => EVERYTHING.to_owned(),
            filter => filter.to_string(),
        };
        self.record_access(EvidenceAccess {
            channel: channel.as_str().to_owned(),
            filter: Some(filter),
            look: Some(look),
            who: who.to_owned(),
            why: why.to_owned(),
        })
        .await
    }

    pub(crate) async fn record_access(&self, access: EvidenceAccess) -> Result<u64, ExportError> {
        let draft = Draft::new(Context::system().into(), None, now(), access);
        let receipts = self.ledger.append(vec![draft]).await?;
        Ok(receipts.first().map_or(0, |receipt| receipt.seq))
    }
}
