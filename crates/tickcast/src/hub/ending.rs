//! The end of a hub's streams.

use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Hub;
use crate::lane::Command;

/// How often a drain ends its next streams.
pub(super) const DRAIN_STEP: Duration = Duration::from_millis(10);

/// How long streams that were ended may take to write what they are in the middle of.
const FINAL_WRITE_TIMEOUT: Duration = Duration::from_secs(2);

impl Hub {
    /// Ends every stream once it has been sent all there is. New ones end after their snapshot.
    pub fn end_when_caught_up(&self) {
        self.0.finished.store(true, Ordering::SeqCst);
        self.lanes().iter().for_each(|lane| lane.inbox.send(Command::Finish));
    }

    /// Ends every stream where it stands, spread evenly over `window`, so that the readers do not all come back at once.
    pub async fn drain(&self, window: Duration) {
        let steps = (window.as_millis() / DRAIN_STEP.as_millis()).max(1) as u64;
        for left in (1..=steps).rev() {
            for lane in self.lanes() {
                let share = lane.stats.assigned().div_ceil(left);
                lane.inbox.send(Command::End(share as usize));
            }
            tokio::time::sleep(if left > 1 { DRAIN_STEP } else { Duration::ZERO }).await;
        }
        self.end_when_caught_up();
        // What they were in the middle of is still written, as long as someone reads it.
        // A lane that is no more may have been given a stream as it ended.
        let open = || self.lanes().iter().any(|lane| !lane.inbox.is_closed() && lane.stats.assigned() > 0);
        for _ in 0..(FINAL_WRITE_TIMEOUT.as_millis() / DRAIN_STEP.as_millis()) {
            if !open() {
                break;
            }
            tokio::time::sleep(DRAIN_STEP).await;
        }
    }
}
