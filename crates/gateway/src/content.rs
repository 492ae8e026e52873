//! Content of calls that an organisation has kept: sealed in the home, each run's under a key of its own, and named by the records of what was done.
//!
//! What is kept of a content is said in `governance::classify::capture`. A file is on disk before the record that names it, by the SHA-256 of its sealed bytes, which says
//! nothing of what is in it. Whoever destroys the key of a run erases all that is kept of it, and every record stays as it is. Start at [`Gateway::keep_arguments`], and for
//! reading at [`Gateway::open_content`].

use std::fs::{self, DirBuilder, File};
use std::io;
use std::ops::ControlFlow;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use evidence::filter::{Filter, Term};
use evidence::ids::{CallId, RunId};
use evidence::leaf::sha256_hex;
use evidence::record::{
    ActionEvent, ActionRecord, Body, Capture, Captured, Content, Context, Draft, EvidenceAccess, ExceptionKind,
    ExceptionRecord, Link, Record, RecordType, Unkept,
};
use governance::classify::Kept;
use governance::classify::token::Token;
use governance::decide::PolicySnapshot;
use governance::execute::{Outcome, Release};
use governance::intercept::Intercepted;
use governance::limits::{CONTENT_BYTES_MAX, SENTENCE_BYTES_MAX};
use serde::{Deserialize, Serialize};
use store::{Order, ReadError, Reader};

use crate::Gateway;
use crate::approvals::Channel;
use crate::blocking::blocking;
use crate::clock::now;
use crate::driver::append_beside;
use crate::home::Home;
use crate::limits::{OPENED_BYTES_MAX, UNKEPT_NOTED_US};
use crate::seal::{OVERHEAD_BYTES, Seal, SealError};

/// What the links of sealed files say of their type.
const MEDIA_TYPE: &str = "application/vnd.countersign.sealed";

/// Which content of which attempt at which call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    attempt: u32,
    call: CallId,
    content: Content,
    run: RunId,
}

impl Place {
    /// What the sealed bytes are bound to, so that one content is never taken for another.
    fn name(&self) -> String {
        format!("{}/{}/{}/{}", self.run, self.call, self.attempt, self.content)
    }
}

/// The content that a home keeps.
#[derive(Debug)]
pub struct Contents {
    folder: PathBuf,
    keys: PathBuf,
    /// One makes the key of a run at a time.
    making: Mutex<()>,
    /// When it was last said that something could not be kept, in microseconds.
    noted_us: AtomicI64,
}

impl Contents {
    /// That of `home`; nothing is created yet.
    #[must_use]
    pub fn of(home: &Home) -> Self {
        Self {
            folder: home.path().join("content"),
            keys: home.path().join("keys/content"),
            making: Mutex::default(),
            noted_us: AtomicI64::new(0),
        }
    }

    fn of_run(&self, run: RunId) -> PathBuf {
        self.folder.join(run.to_string())
    }

    fn key(&self, run: RunId) -> PathBuf {
        self.keys.join(format!("{run}.aes"))
    }

    fn seal(&self, run: RunId) -> Seal {
        Seal::new(self.key(run), "countersign content")
    }

    fn file(&self, run: RunId, sha256: &str) -> PathBuf {
        self.of_run(run).join(format!("{sha256}.sealed"))
    }

    /// Keeps `text`, durably.
    // CRASH: a file that no record names yet is left behind; it is sealed under the key of its run, and goes with that.
    fn keep(&self, place: Place, text: Vec<u8>) -> Result<Link, SealError> {
        let (folder, key) = (self.of_run(place.run), self.key(place.run));
        {
            let _one_at_a_time = self.making.lock().unwrap_or_else(PoisonError::into_inner);
            // INVARIANT (a-destroyed-key-stays-destroyed): the key of a run that has content is not made anew.
            if !key.exists() && folder.exists() {
                return Err(SealError::NoKey(key));
            }
            made(&self.keys)?;
            crate::seal::key_or_new(&key)?;
            made(&self.folder)?;
            made(&folder)?;
        }
        let (sha256, bytes) = self.seal(place.run).put_addressed(&folder, &place.name(), text)?;
        Ok(Link { bytes, media_type: MEDIA_TYPE.to_owned(), rel: place.content.to_string(), sha256 })
    }

    /// What is kept at `place` in the file with this digest; `None` where there is no file.
    fn read(&self, place: Place, sha256: &str) -> Result<Option<Vec<u8>>, SealError> {
        let bytes_max = CONTENT_BYTES_MAX as u64 + OVERHEAD_BYTES;
        self.seal(place.run).open_addressed(&self.file(place.run, sha256), sha256, &place.name(), bytes_max)
    }
}

/// Makes a folder that only this home can look into, durably.
fn made(folder: &Path) -> Result<(), SealError> {
    if folder.is_dir() {
        return Ok(());
    }
    let io = |source| SealError::Io { path: folder.to_owned(), source };
    DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(io)?;
    folder.parent().map_or(Ok(()), |parent| File::open(parent).and_then(|parent| parent.sync_all()).map_err(io))
}

/// Arguments that are kept and that no record names yet.
#[derive(Debug, Default)]
pub(crate) struct Unnamed(Vec<PathBuf>);

impl Unnamed {
    /// Takes note of what is about to be recorded: an intent names what is kept. What becomes of the record may not be known.
    pub(crate) fn appending(&mut self, drafts: &[Draft]) {
        let is_intent =
            |draft: &Draft| matches!(&draft.body, Body::Action(action) if action.event == ActionEvent::Intent);
        if !self.0.is_empty() && drafts.iter().any(is_intent) {
            self.0.clear();
        }
    }

    /// Removes what no record will name: of a call that was denied, or that waits for people.
    pub(crate) fn forget(&mut self) {
        if self.0.is_empty() {
            return;
        }
        let files = std::mem::take(&mut self.0);
        let remove = move || {
            for path in files {
                match fs::remove_file(&path) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        tracing::warn!(%error, path = %path.display(), "content of a call that did not run could not be removed");
                    }
                    _ => {}
                }
            }
        };
        tokio::task::spawn_blocking(remove);
    }
}

/// What somebody wants to open.
#[derive(Clone, Copy, Debug)]
pub struct Wanted {
    /// One attempt alone.
    pub attempt: Option<u32>,
    /// Of which call.
    pub call: CallId,
    /// One content alone.
    pub only: Option<Content>,
}

/// One content that was opened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Opened {
    /// Which attempt at the call.
    pub attempt: u32,
    /// The kinds of data that were found in it.
    pub classes: Vec<Arc<str>>,
    /// Which content.
    pub content: Content,
    /// How much of it is kept.
    pub mode: Capture,
    /// What is kept: JSON.
    pub text: String,
}

/// Why nothing is opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenContentError {
    /// The ledger has no such call, or nothing of it ran.
    #[error("call {0} did not run, so nothing of it is kept; `countersign audit call:{0}` shows what was decided")]
    NotRun(CallId),
    /// Nothing is kept.
    #[error("nothing is kept of this: {0}")]
    NotKept(String),
    /// It is more than is opened at once.
    #[error("all of this is more than {OPENED_BYTES_MAX} bytes; ask for one content, and for one attempt")]
    TooMuch,
    /// The reason is missing or too long.
    #[error("say why, in at most {SENTENCE_BYTES_MAX} bytes: it is recorded")]
    Unfit,
    /// A file is not there.
    #[error("the {content} of call {call}, {sha256}, are not here any more")]
    Lost {
        /// The call.
        call: CallId,
        /// Which content.
        content: Content,
        /// The digest of its file.
        sha256: String,
    },
    /// It cannot be opened.
    #[error(transparent)]
    Sealed(#[from] SealError),
    /// What the ledger knows cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// That it was opened could not be recorded.
    #[error(transparent)]
    Unrecorded(#[from] store::AppendError),
}

impl Gateway {
    /// Keeps what the organisation wants kept of the arguments that the tool gets, before the call is decided; `tokens` are those that turned back in them.
    ///
    /// # Errors
    /// [`SealError`]: then the call must not run.
    pub(crate) async fn keep_arguments(
        self: &Arc<Self>,
        policy: &Arc<PolicySnapshot>,
        call: &Intercepted,
        tokens: &[Token],
        unnamed: &mut Unnamed,
    ) -> Result<Vec<Kept>, SealError> {
        unnamed.forget();
        let Some(run) = call.context().run.filter(|_| policy.capture().is_some() && !call.sent().is_empty()) else {
            return Ok(Vec::new());
        };
        let place = Place { attempt: call.attempt(), call: call.call(), content: Content::Arguments, run };
        let (gateway, policy, sent, tokens) = (self.clone(), policy.clone(), call.sent().clone(), tokens.to_vec());
        // Boxed: every call would carry the room for it.
        let kept = Box::pin(blocking(move || gateway.keep(&policy, place, &sent, &tokens))).await?;
        let links = kept.iter().filter_map(|kept| kept.link.as_ref());
        unnamed.0.extend(links.map(|link| self.contents.file(run, &link.sha256)));
        Ok(kept.into_iter().collect())
    }

    /// Keeps what the organisation wants kept of a result, and of what the agent gets instead of it. What cannot be kept is recorded as that: the call ran.
    pub(crate) async fn keep_result(
        self: &Arc<Self>,
        policy: &Arc<PolicySnapshot>,
        (run, call, attempt): (Option<RunId>, CallId, u32),
        tokens: &[Token],
        mut outcome: Outcome,
    ) -> Outcome {
        let Some(run) = run.filter(|_| policy.capture().is_some()) else { return outcome };
        let (Some(result), Some(examined)) = (&outcome.result, &mut outcome.examined) else { return outcome };
        let delivered = match &examined.release {
            Release::Changed { result, .. } => Some((Content::Delivered, result.clone())),
            Release::Pass | Release::Withhold { .. } => None,
        };
        let contents = std::iter::once((Content::Result, result.clone())).chain(delivered).collect::<Vec<_>>();
        let (gateway, policy, tokens) = (self.clone(), policy.clone(), tokens.to_vec());
        let keep = move || {
            let mut all = Vec::new();
            for (content, text) in contents {
                let place = Place { attempt, call, content, run };
                let kept = gateway.keep(&policy, place, &text, &tokens).unwrap_or_else(|error| {
                    tracing::error!(%error, %call, %content, "content of a call that ran could not be kept");
                    let captured =
                        Captured { classes: Vec::new(), content, mode: Capture::Digest, reason: Some(Unkept::NotKept) };
                    Some(Kept { captured, link: None })
                });
                all.extend(kept);
            }
            all
        };
        examined.kept = Box::pin(blocking(keep)).await;
        if examined.kept.iter().any(|kept| kept.captured.reason == Some(Unkept::NotKept)) {
            self.note_unkept(call);
        }
        outcome
    }

    /// Opens an exception that content of a call that ran could not be kept: one in a while, because a full disk is one trouble.
    fn note_unkept(self: &Arc<Self>, call: CallId) {
        let at = now();
        let last = self.contents.noted_us.swap(at.micros(), Ordering::Relaxed);
        if at.micros().saturating_sub(last) < UNKEPT_NOTED_US {
            return;
        }
        let exception = ExceptionRecord {
            mitigation: Some("what became of the call is recorded with the digest of its result".to_owned()),
            ..self.opening(
                ExceptionKind::Ledger,
                format!("call:{call}"),
                format!("what call {call} returned could not be kept; see to the disk, and to calls with `not_kept`"),
                at,
            )
        };
        append_beside(self, vec![Draft::new(Context::system().into(), Some(call), at, exception)]);
    }

    /// Keeps what the organisation wants kept of one content; on a thread that may block.
    fn keep(
        &self,
        policy: &PolicySnapshot,
        place: Place,
        text: &Bytes,
        tokens: &[Token],
    ) -> Result<Option<Kept>, SealError> {
        let Some((captured, kept)) = self.examiner.captured(policy, place.content, text, tokens) else {
            return Ok(None);
        };
        let link = kept.map(|kept| self.contents.keep(place, kept.to_vec())).transpose()?;
        Ok(Some(Kept { captured, link }))
    }

    /// Opens what is kept of a call for `who`, of all contents or of one; that it was opened is recorded first.
    ///
    /// # Errors
    /// [`OpenContentError`]; then nothing is told.
    pub async fn open_content(
        &self,
        wanted: Wanted,
        who: &str,
        why: &str,
        channel: Channel,
    ) -> Result<Vec<Opened>, OpenContentError> {
        if why.trim().is_empty() || why.len() > SENTENCE_BYTES_MAX {
            return Err(OpenContentError::Unfit);
        }
        let (reader, contents) = (self.ledger.reader()?, Contents::of(&self.home));
        let (opened, found) = blocking(move || open(&reader, &contents, wanted)).await?;
        let context =
            Context { mission: found.correlation.mission.clone(), run: found.correlation.run, ..Context::system() };
        let access = EvidenceAccess {
            channel: channel.as_str().to_owned(),
            filter: None,
            look: None,
            who: who.to_owned(),
            why: why.to_owned(),
        };
        let mut draft = Draft::new(context.into(), Some(wanted.call), now(), access);
        draft.links = opened.iter().map(|(_, link)| link.clone()).collect();
        draft.data_classes = opened.iter().flat_map(|(opened, _)| opened.classes.iter().cloned()).collect();
        draft.data_classes.sort_unstable();
        draft.data_classes.dedup();
        self.ledger.append(vec![draft]).await?;
        Ok(opened.into_iter().map(|(opened, _)| opened).collect())
    }

    /// Whether `person` may open content through the API: a member of the group that the organisation names for it.
    #[must_use]
    pub fn may_open_content(&self, person: &str) -> bool {
        let readers = match self.organisation_in_force() {
            Ok(Some(bounds)) => bounds.organisation().capture().readers().cloned(),
            Ok(None) | Err(()) => None,
        };
        let groups = self.person(person).map(|(_, groups)| groups).unwrap_or_default();
        readers.is_some_and(|readers| groups.iter().any(|group| **group == *readers))
    }
}

/// What a record says is kept of `action`: which content, and the link to its file.
fn named<'r>(record: &'r Record, action: &'r ActionRecord) -> impl Iterator<Item = (&'r Captured, Option<&'r Link>)> {
    let link = |captured: &Captured| {
        let is_of = |link: &&Link| link.rel == captured.content.as_str() && link.media_type == MEDIA_TYPE;
        record.links.iter().find(is_of).filter(|_| captured.mode != Capture::Digest)
    };
    action.captured.iter().map(move |captured| (captured, link(captured)))
}

/// What is kept of a call, with a record of it.
fn open(
    reader: &Reader,
    contents: &Contents,
    Wanted { attempt, call, only }: Wanted,
) -> Result<(Vec<(Opened, Link)>, Record), OpenContentError> {
    let records = reader.call(call)?;
    let (mut opened, mut why, mut found, mut bytes) = (Vec::new(), Vec::new(), None, 0);
    for record in records {
        let Body::Action(action) = &record.body else { continue };
        if attempt.is_some_and(|attempt| attempt != action.attempt) {
            continue;
        }
        for (captured, link) in named(&record, action) {
            if only.is_some_and(|only| only != captured.content) {
                continue;
            }
            let (Some(link), Some(run)) = (link, record.correlation.run) else {
                why.push(told(captured));
                continue;
            };
            let place = Place { attempt: action.attempt, call, content: captured.content, run };
            let text = contents.read(place, &link.sha256)?;
            let lost = || OpenContentError::Lost { call, content: captured.content, sha256: link.sha256.clone() };
            let text = String::from_utf8(text.ok_or_else(lost)?);
            bytes += link.bytes;
            if bytes > OPENED_BYTES_MAX {
                return Err(OpenContentError::TooMuch);
            }
            let unsealed = |_| SealError::Unsealed(contents.file(run, &link.sha256));
            let view = Opened {
                attempt: action.attempt,
                classes: captured.classes.clone(),
                content: captured.content,
                mode: captured.mode,
                text: text.map_err(unsealed)?,
            };
            opened.push((view, link.clone()));
        }
        found = Some(record);
    }
    match found {
        None => Err(OpenContentError::NotRun(call)),
        Some(found) if !opened.is_empty() => Ok((opened, found)),
        Some(_) if why.is_empty() => Err(OpenContentError::NotKept(match only {
            Some(content) => format!("the ledger has digests alone, or no {content} of this call"),
            None => "when it ran, the organisation had nothing kept, so the ledger has digests alone".to_owned(),
        })),
        Some(_) => Err(OpenContentError::NotKept(why.join("; "))),
    }
}

/// Why nothing is kept of a content, in words.
fn told(captured: &Captured) -> String {
    let why = match captured.reason {
        Some(Unkept::NotKept) => "it could not be written".to_owned(),
        Some(Unkept::NotRedactable) => "values could not be taken out of it".to_owned(),
        Some(Unkept::TooLarge) => format!("it is larger than {CONTENT_BYTES_MAX} bytes"),
        Some(Unkept::Rule) | None if captured.classes.is_empty() => {
            "the organisation has nothing kept of content in which no class of data was found".to_owned()
        }
        Some(Unkept::Rule) | None => format!(
            "it held {}, and the organisation has nothing kept of such content",
            captured.classes.iter().map(|class| format!("`{class}`")).collect::<Vec<_>>().join(", ")
        ),
    };
    format!("{}: {why}", captured.content)
}

/// What is wrong with what a home keeps, a line for each: not there, altered, or not what the record says. With how much is named.
///
/// # Errors
/// [`ReadError`].
pub fn faults(home: &Home, reader: &Reader) -> Result<(usize, Vec<String>), ReadError> {
    let (contents, mut count, mut faults) = (Contents::of(home), 0, Vec::new());
    reader.visit(&Filter::Term(Term::Type(vec![RecordType::ActionRecord])), Order::OldestFirst, |record| {
        let Body::Action(action) = &record.body else { return ControlFlow::Continue(()) };
        let (Some(call), Some(run)) = (record.correlation.call, record.correlation.run) else {
            return ControlFlow::Continue(());
        };
        for (captured, link) in named(&record, action) {
            let what = format!("record {}: the {} of call {call}", record.seq, captured.content);
            if captured.mode == Capture::Digest {
                continue;
            }
            count += 1;
            let Some(link) = link else {
                faults.push(format!("{what}: it says that they are kept, and not where"));
                continue;
            };
            let place = Place { attempt: action.attempt, call, content: captured.content, run };
            let whole = match captured.content {
                Content::Arguments => Some(action.sent_sha256.as_ref().unwrap_or(&action.args_sha256)),
                Content::Delivered => None,
                Content::Result => action.result_sha256.as_ref(),
            };
            let whole = whole.filter(|_| captured.mode == Capture::Sealed);
            match contents.read(place, &link.sha256) {
                Ok(Some(text)) if whole.is_some_and(|whole| *whole != sha256_hex(&text)) => {
                    faults.push(format!("{what}: what is kept is not what the record has the digest of"));
                }
                Ok(Some(_)) => {}
                Ok(None) => faults.push(format!("{what}: {} is not here", link.sha256)),
                Err(error) => faults.push(format!("{what}: {error}")),
            }
        }
        ControlFlow::Continue(())
    })?;
    Ok((count, faults))
}
