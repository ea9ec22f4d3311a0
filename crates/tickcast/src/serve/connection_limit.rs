//! The limit on connections, below the system's limit on descriptors.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use axum::body::Body;
use axum::http::{HeaderValue, Response, StatusCode, Version, header};
use tickcast_core::sse;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::answers::RETRY_AFTER;
use crate::events::Handoff;
use crate::http::Problem;
use crate::stats::RefusedStream;

/// Number of descriptors that are reserved for everything else that the program has open.
const RESERVED_DESCRIPTORS: u64 = 256;

/// Maximum number of permits beyond the permits for streams. With these permits, short requests are
/// still answered, and streams can be told to come back later.
const SHORT_CONNECTIONS: usize = 64;

/// Maximum number of connections that linger after their last answer: half of the permits that
/// streams never use.
const MAX_LINGERING: usize = 32;

/// Assumed number of descriptors if the system does not report a limit.
const ASSUMED_DESCRIPTORS: usize = 1_000_000;

/// The delay before a refused stream comes back, in milliseconds. The delay is random, so that the
/// streams do not all come back at once. The minimum keeps the delay from being too short.
const RETRY_MS: std::ops::RangeInclusive<u32> = 5000..=15_000;

/// The permits for connections.
pub(super) struct ConnectionLimit {
    free: Arc<Semaphore>,
    lingering: Arc<Semaphore>,
    streams: usize,
    spare: usize,
    crowding: LogThrottle,
}

impl ConnectionLimit {
    /// Creates permits for `streams` streams and some short requests, at most as many as there are
    /// descriptors.
    pub(super) fn new(streams: Option<usize>) -> Self {
        let all = descriptors();
        let spare = SHORT_CONNECTIONS.min(all / 4);
        let streams = streams.unwrap_or(ASSUMED_DESCRIPTORS).min(all - spare - 1);
        // One more permit is always held for the next connection.
        let free = Arc::new(Semaphore::new(streams + spare + 1));
        let lingering = Arc::new(Semaphore::new(MAX_LINGERING));
        Self {
            free,
            lingering,
            streams,
            spare,
            crowding: LogThrottle::default(),
        }
    }

    /// Waits for a free permit.
    pub(super) async fn next(&self) -> Option<OwnedSemaphorePermit> {
        if self.free.available_permits() == 0 && self.crowding.is_due() {
            tracing::warn!(
                limit = self.streams,
                "the connection limit is reached; new connections wait"
            );
        }
        Arc::clone(&self.free).acquire_owned().await.ok()
    }

    /// Returns a permit if one is free now: for the next connection, or for one of several requests
    /// on a connection.
    pub(super) fn try_next(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.free).try_acquire_owned().ok()
    }

    /// Returns 503 for a request that finds no free permit.
    pub(super) fn is_full(&self) -> Problem {
        if self.crowding.is_due() {
            tracing::warn!(
                limit = self.streams,
                "the connection limit is reached; a request is refused"
            );
        }
        let detail = format!(
            "{} connections and requests are open, which is the limit",
            self.streams + self.spare
        );
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, detail).retry_after(RETRY_AFTER)
    }

    /// Checks whether all permits for streams are in use.
    fn is_crowded(&self) -> bool {
        self.free.available_permits() < self.spare
    }

    /// Returns a permit to linger after the last answer, if one is free.
    pub(super) fn linger(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.lingering).try_acquire_owned().ok()
    }

    /// Replaces the body of a response with a subscription, if no permit is free for the stream.
    /// The new body tells the reader to come back later. The status stays 200: after any other
    /// status, a browser's `EventSource` never reconnects.
    pub(super) fn turn_away(&self, response: &mut Response<Body>, version: Version) {
        if !self.is_crowded() {
            return;
        }
        let Some(handoff) = response.extensions_mut().remove::<Handoff>() else {
            return;
        };
        handoff.hub.note_refused(RefusedStream::Connections);
        if self.crowding.is_due() {
            tracing::warn!(
                limit = self.streams,
                "the stream limit is reached; the client will reconnect later"
            );
        }
        *response.body_mut() =
            sse::busy(handoff.subscription.format, fastrand::u32(RETRY_MS)).into();
        if version < Version::HTTP_2 {
            response
                .headers_mut()
                .insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

/// A throttle that allows a log line at most once per second.
pub(super) struct LogThrottle {
    start: Instant,
    /// The second of the last log line, counted from one.
    said: AtomicU64,
}

impl Default for LogThrottle {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            said: AtomicU64::new(0),
        }
    }
}

impl LogThrottle {
    /// Checks whether a log line is allowed now, and records the line.
    pub(super) fn is_due(&self) -> bool {
        let second = self.start.elapsed().as_secs() + 1;
        self.said.swap(second, Ordering::Relaxed) != second
    }
}

/// Returns the number of descriptors that the process can use for connections; at least two.
fn descriptors() -> usize {
    #[cfg(unix)]
    if let Some(limit) = rustix::process::getrlimit(rustix::process::Resource::Nofile).current {
        let places = limit
            .saturating_sub(RESERVED_DESCRIPTORS)
            .max(limit / 2)
            .max(2);
        return usize::try_from(places).map_or(ASSUMED_DESCRIPTORS, |places| {
            places.min(ASSUMED_DESCRIPTORS)
        });
    }
    ASSUMED_DESCRIPTORS
}
