//! What one session has for its client: answers that are awaited, streams that are read, and what is kept for clients that resume.
//!
//! Pure state: nothing here waits or knows time. A request that gets one answer leaves no trace here. Once anything else must be sent, it becomes a **stream**, whose
//! events are numbered through the whole session (`STREAM-NUMBER` on the wire), handed to the one connection that reads the stream, and kept within bounds. Stream 0
//! belongs to no request. A client that left before it was given an event's number has nothing that it could resume at; its answer is dropped.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use tokio::sync::Notify;

use super::HttpDownstreamLimits;
use crate::limits::RETRY_MS;
use crate::mcp::codec::{RawId, SseEvent};
use crate::mcp::downstream::{Address, Message};

/// The stream of what belongs to no request.
pub(super) const UNSOLICITED: u64 = 0;

/// One session's messages on their way to the client.
#[derive(Debug)]
pub(super) struct Outbox {
    /// What all sessions together keep.
    kept_total: Arc<AtomicUsize>,
    limits: HttpDownstreamLimits,
    log: VecDeque<Event>,
    log_bytes: usize,
    /// Events of no request that were dropped before anybody read them.
    lost: u64,
    next_number: u64,
    next_reading: u64,
    next_stream: u64,
    readers: HashMap<u64, Reader>,
    requests: HashMap<RawId, Request>,
    /// Fires when the last request is closed.
    quiet: Arc<Notify>,
    /// The last event of no request that a connection has taken.
    unsolicited_read: u64,
}

#[derive(Clone, Debug)]
struct Event {
    frame: Message,
    number: u64,
    stream: u64,
}

/// A request that is not closed yet.
#[derive(Debug)]
struct Request {
    answer: Answer,
    form: Form,
    waker: Option<Waker>,
}

/// Where the answer to a request goes.
#[derive(Debug)]
enum Answer {
    /// Whoever took the request waits for it.
    Awaited,
    /// It is there, and is the first thing that was sent.
    Ready(Message),
    /// The client left before it was told of a stream.
    Unwanted,
    /// It goes, or went, to a stream.
    Streamed { stream: u64, reading: u64, is_over: bool },
}

/// What the response to a request may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// One message only: the handshake, whose response must name the session.
    Message,
    /// One message, or a stream.
    Either(Prime),
}

/// A connection that reads a stream.
#[derive(Debug)]
struct Reader {
    bytes: usize,
    frames: VecDeque<(u64, Message)>,
    is_over: bool,
    reading: u64,
    room: Arc<Notify>,
    waker: Option<Waker>,
}

/// A connection's claim to read a stream; void when another one reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Reading {
    pub(super) stream: u64,
    reading: u64,
}

/// What became of a message.
#[derive(Debug)]
pub(super) enum Offered {
    /// The connection has too much unread: wait for room and offer again.
    Full(Reading, Arc<Notify>),
    /// Nobody can be told any more.
    Gone,
    Taken,
}

/// Why a request cannot be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unopened {
    IdInUse,
    TooMany,
}

/// What a request came to.
#[derive(Debug)]
pub(super) enum Closed {
    Answered(Message),
    /// Nobody answered: it was taken back.
    Silent,
    Streamed(Reading),
}

/// Why a stream cannot be read from after an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unreadable {
    /// What came after is no longer kept.
    Dropped,
    /// There was no such event.
    Unknown,
}

impl Outbox {
    pub(super) fn new(limits: HttpDownstreamLimits, kept_total: Arc<AtomicUsize>) -> Self {
        Self {
            kept_total,
            limits,
            log: VecDeque::new(),
            log_bytes: 0,
            lost: 0,
            next_number: 1,
            next_reading: 0,
            next_stream: UNSOLICITED + 1,
            readers: HashMap::new(),
            requests: HashMap::new(),
            quiet: Arc::default(),
            unsolicited_read: 0,
        }
    }

    /// Takes a request under an id that is not in use.
    pub(super) fn open(&mut self, id: RawId, form: Form) -> Result<(), Unopened> {
        if self.requests.len() >= self.limits.in_flight_max {
            return Err(Unopened::TooMany);
        }
        if self.requests.contains_key(&id) {
            return Err(Unopened::IdInUse);
        }
        self.requests.insert(id, Request { answer: Answer::Awaited, form, waker: None });
        Ok(())
    }

    /// Closes a request: no more work is done on it.
    pub(super) fn close(&mut self, id: &RawId) -> Closed {
        let answer = self.requests.remove(id).map_or(Answer::Unwanted, |request| request.answer);
        if self.requests.is_empty() {
            self.quiet.notify_waiters();
        }
        match answer {
            Answer::Ready(answer) => Closed::Answered(answer),
            Answer::Awaited | Answer::Unwanted => Closed::Silent,
            Answer::Streamed { stream, reading, is_over } => {
                if !is_over {
                    self.finish(stream);
                }
                Closed::Streamed(Reading { stream, reading })
            }
        }
    }

    /// Whoever took the request has left before there was a response: its client closed the connection.
    pub(super) fn abandon(&mut self, id: &RawId) {
        match self.requests.get_mut(id).map(|request| &mut request.answer) {
            Some(Answer::Streamed { stream, reading, .. }) => {
                let reading = Reading { stream: *stream, reading: *reading };
                self.cut(reading);
            }
            Some(answer) => *answer = Answer::Unwanted,
            None => {}
        }
    }

    /// The stream that the response to a request has become, as soon as it has.
    pub(super) fn poll_streamed(&mut self, id: &RawId, context: &mut Context<'_>) -> Poll<Reading> {
        match self.requests.get_mut(id) {
            Some(Request { answer: Answer::Streamed { stream, reading, .. }, .. }) => {
                Poll::Ready(Reading { stream: *stream, reading: *reading })
            }
            Some(request) => {
                keep_waker(&mut request.waker, context);
                Poll::Pending
            }
            None => Poll::Pending,
        }
    }

    /// Makes the response to a request a stream, if it may be one, and primes it where the client understands events without data: it can then resume at once.
    pub(super) fn stream(&mut self, id: &RawId) -> Option<Reading> {
        let request = self.requests.get(id)?;
        let (Form::Either(prime), Answer::Awaited) = (request.form, &request.answer) else { return None };
        let stream = self.next_stream;
        self.next_stream += 1;
        let reading = self.read(stream, false);
        if prime == Prime::Event {
            self.prime(stream, self.next_number - 1);
        }
        let request = self.requests.get_mut(id)?;
        request.answer = Answer::Streamed { stream, reading: reading.reading, is_over: false };
        wake(&mut request.waker);
        Some(reading)
    }

    /// Puts a message where it belongs.
    pub(super) fn offer(&mut self, address: Address<'_>, message: &Message) -> Offered {
        match address {
            Address::Reply(id) => self.reply(id, message),
            Address::StreamedReply(id) => {
                // Where it is none already and may be one.
                self.stream(id);
                self.reply(id, message)
            }
            Address::Related(id) => match self.requests.get(id).map(|request| (&request.answer, request.form)) {
                Some((Answer::Awaited, Form::Either(_))) => match self.stream(id) {
                    Some(reading) => self.append(reading.stream, message),
                    None => Offered::Gone,
                },
                Some((Answer::Streamed { stream, is_over: false, .. }, _)) => self.append(*stream, message),
                Some((Answer::Unwanted, _)) => Offered::Gone,
                // The request is answered, or its response cannot be a stream.
                Some(_) | None => self.append(UNSOLICITED, message),
            },
            Address::Unsolicited => self.append(UNSOLICITED, message),
        }
    }

    fn reply(&mut self, id: &RawId, message: &Message) -> Offered {
        match self.requests.get_mut(id).map(|request| &mut request.answer) {
            Some(answer @ Answer::Awaited) => {
                *answer = Answer::Ready(message.clone());
                Offered::Taken
            }
            Some(Answer::Streamed { stream, is_over, .. }) if !*is_over => {
                let stream = *stream;
                let offered = self.append(stream, message);
                if matches!(offered, Offered::Taken) {
                    self.over(id);
                    self.finish(stream);
                }
                offered
            }
            Some(_) | None => Offered::Gone,
        }
    }

    /// Lets a connection read a stream: what belongs to no request, or from after an event. The connection that read it before is cut off: one of the two is
    /// stale, and a message must not go to both.
    pub(super) fn follow(&mut self, after: Option<Place>, prime: Prime) -> Result<Reading, Unreadable> {
        let Place { stream, number } = after.unwrap_or(Place { stream: UNSOLICITED, number: self.unsolicited_read });
        if stream >= self.next_stream || number >= self.next_number {
            return Err(Unreadable::Unknown);
        }
        let is_open = stream == UNSOLICITED || self.requests.values().any(|request| request.answer.is_open(stream));
        let missed: Vec<Event> =
            self.log.iter().filter(|event| event.stream == stream && event.number > number).cloned().collect();
        if !is_open && missed.is_empty() {
            return Err(Unreadable::Dropped);
        }
        let reading = self.read(stream, !is_open);
        if prime == Prime::Event {
            self.prime(stream, number);
        }
        if let Some(reader) = self.readers.get_mut(&stream) {
            missed.into_iter().for_each(|event| reader.push(event.number, event.frame));
        }
        Ok(reading)
    }

    /// The next frame for a connection; `None` when there will be no more.
    pub(super) fn poll_frame(&mut self, of: Reading, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let Some(reader) = self.readers.get_mut(&of.stream).filter(|reader| reader.reading == of.reading) else {
            return Poll::Ready(None);
        };
        let Some((number, frame)) = reader.frames.pop_front() else {
            if reader.is_over {
                self.readers.remove(&of.stream);
                return Poll::Ready(None);
            }
            keep_waker(&mut reader.waker, context);
            return Poll::Pending;
        };
        reader.bytes -= frame.bytes.len();
        reader.room.notify_one();
        if of.stream == UNSOLICITED {
            self.unsolicited_read = self.unsolicited_read.max(number);
        }
        Poll::Ready(Some(frame.hand_over()))
    }

    /// Whether a connection has nothing more to read after what it took.
    pub(super) fn is_over(&self, of: Reading) -> bool {
        match self.readers.get(&of.stream) {
            Some(reader) if reader.reading == of.reading => reader.is_over && reader.frames.is_empty(),
            Some(_) | None => true,
        }
    }

    /// A connection no longer reads.
    pub(super) fn cut(&mut self, of: Reading) {
        if self.readers.get(&of.stream).is_some_and(|reader| reader.reading == of.reading)
            && let Some(reader) = self.readers.remove(&of.stream)
        {
            reader.dismiss();
        }
    }

    /// Ends all streams. What they have is still read.
    pub(super) fn end(&mut self) {
        for reader in self.readers.values_mut() {
            reader.is_over = true;
            wake(&mut reader.waker);
        }
    }

    /// Whether a request is open or a connection reads.
    pub(super) fn is_busy(&self) -> bool {
        !self.requests.is_empty() || !self.readers.is_empty()
    }

    /// Fires when the last request is closed; `None` if none is open.
    pub(super) fn quiet(&self) -> Option<Arc<Notify>> {
        (!self.requests.is_empty()).then(|| self.quiet.clone())
    }

    /// Adds an event to a stream, for the connection that reads it and for those that resume.
    fn append(&mut self, stream: u64, message: &Message) -> Offered {
        if let Some(reader) = self.readers.get(&stream)
            && !reader.has_room(message.bytes.len(), &self.limits)
        {
            return Offered::Full(Reading { stream, reading: reader.reading }, reader.room.clone());
        }
        let number = self.next_number;
        self.next_number += 1;
        let frame = placed(SseEvent::new(message.bytes.clone()), stream, number);
        let frame = Message { bytes: frame, receipt: message.receipt.clone() };
        if let Some(reader) = self.readers.get_mut(&stream) {
            reader.push(number, frame.clone());
        }
        self.keep(Event { frame, number, stream });
        Offered::Taken
    }

    fn keep(&mut self, event: Event) {
        self.log_bytes += event.frame.bytes.len();
        self.kept_total.fetch_add(event.frame.bytes.len(), Ordering::Relaxed);
        self.log.push_back(event);
        while self.log.len() > self.limits.replay_events_max
            || self.log_bytes > self.limits.replay_bytes_max
            || self.kept_total.load(Ordering::Relaxed) > self.limits.replay_total_bytes_max
        {
            let Some(oldest) = self.log.pop_front() else { break };
            self.log_bytes -= oldest.frame.bytes.len();
            self.kept_total.fetch_sub(oldest.frame.bytes.len(), Ordering::Relaxed);
            let is_unread = oldest.stream == UNSOLICITED
                && oldest.number > self.unsolicited_read
                && !self.readers.contains_key(&UNSOLICITED);
            if is_unread {
                self.lost += 1;
                tracing::debug!(lost = self.lost, "dropped a message for a client that reads no standing stream");
            }
        }
    }

    fn read(&mut self, stream: u64, is_over: bool) -> Reading {
        let reading = self.next_reading;
        self.next_reading += 1;
        let reader = Reader { bytes: 0, frames: VecDeque::new(), is_over, reading, room: Arc::default(), waker: None };
        if let Some(before) = self.readers.insert(stream, reader) {
            before.dismiss();
        }
        Reading { stream, reading }
    }

    /// Tells a connection where its stream stands, and how soon to come back should it break. Takes no number of its own: it names the place after which the
    /// stream goes on.
    fn prime(&mut self, stream: u64, number: u64) {
        if let Some(reader) = self.readers.get_mut(&stream) {
            let event = SseEvent::new(Bytes::new()).with_retry_ms(RETRY_MS);
            reader.push(number, placed(event, stream, number).into());
        }
    }

    fn finish(&mut self, stream: u64) {
        if let Some(reader) = self.readers.get_mut(&stream) {
            reader.is_over = true;
            wake(&mut reader.waker);
        }
    }

    fn over(&mut self, id: &RawId) {
        if let Some(Request { answer: Answer::Streamed { is_over, .. }, .. }) = self.requests.get_mut(id) {
            *is_over = true;
        }
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        self.kept_total.fetch_sub(self.log_bytes, Ordering::Relaxed);
    }
}

impl Answer {
    fn is_open(&self, of: u64) -> bool {
        matches!(self, Self::Streamed { stream, is_over: false, .. } if *stream == of)
    }
}

impl Reader {
    fn has_room(&self, bytes: usize, limits: &HttpDownstreamLimits) -> bool {
        self.frames.is_empty()
            || (self.frames.len() < limits.unread_events_max && self.bytes + bytes <= limits.unread_bytes_max)
    }

    fn push(&mut self, number: u64, frame: Message) {
        self.bytes += frame.bytes.len();
        self.frames.push_back((number, frame));
        wake(&mut self.waker);
    }

    /// Tells the connection that it no longer reads, and whoever waits for it that it need not.
    fn dismiss(mut self) {
        wake(&mut self.waker);
        self.room.notify_waiters();
        self.room.notify_one();
    }
}

/// Whether a stream begins with an event that has only a number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Prime {
    Event,
    /// Clients of older revisions take an event without data for a broken message.
    Nothing,
}

/// An event's place, as clients know it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    number: u64,
    stream: u64,
}

impl Place {
    /// Reads a `Last-Event-ID`.
    pub(super) fn parse(id: &str) -> Option<Self> {
        let (stream, number) = id.split_once('-')?;
        // `+1` would parse too.
        let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        (is_number(stream) && is_number(number)).then_some(())?;
        Some(Self { number: number.parse().ok()?, stream: stream.parse().ok()? })
    }
}

fn placed(event: SseEvent, stream: u64, number: u64) -> Bytes {
    match event.clone().with_id(&format!("{stream}-{number}")) {
        Ok(event) => event.encode(),
        // Digits and a dash always do.
        Err(_) => event.encode(),
    }
}

fn keep_waker(slot: &mut Option<Waker>, context: &Context<'_>) {
    match slot {
        Some(waker) => waker.clone_from(context.waker()),
        None => *slot = Some(context.waker().clone()),
    }
}

fn wake(slot: &mut Option<Waker>) {
    if let Some(waker) = slot.take() {
        waker.wake();
    }
}
