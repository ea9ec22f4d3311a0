//! What has happened so far, in plain counters.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use tickcast_core::{Cursor, Outcome, Symbol, TickError, Time};

use crate::source_state::SourceState;

/// The upper bounds of the buckets that [`Delays`] counts in. One more counts what is above the last.
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

/// How a hub stands.
#[derive(Debug, Clone)]
pub struct HubStats {
    /// Open streams.
    pub streams: u64,
    /// What they keep that their readers have yet to take, in bytes.
    pub buffered_bytes: u64,
    /// Ticks written to streams, each counted once a stream.
    pub ticks_delivered: u64,
    /// Bytes of events and comments handed to streams.
    pub bytes_sent: u64,
    /// The newest place on the tape.
    pub cursor: Cursor,
    /// Symbols ever seen.
    pub symbols: usize,
    /// Closed candles kept of all symbols.
    pub candles: usize,
    /// The filters of all streams.
    pub filters: FilterStats,
    /// Whether what is published can be kept: not while the disk is full, or once its tape is gone.
    pub can_publish: bool,
    /// How often the wall clock jumped by more than [`Limits::max_skew`](crate::Limits::max_skew).
    pub clock_jumps: u64,
    /// Ticks on the tape.
    pub tape_ticks: usize,
    /// Bytes on the tape.
    pub tape_bytes: usize,
    /// The tape on disk, where there is one.
    pub disk: Option<DiskStats>,
    /// Answers under way that are not streams.
    pub answers: AnswerStats,
    /// How long ticks took from their arrival until a lane had handed them on.
    pub delays: Delays,
    /// Each source, in order of registration.
    pub sources: Vec<SourceStats>,
}

/// How the filters of all streams stand.
#[derive(Debug, Clone, Copy, Default)]
pub struct FilterStats {
    /// Patterns in use.
    pub patterns: u64,
    /// What they take, in bytes, at most.
    pub bytes: u64,
    /// Streams and changes that were refused for want of room.
    pub refused: u64,
}

/// How a tape on disk stands.
#[derive(Debug, Clone, Copy)]
pub struct DiskStats {
    /// Ticks on it.
    pub ticks: u64,
    /// Bytes of it.
    pub bytes: u64,
}

/// How many answers are under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct AnswerStats {
    /// Exports: `GET /v1/ticks/{symbol}`.
    pub exports: u64,
    /// Other answers of more than 64 KiB, or for which many names have to be compared.
    pub wide: u64,
    /// Requests that were turned away, since there were too many of either.
    pub refused: u64,
}

/// A histogram of delays.
#[derive(Debug, Clone, Default)]
pub struct Delays {
    /// How many fell into each of [`DELAY_BUCKETS`], and above.
    pub counts: [u64; DELAY_BUCKETS.len() + 1],
    /// All of them together.
    pub sum: Duration,
}

/// How a source stands.
#[derive(Debug, Clone)]
pub struct SourceStats {
    /// Its name.
    pub name: String,
    /// Its state.
    pub state: SourceState,
    /// Ticks that were taken.
    pub accepted: u64,
    /// Ticks that were older than their symbol's newest.
    pub late: u64,
    /// Ticks that repeated their symbol's newest.
    pub unchanged: u64,
    /// Ticks that broke a rule.
    pub rejected: u64,
    /// Since when it is in that state.
    pub since: Time,
    /// Its symbols that are not as it is.
    pub symbols: Vec<SymbolStats>,
    /// What happened on the way to it.
    pub feed: FeedStats,
}

/// How a symbol stands that is not as its source is.
#[derive(Debug, Clone)]
pub struct SymbolStats {
    /// Which.
    pub symbol: Symbol,
    /// Its state.
    pub state: SourceState,
    /// Since when.
    pub since: Time,
}

/// What can happen on the way from a feed, and is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FeedEventKind {
    /// A connection stood. All but the first were reconnections.
    Connects,
    /// A frame came, of whatever kind.
    Frames,
    /// There was a hole in the feed's own numbers.
    Gaps,
    /// So many ticks were in such holes; or messages, where the feed numbers these.
    Missing,
    /// A tick was older, by the feed's own numbers, than one taken before; it was dropped.
    Stragglers,
    /// A tick came again; it was dropped.
    Duplicates,
    /// A frame, or a part of it, made no sense.
    Errors,
    /// A frame of a kind that is not known.
    Unknown,
    /// A tick's own time could not be: it was given another.
    BadTimes,
    /// A price was said to be none, as of something nobody quotes.
    Unquoted,
}

impl FeedEventKind {
    /// All there are.
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

    /// Its name in `/v1/status` and in metrics.
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

/// What happened on the way from a feed. All zero for a source that is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct FeedStats([u64; FeedEventKind::ALL.len()]);

impl FeedStats {
    /// How often this happened.
    #[must_use]
    pub const fn get(&self, count: FeedEventKind) -> u64 {
        self.0[count as usize]
    }

    /// Whether anything has happened.
    #[must_use]
    pub fn any(&self) -> bool {
        self.0.iter().any(|count| *count > 0)
    }
}

/// A lane's counters: one writer, any reader.
#[derive(Debug, Default)]
pub(crate) struct LaneStats {
    /// Streams that are on their way to the lane, or there.
    assigned: AtomicU64,
    /// Streams that are there.
    streams: AtomicU64,
    /// What they keep that their readers have yet to take, in bytes, when it was last counted.
    buffered_bytes: AtomicU64,
    /// How often a sink would not take what it was offered.
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

    /// A stream that was assigned is no more, or never came.
    pub(crate) fn release(&self) {
        self.assigned.fetch_sub(1, Relaxed);
    }

    pub(crate) fn assigned(&self) -> u64 {
        self.assigned.load(Relaxed)
    }

    /// The lane is no more, and its streams with it.
    pub(crate) fn subtract_stream(&self) {
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

    /// Adds them all up.
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

/// A source's counters.
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
