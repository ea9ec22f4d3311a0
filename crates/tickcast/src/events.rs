//! A stream's bytes on their way through an async runtime: what an HTTP body, or a task in the same program, reads.

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

/// The bytes of one stream, piece by piece, each a whole number of events. An [`http_body::Body`], and a
/// [`Stream`] of the same bytes.
///
/// It subscribes when it is first polled; what was published since it was made is then sent as to any reader who fell
/// behind. Dropping it unsubscribes.
pub struct Events {
    at: BodyState,
    /// Sent before anything else.
    preamble: Option<Bytes>,
    /// Kept alive as long as someone reads.
    feed: Option<Arc<dyn Send + Sync>>,
}

/// A subscription that a response carries beside its body, for a server that writes sockets itself: it takes this and
/// drops the body, so handlers and middleware know nothing of the two paths.
#[derive(Clone)]
pub(crate) struct Handoff {
    pub(crate) hub: Arc<Inner>,
    pub(crate) subscription: Subscription,
    pub(crate) preamble: Bytes,
    pub(crate) feed: Option<Arc<dyn Send + Sync>>,
}

enum BodyState {
    /// Not subscribed yet.
    NotStarted(Arc<Inner>, Subscription),
    /// Reading.
    Streaming(Arc<BodySlot>),
    End,
}

impl Hub {
    /// The events of a subscription as they go over the wire.
    ///
    /// # Panics
    /// When first polled outside a tokio runtime.
    #[must_use]
    pub fn events(&self, subscription: Subscription) -> Events {
        Events::new(Arc::clone(self.inner()), subscription.at(self.log().head()), None)
    }
}

impl Events {
    pub(crate) fn new(hub: Arc<Inner>, subscription: Subscription, preamble: Option<Bytes>) -> Self {
        Self { at: BodyState::NotStarted(hub, subscription), preamble, feed: None }
    }

    pub(crate) fn keeping(mut self, feed: Arc<dyn Send + Sync>) -> Self {
        self.feed = Some(feed);
        self
    }

    /// The same subscription for another writer; `None` once this one has begun.
    pub(crate) fn handoff(&self) -> Option<Handoff> {
        let BodyState::NotStarted(hub, subscription) = &self.at else { return None };
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
        self.poll(cx).map(|bytes| bytes.map(|bytes| Ok(Frame::data(bytes))))
    }
}

impl Stream for Events {
    type Item = Bytes;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        self.poll(cx)
    }
}
