//! Wakes a lane.

use tokio::sync::Notify;

/// The wake-up signal of a lane. It wakes the lane when there is work, or when the log has advanced
/// and the lane listens.
#[derive(Default)]
pub(crate) struct Doorbell(Notify);

impl Doorbell {
    /// Wakes the lane.
    pub(crate) fn wake(&self) {
        self.0.notify_one();
    }

    /// Waits until the lane is woken.
    pub(crate) async fn notified(&self) {
        self.0.notified().await;
    }
}
