//! What lanes are told from outside.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use super::Key;
use crate::events::Slot;
use crate::subscription::Subscription;

/// One thing to do.
pub(crate) enum Command {
    /// Take in a stream.
    Open(std::sync::Arc<Slot>, Subscription),
    /// A reader can take bytes again.
    Ready(Key),
    /// A reader has left.
    Close(Key),
    /// End so many streams where they stand.
    End(usize),
    /// End every stream once it has been sent all there is, new ones too.
    Finish,
    /// The hub is gone: end every stream, then the lane.
    Quit,
}

/// A lane's letter box and its doorbell.
#[derive(Default)]
pub(crate) struct Inbox {
    commands: Mutex<Vec<Command>>,
    bell: Notify,
    /// The lane has nothing to do until something moves. Only then is it worth a ring.
    listening: AtomicBool,
}

impl Inbox {
    /// Leaves a command and rings.
    pub(crate) fn send(&self, command: Command) {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner).push(command);
        self.bell.notify_one();
    }

    /// The log has moved.
    pub(crate) fn moved(&self) {
        if self.listening.load(Ordering::SeqCst) && self.listening.swap(false, Ordering::SeqCst) {
            self.bell.notify_one();
        }
    }

    /// Takes what was left.
    pub(super) fn take(&self) -> Vec<Command> {
        std::mem::take(&mut *self.commands.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether a move of the log should ring from now on.
    pub(super) fn listen(&self, listening: bool) {
        self.listening.store(listening, Ordering::SeqCst);
    }

    /// Waits for a ring.
    pub(super) async fn rung(&self) {
        self.bell.notified().await;
    }
}
