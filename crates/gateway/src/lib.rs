//! The driver: performs the effects that governed calls ask for, and owns what is impure about it: time, randomness, configuration, sockets, missions and runs.
//!
//! It decides nothing: decisions are made in `governance`, durability in `store`, protocols in `surfaces`. Start at [`Gateway::open`]; [`driver`] is the loop that
//! takes one call through its states; [`socket`] and [`listener`] are the two doors; [`bridge`] is the other side of the first.

pub mod approvals;
mod aside;
pub mod attachments;
pub mod audits;
pub mod auth;
pub mod backup;
mod blocking;
pub mod bridge;
pub mod changes;
pub mod classes;
pub mod clock;
pub mod config;
pub mod content;
pub mod control;
pub mod cosigning;
mod counters;
pub mod device;
pub mod discovery;
pub mod driver;
mod examiner;
pub mod exceptions;
pub mod export;
mod feed;
pub mod gate;
pub mod halts;
pub mod home;
mod identity;
pub mod keys;
pub mod limits;
pub mod listener;
pub mod met;
pub mod missions;
pub mod notify;
pub mod oauth;
pub mod organisation;
pub mod otel;
pub mod people;
pub mod persons;
pub mod pins;
mod provenance;
mod recall;
pub mod rederive;
mod refusals;
pub mod rotation;
pub mod runs;
mod seal;
pub mod session;
pub mod socket;
pub mod stream;
mod trouble;
mod waivers;
pub mod witness;
mod workflow;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use evidence::record::{Body, Context, Draft, VersionLog, VersionedKind};
use store::{Ledger, Reader};
use surfaces::mcp::rounds::Rounds;
use tokio::sync::watch;

use crate::approvals::{Approvals, ParkedCalls};
use crate::classes::Classes;
use crate::clock::{Entropy, now};
use crate::content::Contents;
use crate::cosigning::Cosigning;
use crate::counters::Counters;
use crate::examiner::Examiner;
use crate::halts::Halts;
use crate::home::Home;
use crate::identity::Digests;
use crate::keys::PersonKeys;
use crate::met::Met;
use crate::missions::Missions;
use crate::organisation::InForce;
use crate::persons::Persons;
use crate::pins::Pins;
use crate::provenance::Provenance;
use crate::recall::Recall;
use crate::refusals::Refusals;
use crate::runs::Runs;
use crate::waivers::Waivers;

/// What all sessions share.
pub struct Gateway {
    pub(crate) approvals: Approvals,
    pub(crate) call_timeout: Duration,
    pub(crate) classes: Classes,
    /// One takes approved changes up at a time.
    pub(crate) changing: tokio::sync::Mutex<()>,
    pub(crate) contents: Contents,
    pub(crate) cosigning: Cosigning,
    pub(crate) counters: Counters,
    pub(crate) digests: Digests,
    pub(crate) entropy: Entropy,
    pub(crate) examiner: Examiner,
    /// One person does something about exceptions at a time.
    pub(crate) excepting: tokio::sync::Mutex<()>,
    pub(crate) halts: Halts,
    pub(crate) home: Home,
    pub(crate) keys: PersonKeys,
    pub(crate) ledger: Ledger,
    pub(crate) missions: Missions,
    pub(crate) organisation: InForce,
    pub(crate) parked: ParkedCalls,
    pub(crate) people: Persons,
    pub(crate) pins: Pins,
    pub(crate) met: Met,
    pub(crate) provenance: Provenance,
    pub(crate) recall: Recall,
    pub(crate) refusals: Refusals,
    pub(crate) rounds: Rounds,
    pub(crate) runs: Runs,
    pub(crate) stopping: watch::Sender<bool>,
    pub(crate) waivers: Waivers,
}

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("home", &self.home).finish_non_exhaustive()
    }
}

/// Why a gateway could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The home cannot be used.
    #[error(transparent)]
    Home(#[from] home::HomeError),
    /// The ledger cannot be opened.
    #[error(transparent)]
    Ledger(#[from] store::OpenError),
    /// What the ledger knows cannot be read.
    #[error(transparent)]
    Read(#[from] store::ReadError),
    /// A key of the home cannot be read or made.
    #[error(transparent)]
    Key(#[from] seal::SealError),
    /// The own classes cannot be taken up, and nothing runs without them.
    #[error("own classes of data: {0}")]
    Classes(String),
    /// State that the ledger holds cannot be read back.
    #[error("read `{kind}` `{name}` back from the ledger: {reason}")]
    State {
        /// What kind of object.
        kind: &'static str,
        /// Which.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
}

impl Gateway {
    /// Opens the home's ledger as its one writer and takes up what it says about missions, runs and halts.
    ///
    /// # Errors
    /// [`OpenError`]; nothing was changed unless the ledger itself recovered.
    pub fn open(home: Home, call_timeout: Duration) -> Result<Arc<Self>, OpenError> {
        home.prepare()?;
        let ledger = Ledger::open(home.path(), store::Options::default())?;
        Self::over(home, ledger, call_timeout)
    }

    /// A gateway over a ledger that is open already, wherever it keeps its bytes.
    ///
    /// # Errors
    /// When what the ledger says cannot be taken up.
    pub fn over(home: Home, ledger: Ledger, call_timeout: Duration) -> Result<Arc<Self>, OpenError> {
        let reader = ledger.reader()?;
        let missions = Missions::restore(&reader)?;
        let runs = Runs::restore(&reader)?;
        let halts = Halts::restore(&reader)?;
        let organisation = InForce::restore(&reader)?;
        let pins = Pins::restore(&reader)?;
        let approvals = Approvals::restore(&home, &runs, &reader)?;
        let parked = ParkedCalls::restore(&home);
        let keys = PersonKeys::restore(&reader)?;
        let people = Persons::restore(&reader)?;
        let examiner = Examiner::open(&home)?;
        let (classes, own) = Classes::restore(&home, &reader)?;
        if let Some(own) = own {
            examiner.put(own);
        }
        let waivers = Waivers::restore(&reader)?;
        let provenance = Provenance::open(&home, |run| runs.find(run).is_some())?;
        let (stopping, _) = watch::channel(false);
        let mut key = [0; 32];
        clock::random(&mut key);
        Ok(Arc::new(Self {
            approvals,
            call_timeout,
            classes,
            changing: tokio::sync::Mutex::default(),
            contents: Contents::of(&home),
            cosigning: Cosigning::default(),
            counters: Counters::default(),
            digests: Digests::default(),
            entropy: Entropy::default(),
            examiner,
            excepting: tokio::sync::Mutex::default(),
            halts,
            home,
            keys,
            ledger,
            missions,
            organisation,
            parked,
            people,
            pins,
            met: Met::default(),
            provenance,
            recall: Recall::default(),
            refusals: Refusals::default(),
            rounds: Rounds::new(key),
            runs,
            stopping,
            waivers,
        }))
    }

    /// Whether evidence can be written and calls are taken.
    #[must_use]
    pub fn readiness(&self) -> Readiness {
        if *self.stopping.borrow() {
            return Readiness::Stopping;
        }
        match self.ledger.health() {
            store::Health::Ready => Readiness::Ready,
            store::Health::Degraded { why, .. } => Readiness::Degraded(why.to_string()),
            store::Health::Closed => Readiness::Stopping,
        }
    }

    /// No new calls from now on; sessions finish what is in flight and end.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Resolves when the gateway was told to stop.
    pub async fn stopped(&self) {
        let mut stopping = self.stopping.subscribe();
        // The sender lives as long as `self`.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }

    /// Tells when the gateway was told to stop.
    #[must_use]
    pub fn watch_stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    /// Writes the ledger's last records and syncs everything.
    pub async fn close(self: Arc<Self>) {
        self.stop();
        self.count_refusals().await;
        if let Err(error) = self.ledger.clone().close().await {
            tracing::error!(%error, "the ledger was not closed in order; what is missing is made up for when it is opened again");
        }
    }

    /// Appends records of what the gateway does by itself, and waits until they are durable.
    pub(crate) async fn note(
        &self,
        context: Arc<Context>,
        body: impl Into<Body>,
    ) -> Result<evidence::record::Receipt, store::AppendError> {
        let receipts = self.ledger.append(vec![Draft::new(context, None, now(), body)]).await?;
        receipts.last().copied().ok_or(store::AppendError::Closed)
    }
}

/// The latest version of every object of `kind`, as the ledger has it.
pub(crate) fn versions(reader: &Reader, kind: VersionedKind) -> Result<Vec<VersionLog>, OpenError> {
    let records = reader.versions(kind)?.into_iter();
    Ok(records
        .filter_map(|record| if let Body::Version(version) = record.body { Some(version) } else { None })
        .collect())
}

/// Whether calls are taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// Evidence cannot be written; nothing executes.
    Degraded(String),
    /// All is well.
    Ready,
    /// The gateway is shutting down.
    Stopping,
}
