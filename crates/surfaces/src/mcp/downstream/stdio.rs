//! An agent's client on a pair of byte streams: newline-delimited messages, over pipes or a local socket.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::{Address, Downstream, Gone, Message};
use crate::govern::Session;
use crate::limits::{DRAIN_MS, OUTGOING_MAX, READ_CHUNK_BYTES, ReadLimits};
use crate::mcp::codec::strict::StrictReader;
use crate::mcp::codec::{Envelope, EnvelopeError, LineDecoder, author, batch, encode_line};
use crate::mcp::era::Revision;
use crate::mcp::session::{AgentSession, Received};

/// Writes messages for the agent as lines.
#[derive(Clone, Debug)]
pub struct StdioDownstream {
    outgoing: mpsc::Sender<Message>,
}

impl StdioDownstream {
    /// Starts a writer on `stream`.
    pub fn start(stream: impl AsyncWrite + Send + Unpin + 'static) -> Self {
        let (outgoing, to_write) = mpsc::channel(OUTGOING_MAX);
        tokio::spawn(write(stream, to_write));
        Self { outgoing }
    }
}

impl Downstream for StdioDownstream {
    async fn deliver(&self, _: Address<'_>, message: impl Into<Message> + Send) -> Result<(), Gone> {
        let Message { bytes, receipt } = message.into();
        self.outgoing.send(Message { bytes: encode_line(&bytes), receipt }).await.map_err(|_| Gone)
    }
}

async fn write(mut stream: impl AsyncWrite + Unpin, mut to_write: mpsc::Receiver<Message>) {
    while let Some(line) = to_write.recv().await {
        if stream.write_all(&line.bytes).await.is_err() || stream.flush().await.is_err() {
            return;
        }
        // Before anything else is read: what the client sends once it has the answer must find that it has it.
        line.hand_over();
    }
    let _gone = stream.shutdown().await;
}

/// Takes a line: a message, or in revision 2025-03-26 an array of them.
async fn take<S: Session>(
    session: &Arc<AgentSession<S, StdioDownstream>>,
    line: Bytes,
    reader: &mut StrictReader,
    answers: &mut JoinSet<()>,
) -> Result<(), EnvelopeError> {
    if batch::is_batch(&line) && session.revision().is_some_and(Revision::has_batches) {
        let taken = session.receive_batch(batch::split(&line, reader)?).await;
        answers.spawn(session.clone().answer_batch(taken));
    } else if let Received::Request(admitted) = session.receive(Envelope::read(line, reader)?).await {
        let session = session.clone();
        answers.spawn(async move { session.answer(admitted).await });
    }
    Ok(())
}

/// Serves the agent on `stream` until it closes it or `stop` resolves; then finishes or records what is in flight and ends the upstream.
pub async fn serve<S: Session>(
    session: Arc<AgentSession<S, StdioDownstream>>,
    mut stream: impl AsyncRead + Unpin,
    stop: impl Future<Output = ()>,
) {
    let mut answers = JoinSet::new();
    let mut lines = LineDecoder::new(ReadLimits::REQUEST.bytes_max);
    let mut reader = StrictReader::new(ReadLimits::REQUEST);
    let mut chunk = BytesMut::with_capacity(READ_CHUNK_BYTES);
    tokio::pin!(stop);
    let is_stopped = loop {
        let read = tokio::select! {
            read = stream.read_buf(&mut chunk) => read,
            () = &mut stop => break true,
        };
        if !matches!(read, Ok(1..)) {
            break false;
        }
        lines.push(&chunk);
        chunk.clear();
        while let Some(line) = lines.next_line() {
            let refusal = match line {
                Ok(line) => match take(&session, line, &mut reader, &mut answers).await {
                    Ok(()) => continue,
                    Err(error) => {
                        session.malformed_by_agent(&error);
                        error.reply()
                    }
                },
                Err(error) => {
                    session.unread_from_agent(&error);
                    author::error_reply(None, author::PARSE_ERROR, &error.to_string(), None)
                }
            };
            let _gone = session.downstream().deliver(Address::Unsolicited, refusal).await;
        }
        while answers.try_join_next().is_some() {}
    };
    session.leave_parked();
    let drained =
        tokio::time::timeout(Duration::from_millis(DRAIN_MS), async { while answers.join_next().await.is_some() {} })
            .await;
    if !is_stopped {
        // What people approved and the upstream has goes on without its client, unless the gateway stops.
        tokio::select! {
            () = session.kept_are_done() => {}
            () = &mut stop => {}
        }
    }
    // Ending the upstream fails what still waits for it, and each such call is recorded as unknown.
    session.upstream().close().await;
    if drained.is_err() {
        while answers.join_next().await.is_some() {}
    }
    session.end().await;
}
