//! A hub's settings.

use std::time::Duration;

use tickcast_core::Limits;

use crate::lane::{IoBackend, StreamLimits};

/// What the filters of all readers may take together, in bytes.
const FILTER_BYTES: usize = 256 << 20;

/// What answers hold between them, in bytes.
const ANSWER_BYTES: usize = 256 << 20;

/// What streams keep between them that their readers have yet to take, in bytes.
const KEPT_BYTES: usize = 256 << 20;

/// A hub's settings. Each has a default that suits one machine; times are kept between a millisecond and a day.
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
                // Each lane's share is known once there are lanes.
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
    /// How much is kept. Default: [`Limits::default`].
    #[must_use]
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// How many bytes the filters of all readers may take together. Default 256 MiB; beyond, a reader is told to come back.
    #[must_use]
    pub const fn max_filter_bytes(mut self, bytes: usize) -> Self {
        self.max_filter_bytes = bytes;
        self
    }

    /// How many bytes all answers that are under way may hold together: three quarters for the market as it stood when they were asked
    /// for, where what they share counts once and a market that alone is more may be held alone, and one quarter for what is written
    /// of them already. Default 256 MiB; beyond, an answer is 503. Fewer bytes also mean fewer long bodies, and fewer bodies by
    /// zstd, at a time.
    #[must_use]
    pub const fn max_answer_bytes(mut self, bytes: usize) -> Self {
        self.max_answer_bytes = bytes;
        self
    }

    /// How many bytes all streams may keep that their readers have yet to take; what they share counts once. Default 256 MiB; beyond,
    /// those are cut that have taken nothing for the longest.
    #[must_use]
    pub const fn max_buffered_bytes(mut self, bytes: usize) -> Self {
        self.max_buffered_bytes = bytes;
        self
    }

    /// How old the next tick of a reader may get before it counts as fallen behind and is given newest values only.
    /// Default 1 s: longer than a healthy reader is ever kept from running, shorter than a price stays interesting.
    #[must_use]
    pub const fn max_lag(mut self, patience: Duration) -> Self {
        self.stream_limits.max_lag = clamped(patience);
        self
    }

    /// After how long without an event a stream is sent a comment. Default 15 s.
    #[must_use]
    pub const fn keep_alive(mut self, keep_alive: Duration) -> Self {
        self.stream_limits.keep_alive = clamped(keep_alive);
        self
    }

    /// After how long a stream whose reader takes nothing is cut. Default 30 s: longer than a phone is in a tunnel.
    #[must_use]
    pub const fn write_timeout(mut self, stall: Duration) -> Self {
        self.stream_limits.write_timeout = clamped(stall);
        self
    }

    /// Runs each lane on a thread of its own instead of as a task of the runtime that its first reader is on. For a program
    /// with thousands of streams: a flush writes to all of them before anything else gets its turn.
    #[must_use]
    pub const fn dedicated_threads(mut self, threads: bool) -> Self {
        self.dedicated_threads = threads;
        self
    }

    /// The least time between two flushes of a lane while ticks keep coming. Default 5 ms: what is saved in writes grows
    /// little beyond it, and nobody sees it. The first tick after quiet never waits.
    #[must_use]
    pub const fn flush_interval(mut self, flush: Duration) -> Self {
        self.flush_interval = clamped(flush);
        self
    }

    /// How many lanes serve the streams, at least one. Default: one a core.
    #[must_use]
    pub fn lanes(mut self, lanes: usize) -> Self {
        self.lanes = lanes.max(1);
        self
    }

    /// How sockets are written where streams are [served](crate::Server) directly. Default [`IoBackend::Auto`].
    #[must_use]
    pub const fn io_backend(mut self, io: IoBackend) -> Self {
        self.io_backend = io;
        self
    }
}

/// At least a millisecond, at most a day: shorter would never rest, longer means never, and sums of times must not overflow.
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
