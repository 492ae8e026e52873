//! MCP over the standard input and output of a child process.

use std::process::{ChildStdin, ChildStdout};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};

use super::{Answer, ClientError, INITIALIZED, initialize_params, push_call, push_request, read_answer};
use crate::limits::ANSWER_BYTES_MAX;

/// An initialised session over a child's pipes. Calls may overlap: [`StdioSession::send`] gives the id that [`StdioSession::receive`] answers.
#[derive(Debug)]
pub struct StdioSession {
    input: tokio::process::ChildStdin,
    line: Vec<u8>,
    next_id: u64,
    output: BufReader<tokio::process::ChildStdout>,
}

impl StdioSession {
    /// Initialises over the pipes of a child.
    ///
    /// # Errors
    /// When the child closes them, or refuses.
    pub async fn open(input: ChildStdin, output: ChildStdout) -> Result<Self, ClientError> {
        let mut session = Self {
            input: tokio::process::ChildStdin::from_std(input)?,
            line: Vec::new(),
            next_id: 1,
            output: BufReader::with_capacity(64 << 10, tokio::process::ChildStdout::from_std(output)?),
        };
        let mut request = Vec::new();
        push_request(&mut request, 0, "initialize", &initialize_params());
        session.write(request).await?;
        match session.receive().await? {
            (0, Answer::Done(_)) => (),
            _ => return Err(ClientError::Malformed("initialize was refused")),
        }
        session.write(INITIALIZED.as_bytes().to_vec()).await?;
        Ok(session)
    }

    /// Sends a call of `tool` and gives its id; the bytes of `arguments`, a JSON object, go as they are.
    ///
    /// # Errors
    /// When the child is gone.
    pub async fn send(&mut self, tool: &str, arguments: &str) -> Result<u64, ClientError> {
        let id = self.next_id;
        self.next_id += 1;
        let mut request = Vec::with_capacity(arguments.len() + 100);
        push_call(&mut request, id, tool, arguments);
        self.write(request).await?;
        Ok(id)
    }

    /// Takes back the call `id`: whether it is still answered is up to the server.
    ///
    /// # Errors
    /// When the child is gone.
    pub async fn cancel(&mut self, id: u64) -> Result<(), ClientError> {
        let message =
            format!(r#"{{"jsonrpc":"2.0","method":"notifications/cancelled","params":{{"requestId":{id}}}}}"#);
        self.write(message.into_bytes()).await
    }

    /// The next answer, and to which request. Notifications and requests of the server are passed over.
    ///
    /// # Errors
    /// When the child is gone or sends what is no message.
    pub async fn receive(&mut self) -> Result<(u64, Answer<'_>), ClientError> {
        loop {
            self.line.clear();
            self.read_line().await?;
            // Looked at twice because the borrow checker does not see that a passed-over message is not kept.
            if read_answer(&self.line)?.is_some() {
                break;
            }
        }
        read_answer(&self.line)?.ok_or(ClientError::Malformed("no answer"))
    }

    async fn read_line(&mut self) -> Result<(), ClientError> {
        loop {
            let chunk = self.output.fill_buf().await?;
            if chunk.is_empty() {
                return Err(ClientError::Closed);
            }
            let end = memchr::memchr(b'\n', chunk);
            let taken = end.map_or(chunk.len(), |at| at + 1);
            self.line.extend_from_slice(chunk.get(..taken).unwrap_or_default());
            self.output.consume(taken);
            if end.is_some() {
                return Ok(());
            }
            if self.line.len() > ANSWER_BYTES_MAX {
                return Err(ClientError::Malformed("the line is too large"));
            }
        }
    }

    async fn write(&mut self, mut message: Vec<u8>) -> Result<(), ClientError> {
        message.push(b'\n');
        self.input.write_all(&message).await?;
        Ok(self.input.flush().await?)
    }
}
