//! Streams whose bytes go through an HTTP body, or to a task in the same program.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;

use super::{Buffered, Key, OneAtATime, Payload, Sink, WriteAttempt, WriteOutcome};

/// What the reader of a body does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BodyEvent {
    /// It can take bytes again.
    Ready,
    /// It has left.
    Closed,
}

/// Who is told what the reader of a body does.
pub(crate) trait BodyListener: Send + Sync {
    /// Notes what the reader of this stream does.
    fn notify(&self, key: Key, event: BodyEvent);
}

/// Where a lane leaves bytes for one reader: room for one piece, which is shared with everyone who is sent the same.
pub(crate) struct BodySlot {
    state: Mutex<State>,
    listener: Arc<dyn BodyListener>,
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
    pub(crate) fn new(listener: Arc<dyn BodyListener>) -> Arc<Self> {
        Arc::new(Self { state: Mutex::default(), listener })
    }

    /// Tells the slot its stream's number. Returns what its reader would have said, had it known it.
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

    /// There will be nothing more.
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
