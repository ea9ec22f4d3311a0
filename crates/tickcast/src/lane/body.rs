//! Streams whose bytes go through an HTTP body, or to a task in the same program.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::{Buffered, Key, OneAtATime, Payload, Sink, WriteAttempt, WriteOutcome};

/// An event of the reader of a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyEvent {
    /// The slot has room for bytes again.
    Ready,
    /// The reader has left.
    Closed,
}

/// The receiver of events of body readers.
pub(crate) trait BodyListener: Send + Sync {
    /// Records an event of the reader of this stream.
    fn notify(&self, key: Key, event: BodyEvent);
}

/// The slot through which a lane passes bytes to one reader. It has room for one payload, whose
/// buffer is shared with all readers that are sent the same payload.
pub(crate) struct BodySlot {
    state: Mutex<State>,
    listener: Arc<dyn BodyListener>,
}

#[derive(Default)]
struct State {
    bytes: Option<Bytes>,
    /// Whether a write of the lane was refused. The lane waits to be notified of room.
    refused: bool,
    /// Whether the lane has ended the stream.
    ended: bool,
    /// Whether the reader has left.
    abandoned: bool,
    key: Option<Key>,
    waker: Option<Waker>,
}

impl BodySlot {
    pub(crate) fn new(listener: Arc<dyn BodyListener>) -> Arc<Self> {
        Arc::new(Self {
            state: Mutex::default(),
            listener,
        })
    }

    /// Attaches the key of the stream to the slot. Returns the event that the reader could not
    /// report without the key.
    pub(crate) fn attach(&self, key: Key) -> Option<BodyEvent> {
        let mut state = self.lock();
        state.key = Some(key);
        if state.abandoned {
            return Some(BodyEvent::Closed);
        }
        let missed = state.refused && state.bytes.is_none();
        state.refused &= !missed;
        missed.then_some(BodyEvent::Ready)
    }

    pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<Option<Bytes>> {
        let mut state = self.lock();
        if let Some(bytes) = state.bytes.take() {
            if let Some(key) = state.key.filter(|_| state.refused) {
                state.refused = false;
                drop(state);
                self.listener.notify(key, BodyEvent::Ready);
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

    /// Ends the stream: no more bytes follow.
    pub(crate) fn end(&self) {
        let mut state = self.lock();
        state.ended = true;
        let waker = state.waker.take();
        drop(state);
        waker.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn abandon(&self) {
        let mut state = self.lock();
        state.abandoned = true;
        state.bytes = None;
        if let Some(key) = state.key.filter(|_| !state.ended) {
            drop(state);
            self.listener.notify(key, BodyEvent::Closed);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No code that holds the lock can panic between two changes that belong together.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The lane's end of a [`BodySlot`].
pub(crate) struct BodySink(Arc<BodySlot>);

impl BodySink {
    pub(crate) const fn new(slot: Arc<BodySlot>) -> Self {
        Self(slot)
    }

    /// Returns the slot.
    pub(crate) const fn slot(&self) -> &Arc<BodySlot> {
        &self.0
    }
}

impl Drop for BodySink {
    /// Ends the body, because a reader must not wait for a lane that has ended.
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
        // The task that writes the body holds about as many bytes as the slot.
        let held = Buffered::of(state.bytes.as_ref().filter(|_| state.refused)?)?;
        Some(Buffered {
            bytes: 2 * held.bytes,
            ..held
        })
    }

    fn cut(&mut self) {
        self.0.end();
    }
}
