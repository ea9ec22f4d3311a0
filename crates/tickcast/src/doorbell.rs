//! Wakes a lane.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// The wake-up signal of a lane. It wakes the lane when there is work. While the lane listens, it
/// also wakes the lane when the log has advanced.
#[derive(Default)]
pub(crate) struct Doorbell {
    bell: Notify,
    /// Whether the lane has nothing to do until the log advances. Only then is a wake-up worth its
    /// cost.
    listening: AtomicBool,
}

impl Doorbell {
    /// Wakes the lane, because there is work for the lane.
    pub(crate) fn wake(&self) {
        self.bell.notify_one();
    }

    /// Wakes the lane if the lane listens, because the log has advanced.
    pub(crate) fn log_advanced(&self) {
        if self.listening.load(Ordering::SeqCst) && self.listening.swap(false, Ordering::SeqCst) {
            self.bell.notify_one();
        }
    }

    /// Sets whether the log wakes the lane when the log advances.
    pub(crate) fn listen(&self, listening: bool) {
        self.listening.store(listening, Ordering::SeqCst);
    }

    /// Waits until the lane is woken.
    pub(crate) async fn notified(&self) {
        self.bell.notified().await;
    }
}
