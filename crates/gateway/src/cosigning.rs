//! Asks witnesses for cosignatures of the log's checkpoints, beside the calls and never in their way.
//!
//! In rounds: the newest checkpoint goes to every witness that is due, with the proof that it grew from what that witness knows; older ones are left out, because a newer one says
//! more. Once enough have cosigned the same checkpoint, that is kept as the newest cosigned one. A witness that refuses the proof has seen another history of this log, which is told
//! at once; one that is away for long is told too. Start at [`run`].

pub mod config;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use evidence::checkpoint::Note;
use evidence::cosignature::WitnessKey;
use evidence::ids::ExceptionId;
use evidence::limits::NOTE_BYTES_MAX;
use evidence::record::{
    Body, Context, ExceptionEvent, ExceptionKind, ExceptionRecord, VersionLog, VersionedKind, VersionedObject,
};
use evidence::time::Timestamp;
use evidence::witness::{SIZE_TYPE, Submission, known_size};
use governance::limits::EXCEPTION_DUE_US;
use http::header::{CONTENT_TYPE, USER_AGENT};
use http::{Method, Request, Response, StatusCode};
use serde::{Deserialize, Serialize};
use store::{ReadError, Signed};
use surfaces::mcp::web::{WebClient, WebUrl};
use tokio::task::JoinSet;

use crate::Gateway;
use crate::clock::now;
use crate::home::{Durability, keep};
use crate::limits::{COSIGN_TRIES_MAX, NOTIFY_PAUSE_MAX, NOTIFY_PAUSES};
use config::{CosigningConfig, WitnessConfig};

/// How the witnesses stand, for people.
#[derive(Debug, Default)]
pub(crate) struct Cosigning(Mutex<Option<CosigningView>>);

/// How the witnesses of a log stand.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CosigningView {
    /// The size of the newest checkpoint that enough of them have cosigned; 0 where there is none.
    pub cosigned: u64,
    /// How many must have.
    pub need: usize,
    /// The size of the newest checkpoint.
    pub signed: u64,
    /// Each of them.
    pub witnesses: Vec<WitnessView>,
}

/// How one witness stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WitnessView {
    /// When it cosigned last.
    pub at: Option<Timestamp>,
    /// The size of what it cosigned last; 0 if it never did.
    pub cosigned: u64,
    /// How the configuration calls it.
    pub name: String,
    /// What is wrong.
    pub trouble: Option<String>,
}

impl Cosigning {
    pub(crate) fn view(&self) -> Option<CosigningView> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn put(&self, view: CosigningView) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(view);
    }
}

/// What is known of a witness, as the home keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Standing {
    /// When it cosigned last.
    at: Option<Timestamp>,
    /// The size of what it cosigned last.
    cosigned: u64,
    /// Since when it has not cosigned, where the last attempt failed.
    failing_since: Option<Timestamp>,
    /// The exception that is open about it.
    trouble: Option<Trouble>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Trouble {
    due: Timestamp,
    exception: ExceptionId,
    kind: TroubleKind,
    reason: String,
}

/// What is wrong with a witness, the worst last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum TroubleKind {
    /// It does not answer, or not properly.
    Away,
    /// It does not know the log, or its key.
    Stranger,
    /// It cosigned another history of this log.
    SplitView,
}

/// Why a witness has not cosigned.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Refusal {
    #[error("{0}")]
    Away(String),
    #[error("the witness {0}; give it this log's key (keys/log.vkey)")]
    Stranger(&'static str),
    #[error(
        "split view: {0}; somebody has signed another history of this log with its key, or the ledger was put back to an earlier state; compare it with what the witness keeps"
    )]
    SplitView(String),
}

impl Refusal {
    const fn kind(&self) -> TroubleKind {
        match self {
            Self::Away(_) => TroubleKind::Away,
            Self::Stranger(_) => TroubleKind::Stranger,
            Self::SplitView(_) => TroubleKind::SplitView,
        }
    }
}

/// One witness, and how it stands.
struct Seat {
    /// When it is asked again.
    again: Timestamp,
    config: WitnessConfig,
    failures: usize,
    path: PathBuf,
    /// What is wrong at the moment, whether or not an exception says so.
    refusal: Option<Refusal>,
    standing: Standing,
}

/// All that asks.
struct Asker {
    config: CosigningConfig,
    gateway: Arc<Gateway>,
    /// The checkpoint that is being cosigned, with the cosignatures that are there.
    note: Option<(u64, String)>,
    /// The size of the newest checkpoint that enough have cosigned.
    kept: u64,
    seats: Vec<Seat>,
    web: Arc<WebClient>,
}

/// Asks the witnesses of `config` until the gateway stops.
pub async fn run(gateway: Arc<Gateway>, config: CosigningConfig) {
    let mut asker = Asker::new(gateway.clone(), config);
    loop {
        tokio::select! {
            () = gateway.stopped() => return,
            () = asker.round() => {}
        }
        tokio::select! {
            () = gateway.stopped() => return,
            () = tokio::time::sleep(asker.config.every) => {}
        }
    }
}

/// What the names of witnesses begin with in records.
const WITNESS: &str = "witness/";

/// What a witness is in records that is asked no more.
const REMOVED: &str = "removed";

impl Gateway {
    /// Records which witnesses the log has from now on, where that is not on record, and keeps their keys for bundles: that one is asked no more is seen.
    pub async fn note_witnesses(&self, config: Option<&CosigningConfig>) {
        let known = match self.ledger.versions(VersionedKind::Key) {
            Ok(known) => known,
            Err(error) => return tracing::error!(%error, "it cannot be read which witnesses the log had"),
        };
        let known = known.iter().filter_map(|record| {
            let Body::Version(version) = &record.body else { return None };
            let name = version.object.name.strip_prefix(WITNESS)?;
            (*version.to != *REMOVED).then(|| (name.to_owned(), version.to.to_string()))
        });
        let known: BTreeMap<String, String> = known.collect();
        let witnesses = config.map(|config| config.witnesses.as_slice()).unwrap_or_default();
        let now: BTreeMap<String, String> =
            witnesses.iter().map(|witness| (witness.name.clone(), witness.key.to_string())).collect();
        let names: BTreeSet<&String> = known.keys().chain(now.keys()).collect();
        for name in names {
            let (from, to) = (known.get(name), now.get(name));
            if from != to
                && let Err(error) = self.note(Context::system().into(), change(name, from, to)).await
            {
                return tracing::error!(%error, "which witnesses the log has could not be recorded");
            }
        }
        // CRASH: the records are there, and the next gateway keeps the keys.
        let keys: Vec<_> = witnesses.iter().map(|witness| witness.key.clone()).collect();
        let kept = self.ledger.reader().ok().and_then(|reader| reader.witness_keys().ok().flatten());
        if (!keys.is_empty() || kept.is_some())
            && let Err(error) = self.ledger.name_witnesses(&keys)
        {
            tracing::error!(%error, "the keys of the witnesses could not be kept; bundles will lack them");
        }
    }
}

/// What is recorded of a witness that is asked from now on, by another key, or no more.
fn change(name: &str, from: Option<&String>, to: Option<&String>) -> VersionLog {
    let difference = match to {
        Some(key) => format!("the witness `{name}` is asked for cosignatures, by the key `{key}`"),
        None => format!("the witness `{name}` is not asked for cosignatures any more"),
    };
    VersionLog {
        approval: None,
        difference: vec![difference],
        direction: None,
        from: from.map(|key| key.as_str().into()),
        object: VersionedObject { kind: VersionedKind::Key, name: format!("{WITNESS}{name}").into() },
        state: None,
        to: to.map_or(REMOVED, String::as_str).into(),
        who: crate::people::user_name(rustix::process::geteuid().as_raw()),
        why: "The configuration says so.".to_owned(),
    }
}

/// The newest checkpoint; `None` before there is one.
async fn newest(gateway: &Arc<Gateway>) -> Result<Option<Signed>, ReadError> {
    let gateway = gateway.clone();
    // It is lost only with the runtime, which is stopping then.
    tokio::task::spawn_blocking(move || gateway.ledger.reader()?.checkpoint()).await.unwrap_or(Ok(None))
}

impl Asker {
    fn new(gateway: Arc<Gateway>, config: CosigningConfig) -> Self {
        let kept = gateway.ledger.reader().and_then(|reader| reader.cosigned());
        let kept = kept.unwrap_or_else(|error| {
            tracing::error!(%error, "the cosigned checkpoint cannot be read");
            None
        });
        let note =
            kept.as_ref().and_then(|kept| Some((kept.checkpoint.size, String::from_utf8(kept.note.clone()).ok()?)));
        let folder = gateway.home.path().join("witnesses");
        let seats = config.witnesses.iter().cloned().map(|config| Seat::new(config, &folder)).collect();
        let kept = kept.map_or(0, |kept| kept.checkpoint.size);
        Self { config, gateway, kept, note, seats, web: Arc::new(WebClient::reading(NOTE_BYTES_MAX)) }
    }

    /// Asks every witness that is due about the newest checkpoint.
    async fn round(&mut self) {
        let signed = match newest(&self.gateway).await {
            Ok(Some(signed)) if signed.checkpoint.size > 0 => Arc::new(signed),
            Ok(_) => return,
            Err(error) => return tracing::error!(%error, "no checkpoint can be read, so none is cosigned"),
        };
        let size = signed.checkpoint.size;
        if self.note.as_ref().is_none_or(|(of, _)| *of != size) {
            self.note = Some((size, String::from_utf8_lossy(&signed.note).into_owned()));
        }
        let (at, mut asked) = (now(), JoinSet::new());
        for (place, seat) in self.seats.iter().enumerate() {
            if seat.again <= at && !self.has(&seat.config.key) {
                let question = Question {
                    gateway: self.gateway.clone(),
                    key: seat.config.key.clone(),
                    known: seat.standing.cosigned,
                    signed: signed.clone(),
                    url: seat.config.url.clone(),
                    web: self.web.clone(),
                };
                asked.spawn(async move { (place, question.put().await) });
            }
        }
        while let Some(answered) = asked.join_next().await {
            let Ok((place, answer)) = answered else { continue };
            self.take(place, size, answer).await;
        }
        self.keep(size).await;
        self.tell(size);
    }

    /// Whether the checkpoint at hand has a cosignature of this key.
    fn has(&self, key: &WitnessKey) -> bool {
        let note = self.note.as_ref().and_then(|(_, note)| Note::parse(note.as_bytes()).ok());
        note.is_some_and(|note| key.verify(&note).is_ok())
    }

    async fn take(&mut self, place: usize, size: u64, answer: Result<(Timestamp, String), Refusal>) {
        let away = self.config.away;
        let Some(seat) = self.seats.get_mut(place) else { return };
        match answer {
            Ok((at, line)) => {
                if let Some((_, note)) = &mut self.note {
                    note.push_str(&line);
                }
                seat.works(&self.gateway, size, at).await;
            }
            Err(refusal) => seat.fails(&self.gateway, refusal, away).await,
        }
        seat.keep();
    }

    /// Keeps the checkpoint at hand once enough have cosigned it.
    async fn keep(&mut self, size: u64) {
        let Some((_, note)) = self.note.clone().filter(|_| size > self.kept) else { return };
        let is_enough = Note::parse(note.as_bytes()).is_ok_and(|note| self.config.policy.check(&note).is_ok());
        if !is_enough {
            return;
        }
        let ledger = self.gateway.ledger.clone();
        let kept = tokio::task::spawn_blocking(move || ledger.keep_cosigned(note.as_bytes())).await;
        match kept {
            Ok(Ok(())) => self.kept = size,
            Ok(Err(error)) => tracing::error!(%error, "the cosigned checkpoint could not be kept"),
            Err(_stopping) => {}
        }
    }

    fn tell(&self, size: u64) {
        let witnesses = self.seats.iter().map(|seat| WitnessView {
            at: seat.standing.at,
            cosigned: seat.standing.cosigned,
            name: seat.config.name.clone(),
            trouble: seat.refusal.as_ref().map(ToString::to_string),
        });
        self.gateway.cosigning.put(CosigningView {
            cosigned: self.kept,
            need: self.config.policy.need(),
            signed: size,
            witnesses: witnesses.collect(),
        });
    }
}

impl Seat {
    fn new(config: WitnessConfig, folder: &std::path::Path) -> Self {
        let path = folder.join(format!("{}.json", config.name));
        let read = std::fs::read(&path).ok().and_then(|text| serde_json::from_slice(&text).ok());
        // What is lost of it is asked for: a witness says what it knows.
        let standing = read.unwrap_or(Standing { at: None, cosigned: 0, failing_since: None, trouble: None });
        Self { again: Timestamp::EPOCH, config, failures: 0, path, refusal: None, standing }
    }

    async fn works(&mut self, gateway: &Gateway, size: u64, at: Timestamp) {
        (self.failures, self.refusal, self.again) = (0, None, Timestamp::EPOCH);
        self.standing.at = Some(at);
        self.standing.cosigned = size;
        self.standing.failing_since = None;
        if let Some(trouble) = self.standing.trouble.take() {
            let mitigation = format!("the witness cosigned a checkpoint of {size} records");
            if !self.tell(gateway, ExceptionEvent::Mitigated, &trouble, &mitigation).await {
                self.standing.trouble = Some(trouble);
            }
        }
    }

    async fn fails(&mut self, gateway: &Gateway, refusal: Refusal, away: std::time::Duration) {
        let at = now();
        tracing::warn!(witness = self.config.name, %refusal, "a witness has not cosigned");
        let pause = NOTIFY_PAUSES.get(self.failures).copied().unwrap_or(NOTIFY_PAUSE_MAX);
        self.failures += 1;
        let micros = |duration: std::time::Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
        self.again = at.plus_micros(micros(pause));
        let since = *self.standing.failing_since.get_or_insert(at);
        let kind = refusal.kind();
        let is_told = self.standing.trouble.as_ref().is_some_and(|trouble| trouble.kind >= kind);
        let is_due = kind != TroubleKind::Away || at.micros_since(since) >= micros(away);
        if is_due && !is_told {
            self.open(gateway, kind, refusal.to_string(), at).await;
        }
        self.refusal = Some(refusal);
    }

    /// Opens an exception. One that is open about something lesser is done with: this one says more.
    async fn open(&mut self, gateway: &Gateway, kind: TroubleKind, reason: String, at: Timestamp) {
        let exception = ExceptionId::at(at, gateway.entropy.bits());
        let reason = reason.chars().take(1_024).collect();
        let trouble = Trouble { due: at.plus_micros(EXCEPTION_DUE_US), exception, kind, reason };
        let mitigation = "the log goes on; checkpoints that this witness did not cosign say so";
        if !self.tell(gateway, ExceptionEvent::Opened, &trouble, mitigation).await {
            return;
        }
        if let Some(lesser) = self.standing.trouble.replace(trouble) {
            let mitigation = format!("exception {exception} says what is wrong with the witness now");
            self.tell(gateway, ExceptionEvent::Mitigated, &lesser, &mitigation).await;
        }
    }

    async fn tell(&self, gateway: &Gateway, event: ExceptionEvent, trouble: &Trouble, mitigation: &str) -> bool {
        let body = ExceptionRecord {
            broken_glass: None,
            due: Some(trouble.due),
            event,
            exception: trouble.exception,
            kind: ExceptionKind::Witness,
            mitigation: Some(mitigation.to_owned()),
            note: None,
            owner: "operator".to_owned(),
            reason: trouble.reason.clone(),
            scope: format!("witness:{}", self.config.name),
            signed: None,
            who: None,
        };
        let told = gateway.note(Context::system().into(), body).await;
        if let Err(error) = &told {
            tracing::error!(%error, "trouble with a witness could not be recorded");
        }
        told.is_ok()
    }

    /// Keeps how it stands. Where that fails, the witness is asked what it knows, and an exception may be opened again.
    fn keep(&self) {
        let kept = serde_json::to_string(&self.standing)
            .map_err(std::io::Error::from)
            .and_then(|text| keep(&self.path, &text, Durability::Lost));
        if let Err(error) = kept {
            tracing::warn!(path = %self.path.display(), %error, "how a witness stands could not be kept");
        }
    }
}

/// One checkpoint for one witness.
struct Question {
    gateway: Arc<Gateway>,
    key: WitnessKey,
    /// The size that the witness is thought to know.
    known: u64,
    signed: Arc<Signed>,
    url: WebUrl,
    web: Arc<WebClient>,
}

impl Question {
    /// Asks until the witness has been told from the size that it knows; gives when it cosigned, and its line.
    async fn put(&self) -> Result<(Timestamp, String), Refusal> {
        let size = self.signed.checkpoint.size;
        let mut old = self.known.min(size);
        for _ in 0..COSIGN_TRIES_MAX {
            let answer = self.ask(old).await?;
            match answer.status() {
                StatusCode::OK => return self.line(answer.body()),
                StatusCode::CONFLICT => {
                    let known = self.conflict(&answer)?;
                    if known > size {
                        return Err(Refusal::SplitView(format!(
                            "the witness cosigned {known} records of this log, which has {size}"
                        )));
                    }
                    if known == old && old == size {
                        return Err(Refusal::SplitView(format!(
                            "the witness cosigned another root for the first {size} records"
                        )));
                    }
                    old = known;
                }
                StatusCode::UNPROCESSABLE_ENTITY => {
                    return Err(Refusal::SplitView(format!(
                        "the witness cosigned {old} records from which the {size} of this log did not grow"
                    )));
                }
                StatusCode::NOT_FOUND => return Err(Refusal::Stranger("does not know this log")),
                StatusCode::FORBIDDEN => {
                    return Err(Refusal::Stranger("does not know the key with which this log signs"));
                }
                status => return Err(Refusal::Away(format!("the witness answered with status {status}"))),
            }
        }
        Err(Refusal::Away("the witness names another size each time".to_owned()))
    }

    async fn ask(&self, old: u64) -> Result<Response<Bytes>, Refusal> {
        let (gateway, size) = (self.gateway.clone(), self.signed.checkpoint.size);
        let proof = tokio::task::spawn_blocking(move || {
            let reader = gateway.ledger.reader().map_err(|error| error.to_string())?;
            reader.consistency(old, size).map_err(|error| error.to_string())
        });
        let proof = proof.await.unwrap_or_else(|_| Err("the gateway stops".to_owned()));
        let proof = proof.map_err(|error| Refusal::Away(format!("no proof can be made: {error}")))?;
        let body = Submission { old, proof, note: self.signed.note.clone() }.body();
        let request = Request::builder()
            .method(Method::POST)
            .header(CONTENT_TYPE, "text/plain; charset=utf-8")
            .header(USER_AGENT, concat!("countersign/", env!("CARGO_PKG_VERSION")))
            .body(Bytes::from(body))
            .map_err(|error| Refusal::Away(error.to_string()))?;
        self.web.ask(&self.url, request).await.map_err(|error| Refusal::Away(error.to_string()))
    }

    /// The size that the witness knows.
    fn conflict(&self, answer: &Response<Bytes>) -> Result<u64, Refusal> {
        let is_size =
            answer.headers().get(CONTENT_TYPE).is_some_and(|is| is.as_bytes().starts_with(SIZE_TYPE.as_bytes()));
        match known_size(answer.body()).filter(|_| is_size) {
            Some(known) => Ok(known),
            None => Err(Refusal::Away("the witness answered with status 409 and without a size".to_owned())),
        }
    }

    /// The witness's line, once it is known that it is true. Lines of other keys are ignored.
    fn line(&self, body: &[u8]) -> Result<(Timestamp, String), Refusal> {
        let improper = |why: String| Refusal::Away(format!("the witness's cosignature is not to be used: {why}"));
        let mut whole = format!("{}\n", self.signed.checkpoint.text()).into_bytes();
        whole.extend_from_slice(body);
        let note = Note::parse(&whole).map_err(|error| improper(error.to_string()))?;
        let at = self.key.verify(&note).map_err(|error| improper(error.to_string()))?;
        let line = note.signatures().iter().find(|line| self.key.is_of(line)).map(ToString::to_string);
        line.map(|line| (at, line)).ok_or_else(|| improper("it is missing".to_owned()))
    }
}
