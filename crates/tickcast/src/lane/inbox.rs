//! The inbox of a lane: commands from other tasks.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tickcast_core::Seq;

use super::body::{BodyEvent, BodyListener, BodySink};
use super::{HistoryResponse, Key};
use crate::doorbell::Doorbell;
use crate::hub::PreparedFilter;
use crate::stats::StreamStats;
use crate::subscription::{EditError, Effective, PreparedStream, StreamId, Subscription};

/// A command for a lane.
#[expect(
    clippy::large_enum_variant,
    reason = "a storm of new streams is the only time with many commands, and a box for each would scatter its memory"
)]
pub(crate) enum Command {
    /// Opens a stream.
    Open(NewStream, Subscription),
    /// Reports that a sink can accept bytes again.
    Ready(Key),
    /// Reports that a reader has left.
    Close(Key),
    /// Changes a stream, if the stream is in this lane.
    Change(Box<Change>),
    /// Delivers a payload from the tape on disk that the lane requested.
    History(Box<HistoryResponse>),
    /// Ends the streams of viewers that may no longer read.
    Revoke,
    /// Lists at most this number of streams.
    List(usize, tokio::sync::mpsc::Sender<Vec<StreamStats>>),
    /// Closes some of the streams that have accepted nothing for the longest time.
    CloseStalled,
    /// Ends this number of streams at their current position.
    End(usize),
    /// Ends every stream, including new streams, once the stream has been sent everything.
    Finish,
    /// Ends every stream and then the lane, because the hub has been dropped.
    Quit,
}

/// The answer to a request: the subscription after it, or `None` if the stream was deleted.
pub(crate) type ChangeAnswer = Result<Option<Effective>, EditError>;

/// The expected current subscription, the new subscription, and its prepared filter.
pub(crate) type ProposedChange = (Effective, Effective, Option<Arc<PreparedFilter>>);

/// A request that concerns the streams with a name.
pub(crate) enum ChangeRequest {
    /// Asks for the current subscription of a stream.
    Ask,
    /// Changes a stream.
    Propose(ProposedChange),
    /// Gives the readers of a prepared stream its current subscription, whose filter is prepared.
    Follow(Arc<PreparedStream>, Option<Arc<PreparedFilter>>),
    /// Ends the streams.
    Delete,
}

/// A request that concerns the streams with a name, for the lanes that have such streams.
pub(crate) struct Change {
    pub(crate) id: StreamId,
    pub(crate) request: ChangeRequest,
    /// Head of the log when the change was computed. The change may name symbols up to this
    /// sequence number.
    pub(crate) asked_at: Seq,
    /// The channel for the answer. A lane without this stream drops the channel.
    pub(crate) answer: tokio::sync::mpsc::Sender<ChangeAnswer>,
}

/// A stream that waits to be opened.
pub(crate) enum NewStream {
    /// A stream whose reader reads an HTTP body. The body ends if the stream is not opened.
    Body(BodySink),
    /// A stream whose socket the lane writes directly.
    Socket(super::socket::HandedOffSocket),
}

/// The commands for a lane, and the doorbell of the lane.
pub(crate) struct Inbox {
    /// The waiting commands. `None`: the lane has ended.
    commands: Mutex<Option<Vec<Command>>>,
    doorbell: Arc<Doorbell>,
}

impl Inbox {
    /// Adds a command and wakes the lane. If the lane has ended, the body of a new stream ends at
    /// once.
    pub(crate) fn send(&self, command: Command) {
        if let Some(commands) = &mut *self.lock() {
            commands.push(command);
        }
        self.doorbell.wake();
    }

    /// Closes the inbox, because the lane has ended.
    pub(crate) fn close(&self) {
        // The streams that they would open end without the lock.
        let commands = self.lock().take();
        drop(commands);
    }

    /// Checks whether the lane has ended.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().is_none()
    }

    /// Returns the doorbell of the lane.
    pub(crate) const fn doorbell(&self) -> &Arc<Doorbell> {
        &self.doorbell
    }

    /// Takes the waiting commands.
    pub(super) fn take(&self) -> Vec<Command> {
        self.lock().as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<Command>>> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Inbox {
    fn default() -> Self {
        Self {
            commands: Mutex::new(Some(Vec::new())),
            doorbell: Arc::default(),
        }
    }
}

impl BodyListener for Inbox {
    fn notify(&self, key: Key, event: BodyEvent) {
        self.send(match event {
            BodyEvent::Ready => Command::Ready(key),
            BodyEvent::Closed => Command::Close(key),
        });
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use super::super::body::BodySlot;
    use super::*;

    #[test]
    fn a_stream_that_is_not_opened_ends() {
        let inbox = Arc::new(Inbox::default());
        let open = || {
            let slot = BodySlot::new(Arc::clone(&inbox) as Arc<_>);
            let stream = NewStream::Body(BodySink::new(Arc::clone(&slot)));
            inbox.send(Command::Open(stream, Subscription::default()));
            slot
        };
        let has_ended = |slot: &BodySlot| {
            let polled = slot.poll(&mut Context::from_waker(Waker::noop()));
            matches!(polled, Poll::Ready(None))
        };
        // A lane may panic after it has taken its commands.
        let taken = open();
        let commands = inbox.take();
        let waits = open();
        assert!(!has_ended(&taken) && !has_ended(&waits));
        drop(commands);
        assert!(has_ended(&taken));
        inbox.close();
        assert!(has_ended(&waits));
        assert!(has_ended(&open()));
    }
}
