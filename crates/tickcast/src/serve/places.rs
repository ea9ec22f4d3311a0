//! How many connections there may be: fewer than the system has descriptors for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Descriptors left to everything else that a program has open.
const KEPT_BACK: u64 = 256;

/// Places beyond those that streams get: requests that are soon over go on being answered, and streams can be told to come
/// back later.
const SPARE: usize = 64;

/// Where the system does not say how many descriptors there may be.
const UNKNOWN: usize = 1_000_000;

/// Places for connections.
pub(super) struct Places {
    free: Arc<Semaphore>,
    streams: usize,
    start: Instant,
    /// The second in which something was last said, counted from one.
    said: AtomicU64,
}

impl Places {
    /// So many for streams, by default as many as there are descriptors for, and a few more.
    pub(super) fn new(streams: Option<usize>) -> Self {
        // One is always held for whoever comes next.
        let more = SPARE + 1;
        let streams = streams.unwrap_or_else(default).min(Semaphore::MAX_PERMITS - more);
        let free = Arc::new(Semaphore::new(streams + more));
        Self { free, streams, start: Instant::now(), said: AtomicU64::new(0) }
    }

    /// Waits for a free one.
    pub(super) async fn next(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.free).acquire_owned().await.ok()
    }

    /// Whether those for streams are taken.
    pub(super) fn crowded(&self) -> bool {
        self.free.available_permits() < SPARE
    }

    /// How many streams there may be.
    pub(super) const fn streams(&self) -> usize {
        self.streams
    }

    /// Whether it is time to say something again: once a second at most.
    pub(super) fn may_complain(&self) -> bool {
        let second = self.start.elapsed().as_secs() + 1;
        self.said.swap(second, Ordering::Relaxed) != second
    }
}

/// As many as there are descriptors for.
fn default() -> usize {
    #[cfg(unix)]
    if let Some(limit) = rustix::process::getrlimit(rustix::process::Resource::Nofile).current {
        let places = limit.saturating_sub(KEPT_BACK).max(limit / 2);
        return usize::try_from(places).unwrap_or(usize::MAX);
    }
    UNKNOWN
}
