//! Waking a lane.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// Wakes a lane: when there is something to look at, and, while it listens, when the log has moved.
#[derive(Default)]
pub(crate) struct Doorbell {
    bell: Notify,
    /// The lane has nothing to do until something moves. Only then is it worth a wake-up.
    listening: AtomicBool,
}

impl Doorbell {
    /// Wakes the lane: there is something to look at.
    pub(crate) fn wake(&self) {
        self.bell.notify_one();
    }

    /// Wakes the lane if it listens: the log has moved.
    pub(crate) fn log_advanced(&self) {
        if self.listening.load(Ordering::SeqCst) && self.listening.swap(false, Ordering::SeqCst) {
            self.bell.notify_one();
        }
    }

    /// Sets whether a move of the log wakes the lane from now on.
    pub(crate) fn listen(&self, listening: bool) {
        self.listening.store(listening, Ordering::SeqCst);
    }

    /// Waits until the lane is woken.
    pub(crate) async fn notified(&self) {
        self.bell.notified().await;
    }
}
