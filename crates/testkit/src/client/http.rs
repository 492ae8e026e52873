//! Streamable HTTP over one kept connection: HTTP/1.1 written by hand, answers as JSON or as a stream of events.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{Answer, ClientError, INITIALIZED, REVISION, initialize_params, push_call, push_request, read_answer};
use crate::limits::{ANSWER_BYTES_MAX, HEAD_BYTES_MAX};

/// An MCP endpoint.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where it listens.
    pub addr: SocketAddr,
    /// The endpoint's path.
    pub path: String,
    /// The run token to present.
    pub token: Option<String>,
}

/// An initialised session with one call in flight at most.
#[derive(Debug)]
pub struct HttpSession {
    /// The request up to and including `Content-Length: `.
    head: Vec<u8>,
    next_id: u64,
    request: Vec<u8>,
    response: Response,
    stream: TcpStream,
    target: Target,
}

impl HttpSession {
    /// Connects and initialises.
    ///
    /// # Errors
    /// When there is no connection, or the peer refuses.
    pub async fn open(target: &Target) -> Result<Self, ClientError> {
        let stream = TcpStream::connect(target.addr).await?;
        stream.set_nodelay(true)?;
        let mut session = Self {
            head: head(target, None),
            next_id: 1,
            request: Vec::new(),
            response: Response::default(),
            stream,
            target: target.clone(),
        };
        let mut body = Vec::new();
        push_request(&mut body, 0, "initialize", &initialize_params());
        session.post(&body).await?;
        if let Answer::Refused(_) | Answer::ToolError(_) = session.response.answer(0)? {
            return Err(ClientError::Malformed("initialize was refused"));
        }
        let id = session.response.session.take();
        session.head = head(&session.target, id.as_deref());
        session.post(INITIALIZED.as_bytes()).await?;
        match session.response.status {
            202 => Ok(session),
            _ => Err(session.response.refused()),
        }
    }

    /// Calls `tool`; the bytes of `arguments`, a JSON object, go as they are.
    ///
    /// # Errors
    /// When no answer comes. Whether the call was executed is then unknown.
    pub async fn call(&mut self, tool: &str, arguments: &str) -> Result<Answer<'_>, ClientError> {
        let id = self.next_id;
        self.next_id += 1;
        let mut body = std::mem::take(&mut self.request);
        body.clear();
        push_call(&mut body, id, tool, arguments);
        let posted = self.post(&body).await;
        self.request = body;
        posted?;
        self.response.answer(id)
    }

    /// Ends the session at the peer.
    ///
    /// # Errors
    /// When the connection fails. A peer that does not end sessions (405) is taken as it is.
    pub async fn close(mut self) -> Result<(), ClientError> {
        let post = memchr::memmem::find(&self.head, b" ").unwrap_or_default();
        let mut out = b"DELETE".to_vec();
        out.extend_from_slice(self.head.get(post..).unwrap_or_default());
        out.extend_from_slice(b"0\r\n\r\n");
        self.stream.write_all(&out).await?;
        self.response.read(&mut self.stream).await?;
        match self.response.status {
            200..=299 | 405 => Ok(()),
            _ => Err(self.response.refused()),
        }
    }

    async fn post(&mut self, body: &[u8]) -> Result<(), ClientError> {
        let mut out = Vec::with_capacity(self.head.len() + body.len() + 12);
        out.extend_from_slice(&self.head);
        out.extend_from_slice(body.len().to_string().as_bytes());
        out.extend_from_slice(b"\r\n\r\n");
        out.extend_from_slice(body);
        self.stream.write_all(&out).await?;
        self.response.read(&mut self.stream).await
    }
}

fn head(target: &Target, session: Option<&str>) -> Vec<u8> {
    let Target { addr, path, token } = target;
    let token = token.as_ref().map(|token| format!("Authorization: Bearer {token}\r\n")).unwrap_or_default();
    let session =
        session.map(|id| format!("Mcp-Session-Id: {id}\r\nMCP-Protocol-Version: {REVISION}\r\n")).unwrap_or_default();
    format!(
        "POST {path} HTTP/1.1\r\nHost: {addr}\r\nAccept: application/json, text/event-stream\r\n\
         Content-Type: application/json\r\n{token}{session}Content-Length: "
    )
    .into_bytes()
}

/// One HTTP response, its buffers used again for the next.
#[derive(Debug, Default)]
struct Response {
    body: Vec<u8>,
    /// What was read and not yet taken.
    buffer: Vec<u8>,
    is_stream: bool,
    /// The message of a stream that is the answer.
    message: Vec<u8>,
    session: Option<String>,
    status: u16,
}

/// How a body ends.
enum Framing {
    Length(usize),
    Chunked,
}

impl Response {
    async fn read(&mut self, stream: &mut TcpStream) -> Result<(), ClientError> {
        let end = loop {
            if let Some(at) = memchr::memmem::find(&self.buffer, b"\r\n\r\n") {
                break at + 4;
            }
            if self.buffer.len() > HEAD_BYTES_MAX {
                return Err(ClientError::Malformed("the head is too large"));
            }
            self.fill(stream).await?;
        };
        let framing = self.read_head(end)?;
        self.buffer.drain(..end);
        self.body.clear();
        match framing {
            Framing::Length(bytes) => self.take(stream, bytes).await,
            Framing::Chunked => loop {
                let bytes = self.chunk_size(stream).await?;
                self.take(stream, bytes).await?;
                self.skip_line_end(stream).await?;
                if bytes == 0 {
                    return Ok(());
                }
            },
        }
    }

    fn read_head(&mut self, end: usize) -> Result<Framing, ClientError> {
        let head = self.buffer.get(..end).and_then(|head| std::str::from_utf8(head).ok());
        let mut lines = head.ok_or(ClientError::Malformed("the head is not text"))?.split("\r\n");
        let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
        self.status = status.ok_or(ClientError::Malformed("no status line"))?;
        self.is_stream = false;
        self.session = None;
        let mut framing = Framing::Length(0);
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            let value = value.trim();
            if name.eq_ignore_ascii_case("content-length") {
                framing = Framing::Length(value.parse().map_err(|_| ClientError::Malformed("bad content length"))?);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                framing = Framing::Chunked;
            } else if name.eq_ignore_ascii_case("content-type") {
                self.is_stream = value.starts_with("text/event-stream");
            } else if name.eq_ignore_ascii_case("mcp-session-id") {
                self.session = Some(value.to_owned());
            }
        }
        Ok(framing)
    }

    /// Moves `bytes` of the body out of the buffer, reading what is missing.
    async fn take(&mut self, stream: &mut TcpStream, bytes: usize) -> Result<(), ClientError> {
        if self.body.len() + bytes > ANSWER_BYTES_MAX {
            return Err(ClientError::Malformed("the answer is too large"));
        }
        while self.buffer.len() < bytes {
            self.fill(stream).await?;
        }
        self.body.extend(self.buffer.drain(..bytes));
        Ok(())
    }

    async fn chunk_size(&mut self, stream: &mut TcpStream) -> Result<usize, ClientError> {
        loop {
            if let Some(at) = memchr::memchr(b'\n', &self.buffer) {
                let line = self.buffer.get(..at).and_then(|line| std::str::from_utf8(line).ok()).unwrap_or_default();
                let digits = line.split(';').next().unwrap_or_default().trim();
                let size = usize::from_str_radix(digits, 16).map_err(|_| ClientError::Malformed("bad chunk size"))?;
                self.buffer.drain(..=at);
                return Ok(size);
            }
            if self.buffer.len() > HEAD_BYTES_MAX {
                return Err(ClientError::Malformed("a chunk without a size"));
            }
            self.fill(stream).await?;
        }
    }

    async fn skip_line_end(&mut self, stream: &mut TcpStream) -> Result<(), ClientError> {
        while self.buffer.len() < 2 {
            self.fill(stream).await?;
        }
        self.buffer.drain(..2);
        Ok(())
    }

    async fn fill(&mut self, stream: &mut TcpStream) -> Result<(), ClientError> {
        self.buffer.reserve(16 << 10);
        match stream.read_buf(&mut self.buffer).await? {
            0 => Err(ClientError::Closed),
            _ => Ok(()),
        }
    }

    /// The answer to request `id`.
    fn answer(&mut self, id: u64) -> Result<Answer<'_>, ClientError> {
        if self.status != 200 {
            return Err(self.refused());
        }
        if self.is_stream && !find_in_events(&self.body, id, &mut self.message)? {
            return Err(ClientError::Malformed("the stream ended without the answer"));
        }
        let message = if self.is_stream { &self.message } else { &self.body };
        match read_answer(message)? {
            Some((answered, answer)) if answered == id => Ok(answer),
            _ => Err(ClientError::Malformed("the answer to another request")),
        }
    }

    fn refused(&self) -> ClientError {
        let body = self.body.get(..self.body.len().min(200)).unwrap_or_default();
        ClientError::Status { status: self.status, body: String::from_utf8_lossy(body).into_owned() }
    }
}

/// Copies the message that answers `id` out of a whole stream of events; false if there is none.
fn find_in_events(body: &[u8], id: u64, message: &mut Vec<u8>) -> Result<bool, ClientError> {
    message.clear();
    for line in body.split(|byte| *byte == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line)) {
        if let Some(data) = line.strip_prefix(b"data:") {
            // The event that opens a stream has an id and no message.
            message.extend_from_slice(data.trim_ascii_start());
        } else if line.is_empty() && !message.is_empty() {
            if let Some((answered, _)) = read_answer(message)?
                && answered == id
            {
                return Ok(true);
            }
            message.clear();
        }
    }
    Ok(false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_found_among_events() {
        let body = b"id: 1-0\ndata: \n\nid: 1-1\ndata: {\"method\":\"notifications/progress\"}\n\n: ping\n\n\
                     data: {\"id\":7,\"result\":{\"a\":1}}\n\nretry: 10\n\n";
        let mut message = Vec::new();
        assert!(find_in_events(body, 7, &mut message).unwrap());
        assert_eq!(message, br#"{"id":7,"result":{"a":1}}"#);
        assert!(!find_in_events(body, 8, &mut message).unwrap());
    }
}
