//! How many connections there may be: fewer than the system has descriptors for.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, Version, header};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::answers::RETRY_AFTER;
use crate::events::Handoff;
use crate::http::Problem;
use crate::http::stream::busy;

/// Descriptors left to everything else that a program has open.
const RESERVED_DESCRIPTORS: u64 = 256;

/// Most places beyond those that streams get: requests that are soon over go on being answered, and streams can be told to
/// come back later.
const SHORT_CONNECTIONS: usize = 64;

/// Most connections that are listened to after their last answer: half of the places that streams never take.
const MAX_LINGERING: usize = 32;

/// Where the system does not say how many descriptors there may be.
const ASSUMED_DESCRIPTORS: usize = 1_000_000;

/// When streams that found no place are to come back, in milliseconds: each at a time of its own, and not too soon.
const RETRY_MS: std::ops::RangeInclusive<u32> = 5000..=15_000;

/// Places for connections.
pub(super) struct ConnectionLimit {
    free: Arc<Semaphore>,
    lingering: Arc<Semaphore>,
    streams: usize,
    spare: usize,
    crowding: LogThrottle,
}

impl ConnectionLimit {
    /// So many for streams and a few more, but no more in all than there are descriptors for.
    pub(super) fn new(streams: Option<usize>) -> Self {
        let all = descriptors();
        let spare = SHORT_CONNECTIONS.min(all / 4);
        let streams = streams.unwrap_or(ASSUMED_DESCRIPTORS).min(all - spare - 1);
        // One more is always held for whoever comes next.
        let free = Arc::new(Semaphore::new(streams + spare + 1));
        let lingering = Arc::new(Semaphore::new(MAX_LINGERING));
        Self { free, lingering, streams, spare, crowding: LogThrottle::default() }
    }

    /// Waits for a free one.
    pub(super) async fn next(&self) -> Option<OwnedSemaphorePermit> {
        if self.free.available_permits() == 0 && self.crowding.is_due() {
            tracing::warn!(limit = self.streams, "no place for another connection: it has to wait");
        }
        Arc::clone(&self.free).acquire_owned().await.ok()
    }

    /// A free one, if there is one now: for the next connection, or for a request beside its connection's.
    pub(super) fn try_next(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.free).try_acquire_owned().ok()
    }

    /// 503 for a request that finds none.
    pub(super) fn is_full(&self) -> Problem {
        if self.crowding.is_due() {
            tracing::warn!(limit = self.streams, "no place for another request: it is refused");
        }
        let detail = format!(
            "no place for another request: {} connections and requests are open, the limit",
            self.streams + self.spare
        );
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(RETRY_AFTER)
    }

    /// Whether those for streams are taken.
    fn is_crowded(&self) -> bool {
        self.free.available_permits() < self.spare
    }

    /// Leave to listen to a peer after the last answer, if there is any left to give.
    pub(super) fn linger(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.lingering).try_acquire_owned().ok()
    }

    /// Makes a response that carries a subscription tell its reader to come back later, if there is no place for it. The
    /// status stays 200: with any other a browser's `EventSource` never would.
    pub(super) fn turn_away(&self, response: &mut Response<Body>, version: Version) {
        if !self.is_crowded() {
            return;
        }
        let Some(handoff) = response.extensions_mut().remove::<Handoff>() else { return };
        if self.crowding.is_due() {
            tracing::warn!(limit = self.streams, "no place for another stream: it is told to come back");
        }
        *response.body_mut() = busy(handoff.subscription.format, fastrand::u32(RETRY_MS)).into();
        if version < Version::HTTP_2 {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

/// Something that is not worth saying more than once a second.
pub(super) struct LogThrottle {
    start: Instant,
    /// The second in which it was last said, counted from one.
    said: AtomicU64,
}

impl Default for LogThrottle {
    fn default() -> Self {
        Self { start: Instant::now(), said: AtomicU64::new(0) }
    }
}

impl LogThrottle {
    /// Whether it may be said now; then it counts as said.
    pub(super) fn is_due(&self) -> bool {
        let second = self.start.elapsed().as_secs() + 1;
        self.said.swap(second, Ordering::Relaxed) != second
    }
}

/// How many of its descriptors a process can spare for connections; at least two.
fn descriptors() -> usize {
    #[cfg(unix)]
    if let Some(limit) = rustix::process::getrlimit(rustix::process::Resource::Nofile).current {
        let places = limit.saturating_sub(RESERVED_DESCRIPTORS).max(limit / 2).max(2);
        return usize::try_from(places).map_or(ASSUMED_DESCRIPTORS, |places| places.min(ASSUMED_DESCRIPTORS));
    }
    ASSUMED_DESCRIPTORS
}
