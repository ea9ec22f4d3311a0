//! A stream's bytes on their way through an async runtime: what an HTTP body, or a task in the same program, reads.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_core::Stream;
use http_body::{Body, Frame};

use crate::hub::Inner;
use crate::lane::{Buffered, Command, Inbox, Key, OneAtATime, Payload, Sink, WriteAttempt, WriteOutcome};
use crate::subscription::Subscription;

/// Where a lane leaves bytes for one reader: room for one piece, which is shared with everyone who is sent the same.
pub(crate) struct BodySlot {
    state: Mutex<State>,
    inbox: Arc<Inbox>,
}

#[derive(Default)]
struct State {
    bytes: Option<Bytes>,
    /// The lane was turned away and wants to know when there is room.
    refused: bool,
    /// The lane has nothing more.
    ended: bool,
    /// The reader has left.
    abandoned: bool,
    key: Option<Key>,
    waker: Option<Waker>,
}

impl BodySlot {
    pub(crate) fn new(inbox: Arc<Inbox>) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), inbox })
    }

    /// Tells the slot its stream's number. Returns what its reader would have said, had it known it.
    pub(crate) fn attach(&self, key: Key) -> Option<Command> {
        let mut state = self.lock();
        state.key = Some(key);
        if state.abandoned {
            return Some(Command::Close(key));
        }
        let missed = state.refused && state.bytes.is_none();
        state.refused &= !missed;
        missed.then_some(Command::Ready(key))
    }

    fn poll(&self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut state = self.lock();
        if let Some(bytes) = state.bytes.take() {
            if let Some(key) = state.key.filter(|_| state.refused) {
                state.refused = false;
                drop(state);
                self.inbox.send(Command::Ready(key));
            }
            return Poll::Ready(Some(bytes));
        }
        if state.ended {
            return Poll::Ready(None);
        }
        match &mut state.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            empty => *empty = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// There will be nothing more.
    pub(crate) fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }

    fn abandon(&self) {
        let mut state = self.lock();
        state.abandoned = true;
        state.bytes = None;
        if let Some(key) = state.key.filter(|_| !state.ended) {
            drop(state);
            self.inbox.send(Command::Close(key));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing in here can panic between two changes that belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The lane's end of a [`BodySlot`].
pub(crate) struct BodySink(Arc<BodySlot>);

impl BodySink {
    pub(crate) const fn new(slot: Arc<BodySlot>) -> Self {
        Self(slot)
    }
}

impl Drop for BodySink {
    /// A reader whose lane is gone must not wait for it.
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Sink for BodySink {
    type BatchWriter = OneAtATime;

    fn try_write(&self, payload: &Payload) -> WriteAttempt {
        let mut state = self.0.lock();
        if state.abandoned {
            return WriteAttempt::Gone;
        }
        if state.bytes.is_some() {
            state.refused = true;
            return WriteAttempt::Refused;
        }
        state.bytes = Some(payload.share(payload.events()));
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
        WriteAttempt::Sent(payload.len())
    }

    fn resume(&mut self) -> WriteOutcome {
        WriteOutcome::Taken
    }

    fn end(&mut self) -> WriteOutcome {
        self.0.end();
        WriteOutcome::Taken
    }

    fn buffered(&self) -> Option<Buffered> {
        let state = self.0.lock();
        // Whoever writes the body holds about as much as waits here.
        let held = Buffered::of(state.bytes.as_ref().filter(|_| state.refused)?)?;
        Some(Buffered { bytes: 2 * held.bytes, ..held })
    }

    fn cut(&mut self) {
        self.0.end();
    }
}

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
