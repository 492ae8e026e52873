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
use super::outbox::Reading;
use crate::mcp::codec::SSE_KEEP_ALIVE;

/// The body of a response of [`super::McpEndpoint`].
#[derive(Debug)]
pub struct McpBody(Kind);

#[derive(Debug)]
enum Kind {
    Events(Events),
    Whole(Option<Bytes>),
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

    pub(super) const fn whole(bytes: Bytes) -> Self {
        Self(Kind::Whole(Some(bytes)))
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
            Kind::Whole(bytes) => bytes.take(),
        };
        Poll::Ready(frame.map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Events(events) => events.downstream.outbox().is_over(events.reading),
            Kind::Whole(bytes) => bytes.is_none(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Events(_) => SizeHint::default(),
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.as_ref().map_or(0, |bytes| bytes.len() as u64)),
        }
    }
}

impl Events {
    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let frame = self.downstream.outbox().poll_frame(self.reading, context);
        if frame.is_pending() && self.silence.as_mut().poll(context).is_pending() {
            return Poll::Pending;
        }
        self.silence.as_mut().reset(Instant::now() + self.keep_alive);
        match frame {
            Poll::Ready(frame) => Poll::Ready(frame),
            Poll::Pending => Poll::Ready(Some(Bytes::from_static(SSE_KEEP_ALIVE))),
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.downstream.outbox().cut(self.reading);
    }
}
