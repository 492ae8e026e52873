//! Runs: one execution of a mission by an agent for an initiator, over any number of servers and processes.
//!
//! A run's beginning and end are `version_log` records; this keeps the open ones in memory. Agents on HTTP prove themselves with a run's token, of which only the
//! hash is kept; bridges of one user join the open run with the same mission, agent and initiator.

pub mod picture;

use std::collections::HashMap;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use evidence::ids::RunId;
use evidence::leaf::sha256_hex;
use evidence::record::{Agent, Authenticated, Context, Draft, Initiator, VersionLog, VersionedKind, VersionedObject};
use evidence::time::Timestamp;
use governance::classify::ANY;
use serde::{Deserialize, Serialize};
use store::Reader;

use crate::clock::{now, random};
use crate::limits::{NAME_BYTES_MAX, OPEN_RUNS_MAX, RUN_US_MAX, WORDS_BYTES_MAX};
use crate::{Gateway, OpenError, versions};

/// How a run stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// Ended in order.
    Ended,
    /// Past its time.
    Expired,
    /// Calls may run.
    Open,
    /// Stopped by a person.
    Revoked,
}

impl Standing {
    /// The stable spelling.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ended => "ended",
            Self::Expired => "expired",
            Self::Open => "open",
            Self::Revoked => "revoked",
        }
    }
}

/// What the ledger keeps of a run beside its standing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Terms {
    /// Who acts.
    pub agent: Agent,
    /// From when on nothing runs.
    pub expires_at: Timestamp,
    /// On whose behalf.
    pub initiator: Initiator,
    /// Whether bridges of the initiator may join.
    pub joinable: bool,
    /// The mission.
    pub mission: Arc<str>,
    /// When it began.
    pub opened_at: Timestamp,
    /// SHA-256 of the run's token, in hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_sha256: Option<String>,
    /// SHA-256 of what the initiator asked for in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub words_sha256: Option<String>,
}

/// One run.
#[derive(Debug)]
pub struct Run {
    /// Its identity.
    pub id: RunId,
    /// What was agreed at its beginning.
    pub terms: Terms,
    closed: AtomicU8,
}

/// Values of [`Run::closed`].
const OPEN: u8 = 0;
const ENDED: u8 = 1;
const REVOKED: u8 = 2;

impl Run {
    /// How it stands at `at`.
    #[must_use]
    pub fn standing(&self, at: Timestamp) -> Standing {
        match self.closed.load(Ordering::Acquire) {
            ENDED => Standing::Ended,
            REVOKED => Standing::Revoked,
            _ if at >= self.terms.expires_at => Standing::Expired,
            _ => Standing::Open,
        }
    }
}

#[cfg(test)]
impl Run {
    /// An open run of its own.
    pub(crate) fn for_tests() -> Arc<Self> {
        let at = now();
        let terms = Terms {
            agent: Agent { name: "agent".into(), version: None },
            expires_at: at.plus_micros(RUN_US_MAX),
            initiator: Initiator { authenticated: Authenticated::Oidc, name: "ana".into() },
            joinable: true,
            mission: "mission".into(),
            opened_at: at,
            token_sha256: None,
            words_sha256: None,
        };
        Arc::new(Self {
            id: RunId::at(at, crate::clock::Entropy::default().bits()),
            terms,
            closed: AtomicU8::new(OPEN),
        })
    }
}

/// What is wanted of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Who acts.
    pub agent: String,
    /// On whose behalf.
    pub initiator: String,
    /// How long, in microseconds.
    pub lasts_us: i64,
    /// The mission's name.
    pub mission: String,
    /// What the initiator asked for.
    pub words: Option<String>,
}

/// Why a run does not begin, or is not found.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The mission does not name the agent.
    #[error("mission `{mission}` does not name the agent `{agent}`; it names {named}")]
    Agent {
        /// The agent.
        agent: String,
        /// The mission.
        mission: String,
        /// The agents that it names.
        named: String,
    },
    /// There are too many.
    #[error("{OPEN_RUNS_MAX} runs are open; end some with `countersign run end`")]
    Full,
    /// The mission is not loaded.
    #[error("no mission `{0}` is loaded; the gateway loads the files in the folder that [missions] dir names")]
    Mission(String),
    /// A person revoked the mission.
    #[error("mission `{0}` is revoked; `countersign mission apply` takes another version up")]
    Revoked(String),
    /// It has ended.
    #[error("run {id} is {standing}; start another")]
    Closed {
        /// The run.
        id: RunId,
        /// How it stands.
        standing: &'static str,
    },
    /// A name or time is out of bounds.
    #[error("{0}")]
    Unfit(String),
    /// There is none.
    #[error("no run {0}; `countersign run list` shows them")]
    Unknown(RunId),
    /// It could not be recorded.
    #[error(transparent)]
    Unrecorded(#[from] store::AppendError),
    /// It belongs to somebody else.
    #[error("run {0} is of another mission, agent or initiator")]
    Other(RunId),
}

/// The runs that the gateway knows.
#[derive(Debug)]
pub struct Runs {
    by_id: RwLock<HashMap<RunId, Arc<Run>>>,
    by_token: RwLock<HashMap<String, Arc<Run>>>,
    /// One joins or begins at a time, so that bridges that start together share one run.
    joining: tokio::sync::Mutex<()>,
}

impl Runs {
    /// Takes up the open runs that the ledger has.
    pub(crate) fn restore(reader: &Reader) -> Result<Self, OpenError> {
        let runs = Self { by_id: RwLock::default(), by_token: RwLock::default(), joining: tokio::sync::Mutex::new(()) };
        for run in open_runs(reader)? {
            runs.insert(Arc::new(run));
        }
        Ok(runs)
    }

    fn insert(&self, run: Arc<Run>) {
        if let Some(token) = &run.terms.token_sha256 {
            self.by_token.write().unwrap_or_else(PoisonError::into_inner).insert(token.clone(), run.clone());
        }
        self.by_id.write().unwrap_or_else(PoisonError::into_inner).insert(run.id, run);
    }

    /// The run with this identity.
    #[must_use]
    pub fn find(&self, id: RunId) -> Option<Arc<Run>> {
        self.by_id.read().unwrap_or_else(PoisonError::into_inner).get(&id).cloned()
    }

    /// The run that `token` belongs to. The hash of the token is the key, so the time that this takes says nothing about tokens.
    #[must_use]
    pub fn bearing(&self, token: &str) -> Option<Arc<Run>> {
        let digest = sha256_hex(token.as_bytes());
        self.by_token.read().unwrap_or_else(PoisonError::into_inner).get(&digest).cloned()
    }

    /// Drops runs that ended or passed their time: the ledger keeps them.
    fn sweep(&self, at: Timestamp) {
        let gone = |run: &Arc<Run>| run.standing(at) != Standing::Open;
        self.by_id.write().unwrap_or_else(PoisonError::into_inner).retain(|_, run| !gone(run));
        self.by_token.write().unwrap_or_else(PoisonError::into_inner).retain(|_, run| !gone(run));
    }

    fn joinable(&self, wanted: &Terms, at: Timestamp) -> Option<Arc<Run>> {
        let by_id = self.by_id.read().unwrap_or_else(PoisonError::into_inner);
        let fits =
            |run: &&Arc<Run>| run.terms.joinable && alike(&run.terms, wanted) && run.standing(at) == Standing::Open;
        by_id.values().filter(fits).max_by_key(|run| run.id).cloned()
    }
}

/// The open runs that a ledger has, for whoever only reads it.
///
/// # Errors
/// When the ledger cannot be read, or holds a run that this version does not understand.
pub fn open_runs(reader: &Reader) -> Result<Vec<Run>, OpenError> {
    let at = now();
    let mut runs = Vec::new();
    for version in versions(reader, VersionedKind::Run)? {
        let name = version.object.name.to_string();
        let error = |reason: String| OpenError::State { kind: "run", name: name.clone(), reason };
        let id = name.parse().map_err(|reason: evidence::ids::IdError| error(reason.to_string()))?;
        let Some(state) = &version.state else { continue };
        let terms: Terms = serde_json::from_str(state).map_err(|reason| error(reason.to_string()))?;
        if &*version.to == Standing::Open.as_str() && terms.expires_at > at {
            runs.push(Run { id, terms, closed: AtomicU8::new(OPEN) });
        }
    }
    Ok(runs)
}

fn alike(one: &Terms, other: &Terms) -> bool {
    one.mission == other.mission
        && one.agent.name == other.agent.name
        && one.initiator == other.initiator
        && one.words_sha256 == other.words_sha256
}

/// Which run a bridge wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Which {
    /// The open one that fits, else a new one.
    Joined,
    /// A new one.
    New,
    /// This one.
    This(RunId),
}

impl Gateway {
    /// Begins a run that is reached with a token; gives the token, which is nowhere kept.
    ///
    /// # Errors
    /// [`RunError`]; nothing began.
    pub async fn start_run(&self, wanted: &Wanted, who: &str) -> Result<(Arc<Run>, String), RunError> {
        let mut secret = [0; 32];
        random(&mut secret);
        let token = format!("cst_{}", hex::encode(secret));
        let initiator = Initiator { authenticated: Authenticated::Asserted, name: wanted.initiator.as_str().into() };
        let mut terms = self.terms(wanted, initiator)?;
        terms.token_sha256 = Some(sha256_hex(token.as_bytes()));
        let _one_at_a_time = self.runs.joining.lock().await;
        Ok((self.begin(terms, wanted.words.as_deref(), who).await?, token))
    }

    /// The run for a bridge whose user the operating system vouches for.
    ///
    /// # Errors
    /// [`RunError`]; nothing began.
    pub async fn join_run(
        &self,
        wanted: &Wanted,
        authenticated: Authenticated,
        which: Which,
        who: &str,
    ) -> Result<Arc<Run>, RunError> {
        let initiator = Initiator { authenticated, name: wanted.initiator.as_str().into() };
        let mut terms = self.terms(wanted, initiator)?;
        terms.joinable = true;
        let _one_at_a_time = self.runs.joining.lock().await;
        let at = now();
        match which {
            Which::Joined => match self.runs.joinable(&terms, at) {
                Some(run) => Ok(run),
                None => self.begin(terms, wanted.words.as_deref(), who).await,
            },
            Which::New => self.begin(terms, wanted.words.as_deref(), who).await,
            Which::This(id) => {
                let run = self.runs.find(id).ok_or(RunError::Unknown(id))?;
                if run.terms.mission != terms.mission
                    || run.terms.agent.name != terms.agent.name
                    || run.terms.initiator.name != terms.initiator.name
                {
                    return Err(RunError::Other(id));
                }
                match run.standing(at) {
                    Standing::Open => Ok(run),
                    standing => Err(RunError::Closed { id, standing: standing.as_str() }),
                }
            }
        }
    }

    /// Ends or revokes a run; calls past their intent finish, later ones are denied.
    ///
    /// # Errors
    /// [`RunError::Unknown`], or the change could not be recorded (a revocation then holds until this process ends).
    pub async fn close_run(&self, id: RunId, to: Standing, who: &str, why: &str) -> Result<(), RunError> {
        let run = self.runs.find(id).ok_or(RunError::Unknown(id))?;
        let standing = run.standing(now());
        if standing != Standing::Open {
            return Err(RunError::Closed { id, standing: standing.as_str() });
        }
        run.closed.store(if to == Standing::Revoked { REVOKED } else { ENDED }, Ordering::Release);
        let mut met = self.all_met(id).await;
        // What may be anything is no class to filter by.
        met.retain(|class| **class != *ANY);
        self.recall.forget(id);
        self.provenance.forget(id);
        self.met.forget(id);
        self.log_run(&run, Some(Standing::Open), to, who, why, met).await?;
        self.release_run(id, who, &format!("the run is {}: {why}", to.as_str())).await;
        Ok(())
    }

    /// The runs that the gateway holds, newest first.
    #[must_use]
    pub fn list_runs(&self) -> Vec<Arc<Run>> {
        let mut runs: Vec<_> =
            self.runs.by_id.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        runs.sort_by_key(|run| std::cmp::Reverse(run.id));
        runs
    }

    fn terms(&self, wanted: &Wanted, initiator: Initiator) -> Result<Terms, RunError> {
        for (what, name) in [("agent", &wanted.agent), ("initiator", &wanted.initiator)] {
            if name.is_empty() || name.len() > NAME_BYTES_MAX || name.chars().any(char::is_control) {
                return Err(RunError::Unfit(format!(
                    "{what} `{name}` must be 1 to {NAME_BYTES_MAX} bytes without control characters"
                )));
            }
        }
        if wanted.words.as_ref().is_some_and(|words| words.len() > WORDS_BYTES_MAX) {
            return Err(RunError::Unfit(format!("words are longer than {WORDS_BYTES_MAX} bytes")));
        }
        if !(1..=RUN_US_MAX).contains(&wanted.lasts_us) {
            return Err(RunError::Unfit("a run lasts at least a moment and at most 31 days".to_owned()));
        }
        if self.missions.is_revoked(&wanted.mission) {
            return Err(RunError::Revoked(wanted.mission.clone()));
        }
        let policy =
            self.missions.policy(&wanted.mission).ok_or_else(|| RunError::Mission(wanted.mission.clone()))?.load_full();
        let mission = policy.mission();
        if !mission.agents().iter().any(|agent| **agent == *wanted.agent) {
            let named = mission.agents().join(", ");
            return Err(RunError::Agent { agent: wanted.agent.clone(), mission: wanted.mission.clone(), named });
        }
        let opened_at = now();
        Ok(Terms {
            agent: Agent { name: wanted.agent.as_str().into(), version: None },
            expires_at: opened_at.plus_micros(wanted.lasts_us),
            initiator,
            joinable: false,
            mission: wanted.mission.as_str().into(),
            opened_at,
            token_sha256: None,
            words_sha256: wanted.words.as_ref().map(|words| sha256_hex(words.as_bytes())),
        })
    }

    async fn begin(&self, terms: Terms, words: Option<&str>, who: &str) -> Result<Arc<Run>, RunError> {
        let at = now();
        self.runs.sweep(at);
        self.provenance.sweep(|run| self.runs.find(run).is_some());
        self.met.sweep(|run| self.runs.find(run).is_some());
        if self.runs.by_id.read().unwrap_or_else(PoisonError::into_inner).len() >= OPEN_RUNS_MAX {
            return Err(RunError::Full);
        }
        let run = Arc::new(Run { id: RunId::at(at, self.entropy.bits()), terms, closed: AtomicU8::new(OPEN) });
        self.log_run(&run, None, Standing::Open, who, "run started", Vec::new()).await?;
        self.met.begin(run.id);
        if let Some(policy) = self.missions.policy(&run.terms.mission) {
            self.provenance.begin(run.id, &policy.load(), words);
        }
        self.runs.insert(run.clone());
        Ok(run)
    }

    async fn log_run(
        &self,
        run: &Run,
        from: Option<Standing>,
        to: Standing,
        who: &str,
        why: &str,
        met: Vec<Arc<str>>,
    ) -> Result<(), RunError> {
        let state = serde_json::to_string(&run.terms).map_err(|error| RunError::Unfit(error.to_string()))?;
        let body = VersionLog {
            approval: None,
            difference: vec![format!(
                "run of `{}` by `{}` for `{}` is {}",
                run.terms.mission,
                run.terms.agent.name,
                run.terms.initiator.name,
                to.as_str()
            )],
            direction: None,
            from: from.map(|from| from.as_str().into()),
            object: VersionedObject { kind: VersionedKind::Run, name: run.id.to_string().into() },
            state: Some(state),
            to: to.as_str().into(),
            who: who.to_owned(),
            why: why.to_owned(),
        };
        let context = Context {
            agent: run.terms.agent.clone(),
            context: None,
            initiator: run.terms.initiator.clone(),
            mission: Some(run.terms.mission.clone()),
            run: Some(run.id),
        };
        let draft = Draft { data_classes: met, ..Draft::new(context.into(), None, now(), body) };
        self.ledger.append(vec![draft]).await?;
        Ok(())
    }
}
