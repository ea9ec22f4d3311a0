//! Statistics in plain counters.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tickcast_core::{Cursor, Outcome, Symbol, TickError, Time};

use crate::source_state::SourceState;

/// Upper bounds of the buckets of [`Delays`]. One more bucket counts delays above the last bound.
pub const DELAY_BUCKETS: [Duration; 15] = {
    let micros = [
        100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000,
        2_500_000, 10_000_000,
    ];
    let mut bounds = [Duration::ZERO; 15];
    let mut i = 0;
    while i < bounds.len() {
        bounds[i] = Duration::from_micros(micros[i]);
        i += 1;
    }
    bounds
};

/// The statistics of a hub.
#[derive(Debug, Clone)]
pub struct HubStats {
    /// Number of open streams.
    pub streams: u64,
    /// Size of the data that streams buffer for their readers, in bytes.
    pub buffered_bytes: u64,
    /// Number of ticks written to streams. A tick counts once for each stream.
    pub ticks_delivered: u64,
    /// Number of bytes of events and comments that were passed to streams.
    pub bytes_sent: u64,
    /// The cursor of the newest entry on the tape.
    pub cursor: Cursor,
    /// Number of symbols ever seen.
    pub symbols: usize,
    /// Number of closed candles in memory, of all symbols.
    pub candles: usize,
    /// The statistics of the filters of all streams.
    pub filters: FilterStats,
    /// Whether published ticks can be stored. They cannot while the disk is full, or after the tape has
    /// failed.
    pub can_publish: bool,
    /// Number of wall clock jumps of more than [`Limits::max_skew`](crate::Limits::max_skew).
    pub clock_jumps: u64,
    /// Number of ticks on the tape.
    pub tape_ticks: usize,
    /// Size of the tape, in bytes.
    pub tape_bytes: usize,
    /// The statistics of the tape on disk, if there is one.
    pub disk: Option<DiskStats>,
    /// Number of answers in progress that are not streams.
    pub answers: AnswerStats,
    /// Delays of ticks from their arrival until a lane had passed them on.
    pub delays: Delays,
    /// The statistics of each source, in order of registration.
    pub sources: Vec<SourceStats>,
}

/// The statistics of the filters of all streams.
#[derive(Debug, Clone, Copy, Default)]
pub struct FilterStats {
    /// Number of patterns in use.
    pub patterns: u64,
    /// Maximum memory of the filters, in bytes.
    pub bytes: u64,
    /// Number of streams and changes that were refused because there was no room.
    pub refused: u64,
}

/// The statistics of a tape on disk.
#[derive(Debug, Clone, Copy)]
pub struct DiskStats {
    /// Number of ticks on the tape.
    pub ticks: u64,
    /// Size of the tape, in bytes.
    pub bytes: u64,
}

/// The numbers of answers in progress and of refused requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AnswerStats {
    /// Number of exports: `GET /v1/ticks/{symbol}`.
    pub exports: u64,
    /// Number of other answers that are larger than 64 KiB, or for which many names have to be compared.
    pub wide: u64,
    /// Number of requests that were refused because there were too many answers of either kind.
    pub refused: u64,
}

/// A histogram of delays.
#[derive(Debug, Clone, Default)]
pub struct Delays {
    /// Number of delays in each of [`DELAY_BUCKETS`], and above the last one.
    pub counts: [u64; DELAY_BUCKETS.len() + 1],
    /// Sum of all delays.
    pub sum: Duration,
}

/// The statistics of a source.
#[derive(Debug, Clone)]
pub struct SourceStats {
    /// The name of the source.
    pub name: String,
    /// The state of the source.
    pub state: SourceState,
    /// Number of accepted ticks.
    pub accepted: u64,
    /// Number of ticks that were older than the newest tick of their symbol.
    pub late: u64,
    /// Number of unchanged ticks, which repeated the newest tick of their symbol.
    pub unchanged: u64,
    /// Number of ticks that broke a rule.
    pub rejected: u64,
    /// Start time of the current state.
    pub since: Time,
    /// Symbols of the source with an unhealthy state of their own.
    pub symbols: Vec<SymbolStats>,
    /// The event counters of the feed.
    pub feed: FeedStats,
}

/// The state of a symbol that differs from the state of its source.
#[derive(Debug, Clone)]
pub struct SymbolStats {
    /// The symbol.
    pub symbol: Symbol,
    /// The state of the symbol.
    pub state: SourceState,
    /// Start time of the current state.
    pub since: Time,
}

/// A kind of counted event between a feed and the hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedEventKind {
    /// A connection that was established. All but the first were reconnections.
    Connects,
    /// A received frame of any kind.
    Frames,
    /// A gap in the feed's own sequence numbers.
    Gaps,
    /// A tick that is missing in such a gap; or a message, if the feed numbers messages.
    Missing,
    /// A dropped tick that was older, by the feed's own sequence numbers, than a tick accepted before.
    Stragglers,
    /// A dropped tick that arrived a second time.
    Duplicates,
    /// A frame, or a part of a frame, that could not be decoded.
    Errors,
    /// A frame of an unknown kind.
    Unknown,
    /// A tick with an impossible time. The tick was given another time.
    BadTimes,
    /// A price that the feed reported as missing, for example for a symbol without a quote.
    Unquoted,
}

impl FeedEventKind {
    /// All kinds.
    pub const ALL: [Self; 10] = [
        Self::Connects,
        Self::Frames,
        Self::Gaps,
        Self::Missing,
        Self::Stragglers,
        Self::Duplicates,
        Self::Errors,
        Self::Unknown,
        Self::BadTimes,
        Self::Unquoted,
    ];

    /// Returns the name of the kind in `/v1/status` and in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Connects => "connects",
            Self::Frames => "frames",
            Self::Gaps => "gaps",
            Self::Missing => "missing",
            Self::Stragglers => "stragglers",
            Self::Duplicates => "duplicates",
            Self::Errors => "errors",
            Self::Unknown => "unknown",
            Self::BadTimes => "bad_times",
            Self::Unquoted => "unquoted",
        }
    }
}

/// The event counters of a feed. All are zero for a source that is not a feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FeedStats([u64; FeedEventKind::ALL.len()]);

impl FeedStats {
    /// Returns the number of events of this kind.
    #[must_use]
    pub const fn get(&self, count: FeedEventKind) -> u64 {
        self.0[count as usize]
    }

    /// Checks whether any event was counted.
    #[must_use]
    pub fn any(&self) -> bool {
        self.0.iter().any(|count| *count > 0)
    }
}

/// The counters of a lane, with one writer and any number of readers.
#[derive(Debug, Default)]
pub(crate) struct LaneStats {
    /// Number of streams that are assigned to the lane, including those that have not reached it yet.
    assigned: AtomicU64,
    /// Number of streams in the lane.
    streams: AtomicU64,
    /// Size of the data that the streams buffer for their readers, in bytes, at the last count.
    buffered_bytes: AtomicU64,
    /// Number of writes that sinks refused.
    refusals: AtomicU64,
    events: AtomicU64,
    bytes: AtomicU64,
    delays: [AtomicU64; DELAY_BUCKETS.len() + 1],
    delay_us: AtomicU64,
}

impl LaneStats {
    pub(crate) fn assign(&self) {
        self.assigned.fetch_add(1, Relaxed);
    }

    /// Counts down an assigned stream that has ended, or that never reached the lane.
    pub(crate) fn release(&self) {
        self.assigned.fetch_sub(1, Relaxed);
    }

    pub(crate) fn assigned(&self) -> u64 {
        self.assigned.load(Relaxed)
    }

    /// Resets the numbers of streams and buffered bytes to zero, because the lane and all its streams have
    /// ended.
    pub(crate) fn reset_gauges(&self) {
        self.assigned.store(0, Relaxed);
        self.buffered_bytes.store(0, Relaxed);
        self.streams.store(0, Relaxed);
    }

    pub(crate) fn refused(&self) {
        self.refusals.fetch_add(1, Relaxed);
    }

    pub(crate) fn refusals(&self) -> u64 {
        self.refusals.load(Relaxed)
    }

    pub(crate) fn buffered_bytes(&self) -> u64 {
        self.buffered_bytes.load(Relaxed)
    }

    pub(crate) fn set_buffered_bytes(&self, bytes: usize) {
        self.buffered_bytes.store(bytes as u64, Relaxed);
    }

    pub(crate) fn opened(&self) {
        self.streams.fetch_add(1, Relaxed);
    }

    pub(crate) fn closed(&self) {
        self.streams.fetch_sub(1, Relaxed);
    }

    pub(crate) fn sent(&self, ticks: usize, bytes: usize) {
        self.events.fetch_add(ticks as u64, Relaxed);
        self.bytes.fetch_add(bytes as u64, Relaxed);
    }

    pub(crate) fn delayed(&self, delay: Duration) {
        let bucket = DELAY_BUCKETS.partition_point(|bound| *bound < delay);
        self.delays[bucket].fetch_add(1, Relaxed);
        self.delay_us.fetch_add(delay.as_micros() as u64, Relaxed);
    }

    pub(crate) fn streams(&self) -> u64 {
        self.streams.load(Relaxed)
    }

    /// Adds the counters of the lane to `total`.
    pub(crate) fn add_to(&self, total: &mut HubStats) {
        total.streams += self.streams();
        total.buffered_bytes += self.buffered_bytes.load(Relaxed);
        total.ticks_delivered += self.events.load(Relaxed);
        total.bytes_sent += self.bytes.load(Relaxed);
        total.delays.sum += Duration::from_micros(self.delay_us.load(Relaxed));
        for (total, count) in total.delays.counts.iter_mut().zip(&self.delays) {
            *total += count.load(Relaxed);
        }
    }
}

/// The counters of a source.
#[derive(Debug, Default)]
pub(crate) struct SourceCounters {
    accepted: AtomicU64,
    late: AtomicU64,
    unchanged: AtomicU64,
    rejected: AtomicU64,
    feed: [AtomicU64; FeedEventKind::ALL.len()],
}

impl SourceCounters {
    pub(crate) fn count(&self, outcome: &Result<Outcome, TickError>) {
        let counter = match outcome {
            Ok(Outcome::Accepted(_)) => &self.accepted,
            Ok(Outcome::Late) => &self.late,
            Ok(Outcome::Unchanged) => &self.unchanged,
            Err(_) => &self.rejected,
        };
        counter.fetch_add(1, Relaxed);
    }

    pub(crate) fn reject(&self) {
        self.rejected.fetch_add(1, Relaxed);
    }

    pub(crate) fn feed(&self, count: FeedEventKind, times: u64) {
        self.feed[count as usize].fetch_add(times, Relaxed);
    }

    pub(crate) fn stats(
        &self,
        name: &str,
        state: SourceState,
        since: Time,
        symbols: Vec<SymbolStats>,
    ) -> SourceStats {
        SourceStats {
            name: name.to_owned(),
            state,
            since,
            symbols,
            feed: FeedStats(std::array::from_fn(|i| self.feed[i].load(Relaxed))),
            accepted: self.accepted.load(Relaxed),
            late: self.late.load(Relaxed),
            unchanged: self.unchanged.load(Relaxed),
            rejected: self.rejected.load(Relaxed),
        }
    }
}
