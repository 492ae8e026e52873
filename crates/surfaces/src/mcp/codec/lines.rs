//! The stdio framing of MCP: one message a line, no raw line feed inside (Transports, stdio).
//!
//! [`LineDecoder`] takes chunks as they come from a pipe and gives whole lines. A line that is too long is reported
//! once and skipped, so one hostile message does not end the session. It holds at most one line and one chunk.

use bytes::{Bytes, BytesMut};
use thiserror::Error;

/// Cuts a byte stream into lines.
#[derive(Debug)]
pub struct LineDecoder {
    line_bytes_max: usize,
    buffer: BytesMut,
    /// Bytes at the start of `buffer` that are known to hold no line feed.
    searched: usize,
    /// The rest of the current line belongs to one that was already reported as too long.
    skipping: bool,
}

/// What can be wrong with a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum LineError {
    /// The line is too long; the decoder goes on with the next.
    #[error("line longer than {max} bytes; send less in one message")]
    TooLong {
        /// The limit in force, without the line ending.
        max: usize,
    },
}

impl LineDecoder {
    /// A decoder for lines of at most `line_bytes_max` bytes, line ending not counted.
    pub fn new(line_bytes_max: usize) -> Self {
        Self { line_bytes_max, buffer: BytesMut::new(), searched: 0, skipping: false }
    }

    /// Takes what was read. Take all lines out before the next push, else the buffer grows.
    pub fn push(&mut self, chunk: &[u8]) {
        self.buffer.extend_from_slice(chunk);
    }

    /// The next whole line without its ending (LF or CRLF); empty lines are left out. `None`: push more.
    pub fn next_line(&mut self) -> Option<Result<Bytes, LineError>> {
        loop {
            let unseen = self.buffer.get(self.searched..).unwrap_or_default();
            let Some(found) = memchr::memchr(b'\n', unseen) else {
                self.searched = self.buffer.len();
                return self.check_open_line();
            };
            let mut line = self.buffer.split_to(self.searched + found + 1);
            self.searched = 0;
            line.truncate(line.len() - 1);
            if line.last() == Some(&b'\r') {
                line.truncate(line.len() - 1);
            }
            if std::mem::take(&mut self.skipping) || line.is_empty() {
                continue;
            }
            if line.len() > self.line_bytes_max {
                return Some(self.too_long());
            }
            return Some(Ok(line.freeze()));
        }
    }

    /// Reports a line as too long before its end has come, as soon as no ending could make it short enough.
    fn check_open_line(&mut self) -> Option<Result<Bytes, LineError>> {
        let may_lose = usize::from(self.buffer.last() == Some(&b'\r'));
        if !self.skipping && self.buffer.len() - may_lose <= self.line_bytes_max {
            return None;
        }
        self.buffer.clear();
        self.searched = 0;
        if std::mem::replace(&mut self.skipping, true) { None } else { Some(self.too_long()) }
    }

    fn too_long(&self) -> Result<Bytes, LineError> {
        Err(LineError::TooLong { max: self.line_bytes_max })
    }

    /// What came after the last line feed, when the stream has ended. A message that is whole in spite of the missing
    /// line feed is readable, one that was cut is not: the strict reader tells.
    pub fn finish(mut self) -> Option<Bytes> {
        if self.buffer.last() == Some(&b'\r') {
            self.buffer.truncate(self.buffer.len() - 1);
        }
        let whole = !self.skipping && !self.buffer.is_empty() && self.buffer.len() <= self.line_bytes_max;
        whole.then(|| self.buffer.freeze())
    }
}

/// The message with its line feed, ready to be written to a pipe.
pub fn encode_line(message: &Bytes) -> Bytes {
    let line = single_line(message.clone());
    let mut encoded = Vec::with_capacity(line.len() + 1);
    encoded.extend_from_slice(&line);
    encoded.push(b'\n');
    encoded.into()
}

/// The message without raw line endings, for a caller that writes the line feed itself; shares memory if there are none.
///
/// In valid JSON they are white space between tokens, so leaving them out changes no value. Bytes that are not valid
/// JSON and have one inside a string would change, but still could not become two lines.
pub fn single_line(message: Bytes) -> Bytes {
    if memchr::memchr2(b'\n', b'\r', &message).is_none() {
        return message;
    }
    message.iter().copied().filter(|byte| !matches!(byte, b'\n' | b'\r')).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::samples::{any_value, written};
    use super::*;

    const MAX: usize = 8;

    fn decode(chunks: &[&[u8]]) -> (Vec<Result<Bytes, LineError>>, Option<Bytes>) {
        let mut decoder = LineDecoder::new(MAX);
        let mut lines = Vec::new();
        for chunk in chunks {
            decoder.push(chunk);
            lines.extend(std::iter::from_fn(|| decoder.next_line()));
        }
        (lines, decoder.finish())
    }

    #[test]
    fn lines_come_out_whole() {
        let too_long = Err(LineError::TooLong { max: MAX });
        let line = |text: &'static str| Ok(Bytes::from(text));
        for (stream, expected, rest) in [
            ("", vec![], None),
            ("{}\n[]\n", vec![line("{}"), line("[]")], None),
            ("{}\r\n\r\n\n[]\r\n", vec![line("{}"), line("[]")], None),
            ("{}\n[]", vec![line("{}")], Some("[]")),
            ("{}\n[]\r", vec![line("{}")], Some("[]")),
            ("12345678\n", vec![line("12345678")], None),
            ("12345678\r\n", vec![line("12345678")], None),
            ("1234567\r\r\n", vec![line("1234567\r")], None),
            ("123456789\n1\n", vec![too_long.clone(), line("1")], None),
            ("12345678\r\r\n1\n", vec![too_long.clone(), line("1")], None),
            ("12345678\r9", vec![too_long.clone()], None),
            ("1234567890123456789012345\n1\n", vec![too_long.clone(), line("1")], None),
            ("123456789", vec![too_long.clone()], None),
            ("12345678", vec![], Some("12345678")),
            ("12345678\r", vec![], Some("12345678")),
            ("123456789\n123456789\r\n1\n", vec![too_long.clone(), too_long.clone(), line("1")], None),
        ] {
            let (lines, finish) = decode(&[stream.as_bytes()]);
            assert_eq!((lines, finish.as_deref()), (expected, rest.map(str::as_bytes)), "{stream:?}");
        }
    }

    #[test]
    fn an_endless_line_is_not_kept() {
        let mut decoder = LineDecoder::new(MAX);
        for _ in 0..1000 {
            decoder.push(&[b'x'; 100]);
            let _ = decoder.next_line();
            assert!(decoder.buffer.len() <= MAX);
        }
        decoder.push(b"\nok\n");
        assert_eq!(decoder.next_line(), Some(Ok(Bytes::from("ok"))));
    }

    #[test]
    fn a_message_on_one_line_shares_its_memory() {
        let message = Bytes::from(r#"{"a":"\n"}"#);
        assert_eq!(single_line(message.clone()).as_ptr(), message.as_ptr());
        assert_eq!(encode_line(&message), "{\"a\":\"\\n\"}\n");
        assert_eq!(encode_line(&Bytes::from("{\r\n  \"a\": 1\n}\n")), "{  \"a\": 1}\n");
    }

    proptest! {
        #[test]
        fn every_cut_gives_the_same_lines(
            stream in prop::collection::vec(prop::sample::select(&b"\n\n\r\rabc"[..]), 0..80),
            cuts in prop::collection::vec(any::<prop::sample::Index>(), 0..12),
        ) {
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
        fn messages_survive_the_pipe(values in prop::collection::vec(any_value(), 0..5), seed: u64) {
            let mut decoder = LineDecoder::new(usize::MAX);
            for value in &values {
                decoder.push(&encode_line(&written(value, seed).into()));
            }
            let lines = std::iter::from_fn(|| decoder.next_line());
            let read = lines.map(|line| serde_json::from_slice::<serde_json::Value>(&line.unwrap()).unwrap());
            prop_assert_eq!(read.collect::<Vec<_>>(), values);
            prop_assert_eq!(decoder.finish(), None);
        }
    }
}
