//! The newest snapshot of the market, kept for the next requests.

use std::sync::{Arc, Weak};
use std::time::Duration;

use tickcast_core::Seq;
use tokio::sync::Mutex;
use tokio::time::Instant;

use super::snapshot::Snapshot;

/// Time for which a snapshot is kept after the last request for it, whether or not an answer holds it.
/// Clients that ask again while nothing changes share it. After that time its memory is free.
pub(super) const KEEP_TIME: Duration = Duration::from_secs(5);

/// The newest snapshot.
#[derive(Default)]
pub(super) struct SnapshotCache {
    /// The snapshot while it is kept. Answers may hold it longer.
    kept: Option<Arc<Snapshot>>,
    /// The snapshot while it is kept, or while at least one answer holds it.
    newest: Weak<Snapshot>,
    made: Option<Instant>,
    /// When a snapshot was last asked for.
    asked: Option<Instant>,
    /// Whether a task drops the snapshot in time.
    expires: bool,
    /// Number of snapshots that were made.
    #[cfg(test)]
    count: usize,
}

impl SnapshotCache {
    /// Returns the newest snapshot, if it is as of `head` or later.
    pub(super) fn get(&mut self, head: Seq) -> Option<Arc<Snapshot>> {
        self.asked = Some(Instant::now());
        let newest = self.newest.upgrade();
        newest.filter(|snapshot| snapshot.cursor.seq() >= head)
    }

    /// Drops the newest snapshot, because its memory may be needed for the next one. Returns when it
    /// was made.
    pub(super) fn clear(&mut self) -> Option<Instant> {
        self.kept = None;
        self.made
    }

    #[cfg(test)]
    pub(super) const fn count(&self) -> usize {
        self.count
    }

    /// Keeps a new snapshot. Returns whether the caller has to spawn [`expire`].
    pub(super) fn keep(&mut self, snapshot: &Arc<Snapshot>) -> bool {
        #[cfg(test)]
        {
            self.count += 1;
        }
        self.made = Some(Instant::now());
        self.newest = Arc::downgrade(snapshot);
        self.kept = Some(Arc::clone(snapshot));
        !std::mem::replace(&mut self.expires, true)
    }
}

/// Drops the snapshot when nobody has asked for it for [`KEEP_TIME`].
pub(super) async fn expire(cache: Weak<Mutex<SnapshotCache>>) {
    let mut due = Instant::now() + KEEP_TIME;
    loop {
        tokio::time::sleep_until(due).await;
        let Some(cache) = cache.upgrade() else { return };
        let mut cache = cache.lock().await;
        match cache.asked.map(|asked| asked + KEEP_TIME) {
            Some(later) if later > Instant::now() => due = later,
            _ => {
                (cache.kept, cache.expires) = (None, false);
                return;
            }
        }
    }
}
