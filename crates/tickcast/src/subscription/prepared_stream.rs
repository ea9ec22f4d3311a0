//! A prepared stream: a subscription that is made before it is read, and then read under its name.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tickcast_core::Time;

use super::change_limit::{ChangeLimit, ChangeTooSoon};
use super::edit::Effective;
use super::stream_id::StreamId;
use crate::clock::Clock;

/// How long a prepared stream stays without a reader. A browser that lost its connection comes back
/// sooner.
pub(crate) const LINGER: Duration = Duration::from_secs(60);

/// Maximum number of readers of one prepared stream at a time. A change is a change for all of
/// them.
pub(crate) const MAX_READERS: u32 = 64;

/// A prepared stream. Each of its readers follows the same subscription, also when it changes.
#[derive(Debug)]
pub(crate) struct PreparedStream {
    pub(crate) id: StreamId,
    /// The time without an event after which a reader receives a heartbeat.
    pub(crate) heartbeat: Duration,
    /// Whether a new reader without a cursor receives a snapshot first.
    pub(crate) snapshot: bool,
    /// When the permission of its readers ends.
    pub(crate) expires: Option<Time>,
    state: Mutex<StreamState>,
}

#[derive(Debug)]
struct StreamState {
    effective: Effective,
    limit: ChangeLimit,
    readers: u32,
    /// The time since when there is no reader, by the uptime clock.
    idle_since: Duration,
    ended: bool,
}

/// One reader of a prepared stream. The reader counts until this value is dropped.
#[derive(Debug)]
pub(crate) struct ReaderPermit {
    stream: Arc<PreparedStream>,
    clock: Clock,
}

impl PreparedStream {
    pub(crate) fn new(
        id: StreamId,
        effective: Effective,
        (heartbeat, snapshot): (Duration, bool),
        now: Duration,
    ) -> Self {
        Self {
            id,
            heartbeat,
            snapshot,
            expires: effective.viewer.expiry(),
            state: Mutex::new(StreamState {
                effective,
                limit: ChangeLimit::default(),
                readers: 0,
                idle_since: now,
                ended: false,
            }),
        }
    }

    /// Returns the current subscription, or `None` if the stream has been deleted.
    pub(crate) fn current(&self) -> Option<Effective> {
        let state = self.lock();
        (!state.ended).then(|| state.effective.clone())
    }

    /// Returns the number of names and patterns of the current subscription.
    pub(crate) fn entries(&self) -> usize {
        self.lock().effective.entries()
    }

    /// Counts an attempt to change the stream, unless there are too many.
    pub(crate) fn admit_change(&self, now: Duration) -> Result<(), ChangeTooSoon> {
        let mut state = self.lock();
        let max_rate = state.effective.viewer.rate_limit();
        state.limit.admit(max_rate, now)
    }

    /// Replaces the subscription `from`. Returns `false` if the stream has another subscription by
    /// now.
    pub(crate) fn replace(&self, from: &Effective, effective: Effective) -> bool {
        let mut state = self.lock();
        let unchanged = state.effective == *from;
        if unchanged {
            state.effective = effective;
        }
        unchanged
    }

    /// Counts one more reader, unless there are too many.
    pub(crate) fn admit_reader(self: &Arc<Self>, clock: Clock) -> Option<ReaderPermit> {
        let mut state = self.lock();
        if state.readers >= MAX_READERS {
            return None;
        }
        state.readers += 1;
        Some(ReaderPermit {
            stream: Arc::clone(self),
            clock,
        })
    }

    /// Marks the stream as deleted: readers that are on their way end at once.
    pub(crate) fn end(&self) {
        self.lock().ended = true;
    }

    /// Checks whether the stream is over at `now` by the uptime clock and `passed` by the time that
    /// ends permissions.
    pub(crate) fn is_over(&self, now: Duration, passed: Time) -> bool {
        let state = self.lock();
        let expired = self.expires.is_some_and(|at| at <= passed);
        expired || (state.readers == 0 && now >= state.idle_since + LINGER)
    }

    fn lock(&self) -> MutexGuard<'_, StreamState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for ReaderPermit {
    fn drop(&mut self) {
        let mut state = self.stream.lock();
        state.readers -= 1;
        state.idle_since = self.clock.uptime();
    }
}
