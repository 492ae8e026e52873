//! What a feed to others keeps in the home: up to which record it has told, and the exception that is open while nobody takes it.

use std::path::PathBuf;
use std::sync::Arc;

use evidence::ids::ExceptionId;
use evidence::record::{Context, ExceptionEvent, ExceptionKind, ExceptionRecord};
use evidence::time::Timestamp;
use governance::limits::EXCEPTION_DUE_US;
use serde::{Deserialize, Serialize};

use crate::Gateway;
use crate::clock::now;
use crate::home::{Durability, keep};

/// Where a feed is, as the home keeps it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    /// The last record that was looked at.
    seq: u64,
    /// What is wrong with the receiver.
    trouble: Option<Trouble>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Trouble {
    due: Timestamp,
    exception: ExceptionId,
    /// How many messages were given up.
    given_up: u64,
    reason: String,
}

/// One feed.
pub(crate) struct Feed {
    gateway: Arc<Gateway>,
    /// What is done about a receiver that takes nothing.
    mitigation: &'static str,
    path: PathBuf,
    place: Place,
    /// What exceptions are about.
    scope: String,
}

impl Feed {
    /// The feed that keeps its place at `file` in the home. One that is new begins at the end of the ledger.
    pub(crate) fn open(gateway: Arc<Gateway>, file: &str, scope: String, mitigation: &'static str) -> Self {
        let end = gateway.durable();
        let path = gateway.home.path().join(file);
        let place = match std::fs::read(&path).map(|text| serde_json::from_slice::<Place>(&text)) {
            // A place beyond the end is another ledger's.
            Ok(Ok(place)) if place.seq <= end => place,
            Ok(_) => {
                tracing::warn!(path = %path.display(), scope, "where it was cannot be read; it begins at the end of the ledger");
                Place { seq: end, trouble: None }
            }
            Err(_) => Place { seq: end, trouble: None },
        };
        let feed = Self { gateway, mitigation, path, place, scope };
        feed.keep();
        feed
    }

    /// The last record that was told, or is not to be.
    pub(crate) const fn seq(&self) -> u64 {
        self.place.seq
    }

    /// Everything up to this record is told.
    pub(crate) fn advance(&mut self, seq: u64) {
        self.place.seq = seq;
        self.keep();
    }

    /// Something is not told at all.
    pub(crate) async fn give_up(&mut self, reason: &str) {
        tracing::error!(scope = self.scope, reason, "something is given up");
        self.trouble(reason).await;
        if let Some(trouble) = &mut self.place.trouble {
            trouble.given_up += 1;
        }
    }

    /// Opens an exception, unless one is open.
    pub(crate) async fn trouble(&mut self, reason: &str) {
        if self.place.trouble.is_some() {
            return;
        }
        let at = now();
        let trouble = Trouble {
            due: at.plus_micros(EXCEPTION_DUE_US),
            exception: ExceptionId::at(at, self.gateway.entropy.bits()),
            given_up: 0,
            reason: reason.chars().take(1_024).collect(),
        };
        if self.tell(ExceptionEvent::Opened, &trouble, self.mitigation).await {
            self.place.trouble = Some(trouble);
            self.keep();
        }
    }

    /// Says in the exception that is open, if one is, that the receiver takes messages again.
    pub(crate) async fn works_again(&mut self) {
        let Some(trouble) = self.place.trouble.take() else { return };
        let mitigation = format!("messages are delivered again; {} were given up", trouble.given_up);
        if !self.tell(ExceptionEvent::Mitigated, &trouble, &mitigation).await {
            self.place.trouble = Some(trouble);
        }
    }

    async fn tell(&self, event: ExceptionEvent, trouble: &Trouble, mitigation: &str) -> bool {
        let body = ExceptionRecord {
            broken_glass: None,
            due: Some(trouble.due),
            event,
            exception: trouble.exception,
            kind: ExceptionKind::Notification,
            mitigation: Some(mitigation.to_owned()),
            note: None,
            owner: "operator".to_owned(),
            reason: trouble.reason.clone(),
            scope: self.scope.clone(),
            signed: None,
            who: None,
        };
        let told = self.gateway.note(Context::system().into(), body).await;
        if let Err(error) = &told {
            tracing::error!(%error, scope = self.scope, "trouble with a receiver could not be recorded");
        }
        told.is_ok()
    }

    /// Keeps the place. Where that fails, messages are sent again after a restart.
    fn keep(&self) {
        let kept = serde_json::to_string(&self.place)
            .map_err(std::io::Error::from)
            .and_then(|text| keep(&self.path, &text, Durability::Lost));
        if let Err(error) = kept {
            tracing::warn!(path = %self.path.display(), %error, "the place of a feed could not be kept");
        }
    }
}
