//! Server-sent events: the framing of Streamable HTTP (WHATWG HTML, section 9.2, Server-sent events).
//!
//! [`SseDecoder`] takes chunks as they come from a body and gives events, the same for every cut of the stream. An event
//! that is too large is reported once and skipped. Data is handed on as bytes: whether it is a message is for
//! [`super::Envelope`] to say. What the stream says about resuming is kept beside the events.

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

use crate::limits::SSE_ID_BYTES_MAX;

/// A comment that keeps a connection alive and means nothing.
pub const SSE_KEEP_ALIVE: &[u8] = b":\n\n";

/// One event.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SseEvent {
    id: Option<Box<str>>,
    event: Option<Box<str>>,
    data: Bytes,
    retry_ms: Option<u64>,
}

impl SseEvent {
    /// An event of the default type.
    pub fn new(data: Bytes) -> Self {
        Self { data, ..Self::default() }
    }

    /// The same event under an id at which a client can resume.
    pub fn with_id(mut self, id: &str) -> Result<Self, SseError> {
        if id.len() > SSE_ID_BYTES_MAX || id.contains(['\n', '\r', '\0']) {
            return Err(SseError::BadField { field: "id" });
        }
        self.id = Some(id.into());
        Ok(self)
    }

    /// The same event under a type of its own.
    pub fn with_event(mut self, event: &str) -> Result<Self, SseError> {
        if event.contains(['\n', '\r']) {
            return Err(SseError::BadField { field: "event" });
        }
        self.event = Some(event.into());
        Ok(self)
    }

    /// The same event, telling the client how long to wait before it connects again.
    pub fn with_retry_ms(mut self, retry_ms: u64) -> Self {
        self.retry_ms = Some(retry_ms);
        self
    }

    /// The id that this event sets; `None` leaves the last one in force.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// The type; `None` or empty means `message`.
    pub fn event(&self) -> Option<&str> {
        self.event.as_deref()
    }

    /// The data, lines joined by line feeds. Empty for the event that only carries the first id of a stream.
    pub fn data(&self) -> &Bytes {
        &self.data
    }

    /// The wait before connecting again that this event sets.
    pub fn retry_ms(&self) -> Option<u64> {
        self.retry_ms
    }

    /// The event as it goes into a body. Line endings in the data become separate `data` lines.
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(self.data.len() + 64);
        if let Some(id) = &self.id {
            put_field(&mut out, "id", id.as_bytes());
        }
        if let Some(event) = &self.event {
            put_field(&mut out, "event", event.as_bytes());
        }
        if let Some(retry_ms) = self.retry_ms {
            put_field(&mut out, "retry", retry_ms.to_string().as_bytes());
        }
        let mut rest = &*self.data;
        while let Some(end) = memchr::memchr2(b'\n', b'\r', rest) {
            let (line, tail) = rest.split_at_checked(end).unwrap_or_default();
            put_field(&mut out, "data", line);
            rest = tail.strip_prefix(b"\r\n").or(tail.get(1..)).unwrap_or_default();
        }
        put_field(&mut out, "data", rest);
        out.put_u8(b'\n');
        out.freeze()
    }
}

fn put_field(out: &mut BytesMut, name: &str, value: &[u8]) {
    out.put_slice(name.as_bytes());
    out.put_slice(b": ");
    out.put_slice(value);
    out.put_u8(b'\n');
}

/// What can be wrong with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SseError {
    /// The event is too large; the decoder goes on with the next.
    #[error("event larger than {max} bytes; send less in one message")]
    TooLarge {
        /// The limit in force.
        max: usize,
    },
    /// A value for a field that one line cannot hold.
    #[error("`{field}` does not fit on one line of an event; leave out control characters and keep it short")]
    BadField {
        /// Which field.
        field: &'static str,
    },
}

/// Reads an event stream.
#[derive(Debug)]
pub struct SseDecoder {
    event_bytes_max: usize,
    buffer: BytesMut,
    /// Bytes at the start of `buffer` that are known to hold no line ending.
    searched: usize,
    at_start: bool,
    /// The last line ended with a CR; an LF that follows belongs to it.
    after_cr: bool,
    data: BytesMut,
    has_data: bool,
    id: Option<Box<str>>,
    event: Option<Box<str>>,
    event_retry_ms: Option<u64>,
    last_event_id: Box<str>,
    retry_ms: Option<u64>,
    skip: Skip,
}

/// Whether the lines up to the next blank one belong to an event that was reported as too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Skip {
    No,
    /// Yes, and the current line is empty so far.
    LineStart,
    /// Yes, and the current line is not blank.
    MidLine,
}

impl SseDecoder {
    /// A decoder for events of at most `event_bytes_max` bytes, which is also the most that it holds beside one chunk.
    pub fn new(event_bytes_max: usize) -> Self {
        Self {
            event_bytes_max,
            buffer: BytesMut::new(),
            searched: 0,
            at_start: true,
            after_cr: false,
            data: BytesMut::new(),
            has_data: false,
            id: None,
            event: None,
            event_retry_ms: None,
            last_event_id: "".into(),
            retry_ms: None,
            skip: Skip::No,
        }
    }

    /// The id to resume at: that of the last whole event which set one, with or without data. Empty: none.
    pub fn last_event_id(&self) -> &str {
        &self.last_event_id
    }

    /// The wait before connecting again that the stream asked for last.
    pub fn retry_ms(&self) -> Option<u64> {
        self.retry_ms
    }

    /// Takes what was read. Take all events out before the next push, else the buffer grows.
    pub fn push(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    /// The next whole event. `None`: push more. What is incomplete when the stream ends is no event.
    pub fn next_event(&mut self) -> Option<Result<SseEvent, SseError>> {
        loop {
            if !self.skip_prefix() {
                return None;
            }
            let unseen = self.buffer.get(self.searched..).unwrap_or_default();
            let Some(found) = memchr::memchr2(b'\n', b'\r', unseen) else {
                self.searched = self.buffer.len();
                return self.check_open_line();
            };
            self.after_cr = unseen.get(found) == Some(&b'\r');
            let mut line = self.buffer.split_to(self.searched + found + 1);
            line.truncate(line.len() - 1);
            self.searched = 0;
            if let Some(done) = self.take_line(&line) {
                return Some(done);
            }
        }
    }

    /// Drops the byte order mark of the stream and the LF of a CRLF that was cut; false while it cannot tell yet.
    fn skip_prefix(&mut self) -> bool {
        const MARK: &[u8] = b"\xEF\xBB\xBF";
        if self.at_start {
            if self.buffer.len() < MARK.len() && MARK.starts_with(&self.buffer) {
                return false;
            }
            if self.buffer.starts_with(MARK) {
                drop(self.buffer.split_to(MARK.len()));
            }
            self.at_start = false;
        }
        if self.after_cr && !self.buffer.is_empty() {
            self.after_cr = false;
            if self.buffer.starts_with(b"\n") {
                drop(self.buffer.split_to(1));
            }
        }
        true
    }

    fn check_open_line(&mut self) -> Option<Result<SseEvent, SseError>> {
        match self.skip {
            Skip::No if self.fits(self.buffer.len()) => None,
            Skip::No => {
                self.drop_open_line();
                Some(self.too_large(Skip::MidLine))
            }
            Skip::LineStart | Skip::MidLine => {
                if !self.buffer.is_empty() {
                    self.skip = Skip::MidLine;
                    self.drop_open_line();
                }
                None
            }
        }
    }

    fn drop_open_line(&mut self) {
        self.buffer.clear();
        self.searched = 0;
    }

    fn take_line(&mut self, line: &[u8]) -> Option<Result<SseEvent, SseError>> {
        match (self.skip, line.is_empty()) {
            (Skip::No, true) => return self.dispatch().map(Ok),
            (Skip::No, false) if !self.fits(line.len()) => {
                return Some(self.too_large(Skip::LineStart));
            }
            (Skip::No, false) => self.take_field(line),
            (Skip::LineStart, true) => self.skip = Skip::No,
            (Skip::LineStart | Skip::MidLine, _) => self.skip = Skip::LineStart,
        }
        None
    }

    fn fits(&self, line_bytes: usize) -> bool {
        self.data.len() + line_bytes <= self.event_bytes_max
    }

    fn too_large(&mut self, skip: Skip) -> Result<SseEvent, SseError> {
        self.forget();
        self.skip = skip;
        Err(SseError::TooLarge { max: self.event_bytes_max })
    }

    fn take_field(&mut self, line: &[u8]) {
        let (name, value) = match memchr::memchr(b':', line).and_then(|colon| line.split_at_checked(colon)) {
            Some((name, rest)) => {
                let value = rest.get(1..).unwrap_or_default();
                (name, value.strip_prefix(b" ").unwrap_or(value))
            }
            None => (line, &b""[..]),
        };
        match name {
            b"data" => {
                if self.has_data {
                    self.data.put_u8(b'\n');
                }
                self.data.put_slice(value);
                self.has_data = true;
            }
            b"id" if !value.contains(&0) && value.len() <= SSE_ID_BYTES_MAX => {
                self.id = Some(String::from_utf8_lossy(value).into());
            }
            b"event" => self.event = Some(String::from_utf8_lossy(value).into()),
            b"retry" if !value.is_empty() && value.iter().all(u8::is_ascii_digit) => {
                let retry_ms = std::str::from_utf8(value).ok().and_then(|digits| digits.parse().ok());
                self.event_retry_ms = retry_ms.or(self.event_retry_ms);
                self.retry_ms = retry_ms.or(self.retry_ms);
            }
            _ => (),
        }
    }

    /// Ends an event at its blank line. Without data it is none, but its id counts.
    fn dispatch(&mut self) -> Option<SseEvent> {
        if let Some(id) = &self.id {
            self.last_event_id.clone_from(id);
        }
        let event = self.has_data.then(|| SseEvent {
            id: self.id.take(),
            event: self.event.take(),
            data: self.data.split().freeze(),
            retry_ms: self.event_retry_ms,
        });
        self.forget();
        event
    }

    fn forget(&mut self) {
        self.data.clear();
        self.has_data = false;
        self.id = None;
        self.event = None;
        self.event_retry_ms = None;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MAX: usize = 40;

    const FRAGMENTS: &[&[u8]] = &[
        b"\n",
        b"\n\n",
        b"\r",
        b"\r\n",
        b":",
        b" ",
        b"data",
        b"data:a",
        b"id:",
        b"event",
        b"retry:1",
        b"\xef",
        b"\xbb",
        b"\xbf",
        b"\0",
        b"x",
        b"0123456789abcdef",
    ];

    /// Everything that a stream says, in order, one line each.
    fn decode(chunks: &[&[u8]]) -> Vec<String> {
        let mut decoder = SseDecoder::new(MAX);
        let mut said = Vec::new();
        for chunk in chunks {
            decoder.push(chunk);
            while let Some(event) = decoder.next_event() {
                said.push(match event {
                    Ok(event) => format!(
                        "id={} event={} retry={} data={}",
                        event.id().unwrap_or("-"),
                        event.event().unwrap_or("-"),
                        event.retry_ms().map_or("-".into(), |retry_ms| retry_ms.to_string()),
                        event.data().escape_ascii()
                    ),
                    Err(error) => error.to_string(),
                });
            }
        }
        said.push(format!("last={} retry={:?}", decoder.last_event_id(), decoder.retry_ms()));
        said
    }

    #[test]
    fn streams_are_read_as_the_specification_says() {
        let too_large = "event larger than 40 bytes; send less in one message";
        let cases: &[(&[u8], &[&str])] = &[
            (b"", &["last= retry=None"]),
            (b"data: a\n\n", &["id=- event=- retry=- data=a", "last= retry=None"]),
            (b"data: a\n", &["last= retry=None"]),
            (b"\xef\xbb\xbfdata: a\n\n", &["id=- event=- retry=- data=a", "last= retry=None"]),
            (b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n", &["last= retry=None"]),
            (b"data:a\rdata:b\r\r", &["id=- event=- retry=- data=a\\nb", "last= retry=None"]),
            (b"data:a\r\ndata:b\r\n\r\n", &["id=- event=- retry=- data=a\\nb", "last= retry=None"]),
            (b"data:  two\n\n", &["id=- event=- retry=- data= two", "last= retry=None"]),
            (b"data\n\n", &["id=- event=- retry=- data=", "last= retry=None"]),
            (b"data\ndata\n\n", &["id=- event=- retry=- data=\\n", "last= retry=None"]),
            (b"data:\n\n", &["id=- event=- retry=- data=", "last= retry=None"]),
            (b": comment\n:\n\ndata: a\n\n", &["id=- event=- retry=- data=a", "last= retry=None"]),
            (b"event: x\n\ndata: a\n\n", &["id=- event=- retry=- data=a", "last= retry=None"]),
            (b"event: x\nevent: y\ndata: a\n\n", &["id=- event=y retry=- data=a", "last= retry=None"]),
            (b"id: 1\ndata:\n\n", &["id=1 event=- retry=- data=", "last=1 retry=None"]),
            (b"id: 1\n\n", &["last=1 retry=None"]),
            (b"id: 1\n", &["last= retry=None"]),
            (
                b"id: 1\ndata:a\n\nid\ndata:b\n\n",
                &["id=1 event=- retry=- data=a", "id= event=- retry=- data=b", "last= retry=None"],
            ),
            (
                b"id: 1\ndata:a\n\ndata:b\n\n",
                &["id=1 event=- retry=- data=a", "id=- event=- retry=- data=b", "last=1 retry=None"],
            ),
            (b"id: a\0b\ndata:a\n\n", &["id=- event=- retry=- data=a", "last= retry=None"]),
            (b"retry: 500\n\n", &["last= retry=Some(500)"]),
            (b"retry: 500\ndata:a\n\n", &["id=- event=- retry=500 data=a", "last= retry=Some(500)"]),
            (b"retry: 5s\nretry:\nretry: -1\n\n", &["last= retry=None"]),
            (b"retry: 99999999999999999999\n\n", &["last= retry=None"]),
            (b"dat: a\nDATA: a\n data: a\nunknown\n\n", &["last= retry=None"]),
            (b"data:{\"a\":\"b:c\"}\n\n", &["id=- event=- retry=- data={\\\"a\\\":\\\"b:c\\\"}", "last= retry=None"]),
            (
                b"id: 7\ndata: 0123456789012345678901234567890123456789\n\ndata: a\n\n",
                &[too_large, "id=- event=- retry=- data=a", "last= retry=None"],
            ),
            (
                b"data: 0123456789012345678\ndata: 0123456789012345678\ndata: x\nid: 9\n\ndata: a\n\n",
                &[too_large, "id=- event=- retry=- data=a", "last= retry=None"],
            ),
        ];
        for (stream, expected) in cases {
            assert_eq!(decode(&[stream]), *expected, "{}", stream.escape_ascii());
        }
    }

    #[test]
    fn an_endless_event_is_not_kept() {
        let mut decoder = SseDecoder::new(MAX);
        let mut refused = 0;
        for _ in 0..1000 {
            decoder.push(b"data: xxxxxxxxxxxxxxxxxxxxxxxxxx\n: c\ndata");
            refused += std::iter::from_fn(|| decoder.next_event()).filter(Result::is_err).count();
            assert!(decoder.buffer.len() + decoder.data.len() <= MAX);
        }
        assert_eq!(refused, 1);
    }

    #[test]
    fn ids_that_would_break_the_framing_are_refused() {
        let event = || SseEvent::new(Bytes::from("x"));
        for id in ["a\nb", "a\rb", "a\0b", &"x".repeat(SSE_ID_BYTES_MAX + 1)] {
            assert_eq!(event().with_id(id), Err(SseError::BadField { field: "id" }));
        }
        assert_eq!(event().with_event("a\nb"), Err(SseError::BadField { field: "event" }));
    }

    #[test]
    fn events_are_written_one_field_a_line() {
        let event = SseEvent::new(Bytes::from("{\n\"a\":1\r\n}")).with_id("s1/4").unwrap().with_retry_ms(250);
        assert_eq!(event.encode(), "id: s1/4\nretry: 250\ndata: {\ndata: \"a\":1\ndata: }\n\n");
        assert_eq!(SseEvent::default().encode(), "data: \n\n");
        let mut decoder = SseDecoder::new(MAX);
        decoder.push(SSE_KEEP_ALIVE);
        assert_eq!(decoder.next_event(), None);
    }

    proptest! {
        #[test]
        fn every_cut_gives_the_same_events(
            stream in prop::collection::vec(prop::sample::select(FRAGMENTS), 0..40),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
            let stream = stream.concat();
            let mut cuts = cuts.iter().map(|cut| cut.index(stream.len() + 1)).collect::<Vec<_>>();
            cuts.push(stream.len());
            cuts.sort_unstable();
            let mut start = 0;
            let chunks = cuts.iter().map(|end| { let chunk = &stream[start..*end]; start = *end; chunk }).collect::<Vec<_>>();
            let whole = decode(&[&stream]);
            prop_assert_eq!(decode(&chunks), whole.clone());
            prop_assert_eq!(decode(&stream.chunks(1).collect::<Vec<_>>()), whole);
        }

        #[test]
        fn events_survive_the_stream(
            data in prop::collection::vec("[a{}: \u{e9}\n]{0,30}", 1..6),
            id in prop::option::of("[ a-z:0-9]{0,12}"),
            event in prop::option::of("[ a-z:]{0,12}"),
            retry_ms in prop::option::of(any::<u64>()),
        ) {
            let mut decoder = SseDecoder::new(usize::MAX);
            let mut sent = Vec::new();
            for data in data {
                let mut one = SseEvent::new(data.into());
                if let Some(id) = &id { one = one.with_id(id).unwrap(); }
                if let Some(event) = &event { one = one.with_event(event).unwrap(); }
                if let Some(retry_ms) = retry_ms { one = one.with_retry_ms(retry_ms); }
                decoder.push(&one.encode());
                sent.push(Ok(one));
            }
            prop_assert_eq!(std::iter::from_fn(|| decoder.next_event()).collect::<Vec<_>>(), sent);
            prop_assert_eq!(decoder.last_event_id(), id.as_deref().unwrap_or(""));
        }
    }
}
