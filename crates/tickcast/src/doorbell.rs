//! Wakes a lane.

use std::sync::{Arc, OnceLock, Weak};

use tokio::sync::Notify;

/// A lane that sleeps until the log advances.
pub(crate) trait Sleeper: Send + Sync {
    /// Sends the new entries of the log to the readers of the lane, on the thread of the caller.
    /// Returns `false` if the lane has to be woken instead, or as well.
    fn deliver(&self) -> bool;
}

/// The wake-up signal of a lane. It wakes the lane when there is work, or when the log has advanced
/// and the lane listens.
#[derive(Default)]
pub(crate) struct Doorbell {
    notify: Notify,
    sleeper: OnceLock<Weak<dyn Sleeper>>,
}

impl Doorbell {
    /// Sets the lane behind the doorbell. Only the first call has an effect.
    pub(crate) fn set_sleeper<S: Sleeper + 'static>(&self, sleeper: &Arc<S>) {
        let sleeper: Weak<S> = Arc::downgrade(sleeper);
        let _ = self.sleeper.set(sleeper);
    }

    /// Wakes the lane.
    pub(crate) fn wake(&self) {
        self.notify.notify_one();
    }

    /// Sends the new entries of the log to the readers of the lane on this thread, if that takes
    /// less than to wake the lane. Otherwise wakes the lane.
    pub(crate) fn deliver_or_wake(&self) {
        let sleeper = self.sleeper.get().and_then(Weak::upgrade);
        if !sleeper.is_some_and(|lane| lane.deliver()) {
            self.wake();
        }
    }

    /// Waits until the lane is woken.
    pub(crate) async fn notified(&self) {
        self.notify.notified().await;
    }
}
