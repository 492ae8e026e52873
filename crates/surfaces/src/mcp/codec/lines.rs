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
