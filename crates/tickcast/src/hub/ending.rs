//! Ends the streams of a hub.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Hub;
use crate::access::Viewer;
use crate::lane::Command;

/// Time between two steps of a drain. Each step ends a part of the streams.
pub(super) const DRAIN_STEP: Duration = Duration::from_millis(10);

/// Maximum time for ended streams to write their unsent bytes.
const FINAL_WRITE_TIMEOUT: Duration = Duration::from_secs(2);

impl Hub {
    /// Ends every stream once the stream has been sent everything. New streams end after their
    /// snapshot.
    pub fn end_when_caught_up(&self) {
        // This comes first, so that a delayed market that begins meanwhile ends as well.
        self.0.finished.store(true, Ordering::SeqCst);
        self.delayed_markets()
            .for_each(|hub| hub.end_when_caught_up());
        self.lanes()
            .iter()
            .for_each(|lane| lane.inbox.send(Command::Finish));
    }

    /// Sets which viewers may no longer read, instead of the rule before. Requests of a viewer for
    /// which `is_revoked` returns `true` are 401 from now on. Its open streams end (`bye` with the
    /// reason `expired`), and so do the streams that it has prepared. The rule runs for each
    /// request and each open stream with a viewer, so it must be fast.
    ///
    /// ```
    /// # let hub = tickcast::Hub::builder().build();
    /// let revoked = std::collections::HashSet::from(["ada"]);
    /// hub.revoke(move |viewer| revoked.contains(viewer.subject_name()));
    /// ```
    pub fn revoke(&self, is_revoked: impl Fn(&Viewer) -> bool + Send + Sync + 'static) {
        self.0.revocation.set(Arc::new(is_revoked));
        self.0.prepared_streams.remove_of(&self.0.revocation);
        // A stream that opens from now on is compared with the rule when it opens.
        for hub in self.markets() {
            for lane in hub.lanes() {
                lane.inbox.send(Command::Revoke);
            }
        }
    }

    /// Marks the hub as draining: from now on, `/readyz` is 503. Nothing else changes yet.
    /// [`drain`](Self::drain) does the same first.
    pub fn mark_draining(&self) {
        self.0.draining.store(true, Ordering::SeqCst);
    }

    pub(super) fn is_draining(&self) -> bool {
        self.0.draining.load(Ordering::SeqCst)
    }

    /// Ends every stream at its current position. The ends are spread evenly over `window`, so that
    /// the readers do not all reconnect at once.
    pub async fn drain(&self, window: Duration) {
        self.mark_draining();
        let steps = (window.as_millis() / DRAIN_STEP.as_millis()).max(1) as u64;
        for steps_left in (1..=steps).rev() {
            // A delayed market may begin between two steps.
            for hub in self.markets() {
                for lane in hub.lanes() {
                    let share = lane.stats.assigned().div_ceil(steps_left);
                    lane.inbox.send(Command::End(share as usize));
                }
            }
            tokio::time::sleep(if steps_left > 1 {
                DRAIN_STEP
            } else {
                Duration::ZERO
            })
            .await;
        }
        self.end_when_caught_up();
        // The unsent bytes of ended streams are still written, as long as their readers accept
        // them.
        for _ in 0..(FINAL_WRITE_TIMEOUT.as_millis() / DRAIN_STEP.as_millis()) {
            if !self.markets().any(|hub| hub.has_open_streams()) {
                break;
            }
            tokio::time::sleep(DRAIN_STEP).await;
        }
    }

    /// Checks whether a lane of this market has streams. A lane that has ended may have been
    /// assigned a stream at its end, so lanes that have ended do not count.
    fn has_open_streams(&self) -> bool {
        let mut lanes = self.lanes().iter();
        lanes.any(|lane| !lane.inbox.is_closed() && lane.stats.assigned() > 0)
    }
}
