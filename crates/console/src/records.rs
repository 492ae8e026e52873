//! Records of the ledger: pages of what a filter picks, and a stream that follows the log.
//!
//! A stream gives every durable record after a place that matches, in order, and says its place while nothing comes; so a reader that comes back with its place misses nothing.
//! What waits for a reader is bounded: one that does not read for too long is told so and cut. Start at [`open`].

use std::convert::Infallible;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{ACCEPT, CONTENT_TYPE, HeaderValue};
use axum::http::{HeaderMap, HeaderName};
use axum::response::Response;
use evidence::filter::Filter;
use evidence::limits::INTEGER_MAX;
use evidence::record::{Look, Record};
use futures_util::stream::unfold;
use gateway::approvals::Channel;
use gateway::clock::now;
use gateway::export::ExportError;
use gateway::stream::alone;
use gateway::stream::config::StreamConfig;
use governance::mission::Reads;
use serde::Serialize;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use crate::door::Console;
use crate::limits::{
    LOOKUP_WAIT, PAGE, STREAM_ALIVE_EVERY, STREAM_BATCHES_WAITING, STREAM_GATHER, STREAM_LOOKS_EVERY, STREAM_READ_WAIT,
    STREAMS_PER_SESSION_MAX,
};
use crate::problem::{Code, Problem};
use crate::sessions::Session;
use crate::wire::{Followed, Form, RecordPage, RecordsAsked, limit, unfit};

/// A program that the configuration lets follow the ledger.
#[derive(Clone, Debug)]
pub(crate) struct Reader {
    config: StreamConfig,
    name: Arc<str>,
    /// A place for each of its streams.
    streams: Arc<Semaphore>,
}

impl Reader {
    pub(crate) fn new(name: &str, config: &StreamConfig) -> Self {
        Self { config: config.clone(), name: name.into(), streams: Arc::new(Semaphore::new(STREAMS_PER_SESSION_MAX)) }
    }

    /// Digest of its token.
    pub(crate) const fn token(&self) -> &[u8; 32] {
        &self.config.token
    }
}

/// Whoever may follow the ledger.
pub(crate) enum Follower {
    Person(Session),
    Reader(Reader),
}

/// How a stream is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    /// Server-sent events.
    Events,
    /// One JSON object on each line.
    Lines,
}

/// What a stream says of itself.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Notice {
    Alive,
    Ended,
    Open,
}

/// Why a stream ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum End {
    /// The reader went away; nobody hears of it.
    Gone,
    /// The session is over.
    Session,
    /// The reader took nothing for too long.
    Slow,
    /// The gateway stops.
    Stopping,
    /// The ledger cannot be read.
    Unreadable,
}

/// A page of records, newest first.
pub(crate) async fn page(console: &Console, session: &Session, asked: RecordsAsked) -> Result<RecordPage, Problem> {
    let limit = limit(asked.limit, PAGE)?;
    if let Some(before) = asked.before.filter(|before| !(1..=INTEGER_MAX).contains(before)) {
        return Err(unfit(format!("`before` is {before}; use the number of a record")));
    }
    let text = asked.filter.unwrap_or_default();
    let filter = Filter::parse_at(&text, now()).map_err(ExportError::Filter)?;
    match (&asked.why, console.gateway.reads()) {
        (Some(why), _) => {
            Form::Reason.check("why", why)?;
            console.gateway.record_look(&text, Look::Records, &session.person, why, Channel::Api).await?;
        }
        (None, Reads::Recorded) => {
            return Err(Problem::new(Code::WhyRequired, "looks at the evidence are recorded here; send `why`"));
        }
        (None, Reads::Unrecorded) => {}
    }
    let Ok(Ok(_place)) = timeout(LOOKUP_WAIT, console.lookups.acquire()).await else {
        return Err(Problem::new(Code::TooMany, "others look for records, as many at a time as may"));
    };
    let found = console.gateway.records_before(&filter, asked.before, limit).await;
    let found = found.map_err(|error| Problem::failed(&error))?;
    let next = found.last().map(|record| record.seq).filter(|seq| found.len() >= limit && *seq > 1);
    let records = found.iter().map(serde_json::to_value).collect::<Result<_, _>>();
    Ok(RecordPage { next, records: records.map_err(|error| Problem::failed(&error))? })
}

/// Opens a stream, where there is a place for it and the opening is on record.
pub(crate) async fn open(
    console: Arc<Console>,
    follower: Follower,
    headers: &HeaderMap,
    asked: Followed,
) -> Result<Response, Problem> {
    let framing = Framing::wanted(headers);
    let mut filter = Filter::parse_at(&asked.filter.unwrap_or_default(), now()).map_err(ExportError::Filter)?;
    alone(&filter).map_err(|joined| Problem::new(Code::FilterUnfit, joined.to_string()))?;
    let (who, why, places) = match &follower {
        Follower::Person(session) => {
            let why = asked.why.ok_or_else(|| Problem::new(Code::WhyRequired, "a stream is recorded; send `why`"))?;
            Form::Reason.check("why", &why)?;
            (session.person.to_string(), why, &session.streams)
        }
        Follower::Reader(reader) => {
            if filter == Filter::everything() {
                filter = reader.config.filter.clone();
            } else {
                filter = Filter::And(vec![reader.config.filter.clone(), filter]);
            }
            (format!("stream:{}", reader.name), reader.config.why.clone(), &reader.streams)
        }
    };
    let full = |what: &str| Problem::new(Code::TooMany, format!("{what} has as many streams as it may have"));
    let own = places.clone().try_acquire_owned().map_err(|_| full("whoever asks"))?;
    let all = console.followers.clone().try_acquire_owned().map_err(|_| full("the console"))?;
    let durable = console.gateway.durable();
    let after = match resumed(headers)? {
        Some(last) => last,
        None => asked.after.unwrap_or(durable),
    };
    if after > durable {
        return Err(Problem::new(
            Code::PlaceUnknown,
            format!(
                "record {after} is not in the log, which ends at {durable}: it is another log's, or this one has lost records"
            ),
        ));
    }
    let access = console.gateway.record_stream(&filter, after, &who, &why, Channel::Api).await?;
    let (lines, waiting) = mpsc::channel(STREAM_BATCHES_WAITING);
    let (end, ended) = oneshot::channel();
    let following = Following { console, filter, follower, framing, lines, place: after };
    tokio::spawn(async move {
        let (framing, mut following) = (following.framing, following);
        let why = following.follow(access).await;
        let mut last = Vec::new();
        framing.notice(Notice::Ended, following.place, "reason", &why, &mut last);
        // Whoever went away wants no end.
        let _ = end.send(Bytes::from(last));
    });
    Ok(response(framing, Waiting { ended: Some(ended), lines: waiting, _places: [own, all] }))
}

/// The place that a browser sends when it comes back.
fn resumed(headers: &HeaderMap) -> Result<Option<u64>, Problem> {
    let Some(sent) = headers.get("last-event-id") else { return Ok(None) };
    let place = sent.to_str().ok().and_then(|text| text.parse().ok());
    place.map(Some).ok_or_else(|| unfit("`Last-Event-ID` is no number of a record"))
}

/// What a response still has to give.
struct Waiting {
    ended: Option<oneshot::Receiver<Bytes>>,
    lines: mpsc::Receiver<Bytes>,
    /// Held until the connection is done with, so that readers which take nothing are bounded too.
    _places: [OwnedSemaphorePermit; 2],
}

fn response(framing: Framing, waiting: Waiting) -> Response {
    let given = unfold(waiting, |mut waiting| async move {
        let next = match waiting.lines.recv().await {
            Some(lines) => Some(lines),
            None => waiting.ended.take()?.await.ok(),
        };
        next.map(|bytes| (Ok::<_, Infallible>(bytes), waiting))
    });
    let mut response = Response::new(Body::from_stream(given));
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(framing.media_type()));
    // Proxies are not to collect records before they pass them on.
    headers.insert(HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    response
}

/// One stream at work.
struct Following {
    console: Arc<Console>,
    filter: Filter,
    follower: Follower,
    framing: Framing,
    lines: mpsc::Sender<Bytes>,
    place: u64,
}

impl Following {
    /// Gives records until there is a reason to end.
    async fn follow(&mut self, access: u64) -> End {
        let mut first = Vec::new();
        self.framing.notice(Notice::Open, self.place, "access", &access, &mut first);
        if let Err(end) = give(&self.lines, first, STREAM_READ_WAIT).await {
            return end;
        }
        let (gateway, lines) = (self.console.gateway.clone(), self.lines.clone());
        let mut looks = interval(STREAM_LOOKS_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut told = Instant::now();
        loop {
            match self.catch_up().await {
                Ok(Given::Nothing) => {}
                Ok(Given::Records) => told = Instant::now(),
                Err(end) => return end,
            }
            if told.elapsed() >= STREAM_ALIVE_EVERY {
                let mut alive = Vec::new();
                self.framing.notice(Notice::Alive, self.place, "durable", &gateway.durable(), &mut alive);
                if let Err(end) = give(&lines, alive, STREAM_READ_WAIT).await {
                    return end;
                }
                told = Instant::now();
            }
            tokio::select! {
                () = gateway.grown(self.place) => sleep(STREAM_GATHER).await,
                _ = looks.tick() => {}
                () = lines.closed() => return End::Gone,
                () = gateway.stopped() => return self.last().await,
            }
        }
    }

    /// What there was when the gateway was told to stop; what comes after is for the next stream.
    async fn last(&mut self) -> End {
        self.catch_up().await.err().unwrap_or(End::Stopping)
    }

    /// Gives what the ledger has after the place.
    async fn catch_up(&mut self) -> Result<Given, End> {
        let mut given = Given::Nothing;
        loop {
            if let Follower::Person(session) = &self.follower {
                let standing = self.console.sessions.standing(&session.digest, &self.console.gateway);
                standing.map_err(|_ended| End::Session)?;
            }
            if self.console.gateway.durable() <= self.place {
                return Ok(given);
            }
            let write = match self.framing {
                Framing::Events => event,
                Framing::Lines => line,
            };
            let batch = self.console.gateway.records_after(&self.filter, self.place, write).await;
            let batch = batch.map_err(|error| {
                tracing::error!(%error, "the ledger cannot be read; a stream ends");
                End::Unreadable
            })?;
            if !batch.bytes.is_empty() {
                give(&self.lines, batch.bytes, STREAM_READ_WAIT).await?;
                given = Given::Records;
            }
            self.place = batch.upto;
        }
    }
}

/// What catching up gave.
enum Given {
    Nothing,
    Records,
}

/// Puts bytes where the reader takes them, once there is room.
async fn give(lines: &mpsc::Sender<Bytes>, bytes: Vec<u8>, patience: Duration) -> Result<(), End> {
    match timeout(patience, lines.send(bytes.into())).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_gone)) => Err(End::Gone),
        Err(_elapsed) => Err(End::Slow),
    }
}

fn line(record: &Record, out: &mut Vec<u8>) {
    // Writing plain fields to memory cannot fail.
    let _ = serde_json::to_writer(&mut *out, record);
    out.push(b'\n');
}

fn event(record: &Record, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("id: {}\nevent: record\ndata: ", record.seq).as_bytes());
    // As above.
    let _ = serde_json::to_writer(&mut *out, record);
    out.extend_from_slice(b"\n\n");
}

impl Framing {
    /// What a request prefers: events where it names them, else lines.
    fn wanted(headers: &HeaderMap) -> Self {
        let named = headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let mut types = named.flat_map(|value| value.split(',')).map(|part| part.split(';').next().unwrap_or_default());
        match types.any(|name| name.trim().eq_ignore_ascii_case("text/event-stream")) {
            true => Self::Events,
            false => Self::Lines,
        }
    }

    const fn media_type(self) -> &'static str {
        match self {
            Self::Events => "text/event-stream",
            Self::Lines => "application/x-ndjson",
        }
    }

    /// What the stream says of itself: up to `place` everything was given.
    fn notice(self, notice: Notice, place: u64, key: &str, value: &impl Serialize, out: &mut Vec<u8>) {
        // Plain words and numbers are always written.
        let word = |written: serde_json::Result<String>| written.unwrap_or_default();
        let (notice, value) = (word(serde_json::to_string(&notice)), word(serde_json::to_string(value)));
        let text = format!(r#"{{"stream":{notice},"seq":{place},"{key}":{value}}}"#);
        match self {
            Self::Events => {
                let mut event = String::new();
                // Writing to a string cannot fail.
                let _ = write!(event, "id: {place}\nevent: stream\ndata: {text}\n\n");
                out.extend_from_slice(event.as_bytes());
            }
            Self::Lines => {
                out.extend_from_slice(text.as_bytes());
                out.push(b'\n');
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::StreamExt as _;

    use super::*;

    #[test]
    fn a_stream_is_framed_as_the_request_wishes() {
        for (accept, framing) in [
            ("", Framing::Lines),
            ("*/*", Framing::Lines),
            ("application/x-ndjson", Framing::Lines),
            ("text/event-stream", Framing::Events),
            ("application/json, Text/Event-Stream;q=0.9", Framing::Events),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(ACCEPT, HeaderValue::from_str(accept).unwrap());
            assert_eq!(Framing::wanted(&headers), framing, "{accept}");
        }
        let mut out = Vec::new();
        Framing::Events.notice(Notice::Open, 7, "access", &8, &mut out);
        Framing::Lines.notice(Notice::Ended, 7, "reason", &End::Slow, &mut out);
        let events = "id: 7\nevent: stream\ndata: {\"stream\":\"open\",\"seq\":7,\"access\":8}\n\n";
        let lines = "{\"stream\":\"ended\",\"seq\":7,\"reason\":\"slow\"}\n";
        assert_eq!(String::from_utf8(out).unwrap(), format!("{events}{lines}"));
    }

    #[test]
    fn a_place_is_a_number_or_refused() {
        let of = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert("last-event-id", HeaderValue::from_str(text).unwrap());
            resumed(&headers).map_err(|problem| problem.code())
        };
        assert_eq!((of("41"), of("0")), (Ok(Some(41)), Ok(Some(0))));
        for bad in ["", "-1", "4 2", "seq", "99999999999999999999999"] {
            assert_eq!(of(bad), Err(Code::RequestUnfit), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_reader_that_takes_nothing_is_cut_and_finds_the_end_after_what_waits() {
        let (lines, waiting) = mpsc::channel(2);
        let (end, ended) = oneshot::channel();
        let places = Arc::new(Semaphore::new(2));
        let place = || places.clone().try_acquire_owned().unwrap();
        let response =
            response(Framing::Lines, Waiting { ended: Some(ended), lines: waiting, _places: [place(), place()] });
        for text in ["a\n", "b\n"] {
            assert_eq!(give(&lines, text.into(), STREAM_READ_WAIT).await, Ok(()));
        }
        assert_eq!(give(&lines, "c\n".into(), Duration::ZERO).await, Err(End::Slow));
        drop(lines);
        end.send(Bytes::from("end\n")).unwrap();
        assert_eq!(places.available_permits(), 0, "who takes nothing keeps its place");
        let mut body = response.into_body().into_data_stream();
        let mut came = Vec::new();
        while let Some(bytes) = body.next().await {
            came.extend_from_slice(&bytes.unwrap());
        }
        assert_eq!(came, b"a\nb\nend\n");
        assert_eq!(places.available_permits(), 2);
    }
}
