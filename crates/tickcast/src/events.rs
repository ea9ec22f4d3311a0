//! A stream's bytes on their way through an async runtime: what an HTTP body, or a task in the same program, reads.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
use futures_core::Stream;
use http_body::{Body, Frame};

use crate::hub::Inner;
use crate::lane::{Command, Held, Inbox, Key, Offered, OneByOne, Piece, Sink, Written};
use crate::subscription::Subscription;

/// Where a lane leaves bytes for one reader: room for one piece, which is shared with everyone who is sent the same.
pub(crate) struct Slot {
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

impl Slot {
    pub(crate) fn new(inbox: Arc<Inbox>) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), inbox })
    }

    /// Tells the slot its stream's number. Returns what its reader would have said, had it known it.
    pub(crate) fn seat(&self, key: Key) -> Option<Command> {
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

/// The lane's end of a [`Slot`].
pub(crate) struct BodySink(Arc<Slot>);

impl BodySink {
    pub(crate) const fn new(slot: Arc<Slot>) -> Self {
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
    type Carrier = OneByOne;

    fn offer(&self, piece: &Piece) -> Offered {
        let mut state = self.0.lock();
        if state.abandoned {
            return Offered::Gone;
        }
        if state.bytes.is_some() {
            state.refused = true;
            return Offered::Refused;
        }
        state.bytes = Some(piece.share(piece.events()));
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
        Offered::Sent(piece.len())
    }

    fn resume(&mut self) -> Written {
        Written::Taken
    }

    fn end(&mut self) -> Written {
        self.0.end();
        Written::Taken
    }

    fn held(&self) -> Option<Held> {
        let state = self.0.lock();
        // Whoever writes the body holds about as much as waits here.
        let held = Held::of(state.bytes.as_ref().filter(|_| state.refused)?)?;
        Some(Held { bytes: 2 * held.bytes, ..held })
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
    at: At,
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

enum At {
    /// Not subscribed yet.
    Door(Arc<Inner>, Subscription),
    /// Reading.
    Inside(Arc<Slot>),
    End,
}

impl Events {
    pub(crate) fn new(hub: Arc<Inner>, subscription: Subscription, preamble: Option<Bytes>) -> Self {
        Self { at: At::Door(hub, subscription), preamble, feed: None }
    }

    pub(crate) fn keeping(mut self, feed: Arc<dyn Send + Sync>) -> Self {
        self.feed = Some(feed);
        self
    }

    /// The same subscription for another writer; `None` once this one has begun.
    pub(crate) fn handoff(&self) -> Option<Handoff> {
        let At::Door(hub, subscription) = &self.at else { return None };
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
            match std::mem::replace(&mut self.at, At::End) {
                At::Door(hub, subscription) => self.at = At::Inside(hub.open_body(subscription)),
                At::Inside(slot) => {
                    let polled = slot.poll(cx);
                    if !matches!(polled, Poll::Ready(None)) {
                        self.at = At::Inside(slot);
                    }
                    return polled;
                }
                At::End => return Poll::Ready(None),
            }
        }
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        if let At::Inside(slot) = &self.at {
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
