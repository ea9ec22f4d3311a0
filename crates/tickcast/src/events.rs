//! The bytes of a stream inside an async runtime, for an HTTP body or for a task in the same
//! program.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_core::Stream;
use http_body::{Body, Frame};

use crate::hub::{Hub, Inner};
use crate::lane::BodySlot;
use crate::subscription::Subscription;

/// The bytes of one stream, payload by payload. Each payload is a whole number of events. Returned
/// by [`Hub::events`]. Make it the body of a response with the content type `text/event-stream`.
/// The type implements `http_body::Body` and `futures_core::Stream`, with the same bytes.
///
/// The first poll subscribes. Ticks that were published between the creation and the first poll
/// arrive as for any reader that fell behind. Dropping the value unsubscribes.
pub struct Events {
    at: BodyState,
    /// The bytes to send before all others.
    preamble: Option<Bytes>,
    /// A value that must live as long as the stream has a reader.
    feed: Option<Arc<dyn Send + Sync>>,
}

/// A subscription that a response carries beside its body. A server that writes to sockets itself
/// takes the subscription and drops the body. Handlers and middleware therefore need not know about
/// the two paths.
#[derive(Clone)]
pub(crate) struct Handoff {
    pub(crate) hub: Arc<Inner>,
    pub(crate) subscription: Subscription,
    pub(crate) preamble: Bytes,
    pub(crate) feed: Option<Arc<dyn Send + Sync>>,
}

enum BodyState {
    /// A stream that has not subscribed yet.
    NotStarted(Arc<Inner>, Subscription),
    /// A subscribed stream.
    Streaming(Arc<BodySlot>),
    End,
}

impl Hub {
    /// Returns the events of a subscription in wire format (Server-Sent Events). If the
    /// subscription is for a delayed viewer, and the hub has no delayed market for it yet, there
    /// are no events, and the stream ends at once.
    ///
    /// # Panics
    /// If the first poll happens outside a tokio runtime.
    #[must_use]
    pub fn events(&self, subscription: Subscription) -> Events {
        match self.behind(subscription.viewer.least_delay()) {
            Ok(hub) => Events::new(Arc::clone(hub.inner()), hub.started(subscription), None),
            Err(reason) => {
                tracing::debug!(%reason, "a stream in the same program ends at once");
                Events::ended()
            }
        }
    }
}

impl Events {
    pub(crate) fn new(
        hub: Arc<Inner>,
        subscription: Subscription,
        preamble: Option<Bytes>,
    ) -> Self {
        Self {
            at: BodyState::NotStarted(hub, subscription),
            preamble,
            feed: None,
        }
    }

    fn ended() -> Self {
        Self {
            at: BodyState::End,
            preamble: None,
            feed: None,
        }
    }

    pub(crate) fn keeping(mut self, feed: Arc<dyn Send + Sync>) -> Self {
        self.feed = Some(feed);
        self
    }

    /// Returns the same subscription for another writer, or `None` after the stream has subscribed.
    pub(crate) fn handoff(&self) -> Option<Handoff> {
        let BodyState::NotStarted(hub, subscription) = &self.at else {
            return None;
        };
        Some(Handoff {
            hub: Arc::clone(hub),
            subscription: subscription.clone(),
            preamble: self.preamble.clone().unwrap_or_default(),
            feed: self.feed.clone(),
        })
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        if let Some(preamble) = self.preamble.take() {
            return Poll::Ready(Some(preamble));
        }
        loop {
            match std::mem::replace(&mut self.at, BodyState::End) {
                BodyState::NotStarted(hub, subscription) => {
                    self.at = BodyState::Streaming(hub.open_body(subscription));
                }
                BodyState::Streaming(slot) => {
                    let polled = slot.poll(cx);
                    if !matches!(polled, Poll::Ready(None)) {
                        self.at = BodyState::Streaming(slot);
                    }
                    return polled;
                }
                BodyState::End => return Poll::Ready(None),
            }
        }
    }
}

impl std::fmt::Debug for Events {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let state = match &self.at {
            BodyState::NotStarted(..) => "not started",
            BodyState::Streaming(_) => "streaming",
            BodyState::End => "ended",
        };
        f.debug_tuple("Events").field(&state).finish()
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        if let BodyState::Streaming(slot) = &self.at {
            slot.abandon();
        }
    }
}

impl Body for Events {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.poll(cx)
            .map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

impl Stream for Events {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.poll(cx)
    }
}
