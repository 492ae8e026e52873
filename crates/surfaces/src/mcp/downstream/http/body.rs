//! The body of a response: nothing, one message, or a stream that lives as long as its client reads.

use std::convert::Infallible;
use std::future::Future as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};
use tokio::time::{Instant, Sleep, sleep};

use super::HttpDownstream;
use super::mailbox::Mailbox;
use super::outbox::Reading;
use crate::mcp::codec::SSE_KEEP_ALIVE;
use crate::mcp::downstream::Message;

/// The body of a response of [`super::McpEndpoint`].
#[derive(Debug)]
pub struct McpBody(Kind);

#[derive(Debug)]
enum Kind {
    Events(Events),
    Mail(Mail),
    Whole(Option<Message>),
}

/// The stream of one request that stands alone.
#[derive(Debug)]
struct Mail {
    keep_alive: Duration,
    mailbox: Arc<Mailbox>,
    silence: Pin<Box<Sleep>>,
}

#[derive(Debug)]
struct Events {
    downstream: Arc<HttpDownstream>,
    keep_alive: Duration,
    reading: Reading,
    silence: Pin<Box<Sleep>>,
}

impl McpBody {
    pub(super) const fn empty() -> Self {
        Self(Kind::Whole(None))
    }

    pub(super) const fn whole(message: Message) -> Self {
        Self(Kind::Whole(Some(message)))
    }

    pub(super) fn mail(mailbox: Arc<Mailbox>) -> Self {
        let keep_alive = mailbox.limits().keep_alive;
        Self(Kind::Mail(Mail { keep_alive, mailbox, silence: Box::pin(sleep(keep_alive)) }))
    }

    pub(super) fn events(downstream: Arc<HttpDownstream>, reading: Reading) -> Self {
        let keep_alive = downstream.limits().keep_alive;
        Self(Kind::Events(Events { downstream, keep_alive, reading, silence: Box::pin(sleep(keep_alive)) }))
    }
}

impl Body for McpBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let frame = match &mut self.0 {
            Kind::Events(events) => std::task::ready!(events.poll_next(context)),
            Kind::Mail(mail) => std::task::ready!(mail.poll_next(context)),
            Kind::Whole(message) => message.take().map(Message::hand_over),
        };
        Poll::Ready(frame.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Events(events) => events.downstream.outbox().is_over(events.reading),
            Kind::Mail(mail) => mail.mailbox.is_over(),
            Kind::Whole(message) => message.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Events(_) | Kind::Mail(_) => SizeHint::default(),
            Kind::Whole(message) => {
                SizeHint::with_exact(message.as_ref().map_or(0, |message| message.bytes.len() as u64))
            }
        }
    }
}

impl Events {
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let frame = self.downstream.outbox().poll_frame(self.reading, context);
        kept_alive(frame, &mut self.silence, self.keep_alive, context)
    }
}

impl Mail {
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let frame = self.mailbox.poll_frame(context);
        kept_alive(frame, &mut self.silence, self.keep_alive, context)
    }
}

impl Drop for Mail {
    fn drop(&mut self) {
        if !self.mailbox.is_over() {
            self.mailbox.leave();
        }
    }
}

/// The frame, or a comment where there has been none for long.
fn kept_alive(
    frame: Poll<Option<Bytes>>,
    silence: &mut Pin<Box<Sleep>>,
    keep_alive: Duration,
    context: &mut Context<'_>,
) -> Poll<Option<Bytes>> {
    if frame.is_pending() && silence.as_mut().poll(context).is_pending() {
        return Poll::Pending;
    }
    silence.as_mut().reset(Instant::now() + keep_alive);
    match frame {
        Poll::Ready(frame) => Poll::Ready(frame),
        Poll::Pending => Poll::Ready(Some(Bytes::from_static(SSE_KEEP_ALIVE))),
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.downstream.outbox().cut(self.reading);
    }
}
