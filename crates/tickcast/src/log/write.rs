//! One write to the disk, for which publishers wait.

use std::sync::OnceLock;

use tickcast_core::TickError;
use tokio::sync::Notify;

/// One write of the log to the disk. Everything that was published before the write began is
/// visible, or taken back, when it is done.
#[derive(Debug, Default)]
pub(crate) struct Write {
    result: OnceLock<Result<(), TickError>>,
    done: Notify,
}

impl Write {
    /// Waits until the write is done.
    ///
    /// # Errors
    /// [`TickError::Storage`] if the write has failed. Nothing of it is visible then.
    pub(crate) async fn wait(&self) -> Result<(), TickError> {
        loop {
            // The order matters: whoever waits here is woken by a write that ends after this line.
            let done = self.done.notified();
            if let Some(result) = self.result.get() {
                return result.clone();
            }
            done.await;
        }
    }

    /// Checks whether the write is done.
    pub(super) fn is_done(&self) -> bool {
        self.result.get().is_some()
    }

    /// Wakes all who wait.
    pub(super) fn finish(&self, result: Result<(), TickError>) {
        let _ = self.result.set(result);
        self.done.notify_waiters();
    }
}
