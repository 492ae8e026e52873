//! A witness of logs: it sees heads, never records, and cosigns those that grew from the one that it cosigned before (C2SP tlog-witness).
//!
//! It is no part of a gateway, and useful only where another administrator runs it than the log's. Per log it keeps the newest head, durably, before it answers. Start at
//! [`Witness::open`]; what may be cosigned says [`evidence::witness::judge`].

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use evidence::checkpoint::{Checkpoint, KeyName, Note, VerifierKey};
use evidence::cosignature::{WitnessKey, WitnessSigner};
use evidence::leaf::sha256_hex;
use evidence::limits::NOTE_BYTES_MAX;
use evidence::witness::{ADD_CHECKPOINT, SIZE_TYPE, SUBMISSION_BYTES_MAX, Submission, Verdict, judge};
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use tokio::net::TcpListener;
use tokio::sync::watch;

use crate::clock::{now, random};
use crate::home::{Durability, Home, HomeError, keep};
use crate::limits::{SUBMISSION_WAIT, WITNESSED_LOGS_MAX};
use crate::listener::connections;

/// The folder of a witness, below its home.
const FOLDER: &str = "witness";
/// Its private key.
const KEY: &str = "key";
/// Held by the process that cosigns.
const LOCK: &str = "lock";

/// Why there is no witness.
#[derive(Debug, thiserror::Error)]
pub enum WitnessError {
    /// The home cannot be used.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// The home is a gateway's.
    #[error("`{}` is the home of a ledger: whoever can change that could change its witness too; choose another home, on another machine", .0.display())]
    Ledger(PathBuf),
    /// It has a key.
    #[error("the witness has a key already: {0}")]
    Made(Box<WitnessKey>),
    /// It has none.
    #[error("the witness has no key yet; make one: countersign witness init NAME")]
    Keyless,
    /// Another process is this witness.
    #[error("another process is this witness; stop it first")]
    Locked,
    /// A file is damaged.
    #[error("`{}` {what}; put it back from a backup: a witness that forgets what it cosigned would cosign another history", path.display())]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// A file cannot be used.
    #[error("`{}`: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// More logs than it holds.
    #[error("there are more than {WITNESSED_LOGS_MAX} keys of logs")]
    TooMany,
}

/// What a witness cosigned last of one log.
#[derive(Clone, Debug)]
pub struct Seen {
    /// The head.
    pub checkpoint: Checkpoint,
    /// Whether the log signed another head of this size, or one that was not shown to have grown from it: the file with that.
    pub refused: Option<PathBuf>,
}

/// A witness.
pub struct Witness {
    folder: PathBuf,
    /// The keys of the logs that it knows; while a log changes its key there are two.
    logs: BTreeMap<KeyName, Vec<VerifierKey>>,
    /// The newest heads, by log. The lock is held while one is compared and kept, so that no two are cosigned from the same one.
    kept: Mutex<BTreeMap<KeyName, Checkpoint>>,
    signer: WitnessSigner,
    _lock: File,
}

/// What is answered.
struct Said {
    body: String,
    content_type: &'static str,
    status: StatusCode,
}

impl Said {
    fn text(status: StatusCode, body: impl Into<String>) -> Self {
        Self { body: format!("{}\n", body.into()), content_type: "text/plain; charset=utf-8", status }
    }

    fn size(known: u64) -> Self {
        Self { body: format!("{known}\n"), content_type: SIZE_TYPE, status: StatusCode::CONFLICT }
    }
}

/// Makes the key of a witness under a name; gives the public one.
///
/// # Errors
/// [`WitnessError`].
pub fn init(home: &Home, name: KeyName) -> Result<WitnessKey, WitnessError> {
    let folder = folder(home)?;
    let path = folder.join(KEY);
    if let Some(signer) = read_key(&path)? {
        return Err(WitnessError::Made(Box::new(signer.witness())));
    }
    let mut seed = [0; 32];
    random(&mut seed);
    let signer = WitnessSigner::new(name, &seed);
    keep_secret(&path, &signer.secret()).map_err(|source| WitnessError::Io { path, source })?;
    Ok(signer.witness())
}

/// What the witness of a home has cosigned, by log.
///
/// # Errors
/// [`WitnessError`].
pub fn seen(home: &Home) -> Result<(WitnessKey, Vec<Seen>), WitnessError> {
    let folder = folder(home)?;
    let signer = read_key(&folder.join(KEY))?.ok_or(WitnessError::Keyless)?;
    let mut all = Vec::new();
    for checkpoint in read_heads(&folder)?.into_values() {
        let refused = Some(path(&folder, &checkpoint.origin, "refused")).filter(|path| path.exists());
        all.push(Seen { checkpoint, refused });
    }
    Ok((signer.witness(), all))
}

fn folder(home: &Home) -> Result<PathBuf, WitnessError> {
    if home.path().join("ledger").exists() {
        return Err(WitnessError::Ledger(home.path().to_owned()));
    }
    let folder = home.path().join(FOLDER);
    let made = DirBuilder::new().recursive(true).mode(0o700).create(&folder);
    made.map_err(|source| WitnessError::Io { path: folder.clone(), source })?;
    Ok(folder)
}

fn read_key(path: &Path) -> Result<Option<WitnessSigner>, WitnessError> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(WitnessError::Io { path: path.to_owned(), source }),
        Ok(text) => match WitnessSigner::read(&text) {
            Ok(signer) => Ok(Some(signer)),
            Err(error) => Err(WitnessError::Damaged { path: path.to_owned(), what: format!("is {error}") }),
        },
    }
}

/// Writes a private key where none is: only the owner reads it, and it is durable.
fn keep_secret(path: &Path, text: &str) -> io::Result<()> {
    let fresh = path.with_added_extension("new");
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&fresh)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&fresh, path)?;
    path.parent().map_or(Ok(()), |parent| File::open(parent)?.sync_all())
}

/// Where a log's head is kept: named by a digest, because an origin is no file's name.
fn path(folder: &Path, origin: &KeyName, what: &str) -> PathBuf {
    folder.join(format!("{}.{what}", sha256_hex(origin.as_str().as_bytes())))
}

/// The heads that are kept. One that cannot be read ends the witness: without it another history would be cosigned.
fn read_heads(folder: &Path) -> Result<BTreeMap<KeyName, Checkpoint>, WitnessError> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |source| WitnessError::Io { path, source }
    };
    let mut heads = BTreeMap::new();
    for entry in fs::read_dir(folder).map_err(io(folder))? {
        let path = entry.map_err(io(folder))?.path();
        if path.extension().is_none_or(|extension| extension != "head") {
            continue;
        }
        let bytes = fs::read(&path).map_err(io(&path))?;
        let damaged = |what: String| WitnessError::Damaged { path: path.clone(), what };
        let note = Note::parse(&bytes).map_err(|error| damaged(format!("is no checkpoint: {error}")))?;
        let head = Checkpoint::parse(note.text()).map_err(|error| damaged(format!("is no checkpoint: {error}")))?;
        if self::path(folder, &head.origin, "head") != path {
            return Err(damaged(format!("is the head of `{}`", head.origin)));
        }
        heads.insert(head.origin.clone(), head);
    }
    Ok(heads)
}

impl Witness {
    /// Opens the witness of a home for these logs.
    ///
    /// # Errors
    /// [`WitnessError`].
    pub fn open(home: &Home, logs: Vec<VerifierKey>) -> Result<Self, WitnessError> {
        if logs.len() > WITNESSED_LOGS_MAX {
            return Err(WitnessError::TooMany);
        }
        let folder = folder(home)?;
        let signer = read_key(&folder.join(KEY))?.ok_or(WitnessError::Keyless)?;
        let lock = folder.join(LOCK);
        let held = OpenOptions::new().create(true).truncate(false).write(true).open(&lock);
        let held = held.map_err(|source| WitnessError::Io { path: lock.clone(), source })?;
        held.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => WitnessError::Locked,
            fs::TryLockError::Error(source) => WitnessError::Io { path: lock, source },
        })?;
        let kept = Mutex::new(read_heads(&folder)?);
        let mut known: BTreeMap<KeyName, Vec<VerifierKey>> = BTreeMap::new();
        for log in logs {
            known.entry(log.name().clone()).or_default().push(log);
        }
        Ok(Self { folder, logs: known, kept, signer, _lock: held })
    }

    /// Its public key.
    #[must_use]
    pub fn key(&self) -> WitnessKey {
        self.signer.witness()
    }

    /// Takes connections until it is told to stop.
    pub async fn serve(self, listener: TcpListener, stopping: watch::Receiver<bool>) {
        let witness = Arc::new(self);
        let service = service_fn(move |request| {
            let witness = witness.clone();
            async move { Ok::<_, Infallible>(answer(witness, request).await) }
        });
        let mut connections = connections(listener, stopping, service).await;
        while connections.join_next().await.is_some() {}
    }

    /// Judges what is submitted; what may be cosigned is kept first. Blocks.
    fn add(&self, body: &[u8]) -> Said {
        let read = Submission::parse(body).and_then(|submission| {
            let (note, checkpoint) = submission.checkpoint()?;
            Ok((submission, note, checkpoint))
        });
        let (submission, note, checkpoint) = match read {
            Ok(read) => read,
            Err(error) => return Said::text(StatusCode::BAD_REQUEST, error.to_string()),
        };
        let origin = &checkpoint.origin;
        let keys = self.logs.get(origin).map(Vec::as_slice).unwrap_or_default();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let verdict = judge(&submission, &note, &checkpoint, keys, kept.get(origin));
        // Only true signatures of the log are kept: others may be anybody's.
        let signed = note.with_only(|line| {
            keys.iter().any(|key| key.id() == line.id && key.name() == &line.name && note.verify(key).is_ok())
        });
        match verdict {
            Verdict::Cosign => {
                let path = path(&self.folder, origin, "head");
                if kept.get(origin).is_none_or(|kept| *kept != checkpoint)
                    && let Err(error) = keep(&path, signed.unwrap_or_default(), Durability::Durable)
                {
                    tracing::error!(%error, path = %path.display(), "a head could not be kept, so it is not cosigned");
                    return Said::text(StatusCode::SERVICE_UNAVAILABLE, "the head could not be kept");
                }
                // CRASH: the head is kept and not cosigned; whoever asks again is told its size, and gets its cosignature then.
                kept.insert(origin.clone(), checkpoint);
                let seconds = u64::try_from(now().micros().div_euclid(1_000_000)).unwrap_or_default();
                let line = self.signer.cosign(note.text(), seconds).to_string();
                Said { body: line, content_type: "text/plain; charset=utf-8", status: StatusCode::OK }
            }
            Verdict::Backwards => Said::text(StatusCode::BAD_REQUEST, "the old size is more than the checkpoint's"),
            Verdict::Unknown => Said::text(StatusCode::NOT_FOUND, "this witness does not know the log"),
            Verdict::Unsigned => {
                Said::text(StatusCode::FORBIDDEN, "no key that this witness knows of the log signed it")
            }
            Verdict::Conflict { known } => Said::size(known),
            Verdict::Forked { known } => {
                tracing::error!(%origin, size = known, "the log signed another head of the size that was cosigned: it has two histories");
                self.keep_refused(origin, signed);
                Said::size(known)
            }
            Verdict::Unproved(error) => {
                tracing::warn!(%origin, size = checkpoint.size, %error, "a head that the log signed was not shown to have grown from the one that was cosigned");
                self.keep_refused(origin, signed);
                Said::text(StatusCode::UNPROCESSABLE_ENTITY, error.to_string())
            }
        }
    }

    /// Keeps the last head that was not cosigned beside the one that was: both are signed, and where the log parted they show it.
    fn keep_refused(&self, origin: &KeyName, signed: Option<String>) {
        let path = path(&self.folder, origin, "refused");
        if let Some(signed) = signed
            && let Err(error) = keep(&path, signed, Durability::Lost)
        {
            tracing::warn!(%error, path = %path.display(), "the head that was refused could not be kept");
        }
    }
}

async fn answer(witness: Arc<Witness>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let said = match (request.method(), request.uri().path()) {
        (&Method::POST, ADD_CHECKPOINT) => added(witness, request.into_body()).await,
        (_, ADD_CHECKPOINT) => Said::text(StatusCode::METHOD_NOT_ALLOWED, "use POST"),
        (&Method::GET, "/health") => Said::text(StatusCode::OK, "alive"),
        _ => Said::text(StatusCode::NOT_FOUND, "nothing here; logs ask at /add-checkpoint"),
    };
    let mut response = Response::new(Full::new(Bytes::from(said.body)));
    *response.status_mut() = said.status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(said.content_type));
    response
}

async fn added(witness: Arc<Witness>, body: Incoming) -> Said {
    let body = Limited::new(body, SUBMISSION_BYTES_MAX).collect();
    let body = match tokio::time::timeout(SUBMISSION_WAIT, body).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            return Said::text(StatusCode::PAYLOAD_TOO_LARGE, "the request is too long");
        }
        Ok(Err(_)) => return Said::text(StatusCode::BAD_REQUEST, "the request broke off"),
        Err(_elapsed) => return Said::text(StatusCode::REQUEST_TIMEOUT, "the request took too long"),
    };
    let added = tokio::task::spawn_blocking(move || witness.add(&body));
    added.await.unwrap_or_else(|_| Said::text(StatusCode::INTERNAL_SERVER_ERROR, "the witness failed"))
}

/// Reads the key of a log, as it is or from a file.
///
/// # Errors
/// What is wrong with it.
pub fn log_key(text: &str) -> Result<VerifierKey, String> {
    key_of(text)?.parse().map_err(|error| format!("`{text}`: {error}"))
}

/// The one line of a key, as it is or from a file.
///
/// # Errors
/// The file cannot be read.
pub fn key_of(text: &str) -> Result<String, String> {
    match fs::metadata(text).map(|found| found.len()) {
        Ok(bytes) if bytes > NOTE_BYTES_MAX as u64 => Err(format!("`{text}` is too long for a key")),
        Ok(_) => {
            fs::read_to_string(text).map(|key| key.trim().to_owned()).map_err(|error| format!("`{text}`: {error}"))
        }
        Err(_) if text.contains('+') => Ok(text.trim().to_owned()),
        Err(error) => Err(format!("the key `{text}`: {error}")),
    }
}

/// Where a witness listens, before it takes connections.
///
/// # Errors
/// The address cannot be had.
pub async fn bind(address: SocketAddr) -> io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}
