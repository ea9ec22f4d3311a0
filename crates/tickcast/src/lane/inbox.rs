//! What lanes are told from outside.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tickcast_core::Seq;

use super::body::{BodyEvent, BodyListener, BodySlot};
use super::{HistoryResponse, Key};
use crate::doorbell::Doorbell;
use crate::hub::Prepared;
use crate::subscription::{EditError, Effective, StreamId, Subscription};

/// One thing to do.
pub(crate) enum Command {
    /// Take in a stream.
    Open(NewStream, Subscription),
    /// A reader can take bytes again.
    Ready(Key),
    /// A reader has left.
    Close(Key),
    /// Change a stream, if it is here.
    Change(Box<Change>),
    /// A piece of the tape that was sent for.
    History(Box<HistoryResponse>),
    /// End so many streams where they stand.
    End(usize),
    /// End every stream once it has been sent all there is, new ones too.
    Finish,
    /// The hub is gone: end every stream, then the lane.
    Quit,
}

/// What a stream is to be subscribed to instead of something else, made ready.
pub(crate) type ProposedChange = (Effective, Effective, Option<Arc<Prepared>>);

/// A change that is asked for; without one, what the stream is subscribed to.
pub(crate) struct Change {
    pub(crate) id: StreamId,
    pub(crate) change: Option<ProposedChange>,
    /// Where the log stood once it was worked out: it names symbols up to there.
    pub(crate) asked_at: Seq,
    /// Where the answer goes. Whose stream it is not drops it.
    pub(crate) answer: tokio::sync::mpsc::Sender<Result<Effective, EditError>>,
}

/// A reader who is about to be taken in.
pub(crate) enum NewStream {
    /// One that reads an HTTP body.
    Body(Arc<BodySlot>),
    /// One whose socket is written directly.
    Socket(super::socket::HandedOffSocket),
}

/// A lane's letter box and its doorbell.
pub(crate) struct Inbox {
    /// `None`: the lane is no more.
    commands: Mutex<Option<Vec<Command>>>,
    doorbell: Arc<Doorbell>,
}

impl Inbox {
    /// Leaves a command and rings. Where the lane is no more, a newcomer's stream ends at once.
    pub(crate) fn send(&self, command: Command) {
        match &mut *self.lock() {
            Some(commands) => commands.push(command),
            None => command.reject(),
        }
        self.doorbell.wake();
    }

    /// The lane is no more.
    pub(crate) fn close(&self) {
        self.lock().take().into_iter().flatten().for_each(Command::reject);
    }

    /// Whether the lane is no more.
    pub(crate) fn is_closed(&self) -> bool {
        self.lock().is_none()
    }

    /// What wakes the lane.
    pub(crate) const fn doorbell(&self) -> &Arc<Doorbell> {
        &self.doorbell
    }

    /// Takes what was left.
    pub(super) fn take(&self) -> Vec<Command> {
        self.lock().as_mut().map(std::mem::take).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Option<Vec<Command>>> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for Inbox {
    fn default() -> Self {
        Self { commands: Mutex::new(Some(Vec::new())), doorbell: Arc::default() }
    }
}

impl Command {
    /// It comes too late.
    pub(super) fn reject(self) {
        if let Self::Open(NewStream::Body(slot), _) = self {
            slot.end();
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
