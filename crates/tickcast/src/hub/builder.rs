//! The settings of a hub.

use std::ops::RangeInclusive;
use std::path::Path;
#[cfg(feature = "tape")]
use std::path::PathBuf;
use std::time::Duration;

use tickcast_core::Limits;
#[cfg(feature = "tape")]
use tickcast_tape::{OpenError, Options};

use super::delayed_market::{DELAYS, MAX_DELAYS};
use crate::interest::MAX_LANES;
use crate::lane::{IoBackend, StreamLimits};

/// Default maximum memory of the filters of all readers, in bytes.
const FILTER_BYTES: usize = 256 << 20;

/// Default maximum memory of all answers together, in bytes.
const ANSWER_BYTES: usize = 256 << 20;

/// Default maximum size of the data that all streams buffer for their readers, in bytes.
const KEPT_BYTES: usize = 256 << 20;

/// Default maximum number of prepared streams.
const PREPARED_STREAMS: usize = 10_000;

/// Shortest and longest duration of a setting. With a shorter time, a lane would never rest. A
/// longer time means never, and sums of times must not overflow.
const TIMES: RangeInclusive<Duration> = Duration::from_millis(1)..=Duration::from_secs(86_400);

/// The settings of a hub. Returned by [`Hub::builder`](crate::Hub::builder).
/// [`try_build`](Self::try_build) or [`build`](Self::build) makes the hub. The defaults suit one
/// machine. Each duration is from 1 millisecond to 1 day.
///
/// ```
/// # fn main() -> Result<(), tickcast::error::BuildError> {
/// let hub = tickcast::Hub::builder().max_lag(std::time::Duration::from_millis(200)).try_build()?;
/// # Ok(()) }
/// ```
#[derive(Debug, Clone)]
#[must_use = "a builder does nothing until it builds"]
pub struct HubBuilder {
    /// The folder and the options of the tape on disk, if there is one.
    #[cfg(feature = "tape")]
    pub(super) tape: Option<(PathBuf, Options)>,
    pub(super) limits: Limits,
    pub(super) stream_limits: StreamLimits,
    pub(super) max_filter_bytes: usize,
    pub(super) max_answer_bytes: usize,
    pub(super) max_buffered_bytes: usize,
    pub(super) max_send_buffer_bytes: usize,
    pub(super) max_prepared_streams: usize,
    pub(super) max_streams_per_address: Option<u32>,
    pub(super) max_opens_per_address: Option<u32>,
    pub(super) flush_interval: Duration,
    pub(super) lanes: usize,
    pub(super) lane_threads: LaneThreads,
    pub(super) io_backend: IoBackend,
    pub(super) require_viewer: bool,
    /// The delays of the delayed markets, in order.
    pub(super) delays: Vec<Duration>,
    /// How far this market is behind. Zero: it is live.
    pub(super) delay: Duration,
}

/// The threads on which the lanes of a hub run. Passed to [`HubBuilder::lane_threads`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum LaneThreads {
    /// Each lane is a task on the runtime of the first reader. A flush writes to all streams of the
    /// lane before other tasks of this thread can run.
    #[default]
    Runtime,
    /// Each lane has a thread of its own, which suits a program with thousands of streams.
    Own,
    /// Each lane has a thread of its own, which stays on one core: the first lane on the first core
    /// that the program may use. Only on Linux; elsewhere the same as `Own`.
    Pinned,
}

impl Default for HubBuilder {
    fn default() -> Self {
        Self {
            #[cfg(feature = "tape")]
            tape: None,
            limits: Limits::default(),
            stream_limits: StreamLimits {
                max_lag: Duration::from_secs(1),
                keep_alive: Duration::from_secs(15),
                write_timeout: Duration::from_secs(30),
                // The share of each lane is known only when the lanes start.
                buffered_bytes: usize::MAX,
                delay: Duration::ZERO,
            },
            max_filter_bytes: FILTER_BYTES,
            max_answer_bytes: ANSWER_BYTES,
            max_buffered_bytes: KEPT_BYTES,
            max_send_buffer_bytes: usize::MAX,
            max_prepared_streams: PREPARED_STREAMS,
            max_streams_per_address: None,
            max_opens_per_address: None,
            flush_interval: Duration::from_millis(5),
            lanes: Self::default_lanes(),
            lane_threads: LaneThreads::Runtime,
            io_backend: IoBackend::Auto,
            require_viewer: false,
            delays: Vec::new(),
            delay: Duration::ZERO,
        }
    }
}

impl HubBuilder {
    /// Sets how much the hub keeps in memory (retention). Default: [`Limits::default`]: 100,000
    /// symbols, 262,144 ticks or 64 MiB, 1,000,000 candles.
    pub const fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets the maximum memory of the filters of all readers, in bytes. Default: 256 MiB. Above the
    /// limit, a new reader is told to come back later.
    pub const fn max_filter_bytes(mut self, bytes: usize) -> Self {
        self.max_filter_bytes = bytes;
        self
    }

    /// Sets the maximum memory of all answers in progress, in bytes. Default: 256 MiB. Above the
    /// limit, an answer is 503.
    ///
    /// Three quarters are for snapshots of the market, each with the text of all its prices. Data
    /// that answers share counts once. A single market larger than this share may be held alone.
    /// One quarter is for other bytes of answers that are already written.
    ///
    /// A lower limit also allows fewer long bodies and fewer zstd-compressed bodies at a time.
    pub const fn max_answer_bytes(mut self, bytes: usize) -> Self {
        self.max_answer_bytes = bytes;
        self
    }

    /// Sets the maximum size of the data that all streams buffer for their readers, in bytes. Data
    /// that streams share counts once. Default: 256 MiB. Above the limit, the streams that have
    /// accepted nothing for the longest time are cut (backpressure).
    pub const fn max_buffered_bytes(mut self, bytes: usize) -> Self {
        self.max_buffered_bytes = bytes;
        self
    }

    /// Sets the memory for the send buffers that the operating system has for the sockets of streams,
    /// in bytes. Each new stream over TCP gets an even share, from 16 KiB to 128 KiB; the system
    /// takes up to twice of it while the client reads nothing. So the total is above this limit if
    /// there are so many streams that the smallest buffers exceed it. Default: no limit, 128 KiB
    /// for each stream.
    pub const fn max_send_buffer_bytes(mut self, bytes: usize) -> Self {
        self.max_send_buffer_bytes = bytes;
        self
    }

    /// Sets the maximum number of prepared streams (`POST /v1/streams`). Default: 10,000. Above the
    /// limit, another is 503. Each takes about 1 KiB, and 32 bytes for each name or pattern.
    pub const fn max_prepared_streams(mut self, streams: usize) -> Self {
        self.max_prepared_streams = streams;
        self
    }

    /// Sets the maximum number of open streams of one IPv4 address, or of one IPv6 network of 64
    /// bits. A further stream is told to come back later. The address is that of the peer, or the
    /// [`ClientAddress`](crate::access::ClientAddress) that a layer has found out. Default: no
    /// limit, because all clients behind a proxy have its address.
    pub const fn max_streams_per_address(mut self, streams: u32) -> Self {
        self.max_streams_per_address = Some(streams);
        self
    }

    /// Sets how many streams one address may open in a second. A further stream is told to come back
    /// later. The addresses are those of
    /// [`max_streams_per_address`](Self::max_streams_per_address). Default: no limit.
    pub const fn max_opens_per_address(mut self, streams: u32) -> Self {
        self.max_opens_per_address = Some(streams);
        self
    }

    /// Returns the folder of the tape on disk, if there is one.
    pub(super) fn folder(&self) -> Option<&Path> {
        #[cfg(feature = "tape")]
        return self.tape.as_ref().map(|(folder, _)| folder.as_path());
        #[cfg(not(feature = "tape"))]
        None
    }

    /// Sets the maximum lag: the maximum age of the next tick of a reader. A reader above it is a
    /// slow consumer and receives only the newest tick of each symbol (conflation). Default: 1 s.
    /// This is longer than a healthy reader is ever kept from running, and shorter than a price
    /// stays interesting.
    pub const fn max_lag(mut self, max_lag: Duration) -> Self {
        self.stream_limits.max_lag = max_lag;
        self
    }

    /// Sets the keep-alive interval: a stream without an event for this time is sent a comment.
    /// Default: 15 s.
    pub const fn keep_alive(mut self, keep_alive: Duration) -> Self {
        self.stream_limits.keep_alive = keep_alive;
        self
    }

    /// Sets the write timeout: a stream whose reader accepts nothing for this time is cut. Default:
    /// 30 s, which is longer than a phone is in a tunnel.
    pub const fn write_timeout(mut self, timeout: Duration) -> Self {
        self.stream_limits.write_timeout = timeout;
        self
    }

    /// Sets on which threads the lanes run. Default: [`LaneThreads::Runtime`].
    pub const fn lane_threads(mut self, threads: LaneThreads) -> Self {
        self.lane_threads = threads;
        self
    }

    /// Sets the minimum time between two flushes of a lane while ticks keep arriving. Default: 5
    /// ms. A longer interval saves few more writes, and users do not notice a delay of 5 ms. The
    /// first tick after a quiet period never waits.
    pub const fn flush_interval(mut self, interval: Duration) -> Self {
        self.flush_interval = interval;
        self
    }

    /// Returns the default number of lanes: one per core, at most 256.
    #[must_use]
    pub fn default_lanes() -> usize {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        cores.min(MAX_LANES)
    }

    /// Sets the number of lanes that serve the streams, 1 to 256. Default: one lane per core. More
    /// lanes than cores make nothing faster.
    pub const fn lanes(mut self, lanes: usize) -> Self {
        self.lanes = lanes;
        self
    }

    /// Sets how sockets are written if streams are [served](crate::serve()) directly. Default:
    /// [`IoBackend::Auto`].
    pub const fn io_backend(mut self, io: IoBackend) -> Self {
        self.io_backend = io;
        self
    }

    /// Sets whether the routes for readers answer only requests with a
    /// [`Viewer`](crate::access::Viewer); all others are 401. With it, a forgotten layer shuts
    /// everyone out and lets no one in. Default: false.
    pub const fn require_viewer(mut self, required: bool) -> Self {
        self.require_viewer = required;
        self
    }

    /// Adds delayed markets, at most 8, each 1 second to 1 day behind the live one. A
    /// [`Viewer::delay`](crate::access::Viewer::delay) reads the next slower of them, on every
    /// route. Default: none.
    ///
    /// Each has a market, a tape in memory, candles and lanes of its own. The limits on the memory
    /// of filters, answers and buffers are shared evenly with the live market. A delayed market
    /// reads the tape of the live one, so the tape must reach back as far as the delay: in memory
    /// (see [`limits`](Self::limits)), or else on disk. Without a tape on disk, a delayed market is
    /// empty for the time of the delay after each start, and its readers are told to come back
    /// later. With one, its candles begin where the tape begins.
    pub fn delays(mut self, delays: impl IntoIterator<Item = Duration>) -> Self {
        self.delays = delays.into_iter().collect();
        self.delays.sort_unstable();
        self.delays.dedup();
        self
    }

    /// Stores the tape in a folder on disk. The hub continues where the tape ended, with all
    /// prices, counts and cursors. Default: the tape is in memory only.
    #[cfg(feature = "tape")]
    pub fn tape(mut self, folder: impl Into<PathBuf>, options: Options) -> Self {
        self.tape = Some((folder.into(), options));
        self
    }

    /// Checks the ranges of the settings.
    pub(super) fn check(&self) -> Result<(), BuildError> {
        let StreamLimits {
            max_lag,
            keep_alive,
            write_timeout,
            ..
        } = self.stream_limits;
        let times = [
            ("max_lag", max_lag),
            ("keep_alive", keep_alive),
            ("write_timeout", write_timeout),
            ("flush_interval", self.flush_interval),
        ];
        if let Some((setting, value)) = times.into_iter().find(|(_, time)| !TIMES.contains(time)) {
            return Err(BuildError::Time { setting, value });
        }
        if !(1..=MAX_LANES).contains(&self.lanes) {
            return Err(BuildError::Lanes(self.lanes));
        }
        if let Some(delay) = self.delays.iter().find(|delay| !DELAYS.contains(delay)) {
            return Err(BuildError::Delay(*delay));
        }
        if self.delays.len() > MAX_DELAYS {
            return Err(BuildError::TooManyDelays(self.delays.len()));
        }
        Ok(())
    }
}

/// The reason why a hub could not be built. Returned by [`HubBuilder::try_build`].
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// A delay is not from 1 second to 1 day. Contains the delay.
    #[error("a delay cannot be {0:?}: the range is 1 s to 1 day")]
    Delay(Duration),
    /// There are more than 8 delays. Contains their number.
    #[error("{0} delays are given, the limit is {MAX_DELAYS}")]
    TooManyDelays(usize),
    /// A duration is not from 1 millisecond to 1 day.
    #[error("{setting} cannot be {value:?}: the range is 1 ms to 1 day")]
    Time {
        /// The name of the setting: `max_lag`, `keep_alive`, `write_timeout` or `flush_interval`.
        setting: &'static str,
        /// The value of the setting.
        value: Duration,
    },
    /// The number of lanes is not from 1 to 256. Contains the number.
    #[error("lanes cannot be {0}: the range is 1 to {MAX_LANES}")]
    Lanes(usize),
    /// The tape on disk cannot be opened. Contains the reason.
    #[cfg(feature = "tape")]
    #[error(transparent)]
    Tape(#[from] OpenError),
    /// The thread that writes the tape cannot be started. Contains the error of the system.
    #[cfg(feature = "tape")]
    #[error("the thread that writes the tape cannot be started: {0}")]
    Thread(std::io::Error),
}
