//! The settings of a hub.

use std::time::Duration;

use tickcast_core::Limits;

use crate::lane::{IoBackend, StreamLimits};

/// Default maximum memory of the filters of all readers, in bytes.
const FILTER_BYTES: usize = 256 << 20;

/// Default maximum memory of all answers together, in bytes.
const ANSWER_BYTES: usize = 256 << 20;

/// Default maximum size of the data that all streams buffer for their readers, in bytes.
const KEPT_BYTES: usize = 256 << 20;

/// The settings of a hub. The defaults suit one machine. Durations are limited to the range from 1
/// millisecond to 1 day.
#[derive(Debug, Clone, Copy)]
pub struct HubBuilder {
    pub(super) limits: Limits,
    pub(super) stream_limits: StreamLimits,
    pub(super) max_filter_bytes: usize,
    pub(super) max_answer_bytes: usize,
    pub(super) max_buffered_bytes: usize,
    pub(super) flush_interval: Duration,
    pub(super) lanes: usize,
    pub(super) dedicated_threads: bool,
    pub(super) io_backend: IoBackend,
}

impl Default for HubBuilder {
    fn default() -> Self {
        Self {
            limits: Limits::default(),
            stream_limits: StreamLimits {
                max_lag: Duration::from_secs(1),
                keep_alive: Duration::from_secs(15),
                write_timeout: Duration::from_secs(30),
                // The share of each lane is known only when the lanes start.
                buffered_bytes: usize::MAX,
            },
            max_filter_bytes: FILTER_BYTES,
            max_answer_bytes: ANSWER_BYTES,
            max_buffered_bytes: KEPT_BYTES,
            flush_interval: Duration::from_millis(5),
            lanes: std::thread::available_parallelism().map_or(1, usize::from),
            dedicated_threads: false,
            io_backend: IoBackend::Auto,
        }
    }
}

impl HubBuilder {
    /// Sets how much the hub keeps in memory (retention). Default: [`Limits::default`].
    #[must_use]
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the maximum memory of the filters of all readers, in bytes. Default: 256 MiB. Above the limit, a
    /// new reader is told to come back later.
    #[must_use]
    pub const fn max_filter_bytes(mut self, bytes: usize) -> Self {
        self.max_filter_bytes = bytes;
        self
    }

    /// Sets the maximum memory of all answers in progress, in bytes. Default: 256 MiB. Above the limit, an
    /// answer is 503.
    ///
    /// Three quarters are for snapshots of the market. Data that snapshots share counts once. A single market
    /// larger than this share may be held alone. One quarter is for bytes of answers that are already
    /// written.
    ///
    /// A lower limit also allows fewer long bodies and fewer zstd-compressed bodies at a time.
    #[must_use]
    pub const fn max_answer_bytes(mut self, bytes: usize) -> Self {
        self.max_answer_bytes = bytes;
        self
    }

    /// Sets the maximum size of the data that all streams buffer for their readers, in bytes. Data that
    /// streams share counts once. Default: 256 MiB. Above the limit, the streams that have accepted nothing
    /// for the longest time are cut (backpressure).
    #[must_use]
    pub const fn max_buffered_bytes(mut self, bytes: usize) -> Self {
        self.max_buffered_bytes = bytes;
        self
    }

    /// Sets the maximum lag: the maximum age of the next tick of a reader. A reader above it is a slow
    /// consumer and receives only the newest tick of each symbol (conflation). Default: 1 s. This is longer
    /// than a healthy reader is ever kept from running, and shorter than a price stays interesting.
    #[must_use]
    pub const fn max_lag(mut self, patience: Duration) -> Self {
        self.stream_limits.max_lag = clamped(patience);
        self
    }

    /// Sets the keep-alive interval: a stream without an event for this time is sent a comment. Default: 15
    /// s.
    #[must_use]
    pub const fn keep_alive(mut self, keep_alive: Duration) -> Self {
        self.stream_limits.keep_alive = clamped(keep_alive);
        self
    }

    /// Sets the write timeout: a stream whose reader accepts nothing for this time is cut. Default: 30 s,
    /// which is longer than a phone is in a tunnel.
    #[must_use]
    pub const fn write_timeout(mut self, stall: Duration) -> Self {
        self.stream_limits.write_timeout = clamped(stall);
        self
    }

    /// Sets whether each lane runs on its own thread. Otherwise each lane is a task on the runtime of the
    /// first reader.
    ///
    /// Use dedicated threads for a program with thousands of streams. A flush writes to all streams before
    /// other tasks can run.
    #[must_use]
    pub const fn dedicated_threads(mut self, threads: bool) -> Self {
        self.dedicated_threads = threads;
        self
    }

    /// Sets the minimum time between two flushes of a lane while ticks keep arriving. Default: 5 ms. A longer
    /// interval saves few more writes, and users do not notice a delay of 5 ms. The first tick after a quiet
    /// period never waits.
    #[must_use]
    pub const fn flush_interval(mut self, flush: Duration) -> Self {
        self.flush_interval = clamped(flush);
        self
    }

    /// Sets the number of lanes that serve the streams, at least one. Default: one lane per core.
    #[must_use]
    pub fn lanes(mut self, lanes: usize) -> Self {
        self.lanes = lanes.max(1);
        self
    }

    /// Sets how sockets are written if streams are [served](crate::Server) directly. Default:
    /// [`IoBackend::Auto`].
    #[must_use]
    pub const fn io_backend(mut self, io: IoBackend) -> Self {
        self.io_backend = io;
        self
    }
}

/// Limits a duration to the range from 1 millisecond to 1 day. With a shorter time, a lane would never rest.
/// A longer time means never, and sums of times must not overflow.
const fn clamped(time: Duration) -> Duration {
    const MIN_TIME: Duration = Duration::from_millis(1);
    const MAX_TIME: Duration = Duration::from_secs(86_400);
    if time.as_nanos() < MIN_TIME.as_nanos() {
        MIN_TIME
    } else if time.as_nanos() > MAX_TIME.as_nanos() {
        MAX_TIME
    } else {
        time
    }
}
